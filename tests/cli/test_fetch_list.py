"""`crlm-qc fetch-list`: what is written, where, and what is said."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support import reports
from support.commands import Run, calling
from support.releases import clean_release, copy_release

from crlm_qc.evidence.manifest import read_manifest
from crlm_qc.evidence.source import local_file
from crlm_qc.model.settings import Settings
from crlm_qc.model.wholeness import ListedBy, ToFetch, Wholeness
from crlm_qc.report.json_format import render
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

UID = "1.3.6.1.4.1.14519.5.2.1.9203.8273.7"
WHOLE = Wholeness(ListedBy.LEDGER, partial=False, expected={"CT": 1, "SEG": 1}, whole={"CT": 1, "SEG": 1})
LACKING = replace(WHOLE, whole={"CT": 1, "SEG": 0}, to_fetch=(ToFetch(UID, "CRLM-CT-1003", "SEG", "absent"),))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    return calling(capsys, "fetch-list")


def entries(path: Path) -> list[str]:
    item = local_file(path)
    assert item is not None
    found = read_manifest(item)
    assert "problem" not in found["sources"][0]
    return [row["entry"] for row in found["manifest"]]


def saved(tmp_path: Path, wholeness: Wholeness | None, limits: tuple[str, ...] = ()) -> Path:
    path = tmp_path / "findings.json"
    path.write_bytes(render(replace(reports.sample(), settings=Settings(), wholeness=wholeness, limits=limits)))
    return path


def test_what_is_missing_becomes_a_manifest(run: Run, tmp_path: Path) -> None:
    code, out, err = run(saved(tmp_path, LACKING), "-o", "to fetch.tcia")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == [
        "Published series on disk: CT 1 of 1, SEG 0 of 1; 1 to fetch: CRLM-CT-1003 SEG.",
        "1 series to fetch: to fetch.tcia",
    ]
    lines = Path("to fetch.tcia").read_text(encoding="utf-8").splitlines()
    assert [line.partition("=")[0] for line in lines[:6]] == [
        "downloadServerUrl",
        "includeAnnotation",
        "noOfrRetry",
        "databasketId",
        "manifestVersion",
        "ListOfSeriesToDownload",
    ]
    assert "databasketId=to-fetch.tcia" in lines
    assert entries(Path("to fetch.tcia")) == [UID]


def test_nothing_to_fetch_is_no_file(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(saved(tmp_path, WHOLE))
    assert code == 0
    assert out == (
        "Published series on disk: CT 1 of 1, SEG 1 of 1: whole, to the byte.\nNothing to fetch: no file was written.\n"
    )
    assert not Path("missing.tcia").exists()


def test_where_no_list_tells_there_is_nothing_to_say(run: Run, tmp_path: Path) -> None:
    code, out, err = run(saved(tmp_path, None))
    assert (code, out) == (4, "")
    assert "neither published series nor a manifest or metadata.csv" in err


def test_what_could_not_be_read_is_said(run: Run, tmp_path: Path) -> None:
    code, _, err = run(saved(tmp_path, LACKING, ("folder x was not read",)))
    assert code == 3
    assert "not everything could be read" in err
    assert entries(Path("missing.tcia")) == [UID]


def test_another_manifest_is_not_written_over(run: Run, tmp_path: Path) -> None:
    path = saved(tmp_path, LACKING)
    Path("missing.tcia").write_text("downloadServerUrl=x\n", encoding="utf-8")
    code, _, err = run(path)
    assert code == 2
    assert "is there already" in err
    assert Path("missing.tcia").read_text(encoding="utf-8") == "downloadServerUrl=x\n"


def test_only_uids_get_into_a_manifest(run: Run, tmp_path: Path) -> None:
    path = saved(tmp_path, LACKING)
    raw = json.loads(path.read_bytes())
    raw["wholeness"]["to_fetch"].append({**raw["wholeness"]["to_fetch"][0], "series_uid": "1.2\nJane Doe"})
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert run(path)[0] == 0
    assert entries(Path("missing.tcia")) == [UID]


@pytest.mark.parametrize("options", [["-o", "missing.txt"], ["--subset"]])
def test_wrong_usage(run: Run, tmp_path: Path, options: list[str]) -> None:
    assert run(saved(tmp_path, LACKING), *options)[0] == 2


def test_a_release_is_compared_with_what_its_lists_say(
    run: Run, clean_release: SyntheticRelease, tmp_path: Path
) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    assert run("release", "--jobs", 1)[1] == "Nothing to fetch: no file was written.\n"
    files = release.ct_files(release.patients[0])
    files[-1].unlink()
    release.dso_file(release.patients[1]).unlink()
    code, out, _ = run("release", "--jobs", 1)
    assert code == 0
    assert out.startswith(
        "Series on disk, as the manifest lists: CT 2 of 3, SEG 2 of 3; 2 to fetch: "
        f"{release.patients[0]} CT ({len(files) - 1} of {len(files)} files) and {release.patients[1]} SEG.\n"
    )
    assert len(entries(Path("missing.tcia"))) == 2
    inside = run("release", "--jobs", 1, "-o", "release/missing.tcia")
    assert inside[0] == 2
    assert not (release.root / "missing.tcia").exists()
    shutil.make_archive("packed", "zip", release.root)
    assert run("packed.zip", "--jobs", 1, "-o", "another.tcia")[1].startswith(out.partition(";")[0])
    assert entries(Path("another.tcia")) == entries(Path("missing.tcia"))
