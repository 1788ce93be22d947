"""How far an organ's border on the image lies from where its mask ends.

A line along an axis of the image enters and leaves the mask through faces. On the way through a face, CT values turn from
the organ's own to those of its surroundings, and where they do is its border; where both look alike, nothing is told. A
mask that was drawn too wide or too tight has the border farther in or out on both sides; only one that was moved has it
farther in the same direction on both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crlm_qc.geometry.placements import CODES, NOTHING, STEP_HU, Codes

Weights = npt.NDArray[np.float32]

REACH_MM = 15.0
"""How far inside and outside of a face values are looked at."""
_REACHES = (3, 24)
"""Fewest and most voxels of it."""
FACES = 800
"""Faces of one side that are looked at: enough for a median to be right to a small part of a voxel."""
PARTS = 4
"""Parts of the outline that are measured by themselves, too."""
_BLUR_HU = 4.0
_MOST = 2.0
"""How much one value may weigh, so that no speck decides."""
_FLOOR = 1e-4
_EVIDENCE = 1.0
"""What the values before and behind a border must weigh for it to be told."""


@dataclass(frozen=True, slots=True)
class Side:
    """The faces through which lines leave a mask in one direction."""

    faces: int
    told: float
    """Fraction of those looked at where values tell where the border is; NaN without faces."""
    border: float
    """Median distance from the face to the border, voxels, outward positive; NaN where none is told."""
    parts: tuple[float, ...]
    """The same of each of `PARTS` parts."""


@dataclass(frozen=True, slots=True)
class Border:
    """The border along one axis of the image."""

    low: Side
    """Where the mask ends towards lower indices."""
    high: Side

    @property
    def shift(self) -> float:
        """How far the mask would have to be moved towards higher indices, voxels; NaN if not told."""
        return (self.high.border - self.low.border) / 2

    @property
    def least(self) -> float:
        """The same of the part that says least of it: below 0 where one says the opposite; NaN if all but two say nothing."""
        sign = -1.0 if self.shift < 0 else 1.0
        shifts = [sign * (high - low) / 2 for low, high in zip(self.low.parts, self.high.parts, strict=True)]
        known = [shift for shift in shifts if shift == shift]
        return min(known) if len(known) > PARTS - 2 else float("nan")


@dataclass(slots=True)
class Faces:
    """Codes on the way through the faces of a mask along one axis, gathered line by line."""

    reach: int
    """Voxels on each side of a face."""
    low: list[Codes] = field(default_factory=list)
    high: list[Codes] = field(default_factory=list)
    """Shape (faces, 2 * reach), from inside to outside."""

    @classmethod
    def along(cls, spacing: float) -> Faces:
        """For voxels so far apart along the axis, mm."""
        least, most = _REACHES
        return cls(int(min(max(round(REACH_MM / max(spacing, REACH_MM / most)), least), most)))

    def add(self, mask: npt.NDArray[np.bool_], values: Codes) -> None:
        """Take the faces on some lines.

        Parameters
        ----------
        mask : numpy.ndarray of bool, shape (lines, n)
            Voxels of the mask; beyond them there are none.
        values : numpy.ndarray of uint8, shape (lines, n + 2 * (reach + 1))
            Codes of the image, so much farther on both ends; `NOTHING` where there is none.
        """
        lines, size = mask.shape
        padded = np.zeros((lines, size + 2), dtype=np.int8)
        padded[:, 1:-1] = mask
        change = (padded[:, 1:] - padded[:, :-1]).ravel()
        ends = np.flatnonzero(change)
        line, place = np.divmod(ends, size + 1)
        begins = line * values.shape[1] + place + 1
        taken = values.ravel().take(begins[:, None] + np.arange(2 * self.reach))
        leaving = change[ends] < 0
        self.high.append(taken[leaving])
        self.low.append(taken[~leaving][:, ::-1])


def measured(axes: Iterable[Faces]) -> list[Border]:
    """Where the border lies along each axis.

    Parameters
    ----------
    axes : iterable of Faces
        The faces of one mask.

    Returns
    -------
    list of Border
        One an axis.
    """
    taken = [(faces.reach, _some(faces.low, faces.reach), _some(faces.high, faces.reach)) for faces in axes]
    weights = _weights(taken)
    return [Border(_side(low, reach, weights), _side(high, reach, weights)) for reach, low, high in taken]


def _some(parts: list[Codes], reach: int) -> Codes:
    profiles = np.concatenate(parts) if parts else np.empty((0, 2 * reach), dtype=np.uint8)
    # Where the image ends with the mask, or a voxel farther, there is no border to be seen.
    profiles = profiles[(profiles[:, reach : reach + 2] != NOTHING).all(axis=1)]
    some: Codes = profiles[:: max(-(-len(profiles) // FACES), 1)]
    return some


def _weights(taken: Iterable[tuple[int, Codes, Codes]]) -> Weights:
    """How much more likely each code is inside than outside, as a logarithm.

    Values inside are taken where even a displaced mask holds the organ: some way behind the faces.
    """
    inside, outside = np.zeros(CODES), np.zeros(CODES)
    for reach, *sides in taken:
        for profiles in sides:
            inside += np.bincount(profiles[:, : reach // 2 + 1].ravel(), minlength=CODES)
            outside += np.bincount(profiles[:, reach:].ravel(), minlength=CODES)
    inside[NOTHING] = outside[NOTHING] = 0
    reach_hu = np.arange(-3 * _BLUR_HU, 3 * _BLUR_HU + 1, STEP_HU)
    kernel = np.exp(-0.5 * (reach_hu / _BLUR_HU) ** 2)
    likely, unlikely = (
        np.convolve(counts / max(counts.sum(), 1), kernel / kernel.sum(), "same") + _FLOOR
        for counts in (inside, outside)
    )
    weights = np.clip(np.log(likely / unlikely), -_MOST, _MOST).astype(np.float32)
    weights[NOTHING] = 0
    return weights


def _side(profiles: Codes, reach: int, weights: Weights) -> Side:
    """The border at each face is where values up to it weigh most for the inside, and those beyond it for the outside."""
    count = len(profiles)
    if not count:
        return Side(0, float("nan"), float("nan"), (float("nan"),) * PARTS)
    total = np.zeros((count, 2 * reach + 1), dtype=np.float32)
    np.cumsum(weights[profiles], axis=1, out=total[:, 1:])
    place = total.argmax(axis=1)
    faces = np.arange(count)
    most = total[faces, place]
    before = np.minimum.accumulate(total, axis=1)[faces, place]
    behind = np.minimum.accumulate(total[:, ::-1], axis=1)[faces, 2 * reach - place]
    told = np.minimum(most - before, most - behind) > _EVIDENCE
    parts = [place[part][told[part]] for part in np.array_split(faces, PARTS)]
    return Side(count, float(told.mean()), _median(place[told]) - reach, tuple(_median(part) - reach for part in parts))


def _median(places: npt.NDArray[np.int64]) -> float:
    """Median of whole numbers that each stand for all values that are rounded to it; NaN without any."""
    if not places.size:
        return float("nan")
    counts = np.bincount(places)
    up_to = np.cumsum(counts)
    half = places.size / 2
    middle = int(np.searchsorted(up_to, half))
    return float(middle + 0.5 - (up_to[middle] - half) / counts[middle])
