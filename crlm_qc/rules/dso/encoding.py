"""How the masks are encoded: frames, bytes, type, dimensions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.tables import TOO_LARGE
from crlm_qc.model.words import are, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.dso._shared import GROUPS, OWN, WITH_CT, each_dso, frames_miscounted, length_wrong, unmeasured
from crlm_qc.subjects.columns import ORIENTATION, POSITION
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.sources import frames_at_one_position, sources_of
from crlm_qc.subjects.words import commonest, text, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from crlm_qc.subjects.columns import Flags

_BINARY = "BINARY"
_TYPES = frozenset({_BINARY, "FRACTIONAL", "LABELMAP"})
_SEGMENT_POINTER, _POSITION_POINTER = "0062000B", "00200032"


@rule(
    "DSO015",
    "frame-count-differs",
    ERROR,
    title="NumberOfFrames differs from the per-frame items",
    why="Readers go by one or the other: frames are lost, or get another frame's segment and position. Without the sequence nothing is known of any frame, so the rules on frames (DSO008, DSO014, DSO018, DSO019, DSO030) stay silent.",
    fix="Write the object again with one Per-Frame Functional Groups item a frame.",
    source=GROUPS,
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def frame_count_differs(context: Context) -> Checked:
    """Every segmentation object; a Label Map or binary object alike."""

    def judge(dso: Dso) -> Iterable[Found]:
        frames, items = whole(dso.row["number_of_frames"]), whole(dso.row["n_frame_items"])
        if frames_miscounted(dso):
            shown = "missing" if frames is None else str(frames)
            there = "no Per-Frame Functional Groups Sequence" if items is None else plural(items, "per-frame item")
            message = f"NumberOfFrames is {shown}, and there {are(1 if items is None else items)} {there}."
            # Without a number, the items are all that there is to go by.
            expected = f"NumberOfFrames {items}" if frames is None and items else plural(frames or 1, "per-frame item")
            observed = "missing" if frames is None and items else "none" if items is None else str(items)
            yield dso.found(context, message, expected, observed)

    return each_dso(context, judge)


@rule(
    "DSO016",
    "mask-data-length",
    ERROR,
    title="Pixel Data length differs from what the frames need",
    why="The last masks are cut off, or every frame after a surplus is shifted into the next; where the length is that of another layout, the masks are not judged. A missing padding byte at the end of all bits is a warning. Silent where the length fits the per-frame items, so that NumberOfFrames alone is wrong (DSO015).",
    fix="Export the object again.",
    source="DICOM PS3.5 8.1.1 and D (bit-packed pixel data)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def mask_data_length(context: Context) -> Checked:
    """Every object that is not compressed."""

    def judge(dso: Dso) -> Iterable[Found]:
        needed, found = whole(dso.row["pixel_bytes_expected"]), whole(dso.row["pixel_bytes_found"])
        if needed is None or found is None or not length_wrong(dso):
            return
        frames = whole(dso.row["number_of_frames"]) or 0
        unpadded = found == whole(dso.row["pixel_bytes_unpadded"])
        message = f"Pixel Data holds {plural(found, 'byte')}, " + (
            "an odd number: all bits are there, and the byte that pads them is missing."
            if unpadded
            else f"{plural(abs(found - needed), 'byte')} too {'few' if found < needed else 'many'} for "
            f"{plural(frames, 'frame')}.{_layout(dso, frames)}"
        )
        yield dso.found(
            context, message, plural(needed, "byte"), plural(found, "byte"), severity=WARNING if unpadded else None
        )

    return each_dso(context, judge)


@rule(
    "DSO042",
    "masks-out-of-proportion",
    ERROR,
    title="The masks ask for more than an object of its size can hold",
    why="A small object whose masks unpack to gigabytes, or are of thousands of segments, is damaged, made to stop whoever opens it, or holds an image in place of masks. Its masks were not measured, and no rule judges them.",
    fix="Export the object again from its source; store images and probability maps as such, not as segments.",
    source="DICOM PS3.3 C.8.20.2 (Segmentation Image), PS3.5 8.2 (compressed Pixel Data); sizes of the published objects",
    tables=OWN,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values"), care=("sharing",)),
)
def masks_out_of_proportion(context: Context) -> Checked:
    """Every object whose masks were to be measured."""

    def judge(dso: Dso) -> Iterable[Found]:
        if dso.row["masks"] == TOO_LARGE:
            # The reader writes the detail, with no text from the file.
            detail = text(dso.row["masks_detail"]) or "too much"
            message = f"The masks were not measured: {detail}."
            yield dso.found(context, message, "no more than real objects hold several times over", detail)

    return each_dso(context, judge, lambda dso: dso.row["masks"] != "not-asked")


_LAYOUTS = {
    "frames-in-bytes": "take if each begins a new byte, where bits should run on from frame to frame",
    "segments-in-bytes": "take if each segment begins a new byte, where bits should run on from frame to frame",
    "frames-in-words": "take if each is padded to an even number of bytes",
    "rows-in-bytes": "take if each row begins a new byte",
    "bytes-for-bits": "take with a byte a pixel, and BitsAllocated is 1",
    "bits-for-bytes": "take with a bit a pixel, and BitsAllocated is 8",
}
"""Layouts that the length of Pixel Data may be that of, and what frames do in them."""


def _layout(dso: Dso, frames: int) -> str:
    """The layout that the length is that of, in words: ` That is just what 100 frames take if ...`; else nothing."""
    layout = _LAYOUTS.get(text(dso.row["packing"]) or "")
    return f" That is just what {plural(frames, 'frame')} {layout}; the masks were not judged." if layout else ""


@rule(
    "DSO034",
    "mask-bits-reordered",
    ERROR,
    title="The bits of the masks are packed in another order than the standard's",
    why="Every reader takes the first pixel from the lowest bit of the first byte, so that outlines come out torn into columns of eight pixels, and volumes and distances with them. No other rule judges these masks.",
    fix="Pack the bits anew, the first pixel into the lowest bit.",
    source="DICOM PS3.5 8.1.1 and D (bit-packed pixel data)",
    tables=OWN,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def mask_bits_reordered(context: Context) -> Checked:
    """Every object of one bit a pixel: whether its outlines get smooth in another order of the bits."""

    def judge(dso: Dso) -> Iterable[Found]:
        order = _ORDERS.get(text(dso.row["packing"]) or "")
        if order is None:
            return
        stored, mended = whole(dso.row["byte_steps"]), whole(dso.row["byte_steps_mended"])
        message = (
            f"The outlines are smooth if {order}: neighbours of two bytes differ {plural(mended or 0, 'time')} then, "
            f"and {plural(stored or 0, 'time')} as stored."
        )
        yield dso.found(context, message, "the first pixel in the lowest bit", f"packed as if {order}")

    def examined(dso: Dso) -> bool:
        return dso.row["masks"] in ("measured", "misread") and whole(dso.row["bits_allocated"]) == 1

    return each_dso(context, judge, examined)


_ORDERS = {
    "bits-reversed": "the bits of each byte are read from the highest",
    "bytes-swapped": "the bytes of each word of two are swapped",
    "bits-of-words-reversed": "the bits of each word of two bytes are read from the highest",
}
"""Orders of the bits, and how they are to be read."""


@rule(
    "DSO022",
    "not-binary",
    WARNING,
    title="Segmentation type or encoding other than published",
    why="The published objects are BINARY and uncompressed; many readers can't open fractional, label map or compressed ones. They are read all the same where that can be done; where BitsAllocated is why their masks were not, DSO040 says so.",
    fix="Export the object as BINARY in Explicit VR Little Endian.",
    source="DICOM PS3.3 C.8.20.2 (Segmentation Type); published description",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation",)),
)
def not_binary(context: Context) -> Checked:
    """Every segmentation object."""
    published = context.profile.published.transfer_syntax_uid

    def judge(dso: Dso) -> Iterable[Found]:
        kind, syntax = text(dso.row["segmentation_type"]), text(dso.row["transfer_syntax_uid"])
        bits = whole(dso.row["bits_allocated"])
        words, expected = [], []
        if kind != _BINARY:
            words.append(f"SegmentationType {context.show.text(kind, _TYPES)}")
            expected.append(f"SegmentationType {_BINARY}")
        elif bits != 1 and not unmeasured(dso):
            words.append(f"BitsAllocated {'missing' if bits is None else bits}")
            expected.append("BitsAllocated 1")
        # One that is untrue is REL017's.
        untrue = text(dso.row["encoding_found"]) is not None
        if None not in (syntax, published) and syntax != published and not untrue:
            words.append(f"TransferSyntaxUID {context.show.uid(syntax)}")
            expected.append(f"TransferSyntaxUID {published}")
        if words:
            yield dso.found(context, f"The object has {' and '.join(words)}.", "; ".join(expected), "; ".join(words))

    return each_dso(context, judge)


@rule(
    "DSO023",
    "dimension-index-contradicts",
    WARNING,
    title="DimensionIndexValues contradict positions or segments",
    why="Viewers order frames by their dimension indices: the frames of a segment come in the wrong order, or under the wrong segment. They are required in every frame where the Dimension Index Sequence has items. Frames that DSO011, DSO018 or DSO020 name are left alone.",
    fix="Write the indices anew from segment numbers and positions.",
    source="DICOM PS3.3 C.7.6.17 (Multi-frame Dimension), C.7.6.16.2.2 (Frame Content Macro: Dimension Index Values)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(care=("segmentation",)),
)
def dimension_index_contradicts(context: Context) -> Checked:
    """Every object with a Dimension Index Sequence, and with items for its frames (else DSO015)."""

    def judge(dso: Dso) -> Iterable[Found]:
        pointers = _pointers(dso)
        if not dso.frames.present("dimension_index").any():
            message = (
                f"No frame has DimensionIndexValues, and the object declares {plural(len(pointers), 'dimension')}."
            )
            expected = f"{plural(len(pointers), 'index', 'indices')} a frame"
            yield dso.found(context, message, expected, "none", count=len(dso.frames))
            return
        wrong, words = _index_contradictions(context, dso, pointers)
        if wrong.any():
            message = f"DimensionIndexValues of {dso.frames_by_segment(context, wrong)} {' and '.join(words)}."
            expected = "one index a segment, and indices that rise or fall with the position"
            count = int(wrong.sum())
            yield dso.found(context, message, expected, plural(count, "frame"), count=count, places=dso.first(wrong))

    return each_dso(context, judge, lambda dso: bool(_pointers(dso)) and dso.framed and len(dso.frames) > 0)


def _pointers(dso: Dso) -> list[str]:
    """Tags that the Dimension Index Sequence points to."""
    pointers: list[str] = json.loads(text(dso.row["dimension_pointers"]) or "[]")
    return pointers


def _index_contradictions(context: Context, dso: Dso, pointers: list[str]) -> tuple[Flags, list[str]]:
    """Frames whose indices contradict what they index, and how."""
    import numpy as np

    n = len(dso.frames)
    wrong = np.zeros(n, dtype=bool)
    values = [json.loads(value) if isinstance(value, str) else [] for value in dso.frames["dimension_index"].tolist()]
    length = np.array([len(value) for value in values])
    if (length != len(pointers)).any():
        return length != len(pointers), [f"do not count {plural(len(pointers), 'dimension')}"]
    index = np.array(values, dtype=np.float64).reshape(n, len(pointers))
    numbers = dso.numbers
    usable = ~sources_of(context, dso).elsewhere & np.isin(numbers, list(dso.declared_numbers))
    usable[[place for group in frames_at_one_position(context, dso) for place in group]] = False
    words = []
    if _SEGMENT_POINTER in pointers:
        chosen = _not_one_to_one(numbers, index[:, pointers.index(_SEGMENT_POINTER)], usable)
        if chosen.any():
            words.append("contradict their segments")
            wrong |= chosen
    if _POSITION_POINTER in pointers:
        chosen = _out_of_step(dso, index[:, pointers.index(_POSITION_POINTER)], usable)
        if chosen.any():
            words.append("contradict their positions")
            wrong |= chosen
    return wrong, words


def _not_one_to_one(numbers: npt.NDArray[np.float64], index: npt.NDArray[np.float64], usable: Flags) -> Flags:
    """Frames whose segment mostly has another index, or whose index mostly another segment."""
    import numpy as np

    wrong = np.zeros(len(numbers), dtype=bool)
    for keys, values in ((numbers, index), (index, numbers)):
        for key in np.unique(keys[usable]):
            own = usable & (keys == key)
            wrong |= own & (values != commonest(Counter(values[own].tolist())))
    return wrong


def _out_of_step(dso: Dso, index: npt.NDArray[np.float64], usable: Flags) -> Flags:
    """Frames whose index is not in the order of positions within their segment."""
    import numpy as np

    from crlm_qc.geometry.stack import unit_normal

    wrong = np.zeros(len(index), dtype=bool)
    if not len(index):
        return wrong
    axes = dso.frames.matrix(ORIENTATION)[0]
    along = dso.frames.matrix(POSITION) @ unit_normal(axes[:3], axes[3:])
    usable = usable & np.isfinite(along)
    numbers = dso.numbers
    groups = []
    rising = 0
    for value in np.unique(numbers[usable]):
        places = (usable & (numbers == value)).nonzero()[0]
        places = places[np.argsort(along[places], kind="stable")]
        groups.append(places)
        rising += int(np.sign(np.diff(index[places])).sum())
    for places in groups:
        steps = np.diff(index[places]) * (1 if rising >= 0 else -1)
        bad = steps <= 0
        wrong[places[:-1][bad]] = True
        wrong[places[1:][bad]] = True
    return wrong
