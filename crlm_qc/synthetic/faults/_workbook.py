"""The clinical workbook, opened to be changed in one place."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

PATIENT_SHEET = "TCIA_n=197"
DICTIONARY_SHEET = "Data Dictionary"
PATIENT_COLUMN = "Patient-ID"
MISSING = -999

_CORE = "docProps/core.xml"
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")
_STAMP = rb"\g<1>2022-10-01T00:00:00Z\g<2>"
# The earliest date that a zip archive holds, so that equal content makes equal bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Workbook:
    """A workbook and the row of one patient in it."""

    def __init__(self, content: bytes, patient: str) -> None:
        from openpyxl import load_workbook

        self.book = load_workbook(io.BytesIO(content))
        self.patient = patient
        self.parts: dict[str, bytes] = {}
        """Further parts of the package, by name."""

    @property
    def sheet(self) -> Any:
        """The patient sheet."""
        return self.book[PATIENT_SHEET]

    @property
    def dictionary(self) -> Any:
        """The Data Dictionary sheet."""
        return self.book[DICTIONARY_SHEET]

    @property
    def headings(self) -> dict[str, int]:
        """Headings of the patient sheet with their columns, from 1."""
        return {cell.value: cell.column for cell in self.sheet[1] if cell.value is not None}

    @property
    def rows(self) -> dict[str, int]:
        """Patients with their rows, from 1; whatever stands in Patient-ID."""
        column = self.headings[PATIENT_COLUMN]
        cells = (self.sheet.cell(row, column) for row in range(2, self.sheet.max_row + 1))
        return {str(cell.value): cell.row for cell in cells if cell.value is not None}

    def cell(self, column: str, patient: str | None = None) -> Any:
        """The cell of a patient in a column.

        Raises
        ------
        ValueError
            The sheet has no such row or column.
        """
        patient = patient or self.patient
        if column not in self.headings:
            raise ValueError(f"this edition of the workbook has no column {column}")
        if patient not in self.rows:
            raise ValueError(f"the workbook has no row of {patient}")
        return self.sheet.cell(self.rows[patient], self.headings[column])

    def get(self, column: str) -> Any:
        """The value in the patient's row."""
        return self.cell(column).value

    def set(self, **values: Any) -> None:
        """Set values in the patient's row."""
        for column, value in values.items():
            self.cell(column).value = value

    def to_bytes(self) -> bytes:
        """The workbook as a file; equal content gives equal bytes."""
        saved = io.BytesIO()
        self.book.save(saved)
        out = io.BytesIO()
        with zipfile.ZipFile(saved) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
            for name in source.namelist():
                content = source.read(name)
                if name == _CORE:
                    content = _MODIFIED.sub(_STAMP, content)
                target.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
            for name, content in sorted(self.parts.items()):
                target.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        return out.getvalue()
