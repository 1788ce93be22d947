"""Annotations of a run of GitHub Actions: workflow commands, one for the cases that a rule names, gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crlm_qc.model.cases import CaseGroup, open_cases
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.severity import Severity
from crlm_qc.model.standing import State
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
        At most ten `::error` and ten `::warning` lines, one for the cases that a rule names; where there are more, the tenth says how many are
        not shown. A `::notice` with the verdict comes last.
    """
    groups = open_cases(report)
    errors, warnings = (
        [_of_group(report, group) for group in groups if group.severity is level]
        for level in (Severity.ERROR, Severity.WARNING)
    )
    errors = [*_incomplete(report), *errors]
    lines = [_command("error", one) for one in _cut(errors, "errors")]
    lines += [_command("warning", one) for one in _cut(warnings, "warnings")]
    since = f"\n{words.since(report)}." if report.baseline is not None else ""
    lines.append(_command("notice", _Annotation("crlm-qc", f"{words.sentence(report)}.{since}")))
    return "\n".join(lines) + "\n"


def _incomplete(report: Report) -> list[_Annotation]:
    crashed = [f"{one.rule} crashed: {one.reason}" for one in report.outcomes if one.status is Status.ERRORED]
    told = [*report.limits, *crashed]
    return [_Annotation("Not everything could be checked", "\n".join(told[:MAX_NAMED]))] if told else []


def _of_group(report: Report, group: CaseGroup) -> _Annotation:
    text, leads = report.text(group.rule), [case.lead for case in group.cases]
    here, away = words.touched(report, leads)
    who = f": {words.listing([*here, *away], MAX_NAMED)}" if here or away else ""
    if new := len([one for one in leads if one.baseline is not None and one.baseline.state is State.NEW]):
        who += f"; {new:,} new"
    comes_to = words.comes_to(report, group)
    first = group.cases[0]
    details = words.expected_observed(first.lead)
    lines = [
        words.counted(report, group) + who,
        *([comes_to.capitalize()] if comes_to else []),
        f"{first.lead.message}{f' ({details})' if details else ''}",
        *(f"So {one.rule}: {one.message}" for one in first.followers[:MAX_NAMED]),
        f"What to do: {text.fix}",
    ]
    return _Annotation(f"{group.rule} {text.title}", "\n".join(lines))


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
