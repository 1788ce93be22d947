"""CLN: the clinical workbook.

What can be said of one cell, or of the columns of one row, stands in the Pandera models of `_cln_model`. A cell gives
one finding: how it reads (`_clinical.Reading`) decides which rule speaks, and the relations between columns leave
alone every row in which a cell they need is missing or wrong in itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.model.finding import RELEASE, Found, Kind, Subject
from crlm_qc.model.headings import plain_heading
from crlm_qc.model.profile import Sort
from crlm_qc.model.rule import Checked, Context, RuleKind, Skip, rule
from crlm_qc.model.severity import Severity
from crlm_qc.model.show import age_text
from crlm_qc.rules._clinical import MARKERS, Clinical, Reading, clinical, value_text
from crlm_qc.rules._cln_model import GROUPS, RISK_PARTS, cell_failures, need_any, row_failures
from crlm_qc.rules._collection import need_workbook
from crlm_qc.rules._words import listed, plural, text

if TYPE_CHECKING:
    import pandas as pd

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
TABLES: Final = ("sources", "clinical", "clinical_dictionary")
DICTIONARY: Final = "Data Dictionary sheet of the workbook"
DESCRIPTION: Final = "published description, clinical data"

MANY_IN_ROW: Final = 5
"""Cells of one row beyond which a fault is told as one of the row."""
MANY_IN_COLUMN: Final = 10
"""Cells of one column beyond which a fault is told as one of the column."""


@dataclass(frozen=True)
class _Words:
    """How a rule speaks of a cell, and of many."""

    one: Callable[[Any], str]
    """Of a cell, a row of `Clinical.cells`."""
    many: str
    """What holds of the cells, after `12 cells of age`."""
    expected: Callable[[Any], str]


def _patient(value: Any) -> str | None:
    return text(value)


def _id(context: Context, cell: Any) -> str:
    """The row as a person finds it: its patient, or its number."""
    patient = _patient(cell.patient)
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


def _cell_rule(context: Context, code: str, sorts: Sequence[Sort], words: Callable[[Clinical], _Words]) -> Checked:
    """A rule of single cells."""
    table = clinical(context)
    cells = table.cells
    examined = int(cells["sort"].isin(sorts).sum())
    bad = cells.loc[[failure.row for failure in cell_failures(context, table)[code]]]
    return Checked(examined, list(_grouped(context, table, bad, words(table))))


def _grouped(context: Context, table: Clinical, bad: pd.DataFrame, words: _Words) -> Iterator[Found]:
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
            _patient(cell.patient),
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
            _patient(cell.patient),
        )


def _row_rule(context: Context, code: str) -> Checked:
    """A rule of the columns of one row."""
    table = clinical(context)
    mine = need_any(table, code)
    known = [table.wide[list(relation.columns)].notna().all(axis=1) for relation in mine]
    examined = int(sum(rows.sum() for rows in known))
    rows = [failure.row for failure in row_failures(context, table)[code]]
    if not rows:
        return Checked(examined)
    broken = table.wide.loc[rows]
    found = []
    for relation in mine:
        for row in broken.index[relation.broken(broken, context.tolerances)]:
            message, expected, observed = relation.says(broken.loc[row])
            patient = _patient(table.patients[row])
            subject = Subject(Kind.ROW, path=table.path, row=int(row), column=relation.column)
            found.append(Found(subject, message, expected, observed, patient))
    return Checked(examined, found)


@rule(
    "CLN001",
    "workbook-unreadable",
    ERROR,
    title="The clinical workbook can't be opened, or has no patient sheet",
    why="Without the patient sheet the release has no clinical data, and nothing can be compared with the images.",
    fix="Save the workbook as .xlsx without a password; keep the headings of the patient sheet in one row.",
    source=DESCRIPTION,
    tables=("sources",),
)
def workbook_unreadable(context: Context) -> Checked:
    """A workbook that opens and has the patient sheet's headings in one of its sheets."""
    sources = context["sources"]
    used = sources[(sources["source"] == "clinical") & sources["used"]]
    need_workbook(context)
    if used.empty:
        raise Skip("no clinical workbook")
    found = []
    for source in used[used["problem"].notna()].itertuples():
        subject = Subject(Kind.FILE, path=context.show.path(str(source.path)))
        sheetless = source.problem == "no-patient-sheet"
        message = "The clinical workbook has no patient sheet" if sheetless else "The clinical workbook can't be opened"
        detail = text(source.detail) or "it can't be read"
        # The reader writes the detail, with no text from the file.
        found.append(Found(subject, f"{message}: {detail}.", "an xlsx workbook with a patient sheet", detail))
    return Checked(len(used), found)


@rule(
    "CLN002",
    "clinical-column-missing",
    ERROR,
    title="A column of this edition of the workbook is missing",
    why="Code that reads the published workbook by its headings fails, or a variable is lost.",
    fix="Put the column back under its published heading.",
    source=DICTIONARY,
    tables=TABLES,
)
def clinical_column_missing(context: Context) -> Checked:
    """Every column of the edition that the headings are the most like."""
    table = clinical(context)
    if table.edition is None:
        raise Skip("the workbook is of no known edition")
    missing = [name for name in table.edition.columns if name not in table.known]
    found = [
        Found(
            Subject(Kind.COLUMN, path=table.path, column=name),
            f"The workbook, recognised as the edition of {table.edition.name}, has no column {name}.",
            f"a column {name}",
            "none",
        )
        for name in missing
    ]
    return Checked(len(table.edition.columns), found)


@rule(
    "CLN003",
    "clinical-column-unknown",
    WARNING,
    title="The workbook has an unknown column",
    why="A column outside the published editions is undocumented, may hold what was not meant to be shared, or is a misspelt heading.",
    fix="Take the column out, correct its heading, or add it to the profile's edition and to the Data Dictionary.",
    source=DICTIONARY,
    tables=TABLES,
)
def clinical_column_unknown(context: Context) -> Checked:
    """Every heading is one of the edition's, as it is spelt there."""
    table = clinical(context)
    edition = table.edition
    found = []
    for heading, name in table.columns.items():
        if name == heading and (edition is None or name in edition.columns):
            continue
        shown = context.show.text(heading, known=tuple(context.profile.variables))
        base = re.sub(r"\[[0-9]+\]$", "", heading)
        if name is None and base != heading and base in table.columns:
            message = f"The heading {context.show.text(base, known=tuple(context.profile.variables))} stands over two columns."
        elif name is None and re.fullmatch(r"\[[A-Z]{1,3}\]", heading):
            shown = f"column {heading[1:-1]}"
            message = f"C{shown[1:]} of the patient sheet has values and no heading."
        elif name is None:
            message = f"The column {shown} is in no published edition of the workbook."
        elif name != heading:
            message = f"The heading of {name} is spelt otherwise: case or white space differ."
        else:
            message = (
                f"The column {name} does not belong to the edition of {edition.name if edition else 'this workbook'}."
            )
        subject = Subject(Kind.COLUMN, path=table.path, column=name or shown)
        found.append(Found(subject, message, "a column of the edition" if name is None else name, shown))
    return Checked(len(table.columns), found)


@rule(
    "CLN004",
    "clinical-patient-id",
    ERROR,
    title="The patient's ID is malformed, blank or twice",
    why="The ID alone links a row to its images; a row that can't be linked, or two rows for one patient, make the outcome unusable.",
    fix="Correct the ID, or take the surplus row out.",
    source=f"{DICTIONARY}, variable id",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_patient_id(context: Context) -> Checked:
    """One row a patient, with an ID of the collection's form."""
    table = clinical(context)
    column = context.profile.patient_column
    table.need(column)
    cells = table.cells
    ids = cells[cells["variable"] == column]
    form = f"an ID of the form {context.profile.patient_id_form}"
    found = []
    cell: Any
    valid = ids["text"].map(lambda value: isinstance(value, str) and context.profile.is_patient_id(value))
    judged = ~ids["reading"].isin([Reading.FORMULA, Reading.RUNS])
    for cell in ids[~valid & judged].itertuples():
        value = text(cell.text)
        patient = _patient(cell.patient)
        if value is None:
            message = f"Row {cell.row} has no {column}."
        elif patient is not None:
            message = f"{column} in row {cell.row} has white space around {patient}."
        else:
            message = f"{column} in row {cell.row} is not of the form {context.profile.patient_id_form}."
        subject = Subject(Kind.ROW, path=table.path, row=int(cell.row), column=column)
        observed = context.show.patient(value) if patient is None else f"{patient} with white space"
        found.append(Found(subject, message, form, observed, patient))
    for repeated, rows in ids.groupby("patient"):
        if len(rows) > 1:
            numbers = [str(row) for row in rows["row"]]
            found.append(
                Found(
                    Subject(Kind.ROW, path=table.path, row=int(rows["row"].iloc[1]), column=column),
                    f"{repeated} stands in {len(rows)} rows: {listed(numbers)}.",
                    "one row",
                    plural(len(rows), "row"),
                    str(repeated),
                    len(rows),
                    tuple(f"row {number}" for number in numbers),
                )
            )
    return Checked(len(ids), found)


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

    def words(table: Clinical) -> _Words:
        def expected(cell: Any) -> str:
            codes = ", ".join(value_text(code) for code in sorted(table.codes[cell.variable]))
            return f"{codes} or {missing}"

        return _Words(
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

    def words(_: Clinical) -> _Words:
        return _Words(
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

    def words(_: Clinical) -> _Words:
        return _Words(
            lambda cell: f"{cell.variable} is {_shown(context, cell)}; a missing value is written {missing}",
            f"are missing, but not written {missing}",
            lambda _: missing,
        )

    return _cell_rule(context, "CLN007", [Sort.CODE, Sort.NUMBER, Sort.PERCENT, Sort.PSEUDONYM], words)


@rule(
    "CLN008",
    "clinical-dictionary-incomplete",
    WARNING,
    title="Patient sheet and Data Dictionary do not name the same columns",
    why="A column without an entry can't be understood, and an entry without a column promises data that is not there.",
    fix="Add the entry to the Data Dictionary sheet, or take the surplus one out.",
    source=DICTIONARY,
    tables=(*TABLES, "workbook"),
)
def clinical_dictionary_incomplete(context: Context) -> Checked:
    """An entry a column and a column an entry; unknown and missing columns are other rules' matter."""
    table = clinical(context)
    dictionary = context["clinical_dictionary"]
    entries = [name for name in dictionary["variable"] if isinstance(name, str)]
    if not entries:
        if not (context["workbook"]["fact"] == "sheet").any():
            raise Skip("a CSV export has no Data Dictionary sheet")
        message = "The workbook has no Data Dictionary sheet, or it explains no variable."
        return Checked(1, [Found(RELEASE, message, "a sheet Data Dictionary with an entry a column", "none")])
    named = {plain_heading(name): name for name in entries}
    # The published dictionary calls the patient's column so.
    if "id" in named:
        named.setdefault(plain_heading(context.profile.patient_column), named.pop("id"))
    columns = {plain_heading(name) for name in table.columns}
    of_edition = {plain_heading(name) for name in (table.edition.columns if table.edition else ())}
    found = []
    for name in sorted(table.known):
        if plain_heading(name) not in named:
            subject = Subject(Kind.COLUMN, path=table.path, column=name)
            found.append(Found(subject, f"The Data Dictionary has no entry for {name}.", "an entry", "none"))
    for plain, name in named.items():
        if plain not in columns and plain not in of_edition:
            shown = context.show.text(name, known=tuple(context.profile.variables))
            subject = Subject(Kind.COLUMN, path=table.path, column=shown)
            message = f"The Data Dictionary has an entry {shown}, and the patient sheet no such column."
            found.append(Found(subject, message, "a column", "none"))
    return Checked(len(table.columns) + len(entries), found)


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

    def words(_: Clinical) -> _Words:
        return _Words(
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
    "CLN010",
    "clinical-response-sum",
    WARNING,
    title="Total response is not the sum of necrosis, fibrosis and mucin",
    why="Total pathologic response is defined as their sum; where it differs, one of the four is wrong.",
    fix="Look the four figures up in the pathology report.",
    source=f"{DICTIONARY}, variables total_response_percent, necrosis_percent, fibrosis_percent, mucin_percent",
    tables=TABLES,
    kind=RuleKind.TABLE,
    tolerances=("percent",),
)
def clinical_response_sum(context: Context) -> Checked:
    """The sum, within half a percent."""
    return _row_rule(context, "CLN010")


@rule(
    "CLN011",
    "clinical-risk-stratified",
    ERROR,
    title="clinrisk_stratified contradicts clinrisk_score",
    why="The two groups are defined by the score (0-2 and 3-5); survival curves by group come out wrong.",
    fix="Correct the score or the group.",
    source=f"{DICTIONARY}, variable clinrisk_stratified: 1 - (3,4,5 scores), 0 - (0, 1, 2)",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_risk_stratified(context: Context) -> Checked:
    """1 means a score of 3 or more."""
    return _row_rule(context, "CLN011")


@rule(
    "CLN012",
    "clinical-nash-yes",
    ERROR,
    title="NASH_yesno contradicts NASH_score",
    why="NASH_yesno says whether the score is 1 or more; two columns that disagree give two different cohorts.",
    fix="Correct the score or the yes/no column.",
    source=f"{DICTIONARY}, variables NASH_score and NASH_yesno",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_nash_yes(context: Context) -> Checked:
    """1 means a score of 1 or more."""
    return _row_rule(context, "CLN012")


@rule(
    "CLN013",
    "clinical-nash-greater-4",
    ERROR,
    title="NASH_greater_4 contradicts NASH_score",
    why="NASH_greater_4 says whether the score is 4 or more; two columns that disagree give two different cohorts.",
    fix="Correct the score or the yes/no column.",
    source=f"{DICTIONARY}, variable NASH_greater_4: did patient have NASH 4 or greater",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_nash_greater_4(context: Context) -> Checked:
    """1 means a score of 4 or more."""
    return _row_rule(context, "CLN013")


@rule(
    "CLN014",
    "clinical-fibrosis-40",
    ERROR,
    title="fibrosis_greater_40_percent contradicts fibrosis_percent",
    why="The yes/no column says whether fibrosis is 40% or more; two columns that disagree give two different cohorts.",
    fix="Correct the fraction or the yes/no column.",
    source=f"{DICTIONARY}, variable fibrosis_greater_40_percent: fibrosis 40% or greater",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_fibrosis_40(context: Context) -> Checked:
    """1 means 0.40 or more."""
    return _row_rule(context, "CLN014")


@rule(
    "CLN015",
    "clinical-group-incomplete",
    WARNING,
    title="Of columns that depend on each other some are missing and some are not",
    why="Total response and its parts come from one pathology report, the risk group from its score: where one is known, so are the others.",
    fix="Fill the group in, or write the code for a missing value in all of its columns.",
    source=f"{DICTIONARY}, variables total_response_percent, necrosis_percent, fibrosis_percent, fibrosis_greater_40_percent, mucin_percent; clinrisk_score, clinrisk_stratified",
    tables=TABLES,
)
def clinical_group_incomplete(context: Context) -> Checked:
    """All of a group are missing, or none; rows with a cell that is wrong in itself are left out."""
    table = clinical(context)
    examined, found = 0, []
    for group in GROUPS:
        names = [name for name in group if name in table.known]
        if len(names) < 2:
            continue
        missing = table.missing[names]
        clean = (missing | table.wide[names].notna()).all(axis=1)
        examined += int(clean.sum())
        for row in missing.index[clean & missing.any(axis=1) & ~missing.all(axis=1)]:
            absent = [name for name in names if missing.loc[row, name]]
            present = [name for name in names if name not in absent]
            found.append(
                Found(
                    Subject(Kind.ROW, path=table.path, row=int(row), column=group[0]),
                    f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing, while {', '.join(present)} {'is' if len(present) == 1 else 'are'} not.",
                    "all of them missing, or none",
                    f"{len(absent)} of {len(names)} missing",
                    _patient(table.patients[row]),
                )
            )
    if not examined:
        raise Skip("the workbook has none of these columns")
    return Checked(examined, found)


@rule(
    "CLN016",
    "clinical-dfs-beyond-survival",
    ERROR,
    title="Disease-free months exceed overall survival months",
    why="Nobody lives free of disease longer than they live; survival analysis refuses or misreads such a row.",
    fix="Correct the two times.",
    source=f"{DICTIONARY}, variables overall_survival_months and months_to_DFS_progression",
    tables=TABLES,
    kind=RuleKind.TABLE,
    tolerances=("months",),
)
def clinical_dfs_beyond_survival(context: Context) -> Checked:
    """Disease-free months are at most overall survival months."""
    return _row_rule(context, "CLN016")


@rule(
    "CLN017",
    "clinical-liver-dfs-beyond",
    ERROR,
    title="Liver disease-free months are not between disease-free months and overall survival",
    why="A recurrence in the liver is a recurrence, so that the liver is free at least as long as the patient is.",
    fix="Correct the three times.",
    source=f"{DICTIONARY}, variables months_to_liver_DFS_progression, months_to_DFS_progression, overall_survival_months",
    tables=TABLES,
    kind=RuleKind.TABLE,
    tolerances=("months",),
)
def clinical_liver_dfs_beyond(context: Context) -> Checked:
    """Disease-free months <= liver disease-free months <= overall survival months."""
    return _row_rule(context, "CLN017")


@rule(
    "CLN018",
    "clinical-dfs-without-recurrence",
    WARNING,
    title="No recurrence, yet disease-free months differ from overall survival months",
    why="Without recurrence both times end with the last follow-up or death; a difference means that one column is wrong.",
    fix="Correct the recurrence or the time.",
    source=f"{DICTIONARY}, variables progression_or_recurrence, months_to_DFS_progression, and the same for the liver",
    tables=TABLES,
    kind=RuleKind.TABLE,
    tolerances=("months",),
)
def clinical_dfs_without_recurrence(context: Context) -> Checked:
    """The two times are the same, for the patient and for the liver."""
    return _row_rule(context, "CLN018")


@rule(
    "CLN019",
    "clinical-dfs-status",
    ERROR,
    title="The status for disease-free survival is not `recurred or died`",
    why="It is the event indicator of disease-free survival: a wrong one turns an event into a censored patient, or the reverse.",
    fix="Correct the status, the recurrence or the vital status.",
    source=f"{DICTIONARY}, variables vital_status_DFS, vital_status_liver_DFS, vital_status",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_dfs_status(context: Context) -> Checked:
    """1 after a recurrence or a death, else 0; the same for the liver."""
    return _row_rule(context, "CLN019")


@rule(
    "CLN020",
    "clinical-liver-recurrence",
    ERROR,
    title="A recurrence in the liver without any recurrence",
    why="A recurrence in the liver is a recurrence.",
    fix="Correct one of the two columns.",
    source=f"{DICTIONARY}, variables progression_or_recurrence and progression_or_recurrence_liveronly",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_liver_recurrence(context: Context) -> Checked:
    """Where the liver has a recurrence, the patient has."""
    return _row_rule(context, "CLN020")


@rule(
    "CLN021",
    "clinical-steatosis-score-0",
    INFO,
    title="Steatosis with a NASH score of 0",
    why="Steatosis is one of the three grades that the score adds up, so that a score of 0 means none; the cut-off may differ.",
    fix="Look both up in the pathology report.",
    source=f"{DICTIONARY}, variables steatosis_yesno and NASH_score; NAFLD activity score (Kleiner 2005)",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_steatosis_score_0(context: Context) -> Checked:
    """With steatosis the score is 1 or more."""
    return _row_rule(context, "CLN021")


@rule(
    "CLN022",
    "clinical-risk-score",
    WARNING,
    title="clinrisk_score is impossible given its parts",
    why="The score counts five facts, four of which stand in the same row; where they can't add up to it, one of them is wrong.",
    fix="Work the score out again: node-positive primary, disease-free interval under 12 months, more than one metastasis, CEA above 200 ng/mL, largest metastasis above 5 cm.",
    source=f"clinical risk score (Fong 1999); {DICTIONARY} of April 2023",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def clinical_risk_score(context: Context) -> Checked:
    """The score lies between what the known parts make certain and what the unknown ones may add."""
    table = clinical(context)
    table.need(*RISK_PARTS)
    return _row_rule(context, "CLN022")


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
    words = _Words(
        lambda _: f"{column} is not of the form {variable.form}",
        f"are not of the form {variable.form}",
        lambda _: variable.form,
    )
    yield from _grouped(context, table, names[~good], words)
    for name, rows in names[good].groupby("text"):
        if len(rows) > 1:
            ids = tuple(_id(context, cell) for cell in rows.itertuples())
            yield Found(
                Subject(Kind.ROW, path=table.path, row=int(rows["row"].iloc[1]), column=column),
                f"{column} {name} stands in {len(rows)} rows: {listed(ids)}.",
                "each name once",
                plural(len(rows), "row"),
                _patient(rows["patient"].iloc[1]),
                len(rows),
                ids,
            )


@rule(
    "CLN024",
    "workbook-runs",
    ERROR,
    title="The workbook holds a formula, link or macro, or text that a spreadsheet would run",
    why="What runs can change the data, reach out to the network or harm who opens the file; and no reader agrees with another on what a formula gives.",
    fix="Paste values over formulas, break links, save as .xlsx without macros; begin no text with =, +, - or @.",
    source="OWASP, CSV injection; ECMA-376 part 1, 18.3.1.40 (formula) and 18.14 (external links)",
    tables=(*TABLES, "workbook"),
)
def workbook_runs(context: Context) -> Checked:
    """Values alone in all sheets, and no text in the patient sheet that runs when a CSV export of it is opened."""
    table = clinical(context)
    facts = context["workbook"]
    found = []
    formulas = facts[facts["fact"] == "formula"]
    for sheet, group in formulas.groupby("sheet", sort=False):
        cells = tuple(str(cell) for cell in group["cell"] if isinstance(cell, str))
        message = f"{plural(len(group), 'formula')} in sheet {_sheet(context, sheet)}: {listed(cells)}. Other rules leave these cells out."
        found.append(_fact(table, message, "values alone", plural(len(group), "formula"), cells))
    for fact, noun in (("external-link", "external link"), ("macro", "macro part")):
        count = int((facts["fact"] == fact).sum())
        if count:
            found.append(
                _fact(table, f"The workbook holds {plural(count, noun)}.", "none", plural(count, noun), (), count)
            )
    run = cell_failures(context, table)["CLN024"]
    words = _Words(
        lambda cell: f"{cell.variable} begins with a character that makes a spreadsheet run it",
        "begin with a character that makes a spreadsheet run them",
        lambda _: "no text that begins with =, +, - or @",
    )
    found += _grouped(context, table, table.cells.loc[[failure.row for failure in run]], words)
    return Checked(len(table.cells), found)


def _fact(
    table: Clinical, message: str, expected: str, observed: str, cells: tuple[str, ...], count: int | None = None
) -> Found:
    subject = Subject(Kind.FILE, path=table.path)
    return Found(subject, message, expected, observed, None, len(cells) if count is None else count, cells)


def _sheet(context: Context, name: Any) -> str:
    """A sheet's name, if it is a published one or made of the collection's words."""
    return context.show.text(text(name), known=(context.profile.patient_sheet, context.profile.dictionary_sheet))


_HIDDEN: Final = (
    ("hidden-sheet", "hidden sheet"),
    ("hidden-row", "hidden row"),
    ("hidden-column", "hidden column"),
    ("comment", "cell comment"),
)


@rule(
    "CLN025",
    "workbook-hidden",
    WARNING,
    title="The workbook has something hidden, or a cell comment",
    why="Who opens the workbook does not see it, and who reads it by program does: hidden rows and comments are where identifiers slip through.",
    fix="Look at what is hidden; show it or take it out. Take comments out, or move them to relevant_notes.",
    source="ECMA-376 part 1, 18.3.1.73 (row), 18.3.1.13 (col), 18.2.19 (sheet), 18.7 (comments)",
    tables=(*TABLES, "workbook"),
)
def workbook_hidden(context: Context) -> Checked:
    """No hidden sheet, row or column, and no comment."""
    table = clinical(context)
    facts = context["workbook"]
    if not (facts["fact"] == "sheet").any():
        raise Skip("a CSV export has nothing hidden")
    found = []
    for fact, noun in _HIDDEN:
        rows = facts[facts["fact"] == fact]
        for sheet, group in rows.groupby("sheet", sort=False):
            cells = tuple(str(cell) for cell in group["cell"] if isinstance(cell, str))
            where = "" if fact == "hidden-sheet" else f" in sheet {_sheet(context, sheet)}"
            which = f": {listed(cells)}" if cells else ""
            message = f"The workbook has {plural(len(group), noun)}{where}{which}."
            found.append(_fact(table, message, "none", plural(len(group), noun), cells, len(group)))
    return Checked(int((facts["fact"] == "sheet").sum()), found)


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

    def words(_: Clinical) -> _Words:
        return _Words(
            lambda cell: f"{cell.variable} holds {_number(cell)} as text",
            "hold a number as text",
            lambda _: "a numeric cell",
        )

    return _cell_rule(context, "CLN026", [Sort.CODE, Sort.NUMBER], words)
