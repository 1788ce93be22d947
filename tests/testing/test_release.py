"""The pytest plugin on releases on disk: what fails is what was planted, in one process or several, and nothing leaks."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from support.identifiers import plant_faults, plant_identifiers
from support.pipelines import (
    IGNORED,
    OPTIONS,
    PLAIN,
    PYTEST_OPTIONS,
    Junit,
    failing_tests,
    faulty_release,
    quiet_environment,
    run_pytest,
)
from support.releases import clean_release, small_release

import crlm_qc
from crlm_qc.cli import app as cli
from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.testing.conformance import NotConformantError

__all__ = ["clean_release"]

EXAMPLE = Path(__file__).parent / "example_own_tests"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    release = faulty_release(tmp_path_factory.mktemp("faulty") / "release")
    (release.root / "LICENSE").write_text("CC BY 4.0\n", encoding="utf-8")
    return release


@pytest.fixture(scope="module")
def pipeline(faulty: SyntheticRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which pytest, with two workers, and `crlm-qc check` have left their files on the same release.

    A team's own tests run beside the audit.
    """
    folder = tmp_path_factory.mktemp("pipeline")
    shutil.copytree(EXAMPLE, folder / "own")
    release = (f"--crlm-release={faulty.root}", "--crlm-evidence=evidence")
    done = run_pytest(
        folder, "own", PLAIN, "-n", "2", "-rA", *release, *PYTEST_OPTIONS, "--junitxml=pytest.xml", expect=1
    )
    (folder / "pytest.txt").write_text(done.stdout, encoding="utf-8")
    formats = [word for name in ("junit", "sarif", "markdown") for word in ("-o", name)]
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - quiet_environment().keys():
            patch.delenv(name)
        patch.chdir(folder)
        with pytest.raises(SystemExit) as ended:
            cli.main(["check", "evidence", "--out", "out", "--jobs", "1", *OPTIONS, *formats])
    assert ended.value.code == 1
    return folder


def test_what_fails_is_what_was_planted(pipeline: Path) -> None:
    junit = Junit.of(pipeline / "pytest.xml")
    assert junit.failure == failing_tests()
    assert junit.error == frozenset()
    assert {"release", "CTS::CRLM-CT-1002", "SEG::SEG013"} <= junit.names - junit.skipped


def test_the_formats_of_check_agree_with_pytest(pipeline: Path) -> None:
    failed = Junit.of(pipeline / "pytest.xml").failure
    rules = {name for name in failed if re.fullmatch(r"\w{3}::\w{3}\d{3}", name)}
    patients = failed - rules

    junit = Junit.of(pipeline / "out" / "junit.xml")
    cases = {tuple(name.split("::")) for name in junit.failure}
    assert {f"{case.split(' ')[0]}::{suite}" for suite, case in cases if suite != "release"} == patients
    assert {case.split(" ")[0] for _, case in cases} == {name.split("::")[0] for name in rules}
    assert not junit.error

    (sarif,) = json.loads((pipeline / "out" / "crlm-qc.sarif").read_bytes())["runs"]
    errors = {one["ruleId"] for one in sarif["results"] if one["level"] == "error" and "suppressions" not in one}
    assert {f"{code[:3]}::{code}" for code in errors} == rules
    skipped = {
        note["associatedRule"]["id"]
        for note in sarif["invocations"][0]["toolExecutionNotifications"]
        if note["level"] == "note"
    }
    by_rule = {
        name.split("::")[1] for name in Junit.of(pipeline / "pytest.xml").skipped if re.search(r"::\w{3}\d{3}$", name)
    }
    assert by_rule == skipped

    summary = (pipeline / "out" / "report.md").read_text(encoding="utf-8")
    verdict = sarif["properties"]["verdict"]
    assert f"crlm-qc: {verdict}." in (pipeline / "pytest.txt").read_text(encoding="utf-8")
    assert verdict.replace("-", "") in summary.replace("\\", "").replace("&#45;", "").replace("-", "")
    assert all(name.split("::")[1] in summary for name in failed)


def test_a_teams_own_tests_on_the_tables(pipeline: Path) -> None:
    junit = Junit.of(pipeline / "pytest.xml")
    own = {name for name in junit.names if "test_lesions::" in name}
    assert len(own) == 4
    assert not own & (junit.failure | junit.error | junit.skipped)
    done = run_pytest(pipeline, "own", PLAIN, "-m", "not crlm", "--crlm-evidence=evidence", *PYTEST_OPTIONS)
    assert "3 passed, 1 skipped" in done.stdout
    done = run_pytest(pipeline, "own", "-W", "error")
    assert "4 skipped" in done.stdout


def test_nothing_that_was_planted_comes_out(tmp_path: Path) -> None:
    release = small_release(tmp_path / "release", patients=4)
    plant_faults(release)
    words = plant_identifiers(release)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "test_own.py").write_text("def test_own(crlm_report): assert crlm_report.counts['error'] == 0\n")
    loud = (
        "-l",
        "-vv",
        "--showlocals",
        "--tb=long",
        "-rA",
        "--full-trace",
        "-o",
        "junit_logging=all",
        "-o",
        "log_cli=true",
    )
    paths = (f"--crlm-release={release.root}", "--crlm-evidence=evidence")
    done = run_pytest(folder, *loud, *paths, "--junitxml=junit.xml", "--crlm-grain=full", expect=1)
    assert "DID::DID001" in Junit.of(folder / "junit.xml").failure
    said = done.stdout + done.stderr + (folder / "junit.xml").read_text(encoding="utf-8")
    assert len(words.places) > 40
    assert words.found_in(said) == []
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".parquet", ".py", ".pyc"):
            assert words.found_in(path.read_text(encoding="utf-8")) == [], path.name


def test_assert_conformant(faulty: SyntheticRelease, clean_release: SyntheticRelease) -> None:
    report = crlm_qc.assert_conformant(clean_release.root, subset=True, ignore=IGNORED, jobs=1)
    assert report.counts["error"] == 0
    with pytest.raises(NotConformantError) as raised:
        crlm_qc.assert_conformant(faulty.root, select=["DSO", "MET"], subset=True, depth="headers", jobs=1)
    said = str(raised.value)
    assert isinstance(raised.value, AssertionError)
    assert said.startswith("Not conformant: 1 error in 1 of 3 patients")
    assert "DSO011" in said
    assert "CRLM-CT-1002" in said
    with pytest.raises(NotConformantError, match="Nothing was checked"):
        crlm_qc.assert_conformant(clean_release.root, select=["SEG001"], depth="headers", jobs=1)


def test_assert_conformant_accepts_what_was_waived(faulty: SyntheticRelease, tmp_path: Path) -> None:
    waivers = tmp_path / "waivers.toml"
    waivers.write_text('[[waiver]]\nrule = "DSO011"\npatients = ["CRLM-CT-1002"]\nreason = "looked at"\n')
    options = {"select": ["DSO"], "subset": True, "depth": "headers", "jobs": 1}
    report = crlm_qc.assert_conformant(faulty.root, waivers=[waivers], **options)
    assert report.counts["waived"] == 1
