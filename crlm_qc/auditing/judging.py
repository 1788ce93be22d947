"""From evidence to a report: runs the rules, and says what they came to."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crlm_qc.auditing.figures import beside_workbook, figures, patient_facts
from crlm_qc.auditing.release import release_facts
from crlm_qc.auditing.tallies import Tally, tally_of
from crlm_qc.auditing.waiving import apply_waivers
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.finding import MAX_EXAMPLES, Alias, Finding, Found, fingerprint
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import PatientFacts, Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Sight
from crlm_qc.model.tables import texts_as_in_tables
from crlm_qc.request.choice import choose
from crlm_qc.rulebook.causes import with_cases
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.purposes import purposes_of
from crlm_qc.rulebook.rule import Rule, RuleKind
from crlm_qc.rulebook.texts import rule_text
from crlm_qc.rules import registry as all_rules
from crlm_qc.subjects.ct import CtSeries, measured_otherwise
from crlm_qc.subjects.wholeness import wholeness
from crlm_qc.subjects.words import number

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence, Facts

CRASH_RULE = "REL900"


@texts_as_in_tables()
def judge(
    evidence: Evidence,
    profile: Profile,
    settings: Settings | None = None,
    rules: Iterable[Rule] | None = None,
    *,
    waivers: Sequence[Waiver] = (),
    today: dt.date | None = None,
) -> Report:
    """Run rules over evidence.

    Parameters
    ----------
    evidence : Evidence
        Tables of one release.
    profile : Profile
        The collection's profile.
    settings : Settings, optional
        What to check; everything by default.
    rules : iterable of Rule, optional
        Rules to run; by default all that `settings` selects.
    waivers : sequence of Waiver
        Findings that are accepted; the first that matches gives the reason.
    today : datetime.date, optional
        The day that the expiry of waivers is judged on; by default today (UTC).

    Returns
    -------
    Report
        Outcomes and findings.
    """
    asked = asked_of(evidence.facts, profile, settings, rules)
    context = asked.context(evidence)
    tallies = {item.code: tally_of(item, context) for item in asked.rules if item.kind is not RuleKind.AUDIT}
    return report_of(asked, context, Judged(tallies, patient_facts(context), otherwise(context)), waivers, today)


@dataclass(frozen=True, slots=True)
class Asked:
    """What evidence is judged by."""

    profile: Profile
    settings: Settings
    rules: tuple[Rule, ...]
    """In the order of their codes."""

    def context(self, evidence: Evidence) -> Context:
        """What the rules look at, of a release or a part of it."""
        return Context(evidence, self.profile, self.settings, frozenset(item.code for item in self.rules))


@dataclass(frozen=True, slots=True)
class Judged:
    """What a release came to, or a part of it."""

    tallies: Mapping[str, Tally]
    """By the code of the rule."""
    patients: Sequence[PatientFacts] = ()
    limits: Sequence[str] = ()
    """What was measured otherwise than asked."""


def asked_of(facts: Facts, profile: Profile, settings: Settings | None, rules: Iterable[Rule] | None) -> Asked:
    """What evidence is judged by, as far as it tells enough.

    Parameters
    ----------
    facts : Facts
        What is known of the evidence: no rule asks for more depth or patients than were read.
    profile, settings, rules
        As `judge` takes them.

    Returns
    -------
    Asked
        Profile and settings as rules see them, and the rules.
    """
    settings = settings or Settings()
    if facts.patients_read and not settings.patients:
        settings = replace(settings, patients=facts.patients_read)
    if not facts.depth.covers(settings.depth):
        settings = replace(settings, depth=facts.depth)
    chosen = choose(all_rules(), settings) if rules is None else rules
    return Asked(
        profile.with_tolerances(settings.tolerances), settings, tuple(sorted(chosen, key=lambda item: item.code))
    )


def report_of(
    asked: Asked, context: Context, judged: Judged, waivers: Sequence[Waiver] = (), today: dt.date | None = None
) -> Report:
    """The report of what rules came to.

    Parameters
    ----------
    asked : Asked
        What was judged, and by which rules.
    context : Context
        What tells of the release as a whole.
    judged : Judged
        What every rule came to, but those of the audit itself.
    waivers, today
        As `judge` takes them.

    Returns
    -------
    Report
        Outcomes and findings.
    """
    from importlib.metadata import version

    settings = asked.settings
    ran = [item for item in asked.rules if item.kind is not RuleKind.AUDIT]
    outcomes = [judged.tallies[item.code].outcome(item) for item in ran]
    findings = [
        one for item in ran for one in stamp(item, judged.tallies[item.code].findings, settings.severity.get(item.code))
    ]
    crashes = [found for item in ran for found in judged.tallies[item.code].crash(item)]
    facts = release_facts(context)
    waived = apply_waivers(
        findings,
        waivers,
        today=today or dt.datetime.now(tz=dt.UTC).date(),
        edition=facts.workbook_edition,
        checked={one.rule: one.status in (Status.PASSED, Status.FAILED) for one in outcomes},
        patients=context["patients"]["patient"],
        whole=not settings.partial,
    )
    findings = list(waived.findings)
    purposes = purposes_of(all_rules(), settings, {item.code for item in asked.rules})
    about: dict[str, tuple[int, Sequence[Found]]] = {CRASH_RULE: (len(outcomes), crashes)}
    about |= {code: (len(waivers), found) for code, found in waived.problems.items()}
    for item in asked.rules:
        if item.kind is RuleKind.AUDIT:
            examined, found = about[item.code]
            outcomes.append(Tally(examined, tuple(found)).outcome(item))
            findings += stamp(item, found, settings.severity.get(item.code))
    report = Report(
        tool_version=version("crlm-qc"),
        release=facts,
        settings=settings,
        rules=[rule_text(item, asked.profile, purposes.spoils.get(item.code)) for item in asked.rules],
        outcomes=sorted(outcomes, key=lambda outcome: outcome.rule),
        findings=sorted(map(_as_shown, findings), key=lambda finding: finding.sort_key),
        patients=beside_workbook(context, judged.patients),
        limits=_limits(context, judged.limits),
        figures=figures(context),
        waivers=tuple(waived.uses),
        wholeness=wholeness(context),
        purposes=purposes.texts,
    )
    return with_cases(report)


def stamp(item: Rule, found: Sequence[Found], override: Severity | None) -> list[Finding]:
    """What a rule found as findings of a report: with its code, a severity, and a name that lasts."""
    findings = [
        Finding(
            rule=item.code,
            severity=override or one.severity or item.severity,
            subject=one.subject,
            message=one.message,
            expected=one.expected,
            observed=one.observed,
            patient=one.patient,
            count=one.count,
            examples=tuple(one.examples[:MAX_EXAMPLES]),
            fingerprint="",
            sight=None if item.seen is None else Sight(item.seen, one.places),
        )
        for one in found
    ]
    seen: dict[tuple[str | None, tuple[str, ...]], int] = {}
    stamped = []
    for finding in sorted(findings, key=lambda one: one.sort_key):
        key = (finding.patient, finding.subject.identity(finding.patient))
        ordinal = seen.get(key, 0)
        seen[key] = ordinal + 1
        stamped.append(replace(finding, fingerprint=fingerprint(item.code, finding.patient, finding.subject, ordinal)))
    return stamped


def _as_shown(finding: Finding) -> Finding:
    """A finding whose path is what it says and nothing more: its fingerprint is made."""
    subject = finding.subject
    if not isinstance(subject.path, Alias):
        return finding
    return replace(finding, subject=replace(subject, path=str(subject.path)))


_FOLDER_LIMIT = re.compile("(folder )(.+)( was not read: .*)", re.DOTALL)


def _limits(context: Context, more: Sequence[str]) -> tuple[str, ...]:
    """What was not read, of a folder its alias, where folders have no names; and what was measured otherwise than asked."""
    limits = (*context.evidence.facts.limits, *more)
    if not context.settings.redact_paths:
        return limits
    return tuple(
        f"{match[1]}{context.show.path(match[2])}{match[3]}" if (match := _FOLDER_LIMIT.fullmatch(limit)) else limit
        for limit in limits
    )


def otherwise(context: Context) -> list[str]:
    """What was measured otherwise than the tolerances of this audit would have it."""
    return [_measured_otherwise(series, spacing) for series, spacing in measured_otherwise(context)]


def _measured_otherwise(series: CtSeries, spacing: float) -> str:
    now = math.nan if series.stack is None else series.stack.spacing
    was, now_is = (f"{number(one)} mm" if math.isfinite(one) else "none" for one in (spacing, now))
    return (
        f"{series.patient}: the evidence was measured with a slice spacing of {was}, and with the tolerances of this audit "
        f"it is {now_is}: collect it again"
    )
