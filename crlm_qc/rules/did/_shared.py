"""What rules on identifiers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crlm_qc.model.finding import Found
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.subjects.identifiers import Series, every_series

ANNEX = "DICOM PS3.15 2024b Annex E, Table E.1-1"


def each(context: Context, judge: Callable[[Series], Iterable[Found]]) -> Checked:
    series = every_series(context)
    return Checked(len(series), [found for one in series for found in judge(one)])
