"""One cell: codes, ranges, missing values, numbers, texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.profile import Sort
from crlm_qc.collection.show import age_text
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, RuleKind, Skip, rule
from crlm_qc.rules.cln._shared import DICTIONARY, TABLES, patient_of
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import MARKERS, Clinical, Reading, clinical, value_text

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

    from crlm_qc.engines.pandera_engine import Failure


@once
def cell_failures(context: Context) -> dict[str, list[Failure]]:
    """Cells that are not as their column demands, by code."""
    from crlm_qc.engines.pandera_engine import failures

    return failures(_cell_model(), clinical(context).cells)


def _cell_model() -> pa.DataFrameSchema:
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


MANY_IN_ROW: Final = 5
"""Cells of one row beyond which a fault is told as one of the row."""
MANY_IN_COLUMN: Final = 10
"""Cells of one column beyond which a fault is told as one of the column."""


@dataclass(frozen=True)
class Words:
    """How a rule speaks of a cell, and of many."""

    one: Callable[[Any], str]
    """Of a cell, a row of `Clinical.cells`."""
    many: str
    """What holds of the cells, after `12 cells of age`."""
    expected: Callable[[Any], str]


def _id(context: Context, cell: Any) -> str:
    """The row as a person finds it: its patient, or its number."""
    patient = patient_of(cell.patient)
    return f"row {cell.row}" if patient is None else context.show.patient(patient)


def _shown(context: Context, cell: Any) -> str:
    """What stands in a cell, as far as it may be shown."""
    if cell.type == "date":
        return "a date"
    if cell.type == "error":
        return "an error value"
    found = text(cell.text)
    if cell.type == "number" or (_is_age(cell) and cell.value == cell.value):
        return _number(cell)
    if found is not None and found.strip().lower() in MARKERS:
        return found.strip()
    return context.show.text(found if found is None else found.strip(), known=("TRUE", "FALSE", "70%"))


def _number(cell: Any) -> str:
    """The number in a cell; an age over 89 names a person, so how old is not told."""
    return age_text(cell.value) if _is_age(cell) else value_text(cell.value)


def _is_age(cell: Any) -> bool:
    return plain_heading(cell.variable) == "age"


def _cell_rule(context: Context, code: str, sorts: Sequence[Sort], words: Callable[[Clinical], Words]) -> Checked:
    """A rule of single cells."""
    table = clinical(context)
    cells = table.cells
    examined = int(cells["sort"].isin(sorts).sum())
    bad = cells.loc[[failure.row for failure in cell_failures(context)[code]]]
    return Checked(examined, list(grouped(context, table, bad, words(table))))


def grouped(context: Context, table: Clinical, bad: pd.DataFrame, words: Words) -> Iterator[Found]:
    """A finding a cell; one for a row or a column that is full of them."""
    cell: Any
    in_row = bad.groupby("row")["variable"].transform("size") > MANY_IN_ROW
    for row, group in bad[in_row].groupby("row"):
        cell = group.iloc[0]
        names = tuple(group["variable"])
        yield Found(
            Subject(Kind.ROW, path=table.path, row=int(str(row))),
            f"{plural(len(group), 'cell')} of {_id(context, cell)} {words.many}: {listed(names)}.",
            words.expected(cell),
            _shown(context, cell),
            patient_of(cell.patient),
            len(group),
            names,
        )
    rest = bad[~in_row]
    in_column = rest.groupby("variable")["row"].transform("size") > MANY_IN_COLUMN
    for variable, group in rest[in_column].groupby("variable"):
        cell = group.iloc[0]
        ids = tuple(_id(context, one) for one in group.itertuples())
        yield Found(
            Subject(Kind.COLUMN, path=table.path, column=str(variable)),
            f"{plural(len(group), 'cell')} of {variable} {words.many}: {listed(ids)}.",
            words.expected(cell),
            _shown(context, cell),
            None,
            len(group),
            ids,
        )
    for cell in rest[~in_column].itertuples():
        yield Found(
            Subject(Kind.ROW, path=table.path, row=int(cell.row), column=str(cell.variable)),
            f"{words.one(cell)} ({_id(context, cell)}).",
            words.expected(cell),
            _shown(context, cell),
            patient_of(cell.patient),
        )


@rule(
    "CLN005",
    "clinical-no-code",
    ERROR,
    title="A value is not among its column's codes",
    why="A code that the data dictionary does not explain can't be understood, and is silently dropped or miscounted.",
    fix="Correct the value, write the code for a missing value if it is unknown, or explain the code in the Data Dictionary sheet.",
    source=f"{DICTIONARY}, column Values",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_no_code(context: Context) -> Checked:
    """Coded columns hold the codes that the workbook's own dictionary states, or else the published ones."""
    missing = value_text(context.profile.missing_code)

    def words(table: Clinical) -> Words:
        def expected(cell: Any) -> str:
            codes = ", ".join(value_text(code) for code in sorted(table.codes[cell.variable]))
            return f"{codes} or {missing}"

        return Words(
            lambda cell: f"{cell.variable} is {_shown(context, cell)}, which is none of its codes",
            "hold a value that is none of the column's codes",
            expected,
        )

    return _cell_rule(context, "CLN005", [Sort.CODE], words)


@rule(
    "CLN006",
    "clinical-out-of-range",
    ERROR,
    title="A number is outside the possible range",
    why="An impossible age, size or survival time is a slip of the pen or of the unit, and it moves every mean.",
    fix="Correct the number and its unit, or write the code for a missing value if it is unknown.",
    source=f"{DICTIONARY}, column Values; bounds of what is possible in an adult",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_out_of_range(context: Context) -> Checked:
    """Every number within the bounds that the profile gives its column, percents as fractions 0-1."""

    def bounds(cell: Any) -> str:
        unit = context.profile.variables[cell.variable].unit
        low, high = value_text(cell.low), cell.high
        span = f"{low} to {value_text(high)}" if high != float("inf") else f"at least {low}"
        return f"{span} {unit}".strip()

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} is {_shown(context, cell)}; possible is {bounds(cell)}",
            "are outside the possible range",
            bounds,
        )

    return _cell_rule(context, "CLN006", [Sort.NUMBER, Sort.PERCENT], words)


@rule(
    "CLN007",
    "clinical-missing-otherwise",
    WARNING,
    title="A missing value is not written as its code",
    why="Whoever filters the code (such as -999) takes another code for a value, and a blank turns a column of whole numbers into fractions.",
    fix="Write the code for a missing value where a value is unknown or does not apply.",
    source=f"{DICTIONARY}, column Values",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_missing_otherwise(context: Context) -> Checked:
    """No blank, error value, NA, 999, -99 or word where a number or code belongs."""
    missing = value_text(context.profile.missing_code)

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} is {_shown(context, cell)}; a missing value is written {missing}",
            f"are missing, but not written {missing}",
            lambda _: missing,
        )

    return _cell_rule(context, "CLN007", [Sort.CODE, Sort.NUMBER, Sort.PERCENT, Sort.PSEUDONYM], words)


@rule(
    "CLN009",
    "clinical-percent-otherwise",
    WARNING,
    title="A percent is not written as a fraction",
    why="The percent columns hold fractions (0.7, shown as 70%); 70 or the text 70% among them is read as a hundredfold or not at all.",
    fix="Write the fraction as a number, and let the cell's format show it as a percent.",
    source=f"{DICTIONARY}; published workbook, percent columns",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_percent_otherwise(context: Context) -> Checked:
    """Percent columns hold fractions from 0 to 1 as numbers."""

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} is {_percent_shown(cell)}, not a fraction from 0 to 1",
            "are text or whole percents, not fractions from 0 to 1",
            lambda _: "a number from 0 to 1",
        )

    return _cell_rule(context, "CLN009", [Sort.PERCENT], words)


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
    kind=RuleKind.TABLE,
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
    good = names["text"].map(
        lambda name: isinstance(name, str) and variable.pattern is not None and bool(variable.pattern.fullmatch(name))
    )
    words = Words(
        lambda _: f"{column} is not of the form {variable.form}",
        f"are not of the form {variable.form}",
        lambda _: variable.form,
    )
    yield from grouped(context, table, names[~good], words)
    for name, rows in names[good].groupby("text"):
        if len(rows) > 1:
            ids = tuple(_id(context, cell) for cell in rows.itertuples())
            yield Found(
                Subject(Kind.ROW, path=table.path, row=int(rows["row"].iloc[1]), column=column),
                f"{column} {name} stands in {len(rows)} rows: {listed(ids)}.",
                "each name once",
                plural(len(rows), "row"),
                patient_of(rows["patient"].iloc[1]),
                len(rows),
                ids,
            )


@rule(
    "CLN026",
    "clinical-number-as-text",
    WARNING,
    title="A number is stored as text",
    why="One number stored as text turns its whole column into text for pandas and R, and sums and means leave it out.",
    fix="Turn the cell into a number (in Excel: Convert to Number).",
    source="published workbook: all numbers are stored as numbers; ECMA-376 part 1, 18.18.11 (cell types)",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_number_as_text(context: Context) -> Checked:
    """Numbers and codes are numeric cells; in a CSV export nothing can be told."""

    def words(_: Clinical) -> Words:
        return Words(
            lambda cell: f"{cell.variable} holds {_number(cell)} as text",
            "hold a number as text",
            lambda _: "a numeric cell",
        )

    return _cell_rule(context, "CLN026", [Sort.CODE, Sort.NUMBER], words)
