"""Faults of the CT series (CTS): its stack, its slices, and what they have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.faults._slices import Slice, decimal, moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from pydicom import Dataset

    Vector = npt.NDArray[np.float64]
    Place = Callable[[Vector], Vector]


def _texts(values: Sequence[float] | Vector) -> list[str]:
    return [decimal(float(value)) for value in values]


def _move_patient(site: Site, place: Place, turn: Place | None = None) -> None:
    """Move every slice and every frame by `place`, and turn both directions of the rows and columns by `turn`."""

    def direction(plane: Dataset) -> None:
        if turn:
            old = np.array(plane.ImageOrientationPatient, dtype=float)
            plane.ImageOrientationPatient = _texts([*turn(old[:3]), *turn(old[3:])])

    def change(dataset: Dataset) -> None:
        dataset.ImagePositionPatient = _texts(place(np.array(dataset.ImagePositionPatient, dtype=float)))
        direction(dataset)

    site.each_ct(change)
    with site.dso() as dso:
        for frame in dso.frames:
            frame.position = _texts(place(np.array(frame.position)))
        direction(dso.dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0])


def _centre(site: Site) -> Vector:
    positions = np.array([item.position for item in site.stack()])
    centre: Vector = positions.sum(axis=0) / len(positions)
    return centre


@fault("ct-modality", triggers=("CTS001",), doc="The CT files say Modality MR.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.Modality = "MR"

    site.each_ct(change)


@fault(
    "ct-frame-of-reference-differs",
    triggers=("CTS002",),
    doc="One CT file beyond the segments has another Frame of Reference UID.",
)
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        dataset.FrameOfReferenceUID = site.new_uid(dataset.FrameOfReferenceUID)


@fault("ct-spacing-differs", triggers=("CTS003",), doc="One CT file beyond the segments has another Pixel Spacing.")
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        dataset.PixelSpacing = _texts([float(value) * 1.01 for value in dataset.PixelSpacing])


@fault(
    "ct-cropped",
    triggers=("CTS004",),
    doc="CT and segmentation lack their last four rows and columns.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        pixels = np.frombuffer(dataset.PixelData, dtype="<i2")[: dataset.Rows * dataset.Columns]
        dataset.PixelData = pixels.reshape(dataset.Rows, dataset.Columns)[:-4, :-4].tobytes()
        dataset.Rows -= 4
        dataset.Columns -= 4

    site.each_ct(change)
    with site.dso() as dso:
        for frame in dso.frames:
            frame.mask = frame.mask[:-4, :-4]


@fault(
    "ct-orientation-skewed",
    triggers=("CTS005",),
    doc="Rows and columns of CT and segmentation are not orthogonal, by half a degree.",
)
def _(site: Site) -> None:
    def skew(plane: Dataset) -> None:
        old = np.array(plane.ImageOrientationPatient, dtype=float)
        angle = math.radians(0.5)
        plane.ImageOrientationPatient = _texts([*(math.cos(angle) * old[:3] + math.sin(angle) * old[3:]), *old[3:]])

    site.each_ct(skew)
    with site.dso() as dso:
        skew(dso.dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0])


@fault(
    "ct-tilted",
    triggers=("CTS006",),
    doc="CT and segmentation are tilted together by 12 degrees about the patient's left-right axis.",
)
def _(site: Site) -> None:
    angle, centre = math.radians(12), _centre(site)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    _move_patient(site, lambda point: turn @ (point - centre) + centre, lambda vector: turn @ vector)


@fault("ct-position-twice", triggers=("CTS007",), doc="The outermost CT slice has the position of its neighbour.")
def _(site: Site) -> None:
    _shift_edge(site, -1.0)


@fault(
    "ct-gap",
    triggers=("CTS009",),
    doc="The outermost CT slice lies two spacings from its neighbour, and no InstanceNumber is left out between them.",
)
def _(site: Site) -> None:
    _shift_edge(site, 1.0)


@fault("ct-spacing-uneven", triggers=("CTS009",), doc="The outermost CT slice lies 1.37 spacings from its neighbour.")
def _(site: Site) -> None:
    _shift_edge(site, 0.37)


def _shift_edge(site: Site, factor: float) -> None:
    edge = site.edge()
    with site.dicom(edge.slice.path) as dataset:
        dataset.ImagePositionPatient = moved(edge.slice.position, edge.step, factor)
        if "SliceLocation" in dataset:
            dataset.SliceLocation = decimal(float(dataset.SliceLocation) + factor * edge.step[2])


@fault(
    "ct-slice-lost",
    triggers=("CTS008", "CTS011", "DSO007", "DSO009", "MET017"),
    doc="A CT file in the middle of the liver is gone; the segmentation and metadata.csv still count on it.",
)
def _(site: Site) -> None:
    stack = site.stack()
    used = site.referenced()
    named = [item for item in stack if item.uid in used]
    site.remove(named[len(named) // 2].path)


@fault(
    "ct-sheared",
    triggers=("CTS010",),
    doc="CT and segmentation are sheared together: each slice lies farther back by 0.05 mm a mm, as with a tilted gantry.",
)
def _(site: Site) -> None:
    centre = _centre(site)
    _move_patient(site, lambda point: point + np.array([0.0, 0.05 * (point[2] - centre[2]), 0.0]))


@fault("ct-instance-number-twice", triggers=("CTS011",), doc="Two CT files have one InstanceNumber.")
def _(site: Site) -> None:
    edge = site.edge()
    with site.dicom(edge.slice.path) as dataset:
        dataset.InstanceNumber = edge.neighbour.number


@fault(
    "ct-instance-order",
    triggers=("CTS011",),
    doc="Two neighbouring CT files have each other's InstanceNumber, against their positions.",
)
def _(site: Site) -> None:
    edge = site.edge()
    for item, number in ((edge.slice, edge.neighbour.number), (edge.neighbour, edge.slice.number)):
        with site.dicom(item.path) as dataset:
            dataset.InstanceNumber = number


@fault("ct-instance-gap", triggers=("CTS011",), doc="InstanceNumber leaves out three numbers (a warning).")
def _(site: Site) -> None:
    edge = site.edge()
    later = [edge.slice] if edge.last else [item for item in site.stack() if item.number > edge.slice.number]
    for item in later:
        with site.dicom(item.path) as dataset:
            dataset.InstanceNumber = item.number + 3


@fault(
    "ct-thickness",
    triggers=("CTS012",),
    doc="SliceThickness of the CT is 6% below the slice spacing.",
)
def _(site: Site) -> None:
    step = float(np.linalg.norm(site.edge().step))

    def change(dataset: Dataset) -> None:
        dataset.SliceThickness = decimal(round(0.94 * step, 4))

    site.each_ct(change)


@fault(
    "ct-field-of-view",
    triggers=("CTS013",),
    doc="CT and segmentation have a field of view of 520 mm, wider than any published, and are as much flatter along z.",
)
def _(site: Site) -> None:
    header = site.header(site.ct_files[0])
    wider = 520 / (int(header.Columns) * float(header.PixelSpacing[1]))
    scale = np.array([wider, wider, wider**-2])

    def measures(item: Dataset) -> None:
        item.PixelSpacing = _texts([float(value) * wider for value in item.PixelSpacing])
        for keyword, factor in (
            ("SliceThickness", wider**-2),
            ("SpacingBetweenSlices", wider**-2),
            ("ReconstructionDiameter", wider),
        ):
            if item.get(keyword) is not None:
                setattr(item, keyword, decimal(float(item[keyword].value) * factor))

    _move_patient(site, lambda point: point * scale)
    site.each_ct(measures)
    with site.dso() as dso:
        measures(dso.dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0])
    site.forget_tumours()


@fault(
    "ct-too-many-slices",
    triggers=("CTS014",),
    doc="Slices like the last one, each shifted by a pixel more, go on below it, to 241: one more than the longest published series.",
)
def _(site: Site) -> None:
    edge, count = site.edge(), len(site.ct_files)
    if not edge.last:
        raise ValueError(f"fault {site.name}: the segments of {site.patient} reach the last slice")
    for more in range(1, 241 - count + 1):
        path = edge.slice.path.with_name(f"1-{count + more:03d}.dcm")
        site.copy(edge.slice.path, path)
        with site.dicom(path) as dataset:
            uid = site.new_uid(dataset.SOPInstanceUID, str(more))
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.InstanceNumber = edge.slice.number + more
            dataset.ImagePositionPatient = moved(edge.slice.position, edge.step, more)
            dataset.PixelData = np.roll(np.frombuffer(dataset.PixelData, "<i2"), more).tobytes()
            dataset.SliceLocation = decimal(float(dataset.SliceLocation) + more * edge.step[2])
    with site.row("ct") as row:
        row["Number of Images"] = "241"


def _second_run(site: Site, taken: Sequence[Slice], shift: Vector, **others: object) -> None:
    """Slices once more a minute later, as of another contrast phase, with other noise, numbered and moved on."""
    noise = np.random.default_rng(len(taken))
    count, last = len(site.ct_files), max(item.number for item in site.stack())
    for more, item in enumerate(taken, start=1):
        path = item.path.with_name(f"1-{count + more:03d}.dcm")
        site.copy(item.path, path)
        with site.dicom(path) as dataset:
            uid = site.new_uid(dataset.SOPInstanceUID, str(more))
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.InstanceNumber = last + more
            dataset.ImagePositionPatient = _texts(np.array(item.position) + shift)
            dataset.SliceLocation = decimal(float(dataset.ImagePositionPatient[2]))
            dataset.AcquisitionTime = f"{int(dataset.AcquisitionTime[:6]) + 10000:06d}"
            for keyword, value in others.items():
                setattr(dataset, keyword, value)
            values = np.frombuffer(dataset.PixelData, "<i2").copy()
            tissue = values > _TISSUE
            values[tissue] += noise.integers(-9, 10, int(tissue.sum()), dtype=np.int16)
            dataset.PixelData = values.tobytes()
    with site.row("ct") as row:
        row["Number of Images"] = str(count + len(taken))


_TISSUE = 900
"""Stored value above which a pixel is tissue, and no air or padding."""


def _numbered(site: Site) -> list[Slice]:
    return sorted(site.stack(), key=lambda item: item.number)


@fault(
    "ct-second-run-behind",
    triggers=("CTS028",),
    doc="The body comes once more behind the last CT slice, acquired an hour later, as of a second contrast phase.",
)
def _(site: Site) -> None:
    taken = _numbered(site)
    step = np.array(taken[1].position) - np.array(taken[0].position)
    _second_run(site, taken, step * len(taken))


@fault(
    "ct-second-run-across",
    triggers=("CTS028",),
    doc="A second run of CT slices lies half a spacing beside the first.",
)
def _(site: Site) -> None:
    taken = _numbered(site)
    _second_run(site, taken, (np.array(taken[1].position) - np.array(taken[0].position)) / 2)


@fault(
    "ct-second-run-acquired",
    triggers=("CTS018",),
    doc="A second run of CT slices, with an AcquisitionNumber of its own, lies at the positions of the first.",
)
def _(site: Site) -> None:
    _second_run(site, _numbered(site), np.zeros(3), AcquisitionNumber=99)


@fault(
    "ct-spacing-changes",
    triggers=("CTS009",),
    doc="From the middle of the CT on, slices and frames lie half as far again from each other.",
)
def _(site: Site) -> None:
    middle = float(_centre(site)[2])
    _move_patient(site, lambda point: point + np.array([0.0, 0.0, 0.5 * min(point[2] - middle, 0.0)]))
    site.forget_tumours()


@fault(
    "ct-slice-of-another",
    triggers=("CTS031",),
    doc="A CT file beyond the segments has another patient's age and another scanner's model.",
)
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        dataset.PatientAge = "031Y" if dataset.PatientAge != "031Y" else "032Y"
        dataset.ManufacturerModelName = "Sensation 16"


@fault(
    "ct-reconstructions-mixed",
    triggers=("CTS032",),
    doc="Half of the CT slices have another kernel and tube voltage, and SliceThickness is half of theirs.",
)
def _(site: Site) -> None:
    stack = site.stack()

    def change(dataset: Dataset) -> None:
        dataset.ConvolutionKernel, dataset.KVP = "LUNG", "100"
        dataset.SliceThickness = decimal(float(dataset.SliceThickness) / 2)

    site.each_ct(change, [item.path for item in stack[len(stack) // 2 :]])


@fault(
    "ct-slice-location",
    triggers=("CTS033",),
    doc="SliceLocation of the CT slices, which many scripts sort by, is in no order.",
)
def _(site: Site) -> None:
    locations = [decimal(item.position[2]) for item in site.stack()]
    for place, path in enumerate(site.ct_files):
        with site.dicom(path) as dataset:
            dataset.SliceLocation = locations[7 * place % len(locations)]


@fault(
    "ct-repeated-lengths",
    triggers=("CTS033",),
    doc="The CT names half of its slice spacing, a tilted gantry, and a reconstruction narrower than its images.",
)
def _(site: Site) -> None:
    step = float(np.linalg.norm(site.edge().step))

    def change(dataset: Dataset) -> None:
        dataset.SpacingBetweenSlices = decimal(step / 2)
        dataset.GantryDetectorTilt = "12.5"
        dataset.ReconstructionDiameter = decimal(float(dataset.ReconstructionDiameter) * 0.9)

    site.each_ct(change)


@fault("ct-localizer", triggers=("CTS029",), doc="A coronal scout view, a LOCALIZER, lies among the CT slices.")
def _(site: Site) -> None:
    edge, count = site.edge(), len(site.ct_files)
    path = edge.slice.path.with_name(f"1-{count + 1:03d}.dcm")
    site.copy(edge.slice.path, path)
    with site.dicom(path) as dataset:
        uid = site.new_uid(dataset.SOPInstanceUID, "localizer")
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
        dataset.InstanceNumber = 1
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2")[::-1].tobytes()
    with site.row("ct") as row:
        row["Number of Images"] = str(count + 1)


@fault(
    "ct-several-frames",
    triggers=("CTS030",),
    doc="The CT series is one CT image of as many frames, which that class does not have.",
)
def _(site: Site) -> None:
    slices = _numbered(site)
    pixels = b"".join(site.open(item.path).PixelData for item in slices)
    for item in slices[1:]:
        site.remove(item.path)
    with site.dicom(slices[0].path) as dataset:
        dataset.NumberOfFrames = len(slices)
        dataset.PixelData = pixels
    with site.row("ct") as row:
        row["Number of Images"] = "1"


@fault("ct-patient-position", triggers=("CTS017",), doc="PatientPosition says prone, the orientation says supine.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PatientPosition = dataset.PatientPosition[:-1] + "P"

    site.each_ct(change)


@fault(
    "ct-acquisitions",
    triggers=("CTS018",),
    doc="The CT slices belong to two acquisitions.",
)
def _(site: Site) -> None:
    stack = site.stack()
    for item in stack[len(stack) // 2 :]:
        with site.dicom(item.path) as dataset:
            dataset.AcquisitionNumber = 2 if dataset.get("AcquisitionNumber") != 2 else 1


@fault("ct-attribute-missing", triggers=("CTS019",), doc="A CT file beyond the segments has no PatientPosition.")
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        del dataset.PatientPosition


@fault(
    "ct-position-malformed",
    triggers=("CTS019",),
    doc="The position of a CT file beyond the segments lies beyond any scanner: 1e308 mm along z.",
)
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        x, y, _ = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [str(x), str(y), "1e308"]


@fault(
    "ct-positions-malformed",
    triggers=("CTS019",),
    doc="Positions of all CT files lie beyond any scanner, at 1e308 and -1e308 mm along z by turns.",
)
def _(site: Site) -> None:
    for place, path in enumerate(site.ct_files):
        with site.dicom(path) as dataset:
            x, y, _ = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [str(x), str(y), "1e308" if place % 2 else "-1e308"]


@fault(
    "ct-spacing-with-comma",
    triggers=("CTS019",),
    doc="A comma parts the two values of Pixel Spacing of all CT files, where a backslash should.",
)
def _(site: Site) -> None:
    from pydicom.dataelem import RawDataElement

    def change(dataset: Dataset) -> None:
        tag, value = dataset["PixelSpacing"].tag, ",".join(map(str, dataset.PixelSpacing)).encode()
        value += b" " * (len(value) % 2)
        dataset[tag] = RawDataElement(tag, "DS", len(value), value, 0, False, True)

    site.each_ct(change)


@fault("ct-pixel-spacing-zero", triggers=("CTS019",), doc="Pixel Spacing of the CT is 0 in both directions.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PixelSpacing = ["0", "0"]

    site.each_ct(change)
