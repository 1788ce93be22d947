"""What of a header comes into the table `identifiers`: states, never a value."""

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support import tiny
from support.sources import UNREAD

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.deidentification import MAX_DEPTH, IdentifierScan
from crlm_qc.evidence.dicom.header import quiet, read_header
from crlm_qc.model.tables import frame

PROFILE = load_profile()
Rows = dict[str, list[dict[str, Any]]]


def scan(*files: Dataset) -> Rows:
    quiet()
    made = IdentifierScan(tiny.PATIENT, PROFILE)
    for ds in files:
        content = tiny.to_bytes(ds)
        made.add(read_header(BytesIO(content), UNREAD))
    rows = made.rows()
    assert len(frame("identifiers", rows)) == len(rows)
    found: Rows = {}
    for row in rows:
        found.setdefault(row["attribute"], []).append(row)
    return found


def item(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def only(rows: Rows, attribute: str) -> dict[str, Any]:
    (row,) = rows[attribute]
    return row


def test_names_are_compared_with_the_patient_id() -> None:
    same, other, none, neither = (tiny.ct_slice(index) for index in range(4))
    other.PatientName = "ROE^RICHARD"
    none.PatientName = ""
    neither.PatientName = neither.PatientID = "ROE^RICHARD"
    rows = scan(same, other, none, neither)
    assert {(row["state"], row["n_files"]) for row in rows["PatientName"]} == {
        ("patient-id", 1),
        ("present", 2),
        ("empty", 1),
    }
    assert "ROE" not in str(rows)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("undefined", [False, True])
def test_items_of_sequences_are_walked(syntax: str, undefined: bool) -> None:
    ds = tiny.ct_slice(syntax=syntax)
    inner = item(PersonName="ROE^RICHARD", PersonAddress="1 Main Street")
    ds.RequestAttributesSequence = Items(
        [item(ScheduledProcedureStepID="A17", ReferencedImageSequence=Items([])), item(ScheduledProcedureStepID="")]
    )
    ds.RequestAttributesSequence[0].RequestedProcedureCodeSequence = Items([inner])
    ds["RequestAttributesSequence"].is_undefined_length = undefined
    other = tiny.ct_slice(1, syntax=syntax)
    other.RequestAttributesSequence = ds.RequestAttributesSequence
    rows = scan(ds, other)
    assert only(rows, "RequestAttributesSequence")["n_files"] == 2
    steps = {
        (row["state"], row["n_files"], row["n_values"])
        for row in rows["RequestAttributesSequence/ScheduledProcedureStepID"]
    }
    assert steps == {("present", 2, 2), ("empty", 2, 2)}
    deep = "RequestAttributesSequence/RequestedProcedureCodeSequence/PersonAddress"
    assert only(rows, deep) | {"patient": None} == {
        "patient": None,
        "series_uid": tiny.CT_SERIES,
        "attribute": deep,
        "tag": "00401102",
        "vr": "ST",
        "state": "present",
        "code": None,
        "length": "9 to 32",
        "pattern": None,
        "creator": None,
        "n_files": 2,
        "n_values": 2,
    }
    assert only(rows, deep.replace("PersonAddress", "PersonName"))["pattern"] == "name"


def test_private_elements_are_named_by_a_public_creator_alone() -> None:
    ds = tiny.ct_slice()
    for group, creator in ((0x0041, "RICHARD ROE 1.0"), (0x0045, "GEMS_HELIOS_01"), (0x0013, "CTP")):
        ds.private_block(group, creator, create=True).add_new(0x01, "LO", "call 212-555-0142")
    ds.private_block(0x0009, "GEMS_IDEN_01", create=True)
    ds.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x02, "LO", "")
    ds.add_new(0x00510101, "LO", "no creator")
    rows = scan(ds)
    private = {name: (row["creator"], row["state"], row["pattern"]) for name, (row,) in rows.items() if name[0] == "("}
    assert private == {
        "(0041,xx01)": ("other", "present", "telephone number"),
        "(0045,xx01)": ("GEMS_HELIOS_01", "present", "telephone number"),
        "(0013,xx01)": ("CTP", "present", "telephone number"),
        "(0019,xx02)": ("GEMS_ACQU_01", "empty", None),
        "(0051,xx01)": ("none", "present", None),
    }
    assert "ROE" not in str(rows)
    assert "555" not in str(rows)


def test_a_private_sequence_is_walked() -> None:
    ds = tiny.ct_slice()
    ds.private_block(0x0041, "RICHARD ROE", create=True).add_new(0x02, "SQ", Items([item(PatientAddress="1 Main")]))
    rows = scan(ds)
    assert only(rows, "(0041,xx02)")["state"] == "present"
    assert only(rows, "(0041,xx02)/PatientAddress")["tag"] == "00101040"


def test_only_values_of_the_standard_are_kept() -> None:
    ds = tiny.ct_slice()
    ds.PatientIdentityRemoved, ds.BurnedInAnnotation = "YES", "ROE"
    ds.LongitudinalTemporalInformationModified = ""
    ds.DeidentificationMethodCodeSequence = Items(
        [
            item(CodeValue="113100", CodingSchemeDesignator="DCM", CodeMeaning="Basic"),
            item(CodeValue="ROE", CodingSchemeDesignator="DCM", CodeMeaning="Roe"),
        ]
    )
    rows = scan(ds)
    codes = {name: (only(rows, name)["state"], only(rows, name)["code"]) for name in rows if only(rows, name)["code"]}
    assert codes == {
        "PatientIdentityRemoved": ("code", "YES"),
        "BurnedInAnnotation": ("code", "other"),
        "DeidentificationMethodCodeSequence": ("code", "113100 other"),
    }
    assert only(rows, "LongitudinalTemporalInformationModified")["state"] == "empty"
    assert "Roe" not in str(rows)
    assert "ROE" not in str(rows)


def test_texts_beyond_the_table_are_told_for_what_they_look_like() -> None:
    ds = tiny.segmentation([(1, 1, tiny.np.ones((8, 16), tiny.np.uint8))], labels=("Dr. Roe's liver",))
    ds.ContentDescription = "harmless"
    rows = scan(ds)
    assert only(rows, "SegmentSequence/SegmentLabel")["pattern"] == "name"
    assert "ContentDescription" not in rows


def test_overlays_count_even_if_they_are_black() -> None:
    ds = tiny.ct_slice()
    ds.add_new(0x60023000, "OW", bytes(16))
    row = only(scan(ds), "OverlayData")
    assert (row["tag"], row["state"]) == ("60023000", "present")


def test_text_in_another_character_set() -> None:
    ds = tiny.ct_slice()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientComments = "Frau M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller^Anna"
    row = only(scan(ds), "PatientComments")
    assert (row["pattern"], row["length"]) == ("name", "9 to 32")


def test_each_series_counts_for_itself() -> None:
    other = tiny.ct_slice(1)
    other.SeriesInstanceUID = tiny.uid(77)
    rows = scan(tiny.ct_slice(), other)
    assert [(row["series_uid"], row["n_files"]) for row in rows["PatientSex"]] == [
        (tiny.CT_SERIES, 1),
        (tiny.uid(77), 1),
    ]


def test_a_sequence_that_makes_no_sense_does_not_end_the_reading() -> None:
    ds = tiny.ct_slice(syntax=ExplicitVRLittleEndian)
    ds.add_new("RequestAttributesSequence", "OB", b"Richard Roe 1 Main Street ")
    content = tiny.to_bytes(ds).replace(b"\x40\x00\x75\x02OB", b"\x40\x00\x75\x02SQ")
    quiet()
    made = IdentifierScan(tiny.PATIENT, PROFILE)
    made.add(read_header(BytesIO(content), UNREAD))
    assert [row["state"] for row in made.rows() if row["attribute"] == "RequestAttributesSequence"] == ["present"]


def scan_sequence(content: bytes) -> list[dict[str, Any]]:
    ds = tiny.ct_slice()
    ds.add_new("RequestAttributesSequence", "OB", content + bytes(len(content) % 2))
    quiet()
    whole = tiny.to_bytes(ds).replace(b"\x40\x00\x75\x02OB", b"\x40\x00\x75\x02SQ")
    made = IdentifierScan(tiny.PATIENT, PROFILE)
    made.add(read_header(BytesIO(whole), UNREAD))
    return [row for row in made.rows() if row["attribute"].startswith("RequestAttributesSequence")]


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_whatever_a_sequence_holds_it_is_there(first: bytes, second: bytes) -> None:
    for content in (first, b"\xfe\xff\x00\xe0" + len(first).to_bytes(4, "little") + first + second):
        rows = scan_sequence(content)
        assert not content or rows[0]["attribute"] == "RequestAttributesSequence"


def test_a_sequence_within_one_that_is_of_unknown_representation() -> None:
    address = b"\x40\x00\x02\x11ST\x04\x001 Rd"
    unknown = b"\x40\x00\x75\x02UN\x00\x00\x04\x00\x00\x00abcd"
    item = b"\xfe\xff\x00\xe0" + len(address + unknown).to_bytes(4, "little") + address + unknown
    rows = scan_sequence(item)
    assert {row["attribute"] for row in rows} == {
        "RequestAttributesSequence",
        "RequestAttributesSequence/PersonAddress",
        "RequestAttributesSequence/RequestAttributesSequence",
    }
    assert {row["state"] for row in rows} == {"present"}


def test_a_text_of_numbers_alone_is_told_for_what_it_looks_like() -> None:
    ds = tiny.ct_slice()
    ds.PatientComments, ds.ImageComments, ds.StudyDescription = "212-555-0142", "123-45-6789", "CT ABD 02/04/1937"
    rows = scan(ds)
    assert [only(rows, name)["pattern"] for name in ("PatientComments", "ImageComments", "StudyDescription")] == [
        "telephone number",
        "record number",
        "date",
    ]


def test_a_private_creator_may_be_an_identifier_itself() -> None:
    ds = tiny.ct_slice()
    ds.private_block(0x0019, "ROE^RICHARD 212-555-0142", create=True)
    ds.private_block(0x0021, "EXAMPLE ARCHIVE 1.0", create=True)
    rows = scan(ds)
    row = only(rows, "(0019,0010)")
    assert (row["pattern"], row["creator"], row["state"]) == ("telephone number", None, "present")
    assert [name for name in rows if name.startswith("(")] == ["(0019,0010)"]
    assert "ROE" not in str(rows)


@pytest.mark.parametrize("vr", ["OB", "UN"])
def test_a_text_in_a_binary_element_of_an_allowed_creator_is_read(vr: str) -> None:
    ds = tiny.ct_slice()
    block = ds.private_block(0x0013, "CTP", create=True)
    block.add_new(0x01, vr, b"ROE^RICHARD\0")
    block.add_new(0x02, vr, b"\x01\x80ROE\xff\x00")
    rows = scan(ds)
    assert only(rows, "(0013,xx01)")["pattern"] == "name"
    assert only(rows, "(0013,xx02)")["pattern"] is None


def test_overlay_comments_are_a_text_of_the_table() -> None:
    ds = tiny.ct_slice()
    ds.add_new(0x60024000, "LT", "a comment")
    row = only(scan(ds), "OverlayComments")
    assert (row["tag"], row["state"]) == ("60024000", "present")


def test_a_content_creator_may_be_a_person() -> None:
    mask = tiny.np.ones((8, 16), tiny.np.uint8)
    person, role = (tiny.segmentation([(1, 1, mask)]) for _ in range(2))
    person.ContentCreatorName, role.ContentCreatorName = "Richard Roe", "Reader1"
    assert only(scan(person), "ContentCreatorName")["pattern"] == "name"
    assert only(scan(role), "ContentCreatorName")["pattern"] is None


def test_an_id_in_an_item_is_the_files_or_another() -> None:
    ds = tiny.ct_slice()
    ds.ReferencedImageSequence = Items([item(PatientID=tiny.PATIENT), item(PatientID="8812345")])
    rows = scan(ds)["ReferencedImageSequence/PatientID"]
    assert sorted(row["state"] for row in rows) == ["patient-id", "present"]


@pytest.mark.parametrize(
    ("date", "side"),
    [
        ("19920606", None),
        ("20110310", "after"),
        ("19370204", "before"),
        ("2011.03.10", "after"),
        ("2011-03-10", "after"),
        ("1992.06.06", None),
        ("00010101", None),
        ("x", "unreadable"),
        ("20110231", "unreadable"),
        ("10MAR2011", "unreadable"),
    ],
)
def test_dates_of_a_ct_image_lie_in_the_releases_range(date: str, side: str | None) -> None:
    ds = tiny.ct_slice()
    ds.AcquisitionDate, ds.AcquisitionDateTime = date, f"{date}101500"
    rows = scan(ds)
    assert (only(rows, "AcquisitionDate")["code"], only(rows, "AcquisitionDateTime")["code"]) == (side, side)


def test_dates_of_a_segmentation_object_are_those_of_its_making() -> None:
    ds = tiny.segmentation([(1, 1, tiny.np.ones((8, 16), tiny.np.uint8))])
    ds.ContentDate = ds.InstanceCreationDate = "20220629"
    rows = scan(ds)
    assert {only(rows, name)["code"] for name in ("ContentDate", "InstanceCreationDate")} == {None}


def test_ages_in_items_are_looked_at() -> None:
    ds = tiny.ct_slice()
    ds.PatientAge = "055Y"
    ds.RequestAttributesSequence = Items([item(PatientAge="95Y")])
    rows = scan(ds)
    assert only(rows, "PatientAge")["code"] is None
    assert only(rows, "RequestAttributesSequence/PatientAge")["code"] == "over"


def nested(depth: int) -> Dataset:
    ds = item(PatientComments="ROE^RICHARD")
    for _ in range(depth):
        ds = item(ReferencedImageSequence=Items([ds]))
    return ds


@pytest.mark.parametrize("undefined", [False, True])
def test_items_that_lie_too_deep_are_told_of(undefined: bool) -> None:
    for depth in (40, MAX_DEPTH + 4):
        ds = tiny.ct_slice()
        ds.RequestAttributesSequence = Items([nested(depth)])
        ds["RequestAttributesSequence"].is_undefined_length = undefined
        quiet()
        content = tiny.to_bytes(ds)
        made = IdentifierScan(tiny.PATIENT, PROFILE)
        made.add(read_header(BytesIO(content), UNREAD))
        assert made.too_deep is (depth > MAX_DEPTH)
        assert any(row["pattern"] == "name" for row in made.rows()) is (depth <= MAX_DEPTH)


def with_tail(*elements: tuple[int, bytes, bytes]) -> Rows:
    content = tiny.to_bytes(tiny.ct_slice())
    for tag, vr, value in elements:
        value += b" " * (len(value) % 2)  # noqa: PLW2901 - values are even
        size = len(value).to_bytes(4 if vr in (b"OB", b"UN") else 2, "little")
        reserved = b"\0\0" if vr in (b"OB", b"UN") else b""
        content += (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        content += vr + reserved + size + value
    quiet()
    made = IdentifierScan(tiny.PATIENT, PROFILE)
    header = read_header(BytesIO(content), UNREAD)
    assert header.trailing == 0
    made.add(header)
    found: Rows = {}
    for row in made.rows():
        found.setdefault(row["attribute"], []).append(row)
    return found


def test_elements_after_pixel_data_are_looked_at() -> None:
    rows = with_tail(
        (0x7FE10010, b"LO", b"CTP"), (0x7FE11001, b"LO", b"ROE^RICHARD"), (0xFFFCFFFC, b"OB", b"MRN 00123456")
    )
    assert only(rows, "(7FE1,xx01)")["pattern"] == "name"
    assert only(rows, "(7FE1,xx01)")["creator"] == "CTP"
    assert only(rows, "DataSetTrailingPadding")["pattern"] == "record number"


def test_zeros_after_pixel_data_are_padding() -> None:
    assert "DataSetTrailingPadding" not in with_tail((0xFFFCFFFC, b"OB", bytes(64)))


@pytest.mark.parametrize("patient", [None, tiny.PATIENT])
def test_a_directory_names_its_patients_in_items(patient: str | None) -> None:
    record = item(PatientID="CRLM-CT-1001", PatientName="CRLM-CT-1001")
    ds = tiny.ct_slice()
    del ds.PatientID, ds.PatientName
    ds.DirectoryRecordSequence = Items([record, item(PatientID="8812345", PatientName="ROE^RICHARD")])
    quiet()
    content = tiny.to_bytes(ds)
    made = IdentifierScan(patient, PROFILE)
    made.add(read_header(BytesIO(content), UNREAD))
    rows = made.rows()
    assert {row["patient"] for row in rows} == {patient}
    states = {(row["attribute"].rpartition("/")[2], row["state"]) for row in rows if "/" in row["attribute"]}
    assert states == {(name, state) for name in ("PatientID", "PatientName") for state in ("patient-id", "present")}


@pytest.mark.parametrize(
    ("character_set", "encoding", "comment"),
    [
        (None, "ascii", "FOR DR ROE"),
        ("ISO_IR 100", "latin-1", "f\u00fcr Frau M\u00fcller"),
        ("ISO_IR 192", "utf-8", "\u738b\u5148\u751f"),
        ("GB18030", "gb18030", "\u62a5\u544a\u533b\u751f:\u738b\u4f1f"),
        ("ISO_IR 144", "iso8859_5", "\u041f\u0420\u041e\u0424. \u0418\u0412\u0410\u041d\u041e\u0412"),
        ("\\ISO 2022 IR 87", "iso2022_jp", "\u7530\u4e2d\u5148\u751f"),
        ("no such set", "utf-8", "by Dr. M\u00fcller"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_names_are_found_in_texts_of_any_character_set(character_set: str | None, encoding: str, comment: str) -> None:
    ds = tiny.ct_slice()
    if character_set:
        ds.add_new("SpecificCharacterSet", "CS", character_set.split("\\"))
    held = comment.encode(encoding)
    held += b" " * (len(held) % 2)
    content = tiny.to_bytes(ds)
    tag = b"\x20\x00\x00\x40"
    comments = tag + b"LT" + len(held).to_bytes(2, "little") + held
    # Before Rows, the first element of group 0028.
    at = content.index(b"\x28\x00\x02\x00US")
    made = IdentifierScan("CRLM-CT-1001", load_profile())
    quiet()
    made.add(read_header(BytesIO(content[:at] + comments + content[at:]), UNREAD))
    assert {row["pattern"] for row in made.rows() if row["attribute"] == "ImageComments"} == {"name"}
