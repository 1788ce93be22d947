"""One CT image as it is stored: counted in place, so that only those values that are looked at become HU."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Stored = npt.NDArray[Any]
"""Integers in the machine's own order of bytes."""
Image = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Range = tuple[int, int]
"""The lowest and the highest of some stored values."""


def ends_of(stored: Stored) -> Range:
    """The lowest and the highest value of an image."""
    return int(stored.min()), int(stored.max())


def to_hu(stored: Stored, slope: np.float32, intercept: np.float32) -> Image:
    """CT values of stored ones."""
    values = stored.astype(np.float32)
    values *= slope
    values += intercept
    return values


def count_within(stored: Stored, ends: Range, low: int, high: int) -> int:
    """How many values are from `low` to `high`.

    Parameters
    ----------
    stored : numpy.ndarray
        Stored values.
    ends : tuple of int
        The lowest and the highest of them: where all lie on one side of a limit, none is looked at.
    low, high : int
        Both limits count.

    Returns
    -------
    int
    """
    low, high = max(low, ends[0]), min(high, ends[1])
    if low > high:
        return 0
    if low == high:
        return int(np.count_nonzero(stored == low))
    if low == ends[0]:
        return stored.size - (0 if high == ends[1] else int(np.count_nonzero(stored > high)))
    if high == ends[1]:
        return int(np.count_nonzero(stored >= low))
    # What lies below wraps around to beyond all others.
    above = np.subtract(stored, stored.dtype.type(low)).view(f"u{stored.dtype.itemsize}")
    return int(np.count_nonzero(above <= above.dtype.type(high - low)))


def outside(stored: Stored, ranges: Iterable[Range]) -> Flags | None:
    """Which values lie in none of some ranges; None without ranges."""
    flags: Flags | None = None
    for low, high in ranges:
        here: Flags = stored != low if low == high else (stored < low) | (stored > high)
        flags = here if flags is None else flags & here
    return flags


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One CT image. Values stay as stored, two bytes each."""

    stored: Stored
    ends: Range
    """The lowest and the highest of them, padding too."""
    padding: Mapping[Range, int]
    """Values that are padding, none of them in two ranges, and how many pixels have them; no range that none has."""
    slope: np.float32
    intercept: np.float32

    def valid(self, part: Stored) -> Flags | None:
        """Which pixels of a part of the image are no padding; None where all of the image are."""
        return outside(part, self.padding)

    def hu(self, part: Stored) -> Image:
        """CT values of a part of the image."""
        return to_hu(part, self.slope, self.intercept)

    @property
    def size(self) -> int:
        """How many pixels are no padding."""
        return self.stored.size - sum(self.padding.values())

    def thinned(self, step: int) -> StoredImage:
        """Every `step`-th row and column."""
        some = np.ascontiguousarray(self.stored[::step, ::step])
        counts = {one: count for one in self.padding if (count := count_within(some, self.ends, *one))}
        return StoredImage(some, self.ends, counts, self.slope, self.intercept)

    def span(self) -> Range:
        """The lowest and the highest stored value that is no padding; there must be one."""
        low, high = self.ends
        unsigned = np.dtype(f"u{self.stored.dtype.itemsize}")
        while (last := self._padding_of(low)) is not None:
            # What lies below wraps around to beyond all others.
            low = last[1] + 1
            low += int((self.stored - self.stored.dtype.type(low)).view(unsigned).min())
        while (first := self._padding_of(high)) is not None:
            high = first[0] - 1
            high -= int((self.stored.dtype.type(high) - self.stored).view(unsigned).min())
        return low, high

    def _padding_of(self, value: int) -> Range | None:
        return next((one for one in self.padding if one[0] <= value <= one[1]), None)

    def count(self, low: float, high: float) -> int:
        """How many pixels are of `low` to `high` HU, padding left out."""
        found = stored_between(low, high, self.stored.dtype, self.slope, self.intercept)
        if found is None:
            return 0
        first, last = found
        padded = (
            count_within(self.stored, self.ends, max(first, least), min(last, most)) for least, most in self.padding
        )
        return count_within(self.stored, self.ends, first, last) - sum(padded)


def hu_of(stored: int, slope: np.float32, intercept: np.float32) -> float:
    """CT value of one stored value, rounded as `to_hu` does."""
    return float(np.float32(stored) * slope + intercept)


@lru_cache(maxsize=64)
def stored_between(
    low: float, high: float, kind: np.dtype[Any], slope: np.float32, intercept: np.float32
) -> Range | None:
    """The lowest and the highest stored value of `low` to `high` HU, of all that a type has; None if it has none."""
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        return None
    limits = np.iinfo(kind)
    every = range(int(limits.min), int(limits.max) + 1)
    rising = every if slope > 0 else every[::-1]
    first = bisect_left(rising, low, key=lambda value: hu_of(value, slope, intercept))
    last = bisect_right(rising, high, key=lambda value: hu_of(value, slope, intercept)) - 1
    ends = sorted((rising[first], rising[last])) if first <= last else None
    return None if ends is None else (ends[0], ends[1])
