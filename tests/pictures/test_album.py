"""The pictures of a report: made once, cut to the page, kept as files."""

import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw
from support import deadly_pictures
from support.pictures import content, illustrated
from support.releases import clean_release, copy_release, small_profile

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.store import save
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.picture import UNITS, Frame, Picture, PictureMode
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.pictures import make
from crlm_qc.pictures.album import fitted, illustrate, load_files, page_size, stale_files
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

SMALL = ("tumour-annotated-twice:CRLM-CT-1001", "tumour-outside:CRLM-CT-1002", "image-mirrored:CRLM-CT-1003")
FAULTS = ("masks-mirrored:CRLM-CT-1001", "ct-slice-lost:CRLM-CT-1002", "masks-upside-down:CRLM-CT-1003")


def audited(root: Path, profile: Profile, depth: Depth = Depth.PIXELS) -> tuple[Report, Evidence]:
    held: list[Evidence] = []
    report = audit(root, settings=Settings(subset=True, depth=depth), profile=profile, jobs=1, on_evidence=held.append)
    return report, held[0]


@pytest.fixture(scope="module")
def faulty(
    clean_release: SyntheticRelease, small_profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Report, Evidence]:
    release = copy_release(clean_release, tmp_path_factory.mktemp("faulty") / "release")
    for fault in FAULTS:
        plant(release, fault)
    return release.root, *audited(release.root, small_profile)


def made(pictures: Iterable[Picture]) -> list[tuple[str, str]]:
    return [(picture.patient, picture.title) for picture in pictures if picture.file]


def test_every_fault_gets_its_pictures(faulty, small_profile: Profile) -> None:
    root, report, evidence = faulty
    found, files = illustrate(report, evidence, root, small_profile, PictureMode.AUTO)
    titles = made(found.pictures)
    assert ("CRLM-CT-1001", "Mirrored left-right") in titles
    assert ("CRLM-CT-1002", "Coronal reformat") in titles
    assert any(patient == "CRLM-CT-1002" and title.startswith("Gap of ") for patient, title in titles)
    assert any(patient == "CRLM-CT-1003" and "upside down" in title for patient, title in titles)
    assert [picture.file for picture in found.pictures] == list(files)
    gaps = [picture for picture in found.pictures if picture.gaps]
    assert {picture.patient for picture in gaps} == {"CRLM-CT-1002"}
    assert gaps[0].title == "Coronal reformat"
    assert all(picture.gaps[0].label in picture.alt for picture in gaps)
    assert {mark for picture in found.pictures for mark in picture.findings} <= {
        finding.fingerprint for finding in report.findings
    }
    assert replace(found, pictures=()) == report


@pytest.fixture(scope="module")
def small_faults(
    clean_release: SyntheticRelease, small_profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Report, Evidence]:
    release = copy_release(clean_release, tmp_path_factory.mktemp("small") / "release")
    for fault in SMALL:
        plant(release, fault)
    return release.root, *audited(release.root, small_profile)


def test_small_faults_are_enlarged_and_hatched(small_faults, small_profile: Profile) -> None:
    root, report, evidence = small_faults
    found, files = illustrate(report, evidence, root, small_profile, PictureMode.AUTO)
    assert [picture.file for picture in found.pictures] == list(files)
    for patient, words in (("CRLM-CT-1001", "share"), ("CRLM-CT-1002", "outside the liver's mask")):
        shown = [picture for picture in found.pictures if picture.patient == patient]
        (framed,) = [picture for picture in shown if picture.frame is not None]
        (enlarged,) = [picture for picture in shown if picture.title.endswith(", enlarged")]
        for picture in (framed, enlarged):
            assert [words in hatch.words for hatch in picture.hatches] == [True]
            assert picture.hatches[0].words in picture.alt
            assert f"Hatched: {picture.hatches[0].words}" in picture.caption
        assert framed.sides == enlarged.sides
        assert enlarged.bar_mm < framed.bar_mm
        assert max(map(len, files.values())) < 30_000


def test_image_and_mask_that_are_mirrored_stand_beside_themselves_turned(small_faults, small_profile: Profile) -> None:
    root, report, evidence = small_faults
    found, files = illustrate(report, evidence, root, small_profile, PictureMode.AUTO)
    stored, turned = [picture for picture in found.pictures if picture.patient == "CRLM-CT-1003"][:2]
    assert (stored.title, turned.title) == ("As stored", "Image and masks mirrored left-right")
    assert stored.sides == turned.sides
    with Image.open(BytesIO(files[stored.file])) as one, Image.open(BytesIO(files[turned.file])) as other:
        before, after = np.asarray(one.convert("L")).astype(int), np.asarray(other.convert("L")).astype(int)
    assert np.abs(before[:, ::-1] - after).mean() < 3
    for picture in (stored, turned):
        within = under(picture, files[picture.file])
        assert np.abs(within - np.median(within)).mean() < 12


@pytest.mark.parametrize("fault", ["faulty", "small_faults"])
def test_words_name_the_contours_that_are_drawn(request, small_profile: Profile, fault: str) -> None:
    root, report, evidence = request.getfixturevalue(fault)
    found, _ = illustrate(report, evidence, root, small_profile, PictureMode.AUTO)
    for picture in found.pictures:
        named = re.search(r"with the contours of (.*?)[.]", picture.alt)
        assert len(named[1].split(", ") if named else []) == len(picture.contours)


def under(picture: Picture, content: bytes) -> np.ndarray:
    """Grey of a picture within the contour of the liver."""
    (liver,) = [contour for contour in picture.contours if contour.role == "liver"]
    start, _, steps = liver.path.split("z")[0][1:].partition("l")
    points = np.array([*start.split(), *steps.split()], dtype=float).reshape(-1, 2).cumsum(axis=0) / UNITS
    with Image.open(BytesIO(content)) as image:
        mask = Image.new("1", image.size)
        ImageDraw.Draw(mask).polygon([tuple(point) for point in points.tolist()], fill=1)
        return np.asarray(image.convert("L"))[np.asarray(mask)]


def test_contours_lie_on_the_organ_where_the_masks_fit(faulty, small_profile: Profile) -> None:
    root, report, evidence = faulty
    found, files = illustrate(report, evidence, root, small_profile, PictureMode.AUTO)
    stored, better = (
        under(picture, files[picture.file or ""])
        for title in ("As stored", "Mirrored left-right")
        for picture in found.pictures
        if picture.patient == "CRLM-CT-1001" and picture.title == title
    )
    # Liver is 80 to 130 HU: some 140 to 170 of 255.
    assert 130 < np.median(better) < 185
    assert np.abs(better - np.median(better)).mean() < 12
    assert np.abs(stored - np.median(stored)).mean() > 25


@pytest.mark.parametrize("fault", ["faulty", "small_faults"])
def test_the_same_for_any_number_of_processes(request, small_profile: Profile, fault: str) -> None:
    root, report, evidence = request.getfixturevalue(fault)
    one = illustrate(report, evidence, root, small_profile, PictureMode.ALL, processes=1)
    two = illustrate(report, evidence, root, small_profile, PictureMode.ALL, processes=2)
    assert one == two


def test_a_dead_process_costs_no_more_than_its_patient(
    faulty, small_profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, report, evidence = faulty
    whole, _ = illustrate(report, evidence, root, small_profile, PictureMode.AUTO)
    monkeypatch.setattr(make, "draw_patient", deadly_pictures.dies)
    found, _ = illustrate(report, evidence, root, small_profile, PictureMode.AUTO, processes=2)
    assert len(found.pictures) == len(whole.pictures)
    for picture, before in zip(found.pictures, whole.pictures, strict=True):
        if picture.patient == deadly_pictures.VICTIM:
            assert (picture.file, picture.reason) == (None, "the process that drew it died")
        else:
            assert picture == before


def test_progress_is_told(faulty, small_profile: Profile) -> None:
    root, report, evidence = faulty
    told: list[tuple[str, int, int]] = []
    illustrate(report, evidence, root, small_profile, PictureMode.AUTO, progress=lambda *parts: told.append(parts))
    assert told == [("drawing pictures", done, 3) for done in (1, 2, 3)]


def test_a_clean_release_has_pictures_on_request_alone(clean_release: SyntheticRelease, small_profile: Profile) -> None:
    report, evidence = audited(clean_release.root, small_profile)
    assert illustrate(report, evidence, clean_release.root, small_profile, PictureMode.AUTO) == (report, {})
    assert illustrate(report, evidence, clean_release.root, small_profile, PictureMode.NONE) == (report, {})
    found, files = illustrate(report, evidence, clean_release.root, small_profile, PictureMode.ALL)
    assert len(files) == len(found.pictures) == 3


def test_a_series_with_burned_in_text_gets_one_box(faulty, small_profile: Profile, tmp_path: Path) -> None:
    root, report, evidence = faulty
    shutil.copytree(root, tmp_path / "release")
    paths = evidence["slices"].loc[evidence["slices"]["patient"] == "CRLM-CT-1001", "path"]
    for path in paths:
        ds = pydicom.dcmread(tmp_path / "release" / path)
        ds.BurnedInAnnotation = "YES"
        ds.save_as(tmp_path / "release" / path)
    found, files = illustrate(report, evidence, tmp_path / "release", small_profile, PictureMode.AUTO)
    (box,) = [picture for picture in found.pictures if picture.patient == "CRLM-CT-1001"]
    assert box.file is None
    assert "Burned In Annotation" in box.reason
    assert box.findings
    assert not [name for name in files if "1001" in name]
    assert [name for name in files if "1002" in name]


def test_files_that_went_away_are_told_and_the_rest_goes_on(faulty, small_profile: Profile, tmp_path: Path) -> None:
    root, report, evidence = faulty
    shutil.copytree(root, tmp_path / "release")
    for path in evidence["slices"].loc[evidence["slices"]["patient"] == "CRLM-CT-1001", "path"]:
        (tmp_path / "release" / path).unlink()
    found, files = illustrate(report, evidence, tmp_path / "release", small_profile, PictureMode.AUTO)
    assert {picture.reason for picture in found.pictures if picture.patient == "CRLM-CT-1001"} == {
        "a file can't be opened"
    }
    assert [name for name in files if "1002" in name]


def test_no_pictures_without_images(faulty, small_profile: Profile, tmp_path: Path) -> None:
    root, report, evidence = faulty
    save(evidence, tmp_path / "evidence")
    found, files = illustrate(report, evidence, tmp_path / "evidence", small_profile, PictureMode.AUTO)
    assert (found.picture_notes, files) == (("No pictures: this is saved evidence, which holds no images.",), {})
    shallow, tables = audited(root, small_profile, Depth.HEADERS)
    found, files = illustrate(shallow, tables, root, small_profile, PictureMode.AUTO)
    assert (found.picture_notes, files) == (("No pictures: at depth headers no image is read.",), {})


# --- the size of the page ---------------------------------------------------------------------------------------------


SLACK = 100
"""Bytes that the wording of the notes may take."""


def measured(limit: int) -> tuple[Report, dict[str, bytes]]:
    return fitted(*illustrated(), page_size, limit)


def test_small_enough() -> None:
    assert measured(10_000_000) == illustrated()


def test_cuts_in_their_order() -> None:
    report, files = illustrated()
    whole = page_size(report, files)
    smaller, small = measured(whole - SLACK)
    assert list(small) == list(files)
    assert all(len(small[name]) < len(files[name]) for name in files)
    assert (
        smaller.picture_notes[-1]
        == f"Pictures are 256 pixels wide, to keep the page under {(whole - SLACK) / 1e6:g} MB."
    )
    assert page_size(smaller, small) < whole
    one, single = measured(page_size(smaller, small) - SLACK)
    assert list(single) == ["CRLM-CT-1001-1.webp"]
    # What says why there is no picture stays.
    assert [picture.file for picture in one.pictures] == ["CRLM-CT-1001-1.webp", None]
    assert one.picture_notes[-1].startswith("Only one picture a patient, of 3 in all")
    none, nothing = measured(page_size(one, single) - SLACK)
    assert (none.pictures, nothing) == ((), {})
    assert none.picture_notes[-1].startswith("No pictures, to keep the page under")


def test_the_one_picture_that_is_left_shows_the_finding() -> None:
    report, files = illustrated()
    plain, framed, enlarged = report.pictures[:3]
    pictures = (replace(plain, findings=()), replace(framed, frame=Frame(1, 1, 9, 9)), enlarged)
    report = replace(report, pictures=pictures)
    limit = page_size(replace(report, pictures=pictures[:1]), {}) + 60_000
    cut, kept = fitted(report, {name: content(3, 800) for name in files}, page_size, limit)
    assert [picture.file for picture in cut.pictures] == list(kept) == [enlarged.file]


def test_a_whole_release_stays_under_the_cap() -> None:
    report, _ = illustrated()
    picture = report.pictures[0]
    many = {f"P-{number}.webp": content(number % 4, 800) for number in range(24)}
    pictures = tuple(replace(picture, patient=f"P{number // 3}", file=name) for number, name in enumerate(many))
    cut, kept = fitted(replace(report, pictures=pictures), many, page_size)
    assert page_size(replace(report, pictures=pictures), many) > 10_000_000
    assert page_size(cut, kept) <= 10_000_000
    assert cut.picture_notes


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_are_read_again(tmp_path: Path) -> None:
    report, files = illustrated()
    (tmp_path / "pictures").mkdir()
    for name, data in files.items():
        (tmp_path / "pictures" / name).write_bytes(data)
    assert load_files(report, tmp_path) == files
    (tmp_path / "pictures" / "CRLM-CT-1001-1.webp").write_bytes(b"<script>")
    (tmp_path / "pictures" / "CRLM-CT-1001-2.webp").write_bytes(files["CRLM-CT-1001-2.webp"] + bytes(1_000_000))
    assert list(load_files(report, tmp_path)) == ["CRLM-CT-1001-3.webp"]
    (tmp_path / "secret.webp").write_bytes(files["CRLM-CT-1001-1.webp"])
    outside = replace(report, pictures=(replace(report.pictures[0], file="../secret.webp"),))
    assert load_files(outside, tmp_path) == {}


def test_only_files_of_our_own_are_stale(tmp_path: Path) -> None:
    for name in ("CRLM-CT-1001-1.webp", "CRLM-CT-1001-2.webp", "notes.txt", "mine.webp"):
        (tmp_path / name).touch()
    (tmp_path / "CRLM-CT-1001-3.webp").mkdir()
    assert [path.name for path in stale_files(tmp_path, {"CRLM-CT-1001-1.webp"})] == ["CRLM-CT-1001-2.webp"]
    assert stale_files(tmp_path / "nowhere", ()) == []
