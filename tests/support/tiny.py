"""Small DICOM files built with pydicom alone, so that a test says exactly what is in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

ROOT = "1.3.6.1.4.1.14519.5.2.1.9203.8273"
AXIAL = [1, 0, 0, 0, 1, 0]
PATIENT = "CRLM-CT-1001"


def uid(*parts: int) -> str:
    return ".".join([ROOT, *map(str, parts)])


STUDY, CT_SERIES, SEG_SERIES, FRAME_OF_REFERENCE = uid(1), uid(2), uid(3), uid(4)


def ct_uid(index: int) -> str:
    return uid(5, index)


def _dataset(sop_class: str, sop_uid: str, syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = syntax
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, sop_uid
    ds.PatientName = ds.PatientID = PATIENT
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = STUDY, FRAME_OF_REFERENCE
    ds.StudyDate = ds.SeriesDate = "19920606"
    ds.PatientSex, ds.PatientAge = "M", "055Y"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    return ds


def ct_slice(
    index: int = 0,
    *,
    stored: np.ndarray | None = None,
    shape: tuple[int, int] = (8, 16),
    spacing: float = 5.0,
    syntax: str = ExplicitVRLittleEndian,
) -> FileDataset:
    """Slice `index` of a stack that runs upward from z = 0."""
    pixels = np.full(shape, 1074, np.int16) if stored is None else stored
    ds = _dataset(CTImageStorage, ct_uid(index), syntax)
    ds.Modality, ds.SeriesInstanceUID = "CT", CT_SERIES
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = 2, index + 1, 1
    ds.PatientPosition = "HFS"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelSpacing, ds.SliceThickness = [0.8, 0.8], 5.0
    ds.ImagePositionPatient = [-100.0, -50.0, spacing * index]
    ds.ImageOrientationPatient = AXIAL
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
    ds.add_new("PixelData", "OW", pixels.astype(pixels.dtype.newbyteorder(order)).tobytes())
    return ds


def _items(*items: Dataset) -> Items:
    return Items(list(items))


def _code(value: str, scheme: str, meaning: str) -> Items:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return _items(ds)


def segmentation(
    frames: Sequence[tuple[int, int, np.ndarray]],
    labels: Sequence[str] = ("Liver",),
    *,
    slices: int = 4,
    spacing: float = 5.0,
    syntax: str = ExplicitVRLittleEndian,
    referenced: bool = True,
) -> FileDataset:
    """A BINARY segmentation of the stack of `ct_slice`: frames are (segment number, slice index, mask)."""
    ds = _dataset(SegmentationStorage, uid(6), syntax)
    ds.Modality, ds.SeriesInstanceUID = "SEG", SEG_SERIES
    ds.SeriesNumber, ds.SeriesDescription, ds.InstanceNumber = 100, "Segmentation", 1
    ds.SegmentationType = "BINARY"
    shape = frames[0][2].shape if frames else (8, 16)
    ds.Rows, ds.Columns = shape
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    ds.NumberOfFrames = len(frames)
    ds.SegmentSequence = Items([])
    for number, label in enumerate(labels, start=1):
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel = number, label
        item.SegmentedPropertyCategoryCodeSequence = _code("123037004", "SCT", "Anatomical Structure")
        item.SegmentedPropertyTypeCodeSequence = _code("10200004", "SCT", "Liver")
        ds.SegmentSequence.append(item)
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.8], 5.0
    plane.ImageOrientationPatient = AXIAL
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = _items(measures), _items(plane)
    ds.SharedFunctionalGroupsSequence = _items(shared)
    ds.PerFrameFunctionalGroupsSequence = Items([_group(*frame[:2], spacing) for frame in frames])
    if referenced:
        series = Dataset()
        series.SeriesInstanceUID = CT_SERIES
        series.ReferencedInstanceSequence = Items([_reference(index) for index in range(slices)])
        ds.ReferencedSeriesSequence = _items(series)
    bits = np.concatenate([np.asarray(frame[2], np.uint8).ravel() for frame in frames]) if frames else np.zeros(0)
    packed = np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()
    ds.add_new("PixelData", "OB", packed + bytes(len(packed) % 2))
    return ds


def _reference(index: int) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = CTImageStorage, ct_uid(index)
    return ds


def _group(number: int, index: int, spacing: float) -> Dataset:
    item, position, segment, derivation, content = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [-100.0, -50.0, spacing * index]
    segment.ReferencedSegmentNumber = number
    derivation.SourceImageSequence = _items(_reference(index))
    content.DimensionIndexValues = [number, index + 1]
    item.PlanePositionSequence = _items(position)
    item.SegmentIdentificationSequence = _items(segment)
    item.DerivationImageSequence = _items(derivation)
    item.FrameContentSequence = _items(content)
    return item


def to_bytes(ds: FileDataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def write(path: Path, ds: FileDataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_bytes(ds))
    return path


def write_patient(folder: Path, slices: Sequence[FileDataset], *dsos: FileDataset) -> Path:
    """A patient folder in the downloader's form."""
    study = folder / "06-06-1992-NA-CT ABD-00001"
    for index, ds in enumerate(slices, start=1):
        write(study / "2.000000-CT-00002" / f"1-{index:02d}.dcm", ds)
    for index, ds in enumerate(dsos, start=1):
        write(study / "100.000000-Segmentation-00003" / f"1-{index}.dcm", ds)
    return folder
