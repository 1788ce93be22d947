"""Faults of metadata.csv (MET)."""

from __future__ import annotations

import re

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site


@fault("column-missing", triggers=("MET001",), doc="The column 3rd Party Analysis is gone.", scope="release")
def _(site: Site) -> None:
    with site.metadata() as table:
        table.columns.remove("3rd Party Analysis")


@fault("column-unknown", triggers=("MET002",), doc="A column Reviewer was added.", scope="release")
def _(site: Site) -> None:
    with site.metadata() as table:
        table.columns.append("Reviewer")
        for row in table.rows:
            row["Reviewer"] = ""


@fault("row-study-uid-invalid", triggers=("MET003",), doc="Study UID of the patient's rows is no valid UID.")
def _(site: Site) -> None:
    with site.metadata() as table:
        for row in (table.of(site.patient, "ct"), table.of(site.patient, "dso")):
            row["Study UID"] += "x"


@fault("row-twice", triggers=("MET004",), doc="The patient's CT row stands there twice.")
def _(site: Site) -> None:
    with site.metadata() as table:
        row = table.of(site.patient, "ct")
        table.rows.insert(table.rows.index(row) + 1, dict(row))


@fault("row-collection", triggers=("MET005",), doc="A row names another collection.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["Collection"] = "HCC-TACE-Seg"


@fault(
    "row-subject-malformed",
    triggers=("MET006",),
    doc="Subject ID of the patient's rows lacks its dashes, so that metadata.csv does not know the patient.",
)
def _(site: Site) -> None:
    with site.metadata() as table:
        for row in (table.of(site.patient, "ct"), table.of(site.patient, "dso")):
            row["Subject ID"] = row["Subject ID"].replace("-", "")


@fault("row-modality", triggers=("MET007",), doc="A CT row has the Modality PT.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["Modality"] = "PT"


@fault("row-sop-class-name", triggers=("MET008",), doc="A CT row has the SOP Class Name of MR images.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["SOP Class Name"] = "MR Image Storage"


@fault("row-images-unreadable", triggers=("MET009",), doc="Number of Images of a CT row is no number.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["Number of Images"] = "forty"


@fault("row-seg-images", triggers=("MET009",), doc="Number of Images of a SEG row is 2.")
def _(site: Site) -> None:
    with site.row("dso") as row:
        row["Number of Images"] = "2"


@fault("row-size-unreadable", triggers=("MET010",), doc="File Size of a row is no size.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["File Size"] = "large"


@fault("row-location-missing", triggers=("MET011",), doc="File Location of a row leads to no folder.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["File Location"] += "0"


@fault("row-location-outside", triggers=("MET011",), doc="File Location of a row leads outside of the release.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["File Location"] = "../../../../../../tmp"


@fault(
    "row-study-uids-differ",
    triggers=("MET012", "MET018"),
    doc="The SEG row has another Study UID than the CT row and the files.",
)
def _(site: Site) -> None:
    with site.row("dso") as row:
        row["Study UID"] = site.new_uid(row["Study UID"])


@fault("row-date-form", triggers=("MET013",), doc="Study Date of the patient's rows is written YYYY-MM-DD.")
def _(site: Site) -> None:
    with site.metadata() as table:
        for row in (table.of(site.patient, "ct"), table.of(site.patient, "dso")):
            month, day, year = row["Study Date"].split("-")
            row["Study Date"] = f"{year}-{month}-{day}"


@fault(
    "row-removed",
    triggers=("MET014", "MET015"),
    doc="The SEG row is gone from metadata.csv and its line from the manifest; the object is still on disk.",
)
def _(site: Site) -> None:
    with site.metadata() as table:
        row = table.of(site.patient, "dso")
        table.rows.remove(row)
    with site.manifest() as lines:
        lines.remove(row["Series UID"])


@fault(
    "row-lost",
    triggers=("MET014", "MET015", "MAN004"),
    doc="The SEG row is gone from metadata.csv; the object is still on disk and in the manifest.",
)
def _(site: Site) -> None:
    with site.metadata() as table:
        table.rows.remove(table.of(site.patient, "dso"))


@fault(
    "row-without-files",
    triggers=("MET014", "MET016"),
    doc="metadata.csv and the manifest list a second SEG series that is not on disk.",
)
def _(site: Site) -> None:
    with site.metadata() as table:
        row = table.of(site.patient, "dso")
        new = site.new_uid(row["Series UID"])
        table.rows.insert(table.rows.index(row) + 1, {**row, "Series UID": new})
    with site.manifest() as lines:
        lines.insert(lines.index(row["Series UID"]) + 1, new)


@fault("row-images-off", triggers=("MET017",), doc="Number of Images of a CT row is one more than there are files.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["Number of Images"] = str(int(row["Number of Images"]) + 1)


@fault("row-manufacturer", triggers=("MET018",), doc="A CT row names another manufacturer than the files.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["Manufacturer"] = "SIEMENS" if row["Manufacturer"] != "SIEMENS" else "GE MEDICAL SYSTEMS"


@fault("row-size-off", triggers=("MET019",), doc="File Size of a CT row is twice the bytes on disk.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        number, unit = row["File Size"].split()
        row["File Size"] = f"{2 * float(number):.2f} {unit}"


@fault("csv-ragged", triggers=("MET023",), doc="A row of metadata.csv has one field too many.", scope="release")
def _(site: Site) -> None:
    path = site.release.metadata
    lines = path.read_bytes().splitlines(keepends=True)
    content = lines[2].rstrip(b"\r\n")
    lines[2] = content + b",x" + lines[2][len(content) :]
    site.write(path, b"".join(lines))


@fault("csv-encoding", triggers=("MET020",), doc="metadata.csv is not UTF-8.", scope="release")
def _(site: Site) -> None:
    path = site.release.metadata
    site.write(path, path.read_bytes().replace(b"Segmentation,", b"Segmentaci\xf3n,", 1))


@fault("csv-delimiter", triggers=("MET020",), doc="metadata.csv is delimited by semicolons.", scope="release")
def _(site: Site) -> None:
    path = site.release.metadata
    site.write(path, path.read_bytes().replace(b",", b";"))


@fault("csv-heading-again", triggers=("MET022",), doc="The heading of metadata.csv stands again after its first row.")
def _(site: Site) -> None:
    with site.metadata() as table:
        table.rows.insert(1, dict(zip(table.columns, table.columns, strict=True)))


@fault(
    "csv-decimal-comma",
    triggers=("MET023",),
    doc="File Size of every row has a decimal comma, which no quotes enclose.",
    scope="release",
)
def _(site: Site) -> None:
    path = site.release.metadata
    site.write(path, re.sub(rb",([0-9]+)[.]([0-9]+ [KMG]?B),", rb",\1,\2,", path.read_bytes()))


@fault("csv-separator-line", triggers=("MET024",), doc="A line `sep=,` stands before the heading.", scope="release")
def _(site: Site) -> None:
    path = site.release.metadata
    site.write(path, b"sep=,\r\n" + path.read_bytes())


@fault("row-subject-no-break-space", triggers=("MET025",), doc="Subject ID of a CT row ends in a no-break space.")
def _(site: Site) -> None:
    with site.row("ct") as row:
        row["Subject ID"] += "\u00a0"


@fault(
    "csv-of-the-archives-services",
    triggers=("MET026",),
    doc="metadata.csv is the list of series that the archive's services give: other headings and dates, no File Location.",
    scope="release",
)
def _(site: Site) -> None:
    names = {
        "Series UID": "SeriesInstanceUID",
        "Study UID": "StudyInstanceUID",
        "Subject ID": "PatientID",
        "Collection": "Collection",
        "Modality": "Modality",
        "Study Date": "StudyDate",
        "Number of Images": "ImageCount",
    }
    with site.metadata() as table:
        for row in table.rows:
            month, day, year = row["Study Date"].split("-")
            row |= {names[old]: value for old, value in row.items() if old in names}
            row["StudyDate"] = f"{year}-{month}-{day}"
        table.columns = list(names.values())


@fault(
    "downloads-disagree",
    triggers=("MET021", "REL021"),
    doc="A second download brought another patient, and says of a series of the first that it is of another maker.",
    scope="release",
)
def _(site: Site) -> None:
    with site.metadata() as table:
        row = dict(table.of(site.other, "ct"))
    row["Manufacturer"] = "SIEMENS"
    site.second_download(row)
