"""What a file of a release is, by its name and its first bytes."""

from __future__ import annotations

from pathlib import Path

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.source import Item, begins_with

TABLE_SUFFIXES = frozenset({".csv", ".xlsx", ".xlsm", ".xls"})
_SYSTEM_NAMES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini"})
_LICENCE_NAMES = frozenset({"license", "licence", "copying"})
_TEXT_SUFFIXES = frozenset({"", ".md", ".txt", ".html", ".pdf"})
_MANIFEST_START = b"downloadServerUrl="
_PREAMBLE = 128
_BESIDE_BYTES = 64 << 10


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


def kind_of(item: Item, profile: Profile, in_collection: bool) -> str:
    """The kind of a file outside of the patient folders."""
    if aside := aside_kind(item):
        return aside
    try:
        if source := source_of(item, profile):
            return source
        is_image = item.suffix in (".dcm", "") and begins_with(item, _PREAMBLE + 4).endswith(b"DICM")
    except OSError:
        is_image = False
    return "unexpected" if in_collection or is_image else "document"


def source_of(item: Item, profile: Profile) -> str | None:
    """Which table or list a file is, told by its content."""
    from crlm_qc.evidence.metadata import looks_like_metadata
    from crlm_qc.evidence.workbook.sheets import looks_like_workbook

    if item.suffix == ".tcia" or (item.suffix == ".txt" and begins_with(item, 64).startswith(_MANIFEST_START)):
        return "manifest"
    location = Path(item.location)
    if item.suffix == ".csv" and looks_like_metadata(location, profile):
        return "metadata"
    if item.suffix in TABLE_SUFFIXES and looks_like_workbook(location, profile):
        return "clinical"
    return None


def names_of(item: Item, profile: Profile) -> bool:
    """Whether the beginning of a list or table names the collection, or series of it."""
    start = begins_with(item, _BESIDE_BYTES)
    return any(word and word.encode() in start for word in (profile.name, f"{profile.uid_root}."))
