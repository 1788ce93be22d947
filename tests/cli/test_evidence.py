"""`crlm-qc evidence`: parts on the command line, and what it exits with."""

import shutil
from pathlib import Path

import pytest
from support.commands import Run, calling
from support.releases import clean_release, copy_release

from crlm_qc.auditing import memory
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

FAST = ("--depth", "headers", "--jobs", "1", "--no-cache")


@pytest.fixture(scope="module")
def place(clean_release: SyntheticRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a release, whose parts are read by the first test that asks for them."""
    folder = tmp_path_factory.mktemp("place")
    copy_release(clean_release, folder / "RELEASE")
    return folder


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(place)
    monkeypatch.setattr(memory, "GRAIN_NS", 0)

    return calling(capsys)


@pytest.fixture
def parts(run: Run, place: Path) -> list[str]:
    for number in (1, 2):
        if not (place / f"parts/{number}").exists():
            assert run("evidence", "read", "RELEASE", "--part", f"{number}/2", "-o", f"parts/{number}", *FAST)[0] == 0
    return ["parts/1", "parts/2"]


def test_a_part_is_read_and_told(run: Run, place: Path) -> None:
    code, out, err = run("evidence", "read", "RELEASE", "--part", "1/3", "-o", "one", *FAST)
    assert (code, out, err) == (0, "part 1/3: 1 of 3 patients read\npart: one\n", "")
    assert run("evidence", "read", "RELEASE", "--part", "2/3", "--out", "two", "-q", *FAST) == (0, "", "")
    assert (place / "two/evidence.json").is_file()


def test_parts_are_merged(run: Run, parts: list[str]) -> None:
    code, out, _ = run("evidence", "merge", *parts, "-o", "evidence")
    assert code == 0
    assert out == "2 parts: 3 patients\nevidence: evidence\nto judge: crlm-qc check evidence\n"
    assert run("check", "evidence", "--subset", "--depth", "headers", "-qq", "--pictures", "none")[0] == 0
    assert run("evidence", "merge", *parts, "-o", "evidence", "-q") == (0, "", "")


def test_what_is_missing_must_be_allowed(run: Run, parts: list[str]) -> None:
    code, out, err = run("evidence", "merge", parts[0], "-o", "less")
    assert (code, out) == (2, "")
    assert err.startswith("crlm-qc: part 2 of 2 is missing: crlm-qc evidence read RELEASE --part 2/2 --out FOLDER")
    code, out, err = run("evidence", "merge", parts[0], "-o", "less", "--allow-missing")
    assert code == 0
    assert "not read: part 2 of 2 is missing" in err
    code, out, _ = run("check", "less", "--depth", "headers", "--pictures", "none")
    assert code == 3
    assert "not read: part 2 of 2 is missing" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("read", "RELEASE", "--part", "3/2", "-o", "x"), "--part 3/2: no part: give K/N"),
        (("read", "RELEASE", "-o", "x"), "Missing option '--part'"),
        (("read", "RELEASE", "--part", "1/2"), "nothing would be kept of what is read: give a folder, --out FOLDER"),
        (("read", "RELEASE", "--part", "1/2", "-o", "RELEASE/x"), "lies in the release, which is never written to"),
        (("read", "nowhere", "--part", "1/2", "-o", "x"), "nowhere"),
        (("read", "parts/1", "--part", "1/2", "-o", "x"), "parts/1 is saved evidence: --part is of a release"),
        (
            ("read", "RELEASE", "--part", "1/2", "-o", "x", "--listing", "index.csv"),
            "--listing says what lies at a URL",
        ),
        (("merge", "-o", "x"), "Missing argument"),
        (("merge", "nowhere", "-o", "x"), "nowhere holds no part that crlm-qc evidence read wrote"),
        (("merge", "parts/1", "parts/2", "-o", "parts/1"), "parts/1 is one of the parts"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], said: str, run: Run, parts: list[str], place: Path) -> None:
    more = ("--no-cache",) if words[0] == "read" else ()
    code, _, err = run("evidence", *words, *more)
    assert code == 2
    assert said in " ".join(err.split())
    assert not (place / "x").exists()


def test_check_takes_a_part_and_a_lock_file_is_no_cache(run: Run, parts: list[str], place: Path) -> None:
    shutil.rmtree(place / "audited", ignore_errors=True)
    asked = ("check", "RELEASE", "--part", "1/2", *FAST, "-qq", "--pictures", "none")
    assert run(*asked, "--evidence", "audited")[0] == 0
    assert run("evidence", "merge", "audited", parts[1], "-o", "both", "-q")[0] == 0
    code, _, err = run(*asked, "--attest", "record.json")
    assert code == 2
    assert "--attest is of a whole release: leave out --part" in err
    run("lock", "RELEASE", "--lock", "release.lock")
    code, _, err = run("evidence", "read", "RELEASE", "--part", "1/2", "--cache", "cache", "--lock", "release.lock")
    assert code == 2
    assert "nothing would be kept" in err


def test_the_cache_alone_may_be_filled(run: Run) -> None:
    asked = ("evidence", "read", "RELEASE", "--depth", "headers", "--jobs", "1", "--cache", "cache")
    assert run(*asked, "--part", "1/1") == (0, "part 1/1: 3 of 3 patients read\n", "")
    code, out, _ = run(*asked, "--part", "1/2")
    assert code == 0
    assert "patients from the cache" in out or "patient from the cache" in out


def test_no_configuration_says_where_a_part_goes(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of reports is none of parts."""
    monkeypatch.setenv("CRLM_QC_OUT", "elsewhere")
    monkeypatch.setenv("CRLM_QC_PART", "7/9")
    assert run("evidence", "read", "RELEASE", "--part", "1/2", "-o", "here", "-q", *FAST)[0] == 0
    assert not (place / "elsewhere").exists()
    assert (place / "here/evidence.json").is_file()
