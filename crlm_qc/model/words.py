"""Words that any part of the tool may need: counts and what agrees with them, lists, capitals, and names close to one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from crlm_qc.model.finding import MAX_EXAMPLES

_MAX_CLOSE = 3


def agree(count: int, one: str, several: str) -> str:
    """The one of two forms that agrees with a count: `lies` for 1, `lie` for 0 and 2."""
    return one if count == 1 else several


def are(count: int) -> str:
    """The verb that agrees with a count: `is` for 1, `are` for 0 and 2."""
    return agree(count, "is", "are")


def plural(count: int, noun: str, several: str = "") -> str:
    """A count with its noun: `1 slice`, `3 slices`, `1,200 slices`."""
    return f"{count:,} {agree(count, noun, several or noun + 's')}"


def capitalised(text: str) -> str:
    """Text as a sentence begins: its first letter a capital, the others as they are."""
    return f"{text[:1].upper()}{text[1:]}"


def listed(words: Sequence[str], limit: int = MAX_EXAMPLES, joint: str = ", ") -> str:
    """Words joined by commas, or by what is the same of them, the rest of a long list counted: `a, b and 3 more`."""
    if len(words) <= limit:
        return joint.join(words)
    return f"{joint.join(words[:limit])} and {len(words) - limit} more"


def closest(name: str, known: Iterable[str], likeness: float = 0.5) -> list[str]:
    """The names that are most like one that is not known, three of them at most.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What is there.
    likeness : float
        How much alike two names must be, from 0 to 1 (`difflib.SequenceMatcher.ratio`).
    """
    return difflib.get_close_matches(name, list(known), n=_MAX_CLOSE, cutoff=likeness)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that follows an unknown name: `: did you mean doi, dois?`; empty if nothing is close to it."""
    close = closest(name, known)
    return f": did you mean {', '.join(close)}?" if close else ""


def close_to(names: Sequence[str]) -> str:
    """A remark that follows an unknown name: `: close to CTS008, CTS018`; empty if nothing is."""
    return f": close to {', '.join(names)}" if names else ""


def suggest(name: str, known: Iterable[str]) -> str:
    """A question that follows a name that was not found, whatever its case: `` (did you mean a or b?)``; empty if nothing is close to it."""
    by_plain = {one.lower(): one for one in known}
    close = [by_plain[one] for one in closest(name.lower(), by_plain, 0.6)]
    return f" (did you mean {' or '.join(close)}?)" if close else ""
