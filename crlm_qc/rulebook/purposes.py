"""What rules spoil of each purpose, and what a configuration says of it in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from crlm_qc.model.errors import UsageError
from crlm_qc.model.fitness import PURPOSES, Fit, PurposeText, Spoils
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, PurposeChoice, Settings
from crlm_qc.rulebook.registry import Registry


@dataclass(frozen=True, slots=True)
class Purposes:
    """All purposes of an audit, and what each rule spoils of them."""

    texts: tuple[PurposeText, ...]
    spoils: Mapping[str, Spoils]
    """By the codes of all rules."""


def purposes_of(registry: Registry, settings: Settings, chosen: Collection[str]) -> Purposes:
    """The purposes that patients can be judged for.

    Parameters
    ----------
    registry : Registry
        All rules.
    settings : Settings
        What was asked for; its purposes come in place of what rules declare.
    chosen : collection of str
        Codes of the rules that the audit was asked for.

    Returns
    -------
    Purposes
        Those that rules declare, changed as the settings say, and the settings' own behind them.
    """
    effects = {item.code: {name: item.spoils.effect(name) for name in PURPOSES} for item in registry}
    texts = dict(PURPOSES)
    for name, choice in settings.purposes.items():
        like = choice.like or ((name,) if name in texts else ())
        for found in effects.values():
            found[name] = max((found[one] for one in like), key=_rank, default=Fit.USABLE)
        for effect, codes in ((Fit.OUT, choice.out), (Fit.CARE, choice.care), (Fit.USABLE, choice.ignore)):
            for code in _matching(registry, codes):
                effects[code][name] = effect
        texts[name] = _text(name, choice, like, texts)
    ignored = _matching(registry, settings.ignore)
    told = tuple(
        replace(
            one,
            unasked=_leaving_out(one.name, effects, {*chosen, *ignored}),
            ignored=tuple(code for code in ignored if code not in chosen and effects[code][one.name] is Fit.OUT),
        )
        for one in texts.values()
    )
    return Purposes(told, {item.code: _spoils(effects[item.code], item.spoils.everyone) for item in registry})


def with_purposes(report: Report, registry: Registry, choices: Mapping[str, PurposeChoice]) -> Report:
    """A report whose purposes are those of these choices, in place of what it was saved with.

    Parameters
    ----------
    report : Report
        An audit, perhaps of an earlier version that knew no purposes.
    registry : Registry
        All rules.
    choices : mapping
        What is said of purposes, by name.
    """
    settings = replace(report.settings, purposes=choices)
    chosen = {one.rule for one in report.outcomes}
    found = purposes_of(registry, settings, chosen)
    rules = [replace(one, spoils=found.spoils.get(one.code, one.spoils)) for one in report.rules]
    return replace(report, rules=rules, purposes=found.texts, settings=settings)


def unknown_purpose(name: str, known: Iterable[str], place: str) -> UsageError:
    """What to say of a purpose that nobody knows."""
    from crlm_qc.model.words import did_you_mean

    names = list(known)
    return UsageError(f"unknown purpose {name} in {place}{did_you_mean(name, names) or '.'} Known: {', '.join(names)}")


def _matching(registry: Registry, codes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(item.code for text in codes for item in registry.matching(text)))


def _text(name: str, choice: PurposeChoice, like: Iterable[str], known: Mapping[str, PurposeText]) -> PurposeText:
    among = [known[one] for one in like]
    depth = choice.depth or max((one.depth for one in among), key=list(Depth).index, default=Depth.PIXELS)
    about = choice.about or " and ".join(one.about for one in among) or name
    return PurposeText(name, about, depth)


def _leaving_out(name: str, effects: Mapping[str, Mapping[str, Fit]], asked: Collection[str]) -> tuple[str, ...]:
    return tuple(code for code, found in effects.items() if found[name] is Fit.OUT and code not in asked)


def _spoils(effects: Mapping[str, Fit], everyone: bool) -> Spoils:
    out, care = (tuple(name for name, one in effects.items() if one is effect) for effect in (Fit.OUT, Fit.CARE))
    return Spoils(out, care, everyone and bool(out or care))


def _rank(fit: Fit) -> int:
    return fit.rank
