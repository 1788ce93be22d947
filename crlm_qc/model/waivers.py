"""What became of the waivers of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

EXPIRED, UNUSED = "WVR001", "WVR002"
"""Codes of the rules that speak of waivers."""


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


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """A waiver, and what became of it."""

    rule: str
    reason: str
    patients: tuple[str, ...]
    """Whom it holds for, or `every` alone; empty for findings that are about no patient."""
    source: str
    owner: str
    until: str | None
    """Last day that it holds, as YYYY-MM-DD."""
    known: bool
    """A documented fault of the published release, shipped with the profile."""
    state: WaiverState
    findings: int
    """Findings that it accepts, or that it matches though it has expired."""
