"""The command line: parses, calls, writes, exits."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import shlex
import sys
import textwrap
import traceback
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from crlm_qc.auditing import Parts, Progress, UsageError, audit, rule_text
from crlm_qc.ci import annotate, harmless, in_actions, summarise, summary_file
from crlm_qc.cli_attest import AttestOption, Record
from crlm_qc.cli_attest import add_to as add_attest
from crlm_qc.cli_config import (
    WITH_ENVIRONMENT,
    ConfigOption,
    ConfiguredCommand,
    IsolatedOption,
    ToleranceOption,
    over_the_file,
    severities,
    tell_configuration,
    tolerances,
)
from crlm_qc.cli_config import add_to as add_config
from crlm_qc.cli_options import EXIT_CODES, ColourOption, FailOn, QuietOption
from crlm_qc.cli_pictures import PICTURED, Album, PicturesOption
from crlm_qc.cli_pictures import add_to as add_pictures
from crlm_qc.cli_results import add_to, check_anchor
from crlm_qc.cli_tables import add_to as add_tables
from crlm_qc.model.picture import PictureMode
from crlm_qc.model.plain import to_plain
from crlm_qc.model.profile import Profile, ProfileError, load_profile
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.model.rule import Registry, Rule, RuleKind
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.waivers import WaiverError, load_waivers
from crlm_qc.outputs import Output, can_be_written, choose_outputs, did_you_mean, put, write_outputs
from crlm_qc.report import ALWAYS, FORMATS, text, words
from crlm_qc.rules import registry
from crlm_qc.run import Watch, save_run
from crlm_qc.terminal import Colour, progress_on, say, style_of

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence
    from crlm_qc.synthetic.release import SyntheticRelease

INTERRUPTED = 130

app = typer.Typer(
    name="crlm-qc",
    help="Audits a release of CT series and segmentation objects in DICOM, with their tables.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Listing(StrEnum):
    """How the rules are listed."""

    TEXT = "text"
    JSON = "json"


class LayoutName(StrEnum):
    """How a synthetic release lies on disk."""

    NBIA = "nbia"
    CARD = "card"


class Edition(StrEnum):
    """Which edition of the workbook a synthetic release has."""

    OCTOBER_2022 = "october-2022"
    APRIL_2023 = "april-2023"


ProfileOption = Annotated[
    Path | None, typer.Option("--profile", help="Release profile (TOML) in place of the built-in one.")
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Processes to work with. Default: the cores.")
]


# --- the entry point -------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and exit with one of `ExitCode`, or 130 after Ctrl+C.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; by default that of this process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(_run([word for word in given if word != "--debug"], debug="--debug" in given))


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="crlm-qc", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        say("crlm-qc: stopped", to=sys.stderr)
        return INTERRUPTED
    except (UsageError, ProfileError, WaiverError) as error:
        return _refuse(str(error))
    except Exception as error:  # noqa: BLE001 - an exception that nobody caught would exit with 1, which means findings
        # Typer's own exceptions have no common base among its versions, but all can say what is wrong.
        if format_message := getattr(error, "format_message", None):
            return _refuse(f"{format_message().rstrip('.')}. See: crlm-qc --help" if arguments else "")
        if debug:
            # Not the exceptions' own words, which may hold values from files.
            for one in _causes(error):
                for frame in traceback.extract_tb(one.__traceback__):
                    say(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}', to=sys.stderr)
                say(type(one).__name__, to=sys.stderr)
        else:
            place = traceback.extract_tb(error.__traceback__)[-1]
            say(
                f"crlm-qc: a bug of crlm-qc: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}. "
                "Run it again with --debug to see where it was called from.",
                to=sys.stderr,
            )
        return ExitCode.BUG
    return int(code or 0)


def _causes(error: BaseException) -> list[BaseException]:
    """An exception after those that it came from."""
    found: list[BaseException] = []
    waiting: BaseException | None = error
    while waiting is not None and waiting not in found:
        found.insert(0, waiting)
        waiting = waiting.__cause__ or (None if waiting.__suppress_context__ else waiting.__context__)
    return found


def _refuse(message: str) -> int:
    if message:
        said = f"crlm-qc: {words.clean(message)}"
        say(harmless(said) if in_actions() else said, to=sys.stderr)
    return ExitCode.USAGE


def _version(asked: bool) -> None:
    if asked:
        from crlm_qc import __version__

        say(f"crlm-qc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a bug. Works with every command.")
    ] = False,
) -> None:
    pass


# --- check -----------------------------------------------------------------------------------------------------------


@app.command(cls=ConfiguredCommand, context_settings=WITH_ENVIRONMENT, epilog=EXIT_CODES)
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
        select=_codes(select),
        ignore=(*_codes(ignore), *off),
        patients=_patients(patients),
        severity=levels,
        known_issues=known_issues,
        tolerances=tolerances(over_the_file(ctx, "tolerances", tolerance)),
        redact_paths=redact_paths,
    )
    record = Record.asked(attest, release, lock, settings)
    places = [folder, *(item.path for item in outputs if item.path), *([evidence] if evidence else [])]
    _keep_out(release, [*places, *(record.places if record else [])])
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


def _keep_out(release: Path, places: Sequence[Path], instead: str = "a folder elsewhere: --out PATH") -> None:
    top = release.resolve()
    for place in places:
        if place.resolve().is_relative_to(top):
            raise UsageError(f"{place} lies in the release, which is never written to. Give {instead}")
    can_be_written(places)


def _codes(given: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(code for part in given or () for code in part.replace(",", " ").split())


def _patients(given: Iterable[str] | None) -> tuple[str, ...]:
    found: list[str] = []
    for part in given or ():
        listed = part
        if part.startswith("@"):
            try:
                listed = Path(part[1:]).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError):
                raise UsageError(f"--patients: {part[1:]} can't be read as a text file of patient IDs") from None
        found += listed.replace(",", " ").split()
        if not listed.strip(", \n\r\t"):
            raise UsageError(f"--patients {part} names no patient")
    return tuple(dict.fromkeys(found))


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


# --- lock ------------------------------------------------------------------------------------------------------------

LOCK_NAME = "release.lock"


@app.command(name="lock", epilog=EXIT_CODES)
def lock_command(
    release: Annotated[Path, typer.Argument(help="Folder of the release.")],
    lock: Annotated[
        Path | None,
        typer.Option(
            "--lock", metavar="FILE", help=f"Lock file to write. Default: reports/<release name>/{LOCK_NAME}."
        ),
    ] = None,
    jobs: JobsOption = None,
    profile: ProfileOption = None,
) -> None:
    """Write a lock file: the SHA-256 of every file, to compare the release with later.

    sha256sum -c reads it too. Nothing is ever written into the release, and no other lock file is overwritten. A lock
    file holds the names of all files and folders, which no report shows: it may be shared with whom the release may be.
    """
    from crlm_qc.evidence.collect import default_jobs
    from crlm_qc.evidence.lock import lock_release, render_lock
    from crlm_qc.evidence.release import ReleaseError
    from crlm_qc.evidence.store import is_evidence

    path = lock or Path("reports") / (release.resolve().name or "release") / LOCK_NAME
    _keep_out(release, [path], "a file elsewhere: --lock FILE")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the file to write, --lock {shlex.quote(str(path / LOCK_NAME))}")
    if is_evidence(release):
        raise UsageError(f"{release} is saved evidence: give the release itself")
    with progress_on(quiet=False) as progress:
        try:
            found = lock_release(release, load_profile(profile), jobs=jobs or default_jobs(), progress=progress)
        except ReleaseError as error:
            raise UsageError(str(error)) from None
    if found.unread:
        for said in found.unread[:LISTED]:
            say(f"crlm-qc: {words.clean(said)}", to=sys.stderr)
        rest = f", and {len(found.unread) - LISTED} more" if len(found.unread) > LISTED else ""
        say(f"crlm-qc: no lock file was written: not everything could be read{rest}", to=sys.stderr)
        raise typer.Exit(ExitCode.INCOMPLETE)
    if not found.entries:
        say(f"crlm-qc: no lock file was written: {words.clean(str(release))} holds no file", to=sys.stderr)
        raise typer.Exit(ExitCode.NOTHING)
    _write_lock(path, release, render_lock(found.entries))
    total = sum(entry.size or 0 for entry in found.entries)
    say(f"{words.plural(len(found.entries), 'file')} locked, {words.plural(total, 'byte')}.")
    if found.left_out:
        say(f"{words.plural(found.left_out, 'link or device', 'links and devices')} left out: see REL013 and REL007.")
    if strange := found.strange_names:
        say(
            f"crlm-qc: the lock file names {words.plural(strange, 'file')} by words that are not the collection's: keep "
            "it where the release is kept",
            to=sys.stderr,
        )
    say(f"lock file: {path}")
    say(f"to compare: {_comparison(release, path)}")


LISTED = 5


def _comparison(release: Path, lock: Path) -> str:
    return f"crlm-qc check {shlex.quote(str(release))} --lock {shlex.quote(str(lock))}"


def _write_lock(path: Path, release: Path, content: bytes) -> None:
    """Write a lock file, but over no other: it may be all that tells a damaged release from the one that was locked."""
    try:
        before = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {os.strerror(error.errno or 0).lower()}") from None
    if before not in (None, content):
        raise UsageError(
            f"{path} is there already and differs from the release as it is. To see how: {_comparison(release, path)}. "
            "To lock the release as it is, remove that file first, or name another with --lock FILE"
        )
    put(path, content)


# --- saved results ---------------------------------------------------------------------------------------------------

add_to(app)
add_attest(app)
add_config(app)
add_pictures(app)
add_tables(app)


# --- demo and synth --------------------------------------------------------------------------------------------------

DEMO_PATIENTS = 6
DEMO_MATRIX = 128
"""A quarter of the published matrix each way: written and read in seconds, with the profile made to fit."""
DEMO_SLICES = 40
DEMO_SEED = 2022
DEMO_FAULTS = (
    "ct-slice-lost:CRLM-CT-1002",
    "dso-sources-swapped:CRLM-CT-1003",
    "image-mirrored:CRLM-CT-1004",
    "tumour-annotated-twice:CRLM-CT-1005",
    "clinical-response-sum:CRLM-CT-1001",
    "row-images-off:CRLM-CT-1003",
    "manifest-entry-missing:CRLM-CT-1006",
    "sex-differs:CRLM-CT-1006",
    "patient-name:CRLM-CT-1006",
)


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to write; by default a new temporary folder.")
    ] = None,
    jobs: JobsOption = None,
    color: ColourOption = Colour.AUTO,
) -> None:
    """Write a small synthetic release with planted faults, audit it, and say whether each was found.

    Exits with 0, since finding them is its success.
    """
    import tempfile

    from crlm_qc.synthetic.faults import FAULTS
    from crlm_qc.synthetic.writer import profile_for

    place = folder or Path(tempfile.mkdtemp(prefix="crlm-qc-demo-"))
    with progress_on(quiet=False) as progress:
        release = _synthesise(
            place / load_profile().name,
            patients=DEMO_PATIENTS,
            seed=DEMO_SEED,
            layout=LayoutName.NBIA,
            edition=Edition.APRIL_2023,
            matrix=DEMO_MATRIX,
            max_slices=DEMO_SLICES,
            jobs=jobs,
            faults=DEMO_FAULTS,
            progress=progress,
        )
        used = profile_for(DEMO_MATRIX, load_profile(), DEMO_SLICES)
        album = Album(release.root, used, PictureMode.AUTO, jobs)
        report = audit(
            release.root,
            settings=Settings(subset=True),
            profile=used,
            jobs=jobs,
            progress=progress,
            on_evidence=album.keep,
        )
        report = album.illustrate(report, progress)
    album.put(place / "reports")
    outputs = choose_outputs((), FORMATS, place / "reports", ALWAYS)
    write_outputs(report, outputs, {name: {"pictures": album.files} for name in PICTURED})
    style = style_of(sys.stdout, color)
    say(f"A synthetic release of {DEMO_PATIENTS} patients, with {len(DEMO_FAULTS)} faults planted:")
    missed = False
    for spec in DEMO_FAULTS:
        name, _, patient = spec.partition(":")
        fired = {finding.rule for finding in report.findings if finding.patient in (patient, None)}
        wanted = FAULTS[name].triggers
        lost = [code for code in wanted if code not in fired]
        missed |= bool(lost)
        said = f"NOT found: {', '.join(lost)}" if lost else f"found by {', '.join(wanted)}"
        sign = style.paint("error" if lost else "good", _sign("failed" if lost else "passed", style))
        told = style.wrap(f"{patient}  {FAULTS[name].doc}", " " * 4)
        say("\n".join([f"  {sign} {told[0].lstrip()}", *told[1:], f"    {name}, {said}"]))
    say(text.verdict(report, style))
    say(f"release: {release.root}")
    say(f"report:  {place / 'reports' / FORMATS['html'].goes_to}")
    raise typer.Exit(ExitCode.BUG if missed else ExitCode.CLEAN)


@app.command()
def synth(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Folder to write, new or empty.")] = None,
    patients: Annotated[int, typer.Option("--patients", min=1, max=9000, help="How many patients.")] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal releases.")] = 1,
    layout: Annotated[
        LayoutName, typer.Option("--layout", help="As the downloader writes it, or as the card draws it.")
    ] = LayoutName.NBIA,
    edition: Annotated[
        Edition, typer.Option("--edition", help="Edition of the clinical workbook.")
    ] = Edition.APRIL_2023,
    matrix: Annotated[
        int | None,
        typer.Option(
            "--matrix",
            min=32,
            max=512,
            help="Rows and columns of an image. Default: as published, else 512; of another size, check rightly warns (CTS004).",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME[:PATIENT]", help="Plant a fault. Repeatable.")
    ] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="List the faults, and write nothing.")] = False,
    jobs: JobsOption = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="Collection to write, in place of the built-in one.")
    ] = None,
) -> None:
    """Write a synthetic release, clean or with faults of your choice."""
    if list_faults:
        from crlm_qc.synthetic.faults import FAULTS

        width = max(map(len, FAULTS))
        for name, item in FAULTS.items():
            say(f"{name:{width}}  {', '.join(item.triggers)}  {item.doc}")
        return
    if folder is None:
        raise UsageError("synth needs a folder to write to: crlm-qc synth DIR")
    used = load_profile(profile)
    with progress_on(quiet=False) as progress:
        release = _synthesise(
            folder,
            patients=patients,
            seed=seed,
            layout=layout,
            edition=edition,
            matrix=matrix or used.published.rows or 512,
            jobs=jobs,
            faults=fault or (),
            progress=progress,
            profile=used,
        )
    with_profile = f" --profile {shlex.quote(str(profile))}" if profile else ""
    say(
        f"{words.plural(patients, 'patient')} written. "
        f"To audit them: crlm-qc check --subset {shlex.quote(str(release.root))}{with_profile}"
    )


def _synthesise(
    root: Path,
    *,
    patients: int,
    seed: int,
    layout: LayoutName,
    edition: Edition,
    matrix: int,
    jobs: int | None,
    faults: Sequence[str],
    max_slices: int | None = None,
    progress: Progress | None,
    profile: Profile | None = None,
) -> SyntheticRelease:
    from crlm_qc.synthetic.faults import FAULTS, plant
    from crlm_qc.synthetic.writer import write_release

    for spec in faults:
        name = spec.partition(":")[0]
        if name not in FAULTS:
            raise UsageError(f"unknown fault {name}{did_you_mean(name, FAULTS)}. See: crlm-qc synth --list-faults")
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise UsageError(f"{root} is not an empty folder: give a new one")
    try:
        release = write_release(
            root,
            patients=patients,
            seed=seed,
            layout=layout.value,
            edition=edition.value,
            matrix=matrix,
            max_slices=max_slices,
            profile=profile,
            jobs=jobs,
            progress=progress,
        )
        for spec in faults:
            plant(release, spec)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return release


# --- rules and explain -----------------------------------------------------------------------------------------------


@app.command()
def rules(
    family: Annotated[str | None, typer.Option("--family", help="Only this family, such as CTS.")] = None,
    listing: Annotated[Listing, typer.Option("--format", help="For people or for programs.")] = Listing.TEXT,
) -> None:
    """List the rules."""
    every = registry()
    families = list(dict.fromkeys(item.family for item in every))
    if family is not None and family.upper() not in families:
        raise UsageError(
            f"unknown family {family}{did_you_mean(family.upper(), families)}. Known: {', '.join(families)}"
        )
    chosen = [item for item in every if family is None or item.family == family.upper()]
    if listing is Listing.JSON:
        profile = load_profile()
        say(json.dumps([_as_dict(item, profile) for item in chosen], indent=2, ensure_ascii=False))
        return
    for name in dict.fromkeys(item.family for item in chosen):
        say(f"{name}  {words.family_name(name)}")
        for item in chosen:
            if item.family == name:
                needs = "" if item.depth is Depth.HEADERS else f" (needs --depth {item.depth.value})"
                say(f"  {item.code}  {words.WORDS[item.severity]:7}  {item.title}{needs}")
        say("")
    say(f"{words.plural(len(chosen), 'rule')}. More of one: crlm-qc explain CODE")


def _as_dict(item: Rule, profile: Profile) -> dict[str, object]:
    return {
        "code": item.code,
        "slug": item.slug,
        "family": item.family,
        "kind": item.kind.value,
        "severity": item.severity.value,
        "depth": item.depth.value,
        "whole_release": item.whole_release,
        "title": item.title,
        "why": item.why,
        "fix": item.fix,
        "source": item.source,
        "tables": list(item.tables),
        "tolerances": to_plain(rule_text(item, profile).tolerances),
    }


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="Code of a rule, such as CTS008, or its slug.")],
    profile: Annotated[Path | None, typer.Option("--profile", help="Release profile whose tolerances to show.")] = None,
) -> None:
    """Say what a rule checks, why, with what tolerance, and what to do."""
    item = _rule(registry(), code)
    parts = [
        ("Severity", words.WORDS[item.severity]),
        ("Why", item.why),
        ("How", "" if item.kind is RuleKind.AUDIT else inspect.getdoc(item.check) or ""),
        ("What to do", item.fix),
        ("Source", item.source),
        ("Reads", ", ".join(item.tables)),
        *(("Tolerance", said) for said in _tolerances(item, load_profile(profile))),
        ("Depth", item.depth.value),
        ("Only for", "a whole release, not a subset" if item.whole_release else ""),
        ("Slug", item.slug),
    ]
    width = style_of(sys.stdout, Colour.NEVER).width
    say(f"{item.code}  {item.title}\n")
    for name, said in parts:
        if said:
            say(textwrap.fill(" ".join(said.split()), width, initial_indent=f"{name:12}", subsequent_indent=" " * 12))


def _rule(every: Registry, code: str) -> Rule:
    found = next((item for item in every if code.upper() == item.code or code.lower() == item.slug), None)
    if found is None:
        known = [*(item.code for item in every), *(item.slug for item in every)]
        close = difflib.get_close_matches(code.upper(), known, 3, 0.5) or difflib.get_close_matches(code.lower(), known)
        hint = f": close to {', '.join(close)}" if close else ""
        raise UsageError(f"unknown rule {code}{hint}. See: crlm-qc rules")
    return found


def _tolerances(item: Rule, profile: Profile) -> list[str]:
    """A line a tolerance: name, value, unit, and where it comes from."""
    return [
        f"{one.name} {words.quantity(one.value, one.unit)}: {one.why}" for one in rule_text(item, profile).tolerances
    ]


# --- the terminal ----------------------------------------------------------------------------------------------------


def _sign(name: str, style: text.Style) -> str:
    return {"passed": "+", "failed": "x"}[name] if style.ascii else words.GLYPHS[name]
