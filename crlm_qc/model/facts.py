"""What a report says of rules and of patients, and how commands end."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import IntEnum

from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import Severity


class ExitCode(IntEnum):
    """Exit codes of every command; the highest of 70, 2, 4, 3, 1 wins."""

    CLEAN = 0
    FINDINGS = 1
    """Findings at or above `--fail-on`."""
    USAGE = 2
    INCOMPLETE = 3
    """Something that was asked for could not be checked: a rule crashed, a decoder is missing."""
    NOTHING = 4
    """Nothing there to check."""
    BUG = 70
    """A bug of ours."""


@dataclass(frozen=True, slots=True)
class ToleranceText:
    """What a report says of a tolerance that a rule used."""

    name: str
    value: float
    """As the audit used it, the profile's changes included."""
    unit: str
    """Empty for a part of something, or a number without a unit."""
    why: str


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a report says of a rule, so that no renderer needs the rule itself."""

    code: str
    slug: str
    kind: str
    severity: Severity
    title: str
    why: str
    fix: str
    source: str
    tolerances: tuple[ToleranceText, ...] = ()
    spoils: Spoils | None = None
    """What its findings spoil, as this audit was told; None where an earlier version does not say."""

    @property
    def family(self) -> str:
        """The three letters that the code begins with."""
        return self.code[:3]


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """Figures of one patient that a report shows."""

    patient: str
    ct_slices: int | None = None
    spacing_mm: float | None = None
    segments: int | None = None
    liver_ml: float | None = None
    tumour_ml: float | None = None
    tumours: int | None = None
    """Tumour segments that its objects declare."""
    in_plane_mm: float | None = None
    """Distance between rows, of the first slice."""
    thickness_mm: float | None = None
    """Median SliceThickness."""
    liver_hu: float | None = None
    """Median CT value under the liver's mask."""
    portal_hu: float | None = None
    """Median CT value under the mask of the portal vein."""
    sex: str | None = None
    """PatientSex: a published code, or `other`."""
    sex_workbook: str | None = None
    """What the workbook's column sex says, `M` or `F`; None where it says neither."""
    referenced_percent: float | None = None
    """Part of the CT slices that its segmentation objects refer to."""
    overlap_mm3: float | None = None
    """Volume that any two of its tumour segments share, all pairs."""
    diameter_mm: float | None = None
    """Largest diameter of a tumour segment in one slice."""
    stated_mm: float | None = None
    """The workbook's max_tumor_size."""
    ct_folder: str | None = None
    """Folder of its one CT series, relative to the release; None where it has several, or its name is not shown whole."""
    seg_file: str | None = None
    """File of its one segmentation object; None as for the folder."""
    remnant_ml: float | None = None
    """Volume of the liver remnant."""
    hepatic_ml: float | None = None
    """Volume of the hepatic veins."""
    portal_ml: float | None = None
    """Volume of the portal vein."""

    def __post_init__(self) -> None:
        """Hold nothing that JSON has no number for: a figure that is none was not measured."""
        for item in fields(self):
            if isinstance(value := getattr(self, item.name), float) and not math.isfinite(value):
                object.__setattr__(self, item.name, None)
