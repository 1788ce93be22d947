"""Where the masks lie in the patient and on the CT."""

from __future__ import annotations

import math
from collections.abc import Iterable

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import At, Beside, Seen
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.seg._shared import TABLES, each_liver
from crlm_qc.subjects.columns import SPACING
from crlm_qc.subjects.ct import need_pixels
from crlm_qc.subjects.hounsfield import is_ruined
from crlm_qc.subjects.masks import Masks, Segment
from crlm_qc.subjects.needs import need_role
from crlm_qc.subjects.placement import Alignment, alignments, holds_liver
from crlm_qc.subjects.words import number

_AXIAL = 0.9
"""How far the normal of slices must point along the patient, for head and feet to be at their ends."""
_LEAST_SLICES = 3


@rule(
    "SEG011",
    "liver-on-the-left",
    ERROR,
    title="The liver lies on the patient's left",
    why="The mask, or image and mask together, are mirrored: left and right are swapped for whoever uses them. CT values under the mask, where they were read, say which.",
    fix="Mirror the mask, or image and mask; see whether stomach and spleen lie on the right too.",
    source="DICOM PS3.3 C.7.6.2.1.1: x of patient coordinates grows to the patient's left",
    tables=(*TABLES, "alignments", "borders"),
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("laterality_mm",),
    seen=Seen(At.LIVER, beside=Beside.SIDES),
    spoils=Spoils(out=("segmentation",)),
)
def liver_on_the_left(context: Context) -> Checked:
    """Every liver whose CT has positions, against the middle of the image."""

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        leftward = _leftward(masks, liver)
        if leftward is None or leftward <= context.tolerances.laterality_mm:
            return
        observed = f"{number(leftward, 1)} mm to the left of the image's middle"
        message = f"The liver's centroid lies {observed}."
        if alignment := _alignment(context, masks, liver):
            gain = alignment.gain(_orientation(masks))
            message += f" The mask fits the CT better elsewhere: {gain}." if gain else " It fits the CT as it lies."
        yield liver.found(context, message, "to the right of it", observed)

    return each_liver(context, judge)


def _leftward(masks: Masks, liver: Segment) -> float | None:
    """How far the liver's centroid lies to the left of the image's middle, mm; None if it can't be told."""
    import numpy as np

    ct, centroid = masks.dso.ct, _centroid(masks, liver)
    if ct is None or ct.stack is None or ct.orientation is None or masks.dso.foreign:
        return None
    size = [ct.common(column) for column in ("rows", "columns", *SPACING)]
    corners = ct.slices["position_x"][np.isfinite(ct.slices["position_x"])]
    if None in size or not len(corners):
        return None
    rows, columns, between_rows, between_columns = map(float, size)
    along_row = ct.orientation[0] * (columns - 1) / 2 * between_columns
    along_column = ct.orientation[3] * (rows - 1) / 2 * between_rows
    leftward = centroid - (float(np.median(corners)) + along_row + along_column)
    # A liver beyond the image was moved, not mirrored; images without a size have no middle.
    within = abs(leftward) <= abs(along_row) + abs(along_column) + between_columns
    return float(leftward) if min(between_rows, between_columns) > 0 and within else None


def _centroid(masks: Masks, liver: Segment) -> float:
    """The liver's centroid along x, mm; where others are cut out of it (SEG018), with remnant and tumours."""
    held = [liver, *masks.of(REMNANT, TUMOUR)] if masks.exclusive else [liver]
    return sum(float(one.row["centroid_x"]) * one.voxels for one in held) / sum(one.voxels for one in held)


def _alignment(context: Context, masks: Masks, liver: Segment) -> Alignment | None:
    """The liver laid over the CT at several places; None if it was not, or frames (DSO011) or CT values (CTS025) are wrong."""
    if not masks.placed(liver) or is_ruined(context, masks.dso.ct):
        return None
    return alignments(context).get((masks.dso.path, liver.number))


def _orientation(masks: Masks) -> list[float] | None:
    ct = masks.dso.ct
    return None if ct is None or ct.orientation is None else ct.orientation.tolist()


@rule(
    "SEG012",
    "liver-values",
    ERROR,
    title="CT values inside the liver are not liver",
    why="Mask and image do not match: another patient's, a mask far off, or wrong slope and intercept. A mask that fits close by, mirrored or upside down is SEG013's (mirrored to the patient's left SEG011's), invalid slopes are CTS015's, values that are wrong throughout CTS025's, frames beside their slices DSO011's.",
    fix="Lay the mask over the CT; look at references, positions and RescaleIntercept.",
    source="liver in the portal venous phase: about 80 to 130 HU, a fatty one 10 to 50 HU",
    tables=(*TABLES, "alignments", "borders"),
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    tolerances=("liver_below_fraction",),
    seen=Seen(At.LIVER, beside=Beside.PLACEMENT),
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry", "lesion-counts", "clinical-pairing")),
)
def liver_values(context: Context) -> Checked:
    """Every liver whose CT values were measured."""
    need_pixels(context)
    need_role(context, LIVER)
    span, limit = context.profile.plausible["liver_hu"], context.tolerances.liver_below_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        alignment = _alignment(context, masks, liver)
        if holds_liver(context, liver.row) or (alignment is not None and alignment.best is not None):
            return
        median, other, noise = (float(liver.row[name]) for name in ("hu_median", "hu_other", "hu_noise"))
        far = "below -10 HU by more than twice the noise"
        observed = f"median {number(median, 1)} HU, {number(100 * other, 1)}% {far} of {number(noise, 1)} HU"
        expected = f"median {number(span.min)} to {number(span.max)} HU, at most {number(100 * limit)}% {far}"
        yield liver.found(context, f"The liver's mask holds other tissue: {observed}.", expected, observed)

    def examined(masks: Masks, liver: Segment) -> bool:
        return not math.isnan(liver.row["hu_median"]) and masks.placed(liver) and not is_ruined(context, masks.dso.ct)

    return each_liver(context, judge, examined)


@rule(
    "SEG013",
    "masks-displaced",
    WARNING,
    title="The masks fit the CT clearly better elsewhere: shifted, mirrored, turned or upside down",
    why="The masks lie on the wrong anatomy: slices counted from another one or in reverse order, rows or columns mirrored, shifted or swapped. An error where CT values as stored are not a liver's; where none of the placements is better either, that is SEG012's. A liver on the patient's left is SEG011's. Shifts from about 2 mm on are told by where CT values show the liver's border; where it lies among tissue of its own CT value, nothing is said.",
    fix="Lay the masks over the CT, and write the object again from the right slices, rows and columns.",
    source="CT values at each placement: how far those under the mask spread about their median, how many are below -10 HU, and how like them those just outside are; and where along each axis they turn from the liver's to those of its surroundings, on both sides",
    tables=(*TABLES, "alignments", "borders"),
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    tolerances=(
        "alignment_spread_hu",
        "alignment_below_fraction",
        "alignment_alike_fraction",
        "alignment_overlap_fraction",
        "alignment_voxels",
        "border_mm",
        "border_slice_mm",
        "border_pixels",
        "border_slices",
        "border_told_fraction",
        "border_faces",
        "border_side_fraction",
        "border_corrected_fraction",
        "border_part_fraction",
        "border_step_mm",
        "liver_below_fraction",
        "liver_noise_hu",
        "laterality_mm",
    ),
    seen=Seen(At.LIVER, beside=Beside.PLACEMENT),
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry",)),
)
def masks_displaced(context: Context) -> Checked:
    """Every liver that was laid over the CT at several places."""
    need_pixels(context)
    limits = context.tolerances

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        alignment, leftward = _alignment(context, masks, liver), _leftward(masks, liver)
        if alignment is None or alignment.best is None or (leftward is not None and leftward > limits.laterality_mm):
            return
        orientation = _orientation(masks)
        gain = alignment.gain(orientation)
        yield liver.found(
            context,
            f"The liver's mask {alignment.fault(orientation)}: {gain}.",
            f"no placement with a spread lower by over {number(limits.alignment_spread_hu)} HU and "
            f"{number(100 * limits.alignment_below_fraction, 1)}% less below -10 HU, or less like what lies around it",
            gain,
            severity=None if holds_liver(context, liver.row) else ERROR,
        )

    return each_liver(context, judge, lambda masks, liver: _alignment(context, masks, liver) is not None)


@rule(
    "SEG022",
    "upside-down-together",
    WARNING,
    title="More lung lies about the feet end of the liver than about its head end",
    why="Image and masks may be upside down together: slices and frames have each other's positions, and so the patient is a mirror image that no other rule can tell, as masks and image agree. Masks alone upside down are SEG013's.",
    fix="Look at a coronal view: lungs and heart are above the liver. Compare positions with InstanceNumber, and write image and masks again.",
    source="anatomy: the liver lies below the diaphragm; DICOM PS3.3 C.7.6.2.1.1: z of patient coordinates grows to the head",
    tables=(*TABLES, "alignments", "borders"),
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    tolerances=("lung_reach_mm", "lung_fraction"),
    seen=Seen(At.LIVER, reformat=Plane.CORONAL),
    spoils=Spoils(care=("segmentation", "image-values")),
)
def upside_down_together(context: Context) -> Checked:
    """Every liver on an axial CT with slices about both ends of it."""
    need_pixels(context)

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        lung, alignment = _lung(context, masks, liver), _alignment(context, masks, liver)
        if lung is None or (alignment is not None and alignment.best is not None):
            return
        head, feet = lung
        if feet - head > context.tolerances.lung_fraction:
            observed = f"{number(100 * feet, 1)}% at the feet end, {number(100 * head, 1)}% at the head end"
            message = (
                f"Of the images about the liver, lung fills {observed}: image and masks may be upside down together."
            )
            yield liver.found(context, message, "more lung about the liver's head end", observed)

    return each_liver(context, judge, lambda masks, liver: _lung(context, masks, liver) is not None)


def _lung(context: Context, masks: Masks, liver: Segment) -> tuple[float, float] | None:
    """How much of the images is lung about the head and the feet end of the liver: a third of it, and what lies beyond."""
    import numpy as np

    ct = masks.dso.ct
    if (
        ct is None
        or ct.stack is None
        or masks.dso.foreign
        or not masks.placed(liver)
        or abs(ct.stack.normal[2]) < _AXIAL
        or is_ruined(context, ct)
    ):
        return None
    half = float(liver.row["n_planes"]) * ct.stack.spacing / 2
    above = ct.slices["position_z"] - float(liver.row["centroid_z"])
    near = (np.abs(above) > half / 3) & (np.abs(above) < half + context.tolerances.lung_reach_mm)
    lung = ct.slices["hu_lung"]
    ends = [lung[near & (sign * above > 0) & np.isfinite(lung)] for sign in (1, -1)]
    if min(map(len, ends)) < _LEAST_SLICES:
        return None
    return float(ends[0].mean()), float(ends[1].mean())
