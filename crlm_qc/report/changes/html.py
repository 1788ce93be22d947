"""Changes as one HTML page, in the style of the report: no script, nothing from the network."""

from __future__ import annotations

from crlm_qc.model.changes import Changes, State
from crlm_qc.report import words
from crlm_qc.report.changes import DOCS, SIGNS, about, difference, sentence, tone
from crlm_qc.report.pages import STYLE, asset, digest, own_markup, template

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
    style = asset(STYLE)
    return template("crlm_qc.report.changes", "changes.html.j2").render(
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
        policy=f"default-src 'none'; img-src data:; style-src '{digest(style)}'; base-uri 'none'; form-action 'none'",
        style=own_markup(style),
    )
