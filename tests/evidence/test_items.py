"""Items of sequences read without pydicom, and by it where their encoding is not the usual one."""

import io
import random
import struct

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from support import both_ways, tiny

from crlm_qc.evidence.dicom.items import Item, elements_ahead, items_of, usual_items
from crlm_qc.evidence.dicom.values import integers, items, raw_items, text

LEAVES = {
    0x00080100: ("SH", st.text("ABC123", max_size=16)),
    0x00081155: ("UI", st.from_regex(r"1(\.[1-9][0-9]{0,3}){1,5}", fullmatch=True)),
    0x00200032: ("DS", st.lists(st.integers(-900, 900), min_size=3, max_size=3)),
    0x00209157: ("UL", st.lists(st.integers(0, 2**32 - 1), max_size=4)),
    0x0062000B: ("US", st.integers(0, 65535)),
    0x00640009: ("OF", st.binary(max_size=20).map(lambda value: value[: len(value) // 4 * 4])),
    0x00400E10: ("UT", st.text("xyz ", max_size=30)),
}


@st.composite
def data_sets(draw, depth=0):
    ds = Dataset()
    for tag in draw(st.sets(st.sampled_from(sorted(LEAVES)), max_size=4)):
        vr, values = LEAVES[tag]
        ds.add_new(tag, vr, draw(values))
    if depth < 2 and draw(st.booleans()):
        ds.add_new(0x00082112, "SQ", draw(st.lists(data_sets(depth + 1), max_size=3)))
    return ds


def reread(ds: Dataset) -> Dataset:
    """The data set as its bytes say it, explicit VR and little endian."""
    return pydicom.dcmread(io.BytesIO(tiny.to_bytes(ds)))


def held(ds: Dataset, **options) -> tuple[Dataset, int]:
    """A data set that holds a sequence, and the sequence's tag."""
    content = tiny.ct_slice(0)
    content.add_new(0x00081115, "SQ", [ds])
    for name, value in options.items():
        setattr(content[0x00081115], name, value)
    return reread(content), 0x00081115


def raws(data) -> list:
    return [
        [tuple(one) if one.VR != "SQ" else raws(items_of(data, tag, one)) for tag, one in item.items()] for item in data
    ]


@settings(max_examples=40, deadline=None)
@given(data_sets())
def test_raw_elements_are_those_of_pydicom(ds):
    data, tag = held(ds)
    found = usual_items(data, tag, data.get_item(tag))
    assert found is not None
    assert all(type(item) is Item for item in found)
    ours = raws(found)
    assert ours == raws(list(data[tag].value))


@pytest.mark.parametrize("options", [{}, {"is_undefined_length": True}])
def test_an_item_with_a_character_set_of_its_own_is_pydicoms(options):
    ds = Dataset()
    ds.SpecificCharacterSet, ds.CodeMeaning = "ISO_IR 192", "Läsion"
    data, _ = held(ds, **options)
    (item,) = items(data, "ReferencedSeriesSequence")
    assert isinstance(item, Dataset)
    assert text(item, "CodeMeaning") == "Läsion"


def test_texts_are_decoded_by_the_character_set_of_the_data_set():
    ds = Dataset()
    ds.CodeMeaning = "Läsion"
    content = tiny.ct_slice(0)
    content.SpecificCharacterSet = "ISO_IR 192"
    content.add_new(0x00081115, "SQ", [ds])
    data = reread(content)
    (item,) = items(data, "ReferencedSeriesSequence")
    assert isinstance(item, Item)
    assert text(item, "CodeMeaning") == "Läsion"


def test_items_are_read_once_and_for_one_data_set_alone():
    inner, ds = Dataset(), Dataset()
    inner.DimensionIndexValues = [3, 4]
    ds.FrameContentSequence = [inner]
    data, tag = held(ds)
    first = items_of(data, tag, data.get_item(tag))
    assert items_of(data, tag, data.get_item(tag))[0] is first[0]
    content = items(first[0], "FrameContentSequence")
    assert integers(content[0], "DimensionIndexValues") == [3, 4]
    assert items(first[0], "FrameContentSequence")[0] is content[0]
    other, _ = held(ds)
    assert items_of(other, tag, other.get_item(tag))[0] is not first[0]


@pytest.mark.parametrize(
    "value",
    [
        b"\xfe\xff\x00\xe0\x09\x00\x00\x00\x08\x00\x00\x01SH\x02\x00AB",
        b"\xfe\xff\x00\xe0\x0a\x00\x00\x00\x08\x00\x00\x01SH\x04\x00AB",
        b"\xfe\xff\x00\xe0\x0a\x00\x00\x00\x08\x00\x00\x01sh\x02\x00AB",
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x00\x01SH\x02\x00AB\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"\xfe\xff\x00\xe0",
    ],
)
def test_what_is_unusual_is_left_to_pydicom(value):
    data, tag = held(Dataset())
    raw = data.get_item(tag)._replace(value=value, length=len(value))
    assert usual_items(data, tag, raw) is None


def test_bytes_that_pydicom_takes_for_a_text_are_no_items():
    content = tiny.ct_slice(0)
    content.add_new(0x00081115, "SQ", [])
    data = reread(content)
    value = b"\xfe\xff\x00\xe0\x24\0\0\0\x08\0\x05\0\xe9S\x0a\0ISO_IR 192\x10\0\x10\0PN\x0a\0M\xc3\xbcller^\xc3\x84"
    data._dict[pydicom.tag.Tag(0x00081115)] = data.get_item(0x00081115)._replace(value=value, length=len(value))
    assert raw_items(data, "ReferencedSeriesSequence")[1]() == []
    assert items_of(data, 0x00081115, data.get_item(0x00081115)) == []


@pytest.mark.parametrize("number", range(30))
def test_changed_headers_are_read_as_by_pydicom(number):
    rng = random.Random(number)
    content = both_ways.in_sequences(rng, rng.choice(both_ways.objects()))
    assert both_ways.read(content) == both_ways.read(content, plain=True)


def counted(ds: Dataset, most: int, seen: int = 0) -> int:
    """Elements from the first sequence of a data set on."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, ds)
    stream.write(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0))
    content = stream.getvalue()
    start = content.index(b"SQ\0\0") + 8
    (length,) = struct.unpack("<L", content[start - 4 : start])
    source = io.BytesIO(content)
    source.seek(start)
    return elements_ahead(source, length, (False, True, False), most, seen=seen)


@settings(max_examples=40, deadline=None)
@given(data_sets(), st.integers(0, 3), st.integers(0, 400), st.integers(0, 60))
def test_elements_are_counted_where_there_may_be_too_many(ds, after, most, seen):
    whole = Dataset()
    whole.add_new(0x00081115, "SQ", [ds, ds])
    for place in range(after):
        whole.add_new(0x00100020 + place, "LO", "x")
    # None are left to be passed over.
    everything = counted(whole, 10**6, 10**6)
    found = counted(whole, most, seen)
    assert (found + seen > most) == (everything + seen > most)
    assert found in (0, min(everything, most + 1))
