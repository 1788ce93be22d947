"""Segmentation objects made by dcmqi's own program of the masks of a synthetic patient."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import Dataset

from crlm_qc.synthetic.release import SyntheticRelease

Masks = dict[int, npt.NDArray[np.uint16]]


def program(package: str, name: str) -> str:
    """Where a program of a package lies."""
    # Beside the program itself a starter of its name may lie in the folder of commands, outside of the package.
    files = (file for file in distribution(package).files or () if ".." not in file.parts)
    (found,) = (file for file in files if file.parts[-2:] == ("bin", name))
    return str(found.locate())


def stack_of(release: SyntheticRelease, patient: str) -> list[Dataset]:
    """Slices of the CT from the feet up."""
    slices = [pydicom.dcmread(path) for path in release.ct_files(patient)]
    return sorted(slices, key=lambda one: float(one.ImagePositionPatient[2]))


def masks_of(dso: Dataset, stack: Sequence[Dataset]) -> Masks:
    """Each segment on the grid of the CT, shape (slices, rows, columns), by the slices that its frames refer to."""
    places = {str(one.SOPInstanceUID): place for place, one in enumerate(stack)}
    pixels = dso.pixel_array
    masks: Masks = {}
    for frame, groups in zip(pixels, dso.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        mask = masks.setdefault(number, np.zeros((len(stack), *frame.shape), dtype=np.uint16))
        mask[places[str(source)]] = frame
    return masks


def write_nrrd(path: Path, voxels: npt.NDArray[np.uint16], stack: Sequence[Dataset]) -> None:
    """Write a volume on the grid of the CT."""
    first, last = (np.array(one.ImagePositionPatient, dtype=float) for one in (stack[0], stack[-1]))
    turn = np.array(stack[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    down, across = map(float, stack[0].PixelSpacing)
    steps = (turn[0] * across, turn[1] * down, (last - first) / (len(stack) - 1))
    vectors = [f"({','.join(repr(float(part)) for part in vector)})" for vector in (*steps, first)]
    lines = (
        *("NRRD0004", "type: unsigned short", "dimension: 3", "space: left-posterior-superior"),
        f"sizes: {' '.join(map(str, reversed(voxels.shape)))}",
        f"space directions: {' '.join(vectors[:3])}",
        f"space origin: {vectors[3]}",
        *("kinds: domain domain domain", "endian: little", "encoding: raw", "", ""),
    )
    path.write_bytes("\n".join(lines).encode() + voxels.astype("<u2").tobytes())


def make_object(release: SyntheticRelease, patient: str, folder: Path, kind: str, *options: str) -> Path:
    """Have itkimage2segimage write the patient's segments anew, in place of the synthetic object.

    A label map keeps one segment a voxel, the last of those that share it.
    """
    old, stack = pydicom.dcmread(release.dso_file(patient)), stack_of(release, patient)
    masks = masks_of(old, stack)
    about = {int(one.SegmentNumber): _about(one) for one in old.SegmentSequence}
    folder.mkdir(parents=True)
    if kind == "labelmap":
        labels = np.zeros_like(masks[1])
        for number in sorted(masks):
            labels[masks[number] > 0] = number
        volumes, segments = [labels], [[{"labelID": number, **about[number]} for number in sorted(masks)]]
    else:
        volumes = [masks[number] for number in sorted(masks)]
        segments = [[{"labelID": 1, **about[number]}] for number in sorted(masks)]
    paths = [folder / f"{number}.nrrd" for number in range(len(volumes))]
    for path, volume in zip(paths, volumes, strict=True):
        write_nrrd(path, volume, stack)
    told: Mapping[str, Any] = {
        "ContentCreatorName": "Reader1",
        "ClinicalTrialSeriesID": "Session1",
        "ClinicalTrialTimePointID": "1",
        "SeriesDescription": "Segmentation",
        "SeriesNumber": "100",
        "InstanceNumber": "1",
        "segmentAttributes": segments,
    }
    (folder / "about.json").write_text(json.dumps(told))
    command = [program("dcmqi", "itkimage2segimage"), "--inputImageList", ",".join(map(str, paths))]
    command += ["--inputDICOMDirectory", str(release.ct_folder(patient)), "--inputMetadata", str(folder / "about.json")]
    command += ["--segmentationType", kind, "--outputDICOM", str(release.dso_file(patient)), *options]
    subprocess.run(command, check=True, capture_output=True)
    return release.dso_file(patient)


def _about(segment: Dataset) -> dict[str, Any]:
    def code(items: Any) -> dict[str, str]:
        return {
            keyword: str(items[0].get(keyword)) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        }

    return {
        "SegmentLabel": segment.SegmentLabel,
        "SegmentDescription": segment.SegmentLabel,
        "SegmentAlgorithmType": segment.SegmentAlgorithmType,
        "SegmentAlgorithmName": segment.SegmentAlgorithmName,
        "SegmentedPropertyCategoryCodeSequence": code(segment.SegmentedPropertyCategoryCodeSequence),
        "SegmentedPropertyTypeCodeSequence": code(segment.SegmentedPropertyTypeCodeSequence),
    }
