"""What the masks come to, beside a computation that shares no code with it: highdicom's reading, SciPy's labels and hulls.

The default run has a handful of patients; CRLM_QC_INDEPENDENT=50 has more. Each is measured twice: as written, and
with masks of random blobs in the same frames, which have many pieces, holes, overlaps and empty planes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.synthetic.writer import write_release

PATIENTS = int(os.environ.get("CRLM_QC_INDEPENDENT", "4"))
MATRIX = 64
FACES = ndimage.generate_binary_structure(3, 1)
# highdicom warns of the collection's names, which are IDs.
pytestmark = pytest.mark.filterwarnings("ignore:The string .* is unlikely to represent the intended person name")


def as_blobs(path: Path, rng: np.random.Generator) -> None:
    """Give an object random blobs in place of its masks, frame by frame."""
    ds = pydicom.dcmread(path)
    shape = (int(ds.NumberOfFrames), ds.Rows, ds.Columns)
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), (0.6, 1.2, 1.2))
    bits = (smooth > np.quantile(smooth, 0.65)).astype(np.uint8)
    # An empty plane between others parts what it would connect.
    bits[5::7] = 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + bytes(len(packed) % 2)
    ds.save_as(path)


@pytest.fixture(scope="module", params=["as written", "random blobs"])
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    root = tmp_path_factory.mktemp("independent") / "release"
    options = {} if PATIENTS >= 50 else {"max_slices": 24}
    written = write_release(root, patients=PATIENTS, seed=31, matrix=MATRIX, **options)
    if request.param == "random blobs":
        rng = np.random.default_rng(31)
        for patient in written.patients:
            as_blobs(written.dso_file(patient), rng)
    return written


@pytest.fixture(scope="module")
def evidence(release: SyntheticRelease, profile: Profile) -> Evidence:
    return collect(release.root, profile, depth=Depth.PIXELS, jobs=1)


@dataclass(frozen=True)
class Scene:
    """One patient as highdicom and pydicom read it; slices from the lowest z upward."""

    patient: str
    hu: np.ndarray
    """CT values, shape (slices, rows, columns), HU; NaN where it is padding."""
    positions: np.ndarray
    spacing: tuple[float, float, float]
    """Between slices, rows and columns, mm."""
    axes: tuple[np.ndarray, np.ndarray]
    """Directions of a row and of a column."""
    masks: dict[int, np.ndarray] = field(default_factory=dict)
    volumes: dict[int, hd.Volume] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)


def scenes(release: SyntheticRelease) -> Iterator[Scene]:
    for patient in release.patients:
        slices = [pydicom.dcmread(path) for path in release.ct_files(patient)]
        slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
        positions = np.array([ds.ImagePositionPatient for ds in slices], dtype=float)
        first = slices[0]
        # Of the whole stack: one gap between rounded positions is off by some millionths.
        between = float((positions[-1, 2] - positions[0, 2]) / (len(positions) - 1))
        rows, columns = map(float, first.PixelSpacing)
        orientation = np.array(first.ImageOrientationPatient, dtype=float)
        stored = np.stack([ds.pixel_array for ds in slices]).astype(float)
        hu = stored * float(first.RescaleSlope) + float(first.RescaleIntercept)
        if "PixelPaddingValue" in first:
            hu[stored == first.PixelPaddingValue] = np.nan
        segmentation = hd.seg.segread(release.dso_file(patient))
        scene = Scene(patient, hu, positions, (between, rows, columns), (orientation[:3], orientation[3:]))
        uids = [ds.SOPInstanceUID for ds in slices]
        for number in segmentation.segment_numbers:
            by_slice = segmentation.get_pixels_by_source_instance(
                uids,
                segment_numbers=[number],
                assert_missing_frames_are_empty=True,
                # dcmqi does not say that locations are preserved, nor does the writer.
                ignore_spatial_locations=True,
            )
            scene.masks[number] = by_slice[..., 0].astype(bool)
            scene.volumes[number] = segmentation.get_volume(segment_numbers=[number])
            scene.labels[number] = segmentation.get_segment_description(number).segment_label
        yield scene


def corners(mask: np.ndarray, scene: Scene) -> np.ndarray:
    """The in-plane corners of the voxels of a mask that lie on its hull, mm; planes, rows, columns."""
    places = np.argwhere(mask & ~ndimage.binary_erosion(mask, structure=np.ones((1, 3, 3))))
    steps = np.array([(0, down, across) for down in (-0.5, 0.5) for across in (-0.5, 0.5)])
    return ((places[:, None, :] + steps).reshape(-1, 3)) * np.array(scene.spacing)


def farthest(points: np.ndarray) -> float:
    """Largest distance between two points."""
    spread = np.ptp(points, axis=0) > 0
    flat = points[:, spread]
    return float(pdist(flat[ConvexHull(flat).vertices]).max())


def expected(scene: Scene, number: int) -> dict[str, float]:
    mask = scene.masks[number]
    between, down, across = scene.spacing
    planes, rows, columns = np.nonzero(mask)
    labels, count = ndimage.label(mask, structure=FACES)
    sizes = np.bincount(labels.ravel())[1:]
    places = scene.positions[planes] + np.outer(columns * across, scene.axes[0]) + np.outer(rows * down, scene.axes[1])
    points = corners(mask, scene)
    lifted = np.concatenate([points + np.array([half, 0, 0]) for half in (-between / 2, between / 2)])
    under = scene.hu[mask]
    under = under[np.isfinite(under)]
    centroid = places.mean(axis=0)
    return {
        "voxels": mask.sum(),
        "volume_ml": mask.sum() * between * down * across / 1000,
        "row_min": rows.min(),
        "row_max": rows.max(),
        "column_min": columns.min(),
        "column_max": columns.max(),
        "n_planes": len(np.unique(planes)),
        "centroid_x": centroid[0],
        "centroid_y": centroid[1],
        "centroid_z": centroid[2],
        "components": count,
        "largest_component": sizes.max(),
        "specks": (sizes < 10).sum(),
        "diameter_axial_mm": max(farthest(points[points[:, 0] == plane]) for plane in np.unique(points[:, 0])),
        "diameter_3d_mm": farthest(lifted),
        "hu_median": np.median(under),
        "hu_below_minus10": (under < -10).mean(),
        "hu_noise": (np.quantile(under, 0.75) - np.median(under)) / 0.6745,
    }


TOLERANCES = {
    # The object's spacing has seven digits.
    "volume_ml": {"rel": 1e-6},
    "centroid_x": {"abs": 1e-3},
    "centroid_y": {"abs": 1e-3},
    "centroid_z": {"abs": 1e-3},
    # Directions are looked at 2 degrees apart.
    "diameter_axial_mm": {"rel": 2e-4},
    "diameter_3d_mm": {"rel": 2e-4},
    "hu_median": {"abs": 1e-3},
    "hu_below_minus10": {"abs": 1e-9},
    "hu_noise": {"abs": 1e-3},
}


def test_highdicom_and_scipy_find_the_same(release: SyntheticRelease, evidence: Evidence) -> None:
    found = {(row["patient"], row["segment_number"]): row for row in evidence["segments"].to_dict("records")}
    overlaps = {
        (row["patient"], row["segment_a"], row["segment_b"]): row["overlap_voxels"]
        for row in evidence["segment_pairs"].to_dict("records")
    }
    assert len(found) >= 5 * PATIENTS
    pairs = 0
    for scene in scenes(release):
        for number, mask in scene.masks.items():
            row = found.pop((scene.patient, number))
            for column, value in expected(scene, number).items():
                wanted = pytest.approx(value, **TOLERANCES[column]) if column in TOLERANCES else value
                assert row[column] == wanted, (scene.patient, number, column)
            if scene.labels[number] == "Liver":
                filled = ndimage.binary_fill_holes(mask, structure=FACES) & ~mask
                others = np.any([other for its, other in scene.masks.items() if its != number], axis=0)
                assert row["hole_voxels"] == (filled & ~others).sum()
            by_position(scene, number, row)
        for one, other in combinations(sorted(scene.masks), 2):
            shared = int((scene.masks[one] & scene.masks[other]).sum())
            assert overlaps.pop((scene.patient, one, other), 0) == shared
            pairs += shared > 0
    assert found == overlaps == {}
    assert pairs


def by_position(scene: Scene, number: int, row: dict) -> None:
    """The same once more from highdicom's volume, which goes by the frames' positions, not by references."""
    volume = scene.volumes[number]
    array = np.asarray(volume.array).squeeze() > 0
    assert (row["voxels"], row["components"]) == (array.sum(), ndimage.label(array, structure=FACES)[1])
    centre = volume.map_indices_to_reference(np.argwhere(array).astype(float)).mean(axis=0)
    np.testing.assert_allclose([row[f"centroid_{axis}"] for axis in "xyz"], centre, atol=2e-3)
    assert row["volume_ml"] == pytest.approx(array.sum() * volume.voxel_volume / 1000, rel=1e-5)


def test_slices_and_frames(release: SyntheticRelease, evidence: Evidence) -> None:
    stored = evidence["slices"].groupby("patient")
    frames = evidence["frames"].groupby("patient")
    for scene in scenes(release):
        rows = stored.get_group(scene.patient).sort_values("position_z")
        np.testing.assert_array_equal(rows[["position_x", "position_y", "position_z"]].to_numpy(), scene.positions)
        flat = scene.hu.reshape(len(rows), -1)
        np.testing.assert_allclose(rows["hu_min"], np.nanmin(flat, axis=1))
        np.testing.assert_allclose(rows["hu_max"], np.nanmax(flat, axis=1))
        soft = ((flat >= -200) & (flat <= 200)).sum(axis=1) / np.isfinite(flat).sum(axis=1)
        np.testing.assert_allclose(rows["hu_soft"], soft)
        assert frames.get_group(scene.patient)["voxels"].sum() == sum(int(mask.sum()) for mask in scene.masks.values())
