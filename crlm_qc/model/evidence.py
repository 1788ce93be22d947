"""Evidence: the tables of one release, and what is known of their making."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES
from crlm_qc.model.tolerances import Tolerances

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the release and of how it was read; it travels with the tables."""

    root: str = ""
    """Name of the release's folder, without the path to it."""
    layout: str = "none"
    """How it lies on disk: `nbia`, `card`, `idc` (Imaging Data Commons), `classic` (folders named after UIDs), `series`
    (folders that name no patients), `flat` (several series in one folder), `other`, or `none` if nothing was found."""
    depth: Depth = Depth.HEADERS
    """How deep the files were read."""
    patients_read: tuple[str, ...] = ()
    """Patients read, where the user asked for some; empty for all."""
    limits: tuple[str, ...] = ()
    """What was not read though it was asked for, in words: a refused folder, a missing decoder."""
    tolerances: Mapping[str, float] = field(default_factory=lambda: Tolerances().measuring)
    """Tolerances that the slice spacing was measured with, by name. Evidence of earlier versions says nothing of them, and
    was measured with those by default."""


@dataclass(frozen=True)
class Evidence:
    """Every table of a release; `evidence["slices"]` gives one. Tables that nothing was found for are empty."""

    facts: Facts = field(default_factory=Facts)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The table of that name, empty if nothing was found for it."""
        if name in self.tables:
            return self.tables[name]
        if name not in TABLES:
            raise KeyError(f"no evidence table {name}")
        from crlm_qc.model.tables import empty

        return empty(name)

    def __iter__(self) -> Iterator[str]:
        """Names of all tables, in the order of the contracts."""
        return iter(TABLES)
