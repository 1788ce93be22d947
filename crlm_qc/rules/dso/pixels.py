"""Whether the masks could be measured, and what the header says of their pixels."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import are
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.dso._shared import WITH_CT, each_dso, length_wrong, unmeasured
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.words import text, whole

_BITS = (1, 8, 16)
"""BitsAllocated of binary, fractional and label map segmentations."""
_BINARY, _LABEL_MAP = "BINARY", "LABELMAP"
_MONOCHROME2 = "MONOCHROME2"
_COLOURS = "PALETTE COLOR"
_PHOTOMETRIC = frozenset({_MONOCHROME2, _COLOURS, "MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422"})


@rule(
    "DSO040",
    "masks-not-measured",
    ERROR,
    title="The masks of an object could not be measured",
    why="Nothing was looked at that is in them: rules on masks and segments' figures leave the object out. Where DSO002, DSO015, DSO016, DSO034 or REL017 tell why, they are told there; what no decoder is installed for leaves the audit incomplete.",
    fix="Export the object again, as BINARY with BitsAllocated 1 and Pixel Data (7FE0,0010).",
    source="DICOM PS3.3 C.8.20.2 (Segmentation Image), C.7.6.3 (Image Pixel), C.7.6.24 (Floating Point Image Pixel, which no segmentation has)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def masks_not_measured(context: Context) -> Checked:
    """Every segmentation object whose masks were asked for."""

    def judge(dso: Dso) -> Iterable[Found]:
        if unmeasured(dso):
            why = _why(dso)
            yield dso.found(context, f"The masks were not measured: {why}.", "masks that can be read", why)

    return each_dso(context, judge, lambda dso: dso.row["masks"] != "not-asked")


def _why(dso: Dso) -> str:
    if whole(dso.row["bits_allocated"]) is None:
        return "BitsAllocated is missing, or is no single number"
    return text(dso.row["masks_detail"]) or "no reason is known"


@rule(
    "DSO041",
    "mask-pixels-described-wrong",
    WARNING,
    title="What the object says of its pixels is not what a segmentation has",
    why="Readers that go by it cut or shift the values, take them for signed, draw the masks inverted or in colours, or refuse the object. This audit reads masks by BitsAllocated alone, so other rules judge the true masks. Attributes that are missing are DSO035's; of pixels that no segmentation has at all, DSO040 and DSO022 tell.",
    fix="Write BitsStored as BitsAllocated, HighBit one less, PixelRepresentation 0, SamplesPerPixel 1 and PhotometricInterpretation MONOCHROME2.",
    source="DICOM PS3.3 C.8.20.2 (Segmentation Image: Bits Stored, High Bit, Pixel Representation, Photometric Interpretation), PS3.5 8.1.1",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def mask_pixels_described_wrong(context: Context) -> Checked:
    """Every segmentation object."""

    def judge(dso: Dso) -> Iterable[Found]:
        wrong = [] if unmeasured(dso) else list(_misdescribed(context, dso))
        if wrong:
            keywords, found, expected = zip(*wrong, strict=True)
            observed = "; ".join(f"{keyword} {value}" for keyword, value in zip(keywords, found, strict=True))
            wanted = "; ".join(f"{keyword} {value}" for keyword, value in zip(keywords, expected, strict=True))
            allocated = whole(dso.row["bits_allocated"])
            beside = "" if allocated is None else f" beside BitsAllocated {allocated}"
            message = f"{', '.join(observed.split('; '))} {are(len(wrong))} not what a segmentation has{beside}."
            yield dso.found(context, message, wanted, observed, count=len(wrong))

    return each_dso(context, judge)


def _misdescribed(context: Context, dso: Dso) -> Iterable[tuple[str, str, str]]:
    """Attributes that are there and wrong: keyword, value, and what it should be."""
    bits = whole(dso.row["bits_allocated"])
    if bits is None and text(dso.row["segmentation_type"]) == _BINARY:
        bits = 1
    # A wrong number of bits or samples is told by the length where it does not fit.
    stored = bits if bits in _BITS and not length_wrong(dso) else None
    samples = None if length_wrong(dso) else 1
    wanted = (
        ("bits_stored", "BitsStored", stored),
        ("high_bit", "HighBit", None if stored is None else stored - 1),
        ("pixel_representation", "PixelRepresentation", 0),
        ("samples_per_pixel", "SamplesPerPixel", samples),
    )
    for column, keyword, value in wanted:
        found = whole(dso.row[column])
        if None not in (found, value) and found != value:
            yield keyword, str(found), str(value)
    photometric = text(dso.row["photometric_interpretation"])
    coloured = photometric == _COLOURS and text(dso.row["segmentation_type"]) == _LABEL_MAP
    if photometric not in (None, _MONOCHROME2) and not coloured:
        yield "PhotometricInterpretation", context.show.text(photometric, _PHOTOMETRIC), _MONOCHROME2
