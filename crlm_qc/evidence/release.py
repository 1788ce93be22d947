"""Finds the parts of a release by what they are: patient folders, metadata.csv, the clinical workbook, the manifest."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.evidence.kinds import TABLE_SUFFIXES, aside_kind, kind_of, names_of, source_of
from crlm_qc.evidence.source import Item, Tree, as_unicode, open_root, siblings, walk
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.words import suggest

METADATA_NAME = "metadata.csv"
SOURCES = ("metadata", "clinical", "manifest")
_BESIDE_SUFFIXES = TABLE_SUFFIXES | {".tcia", ".txt"}


@dataclass(frozen=True, slots=True)
class PatientFolder:
    """A folder of one patient, and everything below it."""

    patient: str
    folder: str
    valid: bool
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be one of the release's tables or lists."""

    source: str
    """`metadata`, `clinical` or `manifest`."""
    path: str
    """What `sources.path` says: relative to the release, or the bare name of a file outside of it."""
    location: Path


@dataclass(frozen=True, slots=True)
class Other:
    """A file outside of the patient folders."""

    item: Item
    kind: str
    in_collection: bool


@dataclass(frozen=True)
class Release:
    """What the walk found."""

    root: Path
    name: str
    layout: str
    patients: tuple[PatientFolder, ...] = ()
    others: tuple[Other, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    """In the order of preference within each source."""
    limits: tuple[str, ...] = ()
    """Folders that could not be listed, in words."""
    unlisted: tuple[str, ...] = ()
    """Their paths."""

    def of(self, source: str) -> list[Candidate]:
        """Candidates of one source."""
        return [candidate for candidate in self.candidates if candidate.source == source]


def find_release(
    root: Path,
    profile: Profile,
    *,
    metadata: Path | None = None,
    clinical: Path | None = None,
    manifest: Path | None = None,
) -> Release:
    """Find the parts of a release.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the release, in either layout.
    profile : Profile
        The collection's profile: its name, and the form of its patient IDs.
    metadata, clinical, manifest : pathlib.Path, optional
        Parts that lie elsewhere, or that are to be used in place of those found.

    Returns
    -------
    Release
        Patient folders and candidates; empty ones if the folder holds nothing of the kind.

    Raises
    ------
    ReleaseError
        The path does not exist, is no folder, can't be listed, or is (or lies in) the folder of one patient; or a part
        that the user named is not there.
    """
    top = open_root(root)
    tree = walk(top, Show(profile))
    places = _places(tree, profile, top.name)
    if not places.patients:
        _refuse_inside_patient(root, top, profile)
    patients, rest = _share_out(tree.items, places)
    kinds = {item.path: kind_of(item, profile, places.in_collection(item.path)) for item in rest}
    found = [
        Candidate(kinds[item.path], item.path, Path(item.location)) for item in rest if kinds[item.path] in SOURCES
    ]
    named = {"metadata": metadata, "clinical": clinical, "manifest": manifest}
    if places.patients:
        lacking = [source for source, path in named.items() if not (path or any(one.source == source for one in found))]
        found += _beside(top, lacking, profile)
    candidates = _choose(found, named, top)
    kinds |= {candidate.path: candidate.source for candidate in candidates if candidate.path in kinds}
    return Release(
        root=top,
        name=as_unicode(top.name),
        layout=_layout(places, candidates, top.name, profile),
        patients=tuple(patients),
        others=tuple(Other(item, kinds[item.path], places.in_collection(item.path)) for item in rest),
        candidates=tuple(candidates),
        limits=tuple(tree.limits),
        unlisted=tuple(tree.unlisted),
    )


def _refuse_inside_patient(root: Path, top: Path, profile: Profile) -> None:
    """A folder of one patient, or inside of it, is no release: say how to check just that patient."""
    for folder in (top, *top.parents):
        if profile.is_patient_id(folder.name):
            where = "is" if folder == top else "lies inside"
            above = os.path.relpath(folder.parent, Path.cwd()) if not root.is_absolute() else str(folder.parent)
            raise ReleaseError(
                f"{root} {where} one patient ({folder.name}). To check just it: "
                f"crlm-qc check {shlex.quote(above)} --patients {folder.name}"
            )


def _parents(path: str) -> Iterator[str]:
    """Folders that hold a path, the innermost first, the release itself (the empty path) last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


@dataclass(frozen=True)
class _Places:
    """Which folders are the collection's, and which are patients'."""

    patients: dict[str, tuple[str, bool]]
    """Folder to patient, and whether the folder's name has the profile's form."""
    collections: frozenset[str]
    """Folders named like the collection."""

    def patient_folder(self, path: str) -> str | None:
        """The patient folder that a path lies in."""
        return next((above for above in _parents(path) if above in self.patients), None)

    def in_collection(self, path: str) -> bool:
        """Whether a path lies in a folder of the collection or of a patient."""
        return any(above in self.collections or above in self.patients for above in _parents(path))


def _places(tree: Tree, profile: Profile, root_name: str) -> _Places:
    valid: dict[str, str] = {}
    for folder in tree.folders:
        name = folder.rpartition("/")[2]
        if profile.is_patient_id(name) and not any(above in valid for above in _parents(folder)):
            valid[folder] = name
    above_valid = {above for folder in valid for above in _parents(folder)}
    collections = frozenset(folder for folder in tree.folders if folder.rpartition("/")[2] == profile.name)
    # The root holds the patients where it is the collection folder itself, and in the layout of the dataset card.
    root_holds = root_name == profile.name or any("/" not in folder for folder in valid)
    filled = {above for item in tree.items for above in _parents(item.path)}
    with_images = {above for item in tree.items if item.suffix == ".dcm" for above in _parents(item.path)}
    patients = {folder: (name, True) for folder, name in valid.items()}
    odd = 0
    for folder in tree.folders:
        parent, _, name = folder.rpartition("/")
        # At the root there may be folders of documents too: there only one with images is a patient's.
        counts = folder in filled if parent in collections else root_holds and not parent and folder in with_images
        known = folder in valid or folder in above_valid or folder in collections
        if (
            counts
            and not known
            and not name.startswith(".")
            and not any(above in patients for above in _parents(folder))
        ):
            odd += 1
            patients[folder] = (f"patient[{odd}]", False)
    return _Places(patients, collections)


def _share_out(items: Sequence[Item], places: _Places) -> tuple[list[PatientFolder], list[Item]]:
    """Items by patient folder, and the rest."""
    within: dict[str, list[Item]] = {folder: [] for folder in places.patients}
    rest: list[Item] = []
    for item in items:
        folder = places.patient_folder(item.path)
        (rest if folder is None else within[folder]).append(item)
    patients = [
        PatientFolder(patient, folder, valid, tuple(within[folder]))
        for folder, (patient, valid) in places.patients.items()
    ]
    return sorted(patients, key=lambda patient: (patient.patient, patient.folder)), rest


def _beside(top: Path, lacking: Sequence[str], profile: Profile) -> Iterator[Candidate]:
    """Parts that lie beside the audited folder: people put workbook and manifest where they like, mostly there.

    Only files of the folder right above are looked at, and of the next one where that is the downloader's. A list or
    table of another collection is none of this release's.
    """
    folders = [top.parent, top.parent.parent] if top.name == profile.name else [top.parent]
    wanted = set(lacking)
    for folder in folders:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        found = []
        for entry in entries:
            item = Item(as_unicode(entry.name), entry.path, None)
            if item.suffix not in _BESIDE_SUFFIXES or aside_kind(item) or not entry.is_file(follow_symlinks=False):
                continue
            try:
                source = source_of(item, profile)
                usual = source != "metadata" or item.name.lower() == METADATA_NAME
                if source in wanted and usual and (source == "clinical" or names_of(item, profile)):
                    found.append(Candidate(source, item.path, Path(item.location)))
            except OSError:
                continue
        yield from found
        wanted -= {one.source for one in found}


def _choose(found: list[Candidate], named: dict[str, Path | None], top: Path) -> list[Candidate]:
    """Candidates in the order of preference; one that the user names is the only one of its source."""
    chosen = []
    for source, path in named.items():
        if path is None:
            chosen += sorted((one for one in found if one.source == source), key=_preference)
            continue
        if not path.is_file():
            raise ReleaseError(f"--{source} {path} not found{suggest(path.name, siblings(path))}")
        location = path.resolve()
        inside = location.is_relative_to(top)
        shown = location.relative_to(top).as_posix() if inside else path.name
        chosen.append(Candidate(source, as_unicode(shown), location))
    return chosen


def _preference(candidate: Candidate) -> tuple[bool, int, str]:
    usual = candidate.source != "metadata" or candidate.location.name.lower() == METADATA_NAME
    return (not usual, candidate.path.count("/"), candidate.path)


def _layout(places: _Places, candidates: Sequence[Candidate], root_name: str, profile: Profile) -> str:
    parents = {folder.rpartition("/")[0] for folder, (_, valid) in places.patients.items() if valid}
    if not places.patients and not candidates:
        return "none"
    if parents == {""}:
        return "nbia" if root_name == profile.name else "card"
    if len(parents) == 1 and parents <= places.collections:
        return "nbia"
    return "other"
