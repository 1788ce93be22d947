"""From what was read to tables: which of several tables of a kind are used, what texts stand where, and the facts.

All of this looks at the whole release, so what was read in parts is put together by the same steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crlm_qc.collection.forms import originals_first
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.chosen import Rows, Sources, choose_sources, unread_sources
from crlm_qc.evidence.columns import Columns, frames
from crlm_qc.evidence.release import PatientFolder, Release
from crlm_qc.evidence.rows import Row
from crlm_qc.evidence.texts import text_rows
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES

if TYPE_CHECKING:
    from crlm_qc.evidence.outside import OutsideRead


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker tells of one patient."""

    columns: Columns
    limits: list[str]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was read of a release, or of a part of it, before any table is made of it."""

    release: Release
    profile: Profile
    depth: Depth
    patients: tuple[str, ...]
    """Those that were asked for, as `Facts.patients_read` has them."""
    everyone: tuple[str, ...]
    """Patients of all parts."""
    chosen: tuple[PatientFolder, ...]
    """Folders of those that were read."""
    sources: Sources
    outside: OutsideRead
    lock: list[Row]
    """Rows of `lock`, those of other parts too."""
    folders: list[Row]
    """Rows of `patients`, in their order."""
    reads: dict[str, Told]
    """What was read of each patient, in their order."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What is known of a release beside its patients."""

    root: str
    layout: str
    depth: Depth
    tolerances: Mapping[str, float]
    patients: tuple[str, ...]
    limits: Sequence[str]
    """Of the listing, in words."""
    sources: Sources
    near: Sequence[Row]
    """Rows of `sources` of what lies where a part is missing."""
    outside: OutsideRead


def assemble(gathered: Gathered) -> Evidence:
    """Make tables of what was read.

    Parameters
    ----------
    gathered : Gathered
        What was read of a release. Nothing of its patients is left in it when it is done.

    Returns
    -------
    Evidence
        All tables.
    """
    reads = list(gathered.reads.values())
    gathered.reads.clear()
    columns = [Columns(gathered.outside.rows), *(one.columns for one in reads)]
    here = {uid for one in reads for uid in one.columns.texts("series", "series_uid") if uid}
    paths, owners = ([text for one in columns for text in one.texts("files", name)] for name in ("path", "patient"))
    ordered = in_order(paths)
    facts, rows = finish(
        whole_of(gathered),
        gathered.profile,
        here=here,
        folders=gathered.folders,
        lock=gathered.lock,
        files=((str(paths[place]), owners[place]) for place in ordered),
        limits=(limit for one in reads for limit in one.limits),
    )
    # Nothing but the tables is held when they are made: not what they are made of.
    columns.append(Columns(rows))
    del reads, rows
    found = frames(columns)
    found["files"] = found["files"].take(ordered).reset_index(drop=True)
    return Evidence(facts, found)


def whole_of(gathered: Gathered) -> Whole:
    """What was read of a release beside its patients."""
    release = gathered.release
    return Whole(
        root=release.source.name,
        layout=release.layout,
        depth=gathered.depth,
        tolerances=gathered.profile.tolerances.measuring,
        patients=gathered.patients,
        limits=release.limits,
        sources=gathered.sources,
        near=[one.row for one in release.near],
        outside=gathered.outside,
    )


def in_order(paths: Sequence[str | None]) -> list[int]:
    """Places of files in the order that the table `files` has."""
    return sorted(range(len(paths)), key=lambda place: originals_first(str(paths[place])))


def finish(
    whole: Whole,
    profile: Profile,
    *,
    here: set[str],
    folders: Sequence[Row],
    lock: Sequence[Row],
    files: Iterable[tuple[str, str | None]],
    limits: Iterable[str],
) -> tuple[Facts, Rows]:
    """Facts of a release, and rows of the tables that are made of all of it.

    Parameters
    ----------
    whole : Whole
        What is known beside the patients.
    profile : Profile
        The collection's profile.
    here : set of str
        Series Instance UIDs of the images on disk.
    folders, lock : sequence of mapping
        Rows of `patients` and `lock`, in their order.
    files : iterable of tuple
        Paths of all files in the order of `files`, and the patients in whose folders they lie.
    limits : iterable of str
        Those of the patients.

    Returns
    -------
    facts : Facts
    rows : mapping of str to list of mapping
        They follow those of the patients in each table.
    """
    found: list[Rows] = [*choose_sources(whole.sources, profile, here), {"sources": list(whole.near)}]
    rows: Rows = {name: [row for one in found for row in one.get(name, ())] for name in TABLES}
    rows["patients"], rows["lock"] = list(folders), list(lock)
    rows["texts"] += text_rows(rows, files, profile)
    told = (*whole.limits, *unread_sources(found), *whole.outside.limits, *limits)
    facts = Facts(
        root=whole.root,
        layout=whole.layout,
        depth=whole.depth,
        patients_read=whole.patients,
        limits=tuple(dict.fromkeys(told)),
        tolerances=whole.tolerances,
    )
    return facts, rows
