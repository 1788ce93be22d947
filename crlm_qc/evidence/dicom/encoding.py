"""Where the data set of a file begins, and how it is really written, whatever the file meta information says of it.

Most readers believe TransferSyntaxUID, and read pixels some bytes off where it is untrue. The first element tells.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

from pydicom.datadict import dictionary_has_tag
from pydicom.filereader import read_dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)
from pydicom.valuerep import VR

from crlm_qc.evidence import limits
from crlm_qc.evidence.dicom.values import NATIVE, integer, text
from crlm_qc.evidence.limits import Beyond

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

VR_CODES: Final = frozenset(vr.encode() for vr in VR if len(vr) == 2)
_PREAMBLE, _PREFIX = 128, b"DICM"
_HEAD = 8
_TASTE = 256
"""Bytes of a deflated data set that show whether it inflates to one."""
_META_GROUP, _LENGTH_ELEMENT = 0x0002, 12
_ANY_WAY: Final = frozenset(
    {"1.2.840.10008.1.20", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205", "1.2.840.113619.5.2"}
)
"""Papyrus, JPIP with a deflated data set, and GE's own with bytes of pixels swapped: how these are written is not judged."""

Encoding = tuple[bool, bool, bool]
"""Implicit VR, little endian, deflated."""
_EXPLICIT: Final[Encoding] = (False, True, False)
_NATIVE: Final[dict[str, Encoding]] = {
    ImplicitVRLittleEndian: (True, True, False),
    ExplicitVRLittleEndian: _EXPLICIT,
    ExplicitVRBigEndian: (False, False, False),
    DeflatedExplicitVRLittleEndian: (False, True, True),
}
_SYNTAX_OF: Final = {encoding: str(uid) for uid, encoding in _NATIVE.items()}


_FRAMES_OF_JPEG: Final = {
    0xC0: JPEGBaseline8Bit,
    0xC1: JPEGExtended12Bit,
    0xC3: JPEGLosslessSV1,
    0xF7: JPEGLSNearLossless,
}
"""Marker of the frame header (ISO/IEC 10918-1 and 14495-1) to the transfer syntax that reads any such frame."""
_SIZE_MARKER = 24
"""Bytes of a JPEG 2000 codestream up to the end of its image's size."""
_ALIKE: Final = (JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, [RLELossless])
"""Transfer syntaxes that the first bytes of a frame don't tell apart for sure."""


class Inflated(ValueError):  # noqa: N818 - a state of the file, not of the program
    """A deflated data set that can't be inflated; its words have no text from the file."""


@dataclass(frozen=True, slots=True)
class Start:
    """What stands before a data set, and how the data set is written."""

    stream: BinaryIO
    """Stands at the beginning of the data set, inflated if it was deflated."""
    size: int
    """Bytes up to the end of the data set."""
    meta: Dataset
    problem: str | None
    """`no-file-meta`, `no-preamble` or `no-transfer-syntax`; None if nothing is missing."""
    meta_length_off: int | None
    """FileMetaInformationGroupLength less what the file meta takes, bytes; None if that is right, or absent."""
    declared: str | None
    """TransferSyntaxUID."""
    encoding: Encoding

    @property
    def written(self) -> str:
        """The transfer syntax without compression that the data set is written in."""
        return _SYNTAX_OF[self.encoding]

    @property
    def contradicts(self) -> bool:
        """Whether the data set is written otherwise than TransferSyntaxUID says."""
        return _meant(self.declared) not in (None, self.encoding)

    @property
    def says_unlike_native(self) -> bool:
        """Whether TransferSyntaxUID is one of compressed Pixel Data, or none that is known: native Pixel Data shows it untrue."""
        return self.declared is not None and self.declared not in NATIVE and self.declared not in _ANY_WAY


def read_start(stream: BinaryIO, size: int) -> Start | None:
    """Read the file meta information, and look how the data set after it is written.

    Parameters
    ----------
    stream : binary file
        The file, open at its beginning.
    size : int
        Its bytes.

    Returns
    -------
    Start or None
        None if the file is not DICOM: it has no prefix (PS3.10 7.1), and does not begin as a data set does.

    Raises
    ------
    Inflated
        A deflated data set makes no sense.
    Beyond
        It grows without bounds.
    """
    start = stream.read(_PREAMBLE + len(_PREFIX))
    bare = start[_PREAMBLE:] != _PREFIX
    if bare:
        if start[: len(_PREFIX)] == _PREFIX:
            stream.seek(len(_PREFIX))
        elif encoding_of(start, size) is None:
            return None
        else:
            stream.seek(0)
    begin = stream.tell()
    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_not_meta)
    declared = text(meta, "TransferSyntaxUID")
    off = meta_length_off(meta, stream.tell() - begin)
    problem = None
    if bare:
        problem = "no-preamble" if len(meta) else "no-file-meta"
    elif declared is None:
        problem = "no-transfer-syntax"
    stream, size, encoding = _data_set(stream, size, declared)
    return Start(stream, size, meta, problem, off, declared, encoding)


def meta_length_off(meta: Dataset, taken: int) -> int | None:
    """FileMetaInformationGroupLength less the bytes that it should tell; None if that is right, or absent.

    Parameters
    ----------
    meta : pydicom.dataset.Dataset
        What holds it.
    taken : int
        Bytes of the file meta information, this element with them.
    """
    told = integer(meta, "FileMetaInformationGroupLength")
    return None if told is None else (told - (taken - _LENGTH_ELEMENT)) or None


def _not_meta(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom's signature
    return tag >> 16 != _META_GROUP


def _data_set(stream: BinaryIO, size: int, declared: str | None) -> tuple[BinaryIO, int, Encoding]:
    """The data set that a stream stands before, how long it is, and how it is written."""
    begin = stream.tell()
    head = stream.read(_TASTE)
    stream.seek(begin)
    found = encoding_of(head, size - begin)
    meant = _meant(declared) or _EXPLICIT
    if found is not None:
        return stream, size, (*found, False)
    if meant[2] or encoding_of(_taste(head), limits.INFLATED_BYTES) is not None:
        inflated = _inflate(stream.read())
        implicit, little = encoding_of(inflated, len(inflated)) or meant[:2]
        # No transfer syntax deflates any other way.
        return BytesIO(inflated), len(inflated), (implicit, little, True)
    return stream, size, meant


def _meant(syntax: str | None) -> Encoding | None:
    """How a transfer syntax writes a data set; None if that is not known."""
    if syntax is None or syntax in _ANY_WAY:
        return None
    if syntax in _NATIVE:
        return _NATIVE[syntax]
    uid = UID(syntax)
    return _EXPLICIT if uid.is_transfer_syntax and not uid.is_private else None


def encoding_of(head: bytes, size: int) -> tuple[bool, bool] | None:
    """Whether the first element is of implicit VR, and little endian; None if bytes begin with no element."""
    if len(head) < _HEAD:
        return None
    little = head[1] == 0
    if not little and head[0] != 0:
        # Data sets begin with a group far below 0100.
        return None
    if head[4:6] in VR_CODES:
        return False, little
    group, number, length = (int.from_bytes(part, "little") for part in (head[:2], head[2:4], head[4:8]))
    known = group > 0 and (number == 0 or dictionary_has_tag(group << 16 | number))
    return (True, True) if little and known and length <= size - _HEAD else None


def _taste(head: bytes) -> bytes:
    """The first bytes that a beginning inflates to; none if it is not deflated."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, _HEAD)
    except zlib.error:
        return b""


def _inflate(raw: bytes) -> bytes:
    """A deflated data set (PS3.5 A.5), refused if it grows without bounds."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(raw, limits.INFLATED_BYTES)
    except zlib.error:
        raise Inflated("the deflated data set can't be inflated") from None
    if inflater.unconsumed_tail:
        raise Beyond(f"the deflated data set inflates to over {limits.INFLATED_BYTES // limits.MIB} MiB")
    return inflated


def codec_of(frame: bytes, declared: str | None) -> str | None:
    """The transfer syntax that a compressed frame is of, by its first bytes.

    Parameters
    ----------
    frame : bytes
        The beginning of the first fragment.
    declared : str or None
        TransferSyntaxUID; it is given back where the frame may be of it.

    Returns
    -------
    str or None
        None if nothing can be told.
    """
    found = _codec(frame)
    if found is None:
        return None
    alike = next(syntaxes for syntaxes in _ALIKE if found in syntaxes)
    if declared in alike:
        return declared
    # Of codecs that are not known here (MPEG and the like), nothing is judged.
    known = declared in _NATIVE or declared is None or any(declared in syntaxes for syntaxes in _ALIKE)
    return str(found) if known else None


def pixels_of(frame: bytes) -> int | None:
    """Pixels that a compressed frame is of by its own header, whatever Rows and Columns say; None if that is not told.

    Parameters
    ----------
    frame : bytes
        The beginning of the first fragment.
    """

    def number(at: int, length: int) -> int:
        return int.from_bytes(frame[at : at + length], "big")

    if frame.startswith(b"\xff\x4f\xff\x51") and len(frame) >= _SIZE_MARKER:
        # Extent of the reference grid, less the offset of the image (ISO/IEC 15444-1 A.5.1).
        return max(0, number(8, 4) - number(16, 4)) * max(0, number(12, 4) - number(20, 4))
    at = 2 if frame.startswith(b"\xff\xd8") else len(frame)
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in _FRAMES_OF_JPEG:
            return number(at + 5, 2) * number(at + 7, 2)
        at += 2 + number(at + 2, 2)
    return None


def _codec(frame: bytes) -> UID | None:
    if frame.startswith(b"\xff\x4f\xff\x51"):
        return JPEG2000
    if len(frame) > _HEAD and 0 < frame[0] < 16 and frame[1:8] == b"\0\0\0\x40\0\0\0":
        # Number of segments, and the offset of the first: RLE's header is of 64 bytes (PS3.5 G.5).
        return RLELossless
    at = 2 if frame.startswith(b"\xff\xd8") else len(frame)
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in _FRAMES_OF_JPEG:
            return _FRAMES_OF_JPEG[frame[at + 1]]
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
