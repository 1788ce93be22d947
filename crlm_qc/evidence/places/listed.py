"""Places that are known by their listing alone: names and sizes, with no file system below them."""

from __future__ import annotations

import os
import posixpath
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.evidence.contents import link_content
from crlm_qc.evidence.source import Finds, Folder, Item, OutsideError, Source, SourceError, Tree, files_beside, parents

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MOST_LINKS = 40
"""Links that are followed one after another, as on Linux."""


class Listed(Source):
    """A place of which all is known once it was listed. Folders are what names of files tell, and those listed as such."""

    lists_once = True

    @abstractmethod
    def listing(self) -> Tree:
        """List everything; called once."""

    @property
    def beside_of(self) -> Path | None:
        """What of this machine other files lie beside; None if the place is elsewhere."""
        return None

    def tree(self) -> Tree:
        """What was listed."""
        return _indexed(self).tree

    def find(self, path: str) -> Item:
        """The file of a path, as listed."""
        return _indexed(self).items.get(path) or Item(path, None, problem="link-broken", detail="there is no such file")

    def only(self, paths: Iterable[str]) -> Finds:
        """These files as they were listed."""
        return _Known({path: self.find(path) for path in paths})

    def folder(self, steps: Sequence[str], start: Item | None = None) -> str | None:
        """The folder that steps lead to, as they would had the place been unpacked where it lies."""
        root = posixpath.join(_posix(self.beside_of.parent) if self.beside_of else "/", self.name)
        first = root
        if start is not None and start.source == self:
            first = posixpath.join(root, start.folder)
        elif start is not None and isinstance(start.source, Folder):
            first = posixpath.dirname(_posix(start.source.top / start.key))
        here = first
        for step in steps:
            here = posixpath.normpath(posixpath.join(here, step))
            if not (_within(here, root) or _within(root, here)):
                if _within(first, root):
                    raise OutsideError
                return None
        if not _within(here, root):
            return None
        found = posixpath.relpath(here, root)
        return found if found == "." or found in self.known_folders() else None

    def known_folders(self) -> frozenset[str]:
        """All its folders."""
        return _indexed(self).folders

    def beside(self, levels: int, suffixes: Collection[str]) -> Iterator[list[Item]]:
        """Files of the folders above that hold the place, if it lies on this machine."""
        if self.beside_of is None:
            return
        for items in files_beside(self.beside_of, levels, suffixes):
            # What is packed does not lie beside itself.
            yield [item for item in items if not _is(item, self.beside_of)]


@dataclass(frozen=True, slots=True)
class _Known:
    """Some files of a place."""

    items: Mapping[str, Item]

    def find(self, path: str) -> Item:
        """One of them."""
        return self.items[path]


@dataclass(frozen=True)
class _Index:
    tree: Tree
    items: Mapping[str, Item]
    folders: frozenset[str]


@lru_cache(maxsize=2)
def _indexed(place: Listed) -> _Index:
    """What a place holds; another process lists it once, for however many patients it is given."""
    tree = place.listing()
    return _Index(tree, {item.path: item for item in tree.items}, frozenset(tree.folders))


class Lazy(RawIOBase):
    """A file of known size, read as it is asked for: going to its end and back costs nothing.

    Parameters
    ----------
    size : int
        Bytes.
    read : callable
        Given where to begin and how many bytes are wanted: those, or fewer.
    closed : callable
        Called at the end.
    """

    def __init__(self, size: int, read: Callable[[int, int], bytes], closed: Callable[[], None] = lambda: None) -> None:
        self._size = size
        self._read = read
        self._closed = closed
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read some."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        part = self._read(self._at, wanted)
        if not part:
            raise SourceError("it ends before the size it was listed with")
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            self._closed()
        super().close()


def proper(name: str) -> str | None:
    """The path that a member or object is named by; None if it leads out of the place, or names nothing."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    drive = bool(parts) and len(parts[0]) == 2 and parts[0][1] == ":"
    return None if name.startswith("/") or ".." in parts or drive or "\0" in name or not parts else "/".join(parts)


def followed(path: str, links: Mapping[str, str], items: Mapping[str, Item], folders: Collection[str]) -> Item:
    """What a link ends at when all links on the way are followed: the same as in a folder of this machine.

    Parameters
    ----------
    path : str
        Path of the link.
    links : mapping
        What each link names, by its path.
    items : mapping
        Files, by their paths.
    folders : collection of str
        Folders.

    Returns
    -------
    Item
        The file, under the path of the link, or what is wrong with the link.
    """
    here: str | None = path
    content = link_content(links[path])
    for _ in range(_MOST_LINKS):
        if here is None:
            outside = "a link that leads outside the release"
            return Item(path, None, problem="link-outside", detail=outside, content=content)
        link = next((one for one in (here, *parents(here)) if one in links), None)
        if link is None:
            break
        rest = here[len(link) :].lstrip("/")
        here = _led(posixpath.join(posixpath.dirname(link), links[link], rest))
    if here is not None and here in items:
        return replace(items[here], path=path)
    if here == "" or here in folders:
        return Item(path, None, problem="link-folder", detail="a link to a folder of the release")
    return Item(path, None, problem="link-broken", detail="a link to nothing", content=content)


def _led(path: str) -> str | None:
    normal = posixpath.normpath(path)
    if normal == ".." or normal.startswith(("/", "../")):
        return None
    return "" if normal == "." else normal


def _is(item: Item, place: Path) -> bool:
    return isinstance(item.source, Folder) and item.source.top / item.key == place


def _posix(path: Path) -> str:
    return path.as_posix()


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
