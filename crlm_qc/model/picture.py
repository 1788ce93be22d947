"""Pictures: what is asked for of a reader, and what a report says of those that were made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

PICTURE_FILE = re.compile(r"[A-Za-z0-9_-]{1,80}\.webp")
"""File names that a report may give its pictures: none leads to another folder."""
PATH_DATA = re.compile(r"(M-?[0-9]+ -?[0-9]+l-?[0-9]+ -?[0-9]+( -?[0-9]+ -?[0-9]+)*z)*")
"""Path data of SVG as contours have it: closed lines in whole numbers."""
UNITS = 10
"""Units of a drawing in a pixel of its picture, so that contours can be whole numbers."""
SIDE = 384
"""Pixels of the longer side of a picture."""
SMALL_SIDE = 256
"""The same, where a page would grow too large."""
BAR_MM = 50.0
"""Length of the scale bar, mm; pictures that are drawn larger have a shorter one."""


class PictureMode(StrEnum):
    """Which patients get pictures."""

    AUTO = "auto"
    """Those with a finding that has a place."""
    NONE = "none"
    ALL = "all"
    """All that have a CT series."""


class Plane(StrEnum):
    """How a picture cuts the patient."""

    AXIAL = "axial"
    """One image as it is stored, whatever its orientation."""
    CORONAL = "coronal"
    """One row of every image."""
    SAGITTAL = "sagittal"
    """One column of every image."""


class View(StrEnum):
    """How much of the images a picture shows."""

    WHOLE = "whole"
    FRAMED = "framed"
    """All of them, with a frame around what another picture of the group enlarges."""
    ENLARGED = "enlarged"
    """What the finding is about, and its surroundings."""


@dataclass(frozen=True, slots=True)
class Hatched:
    """What of a segment is hatched, so that a small part is seen and no colour is needed for it."""

    segment: int
    """Segment Number."""
    other: int
    """Another's."""
    outside: bool
    """Whether it is what lies outside of the other, in place of what both share."""
    words: str
    """The same in words, as captions have it."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What a picture is about, if that is less than the whole slice."""

    segments: tuple[int, ...]
    """Segment Numbers."""
    hatched: tuple[Hatched, ...] = ()


@dataclass(frozen=True, slots=True)
class Space:
    """A gap between two slices of a reformat."""

    low: float
    """Position of the one along the normal, mm."""
    high: float
    """Position of the other."""
    label: str
    """What is written beside it."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a reformat that is enlarged, mm."""

    start: float
    """Along the line of the images."""
    end: float
    low: float
    """Along the normal."""
    high: float


@dataclass(frozen=True, slots=True)
class Outline:
    """How the contour of a segment is told from others: by colour, by dashes and by its letter."""

    segment: int
    """Segment Number."""
    letter: str
    """L, R, H, P, T1 ..., S and its number for what the vocabulary does not know."""
    role: str
    """`liver`, `remnant`, `vessel`, `tumour` or `other`."""
    label: str
    """As findings name it."""


@dataclass(frozen=True, slots=True)
class ImageLine:
    """Where an image lies in a picture."""

    height: float = 0.0
    """Position along the normal, mm."""
    line: float = 0.0
    """The row (of a coronal picture) or column (of a sagittal one) that is shown, pixels."""
    start: float = 0.0
    """Position of the line's first pixel along it, mm."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image of a picture."""

    path: str
    """Relative to the release."""
    at: ImageLine = ImageLine()


@dataclass(frozen=True, slots=True)
class MaskRequest:
    """One frame of a segmentation object, laid over the images."""

    frame: int
    """Frame number from 1."""
    segment: int | None
    """Its Segment Number; None if its pixel values are the Segment Numbers, as in a label map."""
    to_image: tuple[float, float, float, float, float, float]
    """Column and row of the image from column c and row r of the frame: a c + b r + t, and d c + e r + f."""
    at: ImageLine = ImageLine()
    """Where the image lies that `to_image` leads to."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """One picture to make; all that can be said of it without opening a file stands here."""

    patient: str
    findings: tuple[str, ...]
    """Fingerprints of the findings that it shows."""
    plane: Plane
    group: int
    """Pictures of one patient and group stand side by side."""
    title: str
    caption: str
    alt: str
    """What the alternative text says after the title: where that is. The contours that are drawn follow."""
    sides: tuple[str, str, str, str]
    """Letters of the patient's directions: left, top, right, bottom."""
    spacing: tuple[float, float]
    """Distance between rows and between columns, mm."""
    thickness: float
    """Height of a slice in a reformat, mm."""
    upward: bool
    """Whether the normal points to the top of a reformat."""
    images: tuple[ImageRequest, ...]
    dso: str | None
    """Path of the segmentation object, relative to the release."""
    masks: tuple[MaskRequest, ...]
    outlines: tuple[Outline, ...]
    about: str = ""
    """How the alternative text ends: what was found."""
    view: View = View.WHOLE
    detail: Detail | None = None
    """Of an axial picture: what it is about."""
    part: Part | None = None
    """Of a reformat: what is framed or enlarged."""
    spaces: tuple[Space, ...] = ()
    """Of a reformat: its gaps."""
    mirrored: str = ""
    """Whether image and masks are shown in reverse order of their `columns` or `rows`; empty if not."""
    candidates: tuple[PictureRequest, ...] = ()
    """The same on other slices: the one where most is hatched is made, of equals the first."""

    @property
    def paths(self) -> set[str]:
        """Paths of all files that may be opened for it."""
        own = {image.path for image in self.images} | ({self.dso} if self.dso is not None else set())
        return own.union(*(one.paths for one in self.candidates))


@dataclass(frozen=True, slots=True)
class Contour:
    """The contour of one segment in a picture, in units of the drawing."""

    segment: int
    letter: str
    role: str
    path: str
    """Path data of SVG: closed lines."""
    x: int
    """Where the letter stands."""
    y: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A box around a part of a reformat that no slice fills, in units of the drawing."""

    y: int
    height: int
    label: str = ""
    """What it is: `gap 1.6 mm`."""
    text: int = 0
    """How far down that is written; 0 where there is no room."""


@dataclass(frozen=True, slots=True)
class Hatch:
    """A part of a picture that is hatched, in units of the drawing."""

    path: str
    """Path data of SVG: closed lines, those of holes too."""
    words: str
    """What it is."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What another picture enlarges, in units of the drawing."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a report, or why there is none."""

    patient: str
    findings: tuple[str, ...]
    """Fingerprints of the findings that it shows."""
    file: str | None
    """Name of the file in the folder of the pictures; None if there is none."""
    reason: str
    """Why there is none; else empty."""
    plane: Plane = Plane.AXIAL
    group: int = 0
    """Pictures of one patient and group stand side by side."""
    title: str = ""
    caption: str = ""
    alt: str = ""
    width: int = 0
    """Of the drawing, in units; the picture is stretched to it."""
    height: int = 0
    sides: tuple[str, str, str, str] = ("", "", "", "")
    """Letters of the patient's directions: left, top, right, bottom."""
    bar: int = 0
    """Length of the scale bar, in units of the drawing."""
    contours: tuple[Contour, ...] = ()
    gaps: tuple[Gap, ...] = ()
    bar_mm: float = BAR_MM
    """What the scale bar says, mm."""
    hatches: tuple[Hatch, ...] = ()
    frame: Frame | None = None
    level: int = 0
    """How far down the letters at the left and right stand, in units of the drawing; 0 for the middle."""


def no_picture(patient: str, findings: tuple[str, ...], reason: str) -> Picture:
    """A box in place of a picture."""
    return Picture(patient, findings, None, reason)
