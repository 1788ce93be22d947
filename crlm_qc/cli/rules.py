"""`crlm-qc rules` and `crlm-qc explain`: the rules, listed and explained."""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.options import Listing, ListingOption
from crlm_qc.cli.terminal import Colour, say, style_of
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.errors import UsageError
from crlm_qc.model.family import family_name
from crlm_qc.model.plain import to_plain
from crlm_qc.model.settings import Depth
from crlm_qc.model.words import close_to, closest, did_you_mean, plural
from crlm_qc.report import words
from crlm_qc.rulebook.registry import Registry
from crlm_qc.rulebook.rule import Rule, RuleKind
from crlm_qc.rulebook.texts import rule_text
from crlm_qc.rules import registry

MOST_FOUND = 20
"""Rules that a search lists."""
_SHORTEST_PLURAL = 3


def rules(
    family: Annotated[str | None, typer.Option("--family", help="Only this family, such as CTS.")] = None,
    listing: ListingOption = Listing.TEXT,
) -> None:
    """List the rules."""
    every = registry()
    families = list(dict.fromkeys(item.family for item in every))
    if family is not None and family.upper() not in families:
        raise UsageError(
            f"unknown family {family}{did_you_mean(family.upper(), families) or '.'} Known: {', '.join(families)}"
        )
    chosen = [item for item in every if family is None or item.family == family.upper()]
    if listing is Listing.JSON:
        profile = load_profile()
        say(json.dumps([_as_dict(item, profile) for item in chosen], indent=2, ensure_ascii=False))
        return
    for name in dict.fromkeys(item.family for item in chosen):
        say(f"{name}  {family_name(name)}")
        for item in chosen:
            if item.family == name:
                needs = "" if item.depth is Depth.HEADERS else f" (needs --depth {item.depth.value})"
                say(f"  {item.code}  {words.WORDS[item.severity]:7}  {item.title}{needs}")
        say("")
    say(f"{plural(len(chosen), 'rule')}. More of one: crlm-qc explain CODE")


def _as_dict(item: Rule, profile: Profile) -> dict[str, object]:
    return {
        "code": item.code,
        "slug": item.slug,
        "family": item.family,
        "kind": item.kind.value,
        "severity": item.severity.value,
        "depth": item.depth.value,
        "scope": item.scope.value,
        "whole_release": item.whole_release,
        "title": item.title,
        "why": item.why,
        "fix": item.fix,
        "source": item.source,
        "tables": list(item.tables),
        "spoils": to_plain(item.spoils),
        "tolerances": to_plain(rule_text(item, profile).tolerances),
        "file": item.file,
        "line": item.line,
    }


def explain(
    code: Annotated[
        list[str],
        typer.Argument(metavar="CODE|WORDS", help="Code of a rule, such as CTS008, its slug, or words to search."),
    ],
    profile: Annotated[Path | None, typer.Option("--profile", help="Release profile whose tolerances to show.")] = None,
) -> None:
    """Say what a rule checks, why, with what tolerance, and what to do; or list the rules that some words are about."""
    every = registry()
    item = _rule(every, code[0]) if len(code) == 1 else None
    if item is None:
        _list_about(every, [word for text in code for word in text.split()])
        return
    parts = [
        ("Severity", words.WORDS[item.severity]),
        ("Why", item.why),
        ("How", "" if item.kind is RuleKind.AUDIT else inspect.getdoc(item.check) or ""),
        ("Spoils", words.spoils(item.spoils)),
        ("What to do", item.fix),
        ("Source", item.source),
        ("Reads", ", ".join(item.tables)),
        *(("Tolerance", said) for said in _tolerances(item, load_profile(profile))),
        ("Depth", item.depth.value),
        ("Only for", "a whole release, not a subset" if item.whole_release else ""),
        ("Slug", item.slug),
        ("Stands in", f"{item.file}:{item.line}"),
    ]
    width = style_of(sys.stdout, Colour.NEVER).width
    say(f"{item.code}  {item.title}\n")
    for name, said in parts:
        if said:
            say(textwrap.fill(" ".join(said.split()), width, initial_indent=f"{name:12}", subsequent_indent=" " * 12))


def _rule(every: Registry, code: str) -> Rule | None:
    return next((item for item in every if code.upper() == item.code or code.lower() == item.slug), None)


def _list_about(every: Registry, asked: list[str]) -> None:
    """List the rules whose texts have all words that are asked for, those first that have them in the title.

    Raises
    ------
    UsageError
        No rule has them.
    """
    found = sorted((-score, item.code, item) for item in every if (score := _likeness(item, asked)))
    if not found:
        name = " ".join(asked)
        known = [*(item.code for item in every), *(item.slug for item in every)]
        close = closest(name.upper(), known) or closest(name.lower(), known, 0.6)
        raise UsageError(f"unknown rule {name}{close_to(close)}. See: crlm-qc rules")
    for _, code, item in found[:MOST_FOUND]:
        say(f"{code}  {words.WORDS[item.severity]:7}  {item.title}")
    rest = f", of which the {MOST_FOUND} closest are listed" if len(found) > MOST_FOUND else ""
    say(f"\n{plural(len(found), 'rule')} about {' '.join(asked)}{rest}. More of one: crlm-qc explain CODE")


def _likeness(item: Rule, asked: list[str]) -> int:
    """How much a rule is about words: 0 if it lacks one, and more for each that stands in its title or slug."""
    title = f"{item.title} {item.slug}".lower()
    every = f"{title} {item.why} {item.fix} {item.source} {inspect.getdoc(item.check) or ''}".lower()
    stems = [_stem(word) for word in asked]
    if not all(stem in every for stem in stems):
        return 0
    return 1 + sum(stem in title for stem in stems)


def _stem(word: str) -> str:
    """The beginning of a word that its forms share: `slices` finds `slice`."""
    small = word.lower()
    return small[:-1] if len(small) > _SHORTEST_PLURAL and small.endswith("s") else small


def _tolerances(item: Rule, profile: Profile) -> list[str]:
    """A line a tolerance: name, value, unit, and where it comes from."""
    return [
        f"{one.name} {words.quantity(one.value, one.unit)}: {one.why}" for one in rule_text(item, profile).tolerances
    ]
