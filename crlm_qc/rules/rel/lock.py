"""The release against its lock file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR
from crlm_qc.model.words import are, listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.subjects.words import file_names, file_subject, folder_of, folder_subject, whole


@rule(
    "REL015",
    "differs-from-lock",
    ERROR,
    title="A file's bytes differ from the lock file, or a locked file is missing, or a file is new",
    why="A lock file says what the release was when it was locked; a changed bit of a pixel or a mask shows nowhere else. Files whose bytes can't be read are REL004's, links REL013's.",
    fix="Fetch the file again from where the lock file was made. If the release was changed on purpose, lock it anew: crlm-qc lock RELEASE.",
    source="FIPS 180-4 (SHA-256); the lock file that was given with --lock",
    tables=("files", "lock", "patients"),
    spoils=Spoils(out=("completeness",), care=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def differs_from_lock(context: Context) -> Checked:
    """Every file of the release and of the lock file; of a part of a release, missing files only of patients that are there."""
    lock, files = context["lock"], context["files"]
    if lock.empty:
        raise Skip("no lock file was given")
    locked = {row["path"]: row for row in lock.to_dict("records")}
    there = {row["path"]: row for row in files.to_dict("records")}
    hashed = {path: row for path, row in there.items() if isinstance(row["sha256"], str)}
    if locked.keys().isdisjoint(there):
        message = f"None of the {plural(len(locked), 'locked file')} is in the release: the lock file is another one's, or of another folder."
        return Checked(len(locked), [Found(RELEASE, message, "the release's own lock file", "no file in common")])
    missing = sorted(path for path in locked.keys() - there.keys() if _is_expected(context, path))
    new = sorted(hashed.keys() - locked.keys())
    changed = sorted(path for path, row in hashed.items() if path in locked and row["sha256"] != locked[path]["sha256"])
    on_disk, in_lock = _folders(there), _folders(locked)
    # A folder that is gone, or new, is one finding, however many folders lie in it.
    groups: dict[str, dict[str, list[str]]] = {}
    for kind, paths, known in ((_CHANGED, changed, on_disk), (_MISSING, missing, on_disk), (_NEW, new, in_lock)):
        for path in paths:
            groups.setdefault(_outermost_unknown(folder_of(path), known), {}).setdefault(kind, []).append(path)
    findings = []
    for folder, found in sorted(groups.items()):
        (kind, paths), *more = found.items()
        if not more and len(paths) == 1:
            findings.append(_one_differs(context, kind, locked.get(paths[0]), there.get(paths[0]), paths[0]))
        else:
            findings.append(
                _several_differ(context, folder, found, gone=folder not in on_disk, new=folder not in in_lock)
            )
    return Checked(len(locked.keys() | hashed.keys()), findings)


_CHANGED, _MISSING, _NEW = "with other bytes", "missing", "new"


def _is_expected(context: Context, path: str) -> bool:
    """Whether a locked file must be there: of a part of a release, only what lies in a patient folder that is there."""
    if not context.settings.partial:
        return True
    return any(path.startswith(f"{folder}/") for folder in context["patients"]["folder"])


def _folders(paths: Iterable[str]) -> set[str]:
    """All folders that paths lie in, the release itself as the empty one."""
    found = {""}
    for path in paths:
        while (path := folder_of(path)) not in found:
            found.add(path)
    return found


def _outermost_unknown(folder: str, known: set[str]) -> str:
    """The folder itself if it is known, else the outermost folder on the way to it that is not."""
    while folder not in known and (above := folder_of(folder)) not in known:
        folder = above
    return folder


def _owner(context: Context, paths: Iterable[str]) -> str | None:
    """The patient whose files all of them are; also one who is on disk no more."""
    folders = _patient_folders(context)
    owners = set()
    for path in paths:
        above = [*path.split("/")[:-1]]
        known = ("/".join(above[:count]) for count in range(1, len(above) + 1))
        owner = next((str(folders[folder]) for folder in known if folder in folders), None)
        owners.add(owner or next((name for name in above if context.profile.is_patient_id(name)), None))
    return owners.pop() if len(owners) == 1 else None


@once
def _patient_folders(context: Context) -> dict[str, str]:
    """Patients on disk by their folders."""
    patients = context["patients"].drop_duplicates("folder", keep=False)
    return dict(zip(patients["folder"], patients["patient"], strict=True))


def _bytes_words(row: dict[str, Any] | None) -> str:
    size = None if row is None else whole(row["size"])
    return "" if size is None else f" ({plural(size, 'byte')})"


def _one_differs(
    context: Context, kind: str, locked: dict[str, Any] | None, there: dict[str, Any] | None, path: str
) -> Found:
    name = file_names(context, [path])[0]
    message, expected, observed = {
        _CHANGED: (f"The bytes of {name} differ from the lock file.", "the bytes that were locked", "other bytes"),
        _MISSING: (f"{name} is in the lock file and not in the release.", "the locked file", "no file"),
        _NEW: (f"{name} is not in the lock file.", "no file", "a new file"),
    }[kind]
    expected, observed = expected + _bytes_words(locked), observed + _bytes_words(there)
    return Found(file_subject(context, path), message, expected, observed, _owner(context, [path]))


def _within(context: Context, folder: str, path: str) -> str:
    """A path from a folder on that it lies in, its file told from others of its folder."""
    above, inside = context.show.path(folder), context.show.path(folder_of(path))
    if above == context.show.path(None):
        above = ""
    below = "" if inside == above else inside.removeprefix(f"{above}/") if above else inside
    name = file_names(context, [path])[0]
    return f"{below}/{name}" if below and folder_of(path) else name


def _several_differ(context: Context, folder: str, found: dict[str, list[str]], *, gone: bool, new: bool) -> Found:
    names = {kind: [_within(context, folder, path) for path in paths] for kind, paths in found.items()}
    total = sum(map(len, found.values()))
    observed = ", ".join(f"{len(paths):,} {kind}" for kind, paths in found.items())
    if gone:
        message = f"The folder is gone: {plural(total, 'locked file')} of it {are(total)} missing."
    elif new:
        message = f"The folder is not in the lock file: {plural(total, 'file')} of it {are(total)} new."
    else:
        said = "; ".join(f"{len(listing):,} {kind} ({listed(listing)})" for kind, listing in names.items())
        message = f"{plural(total, 'file')} of the folder differ from the lock file: {said}."
    examples = tuple(f"{name}: {kind}" for kind, listing in names.items() for name in listing)
    return Found(
        folder_subject(context, folder),
        message,
        "the files that were locked",
        observed,
        _owner(context, [path for paths in found.values() for path in paths]),
        total,
        examples,
    )
