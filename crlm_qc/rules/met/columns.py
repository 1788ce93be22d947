"""The columns of metadata.csv, and whether it can be parsed."""

from __future__ import annotations

from crlm_qc.collection.headings import plain_heading
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.met._model import FILE, source
from crlm_qc.rules.met._shared import DOWNLOADER


@rule(
    "MET001",
    "metadata-column-missing",
    ERROR,
    title="metadata.csv lacks a column",
    why="Programs that read the list stop or guess, and what the column says of each series can't be checked.",
    fix="Export metadata.csv again with all of the downloader's columns.",
    source=DOWNLOADER,
    tables=("sources",),
)
def column_missing(context: Context) -> Checked:
    """Every heading that the profile lists."""
    given = source(context)
    if given.headings is None or given.problem not in (None, "no-rows"):
        raise Skip(f"{FILE} could not be read")
    expected = context.profile.metadata_columns
    there = {plain_heading(heading) for heading in given.headings}
    return Checked(
        len(expected),
        [
            Found(
                Subject(Kind.COLUMN, path=context.show.path(given.path), column=heading),
                f"{FILE} has no column {heading}.",
                f"a column {heading}",
                f"{plural(len(given.headings), 'column')}, none of this name",
            )
            for heading in expected
            if plain_heading(heading) not in there
        ],
    )


@rule(
    "MET002",
    "metadata-column-unknown",
    WARNING,
    title="metadata.csv has an unknown column, or one written otherwise",
    why="A column that the downloader does not write was added by hand, and may hold what must not be published.",
    fix="Take the column out, or write its heading as the downloader does.",
    source=DOWNLOADER,
    tables=("sources",),
)
def column_unknown(context: Context) -> Checked:
    """Every heading of the file."""
    given = source(context)
    if given.headings is None or given.problem not in (None, "no-rows"):
        raise Skip(f"{FILE} could not be read")
    expected = {plain_heading(heading): heading for heading in context.profile.metadata_columns}
    seen: set[str] = set()
    findings = []
    for place, heading in enumerate(given.headings, start=1):
        known = expected.get(plain_heading(heading))
        shown = context.show.text(heading, known=expected.values())
        if known is None:
            what, wanted = f"is unknown: {shown}", "a column of the downloader"
        elif plain_heading(heading) in seen:
            what, wanted = f"repeats the heading {known}; the first one is used", f"one column {known}"
        elif heading != known:
            what, wanted = f"is not written {known}", known
        else:
            seen.add(plain_heading(heading))
            continue
        seen.add(plain_heading(heading))
        findings.append(
            Found(
                Subject(Kind.COLUMN, path=context.show.path(given.path), column=known or f"column {place}"),
                f"Column {place} of {FILE} {what}.",
                wanted,
                shown if known is None else f"another spelling of {known}" if heading != known else f"{known} again",
            )
        )
    return Checked(len(given.headings), findings)


@rule(
    "MET020",
    "metadata-not-parsed",
    ERROR,
    title="metadata.csv can't be parsed",
    why="Half a list would make what it lacks look missing, so nothing in it was compared with the release.",
    fix="Save it as CSV with commas, in UTF-8, each row with as many fields as the heading; mend the line that is named.",
    source="RFC 4180; " + DOWNLOADER,
    tables=("sources",),
)
def not_parsed(context: Context) -> Checked:
    """The file that the audit took for metadata.csv."""
    given = source(context)
    if given.problem is None:
        return Checked(1)
    where = "" if given.line is None else f" (line {given.line})"
    expected = "CSV in UTF-8 with commas and the downloader's columns"
    found = Found(
        Subject(Kind.FILE, path=context.show.path(given.path), row=given.line),
        f"{FILE} can't be parsed: {given.detail}{where}.",
        expected,
        given.detail,
    )
    return Checked(1, [found])
