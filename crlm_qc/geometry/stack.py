"""Stacks of slices: how regular they are, where they are not, and where a point lies among them.

Positions are ImagePositionPatient, directions ImageOrientationPatient (PS3.3 C.7.6.2.1.1): LPS, mm. Nothing here
depends on the order of the slices, on the direction they were numbered in, or on how the patient lay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crlm_qc.model.tolerances import Tolerances

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FARTHEST_MM = 1e9
"""Coordinates beyond this, which no scanner has, count as this: sums and squares of them must stay numbers."""
MOST_STEPS = 10_000
"""A gap that more slices would fit in is no gap of missing slices: one of its ends lies nowhere near the stack."""
COARSEST_MM = 0.1
"""The coarsest rounding of coordinates that explains uneven gaps: nobody rounds to whole millimetres."""
_DECIMALS = 6
"""Decimals of positions that are told apart; rounding farther down does not matter."""
_MOST_ROUNDED = 0.9
"""Part of the positions that must have no more decimals than they were rounded to."""
_ASTRAY = 3
"""Slices beside the lattice that are looked for where rounding explains all others."""
_MOST_PAIRED = 2_000
"""Planes of a run up to which each is compared with every other."""


@dataclass(frozen=True, slots=True)
class StackFigures:
    """What can be measured of a stack without any tolerance; NaN where it is undefined."""

    normal: Floats
    """Unit normal of the slices, row direction x column direction, shape (3,)."""
    spacing: float
    """Distance between neighbouring slices along the normal, mm: that of the lattice that most of them lie on."""
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
    def regular(self) -> bool:
        """Whether nothing is wrong with the stack."""
        return not (self.duplicates or self.missing or self.uneven or self.displaced or self.sheared)

    @property
    def last_index(self) -> float:
        """Lattice index of the highest slice; the lowest has 0. NaN if there is no slice."""
        return float(self._indices[-1]) if self._indices.size else float("nan")

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


def measure(positions: npt.ArrayLike, row_dir: npt.ArrayLike, col_dir: npt.ArrayLike) -> StackFigures:
    """Measure a stack, without judging it; the spacing is that of `fit` with the tolerances by default.

    Parameters
    ----------
    positions : array_like, shape (n, 3)
        ImagePositionPatient of every slice, LPS mm, in any order; rows with NaN are left out.
    row_dir, col_dir : array_like, shape (3,)
        The two halves of ImageOrientationPatient that the slices share.

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
        starts = _starts(along, Tolerances().position_mm)
        lattice = _lattice(along[starts], _roundings(points, normal)[starts], Tolerances())
        spacing = lattice.spacing if np.isfinite(lattice.spacing) else float(np.median(gaps))
        figures = (spacing, float(gaps.min()), float(gaps.max()))
    return StackFigures(normal, *figures, shear, float(along[0]), float(along[-1]))


def spacing_along(points: npt.ArrayLike, normal: npt.ArrayLike, tolerances: Tolerances | None = None) -> float:
    """Spacing of the lattice that most points lie on, whatever gaps there are between them.

    Parameters
    ----------
    points : array_like, shape (n, 3)
        Positions, LPS mm, in any order; rows with NaN are left out.
    normal : array_like, shape (3,)
        Unit normal.
    tolerances : Tolerances, optional
        `position_mm`, `spacing_mm` and `spacing_fraction` are used.

    Returns
    -------
    float
        Spacing, mm; NaN for fewer than two distinct positions.
    """
    tolerances = tolerances or Tolerances()
    normal = np.asarray(normal, dtype=np.float64)
    usable, _ = _usable(points)
    along = usable @ normal
    order = np.argsort(along, kind="stable")
    starts = _starts(along[order], tolerances.position_mm)
    return _lattice(along[order][starts], _roundings(usable, normal)[order][starts], tolerances).spacing


def fit(
    positions: npt.ArrayLike, row_dir: npt.ArrayLike, col_dir: npt.ArrayLike, tolerances: Tolerances | None = None
) -> Stack:
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
    tolerances : Tolerances, optional
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
    tolerances = tolerances or Tolerances()
    normal = unit_normal(row_dir, col_dir)
    if not np.isfinite(normal).all():
        raise ValueError("the row and column directions span no plane")
    points, usable = _usable(positions)
    along = points @ normal
    order = np.argsort(along, kind="stable")
    along, points, slices = along[order], points[order], usable[order]
    starts = _starts(along, tolerances.position_mm)
    groups = np.split(slices, np.flatnonzero(starts)[1:])
    planes, origins = along[starts], points[starts]
    gaps = np.diff(planes)
    lattice = _lattice(planes, _roundings(points, normal)[starts], tolerances)
    spacing, tolerance, steps, uneven = lattice.spacing, lattice.tolerance, lattice.steps, lattice.uneven
    found = [
        Gap(int(groups[place][-1]), int(groups[place + 1][0]), float(gaps[place]), 0 if bad else int(steps[place]) - 1)
        for place, bad in enumerate(uneven.tolist())
    ]
    off = _off_lattice(planes, uneven, spacing, tolerance)
    drift, tilt, residual = _sideways(origins, planes, normal)
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


def gap_tolerance(spacing: float, tolerances: Tolerances) -> float:
    """How far a gap may be from a multiple of the spacing, mm.

    Parameters
    ----------
    spacing : float
        Slice spacing, mm; NaN if there is none.
    tolerances : Tolerances
        `spacing_mm` and `spacing_fraction` are used.

    Returns
    -------
    float
        The larger of the absolute and the relative tolerance.
    """
    relative = tolerances.spacing_fraction * spacing
    return max(tolerances.spacing_mm, relative) if np.isfinite(relative) else tolerances.spacing_mm


def _usable(positions: npt.ArrayLike) -> tuple[Floats, Ints]:
    """Positions without NaN, shape (k, 3), none farther than `FARTHEST_MM`, and their indices."""
    points = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    usable = np.flatnonzero(np.isfinite(points).all(axis=1)).astype(np.int64)
    return _near(points[usable]), usable


def _near(points: Floats) -> Floats:
    """Points, none of them farther than `FARTHEST_MM`; NaN stays NaN."""
    return np.clip(points, -FARTHEST_MM, FARTHEST_MM)


def _starts(along: Floats, tolerance: float) -> Flags:
    """Whether each of ascending positions begins another plane."""
    starts = np.ones(along.size, dtype=np.bool_)
    starts[1:] = np.diff(along) > tolerance
    return starts


@dataclass(frozen=True, slots=True)
class _Lattice:
    """A lattice fitted to planes."""

    spacing: float
    tolerance: float
    steps: Floats
    """Lattice steps that each gap stands for, at least 1, shape (k - 1,)."""
    uneven: Flags
    """Gaps that are no such multiple of the spacing, shape (k - 1,)."""


def _lattice(planes: Floats, rounding: Floats, tolerances: Tolerances) -> _Lattice:
    """Fit a lattice to ascending planes, each of which rounding may have moved by so much."""
    gaps = np.diff(planes)
    if not gaps.size:
        return _Lattice(float("nan"), tolerances.spacing_mm, gaps, np.zeros(0, dtype=np.bool_))
    spacing = _spacing(gaps, tolerances)
    tolerance = gap_tolerance(spacing, tolerances)
    steps, uneven = _judge(gaps, spacing, tolerance)
    fitted = _slope(planes, steps, uneven) or spacing
    # The gap that most agree with has an error of its own, which grows with the steps of a gap.
    refined, still = _judge(gaps, fitted, gap_tolerance(fitted, tolerances))
    uneven &= still
    steps = np.where(uneven, steps, refined)
    if uneven.any() and 4 * rounding.max() > tolerance:
        rounded = _rounded_lattice(planes, fitted, rounding, tolerance, tolerances)
        if rounded is not None and rounded.uneven.sum() <= uneven.sum():
            return rounded
    fitted = _slope(planes, steps, uneven) or spacing
    return _Lattice(fitted, gap_tolerance(fitted, tolerances), steps, uneven)


def _judge(gaps: Floats, spacing: float, tolerance: float | Floats) -> tuple[Floats, Flags]:
    """Steps of each gap, and whether it is no multiple of the spacing."""
    steps = np.maximum(np.round(gaps / spacing), 1.0)
    uneven = (np.abs(gaps - steps * spacing) > tolerance) | (steps > MOST_STEPS)
    return steps, uneven


def _slope(planes: Floats, steps: Floats, uneven: Flags) -> float | None:
    """Least-squares spacing of planes between uneven gaps, each run of them with an offset of its own; None if there is none."""
    run = np.concatenate([[0], np.cumsum(uneven)])
    places = np.concatenate([[0.0], np.cumsum(np.where(uneven, 0.0, steps))])
    counts = np.bincount(run)
    heights = planes - planes[0]
    places = places - (np.bincount(run, places) / counts)[run]
    heights = heights - (np.bincount(run, heights) / counts)[run]
    weight = float(places @ places)
    # What a sum of doubles adds is not shown as a spacing of 4.999999999999999.
    return round(float(places @ heights) / weight, 9) if weight > 0 else None


def _rounded_lattice(
    planes: Floats, spacing: float, rounding: Floats, tolerance: float, tolerances: Tolerances
) -> _Lattice | None:
    """A lattice whose planes, rounded, are those that are there, but for a few astray; None if there is none."""
    gaps = np.diff(planes)
    allowed = np.maximum(tolerance, (rounding[1:] + rounding[:-1]) * (1 + 1e-6))
    leeway = rounding + tolerances.position_mm / 2
    # A gap of one step, rounded, is within one rounding of the spacing, and so within two of another such gap.
    single = gaps[np.abs(gaps - spacing) <= max(tolerance, 4 * float(rounding.max()) * (1 + 1e-6))]
    spacing = float(single.mean()) if single.size else spacing
    astray = np.zeros(planes.size, dtype=np.bool_)
    for _ in range(_ASTRAY + 1):
        beside = astray[:-1] | astray[1:]
        for _ in range(3):
            steps, uneven = _judge(gaps, spacing, allowed)
            uneven |= beside
            spacing = _slope(planes, steps, uneven) or spacing
        low, high = _slopes(planes, steps, uneven, leeway)
        if low <= high:
            # What looked uneven beside a spacing that is not quite right may be even beside one as good.
            for place in np.flatnonzero(uneven & ~beside & (steps <= MOST_STEPS)):
                uneven[place] = False
                nearer, farther = _slopes(planes, steps, uneven, leeway)
                uneven[place] = nearer > farther
                if nearer <= farther:
                    low, high = nearer, farther
            spacing = _slope(planes, steps, uneven) or spacing
            return _Lattice(float(np.clip(spacing, low, high)), float(allowed.max()), steps, uneven)
        # The plane that is farthest from the line of its run may be the only one at fault.
        residual = planes - planes[0] - spacing * np.concatenate([[0.0], np.cumsum(steps)])
        for one in np.split(np.arange(planes.size), np.flatnonzero(uneven) + 1):
            residual[one] -= np.median(residual[one])
        astray[int(np.argmax(np.abs(residual)))] = True
    return None


def _slopes(planes: Floats, steps: Floats, uneven: Flags, leeway: Floats) -> tuple[float, float]:
    """Least and greatest spacing with which the planes between uneven gaps lie on a lattice, each within its leeway.

    There is none if the least is greater.
    """
    low, high = 0.0, np.inf
    places = np.concatenate([[0.0], np.cumsum(steps)])
    for one in np.split(np.arange(planes.size), np.flatnonzero(uneven) + 1):
        if one.size > _MOST_PAIRED:
            return np.inf, 0.0
        first, second = one[0] + np.array(np.triu_indices(one.size, 1))
        apart, between = planes[second] - planes[first], places[second] - places[first]
        both = leeway[second] + leeway[first]
        low = max(low, float(((apart - both) / between).max(initial=0.0)))
        high = min(high, float(((apart + both) / between).min(initial=np.inf)))
    return low, high


def _roundings(points: Floats, normal: Floats) -> Floats:
    """How far rounding may have moved each position along the normal, mm, told by the decimals that most of them have.

    0 for positions with more decimals than most, and for all of them where most have very many, or so few that it was no
    rounding.
    """
    nothing = np.zeros(len(points))
    if not points.size or not np.isfinite(normal).all():
        return nothing
    scaled = np.abs(points)[:, :, None] * 10.0 ** np.arange(_DECIMALS)
    held = np.abs(scaled - np.round(scaled)) <= 1e-6
    most = held.mean(axis=0) >= _MOST_ROUNDED
    decimals = most.argmax(axis=1)
    units = np.where(most.any(axis=1), 10.0**-decimals, 0.0)
    shares = np.abs(normal) * units / 2
    if shares[units > COARSEST_MM].sum() > Tolerances().position_mm:
        return nothing
    rounded = held[:, np.arange(points.shape[1]), decimals]
    return np.where(rounded[:, shares > 0].all(axis=1), shares.sum(), 0.0)


def _spacing(gaps: Floats, tolerances: Tolerances) -> float:
    """The gap that most gaps agree with; among equals the one that explains most gaps as multiples, then the median."""
    ordered = np.sort(gaps)
    width = np.maximum(tolerances.spacing_mm, tolerances.spacing_fraction * ordered)
    agree = np.searchsorted(ordered, ordered + width, "right") - np.searchsorted(ordered, ordered - width, "left")
    candidates = ordered[agree == agree.max()]
    if candidates[-1] - candidates[0] > width[-1]:
        ratio = ordered[None, :] / candidates[:, None]
        off = np.abs(ratio - np.round(ratio)) * candidates[:, None]
        allowed = np.maximum(tolerances.spacing_mm, tolerances.spacing_fraction * candidates)[:, None]
        explained = ((off <= allowed) & (ratio > 0.5)).sum(axis=1)
        candidates = candidates[explained == explained.max()]
    middle = float(candidates[np.argmin(np.abs(candidates - np.median(ordered)))])
    allowed_here = max(tolerances.spacing_mm, tolerances.spacing_fraction * middle)
    return float(np.median(ordered[np.abs(ordered - middle) <= allowed_here]))


def _off_lattice(
    planes: Floats, uneven: npt.NDArray[np.bool_], spacing: float, tolerance: float
) -> npt.NDArray[np.bool_]:
    """Planes that do not lie on the lattice of the largest group of planes in step with each other."""
    off = np.zeros(planes.size, dtype=bool)
    if not uneven.any():
        return off
    # Planes between two uneven gaps are in step; runs whose phases agree belong together.
    runs = np.concatenate([[0], np.cumsum(uneven)])
    starts = np.flatnonzero(np.concatenate([[True], uneven]))
    lengths = np.bincount(runs)
    anchors = planes[starts]
    difference = anchors[:, None] - anchors[None, :]
    in_step = np.abs(difference - np.round(difference / spacing) * spacing) <= tolerance
    best = int(np.argmax(in_step @ lengths))
    off[:] = ~in_step[best][runs]
    return off


def _sideways(origins: Floats, planes: Floats, normal: Floats) -> tuple[float, float, Floats]:
    """Drift over the stack (mm), tilt (degrees), and each plane's distance from the line that most of them form (mm)."""
    if planes.size < 2:
        return 0.0, 0.0, np.zeros(planes.size)
    offset = origins - origins[0]
    offset = offset - np.outer(offset @ normal, normal)
    # Medians, so that one slice put sideways does not tilt the line.
    slope = np.median(np.diff(offset, axis=0) / np.diff(planes)[:, None], axis=0)
    from_line = offset - np.outer(planes - planes[0], slope)
    from_line -= np.median(from_line, axis=0)
    extent = float(planes[-1] - planes[0])
    steepness = float(np.linalg.norm(slope))
    return steepness * extent, float(np.degrees(np.arctan(steepness))), np.linalg.norm(from_line, axis=1)
