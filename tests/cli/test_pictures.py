"""Pictures on the command line, from the outside."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from support.releases import clean_release, copy_release

from crlm_qc.cli import app as cli
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture
def release(clean_release: SyntheticRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    copied = copy_release(clean_release, tmp_path / "release")
    plant(copied, "masks-mirrored:CRLM-CT-1002")
    return copied.root


def test_check_writes_them_and_report_builds_the_page_again(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1669817128")
    assert run("check", release, "--subset", "--out", "one", "-j", "1", "-o", "html-dir:dir") == 1
    assert run("check", release, "--subset", "--out", "two", "-j", "2") == 1
    names = sorted(path.name for path in Path("one/pictures").iterdir())
    assert names == ["CRLM-CT-1002-1.webp", "CRLM-CT-1002-2.webp"]
    assert sorted(path.name for path in Path("dir/pictures").iterdir()) == names
    for name in ("findings.json", "report.html", *(f"pictures/{name}" for name in names)):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert Path("one/report.html").read_text(encoding="utf-8").count("data:image/webp") == 2
    shutil.rmtree(release)
    assert run("report", "one/findings.json", "-o", "html:again.html") == 0
    assert Path("again.html").read_bytes() == Path("one/report.html").read_bytes()
    capsys.readouterr()
    shutil.rmtree("one/pictures")
    assert run("report", "one/findings.json", "-o", "html:again.html") == 0
    assert "2 pictures can't be shown" in capsys.readouterr().err
    assert Path("again.html").read_text(encoding="utf-8").count("its file was not found") == 2


def test_none_all_and_depth(release: Path) -> None:
    assert run("check", release, "--subset", "--out", "out", "--pictures", "all") == 1
    assert len(list(Path("out/pictures").iterdir())) == 4
    assert run("check", release, "--subset", "--out", "out", "--pictures", "none") == 1
    assert list(Path("out/pictures").iterdir()) == []
    assert json.loads(Path("out/findings.json").read_bytes())["pictures"] == []
    run("check", release, "--subset", "--out", "out", "--pictures", "all", "--depth", "headers", "--force")
    raw = json.loads(Path("out/findings.json").read_bytes())
    assert raw["picture_notes"] == ["No pictures: at depth headers no image is read."]


def test_saved_evidence_says_that_it_holds_no_images(release: Path) -> None:
    run("check", release, "--subset", "--out", "out", "--evidence", "evidence", "--pictures", "none")
    run("check", "evidence", "--subset", "--out", "out")
    assert "saved evidence" in json.loads(Path("out/findings.json").read_bytes())["picture_notes"][0]


def test_pictures_of_a_patient(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pictures", release, "CRLM-CT-1001") == 0
    written = sorted(Path("reports/release/CRLM-CT-1001").iterdir())
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(written) > 2
    assert said[-1].startswith(f"{written[-1]}  Coronal reformat. ")
    for path in written:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert max(image.size) == 768


def test_pictures_of_a_segment(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every slice of it; the segment is named by its label, in any case, or by its number."""
    assert run("pictures", release, "CRLM-CT-1001", "--segment", "Liver", "--out", "liver") == 0
    slices = len(list(Path("liver").iterdir()))
    assert f"Liver, slice {slices} of {slices}" in capsys.readouterr().out
    for asked in ("Tumor_1", "tumor_1", "5"):
        assert run("pictures", release, "CRLM-CT-1001", "--segment", asked, "--out", asked) == 0
    named, otherwise, numbered = ({path.name for path in Path(one).iterdir()} for one in ("Tumor_1", "tumor_1", "5"))
    assert named == otherwise == numbered
    assert 0 < len(named) < slices


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("CRLM-CT-1009",), "no patient CRLM-CT-1009 in release (did you mean"),
        (("CRLM-CT-1001", "--segment", "Tumor_9"), "CRLM-CT-1001 has no such segment: did you mean Tumor_"),
        (("CRLM-CT-1001", "--segment", "spleen"), "has no such segment. It has Liver"),
        (("CRLM-CT-1001", "--out", "release/here"), "never written to"),
    ],
)
def test_wrong_usage(release: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str) -> None:
    assert run("pictures", release, *arguments) == 2
    assert said in capsys.readouterr().err


def test_what_must_not_be_shown(release: Path, clean_release: SyntheticRelease, tmp_path: Path, capsys) -> None:
    copied = copy_release(clean_release, tmp_path / "burned")
    plant(copied, "burned-in:CRLM-CT-1001")
    assert run("pictures", copied.root, "CRLM-CT-1001", "--out", "out") == 3
    assert "Burned In Annotation" in capsys.readouterr().err
    assert not Path("out").exists()
