"""Columns of one row that contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.words import are, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule, table_rule
from crlm_qc.rules.cln._cells import MANY_IN_COLUMN
from crlm_qc.rules.cln._order import out_of_step, sorted_alone
from crlm_qc.rules.cln._relations import GROUPS, RISK_PARTS, Broken, need_any, rows_that_break
from crlm_qc.rules.cln._shared import DICTIONARY, TABLES
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import Clinical, clinical


def _row_rule(context: Context, refused: Broken) -> Checked:
    """A rule of the columns of one row."""
    table = clinical(context)
    mine = need_any(table, refused)
    examined = sum(table.in_full(relation.columns) for relation in mine)
    if not any(refused.values()):
        return Checked(examined)
    found, by_row = [], table.wide.T
    suspect = out_of_step(context)
    for relation in mine:
        if suspect is not None and suspect.column in relation.columns:
            continue
        broken = refused[relation]
        if len(broken) > MANY_IN_COLUMN:
            message, expected, observed = relation.says(by_row[broken[0]])
            names = tuple(_row_name(context, table, row) for row in broken)
            subject = Subject(Kind.COLUMN, path=table.path, column=relation.column)
            message = f"In {len(broken)} rows {relation.column} contradicts other columns: {message}"
            found.append(Found(subject, message, expected, observed, None, len(broken), names))
            continue
        for row in broken:
            message, expected, observed = relation.says(by_row[row])
            subject = Subject(Kind.ROW, path=table.path, row=int(row), column=relation.column)
            found.append(Found(subject, message, expected, observed, text(table.patients[row])))
    return Checked(examined, found)


def _row_name(context: Context, table: Clinical, row: Any) -> str:
    patient = text(table.patients[row])
    return f"row {row}" if patient is None else context.show.patient(patient)


@table_rule(
    "CLN010",
    "clinical-response-sum",
    WARNING,
    refused=rows_that_break,
    title="Total response is not the sum of necrosis, fibrosis and mucin",
    why="Total pathologic response is defined as their sum; where it differs, one of the four is wrong.",
    fix="Look the four figures up in the pathology report.",
    source=f"{DICTIONARY}, variables total_response_percent, necrosis_percent, fibrosis_percent, mucin_percent",
    tables=TABLES,
    tolerances=("percent",),
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_response_sum(context: Context, refused: Broken) -> Checked:
    """The sum, within half a percent."""
    return _row_rule(context, refused)


@table_rule(
    "CLN011",
    "clinical-risk-stratified",
    ERROR,
    refused=rows_that_break,
    title="clinrisk_stratified contradicts clinrisk_score",
    why="The two groups are defined by the score (0-2 and 3-5); survival curves by group come out wrong.",
    fix="Correct the score or the group.",
    source=f"{DICTIONARY}, variable clinrisk_stratified: 1 - (3,4,5 scores), 0 - (0, 1, 2)",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_risk_stratified(context: Context, refused: Broken) -> Checked:
    """1 means a score of 3 or more."""
    return _row_rule(context, refused)


@table_rule(
    "CLN012",
    "clinical-nash-yes",
    ERROR,
    refused=rows_that_break,
    title="NASH_yesno contradicts NASH_score",
    why="NASH_yesno says whether the score is 1 or more; two columns that disagree give two different cohorts.",
    fix="Correct the score or the yes/no column.",
    source=f"{DICTIONARY}, variables NASH_score and NASH_yesno",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_nash_yes(context: Context, refused: Broken) -> Checked:
    """1 means a score of 1 or more."""
    return _row_rule(context, refused)


@table_rule(
    "CLN013",
    "clinical-nash-greater-4",
    ERROR,
    refused=rows_that_break,
    title="NASH_greater_4 contradicts NASH_score",
    why="NASH_greater_4 says whether the score is 4 or more; two columns that disagree give two different cohorts.",
    fix="Correct the score or the yes/no column.",
    source=f"{DICTIONARY}, variable NASH_greater_4: did patient have NASH 4 or greater",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_nash_greater_4(context: Context, refused: Broken) -> Checked:
    """1 means a score of 4 or more."""
    return _row_rule(context, refused)


@table_rule(
    "CLN014",
    "clinical-fibrosis-40",
    ERROR,
    refused=rows_that_break,
    title="fibrosis_greater_40_percent contradicts fibrosis_percent",
    why="The yes/no column says whether fibrosis is 40% or more; two columns that disagree give two different cohorts.",
    fix="Correct the fraction or the yes/no column.",
    source=f"{DICTIONARY}, variable fibrosis_greater_40_percent: fibrosis 40% or greater",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_fibrosis_40(context: Context, refused: Broken) -> Checked:
    """1 means 0.40 or more."""
    return _row_rule(context, refused)


@rule(
    "CLN015",
    "clinical-group-incomplete",
    WARNING,
    title="Of columns that depend on each other some are missing and some are not",
    why="Total response and its parts come from one pathology report, the risk group from its score: where one is known, so are the others.",
    fix="Fill the group in, or write the code for a missing value in all of its columns.",
    source=f"{DICTIONARY}, variables total_response_percent, necrosis_percent, fibrosis_percent, fibrosis_greater_40_percent, mucin_percent; clinrisk_score, clinrisk_stratified",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_group_incomplete(context: Context) -> Checked:
    """All of a group are missing, or none; rows with a cell that is wrong in itself are left out."""
    table = clinical(context)
    examined, found = 0, list[Found]()
    suspect = out_of_step(context)
    for group in GROUPS:
        names = [name for name in group if name in table.known]
        if len(names) < 2:
            continue
        missing = table.missing[names]
        clean = (missing | table.wide[names].notna()).all(axis=1)
        examined += int(clean.sum())
        if suspect is not None and suspect.column in names:
            continue
        part = missing[clean & missing.any(axis=1) & ~missing.all(axis=1)]
        patterns: dict[tuple[str, ...], list[int]] = {}
        for row in part.index:
            patterns.setdefault(tuple(name for name in names if part.loc[row, name]), []).append(int(row))
        for absent, rows in patterns.items():
            found += _incomplete(context, table, names, absent, rows)
    if not examined:
        raise Skip("the workbook has none of these columns")
    return Checked(examined, found)


def _incomplete(
    context: Context, table: Clinical, names: Sequence[str], absent: Sequence[str], rows: Sequence[int]
) -> list[Found]:
    """Findings on rows that lack the same columns of a group: one each, or one for all if they are many."""
    present = [name for name in names if name not in absent]
    message = f"{', '.join(absent)} {are(len(absent))} missing, while {', '.join(present)} {are(len(present))} not"
    expected, observed = "all of them missing, or none", f"{len(absent)} of {len(names)} missing"
    if len(rows) > MANY_IN_COLUMN:
        ids = tuple(_row_name(context, table, row) for row in rows)
        subject = Subject(Kind.COLUMN, path=table.path, column=absent[0])
        return [Found(subject, f"In {len(rows)} rows {message}.", expected, observed, None, len(rows), ids)]
    return [
        Found(
            Subject(Kind.ROW, path=table.path, row=int(row), column=names[0]),
            f"{message}.",
            expected,
            observed,
            text(table.patients[row]),
        )
        for row in rows
    ]


@table_rule(
    "CLN016",
    "clinical-dfs-beyond-survival",
    ERROR,
    refused=rows_that_break,
    title="Disease-free months exceed overall survival months",
    why="Nobody lives free of disease longer than they live; survival analysis refuses or misreads such a row.",
    fix="Correct the two times.",
    source=f"{DICTIONARY}, variables overall_survival_months and months_to_DFS_progression",
    tables=TABLES,
    tolerances=("months",),
    spoils=Spoils(out=("clinical-pairing",)),
)
def clinical_dfs_beyond_survival(context: Context, refused: Broken) -> Checked:
    """Disease-free months are at most overall survival months."""
    return _row_rule(context, refused)


@table_rule(
    "CLN017",
    "clinical-liver-dfs-beyond",
    ERROR,
    refused=rows_that_break,
    title="Liver disease-free months are not between disease-free months and overall survival",
    why="A recurrence in the liver is a recurrence, so that the liver is free at least as long as the patient is.",
    fix="Correct the three times.",
    source=f"{DICTIONARY}, variables months_to_liver_DFS_progression, months_to_DFS_progression, overall_survival_months",
    tables=TABLES,
    tolerances=("months",),
    spoils=Spoils(out=("clinical-pairing",)),
)
def clinical_liver_dfs_beyond(context: Context, refused: Broken) -> Checked:
    """Disease-free months <= liver disease-free months <= overall survival months."""
    return _row_rule(context, refused)


@table_rule(
    "CLN018",
    "clinical-dfs-without-recurrence",
    WARNING,
    refused=rows_that_break,
    title="No recurrence, yet disease-free months differ from overall survival months",
    why="Without recurrence both times end with the last follow-up or death; a difference means that one column is wrong.",
    fix="Correct the recurrence or the time.",
    source=f"{DICTIONARY}, variables progression_or_recurrence, months_to_DFS_progression, and the same for the liver",
    tables=TABLES,
    tolerances=("months",),
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_dfs_without_recurrence(context: Context, refused: Broken) -> Checked:
    """The two times are the same, for the patient and for the liver."""
    return _row_rule(context, refused)


@table_rule(
    "CLN019",
    "clinical-dfs-status",
    ERROR,
    refused=rows_that_break,
    title="The status for disease-free survival is not `recurred or died`",
    why="It is the event indicator of disease-free survival: a wrong one turns an event into a censored patient, or the reverse.",
    fix="Correct the status, the recurrence or the vital status.",
    source=f"{DICTIONARY}, variables vital_status_DFS, vital_status_liver_DFS, vital_status",
    tables=TABLES,
    spoils=Spoils(out=("clinical-pairing",)),
)
def clinical_dfs_status(context: Context, refused: Broken) -> Checked:
    """1 after a recurrence or a death, else 0; the same for the liver."""
    return _row_rule(context, refused)


@table_rule(
    "CLN020",
    "clinical-liver-recurrence",
    ERROR,
    refused=rows_that_break,
    title="A recurrence in the liver without any recurrence",
    why="A recurrence in the liver is a recurrence.",
    fix="Correct one of the two columns.",
    source=f"{DICTIONARY}, variables progression_or_recurrence and progression_or_recurrence_liveronly",
    tables=TABLES,
    spoils=Spoils(out=("clinical-pairing",)),
)
def clinical_liver_recurrence(context: Context, refused: Broken) -> Checked:
    """Where the liver has a recurrence, the patient has."""
    return _row_rule(context, refused)


@table_rule(
    "CLN021",
    "clinical-steatosis-score-0",
    INFO,
    refused=rows_that_break,
    title="Steatosis with a NASH score of 0",
    why="Steatosis is one of the three grades that the score adds up, so that a score of 0 means none; the cut-off may differ.",
    fix="Look both up in the pathology report.",
    source=f"{DICTIONARY}, variables steatosis_yesno and NASH_score; NAFLD activity score (Kleiner 2005)",
    tables=TABLES,
    spoils=NOTHING,
)
def clinical_steatosis_score_0(context: Context, refused: Broken) -> Checked:
    """With steatosis the score is 1 or more."""
    return _row_rule(context, refused)


@table_rule(
    "CLN022",
    "clinical-risk-score",
    WARNING,
    refused=rows_that_break,
    title="clinrisk_score is impossible given its parts",
    why="The score counts five facts, four of which stand in the same row; where they can't add up to it, one of them is wrong.",
    fix="Work the score out again: node-positive primary, disease-free interval under 12 months, more than one metastasis, CEA above 200 ng/mL, largest metastasis above 5 cm.",
    source=f"clinical risk score (Fong 1999); {DICTIONARY} of April 2023",
    tables=TABLES,
    spoils=Spoils(care=("clinical-pairing",)),
)
def clinical_risk_score(context: Context, refused: Broken) -> Checked:
    """The score lies between what the known parts make certain and what the unknown ones may add."""
    table = clinical(context)
    table.need(*RISK_PARTS)
    return _row_rule(context, refused)


@rule(
    "CLN029",
    "clinical-out-of-step",
    ERROR,
    title="A column is out of step with the rows",
    why="Sorted without the others, or with cells deleted and those below moved up, a column gives each patient the value of another one.",
    fix="Take the column from a copy of the workbook that was not sorted or edited; its values can't be told apart by looking.",
    source=f"{DICTIONARY}: columns that depend on each other",
    tables=TABLES,
    tolerances=("percent", "months"),
    spoils=Spoils(out=("clinical-pairing",), everyone=True),
)
def clinical_out_of_step(context: Context) -> Checked:
    """No column that all contradictions are with which many rows have, and none in order while the patients are too."""
    table = clinical(context)
    found = []
    suspect = out_of_step(context)
    if suspect is not None:
        names = tuple(_row_name(context, table, row) for row in suspect.rows)
        message = f"{suspect.column} contradicts other columns in {plural(len(names), 'row')}. {suspect.how}. Other rules leave it out."
        subject = Subject(Kind.COLUMN, path=table.path, column=suspect.column)
        observed = f"{plural(len(names), 'row')} that contradict it"
        found.append(Found(subject, message, "values in the rows of their patients", observed, None, len(names), names))
    for column in sorted_alone(context):
        message = f"The values of {column} stand in order from the first row to the last, as the patients do: either patients were numbered by it, or it was sorted alone."
        subject = Subject(Kind.COLUMN, path=table.path, column=column)
        found.append(
            Found(subject, message, "values in the rows of their patients", "values in order", severity=WARNING)
        )
    return Checked(len(table.known), found)
