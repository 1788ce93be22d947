"""Rows of `identifiers`: which attributes of the headers may identify a person, and in what state. Never a value.

The headers that are parsed already are walked, private elements and items of sequences too. Slices of a series hold the
same elements for the most part, so what was made of an element is remembered by its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydicom._private_dict import private_dictionaries
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

from crlm_qc.collection.annex import AttributeKind, attribute_table
from crlm_qc.collection.deidentification import Pattern, is_person, is_too_old
from crlm_qc.collection.forms import day_of
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.evidence.ct import Row
from crlm_qc.evidence.dicom.header import Header
from crlm_qc.evidence.dicom.items import MAX_DEPTH, Element, Item, items_of
from crlm_qc.evidence.dicom.values import tag_of, text
from crlm_qc.evidence.dso import is_dso

CODES: Final[Mapping[int, frozenset[str]]] = {
    0x00120062: frozenset({"YES", "NO"}),
    0x00280301: frozenset({"YES", "NO"}),
    0x00280303: frozenset({"MODIFIED", "UNMODIFIED", "REMOVED"}),
}
"""PatientIdentityRemoved, BurnedInAnnotation and LongitudinalTemporalInformationModified: values that are kept."""
METHODS: Final = 0x00120064
"""DeidentificationMethodCodeSequence."""
_NAME, _ID = 0x00100010, 0x00100020
_TEXT_VRS: Final = frozenset({"LO", "SH", "LT", "ST", "UT", "UC", "PN", "UR", "UN"})
_BINARY_VRS: Final = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
_SHIFTED: Final = frozenset({0x00080012, 0x00080022, 0x00080023, 0x0008002A})
"""InstanceCreationDate, AcquisitionDate, ContentDate and AcquisitionDateTime: those of a CT image are shifted with its study."""
_AGE: Final = 0x00101010
_END: Final = 0xFFFCFFFC
"""DataSetTrailingPadding."""
TOO_DEEP: Final = (
    f"items of sequences that lie more than {MAX_DEPTH} deep were not looked at for what identifies a person"
)
UNREADABLE: Final = "unreadable"
"""What `identifiers.code` says of a date that is none."""
_YEAR: Final = re.compile(r"[0-9]{4}(?:0[1-9]|1[0-2])?(?:[+-][0-9]{4})?")
_PADDING: Final = " \0\t\r\n"
_READABLE: Final = re.compile(rb"[\x20-\x7E\t\r\n]{4,}")

# What is done with an element; nothing is done with what is skipped.
_SKIP, _STATE, _TEXT, _ITEMS, _PRIVATE, _CREATOR, _CODE, _PERSON, _DATE, _YEARS = range(10)

Key = tuple[str, str, str, str, str | None, str | None, str | None, str | None]


@dataclass(slots=True)
class _Record:
    """One row in the making."""

    n_files: int = 0
    n_values: int = 0
    last_file: int = 0

    def count(self, file: int) -> None:
        self.n_values += 1
        if self.last_file != file:
            self.last_file = file
            self.n_files += 1


class _Series:
    """The records of one series, and what was made of its elements so far."""

    def __init__(self) -> None:
        self.records: dict[Key, _Record] = {}
        self.memo: dict[str, dict[Any, tuple[_Record, ...]]] = {}
        """By the path of the data set; then by tag, bytes and private creator."""

    def record(self, key: Key) -> _Record:
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = _Record()
        return record


class Walked(NamedTuple):
    """A header that was walked through."""

    walk: _Walk
    records: dict[int, Sequence[_Record]]
    """Tags of its elements, those of items left out, to what was counted of each."""


class IdentifierScan:
    """Walks the headers of one patient.

    Parameters
    ----------
    patient : str or None
        The patient whose folder the files lie in; None for files outside of patient folders.
    profile : Profile
        The collection's profile, whose words and dates are no identifiers.
    """

    def __init__(self, patient: str | None, profile: Profile) -> None:
        self._patient = patient
        self.too_deep = False
        """Whether items lie so deep that they were not looked into."""
        self._profile = profile
        self._show = Show(profile)
        self._series: dict[tuple[str | None, str | None], _Series] = {}
        self._file = 0

    def add(self, header: Header, before: Mapping[int, Any] = MappingProxyType({})) -> Walked:
        """Take in one header.

        Parameters
        ----------
        header : Header
            The header.
        before : mapping, optional
            Its elements by tag as they were before anything looked into its sequences, so that the first file of a series
            is looked at as the others are.
        """
        self._file += 1
        data = header.data
        patient_id = text(data, "PatientID")
        # A directory of files names its patients in items alone.
        any_id = patient_id is None and (self._patient is None or tag_of("DirectoryRecordSequence") in data)
        if patient_id is not None and not self._profile.is_patient_id(patient_id):
            patient_id = None
        key = text(data, "SeriesInstanceUID"), patient_id
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        walk = _Walk(
            self._show, self._profile, series, self._file, patient_id, any_id=any_id, shifted=not is_dso(header)
        )
        walk.encodings = _encodings(text(data, "SpecificCharacterSet"))
        elements = [(tag, before.get(tag, one) if one.VR == "SQ" else one) for tag, one in data.items()]
        records = dict(walk.data_set(data, "", 0, elements))
        walk.data_set([(tag, Element(vr, value)) for tag, vr, value in header.after], "", 0)
        self.too_deep = self.too_deep or walk.too_deep
        return Walked(walk, records)

    def add_alike(self, walked: Walked, same: Iterable[_Record], other: list[tuple[int, Any]]) -> None:
        """Take in a header that is like one before but for a few elements.

        Parameters
        ----------
        walked : Walked
            What `add` gave of the one before, which is of the same series and patient.
        same : iterable
            The records of its elements that are in this one too, and have the same value.
        other : list of tag and element
            All other elements of this one, no sequences, and the private creators of the private ones among them.
        """
        self._file += 1
        for record in same:
            record.count(self._file)
        walked.walk.again(self._file, other)

    def rows(self) -> list[Row]:
        """Rows after the contract of `identifiers`, sorted."""
        merged: dict[tuple[str, Key], _Record] = {}
        for (uid, _), series in self._series.items():
            for key, record in series.records.items():
                there = merged.setdefault((uid or "", key), _Record())
                there.n_files += record.n_files
                there.n_values += record.n_values
        names = ("attribute", "tag", "vr", "state", "code", "length", "pattern", "creator")
        return [
            {
                "patient": self._patient,
                "series_uid": uid or None,
                **dict(zip(names, key, strict=True)),
                "n_files": record.n_files,
                "n_values": record.n_values,
            }
            for (uid, key), record in sorted(
                merged.items(), key=lambda item: (item[0][0], tuple(part or "" for part in item[0][1]))
            )
        ]


class _Walk:
    """One walk through one header."""

    __slots__ = ("_any_id", "_file", "_patient_id", "_profile", "_series", "_shifted", "_show", "encodings", "too_deep")

    def __init__(
        self,
        show: Show,
        profile: Profile,
        series: _Series,
        file: int,
        patient_id: str | None,
        *,
        any_id: bool,
        shifted: bool,
    ) -> None:
        self.too_deep = False
        self.encodings: tuple[str, ...] = ()
        """Of its texts, after SpecificCharacterSet."""
        self._any_id = any_id
        self._shifted = shifted
        self._show = show
        self._profile = profile
        self._series = series
        self._file = file
        self._patient_id = patient_id

    def again(self, file: int, elements: list[tuple[int, Any]]) -> None:
        """Count elements of another header like this one."""
        self._file = file
        self.data_set(elements, "", 0)

    def data_set(
        self,
        data: Dataset | Item | list[tuple[int, Any]],
        path: str,
        depth: int,
        elements: Sequence[tuple[int, Any]] = (),
    ) -> list[tuple[int, Sequence[_Record]]]:
        """Count every element that matters, and give the records by tag; elements are those of the data set if none are given."""
        found: list[tuple[int, Sequence[_Record]]] = []
        file, todos = self._file, _TODO
        memo = self._series.memo.get(path)
        if memo is None:
            memo = self._series.memo[path] = {}
        creators: dict[int, str] = {}
        for key, element in elements or _elements(data):
            # A plain integer: tags of pydicom compare slowly.
            tag, vr = key | 0, element.VR
            todo = todos.get((tag, vr))
            if todo is None:
                todo = todos[tag, vr] = _todo(tag, vr)
            if not todo:
                continue
            value = element.value
            creator = ""
            if todo == _CREATOR:
                creators[tag] = _decoded(value).strip(_PADDING)
                found.append((tag, self._creator_that_identifies(tag, vr, creators[tag], path)))
                continue
            if todo == _PRIVATE:
                creator = creators.get((tag & 0xFFFF0000) | (tag >> 8 & 0xFF), "")
            known: tuple[int, bytes | bool, str] | None = None
            if isinstance(value, bytes):
                # Times differ from slice to slice, and only whether there is one matters.
                known = tag, value if todo != _STATE else _filled(value, vr or ""), creator
            records = memo.get(known) if known else None
            if records is not None:
                for record in records:
                    record.count(file)
            else:
                records = tuple(self._element(data, tag, element, todo, creator, path, depth))
                if known:
                    memo[known] = records
            if records:
                found.append((tag, records))
        return found

    def _element(
        self, data: Any, tag: int, element: Any, todo: int, creator: str, path: str, depth: int
    ) -> list[_Record]:
        vr = _vr(tag, element.VR)
        if vr == "SQ":
            return self._sequence(data, tag, element, path, depth, creator)
        said = _decoded(element.value, self.encodings) if todo != _STATE else ""
        bare = said.strip(_PADDING)
        empty = not bare if todo != _STATE else not _filled(element.value, vr)
        state, code, length, pattern = "empty" if empty else "present", None, None, None
        if not empty and todo in (_TEXT, _PERSON, _PRIVATE):
            if vr not in _BINARY_VRS or _is_readable(element.value):
                pattern = self._pattern(tag, vr, bare)
                length = _length(bare)
            if todo == _PERSON and self._is_patient_id(bare.rstrip("^")):
                state, pattern = "patient-id", None
        elif not empty and todo == _DATE:
            code = self._side(bare) if self._shifted and not path and tag in _SHIFTED else None
            code = code or (None if _is_date(bare, vr) else UNREADABLE)
        elif not empty and todo == _YEARS:
            code = "over" if is_too_old(bare) else None
        elif not empty and todo == _CODE:
            state, code = "code", bare if bare in CODES[tag] else "other"
        # A text that no table knows of is only worth a row for what it looks like.
        if not (pattern or code) and todo in (_TEXT, _DATE) and not _judged(tag):
            return []
        return [self._count(tag, vr, path, state, code, length, pattern, creator)]

    def _creator_that_identifies(self, tag: int, vr: str | None, creator: str, path: str) -> Sequence[_Record]:
        """A record of a private creator that looks like an identifier; of those that are publicly known, none is one."""
        if not creator or self._creator(creator) != "other" or not (pattern := self._show.pattern(creator)):
            return []
        name = f"{path}({tag >> 16:04X},{tag & 0xFFFF:04X})"
        record = self._series.record(
            (name, f"{tag:08X}", _vr(tag, vr), "present", None, _length(creator), pattern, None)
        )
        record.count(self._file)
        return [record]

    def _is_patient_id(self, bare: str) -> bool:
        return bare == self._patient_id or (self._any_id and self._profile.is_patient_id(bare))

    def _side(self, date: str) -> str | None:
        """On which side of the release's shifted dates a date lies, `before` or `after`; None where that can't be told."""
        known = self._profile.deidentification
        day = day_of(date)
        # Nobody's date lies far away: what writes 00010101 has none to write.
        if day is None or not "1800" < day < "2200" or not (known.first_date and known.last_date):
            return None
        return "before" if day < known.first_date else "after" if day > known.last_date else None

    def _count(
        self,
        tag: int,
        vr: str,
        path: str,
        state: str,
        code: str | None,
        length: str | None,
        pattern: str | None,
        creator: str,
    ) -> _Record:
        private = tag & 0x10000
        shown = f"{tag:08X}" if not private else f"{tag >> 16:04X}xx{tag & 0xFF:02X}"
        record = self._series.record(
            (
                path + _name(tag),
                shown,
                vr,
                state,
                code,
                length,
                pattern,
                self._creator(creator) if private else None,
            )
        )
        record.count(self._file)
        return record

    def _creator(self, creator: str) -> str:
        if not creator:
            return "none"
        return creator if creator in self._profile.deidentification.private_creators or creator in _known() else "other"

    def _pattern(self, tag: int, vr: str, bare: str) -> Pattern | None:
        # The name of the patient has a rule of its own.
        if tag in (_NAME, _ID):
            return None
        pattern = self._show.pattern(bare)
        if pattern is None and vr == "PN" and is_person(bare, self._profile.description_words):
            return Pattern.NAME
        return pattern

    def _sequence(self, data: Any, tag: int, element: Any, path: str, depth: int, creator: str) -> list[_Record]:
        bytes_there = isinstance(element.value, bytes) and bool(element.value)
        items = items_of(data, tag, element)
        if bytes_there and not items:
            return [self._count(tag, "SQ", path, "present", None, None, None, creator)]
        found = []
        if tag & 0x10000 or _judged(tag):
            state = "present" if any(len(item) for item in items) else "empty"
            found.append(self._count(tag, "SQ", path, state, None, None, None, creator))
        if tag == METHODS and not path:
            found.append(self._count(tag, "SQ", path, "code", _methods(items), None, None, ""))
        inner = f"{path}{_name(tag)}/"
        for item in items:
            if len(item) and depth < MAX_DEPTH:
                for _, records in self.data_set(item, inner, depth + 1):
                    found += records
            elif len(item):
                self.too_deep = True
        return found


def _elements(data: Dataset | Item | list[tuple[int, Any]]) -> Iterable[tuple[int, Any]]:
    return data if isinstance(data, list) else data.items()


_TODO: dict[tuple[int, str | None], int] = {}


def _todo(tag: int, vr: str | None) -> int:
    """What is done with the elements of a tag."""
    group, number = tag >> 16, tag & 0xFFFF
    if number == 0:
        # Group lengths.
        return _SKIP
    if group & 1:
        return _CREATOR if 0x10 <= number <= 0xFF else _PRIVATE
    if number == 0x3000 and (0x5000 <= group <= 0x501E or 0x6000 <= group <= 0x601E):
        # Curve and overlay data.
        return _STATE
    if tag in CODES:
        return _CODE
    if tag in (_NAME, _ID):
        return _PERSON
    if tag == _AGE:
        return _YEARS
    if tag == _END:
        return _TEXT
    kind = _vr(tag, vr)
    if kind == "SQ":
        return _ITEMS
    if kind in ("DA", "DT"):
        return _DATE
    if kind in _TEXT_VRS:
        return _TEXT
    return _STATE if _judged(tag) else _SKIP


def _judged(tag: int) -> bool:
    """Whether it matters that an attribute holds a value; for UIDs, which are replaced, it does not."""
    known = attribute_table().get(tag)
    return known is not None and known.kind is not AttributeKind.UID


@cache
def _vr(tag: int, vr: str | None) -> str:
    if vr is not None and vr != "UN":
        return str(vr)
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


@cache
def _name(tag: int) -> str:
    """Keyword of an attribute; a tag where it has none."""
    group, number = tag >> 16, tag & 0xFFFF
    if group & 1:
        return f"({group:04X},xx{number & 0xFF:02X})"
    return keyword_for_tag(tag) or f"({group:04X},{number:04X})"


@cache
def _known() -> frozenset[str]:
    """Private creators that are publicly known, so that they name nobody."""
    return frozenset(private_dictionaries)


def _is_date(text: str, vr: str) -> bool:
    """Whether all values of a date can be read; of a date and time, the year may stand alone."""
    return all(
        not part.strip() or day_of(part) or (vr == "DT" and _YEAR.fullmatch(part.strip())) for part in text.split("\\")
    )


def _filled(value: Any, vr: str) -> bool:
    if isinstance(value, bytes):
        # Zeros are a picture too.
        return bool(value) if vr.startswith("O") else bool(value.strip(b" \0"))
    return value is not None and str(value) != ""


def _is_readable(value: Any) -> bool:
    """Whether bytes of a binary VR are a text from the first to the last."""
    return isinstance(value, bytes) and _READABLE.fullmatch(value.strip(b" \0\t\r\n")) is not None


def _length(text: str) -> str:
    return Show.describe(text).removeprefix("text of ").removesuffix(" characters")


@cache
def _encodings(character_set: str | None) -> tuple[str, ...]:
    """Encodings of a SpecificCharacterSet; none where it is absent or unknown."""
    try:
        return tuple(convert_encodings(character_set.split("\\"))) if character_set else ()
    except (LookupError, ValueError):
        return ()


def _decoded(value: Any, encodings: tuple[str, ...] = ()) -> str:
    if isinstance(value, bytes):
        # An escape byte switches the character set (ISO 2022).
        if b"\x1b" not in value:
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                pass
        try:
            return decode_bytes(value, encodings, set()) if encodings else value.decode("latin-1")
        except (LookupError, ValueError):
            return value.decode("latin-1")
    if value is None:
        return ""
    return "\\".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _methods(items: list[Dataset]) -> str:
    options = attribute_table().options
    codes = {text(item, "CodeValue") or "" for item in items if text(item, "CodingSchemeDesignator") == "DCM"}
    strange = len(codes - set(options)) or len(items) > len(codes)
    return " ".join([*sorted(code for code in codes if code in options), *(["other"] if strange else [])])
