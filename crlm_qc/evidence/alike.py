"""Headers of one series are nearly the same, byte by byte: of the next one, only what differs is read.

The first header of a series is read in full. The bytes of each further one are compared with it, and elements that were seen
to differ are taken out. What is told of the file is what was told of the first, made anew by the same functions where they
look at those elements. Where anything else differs, nothing is told, and the header is read in full too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from io import SEEK_END, BytesIO
from typing import Any, BinaryIO, Final, NamedTuple

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.ct import READ_AS_TEXT, READERS, Lacks, Row, lacks_of
from crlm_qc.evidence.deidentification import IdentifierScan, Walked
from crlm_qc.evidence.dicom.conformance import Found, ValueScan
from crlm_qc.evidence.dicom.encoding import encoding_of, meta_length_off
from crlm_qc.evidence.dicom.header import HEAD, UNDEFINED, Header, PixelElement
from crlm_qc.evidence.dicom.values import has_invalid_uid, keyword_of, tag_of, text
from crlm_qc.evidence.others import of_others
from crlm_qc.evidence.source import Item

MOST: Final = 4
"""Headers of a patient that others are compared with: those that were read last."""
SPARE: Final = 512
"""Bytes by which a header may be longer than those like it."""
LONGEST: Final = (1 << 16) - SPARE
"""Bytes of a header that is compared; in so few, nothing can be too long or too many to be read."""
_PREFIX, _START = b"DICM", 132
"""The prefix, and where the first element lies. Nobody looks at the preamble."""
_DATA_SET: Final = 0x00030000
_META_MAY_DIFFER: Final = frozenset({tag_of("FileMetaInformationGroupLength"), tag_of("MediaStorageSOPInstanceUID")})
FIXED: Final = frozenset(
    map(
        tag_of,
        (
            "SpecificCharacterSet",
            "SOPClassUID",
            "Modality",
            "Manufacturer",
            "SeriesDescription",
            "PatientID",
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "FrameOfReferenceUID",
            "SamplesPerPixel",
            "PhotometricInterpretation",
            "NumberOfFrames",
            "Rows",
            "Columns",
            "BitsAllocated",
            "PixelRepresentation",
        ),
    )
)
"""Attributes that more is made of than the columns of their own."""


class _Span(NamedTuple):
    """Where an element lies in the first header."""

    tag: int
    start: int
    end: int
    head: int
    """Bytes before its length; 0 if it must not differ, or its length is not defined."""
    width: int
    """Bytes of its length."""
    element: Any


class _Part(NamedTuple):
    """Bytes that all headers share, and the element after them, which differs: the bytes hold its beginning."""

    same: bytes
    tag: int
    width: int
    """0 for the last part, which ends before the value of Pixel Data."""


@dataclass(slots=True)
class First:
    """What a header that was read in full came to."""

    header: Header
    elements: Sequence[tuple[int, Any]]
    """File meta information and data set, before any value was converted."""
    file: Row
    """Columns of `files`."""
    slice: Row
    """Its row of `slices`, before anything was measured."""
    lacks: Lacks
    wrong: dict[int, frozenset[Found]]
    """Values that the standard forbids, by element."""
    walked: Walked


class Alike(NamedTuple):
    """What a header that is like one before came to."""

    header: Header
    """Its elements are those of the next one as soon as that is read."""
    file: Row
    slice: Row


class _Pattern:
    """The header of one file, which others are compared with."""

    def __init__(self, first: First, content: bytes, spans: list[_Span]) -> None:
        self._first, self._content, self._spans = first, content, spans
        self._pixels: PixelElement = first.header.pixels  # type: ignore[assignment]
        self._meta_bytes = next(span.start for span in spans if span.tag >= _DATA_SET) - _START
        original = first.header.data
        # These are filled with what differs; the data sets give what is in them.
        self._meta: dict[Any, Any] = {tag: element for tag, element in first.elements if tag < _DATA_SET}
        self._data: dict[Any, Any] = {tag: element for tag, element in first.elements if tag >= _DATA_SET}
        self._meta_set, self._data_set = Dataset(self._meta), Dataset(self._data)
        self._start = replace(first.header.start, stream=BytesIO(), meta=self._meta_set)
        implicit, little = original.original_encoding
        self._data_set.set_original_encoding(implicit, little, original.original_character_set)
        self._differing: dict[int, Any] = {}
        """Elements that were seen to differ, as they are in the first header."""
        self._compile()

    def _compile(self) -> None:
        """Prepare everything that depends on which elements differ."""
        first, differing = self._first, self._differing
        self._parts: list[_Part] = []
        since = _START
        for span in self._spans:
            if span.tag in differing:
                self._parts.append(_Part(self._content[since : span.start + span.head], span.tag, span.width))
                since = span.end
        self._parts.append(_Part(self._content[since:], -1, 0))
        # Under pydicom's own keys, which it finds without comparing them.
        self._places = {tag: (self._meta if tag < _DATA_SET else self._data, one) for tag, one in differing.items()}
        self._keywords = [keyword_of(tag) for tag in differing]
        self._texts = [tag for tag, element in differing.items() if _is_text(tag, element)]
        self._uids = [
            (self._meta_set if tag < _DATA_SET else self._data_set, self._places[tag][0], element.tag)
            for tag, element in differing.items()
            if _vr(tag, element) == "UI"
        ]
        self._lacks = first.lacks.without(self._keywords)
        self._wrong = frozenset[Found]().union(*(found for tag, found in first.wrong.items() if tag not in differing))
        groups = {tag >> 16 for tag in differing if _is_private(tag)}
        creators = [tag for tag in self._data if _is_creator(tag) and tag >> 16 in groups]
        self._in_data = [element.tag for tag, element in differing.items() if tag >= _DATA_SET]
        self._walked_anew = sorted([*self._in_data, *creators])
        anew = {*differing, *creators}
        self._counted = [one for tag, records in first.walked.records.items() if tag not in anew for one in records]

    def _match(self, content: bytes, size: int) -> tuple[dict[int, bytes], int] | None:
        """Values that differ, and where that of Pixel Data begins; None if the header is of another kind."""
        found: dict[int, bytes] = {}
        at = _START
        for same, tag, width in self._parts:
            if not content.startswith(same, at):
                return self._match(content, size) if self._differs(content) else None
            at += len(same)
            if width:
                begin = at + width
                at = begin + int.from_bytes(content[at:begin], "little")
                if not begin < at <= len(content):
                    return None
                found[tag] = content[begin:at]
        # Pixel Data ends the file, as it does in the first.
        return (found, at) if at + self._pixels.length == size else None

    def _differs(self, content: bytes) -> bool:
        """Find out which further elements differ; whether all of them may."""
        found, at = {}, _START
        for span in self._spans:
            same = self._content[span.start : span.end]
            if content.startswith(same, at):
                at += len(same)
                continue
            if not span.head or not content.startswith(same[: span.head], at):
                return False
            begin = at + span.head + span.width
            at = begin + int.from_bytes(content[at + span.head : begin], "little")
            found[span.tag] = span.element
        if found.keys() <= self._differing.keys():
            return False
        self._differing |= found
        self._compile()
        return True

    def read(
        self, content: bytes, size: int, item: Item, profile: Profile, values: ValueScan, scan: IdentifierScan
    ) -> Alike | None:
        """What a file comes to by what differs in it; None if its header is of another kind."""
        matched = self._match(content, size) if content[:_START].endswith(_PREFIX) else None
        if matched is None:
            return None
        found, offset = matched
        for tag, value in found.items():
            part, element = self._places[tag]
            part[element.tag] = element._replace(length=len(value), value=value)
        if not all(_is_plain(found[tag]) for tag in self._texts) or self._has_invalid_uid():
            return None
        header = self._header(found, item, size, offset)
        if of_others(header, profile):
            return None
        return Alike(header, self._file_columns(header, values), self._slice_row(header, scan))

    def _has_invalid_uid(self) -> bool:
        return any(has_invalid_uid(data_set, tag, elements[tag]) for data_set, elements, tag in self._uids)

    def _header(self, found: dict[int, bytes], item: Item, size: int, offset: int) -> Header:
        pixels = PixelElement(item, offset, self._pixels.length, False, offset + self._pixels.length, self._pixels.vr)
        longer = sum(len(value) - self._differing[tag].length for tag, value in found.items() if tag < _DATA_SET)
        off = meta_length_off(self._meta_set, self._meta_bytes + longer)
        if (size, off) != (self._start.size, self._start.meta_length_off):
            self._start = replace(self._start, size=size, meta_length_off=off)
        return Header(self._data_set, self._start, size, pixels, 0)

    def _file_columns(self, header: Header, values: ValueScan) -> Row:
        elements = [(tag, self._data[tag]) for tag in self._in_data]
        wrong = sorted(self._wrong.union(*values.by_element(elements).values()))
        return self._first.file | {
            "sop_instance_uid": text(header.data, "SOPInstanceUID"),
            "invalid_values": json.dumps(wrong) if wrong else None,
            "meta_sop_instance_uid": text(header.meta, "MediaStorageSOPInstanceUID"),
            "meta_length_off": header.start.meta_length_off,
        }

    def _slice_row(self, header: Header, scan: IdentifierScan) -> Row:
        row = self._first.slice | {"sop_instance_uid": text(header.data, "SOPInstanceUID")}
        for keyword in self._keywords:
            for read in READERS.get(keyword, ()):
                row |= read(header)
        row |= (self._lacks | lacks_of(header, self._keywords)).columns()
        scan.add_alike(self._first.walked, self._counted, [(tag, self._data[tag]) for tag in self._walked_anew])
        return row


@dataclass(slots=True)
class Patterns:
    """The headers of one patient that others are compared with."""

    profile: Profile
    values: ValueScan
    scan: IdentifierScan
    known: list[_Pattern] = field(default_factory=list)
    longest: int = 0

    def learn(self, first: First, stream: BinaryIO) -> None:
        """Remember a header that was read in full, if others can be compared with it.

        Parameters
        ----------
        first : First
            What it came to.
        stream : binary file
            The file, open.
        """
        if not _is_usual(first):
            return
        pixels = first.header.pixels
        assert pixels is not None
        stream.seek(0)
        content = stream.read(pixels.offset)
        spans = _spans(first.elements, content)
        if spans is not None and _begins_plainly(spans, content, first.header.size):
            self.known = [_Pattern(first, content, spans), *self.known[: MOST - 1]]
            self.longest = max(self.longest, pixels.offset)

    def read(self, stream: BinaryIO, item: Item) -> Alike | None:
        """What a file comes to, if its header is like one before.

        Parameters
        ----------
        stream : binary file
            The file, open.
        item : Item
            What opens it again.

        Returns
        -------
        Alike or None
            None if its header must be read in full; nothing was counted of it then.
        """
        if not self.known:
            return None
        size = stream.seek(0, SEEK_END)
        stream.seek(0)
        content = stream.read(self.longest + SPARE)
        for place, pattern in enumerate(self.known):
            found = pattern.read(content, size, item, self.profile, self.values, self.scan)
            if found is not None:
                if place:
                    self.known.insert(0, self.known.pop(place))
                return found
        return None


def _is_usual(first: First) -> bool:
    """Whether a header is one of a whole CT image, native and little endian, that ends with its Pixel Data."""
    header, pixels = first.header, first.header.pixels
    _, little, deflated = header.start.encoding
    if pixels is None or pixels.encapsulated or deflated or not little or header.start.problem:
        return False
    whole = pixels.end == header.size and pixels.found == pixels.length and not (header.after or header.trailing)
    # In larger files, pydicom's sequences are counted before they are read.
    counted = header.size > HEAD * limits.HEADER_ELEMENTS and not all(_is_raw(element) for _, element in first.elements)
    nested = any(_nests_defined(element) for _, element in first.elements)
    return whole and not counted and not nested and pixels.offset <= LONGEST and not first.file["invalid_uids"]


def _nests_defined(element: Any) -> bool:
    """Whether a sequence of undefined length has one of defined length in it: each walk through them changes what the next finds."""
    if isinstance(element, RawDataElement):
        return False
    return element.VR == "SQ" and any(
        _vr(tag, inner) == "SQ" and (not getattr(inner, "is_undefined_length", False) or _nests_defined(inner))
        for item in element.value
        for tag, inner in item.items()
    )


def _begins_plainly(spans: Sequence[_Span], content: bytes, size: int) -> bool:
    """Whether the first element of the data set tells how it is written."""
    begin = next((span.start for span in spans if span.tag >= _DATA_SET), None)
    return begin is not None and spans[0].tag < _DATA_SET and encoding_of(content[begin:], size - begin) is not None


def _spans(elements: Iterable[tuple[int, Any]], content: bytes) -> list[_Span] | None:
    """Where each element lies, the last of them with the beginning of Pixel Data; None if they don't follow each other."""
    spans: list[_Span] = []
    at, last, unended = _START, -1, -1
    for key, element in elements:
        tag, before = int(key), last
        last = tag
        if tag <= before:
            return None
        if not _is_raw(element):
            # Where it ends, the next one tells.
            unended = tag if unended < 0 else unended
            if tag < _DATA_SET:
                return None
            continue
        head, width = _form(element)
        start, end = element.value_tell - head - width, element.value_tell + element.length
        if start < at or (start > at and unended < 0) or content[element.value_tell : end] != (element.value or b""):
            return None
        if unended >= 0:
            spans.append(_Span(unended, at, start, 0, 0, None))
            unended = -1
        # By the first element of a data set, readers tell how it is written.
        may_differ = not before < _DATA_SET <= tag and _may_differ(tag, element)
        spans.append(_Span(tag, start, end, head if may_differ else 0, width, element))
        at = end
    return [*spans, _Span(-1, at, len(content), 0, 0, None)]


def _is_raw(element: Any) -> bool:
    """Whether an element is one of defined length, as the file has it."""
    return isinstance(element, RawDataElement) and element.length != UNDEFINED


def _form(element: RawDataElement) -> tuple[int, int]:
    """Bytes of an element before its length, and of its length (PS3.5 7.1)."""
    if element.VR is None or element.is_implicit_VR:
        return 4, 4
    return (8, 4) if element.VR in EXPLICIT_VR_LENGTH_32 else (6, 2)


def _may_differ(tag: int, element: RawDataElement) -> bool:
    """Whether an element may differ without a header having to be read in full for it."""
    if tag < _DATA_SET:
        return tag in _META_MAY_DIFFER
    if tag in FIXED or _is_creator(tag) or _vr(tag, element) == "SQ" or not element.value:
        return False
    return not _is_text(tag, element) or _is_plain(element.value)


def _is_text(tag: int, element: RawDataElement) -> bool:
    """Whether a value is looked at as text."""
    return keyword_of(tag) in READ_AS_TEXT or _vr(tag, element) == "UI"


def _is_plain(value: bytes) -> bool:
    """Whether a text can be read without pydicom, which would convert other values too."""
    return value.isascii() and b"\x1b" not in value


def _vr(tag: int, element: RawDataElement) -> str:
    if element.VR not in (None, "UN"):
        return str(element.VR)
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _is_private(tag: int) -> bool:
    return bool(tag & 0x10000)


def _is_creator(tag: int) -> bool:
    return _is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF
