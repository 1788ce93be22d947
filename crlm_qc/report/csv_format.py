"""CSV: one row a finding, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from crlm_qc.model.finding import Finding
from crlm_qc.model.report import Report, RuleText
from crlm_qc.model.standing import GONE
from crlm_qc.report import words

COLUMNS = (
    "fingerprint",
    "rule",
    "title",
    "severity",
    "state",
    "waived",
    "patient",
    "kind",
    "path",
    "uid",
    "segment",
    "row",
    "column",
    "message",
    "expected",
    "observed",
    "count",
    "examples",
    "baseline",
)
"""Columns in their order, which never changes; new ones are added at the end."""

# A spreadsheet takes a cell that begins so for a formula, the full-width signs too (OWASP, CSV Injection).
_FORMULA = tuple(
    "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)


def render(report: Report) -> bytes:
    """Render the findings as comma-separated values.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    bytes
        UTF-8 without a byte order mark, as RFC 4180 has it: CRLF at the end of each line, a heading, quotes doubled.
        Text that a spreadsheet would take for a formula begins with an apostrophe. Findings that the baseline alone has
        come last, and their state is `gone`.
    """
    texts = {text.code: text for text in report.rules}
    found = [*report.findings, *(report.baseline.gone if report.baseline else ())]
    return table(COLUMNS, (_row(finding, texts.get(finding.rule)) for finding in found))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> bytes:
    """A heading and rows, written as `render` says."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(map(_cell, row) for row in rows)
    return sheet.getvalue().encode()


def _row(finding: Finding, text: RuleText | None) -> tuple[str | int | None, ...]:
    subject = finding.subject
    return (
        finding.fingerprint,
        finding.rule,
        None if text is None else text.title,
        words.WORDS[finding.severity],
        _state(finding),
        finding.waived,
        finding.patient,
        subject.kind.value,
        subject.path,
        subject.uid,
        subject.segment,
        subject.row,
        subject.column,
        finding.message,
        finding.expected,
        finding.observed,
        finding.count,
        "; ".join(finding.examples),
        None if finding.baseline is None else finding.baseline.state.value,
    )


def _state(finding: Finding) -> str:
    if finding.baseline is not None and finding.baseline.state in GONE:
        return "gone"
    return "open" if finding.waived is None else "waived"


def _cell(value: str | int | None) -> str | int:
    if value is None or isinstance(value, int):
        return "" if value is None else value
    # Some spreadsheets take white space off before they look.
    formula = value.lstrip(" ").startswith(_FORMULA)
    return f"'{words.clean(value)}" if formula else words.clean(value)
