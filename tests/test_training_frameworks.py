"""What `crlm-qc cohort` writes, read by the training frameworks themselves.

They bring PyTorch, so that the group `tests` has neither: `uv sync --group training` does. Small readers that do the same
are in `tests/report/test_cohort.py`.
"""

import json
from pathlib import Path

import pytest
from support.cohorts import OUT, found, report

from crlm_qc.model.cohort import judge_cohort
from crlm_qc.report import cohort as forms

WHY = "the group `training` is not installed"
VOCABULARY = forms.Vocabulary("Livers", "CT of livers", "10.1/x", "CC BY 4.0", ("Liver", "Tumor"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    told = report([found(OUT, 1001)])
    for name, content in forms.files(judge_cohort(told, ["segmentation"]), told, VOCABULARY).items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


def test_monai_reads_the_datalist(folder: Path) -> None:
    data = pytest.importorskip("monai.data", reason=WHY, exc_type=ImportError)
    listed = data.load_decathlon_datalist(folder / "datalist.json", base_dir=folder / "release")
    assert [Path(one["image"]).relative_to(folder).as_posix() for one in listed] == [
        "release/all/CRLM-CT-1002/ct",
        "release/all/CRLM-CT-1003/ct",
    ]
    assert listed[0]["label"].endswith("seg/1-1.dcm")
    told = data.load_decathlon_properties(folder / "datalist.json", ["name", "numTraining", "labels"])
    assert told == {"name": "Livers", "numTraining": 2, "labels": {"0": "background", "1": "Liver", "2": "Tumor"}}


def test_nnunet_reads_the_skeleton(folder: Path) -> None:
    utils = pytest.importorskip("nnunetv2.utilities.utils", reason=WHY, exc_type=ImportError)
    handling = pytest.importorskip("nnunetv2.utilities.label_handling.label_handling", reason=WHY, exc_type=ImportError)
    cases = utils.get_filenames_of_train_images_and_targets(str(folder))
    assert cases["CRLM-CT-1003"]["images"] == [str(folder / "imagesTr/CRLM-CT-1003_0000.nii.gz")]
    manager = handling.LabelManager(json.loads((folder / "dataset.json").read_text())["labels"], None)
    assert manager.foreground_labels == [1, 2]
