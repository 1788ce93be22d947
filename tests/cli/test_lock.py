"""`crlm-qc lock`, and `crlm-qc check --lock`: from bytes on disk to a finding."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run, calling
from support.releases import clean_release, copy_release

from crlm_qc.cli.lock import LISTED
from crlm_qc.evidence.source import Item
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

LOCK = Path("reports/release/release.lock")
Compare = Callable[..., list[tuple[str, str | None, str, int]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    return calling(capsys)


@pytest.fixture
def release(clean_release: SyntheticRelease, tmp_path: Path) -> SyntheticRelease:
    return copy_release(clean_release, tmp_path / "release")


@pytest.fixture
def compare(run: Run) -> Compare:
    """Run the check with the lock file, and give what REL015 found."""

    def call(*options: object, code: int) -> list[tuple[str, str | None, str, int]]:
        wanted = ("--select", "REL015", "--depth", "headers", "--jobs", 1, "--lock", LOCK, "--force", *options)
        assert run("check", "release", *wanted)[0] == code
        report = json.loads(Path("reports/release/findings.json").read_text(encoding="utf-8"))
        (outcome,) = [one for one in report["outcomes"] if one["rule"] == "REL015"]
        assert outcome["status"] == ("failed" if code else "passed")
        return [
            (one["severity"], one["patient"], one["subject"]["path"].rpartition("/")[2], one["count"])
            for one in report["findings"]
            if one["rule"] == "REL015"
        ]

    return call


def test_lock_and_check(release: SyntheticRelease, run: Run, compare: Compare) -> None:
    files = [path for path in release.root.rglob("*") if path.is_file()]
    code, out, err = run("lock", "release")
    assert (code, err) == (0, "")
    assert f"{len(files)} files locked, {sum(path.stat().st_size for path in files):,} bytes." in out
    assert f"crlm-qc check release --lock {LOCK}" in out
    assert sorted(path for path in release.root.rglob("*") if path.is_file()) == sorted(files)
    assert compare(code=0) == []

    (touched,) = plant(release, "bytes-changed")
    patient, name = release.patients[1], touched.rpartition("/")[2]
    assert compare(code=1) == [("error", patient, name, 1)]
    assert compare("--patients", patient, code=1) == [("error", patient, name, 1)]
    assert compare("--patients", release.patients[0], code=0) == []

    release.dso_file(release.patients[0]).unlink()
    (release.root / "notes.txt").write_text("x", encoding="utf-8")
    found = compare(code=1)
    assert [(who, count) for _, who, _, count in found] == [(None, 1), (release.patients[0], 1), (patient, 1)]


def test_the_same_release_gives_the_same_bytes(clean_release: SyntheticRelease, tmp_path: Path, run: Run) -> None:
    for place in ("a", "b"):
        copy_release(clean_release, tmp_path / place / "release")
    assert run("lock", "a/release", "--lock", "a.lock", "-j", 1)[0] == 0
    assert run("lock", "b/release", "--lock", "deep/b.lock", "-j", 3)[0] == 0
    assert Path("a.lock").read_bytes() == Path("deep/b.lock").read_bytes()
    assert str(tmp_path) not in Path("a.lock").read_text(encoding="utf-8")

    (tmp_path / "b/release/notes.txt").write_text("x", encoding="utf-8")
    reports = []
    for jobs in (1, 2):
        code, _, _ = run("check", "b/release", "--lock", "a.lock", "--depth", "headers", "-j", jobs, "--out", "out")
        assert code == 1
        reports.append(Path("out/findings.json").read_bytes())
    assert reports[0] == reports[1]


def test_another_lock_file_is_not_overwritten(release: SyntheticRelease, run: Run) -> None:
    assert run("lock", "release")[0] == 0
    before = LOCK.read_bytes()
    assert run("lock", "release")[0] == 0
    plant(release, "bytes-changed")
    code, _, err = run("lock", "release")
    assert code == 2
    assert "is there already and differs" in err
    assert LOCK.read_bytes() == before


def test_saved_evidence_keeps_the_comparison(release: SyntheticRelease, run: Run) -> None:
    run("lock", "release")
    plant(release, "bytes-changed")
    options = ("--select", "REL015", "--depth", "headers", "-j", 1)
    assert run("check", "release", "--lock", LOCK, "--evidence", "tables", *options)[0] == 1
    assert run("check", "tables", *options)[0] == 1
    for command in (("check", "tables", "--lock", LOCK), ("lock", "tables", "--lock", "x.lock")):
        code, _, err = run(*command)
        assert (code, err.count("\n")) == (2, 1)
        assert "saved evidence" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lock", "release", "--lock", "release/release.lock"], "lies in the release, which is never written to"),
        (["lock", "release", "--lock", "linked/x"], "Give a file elsewhere: --lock FILE"),
        (["lock", "release", "--lock", "folder"], "folder is a folder: give the file to write"),
        (["lock", "release", "--lock", "file/x.lock"], "file is a file"),
        (["lock", "releas"], "releas not found (did you mean release?)"),
        (["lock", "file"], "is a file, not a folder"),
        (["check", "release", "--lock", "none.lock"], "--lock none.lock not found"),
        (["check", "release", "--lock", "folder"], "--lock folder can't be read"),
        (["check", "release", "--lock", "file"], "file, line 2: not a SHA-256"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    for name in ("release", "folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "release")
    (tmp_path / "file").write_text("# a comment\nno lock\n", encoding="utf-8")
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert list((tmp_path / "release").iterdir()) == []
    assert not Path("reports").exists()


def test_nothing_there_is_no_lock(run: Run, tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    code, out, err = run("lock", "release")
    assert (code, out) == (4, "")
    assert "holds no file" in err
    assert not LOCK.exists()


def test_a_release_that_cannot_be_read_whole_is_not_locked(
    release: SyntheticRelease, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(item: Item) -> tuple[str, int]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Item, "digest", refuse)
    code, out, err = run("lock", "release")
    assert (code, out) == (3, "")
    assert "no lock file was written: not everything could be read, and " in err
    assert err.count("\n") == LISTED + 1
    assert not LOCK.exists()


def test_links_that_are_left_out_are_said(release: SyntheticRelease, run: Run, tmp_path: Path) -> None:
    (release.root / "link.txt").symlink_to(tmp_path / "outside.txt")
    code, out, _ = run("lock", "release")
    assert code == 0
    assert "1 link or device left out: see REL013 and REL007." in out
    assert "link.txt" not in LOCK.read_text(encoding="utf-8")
