"""The report of an audit: the one model that every format is rendered from."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from crlm_qc.model.cohort import Cohort, cohort_for
from crlm_qc.model.facts import ExitCode, PatientFacts, RuleText, ToleranceText
from crlm_qc.model.finding import FINGERPRINT_LENGTH, Case, Finding
from crlm_qc.model.fitness import PURPOSE_NAME, PurposeText
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.picture import PATH_DATA, PICTURE_FILE, Picture
from crlm_qc.model.plain import MAX_TEXT, PlainError, cut, from_plain, to_plain
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.waivers import WaiverUse
from crlm_qc.model.wholeness import Wholeness

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ExitCode",
    "Figure",
    "PatientFacts",
    "ReleaseFacts",
    "Report",
    "RuleText",
    "Run",
    "ToleranceText",
    "Verdict",
]

SCHEMA_VERSION = 1

_CODE = re.compile(r"[A-Z]{3}[0-9]{3}")
_FINGERPRINT = re.compile(rf"[0-9a-f]{{{FINGERPRINT_LENGTH}}}")


class Verdict(StrEnum):
    """What the audit came to."""

    CONFORMANT = "conformant"
    NOT_CONFORMANT = "not conformant"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Figure:
    """A published figure beside the observed one."""

    measure: str
    """What it is of: `patients`, `ct_slices`, `liver_ml`, `sex` ...; those of one patient as `PatientFacts` has them."""
    part: str
    """`total`, `min`, `median` or `max`; for counts by value, the value."""
    published: float
    observed: float | None
    """None if nothing was there to observe."""
    tolerance: float = 0.0
    """Largest difference that counts as none, in the figure's own unit."""

    def __post_init__(self) -> None:
        """Hold nothing that JSON has no number for.

        Raises
        ------
        ValueError
            What was published, or the tolerance, is no finite number.
        """
        if not (math.isfinite(self.published) and math.isfinite(self.tolerance)):
            raise ValueError(f"figure {self.measure} {self.part} is published without a number")
        if self.observed is not None and not math.isfinite(self.observed):
            object.__setattr__(self, "observed", None)

    @property
    def difference(self) -> float | None:
        """Observed less published."""
        return None if self.observed is None else self.observed - self.published

    @property
    def agrees(self) -> bool | None:
        """Whether they differ by no more than the tolerance; None if nothing was observed."""
        # A bound such as 7.5 * 1.005 is no exact float: a billionth of it is no difference.
        slack = self.tolerance + 1e-9 * abs(self.published)
        return None if self.difference is None else abs(self.difference) <= slack


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What a run took from the cache."""

    patients: int
    """Patients whose files were not read, since they were as an earlier run had found them."""
    read: int
    """Patients whose files were."""
    oldest: str
    """Day on which the first of the former was read, as 2026-11-20, UTC."""


@dataclass(frozen=True, slots=True)
class Run:
    """When and with what an audit ran: what is not the same for equal input, so that findings.json has none of it."""

    started: str
    """Day and minute, UTC."""
    seconds: float | None
    """How long it took; None where the output is to be reproducible."""
    versions: Mapping[str, str]
    """Versions of Python and of the libraries, by name."""
    system: str
    """Family of the operating system."""
    cache: CacheUse | None = None
    """None where everything was read."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The earlier audit that a report is compared with, and what became of its findings."""

    name: str
    """What it is called, as in `the audit of 2026-11-20 09:14 UTC`."""
    tool_version: str
    summary: Mapping[str, int]
    """Findings of either audit by state, every state named."""
    gone: Sequence[Finding] = ()
    """What the baseline had and this audit has not: fixed, or not checked again."""


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
    licence: str = ""
    """Under which the collection is published."""


@dataclass(frozen=True)
class Report:
    """Everything that an audit came to. But for `run`, the same input gives an equal report, whenever and wherever it runs."""

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
    figures: Sequence[Figure] = ()
    """Published figures beside the observed ones."""
    pictures: Sequence[Picture] = ()
    """By patient, in the order that they are shown; their files lie in a folder of their own."""
    picture_notes: tuple[str, ...] = ()
    """Why there are no pictures, or fewer or smaller ones than there could be, in words."""
    waivers: Sequence[WaiverUse] = ()
    """Every waiver of this audit, and what became of it."""
    wholeness: Wholeness | None = None
    """Whether the download is whole; None where no list tells."""
    purposes: Sequence[PurposeText] = ()
    """What patients can be judged for; empty where an earlier version does not say."""
    cases: Sequence[Case] = ()
    """Findings that follow from one cause, in the order that they are told; empty where an earlier version does not say."""
    baseline: Baseline | None = None
    """What it is compared with, if anything."""
    run: Run | None = field(default=None, compare=False)
    """None where it is not known."""
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
    def open_cases(self) -> int:
        """How many cases count: those with a finding that is not waived, and each such finding that is in none."""
        counted = [finding.fingerprint for finding in self.findings if finding.waived is None]
        known = {name for case in self.cases for name in case.findings}
        there = set(counted)
        alone = sum(name not in known for name in counted)
        return alone + sum(any(name in there for name in case.findings) for case in self.cases)

    @property
    def incomplete(self) -> bool:
        """Whether something that was asked for could not be checked."""
        return bool(self.limits) or any(outcome.incomplete for outcome in self.outcomes)

    @property
    def empty(self) -> bool:
        """Whether there was nothing to check: no image of a patient in a folder, no table where tables alone were asked for, or no rule that could look at them."""
        looked = any(outcome.status is not Status.SKIPPED for outcome in self.outcomes)
        # Who asks for tables alone names them: no file is listed then.
        there = self.release.series if self.release.files else self.release.patients or self.release.tables
        return not looked or not there

    @property
    def verdict(self) -> Verdict:
        """Not conformant with an open error of the data (a crash is none); else incomplete where not all was or could be checked."""
        about_the_audit = {text.code for text in self.rules if text.kind == "audit"}
        if any(
            finding.severity is Severity.ERROR and finding.waived is None and finding.rule not in about_the_audit
            for finding in self.findings
        ):
            return Verdict.NOT_CONFORMANT
        if self.incomplete or self.empty or self.settings.narrowed or not self.release.patients:
            return Verdict.INCOMPLETE
        return Verdict.CONFORMANT

    def fails(self, finding: Finding, fail_on: Severity | None, *, new_alone: bool = False) -> bool:
        """Whether a finding makes the audit fail.

        Parameters
        ----------
        finding : Finding
            One of the report.
        fail_on : Severity or None
            Mildest severity that fails; None for never.
        new_alone : bool
            Whether only what is worse than the baseline fails; without a baseline, everything does.
        """
        if fail_on is None or finding.waived is not None:
            return False
        if new_alone and finding.baseline is not None:
            return finding.baseline.regressed(finding.severity, fail_on)
        return finding.severity.at_least(fail_on)

    def exit_code(
        self,
        fail_on: Severity | None = Severity.ERROR,
        *,
        allow_incomplete: bool = False,
        new_alone: bool = False,
    ) -> ExitCode:
        """The exit code that the command line gives for this report.

        Parameters
        ----------
        fail_on : Severity or None
            Mildest severity that fails; None for never.
        allow_incomplete : bool
            Judge by the findings alone, even if something could not be checked.
        new_alone : bool
            Whether only what is worse than the baseline fails; without a baseline, everything does.
        """
        if self.empty:
            return ExitCode.NOTHING
        if self.incomplete and not allow_incomplete:
            return ExitCode.INCOMPLETE
        if any(self.fails(finding, fail_on, new_alone=new_alone) for finding in self.findings):
            return ExitCode.FINDINGS
        return ExitCode.CLEAN

    def text(self, code: str) -> RuleText:
        """What the report says of a rule."""
        return next(item for item in self.rules if item.code == code)

    def to_frame(self) -> pd.DataFrame:
        """All findings as a table of pandas, gravest first.

        Returns
        -------
        pandas.DataFrame
            A row a finding; `crlm_qc.model.frames.FINDINGS` tells the columns and their types. Where a finding has no
            value, it is missing (`pandas.isna`).
        """
        from crlm_qc.model.frames import findings_frame

        return findings_frame(self)

    def patients_frame(self) -> pd.DataFrame:
        """The patients as a table of pandas: figures, findings by severity, and the verdict for each purpose.

        Returns
        -------
        pandas.DataFrame
            A row a patient, whose ID is the index `patient`: the figures of `PatientFacts` (counts as Int64, mm, mL, mm3 and
            HU as float64, texts as string); `errors`, `warnings` and `infos`, its findings that are not waived; and a
            categorical column a purpose, ordered from `left out` to `usable`, so that they compare.
        """
        from crlm_qc.model.frames import patients_frame

        return patients_frame(self)

    def cohort(self, purpose: str | tuple[str, ...] = "segmentation", *, strict: bool = False) -> Cohort:
        """Every patient with its verdict for a purpose, and the findings behind it.

        Parameters
        ----------
        purpose : str or tuple of str
            Name of a purpose, such as `segmentation` or `lesion-counts`; of several, the worst verdict holds.
        strict : bool
            Whether those that need care are left out too.

        Returns
        -------
        crlm_qc.model.cohort.Cohort
            `used` and `excluded` are patients, each with `patient`, `fit` and `reasons`.

        Raises
        ------
        crlm_qc.model.errors.UsageError
            There is no such purpose, or an earlier version made the report, which says nothing of purposes: then
            `crlm_qc.cohort` judges it by what rules declare today.
        """
        return cohort_for(self, (purpose,) if isinstance(purpose, str) else purpose, strict=strict)

    def _repr_html_(self) -> str:
        """What a notebook shows: verdict, counts, usable patients, and the rules with most findings."""
        from crlm_qc.model.frames import html

        return html(self)

    def as_dict(self) -> dict[str, Any]:
        """The content of findings.json."""
        known = {} if self.wholeness is None else {"wholeness": to_plain(self.wholeness)}
        compared = {} if self.baseline is None else {"baseline": to_plain(self.baseline)}
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "crlm-qc", "version": self.tool_version},
            "release": to_plain(self.release),
            **known,
            **compared,
            "settings": to_plain(self.settings),
            "summary": {**self.counts, "verdict": self.verdict.value, "cases": self.open_cases},
            "limits": list(self.limits),
            "outcomes": to_plain(self.outcomes),
            "findings": to_plain(self.findings),
            "figures": to_plain(self.figures),
            "patients": to_plain(self.patients),
            "pictures": to_plain(self.pictures),
            "picture_notes": list(self.picture_notes),
            "waivers": to_plain(self.waivers),
            "rules": to_plain(self.rules),
            "purposes": to_plain(self.purposes),
            "cases": to_plain(self.cases),
        }

    @classmethod
    def from_dict(cls, raw: object) -> Report:
        """A report from the content of findings.json: the inverse of `as_dict`.

        Parameters
        ----------
        raw : object
            What JSON gave; keys that later versions may add are left out, and texts are cut at `MAX_TEXT` characters.

        Returns
        -------
        Report
            It renders to the bytes that the report rendered to which was saved.

        Raises
        ------
        PlainError
            It is no findings.json that this version can read; the message says why, and shows no value.
        """
        if not isinstance(raw, dict) or "schema_version" not in raw:
            raise PlainError("it has no schema_version")
        if raw["schema_version"] != SCHEMA_VERSION or isinstance(raw["schema_version"], bool):
            raise PlainError(f"its schema_version is not {SCHEMA_VERSION}, which is what this crlm-qc reads")
        if "rules" not in raw:
            raise PlainError("it has no rules: an earlier crlm-qc wrote it, so check the release again")
        raw = {key: _short(value, whole="path" if key == "pictures" else "") for key, value in raw.items()}
        tool = from_plain(Mapping[str, str], raw.get("tool"), "tool")
        report: Report = from_plain(
            cls,
            {
                **raw,
                "run": None,
                "tool_version": tool.get("version"),
                "findings": _findings(raw.get("findings")),
                "baseline": _baseline(raw.get("baseline")),
            },
        )
        known = {item.code for item in report.rules}
        if not all(map(_CODE.fullmatch, known)):
            raise PlainError("a code under rules is not of the form ABC123")
        if not all(PURPOSE_NAME.fullmatch(one.name) for one in report.purposes):
            raise PlainError("a name under purposes is not of small letters, digits and hyphens")
        every = [*report.findings, *(report.baseline.gone if report.baseline else ())]
        if not all(_FINGERPRINT.fullmatch(finding.fingerprint) for finding in every):
            raise PlainError("a fingerprint under findings is not of 12 hexadecimal digits")
        if not all(_FINGERPRINT.fullmatch(name) for one in report.cases for name in (one.fingerprint, *one.findings)):
            raise PlainError("a fingerprint under cases is not of 12 hexadecimal digits")
        if not all(_CODE.fullmatch(finding.rule) for finding in every):
            raise PlainError("a rule under findings is not of the form ABC123")
        named = {outcome.rule for outcome in report.outcomes} | {finding.rule for finding in report.findings}
        named |= {case.rule for case in report.cases}
        if not named <= known:
            raise PlainError("rules does not describe every rule that outcomes, findings and cases name")
        if not all(one.file is None or PICTURE_FILE.fullmatch(one.file) for one in report.pictures):
            raise PlainError("a file under pictures is not of the form NAME.webp")
        drawn = [contour.path for one in report.pictures for contour in one.contours]
        drawn += [hatch.path for one in report.pictures for hatch in one.hatches]
        if not all(map(PATH_DATA.fullmatch, drawn)):
            raise PlainError("a path under pictures is not one of closed lines")
        return report


_MAX_PATH = 4_096
"""Characters of a path that systems open."""


def _short(raw: Any, key: str = "", *, whole: str = "") -> Any:
    """Plain values whose texts are no longer than a report says them, but for those of one key."""
    if isinstance(raw, str):
        return raw if whole and key == whole else cut(raw, _MAX_PATH if key == "path" else MAX_TEXT)
    if isinstance(raw, list):
        return [_short(item, key, whole=whole) for item in raw]
    if isinstance(raw, dict):
        return {name: _short(item, name, whole=whole) for name, item in raw.items()}
    return raw


def _baseline(raw: Any) -> Any:
    """The baseline with its findings as those of the report."""
    return {**raw, "gone": _findings(raw["gone"])} if isinstance(raw, dict) and "gone" in raw else raw


def _findings(given: Any) -> Any:
    """The findings with the reason of a waiver where `Finding` has it."""
    if not isinstance(given, list):
        return given
    return [
        {**item, "waived": waived["reason"]}
        if isinstance(item, dict) and isinstance(waived := item.get("waived"), dict) and "reason" in waived
        else item
        for item in given
    ]
