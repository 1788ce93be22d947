"""The contact sheet of a release, from the outside."""

import re
import shutil
from pathlib import Path

import pydicom
import pytest
from support import reports
from support.pictures import content, illustrated
from support.releases import clean_release, copy_release

from crlm_qc.cli import app as cli
from crlm_qc.model.picture import Picture, no_picture
from crlm_qc.pictures import make
from crlm_qc.pictures.sheet import fitted
from crlm_qc.report.html.sheet import render
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

PATIENTS = ["CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003"]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def sheet(*arguments: object) -> tuple[int, str]:
    code = run("pictures", *arguments, "--contact-sheet", "-o", "out", "-j", 1)
    return code, Path("out/contact-sheet.html").read_text(encoding="utf-8")


def tiles(page: str) -> dict[str, str]:
    parts = re.split(r'<article class="tile" id="p-([^"]+)"', page)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture
def release(clean_release: SyntheticRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SyntheticRelease:
    monkeypatch.chdir(tmp_path)
    return copy_release(clean_release, tmp_path / "release")


def test_one_image_of_every_patient_and_what_is_known_of_it(
    release: SyntheticRelease, capsys: pytest.CaptureFixture[str]
) -> None:
    code, page = sheet(release.root, "--no-cache")
    assert code == 0
    assert capsys.readouterr().out == "out/contact-sheet.html  3 patients, 3 images\n"
    shown = tiles(page)
    assert list(shown) == PATIENTS
    for patient, tile in shown.items():
        assert tile.count("data:image/webp;base64,") == 1
        assert f'href="#p-{patient}">{patient}</a>' in tile
        assert 'class="contour liver"' in tile
        slices = len(list(release.root.rglob(f"{patient}/**/*.dcm"))) - 1
        assert re.search(rf"<figcaption>{slices} slices, spacing [0-9.]+ mm, liver [0-9,]+ mL<br>Instance", tile)
    assert "<script" not in page
    assert "report.html" not in page, "there is none"
    assert not re.search(r"""(src|href)="(?!data:|#)""", page), "nothing but the page itself"
    assert "default-src &#39;none&#39;; img-src data:;" in page
    assert "script-src" not in page


def test_it_lies_beside_the_report_and_links_to_it(release: SyntheticRelease) -> None:
    Path("reports/release").mkdir(parents=True)
    Path("reports/release/report.html").touch()
    assert run("pictures", release.root, "--contact-sheet", "--no-cache") == 0
    page = Path("reports/release/contact-sheet.html").read_text(encoding="utf-8")
    assert all(f'href="report.html#p-{patient}"' in tile for patient, tile in tiles(page).items())


def test_nothing_is_shown_of_a_series_with_text_in_any_image_and_every_gap_is_told(
    release: SyntheticRelease, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the image of the middle is marked, which alone would be read, but the first."""
    images = sorted(release.root.rglob("CRLM-CT-1001/**/*.dcm"))
    ct = [path for path in images if pydicom.dcmread(path, stop_before_pixels=True).Modality == "CT"]
    marked = pydicom.dcmread(ct[0])
    marked.BurnedInAnnotation = "YES"
    marked.save_as(ct[0])
    for folder in {
        path.parent
        for path in release.root.rglob("CRLM-CT-1002/**/*.dcm")
        if pydicom.dcmread(path, stop_before_pixels=True).Modality == "CT"
    }:
        shutil.rmtree(folder)
    code, page = sheet(release.root, "--no-cache")
    assert code == 3
    shown = tiles(page)
    assert [patient for patient, tile in shown.items() if "data:image" in tile] == ["CRLM-CT-1003"]
    assert "may show what identifies a person (DID007, DID008)" in shown["CRLM-CT-1001"]
    assert "there is no CT series to show" in shown["CRLM-CT-1002"]
    assert "3 patients, 1 image<" in page
    said = capsys.readouterr().err
    assert "no picture of CRLM-CT-1001: the images may show" in said
    assert "no picture of CRLM-CT-1002: there is no CT series" in said


def test_what_was_drawn_is_remembered_and_processes_make_no_difference(
    release: SyntheticRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crlm_qc.auditing import memory

    monkeypatch.setattr(memory, "GRAIN_NS", 0)
    drawn, draw = [], make.draw_patient

    def watched(job: make.Job) -> make.Made:
        drawn.append(job.requests[0].patient)
        return draw(job)

    with monkeypatch.context() as patched:
        patched.setattr(make, "draw_patient", watched)
        first = sheet(release.root, "--cache", "cache")
        assert drawn == PATIENTS
        assert sheet(release.root, "--cache", "cache") == first
        assert drawn == PATIENTS
    assert run("pictures", release.root, "--contact-sheet", "-o", "two", "-j", 2, "--no-cache") == 0
    assert Path("two/contact-sheet.html").read_text(encoding="utf-8") == first[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("CRLM-CT-1001", "--contact-sheet"), "--contact-sheet is of all patients: leave out PATIENT"),
        (("--contact-sheet", "--segment", "Liver"), "leave out PATIENT and --segment"),
        ((), "Give PATIENT, a patient ID, or --contact-sheet"),
        (("--contact-sheet", "--out", "release/here"), "never written to"),
    ],
)
def test_wrong_usage(
    release: SyntheticRelease, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run("pictures", release.root, *arguments) == 2
    assert said in capsys.readouterr().err


def made(count: int) -> tuple[list[Picture], dict[str, bytes]]:
    one = next(picture for picture in illustrated()[0].pictures if picture.file)
    names = [f"P-{number:02}-1.webp" for number in range(count)]
    pictures = [
        Picture(**{**{name: getattr(one, name) for name in one.__slots__}, "patient": name[:4], "file": name})
        for name in names
    ]
    return [*pictures, no_picture("P-99", (), "it is none")], {name: content(at) for at, name in enumerate(names)}


def size(pictures: object, files: object) -> int:
    return len(render(reports.sample(), pictures, files).encode())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("room", "all_left", "said"),
    [
        (1.0, True, ""),
        (0.6, True, "Pictures are 256"),
        (0.25, True, "Pictures are 160"),
        (0.08, False, "Pictures are 160"),
    ],
)
def test_a_sheet_is_cut_to_size_and_every_cut_is_named(room: float, all_left: bool, said: str) -> None:
    pictures, files = made(8)
    empty = size(pictures, {})
    limit = empty + int(room * (size(pictures, files) - empty))
    cut, kept, notes = fitted(pictures, files, size, limit)
    assert size(cut, kept) <= limit
    assert [one.patient for one in cut] == [one.patient for one in pictures]
    assert [one.file for one in cut if one.file] == list(kept)
    assert " ".join(notes).startswith(said)
    if said:
        assert "to keep the page under" in notes[0]
    lost = len(files) - len(kept)
    assert (lost == 0) is all_left
    assert kept, "as many as there is room for"
    if lost:
        assert notes[-1].startswith(f"The last {lost} of 8 pictures are left out, to keep")
        assert [one.reason.partition(" to ")[0] for one in cut[:-1]] == [""] * len(kept) + ["left out"] * lost
    assert cut[-1].reason == "it is none"


def test_every_value_is_escaped() -> None:
    pictures = [no_picture(reports.HOSTILE, (), reports.HOSTILE)]
    page = render(reports.sample(), pictures, {}, notes=[reports.HOSTILE])
    assert reports.HOSTILE not in page
    assert "<script" not in page
