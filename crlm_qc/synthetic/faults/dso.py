"""Faults of the segmentation object and its references (DSO)."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import numpy as np

from crlm_qc.collection.forms import SeriesFolder, uid_tail
from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site, size_text
from crlm_qc.synthetic.faults._slices import decimal, moved

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

    from crlm_qc.synthetic.faults._dso import Frame, Segmentation


@fault("dso-modality", triggers=("DSO001",), doc="The segmentation object says Modality OT.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.Modality = "OT"


@fault("dso-size", triggers=("DSO002",), doc="The frames have four rows more than the CT.")
def _(site: Site) -> None:
    with site.dso() as dso:
        for frame in dso.frames:
            frame.mask = np.pad(frame.mask, ((0, 4), (0, 0)))


@fault("dso-frame-of-reference", triggers=("DSO003",), doc="The object has another Frame of Reference UID than the CT.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.FrameOfReferenceUID = site.new_uid(dataset.FrameOfReferenceUID)


@fault(
    "dso-study",
    triggers=("DSO004", "MET012"),
    doc="The object is of another study than the CT, and metadata.csv says so too.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.StudyInstanceUID = uid = site.new_uid(dataset.StudyInstanceUID, keep=5)
    with site.row("dso") as row:
        row["Study UID"] = uid


@fault("dso-no-references", triggers=("DSO005",), doc="The object has no Referenced Series Sequence.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        del dataset.ReferencedSeriesSequence


@fault(
    "dso-series-of-other",
    triggers=("DSO006",),
    doc="The Referenced Series Sequence names the CT series of another patient.",
)
def _(site: Site) -> None:
    uid = str(site.header(site.release.ct_files(site.other)[0]).SeriesInstanceUID)
    with site.dicom(site.dso_file) as dataset:
        dataset.ReferencedSeriesSequence[0].SeriesInstanceUID = uid


@fault(
    "dso-two-ct-series",
    triggers=("DSO031", "REL009", "MET014"),
    doc="The patient has a copy of the CT series in every list, with UIDs of its own, and each frame names a slice of both.",
)
def _(site: Site) -> None:
    new_uids = _copy_ct(site)
    with site.dicom(site.dso_file) as dataset:
        series = copy.deepcopy(dataset.ReferencedSeriesSequence[0])
        series.SeriesInstanceUID = new_uids[series.SeriesInstanceUID]
        for item in series.ReferencedInstanceSequence:
            item.ReferencedSOPInstanceUID = new_uids[item.ReferencedSOPInstanceUID]
        dataset.ReferencedSeriesSequence.append(series)
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            sources = frame.DerivationImageSequence[0].SourceImageSequence
            source = copy.deepcopy(sources[0])
            source.ReferencedSOPInstanceUID = new_uids[source.ReferencedSOPInstanceUID]
            sources.append(source)


def _copy_ct(site: Site) -> dict[str, UID]:
    """Add a copy of the CT series, on disk, to metadata.csv and to the manifest; new UIDs by the old ones."""
    files, header = site.ct_files, site.header(site.ct_files[0])
    old, number = str(header.SeriesInstanceUID), int(header.SeriesNumber) + 800
    new_uids = {old: site.new_uid(old, "series")}
    folder = files[0].parent
    description = folder.name.partition("-")[2].rpartition("-")[0]
    target = folder.with_name(SeriesFolder(str(number), description, uid_tail(new_uids[old])).name)
    for path in files:
        site.copy(path, target / path.name)
        with site.dicom(target / path.name) as dataset:
            uid = str(dataset.SOPInstanceUID)
            new_uids[uid] = site.new_uid(uid, uid)
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uids[uid]
            dataset.SeriesInstanceUID = new_uids[old]
            dataset.SeriesNumber = number
    with site.metadata() as table:
        row = table.of(site.patient, "ct")
        location = row["File Location"].replace(folder.name, target.name)
        size = size_text(sum(path.stat().st_size for path in target.iterdir()))
        copied = {**row, "Series UID": new_uids[old], "File Location": location, "File Size": size}
        table.rows.insert(table.rows.index(row) + 1, copied)
    with site.manifest() as lines:
        lines.insert(lines.index(old) + 1, new_uids[old])
    return new_uids


@fault("dso-instance-unknown", triggers=("DSO007",), doc="The top-level list names an instance that is not on disk.")
def _(site: Site) -> None:
    with site.dso() as dso:
        dso.list_instance(site.new_uid(dso.frames[0].source))


@fault("dso-frame-without-source", triggers=("DSO008",), doc="One frame has no source image.")
def _(site: Site) -> None:
    with site.dso() as dso:
        del dso.frames[0].item.DerivationImageSequence


@fault(
    "dso-source-of-other",
    triggers=("DSO009", "DSO010"),
    doc="One frame names a CT slice of another patient as its source image.",
)
def _(site: Site) -> None:
    uid = str(site.header(site.release.ct_files(site.other)[0]).SOPInstanceUID)
    with site.dso() as dso:
        dso.frames[0].source = uid


@fault("dso-list-incomplete", triggers=("DSO010",), doc="The top-level list leaves out a frame's source image.")
def _(site: Site) -> None:
    with site.dso() as dso:
        uid = dso.frames[0].source
        dso.instances = [item for item in dso.instances if item.ReferencedSOPInstanceUID != uid]


@fault("dso-sources-swapped", triggers=("DSO011",), doc="Two frames of the liver have each other's source image.")
def _(site: Site) -> None:
    with site.dso() as dso:
        frames = dso.frames_of(dso.number("Liver"))
        frames[0].source, frames[1].source = frames[1].source, frames[0].source


@fault(
    "dso-position-malformed",
    triggers=("DSO014",),
    doc="The position of one frame lies beyond any scanner: 1e308 mm along z.",
)
def _(site: Site) -> None:
    with site.dso() as dso:
        frame = dso.frames_of(dso.number("Hepatic"))[0]
        x, y, _ = frame.position
        frame.position = [decimal(x), decimal(y), "1e308"]


@fault("dso-orientation", triggers=("DSO012",), doc="The object is turned by 0.1 degrees about the slice normal.")
def _(site: Site) -> None:
    with site.dso() as dso:
        plane = dso.dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        old = np.array(plane.ImageOrientationPatient, dtype=float)
        cos, sin = math.cos(math.radians(0.1)), math.sin(math.radians(0.1))
        turned = [*(cos * old[:3] + sin * old[3:]), *(cos * old[3:] - sin * old[:3])]
        plane.ImageOrientationPatient = [decimal(value) for value in turned]


@fault("dso-pixel-spacing", triggers=("DSO013",), doc="Pixel Spacing of the object is 0.3% larger than the CT's.")
def _(site: Site) -> None:
    with site.dso() as dso:
        measures = dso.dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.PixelSpacing = [decimal(float(value) * 1.003) for value in measures.PixelSpacing]


@fault(
    "dso-slice-spacing",
    triggers=("DSO032",),
    doc="Spacing Between Slices of the object is half of what it is.",
)
def _(site: Site) -> None:
    with site.dso() as dso:
        measures = dso.dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = decimal(float(measures.SpacingBetweenSlices) / 2)


@fault(
    "dso-slice-thickness",
    triggers=("DSO032",),
    doc="Slice Thickness of the object is 8% below both the slice spacing and the CT's own thickness.",
)
def _(site: Site) -> None:
    with site.dso() as dso:
        measures = dso.dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SliceThickness = decimal(float(measures.SliceThickness) * 0.92)


@fault(
    "dso-frames-shifted",
    triggers=("DSO011",),
    doc="The frames of the highest plane lie 0.4 slice spacings above their source slice.",
)
def _(site: Site) -> None:
    step = site.edge().step
    with site.dso() as dso:
        _shift_highest(dso, step)


@fault(
    "dso-off-lattice",
    triggers=("DSO008", "DSO014"),
    doc="The frames of the highest plane lie 0.4 slice spacings off the CT's lattice, and name no source slice.",
)
def _(site: Site) -> None:
    step = site.edge().step
    with site.dso() as dso:
        for frame in _shift_highest(dso, step):
            del frame.item.DerivationImageSequence


def _shift_highest(dso: Segmentation, step: tuple[float, float, float]) -> list[Frame]:
    heights = [dso.height(frame) for frame in dso.frames]
    frames = [frame for frame, height in zip(dso.frames, heights, strict=True) if height > max(heights) - 1e-3]
    upward = math.copysign(0.4, step @ dso.normal)
    for frame in frames:
        frame.position = moved(frame.position, step, upward)
    return frames


@fault("dso-frame-count", triggers=("DSO015",), doc="NumberOfFrames and the pixels have one frame more than the items.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        size = dataset.Rows * dataset.Columns * int(dataset.NumberOfFrames)
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), count=size, bitorder="little")
        more = np.concatenate([bits, np.zeros(dataset.Rows * dataset.Columns, np.uint8)])
        content = np.packbits(more, bitorder="little").tobytes()
        dataset.PixelData = content + b"\0" * (len(content) % 2)
        dataset.NumberOfFrames = int(dataset.NumberOfFrames) + 1


@fault("dso-pixels-short", triggers=("DSO016",), doc="Pixel Data of the object lacks its last frame.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.PixelData = dataset.PixelData[: -(dataset.Rows * dataset.Columns // 16 * 2)]


@fault(
    "dso-bits-reversed",
    triggers=("DSO034",),
    doc="The first pixel of every eight is packed into the highest bit of the byte.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
        dataset.PixelData = np.packbits(bits, bitorder="big").tobytes()


@fault(
    "dso-byte-a-pixel",
    triggers=("DSO016",),
    doc="Pixel Data of the object has a byte a pixel, and Bits Allocated is still 1.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.PixelData = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little").tobytes()


@fault(
    "dso-attributes-missing",
    triggers=("DSO035",),
    doc="The object has no Content Label, no Slice Thickness, and no algorithm's name of its last segment.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        del dataset.ContentLabel
        del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness
        del dataset.SegmentSequence[-1].SegmentAlgorithmName


@fault("dso-overlap-denied", triggers=("DSO036",), doc="The object says that no two of its segments overlap.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.SegmentsOverlap = "NO"


@fault("dso-instance-twice", triggers=("DSO037",), doc="The top-level list names an instance twice.")
def _(site: Site) -> None:
    with site.dso() as dso:
        dso.list_instance(dso.frames[0].source)


@fault("dso-uid-of-series", triggers=("DSO038",), doc="SOP Instance UID of the object is that of its series.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SeriesInstanceUID


@fault(
    "dso-segments-out-of-order", triggers=("DSO017",), doc="The first two items of the Segment Sequence are swapped."
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        first, second, *others = dataset.SegmentSequence
        dataset.SegmentSequence = [second, first, *others]


@fault("ct-modality-seg", triggers=("CTS001",), doc="One CT slice says Modality SEG, and is an image all the same.")
def _(site: Site) -> None:
    with site.dicom(site.ct_files[3]) as dataset:
        dataset.Modality = "SEG"


@fault("dso-segment-numbers", triggers=("DSO017",), doc="The last segment's number is three too high.")
def _(site: Site) -> None:
    with site.dso() as dso:
        last = len(dso.segments)
        dso.renumber({last: last + 3})


@fault("dso-segment-zero", triggers=("DSO017",), doc="Segment numbers begin at 0.")
def _(site: Site) -> None:
    with site.dso() as dso:
        dso.renumber({number: number - 1 for number in range(1, len(dso.segments) + 1)})


@fault("dso-segment-undeclared", triggers=("DSO018",), doc="One frame names a segment that is not declared.")
def _(site: Site) -> None:
    with site.dso() as dso:
        frame = dso.frames_of(dso.number("Hepatic"))[0]
        frame.segment = len(dso.segments) + 4
        dso.reindex()


@fault("dso-frame-of-two", triggers=("DSO018",), doc="One frame of the liver names a second segment too.")
def _(site: Site) -> None:
    with site.dso() as dso:
        frame = dso.frames_of(dso.number("Liver"))[0]
        identification = frame.item.SegmentIdentificationSequence
        other = copy.deepcopy(identification[0])
        other.ReferencedSegmentNumber = dso.number("Hepatic")
        identification.append(other)


@fault("dso-segment-empty", triggers=("DSO019",), doc="The segment Hepatic is declared and has no frame.")
def _(site: Site) -> None:
    with site.dso() as dso:
        number = dso.number("Hepatic")
        dso.frames = [frame for frame in dso.frames if frame.segment != number]
        dso.reindex()


@fault("dso-frame-twice", triggers=("DSO020",), doc="The segment Hepatic has a frame twice.")
def _(site: Site) -> None:
    with site.dso() as dso:
        frame = dso.frames_of(dso.number("Hepatic"))[0]
        dso.frames.append(frame.copy())


@fault("dso-segment-gap", triggers=("DSO021",), doc="The remnant lacks a frame between its first and its last.")
def _(site: Site) -> None:
    with site.dso() as dso:
        frames = dso.frames_of(dso.number("Liver Remnant"))
        if len(frames) < 3:
            raise ValueError(f"fault {site.name}: the remnant of {site.patient} has fewer than three frames")
        dso.frames.remove(frames[len(frames) // 2])
        dso.reindex()


@fault(
    "dso-fractional",
    triggers=("DSO022",),
    doc="The object is FRACTIONAL: a byte a pixel, with a maximum of 1.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        size = dataset.Rows * dataset.Columns * int(dataset.NumberOfFrames)
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), count=size, bitorder="little")
        dataset.SegmentationType = "FRACTIONAL"
        dataset.SegmentationFractionalType = "OCCUPANCY"
        dataset.MaximumFractionalValue = 1
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = bits.tobytes() + b"\0" * (size % 2)


@fault(
    "dso-label-noise",
    triggers=("DSO022", "DSO042"),
    doc="The object says that it is a label map of 16 bits, and holds an image: hundreds of values in each frame.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        size = dataset.Rows * dataset.Columns * int(dataset.NumberOfFrames)
        dataset.SegmentationType = "LABELMAP"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.PixelData = (np.arange(size) % 1000).astype("<u2").tobytes()


@fault(
    "dso-label-map-gap",
    triggers=("DSO021", "DSO022", "SEG018"),
    doc="The object is a label map whose segments are numbered 2, 4, 6 and so on beside a declared background, and its remnant lacks a slice between others.",
)
def _(site: Site) -> None:
    from pydicom.uid import UID

    from crlm_qc.synthetic.faults._dso import Segmentation

    with site.dicom(site.dso_file) as dataset:
        dso = Segmentation(dataset)
        remnant = dso.number("Liver Remnant")
        lost = dso.frames_of(remnant)[1].source
        first = {frame.source: frame for frame in reversed(dso.frames)}
        labels = {source: np.zeros(frame.mask.shape, np.uint8) for source, frame in first.items()}
        for frame in dso.frames:
            if (frame.segment, frame.source) != (remnant, lost):
                labels[frame.source][frame.mask] = 2 * frame.segment
        for frame in first.values():
            del frame.item.SegmentIdentificationSequence
            frame.index = frame.index[1:]
        dataset.DimensionIndexSequence = dataset.DimensionIndexSequence[1:]
        dataset.PerFrameFunctionalGroupsSequence = [frame.item for frame in first.values()]
        dataset.NumberOfFrames = len(first)
        content = b"".join(labels[source].tobytes() for source in first)
        dataset.PixelData = content + b"\0" * (len(content) % 2)
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.SegmentationType = "LABELMAP"
        dataset.add_new("PixelPaddingValue", "US", 0)
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(_LABEL_MAP)
        background = copy.deepcopy(dso.segment("Liver"))
        for segment in dso.segments:
            segment.SegmentNumber = 2 * segment.SegmentNumber
        code = background.SegmentedPropertyTypeCodeSequence[0]
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "125040", "DCM", "Background"
        background.SegmentNumber, background.SegmentLabel = 0, "Background"
        dataset.SegmentSequence = [background, *dso.segments]
    with site.row("dso") as row:
        row["SOP Class UID"], row["SOP Class Name"] = _LABEL_MAP, "Label Map Segmentation Storage"


_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


@fault("dso-dimension-index", triggers=("DSO023",), doc="Two frames of the liver have each other's dimension indices.")
def _(site: Site) -> None:
    with site.dso() as dso:
        frames = dso.frames_of(dso.number("Liver"))
        frames[0].index, frames[1].index = frames[1].index, frames[0].index


@fault(
    "dso-dimension-index-missing",
    triggers=("DSO023",),
    doc="No frame has Dimension Index Values, though the object declares dimensions.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.FrameContentSequence[0].DimensionIndexValues


@fault("dso-label-unknown", triggers=("DSO024",), doc="The segment Liver Remnant is labelled Remainder.")
def _(site: Site) -> None:
    with site.dso() as dso:
        dso.segment("Liver Remnant").SegmentLabel = "Remainder"


@fault("dso-no-liver", triggers=("DSO025",), doc="The object has no segment Liver.")
def _(site: Site) -> None:
    with site.dso() as dso:
        dso.remove_segment(dso.number("Liver"))


@fault("dso-no-tumour", triggers=("DSO025",), doc="The object has no tumour segment.")
def _(site: Site) -> None:
    with site.dso() as dso:
        for number in reversed(dso.tumours):
            dso.remove_segment(number)
    site.forget_tumours()


@fault("dso-tumour-numbering", triggers=("DSO026",), doc="The last tumour is labelled with a number one too high.")
def _(site: Site) -> None:
    with site.dso() as dso:
        _last_tumour(dso).SegmentLabel = f"Tumor_{len(dso.tumours) + 1}"


@fault("dso-label-twice", triggers=("DSO026",), doc="The segments Hepatic and Portal are both labelled Portal.")
def _(site: Site) -> None:
    with site.dso() as dso:
        dso.segment("Hepatic").SegmentLabel = "Portal"


@fault("dso-type-contradicts", triggers=("DSO027",), doc="The last tumour's property type is that of the liver.")
def _(site: Site) -> None:
    with site.dso() as dso:
        liver = dso.segment("Liver")
        _last_tumour(dso).SegmentedPropertyTypeCodeSequence = copy.deepcopy(liver.SegmentedPropertyTypeCodeSequence)


@fault("dso-type-missing", triggers=("DSO027",), doc="The last tumour has no property type.")
def _(site: Site) -> None:
    with site.dso() as dso:
        del _last_tumour(dso).SegmentedPropertyTypeCodeSequence


def _last_tumour(dso: Segmentation) -> Dataset:
    last = dso.tumours[-1]
    return next(item for item in dso.segments if int(item.SegmentNumber) == last)


@fault("dso-retired-codes", triggers=("DSO028",), doc="The liver's property type is coded in the retired scheme SRT.")
def _(site: Site) -> None:
    with site.dso() as dso:
        code = dso.segment("Liver").SegmentedPropertyTypeCodeSequence[0]
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-62000", "SRT", "Liver"


@fault("dso-sex", triggers=("DSO029",), doc="PatientSex of the object is not the CT's.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.PatientSex = "F" if dataset.PatientSex == "M" else "M"


@fault("dso-frame-empty", triggers=("DSO030",), doc="The lowest frame of the segment Hepatic holds no pixel.")
def _(site: Site) -> None:
    with site.dso() as dso:
        frame = dso.frames_of(dso.number("Hepatic"))[0]
        frame.mask = np.zeros_like(frame.mask)


_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


@fault(
    "dso-reference-class",
    triggers=("DSO033",),
    doc="The top-level list and all frames call the CT slices MR images.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        for item in _image_references(dataset):
            item.ReferencedSOPClassUID = _MR_IMAGE


@fault(
    "dso-reference-frame",
    triggers=("DSO033",),
    doc="The source images of all frames, of one frame each, are referred to by the frame number 7.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = "7"


def _image_references(dataset: Dataset) -> list[Dataset]:
    """References of the top-level list, and source images of the frames."""
    found = list(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        found += frame.DerivationImageSequence[0].SourceImageSequence
    return found


@fault("dso-bits-unsaid", triggers=("DSO040",), doc="The object does not say how many bits a pixel has.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        del dataset.BitsAllocated


@fault("dso-bits-of-bytes", triggers=("DSO041",), doc="The object says that of one bit a pixel eight are stored.")
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.BitsStored, dataset.HighBit = 8, 7
