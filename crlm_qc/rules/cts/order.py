"""The order of the slices by number and by position."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise

from crlm_qc.collection.show import LARGEST
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import Beside, Seen
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import TABLES, each_series
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.words import number, ranges


@rule(
    "CTS011",
    "instance-number-order",
    ERROR,
    title="InstanceNumber is repeated, has gaps, or contradicts the positions",
    why="Tools that sort by InstanceNumber build a scrambled volume. Series may be cropped and may run up or down; gaps alone are a warning. Slices that CTS007 or CTS009 name are not held against the order, nor are the runs of several volumes (CTS018, CTS028).",
    fix="Number the slices anew along the normal.",
    source="DICOM PS3.3 C.7.6.1 (Instance Number)",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(reformat=Plane.CORONAL, beside=Beside.NUMBERS, mildest=ERROR),
    spoils=Spoils(care=("segmentation", "volumetry", "image-values")),
)
def instance_number_order(context: Context) -> Checked:
    """Every CT series whose slices have numbers."""

    def judge(series: CtSeries) -> Iterable[Found]:
        if series.volumes is not None:
            return
        found = [*_repeated(context, series), *_disordered(context, series)]
        # A number that was changed leaves a gap as well.
        yield from found or _number_gaps(context, series)

    return each_series(context, judge)


def _repeated_places(series: CtSeries) -> list[int]:
    """Slices whose number another one has, unless the two share a position too."""
    numbers = series.slices.whole("instance_number")
    plane: dict[int, int] = {}
    if series.stack is not None:
        plane = {index: group[0] for group in series.stack.duplicates for index in group}
    holders: dict[int, set[int]] = {}
    for place, value in numbers.items():
        holders.setdefault(value, set()).add(plane.get(place, place))
    return [place for place, value in numbers.items() if len(holders[value]) > 1]


def _repeated(context: Context, series: CtSeries) -> Iterable[Found]:
    places = _repeated_places(series)
    if places:
        numbers = series.slices.whole("instance_number")
        values = sorted({numbers[place] for place in places})
        message = f"InstanceNumber {ranges(values)} stands in several slices: {listed(series.names(context, places))}."
        observed = f"{plural(len(values), 'number')} in {len(places)} slices"
        yield series.found(context, message, "one slice a number", observed, places, column="InstanceNumber")


def _disordered(context: Context, series: CtSeries) -> Iterable[Found]:
    stack = series.stack
    if stack is None:
        return
    numbers = series.slices.whole("instance_number")
    doubled = {index for group in stack.duplicates for index in group}
    ignored = doubled | set(stack.off_lattice) | set(_repeated_places(series))
    ordered = [place for place in stack.order.tolist() if place in numbers and place not in ignored]
    upward = out_of_order([numbers[place] for place in ordered])
    downward = out_of_order([-numbers[place] for place in ordered])
    wrong = [ordered[index] for index in min(upward, downward, key=len)]
    if wrong:
        names = [
            f"{name} ({_numbered(numbers[place])})"
            for name, place in zip(series.names(context, wrong), wrong, strict=True)
        ]
        message = f"InstanceNumber contradicts the positions of {plural(len(wrong), 'slice')}: {listed(names)}."
        yield series.found(
            context,
            message,
            "numbers that rise or fall along the normal",
            f"{plural(len(wrong), 'slice')} out of order",
            wrong,
            column="ImagePositionPatient",
        )


def _numbered(value: int) -> str:
    return f"number {value}" if abs(value) <= LARGEST else number(value)


def out_of_order(values: Sequence[int]) -> list[int]:
    """Places outside of a longest rising subsequence: the fewest that break the order."""
    tails: list[int] = []
    ends: list[int] = []
    before = [-1] * len(values)
    for place, value in enumerate(values):
        at = bisect_left(tails, value)
        before[place] = ends[at - 1] if at else -1
        if at == len(tails):
            tails.append(value)
            ends.append(place)
        else:
            tails[at], ends[at] = value, place
    kept = set()
    place = ends[-1] if ends else -1
    while place >= 0:
        kept.add(place)
        place = before[place]
    return [place for place in range(len(values)) if place not in kept]


def _number_gaps(context: Context, series: CtSeries) -> Iterable[Found]:
    show = context.show.number
    numbers = series.slices.whole("instance_number")
    present = set(numbers.values())
    if not present:
        return
    span = max(present) - min(present) + 1
    lacking = span - len(present)
    # A number may be missing because its file could not be read, or its number could not.
    unknown = series.unknown + len(series.slices) - len(numbers)
    if lacking > unknown:
        ordered = sorted(present)
        gaps = [(low + 1, high - 1) for low, high in pairwise(ordered) if high - low > 1]
        words = [show(low) if low == high else f"{show(low)}-{show(high)}" for low, high in gaps]
        # How many are left out would tell a number that may not be shown.
        if max(map(abs, ordered)) > LARGEST:
            lacking, many = len(gaps), "many numbers"
        else:
            many = plural(lacking, "number")
        message = (
            f"InstanceNumber leaves out {many} between {show(ordered[0])} and {show(ordered[-1])}: {listed(words)}."
        )
        yield series.found(
            context,
            message,
            "numbers without gaps",
            f"{many.removesuffix(' numbers').removesuffix(' number')} left out",
            column="InstanceNumber",
            count=lacking,
            examples=words,
            severity=WARNING,
        )
