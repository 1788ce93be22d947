"""Fixtures that more than one room of the tests needs."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

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
