"""How patient coordinates lie in a picture: directions in letters, and one grid of pixels over another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crlm_qc.geometry.lattice import Floats

Flags = npt.NDArray[np.bool_]

Affine = tuple[float, float, float, float, float, float]
"""Column and row from column c and row r: a c + b r + t, and d c + e r + f."""

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""Directions of growing and falling x, y and z (PS3.3 C.7.6.1.1.1, C.7.6.2.1.1)."""
_OBLIQUE = float(np.sin(np.radians(20.0)))
"""A direction farther than 20 degrees from an axis gets a second letter."""


def letters(direction: npt.ArrayLike) -> str:
    """A direction in the patient as letters: `R`, or `RA` where it is oblique.

    Parameters
    ----------
    direction : array_like, shape (3,)
        Direction, LPS; its length does not matter.

    Returns
    -------
    str
        Letters of L, R, A, P, H and F, the strongest first; empty if the direction is missing or null.
    """
    vector = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        return ""
    parts = vector / length
    order = sorted(range(3), key=lambda axis: -abs(parts[axis]))
    return "".join(
        _LETTERS[axis][int(parts[axis] < 0)]
        for place, axis in enumerate(order)
        if place == 0 or abs(parts[axis]) > _OBLIQUE
    )


def grid_to_grid(
    origin: npt.ArrayLike,
    orientation: npt.ArrayLike,
    spacing: Sequence[float],
    other_origin: npt.ArrayLike,
    other_orientation: npt.ArrayLike,
    other_spacing: Sequence[float],
) -> Affine:
    """Where the pixels of one grid lie in the plane of another (PS3.3 C.7.6.2.1.1 maps indices to positions).

    Parameters
    ----------
    origin, other_origin : array_like, shape (3,)
        Centre of the first pixel, LPS mm.
    orientation, other_orientation : array_like, shape (6,)
        Directions of rows and of columns.
    spacing, other_spacing : sequence of float, length 2
        Distance between rows and between columns, mm.

    Returns
    -------
    tuple of float
        The map from column and row of the one to column and row of the other; what lies off the plane is projected.
    """
    start, axes = np.asarray(origin, dtype=np.float64), np.asarray(orientation, dtype=np.float64)
    to, onto = np.asarray(other_origin, dtype=np.float64), np.asarray(other_orientation, dtype=np.float64)
    across, down = axes[:3] * spacing[1], axes[3:] * spacing[0]
    # Directions that are not quite orthogonal are still inverted exactly.
    basis = np.stack([onto[:3] * other_spacing[1], onto[3:] * other_spacing[0]], axis=1)
    columns = np.linalg.pinv(basis) @ np.stack([across, down, start - to], axis=1)
    a, b, t = columns[0].tolist()
    d, e, f = columns[1].tolist()
    return a, b, t, d, e, f


def after(first: Affine, second: Affine) -> Affine:
    """The map that does one map, then another."""
    together = _matrix(second) @ _matrix(first)
    a, b, t, d, e, f = together[:2].ravel().tolist()
    return a, b, t, d, e, f


def inverse(affine: Affine) -> Affine | None:
    """The map back; None if there is none."""
    matrix = _matrix(affine)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < np.finfo(np.float64).eps:
        return None
    a, b, t, d, e, f = np.linalg.inv(matrix)[:2].ravel().tolist()
    return a, b, t, d, e, f


def sampled(mask: Flags, affine: Affine, columns: Floats, rows: Floats) -> Flags:
    """What a mask holds at places of another grid.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
        The mask.
    affine : tuple of float
        Where its pixels lie on the other grid.
    columns, rows : numpy.ndarray of float64
        Places there, one shape.

    Returns
    -------
    numpy.ndarray of bool
        That shape; nothing beyond the mask's edges, or if there is no way back.
    """
    found = np.zeros(columns.shape, dtype=np.bool_)
    back = inverse(affine)
    if back is None:
        return found
    a, b, t, d, e, f = back
    column = np.floor(a * columns + b * rows + t + 0.5).astype(np.int64)
    row = np.floor(d * columns + e * rows + f + 0.5).astype(np.int64)
    inside = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
    found[inside] = mask[row[inside], column[inside]]
    return found


def common(mask: Flags, affine: Affine, others: Sequence[tuple[Flags, Affine]], *, outside: bool) -> Flags:
    """What a mask shares with others, or has outside of all of them.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
        The mask.
    affine : tuple of float
        Where its pixels lie in the image.
    others : sequence of (numpy.ndarray of bool, tuple of float)
        Other masks, each with the same.
    outside : bool
        Whether what lies outside of them is meant.

    Returns
    -------
    numpy.ndarray of bool
        The mask's shape.
    """
    held = np.zeros(mask.shape, dtype=np.bool_)
    for other, theirs in others:
        if theirs == affine and other.shape == mask.shape:
            held |= other
            continue
        rows, columns = np.indices(mask.shape).astype(np.float64)
        a, b, t, d, e, f = affine
        places = np.asarray(a * columns + b * rows + t), np.asarray(d * columns + e * rows + f)
        held |= sampled(other, theirs, *places)
    return mask & (~held if outside else held)


def _matrix(affine: Affine) -> Floats:
    return np.array([affine[:3], affine[3:], (0.0, 0.0, 1.0)], dtype=np.float64)
