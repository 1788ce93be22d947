"""Reads the header of one DICOM file, up to the pixels.

Nothing here raises for bad data but `Unreadable`, which carries the problem's code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import SEEK_END, BufferedIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from crlm_qc.evidence import limits
from crlm_qc.evidence.dicom.encoding import VR_CODES, Encoding, Inflated, Start, codec_of, read_start
from crlm_qc.evidence.dicom.items import elements_ahead
from crlm_qc.evidence.dicom.values import NATIVE, has_value, integer, reals, text
from crlm_qc.evidence.limits import Beyond, refuse
from crlm_qc.evidence.source import Item
from crlm_qc.model.tables import ENCAPSULATED, TOO_LARGE

if TYPE_CHECKING:
    from pydicom.tag import BaseTag

UNDEFINED = 0xFFFFFFFF
MAX_AFTER = 1 << 16
"""Elements after Pixel Data that are longer, bytes, are not kept."""
_LAST_PIXEL_TAG = 0x7FE00010
_PIXEL_TAGS = frozenset(range(0x7FE00008, _LAST_PIXEL_TAG + 1))
_BEGINNING = 1024
"""Bytes of the first fragment that show by what it was compressed."""
_LONG = 1 << 16
"""Values that are longer, bytes, are looked at before they are read."""
HEAD = 8
"""Bytes that an element takes at least."""
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD


class Unreadable(Exception):  # noqa: N818 - a state of the file, not of the program
    """The file can't be read as DICOM.

    Parameters
    ----------
    problem : str
        A code of the `files` contract.
    detail : str
        The problem in words, with no text from the file.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


@dataclass(slots=True)
class PixelElement:
    """The Pixel Data element (or Float or Double Float Pixel Data) as the file has it."""

    file: Item
    """The file that it lies in."""
    offset: int
    """Where its value begins."""
    found: int
    """Bytes of its value that are there; of an encapsulated one, bytes of its fragments."""
    encapsulated: bool
    end: int
    """Where the value ends."""
    vr: str
    """Its VR: bytes of OW are swapped in a big-endian file, those of OB are not."""
    beginning: bytes = b""
    """Of an encapsulated one, the first bytes of its first fragment."""
    held: bytes | memoryview | None = None
    """The value, once it was read."""

    @property
    def length(self) -> int:
        """Bytes that the value takes in the file."""
        return self.end - self.offset

    def hold(self, stream: BinaryIO, room: memoryview | None = None) -> None:
        """Read the value from the open file and keep it, in memory that there is room in."""
        stream.seek(self.offset)
        if room is None:
            self.held = stream.read(self.length)
        else:
            self.held = room[: cast(BufferedIOBase, stream).readinto(room)].toreadonly()

    def value(self) -> bytes | memoryview:
        """The value, of an encapsulated one with its items: kept since the header was read, or read now."""
        if self.held is not None:
            return self.held
        return self.file.read(self.offset, self.length)


def undecodable(transfer_syntax: str | None, pixels: PixelElement) -> bool:
    """Whether a failure to read Pixel Data may be the decoder's, so that no rule on lengths and attributes tells of it."""
    return transfer_syntax != ENCAPSULATED and compressed(transfer_syntax, pixels)


def compressed(transfer_syntax: str | None, pixels: PixelElement) -> bool:
    """Whether Pixel Data must be decoded before its values can be read."""
    return pixels.encapsulated or transfer_syntax not in NATIVE


@dataclass(slots=True)
class Header:
    """The header of one DICOM file."""

    data: Dataset
    start: Start
    """What stands before it: the file meta information, and how the data set is written."""
    size: int
    pixels: PixelElement | None
    trailing: int
    """Bytes after the data set that are no element."""
    after: list[tuple[int, str | None, bytes]] = field(default_factory=list)
    """Elements after Pixel Data: tag, VR (None where the file says none) and value; long ones are left out."""
    malformed: list[str] = field(default_factory=list)
    """Keywords of values that could not be read as what they should be."""

    @property
    def meta(self) -> Dataset:
        """File meta information."""
        return self.start.meta

    @property
    def encoding_found(self) -> str | None:
        """The transfer syntax that the file is really written in, where TransferSyntaxUID says another; None if it is true."""
        if self.start.contradicts:
            return self.start.written
        return None if self.start.declared in (None, self.transfer_syntax) else self.transfer_syntax

    @property
    def transfer_syntax(self) -> str | None:
        """The transfer syntax that Pixel Data is read by: TransferSyntaxUID, if the file does not show another; `ENCAPSULATED` of fragments that can't be what it says."""
        start, pixels = self.start, self.pixels
        if pixels is not None and pixels.encapsulated:
            found = codec_of(pixels.beginning, start.declared) or start.declared
            return ENCAPSULATED if found in NATIVE else found
        native = start.says_unlike_native and pixels is not None and pixels.found == padded(native_bytes(self.data))
        return start.written if native or start.declared is None or start.declared in NATIVE else start.declared

    def integer(self, keyword: str) -> int | None:
        """A whole number; one that is malformed is noted."""
        value = integer(self.data, keyword)
        self._note(keyword, value)
        return value

    def reals(self, keyword: str, length: int) -> tuple[float, ...] | None:
        """Decimal numbers, all of them or none; a malformed or wrong number of them is noted."""
        values = reals(self.data, keyword, length)
        self._note(keyword, values)
        return values

    def spacings(self, keyword: str, length: int) -> tuple[float, ...] | None:
        """Distances, all of them or none; where one is not above 0, they are noted as malformed."""
        values = self.reals(keyword, length)
        if values is not None and min(values) <= 0:
            self.malformed.append(keyword)
            return None
        return values

    def real(self, keyword: str) -> float | None:
        """A decimal number; one that is malformed is noted."""
        values = self.reals(keyword, 1)
        return None if values is None else values[0]

    def _note(self, keyword: str, value: object) -> None:
        if value is None and has_value(self.data, keyword):
            self.malformed.append(keyword)


_COLOURS = 3
_SHARED_COLOUR = {"YBR_FULL_422": 4, "YBR_PARTIAL_422": 4, "YBR_PARTIAL_420": 3}
"""Halves of a sample stored for each pixel of three, where pixels share their colour (PS3.3 C.7.6.3.1.2)."""


def native_bytes(data: Dataset) -> int | None:
    """Bytes that Pixel Data needs without compression and without padding (PS3.5 8.1.1); None if that can't be told."""
    size = [integer(data, keyword) for keyword in ("Rows", "Columns", "BitsAllocated")]
    if any(value is None for value in size):
        return None
    rows, columns, bits = (int(value or 0) for value in size)
    frames = integer(data, "NumberOfFrames")
    if (frames is None and has_value(data, "NumberOfFrames")) or (frames is not None and frames < 1):
        return None
    samples = integer(data, "SamplesPerPixel")
    photometric = text(data, "PhotometricInterpretation")
    total = rows * columns * bits * (1 if frames is None else frames) * (1 if samples is None else samples)
    if samples == _COLOURS and photometric in _SHARED_COLOUR:
        total = total * _SHARED_COLOUR[photometric] // (2 * _COLOURS)
    needed = -(-total // 8)
    return needed if 0 <= needed < 1 << 62 else None


def padded(length: int | None) -> int | None:
    """A length with the byte that pads an odd one (PS3.5 8.1.1)."""
    return None if length is None else length + length % 2


def quiet() -> None:
    """Have pydicom take values as they are, without checking them: the rules judge."""
    config.settings.reading_validation_mode = config.IGNORE


def read_header(stream: BinaryIO, file: Item) -> Header:
    """Read a header up to the Pixel Data, which is measured and not read.

    Parameters
    ----------
    stream : binary file
        The file, open at its beginning and buffered.
    file : Item
        What opens it again, for Pixel Data that are read later.

    Returns
    -------
    Header
        Raw elements, and where Pixel Data lies.

    Raises
    ------
    Unreadable
        Empty, not DICOM (PS3.10 7.1: no preamble and prefix), or the header ends early or makes no sense.
    OSError
        The disk would not give it.
    """
    size = whole_size = stream.seek(0, SEEK_END)
    stream.seek(0)
    if size == 0:
        raise Unreadable("empty", "the file has no bytes")
    whole = stream
    watch: _Watch | None = None
    try:
        start = read_start(stream, size)
        if start is None:
            raise Unreadable("not-dicom", "no DICOM prefix after 128 bytes (PS3.10 7.1)")
        stream, size = start.stream, start.size
        implicit, little, _ = start.encoding
        allowed = max(limits.HEADER_ELEMENTS, whole_size // limits.BYTES_AN_ELEMENT)
        watch = _Watch(stream, size, start.encoding, allowed)
        data = read_dataset(stream, is_implicit_VR=implicit, is_little_endian=little, stop_when=watch)
    except (Unreadable, OSError):
        raise
    except Inflated as reason:
        raise Unreadable("bad-header", str(reason)) from None
    except Beyond as reason:
        raise Unreadable(TOO_LARGE, str(reason)) from None
    except (EOFError, struct.error, MemoryError):
        # No memory: an element inside of a sequence claims more bytes than the file has.
        raise Unreadable("cut-header", "the file ends within its header") from None
    except Exception as error:  # noqa: BLE001 - a broken file may make the parser raise anything
        cut = not (watch and watch.stopped) and stream.tell() >= size
        problem, words = (
            ("cut-header", "the file ends within its header") if cut else ("bad-header", "the header can't be parsed")
        )
        raise Unreadable(problem, f"{words} ({type(error).__name__})") from None
    if start.problem == "no-file-meta" and not has_value(data, "SOPClassUID"):
        raise Unreadable("not-dicom", "no DICOM prefix after 128 bytes, and no data set (PS3.10 7.1)")
    if not watch.stopped:
        _refuse_cut(data, watch, size)
        return Header(data, start, size, None, 0)
    pixels = _locate_pixels(stream, size, data, file)
    if stream is not whole:
        # Inflated: nothing can be opened again to read them.
        pixels.hold(stream)
    after: list[tuple[int, str | None, bytes]] = []
    trailing = _trailing(stream, size, data, pixels.end, after)
    return Header(data, start, size, pixels, trailing, after)


class _Watch:
    """Stops the parser before Pixel Data, remembers what it saw last at the top level, and refuses what no header holds."""

    __slots__ = ("_allowed", "_counted", "_encoding", "_size", "_stream", "last", "seen", "stopped")

    def __init__(self, stream: BinaryIO, size: int, encoding: Encoding, allowed: int) -> None:
        self.last = -1
        self.stopped = False
        self.seen = 0
        self._stream = stream
        self._size = size
        self._encoding = encoding
        self._allowed = allowed
        self._counted = False

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG002 - pydicom's signature
        self.last = tag
        self.seen += 1
        # Looking a tag up is several times faster than comparing it.
        self.stopped = tag in _PIXEL_TAGS
        if not self.stopped and (length > _LONG or self.seen > self._allowed):
            self._refuse(length)
        return self.stopped

    def _refuse(self, length: int) -> None:
        """Raise if a value is longer than the file, or if too many elements follow from here on."""
        here = self._stream.tell()
        left = self._size - here
        if length not in (UNDEFINED, 0) and length > left:
            raise Unreadable("cut-header", "an element claims more bytes than the file has")
        found = self.seen
        if not self._counted and left > HEAD * self._allowed:
            self._counted = True
            found += elements_ahead(self._stream, length, self._encoding, self._allowed, seen=found)
            self._stream.seek(here)
        refuse(found, self._allowed, "its header has {} elements or more")


def _refuse_cut(data: Any, watch: _Watch, size: int) -> None:
    """Raise if the file ended inside an element: pydicom hands such a value out cut short, without a word."""
    keys = list(data.keys())
    if not keys:
        raise Unreadable("cut-header", "the file ends before its data set")
    last = data.get_item(keys[-1], keep_deferred=True)
    cut = last.tag != watch.last
    if isinstance(last, RawDataElement) and last.length != UNDEFINED:
        cut = cut or last.value_tell + last.length != size
    if cut:
        raise Unreadable("cut-header", "the file ends within its header")


def _locate_pixels(stream: BinaryIO, size: int, data: Any, file: Item) -> PixelElement:
    """Measure the Pixel Data element that the stream stands before."""
    element = _element_at(stream, stream.tell(), *_encoding(data))
    if element is None:
        raise Unreadable("cut-header", "the file ends within its header")
    _, vr, length, offset = element
    if length != UNDEFINED:
        found = max(0, min(length, size - offset))
        return PixelElement(file, offset, found, False, offset + found, vr)
    found, position, fragments = 0, offset, 0
    beginning, end = b"", size
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            break
        group, number, length = struct.unpack("<HHL", head)
        position += 8
        tag = group << 16 | number
        if tag != _ITEM or length == UNDEFINED:
            end = position if tag == _SEQUENCE_END else position - 8
            break
        there = max(0, min(length, size - position))
        if fragments == 1:
            # The first item is the Basic Offset Table.
            beginning = stream.read(min(there, _BEGINNING))
        fragments += 1
        found += there
        position += there
    return PixelElement(file, offset, found, True, end, vr, beginning)


def _trailing(stream: BinaryIO, size: int, data: Any, position: int, after: list[tuple[int, str | None, bytes]]) -> int:
    """Bytes after Pixel Data that are no element; padding (FFFC,FFFC) and later groups are elements, and are kept."""
    last = _LAST_PIXEL_TAG
    while position < size:
        element = _element_at(stream, position, *_encoding(data))
        if element is None:
            return size - position
        tag, vr, length, offset = element
        if tag <= last:
            return size - position
        if length == UNDEFINED:
            # Only a Digital Signatures Sequence comes so late with an undefined length; its end is not looked for.
            return 0
        if offset + length > size:
            return size - position
        if length <= MAX_AFTER:
            stream.seek(offset)
            after.append((tag, None if data.original_encoding[0] else vr, stream.read(length)))
        last, position = tag, offset + length
    return 0


def _encoding(data: Any) -> tuple[bool, bool]:
    implicit, little = data.original_encoding
    return bool(implicit), bool(little)


def _element_at(stream: BinaryIO, position: int, implicit: bool, little: bool) -> tuple[int, str, int, int] | None:
    """Tag, VR, length and value offset of the element at a position; None if there is none."""
    stream.seek(position)
    head = stream.read(12)
    order = "<" if little else ">"
    if len(head) < 8:
        return None
    group, number = struct.unpack(order + "HH", head[:4])
    tag = group << 16 | number
    if implicit:
        return tag, "OW", struct.unpack(order + "L", head[4:8])[0], position + 8
    if head[4:6] not in VR_CODES:
        return None
    vr = head[4:6].decode()
    if vr not in EXPLICIT_VR_LENGTH_32:
        return tag, vr, struct.unpack(order + "H", head[6:8])[0], position + 8
    if len(head) < 12:
        return None
    return tag, vr, struct.unpack(order + "L", head[8:12])[0], position + 12
