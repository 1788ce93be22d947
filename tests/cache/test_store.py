"""Entries on disk: whole or not there, nobody else's, and gone when they are old or many."""

import errno
import os
import stat
import sys
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crlm_qc.cache import store as store_module
from crlm_qc.cache.digests import digest
from crlm_qc.cache.store import PICTURES, READS, VERDICTS, Store
from crlm_qc.model.errors import UsageError

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
KEY = "ab" + 62 * "0"
OTHER = "cd" + 62 * "0"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store.opened(tmp_path / "a" / "b" / "cache")
    assert found is not None
    return found


def files(store: Store) -> list[Path]:
    return [entry.path for entry in store.entries()]


def test_what_is_put_is_had_again(store: Store) -> None:
    value = {"floats": [0.1, 1e308, float("inf")], "text": "\ud800 é", "none": None, "flag": True}
    assert store.put(READS, KEY, value)
    assert store.get(READS, KEY) == value
    assert store.get(READS, OTHER) is None
    assert store.get(VERDICTS, KEY) is None


@posix
def test_it_is_this_users_alone_whatever_the_mask_says(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        store = Store.opened(tmp_path / "a" / "b" / "cache")
        assert store is not None
        store.put(READS, KEY, 1)
    finally:
        os.umask(before)
    for path in [tmp_path / "a", *(tmp_path / "a").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == 0o700, path
    assert [stat.S_IMODE(path.stat().st_mode) for path in files(store)] == [0o600]


def test_programs_for_backups_leave_it_out(store: Store) -> None:
    assert (store.folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(UsageError, match="others may write to it"):
        Store.opened(folder)


@posix
def test_a_folder_of_somebody_else_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: store.folder.stat().st_uid + 1)
    with pytest.raises(UsageError, match="somebody else's"):
        Store.opened(store.folder)


def test_where_no_folder_can_be_made_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Store.opened(tmp_path / "file") is None
    assert Store.opened(tmp_path / "file" / "cache") is None


def test_on_a_medium_that_is_read_only_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert Store.opened(tmp_path / "cache") is None


@pytest.mark.parametrize("full", ["mkstemp", "write", "replace"])
def test_a_full_disk_costs_the_entry_alone(store: Store, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        where = {"mkstemp": "tempfile.mkstemp", "write": "os.fdopen", "replace": "os.replace"}[full]
        patch.setattr(where, refuse)
        assert not store.put(READS, KEY, [1, 2])
    assert store.get(READS, KEY) is None
    assert files(store) == []


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {
            "changed": content[:-1] + bytes([content[-1] ^ 1]),
            "cut": content[:-1],
            "short": content[:20],
            "empty": b"",
            "foreign": b"\x80\x04K\x01.",
            "other": zlib.compress(b"{}"),
        }[how]
    )


@pytest.mark.parametrize("how", ["changed", "cut", "short", "empty", "foreign", "other"])
def test_a_damaged_entry_is_none_and_is_written_anew(store: Store, how: str) -> None:
    store.put(READS, KEY, [1])
    spoil(files(store)[0], how)
    assert store.get(READS, KEY) is None
    assert store.put(READS, KEY, [2])
    assert store.get(READS, KEY) == [2]


def test_an_entry_in_the_place_of_another_is_none(store: Store) -> None:
    """Two patients' entries that somebody swapped are both read again."""
    for key in (KEY, OTHER):
        store.put(READS, key, key)
    first, second = sorted(files(store))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert store.get(READS, KEY) is store.get(READS, OTHER) is None
    store.put(READS, KEY, 1)
    moved = store.folder / "v1" / VERDICTS / KEY[:2] / KEY[2:]
    moved.parent.mkdir(parents=True)
    first.rename(moved)
    assert store.get(VERDICTS, KEY) is None


def test_what_would_be_inflated_without_end_is_none(store: Store) -> None:
    """A gigabyte in a megabyte, with a checksum that is right."""
    packing, spaces = zlib.compressobj(9), b" " * (1 << 20)
    # What follows a full flush tells nothing of what came before, so one part stands for all.
    begun, part = (packing.compress(spaces) + packing.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    content = begun + 1022 * part + packing.compress(spaces + b"1") + packing.flush()
    check = zlib.adler32(b"1", reduce(lambda total, _: zlib.adler32(spaces, total), range(1024), 1))
    content = content[:-4] + check.to_bytes(4, "big")
    assert zlib.decompressobj().decompress(content, 9) == b" " * 9
    store.put(READS, KEY, 1)
    files(store)[0].write_bytes(store_module._checksum(READS, KEY, content) + content)
    tracemalloc.start()
    assert store.get(READS, KEY) is None
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * store_module.MOST_OF_ONE


def test_what_is_larger_than_an_entry_may_be_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST_OF_ONE", 1000)
    assert store.put(READS, KEY, "x" * 997)
    assert store.get(READS, KEY) == "x" * 997
    assert not store.put(READS, OTHER, "x" * 998)
    assert store.get(READS, OTHER) is None


@posix
def test_a_link_or_a_pipe_in_place_of_an_entry_is_none(store: Store, tmp_path: Path) -> None:
    store.put(READS, KEY, 1)
    entry = files(store)[0]
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert store.get(READS, KEY) is None
    entry.unlink()
    os.mkfifo(entry)
    assert store.get(READS, KEY) is None
    assert store.put(READS, KEY, 2)
    assert store.get(READS, KEY) == 2


def test_a_folder_in_place_of_an_entry_does_no_harm(store: Store) -> None:
    (store.folder / "v1" / READS / KEY[:2] / KEY[2:]).mkdir(parents=True)
    assert store.get(READS, KEY) is None
    assert not store.put(READS, KEY, 1)
    assert files(store) == []


def test_many_at_once_write_and_read_whole_entries(store: Store) -> None:
    values = [[number] * 20_000 for number in range(8)]

    def work(number: int) -> bool:
        store.put(READS, KEY, values[number % 8])
        return store.get(READS, KEY) in values

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))
    assert len(files(store)) == 1


def test_what_no_run_has_used_for_long_goes(store: Store) -> None:
    store.put(READS, KEY, 1)
    store.put(VERDICTS, OTHER, 2)
    long_ago = time.time() - 61 * 86_400
    for path in files(store):
        os.utime(path, (long_ago, long_ago))
    assert store.get(READS, KEY) == 1  # a use
    assert [entry.path.name for entry in store.prune()] == [OTHER[2:]]
    assert store.get(READS, KEY) == 1


def test_what_was_used_longest_ago_goes_where_it_is_too_much(store: Store) -> None:
    for day, kind in enumerate((READS, PICTURES, VERDICTS)):
        store.put(kind, KEY, kind)
        path = store.folder / "v1" / kind / KEY[:2] / KEY[2:]
        os.utime(path, (time.time() - 1000 + day, time.time() - 1000 + day))
    most = sum(entry.size for entry in store.entries()) - 1
    assert [entry.path.parts[-3] for entry in store.prune(size=most)] == [READS]
    assert len(store.clear()) == 2
    assert files(store) == []


def test_what_a_run_began_to_write_that_was_killed_goes_after_a_day(store: Store) -> None:
    store.put(READS, KEY, 1)
    draft = files(store)[0].with_name(".part-x")
    draft.write_bytes(b"half")
    assert store.prune() == []
    os.utime(draft, (time.time() - 90_000,) * 2)
    assert [entry.path for entry in store.prune()] == [draft]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_plain_value_comes_back_equal(store: Store, value: object) -> None:
    assert store.put(READS, KEY, value)
    assert store.get(READS, KEY) == value


def test_digests_tell_what_is_equal() -> None:
    assert digest({"a": Path("x"), "b": {2, 1}}) == digest({"a": Path("x"), "b": frozenset((1, 2))})
    assert digest([1, 2]) != digest([2, 1])
    with pytest.raises(TypeError):
        digest(object())
