"""Saved results judged again by other waivers, without the release."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from crlm_qc.auditing.judging import stamp
from crlm_qc.auditing.tallies import Tally
from crlm_qc.auditing.waiving import apply_waivers
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.errors import UsageError
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.waivers import EXPIRED, UNUSED
from crlm_qc.request.choice import all_waivers
from crlm_qc.rulebook.causes import with_cases
from crlm_qc.rules import registry


def judge_again(
    report: Report,
    waivers: Sequence[Waiver],
    profile: Profile,
    *,
    allow_did_waivers: bool = False,
    today: dt.date | None = None,
) -> Report:
    """Judge an audit again by other waivers.

    Parameters
    ----------
    report : Report
        The audit, as it was or as it was saved.
    waivers : sequence of Waiver
        Findings that are accepted, in place of those of the audit; the known issues of the published release are beside
        them where they were.
    profile : Profile
        The profile of the audit.
    allow_did_waivers : bool
        Whether waivers may accept what identifies a person: errors of the family DID.
    today : datetime.date, optional
        The day that expiry is judged on; by default today (UTC).

    Returns
    -------
    Report
        What the audit would have come to with these waivers, with the pictures that it had.

    Raises
    ------
    UsageError
        The profile is of another collection, or a waiver can't be used.
    """
    if report.release.collection != profile.name:
        raise UsageError(
            f"the audit was of {report.release.collection}, and the profile is of {profile.name}: give that of the audit "
            "with --profile"
        )
    settings = report.settings
    accepted = all_waivers(waivers, settings, profile, allow_did_waivers=allow_did_waivers)
    asked = [item for item in registry() if item.code in (EXPIRED, UNUSED)]
    asked = [item for item in asked if any(text.code == item.code for text in report.rules)]
    about = {item.code for item in asked}
    waived = apply_waivers(
        [replace(one, waived=None) for one in report.findings if one.rule not in about],
        accepted,
        today=today or dt.datetime.now(tz=dt.UTC).date(),
        edition=report.release.workbook_edition,
        checked={
            one.rule: one.status in (Status.PASSED, Status.FAILED) for one in report.outcomes if one.rule not in about
        },
        patients=[one.patient for one in report.patients],
        whole=not settings.partial,
    )
    findings = list(waived.findings)
    outcomes = [one for one in report.outcomes if one.rule not in about]
    for item in asked:
        found = waived.problems[item.code]
        outcomes.append(Tally(len(accepted), tuple(found)).outcome(item))
        findings += stamp(item, found, settings.severity.get(item.code))
    again = replace(
        report,
        outcomes=sorted(outcomes, key=lambda one: one.rule),
        findings=sorted(findings, key=lambda one: one.sort_key),
        waivers=tuple(waived.uses),
    )
    return with_cases(again)
