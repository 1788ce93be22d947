"""CTS: the CT series."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Found
from crlm_qc.model.rule import Checked, Context, rule
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.model.show import LARGEST
from crlm_qc.rules._collection import published
from crlm_qc.rules._pairs import (
    ORIENTATION,
    POSITION,
    SPACING,
    CtSeries,
    common_row,
    is_orthonormal,
    need_pixels,
    series_of,
)
from crlm_qc.rules._words import directions, listed, number, plural, ranges, text

if TYPE_CHECKING:
    from crlm_qc.geometry.stack import Gap

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

_PLANE = "DICOM PS3.3 C.7.6.2.1.1 (Image Position and Image Orientation)"
_TABLES = ("slices", "files")
_OWN_RULES = frozenset({"RescaleSlope", "RescaleIntercept"})
"""Attributes whose absence CTS015 tells."""
_BITS_ALLOCATED = 16
_TERMS = frozenset({"HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"})
_UPRIGHT = 0.7
"""Cosine over which a direction counts as pointing along an axis: within 45 degrees."""


def _each(context: Context, judge: Callable[[CtSeries], Iterable[Found]]) -> Checked:
    """Every CT series."""
    series = series_of(context)
    return Checked(len(series), [found for one in series for found in judge(one)])


def _each_stack(context: Context, judge: Callable[[CtSeries], Iterable[Found]]) -> Checked:
    """Every CT series with a stack."""
    series = [one for one in series_of(context) if one.stack is not None and len(one.stack.order)]
    return Checked(len(series), [found for one in series for found in judge(one)])


def _found(
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
) -> Found:
    """A finding on a series; its count and examples are the slices named."""
    return Found(
        series.subject(context, column),
        message,
        expected,
        observed,
        series.patient,
        max(1, len(places)) if count is None else count,
        tuple(series.names(context, places[:5]) if examples is None else examples),
        severity,
    )


@rule(
    "CTS001",
    "not-ct",
    ERROR,
    title="SOP class or Modality is not CT",
    why="Hounsfield units, spacing and windows of a CT are assumed everywhere; another image type breaks them all.",
    fix="Take the series out, or correct SOPClassUID and Modality.",
    source="DICOM PS3.3 C.7.3.1.1.1 (Modality), PS3.4 B.5 (storage SOP classes)",
    tables=_TABLES,
)
def not_ct(context: Context) -> Checked:
    """Every CT series; missing values are CTS019's."""
    classes = context.profile.modalities["CT"]

    def judge(series: CtSeries) -> Iterable[Found]:
        slices = series.slices
        for column, keyword, known in (
            ("modality", "Modality", {"CT"}),
            ("sop_class_uid", "SOPClassUID", set(classes)),
        ):
            wrong = slices.others(column, known)
            if wrong:
                values = sorted(set(slices[column][wrong]))
                shown = [
                    context.show.text(value, context.profile.modalities)
                    if column == "modality"
                    else context.show.uid(value)
                    for value in values
                ]
                expected = " or ".join(sorted(known))
                message = f"{keyword} of {plural(len(wrong), 'slice')} is {listed(shown)}, not {expected}."
                yield _found(context, series, message, expected, listed(shown), wrong, column=keyword)

    return _each(context, judge)


@rule(
    "CTS002",
    "series-identity-differs",
    ERROR,
    title="Study, frame of reference or patient differ inside the series",
    why="Slices of another study, patient or coordinate system do not belong into the same volume.",
    fix="Take the odd slices out, or correct the UIDs that were changed.",
    source="DICOM PS3.3 C.7.3.1 (General Series), C.7.4.1 (Frame of Reference)",
    tables=_TABLES,
)
def series_identity_differs(context: Context) -> Checked:
    """Every CT series."""

    def judge(series: CtSeries) -> Iterable[Found]:
        for column, keyword, show in (
            ("study_uid", "StudyInstanceUID", context.show.uid),
            ("frame_of_reference_uid", "FrameOfReferenceUID", context.show.uid),
            ("patient_id", "PatientID", context.show.patient),
        ):
            common = series.common(column)
            values = series.slices[column]
            odd = series.slices.others(column, {common})
            if odd:
                others = sorted({show(value) for value in values[odd]})
                message = (
                    f"{keyword} of {plural(len(odd), 'slice')} ({listed(series.names(context, odd))}) "
                    f"differs from that of the other {len(values) - len(odd)}."
                )
                yield _found(context, series, message, show(common), listed(others), odd, column=keyword)

    return _each(context, judge)


@rule(
    "CTS003",
    "series-geometry-differs",
    ERROR,
    title="Rows, Columns, PixelSpacing or orientation differ inside the series",
    why="The slices do not stack to one volume: loaders refuse the series or distort it. An invalid orientation is CTS005's.",
    fix="Take the odd slices out, or correct their headers.",
    source=f"{_PLANE}, C.7.6.3.1 (Image Pixel)",
    tables=_TABLES,
    tolerances=("pixel_spacing_mm", "direction", "orthonormal"),
)
def series_geometry_differs(context: Context) -> Checked:
    """Every CT series."""
    import numpy as np

    tolerances = context.tolerances
    parts = (
        ("Rows", ("rows",), 0.0),
        ("Columns", ("columns",), 0.0),
        ("PixelSpacing", SPACING, tolerances.pixel_spacing_mm),
        ("ImageOrientationPatient", ORIENTATION, tolerances.direction),
    )

    def judge(series: CtSeries) -> Iterable[Found]:
        for keyword, columns, tolerance in parts:
            values = series.slices.matrix(columns)
            common = common_row(values)
            if common is None:
                continue
            differs = np.abs(values - common).max(axis=1) > tolerance
            if keyword == "ImageOrientationPatient":
                differs &= is_orthonormal(values, tolerances.orthonormal)
            odd = differs.nonzero()[0].tolist()
            if odd:
                message = (
                    f"{keyword} of {plural(len(odd), 'slice')} ({listed(series.names(context, odd))}) "
                    f"differs from that of the other {len(values) - len(odd)}."
                )
                show = directions if keyword == "ImageOrientationPatient" else _size
                yield _found(context, series, message, show(common), show(values[odd[0]]), odd, column=keyword)

    return _each(context, judge)


def _size(values: Iterable[float]) -> str:
    return " x ".join(number(value, 6) for value in values)


@rule(
    "CTS004",
    "image-size-unpublished",
    WARNING,
    title="Images are not of the published size",
    why="The published images are all of one size; another means a crop or a resampled copy.",
    fix="Use the original images.",
    source="published description: rows and columns",
    tables=_TABLES,
)
def image_size_unpublished(context: Context) -> Checked:
    """Every CT series, by the size that most of its slices have."""
    rows = published(context.profile.published.rows, "image size")
    columns = published(context.profile.published.columns, "image size")

    def judge(series: CtSeries) -> Iterable[Found]:
        size = (series.common("rows"), series.common("columns"))
        if None not in size and size != (rows, columns):
            expected = f"{rows} x {columns}"
            observed = f"{int(size[0])} x {int(size[1])}"
            message = f"The slices are {observed}, not {expected}."
            yield _found(context, series, message, expected, observed, count=len(series.slices), examples=())

    return _each(context, judge)


@rule(
    "CTS005",
    "orientation-invalid",
    ERROR,
    title="ImageOrientationPatient is not two orthogonal unit vectors",
    why="The slice normal, and with it every position, volume and left-right direction, comes from these two vectors. The stack of such a series is not judged further.",
    fix="Correct ImageOrientationPatient from the scanner's original.",
    source=_PLANE,
    tables=_TABLES,
    tolerances=("orthonormal",),
)
def orientation_invalid(context: Context) -> Checked:
    """Every CT series whose slices have an orientation."""
    import numpy as np

    def judge(series: CtSeries) -> Iterable[Found]:
        values = series.slices.matrix(ORIENTATION)
        given = np.isfinite(values).all(axis=1)
        wrong = (given & ~is_orthonormal(values, context.tolerances.orthonormal)).nonzero()[0].tolist()
        if wrong:
            row, col = values[wrong[0], :3], values[wrong[0], 3:]
            observed = (
                f"lengths {number(float(np.linalg.norm(row)), 4)} and {number(float(np.linalg.norm(col)), 4)}, "
                f"dot product {number(float(row @ col), 4)}"
            )
            message = f"ImageOrientationPatient of {plural(len(wrong), 'slice')} is no pair of orthogonal unit vectors: {observed}."
            expected = f"lengths 1, dot product 0, within {number(context.tolerances.orthonormal, 6)}"
            yield _found(context, series, message, expected, observed, wrong)

    return _each(context, judge)


@rule(
    "CTS006",
    "not-axial",
    WARNING,
    title="The slices are not axial",
    why="The collection is axial; coronal, sagittal or strongly oblique series are reformats. A stack along z whose slices alone are tilted is CTS010's.",
    fix="Use the original axial series.",
    source=_PLANE,
    tables=_TABLES,
    tolerances=("axial_degrees",),
)
def not_axial(context: Context) -> Checked:
    """Every CT series with a valid orientation."""
    import numpy as np

    limit = context.tolerances.axial_degrees

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        if stack is None:
            return
        direction = stack.normal
        if stack.sheared:
            ends = series.slices.matrix(POSITION)[stack.order[[0, -1]]]
            direction = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
        angle = float(np.degrees(np.arccos(min(1.0, abs(float(direction[2]))))))
        if angle > limit:
            observed = f"{number(angle, 1)} degrees"
            message = f"The slice normal lies {observed} from the patient's long axis."
            yield _found(context, series, message, f"at most {number(limit)} degrees", observed, examples=())

    return _each(context, judge)


@rule(
    "CTS007",
    "slice-position-twice",
    ERROR,
    title="Two slices at one position",
    why="Loaders keep one of them at random or fail on a spacing of 0. If the slice that should lie elsewhere leaves a gap, that gap is part of this finding, not a missing slice. Copies of one SOP Instance are REL006's.",
    fix="Remove the surplus slice, or correct its ImagePositionPatient.",
    source=_PLANE,
    tables=_TABLES,
    tolerances=("position_mm",),
)
def slice_position_twice(context: Context) -> Checked:
    """Every stack."""

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        if stack is None or not stack.duplicates:
            return
        places = [index for group in stack.duplicates for index in group]
        groups = [" = ".join(series.names(context, group)) for group in stack.duplicates]
        what = "a position" if len(groups) == 1 else f"{len(groups)} positions"
        message = f"{plural(len(places), 'slice')} share {what}: {listed(groups)}."
        expected = f"one slice a position, over {number(context.tolerances.position_mm)} mm apart"
        yield _found(
            context, series, message, expected, f"{stack.n_surplus} too many", count=len(places), examples=groups
        )

    return _each_stack(context, judge)


@rule(
    "CTS008",
    "slice-missing",
    ERROR,
    title="A slice is missing",
    why="Volumes, and masks on the missing slice, are wrong, and most loaders close the gap silently. Silent where a file of the folder that can't be read (REL004), lies in another series (REL014), or a slice that repeats a position (CTS007) or lies off the lattice (CTS009) explains each gap.",
    fix="Fetch the missing slices; if they were never there, say so in the release notes.",
    source=_PLANE,
    tables=_TABLES,
    tolerances=("position_mm", "spacing_mm", "spacing_fraction"),
)
def slice_missing(context: Context) -> Checked:
    """Every stack, by gaps that are a multiple of the spacing."""

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        if stack is None or not stack.missing or stack.n_missing <= series.explained:
            return
        between = [_between(context, series, gap) for gap in stack.missing]
        verb = "is" if stack.n_missing == 1 else "are"
        message = f"{plural(stack.n_missing, 'slice')} {verb} missing: {listed(between)}."
        yield _found(
            context,
            series,
            message,
            f"a slice every {number(stack.spacing)} mm",
            f"gaps of {listed([number(gap.size) + ' mm' for gap in stack.missing])}",
            count=stack.n_missing,
            examples=between,
        )

    return _each_stack(context, judge)


def _between(context: Context, series: CtSeries, gap: Gap) -> str:
    below, above = series.names(context, (gap.below, gap.above))
    heights = series.slices["position_z"][[gap.below, gap.above]]
    missing = f"{gap.missing} between" if gap.missing else f"{number(gap.size)} mm between"
    return f"{missing} {below} and {above} (z {number(heights[0])} and {number(heights[1])} mm)"


@rule(
    "CTS009",
    "slice-spacing-uneven",
    ERROR,
    title="Uneven slice spacing",
    why="Volumes and shapes are computed with one spacing; an uneven stack has none. Gaps of whole slices are CTS008's, doubled positions CTS007's, a sideways drift CTS010's.",
    fix="Correct ImagePositionPatient from the scanner's original, or take the series out.",
    source=_PLANE,
    tables=_TABLES,
    tolerances=("position_mm", "spacing_mm", "spacing_fraction"),
)
def slice_spacing_uneven(context: Context) -> Checked:
    """Every stack."""

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        if stack is None or not stack.uneven:
            return
        between = [_between(context, series, gap) for gap in stack.uneven]
        off = series.names(context, stack.off_lattice)
        named = f" Off the lattice: {listed(off)}." if off else ""
        message = f"{plural(len(stack.uneven), 'gap')} of uneven size: {listed(between, 3)}.{named}"
        expected = f"{number(stack.spacing)} mm, within {number(stack.tolerance)} mm"
        sizes = [gap.size for gap in stack.uneven]
        observed = f"{number(min(sizes))} to {number(max(sizes))} mm" if len(sizes) > 1 else f"{number(sizes[0])} mm"
        yield _found(context, series, message, expected, observed, count=len(stack.uneven), examples=off or between)

    return _each_stack(context, judge)


@rule(
    "CTS010",
    "stack-sheared",
    ERROR,
    title="The slices do not lie on their normal",
    why="After a gantry tilt, or with a slice put sideways, the volume is no box: loaders that ignore it shear the anatomy.",
    fix="Resample the series upright, or correct ImagePositionPatient.",
    source=_PLANE,
    tables=_TABLES,
    tolerances=("shear_mm",),
)
def stack_sheared(context: Context) -> Checked:
    """Every stack."""
    limit = context.tolerances.shear_mm

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        if stack is None or not (stack.sheared or stack.displaced):
            return
        if stack.sheared:
            observed = f"{number(stack.drift)} mm over the stack ({number(stack.tilt, 2)} degrees)"
            message = f"The slices drift sideways by {observed}."
        else:
            names = series.names(context, stack.displaced)
            verb = "lies" if len(names) == 1 else "lie"
            observed = f"{plural(len(names), 'slice')} sideways"
            message = f"{listed(names)} {verb} sideways of the other slices."
        yield _found(
            context,
            series,
            message,
            f"at most {number(limit)} mm",
            observed,
            [] if stack.sheared else stack.displaced,
        )

    return _each_stack(context, judge)


@rule(
    "CTS011",
    "instance-number-order",
    ERROR,
    title="InstanceNumber is repeated, has gaps, or contradicts the positions",
    why="Tools that sort by InstanceNumber build a scrambled volume. Series may be cropped and may run up or down; gaps alone are a warning. Slices that CTS007 or CTS009 name are not held against the order.",
    fix="Number the slices anew along the normal.",
    source="DICOM PS3.3 C.7.6.1 (Instance Number)",
    tables=_TABLES,
)
def instance_number_order(context: Context) -> Checked:
    """Every CT series whose slices have numbers."""

    def judge(series: CtSeries) -> Iterable[Found]:
        found = [*_repeated(context, series), *_disordered(context, series)]
        # A number that was changed leaves a gap as well.
        yield from found or _number_gaps(context, series)

    return _each(context, judge)


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
        yield _found(context, series, message, "one slice a number", observed, places, column="InstanceNumber")


def _disordered(context: Context, series: CtSeries) -> Iterable[Found]:
    stack = series.stack
    if stack is None:
        return
    numbers = series.slices.whole("instance_number")
    doubled = {index for group in stack.duplicates for index in group}
    ignored = doubled | set(stack.off_lattice) | set(_repeated_places(series))
    ordered = [place for place in stack.order.tolist() if place in numbers and place not in ignored]
    upward = _out_of_order([numbers[place] for place in ordered])
    downward = _out_of_order([-numbers[place] for place in ordered])
    wrong = [ordered[index] for index in min(upward, downward, key=len)]
    if wrong:
        names = [
            f"{name} ({_numbered(numbers[place])})"
            for name, place in zip(series.names(context, wrong), wrong, strict=True)
        ]
        message = f"InstanceNumber contradicts the positions of {plural(len(wrong), 'slice')}: {listed(names)}."
        yield _found(
            context,
            series,
            message,
            "numbers that rise or fall along the normal",
            f"{plural(len(wrong), 'slice')} out of order",
            wrong,
            column="ImagePositionPatient",
        )


def _numbered(value: int) -> str:
    return f"number {value}" if abs(value) <= LARGEST else number(value)


def _out_of_order(values: Sequence[int]) -> list[int]:
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
        yield _found(
            context,
            series,
            message,
            "numbers without gaps",
            f"{many.removesuffix(' numbers').removesuffix(' number')} left out",
            column="InstanceNumber",
            count=lacking,
            examples=words,
            severity=WARNING,
        )


@rule(
    "CTS012",
    "slice-thickness-differs",
    INFO,
    title="SliceThickness is not the slice spacing",
    why="The slices overlap or leave gaps, which is common and no fault; but who computes volumes with SliceThickness gets them wrong. A sheared stack is CTS010's.",
    fix="Nothing; take the spacing from ImagePositionPatient.",
    source="DICOM PS3.3 C.7.6.2 (Slice Thickness)",
    tables=_TABLES,
    tolerances=("spacing_mm", "spacing_fraction"),
)
def slice_thickness_differs(context: Context) -> Checked:
    """Every stack of two slices or more."""
    import numpy as np

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        values = series.slices["slice_thickness"]
        thickness = float(np.nanmedian(values)) if series.slices.present("slice_thickness").any() else None
        if stack is None or stack.sheared or thickness is None or not np.isfinite(stack.spacing):
            return
        if abs(thickness - stack.spacing) > stack.tolerance:
            what = "overlap" if thickness > stack.spacing else "leave gaps"
            message = f"SliceThickness is {number(thickness)} mm, the slice spacing {number(stack.spacing)} mm: the slices {what}."
            yield _found(
                context,
                series,
                message,
                f"{number(stack.spacing)} mm",
                f"{number(thickness)} mm",
                count=len(series.slices),
                examples=(),
            )

    return _each_stack(context, judge)


@rule(
    "CTS013",
    "spacing-unpublished",
    WARNING,
    title="Spacing outside the published range",
    why="A spacing that the published description does not have points to a resampled or foreign series, or a wrong unit.",
    fix="Compare with the original series; correct the header or the description.",
    source="published description: spacing min and max",
    tables=_TABLES,
    tolerances=("published_spacing_fraction",),
)
def spacing_unpublished(context: Context) -> Checked:
    """Every CT series: in plane, and between slices."""
    import numpy as np

    in_plane, between = context.profile.published.spacing_in_plane_mm, context.profile.published.spacing_slices_mm
    published(in_plane or between, "spacing")
    fraction = context.tolerances.published_spacing_fraction

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        values = {
            "PixelSpacing": (series.common("spacing_row"), in_plane),
            "column spacing": (series.common("spacing_col"), in_plane),
            "slice spacing": (None if stack is None else stack.spacing, between),
        }
        wrong = [
            (what, value, span)
            for what, (value, span) in values.items()
            if value is not None
            and span is not None
            and np.isfinite(value)
            and not span.holds(value, fraction * (span.min if value < span.min else span.max))
        ]
        if len(wrong) > 1 and wrong[0][0] == "PixelSpacing" and wrong[1][1] == wrong[0][1]:
            del wrong[1]
        if wrong:
            observed = "; ".join(f"{what} {number(value, 4)} mm" for what, value, _ in wrong)
            expected = "; ".join(f"{what} {number(span.min)} to {number(span.max)} mm" for what, _, span in wrong)
            yield _found(context, series, f"Outside the published range: {observed}.", expected, observed, examples=())

    return _each(context, judge)


@rule(
    "CTS014",
    "slice-count-unpublished",
    WARNING,
    title="Slice count outside the published range",
    why="Fewer slices than any published series mean a part of it; more mean several series in one.",
    fix="Download the series again, or correct the description.",
    source="published description: slices a series, min and max",
    tables=_TABLES,
)
def slice_count_unpublished(context: Context) -> Checked:
    """Every CT series; files that can't be read count as slices."""
    span = published(context.profile.published.slices_per_series, "slice counts")

    def judge(series: CtSeries) -> Iterable[Found]:
        count = len(series.slices)
        if count > span.max or count + series.unknown < span.min:
            expected = f"{number(span.min)} to {number(span.max)}"
            yield _found(
                context,
                series,
                f"The series has {plural(count, 'slice')}; published are {expected}.",
                expected,
                str(count),
                examples=(),
            )

    return _each(context, judge)


@rule(
    "CTS015",
    "rescale-invalid",
    ERROR,
    title="RescaleSlope or RescaleIntercept missing, zero, or differing",
    why="Without them stored values are no Hounsfield units; if they differ inside a series, tools that take those of one slice get the others wrong.",
    fix="Correct both from the scanner's original.",
    source="DICOM PS3.3 C.8.2.1 (CT Image), C.11.1.1.2 (Modality LUT)",
    tables=_TABLES,
)
def rescale_invalid(context: Context) -> Checked:
    """Every CT series."""

    def judge(series: CtSeries) -> Iterable[Found]:
        for column, keyword in (("rescale_slope", "RescaleSlope"), ("rescale_intercept", "RescaleIntercept")):
            values = series.slices[column]
            lacking = ~series.slices.present(column)
            zero = (values == 0) & (column == "rescale_slope")
            differing = (values != series.common(column)) & ~lacking & ~zero
            words = [
                f"{what} in {plural(int(flags.sum()), 'slice')}"
                for what, flags in (("missing", lacking), ("0", zero), ("different", differing))
                if flags.any()
            ]
            if words:
                wrong = (lacking | zero | differing).nonzero()[0].tolist()
                expected = "one value for all slices" + (", not 0" if column == "rescale_slope" else "")
                message = f"{keyword} is {' and '.join(words)}: {listed(series.names(context, wrong))}."
                yield _found(context, series, message, expected, "; ".join(words), wrong, column=keyword)

    return _each(context, judge)


@rule(
    "CTS016",
    "pixel-values-implausible",
    WARNING,
    title="Pixel values are implausible for a CT",
    why="A constant slice, one without air or without soft tissue, or values beyond the range of CT mean that pixels were lost, or that slope and intercept are wrong. Padding is left out.",
    fix="Compare the slice with the original; look at RescaleSlope, RescaleIntercept and PixelPaddingValue.",
    source="DICOM PS3.3 C.8.2.1.1.2 (CT pixel values in Hounsfield units)",
    tables=_TABLES,
    depth=Depth.PIXELS,
    tolerances=("bulk_fraction", "air_hu", "soft_tissue_fraction"),
)
def pixel_values_implausible(context: Context) -> Checked:
    """Every slice whose pixels were read; invalid slopes are CTS015's."""
    need_pixels(context)
    tolerances = context.tolerances
    examined = 0

    def judge(series: CtSeries) -> Iterable[Found]:
        nonlocal examined
        slices = series.slices
        read = slices.present("hu_min")
        examined += int(read.sum())
        constant = read & (slices["hu_min"] == slices["hu_max"])
        beyond = read & (slices["hu_outside"] > tolerances.bulk_fraction)
        airless = read & ~constant & (slices["hu_min"] > tolerances.air_hu)
        empty = read & ~constant & ~beyond & (slices["hu_soft"] < tolerances.soft_tissue_fraction)
        words, wrong = [], constant & False
        for what, flags in (
            ("of one value everywhere", constant),
            (f"with nothing below {number(tolerances.air_hu)} HU", airless),
            ("without soft tissue", empty),
            ("with values beyond -1100 to 4000 HU in bulk", beyond),
        ):
            if flags.any():
                words.append(f"{plural(int(flags.sum()), 'slice')} {what}")
                wrong = wrong | flags
        if words:
            places = wrong.nonzero()[0].tolist()
            message = f"{'; '.join(words)}: {listed(series.names(context, places))}."
            yield _found(
                context, series, message, "air, soft tissue, and values of -1100 to 4000 HU", "; ".join(words), places
            )

    findings = _each(context, judge).findings
    return Checked(examined, findings)


@rule(
    "CTS017",
    "not-supine",
    INFO,
    title="The patient did not lie supine, or PatientPosition contradicts the orientation",
    why="Models trained on supine scans fail on others unless they are told; a contradiction means that left and right, or front and back, are swapped in one of the two.",
    fix="Nothing for a prone scan; for a contradiction find out how the patient lay and correct the attribute.",
    source="DICOM PS3.3 C.7.3.1.1.2 (Patient Position), C.7.6.2.1.1",
    tables=_TABLES,
)
def not_supine(context: Context) -> Checked:
    """Every CT series with a patient position or an orientation."""

    def judge(series: CtSeries) -> Iterable[Found]:
        position = text(series.common("patient_position"))
        down = None if series.stack is None or series.orientation is None else series.orientation[3:]
        lies = None if down is None else _lies(float(down[0]), float(down[1]))
        told = {"S": "supine", "P": "prone", "R": "on the right side", "L": "on the left side"}.get(
            (position or "?")[-1]
        )
        if position is not None and position not in _TERMS:
            told = None
        if told is not None and lies is not None and told != lies:
            message = f"PatientPosition {position} says {told}, ImageOrientationPatient {lies}."
            yield _found(
                context, series, message, f"{lies}, as the orientation says", f"{position}", examples=(), severity=ERROR
            )
        elif (told or lies or "supine") != "supine":
            message = f"The patient lay {told or lies}."
            shown = "" if position is None else context.show.text(position, _TERMS)
            yield _found(context, series, message, "supine", shown or str(lies), examples=())

    return _each(context, judge)


def _lies(x: float, y: float) -> str | None:
    """How the patient lay if the columns run downward to the table, as an unturned CT image's do."""
    if abs(y) >= _UPRIGHT:
        return "supine" if y > 0 else "prone"
    if abs(x) >= _UPRIGHT:
        return "on the left side" if x > 0 else "on the right side"
    return None


@rule(
    "CTS018",
    "acquisitions-mixed",
    WARNING,
    title="Several acquisitions in one series",
    why="A series is one acquisition; two may differ in contrast phase and in breath.",
    fix="Split the series, or check that the acquisitions belong together.",
    source="DICOM PS3.3 C.7.6.1 (Acquisition Number); published description",
    tables=_TABLES,
)
def acquisitions_mixed(context: Context) -> Checked:
    """Every CT series."""

    def judge(series: CtSeries) -> Iterable[Found]:
        counts = Counter(series.slices.whole("acquisition_number").values())
        if len(counts) > 1:
            words = [
                f"{context.show.number(value)} ({plural(count, 'slice')})" for value, count in sorted(counts.items())
            ]
            message = f"The series holds {len(counts)} acquisitions: {listed(words)}."
            yield _found(context, series, message, "one", str(len(counts)), count=len(counts), examples=words)

    return _each(context, judge)


@rule(
    "CTS019",
    "attribute-missing",
    ERROR,
    title="An attribute that the checks need is missing, empty or malformed",
    why="Without it the slice can't be placed, identified or read; what could not be checked is not known to be right. Malformed is what can't be read as what it should be: text for a number, a PixelSpacing that is not above 0, a position or length beyond 100 m, a direction beyond 2.",
    fix="Write the attribute from the scanner's original.",
    source="DICOM PS3.3 A.3.3 (CT Image IOD modules)",
    tables=_TABLES,
)
def attribute_missing(context: Context) -> Checked:
    """Every CT series; RescaleSlope and RescaleIntercept are CTS015's."""

    def judge(series: CtSeries) -> Iterable[Found]:
        places: dict[str, list[int]] = {}
        for place, value in enumerate(series.slices["missing"].tolist()):
            if isinstance(value, str):
                for keyword in json.loads(value):
                    places.setdefault(keyword, []).append(place)
        if series.failure is not None:
            message = (
                f"No stack can be made of the positions ({series.failure}), so what depends on them was not checked."
            )
            yield _found(
                context, series, message, "positions of slices", "no stack", range(len(series.slices)), column="stack"
            )
        for keyword in sorted(set(places) - _OWN_RULES):
            wrong = places[keyword]
            message = f"{keyword} is missing, empty or malformed in {plural(len(wrong), 'slice')}: {listed(series.names(context, wrong))}."
            yield _found(
                context, series, message, "a value", f"none in {plural(len(wrong), 'slice')}", wrong, column=keyword
            )

    return _each(context, judge)


@rule(
    "CTS020",
    "encoding-unpublished",
    INFO,
    title="Transfer syntax, bits or PixelRepresentation other than published",
    why="The published files all have one encoding; another means that they were written anew on the way.",
    fix="Nothing, if the pixels are right; else use the original files.",
    source="published description; DICOM PS3.5 A (transfer syntaxes)",
    tables=_TABLES,
)
def encoding_unpublished(context: Context) -> Checked:
    """Every CT series."""
    description = context.profile.published
    known_values: tuple[tuple[str, str, set[Any]], ...] = (
        ("transfer_syntax_uid", "TransferSyntaxUID", {description.transfer_syntax_uid} - {None}),
        ("bits_allocated", "BitsAllocated", {_BITS_ALLOCATED}),
        ("pixel_representation", "PixelRepresentation", {int(value) for value in description.pixel_representation}),
    )
    wanted = [one for one in known_values if one[2]]

    def judge(series: CtSeries) -> Iterable[Found]:
        words, expected, places = [], [], set()
        for column, keyword, known in wanted:
            wrong = series.slices.others(column, known)
            if wrong:
                values = sorted(set(series.slices[column][wrong]))
                shown = [context.show.uid(value) if column.endswith("uid") else str(int(value)) for value in values]
                words.append(f"{keyword} {listed(shown)}")
                expected.append(f"{keyword} {' or '.join(map(str, sorted(known)))}")
                places.update(wrong)
        if words:
            message = f"{'; '.join(words)} in {plural(len(places), 'slice')}."
            yield _found(context, series, message, "; ".join(expected), "; ".join(words), sorted(places))

    return _each(context, judge)
