"""The audit as pytest items: which there are, and how each ends.

Node ids: `crlm-qc::release` (could everything be read?), `crlm-qc::DSO::DSO011` (a rule, with all its findings), and
`crlm-qc::DSO::CRLM-CT-1046` (a patient and a family of rules) or `crlm-qc::DSO::CRLM-CT-1046::DSO011`.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from crlm_qc.model.family import family_name
from crlm_qc.model.report import Report
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.request.files import lies_in
from crlm_qc.rules import registry
from crlm_qc.testing.asked import Asked
from crlm_qc.testing.endings import Ending, Told, Verdicts
from crlm_qc.testing.names import NAME, QualityWarning
from crlm_qc.testing.results import AuditFailedError, Results

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence

ABOUT_THE_WHOLE = frozenset({"MAN", "PUB", "WVR"})
"""Families that have no test a patient. What they do find of one stands at the rule's own test, as all findings do."""
SHARED = "crlm_qc_shared"
"""Key under which a worker of xdist is told of the run's folder."""


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
        self.user_properties += [(f"f-{one.fingerprint}", words.rule_and_state(one)) for one in told.findings]
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
            about = family_name(family)
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
        return lies_in(collection_path, self.asked.source) or None

    def pytest_report_header(self) -> list[str]:
        """Name what is audited."""
        asked = self.asked
        if self._files_alone:
            return []
        file, unread = asked.request.configuration.path, asked.request.configuration.passed_over
        lines = [
            f"crlm-qc: {asked.source}, {plural(len(asked.patients), 'patient')}, grain {asked.grain}",
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
            if report.baseline is not None:
                terminalreporter.write_line(f"crlm-qc: {words.clean(words.since(report))}.")
            elif self.asked.request.baseline is not None:
                terminalreporter.write_line(f"crlm-qc: {words.NO_LAST}")

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    def verdicts(self) -> Verdicts:
        """Ends of the tests."""
        if self._verdicts is None:
            request = self.asked.request
            self._verdicts = Verdicts(self.results.report(), request.fail_on, new_alone=request.new_alone)
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
