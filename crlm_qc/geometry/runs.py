"""Runs of set voxels along the rows of packed planes: a segment has a hundred times fewer of them than voxels.

Planes lie one after another, with zero bits after each row and a row of zeros below each. So the place of a voxel among all
bits tells its row and column, and a run touches those of the next row, or of the next plane, that it overlaps when moved by
as many bits as lie between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crlm_qc.geometry.masks import Box, Ints, Packed, count, pack

_WORD = 8
"""Bytes that are looked at at once."""
_AT_ONCE = 1 << 18
"""Bytes of planes whose runs are looked for at once: they stay in the processor's cache."""
_FEWEST_BITS = 64
"""Bits of a volume to each of its runs; where there are fewer, runs would take more memory than voxels."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of set voxels, plane by plane, row by row, from left to right."""

    starts: Ints
    stops: Ints
    """Places of their first voxels, and of the first ones after them, among all bits."""
    rows: int
    """Rows of a plane, with that of zeros."""
    columns: int
    """Bits of a row."""

    def sizes(self) -> Ints:
        """Voxels of every face-connected component."""
        lengths = self.stops - self.starts
        sizes: Ints = np.bincount(self._components(), weights=lengths).astype(np.int64)
        return sizes[sizes > 0]

    def _components(self) -> Ints:
        """For every run one of its component, the same for all of them."""
        owner = np.arange(self.starts.size)
        pairs = [self._touching(self.columns), self._touching(self.columns * self.rows)]
        near, far = (np.concatenate(runs) for runs in zip(*pairs, strict=True))
        while near.size:
            # Each joins the first that it touches, and what that one has joined.
            np.minimum.at(owner, far, near)
            while not np.array_equal(further := owner[owner], owner):
                owner = further
            near, far = owner[near], owner[far]
            apart = near != far
            near, far = np.minimum(near, far)[apart], np.maximum(near, far)[apart]
        return owner

    def _touching(self, step: int) -> tuple[Ints, Ints]:
        """Pairs of runs of which the first overlaps the other when moved by so many bits."""
        lowest = np.searchsorted(self.stops, self.starts + step, side="right")
        counts = np.searchsorted(self.starts, self.stops + step, side="left") - lowest
        near = np.repeat(np.arange(self.starts.size), counts)
        return near, np.arange(near.size) + np.repeat(lowest - (np.cumsum(counts) - counts), counts)


@dataclass(frozen=True, slots=True)
class Rows:
    """What the rows of a volume hold."""

    first: Ints
    last: Ints
    """Columns of the first and the last voxel of every row, shape (planes, rows); 0 and -1 for a row without any."""
    down: int
    across: int
    """Sums of the rows and of the columns of all voxels."""
    runs: Runs | None
    """None where there are so many of them that voxels take less memory."""


def laid(planes: Sequence[Packed], places: Sequence[int], box: Box) -> Packed:
    """The part of planes that a rectangle lies in, at their places among planes without a voxel.

    Parameters
    ----------
    planes : sequence of numpy.ndarray of uint8, shape (rows, stride)
        At least one plane.
    places : sequence of int
        Where each is to lie; they rise, from 0.
    box : Box
        The rectangle.

    Returns
    -------
    numpy.ndarray of uint8, shape (n, rows of the box and one more, whole words)
        Planes that begin with the first row of the box, at the byte of its first column; zero bits end every row, and a
        row of them every plane.
    """
    rows, columns = slice(box.row_min, box.row_max + 1), slice(box.column_min // 8, box.column_max // 8 + 1)
    height, width = box.shape[0], columns.stop - columns.start
    volume = np.zeros((places[-1] + 1, height + 1, width // _WORD * _WORD + _WORD), dtype=np.uint8)
    for plane, place in zip(planes, places, strict=True):
        volume[place, :height, :width] = plane[rows, columns]
    return volume


def rows_of(volume: Packed) -> Rows:
    """What the rows of planes hold that `laid` put together.

    Parameters
    ----------
    volume : numpy.ndarray of uint8, shape (planes, rows, stride)
        The planes.

    Returns
    -------
    Rows
        Their ends, sums and runs.
    """
    planes, rows, stride = volume.shape
    columns, most = 8 * stride, volume.size * 8 // _FEWEST_BITS
    first, last = np.zeros(planes * rows, dtype=np.int64), np.full(planes * rows, -1, dtype=np.int64)
    down = across = found = 0
    kept: list[tuple[Ints, Ints]] = []
    some = max(_AT_ONCE // (rows * stride), 1)
    for plane in range(0, planes, some):
        starts, stops = _runs(volume[plane : plane + some])
        at, left = np.divmod(starts, columns)
        lengths = stops - starts
        right = left + lengths - 1
        down += int(at % rows @ lengths)
        # The mean column of a run is that between its ends.
        across += int((left + right) @ lengths) // 2
        before = plane * rows
        # Of several values for one place, the last one stays.
        first[before + at[::-1]], last[before + at] = left[::-1], right
        found += starts.size
        kept = [*kept, (starts + before * columns, stops + before * columns)] if found <= most else []
    shape = planes, rows
    runs = None
    if found <= most:
        starts, stops = (np.concatenate(places) for places in zip(*kept, strict=True))
        runs = Runs(starts, stops, rows, columns)
    return Rows(first.reshape(shape), last.reshape(shape), down, across, runs)


def _runs(volume: Packed) -> tuple[Ints, Ints]:
    """Where runs begin, and where they have ended."""
    words = volume.reshape(-1).view("<u8")
    # Bits that differ from the one before them.
    changes = words << np.uint64(1)
    changes[1:] |= words[:-1] >> np.uint64(63)
    changes ^= words
    octets = changes.view(np.uint8)
    held = np.flatnonzero(octets != 0)
    bits = np.flatnonzero(np.unpackbits(octets[held], bitorder="little").view(np.bool_))
    places = held[bits >> 3] * 8 + (bits & 7)
    return places[::2], places[1::2]


def may_enclose(volume: Packed, rows: Rows) -> bool:
    """Whether a voxel that is not set may be enclosed: set ones lie on both sides of it along each of the three axes.

    Parameters
    ----------
    volume : numpy.ndarray of uint8, shape (planes, rows, stride)
        Planes that `laid` put together.
    rows : Rows
        What their rows hold.

    Returns
    -------
    bool
        False only if no voxel is enclosed.
    """
    if count(volume) == int((rows.last - rows.first + 1).sum()):
        return False
    words = volume.view("<u8")
    between = ~words
    for axis in (0, 1):
        between &= np.bitwise_or.accumulate(words, axis=axis)
        between &= np.flip(np.bitwise_or.accumulate(np.flip(words, axis), axis=axis), axis)
    some = np.nonzero(between.any(axis=2))
    columns = np.arange(8 * volume.shape[2])
    inside = (columns > rows.first[some][:, None]) & (columns < rows.last[some][:, None])
    return bool((between.view(np.uint8)[some] & pack(inside)).any())
