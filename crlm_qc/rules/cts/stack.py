"""The stack of slices: gaps, uneven spacing, tilt, overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from crlm_qc.model.finding import MAX_EXAMPLES, Found
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import PLANE, TABLES, each_series, each_stack, of_another_class
from crlm_qc.subjects.columns import POSITION
from crlm_qc.subjects.ct import CtSeries, thickness_of
from crlm_qc.subjects.needs import published
from crlm_qc.subjects.words import number

if TYPE_CHECKING:
    from crlm_qc.geometry.stack import Gap


@rule(
    "CTS007",
    "slice-position-twice",
    ERROR,
    title="Two slices at one position",
    why="Loaders keep one of them at random or fail on a spacing of 0. If the slice that should lie elsewhere leaves a gap, that gap is part of this finding, not a missing slice. Copies of one SOP Instance are REL006's.",
    fix="Remove the surplus slice, or correct its ImagePositionPatient.",
    source=PLANE,
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("position_mm",),
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values")),
)
def slice_position_twice(context: Context) -> Checked:
    """Every stack."""

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        if stack is None or not stack.duplicates:
            return
        places = [index for group in stack.duplicates for index in group]
        groups = [listed(series.names(context, group), joint=" = ") for group in stack.duplicates]
        what = "a position" if len(groups) == 1 else f"{len(groups)} positions"
        message = f"{plural(len(places), 'slice')} share {what}: {listed(groups)}."
        expected = f"one slice a position, over {number(context.tolerances.position_mm)} mm apart"
        yield series.found(
            context,
            message,
            expected,
            f"{stack.n_surplus} too many",
            count=len(places),
            examples=groups,
            seen_at=[index for group in stack.duplicates[:MAX_EXAMPLES] for index in group],
        )

    return each_stack(context, judge)


@rule(
    "CTS008",
    "slice-missing",
    ERROR,
    title="A slice is missing",
    why="Volumes, and masks on the missing slice, are wrong, and most loaders close the gap silently. Silent where a file of the folder that can't be read (REL004), lies in another series (REL014), or a slice that repeats a position (CTS007) or lies off the lattice (CTS009) explains each gap. A gap between slices of neighbouring numbers, where no slice was, is CTS009's.",
    fix="Fetch the missing slices; if they were never there, say so in the release notes.",
    source=PLANE,
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("position_mm", "spacing_mm", "spacing_fraction"),
    seen=Seen(reformat=Plane.CORONAL, gaps=True),
    spoils=Spoils(out=("segmentation", "volumetry", "completeness"), care=("lesion-counts", "image-values")),
)
def slice_missing(context: Context) -> Checked:
    """Every stack, by gaps that are a multiple of the spacing, and where InstanceNumber leaves a number out too."""

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        count = sum(gap.missing for gap in series.lost)
        if stack is None or count <= series.explained:
            return
        between = [_between(context, series, gap) for gap in series.lost]
        message = _missing(context, series, count, between)
        yield series.found(
            context,
            message,
            f"a slice every {number(stack.spacing)} mm",
            f"gaps of {listed([number(gap.size) + ' mm' for gap in series.lost])}",
            count=count,
            examples=between,
            seen_at=_beside(series.lost),
        )

    return each_stack(context, judge)


def _missing(context: Context, series: CtSeries, count: int, between: Sequence[str]) -> str:
    """Which slices are missing: `Slice 41 (InstanceNumber) is missing, between 1-40.dcm and 1-42.dcm (z 1 and 6 mm).`."""
    said = _numbers(context, series, series.lost[0])
    if len(series.lost) > 1 or not said:
        return f"{plural(count, 'slice')} {are(count)} missing: {listed(between)}."
    where = between[0].partition(" ")[2]
    return f"{agree(count, 'Slice', 'Slices')} {said} (InstanceNumber) {are(count)} missing, {where}."


def _numbers(context: Context, series: CtSeries, gap: Gap) -> str:
    """Instance Numbers that a gap leaves out: `41`, `41 to 43`; nothing where they may not be shown, or are more or fewer."""
    numbers = series.slices.whole("instance_number")
    ends = numbers.get(gap.below), numbers.get(gap.above)
    if ends[0] is None or ends[1] is None or abs(ends[1] - ends[0]) != gap.missing + 1:
        return ""
    shown = [context.show.number(value) for value in (min(ends[0], ends[1]) + 1, max(ends[0], ends[1]) - 1)]
    return " to ".join(dict.fromkeys(shown)) if all(map(str.isdigit, shown)) else ""


def _beside(gaps: Sequence[Gap]) -> list[int]:
    """Slices beside the first gaps."""
    return [index for gap in gaps[:MAX_EXAMPLES] for index in (gap.below, gap.above)]


def _between(context: Context, series: CtSeries, gap: Gap) -> str:
    below, above = series.names(context, (gap.below, gap.above))
    heights = series.slices["position_z"][[gap.below, gap.above]]
    missing = f"{gap.missing} between" if gap in series.lost else f"{number(gap.size)} mm between"
    return f"{missing} {below} and {above} (z {number(heights[0])} and {number(heights[1])} mm)"


@rule(
    "CTS009",
    "slice-spacing-uneven",
    ERROR,
    title="Uneven slice spacing",
    why="Volumes and shapes are computed with one spacing; an uneven stack has none. Where the spacing changes from some slice on, what needs one spacing is not judged. Gaps of whole slices are CTS008's if numbers are missing too, doubled positions CTS007's, a sideways drift CTS010's.",
    fix="Correct ImagePositionPatient from the scanner's original, or take the series out.",
    source=PLANE,
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("position_mm", "spacing_mm", "spacing_fraction"),
    seen=Seen(reformat=Plane.CORONAL, gaps=True),
    spoils=Spoils(out=("segmentation", "volumetry"), care=("image-values",)),
)
def slice_spacing_uneven(context: Context) -> Checked:
    """Every stack."""

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        uneven = () if stack is None else tuple(sorted((*stack.uneven, *series.widened), key=_height(series)))
        if stack is None or not uneven or (not stack.uneven and stack.n_missing <= series.explained):
            return
        if series.stretches:
            yield _changed(context, series)
            return
        between = [_between(context, series, gap) for gap in uneven]
        off = series.names(context, stack.off_lattice)
        named = f" Off the lattice: {listed(off)}." if off else ""
        message = f"{plural(len(uneven), 'gap')} of uneven size: {listed(between, 3)}.{named}"
        expected = f"{number(stack.spacing)} mm, within {number(stack.tolerance)} mm"
        sizes = [gap.size for gap in uneven]
        observed = f"{number(min(sizes))} to {number(max(sizes))} mm" if len(sizes) > 1 else f"{number(sizes[0])} mm"
        yield series.found(
            context,
            message,
            expected,
            observed,
            count=len(uneven),
            examples=off or between,
            seen_at=[*stack.off_lattice[:MAX_EXAMPLES], *_beside(uneven)],
        )

    return each_stack(context, judge)


def _height(series: CtSeries) -> Callable[[Gap], float]:
    """How high a gap lies along the normal."""
    assert series.stack is not None
    heights = series.slices.matrix(POSITION) @ series.stack.normal
    return lambda gap: float(heights[gap.below])


def _changed(context: Context, series: CtSeries) -> Found:
    """A finding on a stack whose spacing changes from some slice on."""
    words = []
    for stretch in series.stretches:
        names = series.names(context, (stretch.first, stretch.last))
        words.append(f"{number(stretch.spacing)} mm from {names[0]} to {names[1]}")
    sizes = [f"{number(stretch.spacing)} mm" for stretch in series.stretches]
    places = [index for stretch in series.stretches for index in (stretch.first, stretch.last)]
    message = f"The slice spacing changes: {', then '.join(words)}."
    return series.found(
        context, message, "one spacing", " and ".join(sizes), count=len(words), examples=words, seen_at=places
    )


@rule(
    "CTS010",
    "stack-sheared",
    ERROR,
    title="The slices do not lie on their normal",
    why="After a gantry tilt, or with a slice put sideways, the volume is no box: loaders that ignore it shear the anatomy.",
    fix="Resample the series upright, or correct ImagePositionPatient.",
    source=PLANE,
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("shear_mm",),
    seen=Seen(reformat=Plane.SAGITTAL),
    spoils=Spoils(out=("segmentation", "volumetry"), care=("image-values",)),
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
            observed = f"{plural(len(names), 'slice')} sideways"
            message = f"{listed(names)} {agree(len(names), 'lies', 'lie')} sideways of the other slices."
        yield series.found(
            context,
            message,
            f"at most {number(limit)} mm",
            observed,
            [] if stack.sheared else stack.displaced,
        )

    return each_stack(context, judge)


@rule(
    "CTS012",
    "slice-thickness-differs",
    INFO,
    title="SliceThickness is not the slice spacing",
    why="The slices overlap or leave gaps, which is common and no fault; but who computes volumes with SliceThickness gets them wrong. A sheared stack is CTS010's, a SliceThickness that differs from slice to slice CTS032's.",
    fix="Nothing; take the spacing from ImagePositionPatient.",
    source="DICOM PS3.3 C.7.6.2 (Slice Thickness)",
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("spacing_mm", "spacing_fraction"),
    spoils=NOTHING,
)
def slice_thickness_differs(context: Context) -> Checked:
    """Every stack of two slices or more."""
    import numpy as np

    def judge(series: CtSeries) -> Iterable[Found]:
        stack = series.stack
        thickness = thickness_of(context, series)
        if stack is None or stack.sheared or thickness is None or not np.isfinite(stack.spacing) or series.stretches:
            return
        if abs(thickness - stack.spacing) > stack.tolerance:
            what = "overlap" if thickness > stack.spacing else "leave gaps"
            message = f"SliceThickness is {number(thickness)} mm, the slice spacing {number(stack.spacing)} mm: the slices {what}."
            yield series.found(
                context,
                message,
                f"{number(stack.spacing)} mm",
                f"{number(thickness)} mm",
                count=len(series.slices),
                examples=(),
            )

    return each_stack(context, judge)


@rule(
    "CTS014",
    "slice-count-unpublished",
    WARNING,
    title="Slice count outside the published range",
    why="Fewer slices than any published series mean a part of it; more mean several series in one.",
    fix="Download the series again, or correct the description.",
    source="published description: slices a series, min and max",
    tables=TABLES,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "completeness")),
)
def slice_count_unpublished(context: Context) -> Checked:
    """Every CT series but those of several volumes or frames (CTS018, CTS028, CTS030); files that can't be read count as slices."""
    span = published(context.profile.published.slices_per_series, "slice counts")

    def judge(series: CtSeries) -> Iterable[Found]:
        count = len(series.slices)
        if not series.one_spacing or len(of_another_class(context, series)) == count:
            return
        if count > span.max or count + series.unknown < span.min:
            expected = f"{number(span.min)} to {number(span.max)}"
            yield series.found(
                context,
                f"The series has {plural(count, 'slice')}; published are {expected}.",
                expected,
                str(count),
                examples=(),
            )

    return each_series(context, judge)
