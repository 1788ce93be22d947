"""Every tolerance of the audit, in one place, with its unit and where it comes from.

A release profile may override them in its `[tolerances]` table, by the same names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a tolerance is: its unit, and why it is what it is."""

    unit: str
    """Empty for a part of something, or a number without a unit."""
    why: str


def _tolerance(value: float, unit: str, why: str) -> float:
    """A field with a value by default, its unit, and where it comes from."""
    made: float = field(default=value, metadata={"meaning": Meaning(unit, why)})
    return made


_LEVELS = frozenset({"air_hu"})
"""Those that are a level and no distance, so that they may lie below 0."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Named tolerances; lengths in mm, angles in degrees."""

    position_mm: float = _tolerance(
        0.01,
        "mm",
        "Two positions are the same: DS holds 16 characters (PS3.5 6.2), and scanners and dcmqi write 6 "
        "significant digits, so that positions of some hundred mm are off by up to 0.0005 each; 0.01 leaves room "
        "for a sum of them.",
    )
    spacing_mm: float = _tolerance(
        0.01,
        "mm",
        "Two slice gaps are the same: the difference of two rounded positions, plus the jitter of 0.001 to 0.005 "
        "mm that real table positions show.",
    )
    spacing_fraction: float = _tolerance(
        0.01,
        "",
        "Two slice gaps are the same, as a part of the spacing, for thick slices: the larger of both tolerances counts.",
    )
    lattice_fraction: float = _tolerance(
        0.1,
        "",
        "A frame is on the lattice if it lies within this fraction of the slice spacing of a slice.",
    )
    frame_along_fraction: float = _tolerance(
        0.05,
        "",
        "How far along the normal a frame may lie from its source slice, as a part of the slice spacing: dcmqi does not "
        "copy ImagePositionPatient, it computes each frame's origin from one origin and one spacing (ITK, "
        "TransformIndexToPhysicalPoint), so that the jitter of the table, a rounded origin, and a rounded spacing that "
        "adds up over the slices (0.002 mm over 33 slices are 0.066) part the two. The tolerance of a slice gap counts "
        "where it is larger, and never more than a quarter of the spacing.",
    )
    frame_in_plane_fraction: float = _tolerance(
        0.25,
        "",
        "How far in plane a frame may lie from its source slice, as a part of the pixel spacing (of the smaller one): an origin that was "
        "rounded on the way through another format moves no pixel; half a pixel does.",
    )
    pixel_spacing_mm: float = _tolerance(
        0.0005,
        "mm",
        "PixelSpacing of SEG and CT: dcmqi writes 7 significant digits, some scanners 6.",
    )
    direction: float = _tolerance(
        1e-4,
        "",
        "Components of ImageOrientationPatient: six decimals in DS, plus a rounding of a cosine.",
    )
    shear_mm: float = _tolerance(
        0.5,
        "mm",
        "Sideways drift of the slices along the whole stack: over half a millimetre the stack is sheared.",
    )
    axial_degrees: float = _tolerance(
        8.0,
        "degrees",
        "A normal farther than this from z is no axial series.",
    )
    tilt_degrees: float = _tolerance(
        1.0,
        "degrees",
        "GantryDetectorTilt against the tilt of the slices: it is often given in whole degrees.",
    )
    diameter_fraction: float = _tolerance(
        0.02,
        "",
        "How much wider an image may be than its ReconstructionDiameter, as a part of it: scanners round it to whole "
        "millimetres or half centimetres (408 mm for 512 pixels of 0.796875 mm, 415 for 0.810547).",
    )
    file_size_fraction: float = _tolerance(
        0.01,
        "",
        "File Size of metadata.csv, which is rounded to two decimals of its unit.",
    )
    age_years: float = _tolerance(
        2.0,
        "years",
        "Age at operation against PatientAge, in years: the scan comes before the operation, and shifted dates "
        "may move a birthday.",
    )
    months: float = _tolerance(
        0.05,
        "months",
        "Two survival times are the same: the workbook shows tenths of a month.",
    )
    percent: float = _tolerance(
        0.005,
        "",
        "Two fractions are the same: the workbook's are whole percents.",
    )
    tumour_size_fraction: float = _tolerance(
        0.5,
        "",
        "Tumour size at pathology or on a report against the largest segment's diameter, relative to the diameter.",
    )
    bulk_fraction: float = _tolerance(
        0.05,
        "",
        "Part of a slice's pixels that may lie beyond -1100 to 4000 HU before it counts as in bulk: metal does "
        "not fill it.",
    )
    soft_tissue_fraction: float = _tolerance(
        0.01,
        "",
        "Part of a slice's pixels that must lie within -200 to 200 HU: a patient fills far more than that.",
    )
    air_hu: float = _tolerance(
        -500.0,
        "HU",
        "A slice without any lower value shows no air, neither around the patient nor in gut or lung.",
    )
    air_level_hu: float = _tolerance(
        15.0,
        "HU",
        "How far from -1000 HU air around the patient may lie; twice as far as its values scatter where that is more. "
        "Quality control allows 5 to 10 HU. On real series it lies at -994 to -1000, and at -983 with a scatter of 25 "
        "where slices of 1.25 mm are noisy and the scanner holds nothing below -1024.",
    )
    orthonormal: float = _tolerance(
        1e-3,
        "",
        "Length and dot product of the two directions of ImageOrientationPatient: some scanners write three digits.",
    )
    published_spacing_fraction: float = _tolerance(
        0.005,
        "",
        "Published spacings are rounded to three decimals, and 0.5% is what their comparison as figures allows.",
    )
    published_volume_fraction: float = _tolerance(
        0.02,
        "",
        "Published volumes: how a mask's volume is computed (spacing from positions or from headers) moves it by "
        "about 1%.",
    )
    tumour_outside_fraction: float = _tolerance(
        0.05,
        "",
        "Part of a tumour's voxels that may lie outside the liver: the rim, where two contours were drawn one by one.",
    )
    remnant_outside_fraction: float = _tolerance(
        0.01,
        "",
        "Part of the future remnant's voxels that may lie outside the liver.",
    )
    liver_pieces_fraction: float = _tolerance(
        0.01,
        "",
        "Part of the liver's voxels that may lie apart from its largest component.",
    )
    thickness_volume_fraction: float = _tolerance(
        0.1,
        "",
        "Volume by SliceThickness against volume by positions.",
    )
    laterality_mm: float = _tolerance(
        10.0,
        "mm",
        "How far to the left of the image's middle the liver's centroid must lie to be on the wrong side: a liver "
        "lies some 40 to 80 mm to the right, and a patient within about 30 mm of the middle.",
    )
    liver_below_fraction: float = _tolerance(
        0.05,
        "",
        "Part of the liver's voxels that may be below -10 HU by more than noise: fat at the rim, air of neighbouring gut. "
        "3% of a liver of 45 HU lie there in slices of 1.25 mm with a noise of 37 HU (a pair of dcmqi's own test data).",
    )
    liver_noise_hu: float = _tolerance(
        25.0,
        "HU",
        "Noise of CT values at other placements, as a standard deviation: with thin slices it reaches some 25 HU, and so puts part of "
        "a fatty liver of 10 to 30 HU below -10 HU, which is left out of account.",
    )
    alignment_spread_hu: float = _tolerance(
        2.5,
        "HU",
        "How much less the liver's CT values must spread elsewhere for a mask to fit clearly better there, HU. "
        "Measured with a liver drawn on the real CT of CRLM-CT-1004 (0.8 x 0.8 x 5 mm), also made noisy, fatty or "
        "full of tumour: a mask in its place, even drawn 3 mm too wide or in blocks of three slices, gained at "
        "most 0.8 where less was below -10 HU too; two slices or 10 mm off it gained 3 to 14, mirrored or upside "
        "down 8 to 39.",
    )
    alignment_below_fraction: float = _tolerance(
        0.015,
        "",
        "How much less of the liver must be below -10 HU where a mask fits better, too: around a large lesion that no segment names, "
        "values spread less (by up to 9 HU on the same CT), but more of them are fat or air. Two slices or 10 mm "
        "off cost 0.02 to 0.1.",
    )
    alignment_alike_fraction: float = _tolerance(
        0.12,
        "",
        "How much less of the CT values just outside of the liver must have its like inside where a mask fits better, "
        "besides less spread. On the real CT of CRLM-CT-1004 and on made-up livers among soft tissue, two slices, 10 mm, or "
        "upside down gave 0.15 to 0.8, and no placement was better than the right one.",
    )
    alignment_overlap_fraction: float = _tolerance(
        0.98,
        "",
        "Part of the mask that must fall on the CT at a placement for it to be compared.",
    )
    alignment_voxels: float = _tolerance(
        500.0,
        "voxels",
        "Voxels that must be looked at for a comparison of placements: fewer say little.",
    )
    border_mm: float = _tolerance(
        1.6,
        "mm",
        "How far from a liver's mask its border on the CT must lie in one direction, on average of both sides, for the mask "
        "to be displaced. On 1,200 masks drawn on 200 made-up abdomens (pixels of 0.8 to 6.4 mm, slices of 0.8 to 7.5 mm, "
        "noise up to 32 HU, livers of 25 to 130 HU among soft tissue of 40 to 75 HU; up to 3 mm too wide or too tight, each slice up to 2 mm astray) it was at "
        "most 1.0 mm where all else that is asked for held, but for one image of 3.2 mm pixels with a contrast of 3 HU (0.7 pixels); on the real CT of "
        "CRLM-CT-1004 at most 0.5 mm.",
    )
    border_slice_mm: float = _tolerance(
        0.7,
        "mm",
        "The same along the normal: it was at most 1.1 mm, and 0.45 slices.",
    )
    border_pixels: float = _tolerance(
        0.8,
        "pixels",
        "The same where pixels are large: rounding to whole ones is no displacement.",
    )
    border_slices: float = _tolerance(
        0.6,
        "slices",
        "The same along the normal.",
    )
    border_told_fraction: float = _tolerance(
        0.25,
        "",
        "Part of the outline, on either side, where CT values must tell where the liver's border is. Where it lies among "
        "tissue of its own CT value, less is told, and nothing is said.",
    )
    border_faces: float = _tolerance(
        60.0,
        "faces",
        "Places of the outline, on either side, that must be looked at.",
    )
    border_side_fraction: float = _tolerance(
        0.35,
        "",
        "Part of the displacement that each side must show by itself: a mask that is too wide on one side alone is not "
        "displaced.",
    )
    border_corrected_fraction: float = _tolerance(
        0.6,
        "",
        "The same once it is taken off how much too wide or too tight the mask is along the other axis in the plane.",
    )
    border_part_fraction: float = _tolerance(
        0.5,
        "",
        "Part of the displacement that each quarter of the outline must show by itself: a slip on some slices is none.",
    )
    border_step_mm: float = _tolerance(
        5.0,
        "mm",
        "How far apart placements lie that are tried: by as much the border may tell a shift otherwise than they do.",
    )
    cut_fraction: float = _tolerance(
        0.25,
        "",
        "Area of an organ on an end slice of the scan, as a part of its largest: from a quarter on, much of a liver, which "
        "tapers over several slices at either end, must lie beyond.",
    )
    liver_hole_ml: float = _tolerance(
        1.0,
        "mL",
        "Volume of holes in the liver that are taken for slips of the brush, or small vessels left out.",
    )

    lung_reach_mm: float = _tolerance(
        30.0,
        "mm",
        "How far beyond the liver's ends lung is looked for.",
    )
    lung_fraction: float = _tolerance(
        0.04,
        "",
        "How much more of the images, as a part of their pixels, must be lung about the feet end of a liver than about its "
        "head end: on the real CT of CRLM-CT-1004 it is 0.06 less. Stool and gas in the bowel come to some 0.02.",
    )
    block_planes: float = _tolerance(
        8.0,
        "slices",
        "Slices that a liver must have for blocks of equal masks to be told.",
    )
    repeated_mask_voxels: float = _tolerance(
        100.0,
        "voxels",
        "Voxels of a mask from which on it is no chance that another slice has the very same one: small vessels and "
        "lesions may look alike.",
    )
    shared_masks_fraction: float = _tolerance(
        0.67,
        "",
        "Part of an object's masks that another patient's must have, too: smooth livers on a grid as coarse as 64 x 64 are "
        "alike by chance, and of over 700 pairs of synthetic patients some had 43% of their masks in common.",
    )
    shared_mask_voxels: float = _tolerance(
        10000.0,
        "voxels",
        "Voxels from which on a mask on its own says whose it is, so that a few will do: those of a liver on 512 x 512. On "
        "256 x 256, two synthetic livers of 8,800 voxels were alike by chance.",
    )

    @property
    def measuring(self) -> dict[str, float]:
        """Those that measuring needs, so that evidence holds what it was measured with."""
        return {name: getattr(self, name) for name in ("position_mm", "spacing_mm", "spacing_fraction")}

    def replaced(self, values: Mapping[str, float]) -> Tolerances:
        """These tolerances with some of them changed.

        Raises
        ------
        ValueError
            An unknown name, or a value below 0 or not finite.
        TypeError
            A value that is no number.
        """
        known = {item.name for item in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown tolerance {name}; known: {', '.join(sorted(known))}")
            if not math.isfinite(value):
                raise ValueError(f"tolerance {name} must be a finite number")
            if value < 0 and name not in _LEVELS:
                raise ValueError(f"tolerance {name} must be at least 0")
        return replace(self, **{name: float(value) for name, value in values.items()})


@cache
def meanings() -> Mapping[str, Meaning]:
    """Unit and source of every tolerance, by its name, in the order of the fields."""
    return {item.name: item.metadata["meaning"] for item in fields(Tolerances)}
