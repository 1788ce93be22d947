"""`crlm-qc synth` and `crlm-qc demo`: synthetic releases."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crlm_qc.auditing.run import audit
from crlm_qc.cli.actions import shown
from crlm_qc.cli.options import ColourOption, JobsOption
from crlm_qc.cli.outputs import choose_outputs, write_outputs
from crlm_qc.cli.pictures import Album
from crlm_qc.cli.progress import progress_on
from crlm_qc.cli.saved import options_for
from crlm_qc.cli.terminal import Colour, say, style_of
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.words import did_you_mean, plural
from crlm_qc.report import ALWAYS, FORMATS, text, words
from crlm_qc.request.request import Request

if TYPE_CHECKING:
    from crlm_qc.synthetic.release import SyntheticRelease
    from crlm_qc.workers import Progress


class LayoutName(StrEnum):
    """How a synthetic release lies on disk."""

    NBIA = "nbia"
    CARD = "card"


class Edition(StrEnum):
    """Which edition of the workbook a synthetic release has."""

    OCTOBER_2022 = "october-2022"
    APRIL_2023 = "april-2023"


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

    from crlm_qc.synthetic.writer import profile_for

    place = folder or Path(tempfile.mkdtemp(prefix="crlm-qc-demo-"))
    reports = place / "reports"
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
        request = Request(
            settings=Settings(subset=True), profile=profile_for(DEMO_MATRIX, load_profile(), DEMO_SLICES), jobs=jobs
        )
        album = Album(release.root, request)
        report = audit(release.root, **request.audited(), progress=progress, on_evidence=album.keep)
        report = album.illustrate(report, progress)
    album.put(reports)
    write_outputs(report, choose_outputs((), FORMATS, reports, ALWAYS), options_for(pictures=album.files))
    style = style_of(sys.stdout, color)
    say(f"A synthetic release of {DEMO_PATIENTS} patients, with {len(DEMO_FAULTS)} faults planted:")
    found = [_tell_fault(spec, report, style) for spec in DEMO_FAULTS]
    say(text.verdict(report, style))
    say(f"release: {shown(release.root)}")
    say(f"report:  {shown(reports / FORMATS['html'].goes_to)}")
    say("")
    say("Next: open the report, then audit a release of your own:")
    say(f"  crlm-qc show {shlex.quote(shown(reports))} --severity error")
    say("  crlm-qc explain DSO011")
    say("  crlm-qc check RELEASE")
    raise typer.Exit(ExitCode.CLEAN if all(found) else ExitCode.BUG)


def _tell_fault(spec: str, report: Report, style: text.Style) -> bool:
    """Say whether a planted fault was found, and by which rules."""
    from crlm_qc.synthetic.faults import FAULTS

    name, _, patient = spec.partition(":")
    fired = {finding.rule for finding in report.findings if finding.patient in (patient, None)}
    wanted = FAULTS[name].triggers
    lost = [code for code in wanted if code not in fired]
    said = f"NOT found: {', '.join(lost)}" if lost else f"found by {', '.join(wanted)}"
    sign = style.paint("error" if lost else "good", _sign("failed" if lost else "passed", style))
    told = style.wrap(f"{patient}  {FAULTS[name].doc}", " " * 4)
    say("\n".join([f"  {sign} {told[0].lstrip()}", *told[1:], f"    {name}, {said}"]))
    return not lost


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
        f"{plural(patients, 'patient')} written. "
        f"To audit them: crlm-qc check --subset {shlex.quote(shown(release.root))}{with_profile}"
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
            raise UsageError(
                f"unknown fault {name}{did_you_mean(name, FAULTS) or '.'} See: crlm-qc synth --list-faults"
            )
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


def _sign(name: str, style: text.Style) -> str:
    return {"passed": "+", "failed": "x"}[name] if style.ascii else words.GLYPHS[name]
