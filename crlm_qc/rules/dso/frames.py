"""Frames of a segment: twice, missing, empty."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from crlm_qc.collection.profile import VESSEL
from crlm_qc.model.finding import MAX_EXAMPLES, Found
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.sight import Place, Seen, Slice
from crlm_qc.model.words import agree, capitalised, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rulebook.tally import tally
from crlm_qc.rules.dso._shared import GROUPS, OWN, WITH_CT, each_dso
from crlm_qc.subjects.columns import ORIENTATION, POSITION
from crlm_qc.subjects.ct import stack_of
from crlm_qc.subjects.dso import Dso, dsos_of, measured
from crlm_qc.subjects.sources import frames_at_one_position, sources_of
from crlm_qc.subjects.words import number, ranges, whole

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Ints


@rule(
    "DSO020",
    "frame-twice",
    ERROR,
    title="Two frames for one segment at one position",
    why="Tools keep the first, the last, or the union: the mask depends on the reader. Frames that DSO011 names are left alone.",
    fix="Merge the two frames, or give the one its right segment or position.",
    source=GROUPS,
    tables=WITH_CT,
    scope=Scope.PATIENT,
    tolerances=("position_mm",),
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry"), care=("lesion-counts", "image-values")),
)
def frame_twice(context: Context) -> Checked:
    """Every frame with a segment and a position."""

    def judge(dso: Dso) -> Iterable[Found]:
        doubled = frames_at_one_position(context, dso)
        if doubled:
            words = [
                f"frames {ranges(dso.frames['frame'][list(group)])} "
                f"({dso.label(context, dso.numbers[group[0]])}) {_whereabouts(context, dso, group[0])}"
                for group in doubled
            ]
            message = f"Several frames of one segment lie at one position: {listed(words)}."
            count = sum(len(group) for group in doubled)
            yield dso.found(
                context,
                message,
                "one frame a segment and position",
                plural(count, "frame"),
                count=count,
                examples=words,
                places=_seen_at(context, dso, [group[0] for group in doubled[:MAX_EXAMPLES]]),
            )

    return each_dso(context, judge, lambda dso: len(dso.frames))


def _whereabouts(context: Context, dso: Dso, place: int) -> str:
    """Where a frame lies: `on 1-07.dcm`, or its z if it has no source slice."""
    source = int(sources_of(context, dso).slice[place])
    if dso.ct is not None and source >= 0:
        return f"on {dso.ct.names(context, [source])[0]}"
    return f"at z {number(float(dso.frames['position_z'][place]))} mm"


def _seen_at(context: Context, dso: Dso, frames: Sequence[int]) -> tuple[Place, ...]:
    """Source slices of some frames, and the frames."""
    sources = sources_of(context, dso).slice[list(frames)].tolist()
    slices = () if dso.ct is None else dso.ct.places(source for source in sources if source >= 0)
    return (*slices, *dso.places(frames))


@rule(
    "DSO021",
    "segment-gap",
    WARNING,
    title="A segment's frames leave a gap along z",
    why="A structure that is drawn above and below a slice, and not on it, was mostly forgotten there. A slice that the CT lacks or that lies astray (CTS007, CTS009), and a frame that went to another segment or position (DSO018, DSO020), are no gap; two lesions under one label, may rightly leave one. So may the branches of a vessel, for which it is a note.",
    fix="Look at the slices of the gap, and draw the segment there if it is there.",
    source=GROUPS,
    tables=WITH_CT,
    scope=Scope.PATIENT,
    tolerances=("position_mm", "lattice_fraction"),
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(care=("segmentation", "volumetry", "lesion-counts")),
)
def segment_gap(context: Context) -> Checked:
    """Every segment with two frames or more, of a label map those that hold it; objects whose frames and items do not agree (DSO015) are left alone."""

    def judge(dso: Dso, value: int, gap: Sequence[tuple[str, Slice | None]]) -> Iterable[Found]:
        if gap:
            label, names = dso.label(context, value), [name for name, _ in gap]
            what = "no pixel" if dso.is_label_map else "no frame"
            message = f"{capitalised(label)} has {what} on {plural(len(gap), 'slice')} between its first and last: {listed(names)}."
            yield dso.found(
                context,
                message,
                f"a {what.removeprefix('no ')} on every slice from first to last",
                f"{plural(len(gap), 'slice')} without",
                segment=value,
                count=len(gap),
                examples=names,
                severity=INFO if context.profile.role(dso.labels.get(value)) == VESSEL else None,
                places=[place for _, place in gap[:MAX_EXAMPLES] if place is not None],
            )

    return tally([(dso, value, gap) for dso in dsos_of(context) for value, gap in _gaps(context, dso)], judge)


def _gaps(context: Context, dso: Dso) -> Iterator[tuple[int, list[tuple[str, Slice | None]]]]:
    """Segments with frames on two planes or more, each with the planes between that it has no frame on, in words and as slices."""
    if whole(dso.row["number_of_frames"]) != whole(dso.row["n_frame_items"]) or not len(dso.frames):
        return
    planes, name = _planes(context, dso)
    known = dso.declared_numbers
    background = {whole(row["segment_number"]) for row in dso.declared if dso.is_background(row)}
    lost = {int(planes[group[0]]) for group in frames_at_one_position(context, dso)} | _suspect_planes(dso)
    own: dict[int, set[int]] = {}
    for plane, values in zip(planes.tolist(), _held(dso), strict=True):
        if not dso.is_label_map and not known.issuperset(values or [-1]):
            lost.add(plane)
        for value in values if plane >= 0 else ():
            own.setdefault(value, set()).add(plane)
    for value, there in sorted(own.items()):
        if len(there) > 1 and value not in background:
            gap = sorted(set(range(min(there), max(there))) - there - lost)
            yield value, [name(plane) for plane in gap]


def _held(dso: Dso) -> list[list[int]]:
    """Segments of each frame: the one that it names, or those that one of a label map holds, as far as it was measured."""
    if not dso.is_label_map:
        return [[] if value != value else [int(value)] for value in dso.numbers.tolist()]
    return [json.loads(value) if isinstance(value, str) else [] for value in dso.frames["segments_held"].tolist()]


def _planes(context: Context, dso: Dso) -> tuple[Ints, Callable[[int], tuple[str, Slice | None]]]:
    """The plane that each frame belongs to, counted along the normal over planes that are there; name and slice of one.

    The CT's slices are the planes, by source image first and by position where there is none; without a CT the
    positions of all frames are. -1 for a frame that lies on no plane.
    """
    import numpy as np

    from crlm_qc.geometry.stack import unit_normal

    points = dso.frames.matrix(POSITION)
    ct = None if dso.foreign else dso.ct
    if ct is not None and ct.stack is not None and len(ct.stack.order):
        stack = ct.stack
        planes, away = stack.nearest_plane(points)
        spacing = stack.spacing if np.isfinite(stack.spacing) else 0.0
        slack = max(context.tolerances.position_mm, context.tolerances.lattice_fraction * spacing)
        planes = np.where(np.abs(away) <= slack, planes, -1)
        source = sources_of(context, dso).slice
        placed = np.isin(source, stack.order)
        planes[placed] = stack.plane_of(source[placed])
        slices = dict(zip(stack.plane_of(stack.order).tolist(), stack.order.tolist(), strict=True))
        return planes, lambda plane: (ct.names(context, [slices[plane]])[0], ct.places([slices[plane]])[0])
    axes = dso.frames.matrix(ORIENTATION)[0]
    if not np.isfinite(unit_normal(axes[:3], axes[3:])).all():
        return np.full(len(points), -1, dtype=np.int64), _unnamed
    own, _ = stack_of(context, points, axes)
    planes = np.full(len(points), -1, dtype=np.int64)
    if own is None:
        return planes, _unnamed
    planes[own.order] = own.plane_of(own.order)
    first = {int(planes[place]): place for place in own.order.tolist()}
    return planes, lambda plane: (f"z {number(points[first[plane], 2])} mm", None)


def _unnamed(plane: int) -> tuple[str, None]:
    """What a plane is called where frames lie on none."""
    return str(plane), None


def _suspect_planes(dso: Dso) -> set[int]:
    """Planes of slices whose own position is at fault, so that they may lie among other slices than they should."""
    if dso.ct is None or dso.ct.stack is None or dso.ct.stack.sheared:
        return set()
    return set(dso.ct.stack.plane_of(sorted(dso.ct.suspect)).tolist())


@rule(
    "DSO030",
    "frame-empty",
    INFO,
    title="A frame holds no pixel",
    why="It does no harm, but the published objects have frames only where their segment has pixels. A segment that is empty as a whole is DSO019's.",
    fix="Leave empty frames out when the object is next written.",
    source=GROUPS,
    tables=OWN,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    spoils=NOTHING,
)
def frame_empty(context: Context) -> Checked:
    """Every frame of objects whose masks were measured."""
    import numpy as np

    def judge(dso: Dso) -> Iterable[Found]:
        blank = [value for row in dso.declared if whole(row["voxels"]) == 0 and (value := whole(row["segment_number"]))]
        # What a frame of no segment (DSO018) holds is not known.
        told = dso.is_label_map | np.isfinite(dso.numbers)
        empty = (dso.frames["voxels"] == 0) & told & ~np.isin(dso.numbers, blank)
        if dso.framed and empty.any():
            count = int(empty.sum())
            frames = dso.frames_by_segment(context, empty)
            message = f"{capitalised(frames)} {agree(count, 'holds', 'hold')} no pixel."
            yield dso.found(context, message, "a pixel or more a frame", plural(count, "empty frame"), count=count)

    return tally([(dso,) for dso in measured(context)], judge, lambda dso: len(dso.frames))
