"""How a rule judges its subjects one by one, and counts what it examined."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVarTuple

from crlm_qc.model.finding import Found
from crlm_qc.rulebook.rule import Checked

Subject = TypeVarTuple("Subject")


def as_one(*_: object) -> int:
    """A subject counts as one, whatever it is."""
    return 1


def tally(
    subjects: Iterable[tuple[*Subject]],
    judge: Callable[[*Subject], Iterable[Found]],
    examined: Callable[[*Subject], int] = as_one,
) -> Checked:
    """Judge subjects one by one, count what was examined, and gather what was found.

    Parameters
    ----------
    subjects : iterable of tuple
        What the rule looks at; each a tuple of what the two functions take: an object with its CT, a liver with the
        masks that it is one of.
    judge : callable
        What is found on a subject.
    examined : callable, optional
        How much of a subject is examined: how many frames it has, or whether it has what the rule is about. A subject
        of which nothing is examined is not judged. By default each counts as one.

    Returns
    -------
    Checked
        Findings in the order of subjects.
    """
    count = 0
    findings: list[Found] = []
    for subject in subjects:
        if number := int(examined(*subject)):
            count += number
            findings += judge(*subject)
    return Checked(count, findings)
