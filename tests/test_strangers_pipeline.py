"""The pipeline of a stranger: the built wheel in a new environment, a faulty release, and pytest's JUnit read back."""

import importlib.util
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from support.pipelines import PYTEST_OPTIONS, Junit, failing_tests, faulty_release, run

PROJECT = Path(__file__).parents[1]


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="no hatchling to build the wheel with")
def test_a_wheel_in_a_new_environment_fails_what_was_planted(tmp_path: Path) -> None:
    run(PROJECT, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist")
    (wheel,) = (tmp_path / "dist").glob("*.whl")

    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    # The dependencies are those of this environment, pip among them, so that no network is needed; the wheel comes first.
    where = run(tmp_path, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    Path(where, "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    # Of this environment's own crlm-qc pip knows, and would leave the wheel out.
    pip = ("-m", "pip", "install", "--no-index", "--no-deps", "--ignore-installed", "--no-compile")
    run(tmp_path, python, *pip, wheel)

    project = tmp_path / "project"
    project.mkdir()
    release = faulty_release(tmp_path / "release")
    (project / "pytest.ini").write_text(
        "[pytest]\ncrlm_release = ../release\nfilterwarnings = error\n", encoding="utf-8"
    )
    imported = run(project, python, "-c", "import crlm_qc; print(crlm_qc.__file__)").stdout.strip()
    assert Path(imported).is_relative_to(where)

    run(project, python, "-m", "pytest", *PYTEST_OPTIONS, "--junitxml=junit.xml", expect=1)

    junit = Junit.of(project / "junit.xml")
    assert junit.failure == failing_tests()
    assert not junit.error
    assert release.patients == ("CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003")
