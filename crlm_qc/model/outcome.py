"""What became of one rule in one audit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a rule ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one rule: a pass over nothing is a skip, never a pass."""

    rule: str
    status: Status
    examined: int = 0
    """How many subjects the rule looked at."""
    reason: str = ""
    """Why it was skipped, or what went wrong."""
    incomplete: bool = False
    """Something that was asked for could not be checked: a crash, a missing decoder, a refused permission."""
