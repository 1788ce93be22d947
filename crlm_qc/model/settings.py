"""What the user asked of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from crlm_qc.model.plain import to_plain
from crlm_qc.model.severity import Severity


class Depth(StrEnum):
    """How deep the reading goes; each level holds the one before."""

    HEADERS = "headers"
    """Every DICOM header and table, no pixel."""
    MASKS = "masks"
    """And the bits of the segmentation objects."""
    PIXELS = "pixels"
    """And the CT images under the masks."""

    def covers(self, other: Depth) -> bool:
        """Whether reading at this depth gives what `other` needs."""
        order = list(Depth)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class PurposeChoice:
    """What a configuration says of a purpose: one of its own, or another opinion on one that there is."""

    about: str | None = None
    depth: Depth | None = None
    like: tuple[str, ...] = ()
    """Purposes that it needs all of."""
    out: tuple[str, ...] = ()
    """Rules whose findings leave a patient out: codes, beginnings of codes, or slugs."""
    care: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    """Rules whose findings don't matter to it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices that change what is checked or how it counts; all of them stand in the report."""

    depth: Depth = Depth.PIXELS
    subset: bool = False
    """Part of the release on purpose: counts over the whole release are not checked."""
    select: tuple[str, ...] = ()
    """Codes or beginnings of codes; empty for all."""
    ignore: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    """Patients to audit; empty for all. Implies `subset`."""
    severity: Mapping[str, Severity] = field(default_factory=dict)
    """Severity given to a rule in place of its own."""
    known_issues: bool = True
    """Whether documented faults of the published release are waived."""
    tolerances: Mapping[str, float] = field(default_factory=dict)
    """Tolerances given in place of the profile's, by name."""
    redact_paths: bool = False
    """Whether folders are named after patient and contents alone: their own names hold dates and descriptions."""
    standard: bool = False
    """Whether the validators of dicom3tools are run on the files of patients."""
    all_objects: bool = False
    """Whether objects of others, which the profile tells apart, are audited as the published ones are."""
    purposes: Mapping[str, PurposeChoice] = field(default_factory=dict)
    """What is said of purposes in place of what rules declare, by name."""

    @property
    def partial(self) -> bool:
        """Whether the whole release is not, on purpose, what is audited."""
        return self.subset or bool(self.patients)

    @property
    def narrowed(self) -> bool:
        """Whether some rules were left out on purpose, so that a clean end proves less."""
        return bool(self.select or self.ignore or self.patients) or self.depth is not Depth.PIXELS

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "depth": self.depth.value,
            "subset": self.partial,
            "select": list(self.select),
            "ignore": list(self.ignore),
            "patients": list(self.patients),
            "severity": {code: level.value for code, level in sorted(self.severity.items())},
            "known_issues": self.known_issues,
            "tolerances": dict(sorted(self.tolerances.items())),
            "redact_paths": self.redact_paths,
            "standard": self.standard,
            "all_objects": self.all_objects,
            "purposes": to_plain(self.purposes),
        }
