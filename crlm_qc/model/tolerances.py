"""Every tolerance of the audit, in one place, with its unit and where it comes from.

A release profile may override them in its `[tolerances]` table, by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Named tolerances; lengths in mm, angles in degrees."""

    position_mm: float = 0.01
    """Two positions are the same: DS holds 16 characters (PS3.5 6.2), and scanners and dcmqi write 6 significant
    digits, so that positions of some hundred mm are off by up to 0.0005 each; 0.01 leaves room for a sum of them."""
    spacing_mm: float = 0.01
    """Two slice gaps are the same: the difference of two rounded positions, plus the jitter of 0.001 to 0.005 mm
    that real table positions show."""
    spacing_fraction: float = 0.01
    """Relative part of the same, for thick slices: the larger of both counts."""
    lattice_fraction: float = 0.1
    """A frame is on the lattice if it lies within this fraction of the slice spacing of a slice."""
    pixel_spacing_mm: float = 0.0005
    """PixelSpacing of SEG and CT: dcmqi writes 7 significant digits, some scanners 6."""
    direction: float = 1e-4
    """Components of ImageOrientationPatient: six decimals in DS, plus a rounding of a cosine."""
    shear_mm: float = 0.5
    """Sideways drift of the slices along the whole stack: over half a millimetre the stack is sheared."""
    axial_degrees: float = 8.0
    """A normal farther than this from z is no axial series."""
    file_size_fraction: float = 0.01
    """File Size of metadata.csv, which is rounded to two decimals of its unit."""

    def replaced(self, values: Mapping[str, float]) -> Tolerances:
        """These tolerances with some of them changed.

        Raises
        ------
        ValueError
            An unknown name, or a value below 0.
        TypeError
            A value that is no number.
        """
        known = {item.name for item in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown tolerance {name}; known: {', '.join(sorted(known))}")
            if not value >= 0:
                raise ValueError(f"tolerance {name} must be at least 0")
        return replace(self, **{name: float(value) for name, value in values.items()})
