"""The columns of metadata.csv."""

from __future__ import annotations

from crlm_qc.collection.invisible import plainly
from crlm_qc.collection.series_lists import NEWER, Headings, nearest, squeezed
from crlm_qc.model.finding import MAX_EXAMPLES, Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.met._model import FILE, Source, file_name, source, sources
from crlm_qc.rules.met._shared import DOWNLOADER, Told, gathered


@rule(
    "MET001",
    "metadata-column-missing",
    ERROR,
    title="metadata.csv lacks a column",
    why="Programs that read the list stop or guess, and what the column says of each series can't be checked.",
    fix="Export metadata.csv again with all of the downloader's columns.",
    source=DOWNLOADER,
    tables=("sources",),
    spoils=Spoils(care=("completeness",)),
)
def column_missing(context: Context) -> Checked:
    """Every heading that the profile lists; what the archive's list of series lacks is MET026's."""
    given = sources(context)
    if given[0].headings is None or given[0].problem not in (None, "no-rows"):
        raise Skip(f"{FILE} could not be read")
    expected = context.profile.metadata_columns
    found = [_lacking(context, one, one.headings) for one in given if one.headings and not one.headings.is_archives]
    return Checked(len(expected) * len(given), [one for several in found for one in several])


def _lacking(context: Context, given: Source, headings: Headings) -> list[Found]:
    """The columns that one of the tables lacks that are read as one."""
    expected = context.profile.metadata_columns
    meant = {heading: place for place, heading in nearest(headings, expected).items()}
    name = file_name(context, given.path)
    told = [
        Told(
            Found(
                Subject(Kind.COLUMN, path=context.show.path(given.path), column=heading),
                f"{name} has no column {heading}{_perhaps(meant.get(heading))}.",
                f"a column {heading}",
                f"{plural(len(headings.found), 'column')}, none of this name",
            ),
            f"{name} does not have them.",
            plural(len(headings.found), "column"),
            "the downloader's columns",
        )
        for heading in expected
        if heading not in headings.known
    ]
    return gathered(context, told, len(expected), "columns of the downloader", context.show.path(given.path))


def _perhaps(place: int | None) -> str:
    return "" if place is None else f"; the heading of column {place + 1} is much like it"


@rule(
    "MET002",
    "metadata-column-unknown",
    WARNING,
    title="metadata.csv has an unknown column, or one written otherwise",
    why="A column that the downloader does not write was added by hand, and may hold what must not be published.",
    fix="Take the column out, or write its heading as the downloader does.",
    source=DOWNLOADER,
    tables=("sources",),
    spoils=Spoils(care=("sharing",)),
)
def column_unknown(context: Context) -> Checked:
    """Every heading of the file, but one that may be meant for one that is missing (MET001), and those of the archive's list (MET026)."""
    given = source(context)
    if given.headings is None or given.problem not in (None, "no-rows"):
        raise Skip(f"{FILE} could not be read")
    headings, expected = given.headings, context.profile.metadata_columns
    if headings.is_archives:
        return Checked(len(headings.found))
    meant = nearest(headings, expected)
    told = []
    for place, (heading, known) in enumerate(zip(headings.found, headings.known, strict=True)):
        if heading == known or heading in NEWER or place in meant:
            continue
        shown = context.show.text(heading, known=expected)
        again = next((one for one in expected if squeezed(one) == squeezed(heading)), None)
        if known is not None:
            what, wanted, observed = f"is not written {known}{_hidden(heading)}", known, f"another spelling of {known}"
        elif again is not None:
            which = "the first" if (headings.place(again) or 0) < place else "another"
            what, wanted = f"repeats the heading {again}; {which} one is used", f"one column {again}"
            observed = f"{again} again"
        else:
            what, wanted, observed = f"is unknown: {shown}", "a column of the downloader", shown
        subject = Subject(
            Kind.COLUMN, path=context.show.path(given.path), column=known or again or f"column {place + 1}"
        )
        found = Found(subject, f"Column {place + 1} of {FILE} {what}.", wanted, observed)
        alike = (
            f"they are not written as the downloader does{_hidden(heading, 'they hold')}."
            if known
            else "they are unknown."
        )
        told.append(Told(found, alike, "", "the downloader's headings"))
    return Checked(len(headings.found), gathered(context, told, len(headings.found), f"columns of {FILE}"))


def _hidden(heading: str, holds: str = "it holds") -> str:
    """What can't be seen in a heading."""
    hidden = plainly(heading).hidden
    return f": {holds} a {' and a '.join(hidden)}" if hidden else ""


@rule(
    "MET026",
    "metadata-of-the-archives-services",
    ERROR,
    title="metadata.csv is the archive's list of series, not the downloader's",
    why="It says what the archive holds, not what was downloaded and where it lies: programs that read metadata.csv find no File Location in it, dates and sizes in another form, and other headings.",
    fix="Download the release with the NBIA Data Retriever, which writes metadata.csv, and keep this list under another name.",
    source=DOWNLOADER + "; headings of the archive's REST services and of tcia_utils",
    tables=("sources",),
    spoils=Spoils(care=("completeness",)),
)
def archives_list(context: Context) -> Checked:
    """The headings of the file; columns that mean the same are compared with the release all the same."""
    given = source(context)
    if given.headings is None or given.problem is not None:
        raise Skip(f"{FILE} could not be read")
    if not given.headings.is_archives:
        return Checked(1)
    same = [heading for heading in context.profile.metadata_columns if heading in given.headings.known]
    lacking = [heading for heading in context.profile.metadata_columns if heading not in same]
    found = Found(
        Subject(Kind.FILE, path=context.show.path(given.path)),
        f"This is the archive's list of series, not the downloader's {FILE}: "
        f"{plural(len(same), 'column')} could be read, {listed(lacking)} {are(len(lacking))} not in it.",
        "the downloader's headings",
        "headings of the archive's services",
        count=len(lacking),
        examples=tuple(lacking[:MAX_EXAMPLES]),
    )
    return Checked(1, [found])
