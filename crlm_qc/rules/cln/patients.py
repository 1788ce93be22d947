"""Rows of the workbook's patient sheet: whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, rule
from crlm_qc.rules.cln._cells import MANY_IN_COLUMN, row_name
from crlm_qc.rules.cln._shared import DICTIONARY, TABLES, difference
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import Clinical, Reading, clinical

if TYPE_CHECKING:
    import pandas as pd


@rule(
    "CLN004",
    "clinical-patient-id",
    ERROR,
    title="The patient's ID is malformed, blank or twice, or a row is no patient",
    why="The ID alone links a row to its images; a row that can't be linked, or two rows for one patient, make the outcome unusable.",
    fix="Correct the ID, or take the surplus row out.",
    source=f"{DICTIONARY}, variable id",
    tables=TABLES,
    spoils=Spoils(out=("clinical-pairing",)),
)
def clinical_patient_id(context: Context) -> Checked:
    """One row a patient, with an ID of the collection's form, and no row of units, totals or notes."""
    table = clinical(context)
    column = context.profile.patient_column
    table.need(column)
    cells = table.cells
    ids = cells[cells["variable"] == column]
    valid = ids["text"].map(lambda value: isinstance(value, str) and context.profile.is_patient_id(value)).astype(bool)
    judged = ~ids["reading"].isin([Reading.FORMULA, Reading.RUNS])
    malformed = ids[~valid & judged]
    how = malformed.apply(lambda cell: _how(context, cell), axis=1)
    found = list(_no_patients(context, table))
    for what, rows in malformed.groupby(how, sort=False) if len(malformed) else ():
        found += _malformed(context, table, str(what), rows)
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
    return Checked(len(ids) + len(table.strays), found)


def _how(context: Context, cell: Any) -> str:
    """What is wrong with an ID, as far as it tells one patient."""
    written = text(cell.text)
    if written is None:
        return ""
    meant = text(cell.patient) or context.profile.meant_patient_id(written)
    return "it can't be told which patient is meant" if meant is None else difference(written, meant)


def _malformed(context: Context, table: Clinical, what: str, rows: pd.DataFrame) -> Iterator[Found]:
    """Findings on IDs that are wrong in one way: a row each, or one for all if they are many."""
    column, form = context.profile.patient_column, context.profile.patient_id_form
    one = f"is not of the form {form}: {what}" if what else "is blank"
    if len(rows) > MANY_IN_COLUMN:
        names = tuple(row_name(context, cell) for cell in rows.itertuples())
        subject = Subject(Kind.COLUMN, path=table.path, column=column)
        message = f"{column} {one} ({plural(len(rows), 'row')}: {listed(names)})."
        yield Found(subject, message, f"an ID of the form {form}", what or "empty", None, len(rows), names)
        return
    cell: Any
    for cell in rows.itertuples():
        value, patient = text(cell.text), text(cell.patient)
        message = f"{column} in row {cell.row} {one}." if what else f"Row {cell.row} has no {column}."
        if patient is not None:
            message += f" The row is taken for that of {patient}."
        elif value is not None and context.profile.meant_patient_id(value):
            message += " Another row has the ID that it may be meant for."
        subject = Subject(Kind.ROW, path=table.path, row=int(cell.row), column=column)
        observed = context.show.patient(value) if patient is None else f"{patient}, but {what}"
        yield Found(subject, message, f"an ID of the form {form}", observed, patient)


def _no_patients(context: Context, table: Clinical) -> Iterator[Found]:
    """Rows that are no patient, a finding for each thing that they hold instead."""
    for what in dict.fromkeys(table.strays.values()):
        rows = [row for row, held in table.strays.items() if held == what]
        names = tuple(f"row {row}" for row in rows)
        several = agree(len(rows), f"Row {rows[0]}", f"Rows {listed([str(row) for row in rows])}")
        message = f"{several} {are(len(rows))} no patient: {agree(len(rows), 'it holds', 'they hold')} {what}. {agree(len(rows), 'Its', 'Their')} cells are not judged."
        subject = Subject(Kind.ROW, path=table.path, row=rows[0], column=context.profile.patient_column)
        yield Found(
            subject, message, "a row a patient", f"{plural(len(rows), 'row')} of {what}", None, len(rows), names
        )
