"""Finds the parts of a release by what they are: patient folders, metadata.csv, the clinical workbook, the manifest."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crlm_qc.collection.forms import copied_name, is_uid, originals_first, uid_tail
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.evidence.by_header import Whose, by_folder, mixes_series, whose
from crlm_qc.evidence.contents import named_content
from crlm_qc.evidence.kinds import aside_kind, is_of_systems, names_collection, outside_kind, part_kind
from crlm_qc.evidence.metadata import METADATA_NAME
from crlm_qc.evidence.near import SUFFIXES as NEAR_SUFFIXES
from crlm_qc.evidence.near import Near, near_misses
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.source import Item, Source, Tree, local_file, parents, siblings
from crlm_qc.evidence.workbook.book import TABLE_SUFFIXES
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.contents import ARCHIVES
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.paths import resolved
from crlm_qc.model.words import suggest

PARTS = ("metadata", "clinical", "manifest")
"""Tables and lists of a release, as the table `sources` names them."""
_IDC_SERIES = re.compile(r"[A-Z]{2,3}_[0-9.]+")
"""A series folder as the downloader of the Imaging Data Commons names it: modality and Series Instance UID."""
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

    part: str
    """One of `PARTS`."""
    item: Item
    """Its path is what `sources.path` says: relative to the release, or the bare name of a file outside of it."""
    named: bool = False
    """Whether the user named it."""


@dataclass(frozen=True, slots=True)
class Other:
    """A file outside of the patient folders."""

    item: Item
    kind: str
    in_collection: bool


@dataclass(frozen=True)
class Release:
    """What the walk found."""

    source: Source
    """Where it lies."""
    layout: str
    """As `Facts.layout` has it."""
    patients: tuple[PatientFolder, ...] = ()
    others: tuple[Other, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    """In the order of preference within each part."""
    near: tuple[Near, ...] = ()
    """What lies where a part is missing."""
    limits: tuple[str, ...] = ()
    """Folders that could not be listed, in words."""
    unlisted: tuple[str, ...] = ()
    """Their paths."""
    folders: tuple[str, ...] = ()
    """Every folder of it."""

    def of(self, part: str) -> list[Item]:
        """Candidates of one part."""
        return [candidate.item for candidate in self.candidates if candidate.part == part]


def find_release(
    root: Path,
    profile: Profile,
    *,
    metadata: Path | None = None,
    clinical: Path | None = None,
    manifest: Path | None = None,
    access: Access = PLAIN,
) -> Release:
    """Find the parts of a release.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the release, in any layout, or an archive of it.
    profile : Profile
        The collection's profile: its name, and the form of its patient IDs.
    metadata, clinical, manifest : pathlib.Path, optional
        Parts that lie elsewhere, or that are to be used in place of those found.
    access : Access, optional
        What the user said of a release that lies elsewhere.

    Returns
    -------
    Release
        Patient folders and candidates; empty ones if the folder holds nothing of the kind.

    Raises
    ------
    ReleaseError
        The path does not exist, is no folder or archive, can't be listed, or is (or lies in) the folder of one patient; or a part
        that the user named is not there.
    """
    source = open_source(root, profile.is_patient_id, access, profile.name)
    tree = source.tree()
    places = _places(tree, profile, source.name)
    if not places.patients:
        _refuse_inside_patient(root, profile)
    patients, rest = _share_out(tree.items, places)
    kinds = {item.path: outside_kind(item, profile, in_collection=places.in_collection(item.path)) for item in rest}
    loose = [item for item in rest if kinds[item.path] in ("unexpected", "document")]
    within = {one.folder for one in patients if source.name == profile.name or places.in_named_folder(one.folder)}
    patients, by_header = _by_header(patients, loose, within, profile)
    placed = {item.path for one in patients for item in one.items}
    rest = [item for item in tree.items if item.path not in placed]
    kinds = {item.path: kinds.get(item.path) or outside_kind(item, profile, in_collection=False) for item in rest}
    found = [Candidate(kinds[item.path], item) for item in rest if kinds[item.path] in PARTS]
    named = {"metadata": metadata, "clinical": clinical, "manifest": manifest}
    if patients:
        lacking = [part for part, path in named.items() if not (path or any(one.part == part for one in found))]
        found += _beside(source, lacking, profile)
    candidates = _choose(found, named, source)
    kinds |= {one.item.path: one.part for one in candidates if one.item.path in kinds}
    near = _near(rest, candidates, source, profile)
    # What lies in place of a table is told with it, wherever it lies.
    kinds |= {one.item.path: "document" for one in near if kinds.get(one.item.path) == "unexpected"}
    kinds |= {item.path: "unexpected" for item in rest if _is_lacking_archive(item, patients, tree, profile)}
    show = Show(profile)
    return Release(
        source=source,
        layout=_layout(patients, by_header, places, candidates, source.name, profile),
        patients=tuple(patients),
        others=tuple(Other(item, kinds[item.path], places.in_collection(item.path)) for item in rest),
        candidates=tuple(candidates),
        near=tuple(near),
        limits=(
            *tree.limits,
            *(f"folder {show.path(path)} was not read: {reason}" for path, reason in tree.unlisted.items()),
        ),
        unlisted=tuple(tree.unlisted),
        folders=tuple(tree.folders),
    )


def _refuse_inside_patient(root: Path, profile: Profile) -> None:
    """A folder of one patient, or inside of it, is no release: say how to check just that patient."""
    top = resolved(root)
    for folder in (top, *top.parents):
        if profile.is_patient_id(folder.name):
            where = "is" if folder == top else "lies inside"
            above = os.path.relpath(folder.parent, Path.cwd()) if not root.is_absolute() else str(folder.parent)
            raise ReleaseError(
                f"{root} {where} one patient ({folder.name}). To check just it: "
                f"crlm-qc check {shlex.quote(above)} --patients {folder.name}"
            )


@dataclass(frozen=True)
class _Places:
    """Which folders are the collection's, and which are patients'."""

    patients: dict[str, tuple[str, bool]]
    """Folder to patient, and whether the folder's name has the profile's form."""
    collections: frozenset[str]
    """Folders named like the collection."""

    def patient_folder(self, path: str) -> str | None:
        """The patient folder that a path lies in."""
        return next((above for above in parents(path) if above in self.patients), None)

    def in_collection(self, path: str) -> bool:
        """Whether a path lies in a folder of the collection or of a patient."""
        return self.in_named_folder(path) or any(above in self.patients for above in parents(path))

    def in_named_folder(self, path: str) -> bool:
        """Whether a path lies in a folder of the collection's name."""
        return any(above in self.collections for above in parents(path))


def _places(tree: Tree, profile: Profile, root_name: str) -> _Places:
    valid: dict[str, str] = {}
    # Litter of systems makes no patient: neither what lies in a recycle bin, nor a folder with nothing but litter.
    own = [folder for folder in tree.folders if not is_of_systems(folder)]
    for folder in own:
        name = folder.rpartition("/")[2]
        if profile.is_patient_id(name) and not any(above in valid for above in parents(folder)):
            valid[folder] = name
    above_valid = {above for folder in valid for above in parents(folder)}
    collections = frozenset(folder for folder in tree.folders if folder.rpartition("/")[2] == profile.name)
    # The root holds the patients where it is the collection folder itself, and in the layout of the dataset card.
    root_holds = root_name == profile.name or any("/" not in folder for folder in valid)
    filled = {above for item in tree.items if aside_kind(item) != "system" for above in parents(item.path)}
    with_images = {above for item in tree.items if item.suffix == ".dcm" for above in parents(item.path)}
    patients = {folder: (name, True) for folder, name in valid.items()}
    odd = 0
    for folder in own:
        parent, _, name = folder.rpartition("/")
        # At the root there may be folders of documents too: there only one with images is a patient's.
        counts = folder in filled if parent in collections else root_holds and not parent and folder in with_images
        known = folder in valid or folder in above_valid or folder in collections
        if counts and not known and not any(above in patients for above in parents(folder)):
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


def _by_header(
    patients: Sequence[PatientFolder], loose: Sequence[Item], collected: Collection[str], profile: Profile
) -> tuple[list[PatientFolder], list[Whose]]:
    """Patients whose folders don't name them are found by PatientID; with the files that were placed by it.

    Who has a folder of his name keeps what lies in it, and gets no single file from elsewhere: that would be a stray
    one. A whole folder that is his is a further one of his: a copy, or a part of another download. One that is
    another collection's is nobody's, unless it lies in the collection's own folder, as those in `collected` do.
    """
    everyone = [one for one in patients if one.valid]
    odd = [one for one in patients if not one.valid]
    taken = {one.patient for one in everyone}
    read = whose([item for one in odd for item in one.items] + list(loose), profile)
    within = {one.folder: [other for other in read if _lies_in(other.item, one.folder)] for one in odd}
    found = [one for one in read if profile.is_patient_id(one.patient) and one.patient not in taken]
    placed = {one.item.path for one in found}
    folders = by_folder(found, {one.folder: one.patient for one in everyone})
    for one in odd:
        rest = [item for item in one.items if item.path not in placed]
        owners = {other.patient for other in within[one.folder]}
        if len(rest) < len(one.items):
            for item in rest:
                # Licences, links and files that can't be read go with the images beside them.
                owner = next((key for key in folders if item.path.startswith(f"{key[1]}/")), (one.patient, one.folder))
                folders.setdefault(owner, []).append(item)
        elif len(owners) == 1 and owners <= taken:
            everyone.append(replace(one, patient=owners.pop()))
        elif not owners or one.folder in collected or not all(other.foreign for other in within[one.folder]):
            everyone.append(one)
    everyone += [PatientFolder(patient, folder, False, tuple(items)) for (patient, folder), items in folders.items()]
    return sorted(everyone, key=lambda patient: (patient.patient, originals_first(patient.folder))), found


def _lies_in(item: Item, folder: str) -> bool:
    return item.path.startswith(f"{folder}/")


def _beside(source: Source, lacking: Sequence[str], profile: Profile) -> Iterator[Candidate]:
    """Parts that lie beside the audited folder: people put workbook and manifest where they like, mostly there.

    Only files of the folder right above are looked at, and of the next one where that is the downloader's. A list or
    table of another collection is none of this release's.
    """
    wanted = set(lacking)
    for items in source.beside(2 if source.name == profile.name else 1, _BESIDE_SUFFIXES):
        found = [Candidate(part, item) for item in items if (part := _part_beside(item, wanted, profile))]
        yield from found
        wanted -= {one.part for one in found}


def _part_beside(item: Item, wanted: Collection[str], profile: Profile) -> str | None:
    """Which of the parts that are wanted a file beside the release is, if it is of this release."""
    if aside_kind(item):
        return None
    try:
        part = part_kind(item, profile)
        if part not in wanted or not _has_usual_name(part, item):
            return None
        return part if part == "clinical" or names_collection(item, profile) else None
    except OSError:
        return None


def _near(rest: Sequence[Item], candidates: Sequence[Candidate], source: Source, profile: Profile) -> list[Near]:
    """What lies in the release, or else beside it, where a part is missing; beside it, only what speaks of it."""
    lacking = set(PARTS) - {one.part for one in candidates}
    found = list(near_misses((item for item in rest if aside_kind(item) in (None, "unreadable")), lacking))
    lacking -= {one.part for one in found}
    if lacking:
        for items in source.beside(2 if source.name == profile.name else 1, NEAR_SUFFIXES):
            spoken = [
                item for item in items if not aside_kind(item) and any(part in item.name.lower() for part in PARTS)
            ]
            found += near_misses(spoken, lacking)
    return found


def _is_lacking_archive(item: Item, patients: Sequence[PatientFolder], tree: Tree, profile: Profile) -> bool:
    """Whether a file is the archive of a patient or a series that lies nowhere unpacked."""
    if named_content(item.name) not in ARCHIVES:
        return False
    stem = item.name.rpartition(".")[0].removesuffix(".tar")
    if profile.is_patient_id(stem):
        return all(one.patient != stem for one in patients)
    # Folders of the downloader end in the last digits of the UID.
    tail = uid_tail(stem) if is_uid(stem) else ""
    return bool(tail) and not any(folder.endswith(tail) for folder in tree.folders)


def _choose(found: Sequence[Candidate], named: Mapping[str, Path | None], source: Source) -> list[Candidate]:
    """Candidates in the order of preference; one that the user names is the only one of its part."""
    chosen = []
    for part, path in named.items():
        if path is None:
            chosen += sorted((one for one in found if one.part == part), key=_preference)
            continue
        item = local_file(path)
        if item is None:
            raise ReleaseError(f"--{part} {path} not found{suggest(path.name, siblings(path))}")
        key = source.locate(path)
        chosen.append(Candidate(part, item if key is None else source.find(key), named=True))
    return chosen


def _preference(candidate: Candidate) -> tuple[bool, bool, int, tuple[str, tuple[str, ...], str]]:
    path = candidate.item.path
    is_copy = any(copied_name(part).mark for part in path.split("/"))
    unusual = not _has_usual_name(candidate.part, candidate.item)
    return (unusual, is_copy, path.count("/"), originals_first(path))


def _has_usual_name(part: str | None, item: Item) -> bool:
    return part != "metadata" or item.name.lower() == METADATA_NAME


def _layout(
    patients: Sequence[PatientFolder],
    by_header: Sequence[Whose],
    places: _Places,
    candidates: Sequence[Candidate],
    root_name: str,
    profile: Profile,
) -> str:
    if not patients:
        return "other" if candidates else "none"
    if by_header:
        return "flat" if mixes_series(by_header) else "series"
    images = {item.folder.rpartition("/")[2] for one in patients for item in one.items if item.suffix == ".dcm"}
    if images and all(_IDC_SERIES.fullmatch(name) for name in images):
        return "idc"
    if images and all(map(is_uid, images)):
        return "classic"
    parents = {folder.rpartition("/")[0] for folder, (_, valid) in places.patients.items() if valid}
    if parents == {""}:
        return "nbia" if root_name == profile.name else "card"
    if len(parents) == 1 and parents <= places.collections:
        return "nbia"
    return "other"
