"""Frames that are stored with rows and columns in other directions than the CT's, and whose voxels are the CT's all the same.

Each object may be stored as it likes (DICOM PS3.3 C.7.6.16.2.4, Plane Orientation). Rules see such frames as if they were
stored as the CT is, so that what differs is a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crlm_qc.rulebook.context import Context
from crlm_qc.subjects.columns import ORIENTATION, POSITION, SPACING, Columns
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.words import whole

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Floats


def as_the_ct(context: Context, frames: Columns, row: Mapping[str, Any], ct: CtSeries | None) -> tuple[Columns, bool]:
    """Frames as they were if they were stored in the CT's directions.

    Parameters
    ----------
    context : Context
        Its tolerances are used.
    frames : Columns
        Rows of `frames` of one object.
    row : mapping
        Its row of `dsos`.
    ct : CtSeries or None
        Its CT series.

    Returns
    -------
    frames : Columns
        With other positions, directions and spacings where most voxels coincide with the CT's then; else as they are.
    transposed : bool
        Whether rows became columns.
    """
    import numpy as np

    from crlm_qc.geometry.turned import turn_between

    size = (whole(row["rows"]), whole(row["columns"]))
    if ct is None or ct.orientation is None or not len(frames) or None in size:
        return frames, False
    axes, tolerance = frames.matrix(ORIENTATION), context.tolerances.direction
    if not np.less_equal(np.abs(axes - axes[0]), tolerance).all():
        return frames, False
    turn = turn_between(axes[0], ct.orientation, tolerance)
    if not turn:
        return frames, False
    spacing = frames.matrix(SPACING)
    corners = turn.corners(frames.matrix(POSITION), axes[0], spacing, (size[0] or 0, size[1] or 0))
    aside = _sideways(corners, ct.slices.matrix(POSITION), ct.orientation)
    pixel = np.nanmin(spacing, initial=np.inf)
    if not aside.size or np.median(aside) > context.tolerances.frame_in_plane_fraction * pixel:
        return frames, False
    replaced = dict(zip(POSITION, corners.T, strict=True))
    replaced |= dict(zip(ORIENTATION, np.broadcast_to(ct.orientation, axes.shape).T, strict=True))
    replaced |= dict(zip(SPACING[::-1] if turn.transposes else SPACING, spacing.T, strict=True))
    return frames.replaced(replaced), turn.transposes


def _sideways(corners: Floats, slices: Floats, orientation: Floats) -> Floats:
    """How far in plane the first voxels lie from those of the nearest slices, mm; those without a position left out."""
    import numpy as np

    from crlm_qc.geometry.stack import unit_normal

    normal = unit_normal(orientation[:3], orientation[3:])
    slices, corners = slices[np.isfinite(slices).all(axis=1)], corners[np.isfinite(corners).all(axis=1)]
    if not len(slices) or not len(corners):
        return np.zeros(0)
    nearest = np.abs((corners @ normal)[:, None] - (slices @ normal)[None, :]).argmin(axis=1)
    away = corners - slices[nearest]
    return np.asarray(np.linalg.norm(away - np.outer(away @ normal, normal), axis=1), dtype=np.float64)
