"""A report as tables of pandas, and as what a notebook shows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from crlm_qc.model.cohort import Judge, Judged
from crlm_qc.model.facts import PatientFacts
from crlm_qc.model.finding import Finding
from crlm_qc.model.fitness import Fit
from crlm_qc.model.severity import Severity
from crlm_qc.model.words import plural

if TYPE_CHECKING:
    import pandas as pd

TEXT, WHOLE, SEVERITY = "string", "Int64", "category"
FINDINGS: Mapping[str, str] = {
    "rule": TEXT,
    "title": TEXT,
    "severity": SEVERITY,
    "patient": TEXT,
    "kind": TEXT,
    "path": TEXT,
    "uid": TEXT,
    "segment": WHOLE,
    "row": WHOLE,
    "column": TEXT,
    "message": TEXT,
    "expected": TEXT,
    "observed": TEXT,
    "count": WHOLE,
    "waived": TEXT,
    "fingerprint": TEXT,
}
"""Columns of the findings and their types; severities are ordered from info to error, so that they compare."""
_FIGURES = {"int": WHOLE, "float": "float64", "str": TEXT}
MOST_RULES = 8
"""Rules that a notebook shows."""


class Told(Judged, Protocol):
    """A report, as far as it is shown here."""

    @property
    def verdict(self) -> str:
        """As a report has it."""

    @property
    def counts(self) -> dict[str, int]:
        """As a report has it."""


def findings_frame(report: Judged) -> pd.DataFrame:
    """The findings of a report: see `Report.to_frame`."""
    titles = {rule.code: rule.title for rule in report.rules}
    return _frame([_row(one, titles[one.rule]) for one in report.findings], FINDINGS)


def _row(finding: Finding, title: str) -> dict[str, Any]:
    about = finding.subject
    subject = {
        "kind": about.kind.value,
        **{key: getattr(about, key) for key in ("path", "uid", "segment", "row", "column")},
    }
    own = {name: getattr(finding, name) for name in FINDINGS if name not in (*subject, "title")}
    return {**own, **subject, "title": title, "severity": finding.severity.value}


def patients_frame(report: Judged) -> pd.DataFrame:
    """The patients of a report: see `Report.patients_frame`."""
    import pandas as pd

    types = {item.name: _FIGURES[str(item.type).partition(" ")[0]] for item in fields(PatientFacts)}
    frame = _frame([{name: getattr(one, name) for name in types} for one in report.patients], types)
    open_ones = Counter((one.patient, one.severity) for one in report.findings if one.waived is None)
    for severity in Severity:
        counts = [open_ones[one.patient, severity] for one in report.patients]
        frame[f"{severity.value}s"] = pd.array(counts, dtype="Int64")
    worst_first = pd.CategoricalDtype([fit.value for fit in reversed(Fit)], ordered=True)
    judge = Judge(report)
    for purpose in report.purposes:
        fits = {one.patient: one.fit.value for one in judge.cohort([purpose.name]).patients}
        frame[purpose.name] = pd.Categorical([fits[one.patient] for one in report.patients], dtype=worst_first)
    return frame.set_index("patient")


def _frame(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a table whose types are the same whatever it holds, nothing too."""
    import pandas as pd

    # Of the two ways that pandas keeps texts the one that needs no pyarrow, whose import takes long.
    known = {
        TEXT: pd.StringDtype("python"),
        SEVERITY: pd.CategoricalDtype([severity.value for severity in reversed(Severity)], ordered=True),
    }
    columns = {name: [row[name] for row in rows] for name in types}
    return pd.DataFrame({name: pd.Series(columns[name], dtype=known.get(kind, kind)) for name, kind in types.items()})


def html(report: Told) -> str:
    """A report in short for a notebook: HTML without script, style sheet or anything from elsewhere.

    Parameters
    ----------
    report : Report
        Its texts, which come from files, are escaped.

    Returns
    -------
    str
        A few lines, however many findings there are.
    """
    counts = report.counts
    found = [plural(counts[level.value], level.value if level is not Severity.INFO else "note") for level in Severity]
    waived = f", {counts['waived']:,} waived" if counts["waived"] else ""
    said = f"<strong>{escape(str(report.verdict))}</strong>: {', '.join(found)}{waived}"
    where = f"{escape(report.release.root)}, {plural(report.release.patients, 'patient')}"
    parts = [
        f"<p>{said}<br>{where}</p>",
        _table("Patients to use", ("purpose", "usable", "with care", "left out", "not judged"), _purposes(report)),
        _table("Findings by rule", ("rule", "title", "findings", "patients"), _rules(report)),
    ]
    parts += [f"<p>Not read: {plural(len(report.limits), 'place')}</p>"] if report.limits else []
    return f"<div>{''.join(parts)}</div>"


def _purposes(report: Judged) -> list[tuple[str, ...]]:
    if not report.patients:
        return []
    judge = Judge(report)
    counts = [(one.name, judge.cohort([one.name]).counts) for one in report.purposes]
    shown = (Fit.USABLE, Fit.CARE, Fit.OUT, Fit.UNKNOWN)
    return [(name, *(f"{count[fit]:,}" for fit in shown)) for name, count in counts]


def _rules(report: Judged) -> Sequence[tuple[str, ...]]:
    """Rules with findings that are not waived, in the order of the report; how many are left out is said last."""
    titles = {rule.code: rule.title for rule in report.rules}
    found: dict[str, list[Finding]] = {}
    for one in report.findings:
        if one.waived is None:
            found.setdefault(one.rule, []).append(one)
    rows = [
        (code, titles[code], f"{len(ones):,}", f"{len({one.patient for one in ones if one.patient}):,}")
        for code, ones in found.items()
    ]
    rest = rows[MOST_RULES:]
    more = [("", f"{plural(len(rest), 'more rule')}: report.to_frame() has all", "", "")] if rest else []
    return rows[:MOST_RULES] + more


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
