"""What a file holds in place of what was meant, by its name and first bytes; none of them is kept."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

FIRST_BYTES: Final = 4096
"""Bytes that tell what there is to tell."""
_TEXT_CONTROLS: Final = frozenset(b"\t\n\r\f\x1b")
_WIDE_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

_SIGNATURES: Final = (
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (30, b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "ods"),
    (30, b"[Content_Types].xml", "office"),
    (30, b"docProps/", "office"),
    (30, b"_rels/", "office"),
    (30, b"xl/", "office"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"),
    (257, b"ustar", "tar"),
    (344, b"n+1\0", "nifti"),
    (344, b"ni1\0", "nifti"),
    (4, b"n+2\0", "nifti"),
    (0, b"NRRD000", "nrrd"),
    (0, b"ObjectType =", "metaimage"),
    (0, b"NDims =", "metaimage"),
    (0, b"\x89PNG\r\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"GIF8", "gif"),
    (0, b"\x93NUMPY", "numpy"),
    (0, b"\x89HDF\r\n", "hdf5"),
    (0, b"%PDF-", "pdf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (0, b"version https://git-lfs", "lfs-pointer"),
    (0, b"/annex/objects/", "annex-pointer"),
)
"""Where bytes stand, and what they tell."""

ENDINGS: Final = {
    ".zip": "zip",
    ".tar": "tar",
    ".tgz": "gzip",
    ".gz": "gzip",
    ".bz2": "bzip2",
    ".tbz2": "bzip2",
    ".xz": "xz",
    ".txz": "xz",
    ".zst": "zstd",
    ".7z": "7z",
    ".rar": "rar",
    ".dvc": "dvc-pointer",
}
"""Endings that tell by themselves what must be unpacked or fetched."""

_OF_DOWNLOADERS: Final = frozenset({".crdownload", ".aria2", ".filepart", ".opdownload", ".!ut", ".!qb", ".gstmp"})
"""Endings that only programs that download give, while they do."""
_WHILE_WRITTEN: Final = _OF_DOWNLOADERS | {".part", ".partial", ".download", ".tmp"}
_BY_CHANCE: Final = re.compile(
    r"(?i)(?P<dot>\.~?)?(?P<meant>.+\.(?:dcm|csv|xlsx?|tcia))\.(?P<chance>[a-z0-9]{6}|[a-z0-9]{8})"
)
"""How rsync and cloud tools name what they have not finished: the name, and characters by chance."""
_MEANT: Final = re.compile(
    r"(?i)(?P<meant>.+\.(?:dcm|csv|tsv|xlsx?|tcia|zip|tgz|tar|gz|7z)|[0-9]{1,3}-[0-9]{1,5})(\.[0-9a-z]{7,8})?"
)
"""Names that a release has a use for, perhaps with characters by chance."""


def content_of(start: bytes) -> str | None:
    """What the first bytes of a file tell.

    Parameters
    ----------
    start : bytes
        The first bytes, a few hundred or more.

    Returns
    -------
    str or None
        A code of `crlm_qc.model.contents.CONTENTS`; None if they tell nothing, or there are none.
    """
    for offset, signature, code in _SIGNATURES:
        if start.startswith(signature, offset):
            return code
    if start and not start.strip(b"\0"):
        return "zeros"
    plain = start[2:].replace(b"\0", b"") if start.startswith(_WIDE_MARKS) else start
    plain = plain.removeprefix(b"\xef\xbb\xbf").strip()
    return _text_content(plain) if plain and _is_text(plain) else None


def named_content(name: str) -> str | None:
    """What the name of a file alone tells: an archive, a pointer, or an unfinished download."""
    if meant_name(name) is not None:
        return "unfinished"
    return "nifti" if name.lower().endswith((".nii", ".nii.gz")) else ENDINGS.get(_ending(name))


def meant_name(name: str) -> str | None:
    """The name that an unfinished download was to have; None if a name tells of no such."""
    if match := _BY_CHANCE.fullmatch(name):
        chance = match["chance"]
        # `1-01.dcm.backup`, `metadata.csv.20230401` and `metadata.csv.OLDCOPY1` were made by hand.
        if match["dot"] or (re.search("[a-z]", chance) and re.search("[A-Z0-9]", chance[1:])):
            return match["meant"]
    ending = _ending(name)
    inner = name[: len(name) - len(ending)]
    meant = _MEANT.fullmatch(inner)
    if ending in _OF_DOWNLOADERS or (ending in _WHILE_WRITTEN and meant):
        return meant["meant"] if meant else inner
    return None


def link_content(target: str) -> str | None:
    """What a link leads to, by the path that it names: `annex-link`, `cache-link` or nothing known."""
    steps = target.replace("\\", "/").split("/")
    pairs = set(pairwise(steps))
    if ("annex", "objects") in pairs:
        return "annex-link"
    of_hub = len(steps) > 1 and steps[-2] == "blobs" and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", steps[-1])
    return "cache-link" if of_hub or (".dvc", "cache") in pairs or ("files", "md5") in pairs else None


def _ending(name: str) -> str:
    _, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot else ""


def _is_text(start: bytes) -> bool:
    return all(byte >= ord(" ") or byte in _TEXT_CONTROLS for byte in start)


def _text_content(start: bytes) -> str:
    lower = start.lower()
    if lower.startswith(b"<"):
        tags = (b"<html", b"<!doctype html", b"<head", b"<body", b"<table", b"<script")
        if b"opendocument.spreadsheet" in lower:
            return "ods"
        return (
            "web-page" if any(tag in lower for tag in tags) else "xml" if b"</" in lower or b"?>" in lower else "text"
        )
    # A git without links writes where one leads into a file of its name.
    if lower.startswith(b"../") and b"annex/objects/" in lower:
        return "annex-pointer"
    if lower.startswith(b"outs:") and b"md5:" in lower:
        return "dvc-pointer"
    return "json" if re.match(rb'\{\s*"|\[\s*[{"\]]|\{\s*\}', lower) else "text"
