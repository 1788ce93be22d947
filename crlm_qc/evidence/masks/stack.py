"""Where the frames of a segmentation object lie: planes, and the spacing between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.series import OwnSeries
from crlm_qc.evidence.ct import Row, common_orientation, position_of
from crlm_qc.evidence.dso import DsoRows
from crlm_qc.evidence.masks.frames import FrameMasks
from crlm_qc.geometry import masks
from crlm_qc.geometry.lattice import Floats
from crlm_qc.geometry.masks import Packed
from crlm_qc.geometry.stack import spacing_along, unit_normal
from crlm_qc.geometry.turned import Turn, turn_between


@dataclass(slots=True)
class Plane:
    """All segments' masks at one position along the normal."""

    along: float
    """Position along the normal, mm; NaN for a frame without a position."""
    origin: tuple[float, float, float] | None
    masks: dict[int, Packed] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    """Set voxels of each mask."""

    def lay(self, frame: FrameMasks, counts: Mapping[int, int]) -> None:
        """Add the masks of a frame; where two frames hold one segment, a voxel counts once."""
        for number, mask in frame.items():
            there = self.masks.get(number)
            self.masks[number] = mask if there is None else masks.union([there, mask])
            self.counts[number] = counts[number] if there is None else masks.count(self.masks[number])


@dataclass(slots=True)
class MaskStack:
    """The masks of one segmentation object, plane by plane from the lowest along the normal."""

    planes: list[Plane]
    direction: tuple[float, ...] | None
    """Image Orientation (Patient) that its frames share."""
    normal: Floats | None
    spacing: float | None
    """Slice spacing, mm."""
    basis: str | None
    """Where it comes from, as `segments.volume_basis` names it."""
    rows: int
    columns: int
    ct: str | None
    """The CT series of the patient that it was drawn on, as `OwnSeries` names it; None if it is none, or not known."""

    def of(self, number: int) -> list[Plane]:
        """Planes where a segment has a voxel."""
        return [plane for plane in self.planes if plane.counts.get(number)]

    def numbered(self) -> list[int | None]:
        """Place of every plane on the lattice, from 0 for the lowest; its rank without a spacing, None without a position."""
        known = [plane.along for plane in self.planes if plane.along == plane.along]
        places: list[int | None] = [None] * len(self.planes)
        for rank, along in enumerate(known):
            places[rank] = rank if self.spacing is None else round((along - known[0]) / self.spacing)
        return places

    def lattice(self, planes: Sequence[Plane]) -> list[int] | None:
        """Places of planes such that neighbours differ by 1 and others by more; None if a position is missing."""
        if any(plane.along != plane.along for plane in planes):
            return None
        places, place = [], 0
        for before, plane in zip([None, *planes], planes, strict=False):
            if before is not None:
                steps = 1 if self.spacing is None else round((plane.along - before.along) / self.spacing)
                # How wide a gap is does not matter here, and a far stray frame must not cost memory.
                place += min(max(steps, 1), 2)
            places.append(place)
        return places


def build_stack(
    found: DsoRows,
    frames: Sequence[FrameMasks],
    counts: Sequence[Mapping[int, int]],
    slices: Sequence[Row],
    series: Sequence[Row],
    profile: Profile,
) -> MaskStack:
    """Put frames on planes by their position along the normal."""
    used = found.frames[: len(frames)]
    ct = meant_series(found, slices)
    ct_spacing = next((row.get("spacing") for row in series if (row["series_uid"] or "") == ct), None)
    theirs = common_orientation(slices_of(ct, slices))
    direction = common_orientation(used) or theirs
    turn = _turn(found.dso, direction, theirs, profile)
    if turn:
        frames = [
            {number: masks.turned(mask, int(found.dso["columns"]), turn) for number, mask in frame.items()}
            for frame in frames
        ]
    stored = direction
    if turn:
        direction = theirs
    normal = None if direction is None else unit_normal(direction[:3], direction[3:])
    if normal is not None and not np.isfinite(normal).all():
        direction = normal = None
    by_uid = {row["sop_instance_uid"]: row for row in slices if row.get("sop_instance_uid")}
    placed: list[tuple[float, int, tuple[float, float, float] | None]] = []
    for index, row in enumerate(used):
        origin = _first_voxel(row, turn, stored, found.dso) or position_of(by_uid.get(row.get("source_uid"), {}))
        along = float("nan") if origin is None or normal is None else float(np.dot(origin, normal))
        placed.append((along, index, origin))
    known = sorted(item for item in placed if item[0] == item[0])
    tolerance = profile.tolerances.position_mm
    spacing, basis = _slice_spacing(found.dso, ct_spacing, [origin for *_, origin in known], normal, profile)
    if spacing is not None:
        tolerance = max(tolerance, profile.tolerances.lattice_fraction * spacing)
    planes: list[Plane] = []
    ranks: list[tuple[int, int]] = []
    for along, index, origin in known:
        if not planes or along - planes[-1].along > tolerance:
            planes.append(Plane(along, origin))
        planes[-1].lay(frames[index], counts[index])
        ranks.append((index, len(planes) - 1))
    for _, index, _ in (item for item in placed if item[0] != item[0]):
        planes.append(Plane(float("nan"), None, dict(frames[index]), dict(counts[index])))
    stack = MaskStack(planes, direction, normal, spacing, basis, int(found.dso["rows"]), int(found.dso["columns"]), ct)
    places = stack.numbered()
    for index, rank in ranks:
        used[index]["plane"] = places[rank]
    return stack


def _turn(dso: Row, own: tuple[float, ...] | None, theirs: tuple[float, ...] | None, profile: Profile) -> Turn | None:
    """How masks are to be turned to be stored as the CT is; None if they are, or can't be.

    Rows become columns only where both are as many and as far apart, so that every other figure of the object holds.
    """
    between = (dso.get("spacing_row"), dso.get("spacing_col"))
    if own is None or theirs is None or None in between:
        return None
    turn = turn_between(own, theirs, profile.tolerances.direction)
    square = dso["rows"] == dso["columns"] and between[0] == between[1]
    return turn if turn and (square or not turn.transposes) else None


def _first_voxel(
    row: Row, turn: Turn | None, direction: tuple[float, ...] | None, dso: Row
) -> tuple[float, float, float] | None:
    """Centre of the first voxel of a frame, after it was turned."""
    origin = position_of(row)
    if origin is None or turn is None:
        return origin
    spacing = np.array([[dso["spacing_row"], dso["spacing_col"]]], dtype=np.float64)
    size = (int(dso["rows"]), int(dso["columns"]))
    x, y, z = turn.corners(np.array([origin]), np.array(direction, dtype=np.float64), spacing, size)[0].tolist()
    return x, y, z


def add_jumps(stack: MaskStack, found: DsoRows) -> None:
    """How much frames with a twin, and the twins, differ from the planes above and below them."""
    twins = {row["twin"] for row in found.frames if row.get("twin") is not None}
    places = stack.numbered() if twins else []
    for row in found.frames:
        number, place = row.get("segment_number"), row.get("plane")
        if place is None or number is None or (row.get("twin") is None and row["frame"] not in twins):
            continue
        held = {
            at: plane.masks[number] for at, plane in zip(places, stack.planes, strict=True) if number in plane.masks
        }
        own = held.get(place)
        if own is None:
            # A label map whose frames name a segment that they don't hold.
            continue
        nothing = np.zeros_like(own)
        below, above = held.get(place - 1, nothing), held.get(place + 1, nothing)
        aside = (masks.count(own ^ below) + masks.count(own ^ above)) / 2
        row["jump"] = aside / max(masks.count(below ^ above), 1)


def meant_series(found: DsoRows, slices: Sequence[Row]) -> str | None:
    """The patient's CT series that a segmentation object refers to, as `OwnSeries.meant` tells it."""
    own = OwnSeries((row.get("series_uid"), row.get("sop_instance_uid"), _folder(row["path"])) for row in slices)
    named = [row["series_uid"] for row in found.references if row["level"] == "series"]
    sources = [row["sop_instance_uid"] for row in found.references if row["level"] == "frame"]
    return own.meant(named, sources).series


def slices_of(series: str | None, slices: Iterable[Row]) -> list[Row]:
    """Slices of a series that `meant_series` named."""
    return [row for row in slices if (row.get("series_uid") or "") == series]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _slice_spacing(
    dso: Row,
    ct_spacing: float | None,
    origins: Sequence[tuple[float, float, float] | None],
    normal: Floats | None,
    profile: Profile,
) -> tuple[float | None, str | None]:
    if ct_spacing is not None and ct_spacing > 0:
        return float(ct_spacing), "ct-positions"
    if origins and normal is not None:
        spacing = spacing_along(np.array(origins, dtype=np.float64), normal, profile.tolerances)
        if np.isfinite(spacing):
            return spacing, "frame-positions"
    for column, basis in (
        ("spacing_between_slices", "spacing-between-slices"),
        ("slice_thickness", "slice-thickness"),
    ):
        value = dso.get(column)
        if value is not None and value > 0:
            return float(value), basis
    return None, None
