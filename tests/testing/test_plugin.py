"""The audit as pytest items: which there are, how each ends, and what is printed of it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support import reports

from crlm_qc.evidence.store import load, save
from crlm_qc.model.errors import UsageError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report, RuleText
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.report import json_format
from crlm_qc.request.request import Request
from crlm_qc.testing.asked import Asked
from crlm_qc.testing.results import AuditFailedError, Results

Run = Callable[..., pytest.RunResult]
CODES = [text.code for text in reports.RULES]
PATIENTS = [one.patient for one in reports.sample().patients]
FAMILIES = ["CLN", "CTS", "DSO", "MET", "SEG"]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of the sample report's patients, which nothing is known of but their names."""
    folder = tmp_path_factory.mktemp("saved") / "evidence"
    rows = [{"patient": name, "folder": name, "valid": True} for name in PATIENTS]
    save(Evidence(Facts(root="release", depth=Depth.PIXELS), {"patients": frame("patients", rows)}), folder)
    # pytester forgets what is first imported within a run, and numpy can't be imported twice.
    load(folder)
    return folder


@pytest.fixture
def run(lean: None, pytester: pytest.Pytester, saved: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest on a report in place of an audit."""
    for name in ("PYTEST_ADDOPTS", "CI", "GITHUB_ACTIONS", *(one for one in os.environ if one.startswith("CRLM_QC_"))):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\n")

    def call(*arguments: object, report: Report | Exception | None = None, codes: list[str] = CODES) -> Any:
        made = reports.sample() if report is None else report

        def audit(*_: object, **__: object) -> Report:
            if isinstance(made, Exception):
                raise made
            return made

        monkeypatch.setattr("crlm_qc.testing.results.audit", audit)
        # The runs of this suite make errors of warnings, and runs within them would too.
        options = ["-W", "default", f"--crlm-evidence={saved}", f"--crlm-select={','.join(codes)}"]
        return pytester.runpytest_inprocess(*options, *map(str, arguments))

    return call


def ends(result: pytest.RunResult) -> dict[str, set[str]]:
    """Names of the tests by how they ended, as -rA lists them."""
    found: dict[str, set[str]] = {}
    for line in result.outlines:
        if match := re.match(r"(PASSED|FAILED|ERROR|XFAIL) crlm-qc::(\S+)", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


def with_rule(report: Report, code: str, **changes: Any) -> Report:
    """The report with another outcome of a rule, and without its findings."""
    outcomes = tuple(replace(one, **changes) if one.rule == code else one for one in report.outcomes)
    return replace(report, outcomes=outcomes, findings=[one for one in report.findings if one.rule != code])


# --- at no cost when it is not used ----------------------------------------------------------------------------------


def test_the_entry_point_loads_its_names_and_nothing_else_of_ours() -> None:
    code = (
        "import json, sys, pytest\n"
        "before = set(sys.modules)\n"
        "import crlm_qc.pytest_plugin\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    names = ["crlm_qc", "crlm_qc.pytest_plugin", "crlm_qc.testing", "crlm_qc.testing.names"]
    assert [name for name in loaded if name.startswith("crlm_qc")] == names
    assert not {name.split(".")[0] for name in loaded} & {"pandas", "numpy", "pydicom", "pandera", "typer", "rich"}


def test_the_audit_of_a_run_needs_no_command_line() -> None:
    code = "import sys, crlm_qc.testing.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "crlm_qc.testing.asked" in loaded
    assert not [name for name in loaded if name.split(".")[0] in ("typer", "click") or name.startswith("crlm_qc.cli")]


def test_a_run_without_a_release_has_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            assert "crlm_qc.pytest_plugin" in sys.modules
            assert "crlm_qc.testing.plugin" not in sys.modules
            assert "pandas" not in sys.modules

        def test_the_fixtures_skip(crlm_report):
            raise AssertionError
        """
    )
    result = pytester.runpytest_subprocess("-W", "error", "-rs", "--strict-markers")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*no release was given: pytest --crlm-release=PATH"])
    assert "crlm-qc:" not in result.stdout.str()


# --- which tests there are -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grain", "count"),
    [
        ("rule", 1 + len(CODES)),
        ("family", 1 + len(CODES) + len(FAMILIES) * len(PATIENTS)),
        # PUB has no test a patient.
        ("full", 1 + len(CODES) + (len(CODES) - 1) * len(PATIENTS)),
    ],
)
def test_grains(run: Run, grain: str, count: int) -> None:
    result = run("--collect-only", "-q", f"--crlm-grain={grain}", report=AssertionError("nothing is to be read"))
    assert result.ret == 0
    names = [line for line in result.outlines if line.startswith("crlm-qc::")]
    assert len(names) == len(set(names)) == count
    assert names[:3] == ["crlm-qc::release", "crlm-qc::CLN::CLN010", *names[2:3]]
    patient = {"family": "crlm-qc::DSO::CRLM-CT-1002", "full": "crlm-qc::DSO::CRLM-CT-1002::DSO007"}
    assert patient.get(grain, names[0]) in names


def test_family_is_the_default(run: Run) -> None:
    result = run("--collect-only", "-q")
    assert "crlm-qc::SEG::CRLM-CT-1020" in result.outlines


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-k", "DSO::CRLM-CT-1002"], {"DSO::CRLM-CT-1002"}),
        (["-k", "DSO and 1002"], {"DSO::CRLM-CT-1002"}),
        (["-k", "DSO007"], {"DSO::DSO007"}),
        (["-k", "CRLM-CT-1002"], {f"{family}::CRLM-CT-1002" for family in FAMILIES}),
        (["-m", "crlm_dso"], {"DSO::DSO007", *(f"DSO::{name}" for name in PATIENTS)}),
        (["crlm-qc::DSO::CRLM-CT-1002"], {"DSO::CRLM-CT-1002"}),
        (["../x/crlm-qc::MET::MET001", "crlm-qc::release"], {"MET::MET001", "release"}),
        (["crlm-qc::DSO", "--deselect", "crlm-qc::DSO::CRLM"], {"DSO::DSO007"}),
    ],
)
def test_selection(run: Run, arguments: list[str], names: set[str]) -> None:
    result = run("--collect-only", "-q", "--strict-markers", *arguments)
    assert {line.removeprefix("crlm-qc::") for line in result.outlines if "::" in line} == names


def test_an_id_that_is_not_there_is_wrong_usage(run: Run) -> None:
    result = run("crlm-qc::DSO::CRLM-CT-9")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not found: crlm-qc::DSO::CRLM-CT-9"])


def test_a_teams_own_tests_run_beside_the_audit(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_own(crlm_report): assert crlm_report.counts['error'] == 8")
    result = run("-rA", "-k", "release or own")
    result.assert_outcomes(passed=2)
    assert "PASSED test_a_teams_own_tests_run_beside_the_audit.py::test_own" in result.outlines


def test_the_release_of_the_ini_file_is_audited_but_not_with_single_files(
    lean: None, pytester: pytest.Pytester, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crlm_qc.testing.results.audit", lambda *_, **__: reports.sample())
    named = os.path.relpath(saved, pytester.path)
    pytester.makeini(f"[pytest]\ncrlm_release = {named}\n")
    own = pytester.makepyfile("def test_own(): pass")
    (pytester.path / "folder").mkdir()
    monkeypatch.chdir(pytester.path / "folder")

    def collected(*arguments: object) -> list[str]:
        result = pytester.runpytest_inprocess(
            "--collect-only", "-q", "--crlm-select=MET001", "--crlm-grain=rule", *arguments
        )
        return [line for line in result.outlines if "::" in line]

    ours = ["crlm-qc::release", "crlm-qc::MET::MET001"]
    assert collected(pytester.path) == [*ours, f"{own.name}::test_own"]
    assert collected("..") == [*ours, f"{own.name}::test_own"]
    assert collected(own) == [f"{own.name}::test_own"]
    assert collected(f"{own}::test_own") == [f"{own.name}::test_own"]
    assert collected(own, "crlm-qc::MET") == [ours[1], f"{own.name}::test_own"]
    # What is named on the command line is audited whatever else is.
    assert collected(own, f"--crlm-release={saved}") == [*ours, f"{own.name}::test_own"]


# --- how they end ----------------------------------------------------------------------------------------------------

FAILING = {
    "CTS::CTS008",
    "DSO::DSO007",
    "DSO::CRLM-CT-1002",
    *(f"CTS::CRLM-CT-{number}" for number in (1001, 1003, 1004, 1005, 1006, 1007, 1008)),
}


def test_ends(run: Run) -> None:
    result = run("-rA")
    found = ends(result)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert found["FAILED"] == FAILING
    assert found["XFAIL"] == {"SEG::SEG006", "SEG::CRLM-CT-1020"}
    assert "ERROR" not in found
    assert {"release", "CLN::CLN010", "CLN::CRLM-CT-1003", "CTS::CTS012", "CTS::CRLM-CT-1002"} <= found["PASSED"]
    assert "SKIPPED [1] crlm-qc:1: only part of the release is audited" in result.outlines
    assert [
        line for line in result.outlines if line.startswith("XFAIL crlm-qc::SEG::SEG006") and "waived: Lesion" in line
    ]
    assert "crlm-qc: Not conformant: 8 errors in 8 of 9 patients; 1 warning; 1 note; 1 waived." in result.outlines


def test_a_failure_is_one_block_with_the_command_to_run_it_again(run: Run) -> None:
    result = run("-k", "DSO::CRLM-CT-1002")
    said = result.stdout.str()
    lines = result.outlines
    start = next(at for at, line in enumerate(lines) if line.startswith("____"))
    assert "crlm-qc::DSO::CRLM-CT-1002" in lines[start]
    assert (
        lines[start + 1] == "\N{MULTIPLICATION X} ERROR DSO007 Referenced instance not on disk (1 finding in 1 patient)"
    )
    assert "expected 47 instances, observed 44 instances; 3 times" in said
    assert "What to do: Add the instances, or make the object again." in said
    again = next(line for line in lines if line.startswith("to run it again: "))
    assert again.startswith("to run it again: pytest --crlm-evidence=")
    assert again.endswith(" crlm-qc::DSO::CRLM-CT-1002")
    assert "Traceback" not in said
    assert ".py:" not in said


def test_warnings_pass_and_are_told(run: Run) -> None:
    result = run("-rP", "-k", "CLN")
    result.assert_outcomes(passed=1 + len(PATIENTS), warnings=2, deselected=1 + len(CODES) - 1 + 4 * len(PATIENTS))
    assert "! WARNING CLN010 Total response differs from its parts (1 finding in 1 patient)" in result.outlines
    warned = "QualityWarning: CLN010: Total response is not the sum of necrosis, fibrosis and mucin."
    assert [line for line in result.outlines if warned in line] == [
        f"  crlm-qc::CLN::{name}:1: {warned}" for name in ("CLN010", "CRLM-CT-1003")
    ]


@pytest.mark.parametrize(
    ("fail_on", "more"),
    [
        ("error", set()),
        ("warning", {"CLN::CLN010", "CLN::CRLM-CT-1003"}),
        ("info", {"CLN::CLN010", "CLN::CRLM-CT-1003", "CTS::CTS012"}),
    ],
)
def test_fail_on(run: Run, fail_on: str, more: set[str]) -> None:
    assert ends(run("-rA", f"--crlm-fail-on={fail_on}"))["FAILED"] == FAILING | more


def test_only_what_the_baseline_does_not_have_fails(run: Run, pytester: pytest.Pytester) -> None:
    old = pytester.path / "old.json"
    whole = reports.sample()
    (new,) = (one for one in whole.findings if one.rule == "DSO007" and one.patient == "CRLM-CT-1002")
    old.write_bytes(json_format.render(replace(whole, findings=[one for one in whole.findings if one is not new])))
    result = run("-rA", f"--crlm-baseline={old}", "--crlm-fail-on=new")
    assert ends(result)["FAILED"] == {"DSO::DSO007", "DSO::CRLM-CT-1002"}
    assert "crlm-qc: Since the baseline old.json: 1 new (1 error), 10 persisting." in result.outlines
    assert ends(run("-rA", f"--crlm-baseline={old}"))["FAILED"] == FAILING


def test_what_is_new_needs_a_baseline(run: Run) -> None:
    result = run("--crlm-fail-on=new")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "needs an earlier audit to tell what is new" in result.stderr.str()


def test_fail_on_never(run: Run) -> None:
    result = run("-rA", "--crlm-fail-on=never")
    assert "FAILED" not in ends(result)
    assert result.parseoutcomes()["warnings"] == len(FAILING) + 2


def test_warnings_made_errors_fail(run: Run) -> None:
    result = run("-rA", "-W", "error::crlm_qc.pytest_plugin.QualityWarning", "-k", "CLN")
    assert ends(result)["FAILED"] == {"CLN::CLN010", "CLN::CRLM-CT-1003"}
    assert "crlm_qc/testing" not in result.stdout.str()


def test_an_open_error_beside_a_waived_one_fails(run: Run) -> None:
    base = reports.sample()
    waived = next(one for one in base.findings if one.waived)
    both = replace(waived, waived=None, severity=Severity.ERROR, fingerprint="0123456789ab")
    found = ends(run("-rA", report=replace(base, findings=[both, *base.findings])))
    assert {"SEG::SEG006", "SEG::CRLM-CT-1020"} <= found["FAILED"]
    assert "XFAIL" not in found


def test_runxfail_fails_with_what_is_waived(run: Run) -> None:
    result = run("-rA", "--runxfail", "-k", "SEG006")
    assert ends(result)["FAILED"] == {"SEG::SEG006"}
    result.stdout.fnmatch_lines(["*waived: Lesion annotated twice*"])


def test_a_rule_that_crashed_is_an_error_at_every_test_of_its_family(run: Run) -> None:
    crashed = with_rule(
        reports.sample(), "SEG006", status=Status.ERRORED, reason="IndexError at seg.py:12", incomplete=True
    )
    result = run("-rA", report=crashed)
    found = ends(result)
    assert found["ERROR"] == {"release", "SEG::SEG006", *(f"SEG::{name}" for name in PATIENTS)}
    assert found["FAILED"] == FAILING
    assert "SEG006 crashed: IndexError at seg.py:12" in result.outlines


def test_what_could_not_be_read_is_an_error(run: Run) -> None:
    limited = replace(reports.clean(), limits=("CRLM-CT-1002 could not be opened: permission denied.",))
    result = run("-rA", report=limited)
    assert ends(result)["ERROR"] == {"release"}
    assert "FAILED" not in ends(result)
    assert "CRLM-CT-1002 could not be opened: permission denied." in result.outlines


def test_a_skip_for_want_of_a_decoder_is_an_error(run: Run) -> None:
    want = with_rule(reports.clean(), "SEG006", status=Status.SKIPPED, reason="no decoder", incomplete=True)
    assert {"release", "SEG::SEG006", "SEG::CRLM-CT-1001"} <= ends(run("-rA", report=want))["ERROR"]


def test_nothing_there_to_check_is_an_error(run: Run) -> None:
    result = run("-rA", report=reports.empty())
    assert ends(result)["ERROR"] == {"release"}
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_family_none_of_whose_rules_ran_is_skipped(run: Run) -> None:
    shallow = with_rule(reports.clean(), "SEG006", status=Status.SKIPPED, reason="needs --depth masks")
    result = run("-rs", report=shallow)
    result.stdout.fnmatch_lines([f"SKIPPED [[]{1 + len(PATIENTS)}] crlm-qc:1: needs --depth masks"])
    assert result.ret == 0


@pytest.mark.parametrize(("severity", "fails"), [(Severity.WARNING, True), (Severity.INFO, False)])
def test_a_waiver_that_matches_nothing_must_go(run: Run, severity: Severity, fails: bool) -> None:
    base = reports.clean()
    text = RuleText("WVR002", "waiver-unused", "audit", Severity.WARNING, "A waiver matches no finding", "x", "x", "x")
    unused = reports.finding(
        "WVR002", severity, reports.missing_slice(1001).subject, "The waiver of SEG006 matches no finding: take it out."
    )
    report = replace(
        base,
        rules=[*base.rules, text],
        outcomes=[*base.outcomes, Outcome("WVR002", Status.FAILED, 1)],
        findings=[unused],
    )
    result = run("-rA", report=report, codes=[*CODES, "WVR002"])
    assert ends(result).get("FAILED", set()) == ({"WVR::WVR002"} if fails else set())
    assert ("take it out" in result.stdout.str()) is True


def test_a_finding_on_a_patient_who_is_not_on_disk_fails_its_rule(run: Run) -> None:
    base = reports.clean()
    absent = replace(reports.missing_slice(1197), fingerprint="0123456789ab")
    outcomes = [replace(one, status=Status.FAILED) if one.rule == "CTS008" else one for one in base.outcomes]
    result = run("-rA", report=replace(base, outcomes=outcomes, findings=[absent]))
    assert ends(result)["FAILED"] == {"CTS::CTS008"}


def test_full_grain(run: Run) -> None:
    found = ends(run("-rA", "--crlm-grain=full", "-k", "CRLM-CT-1001 or CRLM-CT-1020"))
    assert found["FAILED"] == {"CTS::CRLM-CT-1001::CTS008"}
    assert found["XFAIL"] == {"SEG::CRLM-CT-1020::SEG006"}


def test_an_audit_that_can_not_be_made_is_an_error_everywhere_and_made_once(run: Run) -> None:
    result = run("-rA", report=UsageError("release.lock is no lock file"))
    assert set(ends(result)) == {"ERROR"}
    assert "crlm-qc: release.lock is no lock file" in result.outlines


def test_a_bug_tells_its_place_and_no_value(run: Run) -> None:
    result = run("-l", "-vv", "--tb=long", "-k", "release or DSO007", report=ValueError("CANARY"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = result.stdout.str() + result.stderr.str()
    assert "a bug of crlm-qc, so nothing was checked: ValueError at test_plugin.py:" in said
    assert "CANARY" not in said
    assert "self = " not in said


def test_last_failed_and_stop_at_the_first(run: Run) -> None:
    assert run("-x").parseoutcomes()["failed"] == 1
    run()
    result = run("--lf", "-rA")
    assert ends(result) == {"FAILED": FAILING}


def test_junit_has_the_properties_of_each_case(run: Run, pytester: pytest.Pytester) -> None:
    run("--junitxml=junit.xml")
    cases = {
        f"{case.get('classname')}.{case.get('name')}": case
        for case in ET.parse(pytester.path / "junit.xml").iter("testcase")
    }
    assert {name for name, case in cases.items() if case.find("failure") is not None} == {
        f"crlm-qc.{name.replace('::', '.')}" for name in FAILING
    }
    case = cases["crlm-qc.DSO.CRLM-CT-1002"]
    found = next(one for one in reports.sample().findings if one.rule == "DSO007")
    assert {(one.get("name"), one.get("value")) for one in case.iter("property")} == {
        (f"f-{found.fingerprint}", "DSO007")
    }
    waived = cases["crlm-qc.SEG.SEG006"].find("skipped")
    assert waived is not None
    assert "Lesion annotated twice" in str(waived.get("message"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--crlm-select=GEO001"], "ERROR: crlm-qc: unknown rule GEO001 in --select*"),
        (["--crlm-waivers=no.toml"], "ERROR: crlm-qc: waivers no.toml can't be read*"),
        (["--crlm-release=nowhere"], "ERROR: crlm-qc: nowhere not found"),
        (["--crlm-profile=no.toml"], "ERROR: crlm-qc: profile no.toml*"),
    ],
)
def test_wrong_usage(run: Run, options: list[str], said: str) -> None:
    result = run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_waivers_are_checked_before_anything_is_read(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "waivers.toml").write_text('[[waiver]]\nrule = "GEO001"\nreason = "x"\n')
    result = run("--crlm-waivers=waivers.toml", report=AssertionError("nothing is to be read"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: crlm-qc: unknown rule GEO001 in the waivers*"])


def test_the_configuration_file_holds_below_the_options(
    lean: None, pytester: pytest.Pytester, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def audit(*_: object, **options: Any) -> Report:
        asked.append(options)
        return reports.sample()

    monkeypatch.setattr("crlm_qc.testing.results.audit", audit)
    (pytester.path / "crlm-qc.toml").write_text(
        'select = ["MET001", "CTS", "CLN010"]\ndepth = "headers"\nfail-on = "warning"\nsubset = true\njobs = 3\n'
        "[severity]\nCTS012 = 'off'\nCTS008 = 'warning'\n[tolerances]\nspacing_mm = 0.02\n"
    )
    pytester.makeini("[pytest]\n")
    arguments = [
        f"--crlm-evidence={saved}",
        "--crlm-select=MET001,CLN010",
        "--crlm-depth=masks",
        "-k",
        "MET001 or CLN010",
    ]
    result = pytester.runpytest_inprocess("-rA", *arguments)
    settings = asked[0]["settings"]
    assert (settings.select, settings.depth, settings.subset) == (("MET001", "CLN010"), Depth.MASKS, True)
    assert (settings.ignore, settings.severity) == (("CTS012",), {"CTS008": Severity.WARNING})
    assert settings.tolerances == {"spacing_mm": 0.02}
    assert asked[0]["jobs"] == 3
    assert ends(result)["FAILED"] == {"CLN::CLN010"}


@pytest.fixture
def asked(
    lean: None, pytester: pytest.Pytester, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """What an audit of the saved evidence is asked for, by a run of pytest with options."""
    for name in [one for one in os.environ if one.startswith("CRLM_QC_")]:
        monkeypatch.delenv(name)
    pytester.makeini("[pytest]\n")
    found: list[dict[str, Any]] = []

    def audit(*_: object, **options: Any) -> Report:
        found.append(options)
        return reports.sample()

    monkeypatch.setattr("crlm_qc.testing.results.audit", audit)

    def call(*arguments: str, ret: int = 0) -> dict[str, Any]:
        result = pytester.runpytest_inprocess(
            "-W",
            "default",
            "-rA",
            f"--crlm-evidence={saved}",
            "--crlm-grain=rule",
            "-k",
            "MET001 or CLN010",
            *arguments,
        )
        assert result.ret == ret, result.outlines
        return {**(found.pop() if found else {}), "result": result}

    return call


def test_the_environment_holds_over_the_file_and_below_the_options(
    pytester: pytest.Pytester, asked: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.path / "crlm-qc.toml").write_text(
        'select = ["CTS"]\ndepth = "headers"\nsubset = true\njobs = 3\nfail-on = "never"\n'
        "[severity]\nCTS012 = 'off'\nCTS008 = 'warning'\n[tolerances]\nspacing_mm = 0.02\n"
    )
    for name, value in {
        "SELECT": "MET001 CLN010,CLN011",
        "DEPTH": "pixels",
        "SUBSET": "0",
        "JOBS": "2",
        "FAIL_ON": "warning",
        "SEVERITY": "CTS008=info",
        "TOLERANCE": "months=0.1",
        "KNOWN_ISSUES": "no",
        "REDACT_PATHS": "1",
        "PATIENTS": "CRLM-CT-1001 CRLM-CT-1002",
    }.items():
        monkeypatch.setenv(f"CRLM_QC_{name}", value)
    one = asked("--crlm-depth=masks", ret=1)
    settings = one["settings"]
    assert (settings.select, settings.depth, settings.subset) == (("MET001", "CLN010", "CLN011"), Depth.MASKS, False)
    assert (settings.ignore, settings.severity) == (("CTS012",), {"CTS008": Severity.INFO})
    assert settings.tolerances == {"spacing_mm": 0.02, "months": 0.1}
    assert (settings.known_issues, settings.redact_paths) == (False, True)
    assert settings.patients == ("CRLM-CT-1001", "CRLM-CT-1002")
    assert one["jobs"] == 2
    assert ends(one["result"])["FAILED"] == {"CLN::CLN010"}
    one["result"].stdout.fnmatch_lines([f"crlm-qc configuration: {pytester.path / 'crlm-qc.toml'}"])
    assert "FAILED" not in ends(asked("--crlm-fail-on=error", "--crlm-subset")["result"])
    monkeypatch.setenv("CRLM_QC_ISOLATED", "1")
    assert asked("--crlm-depth=masks", ret=1)["settings"].tolerances == {"months": 0.1}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FAIL_ON", "sometimes", "*'sometimes' is not one of*"),
        ("SELECT", "GEO001", "*unknown rule GEO001*"),
        ("JOBS", "0", "Invalid value for '--jobs'*"),
        ("TOLERANCE", "spacing=1", "*unknown tolerance spacing*"),
        ("CONFIG", "none.toml", "*none.toml can't be read*"),
    ],
)
def test_a_wrong_variable_is_wrong_usage(
    asked: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"CRLM_QC_{name}", value)
    result = asked(ret=pytest.ExitCode.USAGE_ERROR)["result"]
    result.stderr.fnmatch_lines([f"ERROR: crlm-qc: {said}"])


def test_whoever_comes_first_audits_and_all_others_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def audit(*_: object, **__: object) -> Report:
        time.sleep(0.2)
        made.append(1)
        return reports.sample()

    monkeypatch.setattr("crlm_qc.testing.results.audit", audit)
    asked = Asked(tmp_path, True, Request(), "rule", (), ())
    every = [Results(asked, tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        reads = [one.result() for one in [pool.submit(results.report) for results in every]]
    assert len(made) == 1
    assert all(one.as_dict() == reports.sample().as_dict() for one in reads)


def test_an_audit_that_failed_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def audit(*_: object, **__: object) -> Report:
        made.append(1)
        raise UsageError("no lock file")

    monkeypatch.setattr("crlm_qc.testing.results.audit", audit)
    asked = Asked(tmp_path, True, Request(), "rule", (), ())
    for _ in range(2):
        with pytest.raises(AuditFailedError, match="crlm-qc: no lock file"):
            Results(asked, tmp_path).report()
    assert len(made) == 1
