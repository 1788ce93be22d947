"""The HTML report: one file that opens from disk, reads fully without script, and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlm_qc.model.report import SCHEMA_VERSION, Report
from crlm_qc.model.trend import Trend
from crlm_qc.report import words
from crlm_qc.report.fitness import GLYPHS, behind, summary
from crlm_qc.report.html import plots
from crlm_qc.report.html.pictures import albums, inline, pictured, roles
from crlm_qc.report.html.rows import followers
from crlm_qc.report.html.trend import courses
from crlm_qc.report.html.view import MANY_ROWS, MAX_PATIENTS, MAX_ROWS, NO_PATIENT, View, anchor
from crlm_qc.report.pages import SCRIPT, STYLE, asset, digest, own_markup, template

__all__ = ["MAX_ROWS", "SCRIPT", "STYLE", "asset", "page", "render", "scripts"]

REVIEW = "review.js"
"""What the page of a report has beside the script of all pages."""


def render(report: Report, *, pictures: Mapping[str, bytes] | None = None, trend: Trend | None = None) -> str:
    """Render a report as one HTML page.

    Parameters
    ----------
    report : Report
        The report.
    pictures : mapping of str to bytes, optional
        Files of its pictures by their names; those that are not there become boxes.
    trend : Trend, optional
        What became of the release over several audits.

    Returns
    -------
    str
        The page. Every value in it is escaped; its policy lets the browser run no script but the page's own, and load
        nothing from anywhere.
    """
    style, script = asset(STYLE), scripts()
    policy = (
        f"default-src 'none'; img-src data:; style-src '{digest(style)}'; script-src '{digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    own = {"style": own_markup(style), "script": own_markup(script)}
    return page(report, policy, **own, sources=inline(pictures or {}), trend=trend)


def scripts() -> str:
    """All script of the page."""
    return f"{asset(SCRIPT)}{asset(REVIEW)}"


def page(
    report: Report,
    policy: str,
    *,
    style: Any = None,
    script: Any = None,
    sources: Mapping[str, str] | None = None,
    trend: Trend | None = None,
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
    trend : Trend, optional
        What became of the release over several audits.

    Returns
    -------
    str
        The page.
    """
    return template("crlm_qc.report.html", "report.html.j2", anchor=anchor).render(
        report=report,
        view=View(report),
        trend=trend,
        courses=courses(trend),
        albums=albums(report, sources or {}),
        roles=roles(report.pictures),
        pictured=pictured(report),
        words=words,
        fit_glyphs=GLYPHS,
        summary=summary,
        behind=behind,
        followers=followers,
        schema_version=SCHEMA_VERSION,
        no_patient=NO_PATIENT,
        many=MANY_ROWS,
        max_named=plots.MAX_NAMED,
        most_patients=MAX_PATIENTS,
        policy=policy,
        style=style,
        script=script,
        style_file=STYLE,
        script_file=SCRIPT,
    )
