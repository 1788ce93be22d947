"""`crlm-qc check`: audits a release."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from crlm_qc.auditing.run import audit
from crlm_qc.cli.actions import annotate, harmless, in_actions, summarise, summary_file
from crlm_qc.cli.attest import AttestOption, Record
from crlm_qc.cli.clock import Watch, save_run
from crlm_qc.cli.configured import over_the_file, severities, tell_configuration, tolerances
from crlm_qc.cli.options import (
    ColourOption,
    ConfigOption,
    FailOn,
    IsolatedOption,
    JobsOption,
    ProfileOption,
    QuietOption,
    ToleranceOption,
)
from crlm_qc.cli.outputs import Output, choose_outputs, write_outputs
from crlm_qc.cli.pictures import PICTURED, Album, PicturesOption
from crlm_qc.cli.saved import check_anchor
from crlm_qc.cli.terminal import Colour, progress_on, say, style_of
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import load_waivers
from crlm_qc.model.picture import PictureMode
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.report import ALWAYS, FORMATS, text, words
from crlm_qc.request.request import Parts, keep_out, listed_patients, split_codes

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence


def check(
    ctx: typer.Context,
    release: Annotated[Path, typer.Argument(help="Folder of the release, or of evidence that --evidence wrote.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the reports. Default: reports/<release name>.")
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[:PATH]",
            help=f"Another report: {', '.join(FORMATS)}; PATH - is standard output. Repeatable.",
        ),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option("--select", metavar="CODES", help="Only these rules: codes or beginnings of codes."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="CODES", help="All but these rules.")] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option(
            "--severity", metavar="CODE=LEVEL", help="Give a rule another severity: error, warning, info or off."
        ),
    ] = None,
    tolerance: ToleranceOption = None,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="Mildest severity that exits with 1.")] = FailOn.ERROR,
    subset: Annotated[
        bool, typer.Option("--subset", help="Part of the release on purpose: skip what compares the whole.")
    ] = False,
    patients: Annotated[
        list[str] | None,
        typer.Option("--patients", metavar="IDS|@FILE", help="Only these patients, by comma, or one a line in a file."),
    ] = None,
    depth: Annotated[
        Depth, typer.Option("--depth", help="How deep to read; each level holds the one before.")
    ] = Depth.PIXELS,
    jobs: JobsOption = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="Also write the evidence tables (Parquet) to this folder.")
    ] = None,
    metadata: Annotated[Path | None, typer.Option("--metadata", help="metadata.csv, where it is not found.")] = None,
    clinical: Annotated[
        Path | None, typer.Option("--clinical", help="Clinical workbook, where it is not found.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option("--manifest", help=".tcia manifest, where it is not found.")] = None,
    lock: Annotated[
        Path | None, typer.Option("--lock", help="Compare every byte with the lock file that crlm-qc lock wrote.")
    ] = None,
    attest: AttestOption = None,
    pictures: PicturesOption = PictureMode.AUTO,
    waivers: Annotated[
        list[Path] | None,
        typer.Option(
            "--waivers", help="Findings that were accepted (TOML): shown as waived, counted apart. Repeatable."
        ),
    ] = None,
    allow_did_waivers: Annotated[
        bool,
        typer.Option(
            "--allow-did-waivers", help="Let waivers accept what identifies a person: errors of the family DID."
        ),
    ] = False,
    known_issues: Annotated[
        bool,
        typer.Option("--known-issues/--no-known-issues", help="Waive the documented faults of the published release."),
    ] = True,
    redact_paths: Annotated[
        bool,
        typer.Option(
            "--redact-paths",
            help="Name folders in reports after patient and contents alone: CRLM-CT-1046/CT/1-045.dcm.",
        ),
    ] = False,
    profile: ProfileOption = None,
    sarif_anchor: Annotated[
        str | None,
        typer.Option("--sarif-anchor", metavar="PATH", help="File of the repository that SARIF results are shown at."),
    ] = None,
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
    del config, isolated  # they were read before the options were parsed
    watch = Watch()
    folder = out or Path("reports") / (release.resolve().name or "release")
    outputs = choose_outputs(output or (), FORMATS, folder, ALWAYS)
    anchor = check_anchor(sarif_anchor)
    levels, off = severities(over_the_file(ctx, "severity", severity))
    settings = Settings(
        depth=depth,
        subset=subset,
        select=split_codes(select),
        ignore=(*split_codes(ignore), *off),
        patients=listed_patients(patients),
        severity=levels,
        known_issues=known_issues,
        tolerances=tolerances(over_the_file(ctx, "tolerances", tolerance)),
        redact_paths=redact_paths,
    )
    record = Record.asked(attest, release, lock, settings)
    places = [folder, *(item.path for item in outputs if item.path), *([evidence] if evidence else [])]
    keep_out(release, [*places, *(record.places if record else [])])
    used = load_profile(profile).with_tolerances(settings.tolerances)
    accepted = [waiver for path in waivers or () for waiver in load_waivers(path)]
    if not quiet:
        tell_configuration(ctx)
    album = Album(release, used, pictures, jobs)
    with progress_on(quiet=quiet > 0) as progress:
        report = audit(
            release,
            settings=settings,
            profile=used,
            parts=Parts(metadata, clinical, manifest),
            lock=lock,
            jobs=jobs,
            evidence_to=evidence,
            waivers=accepted,
            progress=progress,
            hashed=record is not None,
            on_evidence=_each_of([album.keep, *([record.keep] if record else [])]),
            allow_did_waivers=allow_did_waivers,
        )
        report = album.illustrate(report, progress)
    album.put(folder)
    run = watch.stop()
    report = replace(report, run=run)
    save_run(run, folder)
    options: dict[str, dict[str, object]] = {name: {"pictures": album.files} for name in PICTURED}
    write_outputs(report, outputs, {**options, **({"sarif": {"anchor": anchor}} if anchor else {})})
    _tell(report, outputs, folder, color, quiet=quiet)
    code = report.exit_code(fail_on.severity, allow_incomplete=allow_incomplete)
    if record:
        stream = sys.stderr if any(item.machine for item in outputs) else sys.stdout
        code = max(code, record.write(report, used, accepted, None if quiet else stream))
    raise typer.Exit(ExitCode.CLEAN if exit_zero and code is ExitCode.FINDINGS else code)


def _each_of(keepers: Sequence[Callable[[Evidence], None]]) -> Callable[[Evidence], None]:
    def keep(evidence: Evidence) -> None:
        for keeper in keepers:
            keeper(evidence)

    return keep


def _tell(report: Report, outputs: Sequence[Output], folder: Path, colour: Colour, *, quiet: int) -> None:
    """Print the summary: to standard output, or to standard error if a format for programs went there."""
    stream = sys.stderr if any(item.machine for item in outputs) else sys.stdout
    every = folder / FORMATS["json"].goes_to
    style = replace(style_of(stream, colour), results=shlex.quote(str(every)))
    lines = [text.verdict(report, style)] if quiet < 2 else []
    if not quiet:
        written = [item for item in outputs if item.path is not None and item.path != every]
        lines = [text.render(report, style).rstrip("\n")]
        lines += [f"{item.format.name} report: {item.path}" for item in written]
        lines += [f"every finding: {every}"]
        if report.run and report.run.seconds is not None:
            lines += [f"audited in {words.duration(report.run.seconds)}"]
    for line in lines:
        say(harmless(line) if in_actions() else line, to=stream)
    if in_actions():
        _tell_actions(report, {item.format.name for item in outputs}, stream)


def _tell_actions(report: Report, formats: Container[str], stream: TextIO) -> None:
    """Annotate the run and sum the step up, unless the user has asked for the one or the other."""
    if "github" not in formats:
        annotate(report, stream)
    if "markdown" not in formats and (summary := summary_file()):
        summarise(report, summary)
