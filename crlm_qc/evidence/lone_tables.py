"""Reads the tables and lists of a release alone, without its images: before a commit, where the images are elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.chosen import read_sources
from crlm_qc.evidence.metadata import looks_like_metadata
from crlm_qc.evidence.release import Candidate, Release
from crlm_qc.evidence.workbook.sheets import looks_like_workbook
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES, frame

SOURCE_TABLES = frozenset({"sources", "metadata", "manifest", "clinical", "clinical_dictionary", "workbook"})
"""Tables that are made of these files alone."""
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
        The tables of `SOURCE_TABLES`, and `patients` with who stands in them; all others are empty.

    Raises
    ------
    ReleaseError
        A file is not there, is none of these, or is the second of its kind.
    """
    candidates: dict[str, Candidate] = {}
    for path in files:
        source = _source(path, profile)
        if source in candidates:
            raise ReleaseError(
                f"{path} and {candidates[source].location} are both {_NAMES[source]}: give the tables of one release"
            )
        candidates[source] = Candidate(source, _shown(path), path)
    release = Release(root=Path.cwd(), name="", layout="none", candidates=tuple(candidates.values()))
    rows = {name: list[dict[str, object]]() for name in TABLES}
    for found in read_sources(release, profile):
        for name, read in found.items():
            rows[name] += read
    named = {
        row["patient"] for name in ("metadata", "clinical") for row in rows[name] if isinstance(row["patient"], str)
    }
    rows["patients"] = [{"patient": one, "folder": "", "valid": profile.is_patient_id(one)} for one in sorted(named)]
    return Evidence(Facts(depth=Depth.HEADERS), {name: frame(name, found) for name, found in rows.items()})


def _source(path: Path, profile: Profile) -> str:
    try:
        if not path.is_file():
            raise ReleaseError(f"{path} not found")
        if path.suffix.lower() == ".tcia":
            return "manifest"
        if path.suffix.lower() == ".csv" and looks_like_metadata(path, profile):
            return "metadata"
        if profile.has_workbook and looks_like_workbook(path, profile):
            return "clinical"
    except OSError as error:
        raise ReleaseError(f"{path} can't be read: {os.strerror(error.errno or 0).lower()}") from None
    raise ReleaseError(f"{path} is no metadata.csv, no clinical workbook and no manifest of {profile.name}")


def _shown(path: Path) -> str:
    """The path as it was given, where it does not lead elsewhere."""
    return path.name if path.is_absolute() or ".." in path.parts else path.as_posix()
