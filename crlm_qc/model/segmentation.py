"""Attributes that a segmentation object must hold, with their types, beside those that rules of their own ask for.

DICOM PS3.3 A.51 (Segmentation IOD), module by module. Type 1 must have a value, type 2 must be there and may be empty, and
the types with a C hold under a condition.
"""

from __future__ import annotations

from collections.abc import Mapping

OBJECT: Mapping[str, str] = {
    # C.7.1.1 Patient, C.7.2.1 General Study
    "PatientName": "2",
    "PatientBirthDate": "2",
    "PatientSex": "2",
    "StudyDate": "2",
    "StudyTime": "2",
    "StudyID": "2",
    "AccessionNumber": "2",
    "ReferringPhysicianName": "2",
    # C.8.20.1 Segmentation Series, C.7.4.1 Frame of Reference, C.7.5.2 Enhanced General Equipment
    "SeriesNumber": "1",
    "PositionReferenceIndicator": "2",
    "Manufacturer": "1",
    "ManufacturerModelName": "1",
    "DeviceSerialNumber": "1",
    "SoftwareVersions": "1",
    # C.7.6.16 Multi-frame Functional Groups, C.7.6.17 Multi-frame Dimension
    "InstanceNumber": "1",
    "ContentDate": "1",
    "ContentTime": "1",
    "DimensionOrganizationSequence": "1",
    "DimensionIndexSequence": "1C",
    # C.8.20.2 Segmentation Image
    "ImageType": "1",
    "ContentLabel": "1",
    "ContentDescription": "2",
    "SamplesPerPixel": "1",
    "PhotometricInterpretation": "1",
    "BitsStored": "1",
    "HighBit": "1",
    "PixelRepresentation": "1",
    "LossyImageCompression": "1",
    "SegmentationFractionalType": "1C",
}
"""Of the object itself."""
SEGMENT: Mapping[str, str] = {
    "SegmentAlgorithmType": "1",
    "SegmentAlgorithmName": "1C",
    "SegmentedPropertyCategoryCodeSequence": "1",
}
"""Of each item of the Segment Sequence (C.8.20.2, C.8.20.4)."""
MEASURES: Mapping[str, str] = {"SliceThickness": "1C"}
"""Of the Pixel Measures of each frame that has a place in the patient (C.7.6.16.2.1)."""
