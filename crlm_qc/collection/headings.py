"""Headings of a sheet, as people write them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from crlm_qc.collection.invisible import plain_text

_SEPARATORS: Final = re.compile(r"[\s_\-.]+")
_FEWEST_LETTERS: Final = 6
"""Letters of a heading that a slip of the pen is forgiven in; shorter ones are too soon another word."""


def plain_heading(text: str) -> str:
    """A heading without what people change by accident: case, and white space around and within it."""
    return " ".join(text.split()).casefold()


def loose_heading(text: str) -> str:
    """A heading without case, separators and what nobody sees: `patientid` for `Patient ID`."""
    return _SEPARATORS.sub("", plain_text(text)).casefold()


def paired(headings: Sequence[str], known: Iterable[str]) -> dict[str, str | None]:
    """What each heading means.

    Parameters
    ----------
    headings : sequence of str
        As found, each once.
    known : iterable of str
        The headings that there may be.

    Returns
    -------
    dict of str to str or None
        The known heading that each one is: itself, or else the one that it differs from by case and white space, by
        separators and invisible characters, or by a slip of one letter. Each known heading is given once, to the one
        that is most like it.
    """
    names = list(dict.fromkeys(known))
    found: dict[str, str | None] = dict.fromkeys(headings)
    forms: tuple[Callable[[str], str], ...] = (str, plain_heading, loose_heading)
    for form in forms:
        meant = {form(name): name for name in reversed(names)}
        taken = set(found.values())
        for heading, name in found.items():
            means = meant.get(form(heading))
            if name is None and means is not None and means not in taken:
                found[heading] = means
                taken.add(means)
    near = {
        heading: nearest(heading, set(names) - set(found.values()), 1) for heading, name in found.items() if not name
    }
    # A name that two headings are near to is neither's.
    times = Counter(near.values())
    return found | {heading: name for heading, name in near.items() if name and times[name] == 1}


def nearest(heading: str, known: Iterable[str], slips: int = 2) -> str | None:
    """The one known heading that a heading may be a misspelling of.

    Parameters
    ----------
    heading : str
        As found.
    known : iterable of str
        The headings that there may be.
    slips : int
        Letters that may be missing, be too many, be wrong or stand the wrong way round.

    Returns
    -------
    str or None
        None if there is no such heading, or more than one. Numbers in a heading are never misspelt.
    """
    loose = loose_heading(heading)
    if len(loose) < _FEWEST_LETTERS:
        return None
    numbers = re.findall("[0-9]+", loose)
    likely = [
        name
        for name in known
        if re.findall("[0-9]+", plain := loose_heading(name)) == numbers
        and abs(len(plain) - len(loose)) <= slips
        and _slips(plain, loose) <= slips
    ]
    return likely[0] if len(likely) == 1 else None


def _slips(one: str, other: str) -> int:
    """Letters added, left out, changed or swapped with their neighbour (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, second in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != second))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == second:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
