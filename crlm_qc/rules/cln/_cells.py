"""Cells of the patient sheet: the model of one, each check named by its rule's code, and how findings on cells are worded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.invisible import deceptive, plain_text
from crlm_qc.collection.profile import Sort
from crlm_qc.collection.show import age_text
from crlm_qc.engines import pandera_engine
from crlm_qc.engines.pandera_engine import Check, Column, Model
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import MARKERS, Clinical, Reading, clinical, value_text

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.engines.pandera_engine import Failure

MANY_IN_ROW: Final = 5
"""Cells of one row beyond which a fault is told as one of the row."""
MANY_IN_COLUMN: Final = 10
"""Cells of one column beyond which a fault is told as one of the column."""
MANY_COLUMNS: Final = 2
"""Columns that are full of one fault, beyond which it is told as one of the sheet."""
MANY_CELLS: Final = 12
"""Cells in any columns beyond which a fault of one cause is told once."""
ANSWERS: Final = frozenset({"yes", "no", "y", "n", "ja", "nein", "j", "oui", "non", "true", "false"})
"""Words for yes and no, in lower case."""
MOST_SEEN: Final = 1000
"""Cells that are looked at for what they hold; the others are like them."""


@once
def cell_failures(context: Context) -> dict[str, list[Failure]]:
    """Cells that are not as their column demands, by code."""
    return pandera_engine.failures(cell_model(), clinical(context).cells)


def cell_model() -> Model:
    """The model of a cell, a row of `Clinical.cells`."""

    def reading(code: str, refused: Reading) -> Check:
        return Check(code, lambda column: column != refused)

    def is_code(cells: pd.DataFrame) -> pd.Series[bool]:
        judged = (cells["sort"] == Sort.CODE) & cells["reading"].isin([Reading.NUMBER, Reading.NO_NUMBER])
        return ~judged | cells["coded"]

    def is_possible(cells: pd.DataFrame) -> pd.Series[bool]:
        judged = cells["sort"].isin([Sort.NUMBER, Sort.PERCENT]) & cells["reading"].isin(
            [Reading.NUMBER, Reading.NO_NUMBER]
        )
        return ~judged | cells["value"].between(cells["low"], cells["high"])

    return Model(
        "cells of the patient sheet",
        {
            "sort": Column(),
            "reading": Column(
                (
                    reading("CLN007", Reading.MISSING_OTHERWISE),
                    reading("CLN009", Reading.PERCENT_OTHERWISE),
                    reading("CLN024", Reading.RUNS),
                    reading("CLN026", Reading.NUMBER_AS_TEXT),
                    reading("CLN027", Reading.OTHER_NOTATION),
                    reading("CLN028", Reading.DATE),
                )
            ),
            "coded": Column(dtype="bool"),
            "value": Column(dtype="float64", nullable=True),
            "low": Column(dtype="float64"),
            "high": Column(dtype="float64"),
        },
        (Check("CLN005", is_code), Check("CLN006", is_possible)),
    )


@dataclass(frozen=True)
class Words:
    """How a rule speaks of a cell, and of many."""

    one: Callable[[Any], str]
    """Of a cell, a row of `Clinical.cells`."""
    many: str
    """What holds of the cells, after `12 cells of age`."""
    expected: Callable[[Any], str]
    observed: Callable[[Any], str] | None = None
    """What stands in the cell; by default the value, as far as it may be shown."""
    cause: Callable[[Any], str] = lambda _: ""
    """What cells have in common that are faulty for one reason."""

    def seen(self, context: Context, cell: Any) -> str:
        """What is told of the value in a cell."""
        return shown(context, cell) if self.observed is None else self.observed(cell)


def row_name(context: Context, cell: Any) -> str:
    """The row as a person finds it: its patient, or its number."""
    patient = text(cell.patient)
    return f"row {cell.row}" if patient is None else context.show.patient(patient)


def shown(context: Context, cell: Any) -> str:
    """What stands in a cell, as far as it may be shown."""
    if cell.type == "date":
        return "a date"
    if cell.type == "error":
        return "an error value"
    found = text(cell.text)
    if cell.type == "number" or (_is_age(cell) and cell.value == cell.value):
        return number_shown(cell)
    plain = plain_text(found or "").strip()
    if plain.lower() in MARKERS | ANSWERS:
        return f"{plain}{hidden(cell)}"
    return context.show.text(found if found is None else found.strip(), known=("TRUE", "FALSE", "70%"))


def hidden(cell: Any) -> str:
    """The characters in a cell that are not as they look, ready to follow its value; empty if there are none."""
    names = deceptive(str(cell.text))
    return f" with {listed(names)}" if names else ""


def number_shown(cell: Any) -> str:
    """The number in a cell; an age over 89 names a person, so how old is not told."""
    return age_text(cell.value) if _is_age(cell) else value_text(cell.value)


def _is_age(cell: Any) -> bool:
    return plain_heading(cell.variable) == "age"


def found_in_cells(context: Context, table: Clinical, bad: pd.DataFrame, words: Words) -> Iterator[Found]:
    """A finding a cell; one for a row or a column that is full of them, and one for the sheet where many are."""
    if bad.empty:
        return
    causes = [words.cause(cell) for cell in bad.itertuples()]
    for _, group in bad.groupby(causes, sort=False):
        yield from _of_one_cause(context, table, group, words)


def _of_one_cause(context: Context, table: Clinical, bad: pd.DataFrame, words: Words) -> Iterator[Found]:
    in_row = bad.groupby("row")["variable"].transform("size") > MANY_IN_ROW
    rows = bad.loc[in_row, "row"].nunique()
    if rows > bad.loc[in_row, "variable"].nunique() or rows > MANY_IN_COLUMN:
        # More rows than columns: it is the columns that are so.
        in_row &= False
    rest = bad[~in_row]
    in_column = rest.groupby("variable")["row"].transform("size") > MANY_IN_COLUMN
    rows, columns, cells = bad.loc[in_row, "row"].nunique(), rest.loc[in_column, "variable"].nunique(), rest[~in_column]
    if (
        columns > MANY_COLUMNS
        or len(cells) > MANY_CELLS
        or (rows + columns and rows + columns + len(cells) > MANY_IN_ROW)
    ):
        yield _many(context, table, bad, words, None)
        return
    for _, group in bad[in_row].groupby("row"):
        yield _many(context, table, group, words, "row")
    for _, group in rest[in_column].groupby("variable"):
        yield _many(context, table, group, words, "variable")
    cell: Any
    for cell in cells.itertuples():
        yield Found(
            Subject(Kind.ROW, path=table.path, row=int(cell.row), column=str(cell.variable)),
            f"{words.one(cell)} ({row_name(context, cell)}).",
            words.expected(cell),
            words.seen(context, cell),
            text(cell.patient),
        )


def _many(context: Context, table: Clinical, group: pd.DataFrame, words: Words, by: str | None) -> Found:
    """One finding for cells of a row, of a column, or of several columns."""
    cells: list[Any] = list(group.itertuples())
    cell = cells[0]
    columns = tuple(dict.fromkeys(group["variable"]))
    patient = None
    if by == "row":
        subject, where, names = Subject(Kind.ROW, path=table.path, row=int(cell.row)), row_name(context, cell), columns
        patient = text(cell.patient)
    elif by == "variable":
        subject, where = Subject(Kind.COLUMN, path=table.path, column=columns[0]), columns[0]
        names = tuple(row_name(context, one) for one in cells)
    else:
        ids = tuple(dict.fromkeys(row_name(context, one) for one in cells))
        subject, names = Subject(Kind.FILE, path=table.path), min(columns, ids, key=len)
        where = f"{plural(len(columns), 'column')} in {plural(len(ids), 'row')}"
    seen = list(dict.fromkeys(words.seen(context, one) for one in cells[:MOST_SEEN]))
    return Found(
        subject,
        f"{plural(len(cells), 'cell')} of {where} {words.many}: {listed(names)}.",
        words.expected(cell),
        listed(seen) if len(seen) <= 3 else seen[0],
        patient,
        len(cells),
        names,
    )
