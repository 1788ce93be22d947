"""Where a release lies: what lists, looks at, opens and reads its files, and with `places/` the only thing that does.

A `Source` is a kind of place: `Folder`, and those of `places/`. What reads a release is given an `Item` and asks it for
bytes, so that it never knows where a file lies. Nothing is ever written to a source.

Files that the user names (`--metadata`, `--clinical`, `--manifest`, the tables of `crlm-qc tables`) and those found beside
the release need not lie in it; they are read as items all the same. Lock files, waivers, profiles and saved evidence are
no part of a release: what uses them opens them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, Protocol

from crlm_qc.evidence.contents import link_content
from crlm_qc.model.paths import resolved
from crlm_qc.model.tables import NOT_FETCHED

BUFFER = 16 << 10
"""Most headers of the collection are read at one go."""
_AT_ONCE = 256 << 10
"""Bytes hashed at a time."""


class SourceError(OSError):
    """A place does not give a file; says why in words of ours."""


class NotFetchedError(SourceError):
    """A place elsewhere does not give a file: that tells nothing of the file."""


def reason(error: OSError) -> str:
    """Why a file could not be read, in the system's words or ours: `permission denied`, `input/output error`."""
    if isinstance(error, SourceError):
        return str(error)
    return os.strerror(error.errno).lower() if error.errno else "it can't be read"


def problem_of(error: OSError, otherwise: str = "permission") -> str:
    """Code of a table or list that could not be read: of one that a place elsewhere did not give, nothing is known."""
    return NOT_FETCHED if isinstance(error, NotFetchedError) else otherwise


def parents(path: str) -> Iterator[str]:
    """Folders that hold a path, the innermost first, the release itself (the empty path) last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


class Stamp(NamedTuple):
    """What changes when a file does, as the system tells it without opening the file."""

    size: int
    modified: int
    """Nanoseconds since 1970, as people may set it."""
    changed: int
    """The same, as nobody can set it."""
    inode: int
    tag: str = ""
    """What a place elsewhere calls this content, and no other: it tells of a change by itself, whatever the times say."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Stamp of what lies on this machine."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a source, or what stands where a file could. Its bytes are had from it alone."""

    path: str
    """Relative to the release, forward slashes, always valid Unicode: the name that tables hold."""
    size: int | None
    """Bytes when it was listed, if it is a file."""
    source: Source | None = None
    """What opens it; None for what must not be opened."""
    key: str = ""
    """What the source knows it by."""
    problem: str | None = None
    """A code of the `files` contract."""
    detail: str | None = None
    content: str | None = None
    """What the path that a link names tells of it, a code of `crlm_qc.model.contents.CONTENTS`."""
    listed: tuple[int, int] | None = None
    """Device and inode when it was listed, where there are such."""
    stamp: Stamp | None = None
    """Stamp when it was listed, of a link that can't be opened its own; None where nothing tells of a change."""

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

    @property
    def readable(self) -> bool:
        """Whether it is a file that may be opened."""
        return self.source is not None

    @property
    def as_listed(self) -> bool:
        """Whether its place is not looked at anew to find it."""
        return self.source is not None and self.source.lists_once

    def opened(self) -> BinaryIO:
        """The file, open for reading at its beginning, seekable and buffered.

        Raises
        ------
        OSError
            It can't be opened, or must not be.
        """
        place = self._place()
        stream = place.open(self.key)
        if self.listed is not None and not place.is_listed(self.key, stream, self.listed):
            stream.close()
            raise OSError("another file lies there than was listed")
        return stream

    def read(self, start: int, length: int) -> bytes:
        """Bytes of the file, fewer where it ends before.

        Parameters
        ----------
        start : int
            Where they begin.
        length : int
            How many.

        Returns
        -------
        bytes

        Raises
        ------
        OSError
            It can't be read, or must not be.
        """
        with self.opened() as stream:
            stream.seek(start)
            return stream.read(length)

    def digest(self, algorithm: str = "sha256") -> tuple[str, int]:
        """SHA-256 of the file, or another digest.

        Parameters
        ----------
        algorithm : str
            As `hashlib` knows it.

        Returns
        -------
        digest : str
            Hexadecimal digits.
        size : int
            Bytes read.

        Raises
        ------
        OSError
            It can't be read, or must not be.
        """
        found = hashlib.new(algorithm, usedforsecurity=False)
        with self.opened() as stream:
            while part := stream.read(_AT_ONCE):
                found.update(part)
            return found.hexdigest(), stream.tell()

    def unchanged(self) -> bool:
        """Whether its stamp is still that of the listing, so that what was read since is what was listed."""
        return self.source is None or (self.stamp is not None and self.source.stamp(self.key) == self.stamp)

    def on_disk(self, copy: Path) -> Path:
        """Where the file lies on this machine, for a program that opens it by name.

        Parameters
        ----------
        copy : pathlib.Path
            Where to copy it to, outside of the release, if it lies in no folder of this machine.

        Returns
        -------
        pathlib.Path
            An absolute path; the file must not be written to.

        Raises
        ------
        OSError
            It can't be read, or must not be.
        """
        return self._place().on_disk(self.key, copy)

    def _place(self) -> Source:
        if self.source is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return self.source


def ahead(items: Sequence[Item], *, whole: bool) -> AbstractContextManager[None]:
    """As `Source.ahead`, of the place that some files lie in: where it is slow to answer, it is asked for several at a time."""
    source = next((item.source for item in items if item.source is not None), None)
    return nullcontext() if source is None else source.ahead(items, whole=whole)


@dataclass
class Tree:
    """Folders and files as listed."""

    items: list[Item] = field(default_factory=list)
    """In the order of paths."""
    folders: list[str] = field(default_factory=list)
    """In their order; the release itself is not among them."""
    unlisted: dict[str, str] = field(default_factory=dict)
    """Folders that could not be listed, and why."""
    limits: list[str] = field(default_factory=list)
    """What else was not listed, in words."""


class OutsideError(Exception):
    """Steps lead out of the release."""


class Finds(Protocol):
    """What knows files by their paths."""

    def find(self, path: str) -> Item:
        """The file of a path, as `Source.find` has it."""


class Source(ABC):
    """A place that a release lies in. It can be pickled, so that other processes open what this one listed."""

    lists_once = False
    """Whether what was listed is all that is known of it afterwards."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the release, always valid Unicode."""

    @abstractmethod
    def tree(self) -> Tree:
        """List everything once."""

    @abstractmethod
    def find(self, path: str) -> Item:
        """The file of a path that was listed before, perhaps by another process, looked at anew.

        Returns
        -------
        Item
            With a problem if it may not be opened, or is there no more.
        """

    def only(self, paths: Iterable[str]) -> Finds:  # noqa: ARG002 - a folder is looked at anew
        """What finds some paths in another process, without listing all of the place there once more."""
        return self

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """The file of a key, open for reading at its beginning, seekable and buffered."""

    def stamp(self, key: str) -> Stamp | None:  # noqa: ARG002 - most know none
        """Stamp of the file of a key, as it is now; None where there is none."""
        return None

    def is_listed(self, key: str, stream: BinaryIO, listed: tuple[int, int]) -> bool:  # noqa: ARG002 - most know no inodes
        """Whether an open file is that of the source that was listed under its key, by device and inode."""
        return True

    def on_disk(self, key: str, copy: Path) -> Path:
        """The file of a key on this machine: a copy, unless the source is a folder."""
        with self.open(key) as stream, copy.open("wb") as copied:
            shutil.copyfileobj(stream, copied)
        return copy

    @abstractmethod
    def folder(self, steps: Sequence[str], start: Item | None = None) -> str | None:
        """The folder that steps lead to.

        Parameters
        ----------
        steps : sequence of str
            Names of folders, each in the one before.
        start : Item, optional
            A file, in whose folder they start; by default they start in the release itself. It need not be one of the
            release.

        Returns
        -------
        str or None
            Its path, as tables name it; None if there is no such folder in the release.

        Raises
        ------
        OutsideError
            They start in the release and lead out of it.
        """

    def ahead(self, items: Sequence[Item], *, whole: bool) -> AbstractContextManager[None]:  # noqa: ARG002 - of no use on disk
        """While it is entered, files that will be opened soon, in this order, may be fetched before they are.

        Parameters
        ----------
        items : sequence of Item
            The files.
        whole : bool
            Whether all of each will be read, or mostly their headers.
        """
        return nullcontext()

    def locate(self, path: Path) -> str | None:  # noqa: ARG002 - most sources hold no file of this machine
        """Key of a file of this machine, if it lies in the release."""
        return None

    def beside(self, levels: int, suffixes: Collection[str]) -> Iterator[list[Item]]:  # noqa: ARG002 - likewise
        """Files that lie beside the release, if anything does.

        Parameters
        ----------
        levels : int
            How far above the release to look.
        suffixes : collection of str
            Endings that they must have.

        Yields
        ------
        list of Item
            What lies in the next folder above, in the order of names; nothing that a link leads to.
        """
        yield from ()


@dataclass(frozen=True)
class Folder(Source):
    """A folder of this machine: no link is followed to a folder, and none out of it; no device or pipe is opened.

    That holds for what is put there after the listing too.
    """

    top: Path
    """Where it is, all links on the way to it resolved."""
    _steps: dict[tuple[str, str], str | None] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Where steps were found to lead."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Folder, (self.top,)

    @property
    def name(self) -> str:
        """Its name."""
        return valid_name(self.top.name)

    def tree(self) -> Tree:
        """List everything below it once."""
        tree = Tree()
        waiting = [""]
        while waiting:
            here = waiting.pop()
            try:
                entries = _entries(self.top / here)
            except OSError as error:
                denied = isinstance(error, PermissionError)
                tree.unlisted[valid_name(here)] = "permission denied" if denied else "it can't be listed"
                continue
            for entry in entries:
                key = f"{here}/{entry.name}" if here else entry.name
                if _is_link(entry):
                    tree.items.append(self.find(key))
                elif entry.is_dir(follow_symlinks=False):
                    tree.folders.append(valid_name(key))
                    waiting.append(key)
                else:
                    tree.items.append(_file(self, entry, key))
        tree.items.sort(key=lambda item: item.path)
        tree.folders.sort()
        return tree

    def find(self, path: str) -> Item:
        """What a path ends at when all links on the way are followed; only a file of the release can be opened."""
        shown, place, own = valid_name(path), self.top / path, self.stamp(path)
        status: os.stat_result | None = None
        try:
            target = place.resolve(strict=True)
            status = target.stat()
        except PermissionError:
            return Item(shown, None, problem="permission", detail="a link whose target can't be looked at", stamp=own)
        except (OSError, RuntimeError):
            # Where a broken link points to still tells whether it leads outside.
            target = Path(os.path.realpath(place))
        if not target.is_relative_to(self.top):
            outside = "a link that leads outside the release"
            return Item(shown, None, problem="link-outside", detail=outside, content=_led_to(place), stamp=own)
        if status is None:
            return Item(
                shown, None, problem="link-broken", detail="a link to nothing", content=_led_to(place), stamp=own
            )
        if stat.S_ISDIR(status.st_mode):
            return Item(shown, None, problem="link-folder", detail="a link to a folder of the release", stamp=own)
        if not stat.S_ISREG(status.st_mode):
            return Item(shown, None, problem="not-a-file", detail="a link to a device, pipe or socket", stamp=own)
        key = target.relative_to(self.top).as_posix()
        return Item(shown, status.st_size, self, key, listed=_identity(status), stamp=_stamp(status))

    def open(self, key: str) -> BinaryIO:
        """The file of a key, open for reading at its beginning."""
        return open(self.top / key, "rb", buffering=BUFFER, opener=_open_file)

    def stamp(self, key: str) -> Stamp | None:
        """Stamp of the file of a key, as it is now."""
        try:
            return _stamp((self.top / key).lstat())
        except OSError:
            return None

    def is_listed(self, key: str, stream: BinaryIO, listed: tuple[int, int]) -> bool:
        """Whether an open file is the one that was listed, or was put in its place: no link leads to it by now."""
        # Some file systems of networks give another inode each time.
        place = str(self.top / key)
        return _identity(os.fstat(stream.fileno())) in (None, listed) or os.path.realpath(place) == place

    def on_disk(self, key: str, copy: Path) -> Path:  # noqa: ARG002 - none is needed
        """The file of a key itself."""
        return self.top / key

    def folder(self, steps: Sequence[str], start: Item | None = None) -> str | None:
        """The folder that steps lead to; links are followed as long as they stay in the release.

        Each step is resolved on its own, so that nothing is looked at behind a link that leads out.
        """
        root = str(self.top)
        first = root
        if start is not None and isinstance(start.source, Folder):
            first = str((start.source.top / start.key).parent)
        here: str | None = first
        for step in steps:
            here = None if here is None else self._step(here, step, root)
        if here is None:
            if _inside(first, root):
                raise OutsideError
            return None
        if not _inside(here, root) or not _is_folder(here):
            return None
        return valid_name(os.path.relpath(here, root)).replace(os.sep, "/")

    def _step(self, here: str, step: str, root: str) -> str | None:
        """Where a step leads, or None if it leaves the way to, or the inside of, the release."""
        key = (here, step)
        if key not in self._steps:
            there = os.path.realpath(Path(here, step))
            self._steps[key] = there if _inside(there, root) or _inside(root, there) else None
        return self._steps[key]

    def locate(self, path: Path) -> str | None:
        """Key of a file of this machine, if it lies in the folder once all links are followed."""
        place = resolved(path)
        return place.relative_to(self.top).as_posix() if place.is_relative_to(self.top) else None

    def beside(self, levels: int, suffixes: Collection[str]) -> Iterator[list[Item]]:
        """Files of the folders above it, each with those right in it."""
        return files_beside(self.top, levels, suffixes)


def files_beside(place: Path, levels: int, suffixes: Collection[str]) -> Iterator[list[Item]]:
    """Files of the folders above a folder or file of this machine, as `Source.beside` has them."""
    for above in place.parents[:levels]:
        try:
            entries = _entries(above)
        except OSError:
            continue
        yield [
            _file(Folder(above), entry, entry.name)
            for entry in entries
            if PurePosixPath(entry.name).suffix.lower() in suffixes and entry.is_file(follow_symlinks=False)
        ]


def local_file(path: Path) -> Item | None:
    """A file of this machine that the user named, links followed; it goes by its own name. None if there is no such file."""
    if not path.is_file():
        return None
    place = resolved(path)
    return replace(Folder(place.parent).find(place.name), path=valid_name(path.name))


def siblings(path: Path) -> list[str]:
    """Names of what lies beside a file or folder of this machine."""
    try:
        return sorted(entry.name for entry in os.scandir(path.parent))
    except OSError:
        return []


def folders_beside(item: Item) -> list[tuple[str, str]]:
    """Names of the folders beside a file of this machine and of the links there, each with where it leads to."""
    if not isinstance(item.source, Folder):
        return []
    try:
        entries = _entries((item.source.top / item.key).parent)
    except OSError:
        return []
    found = [one for one in entries if _is_link(one) or one.is_dir(follow_symlinks=False)]
    return [(one.name, os.path.realpath(one.path)) for one in found]


def valid_name(name: str) -> str:
    """A name that any table can hold: bytes that are no UTF-8 become replacement characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "replace")
    return name


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as listing:
        return sorted(listing, key=lambda entry: entry.name)


def _file(folder: Folder, entry: os.DirEntry[str], key: str) -> Item:
    """What is no folder and no link."""
    path = valid_name(key)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return Item(path, None, problem="permission", detail="its size can't be read")
    if not stat.S_ISREG(status.st_mode):
        return Item(path, None, problem="not-a-file", detail="a device, pipe or socket")
    return Item(path, status.st_size, folder, key, listed=_identity(status), stamp=_stamp(status))


_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""What became a link since it was listed is not followed, and a pipe not waited for."""


def _open_file(path: str, flags: int) -> int:
    """Open what is a file, and nothing else."""
    number = os.open(path, flags | _CAREFUL)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError("it is no file any more")
    return number


def _identity(status: os.stat_result) -> tuple[int, int] | None:
    """Device and inode; None where there is none, as in listings of Windows."""
    return (status.st_dev, status.st_ino) if status.st_ino else None


def _stamp(status: os.stat_result) -> Stamp | None:
    """Stamp of a file; None where the system tells no inode: there its time of change may be another time too."""
    return stamp_of(status) if status.st_ino else None


def _is_link(entry: os.DirEntry[str]) -> bool:
    # A junction leads to another folder just as a link does; os.DirEntry tells of them from Python 3.12 on.
    is_junction = getattr(entry, "is_junction", None)
    return entry.is_symlink() or bool(is_junction and is_junction())


def _led_to(link: Path) -> str | None:
    """What the path that a link names tells; nothing where only a folder above is a link."""
    try:
        return link_content(str(link.readlink()))
    except OSError:
        return None


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:
        return False
