"""Reads metadata.csv, the downloader's list of series. Nothing else reads it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.source import Item, OutsideError, Source
from crlm_qc.evidence.texts import TextScan
from crlm_qc.model.tables import TABLES

Rows = list[dict[str, Any]]

METADATA_NAME = "metadata.csv"

# Headings of the downloader, and the columns of the contract that hold their values.
COLUMNS: Mapping[str, str] = {column.source: column.name for column in TABLES["metadata"].columns if column.source}

_FIRST_BYTES = 8192
_ENOUGH_HEADINGS = 4
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_UTF8_BOM, _WIDE_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}(\.0*)?")
_SIZE = re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})(\.[0-9]{1,9})?\s*(BYTES?|[KMGT]?I?B)", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_DRIVE = re.compile(r"[A-Za-z]:")


class _Problem(Exception):  # noqa: N818 - a fault of the file, which ends its reading
    """Why the file can't be read as metadata.csv; the words hold nothing from the file."""

    def __init__(self, code: str, detail: str, line: int | None = None, columns: Sequence[str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.line = line
        self.columns = columns


def looks_like_metadata(file: Item, profile: Profile) -> bool:
    """Whether a file is, or should be, the release's metadata.csv.

    A file of that name is, whatever it holds: the rules say what is wrong with it. A file of another name is if its
    first line holds some of the downloader's own headings.

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
    first = start.removeprefix(_UTF8_BOM).decode("utf-8", "replace").splitlines()[:1]
    return bool(first) and max(_known(_split(first[0], mark), profile) for mark in (",", *_DELIMITERS)) >= min(
        _ENOUGH_HEADINGS, len(profile.metadata_columns)
    )


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
        Rows of the tables `sources` (one) and `metadata`, and of `texts` for columns that `metadata` has none for. A file that can't be parsed as a whole gives no row of
        `metadata`, since half a list would make what it lacks look missing; `sources.problem` says why: `permission`,
        `too-large`, `empty`, `encoding`, `not-text`, `delimiter`, `headings`, `syntax`, `ragged` or `no-rows`.
    """
    source: dict[str, Any] = {"source": "metadata", "path": file.path, "used": True}
    try:
        headings, records = _parse(_text(file), profile)
    except _Problem as problem:
        columns = None if problem.columns is None else json.dumps(problem.columns, ensure_ascii=False)
        source |= {"problem": problem.code, "detail": problem.detail, "line": problem.line, "columns": columns}
        return {"sources": [source], "metadata": []}
    places = _places(headings)
    where = _Locations(release, file, profile.name)
    rows = [_row(line, fields, places, profile, where) for line, fields in records]
    scan, known = TextScan(profile), set(places.values())
    others = [(position, heading) for position, heading in enumerate(headings) if position not in known]
    texts = [
        found | {"patient": row["patient"]}
        for row, (line, fields) in zip(rows, records, strict=True)
        for position, heading in others
        for found in scan.cell("metadata", file.path, line, heading, fields[position])
    ]
    source |= {"columns": json.dumps(headings, ensure_ascii=False), "n_rows": len(rows)}
    return {"sources": [source], "metadata": rows} | ({"texts": texts} if texts else {})


def _text(file: Item) -> str:
    """The file as text.

    Raises
    ------
    _Problem
        It can't be opened, or is no UTF-8.
    """
    try:
        content = file.read(0, limits.METADATA_BYTES + 1)
    except OSError:
        raise _Problem("permission", "the file can't be opened") from None
    if len(content) > limits.METADATA_BYTES:
        raise _Problem("too-large", f"the file holds more than {limits.METADATA_BYTES // limits.MIB} MiB")
    if content.startswith(_WIDE_BOMS):
        raise _Problem("encoding", "the file is UTF-16, not UTF-8", 1)
    content = content.removeprefix(_UTF8_BOM)
    if not content.strip():
        raise _Problem("empty", "the file is empty")
    if b"\0" in content:
        raise _Problem("not-text", "the file holds zero bytes, so it is no text", _line(content, content.index(b"\0")))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Problem("encoding", "a character is not UTF-8", _line(content, error.start)) from None


def _line(content: bytes, offset: int) -> int:
    before = content[:offset]
    return 1 + (before.count(b"\n") or before.count(b"\r"))


def _parse(text: str, profile: Profile) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Headings, and the records with the line that each begins on; wholly blank lines are left out.

    Raises
    ------
    _Problem
        It is no CSV, of another kind, or a row has another number of fields than the heading.
    """
    records = _records(text)
    heading_line, headings = next(records, (1, []))
    if _known(headings, profile) == 0:
        for mark, word in _DELIMITERS.items():
            if _known(_split(text.split("\n", 1)[0], mark), profile):
                raise _Problem("delimiter", f"fields are parted by {word}, not by commas", heading_line)
        detail = "the first line holds none of the headings of a metadata.csv"
        raise _Problem("headings", detail, heading_line, headings)
    listed = list(islice(records, limits.LIST_ROWS + 1))
    if len(listed) > limits.LIST_ROWS:
        raise _Problem("too-large", f"the file holds more than {limits.LIST_ROWS:,} rows", None, headings)
    ragged = [(line, len(fields)) for line, fields in listed if len(fields) != len(headings)]
    if ragged:
        line, fields = ragged[0]
        more = f"; so are {len(ragged) - 1} more rows" if len(ragged) > 1 else ""
        detail = f"a row has {fields} fields, the heading has {len(headings)}{more}"
        raise _Problem("ragged", detail, line, headings)
    if not listed:
        raise _Problem("no-rows", "the file holds headings and no row", heading_line, headings)
    return headings, listed


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise _Problem("syntax", "a quoted field is not closed, or text follows its end", start) from None
        if any(value.strip() for value in fields):
            yield start, fields
        start = reader.line_num + 1


def _split(line: str, mark: str) -> list[str]:
    return [value.strip().strip('"') for value in line.rstrip("\r").split(mark)]


def _known(headings: Sequence[str], profile: Profile) -> int:
    return len(
        {plain_heading(heading) for heading in headings} & {plain_heading(name) for name in profile.metadata_columns}
    )


def _places(headings: Sequence[str]) -> dict[str, int]:
    """Where each column of the contract stands in a record: the first heading of that name."""
    positions: dict[str, int] = {}
    for position, heading in enumerate(headings):
        positions.setdefault(plain_heading(heading), position)
    return {
        column: positions[plain_heading(name)] for name, column in COLUMNS.items() if plain_heading(name) in positions
    }


def _row(
    line: int, fields: Sequence[str], places: Mapping[str, int], profile: Profile, where: _Locations
) -> dict[str, Any]:
    row: dict[str, Any] = {"row": line}
    for column, position in places.items():
        value = fields[position]
        row[column] = value if value.strip() else None
    subject = row.get("subject_id")
    row["patient"] = subject if subject is not None and profile.is_patient_id(subject) else None
    row["images"] = _images(row.get("number_of_images"))
    row["size_decimal"], row["size_binary"] = _size(row.get("file_size"))
    row["date"] = _date(row.get("study_date"), profile)
    row["folder"], row["location_problem"] = where.find(row.get("file_location"))
    return row


def _images(text: str | None) -> int | None:
    match = text and _WHOLE.fullmatch(text.strip())
    return int(match[0].partition(".")[0]) if match else None


def _size(text: str | None) -> tuple[float | None, float | None]:
    """Bytes, with units read as powers of 1000 and of 1024."""
    match = text and _SIZE.fullmatch(text.strip())
    if not match:
        return None, None
    number = float(match[1].replace(",", "") + (match[2] or ""))
    unit = match[3].upper()
    power = 0 if unit.startswith("BYTE") else _POWERS[unit.rstrip("B").rstrip("I")]
    return number * 1000.0**power, number * 1024.0**power


def _date(text: str | None, profile: Profile) -> str | None:
    if text is None:
        return None
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

    def find(self, text: str | None) -> tuple[str | None, str | None]:
        """The folder relative to the release, or the problem: `missing` or `outside`."""
        if text is None or "\0" in text:
            return None, "missing"
        location = text.strip().replace("\\", "/")
        parts = [part for part in location.split("/") if part not in ("", ".")]
        if location.startswith("/") or _DRIVE.match(location) or ".." in parts:
            return None, "outside"
        problem = "missing"
        for steps in (parts, parts[1:]) if parts[:1] == [self.collection] else (parts,):
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
