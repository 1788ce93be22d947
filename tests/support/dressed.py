"""Series whose headers are as full as real ones: private blocks, sequences of either length, texts of other character sets."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support import tiny

SLICES = 8


def ct_slice(
    index: int, *, syntax: str = ExplicitVRLittleEndian, undefined: bool = False, inner: bool = True, rich: bool = True
) -> FileDataset:
    """A slice of `tiny` with all that scanners and archives put into a header."""
    ds = tiny.ct_slice(index, syntax=syntax)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SeriesDescription = "AP vein\N{LATIN SMALL LETTER O WITH DIAERESIS}s"
    ds.Manufacturer, ds.ManufacturerModelName = "GE MEDICAL SYSTEMS", "LightSpeed"
    ds.InstanceCreationTime = ds.ContentTime = f"1205{index:02d}.000000"
    ds.AcquisitionTime, ds.ContentDate = f"1204{index:02d}", "19920606"
    ds.SliceLocation = f"{-5.0 * index:.3f}"
    ds.KVP, ds.XRayTubeCurrent, ds.Exposure = "120", 240 + index, 9 + index
    ds.PatientIdentityRemoved, ds.BurnedInAnnotation = "YES", "NO"
    ds.ImageComments = f"image {index}"
    if rich:
        _dress(ds, index, undefined=undefined, inner=inner)
    if syntax == ImplicitVRLittleEndian:
        ds.add_new(0x00080000, "UL", 400)
    return ds


def _dress(ds: FileDataset, index: int, *, undefined: bool, inner: bool) -> None:
    ds.WindowCenter, ds.WindowWidth = [40, 50 + index], [400, 350]
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue = index, 2000 + index
    ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = 0, index
    ds.ReconstructionDiameter, ds.GantryDetectorTilt = "360.0", "0"
    ds.IrradiationEventUID = tiny.uid(9, index)
    ds.OperatorsName, ds.StationName = "", f"CT{index}"
    made = ds.private_block(0x0009, "GEMS_IDEN_01", create=True)
    made.add_new(0x01, "LO", "GE_GENESIS_FF")
    made.add_new(0x30, "LO", f"CRLM^{index}")
    made = ds.private_block(0x0043, "MAKER OF ITS OWN 2", create=True)
    made.add_new(0x10, "UN", bytes([index, 1, 2, 3]))
    made.add_new(0x11, "DS", f"{index}.5")
    made.add_new(0x12, "UI", tiny.uid(8, index))
    code, method = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "CTABD", "99MINE", "Abdomen"
    method.CodeValue, method.CodingSchemeDesignator, method.CodeMeaning = "113100", "DCM", "Basic Profile"
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", tiny.uid(7)
    image.PurposeOfReferenceCodeSequence = Items([code])
    ds.ProcedureCodeSequence, ds.ReferencedImageSequence = Items([code]), Items([image])
    ds.DeidentificationMethodCodeSequence = Items([method])
    if undefined:
        image["PurposeOfReferenceCodeSequence"].is_undefined_length = inner
        for keyword in ("ProcedureCodeSequence", "ReferencedImageSequence"):
            ds[keyword].is_undefined_length = True
            for item in ds[keyword].value:
                item.is_undefined_length_sequence_item = True


def forms() -> dict[str, list[bytes]]:
    """Series in several encodings, as bytes."""
    asked: dict[str, dict[str, object]] = {
        "plain": {"rich": False},
        "explicit": {},
        "undefined lengths": {"undefined": True},
        "implicit": {"syntax": ImplicitVRLittleEndian},
        "implicit, undefined lengths": {"syntax": ImplicitVRLittleEndian, "undefined": True},
        "implicit, mixed lengths": {"syntax": ImplicitVRLittleEndian, "undefined": True, "inner": False},
    }
    return {
        name: [tiny.to_bytes(ct_slice(index, **options)) for index in range(SLICES)]  # type: ignore[arg-type]
        for name, options in asked.items()
    }
