"""The pictures of one report: made from evidence and images, cut to the size of a page, kept as files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.collection.profile import Profile
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.picture import PICTURE_FILE, SMALL_SIDE, Picture, PictureMode, PictureRequest
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth
from crlm_qc.rulebook.context import Context

if TYPE_CHECKING:
    from crlm_qc.evidence.source import Source
    from crlm_qc.pictures.make import Kept
    from crlm_qc.workers import Progress

Measure = Callable[[Report, Mapping[str, bytes]], int]
"""Bytes of the page that a report makes with its pictures."""

FOLDER = "pictures"
"""Folder of the files, beside findings.json."""
MAX_PAGE = 10_000_000
"""Bytes that a page may have with its pictures."""
MAX_FILE = 1_000_000
"""Bytes of a picture's file that are still read; those that are written have some ten thousand."""
_OURS = re.compile(r"[A-Za-z0-9_-]{1,60}-[0-9]{1,3}\.webp")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]+")
_TABLES = (
    "patients",
    "files",
    "slices",
    "dsos",
    "references",
    "frames",
    "segments",
    "segment_pairs",
    "alignments",
    "borders",
)


def illustrate(
    report: Report,
    evidence: Evidence,
    release: Path,
    profile: Profile,
    mode: PictureMode,
    *,
    processes: int = 1,
    progress: Progress | None = None,
    kept: Kept | None = None,
    source: Source | None = None,
    access: Access = PLAIN,
) -> tuple[Report, dict[str, bytes]]:
    """Give a report its pictures.

    Parameters
    ----------
    report : Report
        A report without pictures.
    evidence : Evidence
        The evidence that it was judged on.
    release : pathlib.Path
        Folder of the release, or of saved evidence.
    profile : Profile
        The collection's profile.
    mode : PictureMode
        Which patients get pictures.
    processes : int
        Processes to draw with.
    progress : callable, optional
        Told of the drawing's progress.
    kept : Kept, optional
        What earlier runs have drawn.
    source : Source, optional
        The release as it was listed for the audit; by default it is opened anew.
    access : Access, optional
        What the user said of a release that lies elsewhere.

    Returns
    -------
    report : Report
        The same with pictures, or with a note that says why there are none.
    files : dict of str to bytes
        Files of the pictures, by their names.
    """
    from crlm_qc.pictures.choose import deserving

    if mode is PictureMode.NONE:
        return report, {}
    wanted = set(evidence["slices"]["patient"].dropna()) if mode is PictureMode.ALL else set(deserving(report.findings))
    if not wanted:
        return report, {}
    if note := _impossible(evidence, release):
        return replace(report, picture_notes=(note,)), {}
    from crlm_qc.pictures.choose import choose_pictures

    context = Context(_only(evidence, wanted), profile, report.settings)
    chosen = choose_pictures(context, report.findings, mode)
    pictures, files = make(
        chosen, release, profile, processes=processes, progress=progress, kept=kept, source=source, access=access
    )
    return replace(report, pictures=pictures), files


def _impossible(evidence: Evidence, release: Path) -> str:
    """Why there can be no pictures; empty if there can."""
    from crlm_qc.evidence.store import is_evidence

    if is_evidence(release):
        return "No pictures: this is saved evidence, which holds no images."
    if evidence.facts.depth is Depth.HEADERS:
        return "No pictures: at depth headers no image is read."
    return ""


def _only(evidence: Evidence, patients: Collection[str]) -> Evidence:
    """The tables that pictures are chosen by, with rows of some patients alone."""
    tables = {name: evidence[name][evidence[name]["patient"].isin(patients)] for name in _TABLES}
    return Evidence(evidence.facts, tables)


def make(
    chosen: Sequence[PictureRequest | Picture],
    release: Path,
    profile: Profile,
    *,
    processes: int = 1,
    progress: Progress | None = None,
    png: bool = False,
    kept: Kept | None = None,
    source: Source | None = None,
    access: Access = PLAIN,
) -> tuple[tuple[Picture, ...], dict[str, bytes]]:
    """Make pictures, each with a file of a name of its own.

    Parameters
    ----------
    chosen : sequence of PictureRequest or Picture
        What to make, by patient.
    release : pathlib.Path
        Folder of the release.
    profile : Profile
        The collection's profile.
    processes : int
        Processes to draw with.
    progress : callable, optional
        Told of the drawing's progress.
    png : bool
        Whether to make PNG files with the contours burnt in, in place of WebP files without.
    kept : Kept, optional
        What earlier runs have drawn.
    source : Source, optional
        The release as it was listed for the audit; by default it is opened anew.
    access : Access, optional
        What the user said of a release that lies elsewhere.

    Returns
    -------
    pictures : tuple of Picture
        In the order of `chosen`.
    files : dict of str to bytes
        Their files, by names.
    """
    from crlm_qc.pictures.make import Job, Made, draw_all

    requests: dict[str, list[PictureRequest]] = {}
    by_patient: dict[str, Made] = {}
    for one in chosen:
        if isinstance(one, PictureRequest):
            requests.setdefault(one.patient, []).append(one)
        by_patient.setdefault(one.patient, [])
        if isinstance(one, Picture):
            by_patient[one.patient].append((one, b""))
    classes = tuple(profile.modalities["CT"])
    if requests and source is None:
        source = _opened(release, profile, access)
    jobs = [
        Job(source and source.only(path for one in mine for path in one.paths), classes, tuple(mine), png)
        for mine in requests.values()
    ]
    for patient, made in zip(requests, draw_all(jobs, processes, progress, kept), strict=True):
        by_patient[patient] += made
    pictures, files = [], {}
    taken: set[str] = set()
    for patient, made in by_patient.items():
        stem = _stem(patient, taken)
        for number, (picture, content) in enumerate(made, start=1):
            if content:
                name = f"{stem}-{number}.{'png' if png else 'webp'}"
                files[name] = content
                pictures.append(replace(picture, file=name))
            else:
                pictures.append(picture)
    return tuple(pictures), files


def _opened(release: Path, profile: Profile, access: Access) -> Source | None:
    """The release; None if it can't be opened any more."""
    from crlm_qc.evidence.places.opening import open_source

    try:
        return open_source(release, profile.is_patient_id, access, profile.name)
    except ReleaseError:
        return None


def _stem(patient: str, taken: set[str]) -> str:
    """Begin of the names of a patient's files."""
    plain = "-".join(_NOT_IN_NAME.sub("-", part) for part in patient.split("-")).strip("-")[:40] or "patient"
    stem, more = plain, 1
    while stem.lower() in taken:
        more += 1
        stem = f"{plain}_{more}"
    taken.add(stem.lower())
    return stem


def fitted(
    report: Report, files: Mapping[str, bytes], measure: Measure, limit: int = MAX_PAGE
) -> tuple[Report, dict[str, bytes]]:
    """Cut pictures until the page is small enough: smaller ones, then one a patient, then none; each cut is noted.

    Parameters
    ----------
    report : Report
        A report with pictures.
    files : mapping of str to bytes
        Their files.
    measure : callable
        How many bytes the page has.
    limit : int
        How many it may have.

    Returns
    -------
    report : Report
        The report with the pictures that are left, and notes of what was cut.
    files : dict of str to bytes
        Their files.
    """
    kept = dict(files)
    if not kept or measure(report, kept) <= limit:
        return report, kept
    from crlm_qc.pictures.drawing import smaller

    said = f"to keep the page under {limit / 1e6:g} MB"
    kept = {name: smaller(content, SMALL_SIDE) for name, content in kept.items()}
    report = _noted(report, f"Pictures are {SMALL_SIDE} pixels wide, {said}.")
    if measure(report, kept) <= limit:
        return report, kept
    first: dict[str, Picture] = {}
    # What shows a finding goes before what does not, and what is enlarged before the slice that it is framed on.
    for picture in sorted(report.pictures, key=lambda one: (not one.findings, one.frame is not None)):
        if picture.file is not None:
            first.setdefault(picture.patient, picture)
    left = tuple(one for one in report.pictures if one.file is None or first[one.patient] is one)
    report = _noted(replace(report, pictures=left), f"Only one picture a patient, of {len(kept)} in all, {said}.")
    kept = {picture.file: kept[picture.file] for picture in left if picture.file is not None}
    if measure(report, kept) <= limit:
        return report, kept
    return _noted(replace(report, pictures=()), f"No pictures, {said}."), {}


def _noted(report: Report, note: str) -> Report:
    return replace(report, picture_notes=(*report.picture_notes, note))


def page_size(report: Report, files: Mapping[str, bytes]) -> int:
    """Bytes of the HTML page of a report with its pictures."""
    from crlm_qc.report.html import render

    return len(render(report, pictures=files).encode("utf-8", "replace"))


def load_files(report: Report, folder: Path) -> dict[str, bytes]:
    """Read the files of a saved report's pictures.

    Parameters
    ----------
    report : Report
        The report.
    folder : pathlib.Path
        Folder of findings.json.

    Returns
    -------
    dict of str to bytes
        Those that are there and are WebP; a page has a box for the others.
    """
    found = {}
    for picture in report.pictures:
        if picture.file is None or not PICTURE_FILE.fullmatch(picture.file):
            continue
        try:
            with (folder / FOLDER / picture.file).open("rb") as stream:
                content = stream.read(MAX_FILE + 1)
        except OSError:
            continue
        if len(content) <= MAX_FILE and content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            found[picture.file] = content
    return found


def stale_files(folder: Path, files: Collection[str]) -> list[Path]:
    """Files of an earlier report's pictures, which this one does not have.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the pictures; it need not be there.
    files : collection of str
        Names of this report's files.

    Returns
    -------
    list of pathlib.Path
        Regular files whose names are of the form that pictures get.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        Path(entry.path)
        for entry in entries
        if entry.name not in files and _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
    ]
