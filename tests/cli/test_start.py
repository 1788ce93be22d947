"""Workers are prepared for before the commands are imported, but not where an earlier audit may have come to the same."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import crlm_qc.workers as workers_module
from crlm_qc import cli
from crlm_qc.cache.store import READS, VERDICTS, Store
from crlm_qc.model.errors import UsageError


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each time that the process was started which workers come from."""
    calls: list[bool] = []
    monkeypatch.setattr(workers_module, "start_server", lambda: calls.append(True))
    return calls


def kept(folder: Path, *kinds: str) -> Path:
    store = Store.opened(folder)
    assert store is not None
    for kind in kinds:
        assert store.put(kind, "ab" * 32, [1])
    return folder


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["check", "not-there", *arguments])


@pytest.mark.parametrize("how", ["two words", "one word", "environment", "user"])
@pytest.mark.parametrize(("kinds", "early"), [((), True), ((READS,), True), ((READS, VERDICTS), False)])
def test_workers_wait_where_there_are_verdicts(
    how: str, kinds: tuple[str, ...], early: bool, started: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept(tmp_path / "cache", *kinds)
    monkeypatch.delenv("CRLM_QC_CACHE_DIR", raising=False)
    if how == "environment":
        monkeypatch.setenv("CRLM_QC_CACHE_DIR", str(folder))
    if how == "user":
        monkeypatch.setattr("crlm_qc.cache.store.user_cache", lambda: folder)
    run(*{"two words": ["--cache", str(folder)], "one word": [f"--cache={folder}"]}.get(how, []))
    assert bool(started) is early


def test_without_a_cache_workers_are_prepared_for(started: list[bool], tmp_path: Path) -> None:
    run("--cache", str(kept(tmp_path / "cache", VERDICTS)), "--no-cache")
    assert started


def test_help_starts_nothing(started: list[bool]) -> None:
    run("--help")
    assert not started


def test_a_listing_may_be_parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    check = importlib.import_module("crlm_qc.cli.check")
    asked: list[bool] = []

    @contextmanager
    def seen(*, wanted: bool) -> Iterator[None]:
        asked.append(wanted)
        raise UsageError("enough")
        yield

    monkeypatch.setattr(check, "_pyarrow", seen)
    with pytest.raises(SystemExit):
        cli.main(["check", "https://host.example/release", "--listing", "index.parquet", "--no-cache", "--isolated"])
    assert asked == [True]


def test_pandas_does_without_pyarrow_where_there_is_no_parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    check = importlib.import_module("crlm_qc.cli.check")
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    with check._pyarrow(wanted=True):
        assert "pyarrow" not in sys.modules
    with check._pyarrow(wanted=False):
        assert sys.modules["pyarrow"] is None
    # What comes after, in the same process, may save evidence.
    assert "pyarrow" not in sys.modules
    imported = ModuleType("pyarrow")
    monkeypatch.setitem(sys.modules, "pyarrow", imported)
    with check._pyarrow(wanted=False):
        assert sys.modules["pyarrow"] is imported
    assert sys.modules["pyarrow"] is imported
