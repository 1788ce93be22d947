"""Reads a workbook, xlsx or CSV, as an untrusted file: nothing in it is run, followed or expanded."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from crlm_qc.collection.invisible import plain_text
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.contents import FIRST_BYTES, content_of
from crlm_qc.evidence.source import Item, problem_of, reason
from crlm_qc.evidence.workbook.book import Book, Cell, Sheet, UnusableError
from crlm_qc.evidence.workbook.facts import workbook_facts
from crlm_qc.model.contents import CONTENTS, told

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_SIGNATURE: Final = b"PK\x03\x04"
_SEEN_BYTES: Final = 2**20
_STRICT: Final = b"http://purl.oclc.org/ooxml/spreadsheetml/main"
"""The namespace of ISO/IEC 29500 Strict, of which openpyxl, and so pandas, reads no sheet."""
_OTHER_BOOKS: Final = {
    "xl/workbook.bin": "xlsb",
    "META-INF/manifest.xml": "ods",
    "Index/Document.iwa": "numbers",
    "word/document.xml": "word",
}
"""Parts of archives that are other spreadsheets or documents."""
_SAVE: Final = "save it as Excel Workbook (.xlsx)"
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+),[0-9]+")
_POINTS: Final = re.compile(r"(?:^|\t)[+-]?[0-9]+\.[0-9]*%?(?:\t|$)", re.MULTILINE)
"""A number with a decimal point, alone between tabs."""


def read_book(file: Item, profile: Profile) -> Book:
    """Read a workbook.

    Raises
    ------
    UnusableError
        It can't be used; the code and the reason say why.
    """
    try:
        data = file.read(0, limits.WORKBOOK_BYTES + 1)
    except OSError as error:
        refused = "permission" if isinstance(error, PermissionError) else "unreadable"
        raise UnusableError(problem_of(error, refused), reason(error)) from None
    if len(data) > limits.WORKBOOK_BYTES:
        raise _beyond(f"the file holds more than {limits.WORKBOOK_BYTES // limits.MIB} MiB")
    if not data.strip():
        raise UnusableError("empty", "the file is empty")
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise UnusableError("encrypted", "the workbook is encrypted with a password")
        raise UnusableError("not-xlsx", "it is a file of the old Excel format (.xls): save it as .xlsx")
    if data.startswith(_ZIP_SIGNATURE):
        return _open_xlsx(data, profile)
    code = content_of(data[:FIRST_BYTES])
    if code in ("ods", "web-page", "xml"):
        again = "" if code == "ods" else "download it again, or "
        raise UnusableError("not-xlsx", f"it is {CONTENTS[code].one}: {again}{_SAVE}")
    if code not in (None, "text"):
        raise UnusableError("not-xlsx", f"it is {told(code)}")
    if file.suffix == ".csv":
        return Book([_read_csv(data)])
    raise UnusableError("not-xlsx", "it is no xlsx file, which begins as a zip archive does")


def _open_xlsx(data: bytes, profile: Profile) -> Book:
    archive = _safe_archive(data)
    with archive, warnings.catch_warnings():
        # openpyxl warns of extensions that it leaves out when it writes; nothing is written here.
        warnings.simplefilter("ignore")
        try:
            sheets = _read_sheets(data)
            return Book(sheets, list(workbook_facts(archive, sheets, profile)))
        except UnusableError:
            raise
        except Exception:  # noqa: BLE001 - a malformed part can make openpyxl raise nearly anything
            raise UnusableError("malformed", "a part of the workbook is damaged or is no valid XML") from None


def _safe_archive(data: bytes) -> zipfile.ZipFile:
    """The archive, once it is known to be a workbook that unpacks to a bearable size and declares no XML entities."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        parts = archive.infolist()
        names = {part.filename for part in parts}
        if "xl/workbook.xml" not in names:
            raise UnusableError(
                "not-xlsx",
                next(
                    (f"it is {CONTENTS[code].one}: {_SAVE}" for part, code in _OTHER_BOOKS.items() if part in names),
                    "it is a zip archive that holds no xlsx workbook",
                ),
            )
        # What zipfile unpacks of a part never exceeds the size that the archive's directory states.
        _refuse_large(parts)
        tags = 0
        for part in parts:
            if not part.filename.startswith("xl/media/"):
                content = archive.read(part)
                if any("<!DOCTYPE".encode(code) in content for code in ("ascii", "utf-16-le", "utf-16-be")):
                    raise UnusableError("malformed", "a part of the workbook declares XML entities, which no xlsx has")
                tags += content.count(b"<")
        if tags > limits.WORKBOOK_TAGS:
            raise _beyond(f"its parts have {tags:,} XML tags; {limits.WORKBOOK_TAGS:,} at most are read")
        if _STRICT in archive.read("xl/workbook.xml"):
            raise UnusableError("not-xlsx", f"it was saved as Strict Open XML: {_SAVE}")
    except UnusableError:
        raise
    except Exception:  # noqa: BLE001 - damage shows as BadZipFile, zlib.error, EOFError and more, of no common family
        raise UnusableError("malformed", "the zip archive of the workbook is damaged or encrypted") from None
    return archive


def _beyond(detail: str) -> UnusableError:
    return UnusableError("too-large", detail)


def _refuse_large(parts: Sequence[zipfile.ZipInfo]) -> None:
    """Raise if a workbook has more parts, or unpacks to more, than any real one."""
    if len(parts) > limits.WORKBOOK_PARTS:
        raise _beyond(f"the workbook has {len(parts):,} parts; {limits.WORKBOOK_PARTS:,} at most are read")
    if (size := sum(part.file_size for part in parts)) > limits.WORKBOOK_BYTES:
        most = f"{limits.WORKBOOK_BYTES // limits.MIB} MiB"
        raise _beyond(f"the workbook unpacks to {size / limits.MIB:,.0f} MiB; {most} at most are read")
    styles = sum(part.file_size for part in parts if part.filename == "xl/styles.xml")
    if styles > limits.STYLES_BYTES:
        most = f"{limits.STYLES_BYTES // limits.MIB} MiB"
        raise _beyond(f"its styles unpack to {styles / limits.MIB:,.0f} MiB; {most} at most are read")


@dataclass(slots=True)
class _Filled:
    """Counts what sheets hold while they are read, and ends the reading where no real workbook holds as much."""

    walked: int = 0
    characters: int = 0

    def add(self, sheet: Sheet, number: int, cells: list[Cell]) -> None:
        """Take in the cells of a row that hold something."""
        sheet.rows[number] = cells
        if len(sheet.rows) > limits.FILLED_ROWS:
            raise _beyond(f"a sheet has more than {limits.FILLED_ROWS:,} rows that hold something")
        for cell in cells:
            if len(cell.text) > limits.CELL_CHARACTERS:
                most = f"Excel holds {limits.CELL_CHARACTERS:,} at most"
                raise _beyond(f"a cell holds a text of {len(cell.text):,} characters; {most}")
            self.characters += len(cell.text)
        if self.characters > limits.ALL_CHARACTERS:
            raise _beyond(f"its cells hold more than {limits.ALL_CHARACTERS:,} characters")

    def pass_row(self) -> None:
        """Take in a row, blank or not."""
        self.walked += 1
        if self.walked > limits.WALKED_ROWS:
            raise _beyond(f"its sheets reach over more than {limits.WALKED_ROWS:,} rows")


def _read_sheets(data: bytes) -> list[Sheet]:
    import openpyxl

    # Read-only mode takes rows one by one and never grows a sheet by what a merged range or a link claims to cover.
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
    sheets = []
    worksheets: Sequence[Any] = book.worksheets
    if len(worksheets) > limits.WORKBOOK_SHEETS:
        raise _beyond(f"the workbook has {len(worksheets):,} sheets; {limits.WORKBOOK_SHEETS:,} at most are read")
    filled, blank = _Filled(), None
    for worksheet in worksheets:
        worksheet.reset_dimensions()
        sheet = Sheet(worksheet.title)
        rows = worksheet.iter_rows(max_row=limits.SHEET_ROWS, max_col=limits.SHEET_COLUMNS)
        for number, row in enumerate(rows, 1):
            filled.pass_row()
            # All rows that a sheet leaves out are the same one.
            if row is blank:
                continue
            cells = [
                made
                for column, cell in enumerate(row, 1)
                if cell.value is not None and (made := _cell(column, cell)) is not None
            ]
            if cells:
                filled.add(sheet, number, cells)
            else:
                blank = row
        sheets.append(sheet)
    book.close()
    return sheets


def _cell(column: int, cell: Any) -> Cell | None:
    value, sort = cell.value, cell.data_type
    number_format = str(cell.number_format)
    if sort == "f":
        return Cell(column, "formula", "=", None, number_format)
    if sort == "e":
        return Cell(column, "error", str(value), None, number_format)
    if isinstance(value, bool):
        return Cell(column, "boolean", str(value).upper(), None, number_format)
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return Cell(column, "error", str(value), None, number_format)
        return Cell(column, "number", _digits(float(value)), float(value), number_format)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return Cell(column, "date", value.isoformat(), None, number_format)
    if isinstance(value, dt.timedelta):
        return Cell(column, "date", str(value), None, number_format)
    return _text_cell(column, str(value), number_format)


def _text_cell(column: int, text: str, number_format: str | None) -> Cell | None:
    if not plain_text(text).strip():
        return None
    return Cell(column, "text", text, _number(text), number_format)


def _number(text: str) -> float | None:
    """The number that a text holds, whatever can't be seen in it or looks alike; `70%` holds 0.7."""
    plain = plain_text(text).strip()
    percent = plain.endswith("%")
    plain = plain.removesuffix("%").rstrip()
    if len(plain) > 40 or not _NUMBER.fullmatch(plain):
        return None
    number = float(plain) / (100 if percent else 1)
    return number if math.isfinite(number) else None


def _digits(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def csv_text(data: bytes, *, cut: bool = False) -> str:
    """Text of a CSV export: UTF-8, UTF-16 with its mark, or what Excel writes on Western Windows."""
    if b"\x00" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnusableError("not-xlsx", "it is neither an xlsx file nor text")
    code = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(code, errors="ignore" if cut else "strict")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_csv(data: bytes) -> Sheet:
    text = csv_text(data)
    first = text.lstrip("\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    # Beside semicolons a comma is a decimal one; beside tabs it may part thousands.
    commas = delimiter == ";" or (delimiter == "\t" and not _POINTS.search(text))
    sheet, filled = Sheet(None), _Filled()
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for number, values in enumerate(reader, 1):
            filled.pass_row()
            columns = enumerate(values[: limits.SHEET_COLUMNS], 1)
            cells = [_csv_cell(column, value, commas) for column, value in columns]
            if kept := [cell for cell in cells if cell is not None]:
                filled.add(sheet, number, kept)
    except csv.Error:
        raise UnusableError("malformed", "the CSV file has a broken quotation", reader.line_num) from None
    return sheet


def _csv_cell(column: int, text: str, commas: bool) -> Cell | None:
    if commas and _DECIMAL_COMMA.fullmatch(text.strip().removesuffix("%").rstrip()):
        text = text.replace(".", "").replace(",", ".")
    cell = _text_cell(column, text, None)
    if cell is not None and cell.value is not None and "%" not in text and text.isascii():
        return Cell(column, "number", text.strip(), cell.value)
    return cell


def unpacks_to_much(file: Item) -> str | None:
    """How far a workbook that is not the clinical one unpacks beyond any real one, by the directory of its archive alone."""
    if file.suffix not in (".xlsx", ".xlsm"):
        return None
    try:
        with file.opened() as stream, zipfile.ZipFile(stream) as archive:
            _refuse_large(archive.infolist())
    except UnusableError as reason:
        return reason.detail
    except Exception:  # noqa: BLE001 - what a damaged archive raises is open; it is a document then
        return None
    return None


def plain_strings(file: Item) -> bytes:
    """Text of a workbook's strings in lower case, the first megabyte of each part that may hold headings.

    Returns
    -------
    bytes
        Empty if it is no xlsx file.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError
        It can't be opened, or its archive is damaged or encrypted.
    """
    found = b""
    with file.opened() as stream:
        if stream.read(len(_ZIP_SIGNATURE)) != _ZIP_SIGNATURE:
            return b""
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
            if "xl/workbook.xml" not in names:
                return b""
            for name in names[: limits.WORKBOOK_PARTS]:
                if len(found) > limits.SNIFFED_BYTES:
                    break
                if name == "xl/sharedStrings.xml" or re.fullmatch(r"xl/worksheets/[^/]+\.xml", name):
                    with archive.open(name) as part:
                        found += part.read(_SEEN_BYTES)
    return found.lower()
