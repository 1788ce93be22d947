"""findings.json: every outcome and finding, for programs. Its schema is `findings.schema.json`."""

from __future__ import annotations

from crlm_qc.model.report import Report
from crlm_qc.report import words


def render(report: Report) -> bytes:
    """Render a report as JSON.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    bytes
        UTF-8, in the order that the schema documents, with a line end at the end. Control characters, marks of
        direction and lone surrogates, which names of files may hold, are written as JSON escapes.
    """
    return words.json_bytes(report.as_dict())
