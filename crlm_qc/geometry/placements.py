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
    steps = values - LOWEST_HU
    steps /= STEP_HU
    np.clip(steps, 0, CODES - 2, out=steps)
    steps += 1
    codes = steps.astype(np.uint8)
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
    if placement.kind == "transposed":
        return places[[0, 2, 1]]
    about = _ends(places if mask is None else mask)
    moves = _moves(shape, placement, about)
    return np.stack([sign * along + by for along, (sign, by) in zip(places, moves, strict=True)])


_AXES = {"slices": (0,), "rows": (1,), "columns": (2,), "upside-down": (0,), "front-back": (1,), "left-right": (2,)}
"""The axes that each kind changes; `turned` mirrors rows and columns."""


def _ends(places: Ints) -> list[tuple[int, int]]:
    """The lowest and the highest of some voxels along each axis."""
    return [(int(along.min()), int(along.max())) if along.size else (0, 0) for along in places]


def _moves(shape: Sequence[int], placement: Placement, about: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What each axis is multiplied by, 1 or -1, and what is added to it; of a mask that ends at `about`."""
    moves = [(1, 0)] * 3
    if placement.about is None:
        for axis in _AXES.get(placement.kind, ()):
            moves[axis] = 1, placement.shift
    else:
        for axis in _AXES.get(placement.kind, (1, 2)):
            moves[axis] = -1, shape[axis] - 1 if placement.about == "image" else sum(about[axis])
    return moves


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
    if around is None:
        around = places[:, :0]
    ends = _ends(places)
    voxels = _Voxels(image, np.concatenate([places, around], axis=1), places.shape[1])
    counts = np.array([voxels.counts(placement, ends) for placement in placements]).reshape(-1, 2, CODES)
    counts[:, :, NOTHING] = 0
    return _fits(counts[:, 0], counts[:, 1])


class _Voxels:
    """Some voxels of a mask, and some around it, over an image, wherever they are laid.

    Where a placement leads along an axis is a sum, so that voxels become indices once, and only those that it leads out of
    the image are looked at one by one.
    """

    def __init__(self, image: Codes, places: Ints, inside: int) -> None:
        self.image = image
        self.places = places
        self.inside = inside
        self.ends = _ends(places)
        self.steps = (image.shape[1] * image.shape[2], image.shape[2], 1)
        self.along = [axis * step for axis, step in zip(places, self.steps, strict=True)]
        self.index = self.along[0] + self.along[1] + self.along[2]

    def counts(self, placement: Placement, about: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
        """How often each code lies under those of the mask, and under the others; places beyond the image have `NOTHING`."""
        if placement.kind == "transposed":
            return _Voxels(self.image, self.places[[0, 2, 1]], self.inside).counts(Placement("stated"), about)
        index, on = self.index, None
        for axis, (sign, by) in enumerate(_moves(self.image.shape, placement, about)):
            if sign < 0:
                index = index - 2 * self.along[axis]
            if by:
                index = index + by * self.steps[axis]
            ends = [sign * end + by for end in self.ends[axis]]
            if min(ends) < 0 or max(ends) >= self.image.shape[axis]:
                moved = sign * self.places[axis] + by
                there = (moved >= 0) & (moved < self.image.shape[axis])
                on = there if on is None else on & there
        codes = self.image.ravel().take(index if on is None else np.where(on, index, 0))
        if on is not None:
            codes[~on] = NOTHING
        inside, outside = codes[: self.inside], codes[self.inside :]
        return np.bincount(inside, minlength=CODES), np.bincount(outside, minlength=CODES)


_VALUES = LOWEST_HU + STEP_HU * (np.arange(CODES) - 0.5)
"""CT value in the middle of each code."""


def _fits(counts: Ints, around: Ints) -> list[Fit]:
    """What lies under the mask at each placement: how often each code does, and around it, shape (placements, codes)."""
    totals, totals_around = counts.sum(axis=1), around.sum(axis=1)
    some = np.maximum(totals, 1)
    medians = _VALUES[(np.cumsum(counts, axis=1) < (some / 2)[:, None]).sum(axis=1).clip(max=CODES - 1)]
    far = np.minimum(np.abs(_VALUES - medians[:, None]), CLIP_HU)
    spreads = [float(own @ distances) / int(total) for own, distances, total in zip(counts, far, some, strict=True)]
    below = counts[:, _VALUES < BELOW_HU].sum(axis=1) / some
    parts = [
        part.reshape(len(part), -1, _GROUP).sum(axis=2) / np.maximum(total, 1)[:, None]
        for part, total in ((counts, totals), (around, totals_around))
    ]
    alike = np.where(totals_around > 0, np.minimum(*parts).sum(axis=1), np.nan)
    nothing = Fit(0, float("nan"), float("nan"), float("nan"))
    return [
        Fit(int(total), float(median), spread, float(under), float(like)) if total else nothing
        for total, median, spread, under, like in zip(totals, medians, spreads, below, alike, strict=True)
    ]
