"""How the bits of masks are packed, where it is otherwise than the standard says.

Frames of one bit a voxel follow one another without a gap, the first voxel in the lowest bit of the first byte, and one
byte at most pads their end (PS3.5 8.1.1 and D). Padding elsewhere shows in the length of Pixel Data. Another order of the
bits shows in the outlines: an organ's changes between any two neighbours of a row alike, and not between bytes above all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crlm_qc.geometry.masks import Packed

REVERSED, SWAPPED, BOTH = "bits-reversed", "bytes-swapped", "bits-of-words-reversed"
"""Orders of the bits: of each byte from the highest, bytes of each word of two swapped, of each word from the highest."""

_FEWEST = 64
"""Borders of bytes with a change that say anything: fewer may be a small mask's own."""
_TIMES = 3
"""How many times fewer there must be in another order. A mask as it should be has some 7 to 14 times more in any other."""
_PART = 1 << 14
_INSIDE = np.uint64(0x7F7F7F7F7F7F7F7F)
_ACROSS = np.uint64(0x0080808080808080)
_ACROSS_REVERSED = np.uint64(0x0001010101010101)
_LOWER_BYTES = np.uint64(0x00FF00FF00FF00FF)


def layout_of_length(length: int, runs: Sequence[int], rows: int, columns: int, bits: int) -> str | None:
    """The layout that Pixel Data of a length has, where it is not the standard's.

    Parameters
    ----------
    length : int
        Bytes of Pixel Data.
    runs : sequence of int
        Frames of each segment, as they follow one another; they add up to all frames.
    rows, columns, bits : int
        Rows, Columns and BitsAllocated.

    Returns
    -------
    str or None
        `frames-in-bytes`, `segments-in-bytes`, `frames-in-words` or `rows-in-bytes`, by what begins anew there;
        `bytes-for-bits` or `bits-for-bytes`, where a pixel takes the one and BitsAllocated says the other. None if the
        length is the standard's, or none of these.
    """
    frames, pixels = sum(runs), rows * columns
    if min(length, frames, pixels, bits) <= 0 or _fits(length, _bytes(frames * pixels * bits)):
        return None
    frame = _bytes(pixels * bits)
    layouts = {
        "frames-in-bytes": frames * frame,
        "segments-in-bytes": sum(_bytes(run * pixels * bits) for run in runs),
        "frames-in-words": frames * (frame + frame % 2),
        "rows-in-bytes": frames * rows * _bytes(columns * bits),
        "bytes-for-bits": frames * pixels if bits == 1 else -1,
        "bits-for-bytes": _bytes(frames * pixels) if bits == 8 else -1,
    }
    return next((name for name, needed in layouts.items() if _fits(length, needed)), None)


def _bytes(bits: int) -> int:
    return -(-bits // 8)


def _fits(length: int, needed: int) -> bool:
    """Whether a length is what is needed, padded to even or not."""
    return length in (needed, needed + needed % 2)


@dataclass(frozen=True, slots=True)
class BitOrder:
    """Another order of the bits, in which outlines get smooth."""

    order: str
    """`REVERSED`, `SWAPPED` or `BOTH`."""
    stored: int
    """Borders of bytes across which voxels differ, as stored."""
    mended: int
    """The same in the other order."""


def bit_order(data: bytes | memoryview | Packed) -> BitOrder | None:
    """The order that the bits of masks were packed in, if outlines say that it is not the standard's.

    Parameters
    ----------
    data : bytes-like
        Pixel Data with Bits Allocated 1.

    Returns
    -------
    BitOrder or None
        The other order; None if outlines are as smooth across bytes as inside them, or no order makes them so.
    """
    content = np.frombuffer(data, dtype=np.uint8)
    words = content[: content.size // 8 * 8].view("<u8")
    inside = stored = 0
    # Most of the words are outside of any mask, and a part at a time stays in the processor's cache.
    for start in range(0, words.size, _PART):
        part = words[start : start + _PART]
        part = part[part != 0]
        steps = part ^ (part >> np.uint64(1))
        inside, stored = inside + _set(steps & _INSIDE), stored + _set(steps & _ACROSS)
    if stored < _FEWEST or 2 * stored <= inside:
        return None
    swapped = (words & _LOWER_BYTES) << np.uint64(8) | (words >> np.uint64(8)) & _LOWER_BYTES
    orders = {
        REVERSED: _set((words ^ (words >> np.uint64(15))) & _ACROSS_REVERSED),
        SWAPPED: _set((swapped ^ (swapped >> np.uint64(1))) & _ACROSS),
        BOTH: _set((swapped ^ (swapped >> np.uint64(15))) & _ACROSS_REVERSED),
    }
    order = min(orders, key=lambda name: orders[name])
    return BitOrder(order, stored, orders[order]) if _TIMES * orders[order] <= stored else None


def _set(words: npt.NDArray[np.uint64]) -> int:
    return int(np.bitwise_count(words).sum(dtype=np.int64))
