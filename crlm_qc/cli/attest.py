"""Sign-off records on the command line: written by `check --attest`, and checked by `verify`."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from crlm_qc.auditing.attestation import AttestationError, Predicate, Statement, attest, read_statement, rule_set
from crlm_qc.cli.actions import harmless, in_actions
from crlm_qc.cli.terminal import progress_on, say
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import ExitCode, Report, Verdict
from crlm_qc.model.settings import Settings
from crlm_qc.report import words
from crlm_qc.report.writing import put
from crlm_qc.request.choice import choose, known_issues
from crlm_qc.rules import registry

if TYPE_CHECKING:
    from crlm_qc.evidence.lock import Entry, Lock
    from crlm_qc.model.evidence import Evidence

LISTED = 5
"""Files that are named of each kind of difference."""
MAX_BYTES = 16 * 2**20
"""No sign-off record is larger."""

AttestOption = Annotated[
    Path | None,
    typer.Option(
        "--attest",
        metavar="FILE",
        help="Write a sign-off record (in-toto statement, not signed), with a lock file of what was read. "
        "Check it with crlm-qc verify.",
    ),
]


@dataclass
class Record:
    """The sign-off record of one audit: what `check --attest` was asked for."""

    path: Path
    release: Path
    given: Path | None
    """The lock file that the release is compared with."""
    time: str | None
    _locks: list[Lock] = field(default_factory=list, init=False)

    @classmethod
    def asked(cls, path: Path | None, release: Path, lock: Path | None, settings: Settings) -> Record | None:
        """See before the audit that a record of it can be written.

        Raises
        ------
        UsageError
            The audit is of some patients only, a file lies in the way, or SOURCE_DATE_EPOCH is no time.
        """
        if path is None:
            return None
        if settings.patients:
            raise UsageError("--attest is of a whole release: leave out --patients")
        if path.is_dir():
            raise UsageError(f"{path} is a folder: give the file to write, --attest {path / 'attestation.json'}")
        if path.resolve().is_relative_to(release.resolve()):
            raise UsageError(
                f"{path} lies in the release, which is never written to. Give a file elsewhere: --attest FILE"
            )
        if path.suffix == ".lock":
            raise UsageError(f"--attest {path}: the lock file beside it is named so; give another name")
        if lock is not None and lock.resolve().is_relative_to(release.resolve()):
            raise UsageError(f"{lock} lies in the release, where it can't list itself: move it elsewhere for --attest")
        return cls(path, release, lock, _source_date())

    @property
    def lock_path(self) -> Path:
        """The lock file beside the record."""
        return self.path.with_suffix(".lock")

    @property
    def places(self) -> list[Path]:
        """Files that may be written."""
        return [self.path, self.lock_path]

    def keep(self, evidence: Evidence) -> None:
        """Take the checksums of what was read."""
        from crlm_qc.evidence.lock import lock_files

        self._locks.append(lock_files(evidence["files"]))

    def write(self, report: Report, profile: Profile, waivers: Sequence[Waiver], to: TextIO | None) -> ExitCode:
        """Write the record, and the lock file where the one that was given is another.

        Parameters
        ----------
        report : Report
            What the audit came to.
        profile : Profile
            Its profile.
        waivers : sequence of Waiver
            The user's waivers.
        to : TextIO or None
            Where to say what was written, if at all.

        Returns
        -------
        ExitCode
            `CLEAN` if it was written.

        Raises
        ------
        UsageError
            A file can't be written, or another lock file is there already.
        """
        from crlm_qc.evidence.lock import render_lock

        (lock,) = self._locks
        reason = "nothing was checked" if report.empty else f"{lock.unread[0]}" if lock.unread else ""
        if reason:
            say(f"crlm-qc: no sign-off record was written: {reason}", to=sys.stderr)
            return ExitCode.NOTHING if report.empty else ExitCode.INCOMPLETE
        content = render_lock(lock.entries)
        serves = self.given is not None and self.given.read_bytes() == content
        beside = self.given if self.given is not None and serves else self.lock_path
        statement = attest(
            report,
            content,
            name="".join(letter for letter in beside.name if letter.isprintable()),
            files=len(lock.entries),
            size=sum(entry.size or 0 for entry in lock.entries),
            profile=profile,
            waivers=[*waivers, *(known_issues(profile) if report.settings.known_issues else ())],
            time=self.time,
        )
        if not serves:
            self._put_lock(content)
        put(self.path, words.json_bytes(statement.as_dict()))
        if to is not None:
            self._tell(statement, beside, to)
        return ExitCode.CLEAN

    def _tell(self, statement: Statement, beside: Path, to: TextIO) -> None:
        _say(
            [
                f"sign-off record: {self.path} (verdict: {statement.predicate.verdict.value})",
                f"its lock file: {beside}",
                *_unsigned(self.path),
                f"to verify: {_verification(self.release, self.path, beside)}",
            ],
            to,
        )

    def _put_lock(self, content: bytes) -> None:
        if self.lock_path.exists() and self.lock_path.read_bytes() != content:
            raise UsageError(
                f"{self.lock_path} is there already and differs from the release as it was read. To see how: crlm-qc "
                f"check {shlex.quote(str(self.release))} --lock {shlex.quote(str(self.lock_path))}. To attest the "
                "release as it is, remove that file first, or name another with --attest FILE"
            )
        put(self.lock_path, content)


def _source_date() -> str | None:
    """The time that SOURCE_DATE_EPOCH gives (seconds since 1970, UTC); there is no other clock."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if not given:
        return None
    try:
        return dt.datetime.fromtimestamp(int(given), tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        raise UsageError("SOURCE_DATE_EPOCH is no number of seconds since 1970-01-01") from None


def _verification(release: Path, record: Path, lock: Path) -> str:
    return shlex.join(["crlm-qc", "verify", str(release), str(record), "--lock", str(lock)])


def _unsigned(path: Path) -> list[str]:
    name = shlex.quote(str(path))
    return [
        "The record is not signed: who can write the file can change it. To sign it, one of",
        f"  gpg --armor --detach-sign {name}",
        f"  cosign sign-blob --bundle {name}.sigstore.json {name}",
    ]


def verify(
    release: Annotated[Path, typer.Argument(help="Folder of the release.")],
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
    found = _without(_hash(release, used, jobs), release, attestation, lock or _beside(attestation, statement))
    same = _compare(found, listed, statement, used)
    _tell_record(statement, used)
    _say(["Signature: not checked by crlm-qc, which neither signs nor verifies signatures."], sys.stdout)
    accepted = any_verdict or statement.predicate.verdict is Verdict.CONFORMANT
    why = [
        *([] if same else ["the release differs"]),
        *(["the lock file beside the record is another"] if another else []),
        *([] if accepted else [f"the record's verdict is {statement.predicate.verdict.value}"]),
    ]
    _say([f"Not verified: {'; '.join(why)}." if why else "Verified."], sys.stdout)
    raise typer.Exit(ExitCode.FINDINGS if why else ExitCode.CLEAN)


def _read(path: Path) -> Statement:
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
        _say([f"{path} is not the lock file that the record speaks of: its SHA-256 is another."], sys.stdout)
        if lock is not None:
            _say(["Not verified: the lock file differs."], sys.stdout)
            raise typer.Exit(ExitCode.FINDINGS)
        return None, True
    return read_lock(path), False


def _beside(attestation: Path, statement: Statement) -> Path:
    # The name comes from a file: only its last part counts, and only what has the attested bytes is used.
    return attestation.parent / (Path(statement.subject).name or "release.lock")


def _without(found: Lock, release: Path, attestation: Path, lock: Path) -> Lock:
    """What was found but the record, its signatures and its lock file, which may lie in the release they speak of."""
    top, record = release.resolve(), attestation.resolve()
    own = {path.relative_to(top).as_posix() for path in (record, lock.resolve()) if path.is_relative_to(top)}
    folder, signature = record.parent, f"{record.name}."

    def is_own(path: str) -> bool:
        place = top / path
        return path in own or (place.parent == folder and place.name.startswith(signature))

    kept = tuple(entry for entry in found.entries if not is_own(entry.path))
    if count := len(found.entries) - len(kept):
        _say([f"{words.plural(count, 'file')} in the release left out: the record itself, its signature or lock file."])
    return replace(found, entries=kept)


def _hash(release: Path, profile: Profile, jobs: int | None) -> Lock:
    from crlm_qc.evidence.lock import lock_release
    from crlm_qc.workers import default_jobs

    with progress_on(quiet=False) as progress:
        found = lock_release(release, profile, jobs=jobs or default_jobs(), progress=progress)
    if found.unread:
        rest = f", and {len(found.unread) - LISTED} more" if len(found.unread) > LISTED else ""
        _stop(f"not verified: {'; '.join(found.unread[:LISTED])}{rest}", ExitCode.INCOMPLETE)
    if not found.entries:
        _stop(f"nothing to verify: {release} holds no file", ExitCode.NOTHING)
    return found


def _compare(found: Lock, listed: tuple[Entry, ...] | None, statement: Statement, profile: Profile) -> bool:
    """Say whether the files are those that were attested, and what differs."""
    from crlm_qc.evidence.lock import render_lock

    same = hashlib.sha256(render_lock(found.entries)).hexdigest() == statement.sha256
    if not same and listed is not None:
        same = not _differences(found.entries, listed, profile)
    total = sum(entry.size or 0 for entry in found.entries)
    if same:
        _say([f"The release is the one attested: {words.plural(len(found.entries), 'file')}, {total:,} bytes."])
    else:
        _say(["The release differs from the one attested."])
        if listed is None:
            _say(["Which files differ can't be said without the lock file of the record: --lock FILE."])
        else:
            _say(_differences(found.entries, listed, profile))
    if found.left_out:
        left_out = words.plural(found.left_out, "link or device", "links and devices")
        _say([f"{left_out} left out: no record speaks of them."])
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
        words.plural(told.counts.error, "error"),
        words.plural(told.counts.warning, "warning"),
        words.plural(told.counts.info, "note"),
        f"{told.counts.waived:,} waived",
    ]
    when = f" on {told.time}" if told.time else ""
    lines = [
        f"Verdict of the record: {told.verdict.value} ({', '.join(counts)}), by {told.tool.name} {told.tool.version}{when}"
    ]
    lines += [f"  {said}" for said in words.narrowed(told.settings)]
    if told.not_run:
        lines.append(f"  {words.plural(told.outcomes.skipped, 'rule')} not run:")
        lines += [f"    {one.reason}: {words.listing(one.rules, 2 * LISTED)}" for one in told.not_run]
    lines += [f"  Not read: {said}" for said in told.limits[:LISTED]]
    for waiver in told.waivers:
        kind = "known issue" if waiver.known else "waived"
        lines.append(f"  {kind}: {waiver.rule}, {words.plural(waiver.findings, 'finding')}: {waiver.reason}")
    _say([*lines, *_rules_said(told, profile)])


def _rules_said(told: Predicate, profile: Profile) -> list[str]:
    """Whether this crlm-qc would hold the release against the same rules."""
    from crlm_qc import __version__

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


def _say(lines: Iterable[str], to: TextIO | None = None) -> None:
    """Print lines; what could be a command to a runner of GitHub Actions is broken up."""
    for line in lines:
        said = words.clean(line)
        say(harmless(said) if in_actions() else said, to=to or sys.stdout)


def _stop(message: str, code: ExitCode) -> NoReturn:
    _say([f"crlm-qc: {message}"], sys.stderr)
    raise typer.Exit(code)
