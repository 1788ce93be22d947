"""Waivers: findings that were looked at and accepted, with the reason.

A waiver hides nothing: what it matches stays in every report, marked and counted apart.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crlm_qc.collection.strict import StrictError, read_toml
from crlm_qc.model.errors import WaiverError
from crlm_qc.model.family import CODE
from crlm_qc.model.finding import FINGERPRINT_LENGTH, Finding

_SUBJECT_KEYS = ("path", "uid", "segment", "row", "column")
_REQUIRED = ("rule", "reason")
_OPTIONAL = ("patients", "subject", "fingerprint", "edition", "source", "date", "until", "owner")
EVERY = "every"
"""In place of a list of patients: whoever has the finding."""
_EVERYBODY = (EVERY, "all", "any", "*")
_FINGERPRINT = re.compile(f"[0-9a-f]{{{FINGERPRINT_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted fault, of the release as a whole or of the patients named."""

    rule: str
    reason: str
    patients: tuple[str, ...] = ()
    """Patients it holds for, or `EVERY` alone; empty for findings that are about no patient. There are no wildcards."""
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
    fingerprint: str | None = None
    """Holds only for the finding of this name, which it keeps from run to run."""

    @property
    def every(self) -> bool:
        """Whether it holds for whoever has the finding."""
        return self.patients == (EVERY,)

    def matches(self, finding: Finding) -> bool:
        """Whether the finding is what was accepted."""
        if finding.rule != self.rule or self.fingerprint not in (None, finding.fingerprint):
            return False
        if not self._is_about(finding.patient):
            return False
        return all(getattr(finding.subject, key) == value for key, value in self.subject)

    def _is_about(self, patient: str | None) -> bool:
        if self.every or not self.patients:
            return (patient is not None) is self.every
        return patient in self.patients

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
    return _waivers(raw, path.name, known=known)


def parse_waivers(text: str, name: str) -> tuple[Waiver, ...]:
    """Read waivers that stand in no file yet.

    Parameters
    ----------
    text : str
        TOML with `[[waiver]]` entries.
    name : str
        Name of the file that it is to become, for messages.

    Raises
    ------
    WaiverError
        As `load_waivers`.
    """
    try:
        return _waivers(tomllib.loads(text), name)
    except tomllib.TOMLDecodeError as error:
        raise WaiverError(f"waivers {name} can't be read as TOML: {error}") from None


def _waivers(raw: Mapping[str, Any], name: str, *, known: bool = False) -> tuple[Waiver, ...]:
    if set(raw) - {"waiver"}:
        raise WaiverError(f"waivers {name}: unknown key {min(set(raw) - {'waiver'})}; entries are [[waiver]]")
    entries = raw.get("waiver", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise WaiverError(f"waivers {name}: entries are [[waiver]]")
    waivers = []
    for number, entry in enumerate(entries, start=1):
        try:
            waivers.append(_waiver(entry, known))
        except (TypeError, ValueError) as error:
            raise WaiverError(f"waivers {name}, entry {number}: {error}") from None
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
    fingerprint = entry.get("fingerprint")
    if fingerprint is not None and not _FINGERPRINT.fullmatch(str(fingerprint)):
        raise ValueError(f"fingerprint must be of {FINGERPRINT_LENGTH} hexadecimal digits, as reports name a finding")
    subject = entry.get("subject", {})
    if not isinstance(subject, dict):
        raise TypeError("subject must be a table, such as { segment = 3 }")
    if unknown := sorted(set(subject) - set(_SUBJECT_KEYS)):
        raise ValueError(f"unknown key {unknown[0]} in subject; known: {', '.join(_SUBJECT_KEYS)}")
    return Waiver(
        rule=entry["rule"],
        reason=entry["reason"],
        patients=_patients(entry.get("patients", [])),
        subject=tuple(sorted(subject.items())),
        edition=entry.get("edition"),
        source=entry.get("source", ""),
        date=entry.get("date"),
        until=entry.get("until"),
        owner=entry.get("owner", ""),
        known=known,
        fingerprint=fingerprint,
    )


def _patients(given: Any) -> tuple[str, ...]:
    if given == EVERY:
        return (EVERY,)
    if not isinstance(given, list) or not all(isinstance(patient, str) for patient in given):
        raise TypeError(f'patients must be a list of texts, such as ["CRLM-CT-1004"], or "{EVERY}"')
    if wild := next((patient for patient in given if patient.lower() in _EVERYBODY), None):
        raise ValueError(
            f'patients names {wild}, which is nobody: for whoever has the finding, write patients = "{EVERY}"'
        )
    return tuple(given)
