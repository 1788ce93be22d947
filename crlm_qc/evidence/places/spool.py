"""Compressed archives have no way to a member but from the beginning: they are inflated once, into a temporary file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from crlm_qc.evidence import limits
from crlm_qc.evidence.source import SourceError, Stamp

_AT_ONCE: Final = 1 << 20
_OPENERS: Final[Mapping[bytes, Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
"""Compressions by the first bytes of what they made."""


def compression_of(path: Path) -> bytes | None:
    """By what a file is compressed: its first bytes, or None if it is not.

    Raises
    ------
    OSError
        It can't be read.
    """
    with path.open("rb") as stream:
        start = stream.read(8)
    return next((magic for magic in _OPENERS if start.startswith(magic)), None)


def spooled(path: Path, changed: Stamp, compression: bytes) -> Path:
    """A temporary file with what a compressed file inflates to; it goes with this process, or when another is needed.

    Parameters
    ----------
    path : pathlib.Path
        The compressed file.
    changed : Stamp
        Its stamp.
    compression : bytes
        As `compression_of` tells.

    Returns
    -------
    pathlib.Path
        The temporary file, in the folder of TMPDIR.

    Raises
    ------
    SourceError
        It inflates to more than there is room for, or than any real archive does.
    EOFError, zlib.error, lzma.LZMAError, OSError
        It is damaged, or can't be read.
    """
    return _spool(path, changed, compression).path


def release() -> None:
    """Take the temporary file away, if there is one."""
    _spool.cache_clear()


class _Spool:
    """The temporary file."""

    def __init__(self) -> None:
        with tempfile.NamedTemporaryFile(prefix="crlm-qc-", suffix=".tar", delete=False) as made:
            self.path = Path(made.name)
        self._end = weakref.finalize(self, self.path.unlink, missing_ok=True)

    def remove(self) -> None:
        """Take it away."""
        self._end()


@lru_cache(maxsize=1)
def _spool(path: Path, changed: Stamp, compression: bytes) -> _Spool:
    spool = _Spool()
    try:
        with _OPENERS[compression](path, "rb") as packed, spool.path.open("wb") as copied:
            _inflate(packed, copied, changed.size, spool.path.parent)
    except BaseException:
        spool.remove()
        raise
    return spool


def _inflate(packed: IO[bytes], copied: IO[bytes], size: int, folder: Path) -> None:
    most = max(limits.MEMBER_RATIO * size, limits.FREE_BYTES)
    written = unchecked = 0
    while part := packed.read(_AT_ONCE):
        written += len(part)
        unchecked += len(part)
        if written > most:
            raise SourceError(f"it inflates to more than {limits.MEMBER_RATIO} times its size")
        if unchecked >= limits.FREE_BYTES or written == len(part):
            unchecked = 0
            if shutil.disk_usage(folder).free < limits.SPOOL_FREE:
                raise SourceError(
                    f"{folder} has no room for what it inflates to: name another folder by TMPDIR, or unpack it and "
                    "give the folder it makes"
                )
        copied.write(part)
