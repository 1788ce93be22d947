"""SEG: what the masks hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crlm_qc.model.finding import Found
from crlm_qc.model.profile import LIVER, REMNANT, TUMOUR, VESSEL, Span
from crlm_qc.model.rule import Checked, Context, Skip, rule
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.rules._collection import need_role, published
from crlm_qc.rules._pairs import SPACING, Dso, measured, need_pixels, plane_differs, sources_of
from crlm_qc.rules._placement import Alignment, alignments, is_liver
from crlm_qc.rules._words import listed, number, plural, text, whole

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

_SOURCE = "DICOM PS3.3 C.8.20.2 (Segmentation Image)"
_PUBLISHED = "published description: volumes of liver and tumour"
_TABLES = ("dsos", "frames", "segments", "segment_pairs", "slices", "references", "files")
_MIDDLE = 0.5
"""Part of what lies around a tumour or vessel that must be liver for it to fill a hole of the liver."""
_STEADY = 0.75
"""`frames.jump` above which a mask does not go with those beside it: one from two slices farther has 1, a steady outline 0.5."""
_HALF = 0.5
"""Part of Maximum Fractional Value from which on a voxel of a FRACTIONAL segment counts."""


@dataclass(frozen=True)
class Segment:
    """A measured segment."""

    dso: Dso
    number: int
    role: str | None
    label: str
    """As a finding names it."""
    row: Mapping[str, Any]
    laid: int
    """Frames of it that hold a voxel; 0 where that can't be told."""
    drawn: int
    """Voxels of all its frames, those that lie on top of each other counted as often; 0 where that can't be told."""

    @property
    def voxels(self) -> int:
        """Set voxels."""
        return whole(self.row["voxels"]) or 0

    @property
    def volume(self) -> float:
        """Volume, mL; NaN if it could not be computed."""
        return float(self.row["volume_ml"])

    @property
    def piled(self) -> bool:
        """Whether frames of it lie on top of each other (DSO011, DSO020), so that it is on fewer slices than it was drawn on."""
        return self.laid > (whole(self.row["n_planes"]) or 0)

    @property
    def spread(self) -> float:
        """Volume that it would have if no frames lay on top of each other, mL."""
        return self.volume * max(self.drawn, self.voxels) / self.voxels if self.piled else self.volume

    def found(
        self,
        context: Context,
        message: str,
        expected: str,
        observed: str,
        *,
        count: int = 1,
        examples: Sequence[str] = (),
        severity: Severity | None = None,
    ) -> Found:
        """A finding on the segment."""
        subject = self.dso.subject(context, self.number)
        message = f"{message[0].upper()}{message[1:]}"
        return Found(subject, message, expected, observed, self.dso.patient, count, tuple(examples[:5]), severity)


@dataclass(frozen=True)
class Masks:
    """The measured segments of one object, those without a voxel (DSO019) or with a number of another (DSO017) left out."""

    dso: Dso
    segments: tuple[Segment, ...]
    overlaps: dict[tuple[int, int], int]
    """Voxels that two segments share, by their numbers, the lower first."""
    misplaced: frozenset[int]
    """Segments with frames that lie elsewhere than their source slice (DSO011), or that have no place (DSO012, DSO014)."""
    scaled: bool
    """Whether the object's pixel spacing is not the CT's (DSO013), so that its volumes say nothing of the anatomy."""

    def of(self, *roles: str) -> list[Segment]:
        """Segments of some roles."""
        return [segment for segment in self.segments if segment.role in roles]

    def liver(self) -> Segment | None:
        """The liver, if there is just one (DSO025, DSO026)."""
        livers = self.of(LIVER)
        return livers[0] if len(livers) == 1 else None

    def overlap(self, one: Segment, other: Segment) -> int:
        """Voxels that two segments share."""
        return self.overlaps.get((min(one.number, other.number), max(one.number, other.number)), 0)

    def identical(self, one: Segment, other: Segment) -> bool:
        """Whether two segments hold the same voxels (SEG014)."""
        return self.overlap(one, other) == one.voxels == other.voxels

    def placed(self, *segments: Segment) -> bool:
        """Whether all frames of some segments lie on their source slices, so that overlaps mean something."""
        return not any(segment.number in self.misplaced for segment in segments)

    @cached_property
    def parts(self) -> list[Segment]:
        """Segments that are parts of the liver, or lie in it: remnant, tumours and vessels."""
        return self.of(REMNANT, TUMOUR, VESSEL)

    @cached_property
    def exclusive(self) -> bool:
        """Whether the object keeps one label a voxel (SEG018), so that parts of the liver are holes of its mask.

        A label map does by its nature. Another object does if no two segments share a voxel, and one that should lie in
        the liver has liver around it.
        """
        liver = self.liver()
        if liver is None or not self.parts:
            return False
        if self.dso.is_label_map:
            return True
        return not self.overlaps and self.placed(liver, *self.parts) and any(_fills(part) for part in self.parts)

    def volumes(self, liver: Segment) -> tuple[float, float]:
        """Least and greatest volume that the liver may have, mL: of an exclusive object with what fills its holes.

        How much of the vessels lies in the liver is not known there.
        """
        if not self.exclusive:
            return liver.volume, liver.volume
        least = liver.volume + sum(part.volume for part in self.parts if part.role != VESSEL and not _apart(part))
        return least, least + sum(part.volume for part in self.of(VESSEL))


def _fills(part: Segment) -> bool:
    """Whether a segment that shares no voxel with the liver has the liver around it, or is cut off from it."""
    rim = float(part.row["rim_in_liver"])
    return rim > 0 if part.role == REMNANT else rim >= _MIDDLE


def _apart(part: Segment) -> bool:
    """Whether a segment that shares no voxel with the liver touches neither it nor anything in it."""
    return float(part.row["rim_in_liver"]) == 0


def _masks(context: Context) -> list[Masks]:
    """Every object whose masks were measured.

    Raises
    ------
    Skip
        There is none.
    """
    dsos = measured(context)
    return context.once("masks", lambda: _of_objects(context, dsos))


def _of_objects(context: Context, dsos: list[Dso]) -> list[Masks]:
    overlaps: dict[str, dict[tuple[int, int], int]] = {}
    table = context["segment_pairs"]
    columns = (table[name].tolist() for name in ("dso", "segment_a", "segment_b", "overlap_voxels"))
    for path, one, other, voxels in zip(*columns, strict=True):
        overlaps.setdefault(path, {})[int(one), int(other)] = int(voxels)
    return [_of_object(context, dso, overlaps.get(dso.path, {})) for dso in dsos]


def _of_object(context: Context, dso: Dso, overlaps: dict[tuple[int, int], int]) -> Masks:
    numbers = Counter(whole(row["segment_number"]) for row in dso.declared)
    laid, drawn, misplaced = _frames(context, dso)
    segments = []
    for row in dso.declared:
        value = whole(row["segment_number"])
        # Of two segments with one number it can't be told whose the frames are.
        if value is None or numbers[value] > 1 or not whole(row["voxels"]):
            continue
        label = text(row["label"])
        role = None if label is None else context.profile.role(label)
        frames = (whole(row["n_frames"]) or 0) if dso.is_label_map else laid[value]
        segments.append(Segment(dso, value, role, dso.label(context, value), row, frames, drawn[value]))
    if dso.is_label_map and misplaced:
        # Its frames hold all segments.
        misplaced = {segment.number for segment in segments}
    scaled = False
    if dso.ct is not None:
        common = [dso.ct.common(column) for column in SPACING]
        if None not in common:
            scaled = bool(plane_differs(dso, SPACING, common, context.tolerances.pixel_spacing_mm).any())
    return Masks(dso, tuple(segments), overlaps, frozenset(misplaced), scaled)


def _frames(context: Context, dso: Dso) -> tuple[Counter[int], Counter[int], set[int]]:
    """Frames with a voxel and voxels of each segment, and the segments with frames that lie elsewhere or nowhere.

    A frame of no segment counts as one of -1.
    """
    import numpy as np

    numbers = np.where(np.isnan(dso.numbers), -1, dso.numbers).astype(np.int64)
    voxels = np.nan_to_num(dso.frames["voxels"]).astype(np.int64)
    astray = sources_of(context, dso).displaced | (np.isnan(dso.frames["plane"]) & (voxels > 0))
    laid: Counter[int] = Counter(numbers[voxels > 0].tolist())
    drawn: Counter[int] = Counter()
    for value, count in zip(numbers.tolist(), voxels.tolist(), strict=True):
        drawn[value] += count
    return laid, drawn, set(numbers[astray].tolist())


def _each(context: Context, judge: Callable[[Masks], Iterable[Found]]) -> Checked:
    masks = _masks(context)
    return Checked(len(masks), [found for one in masks for found in judge(one)])


def _each_liver(context: Context, judge: Callable[[Masks, Segment], Iterable[Found]]) -> Checked:
    """Every object with one liver of a known volume.

    Raises
    ------
    Skip
        There is none.
    """
    need_role(context, LIVER)
    livers = [(one, liver) for one in _masks(context) if (liver := one.liver()) is not None]
    if not livers:
        raise Skip("no liver was measured")
    return Checked(len(livers), [found for one, liver in livers for found in judge(one, liver)])


def _ml(value: float) -> str:
    return f"{number(value, 2)} mL"


def _outside(masks: Masks, liver: Segment, span: Span, fraction: float) -> str | None:
    """The liver's volume in words, where it is outside of a range however it is told; None where it may be inside, or is not known."""
    least, most = masks.volumes(liver)
    told = (least, most, most - liver.volume + liver.spread)
    if masks.scaled or liver.volume != liver.volume:
        return None
    low, high = (1 - fraction) * span.min, (1 + fraction) * span.max
    if not (max(told) < low or min(told) > high):
        return None
    if not masks.exclusive:
        return _ml(liver.volume)
    return f"{_ml(liver.volume)}, with what fills its holes {_between(least, most)}"


def _between(least: float, most: float) -> str:
    """A range of volumes; one volume where they are the same as shown."""
    return _ml(least) if number(least, 2) == number(most, 2) else f"{number(least, 2)} to {_ml(most)}"


@rule(
    "SEG001",
    "liver-volume-impossible",
    ERROR,
    title="Impossible liver volume",
    why="No adult liver has it: the mask is cut, or spacing or segment are wrong. A PixelSpacing that is not the CT's is DSO013's, frames on top of each other are DSO011's or DSO020's. Where the segments exclude each other (SEG018), remnant, tumours and vessels count as liver.",
    fix="Look at the mask and at the spacing of CT and segmentation.",
    source="anatomy: bounds of the profile, wider than the published range",
    tables=_TABLES,
    depth=Depth.MASKS,
)
def liver_volume_impossible(context: Context) -> Checked:
    """Every liver."""
    need_role(context, LIVER)
    span = context.profile.plausible["liver_volume_ml"]

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        volume = _outside(masks, liver, span, 0.0)
        if volume is not None:
            yield liver.found(context, f"The liver has {volume}.", f"{number(span.min)} to {_ml(span.max)}", volume)

    return _each_liver(context, judge)


@rule(
    "SEG002",
    "liver-volume-unpublished",
    WARNING,
    title="Liver volume outside the published range",
    why="The published range covers every patient, so this is not the published mask. Impossible volumes are SEG001's. Where the segments exclude each other (SEG018), remnant, tumours and vessels count as liver.",
    fix="Compare the mask with the published one, or correct the description.",
    source=_PUBLISHED,
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("published_volume_fraction",),
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

    return _each_liver(context, judge)


def _published(span: Span, fraction: float) -> str:
    return f"{number(span.min, 2)} to {_ml(span.max)}, within {number(100 * fraction)}%"


def _tumour_volume(masks: Masks) -> float:
    """Volume of all tumours together, mL; what two of them share counts once. NaN if one is not known."""
    tumours = masks.of(TUMOUR)
    total = sum(segment.volume for segment in tumours)
    for place, one in enumerate(tumours):
        for other in tumours[place + 1 :]:
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
    source=_PUBLISHED,
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("published_volume_fraction",),
)
def tumour_volume_unpublished(context: Context) -> Checked:
    """Every object with a tumour."""
    need_role(context, TUMOUR)
    span = published(context.profile.published.tumour_volume_ml, "tumour volumes")
    fraction = context.tolerances.published_volume_fraction

    def judge(masks: Masks) -> Iterable[Found]:
        tumours = masks.of(TUMOUR)
        if masks.scaled or not tumours or _fills_liver(masks) or any(tumour.piled for tumour in tumours):
            return
        volume = _tumour_volume(masks)
        if volume == volume and not span.holds(volume, fraction * (span.min if volume < span.min else span.max)):
            message = f"The tumours together have {_ml(volume)}."
            expected = _published(span, fraction)
            yield Found(masks.dso.subject(context), message, expected, _ml(volume), patient=masks.dso.patient)

    return _each(context, judge)


@rule(
    "SEG004",
    "tumours-fill-liver",
    ERROR,
    title="The tumours are not smaller than the liver",
    why="Tumours are part of the liver; as large as it, one of the masks is wrong, or the labels are swapped. Not told where the liver's mask leaves the tumours out (SEG018).",
    fix="Look at the masks and labels of liver and tumours.",
    source="published description: the tumours segmented are those of the liver",
    tables=_TABLES,
    depth=Depth.MASKS,
)
def tumours_fill_liver(context: Context) -> Checked:
    """Every liver with tumours."""
    need_role(context, LIVER, TUMOUR)

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        if _fills_liver(masks) and not liver.piled:
            volume = _tumour_volume(masks)
            message = f"The tumours together have {_ml(volume)}, the liver {_ml(liver.volume)}."
            yield liver.found(context, message, f"tumours below {_ml(liver.volume)}", _ml(volume))

    return _each_liver(context, judge)


@rule(
    "SEG005",
    "tumour-outside-liver",
    WARNING,
    title="A tumour lies outside the liver",
    why="Tumours of the liver lie in it, and its mask includes them; an error where a tumour lies wholly outside. Frames that lie elsewhere than their slices are DSO011's, frames without a place DSO014's. Where the segments exclude each other (SEG018), only a tumour that touches neither the liver nor what lies in it is told.",
    fix="Look at the tumour's and the liver's masks.",
    source="published description: the tumours segmented are those of the liver",
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("tumour_outside_fraction",),
)
def tumour_outside_liver(context: Context) -> Checked:
    """Every tumour of objects with one liver."""
    need_role(context, LIVER, TUMOUR)
    limit = context.tolerances.tumour_outside_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        for tumour in masks.of(TUMOUR):
            if masks.exclusive and not _apart(tumour):
                continue
            inside = masks.overlap(liver, tumour)
            outside = 1 - inside / tumour.voxels
            if outside > limit and masks.placed(liver, tumour):
                share = f"{number(100 * outside, 1)}%"
                where = "wholly outside the liver" if inside == 0 else f"outside the liver by {share} of its voxels"
                expected = f"at most {number(100 * limit)}% outside"
                yield tumour.found(
                    context,
                    f"{tumour.label} lies {where}.",
                    expected,
                    f"{share} outside",
                    severity=ERROR if inside == 0 else None,
                )

    return _each_liver(context, judge)


def _pairs(segments: Sequence[Segment]) -> list[tuple[Segment, Segment]]:
    return [(one, other) for place, one in enumerate(segments) for other in segments[place + 1 :]]


@rule(
    "SEG006",
    "tumours-overlap",
    WARNING,
    title="Two tumour segments overlap",
    why="A lesion was drawn twice, or a voxel is counted for two: counts and volumes of tumours come out too large. Identical segments are SEG014's.",
    fix="Give each voxel to one tumour, or remove the second drawing.",
    source="published description; public users of the collection leave such patients out",
    tables=_TABLES,
    depth=Depth.MASKS,
)
def tumours_overlap(context: Context) -> Checked:
    """Every pair of tumours of one object; not of one whose segments exclude each other (SEG018)."""
    need_role(context, TUMOUR)

    def judge(masks: Masks) -> Iterable[Found]:
        for one, other in _pairs(masks.of(TUMOUR)):
            shared = masks.overlap(one, other)
            if shared and not masks.identical(one, other) and masks.placed(one, other):
                share = number(100 * shared / min(one.voxels, other.voxels), 1)
                message = f"{one.label} and {other.label} share {plural(shared, 'voxel')} ({share}% of the smaller)."
                yield other.found(context, message, "no voxel in two tumours", plural(shared, "voxel"), count=shared)

    return _each(context, judge)


@rule(
    "SEG007",
    "remnant-contradicts",
    WARNING,
    title="The future remnant leaves the liver, is not smaller than it, or holds tumour",
    why="The remnant is the part of the liver that stays after resection: inside the liver, smaller, and free of the tumours. Not told where the segments exclude each other (SEG018).",
    fix="Look at the remnant's mask.",
    source="published description: the remnant is the planned future liver remnant",
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("remnant_outside_fraction",),
)
def remnant_contradicts(context: Context) -> Checked:
    """Every remnant of objects with one liver; one identical to another segment is SEG014's."""
    need_role(context, LIVER, REMNANT)
    limit = context.tolerances.remnant_outside_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        for remnant in masks.of(REMNANT):
            if masks.exclusive or masks.identical(liver, remnant) or not masks.placed(liver, remnant):
                continue
            words = []
            outside = 1 - masks.overlap(liver, remnant) / remnant.voxels
            if outside > limit:
                words.append(f"{number(100 * outside, 1)}% outside the liver")
            if remnant.voxels >= liver.voxels:
                words.append(f"{_ml(remnant.volume)}, the liver {_ml(liver.volume)}")
            words += [
                f"{plural(shared, 'voxel')} of {tumour.label}"
                for tumour in masks.of(TUMOUR)
                if (shared := masks.overlap(remnant, tumour)) and masks.placed(tumour)
            ]
            if words:
                expected = f"inside the liver (at most {number(100 * limit)}% outside), smaller, without tumour"
                observed = "; ".join(words)
                yield remnant.found(
                    context, f"{remnant.label}: {observed}.", expected, observed, count=len(words), examples=words
                )

    return _each_liver(context, judge)


@rule(
    "SEG008",
    "liver-in-pieces",
    WARNING,
    title="The liver is in pieces",
    why="A liver is one organ; a large second piece is another organ, or the mask misses a slice.",
    fix="Look at the pieces of the mask.",
    source=_SOURCE,
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("liver_pieces_fraction",),
)
def liver_in_pieces(context: Context) -> Checked:
    """Every liver: face-connected components. Of segments that exclude each other (SEG018), all together."""
    limit = context.tolerances.liver_pieces_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        columns = ("largest_component", "components", "voxels")
        together = masks.parts if masks.exclusive else []
        if together:
            columns = ("union_largest", "union_components", "union_voxels")
        largest, components, voxels = (whole(liver.row[column]) for column in columns)
        if largest is None or components is None or not voxels or not masks.placed(liver, *together):
            return
        apart = 1 - largest / voxels
        if apart > limit:
            share = f"{number(100 * (1 - apart), 1)}%"
            message = f"The liver is in {plural(components, 'piece')}; the largest holds {share} of it."
            expected = f"at least {number(100 * (1 - limit))}% in one piece"
            yield liver.found(context, message, expected, share, count=components)

    return _each_liver(context, judge)


@rule(
    "SEG009",
    "specks",
    INFO,
    title="Specks: components of under 10 voxels",
    why="Slips of the brush hardly change a volume, but they do change counts of lesions and surface distances.",
    fix="Remove them when the mask is next edited.",
    source=_SOURCE,
    tables=_TABLES,
    depth=Depth.MASKS,
)
def specks(context: Context) -> Checked:
    """Every segment but the vessels, which rightly come in small pieces, and a liver that others are cut out of (SEG018)."""
    examined = 0

    def judge(masks: Masks) -> Iterable[Found]:
        nonlocal examined
        for segment in masks.segments:
            cut = segment.role == LIVER and masks.exclusive
            if segment.role == VESSEL or cut or not masks.placed(segment):
                continue
            examined += 1
            count = whole(segment.row["specks"]) or 0
            if count:
                message = f"{segment.label} has {plural(count, 'component')} of under 10 voxels."
                yield segment.found(context, message, "none", str(count), count=count)

    findings = _each(context, judge).findings
    return Checked(examined, findings)


@rule(
    "SEG010",
    "mask-at-border",
    WARNING,
    title="A mask touches the image border",
    why="The organ goes on beyond the image, so its volume is too small; or the mask was shifted.",
    fix="Look whether the field of view cuts the organ.",
    source=_SOURCE,
    tables=_TABLES,
    depth=Depth.MASKS,
)
def mask_at_border(context: Context) -> Checked:
    """Every object: one finding for all its segments that touch a border."""

    def judge(masks: Masks) -> Iterable[Found]:
        rows, columns = whole(masks.dso.row["rows"]), whole(masks.dso.row["columns"])
        if rows is None or columns is None:
            return
        words = []
        for segment in masks.segments:
            edges = (
                ("first row", "row_min", 0),
                ("last row", "row_max", rows - 1),
                ("first column", "column_min", 0),
                ("last column", "column_max", columns - 1),
            )
            touched = [name for name, column, at in edges if whole(segment.row[column]) == at]
            if touched:
                words.append(f"{segment.label} ({', '.join(touched)})")
        if words:
            message = f"{plural(len(words), 'segment')} {'touches' if len(words) == 1 else 'touch'} the image border: {listed(words)}."
            yield Found(
                masks.dso.subject(context),
                message,
                "a margin around every segment",
                listed(words),
                masks.dso.patient,
                len(words),
                tuple(words[:5]),
            )

    return _each(context, judge)


@rule(
    "SEG011",
    "liver-on-the-left",
    ERROR,
    title="The liver lies on the patient's left",
    why="The mask, or image and mask together, are mirrored: left and right are swapped for whoever uses them. CT values under the mask, where they were read, say which.",
    fix="Mirror the mask, or image and mask; see whether stomach and spleen lie on the right too.",
    source="DICOM PS3.3 C.7.6.2.1.1: x of patient coordinates grows to the patient's left",
    tables=(*_TABLES, "alignments"),
    depth=Depth.MASKS,
    tolerances=("laterality_mm",),
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

    return _each_liver(context, judge)


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
    """The liver laid over the CT at several places; None if it was not, or its frames lie elsewhere than they say (DSO011)."""
    return alignments(context).get((masks.dso.path, liver.number)) if masks.placed(liver) else None


def _orientation(masks: Masks) -> list[float] | None:
    ct = masks.dso.ct
    return None if ct is None or ct.orientation is None else ct.orientation.tolist()


@rule(
    "SEG012",
    "liver-values",
    ERROR,
    title="CT values inside the liver are not liver",
    why="Mask and image do not match: another patient's, a mask far off, or wrong slope and intercept. A mask that fits close by, mirrored or upside down is SEG013's (mirrored to the patient's left SEG011's), invalid slopes are CTS015's, frames beside their slices DSO011's.",
    fix="Lay the mask over the CT; look at references, positions and RescaleIntercept.",
    source="liver in the portal venous phase: about 80 to 130 HU, a fatty one 10 to 50 HU",
    tables=(*_TABLES, "alignments"),
    depth=Depth.PIXELS,
    tolerances=("liver_below_fraction", "liver_noise_hu"),
)
def liver_values(context: Context) -> Checked:
    """Every liver whose CT values were measured."""
    need_pixels(context)
    need_role(context, LIVER)
    span, limit = context.profile.plausible["liver_hu"], context.tolerances.liver_below_fraction
    examined = 0

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        nonlocal examined
        median, below = float(liver.row["hu_median"]), float(liver.row["hu_below_minus10"])
        if median != median or not masks.placed(liver):
            return
        examined += 1
        alignment = _alignment(context, masks, liver)
        if is_liver(context, median, below) or (alignment is not None and alignment.best is not None):
            return
        observed = f"median {number(median, 1)} HU, {number(100 * below, 1)}% below -10 HU"
        expected = f"median {number(span.min)} to {number(span.max)} HU, at most {number(100 * limit)}% below -10 HU"
        yield liver.found(context, f"The liver's mask holds other tissue: {observed}.", expected, observed)

    findings = _each_liver(context, judge).findings
    return Checked(examined, findings)


@rule(
    "SEG013",
    "masks-displaced",
    WARNING,
    title="The masks fit the CT clearly better elsewhere: shifted, mirrored, turned or upside down",
    why="The masks lie on the wrong anatomy: slices counted from another one or in reverse order, rows or columns mirrored, shifted or swapped. An error where CT values as stored are not a liver's; where none of the placements is better either, that is SEG012's. A liver on the patient's left is SEG011's; shifts of some millimetres can't be told.",
    fix="Lay the masks over the CT, and write the object again from the right slices, rows and columns.",
    source="CT values of liver under the mask at each placement: how far they spread about their median, and how many are below -10 HU",
    tables=(*_TABLES, "alignments"),
    depth=Depth.PIXELS,
    tolerances=(
        "alignment_spread_hu",
        "alignment_below_fraction",
        "alignment_overlap_fraction",
        "alignment_voxels",
        "liver_below_fraction",
        "liver_noise_hu",
        "laterality_mm",
    ),
)
def masks_displaced(context: Context) -> Checked:
    """Every liver that was laid over the CT at several places."""
    need_pixels(context)
    limits = context.tolerances
    examined = 0

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        nonlocal examined
        alignment = _alignment(context, masks, liver)
        if alignment is None:
            return
        examined += 1
        leftward = _leftward(masks, liver)
        if alignment.best is None or (leftward is not None and leftward > limits.laterality_mm):
            return
        gain = alignment.gain(_orientation(masks))
        yield liver.found(
            context,
            f"The liver's mask fits the CT better elsewhere: {gain}.",
            f"no placement with a spread lower by over {number(limits.alignment_spread_hu)} HU and "
            f"{number(100 * limits.alignment_below_fraction, 1)}% less below -10 HU",
            gain,
            severity=None
            if is_liver(context, float(liver.row["hu_median"]), float(liver.row["hu_below_minus10"]))
            else ERROR,
        )

    findings = _each_liver(context, judge).findings
    return Checked(examined, findings)


@rule(
    "SEG014",
    "segments-identical",
    ERROR,
    title="Two segments are identical",
    why="One of the two labels stands for a mask that was lost or written twice.",
    fix="Find the mask that is missing, or remove the second segment.",
    source=_SOURCE,
    tables=_TABLES,
    depth=Depth.MASKS,
)
def segments_identical(context: Context) -> Checked:
    """Every pair of segments of one object."""

    def judge(masks: Masks) -> Iterable[Found]:
        for one, other in _pairs(masks.segments):
            if masks.identical(one, other):
                message = f"{one.label} and {other.label} hold the same {plural(one.voxels, 'voxel')}."
                yield other.found(context, message, "a mask of its own", f"that of {one.label}")

    return _each(context, judge)


@rule(
    "SEG015",
    "tumour-on-one-slice",
    INFO,
    title="A tumour is on one slice only",
    why="A small lesion may be; but a volume and a diameter along z from one slice say little.",
    fix="Look whether the lesion goes on in the neighbouring slices.",
    source=_SOURCE,
    tables=_TABLES,
    depth=Depth.MASKS,
)
def tumour_on_one_slice(context: Context) -> Checked:
    """Every tumour, but for those whose frames lie on top of each other (DSO011, DSO020)."""
    need_role(context, TUMOUR)
    examined = 0

    def judge(masks: Masks) -> Iterable[Found]:
        nonlocal examined
        for tumour in masks.of(TUMOUR):
            if tumour.piled:
                continue
            examined += 1
            if whole(tumour.row["n_planes"]) == 1:
                yield tumour.found(context, f"{tumour.label} is on one slice only.", "two slices or more", "1")

    findings = _each(context, judge).findings
    return Checked(examined, findings)


@rule(
    "SEG016",
    "liver-holes",
    WARNING,
    title="Holes in the liver",
    why="What the liver encloses and no segment fills was left out by a slip: its volume is too small.",
    fix="Fill the holes, or draw what is in them as a segment.",
    source=_SOURCE,
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("liver_hole_ml",),
)
def liver_holes(context: Context) -> Checked:
    """Every liver whose holes were measured: in 3-D, not connected to the outside."""
    limit = context.tolerances.liver_hole_ml

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        voxels = whole(liver.row["hole_voxels"])
        if voxels is None or not masks.placed(liver):
            return
        volume = voxels * liver.volume / liver.voxels
        if volume > limit:
            message = f"The liver encloses holes of {_ml(volume)} that no segment fills."
            yield liver.found(context, message, f"at most {_ml(limit)}", _ml(volume), count=voxels)

    return _each_liver(context, judge)


@rule(
    "SEG017",
    "thickness-volume-differs",
    INFO,
    title="Volume by SliceThickness would be off",
    why="Slices overlap or leave gaps (CTS012): tools that multiply by SliceThickness get volumes that are wrong by that part.",
    fix="Nothing; compute volumes with the spacing from positions.",
    source="DICOM PS3.3 C.7.6.16.2.1 (Pixel Measures: Slice Thickness, Spacing Between Slices)",
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("thickness_volume_fraction",),
)
def thickness_volume_differs(context: Context) -> Checked:
    """Every object whose CT has a slice spacing: by its own SliceThickness, and by the CT's."""
    import numpy as np

    limit = context.tolerances.thickness_volume_fraction

    def judge(masks: Masks) -> Iterable[Found]:
        ct = masks.dso.ct
        if ct is None or ct.stack is None or masks.dso.foreign or not np.isfinite(ct.stack.spacing):
            return
        spacing = ct.stack.spacing
        thickness = {"the object's": masks.dso.row["slice_thickness"], "the CT's": ct.common("slice_thickness")}
        words = [
            f"{number(100 * (value / spacing - 1), 1)}% by {whose} SliceThickness of {number(value)} mm"
            for whose, value in thickness.items()
            if value is not None and abs(value / spacing - 1) > limit
        ]
        if words:
            message = f"Volumes would be off by {' and '.join(words)}; the slices are {number(spacing)} mm apart."
            for liver in masks.of(LIVER)[:1]:
                by_thickness = float(liver.row["volume_thickness_ml"])
                if by_thickness == by_thickness:
                    message += (
                        f" The liver has {_ml(liver.volume)} by positions, {_ml(by_thickness)} by SliceThickness."
                    )
            expected = f"within {number(100 * limit)}%"
            yield Found(masks.dso.subject(context), message, expected, "; ".join(words), masks.dso.patient)

    return _each(context, judge)


@rule(
    "SEG018",
    "segments-exclude-each-other",
    WARNING,
    title="One label a voxel: what lies in the liver is cut out of it",
    why="The published masks overlap by design: the liver contains remnant, tumours and much of the vessels. A label map, or an object that a tool with one label a voxel wrote, can't keep that: its liver is too small by whatever lies in it, tumours drawn over each other or over vessels are lost in part, and volumes, overlaps and Dice scores are not those of the published masks. Rules on the liver's volume and place look at all of them together.",
    fix="Publish a BINARY object with a mask of its own for each segment, made from the masks as drawn: adding the labels up again gives the liver back, but not what they hid of each other.",
    source="published description: segments overlap; DICOM PS3.3 C.8.20.2 (Segmentation Type LABELMAP: one segment a pixel)",
    tables=_TABLES,
    depth=Depth.MASKS,
)
def segments_exclude_each_other(context: Context) -> Checked:
    """Every object with one liver, and with segments that lie in it: whether any two share a voxel."""
    need_role(context, LIVER)
    examined = 0

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        nonlocal examined
        examined += bool(masks.parts)
        if not masks.exclusive:
            return
        least, most = masks.volumes(liver)
        how = "as a label map does" if masks.dso.is_label_map else "though a BINARY object could keep more"
        labels = listed([part.label for part in masks.parts])
        message = (
            f"No two segments share a voxel: the object keeps one label a voxel, {how}, so that {labels} "
            f"{'is' if len(masks.parts) == 1 else 'are'} cut out of the liver."
        )
        if least == least:
            message += (
                f" The liver has {_ml(liver.volume)} as stored, {_between(least, most)} with what fills its holes."
            )
        expected = "segments that overlap: the liver contains remnant, tumours and vessels"
        yield Found(
            masks.dso.subject(context),
            message,
            expected,
            f"none of {len(masks.parts) + 1} segments overlap",
            masks.dso.patient,
        )

    findings = _each_liver(context, judge).findings
    return Checked(examined, findings)


@rule(
    "SEG019",
    "mask-repeated",
    WARNING,
    title="Two frames of one segment hold the same mask, slices apart",
    why="No organ has the very same outline on two slices with others between them: a frame was written with the mask of another one, and what was drawn on its slice is lost. Neighbouring slices may be alike, and so may those at equal distances from the middle of a ball: a mask counts that does not go with the slices beside it. Two frames at one position are DSO020's.",
    fix="Lay both masks over their slices, and write the lost one again.",
    source=_SOURCE,
    tables=_TABLES,
    depth=Depth.MASKS,
    tolerances=("repeated_mask_voxels",),
)
def mask_repeated(context: Context) -> Checked:
    """Every segment with frames on two slices or more."""
    least = context.tolerances.repeated_mask_voxels
    examined = 0

    def judge(masks: Masks) -> Iterable[Found]:
        nonlocal examined
        drawings = _drawings(masks)
        for segment in masks.segments:
            own = drawings.get(segment.number, {})
            if len(own) < 2:
                continue
            examined += 1
            groups = _repeated(own, least)
            if groups:
                words = [_same(context, masks, group) for group in groups]
                count = sum(len(group) - 1 for group in groups)
                message = f"{segment.label}: {listed(words)}."
                observed = f"{plural(count, 'frame')} with the mask of another one"
                yield segment.found(
                    context, message, "another mask on every slice", observed, count=count, examples=words
                )

    findings = _each(context, judge).findings
    return Checked(examined, findings)


@dataclass(frozen=True)
class Drawing:
    """What one frame holds."""

    place: int
    """Its place in the object's frames."""
    mask: int
    """The first frame with the same mask."""
    voxels: int
    jump: float
    """How little it goes with the slices beside it."""


def _drawings(masks: Masks) -> dict[int, dict[int, Drawing]]:
    """Frames of each segment by the plane that they lie on; of several on one, the first. Empty for a label map."""
    found: dict[int, dict[int, Drawing]] = {}
    frames = masks.dso.frames
    columns = (frames[name].tolist() for name in ("segment_number", "plane", "voxels", "frame", "twin", "jump"))
    for place, (value, plane, voxels, frame, twin, jump) in enumerate(zip(*columns, strict=True)):
        if value == value and plane == plane and voxels > 0:
            drawing = Drawing(place, int(frame if twin != twin else twin), int(voxels), jump)
            found.setdefault(int(value), {}).setdefault(int(plane), drawing)
    return found


def _repeated(drawings: Mapping[int, Drawing], least: float) -> list[list[Drawing]]:
    """Frames with the same mask: of each run of neighbours the first, where others lie between the runs.

    One at least must not go with the slices beside it: those at equal distances from the middle of a ball do.
    """
    planes = sorted(drawings)
    groups: dict[int, list[list[Drawing]]] = {}
    for rank, plane in enumerate(planes):
        drawing = drawings[plane]
        runs = groups.setdefault(drawing.mask, [])
        if rank and drawings[planes[rank - 1]].mask == drawing.mask:
            runs[-1].append(drawing)
        else:
            runs.append([drawing])
    return [
        [run[0] for run in runs]
        for runs in groups.values()
        if len(runs) > 1
        and runs[0][0].voxels >= least
        and any(drawing.jump > _STEADY for run in runs for drawing in run)
    ]


def _same(context: Context, masks: Masks, drawings: Sequence[Drawing]) -> str:
    """Frames in words: `frames 9 (1-15.dcm) and 15 (1-21.dcm) hold the same 1,234 voxels; 9 does not go with ...`."""
    slices = sources_of(context, masks.dso).slice
    words, astray = [], []
    for drawing in sorted(drawings, key=lambda drawing: drawing.place)[:5]:
        frame, source = int(masks.dso.frames["frame"][drawing.place]), int(slices[drawing.place])
        where = "" if masks.dso.ct is None or source < 0 else f" ({masks.dso.ct.names(context, [source])[0]})"
        words.append(f"{frame}{where}")
        if drawing.jump > _STEADY:
            astray.append(str(frame))
    said = f"frames {' and '.join(words)} hold the same {plural(drawings[0].voxels, 'voxel')}"
    verb = "does" if len(astray) == 1 else "do"
    return f"{said}; {' and '.join(astray)} {verb} not go with the slices beside it" if astray else said


@rule(
    "SEG020",
    "fraction-threshold",
    WARNING,
    title="A FRACTIONAL object whose maximum is missing, or a segment that is nowhere filled by half",
    why="A voxel belongs to a FRACTIONAL segment where at least half of it does. Without MaximumFractionalValue nobody knows what half is; and a segment that is below everywhere looks empty (DSO019) to whoever cuts it so, though something was drawn.",
    fix="Add MaximumFractionalValue, or write the object as BINARY with the threshold that was meant.",
    source="DICOM PS3.3 C.8.20.2.3 (Segmentation Fractional Type, Maximum Fractional Value)",
    tables=_TABLES,
    depth=Depth.MASKS,
)
def fraction_threshold(context: Context) -> Checked:
    """Every object whose masks were measured; one that is not FRACTIONAL needs no threshold."""
    objects = measured(context)
    findings = []
    for dso in objects:
        if text(dso.row["segmentation_type"]) != "FRACTIONAL":
            continue
        maximum = whole(dso.row["fractional_maximum"])
        if maximum is None:
            message = "The object is FRACTIONAL and names no MaximumFractionalValue."
            findings.append(
                Found(dso.subject(context, column="MaximumFractionalValue"), message, "a value", "none", dso.patient)
            )
        for row in dso.declared:
            value, most = whole(row["segment_number"]), float(row["fraction_max"])
            if value is not None and 0 < most < _HALF:
                observed = f"at most {number(100 * most, 1)}% of the maximum"
                findings.append(
                    Found(
                        dso.subject(context, value),
                        f"No voxel of {dso.label(context, value)} is filled by half: its values are {observed}"
                        f"{'' if maximum is None else f' of {maximum}'}.",
                        "voxels of half the maximum or more",
                        observed,
                        dso.patient,
                    )
                )
    return Checked(len(objects), findings)
