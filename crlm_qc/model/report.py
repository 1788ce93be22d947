"""The report of an audit: the one model that every format is rendered from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """What the audit came to."""

    CONFORMANT = "conformant"
    NOT_CONFORMANT = "not conformant"
    INCOMPLETE = "incomplete"


class ExitCode(IntEnum):
    """Exit codes of every command; the highest of 70, 2, 4, 3, 1 wins."""

    CLEAN = 0
    FINDINGS = 1
    """Findings at or above `--fail-on`."""
    USAGE = 2
    INCOMPLETE = 3
    """Something that was asked for could not be checked: a rule crashed, a decoder is missing."""
    NOTHING = 4
    """Nothing there to check."""
    BUG = 70
    """A bug of ours."""


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a report says of a rule, so that no renderer needs the rule itself."""

    code: str
    slug: str
    kind: str
    severity: Severity
    title: str
    why: str
    fix: str
    source: str

    @property
    def family(self) -> str:
        """The three letters that the code begins with."""
        return self.code[:3]


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """Figures of one patient that a report shows."""

    patient: str
    ct_slices: int | None
    spacing_mm: float | None
    segments: int | None
    liver_ml: float | None
    tumour_ml: float | None


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What was audited."""

    root: str
    layout: str
    patients: int
    series: int
    files: int
    bytes: int
    ct_slices: int
    tables: tuple[str, ...]
    """Paths of the tables and lists that were read: metadata.csv, workbook, manifest."""
    workbook_edition: str | None
    workbook_lacks: tuple[str, ...]
    """Columns that other editions have and this one has not."""
    collection: str
    doi: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "root": self.root,
            "layout": self.layout,
            "patients": self.patients,
            "series": self.series,
            "files": self.files,
            "bytes": self.bytes,
            "ct_slices": self.ct_slices,
            "tables": list(self.tables),
            "workbook_edition": self.workbook_edition,
            "workbook_lacks": list(self.workbook_lacks),
            "collection": self.collection,
            "doi": self.doi,
        }


@dataclass(frozen=True)
class Report:
    """Everything that an audit came to. The same input gives an equal report, whenever and wherever it runs."""

    tool_version: str
    release: ReleaseFacts
    settings: Settings
    rules: Sequence[RuleText]
    outcomes: Sequence[Outcome]
    """One a rule that was asked for, in the order of the codes."""
    findings: Sequence[Finding]
    """Gravest first."""
    patients: Sequence[PatientFacts] = ()
    limits: tuple[str, ...] = ()
    """What was not read though it was asked for, in words."""
    _counts: Counter[Severity] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Count the findings that are not waived."""
        counts = Counter(finding.severity for finding in self.findings if finding.waived is None)
        object.__setattr__(self, "_counts", counts)

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity, and the waived ones apart."""
        waived = sum(finding.waived is not None for finding in self.findings)
        return {**{level.value: self._counts[level] for level in Severity}, "waived": waived}

    @property
    def incomplete(self) -> bool:
        """Whether something that was asked for could not be checked."""
        return bool(self.limits) or any(outcome.incomplete for outcome in self.outcomes)

    @property
    def empty(self) -> bool:
        """Whether there was nothing to check: no patient and no table, or no rule that could look at them."""
        looked = any(outcome.status is not Status.SKIPPED for outcome in self.outcomes)
        return not looked or not (self.release.patients or self.release.tables)

    @property
    def verdict(self) -> Verdict:
        """Not conformant with an open error; else incomplete where not all was or could be checked."""
        if self._counts[Severity.ERROR]:
            return Verdict.NOT_CONFORMANT
        if self.incomplete or self.empty or self.settings.narrowed or not self.release.patients:
            return Verdict.INCOMPLETE
        return Verdict.CONFORMANT

    def exit_code(self, fail_on: Severity | None = Severity.ERROR) -> ExitCode:
        """The exit code that the command line gives for this report.

        Parameters
        ----------
        fail_on : Severity or None
            Mildest severity that fails; None for never.
        """
        if self.empty:
            return ExitCode.NOTHING
        if self.incomplete:
            return ExitCode.INCOMPLETE
        if fail_on and any(count and level.at_least(fail_on) for level, count in self._counts.items()):
            return ExitCode.FINDINGS
        return ExitCode.CLEAN

    def text(self, code: str) -> RuleText:
        """What the report says of a rule."""
        return next(item for item in self.rules if item.code == code)

    def as_dict(self) -> dict[str, Any]:
        """The content of findings.json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "crlm-qc", "version": self.tool_version},
            "release": self.release.as_dict(),
            "settings": self.settings.as_dict(),
            "summary": {**self.counts, "verdict": self.verdict.value},
            "limits": list(self.limits),
            "outcomes": [outcome.as_dict() for outcome in self.outcomes],
            "findings": [finding.as_dict() for finding in self.findings],
        }
