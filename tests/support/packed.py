"""Releases packed into archives, of every form that is read."""

import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

Pack = Callable[[Path, Path, str], None]
"""Packs a folder into a file, under a name in it or, with an empty one, without the folder itself."""


def _inside(folder: Path, name: str, path: Path) -> str:
    return "/".join(part for part in (name, path.relative_to(folder).as_posix()) if part != ".")


def _zipped(method: int) -> Pack:
    def pack(folder: Path, target: Path, name: str) -> None:
        with zipfile.ZipFile(target, "w", method) as archive:
            for path in sorted(folder.rglob("*")):
                inside = _inside(folder, name, path)
                if path.is_symlink():
                    info = zipfile.ZipInfo(inside)
                    info.create_system, info.external_attr = 3, 0o120777 << 16
                    archive.writestr(info, str(path.readlink()))
                else:
                    archive.write(path, inside)

    return pack


def _tarred(compression: str) -> Pack:
    def pack(folder: Path, target: Path, name: str) -> None:
        with tarfile.open(target, f"w:{compression}") as archive:  # type: ignore[call-overload]
            archive.add(folder, name or ".")

    return pack


FORMS: Mapping[str, Pack] = {
    "zip": _zipped(zipfile.ZIP_DEFLATED),
    "stored.zip": _zipped(zipfile.ZIP_STORED),
    "tar": _tarred(""),
    "tar.gz": _tarred("gz"),
    "tgz": _tarred("gz"),
    "tar.bz2": _tarred("bz2"),
    "tar.xz": _tarred("xz"),
}


def packed(folder: Path, form: str, *, name: str | None = None) -> Path:
    """The archive of a folder, in a folder of its own beside it; by default it holds the folder."""
    where = folder.parent / f"as-{form}-{name if name is not None else 'folder'}"
    where.mkdir()
    target = where / f"{folder.name}.{form.removeprefix('stored.')}"
    FORMS[form](folder, target, folder.name if name is None else name)
    return target
