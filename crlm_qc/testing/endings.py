"""How a test ends, from what the report says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report
from crlm_qc.model.severity import Severity
from crlm_qc.model.waivers import UNUSED
from crlm_qc.report import words
from crlm_qc.testing.conformance import block, not_checked


class Ending(Enum):
    """How a test ends."""

    PASSED = "passed"
    FAILED = "failed"
    ACCEPTED = "accepted"
    """Nothing but waived findings: pytest's expected failure."""
    SKIPPED = "skipped"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Told:
    """How a test ends, and what it says."""

    ending: Ending
    said: str = ""
    aside: str = ""
    """Findings that fail nothing."""
    warning: str = ""
    """What pytest warns of, in one line."""
    findings: tuple[Finding, ...] = ()


class Verdicts:
    """Ends of tests, from a report."""

    def __init__(self, report: Report, fail_on: Severity | None, *, new_alone: bool = False) -> None:
        self._report = report
        self._new_alone = new_alone
        self._fail_on = fail_on
        self._outcomes = {one.rule: one for one in report.outcomes}
        self._of_rule: dict[str, list[Finding]] = defaultdict(list)
        self._of_patient: dict[tuple[str, str | None], list[Finding]] = defaultdict(list)
        for finding in report.findings:
            self._of_rule[finding.rule].append(finding)
            self._of_patient[finding.rule, finding.patient].append(finding)

    def of_release(self) -> Told:
        """Whether everything that was asked for could be read, and anything was there."""
        unchecked = not_checked(self._report)
        return Told(Ending.ERRORED, "\n".join(unchecked)) if unchecked else Told(Ending.PASSED)

    def of_rules(self, codes: Sequence[str], patient: str | None = None) -> Told:
        """How a test of these rules ends.

        Parameters
        ----------
        codes : sequence of str
            The rules.
        patient : str, optional
            Only findings on this patient; by default all.

        Returns
        -------
        Told
            Failed with an open finding that counts; else errored if a rule crashed, accepted if only waived findings
            stand there, skipped if none of the rules ran, and passed, with whatever milder findings there are.
        """
        found = [
            finding
            for code in codes
            for finding in (self._of_rule[code] if patient is None else self._of_patient[code, patient])
        ]
        found.sort(key=lambda one: one.sort_key)
        failing = [one for one in found if self._fails(one)]
        waived = [one for one in found if one.waived is not None]
        milder = [one for one in found if one.waived is None and one not in failing]
        aside = block(self._report, [*milder, *waived])
        warned = _line([one for one in milder if one.severity is not Severity.INFO])
        unchecked = [self._outcomes[code] for code in codes if self._outcomes[code].incomplete]
        told = tuple(found)
        if failing:
            return Told(
                Ending.FAILED, "\n".join([block(self._report, failing), *map(_why, unchecked)]), aside, warned, told
            )
        if unchecked:
            return Told(Ending.ERRORED, "\n".join([*map(_why, unchecked), aside]).rstrip(), findings=told)
        if waived and not milder:
            reasons = dict.fromkeys(words.clean(one.waived or "") for one in waived)
            return Told(Ending.ACCEPTED, f"waived: {'; '.join(reasons)}", aside, findings=told)
        skipped = [one for one in (self._outcomes[code] for code in codes) if one.status is Status.SKIPPED]
        if not found and len(skipped) == len(codes):
            return Told(Ending.SKIPPED, "; ".join(dict.fromkeys(words.clean(one.reason) for one in skipped)))
        return Told(Ending.PASSED, "", aside, warned, told)

    def _fails(self, finding: Finding) -> bool:
        if finding.waived is not None or self._fail_on is None:
            return False
        # A waiver that accepts nothing would hide the fault's return, so it must go; one of a known issue is a note.
        too_much = finding.rule == UNUSED and finding.severity.at_least(Severity.WARNING)
        return too_much or self._report.fails(finding, self._fail_on, new_alone=self._new_alone)


def _why(outcome: Outcome) -> str:
    return (
        f"{outcome.rule} {'crashed' if outcome.status is Status.ERRORED else 'not run'}: {words.clean(outcome.reason)}"
    )


def _line(findings: Sequence[Finding]) -> str:
    """Findings in one line: how many, of which rules, and the first of them."""
    if not findings:
        return ""
    first, codes = findings[0], words.listing(sorted({one.rule for one in findings}))
    more = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
    return words.clean(f"{codes}: {first.message}{more}")
