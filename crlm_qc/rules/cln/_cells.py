"""Cells of the patient sheet: the Pandera model of one, each check named by its rule's code, and how findings on cells are worded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.profile import Sort
from crlm_qc.collection.show import age_text
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import MARKERS, Clinical, Reading, clinical, value_text

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

    from crlm_qc.engines.pandera_engine import Failure

MANY_IN_ROW: Final = 5
"""Cells of one row beyond which a fault is told as one of the row."""
MANY_IN_COLUMN: Final = 10
"""Cells of one column beyond which a fault is told as one of the column."""


@once
def cell_failures(context: Context) -> dict[str, list[Failure]]:
    """Cells that are not as their column demands, by code."""
    from crlm_qc.engines.pandera_engine import failures

    return failures(cell_model(), clinical(context).cells)


def cell_model() -> pa.DataFrameSchema:
    """The Pandera model of a cell, a row of `Clinical.cells`."""
    import pandera.pandas as pa

    def reading(code: str, refused: Reading) -> pa.Check:
        return pa.Check(lambda column: column != refused, name=code)

    def is_code(cells: pd.DataFrame) -> pd.Series[bool]:
        judged = (cells["sort"] == Sort.CODE) & cells["reading"].isin([Reading.NUMBER, Reading.NO_NUMBER])
        return ~judged | cells["coded"]

    def is_possible(cells: pd.DataFrame) -> pd.Series[bool]:
        judged = cells["sort"].isin([Sort.NUMBER, Sort.PERCENT]) & cells["reading"].isin(
            [Reading.NUMBER, Reading.NO_NUMBER]
        )
        return ~judged | cells["value"].between(cells["low"], cells["high"])

    return pa.DataFrameSchema(
        {
            "sort": pa.Column(),
            "reading": pa.Column(
                checks=[
                    reading("CLN007", Reading.MISSING_OTHERWISE),
                    reading("CLN009", Reading.PERCENT_OTHERWISE),
                    reading("CLN024", Reading.RUNS),
                    reading("CLN026", Reading.NUMBER_AS_TEXT),
                    reading("CLN027", Reading.OTHER_NOTATION),
                ]
            ),
            "coded": pa.Column(bool),
            "value": pa.Column("float64", nullable=True),
            "low": pa.Column("float64"),
            "high": pa.Column("float64"),
        },
        checks=[pa.Check(is_code, name="CLN005"), pa.Check(is_possible, name="CLN006")],
        name="cells of the patient sheet",
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
    if found is not None and found.strip().lower() in MARKERS:
        return found.strip()
    return context.show.text(found if found is None else found.strip(), known=("TRUE", "FALSE", "70%"))


def number_shown(cell: Any) -> str:
    """The number in a cell; an age over 89 names a person, so how old is not told."""
    return age_text(cell.value) if _is_age(cell) else value_text(cell.value)


def _is_age(cell: Any) -> bool:
    return plain_heading(cell.variable) == "age"


def found_in_cells(context: Context, table: Clinical, bad: pd.DataFrame, words: Words) -> Iterator[Found]:
    """A finding a cell; one for a row or a column that is full of them."""
    cell: Any
    in_row = bad.groupby("row")["variable"].transform("size") > MANY_IN_ROW
    if bad.loc[in_row, "row"].nunique() > bad.loc[in_row, "variable"].nunique():
        # More rows than columns: it is the columns that are so.
        in_row &= False
    for row, group in bad[in_row].groupby("row"):
        cell = group.iloc[0]
        names = tuple(group["variable"])
        yield Found(
            Subject(Kind.ROW, path=table.path, row=int(str(row))),
            f"{plural(len(group), 'cell')} of {row_name(context, cell)} {words.many}: {listed(names)}.",
            words.expected(cell),
            words.seen(context, cell),
            text(cell.patient),
            len(group),
            names,
        )
    rest = bad[~in_row]
    in_column = rest.groupby("variable")["row"].transform("size") > MANY_IN_COLUMN
    for variable, group in rest[in_column].groupby("variable"):
        cell = group.iloc[0]
        ids = tuple(row_name(context, one) for one in group.itertuples())
        yield Found(
            Subject(Kind.COLUMN, path=table.path, column=str(variable)),
            f"{plural(len(group), 'cell')} of {variable} {words.many}: {listed(ids)}.",
            words.expected(cell),
            words.seen(context, cell),
            None,
            len(group),
            ids,
        )
    for cell in rest[~in_column].itertuples():
        yield Found(
            Subject(Kind.ROW, path=table.path, row=int(cell.row), column=str(cell.variable)),
            f"{words.one(cell)} ({row_name(context, cell)}).",
            words.expected(cell),
            words.seen(context, cell),
            text(cell.patient),
        )
