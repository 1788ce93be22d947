"""Changes as JSON, for programs."""

from __future__ import annotations

from crlm_qc.model.changes import Changes
from crlm_qc.report import words


def render(changes: Changes) -> bytes:
    """Render changes as JSON.

    Parameters
    ----------
    changes : Changes
        Two reports and what changed.

    Returns
    -------
    bytes
        UTF-8: both releases, counts by state, and every finding with its state.
    """
    return words.json_bytes(changes.as_dict())
