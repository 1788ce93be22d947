"""Whose images lie where folders name no patients; and that an audit of them finds the same."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from support.releases import clean_release, small_profile

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.release import Release, find_release
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

Place = Callable[[pydicom.Dataset, int], str]

WAYS: dict[str, tuple[str, Place]] = {
    "commons": (
        "idc",
        lambda d, n: f"crlm/{d.PatientID}/{d.StudyInstanceUID}/{d.Modality}_{d.SeriesInstanceUID}/{n}.dcm",
    ),
    "commons-flat": ("flat", lambda d, n: f"{n:08d}-f00d.dcm"),
    "bucket": ("series", lambda d, n: f"{abs(hash(d.SeriesInstanceUID)):x}/{n:x}.dcm"),
    "tcia-utils": ("series", lambda d, n: f"tciaDownload/{d.SeriesInstanceUID}/1-{n:03d}.dcm"),
    "classic": ("classic", lambda d, n: f"c/{d.PatientID}/{d.StudyInstanceUID}/{d.SeriesInstanceUID}/{n:06d}.dcm"),
    "lower-cased": ("series", lambda d, n: f"{d.PatientID.lower()}/{d.SeriesInstanceUID}/{n}.dcm"),
    "no-suffix": ("series", lambda d, n: f"all/{d.SeriesInstanceUID}/{n}"),
    "one-folder-in-another": ("flat", lambda d, n: f"a/b/{n}.dcm"),
    "train-and-test": ("other", lambda d, n: f"{'ab'[int(d.PatientID[-1]) % 2]}/{d.PatientID}/s/{d.Modality}/{n}.dcm"),
}


def laid_out(release: SyntheticRelease, to: Path, place: Place) -> Path:
    """The images of a release, each where `place` puts it."""
    for number, path in enumerate(sorted(release.root.rglob("*.dcm"))):
        target = to / place(pydicom.dcmread(path, stop_before_pixels=True), number)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return to


def by_patient(found: Release) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in found.patients:
        counts[one.patient] += sum(item.name != "LICENSE" for item in one.items)
    return counts


@pytest.mark.parametrize("way", WAYS)
def test_every_file_is_its_patients(
    clean_release: SyntheticRelease, profile: Profile, tmp_path: Path, way: str
) -> None:
    layout, place = WAYS[way]
    found = find_release(laid_out(clean_release, tmp_path / "images", place), profile)
    assert found.layout == layout
    assert by_patient(found) == by_patient(find_release(clean_release.root, profile))
    assert not [one for one in found.others if one.item.suffix == ".dcm"]


def judged(root: Path, profile: Profile) -> Report:
    return audit(root, profile=profile, settings=Settings(subset=True, known_issues=False), jobs=1)


@pytest.mark.parametrize("way", ["commons-flat", "tcia-utils"])
def test_an_audit_finds_the_same(
    clean_release: SyntheticRelease, small_profile: Profile, tmp_path: Path, way: str
) -> None:
    release = laid_out(clean_release, tmp_path / "images", WAYS[way][1])
    report = judged(release, small_profile)
    assert {one.rule for one in report.findings} == {"REL001", "REL002", "REL003"}
    whole = judged(clean_release.root, small_profile)
    placeless = [replace(one, ct_folder=None, seg_file=None) for one in report.patients]
    without_tables = {"sex_workbook": None, "stated_mm": None, "ct_folder": None, "seg_file": None}
    assert placeless == [replace(one, **without_tables) for one in whole.patients]
    assert report.release.patients == whole.release.patients == 3


def test_a_file_that_strayed_from_its_folder_is_not_joined(
    clean_release: SyntheticRelease, profile: Profile, tmp_path: Path
) -> None:
    root = tmp_path / "release"
    shutil.copytree(clean_release.root, root)
    first = min(root.rglob("*.dcm"))
    shutil.copy(first, root / "stray.dcm")
    found = find_release(root, profile)
    assert by_patient(found) == by_patient(find_release(clean_release.root, profile))
    assert [one.item.path for one in found.others if one.item.suffix == ".dcm"] == ["stray.dcm"]


def test_licences_go_with_the_images_beside_them(
    clean_release: SyntheticRelease, profile: Profile, tmp_path: Path
) -> None:
    root = laid_out(clean_release, tmp_path / "release" / profile.name, lambda d, n: f"{d.SeriesInstanceUID}/{n}.dcm")
    for folder in root.iterdir():
        (folder / "LICENSE").write_text("CC BY 4.0")
    found = find_release(root, profile)
    assert len(found.patients) == 6
    assert all(Counter(item.name for item in one.items)["LICENSE"] == 1 for one in found.patients)


def test_what_is_no_patients_stays_outside(tmp_path: Path, profile: Profile) -> None:
    root = tmp_path / "images"
    root.mkdir()
    data = pydicom.Dataset()
    data.PatientID = "SOMEBODY"
    for number, content in enumerate([b"", b"x" * 200, bytes(128) + b"DICM", bytes(128) + b"DICM" + b"\xff" * 90]):
        (root / f"{number}.dcm").write_bytes(content)
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.save_as(root / "9.dcm", enforce_file_format=False)
    found = find_release(root, profile)
    assert not found.patients
    assert len(found.others) == 5
