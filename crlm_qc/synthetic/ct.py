"""Writes a CT series with the headers that the collection's files have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from crlm_qc.synthetic.cohort import ARCHIVE_CREATOR, PatientPlan
from crlm_qc.synthetic.phantom import Phantom

IMPLEMENTATION_CLASS_UID = UID("2.25.263459027531947182017740231155946078163")
IMPLEMENTATION_VERSION_NAME = "CRLM_QC_SYNTH"
RESCALE_INTERCEPT = -1024
PADDING_STORED = -2000

METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113102": "Clean Recognizable Visual Features Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113106": "Retain Longitudinal Temporal Information Full Dates Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113110": "Retain UIDs Option",
    "113111": "Retain Safe Private Option",
    "113112": "Retain Institution Identity Option",
}
"""De-identification methods (PS3.16 CID 7050)."""
METHODS_NEEDED = frozenset({"113100", "113105", "113107", "113108", "113109"})
"""Those that let the written headers have their descriptions, shifted dates, ages and scanners."""
# The options that the release declares.
DEIDENTIFICATION_CODES = tuple(
    (value, METHODS[value]) for value in ("113100", "113101", "113104", "113105", "113107", "113108", "113109")
)

# What a de-identifier leaves of GE's private blocks: creators without elements.
_GE_CREATORS = (
    (0x0009, "GEMS_IDEN_01"),
    (0x0019, "GEMS_ACQU_01"),
    (0x0021, "GEMS_RELA_01"),
    (0x0023, "GEMS_STDY_01"),
    (0x0027, "GEMS_IMAG_01"),
    (0x0043, "GEMS_PARM_01"),
    (0x0045, "GEMS_HELIOS_01"),
)


def ds(value: float) -> DSfloat:
    """A DS as scanners write it: single precision, six decimals, so that -198.2 reads -198.199997."""
    return DSfloat(f"{float(np.float32(value)):.6f}")


def z_of(plan: PatientPlan, index: int) -> float:
    """Position, in mm along z, of a slice; the first is the highest."""
    return plan.first_z_mm - index * plan.slice_spacing_mm


def orientation(plan: PatientPlan) -> list[DSfloat]:
    """Image Orientation (Patient): turned by half a circle around z for a prone patient."""
    one = -1.0 if plan.prone else 1.0
    return [ds(value) for value in (one, 0.0, 0.0, 0.0, one, 0.0)]


def position(plan: PatientPlan, index: int) -> list[DSfloat]:
    """Image Position (Patient) of a slice: the centre of its first voxel, in mm."""
    half = (plan.matrix - 1) / 2 * plan.pixel_spacing_mm * (-1.0 if plan.prone else 1.0)
    x, y = plan.offset_mm
    return [ds(x - half), ds(y - half), ds(z_of(plan, index))]


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def time_of(plan: PatientPlan, after: int = 0) -> str:
    """A TM, some seconds after the study began."""
    seconds = plan.study_seconds + after
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def date_of(date: dt.date) -> str:
    """A DA."""
    return date.strftime("%Y%m%d")


def file_meta(sop_class: UID, sop_instance: str) -> FileMetaDataset:
    """File meta information; the versions in it are fixed, so that the bytes are too."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def add_patient(item: Dataset, plan: PatientPlan) -> None:
    """Patient and study, and how they were de-identified."""
    item.StudyDate = date_of(plan.study_date)
    item.StudyTime = time_of(plan)
    item.AccessionNumber = ""
    item.ReferringPhysicianName = ""
    item.StudyDescription = plan.study_description
    item.PatientName = plan.patient
    item.PatientID = plan.patient
    item.PatientBirthDate = ""
    item.PatientSex = plan.sex
    if plan.age_in_headers:
        item.PatientAge = f"{plan.age:03d}Y"
    item.PatientIdentityRemoved = "YES"
    item.DeidentificationMethod = "Per DICOM PS 3.15 AnnexE. Details in 0012,0064"
    item.DeidentificationMethodCodeSequence = [
        code(value, "DCM", METHODS[value]) for value in plan.methods or [usual for usual, _ in DEIDENTIFICATION_CODES]
    ]
    item.LongitudinalTemporalInformationModified = "MODIFIED"
    item.StudyInstanceUID = plan.uid("study")
    item.StudyID = ""
    item.FrameOfReferenceUID = plan.uid("frame of reference")
    item.PositionReferenceIndicator = "XY"
    if plan.private_block:
        item.add_new((0x0013, 0x0010), "LO", ARCHIVE_CREATOR)
        item.add_new((0x0013, 0x1010), "LO", plan.collection)


def headers(plan: PatientPlan) -> list[Dataset]:
    """Data sets of the slices without their pixels, in the order of their instance numbers."""
    return [_slice(plan, index) for index in range(plan.slices)]


def write_series(folder: Path, plan: PatientPlan, slices: Sequence[Dataset], phantom: Phantom) -> int:
    """Write the CT series.

    Parameters
    ----------
    folder : pathlib.Path
        The series' folder, which exists.
    plan : PatientPlan
        The patient.
    slices : sequence of pydicom.Dataset
        What `headers` gave.
    phantom : Phantom
        Its planes are the pixels.

    Returns
    -------
    int
        Bytes written.
    """
    digits = len(str(plan.slices))
    stored = np.dtype("<i2") if plan.scanner.signed else np.dtype("<u2")
    written = 0
    for number, (item, plane) in enumerate(zip(slices, phantom.planes(), strict=True), start=1):
        item.PixelData = (plane - RESCALE_INTERCEPT).astype(stored).tobytes()
        item["PixelData"].VR = "OW"
        path = folder / f"1-{number:0{digits}d}.dcm"
        item.save_as(path, enforce_file_format=True)
        written += path.stat().st_size
        del item.PixelData
    return written


def _slice(plan: PatientPlan, index: int) -> Dataset:
    item = Dataset()
    item.file_meta = file_meta(CTImageStorage, plan.uid("ct", index))
    item.SpecificCharacterSet = "ISO_IR 100"
    item.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    item.SOPClassUID = CTImageStorage
    item.SOPInstanceUID = plan.uid("ct", index)
    add_patient(item, plan)
    acquired = 420 + index // 4
    for name in ("InstanceCreation", "Series", "Acquisition", "Content"):
        setattr(item, f"{name}Date", date_of(plan.study_date))
    item.InstanceCreationTime = item.ContentTime = time_of(plan, acquired + 5)
    item.SeriesTime = time_of(plan, 240)
    item.AcquisitionTime = time_of(plan, acquired)
    item.Modality = "CT"
    item.Manufacturer = plan.scanner.manufacturer
    item.ManufacturerModelName = plan.scanner.model
    if plan.series_description is not None:
        item.SeriesDescription = plan.series_description
    _add_acquisition(item, plan)
    # Empty in the published files too: an abdomen is no paired part.
    item.Laterality = ""
    item.SeriesInstanceUID = plan.uid("ct series")
    item.SeriesNumber = plan.series_number
    item.AcquisitionNumber = 2
    item.InstanceNumber = plan.first_instance_number + index
    item.ImagePositionPatient = position(plan, index)
    item.ImageOrientationPatient = orientation(plan)
    item.SliceLocation = ds(z_of(plan, index))
    _add_pixel_description(item, plan)
    return item


def _add_acquisition(item: Dataset, plan: PatientPlan) -> None:
    if plan.scanner.is_ge:
        for group, creator in _GE_CREATORS:
            item.add_new((group, 0x0010), "LO", creator)
        localizer = Dataset()
        localizer.ReferencedSOPClassUID = CTImageStorage
        localizer.ReferencedSOPInstanceUID = plan.uid("localizer")
        item.ReferencedImageSequence = [localizer]
    else:
        item.BodyPartExamined = "ABDOMEN"
    item.ContrastBolusAgent = "ORAL & IV"
    item.ScanOptions = "HELICAL MODE"
    item.SliceThickness = ds(plan.slice_thickness_mm)
    item.KVP = "120"
    item.DataCollectionDiameter = ds(max(500.0, plan.field_of_view_mm))
    item.ReconstructionDiameter = ds(plan.field_of_view_mm)
    item.GantryDetectorTilt = ds(0.0)
    item.TableHeight = ds(plan.offset_mm[1] + 130)
    item.RotationDirection = "CW"
    item.ExposureTime = 800
    item.XRayTubeCurrent = 240
    item.ConvolutionKernel = "STANDARD"
    item.PatientPosition = plan.position


def _add_pixel_description(item: Dataset, plan: PatientPlan) -> None:
    item.SamplesPerPixel = 1
    item.PhotometricInterpretation = "MONOCHROME2"
    item.Rows = item.Columns = plan.matrix
    item.PixelSpacing = [DSfloat(f"{plan.pixel_spacing_mm:.6f}")] * 2
    item.BitsAllocated = item.BitsStored = 16
    item.HighBit = 15
    item.PixelRepresentation = int(plan.scanner.signed)
    if plan.scanner.signed:
        item.add_new("PixelPaddingValue", "SS", PADDING_STORED)
    item.WindowCenter = "40"
    item.WindowWidth = "400"
    item.RescaleIntercept = str(RESCALE_INTERCEPT)
    item.RescaleSlope = "1"
    item.RescaleType = "HU"
