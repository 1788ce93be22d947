"""Waivers applied to findings, and what became of each."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.finding import RELEASE, Finding, Found
from crlm_qc.model.waivers import EXPIRED, UNUSED, WaiverState, WaiverUse

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
        Patients that were audited. A waiver for another can't be called unused.

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
            # What the published release has as a whole need not be in each part of it.
            whole = () if waiver.known else (None,)
            wanted = [patient for patient in waiver.patients if patient in present] if waiver.patients else whole
            problems[UNUSED] += [_unused(waiver, patient) for patient in wanted if (index, patient) not in used]
    return Waived(marked, problems, _uses(every, applicable, matched, checked, present, today))


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
) -> list[WaiverUse]:
    places = {id(waiver): index for index, waiver in enumerate(applicable)}
    uses = []
    for waiver in every:
        count = matched[places[id(waiver)]] if id(waiver) in places else 0
        judged = id(waiver) in places and checked.get(waiver.rule, False)
        if waiver.patients or waiver.known:
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
    whom = ", ".join(waiver.patients[:3]) + (" and others" if len(waiver.patients) > 3 else "")
    return Found(
        subject=replace(RELEASE, column=waiver.rule),
        message=f"The waiver of {waiver.rule}{' for ' + whom if whom else ''} has expired: its findings count again.",
        expected="renewed, or taken out once the fault is mended",
        observed=f"until {waiver.until}",
        patient=waiver.patients[0] if len(waiver.patients) == 1 else None,
    )


def _unused(waiver: Waiver, patient: str | None) -> Found:
    from crlm_qc.model.severity import Severity

    whose = f" for {patient}" if patient else ""
    return Found(
        subject=replace(RELEASE, column=waiver.rule),
        message=(
            f"The published release has {waiver.rule}{whose}, and this one has not."
            if waiver.known
            else f"The waiver of {waiver.rule}{whose} matches no finding: take it out."
        ),
        expected=f"a finding of {waiver.rule}",
        observed="none",
        patient=patient,
        severity=Severity.INFO if waiver.known else None,
    )
