"""Levels of one CT image: what fills its corners, its rim and its body. They say whether stored values were read rightly."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from crlm_qc.evidence.ct import Row

Stored = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.int64]

LOWEST_AIR_HU = -1024.0
"""No air is lower: scanners cut there, or at their lowest stored value."""
LEAST_PADDING = 0.005
"""Part of an image that padding fills at least."""
RIM = 0.06
"""How much of its rows and columns, at each end, is the rim of an image."""
SIDE = 128
"""About how many rows and columns of an image are looked at: enough for levels to be right to a few HU."""
MOST_COUNTS = 1 << 16
"""Most values that are counted one by one."""
LEAST_BODY = 0.1
"""Part of an image that must lie far from the rim's level to have one."""


def corner_fill(stored: Stored, valid: Flags | None, slope: float, intercept: float) -> int | None:
    """What fills corners of an image as padding does: its lowest CT value, alone below any air.

    Parameters
    ----------
    stored : numpy.ndarray
        Stored values, shape (rows, columns).
    valid : numpy.ndarray of bool, optional
        Pixels that are no declared padding; None where all are.
    slope, intercept : float
        Rescale Slope and Rescale Intercept.

    Returns
    -------
    int or None
        The stored value; None if there is none.
    """
    ends = [(row, column) for row in (0, -1) for column in (0, -1) if valid is None or valid[row, column]]
    corners = [int(stored[end]) for end in ends]
    low = min(
        (value for value in corners if value * slope + intercept < LOWEST_AIR_HU), key=lambda v: v * slope, default=None
    )
    # Noise has no value twice in the corners.
    if low is None or corners.count(low) < 2:
        return None
    held = stored if valid is None else stored[valid]
    if low != int(held.min() if slope > 0 else held.max()):
        return None
    return low if np.count_nonzero(held == low) >= LEAST_PADDING * stored.size else None


def levels(stored: Stored, valid: Flags | None, bits: int, slope: float, intercept: float) -> Row:
    """Levels of rim and body, and how much of the image has the lowest and the highest one.

    Parameters
    ----------
    stored : numpy.ndarray
        Stored values, shape (rows, columns).
    valid : numpy.ndarray of bool, optional
        Pixels that are no padding; None where all are.
    bits : int
        Bits Stored.
    slope, intercept : float
        Rescale Slope and Rescale Intercept.

    Returns
    -------
    dict
        Columns of `slices`.
    """
    seen, rim = (np.sort(part).astype(np.int64) for part in _picked(stored, valid))
    if not rim.size or not seen.size:
        return {}
    ends = [int(np.count_nonzero(seen == end)) / seen.size for end in (seen[0], seen[-1])]
    low_share, high_share = ends if slope > 0 else ends[::-1]
    row: Row = {"hu_at_min": low_share, "hu_at_max": high_share}
    signed = np.issubdtype(stored.dtype, np.signedinteger)
    seen, rim = _on_one_side(seen, rim, 1 << bits, signed)
    low, high = _ends(seen)
    width = max(1, (high - low) // 50)
    # The middle of what lies about the mode: noise that is cut at the lowest stored value does not move it.
    near = rim[np.abs(rim - _mode(rim, width)) <= max(1, (high - low) // 7)]
    air = int(_middle(near))
    row["hu_rim"] = _declared(air, 1 << bits, signed) * slope + intercept
    row["hu_rim_spread"] = _middle(np.sort(np.abs(near - air))) * abs(slope)
    above, below = high - air, air - low
    far = seen[seen > air + above / 2] if above >= below else seen[seen < air - below / 2]
    if far.size >= LEAST_BODY * seen.size:
        row["hu_body"] = _declared(_mode(far, width), 1 << bits, signed) * slope + intercept
    return row


def _picked(stored: Stored, valid: Flags | None) -> Iterator[Stored]:
    """Some of the valid pixels of the image, and of its rim."""
    pixels = stored.ravel()
    for places in _places(*stored.shape):
        picked = pixels.take(places)
        yield picked if valid is None else picked[valid.ravel().take(places)]


@lru_cache(maxsize=4)
def _places(rows: int, columns: int) -> tuple[Values, Values]:
    """Indices of the pixels that are looked at, and of those of the rim."""
    inside = _ellipse(rows, columns)
    step = max(1, min(rows, columns) // SIDE)
    deep = max(1, round(RIM * min(rows, columns)))
    thin = slice(None, None, step)
    inner = slice(deep, -deep, step)
    # The rim is looked at more closely: it is small.
    near = slice(None, None, max(1, step // 2))
    parts = [
        (thin, thin),
        (slice(0, deep), near),
        (slice(-deep, None), near),
        (inner, slice(0, deep)),
        (inner, slice(-deep, None)),
    ]
    index = np.arange(rows * columns).reshape(rows, columns)
    found = [index[part][inside[part]] for part in parts]
    return found[0], np.concatenate(found[1:])


def _ellipse(rows: int, columns: int) -> Flags:
    """Pixels within the ellipse that touches all four sides.

    Beyond it nothing is reconstructed: padding may lie there, also such as lossy compression has smeared.
    """
    across, down = (((2 * np.arange(size) + 1) / size - 1) ** 2 for size in (columns, rows))
    inside: Flags = down[:, None] + across <= 1
    return inside


def _on_one_side(seen: Values, rim: Values, span: int, signed: bool) -> tuple[Values, Values]:
    """Values read with or without sign, whichever leaves most of them closer together: a CT has no gap in between.

    They are in their order, before and after.
    """
    if seen[-1] - seen[0] < span // 2:
        return seen, rim

    def other(values: Values) -> Values:
        return np.sort(values % span if signed else (values + span // 2) % span - span // 2)

    turned = other(seen)
    (low, high), (least, most) = _ends(seen), _ends(turned)
    return (turned, other(rim)) if most - least < high - low else (seen, rim)


def _declared(value: int, span: int, signed: bool) -> int:
    """A value as Pixel Representation says."""
    return (value + span // 2) % span - span // 2 if signed else value % span


def _ends(values: Values) -> tuple[int, int]:
    """Where the lowest and the highest hundredth of values in their order end."""
    return int(values[values.size // 100]), int(values[values.size - 1 - values.size // 100])


def _middle(values: Values) -> float:
    """Median of values in their order."""
    return (int(values[(values.size - 1) // 2]) + int(values[values.size // 2])) / 2


def _mode(values: Values, width: int) -> int:
    """The middle of those values that lie closest together."""
    least = int(values.min())
    # Values of 32 bits would need as many counts.
    step = 1 + (int(values.max()) - least) // MOST_COUNTS
    width = max(1, width // step)
    sums = np.cumsum(np.bincount(values - least if step == 1 else (values - least) // step, minlength=width))
    within = sums[width - 1 :] - np.concatenate([[0], sums[:-width]])
    first = int(np.argmax(within))
    if step > 1:
        low = least + first * step
        return int(np.median(values[(values >= low) & (values < low + width * step)]))
    count = int(within[first])
    before = int(sums[first + width - 1]) - count
    middle = np.searchsorted(sums, [before + (count - 1) // 2, before + count // 2], side="right")
    return int((2 * least + int(middle.sum())) / 2)
