"""Values that the standard forbids (PS3.5 6.2, PS3.6): by keyword, VR and what is wrong, never the value.

Private elements are their maker's to define, and UN tells nothing of a value: neither is looked at. UIDs have a reader of
their own (`invalid_uids`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.valuerep import VR

from crlm_qc.collection.forms import day_of, is_day
from crlm_qc.evidence.dicom.items import MAX_DEPTH, items_of

NO_DATE: Final = "is no date"
"""What is wrong with a date that can't be read; DID015 tells of those."""
OLD_DATE: Final = "has the form of ACR-NEMA"

_CHARACTER_SET, _SEX = 0x00080005, 0x00100040
_ITEMS_OF: Final = {"US": 2, "SS": 2, "US or SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8, "SV": 8, "UV": 8}
"""Bytes of one value of the VRs of numbers."""
_LONGEST: Final = {"AE": 16, "LO": 64, "SH": 16, "ST": 1024, "LT": 10240}
_PN_GROUP = 64
_ONE_TEXT: Final = frozenset({"ST", "LT", "UT", "UR"})
"""VRs in which a backslash is a character of the text."""
_CHARACTER_SETS: Final = frozenset(
    {
        "",
        *(f"ISO_IR {n}" for n in (6, 100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166, 192)),
        *(f"ISO 2022 IR {n}" for n in (6, 100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166, 87, 159, 149, 58)),
        *("GB18030", "GBK"),
    }
)
"""Defined terms of SpecificCharacterSet (PS3.3 C.12.1.1.2); ISO_IR 6 is the default repertoire, which some name."""

_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(rb"[+-]?[0-9]+")
_AGE = re.compile(rb"[0-9]{3}[DWMY]")
_CODE = re.compile(rb"[A-Z0-9 _]*")
_TIME = re.compile(rb"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?")
_DATE_TIME = re.compile(
    rb"([0-9]{4})(?:(0[1-9]|1[0-2])(?:([0-3][0-9])"
    rb"(?:(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?)?)?)?(?:[+-][0-9]{4})?"
)
_LEAST, _MOST = -(1 << 31), (1 << 31) - 1
_DS_LENGTH = 16

Problem = str | None
Found = tuple[str, str, str]
"""Keyword, VR and what is wrong."""
_NOTHING: Final[frozenset[Found]] = frozenset()


class ValueScan:
    """Looks at the values of headers.

    Slices of a series hold the same elements for the most part, so what was found of one is remembered by its bytes.
    """

    def __init__(self) -> None:
        self._memo: dict[tuple[int, str | None, bytes], frozenset[Found]] = {}

    def by_element(self, data: Any) -> dict[int, frozenset[Found]]:
        """What is wrong in a data set, in items of its sequences too, by the tag of the element that it was found in.

        Parameters
        ----------
        data : pydicom.dataset.Dataset, or list of tag and element
            A header, best before its values were converted; or some of its elements, which are no sequences.

        Returns
        -------
        dict of int to frozenset of (str, str, str)
            Keyword, VR and what is wrong with the value; nothing of elements that nothing is wrong with.
        """
        found: dict[int, frozenset[Found]] = {}
        self._data_set(data, 0, found)
        return found

    def _data_set(
        self, data: Any, depth: int, by_element: dict[int, frozenset[Found]] | None = None
    ) -> frozenset[Found]:
        found: set[Found] = set()
        for key, element in data if isinstance(data, list) else data.items():
            tag, vr, value = key | 0, element.VR, element.value
            if tag & 0x10000 or not value or vr in _UNJUDGED:
                continue
            if isinstance(value, bytes):
                known = tag, vr, value
                wrong = self._memo.get(known)
                if wrong is None:
                    wrong = self._memo[known] = self._element(data, tag, element, depth)
            else:
                # Converted already, as sequences are.
                wrong = self._element(data, tag, element, depth)
            if wrong:
                found |= wrong
                if by_element is not None:
                    by_element[tag] = wrong
        return frozenset(found) if found else _NOTHING

    def _element(self, data: Any, tag: int, element: Any, depth: int) -> frozenset[Found]:
        vr = _vr(tag, element.VR)
        if vr == "SQ":
            items = items_of(data, tag, element) if depth < MAX_DEPTH else []
            found = [wrong for item in items if len(item) and (wrong := self._data_set(item, depth + 1))]
            return frozenset().union(*found) if found else _NOTHING
        problem = _problem(tag, vr, element.value) if isinstance(element.value, bytes) else None
        return frozenset({(_keyword(tag), vr, problem)}) if problem else _NOTHING


def each_once(by_element: Mapping[int, frozenset[Found]]) -> list[Found]:
    """What `ValueScan.by_element` found in any element, each once, sorted."""
    return sorted(_NOTHING.union(*by_element.values()))


@cache
def _vr(tag: int, vr: str | None) -> str:
    if vr is not None:
        return str(vr)
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


@cache
def _keyword(tag: int) -> str:
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _problem(tag: int, vr: str, value: bytes) -> Problem:
    """What is wrong with a value, in a few words."""
    if vr in _ITEMS_OF:
        count, odd = divmod(len(value), _ITEMS_OF[vr])
        return "has a length that holds no whole number of values" if odd else _multiplicity(tag, count)
    judge = _JUDGES.get(vr)
    if judge is None:
        return None
    bare = value.rstrip(b" \0")
    if not bare.strip():
        return None
    parts = [bare] if vr in _ONE_TEXT else bare.split(b"\\")
    if tag == _SEX and bare.strip() not in (b"M", b"F", b"O"):
        return "is none of M, F and O"
    if tag == _CHARACTER_SET and not all(part.decode("latin-1").strip() in _CHARACTER_SETS for part in parts):
        return "is no defined character set"
    for part in parts:
        if part.strip() and (problem := judge(part)):
            return problem
    # A byte of another character set may look like a backslash.
    return None if vr in _ONE_TEXT or not bare.isascii() else _multiplicity(tag, len(parts))


def _multiplicity(tag: int, count: int) -> Problem:
    least, most, step = _allowed(tag)
    fits = least <= count and (most is None or count <= most) and (count - least) % step == 0
    return None if fits or not count else "has a wrong number of values"


@cache
def _allowed(tag: int) -> tuple[int, int | None, int]:
    """Fewest and most values of an attribute, and in what steps; anything where the dictionary does not know."""
    try:
        match = re.fullmatch(r"([0-9]+)(?:-(?:([0-9]+)|([0-9]*)n))?", dictionary_VM(tag))
    except KeyError:
        match = None
    if match is None:
        return 0, None, 1
    least = int(match[1])
    if match[3] is not None:
        return least, None, int(match[3] or 1)
    return least, int(match[2] or least), 1


def _decimal(part: bytes) -> Problem:
    bare = part.strip()
    if not _DECIMAL.fullmatch(bare):
        return "is no decimal number"
    return f"is longer than {_DS_LENGTH} characters" if len(bare) > _DS_LENGTH else None


def _integer(part: bytes) -> Problem:
    bare = part.strip()
    if not _WHOLE.fullmatch(bare):
        return "is no whole number"
    return None if len(bare) <= 12 and _LEAST <= int(bare) <= _MOST else "is out of range"


def _age(part: bytes) -> Problem:
    if _AGE.fullmatch(part):
        return None
    return "has no unit" if part.strip().isdigit() else "has not the form nnnD, nnnW, nnnM or nnnY"


def _code(part: bytes) -> Problem:
    bare = part.strip()
    if len(bare) > 16:
        return "is longer than 16 characters"
    if _CODE.fullmatch(bare):
        return None
    return "is in lower case" if _CODE.fullmatch(bare.upper()) else "has characters that its VR has not"


def _date(part: bytes) -> Problem:
    bare = part.decode("latin-1").strip()
    if is_day(bare):
        return None
    return OLD_DATE if day_of(bare) and re.fullmatch(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}", bare) else NO_DATE


def _time(part: bytes) -> Problem:
    return None if _TIME.fullmatch(part.strip()) else "is no time"


def _date_time(part: bytes) -> Problem:
    match = _DATE_TIME.fullmatch(part.strip())
    if match is None or (match[3] and not is_day((match[1] + match[2] + match[3]).decode())):
        return NO_DATE
    return None


def _text(vr: str) -> Callable[[bytes], Problem]:
    limit = _LONGEST[vr]
    return lambda part: f"is longer than {limit:,} characters" if _characters(part, limit) > limit else None


def _name(part: bytes) -> Problem:
    groups = part.split(b"=")
    if len(groups) > 3 or any(group.count(b"^") > 4 for group in groups):
        return "has too many components"
    too_long = any(_characters(group, _PN_GROUP) > _PN_GROUP for group in groups)
    return f"has a component group longer than {_PN_GROUP} characters" if too_long else None


def _characters(part: bytes, limit: int) -> int:
    """Characters of a text; 0 where its character set would have to be known to count them."""
    if len(part) <= limit or b"\x1b" in part:
        return 0
    try:
        return len(part.decode().strip())
    except UnicodeDecodeError:
        return 0


_JUDGES: Final[Mapping[str, Callable[[bytes], Problem]]] = {
    "DS": _decimal,
    "IS": _integer,
    "AS": _age,
    "CS": _code,
    "DA": _date,
    "TM": _time,
    "DT": _date_time,
    "PN": _name,
    **{vr: _text(vr) for vr in _LONGEST},
}
_UNJUDGED: Final = frozenset({vr.value for vr in VR} - {*_ITEMS_OF, *_JUDGES, "SQ"})
"""VRs whose values may be any; most values of a segmentation object's references are UIDs."""
