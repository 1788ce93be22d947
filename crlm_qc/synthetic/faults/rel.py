"""Faults of the release on disk (REL)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian

from crlm_qc.collection.forms import SeriesFolder, uid_tail
from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site, size_text

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset


@fault(
    "images-not-there",
    triggers=("REL020",),
    doc="The tables are there, and no patient's folder is.",
    scope="release",
)
def _(site: Site) -> None:
    for folder in sorted({path.parent for path in site.release.root.rglob("*.dcm")}):
        site.remove(folder)


@fault(
    "downloaded-in-two-parts",
    triggers=("REL021",),
    doc="A patient came down in a second download, which has a folder and a metadata.csv of its own.",
    scope="release",
)
def _(site: Site) -> None:
    site.second_download()


@fault(
    "metadata-missing",
    triggers=("REL001",),
    doc="metadata.csv is not there.",
    scope="release",
)
def _(site: Site) -> None:
    site.remove(site.release.metadata)


@fault(
    "metadata-twice",
    triggers=("REL001",),
    doc="A second metadata.csv lies in another folder of the release.",
    scope="release",
)
def _(site: Site) -> None:
    site.copy(site.release.metadata, site.release.root / "previous-download" / "metadata.csv")


@fault(
    "workbook-missing",
    triggers=("REL002",),
    doc="The clinical workbook is not there.",
    scope="release",
)
def _(site: Site) -> None:
    site.remove(site.release.workbook)


@fault(
    "workbook-twice",
    triggers=("REL002",),
    doc="A second copy of the clinical workbook lies in the release.",
    scope="release",
)
def _(site: Site) -> None:
    book = site.release.workbook
    site.copy(book, book.with_name(f"{book.stem} (1){book.suffix}"))


@fault(
    "manifest-missing",
    triggers=("REL003",),
    doc="The .tcia manifest is not there.",
    scope="release",
)
def _(site: Site) -> None:
    site.remove(site.release.manifest)


@fault(
    "file-empty",
    triggers=("REL004",),
    doc="A CT file beyond the segments has zero bytes.",
)
def _(site: Site) -> None:
    site.write(site.edge().slice.path, b"")


@fault(
    "file-not-dicom",
    triggers=("REL004",),
    doc="A CT file beyond the segments holds a web page instead: the answer to a download that failed.",
)
def _(site: Site) -> None:
    site.write(site.edge().slice.path, b"<!doctype html><title>503 Service Unavailable</title>\n")


def _file_meta(raw: bytes) -> int:
    """Where the data set begins."""
    return 144 + int.from_bytes(raw[140:144], "little")


def _say(site: Site, path: Path, syntax: str) -> None:
    """Write the file meta anew with another TransferSyntaxUID, and encode nothing anew."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_file_meta_info

    raw, meta = path.read_bytes(), site.header(path).file_meta
    meta.TransferSyntaxUID = UID(syntax)
    written = DicomBytesIO()
    write_file_meta_info(written, meta)
    site.write(path, raw[:132] + written.getvalue() + raw[_file_meta(raw) :])


@fault(
    "transfer-syntax-untrue",
    triggers=("REL017",),
    doc="The file meta of all CT files says Implicit VR Little Endian; the data sets are as explicit as before.",
)
def _(site: Site) -> None:
    for path in site.ct_files:
        _say(site, path, ImplicitVRLittleEndian)


@fault(
    "transfer-syntax-untrue-of-order",
    triggers=("REL017",),
    doc="The file meta of the segmentation object says Explicit VR Big Endian, and the data set is little endian.",
)
def _(site: Site) -> None:
    _say(site, site.dso_file, ExplicitVRBigEndian)


@fault(
    "fragments-under-native",
    triggers=("REL017",),
    doc="Pixel Data of the segmentation object is in fragments of nothing that is known, under Explicit VR Little Endian.",
)
def _(site: Site) -> None:
    from pydicom.encaps import encapsulate

    path = site.dso_file
    raw = path.read_bytes()
    pixels: bytes = site.open(path).PixelData
    start = raw.rindex(b"\xe0\x7f\x10\x00O")
    head = raw[start : start + 4] + b"OB\0\0\xff\xff\xff\xff"
    ending = b"\xfe\xff\xdd\xe0\0\0\0\0"
    site.write(path, raw[:start] + head + encapsulate([pixels], has_bot=False) + ending)


@fault(
    "group-length-wrong",
    triggers=("REL017",),
    doc="FileMetaInformationGroupLength of a CT file is two bytes too short.",
)
def _(site: Site) -> None:
    path = site.edge().slice.path
    raw = path.read_bytes()
    wrong = int.from_bytes(raw[140:144], "little") - 2
    site.write(path, raw[:140] + wrong.to_bytes(4, "little") + raw[144:])


@fault(
    "file-meta-missing",
    triggers=("REL018",),
    doc="All CT files are data sets alone, without preamble and file meta.",
)
def _(site: Site) -> None:
    for path in site.ct_files:
        raw = path.read_bytes()
        site.write(path, raw[_file_meta(raw) :])


@fault(
    "header-cut",
    triggers=("REL004",),
    doc="A CT file beyond the segments ends in the middle of its header.",
)
def _(site: Site) -> None:
    path = site.edge().slice.path
    site.write(path, path.read_bytes()[:600])


@fault(
    "file-inflates",
    triggers=("REL027",),
    doc="A CT file beyond the segments is deflated, and inflates to 65 MiB: a private element of zeros fills it.",
)
def _(site: Site) -> None:
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with site.dicom(site.edge().slice.path) as dataset:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.private_block(0x0009, "GEMS_IDEN_01", create=True).add_new(0x02, "OB", bytes(65 << 20))


@fault(
    "pixels-cut",
    triggers=("REL005",),
    doc="A CT file ends before its last rows of pixels.",
)
def _(site: Site) -> None:
    path = site.edge().slice.path
    columns = int(site.header(path).Columns)
    site.write(path, path.read_bytes()[: -8 * columns])


@fault(
    "pixels-short",
    triggers=("REL005",),
    doc="The Pixel Data of a CT file is well formed, but two rows too short.",
)
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        dataset.PixelData = dataset.PixelData[: -4 * dataset.Columns]


@fault(
    "bytes-after-data-set",
    triggers=("REL005",),
    doc="64 zero bytes follow the data set of a CT file.",
)
def _(site: Site) -> None:
    path = site.edge().slice.path
    site.write(path, path.read_bytes() + bytes(64))


@fault(
    "sop-instance-twice",
    triggers=("REL006",),
    doc="A CT file beyond the segments has the SOP Instance UID of its neighbour.",
)
def _(site: Site) -> None:
    edge = site.edge()
    with site.dicom(edge.slice.path) as dataset:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(edge.neighbour.uid)


@fault(
    "stray-file",
    triggers=("REL007",),
    doc="A text file lies between the CT files.",
)
def _(site: Site) -> None:
    site.write(site.ct_folder / "checked.txt", b"ok\n")


@fault(
    "dso-missing",
    triggers=("REL008", "MET016"),
    doc="The segmentation object is not on disk, though metadata.csv and the manifest list it.",
)
def _(site: Site) -> None:
    site.remove(site.dso_folder)


@fault(
    "ct-missing",
    triggers=("REL008", "MET016"),
    doc="The CT series is not on disk, though metadata.csv and the manifest list it.",
)
def _(site: Site) -> None:
    site.remove(site.ct_folder)


@fault(
    "dso-empty",
    triggers=("REL004",),
    doc="The file of the segmentation object has zero bytes.",
)
def _(site: Site) -> None:
    site.write(site.dso_file, b"")


@fault(
    "dso-withdrawn",
    triggers=("REL008", "MET014"),
    doc="The segmentation object is neither on disk nor in metadata.csv and the manifest.",
)
def _(site: Site) -> None:
    uid = str(site.header(site.dso_file).SeriesInstanceUID)
    site.remove(site.dso_folder)
    with site.metadata() as table:
        table.rows.remove(table.of(site.patient, "dso"))
    with site.manifest() as lines:
        lines.remove(uid)


@fault(
    "dso-twice",
    triggers=("REL009", "MET014"),
    doc="A second segmentation object of the patient, with UIDs and a series of its own, in every list.",
)
def _(site: Site) -> None:
    source = site.dso_file
    header = site.header(source)
    old, new = str(header.SeriesInstanceUID), site.new_uid(header.SeriesInstanceUID, "series")
    number = int(header.SeriesNumber) + 1
    folder = source.parent.with_name(SeriesFolder(str(number), "Segmentation", uid_tail(new)).name)
    target = folder / source.name
    site.copy(source, target)
    with site.dicom(target) as dataset:
        dataset.SeriesInstanceUID = new
        dataset.SeriesNumber = number
        dataset.SOPInstanceUID = site.new_uid(dataset.SOPInstanceUID, "instance")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    with site.metadata() as table:
        row = table.of(site.patient, "dso")
        copied = {
            **row,
            "Series UID": new,
            "File Size": size_text(target.stat().st_size),
            "File Location": row["File Location"].replace(source.parent.name, folder.name),
        }
        table.rows.insert(table.rows.index(row) + 1, copied)
    with site.manifest() as lines:
        lines.insert(lines.index(old) + 1, new)
    site.sizes_follow = False


@fault(
    "study-folder-date",
    triggers=("REL010",),
    doc="The study folder's name has another date than the files in it.",
)
def _(site: Site) -> None:
    folder = site.dso_folder.parent
    site.rename(folder, "01-02-1996" + folder.name[10:])


@fault(
    "series-folder-uid",
    triggers=("REL010",),
    doc="The CT folder's name ends in other digits than the Series Instance UID.",
)
def _(site: Site) -> None:
    folder = site.ct_folder
    site.rename(folder, folder.name[:-5] + str((int(folder.name[-5:]) + 1) % 100000).zfill(5))


@fault(
    "patient-id-swapped",
    triggers=("REL011",),
    doc="The files of the patient's folder carry another patient's ID.",
)
def _(site: Site) -> None:
    other = site.other

    def change(dataset: Dataset) -> None:
        dataset.PatientID = other
        dataset.PatientName = other

    site.each_file(change)


@fault(
    "file-meta-instance",
    triggers=("REL012",),
    doc="The Media Storage SOP Instance UID of a CT file is not its SOP Instance UID.",
)
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        dataset.file_meta.MediaStorageSOPInstanceUID = site.new_uid(dataset.SOPInstanceUID)


@fault(
    "link-outside",
    triggers=("REL013",),
    doc="A symbolic link in the CT folder leads outside of the release.",
)
def _(site: Site) -> None:
    link = site.ct_folder / "1-999.dcm"
    depth = len(link.relative_to(site.release.root).parts)
    link.symlink_to("/".join([".."] * depth) + "/outside.dcm")
    site.touch(link)


@fault(
    "series-in-two-folders",
    triggers=("REL014",),
    doc="One CT file lies in the study folder, outside of its series folder.",
)
def _(site: Site) -> None:
    path = site.edge().slice.path
    site.copy(path, path.parent.parent / path.name)
    site.remove(path)
    site.sizes_follow = False


@fault(
    "bytes-changed",
    triggers=("REL015",),
    doc="One bit of one pixel of a CT file is flipped, which nothing shows but a lock file made before.",
)
def _(site: Site) -> None:
    path = site.edge().slice.path
    header = site.header(path)
    content = bytearray(path.read_bytes())
    # Pixel Data comes last, two bytes a pixel, the lower byte first.
    content[-2 * (header.Rows // 2 * header.Columns + header.Columns // 2)] ^= 1
    site.write(path, bytes(content))


@fault(
    "uid-invalid",
    triggers=("REL016",),
    doc="The Frame of Reference UID of all the patient's files has a component that begins with a zero.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        root, _, last = str(dataset.FrameOfReferenceUID).rpartition(".")
        dataset.FrameOfReferenceUID = UID(f"{root}.0{last[1:]}")

    site.each_file(change)


@fault(
    "values-forbidden",
    triggers=("REL019",),
    doc="The CT files have an age without its unit, a time with colons, and a KVP and a kernel that are too long.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PatientAge = dataset.PatientAge.rstrip("Y")
        dataset.ContentTime = "10:31:49"
        dataset.add_new("KVP", "DS", "120.000000000000000")
        dataset.ConvolutionKernel = "STANDARD, BUT SHARPENED"

    site.each_ct(change)


@fault(
    "objects-of-others",
    triggers=("REL023",),
    doc="An AI's segmentation object, as the Imaging Data Commons hands it out, lies beside the published one; its bits are empty, and its attributes are few.",
)
def _(site: Site) -> None:
    series = UID("1.2.276.0.7230010.3.1.3.1787205428.166.1680000000.300")
    folder = SeriesFolder("300.000000", "AIMI liver-tumor AI segmentation", uid_tail(series)).name
    path = site.dso_folder.parent / folder / "1-1.dcm"
    site.copy(site.dso_file, path)
    with site.dicom(path) as dataset:
        dataset.SeriesInstanceUID, dataset.SeriesNumber = series, 300
        dataset.SeriesDescription = "AIMI liver-tumor AI segmentation"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(
            "1.2.276.0.7230010.3.1.4.1787205428.166.1680000001.301"
        )
        dataset.PixelData = bytes(len(dataset.PixelData))
        del dataset.ReferencedSeriesSequence, dataset.StudyDate


@fault(
    "file-changed-after-download",
    triggers=("REL022",),
    doc="One bit of one pixel of a CT file is flipped, and the md5hashes.csv of the downloader lists the file as it was.",
)
def _(site: Site) -> None:
    lines = ["Filename,MD5Hash"]
    lines += [
        f"{path.name},{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}" for path in site.ct_files
    ]
    site.write(site.ct_folder / "md5hashes.csv", "".join(f"{line}\n" for line in lines).encode())
    path = site.edge().slice.path
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    site.write(path, bytes(content))
