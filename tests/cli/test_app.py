"""The command line: options, exit codes, where reports go, what is printed where."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.main
from support import reports
from support.commands import Run, calling

import crlm_qc.auditing.run
from crlm_qc.cli import app as cli
from crlm_qc.cli.clock import LIBRARIES
from crlm_qc.cli.configured import GROUP_OF, MANY
from crlm_qc.cli.rules import MOST_FOUND
from crlm_qc.cli.synth import DEMO_FAULTS
from crlm_qc.collection.resources import expectations_folder
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.rules import registry

HEAVY = {"pandas", "pandera", "pydicom", "great_expectations", "highdicom", "scipy", "pyarrow", "numpy", "jinja2"}


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    return calling(capsys)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "manifest-1"
    folder.mkdir(parents=True)
    return folder


@dataclass
class Audit:
    """Stands in for the audit: gives a report, and keeps what it was asked."""

    report: Report
    asked: dict[str, Any]

    def __call__(self, release: Path, **asked: Any) -> Report:
        self.asked = {"release": release, **asked}
        return self.report

    @property
    def settings(self) -> Settings:
        settings = self.asked["settings"]
        assert isinstance(settings, Settings)
        return settings


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Audit:
    made = Audit(reports.sample(), {})
    monkeypatch.setattr("crlm_qc.cli.check.audit", made)
    return made


def test_check_writes_both_reports_and_prints_the_summary(run: Run, audit: Audit, release: Path) -> None:
    done = run("check", release)
    assert done.code == 1
    folder = Path("reports/manifest-1")
    assert sorted(path.name for path in folder.iterdir()) == ["findings.json", "report.html", "run.json", "runs"]
    (kept,) = (folder / "runs").glob("*Z.json")
    assert kept.read_bytes() == (folder / "findings.json").read_bytes()
    assert json.loads((folder / "findings.json").read_text(encoding="utf-8"))["summary"]["error"] == 8
    assert "ERROR CTS008 Missing slice" in done.out
    assert "Not conformant: 8 errors" in done.out
    assert str(folder / "report.html") in done.out
    assert done.err == ""
    assert "\x1b" not in done.out


def test_a_smaller_audit_is_refused_before_anything_is_read(run: Run, audit: Audit, release: Path) -> None:
    run("check", release)
    before = Path("reports/manifest-1/findings.json").read_bytes()
    audit.asked.clear()
    refused = run("check", release, "--depth", "headers")
    assert (refused.code, audit.asked) == (2, {})
    assert "read at depth pixels, and this one at headers" in refused.err
    assert Path("reports/manifest-1/findings.json").read_bytes() == before
    audit.report = replace(audit.report, settings=Settings(depth=Depth.HEADERS, subset=True))
    assert run("check", release, "--depth", "headers", "--out", "other").code == 1
    assert run("check", release, "--depth", "headers", "--force").code == 1
    assert Path("reports/manifest-1/findings.json").read_bytes() != before


def test_a_file_where_audits_are_kept_is_told_before_anything_is_read(run: Run, audit: Audit, release: Path) -> None:
    folder = Path("reports/manifest-1")
    folder.mkdir(parents=True)
    (folder / "runs").write_text("mine")
    refused = run("check", release)
    assert (refused.code, audit.asked) == (2, {})
    assert "runs is a file" in refused.err
    assert run("check", release, "--keep-runs", "0").code == 1
    assert (folder / "runs").read_text() == "mine"


def test_check_ends_with_what_has_changed_since_the_last(run: Run, audit: Audit, release: Path) -> None:
    assert "Since" not in run("check", release).out
    plain = Path("reports/manifest-1/findings.json").read_bytes()
    whole = audit.report
    audit.report = replace(whole, findings=whole.findings[1:])
    fixed = run("check", release)
    assert "nothing new: 1 fixed" in " ".join(fixed.out.split())
    audit.report = whole
    new = run("check", release)
    assert "1 new (1 error)" in " ".join(new.out.split())
    # It is told, and stands in no report.
    assert Path("reports/manifest-1/findings.json").read_bytes() == plain
    assert len(list(Path("reports/manifest-1/runs").glob("*Z.json"))) == 3


def test_a_baseline_gates_on_what_is_new_alone(run: Run, audit: Audit, release: Path) -> None:
    gate = ("check", release, "--baseline", "old/findings.json", "--fail-on", "new")
    assert run("check", release, "--out", "old", "--keep-runs", "0").code == 1
    assert not Path("old/runs").exists()
    assert run(*gate).code == 0
    assert (
        json.loads(Path("reports/manifest-1/findings.json").read_text(encoding="utf-8"))["baseline"]["summary"]["new"]
        == 0
    )
    whole = audit.report
    audit.report = replace(whole, findings=whole.findings[1:])
    run("check", release, "--out", "old")
    audit.report = whole
    done = run(*gate, "-o", "csv")
    assert done.code == 1
    assert "Since the baseline findings.json: 1 new (1 error)" in done.out
    assert b",new\r\n" in Path("reports/manifest-1/findings.csv").read_bytes()
    assert run("check", release, "--fail-on", "new").code == 2


def test_what_the_baseline_did_not_look_at_passes_and_is_told(run: Run, audit: Audit, release: Path) -> None:
    whole = audit.report
    first = whole.findings[0]
    outcomes = [replace(one, status=Status.SKIPPED) if one.rule == first.rule else one for one in whole.outcomes]
    left = [one for one in whole.findings if one.rule != first.rule]
    audit.report = replace(whole, findings=left, outcomes=outcomes)
    run("check", release, "--out", "old")
    audit.report = whole
    done = run("check", release, "--baseline", "old", "--fail-on", "new")
    assert done.code == 0
    assert "passed as not new: of rules or patients that the baseline did not look at" in done.err
    assert run("check", release, "--baseline", "old", "--fail-on", "new", "-qq").err == ""
    assert "passed as" not in run("check", release, "--baseline", "old").err


def test_the_last_audit_as_baseline(run: Run, audit: Audit, release: Path) -> None:
    first = run("check", release, "--baseline", "last", "--fail-on", "new")
    assert first.code == 1
    assert "no earlier audit of this release" in first.err
    again = run("check", release, "--baseline", "last", "--fail-on", "new")
    assert (again.code, again.err) == (0, "")


def test_two_runs_give_equal_bytes(run: Run, audit: Audit, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1669817128")
    run("check", release, "--out", "a")
    run("check", release, "--out", "b/c")
    for name in ("findings.json", "report.html", "run.json"):
        assert Path("a", name).read_bytes() == Path("b/c", name).read_bytes()
    assert "audited 2022-11-30 14:05 UTC<" in Path("a/report.html").read_text(encoding="utf-8")


def test_a_run_is_told_beside_the_findings_and_never_in_them(run: Run, audit: Audit, release: Path) -> None:
    done = run("check", release, "--out", "a")
    told = json.loads(Path("a/run.json").read_text(encoding="utf-8"))
    assert set(told) == {"started", "seconds", "versions", "system", "cache"}
    assert told["cache"] is None
    assert set(told["versions"]) == {"Python", *LIBRARIES}
    assert {"connected-components-3d", "numpy", "openpyxl", "pyarrow", "pydicom"} < set(told["versions"])
    assert "unknown" not in told["versions"].values()
    page = Path("a/report.html").read_text(encoding="utf-8")
    assert f"audited {told['started']} in {told['seconds']:.1f} s" in page
    assert f"pydicom {told['versions']['pydicom']}" in page
    assert "audited in 0." in done.out
    assert told["started"] not in Path("a/findings.json").read_text(encoding="utf-8")
    # The page made again tells the same run, and one of findings alone tells none.
    run("report", "a/findings.json", "-o", "html:again.html")
    assert Path("again.html").read_bytes() == Path("a/report.html").read_bytes()
    Path("a/run.json").write_text('{"started": 1}', encoding="utf-8")
    assert run("report", "a/findings.json", "-o", "html:again.html").code == 0
    assert "audited" not in Path("again.html").read_text(encoding="utf-8").partition("</h1>")[0]


@pytest.mark.parametrize(
    ("report", "options", "code"),
    [
        (reports.clean(), [], 0),
        (reports.sample(), [], 1),
        (reports.sample(), ["--exit-zero"], 0),
        (reports.sample(), ["--fail-on", "never"], 0),
        (replace(reports.sample(), findings=reports.sample().findings[8:9]), [], 0),
        (replace(reports.sample(), findings=reports.sample().findings[8:9]), ["--fail-on", "warning"], 1),
        (replace(reports.sample(), findings=reports.sample().findings[-1:]), ["--fail-on", "info"], 1),
        (reports.incomplete(), [], 3),
        (reports.incomplete(), ["--exit-zero"], 3),
        (replace(reports.incomplete(), findings=reports.sample().findings), [], 3),
        (replace(reports.incomplete(), findings=reports.sample().findings), ["--allow-incomplete"], 1),
        (replace(reports.incomplete(), findings=()), ["--allow-incomplete"], 0),
        (reports.empty(), ["--exit-zero"], 4),
    ],
)
def test_exit_codes(run: Run, audit: Audit, release: Path, report: Report, options: list[str], code: int) -> None:
    audit.report = report
    assert run("check", release, *options).code == code


def test_settings_reach_the_audit(run: Run, audit: Audit, release: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("CRLM-CT-1003\nCRLM-CT-1004\n\nCRLM-CT-1003\n", encoding="utf-8")
    run(
        *("check", release, "--select", "CTS,DSO", "--select", "SEG", "--ignore", "CTS004"),
        *("--severity", "cts012=error", "--depth", "masks", "--subset", "-j", "3", "--evidence", "tables"),
        *("--patients", "CRLM-CT-1001,CRLM-CT-1002", "--patients", "@ids.txt", "--clinical", "x.xlsx"),
    )
    assert audit.settings == Settings(
        depth=Depth.MASKS,
        subset=True,
        select=("CTS", "DSO", "SEG"),
        ignore=("CTS004",),
        patients=("CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003", "CRLM-CT-1004"),
        severity={"CTS012": Severity.ERROR},
    )
    assert audit.asked["jobs"] == 3
    assert audit.asked["evidence_to"] == Path("tables")
    assert audit.asked["parts"].clinical == Path("x.xlsx")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "htm"], "unknown format htm in --output: did you mean html, html-dir? Known: html"),
        (["-o", "qqq"], "unknown format qqq in --output. Known: html"),
        (["-o", "json:-", "-o", "html:-"], "two reports would go to standard output"),
        (["-o", "text:x", "-o", "html:x"], "two reports would go to"),
        (["--severity", "CTS001=grave"], "write CODE=LEVEL"),
        (["--severity", "CTS001"], "write CODE=LEVEL"),
        (["--patients", "@missing.txt"], "missing.txt can't be read"),
        (["--patients", ","], "names no patient"),
        (["--fail-on", "grave"], "grave"),
        (["--jobs", "0"], "--jobs"),
        (["--profile", "missing.toml"], "profile missing.toml can't be read"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    run: Run, audit: Audit, release: Path, options: list[str], said: str
) -> None:
    done = run("check", release, *options)
    assert done.code == 2
    assert said in done.err
    assert done.err.startswith("crlm-qc: ")
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not Path("reports").exists()


def test_unknown_rules_are_refused_before_anything_is_read(run: Run, release: Path) -> None:
    done = run("check", release, "--select", "REL90X")
    assert done.code == 2
    assert "unknown rule REL90X in --select" in done.err


@pytest.mark.parametrize(
    "options",
    [
        ["--out", "data/manifest-1/reports"],
        ["--out", "data/manifest-1"],
        ["--out", "inside/deep"],
        ["-o", "html:data/manifest-1/x.html"],
        ["--evidence", "data/other/../manifest-1/tables"],
    ],
)
def test_nothing_is_written_into_the_release(run: Run, audit: Audit, release: Path, options: list[str]) -> None:
    Path("inside").symlink_to(release)
    done = run("check", release, *options)
    assert done.code == 2
    assert "lies in the release" in done.err
    assert list(release.iterdir()) == []


def test_the_default_folder_is_refused_inside_the_release(
    run: Run, audit: Audit, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(release)
    assert run("check", ".").code == 2
    assert list(release.iterdir()) == []


def test_a_report_that_is_a_link_into_the_release_is_refused(run: Run, audit: Audit, release: Path) -> None:
    precious = release / "metadata.csv"
    precious.write_text("precious", encoding="utf-8")
    Path("out").mkdir()
    Path("out/findings.json").symlink_to(precious)
    assert run("check", release, "--out", "out").code == 2
    assert precious.read_text(encoding="utf-8") == "precious"


def test_a_file_in_the_way_is_said(run: Run, audit: Audit, release: Path) -> None:
    Path("blocked").write_text("", encoding="utf-8")
    done = run("check", release, "--out", "blocked/reports")
    assert done.code == 2
    assert "blocked" in done.err
    assert audit.asked == {}, "it is said before the audit, not after"


def test_a_report_for_programs_has_standard_output_alone(run: Run, audit: Audit, release: Path) -> None:
    done = run("check", release, "-o", "json:-")
    assert json.loads(done.out)["summary"]["error"] == 8
    assert "Not conformant" in done.err


def test_text_goes_to_a_file_too(run: Run, audit: Audit, release: Path) -> None:
    done = run("check", release, "-o", "text:deep/summary.txt", "-o", "text")
    assert Path("deep/summary.txt").read_text(encoding="utf-8").endswith("1 waived.\n")
    assert done.out.count("Not conformant") == 1


def test_quiet_prints_the_verdict_alone(run: Run, audit: Audit, release: Path) -> None:
    assert run("check", release, "-q").out == (
        "Not conformant: 8 errors in 8 of 9 patients; 1 warning; 1 note; 1 waived.\n"
    )


def test_quiet_twice_prints_nothing(run: Run, audit: Audit, release: Path) -> None:
    for given in (["-qq"], ["-q", "-q"], ["--quiet", "--quiet"]):
        done = run("check", release, *given)
        assert (done.code, done.out, done.err) == (1, "", "")


@pytest.mark.parametrize(
    ("environment", "option", "coloured"),
    [
        ({}, "auto", False),
        ({"FORCE_COLOR": "1"}, "auto", True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False),
        ({"NO_COLOR": "1"}, "always", True),
        ({"FORCE_COLOR": "1"}, "never", False),
    ],
)
def test_colours(
    run: Run,
    audit: Audit,
    release: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    option: str,
    coloured: bool,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in run("check", release, "--color", option).out) == coloured


def test_a_bug_exits_with_70_and_shows_no_value(run: Run, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Report:
        raise IndexError("CANARY^JANE")

    monkeypatch.setattr("crlm_qc.cli.check.audit", broken)
    done = run("check", release)
    assert done.code == 70
    assert "CANARY" not in done.out + done.err
    assert re.search(r"a bug of crlm-qc: IndexError at test_app\.py:\d+\. ", done.err)
    debugged = run("check", release, "--debug")
    assert debugged.code == 70
    assert re.search(r'File ".*app\.py", line \d+, in _run', debugged.err)
    assert "IndexError" in debugged.err
    assert "CANARY" not in debugged.out + debugged.err


def test_ctrl_c_exits_with_130(run: Run, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr("crlm_qc.cli.check.audit", stopped)
    done = run("check", release)
    assert done.code == 130
    assert "crlm-qc: no report was written\n" in done.err
    assert not Path("reports").exists()


def test_the_page_tells_the_trend_and_findings_do_not(run: Run, audit: Audit, release: Path) -> None:
    folder = Path("reports/manifest-1")
    run("check", release)
    first = (folder / "report.html").read_text(encoding="utf-8")
    found = (folder / "findings.json").read_bytes()
    run("check", release)
    page = (folder / "report.html").read_bytes()
    assert 'id="trend"' not in first
    assert "Errors 8 → 8" in page.decode()
    assert (folder / "findings.json").read_bytes() == found
    run("report", folder / "findings.json", "--output", "html:again.html")
    assert Path("again.html").read_bytes() == page
    # Results that were handed on alone.
    Path("shared.json").write_bytes(found)
    run("report", "shared.json", "--output", "html:shared.html")
    assert 'id="trend"' not in Path("shared.html").read_text(encoding="utf-8")


def test_ctrl_c_while_reports_are_written_leaves_whole_files(
    run: Run, audit: Audit, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check", release)
    folder = Path("reports/manifest-1")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    written = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        if "report.html" not in path.name:
            return written(path, data)
        written(path, data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", half)
    audit.report = replace(audit.report, tool_version="9.9.9")
    done = run("check", release)
    assert done.code == 130
    assert "reports/manifest-1: every file is whole, but some may be of an earlier audit" in done.err
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after.keys() == before.keys(), "no draft is left"
    assert after[folder / "report.html"] == before[folder / "report.html"]
    assert json.loads(after[folder / "findings.json"])["tool"]["version"] == "9.9.9"


def test_a_stopped_audit_says_what_it_keeps(
    run: Run, audit: Audit, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check", release)

    def stopped(*_: object, memory: Any, **__: object) -> Report:
        memory.kept = 12
        raise KeyboardInterrupt

    monkeypatch.setattr("crlm_qc.cli.check.remember", lambda *_, **__: SimpleNamespace(kept=0))
    monkeypatch.setattr("crlm_qc.cli.check.audit", stopped)
    before = Path("reports/manifest-1/findings.json").read_bytes()
    done = run("check", release)
    assert done.code == 130
    assert "12 patients read so far and kept in the cache: the same command goes on from there" in done.err
    assert "no report was written; reports/manifest-1/findings.json is of an earlier audit" in done.err
    assert Path("reports/manifest-1/findings.json").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_other_signals_end_it_as_ctrl_c_does(
    run: Run, release: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    asked = signal.Signals[number]
    before = signal.signal(asked, signal.SIG_DFL)
    monkeypatch.setattr("crlm_qc.cli.app._Stopped.asked", signal.SIGINT)
    monkeypatch.setattr("crlm_qc.cli.check.audit", lambda *_, **__: os.kill(os.getpid(), asked))
    try:
        done = run("check", str(release))
    finally:
        signal.signal(asked, before)
    assert done.code == 128 + asked
    assert "crlm-qc: stopped" in done.err


def test_help_names_the_exit_codes_and_options(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in ([], ["check"]):
        done = run(*command, "--help")
        assert done.code == 0
        assert "70 a bug of crlm-qc" in " ".join(done.out.split())
    for option in ("--out", "--output", "--select", "--ignore", "--severity", "--fail-on", "--subset", "--patients"):
        assert option in done.out


def test_help_of_many_options_is_in_groups(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = run("check", "--help").out
    headings = re.findall(r"^╭─ (.+?) ─+╮$", told, re.MULTILINE)
    assert {"What is checked", "What is written", "How it exits", "Where things lie"} <= set(headings)
    most = max(len(re.findall(r"^│ --", part, re.MULTILINE)) for part in told.split("╭─"))
    assert most <= 12
    assert "[tool.crlm-qc]" in told
    assert "What is written" not in run("show", "--help").out


def test_no_option_is_outside_of_a_group() -> None:
    options = {
        command.name: {one.name for one in command.params if one.param_type_name == "option"}
        for command in commands(typer.main.get_command(cli.app))
        if len(command.params) > MANY
    }
    assert "check" in options
    assert {name: found - GROUP_OF.keys() for name, found in options.items() if found - GROUP_OF.keys()} == {}
    assert GROUP_OF.keys() <= set().union(*options.values()), "what a group lists is an option"


def commands(command: Any) -> Iterator[Any]:
    """A command and those beneath it."""
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from commands(one)


def test_version(run: Run) -> None:
    assert run("--version").out == f"crlm-qc {crlm_qc.__version__}\n"
    assert run("-V").code == 0


def test_rules_lists_every_rule_once(run: Run) -> None:
    done = run("rules")
    assert re.findall(r"^  ([A-Z]{3}[0-9]{3}) ", done.out, re.MULTILINE) == [item.code for item in registry()]
    listed = json.loads(run("rules", "--format", "json").out)
    assert [item["code"] for item in listed] == [item.code for item in registry()]


def test_a_rule_says_where_it_stands(run: Run) -> None:
    home = Path(crlm_qc.__file__).parents[1]
    for item in json.loads(run("rules", "--format", "json").out):
        lines = (home / item["file"]).read_text(encoding="utf-8").splitlines()
        # `@rule(`, and code and slug below it; or the line of a suite that names the code.
        said = "".join(lines[item["line"] - 1 : item["line"] + 4])
        assert item["code"] in said or item["slug"] in said
    assert re.search(r"^Stands in   crlm_qc/rules/\S+\.py:[0-9]+$", run("explain", "CTS008").out, re.MULTILINE)
    assert re.search(r"^Stands in   \S*expectations/\S+\.json:[0-9]+$", run("explain", "PUB001").out, re.MULTILINE)


def test_rules_of_one_family(run: Run) -> None:
    listed = json.loads(run("rules", "--family", "rel", "--format", "json").out)
    assert listed
    assert {item["family"] for item in listed} == {"REL"}
    done = run("rules", "--family", "RELL")
    assert done.code == 2
    assert "unknown family RELL: did you mean REL? Known: CLN, CTS" in done.err
    assert "unknown family QQQ. Known: CLN, CTS" in run("rules", "--family", "QQQ").err


def test_explain_searches_words(run: Run) -> None:
    told = run("explain", "missing", "slices").out.splitlines()
    assert told[0] == "CTS008  error    A slice is missing"
    assert re.fullmatch(r"[0-9]+ rules about missing slices.*\. More of one: crlm-qc explain CODE", told[-1])
    assert "DID007" in run("explain", "burned-in").out
    assert len(run("explain", "slice").out.splitlines()) == MOST_FOUND + 2
    assert run("explain", "missing slices").out.splitlines() == told
    assert run("explain", "xyzzy").code == 2


def test_every_rule_can_be_explained(run: Run) -> None:
    for item in registry():
        done = run("explain", item.slug)
        assert done.code == 0
        assert done.out.startswith(f"{item.code}  {item.title}")
        said = " ".join(done.out.split())
        for part in (item.why, item.fix, item.source):
            assert " ".join(part.split()) in said


def test_a_rule_is_explained_with_its_tolerances(run: Run, tmp_path: Path) -> None:
    said = run("explain", "CTS010").out
    assert "Tolerance   shear_mm 0.5 mm: Sideways drift" in said
    crlm = (expectations_folder() / "crlm.toml").read_text(encoding="utf-8")
    (tmp_path / "other.toml").write_text(f"{crlm}\n[tolerances]\nshear_mm = 0.25\n", encoding="utf-8")
    assert "shear_mm 0.25 mm" in run("explain", "CTS010", "--profile", str(tmp_path / "other.toml")).out
    listed = {item["code"]: item for item in json.loads(run("rules", "--format", "json").out)}
    assert [one["name"] for one in listed["CTS010"]["tolerances"]] == ["shear_mm"]
    assert listed["REL900"]["tolerances"] == []


def test_an_unknown_rule_gets_a_suggestion(run: Run) -> None:
    done = run("explain", "REL90")
    assert done.code == 2
    assert "REL900" in done.err


@pytest.mark.parametrize("arguments", [["--help"], ["rules"], ["explain", "REL900"], ["--version"]], ids=" ".join)
def test_listings_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import json, sys\n"
        "from crlm_qc.cli.app import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0, end.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stderr.splitlines()[-1]))


def test_a_reader_who_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m crlm_qc rules --format json | head -c 10"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_synth_and_check_go_together_whatever_jobs_is(run: Run) -> None:
    written = run("synth", "made", "--patients", "2", "--matrix", "64", "--seed", "7", "--fault", "row-images-off")
    assert written.code == 0
    assert "crlm-qc check --subset made" in written.out
    for jobs in (1, 2):
        done = run("check", "made", "--subset", "-j", jobs, "--select", "MET,CTS", "--out", f"out{jobs}")
        assert done.code == 1, done.err
    first, second = (Path(f"out{jobs}/findings.json").read_bytes() for jobs in (1, 2))
    assert first == second
    errors = [item["rule"] for item in json.loads(first)["findings"] if item["severity"] == "error"]
    assert errors == ["MET017"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["synth"], "needs a folder"),
        (["synth", "full"], "not an empty folder"),
        (["synth", "new", "--fault", "row-image-off"], "unknown fault row-image-off: did you mean row-images-off"),
        (["synth", "new", "--fault", "row-image-off"], "? See: crlm-qc synth --list-faults"),
        (["synth", "new", "--fault", "qqq"], "unknown fault qqq. See: crlm-qc synth --list-faults"),
        (["synth", "new", "--matrix", "8"], "matrix"),
        (
            ["synth", "new", "--patients", "1", "--matrix", "64", "--fault", "row-images-off:CRLM-CT-9999"],
            "unknown patient",
        ),
        (["demo", "full"], "not an empty folder"),
        (["check", "nowhere"], "nowhere not found"),
    ],
)
def test_wrong_folders_and_faults_are_refused(run: Run, arguments: list[str], said: str) -> None:
    for name in ("full/x", "full/Colorectal-Liver-Metastases/x"):
        Path(name).mkdir(parents=True)
    done = run(*arguments)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_list_faults_names_each_with_its_rules(run: Run) -> None:
    done = run("synth", "--list-faults")
    assert re.search(r"^row-images-off +MET017  ", done.out, re.MULTILINE)


def test_demo_finds_what_it_planted_and_no_other_error(run: Run) -> None:
    done = run("demo", "demo")
    assert (done.code, done.err) == (0, "")
    assert "NOT found" not in done.out
    assert len(re.findall("found by", done.out)) == len(DEMO_FAULTS)
    folder = Path("demo/reports")
    found = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    planted = {spec.partition(":")[2] for spec in DEMO_FAULTS}
    assert {item["patient"] for item in found["findings"] if item["severity"] == "error"} <= planted | {None}
    assert found["limits"] == []
    assert str(folder / "report.html") in done.out
    (step,) = re.findall("^  crlm-qc (show .+)$", done.out, re.MULTILINE)
    assert run(*step.split()).out.count("f-") == sum(item["severity"] == "error" for item in found["findings"])


def test_what_identifies_a_person_is_waived_only_where_that_is_said(run: Run, release: Path) -> None:
    file = Path("waivers.toml")
    file.write_text(
        '[[waiver]]\nrule = "DID001"\npatients = ["CRLM-CT-1001"]\nreason = "Looked at."\n', encoding="utf-8"
    )
    refused = run("check", release, "--waivers", file)
    assert refused.code == 2
    assert "DID001, which is about what identifies a person" in refused.err
    assert run("check", release, "--waivers", file, "--allow-did-waivers").code != 2
