"""How the findings of a rule are seen in the images, and where one of them is: pictures go by these, never by words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crlm_qc.model.picture import Plane
from crlm_qc.model.severity import Severity


@dataclass(frozen=True, slots=True)
class Slice:
    """A CT image."""

    path: str
    """As the table `slices` has it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a segmentation object."""

    dso: str
    """Path of the object, as the table `dsos` has it."""
    number: int
    """Frame, counted from 1."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What two segments share."""

    one: int
    """Segment Number."""
    other: int


@dataclass(frozen=True, slots=True)
class Outside:
    """What of a segment lies outside of another."""

    segment: int
    """Segment Number."""
    other: int


@dataclass(frozen=True, slots=True)
class Small:
    """A segment that is seen only enlarged."""

    segment: int
    """Segment Number."""


Place = Slice | Frame | Shared | Outside | Small
"""Where a finding is seen. Beside its places, one about a segment is seen where that segment is largest."""


class At(StrEnum):
    """Which axial slices show a finding."""

    PLACES = "places"
    """Those at the places that it has, or through the segment that it is about."""
    LIVER = "liver"
    """It has no place of its own: where the liver is largest."""
    TUMOURS = "tumours"
    """Where the tumours are largest."""


class Beside(StrEnum):
    """Two pictures that explain a finding beside each other."""

    SOURCE = "source"
    """A frame where it is positioned, and on its source slice."""
    PLACEMENT = "placement"
    """The masks as stored, and where they fit the image better."""
    SIDES = "sides"
    """The same; where nothing fits better, image and masks as stored and mirrored."""
    NUMBERS = "numbers"
    """The slices in the order of their numbers, and in that of their positions."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How the findings of a rule are seen; a rule without this is about what no picture explains."""

    at: At = At.PLACES
    reformat: Plane | None = None
    """The reformat that shows it, whether or not it has a place."""
    beside: Beside | None = None
    gaps: bool = False
    """About gaps between slices: those beside one look alike, unless a mask on them does not."""
    mildest: Severity = Severity.INFO
    """Milder findings are not shown."""
    hides: bool = False
    """The images may show what identifies a person: none of the patient's is shown."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How and where one finding is seen."""

    seen: Seen
    places: tuple[Place, ...] = ()
