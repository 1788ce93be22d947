"""Reads the tables and lists of a release alone, without its images: before a commit, where the images are elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.chosen import choose_sources, read_sources, unread_sources
from crlm_qc.evidence.metadata import looks_like_metadata
from crlm_qc.evidence.near import form_of
from crlm_qc.evidence.release import Candidate, Release
from crlm_qc.evidence.source import Folder, Item, local_file, valid_name
from crlm_qc.evidence.workbook.sheets import looks_like_workbook
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES, frame

_NAMES = {"metadata": "metadata.csv", "clinical": "the clinical workbook", "manifest": "the manifest"}


def collect_tables(files: Sequence[Path], profile: Profile) -> Evidence:
    """Read tables and lists.

    Parameters
    ----------
    files : sequence of pathlib.Path
        metadata.csv, workbook and manifest of one release, or some of them; told by their content.
    profile : Profile
        The collection's profile.

    Returns
    -------
    Evidence
        The tables that are made of these files alone, and `patients` with who stands in them; all others are empty.

    Raises
    ------
    ReleaseError
        A file is not there, is none of these, or is the second of its kind.
    """
    candidates: dict[str, Candidate] = {}
    given: dict[str, Path] = {}
    for path in files:
        candidate = _candidate(path, profile)
        part = candidate.part
        if part in given:
            raise ReleaseError(f"{path} and {given[part]} are both {_NAMES[part]}: give the tables of one release")
        candidates[part], given[part] = candidate, path
    release = Release(Folder(Path.cwd()), layout="none", candidates=tuple(candidates.values()))
    rows = {name: list[dict[str, object]]() for name in TABLES}
    sources = list(choose_sources(read_sources(release, profile), profile, ()))
    for found in sources:
        for name, read in found.items():
            rows[name] += read
    named = {
        row["patient"] for name in ("metadata", "clinical") for row in rows[name] if isinstance(row["patient"], str)
    }
    rows["patients"] = [{"patient": one, "folder": "", "valid": profile.is_patient_id(one)} for one in sorted(named)]
    return Evidence(
        Facts(depth=Depth.HEADERS, limits=tuple(unread_sources(sources))),
        {name: frame(name, found) for name, found in rows.items()},
    )


def _candidate(path: Path, profile: Profile) -> Candidate:
    """A file, and which part of a release it is."""
    try:
        item = local_file(path)
        if item is None:
            raise ReleaseError(f"{path} not found")
        part = _part(item, profile)
    except OSError as error:
        raise ReleaseError(f"{path} can't be read: {os.strerror(error.errno or 0).lower()}") from None
    if part is None and (form := form_of(item)):
        raise ReleaseError(f"{path} is {form}")
    if part is None:
        raise ReleaseError(f"{path} is no metadata.csv, no clinical workbook and no manifest of {profile.name}")
    # The path as it was given, where it does not lead elsewhere.
    shown = item.path if path.is_absolute() or ".." in path.parts else valid_name(path.as_posix())
    return Candidate(part, replace(item, path=shown), named=True)


def _part(item: Item, profile: Profile) -> str | None:
    if item.suffix == ".tcia":
        return "manifest"
    if item.suffix == ".csv" and looks_like_metadata(item, profile):
        return "metadata"
    return "clinical" if profile.has_workbook and looks_like_workbook(item, profile) else None
