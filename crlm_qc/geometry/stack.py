"""Stacks of slices: how regular they are, where they are not, and where a point lies among them.

Positions are ImagePositionPatient, directions ImageOrientationPatient (PS3.3 C.7.6.2.1.1): LPS, mm. Nothing here
depends on the order of the slices, on the direction they were numbered in, or on how the patient lay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crlm_qc.geometry.lattice import (
    Flags,
    Floats,
    Ints,
    Lattice,
    gap_tolerance,
    lattice_of,
    off_the_lattice,
    roundings,
    sideways_of,
    starts_of,
)
from crlm_qc.model.tolerances import Tolerances

FARTHEST_MM = 1e9
"""Coordinates beyond this, which no scanner has, count as this: sums and squares of them must stay numbers."""


_SHORTEST_STRETCH = 3
"""Gaps of a part of a stack that has a spacing of its own."""
_MOST_STRETCHES = 4
"""Parts of a stack with a spacing of their own each; with more of them it is uneven."""


@dataclass(frozen=True, slots=True)
class StackFigures:
    """What can be measured of a stack; NaN where it is undefined."""

    normal: Floats
    """Unit normal of the slices, row direction x column direction, shape (3,)."""
    spacing: float
    """Distance between neighbouring slices along the normal, mm: that of the lattice that most of them lie on, as `fit`
    finds it with the same tolerances."""
    spacing_min: float
    spacing_max: float
    shear: float
    """Largest sideways distance of a slice's origin from the line through the lowest along the normal, mm."""
    first: float
    """Position of the lowest slice along the normal, mm."""
    last: float
    """Position of the highest slice along the normal, mm."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap between two neighbouring slices."""

    below: int
    """Index (into the positions given) of the lower slice along the normal."""
    above: int
    """Index of the higher one."""
    size: float
    """Its size along the normal, mm."""
    missing: int
    """Slices that would fit between the two; 0 where the gap is no multiple of the spacing."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring slices of one spacing."""

    first: int
    """Index of its lowest slice along the normal."""
    last: int
    """Index of its highest one."""
    spacing: float
    """Slice spacing, mm."""
    gaps: int


@dataclass(frozen=True)
class Stack:
    """A stack fitted to slice positions; made by `fit`. Slice indices are those of the positions given."""

    normal: Floats
    """Unit normal, shape (3,)."""
    order: Ints
    """Slices with a usable position, from the lowest to the highest along the normal."""
    spacing: float
    """Spacing of the lattice, mm; NaN for fewer than two distinct positions."""
    tolerance: float
    """Gaps within this distance of a multiple of the spacing are regular, mm. It is larger where positions were rounded
    to few decimals, and that explains their gaps."""
    duplicates: tuple[tuple[int, ...], ...]
    """Groups of slices at one position along the normal."""
    missing: tuple[Gap, ...]
    """Gaps that are a multiple of the spacing."""
    uneven: tuple[Gap, ...]
    """Gaps that are none."""
    off_lattice: tuple[int, ...]
    """Slices beside an uneven gap that do not lie on the lattice of the majority."""
    drift: float
    """Sideways drift from the lowest to the highest slice, mm."""
    tilt: float
    """Angle between the normal and the line through the slices' origins, degrees."""
    displaced: tuple[int, ...]
    """Slices that lie sideways of the line that the others form."""
    sheared: bool
    """Whether the drift is over the tolerance."""
    _ranks: Ints = field(repr=False)
    """Plane of each slice of `order`."""
    _planes: Floats = field(repr=False)
    """Distinct positions along the normal, ascending, shape (k,)."""
    _origins: Floats = field(repr=False)
    """Origin of one slice of each plane, shape (k, 3)."""
    _indices: Floats = field(repr=False)
    """Lattice index of each plane, shape (k,)."""

    @property
    def n_missing(self) -> int:
        """Slices that are missing in all gaps."""
        return sum(gap.missing for gap in self.missing)

    @property
    def n_surplus(self) -> int:
        """Slices that lie where another one is."""
        return sum(len(group) - 1 for group in self.duplicates)

    @property
    def last_index(self) -> float:
        """Lattice index of the highest slice; the lowest has 0. NaN if there is no slice."""
        return float(self._indices[-1]) if self._indices.size else float("nan")

    def stretches(self, tolerances: Tolerances) -> tuple[Stretch, ...]:
        """Parts of the stack with a spacing of their own, from the lowest; none if it has one spacing, or no order at all.

        Parameters
        ----------
        tolerances : Tolerances
            `spacing_mm` and `spacing_fraction` are used.
        """
        gaps = np.diff(self._planes)
        first = self.order[np.flatnonzero(np.diff(self._ranks, prepend=-1))]
        found: list[Stretch] = []
        begin = 0
        for end in range(1, gaps.size + 1):
            if end < gaps.size and abs(gaps[end] - gaps[begin]) <= gap_tolerance(float(gaps[begin]), tolerances):
                continue
            if end - begin >= _SHORTEST_STRETCH:
                spacing = float(np.median(gaps[begin:end]))
                found.append(Stretch(int(first[begin]), int(first[end]), spacing, end - begin))
            begin = end
        between = gaps.size - sum(stretch.gaps for stretch in found)
        regular = 2 <= len(found) <= _MOST_STRETCHES and between < len(found)
        return tuple(found) if regular else ()

    def plane_of(self, slices: npt.ArrayLike) -> Ints:
        """Rank of the planes that slices lie in, counting only planes that are there.

        Parameters
        ----------
        slices : array_like of int, shape (m,)
            Slice indices; only those in `order`.

        Returns
        -------
        numpy.ndarray of int64, shape (m,)
            0 for the lowest plane, 1 for the next, whatever the gaps between them.
        """
        ranks = np.full(int(self.order.max(initial=-1)) + 1, -1, dtype=np.int64)
        ranks[self.order] = self._ranks
        return ranks[np.asarray(slices, dtype=np.int64)]

    def nearest_plane(self, points: npt.ArrayLike) -> tuple[Ints, Floats]:
        """Plane that is nearest to each point, and how far off it is.

        Parameters
        ----------
        points : array_like, shape (m, 3)
            Points, LPS mm.

        Returns
        -------
        rank : numpy.ndarray of int64, shape (m,)
            Rank of the nearest plane, as `plane_of` counts them; -1 where a coordinate is missing.
        distance : numpy.ndarray, shape (m,)
            Signed distance along the normal from that plane, mm.
        """
        along = _near(np.asarray(points, dtype=np.float64).reshape(-1, 3)) @ self.normal
        if not self._planes.size:
            return np.full(along.size, -1, dtype=np.int64), np.full(along.size, np.nan)
        usable = np.isfinite(along)
        sought = np.where(usable, along, 0.0)
        above = np.clip(np.searchsorted(self._planes, sought), 0, self._planes.size - 1)
        below = np.clip(above - 1, 0, None)
        nearer = np.abs(self._planes[below] - sought) <= np.abs(self._planes[above] - sought)
        rank = np.where(nearer, below, above)
        return np.where(usable, rank, -1), np.where(usable, along - self._planes[rank], np.nan)

    def index_of(self, points: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Where points lie on the stack's lattice.

        The lattice follows the slices that are there, so an uneven or sheared stack maps its own slices to whole
        indices too; a missing slice keeps its index free.

        Parameters
        ----------
        points : array_like, shape (m, 3)
            Origins of frames, LPS mm.

        Returns
        -------
        index : numpy.ndarray, shape (m,)
            Lattice index along the normal, 0 at the lowest slice; negative or above `last_index` outside the stack.
        in_plane : numpy.ndarray, shape (m,)
            Sideways distance from the origin that a slice at that index has, mm.
        along : numpy.ndarray, shape (m,)
            Signed distance along the normal from the plane of the nearest whole index, mm.
        """
        points = _near(np.asarray(points, dtype=np.float64).reshape(-1, 3))
        if not self._planes.size:
            nothing = np.full(len(points), np.nan)
            return nothing, nothing.copy(), nothing.copy()
        distance = points @ self.normal
        index = self._interpolate(distance, self._planes, self._indices)
        origin = np.stack(
            [self._interpolate(distance, self._planes, self._origins[:, axis]) for axis in range(3)], axis=1
        )
        sideways = points - origin
        sideways -= np.outer(sideways @ self.normal, self.normal)
        whole = np.round(index)
        along = distance - self._interpolate(whole, self._indices, self._planes)
        return index, np.linalg.norm(sideways, axis=1), along

    def _interpolate(self, at: Floats, known: Floats, values: Floats) -> Floats:
        """Linear between planes; beyond the ends in steps of the whole stack's slope."""
        result = np.interp(at, known, values)
        if known.size > 1 and np.isfinite(self.spacing):
            slope = (values[-1] - values[0]) / (known[-1] - known[0])
            result = np.where(at < known[0], values[0] + slope * (at - known[0]), result)
            return np.where(at > known[-1], values[-1] + slope * (at - known[-1]), result)
        # One plane gives no spacing: every other place is off the lattice.
        return np.where(np.isclose(at, known[0], rtol=0.0, atol=self.tolerance), result, np.nan)


def unit_normal(row_dir: npt.ArrayLike, col_dir: npt.ArrayLike) -> Floats:
    """Unit normal of a slice.

    Parameters
    ----------
    row_dir, col_dir : array_like, shape (3,)
        The two halves of ImageOrientationPatient.

    Returns
    -------
    numpy.ndarray, shape (3,)
        row_dir x col_dir, normalised; NaN where the two are parallel or missing.
    """
    normal = np.cross(np.asarray(row_dir, dtype=np.float64), np.asarray(col_dir, dtype=np.float64))
    length = float(np.linalg.norm(normal))
    if not np.isfinite(length) or length < np.finfo(np.float32).eps:
        return np.full(3, np.nan)
    return np.asarray(normal / length, dtype=np.float64)


def ahead(normal: npt.ArrayLike) -> float:
    """Whether a normal points to the head, the left or the back, by its largest component.

    Parameters
    ----------
    normal : array_like, shape (3,)
        A direction, LPS. Those of two stacks of the same slices may be opposite.

    Returns
    -------
    float
        1 if it does, else -1.
    """
    parts = np.asarray(normal, dtype=np.float64)
    return -1.0 if parts[np.abs(parts).argmax()] < 0 else 1.0


def measure(
    positions: npt.ArrayLike, row_dir: npt.ArrayLike, col_dir: npt.ArrayLike, tolerances: Tolerances
) -> StackFigures:
    """Measure a stack, without judging it.

    Parameters
    ----------
    positions : array_like, shape (n, 3)
        ImagePositionPatient of every slice, LPS mm, in any order; rows with NaN are left out.
    row_dir, col_dir : array_like, shape (3,)
        The two halves of ImageOrientationPatient that the slices share.
    tolerances : Tolerances
        `position_mm`, `spacing_mm` and `spacing_fraction` are used, for the spacing alone.

    Returns
    -------
    StackFigures
        Figures in mm.
    """
    normal = unit_normal(row_dir, col_dir)
    points, _ = _usable(positions)
    nan = float("nan")
    if not points.size or not np.isfinite(normal).all():
        return StackFigures(normal, nan, nan, nan, nan, nan, nan)
    along = points @ normal
    order = np.argsort(along, kind="stable")
    along, points = along[order], points[order]
    offset = points - points[0]
    sideways = offset - np.outer(offset @ normal, normal)
    shear = float(np.linalg.norm(sideways, axis=1).max())
    gaps = np.diff(along)
    figures = (nan, nan, nan)
    if gaps.size:
        _, lattice = _planes(points, along, normal, tolerances)
        figures = (lattice.spacing, float(gaps.min()), float(gaps.max()))
    return StackFigures(normal, *figures, shear, float(along[0]), float(along[-1]))


def spacing_along(points: npt.ArrayLike, normal: npt.ArrayLike, tolerances: Tolerances) -> float:
    """Spacing of the lattice that most points lie on, whatever gaps there are between them.

    Parameters
    ----------
    points : array_like, shape (n, 3)
        Positions, LPS mm, in any order; rows with NaN are left out.
    normal : array_like, shape (3,)
        Unit normal.
    tolerances : Tolerances
        `position_mm`, `spacing_mm` and `spacing_fraction` are used.

    Returns
    -------
    float
        Spacing, mm; NaN for fewer than two distinct positions.
    """
    normal = np.asarray(normal, dtype=np.float64)
    usable, _ = _usable(points)
    along = usable @ normal
    order = np.argsort(along, kind="stable")
    _, lattice = _planes(usable[order], along[order], normal, tolerances)
    return lattice.spacing


def fit(positions: npt.ArrayLike, row_dir: npt.ArrayLike, col_dir: npt.ArrayLike, tolerances: Tolerances) -> Stack:
    """Fit a lattice to slice positions and tell what does not lie on it.

    The spacing is that of a line through the slices whose gaps agree, so a few missing, doubled, uneven or sideways
    slices do not move it, and each is told apart from the others. A gap of a whole multiple of the spacing is a missing
    slice; any other is uneven, unless all of the positions are those of a lattice that was rounded to the decimals that
    they have (1.2 and 1.3 mm by turns are 1.25). Shear is looked for sideways alone, so a sheared stack with equal steps
    is not uneven.

    Parameters
    ----------
    positions : array_like, shape (n, 3)
        ImagePositionPatient of every slice, LPS mm, in any order; rows with NaN are left out.
    row_dir, col_dir : array_like, shape (3,)
        The two halves of ImageOrientationPatient that the slices share.
    tolerances : Tolerances
        `position_mm`, `spacing_mm`, `spacing_fraction` and `shear_mm` are used.

    Returns
    -------
    Stack
        The fitted stack.

    Raises
    ------
    ValueError
        The directions span no plane.
    """
    normal = unit_normal(row_dir, col_dir)
    if not np.isfinite(normal).all():
        raise ValueError("the row and column directions span no plane")
    points, usable = _usable(positions)
    along = points @ normal
    order = np.argsort(along, kind="stable")
    along, points, slices = along[order], points[order], usable[order]
    starts, lattice = _planes(points, along, normal, tolerances)
    groups = np.split(slices, np.flatnonzero(starts)[1:])
    planes, origins = along[starts], points[starts]
    gaps = np.diff(planes)
    spacing, tolerance, steps, uneven = lattice.spacing, lattice.tolerance, lattice.steps, lattice.uneven
    found = [
        Gap(int(groups[place][-1]), int(groups[place + 1][0]), float(gaps[place]), 0 if bad else int(steps[place]) - 1)
        for place, bad in enumerate(uneven.tolist())
    ]
    off = off_the_lattice(planes, uneven, spacing, tolerance)
    drift, tilt, residual = sideways_of(origins, planes, normal)
    displaced = residual > tolerances.shear_mm
    return Stack(
        normal=normal,
        order=slices,
        spacing=spacing,
        tolerance=tolerance,
        duplicates=tuple(tuple(int(index) for index in group) for group in groups if len(group) > 1),
        missing=tuple(gap for gap in found if gap.missing),
        uneven=tuple(gap for gap, bad in zip(found, uneven.tolist(), strict=True) if bad),
        off_lattice=tuple(int(groups[place][0]) for place in np.flatnonzero(off)),
        drift=drift,
        tilt=tilt,
        displaced=tuple(int(groups[place][0]) for place in np.flatnonzero(displaced)),
        sheared=drift > tolerances.shear_mm,
        _ranks=np.cumsum(starts, dtype=np.int64) - 1,
        _planes=planes,
        _origins=origins,
        _indices=np.concatenate([np.zeros(min(planes.size, 1)), np.cumsum(steps)]),
    )


def _planes(points: Floats, along: Floats, normal: Floats, tolerances: Tolerances) -> tuple[Flags, Lattice]:
    """Whether each of the points, ascending along the normal, begins another plane, and the lattice of the planes."""
    starts = starts_of(along, tolerances.position_mm)
    return starts, lattice_of(along[starts], roundings(points, normal, tolerances)[starts], tolerances)


def _usable(positions: npt.ArrayLike) -> tuple[Floats, Ints]:
    """Positions without NaN, shape (k, 3), none farther than `FARTHEST_MM`, and their indices."""
    points = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    usable = np.flatnonzero(np.isfinite(points).all(axis=1)).astype(np.int64)
    return _near(points[usable]), usable


def _near(points: Floats) -> Floats:
    """Points, none of them farther than `FARTHEST_MM`; NaN stays NaN."""
    return np.clip(points, -FARTHEST_MM, FARTHEST_MM)
