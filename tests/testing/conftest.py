"""Runs of pytest within a test."""

import pytest


@pytest.fixture(scope="session")
def imported() -> None:
    """What a run imports stays: pytester takes back what a run was the first to import."""
    import crlm_qc.evidence.release
    import crlm_qc.testing.plugin  # noqa: F401


@pytest.fixture
def lean(imported: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs have our plugin and no other of this environment: to find and load them takes longer than most runs."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "crlm_qc.pytest_plugin")
