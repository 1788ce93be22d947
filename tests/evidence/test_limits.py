"""What asks for more than any real file is refused before time or memory goes into it, and said; what is large and legal is read."""

import inspect
import io
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset, Sequence
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from support import tiny
from support.sources import item_at
from support.workbooks import plain_row, write

from crlm_qc.auditing import judge
from crlm_qc.evidence import limits
from crlm_qc.evidence.dicom.encoding import pixels_of
from crlm_qc.evidence.dicom.header import Unreadable, quiet, read_header
from crlm_qc.evidence.dso import dso_rows
from crlm_qc.evidence.limits import Beyond
from crlm_qc.evidence.manifest import read_manifest
from crlm_qc.evidence.masks.measures import measure_masks
from crlm_qc.evidence.metadata import read_metadata
from crlm_qc.evidence.pixels import measure_pixels, slice_pixels
from crlm_qc.evidence.source import Folder
from crlm_qc.evidence.workbook.file import unpacks_to_much
from crlm_qc.evidence.workbook.sheets import read_workbook
from crlm_qc.geometry import masks
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.tables import frame
from crlm_qc.rules import registry

SHAPE = (8, 16)


@pytest.fixture(autouse=True)
def _lenient():
    quiet()


@pytest.fixture
def least(monkeypatch):
    """Set a limit lower, however large the file is."""

    def lower(name, value):
        monkeypatch.setattr(limits, "BYTES_AN_ELEMENT", 10**9)
        monkeypatch.setattr(limits, name, value)

    return lower


def header_of(ds, tmp_path):
    path = tmp_path / "one.dcm"
    path.write_bytes(ds if isinstance(ds, bytes) else tiny.to_bytes(ds))
    item = item_at(path)
    with item.opened() as stream:
        return read_header(stream, item)


def refused(ds, tmp_path):
    with pytest.raises(Unreadable) as told:
        header_of(ds, tmp_path)
    return told.value.problem, told.value.detail


# Headers


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [False, True])
def test_too_many_items_are_refused_before_they_are_parsed(syntax, undefined, tmp_path, least):
    ds = tiny.ct_slice(shape=SHAPE, syntax=syntax)
    header_of(ds, tmp_path)
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    # Longer than what is looked at.
    ds.ReferencedImageSequence = Sequence([item] * 6000)
    ds["ReferencedImageSequence"].is_undefined_length = undefined
    header_of(ds, tmp_path)
    least("HEADER_ELEMENTS", 5000)
    problem, detail = refused(ds, tmp_path)
    assert problem == "too-large"
    assert detail.startswith("its header has 5,0")
    assert detail.endswith(" elements or more; 5,000 at most are read")


def test_too_many_elements_of_their_own_are_refused(tmp_path, least):
    ds = tiny.ct_slice(shape=SHAPE)
    block = ds.private_block(0x0011, "TEST", create=True)
    for number in range(200):
        block.add_new(number, "LO", "x")
    header_of(ds, tmp_path)
    least("HEADER_ELEMENTS", 150)
    assert refused(ds, tmp_path)[0] == "too-large"


def test_a_long_value_is_no_sequence(tmp_path, least):
    ds = tiny.ct_slice(shape=SHAPE)
    ds.private_block(0x0011, "TEST", create=True).add_new(1, "OB", bytes(200_000))
    least("HEADER_ELEMENTS", 100)
    assert header_of(ds, tmp_path).pixels is not None


def test_an_element_that_claims_more_bytes_than_the_file_has(tmp_path):
    ds = tiny.ct_slice(shape=SHAPE)
    ds.private_block(0x0011, "TEST", create=True).add_new(1, "OB", b"abcdefgh")
    raw = tiny.to_bytes(ds).replace(struct.pack("<L", 8) + b"abcdefgh", struct.pack("<L", 0xFFFFFF00) + b"abcdefgh")
    assert refused(raw, tmp_path) == ("cut-header", "an element claims more bytes than the file has")


def test_too_many_declared_segments(tmp_path, least):
    header = header_of(tiny.segmentation([(1, 1, np.ones(SHAPE, bool))]), tmp_path)
    shared = {"patient": "CRLM-CT-1001", "path": "one.dcm"}
    assert dso_rows(header, shared).dso["n_segments"] == 1
    least("SEGMENTS", 0)
    with pytest.raises(Beyond, match="the object has 1 segments; 0 at most are read"):
        dso_rows(header, shared)


def test_frames_without_functional_groups_make_no_flood_of_rows(tmp_path, least):
    ds = tiny.segmentation([(1, 1, np.ones(SHAPE, bool))])
    del ds.PerFrameFunctionalGroupsSequence
    ds.Rows = ds.Columns = 1
    ds.NumberOfFrames = 100
    header = header_of(ds, tmp_path)
    least("BARE_FRAMES", 99)
    with pytest.raises(Beyond, match="the object has 100 frames"):
        dso_rows(header, {"patient": "CRLM-CT-1001", "path": "one.dcm"})


# Masks and pixels


def measured(ds, tmp_path, profile):
    header = header_of(ds, tmp_path)
    found = dso_rows(header, {"patient": "CRLM-CT-1001", "path": "one.dcm"})
    stack, pairs = measure_masks(header, found, [], [], profile)
    return found, stack, pairs


def two_segments(overlap):
    first, second = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    first[1:4, 1:4] = True
    second[3 if overlap else 4 : 6, 3:6] = True
    return tiny.segmentation([(number, at, mask) for at in range(3) for number, mask in ((1, first), (2, second))])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MASK_VOXELS", 700, "its frames have 768 voxels"),
        ("HELD_MASK_BYTES", 0, "the masks take"),
        ("SEGMENTS", 1, "the masks are of 2 segments or more"),
        ("BOX_VOXELS", 20, "the box around a segment has 27 voxels"),
        ("ALL_BOXES", 0, "the boxes around its segments have 27 voxels or more"),
        ("PAIRS", 2, "3 pairs of segments may overlap"),
    ],
)
def test_masks_out_of_proportion_are_not_measured_and_say_why(name, value, said, tmp_path, profile, monkeypatch):
    ds = two_segments(overlap=True)
    header = header_of(ds, tmp_path)
    found = dso_rows(header, {"patient": "CRLM-CT-1001", "path": "one.dcm"})
    for scaled in ("VOXELS_A_BYTE", "BOX_VOXELS_A_BYTE"):
        monkeypatch.setattr(limits, scaled, 0)
    monkeypatch.setattr(limits, name, value)
    if name == "HELD_MASK_BYTES":
        # Some bytes for each of the file's are always allowed.
        header.pixels.file = replace(header.pixels.file, size=0)
    stack, pairs = measure_masks(header, found, [], [], profile)
    assert (stack, pairs, found.dso["masks"]) == (None, [], "too-large")
    assert found.dso["masks_detail"].startswith(said)
    assert "voxels" not in found.segments[0]


def test_segments_that_share_no_voxel_are_not_compared(tmp_path, profile, monkeypatch):
    monkeypatch.setattr(limits, "PAIRS", 0)
    found, stack, pairs = measured(two_segments(overlap=False), tmp_path, profile)
    assert (found.dso["masks"], pairs) == ("measured", [])
    assert stack is not None


def test_overlaps_are_found_as_before(tmp_path, profile):
    _, _, pairs = measured(two_segments(overlap=True), tmp_path, profile)
    assert [(pair["segment_a"], pair["segment_b"], pair["overlap_voxels"]) for pair in pairs] == [(1, 2, 3)]


def test_a_label_map_whose_frames_name_segments_too(tmp_path, profile):
    # Two frames alike, that name a segment they don't hold.
    ds = tiny.segmentation([(1, at, np.ones(SHAPE, bool)) for at in range(3)])
    ds.SegmentationType = "LABELMAP"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelData = bytes([2]) * (SHAPE[0] * SHAPE[1] * 3)
    found, _, _ = measured(ds, tmp_path, profile)
    assert found.dso["masks"] == "measured"
    assert {row["segment_number"]: row["voxels"] for row in found.segments} == {1: 0, 2: 3 * SHAPE[0] * SHAPE[1]}


def test_blank_compressed_masks_are_legal(tmp_path, profile):
    ds = tiny.segmentation([(1, at, np.ones(SHAPE, bool)) for at in range(3)])
    ds.Rows = ds.Columns = 512
    blank = np.zeros((3, 512, 512), np.uint8)
    blank[:, 100:104, 100:104] = 255
    ds.SegmentationType, ds.MaximumFractionalValue = "FRACTIONAL", 255
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelData = blank.tobytes()
    ds["PixelData"].VR = "OB"
    ds.compress(RLELossless)
    found, _, _ = measured(ds, tmp_path, profile)
    assert (found.dso["masks"], found.segments[0]["voxels"]) == ("measured", 48)


def test_a_compressed_frame_of_more_pixels_than_its_bytes_can_be_of(tmp_path, profile, monkeypatch):
    ds = tiny.ct_slice(shape=(64, 64))
    ds.compress(RLELossless)
    ds.Rows = ds.Columns = 5000
    header = header_of(ds, tmp_path)
    row = {"path": "one.dcm", "rows": 5000, "columns": 5000, "bits_allocated": 16, "samples_per_pixel": 1}
    measure_pixels([slice_pixels(header, row)], [], profile)
    assert row["pixels"] == "too-large"
    assert row["pixels_detail"] == "a frame has 25,000,000 pixels; 16,777,216 at most are read"


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_a_codestream_may_claim_more_than_its_header(syntax, tmp_path, profile):
    ls = b"\xff\xd8\xff\xf7\x00\x0b\x10" + struct.pack(">HHB", 40000, 40000, 1) + b"\x01\x11\x00\xff\xd9"
    claimed = b"\xff\x4f\xff\x51" + struct.pack(">HHLLLL", 41, 0, 40010, 40005, 10, 5) + bytes(40)
    frame = ls if syntax == JPEGLSLossless else claimed
    assert pixels_of(frame) == 40000 * 40000
    assert pixels_of(frame[:10]) is None
    ds = tiny.ct_slice(shape=SHAPE)
    ds.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    row = {"path": "one.dcm", "rows": 8, "columns": 16, "bits_allocated": 16, "samples_per_pixel": 1}
    measure_pixels([slice_pixels(header_of(ds, tmp_path), row)], [], profile)
    if row["pixels"] != "no-decoder":
        assert row["pixels_detail"] == "a frame has 1,600,000,000 pixels; 16,777,216 at most are read"


# Tables


def problem_of(tables):
    (source,) = tables["sources"]
    return source.get("problem"), source.get("detail")


@pytest.fixture
def book(tmp_path, profile):
    path = tmp_path / "clinical.xlsx"
    write(path, [plain_row(1), plain_row(2)], profile)
    return path


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORKBOOK_BYTES", 5000, "the file holds more than 0 MiB"),
        ("STYLES_BYTES", 100, "its styles unpack to"),
        ("WORKBOOK_PARTS", 3, "the workbook has"),
        ("WORKBOOK_TAGS", 100, "its parts have"),
        ("WORKBOOK_SHEETS", 1, "the workbook has 2 sheets; 1 at most are read"),
        ("WALKED_ROWS", 2, "its sheets reach over more than 2 rows"),
        ("FILLED_ROWS", 2, "a sheet has more than 2 rows that hold something"),
        ("SHEET_CELLS", 80, "the patient sheet has 84 cells, rows by headings; 80 at most are read"),
        ("CELL_CHARACTERS", 5, "a cell holds a text of"),
        ("ALL_CHARACTERS", 50, "its cells hold more than 50 characters"),
    ],
)
def test_workbooks_beyond_any_real_one(name, value, said, book, profile, monkeypatch):
    assert problem_of(read_workbook(item_at(book), profile)) == (None, None)
    monkeypatch.setattr(limits, name, value)
    problem, detail = problem_of(read_workbook(item_at(book), profile))
    assert (problem, detail[: len(said)]) == ("too-large", said)


def test_a_csv_of_many_rows_is_refused(tmp_path, profile):
    path = tmp_path / "clinical.csv"
    columns = profile.editions[0].columns
    path.write_text(",".join(columns) + "\n" + "x\n" * 3000)
    problem, detail = problem_of(read_workbook(item_at(path), profile))
    assert (problem, detail) == ("too-large", "a sheet has more than 2,000 rows that hold something")


def test_sheets_that_are_one_part_are_read_once(book, profile):
    out = io.BytesIO()
    with zipfile.ZipFile(book) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "xl/workbook.xml":
                first = content[content.index(b"<sheet ") : content.index(b"/>", content.index(b"<sheet ")) + 2]
                content = content.replace(first, first + first.replace(b'name="', b'name="again '))
            target.writestr(name, content)
    book.write_bytes(out.getvalue())
    tables = read_workbook(item_at(book), profile)
    assert problem_of(tables) == (None, None)


def test_another_workbook_that_unpacks_to_much(tmp_path, monkeypatch):
    path = tmp_path / "other.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(3 << 20))
    assert unpacks_to_much(item_at(path)) is None
    monkeypatch.setattr(limits, "WORKBOOK_BYTES", limits.MIB)
    assert unpacks_to_much(item_at(path)) == "the workbook unpacks to 3 MiB; 1 MiB at most are read"


@pytest.mark.parametrize(("name", "value"), [("METADATA_BYTES", 100), ("LIST_ROWS", 2)])
def test_a_metadata_list_beyond_any_real_one(name, value, tmp_path, profile, monkeypatch):
    path = tmp_path / "metadata.csv"
    headings = profile.metadata_columns
    path.write_text(",".join(headings) + "\n" + ("x" + "," * (len(headings) - 1) + "\n") * 3)
    assert problem_of(read_metadata(item_at(path), Folder(tmp_path), profile)) == (None, None)
    monkeypatch.setattr(limits, name, value)
    assert problem_of(read_metadata(item_at(path), Folder(tmp_path), profile))[0] == "too-large"


@pytest.mark.parametrize(("name", "value"), [("MANIFEST_BYTES", 20), ("LIST_ROWS", 2)])
def test_a_manifest_beyond_any_real_one(name, value, tmp_path, monkeypatch):
    path = tmp_path / "list.tcia"
    path.write_text("downloadServerUrl=x\nListOfSeriesToDownload=\n1.2.3\n1.2.4\n1.2.5\n")
    assert problem_of(read_manifest(item_at(path))) == (None, None)
    monkeypatch.setattr(limits, name, value)
    assert problem_of(read_manifest(item_at(path)))[0] == "too-large"


def test_every_limit_says_where_it_comes_from():
    source = inspect.getsource(limits)
    names = [name for name in vars(limits) if name.isupper() and name != "MIB"]
    assert names
    for name in names:
        after = source.split(f"{name}: Final = ", 1)[1].split("\n", 2)[1]
        assert after.startswith('"""'), name


def test_a_union_tells_whether_masks_share_voxels():
    first, second = masks.pack(np.eye(8, 16, dtype=bool)), masks.pack(np.eye(8, 16, 1, dtype=bool))
    assert masks.count(masks.union([first, second])) == masks.count(first) + masks.count(second)


def test_a_column_of_pseudonyms_may_be_blank_throughout(tmp_path, profile):
    path = tmp_path / "clinical.csv"
    columns = profile.editions[0].columns
    path.write_text(",".join(columns) + "\n" + "x\n")
    tables = {name: frame(name, rows) for name, rows in read_workbook(item_at(path), profile).items()}
    report = judge(Evidence(tables=tables), profile, rules=[item for item in registry() if item.code == "CLN023"])
    assert not report.incomplete
