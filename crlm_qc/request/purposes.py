"""What a configuration file says of purposes: other opinions on those that rules know, and purposes of one's own."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.collection.strict import StrictError, Table
from crlm_qc.model import fitness
from crlm_qc.model.settings import Depth, PurposeChoice
from crlm_qc.model.words import did_you_mean
from crlm_qc.request.choice import unknown_rule
from crlm_qc.rules import registry

PURPOSES = "purposes"
"""The table that they stand in."""
_RULES = ("out", "care", "ignore")


def read_purposes(table: Table) -> dict[str, PurposeChoice]:
    """What the table says, by the names of purposes.

    Parameters
    ----------
    table : Table
        `[purposes]`, a table a purpose.

    Returns
    -------
    dict of str to PurposeChoice
        In the order of the file; each may be like those before it.

    Raises
    ------
    StrictError
        A key, rule, depth or purpose is not known, or a purpose of one's own does not say what it is.
    """
    found: dict[str, PurposeChoice] = {}
    known = list(fitness.PURPOSES)
    for name in table:
        found[name] = _choice(name, table, known)
        known.append(name)
    return found


def _choice(name: str, table: Table, known: list[str]) -> PurposeChoice:
    place = table.place(name)
    if not fitness.PURPOSE_NAME.fullmatch(name):
        raise StrictError(f"{place} is not of the right form: small letters, digits and hyphens")
    said = table.table(name)
    said.allow(("about", "depth", "like", *_RULES))
    if name not in known and "about" not in said:
        raise StrictError(
            f"unknown purpose {place}{did_you_mean(name, known) or '.'} One of your own says what it is for: about"
        )
    like = said.texts("like", default=())
    for one in like:
        if one not in known:
            raise StrictError(f"unknown purpose {one} in {said.place('like')}{did_you_mean(one, known)}")
    return PurposeChoice(
        about=said.text("about") if "about" in said else None,
        depth=Depth(said.choice("depth", list(Depth))) if "depth" in said else None,
        like=like,
        **{key: _codes(said.texts(key, default=()), said.place(key)) for key in _RULES},
    )


def _codes(codes: Iterable[str], place: str) -> tuple[str, ...]:
    every = registry()
    for code in codes:
        if not code or not every.matching(code):
            raise StrictError(str(unknown_rule(every, code, place)))
    return tuple(codes)
