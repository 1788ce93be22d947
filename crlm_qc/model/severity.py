"""How grave a finding is."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """Severity of a finding, gravest first."""

    ERROR = "error"
    """The release must not ship, or the data can't be used as described."""
    WARNING = "warning"
    """A curator must look."""
    INFO = "info"
    """Worth knowing."""

    @property
    def rank(self) -> int:
        """Position from the gravest (0) to the mildest."""
        return _RANKS[self]

    def at_least(self, other: Severity) -> bool:
        """Whether this severity is as grave as `other`, or graver."""
        return self.rank <= other.rank


ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
"""Short names, for rules."""


_RANKS = {level: at for at, level in enumerate(Severity)}
