"""Contours of masks as paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from contourpy import LineType, contour_generator

from crlm_qc.model.picture import UNITS

if TYPE_CHECKING:
    from crlm_qc.geometry.display import Affine

SLACK = 0.35
"""Pixels of the picture that a contour may be off when points are left out of it."""
THINNEST = 16
"""Pixels of a picture's shorter side at the least."""

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Ring = npt.NDArray[np.float64]
"""A closed line: columns and rows, shape (n, 2), the first point not repeated."""


def rings(mask: Flags) -> list[Ring]:
    """Outlines of a mask, half way between pixels that are set and others that are not.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
        One plane.

    Returns
    -------
    list of numpy.ndarray, shape (n, 2)
        Closed lines, columns and rows counted from the centre of the first pixel; those around holes too.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    padded = np.pad(box.astype(np.float64), 1)
    lines: Any = contour_generator(z=padded, name="serial", line_type=LineType.Separate).lines(0.5)
    offset = np.array([columns[0] - 1, rows[0] - 1], dtype=np.float64)
    # A contour ends where it began.
    return [np.asarray(line[:-1] + offset, dtype=np.float64) for line in lines]


def moved(ring: Ring, affine: Affine) -> Ring:
    """A line on another grid."""
    a, b, t, d, e, f = affine
    return np.stack([a * ring[:, 0] + b * ring[:, 1] + t, d * ring[:, 0] + e * ring[:, 1] + f], axis=1)


def simplified(ring: Ring, slack: float) -> Ring:
    """A closed line with fewer points, none of those left out farther off than `slack` (Ramer, Douglas and Peucker).

    Parameters
    ----------
    ring : numpy.ndarray, shape (n, 2)
        Points.
    slack : float
        In the unit of the points.

    Returns
    -------
    numpy.ndarray, shape (m, 2)
        At least three points, where there were as many.
    """
    if len(ring) < 4:
        return ring
    far = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    keep = np.zeros(len(closed), dtype=bool)
    keep[[0, far, len(ring)]] = True
    waiting = [(0, far), (far, len(ring))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        away = _from_line(closed[first + 1 : last], closed[first], closed[last])
        worst = int(np.argmax(away))
        if away[worst] > slack:
            middle = first + 1 + worst
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    found = closed[:-1][keep[:-1]]
    return found if len(found) > 2 else ring


def _from_line(points: Floats, first: Floats, last: Floats) -> Floats:
    """Distances from the line between two points."""
    along = last - first
    length = float(along @ along)
    if length == 0:
        return np.asarray(np.linalg.norm(points - first, axis=1), dtype=np.float64)
    part = np.clip((points - first) @ along / length, 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - first - part[:, None] * along, axis=1), dtype=np.float64)


def path_of(lines: Iterable[Ring]) -> str:
    """Path data of SVG of closed lines, in whole units: the first point as it is, the others from the one before."""
    parts = []
    for line in lines:
        points = np.round(line * UNITS).astype(np.int64)
        steps = np.diff(points, axis=0)
        steps = steps[steps.any(axis=1)]
        if len(steps) < 2:
            continue
        parts.append(f"M{points[0][0]} {points[0][1]}l" + " ".join(f"{x} {y}" for x, y in steps.tolist()) + "z")
    return "".join(parts)
