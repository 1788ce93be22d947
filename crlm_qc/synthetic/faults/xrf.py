"""Faults between the sources (XRF)."""

from __future__ import annotations

import numpy as np

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.faults._workbook import MISSING

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
