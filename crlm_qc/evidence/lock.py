r"""Lock files: the SHA-256 of every file of a release, in the format that `sha256sum` writes and checks.

A line a file, in the order of paths: 64 hexadecimal digits, two spaces, the path relative to the release with forward
slashes. As `sha256sum` does, a line whose path holds a backslash, line feed or carriage return begins with a backslash,
and these stand in the path as `\\`, `\n` and `\r`. Lines that begin with `#` are comments, which `sha256sum -c` skips:
`# files: N` says how many files are listed, so that a list that was cut short is noticed, and `# size: N` how many bytes
the file of the next line has. A list that `sha256sum` wrote, without comments, is a lock file too.

Paths of a lock file are only ever compared with those on disk; none is opened.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.evidence.kinds import aside_kind
from crlm_qc.evidence.release import PatientFolder, Release, find_release
from crlm_qc.evidence.source import Item
from crlm_qc.evidence.sums import escaped, unescaped
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.tables import TOO_LARGE
from crlm_qc.model.words import suggest

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.workers import Progress

HASHING = "hashing files"
"""The phase that progress is told of."""
_ABOUT = """\
# SHA-256 of every file of a release, written by: crlm-qc lock
# To verify it without crlm-qc, in the release's folder: sha256sum -c --quiet FILE
"""
_MAX_BYTES = 256 * 2**20
_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)
_COUNT, _SIZE = re.compile(r"# files: ([0-9]{1,12})"), re.compile(r"# size: ([0-9]{1,15})")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_LEFT_OUT = frozenset({"link-outside", "link-broken", "link-folder", "not-a-file"})
"""Problems of what no bytes are read from."""
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_AGAIN = "make it anew with: crlm-qc lock RELEASE"


class LockError(ReleaseError):
    """A lock file can't be used, or none can be made; the message says where it is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a lock file."""

    path: str
    """Relative to the release, forward slashes."""
    sha256: str
    """64 hexadecimal digits, in lower case."""
    size: int | None
    """Bytes, if the lock file says so."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What the files of a release came to."""

    entries: tuple[Entry, ...]
    """In the order of paths."""
    left_out: int
    """Links and devices that no bytes are read from (REL013, REL007)."""
    unread: tuple[str, ...]
    """What could not be read, in words: a lock without it would not be of the whole release."""
    strange_names: int = 0
    """Files whose path holds text that is not the collection's own, which reports do not show."""


def lock_release(
    root: Path, profile: Profile, *, jobs: int = 1, progress: Progress | None = None, access: Access = PLAIN
) -> Lock:
    """Hash every file of a release but those that systems make by themselves (`.DS_Store`, hidden folders).

    Parameters
    ----------
    root : pathlib.Path
        Folder or archive of the release.
    profile : Profile
        The collection's profile.
    jobs : int
        Files to hash at a time.
    progress : callable, optional
        Told of the phase, the files done and the files in all.
    access : Access, optional
        What the user said of a release that lies elsewhere.

    Returns
    -------
    Lock
        The same for any number of jobs.

    Raises
    ------
    ReleaseError
        The path is no folder that can be audited.
    LockError
        A file's name is no valid Unicode, so that no lock file can name it.
    """
    release = find_release(root, profile, access=access)
    found = [*(other.item for other in release.others), *(item for one in release.patients for item in one.items)]
    items = sorted((item for item in found if aside_kind(item) != "system"), key=lambda item: item.path)
    show = Show(profile)
    if unnamed := [show.path(item.path) for item in items if _REPLACED in item.path]:
        raise LockError(
            f"{len(unnamed)} file names are not valid UTF-8 (the first: {unnamed[0]}), so that no lock file can name "
            "them: rename these files first"
        )
    readable = [item for item in items if item.readable]
    entries, unread = [], list(release.limits)
    for done, (item, result) in enumerate(zip(readable, _digests(readable, jobs), strict=True), start=1):
        if result is None:
            unread.append(f"file {show.path(item.path)} can't be read")
        else:
            entries.append(Entry(item.path, *result))
        if progress is not None:
            progress(HASHING, done, len(readable))
    refused = [item for item in items if item.problem in ("permission", TOO_LARGE)]
    unread += [f"file {show.path(item.path)} can't be read" for item in refused]
    strange = sum(show.path(entry.path) != entry.path for entry in entries)
    return Lock(tuple(entries), len(items) - len(readable) - len(refused), tuple(unread), strange)


def lock_files(files: pd.DataFrame) -> Lock:
    """The lock of files that were hashed as they were read: what `lock_release` gives of the same release.

    Parameters
    ----------
    files : pandas.DataFrame
        The table `files`, collected with `hashed`.

    Returns
    -------
    Lock
        What could not be read is counted, not named: the audit's limits name it.

    Raises
    ------
    LockError
        A file's name is no valid Unicode.
    """
    entries, left_out, unread, unnamed = [], 0, 0, 0
    for row in files[files["kind"] != "system"].to_dict("records"):
        unnamed += _REPLACED in row["path"]
        if isinstance(row["sha256"], str):
            entries.append(Entry(row["path"], row["sha256"], int(row["size"])))
        elif row["problem"] in _LEFT_OUT:
            left_out += 1
        else:
            unread += 1
    if unnamed:
        raise LockError(
            f"{unnamed} file names are not valid UTF-8, so that no lock file can name them: rename these files first"
        )
    said = f"{unread} of its files could not be read"
    return Lock(tuple(sorted(entries, key=lambda entry: entry.path)), left_out, (said,) if unread else ())


def _digests(items: Sequence[Item], jobs: int) -> Iterable[tuple[str, int] | None]:
    # Hashing runs outside of the interpreter's lock, so threads are enough.
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(_try_digest, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _try_digest(item: Item) -> tuple[str, int] | None:
    try:
        return item.digest()
    except OSError:
        return None


def render_lock(entries: Iterable[Entry]) -> bytes:
    """A lock file.

    Parameters
    ----------
    entries : iterable of Entry
        The files.

    Returns
    -------
    bytes
        UTF-8; equal for equal entries in any order.
    """
    ordered = sorted(entries, key=lambda entry: entry.path)
    lines = [f"{_ABOUT}# files: {len(ordered)}\n"]
    for entry in ordered:
        path = escaped(entry.path)
        size = "" if entry.size is None else f"# size: {entry.size}\n"
        lines.append(f"{size}{'' if path == entry.path else chr(92)}{entry.sha256}  {path}\n")
    return "".join(lines).encode()


def read_lock(path: Path) -> tuple[Entry, ...]:
    """Read a lock file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    tuple of Entry
        At least one, no path twice, none that leads out of the release.

    Raises
    ------
    LockError
        It can't be read, or is no lock file; the message names the line.
    """
    lines = _lines(path)
    entries: dict[str, tuple[int, Entry]] = {}
    count = size = None
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            count = int(match[1]) if (match := _COUNT.fullmatch(line)) else count
            size = int(match[1]) if (match := _SIZE.fullmatch(line)) else None
        elif line.strip():
            entry = _entry(path, number, line, size)
            if entry.path in entries:
                raise LockError(f"{path}, line {number}: the file of line {entries[entry.path][0]} again; {_AGAIN}")
            entries[entry.path], size = (number, entry), None
    # Lines end in a line feed: what follows the last one was cut.
    whole = len(entries) - bool(lines[-1])
    if count is not None and count != whole:
        raise LockError(
            f"{path} was cut short or changed: of the number of files that it announces, {count}, it lists {whole}; "
            "fetch it again, or " + _AGAIN
        )
    if not entries:
        raise LockError(f"{path} names no file: {_AGAIN}")
    return tuple(entry for _, entry in entries.values())


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        names = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise LockError(f"--lock {path} not found{suggest(path.name, names)}") from None
    except OSError as error:
        raise LockError(f"--lock {path} can't be read: {(error.strerror or 'unknown error').lower()}") from None
    if len(content) > _MAX_BYTES:
        raise LockError(f"--lock {path} holds more than {_MAX_BYTES // 2**20} MiB: it is no lock file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise LockError(f"{path}, line {number}: a character is not UTF-8; {_AGAIN}") from None
    # Not str.splitlines, which parts lines at characters that may stand in a file's name.
    return [line.removesuffix("\r") for line in text.split("\n")]


def _entry(path: Path, number: int, line: str, size: int | None) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise LockError(
            f"{path}, line {number}: not a SHA-256 of 64 hexadecimal digits, two spaces and a path, "
            f"as sha256sum writes it; {_AGAIN}"
        )
    mark, sha256, name = match.groups()
    if mark and (name := unescaped(name)) is None:
        raise LockError(f"{path}, line {number}: a backslash is followed by neither n, r nor a backslash; {_AGAIN}")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise LockError(
            f"{path}, line {number}: the path leads outside of the release (absolute, or with ..). "
            "Paths are relative to the release's folder; " + _AGAIN
        )
    # `find . | xargs sha256sum` writes a dot first.
    name = "/".join(part for part in name.split("/") if part not in ("", "."))
    if not name:
        raise LockError(f"{path}, line {number}: the path names no file; {_AGAIN}")
    return Entry(name, sha256.lower(), size)


def lock_rows(
    entries: Iterable[Entry],
    release: Release,
    chosen: Sequence[PatientFolder],
    patients: Sequence[str],
    profile: Profile,
) -> list[dict[str, Any]]:
    """Rows of the table `lock`: the entries that what was read can be compared with.

    Left out are files that systems make by themselves, what lies in folders that could not be listed, and patients that
    were not asked for.

    Parameters
    ----------
    entries : iterable of Entry
        The lock file's.
    release : Release
        What the walk found.
    chosen : sequence of PatientFolder
        Patient folders that are read.
    patients : sequence of str
        Patients asked for; empty for all.
    profile : Profile
        The collection's profile.

    Returns
    -------
    list of dict
        In the order of paths.
    """
    unread = {one.folder for one in release.patients} - {one.folder for one in chosen} | set(release.unlisted)

    def is_read(path: str) -> bool:
        folders = [folder.as_posix() for folder in PurePosixPath(path).parents]
        others = bool(patients) and names_another(path, patients, profile)
        return aside_kind(Item(path, None)) != "system" and unread.isdisjoint(folders) and not others

    return [
        {"path": entry.path, "sha256": entry.sha256, "size": entry.size}
        for entry in sorted(entries, key=lambda entry: entry.path)
        if is_read(entry.path)
    ]


def names_another(path: str, patients: Collection[str], profile: Profile) -> bool:
    """Whether a folder of a path is named after another patient than these."""
    return any(profile.is_patient_id(name) and name not in patients for name in path.split("/")[:-1])
