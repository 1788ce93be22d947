"""The lattice that the slices of a stack lie on: its spacing, its gaps, and what lies off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crlm_qc.model.tolerances import Tolerances

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
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


def starts_of(along: Floats, tolerance: float) -> Flags:
    """Whether each of ascending positions begins another plane."""
    starts = np.ones(along.size, dtype=np.bool_)
    starts[1:] = np.diff(along) > tolerance
    return starts


@dataclass(frozen=True, slots=True)
class Lattice:
    """A lattice fitted to planes."""

    spacing: float
    tolerance: float
    steps: Floats
    """Lattice steps that each gap stands for, at least 1, shape (k - 1,)."""
    uneven: Flags
    """Gaps that are no such multiple of the spacing, shape (k - 1,)."""


def lattice_of(planes: Floats, rounding: Floats, tolerances: Tolerances) -> Lattice:
    """Fit a lattice to ascending planes, each of which rounding may have moved by so much."""
    gaps = np.diff(planes)
    if not gaps.size:
        return Lattice(float("nan"), tolerances.spacing_mm, gaps, np.zeros(0, dtype=np.bool_))
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
    return Lattice(fitted, gap_tolerance(fitted, tolerances), steps, uneven)


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
) -> Lattice | None:
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
            return Lattice(float(np.clip(spacing, low, high)), float(allowed.max()), steps, uneven)
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


def roundings(points: Floats, normal: Floats, tolerances: Tolerances) -> Floats:
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
    if shares[units > COARSEST_MM].sum() > tolerances.position_mm:
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


def off_the_lattice(
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
    # By the mean of its planes: that of one alone may be rounded by half of what is allowed.
    first = planes[starts]
    apart = planes - first[runs]
    anchors = first + np.bincount(runs, weights=apart - np.round(apart / spacing) * spacing) / lengths
    difference = anchors[:, None] - anchors[None, :]
    in_step = np.abs(difference - np.round(difference / spacing) * spacing) <= tolerance
    best = int(np.argmax(in_step @ lengths))
    off[:] = ~in_step[best][runs]
    return off


def sideways_of(origins: Floats, planes: Floats, normal: Floats) -> tuple[float, float, Floats]:
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
