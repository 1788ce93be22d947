"""Masks kept as packed bits: counted, compared and bounded without a byte a voxel.

A *plane* is one slice of a mask, shape (rows, stride) of uint8: eight voxels of a row in a byte, the leftmost in the
lowest bit, as Pixel Data with Bits Allocated 1 has them (PS3.5 8.1.1 and D), each row filled up with zero bits to whole bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crlm_qc.geometry.turned import Turn

Packed = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

N_ANGLES = 180
"""Directions in which diameters are looked for, over the whole circle; even, so that each has its opposite."""
_ANGLES = np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_RIGHTWARD, _DOWNWARD = _DIRECTIONS >= 0
_NOWHERE = -(1 << 40)
_ROUNDED_UP = 1 + 1e-9
_ROWS_AT_ONCE = 1 << 14
_PAIRS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Box:
    """The smallest rectangle that holds every set voxel, indices from 0, bounds included."""

    row_min: int
    row_max: int
    column_min: int
    column_max: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that it spans."""
        return self.row_max - self.row_min + 1, self.column_max - self.column_min + 1

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns, as an index into an image."""
        return slice(self.row_min, self.row_max + 1), slice(self.column_min, self.column_max + 1)


def planes_from_pixel_data(buffer: bytes | memoryview | Packed, frames: int, rows: int, columns: int) -> Packed:
    """Packed planes of native Pixel Data with Bits Allocated 1.

    Parameters
    ----------
    buffer : bytes-like
        Value of Pixel Data, little endian; more bytes than needed are left alone.
    frames, rows, columns : int
        NumberOfFrames, Rows and Columns.

    Returns
    -------
    numpy.ndarray of uint8, shape (frames, rows, stride)
        Planes. They are a view of `buffer` where rows take whole bytes (512 columns do), and a copy elsewhere: frames
        are not byte-aligned there.

    Raises
    ------
    ValueError
        The buffer is too short.
    """
    data = np.frombuffer(buffer, dtype=np.uint8)
    bits = rows * columns
    needed = -(-frames * bits // 8)
    if data.size < needed:
        raise ValueError(f"{data.size} bytes are too few for {frames} frames: {needed} needed")
    if columns % 8 == 0:
        return data[:needed].reshape(frames, rows, columns // 8)
    planes = np.empty((frames, rows, -(-columns // 8)), dtype=np.uint8)
    for frame in range(frames):
        start = frame * bits
        part = data[start // 8 : -(-(start + bits) // 8)]
        unpacked = np.unpackbits(part, bitorder="little")[start % 8 : start % 8 + bits]
        planes[frame] = pack(unpacked.reshape(rows, columns))
    return planes


def pack(mask: npt.NDArray[np.bool_] | Packed) -> Packed:
    """Packed planes of a mask with one element a voxel.

    Parameters
    ----------
    mask : numpy.ndarray, shape (..., rows, columns)
        Zero where a voxel is not set.

    Returns
    -------
    numpy.ndarray of uint8, shape (..., rows, stride)
        Planes.
    """
    return np.packbits(mask, axis=-1, bitorder="little")


def unpack(planes: Packed, box: Box) -> Packed:
    """The voxels of planes inside a rectangle.

    Parameters
    ----------
    planes : numpy.ndarray of uint8, shape (..., rows, stride)
        Planes.
    box : Box
        What to unpack.

    Returns
    -------
    numpy.ndarray of uint8, shape (..., rows of the box, columns of the box)
        1 where a voxel is set.
    """
    first = box.column_min // 8
    part = planes[..., box.row_min : box.row_max + 1, first : box.column_max // 8 + 1]
    voxels = np.unpackbits(part, axis=-1, bitorder="little")
    start = box.column_min - 8 * first
    return voxels[..., start : start + box.shape[1]]


def turned(plane: Packed, columns: int, turn: Turn) -> Packed:
    """A plane whose rows and columns run in other directions.

    Parameters
    ----------
    plane : numpy.ndarray of uint8, shape (rows, stride)
        One plane.
    columns : int
        Columns of the image.
    turn : Turn
        How it is turned.

    Returns
    -------
    numpy.ndarray of uint8
        The plane of the same voxels.
    """
    voxels = np.unpackbits(plane, axis=-1, count=columns, bitorder="little")
    voxels = voxels[:: -1 if turn.flips_rows else 1, :: -1 if turn.flips_columns else 1]
    return pack(voxels.T if turn.transposes else voxels)


def count(planes: Packed) -> int:
    """Set voxels of a plane, or of planes together.

    Parameters
    ----------
    planes : numpy.ndarray of uint8
        Planes of any shape.

    Returns
    -------
    int
        Set bits.
    """
    return int(np.bitwise_count(_words(planes)).sum(dtype=np.int64))


def overlap(first: Packed, second: Packed) -> int:
    """Voxels that are set in both of two planes.

    Parameters
    ----------
    first, second : numpy.ndarray of uint8, same shape
        Planes.

    Returns
    -------
    int
        Set bits in common.
    """
    return int(np.bitwise_count(_words(first) & _words(second)).sum(dtype=np.int64))


def union(planes: Sequence[Packed]) -> Packed:
    """Voxels that are set in any of some planes.

    Parameters
    ----------
    planes : sequence of numpy.ndarray of uint8, same shape
        At least one plane.

    Returns
    -------
    numpy.ndarray of uint8
        A plane; the only one itself if there is but one.
    """
    if len(planes) == 1:
        return planes[0]
    result = planes[0] | planes[1]
    for plane in planes[2:]:
        result |= plane
    return result


def rim(plane: Packed, columns: int) -> Packed:
    """Voxels around those of a plane: their face neighbours that are not set.

    Parameters
    ----------
    plane : numpy.ndarray of uint8, shape (rows, stride)
        One plane.
    columns : int
        Columns of the image; bits that fill up the last byte are none.

    Returns
    -------
    numpy.ndarray of uint8, shape (rows, stride)
        A plane.
    """
    grown: Packed = (plane << 1 | plane >> 1).astype(np.uint8, copy=False)
    grown[:, 1:] |= plane[:, :-1] >> 7
    grown[:, :-1] |= plane[:, 1:] << 7
    grown[1:] |= plane[:-1]
    grown[:-1] |= plane[1:]
    grown &= ~plane
    if columns % 8:
        grown[:, -1] &= (1 << columns % 8) - 1
    return grown


def around(mask: npt.NDArray[np.bool_], width: int) -> npt.NDArray[np.bool_]:
    """Voxels around a mask with one element a voxel, plane by plane.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (planes, rows, columns)
        The mask.
    width : int
        Steps through faces, within the plane.

    Returns
    -------
    numpy.ndarray of bool, same shape
        Those that so many steps reach, and that are not of the mask.
    """
    grown = mask.copy()
    for _ in range(width):
        before = grown.copy()
        grown[:, 1:] |= before[:, :-1]
        grown[:, :-1] |= before[:, 1:]
        grown[:, :, 1:] |= before[:, :, :-1]
        grown[:, :, :-1] |= before[:, :, 1:]
    grown &= ~mask
    return grown


def bounds(plane: Packed) -> Box | None:
    """The smallest rectangle that holds every set voxel.

    Parameters
    ----------
    plane : numpy.ndarray of uint8, shape (rows, stride)
        One plane, or the union of several.

    Returns
    -------
    Box or None
        The rectangle; None if no voxel is set.
    """
    rows = np.flatnonzero(plane.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(plane, axis=0), bitorder="little"))
    return Box(int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]))


def supports(first: Ints, last: Ints, spacing_row: float, spacing_col: float) -> npt.NDArray[np.float64]:
    """How far the voxels of each plane reach in each of `N_ANGLES` directions, their edges included.

    Parameters
    ----------
    first, last : numpy.ndarray of int64, shape (n, rows)
        Columns of the first and the last voxel of every row of each plane; -1 for the last of a row without any. Each
        plane has at least one voxel.
    spacing_row, spacing_col : float
        Distance between rows and between columns, mm.

    Returns
    -------
    numpy.ndarray, shape (n, N_ANGLES)
        Support functions of the convex hulls of their voxels, mm from the corner of the voxel at row and column 0.
    """
    some = max(_ROWS_AT_ONCE // first.shape[1], 1)
    parts = [slice(start, start + some) for start in range(0, len(first), some)]
    return np.concatenate([_supports(first[part], last[part], spacing_row, spacing_col) for part in parts])


def _supports(first: Ints, last: Ints, spacing_row: float, spacing_col: float) -> npt.NDArray[np.float64]:
    planes, rows = first.shape
    nothing = last < 0
    reach = np.empty((N_ANGLES, planes))
    # Only the ends of a row can lie on the hull; to the right its last end reaches farther, to the left its first.
    for rightward, ends, sign in ((True, last + 1, 1), (False, first, -1)):
        outward = np.where(nothing, _NOWHERE, sign * ends)
        for downward in (True, False):
            # In a quarter of the directions, no row matters beyond which another reaches farther to the side.
            at = np.flatnonzero(_records(outward[:, ::-1])[:, ::-1] if downward else _records(outward))
            angles = (rightward == _RIGHTWARD) & (downward == _DOWNWARD)
            points = np.stack([ends.ravel()[at] * spacing_col, at % rows * spacing_row])
            starts = np.searchsorted(at, np.arange(planes) * rows)
            reach[angles] = np.maximum.reduceat(_DIRECTIONS[:, angles].T @ points, starts, axis=1)
    reach += np.maximum(_DIRECTIONS[1], 0.0)[:, None] * spacing_row
    return np.ascontiguousarray(reach.T)


def _records(values: Ints) -> npt.NDArray[np.bool_]:
    """Values that are larger than all before them in their row, and than `_NOWHERE`."""
    larger = np.empty(values.shape, dtype=np.bool_)
    larger[:, 0] = values[:, 0] > _NOWHERE
    np.greater(values[:, 1:], np.maximum.accumulate(values, axis=1)[:, :-1], out=larger[:, 1:])
    return larger


def diameters(
    reaches: npt.NDArray[np.float64],
    origins: npt.NDArray[np.float64],
    along: npt.NDArray[np.float64],
    thickness: float,
) -> tuple[float, float]:
    """Largest distances between two voxels of a segment, their edges included.

    The largest distance of two convex sets in one plane is the largest sum of their supports in opposite directions, so
    that no pair of points need be looked at. Directions are 2 degrees apart: what comes out is short by under 0.02%.

    Parameters
    ----------
    reaches : numpy.ndarray, shape (n, N_ANGLES)
        `supports` of each plane, mm.
    origins : numpy.ndarray, shape (n, 2)
        Where the first voxel of each plane lies in the plane: along a row, along a column, mm.
    along : numpy.ndarray, shape (n,)
        Position of each plane along the normal, mm.
    thickness : float
        Slice spacing, mm.

    Returns
    -------
    axial, whole : float
        Largest distance within one plane, and in three dimensions, mm.
    """
    placed = reaches + origins @ _DIRECTIONS
    opposite = np.roll(placed, N_ANGLES // 2, axis=1)
    axial = float((placed + opposite).max())
    heights = np.abs(along[:, None] - along) + thickness
    # No two planes are farther apart than either of them is from all others taken together.
    widest = (placed + opposite.max(axis=0)).max(axis=1)
    bounds = np.hypot(np.minimum(widest[:, None], widest), heights) * _ROUNDED_UP
    # From one plane that may be farthest, nearly as far as it gets; what may be farther yet is looked at pair by pair.
    outer = int(bounds.max(axis=1).argmax())
    whole = float(np.hypot((placed[outer] + opposite).max(axis=1), heights[outer]).max())
    pairs = np.flatnonzero(np.triu(bounds > whole))
    pairs = pairs[np.argsort(-bounds.ravel()[pairs])]
    for start in range(0, pairs.size, _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        if bounds.ravel()[some[0]] <= whole:
            break
        one, other = np.divmod(some, len(along))
        widths = (placed[one] + opposite[other]).max(axis=1)
        whole = max(whole, float(np.hypot(widths, heights.ravel()[some]).max()))
    return axial, whole


def _words(planes: Packed) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint64]:
    """The same bits eight bytes at a time where they allow it: several times faster to count."""
    if planes.flags.c_contiguous and planes.size % 8 == 0:
        return planes.reshape(-1).view(np.uint64)
    return planes
