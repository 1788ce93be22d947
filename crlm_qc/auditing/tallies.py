"""What a rule came to, on a release or on a part of it; the only place that catches a rule's crash."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Rule, Skip

NOTHING = "nothing there to examine"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a rule came to; tallies of parts of a release make that of the whole."""

    examined: int = 0
    findings: tuple[Found, ...] = ()
    skipped: str = ""
    """Why it was skipped, if it was."""
    incomplete: bool = False
    """Whether it was skipped for want of something, so that the audit is incomplete."""
    crashed: str = ""
    """Where it crashed, if it did."""

    def outcome(self, item: Rule) -> Outcome:
        """How the rule ended; a pass over nothing is a skip."""
        if self.crashed:
            return Outcome(item.code, Status.ERRORED, reason=self.crashed, incomplete=True)
        if self.skipped:
            return Outcome(item.code, Status.SKIPPED, reason=self.skipped, incomplete=self.incomplete)
        if self.findings:
            return Outcome(item.code, Status.FAILED, self.examined)
        if self.examined == 0:
            return Outcome(item.code, Status.SKIPPED, reason=NOTHING)
        return Outcome(item.code, Status.PASSED, self.examined)

    def crash(self, item: Rule) -> list[Found]:
        """What is told of a crash; nothing if there was none."""
        if not self.crashed:
            return []
        return [
            Found(
                subject=replace(RELEASE, column=item.code),
                message=f"Rule {item.code} ({item.slug}) crashed and was not checked.",
                expected="the rule runs to its end",
                observed=self.crashed,
            )
        ]


def tally_of(item: Rule, context: Context) -> Tally:
    """Run a rule.

    Parameters
    ----------
    item : Rule
        The rule.
    context : Context
        What it looks at.

    Returns
    -------
    Tally
        What it came to, also where it was skipped or crashed.
    """
    settings = context.settings
    if item.whole_release and settings.partial:
        return Tally(skipped="only part of the release is audited")
    if not context.evidence.facts.depth.covers(item.depth):
        return Tally(skipped=f"needs --depth {item.depth.value}")
    try:
        checked = item.check(context)
    except Skip as skip:
        return Tally(skipped=skip.reason, incomplete=skip.incomplete)
    except Exception as error:  # noqa: BLE001 - one rule must not end the audit
        # The text of an exception may hold values from files, so only its type and place are told.
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Tally(crashed=f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}")
    return Tally(checked.examined, tuple(checked.findings))


def together(tallies: Sequence[Tally]) -> Tally:
    """What a rule on patients came to on all parts of a release.

    Parameters
    ----------
    tallies : sequence of Tally
        Of each part, at least one.

    Returns
    -------
    Tally
        Of the whole: one crash is a crash, and a part that there was something to look at in counts before those without.
    """
    if crashed := next((one for one in tallies if one.crashed), None):
        return crashed
    if checked := [one for one in tallies if not one.skipped]:
        found = tuple(found for one in checked for found in one.findings)
        return Tally(sum(one.examined for one in checked), found)
    return max(tallies, key=lambda one: one.incomplete)
