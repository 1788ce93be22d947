"""Waivers applied to findings, and what became of each."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from crlm_qc.collection.waivers import EVERY, Waiver
from crlm_qc.model.finding import RELEASE, Finding, Found
from crlm_qc.model.waivers import EXPIRED, UNUSED, WaiverState, WaiverUse
from crlm_qc.model.words import are, did_you_mean, plural

SOON = 30
"""Days before its end that a waiver is said to end soon."""


@dataclass(frozen=True, slots=True)
class Waived:
    """Findings after the waivers, and what there is to say of the waivers themselves."""

    findings: Sequence[Finding]
    problems: Mapping[str, Sequence[Found]]
    """Findings by the code of the rule that makes them: `EXPIRED` and `UNUSED`."""
    uses: Sequence[WaiverUse] = ()
    """What became of each waiver, in the order that they were given."""


def apply_waivers(
    findings: Sequence[Finding],
    waivers: Iterable[Waiver],
    *,
    today: dt.date,
    edition: str | None,
    checked: Mapping[str, bool],
    patients: Iterable[str],
    whole: bool = False,
) -> Waived:
    """Mark the findings that waivers accept, and find waivers that are expired or match nothing.

    Parameters
    ----------
    findings : sequence of Finding
        Findings of the audit.
    waivers : iterable of Waiver
        Waivers, the user's before the shipped ones: the first that matches gives the reason.
    today : dt.date
        The day that expiry is judged on.
    edition : str or None
        Edition of the workbook that was found.
    checked : mapping of str to bool
        Rule codes that ran to their end. A waiver of another rule can't be called unused.
    patients : iterable of str
        Patients that were audited.
    whole : bool
        Whether they are all of the release: of a part, a waiver for another patient can't be called unused.

    Returns
    -------
    Waived
        The findings in the same order, and the problems.
    """
    present = set(patients)
    every = tuple(waivers)
    applicable = [waiver for waiver in every if waiver.edition is None or waiver.edition == edition]
    matched: Counter[int] = Counter()
    used: set[tuple[int, str | None]] = set()
    marked = []
    for finding in findings:
        for index, waiver in enumerate(applicable):
            if waiver.matches(finding):
                used.add((index, finding.patient))
                matched[index] += 1
                if not waiver.expired(today):
                    finding = replace(finding, waived=waiver.reason)  # noqa: PLW2901 - the marked one takes its place
                    break
        marked.append(finding)
    problems: dict[str, list[Found]] = {EXPIRED: [], UNUSED: []}
    for index, waiver in enumerate(applicable):
        if waiver.expired(today):
            problems[EXPIRED].append(_expired(waiver))
        elif checked.get(waiver.rule):
            wanted = _wanted(waiver, present, whole=whole, matched=matched[index])
            left = [patient for patient in wanted if (index, patient) not in used]
            problems[UNUSED] += [one for patient in left for one in _unused(waiver, patient, findings, present)]
    return Waived(marked, problems, _uses(every, applicable, matched, checked, present, today, whole=whole))


def _wanted(waiver: Waiver, present: set[str], *, whole: bool, matched: int) -> list[str | None]:
    """Whom a waiver should have matched a finding of."""
    if waiver.every:
        return [] if matched else [None]
    if waiver.patients:
        return [patient for patient in waiver.patients if patient in present or (whole and not waiver.known)]
    # What the published release has as a whole need not be in each part of it.
    return [] if waiver.known else [None]


def standing(waiver: Waiver, today: dt.date) -> tuple[bool, bool]:
    """All that a day has to say of a waiver: whether it has expired, and whether it ends soon."""
    return waiver.expired(today), _ends_soon(waiver, today)


def _ends_soon(waiver: Waiver, today: dt.date) -> bool:
    return waiver.until is not None and waiver.until - today <= dt.timedelta(days=SOON)


def _uses(
    every: Sequence[Waiver],
    applicable: Sequence[Waiver],
    matched: Counter[int],
    checked: Mapping[str, bool],
    present: set[str],
    today: dt.date,
    *,
    whole: bool,
) -> list[WaiverUse]:
    places = {id(waiver): index for index, waiver in enumerate(applicable)}
    uses = []
    for waiver in every:
        count = matched[places[id(waiver)]] if id(waiver) in places else 0
        judged = id(waiver) in places and checked.get(waiver.rule, False)
        if waiver.known or (waiver.patients and not waiver.every and not whole):
            judged = judged and bool(present & set(waiver.patients))
        if waiver.expired(today):
            state = WaiverState.EXPIRED
        elif count:
            state = WaiverState.ENDING if _ends_soon(waiver, today) else WaiverState.USED
        else:
            state = WaiverState.UNUSED if judged else WaiverState.IDLE
        until = None if waiver.until is None else waiver.until.isoformat()
        uses.append(
            WaiverUse(
                waiver.rule,
                waiver.reason,
                waiver.patients,
                waiver.source,
                waiver.owner,
                until,
                waiver.known,
                state,
                count,
            )
        )
    return uses


def _expired(waiver: Waiver) -> Found:
    whom = (
        "every patient"
        if waiver.every
        else ", ".join(waiver.patients[:3]) + (" and others" if len(waiver.patients) > 3 else "")
    )
    return Found(
        subject=replace(RELEASE, column=waiver.rule),
        message=f"The waiver of {waiver.rule}{' for ' + whom if whom else ''} has expired: its findings count again.",
        expected="renewed, or taken out once the fault is mended",
        observed=f"until {waiver.until}",
        patient=waiver.patients[0] if len(waiver.patients) == 1 and not waiver.every else None,
    )


def _unused(waiver: Waiver, patient: str | None, findings: Sequence[Finding], present: set[str]) -> list[Found]:
    """What is told of a waiver that marked nothing; nothing where only an earlier waiver came before it."""
    from crlm_qc.model.severity import Severity

    mine = [one for one in findings if one.rule == waiver.rule]
    whose = f" for {patient}" if patient else " for every patient" if waiver.every else ""
    if waiver.known:
        if any(waiver.matches(one) for one in mine if one.patient == patient):
            return []
        message = f"The published release has {waiver.rule}{whose}, and this one has not."
    else:
        message = f"The waiver of {waiver.rule}{whose} {_advice(waiver, patient, mine, present)}"
    return [
        Found(
            subject=replace(RELEASE, column=waiver.rule),
            message=message,
            expected=f"a finding of {waiver.rule}",
            observed="none",
            patient=patient,
            severity=Severity.INFO if waiver.known else None,
        )
    ]


def _advice(waiver: Waiver, patient: str | None, mine: Sequence[Finding], present: set[str]) -> str:
    """Why a waiver accepts nothing, and what to do: to take it out is wrong where it misses what it was written for."""
    if any(waiver.matches(one) for one in mine if one.patient == patient or waiver.every):
        return "accepts what an earlier waiver accepts already: take one of them out."
    near = [one for one in mine if (one.patient is not None if waiver.every else one.patient == patient)]
    if near:
        what = "fingerprint" if waiver.fingerprint else "subject"
        there = plural(len(near), "finding")
        return f"matches no finding, though there {are(len(near))} {there} of {waiver.rule}: correct its {what}, or take it out."
    of_release = sum(one.patient is None for one in mine)
    if (patient is not None or waiver.every) and of_release:
        return f"is of patients, and {plural(of_release, 'finding')} of {waiver.rule} {are(of_release)} about none: leave patients out."
    if patient is None and not waiver.every and mine:
        return f'names no patient, and the {plural(len(mine), "finding")} of {waiver.rule} {are(len(mine))} of patients: name them, or write patients = "{EVERY}".'
    if patient is not None and patient not in present:
        return f"names a patient that the release has not{did_you_mean(patient, sorted(present)) or '.'} Correct the ID, or take it out."
    return "matches no finding: take it out."
