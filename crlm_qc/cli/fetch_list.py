"""`crlm-qc fetch-list`: a manifest of the series that are to be fetched again."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.options import AnonymousOption, EndpointOption, FileListOption, JobsOption, ProfileOption
from crlm_qc.cli.progress import progress_on
from crlm_qc.cli.saved import load_report
from crlm_qc.cli.terminal import say
from crlm_qc.collection.forms import is_uid
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.access import Access
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import is_elsewhere
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.writing import can_be_written, put
from crlm_qc.request.request import keep_out

SERVER = "https://public.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet"
"""Where the NBIA Data Retriever fetches public collections of The Cancer Imaging Archive from."""
NAME = "missing.tcia"


def fetch_list(
    release: Annotated[
        Path,
        typer.Argument(
            metavar="RELEASE|FINDINGS.json", help="Folder, archive or URL of the release, or saved results of an audit."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Manifest to write.")] = Path(NAME),
    subset: Annotated[bool, typer.Option("--subset", help="Only series of the patients that are there.")] = False,
    listing: FileListOption = None,
    endpoint: EndpointOption = None,
    anonymous: AnonymousOption = False,
    jobs: JobsOption = None,
    profile: ProfileOption = None,
) -> None:
    """Write a .tcia manifest of the series that are missing, lack files, or have other bytes than published.

    The NBIA Data Retriever reads it. Published series are known to the byte; those of another collection are what the
    release's manifest or metadata.csv lists. Nothing is ever written into the release, and with nothing to fetch, no
    file. Exits with 0, whatever is to be fetched; with 3 if not everything could be read, and with 4 where no list tells.
    """
    if output.suffix.lower() != ".tcia" or output.is_dir():
        raise UsageError(f"-o {output}: a manifest is named FILE.tcia")
    if release.is_dir() or is_elsewhere(release):
        keep_out(release, [output], "a file elsewhere: -o FILE.tcia")
        report = _audited(release, profile, jobs, Access(listing, endpoint, anonymous), subset=subset)
    elif subset or profile is not None:
        raise UsageError("--subset and --profile are for a release; saved results say themselves what they are of")
    else:
        can_be_written([output])
        report = load_report(release)
    found = report.wholeness
    if found is None:
        say("crlm-qc: neither published series nor a manifest or metadata.csv tell what should be there", to=sys.stderr)
        raise typer.Exit(ExitCode.NOTHING)
    uids = list(dict.fromkeys(one.series_uid for one in found.to_fetch if is_uid(one.series_uid)))
    if whole := words.wholeness(report):
        say(words.clean(whole))
    if uids:
        _write(output, uids)
        say(f"{plural(len(uids), 'series', 'series')} to fetch: {output}")
        say("Open it with the NBIA Data Retriever, and put what it fetches in the place of what is there.")
    else:
        say("Nothing to fetch: no file was written.")
    if report.limits:
        say("crlm-qc: not everything could be read, so what is listed may be there", to=sys.stderr)
        raise typer.Exit(ExitCode.INCOMPLETE)


def _audited(release: Path, profile: Path | None, jobs: int | None, access: Access, *, subset: bool) -> Report:
    """What an audit says of a release whose headers alone are read."""
    from crlm_qc.auditing.run import audit

    settings = Settings(depth=Depth.HEADERS, subset=subset, select=("LED",))
    with progress_on(quiet=False) as progress:
        return audit(
            release, profile=load_profile(profile), settings=settings, jobs=jobs, progress=progress, access=access
        )


def _write(path: Path, uids: Iterable[str]) -> None:
    """Write a manifest, but over no other that lists other series."""
    # The downloader names its folder after it, so that no earlier download is written over.
    basket = re.sub(r"[^A-Za-z0-9_-]", "-", path.stem)
    lines = [
        f"downloadServerUrl={SERVER}",
        "includeAnnotation=true",
        "noOfrRetry=4",
        f"databasketId={basket}.tcia",
        "manifestVersion=3.0",
        "ListOfSeriesToDownload=",
        *uids,
    ]
    content = "".join(f"{line}\n" for line in lines)
    if path.exists() and path.read_bytes() != content.encode():
        raise UsageError(f"{path} is there already: remove it, or name another with -o FILE.tcia")
    put(path, content)
