"""The audit as pytest items: which there are, how each ends, and the one audit of a run that all of them read.

Node ids: `crlm-qc::release` (could everything be read?), `crlm-qc::DSO::DSO011` (a rule, with all its findings), and
`crlm-qc::DSO::CRLM-CT-1046` (a patient and a family of rules) or `crlm-qc::DSO::CRLM-CT-1046::DSO011`.
"""

from __future__ import annotations

import logging
import shlex
import shutil
import sqlite3
import tempfile
import traceback
import warnings
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from crlm_qc import configuration
from crlm_qc.auditing import Parts, UsageError, all_waivers, audit, choose
from crlm_qc.cli_config import settled_for
from crlm_qc.conformance import block, not_checked
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.profile import Profile, ProfileError, load_profile
from crlm_qc.model.report import Report
from crlm_qc.model.rule import Rule
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.waivers import UNUSED, Waiver, WaiverError, load_waivers
from crlm_qc.pytest_plugin import GRAINS, NAME, QualityWarning, named_source
from crlm_qc.report import json_format, words
from crlm_qc.rules import registry

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence

ABOUT_THE_WHOLE = frozenset({"MAN", "PUB", "WVR"})
"""Families that have no test a patient. What they do find of one stands at the rule's own test, as all findings do."""
SHARED = "crlm_qc_shared"
"""Key under which a worker of xdist is told of the run's folder."""
_PATIENCE = 24 * 3600.0
"""Seconds that a worker waits for another to have read the release."""
_OPTIONS = ("select", "ignore", "waivers", "subset", "depth", "jobs", "profile", "fail-on", "evidence")
"""Options that the environment and a configuration file may set too."""


# --- what was asked for ----------------------------------------------------------------------------------------------


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
        from crlm_qc.evidence.release import ReleaseError

        refusals = (UsageError, ReleaseError, ProfileError, WaiverError, configuration.ConfigurationError)
        try:
            return cls._of(config)
        except refusals as error:
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
        settings = _settings(held)
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
            evidence_to=None if alone or "evidence" not in held else _outside(Path(held["evidence"]), source),
            fail_on=None if fail_on == "never" else Severity(fail_on),
            found=found,
            grain=config.getoption("crlm_grain") or GRAINS[1],
            rules=rules,
            patients=patients,
        )


def _settings(held: Mapping[str, Any]) -> Settings:
    levels = dict(held.get("severity", {}))
    off = tuple(code for code, level in levels.items() if level == configuration.OFF)
    return Settings(
        depth=Depth(held.get("depth", Depth.PIXELS)),
        subset=bool(held.get("subset")),
        select=_split(held.get("select", ())),
        ignore=(*_split(held.get("ignore", ())), *off),
        patients=_listed(held.get("patients", ())),
        severity={code: Severity(level) for code, level in levels.items() if level != configuration.OFF},
        known_issues=held.get("known-issues", True),
        tolerances=held.get("tolerances", {}),
        redact_paths=bool(held.get("redact-paths")),
    )


def _split(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for part in given for word in part.replace(",", " ").split())


def _listed(given: Sequence[str]) -> tuple[str, ...]:
    """Patients, some of which a file may list."""
    try:
        lists = [Path(one[1:]).read_text(encoding="utf-8-sig") if one.startswith("@") else one for one in given]
    except (OSError, UnicodeDecodeError):
        raise UsageError("the list of patients can't be read as a text file of patient IDs") from None
    return tuple(dict.fromkeys(_split(lists)))


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


def _outside(folder: Path, release: Path) -> Path:
    if folder.resolve().is_relative_to(release.resolve()):
        raise UsageError(f"{folder} lies in the release, which is never written to: give --crlm-evidence elsewhere")
    return folder


# --- the audit of a run ----------------------------------------------------------------------------------------------


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
        from crlm_qc.outputs import put

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


# --- how a test ends -------------------------------------------------------------------------------------------------


class Ending(Enum):
    """How a test ends."""

    PASSED = "passed"
    FAILED = "failed"
    ACCEPTED = "accepted"
    """Nothing but waived findings: pytest's expected failure."""
    SKIPPED = "skipped"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Told:
    """How a test ends, and what it says."""

    ending: Ending
    said: str = ""
    aside: str = ""
    """Findings that fail nothing."""
    warning: str = ""
    """What pytest warns of, in one line."""
    findings: tuple[Finding, ...] = ()


class Verdicts:
    """Ends of tests, from a report."""

    def __init__(self, report: Report, fail_on: Severity | None) -> None:
        self._report = report
        self._fail_on = fail_on
        self._outcomes = {one.rule: one for one in report.outcomes}
        self._of_rule: dict[str, list[Finding]] = defaultdict(list)
        self._of_patient: dict[tuple[str, str | None], list[Finding]] = defaultdict(list)
        for finding in report.findings:
            self._of_rule[finding.rule].append(finding)
            self._of_patient[finding.rule, finding.patient].append(finding)

    def of_release(self) -> Told:
        """Whether everything that was asked for could be read, and anything was there."""
        unchecked = not_checked(self._report)
        return Told(Ending.ERRORED, "\n".join(unchecked)) if unchecked else Told(Ending.PASSED)

    def of_rules(self, codes: Sequence[str], patient: str | None = None) -> Told:
        """How a test of these rules ends.

        Parameters
        ----------
        codes : sequence of str
            The rules.
        patient : str, optional
            Only findings on this patient; by default all.

        Returns
        -------
        Told
            Failed with an open finding that counts; else errored if a rule crashed, accepted if only waived findings
            stand there, skipped if none of the rules ran, and passed, with whatever milder findings there are.
        """
        found = [
            finding
            for code in codes
            for finding in (self._of_rule[code] if patient is None else self._of_patient[code, patient])
        ]
        found.sort(key=lambda one: one.sort_key)
        failing = [one for one in found if self._fails(one)]
        waived = [one for one in found if one.waived is not None]
        milder = [one for one in found if one.waived is None and one not in failing]
        aside = block(self._report, [*milder, *waived])
        warned = _line([one for one in milder if one.severity is not Severity.INFO])
        unchecked = [self._outcomes[code] for code in codes if self._outcomes[code].incomplete]
        told = tuple(found)
        if failing:
            return Told(
                Ending.FAILED, "\n".join([block(self._report, failing), *map(_why, unchecked)]), aside, warned, told
            )
        if unchecked:
            return Told(Ending.ERRORED, "\n".join([*map(_why, unchecked), aside]).rstrip(), findings=told)
        if waived and not milder:
            reasons = dict.fromkeys(words.clean(one.waived or "") for one in waived)
            return Told(Ending.ACCEPTED, f"waived: {'; '.join(reasons)}", aside, findings=told)
        skipped = [one for one in (self._outcomes[code] for code in codes) if one.status is Status.SKIPPED]
        if not found and len(skipped) == len(codes):
            return Told(Ending.SKIPPED, "; ".join(dict.fromkeys(words.clean(one.reason) for one in skipped)))
        return Told(Ending.PASSED, "", aside, warned, told)

    def _fails(self, finding: Finding) -> bool:
        if finding.waived is not None or self._fail_on is None:
            return False
        # A waiver that accepts nothing would hide the fault's return, so it must go; one of a known issue is a note.
        too_much = finding.rule == UNUSED and finding.severity.at_least(Severity.WARNING)
        return too_much or finding.severity.at_least(self._fail_on)


def _why(outcome: Outcome) -> str:
    return (
        f"{outcome.rule} {'crashed' if outcome.status is Status.ERRORED else 'not run'}: {words.clean(outcome.reason)}"
    )


def _line(findings: Sequence[Finding]) -> str:
    """Findings in one line: how many, of which rules, and the first of them."""
    if not findings:
        return ""
    first, codes = findings[0], words.listing(sorted({one.rule for one in findings}))
    more = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
    return words.clean(f"{codes}: {first.message}{more}")


# --- the items -------------------------------------------------------------------------------------------------------


class FindingsError(Exception):
    """What a failing test found."""


class Whole(pytest.Collector):
    """The audit: one test of its completeness, and the families of rules."""

    def __init__(self, *, plugin: AuditPlugin, **options: Any) -> None:
        super().__init__(**options)
        self.plugin = plugin

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """The tests."""
        yield AuditItem.from_parent(self, name="release", plugin=self.plugin, codes=())
        families: dict[str, list[str]] = {}
        for item in self.plugin.asked.rules:
            families.setdefault(item.family, []).append(item.code)
        for family, codes in families.items():
            yield Family.from_parent(self, name=family, plugin=self.plugin, codes=codes)


class Family(pytest.Collector):
    """The rules of one family."""

    def __init__(self, *, plugin: AuditPlugin, codes: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.plugin = plugin
        self.codes = tuple(codes)
        self.add_marker(plugin.marker(self.name))

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """The tests."""
        asked = self.plugin.asked
        for code in self.codes:
            yield AuditItem.from_parent(self, name=code, plugin=self.plugin, codes=(code,))
        if asked.grain == "rule" or self.name in ABOUT_THE_WHOLE:
            return
        for patient in asked.patients:
            if asked.grain == "full":
                yield Patient.from_parent(self, name=patient, plugin=self.plugin, codes=self.codes)
            else:
                yield AuditItem.from_parent(self, name=patient, plugin=self.plugin, codes=self.codes, patient=patient)


class Patient(pytest.Collector):
    """The rules of one family on one patient, a test each."""

    def __init__(self, *, plugin: AuditPlugin, codes: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.plugin = plugin
        self.codes = tuple(codes)

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """The tests."""
        for code in self.codes:
            yield AuditItem.from_parent(self, name=code, plugin=self.plugin, codes=(code,), patient=self.name)


class AuditItem(pytest.Item):
    """A test of the audit."""

    def __init__(
        self, *, plugin: AuditPlugin, codes: tuple[str, ...], patient: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.plugin = plugin
        self.codes = codes
        self.patient = patient
        # So that -k finds what stands in the node id: DSO::CRLM-CT-1046.
        self.extra_keyword_matches.add(self.nodeid.removeprefix(f"{NAME}::"))
        self.add_marker("crlm")
        if patient is not None and plugin.groups:
            self.add_marker(pytest.mark.xdist_group(patient))

    @cached_property
    def told(self) -> Told:
        """How the test ends."""
        verdicts = self.plugin.verdicts()
        return verdicts.of_rules(self.codes, self.patient) if self.codes else verdicts.of_release()

    def setup(self) -> None:
        """End here where nothing was checked."""
        try:
            told = self.told
        except AuditFailedError as error:
            _not_checked(str(error))
        self.user_properties += [(f"f-{one.fingerprint}", one.rule) for one in told.findings]
        if told.aside:
            self.add_report_section("setup", NAME, told.aside)
        if told.ending is Ending.SKIPPED:
            pytest.skip(told.said)
        if told.ending is Ending.ERRORED:
            _not_checked(told.said)

    def runtest(self) -> None:
        """Fail with what was found."""
        told = self.told
        if told.warning:
            # Not self.warn, which names a file: pytest would look for it on its path, and show a line of what it finds.
            warnings.warn_explicit(QualityWarning(told.warning), None, self.nodeid, 1)
        if told.ending is Ending.ACCEPTED:
            pytest.xfail(told.said)
            # Under --runxfail the line above does nothing, and the waived findings are to fail.
            raise FindingsError(told.aside)
        if told.ending is Ending.FAILED:
            raise FindingsError(f"{told.said}\nto run it again: {self.plugin.command(self.nodeid)}")

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the test stands: in no file, under the name that node ids begin with."""
        return self.config.rootpath / NAME, 0, self.nodeid

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """What was found, and nothing of how: no traceback and no local variable, which may hold values from files."""
        del style  # there is no traceback to set in one
        error = excinfo.value
        if isinstance(error, FindingsError | QualityWarning | pytest.fail.Exception | pytest.xfail.Exception):
            return str(error)
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"a bug of crlm-qc: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}"


class AuditPlugin:
    """What pytest asks of the audit while it runs."""

    asked: Asked

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results: Results | None = None
        self._own_folder: Path | None = None
        self._verdicts: Verdicts | None = None
        self._ids: tuple[str, ...] = ()
        self._files_alone = False
        self.groups = config.pluginmanager.hasplugin("xdist")
        config.addinivalue_line("markers", "crlm: a test of the audit of a release")
        for family in dict.fromkeys(item.family for item in registry()):
            about = words.family_name(family)
            config.addinivalue_line("markers", f"{self.marker(family)}: tests of the audit's rules {family}: {about}")

    @staticmethod
    def marker(family: str) -> str:
        """The marker of a family's tests."""
        return f"crlm_{family.lower()}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """See what is asked for, and share a folder for what comes of it."""
        config = self._config
        self._take_ids()
        self.asked = Asked.of(config)
        shared = getattr(config, "workerinput", {}).get(SHARED)
        if shared is None:
            shared = self._own_folder = Path(tempfile.mkdtemp(prefix="crlm-qc-"))
        self._results = Results(self.asked, Path(shared))

    @property
    def results(self) -> Results:
        """The audit of this run, which begins with the session."""
        assert self._results is not None
        return self._results

    def _take_ids(self) -> None:
        """Take the audit's own node ids out of what pytest looks for on disk."""
        config = self._config
        # pytest writes its ids relative to the working directory: ../crlm-qc::DSO::DSO011.
        heads = {word: Path(word.partition("::")[0]) for word in config.args}
        ours = [word for word, head in heads.items() if head.name == NAME and ("::" in word or not head.exists())]
        config.args[:] = [word for word in config.args if word not in ours]
        self._ids = tuple(NAME + "".join(word.partition("::")[1:]) for word in ours)
        named_here = config.getoption("crlm_release") or config.getoption("crlm_evidence")
        files = ["::" in word or Path(config.invocation_params.dir, word).is_file() for word in config.args]
        self._files_alone = not (named_here or ours) and bool(files) and all(files)

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Run nothing that lies in the release, and load no conftest.py of it."""
        return configuration.lies_in(collection_path, self.asked.source) or None

    def pytest_report_header(self) -> list[str]:
        """Name what is audited."""
        asked = self.asked
        if self._files_alone:
            return []
        file, unread = asked.found.path, asked.found.passed_over
        lines = [
            f"crlm-qc: {asked.source}, {words.plural(len(asked.patients), 'patient')}, grain {asked.grain}",
            *([] if file is None else [f"crlm-qc configuration: {file}"]),
            *(f"crlm-qc: {path} was not read: it lies in the release" for path in unread),
        ]
        return [words.clean(line) for line in lines]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist where the results are shared."""
        node.workerinput[SHARED] = str(self._own_folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the audit's tests; not where the ini file alone names a release, and the user single files."""
        if self._files_alone:
            return
        whole = Whole.from_parent(session, name=NAME, nodeid=NAME, plugin=self)
        every = list(session.genitems(whole))
        lost = [one for one in self._ids if not any(_under(item, one) for item in every)]
        if lost:
            raise pytest.UsageError(*(f"not found: {one}" for one in lost))
        items[:0] = [item for item in every if not self._ids or any(_under(item, one) for one in self._ids)]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Replace what pytest would show of frames and captured output, in the phases that it does not ask items for."""
        report = yield
        if isinstance(item, AuditItem):
            if report.failed and call.excinfo is not None:
                report.longrepr = item.repr_failure(call.excinfo)
            elif isinstance(report.longrepr, tuple):
                report.longrepr = (NAME, 1, report.longrepr[2])
            report.sections = [section for section in report.sections if section[0].startswith(f"Captured {NAME} ")]
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what the audit came to as a whole, whichever of its tests were selected."""
        try:
            # There are none if the session ended before it began, with wrong usage.
            report = None if self._results is None else self._results.made()
        except AuditFailedError:
            return
        if report is not None:
            terminalreporter.write_line(f"crlm-qc: {words.clean(words.sentence(report))}.")

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    def verdicts(self) -> Verdicts:
        """Ends of the tests."""
        if self._verdicts is None:
            self._verdicts = Verdicts(self.results.report(), self.asked.fail_on)
        return self._verdicts

    def command(self, nodeid: str) -> str:
        """The command that runs one test again."""
        given = [str(word) for word in self._config.invocation_params.args]
        options: list[str] = []
        for place, word in enumerate(given):
            if word.startswith("--crlm-"):
                takes = "=" not in word and word != "--crlm-subset"
                options.append("=".join(given[place : place + 2]) if takes else word)
        return words.clean(shlex.join(["pytest", *options, nodeid]))

    def release_folder(self) -> Path:
        """The release itself, for the fixture of a team's own tests."""
        if self.asked.saved:
            pytest.skip("saved evidence is audited, and not the release itself")
        return self.asked.source

    def report(self) -> Report:
        """The report, for the fixture of a team's own tests."""
        __tracebackhide__ = True
        try:
            return self.results.report()
        except AuditFailedError as error:
            pytest.fail(str(error), pytrace=False)

    def evidence(self) -> Evidence:
        """The evidence tables, for the fixture of a team's own tests."""
        __tracebackhide__ = True
        try:
            return self.results.evidence()
        except AuditFailedError as error:
            pytest.fail(str(error), pytrace=False)


def _not_checked(why: str) -> NoReturn:
    """End a test that could not be made.

    Of another exception pytest would take apart the source of every frame, a third of a second for each test.
    """
    pytest.fail(why, pytrace=False)


def _under(item: pytest.Item, nodeid: str) -> bool:
    return item.nodeid == nodeid or item.nodeid.startswith(f"{nodeid}::")
