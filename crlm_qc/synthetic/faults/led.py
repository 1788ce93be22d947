"""Faults of a release of which the published series are known (LED): they need the ledger of the release without the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlm_qc.collection.forms import SeriesFolder, uid_tail
from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.faults._slices import decimal, moved

if TYPE_CHECKING:
    from pydicom import Dataset

_TRAILING_PADDING = 0xFFFCFFFC


@fault(
    "published-series-absent",
    triggers=("LED001",),
    doc="The published segmentation object is not on disk; metadata.csv and the manifest list it.",
)
def _(site: Site) -> None:
    site.remove(site.dso_folder)


@fault(
    "published-slice-absent",
    triggers=("LED002",),
    doc="The outermost CT file is not on disk; no reference is to it.",
)
def _(site: Site) -> None:
    site.remove(site.edge().slice.path)
    site.sizes_follow = False


@fault(
    "published-file-edited",
    triggers=("LED003",),
    doc="The CT files were written again with four bytes of Data Set Trailing Padding each.",
)
def _(site: Site) -> None:
    site.each_ct(lambda dataset: dataset.add_new(_TRAILING_PADDING, "OB", bytes(4)))


@fault(
    "series-added",
    triggers=("LED004",),
    doc="A second CT series of the patient, resliced from the first, that no list knows.",
)
def _(site: Site) -> None:
    header = site.header(site.ct_files[0])
    new, number = site.new_uid(header.SeriesInstanceUID, "series"), int(header.SeriesNumber) + 1
    description = site.ct_folder.name.partition("-")[2].rpartition("-")[0]
    folder = site.ct_folder.with_name(SeriesFolder(str(number), description, uid_tail(new)).name)

    def change(dataset: Dataset) -> None:
        dataset.SeriesInstanceUID, dataset.SeriesNumber = new, number
        dataset.SOPInstanceUID = site.new_uid(dataset.SOPInstanceUID, str(dataset.InstanceNumber))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.RescaleIntercept = decimal(float(dataset.RescaleIntercept) + 1)

    originals = site.ct_files
    for path in originals:
        site.copy(path, folder / path.name)
    site.each_ct(change, [folder / path.name for path in originals])
    site.sizes_follow = False


@fault(
    "published-object-replaced",
    triggers=("LED005",),
    doc="The segmentation object lies there under another Series Instance UID, which no list knows.",
)
def _(site: Site) -> None:
    with site.dicom(site.dso_file) as dataset:
        dataset.SeriesInstanceUID = site.new_uid(dataset.SeriesInstanceUID, "series", keep=5)


@fault(
    "slice-added",
    triggers=("LED006", "CTS014"),
    doc="The CT series, one of the longest, has a slice more at its end than was published.",
)
def _(site: Site) -> None:
    edge = site.edge()
    path = edge.slice.path.with_name("1-99.dcm")
    site.copy(edge.slice.path, path)
    with site.dicom(path) as dataset:
        dataset.SOPInstanceUID = site.new_uid(dataset.SOPInstanceUID, "instance")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = edge.slice.number + (1 if edge.last else -1)
        dataset.ImagePositionPatient = moved(edge.slice.position, edge.step)
        if "SliceLocation" in dataset:
            dataset.SliceLocation = decimal(float(dataset.SliceLocation) + edge.step[2])
        # Two slices of the same pixels are another fault.
        dataset.PixelData = dataset.PixelData[-2:] + dataset.PixelData[:-2]
    site.sizes_follow = False


@fault(
    "published-patient-absent",
    triggers=("LED007",),
    doc="The patient's folder is not on disk; metadata.csv, workbook and manifest have the patient.",
)
def _(site: Site) -> None:
    site.remove(site.release.collection / site.patient)
