"""Whom of a release to use for a purpose: each patient's verdict and the findings behind it, from a report alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crlm_qc.model.errors import UsageError
from crlm_qc.model.facts import ExitCode, PatientFacts, RuleText
from crlm_qc.model.finding import Finding
from crlm_qc.model.fitness import NOTHING, Fit, PurposeText, Spoils
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.waivers import WaiverUse
from crlm_qc.model.words import did_you_mean, plural

MAX_LIMITS = 20
"""What was not read of nobody's in particular, said one by one."""
_WORD = re.compile(r"[\w-]+")


class JudgedRelease(Protocol):
    """What verdicts on patients need to know of a release."""

    @property
    def root(self) -> str:
        """As a report has it."""

    @property
    def collection(self) -> str:
        """As a report has it."""

    @property
    def series(self) -> int:
        """As a report has it."""

    @property
    def patients(self) -> int:
        """As a report has it."""


class Judged(Protocol):
    """What verdicts on patients are made of: a report, which can give them itself and so can't be named here."""

    @property
    def tool_version(self) -> str:
        """As a report has it."""

    @property
    def release(self) -> JudgedRelease:
        """As a report has it."""

    @property
    def settings(self) -> Settings:
        """As a report has it."""

    @property
    def rules(self) -> Sequence[RuleText]:
        """As a report has it."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """As a report has it."""

    @property
    def findings(self) -> Sequence[Finding]:
        """As a report has it."""

    @property
    def patients(self) -> Sequence[PatientFacts]:
        """As a report has it."""

    @property
    def limits(self) -> tuple[str, ...]:
        """As a report has it."""

    @property
    def waivers(self) -> Sequence[WaiverUse]:
        """As a report has it."""

    @property
    def purposes(self) -> Sequence[PurposeText]:
        """As a report has it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a patient is not simply usable: a finding, and what it comes to here."""

    finding: Finding
    title: str
    """The rule's."""
    effect: Fit
    """`OUT` or `CARE`."""
    documented: bool = False
    """Whether it is a documented fault of the published release: waived as such, and no less true."""


@dataclass(frozen=True, slots=True)
class PatientVerdict:
    """One patient, judged for a purpose."""

    patient: str
    fit: Fit
    reasons: tuple[Reason, ...] = ()
    """Gravest first; those of the release that spoil every patient among them."""
    unknown: str = ""
    """Why it was not judged, where nothing worse is known."""

    @property
    def gravest(self) -> tuple[Reason, ...]:
        """The reasons that decide the verdict."""
        return tuple(one for one in self.reasons if one.effect is self.fit)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Every patient of a release, judged for one or several purposes at once."""

    purposes: tuple[PurposeText, ...]
    patients: tuple[PatientVerdict, ...]
    of_release: tuple[Reason, ...] = ()
    """Findings that name no patient of the release: told once, and none is worse for them."""
    notes: tuple[str, ...] = ()
    """What else to know: what was not looked for, what was decided, in words."""
    strict: bool = False
    """Whether only those count as usable that need no care."""

    def of(self, *fits: Fit) -> tuple[PatientVerdict, ...]:
        """The patients with one of some verdicts."""
        return tuple(one for one in self.patients if one.fit in fits)

    @property
    def used(self) -> tuple[PatientVerdict, ...]:
        """Those to use: usable, and unless that is strict, those with care."""
        return self.of(Fit.USABLE) if self.strict else self.of(Fit.USABLE, Fit.CARE)

    @property
    def excluded(self) -> tuple[PatientVerdict, ...]:
        """All others."""
        used = {one.patient for one in self.used}
        return tuple(one for one in self.patients if one.patient not in used)

    @property
    def counts(self) -> dict[Fit, int]:
        """Patients by verdict."""
        counts = Counter(one.fit for one in self.patients)
        return {fit: counts[fit] for fit in Fit}

    @property
    def name(self) -> str:
        """The purposes by name."""
        return " and ".join(one.name for one in self.purposes)

    @property
    def rules_behind(self) -> dict[str, int]:
        """Rules that leave patients out, with how many; of each patient the first, so that they add up."""
        counts = Counter(one.gravest[0].finding.rule for one in self.of(Fit.OUT))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def exit_code(self) -> ExitCode:
        """0 where all were judged and some are to be used, 3 where one was not judged, 4 where none is left."""
        if not self.used:
            return ExitCode.NOTHING
        return ExitCode.INCOMPLETE if self.of(Fit.UNKNOWN) else ExitCode.CLEAN


def patients_here(report: Judged) -> frozenset[str]:
    """Patients of the release: those that figures are of. Lists and tables may name more."""
    named = {one.patient for one in report.patients}
    if not named and report.release.patients:
        named = {finding.patient for finding in report.findings if finding.patient}
    return frozenset(named)


def judge_cohort(report: Judged, purposes: Iterable[str], *, strict: bool = False) -> Cohort:
    """Whom to use for a purpose, or for several at once.

    Parameters
    ----------
    report : Report
        An audit, which knows its purposes.
    purposes : iterable of str
        Names of purposes; of several, the worst verdict holds.
    strict : bool
        Whether those that need care are left out too.

    Returns
    -------
    Cohort
        A verdict for each patient of the release.

    Raises
    ------
    KeyError
        The report knows no such purpose.
    """
    return Judge(report).cohort(purposes, strict=strict)


def cohort_for(report: Judged, names: Iterable[str], *, strict: bool = False) -> Cohort:
    """As `judge_cohort`, of purposes that a user names.

    Raises
    ------
    UsageError
        The report knows no such purpose, or none.
    """
    known = [one.name for one in report.purposes]
    if not known:
        raise UsageError(
            "an earlier crlm-qc made this report, which says nothing of purposes: crlm_qc.cohort(report, ...) judges it by "
            "what rules declare today"
        )
    asked = tuple(names)
    for name in asked:
        if name not in known:
            raise UsageError(f"unknown purpose {name}{did_you_mean(name, known) or '.'} Known: {', '.join(known)}")
    return judge_cohort(report, asked, strict=strict)


class Judge:
    """Judges the patients of one report for any of its purposes."""

    def __init__(self, report: Judged) -> None:
        self._report = report
        self._purposes = {one.name: one for one in report.purposes}
        self._rules = {one.code: one for one in report.rules}
        self._outcomes = {one.rule: one for one in report.outcomes}
        self._known = {(use.rule, use.reason) for use in report.waivers if use.known}
        self._here = sorted(patients_here(report))
        self._unread, self._limits = _unread(report.limits, set(self._here))

    def cohort(self, purposes: Iterable[str], *, strict: bool = False) -> Cohort:
        """As `judge_cohort`."""
        texts = tuple(self._purposes[name] for name in dict.fromkeys(purposes))
        reasons: dict[str, list[Reason]] = {patient: [] for patient in self._here}
        of_release: list[Reason] = []
        decided = 0
        effects = self._effects(texts)
        for finding in self._report.findings:
            reason = self._reason(finding, effects[finding.rule]) if finding.rule in effects else None
            if reason is None:
                continue
            if finding.waived is not None and not reason.documented:
                decided += 1
            elif finding.patient in reasons:
                reasons[finding.patient].append(reason)
            elif finding.patient is None and self._spoils(finding.rule).everyone:
                for mine in reasons.values():
                    mine.append(reason)
            else:
                of_release.append(reason)
        unknown = self._unknown(texts)
        verdicts = tuple(
            _verdict(patient, found, unknown or self._unread.get(patient, "")) for patient, found in reasons.items()
        )
        return Cohort(texts, verdicts, tuple(of_release), tuple(self._notes(texts, decided)), strict)

    def _spoils(self, code: str) -> Spoils:
        rule = self._rules.get(code)
        return NOTHING if rule is None or rule.spoils is None else rule.spoils

    def _effects(self, purposes: Sequence[PurposeText]) -> dict[str, Fit]:
        """What rules spoil, of the purpose that is worst off; without those that spoil nothing."""
        worst = {
            code: max((self._spoils(code).effect(one.name) for one in purposes), key=_rank, default=Fit.USABLE)
            for code in self._rules
        }
        return {code: effect for code, effect in worst.items() if effect is not Fit.USABLE}

    def _reason(self, finding: Finding, effect: Fit) -> Reason | None:
        """What a finding comes to; None if it is milder than what would spoil anything."""
        rule = self._rules[finding.rule]
        effect = self._stepped(effect, finding, rule)
        if effect is Fit.USABLE:
            return None
        documented = finding.waived is not None and (finding.rule, finding.waived) in self._known
        return Reason(finding, rule.title, Fit.CARE if documented else effect, documented)

    def _stepped(self, effect: Fit, finding: Finding, rule: RuleText) -> Fit:
        """What a finding comes to that its rule calls milder or graver than it is as a rule."""
        if finding.rule in self._report.settings.severity:
            return effect
        if finding.severity.rank > rule.severity.rank:
            return Fit.CARE if effect is Fit.OUT else Fit.USABLE
        return Fit.OUT if finding.severity.rank < rule.severity.rank else effect

    def _unknown(self, purposes: Sequence[PurposeText]) -> str:
        """Why no patient can be called usable, in words; empty where everything was looked for."""
        report = self._report
        if not report.release.series:
            return "no image was audited"
        depth = max((one.depth for one in purposes), key=list(Depth).index)
        if not report.settings.depth.covers(depth):
            return f"audited at depth {report.settings.depth.value} only, and this needs {depth.value}"
        lost = [
            code for code, outcome in self._outcomes.items() if outcome.incomplete and self._leaves_out(code, purposes)
        ]
        if lost:
            return f"{_listed(lost)} could not be checked"
        unasked = sorted({code for one in purposes for code in one.unasked})
        return f"{_listed(unasked)} {'was' if len(unasked) == 1 else 'were'} not asked for" if unasked else ""

    def _leaves_out(self, code: str, purposes: Iterable[PurposeText]) -> bool:
        return any(self._spoils(code).effect(one.name) is Fit.OUT for one in purposes)

    def _notes(self, purposes: Sequence[PurposeText], decided: int) -> Iterable[str]:
        if decided:
            yield f"{plural(decided, 'finding')} that would count {'is' if decided == 1 else 'are'} waived, and so decided."
        if ignored := sorted({code for one in purposes for code in one.ignored}):
            yield f"Not looked for, as the audit was told to ignore it: {_listed(ignored)}."
        if lost := [
            code for code, outcome in self._outcomes.items() if _not_run(outcome) and self._matters(code, purposes)
        ]:
            yield f"Not looked for: {_listed(lost)}."
        yield from (f"Not read: {limit}" for limit in self._limits[:MAX_LIMITS])
        if (rest := len(self._limits) - MAX_LIMITS) > 0:
            yield f"Not read: {plural(rest, 'more place')}, which findings.json tells."

    def _matters(self, code: str, purposes: Iterable[PurposeText]) -> bool:
        return any(self._spoils(code).effect(one.name) is not Fit.USABLE for one in purposes)


def _verdict(patient: str, reasons: Sequence[Reason], unknown: str) -> PatientVerdict:
    worst = max((one.effect for one in reasons), key=_rank, default=Fit.USABLE)
    fit = max(worst, Fit.UNKNOWN, key=_rank) if unknown else worst
    ordered = tuple(sorted(reasons, key=lambda one: -one.effect.rank))
    return PatientVerdict(patient, fit, ordered, unknown if fit is Fit.UNKNOWN else "")


def _rank(fit: Fit) -> int:
    return fit.rank


def _not_run(outcome: Outcome) -> bool:
    """Whether a rule was kept from looking; one that had nothing to look at was not."""
    return outcome.incomplete or outcome.status is Status.ERRORED or outcome.reason.startswith("needs --depth")


def _unread(limits: Iterable[str], patients: Container[str]) -> tuple[dict[str, str], list[str]]:
    """Patients of whom something was not read, with what is said of it; and limits that name none of them."""
    found: dict[str, str] = {}
    others: list[str] = []
    for limit in limits:
        named = [one for one in (limit.partition(": ")[0], *_WORD.findall(limit)) if one in patients]
        for patient in named:
            found.setdefault(patient, limit.removeprefix(f"{patient}: "))
        others += [] if named else [limit]
    return found, others


def _listed(codes: Sequence[str], most: int = 6) -> str:
    if len(codes) <= most:
        return ", ".join(codes)
    return f"{', '.join(codes[:most])} and {len(codes) - most:,} more rules"


def as_dict(cohort: Cohort, report: Judged) -> dict[str, Any]:
    """A cohort as plain values: the content of cohort.json."""
    used = {one.patient for one in cohort.used}
    return {
        "schema_version": 1,
        "tool": {"name": "crlm-qc", "version": report.tool_version},
        "release": report.release.root,
        "collection": report.release.collection,
        "purposes": [{"name": one.name, "about": one.about, "depth": one.depth.value} for one in cohort.purposes],
        "strict": cohort.strict,
        "summary": {"patients": len(cohort.patients), "used": len(used), **_by_name(cohort.counts)},
        "notes": list(cohort.notes),
        "of_release": [_plain(one) for one in cohort.of_release],
        "patients": [
            {
                "patient": one.patient,
                "verdict": one.fit.value,
                "used": one.patient in used,
                **({"unknown": one.unknown} if one.unknown else {}),
                "reasons": [_plain(each) for each in one.reasons],
            }
            for one in cohort.patients
        ],
    }


def _by_name(counts: Mapping[Fit, int]) -> dict[str, int]:
    return {fit.value: count for fit, count in counts.items()}


def _plain(reason: Reason) -> dict[str, Any]:
    finding = reason.finding
    return {
        "rule": finding.rule,
        "effect": reason.effect.value,
        "message": finding.message,
        "fingerprint": finding.fingerprint,
        "documented": reason.documented,
    }
