"""Evidence of real files: a CT series of the collection, and segmentations that dcmqi and highdicom wrote."""

import shutil
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth

pytestmark = [
    pytest.mark.reference,
    # highdicom and pydicom warn of values that these files have.
    pytest.mark.filterwarnings("ignore"),
]
COLLECTION = "Colorectal-Liver-Metastases"


def laid_out(reference: Path, root: Path, *files: str) -> Path:
    """Files of the reference folder as one patient."""
    folder = root / COLLECTION / "CRLM-CT-2001"
    folder.mkdir(parents=True)
    for name in files:
        shutil.copy(reference / name, folder / Path(name).name)
    return root


def dcmqi(reference: Path, root: Path, profile: Profile) -> Evidence:
    files = ["dcmqi/liver.dcm", *(f"dcmqi/ct-3slice/0{number}.dcm" for number in (1, 2, 3))]
    return collect(laid_out(reference, root, *files), profile, depth=Depth.PIXELS, jobs=1)


def test_the_ct_series_of_a_patient(reference, profile):
    found = collect(reference / "release-1004", profile, depth=Depth.PIXELS, jobs=1)
    assert found.facts.layout == "nbia"
    assert found["patients"]["patient"].tolist() == ["CRLM-CT-1004"]
    files, slices = found["files"], found["slices"]
    assert files["kind"].tolist() == ["ct"] * 41
    assert files["problem"].isna().all()
    assert files["invalid_uids"].isna().all()
    assert (files["trailing_bytes"] == 0).all()
    assert (files["pixel_bytes_found"] == 524_288).all()
    assert (files["pixel_bytes_expected"] == 524_288).all()
    assert (files["meta_sop_instance_uid"] == files["sop_instance_uid"]).all()
    assert slices["missing"].isna().all()
    assert sorted(slices["instance_number"]) == list(range(45, 86))
    for column, value in {
        "patient_id": "CRLM-CT-1004",
        "patient_position": "FFS",
        "study_date": "19941122",
        "study_description": "CT CH/ABD/PEL W/ CONTRAST",
        "patient_sex": "M",
        "patient_age": "038Y",
        "rows": 512,
        "spacing_row": 0.796875,
        "spacing_col": 0.796875,
        "slice_thickness": 5.0,
        "rescale_intercept": -1024.0,
        "rescale_slope": 1.0,
        "pixel_representation": 1,
        "pixel_padding_value": -2000,
        "row_x": 1.0,
        "col_y": 1.0,
    }.items():
        assert slices[column].unique().tolist() == [value], column
    # Positions run downward with the instance number.
    order = slices.sort_values("instance_number")["position_z"]
    np.testing.assert_allclose(np.diff(order), -5.0)
    (series,) = found["ct_series"].to_dict("records")
    assert (series["n_slices"], series["spacing"], series["shear"]) == (41, 5.0, 0.0)
    assert (series["instance_number_min"], series["instance_number_max"]) == (45, 85)
    assert (slices["hu_min"] >= -1024).all(), "padding is left out"
    assert (slices["hu_outside"] == 0).all()


def test_a_segmentation_by_dcmqi_and_its_images(reference, profile, tmp_path):
    found = dcmqi(reference, tmp_path, profile)
    segmentation = hd.seg.segread(reference / "dcmqi" / "liver.dcm")
    mask = segmentation.pixel_array
    (row,) = found["segments"].to_dict("records")
    assert row["voxels"] == mask.sum()
    assert row["volume_basis"] == "ct-positions"
    assert row["volume_ml"] == pytest.approx(mask.sum() * 0.810547**2 * 1.0 / 1000)
    volume = segmentation.get_volume(combine_segments=True)
    centre = volume.map_indices_to_reference(np.argwhere(volume.array).astype(float)).mean(axis=0)
    np.testing.assert_allclose([row[f"centroid_{axis}"] for axis in "xyz"], centre, atol=1e-3)
    (dso,) = found["dsos"].to_dict("records")
    assert (dso["masks"], dso["number_of_frames"], dso["n_frame_items"], dso["manufacturer"]) == (
        "measured",
        3,
        3,
        "QIICR",
    )
    references = found["references"]
    assert references["level"].value_counts().to_dict() == {"instance": 3, "frame": 3, "series": 1}
    assert set(references["sop_instance_uid"].dropna()) == set(found["slices"]["sop_instance_uid"])
    assert 20 < row["hu_median"] < 80


@pytest.mark.parametrize(
    "name", ["binary", "binary_overlap", "binary_single_frame", "binary_fractional", "true_fractional"]
)
def test_segmentations_by_highdicom(reference, profile, tmp_path, name):
    file = f"highdicom/seg_image_ct_{name}.dcm"
    found = collect(laid_out(reference, tmp_path, file), profile, depth=Depth.MASKS, jobs=1)
    segmentation = hd.seg.segread(reference / file)
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    if segmentation.SegmentationType == "FRACTIONAL":
        frames = frames * 2.0 >= segmentation.MaximumFractionalValue
    numbers = [
        item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for item in segmentation.PerFrameFunctionalGroupsSequence
    ]
    assert found["frames"]["voxels"].tolist() == frames.sum(axis=(1, 2)).tolist()
    voxels = dict(zip(found["segments"]["segment_number"], found["segments"]["voxels"], strict=True))
    assert voxels == {
        number: sum(int(frame.sum()) for frame, its in zip(frames, numbers, strict=True) if its == number)
        for number in set(numbers)
    }
    assert found["segment_pairs"]["overlap_voxels"].tolist() == ([16] if name == "binary_overlap" else [])
