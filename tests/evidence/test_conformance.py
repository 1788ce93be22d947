"""Values that the standard forbids are told by keyword, VR and form."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support import tiny
from support.sources import UNREAD

from crlm_qc.collection.forms import day_of, is_day
from crlm_qc.evidence.dicom.conformance import ValueScan, each_once
from crlm_qc.evidence.dicom.header import quiet, read_header
from crlm_qc.evidence.dicom.values import tag_of


def element(keyword: str, value: bytes, *, implicit: bool = False) -> RawDataElement:
    from pydicom.tag import Tag

    vr = None if implicit else dictionary_VR(keyword)
    return RawDataElement(Tag(tag_of(keyword)), vr, len(value), value, 0, implicit, True)


def told(keyword: str, value: bytes, **options: bool) -> str | None:
    data = Dataset()
    data[tag_of(keyword)] = element(keyword, value, **options)
    found = each_once(ValueScan().by_element(data))
    assert all((name, vr) == (keyword, dictionary_VR(keyword)) for name, vr, _ in found)
    return found[0][2] if found else None


@pytest.mark.parametrize(
    ("keyword", "value", "problem"),
    [
        ("PatientAge", b"055Y", None),
        ("PatientAge", b"006M", None),
        ("PatientAge", b"055 ", "has no unit"),
        ("PatientAge", b"55Y ", "has not the form nnnD, nnnW, nnnM or nnnY"),
        ("PatientAge", b"055y", "has not the form nnnD, nnnW, nnnM or nnnY"),
        ("PatientSex", b"M ", None),
        ("PatientSex", b"", None),
        ("PatientSex", b"Female", "is none of M, F and O"),
        ("PatientSex", b"f ", "is none of M, F and O"),
        ("StudyDate", b"19920606", None),
        ("StudyDate", b"", None),
        ("StudyDate", b"1992.06.06", "has the form of ACR-NEMA"),
        ("StudyDate", b"1992-06-06", "is no date"),
        ("StudyDate", b"19920631", "is no date"),
        ("StudyDate", b"06JUN1992 ", "is no date"),
        ("StudyTime", b"103149", None),
        ("StudyTime", b"1031", None),
        ("StudyTime", b"103149.250000", None),
        ("StudyTime", b"103160", None),
        ("StudyTime", b"10:31:49", "is no time"),
        ("StudyTime", b"253149", "is no time"),
        ("AcquisitionDateTime", b"19920606103149.25+0100 ", None),
        ("AcquisitionDateTime", b"1992", None),
        ("AcquisitionDateTime", b"1992-06-06T10:31", "is no date"),
        ("SliceThickness", b"2.5 ", None),
        ("SliceThickness", b" 2.5", None),
        ("SliceThickness", b"+2.5e-1 ", None),
        ("SliceThickness", b".5", None),
        ("SliceThickness", b"0.7421875000001 ", None),
        ("SliceThickness", b"0.742187500000000", "is longer than 16 characters"),
        ("SliceThickness", b"2,5 ", "is no decimal number"),
        ("SliceThickness", b"nan ", "is no decimal number"),
        ("SliceThickness", b"2.5 mm", "is no decimal number"),
        ("PixelSpacing", b"0.78\\0.78 ", None),
        ("PixelSpacing", b"0.78", "has a wrong number of values"),
        ("PixelSpacing", b"0.78\\0.78\\5 ", "has a wrong number of values"),
        ("WindowCenter", b"40\\300\\-600", None),
        ("InstanceNumber", b"45", None),
        ("InstanceNumber", b"-2147483648 ", None),
        ("InstanceNumber", b"2147483648", "is out of range"),
        ("InstanceNumber", b"4.0 ", "is no whole number"),
        ("ImageType", b"ORIGINAL\\PRIMARY\\AXIAL ", None),
        ("ImageType", b"ORIGINAL\\\\AXIAL", None),
        ("ImageType", b"ORIGINAL", "has a wrong number of values"),
        ("BodyPartExamined", b"ABDOMEN ", None),
        ("BodyPartExamined", b"Abdomen ", "is in lower case"),
        ("BodyPartExamined", b"CHEST/ABD ", "has characters that its VR has not"),
        ("BodyPartExamined", b"CHEST ABDOMEN PELVIS", "is longer than 16 characters"),
        ("SpecificCharacterSet", b"ISO_IR 100", None),
        ("SpecificCharacterSet", b"\\ISO 2022 IR 87 ", None),
        ("SpecificCharacterSet", b"UTF-8 ", "is no defined character set"),
        ("SeriesDescription", b"x" * 64, None),
        ("SeriesDescription", b"x" * 65, "is longer than 64 characters"),
        ("SeriesDescription", b"ABD\\PEL ", "has a wrong number of values"),
        ("SeriesDescription", "ü".encode() * 64, None),
        ("SeriesDescription", "ü".encode("latin-1") * 65, None),
        ("StudyID", b"ABDOMEN-PELVIS-17", "is longer than 16 characters"),
        ("PatientComments", b"a\\b\\c ", None),
        ("PatientName", b"CRLM-CT-1001", None),
        ("OperatorsName", b"A^B^C^D^E^F ", "has too many components"),
        ("OperatorsName", b"x" * 66, "has a component group longer than 64 characters"),
        ("Rows", b"\0\2", None),
        ("Rows", b"\0\2\0\2", "has a wrong number of values"),
        ("Rows", b"\2", "has a length that holds no whole number of values"),
        # In implicit VR, one of several may be meant.
        ("SmallestImagePixelValue", b"\0\2", None),
        # UIDs have a rule of their own.
        ("SOPInstanceUID", b"1.02.3", None),
    ],
)
def test_values(keyword: str, value: bytes, problem: str | None) -> None:
    assert told(keyword, value) == problem
    assert told(keyword, value, implicit=True) == problem


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_items_are_looked_into_and_private_elements_are_not(syntax: str) -> None:
    from pydicom import config

    quiet()
    with config.disable_value_validation():
        item, data = Dataset(), tiny.ct_slice(syntax=syntax)
        item.PatientAge = "55"
        data.ReferencedPatientSequence = Sequence([item])
        block = data.private_block(0x0045, "GEMS_HELIOS_01", create=True)
        block.add_new(0x01, "AS", "55")
        raw = tiny.to_bytes(data)
    header = read_header(io.BytesIO(raw), UNREAD)
    scan = ValueScan()
    for _ in range(2):
        assert each_once(scan.by_element(header.data)) == [("PatientAge", "AS", "has no unit")]


def test_objects_of_this_project_hold_no_forbidden_value() -> None:
    quiet()
    for made in (tiny.ct_slice(), tiny.segmentation([(1, 1, tiny.np.ones((8, 16), tiny.np.uint8))])):
        assert each_once(ValueScan().by_element(read_header(io.BytesIO(tiny.to_bytes(made)), UNREAD).data)) == []


@given(st.sampled_from(["StudyDate", "PatientAge", "PixelSpacing", "OperatorsName", "ImageType", "Rows"]), st.binary())
def test_no_bytes_raise(keyword: str, value: bytes) -> None:
    told(keyword, value)


@given(st.dates())
def test_every_day_is_a_date_in_each_of_its_forms(day) -> None:
    plain = day.strftime("%Y%m%d").zfill(8)
    assert is_day(plain)
    assert told("StudyDate", plain.encode()) is None
    year, month, number = plain[:4], plain[4:6], plain[6:]
    for parted in (plain, f"{plain}103149.25", *(c.join((year, month, number)) for c in ".-/")):
        assert day_of(parted) == plain


@pytest.mark.parametrize("value", ["", "x", "1992.06-06", "06/06/1992", "19921306", "1992", None, 19920606])
def test_what_is_no_day(value: object) -> None:
    assert day_of(value) is None
