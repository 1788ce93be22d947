"""Fixtures that more than one room of the tests needs."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from hypothesis import settings
from support import apart, kept

from crlm_qc.cli import progress
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.engines import pandera_engine

pytest_plugins = ["pytester"]

# What a test comes to must not depend on what ran before it: only those that are about the cache have one. Where the
# first of the two is taken away, the second still keeps the user's own out of it.
os.environ["CRLM_QC_NO_CACHE"] = "1"
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="crlm-qc-tests-")

# It stands for the tests of a team that uses crlm-qc; testing/test_release.py runs it.
collect_ignore = ["testing/example_own_tests"]

# How long an example takes says more of the machine than of the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Where Python may leave no bytecode beside its sources, it is kept in pytest's cache.

    Without it every worker, and every process that a test starts, compiles pandas and all the rest again.
    """
    if sys.dont_write_bytecode and config.cache is not None:
        folder = config.cache.mkdir("bytecode")
        # That of modules which tests wrote for themselves, under the same path, is of no use to another run.
        for made in folder.joinpath(*Path(tempfile.gettempdir()).parts[1:]).glob("pytest-of-*"):
            shutil.rmtree(made, ignore_errors=True)
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def changed_code_is_judged_anew(request: pytest.FixtureRequest) -> Iterator[None]:
    """What rules came to says nothing of code that a test changes."""
    apart.paused[:] = [True] if "monkeypatch" in request.fixturenames else []
    yield
    apart.paused.clear()


@pytest.fixture(scope="session", autouse=True)
def lines_of_progress_do_not_depend_on_the_machine() -> Iterator[None]:
    """What a command takes so long for that it tells of its progress is not the same everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "FIRST_S", 3600.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def releases_are_written_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where small releases are kept: a folder that the workers of a run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "written"
    folder.mkdir(exist_ok=True)
    kept.folders.append(folder)


@pytest.fixture(scope="session", autouse=True)
def commands_are_made_once() -> Iterator[None]:
    """Typer takes longer to make the commands of their functions than most of them to run in a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def pandera() -> None:
    pandera_engine.load()


@pytest.fixture
def pytester(pandera: None, pytester: pytest.Pytester) -> pytest.Pytester:
    """pytest's own, which puts the imported modules back: what it would import for the first time can't be imported twice."""
    return pytester


@pytest.fixture(scope="session")
def profile() -> Profile:
    return load_profile()


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of real files; tests that use it are marked `reference`."""
    named = os.environ.get("CRLM_QC_REFERENCE")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("no reference files: set CRLM_QC_REFERENCE to their folder")
    return folder
