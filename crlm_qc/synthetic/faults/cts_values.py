"""Faults of the values of CT images (CTS): rescaling, Hounsfield units, padding, encoding, and what pixels are said to be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from pydicom import Dataset

    Vector = npt.NDArray[np.float64]


@fault("ct-slope-zero", triggers=("CTS015",), doc="RescaleSlope of a CT file beyond the segments is 0.")
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        dataset.RescaleSlope = "0"


@fault("ct-intercept-missing", triggers=("CTS015",), doc="A CT file beyond the segments has no RescaleIntercept.")
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        del dataset.RescaleIntercept


@fault("ct-slice-constant", triggers=("CTS016",), doc="A CT slice beyond the segments holds one value everywhere.")
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        count = dataset.Rows * dataset.Columns
        dataset.PixelData = np.full(count, np.frombuffer(dataset.PixelData, "<i2")[count // 2]).tobytes()


def _change_hu(site: Site, change: Callable[[Vector], Vector], signed: int = 1, intercept: int = -1024) -> None:
    """Change the CT values of every slice, and write them with another sign and RescaleIntercept."""

    def write(dataset: Dataset) -> None:
        kind = "<i2" if dataset.PixelRepresentation else "<u2"
        size = dataset.Rows * dataset.Columns
        values = change(np.frombuffer(dataset.PixelData, kind, count=size).astype(int) + int(dataset.RescaleIntercept))
        dataset.PixelData = (values - intercept).astype("<i2").tobytes()
        dataset.PixelRepresentation, dataset.RescaleIntercept = signed, str(intercept)
        dataset.pop("PixelPaddingValue", None)

    site.each_ct(write)


@fault(
    "ct-intercept-twice",
    triggers=("CTS025",),
    doc="CT values lie 1024 HU too low, as if RescaleIntercept was applied twice.",
)
def _(site: Site) -> None:
    _change_hu(site, lambda values: np.maximum(values, -1024) - 1024)


@fault(
    "ct-sign-lost", triggers=("CTS025",), doc="CT values are stored as they are, and PixelRepresentation says unsigned."
)
def _(site: Site) -> None:
    _change_hu(site, lambda values: np.maximum(values, -1024), signed=0, intercept=0)


@fault("ct-slope-doubled", triggers=("CTS025",), doc="RescaleSlope of the CT is 2 where values were made for 1.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.RescaleSlope = "2"

    site.each_ct(change)


@fault("ct-window-stored", triggers=("CTS025",), doc="CT values are cut off at -160 and 240 HU.")
def _(site: Site) -> None:
    _change_hu(site, lambda values: np.clip(values, -160, 240))


@fault("ct-air-off", triggers=("CTS025",), doc="CT values lie 25 HU too high.")
def _(site: Site) -> None:
    _change_hu(site, lambda values: np.maximum(values, -1024) + 25)


@fault(
    "ct-padding-undeclared",
    triggers=("CTS026",),
    doc="The corners of the CT images hold -2000, without PixelPaddingValue.",
)
def _(site: Site) -> None:
    def change(values: Vector) -> Vector:
        side = math.isqrt(values.size)
        across = np.linspace(-1, 1, side) ** 2
        values[(across[:, None] + across > 1).ravel()] = -3024
        return values

    _change_hu(site, change)


@fault("ct-transfer-syntax", triggers=("CTS020",), doc="The CT files are written in Implicit VR Little Endian.")
def _(site: Site) -> None:
    from pydicom.uid import ImplicitVRLittleEndian

    for path in site.ct_files:
        with site.dicom(path) as dataset:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


@fault(
    "ct-slice-repeated",
    triggers=("CTS021",),
    doc="The outermost CT slice holds the pixels of its neighbour.",
)
def _(site: Site) -> None:
    edge = site.edge()
    pixels = site.open(edge.neighbour.path).PixelData
    with site.dicom(edge.slice.path) as dataset:
        dataset.PixelData = pixels


@fault("ct-monochrome1", triggers=("CTS022",), doc="The CT files say PhotometricInterpretation MONOCHROME1.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    site.each_ct(change)


@fault("ct-high-bit", triggers=("CTS023",), doc="HighBit of the CT files is 11, beside BitsStored 16.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.HighBit = 11

    site.each_ct(change)


@fault(
    "ct-values-wide",
    triggers=("CTS023",),
    doc="The CT files say 12 bits, and a slice beyond the segments has ten pixels of more.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.BitsStored, dataset.HighBit = 12, 11

    site.each_ct(change)
    with site.dicom(site.edge().slice.path) as dataset:
        pixels = np.frombuffer(dataset.PixelData, "<i2").copy()
        pixels[pixels.size // 2 :][:10] = 5000
        dataset.PixelData = pixels.tobytes()


@fault(
    "ct-lossy",
    triggers=("CTS024",),
    doc="The CT files were compressed with loss, and are DERIVED for it, as the standard has it.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
        dataset.LossyImageCompression, dataset.LossyImageCompressionRatio = "01", "12.5"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"

    site.each_ct(change)


@fault("ct-derived", triggers=("CTS024",), doc="The CT files are DERIVED and SECONDARY, as those of a reformat.")
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]

    site.each_ct(change)


@fault("ct-bits-of-64", triggers=("CTS035",), doc="A CT file beyond the segments has 64 bits a pixel.")
def _(site: Site) -> None:
    with site.dicom(site.edge().slice.path) as dataset:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype("<i8").tobytes()
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 64, 64, 63
