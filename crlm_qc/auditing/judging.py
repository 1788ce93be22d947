"""From evidence to a report: runs the rules, and is the only place that catches a rule's crash."""

from __future__ import annotations

import datetime as dt
import math
import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.auditing.figures import figures, patient_facts
from crlm_qc.auditing.release import release_facts
from crlm_qc.auditing.waiving import apply_waivers
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.finding import MAX_EXAMPLES, RELEASE, Alias, Finding, Found, fingerprint
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Sight
from crlm_qc.model.tables import texts_as_in_tables
from crlm_qc.request.choice import choose
from crlm_qc.rulebook.causes import with_cases
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.purposes import purposes_of
from crlm_qc.rulebook.rule import Checked, Rule, RuleKind, Skip
from crlm_qc.rulebook.texts import rule_text
from crlm_qc.rules import registry as all_rules
from crlm_qc.subjects.ct import CtSeries, measured_otherwise
from crlm_qc.subjects.wholeness import wholeness
from crlm_qc.subjects.words import number

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence

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
    from importlib.metadata import version

    settings = settings or Settings()
    if evidence.facts.patients_read and not settings.patients:
        settings = replace(settings, patients=evidence.facts.patients_read)
    if not evidence.facts.depth.covers(settings.depth):
        settings = replace(settings, depth=evidence.facts.depth)
    profile = profile.with_tolerances(settings.tolerances)
    chosen = sorted(choose(all_rules(), settings) if rules is None else rules, key=lambda item: item.code)
    context = Context(evidence, profile, settings, frozenset(item.code for item in chosen))
    outcomes: list[Outcome] = []
    findings: list[Finding] = []
    crashes: list[Found] = []
    for item in chosen:
        if item.kind is not RuleKind.AUDIT:
            outcome, found = _run(item, context, crashes)
            outcomes.append(outcome)
            findings += _stamp(item, found, settings.severity.get(item.code))
    facts = release_facts(context)
    waived = apply_waivers(
        findings,
        waivers,
        today=today or dt.datetime.now(tz=dt.UTC).date(),
        edition=facts.workbook_edition,
        checked={one.rule: one.status in (Status.PASSED, Status.FAILED) for one in outcomes},
        patients=evidence["patients"]["patient"],
    )
    findings = list(waived.findings)
    purposes = purposes_of(all_rules(), settings, {item.code for item in chosen})
    about: dict[str, tuple[int, Sequence[Found]]] = {CRASH_RULE: (len(outcomes), crashes)}
    about |= {code: (len(waivers), found) for code, found in waived.problems.items()}
    for item in chosen:
        if item.kind is RuleKind.AUDIT:
            examined, found = about[item.code]
            outcomes.append(_ended(item, Checked(examined, found)))
            findings += _stamp(item, found, settings.severity.get(item.code))
    report = Report(
        tool_version=version("crlm-qc"),
        release=facts,
        settings=settings,
        rules=[rule_text(item, profile, purposes.spoils.get(item.code)) for item in chosen],
        outcomes=sorted(outcomes, key=lambda outcome: outcome.rule),
        findings=sorted(map(_as_shown, findings), key=lambda finding: finding.sort_key),
        patients=patient_facts(context),
        limits=_limits(context),
        figures=figures(context),
        waivers=tuple(waived.uses),
        wholeness=wholeness(context),
        purposes=purposes.texts,
    )
    return with_cases(report)


def _run(item: Rule, context: Context, crashes: list[Found]) -> tuple[Outcome, Sequence[Found]]:
    settings = context.settings
    if item.whole_release and settings.partial:
        return Outcome(item.code, Status.SKIPPED, reason="only part of the release is audited"), ()
    if not context.evidence.facts.depth.covers(item.depth):
        return Outcome(item.code, Status.SKIPPED, reason=f"needs --depth {item.depth.value}"), ()
    try:
        checked = item.check(context)
    except Skip as skip:
        return Outcome(item.code, Status.SKIPPED, reason=skip.reason, incomplete=skip.incomplete), ()
    except Exception as error:  # noqa: BLE001 - one rule must not end the audit
        # The text of an exception may hold values from files, so only its type and place are told.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        crashes.append(
            Found(
                subject=replace(RELEASE, column=item.code),
                message=f"Rule {item.code} ({item.slug}) crashed and was not checked.",
                expected="the rule runs to its end",
                observed=where,
            )
        )
        return Outcome(item.code, Status.ERRORED, reason=where, incomplete=True), ()
    return _ended(item, checked), checked.findings


def _ended(item: Rule, checked: Checked) -> Outcome:
    if checked.findings:
        return Outcome(item.code, Status.FAILED, checked.examined)
    if checked.examined == 0:
        return Outcome(item.code, Status.SKIPPED, reason="nothing there to examine")
    return Outcome(item.code, Status.PASSED, checked.examined)


def _stamp(item: Rule, found: Sequence[Found], override: Severity | None) -> list[Finding]:
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


def _limits(context: Context) -> tuple[str, ...]:
    """What was not read, of a folder its alias, where folders have no names; and what was measured otherwise than asked."""
    limits = (*context.evidence.facts.limits, *map(_measured_otherwise, measured_otherwise(context)))
    if not context.settings.redact_paths:
        return limits
    return tuple(
        f"{match[1]}{context.show.path(match[2])}{match[3]}" if (match := _FOLDER_LIMIT.fullmatch(limit)) else limit
        for limit in limits
    )


def _measured_otherwise(found: tuple[CtSeries, float]) -> str:
    series, spacing = found
    now = math.nan if series.stack is None else series.stack.spacing
    was, now_is = (f"{number(one)} mm" if math.isfinite(one) else "none" for one in (spacing, now))
    return (
        f"{series.patient}: the evidence was measured with a slice spacing of {was}, and with the tolerances of this audit "
        f"it is {now_is}: collect it again"
    )
