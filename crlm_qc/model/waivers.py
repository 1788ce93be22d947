"""Waivers: findings that were looked at and accepted, with the reason.

A waiver hides nothing: what it matches stays in every report, marked and counted apart.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from crlm_qc.model.finding import RELEASE, Finding, Found
from crlm_qc.model.rule import CODE
from crlm_qc.model.strict import StrictError, read_toml

EXPIRED, UNUSED = "WVR001", "WVR002"
"""Codes of the rules that speak of waivers."""

_SUBJECT_KEYS = ("path", "uid", "segment", "row", "column")
_REQUIRED = ("rule", "reason")
_OPTIONAL = ("patients", "subject", "edition", "source", "date", "until", "owner")


class WaiverError(ValueError):
    """The file of waivers can't be used; the message names the file, the entry and the key."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted fault, of the release as a whole or of the patients named."""

    rule: str
    reason: str
    patients: tuple[str, ...] = ()
    """Patients it holds for; empty for findings that are about no patient. There are no wildcards."""
    subject: tuple[tuple[str, str | int], ...] = ()
    """Parts of a finding's subject that must agree."""
    edition: str | None = None
    """Holds only for a release with this edition of the workbook."""
    source: str = ""
    date: dt.date | None = None
    """When it was accepted."""
    until: dt.date | None = None
    """Last day that it holds; None for ever."""
    owner: str = ""
    known: bool = False
    """A documented fault of the published release, shipped with the profile."""

    def matches(self, finding: Finding) -> bool:
        """Whether the finding is what was accepted."""
        if finding.rule != self.rule:
            return False
        if finding.patient not in self.patients if self.patients else finding.patient is not None:
            return False
        return all(getattr(finding.subject, key) == value for key, value in self.subject)

    def expired(self, today: dt.date) -> bool:
        """Whether its last day has passed."""
        return self.until is not None and today > self.until


def load_waivers(path: Path, *, known: bool = False) -> tuple[Waiver, ...]:
    """Read a file of waivers.

    Parameters
    ----------
    path : pathlib.Path
        TOML with `[[waiver]]` entries.
    known : bool
        Whether they are documented faults of the published release.

    Returns
    -------
    tuple of Waiver
        In the order of the file.

    Raises
    ------
    WaiverError
        The file can't be read, or an entry lacks a key, or has an unknown or malformed one.
    """
    try:
        raw = read_toml(path)
    except StrictError as error:
        raise WaiverError(f"waivers {path.name} {error}") from None
    if set(raw) - {"waiver"}:
        raise WaiverError(f"waivers {path.name}: unknown key {min(set(raw) - {'waiver'})}; entries are [[waiver]]")
    entries = raw.get("waiver", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise WaiverError(f"waivers {path.name}: entries are [[waiver]]")
    waivers = []
    for number, entry in enumerate(entries, start=1):
        try:
            waivers.append(_waiver(entry, known))
        except (TypeError, ValueError) as error:
            raise WaiverError(f"waivers {path.name}, entry {number}: {error}") from None
    return tuple(waivers)


def _waiver(entry: Mapping[str, Any], known: bool) -> Waiver:
    if missing := [key for key in _REQUIRED if not entry.get(key)]:
        raise ValueError(f"{missing[0]} is missing")
    if unknown := sorted(set(entry) - set(_REQUIRED) - set(_OPTIONAL)):
        raise ValueError(f"unknown key {unknown[0]}; known: {', '.join((*_REQUIRED, *_OPTIONAL))}")
    if not CODE.fullmatch(str(entry["rule"])):
        raise ValueError("rule must be one exact code, such as SEG006")
    for key in ("date", "until"):
        if key in entry and type(entry[key]) is not dt.date:
            raise TypeError(f"{key} must be a date, such as 2027-06-30 without quotes")
    patients = entry.get("patients", [])
    if not isinstance(patients, list) or not all(isinstance(patient, str) for patient in patients):
        raise TypeError('patients must be a list of texts, such as ["CRLM-CT-1004"]')
    subject = entry.get("subject", {})
    if not isinstance(subject, dict):
        raise TypeError("subject must be a table, such as { segment = 3 }")
    if unknown := sorted(set(subject) - set(_SUBJECT_KEYS)):
        raise ValueError(f"unknown key {unknown[0]} in subject; known: {', '.join(_SUBJECT_KEYS)}")
    return Waiver(
        rule=entry["rule"],
        reason=entry["reason"],
        patients=tuple(patients),
        subject=tuple(sorted(subject.items())),
        edition=entry.get("edition"),
        source=entry.get("source", ""),
        date=entry.get("date"),
        until=entry.get("until"),
        owner=entry.get("owner", ""),
        known=known,
    )


class WaiverState(StrEnum):
    """What became of a waiver in one audit."""

    USED = "active"
    ENDING = "ends soon"
    """Active, and its last day is at most `SOON` days away."""
    EXPIRED = "expired"
    UNUSED = "unused"
    """Its rule ran, and found nothing that it accepts."""
    IDLE = "not judged"
    """Its rule did not run, none of its patients was audited, or it is for another edition of the workbook."""


SOON = 30
"""Days before its end that a waiver is said to end soon."""


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """A waiver, and what became of it."""

    rule: str
    reason: str
    patients: tuple[str, ...]
    source: str
    owner: str
    until: str | None
    """Last day that it holds, as YYYY-MM-DD."""
    known: bool
    """A documented fault of the published release, shipped with the profile."""
    state: WaiverState
    findings: int
    """Findings that it accepts, or that it matches though it has expired."""


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
            wanted = [patient for patient in waiver.patients if patient in present] if waiver.patients else [None]
            problems[UNUSED] += [_unused(waiver, patient) for patient in wanted if (index, patient) not in used]
    return Waived(marked, problems, _uses(every, applicable, matched, checked, present, today))


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
        if waiver.patients:
            judged = judged and bool(present & set(waiver.patients))
        if waiver.expired(today):
            state = WaiverState.EXPIRED
        elif count:
            soon = waiver.until is not None and waiver.until - today <= dt.timedelta(days=SOON)
            state = WaiverState.ENDING if soon else WaiverState.USED
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
