"""Faults between the sources (XRF)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.faults._workbook import MISSING

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
    from pydicom.uid import UID

MANY = 20
"""Patients that XRF004 needs to tell chance from agreement."""


@fault("patient-not-in-workbook", triggers=("XRF001",), doc="The workbook has no row of the patient.")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.sheet.delete_rows(book.rows[site.patient])


@fault("sex-differs", triggers=("XRF002",), doc="Sex in the workbook is not PatientSex of the images.")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.set(sex=3 - int(book.get("sex")))


@fault("age-differs", triggers=("XRF003",), doc="Age in the workbook is ten years off PatientAge of the images.")
def _(site: Site) -> None:
    with site.workbook() as book:
        age = int(book.get("age"))
        book.set(age=age + 10 if age < 60 else age - 10)


@fault(
    "workbook-shuffled",
    triggers=("XRF002", "XRF003", "XRF004"),
    doc="Age and sex of the workbook stand in other patients' rows.",
    scope="release",
    patients=MANY,
)
def _(site: Site) -> None:
    with site.workbook() as book:
        patients = list(book.rows)
        order = np.random.default_rng(int(site.digits("order", 12))).permutation(len(patients))
        values = {(column, name): book.cell(column, name).value for column in ("age", "sex") for name in patients}
        for column in ("age", "sex"):
            for name, place in zip(patients, order, strict=True):
                book.cell(column, name).value = values[column, patients[place]]


@fault(
    "metastases-contradict",
    triggers=("XRF005",),
    doc="multiple_metastases is 0 in a patient with two or more tumour segments, or 1 in a patient with one.",
    edition="april-2023",
)
def _(site: Site) -> None:
    labels = [item.SegmentLabel for item in site.header(site.dso_file).SegmentSequence]
    several = sum(label.startswith("Tumor") for label in labels) > 1
    with site.workbook() as book:
        if book.get("multiple_metastases") != int(not several):
            book.set(multiple_metastases=int(not several))
            # The score counts it, so it follows.
            if (score := book.get("clinrisk_score")) != MISSING:
                score += -1 if several else 1
                book.set(clinrisk_score=score, clinrisk_stratified=int(score >= 3))


@fault(
    "tumour-size-contradicts",
    triggers=("XRF006",),
    doc="max_tumor_size is more than half off the largest tumour segment's diameter.",
    edition="april-2023",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        size = float(book.get("max_tumor_size"))
        # On the same side of 5 cm, so that the clinical risk score still holds.
        book.set(max_tumor_size=round(size / 4, 2) if size <= 5 else min(4 * size, 30.0))


@fault("note-says-prone", triggers=("XRF007",), doc="A note says that the patient lay prone; the CT says supine.")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.set(relevant_notes="This patient was scanned on their stomach.")


@fault(
    "patient-dropped",
    triggers=("XRF008", "PUB001", "PUB002"),
    doc="A patient amid the others' numbers is gone from the disk and from every list.",
    patients=3,
)
def _(site: Site) -> None:
    if site.patient in (site.release.patients[0], site.release.patients[-1]):
        raise ValueError(f"fault {site.name}: {site.patient} is the first or last patient, so no gap would show")
    gone = {str(site.header(path).SeriesInstanceUID) for path in (site.ct_files[0], site.dso_file)}
    site.remove(site.release.collection / site.patient)
    with site.metadata() as table:
        table.rows = [row for row in table.rows if row["Subject ID"] != site.patient]
    with site.manifest() as lines:
        lines[:] = [line for line in lines if line not in gone]
    with site.workbook() as book:
        book.sheet.delete_rows(book.rows[site.patient])


_OWN = (
    *("PatientID", "PatientName", "PatientSex", "PatientAge", "StudyInstanceUID", "StudyDescription", "StudyID"),
    *(f"{name}Date" for name in ("Study", "Series", "Acquisition", "Content", "InstanceCreation")),
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "FrameOfReferenceUID", "Manufacturer"),
    "ManufacturerModelName",
)
"""What names a patient, a study and a series."""


def _rename(dataset: Dataset, like: Dataset, uids: dict[str, UID]) -> None:
    """Give an instance the names of another one, and its references the new names of what they refer to."""
    for keyword in _OWN:
        if keyword in like:
            dataset[keyword] = like[keyword]
        elif keyword in dataset:
            del dataset[keyword]

    def refer(_: Dataset, element: DataElement) -> None:
        if element.VR == "UI" and element.keyword.startswith("Referenced"):
            element.value = uids.get(str(element.value), element.value)

    dataset.walk(refer)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uids[str(dataset.SOPInstanceUID)]


@fault(
    "scan-of-other",
    triggers=("XRF009",),
    doc="CT and segmentation are those of another patient, under the patient's own name and under new UIDs.",
    patients=2,
)
def _(site: Site) -> None:
    header, mask = site.header(site.ct_files[0]), site.header(site.dso_file)
    theirs, drawn = site.release.ct_files(site.other), site.release.dso_file(site.other)
    names = [site.ct_folder / path.name for path in theirs]
    uids = {
        str(uid): site.new_uid(uid, str(uid)) for uid in (site.header(path).SOPInstanceUID for path in (*theirs, drawn))
    }
    for path in site.ct_files:
        site.remove(path)
    for source, target, like in (
        *((one, name, header) for one, name in zip(theirs, names, strict=True)),
        (drawn, site.dso_file, mask),
    ):
        site.copy(source, target)
        with site.dicom(target) as dataset:
            _rename(dataset, like, uids)
            if "ReferencedSeriesSequence" in dataset:
                dataset.ReferencedSeriesSequence[0].SeriesInstanceUID = header.SeriesInstanceUID
    with site.row("ct") as row:
        row["Number of Images"] = str(len(theirs))
    site.forget_tumours()


@fault(
    "slice-of-other",
    triggers=("XRF009",),
    doc="One CT slice beyond the segments holds the pixels of another patient's, with another sign, slope and intercept.",
    patients=2,
)
def _(site: Site) -> None:
    theirs = site.open(site.release.ct_files(site.other)[0])
    kind = "<i2" if theirs.PixelRepresentation else "<u2"
    hu = np.frombuffer(theirs.PixelData, kind) * float(theirs.RescaleSlope) + float(theirs.RescaleIntercept)
    with site.dicom(site.edge().slice.path) as dataset:
        stored = (hu - float(dataset.RescaleIntercept)) / float(dataset.RescaleSlope)
        dataset.PixelData = stored.astype("<i2" if dataset.PixelRepresentation else "<u2").tobytes()


@fault(
    "masks-of-other",
    triggers=("XRF010",),
    doc="The segmentation object holds the masks of another patient, laid on the patient's own CT slices.",
    patients=2,
)
def _(site: Site) -> None:
    from crlm_qc.synthetic.faults._dso import Segmentation

    other = Site(site.release, site.other, site.name)
    masks, stack, theirs = Segmentation(site.open(other.dso_file)), site.stack(), other.stack()
    with site.dso() as dso:
        dso.dataset.SegmentSequence = masks.segments
        dso.frames = [frame for frame in dso.frames if frame.segment <= len(masks.segments)]
        for item in masks.segments:
            volume = masks.volume(int(item.SegmentNumber), theirs)
            own = np.zeros((len(stack), *volume.shape[1:]), dtype=bool)
            room = (len(stack) - len(theirs)) // 2
            own[max(room, 0) : max(room, 0) + len(theirs)] = volume[max(-room, 0) : max(-room, 0) + len(stack)]
            dso.set_volume(int(item.SegmentNumber), own, stack)
    site.forget_tumours()
