"""Headers that are read by what differs from the first of their series: which are, and that it comes to the same."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless
from support import dressed, tiny
from support.sources import UNREAD, Memory

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence import ct
from crlm_qc.evidence.alike import FIXED, MOST, Patterns
from crlm_qc.evidence.ct import READERS
from crlm_qc.evidence.dicom.header import quiet, read_header
from crlm_qc.evidence.dicom.values import tag_of
from crlm_qc.evidence.patient import PatientRead, _describe, _Patient, read_patient
from crlm_qc.model.settings import Depth

PROFILE = load_profile()


@pytest.fixture
def alike_read(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each header was read by what differs."""
    found: list[bool] = []
    read = Patterns.read

    def noted(patterns: Patterns, *rest: Any) -> Any:
        one = read(patterns, *rest)
        found.append(one is not None)
        return one

    monkeypatch.setattr(Patterns, "read", noted)
    return found


def read(contents: Sequence[bytes], depth: Depth = Depth.PIXELS, **options: bool) -> PatientRead:
    source = Memory(
        {f"{tiny.PATIENT}/06-06-1992-NA-CT-1/2-NA-2/1-{at:02d}.dcm": one for at, one in enumerate(contents)}
    )
    return read_patient(tiny.PATIENT, source.tree().items, PROFILE, depth, **options)


def in_full(contents: Sequence[bytes], depth: Depth = Depth.PIXELS, **options: bool) -> PatientRead:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Patterns, "read", lambda *_: None)
        return read(contents, depth, **options)


def told(one: PatientRead) -> str:
    return json.dumps([one.rows, one.limits], sort_keys=True)


def put(keyword: str, vr: str, value: bytes) -> Callable[[Dataset], object]:
    """Sets a value as it is, whatever pydicom thinks of it."""
    tag = Tag(keyword)
    return lambda ds: ds.__setitem__(tag, RawDataElement(tag, vr, len(value), value, 0, False, True))


def changed(index: int, change: Callable[[Dataset], object], **options: Any) -> bytes:
    ds = dressed.ct_slice(index, **options)
    change(ds)
    return tiny.to_bytes(ds)


@pytest.mark.parametrize("name", sorted(dressed.forms().keys() - {"implicit, mixed lengths"}))
def test_all_but_the_first_are_read_by_what_differs(name: str, alike_read: list[bool]) -> None:
    contents = dressed.forms()[name]
    found = read(contents)
    assert alike_read == [False, *[True] * (len(contents) - 1)]
    assert told(found) == told(in_full(contents))
    assert [row["instance_number"] for row in found.rows["slices"]] == list(range(1, len(contents) + 1))


@pytest.mark.parametrize("options", [{"hashed": True}, {}])
@pytest.mark.parametrize("depth", list(Depth))
def test_at_every_depth(depth: Depth, options: dict[str, bool], alike_read: list[bool]) -> None:
    contents = dressed.forms()["undefined lengths"]
    assert told(read(contents, depth, **options)) == told(in_full(contents, depth, **options))
    assert sum(alike_read) == len(contents) - 1


CHANGES: dict[str, Callable[[Dataset], object]] = {
    "uid": lambda ds: setattr(ds, "SOPInstanceUID", tiny.uid(5, 123456)),
    "no position": put("ImagePositionPatient", "DS", b"a\\b\\c "),
    "forbidden value": put("KVP", "DS", b"120 kV"),
    "identifier": lambda ds: setattr(ds, "ImageComments", "seen by Dr. John Smith on 12.03.2019"),
    "private": lambda ds: ds.private_block(0x0009, "GEMS_IDEN_01").add_new(0x30, "LO", "Smith^John"),
    "other bytes": lambda ds: setattr(ds, "StationName", "M\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen"),
    "long": lambda ds: setattr(ds, "ImageComments", "x" * 400),
}


@pytest.mark.parametrize("name", CHANGES)
def test_values_that_may_differ(name: str, alike_read: list[bool]) -> None:
    contents = dressed.forms()["explicit"]
    contents[2] = changed(2, CHANGES[name])
    assert told(read(contents)) == told(in_full(contents))
    assert sum(alike_read) == len(contents) - 1


REFUSED: dict[str, Callable[[Dataset], object]] = {
    "another series": lambda ds: setattr(ds, "SeriesInstanceUID", tiny.uid(77)),
    "another patient": lambda ds: setattr(ds, "PatientID", "CRLM-CT-1002"),
    "another size": lambda ds: setattr(ds, "Rows", 16),
    "signed": lambda ds: setattr(ds, "PixelRepresentation", 0),
    "malformed UID": put("SOPInstanceUID", "UI", b"1.2.03"),
    "malformed private UID": lambda ds: ds.private_block(0x0043, "MAKER OF ITS OWN 2").add_new(0x12, "UI", "1.2.03"),
    "another creator": lambda ds: ds.add_new(0x00090010, "LO", "OTHER"),
    "one element more": lambda ds: setattr(ds, "ProtocolName", "abdomen"),
    "one element less": lambda ds: delattr(ds, "StationName"),
    "empty": lambda ds: setattr(ds, "StationName", ""),
    "another sequence": lambda ds: setattr(ds, "ReferencedImageSequence", Items([Dataset()])),
    "another VR": lambda ds: ds.add_new("StationName", "LO", "CT1"),
    "text of another character set": put("AcquisitionTime", "TM", b"12\xe9 "),
    "much longer": lambda ds: setattr(ds, "ImageComments", "x" * 4000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_whatever_else_differs_is_read_in_full(name: str, alike_read: list[bool]) -> None:
    contents = dressed.forms()["explicit"]
    contents[3] = changed(3, REFUSED[name])
    assert told(read(contents)) == told(in_full(contents))
    assert alike_read.count(False) == 2
    assert not alike_read[3]


@pytest.mark.parametrize(
    "cut",
    [
        lambda one: one[:-2],
        lambda one: one + b"\0\0",
        lambda one: one[:700],
        lambda one: one[:128] + one[132:],
        lambda one: one[:128] + b"XXXX" + one[132:],
    ],
)
def test_files_that_end_elsewhere_are_read_in_full(cut: Callable[[bytes], bytes], alike_read: list[bool]) -> None:
    contents = dressed.forms()["explicit"]
    contents[3] = cut(contents[3])
    assert told(read(contents)) == told(in_full(contents))
    assert not alike_read[3]


def _stored(index: int, syntax: str) -> bytes:
    ds = tiny.ct_slice(index, syntax=syntax if syntax != RLELossless else pydicom.uid.ExplicitVRLittleEndian)
    if syntax == RLELossless:
        ds.compress(RLELossless)
    return tiny.to_bytes(ds)


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_other_encodings_are_read_in_full(syntax: str, alike_read: list[bool]) -> None:
    contents = [_stored(index, syntax) for index in range(3)]
    assert told(read(contents)) == told(in_full(contents))
    assert not any(alike_read)


def test_sequences_that_other_walks_change_are_read_in_full(alike_read: list[bool]) -> None:
    contents = dressed.forms()["implicit, mixed lengths"]
    assert told(read(contents)) == told(in_full(contents))
    assert not any(alike_read)


def test_a_later_header_finds_what_was_made_of_sequences_before(alike_read: list[bool]) -> None:
    contents = dressed.forms()["implicit"][:3]
    # pydicom reads no sequence of this one, as it can't tell whether numbers are signed.
    at = contents[2].index(b"\x28\0\x03\x01\x02\0\0\0")
    contents[2] = contents[2][: at + 4] + b"\3\0\0\0" + contents[2][at + 8 : at + 10] + b"\0" + contents[2][at + 10 :]
    assert told(read(contents)) == told(in_full(contents))
    assert alike_read == [False, True, False]


def test_what_the_validators_are_shown_is_read_in_full(alike_read: list[bool]) -> None:
    read(dressed.forms()["plain"][:2], Depth.HEADERS, standard=True)
    assert not any(alike_read)


def test_series_side_by_side(alike_read: list[bool]) -> None:
    def moved(series: int, index: int) -> bytes:
        return changed(index, lambda ds: setattr(ds, "SeriesInstanceUID", tiny.uid(70 + series)))

    contents = [moved(series, index) for index in range(4) for series in range(MOST)]
    assert told(read(contents)) == told(in_full(contents))
    assert alike_read == [False] * MOST + [True] * 3 * MOST


def test_elements_twice_or_out_of_order_are_read_in_full(alike_read: list[bool]) -> None:
    first, second = (pydicom.dcmread(io.BytesIO(one)) for one in dressed.forms()["plain"][:2])
    contents = []
    for ds in (first, second):
        raw = tiny.to_bytes(ds)  # type: ignore[arg-type]
        at = raw.index(b"\x28\x00\x10\x00US")
        contents.append(raw[:at] + raw[at - 8 : at] + raw[at:])
    assert told(read(contents)) == told(in_full(contents))


def test_more_than_its_columns_is_made_of_fixed_attributes_alone() -> None:
    """What is looked at by anything but a reader of one attribute must be fixed, or else be looked at anew."""
    quiet()
    looked: set[int] = set()
    anew = {tag_of("SOPInstanceUID"), tag_of("PixelPaddingRangeLimit")}
    anew |= {tag_of(keyword) for keyword in (*READERS, *ct.NEEDED, "RescaleSlope", "RescaleIntercept")}

    class Watched(Dataset):
        def get_item(self, key: Any, **options: Any) -> Any:
            looked.add(int(key))
            return super().get_item(key, **options)

    for form in dressed.forms().values():
        header = read_header(io.BytesIO(form[0]), UNREAD)
        watched = Watched(dict(header.data.items()))
        watched.set_original_encoding(*header.data.original_encoding, header.data.original_character_set)
        header.data = watched
        state = _Patient(tiny.PATIENT, PROFILE, Depth.PIXELS)
        with pytest.MonkeyPatch.context() as patch:
            # Those that each look at one attribute.
            patch.setattr(ct, "READERS", {})
            patch.setattr(
                "crlm_qc.evidence.patient.lacks_of", lambda *_: ct.Lacks(frozenset(), frozenset(), frozenset())
            )
            patch.setattr(ct, "lacks_of", lambda *_: ct.Lacks(frozenset(), frozenset(), frozenset()))
            patch.setattr("crlm_qc.evidence.patient.invalid_uids", lambda *_: [])
            _describe(state, header, {"patient": tiny.PATIENT, "path": "a"}, io.BytesIO(form[0]))
    assert looked - {tag_of("SOPInstanceUID"), tag_of("PixelPaddingRangeLimit")} <= FIXED
    assert len(looked) > 10


def test_readers_look_at_their_own_attribute_alone() -> None:
    quiet()
    for form in dressed.forms().values():
        whole = read_header(io.BytesIO(form[0]), UNREAD)
        for keyword, readers in READERS.items():
            kept = {tag_of(keyword), tag_of("PixelRepresentation"), tag_of("SpecificCharacterSet")}
            bare = read_header(io.BytesIO(form[0]), UNREAD)
            bare.data = Dataset({tag: one for tag, one in bare.data.items() if tag in kept})
            for reader in readers:
                assert reader(bare) == reader(whole)
