"""What findings spoil: the purposes that people use a release for, and how far a finding stands in the way of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from crlm_qc.model.settings import Depth


class Fit(StrEnum):
    """How a patient stands to a purpose, from best to worst."""

    USABLE = "usable"
    CARE = "usable with care"
    UNKNOWN = "not judged"
    """What would spoil it was not looked for."""
    OUT = "left out"

    @property
    def rank(self) -> int:
        """0 for usable, and more the worse it is."""
        return _RANKS[self]


_RANKS = {fit: rank for rank, fit in enumerate(Fit)}


@dataclass(frozen=True, slots=True)
class PurposeText:
    """A purpose, as an audit judges patients for it."""

    name: str
    about: str
    """What is done, to follow "usable for"."""
    depth: Depth
    """How deep files must have been read to know."""
    unasked: tuple[str, ...] = ()
    """Rules that leave patients out, and that the audit was not asked for."""
    ignored: tuple[str, ...] = ()
    """Rules that leave patients out, and that the user left out of the audit by name."""


PURPOSE_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What a purpose may be called."""
PURPOSES: Mapping[str, PurposeText] = {
    one.name: one
    for one in (
        PurposeText("segmentation", "training or testing a segmentation model", Depth.PIXELS),
        PurposeText("volumetry", "measuring volumes and diameters of segments", Depth.MASKS),
        PurposeText("lesion-counts", "counting lesions", Depth.MASKS),
        PurposeText("image-values", "working with CT values, as radiomics does", Depth.PIXELS),
        PurposeText("clinical-pairing", "pairing images with the clinical table", Depth.HEADERS),
        PurposeText("sharing", "publishing the files again", Depth.HEADERS),
        PurposeText("completeness", "claiming to have all that was published", Depth.HEADERS),
    )
}
"""What rules say of their findings, in the order of reports."""


@dataclass(frozen=True, slots=True)
class Spoils:
    """What findings of a rule's own severity spoil, by the names of purposes.

    Those that the rule itself calls milder spoil one step less, those that it calls graver one more.
    """

    out: tuple[str, ...] = ()
    """Purposes that the patient is left out of."""
    care: tuple[str, ...] = ()
    """Purposes that it is usable for with care."""
    everyone: bool = False
    """Whether a finding that names no patient spoils every patient; else it is told once, of the release."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises
        ------
        ValueError
            A purpose stands twice, or everyone is to be spoiled by nothing.
        """
        every = (*self.out, *self.care)
        if len(set(every)) < len(every):
            raise ValueError("a purpose stands twice in what a rule spoils")
        if self.everyone and not every:
            raise ValueError("a rule that spoils nothing spoils it of nobody")

    def effect(self, purpose: str) -> Fit:
        """What becomes of a patient for a purpose: left out, usable with care, or usable."""
        return Fit.OUT if purpose in self.out else Fit.CARE if purpose in self.care else Fit.USABLE


NOTHING = Spoils()
"""For rules whose findings spoil no purpose, as their declaration must say."""
