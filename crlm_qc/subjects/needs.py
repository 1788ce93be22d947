"""What a rule needs of the collection's profile; where the profile has not got it, the rule has nothing to compare with."""

from __future__ import annotations

from typing import TypeVar

from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Skip

T = TypeVar("T")


def published(figure: T | None, words: str) -> T:
    """A published figure.

    Parameters
    ----------
    figure : object or None
        As the profile has it.
    words : str
        What it is, for the reason of the skip.

    Raises
    ------
    Skip
        The profile has none.
    """
    if figure is None:
        raise Skip(f"the profile has no published {words}")
    return figure


def need_role(context: Context, *roles: str) -> None:
    """Skip the rule if the collection's vocabulary has no segment of one of some roles.

    Raises
    ------
    Skip
        It has none; no such segment is expected, so there is nothing to judge.
    """
    for role in roles:
        if not context.profile.has_role(role):
            raise Skip(f"the collection's vocabulary has no {role}")


def need_workbook(context: Context) -> None:
    """Skip the rule if the collection has no clinical workbook.

    Raises
    ------
    Skip
        It has none.
    """
    if not context.profile.has_workbook:
        raise Skip("the collection has no clinical workbook")
