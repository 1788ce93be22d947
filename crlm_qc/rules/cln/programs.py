"""What else the workbook holds: programs, connections, hidden parts."""

from __future__ import annotations

from typing import Any, Final

from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.cln._cells import Words, cell_failures, found_in_cells
from crlm_qc.rules.cln._shared import TABLES
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import Clinical, clinical


@rule(
    "CLN024",
    "workbook-runs",
    ERROR,
    title="The workbook holds a formula, link or macro, or text that a spreadsheet would run",
    why="What runs can change the data, reach out to the network or harm who opens the file; and no reader agrees with another on what a formula gives.",
    fix="Paste values over formulas, break links, save as .xlsx without macros; begin no text with =, +, - or @.",
    source="OWASP, CSV injection; ECMA-376 part 1, 18.3.1.40 (formula) and 18.14 (external links)",
    tables=(*TABLES, "workbook"),
    spoils=Spoils(out=("sharing",), care=("clinical-pairing",)),
)
def workbook_runs(context: Context) -> Checked:
    """Values alone in all sheets, and no text in the patient sheet that runs when a CSV export of it is opened."""
    table = clinical(context)
    facts = context["workbook"]
    found = []
    formulas = kept(facts, facts["fact"] == "formula")
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
    run = cell_failures(context)["CLN024"]
    words = Words(
        lambda cell: f"{cell.variable} begins with a character that makes a spreadsheet run it",
        "begin with a character that makes a spreadsheet run them",
        lambda _: "no text that begins with =, +, - or @",
    )
    if run:
        found += found_in_cells(context, table, table.cells.loc[[failure.row for failure in run]], words)
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
    spoils=Spoils(care=("sharing",)),
)
def workbook_hidden(context: Context) -> Checked:
    """No hidden sheet, row or column, and no comment."""
    table = clinical(context)
    facts = context["workbook"]
    if not (facts["fact"] == "sheet").any():
        raise Skip("a CSV export has nothing hidden")
    found = []
    for fact, noun in _HIDDEN:
        rows = kept(facts, facts["fact"] == fact)
        for sheet, group in rows.groupby("sheet", sort=False):
            cells = tuple(str(cell) for cell in group["cell"] if isinstance(cell, str))
            where = "" if fact == "hidden-sheet" else f" in sheet {_sheet(context, sheet)}"
            which = f": {listed(cells)}" if cells else ""
            message = f"The workbook has {plural(len(group), noun)}{where}{which}."
            found.append(_fact(table, message, "none", plural(len(group), noun), cells, len(group)))
    return Checked(int((facts["fact"] == "sheet").sum()), found)
