"""One CT image as it is stored: counted in place, so that only those values that are looked at become HU."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
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
    count = stored.size if low == ends[0] else int(np.count_nonzero(stored >= low))
    return count if high == ends[1] else count - int(np.count_nonzero(stored > high))


def outside(stored: Stored, ranges: Sequence[Range]) -> Flags | None:
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
    padding: tuple[Range, ...]
    """Values that are padding, none of them in two ranges; no range where no pixel is."""
    slope: np.float32
    intercept: np.float32

    def valid(self, part: Stored) -> Flags | None:
        """Which pixels of a part of the image are no padding; None where all of the image are."""
        return outside(part, self.padding)

    def hu(self, part: Stored) -> Image:
        """CT values of a part of the image."""
        return to_hu(part, self.slope, self.intercept)

    def hu_of(self, stored: int) -> float:
        """CT value of one stored value, rounded as `hu` does."""
        return float(np.float32(stored) * self.slope + self.intercept)

    def count(self, low: int, high: int) -> int:
        """How many pixels are stored as `low` to `high`, padding left out."""
        found = count_within(self.stored, self.ends, low, high)
        return found - sum(
            count_within(self.stored, self.ends, max(low, first), min(high, last)) for first, last in self.padding
        )

    def span(self) -> range:
        """From the lowest to the highest stored value that is no padding; there must be one."""
        low, high = self.ends
        unsigned = np.dtype(f"u{self.stored.dtype.itemsize}")
        while (last := self._padding_of(low)) is not None:
            # What lies below wraps around to beyond all others.
            low = last[1] + 1
            low += int((self.stored - self.stored.dtype.type(low)).view(unsigned).min())
        while (first := self._padding_of(high)) is not None:
            high = first[0] - 1
            high -= int((self.stored.dtype.type(high) - self.stored).view(unsigned).min())
        return range(low, high + 1)

    def _padding_of(self, value: int) -> Range | None:
        return next((one for one in self.padding if one[0] <= value <= one[1]), None)

    def count_hu(self, low: float, high: float, span: range) -> int:
        """How many pixels are of `low` to `high` HU, padding left out; `span` holds all stored values that there are."""
        rising = span if self.slope > 0 else span[::-1]
        first = bisect_left(rising, low, key=self.hu_of)
        last = bisect_right(rising, high, key=self.hu_of) - 1
        return 0 if last < first else self.count(*sorted((rising[first], rising[last])))
