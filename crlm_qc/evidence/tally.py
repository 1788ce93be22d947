"""CT values under a mask, counted: quantiles need no sorting, and memory does not grow with the number of voxels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from crlm_qc.evidence.images import Image, Range, Stored, ends_of, outside, to_hu
from crlm_qc.geometry.masks import Ints

MOST_WAITING = 1 << 16
"""Values that are counted together: few enough that their indices, of 8 bytes each, stay in the processor's cache."""
MOST_KINDS = 1 << 16
"""Most values that are counted one by one, whether they are there or not."""


class Tally:
    """How often each CT value is there."""

    def __init__(self) -> None:
        self._waiting: list[Stored] = []
        self._size = 0
        self._scale = np.float32(1), np.float32(0)
        self._padding: Collection[Range] = frozenset()
        self._first = 0
        self._every: Ints = np.empty(0, dtype=np.intp)
        """How often each stored value from `_first` on was counted."""
        self._kinds: list[Image] = []
        self._counts: list[Ints] = []

    def add(
        self, stored: Stored, slope: np.float32, intercept: np.float32, padding: Collection[Range] = frozenset()
    ) -> None:
        """Count some more.

        Parameters
        ----------
        stored : numpy.ndarray of integers, shape (n,)
            Stored values; they must not change afterwards.
        slope, intercept : numpy.float32
            Rescale Slope and Rescale Intercept.
        padding : collection of (int, int)
            The lowest and the highest of stored values that are not counted.
        """
        if (slope, intercept) != self._scale or padding != self._padding:
            self._count()
            self._scaled()
            self._scale, self._padding = (slope, intercept), padding
        if stored.size:
            self._waiting.append(stored)
            self._size += stored.size
        if self._size > MOST_WAITING:
            self._count()

    def _count(self) -> None:
        if not self._waiting:
            return
        stored = np.concatenate(self._waiting)
        self._waiting.clear()
        self._size = 0
        low, high = ends_of(stored)
        if high - low >= MOST_KINDS:
            self._keep(*np.unique(stored, return_counts=True))
            return
        first, last = low, high
        if self._every.size:
            first, last = min(low, self._first), max(high, self._first + self._every.size - 1)
        if last - first >= MOST_KINDS:
            self._scaled()
            first, last = low, high
        if last - first >= self._every.size:
            wider = np.zeros(last - first + 1, dtype=np.intp)
            wider[self._first - first :][: self._every.size] = self._every
            self._first, self._every = first, wider
        self._every[low - first : high - first + 1] += np.bincount(np.subtract(stored, low, dtype=np.intp))

    def _scaled(self) -> None:
        """Note CT values in place of stored ones, whose scale may change now."""
        kinds = np.flatnonzero(self._every)
        if kinds.size:
            self._keep(kinds + self._first, self._every[kinds])
        self._first, self._every = 0, np.empty(0, dtype=np.intp)

    def _keep(self, kinds: Stored, counts: Ints) -> None:
        if (valid := outside(kinds, self._padding)) is not None:
            kinds, counts = kinds[valid], counts[valid]
        if kinds.size:
            self._kinds.append(to_hu(kinds, *self._scale))
            self._counts.append(counts)

    def counted(self) -> Counted | None:
        """All that was added; None if nothing was."""
        self._count()
        self._scaled()
        if not self._kinds:
            return None
        kinds, counts = np.concatenate(self._kinds), np.concatenate(self._counts)
        order = np.argsort(kinds)
        return Counted(kinds[order], np.cumsum(counts[order]))


class Counted:
    """Values in their order, each with how many there are up to it.

    Figures are those that `numpy` gives of all values one by one.
    """

    def __init__(self, kinds: Image, up_to: npt.NDArray[np.int64]) -> None:
        self._kinds = kinds
        self._up_to = up_to
        self.size = int(up_to[-1])

    def _ranked(self, ranks: Sequence[int]) -> Image:
        """The values of some ranks; where one value of all is not a number, none has a rank."""
        if np.isnan(self._kinds[-1]):
            return self._kinds[-1:]
        return self._kinds[np.searchsorted(self._up_to, ranks, side="right")]

    @property
    def median(self) -> float:
        """The middle value, or the mean of the two in the middle."""
        return float(np.median(self._ranked(sorted({(self.size - 1) // 2, self.size // 2}))))

    @property
    def upper_quartile(self) -> float:
        """The third quartile, between two values where it falls there."""
        rank, quarters = divmod(3 * (self.size - 1), 4)
        return float(np.quantile(self._ranked([rank, min(rank + 1, self.size - 1)]), quarters / 4))

    def below(self, limit: float) -> float:
        """Fraction of values below a limit."""
        under = self._kinds < limit
        counts = np.diff(self._up_to, prepend=0)
        return int(counts[under].sum()) / self.size
