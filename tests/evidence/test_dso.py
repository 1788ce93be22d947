import io
import json

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support import tiny
from support.sources import UNREAD

from crlm_qc.evidence.ct import identity
from crlm_qc.evidence.dicom.header import quiet, read_header
from crlm_qc.evidence.dso import dso_rows, is_dso
from crlm_qc.model.tables import TABLES, frame, schema

MASK = np.ones((8, 16), np.uint8)
SHARED = {"patient": "p", "path": "f"}


@pytest.fixture(autouse=True)
def _lenient():
    before = pydicom.config.settings.reading_validation_mode
    quiet()
    yield
    pydicom.config.settings.reading_validation_mode = before


def rows(ds):
    raw = tiny.to_bytes(ds)
    header = read_header(io.BytesIO(raw), UNREAD)
    assert is_dso(header)
    return dso_rows(header, {**SHARED, **identity(header)})


def check(found) -> None:
    """Every row keeps its contract."""
    for name, listed in (
        ("dsos", [found.dso]),
        ("references", found.references),
        ("frames", found.frames),
        ("segments", found.segments),
    ):
        schema(name).validate(frame(name, listed))


def test_everything_that_a_good_object_says():
    found = rows(tiny.segmentation([(1, 1, MASK), (2, 2, MASK)], ("Liver", "Tumor_1"), slices=3))
    check(found)
    dso = found.dso
    assert (dso["number_of_frames"], dso["n_frame_items"], dso["n_segments"], dso["n_referenced_series"]) == (
        2,
        2,
        2,
        1,
    )
    assert (dso["pixel_bytes_expected"], dso["pixel_bytes_found"], dso["masks"]) == (32, 32, "not-asked")
    assert (dso["spacing_row"], dso["slice_thickness"], dso["col_y"]) == (0.8, 5.0, 1.0)
    assert [row["level"] for row in found.references] == ["series", *["instance"] * 3, "frame", "frame"]
    assert found.references[1]["series_uid"] == tiny.CT_SERIES
    assert found.references[-1] == {
        "patient": "p",
        "dso": "f",
        "level": "frame",
        "frame": 2,
        "sop_class_uid": pydicom.uid.CTImageStorage,
        "sop_instance_uid": tiny.ct_uid(2),
    }
    second = found.frames[1]
    assert (second["frame"], second["segment_number"], second["position_z"]) == (2, 2, 10.0)
    assert (second["n_sources"], second["source_uid"], second["dimension_index"]) == (1, tiny.ct_uid(2), "[2, 3]")
    assert (second["row_x"], second["spacing_col"]) == (1.0, 0.8)
    assert [(row["label"], row["type_code"], row["category_scheme"]) for row in found.segments] == [
        ("Liver", "10200004", "SCT"),
        ("Tumor_1", "10200004", "SCT"),
    ]


def test_several_sources_and_none():
    ds = tiny.segmentation([(1, 1, MASK), (1, 2, MASK)])
    groups = ds.PerFrameFunctionalGroupsSequence
    sources = groups[0].DerivationImageSequence[0].SourceImageSequence
    sources.append(groups[1].DerivationImageSequence[0].SourceImageSequence[0])
    del groups[1].DerivationImageSequence
    found = rows(ds)
    check(found)
    assert [(row["n_sources"], row.get("source_uid")) for row in found.frames] == [(2, None), (0, None)]


def test_the_spacing_of_every_pixel_measures_item():
    ds = tiny.segmentation([(1, 1, MASK), (1, 2, MASK)])
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 5
    own = Dataset()
    own.PixelSpacing, own.SliceThickness, own.SpacingBetweenSlices = [0.8, 0.8], 1, -2.5
    ds.PerFrameFunctionalGroupsSequence[1].PixelMeasuresSequence = [own]
    found = rows(ds)
    check(found)
    assert [(row["slice_thickness"], row["spacing_between_slices"]) for row in found.frames] == [(5, 5), (1, -2.5)]
    assert (found.dso["slice_thickness"], found.dso["spacing_between_slices"]) == (5, 5)


def test_frame_numbers_of_references():
    ds = tiny.segmentation([(1, 1, MASK), (1, 2, MASK), (1, 3, MASK)])
    groups = ds.PerFrameFunctionalGroupsSequence
    images = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in groups]
    images[0].ReferencedFrameNumber = 7
    images[1].ReferencedFrameNumber = [2, 11, 3]
    found = rows(ds)
    check(found)
    named = [row.get("frame_number") for row in found.references if row["level"] == "frame"]
    assert named == [7, 11, None]


def test_frames_that_name_several_segments():
    ds = tiny.segmentation([(1, 1, MASK), (2, 2, MASK)], ("Liver", "Tumor_1"))
    groups = ds.PerFrameFunctionalGroupsSequence
    groups[0].SegmentIdentificationSequence.append(groups[1].SegmentIdentificationSequence[0])
    found = rows(ds)
    check(found)
    assert [(row["segment_number"], row["n_segment_items"]) for row in found.frames] == [(1, 2), (2, 1)]


def test_lengths_and_directions_beyond_bounds_are_named():
    ds = tiny.segmentation([(1, 1, MASK), (1, 2, MASK)])
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence[0].SpacingBetweenSlices = "1e300"
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = ["1e200", "0", "0", "0", "1e200", "0"]
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = ["0", "0", "1e308"]
    found = rows(ds)
    check(found)
    assert json.loads(found.dso["malformed"]) == [
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "SpacingBetweenSlices",
    ]
    assert [row.get("position_z") for row in found.frames] == [5.0, None]
    assert [row.get("row_x") for row in found.frames] == [None, None]
    assert rows(tiny.segmentation([(1, 1, MASK)])).dso["malformed"] is None


def test_groups_shared_by_all_frames_are_filled_in():
    ds = tiny.segmentation([(1, 1, MASK), (1, 2, MASK)])
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.SegmentIdentificationSequence = ds.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence
    shared.DerivationImageSequence = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    for item in ds.PerFrameFunctionalGroupsSequence:
        del item.SegmentIdentificationSequence
    del ds.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence
    found = rows(ds)
    assert [row["segment_number"] for row in found.frames] == [1, 1]
    assert [row["source_uid"] for row in found.frames] == [tiny.ct_uid(1)] * 2
    assert found.segments[0]["n_frames"] == 2


@pytest.mark.parametrize(
    "absent",
    [
        ["SharedFunctionalGroupsSequence"],
        ["PerFrameFunctionalGroupsSequence"],
        ["SegmentSequence"],
        ["ReferencedSeriesSequence"],
        ["NumberOfFrames"],
        ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SegmentSequence", "Rows", "PixelData"],
    ],
)
def test_an_object_that_lacks_whole_modules_still_has_rows(absent):
    ds = tiny.segmentation([(1, 1, MASK), (1, 2, MASK)])
    for keyword in absent:
        delattr(ds, keyword)
    found = rows(ds)
    check(found)
    if absent == ["PerFrameFunctionalGroupsSequence"]:
        assert [row["frame"] for row in found.frames] == [1, 2]
        assert "segment_number" not in found.frames[0]
        assert found.dso["n_frame_items"] is None


def test_a_number_of_frames_out_of_proportion_makes_no_flood_of_rows():
    ds = tiny.segmentation([(1, 1, MASK)])
    ds.NumberOfFrames = 2**31 - 1
    del ds.PerFrameFunctionalGroupsSequence
    assert len(rows(ds).frames) == 1


def test_sequences_without_items():
    ds = tiny.segmentation([(1, 1, MASK)])
    for item in (ds, ds.PerFrameFunctionalGroupsSequence[0]):
        for element in item:
            if element.VR == "SQ" and element.keyword != "PerFrameFunctionalGroupsSequence":
                element.value = []
    found = rows(ds)
    check(found)
    assert (found.dso["n_segments"], found.dso["n_referenced_series"], len(found.frames)) == (0, 0, 1)


def test_undeclared_and_repeated_segments():
    ds = tiny.segmentation([(3, 1, MASK), (3, 2, MASK)], ("Liver", "Liver"))
    ds.SegmentSequence[1].SegmentNumber = 1
    assert [(row["segment_number"], row["declared"], row["n_frames"]) for row in rows(ds).segments] == [
        (1, True, 0),
        (1, True, 0),
        (3, False, 2),
    ]


def test_dimension_pointers_and_bad_uids_in_sequences():
    ds = tiny.segmentation([(1, 11, MASK)])
    pointer = Dataset()
    pointer.DimensionIndexPointer = 0x0062000B
    ds.DimensionIndexSequence = [pointer]
    raw = tiny.to_bytes(ds)
    bad = raw.replace(tiny.ct_uid(11).encode(), tiny.ct_uid(0).encode() + b"1")
    assert len(bad) == len(raw)
    header = read_header(io.BytesIO(bad), UNREAD)
    found = dso_rows(header, SHARED)
    assert json.loads(found.dso["dimension_pointers"]) == ["0062000B"]
    assert found.invalid_uids == ["ReferencedSOPInstanceUID"]


def test_a_segmentation_is_known_by_any_of_its_marks():
    ds = tiny.segmentation([(1, 1, MASK)])
    for marks in ({"Modality": "OT"}, {"Modality": "CT", "SOPClassUID": pydicom.uid.CTImageStorage}):
        for keyword, value in marks.items():
            setattr(ds, keyword, value)
        rows(ds)
    raw = tiny.to_bytes(tiny.ct_slice())
    assert not is_dso(read_header(io.BytesIO(raw), UNREAD))


def test_columns_are_those_of_the_contracts():
    found = rows(tiny.segmentation([(1, 1, MASK)]))
    assert set(found.dso) <= set(TABLES["dsos"].dtypes)
