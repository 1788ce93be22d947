"""Changes as one HTML page, in the style of the report: no script, nothing from the network."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from crlm_qc.model.changes import Changes, State
from crlm_qc.report import words
from crlm_qc.report.changes import DOCS, SIGNS, about, difference, sentence, tone

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_ROWS = 5000
"""Findings that the page lists of one state; the rest stands in the JSON, and the page says so."""


def render(changes: Changes) -> str:
    """Render changes as one HTML page.

    Parameters
    ----------
    changes : Changes
        Two reports and what changed.

    Returns
    -------
    str
        The page. Every value in it is escaped, and its policy lets the browser run no script and load nothing.
    """
    from markupsafe import Markup

    style = files("crlm_qc.report.html").joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("changes.html.j2")
        .render(
            changes=changes,
            states=[state for state in State if changes.counts[state]],
            tone=tone(changes),
            sentence=sentence(changes),
            about=about,
            difference=difference,
            docs=DOCS,
            signs=SIGNS,
            most=MAX_ROWS,
            words=words,
            policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            # The package's own file: it is not data.
            style=Markup(style),  # noqa: S704
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("crlm_qc.report.changes"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )


def _finalize(value: Any) -> Any:
    """Clean every text on its way into the page."""
    return words.clean(value) if type(value) is str else value
