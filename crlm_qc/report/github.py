"""Annotations of a run of GitHub Actions: workflow commands, one a rule, gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.severity import Severity
from crlm_qc.model.standing import State
from crlm_qc.model.words import plural
from crlm_qc.report import words

MOST = 10
"""Annotations of one level that GitHub shows of a step; it drops the rest without a word."""
MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class _Annotation:
    title: str
    message: str


def render(report: Report) -> str:
    """Render the open errors and warnings as workflow commands.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    str
        At most ten `::error` and ten `::warning` lines, one a rule; where there are more, the tenth says how many are
        not shown. A `::notice` with the verdict comes last.
    """
    found = words.open_findings(report)
    errors = [*_incomplete(report), *_rules(report, found, Severity.ERROR)]
    warnings = _rules(report, found, Severity.WARNING)
    lines = [_command("error", one) for one in _cut(errors, "errors")]
    lines += [_command("warning", one) for one in _cut(warnings, "warnings")]
    since = f"\n{words.since(report)}." if report.baseline is not None else ""
    lines.append(_command("notice", _Annotation("crlm-qc", f"{words.sentence(report)}.{since}")))
    return "\n".join(lines) + "\n"


def _incomplete(report: Report) -> list[_Annotation]:
    crashed = [f"{one.rule} crashed: {one.reason}" for one in report.outcomes if one.status is Status.ERRORED]
    told = [*report.limits, *crashed]
    return [_Annotation("Not everything could be checked", "\n".join(told[:MAX_NAMED]))] if told else []


def _rules(report: Report, findings: Sequence[Finding], level: Severity) -> list[_Annotation]:
    by_rule = groupby((one for one in findings if one.severity is level), key=lambda finding: finding.rule)
    annotations = [_of_rule(report, code, list(group)) for code, group in by_rule]
    annotations.sort(key=lambda pair: pair[0], reverse=True)
    return [annotation for _, annotation in annotations]


def _of_rule(report: Report, code: str, findings: Sequence[Finding]) -> tuple[int, _Annotation]:
    """How many patients a rule touches, and its annotation."""
    text = report.text(code)
    here, away = words.touched(report, findings)
    patients = [*here, *away]
    extent = plural(len(findings), "finding") + words.extent(report, findings)
    if patients:
        extent += f": {words.listing(patients, MAX_NAMED)}"
    first = findings[0]
    if new := len([one for one in findings if one.baseline is not None and one.baseline.state is State.NEW]):
        extent += f"; {new:,} new"
    details = words.expected_observed(first)
    lines = [extent, f"{first.message}{f' ({details})' if details else ''}", f"What to do: {text.fix}"]
    return len(patients), _Annotation(f"{code} {text.title}", "\n".join(lines))


def _cut(annotations: Sequence[_Annotation], what: str) -> list[_Annotation]:
    if len(annotations) <= MOST:
        return list(annotations)
    rest = annotations[MOST - 1 :]
    titles = "\n".join(one.title for one in rest)
    last = _Annotation(f"{len(rest)} more rules with {what} are not shown", f"They stand in findings.json:\n{titles}")
    return [*annotations[: MOST - 1], last]


def _command(level: str, annotation: _Annotation) -> str:
    message = "\n".join(words.clean(line) for line in annotation.message.split("\n"))
    title = _data(words.clean(annotation.title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
