"""Writes the segmentation object as dcmqi does: one segment's frames after another, empty frames left out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import DSfloat

from crlm_qc.synthetic.cohort import PatientPlan
from crlm_qc.synthetic.ct import add_patient, file_meta
from crlm_qc.synthetic.phantom import Phantom, Segment

MANUFACTURER = "QIICR"
MODEL = "git://github.com/QIICR/dcmqi.git"
SERIES_DESCRIPTION = "Segmentation"
SERIES_NUMBER = 100

_SERIES_TIME = "120000"
_DIMENSION_ROOT = "1.3.6.1.4.1.43046.3.0"
"""Under which dcmqi makes the UIDs of dimension organisations."""

_ANATOMY = ("123037004", "SCT", "Anatomical Structure")
_CHANGE = ("49755003", "SCT", "Morphologically Altered Structure")
_KINDS = {
    "liver": (_ANATOMY, ("10200004", "SCT", "Liver")),
    "vein": (_ANATOMY, ("29092000", "SCT", "Vein")),
    "mass": (_CHANGE, ("4147007", "SCT", "Mass")),
    "other": (("85756007", "SCT", "Tissue"), ("85756007", "SCT", "Tissue")),
}
_COLOURS = {
    "liver": (41661, 41167, 40792),
    "vein": (30000, 33000, 21000),
    "mass": (48000, 38000, 45000),
    "other": (52000, 36000, 30000),
}


def write_dso(folder: Path, plan: PatientPlan, slices: Sequence[Dataset], phantom: Phantom) -> int:
    """Write the segmentation object.

    Parameters
    ----------
    folder : pathlib.Path
        The series' folder, which exists.
    plan : PatientPlan
        The patient.
    slices : sequence of pydicom.Dataset
        Headers of the CT slices, in the order of the phantom's planes.
    phantom : Phantom
        Its segments are the segments.

    Returns
    -------
    int
        Bytes written.
    """
    held = np.flatnonzero(np.any([segment.mask.any(axis=(1, 2)) for segment in phantom.segments], axis=0))
    sources = [slices[int(i)] for i in held]
    masks = np.stack([segment.mask[held] for segment in phantom.segments])
    with warnings.catch_warnings():
        # The collection's names are IDs, of a single component.
        warnings.filterwarnings("ignore", message="The string .* is unlikely to represent the intended person name")
        made = _segmentation(sources, masks, plan, phantom.segments)
    path = folder / "1-1.dcm"
    _as_dcmqi(made, plan, phantom.segments).save_as(path, enforce_file_format=True)
    return path.stat().st_size


def _segmentation(
    sources: Sequence[Dataset], masks: npt.NDArray[np.bool_], plan: PatientPlan, segments: Sequence[Segment]
) -> hd.seg.Segmentation:
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=np.moveaxis(masks, 0, -1),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=segment.label,
                segmented_property_category=hd.sr.CodedConcept(*_KINDS[segment.kind][0]),
                segmented_property_type=hd.sr.CodedConcept(*_KINDS[segment.kind][1]),
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            )
            for number, segment in enumerate(segments, start=1)
        ],
        series_instance_uid=plan.uid("dso series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=plan.uid("dso"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions="1.0",
        device_serial_number="0",
        omit_empty_frames=True,
    )


def _as_dcmqi(made: Dataset, plan: PatientPlan, segments: Sequence[Segment]) -> Dataset:
    """The object with the headers that dcmqi writes, and with nothing in it that depends on the clock."""
    made.file_meta = file_meta(SegmentationStorage, made.SOPInstanceUID)
    for keyword in (
        "InstanceCreationDate",
        "InstanceCreationTime",
        "SourceImageSequence",
        "ContributingEquipmentSequence",
        "SegmentsOverlap",
        "PresentationLUTShape",
    ):
        if keyword in made:
            del made[keyword]
    add_patient(made, plan)
    made.SeriesDescription = SERIES_DESCRIPTION
    made.SeriesDate = made.ContentDate = plan.segmentation_date
    made.SeriesTime = made.ContentTime = _SERIES_TIME
    made.ContentLabel = "SEGMENTATION"
    made.ContentDescription = "Image segmentation"
    made.ContentCreatorName = ""
    organisation = f"{_DIMENSION_ROOT}.{plan.number}.{plan.seed}"
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation
    for item, label in zip(
        made.DimensionIndexSequence, ("ReferencedSegmentNumber", "ImagePositionPatient"), strict=True
    ):
        item.DimensionOrganizationUID = organisation
        item.DimensionDescriptionLabel = label
    for item, segment in zip(made.SegmentSequence, segments, strict=True):
        item.SegmentAlgorithmType = "SEMIAUTOMATIC"
        item.SegmentAlgorithmName = "Scout"
        item.RecommendedDisplayCIELabValue = list(_COLOURS[segment.kind])
    shared = made.SharedFunctionalGroupsSequence[0]
    axes = shared.PlaneOrientationSequence[0]
    axes.ImageOrientationPatient = [_ds(value) for value in axes.ImageOrientationPatient]
    measures = shared.PixelMeasuresSequence[0]
    measures.PixelSpacing = [_ds(value) for value in measures.PixelSpacing]
    # dcmqi knows the spacing of the voxels alone, and writes it as the thickness too.
    measures.SliceThickness = measures.SpacingBetweenSlices = _ds(plan.slice_spacing_mm)
    for frame in made.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        place.ImagePositionPatient = [_ds(value) for value in place.ImagePositionPatient]
        for source in frame.DerivationImageSequence[0].SourceImageSequence:
            # Frames at one position share this item.
            source.pop("SpatialLocationsPreserved", None)
    return made


def _ds(value: float) -> DSfloat:
    """A DS as dcmqi writes it: seven significant digits and an exponent."""
    return DSfloat(f"{float(value):.6e}")
