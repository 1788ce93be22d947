"""A release judged in two parts that have nothing in common, and as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.auditing.batches import HELD
from crlm_qc.auditing.parts import Part, part_of, parts_of
from crlm_qc.auditing.tallies import Tally, tally_of, together
from crlm_qc.model.evidence import Evidence
from crlm_qc.rulebook.context import Context, gather, provide
from crlm_qc.rulebook.rule import Rule


def parts_in(context: Context) -> list[Part]:
    """The parts of what rules have looked at."""
    return parts_of(lambda table, columns: context[table][list(columns)], context.tolerances)


def on_less(context: Context, rules: Iterable[Rule]) -> dict[str, tuple[Tally, Tally]]:
    """By rule, what it comes to on all columns, and on those that are held of very many patients, where these differ."""
    evidence = context.evidence
    tables = {name: evidence[name][list(HELD.get(name, evidence[name].columns))] for name in evidence}
    less = Context(Evidence(evidence.facts, tables), context.profile, context.settings, context.judged)
    chosen = list(rules)
    if chosen:
        provide(less, [gather(context)])
    both = {item.code: (tally_of(item, context), tally_of(item, less)) for item in chosen}
    return {code: (whole, found) for code, (whole, found) in both.items() if whole != found}


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
