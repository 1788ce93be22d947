"""The cache on the command line: the same outputs with and without, and `crlm-qc cache`."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from support.releases import clean_release, copy_release

from crlm_qc.auditing import memory
from crlm_qc.cache.store import Store
from crlm_qc.cli import app as cli
from crlm_qc.pictures import make
from crlm_qc.report import FORMATS
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

PLAIN = "nothing of the cache"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    # Files that the tests have just written have been left alone for long.
    monkeypatch.setattr(memory, "GRAIN_NS", 0)

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().out

    return call


def written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_use(files: dict[str, bytes], said: str) -> dict[str, bytes]:
    """Outputs but for what they say of the cache."""
    return {name: content.replace(f"; {said}".encode(), b"") for name, content in files.items() if name != "run.json"}


def test_all_formats_pictures_and_the_exit_code_are_the_same(
    clean_release: SyntheticRelease, run: Run, tmp_path: Path
) -> None:
    release = copy_release(clean_release, tmp_path / "Release").root
    formats = [word for name in FORMATS if name != "text" for word in ("-o", name)]
    asked = ["--subset", "--depth", "masks", "--select", "CTS,SEG,MET", "--pictures", "all", "--jobs", 1]

    def check(out: str, *more: object) -> tuple[int, str]:
        each = [word if word == "-o" else f"{word}:{out}/{word}.out" for word in formats]
        return run("check", release, "--out", out, *asked, *each, *more)

    plain = check("plain", "--no-cache")
    first = check("first", "--cache", "cache")
    again = check("again", "--cache", "cache")
    next(release.rglob("CRLM-CT-1002/**/*.dcm")).touch()
    part = check("part", "--cache", "cache")
    assert {plain[0], first[0], again[0], part[0]} == {plain[0]}
    files = written(tmp_path / "plain")
    assert any(name.startswith("pictures/") for name in files)
    for name, patients in (("first", 0), ("again", 3), ("part", 2)):
        told = json.loads((tmp_path / name / "run.json").read_bytes())["cache"]
        used = told and f"{told['patients']} of 3 patients from the cache, read {told['oldest']} or later"
        assert (told["patients"] if told else 0) == patients
        found = written(tmp_path / name)
        assert without_use(found, used or PLAIN) == without_use(files, PLAIN)
    assert "3 of 3 patients from the cache" in again[1]
    assert "cache" not in plain[1]


def test_an_option_overrules_a_variable(
    clean_release: SyntheticRelease, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["check", clean_release.root, "--depth", "headers", "--select", "MAN", "--jobs", 1, "--out", "out"]
    monkeypatch.setenv("CRLM_QC_CACHE_DIR", "named")
    monkeypatch.setenv("CRLM_QC_NO_CACHE", "1")
    run(*asked)
    assert not (tmp_path / "named").exists()
    run(*asked, "--cache", "chosen")
    assert (tmp_path / "chosen").is_dir()
    monkeypatch.delenv("CRLM_QC_NO_CACHE")
    run(*asked)
    assert (tmp_path / "named").is_dir()


def test_a_cache_in_the_release_is_refused(clean_release: SyntheticRelease, run: Run) -> None:
    assert run("check", clean_release.root, "--cache", clean_release.root / "cache", "--out", "out")[0] == 2


def test_the_command_tells_and_clears(clean_release: SyntheticRelease, run: Run, tmp_path: Path) -> None:
    assert run("cache", "where", "--cache", "cache") == (0, "cache\n")
    assert run("cache", "--cache", "cache")[1].startswith("0 entries (0.0 MB) in cache")
    run("check", clean_release.root, "--depth", "headers", "--select", "MAN", "--out", "out", "--cache", "cache")
    told = run("cache", "--cache", "cache")[1]
    assert told.startswith("4 entries (")
    assert told.endswith(": 3 reads, 0 pictures, 1 verdicts\n")
    assert int(run("cache", "size", "--cache", "cache")[1]) > 1000
    assert run("cache", "prune", "--cache", "cache")[1].startswith("0 entries")
    assert run("cache", "prune", "--megabytes", 0, "--cache", "cache")[1].startswith("4 entries")
    assert run("cache", "clear", "--cache", "cache")[1].startswith("0 entries")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Patients of whom pictures are drawn."""
    patients: list[str] = []
    draw = make.draw_patient

    def watched(job: make.Job) -> make.Made:
        patients.append(job.requests[0].patient)
        return draw(job)

    monkeypatch.setattr(make, "draw_patient", watched)
    return patients


def test_pictures_are_drawn_anew_of_a_patient_whose_files_changed_and_of_no_other(
    clean_release: SyntheticRelease, run: Run, tmp_path: Path, drawn: list[str]
) -> None:
    release = copy_release(clean_release, tmp_path / "Release").root

    def check(out: str, *more: object) -> dict[str, bytes]:
        asked = ["--subset", "--depth", "masks", "--select", "CTS", "--pictures", "all", "--jobs", 1, *more]
        drawn.clear()
        run("check", release, "--out", out, *asked)
        return written(tmp_path / out / "pictures")

    plain = check("plain", "--no-cache")
    assert plain
    every = list(drawn)
    assert check("first", "--cache", "cache") == plain
    assert drawn == every
    next(release.rglob("CRLM-CT-1002/**/*.dcm")).touch()
    assert check("touched", "--cache", "cache") == plain
    assert drawn == ["CRLM-CT-1002"]
    # What was drawn is the same whatever rules ran, as long as pictures show none of their findings.
    assert check("more", "--ignore", "CTS014", "--cache", "cache") == plain
    assert drawn == []


def test_pictures_on_request_are_drawn_once_and_make_room(
    clean_release: SyntheticRelease, run: Run, tmp_path: Path, drawn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = copy_release(clean_release, tmp_path / "Release").root
    asked = ["pictures", release, "CRLM-CT-1001", "--cache", "cache", "--out"]
    first, again = run(*asked, "first"), run(*asked, "again")
    assert (first[0], again[0], drawn) == (0, 0, ["CRLM-CT-1001"])
    assert written(tmp_path / "first") == written(tmp_path / "again") != {}
    run("pictures", release, "CRLM-CT-1001", "--segment", "Liver", "--cache", "cache", "--out", "liver")
    assert len(drawn) == 2
    pruned = mock.Mock()
    monkeypatch.setattr(Store, "prune", pruned)
    run("pictures", release, "CRLM-CT-1002", "--cache", "cache", "--out", "other")
    pruned.assert_called_once()
    next(release.rglob("CRLM-CT-1001/**/*.dcm")).touch()
    run(*asked, "touched")
    assert drawn[2:] == ["CRLM-CT-1002", "CRLM-CT-1001"]
