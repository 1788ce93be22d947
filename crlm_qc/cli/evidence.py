"""`crlm-qc evidence`: reads a release in parts, each on a machine of its own, and makes one evidence of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.auditing.memory import remember
from crlm_qc.cli.actions import say_safely, shown
from crlm_qc.cli.configured import ConfiguredCommand, request_by, tell_configuration
from crlm_qc.cli.options import (
    EXIT_CODES,
    AnonymousOption,
    CacheOption,
    ClinicalOption,
    ConfigOption,
    DepthOption,
    EndpointOption,
    FileListOption,
    IsolatedOption,
    JobsOption,
    LockOption,
    ManifestOption,
    MetadataOption,
    NoCacheOption,
    PatientsOption,
    ProfileOption,
    ToleranceOption,
)
from crlm_qc.cli.progress import progress_on
from crlm_qc.cli.terminal import say
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.errors import UsageError
from crlm_qc.model.part import Part
from crlm_qc.model.settings import Depth
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.writing import can_be_written
from crlm_qc.request.request import keep_out

LISTED = 5
"""Limits that are told of a part."""

evidence = typer.Typer(
    help="Read a release in parts, on several machines, and put them together.", no_args_is_help=True
)


@evidence.command(cls=ConfiguredCommand, epilog=EXIT_CODES)
def read(
    ctx: typer.Context,
    release: Annotated[Path, typer.Argument(help="Folder, archive or URL of the release.")],
    part: Annotated[
        str,
        typer.Option(
            "--part",
            metavar="K/N",
            help="The K-th of N shares of the patients, of as many bytes each: the same shares on every machine.",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the part. Without it, only the cache is filled."),
    ] = None,
    patients: PatientsOption = None,
    depth: DepthOption = Depth.PIXELS,
    standard: Annotated[bool, typer.Option("--standard", help="Also run dciodvfy and dcentvfy.")] = False,
    all_objects: Annotated[
        bool, typer.Option("--all-objects", help="Also read segmentation objects of others beside the published ones.")
    ] = False,
    tolerance: ToleranceOption = None,
    jobs: JobsOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    metadata: MetadataOption = None,
    clinical: ClinicalOption = None,
    manifest: ManifestOption = None,
    listing: FileListOption = None,
    endpoint: EndpointOption = None,
    anonymous: AnonymousOption = False,
    lock: LockOption = None,
    profile: ProfileOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    config: ConfigOption = None,
    isolated: IsolatedOption = False,
) -> None:
    """Read one part of a release, and judge nothing: crlm-qc evidence merge puts all parts together.

    The folder holds texts as they stand in the files, so that what two parts hold can be compared: keep it where the
    release is kept, and remove it after the merge. Exits with 0 when the part is written; what could not be read is told
    by the audit of them all.
    """
    from crlm_qc.auditing.parting import read_part

    request = request_by(ctx, locals())
    memory = remember(release, request)
    if to is None and (memory is None or request.lock is not None):
        raise UsageError("nothing would be kept of what is read: give a folder, --out FOLDER")
    keep_out(release, [] if to is None else [to], "a folder elsewhere: --out FOLDER")
    which = Part.parse(part, "--part")
    if not quiet:
        tell_configuration(request.configuration)
    with progress_on(quiet=quiet) as progress:
        found = read_part(release, request, which, to, progress=progress, memory=memory)
    if memory is not None:
        memory.end()
    if quiet:
        return
    _tell_limits(found.limits)
    say(f"part {which}: {found.patients:,} of {plural(found.every, 'patient')} read")
    if memory is not None and memory.use is not None:
        say(words.from_cache(memory.use))
    if to is not None:
        say(f"part: {shown(to)}")


@evidence.command(epilog=EXIT_CODES)
def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders of all parts, in any order.")],
    to: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the evidence.")],
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Leave out patients of parts that are missing: a limit of the audit."),
    ] = False,
    profile: ProfileOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
) -> None:
    """Make the parts of a release one saved evidence, as one audit of it all would have saved.

    crlm-qc check FOLDER judges it, without the images. Texts that may identify somebody are replaced by numbers.
    """
    from crlm_qc.auditing import parting

    can_be_written([to])
    made = parting.merge(parts, to, load_profile(profile), allow_missing=allow_missing)
    if quiet:
        return
    _tell_limits(made.facts.limits)
    say(f"{plural(len(parts), 'part')}: {plural(made['patients']['patient'].nunique(), 'patient')}")
    say(f"evidence: {shown(to)}")
    say(f"to judge: crlm-qc check {shlex.quote(shown(to))}")


def _tell_limits(limits: Iterable[str]) -> None:
    """Say on standard error what was not read; the audit tells all of it."""
    told = list(limits)
    for said in told[:LISTED]:
        say_safely(f"crlm-qc: {words.clean(said)}", sys.stderr)
    if len(told) > LISTED:
        say(f"crlm-qc: and {len(told) - LISTED} more", to=sys.stderr)
