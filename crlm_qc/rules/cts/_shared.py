"""What rules on the CT series share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crlm_qc.model.finding import Found
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rulebook.tally import as_one, tally
from crlm_qc.subjects.ct import CtSeries, series_of

PLANE = "DICOM PS3.3 C.7.6.2.1.1 (Image Position and Image Orientation)"
TABLES = ("slices", "files")


def each_series(
    context: Context, judge: Callable[[CtSeries], Iterable[Found]], examined: Callable[[CtSeries], int] = as_one
) -> Checked:
    """Every CT series."""
    return tally([(one,) for one in series_of(context)], judge, examined)


def of_another_class(context: Context, series: CtSeries) -> set[int]:
    """Slices that are no CT images, as CTS001 tells: an object of another class holds what a CT image must hold elsewhere."""
    return set(series.slices.others("sop_class_uid", set(context.profile.modalities["CT"])))


def each_stack(context: Context, judge: Callable[[CtSeries], Iterable[Found]]) -> Checked:
    """Every CT series with a stack."""
    return each_series(context, judge, lambda one: one.stack is not None and len(one.stack.order) > 0)
