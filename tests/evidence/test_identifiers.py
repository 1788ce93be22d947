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

from crlm_qc.evidence.deidentification import IdentifierScan
from crlm_qc.evidence.dicom import quiet, read_header
from crlm_qc.model.profile import load_profile
from crlm_qc.model.tables import frame

PROFILE = load_profile()
Rows = dict[str, list[dict[str, Any]]]


def scan(*files: Dataset) -> Rows:
    quiet()
    made = IdentifierScan(tiny.PATIENT, PROFILE)
    for ds in files:
        content = tiny.to_bytes(ds)
        made.add(read_header(BytesIO(content), len(content), ""))
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
    made.add(read_header(BytesIO(content), len(content), ""))
    assert [row["state"] for row in made.rows() if row["attribute"] == "RequestAttributesSequence"] == ["present"]


def scan_sequence(content: bytes) -> list[dict[str, Any]]:
    ds = tiny.ct_slice()
    ds.add_new("RequestAttributesSequence", "OB", content + bytes(len(content) % 2))
    quiet()
    whole = tiny.to_bytes(ds).replace(b"\x40\x00\x75\x02OB", b"\x40\x00\x75\x02SQ")
    made = IdentifierScan(tiny.PATIENT, PROFILE)
    made.add(read_header(BytesIO(whole), len(whole), ""))
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
