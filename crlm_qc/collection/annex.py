"""The attribute table of DICOM PS3.15 Annex E, as far as it concerns the objects of a release."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

FILE = "deidentification.toml"


class AttributeKind(StrEnum):
    """What an attribute of Table E.1-1 is about."""

    DIRECT = "direct"
    """Names a person, or a number that leads to one."""
    INSTITUTION = "institution"
    TRIAL = "trial"
    CHARACTERISTIC = "characteristic"
    DATE = "date"
    DEVICE = "device"
    DESCRIPTOR = "descriptor"
    GRAPHIC = "graphic"
    UID = "uid"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of Table E.1-1."""

    tag: int
    keyword: str
    vr: str
    kind: AttributeKind
    action: str
    """Action of the Basic Profile, as the table writes it: `X`, `Z`, `X/Z/D`."""
    retained_by: frozenset[str]
    """Codes of the options that keep it."""
    dummy: bool
    """Whether a value may stand in the Basic Profile."""
    segmentation_only: bool = False
    """Whether only a segmentation object needs one: in a CT image the attribute may be left out, or be empty."""

    def may_hold_a_value(self, declared: Collection[str], *, segmentation: bool = True) -> bool:
        """Whether a value is in order under the options that a release declares."""
        needed = self.dummy and (segmentation or not self.segmentation_only)
        return needed or not self.retained_by.isdisjoint(declared)


@dataclass(frozen=True)
class AttributeTable:
    """Table E.1-1, as far as it matters here."""

    edition: str
    options: Mapping[str, str]
    """Code of CID 7050 to its meaning."""
    attributes: Mapping[int, Attribute]
    """By tag; of a repeating group (60xx), by the tag of the first."""

    def get(self, tag: int) -> Attribute | None:
        """The attribute of a tag, of any group of a repeating one."""
        return self.attributes.get(tag) or self.attributes.get(_first_of_group(tag))


def _first_of_group(tag: int) -> int:
    """Tags of overlays and curves, (60xx,eeee) and (50xx,eeee), as those of the first one."""
    return tag & 0xFF00FFFF if tag >> 24 in (0x50, 0x60) else tag


@cache
def attribute_table() -> AttributeTable:
    """The attributes of `expectations/deidentification.toml`.

    Returns
    -------
    AttributeTable
        By tag.
    """
    from crlm_qc.collection.resources import expectations_folder

    raw = tomllib.loads((expectations_folder() / FILE).read_text(encoding="utf-8"))
    attributes = [_attribute(AttributeKind(kind), row) for kind in AttributeKind for row in raw[kind]["attributes"]]
    return AttributeTable(raw["edition"], raw["options"], {item.tag: item for item in attributes})


def _attribute(kind: AttributeKind, row: Mapping[str, Any]) -> Attribute:
    return Attribute(
        int(row["tag"], 16),
        row["keyword"],
        row["vr"],
        kind,
        row["action"],
        frozenset(row.get("retained_by", ())),
        bool(row.get("dummy")),
        row.get("dummy") == "SEG",
    )
