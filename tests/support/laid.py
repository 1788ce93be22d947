"""A liver's mask laid over a volume of CT values, measured as `crlm_qc.evidence.pixels` does from files, and judged."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from support.frames import PATIENTS, Case, clean

from crlm_qc.evidence.pixels import AROUND, COARSE_MM, FACES_SLICES, FACES_STEP
from crlm_qc.geometry import borders, placements
from crlm_qc.geometry.borders import Faces

Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]
"""Between slices, rows and columns, mm."""


def laid_over(ct: npt.NDArray[Any], mask: Mask, spacing: Spacing) -> Case:
    """A clean case, but for a liver of the first patient that lies so over this CT.

    Parameters
    ----------
    ct : numpy.ndarray, shape (slices, rows, columns)
        CT values, from the lowest slice upward, HU.
    mask : numpy.ndarray of bool, same shape
        The liver.
    spacing : tuple of float
        As `Spacing`.
    """
    step = max(round(COARSE_MM / max(spacing[1:])), 1)
    codes = placements.encode(ct.astype(np.float32), ct > -2000)
    thin = (slice(None), *(slice((size - 1) % step // 2, None, step) for size in mask.shape[1:]))
    case = clean()
    (like, *_), others = case.of("alignments"), [row for row in case["alignments"] if row["patient"] != PATIENTS[0]]
    owner = {key: like[key] for key in ("patient", "dso", "segment_number")}
    alignments = _alignments(codes[thin], mask[thin], (spacing[0], spacing[1] * step, spacing[2] * step))
    case["alignments"] = others + [owner | row for row in alignments]
    kept = [row for row in case["borders"] if row["patient"] != PATIENTS[0]]
    case["borders"] = kept + [owner | row for row in _borders(codes, mask, spacing, step, thin)]
    case.segment(1).update({key: alignments[0][key] for key in ("hu_median", "hu_below_minus10")})
    return case


def _alignments(codes: placements.Codes, mask: Mask, spacing: Spacing) -> list[dict[str, Any]]:
    tried = list(placements.candidates(*spacing))
    around = np.stack([ndimage.binary_dilation(plane, iterations=AROUND) for plane in mask]) & ~mask
    inside, outside = (np.array(np.nonzero(one)) for one in (mask, around))
    return [
        {
            "placement": one.kind,
            "about": one.about,
            "shift": one.shift,
            "shift_mm": one.shift * dict(zip(("slices", "rows", "columns"), spacing, strict=True)).get(one.kind, 0.0),
            "voxels": fit.voxels,
            "hu_median": fit.median,
            "hu_spread": fit.spread,
            "hu_below_minus10": fit.below,
            "hu_alike": fit.alike,
        }
        for one, fit in zip(tried, placements.fits(codes, inside, tried, outside), strict=True)
    ]


def _borders(
    codes: placements.Codes, mask: Mask, spacing: Spacing, step: int, thin: tuple[slice, ...]
) -> list[dict[str, Any]]:
    axes = [Faces.along(one) for one in spacing]
    wide = [((0, 0), (one.reach + 1,) * 2) for one in axes]
    used = np.flatnonzero(mask.any(axis=(1, 2)))
    every, lines = -(-len(used) // FACES_SLICES), slice(None, None, FACES_STEP * step)
    for place in used[::every]:
        axes[1].add(mask[place, :, lines].T, np.pad(codes[place, :, lines].T, wide[1]))
        axes[2].add(mask[place, lines], np.pad(codes[place, lines], wide[2]))
    held = mask[thin].any(axis=0)
    axes[0].add(mask[thin][:, held].T, np.pad(codes[thin][:, held].T, wide[0]))
    return [
        {
            "axis": axis,
            "spacing_mm": one,
            "shift": found.shift,
            "shift_mm": found.shift * one,
            "shift_least": found.least,
            "faces_low": found.low.faces,
            "told_low": found.low.told,
            "border_low": found.low.border,
            "faces_high": found.high.faces,
            "told_high": found.high.told,
            "border_high": found.high.border,
        }
        for axis, one, found in zip(("slices", "rows", "columns"), spacing, borders.measured(axes), strict=True)
    ]
