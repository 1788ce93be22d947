"""Paths that a user gives."""

from __future__ import annotations

import os
from pathlib import Path

from crlm_qc.model.errors import UsageError


def resolved(path: Path) -> Path:
    """A path with all links on its way followed, whether anything is there or not.

    Raises
    ------
    UsageError
        A link on its way leads to itself, as those of broken mounts do, or a name is too long for this machine.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        why = os.strerror(error.errno or 0).lower() if isinstance(error, OSError) else "a link that leads to itself"
        raise UsageError(f"{path} can't be used: {why}") from None
