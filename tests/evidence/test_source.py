"""Where a release lies: what is listed, found and opened, what never is, and that readers need not know."""

import os
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from support.releases import small_release
from support.sources import Memory

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import patient, release
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.lock import lock_release
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.source import BUFFER, Folder, Item, OutsideError, Source, local_file
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES
from crlm_qc.synthetic.release import SyntheticRelease

CONTENT = bytes(range(256)) * 200


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder of a folder of a file."""
    top = tmp_path / "release"
    (top / "a").mkdir(parents=True)
    (top / "a" / "f.dcm").write_bytes(CONTENT)
    return top


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    return small_release(tmp_path_factory.mktemp("source") / "release", patients=2)


def item(source: Source, path: str) -> Item:
    """An item as the listing has it."""
    (found,) = (item for item in source.tree().items if item.path == path)
    return found


# What is read.


def test_a_file_is_open_at_its_beginning_and_can_be_read_anywhere(top: Path) -> None:
    found = item(open_source(top), "a/f.dcm")
    assert (found.path, found.name, found.folder, found.suffix) == ("a/f.dcm", "f.dcm", "a", ".dcm")
    assert (found.size, found.readable, found.problem) == (len(CONTENT), True, None)
    with found.opened() as stream:
        assert stream.seekable()
        assert stream.read() == CONTENT
        stream.seek(BUFFER)
        assert stream.read(3) == CONTENT[BUFFER : BUFFER + 3]


@pytest.mark.parametrize(
    ("start", "length"), [(0, 0), (0, 4), (128, 4), (len(CONTENT) - 2, 9), (len(CONTENT) + 9, 9), (0, 1 << 20)]
)
def test_a_range_ends_where_the_file_does(top: Path, start: int, length: int) -> None:
    assert item(open_source(top), "a/f.dcm").read(start, length) == CONTENT[start : start + length]


def test_a_file_that_is_gone_can_not_be_read(top: Path) -> None:
    found = item(open_source(top), "a/f.dcm")
    (top / "a" / "f.dcm").unlink()
    with pytest.raises(FileNotFoundError):
        found.opened()
    with pytest.raises(FileNotFoundError):
        found.read(0, 1)


def test_a_name_that_is_no_unicode_names_its_file_all_the_same(top: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(top) + b"/caf\xe9"))
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.dcm")).write_bytes(CONTENT)
    found = item(open_source(top), "caf\N{REPLACEMENT CHARACTER}/\N{REPLACEMENT CHARACTER}.dcm")
    found.path.encode()
    assert found.read(0, 9) == CONTENT[:9]
    assert pickle.loads(pickle.dumps(found)).read(0, 9) == CONTENT[:9]


# What other processes are given.


def test_items_can_be_sent_to_other_processes(top: Path) -> None:
    for number in range(100):
        (top / "a" / f"{number}.dcm").touch()
    source = open_source(top)
    items = source.tree().items
    plain = len(pickle.dumps(items))
    assert pickle.loads(pickle.dumps(items)) == items
    assert pickle.loads(pickle.dumps(items))[-1].read(0, 4) == CONTENT[:4]
    # Where they lie is said once, and what was looked up meanwhile is not said at all.
    assert pickle.dumps(items).count(top.parent.name.encode()) == 1
    for name in "abc":
        source.folder([name] * 50)
    assert len(pickle.dumps(items)) == plain


def test_folders_are_the_same_if_they_lie_at_the_same_place(top: Path) -> None:
    assert len({open_source(top), open_source(top / "a" / ".."), Folder(top)}) == 1


# What is never opened.


def test_what_is_no_file_of_the_release_is_never_opened(top: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    os.mkfifo(top / "pipe.dcm")
    (top / "to-pipe.dcm").symlink_to(top / "pipe.dcm")
    (top / "device.dcm").symlink_to("/dev/zero")
    (top / "out.dcm").symlink_to(tmp_path / "secret")
    (top / "folder.dcm").symlink_to(top / "a")
    (top / "gone.dcm").symlink_to(top / "nothing")
    source = open_source(top)
    expected = {
        "pipe.dcm": "not-a-file",
        "to-pipe.dcm": "not-a-file",
        "device.dcm": "link-outside",
        "out.dcm": "link-outside",
        "folder.dcm": "link-folder",
        "gone.dcm": "link-broken",
    }
    assert {one.path: one.problem for one in source.tree().items if one.problem} == expected
    # The same if a path was listed before, and is only now what it is.
    assert {path: source.find(path).problem for path in expected} == expected
    assert {source.find(path).problem for path in ("../secret", str(tmp_path / "secret"), "/dev/zero", "../gone")} == {
        "link-outside"
    }
    for one in [*source.tree().items, *map(source.find, expected)]:
        if one.problem:
            assert (one.readable, one.size, one.key) == (False, None, "")
            assert one.detail
            for refused in (one.opened, lambda one=one: one.read(0, 1)):
                with pytest.raises(PermissionError):
                    refused()


def test_a_link_to_a_file_of_the_release_is_that_file_under_its_own_name(top: Path) -> None:
    (top / "link.dcm").symlink_to(top / "a" / "f.dcm")
    source = open_source(top)
    found = item(source, "link.dcm")
    assert (found.size, found.problem, found.key) == (len(CONTENT), None, "a/f.dcm")
    assert found.read(0, 4) == CONTENT[:4]
    assert source.find("link.dcm") == found
    assert source.find("a/f.dcm") == item(source, "a/f.dcm")


def test_nothing_is_listed_behind_a_link(top: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / "b").mkdir(parents=True)
    (tmp_path / "other" / "b" / "g.dcm").touch()
    (top / "out").symlink_to(tmp_path / "other")
    (top / "in").symlink_to(top / "a")
    tree = open_source(top).tree()
    assert [one.path for one in tree.items] == ["a/f.dcm", "in", "out"]
    assert tree.folders == ["a"]


def test_folders_that_can_not_be_listed_are_named_with_the_reason(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (top / "b").mkdir()
    scandir = os.scandir
    errors = {str(top / "a"): PermissionError(13, "no"), str(top / "b"): OSError(5, "no")}

    def refuse(path: Path) -> object:
        if str(path) in errors:
            raise errors[str(path)]
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    tree = open_source(top).tree()
    assert tree.unlisted == {"b": "it can't be listed", "a": "permission denied"}
    assert (tree.items, tree.folders) == ([], ["a", "b"])


# What lies elsewhere.


def test_a_file_that_the_user_names_is_read_wherever_it_lies(top: Path, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(top / "a" / "f.dcm")
    found = local_file(tmp_path / "link.csv")
    assert found is not None
    assert (found.path, found.size, found.read(0, 4)) == ("link.csv", len(CONTENT), CONTENT[:4])
    assert local_file(tmp_path / "nothing.csv") is None
    assert local_file(top) is None
    os.mkfifo(tmp_path / "pipe.csv")
    assert local_file(tmp_path / "pipe.csv") is None


def test_a_file_of_this_machine_is_known_if_it_lies_in_the_release(top: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(top / "a" / "f.dcm")
    (top / "out").symlink_to(tmp_path / "secret")
    source = open_source(top)
    assert source.locate(tmp_path / "link") == source.locate(top / "a" / ".." / "a" / "f.dcm") == "a/f.dcm"
    assert source.locate(tmp_path / "secret") is source.locate(top / "out") is None


def test_what_lies_beside_are_files_of_the_folders_above(top: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "b.csv", tmp_path / "A.CSV", tmp_path / "c.txt", tmp_path.parent / f"{tmp_path.name}.csv"):
        path.write_bytes(CONTENT)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "b.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    source = open_source(top)
    (near,) = source.beside(1, {".csv"})
    assert [(one.path, one.read(0, 4)) for one in near] == [("A.CSV", CONTENT[:4]), ("b.csv", CONTENT[:4])]
    (_, far) = source.beside(2, {".csv"})
    assert f"{tmp_path.name}.csv" in [one.path for one in far]


def test_steps_lead_to_folders_of_the_release_alone(top: Path, tmp_path: Path) -> None:
    (top / "a" / "b").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "list.csv").touch()
    (top / "out").symlink_to(tmp_path / "secret")
    source = open_source(top)
    inside, beside = item(source, "a/f.dcm"), local_file(tmp_path / "list.csv")
    assert source.folder([]) == "."
    assert source.folder(["a", "b"]) == source.folder(["b"], inside) == "a/b"
    assert source.folder(["release", "a"], beside) == "a"
    assert source.folder(["b"]) is source.folder(["a", "f.dcm"]) is source.folder(["secret"], beside) is None
    for way in (["out"], ["out", "deep"], ["a", "..", "..", "secret"]):
        with pytest.raises(OutsideError):
            source.folder(way)


# Readers do not know where a release lies.


@pytest.fixture
def moved(written: SyntheticRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path of nothing, which stands for a copy of the release in memory."""
    files = {
        path.relative_to(written.root).as_posix(): path.read_bytes()
        for path in written.root.rglob("*")
        if path.is_file()
    }
    monkeypatch.setattr(release, "open_source", lambda *_: Memory(files))
    return tmp_path / "nowhere"


@pytest.mark.parametrize("hashed", [False, True])
def test_a_release_of_which_nothing_lies_on_disk_reads_the_same(
    written: SyntheticRelease, moved: Path, profile: Profile, hashed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = collect(moved, profile, depth=Depth.PIXELS, hashed=hashed, jobs=1)
    monkeypatch.undo()
    expected = collect(written.root, profile, depth=Depth.PIXELS, hashed=hashed, jobs=1)
    assert found.facts == expected.facts
    for name in TABLES:
        pd.testing.assert_frame_equal(found[name], expected[name])
    assert not expected["metadata"]["folder"].isna().any()


def test_a_lock_of_it_is_the_same_too(
    written: SyntheticRelease, moved: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lock_release(moved, profile)
    monkeypatch.undo()
    assert found == lock_release(written.root, profile)


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("depth", Depth)
def test_a_file_of_a_patient_is_opened_once(
    written: SyntheticRelease, profile: Profile, depth: Depth, hashed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Counter[str] = Counter()
    real = Folder.open
    monkeypatch.setattr(Folder, "open", lambda self, key: opened.update([key]) or real(self, key))
    found = open_source(written.root).tree().items
    items = [one for one in found if one.suffix == ".dcm"]
    patient.read_patient("CRLM-CT-1001", items, profile, depth, hashed=hashed)
    assert opened == Counter(one.key for one in items)


def test_an_item_of_no_source_is_a_name_alone() -> None:
    bare = Item("a/b.csv", None)
    assert (bare.readable, replace(bare, path="c").folder) == (False, "")


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of Unix")
@pytest.mark.parametrize("what", ["pipe", "link out", "link to nothing", "folder that is a link out"])
def test_what_is_put_in_a_file_s_place_after_the_listing_is_not_read(tmp_path: Path, what: str) -> None:
    outside, top = tmp_path / "outside", tmp_path / "release"
    for folder in (outside, top / "a"):
        folder.mkdir(parents=True)
        (folder / "x.dcm").write_bytes(folder.name.encode())
    item = Folder(top).tree().items[0]
    path = top / "a" / "x.dcm"
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder that is a link out":
        path.parent.rmdir()
        path.parent.symlink_to(outside)
    else:
        path.symlink_to(outside / "x.dcm" if what == "link out" else "nothing")
    for read in (item.opened, item.digest, lambda: item.read(0, 1)):
        with pytest.raises(OSError):  # noqa: PT011 - of whatever kind
            read()


def test_a_file_that_was_replaced_and_a_link_within_are_read(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "object").write_bytes(b"old")
    (tmp_path / "x.dcm").symlink_to("store/object")
    items = Folder(tmp_path.resolve()).tree().items
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(tmp_path / "store" / "object")
    assert [item.read(0, 9) for item in items] == [b"new", b"new"]
