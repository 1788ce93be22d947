from pathlib import Path

import numpy as np
import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from support import tiny

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence import patient as module
from crlm_qc.evidence.patient import PatientRead, read_patient
from crlm_qc.evidence.release import find_release
from crlm_qc.model.settings import Depth

PROFILE = load_profile()
COLLECTION = "Colorectal-Liver-Metastases"
LIVER = np.zeros((8, 16), np.uint8)
LIVER[2:6, 3:9] = 1


def scene(count: int = 6) -> list[np.ndarray]:
    """Stored values: soft tissue of 0 HU, and in slices 2 and 3 a liver of 100 HU."""
    slices = [np.full((8, 16), 1024 - 50, np.int16) for _ in range(count)]
    for index in (2, 3):
        slices[index][LIVER == 1] = 1124
    return slices


def read(root: Path, slices, *dsos) -> PatientRead:
    tiny.write_patient(root / COLLECTION / tiny.PATIENT, slices, *dsos)
    found = find_release(root, PROFILE)
    return read_patient(tiny.PATIENT, found.patients[0].items, PROFILE, Depth.PIXELS)


def stack(values=None, **options) -> list:
    return [tiny.ct_slice(index, stored=one, **options) for index, one in enumerate(values or scene())]


def liver(*places: int, labels=("Liver",)):
    return tiny.segmentation([(1, index, LIVER) for index in places], labels, slices=6)


def placed(found: PatientRead, kind: str = "stated", shift: int = 0, about: str | None = None) -> dict:
    (row,) = [
        row
        for row in found.rows["alignments"]
        if (row["placement"], row["shift"], row["about"]) == (kind, shift, about)
    ]
    return row


def below(found: PatientRead, *placement) -> float:
    return placed(found, *placement)["hu_below_minus10"]


def test_values_under_the_mask(tmp_path):
    row = read(tmp_path, stack(), liver(2, 3)).rows["segments"][0]
    assert (row["hu_median"], row["hu_below_minus10"]) == (100.0, 0.0)
    row = read(tmp_path, stack(), liver(1, 2)).rows["segments"][0]
    assert row["hu_below_minus10"] == 0.5


def test_where_the_mask_fits_better(tmp_path):
    found = read(tmp_path, stack(), liver(2, 3))
    assert [below(found, "slices", shift) for shift in (-2, -1, 1, 2)] == [1, 0.5, 0.5, 1]
    assert (below(found), below(found, "upside-down", 0, "image"), below(found, "upside-down", 0, "mask")) == (0, 0, 0)
    found = read(tmp_path, stack(), liver(1, 2))
    assert (below(found), below(found, "slices", 1), below(found, "upside-down", 0, "image")) == (0.5, 0, 0.5)
    assert placed(found, "slices", 1)["shift_mm"] == 5.0


def test_an_upside_down_mask_fits_better_flipped(tmp_path):
    found = read(tmp_path, stack(), liver(0, 1, 3))
    assert below(found) == pytest.approx(2 / 3)
    assert below(found, "upside-down", 0, "mask") == pytest.approx(1 / 3)


def test_shifts_off_the_stack_count_fewer_voxels(tmp_path):
    found = read(tmp_path, stack(), liver(0, 1))
    full = placed(found)["voxels"]
    assert [placed(found, "slices", shift)["voxels"] for shift in (-1, 1, 2)] == [full / 2, full, full]
    nowhere = placed(found, "slices", -2)
    assert nowhere["voxels"] == 0
    assert [nowhere[name] for name in ("hu_median", "hu_spread", "hu_below_minus10")] == [None] * 3


def test_tumours_and_vessels_are_left_out(tmp_path):
    tumour = np.zeros_like(LIVER)
    tumour[2:4] = LIVER[2:4]
    values = scene()
    for index in (2, 3):
        values[index][tumour == 1] = 1024 - 30
    frames = [(number, index, mask) for number, mask in ((1, LIVER), (2, tumour)) for index in (2, 3)]
    ds = tiny.segmentation(frames, ["Liver", "Tumor_1"], slices=6)
    found = read(tmp_path, stack(values), ds)
    assert (below(found), placed(found)["hu_median"]) == (0, 101.0)
    assert found.rows["segments"][0]["hu_below_minus10"] == 0.5


def test_tumours_that_leave_no_liver_are_not_left_out(tmp_path):
    frames = [(number, index, LIVER) for number in (1, 2) for index in (2, 3)]
    found = read(tmp_path, stack(), tiny.segmentation(frames, ["Liver", "Tumor_1"], slices=6))
    assert (below(found), placed(found)["hu_median"]) == (0, 101.0)
    assert placed(found)["voxels"] > 0


def test_padding_is_no_tissue(tmp_path):
    values = scene()
    values[2][2:6, 3:6] = -2000
    slices = stack(values)
    for ds in slices:
        ds.PixelPaddingValue = -2000
    found = read(tmp_path, slices, liver(2, 3))
    assert (found.rows["segments"][0]["hu_median"], found.rows["segments"][0]["hu_below_minus10"]) == (100.0, 0.0)
    assert found.rows["slices"][2]["hu_min"] == -50.0
    full = read(tmp_path / "full", stack(), liver(2, 3))
    assert placed(found)["voxels"] == placed(full)["voxels"] / 2
    assert below(found) == 0


def test_padding_that_is_not_declared_is_no_tissue_either(tmp_path):
    values = scene()
    for one in values:
        one[:, [0, -1]] = -2000
    values[2][2:6, 3:6] = -2000
    slices = stack(values)
    found = read(tmp_path, slices, liver(2, 3))
    assert {row["padding_undeclared"] for row in found.rows["slices"]} == {-2000}
    assert found.rows["slices"][2]["hu_min"] == -50.0
    for ds in slices:
        ds.PixelPaddingValue = -2000
    declared = read(tmp_path / "declared", slices, liver(2, 3))
    assert "padding_undeclared" not in declared.rows["slices"][2]
    assert found.rows["segments"] == declared.rows["segments"]
    assert found.rows["alignments"] == declared.rows["alignments"]


def test_padding_beside_what_is_declared(tmp_path):
    values = scene()
    values[2][:, 0], values[2][0, 5] = -3000, -2000
    slices = stack(values)
    for ds in slices:
        ds.PixelPaddingValue = -2000
    row = read(tmp_path, slices, liver(2, 3)).rows["slices"][2]
    assert (row["padding_undeclared"], row["hu_min"]) == (-3000, -50.0)


def test_levels_are_those_of_slices_from_one_end_to_the_other(tmp_path):
    rows = read(tmp_path, stack(scene(40)), liver(2, 3)).rows["slices"]
    levelled = [place for place, row in enumerate(rows) if "hu_rim" in row]
    assert 8 <= len(levelled) <= 16
    assert max(np.diff([-1, *levelled, 40])) <= 3


def test_padding_may_be_a_range(tmp_path):
    values = scene()
    values[2][2, 3], values[2][2, 4] = -2000, -1999
    slices = stack(values)
    for ds in slices:
        ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = -2000, -1990
    assert read(tmp_path, slices, liver(2)).rows["slices"][2]["hu_min"] == -50.0


@pytest.mark.parametrize(
    ("kind", "bits", "vr", "padding", "held"),
    [
        (np.int16, 16, "US", 63536, -2000),
        (np.uint16, 16, "SS", -2000, 63536),
        (np.uint16, 16, "US", 63536, 63536),
        (np.int16, 12, "US", 63536, -2000),
        (np.uint16, 12, "SS", -2000, 63536),
    ],
)
def test_padding_in_the_other_signedness(tmp_path, kind, bits, vr, padding, held):
    values = [one.astype(kind) for one in scene()]
    values[2][2:6, 3:6] = held
    slices = stack(values)
    for ds in slices:
        ds.BitsStored, ds.HighBit = bits, bits - 1
        ds.add_new("PixelPaddingValue", vr, padding)
    found = read(tmp_path, slices, liver(2, 3))
    row = found.rows["slices"][2]
    assert (row["hu_min"], row["hu_max"], row["hu_outside"]) == (-50.0, 100.0, 0.0)
    assert (found.rows["segments"][0]["hu_median"], found.rows["segments"][0]["hu_below_minus10"]) == (100.0, 0.0)


def test_a_padding_range_in_the_other_signedness(tmp_path):
    values = scene()
    values[2][2, 3], values[2][2, 4] = -2000, -1999
    slices = stack(values)
    for ds in slices:
        ds.add_new("PixelPaddingValue", "US", 63536)
        ds.add_new("PixelPaddingRangeLimit", "US", 63546)
    assert read(tmp_path, slices, liver(2)).rows["slices"][2]["hu_min"] == -50.0


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_float_pixel_data_are_not_read_as_integers(tmp_path, syntax):
    slices = stack()
    for ds, stored in zip(slices, scene(), strict=True):
        del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
        ds.BitsAllocated = 32
        ds.FloatPixelData = stored.astype(np.float32).tobytes()
        ds.file_meta.TransferSyntaxUID = syntax
    found = read(tmp_path, slices, liver(2))
    row = found.rows["slices"][0]
    assert (row["pixels"], row["pixels_detail"]) == ("failed", "Float Pixel Data is not read")
    assert "hu_min" not in row
    assert found.limits == ["CRLM-CT-1001: CT pixels of 6 files were not read: Float Pixel Data is not read"]


def test_figures_of_a_slice(tmp_path):
    values = scene()
    values[0][0, :4] = [1024 - 1200, 1024 + 4100, 1024 + 201, 1024 + 200]
    row = read(tmp_path, stack(values), liver(2)).rows["slices"][0]
    assert (row["hu_min"], row["hu_max"]) == (-1200.0, 4100.0)
    assert row["hu_soft"] == pytest.approx(125 / 128)
    assert row["hu_outside"] == pytest.approx(2 / 128)


def test_lung(tmp_path):
    values = scene()
    values[0][0, [0, 4]], values[1][0, [0, 8]], values[2][0, 8] = 1024 - 800, [1024 - 950, 1024 - 450], 1024 - 500
    # Every eighth row and column is looked at.
    assert [row["hu_lung"] for row in read(tmp_path, stack(values), liver(2)).rows["slices"][:3]] == [0.5, 0, 0.5]


def test_the_border_of_a_liver(tmp_path):
    found = read(tmp_path, stack(), liver(2, 3)).rows["borders"]
    assert [(row["axis"], row["spacing_mm"]) for row in found] == [
        ("slices", 5.0),
        ("rows", 0.8),
        ("columns", 0.8),
    ]
    # On each of two slices one row and one column is looked at, and one pixel along the normal.
    assert [(row["faces_low"], row["faces_high"]) for row in found] == [(1, 1), (2, 2), (2, 2)]


def test_rescale_is_applied_slice_by_slice(tmp_path):
    slices = stack()
    slices[2].RescaleSlope, slices[2].RescaleIntercept = 2, -2048
    row = read(tmp_path, slices, liver(2)).rows["segments"][0]
    assert row["hu_median"] == 200.0
    del slices[2].RescaleSlope
    assert "hu_median" not in read(tmp_path, slices, liver(2)).rows["segments"][0]


@pytest.mark.parametrize("kind", ["big-endian", "rle", "unsigned", "twelve bits"])
def test_other_encodings_of_pixels(tmp_path, kind):
    values = [one.astype(np.uint16) for one in scene()] if kind in ("unsigned", "twelve bits") else scene()
    slices = stack(values, **({"syntax": ExplicitVRBigEndian} if kind == "big-endian" else {}))
    for ds in slices:
        if kind == "rle":
            ds.compress(RLELossless)
        if kind == "twelve bits":
            ds.BitsStored, ds.HighBit = 12, 11
            ds.PixelData = (np.frombuffer(ds.PixelData, np.uint16) | 0x8000).tobytes()
    found = read(tmp_path, slices, liver(2, 3))
    assert found.rows["segments"][0]["hu_median"] == 100.0
    assert found.rows["slices"][0]["hu_min"] == -50.0
    assert found.limits == []


def test_a_missing_decoder_is_told_once(tmp_path, monkeypatch):
    slices = stack()
    for ds in slices:
        ds.compress(RLELossless)
    decoder = get_decoder(RLELossless)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(decoder, "_unavailable", {"thing": ("thing>=2.0",)})
    found = read(tmp_path, slices, liver(2))
    assert found.limits == [
        "CRLM-CT-1001: CT pixels of 6 files were not read: a decoder is missing: install thing>=2.0"
    ]
    assert "hu_median" not in found.rows["segments"][0]


def moved(ds, offset):
    position = ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    position.ImagePositionPatient = (np.array(position.ImagePositionPatient, float) + offset).tolist()
    return ds


def turned(ds):
    ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    return ds


@pytest.mark.parametrize(
    "ds",
    [
        moved(liver(2), [0.5, 0, 0]),
        moved(liver(2), [0, 0, 1.0]),
        turned(liver(2)),
        tiny.segmentation([(1, 2, LIVER)], slices=0, referenced=False),
    ],
    ids=["sideways", "between slices", "turned", "of no series here"],
)
def test_masks_on_another_grid_are_not_laid_over_the_ct(tmp_path, ds):
    if "ReferencedSeriesSequence" not in ds:
        item = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
        item.ReferencedSOPInstanceUID = tiny.uid(99)
    found = read(tmp_path, stack(), ds)
    assert found.rows["dsos"][0]["masks"] == "measured"
    assert "hu_median" not in found.rows["segments"][0]
    assert found.rows["alignments"] == []


def test_a_slice_cut_short_is_left_out(tmp_path):
    full = placed(read(tmp_path, stack(), liver(2, 3)))["voxels"]
    path = sorted((tmp_path / COLLECTION).rglob("2.000000*/*.dcm"))[2]
    path.write_bytes(path.read_bytes()[:-1])
    found = read_patient(tiny.PATIENT, find_release(tmp_path, PROFILE).patients[0].items, PROFILE, Depth.PIXELS)
    assert "hu_min" not in found.rows["slices"][2]
    assert placed(found)["voxels"] == full / 2
    assert found.rows["files"][2 + 1]["pixel_bytes_found"] == 255


def test_pixels_beyond_the_budget_are_read_later(tmp_path, monkeypatch):
    expected = read(tmp_path, stack(), liver(2, 3))
    monkeypatch.setattr(module, "HELD_BYTES", 300)
    assert read(tmp_path, stack(), liver(2, 3)) == expected


def test_two_slices_at_one_place_count_once(tmp_path):
    slices = stack()
    slices.append(tiny.ct_slice(2, stored=scene()[2]))
    slices[-1].SOPInstanceUID = slices[-1].file_meta.MediaStorageSOPInstanceUID = tiny.ct_uid(50)
    found = read(tmp_path, slices, liver(2, 3))
    assert placed(found)["voxels"] == 2 * placed(read(tmp_path / "one", stack(), liver(2)))["voxels"]
    assert below(found) == 0


def encoded(kind: str, one: np.ndarray, index: int):
    """A slice of the same CT values, written in another way."""
    hu = one.astype(np.int32) - 1024
    if kind == "unsigned":
        ds = tiny.ct_slice(index, stored=one.clip(0).astype(np.uint16))
    elif kind == "big-endian":
        ds = tiny.ct_slice(index, stored=one, syntax=ExplicitVRBigEndian)
    else:
        slope, intercept = {"doubled": (0.5, -1024), "as HU": (1, 0)}.get(kind, (1, -1024))
        ds = tiny.ct_slice(index, stored=((hu - intercept) / slope).astype(np.int16))
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
    if kind == "rle":
        ds.compress(RLELossless)
    if kind == "twelve bits":
        ds.BitsStored, ds.HighBit = 12, 11
    return ds


@pytest.mark.parametrize("kind", ["rle", "unsigned", "big-endian", "doubled", "as HU", "twelve bits"])
def test_the_same_values_have_one_digest_in_any_encoding(tmp_path, kind):
    noise = np.random.default_rng(1).integers(-900, 900, (4, 8, 16))
    values = [*(noise + 1024).astype(np.int16), np.full((8, 16), 7, np.int16)]
    plain = read(tmp_path / "plain", stack(values)).rows["slices"]
    other = read(tmp_path / "other", [encoded(kind, one, place) for place, one in enumerate(values)]).rows["slices"]
    digests = [row["pixel_digest"] for row in plain]
    assert digests == [row["pixel_digest"] for row in other]
    assert len(set(digests[:4])) == 4
    assert digests[4] is None


@pytest.mark.parametrize(
    ("kind", "values", "padding", "wide"),
    [
        (np.int16, [-2048, 2047, 5, 0], None, 0),
        (np.int16, [0, -2048, 2048, 5000, 5], None, 2),
        # Without a sign in the bits above, those below tell it.
        (np.int16, [4095, 2048, 5, 0], None, 0),
        (np.uint16, [4095, 2048, 5, 0], None, 0),
        (np.uint16, [4096, 65535, 5, 0], None, 2),
        (np.uint16, [4096, 63536, 5, 0], 63536, 1),
        (np.int16, [-3000, -2049, 5, 0], -3000, 1),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_values_of_more_bits_than_stored(tmp_path, kind, values, padding, wide, compressed):
    ds = tiny.ct_slice(stored=np.array([values], kind))
    ds.BitsStored, ds.HighBit = 12, 11
    if padding is not None:
        ds.add_new("PixelPaddingValue", "SS" if kind is np.int16 else "US", padding)
    if compressed:
        ds.compress(RLELossless)
    (row,) = read(tmp_path, [ds]).rows["slices"]
    assert row["wide_pixels"] == wide
    assert row["hu_max"] < 4096


def test_masks_have_digests(tmp_path):
    full = np.ones_like(LIVER)
    frames = [(1, 1, LIVER), (2, 1, LIVER), (1, 2, full), (1, 3, LIVER)]
    found = read(tmp_path, stack(), tiny.segmentation(frames, ["Liver", "Tumor_1"], slices=6)).rows["frames"]
    first, other, filled, again = (row.get("mask_digest") for row in found)
    assert first == other == again is not None
    assert filled is None
    assert [row["twin"] for row in found] == [None, None, None, 1]


def test_a_slice_of_another_size_is_left_out_of_the_grid(tmp_path):
    """A scout, or a slice that lost a row, under the UID of the series: CTS003 tells of it, and the rest is measured."""
    slices = stack()
    slices[0].Rows -= 1
    slices[0].PixelData = slices[0].PixelData[: -2 * slices[0].Columns]
    found = read(tmp_path, slices, liver(2, 3))
    assert [row["pixels"] for row in found.rows["slices"]] == ["read"] * 6
    assert found.rows["segments"][0]["hu_median"] is not None
    assert not found.limits
