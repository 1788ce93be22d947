"""Archives are read where they lie, as if they had been unpacked, and nothing in them leads elsewhere."""

import io
import os
import pickle
import random
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.packed import FORMS, packed
from support.releases import clean_release

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.lock import lock_release
from crlm_qc.evidence.places import archive, spool
from crlm_qc.evidence.places.archive import Archive
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.release import find_release
from crlm_qc.evidence.source import Item, OutsideError, Source, local_file, reason
from crlm_qc.model.errors import ReleaseError
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

CONTENT = random.Random(1).randbytes(40_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release of a few files, with an empty folder."""
    top = tmp_path / "release"
    (top / "a" / "b").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "a" / "f.dcm").write_bytes(CONTENT)
    (top / "a" / "b" / "caf\N{LATIN SMALL LETTER E WITH ACUTE}.dcm").write_bytes(CONTENT[::-1])
    (top / "nothing.txt").touch()
    return top


def shown(source: Source) -> list[tuple[str, int | None, str | None, str | None]]:
    return [(one.path, one.size, one.problem, one.content) for one in source.tree().items]


def item(source: Source, path: str) -> Item:
    (found,) = (one for one in source.tree().items if one.path == path)
    return found


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def refusal(found: Item) -> str:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - whatever the system or the place says
        found.digest()
    return reason(caught.value)


# As in a folder.


@pytest.mark.parametrize("name", [None, "", "another"])
@pytest.mark.parametrize("form", FORMS)
def test_an_archive_holds_what_its_folder_holds(folder: Path, form: str, name: str | None) -> None:
    plain, source = open_source(folder), open_source(packed(folder, form, name=name))
    assert source.name == (name or "release")
    assert shown(source) == shown(plain)
    assert source.tree().folders == plain.tree().folders
    for found, expected in zip(source.tree().items, plain.tree().items, strict=True):
        assert found.digest() == expected.digest()
        assert source.find(found.path) == found


@pytest.mark.parametrize("form", FORMS)
def test_items_can_be_sent_to_other_processes_with_no_file_open(folder: Path, form: str) -> None:
    source = open_source(packed(folder, form))
    sent = pickle.dumps(source.tree().items)
    assert len(sent) < 1500
    assert [one.digest() for one in pickle.loads(sent)] == [one.digest() for one in source.tree().items]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(-50_000, 50_000), st.integers(0, 50_000)), max_size=9)
)
def test_a_member_is_read_anywhere_as_a_file_is(folder: Path, form: str, steps: list[tuple[int, int, int]]) -> None:
    path = folder.parent / f"as-{form}-folder" / f"release.{form.removeprefix('stored.')}"
    source = open_source(path if path.exists() else packed(folder, form))
    with item(source, "a/f.dcm").opened() as found, io.BytesIO(CONTENT) as expected:
        for whence, offset, length in steps:
            begin = {0: 0, 1: expected.tell(), 2: len(CONTENT)}[whence] + offset
            if begin >= 0:
                assert found.seek(offset, whence) == expected.seek(begin)
                assert found.read(length) == expected.read(length)


def test_what_systems_add_to_an_archive_does_not_count(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"release/f.dcm": b"1", "__MACOSX/release/._f.dcm": b"2", ".DS_Store": b"3"})
    assert (open_source(path).name, shown(open_source(path))) == ("release", [("f.dcm", 1, None, None)])


def test_a_folder_of_one_patient_is_not_taken_for_the_release(
    clean_release: SyntheticRelease, tmp_path: Path, profile: Profile
) -> None:
    path = tmp_path / "one.zip"
    FORMS["zip"](clean_release.collection / "CRLM-CT-1001", path, "CRLM-CT-1001")
    found = find_release(path, profile)
    assert [(one.patient, one.folder) for one in found.patients] == [("CRLM-CT-1001", "CRLM-CT-1001")]
    assert found.source.name == "one"


@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
def test_a_lock_of_it_is_the_folder_s(
    clean_release: SyntheticRelease, tmp_path: Path, profile: Profile, form: str
) -> None:
    FORMS[form](clean_release.root, tmp_path / f"x.{form}", "release")
    assert lock_release(tmp_path / f"x.{form}", profile, jobs=2) == lock_release(clean_release.root, profile)


def test_names_without_a_word_on_their_encoding_and_with_backslashes(tmp_path: Path) -> None:
    name = "a\\caf\N{LATIN SMALL LETTER E WITH ACUTE}.dcm"
    path = zipped(tmp_path / "x.zip", {"b/f.dcm": b"1", "x" * len(name.encode()): b"2"})
    content = path.read_bytes().replace(b"x" * len(name.encode()), name.encode())
    path.write_bytes(content)
    assert [one.path for one in open_source(path).tree().items] == [name.replace("\\", "/"), "b/f.dcm"]


# Beside it, and where steps lead.


def test_files_beside_it_and_steps_from_them(folder: Path) -> None:
    path = packed(folder, "zip")
    (path.parent / "list.csv").write_bytes(b"x")
    source, beside = open_source(path), local_file(path.parent / "list.csv")
    ((near,),) = source.beside(1, {".csv"})
    assert near.read(0, 9) == b"x"
    assert [one.name for found in source.beside(1, {".csv", ".zip"}) for one in found] == ["list.csv"]
    assert source.folder([]) == "."
    assert source.folder(["release", "a", "b"], beside) == source.folder(["b"], item(source, "a/f.dcm")) == "a/b"
    assert source.folder(["a", "f.dcm"]) is source.folder(["other", "a"], beside) is source.folder(["c"]) is None
    with pytest.raises(OutsideError):
        source.folder(["a", "..", "..", "secret"])


# Links.


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_links_end_where_they_do_in_a_folder(folder: Path, form: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    for name, target in {
        "in.dcm": "a/f.dcm",
        "chain.dcm": "in.dcm",
        "a/up.dcm": "../a/f.dcm",
        "out.dcm": "../secret",
        "absolute.dcm": str(tmp_path / "secret"),
        "device.dcm": "/dev/zero",
        "gone.dcm": "nothing.dcm",
        "folder.dcm": "a",
        "annex.dcm": "../.git/annex/objects/x",
        "through.dcm": "folder.dcm/f.dcm",
        "loop.dcm": "loop.dcm",
    }.items():
        (folder / name).symlink_to(target)
    plain, source = open_source(folder), open_source(packed(folder, form))
    assert shown(source) == shown(plain)
    for found, expected in zip(source.tree().items, plain.tree().items, strict=True):
        if expected.readable:
            assert found.digest() == expected.digest()
        else:
            assert refusal(found) == "permission denied"


def test_a_hard_link_of_a_tar_is_the_file_that_it_names(folder: Path) -> None:
    os.link(folder / "a" / "f.dcm", folder / "a" / "z.dcm")
    path = packed(folder, "tar")
    with tarfile.open(path) as packed_up:
        assert any(one.islnk() for one in packed_up)
    assert item(open_source(path), "a/z.dcm").read(0, 9) == CONTENT[:9]


# What is refused.


def test_names_that_lead_out_are_counted_and_nothing_more(tmp_path: Path, profile: Profile) -> None:
    names = ["../up.dcm", "/etc/passwd", "a/../../up.dcm", "C:/up.dcm", "..\\up.dcm"]
    path = zipped(tmp_path / "x.zip", dict.fromkeys([*names, "a/f.dcm", "b/f.dcm"], b"x"))
    assert [one.path for one in open_source(path).tree().items] == ["a/f.dcm", "b/f.dcm"]
    expected = "5 members of the archive were not read: their names lead out of it"
    assert find_release(path, profile).limits == (expected,)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as made:
        for name in ("a/f.dcm", "b/f.dcm", "a/./f.dcm", "c", "c/f.dcm"):
            made.writestr(name, b"x")
    source = open_source(path)
    assert refusal(item(source, "a/f.dcm")) == refusal(item(source, "c")) == "the archive has several files of its name"
    assert item(source, "b/f.dcm").read(0, 9) == item(source, "c/f.dcm").read(0, 9) == b"x"


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a/f.dcm": b"secret", "b/f.dcm": b"plain"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    source = open_source(path)
    assert refusal(item(source, "a/f.dcm")) == "it is encrypted in the archive"
    assert item(source, "b/f.dcm").read(0, 9) == b"plain"


def test_a_member_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    path = zipped(tmp_path / "x.zip", {"a.dcm": bytes(100_000), "b.dcm": bytes(900), "c.dcm": CONTENT})
    found = open_source(path).tree().items
    assert [(one.problem, one.readable) for one in found] == [("too-large", False), (None, True), (None, True)]
    assert re.fullmatch(
        "[0-9]+ bytes of the archive unpack to 100,000; [0-9,]+ at most are read", found[0].detail or ""
    )
    monkeypatch.setattr(limits, "MEMBER_BYTES", 30_000)
    plain = zipped(tmp_path / "y.zip", {"a.dcm": CONTENT, "b.dcm": b""}, zipfile.ZIP_STORED)
    assert open_source(plain).tree().items[0].problem == "too-large"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_told_by_its_checksum(tmp_path: Path, method: int) -> None:
    path = zipped(tmp_path / "x.zip", {"a/f.dcm": CONTENT, "b/f.dcm": CONTENT}, method)
    content = bytearray(path.read_bytes())
    content[20_000] ^= 255
    path.write_bytes(content)
    source = open_source(path)
    assert refusal(item(source, "a/f.dcm")) == "it is damaged in the archive"
    assert item(source, "b/f.dcm").digest()[1] == len(CONTENT)


def test_a_tar_that_is_cut_short(folder: Path, profile: Profile) -> None:
    path = packed(folder, "tar")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(CONTENT[:64]) + 30_000])
    found = find_release(path, profile)
    assert found.limits == ("the archive is cut short: what else was in it was not read",)
    assert refusal(item(found.source, "a/f.dcm")) == "the archive ends within it"


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_changed_bytes_never_end_in_anything_else(folder: Path, form: str, data: st.DataObject) -> None:
    where = folder.parent / f"as-{form}-folder"
    path = where / "changed" / f"release.{form.removeprefix('stored.')}"
    if not where.exists():
        packed(folder, form)
        path.parent.mkdir()
    content = bytearray((where / path.name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        source = open_source(path)
    except ReleaseError:
        return
    for one in source.tree().items:
        try:
            assert one.digest()[1] == one.size
        except OSError:
            continue


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_an_archive_that_was_changed_since_is_not_read(folder: Path, form: str) -> None:
    path = packed(folder, form)
    found = item(open_source(path), "a/f.dcm")
    with path.open("ab") as stream:
        stream.write(b"x")
    # As another process would open it.
    archive._zip.cache_clear()
    assert refusal(found) == "the archive was changed since it was listed"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.zip", b"no archive", "is no archive, or a damaged one"),
        ("x.tar", b"no archive" * 100, "is no archive, or a damaged one"),
        ("x.tgz", b"\x1f\x8b\x08\x00damaged", "is no archive, or a damaged one"),
        ("x.7z", b"7z\xbc\xaf\x27\x1c", "is an archive of a kind that is not read: unpack it"),
        ("x.gz", b"\x1f\x8b", "is an archive of a kind that is not read: unpack it"),
    ],
)
def test_what_is_no_archive_is_said_so(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReleaseError, match=says):
        open_source(tmp_path / name)


# Compressed archives.


def test_the_temporary_file_goes_with_what_needs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    first = open_source(packed(folder, "tgz"))
    again = open_source(first.path) if isinstance(first, Archive) else None
    assert again == first
    assert len(list(room.iterdir())) == 1
    open_source(packed(folder, "tar.xz"))
    assert len(list(room.iterdir())) == 1
    spool.release()
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("limit", ["MEMBER_RATIO", "SPOOL_FREE"])
def test_what_inflates_to_too_much_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    path = packed(folder, "tgz")
    monkeypatch.setattr("tempfile.tempdir", str(room))
    monkeypatch.setattr(limits, "FREE_BYTES", 0)
    monkeypatch.setattr(limits, limit, {"MEMBER_RATIO": 1, "SPOOL_FREE": 1 << 62}[limit])
    says = {"MEMBER_RATIO": "inflates to more than 1 times its size", "SPOOL_FREE": "no room for what it inflates to"}
    with pytest.raises(ReleaseError, match=says[limit]):
        open_source(path)
    assert list(room.iterdir()) == []
