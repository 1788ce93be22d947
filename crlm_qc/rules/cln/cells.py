"""One cell: codes, ranges, missing values, numbers, texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.profile import Sort
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule, table_rule
from crlm_qc.rules.cln._cells import (
    ANSWERS,
    MANY_IN_COLUMN,
    Words,
    cell_failures,
    found_in_cells,
    hidden,
    number_shown,
    row_name,
    shown,
)
from crlm_qc.rules.cln._order import MOST_MOVED, out_of_step
from crlm_qc.rules.cln._shared import DICTIONARY, TABLES
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import Clinical, Reading, clinical, notation, value_text

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.engines.pandera_engine import Failure


def _cell_rule(
    context: Context, refused: Sequence[Failure], sorts: Sequence[Sort], words: Callable[[Clinical], Words]
) -> Checked:
    """A rule of single cells."""
    table = clinical(context)
    cells = table.cells
    examined = int(cells["sort"].isin(sorts).sum())
    if not refused:
        return Checked(examined)
    bad = cells.loc[[failure.row for failure in refused]]
    suspect = out_of_step(context)
    if suspect is not None:
        # Where a column was moved, it is blank at one end.
        ends = (bad["variable"] == suspect.column) & (bad["type"] == "blank")
        bad = bad[~ends] if ends.sum() <= MOST_MOVED else bad
    return Checked(examined, list(found_in_cells(context, table, bad, words(table))))


@table_rule(
    "CLN005",
    "clinical-no-code",
    ERROR,
    refused=cell_failures,
    title="A value is not among its column's codes",
    why="A code that the data dictionary does not explain can't be understood, and is silently dropped or miscounted.",
    fix="Correct the value, write the code for a missing value if it is unknown, or explain the code in the Data Dictionary sheet.",
    source=f"{DICTIONARY}, column Values",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_no_code(context: Context, refused: Sequence[Failure]) -> Checked:
    """Coded columns hold the codes that the workbook's own dictionary states, or else the published ones."""
    missing = value_text(context.profile.missing_code)

    def words(table: Clinical) -> Words:
        def expected(cell: Any) -> str:
            codes = ", ".join(value_text(code) for code in sorted(table.codes[cell.variable]))
            return f"{codes} or {missing}"

        return Words(
            lambda cell: f"{cell.variable} is {shown(context, cell)}, which is none of its codes",
            "hold a value that is none of the column's codes",
            expected,
            cause=lambda cell: _kind_of_answer(cell) or cell.variable,
        )

    return _cell_rule(context, refused, [Sort.CODE], words)


_FEW: Final = 3


def _kind_of_answer(cell: Any) -> str:
    """What stands for a code in many columns alike: a truth value, or a word for yes or no; empty for anything else."""
    if cell.type == "boolean":
        return "truth value"
    return "answer" if str(cell.text).strip().lower() in ANSWERS else ""


@table_rule(
    "CLN006",
    "clinical-out-of-range",
    ERROR,
    refused=cell_failures,
    title="A number is outside the possible range",
    why="An impossible age, size or survival time is a slip of the pen or of the unit, and it moves every mean.",
    fix="Correct the number and its unit, or write the code for a missing value if it is unknown.",
    source=f"{DICTIONARY}, column Values; bounds of what is possible in an adult",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_out_of_range(context: Context, refused: Sequence[Failure]) -> Checked:
    """Every number within the bounds that the profile gives its column, percents as fractions 0-1."""

    def bounds(cell: Any) -> str:
        unit = context.profile.variables[cell.variable].unit
        low, high = value_text(cell.low), cell.high
        span = f"{low} to {value_text(high)}" if high != float("inf") else f"at least {low}"
        return f"{span} {unit}".strip()

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} is {shown(context, cell)}; possible is {bounds(cell)}",
            "are outside the possible range",
            bounds,
        )

    return _cell_rule(context, refused, [Sort.NUMBER, Sort.PERCENT], words)


def _blank_at_the_end(table: Clinical) -> frozenset[str]:
    """Columns that are blank in the last rows and nowhere else, where few others are."""
    cells, order = table.cells, sorted(table.wide.index)
    if len(order) < MANY_IN_COLUMN:
        return frozenset()
    blank = cells[(cells["reading"] == Reading.MISSING_OTHERWISE) & (cells["type"] == "blank")]
    ends = {
        str(name)
        for name, rows in blank.groupby("variable")["row"]
        if len(rows) <= _FEW and list(rows) == order[len(order) - len(rows) :]
    }
    return frozenset(ends) if len(ends) <= _FEW else frozenset()


@table_rule(
    "CLN007",
    "clinical-missing-otherwise",
    WARNING,
    refused=cell_failures,
    title="A missing value is not written as its code",
    why="Whoever filters the code (such as -999) takes another code for a value, and a blank turns a column of whole numbers into fractions.",
    fix="Write the code for a missing value where a value is unknown or does not apply.",
    source=f"{DICTIONARY}, column Values",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_missing_otherwise(context: Context, refused: Sequence[Failure]) -> Checked:
    """No blank, error value, NA, 999, -99 or word where a number or code belongs."""
    missing = value_text(context.profile.missing_code)

    def words(table: Clinical) -> Words:
        ends = _blank_at_the_end(table)

        def one(cell: Any) -> str:
            said = f"{cell.variable} is {shown(context, cell)}; a missing value is written {missing}"
            if cell.type == "blank" and cell.variable in ends:
                said += ". It is blank at its end alone: if cells were deleted and those below moved up, values stand in rows of other patients"
            return said

        return Words(one, f"are missing, but not written {missing}", lambda _: missing)

    return _cell_rule(context, refused, [Sort.CODE, Sort.NUMBER, Sort.PERCENT, Sort.PSEUDONYM], words)


@table_rule(
    "CLN009",
    "clinical-percent-otherwise",
    WARNING,
    refused=cell_failures,
    title="A percent is not written as a fraction",
    why="The percent columns hold fractions (0.7, shown as 70%); 70 or the text 70% among them is read as a hundredfold or not at all.",
    fix="Write the fraction as a number, and let the cell's format show it as a percent.",
    source=f"{DICTIONARY}; published workbook, percent columns",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_percent_otherwise(context: Context, refused: Sequence[Failure]) -> Checked:
    """Percent columns hold fractions from 0 to 1 as numbers."""

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} is {_percent_shown(cell)}, not a fraction from 0 to 1",
            "are text or whole percents, not fractions from 0 to 1",
            lambda _: "a number from 0 to 1",
        )

    return _cell_rule(context, refused, [Sort.PERCENT], words)


def _percent_shown(cell: Any) -> str:
    if cell.type != "text":
        return value_text(cell.value)
    written = "%" in str(cell.text)
    return f"the text {value_text(cell.value * 100)}%" if written else f"the text {value_text(cell.value)}"


@rule(
    "CLN023",
    "clinical-scout-name",
    WARNING,
    title="A pseudonym is malformed or twice",
    why="The pseudonym tells the patients of the source study apart; a name of another form may be a real one.",
    fix="Write the name in the form that the finding shows, each once.",
    source=f"{DICTIONARY}, variables of pseudonyms (De-identify Scout Name)",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing", "sharing")),
)
def clinical_scout_name(context: Context) -> Checked:
    """Names of the published form, each once, in every column of pseudonyms."""
    table = clinical(context)
    pseudonyms = [name for name, one in context.profile.variables.items() if one.sort is Sort.PSEUDONYM]
    if not pseudonyms:
        raise Skip("the workbook has no column of pseudonyms")
    table.need(*pseudonyms)
    examined = 0
    found: list[Found] = []
    for column in pseudonyms:
        cells = table.cells
        names = cells[(cells["variable"] == column) & (cells["reading"] == Reading.TEXT)]
        examined += len(names)
        found += _pseudonyms(context, table, column, names)
    return Checked(examined, found)


def _pseudonyms(context: Context, table: Clinical, column: str, names: pd.DataFrame) -> Iterator[Found]:
    variable = context.profile.variables[column]
    good = (
        names["text"]
        .map(
            lambda name: (
                isinstance(name, str) and variable.pattern is not None and bool(variable.pattern.fullmatch(name))
            )
        )
        .astype(bool)
    )
    words = Words(
        lambda _: f"{column} is not of the form {variable.form}",
        f"are not of the form {variable.form}",
        lambda _: variable.form,
    )
    yield from found_in_cells(context, table, names[~good], words)
    for name, rows in names[good].groupby("text"):
        if len(rows) > 1:
            ids = tuple(row_name(context, cell) for cell in rows.itertuples())
            yield Found(
                Subject(Kind.ROW, path=table.path, row=int(rows["row"].iloc[1]), column=column),
                f"{column} {name} stands in {len(rows)} rows: {listed(ids)}.",
                "each name once",
                plural(len(rows), "row"),
                text(rows["patient"].iloc[1]),
                len(rows),
                ids,
            )


@table_rule(
    "CLN026",
    "clinical-number-as-text",
    WARNING,
    refused=cell_failures,
    title="A number is stored as text",
    why="One number stored as text turns its whole column into text for pandas and R, and sums and means leave it out.",
    fix="Take out characters that can't be seen, and turn the cell into a number (in Excel: Convert to Number).",
    source="published workbook: all numbers are stored as numbers; ECMA-376 part 1, 18.18.11 (cell types)",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_number_as_text(context: Context, refused: Sequence[Failure]) -> Checked:
    """Numbers and codes are numeric cells; in a CSV export nothing can be told."""

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} holds {number_shown(cell)} as text{hidden(cell)}",
            "hold a number as text",
            lambda _: "a numeric cell",
            lambda cell: f"{number_shown(cell)}{hidden(cell)}",
            hidden,
        )

    return _cell_rule(context, refused, [Sort.CODE, Sort.NUMBER, Sort.PERCENT], words)


@table_rule(
    "CLN027",
    "clinical-other-notation",
    ERROR,
    refused=cell_failures,
    title="A number is written in another notation",
    why="A decimal comma, a thousands separator, a limit or a unit makes text of a number: programs drop it, or read it as a thousandfold.",
    fix="Write the number alone, with a point before its decimals; say of a limit or unit in the dictionary or a note. It is not missing: its code would destroy the value.",
    source="published workbook: all numbers are stored as numbers; ISO 80000-1, 7.3.2 (decimal sign)",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_other_notation(context: Context, refused: Sequence[Failure]) -> Checked:
    """Text with digits in columns of numbers and percents is a number; what it is, is not told."""

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} is written as {notation(str(cell.text))}",
            "hold numbers in another notation",
            lambda _: "a number with a point before its decimals",
            lambda cell: notation(str(cell.text)),
        )

    return _cell_rule(context, refused, [Sort.CODE, Sort.NUMBER, Sort.PERCENT], words)


@table_rule(
    "CLN028",
    "clinical-date",
    ERROR,
    refused=cell_failures,
    title="A date stands where a number or code is meant",
    why="Spreadsheets make dates of numbers that look like one (3-2 becomes 2 March), and show any number as a date if its cell says so: programs read a day, not the number.",
    fix="Set the format of the cell to General: a number that was only shown as a date comes back. Else type the value again from its source.",
    source="published workbook: no cell holds a date; ECMA-376 part 1, 18.17.4 (dates are numbers, shown by the format of the cell)",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_date(context: Context, refused: Sequence[Failure]) -> Checked:
    """Columns of numbers, percents and codes hold no cell that is formatted as a date, and no text of one."""

    def words(_: Clinical) -> Words:
        def how(cell: Any) -> str:
            return "a cell formatted as a date" if cell.type == "date" else "a date as text"

        return Words(
            lambda cell: (
                f"{cell.variable} holds {how(cell)}: a spreadsheet made a date of what was typed, or shows a number as one"
            ),
            "hold a date: a spreadsheet made dates of what was typed, or shows numbers as dates",
            lambda _: "a number, in a cell of the format General",
            how,
        )

    return _cell_rule(context, refused, [Sort.CODE, Sort.NUMBER, Sort.PERCENT], words)
