"""Rows of the page's table of findings: one each, or one for what is the same in most patients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crlm_qc.model.cases import CaseGroup
from crlm_qc.model.finding import Finding
from crlm_qc.model.words import plural

FEW = 5
"""Patients in fewer of whom nothing is told in one row."""


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    findings: Sequence[Finding]
    """One, or those that are the same in most patients."""
    cause: Finding | None
    """What the first follows from."""
    extent: str = ""
    """Where it is the same, in words; empty for one finding."""

    @property
    def first(self) -> Finding:
        """The one that the row tells."""
        return self.findings[0]

    @property
    def patients(self) -> list[str]:
        """Whom the findings are of, once each."""
        return list(dict.fromkeys(one.patient for one in self.findings if one.patient))

    @property
    def count(self) -> int:
        """How many instances, frames, rows or files share the fault."""
        return sum(one.count for one in self.findings)


def rows_of(findings: Iterable[Finding], groups: Iterable[CaseGroup], patients: int) -> list[Row]:
    """The rows of findings, in their order.

    Parameters
    ----------
    findings : iterable of Finding
        Those that the page lists.
    groups : iterable of CaseGroup
        The cases that count.
    patients : int
        How many patients the release has.
    """
    listed = list(findings)
    causes = {
        one.fingerprint: case.lead
        for group in groups
        for case in group.cases
        for one in case.followers
        if one.rule != group.rule
    }
    alike: dict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for finding in listed:
        if finding.patient:
            alike[_value(finding)].append(finding)
    rows: list[Row] = []
    told: set[tuple[object, ...]] = set()
    for finding in listed:
        value = _value(finding)
        same = alike.get(value, ())
        there = len({one.patient for one in same})
        if there < FEW or 2 * there <= patients:
            rows.append(Row([finding], causes.get(finding.fingerprint)))
        elif value not in told:
            told.add(value)
            extent = f"the same in {there:,} of {plural(max(there, patients), 'patient')}"
            rows.append(Row(same, causes.get(finding.fingerprint), extent))
    return rows


def followers(group: CaseGroup) -> Mapping[str, Sequence[Finding]]:
    """What rules other than theirs say of the causes of some cases, by rule."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for case in group.cases:
        for one in case.followers:
            if one.rule != group.rule:
                found[one.rule].append(one)
    return dict(found)


def _value(finding: Finding) -> tuple[object, ...]:
    """What is the same in findings of several patients."""
    said = finding.observed or finding.message
    state = finding.baseline.state if finding.baseline else None
    return finding.rule, finding.severity, finding.expected, said, finding.waived, finding.patient is None, state
