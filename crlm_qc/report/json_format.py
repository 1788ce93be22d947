"""findings.json: every outcome and finding, for programs. Its schema is `findings.schema.json`."""

from __future__ import annotations

import json

from crlm_qc.model.report import Report


def render(report: Report) -> bytes:
    """Render a report as JSON.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    bytes
        UTF-8, in the order that the schema documents, with a line end at the end. Lone surrogates, which names of
        files may hold, are written as JSON escapes.
    """
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")
