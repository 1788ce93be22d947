"""What changed from one report to another: findings compared by fingerprint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.plain import to_plain
from crlm_qc.model.report import Baseline, ExitCode, Report, RuleText
from crlm_qc.model.severity import Severity
from crlm_qc.model.standing import GONE, Standing, State

__all__ = ["Change", "Changes", "State", "compare", "with_baseline"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One finding, and what became of it."""

    state: State
    finding: Finding
    """As the new report has it; as the old one had it where the new one has it no more."""
    before: Finding | None = None
    """As the old report had it."""


@dataclass(frozen=True)
class Changes:
    """Two reports, and what changed from the old one to the new one."""

    old: Report
    new: Report
    changes: Sequence[Change]
    """By state, then gravest first."""

    @property
    def counts(self) -> dict[State, int]:
        """Findings by state, every state named."""
        counted = Counter(change.state for change in self.changes)
        return {state: counted[state] for state in State}

    def of(self, state: State) -> list[Change]:
        """Those of one state, gravest first."""
        return [change for change in self.changes if change.state is state]

    def text(self, code: str) -> RuleText:
        """What is said of a rule that either report has."""
        return next(item for item in (*self.new.rules, *self.old.rules) if item.code == code)

    def worse(self, fail_on: Severity | None = Severity.ERROR) -> list[Change]:
        """What is worse than before: new, no longer waived, or risen to the severity that counts.

        Parameters
        ----------
        fail_on : Severity or None
            Mildest severity that counts; None for none.
        """
        return [
            change
            for change in self.changes
            if fail_on and _standing(change).regressed(change.finding.severity, fail_on)
        ]

    @property
    def told(self) -> bool:
        """Whether both audits looked at anything, so that there is something to compare."""
        return not (self.old.empty or self.new.empty)

    def exit_code(self, fail_on: Severity | None = Severity.ERROR) -> ExitCode:
        """The exit code that the command line gives.

        Nothing new in an audit that could not check everything proves little, so that is no clean end. What was left
        out on purpose is told (`NOT_CHECKED`), and fails nothing.

        Parameters
        ----------
        fail_on : Severity or None
            Mildest severity that counts; None for none.
        """
        if not self.told:
            return ExitCode.NOTHING
        if self.new.incomplete:
            return ExitCode.INCOMPLETE
        return ExitCode.FINDINGS if self.worse(fail_on) else ExitCode.CLEAN

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "old": _about(self.old),
            "new": _about(self.new),
            "summary": {state.value: count for state, count in self.counts.items()},
            "changes": to_plain(self.changes),
        }


def compare(old: Report, new: Report) -> Changes:
    """Compare two reports.

    Parameters
    ----------
    old, new : Report
        Reports of the same release, or of two editions of it.

    Returns
    -------
    Changes
        One entry a finding of either report.
    """
    # What either was compared with itself is another story.
    before, after = (
        {finding.fingerprint: replace(finding, baseline=None) for finding in report.findings} for report in (old, new)
    )
    seen_before, seen_after = _Sight(old), _Sight(new)
    changes = [
        Change(_state(finding, before.get(mark), seen_before), finding, before.get(mark))
        for mark, finding in after.items()
    ]
    changes += [
        Change(State.FIXED if seen_after.sees(finding) else State.NOT_CHECKED, finding, finding)
        for mark, finding in before.items()
        if mark not in after
    ]
    order = list(State)
    changes.sort(key=lambda change: (order.index(change.state), change.finding.sort_key))
    return Changes(old, new, tuple(changes))


class _Sight:
    """What an audit looked at."""

    def __init__(self, report: Report) -> None:
        ran = (Status.PASSED, Status.FAILED)
        self._rules = {one.rule for one in report.outcomes if one.status in ran and not one.incomplete}
        self._settings = report.settings
        self._patients = {one.patient for one in report.patients}
        self._limits = report.limits

    def runs(self, rule: str) -> bool:
        return rule in self._rules

    def sees(self, finding: Finding) -> bool:
        """Whether the fault would have been found if it were still there."""
        if not (self.runs(finding.rule) and self.sees_patient(finding.patient)):
            return False
        # Where something could not be read, nobody knows what of the whole, or of patients who are gone, is mended.
        return not self._limits or finding.patient in self._patients

    def sees_patient(self, patient: str | None) -> bool:
        if patient is None:
            return not self._settings.patients
        if self._settings.partial and patient not in self._patients:
            return False
        # What could not be read names its patient in its path.
        return not any(patient in limit for limit in self._limits)


def _state(finding: Finding, before: Finding | None, seen_before: _Sight) -> State:
    if finding.waived is not None:
        return State.PERSISTING if before is not None and before.waived is not None else State.WAIVED
    if before is None:
        if not seen_before.runs(finding.rule):
            return State.NEW_RULE
        return State.NEW if seen_before.sees_patient(finding.patient) else State.NEWLY_CHECKED
    if before.waived is not None:
        return State.REOPENED
    same = (finding.observed, finding.count, finding.severity) == (before.observed, before.count, before.severity)
    return State.PERSISTING if same else State.CHANGED


def _standing(change: Change) -> Standing:
    before = change.before
    if before is None:
        return Standing(change.state)
    return Standing(change.state, before.severity, before.observed, before.count)


def with_baseline(report: Report, old: Report, name: str) -> Report:
    """A report whose findings say how they stand to an earlier audit.

    Parameters
    ----------
    report : Report
        The report.
    old : Report
        The earlier audit.
    name : str
        What the earlier audit is called, as in `the audit of 2026-11-20 09:14 UTC`.

    Returns
    -------
    Report
        The same findings in the same order, each with its `baseline`, and those that are gone beside them.
    """
    changes = compare(old, report)
    standing = {change.finding.fingerprint: _standing(change) for change in changes.changes}
    # Folders that are not to be named now may be named in what was saved then.
    hidden = report.settings.redact_paths and not old.settings.redact_paths
    gone = () if hidden else [change.finding for change in changes.changes if change.state in GONE]
    return replace(
        report,
        findings=tuple(replace(one, baseline=standing[one.fingerprint]) for one in report.findings),
        baseline=Baseline(
            name=name,
            tool_version=old.tool_version,
            summary={state.value: count for state, count in changes.counts.items()},
            gone=tuple(replace(one, baseline=standing[one.fingerprint]) for one in gone),
        ),
    )


def _about(report: Report) -> dict[str, Any]:
    return {
        "release": report.release.root,
        "version": report.tool_version,
        "incomplete": report.incomplete,
        "summary": {**report.counts, "verdict": report.verdict.value},
    }
