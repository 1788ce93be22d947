"""The workbook's sheet as a whole: its columns, its rows, its dictionary."""

from __future__ import annotations

import re
from typing import Final

from crlm_qc.collection.headings import loose_heading, nearest
from crlm_qc.collection.invisible import plain_text
from crlm_qc.model.finding import RELEASE, Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.tables import NOT_FETCHED
from crlm_qc.model.words import capitalised, listed
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.cln._shared import DESCRIPTION, DICTIONARY, TABLES, difference
from crlm_qc.subjects.needs import need_workbook
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import Clinical, clinical

MANY_HEADINGS: Final = 5
"""Headings that are spelt otherwise, beyond which they are told as one."""


@rule(
    "CLN001",
    "workbook-unreadable",
    ERROR,
    title="The clinical workbook can't be opened, or has no patient sheet",
    why="Without the patient sheet the release has no clinical data, and nothing can be compared with the images.",
    fix="Save the workbook as .xlsx without a password; keep the headings of the patient sheet in one row.",
    source=DESCRIPTION,
    tables=("sources",),
    spoils=Spoils(out=("clinical-pairing", "completeness"), everyone=True),
)
def workbook_unreadable(context: Context) -> Checked:
    """A workbook that opens and has the patient sheet's headings in one of its sheets."""
    sources = context["sources"]
    used = sources[(sources["source"] == "clinical") & sources["used"]]
    need_workbook(context)
    if used.empty:
        raise Skip("no clinical workbook")
    if (used["problem"] == NOT_FETCHED).any():
        raise Skip("the clinical workbook was not fetched")
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
    spoils=Spoils(care=("clinical-pairing", "completeness"), everyone=True),
)
def clinical_column_missing(context: Context) -> Checked:
    """Every column of the edition that the headings are the most like."""
    table = clinical(context)
    if table.edition is None:
        raise Skip("the workbook is of no known edition")
    missing = [name for name in table.edition.columns if name not in table.known]
    likely = {name: heading for heading, name in misspelt(table).items()}
    found = []
    lost = [name for name in missing if name not in likely]
    if len(lost) > MANY_HEADINGS:
        message = f"The workbook, recognised as the edition of {table.edition.name}, lacks {len(lost)} of its columns: {listed(lost)}."
        subject = Subject(Kind.FILE, path=table.path)
        found.append(
            Found(
                subject,
                message,
                f"{len(table.edition.columns)} columns",
                f"{len(lost)} of them are not there",
                None,
                len(lost),
                tuple(lost),
            )
        )
        missing = [*likely]
    for name in missing:
        message = f"The workbook, recognised as the edition of {table.edition.name}, has no column {name}."
        if name in likely:
            message += f" {_column(table, likely[name])} may be it: its heading is {plain_text(likely[name]).strip()}."
        subject = Subject(Kind.COLUMN, path=table.path, column=name)
        found.append(Found(subject, message, f"a column {name}", "none"))
    return Checked(len(table.edition.columns), found)


def misspelt(table: Clinical) -> dict[str, str]:
    """Unknown headings that may be misspellings of columns that are missing, with these."""
    missing = [] if table.edition is None else [name for name in table.edition.columns if name not in table.known]
    near = {heading: nearest(heading, missing) for heading, name in table.columns.items() if name is None}
    return {heading: name for heading, name in near.items() if name is not None}


def _column(table: Clinical, heading: str) -> str:
    return f"Column {table.letters[heading]}" if heading in table.letters else "A column"


@rule(
    "CLN003",
    "clinical-column-unknown",
    WARNING,
    title="The workbook has an unknown or misspelt column",
    why="A column outside the published editions is undocumented, may hold what was not meant to be shared, or is a misspelt heading.",
    fix="Take the column out, correct its heading, or add it to the profile's edition and to the Data Dictionary.",
    source=DICTIONARY,
    tables=TABLES,
    spoils=Spoils(care=("sharing",)),
)
def clinical_column_unknown(context: Context) -> Checked:
    """Every heading is one of the edition's, as it is spelt there."""
    table = clinical(context)
    edition = table.edition
    likely = misspelt(table)
    otherwise = {heading: name for heading, name in table.columns.items() if name is not None and name != heading}
    found = []
    if len(otherwise) > MANY_HEADINGS:
        how = listed(list(dict.fromkeys(difference(heading, name) for heading, name in otherwise.items())))
        names = tuple(otherwise.values())
        message = f"{len(names)} headings are spelt otherwise ({how}), and are read as {listed(names)}."
        subject = Subject(Kind.FILE, path=table.path)
        found.append(Found(subject, message, "the published headings", how, None, len(names), names))
        likely |= otherwise
    for heading, name in table.columns.items():
        if heading in likely or (name == heading and (edition is None or name in edition.columns)):
            continue
        message, shown = _unknown(context, table, heading, name)
        subject = Subject(Kind.COLUMN, path=table.path, column=name or shown)
        found.append(Found(subject, message, "a column of the edition" if name is None else name, shown))
    return Checked(len(table.columns), found)


def _unknown(context: Context, table: Clinical, heading: str, name: str | None) -> tuple[str, str]:
    """What is told of a column that is none of the edition's, or headed otherwise, and of its heading."""
    known = tuple(context.profile.variables)
    shown = context.show.text(heading, known=known)
    if name == heading:
        edition = table.edition.name if table.edition else "this workbook"
        return f"The column {name} does not belong to the edition of {edition}.", shown
    if name is not None:
        how, where = difference(heading, name), _column(table, heading)
        return f"The heading of {name} is spelt otherwise: {how}. {where} is read as {name}.", plain_text(
            heading
        ).strip()
    base = re.sub(r"\[[0-9]+\]$", "", heading)
    if base != heading and base in table.columns:
        return f"The heading {context.show.text(base, known=known)} stands over two columns.", shown
    if re.fullmatch(r"\[[A-Z]{1,3}\]", heading):
        shown = f"column {heading[1:-1]}"
        return f"{capitalised(shown)} of the patient sheet has values and no heading.", shown
    twin = next((one for one in table.known if loose_heading(one) == loose_heading(heading)), None)
    if twin is not None:
        first = next(one for one, meant in table.columns.items() if meant == twin)
        return (
            f"{_column(table, heading)} is headed {twin} as well, but for case or separators; {_column(table, first)} is read as {twin}.",
            shown,
        )
    return f"The column {shown} is in no published edition of the workbook.", shown


@rule(
    "CLN008",
    "clinical-dictionary-incomplete",
    WARNING,
    title="Patient sheet and Data Dictionary do not name the same columns",
    why="A column without an entry can't be understood, and an entry without a column promises data that is not there.",
    fix="Add the entry to the Data Dictionary sheet, or take the surplus one out.",
    source=DICTIONARY,
    tables=(*TABLES, "workbook"),
    spoils=Spoils(care=("clinical-pairing",)),
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
    named = {loose_heading(name): name for name in entries}
    # The published dictionary calls the patient's column so.
    if "id" in named:
        named.setdefault(loose_heading(context.profile.patient_column), named.pop("id"))
    columns = {loose_heading(name) for name in (*table.columns, *table.known)}
    of_edition = {loose_heading(name) for name in (table.edition.columns if table.edition else ())}
    found = []
    for name in sorted(table.known):
        if loose_heading(name) not in named:
            subject = Subject(Kind.COLUMN, path=table.path, column=name)
            found.append(Found(subject, f"The Data Dictionary has no entry for {name}.", "an entry", "none"))
    for plain, name in named.items():
        if plain not in columns and plain not in of_edition:
            shown = context.show.text(name, known=tuple(context.profile.variables))
            subject = Subject(Kind.COLUMN, path=table.path, column=shown)
            message = f"The Data Dictionary has an entry {shown}, and the patient sheet no such column."
            found.append(Found(subject, message, "a column", "none"))
    return Checked(len(table.columns) + len(entries), found)
