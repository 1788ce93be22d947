"""Finds the parts of a release by what they are: patient folders, metadata.csv, the clinical workbook, the manifest.

One walk lists the tree. No link is followed to a folder, and none out of the release. A table or list that the release
lacks is looked for beside it, where its users put them.
"""

from __future__ import annotations

import difflib
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crlm_qc.model.profile import Profile
from crlm_qc.model.show import Show

METADATA_NAME = "metadata.csv"
SOURCES = ("metadata", "clinical", "manifest")
_TABLE_SUFFIXES = frozenset({".csv", ".xlsx", ".xlsm", ".xls"})
_SYSTEM_NAMES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini"})
_LICENCE_NAMES = frozenset({"license", "licence", "copying"})
_TEXT_SUFFIXES = frozenset({"", ".md", ".txt", ".html", ".pdf"})
_MANIFEST_START = b"downloadServerUrl="
_PREAMBLE = 128
_BESIDE_SUFFIXES = _TABLE_SUFFIXES | {".tcia", ".txt"}
_BESIDE_BYTES = 64 << 10
_MAX_CLOSE = 3


class ReleaseError(ValueError):
    """Nothing can be audited; the message says what was looked for, what is there, and what to type."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the release, or what stands where a file could."""

    path: str
    """Relative to the release, forward slashes, always valid Unicode: the name that tables hold."""
    location: str
    """Where it is opened; empty for what must not be opened."""
    size: int | None
    """Bytes, if it is a file."""
    problem: str | None = None
    """A code of the `files` contract."""
    detail: str | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The folder that it lies in, empty for the release itself."""
        return self.path.rpartition("/")[0]

    @property
    def suffix(self) -> str:
        """Ending of the name in lower case, with its dot."""
        return PurePosixPath(self.name).suffix.lower()


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


@dataclass
class _Tree:
    """Folders and files as listed."""

    items: list[Item] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


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
    top = _open_root(root)
    tree = _walk(top, Show(profile))
    places = _places(tree, profile, top.name)
    if not places.patients:
        _refuse_inside_patient(root, top, profile)
    patients, rest = _share_out(tree.items, places)
    kinds = {item.path: _kind(item, profile, places.in_collection(item.path)) for item in rest}
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
        name=_unicode(top.name),
        layout=_layout(places, candidates, top.name, profile),
        patients=tuple(patients),
        others=tuple(Other(item, kinds[item.path], places.in_collection(item.path)) for item in rest),
        candidates=tuple(candidates),
        limits=tuple(tree.limits),
        unlisted=tuple(tree.unlisted),
    )


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint at names close to one that is not there, ready to follow it in a message.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What is there.

    Returns
    -------
    str
        For example `` (did you mean CRLM-CT-1004?)``, or nothing.
    """
    by_plain = {one.lower(): one for one in known}
    close = [by_plain[one] for one in difflib.get_close_matches(name.lower(), list(by_plain), n=_MAX_CLOSE, cutoff=0.6)]
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def _open_root(root: Path) -> Path:
    """The folder with all links on the way to it resolved, or why there is none."""
    try:
        mode = root.stat().st_mode
    except PermissionError:
        raise ReleaseError(f"{root} can't be opened: permission denied") from None
    except (OSError, ValueError):
        raise ReleaseError(f"{root} not found{suggest(root.name, _siblings(root))}") from None
    if not stat.S_ISDIR(mode):
        if root.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z"):
            raise ReleaseError(f"{root} is an archive, not a folder: unpack it, and give the folder it makes")
        raise ReleaseError(f"{root} is a file, not a folder: give the folder that holds the release")
    try:
        with os.scandir(root):
            return root.resolve()
    except OSError as error:
        raise ReleaseError(f"{root} can't be listed: {os.strerror(error.errno or 0).lower()}") from None


def _siblings(root: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(root.parent))
    except OSError:
        return []


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


def _unicode(name: str) -> str:
    """A name that any table can hold: bytes that are no UTF-8 become replacement characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "replace")
    return name


def _walk(top: Path, show: Show) -> _Tree:
    """List everything below a folder once, in the order of names."""
    tree = _Tree()
    waiting = [("", str(top))]
    while waiting:
        relative, location = waiting.pop()
        try:
            with os.scandir(location) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = "permission denied" if isinstance(error, PermissionError) else "it can't be listed"
            tree.limits.append(f"folder {show.path(_unicode(relative))} was not read: {reason}")
            tree.unlisted.append(_unicode(relative))
            continue
        for entry in entries:
            path = _unicode(f"{relative}/{entry.name}" if relative else entry.name)
            if _is_link(entry):
                tree.items.append(_link(entry, path, top))
            elif entry.is_dir(follow_symlinks=False):
                tree.folders.append(path)
                waiting.append((path, entry.path))
            else:
                tree.items.append(_file(entry, path))
    tree.items.sort(key=lambda item: item.path)
    tree.folders.sort()
    return tree


def _is_link(entry: os.DirEntry[str]) -> bool:
    # A junction leads to another folder just as a link does; os.DirEntry tells of them from Python 3.12 on.
    is_junction = getattr(entry, "is_junction", None)
    return entry.is_symlink() or bool(is_junction and is_junction())


def _file(entry: os.DirEntry[str], path: str) -> Item:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return Item(path, "", None, "permission", "its size can't be read")
    if not stat.S_ISREG(status.st_mode):
        return Item(path, "", None, "not-a-file", "a device, pipe or socket")
    return Item(path, entry.path, status.st_size)


def _link(entry: os.DirEntry[str], path: str, top: Path) -> Item:
    """A link, judged by where it ends; only one that ends at a file of the release is read."""
    try:
        target = Path(entry.path).resolve(strict=True)
        status = target.stat()
    except PermissionError:
        return Item(path, "", None, "permission", "a link whose target can't be looked at")
    except (OSError, RuntimeError):
        # Where a broken link points to still tells whether it leads outside.
        target = Path(os.path.realpath(entry.path))
        outside = not target.is_relative_to(top)
        problem, detail = (
            ("link-outside", "a link that leads outside the release")
            if outside
            else ("link-broken", "a link to nothing")
        )
        return Item(path, "", None, problem, detail)
    if not target.is_relative_to(top):
        return Item(path, "", None, "link-outside", "a link that leads outside the release")
    if stat.S_ISDIR(status.st_mode):
        return Item(path, "", None, "link-folder", "a link to a folder of the release")
    if not stat.S_ISREG(status.st_mode):
        return Item(path, "", None, "not-a-file", "a link to a device, pipe or socket")
    return Item(path, str(target), status.st_size)


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


def _places(tree: _Tree, profile: Profile, root_name: str) -> _Places:
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


def aside_kind(item: Item) -> str | None:
    """The kind of a file that may lie anywhere without being part of the release.

    Parameters
    ----------
    item : Item
        What the walk found.

    Returns
    -------
    str or None
        `link`, `unreadable`, `unexpected` for what is no file that can be opened, `system`, `licence`, else None.
    """
    if item.problem:
        return {"permission": "unreadable", "not-a-file": "unexpected"}.get(item.problem, "link")
    lower = item.name.lower()
    hidden_folder = any(part.startswith(".") or part == "__MACOSX" for part in item.folder.split("/"))
    hidden_file = lower.startswith("._") or (lower.startswith(".") and item.suffix != ".dcm")
    if lower in _SYSTEM_NAMES or lower.startswith("~$") or hidden_file or hidden_folder:
        return "system"
    if lower.partition(".")[0] in _LICENCE_NAMES and item.suffix in _TEXT_SUFFIXES:
        return "licence"
    return None


def _kind(item: Item, profile: Profile, in_collection: bool) -> str:
    """The kind of a file outside of the patient folders."""
    if aside := aside_kind(item):
        return aside
    try:
        if source := _source(item, profile):
            return source
        is_image = item.suffix in (".dcm", "") and _begins(item, _PREAMBLE + 4).endswith(b"DICM")
    except OSError:
        is_image = False
    return "unexpected" if in_collection or is_image else "document"


def _source(item: Item, profile: Profile) -> str | None:
    """Which table or list a file is, told by its content."""
    from crlm_qc.evidence.metadata import looks_like_metadata
    from crlm_qc.evidence.workbook import looks_like_workbook

    if item.suffix == ".tcia" or (item.suffix == ".txt" and _begins(item, 64).startswith(_MANIFEST_START)):
        return "manifest"
    location = Path(item.location)
    if item.suffix == ".csv" and looks_like_metadata(location, profile):
        return "metadata"
    if item.suffix in _TABLE_SUFFIXES and looks_like_workbook(location, profile):
        return "clinical"
    return None


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
            item = Item(_unicode(entry.name), entry.path, None)
            if item.suffix not in _BESIDE_SUFFIXES or aside_kind(item) or not entry.is_file(follow_symlinks=False):
                continue
            try:
                source = _source(item, profile)
                usual = source != "metadata" or item.name.lower() == METADATA_NAME
                if source in wanted and usual and (source == "clinical" or _names(item, profile)):
                    found.append(Candidate(source, item.path, Path(item.location)))
            except OSError:
                continue
        yield from found
        wanted -= {one.source for one in found}


def _names(item: Item, profile: Profile) -> bool:
    """Whether the beginning of a list or table names the collection, or series of it."""
    start = _begins(item, _BESIDE_BYTES)
    return any(word and word.encode() in start for word in (profile.name, f"{profile.uid_root}."))


def _begins(item: Item, length: int) -> bytes:
    with Path(item.location).open("rb") as file:
        return file.read(length)


def _choose(found: list[Candidate], named: dict[str, Path | None], top: Path) -> list[Candidate]:
    """Candidates in the order of preference; one that the user names is the only one of its source."""
    chosen = []
    for source, path in named.items():
        if path is None:
            chosen += sorted((one for one in found if one.source == source), key=_preference)
            continue
        if not path.is_file():
            raise ReleaseError(f"--{source} {path} not found{suggest(path.name, _siblings(path))}")
        location = path.resolve()
        inside = location.is_relative_to(top)
        shown = location.relative_to(top).as_posix() if inside else path.name
        chosen.append(Candidate(source, _unicode(shown), location))
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
