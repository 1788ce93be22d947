"""The phantom: an abdomen in CT values, and the masks of its liver, vessels and tumours.

Everything is laid out in mm in the patient's own directions (LPS: x to the left, y to the back, z to the head), with
the centre of the body at the origin, so that a prone patient differs only in how the arrays are turned at the end.
The liver and the tumours are grown to an exact number of voxels, so that their volumes are right at every matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cc3d
import numpy as np
import numpy.typing as npt

from crlm_qc.collection.profile import LIVER, OTHER, REMNANT, TUMOUR, VESSEL, SegmentTerm
from crlm_qc.synthetic.cohort import (
    BODY_X,
    BODY_Y,
    LIVER_BACK,
    LIVER_DOWN,
    LIVER_FRONT,
    LIVER_LEFT,
    LIVER_RIGHT,
    LIVER_UP,
    PatientPlan,
    capacity,
    half_height,
    lung_above,
)

Mask = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float32]

PADDING_HU = -3024
"""Stored -2000 with a Rescale Intercept of -1024."""

LIVER_HU = (102, 118)
"""Mean CT values that livers have."""

_AIR, _LUNG, _FAT, _MUSCLE, _BONE = -1000, -850, -100, 55, 320
_CENTRE_X, _CENTRE_Y = -0.30, -0.04
"""Centre of the largest liver, in parts of the body's semi-axes; a smaller one lies farther to the right."""
_STREAM = 1
_ATTEMPTS = 6
_KIND = {LIVER: "liver", REMNANT: "liver", VESSEL: "vein", TUMOUR: "mass", OTHER: "other"}
_OTHER_PLACES = ((0.06, 0.44), (0.62, 0.25), (0.36, 0.42), (-0.36, 0.45), (0.5, -0.28), (0.0, -0.6))
"""Where structures of no further meaning lie, x and y in parts of the body's semi-axes."""
_OTHER_RADIUS_MM = 12.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the phantom."""

    label: str
    kind: str
    """`liver`, `vein`, `mass` or `other`."""
    mask: Mask
    """Planes x rows x columns, as the CT series is written."""


@dataclass(frozen=True)
class Phantom:
    """The anatomy of one patient, first plane highest, turned as the images are."""

    plan: PatientPlan
    segments: tuple[Segment, ...]
    base: npt.NDArray[np.int16]
    """CT values without noise; planes x rows x columns, HU."""

    def planes(self) -> Iterator[npt.NDArray[np.int16]]:
        """CT values with noise, one plane after the other, in HU; `PADDING_HU` where nothing was reconstructed."""
        plan = self.plan
        outside = _circle(plan)
        noise = plan.generator(_STREAM, 1)
        for base in self.base:
            plane = base + np.rint(noise.standard_normal(base.shape, dtype=np.float32) * 11).astype(np.int16)
            np.clip(plane, -1024, 3071, out=plane)
            plane[outside] = PADDING_HU if plan.scanner.signed else -1024
            yield plane

    @property
    def largest_tumour_cm(self) -> float:
        """In-plane diameter of the largest tumour, which is the longer side of the box around it, in cm."""
        first = next((segment.mask for segment in self.segments if segment.kind == "mass"), None)
        if first is None:
            return 0.0
        side = max(int(np.ptp(np.flatnonzero(np.any(first, axis=axes)))) for axes in ((0, 2), (0, 1))) + 1
        return round(side * self.plan.pixel_spacing_mm / 10, 1)


@dataclass(frozen=True)
class _Grid:
    """Centres of the voxels, in mm; z falls from plane to plane."""

    x: Reals
    y: Reals
    z: Reals
    body_x: float
    body_y: float
    pixel: float
    spacing: float


@dataclass(frozen=True)
class _Liver:
    """The liver's mask, the gauge it was grown by, and the gauge's value at its surface."""

    mask: Mask
    gauge: Reals
    surface: float
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    """Mean semi-axes."""


def build(plan: PatientPlan) -> Phantom:
    """Grow the anatomy of a patient.

    Parameters
    ----------
    plan : PatientPlan
        What the patient is to be.

    Returns
    -------
    Phantom
        Masks in the order of their segment numbers, which is that of the collection's vocabulary: Liver,
        Liver Remnant, Hepatic, Portal, Tumor_1 and so on.
    """
    rng = plan.generator(_STREAM, 0)
    whole = _grid(plan)
    # Masks are grown in the part of the images that the liver may lie in.
    box = _liver_box(whole)
    grid = replace(whole, y=whole.y[:, box[1]], x=whole.x[:, :, box[2]])
    liver = _grow_liver(plan, grid)
    tumours = _grow_tumours(plan, grid, liver, rng)
    lesions = np.logical_or.reduce(tumours)
    hepatic = _vessel(grid, _hepatic_tubes(liver, rng), lesions)
    portal = _vessel(grid, _portal_tubes(liver, rng), lesions | hepatic)
    remnant = _remnant(grid, liver, lesions, rng)

    base = _background(plan, whole, math.sqrt(liver.surface))
    inner = base[box]
    inner[liver.mask] = int(rng.integers(LIVER_HU[0], LIVER_HU[1] + 1))
    inner[hepatic] = int(rng.integers(145, 171))
    inner[portal] = int(rng.integers(150, 181))
    for tumour in tumours:
        inner[tumour] = int(rng.integers(60, 81))
    masks = {LIVER: [liver.mask], REMNANT: [remnant], VESSEL: [hepatic, portal], TUMOUR: list(tumours)}
    named = []
    others = 0
    for term, count in drawn(plan.vocabulary, len(tumours)):
        kind = _KIND[term.role]
        if term.role == OTHER:
            named.append((term.named(1), kind, _other(whole, others)))
            others += 1
            continue
        mine = [masks[term.role].pop(0) for _ in range(count)]
        named += [(term.named(number), kind, mask) for number, mask in enumerate(mine, start=1)]
    turn = (slice(None), slice(None, None, -1), slice(None, None, -1)) if plan.prone else (slice(None),) * 3
    segments = []
    for label, kind, mask in named:
        full = mask
        if mask.shape != base.shape:
            full = np.zeros(base.shape, dtype=bool)
            full[box] = mask
        segments.append(Segment(label, kind, np.ascontiguousarray(full[turn])))
    return Phantom(plan, tuple(segments), base[turn])


def drawn(vocabulary: Sequence[SegmentTerm], tumours: int) -> list[tuple[SegmentTerm, int]]:
    """Which labels of a vocabulary the phantom has, and how many segments of each.

    Parameters
    ----------
    vocabulary : sequence of SegmentTerm
        The collection's.
    tumours : int
        How many tumours a patient has.

    Returns
    -------
    list
        In the order of the vocabulary. A label that is not numbered is one segment; those that are required come before
        others to what there is of their role: a liver, a remnant, two vessels, and tumours of one sort.
    """
    left = {LIVER: 1, REMNANT: 1, VESSEL: 2, TUMOUR: tumours, OTHER: len(_OTHER_PLACES)}
    counts = dict.fromkeys(vocabulary, 0)
    for term in sorted(vocabulary, key=lambda one: not one.required):
        counts[term] = left[term.role] if term.numbered and term.role == TUMOUR else min(1, left[term.role])
        left[term.role] = 0 if term.role == TUMOUR else left[term.role] - counts[term]
    return [(term, count) for term, count in counts.items() if count]


def _other(grid: _Grid, index: int) -> Mask:
    """A structure of no further meaning: a tube from the second to the last plane but one."""
    x, y = _OTHER_PLACES[index]
    wide = max(_OTHER_RADIUS_MM, 1.5 * grid.pixel)
    inside = (grid.x - x * grid.body_x) ** 2 + (grid.y - y * grid.body_y) ** 2 <= wide**2
    mask = np.repeat(inside, grid.z.size, axis=0)
    mask[[0, -1]] = False
    return mask


def _grid(plan: PatientPlan) -> _Grid:
    pixel, spacing = plan.pixel_spacing_mm, plan.slice_spacing_mm
    along = ((np.arange(plan.matrix) - (plan.matrix - 1) / 2) * pixel).astype(np.float32)
    # The origin of z is the centre of the liver, as high as lung above it allows.
    half = half_height(plan.slices, spacing)
    top = lung_above(spacing) + LIVER_UP * half
    down = (top - np.arange(plan.slices) * spacing).astype(np.float32)
    return _Grid(
        x=along[None, None, :],
        y=along[None, :, None],
        z=down[:, None, None],
        body_x=BODY_X * plan.field_of_view_mm,
        body_y=BODY_Y * plan.field_of_view_mm,
        pixel=pixel,
        spacing=spacing,
    )


def _liver_box(grid: _Grid) -> tuple[slice, slice, slice]:
    """The rows and columns that a liver and its vessels may lie in, on all planes."""
    margin = 12 + 2 * grid.pixel
    # A small liver lies farther to the right, but no farther out than the largest.
    sides = (
        (grid.y.ravel(), _CENTRE_Y * grid.body_y, LIVER_FRONT * grid.body_y, LIVER_BACK * grid.body_y),
        (grid.x.ravel(), _CENTRE_X * grid.body_x, LIVER_RIGHT * grid.body_x, LIVER_LEFT * grid.body_x),
    )
    rows, columns = (
        np.flatnonzero((axis >= centre - before - margin) & (axis <= centre + after + margin))
        for axis, centre, before, after in sides
    )
    return slice(None), slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _circle(plan: PatientPlan) -> Mask:
    """What lies outside of the reconstruction circle, rows x columns."""
    along = np.arange(plan.matrix) - (plan.matrix - 1) / 2
    return along[:, None] ** 2 + along[None, :] ** 2 > (plan.matrix / 2) ** 2


def _smallest(values: Reals, count: int) -> Mask:
    """The `count` smallest values; of equal ones the first in the order of the array."""
    flat = values.ravel()
    threshold = np.partition(flat, count - 1)[count - 1]
    chosen = flat < threshold
    chosen[np.flatnonzero(flat == threshold)[: count - int(chosen.sum())]] = True
    return np.asarray(chosen.reshape(values.shape))


def _grow_liver(plan: PatientPlan, grid: _Grid) -> _Liver:
    """The liver: a star-shaped body with a long left lobe and a notch at the hilum, on the patient's right."""
    half = half_height(plan.slices, plan.slice_spacing_mm)
    scale = (plan.liver_ml / capacity(plan.field_of_view_mm, plan.slices, plan.slice_spacing_mm)) ** (1 / 3)
    centre_x = _CENTRE_X - 0.35 * (1 - scale)
    dx, dy = grid.x - centre_x * grid.body_x, grid.y - _CENTRE_Y * grid.body_y
    u = dx / np.where(dx < 0, LIVER_RIGHT * grid.body_x, LIVER_LEFT * grid.body_x)
    v = dy / np.where(dy < 0, LIVER_FRONT * grid.body_y, LIVER_BACK * grid.body_y)
    w = grid.z / np.where(grid.z > 0, LIVER_UP * half, LIVER_DOWN * half)
    gauge = u * u + v * v + w * w
    # The notch depends on the direction alone, so the body stays star-shaped and in one piece.
    toward = (0.5 * u + 0.5 * v - 0.707 * w) / np.sqrt(gauge + 1e-6)
    gauge *= 1 + 0.6 * np.clip(toward - 0.75, 0, None)
    # A plane beside the first and last slice stays free.
    gauge[[0, -1]] = np.inf
    low, high = plan.liver_range_ml
    count = _count(plan.liver_ml, low, high, plan.voxel_ml)
    count = min(count, int((gauge <= 1.0).sum()))
    mask = _smallest(gauge, count)
    return _Liver(
        mask=mask,
        gauge=gauge,
        surface=float(gauge[mask].max()),
        centre=(centre_x * grid.body_x, _CENTRE_Y * grid.body_y, 0.0),
        axes=(
            (LIVER_RIGHT + LIVER_LEFT) / 2 * grid.body_x,
            (LIVER_FRONT + LIVER_BACK) / 2 * grid.body_y,
            (LIVER_UP + LIVER_DOWN) / 2 * half,
        ),
    )


def _count(volume: float, low: float, high: float, voxel: float) -> int:
    """Voxels of a volume in mL, rounded so that the volume stays within `low` and `high`."""
    return min(max(round(volume / voxel), math.ceil(low / voxel)), math.floor(high / voxel))


def _tumour_counts(plan: PatientPlan) -> list[int]:
    """Voxels of each tumour; all of them together stay within the published range."""
    counts = [max(round(volume / plan.voxel_ml), 1) for volume in plan.tumours_ml]
    low, high = plan.tumour_range_ml
    total = sum(counts)
    counts[0] += _count(total * plan.voxel_ml, low, high, plan.voxel_ml) - total
    return counts


def _grow_tumours(plan: PatientPlan, grid: _Grid, liver: _Liver, rng: np.random.Generator) -> list[Mask]:
    """Tumours within the liver, the largest first, each in one piece and none in another."""
    counts = _tumour_counts(plan)
    deep = liver.mask & (liver.gauge < 0.94 * liver.surface)
    grown: list[Mask] = []
    for attempt in range(_ATTEMPTS):
        # Below the surface, where there is room for it.
        roomy = attempt < _ATTEMPTS // 2 and int(deep.sum()) > 0.5 * int(liver.mask.sum())
        free = deep.copy() if roomy else liver.mask.copy()
        grown = [_grow_tumour(grid, liver, free, count, rng) for count in counts]
        if [int(mask.sum()) for mask in grown] == counts:
            break
    return grown


def _grow_tumour(grid: _Grid, liver: _Liver, free: Mask, count: int, rng: np.random.Generator) -> Mask:
    """One tumour of `count` voxels; takes them, and those beside them, out of `free`."""
    voxel = grid.pixel**2 * grid.spacing
    radius = (count * voxel * 3 / (4 * math.pi)) ** (1 / 3)
    axes = _tumour_axes(radius, grid, liver)
    best: Mask | None = None
    best_size = 0
    places = np.argwhere(free)
    for centre in places[rng.integers(0, len(places), 40)]:
        # Between two planes, so that a small tumour lies on two slices.
        shift = 0.5 if centre[0] + 1 < free.shape[0] and free[centre[0] + 1, centre[1], centre[2]] else -0.5
        at = (centre[0] + shift, centre[1], centre[2])
        reach = (
            math.ceil(axes[2] / grid.spacing) + 1,
            math.ceil(axes[1] / grid.pixel) + 1,
            math.ceil(axes[0] / grid.pixel) + 1,
        )
        grown = _ball(grid, free, at, axes, reach, count)
        if grown is None:
            continue
        box, mask, inside = grown
        if inside > best_size:
            best = np.zeros_like(free)
            best[box] = mask
            best_size = inside
        if inside >= count:
            break
    if best is None or best_size < count:
        best = _grow_anywhere(grid, liver, free, count)
    free &= ~_widened(best)
    return best


def _tumour_axes(radius: float, grid: _Grid, liver: _Liver) -> tuple[float, float, float]:
    """Semi-axes in x, y, z of a tumour as large as a ball of `radius`: flatter where a ball would not fit the liver."""
    scale = math.sqrt(liver.surface)
    fits = [scale * axis for axis in liver.axes]
    along_z = max(min(radius, 0.62 * fits[2]), 0.85 * grid.spacing)
    in_plane = math.sqrt(radius**3 / along_z)
    along_y = min(in_plane, 0.66 * fits[1])
    return in_plane**2 / along_y, along_y, along_z


def _ball(
    grid: _Grid,
    free: Mask,
    at: tuple[float, float, float],
    axes: tuple[float, float, float],
    reach: tuple[int, int, int],
    count: int,
) -> tuple[tuple[slice, ...], Mask, int] | None:
    """The `count` voxels nearest to a place, and how many of them are free and hang together."""
    steps = (grid.spacing / axes[2], grid.pixel / axes[1], grid.pixel / axes[0])
    box = tuple(
        slice(max(int(c) - r, 0), min(int(c) + r + 2, n)) for c, r, n in zip(at, reach, free.shape, strict=True)
    )
    k, j, i = (
        ((np.arange(part.start, part.stop) - c) * step).astype(np.float32) ** 2
        for part, c, step in zip(box, at, steps, strict=True)
    )
    distance = (k[:, None, None] + j[None, :, None] + i[None, None, :]).astype(np.float32)
    if distance.size < count:
        return None
    mask = _smallest(distance, count) & free[box]
    inside = int(mask.sum())
    return box, mask, inside


def _grow_anywhere(grid: _Grid, liver: _Liver, free: Mask, count: int) -> Mask:
    """A tumour for which no place was found: `count` free voxels around the deepest one, in one piece."""
    pieces, n = cc3d.connected_components(free, connectivity=6, return_N=True)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    sizes[0] = 0
    piece = pieces == int(sizes.argmax())
    count = min(count, int(sizes.max()))
    depth = np.where(piece, liver.gauge, np.inf)
    k, j, i = np.unravel_index(int(depth.argmin()), depth.shape)
    distance = (
        (grid.x - grid.x[0, 0, i]) ** 2 + (grid.y - grid.y[0, j, 0]) ** 2 + (grid.z - grid.z[k, 0, 0]) ** 2
    ).astype(np.float32)
    grown = _smallest(np.where(piece, distance, np.float32(np.inf)), count)
    return _largest_piece(grown)


def _largest_piece(mask: Mask) -> Mask:
    """The largest face-connected component."""
    pieces, n = cc3d.connected_components(mask, connectivity=6, return_N=True)
    if n < 2:
        return mask
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    sizes[0] = 0
    return np.asarray(pieces == int(sizes.argmax()))


def _widened(mask: Mask) -> Mask:
    """A mask with its face neighbours."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    wide[:, :, 1:] |= mask[:, :, :-1]
    wide[:, :, :-1] |= mask[:, :, 1:]
    return wide


Point = tuple[float, float, float]
Tube = tuple[Point, Point, float]
"""Its two ends and its radius, in mm."""


def _place(liver: _Liver, x: float, y: float, z: float) -> Point:
    """A point given in parts of the liver's semi-axes."""
    scale = math.sqrt(liver.surface)
    return (
        liver.centre[0] + x * scale * liver.axes[0],
        liver.centre[1] + y * scale * liver.axes[1],
        liver.centre[2] + z * scale * liver.axes[2],
    )


def _jitter(rng: np.random.Generator) -> float:
    return float(rng.uniform(-0.07, 0.07))


def _hepatic_tubes(liver: _Liver, rng: np.random.Generator) -> list[Tube]:
    """Three hepatic veins that meet at the vena cava, high and at the back."""
    meet = _place(liver, 0.28, 0.62, 0.55)
    ends = [(-0.55, 0.15, -0.05), (0.05, -0.3, -0.1), (0.55, -0.25, 0.05)]
    return [
        (meet, _place(liver, x + _jitter(rng), y + _jitter(rng), z + _jitter(rng)), float(rng.uniform(3.5, 5.0)))
        for x, y, z in ends
    ]


def _portal_tubes(liver: _Liver, rng: np.random.Generator) -> list[Tube]:
    """The portal vein, from below the hilum to its right and left branch."""
    fork = _place(liver, 0.1, 0.2, -0.3)
    root = _place(liver, 0.62, 0.55, -0.75)
    right = _place(liver, -0.5 + _jitter(rng), 0.25, -0.3 + _jitter(rng))
    left = _place(liver, 0.5 + _jitter(rng), -0.4, -0.1 + _jitter(rng))
    return [(root, fork, 6.0), (fork, right, 5.0), (fork, left, 4.5)]


def _vessel(grid: _Grid, tubes: list[Tube], taken: Mask) -> Mask:
    """The voxels of tubes that are not taken, on planes without a gap; never on the first or last plane."""
    mask = np.zeros(taken.shape, dtype=bool)
    for start, end, radius in tubes:
        # In every plane that a tube crosses it holds the nearest voxel at least.
        wide = max(radius, 0.75 * grid.pixel)
        boxes = []
        for axis, a, b, reach in (
            (grid.z.ravel(), start[2], end[2], max(wide, grid.spacing / 2)),
            (grid.y.ravel(), start[1], end[1], wide),
            (grid.x.ravel(), start[0], end[0], wide),
        ):
            near = np.flatnonzero((axis >= min(a, b) - reach) & (axis <= max(a, b) + reach))
            boxes.append(slice(int(near[0]), int(near[-1]) + 1))
        bz, by, bx = boxes
        dx, dy, dz = (b - a for a, b in zip(start, end, strict=True))
        px = grid.x[:, :, bx] - start[0]
        py = grid.y[:, by] - start[1]
        pz = grid.z[bz] - start[2]
        along = np.clip((px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz), 0, 1)
        distance = (px - along * dx) ** 2 + (py - along * dy) ** 2 + (pz - along * dz) ** 2
        mask[bz, by, bx] |= distance <= wide**2
    mask[[0, -1]] = False
    mask &= ~taken
    return _longest_run(mask)


def _longest_run(mask: Mask) -> Mask:
    """The longest run of neighbouring planes that hold a voxel; other planes are emptied."""
    held = mask.any(axis=(1, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], held.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    first, end = runs[int((runs[:, 1] - runs[:, 0]).argmax())]
    mask[:first] = False
    mask[end:] = False
    return mask


def _remnant(grid: _Grid, liver: _Liver, lesions: Mask, rng: np.random.Generator) -> Mask:
    """What is planned to be left of the liver: one side of a slanting plane, without tumours, in one piece."""
    side = (grid.x - liver.centre[0]) * 0.9 - grid.y * 0.35 + grid.z * 0.1
    cut = float(np.quantile(side[liver.mask], rng.uniform(0.4, 0.6)))
    sides = [liver.mask & (side > cut), liver.mask & (side <= cut)]
    # Surgeons take the side with more tumour.
    kept = min(sides, key=lambda part: int((part & lesions).sum()))
    return _largest_piece(kept & ~lesions)


def _background(plan: PatientPlan, grid: _Grid, scale: float) -> npt.NDArray[np.int16]:
    """CT values of everything but the liver, whose height is `scale` of the greatest."""
    bx, by = grid.body_x, grid.body_y
    x, y = grid.x[0] / bx, grid.y[0] / by
    radius = np.sqrt(x * x + y * y)
    # Everything that is the same on all planes is painted once.
    plain = np.full(radius.shape, _AIR, dtype=np.int16)
    plain[radius <= 1] = _FAT
    rim = 1 - max(0.06, 2 * grid.pixel / by)
    plain[radius <= rim] = _MUSCLE
    cavity = radius <= rim - 0.07
    plain[cavity] = _FAT
    table = (np.abs(grid.x[0]) < 0.6 * bx) & (np.abs(grid.y[0] - (by + 12)) < max(4.0, 0.6 * grid.pixel))
    plain[table & (radius > 1)] = -300 if not plan.prone else _AIR
    spine = ((x / 0.13) ** 2 + ((y - 0.70) / 0.17) ** 2) <= 1
    aorta = ((grid.x[0] - 0.06 * bx) / 11) ** 2 + ((grid.y[0] - 0.44 * by) / 11) ** 2 <= 1

    base = np.repeat(plain[None], plan.slices, axis=0)
    half = half_height(plan.slices, plan.slice_spacing_mm) * scale
    heart = ((x - 0.12) / 0.4) ** 2 + ((y + 0.35) / 0.42) ** 2 <= 1
    spleen_at, kidney_at = (0.62, 0.25, 0.15 * half), (0.36, 0.42, -0.9 * half)
    bowel = (np.hypot((x - 0.05) / 0.6, (y + 0.25) / 0.45) <= 1) & cavity
    dome = np.sqrt(np.clip(1 - (x / 0.9) ** 2 - (y / 0.9) ** 2, 0, 1))
    for k, z in enumerate(grid.z.ravel().tolist()):
        plane = base[k]
        if z < -0.75 * half:
            plane[bowel] = 35
        _paint(plane, (x, y), z, spleen_at, (0.18, 0.24, 42.0), 115)
        _paint(plane, (x, y), z, kidney_at, (0.13, 0.15, 55.0), 160)
        _paint(plane, (-x, y), z, kidney_at, (0.13, 0.15, 55.0), 160)
        _paint(plane, (x, y), z, (0.48, -0.28, 0.05 * half), (0.24, 0.3, 50.0), 40)
        # Air rises: to the front of a supine patient, to the back of a prone one.
        lift = -0.42 if not plan.prone else -0.14
        _paint(plane, (x, y), z, (0.5, lift, 0.05 * half), (0.15, 0.11, 35.0), -980)
        lung = cavity & (z > (0.35 + 0.55 * dome) * half)
        plane[lung] = _LUNG
        if z > 0.9 * half:
            plane[heart & lung] = 45
        plane[aorta] = 165
        plane[spine] = _BONE if (z // 6) % 5 else _MUSCLE
    return base


def _paint(
    plane: npt.NDArray[np.int16],
    at: tuple[Reals, Reals],
    z: float,
    centre: tuple[float, float, float],
    axes: tuple[float, float, float],
    value: int,
) -> None:
    """Paint the cut of an ellipsoid into a plane; x and y in parts of the body's semi-axes, z in mm."""
    left = 1 - ((z - centre[2]) / axes[2]) ** 2
    if left > 0:
        plane[((at[0] - centre[0]) / axes[0]) ** 2 + ((at[1] - centre[1]) / axes[1]) ** 2 <= left] = value
