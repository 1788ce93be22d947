"""`crlm-qc verify`: whether a release is, byte for byte, the one that a sign-off record speaks of."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from crlm_qc.cli.actions import say_safely
from crlm_qc.cli.options import AnonymousOption, EndpointOption, FileListOption
from crlm_qc.cli.progress import progress_on
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.access import Access
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.model.report import ExitCode, Verdict
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.request.choice import choose
from crlm_qc.rules import registry

if TYPE_CHECKING:
    from crlm_qc.auditing.attestation import Predicate, Statement
    from crlm_qc.evidence.lock import Entry, Lock

LISTED = 5
"""Files that are named of each kind of difference."""
MAX_BYTES = 16 * 2**20
"""No sign-off record is larger."""


def verify(
    release: Annotated[Path, typer.Argument(help="Folder, archive or URL of the release.")],
    attestation: Annotated[
        Path, typer.Argument(metavar="ATTESTATION", help="Sign-off record that check --attest wrote.")
    ],
    lock: Annotated[
        Path | None,
        typer.Option(
            "--lock",
            metavar="FILE",
            help="Lock file that the record speaks of. Default: the one beside it. With it, what differs is named.",
        ),
    ] = None,
    any_verdict: Annotated[
        bool, typer.Option("--any-verdict", help="Exit with 0 even if the record's verdict is not conformant.")
    ] = False,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="Release profile (TOML) that the release was audited with.")
    ] = None,
    listing: FileListOption = None,
    endpoint: EndpointOption = None,
    anonymous: AnonymousOption = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Files to hash at a time. Default: the cores.")
    ] = None,
) -> None:
    """Check that a release is, byte for byte, the one that a sign-off record speaks of.

    Exits with 0 if it is and the record's verdict is conformant, with 1 if a file differs or the verdict is another. No
    rule is run. The record's signature is not checked: do that first, with the tool that signed it.
    """
    used = load_profile(profile)
    statement = _read(attestation)
    listed, another = _listed(attestation, lock, statement)
    found = _without(
        _hash(release, used, jobs, Access(listing, endpoint, anonymous)),
        release,
        attestation,
        lock or _beside(attestation, statement),
    )
    same = _compare(found, listed, statement, used)
    _tell_record(statement, used)
    _say("Signature: not checked by crlm-qc, which neither signs nor verifies signatures.")
    accepted = any_verdict or statement.predicate.verdict is Verdict.CONFORMANT
    why = [
        *([] if same else ["the release differs"]),
        *(["the lock file beside the record is another"] if another else []),
        *([] if accepted else [f"the record's verdict is {statement.predicate.verdict.value}"]),
    ]
    _say(f"Not verified: {'; '.join(why)}." if why else "Verified.")
    raise typer.Exit(ExitCode.FINDINGS if why else ExitCode.CLEAN)


def _read(path: Path) -> Statement:
    from crlm_qc.auditing.attestation import AttestationError, read_statement

    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{path} not found: give the file that check --attest wrote") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder: give the file that check --attest wrote") from None
    except OSError as error:
        _stop(f"{path} can't be read: {os.strerror(error.errno or 0).lower()}", ExitCode.INCOMPLETE)
    try:
        if len(content) > MAX_BYTES:
            raise AttestationError(f"it holds more than {MAX_BYTES // 2**20} MiB")
        return read_statement(content)
    except AttestationError as error:
        raise UsageError(f"{path} is no sign-off record: {error}") from None


def _listed(attestation: Path, lock: Path | None, statement: Statement) -> tuple[tuple[Entry, ...] | None, bool]:
    """Entries of the lock file that the record speaks of, None if it is not at hand; and whether another lies there."""
    from crlm_qc.evidence.lock import read_lock

    path = lock or _beside(attestation, statement)
    try:
        content = path.read_bytes()
    except OSError as error:
        if lock is None:
            return None, False
        if isinstance(error, FileNotFoundError):
            raise UsageError(f"--lock {lock} not found") from None
        _stop(f"--lock {lock} can't be read: {os.strerror(error.errno or 0).lower()}", ExitCode.INCOMPLETE)
    if hashlib.sha256(content).hexdigest() != statement.sha256:
        _say(f"{path} is not the lock file that the record speaks of: its SHA-256 is another.")
        if lock is not None:
            _say("Not verified: the lock file differs.")
            raise typer.Exit(ExitCode.FINDINGS)
        return None, True
    return read_lock(path), False


def _beside(attestation: Path, statement: Statement) -> Path:
    # The name comes from a file: only its last part counts, and only what has the attested bytes is used.
    return attestation.parent / (Path(statement.subject).name or "release.lock")


def _without(found: Lock, release: Path, attestation: Path, lock: Path) -> Lock:
    """What was found but the record, its signatures and its lock file, which may lie in the release they speak of."""
    top, record = resolved(release), resolved(attestation)
    own = {path.relative_to(top).as_posix() for path in (record, resolved(lock)) if path.is_relative_to(top)}
    folder, signature = record.parent, f"{record.name}."

    def is_own(path: str) -> bool:
        place = top / path
        return path in own or (place.parent == folder and place.name.startswith(signature))

    kept = tuple(entry for entry in found.entries if not is_own(entry.path))
    if count := len(found.entries) - len(kept):
        _say(f"{plural(count, 'file')} in the release left out: the record itself, its signature or lock file.")
    return replace(found, entries=kept)


def _hash(release: Path, profile: Profile, jobs: int | None, access: Access) -> Lock:
    from crlm_qc.evidence.lock import lock_release
    from crlm_qc.workers import default_jobs

    with progress_on(quiet=False) as progress:
        found = lock_release(release, profile, jobs=jobs or default_jobs(), progress=progress, access=access)
    if found.unread:
        rest = f", and {len(found.unread) - LISTED} more" if len(found.unread) > LISTED else ""
        _stop(f"not verified: {'; '.join(found.unread[:LISTED])}{rest}", ExitCode.INCOMPLETE)
    if not found.entries:
        _stop(f"nothing to verify: {release} holds no file", ExitCode.NOTHING)
    return found


def _compare(found: Lock, listed: tuple[Entry, ...] | None, statement: Statement, profile: Profile) -> bool:
    """Say whether the files are those that were attested, and what differs."""
    from crlm_qc.evidence.lock import render_lock

    differences = None if listed is None else _differences(found.entries, listed, profile)
    # A list of the same files may have other bytes: without comments, as sha256sum writes it.
    same = hashlib.sha256(render_lock(found.entries)).hexdigest() == statement.sha256 or differences == []
    total = sum(entry.size or 0 for entry in found.entries)
    if same:
        _say(f"The release is the one attested: {plural(len(found.entries), 'file')}, {total:,} bytes.")
    elif differences is None:
        _say(
            "The release differs from the one attested.",
            "Which files differ can't be said without the lock file of the record: --lock FILE.",
        )
    else:
        _say("The release differs from the one attested.", *differences)
    if found.left_out:
        left_out = plural(found.left_out, "link or device", "links and devices")
        _say(f"{left_out} left out: no record speaks of them.")
    return same


def _differences(found: Iterable[Entry], listed: Iterable[Entry], profile: Profile) -> list[str]:
    """Lines of what differs; none if nothing does."""
    from crlm_qc.collection.show import Show

    here, there = ({entry.path: entry.sha256 for entry in entries} for entries in (found, listed))
    kinds = {
        "changed": [path for path in there if path in here and here[path] != there[path]],
        "missing": [path for path in there if path not in here],
        "added": [path for path in here if path not in there],
    }
    show = Show(profile)
    return [
        f"  {len(paths):,} {kind}: {words.listing([show.path(path) for path in sorted(paths)], LISTED)}"
        for kind, paths in kinds.items()
        if paths
    ]


def _tell_record(statement: Statement, profile: Profile) -> None:
    """Say what the record says."""
    told = statement.predicate
    counts = [
        plural(told.counts.error, "error"),
        plural(told.counts.warning, "warning"),
        plural(told.counts.info, "note"),
        f"{told.counts.waived:,} waived",
    ]
    when = f" on {told.time}" if told.time else ""
    lines = [
        f"Verdict of the record: {told.verdict.value} ({', '.join(counts)}), by {told.tool.name} {told.tool.version}{when}"
    ]
    lines += [f"  {said}" for said in words.narrowed(told.settings)]
    if told.not_run:
        lines.append(f"  {plural(told.outcomes.skipped, 'rule')} not run:")
        lines += [f"    {one.reason}: {words.listing(one.rules, 2 * LISTED)}" for one in told.not_run]
    lines += [f"  Not read: {said}" for said in told.limits[:LISTED]]
    for waiver in told.waivers:
        kind = "known issue" if waiver.known else "waived"
        lines.append(f"  {kind}: {waiver.rule}, {plural(waiver.findings, 'finding')}: {waiver.reason}")
    _say(*lines, *_rules_said(told, profile))


def _rules_said(told: Predicate, profile: Profile) -> list[str]:
    """Whether this crlm-qc would hold the release against the same rules."""
    from crlm_qc import __version__
    from crlm_qc.auditing.attestation import rule_set

    try:
        chosen = {item.code: item.severity for item in choose(registry(), told.settings)}
    except UsageError:
        # The record names a rule that is none here.
        same = False
    else:
        same = rule_set(chosen, told.settings, profile) == told.rule_set
    other = "" if told.tool.version == __version__ else f" This is crlm-qc {__version__}."
    if same:
        return [f"Rules, tolerances and profile: the same as here.{other}"]
    note = "rules, severities, tolerances or profile are not the same here"
    return [f"Note: {note}: an audit today may come to another verdict.{other}"]


def _say(*lines: str) -> None:
    for line in lines:
        say_safely(words.clean(line), sys.stdout)


def _stop(message: str, code: ExitCode) -> NoReturn:
    say_safely(words.clean(f"crlm-qc: {message}"), sys.stderr)
    raise typer.Exit(code)
