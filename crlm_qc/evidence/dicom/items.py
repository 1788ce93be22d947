"""Items of sequences, read many times as fast as pydicom does where their encoding is the usual one."""

from __future__ import annotations

import struct
import weakref
from io import SEEK_CUR
from typing import Any, BinaryIO, Final, Literal, NamedTuple

from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

MAX_DEPTH: Final = 64
"""Items of sequences are looked into down to here."""
_UNDEFINED: Final = 0xFFFFFFFF
_SHORTEST: Final = 8
"""Bytes that any element or item takes."""
_HEAD, _EXPLICIT, _LONG = struct.Struct("<HHL"), struct.Struct("<HH2sH"), struct.Struct("<L")
_VRS: Final = {
    vr.value.encode(): (vr.value, vr in EXPLICIT_VR_LENGTH_32)
    for vr in (*EXPLICIT_VR_LENGTH_16, *EXPLICIT_VR_LENGTH_32)
}
"""Each VR as the file has it, and whether four bytes of length follow (PS3.5 7.1.2)."""
_ITEM, _OF_ITEMS = (0xFFFE, 0xE000), 0xFFFE
_CHARACTER_SET: Final = 0x00080005


class Element(NamedTuple):
    """An element that lies in no data set."""

    VR: str | None
    value: Any
    """Its bytes."""


Encodings = str | tuple[str, ...]


class Item(dict[int, Any]):
    """An item of a sequence: its raw elements by their tags.

    It has those methods of pydicom's data sets by which raw elements are read. Sequences in it are read when asked for.
    """

    __slots__ = ("_items", "original_character_set")

    def __init__(self, encodings: Encodings = default_encoding) -> None:
        super().__init__()
        self.original_character_set = encodings
        """Encodings of its texts, as pydicom names them."""
        self._items: dict[int, list[Item]] = {}

    def get_item(self, tag: int, *, keep_deferred: bool = False) -> Any:  # noqa: ARG002 - pydicom's signature
        """The element of a tag, raw as long as nobody had it converted."""
        return self.get(tag)

    def __getitem__(self, tag: int) -> Any:
        """The element of a tag, converted by pydicom; all but sequences are kept so, as its data sets do."""
        raw = super().__getitem__(tag)
        if not isinstance(raw, RawDataElement):
            return raw
        encodings = self.original_character_set
        element = convert_raw_data_element(raw, encoding=encodings if isinstance(encodings, str) else list(encodings))
        if raw.VR != "SQ":
            self[tag] = element
        return element

    def sequence(self, tag: int, value: bytes) -> list[Item]:
        """Items of one of its sequences, which are not to be changed.

        Raises
        ------
        ValueError, struct.error
            It is not encoded as usual.
        """
        found = self._items.get(tag)
        if found is None:
            found = self._items[tag] = _parsed(value, self.original_character_set)
        return found


def items_of(data: Any, tag: int, element: Any) -> list[Any]:
    """Items of a sequence.

    Parameters
    ----------
    data : pydicom.dataset.Dataset or Item
        What the sequence lies in.
    tag : int
        Its tag.
    element : RawDataElement, DataElement or Element
        The sequence itself.

    Returns
    -------
    list
        Items that are not to be changed, of pydicom's data sets where the encoding is not the usual one; none if the
        bytes make no sense.
    """
    if element.VR == "UN":
        # Whoever wrote it did not know the sequence; its items are looked into all the same.
        element = element._replace(VR="SQ")
    try:
        return read_items(data, tag, element)
    except Exception:  # noqa: BLE001 - bytes that make no sense as a sequence may be anything
        return []


def read_items(data: Any, tag: int, element: Any) -> list[Any]:
    """Items of a sequence, as `items_of` has them.

    Raises
    ------
    Exception
        Anything, as pydicom raises it, if the bytes make no sense.
    """
    value = element.value
    if isinstance(element, RawDataElement):
        if isinstance(value, bytes) and (found := usual_items(data, tag, element)) is not None:
            return found
        value = data[tag].value
    return list_of(value)


def list_of(value: Any) -> list[Any]:
    """Items of a sequence that pydicom converted; none of what it took for another sort of value, because it made no sense."""
    return list(value) if isinstance(value, Sequence) else []


def usual_items(data: Any, tag: int, element: RawDataElement) -> list[Item] | None:
    """Items of a raw sequence of explicit VR, little endian and defined lengths; None of any other, which pydicom may read."""
    value: Any = element.value
    if not element.is_little_endian or element.is_implicit_VR or element.VR != "SQ":
        return None
    try:
        if isinstance(data, Item):
            return data.sequence(tag, value)
        return _LAST.sequence(data, tag, value)
    except (ValueError, struct.error):
        return None


def elements_ahead(
    stream: BinaryIO, length: int, encoding: tuple[bool, bool, bool], most: int, *, seen: int = 0
) -> int:
    """Count elements and items, at all depths, from a value in a data set on to its Pixel Data, or until there are too many.

    Parameters
    ----------
    stream : binary file
        Stands before the value of an element; where it stands after is of no meaning.
    length : int
        Bytes of the value, or that it is undefined.
    encoding : tuple of bool
        Whether the data set is of implicit VR, and little endian.
    most : int
        Counting ends beyond it.
    seen : int
        How many were before.

    Returns
    -------
    int
        What was found; what makes no sense ends the count too. 0 where so few bytes are left that, with those before,
        there can't be too many.
    """
    implicit, little, _ = encoding
    order: Literal["little", "big"] = "little" if little else "big"
    here = stream.tell()
    if _is_short(stream, length, (implicit, order), (most - seen) * _SHORTEST):
        return 0
    stream.seek(here)
    found = 0
    if length != _UNDEFINED and not _begins_item(stream, order):
        stream.seek(length, SEEK_CUR)
    while found <= most and len(head := stream.read(8)) == 8:
        group = int.from_bytes(head[:2], order)
        found += 1
        if group == 0xFFFE:
            continue
        if group >= 0x7FE0:
            break
        vr = "" if implicit else head[4:6].decode("latin-1")
        if vr in EXPLICIT_VR_LENGTH_32:
            length = int.from_bytes(stream.read(4), order)
        else:
            length = int.from_bytes(head[4:] if implicit else head[6:], order)
        # Whatever begins as a sequence does is one: its items are looked into.
        if length == _UNDEFINED or vr == "SQ" or (implicit and _begins_item(stream, order)):
            continue
        stream.seek(length, SEEK_CUR)
    return found


def _is_short(stream: BinaryIO, length: int, encoding: tuple[bool, Literal["little", "big"]], most: int) -> bool:
    """Whether at most so many bytes lie from a value on to Pixel Data or the end, as far as defined lengths show."""
    implicit, order = encoding
    ahead = 0
    while length != _UNDEFINED and ahead <= most:
        ahead += length
        stream.seek(length, SEEK_CUR)
        head = stream.read(8)
        ahead += len(head)
        if len(head) < 8 or int.from_bytes(head[:2], order) >= 0x7FE0:
            return ahead <= most
        if implicit:
            length = int.from_bytes(head[4:], order)
            continue
        known = _VRS.get(head[4:6])
        if known is None:
            return False
        length = int.from_bytes(stream.read(4) if known[1] else head[6:], order)
    return False


def _begins_item(stream: BinaryIO, order: Literal["little", "big"]) -> bool:
    """Whether an item of a sequence begins here."""
    head = stream.read(4)
    stream.seek(-len(head), SEEK_CUR)
    return head == (b"\xfe\xff\x00\xe0" if order == "little" else b"\xff\xfe\xe0\x00")


class _Last:
    """Items of the data set that was read last, for which several walks over one header ask."""

    def __init__(self) -> None:
        self._data: weakref.ref[Any] | None = None
        self._items: dict[int, list[Item]] = {}

    def sequence(self, data: Any, tag: int, value: bytes) -> list[Item]:
        """Items of one of its sequences, as those of `Item.sequence`."""
        if self._data is None or self._data() is not data:
            self._data, self._items = weakref.ref(data), {}
        found = self._items.get(tag)
        if found is None:
            encodings = data.original_character_set or default_encoding
            found = _parsed(value, encodings if isinstance(encodings, str) else tuple(encodings))
            self._items[tag] = found
        return found


_LAST: Final = _Last()


def _parsed(value: bytes, encodings: Encodings) -> list[Item]:
    """Items of a sequence of explicit VR and little endian, all lengths defined.

    Raises
    ------
    ValueError, struct.error
        It is anything else, or an item has a character set of its own.
    """
    items: list[Item] = []
    at, end = 0, len(value)
    while at < end:
        group, number, length = _HEAD.unpack_from(value, at)
        at += 8
        stop = at + length
        if (group, number) != _ITEM or stop > end:
            raise ValueError
        item = Item(encodings)
        while at < stop:
            group, number, code, length = _EXPLICIT.unpack_from(value, at)
            known = _VRS.get(code)
            if known is None:
                raise ValueError
            vr, long = known
            at += 8
            if long:
                (length,) = _LONG.unpack_from(value, at)
                at += 4
            start, at = at, at + length
            tag = group << 16 | number
            if at > stop or group == _OF_ITEMS or tag == _CHARACTER_SET:
                raise ValueError
            held = value[start:at] if length else empty_value_for_VR(vr, raw=True)
            item[tag] = RawDataElement(BaseTag(tag), vr, length, held, start, False, True)  # type: ignore[arg-type]
        items.append(item)
    return items
