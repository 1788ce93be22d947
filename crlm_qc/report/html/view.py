"""What the page shows, counted and ordered, so that the template only sets it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from crlm_qc.model.cases import CaseGroup, open_cases
from crlm_qc.model.cohort import Judge
from crlm_qc.model.family import FAMILIES, family_name
from crlm_qc.model.finding import Finding
from crlm_qc.model.fitness import Fit
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.plain import to_plain
from crlm_qc.model.report import Figure, PatientFacts, Report, RuleText, Verdict
from crlm_qc.model.severity import Severity
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.model.waivers import WaiverState, WaiverUse
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.html.plots import PairPlot, Plot, pair_plots, plots
from crlm_qc.report.html.rows import rows_of

MAX_ROWS = 5000
"""Findings that the page lists; the rest stand in findings.json, and the page says so."""
MAX_ROOM = 6_000_000
"""Bytes that the rows of findings take on the page."""
ROW_ROOM = 1_000
"""Bytes of a row without what is said in it."""
MAX_PATIENTS = 1_000
"""Patients that the page lists, the worst of them; the rest stand in findings.json, and the page says so."""
MANY_ROWS = 300
"""With more findings than this the browser lays out only those in sight."""
MAX_FIX_FIRST = 10
MAX_RERUN_PATIENTS = 12
"""Patients that the line to run a rule again names; with more it leaves them out."""
AUDIT = "audit"
"""Kind of the rules about the audit itself, whose findings no waiver accepts."""
NO_PATIENT = "-"
"""What stands for the release itself where the page filters by patient."""

_NOT_IN_ANCHOR = re.compile(r"[^A-Za-z0-9_.-]")


def anchor(text: str) -> str:
    """Text as part of an element's id: what could not stand in a link is replaced."""
    return _NOT_IN_ANCHOR.sub("-", text)


def _levels(findings: Iterable[Finding]) -> dict[str, int]:
    counts = Counter(finding.severity.value for finding in findings)
    return {level.value: counts[level.value] for level in Severity}


def _fitting(findings: Sequence[Finding]) -> list[Finding]:
    """As many findings, from the first, as the page has room for."""
    left = MAX_ROOM
    for number, finding in enumerate(findings[:MAX_ROWS]):
        said = (finding.message, finding.expected, finding.observed, finding.waived or "", finding.subject.path or "")
        left -= ROW_ROOM + sum(len(escape(text).encode("utf-8", "replace")) for text in (*said, *finding.examples))
        if left < 0:
            return list(findings[:number])
    return list(findings[:MAX_ROWS])


@dataclass(frozen=True)
class RuleView:
    """One rule, how it ended, and what of it counts."""

    text: RuleText
    outcome: Outcome
    findings: Sequence[Finding]
    """Those that are not waived."""
    waived: int
    patients: Sequence[str]
    """Patients of the release with an open finding of this rule."""

    @property
    def severity(self) -> Severity:
        """The gravest of its findings, else the rule's own."""
        return min((one.severity for one in self.findings), key=lambda level: level.rank, default=self.text.severity)

    @property
    def sign(self) -> str:
        """What decides its colour and glyph: its severity where it found something, else how it ended."""
        if self.outcome.status is Status.FAILED:
            return self.severity.value if self.findings else "waived"
        return self.outcome.status.value


@dataclass(frozen=True)
class FamilyView:
    """One family of rules."""

    code: str
    name: str
    rules: Sequence[RuleView]

    @property
    def statuses(self) -> dict[str, int]:
        """Rules by how they ended."""
        counts = Counter(rule.outcome.status.value for rule in self.rules)
        return {status.value: counts[status.value] for status in Status}

    @property
    def levels(self) -> dict[str, int]:
        """Open findings by severity."""
        return _levels(finding for rule in self.rules for finding in rule.findings)

    @property
    def patients(self) -> list[str]:
        """Patients with an open finding of this family."""
        return sorted({patient for rule in self.rules for patient in rule.patients})

    @property
    def quiet(self) -> bool:
        """Whether all its rules passed, so that its list may start folded."""
        return all(rule.outcome.status is Status.PASSED for rule in self.rules)

    @property
    def told(self) -> str:
        """How its rules ended, in words."""
        word = {**{status.value: words.STATUS_WORDS[status] for status in Status}, "failed": "with findings"}
        return ", ".join(f"{count} {word[status]}" for status, count in self.statuses.items() if count)

    @property
    def bar(self) -> list[tuple[str, float, float]]:
        """Shares of the family's rules by sign: sign, start and width in percent."""
        counts = Counter(rule.sign for rule in self.rules)
        parts, start = [], 0.0
        for sign in ("error", "errored", "warning", "info", "waived", "passed", "skipped"):
            if counts[sign]:
                width = 100 * counts[sign] / len(self.rules)
                parts.append((sign, round(start, 2), round(width, 2)))
                start += width
        return parts


@dataclass(frozen=True)
class PatientView:
    """One patient: its figures, and what of it counts."""

    patient: str
    facts: PatientFacts | None
    """None for a patient that no folder on disk belongs to."""
    findings: Sequence[Finding] = field(default=())

    @property
    def levels(self) -> dict[str, int]:
        """Open findings by severity."""
        return _levels(self.findings)

    @property
    def rules(self) -> list[tuple[Finding, int]]:
        """The first finding of each rule, and how many the rule has of this patient."""
        first: dict[str, Finding] = {}
        for finding in self.findings:
            first.setdefault(finding.rule, finding)
        counts = Counter(finding.rule for finding in self.findings)
        return [(finding, counts[code]) for code, finding in first.items()]

    @property
    def sort_key(self) -> tuple[int | str, ...]:
        """Worst first, then by ID."""
        levels = self.levels
        return (*(-levels[level.value] for level in Severity), self.patient)


@dataclass(frozen=True)
class Cell:
    """What a family of rules found of one patient."""

    family: str
    findings: Sequence[Finding]

    @property
    def severity(self) -> Severity:
        """The gravest."""
        return min((one.severity for one in self.findings), key=lambda level: level.rank)

    @property
    def levels(self) -> list[tuple[str, int]]:
        """How many of each severity there are, the gravest first."""
        return [(level, number) for level, number in _levels(self.findings).items() if number]

    @property
    def said(self) -> str:
        """The same in words: `2 errors, 1 warning`."""
        return ", ".join(plural(number, words.WORDS[Severity(level)]) for level, number in self.levels)


@dataclass(frozen=True)
class HeatRow:
    """One patient, or the release itself, across the families."""

    patient: str | None
    cells: Sequence[Cell]

    @property
    def found(self) -> bool:
        """Whether there is any finding."""
        return any(cell.findings for cell in self.cells)


@dataclass(frozen=True)
class FigureView:
    """A published figure beside the observed one, as text."""

    figure: Figure
    name: str
    published: str
    observed: str
    difference: str
    tolerance: str
    sign: str
    outcome: str


@dataclass(frozen=True)
class FigureGroup:
    """The figures of one measure."""

    title: str
    unit: str
    rows: Sequence[FigureView]


_MEASURES = {
    "patients": ("Patients with a series", "", 0),
    "series": ("Series", "", 0),
    "ct_slices": ("CT slices", "", 1),
    "spacing_mm": ("Slice spacing", "mm", 3),
    "in_plane_mm": ("Distance between rows", "mm", 3),
    "columns_mm": ("Distance between columns", "mm", 3),
    "liver_ml": ("Liver volume", "mL", 2),
    "tumour_ml": ("Tumour volume of a patient", "mL", 2),
    "sex": ("PatientSex", "patients", 0),
    "manufacturer": ("Manufacturer", "patients", 0),
}
"""Title, unit and decimals of what was published."""
_PARTS = {"total": "in all", "min": "smallest", "median": "median", "max": "largest", "other": "any other"}


def _figure_view(figure: Figure, digits: int) -> FigureView:
    def told(value: float, sign: str = "") -> str:
        text = f"{value:{sign},.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text in ("+0", "-0") else text.replace("-", "\N{MINUS SIGN}")

    sign, outcome = {
        None: ("skipped", "not measured"),
        True: ("passed", "agrees"),
        False: ("warning", "differs"),
    }[figure.agrees]
    return FigureView(
        figure,
        _PARTS.get(figure.part, figure.part),
        told(figure.published),
        "" if figure.observed is None else told(figure.observed),
        "" if figure.difference is None else told(figure.difference, "+"),
        f"\N{PLUS-MINUS SIGN}\N{NO-BREAK SPACE}{figure.tolerance:,.3g}" if figure.tolerance else "exact",
        sign,
        outcome,
    )


@dataclass(frozen=True)
class Sexes:
    """Sex in the workbook against PatientSex of the images."""

    counts: Mapping[tuple[str, str], int]
    """Patients by what the workbook and the images say."""

    @property
    def total(self) -> int:
        """Patients with both."""
        return sum(self.counts.values())

    @property
    def agree(self) -> int:
        """Patients in whom both are the same."""
        return sum(count for (own, images), count in self.counts.items() if own == images)

    @property
    def by_chance(self) -> float:
        """Patients in whom they would be the same if the rows belonged to any of the images alike."""
        rows, columns = Counter[str](), Counter[str]()
        for (own, images), count in self.counts.items():
            rows[own] += count
            columns[images] += count
        return sum(rows[sex] * columns[sex] for sex in SEXES) / self.total


SEXES = ("M", "F")
WAIVER_SIGNS = ("warning", "waived", "info", "skipped")
"""Order of the waivers: what needs a look first."""


def _sexes(patients: Iterable[PatientFacts]) -> Sexes | None:
    both = Counter((one.sex_workbook, one.sex) for one in patients if one.sex_workbook in SEXES and one.sex in SEXES)
    return Sexes({(own, images): both[own, images] for own in SEXES for images in SEXES}) if both else None


class View:
    """A report, counted and ordered for the page."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.groups = open_cases(report)
        """The cases that count, in the order of all formats."""
        opened = [finding for group in self.groups for finding in group.findings]
        waived = [finding for finding in report.findings if finding.waived is not None]
        by_rule: dict[str, list[Finding]] = defaultdict(list)
        by_patient: dict[str, list[Finding]] = defaultdict(list)
        for finding in opened:
            by_rule[finding.rule].append(finding)
            if finding.patient:
                by_patient[finding.patient].append(finding)
        waived_of = Counter(finding.rule for finding in waived)
        self.findings = _fitting([*opened, *waived])
        """What the table tells: what counts, case by case, then the waived ones."""
        self.rows = rows_of(self.findings, self.groups, report.release.patients)
        self._shown = {finding.fingerprint for finding in self.findings}
        self.pairs: dict[str, str] = {}
        """Fingerprint of the first row of each rule and patient, with the anchor that both give it."""
        self._taken: set[str] = set()
        for finding in self.findings:
            pair = f"{finding.rule}-{anchor(finding.patient or 'release')}"
            if pair not in self._taken:
                self._taken.add(pair)
                self.pairs[finding.fingerprint] = pair
        self.left_out = len(report.findings) - len(self.findings)
        """Findings that stand only in findings.json."""
        self.rules = [
            RuleView(
                report.text(outcome.rule),
                outcome,
                by_rule[outcome.rule],
                waived_of[outcome.rule],
                words.touched(report, by_rule[outcome.rule])[0],
            )
            for outcome in report.outcomes
        ]
        judge = Judge(report)
        self.cohorts = [judge.cohort([one.name]) for one in report.purposes] if report.patients else []
        """Whom to use, a purpose."""
        self._fits = [{one.patient: one.fit for one in cohort.patients} for cohort in self.cohorts]
        facts = {one.patient: one for one in report.patients}
        self.patients = sorted(
            (PatientView(name, facts.get(name), by_patient.get(name, ())) for name in {*facts, *by_patient}),
            key=lambda one: one.sort_key,
        )
        self.listed = self.patients[:MAX_PATIENTS]
        """Patients that have a row of their own."""
        self._listed = {patient.patient for patient in self.listed}
        self.clean_patients = sum(not patient.findings for patient in self.patients)
        self.patients_away = 0 if not facts else len(set(by_patient) - set(facts))
        """Patients that lists and tables name, and that are not in the release."""
        self.any_waived = bool(waived)
        kinds = {text.code: text.kind for text in report.rules}
        folded = {one.fingerprint: at for at, row in enumerate(self.rows) if row.extent for one in row.findings}
        steps: dict[int | str, list[str]] = defaultdict(list)
        for case in (case for group in self.groups for case in group.cases if kinds[case.lead.rule] != AUDIT):
            # What is the same in most patients is one decision.
            step = steps[folded.get(case.lead.fingerprint, case.lead.fingerprint)]
            step += [one.fingerprint for one in case.findings if one.fingerprint in self._shown]
        reviewed = [",".join(step) for step in steps.values() if step]
        self.to_review = len(reviewed)
        """How many decisions there are: on the cases that the page lists, but for what is about the audit itself."""
        self.review = " ".join(reviewed)
        """Steps of the review, parted by blanks: the findings that are decided on together, joined by commas."""
        self.refused = [text.code for text in report.rules if text.family == "DID" and text.severity is Severity.ERROR]
        """Rules about what identifies a person, which are not accepted in the page."""
        self.of_release = [finding for finding in opened if not finding.patient]
        """Open findings that belong to no patient."""
        self.plots: list[Plot] = plots(report.patients, report.figures)
        self.pair_plots: list[PairPlot] = pair_plots(report.patients)
        self.sexes = _sexes(report.patients)
        """Sex in the workbook against PatientSex; None where no patient has both."""
        self.waivers = sorted(
            report.waivers,
            key=lambda use: (WAIVER_SIGNS.index(self.waiver_sign(use)), use.known, use.rule, use.patients),
        )
        """By what became of them, what needs a look first; the user's before the shipped ones."""

    def fits(self, patient: str) -> list[Fit | None]:
        """A patient's verdict for each purpose; None for one that is not in the release."""
        return [found.get(patient) for found in self._fits]

    def pair(self, finding: Finding) -> str:
        """Fragment of the first row of the finding's rule and patient, or of the table if that was left out."""
        pair = f"{finding.rule}-{anchor(finding.patient or 'release')}"
        return f"#{pair}" if pair in self._taken else "#findings"

    def rerun(self, rule: RuleView) -> str:
        """Command line that checks a rule again, where it found something."""
        root = words.clean(self._report.release.root)
        command = f"crlm-qc check {shlex.quote(root or 'RELEASE')} --select {rule.text.code}"
        if (
            rule.patients
            and len(rule.patients) <= MAX_RERUN_PATIENTS
            and all(one.patient in rule.patients for one in rule.findings)
        ):
            return f"{command} --patients {shlex.quote(','.join(map(words.clean, rule.patients)))}"
        return f"{command} --subset" if self._report.settings.partial else command

    @property
    def heat(self) -> list[HeatRow]:
        """The release itself, if anything was found of it, then the patients, worst first."""
        codes = [family.code for family in self.families]
        rows = [(None, self.of_release)] if self.of_release else []
        every = [*rows, *((patient.patient, patient.findings) for patient in self.listed)]
        return [
            HeatRow(name, [Cell(code, [one for one in found if one.rule[:3] == code]) for code in codes])
            for name, found in every
        ]

    @property
    def figures(self) -> list[FigureGroup]:
        """Published figures beside the observed ones, by measure."""
        groups: dict[str, list[Figure]] = defaultdict(list)
        for figure in self._report.figures:
            groups[figure.measure].append(figure)
        found = []
        for measure, figures in groups.items():
            title, unit, digits = _MEASURES.get(measure, (measure, "", 3))
            rows = [_figure_view(figure, digits) for figure in figures]
            found.append(FigureGroup(title, unit, rows))
        return found

    @property
    def figure_signs(self) -> dict[str, int]:
        """Figures by outcome."""
        return dict(Counter(row.outcome for group in self.figures for row in group.rows))

    def link(self, finding: Finding) -> str:
        """Fragment of the finding's row, or of the table if the row was left out."""
        return f"#f-{finding.fingerprint}" if finding.fingerprint in self._shown else "#findings"

    def row_of(self, patient: str) -> str:
        """Fragment of a patient's row, or of the table if it has none."""
        return f"#p-{anchor(patient)}" if patient in self._listed else "#patients"

    @property
    def sex_codes(self) -> tuple[str, ...]:
        """Codes of sex, in the order of the table."""
        return SEXES

    @property
    def codes(self) -> set[str]:
        """Codes of the rules that the page tells of."""
        return {rule.text.code for rule in self.rules}

    @property
    def waiver_states(self) -> dict[str, int]:
        """Waivers by what became of them."""
        counts = Counter(use.state for use in self.waivers)
        return {state.value: counts[state] for state in WaiverState if counts[state]}

    @staticmethod
    def waiver_sign(use: WaiverUse) -> str:
        """What decides the glyph of a waiver: an unused one of the published release is no fault of this one."""
        return {
            WaiverState.USED: "waived",
            WaiverState.ENDING: "warning",
            WaiverState.EXPIRED: "warning",
            WaiverState.UNUSED: "info" if use.known else "warning",
            WaiverState.IDLE: "skipped",
        }[use.state]

    @property
    def rule_set(self) -> str:
        """Names the rules as they were run, their texts, tolerances and severities included: equal for equal rules."""
        told = json.dumps([to_plain(self._report.rules), self._report.settings.as_dict()["severity"]], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    @property
    def changed_tolerances(self) -> list[str]:
        """Tolerances that the profile gives another value than the tool has, with both."""
        used = {one.name: one for rule in self._report.rules for one in rule.tolerances}
        own = Tolerances()
        return [
            f"{name} {words.quantity(one.value, one.unit)} in place of {words.quantity(getattr(own, name), one.unit)}"
            for name, one in sorted(used.items())
            if hasattr(own, name) and getattr(own, name) != one.value
        ]

    @property
    def sentence(self) -> str:
        """The verdict."""
        return words.sentence(self._report)

    @property
    def tone(self) -> str:
        """What decides the verdict's colour and glyph."""
        return {Verdict.CONFORMANT: "passed", Verdict.INCOMPLETE: "warning", Verdict.NOT_CONFORMANT: "error"}[
            self._report.verdict
        ]

    @property
    def families(self) -> list[FamilyView]:
        """Families in the order that the catalogue lists them, unknown ones last."""
        order = {code: number for number, code in enumerate(FAMILIES)}
        codes = sorted({rule.text.family for rule in self.rules}, key=lambda code: (order.get(code, len(order)), code))
        return [
            FamilyView(code, family_name(code), [rule for rule in self.rules if rule.text.family == code])
            for code in codes
        ]

    @property
    def to_fix(self) -> list[CaseGroup]:
        """Cases with errors or warnings, in the order of all formats."""
        return [group for group in self.groups if group.severity is not Severity.INFO]

    @property
    def fix_first(self) -> list[CaseGroup]:
        """The first of them."""
        return self.to_fix[:MAX_FIX_FIRST]

    def text(self, code: str) -> RuleText:
        """What is said of a rule."""
        return self._report.text(code)

    def touched(self, group: CaseGroup) -> list[str]:
        """Patients of the release that cases are of."""
        return words.touched(self._report, [case.lead for case in group.cases])[0]

    @property
    def statuses(self) -> dict[str, int]:
        """Rules by how they ended."""
        counts = Counter(rule.outcome.status.value for rule in self.rules)
        return {status.value: counts[status.value] for status in Status}

    @property
    def ran(self) -> int:
        """Rules that looked at something."""
        return self.statuses["passed"] + self.statuses["failed"]

    @property
    def crashed(self) -> list[Outcome]:
        """Rules that did not come to an end."""
        return [outcome for outcome in self._report.outcomes if outcome.status is Status.ERRORED]

    @property
    def all_checked(self) -> bool:
        """Whether nothing stands in the way of a full audit."""
        report = self._report
        return not (report.limits or self.crashed or words.not_run(report) or words.narrowing(report) or self.left_out)
