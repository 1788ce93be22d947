"""Segmentation objects as other software writes them: read right to the voxel, or refused by name; never read wrong."""

import io
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from scipy import ndimage
from support import tiny

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.rulebook.context import Context
from crlm_qc.subjects.dso import dsos_of

COLLECTION = "Colorectal-Liver-Metastases"
LABELS = ("Liver", "Tumor_1", "Tumor_2")
SLICES = 5
WRITTEN_BY_HIGHDICOM = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless)
WRITTEN_BY_PYDICOM = (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
COMPRESSED = (JPEG2000Lossless, JPEGLSLossless, RLELossless)
SYNTAXES = (*WRITTEN_BY_HIGHDICOM, *WRITTEN_BY_PYDICOM, JPEG2000Lossless)
# RLE and JPEG-LS take whole bytes (PS3.5 A.4), and Pillow writes JPEG 2000 of whole bytes alone.
CASES = [
    (kind, syntax, shape)
    for kind in ("BINARY", "FRACTIONAL", "LABELMAP")
    for syntax in SYNTAXES
    for shape in ((32, 40), (33, 37))
    if not (kind == "BINARY" and syntax in COMPRESSED)
]
# highdicom and pydicom warn of IDs for names, and of what highdicom itself writes.
pytestmark = pytest.mark.filterwarnings("ignore")


def named(case: tuple) -> str:
    kind, syntax, shape = case
    return f"{kind} {syntax.name} {shape[0]}x{shape[1]}"


def images(shape: tuple[int, int]) -> list[FileDataset]:
    """The CT series, with what highdicom asks of a source image."""
    made = []
    for index in range(SLICES):
        ds = tiny.ct_slice(index, shape=shape)
        ds.PatientBirthDate = ds.StudyTime = ds.AccessionNumber = ds.StudyID = ""
        ds.Manufacturer = "GE MEDICAL SYSTEMS"
        made.append(ds)
    return made


def blobs(shape: tuple[int, int], *, disjoint: bool, seed: int = 1) -> np.ndarray:
    """Random masks, shape (slices, rows, columns, segments), 0 or 1."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal((SLICES, *shape, len(LABELS))), (0.5, 0.8, 0.8, 0))
    if disjoint:
        best = smooth.argmax(axis=-1)
        return ((best[..., None] == np.arange(len(LABELS))) & (smooth > 0)).astype(np.uint8)
    return (smooth > 0.1).astype(np.uint8)


def segmentation(kind: str, syntax: str, masks: np.ndarray, sources: list[FileDataset]) -> pydicom.Dataset:
    """An object that highdicom writes; Pillow and pydicom put it into the transfer syntaxes that it can't write."""
    pixels: np.ndarray = masks
    if kind == "FRACTIONAL":
        # Shares over and under a half, so that cutting them elsewhere would be seen.
        pixels = np.where(masks > 0, 0.52, 0.48) * masks.any(axis=(1, 2), keepdims=True)
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=hd.sr.CodedConcept("123037004", "SCT", "Anatomical Structure"),
            segmented_property_type=hd.sr.CodedConcept(*(("10200004", "SCT", "Liver") if number == 1 else ("4147007", "SCT", "Mass"))),
            algorithm_type="MANUAL",
        )
        for number, label in enumerate(LABELS, start=1)
    ]  # fmt: skip
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=tiny.SEG_SERIES,
        series_number=100,
        sop_instance_uid=tiny.uid(6),
        instance_number=1,
        manufacturer="QIICR",
        manufacturer_model_name="model",
        software_versions="1",
        device_serial_number="0",
        series_description="Segmentation",
        fractional_type="OCCUPANCY",
        transfer_syntax_uid=syntax if syntax in WRITTEN_BY_HIGHDICOM else ExplicitVRLittleEndian,
        omit_empty_frames=True,
    )
    if syntax == JPEG2000Lossless:
        made.PixelData = encapsulate([as_jpeg_2000(frame) for frame in made.pixel_array.reshape(-1, *masks.shape[1:3])])
        made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = syntax
    return made


def as_jpeg_2000(frame: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame.astype(np.uint8)).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
    return stream.getvalue()


def written(root: Path, sources: list[FileDataset], *dsos: pydicom.Dataset) -> Path:
    folder = root / COLLECTION / tiny.PATIENT / "06-06-1992-NA-NA-73.1"
    for index, ds in enumerate(sources, start=1):
        tiny.write(folder / "2.000000-NA-273.2" / f"1-{index:02d}.dcm", ds)
    for index, ds in enumerate(dsos, start=1):
        path = folder / "100.000000-Segmentation-273.3" / f"1-{index}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
    return root


def check(found: Evidence, masks: np.ndarray) -> None:
    """Evidence against the masks that were written."""
    assert found.facts.limits == ()
    assert found["dsos"]["masks"].tolist() == ["measured"]
    rows = found["segments"].sort_values("segment_number").to_dict("records")
    if found["dsos"]["segmentation_type"].item() == "LABELMAP":
        # highdicom declares the background as segment 0; its voxels are no mask.
        background = rows.pop(0)
        assert (background["label"], background["voxels"]) == ("Background", 0)
    assert [row["label"] for row in rows] == list(LABELS)
    for number, row in enumerate(rows):
        mask = masks[..., number]
        labels, count = ndimage.label(mask)
        planes, down, across = np.nonzero(mask)
        assert (row["voxels"], row["components"]) == (mask.sum(), count)
        assert row["largest_component"] == np.bincount(labels.ravel())[1:].max()
        assert row["n_planes"] == len(set(planes))
        assert (row["row_min"], row["row_max"], row["column_min"], row["column_max"]) == (
            down.min(), down.max(), across.min(), across.max()
        )  # fmt: skip
        centre = [-100 + 0.8 * across.mean(), -50 + 0.8 * down.mean(), 5.0 * planes.mean()]
        assert [row[f"centroid_{axis}"] for axis in "xyz"] == pytest.approx(centre)
    shared = {
        (row["segment_a"], row["segment_b"]): row["overlap_voxels"] for row in found["segment_pairs"].to_dict("records")
    }
    assert shared == {
        (one + 1, other + 1): both
        for one in range(len(LABELS))
        for other in range(one + 1, len(LABELS))
        if (both := int((masks[..., one] & masks[..., other]).sum()))
    }


def reported(root: Path, profile: Profile, *select: str) -> Report:
    return audit(root, profile=profile, settings=Settings(subset=True, select=select, depth=Depth.MASKS), jobs=1)


def messages(report: Report, rule: str) -> list[str]:
    return [finding.message for finding in report.findings if finding.rule == rule]


@pytest.mark.parametrize(("kind", "syntax", "shape"), CASES, ids=map(named, CASES))
def test_every_encoding_is_read_to_the_voxel(
    kind: str, syntax: str, shape: tuple[int, int], tmp_path: Path, profile: Profile
) -> None:
    masks, sources = blobs(shape, disjoint=kind == "LABELMAP"), images(shape)
    root = written(tmp_path, sources, segmentation(kind, syntax, masks, sources))

    check(collect(root, profile, depth=Depth.MASKS, jobs=1), masks)

    report = reported(root, profile, "DSO", "REL005", "REL012", "REL016")
    assert {finding.rule for finding in report.findings} - {"DSO021"} == (
        set() if (kind, syntax) == ("BINARY", ExplicitVRLittleEndian) else {"DSO022"}
    ), [finding.message for finding in report.findings]
    assert not report.incomplete
    for told in messages(report, "DSO022"):
        assert (kind in told) == (kind != "BINARY")
        assert (str(syntax) in told) == (syntax != ExplicitVRLittleEndian)


@pytest.mark.parametrize("said", ["1.2.3.4.5", "1.2.840.10008.9.2.9"])
@pytest.mark.parametrize("of", ["seg", "ct"])
def test_native_pixels_are_read_under_a_transfer_syntax_that_nobody_knows(
    said: str, of: str, tmp_path: Path, profile: Profile
) -> None:
    masks, sources = blobs((33, 37), disjoint=False), images((33, 37))
    root = written(tmp_path, sources, segmentation("BINARY", ExplicitVRLittleEndian, masks, sources))
    folder = next(root.rglob("100.000000*" if of == "seg" else "2.000000*"))
    for path in folder.glob("*.dcm"):
        ds = pydicom.dcmread(path)
        raw = path.read_bytes()
        start = 144 + int.from_bytes(raw[140:144], "little")
        ds.file_meta.TransferSyntaxUID = said
        meta = io.BytesIO()
        write_file_meta_info(meta, ds.file_meta, enforce_standard=False)
        path.write_bytes(raw[:132] + meta.getvalue() + raw[start:])

    check(collect(root, profile, depth=Depth.MASKS, jobs=1), masks)
    report = reported(root, profile, "DSO022", "CTS020", "REL017")
    assert not report.incomplete
    assert [finding.rule for finding in report.findings] == ["REL017"]
    (told,) = messages(report, "REL017")
    assert "says an unknown transfer syntax (1.2." in told
    assert told.endswith("but the data set is Explicit VR Little Endian.")


def swapped(ds: pydicom.Dataset) -> pydicom.Dataset:
    """Pixel Data of a big-endian object as words (OW), whose bytes are swapped (PS3.5 7.3)."""
    value = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    del ds.PixelData
    ds.add_new("PixelData", "OW", value)
    return ds


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_big_endian_words(kind: str, tmp_path: Path, profile: Profile) -> None:
    shape = (33, 37)
    masks, sources = blobs(shape, disjoint=kind == "LABELMAP"), images(shape)
    made = segmentation(kind, ExplicitVRBigEndian, masks, sources)
    check(collect(written(tmp_path, sources, swapped(made)), profile, depth=Depth.MASKS, jobs=1), masks)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_label_map_of_two_bytes(order: str, tmp_path: Path, profile: Profile) -> None:
    shape = (33, 37)
    masks, sources = blobs(shape, disjoint=True), images(shape)
    made = segmentation("LABELMAP", ExplicitVRLittleEndian if order == "<" else ExplicitVRBigEndian, masks, sources)
    wide = made.pixel_array.astype(f"{order}u2")
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit = 15
    del made.PixelData
    made.add_new("PixelData", "OW", wide.tobytes())
    check(collect(written(tmp_path, sources, made), profile, depth=Depth.MASKS, jobs=1), masks)


def test_one_frame(tmp_path: Path, profile: Profile) -> None:
    shape = (33, 37)
    masks, sources = blobs(shape, disjoint=False), images(shape)
    masks[:2], masks[3:] = 0, 0
    masks[..., 1:] = 0
    made = segmentation("BINARY", ExplicitVRLittleEndian, masks, sources)
    assert made.NumberOfFrames == 1
    found = collect(written(tmp_path, sources, made), profile, depth=Depth.MASKS, jobs=1)
    assert found["frames"]["voxels"].tolist() == [masks.sum()]
    row = found["segments"].set_index("segment_number").loc[1]
    assert (row["voxels"], row["components"], row["n_planes"]) == (masks.sum(), ndimage.label(masks[..., 0])[1], 1)
    assert row["volume_basis"] == "ct-positions"


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_a_missing_decoder_is_named_and_nothing_passes(
    syntax: str, tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks, sources = blobs((32, 40), disjoint=False), images((32, 40))
    root = written(tmp_path, sources, segmentation("FRACTIONAL", syntax, masks, sources))
    decoder = get_decoder(syntax)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(decoder, "_unavailable", {"thing": ("thing>=2.0",)})

    report = reported(root, profile, "DSO", "SEG")

    assert report.incomplete
    (limit,) = report.limits
    assert limit.startswith(tiny.PATIENT)
    assert "install thing>=2.0" in limit
    assert messages(report, "DSO022")
    seg = [outcome for outcome in report.outcomes if outcome.rule.startswith("SEG")]
    needed = {outcome.rule for outcome in seg if outcome.reason.startswith("needs --depth")}
    assert seg
    assert {outcome.status for outcome in seg} == {Status.SKIPPED}
    assert all(outcome.incomplete or outcome.rule in needed for outcome in seg)
    assert all("install thing>=2.0" in outcome.reason for outcome in seg if outcome.rule not in needed)
    # What needs the masks is not said of masks that were not read.
    assert {finding.rule for finding in report.findings} == {"DSO022"}


def compressed_images(sources: list[FileDataset]) -> list[FileDataset]:
    for ds in sources:
        uid = ds.SOPInstanceUID
        ds.compress(RLELossless)
        # Compressing gives a new one.
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
    return sources


def test_compressed_images_are_read(tmp_path: Path, profile: Profile) -> None:
    masks, sources = blobs((32, 40), disjoint=False), images((32, 40))
    ds = segmentation("BINARY", ExplicitVRLittleEndian, masks, sources)
    plain = collect(written(tmp_path / "plain", sources, ds), profile, depth=Depth.PIXELS, jobs=1)
    packed = collect(written(tmp_path / "packed", compressed_images(sources), ds), profile, depth=Depth.PIXELS, jobs=1)
    figures = ["hu_min", "hu_max", "hu_soft", "hu_outside", "pixels"]
    assert packed["slices"]["transfer_syntax_uid"].unique().tolist() == [RLELossless]
    assert packed["slices"][figures].equals(plain["slices"][figures])
    assert set(packed["slices"]["pixels"]) == {"read"}
    assert packed["segments"]["hu_median"].equals(plain["segments"]["hu_median"])


def test_a_missing_decoder_of_the_images_is_named(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks, sources = blobs((32, 40), disjoint=False), images((32, 40))
    ds = segmentation("BINARY", ExplicitVRLittleEndian, masks, sources)
    root = written(tmp_path, compressed_images(sources), ds)
    decoder = get_decoder(RLELossless)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(decoder, "_unavailable", {"thing": ("thing>=2.0",)})

    report = audit(root, profile=profile, settings=Settings(subset=True, select=("CTS", "DSO", "SEG")), jobs=1)

    assert report.incomplete
    assert report.limits == (
        f"{tiny.PATIENT}: CT pixels of {SLICES} files were not read: a decoder is missing: install thing>=2.0",
    )
    skipped = {one.rule: one for one in report.outcomes if "install thing>=2.0" in one.reason}
    assert set(skipped) == {"CTS016", "CTS021", "CTS025", "CTS026", "SEG012", "SEG013", "SEG022"}
    assert all(one.status is Status.SKIPPED and one.incomplete for one in skipped.values())
    # The masks themselves were read.
    assert messages(report, "SEG001")


@pytest.mark.parametrize("what", ["masks", "images"])
def test_compressed_pixels_that_make_no_sense_are_told(what: str, tmp_path: Path, profile: Profile) -> None:
    masks, sources = blobs((32, 40), disjoint=False), images((32, 40))
    ds = segmentation("FRACTIONAL", RLELossless if what == "masks" else ExplicitVRLittleEndian, masks, sources)
    if what == "masks":
        ds.PixelData = encapsulate([b"\x05" * 80] * int(ds.NumberOfFrames))
    else:
        compressed_images(sources)[1].PixelData = encapsulate([b"\x05" * 80])
    report = audit(
        written(tmp_path, sources, ds), profile=profile, settings=Settings(subset=True, select=("DSO", "SEG")), jobs=1
    )
    (limit,) = report.limits
    said = "masks were not read" if what == "masks" else "CT pixels of 1 files were not read"
    assert limit.startswith(f"{tiny.PATIENT}: {said}: Pixel Data can't be decoded")
    assert report.incomplete


def with_second_source(ds: pydicom.Dataset) -> pydicom.Dataset:
    """Frame 1 names the slice above its own too."""
    derivation = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    own = derivation.SourceImageSequence[0]
    second = pydicom.Dataset()
    second.ReferencedSOPClassUID = own.ReferencedSOPClassUID
    index = int(own.ReferencedSOPInstanceUID.rpartition(".")[2])
    second.ReferencedSOPInstanceUID = tiny.ct_uid(index + 1)
    derivation.SourceImageSequence.append(second)
    return ds


def with_second_series(ds: pydicom.Dataset) -> pydicom.Dataset:
    """A Referenced Series Sequence that names another series before the patient's own."""
    other = pydicom.Dataset()
    other.SeriesInstanceUID = tiny.uid(77)
    other.ReferencedInstanceSequence = []
    ds.ReferencedSeriesSequence.insert(0, other)
    return ds


@pytest.fixture
def pair() -> tuple[np.ndarray, list[FileDataset], Callable[[], pydicom.Dataset]]:
    masks, sources = blobs((32, 40), disjoint=False), images((32, 40))
    return masks, sources, lambda: segmentation("BINARY", ExplicitVRLittleEndian, masks, sources)


def test_all_source_images_of_a_frame_are_kept(pair, tmp_path: Path, profile: Profile) -> None:
    masks, sources, make = pair
    root = written(tmp_path, sources, with_second_source(make()))
    found = collect(root, profile, depth=Depth.MASKS, jobs=1)
    check(found, masks)
    first = found["frames"].iloc[0]
    assert (first["n_sources"], first["source_uid"] == first["source_uid"]) == (2, False), "neither is picked"
    named_by_first = found["references"].query("level == 'frame' and frame == 1")
    assert len(named_by_first) == 2


def test_all_referenced_series_are_judged(pair, tmp_path: Path, profile: Profile) -> None:
    masks, sources, make = pair
    root = written(tmp_path, sources, with_second_series(make()))
    found = collect(root, profile, depth=Depth.MASKS, jobs=1)
    check(found, masks)
    assert found["references"].query("level == 'series'")["series_uid"].tolist() == [tiny.uid(77), tiny.CT_SERIES]
    report = reported(root, profile, "DSO")
    assert messages(report, "DSO006") == [
        "The object refers to a series that is not in the release, not to the patient's CT series."
    ]


def test_all_objects_of_a_patient_are_measured_and_judged(pair, tmp_path: Path, profile: Profile) -> None:
    masks, sources, make = pair
    second = segmentation("BINARY", ExplicitVRLittleEndian, masks[:, ::-1], sources)
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = tiny.uid(61)
    second.SeriesInstanceUID = tiny.uid(62)
    root = written(tmp_path, sources, make(), second)
    found = collect(root, profile, depth=Depth.MASKS, jobs=1)
    assert found["dsos"]["masks"].tolist() == ["measured", "measured"]
    voxels = found["segments"].groupby("dso")["voxels"].apply(list).tolist()
    assert voxels == [masks.sum(axis=(0, 1, 2)).tolist()] * 2
    report = reported(root, profile, "REL", "SEG001")
    assert len(messages(report, "REL009")) == 1
    assert len(messages(report, "SEG001")) == 2, "the liver of each is judged"


def other_series(root: Path, count: int = 2 * SLICES) -> None:
    """A second, larger CT series of the patient, its slices half as far apart and beside those of the first."""
    for index in range(count):
        ds = tiny.ct_slice(index, shape=(32, 40), spacing=2.5)
        ds.SeriesInstanceUID = tiny.uid(200)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = tiny.uid(201, index)
        ds.ImagePositionPatient[2] += 1.25
        folder = root / COLLECTION / tiny.PATIENT / "06-06-1992-NA-NA-73.1" / "3.000000-NA-3.200"
        tiny.write(folder / f"1-{index + 1:02d}.dcm", ds)


def test_of_two_ct_series_the_source_images_say_which(pair, tmp_path: Path, profile: Profile) -> None:
    masks, sources, make = pair
    ds = with_second_series(make())
    ds.ReferencedSeriesSequence[0].SeriesInstanceUID = tiny.uid(200)
    root = written(tmp_path, sources, ds)
    other_series(root)
    found = collect(root, profile, depth=Depth.MASKS, jobs=1)
    check(found, masks)
    assert set(found["segments"]["volume_basis"]) == {"ct-positions"}
    volumes = masks.sum(axis=(0, 1, 2)) * 0.8 * 0.8 * 5.0 / 1000
    assert found["segments"]["volume_ml"].tolist() == pytest.approx(volumes)
    report = reported(root, profile, "REL009", "DSO")
    assert {finding.rule for finding in report.findings} == {"REL009", "DSO031"}


def test_where_nothing_says_which_ct_is_meant_none_is_compared(pair, tmp_path: Path, profile: Profile) -> None:
    masks, sources, make = pair
    root = written(tmp_path, sources, without_references(make()))
    other_series(root)
    found = collect(root, profile, depth=Depth.MASKS, jobs=1)
    check(found, masks)
    assert set(found["segments"]["volume_basis"]) == {"frame-positions"}
    report = reported(root, profile, "REL009", "DSO")
    assert {finding.rule for finding in report.findings} == {"REL009", "DSO005", "DSO008", "DSO031"}
    compared = {outcome.rule: outcome for outcome in report.outcomes}["DSO014"]
    assert (compared.status, compared.examined) == (Status.SKIPPED, 0)


def without_references(ds: Dataset) -> Dataset:
    del ds.ReferencedSeriesSequence
    for item in ds.PerFrameFunctionalGroupsSequence:
        del item.DerivationImageSequence
    return ds


def test_the_only_ct_series_is_meant_by_an_object_that_names_none(pair, tmp_path: Path, profile: Profile) -> None:
    masks, sources, make = pair
    root = written(tmp_path, sources, without_references(make()))
    found = collect(root, profile, depth=Depth.MASKS, jobs=1)
    check(found, masks)
    assert set(found["segments"]["volume_basis"]) == {"ct-positions"}, "as the rules compare it with that series"
    context = Context(found, profile, Settings(depth=Depth.MASKS))
    assert [dso.ct.uid for dso in dsos_of(context) if dso.ct] == [tiny.CT_SERIES]
