"""Digests by which the same pixels are known again under another name, and by which masks are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128

from crlm_qc.geometry.masks import Packed

DIGEST_HU = (-1024, 3071)
"""CT values that a digest tells apart: those of 12 bits, so that another padding, or none, gives the same digest."""
LEAST_WITHIN = 0.1
"""Part of the pixels that must lie within, those of air at the lower end left out."""
# Where slope and intercept give the half of a HU, rounding of binary fractions must not decide where it goes.
_HALF = 0.5 + 1e-6

Values = npt.NDArray[np.int16]


def pixel_digest(stored: npt.NDArray[np.integer], slope: float, intercept: float, *, tells: bool = False) -> str | None:
    """A digest of the CT values of an image, in whole HU.

    It is the same however they are encoded: in which transfer syntax, with which sign, slope and intercept.

    Parameters
    ----------
    stored : numpy.ndarray of integers, shape (rows, columns)
        Stored values.
    slope, intercept : float
        RescaleSlope, not 0, and RescaleIntercept.
    tells : bool, optional
        It is known that at least `LEAST_WITHIN` of the values lie within, and not all are one.

    Returns
    -------
    str or None
        32 hexadecimal digits; None where all values are one, as those of any two empty slices are, or where nearly all lie
        beyond `DIGEST_HU`, as where slope or intercept are wrong: what is left would be the same in any image.
    """
    values = _whole_hu(stored, slope, intercept)
    least = LEAST_WITHIN * values.size
    # What some rows in the middle tell is true of all.
    rows = len(values)
    tells = tells or _tells(values[rows // 2 : rows // 2 + rows // 4], least) or _tells(values, least)
    return _digest(values) if tells else None


def _tells(values: Values, least: float) -> bool:
    """Whether at least so many values lie within, and not all are one."""
    within = np.count_nonzero((values > DIGEST_HU[0]) & (values < DIGEST_HU[1]))
    return bool(within >= least and values.min() != values.max())


def mask_digest(planes: Sequence[Packed]) -> str:
    """A digest of the masks of one frame, 32 hexadecimal digits.

    Parameters
    ----------
    planes : sequence of numpy.ndarray
        The packed plane of each segment that has a voxel there, in the order of Segment Numbers.
    """
    return _digest(*planes)


def _whole_hu(stored: npt.NDArray[np.integer], slope: float, intercept: float) -> Values:
    if slope == 1 and intercept == int(intercept):
        limits, shift = np.iinfo(stored.dtype), int(intercept)
        low, high = (min(max(value - shift, int(limits.min)), int(limits.max)) for value in DIGEST_HU)
        # Cut before they are shifted, what is left fits: sums of int16 that wrap around wrap back.
        whole: Values = stored.clip(low, high).astype("<i2", copy=False)
        whole += np.int16((shift + (1 << 15)) % (1 << 16) - (1 << 15))
        return whole
    values = stored * np.float64(slope)
    values += intercept + _HALF
    np.floor(values, out=values)
    return np.clip(values, *DIGEST_HU, out=values).astype("<i2")


def _digest(*arrays: npt.NDArray[np.generic]) -> str:
    digest = xxh3_128()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
