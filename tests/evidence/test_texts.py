"""Texts outside of DICOM headers that look as if they identified somebody; and DICOM files outside of patient folders."""

import csv
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian
from support.releases import small_release
from support.sources import item_at

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.metadata import read_metadata
from crlm_qc.evidence.source import open_source
from crlm_qc.evidence.texts import TextScan, text_rows
from crlm_qc.evidence.workbook.sheets import read_workbook
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.release import SyntheticRelease


def files(*paths: str) -> list[tuple[str, str | None]]:
    return [(path, None) for path in paths]


def names(profile: Profile, *paths: str) -> list[tuple[str, str, str]]:
    return [(row["source"], row["path"], row["pattern"]) for row in TextScan(profile).names(files(*paths))]


def test_names_of_files_and_folders(profile: Profile) -> None:
    study = "CRLM-CT-1001/06-06-1992-NA-CT ABD ROE^RICHARD-75163"
    assert names(
        profile,
        "ROE^RICHARD/1-01.dcm",
        "ROE^RICHARD/1-02.dcm",
        f"{study}/2.000000-NA-54011/1-01.dcm",
        "CRLM-CT-1002/737-555-0142.txt",
        "r.roe@example.org",
    ) == [
        ("folder", "ROE^RICHARD", "name"),
        ("folder", study, "name"),
        ("file", "CRLM-CT-1002/737-555-0142.txt", "telephone number"),
        ("file", "r.roe@example.org", "e-mail address"),
    ]


def test_names_that_name_nobody(profile: Profile) -> None:
    assert (
        names(
            profile,
            "manifest-1669817128730/metadata.csv",
            "minutes of 2023-04-05.docx",
            "CRLM-CT-1001/03-10-2011-NA-CT ABD-75163/2.000000-Bind(48074201..420)-54011/1-01.dcm",
            "Clinical Data of April 12 2023.xlsx",
            "100-200-3000.dcm",
        )
        == []
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> tuple[SyntheticRelease, Evidence]:
    release = small_release(tmp_path_factory.mktemp("texts") / "release", patients=2)
    book = load_workbook(release.workbook)
    sheet: Any = book.worksheets[0]
    at = {cell.value: cell.column for cell in sheet[1]}
    for row, note in ((2, "seen by Dr. Roe"), (3, "compared with 03/10/2011")):
        sheet.cell(row, at["relevant_notes"]).value = note
    book.save(release.workbook)
    with release.metadata.open(encoding="utf-8", newline="") as file:
        heading, *rows = list(csv.reader(file))
    at = {name: position for position, name in enumerate(heading)}
    rows[0][at["Series Description"]] = "r.roe@example.org"
    rows[1][at["Download Timestamp"]] = "2023-04-05 10:00:00"
    with release.metadata.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [[*heading, "remarks"], [*rows[0], "MRN 00123456"], *([*row, ""] for row in rows[1:])]
        )
    ct = dcmread(release.ct_files(release.patients[0])[0])
    ct.PatientName, ct.PatientID, ct.PatientAge = "ROE^RICHARD", "8812345", "095Y"
    (release.root / "extra").mkdir()
    ct.save_as(release.root / "extra" / "DICOM0001")
    ct.save_as(release.root / "1-01.dcm")
    ct.save_as(release.collection / "x.dcm")
    _directory(release.root / "DICOMDIR", profile)
    (release.root / "notes.dcm").write_bytes(b"no DICOM")
    return release, collect(release.root, profile, depth=Depth.HEADERS, jobs=1)


def _directory(path: Path, profile: Profile) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    ds.file_meta.MediaStorageSOPInstanceUID = f"{profile.uid_root}.77"
    record = Dataset()
    record.DirectoryRecordType, record.PatientID, record.PatientName = "PATIENT", "CRLM-CT-1001", "ROE^RICHARD"
    ds.DirectoryRecordSequence = Items([record])
    ds.save_as(path, enforce_file_format=True)


def test_cells_of_the_tables(planted: tuple[SyntheticRelease, Evidence]) -> None:
    texts = planted[1]["texts"]
    assert sorted(zip(texts["source"], texts["row"], texts["column"], texts["pattern"], strict=True)) == [
        ("clinical", 2, "relevant_notes", "name"),
        ("clinical", 3, "relevant_notes", "date"),
        ("metadata", 2, "Series Description", "e-mail address"),
        ("metadata", 2, "remarks", "record number"),
    ]
    assert set(texts.loc[texts["source"] == "clinical", "patient"]) == set(planted[0].patients)
    assert not texts.map(lambda value: "Roe" in str(value) or "0012" in str(value)).any(axis=None)


def test_files_outside_of_patient_folders_are_scanned(planted: tuple[SyntheticRelease, Evidence]) -> None:
    release, evidence = planted
    table = evidence["files"]
    outside = table[table["patient"].isna()].set_index("path")
    top = release.collection.relative_to(release.root).as_posix()
    kinds = {path: outside.loc[path, "kind"] for path in ("extra/DICOM0001", "1-01.dcm", f"{top}/x.dcm", "DICOMDIR")}
    assert set(kinds.values()) == {"other-dicom"}
    assert outside.loc["notes.dcm", "kind"] != "other-dicom"
    rows = evidence["identifiers"]
    rows = rows[rows["patient"].isna()]
    held = {
        (attribute, state): n
        for attribute, state, n in zip(rows["attribute"], rows["state"], rows["n_files"], strict=True)
    }
    assert held["PatientName", "present"] == 3
    assert held["PatientID", "present"] == 3
    assert held["DirectoryRecordSequence/PatientName", "present"] == 1
    assert held["DirectoryRecordSequence/PatientID", "patient-id"] == 1
    assert set(rows.loc[rows["attribute"] == "PatientAge", "code"]) == {"over"}


@pytest.mark.parametrize(
    ("keyword", "value", "named"),
    [
        ("title", "Richard Roe", True),
        ("description", "sent by r.roe@example.org", True),
        ("keywords", "CRLM; Roe, Richard Roe", True),
        ("title", "Clinical data of 197 patients", False),
        ("title", "Liver Metastases", False),
        ("title", "Patient Characteristics", False),
        ("description", "saved 2023-04-05", False),
        ("keywords", "liver, CT", False),
    ],
)
def test_a_title_of_the_workbook_may_name_a_person(
    keyword: str, value: str, named: bool, planted: tuple[SyntheticRelease, Evidence], tmp_path: Path, profile: Profile
) -> None:
    book = load_workbook(planted[0].workbook)
    setattr(book.properties, keyword, value)
    book.save(tmp_path / "book.xlsx")
    found = read_workbook(item_at(tmp_path / "book.xlsx"), profile)["workbook"]
    properties = [row["name"] for row in found if row["fact"] == "property"]
    assert properties == ([keyword] if named else [])
    assert "Roe" not in str(found)


@pytest.mark.reference
def test_the_real_tables_identify_nobody(reference: Path, profile: Profile) -> None:
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("sources", "clinical", "clinical_dictionary", "metadata", "manifest")
    }
    (book,) = reference.glob("*.xlsx")
    for found in (
        read_workbook(item_at(book), profile),
        read_metadata(
            item_at(reference / "metadata-reconstructed.csv", "metadata.csv"), open_source(reference), profile
        ),
    ):
        assert "texts" not in found
        for name in tables:
            tables[name] += found.get(name, [])
    assert len(tables["metadata"]) == 394
    paths = files(*(f"{row['file_location']}/1-001.dcm" for row in tables["metadata"]))
    assert text_rows(tables, paths, profile) == []
