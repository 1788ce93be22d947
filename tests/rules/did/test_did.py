"""The rules on de-identification, on small tables."""

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from support.apart import judge_apart
from support.sources import UNREAD

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.deidentification import IdentifierScan
from crlm_qc.evidence.dicom.header import read_header
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.tables import frame
from crlm_qc.rules import registry

P = "CRLM-CT-1001"
ROOT = "1.3.6.1.4.1.14519.5.2.1.9203.8273"
UID = f"{ROOT}.1"
FOLDER = f"Colorectal-Liver-Metastases/{P}/06-06-1992-NA-CT ABD-00001/2.000000-NA-00001"
CODES = "113100 113101 113104 113105 113107 113108 113109"
FILES = 3
Row = dict[str, Any]


def held(attribute: str, tag: str, vr: str, state: str = "present", n: int = FILES, **more: Any) -> Row:
    return {
        "patient": P,
        "series_uid": UID,
        "attribute": attribute,
        "tag": tag,
        "vr": vr,
        "state": state,
        "n_files": n,
        "n_values": n,
        **more,
    }


def declared(codes: str = CODES, n: int = FILES) -> Row:
    return held("DeidentificationMethodCodeSequence", "00120064", "SQ", "code", n, code=codes)


def clean() -> list[Row]:
    return [
        held("PatientName", "00100010", "PN", "patient-id"),
        held("PatientID", "00100020", "LO", "patient-id"),
        held("PatientBirthDate", "00100030", "DA", "empty"),
        held("PatientSex", "00100040", "CS"),
        held("PatientIdentityRemoved", "00120062", "CS", "code", code="YES"),
        declared(),
        held("LongitudinalTemporalInformationModified", "00280303", "CS", "code", code="MODIFIED"),
        held("StudyDate", "00080020", "DA"),
        held("StudyDescription", "00081030", "LO", length="9 to 32"),
        held("StationName", "00081010", "SH", length="1 to 8"),
        held("(0013,xx10)", "0013xx10", "LO", creator="CTP", length="9 to 32"),
        held("(0009,xx01)", "0009xx01", "LO", "empty", creator="GEMS_IDEN_01"),
    ]


def instances(**values: Any) -> list[Row]:
    return [
        {
            "patient": P,
            "path": f"{FOLDER}/1-{number}.dcm",
            "series_uid": UID,
            "study_uid": f"{ROOT}.2",
            "sop_instance_uid": f"{ROOT}.3.{number}",
            "frame_of_reference_uid": f"{ROOT}.4",
            "modality": "CT",
            "study_date": "19920606",
            "series_date": "19920606",
            "patient_age": "055Y",
            **values,
        }
        for number in range(1, FILES + 1)
    ]


def report_of(
    profile: Profile,
    identifiers: list[Row] | None = None,
    *,
    slices: list[Row] | None = None,
    dsos: list[Row] | None = None,
    clinical: list[Row] | None = None,
    workbook: list[Row] | None = None,
    texts: list[Row] | None = None,
    kind: str = "ct",
) -> Report:
    slices = instances() if slices is None else slices
    columns = ("patient", "path", "series_uid", "study_uid", "sop_instance_uid", "frame_of_reference_uid", "modality")
    files = [
        {**{name: row[name] for name in columns}, "folder": FOLDER, "kind": kind, "in_collection": True}
        for row in slices
    ]
    sources = [{"source": "clinical", "path": "Clinical Data.xlsx", "used": True}]
    tables = {
        "files": files,
        "identifiers": clean() if identifiers is None else identifiers,
        "slices": slices,
        "dsos": dsos or [],
        "clinical": clinical or [],
        "workbook": workbook or [],
        "texts": texts or [],
        "sources": sources,
    }
    evidence = Evidence(Facts(depth=Depth.HEADERS), {name: frame(name, rows) for name, rows in tables.items()})
    report = judge_apart(evidence, profile, Settings(depth=Depth.HEADERS), registry().matching("DID"))
    assert [(one.rule, one.reason) for one in report.outcomes if one.incomplete] == []
    return report


def found(report: Report) -> list[tuple[str, str, str | None, int]]:
    return [(one.rule, one.severity.value, one.subject.column, one.count) for one in report.findings]


def only(report: Report) -> Finding:
    (finding,) = report.findings
    return finding


def changed(attribute: str, *rows: Row) -> list[Row]:
    return [row for row in clean() if row["attribute"] != attribute] + list(rows)


def test_a_clean_release_raises_nothing(profile: Profile) -> None:
    report = report_of(profile)
    assert found(report) == []
    assert [one.rule for one in report.outcomes if one.status is not Status.PASSED] == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (changed("PatientName", held("PatientName", "00100010", "PN", n=2)), ("DID001", "error", "PatientName", 2)),
        ([*clean(), held("OtherPatientIDs", "00101000", "LO")], ("DID002", "error", "OtherPatientIDs", 3)),
        ([*clean(), held("InstitutionName", "00080080", "LO")], ("DID002", "error", "InstitutionName", 3)),
        (
            [*clean(), held("RequestAttributesSequence/RequestedProcedureID", "00401001", "SH", n=1)],
            ("DID002", "error", "RequestAttributesSequence/RequestedProcedureID", 1),
        ),
        ([*clean(), held("ClinicalTrialSeriesID", "00120071", "LO")], ("DID002", "info", "ClinicalTrialSeriesID", 3)),
        ([*clean(), held("ModifyingDeviceID", "00203401", "CS")], ("DID002", "warning", "ModifyingDeviceID", 3)),
        (
            changed("PatientIdentityRemoved", held("PatientIdentityRemoved", "00120062", "CS", "code", 2, code="YES")),
            ("DID003", "error", "PatientIdentityRemoved", 1),
        ),
        (
            changed("DeidentificationMethodCodeSequence", declared(CODES + " 113112")),
            ("DID004", "warning", "DeidentificationMethodCodeSequence", 3),
        ),
        (
            changed("DeidentificationMethodCodeSequence", declared(n=1)),
            ("DID004", "warning", "DeidentificationMethodCodeSequence", 2),
        ),
        (
            changed("LongitudinalTemporalInformationModified"),
            ("DID005", "warning", "LongitudinalTemporalInformationModified", 3),
        ),
        (
            [*clean(), held("(0041,xx01)", "0041xx01", "LO", n=2, creator="other", pattern="name")],
            ("DID006", "warning", "(0041,eeee)", 2),
        ),
        (
            [*clean(), held("BurnedInAnnotation", "00280301", "CS", "code", 1, code="YES")],
            ("DID007", "error", "BurnedInAnnotation", 1),
        ),
        ([*clean(), held("OverlayData", "60023000", "OW", n=1)], ("DID008", "warning", "OverlayData", 1)),
        ([*clean(), held("IconImageSequence", "00880200", "SQ")], ("DID008", "warning", "IconImageSequence", 3)),
        (
            [*clean(), held("ImageComments", "00204000", "LT", pattern="telephone number")],
            ("DID009", "warning", "ImageComments", 3),
        ),
    ],
    ids=lambda value: value[0] + " " + str(value[2]) if isinstance(value, tuple) else "",
)
def test_one_fault_is_one_finding(profile: Profile, rows: list[Row], expected: tuple[str, str, str, int]) -> None:
    report = report_of(profile, rows)
    assert found(report) == [expected]
    assert only(report).patient == P
    assert only(report).subject.path == FOLDER
    assert only(report).subject.uid == UID


@pytest.mark.parametrize(
    "row",
    [
        held("BurnedInAnnotation", "00280301", "CS", "code", code="NO"),
        held("InstitutionName", "00080080", "LO", "empty"),
        held("VerifyingObserverName", "0040A075", "PN"),
        held("DeviceSerialNumber", "00181000", "LO"),
        held("PatientWeight", "00101030", "DS"),
        held("AcquisitionDateTime", "0008002A", "DT"),
        held("ImageComments", "00204000", "LT"),
        held("RequestAttributesSequence", "00400275", "SQ"),
        held("SourceImageSequence", "00082112", "SQ"),
    ],
    ids=lambda row: row["attribute"],
)
def test_what_is_retained_or_may_be_a_dummy_is_in_order(profile: Profile, row: Row) -> None:
    assert found(report_of(profile, [*clean(), row])) == []


@pytest.mark.parametrize(
    ("attribute", "tag", "code"),
    [
        ("StudyDescription", "00081030", "113105"),
        ("StudyDate", "00080020", "113107"),
        ("PatientSex", "00100040", "113108"),
        ("StationName", "00081010", "113109"),
    ],
)
def test_each_option_retains_what_it_retains(profile: Profile, attribute: str, tag: str, code: str) -> None:
    rows = changed("DeidentificationMethodCodeSequence", declared(CODES.replace(f"{code}", "").strip()))
    report = report_of(profile, rows)
    assert ("DID002", "warning", attribute, 3) in found(report)
    (finding,) = [one for one in report.findings if one.rule == "DID002"]
    assert code in finding.expected
    assert f"({tag[:4]},{tag[4:]})" in finding.message


def test_files_that_declare_nothing_are_told_once(profile: Profile) -> None:
    report = report_of(profile, changed("DeidentificationMethodCodeSequence"))
    assert [one[0] for one in found(report)] == ["DID004"]


def test_what_lies_in_a_surplus_sequence_is_told_with_it(profile: Profile) -> None:
    rows = [
        *clean(),
        held("OtherPatientIDsSequence", "00101002", "SQ"),
        held("OtherPatientIDsSequence/IssuerOfPatientID", "00100021", "LO"),
        held("OtherPatientIDsSequence/PatientID", "00100020", "LO", pattern="name"),
    ]
    assert found(report_of(profile, rows)) == [("DID002", "error", "OtherPatientIDsSequence", 3)]


def test_texts_of_several_lengths_are_one_finding(profile: Profile) -> None:
    rows = [*clean(), *(held("AccessionNumber", "00080050", "SH", n=2, length=one) for one in ("1 to 8", "9 to 32"))]
    assert found(report_of(profile, rows)) == [("DID002", "error", "AccessionNumber", 3)]


def test_graphics_that_were_cleaned_may_stay(profile: Profile) -> None:
    codes = profile.deidentification.codes | {"113103"}
    profile = replace(profile, deidentification=replace(profile.deidentification, codes=codes))
    rows = changed("DeidentificationMethodCodeSequence", declared(" ".join(sorted(codes))))
    assert found(report_of(profile, [*rows, held("OverlayData", "60003000", "OW")])) == []


@pytest.mark.parametrize(
    ("age", "count"),
    [("089Y", 0), ("090Y", 0), ("091Y", 3), ("91Y", 3), ("91", 3), ("1100", 0), ("093M", 0)],
)
def test_ages_in_headers(profile: Profile, age: str, count: int) -> None:
    report = report_of(profile, slices=instances(patient_age=age))
    assert [one.count for one in report.findings if one.rule == "DID010"] == ([count] if count else [])
    assert "91" not in str([one.as_dict() for one in report.findings])


def test_ages_in_the_workbook(profile: Profile) -> None:
    cells = [
        {"row": row, "patient_id": P, "patient": P, "column": "age", "text": str(age), "value": age, "type": "number"}
        for row, age in enumerate((55.0, -999.0, 90.0, 94.0), start=2)
    ]
    finding = only(report_of(profile, clinical=cells))
    assert (finding.rule, finding.subject.row, finding.patient) == ("DID010", 5, P)
    assert "94" not in str(finding.as_dict())


@pytest.mark.parametrize(("text", "old"), [("093Y", True), ("93 y", True), ("055Y", False), ("none", False)])
def test_an_age_in_the_workbook_may_be_a_text(profile: Profile, text: str, old: bool) -> None:
    cell = {"row": 2, "patient_id": P, "patient": P, "column": " Age ", "text": text, "type": "text"}
    report = report_of(profile, clinical=[cell])
    assert found(report) == ([("DID010", "error", "age", 1)] if old else [])
    assert "93" not in str([one.as_dict() for one in report.findings])


def test_dates_of_a_study_lie_together(profile: Profile) -> None:
    assert found(report_of(profile, slices=instances(series_date="19920613"))) == []
    report = report_of(profile, slices=instances(series_date="19920614"))
    assert found(report) == [("DID011", "info", "SeriesDate", 3)]
    assert "1992" not in only(report).message + only(report).observed


def test_the_dsos_known_date_is_left_out(profile: Profile) -> None:
    dso = instances(modality="SEG", series_date="20090902")[:1]
    assert found(report_of(profile, dsos=dso)) == []
    dso = instances(modality="SEG", series_date="20090903")[:1]
    assert found(report_of(profile, dsos=dso)) == [("DID011", "info", "SeriesDate", 1)]


def test_the_workbooks_properties(profile: Profile) -> None:
    facts = [{"fact": "property", "name": name, "has_value": True} for name in ("creator", "lastModifiedBy")]
    finding = only(report_of(profile, workbook=[*facts, {"fact": "sheet", "name": "x", "has_value": True}]))
    assert (finding.rule, finding.count, finding.observed) == ("DID012", 2, "creator, lastModifiedBy")


@pytest.mark.parametrize("column", ["sop_instance_uid", "series_uid", "study_uid", "frame_of_reference_uid"])
def test_uids_of_another_root(profile: Profile, column: str) -> None:
    rows = clean()
    other = "1.2.840.113619.2.55.3.12345678"
    if column == "series_uid":
        rows = [{**row, "series_uid": other} for row in rows]
    finding = only(report_of(profile, rows, slices=instances(**{column: other})))
    assert finding.rule == "DID013"
    assert "12345678" not in str(finding.as_dict())


def test_a_malformed_uid_is_not_told_here(profile: Profile) -> None:
    assert found(report_of(profile, slices=instances(frame_of_reference_uid="abc"))) == []


@pytest.mark.parametrize(
    ("date", "fires"), [("19910603", False), ("19950514", False), ("19910602", True), ("20110310", True), ("x", False)]
)
def test_study_dates_lie_in_the_range(profile: Profile, date: str, fires: bool) -> None:
    report = report_of(profile, slices=instances(study_date=date, series_date=date))
    assert [one.rule for one in report.findings] == (["DID014"] if fires else [])
    assert date not in str([one.as_dict() for one in report.findings])


def test_a_profile_that_says_nothing_is_compared_with_nothing(profile: Profile) -> None:
    from crlm_qc.collection.profile import Deidentification

    bare = replace(profile, deidentification=Deidentification())
    report = report_of(bare, changed("(0013,xx10)", declared("113100 113105 113107 113108 113109")))
    assert found(report) == []
    assert [one.rule for one in report.outcomes if one.status is Status.SKIPPED] == ["DID014"]


def test_no_header_is_no_pass(profile: Profile) -> None:
    report = report_of(profile, [], slices=[])
    assert {one.status for one in report.outcomes} == {Status.SKIPPED, Status.PASSED}
    assert [one.rule for one in report.outcomes if one.status is Status.PASSED] == ["DID012"]


@pytest.mark.reference
def test_the_real_ct_raises_no_error_or_warning(reference: Path) -> None:
    settings = Settings(depth=Depth.HEADERS, subset=True, select=("DID",), known_issues=False)
    report = audit(reference / "release-1004", settings=settings, jobs=1)
    # The real workbook lies beside it, and its properties name persons.
    assert {(one.rule, one.severity.value) for one in report.findings} <= {("DID012", "info")}
    assert {one.rule for one in report.outcomes if one.status is Status.PASSED} >= {f"DID{n:03d}" for n in range(1, 10)}


@pytest.mark.reference
def test_dcmqis_own_objects_have_what_it_writes_and_nothing_graver(reference: Path) -> None:
    made = IdentifierScan("CRLM-CT-1001", load_profile())
    content = (reference / "dcmqi" / "liver.dcm").read_bytes()
    made.add(read_header(BytesIO(content), UNREAD))
    assert {row["attribute"] for row in made.rows() if row["pattern"]} == set()


# --- what only a segmentation object needs, items, files outside of patient folders, texts beside the headers


@pytest.mark.parametrize(
    ("attribute", "tag", "vr", "severity"),
    [
        ("DeviceSerialNumber", "00181000", "LO", "warning"),
        ("ContrastBolusAgent", "00180010", "LO", "warning"),
        ("ContentDate", "00080023", "DA", "warning"),
    ],
)
def test_a_ct_image_without_the_option_needs_no_value(
    profile: Profile, attribute: str, tag: str, vr: str, severity: str
) -> None:
    codes = profile.deidentification.codes - {"113105", "113107", "113109"}
    profile = replace(profile, deidentification=replace(profile.deidentification, codes=codes))
    kept = [row for row in clean() if row["attribute"] not in ("StudyDate", "StudyDescription", "StationName")]
    rows = [declared(" ".join(sorted(codes))) if "Method" in row["attribute"] else row for row in kept]
    rows.append(held(attribute, tag, vr))
    assert ("DID002", severity, attribute, 3) in found(report_of(profile, rows))
    assert [one for one in found(report_of(profile, rows, kind="dso")) if one[0] == "DID002"] == []


def test_an_id_of_another_in_an_item_is_an_error(profile: Profile) -> None:
    name = "ReferencedImageSequence/PatientID"
    report = report_of(profile, [*clean(), held(name, "00100020", "LO", n=2)])
    assert found(report) == [("DID002", "error", name, 2)]
    assert "not the file's own PatientID" in only(report).message
    assert found(report_of(profile, [*clean(), held(name, "00100020", "LO", "patient-id")])) == []


def outside(rows: list[Row], profile: Profile, uid: str | None = UID) -> Report:
    files = [{"path": "extra/x", "folder": "extra", "kind": "other-dicom", "series_uid": uid, "in_collection": False}]
    held_so = [{**row, "patient": None, "series_uid": uid, "n_files": 1} for row in rows]
    tables = {"files": files, "identifiers": held_so}
    evidence = Evidence(Facts(depth=Depth.HEADERS), {name: frame(name, made) for name, made in tables.items()})
    return judge_apart(evidence, profile, Settings(depth=Depth.HEADERS), registry().matching("DID"))


def test_a_file_outside_of_patient_folders_is_judged_like_any_other(profile: Profile) -> None:
    assert found(outside(clean(), profile)) == []
    rows = changed("PatientID", held("PatientID", "00100020", "LO"), held("PatientAge", "00101010", "AS", code="over"))
    report = outside(rows, profile)
    assert found(report) == [("DID002", "error", "PatientID", 1), ("DID010", "error", "PatientAge", 1)]
    assert {one.subject.path for one in report.findings} == {"extra"}
    assert found(outside([held("PatientName", "00100010", "PN")], profile))[0][0] == "DID001"


def test_a_directory_of_files_says_nothing_of_itself(profile: Profile) -> None:
    rows = [held("DirectoryRecordSequence/PatientName", "00100010", "PN", "patient-id")]
    assert found(outside(rows, profile, None)) == []


@pytest.mark.parametrize(
    ("sop_class", "codes"), [("1.2.840.10008.1.3.10", set()), (None, {"DID003", "DID004", "DID005"})]
)
def test_nor_does_one_in_a_patient_s_folder(profile: Profile, sop_class: str | None, codes: set[str]) -> None:
    rows = [held("DirectoryRecordSequence/PatientName", "00100010", "PN", "patient-id")]
    path = {"path": f"{P}/DICOMDIR", "folder": P, "kind": "other-dicom", "in_collection": True, "patient": P}
    tables = {
        "files": [path | {"series_uid": None, "meta_sop_class_uid": sop_class}],
        "identifiers": [{**row, "patient": P, "series_uid": None, "n_files": 1} for row in rows],
    }
    evidence = Evidence(Facts(depth=Depth.HEADERS), {name: frame(name, made) for name, made in tables.items()})
    report = judge_apart(evidence, profile, Settings(depth=Depth.HEADERS), registry().matching("DID"))
    assert {one.rule for one in report.findings} == codes


def test_other_dates_of_ct_images_lie_in_the_range_too(profile: Profile) -> None:
    rows = [
        *clean(),
        held("AcquisitionDate", "00080022", "DA", code="after"),
        held("ContentDate", "00080023", "DA", n=1, code="after"),
        held("ContentDate", "00080023", "DA", n=2),
    ]
    report = report_of(profile, rows)
    assert found(report) == [("DID014", "warning", "AcquisitionDate", 3)]
    assert only(report).message == "AcquisitionDate, ContentDate lie after the release's range in 3 of 3 files."
    # Where the study's date is outside, one finding says so.
    both = report_of(profile, rows, slices=instances(study_date="20110310", series_date="20110310"))
    assert found(both) == [("DID014", "warning", "StudyDate", 3)]


def cell(source: str, row: int, column: str, pattern: str = "name") -> Row:
    return {
        "source": source,
        "path": "Clinical Data.xlsx",
        "row": row,
        "column": column,
        "pattern": pattern,
        "patient": P,
    }


def test_texts_of_tables_are_told_by_column(profile: Profile) -> None:
    texts = [
        cell("clinical", 5, "relevant_notes"),
        cell("clinical", 9, "relevant_notes", "telephone number"),
        cell("metadata", 2, "Roe's remarks", "e-mail address"),
    ]
    report = report_of(profile, texts=texts)
    assert found(report) == [
        ("DID009", "warning", "relevant_notes", 2),
        ("DID009", "warning", "text of 9 to 32 characters", 1),
    ]
    first, second = report.findings
    assert first.message == (
        "2 cells of relevant_notes in the workbook hold what looks like a name and a telephone number: row 5, row 9."
    )
    assert (second.subject.row, second.patient) == (2, P)
    assert "Roe" not in str(second.as_dict())


def test_names_of_files_and_folders_are_told_by_place(profile: Profile) -> None:
    texts = [
        {"source": "folder", "path": "ROE^RICHARD", "pattern": "name"},
        {"source": "file", "path": "notes/Dr. Roe.txt", "pattern": "name"},
        {"source": "file", "path": "notes/Dr. Poe.txt", "pattern": "name"},
    ]
    report = report_of(profile, texts=texts)
    assert [(one.rule, one.count, one.subject.kind.value) for one in report.findings] == [
        ("DID009", 2, "folder"),
        ("DID009", 1, "folder"),
    ]
    assert not re.search("[RP]oe|ROE", str([one.as_dict() for one in report.findings]))


def test_dates_that_cannot_be_read_may_be_real_ones(profile: Profile) -> None:
    rows = [
        *clean(),
        held("AcquisitionDate", "00080022", "DA", code="unreadable"),
        held("ReferencedImageSequence/ContentDate", "00080023", "DA", n=1, code="unreadable"),
        # What no option retains is told of whatever its form.
        held("PatientBirthDate", "00100030", "DA", code="unreadable"),
    ]
    report = report_of(profile, rows)
    assert [one.rule for one in report.findings] == ["DID002", "DID015"]
    assert report.findings[1].message == (
        "AcquisitionDate, ReferencedImageSequence/ContentDate hold what is no date in 3 of 3 files: it may be a real one."
    )


def test_a_study_date_in_the_form_of_acr_nema_is_a_date(profile: Profile) -> None:
    for date, fires in (("1992.06.06", []), ("2011.03.10", ["DID014"])):
        report = report_of(profile, clean(), slices=instances(study_date=date, series_date=date))
        assert [one.rule for one in report.findings] == fires
