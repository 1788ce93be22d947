"""What the pixels are, and what the header says of them: repeats, encoding, and what was done to them before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Final

from crlm_qc.model.finding import MAX_EXAMPLES, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.tables import ENCAPSULATED
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import TABLES, each_series
from crlm_qc.subjects.columns import POSITION
from crlm_qc.subjects.ct import CtSeries, need_pixels
from crlm_qc.subjects.words import number, text

_MONOCHROME2: Final = "MONOCHROME2"
_PHOTOMETRIC: Final = frozenset({"MONOCHROME1", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422"})
_LOSSY_SYNTAXES: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
"""Transfer syntaxes that always lose (PS3.5 A.4.1): JPEG of the DCT. Others may have been used without loss."""
_LOSSY_METHODS: Final = frozenset({"ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15", "ISO_18181_1"})
_MADE: Final = ("DERIVED", "SECONDARY")
_HU: Final = "HU"
_RESCALE_TYPES: Final = frozenset({"OD", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"})
"""Defined terms of RescaleType (PS3.3 C.11.1.1.2) beside HU."""
_MOST_LOSSES = 3
"""Compressions of one slice that are told."""


@rule(
    "CTS021",
    "slice-pixels-twice",
    ERROR,
    title="Slices at different positions hold the same pixels",
    why="No two slices of a body have the very same noise: one was written over with the other, or the series was stretched by repeating slices. What was at that position is lost, and masks lie on another anatomy than it seems. Slices of one value everywhere are left out; two at one position are CTS007's, and one file that there is twice is REL006's.",
    fix="Fetch the slices from the scanner's original, or take the repeats out.",
    source="DICOM PS3.3 C.7.6.2.1.1 (Image Position), C.8.2.1.1.2 (CT pixel values in Hounsfield units)",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    tolerances=("position_mm",),
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry", "lesion-counts")),
)
def slice_pixels_twice(context: Context) -> Checked:
    """Every CT series with two slices or more whose pixels were read."""
    need_pixels(context)
    apart = context.tolerances.position_mm

    def judge(series: CtSeries) -> Iterable[Found]:
        # A second volume that shows the same is CTS028's, or CTS018's.
        groups = [group for group in _alike(series, apart) if len(group) > 1 and series.volumes is None]
        if groups:
            words = [" = ".join(series.names(context, group[:MAX_EXAMPLES])) for group in groups]
            count = sum(len(group) - 1 for group in groups)
            message = f"{plural(count, 'slice')} of {len(series.slices)} {agree(count, 'holds', 'hold')} the pixels of another one at another position: {listed(words)}."
            yield series.found(
                context,
                message,
                "pixels of its own at every position",
                f"{plural(count, 'slice')} with the pixels of another one",
                count=count,
                examples=words[:MAX_EXAMPLES],
                seen_at=[place for group in groups[:MAX_EXAMPLES] for place in group[:2]],
            )

    return each_series(context, judge, lambda series: int(series.slices.present("pixel_digest").sum() > 1))


def _alike(series: CtSeries, apart: float) -> list[list[int]]:
    """Slices with the same pixels; of those with one position or one SOP Instance UID, the first."""
    import numpy as np

    positions, uids = series.slices.matrix(POSITION), series.slices["sop_instance_uid"]
    found = []
    for places in series.slices.groups("pixel_digest").values():
        kept: list[int] = []
        for place in places.tolist():
            away = np.linalg.norm(positions[kept] - positions[place], axis=1)
            known = uids[place] is not None and uids[place] in {uids[other] for other in kept}
            if np.isfinite(positions[place]).all() and not known and (away > apart).all():
                kept.append(place)
        found.append(kept)
    return found


@rule(
    "CTS022",
    "photometric-interpretation",
    ERROR,
    title="PhotometricInterpretation is not MONOCHROME2",
    why="MONOCHROME1 says that low values are white: the standard allows it, but CT values rise with density, and viewers and converters that honour it turn black and white over, some the values as well. Colours are no CT values at all.",
    fix="Write MONOCHROME2, if the values are those of a CT; else fetch the original.",
    source="DICOM PS3.3 C.8.2.1.1 (CT Image attributes), C.7.6.3.1.2 (Photometric Interpretation)",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "image-values")),
)
def photometric_interpretation(context: Context) -> Checked:
    """Every CT series."""

    def judge(series: CtSeries) -> Iterable[Found]:
        wrong = series.slices.others("photometric_interpretation", {_MONOCHROME2})
        if wrong:
            values = sorted(set(series.slices["photometric_interpretation"][wrong]))
            shown = listed([context.show.text(value, _PHOTOMETRIC) for value in values])
            message = f"PhotometricInterpretation of {plural(len(wrong), 'slice')} is {shown}, not {_MONOCHROME2}."
            yield series.found(context, message, _MONOCHROME2, shown, wrong)

    return each_series(context, judge)


@rule(
    "CTS023",
    "bits-stored",
    ERROR,
    title="HighBit is not BitsStored - 1, or values need more bits than BitsStored",
    why="Readers differ in what they do: some cut the bits above BitsStored off, some read all that there are, and some shift by HighBit, so that the same file has other CT values in each. The figures of this report are of values that are cut. Padding is left out.",
    fix="Write BitsStored and HighBit as the values need them, or fetch the original.",
    source="DICOM PS3.5 8.1.1 (pixel data encoding), PS3.3 C.8.2.1 (CT Image: High Bit is Bits Stored - 1)",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "image-values")),
)
def bits_stored(context: Context) -> Checked:
    """Every CT series; values are looked at where the pixels were read."""

    def judge(series: CtSeries) -> Iterable[Found]:
        slices = series.slices
        stored, high = slices["bits_stored"], slices["high_bit"]
        shifted = slices.present("bits_stored") & slices.present("high_bit") & (high != stored - 1)
        wide = slices["wide_pixels"] > 0
        words = []
        if shifted.any():
            pairs = Counter(zip(high[shifted].tolist(), stored[shifted].tolist(), strict=True))
            named = [f"HighBit {number(one)} beside BitsStored {number(other)}" for one, other in sorted(pairs)]
            words.append(f"{listed(named)} in {plural(int(shifted.sum()), 'slice')}")
        if wide.any():
            pixels = plural(int(slices["wide_pixels"][wide].sum()), "pixel")
            bits = listed([number(value) for value in sorted(set(stored[wide].tolist()))])
            words.append(f"{pixels} of {plural(int(wide.sum()), 'slice')} with more than the {bits} bits of BitsStored")
        if words:
            observed = "; ".join(words)
            places = (shifted | wide).nonzero()[0].tolist()
            message = f"{observed}: {listed(series.names(context, places))}."
            yield series.found(
                context, message, "HighBit one less than BitsStored, and values within its bits", observed, places
            )

    return each_series(context, judge)


@rule(
    "CTS024",
    "pixels-not-original",
    WARNING,
    title="Compressed with loss, derived or secondary, or not in Hounsfield units",
    why="The values are no longer the scanner's: compression with loss and averages change noise and texture, which radiomics measures; reformats are interpolated; and a RescaleType other than HU says that the values are none of a CT. All three are legal. An image that was compressed with loss is DERIVED for that, which is told once.",
    fix="Use the original series, or describe what was done to it.",
    source="DICOM PS3.3 C.7.6.1.1.5 (Lossy Image Compression), C.7.6.1.1.2 and C.8.2.1.1.1 (Image Type), C.11.1.1.2 (Rescale Type)",
    tables=TABLES,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("image-values",), care=("segmentation",)),
)
def pixels_not_original(context: Context) -> Checked:
    """Every CT series."""

    def judge(series: CtSeries) -> Iterable[Found]:
        slices = series.slices
        lossy = _lossy(series)
        if lossy:
            observed = _loss(context, series, lossy)
            message = (
                f"{plural(len(lossy), 'slice')} {agree(len(lossy), 'was', 'were')} compressed with loss ({observed})."
            )
            yield series.found(context, message, "no loss", observed, lossy, column="LossyImageCompression", seen_at=())
        made = {
            place: [word for word in _MADE if word in value.upper().split("\\")[:2]]
            for place, value in enumerate(map(_stripped, slices["image_type"].tolist()))
            if place not in set(lossy)
        }
        derived = [place for place, words in made.items() if words]
        # Of some slices alone it is a difference inside the series, which CTS032 tells.
        if derived and len(derived) == len(made):
            observed = listed(sorted({"\\".join(made[place]) for place in derived}))
            message = f"ImageType says that {plural(len(derived), 'slice')} {are(len(derived))} {observed}."
            yield series.found(context, message, "ORIGINAL\\PRIMARY", observed, derived, column="ImageType", seen_at=())
        types = {place: value.upper() for place, value in enumerate(map(_stripped, slices["rescale_type"].tolist()))}
        other = [place for place, value in types.items() if value not in ("", _HU)]
        if other:
            shown = listed([context.show.text(value, _RESCALE_TYPES) for value in sorted({types[p] for p in other})])
            message = f"RescaleType of {plural(len(other), 'slice')} is {shown}, not {_HU}."
            yield series.found(context, message, f"{_HU}, or none", shown, other, column="RescaleType", seen_at=())

    return each_series(context, judge)


def _stripped(value: str | None) -> str:
    """A text without blanks around its values; empty where it is missing."""
    return "\\".join(part.strip() for part in (value or "").split("\\"))


def _lossy(series: CtSeries) -> list[int]:
    """Slices that were compressed with loss, by what they say or by how they are compressed now."""
    said = map(_stripped, series.slices["lossy_image_compression"].tolist())
    syntaxes = series.slices["transfer_syntax_uid"].tolist()
    return [
        place
        for place, (value, syntax) in enumerate(zip(said, syntaxes, strict=True))
        if value.lstrip("0") == "1" or syntax in _LOSSY_SYNTAXES
    ]


def _loss(context: Context, series: CtSeries, lossy: list[int]) -> str:
    """What is said of the loss: `ratio 18.2, method ISO_15444_1`."""
    words = []
    for column, name, known in (("lossy_ratio", "ratio", ()), ("lossy_method", "method", _LOSSY_METHODS)):
        values = sorted({value for value in series.slices[column][lossy] if value is not None})
        shown = [
            listed(
                [context.show.text(part, known) for part in _stripped(value).split("\\", _MOST_LOSSES)[:_MOST_LOSSES]]
            )
            for value in values
        ]
        if shown:
            words.append(f"{name} {listed(shown)}")
    return ", ".join(words) or "ratio and method not told"


@rule(
    "CTS035",
    "slice-pixels-not-read",
    ERROR,
    title="The pixels of a slice could not be read",
    why="No CT value of it was looked at, and rules on values leave it out. Where REL005, REL017, CTS019 or CTS022 tell why, they are told there; what no decoder is installed for leaves the audit incomplete.",
    fix="Download or export the file again, as one monochrome image of whole numbers.",
    source="DICOM PS3.3 C.8.2.1 (CT Image), C.7.6.3 (Image Pixel), C.7.6.24 (Floating Point Image Pixel, which no CT image has)",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    spoils=Spoils(out=("segmentation", "image-values")),
)
def slice_pixels_not_read(context: Context) -> Checked:
    """Every CT series whose pixels were asked for."""
    lengths = _wrong_lengths(context)

    def judge(series: CtSeries) -> Iterable[Found]:
        slices = series.slices
        untold = {
            place: text(slices["pixels_detail"][place]) or "no reason is known"
            for place in slices.others("pixels", {"read", "not-asked", "no-decoder"})
            if slices["path"][place] not in lengths
            and text(slices["encoding_found"][place]) != ENCAPSULATED
            and text(slices["photometric_interpretation"][place]) in (None, _MONOCHROME2, "MONOCHROME1")
            and _NEEDED.isdisjoint(json.loads(text(slices["missing"][place]) or "[]"))
        }
        if untold:
            reasons = listed(sorted(set(untold.values())))
            names = listed(series.names(context, untold))
            message = f"The pixels of {plural(len(untold), 'slice')} were not read ({names}): {reasons}."
            yield series.found(context, message, "pixels that can be read", reasons, list(untold))

    return each_series(context, judge)


_NEEDED: Final = frozenset({"Rows", "Columns", "BitsAllocated", "SamplesPerPixel"})
"""Attributes without which no pixels can be read; CTS019 tells of them."""


def _wrong_lengths(context: Context) -> frozenset[str]:
    """Files whose Pixel Data has another length than the header needs (REL005)."""
    files = context["files"]
    known = files["pixel_bytes_expected"].notna() & files["pixel_bytes_found"].notna()
    return frozenset(files["path"][known & (files["pixel_bytes_expected"] != files["pixel_bytes_found"]).fillna(False)])
