"""The only place that lists and opens the files of a release: no link is followed to a folder, and none out of it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crlm_qc.collection.show import Show
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.words import suggest


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


@dataclass
class Tree:
    """Folders and files as listed."""

    items: list[Item] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def open_root(root: Path) -> Path:
    """The folder with all links on the way to it resolved, or why there is none."""
    try:
        mode = root.stat().st_mode
    except PermissionError:
        raise ReleaseError(f"{root} can't be opened: permission denied") from None
    except (OSError, ValueError):
        raise ReleaseError(f"{root} not found{suggest(root.name, siblings(root))}") from None
    if not stat.S_ISDIR(mode):
        if root.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z"):
            raise ReleaseError(f"{root} is an archive, not a folder: unpack it, and give the folder it makes")
        raise ReleaseError(f"{root} is a file, not a folder: give the folder that holds the release")
    try:
        with os.scandir(root):
            return root.resolve()
    except OSError as error:
        raise ReleaseError(f"{root} can't be listed: {os.strerror(error.errno or 0).lower()}") from None


def siblings(root: Path) -> list[str]:
    """Names of what lies beside a folder."""
    try:
        return sorted(entry.name for entry in os.scandir(root.parent))
    except OSError:
        return []


def as_unicode(name: str) -> str:
    """A name that any table can hold: bytes that are no UTF-8 become replacement characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "replace")
    return name


def walk(top: Path, show: Show) -> Tree:
    """List everything below a folder once, in the order of names."""
    tree = Tree()
    waiting = [("", str(top))]
    while waiting:
        relative, location = waiting.pop()
        try:
            with os.scandir(location) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = "permission denied" if isinstance(error, PermissionError) else "it can't be listed"
            tree.limits.append(f"folder {show.path(as_unicode(relative))} was not read: {reason}")
            tree.unlisted.append(as_unicode(relative))
            continue
        for entry in entries:
            path = as_unicode(f"{relative}/{entry.name}" if relative else entry.name)
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


def begins_with(item: Item, length: int) -> bytes:
    """The first bytes of a file."""
    with Path(item.location).open("rb") as file:
        return file.read(length)
