"""A mask laid over an image elsewhere than it lies: shifted, mirrored, turned, upside down.

An organ is alike inside: where its mask lies right, most voxels have nearly the same CT value, whatever the organ's own
value is. How alike they are tells a right placement from a wrong one without knowing what a fatty or a diseased liver
looks like. All is measured on a coarse copy of the image, one byte a voxel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crlm_qc.geometry.masks import Ints

Codes = npt.NDArray[np.uint8]

LOWEST_HU = -200
"""CT values from here on are told apart; below it is air, lung, or the emptiest fat."""
STEP_HU = 2
"""CT values that share a code."""
NOTHING = 0
"""Code of padding, and of slices that could not be read."""
CODES = 256
CLIP_HU = 60.0
"""Farther from the median a voxel is of another tissue, and how much farther says no more: fat, air and bone count alike."""
BELOW_HU = -10.0
"""Nothing in a liver is below, noise left aside."""
SAMPLES = 12_000
"""Voxels of the mask that are looked at: enough for the figures to be right to 0.005."""
SAMPLES_AROUND = 4_000
"""Voxels just outside of it that are looked at."""
_GROUP = 8
"""Codes that count as alike: 16 HU."""
SLICE_SHIFTS = (1, 2, 3, 4, 5)
ALONG_MM = (5.0, 10.0, 15.0, 20.0, 25.0)
"""Shifts along the normal: small counts, and lengths that thin slices reach only by larger counts."""
IN_PLANE_MM = (6.0, 9.0, 12.0, 15.0, 20.0)
_LEAST_MM = 0.1


@dataclass(frozen=True, slots=True)
class Placement:
    """One way of laying a mask over the image."""

    kind: str
    """As `alignments.placement` names it."""
    about: str | None = None
    """What it is mirrored or turned about: the middle of the `image`, or of the `mask`."""
    shift: int = 0
    """Voxels along the axis that the kind names."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What lies under the mask at a placement."""

    voxels: int
    """Voxels looked at that fell on the image, padding left out."""
    median: float
    """HU; NaN without voxels."""
    spread: float
    """Mean distance from the median, HU, each distance at most `CLIP_HU`; NaN without voxels."""
    below: float
    """Fraction below `BELOW_HU`; NaN without voxels."""
    alike: float = float("nan")
    """Part of the values just outside that has its like inside, value by value; NaN without voxels on either side."""


def encode(values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_] | None = None) -> Codes:
    """CT values as one byte a voxel.

    Parameters
    ----------
    values : numpy.ndarray of float32
        CT values, HU.
    valid : numpy.ndarray of bool, optional
        False where there is nothing.

    Returns
    -------
    numpy.ndarray of uint8
        Codes; `NOTHING` where there is nothing.
    """
    codes = (np.clip((values - LOWEST_HU) / STEP_HU, 0, CODES - 2) + 1).astype(np.uint8)
    if valid is not None:
        codes[~valid] = NOTHING
    return codes


def candidates(spacing: float, spacing_row: float, spacing_col: float) -> Iterator[Placement]:
    """Placements worth a look: as stated first, then what writers of masks get wrong.

    Parameters
    ----------
    spacing, spacing_row, spacing_col : float
        Distance between slices, rows and columns of the coarse image, mm.

    Yields
    ------
    Placement
        The stated one first.
    """
    yield Placement("stated")
    # Spacings come from files: absurdly small ones make no larger shifts.
    spacing, spacing_row, spacing_col = (max(value, _LEAST_MM) for value in (spacing, spacing_row, spacing_col))
    along = {*SLICE_SHIFTS, *(round(length / spacing) for length in ALONG_MM)}
    in_plane = (
        ("slices", along),
        ("rows", {round(length / spacing_row) for length in IN_PLANE_MM}),
        ("columns", {round(length / spacing_col) for length in IN_PLANE_MM}),
    )
    for kind, shifts in in_plane:
        for shift in sorted(shifts - {0}):
            yield Placement(kind, None, shift)
            yield Placement(kind, None, -shift)
    for about in ("image", "mask"):
        for kind in ("left-right", "front-back", "upside-down", "turned"):
            yield Placement(kind, about)
    yield Placement("transposed", "image")


def laid(places: Ints, shape: Sequence[int], placement: Placement, mask: Ints | None = None) -> Ints:
    """Where the voxels of a mask come to lie.

    Parameters
    ----------
    places : numpy.ndarray of int64, shape (3, n)
        Slice, row and column of each voxel.
    shape : sequence of int
        Slices, rows and columns of the image.
    placement : Placement
        How it is laid.
    mask : numpy.ndarray of int64, shape (3, m), optional
        Voxels of the mask whose middle is meant, if `places` are others.

    Returns
    -------
    numpy.ndarray of int64, shape (3, n)
        Slice, row and column of each; they may lie outside of the image.
    """
    moved = places.copy()
    axes = {"slices": (0,), "rows": (1,), "columns": (2,), "upside-down": (0,), "front-back": (1,), "left-right": (2,)}
    if placement.kind == "transposed":
        moved[[1, 2]] = moved[[2, 1]]
    elif placement.about is None:
        for axis in axes.get(placement.kind, ()):
            moved[axis] += placement.shift
    else:
        for axis in axes.get(placement.kind, (1, 2)):
            ends = shape[axis] - 1
            if placement.about == "mask":
                about = places if mask is None else mask
                ends = int(about[axis].min() + about[axis].max())
            moved[axis] = ends - moved[axis]
    return moved


def fits(image: Codes, places: Ints, placements: Sequence[Placement], around: Ints | None = None) -> list[Fit]:
    """What lies under a mask at each placement.

    Parameters
    ----------
    image : numpy.ndarray of uint8, shape (slices, rows, columns)
        Codes.
    places : numpy.ndarray of int64, shape (3, n)
        Slice, row and column of each voxel of the mask.
    placements : sequence of Placement
        How it is laid.
    around : numpy.ndarray of int64, shape (3, m), optional
        Voxels just outside of it.

    Returns
    -------
    list of Fit
        One a placement.
    """
    found = []
    for placement in placements:
        inside = _counts(image, laid(places, image.shape, placement))
        outside = None if around is None else _counts(image, laid(around, image.shape, placement, places))
        found.append(_fit(inside, outside))
    return found


def _counts(image: Codes, moved: Ints) -> Ints:
    """How often each code lies at some places; `NOTHING`, and places beyond the image, are not counted."""
    on = np.logical_and.reduce([(axis >= 0) & (axis < size) for axis, size in zip(moved, image.shape, strict=True)])
    if not on.all():
        moved = moved[:, on]
    under = image.ravel()[(moved[0] * image.shape[1] + moved[1]) * image.shape[2] + moved[2]]
    counts = np.bincount(under, minlength=CODES)
    counts[NOTHING] = 0
    return counts


_VALUES = LOWEST_HU + STEP_HU * (np.arange(CODES) - 0.5)
"""CT value in the middle of each code."""


def _fit(counts: Ints, around: Ints | None) -> Fit:
    total = int(counts.sum())
    if not total:
        return Fit(0, float("nan"), float("nan"), float("nan"))
    median = float(_VALUES[int(np.searchsorted(np.cumsum(counts), total / 2))])
    spread = float(counts @ np.minimum(np.abs(_VALUES - median), CLIP_HU)) / total
    alike = float("nan")
    if around is not None and around.any():
        inside, outside = (part.reshape(-1, _GROUP).sum(axis=1) / part.sum() for part in (counts, around))
        alike = float(np.minimum(inside, outside).sum())
    return Fit(total, median, spread, float(counts[_VALUES < BELOW_HU].sum()) / total, alike)
