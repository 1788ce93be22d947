"""A release in which what may identify a person stands wherever text can stand; every one of them is made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from openpyxl.comments import Comment
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.release import SyntheticRelease

MARK = "QZWKVX"
"""What every planted word begins with, and nothing else in the project."""
NUMBERS = ("19370204", "77419035", "212-555-0142", "qzwmail@example.org", "123-45-6789")
"""Planted numbers and addresses, of the forms that identifiers have."""
BARE = {
    "StudyComments": "737-555-0101",
    "RequestedProcedureDescription": "737-55-0102",
    "ReasonForStudy": "02/05/1937",
    "PerformedProcedureStepDescription": "8812 7103",
    "CommentsOnThePerformedProcedureStep": "CT ABD 02/06/1937",
    "AcquisitionFieldOfViewLabel": "88127104",
    "DeviceSerialNumber": "88127105",
    "SeriesNumber": "88127106",
    "InstanceCreationDate": "19370207",
    "AcquisitionDateTime": "19370208101010",
    "ConvolutionKernel": "88127107",
    "IrradiationEventUID": "88127108",
    "PatientAge": "097Y",
}
"""Values of the CT's headers that are nothing but a number, in the third patient; a second copy of some lies elsewhere."""
ELSEWHERE = (
    *("737-555-0111", "88127112", "88127113", "88127114", "737-555-0115", "737-555-0116", "88127117", "737-555-0118"),
    *("737-555-0119", "88127120"),
)
"""Bare numbers of tables, of names of files, of files outside of patient folders and of elements after Pixel Data."""


@dataclass
class Words:
    """Words that stand nowhere else; each remembers where it was planted."""

    places: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def __call__(self, place: str) -> str:
        number = next(self._numbers)
        word = MARK + chr(ord("A") + number // 26) + chr(ord("A") + number % 26)
        self.places[word] = place
        return word

    def found_in(self, text: str) -> list[str]:
        """Where the words were planted that a text holds."""
        upper = text.upper()
        told = [place for word, place in self.places.items() if word in upper]
        told += [f"a word: {upper[upper.index(MARK) :][:20]!r}"] if MARK in upper and not told else []
        numbers = (*NUMBERS, *BARE.values(), *ELSEWHERE)
        # Counts are written with commas.
        forms = {number: (number.upper(), f"{int(number):,}" if number.isdigit() else number) for number in numbers}
        return told + [number for number, written in forms.items() if any(form in upper for form in written)]


def plant_identifiers(release: SyntheticRelease) -> Words:
    """Plant identifiers in the second patient, in the tables, and in the names of files and folders."""
    words = Words()
    site = Site(release, release.patients[1], "identifiers")
    _headers(site, words)
    _object(site, words)
    _table(site, words)
    _sheet(site, words)
    _list(site, words)
    site.settle()
    _numbers(Site(release, release.patients[2], "numbers"))
    _places(site, words)
    _outside(site, words)
    return words


def _numbers(site: Site) -> None:
    """Nothing but numbers, wherever one can stand."""

    def change(dataset: Dataset) -> None:
        for keyword, value in BARE.items():
            _raw(dataset, keyword, value)
        _raw(dataset, "AcquisitionNumber", ELSEWHERE[6])
        dataset.ReferencedImageSequence = Items([_item(PatientID=ELSEWHERE[9])])

    site.each_ct(change)
    file = site.ct_files[3]
    with site.dicom(file) as dataset:
        _raw(dataset, "InstanceNumber", ELSEWHERE[1])
    # Behind Pixel Data, (7FE1,0010) and an element of that creator.
    tail = b"".join(
        b"\xe1\x7f" + element + b"LO" + len(value).to_bytes(2, "little") + value
        for element, value in ((b"\x10\x00", b"ROE ARCHIVE "), (b"\x01\x10", ELSEWHERE[7].encode()))
    )
    site.write(file, file.read_bytes() + tail)
    with site.metadata() as table:
        row = table.of(site.patient, "ct")
        row["Number of Images"], row["Series Description"] = ELSEWHERE[2], ELSEWHERE[0]
    with site.workbook() as book:
        book.cell("NASH_yesno").value = int(ELSEWHERE[3])
        book.cell("relevant_notes").value = ELSEWHERE[4]
        book.cell("age").value = 97
    site.settle()
    (site.ct_folder / f"{ELSEWHERE[5]}.txt").write_text("x")


def _outside(site: Site, words: Words) -> None:
    """DICOM files beside the collection's folder, one of them without an ending."""
    from pydicom import dcmread

    dataset = dcmread(Site(site.release, site.release.patients[3], "outside").ct_files[0])
    dataset.PatientName, dataset.PatientID = f"{words('a DICOM file outside')}^R", ELSEWHERE[8]
    dataset.PatientComments = words("a comment outside")
    (site.release.root / "extra").mkdir()
    dataset.save_as(site.release.root / "extra" / words("the name of a DICOM file outside"))
    dataset.save_as(site.release.root / "1-01.dcm")


TEXTS = {
    "PatientName": "{}^RICHARD",
    "OtherPatientIDs": "{}",
    "OtherPatientNames": "{}^ANNA",
    "AccessionNumber": "{}",
    "PatientAddress": "{} Street 1",
    "PatientComments": "call {}, 212-555-0142",
    "ImageComments": "qzwmail@example.org of {}",
    "AdditionalPatientHistory": "123-45-6789 {}",
    "ReferringPhysicianName": "{}^DOCTOR",
    "OperatorsName": "{}",
    "InstitutionName": "{} Hospital",
    "StationName": "{}",
    "StudyDescription": "CT of {}",
    "SeriesDescription": "{} 5mm",
    "StudyID": "{}",
    "ProtocolName": "{}",
    "ContrastBolusAgent": "{}",
    "Manufacturer": "{} Medical",
    "ManufacturerModelName": "{} 16",
    "BodyPartExamined": "{}",
    "ImageType": "{}",
    "RetrieveAETitle": "{}",
    "AcquisitionComments": "{}",
    "AcquisitionProtocolDescription": "{}",
    "RescaleType": "{}",
    "PatientSex": "{}",
    "PatientAge": "{}",
    "PatientPosition": "{}",
    "FrameOfReferenceUID": "{}",
    "DeviceUID": "{}",
    "AcquisitionNumber": "{}",
    "TableHeight": "{}",
    "PatientIdentityRemoved": "{}",
    "BurnedInAnnotation": "{}",
    "LongitudinalTemporalInformationModified": "{}",
    "DeidentificationMethod": "{}",
    "ContentTime": "{}",
}
"""A value of each VR that holds text, and more than one of the common ones."""


def _raw(dataset: Dataset, keyword: str, value: str) -> None:
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    tag = Tag(tag_for_keyword(keyword) or 0)
    content = value.encode()
    content += b" " * (len(content) % 2)
    dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(content), content, 0, False, True)


def _item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _headers(site: Site, words: Words) -> None:
    texts = {keyword: form.format(words(keyword)) for keyword, form in TEXTS.items()}
    nested, deep, method = words("nested LO"), words("deep PN"), words("a de-identification code")
    creator, private, unknown, inner = (words(f"private {what}") for what in ("creator", "LO", "UN", "nested"))
    trailing, preamble = words("bytes after the data set"), words("the preamble")

    def change(dataset: Any) -> None:
        for keyword, text in texts.items():
            _raw(dataset, keyword, text)
        _raw(dataset, "PatientBirthDate", "19370204")
        _raw(dataset, "PatientID", "77419035")
        person = _item(PersonName=f"{deep}^R", PersonAddress=deep)
        dataset.RequestAttributesSequence = Items(
            [_item(RequestedProcedureDescription=nested, RequestedProcedureCodeSequence=Items([person]))]
        )
        dataset.DeidentificationMethodCodeSequence.append(
            _item(CodeValue=method, CodingSchemeDesignator=method, CodeMeaning=method)
        )
        block = dataset.private_block(0x0041, creator, create=True)
        block.add_new(0x01, "LO", f"{private} MRN 77419035")
        block.add_new(0x02, "UN", unknown.encode())
        block.add_new(0x03, "SQ", Items([_item(PatientComments=f"Dr. {inner}")]))
        dataset.preamble = preamble.encode().ljust(128, b"\0")

    site.each_ct(change)
    last = site.ct_files[-1]
    site.write(last, last.read_bytes() + f"{trailing}{'.' * 16}".encode())


def _object(site: Site, words: Words) -> None:
    label, description, meaning, code, algorithm, creator = (
        words(f"SEG {what}") for what in ("label", "description", "meaning", "code", "algorithm", "creator")
    )
    kind = words("SegmentationType")
    with site.dicom(site.dso_file) as dataset:
        segment = dataset.SegmentSequence[-1]
        segment.SegmentLabel, segment.SegmentDescription = label, description
        segment.SegmentAlgorithmName = algorithm
        segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = meaning
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = code
        dataset.ContentCreatorName = f"{creator}^R"
        dataset.SegmentationType = kind
        dataset.SeriesDescription = words("SEG SeriesDescription")
        dataset.PatientName = words("SEG PatientName") + "^R"


def _table(site: Site, words: Words) -> None:
    with site.metadata() as table:
        row, other = table.of(site.patient, "ct"), table.of(site.patient, "dso")
        for column in table.columns:
            if column not in ("Series UID", "Study UID", "File Location", "Modality"):
                row[column] = words(f"metadata.csv {column}")
        other["Subject ID"], other["Study Date"] = "77419035", "19370204"
        other["Series UID"] = words("metadata.csv Series UID")
        other["File Location"] = f"./{words('metadata.csv File Location')}/x"
        heading = words("metadata.csv heading")
        table.columns.append(heading)
        for one in table.rows:
            one[heading] = words("metadata.csv cell of another column") if one is row else ""


def _sheet(site: Site, words: Words) -> None:
    with site.workbook() as book:
        book.cell("relevant_notes").value = f"Dr. {words('workbook note')} 212-555-0142"
        for column in ("age", "sex", "vital_status", "overall_survival_months", "fibrosis_percent"):
            book.cell(column).value = words(f"workbook {column}")
        book.cell("steatosis_yesno").value = f'="{words("workbook formula")}"'
        book.cell("mucin_percent").number_format = f'0 "{words("workbook format")}"'
        book.cell("NASH_score").comment = Comment(words("workbook comment"), words("workbook comment's author"))
        book.cell("Patient-ID", site.other).value = words("workbook Patient-ID")
        book.sheet.cell(1, book.sheet.max_column + 1).value = words("workbook heading")
        book.dictionary.cell(2, 1).value = words("dictionary variable")
        book.dictionary.cell(3, 2).value = words("dictionary description")
        book.dictionary.cell(4, 3).value = words("dictionary values")
        hidden = book.book.create_sheet(words("workbook sheet")[:31])
        hidden.sheet_state = "hidden"
        hidden["A1"] = words("hidden sheet")
        properties = book.book.properties
        properties.creator, properties.lastModifiedBy = words("workbook creator"), words("workbook editor")
        properties.title, properties.description = words("workbook title"), words("workbook description")


def _list(site: Site, words: Words) -> None:
    with site.manifest() as lines:
        lines.insert(0, f"{words('manifest key')}={words('manifest value')}")
        lines.append(words("manifest entry"))


def _places(site: Site, words: Words) -> None:
    release = site.release
    folder = site.ct_folder
    (folder / f"{words('a stray file')}.txt").write_text(words("a stray file's content"))
    (folder / f"{words('a broken file')}.dcm").write_bytes(words("a broken file's content").encode() * 40)
    cut = site.ct_files[1].read_bytes()
    (folder / f"{words('a cut file')}.dcm").write_bytes(cut[:600])
    (folder / f"{words('a file without an end')}").write_bytes(cut[:-99])
    (folder / f"{words('an empty file')}.dcm").write_bytes(b"")
    (folder / f"{words('a link')}.dcm").symlink_to("/nowhere/" + words("a link's target"))
    (release.root / f"{words('a document')}.pdf").write_bytes(words("a document's content").encode())
    (release.collection / f"{words('a patient folder')} RICHARD").mkdir()
    (release.collection / f"{words('a patient folder with a file')}").mkdir()
    study = folder.parent.with_name(folder.parent.name[:11] + f"NA-{words('a study folder')}-12345")
    folder.parent.rename(study)
    series = study / folder.name
    series.rename(study / f"2.000000-{words('a series folder')}-54321")
    release.workbook.rename(release.workbook.with_name(f"Clinical data {words('the name of the workbook')}.xlsx"))
    release.manifest.rename(release.manifest.with_name(f"{words('the name of the manifest')}.tcia"))


def plant_faults(release: SyntheticRelease) -> None:
    """Faults of other patients, so that there is more to report."""
    plant(release, f"patient-name:{release.patients[2]}")
