"""Entries on disk: one file each, written whole or not at all, with its checksum; no lock, no index, no other process.

A store costs nobody an audit: what can't be read is not there, and what can't be written is not kept. Entries are JSON,
so that nothing that lies there is ever run.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crlm_qc.model.errors import UsageError

READS, PICTURES, VERDICTS = "reads", "pictures", "verdicts"
KINDS = (READS, PICTURES, VERDICTS)
"""What patients' files came to, what was drawn of a patient, and what an audit came to."""
MOST_DAYS = 60
"""Days after which an entry goes that no run has used."""
MOST_BYTES = 1_000_000_000
"""Bytes that all entries may have at the end of a run; a patient has some 30,000, without pictures."""

MOST_OF_ONE = 64_000_000
"""Bytes that one entry may have as JSON: a larger one is not kept, and what pretends to be one is not inflated."""

_VERSION = "v1"
_TAG = "CACHEDIR.TAG"
_TAGGED = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by crlm-qc: what earlier audits came to. It can go at any time.\n"
"""What tells programs for backups to leave a folder out (bford.info/cachedir)."""
_DRAFT = ".part-"
_DRAFT_SECONDS = 86_400
"""Nobody writes on an entry for so long: who began it was stopped."""
_DIGEST = hashlib.sha256().digest_size
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a store."""

    path: Path
    size: int
    used: float
    """When a run used it last, in seconds since 1970."""
    draft: bool = False
    """Whether it is not written to its end."""


@dataclass(frozen=True, slots=True)
class Store:
    """Plain values under keys, in a folder that is this user's alone.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    """

    folder: Path

    @classmethod
    def opened(cls, folder: Path) -> Store | None:
        """The store of a folder, which is made if it is not there.

        Returns
        -------
        Store or None
            None where it can't be made, or can't be written: no home, a medium that is read only.

        Raises
        ------
        UsageError
            Others may write to the folder, or it is somebody else's: what lies there can't be trusted.
        """
        try:
            _make(folder)
            status = folder.stat()
        except OSError:
            return None
        if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & _OTHERS_WRITE):
            raise UsageError(
                f"{folder} is no cache that can be trusted: it is somebody else's, or others may write to it. "
                "Give one of your own, --cache DIR, or none, --no-cache"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            return None
        with suppress(OSError):
            if not (folder / _TAG).exists():
                (folder / _TAG).write_text(_TAGGED, encoding="utf-8")
        return cls(folder)

    def get(self, kind: str, key: str) -> Any | None:
        """What was kept under a key.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        key : str
            Hexadecimal digits of a SHA-256.

        Returns
        -------
        object or None
            Plain values; None if there is nothing, or if it is damaged.
        """
        path = self._path(kind, key)
        try:
            raw = _read(path)
            if _checksum(kind, key, raw[_DIGEST:]) != raw[:_DIGEST]:
                return None
            inflating = zlib.decompressobj()
            content = inflating.decompress(raw[_DIGEST:], MOST_OF_ONE)
            found = json.loads(content) if inflating.eof else None
        except (OSError, ValueError, zlib.error, RecursionError, MemoryError):
            return None
        with suppress(OSError):
            os.utime(path)
        return found

    def put(self, kind: str, key: str, value: Any) -> bool:
        """Keep plain values under a key; whether that could be done, and they are no more than one entry may have.

        Raises
        ------
        TypeError
            Something of it is no value of JSON.
        """
        written = json.dumps(value, separators=(",", ":")).encode()
        if len(written) >= MOST_OF_ONE:
            return False
        content = zlib.compress(written, 1)
        path = self._path(kind, key)
        try:
            _make(path.parent, within=self.folder)
            number, draft = tempfile.mkstemp(dir=path.parent, prefix=_DRAFT)
        except OSError:
            return False
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(_checksum(kind, key, content) + content)
            os.replace(draft, path)  # noqa: PTH105 - the path of a draft is a text
        except OSError:
            with suppress(OSError):
                os.unlink(draft)  # noqa: PTH108 - as above
            return False
        return True

    def entries(self) -> Iterator[Entry]:
        """Every file of the store, in no order; nothing that a link leads to."""
        for kind in KINDS:
            for folder in _listed(self.folder / _VERSION / kind):
                for one in _listed(Path(folder.path)) if folder.is_dir(follow_symlinks=False) else ():
                    try:
                        status = one.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if stat.S_ISREG(status.st_mode):
                        yield Entry(Path(one.path), status.st_size, status.st_mtime, one.name.startswith(_DRAFT))

    def prune(self, days: float = MOST_DAYS, size: int = MOST_BYTES) -> list[Entry]:
        """Remove what was not used for some days, then what was used longest ago, until all has no more bytes than `size`.

        Parameters
        ----------
        days : float
            Days that an entry may lie unused.
        size : int
            Bytes that all entries may have.

        Returns
        -------
        list of Entry
            What was removed.
        """
        now = time.time()
        removed: list[Entry] = []
        kept: list[Entry] = []
        for entry in self.entries():
            longest = _DRAFT_SECONDS if entry.draft else days * 86_400
            (removed if now - entry.used > longest else kept).append(entry)
        kept.sort(key=lambda entry: entry.used)
        left = sum(entry.size for entry in kept)
        while kept and left > size:
            removed.append(kept.pop(0))
            left -= removed[-1].size
        return [entry for entry in removed if _unlinked(entry.path)]

    def clear(self) -> list[Entry]:
        """Remove every entry; what was removed."""
        return [entry for entry in self.entries() if _unlinked(entry.path)]

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / _VERSION / kind / key[:2] / key[2:]


def _checksum(kind: str, key: str, content: bytes) -> bytes:
    """SHA-256 of an entry and of where it belongs, so that it is none in another's place."""
    return hashlib.sha256(f"{kind}/{key}\0".encode() + content).digest()


def _read(path: Path) -> bytes:
    """A file, cut where no entry can be so long; a link is not followed, a pipe not waited for."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as stream:
        return stream.read(MOST_OF_ONE)


def _make(folder: Path, within: Path | None = None) -> None:
    """Make a folder that is this user's alone, and those above it that are not there, of a store or else up to the home."""
    # `mkdir` gives its mode to the last of the folders that it makes, and to others what the user's mask says.
    if folder == within or folder.is_dir():
        return
    _make(folder.parent, within)
    folder.mkdir(mode=0o700, exist_ok=True)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _unlinked(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def user_cache() -> Path:
    """The folder of this user's cache, as the system has it."""
    from platformdirs import user_cache_path

    return user_cache_path("crlm-qc", appauthor=False)


def ever_kept(folder: Path, kind: str) -> bool:
    """Whether there may be entries of a kind in a folder, without a look at any."""
    return bool(_listed(folder / _VERSION / kind))
