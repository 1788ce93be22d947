"""Volumes of liver, tumours and vessels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from crlm_qc.collection.profile import LIVER, TUMOUR, Span
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.sight import At, Seen
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.seg._shared import PUBLISHED, TABLES, each_liver, each_masks, ml, ml_between
from crlm_qc.subjects.ct import thickness_of
from crlm_qc.subjects.masks import Masks, Segment
from crlm_qc.subjects.needs import need_role, published
from crlm_qc.subjects.words import number


def _outside(masks: Masks, liver: Segment, span: Span, fraction: float) -> str | None:
    """The liver's volume in words, where it is outside of a range however it is told; None where it may be inside, or is not known."""
    least, most = masks.volumes(liver)
    told = (least, most, most - liver.volume + liver.spread)
    if masks.scaled or not masks.one_spacing or liver.volume != liver.volume:
        return None
    low, high = (1 - fraction) * span.min, (1 + fraction) * span.max
    if not (max(told) < low or min(told) > high):
        return None
    if not masks.exclusive:
        return ml(liver.volume)
    return f"{ml(liver.volume)}, with what fills its holes {ml_between(least, most)}"


@rule(
    "SEG001",
    "liver-volume-impossible",
    ERROR,
    title="Impossible liver volume",
    why="No adult liver has it: the mask is cut, or spacing or segment are wrong. A PixelSpacing that is not the CT's is DSO013's, frames on top of each other are DSO011's or DSO020's. Where the segments exclude each other (SEG018), remnant, tumours and vessels count as liver.",
    fix="Look at the mask and at the spacing of CT and segmentation.",
    source="anatomy: bounds of the profile, wider than the published range",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(out=("segmentation", "volumetry"), care=("image-values",)),
)
def liver_volume_impossible(context: Context) -> Checked:
    """Every liver."""
    need_role(context, LIVER)
    span = context.profile.plausible["liver_volume_ml"]

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        volume = _outside(masks, liver, span, 0.0)
        if volume is not None:
            yield liver.found(context, f"The liver has {volume}.", f"{number(span.min)} to {ml(span.max)}", volume)

    return each_liver(context, judge)


@rule(
    "SEG002",
    "liver-volume-unpublished",
    WARNING,
    title="Liver volume outside the published range",
    why="The published range covers every patient, so this is not the published mask. Impossible volumes are SEG001's. Where the segments exclude each other (SEG018), remnant, tumours and vessels count as liver.",
    fix="Compare the mask with the published one, or correct the description.",
    source=PUBLISHED,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("published_volume_fraction",),
    seen=Seen(),
    spoils=Spoils(care=("segmentation", "volumetry", "completeness")),
)
def liver_volume_unpublished(context: Context) -> Checked:
    """Every liver of a possible volume."""
    need_role(context, LIVER)
    span = published(context.profile.published.liver_volume_ml, "liver volumes")
    possible = context.profile.plausible["liver_volume_ml"]
    fraction = context.tolerances.published_volume_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        volume = _outside(masks, liver, span, fraction)
        if volume is not None and _outside(masks, liver, possible, 0.0) is None:
            yield liver.found(context, f"The liver has {volume}.", _published(span, fraction), volume)

    return each_liver(context, judge)


def _published(span: Span, fraction: float) -> str:
    return f"{number(span.min, 2)} to {ml(span.max)}, within {number(100 * fraction)}%"


def _tumour_volume(masks: Masks) -> float:
    """Volume of all tumours together, mL; what two of them share counts once. NaN if one is not known."""
    tumours = masks.of(TUMOUR)
    total = sum(segment.volume for segment in tumours)
    for one, other in combinations(tumours, 2):
        total -= masks.overlap(one, other) * one.volume / one.voxels
    return total


def _fills_liver(masks: Masks) -> bool:
    """Whether the tumours are as large as the liver; never where the liver's mask leaves them out (SEG018)."""
    liver = masks.liver()
    if liver is None or masks.exclusive or not masks.of(TUMOUR):
        return False
    return _tumour_volume(masks) >= liver.volume * (1 - 1e-9)


@rule(
    "SEG003",
    "tumour-volume-unpublished",
    WARNING,
    title="Total tumour volume outside the published range",
    why="The published range covers every patient, so these are not the published masks. Tumours as large as the liver are SEG004's.",
    fix="Compare the masks with the published ones, or correct the description.",
    source=PUBLISHED,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("published_volume_fraction",),
    seen=Seen(At.LIVER),
    spoils=Spoils(care=("segmentation", "volumetry", "lesion-counts", "completeness")),
)
def tumour_volume_unpublished(context: Context) -> Checked:
    """Every object with a tumour."""
    need_role(context, TUMOUR)
    span = published(context.profile.published.tumour_volume_ml, "tumour volumes")
    fraction = context.tolerances.published_volume_fraction

    def judge(masks: Masks) -> Iterable[Found]:
        tumours = masks.of(TUMOUR)
        if (
            masks.scaled
            or not masks.one_spacing
            or not tumours
            or _fills_liver(masks)
            or any(tumour.piled for tumour in tumours)
        ):
            return
        volume = _tumour_volume(masks)
        if volume == volume and not span.holds(volume, fraction * (span.min if volume < span.min else span.max)):
            message = f"The tumours together have {ml(volume)}."
            expected = _published(span, fraction)
            yield masks.dso.found(context, message, expected, ml(volume))

    return each_masks(context, judge)


@rule(
    "SEG004",
    "tumours-fill-liver",
    ERROR,
    title="The tumours are not smaller than the liver",
    why="Tumours are part of the liver; as large as it, one of the masks is wrong, or the labels are swapped. Not told where the liver's mask leaves the tumours out (SEG018).",
    fix="Look at the masks and labels of liver and tumours.",
    source="published description: the tumours segmented are those of the liver",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(At.LIVER),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts")),
)
def tumours_fill_liver(context: Context) -> Checked:
    """Every liver with tumours."""
    need_role(context, LIVER, TUMOUR)

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        if _fills_liver(masks) and not liver.piled:
            volume = _tumour_volume(masks)
            message = f"The tumours together have {ml(volume)}, the liver {ml(liver.volume)}."
            yield liver.found(context, message, f"tumours below {ml(liver.volume)}", ml(volume))

    return each_liver(context, judge)


@rule(
    "SEG017",
    "thickness-volume-differs",
    INFO,
    title="Volume by SliceThickness would be off",
    why="Slices overlap or leave gaps (CTS012): tools that multiply by SliceThickness get volumes that are wrong by that part.",
    fix="Nothing; compute volumes with the spacing from positions.",
    source="DICOM PS3.3 C.7.6.16.2.1 (Pixel Measures: Slice Thickness, Spacing Between Slices)",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("thickness_volume_fraction",),
    spoils=Spoils(care=("volumetry",)),
)
def thickness_volume_differs(context: Context) -> Checked:
    """Every object whose CT has a slice spacing: by its own SliceThickness, and by the CT's."""
    import numpy as np

    limit = context.tolerances.thickness_volume_fraction

    def judge(masks: Masks) -> Iterable[Found]:
        ct = masks.dso.ct
        if ct is None or ct.stack is None or masks.dso.foreign or not masks.one_spacing:
            return
        if not np.isfinite(ct.stack.spacing):
            return
        spacing = ct.stack.spacing
        thickness = {"the object's": masks.dso.row["slice_thickness"], "the CT's": thickness_of(context, ct)}
        off = {
            whose: float(value)
            for whose, value in thickness.items()
            if value is not None and abs(value / spacing - 1) > limit
        }
        words = [
            f"{number(100 * (value / spacing - 1), 1)}% by {whose} SliceThickness of {number(value)} mm"
            for whose, value in off.items()
        ]
        if words:
            message = _by_thickness(off, spacing, masks.of(LIVER)[:1])
            expected = f"within {number(100 * limit)}%"
            yield masks.dso.found(context, message, expected, "; ".join(words))

    return each_masks(context, judge)


def _by_thickness(off: Mapping[str, float], spacing: float, livers: Sequence[Segment]) -> str:
    """What a SliceThickness that is not the slice spacing makes of the liver's volume, or of any."""
    whose: dict[float, list[str]] = {}
    for name, value in off.items():
        whose.setdefault(value, []).append(name)
    said = {value: f"With {' and '.join(names)} SliceThickness ({number(value)} mm)" for value, names in whose.items()}
    if not livers or not livers[0].volume > 0:
        parts = [
            f"{words} volumes come out {number(100 * abs(value / spacing - 1), 1)}% too {'large' if value > spacing else 'small'}"
            for value, words in said.items()
        ]
        return f"{', '.join(parts)}; the slices are {number(spacing)} mm apart.".replace(", With", ", with")
    volume = livers[0].volume
    parts = [f"{words} the liver comes out at {ml(volume * value / spacing)}" for value, words in said.items()]
    return f"{', '.join(parts)}; by positions ({number(spacing)} mm) it has {ml(volume)}.".replace(", With", ", with")
