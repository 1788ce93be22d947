"""Cases: findings that follow from one cause, and what they come to for who uses the release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crlm_qc.model.finding import FIRST, Case, Finding
from crlm_qc.model.fitness import NOTHING
from crlm_qc.model.report import Report, RuleText
from crlm_qc.model.severity import Severity


class Consequence(StrEnum):
    """What becomes of who uses the release as it is, the worst first."""

    SHARING = "must not be shared"
    SILENT = "wrong in silence"
    MISSING = "missing or not as published"
    CARE = "to be used with care"
    PAPERWORK = "paperwork"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Consequence).index(self)


SHARING, COMPLETENESS = "sharing", "completeness"
"""Purposes for which it is no matter what the values are."""


@dataclass(frozen=True)
class OpenCase:
    """A case with the findings of it that count."""

    case: Case
    findings: Sequence[Finding]
    """Not waived: that of the cause first if it is among them."""
    consequence: Consequence

    @property
    def lead(self) -> Finding:
        """The finding that stands for the case."""
        return self.findings[0]

    @property
    def severity(self) -> Severity:
        """The gravest."""
        return min((one.severity for one in self.findings), key=lambda level: level.rank)

    @property
    def followers(self) -> Sequence[Finding]:
        """What follows from it."""
        return self.findings[1:]


@dataclass(frozen=True)
class CaseGroup:
    """Cases that are named by one rule, and come to the same: the same thing to do, in one patient or in many."""

    cases: Sequence[OpenCase]

    @property
    def rule(self) -> str:
        """The code of the rule that names them."""
        return self.cases[0].lead.rule

    @property
    def severity(self) -> Severity:
        """The gravest of their findings."""
        return self.cases[0].severity

    @property
    def consequence(self) -> Consequence:
        """What they come to."""
        return self.cases[0].consequence

    @property
    def findings(self) -> list[Finding]:
        """All of them, case by case."""
        return [finding for case in self.cases for finding in case.findings]

    def extent(self, patients: int) -> int:
        """How many patients they are about; what names none is about all."""
        named = {case.lead.patient for case in self.cases}
        return patients if None in named else len(named)


def consequence(finding: Finding, rule: RuleText | None, *, set_by_user: bool = False) -> Consequence:
    """What a finding comes to, by what its rule says that it spoils.

    Parameters
    ----------
    finding : Finding
        The finding; one that its rule itself calls milder comes to less.
    rule : RuleText or None
        The rule.
    set_by_user : bool
        Whether the severity was set by the user, so that it says nothing of this finding.
    """
    spoils = NOTHING if rule is None or rule.spoils is None else rule.spoils
    out, care = set(spoils.out), set(spoils.care)
    if rule is not None and not set_by_user and finding.severity.rank > rule.severity.rank:
        out, care = set(), out
    if SHARING in out:
        return Consequence.SHARING
    if COMPLETENESS in out:
        return Consequence.MISSING
    if out:
        return Consequence.SILENT
    return Consequence.CARE if care - {COMPLETENESS} else Consequence.PAPERWORK


def open_cases(report: Report) -> list[CaseGroup]:
    """The cases that count, in the order of every format that people read.

    Parameters
    ----------
    report : Report
        An audit. A finding that it knows no case of, as in one that an earlier version saved, is a case by itself.

    Returns
    -------
    list of CaseGroup
        By consequence, severity and how many patients they are about; where no image was audited, that comes first.
    """
    rules = {one.code: one for one in report.rules}
    found = [
        OpenCase(case, left, min((_of(one, rules, report) for one in left), key=lambda one: one.rank))
        for case, findings in _resolved(report)
        if (left := [one for one in findings if one.waived is None])
    ]
    return grouped(found, report.release.patients)


def grouped(cases: Iterable[OpenCase], patients: int) -> list[CaseGroup]:
    """Cases by rule and what they come to, in the order of every format.

    Parameters
    ----------
    cases : iterable of OpenCase
        Cases of one report.
    patients : int
        How many patients the release has.
    """
    groups: dict[tuple[str, Severity, Consequence], list[OpenCase]] = {}
    for case in cases:
        groups.setdefault((case.lead.rule, case.severity, case.consequence), []).append(case)
    every = [CaseGroup(sorted(group, key=lambda case: case.lead.sort_key)) for group in groups.values()]
    return sorted(
        every,
        key=lambda one: (one.rule != FIRST, one.consequence.rank, one.severity.rank, -one.extent(patients), one.rule),
    )


def alone(finding: Finding) -> Case:
    """A case of one finding."""
    return Case(finding.fingerprint, finding.rule, finding.patient, finding.message, (finding.fingerprint,))


def _of(finding: Finding, rules: Mapping[str, RuleText], report: Report) -> Consequence:
    return consequence(finding, rules.get(finding.rule), set_by_user=finding.rule in report.settings.severity)


def _resolved(report: Report) -> Iterable[tuple[Case, list[Finding]]]:
    """Each case with its findings that the report has, and each finding that is in none by itself."""
    # An earlier version may have given two findings one fingerprint.
    by_name: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_name.setdefault(finding.fingerprint, []).append(finding)
    for case in report.cases:
        mine = [one for name in case.findings for one in by_name.pop(name, ())]
        if mine:
            yield case, mine
    for left in by_name.values():
        for finding in left:
            yield alone(finding), [finding]
