"""Size, orientation and spacing of the frames, compared with the CT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import At, Seen
from crlm_qc.model.words import listed
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.dso._shared import IMAGE, WITH_CT, absent, each_on_its_ct
from crlm_qc.subjects.columns import ORIENTATION, SPACING
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso, plane_differs
from crlm_qc.subjects.words import directions, lengths, number, whole


@rule(
    "DSO002",
    "image-size-differs",
    ERROR,
    title="Rows or Columns differ from the CT",
    why="A mask of another size does not cover the CT voxel by voxel: tools resample it silently or fail.",
    fix="Write the masks in the CT's matrix.",
    source=IMAGE,
    tables=WITH_CT,
    scope=Scope.PATIENT,
    seen=Seen(At.LIVER),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values")),
)
def image_size_differs(context: Context) -> Checked:
    """Every object with its CT, by the size that most slices have."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        own = (whole(dso.row["rows"]), whole(dso.row["columns"]))
        if dso.transposed:
            own = own[::-1]
        theirs = (whole(ct.common("rows")), whole(ct.common("columns")))
        if None not in theirs and own != theirs:
            observed = " x ".join("missing" if value is None else str(value) for value in own)
            expected = f"{theirs[0]} x {theirs[1]}"
            yield dso.found(context, f"The frames are {observed}, the CT slices {expected}.", expected, observed)

    return each_on_its_ct(context, judge)


@rule(
    "DSO012",
    "orientation-differs",
    ERROR,
    title="Orientation differs from the CT's",
    why="A mask whose rows and columns run in other directions than the CT's is mirrored or turned where it is laid on by index. Silent where the object is stored so that its voxels are the CT's all the same, as it may be.",
    fix="Write the masks in the CT's orientation.",
    source="DICOM PS3.3 C.7.6.16.2.4 (Plane Orientation)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    tolerances=("direction",),
    seen=Seen(At.LIVER),
    spoils=Spoils(out=("segmentation", "image-values")),
)
def orientation_differs(context: Context) -> Checked:
    """Every frame of objects whose CT has a valid orientation."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        if ct.orientation is None or (ct.stack is None and ct.one_spacing):
            return ()
        theirs = ct.orientation.tolist()
        return _plane_differs(
            context, dso, ORIENTATION, theirs, context.tolerances.direction, "ImageOrientationPatient"
        )

    return each_on_its_ct(context, judge)


@rule(
    "DSO013",
    "pixel-spacing-differs",
    ERROR,
    title="PixelSpacing differs from the CT's",
    why="Volumes and diameters of the segments come out wrong, and the mask drifts off the anatomy towards the image's edge.",
    fix="Take PixelSpacing from the CT.",
    source="DICOM PS3.3 C.7.6.16.2.1 (Pixel Measures)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    tolerances=("pixel_spacing_mm",),
    seen=Seen(At.LIVER),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values")),
)
def pixel_spacing_differs(context: Context) -> Checked:
    """Every frame."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        common = [ct.common(column) for column in SPACING]
        if None in common:
            return ()
        return _plane_differs(context, dso, SPACING, common, context.tolerances.pixel_spacing_mm, "PixelSpacing")

    return each_on_its_ct(context, judge)


def _plane_differs(
    context: Context,
    dso: Dso,
    columns: Sequence[str],
    theirs: Sequence[float],
    tolerance: float,
    keyword: str,
) -> Iterator[Found]:
    import numpy as np

    differs = plane_differs(dso, columns, theirs, tolerance)
    if not differs.any():
        return
    wrong = dso.frames.matrix(columns)[differs]
    show, unit = (lengths, " mm") if keyword == "PixelSpacing" else (directions, "")
    expected = show(theirs)
    observed = show(wrong[0]) if np.isfinite(wrong[0]).all() else absent(dso, keyword)
    which = "all frames" if differs.all() else dso.frames_by_segment(context, differs)
    message = f"{keyword} of {which} is {observed}, the CT's {expected}."
    within = f"{expected}, within {number(tolerance, 6)}{unit}"
    yield dso.found(context, message, within, observed, count=int(differs.sum()))


@rule(
    "DSO032",
    "slice-spacing-differs",
    WARNING,
    title="SpacingBetweenSlices or SliceThickness contradict the CT",
    why="Readers that go by these numbers and not by positions stretch or squash the mask along z, and compute wrong volumes. SpacingBetweenSlices may be absent; a missing SliceThickness is DSO035's. SliceThickness may be the CT's own, or the slice spacing, as dcmqi writes it.",
    fix="Write the distance of the CT's slices, from their positions; SpacingBetweenSlices may be left out.",
    source="DICOM PS3.3 C.7.6.16.2.1 (Pixel Measures: Spacing Between Slices, not negative; Slice Thickness)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    tolerances=("spacing_mm", "spacing_fraction"),
    seen=Seen(),
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def slice_spacing_differs(context: Context) -> Checked:
    """Every object that gives one of the two in any Pixel Measures item, shared or of a frame, and whose CT has a slice spacing."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        spacing = float("nan") if ct.stack is None or not ct.one_spacing else ct.stack.spacing
        slack = 0.0 if ct.stack is None else ct.stack.tolerance
        thickness = sorted(set(ct.slices["slice_thickness"][ct.slices.present("slice_thickness")].tolist()))
        allowed = {
            "SpacingBetweenSlices": ("spacing_between_slices", [spacing]),
            "SliceThickness": ("slice_thickness", [spacing, *thickness]),
        }
        for keyword, (column, right) in allowed.items():
            found = _wrong_lengths(context, dso, keyword, column, right, slack)
            if found is not None:
                yield found

    def examined(dso: Dso, _: CtSeries) -> bool:
        given = any(dso.frames.present(column).any() for column in ("spacing_between_slices", "slice_thickness"))
        return given or not dso.malformed.isdisjoint({"SpacingBetweenSlices", "SliceThickness"})

    return each_on_its_ct(context, judge, examined)


def _wrong_lengths(
    context: Context, dso: Dso, keyword: str, column: str, right: Sequence[float], slack: float
) -> Found | None:
    """A finding where a length of the Pixel Measures is not above 0, or none of the right ones."""
    import numpy as np

    known = [value for value in right if np.isfinite(value)]
    expected = f"{listed([f'{number(value)} mm' for value in dict.fromkeys(known)])}, within {number(slack)} mm"
    values = dso.frames[column]
    wrong = dso.frames.present(column) & ~(values > 0)
    if known and np.isfinite(right[0]):
        away = np.abs(values[:, None] - np.array(known)[None, :]).min(axis=1)
        wrong |= away > slack
    if wrong.any():
        shown = listed([f"{number(value)} mm" for value in np.unique(values[wrong]).tolist()])
        which = "all frames" if wrong.all() else dso.frames_by_segment(context, wrong)
        theirs = f"the CT's slices are {number(right[0])} mm apart" if np.isfinite(right[0]) else "a length is above 0"
        message = f"{keyword} of {which} is {shown}, and {theirs}."
        expected = expected if np.isfinite(right[0]) else "above 0 mm"
        places = () if wrong.all() else dso.first(wrong)
        return dso.found(context, message, expected, shown, column=keyword, count=int(wrong.sum()), places=places)
    if keyword in dso.malformed:
        return dso.found(context, f"{keyword} is malformed.", "a length in mm", "malformed", column=keyword)
    return None
