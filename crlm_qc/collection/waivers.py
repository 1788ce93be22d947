"""Waivers: findings that were looked at and accepted, with the reason.

A waiver hides nothing: what it matches stays in every report, marked and counted apart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crlm_qc.collection.strict import StrictError, read_toml
from crlm_qc.model.errors import WaiverError
from crlm_qc.model.family import CODE
from crlm_qc.model.finding import Finding

_SUBJECT_KEYS = ("path", "uid", "segment", "row", "column")
_REQUIRED = ("rule", "reason")
_OPTIONAL = ("patients", "subject", "edition", "source", "date", "until", "owner")


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
