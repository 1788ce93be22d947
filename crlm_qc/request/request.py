"""One request: with what settings a release is audited, where everything lies, and what is made of the end.

Every face of the tool makes one, and reads it: the command line, pytest, the assertion for notebooks, the demonstration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import Waiver, load_waivers
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import UsageError
from crlm_qc.model.part import Part
from crlm_qc.model.paths import archive_name, resolved
from crlm_qc.model.picture import PictureMode
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report.writing import can_be_written
from crlm_qc.request.choice import all_waivers, choose
from crlm_qc.request.files import Configuration
from crlm_qc.request.keys import ENGINES, KEPT, KEYS, NEVER, NEW
from crlm_qc.request.purposes import PURPOSES
from crlm_qc.request.settled import Settled, settle, settle_alone
from crlm_qc.request.values import OFF, words_of
from crlm_qc.rulebook.rule import Rule
from crlm_qc.rules import registry


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of the release that the user names, where they are not found by themselves."""

    metadata: Path | None = None
    clinical: Path | None = None
    manifest: Path | None = None


class Audited(TypedDict):
    """What `crlm_qc.auditing.run.audit` takes of a request."""

    settings: Settings
    profile: Profile
    parts: Parts
    access: Access
    lock: Path | None
    part: Part | None
    jobs: int | None
    waivers: Sequence[Waiver]
    allow_did_waivers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    settings: Settings = field(default_factory=Settings)
    profile: Profile = field(default_factory=load_profile)
    """The collection's profile, with the tolerances of the settings."""
    parts: Parts = Parts()
    access: Access = PLAIN
    """What is said of a release that lies elsewhere."""
    lock: Path | None = None
    """Lock file to compare every byte with."""
    part: Part | None = None
    """Share of the patients, where there are several machines."""
    cache: Path | None = None
    """Folder of what earlier audits came to; None for the user's."""
    no_cache: bool = False
    jobs: int | None = None
    """Processes to work with; None for one a core."""
    engine: str = ENGINES[0]
    """What patients are read on."""
    scheduler: str | None = None
    """Address of the engine's scheduler; None for workers of this machine."""
    waivers: tuple[Waiver, ...] = ()
    """Those that the user gave."""
    allow_did_waivers: bool = False
    evidence: Path | None = None
    """Folder to write the evidence tables to."""
    fail_on: Severity | None = Severity.ERROR
    """Mildest severity that counts; None for never."""
    new_alone: bool = False
    """Whether only what is worse than the baseline counts."""
    baseline: str | None = None
    """findings.json to compare with, or the word for the last that was kept."""
    keep_runs: int = KEPT
    """Audits whose findings are kept."""
    exit_zero: bool = False
    allow_incomplete: bool = False
    out: Path | None = None
    """Folder of the reports, where it is not that of `reports_of`."""
    outputs: tuple[str, ...] = ()
    """Further reports: `FORMAT` or `FORMAT:PATH`."""
    attest: Path | None = None
    """File to write a sign-off record to."""
    sarif_anchor: str | None = None
    pictures: PictureMode = PictureMode.AUTO
    quiet: int = 0
    color: str = "auto"
    configuration: Configuration = field(default_factory=Configuration)
    """The file below the options, and those that were not read since they lie in the release."""

    @classmethod
    def of(
        cls,
        options: Mapping[str, Any],
        *,
        release: Path | None = None,
        file: Path | None = None,
        isolated: bool = False,
        keys: Collection[str] = KEYS,
    ) -> Request:
        """What options, below them the environment, and below that the configuration file ask for.

        Parameters
        ----------
        options, release, file, isolated, keys
            As `crlm_qc.request.settled.settle` takes them.

        Raises
        ------
        UsageError
            A value can't be used, or a file that is named can't be read; the message says what to type instead.
        """
        return cls._of(settle(options, release=release, file=file, isolated=isolated, keys=keys))

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Request:
        """What options alone ask for, whatever the environment and configuration files say.

        Parameters
        ----------
        options : mapping
            What is asked for, by key.

        Raises
        ------
        UsageError
            As `of`.
        """
        return cls._of(settle_alone(options))

    @classmethod
    def _of(cls, settled: Settled) -> Request:
        settings = settings_of(settled)
        fail_on = settled["fail-on"]
        return cls(
            settings=settings,
            profile=load_profile(settled.path("profile")).with_tolerances(settings.tolerances),
            parts=Parts(*(settled.path(name) for name in ("metadata", "clinical", "manifest"))),
            access=Access(settled.path("listing"), settled["endpoint"], settled["anonymous"]),
            lock=settled.path("lock"),
            part=None if settled["part"] is None else Part.parse(settled["part"]),
            cache=settled.path("cache"),
            # Who names a folder on the command line means to use it, whatever a file or a variable says.
            no_cache=settled["no-cache"] and not settled.overrules("cache", "no-cache"),
            jobs=settled["jobs"],
            engine=settled["engine"],
            scheduler=settled["scheduler"],
            waivers=tuple(waiver for path in settled.paths("waivers") for waiver in load_waivers(path)),
            allow_did_waivers=settled["allow-did-waivers"],
            evidence=settled.path("evidence"),
            fail_on=None if fail_on == NEVER else NEW.get(fail_on) or Severity(fail_on),
            new_alone=fail_on in NEW,
            baseline=settled["baseline"],
            keep_runs=settled["keep-runs"],
            exit_zero=settled["exit-zero"],
            allow_incomplete=settled["allow-incomplete"],
            out=settled.path("out"),
            outputs=settled["output"],
            attest=settled.path("attest"),
            sarif_anchor=settled["sarif-anchor"],
            pictures=PictureMode(settled["pictures"]),
            quiet=settled["quiet"],
            color=settled["color"],
            configuration=settled.configuration,
        )

    @property
    def profile_to_read(self) -> Profile:
        """The profile that a release is read with: where objects of others are judged too, it knows of none."""
        return replace(self.profile, others=()) if self.settings.all_objects else self.profile

    def audited(self) -> Audited:
        """What an audit takes of it, by the names of its parameters."""
        return {
            "settings": self.settings,
            "profile": self.profile,
            "parts": self.parts,
            "access": self.access,
            "lock": self.lock,
            "part": self.part,
            "jobs": self.jobs,
            "waivers": self.waivers,
            "allow_did_waivers": self.allow_did_waivers,
        }

    def rules(self) -> list[Rule]:
        """The rules that are asked for.

        Raises
        ------
        UsageError
            A code that no rule has.
        """
        return choose(registry(), self.settings)

    def accepted(self) -> tuple[Waiver, ...]:
        """All waivers that hold: the user's, and the known issues of the published release.

        Raises
        ------
        UsageError
            One accepts a rule that is not known, or what identifies a person.
        """
        return all_waivers(self.waivers, self.settings, self.profile, allow_did_waivers=self.allow_did_waivers)


def settings_of(settled: Settled) -> Settings:
    """The settings of an audit.

    Raises
    ------
    UsageError
        A list of patients can't be read, or names none.
    """
    levels: Mapping[str, str] = settled["severity"]
    off = tuple(code for code, level in levels.items() if level == OFF)
    return Settings(
        depth=Depth(settled["depth"]),
        subset=settled["subset"],
        select=words_of(settled["select"]),
        ignore=(*words_of(settled["ignore"]), *off),
        patients=_listed(settled["patients"]),
        severity={code: Severity(level) for code, level in levels.items() if level != OFF},
        known_issues=settled["known-issues"],
        tolerances=settled["tolerances"],
        redact_paths=settled["redact-paths"],
        standard=settled["standard"],
        all_objects=settled["all-objects"],
        purposes=settled.configuration.values.get(PURPOSES, {}),
    )


def settings_from(settings: Settings | None, options: Mapping[str, Any]) -> Settings:
    """The settings that who calls from Python gives as such, or by options.

    Parameters
    ----------
    settings : Settings or None
        Settings as such.
    options : mapping
        Values by the keys of the configuration.

    Raises
    ------
    TypeError
        Both are given.
    UsageError
        A value can't be used.
    """
    if settings is None:
        return settings_of(settle_alone(options))
    if options:
        names = ", ".join(key.replace("-", "_") for key in options)
        raise TypeError(
            f"audit() takes settings or {names}, not both: put {names} into Settings(...), or leave settings out"
        )
    return settings


def waivers_from(given: str | Path | Iterable[Waiver | str | Path]) -> tuple[Waiver, ...]:
    """Waivers as such, and those of files.

    Raises
    ------
    UsageError
        A file can't be used.
    """
    every = [given] if isinstance(given, str | Path) else given
    return tuple(waiver for one in every for waiver in ((one,) if isinstance(one, Waiver) else load_waivers(Path(one))))


def _listed(given: Iterable[str]) -> tuple[str, ...]:
    """Patients by name, or one a line in a file: `@FILE`."""
    found: list[str] = []
    for part in given:
        listed = part
        if part.startswith("@"):
            try:
                listed = Path(part[1:]).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError):
                raise UsageError(f"--patients: {part[1:]} can't be read as a text file of patient IDs") from None
        patients = words_of([listed])
        if not patients:
            raise UsageError(f"--patients {part} names no patient")
        found += patients
    return tuple(dict.fromkeys(found))


REPORTS = Path("reports")
"""Folder of all reports, unless the user names another."""


def reports_of(release: Path) -> Path:
    """Folder of what is written of a release, unless the user names another."""
    return REPORTS / (archive_name(resolved(release).name) or "release")


def keep_out(release: Path, places: Sequence[Path], instead: str = "a folder elsewhere: --out PATH") -> None:
    """Refuse places that lie in the release, which is never written to, or can't be written.

    Raises
    ------
    UsageError
        Names the place, and what to give instead.
    """
    top = resolved(release)
    for place in places:
        if resolved(place).is_relative_to(top):
            raise UsageError(f"{place} lies in the release, which is never written to. Give {instead}")
    can_be_written(places)
