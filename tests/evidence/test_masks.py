import io
from itertools import product

import cc3d
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from support import tiny
from support.sources import UNREAD

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.ct import identity, series_rows, slice_row
from crlm_qc.evidence.dicom.header import Header, quiet, read_header
from crlm_qc.evidence.dso import LABEL_MAP, dso_rows
from crlm_qc.evidence.masks import measures as segments

PROFILE = load_profile()
VOXEL_ML = 0.8 * 0.8 * 5.0 / 1000
BALL = np.zeros((4, 8, 16), np.uint8)
BALL[1:4, 2:6, 3:9] = 1


@pytest.fixture(autouse=True)
def _lenient():
    before = pydicom.config.settings.reading_validation_mode
    quiet()
    yield
    pydicom.config.settings.reading_validation_mode = before


def read(raw: bytes) -> tuple[Header, dict]:
    stream = io.BytesIO(raw)
    header = read_header(stream, UNREAD)
    if header.pixels is not None:
        header.pixels.hold(stream) if header.pixels.held is None else None
    return header, {"patient": "p", "path": "f", **identity(header)}


def measured(ds, slices=(), profile=PROFILE):
    """Rows of a segmentation, and its pairs."""
    rows = [slice_row(*read(tiny.to_bytes(one))) for one in slices]
    header, shared = read(ds if isinstance(ds, bytes) else tiny.to_bytes(ds))
    found = dso_rows(header, shared)
    _, pairs = segments.measure_masks(header, found, rows, series_rows("p", rows, profile.tolerances), profile)
    return found, pairs


def frames_of(volume: np.ndarray, number: int = 1) -> list:
    return [(number, index, plane) for index, plane in enumerate(volume) if plane.any()]


def stack(count: int = 4, shape: tuple[int, int] = (8, 16)) -> list:
    return [tiny.ct_slice(index, shape=shape) for index in range(count)]


VOLUMES = hnp.arrays(
    np.uint8, st.tuples(st.just(2), st.just(3), st.integers(2, 6), st.integers(2, 19)), elements=st.integers(0, 1)
)


@settings(max_examples=40, deadline=None)
@given(VOLUMES)
def test_measures_agree_with_the_unpacked_masks(volumes):
    ds = tiny.segmentation(
        [(number, index, volumes[number - 1, index]) for number, index in product((1, 2), range(3))],
        ("Liver", "Tumor_1"),
        slices=3,
    )
    found, pairs = measured(ds, stack(3, volumes.shape[2:]))
    for row, volume in zip(found.segments, volumes, strict=True):
        assert row["voxels"] == volume.sum()
        assert row["volume_ml"] == pytest.approx(volume.sum() * VOXEL_ML)
        assert row["volume_basis"] == "ct-positions"
        sizes = np.bincount(cc3d.connected_components(volume, connectivity=6).ravel())[1:]
        assert (row["components"], row["largest_component"]) == (sizes.size, sizes.max(initial=0))
        assert row["specks"] == (sizes < 10).sum()
        if volume.any():
            planes, rows, columns = np.nonzero(volume)
            assert (row["row_min"], row["row_max"]) == (rows.min(), rows.max())
            assert (row["column_min"], row["column_max"]) == (columns.min(), columns.max())
            assert row["n_planes"] == len(set(planes.tolist()))
            assert row["centroid_x"] == pytest.approx(-100 + 0.8 * columns.mean())
            assert row["centroid_y"] == pytest.approx(-50 + 0.8 * rows.mean())
            assert row["centroid_z"] == pytest.approx(5.0 * planes.mean())
    shared = int((volumes[0] & volumes[1]).sum())
    assert [(pair["segment_a"], pair["segment_b"], pair["overlap_voxels"]) for pair in pairs] == (
        [(1, 2, shared)] if shared else []
    )
    assert [frame["voxels"] for frame in found.frames] == volumes.sum(axis=(2, 3)).ravel().tolist()


def test_frames_in_any_order_give_the_same():
    frames = frames_of(BALL)
    forward, _ = measured(tiny.segmentation(frames), stack())
    backward, _ = measured(tiny.segmentation(frames[::-1]), stack()[::-1])
    assert forward.segments == backward.segments


def test_a_voxel_set_in_two_frames_of_one_place_counts_once():
    frames = [*frames_of(BALL), (1, 2, np.eye(8, 16, dtype=np.uint8))]
    found, _ = measured(tiny.segmentation(frames), stack())
    both = BALL.copy()
    both[2] |= np.eye(8, 16, dtype=np.uint8)
    assert found.segments[0]["voxels"] == both.sum()
    assert found.segments[0]["n_frames"] == 4


def test_planes_that_miss_a_slice_between_them_are_not_connected():
    volume = BALL.copy()
    volume[2] = 0
    found, _ = measured(tiny.segmentation(frames_of(volume)), stack())
    assert found.segments[0]["components"] == 2
    assert found.segments[0]["n_planes"] == 2


def test_a_frame_that_is_a_little_off_its_slice_shares_its_plane():
    ds = tiny.segmentation([(1, 1, BALL[1]), (2, 1, BALL[1])], ("Liver", "Tumor_1"))
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] = 5.3
    assert [pair["overlap_voxels"] for pair in measured(ds, stack())[1]] == [BALL[1].sum()]
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] = 6.0
    assert measured(ds, stack())[1] == []


def test_where_the_slice_spacing_comes_from():
    frames = [(1, index, BALL[2]) for index in (0, 1, 3)]
    ds = tiny.segmentation(frames)
    thick = [tiny.ct_slice(index, spacing=4.0) for index in range(4)]

    def basis(ds, slices):
        row = measured(ds, slices)[0].segments[0]
        ml = row["volume_ml"]
        return row["volume_basis"], None if ml is None else pytest.approx(ml / row["voxels"] * 1000 / 0.64)

    assert basis(ds, thick) == ("ct-positions", 4.0)
    assert basis(ds, []) == ("frame-positions", 5.0)
    del ds.ReferencedSeriesSequence
    assert basis(ds, thick) == ("ct-positions", 4.0), "source images name the series too"
    one = tiny.segmentation(frames[:1])
    measures = one.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = 3.0
    assert basis(one, []) == ("spacing-between-slices", 3.0)
    del measures.SpacingBetweenSlices
    assert basis(one, []) == ("slice-thickness", 5.0)
    del measures.SliceThickness
    assert basis(one, []) == (None, None)


def test_a_series_of_another_patient_gives_no_spacing():
    ds = tiny.segmentation(frames_of(BALL))
    ds.ReferencedSeriesSequence[0].SeriesInstanceUID = tiny.uid(99)
    for item in ds.PerFrameFunctionalGroupsSequence:
        item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = tiny.uid(98)
    assert measured(ds, stack())[0].segments[0]["volume_basis"] == "frame-positions"


def test_frames_without_a_position_take_that_of_their_source():
    ds = tiny.segmentation(frames_of(BALL))
    for item in ds.PerFrameFunctionalGroupsSequence:
        del item.PlanePositionSequence
    row = measured(ds, stack())[0].segments[0]
    assert row["components"] == 1
    assert row["centroid_z"] == pytest.approx(10.0)


def test_frames_without_any_place_are_counted_and_not_connected():
    ds = tiny.segmentation(frames_of(BALL))
    del ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    row = measured(ds)[0].segments[0]
    assert row["voxels"] == BALL.sum()
    assert "components" not in row
    assert "centroid_x" not in row


def test_a_stray_frame_far_away_costs_no_memory():
    ds = tiny.segmentation(frames_of(BALL))
    ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient[2] = 9e4
    assert measured(ds, stack())[0].segments[0]["components"] == 2


def test_holes_that_no_other_segment_fills():
    shell = np.zeros((5, 8, 16), np.uint8)
    shell[:, 1:7, 1:12] = 1
    shell[1:4, 3:5, 3:9] = 0
    inner = np.zeros_like(shell)
    inner[2, 3:5, 3:9] = 1

    def holes(*frames, labels=("Liver", "Tumor_1")):
        found, _ = measured(tiny.segmentation(list(frames), labels, slices=5), stack(5))
        return [row.get("hole_voxels") for row in found.segments]

    assert holes(*frames_of(shell)) == [36, None]
    assert holes(*frames_of(shell), *frames_of(inner, 2)) == [24, None]
    open_shell = shell.copy()
    open_shell[4] = 0
    assert holes(*frames_of(open_shell)) == [0, None], "open to one side"


def test_segments_that_only_frames_name_are_measured_too():
    found, _ = measured(tiny.segmentation([(1, 1, BALL[1]), (7, 2, BALL[2])]), stack())
    assert [(row["segment_number"], row["declared"], row["voxels"]) for row in found.segments] == [
        (1, True, BALL[1].sum()),
        (7, False, BALL[2].sum()),
    ]


def test_a_declared_segment_without_frames_is_empty():
    found, _ = measured(tiny.segmentation(frames_of(BALL), ("Liver", "Tumor_1")), stack())
    assert (found.segments[1]["voxels"], found.segments[1]["n_frames"], found.segments[1]["components"]) == (0, 0, 0)


@pytest.mark.parametrize("width", [16, 13])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings_of_bits(syntax, width):
    volume = BALL[..., :width]
    expected, _ = measured(tiny.segmentation(frames_of(volume)), stack(4, (8, width)))
    ds = tiny.segmentation(frames_of(volume), syntax=syntax)
    if syntax == ExplicitVRBigEndian:
        value = ds.PixelData
        del ds.PixelData
        # Bits of a big-endian object are packed into words, whose bytes are swapped (PS3.5 8.1.1, Annex D).
        swapped = np.frombuffer(value, "<u2").astype(">u2").tobytes()
        ds.add_new("PixelData", "OW", swapped)
        assert swapped != value
    found, _ = measured(ds, stack(4, (8, width)))
    assert found.dso["masks"] == "measured"
    assert found.segments == expected.segments


def as_bytes(ds, value: np.ndarray, kind: str) -> Dataset:
    """The same object with eight bits a voxel."""
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.SegmentationType = kind
    del ds.PixelData
    ds.add_new("PixelData", "OB", value.astype(np.uint8).tobytes())
    return ds


@pytest.mark.parametrize("compressed", [False, True])
def test_fractional_counts_voxels_that_are_at_least_half_filled(compressed):
    share = np.array([0, 49, 50, 51, 99, 100, 1, 0] * 16).reshape(1, 8, 16)
    ds = as_bytes(tiny.segmentation([(1, 1, share[0])]), share, "FRACTIONAL")
    ds.MaximumFractionalValue = 100
    if compressed:
        ds.compress(RLELossless)
    found, _ = measured(ds, stack())
    assert found.dso["masks"] == "measured"
    assert found.segments[0]["voxels"] == 64


@pytest.mark.parametrize("compressed", [False, True])
def test_label_maps(compressed):
    labels = np.zeros((2, 8, 16), np.uint8)
    labels[0, 2:5, 2:5], labels[0, 3, 3], labels[1, 2, 2:9] = 1, 2, 9
    ds = as_bytes(tiny.segmentation([(1, 1, labels[0]), (1, 2, labels[1])], ("Liver", "Tumor_1")), labels, "LABELMAP")
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = LABEL_MAP
    for item in ds.PerFrameFunctionalGroupsSequence:
        del item.SegmentIdentificationSequence
    if compressed:
        ds.compress(RLELossless)
    found, pairs = measured(ds, stack())
    assert [(row["segment_number"], row["declared"], row["voxels"], row["n_frames"]) for row in found.segments] == [
        (1, True, 8, 1),
        (2, True, 1, 1),
        (9, False, 7, 1),
    ]
    assert [frame["voxels"] for frame in found.frames] == [9, 7]
    assert pairs == []


@pytest.mark.parametrize("how", list(product([False, True], repeat=3)))
def test_masks_stored_in_other_directions_than_the_ct(how):
    """Whatever corner is stored first, and whether rows are columns: measured like the same masks stored as the CT is."""
    flips_rows, flips_columns, transposes = how
    volume = np.zeros((4, 16, 16), np.uint8)
    volume[1:4, 2:6, 3:12], volume[2, 6:9, 10] = 1, 1
    expected, _ = measured(tiny.segmentation(frames_of(volume)), stack(4, (16, 16)))
    stored = volume[:, :: -1 if flips_rows else 1, :: -1 if flips_columns else 1]
    ds = tiny.segmentation(frames_of(stored.swapaxes(1, 2) if transposes else stored))
    along, down = [-1 if flips_columns else 1, 0, 0], [0, -1 if flips_rows else 1, 0]
    plane = ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [*down, *along] if transposes else [*along, *down]
    for item in ds.PerFrameFunctionalGroupsSequence:
        x, y, z = item.PlanePositionSequence[0].ImagePositionPatient
        corner = [x + 15 * 0.8 * flips_columns, y + 15 * 0.8 * flips_rows, z]
        item.PlanePositionSequence[0].ImagePositionPatient = corner
    found, _ = measured(ds, stack(4, (16, 16)))
    for row, other in zip(found.segments, expected.segments, strict=True):
        assert {key: pytest.approx(value) for key, value in other.items()} == row


_HALVES = np.array([[row * 4 < column < 40 - row for column in range(45)] for row in range(9)], np.uint8)
"""A mask of 9 x 45 pixels, which fill no whole byte."""


@pytest.mark.parametrize(
    ("pack", "packing"),
    [
        (lambda frames: b"".join(np.packbits(one, bitorder="little").tobytes() for one in frames), "frames-in-bytes"),
        (lambda frames: np.packbits(frames, axis=-1, bitorder="little").tobytes(), "rows-in-bytes"),
        (lambda frames: frames.tobytes(), "bytes-for-bits"),
        (lambda frames: np.packbits(frames.ravel(), bitorder="big").tobytes(), "bits-reversed"),
    ],
)
def test_bits_packed_otherwise(pack, packing):
    volume = np.stack([_HALVES] * 20)
    ds = tiny.segmentation(frames_of(volume), slices=20)
    content = pack(volume)
    ds.PixelData = content + bytes(len(content) % 2)
    found, pairs = measured(ds, stack(20, volume.shape[1:]))
    assert (found.dso["packing"], found.dso["masks"], pairs) == (packing, "misread", [])
    assert (found.dso.get("byte_steps") or 0) > 3 * (found.dso.get("byte_steps_mended") or 0) or "bits-" not in packing
    assert all(row.get("voxels") is None for row in (*found.segments, *found.frames))


def test_a_missing_padding_byte_leaves_the_masks_alone():
    volume = np.stack([_HALVES])
    ds = tiny.segmentation(frames_of(volume))
    assert len(ds.PixelData) == 52
    raw = tiny.to_bytes(ds)
    at = raw.index(b"\xe0\x7f\x10\x00OB\0\0") + 8
    found, _ = measured(raw[:at] + (51).to_bytes(4, "little") + raw[at + 4 : -1], stack(4, _HALVES.shape))
    lengths = ("pixel_bytes_expected", "pixel_bytes_unpadded", "pixel_bytes_found", "packing", "masks")
    assert [found.dso[key] for key in lengths] == [52, 51, 51, None, "measured"]
    assert found.segments[0]["voxels"] == _HALVES.sum()


def test_a_missing_decoder_is_told(monkeypatch):
    ds = as_bytes(tiny.segmentation([(1, 1, BALL[1])]), BALL[1], "FRACTIONAL")
    ds.compress(RLELossless)
    decoder = get_decoder(RLELossless)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(decoder, "_unavailable", {"thing": ("thing>=2.0",)})
    found, pairs = measured(ds, stack())
    assert (found.dso["masks"], pairs) == ("no-decoder", [])
    assert found.dso["masks_detail"] == "a decoder is missing: install thing>=2.0"


def test_an_unknown_transfer_syntax_is_told():
    raw = tiny.to_bytes(tiny.segmentation(frames_of(BALL)))
    found, _ = measured(raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0"), stack())
    assert found.dso["masks"] == "no-decoder"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda ds: setattr(ds, "PixelData", ds.PixelData[:-2]), "Pixel Data is shorter than its frames need"),
        (lambda ds: delattr(ds, "PixelData"), "there is no Pixel Data"),
        (lambda ds: delattr(ds, "Rows"), "Rows, Columns, NumberOfFrames or BitsAllocated is missing or zero"),
        (lambda ds: setattr(ds, "NumberOfFrames", 2**31 - 1), "Pixel Data is shorter than its frames need"),
    ],
)
def test_masks_that_cannot_be_measured_say_why(change, detail):
    ds = tiny.segmentation(frames_of(BALL))
    change(ds)
    found, pairs = measured(ds, stack())
    assert (found.dso["masks"], found.dso["masks_detail"], pairs) == ("failed", detail, [])
    assert "voxels" not in found.segments[0]


def test_a_decoder_that_reads_no_single_bits_is_not_called_damage():
    ds = tiny.segmentation([(1, 1, BALL[1])])
    ds.file_meta.TransferSyntaxUID = RLELossless
    ds.PixelData = pydicom.encaps.encapsulate([bytes(70)])
    found, _ = measured(ds, stack())
    assert (found.dso["masks"], found.dso["masks_detail"]) == (
        "no-decoder",
        "the decoder at hand (pydicom) does not read pixels of this kind",
    )


def test_broken_compressed_pixels_fail_alone():
    ds = as_bytes(tiny.segmentation([(1, 1, BALL[1])]), BALL[1], "FRACTIONAL")
    ds.compress(RLELossless)
    ds.PixelData = pydicom.encaps.encapsulate([bytes(70)])
    found, _ = measured(ds, stack())
    assert found.dso["masks"] == "failed"
    assert found.dso["masks_detail"].startswith("Pixel Data can't be decoded (")


def test_plain_transfer_syntax_is_read_as_it_is():
    ds = tiny.segmentation(frames_of(BALL))
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert measured(ds, stack())[0].segments[0]["voxels"] == BALL.sum()


def test_both_volumes_by_positions_and_by_thickness():
    ds = tiny.segmentation(frames_of(BALL))
    thick = [tiny.ct_slice(index, spacing=4.0) for index in range(4)]
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SliceThickness = 6.0
    row = measured(ds, thick)[0].segments[0]
    assert row["volume_ml"] == pytest.approx(BALL.sum() * 0.64 * 4 / 1000)
    assert row["volume_thickness_ml"] == pytest.approx(BALL.sum() * 0.64 * 6 / 1000)
    del measures.SliceThickness
    row = measured(ds, thick)[0].segments[0]
    assert row["volume_thickness_ml"] == pytest.approx(BALL.sum() * 0.64 * 5 / 1000), "that of the CT"
    assert measured(ds)[0].segments[0]["volume_thickness_ml"] is None


def test_where_frames_are_laid():
    ds = tiny.segmentation([(1, index, BALL[2]) for index in (0, 1, 3)])
    assert [row.get("plane") for row in measured(ds, stack())[0].frames] == [0, 1, 3]
    item = ds.PerFrameFunctionalGroupsSequence[1]
    del item.PlanePositionSequence
    assert [row.get("plane") for row in measured(ds, stack())[0].frames] == [0, 1, 3], "that of its source image"
    del item.DerivationImageSequence
    assert [row.get("plane") for row in measured(ds, stack())[0].frames] == [0, None, 3]
    ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [0] * 6
    assert [row.get("plane") for row in measured(ds, stack())[0].frames] == [None] * 3


def test_frames_with_the_mask_of_another():
    tall = np.zeros((8, 8, 16), np.uint8)
    for index in range(8):
        tall[index, 1 : 2 + index // 2, 1 : 3 + index] = 1
    frames = frames_of(tall)

    def twins(frames):
        found = measured(tiny.segmentation(frames, ("Liver", "Portal"), slices=8), stack(8))[0]
        return {row["frame"]: (row.get("twin"), row.get("jump")) for row in found.frames if "jump" in row}

    assert twins(frames) == {}
    frames[6] = (1, 6, tall[1])
    (first, copied) = twins(frames).values()
    assert (first[0], copied[0]) == (None, 2)
    assert first[1] < 0.75 < 1 < copied[1]
    assert twins([*frames_of(tall), *frames_of(tall[:, ::-1], 2)]) == {}
    assert twins([(1, 0, tall[3]), (2, 1, tall[3])]) == {}, "of another segment"
    ball = np.concatenate([tall[:5], tall[3::-1]])
    assert {jump < 0.75 for _, jump in twins(frames_of(ball)).values()} == {True}


def test_segments_that_share_no_voxel_tell_what_is_around_them():
    liver = np.zeros((5, 8, 16), np.uint8)
    liver[:, 1:7, 1:12] = 1
    tumour, far = np.zeros_like(liver), np.zeros_like(liver)
    tumour[1:4, 3:5, 3:6] = 1
    far[2, 2:5, 13:15] = 1
    frames = [*frames_of(liver & (1 - tumour)), *frames_of(tumour, 2), *frames_of(far, 3)]
    labels = ("Liver", "Tumor_1", "Tumor_2")
    found, pairs = measured(tiny.segmentation(frames, labels, slices=5), stack(5))
    assert pairs == []
    assert [row.get("rim_in_liver") for row in found.segments] == [None, 1.0, 0.0]
    row = found.segments[0]
    assert row["union_voxels"] == liver.sum() + far.sum()
    assert (row["union_components"], row["union_largest"]) == (2, liver.sum())
    found, pairs = measured(
        tiny.segmentation([*frames_of(liver), *frames_of(tumour, 2)], labels[:2], slices=5), stack(5)
    )
    assert len(pairs) == 1
    assert "union_voxels" not in found.segments[0]


def test_a_fractional_object_tells_its_maximum():
    share = np.full((1, 8, 16), 80)

    def read_back(bits=8, maximum=None):
        ds = as_bytes(tiny.segmentation([(1, 1, share[0])]), share, "FRACTIONAL")
        if bits == 1:
            ds = tiny.segmentation([(1, 1, BALL[1])])
            ds.SegmentationType = "FRACTIONAL"
        if maximum:
            ds.MaximumFractionalValue = maximum
        found = measured(ds, stack())[0]
        return found.dso["fractional_maximum"], found.segments[0]["fraction_max"], found.segments[0]["voxels"]

    assert read_back(maximum=100) == (100, 0.8, 128)
    assert read_back(maximum=200) == (200, 0.4, 0)
    assert read_back() == (None, pytest.approx(80 / 255), 0)
    assert read_back(bits=1) == (None, 1.0, BALL[1].sum())


def test_float_pixel_data_are_no_masks():
    ds = as_bytes(tiny.segmentation([(1, 1, BALL[1])]), BALL[1], "FRACTIONAL")
    del ds.PixelData
    ds.FloatPixelData = BALL[1].astype(np.float32).tobytes()
    found, _ = measured(ds, stack())
    assert (found.dso["masks"], found.dso["masks_detail"]) == ("failed", "Float Pixel Data is not read")
