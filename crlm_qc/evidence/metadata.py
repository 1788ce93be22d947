"""Reads metadata.csv, the downloader's list of series. Nothing else reads it."""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crlm_qc.collection.forms import day_of
from crlm_qc.collection.invisible import BLANK_AT_AN_END, plainly
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.contents import FIRST_BYTES, content_of
from crlm_qc.evidence.series_list.lines import (
    DELIMITERS,
    ENOUGH_HEADINGS,
    FIRST_LINES,
    Lines,
    Problem,
    Record,
    own_headings,
    read_lines,
    split,
)
from crlm_qc.evidence.source import Item, OutsideError, Source, problem_of, reason
from crlm_qc.evidence.texts import TextScan
from crlm_qc.model.contents import told
from crlm_qc.model.tables import TABLES

Rows = list[dict[str, Any]]

METADATA_NAME = "metadata.csv"

# Headings of the downloader, and the columns of the contract that hold their values.
COLUMNS: Mapping[str, str] = {column.source: column.name for column in TABLES["metadata"].columns if column.source}

_HEADINGS = {column: heading for heading, column in COLUMNS.items()}
_PARSED = frozenset({"study_date", "number_of_images", "file_size"})
"""Columns of numbers and dates, for which a blank around them is nothing."""
_LOOKED_THROUGH = _PARSED | {
    *("series_uid", "collection", "subject_id", "study_uid", "modality", "sop_class_name", "sop_class_uid")
}
"""Columns of identifiers and codes too: what can't be seen is none of them. Texts and paths may mean their characters."""
ARCHIVES = "archive"
_FIRST_BYTES = 8192
_UTF8_BOM, _WIDE_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}(\.0*)?")
_SIZE = re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})(\.[0-9]{1,9})?\s*(BYTES?|[KMGT]?I?B)", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_DRIVE = re.compile(r"[A-Za-z]:")


def looks_like_metadata(file: Item, profile: Profile) -> bool:
    """Whether a file is, or should be, the release's metadata.csv.

    A file of that name is, whatever it holds: the rules say what is wrong with it. A file of another name is if its
    first lines hold some of the downloader's own headings.

    Parameters
    ----------
    file : Item
        The file; only its first bytes are read.
    profile : Profile
        The collection's profile, which lists the headings.

    Returns
    -------
    bool

    Raises
    ------
    OSError
        The file can't be opened.
    """
    if file.name.lower() == METADATA_NAME:
        return True
    start = file.read(0, _FIRST_BYTES)
    lines = start.removeprefix(_UTF8_BOM).decode("utf-8", "replace").splitlines()[:FIRST_LINES]
    enough = min(ENOUGH_HEADINGS, len(profile.metadata_columns))
    return any(own_headings(split(line, mark), profile) >= enough for line in lines for mark in (",", *DELIMITERS))


def read_metadata(file: Item, release: Source, profile: Profile) -> dict[str, Rows]:
    """Read metadata.csv.

    Parameters
    ----------
    file : Item
        The file.
    release : Source
        Where the release lies, which no File Location may leave.
    profile : Profile
        The collection's profile: headings, patient IDs, form of dates, name of the collection's folder.

    Returns
    -------
    dict of str to list of dict
        Rows of the tables `sources` (one) and `metadata`, of `list_notes` for what was put right or passed over, and of
        `texts` for columns that `metadata` has none for. A file that can't be parsed as a whole gives no row of
        `metadata`, since half a list would make what it lacks look missing; `sources.problem` says why: `permission`, `not-fetched`,
        `too-large`, `empty`, `encoding`, `not-text`, `delimiter`, `headings`, `syntax`, `ragged` or `no-rows`.
    """
    source: dict[str, Any] = {"source": "metadata", "path": file.path, "used": True}
    try:
        lines = read_lines(_text(file), profile)
    except Problem as problem:
        columns = None if problem.columns is None else json.dumps(problem.columns, ensure_ascii=False)
        source |= {"problem": problem.code, "detail": problem.detail, "line": problem.line, "columns": columns}
        return {"sources": [source], "metadata": []}
    found = lines.headings
    places = {column: place for name, column in COLUMNS.items() if (place := found.place(name)) is not None}
    where = _Locations(release, file, profile.name)
    rows = [_row(record, lines, places, profile, where) for record in lines.records]
    scan, known = TextScan(profile), set(places.values())
    others = [(position, heading) for position, heading in enumerate(found.found) if position not in known]
    texts = [
        told | {"patient": row["patient"]}
        for row, record in zip(rows, lines.records, strict=True)
        for position, heading in others
        for told in scan.cell("metadata", file.path, record.line, heading, record.fields[position])
    ]
    source |= {"columns": json.dumps(found.found, ensure_ascii=False), "n_rows": len(rows)}
    if found.is_archives:
        source["edition"] = ARCHIVES
    notes = [{"source": "metadata", "path": file.path, **note} for note in lines.notes]
    more = {"texts": texts, "list_notes": notes}
    return {"sources": [source], "metadata": rows} | {name: told for name, told in more.items() if told}


def _text(file: Item) -> str:
    """The file as text.

    Raises
    ------
    Problem
        It can't be opened, or is no UTF-8.
    """
    try:
        content = file.read(0, limits.METADATA_BYTES + 1)
    except OSError as error:
        raise Problem(problem_of(error), reason(error)) from None
    if len(content) > limits.METADATA_BYTES:
        raise Problem("too-large", f"the file holds more than {limits.METADATA_BYTES // limits.MIB} MiB")
    if content.startswith(_WIDE_BOMS):
        raise Problem("encoding", "the file is UTF-16, not UTF-8", 1)
    code = content_of(content[:FIRST_BYTES])
    if code not in (None, "text"):
        raise Problem("not-text", f"the file is {told(code)}")
    content = content.removeprefix(_UTF8_BOM)
    if not content.strip():
        raise Problem("empty", "the file is empty")
    if b"\0" in content:
        raise Problem("not-text", "the file holds zero bytes, so it is no text", _line(content, content.index(b"\0")))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem("encoding", "a character is not UTF-8", _line(content, error.start)) from None


def _line(content: bytes, offset: int) -> int:
    before = content[:offset]
    return 1 + (before.count(b"\n") or before.count(b"\r"))


def _row(
    record: Record, lines: Lines, places: Mapping[str, int], profile: Profile, where: _Locations
) -> dict[str, Any]:
    row: dict[str, Any] = {"row": record.line, "unsure": record.unsure}
    for column, position in places.items():
        value = record.fields[position]
        if column in _LOOKED_THROUGH:
            value, hidden = plainly(value)
            told = [one for one in hidden if one != BLANK_AT_AN_END or column not in _PARSED]
            if told:
                lines.note("invisible", record.line, ", ".join(told), _HEADINGS[column])
        row[column] = value if value.strip() else None
    subject, in_bytes = row.get("subject_id"), lines.headings.in_bytes
    row["patient"] = subject if subject is not None and profile.is_patient_id(subject) else None
    row["images"] = _images(row.get("number_of_images"))
    row["size_decimal"], row["size_binary"] = _size(row.get("file_size"), in_bytes=in_bytes)
    row["date"] = _date(row.get("study_date"), profile, iso=lines.headings.is_archives)
    row["folder"], row["location_problem"] = where.find(row.get("file_location"))
    return row


def _images(text: str | None) -> int | None:
    match = text and _WHOLE.fullmatch(text.strip())
    return int(match[0].partition(".")[0]) if match else None


def _size(text: str | None, *, in_bytes: bool) -> tuple[float | None, float | None]:
    """Bytes, with units read as powers of 1000 and of 1024; a number without a unit is none, unless all are bytes."""
    if in_bytes and text and _WHOLE.fullmatch(text.strip()):
        return float(text), float(text)
    match = text and _SIZE.fullmatch(text.strip())
    if not match:
        return None, None
    number = float(match[1].replace(",", "") + (match[2] or ""))
    unit = match[3].upper()
    power = 0 if unit.startswith("BYTE") else _POWERS[unit.rstrip("B").rstrip("I")]
    return number * 1000.0**power, number * 1024.0**power


def _date(text: str | None, profile: Profile, *, iso: bool) -> str | None:
    if text is None:
        return None
    if iso and (day := day_of(text)):
        return day
    try:
        date = dt.datetime.strptime(text.strip(), profile.date_format).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    # strptime forgives a missing leading zero; the form does not.
    return f"{date.year:04d}{date:%m%d}" if len(text.strip()) == len(profile.date_form) else None


@dataclass(frozen=True)
class _Locations:
    """Finds the folders that File Locations lead to, and goes nowhere outside of the release.

    A location is tried from the folder of metadata.csv, then from the root of the release, then from both without the
    leading folder of the collection.
    """

    release: Source
    table: Item
    collection: str

    def _ways(self, parts: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Steps to try: as written, and with accents composed and decomposed, as systems differ in."""
        for way in (parts, parts[1:]) if parts[:1] == [self.collection] else (parts,):
            yield tuple(way)
            for form in ("NFC", "NFD"):
                yield tuple(unicodedata.normalize(form, part) for part in way)

    def find(self, text: str | None) -> tuple[str | None, str | None]:
        """The folder relative to the release, or the problem: `missing` or `outside`."""
        if text is None or "\0" in text:
            return None, "missing"
        location = text.strip().replace("\\", "/")
        parts = [part for part in location.split("/") if part not in ("", ".")]
        if location.startswith("/") or _DRIVE.match(location) or ".." in parts:
            return None, "outside"
        problem = "missing"
        for steps in dict.fromkeys(self._ways(parts)):
            for start in (self.table, None):
                try:
                    found = self.release.folder(steps, start)
                except OutsideError:
                    problem = "outside"
                    continue
                except UnicodeError:
                    # A name that this machine's file system can't hold is none of it.
                    continue
                if found is not None:
                    return found, None
        return None, problem
