"""The clinical workbook: an xlsx file, or a CSV export of its patient sheet.

A workbook is untrusted: nothing in it is run, followed or expanded. Formulas are seen as formulas and never worked out,
and the result that a spreadsheet kept beside one is not read, for nobody can tell whether it is still right.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from crlm_qc.collection.headings import loose_heading, paired
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.source import Item, NotFetchedError
from crlm_qc.evidence.workbook.book import TABLE_SUFFIXES, Row, Sheet, UnusableError, column_letters
from crlm_qc.evidence.workbook.file import csv_text, plain_strings, read_book

_HEADING_ROWS: Final = 20
"""Rows among which the headings are looked for; titles may stand above them."""
_FIRST_BYTES: Final = 8192
"""What is looked at of a CSV file to tell whether it is one of the patient sheet."""
_MIN_HEADINGS: Final = 3
"""Known headings that make a sheet the patient sheet."""
_DICTIONARY_HEADINGS: Final = ("variablename", "description", "values")


def read_workbook(file: Item, profile: Profile) -> dict[str, list[Row]]:
    """Read the clinical workbook.

    Parameters
    ----------
    file : Item
        An xlsx or xlsm file, or a CSV export of the patient sheet.
    profile : Profile
        The collection's profile, which names sheets, columns and editions.

    Returns
    -------
    dict of str to list of dict
        Rows of the tables `sources` (one row), `clinical`, `clinical_dictionary` and `workbook`. A file that can't be
        used gives its problem in `sources`, never an exception.
    """
    source: Row = {"source": "clinical", "path": file.path, "used": True}
    tables: dict[str, list[Row]] = {"sources": [source], "clinical": [], "clinical_dictionary": [], "workbook": []}
    try:
        book = read_book(file, profile)
    except UnusableError as error:
        source.update(problem=error.problem, detail=error.detail, line=error.line)
        return tables
    tables["workbook"] = book.facts
    found = _patient_sheet(book.sheets, profile)
    if found is None:
        source.update(problem="no-patient-sheet", detail="no sheet has the headings of the patient sheet")
        return tables
    sheet, heading_row = found
    headings = _headings(sheet, heading_row)
    meant = paired(list(headings.values()), _all_columns(profile))
    edition = _edition([name or heading for heading, name in meant.items()], profile)
    if (cells := len(sheet.rows) * len(headings)) > limits.SHEET_CELLS:
        detail = f"the patient sheet has {cells:,} cells, rows by headings; {limits.SHEET_CELLS:,} at most are read"
        source.update(problem="too-large", detail=detail)
        return tables
    tables["clinical"] = _clinical(sheet, heading_row, headings, meant, profile)
    tables["clinical_dictionary"] = _dictionary([item for item in book.sheets if item is not sheet], profile)
    source.update(
        columns=json.dumps(list(headings.values())),
        letters=json.dumps([column_letters(column) for column in headings]),
        edition=edition,
        n_rows=len({row["row"] for row in tables["clinical"]}),
    )
    return tables


def looks_like_workbook(file: Item, profile: Profile) -> bool:
    """Whether a file is the clinical workbook, judged by its headings; cheap enough for every file of a release.

    A spreadsheet whose name speaks of clinical data counts as well: if it can't be opened, that must be said.
    """
    if file.suffix not in TABLE_SUFFIXES or file.name.startswith(("~$", ".")):
        return False
    if file.suffix != ".csv" and "clinical" in file.name.lower():
        return True
    try:
        if file.suffix == ".csv":
            line = csv_text(file.read(0, _FIRST_BYTES), cut=True).lstrip("\n").partition("\n")[0]
            return _matches(re.split(r"[,;\t]", line.replace('"', "")), _known(profile)) >= _least(profile)
        strings = re.sub(rb"[\s_\-.]+", b"", plain_strings(file))
        return sum(name.encode() in strings for name in _known(profile)) >= _least(profile)
    except NotFetchedError:
        raise
    except Exception:  # noqa: BLE001 - what a damaged archive raises is open; it is a document then
        return False


def edition_rank(source: Mapping[str, Any], profile: Profile) -> int:
    """How new the edition of a `sources` row is: 0 for the oldest known, -1 where none was recognised."""
    names = [edition.name for edition in profile.editions]
    edition = source.get("edition")
    return names.index(edition) if isinstance(edition, str) and edition in names else -1


def _least(profile: Profile) -> int:
    """Known headings that make a table the workbook: half of an edition's. A researcher's own table has a few of them."""
    fewest = min((len(edition.columns) for edition in profile.editions), default=0)
    return max(_MIN_HEADINGS, fewest // 2)


def _known(profile: Profile) -> frozenset[str]:
    return frozenset(map(loose_heading, _all_columns(profile)))


def _all_columns(profile: Profile) -> dict[str, None]:
    """Columns of every edition that the profile knows, in their order."""
    return {column: None for edition in profile.editions for column in edition.columns}


def _matches(headings: Iterable[str], known: frozenset[str]) -> int:
    return len({loose_heading(heading) for heading in headings} & known)


def _patient_sheet(sheets: Sequence[Sheet], profile: Profile) -> tuple[Sheet, int] | None:
    """The sheet whose headings are the most like the patient sheet's, whatever its name, and the row they stand in."""
    known = _known(profile)
    best: tuple[int, bool, Sheet, int] | None = None
    for sheet in sheets:
        for number in sorted(sheet.rows)[:_HEADING_ROWS]:
            score = _matches((cell.text for cell in sheet.rows[number] if cell.type == "text"), known)
            named = sheet.name == profile.patient_sheet
            if score >= _MIN_HEADINGS and (best is None or (score, named) > best[:2]):
                best = (score, named, sheet, number)
    return None if best is None else best[2:]


def _headings(sheet: Sheet, heading_row: int) -> dict[int, str]:
    """Headings by column; one that stands twice is numbered, a column of values without one is named by its letters."""
    headings: dict[int, str] = {}
    seen: dict[str, int] = {}
    for cell in sheet.rows[heading_row]:
        times = seen[cell.text] = seen.get(cell.text, 0) + 1
        headings[cell.column] = cell.text if times == 1 else f"{cell.text}[{times}]"
    used = {cell.column for number, cells in sheet.rows.items() if number > heading_row for cell in cells}
    headings |= {column: f"[{column_letters(column)}]" for column in used - set(headings)}
    return dict(sorted(headings.items()))


def _edition(headings: Iterable[str], profile: Profile) -> str | None:
    """The edition whose columns are the most like the headings (shared columns over all of both)."""
    found = set(headings)

    def likeness(columns: Iterable[str]) -> float:
        names = set(columns)
        return len(found & names) / len(found | names)

    best = max(profile.editions, key=lambda edition: likeness(edition.columns), default=None)
    return None if best is None else best.name


def _clinical(
    sheet: Sheet, heading_row: int, headings: Mapping[int, str], meant: Mapping[str, str | None], profile: Profile
) -> list[Row]:
    patient_column = next((at for at, name in headings.items() if meant[name] == profile.patient_column), None)
    below = {
        number: {cell.column: cell for cell in cells} for number, cells in sheet.rows.items() if number > heading_row
    }
    ids = {number: cells[patient_column].text for number, cells in below.items() if patient_column in cells}
    patients = _patients(ids, profile)
    rows: list[Row] = []
    for number, by_column in below.items():
        who = {"patient_id": ids.get(number), "patient": patients.get(number)}
        for column, heading in headings.items():
            cell = by_column.get(column)
            row: Row = {"row": number, **who, "column": heading, "type": "blank" if cell is None else cell.type}
            if cell is not None:
                row |= {"text": cell.text, "value": cell.value, "number_format": cell.number_format}
            rows.append(row)
    return rows


def _patients(ids: Mapping[int, str], profile: Profile) -> dict[int, str]:
    """Patients by row; an ID that is malformed counts where it can be meant for one patient, who has no other row."""
    patients = {number: text.strip() for number, text in ids.items() if profile.is_patient_id(text.strip())}
    meant = {number: profile.meant_patient_id(text) for number, text in ids.items() if number not in patients}
    times = Counter([*patients.values(), *meant.values()])
    return patients | {number: patient for number, patient in meant.items() if patient and times[patient] == 1}


def _dictionary(sheets: Sequence[Sheet], profile: Profile) -> list[Row]:
    for sheet in sorted(sheets, key=lambda item: item.name != profile.dictionary_sheet):
        for number in sorted(sheet.rows)[:_HEADING_ROWS]:
            at = {loose_heading(cell.text): cell.column for cell in sheet.rows[number]}
            if _DICTIONARY_HEADINGS[0] in at:
                return list(_dictionary_rows(sheet, number, [at.get(name) for name in _DICTIONARY_HEADINGS]))
    return []


def _dictionary_rows(sheet: Sheet, heading_row: int, columns: Sequence[int | None]) -> Iterator[Row]:
    for number, cells in sheet.rows.items():
        texts = {cell.column: cell.text.strip() for cell in cells}
        variable, description, values = (None if at is None else texts.get(at) for at in columns)
        if number > heading_row and variable is not None:
            yield {"row": number, "variable": variable, "description": description, "values": values}
