import io
import json
import struct
import warnings

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from support import tiny
from support.sources import UNREAD

from crlm_qc.evidence.ct import expected_bytes, identity, slice_row
from crlm_qc.evidence.dicom import values as dicom
from crlm_qc.evidence.dicom.header import Header, Unreadable, native_bytes, quiet, read_header

PLAIN = tiny.to_bytes(tiny.ct_slice())
HEADER = len(PLAIN) - 8 * 16 * 2 - 12


@pytest.fixture(autouse=True)
def _lenient():
    before = pydicom.config.settings.reading_validation_mode
    quiet()
    yield
    pydicom.config.settings.reading_validation_mode = before


def read(raw: bytes) -> Header:
    return read_header(io.BytesIO(raw), UNREAD)


def row(raw: bytes) -> dict:
    header = read(raw)
    return slice_row(header, {"patient": "p", "path": "f", **identity(header)})


def problem(raw: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(raw)
    return caught.value.problem


def outcome(raw: bytes) -> Header | str:
    """The header, or the code of why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read(raw)
        except Unreadable as reason:
            return reason.problem


def raw_element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def with_value(keyword: str, value: bytes) -> bytes:
    """The plain slice with the bytes of one short attribute replaced, which pydicom would refuse to write."""
    ds = tiny.ct_slice()
    tag = pydicom.tag.Tag(keyword)
    old = read(PLAIN).data.get_item(tag)
    start = old.value_tell - 8
    return PLAIN[:start] + raw_element(tag, ds[tag].VR.encode(), value) + PLAIN[old.value_tell + old.length :]


def test_a_good_slice_lacks_nothing():
    found = row(PLAIN)
    assert found["missing"] is None
    assert (found["rows"], found["columns"], found["pixel_representation"]) == (8, 16, 1)
    assert (found["position_x"], found["spacing_row"], found["col_y"]) == (-100.0, 0.8, 1.0)
    assert found["sop_instance_uid"] == tiny.ct_uid(0)


def test_zero_is_a_value():
    ds = tiny.ct_slice(stored=np.zeros((4, 8), np.uint16))
    assert row(tiny.to_bytes(ds))["pixel_representation"] == 0
    assert row(tiny.to_bytes(ds))["missing"] is None


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty"),
        (b"not DICOM at all", "not-dicom"),
        (PLAIN[130:], "not-dicom"),
        (bytes(128) + b"DICM", "cut-header"),
    ],
)
def test_files_that_are_no_dicom(raw, code):
    assert problem(raw) == code


@given(st.integers(133, HEADER - 1))
def test_a_header_cut_anywhere_never_raises_otherwise(length):
    found = outcome(PLAIN[:length])
    if isinstance(found, Header):
        # Cut between two elements: what is left is a whole data set without Pixel Data.
        assert found.pixels is None
        assert found.trailing == 0
    else:
        assert found == "cut-header"


@given(st.integers(0, 8 * 16 * 2))
def test_pixel_data_cut_short_is_measured(left):
    header = read(PLAIN[: HEADER + 12 + left])
    assert header.pixels.found == left
    assert expected_bytes(header) == 8 * 16 * 2
    assert header.trailing == 0


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({}, 8 * 16 * 2),
        ({"NumberOfFrames": 3}, 8 * 16 * 2 * 3),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL"}, 8 * 16 * 2 * 3),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422"}, 8 * 16 * 2 * 2),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_PARTIAL_420"}, 8 * 16 * 3),
        ({"SamplesPerPixel": 1, "PhotometricInterpretation": "YBR_FULL_422"}, 8 * 16 * 2),
    ],
)
def test_bytes_that_pixels_need(values, needed):
    data = Dataset()
    data.Rows, data.Columns, data.BitsAllocated = 8, 16, 16
    for keyword, value in values.items():
        setattr(data, keyword, value)
    assert native_bytes(data) == needed


def test_a_number_of_frames_that_is_none_tells_no_length():
    data = Dataset()
    data.Rows, data.Columns, data.BitsAllocated = 8, 16, 16
    data.add(RawDataElement(Tag("NumberOfFrames"), "IS", 4, b"many", 0, False, True))
    assert native_bytes(data) is None


@given(st.binary(min_size=1, max_size=300))
def test_bytes_that_are_no_dicom_after_a_prefix_never_raise_otherwise(junk):
    found = outcome(bytes(128) + b"DICM" + junk)
    assert isinstance(found, Header) or found in {"cut-header", "bad-header"}


@given(st.integers(132, HEADER - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_header_never_raises_otherwise(place, junk):
    raw = PLAIN[:place] + junk + PLAIN[place + len(junk) :]
    found = outcome(raw)
    if isinstance(found, Header):
        slice_row(found, {"patient": "p", "path": "f", **identity(found)})
        dicom.invalid_uids([found.meta, found.data])
        expected_bytes(found)
    else:
        assert found in {"cut-header", "bad-header", "not-dicom"}


def test_bytes_after_the_data_set():
    padding = struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, 4) + bytes(4)
    later = struct.pack("<HH2sHL", 0x7FE1, 0x1010, b"OB", 0, 2) + bytes(2)
    assert read(PLAIN + padding).trailing == 0
    assert read(PLAIN + later + padding).trailing == 0
    assert read(PLAIN + bytes(6)).trailing == 6
    assert read(PLAIN + bytes(100)).trailing == 100
    assert read(PLAIN + padding + b"surplus").trailing == 7
    assert read(PLAIN + padding[:-1]).trailing == len(padding) - 1


def test_declared_length_decides_what_is_surplus():
    ds = tiny.ct_slice()
    ds.PixelData += bytes(10)
    header = read(tiny.to_bytes(ds))
    assert header.pixels.found == 8 * 16 * 2 + 10
    assert header.trailing == 0


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_other_encodings_say_the_same(syntax):
    ds = tiny.ct_slice(stored=np.arange(128, dtype=np.int16).reshape(8, 16), syntax=syntax)
    ds.PixelPaddingValue = -2000
    raw = tiny.to_bytes(ds)
    expected = tiny.ct_slice(stored=np.arange(128, dtype=np.int16).reshape(8, 16))
    expected.PixelPaddingValue = -2000
    found = row(raw)
    assert found.pop("transfer_syntax_uid") == syntax
    assert found == {key: value for key, value in row(tiny.to_bytes(expected)).items() if key != "transfer_syntax_uid"}
    header = read(raw)
    assert header.pixels.found == expected_bytes(header) == 256
    assert header.trailing == 0


def test_a_deflated_data_set_that_grows_without_bounds_is_refused(monkeypatch):
    raw = tiny.to_bytes(tiny.ct_slice(shape=(64, 64), syntax=DeflatedExplicitVRLittleEndian))
    assert read(raw).pixels.found == 64 * 64 * 2
    monkeypatch.setattr("crlm_qc.evidence.limits.INFLATED_BYTES", 1000)
    assert problem(raw) == "too-large"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", b"1\\2 "),
        ("ImagePositionPatient", b"1\\2\\x "),
        ("SliceThickness", b"thick "),
        ("SliceThickness", b"nan "),
        ("SliceThickness", b"1_0 "),
        ("InstanceNumber", b"1.5 "),
        ("InstanceNumber", b"1\\2 "),
        ("Rows", b"\x08"),
        ("PixelSpacing", b"1e999\\1 "),
        # No length of a patient, no direction.
        ("PixelSpacing", b"1e300\\1 "),
        ("PixelSpacing", b"0\\0 "),
        ("PixelSpacing", b"-0.8\\0.8 "),
        ("SliceThickness", b"1e6 "),
        ("ImagePositionPatient", b"0\\0\\-1e308"),
        ("ImagePositionPatient", b"100001\\0\\0"),
        ("ImageOrientationPatient", b"1e200\\0\\0\\0\\1e200\\0 "),
        ("ImageOrientationPatient", b"2.1\\0\\0\\0\\1\\0 "),
    ],
)
def test_malformed_numbers_are_missing_and_named(keyword, value):
    found = row(with_value(keyword, value))
    assert json.loads(found["missing"]) == [keyword]


@pytest.mark.parametrize(
    ("keyword", "value", "column", "expected"),
    [
        ("ImagePositionPatient", b"99999\\0\\-99999 ", "position_z", -99999.0),
        # Wrong, and still two directions: the rules say what is wrong with them.
        ("ImageOrientationPatient", b"-1.5\\0\\0\\0\\0\\0 ", "row_x", -1.5),
        ("RescaleSlope", b"1e300 ", "rescale_slope", 1e300),
    ],
)
def test_what_is_within_bounds_is_kept(keyword, value, column, expected):
    found = row(with_value(keyword, value))
    assert (found[column], found["missing"]) == (expected, None)


def test_whole_decimals_are_whole_numbers():
    assert row(with_value("InstanceNumber", b"12.0"))["instance_number"] == 12


def test_absent_and_empty_attributes_are_named():
    ds = tiny.ct_slice()
    del ds.PixelSpacing
    ds.FrameOfReferenceUID = ""
    ds.PatientPosition = None
    found = row(tiny.to_bytes(ds))
    assert json.loads(found["missing"]) == ["FrameOfReferenceUID", "PatientPosition", "PixelSpacing"]


def test_text_in_other_character_sets():
    ds = tiny.ct_slice()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyDescription = "Bauch äöü"
    assert row(tiny.to_bytes(ds))["study_description"] == "Bauch äöü"
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.StudyDescription = "山田"
    assert row(tiny.to_bytes(ds))["study_description"] == "山田"


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (b"1.2.840.10008.1.2", True),
        (b"0.1", True),
        (b"0.1\0", True),
        (b"1.2.3\\1.2.4", True),
        (b"1." * 31 + b"10", True),
        (b"1." * 31 + b"100", False),
        (b"1.02.3", False),
        (b"1..2", False),
        (b"1.2.", False),
        (b"1.2.a", False),
        (b"1.2.3\\", False),
        # What no root begins is none, as for the tables (PS3.5 9.1, ISO/IEC 8824).
        (b"5", False),
        (b"3.1.2", False),
        (b"1.40.3", False),
    ],
)
def test_uids(value, valid):
    header = read(with_value("SeriesInstanceUID", value))
    assert dicom.invalid_uids([header.meta, header.data]) == ([] if valid else ["SeriesInstanceUID"])


@pytest.mark.parametrize(
    ("value", "valid"), [(b"1.2.840.113619\0", True), (b"", True), (b"\0\0", True), (b"1.02", False)]
)
def test_private_uids(value, valid):
    data = Dataset()
    tag = Tag(0x0009101E)
    data[tag] = RawDataElement(tag, "UI", len(value), value, 0, False, True)
    assert dicom.invalid_uids([data]) == ([] if valid else ["(0009101E)"])


def test_invalid_uids_are_named():
    header = read(with_value("SeriesInstanceUID", b"1.02.3"))
    assert dicom.invalid_uids([header.meta, header.data]) == ["SeriesInstanceUID"]
    assert dicom.invalid_uids([read(PLAIN).meta, read(PLAIN).data]) == []


def test_encapsulated_pixel_data_is_measured_by_its_fragments():
    ds = tiny.ct_slice()
    ds.compress(pydicom.uid.RLELossless)
    raw = tiny.to_bytes(ds)
    header = read(raw)
    assert header.pixels.encapsulated
    assert expected_bytes(header) is None
    assert 0 < header.pixels.found < len(raw)
    assert header.trailing == 0
    assert read(raw + bytes(9)).trailing == 9
