"""Faults of the de-identification (DID). Every name and number is made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site

if TYPE_CHECKING:
    from pydicom import Dataset


def _setting(**values: Any) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


@fault("patient-name", triggers=("DID001",), doc="PatientName of the patient's files is a name.")
def _(site: Site) -> None:
    site.each_file(_setting(PatientName="ROE^RICHARD"))


@fault("birth-date", triggers=("DID002",), doc="PatientBirthDate of the CT files has a value.")
def _(site: Site) -> None:
    site.each_ct(_setting(PatientBirthDate="19370204"))


@fault("identity-not-removed", triggers=("DID003",), doc="PatientIdentityRemoved of the CT files is NO.")
def _(site: Site) -> None:
    site.each_ct(_setting(PatientIdentityRemoved="NO"))


@fault(
    "deidentification-method-missing", triggers=("DID004",), doc="The CT files have no de-identification method codes."
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        del dataset.DeidentificationMethodCodeSequence

    site.each_ct(change)


@fault(
    "dates-not-declared-modified", triggers=("DID005",), doc="LongitudinalTemporalInformationModified is UNMODIFIED."
)
def _(site: Site) -> None:
    site.each_ct(_setting(LongitudinalTemporalInformationModified="UNMODIFIED"))


@fault("private-attribute", triggers=("DID006",), doc="The CT files hold a private attribute of another creator.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.private_block(0x0041, "EXAMPLE ARCHIVE 1.0", create=True).add_new(0x01, "LO", "A17")

    site.each_ct(change)


@fault("burned-in", triggers=("DID007",), doc="BurnedInAnnotation of the CT files is YES.")
def _(site: Site) -> None:
    site.each_ct(_setting(BurnedInAnnotation="YES"))


@fault("overlay", triggers=("DID008",), doc="A CT file has an overlay.")
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        size = (dataset.Rows * dataset.Columns + 15) // 16 * 2
        for element, vr, value in (
            (0x0010, "US", dataset.Rows),
            (0x0011, "US", dataset.Columns),
            (0x0040, "CS", "G"),
            (0x0050, "SS", [1, 1]),
            (0x0100, "US", 1),
            (0x0102, "US", 0),
            (0x3000, "OW", bytes(size)),
        ):
            dataset.add_new((0x6000, element), vr, value)


@fault(
    "free-text",
    triggers=("DID009",),
    doc="ImageComments of the CT files hold a telephone number and an e-mail address.",
)
def _(site: Site) -> None:
    site.each_ct(_setting(ImageComments="call (212) 555-0142 or r.roe@example.org"))


@fault(
    "note-names-a-person", triggers=("DID009",), doc="A note of the workbook names a person with a telephone number."
)
def _(site: Site) -> None:
    with site.workbook() as book:
        book.set(relevant_notes="seen by Dr. Roe, 212-555-0142")


@fault(
    "another-id-in-an-item",
    triggers=("DID002",),
    doc="An item of the CT files' ReferencedImageSequence holds a PatientID that is not the file's.",
)
def _(site: Site) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    def change(dataset: Dataset) -> None:
        item = Dataset()
        item.PatientID = "8812345"
        dataset.ReferencedImageSequence = Sequence([item])

    site.each_ct(change)


@fault(
    "dicom-outside",
    triggers=("REL007",),
    doc="A copy of a CT image lies beside the collection's folder.",
    scope="release",
)
def _(site: Site) -> None:
    site.write(site.release.root / "1-01.dcm", site.ct_files[0].read_bytes())


@fault("age-over-89", triggers=("DID010",), doc="PatientAge, and the age in the workbook, are 93 years.")
def _(site: Site) -> None:
    site.each_file(_setting(PatientAge="093Y"))
    with site.workbook() as book:
        book.set(age=93)


@fault(
    "dates-not-shifted-together",
    triggers=("DID011",),
    doc="SeriesDate of the CT files lies eight years after StudyDate.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.SeriesDate = str(int(dataset.StudyDate[:4]) + 8) + dataset.StudyDate[4:]

    site.each_ct(change)


@fault("workbook-author", triggers=("DID012",), doc="The workbook's properties name a person.", scope="release")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.book.properties.creator = "Richard Roe"


@fault(
    "uid-of-another-root",
    triggers=("DID013",),
    doc="The Frame of Reference UID of the patient's files has another root.",
)
def _(site: Site) -> None:
    site.each_file(_setting(FrameOfReferenceUID="2.25." + site.digits("frame", 38)))


@fault(
    "study-date-unshifted", triggers=("DID014",), doc="StudyDate is in 2011, in the folder's name and metadata.csv too."
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
            if dataset.get(keyword):
                setattr(dataset, keyword, "20110310")

    site.each_file(change)
    folder = site.ct_folder.parent
    site.rename(folder, "03-10-2011" + folder.name[10:])
    with site.metadata() as table:
        for row in (table.of(site.patient, "ct"), table.of(site.patient, "dso")):
            row["Study Date"] = "03-10-2011"


@fault(
    "acquisition-date-unshifted",
    triggers=("DID014",),
    doc="AcquisitionDate and ContentDate of the CT files are in 2011, StudyDate is not.",
)
def _(site: Site) -> None:
    site.each_ct(_setting(AcquisitionDate="20110310", ContentDate="20110310"))


@fault(
    "acquisition-date-with-dots",
    triggers=("DID014", "REL019"),
    doc="AcquisitionDate and ContentDate of the CT files are in 2011, in the form of ACR-NEMA, with dots.",
)
def _(site: Site) -> None:
    site.each_ct(_setting(AcquisitionDate="2011.03.10", ContentDate="2011.03.10"))


@fault(
    "acquisition-date-unreadable",
    triggers=("DID015",),
    doc="AcquisitionDate of the CT files is 10MAR2011, which no tool that shifts dates can read.",
)
def _(site: Site) -> None:
    site.each_ct(_setting(AcquisitionDate="10MAR2011"))


@fault(
    "comment-names-a-doctor",
    triggers=("DID009",),
    doc="ImageComments of the CT files name a doctor in capital letters, without a point: FOR DR ROE.",
)
def _(site: Site) -> None:
    site.each_ct(_setting(ImageComments="MR LIVER COMPARED, FOR DR ROE"))
