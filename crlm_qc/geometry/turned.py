"""Images whose voxels coincide, though rows and columns of one run in other directions than those of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Turn:
    """How an image is turned so that its rows and columns run as another's do: flipped first, then transposed."""

    flips_rows: bool
    """Whether its last row comes first."""
    flips_columns: bool
    """Whether its last column comes first."""
    transposes: bool
    """Whether rows become columns."""

    def __bool__(self) -> bool:
        """Whether anything is turned at all."""
        return self.flips_rows or self.flips_columns or self.transposes

    def corners(self, origins: Floats, axes: Floats, spacing: Floats, size: tuple[int, int]) -> Floats:
        """Centres of the first voxels after the turn.

        Parameters
        ----------
        origins : numpy.ndarray, shape (n, 3)
            Centres of the first voxels as stored, mm.
        axes : numpy.ndarray, shape (6,)
            ImageOrientationPatient as stored.
        spacing : numpy.ndarray, shape (n, 2)
            Distance between rows, and between columns, mm.
        size : tuple of int
            Rows and columns as stored.
        """
        down = (size[0] - 1) * self.flips_rows * spacing[:, :1] * axes[3:]
        along = (size[1] - 1) * self.flips_columns * spacing[:, 1:] * axes[:3]
        return np.asarray(origins + down + along, dtype=np.float64)


def turn_between(own: Sequence[float] | Floats, other: Sequence[float] | Floats, tolerance: float) -> Turn | None:
    """The turn that makes an image's rows and columns run as another's.

    Parameters
    ----------
    own, other : array_like, shape (6,)
        ImageOrientationPatient of the two.
    tolerance : float
        How far components may be off.

    Returns
    -------
    Turn or None
        Turned in no way if they run alike; None if flips and a transposition can't make them.
    """
    rows, columns = np.asarray(own, dtype=np.float64).reshape(2, 3)
    along, down = np.asarray(other, dtype=np.float64).reshape(2, 3)
    transposes = bool(abs(rows @ down) > abs(rows @ along))
    if transposes:
        along, down = down, along
    flips_columns, flips_rows = bool(rows @ along < 0), bool(columns @ down < 0)
    away = np.abs([rows - (-along if flips_columns else along), columns - (-down if flips_rows else down)])
    return Turn(flips_rows, flips_columns, transposes) if away.max() <= tolerance else None
