"""What rules on the CT series share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from crlm_qc.model.finding import MAX_EXAMPLES, Found
from crlm_qc.model.severity import Severity
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rulebook.tally import as_one, tally
from crlm_qc.subjects.ct import CtSeries, series_of

PLANE = "DICOM PS3.3 C.7.6.2.1.1 (Image Position and Image Orientation)"
TABLES = ("slices", "files")


def each(
    context: Context, judge: Callable[[CtSeries], Iterable[Found]], examined: Callable[[CtSeries], int] = as_one
) -> Checked:
    """Every CT series."""
    return tally([(one,) for one in series_of(context)], judge, examined)


def each_stack(context: Context, judge: Callable[[CtSeries], Iterable[Found]]) -> Checked:
    """Every CT series with a stack."""
    return each(context, judge, lambda one: one.stack is not None and len(one.stack.order) > 0)


def found_in(
    context: Context,
    series: CtSeries,
    message: str,
    expected: str,
    observed: str,
    places: Sequence[int] = (),
    *,
    column: str | None = None,
    count: int | None = None,
    examples: Sequence[str] | None = None,
    severity: Severity | None = None,
    seen_at: Sequence[int] | None = None,
) -> Found:
    """A finding on a series; its count, its examples and where it is seen are the slices named."""
    return Found(
        series.subject(context, column),
        message,
        expected,
        observed,
        series.patient,
        max(1, len(places)) if count is None else count,
        tuple(series.names(context, places[:MAX_EXAMPLES]) if examples is None else examples),
        severity,
        series.places(places[:MAX_EXAMPLES] if seen_at is None else seen_at),
    )
