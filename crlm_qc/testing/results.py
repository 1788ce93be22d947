"""The one audit of a run of pytest, which all of its tests read."""

from __future__ import annotations

import logging
import sqlite3
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crlm_qc.auditing.run import audit
from crlm_qc.cli.config import settled_for
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import Waiver, load_waivers
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report import json_format, words
from crlm_qc.request import files as configuration
from crlm_qc.request.choice import all_waivers, choose
from crlm_qc.request.request import Parts, outside, settings_of
from crlm_qc.rulebook.rule import Rule
from crlm_qc.rules import registry
from crlm_qc.testing.names import GRAINS, named_source

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence

_PATIENCE = 24 * 3600.0
"""Seconds that a worker waits for another to have read the release."""
_OPTIONS = ("select", "ignore", "waivers", "subset", "depth", "jobs", "profile", "fail-on", "evidence")
"""Options that the environment and a configuration file may set too."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to audit, and how."""

    source: Path
    """The release, or saved evidence."""
    saved: bool
    """Whether it is saved evidence."""
    settings: Settings
    profile: Profile
    parts: Parts
    lock: Path | None
    jobs: int | None
    waivers: tuple[Waiver, ...]
    allow_did_waivers: bool
    evidence_to: Path | None
    fail_on: Severity | None
    """None for never."""
    found: configuration.Configuration
    """The file below the options, and those that were not read since they lie in the release."""
    grain: str
    rules: tuple[Rule, ...]
    patients: tuple[str, ...]

    @classmethod
    def of(cls, config: pytest.Config) -> Asked:
        """What the options, below them the environment, and below that the configuration file, ask for.

        Raises
        ------
        pytest.UsageError
            It can't be done; the message says why.
        """
        try:
            return cls._of(config)
        except UsageError as error:
            raise pytest.UsageError(f"crlm-qc: {words.clean(str(error))}") from None

    @classmethod
    def _of(cls, config: pytest.Config) -> Asked:
        source = named_source(config, config.option)
        assert source is not None, "the plugin is there only if there is something to audit"
        alone = bool(config.getoption("crlm_evidence")) and not config.getoption("crlm_release")
        given = {name: config.getoption(f"crlm_{name.replace('-', '_')}") for name in _OPTIONS}
        if alone:
            del given["evidence"]
        found, held = settled_for(source, given)
        settings = settings_of(held)
        named_profile = held.get("profile")
        profile = load_profile(Path(named_profile) if named_profile else None).with_tolerances(settings.tolerances)
        allow = bool(held.get("allow-did-waivers"))
        waivers = tuple(waiver for path in held.get("waivers", ()) for waiver in load_waivers(Path(path)))
        all_waivers(waivers, settings, profile, allow_did_waivers=allow)
        rules = tuple(choose(registry(), settings))
        parts = Parts(*(Path(held[name]) if name in held else None for name in ("metadata", "clinical", "manifest")))
        saved, patients = _patients(source, profile, parts, settings)
        fail_on = held.get("fail-on", Severity.ERROR.value)
        return cls(
            source=source,
            saved=saved,
            settings=settings,
            profile=profile,
            parts=parts,
            lock=Path(held["lock"]) if "lock" in held else None,
            jobs=held.get("jobs"),
            waivers=waivers,
            allow_did_waivers=allow,
            evidence_to=None if alone or "evidence" not in held else outside(Path(held["evidence"]), source),
            fail_on=None if fail_on == "never" else Severity(fail_on),
            found=found,
            grain=config.getoption("crlm_grain") or GRAINS[1],
            rules=rules,
            patients=patients,
        )


def _patients(source: Path, profile: Profile, parts: Parts, settings: Settings) -> tuple[bool, tuple[str, ...]]:
    """Whether the source is saved evidence, and the patients in it, without reading any of their files."""
    from crlm_qc.evidence.release import find_release
    from crlm_qc.evidence.store import is_evidence, load

    if saved := is_evidence(source):
        found = {str(patient) for patient in load(source)["patients"]["patient"]}
    else:
        named = {"metadata": parts.metadata, "clinical": parts.clinical, "manifest": parts.manifest}
        found = {one.patient for one in find_release(source, profile, **named).patients}
        if lost := [patient for patient in settings.patients if patient not in found]:
            raise UsageError(f"no patient {lost[0]} in {source.name}")
    return saved, tuple(sorted(one for one in found if not settings.patients or one in settings.patients))


class AuditFailedError(Exception):
    """The audit could not be made; the message holds no value of a file."""


class Results:
    """The audit of a run: made by the test that needs it first, in whichever process, and read by all others."""

    def __init__(self, asked: Asked, folder: Path) -> None:
        self._asked = asked
        self._folder = folder
        self._report: Report | None = None
        self._evidence: Evidence | None = None
        self._failed: str | None = None

    @property
    def _saved(self) -> Path:
        return self._folder / "findings.json"

    @property
    def _failure(self) -> Path:
        return self._folder / "failed.txt"

    @property
    def _tables(self) -> Path:
        return self._asked.source if self._asked.saved else self._asked.evidence_to or self._folder / "evidence"

    def made(self) -> Report | None:
        """The report, if some test has needed it."""
        return self.report() if self._report is not None or self._saved.is_file() else None

    def report(self) -> Report:
        """The report.

        Raises
        ------
        AuditFailedError
            There is none.
        """
        if self._report is None and self._failed is None:
            with _alone(self._folder / "lock"):
                if self._failure.is_file():
                    self._failed = self._failure.read_text(encoding="utf-8")
                elif self._saved.is_file():
                    import json

                    self._report = Report.from_dict(json.loads(self._saved.read_bytes()))
                else:
                    self._make()
        if self._report is None:
            raise AuditFailedError(self._failed)
        return self._report

    def evidence(self) -> Evidence:
        """The evidence tables that the report was made of, as they are saved.

        Raises
        ------
        AuditFailedError
            There are none.
        """
        from crlm_qc.evidence.store import load

        self.report()
        if self._evidence is None:
            self._evidence = load(self._tables)
        return self._evidence

    def _make(self) -> None:
        from crlm_qc.report.writing import put

        asked = self._asked
        try:
            with _silence():
                self._report = audit(
                    asked.source,
                    settings=asked.settings,
                    profile=asked.profile,
                    parts=asked.parts,
                    lock=asked.lock,
                    jobs=asked.jobs,
                    evidence_to=None if asked.saved else self._tables,
                    waivers=asked.waivers,
                    allow_did_waivers=asked.allow_did_waivers,
                )
            put(self._saved, json_format.render(self._report))
        except UsageError as error:
            self._failed = f"crlm-qc: {words.clean(str(error))}"
        except Exception as error:  # noqa: BLE001 - its text may hold values from files, so it must not go on
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            self._failed = f"a bug of crlm-qc, so nothing was checked: {where}"
        if self._failed is not None:
            put(self._failure, self._failed)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only process of the run in this block: SQLite's lock works on every system, and ends with its process."""
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what libraries say of values in files out of pytest's reports."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
