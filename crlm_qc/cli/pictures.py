"""Pictures on the command line: those of a report, and those of one patient on request."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crlm_qc.auditing.memory import Memory, remember
from crlm_qc.cli.actions import shown
from crlm_qc.cli.configured import request_by
from crlm_qc.cli.options import (
    AnonymousOption,
    CacheOption,
    EndpointOption,
    FileListOption,
    JobsOption,
    NoCacheOption,
    ProfileOption,
)
from crlm_qc.cli.progress import progress_on
from crlm_qc.cli.terminal import say
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.errors import UsageError
from crlm_qc.model.picture import Picture, PictureMode
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.words import did_you_mean, plural
from crlm_qc.pictures.album import FOLDER, fitted, illustrate, load_files, make, page_size, stale_files
from crlm_qc.report import words
from crlm_qc.report.writing import can_be_written, put
from crlm_qc.request.request import Request, keep_out, reports_of

if TYPE_CHECKING:
    from crlm_qc.evidence.source import Source
    from crlm_qc.model.evidence import Evidence
    from crlm_qc.workers import Progress

PICTURED = ("html", "html-dir")
"""Formats that show pictures."""
SHEET, REPORT = "contact-sheet.html", "report.html"
"""File of the contact sheet, and of the report that it links to if that lies beside it."""

PicturesOption = Annotated[
    PictureMode,
    typer.Option(
        "--pictures", help="Pictures in the HTML report: of patients with a finding that can be seen, none, or of all."
    ),
]


@dataclass
class Album:
    """The pictures of one audit."""

    release: Path
    request: Request
    files: dict[str, bytes] = field(default_factory=dict, init=False)
    """Files of the pictures, by their names."""
    _evidence: list[Evidence] = field(default_factory=list, init=False)
    _made: Sequence[Picture] = field(default=(), init=False)

    def keep(self, evidence: Evidence) -> None:
        """Take the evidence that pictures are chosen by."""
        self._evidence.append(evidence)

    def illustrate(self, report: Report, progress: Progress | None, memory: Memory | None = None) -> Report:
        """The report with as many pictures as a page may have; what was cut is said on standard error.

        It stays as it is if no evidence was kept.
        """
        from crlm_qc.workers import default_jobs

        if not self._evidence:
            return report
        asked = self.request
        made, files = illustrate(
            report,
            self._evidence[-1],
            self.release,
            asked.profile,
            asked.pictures,
            processes=asked.jobs or default_jobs(),
            progress=progress,
            kept=memory,
            source=_listed(memory),
            access=asked.access,
        )
        self._made = made.pictures
        cut, self.files = fitted(made, files, page_size)
        for note in cut.picture_notes if files else ():
            say(f"crlm-qc: {note}", to=sys.stderr)
        return cut

    def take(self, files: Mapping[str, bytes] | None) -> None:
        """Take the files of a report that was remembered, if it was."""
        if files is not None:
            self.files = dict(files)

    @property
    def lasts(self) -> bool:
        """Whether all pictures are what they would be another time: none is missing for want of a process or of memory."""
        from crlm_qc.pictures.make import lasts

        return lasts(self._made)

    def put(self, folder: Path) -> None:
        """Write the files beside findings.json, and take away those of an earlier report.

        Raises
        ------
        UsageError
            A file can't be written or taken away.
        """
        for old in stale_files(folder / FOLDER, self.files):
            try:
                old.unlink(missing_ok=True)
            except OSError as error:
                raise UsageError(f"{old} can't be removed: {os.strerror(error.errno or 0).lower()}") from None
        for name, content in self.files.items():
            put(folder / FOLDER / name, content)


def _listed(memory: Memory | None) -> Source | None:
    """The release as it was listed before it was read: what is kept of its pictures must be of that."""
    return None if memory is None or memory.release is None else memory.release.source


def saved_pictures(report: Report, findings: Path) -> dict[str, bytes]:
    """The files of a saved report's pictures; how many are missing is said on standard error."""
    files = load_files(report, findings.parent)
    missing = sum(picture.file is not None and picture.file not in files for picture in report.pictures)
    if missing:
        where = findings.parent / FOLDER
        say(f"crlm-qc: {plural(missing, 'picture')} can't be shown: not found in {shown(where)}", to=sys.stderr)
    return files


def pictures(
    ctx: typer.Context,
    release: Annotated[Path, typer.Argument(help="Folder, archive or URL of the release.")],
    patient: Annotated[
        str | None, typer.Argument(help="Patient ID, such as CRLM-CT-1046; none with --contact-sheet.")
    ] = None,
    contact_sheet: Annotated[
        bool, typer.Option("--contact-sheet", help="One HTML page of all patients, an image each.")
    ] = False,
    segment: Annotated[
        str | None,
        typer.Option(
            "--segment", metavar="LABEL", help="Every slice of this segment: its label, such as Tumor_1, or number."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder to write to. Default: reports/<release name>/<patient>, or without <patient>."
        ),
    ] = None,
    jobs: JobsOption = None,
    listing: FileListOption = None,
    endpoint: EndpointOption = None,
    anonymous: AnonymousOption = False,
    profile: ProfileOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
) -> None:
    """Write pictures of a patient as PNG: CT slices in a liver window, with the contours of the masks.

    Liver (L) solid red, remnant (R) dashed red, veins (H, P) dotted blue, tumours (T1, T2 ...) dash-dotted green.
    Without --segment: the largest cross-section of every segment, and a coronal reformat. With --contact-sheet: a page
    of all patients, contact-sheet.html, with one image each. Exits with 3 if a picture could not be made.
    """
    from crlm_qc.evidence.store import is_evidence

    if contact_sheet and (patient is not None or segment is not None):
        raise UsageError("--contact-sheet is of all patients: leave out PATIENT and --segment")
    if not contact_sheet and patient is None:
        raise UsageError("of whom? Give PATIENT, a patient ID, or --contact-sheet for a page of all patients")
    folder = out or (reports_of(release) if patient is None else reports_of(release) / _safe(patient))
    keep_out(release, [folder])
    can_be_written([folder / (SHEET if patient is None else "picture.png")])
    if is_evidence(release):
        raise UsageError(f"{release} is saved evidence, which holds no images: give the release itself")
    used = load_profile(profile)
    # Of options that other sources may set, this command has those of the cache, of places and of processes alone.
    asked = request_by(
        ctx,
        {
            "release": release,
            "cache": cache,
            "no_cache": no_cache,
            "listing": listing,
            "endpoint": endpoint,
            "anonymous": anonymous,
            "jobs": jobs,
        },
    )
    asked = replace(asked, profile=used)
    whole = _sheet(release, asked, folder) if patient is None else _of_one(release, asked, folder, patient, segment)
    raise typer.Exit(ExitCode.CLEAN if whole else ExitCode.INCOMPLETE)


def _of_one(release: Path, asked: Request, folder: Path, patient: str, segment: str | None) -> bool:
    """Write the pictures of a patient; whether all could be made."""
    from crlm_qc.pictures.choose import overview, segments_of
    from crlm_qc.rulebook.context import Context

    memory = remember(release, asked)
    with progress_on(quiet=False) as progress:
        evidence = _read(release, asked, memory, progress, [patient], 1)
        context = Context(evidence, asked.profile)
        chosen = overview(context, patient, _segment(segments_of(context, patient), segment, patient))
        made, files = make(
            chosen,
            release,
            asked.profile,
            progress=progress,
            png=True,
            kept=memory,
            source=_listed(memory),
            access=asked.access,
        )
    if memory is not None:
        memory.end()
    for name, content in files.items():
        put(folder / name, content)
    for picture in made:
        _tell(picture, folder)
    return bool(made) and all(picture.file is not None for picture in made)


def _sheet(release: Path, asked: Request, folder: Path) -> bool:
    """Write the contact sheet of a release; whether every patient is on it."""
    from crlm_qc.auditing.judging import judge
    from crlm_qc.pictures.choose import contact_sheet
    from crlm_qc.pictures.sheet import fitted as fitted_sheet
    from crlm_qc.report.html.sheet import render
    from crlm_qc.rulebook.context import Context
    from crlm_qc.rules import registry
    from crlm_qc.workers import default_jobs

    memory, processes = remember(release, asked), asked.jobs or default_jobs()
    with progress_on(quiet=False) as progress:
        evidence = _read(release, asked, memory, progress, [], processes)
        hiding = [rule for rule in registry() if rule.seen is not None and rule.seen.hides]
        report = judge(evidence, asked.profile, Settings(depth=Depth.MASKS, subset=True), hiding)
        made, files = make(
            contact_sheet(Context(evidence, asked.profile), report.findings),
            release,
            asked.profile,
            processes=processes,
            progress=progress,
            kept=memory,
            source=_listed(memory),
            access=asked.access,
        )
    if memory is not None:
        memory.end()
    beside = REPORT if (folder / REPORT).is_file() else ""

    def size(pictures: Sequence[Picture], files: Mapping[str, bytes]) -> int:
        return len(render(report, pictures, files, beside=beside).encode("utf-8", "replace"))

    shown_ones, left, notes = fitted_sheet(made, files, size)
    put(folder / SHEET, render(report, shown_ones, left, notes=notes, beside=beside))
    for picture in shown_ones:
        if picture.file is None:
            what = f"{words.clean(picture.patient)}: {words.clean(picture.reason)}"
            say(f"crlm-qc: no picture of {what}", to=sys.stderr)
    for note in notes:
        say(f"crlm-qc: {note}", to=sys.stderr)
    say(f"{shown(folder / SHEET)}  {plural(len(shown_ones), 'patient')}, {plural(len(left), 'image')}")
    return bool(left) and len(left) == len(shown_ones)


def _read(
    release: Path,
    asked: Request,
    memory: Memory | None,
    progress: Progress | None,
    patients: Sequence[str],
    processes: int,
) -> Evidence:
    """What pictures on request are chosen by."""
    from crlm_qc.evidence.collect import collect

    if memory is not None:
        memory.look(release, asked)
    return collect(
        release,
        asked.profile,
        depth=Depth.MASKS,
        patients=patients,
        jobs=processes,
        progress=progress,
        kept=memory,
        listed=None if memory is None else memory.release,
        access=asked.access,
    )


def _tell(picture: Picture, folder: Path) -> None:
    """Say where a picture is, or why there is none."""
    if picture.file is not None:
        say(f"{shown(folder / picture.file)}  {words.clean(picture.title)}. {words.clean(picture.caption)}")
    else:
        what = f"{words.clean(picture.title)}: " if picture.title else ""
        say(f"crlm-qc: no picture: {what}{words.clean(picture.reason)}", to=sys.stderr)


def _safe(patient: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", patient) or "patient"


def _segment(known: Mapping[str, int], asked: str | None, patient: str) -> int | None:
    """Number of the segment that was asked for."""
    if asked is None:
        return None
    plain = {re.sub(r"[\s_-]", "", label).lower(): number for label, number in known.items()}
    number = plain.get(re.sub(r"[\s_-]", "", asked).lower())
    if number is None and asked.isdigit() and int(asked) in known.values():
        number = int(asked)
    if number is None:
        has = f"It has {words.listing(known)}" if known else "It has none that can be read"
        close = did_you_mean(asked, known) or "."
        raise UsageError(f"--segment {shlex.quote(asked)}: {patient} has no such segment{close} {has}")
    return number
