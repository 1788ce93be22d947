"""What stands before a data set is not believed: the data set is read as it is written."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)
from support import tiny
from support.sources import UNREAD

from crlm_qc.evidence.ct import identity, slice_row
from crlm_qc.evidence.dicom.encoding import codec_of, read_start
from crlm_qc.evidence.dicom.header import Unreadable, quiet, read_header
from crlm_qc.evidence.pixels import slice_pixels, stored_values

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
STORED = np.arange(128, dtype=np.int16).reshape(8, 16)
META_LENGTH = slice(140, 144)


@pytest.fixture(autouse=True)
def as_found():
    quiet()


def read(raw):
    return read_header(io.BytesIO(raw), UNREAD)


def written(syntax):
    return tiny.to_bytes(tiny.ct_slice(stored=STORED, syntax=syntax))


def data_set(raw):
    return raw[144 + int.from_bytes(raw[META_LENGTH], "little") :]


def saying(raw, syntax):
    """The same data set under a file meta of another syntax; None leaves TransferSyntaxUID out."""
    meta = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True, specific_tags=[]).file_meta
    if syntax is None:
        del meta.TransferSyntaxUID
    else:
        meta.TransferSyntaxUID = UID(syntax)
    start = io.BytesIO()
    write_file_meta_info(start, meta, enforce_standard=False)
    return raw[:132] + start.getvalue() + data_set(raw)


def pixels(header):
    row = slice_row(header, {"patient": "p", "path": "f", **identity(header)})
    return stored_values(slice_pixels(header, row))


def opened(raw):
    header = read(raw)
    if header.pixels.held is None:
        header.pixels.hold(io.BytesIO(raw))
    return header


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("said", [*NATIVE, JPEGBaseline8Bit, JPEG2000Lossless, RLELossless])
def test_a_data_set_is_read_as_it_is_written_whatever_the_file_meta_says(syntax, said):
    header = opened(saying(written(syntax), said))
    assert header.encoding_found == (None if said == syntax else syntax)
    assert header.transfer_syntax == syntax
    assert header.trailing == 0
    assert header.start.problem is None
    assert identity(header)["transfer_syntax_uid"] == said
    assert np.array_equal(pixels(header), STORED)


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("said", ["1.2.3.4.5", "1.2.840.10008.9.2.9", "1.2.840.10008.9.9.9", "no UID"])
def test_native_pixels_show_a_syntax_that_nobody_knows_untrue(said, syntax):
    header = opened(saying(written(syntax), said))
    assert (header.encoding_found, header.transfer_syntax) == (syntax, syntax)
    assert np.array_equal(pixels(header), STORED)


@pytest.mark.parametrize("said", ["1.2.3.4.5", "1.2.840.10008.9.2.9"])
def test_pixels_of_another_length_or_encapsulated_are_left_to_a_syntax_that_nobody_knows(said):
    short = tiny.ct_slice(stored=STORED)
    short.PixelData = STORED.tobytes()[:-2]
    wrapped = tiny.ct_slice(stored=STORED)
    wrapped.PixelData = encapsulate([STORED.tobytes()])
    wrapped["PixelData"].is_undefined_length = True
    for made in (short, wrapped):
        header = read(saying(tiny.to_bytes(made), said))
        assert (header.encoding_found, header.transfer_syntax) == (None, said)


@pytest.mark.parametrize("said", ["1.2.840.113619.5.2", "1.2.840.10008.1.20"])
def test_a_syntax_of_which_it_is_not_known_how_it_is_written_is_never_untrue(said):
    for syntax in NATIVE[:2]:
        header = read(saying(written(syntax), said))
        assert header.encoding_found is None
        assert header.transfer_syntax == said


@pytest.mark.parametrize("syntax", NATIVE[:3])
def test_a_data_set_alone_is_read(syntax):
    whole = written(syntax)
    for raw, problem in (
        (data_set(whole), "no-file-meta"),
        (whole[128:], "no-preamble"),
        (whole[132:], "no-preamble"),
        (saying(whole, None), "no-transfer-syntax"),
    ):
        header = opened(raw)
        assert header.start.problem == problem
        assert header.encoding_found in (None, syntax)
        assert np.array_equal(pixels(header), STORED)


def test_a_group_length_is_measured_and_not_believed():
    raw = written(ExplicitVRLittleEndian)
    right = int.from_bytes(raw[META_LENGTH], "little")
    for wrong in (right - 8, right + 2, 0):
        header = opened(raw[:140] + wrong.to_bytes(4, "little") + raw[144:])
        assert header.start.meta_length_off == wrong - right
        assert np.array_equal(pixels(header), STORED)
    assert read(raw).start.meta_length_off is None
    deflated = written(DeflatedExplicitVRLittleEndian)
    assert np.array_equal(pixels(opened(deflated[:140] + bytes(4) + deflated[144:])), STORED)


@given(st.binary(max_size=300))
def test_what_is_no_data_set_is_no_dicom(raw):
    try:
        header = read_header(io.BytesIO(raw), UNREAD)
    except Unreadable:
        return
    assert header.data.SOPClassUID


@pytest.mark.parametrize(
    "raw",
    [b"II*\0" + bytes(60), b"MM\0*" + bytes(60), bytes(200), "patient ".encode("utf-16") * 9, b"\x5c\x01\0\0" * 90],
)
def test_files_of_other_kinds_are_no_data_sets(raw):
    assert read_start(io.BytesIO(raw), len(raw)) is None


def test_what_may_stand_in_the_preamble():
    raw = written(ExplicitVRLittleEndian)
    for preamble in (b"II*\0" + bytes(124), data_set(raw)[:128], b"DICM" * 32):
        header = read(preamble + raw[128:])
        assert (header.encoding_found, header.start.problem, header.start.meta_length_off) == (None, None, None)


def test_the_codec_of_a_frame_is_told_by_its_first_bytes():
    baseline = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b"
    assert codec_of(baseline, ExplicitVRLittleEndian) == JPEGBaseline8Bit
    assert codec_of(baseline, None) == JPEGBaseline8Bit
    assert codec_of(baseline, JPEGExtended12Bit) == JPEGExtended12Bit
    assert codec_of(baseline, JPEGLSLossless) == JPEGBaseline8Bit
    # MPEG-4, and what is not known.
    assert codec_of(baseline, "1.2.840.10008.1.2.4.102") is None
    assert codec_of(b"\xff\x4f\xff\x51\0", JPEG2000Lossless) == JPEG2000Lossless
    assert codec_of(b"\x01\0\0\0\x40\0\0\0" + bytes(60), ExplicitVRLittleEndian) == RLELossless
    assert codec_of(b"", ExplicitVRLittleEndian) is None
    assert codec_of(b"\xff\xd8\xff\xe0\0\x04", RLELossless) is None


def test_compressed_pixels_under_a_native_syntax_are_decoded():
    made = tiny.ct_slice(stored=STORED)
    made.compress(RLELossless)
    raw = tiny.to_bytes(made)
    for said, untrue in ((RLELossless, False), (ExplicitVRLittleEndian, True), (None, False)):
        content = saying(raw, said)
        header = read_header(io.BytesIO(content), Held(content))
        assert header.encoding_found == (RLELossless if untrue else None)
        assert np.array_equal(pixels(header), STORED)


class Held:
    """A file that is opened again from memory."""

    def __init__(self, raw):
        self.raw = raw

    def opened(self):
        return io.BytesIO(self.raw)


def test_an_implicit_data_set_under_jpeg():
    with Path(get_testdata_file("SC_rgb_jpeg.dcm")).open("rb") as stream:
        header = read_header(stream, UNREAD)
    assert header.encoding_found == ImplicitVRLittleEndian
    # Its pixels are of what it says.
    assert header.transfer_syntax == JPEGBaseline8Bit
