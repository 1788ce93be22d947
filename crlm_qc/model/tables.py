"""The contracts of the evidence tables: columns, types, units and source attributes.

The contracts are plain data, so that listing rules needs neither pandas nor Pandera; `schema` turns one into a Pandera
schema. A missing value is NaN for text and floats, and `pandas.NA` for integers and booleans.

Lengths are mm, volumes mL, positions LPS (DICOM's patient coordinate system: x to the left, y to the back, z to the head).
Text columns hold values as found in the files: what of them may be shown, `crlm_qc.collection.show` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

DType = Literal["str", "Int64", "float64", "boolean"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    dtype: DType
    doc: str
    unit: str = ""
    source: str = ""
    """DICOM keyword, heading or other source of the value."""
    required: bool = False
    """Whether every row has a value."""


@dataclass(frozen=True, slots=True)
class Table:
    """One evidence table."""

    name: str
    doc: str
    columns: tuple[Column, ...]

    @property
    def dtypes(self) -> dict[str, DType]:
        """Column names and types, in order."""
        return {column.name: column.dtype for column in self.columns}


def _text(name: str, doc: str, source: str = "", required: bool = False) -> Column:
    return Column(name, "str", doc, source=source, required=required)


def _int(name: str, doc: str, source: str = "", unit: str = "", required: bool = False) -> Column:
    return Column(name, "Int64", doc, unit, source, required)


def _real(name: str, doc: str, unit: str = "", source: str = "") -> Column:
    return Column(name, "float64", doc, unit, source)


def _flag(name: str, doc: str) -> Column:
    return Column(name, "boolean", doc, required=True)


_PATIENT = _text(
    "patient",
    "The patient whose folder it lies in: the folder's name if it has the profile's form, else `patient[k]`; missing outside of patient folders.",
)
_PATH = _text("path", "Path relative to the release, with forward slashes.", required=True)
_DSO = _text("dso", "Path of the segmentation object.", required=True)

_POSITION = tuple(
    _real(f"position_{axis}", f"Centre of the first voxel, {axis}.", "mm", "ImagePositionPatient") for axis in "xyz"
)
_ORIENTATION = (
    *(_real(f"row_{axis}", f"Direction of a row, {axis}.", source="ImageOrientationPatient") for axis in "xyz"),
    *(_real(f"col_{axis}", f"Direction of a column, {axis}.", source="ImageOrientationPatient") for axis in "xyz"),
)
_SPACING = (
    _real("spacing_row", "Distance between rows.", "mm", "PixelSpacing"),
    _real("spacing_col", "Distance between columns.", "mm", "PixelSpacing"),
)
_IDENTITY = (
    _text("sop_instance_uid", "", "SOPInstanceUID"),
    _text("sop_class_uid", "", "SOPClassUID"),
    _text("series_uid", "", "SeriesInstanceUID"),
    _text("study_uid", "", "StudyInstanceUID"),
    _text("frame_of_reference_uid", "", "FrameOfReferenceUID"),
    _text("patient_id", "", "PatientID"),
    _text("modality", "", "Modality"),
    _text("transfer_syntax_uid", "", "TransferSyntaxUID"),
    _text(
        "encoding_found",
        "Transfer syntax that the data set is really written in, where TransferSyntaxUID says another; it was read so. `encapsulated` where Pixel Data is in fragments as compressed pixels are, nobody knows by what, so that it was not read. Missing if it says the truth.",
    ),
)
_HEADER = (
    _text("study_date", "", "StudyDate"),
    _text("series_date", "", "SeriesDate"),
    _text("study_id", "", "StudyID"),
    _text("study_description", "", "StudyDescription"),
    _text("series_description", "", "SeriesDescription"),
    _int("series_number", "", "SeriesNumber"),
    _text("manufacturer", "", "Manufacturer"),
    _text("manufacturer_model", "", "ManufacturerModelName"),
    _text("patient_sex", "", "PatientSex"),
    _text("patient_age", "As found, for example 055Y.", "PatientAge"),
    _text("body_part", "", "BodyPartExamined"),
)
_PIXEL = (
    _int("rows", "", "Rows"),
    _int("columns", "", "Columns"),
    _int("bits_allocated", "", "BitsAllocated"),
    _int("bits_stored", "", "BitsStored"),
    _int("pixel_representation", "", "PixelRepresentation"),
    _int("samples_per_pixel", "", "SamplesPerPixel"),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "sources",
            "A row a part of the release that is a table or a list: metadata.csv, the workbook, the .tcia manifest; also those found but not used, and what lies in place of a missing one.",
            (
                _text("source", "`metadata`, `clinical` or `manifest`.", required=True),
                _PATH,
                _flag("used", "Whether the audit read this one."),
                _text(
                    "problem",
                    "Why it could not be read at all: a code such as `encoding`, `not-xlsx`, `no-patient-sheet`; of what lies in place of a missing one, `other-form` or `unfinished`; missing if it was read.",
                ),
                _text("detail", "The problem in words, with no text from the file."),
                _int("line", "Line that the problem is on."),
                _text("columns", "Headings as found, as a JSON list."),
                _text("letters", "Letters that a spreadsheet has for these columns, as a JSON list, for the workbook."),
                _text(
                    "edition",
                    "Edition recognised, of the workbook; `archive` where metadata.csv is the archive's own list of series.",
                ),
                _int("n_rows", "Rows of data."),
                _text(
                    "relation",
                    "What it is beside the others of its kind: `part` (read together with them, each holding series of its own), `copy` (the same bytes as one that is read), `repeat` (nothing in it that is not in those read), `edition` (says something else, and was not chosen), `other-collection`; missing where it is the only one, or the one that is read.",
                ),
                _int(
                    "n_differing",
                    "Rows of metadata.csv that differ from the row of the same series in a table that is read.",
                ),
                _text("differing", "Headings of the columns that they differ in, as a JSON list; missing if none."),
            ),
        ),
        Table(
            "patients",
            "A row a patient folder on disk, or a folder where headers tell that a patient's images lie.",
            (
                _text(
                    "patient",
                    "Patient ID, of the folder's name or, where that is none, of the headers; `patient[k]` where neither tells.",
                    required=True,
                ),
                _text("folder", "Folder relative to the release.", required=True),
                _flag("valid", "Whether the folder's name has the profile's form."),
            ),
        ),
        Table(
            "files",
            "A row a file of the release (and a row a link, or folder, that is no regular file where one is expected).",
            (
                _PATIENT,
                _PATH,
                _text("folder", "Folder relative to the release, empty for the release itself."),
                _text("name", "File name."),
                _int("size", "Bytes on disk.", unit="bytes"),
                _text(
                    "kind",
                    "`ct` (any DICOM image that is no segmentation), `dso`, `other-dicom` (no image), `other-object` (an object of others, which the profile tells apart; not audited), `metadata`, `clinical`, `manifest`, `licence`, `system`, `document`, `unexpected`, `link`, `unreadable`.",
                    required=True,
                ),
                _flag("in_collection", "Whether it lies inside a folder of the collection or of a patient."),
                _flag(
                    "other_collection",
                    "Whether it is a DICOM file of another collection: by a metadata.csv that names one, or by its PatientID and UIDs where PatientIdentityRemoved is YES.",
                ),
                _text(
                    "copy_of",
                    "Path of the file of the patient that has the same bytes; looked at only where one SOP Instance UID is in several files of one size.",
                ),
                _text(
                    "problem",
                    "Code of what is wrong with it as a file: `empty`, `not-dicom`, `cut-header`, `bad-header`, `permission`, `io-error` (the disk did not give it), `not-fetched` (a place elsewhere did not give it), `too-large` (it asks for more than any real file), `link-outside`, `link-broken`, `link-folder`, `not-a-file`, `unfinished` (as its name tells); of a file that was read all the same, `no-file-meta` (neither preamble nor file meta), `no-preamble` or `no-transfer-syntax`; missing if nothing is.",
                ),
                _text("detail", "The problem in words, with no text from the file."),
                _text(
                    "content",
                    "What a file is that is no DICOM, or what a link leads to: a code such as `web-page`, `lfs-pointer`, `zip`, `unfinished`, `annex-link`; missing if its name and first bytes don't tell.",
                ),
                _text("others", "What the profile calls objects of others such as this one; missing if it is none."),
                *_IDENTITY,
                _text("meta_sop_instance_uid", "", "MediaStorageSOPInstanceUID"),
                _text("meta_sop_class_uid", "", "MediaStorageSOPClassUID"),
                _int(
                    "pixel_bytes_expected",
                    "Bytes that Pixel Data needs after Rows, Columns, frames and bits, padded to even; missing if compressed or not an image.",
                    unit="bytes",
                ),
                _int("pixel_bytes_unpadded", "The same without the byte that pads an odd number.", unit="bytes"),
                _int(
                    "pixel_bytes_found",
                    "Bytes of Pixel Data in the file (what is really there, if the file ends early).",
                    unit="bytes",
                ),
                _int(
                    "meta_length_off",
                    "FileMetaInformationGroupLength less what the file meta really takes; missing if that is right, or absent.",
                    unit="bytes",
                ),
                _int("trailing_bytes", "Bytes after the data set that are no DICOM element.", unit="bytes"),
                _text(
                    "invalid_values",
                    "Keyword, VR and what is wrong of attributes whose value the standard forbids, as a JSON list of such lists; missing if none. Never a value.",
                ),
                _text("invalid_uids", "Keywords of attributes whose UID is invalid, as a JSON list; missing if none."),
                _text(
                    "sha256",
                    "SHA-256 of its bytes, 64 hexadecimal digits; missing if no lock file was given, if they could not be read, for kind `system`, and for the lock file itself.",
                ),
            ),
        ),
        Table(
            "lock",
            "A row a file that the lock file lists, as far as its place was read; empty if no lock file was given.",
            (
                _PATH,
                _text("sha256", "SHA-256 that its bytes had, 64 hexadecimal digits.", required=True),
                _int("size", "Bytes that it had, if the lock file says so.", unit="bytes"),
            ),
        ),
        Table(
            "checksums",
            "A row a file that a md5hashes.csv of the downloader lists in its folder; where files have other names than those listed, a row a file whose MD5 was worked out.",
            (
                _PATIENT,
                _PATH,
                _text(
                    "state",
                    "`right` or `wrong`, as the MD5 of its bytes; `absent` if there is no such file; `not-read` if not all bytes were read.",
                    required=True,
                ),
            ),
        ),
        Table(
            "series",
            "A row a DICOM series on disk, by Series Instance UID and patient folder.",
            (
                _PATIENT,
                _text("series_uid", "", "SeriesInstanceUID"),
                _text("role", "`ct` or `dso`.", required=True),
                _text("modality", "As in most of its files.", "Modality"),
                _int("n_instances", "Files of the series.", required=True),
                _int("n_folders", "Folders that they lie in.", required=True),
                _text("folder", "The folder, or the first of them in the order of names."),
                _int("size", "Bytes of its files.", unit="bytes", required=True),
            ),
        ),
        Table(
            "slices",
            "A row a DICOM image that is no segmentation: the CT instances.",
            (
                _PATIENT,
                _PATH,
                *_IDENTITY,
                *_HEADER,
                *_PIXEL,
                _int("instance_number", "", "InstanceNumber"),
                _int("acquisition_number", "", "AcquisitionNumber"),
                _real(
                    "acquisition_time", "Time since the first slice of its series was acquired.", "s", "AcquisitionTime"
                ),
                _text("image_type", "Its values, parted by backslashes.", "ImageType"),
                _text("convolution_kernel", "", "ConvolutionKernel"),
                _text("contrast_agent", "", "ContrastBolusAgent"),
                _real("kvp", "", "kV", "KVP"),
                _real("reconstruction_diameter", "", "mm", "ReconstructionDiameter"),
                _int("number_of_frames", "Missing for an image of one frame.", "NumberOfFrames"),
                *_SPACING,
                _real("slice_thickness", "", "mm", "SliceThickness"),
                _real("spacing_between_slices", "", "mm", "SpacingBetweenSlices"),
                _real("slice_location", "", "mm", "SliceLocation"),
                _real("gantry_tilt", "", "degrees", "GantryDetectorTilt"),
                *_POSITION,
                *_ORIENTATION,
                _text("patient_position", "", "PatientPosition"),
                _real("rescale_slope", "", source="RescaleSlope"),
                _real("rescale_intercept", "", "HU", "RescaleIntercept"),
                _int("pixel_padding_value", "Stored value.", "PixelPaddingValue"),
                _text("rescale_type", "", "RescaleType"),
                _text("photometric_interpretation", "", "PhotometricInterpretation"),
                _int("high_bit", "", "HighBit"),
                _text("lossy_image_compression", "", "LossyImageCompression"),
                _text("lossy_ratio", "Of several compressions, parted by backslashes.", "LossyImageCompressionRatio"),
                _text("lossy_method", "The same.", "LossyImageCompressionMethod"),
                _real("hu_min", "Lowest CT value, padding left out; missing below depth `pixels`.", "HU"),
                _real("hu_max", "Highest CT value, padding left out.", "HU"),
                _real("hu_soft", "Fraction of its pixels of -200 to 200 HU (soft tissue), padding left out."),
                _real(
                    "hu_lung",
                    "Fraction of its pixels of -900 to -500 HU (lung), every eighth row and column, padding left out.",
                ),
                _real("hu_outside", "Fraction of its pixels below -1100 or above 4000 HU, padding left out."),
                _text(
                    "pixel_digest",
                    "Digest of its CT values in whole HU, those beyond -1024 to 3071 HU taken for the nearest of these: the same for the same values in any encoding. Missing if all are one value, or without slope and intercept.",
                ),
                _int(
                    "wide_pixels",
                    "Pixels whose stored value needs more bits than BitsStored, padding left out; missing if not read, or if BitsStored is BitsAllocated.",
                    unit="pixels",
                ),
                _int(
                    "padding_undeclared",
                    "Stored value below -1024 HU that fills corners of the image as padding, without being declared; it is left out as padding is.",
                ),
                _real(
                    "hu_at_min",
                    "Fraction of its pixels that have the lowest CT value. This and the next four are measured on at most 16 slices of a series.",
                ),
                _real("hu_at_max", "Fraction of its pixels that have the highest one."),
                _real(
                    "hu_rim",
                    "Level of its outermost rows and columns, the median of the values about the most frequent one: air, where the patient is all in the image.",
                    "HU",
                ),
                _real("hu_rim_spread", "Median distance of these values from it.", "HU"),
                _real(
                    "hu_body",
                    "Most frequent CT value of the pixels that lie far from it: tissue, where it is air.",
                    "HU",
                ),
                _text(
                    "pixels",
                    "`read`, `not-asked`, `no-decoder`, `failed`, or `too-large` where they ask for more than any real file.",
                ),
                _text("pixels_detail", "Why the pixels were not read, with no text from the file."),
                _text(
                    "missing",
                    "Keywords of attributes that the checks need and that are absent, empty or malformed, as a JSON list; missing if none.",
                ),
                _text("empty", "Those of them that are there without a value, as a JSON list; missing if none."),
                _text(
                    "malformed",
                    "Those of them whose value can't be read as what it should be, as a JSON list; missing if none.",
                ),
            ),
        ),
        Table(
            "ct_series",
            "A row a CT series: what its slices have in common, and its stack; localizers are left out of it. Figures are measured, not judged.",
            (
                _PATIENT,
                _text("series_uid", "", "SeriesInstanceUID"),
                _int("n_slices", "Slices.", required=True),
                _real("normal_x", "Slice normal, x."),
                _real("normal_y", "Slice normal, y."),
                _real("normal_z", "Slice normal, z."),
                _real(
                    "spacing",
                    "Distance between neighbouring slices along the normal: that of the lattice that most of them lie on; missing where they are several volumes that lie across each other.",
                    "mm",
                ),
                _real("spacing_min", "Smallest such distance.", "mm"),
                _real("spacing_max", "Largest such distance.", "mm"),
                _real(
                    "shear",
                    "Largest sideways distance of a slice's origin from the line through the first along the normal.",
                    "mm",
                ),
                _real("first", "Position of the lowest slice along the normal.", "mm"),
                _real("last", "Position of the highest slice along the normal.", "mm"),
                _real("slice_thickness", "Median SliceThickness.", "mm"),
                _int("instance_number_min", "Lowest InstanceNumber."),
                _int("instance_number_max", "Highest InstanceNumber."),
            ),
        ),
        Table(
            "dsos",
            "A row a segmentation object.",
            (
                _PATIENT,
                _PATH,
                *_IDENTITY,
                *_HEADER,
                *_PIXEL,
                _text("photometric_interpretation", "", "PhotometricInterpretation"),
                _int("high_bit", "", "HighBit"),
                _int("number_of_frames", "", "NumberOfFrames"),
                _int(
                    "n_frame_items",
                    "Items of the Per-Frame Functional Groups Sequence; missing if there is no such sequence.",
                ),
                _int("n_segments", "Items of the Segment Sequence."),
                _text("segmentation_type", "", "SegmentationType"),
                _text("segments_overlap", "", "SegmentsOverlap"),
                _text(
                    "missing",
                    "Keywords of attributes that it must hold and lacks, beside those that stand in columns, as a JSON object: each with how many lack it, the object itself, its segments or its frames. Missing if none.",
                ),
                _int("n_referenced_series", "Items of the Referenced Series Sequence."),
                *_SPACING,
                _real("slice_thickness", "", "mm", "SliceThickness"),
                _real("spacing_between_slices", "", "mm", "SpacingBetweenSlices"),
                *_ORIENTATION,
                _text(
                    "dimension_pointers", "Tags of the dimension index pointers, as a JSON list of eight-digit tags."
                ),
                _text(
                    "malformed",
                    "Keywords of lengths, positions and directions in its functional groups, and of Rows, Columns, NumberOfFrames and BitsAllocated, that are there and can't be read, as a JSON list; missing if none.",
                ),
                _int(
                    "pixel_bytes_expected",
                    "Bytes that Pixel Data needs for `number_of_frames` frames, padded to even; missing if compressed.",
                    unit="bytes",
                ),
                _int("pixel_bytes_unpadded", "The same without the byte that pads an odd number.", unit="bytes"),
                _int("pixel_bytes_found", "Bytes of Pixel Data in the file.", unit="bytes"),
                _text(
                    "packing",
                    "How Pixel Data is packed, where it is not as the standard says: by its length `frames-in-bytes`, `segments-in-bytes`, `frames-in-words`, `rows-in-bytes` (what begins anew in a byte or word of its own), `bytes-for-bits` or `bits-for-bytes`; by the outlines of its masks `bits-reversed`, `bytes-swapped` or `bits-of-words-reversed`. Missing if nothing says so.",
                ),
                _int(
                    "byte_steps",
                    "Borders of two bytes across which voxels differ, where the outlines say how it is packed.",
                ),
                _int("byte_steps_mended", "The same with the bits in that order."),
                _text(
                    "masks",
                    "`measured`, `not-asked`, `no-decoder`, `failed`, `too-large` where they ask for more than any real object, or `misread` where `packing` says so.",
                    required=True,
                ),
                _text("masks_detail", "Why the masks were not measured, with no text from the file."),
                _int(
                    "fractional_maximum",
                    "Missing too if it is no FRACTIONAL object, or its masks were not decoded.",
                    "MaximumFractionalValue",
                ),
            ),
        ),
        Table(
            "references",
            "A row a reference from a segmentation object; the top-level list and the frames' source images are kept apart.",
            (
                _PATIENT,
                _DSO,
                _text(
                    "level",
                    "`series` (an item of the Referenced Series Sequence), `instance` (of its Referenced Instance Sequence) or `frame` (a frame's source image).",
                    required=True,
                ),
                _int("frame", "Frame number from 1, at level `frame`."),
                _text(
                    "series_uid",
                    "Series Instance UID of the item it stands in; missing at level `frame`.",
                    "SeriesInstanceUID",
                ),
                _text("sop_class_uid", "", "ReferencedSOPClassUID"),
                _text("sop_instance_uid", "Missing at level `series`.", "ReferencedSOPInstanceUID"),
                _int(
                    "frame_number",
                    "Frame of the referenced image, the highest of several; missing if none is named.",
                    "ReferencedFrameNumber",
                ),
            ),
        ),
        Table(
            "frames",
            "A row a frame of a segmentation object; functional groups shared by all frames are filled in.",
            (
                _PATIENT,
                _DSO,
                _int("frame", "Frame number from 1.", required=True),
                _int("segment_number", "Of the first item, if the frame names several.", "ReferencedSegmentNumber"),
                _int("n_segment_items", "Items of its Segment Identification Sequence."),
                _text(
                    "segments_held",
                    "Numbers of the segments that a frame of a label map holds, as a JSON list; missing for other frames, and if not measured.",
                ),
                *_POSITION,
                *_ORIENTATION,
                *_SPACING,
                _real("slice_thickness", "", "mm", "SliceThickness"),
                _real("spacing_between_slices", "", "mm", "SpacingBetweenSlices"),
                _int("n_sources", "Source images that the frame names.", required=True),
                _text("source_uid", "The source image, if the frame names just one.", "ReferencedSOPInstanceUID"),
                _text("dimension_index", "DimensionIndexValues as a JSON list.", "DimensionIndexValues"),
                _int("voxels", "Set voxels; missing if not measured.", unit="voxels"),
                _int(
                    "plane",
                    "Place on the lattice along the normal of the plane that its mask was laid on, 0 for the lowest of the object; missing where neither its own position nor that of its source image is known, or no orientation.",
                    unit="slices",
                ),
                _text(
                    "mask_digest",
                    "Digest of its set voxels; of a label map, of those of its segments one after the other. Missing for an empty mask, for one that fills the frame, and if not measured.",
                ),
                _int(
                    "twin",
                    "The first frame of the object with the very same voxels of the same segment, if that is another.",
                ),
                _real(
                    "jump",
                    "How little it goes with the slices beside it, for a frame with a twin and for the twin: voxels in which it differs from one of them, over those in which these differ from each other. About 0.5 where an outline changes steadily, more for a mask from elsewhere.",
                ),
            ),
        ),
        Table(
            "segments",
            "A row a segment that a segmentation object declares, or that its frames name without one (`declared` is false).",
            (
                _PATIENT,
                _DSO,
                _int("segment_number", "", "SegmentNumber"),
                _flag("declared", "Whether the Segment Sequence has it."),
                _text("label", "", "SegmentLabel"),
                _text("category_code", "", "SegmentedPropertyCategoryCodeSequence CodeValue"),
                _text("category_scheme", "", "CodingSchemeDesignator"),
                _text("type_code", "", "SegmentedPropertyTypeCodeSequence CodeValue"),
                _text("type_scheme", "", "CodingSchemeDesignator"),
                _text("type_meaning", "", "CodeMeaning"),
                _int("n_frames", "Frames that name it.", required=True),
                _int(
                    "voxels",
                    "Set voxels; a voxel set in two frames at one position counts once. Missing if not measured.",
                    unit="voxels",
                ),
                _real("volume_ml", "Volume with the slice spacing from positions.", "mL"),
                _text(
                    "volume_basis",
                    "Where the slice spacing comes from: `ct-positions`, `frame-positions`, `spacing-between-slices` or `slice-thickness`.",
                ),
                _real(
                    "volume_thickness_ml",
                    "Volume with SliceThickness in place of the slice spacing: that of the object, or else of most slices of its CT series.",
                    "mL",
                ),
                _real(
                    "fraction_max",
                    "Largest stored value of a FRACTIONAL segment, as a part of MaximumFractionalValue (of 255, or what its bits hold, if it names none).",
                ),
                _int("row_min", "First row with a set voxel, from 0.", unit="voxels"),
                _int("row_max", "Last row with a set voxel.", unit="voxels"),
                _int("column_min", "First column with a set voxel, from 0.", unit="voxels"),
                _int("column_max", "Last column with a set voxel.", unit="voxels"),
                _int("n_planes", "Planes with a set voxel.", unit="slices"),
                _real(
                    "along_min",
                    "Position along the normal, towards the head, left or back, of the first such plane.",
                    "mm",
                ),
                _real("along_max", "Position along the normal of the last one.", "mm"),
                _int("voxels_first", "Set voxels on the first such plane.", unit="voxels"),
                _int("voxels_last", "Set voxels on the last one.", unit="voxels"),
                _int("voxels_widest", "Most set voxels on one plane.", unit="voxels"),
                _real("centroid_x", "Centroid, x.", "mm"),
                _real("centroid_y", "Centroid, y.", "mm"),
                _real("centroid_z", "Centroid, z.", "mm"),
                _real(
                    "diameter_axial_mm",
                    "Largest distance between two set voxels of one plane, voxel edges included.",
                    "mm",
                ),
                _real("diameter_3d_mm", "Largest distance between two set voxels, voxel edges included.", "mm"),
                _int("components", "Face-connected components."),
                _int("largest_component", "Voxels of the largest one.", unit="voxels"),
                _int("specks", "Components of under 10 voxels."),
                _int(
                    "hole_voxels",
                    "Voxels that it encloses in 3-D and that no segment fills; measured for the liver alone.",
                    unit="voxels",
                ),
                _real(
                    "rim_in_liver",
                    "Part of the pixels around it, in its slices, that liver, remnant, vessels or other tumours hold. Measured only where no two segments share a voxel.",
                ),
                _int(
                    "union_voxels",
                    "Voxels of liver, remnant, vessels and tumours together; for the liver alone, and only where no two segments share a voxel.",
                    unit="voxels",
                ),
                _int("union_components", "Face-connected components of these."),
                _int("union_largest", "Voxels of the largest one.", unit="voxels"),
                _real(
                    "hu_median", "Median CT value under the mask, padding left out; missing below depth `pixels`.", "HU"
                ),
                _real("hu_below_minus10", "Fraction of its voxels below -10 HU, padding left out.", source="CT"),
                _real("hu_noise", "Noise as a standard deviation, from the median to the third quartile.", "HU", "CT"),
                _real("hu_other", "Fraction of its voxels below -10 HU by more than twice the noise.", source="CT"),
            ),
        ),
        Table(
            "segment_pairs",
            "A row a pair of segments of one segmentation object that share a voxel.",
            (
                _PATIENT,
                _DSO,
                _int("segment_a", "The lower Segment Number.", required=True),
                _int("segment_b", "The higher Segment Number.", required=True),
                _int("overlap_voxels", "Voxels set in both.", unit="voxels", required=True),
                _real("overlap_ml", "Their volume.", "mL"),
            ),
        ),
        Table(
            "alignments",
            "A row a placement at which the liver's mask, tumours and vessels left out, was laid over the CT. Only at depth `pixels`.",
            (
                _PATIENT,
                _DSO,
                _int("segment_number", "The liver's Segment Number.", required=True),
                _text(
                    "placement",
                    "`stated`: where it lies; shifted along `slices`, `rows` or `columns`; mirrored `left-right` (columns in reverse order), `front-back` (rows) or `upside-down` (slices); `turned` (rows and columns in reverse order); `transposed` (rows and columns swapped).",
                    required=True,
                ),
                _text("about", "What it is mirrored or turned about: the middle of the `image`, or of the `mask`."),
                _int(
                    "shift",
                    "How far it is shifted towards higher indices; slices count along the normal.",
                    unit="voxels",
                ),
                _real("shift_mm", "The same.", "mm"),
                _int(
                    "voxels",
                    "Voxels looked at that fell on the CT, padding left out: those of a coarser grid, at most 12,000.",
                    unit="voxels",
                    required=True,
                ),
                _real("hu_median", "Median of their CT values.", "HU", "CT"),
                _real("hu_spread", "Mean distance from the median, each at most 60 HU.", "HU", "CT"),
                _real("hu_below_minus10", "Fraction of them below -10 HU.", source="CT"),
                _real(
                    "hu_alike",
                    "Part of the CT values just outside of the mask (6 mm) that has its like inside of it: by a histogram of 16 HU a bin.",
                    source="CT",
                ),
            ),
        ),
        Table(
            "borders",
            "A row an axis of the CT along which the liver's border was looked for, 15 mm to both sides of where its mask ends, or 3 slices. Only at depth `pixels`.",
            (
                _PATIENT,
                _DSO,
                _int("segment_number", "The liver's Segment Number.", required=True),
                _text("axis", "`slices` (along the normal), `rows` or `columns`.", required=True),
                _real("spacing_mm", "How far apart voxels lie along it.", "mm"),
                _real(
                    "shift",
                    "How far the mask would have to be moved towards higher indices to lie on the border on both sides.",
                    "voxels",
                    "CT",
                ),
                _real("shift_mm", "The same.", "mm", "CT"),
                _real(
                    "shift_least",
                    "The same in the direction of `shift`, of that of four parts of the outline where it is least; negative if one says the opposite.",
                    "voxels",
                    "CT",
                ),
                *(
                    column
                    for side, ends in (("low", "lower"), ("high", "higher"))
                    for column in (
                        _int(
                            f"faces_{side}",
                            f"Lines looked at where they leave the mask towards {ends} indices, at most 800.",
                        ),
                        _real(
                            f"told_{side}", "Fraction of them where CT values tell where the border is.", source="CT"
                        ),
                        _real(
                            f"border_{side}",
                            "Median distance of the border from the end of the mask; outward positive.",
                            "voxels",
                            "CT",
                        ),
                    )
                ),
            ),
        ),
        Table(
            "identifiers",
            "A row an attribute, in one state, of the DICOM files of a series: attributes of PS3.15 Table E.1-1, private "
            "elements, and texts that look as if they identify somebody. Never the value itself.",
            (
                _PATIENT,
                _text("series_uid", "", "SeriesInstanceUID"),
                _text(
                    "attribute",
                    "Keyword, after those of the sequences that it lies in, parted by slashes; a tag where there is no keyword. Private elements are `(gggg,xxee)`.",
                    required=True,
                ),
                _text(
                    "tag", "Eight hexadecimal digits; of a private element, its block's two are `xx`.", required=True
                ),
                _text("vr", "Value representation.", required=True),
                _text(
                    "state",
                    "`empty`; `patient-id` (equals the PatientID, which has the profile's form); `code` (in `code`); `present`.",
                    required=True,
                ),
                _text(
                    "code",
                    "A value of a few that the standard defines, or `other`; of a CT image's date `before` or `after` the release's range; of any date that can't be read `unreadable`; of PatientAge `over` (89 years). Codes of a sequence are parted by spaces.",
                ),
                _text("length", "Length of a text: `1 to 8`, `9 to 32` or `more than 32` characters."),
                _text("pattern", "What the text looks like, such as `telephone number`."),
                _text("creator", "Private creator, if it is a publicly known one; else `other`, or `none`."),
                _int("n_files", "Files that hold it so.", required=True),
                _int("n_values", "Elements that hold it so, in items of sequences too.", required=True),
            ),
        ),
        Table(
            "standard",
            "A row a message of a validator of dicom3tools, and one a run of it. Empty unless they were asked for. Never a value.",
            (
                _PATIENT,
                _text("path", "Path of the object that was validated; missing where a patient's were together."),
                _text("tool", "`dciodvfy` (one object) or `dcentvfy` (all of a patient).", required=True),
                _text(
                    "state",
                    "`checked`, `failed` (it gave no answer) or `absent` (it is not installed), of a run; `error` or `warning`, of a message.",
                    required=True,
                ),
                _text("attribute", "Keywords or tags of the attribute, and of the sequences that it lies in."),
                _text("message", "The validator's words, without the values that it quotes."),
            ),
        ),
        Table(
            "texts",
            "A row a text outside of DICOM headers that looks as if it identified somebody: cells of tables, names of files and folders. Never a value.",
            (
                _text(
                    "source",
                    "`clinical`, `dictionary`, `metadata`, `manifest` (a cell of it, or a line), `folder` or `file` (a name).",
                    required=True,
                ),
                _PATH,
                _PATIENT,
                _int("row", "Row of the sheet, or line of the file; missing for a name."),
                _text("column", "Heading of the column, as found; missing for a name."),
                _text("pattern", "What it looks like, such as `telephone number`.", required=True),
            ),
        ),
        Table(
            "metadata",
            "A row a row of metadata.csv. Text as found, but for what `list_notes` tells; parsed values beside it.",
            (
                _int("row", "Line of the file, the heading being 1.", required=True),
                _text("series_uid", "", "Series UID"),
                _text("collection", "", "Collection"),
                _text("third_party_analysis", "", "3rd Party Analysis"),
                _text("data_description_uri", "", "Data Description URI"),
                _text("subject_id", "", "Subject ID"),
                _text("study_uid", "", "Study UID"),
                _text("study_description", "", "Study Description"),
                _text("study_date", "", "Study Date"),
                _text("series_description", "", "Series Description"),
                _text("manufacturer", "", "Manufacturer"),
                _text("modality", "", "Modality"),
                _text("sop_class_name", "", "SOP Class Name"),
                _text("sop_class_uid", "", "SOP Class UID"),
                _text("number_of_images", "", "Number of Images"),
                _text("file_size", "", "File Size"),
                _text("file_location", "", "File Location"),
                _text("download_timestamp", "", "Download Timestamp"),
                _text("patient", "The subject, if it has the profile's form."),
                _int("images", "Number of Images, parsed (27.0 is 27); missing if it is no whole number."),
                _real("size_decimal", "File Size in bytes, units read as powers of 1000.", "bytes"),
                _real("size_binary", "File Size in bytes, units read as powers of 1024.", "bytes"),
                _text("date", "Study Date as YYYYMMDD; missing if it is no date of the profile's form."),
                _text(
                    "folder",
                    "The folder on disk that File Location leads to, relative to the release; missing if there is none.",
                ),
                _text("location_problem", "`missing` or `outside`; missing if the folder was found."),
                Column(
                    "unsure",
                    "boolean",
                    "Whether the row has more or fewer fields than the heading, and they could not be told apart; what is sure of it stands here.",
                ),
                _text("path", "The metadata.csv that the row was read from."),
            ),
        ),
        Table(
            "list_notes",
            "A row a thing that was put right, or passed over, when metadata.csv or the manifest was read. Never a value.",
            (
                _text("source", "`metadata` or `manifest`.", required=True),
                _PATH,
                _text(
                    "kind",
                    "`before-heading`, `heading-again`, `put-right` (a row of more or fewer fields), `lost` (such a row that could not be put right), `invisible` (characters), `marks` (round a UID of the manifest).",
                    required=True,
                ),
                _int("row", "Line of the file.", required=True),
                _text("column", "Heading that the downloader has for the column, if it is of one."),
                _text("detail", "What it is, in words, with no text from the file.", required=True),
            ),
        ),
        Table(
            "manifest",
            "A row a series that the .tcia manifest lists.",
            (
                _int("line", "Line of the file.", required=True),
                _text(
                    "entry",
                    "The UID, or the line as found where it holds none, without white space and marks around it.",
                    required=True,
                ),
                _text("path", "The manifest that the line was read from."),
            ),
        ),
        Table(
            "clinical",
            "A row a cell of the workbook's patient sheet, headings and wholly blank rows left out.",
            (
                _int("row", "Row of the sheet, the heading being 1.", required=True),
                _text("patient_id", "Patient-ID of the row, as found."),
                _text("patient", "The same, if it has the profile's form, or can be meant for one patient alone."),
                _text("column", "Heading of the column, as found.", required=True),
                _text("text", "The cell as text; missing if it is blank."),
                _real("value", "The cell's number; missing if it holds none."),
                _text("type", "`number`, `text`, `boolean`, `date`, `formula`, `error` or `blank`.", required=True),
                _text("number_format", "Format of the cell, for example `0%`."),
            ),
        ),
        Table(
            "clinical_dictionary",
            "A row a variable of the Data Dictionary sheet.",
            (
                _int("row", "Row of the sheet.", required=True),
                _text("variable", "Variable Name."),
                _text("description", "Description."),
                _text("values", "Values."),
            ),
        ),
        Table(
            "workbook",
            "A row a fact of the workbook beside its cells: sheets, what is hidden, comments, formulas, links, macros, properties.",
            (
                _text(
                    "fact",
                    "`sheet`, `hidden-sheet`, `hidden-row`, `hidden-column`, `comment`, `formula`, `external-link`, `macro`, `property`, `merged`.",
                    required=True,
                ),
                _text("sheet", "Sheet, if it is of one."),
                _text("cell", "Cell, row or column, if it is of one."),
                _text("name", "Name of a property."),
                _flag("has_value", "Whether it holds anything; the value itself is not kept."),
            ),
        ),
    )
}

TOO_LARGE = "too-large"
"""What `files.problem`, `slices.pixels` and `dsos.masks` say of what asks for more than any real file."""
NOT_FETCHED = "not-fetched"
"""What `files.problem` and `sources.problem` say of what a place elsewhere did not give: nothing is known of it."""
ENCAPSULATED = "encapsulated"
"""What `encoding_found` says of Pixel Data in fragments, where no transfer syntax of such is known."""
SOURCE_TABLES = frozenset(
    {"sources", "metadata", "list_notes", "manifest", "clinical", "clinical_dictionary", "workbook"}
)
"""Tables that are made of tables and lists of the release alone, without its images."""


def empty(name: str) -> pd.DataFrame:
    """An empty table that keeps its contract."""
    return frame(name, [])


def frame(name: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Build a table from rows; columns that a row leaves out are missing values.

    Parameters
    ----------
    name : str
        Name of a table in `TABLES`.
    rows : iterable of mapping
        Column names to values.

    Returns
    -------
    pandas.DataFrame
        The table, columns in the contract's order and of its types.

    Raises
    ------
    KeyError
        A row has a column that the contract has not.
    """
    import pandas as pd

    table = TABLES[name]
    listed = list(rows)
    known = set(table.dtypes)
    for row in listed:
        if unknown := set(row) - known:
            raise KeyError(f"table {name} has no column {', '.join(sorted(unknown))}")
    return pd.DataFrame(
        {
            column: pd.array([row.get(column) for row in listed], dtype=pandas_dtype(dtype))
            for column, dtype in table.dtypes.items()
        }
    )


def pandas_dtype(dtype: DType) -> Any:
    """The type that pandas has for a type of the contracts."""
    import numpy as np
    import pandas as pd

    # Rules look at texts one by one, which pyarrow makes anew each time; and one that many rows hold is held once.
    return pd.StringDtype("python", na_value=np.nan) if dtype == "str" else dtype


@contextmanager
def texts_as_in_tables() -> Iterator[None]:
    """Have pandas hold texts that it meets within as tables do: what is made of a table is as quick to look at."""
    import pandas as pd

    with pd.option_context("mode.string_storage", "python"):
        yield


def schema(name: str) -> pa.DataFrameSchema:
    """The Pandera schema of a table: exact columns, types, and values where they are required."""
    import pandera.pandas as pa

    table = TABLES[name]
    return pa.DataFrameSchema(
        {
            column.name: pa.Column(
                pandas_dtype(column.dtype), nullable=not column.required, title=column.name, description=column.doc
            )
            for column in table.columns
        },
        strict=True,
        ordered=True,
        name=name,
        description=table.doc,
    )
