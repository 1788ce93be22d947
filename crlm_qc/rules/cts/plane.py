"""The plane of the images: size, orientation, position of the patient, spacing of the pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.sight import At, Seen
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import PLANE, TABLES, each_series
from crlm_qc.subjects.columns import ORIENTATION, POSITION, SPACING, common_row, is_orthonormal
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.needs import published
from crlm_qc.subjects.words import directions, number, text

_TERMS = frozenset({"HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"})
_UPRIGHT = 0.7
"""Cosine over which a direction counts as pointing along an axis: within 45 degrees."""


if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Floats


@rule(
    "CTS003",
    "series-geometry-differs",
    ERROR,
    title="Rows, Columns, PixelSpacing or orientation differ inside the series",
    why="The slices do not stack to one volume: loaders refuse the series or distort it. An invalid orientation is CTS005's.",
    fix="Take the odd slices out, or correct their headers.",
    source=f"{PLANE}, C.7.6.3.1 (Image Pixel)",
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("pixel_spacing_mm", "direction", "orthonormal"),
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values")),
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
                yield series.found(context, message, show(common), show(values[odd[0]]), odd, column=keyword)

    return each_series(context, judge)


def _size(values: Iterable[float]) -> str:
    return " x ".join(number(value, 6) for value in values)


@rule(
    "CTS004",
    "image-size-unpublished",
    WARNING,
    title="Images are not of the published size",
    why="The published images are all of one size; another means a crop or a resampled copy.",
    fix="Resampled or cropped: fetch the series again, or state the size in the profile.",
    source="published description: rows and columns",
    tables=TABLES,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "image-values", "completeness")),
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
            yield series.found(context, message, expected, observed, count=len(series.slices), examples=())

    return each_series(context, judge)


@rule(
    "CTS005",
    "orientation-invalid",
    ERROR,
    title="ImageOrientationPatient is not two orthogonal unit vectors",
    why="The slice normal, and with it every position, volume and left-right direction, comes from these two vectors. The stack of such a series is not judged further.",
    fix="Correct ImageOrientationPatient from the scanner's original.",
    source=PLANE,
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("orthonormal",),
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values")),
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
            yield series.found(context, message, expected, observed, wrong)

    return each_series(context, judge)


@rule(
    "CTS006",
    "not-axial",
    WARNING,
    title="The slices are not axial",
    why="The collection is axial; coronal, sagittal or strongly oblique series are reformats. A stack along z whose slices alone are tilted is CTS010's.",
    fix="Use the original axial series.",
    source=PLANE,
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("axial_degrees",),
    seen=Seen(reformat=Plane.SAGITTAL),
    spoils=Spoils(care=("segmentation", "image-values")),
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
            yield series.found(context, message, f"at most {number(limit)} degrees", observed, examples=())

    return each_series(context, judge)


@rule(
    "CTS013",
    "spacing-unpublished",
    WARNING,
    title="Spacing outside the published range",
    why="A spacing that the published description does not have points to a resampled or foreign series, or a wrong unit.",
    fix="Compare with the original series; correct the header or the description.",
    source="published description: spacing min and max",
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("published_spacing_fraction",),
    spoils=Spoils(care=("segmentation", "volumetry", "image-values", "completeness")),
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
            "slice spacing": (None if stack is None or series.stretches else stack.spacing, between),
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
            yield series.found(context, f"Outside the published range: {observed}.", expected, observed, examples=())

    return each_series(context, judge)


@rule(
    "CTS017",
    "not-supine",
    INFO,
    title="The patient did not lie supine, or PatientPosition contradicts the orientation",
    why="Models trained on supine scans fail on others unless they are told; a contradiction means that left and right, or front and back, are swapped in one of the two. Images stored bottom row first, whose rows x columns point to the feet, are legal, and their orientation is not held against PatientPosition.",
    fix="Nothing for a prone scan; for a contradiction find out how the patient lay and correct the attribute.",
    source="DICOM PS3.3 C.7.3.1.1.2 (Patient Position), C.7.6.2.1.1",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(At.LIVER),
    spoils=Spoils(care=("segmentation",)),
)
def not_supine(context: Context) -> Checked:
    """Every CT series with a patient position or an orientation."""

    def judge(series: CtSeries) -> Iterable[Found]:
        position = text(series.common("patient_position"))
        lies = None if series.stack is None or series.orientation is None else _lies(series.orientation)
        told = {"S": "supine", "P": "prone", "R": "on the right side", "L": "on the left side"}.get(
            (position or "?")[-1]
        )
        if position is not None and position not in _TERMS:
            told = None
        if told is not None and lies is not None and told != lies:
            message = f"PatientPosition {position} says {told}, ImageOrientationPatient {lies}."
            yield series.found(
                context, message, f"{lies}, as the orientation says", f"{position}", examples=(), severity=ERROR
            )
        elif (told or lies or "supine") != "supine":
            message = f"The patient lay {told or lies}."
            shown = "" if position is None else context.show.text(position, _TERMS)
            yield series.found(context, message, "supine", shown or str(lies), examples=())

    return each_series(context, judge)


def _lies(orientation: Floats) -> str | None:
    """How the patient lay if the columns run downward to the table, as an unturned CT image's do.

    Rows x columns of such an image point to the head. Where they point to the feet, the image was stored bottom row first
    or right column first, which is legal and says nothing of how the patient lay.
    """
    x, y = float(orientation[3]), float(orientation[4])
    headward = float(orientation[0] * orientation[4] - orientation[1] * orientation[3])
    if headward <= 0:
        return None
    if abs(y) >= _UPRIGHT:
        return "supine" if y > 0 else "prone"
    if abs(x) >= _UPRIGHT:
        return "on the left side" if x > 0 else "on the right side"
    return None
