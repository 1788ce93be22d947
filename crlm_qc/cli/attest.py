"""The sign-off record that `crlm-qc check --attest` writes."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from crlm_qc.cli.actions import say_safely
from crlm_qc.cli.terminal import say
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.report import words
from crlm_qc.report.writing import put
from crlm_qc.request.request import Request, keep_out

if TYPE_CHECKING:
    from crlm_qc.auditing.attestation import Statement
    from crlm_qc.evidence.lock import Lock
    from crlm_qc.model.evidence import Evidence

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
    request: Request
    time: str | None
    _locks: list[Lock] = field(default_factory=list, init=False)

    @classmethod
    def asked(cls, release: Path, request: Request) -> Record | None:
        """See before the audit that a record of it can be written; None if none was asked for.

        Raises
        ------
        UsageError
            The audit is of some patients only, a file lies in the way, or SOURCE_DATE_EPOCH is no time.
        """
        path, lock = request.attest, request.lock
        if path is None:
            return None
        if request.settings.patients or request.part is not None:
            said = "--patients" if request.settings.patients else "--part"
            raise UsageError(f"--attest is of a whole release: leave out {said}")
        if path.is_dir():
            raise UsageError(f"{path} is a folder: give the file to write, --attest {path / 'attestation.json'}")
        keep_out(release, [path], "a file elsewhere: --attest FILE")
        if path.suffix == ".lock":
            raise UsageError(f"--attest {path}: the lock file beside it is named so; give another name")
        if lock is not None and resolved(lock).is_relative_to(resolved(release)):
            raise UsageError(f"{lock} lies in the release, where it can't list itself: move it elsewhere for --attest")
        return cls(path, release, request, _source_date())

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

    def write(self, report: Report, to: TextIO | None) -> ExitCode:
        """Write the record, and the lock file where the one that was given is another.

        Parameters
        ----------
        report : Report
            What the audit came to.
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
        from crlm_qc.auditing.attestation import attest
        from crlm_qc.evidence.lock import render_lock

        (lock,) = self._locks
        reason = "nothing was checked" if report.empty else f"{lock.unread[0]}" if lock.unread else ""
        if reason:
            say(f"crlm-qc: no sign-off record was written: {reason}", to=sys.stderr)
            return ExitCode.NOTHING if report.empty else ExitCode.INCOMPLETE
        content = render_lock(lock.entries)
        given = self.request.lock
        serves = given is not None and given.read_bytes() == content
        beside = given if given is not None and serves else self.lock_path
        statement = attest(
            report,
            content,
            name="".join(letter for letter in beside.name if letter.isprintable()),
            files=len(lock.entries),
            size=sum(entry.size or 0 for entry in lock.entries),
            profile=self.request.profile,
            waivers=self.request.accepted(),
            time=self.time,
        )
        if not serves:
            self._put_lock(content)
        put(self.path, words.json_bytes(statement.as_dict()))
        if to is not None:
            self._tell(statement, beside, to)
        return ExitCode.CLEAN

    def _tell(self, statement: Statement, beside: Path, to: TextIO) -> None:
        for line in (
            f"sign-off record: {self.path} (verdict: {statement.predicate.verdict.value})",
            f"its lock file: {beside}",
            *_unsigned(self.path),
            f"to verify: {_verification(self.release, self.path, beside)}",
        ):
            say_safely(words.clean(line), to)

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
