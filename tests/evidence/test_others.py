"""Objects of others beside the published ones: told apart where every key says so, and by nothing less."""

import shutil
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import RTStructureSetStorage, SegmentationStorage
from support.layouts import LAYOUTS
from support.releases import clean_release, copy_release, small_profile

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

AI = {
    "SeriesDescription": "AIMI liver-tumor AI segmentation",
    "SeriesNumber": 300,
    "SeriesInstanceUID": "1.2.276.0.7230010.3.1.3.17436516.270.1.2",
    "SOPInstanceUID": "1.2.276.0.7230010.3.1.4.17436516.270.1.3",
}
READER = {**AI, "SeriesDescription": "AIMI liver-tumor radiologist 7 corrected segmentation"}


def add(release: SyntheticRelease, patient: str, values: dict[str, object], where: str = "", name: str = "ai") -> Path:
    """A segmentation object of the patient again, with other values, in a folder of its own."""
    folder = release.collection / patient
    source = next(path for path in folder.rglob("*.dcm") if "Segmentation" in path.parent.name)
    target = (release.root / where if where else source.parent.parent) / name
    target.mkdir(parents=True)
    data = pydicom.dcmread(source)
    for keyword, value in values.items():
        setattr(data, keyword, value)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.save_as(target / "1-1.dcm")
    return target


def judged(release: SyntheticRelease, profile: Profile, *, all_objects: bool = False, **options: object) -> Report:
    settings = Settings(subset=True, known_issues=False, all_objects=all_objects)
    return audit(release.root, profile=profile, settings=settings, jobs=1, **options)  # type: ignore[arg-type]


def codes(report: Report) -> set[str]:
    assert not any(one.incomplete for one in report.outcomes)
    return {one.rule for one in report.findings}


@pytest.fixture
def release(clean_release: SyntheticRelease, tmp_path: Path) -> SyntheticRelease:
    return copy_release(clean_release, tmp_path / "release")


def test_they_are_one_note_and_nothing_else(
    release: SyntheticRelease, clean_release: SyntheticRelease, small_profile: Profile, tmp_path: Path
) -> None:
    first, second, *_ = release.patients
    add(release, first, AI)
    add(release, first, READER | {"SOPInstanceUID": AI["SOPInstanceUID"]}, name="reader")
    add(release, second, AI, where="beside")
    report = judged(release, small_profile, evidence_to=tmp_path / "evidence")
    (note,) = report.findings
    assert (note.rule, note.severity.value, note.count) == ("REL023", "info", 3)
    assert note.message == (
        "3 objects of others lie beside the published ones, in 2 patients: 2 AIMI segmentations made by AI; "
        "1 AIMI segmentations corrected by a radiologist. They were not audited; --all-objects audits them too."
    )
    clean = judged(clean_release, small_profile)
    assert report.patients == clean.patients
    assert {"REL009", "DID013"} <= codes(judged(release, small_profile, all_objects=True))
    assert judged(replace(release, root=tmp_path / "evidence"), small_profile).findings == report.findings
    with pytest.raises(UsageError, match="objects of others were left out: give the release itself"):
        judged(replace(release, root=tmp_path / "evidence"), small_profile, all_objects=True)


def test_what_not_all_keys_tell_is_audited(release: SyntheticRelease, small_profile: Profile) -> None:
    changes: list[dict[str, object]] = [
        {"Manufacturer": "QIICR2"},
        {"SeriesDescription": "AIMI liver-tumor AI segmentation of a name"},
        {"SeriesDescription": "Segmentation"},
        {"SeriesInstanceUID": "1.2.276.0.7230010.3.1.33.1"},
        {"SeriesInstanceUID": "1.3.6.1.4.1.14519.5.2.1.9203.8273.9"},
        {"SOPInstanceUID": "1.3.6.1.4.1.14519.5.2.1.9203.8273.9"},
        {"Modality": "CT"},
        {"SOPClassUID": RTStructureSetStorage},
    ]
    for number, change in enumerate(changes):
        add(
            release,
            release.patients[0],
            {**AI, "SOPInstanceUID": f"{AI['SOPInstanceUID']}.{number}", **change},
            name=f"{number}",
        )
    report = judged(release, small_profile)
    assert "REL023" not in codes(report)
    (surplus,) = [one for one in report.findings if one.rule == "REL009"]
    assert surplus.observed == f"{1 + len(changes)} segmentation objects"


def test_a_published_object_of_a_wrong_root_keeps_its_errors(release: SyntheticRelease, small_profile: Profile) -> None:
    folder = add(release, release.patients[0], AI | {"SeriesDescription": "Segmentation"})
    shutil.rmtree(next(path for path in folder.parent.iterdir() if "Segmentation" in path.name))
    assert {"DID013", "MET015", "MET016"} <= codes(judged(release, small_profile))


def test_where_the_published_one_is_missing_that_is_said_once(
    release: SyntheticRelease, small_profile: Profile
) -> None:
    folder = add(release, release.patients[0], AI)
    shutil.rmtree(next(path for path in folder.parent.iterdir() if "Segmentation" in path.name))
    report = judged(release, small_profile)
    assert codes(report) == {"REL008", "REL023", "MET016"}
    (missing,) = [one for one in report.findings if one.rule == "REL008"]
    assert missing.message == (
        f"{release.patients[0]} has no segmentation object. 1 object of others lies there (REL023)."
    )


def test_a_release_of_nothing_else_is_no_pass(release: SyntheticRelease, small_profile: Profile) -> None:
    for patient in release.patients:
        folder = add(release, patient, AI)
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other)
    report = judged(release, small_profile)
    (error,) = [one for one in report.findings if one.rule == "REL020"]
    assert "3 objects are of others (--all-objects audits them)" in error.message
    assert "REL023" not in {one.rule for one in report.findings}
    assert report.exit_code() == 4


def test_a_folder_of_them_is_no_patient_s(release: SyntheticRelease, small_profile: Profile) -> None:
    LAYOUTS["card"](release)
    for number, folder in enumerate(sorted(release.root.glob("CRLM-CT-*"))):
        source = next(path for path in folder.rglob("*.dcm") if "Segmentation" in path.parent.name)
        data = pydicom.dcmread(source)
        for keyword, value in AI.items():
            setattr(data, keyword, value)
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        (release.root / "ai").mkdir(exist_ok=True)
        data.save_as(release.root / "ai" / f"{number}.dcm")
    report = judged(release, small_profile)
    (note,) = report.findings
    assert (note.rule, note.examples, report.release.patients) == ("REL023", release.patients, 3)


def test_other_kinds_of_objects_can_be_let_through(release: SyntheticRelease, small_profile: Profile) -> None:
    structures = AI | {"Modality": "RTSTRUCT", "SOPClassUID": RTStructureSetStorage}
    folder = add(release, release.patients[0], structures)
    data = pydicom.dcmread(folder / "1-1.dcm")
    del data.SegmentSequence, data.Rows, data.Columns, data.PixelData
    data.save_as(folder / "1-1.dcm")
    assert codes(judged(release, small_profile)) >= {"REL007"}
    letting = replace(small_profile, others=tuple(replace(one, modality="RTSTRUCT") for one in small_profile.others))
    assert codes(judged(release, letting)) == {"REL023"}


def test_a_row_of_metadata_for_one_is_no_series_that_is_missing(
    release: SyntheticRelease, small_profile: Profile
) -> None:
    add(release, release.patients[0], AI)
    text = release.metadata.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if SegmentationStorage in line)
    old = row.split(",")[0]
    release.metadata.write_text(f"{text}{row.replace(old, str(AI['SeriesInstanceUID']))}\n", encoding="utf-8")
    assert "MET016" not in codes(judged(release, small_profile))


def test_the_profile_tells_of_the_published_collection() -> None:
    profile = load_profile()
    assert [one.modality for one in profile.others] == ["SEG", "SEG"]
    assert len(profile.deidentification.series_dates["SEG"]) == 4
