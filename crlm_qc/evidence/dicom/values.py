"""Takes values from a header as they are found.

Values are decoded from the raw bytes: what is there counts, not what pydicom would make of it.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from crlm_qc.collection.forms import is_uid
from crlm_qc.evidence.dicom.items import list_of, read_items, usual_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NATIVE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
"""Transfer syntaxes whose Pixel Data is not encapsulated (PS3.5 A.4)."""
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
_WHOLE = re.compile(rb"[+-]?[0-9]{1,12}(\.0*)?")
_DECIMAL = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_INTEGER_BYTES = {"US": (2, False), "SS": (2, True), "UL": (4, False), "SL": (4, True)}
_BINARY = frozenset({*_INTEGER_BYTES, "US or SS", "AT", "FL", "FD", "OB", "OW", "OF", "OD"})


@cache
def tag_of(keyword: str) -> int:
    """Tag of a keyword of the data dictionary (PS3.6): pydicom's, which it need not make of an integer each time."""
    return BaseTag(cast("int", tag_for_keyword(keyword)))


keyword_of = cache(keyword_for_tag)
"""Keyword of a tag of the data dictionary; nothing of any other."""


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


def _decoded(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


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
    tag = tag_of(keyword)
    if data is None or tag not in data:
        return None
    try:
        return read_items(data, tag, _raw(data, keyword))
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

    def parse() -> list[Any]:
        if (usual := usual_items(data, tag_of(keyword), element)) is not None:
            return usual
        try:
            return list_of(convert_raw_data_element(element, ds=data).value)
        except Exception:  # noqa: BLE001 - a sequence whose bytes make no sense counts as absent
            return []

    return element.value, parse


def first(data: Dataset | None, keyword: str) -> Dataset | None:
    """First item of a sequence, if there is one."""
    found = items(data, keyword)
    return found[0] if found else None


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
            if vr == "UI" and has_invalid_uid(part, tag, element):
                bad.append(keyword_of(tag) or f"({tag:08X})")
    return bad


def has_invalid_uid(part: Dataset, tag: int, element: Any) -> bool:
    """Whether an element of a data set, which holds UIDs, holds a malformed one."""
    keyword = keyword_of(tag)
    # A private element has no keyword, and its bytes are those of any other.
    value = text(part, keyword) if keyword else _plain(_decoded(element.value))
    return value is not None and not all(is_uid(one.strip(" \0")) for one in value.split("\\"))
