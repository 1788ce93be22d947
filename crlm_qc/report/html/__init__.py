"""The HTML report: one file that opens from disk, reads fully without script, and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.model.report import SCHEMA_VERSION, Report
from crlm_qc.report import words
from crlm_qc.report.html import plots
from crlm_qc.report.html.pictures import albums, inline, pictured, roles
from crlm_qc.report.html.view import MANY_ROWS, MAX_ROWS, NO_PATIENT, View, anchor

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["MAX_ROWS", "SCRIPT", "STYLE", "asset", "page", "render"]

_HERE = Path(__file__).parent

STYLE, SCRIPT = "report.css", "report.js"
"""The page's own files."""


def render(report: Report, *, pictures: Mapping[str, bytes] | None = None) -> str:
    """Render a report as one HTML page.

    Parameters
    ----------
    report : Report
        The report.
    pictures : mapping of str to bytes, optional
        Files of its pictures by their names; those that are not there become boxes.

    Returns
    -------
    str
        The page. Every value in it is escaped; its policy lets the browser run no script but the page's own, and load
        nothing from anywhere.
    """
    style, script = asset(STYLE), asset(SCRIPT)
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return page(report, policy, style=_markup(style), script=_markup(script), sources=inline(pictures or {}))


def page(
    report: Report, policy: str, *, style: Any = None, script: Any = None, sources: Mapping[str, str] | None = None
) -> str:
    """The page of a report, with its style and script in it or beside it.

    Parameters
    ----------
    report : Report
        The report.
    policy : str
        Content-Security-Policy that the page asks of the browser.
    style, script : markupsafe.Markup, optional
        The package's own style and script to write into the page; by default it links to the files `STYLE` and `SCRIPT`.

    sources : mapping of str to str, optional
        Where the images of the report's pictures are, by their files' names.

    Returns
    -------
    str
        The page.
    """
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            view=View(report),
            albums=albums(report, sources or {}),
            roles=roles(report),
            pictured=pictured(report),
            words=words,
            schema_version=SCHEMA_VERSION,
            no_patient=NO_PATIENT,
            many=MANY_ROWS,
            max_named=plots.MAX_NAMED,
            policy=policy,
            style=style,
            script=script,
            style_file=STYLE,
            script_file=SCRIPT,
        )
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def asset(name: str) -> str:
    """The text of one of the page's own files."""
    return (_HERE / name).read_text(encoding="utf-8")


def _markup(asset: str) -> Any:
    from markupsafe import Markup

    # Only the package's own two files pass here: they are not data.
    return Markup(asset)  # noqa: S704


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("crlm_qc.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters["anchor"] = anchor
    environment.filters["plural"] = words.plural
    return environment


def _finalize(value: Any) -> Any:
    """Clean every text on its way into the page; a missing value is a dash."""
    if value is None:
        return "\N{EN DASH}"
    return words.clean(value) if type(value) is str else value
