"""Whether metadata.csv can be parsed, and what had to be put right for that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import MAX_EXAMPLES, Found, Kind, Subject
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.tables import NOT_FETCHED
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.met._model import FILE, source
from crlm_qc.rules.met._shared import DOWNLOADER

if TYPE_CHECKING:
    import pandas as pd

NOTES = ("sources", "metadata", "list_notes")


@rule(
    "MET020",
    "metadata-not-parsed",
    ERROR,
    title="metadata.csv can't be parsed",
    why="Half a list would make what it lacks look missing, so nothing in it was compared with the release.",
    fix="Save it as CSV with commas, in UTF-8, each row with as many fields as the heading; mend the line that is named.",
    source="RFC 4180; " + DOWNLOADER,
    tables=("sources",),
    spoils=Spoils(care=("completeness",), everyone=True),
)
def not_parsed(context: Context) -> Checked:
    """The file that the audit took for metadata.csv."""
    given = source(context)
    if given.problem is None:
        return Checked(1)
    if given.problem == NOT_FETCHED:
        raise Skip(f"{FILE} was not fetched")
    where = "" if given.line is None else f" (line {given.line})"
    expected = "CSV in UTF-8 with commas and the downloader's columns"
    table = context["sources"]
    parts = table[(table["source"] == "metadata") & (table["relation"] == "part")]
    rest = parts[parts["problem"].notna() & (parts["problem"] != NOT_FETCHED) & (parts["path"] != given.path)]
    more = f" Nor can {listed([context.show.path(path) for path in rest['path']])}." if len(rest) else ""
    found = Found(
        Subject(Kind.FILE, path=context.show.path(given.path), row=given.line),
        f"{FILE if parts.empty else context.show.path(given.path)} can't be parsed: {given.detail}{where}.{more}",
        expected,
        given.detail,
    )
    return Checked(1, [found])


def _notes(context: Context, *kinds: str) -> pd.DataFrame:
    """What was put right or passed over in metadata.csv, of some kinds.

    Raises
    ------
    Skip
        The file is not there, or was not parsed.
    """
    if source(context).problem is not None:
        raise Skip(f"{FILE} could not be read")
    notes = context["list_notes"]
    found: pd.DataFrame = notes[(notes["source"] == "metadata") & notes["kind"].isin(kinds)]
    return found


def _told(
    context: Context, notes: pd.DataFrame, message: str, expected: str, observed: str, column: str | None = None
) -> Found:
    """A finding on lines of the file that share a cause."""
    lines = [int(line) for line in notes["row"]]
    where = f"Line {lines[0]}" if len(set(lines)) == 1 else f"{plural(len(set(lines)), 'line')}"
    return Found(
        Subject(Kind.FILE, path=context.show.path(notes["path"].iloc[0]), row=lines[0], column=column),
        f"{where} of {FILE}: {message}",
        expected,
        observed,
        count=len(lines),
        examples=tuple(f"line {line}" for line in dict.fromkeys(lines))[:MAX_EXAMPLES],
    )


def _by_detail(notes: pd.DataFrame) -> Any:
    """Notes by column and cause; of those of no column the column is empty."""
    return notes.assign(column=notes["column"].fillna("")).groupby(["column", "detail"], sort=False)


@rule(
    "MET022",
    "metadata-heading-again",
    ERROR,
    title="The heading stands again inside metadata.csv",
    why="Two tables were joined, as a resumed download does. Programs take the line for a series, and read columns of numbers as text.",
    fix="Take the line out, and the rows below it that stand above it, too (MET004).",
    source=DOWNLOADER + ": the heading stands in the first line alone",
    tables=NOTES,
    spoils=NOTHING,
)
def heading_again(context: Context) -> Checked:
    """Every line; such a line is no row, and none of its cells is judged."""
    again = _notes(context, "heading-again")
    examined = len(context["metadata"]) + len(again)
    if again.empty:
        return Checked(examined)
    lines = [str(int(line)) for line in again["row"]]
    joined = "two tables were" if len(lines) == 1 else f"{len(lines) + 1} tables were"
    where = f"in line {lines[0]}" if len(lines) == 1 else f"in lines {listed(lines)}"
    found = _told(context, again, "", "one heading, in the first line", f"another {where}")
    message = f"The heading of {FILE} stands again {where}: {joined} joined."
    return Checked(examined, [replace(found, message=message)])


@rule(
    "MET023",
    "metadata-row-fields",
    ERROR,
    title="A row has more or fewer fields than the heading",
    why="A comma that no quotes enclose parts a value in two, and every value behind it stands in the wrong column for whoever reads the file.",
    fix="Enclose values that hold a comma in double quotes, or take the comma out; write sizes with a decimal point.",
    source="RFC 4180 section 2; " + DOWNLOADER,
    tables=NOTES,
    spoils=Spoils(care=("completeness",)),
)
def row_fields(context: Context) -> Checked:
    """Every row. It is put right where its fields can be told apart in one way, and judged as that; of others what is sure is used."""
    odd = _notes(context, "put-right", "lost")
    n, findings = len(context["metadata"]), []
    wanted = "as many fields as headings"
    for (column, cause), notes in _by_detail(odd[odd["kind"] == "put-right"]):
        right = "It was" if len(notes) == 1 else "They were"
        message = f"{cause}. {right} put right, and judged so."
        findings.append(_told(context, notes, message, wanted, cause, column or None))
    for (_, cause), notes in _by_detail(odd[odd["kind"] == "lost"]):
        message = f"{cause}, and the fields can't be told apart. Its values were not judged."
        findings.append(_told(context, notes, message, wanted, cause))
    return Checked(n, findings)


@rule(
    "MET024",
    "metadata-lines-before-heading",
    WARNING,
    title="Lines stand before the heading of metadata.csv",
    why="Programs take the first line for the heading, and find none of the columns.",
    fix="Take the lines out, so that the heading is the first line.",
    source=DOWNLOADER + ": the heading is the first line",
    tables=NOTES,
    spoils=NOTHING,
)
def lines_before_heading(context: Context) -> Checked:
    """The lines above the heading: `sep=`, which Excel reads, comments, and others."""
    before = _notes(context, "before-heading")
    findings = []
    if not before.empty:
        kinds = list(dict.fromkeys(before["detail"]))
        message = f"{listed(kinds)} {are(len(before))} before the heading."
        findings = [_told(context, before, message, "the heading in line 1", listed(kinds))]
    return Checked(1, findings)


@rule(
    "MET025",
    "metadata-characters-not-seen",
    WARNING,
    title="A value of metadata.csv holds characters that can't be seen, or look like others",
    why="It looks like the right value and is not equal to it, so that programs that look the series or the patient up find nothing.",
    fix="Type the values anew, or copy them from the DICOM headers.",
    source="DICOM PS3.5 6.1 (character repertoires), 9.1 (UIDs); " + DOWNLOADER,
    tables=NOTES,
    spoils=Spoils(care=("completeness",)),
)
def characters_not_seen(context: Context) -> Checked:
    """UIDs, IDs, codes, dates and numbers of every row; the value was read as it looks."""
    notes = _notes(context, "invisible")
    findings = []
    for detail, same in notes.groupby("detail", sort=False):
        columns = list(dict.fromkeys(same["column"]))
        message = f"{listed(columns, 4)} {agree(len(columns), 'holds', 'hold')} what can't be seen or looks like another character ({detail}), and {agree(len(columns), 'was', 'were')} read as it looks."
        findings.append(_told(context, same, message, "characters that can be seen", str(detail), columns[0]))
    return Checked(len(context["metadata"]), findings)
