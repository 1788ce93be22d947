"""`crlm-qc cohort`: whom to use for a purpose, whom to leave out, and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.auditing.fitness import audited, cohort_of, is_saved, with_its_purposes
from crlm_qc.cli.actions import say_safely, shown
from crlm_qc.cli.configured import request_by, tell_configuration
from crlm_qc.cli.options import (
    AnonymousOption,
    CacheOption,
    ColourOption,
    ConfigOption,
    EndpointOption,
    FileListOption,
    IsolatedOption,
    JobsOption,
    KnownIssuesOption,
    Listing,
    ListingOption,
    NoCacheOption,
    ProfileOption,
    QuietOption,
)
from crlm_qc.cli.progress import progress_on
from crlm_qc.cli.terminal import Colour, emit, style_of
from crlm_qc.collection.profile import Profile
from crlm_qc.model.cohort import Cohort, Judge, as_dict
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.model.settings import Depth
from crlm_qc.model.words import plural
from crlm_qc.report import cohort as forms
from crlm_qc.report import words
from crlm_qc.report.fitness import sentence
from crlm_qc.report.writing import can_be_written, put
from crlm_qc.request.request import Request, keep_out
from crlm_qc.request.saved import findings_in, load_report

COHORT_EXIT_CODES = (
    "Exit codes: 0 every patient was judged, and some are usable, whoever is left out; 2 wrong usage; 3 a patient was not "
    "judged, since what would spoil the purpose was not looked for; 4 none is usable; 70 a bug of crlm-qc; 130 stopped "
    "with Ctrl+C. The highest of 70, 2, 4, 3 wins."
)
_OF_READING = (
    "subset",
    "patients",
    "depth",
    "jobs",
    "cache",
    "no_cache",
    "waivers",
    "known_issues",
    "listing",
    "endpoint",
    "anonymous",
)
"""Options that say how a release is read and judged, which saved results have been already."""
_AS_CHECK = (
    "select",
    "ignore",
    "severity",
    "tolerance",
    "standard",
    "all_objects",
    "metadata",
    "clinical",
    "manifest",
    "lock",
    "allow_did_waivers",
    "redact_paths",
)
"""What else a configuration says of an audit: a release is judged as check judges it."""


def cohort(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FINDINGS.json|RELEASE", help="Saved results of an audit; or a release, which is audited first."
        ),
    ],
    purposes: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="PURPOSE",
            help="What to use the patients for. Repeatable: then a patient must be usable for each. Default: all are "
            "summed up.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Also leave out those that are usable with care.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder to write usable.txt, excluded.csv, cohort.json, datalist.json (MONAI) and dataset.json (nnU-Net) to.",
        ),
    ] = None,
    format_: ListingOption = Listing.TEXT,
    subset: Annotated[bool, typer.Option("--subset", help="The release is a part on purpose.")] = False,
    patients: Annotated[
        list[str] | None, typer.Option("--patients", metavar="IDS|@FILE", help="Only these patients of a release.")
    ] = None,
    depth: Annotated[
        Depth, typer.Option("--depth", help="How deep to read a release; each level holds the one before.")
    ] = Depth.PIXELS,
    waivers: Annotated[
        list[Path] | None, typer.Option("--waivers", help="Findings that were accepted (TOML). Repeatable.")
    ] = None,
    known_issues: KnownIssuesOption = True,
    profile: ProfileOption = None,
    listing: FileListOption = None,
    endpoint: EndpointOption = None,
    anonymous: AnonymousOption = False,
    jobs: JobsOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    quiet: QuietOption = 0,
    color: ColourOption = Colour.AUTO,
    config: ConfigOption = None,
    isolated: IsolatedOption = False,
) -> None:
    """Tell whom of a release to use for a purpose, whom with care, whom to leave out, and why.

    Purposes: segmentation, volumetry, lesion-counts, image-values, clinical-pairing, sharing, completeness; and those of
    the configuration. What was waived counts as decided. Nobody counts as usable whom the audit did not look at deep
    enough.
    """
    saved = is_saved(source)
    # The folder is of this command alone: what a configuration says of reports is not of it.
    parameters = {name: value for name, value in locals().items() if name not in ("out", "source")}
    request = request_by(ctx, {**parameters, **({} if saved else {**dict.fromkeys(_AS_CHECK), "release": source})})
    if out is not None:
        _check_folder(out, source, saved=saved)
    if saved and (typed := [name for name in _OF_READING if _is_typed(ctx, name)]):
        option = typed[0].replace("_", "-")
        raise UsageError(
            f"--{option} is for a release, and {source} holds saved results: audit with it, or give the release"
        )
    if not quiet:
        tell_configuration(request.configuration)
    report = load_report(source) if saved else _audited(source, request)
    # A release is never judged by results that lie in it; a folder without any image is none.
    if report.empty and source.is_dir() and findings_in(source).is_file():
        report = load_report(source)
    raise typer.Exit(_tell(report, request, purposes or [], strict=strict, out=out, form=format_))


def _tell(
    report: Report, request: Request, purposes: Sequence[str], *, strict: bool, out: Path | None, form: Listing
) -> ExitCode:
    """Print and write what was asked for."""
    report = with_its_purposes(report, request.settings.purposes)
    if not purposes:
        if out is not None:
            raise UsageError("--out writes the cohort of a purpose: give one with --for PURPOSE")
        return _tell_all(report, request, strict=strict, form=form)
    found = cohort_of(report, tuple(purposes), strict=strict)
    if form is Listing.JSON:
        emit(words.json_bytes(as_dict(found, report)))
    elif request.quiet == 0:
        say_safely(forms.render(found, style_of(sys.stdout, Colour(request.color))), sys.stdout)
    elif request.quiet == 1:
        say_safely(f"{words.clean(sentence(found))}.", sys.stdout)
    if out is not None:
        _write(found, report, request, out, to=sys.stderr if form is Listing.JSON else sys.stdout)
    return found.exit_code


def _tell_all(report: Report, request: Request, *, strict: bool, form: Listing) -> ExitCode:
    """A line a purpose."""
    judge = Judge(report)
    every = [judge.cohort([one.name], strict=strict) for one in report.purposes]
    if form is Listing.JSON:
        told = [{key: value for key, value in as_dict(one, report).items() if key != "patients"} for one in every]
        emit(words.json_bytes(told))
    elif request.quiet < 2:
        style = style_of(sys.stdout, Colour(request.color))
        lines = [line for one in every for line in style.wrap(f"{sentence(one)}.", "", "  ")]
        say_safely("\n".join([*lines, "", "Who, and why: --for PURPOSE"]), sys.stdout)
    return ExitCode.NOTHING if not any(one.patients for one in every) else ExitCode.CLEAN


def _write(found: Cohort, report: Report, request: Request, out: Path, *, to: object) -> None:
    for name, content in forms.files(found, report, _vocabulary(request.profile)).items():
        put(out / name, content)
    if request.quiet:
        return
    say_safely(f"written: {shown(out)}", to)  # type: ignore[arg-type]
    if lacking := forms.unnamed(found, report):
        say_safely(
            f"crlm-qc: {plural(len(lacking), 'patient')} to use {'is' if len(lacking) == 1 else 'are'} in no list for "
            f"training, as the folder of the CT or the segmentation object can't be named: {words.listing(lacking, 5)}",
            sys.stderr,
        )


def _vocabulary(profile: Profile) -> forms.Vocabulary:
    labels = tuple(dict.fromkeys(term.stem for term in profile.segments))
    return forms.Vocabulary(profile.name, profile.title, profile.doi, profile.licence, labels)


def _is_typed(ctx: typer.Context, name: str) -> bool:
    found = ctx.get_parameter_source(name)
    return found is not None and found.name == "COMMANDLINE"


def _check_folder(out: Path, source: Path, *, saved: bool) -> None:
    """Refuse a folder that can't be written to, or lies in the release."""
    if not saved:
        keep_out(source, [out], instead="a folder elsewhere: --out DIR")
    elif resolved(out) == resolved(source):
        raise UsageError(f"{out} is read, so it is not written: give a folder in --out DIR")
    can_be_written([out])


def _audited(release: Path, request: Request) -> Report:
    """What an audit comes to, or has come to; it writes no report."""
    with progress_on(quiet=request.quiet > 0) as progress:
        return audited(release, request, progress)
