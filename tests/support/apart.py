"""A release judged in two parts that have nothing in common, and as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.auditing.parts import Part, part_of, parts_of
from crlm_qc.auditing.tallies import Tally, tally_of, together
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Rule


def parts_in(context: Context) -> list[Part]:
    """The parts of what rules have looked at."""
    return parts_of(lambda table, columns: context[table][list(columns)], context.tolerances)


def in_order(tally: Tally) -> Tally:
    """The same, findings in an order that is the same for any order of parts."""
    return Tally(
        tally.examined, tuple(sorted(tally.findings, key=repr)), tally.skipped, tally.incomplete, tally.crashed
    )


def whole_and_apart(
    context: Context, rules: Iterable[Rule], halves: Iterable[Iterable[str]]
) -> dict[str, tuple[Tally, Tally]]:
    """By rule, what it comes to on the whole, and on parts put together, where these differ."""
    contexts = [
        Context(part_of(context.evidence, frozenset(half)), context.profile, context.settings, context.judged)
        for half in halves
    ]
    both = {
        item.code: (
            in_order(tally_of(item, context)),
            in_order(together([tally_of(item, one) for one in contexts])),
        )
        for item in rules
    }
    return {code: (whole, apart) for code, (whole, apart) in both.items() if whole != apart}
