"""`crlm-qc lock`: writes the SHA-256 of every file of a release."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.actions import shown
from crlm_qc.cli.options import AnonymousOption, EndpointOption, FileListOption, JobsOption, ProfileOption
from crlm_qc.cli.progress import progress_on
from crlm_qc.cli.terminal import say
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.access import Access
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import ExitCode
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.writing import put
from crlm_qc.request.request import keep_out, reports_of

LOCK_NAME = "release.lock"
LISTED = 5
"""Files that could not be read and are named."""


def lock(
    release: Annotated[Path, typer.Argument(help="Folder, archive or URL of the release.")],
    lock_file: Annotated[
        Path | None,
        typer.Option(
            "--lock",
            metavar="FILE",
            help=f"Lock file to write. Default: reports/<release name>/{LOCK_NAME}.",
        ),
    ] = None,
    listing: FileListOption = None,
    endpoint: EndpointOption = None,
    anonymous: AnonymousOption = False,
    jobs: JobsOption = None,
    profile: ProfileOption = None,
) -> None:
    """Write a lock file: the SHA-256 of every file, to compare the release with later.

    sha256sum -c reads it too. Nothing is ever written into the release, and no other lock file is overwritten. A lock
    file holds the names of all files and folders, which no report shows: it may be shared with whom the release may be.
    """
    from crlm_qc.evidence.lock import lock_release, render_lock
    from crlm_qc.evidence.store import is_evidence
    from crlm_qc.workers import default_jobs

    path = lock_file or reports_of(release) / LOCK_NAME
    keep_out(release, [path], "a file elsewhere: --lock FILE")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the file to write, --lock {shlex.quote(str(path / LOCK_NAME))}")
    if is_evidence(release):
        raise UsageError(f"{release} is saved evidence: give the release itself")
    with progress_on(quiet=False) as progress:
        found = lock_release(
            release,
            load_profile(profile),
            jobs=jobs or default_jobs(),
            progress=progress,
            access=Access(listing, endpoint, anonymous),
        )
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
    say(f"{plural(len(found.entries), 'file')} locked, {plural(total, 'byte')}.")
    if found.left_out:
        say(f"{plural(found.left_out, 'link or device', 'links and devices')} left out: see REL013 and REL007.")
    if strange := found.strange_names:
        say(
            f"crlm-qc: the lock file names {plural(strange, 'file')} by words that are not the collection's: keep "
            "it where the release is kept",
            to=sys.stderr,
        )
    say(f"lock file: {shown(path)}")
    say(f"to compare: {_comparison(release, path)}")


def _comparison(release: Path, lock: Path) -> str:
    return f"crlm-qc check {shlex.quote(shown(release))} --lock {shlex.quote(shown(lock))}"


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
