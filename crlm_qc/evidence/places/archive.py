"""Archives: a release in a ZIP or TAR file is read where it lies, without unpacking it."""

from __future__ import annotations

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Final

from crlm_qc.evidence import limits
from crlm_qc.evidence.limits import Beyond, refuse
from crlm_qc.evidence.places.listed import Lazy, Listed, followed, proper
from crlm_qc.evidence.places.spool import compression_of, spooled
from crlm_qc.evidence.source import BUFFER, Item, SourceError, Stamp, Tree, parents, stamp_of, valid_name
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.paths import archive_name, resolved
from crlm_qc.model.tables import TOO_LARGE

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError)
"""What the readers of archives raise of one that is damaged, or of a kind that they do not read."""
_REFUSED: Final = "!"
"""A key that begins so says why the member is not given."""
_DAMAGED: Final = "it is damaged in the archive"
_CUT: Final = "the archive is cut short: what else was in it was not read"
_OTHER: Final = "the archive was changed since it was listed"
_ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED: Final = 1
_UTF8: Final = 0x800
_MOST_TARGET: Final = 4096
"""Bytes of the path that a link names."""


@dataclass(frozen=True, slots=True)
class Member:
    """What an archive holds, before anything is made of it."""

    name: str
    size: int
    key: str
    packed: int | None = None
    """Bytes that it takes in the archive, if it is compressed."""
    is_folder: bool = False
    target: str | None = None
    """What a link names."""
    is_device: bool = False


Members = tuple[tuple[Member, ...], bool]
"""What an archive holds, and whether it is cut short."""


@dataclass(frozen=True)
class Archive(Listed):
    """An archive of this machine."""

    path: Path
    """Where it is, all links on the way to it resolved."""
    changed: Stamp
    """Its stamp when it was listed."""
    plain: Path = field(repr=False)
    """Itself, or a copy of it without its compression."""
    top: str = ""
    """The folder in it that is the release; empty if it is the archive itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.changed, self.plain, self.top)

    @property
    def name(self) -> str:
        """Name of the folder in it, or else its own without the ending."""
        return self.top.rpartition("/")[2] or valid_name(archive_name(self.path.name))

    @property
    def beside_of(self) -> Path:
        """The archive."""
        return self.path

    @abstractmethod
    def members(self) -> Members:
        """Everything in it, in its own order."""

    def listing(self) -> Tree:
        """Its files and folders."""
        members, cut = self.members()
        named = list(_named(members, self.top))
        tree = Tree(limits=[_CUT] if cut else [])
        if strange := sum(proper(member.name) is None and not _is_root(member.name) for member in members):
            tree.limits.append(f"{strange} members of the archive were not read: their names lead out of it")
        folders = {above for path, _ in named for above in parents(path) if above}
        folders |= {path for path, member in named if member.is_folder and path}
        times = Counter(path for path, member in named if not member.is_folder)
        files, links = {}, {}
        for path, member in named:
            if times[path] > 1 or (times[path] and path in folders):
                reason = "the archive has several files of its name"
                files[path] = Item(path, member.size, self, f"{_REFUSED}{reason}", stamp=_stamp(self))
            elif member.target is not None:
                links[path] = member.target
            elif not member.is_folder:
                files[path] = _item(self, path, member)
        found = [*files.values(), *(followed(path, links, files, folders) for path in links)]
        tree.items += sorted(found, key=lambda item: item.path)
        tree.folders += sorted(folders - files.keys())
        return tree

    def open(self, key: str) -> BinaryIO:
        """The member of a key, open for reading at its beginning."""
        if key.startswith(_REFUSED):
            raise SourceError(key.removeprefix(_REFUSED))
        return BufferedReader(self.raw(key), BUFFER)

    def stamp(self, key: str) -> Stamp | None:  # noqa: ARG002 - no member changes without its archive
        """Stamp of the archive, as it is now."""
        try:
            return stamp_of(self.path.stat())
        except OSError:
            return None

    @abstractmethod
    def raw(self, key: str) -> Lazy:
        """The member of a key."""


class Zip(Archive):
    """A ZIP file."""

    def members(self) -> Members:
        """Everything in it."""
        return _zip_members(self.plain, self.changed)

    def raw(self, key: str) -> Lazy:
        """The member of a number."""
        archive = _zip(self.plain, self.changed)
        info = archive.infolist()[int(key.partition(":")[0])]
        try:
            member = archive.open(info)
        except (*_BROKEN, NotImplementedError):
            raise SourceError("its compression in the archive is not known, or its beginning is damaged") from None

        def read(start: int, length: int) -> bytes:
            try:
                member.seek(start)
                return member.read(length)
            except _BROKEN:
                raise SourceError(_DAMAGED) from None

        return Lazy(info.file_size, read, member.close)


class Tar(Archive):
    """A TAR file, by itself or as it was before it was compressed."""

    def members(self) -> Members:
        """Everything in it."""
        return _tar_members(self.plain, self.changed)

    def raw(self, key: str) -> Lazy:
        """The member that lies where its key says."""
        begin, size = map(int, key.split(":"))
        stream = self.plain.open("rb", buffering=0)
        if self.plain == self.path and not _same(os.fstat(stream.fileno()), self.changed):
            stream.close()
            raise SourceError(_OTHER)

        def read(start: int, length: int) -> bytes:
            stream.seek(begin + start)
            return stream.read(length)

        return Lazy(size, read, stream.close)


def open_archive(root: Path, is_part: Callable[[str], bool]) -> Archive:
    """An archive that a user named.

    Parameters
    ----------
    root : pathlib.Path
        The file.
    is_part : callable
        Tells of the name of a folder whether it is one of many in a release. Any other that holds all of the archive is
        the release, as if it had been unpacked.

    Returns
    -------
    Archive
        What lists and opens its files.

    Raises
    ------
    ReleaseError
        It can't be read, is no archive, or unpacks to more than there is room for.
    """
    path = resolved(root)
    try:
        changed = stamp_of(path.stat())
        compressed = compression_of(path)
        # By its beginning: a TAR may end with a workbook, which is a ZIP file.
        if _begins(path, *_ZIP_STARTS):
            found: Archive = Zip(path, changed, path)
        else:
            found = Tar(path, changed, spooled(path, changed, compressed) if compressed else path)
        top = _top([member.name for member in found.members()[0]], is_part)
    except SourceError as error:
        raise ReleaseError(f"{root} can't be read: {error}") from None
    except _BROKEN:
        raise ReleaseError(f"{root} is no archive, or a damaged one: download it again") from None
    except OSError as error:
        raise ReleaseError(f"{root} can't be read: {os.strerror(error.errno or 0).lower()}") from None
    return type(found)(path, changed, found.plain, top) if top else found


def _begins(path: Path, *starts: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(starts[0])) in starts


def _top(names: Iterable[str], is_part: Callable[[str], bool]) -> str:
    """The one folder that holds everything but what systems add; empty if there is none."""
    paths = [path for name in names if (path := proper(name)) and not path.startswith((".", "__MACOSX/"))]
    folders = {path.partition("/")[0] for path in paths}
    if len(folders) != 1 or not any("/" in path for path in paths):
        return ""
    top = folders.pop()
    return "" if is_part(top) else top


def _named(members: Sequence[Member], top: str) -> Iterator[tuple[str, Member]]:
    """Members with their paths in the release."""
    for member in members:
        path = proper(member.name)
        if path is None or not top:
            yield from () if path is None else [(path, member)]
        elif path.startswith(f"{top}/"):
            yield path[len(top) + 1 :], member


def _is_root(name: str) -> bool:
    return name.strip("/") in ("", ".") and not name.startswith("/")


def _item(archive: Archive, path: str, member: Member) -> Item:
    if member.is_device:
        return Item(path, None, problem="not-a-file", detail="a device, pipe or socket")
    try:
        refuse(member.size, limits.MEMBER_BYTES, "it has {} bytes in the archive")
        if member.packed is not None:
            most = max(limits.MEMBER_RATIO * member.packed, limits.FREE_BYTES)
            refuse(member.size, most, f"{member.packed:,} bytes of the archive unpack to {{}}")
    except Beyond as reason:
        return Item(path, member.size, problem=TOO_LARGE, detail=str(reason))
    return Item(path, member.size, archive, member.key, stamp=_stamp(archive))


def _stamp(archive: Archive) -> Stamp | None:
    """Stamp of a member: its archive's, as its key tells it from all others there."""
    return archive.changed if archive.changed.inode else None


def _same(status: os.stat_result, changed: Stamp) -> bool:
    """Whether what is read is what was listed: a further name or other rights of a file make it no other one."""
    return (status.st_size, status.st_mtime_ns) == changed[:2]


@lru_cache(maxsize=2)
def _zip(path: Path, changed: Stamp) -> zipfile.ZipFile:
    """A ZIP file, kept open: its directory may have many thousand entries."""
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN:
        raise SourceError(_OTHER) from None
    if not _same(path.stat(), changed):
        archive.close()
        raise SourceError(_OTHER)
    return archive


@lru_cache(maxsize=2)
def _zip_members(path: Path, changed: Stamp) -> Members:
    archive = _zip(path, changed)
    return tuple(_zip_member(archive, number, info) for number, info in enumerate(archive.infolist())), False


def _zip_member(archive: zipfile.ZipFile, number: int, info: zipfile.ZipInfo) -> Member:
    name, size = _zip_name(info), info.file_size
    encrypted = bool(info.flag_bits & _ENCRYPTED)
    key = f"{_REFUSED}it is encrypted in the archive" if encrypted else f"{number}:{info.header_offset}:{info.CRC:08x}"
    mode = info.external_attr >> 16
    if info.is_dir() or name.endswith("/"):
        return Member(name, 0, key, is_folder=True)
    if stat.S_ISLNK(mode) and not encrypted and size <= _MOST_TARGET:
        return Member(name, size, key, target=_target(archive, info))
    packed = None if info.compress_type == zipfile.ZIP_STORED else info.compress_size
    return Member(name, size, key, packed, is_device=stat.S_IFMT(mode) not in (0, stat.S_IFREG))


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    try:
        return valid_name(os.fsdecode(archive.read(info)))
    except (*_BROKEN, NotImplementedError):
        return ""


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Name of a member, in UTF-8 where it is though nothing says so, and with the slashes that the format asks for."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/")


@lru_cache(maxsize=2)
def _tar_members(path: Path, changed: Stamp) -> Members:  # noqa: ARG001 - one that was changed is another
    found: list[Member] = []
    files: dict[str | None, Member] = {}
    length = path.stat().st_size
    with tarfile.open(path, "r:", errorlevel=0) as archive:
        try:
            for info in archive:
                member = _tar_member(info, length)
                if info.islnk():
                    # It is another file of the archive under a further name.
                    member = replace(files.get(proper(valid_name(info.linkname)), member), name=member.name)
                elif info.isreg():
                    files[proper(member.name)] = member
                found.append(member)
        except _BROKEN:
            return tuple(found), True
    return tuple(found), False


def _tar_member(info: tarfile.TarInfo, length: int) -> Member:
    name = valid_name(info.name)
    key = f"{info.offset_data}:{info.size}"
    if info.isdir():
        return Member(name, 0, key, is_folder=True)
    if info.issym():
        return Member(name, 0, key, target=valid_name(info.linkname))
    if info.islnk():
        return Member(name, 0, f"{_REFUSED}it is a link to nothing in the archive")
    if info.issparse():
        key = f"{_REFUSED}it is a sparse file in the archive"
    elif info.isfile() and info.offset_data + info.size > length:
        key = f"{_REFUSED}the archive ends within it"
    return Member(name, info.size, key, is_device=not info.isfile())
