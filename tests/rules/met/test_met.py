"""Rules about metadata.csv: each fires on its fault, alone, and says what a curator needs."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from support.listing import HEADINGS, ROOT, SLICE_BYTES, Listing, make_listing
from support.sources import item_at

from crlm_qc.auditing.judging import judge
from crlm_qc.collection.forms import downloaded
from crlm_qc.collection.profile import Profile
from crlm_qc.engines.pandera_engine import codes
from crlm_qc.evidence.metadata import read_metadata
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.outcome import Status
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.rulebook.rule import RuleKind
from crlm_qc.rules import registry
from crlm_qc.rules.met._model import model

ONE, TWO = "CRLM-CT-1001", "CRLM-CT-1002"
NAME = "Colorectal-Liver-Metastases"


@pytest.fixture
def listing() -> Listing:
    return make_listing()


def test_a_clean_list_raises_nothing(listing: Listing) -> None:
    report = listing.report()
    assert report.findings == []
    assert {outcome.status for outcome in report.outcomes} == {Status.PASSED}
    assert len(report.outcomes) == sum(item.family in ("MET", "MAN") for item in registry())


def test_every_check_of_the_model_is_a_rule_and_says_so(profile: Profile) -> None:
    named = codes(model(profile))
    assert named == {item.code for item in registry() if item.family == "MET" and item.kind is RuleKind.TABLE}


def test_a_file_that_was_not_parsed_is_met020s_alone(listing: Listing) -> None:
    listing.rows = []
    listing.metadata_source |= {"problem": "ragged", "detail": "a row has 18 fields, the heading has 17", "line": 3}
    report = listing.report()
    (finding,) = report.findings
    assert finding.rule == "MET020"
    assert finding.message == "metadata.csv can't be parsed: a row has 18 fields, the heading has 17 (line 3)."
    assert (finding.subject.path, finding.subject.row) == ("metadata.csv", 3)
    reasons = {
        outcome.reason for outcome in report.outcomes if outcome.rule.startswith("MET") and outcome.rule != "MET020"
    }
    assert reasons == {"metadata.csv could not be read"}


def test_parts_that_were_not_parsed_are_one_finding(listing: Listing) -> None:
    listing.rows = []
    broken = {"problem": "delimiter", "detail": "fields are parted by semicolons, not by commas", "relation": "part"}
    listing.metadata_source |= broken
    listing.more_sources = [listing.metadata_source | {"path": "manifest-2/metadata.csv", "used": False}]
    (finding,) = listing.found()
    assert finding.message.endswith("not by commas. Nor can manifest-2/metadata.csv.")


def test_a_part_that_lacks_a_column_is_met001s_and_its_series_are_known(listing: Listing) -> None:
    listing.metadata_source["relation"] = "part"
    lacking = json.dumps([name for name in HEADINGS if name != "Study UID"])
    listing.more_sources = [listing.metadata_source | {"path": "manifest-2/metadata.csv", "columns": lacking}]
    change(listing, TWO, "CT", path="manifest-2/metadata.csv", unsure=True, study_uid=None)
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.path, finding.subject.column) == (
        "MET001",
        "manifest-2/metadata.csv",
        "Study UID",
    )
    assert finding.message == "manifest-2/metadata.csv has no column Study UID."


def test_no_file_is_a_skip(listing: Listing) -> None:
    listing.metadata_source = {}
    listing.rows = []
    report = listing.report()
    assert report.findings == []
    met = [outcome for outcome in report.outcomes if outcome.rule.startswith("MET")]
    assert {(outcome.status, outcome.reason) for outcome in met} == {(Status.SKIPPED, "metadata.csv was not found")}


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_missing_column_is_met001s_alone(listing: Listing, heading: str) -> None:
    from crlm_qc.rules.met._model import HEADINGS as COLUMNS

    listing.headings(*(name for name in HEADINGS if name != heading))
    (column,) = [name for name, text in COLUMNS.items() if text == heading]
    parsed = {
        "subject_id": ["patient"],
        "number_of_images": ["images"],
        "study_date": ["date"],
        "file_size": ["size_decimal", "size_binary"],
        "file_location": ["folder"],
    }
    for row in listing.rows:
        for name in (column, *parsed.get(column, [])):
            del row[name]
        if column == "file_location":
            row["location_problem"] = "missing"
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.column) == ("MET001", heading)
    assert finding.message == f"metadata.csv has no column {heading}."


def test_unknown_and_odd_columns(listing: Listing) -> None:
    odd = [name.upper() if name == "Modality" else name for name in HEADINGS]
    listing.headings(*odd, "Reviewed by Jane Doe", "Collection", "")
    found = listing.found()
    assert [(one.rule, one.subject.column) for one in found] == [
        ("MET002", "Collection"),
        ("MET002", "Modality"),
        ("MET002", "column 18"),
        ("MET002", "column 20"),
    ]
    assert found[0].message == "Column 19 of metadata.csv repeats the heading Collection; the first one is used."
    assert found[1].message == "Column 11 of metadata.csv is not written Modality."
    assert found[2].message == "Column 18 of metadata.csv is unknown: text of 9 to 32 characters."
    assert {one.severity for one in found} == {Severity.WARNING}


def change(listing: Listing, patient: str, modality: str, /, **values: Any) -> None:
    listing.row(patient, modality).update(values)


CELLS: list[tuple[str, str, dict[str, Any], tuple[str, int, str]]] = [
    ("MET003", "CT", {"study_uid": f"{ROOT}.01"}, ("MET003", 2, "Study UID")),
    ("MET003", "SEG", {"study_uid": None}, ("MET003", 3, "Study UID")),
    ("MET005", "CT", {"collection": "HCC-TACE-Seg"}, ("MET005", 2, "Collection")),
    ("MET005", "CT", {"collection": None}, ("MET005", 2, "Collection")),
    ("MET006", "CT", {"subject_id": "CRLMCT1001", "patient": None}, ("MET006", 2, "Subject ID")),
    ("MET007", "CT", {"modality": "PT"}, ("MET007", 2, "Modality")),
    ("MET007", "SEG", {"modality": None}, ("MET007", 3, "Modality")),
    ("MET008", "CT", {"sop_class_name": "MR Image Storage"}, ("MET008", 2, "SOP Class Name")),
    ("MET008", "CT", {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}, ("MET008", 2, "SOP Class UID")),
    ("MET008", "SEG", {"sop_class_name": "Label Map Segmentation Storage"}, ("MET008", 3, "SOP Class Name")),
    ("MET008", "CT", {"modality": "SEG"}, ("MET008", 2, "SOP Class UID")),
    ("MET009", "CT", {"number_of_images": "forty", "images": None}, ("MET009", 2, "Number of Images")),
    ("MET009", "CT", {"number_of_images": "0", "images": 0}, ("MET009", 2, "Number of Images")),
    ("MET009", "SEG", {"number_of_images": "2", "images": 2}, ("MET009", 3, "Number of Images")),
    ("MET010", "CT", {"file_size": "large", "size_decimal": None, "size_binary": None}, ("MET010", 2, "File Size")),
    ("MET013", "CT", {"study_date": "1992-06-07", "date": None}, ("MET013", 2, "Study Date")),
]


@pytest.mark.parametrize(("code", "modality", "values", "where"), CELLS)
def test_one_wrong_cell_is_one_finding(
    listing: Listing, code: str, modality: str, values: dict[str, Any], where: tuple[str, int, str]
) -> None:
    change(listing, ONE, modality, **values)
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.subject.column) == where
    assert finding.message.startswith(f"Line {where[1]} of metadata.csv: ")
    assert finding.subject.uid == f"{ROOT}.1001.{1 if modality == 'CT' else 2}"
    assert finding.patient == (None if code == "MET006" else ONE)
    assert finding.expected
    assert finding.observed


@pytest.mark.parametrize("uid", ["", "1", "1.2.x", "01.2", "1..2", "3.2", "1.2 ", "1." + "2" * 63, "Jane Doe"])
def test_an_invalid_series_uid_is_met003s_alone(listing: Listing, uid: str) -> None:
    change(listing, TWO, "CT", series_uid=uid or None)
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.subject.uid) == ("MET003", 4, None)
    assert finding.message == "Line 4 of metadata.csv: Series UID is no valid DICOM UID."
    assert "Jane" not in str(finding.as_dict())


def test_both_uids_invalid_are_one_finding(listing: Listing) -> None:
    change(listing, TWO, "CT", series_uid="x", study_uid="y")
    (finding,) = listing.found()
    assert (finding.rule, finding.count) == ("MET003", 2)
    assert "Series UID and Study UID are no valid DICOM UIDs." in finding.message


def test_a_row_twice(listing: Listing) -> None:
    listing.rows += [{**listing.row(ONE, "CT"), "row": line} for line in (6, 7)]
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.count) == ("MET004", 6, 3)
    assert finding.message == "Line 6 of metadata.csv: its Series UID stands in lines 2, 6, 7."


def test_two_wrong_cells_of_a_row_are_two_findings(listing: Listing) -> None:
    change(listing, ONE, "CT", collection="x", study_date="x", date=None)
    assert listing.flat() == [("MET005", 2, "Collection"), ("MET013", 2, "Study Date")]


def test_a_malformed_subject_in_both_rows(listing: Listing) -> None:
    for modality in ("CT", "SEG"):
        change(listing, TWO, modality, subject_id="CRLMCT1002")
    for row in listing.rows[2:]:
        row["patient"] = None
    assert listing.flat() == [("MET006", 4, "Subject ID"), ("MET006", 5, "Subject ID")]


def test_study_uids_of_a_subject(listing: Listing) -> None:
    change(listing, TWO, "SEG", study_uid=f"{ROOT}.77")
    first, second = listing.found()
    assert (first.rule, first.subject.row, first.subject.column) == ("MET012", 5, "Study UID")
    assert (
        first.message == "Line 5 of metadata.csv: Study UID of CRLM-CT-1002's SEG differs from that of its CT (line 4)."
    )
    assert (first.expected, first.observed) == (f"{ROOT}.1002.9", f"{ROOT}.77")
    assert (second.rule, second.subject.row) == ("MET018", 5)


def test_a_subject_without_its_seg_row(listing: Listing) -> None:
    uid = listing.row(TWO, "SEG")["series_uid"]
    listing.rows = [row for row in listing.rows if row["series_uid"] != uid]
    listing.manifest = [row for row in listing.manifest if row["entry"] != uid]
    pair, missing = listing.found()
    assert (pair.rule, pair.patient) == ("MET014", TWO)
    assert pair.message == "CRLM-CT-1002 has 1 CT row, 0 SEG rows in metadata.csv."
    assert (missing.rule, missing.patient, missing.subject.uid) == ("MET015", TWO, uid)
    assert missing.message == "metadata.csv has no row for this series of 1 file."


def test_a_row_without_files(listing: Listing) -> None:
    new = f"{ROOT}.5"
    listing.rows.append({**listing.row(TWO, "SEG"), "row": 6, "series_uid": new})
    listing.manifest.append({"line": 20, "entry": new})
    pair, files = listing.found()
    assert (pair.rule, pair.observed) == ("MET014", "1 CT row, 2 SEG rows")
    assert (files.rule, files.subject.row, files.subject.uid) == ("MET016", 6, new)
    assert files.message == "Line 6 of metadata.csv: no file of this series is on disk: its folder holds no file of it."


def test_a_patient_who_is_not_on_disk_is_met016s_not_met011s(listing: Listing) -> None:
    for modality in ("CT", "SEG"):
        listing.remove_files(listing.row(TWO, modality)["series_uid"])
        change(listing, TWO, modality, folder=None, location_problem="missing")
    listing.patients.pop()
    assert listing.flat() == [("MET016", 4, "Series UID"), ("MET016", 5, "Series UID")]
    assert listing.flat(settings=Settings(subset=True)) == []


def test_a_patient_of_a_subset_who_lacks_a_series_is_told(listing: Listing) -> None:
    listing.remove_files(listing.row(TWO, "SEG")["series_uid"])
    change(listing, TWO, "SEG", folder=None, location_problem="missing")
    assert listing.flat(settings=Settings(subset=True)) == [("MET016", 5, "Series UID")]


def test_patients_that_were_not_read_are_not_compared(listing: Listing) -> None:
    for modality in ("CT", "SEG"):
        listing.remove_files(listing.row(TWO, modality)["series_uid"])
    assert listing.flat(patients_read=(ONE,)) == []
    change(listing, ONE, "CT", images=4, number_of_images="4")
    assert listing.flat(patients_read=(ONE,)) == [("MET017", 2, "Number of Images")]


def test_unreadable_files_explain_a_series_that_is_not_there(listing: Listing) -> None:
    uid = listing.row(TWO, "SEG")["series_uid"]
    broken = next(row for row in listing.files if row["series_uid"] == uid)
    listing.remove_files(uid)
    kept = {name: broken[name] for name in ("patient", "path", "folder", "name", "size", "in_collection")}
    listing.files.append({**kept, "kind": "unreadable", "problem": "cut-header"})
    assert listing.flat() == []


def test_an_invalid_uid_in_the_header_is_rel016s(listing: Listing) -> None:
    for row in (*listing.files, *listing.dsos):
        if row["series_uid"] == f"{ROOT}.1002.2":
            row["series_uid"] = f"{ROOT}.01002.2"
    assert listing.flat() == []


@pytest.mark.parametrize(
    ("values", "message", "observed"),
    [
        (
            {"folder": None, "location_problem": "missing", "file_location": "./elsewhere"},
            "File Location leads to no folder of the release.",
            "no such folder",
        ),
        ({"folder": None, "location_problem": "missing", "file_location": None}, "File Location is empty.", "empty"),
        (
            {"folder": None, "location_problem": "outside", "file_location": "../elsewhere"},
            "File Location leads outside the release; it was not followed.",
            "outside the release",
        ),
        (
            {"folder": f"Colorectal-Liver-Metastases/{ONE}"},
            "File Location leads to a folder that does not hold the series.",
            f"Colorectal-Liver-Metastases/{ONE}",
        ),
    ],
)
def test_locations(listing: Listing, values: dict[str, Any], message: str, observed: str) -> None:
    change(listing, TWO, "CT", **values)
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.subject.column) == ("MET011", 4, "File Location")
    assert finding.message == f"Line 4 of metadata.csv: {message}"
    assert finding.observed == observed
    assert finding.expected.endswith("/101.000000-NA-00001")


def test_the_folder_above_the_series_holds_it(listing: Listing) -> None:
    change(listing, TWO, "CT", folder=f"Colorectal-Liver-Metastases/{TWO}")
    assert listing.flat() == []


def test_a_location_outside_is_told_even_where_the_series_is_not_there(listing: Listing) -> None:
    listing.remove_files(listing.row(TWO, "CT")["series_uid"])
    change(listing, TWO, "CT", folder=None, location_problem="outside")
    assert [code for code, _, _ in listing.flat()] == ["MET011", "MET016"]


def test_number_of_images(listing: Listing) -> None:
    listing.files.pop(1)
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.expected, finding.observed) == ("MET017", 2, "3", "2")
    assert finding.message == "Line 2 of metadata.csv: Number of Images is 3, on disk are 2 files."


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "unreadable", "series_uid": None, "sop_instance_uid": None},
        {"kind": "link", "series_uid": None, "sop_instance_uid": None},
        {"series_uid": f"{ROOT}.4"},
    ],
)
def test_another_rules_file_explains_a_count(listing: Listing, values: dict[str, Any]) -> None:
    listing.files[1].update(values)
    assert listing.flat() == []


def test_a_copy_explains_a_count_and_a_size(listing: Listing) -> None:
    listing.files.append({**listing.files[0], "path": "copy.dcm", "name": "copy.dcm"})
    assert listing.flat() == []


def test_numbers_that_may_be_record_numbers_are_not_shown(listing: Listing) -> None:
    change(listing, ONE, "CT", number_of_images="88121024", images=88121024)
    (finding,) = listing.found()
    assert (finding.rule, finding.expected) == ("MET017", "a number of 8 digits")
    assert "8812" not in str(finding.as_dict())
    assert "88,12" not in str(finding.as_dict())


def test_a_file_size_that_may_be_a_record_number_is_not_shown(listing: Listing) -> None:
    change(listing, ONE, "CT", file_size="88121024 MB", size_decimal=88121024e6, size_binary=88121024.0 * 2**20)
    (finding,) = listing.found()
    assert (finding.rule, finding.observed) == ("MET019", "a number of 8 digits, and a unit")
    assert "8812" not in str(finding.as_dict())


def test_file_size(listing: Listing) -> None:
    change(listing, ONE, "CT", file_size="3.16 MB", size_decimal=3.16e6, size_binary=3.16 * 2**20)
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.severity) == ("MET019", 2, Severity.WARNING)
    assert (
        finding.message
        == f"Line 2 of metadata.csv: File Size is 3.16 MB, the files on disk hold {3 * SLICE_BYTES:,} bytes."
    )
    assert (finding.expected, finding.observed) == ("1.58 MB, within 1%", "3.16 MB")


@pytest.mark.parametrize(
    ("size", "silent"),
    [(1.5824e6, True), (1.59e6, True), (1.61e6, False), (1.5824e6 / 1.048576, True), (1.55e6, False)],
)
def test_file_size_within_a_hundredth_in_either_unit(listing: Listing, size: float, silent: bool) -> None:
    text = f"{size / 1e6:.4f} MB"
    change(listing, ONE, "CT", file_size=text, size_decimal=size, size_binary=size * 1.048576)
    assert (listing.flat() == []) is silent


def test_rounding_of_a_small_size_is_no_difference(listing: Listing) -> None:
    for row in listing.files:
        if row["kind"] == "dso":
            row["size"] = 4_300
    for patient in (ONE, TWO):
        change(listing, patient, "SEG", file_size="0.00 MB", size_decimal=0.0, size_binary=0.0)
    assert listing.flat() == []


def test_a_cut_file_is_rel005s(listing: Listing) -> None:
    listing.files[0] |= {"size": 1000, "pixel_bytes_found": 4}
    assert listing.flat() == []


HEADERS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"manufacturer": "SIEMENS"}, {}, "Manufacturer", "Manufacturer: SIEMENS"),
    ({}, {"series_description": "CT CH/AB/PEL"}, "Series Description", "Series Description: empty"),
    ({"series_description": "POST CON"}, {}, "Series Description", "Series Description: POST CON"),
    ({}, {"study_date": "19920709"}, "Study Date", "Study Date: 06-07-1992"),
    ({"study_description": "CT LIVER"}, {}, "Study Description", "Study Description: CT LIVER"),
]


@pytest.mark.parametrize(("row", "header", "column", "observed"), HEADERS)
def test_headers(listing: Listing, row: dict[str, Any], header: dict[str, Any], column: str, observed: str) -> None:
    change(listing, ONE, "CT", **row)
    for one in listing.slices[:3]:
        one.update(header)
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.subject.column) == ("MET018", 2, column)
    assert finding.message == f"Line 2 of metadata.csv: {column} contradicts the DICOM headers."
    assert finding.observed == observed


def test_several_contradictions_of_a_row_are_one_finding(listing: Listing) -> None:
    change(listing, ONE, "CT", manufacturer="Jane Doe", date="19930607", study_date="06-07-1993")
    (finding,) = listing.found()
    assert (finding.rule, finding.count) == ("MET018", 2)
    assert finding.message.endswith("Study Date, Manufacturer contradict the DICOM headers.")
    assert finding.expected == "Study Date: 19920607; Manufacturer: GE MEDICAL SYSTEMS"
    assert "Jane" not in str(finding.as_dict())


def test_the_subject_of_another_patient(listing: Listing) -> None:
    for one, other in ((ONE, TWO), (TWO, ONE)):
        for modality in ("CT", "SEG"):
            change(listing, one, modality, subject_id=other)
    for row in listing.rows:
        row["patient"] = row["subject_id"]
    found = listing.found()
    assert [(one.rule, one.subject.row, one.subject.column) for one in found] == [
        ("MET018", line, "Subject ID") for line in (2, 3, 4, 5)
    ]
    assert found[0].observed == "Subject ID: CRLM-CT-1002"


@pytest.mark.parametrize(
    ("row", "header"),
    [
        ({"series_description": None}, {}),
        ({"series_description": "NA"}, {"series_description": "NA"}),
        ({"study_description": " CT  CH/ABD/PEL"}, {}),
        # The downloader drops what is no letter, digit, blank, dot or dash.
        ({"study_description": "CT CHABDPEL W CONTRAST"}, {"study_description": "CT CH/ABD/PEL W/ CONTRAST"}),
        ({"series_description": "ABDMEN"}, {"series_description": "ABD\u00d3MEN"}),
        ({"series_description": "null"}, {"series_description": "***"}),
        ({}, {"study_date": None}),
        ({}, {"study_date": "unknown"}),
        ({}, {"patient_id": TWO}),
        ({}, {"patient_id": None}),
        ({}, {"study_uid": f"{ROOT}.4"}),
        ({}, {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}),
        ({}, {"study_uid": None, "sop_class_uid": None}),
    ],
)
def test_what_agrees_or_is_another_rules(listing: Listing, row: dict[str, Any], header: dict[str, Any]) -> None:
    change(listing, ONE, "CT", **row)
    for one in listing.slices[:3]:
        one.update(header)
    assert listing.flat() == []


def test_one_slice_of_several_that_agrees_is_enough(listing: Listing) -> None:
    listing.slices[0]["manufacturer"] = "SIEMENS"
    assert listing.flat() == []


def test_a_list_without_a_release_is_not_compared_with_the_disk(listing: Listing) -> None:
    listing.files, listing.slices, listing.dsos, listing.patients = [], [], [], []
    for row in listing.rows:
        row["folder"], row["location_problem"] = None, "missing"
    report = listing.report()
    assert report.findings == []
    skipped = {outcome.rule for outcome in report.outcomes if outcome.reason == "no series was found on disk"}
    assert skipped == {"MAN008", "MET011", "MET015", "MET016", "MET017", "MET018", "MET019"}


def test_loose_series_in_a_mixed_folder_are_rel014s(listing: Listing) -> None:
    listing.files.append(
        {**listing.files[0], "path": "x.dcm", "series_uid": f"{ROOT}.8", "sop_instance_uid": f"{ROOT}.8.1"}
    )
    assert listing.flat() == []


def note(kind: str, line: int, detail: str, column: str | None = None) -> dict[str, Any]:
    where = {"source": "metadata", "path": "metadata.csv"}
    return {**where, "kind": kind, "row": line, "detail": detail, "column": column}


NOTES: list[tuple[list[dict[str, Any]], str, str]] = [
    (
        [note("heading-again", 5, "the heading stands again")],
        "MET022",
        "The heading of metadata.csv stands again in line 5: two tables were joined.",
    ),
    (
        [note("heading-again", line, "the heading stands again") for line in (5, 9)],
        "MET022",
        "The heading of metadata.csv stands again in lines 5, 9: 3 tables were joined.",
    ),
    (
        [note("put-right", 3, "File Size has a decimal comma", "File Size")],
        "MET023",
        "Line 3 of metadata.csv: File Size has a decimal comma. It was put right, and judged so.",
    ),
    (
        [note("lost", line, "it has 18 fields, the heading has 17") for line in range(3, 40)],
        "MET023",
        "37 lines of metadata.csv: it has 18 fields, the heading has 17, and the fields can't be told apart. Its values were not judged.",
    ),
    (
        [note("before-heading", 1, "a line sep=")],
        "MET024",
        "Line 1 of metadata.csv: a line sep= is before the heading.",
    ),
    (
        [note("invisible", 2, "en dash", "Subject ID"), note("invisible", 3, "en dash", "Study Date")],
        "MET025",
        "2 lines of metadata.csv: Subject ID, Study Date hold what can't be seen or looks like another character (en dash), and were read as it looks.",
    ),
]


@pytest.mark.parametrize(("notes", "code", "message"), NOTES)
def test_what_was_put_right_is_told_once(
    listing: Listing, notes: list[dict[str, Any]], code: str, message: str
) -> None:
    listing.notes = notes
    (finding,) = listing.found()
    assert (finding.rule, finding.message, finding.count) == (code, message, len(notes))


def test_a_row_that_could_not_be_told_apart_is_not_judged_and_not_missed(listing: Listing) -> None:
    row = listing.row(TWO, "SEG")
    kept = {name: row[name] for name in ("row", "series_uid")}
    listing.rows[listing.rows.index(row)] = {**kept, "unsure": True, "location_problem": "missing"}
    listing.notes = [note("lost", row["row"], "it has 18 fields, the heading has 17")]
    assert [code for code, _, _ in listing.flat()] == ["MET023"]


def test_the_archives_list_is_one_finding(listing: Listing) -> None:
    listing.headings("SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Modality", "ImageCount", "Site")
    (finding,) = listing.found()
    assert (finding.rule, finding.count) == ("MET026", 12)
    assert "5 columns could be read" in finding.message


@pytest.mark.parametrize(
    "heading", ["series_uid", "SeriesUID", "Series Instance UID", "Series\u00a0UID", "\ufeffSeries UID"]
)
def test_a_heading_in_another_writing_is_one_warning(listing: Listing, heading: str) -> None:
    listing.headings(heading, *HEADINGS[1:])
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.column) == ("MET002", "Series UID")
    assert ("no-break space" in finding.message) is ("\u00a0" in heading)


def test_a_heading_much_like_the_missing_one_is_one_error(listing: Listing) -> None:
    listing.headings(*("Study Dates" if name == "Study Date" else name for name in HEADINGS))
    for row in listing.rows:
        del row["study_date"], row["date"]
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.column) == ("MET001", "Study Date")
    assert finding.message == "metadata.csv has no column Study Date; the heading of column 8 is much like it."


def test_most_headings_in_another_writing_are_one_finding(listing: Listing) -> None:
    listing.headings(*(name.lower().replace(" ", "_") for name in HEADINGS))
    (finding,) = listing.found()
    assert (finding.rule, finding.count) == ("MET002", 17)
    assert finding.message == "All 17 columns of metadata.csv: they are not written as the downloader does."


def test_a_table_of_another_kind_is_one_error(listing: Listing) -> None:
    listing.headings("Subject ID", "Modality", "age", "sex")
    found = [one for one in listing.found() if one.rule == "MET001"]
    assert [(one.count, one.observed) for one in found] == [(15, "4 columns")]
    assert found[0].examples[0] == "Series UID"


def test_columns_of_newer_downloaders_are_none_of_ours(listing: Listing) -> None:
    listing.headings(*HEADINGS, "License Name", "License URL", "Annotation Size")
    assert listing.flat() == []


def test_the_column_tells_whether_the_day_comes_first(listing: Listing) -> None:
    for row, day in zip(listing.rows, ("07.06.1992", "25.06.1992"), strict=False):
        row["study_date"], row["date"] = day, None
    found = listing.found()
    assert [one.observed for one in found] == ["text of 9 to 32 characters"] * 2
    for row in listing.rows[2:]:
        row["study_date"], row["date"] = "06.07.1992", None
    (finding,) = listing.found()
    assert finding.observed == "D.M.YYYY"


def test_day_and_month_swapped(listing: Listing) -> None:
    for row in listing.rows:
        row["study_date"], row["date"] = "07-06-1992", "19920706"
    (finding,) = listing.found()
    assert finding.message == (
        "All 4 rows of metadata.csv: Study Date contradicts the DICOM headers; day and month are the other way round."
    )


ALIKE: list[tuple[dict[str, Any], str, str]] = [
    (
        {"study_date": "6/7/1992", "date": None},
        "All 4 rows of metadata.csv: Study Date is no date MM-DD-YYYY, but M/D/YYYY.",
        "M/D/YYYY",
    ),
    (
        {"file_size": "84,84 MB", "size_decimal": None, "size_binary": None},
        "All 4 rows of metadata.csv: File Size has a decimal comma.",
        "",
    ),
    ({"collection": "Other"}, f"All 4 rows of metadata.csv: Collection is not {NAME}.", "text of 1 to 8 characters"),
]


@pytest.mark.parametrize(("values", "message", "observed"), ALIKE)
def test_rows_that_fail_alike_are_one_finding(
    listing: Listing, values: dict[str, Any], message: str, observed: str
) -> None:
    for row in listing.rows:
        row.update(values)
    (finding,) = listing.found()
    assert (finding.message, finding.observed, finding.count) == (message, observed, 4)
    assert finding.examples == ("line 2", "line 3", "line 4", "line 5")
    listing.rows[0] = make_listing().rows[0]
    assert len(listing.found()) == 3


@pytest.mark.parametrize(
    ("location", "problem", "severity"),
    [
        ("C:\\Users\\jane\\manifest\\", "outside", Severity.ERROR),
        ("/home/jane/manifest/", "outside", Severity.ERROR),
        ("./train/", "missing", Severity.WARNING),
    ],
)
def test_locations_of_another_tree_are_one_finding(
    listing: Listing, location: str, problem: str, severity: Severity
) -> None:
    mark = "\\" if "\\" in location else "/"
    for row in listing.rows:
        row["file_location"] = location + row["folder"].upper().replace("/", mark)
        row["folder"], row["location_problem"] = None, problem
    (finding,) = listing.found()
    assert (finding.rule, finding.count, finding.severity) == ("MET011", 4, severity)
    assert finding.message.endswith("; the series lies in a folder of the same name in the release.")
    assert "jane" not in str(finding.as_dict())


def test_rows_that_repeat_others_are_one_finding(listing: Listing) -> None:
    listing.rows += [{**row, "row": row["row"] + 5, "download_timestamp": "x"} for row in listing.rows[:3]]
    (finding,) = listing.found()
    assert (finding.rule, finding.count) == ("MET004", 3)
    assert finding.message == "3 of 7 rows of metadata.csv repeat another row."
    listing.rows[-1]["collection"] = "x"
    assert [(one.rule, one.count) for one in listing.found()] == [("MET004", 2), ("MET004", 2), ("MET005", 1)]


@pytest.mark.parametrize("said", ["NA", "null", None, ""])
def test_what_is_empty_is_so_in_every_writing(listing: Listing, said: str | None) -> None:
    change(listing, ONE, "CT", study_description=said, series_description=said, manufacturer=said)
    for one in listing.slices[:3]:
        one.update(study_description=None, series_description=None, manufacturer=None)
    assert listing.flat() == []


def test_never_more_than_twelve_findings_of_one_cause(listing: Listing) -> None:
    for number in range(40):
        for modality in ("CT", "SEG"):
            row = listing.row(ONE, modality)
            uid, line = f"{row['series_uid']}.{number}", 6 + 2 * number + (modality == "SEG")
            own = {
                "series_uid": uid,
                "row": line,
                "patient": f"CRLM-CT-1{100 + number}",
                "subject_id": f"CRLM-CT-1{100 + number}",
            }
            listing.rows.append({**row, **own, "study_uid": f"{ROOT}.7.{number + 1}.{line % 2}"})
    found = listing.found()
    assert {one.rule for one in found} == {"MET012", "MET016", "MAN005"}
    assert all(sum(one.rule == code for one in found) == 1 for code in ("MET012", "MET016", "MAN005"))


@pytest.mark.reference
@pytest.mark.parametrize("variant", ["as it is", "bom", "crlf", "windows", "quoted", "cleaned"])
def test_the_real_list_passes(reference: Path, profile: Profile, tmp_path: Path, variant: str) -> None:
    content = (reference / "metadata-reconstructed.csv").read_text(encoding="utf-8")
    if variant == "windows":
        lines = content.splitlines()
        content = "\r\n".join(line.replace("./Colorectal", ".\\Colorectal") for line in lines)
        assert content.count(".\\Colorectal") == 394
    if variant == "crlf":
        content = content.replace("\r\n", "\n").replace("\n", "\r\n")
    if variant == "quoted":
        content = "\n".join(",".join(f'"{field}"' for field in line.split(",")) for line in content.splitlines())
    if variant == "cleaned":
        rows = list(csv.reader(content.splitlines()))
        texts = [place for place, heading in enumerate(rows[0]) if heading.endswith("Description")]
        for fields in rows[1:]:
            for place in texts:
                fields[place] = downloaded(fields[place]) or "null"
        content = "\n".join(map(",".join, rows))
    path = tmp_path / "metadata.csv"
    path.write_bytes((b"\xef\xbb\xbf" if variant == "bom" else b"") + content.encode())
    found = read_metadata(item_at(path), open_source(tmp_path), profile)
    evidence = Evidence(Facts(), {name: frame(name, rows) for name, rows in found.items()})
    report = judge(evidence, profile, rules=[item for item in registry() if item.family == "MET"])
    assert report.findings == []
    examined = {outcome.rule: outcome.examined for outcome in report.outcomes if outcome.status is Status.PASSED}
    assert examined["MET003"] == examined["MET013"] == 394
    assert examined["MET012"] == examined["MET014"] == 197
    assert len(examined) == 20
    assert json.loads(found["sources"][0]["columns"]) == list(profile.metadata_columns)


@pytest.mark.reference
def test_decimal_commas_of_the_real_list_are_put_right(reference: Path, profile: Profile, tmp_path: Path) -> None:
    rows = list(csv.reader((reference / "metadata-reconstructed.csv").read_text(encoding="utf-8").splitlines()))
    place = rows[0].index("File Size")
    for fields in rows[1:]:
        fields[place] = fields[place].replace(".", ",")
    path = tmp_path / "metadata.csv"
    path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    found = read_metadata(item_at(path), open_source(tmp_path), profile)
    evidence = Evidence(Facts(), {name: frame(name, rows) for name, rows in found.items()})
    (finding,) = judge(evidence, profile, rules=[item for item in registry() if item.family == "MET"]).findings
    assert (finding.rule, finding.count) == ("MET023", 394)
