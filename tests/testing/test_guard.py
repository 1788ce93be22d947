"""The audited release has no say in the run of pytest that audits it: no settings, no code, no cache come of it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import reports

from crlm_qc.evidence.store import load, save
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import frame

Run = Callable[..., pytest.RunResult]
EVIL = "from pathlib import Path\nPath(__file__).with_name('was-run').touch()\n"
SPACE = "ERROR: crlm-qc: write --crlm-release={}: without the = pytest takes it for a folder of tests*"


Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved evidence, which is audited as a release is, with code slipped into it."""
    folder = tmp_path_factory.mktemp("saved") / "evidence"
    rows = [{"patient": "CRLM-CT-1001", "folder": "CRLM-CT-1001", "valid": True}]
    save(Evidence(Facts(root="release", depth=Depth.PIXELS), {"patients": frame("patients", rows)}), folder)
    # pytester forgets what is first imported within a run, and numpy can't be imported twice.
    load(folder)
    for name in ("conftest.py", "test_evil.py", "inner/conftest.py", "inner/test_evil.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(EVIL + "def test_evil(): pass\n")
    return folder


@pytest.fixture
def make_release(saved: Path, pytester: pytest.Pytester) -> Make:
    """Makes the release at a path, and a team's folder beside it, with settings."""
    (pytester.path / "team").mkdir()
    (pytester.path / "team" / "pytest.ini").write_text("[pytest]\n")
    return lambda path: Path(shutil.copytree(saved, pytester.path / path))


@pytest.fixture
def run(lean: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in the folder `team`, on a report in place of an audit."""
    for name in [name for name in os.environ if name.startswith(("PYTEST_ADDOPTS", "CRLM_QC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("crlm_qc.testing.results.audit", lambda *_, **__: reports.clean())

    def call(*arguments: object, folder: str = "team") -> Any:
        place = pytester.path / folder
        place.mkdir(exist_ok=True)
        monkeypatch.chdir(place)
        options = ["-W", "default", "--crlm-select=MET001", "--crlm-grain=rule"]
        return pytester.runpytest_inprocess(*options, *map(str, arguments))

    return call


def left_alone(release: Path) -> bool:
    """Whether nothing was run or written in a release."""
    strange = {"was-run", ".pytest_cache", "__pycache__"}
    return not strange & {path.name for path in release.rglob("*")}


@pytest.mark.parametrize("ini", [True, False], ids=["with settings", "without"])
@pytest.mark.parametrize("option", ["release", "evidence"])
def test_a_path_after_a_space_does_not_become_the_root(
    run: Run, make_release: Make, pytester: pytest.Pytester, ini: bool, option: str
) -> None:
    release = make_release("release")
    if ini:
        (release / "pytest.ini").write_text("[pytest]\naddopts = --crlm-fail-on=never\n")
    result = run(f"--crlm-{option}", release)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([SPACE.format(release).replace("release", option, 1)])
    assert left_alone(release)
    result = run(f"--crlm-{option}={release}")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"rootdir: {pytester.path / 'team'}", "configfile: pytest.ini"])
    assert left_alone(release)


def test_a_space_in_the_environment(
    run: Run, make_release: Make, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = make_release("release")
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--crlm-release {release}")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([SPACE.format(release)])
    assert left_alone(release)


def test_settings_beside_the_release_do_not_replace_the_teams_own(
    run: Run, make_release: Make, pytester: pytest.Pytester
) -> None:
    """The root is not in the release, and yet it is not the one that the team has."""
    release = make_release("data/release")
    (pytester.path / "data" / "pytest.ini").write_text("[pytest]\n")
    (pytester.path / "team" / "pytest.ini").write_text("[pytest]\naddopts = --crlm-fail-on=warning\n")
    assert run("--crlm-release", release).ret == pytest.ExitCode.USAGE_ERROR
    assert run(f"--crlm-release={release}", "--crlm-profile", "../data/pytest.ini").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("more", [[], ["tests"]])
def test_a_space_is_no_harm_below_the_working_directory(
    run: Run, make_release: Make, pytester: pytest.Pytester, more: list[str]
) -> None:
    release = make_release("team/data/release")
    (pytester.path / "team" / "tests").mkdir()
    result = run("--crlm-release", "data/release", *more)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"rootdir: {pytester.path / 'team'}", "configfile: pytest.ini"])
    assert left_alone(release)
    # Settings on the way up from one of the paths are other ones than without the release.
    for folder in ("data/release", "data", *more):
        settings = pytester.path / "team" / folder / "pyproject.toml"
        settings.write_text("")
        assert run("--crlm-release", "data/release", *more).ret == pytest.ExitCode.USAGE_ERROR
        settings.unlink()


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [
        ("team/release", ["--crlm-release=."]),
        ("team/release/inner", ["--crlm-release=.."]),
        ("team", ["--crlm-release=release", "-c", "release/own.ini"]),
        ("team", ["--crlm-release=release", "--rootdir=release"]),
        ("team", ["--crlm-release=linked", "--rootdir=release"]),
    ],
)
def test_no_settings_and_no_root_in_the_release(
    run: Run, make_release: Make, pytester: pytest.Pytester, folder: str, arguments: list[str]
) -> None:
    release = make_release("team/release")
    (release / "own.ini").write_text("[pytest]\n")
    (pytester.path / "team" / "linked").symlink_to(release)
    if folder != "team":
        (pytester.path / "team" / "pytest.ini").unlink()
    result = run(*arguments, folder=folder)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: crlm-qc: pytest's * in the release, which is never written to*"])
    assert left_alone(release)


def test_pytest_is_not_started_in_the_release(run: Run, make_release: Make) -> None:
    release = make_release("team/release")
    result = run("--crlm-release=.", folder="team/release")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: crlm-qc: * lies in the release, and nothing in there is run: start pytest*"])
    assert left_alone(release)


def test_settings_in_the_release_do_not_name_it(run: Run, make_release: Make, pytester: pytest.Pytester) -> None:
    release = make_release("release")
    (release / "pytest.ini").write_text("[pytest]\ncrlm_release = .\n")
    assert run(folder="release").ret == pytest.ExitCode.USAGE_ERROR
    assert left_alone(release)


@pytest.mark.parametrize("named", ["option", "ini"])
def test_no_code_of_the_release_is_run(run: Run, make_release: Make, pytester: pytest.Pytester, named: str) -> None:
    release = make_release("team/data")
    (pytester.path / "team" / "linked").symlink_to(release)
    (pytester.path / "team" / "test_own.py").write_text("def test_own(): pass\n")
    ini = "[pytest]\n" + ("crlm_release = data\n" if named == "ini" else "")
    (pytester.path / "team" / "pytest.ini").write_text(ini)
    result = run("-v", "--doctest-modules", *(["--crlm-release=data"] if named == "option" else []))
    result.assert_outcomes(passed=3)
    assert "evil" not in result.stdout.str()
    assert left_alone(release)


@pytest.mark.parametrize("name", ["data/test_evil.py", "data/inner", "linked", "data/inner/test_evil.py::test_evil"])
def test_tests_in_the_release_are_not_run_when_named(
    run: Run, make_release: Make, pytester: pytest.Pytester, name: str
) -> None:
    release = make_release("team/data")
    (pytester.path / "team" / "linked").symlink_to(release)
    result = run("--crlm-release=data", name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: crlm-qc: * lies in the release, and nothing in there is run*"])
    (pytester.path / "team" / "pytest.ini").write_text(f"[pytest]\ntestpaths = {name.partition('::')[0]}\n")
    assert run("--crlm-release=data").ret == pytest.ExitCode.USAGE_ERROR
    assert left_alone(release)


def test_a_release_that_pytest_would_take_for_tests(run: Run, make_release: Make, pytester: pytest.Pytester) -> None:
    """pytest loads conftest.py of folders beside it whose names begin with test, before it asks what to ignore."""
    release = make_release("team/test_release")
    result = run("--crlm-release=test_release")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: crlm-qc: *conftest.py lies in the release, and pytest would run it*"])
    assert left_alone(release)
    assert run("--crlm-release=test_release", "--noconftest").ret == 0
    assert left_alone(release)
    for path in release.rglob("conftest.py"):
        path.unlink()
    assert run("--crlm-release=test_release").ret == 0
    assert left_alone(release)
