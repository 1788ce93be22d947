"""Opens one DICOM file and takes values from its header as they are found.

Nothing here raises for bad data but `Unreadable`, which carries the problem's code. Values are decoded from the raw
elements: several times faster than through pydicom's value classes, and nothing is normalised on the way.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydicom.tag import BaseTag

NATIVE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
"""Transfer syntaxes whose Pixel Data is not encapsulated (PS3.5 A.4)."""
UNDEFINED = 0xFFFFFFFF
MAX_INFLATED = 1 << 30
"""A deflated data set that grows beyond this many bytes is refused: it is no segmentation of this collection."""
MAX_AFTER = 1 << 16
"""Elements after Pixel Data that are longer, bytes, are not kept."""
MAX_LENGTH_MM = 1e5
"""A position or spacing beyond 100 m is no length in a patient: it counts as malformed, so that no figure is made of it."""
MAX_DIRECTION = 2.0
"""A direction cosine lies within 1; one beyond this, as far as rounding goes, is no direction and counts as malformed."""
_BOUNDS = {
    "ImagePositionPatient": MAX_LENGTH_MM,
    "PixelSpacing": MAX_LENGTH_MM,
    "SliceThickness": MAX_LENGTH_MM,
    "SpacingBetweenSlices": MAX_LENGTH_MM,
    "ImageOrientationPatient": MAX_DIRECTION,
}
_LAST_PIXEL_TAG = 0x7FE00010
_PIXEL_TAGS = frozenset(range(0x7FE00008, _LAST_PIXEL_TAG + 1))
_DEFLATED_UID = DeflatedExplicitVRLittleEndian.encode()
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_META_START, _META_GROUP_END = 140, 144
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*", re.ASCII)
_MAX_UID = 64
_WHOLE = re.compile(rb"[+-]?[0-9]{1,12}(\.0*)?")
_DECIMAL = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_INTEGER_BYTES = {"US": (2, False), "SS": (2, True), "UL": (4, False), "SL": (4, True)}
_BINARY = frozenset({*_INTEGER_BYTES, "US or SS", "AT", "FL", "FD", "OB", "OW", "OF", "OD"})
_CODES = frozenset(vr.encode() for vr in VR if len(vr) == 2)


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

    location: str
    """The file."""
    offset: int
    """Where its value begins."""
    found: int
    """Bytes of its value that are there; of an encapsulated one, bytes of its fragments."""
    encapsulated: bool
    end: int
    """Where the value ends."""
    vr: str
    """Its VR: bytes of OW are swapped in a big-endian file, those of OB are not."""
    held: bytes | None = None
    """The value, once it was read."""

    @property
    def length(self) -> int:
        """Bytes that the value takes in the file."""
        return self.end - self.offset

    def hold(self, stream: BinaryIO) -> None:
        """Read the value from the open file and keep it."""
        stream.seek(self.offset)
        self.held = stream.read(self.length)

    def value(self) -> bytes:
        """The value, of an encapsulated one with its items: kept since the header was read, or read now."""
        if self.held is not None:
            return self.held
        with Path(self.location).open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.length)


def compressed(transfer_syntax: str | None, pixels: PixelElement) -> bool:
    """Whether Pixel Data must be decoded before its values can be read."""
    return pixels.encapsulated or transfer_syntax not in NATIVE


@dataclass(slots=True)
class Header:
    """The header of one DICOM file."""

    data: Dataset
    meta: Dataset
    size: int
    pixels: PixelElement | None
    trailing: int
    """Bytes after the data set that are no element."""
    after: list[tuple[int, str | None, bytes]] = field(default_factory=list)
    """Elements after Pixel Data: tag, VR (None where the file says none) and value; long ones are left out."""
    malformed: list[str] = field(default_factory=list)
    """Keywords of values that could not be read as what they should be."""

    @property
    def transfer_syntax(self) -> str | None:
        """TransferSyntaxUID, as found."""
        return text(self.meta, "TransferSyntaxUID")

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


def quiet() -> None:
    """Have pydicom take values as they are, without checking them: the rules judge."""
    config.settings.reading_validation_mode = config.IGNORE


def read_header(stream: BinaryIO, size: int, location: str) -> Header:
    """Read a header up to the Pixel Data, which is measured and not read.

    Parameters
    ----------
    stream : binary file
        The file, open at its beginning and buffered.
    size : int
        Its size, bytes.
    location : str
        Where it can be opened again.

    Returns
    -------
    Header
        Raw elements, and where Pixel Data lies.

    Raises
    ------
    Unreadable
        Empty, not DICOM (PS3.10 7.1: no preamble and prefix), or the header ends early or makes no sense.
    """
    if size == 0:
        raise Unreadable("empty", "the file has no bytes")
    start = stream.read(512)
    stream.seek(0)
    if start[128:132] != b"DICM":
        raise Unreadable("not-dicom", "no DICOM prefix after 128 bytes (PS3.10 7.1)")
    watch, file = _Watch(), stream
    try:
        if _DEFLATED_UID in start:
            data, stream, size = _inflate(stream, watch)
        else:
            data = read_partial(stream, stop_when=watch)
    except Unreadable:
        raise
    except (EOFError, struct.error):
        raise Unreadable("cut-header", "the file ends within its header") from None
    except Exception as error:  # noqa: BLE001 - a broken file may make the parser raise anything
        cut = not watch.stopped and stream.tell() >= size
        problem, words = (
            ("cut-header", "the file ends within its header") if cut else ("bad-header", "the header can't be parsed")
        )
        raise Unreadable(problem, f"{words} ({type(error).__name__})") from None
    if not watch.stopped:
        _refuse_cut(data, watch, size)
        return Header(data, data.file_meta, size, None, 0)
    pixels = _locate_pixels(stream, size, data, location)
    if stream is not file:
        # Inflated: nothing can be opened again to read them.
        pixels.hold(stream)
    after: list[tuple[int, str | None, bytes]] = []
    trailing = _trailing(stream, size, data, pixels.end, after)
    return Header(data, data.file_meta, size, pixels, trailing, after)


class _Watch:
    """Stops the parser before Pixel Data, and remembers what it saw last at the top level."""

    __slots__ = ("last", "stopped")

    def __init__(self) -> None:
        self.last = -1
        self.stopped = False

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG002 - pydicom's signature
        self.last = tag
        # Looking a tag up is several times faster than comparing it.
        self.stopped = tag in _PIXEL_TAGS
        return self.stopped


def _inflate(stream: BinaryIO, watch: _Watch) -> tuple[Any, BinaryIO, int]:
    """Parse a deflated data set (PS3.5 A.5), refusing one that grows without bounds."""
    raw = stream.read()
    if len(raw) < _META_GROUP_END:
        raise Unreadable("cut-header", "the file ends within its header")
    end = _META_GROUP_END + int.from_bytes(raw[_META_START:_META_GROUP_END], "little")
    outer = read_partial(BytesIO(raw[:end]))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(raw[end:], MAX_INFLATED)
    except zlib.error:
        raise Unreadable("bad-header", "the deflated data set can't be inflated") from None
    if inflater.unconsumed_tail:
        raise Unreadable("bad-header", f"the deflated data set inflates to over {MAX_INFLATED} bytes")
    buffer = BytesIO(inflated)
    data: Any = read_dataset(buffer, is_implicit_VR=False, is_little_endian=True, stop_when=watch)
    data.file_meta = outer.file_meta
    return data, buffer, len(inflated)


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


def _locate_pixels(stream: BinaryIO, size: int, data: Any, location: str) -> PixelElement:
    """Measure the Pixel Data element that the stream stands before."""
    element = _element_at(stream, stream.tell(), *_encoding(data))
    if element is None:
        raise Unreadable("cut-header", "the file ends within its header")
    _, vr, length, offset = element
    if length != UNDEFINED:
        found = max(0, min(length, size - offset))
        return PixelElement(location, offset, found, False, offset + found, vr)
    found, position = 0, offset
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return PixelElement(location, offset, found, True, size, vr)
        group, number, length = struct.unpack("<HHL", head)
        position += 8
        tag = group << 16 | number
        if tag != _ITEM or length == UNDEFINED:
            end = position if tag == _SEQUENCE_END else position - 8
            return PixelElement(location, offset, found, True, end, vr)
        there = max(0, min(length, size - position))
        found += there
        position += there


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
    if head[4:6] not in _CODES:
        return None
    vr = head[4:6].decode()
    if vr not in EXPLICIT_VR_LENGTH_32:
        return tag, vr, struct.unpack(order + "H", head[6:8])[0], position + 8
    if len(head) < 12:
        return None
    return tag, vr, struct.unpack(order + "L", head[8:12])[0], position + 12


_TAGS: dict[str, int] = {}


def tag_of(keyword: str) -> int:
    """Tag of a keyword of the data dictionary (PS3.6)."""
    tag = _TAGS.get(keyword)
    if tag is None:
        tag = _TAGS[keyword] = cast("int", tag_for_keyword(keyword))
    return tag


def _raw(data: Dataset, keyword: str) -> Any:
    return data.get_item(tag_of(keyword), keep_deferred=True)


def text(data: Dataset, keyword: str) -> str | None:
    """A value as text, without the white space and zero bytes around it.

    Parameters
    ----------
    data : pydicom.dataset.Dataset
        A data set or an item of a sequence.
    keyword : str
        Keyword of the attribute.

    Returns
    -------
    str or None
        The value, several of them joined by backslashes; None if it is absent or empty.
    """
    element = _raw(data, keyword)
    if element is None:
        return None
    value = element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        # An escape byte switches the character set (ISO 2022), so such bytes are not what they seem.
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii").strip(" \0\t\r\n") or None
        value = _converted(data, element, value)
    return _plain(value)


def has_value(data: Dataset, keyword: str) -> bool:
    """Whether an attribute is there and not empty; white space and zero bytes alone are no text."""
    found = _bytes(data, keyword)
    return found is not None and (found[0] in _BINARY or bool(found[1].strip(b" \0")))


def _converted(data: Dataset, element: Any, value: bytes) -> Any:
    try:
        return data[element.tag].value
    except Exception:  # noqa: BLE001 - an unknown character set or VR; the bytes themselves are still a value
        return value.decode("latin-1")


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        value = "\\".join(str(part) for part in value)
    found = str(value).strip(" \0\t\r\n")
    return found.encode("utf-8", "replace").decode() or None


def _bytes(data: Dataset, keyword: str) -> tuple[str, bytes, bool] | None:
    """VR, value and byte order of an attribute that has a value."""
    element = _raw(data, keyword)
    if element is None:
        return None
    if isinstance(element, RawDataElement):
        value, little = element.value, element.is_little_endian
        vr = element.VR if element.VR not in (None, "UN") else dictionary_VR(element.tag)
        if not value or not isinstance(value, bytes):
            return None
        return str(vr), value, little
    found = _plain(element.value)
    return None if found is None else ("DS", found.encode(), True)


def integer(data: Dataset, keyword: str) -> int | None:
    """A whole number.

    Parameters
    ----------
    data : pydicom.dataset.Dataset
        A data set or an item of a sequence.
    keyword : str
        Keyword of the attribute.

    Returns
    -------
    int or None
        The number; None if it is absent, empty, or no single whole number.
    """
    found = _bytes(data, keyword)
    if found is None:
        return None
    vr, value, little = found
    if vr == "US or SS":
        vr = "SS" if integer(data, "PixelRepresentation") == 1 else "US"
    if vr in _INTEGER_BYTES:
        length, signed = _INTEGER_BYTES[vr]
        if len(value) != length:
            return None
        return int.from_bytes(value, "little" if little else "big", signed=signed)
    value = value.strip(b" \0")
    return int(float(value)) if _WHOLE.fullmatch(value) else None


def integers(data: Dataset, keyword: str) -> list[int] | None:
    """Whole numbers of a binary attribute (US, UL, SS, SL), as many as there are; None if it is absent or malformed."""
    found = _bytes(data, keyword)
    if found is None:
        return None
    vr, value, little = found
    if vr not in _INTEGER_BYTES or len(value) % _INTEGER_BYTES[vr][0]:
        single = integer(data, keyword)
        return None if single is None else [single]
    length, signed = _INTEGER_BYTES[vr]
    order = "little" if little else "big"
    return [
        int.from_bytes(value[start : start + length], cast("Any", order), signed=signed)
        for start in range(0, len(value), length)
    ]


def reals(data: Dataset, keyword: str, length: int) -> tuple[float, ...] | None:
    """Decimal numbers.

    Parameters
    ----------
    data : pydicom.dataset.Dataset
        A data set or an item of a sequence.
    keyword : str
        Keyword of the attribute.
    length : int
        How many there must be.

    Returns
    -------
    tuple of float or None
        The numbers; None if they are absent, not as many, or not all finite numbers; lengths and directions also if one
        is beyond `MAX_LENGTH_MM` or `MAX_DIRECTION`.
    """
    found = _bytes(data, keyword)
    if found is None:
        return None
    parts = found[1].strip(b" \0").split(b"\\")
    if len(parts) != length:
        return None
    bound = _BOUNDS.get(keyword, sys.float_info.max)
    values = []
    for part in parts:
        part = part.strip()  # noqa: PLW2901 - padding
        if not _DECIMAL.fullmatch(part):
            return None
        value = float(part)
        if abs(value) > bound:
            return None
        values.append(value)
    return tuple(values)


def items(data: Dataset | None, keyword: str) -> list[Dataset] | None:
    """Items of a sequence; None if it is absent or can't be parsed."""
    if data is None or tag_of(keyword) not in data:
        return None
    try:
        value = data[tag_of(keyword)].value
        return list(value) if value is not None and not isinstance(value, (str, bytes)) else []
    except Exception:  # noqa: BLE001 - a sequence whose bytes make no sense counts as absent
        return None


def raw_items(data: Dataset, keyword: str) -> tuple[bytes | None, Callable[[], list[Dataset]]]:
    """Items of a sequence that need not be parsed again where the same bytes were parsed before.

    Parameters
    ----------
    data : pydicom.dataset.Dataset
        A data set or an item of a sequence; it is left unparsed.
    keyword : str
        Keyword of the sequence.

    Returns
    -------
    value : bytes or None
        The bytes of its value; None if they are not at hand, as for a sequence of undefined length.
    parse : callable
        Gives the items; none if the sequence is absent or makes no sense.
    """
    element = _raw(data, keyword)
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return None, lambda: items(data, keyword) or []

    def parse() -> list[Dataset]:
        try:
            return list(convert_raw_data_element(element, ds=data).value)
        except Exception:  # noqa: BLE001 - a sequence whose bytes make no sense counts as absent
            return []

    return element.value, parse


def first(data: Dataset | None, keyword: str) -> Dataset | None:
    """First item of a sequence, if there is one."""
    found = items(data, keyword)
    return found[0] if found else None


def is_uid(value: str) -> bool:
    """Whether text is a UID (PS3.5 9.1): digits and dots, no leading zero in a component, at most 64 characters."""
    return len(value) <= _MAX_UID and bool(_UID.fullmatch(value))


def invalid_uids(data: Iterable[Dataset]) -> list[str]:
    """Keywords of the attributes of data sets (without their sequences) that hold a malformed UID.

    Parameters
    ----------
    data : iterable of pydicom.dataset.Dataset
        File meta and data set.

    Returns
    -------
    list of str
        Keywords in the order of tags; the tag itself for a private attribute.
    """
    bad = []
    for part in data:
        # Not the data set itself, which converts every element.
        for tag, element in part.items():
            vr = element.VR
            if vr is None:
                try:
                    vr = dictionary_VR(tag)
                except KeyError:
                    continue
            if vr != "UI":
                continue
            keyword = keyword_for_tag(tag)
            value = text(part, keyword) if keyword else _plain(element.value)
            if value is not None and not all(is_uid(one.strip(" \0")) for one in value.split("\\")):
                bad.append(keyword or f"({tag:08X})")
    return bad
