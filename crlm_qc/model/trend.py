"""What became of a release over several audits: their counts, and the sentence that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 10
"""Audits that a trend is of, at most."""
TOLD = ("error", "warning", "cases")
"""Counts that a trend tells."""
NAMES = {"error": "errors", "warning": "warnings", "cases": "cases"}


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of one audit."""

    when: str
    """Day and minute, UTC, as `Run` has it."""
    tool_version: str
    error: int
    """Open findings of this severity."""
    warning: int
    cases: int
    """Cases that count."""

    def count(self, name: str) -> int:
        """One of the counts that are told."""
        return {"error": self.error, "warning": self.warning, "cases": self.cases}[name]

    @property
    def day(self) -> str:
        """Day of the audit."""
        return self.when[:10]


@dataclass(frozen=True, slots=True)
class Trend:
    """Audits of the same release, as deep and as wide as the newest."""

    audits: Sequence[Summary]
    """Oldest first, no more than `MOST`, the newest with them; two at the least."""
    unread: Sequence[str] = ()
    """Files of kept audits that can't be read, and are not counted."""

    @property
    def sentence(self) -> str:
        """What became of the counts, with no full stop."""
        first, last = self.audits[0], self.audits[-1]
        moved = [f"{NAMES[name]} {first.count(name):,} \N{RIGHTWARDS ARROW} {last.count(name):,}" for name in TOLD]
        return f"{', '.join(moved).capitalize()} over {len(self.audits)} audits since {first.day}"
