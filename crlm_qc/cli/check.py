"""`crlm-qc check`: audits a release."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from crlm_qc.auditing.engine import executor_of
from crlm_qc.auditing.memory import Memory, remember
from crlm_qc.auditing.run import audit
from crlm_qc.cli.actions import annotate, in_actions, say_safely, shown, summarise, summary_file
from crlm_qc.cli.attest import AttestOption, Record
from crlm_qc.cli.clock import Watch, save_run
from crlm_qc.cli.configured import request_by, tell_configuration
from crlm_qc.cli.options import (
    AllowDidWaiversOption,
    AnchorOption,
    AnonymousOption,
    BaselineOption,
    CacheOption,
    ClinicalOption,
    ColourOption,
    ConfigOption,
    DepthOption,
    EndpointOption,
    Engine,
    EngineOption,
    FailOnNew,
    FailOnNewOption,
    FileListOption,
    ForceOption,
    IgnoreOption,
    IsolatedOption,
    JobsOption,
    KeepRunsOption,
    KnownIssuesOption,
    LockOption,
    ManifestOption,
    MetadataOption,
    NoCacheOption,
    PartOption,
    PatientsOption,
    ProfileOption,
    QuietOption,
    SchedulerOption,
    SelectOption,
    SeverityOption,
    ToleranceOption,
)
from crlm_qc.cli.outputs import Output, choose_outputs, stream_beside, write_outputs
from crlm_qc.cli.pictures import Album, PicturesOption
from crlm_qc.cli.progress import progress_on
from crlm_qc.cli.saved import check_anchor, options_for
from crlm_qc.cli.terminal import Colour, say, style_of
from crlm_qc.model.picture import PictureMode
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.model.settings import Depth
from crlm_qc.model.standing import UNSEEN
from crlm_qc.model.words import plural
from crlm_qc.report import ALWAYS, FORMATS, text, words
from crlm_qc.request.keys import KEPT
from crlm_qc.request.request import Request, keep_out, reports_of
from crlm_qc.request.runs import Earlier, Runs, baseline_of, refuse_narrower

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence


def check(
    ctx: typer.Context,
    release: Annotated[
        Path, typer.Argument(help="Folder, archive or URL of the release, or folder of evidence that --evidence wrote.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the reports. Default: reports/<release name>.")
    ] = None,
    force: ForceOption = False,
    keep_runs: KeepRunsOption = KEPT,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[:PATH]",
            help=f"Another report: {', '.join(FORMATS)}; PATH - is standard output. Repeatable.",
        ),
    ] = None,
    select: SelectOption = None,
    ignore: IgnoreOption = None,
    severity: SeverityOption = None,
    tolerance: ToleranceOption = None,
    fail_on: FailOnNewOption = FailOnNew.ERROR,
    baseline: BaselineOption = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="Part of the release on purpose: skip what compares the whole.")
    ] = False,
    patients: PatientsOption = None,
    part: PartOption = None,
    depth: DepthOption = Depth.PIXELS,
    standard: Annotated[
        bool,
        typer.Option(
            "--standard",
            help="Also run dciodvfy and dcentvfy (pip install crlm-qc\\[standard]): what DICOM itself asks.",
        ),
    ] = False,
    all_objects: Annotated[
        bool,
        typer.Option("--all-objects", help="Also audit segmentation objects of others beside the published ones."),
    ] = False,
    jobs: JobsOption = None,
    engine: EngineOption = Engine.LOCAL,
    scheduler: SchedulerOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            help="Also write the evidence tables (Parquet) to this folder; with --part, what crlm-qc evidence merge takes.",
        ),
    ] = None,
    metadata: MetadataOption = None,
    clinical: ClinicalOption = None,
    manifest: ManifestOption = None,
    listing: FileListOption = None,
    endpoint: EndpointOption = None,
    anonymous: AnonymousOption = False,
    lock: LockOption = None,
    attest: AttestOption = None,
    pictures: PicturesOption = PictureMode.AUTO,
    waivers: Annotated[
        list[Path] | None,
        typer.Option(
            "--waivers", help="Findings that were accepted (TOML): shown as waived, counted apart. Repeatable."
        ),
    ] = None,
    allow_did_waivers: AllowDidWaiversOption = False,
    known_issues: KnownIssuesOption = True,
    redact_paths: Annotated[
        bool,
        typer.Option(
            "--redact-paths",
            help="Name folders in reports after patient and contents alone: CRLM-CT-1046/CT/1-045.dcm.",
        ),
    ] = False,
    profile: ProfileOption = None,
    sarif_anchor: AnchorOption = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 where findings would exit with 1.")
    ] = False,
    allow_incomplete: Annotated[
        bool,
        typer.Option("--allow-incomplete", help="Exit by the findings alone where something could not be checked."),
    ] = False,
    quiet: QuietOption = 0,
    color: ColourOption = Colour.AUTO,
    config: ConfigOption = None,
    isolated: IsolatedOption = False,
) -> None:
    """Audit a release; write findings.json and report.html.

    Nothing is ever written into the release. Options may also stand in a configuration file, or in the environment
    as CRLM_QC_FAIL_ON does for --fail-on: crlm-qc config shows what holds.
    """
    # Of these values those count that were typed: the request knows what else holds.
    raise typer.Exit(_check(release, request_by(ctx, locals()), force=force))


def _check(release: Path, request: Request, *, force: bool) -> ExitCode:
    """Audit, write what was asked for, and tell of it."""
    watch = Watch()
    folder = request.out or reports_of(release)
    outputs = choose_outputs(request.outputs, FORMATS, folder, ALWAYS)
    anchor = check_anchor(request.sarif_anchor)
    record = Record.asked(release, request)
    runs = Runs(folder)
    keep_out(release, [*_places(folder, outputs, request, record), *([runs.place] if request.keep_runs else [])])
    if not force:
        refuse_narrower(request, folder)
    earlier = baseline_of(request, folder)
    if not request.quiet:
        tell_configuration(request.configuration)
    # What is signed for was read.
    memory = None if record else remember(release, request, purpose=request.pictures)
    album = Album(release, request)
    try:
        report = _audit(release, request, album, record, memory)
    except KeyboardInterrupt:
        _tell_stopped(memory, folder)
        raise
    album.put(folder)
    run = replace(watch.stop(), cache=None if memory is None else memory.use)
    report, last = _compared(replace(report, run=run), earlier, runs, request)
    trend = runs.trend(report, request.keep_runs)
    with _telling_of_a_stop(folder):
        save_run(run, folder)
        write_outputs(report, outputs, options_for(anchor=anchor, pictures=album.files, trend=trend))
        runs.keep(report, run.started, request.keep_runs)
    _tell(report if last is None else last.beside(report), outputs, folder, request)
    _tell_unseen(report, request)
    signed = _sign_off(record, report, None if request.quiet else stream_beside(outputs))
    ended = report.exit_code(request.fail_on, allow_incomplete=request.allow_incomplete, new_alone=request.new_alone)
    code = max(ended, signed)
    return ExitCode.CLEAN if request.exit_zero and code is ExitCode.FINDINGS else code


def _compared(report: Report, earlier: Earlier | None, runs: Runs, request: Request) -> tuple[Report, Earlier | None]:
    """The report as it is written, and the earlier audit that it is only told beside."""
    baseline = runs.baseline(report, request, earlier)
    if baseline is not None:
        return baseline.beside(report), None
    if request.baseline is None:
        # For whom nothing is said, nothing is read.
        return report, None if request.quiet else runs.last(report)
    if request.quiet < 2:
        say(f"crlm-qc: {words.NO_LAST}", to=sys.stderr)
    return report, None


def _places(folder: Path, outputs: Sequence[Output], request: Request, record: Record | None) -> list[Path]:
    """Everywhere that the command may write to."""
    return [
        folder,
        *(item.path for item in outputs if item.path),
        *([request.evidence] if request.evidence else []),
        *(record.places if record else []),
    ]


def _audit(release: Path, request: Request, album: Album, record: Record | None, memory: Memory | None) -> Report:
    """What the audit came to, with its pictures; album and record get what they need of the evidence."""
    from crlm_qc.evidence.store import is_evidence

    executor = executor_of(request)

    def keep(evidence: Evidence) -> None:
        album.keep(evidence)
        if record:
            record.keep(evidence)

    parquet = request.evidence is not None or is_evidence(release) or request.access.listing is not None
    with progress_on(quiet=request.quiet > 0) as progress, _pyarrow(wanted=parquet):
        report = audit(
            release,
            **request.audited(),
            evidence_to=request.evidence,
            progress=progress,
            hashed=record is not None,
            on_evidence=keep,
            memory=memory,
            executor=executor,
        )
        report = album.illustrate(report, progress, memory)
    if memory is not None:
        album.take(memory.pictures)
        if album.lasts:
            memory.keep(report, album.files)
        memory.end()
    return report


@contextmanager
def _pyarrow(*, wanted: bool) -> Iterator[None]:
    """Have pandas do without pyarrow where no Parquet is read or written: its import takes long, and much memory."""
    hidden = not wanted and "pyarrow" not in sys.modules
    if hidden:
        sys.modules["pyarrow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            sys.modules.pop("pyarrow", None)


def _tell_stopped(memory: Memory | None, folder: Path) -> None:
    """Say what a stopped audit leaves behind: what was read, and no report of a part."""
    if memory is not None and memory.kept:
        again = "the same command goes on from there"
        say(f"crlm-qc: {plural(memory.kept, 'patient')} read so far and kept in the cache: {again}", to=sys.stderr)
    there = folder / FORMATS["json"].goes_to
    left = f"; {shown(there)} is of an earlier audit" if there.is_file() else ""
    say(f"crlm-qc: no report was written{left}", to=sys.stderr)


@contextmanager
def _telling_of_a_stop(folder: Path) -> Iterator[None]:
    """Say what a stop leaves behind while reports are written: each file is put in its place whole."""
    try:
        yield
    except KeyboardInterrupt:
        whole = "every file is whole, but some may be of an earlier audit"
        say(f"crlm-qc: stopped while reports were written to {shown(folder)}: {whole}", to=sys.stderr)
        raise


def _sign_off(record: Record | None, report: Report, to: TextIO | None) -> ExitCode:
    """Write the sign-off record, if one was asked for."""
    return ExitCode.CLEAN if record is None else record.write(report, to)


def _tell(report: Report, outputs: Sequence[Output], folder: Path, request: Request) -> None:
    """Print the summary: to standard output, or to standard error if a format for programs went there."""
    stream = stream_beside(outputs)
    every = folder / FORMATS["json"].goes_to
    style = replace(style_of(stream, Colour(request.color)), results=shlex.quote(shown(every)))
    lines = [text.verdict(report, style)] if request.quiet < 2 else []
    if not request.quiet:
        written = [(item.format.name, item.path) for item in outputs if item.path is not None and item.path != every]
        lines = [text.render(report, style).rstrip("\n")]
        lines += [f"{name} report: {shown(path)}" for name, path in written]
        lines += [f"every finding: {shown(every)}"]
        if report.run and report.run.seconds is not None:
            lines += [f"audited in {words.duration(report.run.seconds)}"]
        if report.run and report.run.cache is not None:
            lines += [f"{words.from_cache(report.run.cache)}; --no-cache reads all"]
    for line in lines:
        say_safely(line, stream)
    if in_actions():
        _tell_actions(report, {item.format.name for item in outputs}, stream)


def _tell_unseen(report: Report, request: Request) -> None:
    """Say what passes as not new only because the baseline did not look there."""
    if not request.new_alone or request.fail_on is None or request.quiet > 1:
        return
    unseen = sum(
        one.baseline is not None and one.baseline.state in UNSEEN and one.severity.at_least(request.fail_on)
        for one in report.findings
        if one.waived is None
    )
    if unseen:
        say(
            f"crlm-qc: {plural(unseen, 'finding')} passed as not new: of rules or patients that the baseline did not look at; "
            "a baseline as wide and as deep would tell",
            to=sys.stderr,
        )


def _tell_actions(report: Report, formats: Container[str], stream: TextIO) -> None:
    """Annotate the run and sum the step up, unless the user has asked for the one or the other."""
    if "github" not in formats:
        annotate(report, stream)
    if "markdown" not in formats and (summary := summary_file()):
        summarise(report, summary)
