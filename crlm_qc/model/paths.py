"""Paths that a user gives."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from crlm_qc.model.errors import UsageError

_URL: Final = re.compile("(s3|gs|az|https?):/+([^/].*)")
_ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_OTHER_ARCHIVES: Final = (".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")


def url_of(path: Path) -> str | None:
    """The URL of a bucket, and of what is in it, that was taken for a path: paths have no two slashes together."""
    match = _URL.fullmatch(path.as_posix())
    return f"{match[1]}://{match[2]}" if match else None


def archive_name(name: str) -> str:
    """Name of an archive that is read as it is, without its ending; any other name as it stands."""
    ending = max((one for one in _ARCHIVES if name.lower().endswith(one)), key=len, default="")
    return name[: len(name) - len(ending)] or name


def is_elsewhere(path: Path) -> bool:
    """Whether a path that a user gave is of a release in an archive, or at a URL."""
    return url_of(path) is not None or archive_name(path.name) != path.name


def is_packed(name: str) -> bool:
    """Whether a name is of an archive that is not read."""
    return name.lower().endswith(_OTHER_ARCHIVES)


def resolved(path: Path) -> Path:
    """A path with all links on its way followed, whether anything is there or not.

    Raises
    ------
    UsageError
        A link on its way leads to itself, as those of broken mounts do, or a name is too long for this machine.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        why = os.strerror(error.errno or 0).lower() if isinstance(error, OSError) else "a link that leads to itself"
        raise UsageError(f"{path} can't be used: {why}") from None
