"""Where the frames of an object lie: to the slices that they were drawn on, and to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.columns import POSITION, SPACING
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Flags, Floats, Ints


@dataclass(frozen=True)
class Reach:
    """How far a frame may lie from its source slice, mm."""

    along: float
    """Along the normal (DSO011)."""
    in_plane: float
    """Sideways (DSO011)."""
    material_along: float
    """Along the normal, before the frame's mask belongs to another place."""
    material_in_plane: float
    """Sideways, before the frame's mask belongs to other pixels: half of one."""


_MOST_ALONG = 0.25
"""The part of the slice spacing that a tolerance along the normal never exceeds: half a slice must always be found."""
_HALF_A_PIXEL = 0.5


def reach_of(context: Context, ct: CtSeries) -> Reach:
    """How far frames may lie from the slices of a CT series.

    Parameters
    ----------
    context : Context
        Its tolerances are used.
    ct : CtSeries
        The series; SliceThickness stands for a slice spacing that can't be told. Without it, or without a pixel
        spacing, positions must be the same.
    """
    import numpy as np

    tolerances = context.tolerances
    along = in_plane = material_along = material_in_plane = tolerances.position_mm
    gap = 0.0 if ct.stack is None else ct.stack.tolerance
    spacing = ct.common("slice_thickness") if ct.stack is None or np.isnan(ct.stack.spacing) else ct.stack.spacing
    if spacing is not None and spacing > 0:
        allowed = max(tolerances.position_mm, gap, tolerances.frame_along_fraction * spacing)
        along = min(allowed, _MOST_ALONG * spacing)
        material_along = max(along, tolerances.lattice_fraction * spacing)
    pixels = [value for column in SPACING if (value := ct.common(column)) is not None and value > 0]
    if pixels:
        pixel = min(pixels)
        allowed = max(tolerances.position_mm, tolerances.frame_in_plane_fraction * pixel)
        in_plane = min(allowed, _HALF_A_PIXEL * pixel)
        material_in_plane = _HALF_A_PIXEL * pixel
    return Reach(along, in_plane, material_along, material_in_plane)


@dataclass(frozen=True)
class Sources:
    """How the frames of an object lie to the CT slices that they name as their source images."""

    in_ct: Flags
    """Frames with a source image in the CT series."""
    slice: Ints
    """The source slice (index into the series' slices), the nearest of several; -1 where there is none."""
    along: Floats
    """How far above its source slice each frame lies along the normal, mm; NaN where that can't be told."""
    sideways: Floats
    """How far from it in plane, mm."""
    elsewhere: Flags
    """Frames that lie elsewhere than their source slice (DSO011), by more than rounding and jitter."""
    displaced: Flags
    """Those of them that are materially displaced: by over `lattice_fraction` of the slice spacing, or half a pixel.
    What lies under their masks is not what they were drawn on."""
    outside: Mapping[int, tuple[str, ...]]
    """Places of frames that name images which are not in the CT series, and the UIDs of these."""


def upward(ct: CtSeries) -> Floats:
    """The unit normal of a CT series that points to the head; z where its orientation is invalid."""
    import numpy as np

    normal: Floats = np.array([0.0, 0.0, 1.0]) if ct.stack is None else ct.stack.normal
    return normal if normal[2] >= 0 else -normal


@once
def sources_of(context: Context, dso: Dso) -> Sources:
    """Frames against their source slices; nothing is off where there is no CT."""
    import numpy as np

    n = len(dso.frames)
    nearest = np.full(n, -1, dtype=np.int64)
    along, sideways = np.full(n, np.nan), np.full(n, np.nan)
    outside: dict[int, tuple[str, ...]] = {}
    if dso.ct is None or not n:
        nothing = np.zeros(n, dtype=bool)
        return Sources(nothing, nearest, along, sideways, nothing, nothing, outside)
    where: dict[str, list[int]] = {}
    for place, uid in enumerate(dso.ct.slices["sop_instance_uid"].tolist()):
        if uid is not None:
            where.setdefault(uid, []).append(place)
    place_of = {int(frame): place for place, frame in enumerate(dso.frames["frame"].tolist())}
    pairs = []
    for frame, uid in dso.sources:
        place = place_of.get(frame, -1)
        if place < 0:
            continue
        if uid in where:
            pairs += [(place, candidate) for candidate in where[uid]]
        else:
            outside[place] = (*outside.get(place, ()), uid or "")
    if pairs:
        places, slices = np.array(pairs, dtype=np.int64).T
        away = dso.frames.matrix(POSITION)[places] - dso.ct.slices.matrix(POSITION)[slices]
        distance = np.linalg.norm(away, axis=1)
        # The farthest first, so that of several source images the nearest stays; a missing position counts as none.
        order = np.argsort(-np.where(np.isfinite(distance), distance, np.inf), kind="stable")
        nearest[places[order]] = slices[order]
        height = away @ upward(dso.ct)
        along[places[order]] = height[order]
        sideways[places[order]] = np.linalg.norm(away - np.outer(height, upward(dso.ct)), axis=1)[order]
    reach = reach_of(context, dso.ct)
    judged = np.isfinite(along) & np.isfinite(sideways) & ~np.isin(nearest, list(dso.ct.suspect))
    elsewhere: Flags = judged & ((np.abs(along) > reach.along) | (sideways > reach.in_plane))
    displaced: Flags = elsewhere & ((np.abs(along) > reach.material_along) | (sideways > reach.material_in_plane))
    return Sources(nearest >= 0, nearest, along, sideways, elsewhere, displaced, outside)


@once
def frames_at_one_position(context: Context, dso: Dso) -> list[tuple[int, ...]]:
    """Groups of frames of one segment at one position, by their place; frames off their source slice left out."""
    import numpy as np

    points, numbers = dso.frames.matrix(POSITION), dso.numbers
    usable = np.isfinite(points).all(axis=1) & np.isfinite(numbers) & ~sources_of(context, dso).elsewhere
    places = usable.nonzero()[0]
    if not len(places):
        return []
    # Positions within the tolerance differ little along every axis, so neighbours in order along the axis on which
    # the frames spread most are enough to compare.
    axis = int(np.argmax(np.ptp(points[places], axis=0)))
    order = places[np.lexsort((points[places, axis], numbers[places]))]
    near = np.linalg.norm(np.diff(points[order], axis=0), axis=1) <= context.tolerances.position_mm
    same = near & (np.diff(numbers[order]) == 0)
    groups = np.split(order, np.flatnonzero(~same) + 1)
    return [tuple(sorted(int(place) for place in group)) for group in groups if len(group) > 1]
