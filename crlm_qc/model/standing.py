"""How a finding stands to an earlier audit: the one that a report is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crlm_qc.model.severity import Severity


class State(StrEnum):
    """How a finding of either report relates to the other one, what needs a look first."""

    NEW = "new"
    REOPENED = "no longer waived"
    CHANGED = "changed"
    """Found in both, with another observed value, count or severity."""
    NEW_RULE = "new rule"
    """Of a rule that the old audit did not have or did not run: no regression."""
    NEWLY_CHECKED = "newly checked"
    """Of a patient that the old audit, on purpose, did not look at."""
    NOT_CHECKED = "not checked again"
    """Found by the old audit, and out of the new one's sight: nobody knows whether it is fixed."""
    FIXED = "fixed"
    WAIVED = "waived since"
    PERSISTING = "persisting"


GONE = frozenset({State.FIXED, State.NOT_CHECKED})
"""States of findings that the later report does not have."""
UNSEEN = frozenset({State.NEW_RULE, State.NEWLY_CHECKED})
"""States of findings that the earlier audit could not have had: whether they are new, nobody knows."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a finding stands to the baseline, and what it was there."""

    state: State
    severity: Severity | None = None
    """As the baseline had it; None for a finding that it has not."""
    observed: str | None = None
    count: int | None = None

    def regressed(self, severity: Severity, fail_on: Severity) -> bool:
        """Whether a finding of this severity is worse than the baseline was: new, no longer waived, or risen so far.

        Parameters
        ----------
        severity : Severity
            As it is now.
        fail_on : Severity
            Mildest severity that counts.
        """
        if not severity.at_least(fail_on):
            return False
        if self.state is State.CHANGED:
            return self.severity is not None and not self.severity.at_least(fail_on)
        return self.state in (State.NEW, State.REOPENED)
