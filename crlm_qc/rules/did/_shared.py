"""What rules on identifiers share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from crlm_qc.model.finding import Found
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rulebook.tally import tally
from crlm_qc.subjects.identifiers import Series, every_series

ANNEX = "DICOM PS3.15 2024b Annex E, Table E.1-1"


def is_within(attribute: str, told: Collection[str]) -> bool:
    """Whether an attribute is one of some that are told of, or lies in such a sequence."""
    return any(attribute == outer or attribute.startswith(outer + "/") for outer in told)


def each_series(context: Context, judge: Callable[[Series], Iterable[Found]]) -> Checked:
    """Every series of which headers were read."""
    return tally([(one,) for one in every_series(context)], judge)
