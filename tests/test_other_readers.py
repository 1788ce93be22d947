"""What other programs read of a release that is called clean: the same grid, and the same volumes."""

import itertools
import struct
import subprocess
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pytest
from support.makers import program, stack_of
from support.releases import small_release

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.release import SyntheticRelease

pytestmark = pytest.mark.makers
LEFT_POSTERIOR = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From NIfTI's right and front to DICOM's left and back."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    return small_release(tmp_path_factory.mktemp("readers") / "release", patients=2, seed=5)


@pytest.fixture(scope="module")
def evidence(release: SyntheticRelease, profile: Profile) -> Evidence:
    return collect(release.root, profile, depth=Depth.MASKS, jobs=1)


@pytest.fixture(params=[0, 1])
def patient(request: pytest.FixtureRequest, release: SyntheticRelease) -> str:
    return release.patients[request.param]


def rows(evidence: Evidence, table: str, patient: str) -> list[dict[str, Any]]:
    found = evidence[table]
    return list(found[found["patient"] == patient].to_dict("records"))


def corners(affine: npt.NDArray[np.float64], size: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Centres of the eight outermost voxels, sorted, mm."""
    ends = [(*ends, 1) for ends in itertools.product(*((0, one - 1) for one in size))]
    return np.array(sorted(map(tuple, np.round(np.array(ends) @ affine.T, 3)[:, :3].tolist())))


def grid(evidence: Evidence, patient: str) -> tuple[npt.NDArray[np.float64], tuple[int, ...]]:
    """Affine and size of the CT after the evidence: columns, rows, slices."""
    slices = sorted(rows(evidence, "slices", patient), key=lambda one: float(one["position_z"]))
    (series,) = rows(evidence, "ct_series", patient)
    first = slices[0]
    affine = np.eye(4)
    for axis, name in enumerate("xyz"):
        affine[axis] = [
            first[f"row_{name}"] * first["spacing_col"],
            first[f"col_{name}"] * first["spacing_row"],
            series[f"normal_{name}"] * series["spacing"] * np.sign(series["normal_z"]),
            first[f"position_{name}"],
        ]
    return affine, (first["columns"], first["rows"], len(slices))


def volumes(evidence: Evidence, patient: str) -> dict[int, float]:
    """Volumes of the segments, mL."""
    return {int(one["segment_number"]): float(one["volume_ml"]) for one in rows(evidence, "segments", patient)}


def test_simpleitk(release: SyntheticRelease, evidence: Evidence, patient: str) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK: pip install simpleitk")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([one.filename for one in stack_of(release, patient)])
    image = reader.Execute()
    affine, size = grid(evidence, patient)
    assert image.GetSize() == size
    turned = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    np.testing.assert_allclose(turned, affine[:3, :3], atol=1e-3)
    np.testing.assert_allclose(image.GetOrigin(), affine[:3, 3], atol=1e-3)


def test_dcm2niix(release: SyntheticRelease, evidence: Evidence, patient: str, tmp_path: Path) -> None:
    dcm2niix = pytest.importorskip("dcm2niix", reason="needs dcm2niix: pip install dcm2niix")
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "ct", "-o", tmp_path, release.ct_folder(patient)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.nii")
    header = path.read_bytes()[:348]
    size = struct.unpack_from("<3h", header, 42)
    found = np.vstack([np.array(struct.unpack_from("<12f", header, 280), dtype=float).reshape(3, 4), [0, 0, 0, 1]])
    affine, own = grid(evidence, patient)
    assert size == own
    np.testing.assert_allclose(corners(LEFT_POSTERIOR @ found, size), corners(affine, own), atol=0.01)


def test_highdicom(release: SyntheticRelease, evidence: Evidence, patient: str) -> None:
    read = hd.seg.segread(release.dso_file(patient))
    for number, volume in volumes(evidence, patient).items():
        found = read.get_volume(segment_numbers=[number])
        assert found.array.sum() * np.prod(found.spacing) / 1000 == pytest.approx(volume, rel=1e-4)


def test_dcmqi(release: SyntheticRelease, evidence: Evidence, patient: str, tmp_path: Path) -> None:
    pytest.importorskip("dcmqi", reason="needs dcmqi: pip install dcmqi")
    sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK: pip install simpleitk")
    command = [program("dcmqi", "segimage2itkimage"), "--inputDICOM", release.dso_file(patient)]
    subprocess.run([*command, "--outputDirectory", tmp_path, "--prefix", "s"], check=True, capture_output=True)
    expected = volumes(evidence, patient)
    assert {path.name for path in tmp_path.glob("*.nrrd")} == {f"s-{number}.nrrd" for number in expected}
    for number, volume in expected.items():
        image = sitk.ReadImage(str(tmp_path / f"s-{number}.nrrd"))
        voxels = np.count_nonzero(sitk.GetArrayViewFromImage(image))
        assert voxels * np.prod(image.GetSpacing()) / 1000 == pytest.approx(volume, rel=1e-4)
