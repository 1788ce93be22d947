"""Whether a download is whole: series that should be on disk beside those that are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SERIES = "series"
"""What series are counted under whose modality no list tells."""


class ListedBy(StrEnum):
    """What says which series should be on disk."""

    LEDGER = "ledger"
    """The published series, with their files and bytes."""
    MANIFEST = "manifest"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class ToFetch:
    """A series that is not on disk as it should be."""

    series_uid: str
    patient: str | None
    modality: str | None
    why: str
    """`absent`, `other bytes`, or how many of its files are there."""


@dataclass(frozen=True, slots=True)
class Wholeness:
    """Series that should be on disk beside those that are."""

    listed_by: ListedBy
    partial: bool
    """Whether the patients that are there were asked for, and no others."""
    expected: Mapping[str, int]
    """Series that should be there, by modality; under `SERIES` where the list does not tell all of them."""
    whole: Mapping[str, int]
    """Those of them that are."""
    to_fetch: tuple[ToFetch, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that should be there is."""
        return self.expected == self.whole
