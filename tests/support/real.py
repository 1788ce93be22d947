"""A release made of the reference folder's real files: the CT of CRLM-CT-1004, the workbook, its rows of metadata.csv.

The segmentation object is not among them: one is made, with highdicom, of the liver that thresholds find in the CT.
"""

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat
from scipy import ndimage

PATIENT = "CRLM-CT-1004"
COLLECTION = "Colorectal-Liver-Metastases"
WORKBOOK = "Colorectal Liver Metastases Clinical data October 2022.xlsx"
COARSE = 4
"""The liver is found on every fourth pixel: its bounds were set by eye there."""
LABELS = ("Liver", "Liver Remnant", "Hepatic", "Portal", "Tumor_1")
_ANATOMY = ("123037004", "SCT", "Anatomical Structure")
_CHANGE = ("49755003", "SCT", "Morphologically Altered Structure")
_LIVER = (_ANATOMY, ("10200004", "SCT", "Liver"))
_VEIN = (_ANATOMY, ("29092000", "SCT", "Vein"))
_MASS = (_CHANGE, ("4147007", "SCT", "Mass"))
_KINDS = (_LIVER, _LIVER, _VEIN, _VEIN, _MASS)

Volume = npt.NDArray[np.bool_]
Change = Callable[[list[Dataset], Volume], tuple[list[Dataset], Volume]]
"""What a variant does to the slices (from the lowest z upward) and to the masks, shape (segments, slices, rows, columns)."""


@dataclass(frozen=True)
class RealRelease:
    """The release as written."""

    root: Path
    ct: Path
    """Folder of the CT series."""
    dso: Path
    """The segmentation object."""
    masks: Volume
    """Segments in the order of `LABELS`; shape (segments, slices, rows, columns), slices from the lowest z upward."""


def slices_of(reference: Path) -> list[Dataset]:
    """The CT series of CRLM-CT-1004, from the lowest z upward."""
    slices = [pydicom.dcmread(path) for path in (reference / "release-1004").rglob("1-*.dcm")]
    return sorted(slices, key=lambda one: float(one.ImagePositionPatient[2]))


def liver_of(ct: npt.NDArray[np.float32]) -> Volume:
    """The liver on every fourth pixel of CRLM-CT-1004, shape (slices, 128, 128), by thresholds and bounds set by eye."""
    smooth = ndimage.gaussian_filter(ct, (0.4, 1, 1))
    mask = (smooth > 85) & (smooth < 160)
    # Heart, stomach, spleen, and what lies below the liver's left lobe.
    for beyond in (np.s_[:6], np.s_[34:], np.s_[:, 52:, 71:], np.s_[30:, :, 71:], np.s_[:15, :, 56:]):
        mask[beyond] = False
    disc = np.hypot(*np.ogrid[-2:3, -2:3]) < 2.3
    mask = np.stack([ndimage.binary_opening(plane, disc) for plane in mask])
    labels, _ = ndimage.label(mask)
    mask = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_closing(mask, np.ones((1, 3, 3)))


def masks_of(slices: Sequence[Dataset]) -> Volume:
    """All five segments, shape (segments, slices, 512, 512): a liver that is there, and in it what the vocabulary asks for."""
    hu = np.stack([one.pixel_array for one in slices]).astype(np.float32) - 1024.0
    coarse = liver_of(hu[:, 1::COARSE, 1::COARSE])
    liver = coarse.repeat(COARSE, axis=1).repeat(COARSE, axis=2)
    middle = np.argwhere(liver).mean(axis=0)
    z, y, x = np.ogrid[tuple(slice(size) for size in liver.shape)]
    # A ball of 12 mm radius, a little to the patient's right of the middle.
    tumour = liver & (np.hypot(np.hypot((z - middle[0]) * 5.0, (y - middle[1]) * 0.8), (x - middle[2] + 40) * 0.8) < 12)
    remnant = liver & (x > middle[2] + 10)
    bright = ndimage.gaussian_filter(hu, (0, 1, 1)) > 150
    inside = liver & bright & ~tumour
    return np.stack([liver, remnant, inside & (z > middle[0]), inside & (z <= middle[0]), tumour])


def assemble(
    reference: Path, root: Path, change: Change | None = None, *, layout: str = "nbia", windows: bool = False
) -> RealRelease:
    """Write the release.

    Parameters
    ----------
    reference : pathlib.Path
        Folder of the real files.
    root : pathlib.Path
        Where to write; it is made.
    change : callable, optional
        Makes a variant of slices and masks; without one, the CT's files are the real ones, byte for byte.
    layout : str
        `nbia`: as the downloader writes it; `card`: as the dataset card draws it.
    windows : bool
        Whether metadata.csv is as on Windows: byte order mark, CR and LF, backslashes.
    """
    masks = _masks(reference)
    if change is not None:
        slices, masks = change(slices_of(reference), masks)
    manifest = root / "manifest-1669817128730"
    table = (manifest if layout == "nbia" else manifest / COLLECTION) / "metadata.csv"
    ct, dso = _write_tables(reference, table, masks.shape[1], windows=windows)
    patients = manifest / COLLECTION if layout == "nbia" else root
    ct_folder, dso_folder = (patients / Path(*Path(row["File Location"]).parts[1:]) for row in (ct, dso))
    for folder in (ct_folder, dso_folder):
        folder.mkdir(parents=True)
    if change is None:
        source = reference / "release-1004" / ct["File Location"]
        for path in source.iterdir():
            shutil.copyfile(path, ct_folder / path.name)
        (dso_folder / "1-1.dcm").write_bytes(_unchanged(reference, dso["Series UID"]))
    else:
        for place, one in enumerate(reversed(slices), start=1):
            one.save_as(ct_folder / f"1-{place:02d}.dcm", enforce_file_format=True)
        _segmentation(slices, masks, dso["Series UID"]).save_as(dso_folder / "1-1.dcm", enforce_file_format=True)
    shutil.copyfile(reference / WORKBOOK, root / WORKBOOK)
    (root / "CRLM.tcia").write_text(
        "downloadServerUrl=https://public.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet\n"
        "includeAnnotation=true\nnoOfrRetry=4\ndatabasketId=manifest-1669817128730.tcia\nmanifestVersion=3.0\n"
        f"ListOfSeriesToDownload=\n{dso['Series UID']}\n{ct['Series UID']}\n"
    )
    return RealRelease(root, ct_folder, dso_folder / "1-1.dcm", masks)


@cache
def _masks(reference: Path) -> Volume:
    """The masks of the slices as they are, found once."""
    masks = masks_of(slices_of(reference))
    masks.flags.writeable = False
    return masks


@cache
def _unchanged(reference: Path, series_uid: str) -> bytes:
    """The object of the masks where they were found."""
    file = BytesIO()
    _segmentation(slices_of(reference), _masks(reference), series_uid).save_as(file, enforce_file_format=True)
    return file.getvalue()


def _write_tables(
    reference: Path, table: Path, n_slices: int, *, windows: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Cut metadata.csv to the patient, byte for byte but for the count of a cropped series."""
    table.parent.mkdir(parents=True)
    lines = (reference / "metadata-reconstructed.csv").read_bytes().splitlines(keepends=True)
    kept = [line for line in lines[1:] if f",{PATIENT},".encode() in line]
    assert len(kept) == 2, "a row for the CT and one for the segmentation object"
    kept = [
        line.replace(b",CT Image Storage,1.2.840.10008.5.1.4.1.1.2,41,21.63 MB,", _counted(n_slices)) for line in kept
    ]
    text = b"".join([lines[0], *kept])
    rows = {row["Modality"]: row for row in csv.DictReader(text.decode("utf-8-sig").splitlines())}
    if windows:
        for row in rows.values():
            location = row["File Location"].encode()
            text = text.replace(location, location.replace(b"/", b"\\"))
        text = b"\xef\xbb\xbf" + text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    table.write_bytes(text)
    return rows["CT"], rows["SEG"]


def _counted(n_slices: int) -> bytes:
    size = n_slices * 527_480 / 1e6
    return f",CT Image Storage,1.2.840.10008.5.1.4.1.1.2,{n_slices},{size:.2f} MB,".encode()


def _segmentation(slices: Sequence[Dataset], masks: Volume, series_uid: str) -> hd.seg.Segmentation:
    held = np.flatnonzero(masks.any(axis=(0, 2, 3)))
    sources = [slices[index] for index in held]
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=np.moveaxis(masks[:, held], 0, -1),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=hd.sr.CodedConcept(*category),
                segmented_property_type=hd.sr.CodedConcept(*kind),
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            )
            for number, (label, (category, kind)) in enumerate(zip(LABELS, _KINDS, strict=True), start=1)
        ],
        series_instance_uid=series_uid,
        series_number=100,
        sop_instance_uid=f"{series_uid[:40]}.1",
        instance_number=1,
        manufacturer="QIICR",
        manufacturer_model_name="git://github.com/QIICR/dcmqi.git",
        software_versions="1.0",
        device_serial_number="0",
        series_description="Segmentation",
        omit_empty_frames=True,
    )
    for keyword in (
        "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    ):  # fmt: skip
        # The archive's de-identification wrote these in every object.
        if keyword in sources[0]:
            made[keyword] = sources[0][keyword]
    made.SeriesDate = "20090902"
    return made


def prone(slices: list[Dataset], masks: Volume) -> tuple[list[Dataset], Volume]:
    """The same patient on the stomach: images turned by 180 degrees, and so are their axes."""
    for one in slices:
        far = _corner(one)
        one.PixelData = one.pixel_array[::-1, ::-1].tobytes()
        _place(one, far, [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0])
        one.PatientPosition = "FFP"
    return slices, masks[:, :, ::-1, ::-1]


def tilted(degrees: float) -> Change:
    """The patient turned about the axis from left to right: an oblique stack, its numbers rounded as DS."""

    def change(slices: list[Dataset], masks: Volume) -> tuple[list[Dataset], Volume]:
        angle = np.deg2rad(degrees)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        for one in slices:
            axes = np.array(one.ImageOrientationPatient, dtype=float).reshape(2, 3) @ turn.T
            _place(one, turn @ np.array(one.ImagePositionPatient, dtype=float), axes.ravel())
        return slices, masks

    return change


def cropped(slices: list[Dataset], masks: Volume) -> tuple[list[Dataset], Volume]:
    """Lowest three and highest five slices away, as curators crop; instance numbers stay."""
    return slices[3:-5], masks[:, 3:-5]


def cut_in_plane(slices: list[Dataset], masks: Volume) -> tuple[list[Dataset], Volume]:
    """Only 400 rows by 450 columns of each image, which are no whole bytes."""
    rows, columns = slice(60, 460), slice(31, 481)
    for one in slices:
        step = np.array(one.PixelSpacing, dtype=float)
        axes = np.array(one.ImageOrientationPatient, dtype=float).reshape(2, 3)
        origin = np.array(one.ImagePositionPatient, dtype=float)
        origin += axes[0] * columns.start * step[1] + axes[1] * rows.start * step[0]
        one.PixelData = one.pixel_array[rows, columns].tobytes()
        one.Rows, one.Columns = 400, 450
        _place(one, origin, axes.ravel())
    return slices, masks[:, :, rows, columns]


def _corner(one: Dataset) -> npt.NDArray[np.float64]:
    """Position of the last voxel of an image."""
    axes = np.array(one.ImageOrientationPatient, dtype=float).reshape(2, 3)
    step = np.array(one.PixelSpacing, dtype=float)
    origin = np.array(one.ImagePositionPatient, dtype=float)
    return np.asarray(origin + axes[0] * (one.Columns - 1) * step[1] + axes[1] * (one.Rows - 1) * step[0])


def _place(one: Dataset, origin: npt.ArrayLike, axes: npt.ArrayLike) -> None:
    one.ImagePositionPatient = [DSfloat(f"{value:.6f}") for value in np.asarray(origin)]
    one.ImageOrientationPatient = [DSfloat(f"{value:.6f}") for value in np.asarray(axes)]
    one.SliceLocation = one.ImagePositionPatient[2]
