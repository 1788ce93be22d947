"""The HTML report as a folder: the same page with its style and script beside it, for servers that allow nothing inline."""

from __future__ import annotations

from collections.abc import Mapping

from crlm_qc.model.picture import PICTURE_FILE
from crlm_qc.model.report import Report
from crlm_qc.model.trend import Trend
from crlm_qc.report.html import SCRIPT, STYLE, asset, page, scripts

INDEX, PICTURES = "index.html", "pictures"

_POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'"


def render(
    report: Report, *, pictures: Mapping[str, bytes] | None = None, trend: Trend | None = None
) -> Mapping[str, str | bytes]:
    """Render a report as the files of a folder.

    Parameters
    ----------
    report : Report
        The report.
    pictures : mapping of str to bytes, optional
        Files of its pictures by their names.
    trend : Trend, optional
        What became of the release over several audits.

    Returns
    -------
    mapping of str to str or bytes
        File names and contents: `index.html`, the pictures, and the style and script that it links to. Nothing is inline, so that
        the page keeps its looks under policies such as the one that Jenkins sends; where a server also forbids
        scripts, all rows can be read, and only filters, sorting and copying are missing.
    """
    files = {
        f"{PICTURES}/{name}": content for name, content in (pictures or {}).items() if PICTURE_FILE.fullmatch(name)
    }
    sources = {path.partition("/")[2]: path for path in files}
    return {INDEX: page(report, _POLICY, sources=sources, trend=trend), STYLE: asset(STYLE), SCRIPT: scripts(), **files}
