"""Words that any part of the tool may need: counts with their nouns, lists, and what is close to an unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from crlm_qc.model.finding import MAX_EXAMPLES

_MAX_CLOSE = 3


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint at names close to one that is not there, ready to follow it in a message.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What is there.

    Returns
    -------
    str
        For example `` (did you mean CRLM-CT-1004?)``, or nothing.
    """
    by_plain = {one.lower(): one for one in known}
    close = [by_plain[one] for one in difflib.get_close_matches(name.lower(), list(by_plain), n=_MAX_CLOSE, cutoff=0.6)]
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A question that names what is close to a word that is not known; empty if nothing is."""
    close = difflib.get_close_matches(given, list(known), n=3, cutoff=0.5)
    return f": did you mean {', '.join(close)}?" if close else ""


def plural(count: int, noun: str, several: str = "") -> str:
    """A count with its noun: `1 slice`, `3 slices`."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def listed(words: Sequence[str], limit: int = MAX_EXAMPLES) -> str:
    """Words joined by commas, the rest of a long list counted: `a, b and 3 more`."""
    if len(words) <= limit:
        return ", ".join(words)
    return f"{', '.join(words[:limit])} and {len(words) - limit} more"
