"""Sheets and cells as they were read, whatever file they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

Row = dict[str, Any]

TABLE_SUFFIXES: Final = frozenset({".csv", ".xlsx", ".xlsm", ".xls"})
"""Endings of workbooks, and of CSV exports of their sheets."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that holds something."""

    column: int
    type: str
    text: str
    value: float | None = None
    number_format: str | None = None


@dataclass(slots=True)
class Sheet:
    """Cells of a sheet by row, both counted from 1."""

    name: str | None
    rows: dict[int, list[Cell]] = field(default_factory=dict)


@dataclass(slots=True)
class Book:
    """What was read of a file: sheets, and facts beside their cells."""

    sheets: list[Sheet] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)


class UnusableError(Exception):
    """The file can't be used as the workbook; the detail holds no text of it."""

    def __init__(self, problem: str, detail: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.detail, self.line = problem, detail, line


def column_letters(column: int) -> str:
    """The letters that a sheet has for a column, counted from 1: `AB` for 28."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
