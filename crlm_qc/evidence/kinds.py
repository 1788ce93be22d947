"""What a file of a release is, by its name and its first bytes."""

from __future__ import annotations

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.contents import meant_name
from crlm_qc.evidence.metadata import looks_like_metadata
from crlm_qc.evidence.source import Item, NotFetchedError
from crlm_qc.evidence.workbook.book import TABLE_SUFFIXES
from crlm_qc.evidence.workbook.sheets import looks_like_workbook
from crlm_qc.model.tables import TOO_LARGE

_SYSTEM_NAMES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "md5hashes.csv"})
"""Files that systems leave by themselves, and the checksums that the NBIA Data Retriever leaves where it was asked to verify."""
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "recycler"}
)
"""Folders that systems, network storages among them, keep for themselves."""
_ZONE = ":zone.identifier"
"""What Windows keeps of a download's origin becomes a file of this ending on other file systems."""
_LICENCE_NAMES = frozenset({"license", "licence", "copying"})
_TEXT_SUFFIXES = frozenset({"", ".md", ".txt", ".html", ".pdf"})
_MANIFEST_START = b"downloadServerUrl="
_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_NAMING_BYTES = 64 << 10
"""A list or table names its collection, or a series of it, within so many bytes."""


def aside_kind(item: Item) -> str | None:
    """The kind of a file that may lie anywhere without being part of the release.

    Parameters
    ----------
    item : Item
        What the walk found.

    Returns
    -------
    str or None
        `link`, `unreadable`, `unexpected` for what is no file that can be opened, or whose name says that it is an
        unfinished download; `system`, `licence`, else None.
    """
    if item.problem:
        return {"permission": "unreadable", TOO_LARGE: "unreadable", "not-a-file": "unexpected"}.get(
            item.problem, "link"
        )
    lower = item.name.lower()
    hidden_folder = is_of_systems(item.folder)
    hidden_file = lower.startswith("._") or (lower.startswith(".") and item.suffix != ".dcm")
    # The name of an unfinished download may begin with a dot.
    if not hidden_folder and meant_name(item.name) is not None:
        return "unreadable"
    if lower in _SYSTEM_NAMES or lower.endswith(_ZONE) or lower.startswith("~$") or hidden_file or hidden_folder:
        return "system"
    if lower.partition(".")[0] in _LICENCE_NAMES and item.suffix in _TEXT_SUFFIXES:
        return "licence"
    return None


def is_of_systems(folder: str) -> bool:
    """Whether a folder is, or lies in, one that systems keep for themselves, or a hidden one."""
    return any(part.startswith(".") or part in _SYSTEM_FOLDERS for part in folder.lower().split("/"))


def outside_kind(item: Item, profile: Profile, *, in_collection: bool) -> str:
    """The kind of a file outside of the patient folders.

    Parameters
    ----------
    item : Item
        What the walk found.
    profile : Profile
        The collection's profile, which tells its tables by their headings.
    in_collection : bool
        Whether it lies in the collection's folder, where only patients and tables belong.

    Returns
    -------
    str
        As `aside_kind` gives it, the part of the release that it is, `unexpected` or `document`.
    """
    if aside := aside_kind(item):
        return aside
    try:
        if part := part_kind(item, profile):
            return part
        is_image = item.suffix in (".dcm", "") and _is_dicom(item)
    except NotFetchedError:
        # What a spreadsheet that was not fetched holds is not known: no other may be missing.
        return "clinical" if profile.has_workbook and item.suffix in TABLE_SUFFIXES - {".csv"} else "document"
    except OSError:
        is_image = False
    return "unexpected" if in_collection or is_image else "document"


def part_kind(item: Item, profile: Profile) -> str | None:
    """Which table or list of a release a file is, told by its content: `metadata`, `clinical`, `manifest` or none.

    Raises
    ------
    OSError
        It can't be opened.
    """
    if item.suffix == ".tcia" or (item.suffix == ".txt" and _is_manifest(item)):
        return "manifest"
    if item.suffix == ".csv" and looks_like_metadata(item, profile):
        return "metadata"
    if item.suffix in TABLE_SUFFIXES and looks_like_workbook(item, profile):
        return "clinical"
    return None


def names_collection(item: Item, profile: Profile) -> bool:
    """Whether the beginning of a list or table names the collection, or series of it."""
    start = item.read(0, _NAMING_BYTES)
    return any(word and word.encode() in start for word in (profile.name, f"{profile.uid_root}."))


def _is_manifest(item: Item) -> bool:
    return item.read(0, len(_MANIFEST_START)) == _MANIFEST_START


def _is_dicom(item: Item) -> bool:
    return item.read(_PREAMBLE_BYTES, len(_PREFIX)) == _PREFIX
