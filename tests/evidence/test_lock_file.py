"""Lock files: their format, what is refused, and what of them is compared."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny

from crlm_qc.evidence import lock as module
from crlm_qc.evidence import patient as reader
from crlm_qc.evidence.collect import ReleaseError, collect
from crlm_qc.evidence.lock import Entry, LockError, lock_release, read_lock, render_lock
from crlm_qc.evidence.source import Folder, Item
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES, schema

COLLECTION = "Colorectal-Liver-Metastases"
HASH = "0123456789abcdef" * 4

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join).filter(lambda path: path[1:3] not in (":\\", ":/"))
entries = st.lists(
    st.builds(
        Entry, paths, st.binary(max_size=4).map(lambda raw: hashlib.sha256(raw).hexdigest()), st.integers(0, 9**9)
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda entry: entry.path,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "release"
    for number in (1001, 1002):
        one = [tiny.ct_slice(index) for index in range(2)]
        masks = tiny.segmentation([])
        for image in (*one, masks):
            image.PatientID = f"CRLM-CT-{number}"
        tiny.write_patient(root / COLLECTION / f"CRLM-CT-{number}", one, masks)
    (root / "readme.md").write_text("x", encoding="utf-8")
    (root / ".DS_Store").write_text("x", encoding="utf-8")
    return root


def lock_to(path: Path, root: Path, profile) -> Path:
    path.write_bytes(render_lock(lock_release(root, profile).entries))
    return path


def put(folder: Path, content: str | bytes) -> Path:
    path = folder / "given.lock"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@given(found=entries)
def test_what_is_written_is_read(found: list[Entry], tmp_path_factory: pytest.TempPathFactory) -> None:
    content = render_lock(found)
    assert content == render_lock(found[::-1])
    path = put(tmp_path_factory.getbasetemp(), content)
    assert read_lock(path) == tuple(sorted(found, key=lambda entry: entry.path))


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not installed")
def test_sha256sum_checks_it_and_writes_one(root, tmp_path, profile):
    for name in ("back\\slash", "line\nfeed", " blanks ", "#hash", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        (root / name).write_text(name, encoding="utf-8")
    lock = lock_to(tmp_path / "release.lock", root, profile)

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sha256sum", "-c", "--quiet", "--strict", lock], cwd=root, capture_output=True, text=True, check=False
        )

    done = check()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (root / "line\nfeed").write_text("changed", encoding="utf-8")
    assert check().returncode == 1
    (root / "line\nfeed").write_text("line\nfeed", encoding="utf-8")
    (root / ".DS_Store").unlink()

    listed = subprocess.run(
        "find . -type f -print0 | xargs -0 sha256sum", shell=True, cwd=root, capture_output=True, check=True
    ).stdout
    theirs = {(entry.path, entry.sha256) for entry in read_lock(put(tmp_path, listed))}
    assert theirs == {(entry.path, entry.sha256) for entry in read_lock(lock)}


def test_every_file_is_locked_but_those_that_systems_make(root, tmp_path, profile):
    series = next((root / COLLECTION / "CRLM-CT-1001").glob("*/2*"))
    (series / "inside.dcm").symlink_to(series / "1-01.dcm")
    (series / "outside.dcm").symlink_to(tmp_path / "secret")
    (series / "Thumbs.db").touch()
    found = lock_release(root, profile)
    files = [path for path in root.rglob("*") if path.is_file() and path.name not in (".DS_Store", "Thumbs.db")]
    assert {entry.path for entry in found.entries} == {path.relative_to(root).as_posix() for path in files}
    assert (found.left_out, found.unread) == (1, ())
    for entry in found.entries:
        content = (root / entry.path).read_bytes()
        assert (entry.sha256, entry.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_the_number_of_jobs_changes_no_lock(root, profile):
    calls = []
    alone = lock_release(root, profile)
    assert lock_release(root, profile, jobs=4, progress=lambda *call: calls.append(call)) == alone
    assert calls == [(module.HASHING, done, 7) for done in range(1, 8)]


def test_what_cannot_be_read_is_told(root, profile, monkeypatch):
    def refuse(item: Item) -> tuple[str, int]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Item, "digest", refuse)
    found = lock_release(root, profile)
    assert found.entries == ()
    assert len(found.unread) == 7


def test_a_name_that_is_no_unicode_is_refused(root, profile):
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.txt")).touch()
    with pytest.raises(LockError, match="1 file names are not valid UTF-8"):
        lock_release(root, profile)


@pytest.mark.parametrize(
    "line",
    [f"{HASH}  a/b.dcm", f"{HASH} *a/b.dcm", f"{HASH.upper()}  ./a//b.dcm", f"\\{HASH}  a/b.dcm", f"{HASH}  a/b.dcm\r"],
)
@pytest.mark.parametrize("start", ["", "\ufeff", "\n", "# a comment\n"])
def test_forms_that_are_read(tmp_path, line, start):
    for end in ("", "\n"):
        assert read_lock(put(tmp_path, start + line + end)) == (Entry("a/b.dcm", HASH, None),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "names no file"),
        ("# only this\n", "names no file"),
        ("hello\n", "line 1: not a SHA-256 of 64"),
        (f"{HASH}  a\n{HASH[1:]}  b\n", "line 2: not a SHA-256 of 64"),
        (f"{HASH}  a\n\n{HASH}\n", "line 3: not a SHA-256 of 64"),
        (f"SHA256 (a) = {HASH}\n", "line 1: not a SHA-256 of 64"),
        (f"{HASH}  a\n{HASH}  ./a\n", "line 2: the file of line 1 again"),
        (f"{HASH}  /etc/passwd\n", "line 1: the path leads outside"),
        (f"{HASH}  a/../../b\n", "line 1: the path leads outside"),
        (f"{HASH}  C:\\b\n", "line 1: the path leads outside"),
        (f"\\{HASH}  C:\\\\b\n", "line 1: the path leads outside"),
        (f"{HASH}  ./\n", "line 1: the path names no file"),
        (f"\\{HASH}  a\\tb\n", "line 1: a backslash is followed"),
        (f"\\{HASH}  a\\\n", "line 1: a backslash is followed"),
        (f"# files: 2\n{HASH}  a\n", "cut short or changed: of the number of files that it announces, 2, it lists 1"),
        (f"# files: 1\n{HASH}  a", "it announces, 1, it lists 0"),
        (f"{HASH}  a\n{HASH}  ".encode() + b"\xff\n", "line 2: a character is not UTF-8"),
        (b"\0" * 100, "line 1: not a SHA-256 of 64"),
    ],
)
def test_what_is_no_lock_file_is_refused_by_line(tmp_path, content, said):
    with pytest.raises(LockError, match=said) as caught:
        read_lock(put(tmp_path, content))
    assert "passwd" not in str(caught.value)
    assert "crlm-qc lock RELEASE" in str(caught.value)


def test_a_lock_file_that_is_not_there(tmp_path, monkeypatch):
    put(tmp_path, "x")
    with pytest.raises(ReleaseError, match=r"given\.lok not found \(did you mean given\.lock\?\)"):
        read_lock(tmp_path / "given.lok")
    with pytest.raises(LockError, match="can't be read: is a directory"):
        read_lock(tmp_path)
    monkeypatch.setattr(module, "_MAX_BYTES", 0)
    with pytest.raises(LockError, match="it is no lock file"):
        read_lock(tmp_path / "given.lock")


def paths_of(found: Evidence) -> set[str]:
    return set(found["lock"]["path"])


def test_files_are_hashed_where_a_lock_is_given_and_nothing_else_changes(root, tmp_path, profile):
    lock = lock_to(tmp_path / "release.lock", root, profile)
    for depth in Depth:
        plain = collect(root, profile, depth=depth, jobs=1)
        assert plain["lock"].empty
        assert plain["files"]["sha256"].isna().all()
        for jobs in (1, 2):
            found = collect(root, profile, depth=depth, jobs=jobs, lock=lock)
            for name in TABLES:
                schema(name).validate(found[name])
                if name not in ("files", "lock"):
                    assert found[name].equals(plain[name]), name
            assert found["files"].drop(columns="sha256").equals(plain["files"].drop(columns="sha256"))
            assert found.facts == plain.facts
            hashes = found["files"].set_index("path")["sha256"].dropna().to_dict()
            assert hashes == found["lock"].set_index("path")["sha256"].to_dict()
            assert hashes == {entry.path: entry.sha256 for entry in lock_release(root, profile).entries}


def test_broken_files_are_hashed_too(root, tmp_path, profile):
    series = next((root / COLLECTION / "CRLM-CT-1001").glob("*/2*"))
    (series / "1-01.dcm").write_bytes(b"")
    (series / "1-02.dcm").write_bytes((series / "1-02.dcm").read_bytes()[:300])
    (series / "LICENSE").write_text("x", encoding="utf-8")
    (series / "notes.txt").write_text("x", encoding="utf-8")
    lock = lock_to(tmp_path / "release.lock", root, profile)
    found = collect(root, profile, depth=Depth.PIXELS, jobs=1, lock=lock)["files"].set_index("name")
    assert found.loc["1-01.dcm", "sha256"].tolist()[0] == hashlib.sha256().hexdigest()
    assert found.loc[["1-02.dcm", "LICENSE", "notes.txt"], "sha256"].notna().all()
    assert found.drop(index=".DS_Store")["sha256"].notna().all()


def test_each_byte_of_a_patient_is_read_once(root, tmp_path, profile, monkeypatch):
    lock = lock_to(tmp_path / "release.lock", root, profile)
    opened: list[str] = []
    plain = Folder.open

    def counted(self: Folder, key: str):
        opened.append(key)
        return plain(self, key)

    monkeypatch.setattr(Folder, "open", counted)
    collect(root, profile, depth=Depth.PIXELS, jobs=1, lock=lock)
    images = [name for name in opened if name.endswith(".dcm")]
    assert len(images) == len(set(images)) == 6


def test_a_file_too_large_to_hold_is_hashed_all_the_same(root, tmp_path, profile, monkeypatch):
    lock = lock_to(tmp_path / "release.lock", root, profile)
    whole = collect(root, profile, depth=Depth.PIXELS, jobs=1, lock=lock)
    monkeypatch.setattr(reader, "HELD_BYTES", 100)
    parts = collect(root, profile, depth=Depth.PIXELS, jobs=1, lock=lock)
    for name in TABLES:
        assert parts[name].equals(whole[name]), name


def test_of_the_patients_asked_for_alone_the_lock_is_compared(root, tmp_path, profile):
    lock = lock_to(tmp_path / "release.lock", root, profile)
    shutil.rmtree(root / COLLECTION / "CRLM-CT-1002")
    assert any("CRLM-CT-1002" in path for path in paths_of(collect(root, profile, depth=Depth.HEADERS, lock=lock)))
    some = collect(root, profile, depth=Depth.HEADERS, patients=["CRLM-CT-1001"], jobs=1, lock=lock)
    assert len(paths_of(some)) == 4
    assert not any("CRLM-CT-1002" in path for path in paths_of(some))


def test_other_patients_on_disk_are_not_missing(root, tmp_path, profile):
    (root / COLLECTION / "CRLM-CT-1002").rename(root / COLLECTION / "odd")
    lock = lock_to(tmp_path / "release.lock", root, profile)
    some = collect(root, profile, depth=Depth.HEADERS, patients=["CRLM-CT-1001"], jobs=1, lock=lock)
    assert len(paths_of(some)) == 4


def test_a_folder_that_may_not_be_listed_is_not_compared(root, tmp_path, profile, monkeypatch):
    lock = lock_to(tmp_path / "release.lock", root, profile)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("CRLM-CT-1002"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1, lock=lock)
    assert not any("CRLM-CT-1002" in path for path in paths_of(found))
    assert len(found.facts.limits) == 1
    assert len(lock_release(root, profile).unread) == 1


def test_system_files_and_the_lock_itself_are_not_compared(root, tmp_path, profile):
    lock_to(tmp_path / "one.lock", root, profile)
    inside = root / "release.lock"
    inside.write_bytes(b"%s  .DS_Store\n" % HASH.encode() + (tmp_path / "one.lock").read_bytes().partition(b"\n")[2])
    inside.write_bytes(inside.read_bytes().replace(b"# files: 7\n", b"# files: 8\n"))
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1, lock=inside)
    assert ".DS_Store" not in paths_of(found)
    assert found["files"].set_index("path").loc[[".DS_Store", "release.lock"], "sha256"].isna().all()


def test_a_document_that_cannot_be_hashed_is_a_limit(root, tmp_path, profile, monkeypatch):
    lock = lock_to(tmp_path / "release.lock", root, profile)

    def refuse(item: Item) -> tuple[str, int]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Item, "digest", refuse)
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1, lock=lock)
    assert found.facts.limits == ("a file was not read: permission denied",)
