"""Pictures that explain a fault: pairs, reformats, enlargements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crlm_qc.model.picture import MaskRequest, PictureRequest

if TYPE_CHECKING:
    from crlm_qc.geometry.display import Affine

GAP_SEEN = 12
"""Pixels of a reformat that a gap is seen by without being enlarged."""
PART_MM = 24.0
"""Height of what is enlarged of a reformat at the least, mm."""
PART_SLICES = 10
"""The same, in slices."""
ALONG = 0.9
"""Cosine of the angle between rows (or columns) and the patient's left at the least, so that mirroring them swaps sides."""


def finite(values: Any) -> bool:
    """Whether all values are finite."""
    import numpy as np

    return bool(np.isfinite(values).all())


def sides_of(right: Any, down: Any) -> tuple[str, str, str, str]:
    """Letters at the left, top, right and bottom of a picture."""
    from crlm_qc.geometry.display import letters

    return letters(-right), letters(-down), letters(right), letters(down)


def moved_by(mask: MaskRequest, change: Affine) -> MaskRequest:
    """A mask that is laid over the image after a change of its grid."""
    from crlm_qc.geometry.display import after

    return replace(mask, to_image=after(mask.to_image, change))


def headed(request: PictureRequest, heading: str) -> PictureRequest:
    """A picture of a pair: what it is of goes into the caption, and which of the two it is above it."""
    caption = f"{request.title}. {request.caption}"
    return replace(request, title=heading, caption=caption, alt=f"{request.title}, {request.alt}")
