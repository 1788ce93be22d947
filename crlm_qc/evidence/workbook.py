"""The clinical workbook: an xlsx file, or a CSV export of its patient sheet.

A workbook is untrusted: nothing in it is run, followed or expanded. Formulas are seen as formulas and never worked out,
and the result that a spreadsheet kept beside one is not read, for nobody can tell whether it is still right.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final
from xml.etree import ElementTree as ET

from crlm_qc.model.deidentification import Pattern, is_person, looks_like
from crlm_qc.model.headings import plain_heading
from crlm_qc.model.profile import Profile

Row = dict[str, Any]

MAX_BYTES: Final = 64 * 2**20
"""Largest file, and largest sum of a workbook's unpacked parts; the published one unpacks to 1.5 MB."""
MAX_PARTS: Final = 5000
MAX_ROWS: Final = 200_000
"""Rows read of a sheet. The published data dictionary has 16,384, nearly all blank."""
MAX_COLUMNS: Final = 256
MAX_FACTS: Final = 1000
"""Facts kept of one sort and sheet: a sheet of formulas need not be listed cell by cell."""
_HEADING_ROWS: Final = 20
"""Rows among which the headings are looked for; titles may stand above them."""
_MIN_HEADINGS: Final = 3
"""Known headings that make a sheet the patient sheet."""

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP: Final = b"PK\x03\x04"
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]+")
_HOME: Final = re.compile(r"[\\/](?:users|home|documents and settings)[\\/]+[^\\/]", re.IGNORECASE)
_PROGRAMS: Final = frozenset({"openpyxl", "xlsxwriter", "apache poi", "libreoffice", "microsoft excel"})
"""What programs write where a person's name belongs."""
_DICTIONARY_HEADINGS: Final = ("variable name", "description", "values")


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell that holds something."""

    column: int
    type: str
    text: str
    value: float | None = None
    number_format: str | None = None


@dataclass(slots=True)
class _Sheet:
    """Cells of a sheet by row, both counted from 1."""

    name: str | None
    rows: dict[int, list[_Cell]] = field(default_factory=dict)
    has_types: bool = True
    """Whether its cells have types of their own; those of a CSV file have not."""


@dataclass(slots=True)
class _Book:
    """What was read of a file: sheets, and facts beside their cells."""

    sheets: list[_Sheet] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)


class _UnusableError(Exception):
    """The file can't be used as the workbook; the detail holds no text of it."""

    def __init__(self, problem: str, detail: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.detail, self.line = problem, detail, line


def read_workbook(path: Path, profile: Profile, relative: str) -> dict[str, list[Row]]:
    """Read the clinical workbook.

    Parameters
    ----------
    path : pathlib.Path
        An xlsx or xlsm file, or a CSV export of the patient sheet.
    profile : Profile
        The collection's profile, which names sheets, columns and editions.
    relative : str
        The path relative to the release, to be written down.

    Returns
    -------
    dict of str to list of dict
        Rows of the tables `sources` (one row), `clinical`, `clinical_dictionary` and `workbook`. A file that can't be
        used gives its problem in `sources`, never an exception.
    """
    source: Row = {"source": "clinical", "path": relative, "used": True}
    tables: dict[str, list[Row]] = {"sources": [source], "clinical": [], "clinical_dictionary": [], "workbook": []}
    try:
        book = _open(path, profile)
    except _UnusableError as error:
        source.update(problem=error.problem, detail=error.detail, line=error.line)
        return tables
    tables["workbook"] = book.facts
    found = _patient_sheet(book.sheets, profile)
    if found is None:
        source.update(problem="no-patient-sheet", detail="no sheet has the headings of the patient sheet")
        return tables
    sheet, heading_row = found
    headings = _headings(sheet, heading_row)
    edition = _edition(headings.values(), profile)
    tables["clinical"] = _clinical(sheet, heading_row, headings, profile)
    tables["clinical_dictionary"] = _dictionary([item for item in book.sheets if item is not sheet], profile)
    source.update(
        columns=json.dumps(list(headings.values())),
        edition=edition,
        n_rows=len({row["row"] for row in tables["clinical"]}),
    )
    return tables


def looks_like_workbook(path: Path, profile: Profile) -> bool:
    """Whether a file is the clinical workbook, judged by its headings; cheap enough for every file of a release.

    A spreadsheet whose name speaks of clinical data counts as well: if it can't be opened, that must be said.
    """
    suffix = path.suffix.lower()
    if suffix not in (".xlsx", ".xlsm", ".xls", ".csv") or path.name.startswith(("~$", ".")):
        return False
    if suffix != ".csv" and "clinical" in path.stem.lower():
        return True
    known = _known(profile)
    try:
        with path.open("rb") as file:
            head = file.read(8192)
        if suffix == ".csv":
            line = _decode(head, cut=True).lstrip("\n").partition("\n")[0]
            return _matches(re.split(r"[,;\t]", line.replace('"', "")), known) >= _MIN_HEADINGS
        if not head.startswith(_ZIP):
            return False
        strings = _strings(path)
        return sum(plain_heading(name).encode() in strings for name in _all_columns(profile)) >= _MIN_HEADINGS
    except (OSError, zipfile.BadZipFile, _UnusableError, NotImplementedError, RuntimeError, EOFError, ValueError):
        return False


def edition_rank(source: Mapping[str, Any], profile: Profile) -> int:
    """How new the edition of a `sources` row is: 0 for the oldest known, -1 where none was recognised."""
    names = [edition.name for edition in profile.editions]
    edition = source.get("edition")
    return names.index(edition) if isinstance(edition, str) and edition in names else -1


# Opening


def _open(path: Path, profile: Profile) -> _Book:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _UnusableError("too-large", f"the file is larger than {MAX_BYTES // 2**20} MB")
        data = path.read_bytes()
    except PermissionError:
        raise _UnusableError("permission", "the file may not be read") from None
    except OSError:
        raise _UnusableError("unreadable", "the file can't be read from disk") from None
    if not data.strip():
        raise _UnusableError("empty", "the file is empty")
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise _UnusableError("encrypted", "the workbook is encrypted with a password")
        raise _UnusableError("not-xlsx", "it is a file of the old Excel format (.xls): save it as .xlsx")
    if data.startswith(_ZIP):
        return _open_xlsx(data, profile)
    if path.suffix.lower() == ".csv":
        return _Book([_read_csv(data)])
    raise _UnusableError("not-xlsx", "it is no xlsx file, which begins as a zip archive does")


def _open_xlsx(data: bytes, profile: Profile) -> _Book:
    archive = _safe_archive(data)
    with archive, warnings.catch_warnings():
        # openpyxl warns of extensions that it leaves out when it writes; nothing is written here.
        warnings.simplefilter("ignore")
        try:
            sheets = _read_sheets(data)
            return _Book(sheets, list(_facts(archive, sheets, profile)))
        except Exception:  # noqa: BLE001 - a malformed part can make openpyxl raise nearly anything
            raise _UnusableError("malformed", "a part of the workbook is damaged or is no valid XML") from None


def _safe_archive(data: bytes) -> zipfile.ZipFile:
    """The archive, once it is known to be a workbook that unpacks to a bearable size and declares no XML entities."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        parts = archive.infolist()
        names = {part.filename for part in parts}
        if "xl/workbook.xml" not in names:
            raise _UnusableError("not-xlsx", "it is a zip archive that holds no xlsx workbook")
        # What zipfile unpacks of a part never exceeds the size that the archive's directory states.
        if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_BYTES:
            raise _UnusableError("too-large", f"the workbook unpacks to more than {MAX_BYTES // 2**20} MB")
        for part in parts:
            if part.filename.endswith((".xml", ".rels", ".vml")):
                content = archive.read(part)
                if any("<!DOCTYPE".encode(code) in content for code in ("ascii", "utf-16-le", "utf-16-be")):
                    raise _UnusableError("malformed", "a part of the workbook declares XML entities, which no xlsx has")
    except _UnusableError:
        raise
    except Exception:  # noqa: BLE001 - damage shows as BadZipFile, zlib.error, EOFError and more, of no common family
        raise _UnusableError("malformed", "the zip archive of the workbook is damaged or encrypted") from None
    return archive


def _read_sheets(data: bytes) -> list[_Sheet]:
    import openpyxl

    # Read-only mode takes rows one by one and never grows a sheet by what a merged range or a link claims to cover.
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
    sheets = []
    worksheets: Iterable[Any] = book.worksheets
    for worksheet in worksheets:
        worksheet.reset_dimensions()
        sheet = _Sheet(worksheet.title)
        for number, row in enumerate(worksheet.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS), 1):
            cells = [
                made
                for column, cell in enumerate(row, 1)
                if cell.value is not None and (made := _cell(column, cell)) is not None
            ]
            if cells:
                sheet.rows[number] = cells
        sheets.append(sheet)
    book.close()
    return sheets


def _cell(column: int, cell: Any) -> _Cell | None:
    value, sort = cell.value, cell.data_type
    number_format = str(cell.number_format)
    if sort == "f":
        return _Cell(column, "formula", "=", None, number_format)
    if sort == "e":
        return _Cell(column, "error", str(value), None, number_format)
    if isinstance(value, bool):
        return _Cell(column, "boolean", str(value).upper(), None, number_format)
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return _Cell(column, "error", str(value), None, number_format)
        return _Cell(column, "number", _digits(float(value)), float(value), number_format)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return _Cell(column, "date", value.isoformat(), None, number_format)
    if isinstance(value, dt.timedelta):
        return _Cell(column, "date", str(value), None, number_format)
    return _text_cell(column, str(value), number_format)


def _text_cell(column: int, text: str, number_format: str | None) -> _Cell | None:
    if not text.strip():
        return None
    return _Cell(column, "text", text, _number(text), number_format)


def _number(text: str) -> float | None:
    """The number that a text holds; `70%` holds 0.7."""
    plain = text.strip()
    percent = plain.endswith("%")
    plain = plain.removesuffix("%").rstrip()
    if len(plain) > 40 or not _NUMBER.fullmatch(plain):
        return None
    number = float(plain) / (100 if percent else 1)
    return number if math.isfinite(number) else None


def _digits(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


# CSV


def _decode(data: bytes, *, cut: bool = False) -> str:
    """Text of a CSV export: UTF-8, UTF-16 with its mark, or what Excel writes on Western Windows."""
    if b"\x00" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _UnusableError("not-xlsx", "it is neither an xlsx file nor text")
    code = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(code, errors="ignore" if cut else "strict")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_csv(data: bytes) -> _Sheet:
    text = _decode(data)
    first = text.lstrip("\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    sheet = _Sheet(None, has_types=False)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for number, values in enumerate(reader, 1):
            if number > MAX_ROWS:
                break
            cells = [_csv_cell(column, value, delimiter) for column, value in enumerate(values[:MAX_COLUMNS], 1)]
            if kept := [cell for cell in cells if cell is not None]:
                sheet.rows[number] = kept
    except csv.Error:
        raise _UnusableError("malformed", "the CSV file has a broken quotation", reader.line_num) from None
    return sheet


def _csv_cell(column: int, text: str, delimiter: str) -> _Cell | None:
    if delimiter == ";" and _DECIMAL_COMMA.fullmatch(text.strip().removesuffix("%").rstrip()):
        text = text.replace(",", ".")
    cell = _text_cell(column, text, None)
    if cell is not None and cell.value is not None and "%" not in text:
        return _Cell(column, "number", text.strip(), cell.value)
    return cell


# Sheets, headings, editions


def _all_columns(profile: Profile) -> list[str]:
    return sorted({column for edition in profile.editions for column in edition.columns})


def _known(profile: Profile) -> frozenset[str]:
    return frozenset(map(plain_heading, _all_columns(profile)))


def _matches(headings: Iterable[str], known: frozenset[str]) -> int:
    return len({plain_heading(heading) for heading in headings} & known)


def _patient_sheet(sheets: Sequence[_Sheet], profile: Profile) -> tuple[_Sheet, int] | None:
    """The sheet whose headings are the most like the patient sheet's, whatever its name, and the row they stand in."""
    known = _known(profile)
    best: tuple[int, bool, _Sheet, int] | None = None
    for sheet in sheets:
        for number in sorted(sheet.rows)[:_HEADING_ROWS]:
            score = _matches((cell.text for cell in sheet.rows[number] if cell.type == "text"), known)
            named = sheet.name == profile.patient_sheet
            if score >= _MIN_HEADINGS and (best is None or (score, named) > best[:2]):
                best = (score, named, sheet, number)
    return None if best is None else best[2:]


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _headings(sheet: _Sheet, heading_row: int) -> dict[int, str]:
    """Headings by column; one that stands twice is numbered, a column of values without one is named by its letters."""
    headings: dict[int, str] = {}
    seen: dict[str, int] = {}
    for cell in sheet.rows[heading_row]:
        times = seen[cell.text] = seen.get(cell.text, 0) + 1
        headings[cell.column] = cell.text if times == 1 else f"{cell.text}[{times}]"
    used = {cell.column for number, cells in sheet.rows.items() if number > heading_row for cell in cells}
    headings |= {column: f"[{_letters(column)}]" for column in used - set(headings)}
    return dict(sorted(headings.items()))


def _edition(headings: Iterable[str], profile: Profile) -> str | None:
    """The edition whose columns are the most like the headings (shared columns over all of both)."""
    found = {plain_heading(heading) for heading in headings}

    def likeness(columns: Iterable[str]) -> float:
        names = set(map(plain_heading, columns))
        return len(found & names) / len(found | names)

    best = max(profile.editions, key=lambda edition: likeness(edition.columns), default=None)
    return None if best is None else best.name


def _clinical(sheet: _Sheet, heading_row: int, headings: Mapping[int, str], profile: Profile) -> list[Row]:
    patient_column = next(
        (at for at, name in headings.items() if plain_heading(name) == plain_heading(profile.patient_column)), None
    )
    rows: list[Row] = []
    for number, cells in sheet.rows.items():
        if number <= heading_row:
            continue
        by_column = {cell.column: cell for cell in cells}
        id_cell = by_column.get(patient_column) if patient_column is not None else None
        patient_id = None if id_cell is None else id_cell.text
        stripped = "" if patient_id is None else patient_id.strip()
        who = {"patient_id": patient_id, "patient": stripped if profile.is_patient_id(stripped) else None}
        for column, heading in headings.items():
            cell = by_column.get(column)
            row: Row = {"row": number, **who, "column": heading, "type": "blank" if cell is None else cell.type}
            if cell is not None:
                row |= {"text": cell.text, "value": cell.value, "number_format": cell.number_format}
            rows.append(row)
    return rows


def _dictionary(sheets: Sequence[_Sheet], profile: Profile) -> list[Row]:
    for sheet in sorted(sheets, key=lambda item: item.name != profile.dictionary_sheet):
        for number in sorted(sheet.rows)[:_HEADING_ROWS]:
            at = {plain_heading(cell.text): cell.column for cell in sheet.rows[number]}
            if _DICTIONARY_HEADINGS[0] in at:
                return list(_dictionary_rows(sheet, number, [at.get(name) for name in _DICTIONARY_HEADINGS]))
    return []


def _dictionary_rows(sheet: _Sheet, heading_row: int, columns: Sequence[int | None]) -> Iterator[Row]:
    for number, cells in sheet.rows.items():
        texts = {cell.column: cell.text.strip() for cell in cells}
        variable, description, values = (None if at is None else texts.get(at) for at in columns)
        if number > heading_row and variable is not None:
            yield {"row": number, "variable": variable, "description": description, "values": values}


# Facts beside the cells


def _facts(archive: zipfile.ZipFile, sheets: Sequence[_Sheet], profile: Profile) -> Iterator[Row]:
    names = archive.namelist()
    parts = _sheet_parts(archive)
    for name, part, state in parts:
        yield {"fact": "sheet", "sheet": name, "has_value": True}
        if state != "visible":
            yield {"fact": "hidden-sheet", "sheet": name, "has_value": True}
        if part in names:
            yield from _limited(_sheet_facts(name, archive.read(part)))
            yield from _limited(_comments(archive, name, part))
    for sheet in sheets:
        yield from _limited(
            {"fact": "formula", "sheet": sheet.name, "cell": f"{_letters(cell.column)}{number}", "has_value": True}
            for number, cells in sheet.rows.items()
            for cell in cells
            if cell.type == "formula"
        )
    for name in names:
        if (name.startswith("xl/externalLinks/") and name.endswith(".xml")) or name == "xl/connections.xml":
            yield {"fact": "external-link", "name": PurePosixPath(name).name, "has_value": True}
        elif name.endswith("vbaProject.bin") or name.startswith(("xl/macrosheets/", "xl/activeX/")):
            yield {"fact": "macro", "name": PurePosixPath(name).name, "has_value": True}
    yield from _properties(archive, profile)


def _limited(facts: Iterable[Row]) -> Iterator[Row]:
    counts: dict[str, int] = {}
    for fact in facts:
        counts[fact["fact"]] = counts.get(fact["fact"], 0) + 1
        if counts[fact["fact"]] <= MAX_FACTS:
            yield fact


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _elements(data: bytes) -> Iterator[ET.Element]:
    for _, element in ET.iterparse(io.BytesIO(data), events=("end",)):  # noqa: S314 - no part has a DOCTYPE
        yield element


def _relations(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Relationships of a part: id to the last word of its type, and the part that it leads to inside the archive."""
    where = PurePosixPath(part)
    name = str(where.parent / "_rels" / f"{where.name}.rels")
    if name not in archive.namelist():
        return {}
    found = {}
    for element in _elements(archive.read(name)):
        if _local(element.tag) == "Relationship" and element.get("TargetMode") != "External":
            target = element.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else _joined(str(where.parent), target)
            found[element.get("Id", "")] = (element.get("Type", "").rpartition("/")[2], path)
    return found


def _joined(folder: str, target: str) -> str:
    parts: list[str] = folder.split("/")
    for piece in target.split("/"):
        if piece == "..":
            del parts[-1:]
        elif piece not in ("", "."):
            parts.append(piece)
    return "/".join(parts)


def _sheet_parts(archive: zipfile.ZipFile) -> list[tuple[str, str, str]]:
    """Name, part and state of each sheet, in their order."""
    relations = _relations(archive, "xl/workbook.xml")
    found = []
    for element in _elements(archive.read("xl/workbook.xml")):
        if _local(element.tag) == "sheet":
            relation = next((value for key, value in element.attrib.items() if key.endswith("}id")), "")
            part = relations.get(relation, ("", ""))[1]
            found.append((element.get("name", ""), part, element.get("state", "visible")))
    return found


def _sheet_facts(sheet: str, data: bytes) -> Iterator[Row]:
    if not any(word in data for word in (b"hidden", b"mergeCell", b'ht="0"', b'width="0"')):
        return
    for element in _elements(data):
        tag, get = _local(element.tag), element.get
        if tag == "row":
            if get("hidden") in ("1", "true") or get("ht") == "0":
                yield {
                    "fact": "hidden-row",
                    "sheet": sheet,
                    "cell": _reference(get("r")),
                    "has_value": len(element) > 0,
                }
            element.clear()
        elif tag == "col" and (get("hidden") in ("1", "true") or get("width") == "0"):
            first, last = (_reference(get(name)) for name in ("min", "max"))
            if first and first.isdigit() and int(first) <= MAX_COLUMNS:
                letters = [_letters(min(int(text), MAX_COLUMNS)) for text in (first, last) if text and text.isdigit()]
                yield {
                    "fact": "hidden-column",
                    "sheet": sheet,
                    "cell": ":".join(dict.fromkeys(letters)),
                    "has_value": True,
                }
        elif tag == "mergeCell":
            yield {"fact": "merged", "sheet": sheet, "cell": _reference(get("ref")), "has_value": True}


def _reference(text: str | None) -> str | None:
    """A cell, row, column or range as the file names it; nothing else passes."""
    return text if text and re.fullmatch(r"[A-Z]{0,3}[0-9]{0,7}(:[A-Z]{0,3}[0-9]{0,7})?", text) else None


def _comments(archive: zipfile.ZipFile, sheet: str, part: str) -> Iterator[Row]:
    seen = set()
    for kind, target in _relations(archive, part).values():
        if kind in ("comments", "threadedComment") and target in archive.namelist():
            for element in _elements(archive.read(target)):
                cell = _reference(element.get("ref"))
                if _local(element.tag) in ("comment", "threadedComment") and cell not in seen:
                    seen.add(cell)
                    yield {"fact": "comment", "sheet": sheet, "cell": cell, "has_value": True}


def _properties(archive: zipfile.ZipFile, profile: Profile) -> Iterator[Row]:
    """Properties that may name a person: their names, never their values."""
    names = archive.namelist()
    for part, keys, texts in (
        (
            "docProps/core.xml",
            ("creator", "lastModifiedBy"),
            ("title", "subject", "description", "keywords", "category"),
        ),
        ("docProps/app.xml", ("Manager",), ()),
    ):
        if part in names:
            for element in _elements(archive.read(part)):
                value, name = (element.text or "").strip(), _local(element.tag)
                meant = name in keys and value and value.casefold() not in _PROGRAMS
                if meant or (name in texts and _names_somebody(value, profile)):
                    yield {"fact": "property", "name": name, "has_value": True}
    # Excel keeps the folder that the file was last saved in, which may be a person's home.
    for element in _elements(archive.read("xl/workbook.xml")):
        if _local(element.tag) == "absPath" and _HOME.search(element.get("url", "")):
            yield {"fact": "property", "name": "absPath", "has_value": True}


_TITLE_WORDS_TEXT = """
ANALYSIS ARCHIVE CANCER CASE CASES CENTER CENTRE CHARACTERISTICS COHORT DATABASE DATASET DICTIONARY DRAFT FINAL
FORM IMAGING LIST OUTCOME OUTCOMES PATIENT PATIENTS RELEASE RESULT RESULTS SHEET STUDY SUMMARY SUPPLEMENT
SUPPLEMENTARY SURVIVAL TABLE TABLES VARIABLES VERSION WORKBOOK
"""
_TITLE_WORDS: Final = frozenset(_TITLE_WORDS_TEXT.split())
"""Words that titles are made of, and that name nobody."""


def _names_somebody(text: str, profile: Profile) -> bool:
    """Whether a text that is not meant to name a person looks as if it did."""
    pattern = looks_like(text)
    if pattern is not None and pattern is not Pattern.DATE:
        return True
    known = profile.description_words | _TITLE_WORDS | set(profile.title.upper().split())
    return any(len(part.split()) == 2 and is_person(part, known) for part in re.split("[,;\n]", text))


def _strings(path: Path) -> bytes:
    """Text of a workbook's strings in plain form, the first megabyte of each part that may hold headings."""
    found = b""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "xl/workbook.xml" not in names:
            return b""
        for name in names:
            if name == "xl/sharedStrings.xml" or re.fullmatch(r"xl/worksheets/[^/]+\.xml", name):
                with archive.open(name) as part:
                    found += part.read(2**20)
    return found.lower()
