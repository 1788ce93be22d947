"""Masks of frames: one drawn twice, blocks of equal ones, thresholds of fractions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from crlm_qc.collection.profile import LIVER
from crlm_qc.model.finding import MAX_EXAMPLES, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import INFO, WARNING
from crlm_qc.model.sight import Seen, Slice
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rulebook.tally import tally
from crlm_qc.rules.seg._shared import SOURCE, TABLES
from crlm_qc.subjects.dso import Dso, measured
from crlm_qc.subjects.masks import Masks, Segment, masks_of
from crlm_qc.subjects.sources import sources_of
from crlm_qc.subjects.words import number, text, whole

_STEADY = 0.75
"""`frames.jump` above which a mask does not go with those beside it: one from two slices farther has 1, a steady outline 0.5."""
_HALF = 0.5
"""Part of Maximum Fractional Value from which on a voxel of a FRACTIONAL segment counts."""


@rule(
    "SEG019",
    "mask-repeated",
    WARNING,
    title="Two frames of one segment hold the same mask, slices apart",
    why="No organ has the very same outline on two slices with others between them: a frame was written with the mask of another one, and what was drawn on its slice is lost. Neighbouring slices may be alike, and so may those at equal distances from the middle of a ball: a mask counts that does not go with the slices beside it. Two frames at one position are DSO020's.",
    fix="Lay both masks over their slices, and write the lost one again.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("repeated_mask_voxels",),
    seen=Seen(),
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def mask_repeated(context: Context) -> Checked:
    """Every segment with frames on two slices or more."""
    least = context.tolerances.repeated_mask_voxels

    def judge(masks: Masks, segment: Segment, drawings: Mapping[int, Drawing]) -> Iterable[Found]:
        groups = _repeated(drawings, least)
        if groups:
            words = [_same(context, masks, group) for group in groups]
            count = sum(len(group) - 1 for group in groups)
            message = f"{segment.label}: {listed(words)}."
            observed = f"{plural(count, 'frame')} with the mask of another one"
            yield segment.found(
                context,
                message,
                "another mask on every slice",
                observed,
                count=count,
                examples=words,
                places=_seen_at(context, masks, groups[:MAX_EXAMPLES]),
            )

    return tally(
        ((masks, *drawn) for masks in masks_of(context) for drawn in _drawings(masks)),
        judge,
        lambda _, __, drawings: len(drawings) > 1,
    )


@rule(
    "SEG023",
    "masks-in-blocks",
    INFO,
    title="The liver's masks come in blocks of equal slices",
    why="No organ has the same outline on every two or three slices: the masks were made on thicker slices than those of the CT, and copied. Their ends and volumes are as coarse as that grid, and stairs show in every view but the axial.",
    fix="Say so where the data are described, or draw the masks anew on the slices that they lie on.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("block_planes",),
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def masks_in_blocks(context: Context) -> Checked:
    """Every liver on slices enough, in objects whose frames hold one segment each."""
    least = context.tolerances.block_planes

    def judge(_: Masks, segment: Segment, drawings: Mapping[int, Drawing]) -> Iterable[Found]:
        blocks = _blocks(drawings)
        if blocks is not None:
            size = " or ".join(str(length) for length in sorted(set(blocks)))
            observed = f"{plural(len(drawings), 'slice')} in blocks of {size} that are equal"
            yield segment.found(
                context, f"{segment.label}: {observed}.", "another mask on every slice", observed, count=len(drawings)
            )

    return tally(
        ((masks, *drawn) for masks in masks_of(context) for drawn in _drawings(masks) if drawn[0].role == LIVER),
        judge,
        lambda _, __, drawings: len(drawings) >= least,
    )


def _blocks(drawings: Mapping[int, Drawing]) -> list[int] | None:
    """How many equal masks each block has, those at the ends left out; None if masks do not come in blocks throughout."""
    alike = [len(list(run)) for _, run in groupby(drawings[plane].mask for plane in sorted(drawings))]
    inner = alike[1:-1]
    whole_planes = max(drawings, default=0) - min(drawings, default=0) + 1 == len(drawings)
    # A grid whose slices are no whole multiple of the CT's makes blocks of two lengths.
    throughout = len(inner) > 1 and min(inner) > 1 and max(inner) - min(inner) <= 1
    return inner if throughout and whole_planes and max(alike) <= max(inner) else None


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


def _drawings(masks: Masks) -> list[tuple[Segment, dict[int, Drawing]]]:
    """Frames of each segment by the plane that they lie on; of several on one, the first. None for a label map."""
    found: dict[int, dict[int, Drawing]] = {}
    frames = masks.dso.frames
    columns = (frames[name].tolist() for name in ("segment_number", "plane", "voxels", "frame", "twin", "jump"))
    for place, (value, plane, voxels, frame, twin, jump) in enumerate(zip(*columns, strict=True)):
        if value == value and plane == plane and voxels > 0:
            drawing = Drawing(place, int(frame if twin != twin else twin), int(voxels), jump)
            found.setdefault(int(value), {}).setdefault(int(plane), drawing)
    return [(segment, found.get(segment.number, {})) for segment in masks.segments]


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


def _seen_at(context: Context, masks: Masks, groups: Iterable[Sequence[Drawing]]) -> tuple[Slice, ...]:
    """Source slices of the frames that `_same` names."""
    if masks.dso.ct is None:
        return ()
    slices = sources_of(context, masks.dso).slice
    sources = [int(slices[drawing.place]) for group in groups for drawing in _named(group)]
    return masks.dso.ct.places(source for source in sources if source >= 0)


def _named(drawings: Iterable[Drawing]) -> list[Drawing]:
    """The first frames of a group, in the order of the object."""
    return sorted(drawings, key=lambda drawing: drawing.place)[:MAX_EXAMPLES]


def _same(context: Context, masks: Masks, drawings: Sequence[Drawing]) -> str:
    """Frames in words: `frames 9 (1-15.dcm) and 15 (1-21.dcm) hold the same 1,234 voxels; 9 does not go with ...`."""
    slices = sources_of(context, masks.dso).slice
    words, astray = [], []
    for drawing in _named(drawings):
        frame, source = int(masks.dso.frames["frame"][drawing.place]), int(slices[drawing.place])
        where = "" if masks.dso.ct is None or source < 0 else f" ({masks.dso.ct.names(context, [source])[0]})"
        words.append(f"{frame}{where}")
        if drawing.jump > _STEADY:
            astray.append(str(frame))
    said = f"frames {' and '.join(words)} hold the same {plural(drawings[0].voxels, 'voxel')}"
    return (
        f"{said}; {' and '.join(astray)} {agree(len(astray), 'does', 'do')} not go with the slices beside it"
        if astray
        else said
    )


@rule(
    "SEG020",
    "fraction-threshold",
    WARNING,
    title="A FRACTIONAL object whose maximum is missing, or a segment that is nowhere filled by half",
    why="A voxel belongs to a FRACTIONAL segment where at least half of it does. Without MaximumFractionalValue nobody knows what half is; and a segment that is below everywhere looks empty (DSO019) to whoever cuts it so, though something was drawn.",
    fix="Add MaximumFractionalValue, or write the object as BINARY with the threshold that was meant.",
    source="DICOM PS3.3 C.8.20.2.3 (Segmentation Fractional Type, Maximum Fractional Value)",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    spoils=Spoils(care=("segmentation", "volumetry", "lesion-counts")),
)
def fraction_threshold(context: Context) -> Checked:
    """Every object whose masks were measured; one that is not FRACTIONAL needs no threshold."""

    def judge(dso: Dso) -> Iterable[Found]:
        if text(dso.row["segmentation_type"]) != "FRACTIONAL":
            return
        maximum = whole(dso.row["fractional_maximum"])
        if maximum is None:
            message = "The object is FRACTIONAL and names no MaximumFractionalValue."
            yield dso.found(context, message, "a value", "none", column="MaximumFractionalValue")
        for row in dso.declared:
            value, most = whole(row["segment_number"]), float(row["fraction_max"])
            if value is not None and 0 < most < _HALF:
                observed = f"at most {number(100 * most, 1)}% of the maximum"
                of_what = "" if maximum is None else f" of {maximum}"
                message = (
                    f"No voxel of {dso.label(context, value)} is filled by half: its values are {observed}{of_what}."
                )
                yield dso.found(context, message, "voxels of half the maximum or more", observed, segment=value)

    return tally([(dso,) for dso in measured(context)], judge)
