"""Masks of the frames, packed one bit a voxel, from any encoding of a segmentation object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import ExplicitVRBigEndian

from crlm_qc.evidence import limits
from crlm_qc.evidence.ct import Row
from crlm_qc.evidence.dicom.decoding import FLOAT_VRS, NO_FLOATS, Unmeasured, decoder_for, refuse_blown, undecoded
from crlm_qc.evidence.dicom.header import Header, PixelElement, compressed
from crlm_qc.evidence.dicom.values import NATIVE, integer, tag_of
from crlm_qc.evidence.dso import LABEL_MAP, DsoRows
from crlm_qc.evidence.limits import refuse
from crlm_qc.geometry import masks
from crlm_qc.geometry.masks import Packed
from crlm_qc.geometry.packing import bit_order

LARGEST_FRACTION = 255
"""Maximum Fractional Value of eight bits, where an object names none."""
_PIXEL_DATA = "PixelData"
_OTHERWISE = "Pixel Data is packed otherwise than the standard says"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"

FrameMasks = Mapping[int, Packed]
"""Segment Number to the plane of one frame."""


def frame_masks(header: Header, found: DsoRows) -> Iterator[FrameMasks]:
    """The masks of every frame that has a row, in the order of frames."""
    dso = found.dso
    rows, columns, frames, bits = (dso.get(key) for key in ("rows", "columns", "number_of_frames", "bits_allocated"))
    if not rows or not columns or not frames or not bits:
        raise Unmeasured("failed", "Rows, Columns, NumberOfFrames or BitsAllocated is missing or zero")
    if header.pixels is None:
        raise Unmeasured("failed", "there is no Pixel Data")
    if min(rows, columns, frames) < 0:
        raise Unmeasured("failed", "Rows, Columns or NumberOfFrames is below 0")
    if dso.get("packing"):
        raise Unmeasured("misread", _OTHERWISE)
    if header.pixels.vr in FLOAT_VRS:
        raise Unmeasured("failed", NO_FLOATS)
    if not header.pixels.encapsulated and header.pixels.found * 8 < frames * rows * columns * bits:
        raise Unmeasured("failed", "Pixel Data is shorter than its frames need")
    _refuse_blown(header, header.pixels, rows, columns, frames)
    numbers = [row.get("segment_number") for row in found.frames]
    encoding = mask_encoding(dso)
    if encoding == "BINARY" and bits == 1 and header.transfer_syntax in NATIVE and not header.pixels.encapsulated:
        planes = masks.planes_from_pixel_data(_bits(header, header.pixels, dso), frames, rows, columns)
        for number, plane in zip(numbers, planes, strict=False):
            yield {} if number is None else {number: plane}
        return
    decoded = zip(numbers, _decoded(header, rows, columns), strict=False)
    if encoding == "FRACTIONAL":
        yield from _fractional(header, found, bits, decoded)
        return
    for number, voxels in decoded:
        if encoding == "LABELMAP":
            labels = [int(label) for label in np.unique(voxels) if label != _background(header)]
            refuse(len(labels), limits.SEGMENTS, "a frame of the label map holds {} segments")
            yield {label: masks.pack(voxels == label) for label in labels}
        else:
            yield {} if number is None else {number: masks.pack(voxels != 0)}


def _refuse_blown(header: Header, pixels: PixelElement, rows: int, columns: int, frames: int) -> None:
    """Raise if there are more voxels than a file of its size can be of.

    Raises
    ------
    Beyond
        There are.
    """
    most = max(limits.MASK_VOXELS, limits.VOXELS_A_BYTE * (pixels.file.size or 0))
    refuse(rows * columns * frames, most, "its frames have {} voxels")
    if compressed(header.transfer_syntax, pixels):
        refuse_blown(rows, columns, frames, pixels.found, pixels.beginning)


def _fractional(
    header: Header, found: DsoRows, bits: int, decoded: Iterable[tuple[int | None, npt.NDArray[Any]]]
) -> Iterator[FrameMasks]:
    """Masks of fractional frames: a voxel belongs to a segment where at least half of it does."""
    maximum = found.dso["fractional_maximum"] = integer(header.data, "MaximumFractionalValue")
    # Without a maximum it is what eight bits hold; objects of fewer hold less.
    most = maximum or min((1 << bits) - 1, LARGEST_FRACTION)
    largest: dict[int, int] = {}
    for number, voxels in decoded:
        if number is None:
            yield {}
            continue
        largest[number] = max(largest.get(number, 0), int(voxels.max(initial=0)))
        yield {number: masks.pack(voxels * 2.0 >= most)}
    for row in found.segments:
        if row["segment_number"] in largest:
            row["fraction_max"] = largest[row["segment_number"]] / most


def _bits(header: Header, pixels: PixelElement, dso: Row) -> bytes | memoryview | Packed:
    """Native masks of one bit a voxel, in the order that the standard has them."""
    content = _packed(header, pixels)
    if other := bit_order(content):
        dso |= {"packing": other.order, "byte_steps": other.stored, "byte_steps_mended": other.mended}
        raise Unmeasured("misread", _OTHERWISE)
    return content


def _packed(header: Header, pixels: PixelElement) -> bytes | memoryview | Packed:
    """Bits in the order of voxels: a big-endian file has the bytes of each word swapped (PS3.5 7.3)."""
    value = pixels.value()
    if header.transfer_syntax != ExplicitVRBigEndian or pixels.vr != "OW":
        return value
    return np.frombuffer(value, dtype=">u2", count=len(value) // 2).astype("<u2").view(np.uint8)


def mask_encoding(dso: Row) -> str:
    """How the masks are encoded: `BINARY`, `FRACTIONAL` or `LABELMAP`."""
    if dso.get("sop_class_uid") == LABEL_MAP or dso.get("segmentation_type") == "LABELMAP":
        return "LABELMAP"
    return "FRACTIONAL" if dso.get("segmentation_type") == "FRACTIONAL" else "BINARY"


def _background(header: Header) -> int:
    padding = integer(header.data, "PixelPaddingValue")
    return 0 if padding is None else padding


def _decoded(header: Header, rows: int, columns: int) -> Iterator[npt.NDArray[Any]]:
    """Frames with one element a voxel, one at a time, through pydicom's decoders."""
    decoder = decoder_for(header.transfer_syntax)
    _attach_pixels(header)
    try:
        for voxels, _ in decoder.iter_array(header.data, raw=True):
            if voxels.shape != (rows, columns):
                raise Unmeasured("failed", "a frame decodes to another size than Rows and Columns")
            yield voxels
    except Unmeasured:
        raise
    except Exception as error:  # noqa: BLE001 - broken Pixel Data may make a decoder raise anything
        raise undecoded(decoder, error) from None


def _attach_pixels(header: Header) -> None:
    """Put Pixel Data, as the file has it, into the data set for pydicom's decoders."""
    pixels = header.pixels
    if pixels is None or tag_of(_PIXEL_DATA) in header.data:
        return
    value = bytes(pixels.value())
    if pixels.encapsulated:
        value = value.removesuffix(_SEQUENCE_END)
    header.data.add_new(tag_of(_PIXEL_DATA), pixels.vr, value)
    header.data[_PIXEL_DATA].is_undefined_length = pixels.encapsulated
