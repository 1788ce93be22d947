"""Rules about the .tcia manifest, the list of series that a download is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.forms import is_uid
from crlm_qc.model.finding import MAX_EXAMPLES, RELEASE, Found, Kind, Subject
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.tables import NOT_FETCHED
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.met._model import FILE, file_name
from crlm_qc.rules.met._model import rows as metadata_rows
from crlm_qc.rules.met._shared import Told, gathered
from crlm_qc.subjects.disk import disk
from crlm_qc.subjects.ledger import State
from crlm_qc.subjects.ledger import told as told_as
from crlm_qc.subjects.words import text, whole

if TYPE_CHECKING:
    import pandas as pd

NBIA = "manifest as NBIA writes it for its Data Retriever"
NAME = "The manifest"


def _entries(context: Context) -> pd.DataFrame:
    """The manifest's list.

    Raises
    ------
    Skip
        There is no manifest, or no list in it.
    """
    used = _source(context)
    if text(used["problem"]) is not None:
        raise Skip("the manifest could not be read")
    table: pd.DataFrame = context["manifest"]
    return table


@once
def _source(context: Context) -> pd.Series:
    sources = context["sources"]
    found = sources[(sources["source"] == "manifest") & sources["used"]]
    if found.empty:
        raise Skip("no .tcia manifest was found")
    row: pd.Series = found.iloc[0]
    return row


def _gathered(context: Context, told: list[Told], examined: int, where: str) -> list[Found]:
    """Findings on lines, those of most lines, or of more than can be read one by one, as one."""
    return gathered(context, told, examined, where, context.show.path(_source(context)["path"]))


def _line(context: Context, line: int, uid: str | None = None) -> Subject:
    return Subject(Kind.ROW, uid=None if uid is None else context.show.uid(uid), row=line)


@once
def _joined(context: Context) -> bool:
    """Whether several manifests are read as one."""
    return bool(_several(context)["used"].fillna(value=False).sum() > 1)


def _name(context: Context, path: object) -> str:
    """What a manifest is called in messages: its path, where several are read as one."""
    return context.show.path(path) if _joined(context) and isinstance(path, str) else "the manifest"


def _several(context: Context) -> Any:
    """The manifests of the collection; those of another are REL007's."""
    sources = context["sources"]
    found = sources[sources["source"] == "manifest"]
    return found[found["relation"].fillna("") != "other-collection"]


@rule(
    "MAN006",
    "manifest-several",
    WARNING,
    title="There are several manifests",
    why="Two editions of the list promise two different releases; who takes the older one downloads less, or what was withdrawn.",
    fix="Keep the manifest of the release, and take copies and older ones out. The parts of a split download belong together.",
    source=NBIA,
    tables=("sources",),
    spoils=Spoils(care=("completeness",)),
)
def several(context: Context) -> Checked:
    """The manifests that were found. A warning where one is another edition; copies and parts of one list are a note."""
    found = _several(context)
    if found.empty:
        raise Skip("no .tcia manifest was found")
    if len(found) == 1:
        return Checked(1)
    used = found["used"].fillna(value=False).astype(bool)
    joined = used.sum() > 1
    shown = [context.show.path(path) for path in found["path"]]
    read = listed([name for name, one in zip(shown, used, strict=True) if one])
    chosen = f"{read} are read as one" if joined else f"{read} is read, which fits the series on disk best"
    words = [_besides(row, name) for row, name in zip(found.to_dict("records"), shown, strict=True) if not row["used"]]
    message = f"There are {len(found)} manifests: {'; '.join([chosen, *words])}."
    mild = INFO if found.loc[~used, "relation"].isin(["copy"]).all() else None
    return Checked(len(found), [Found(RELEASE, message, "one", str(len(found)), None, len(found), tuple(shown), mild)])


def _besides(row: Mapping[str, Any], name: str) -> str:
    if text(row["problem"]) is not None:
        return f"{name} can't be read"
    n_series = whole(row["n_rows"])
    lists = "" if n_series is None else f", and lists {n_series} series"
    return {
        "copy": f"{name} is byte for byte a copy",
        "repeat": f"{name} has nothing of its own{lists}",
    }.get(str(row["relation"]), f"{name} is another edition{lists}")


@rule(
    "MAN001",
    "manifest-unreadable",
    ERROR,
    title="The manifest can't be read, or has no ListOfSeriesToDownload",
    why="The downloader refuses it, so nobody can fetch the release with it.",
    fix="Export the manifest from the archive again.",
    source=NBIA,
    tables=("sources",),
    spoils=Spoils(care=("completeness",)),
)
def manifest_unreadable(context: Context) -> Checked:
    """The file that the audit took for the manifest."""
    used = _source(context)
    if text(used["problem"]) is None:
        return Checked(1)
    if text(used["problem"]) == NOT_FETCHED:
        raise Skip("the manifest was not fetched")
    detail, line = text(used["detail"]) or "it can't be read", whole(used["line"])
    where = "" if line is None else f" (line {line})"
    return Checked(
        1,
        [
            Found(
                Subject(Kind.FILE, path=context.show.path(used["path"]), row=line),
                f"{NAME} can't be used: {detail}{where}.",
                "ListOfSeriesToDownload= and one Series Instance UID a line",
                detail,
            )
        ],
    )


@rule(
    "MAN002",
    "manifest-entry-invalid",
    ERROR,
    title="An entry of the manifest is no valid UID, or more than one",
    why="The archive knows no such series: the download ends with an error, or without the series that was meant.",
    fix="Replace the line with the Series Instance UID that was meant, or take it out.",
    source="DICOM PS3.5 9.1 (UID encoding rules); " + NBIA,
    tables=("sources", "manifest", "list_notes"),
    spoils=Spoils(care=("completeness",)),
)
def entry_invalid(context: Context) -> Checked:
    """Every line of the list; UIDs that marks stand round are compared without these all the same."""
    table = _entries(context)
    told = [
        Told(
            Found(
                _line(context, int(line)),
                f"Line {int(line)} of {_name(context, path)} is no valid UID.",
                "a Series Instance UID",
                context.show.uid(entry),
            ),
            "they are no valid UIDs.",
        )
        for line, entry, path in table[["line", "entry", "path"]].itertuples(index=False)
        if not is_uid(entry)
    ]
    found = _gathered(context, told, len(table), "entries of the manifest")
    return Checked(len(table), [*_marked(context), *found])


def _marked(context: Context) -> list[Found]:
    """What stands round the UIDs of the list, as one finding."""
    notes = context["list_notes"]
    notes = notes[notes["source"] == "manifest"]
    if notes.empty:
        return []
    marks, lines = list(dict.fromkeys(notes["detail"])), list(dict.fromkeys(map(int, notes["row"])))
    what = listed(marks)
    return [
        Found(
            Subject(Kind.FILE, path=context.show.path(notes["path"].iloc[0]), row=lines[0]),
            f"{plural(len(lines), 'line')} of the manifest {agree(len(lines), 'holds', 'hold')} more than a UID: {what}.",
            "one Series Instance UID a line, and nothing else",
            what,
            count=len(lines),
            examples=tuple(f"line {line}" for line in lines[:MAX_EXAMPLES]),
        )
    ]


@rule(
    "MAN003",
    "manifest-entry-twice",
    WARNING,
    title="The manifest lists a series twice",
    why="It is downloaded twice, and counts of series come out too high.",
    fix="Take the surplus line out.",
    source=NBIA,
    tables=("sources", "manifest"),
    spoils=NOTHING,
)
def entry_twice(context: Context) -> Checked:
    """Every valid UID of the list."""
    table = _entries(context)
    told = []
    for entry, found in table[table["entry"].duplicated(keep=False)].groupby("entry", sort=False):
        if not is_uid(entry):
            continue
        lines = [str(int(line)) for line in found["line"]]
        one = Found(
            _line(context, int(lines[1]), str(entry)),
            f"The manifest lists this series in lines {listed(lines)}.",
            "one line",
            plural(len(lines), "line"),
            count=len(lines),
            examples=tuple(f"line {line}" for line in lines),
        )
        told.append(Told(one, "the manifest lists them more than once.", one.observed))
    examined = table["entry"].nunique()
    return Checked(examined, _gathered(context, told, examined, "series of the manifest"))


@rule(
    "MAN004",
    "manifest-series-unknown",
    ERROR,
    title="A series of the manifest is not in metadata.csv",
    why="The download brings a series that the list does not describe, or the list lost it.",
    fix="Add the series to metadata.csv, or take it out of the manifest.",
    source=NBIA + "; the downloader writes a row of metadata.csv for each entry",
    tables=("sources", "manifest", "metadata", "files"),
    spoils=Spoils(care=("completeness",)),
)
def series_unknown(context: Context) -> Checked:
    """Every valid UID of the list; for part of a release, those that are on disk."""
    table, metadata = _entries(context), metadata_rows(context, "series_uid", unsure=True)
    known = set(metadata["series_uid"].dropna())
    entries = table[[is_uid(entry) for entry in table["entry"]]].drop_duplicates("entry")
    if context.settings.partial:
        entries = entries[entries["entry"].isin(list(disk(context).series))]
    unknown = entries[~entries["entry"].isin(known)]
    # As many rows without a valid Series UID (MET003) may be these series.
    if len(unknown) <= sum(not is_uid(uid) for uid in metadata["series_uid"]):
        unknown = unknown.iloc[:0]
    told = [
        Told(
            Found(
                _line(context, int(line), entry),
                f"Line {int(line)} of {_name(context, path)} names a series that {FILE} does not have.",
                f"a row in {FILE}",
                "none",
            ),
            f"{FILE} does not have these series.",
        )
        for line, entry, path in unknown[["line", "entry", "path"]].itertuples(index=False)
    ]
    return Checked(len(entries), _gathered(context, told, len(entries), "series of the manifest"))


@rule(
    "MAN005",
    "manifest-series-missing",
    ERROR,
    title="A series of metadata.csv is not in the manifest",
    why="Who downloads the release with this manifest does not get the series.",
    fix="Add the Series UID to the manifest, or take the row out of metadata.csv.",
    source=NBIA + "; the downloader writes a row of metadata.csv for each entry",
    tables=("sources", "manifest", "metadata"),
    spoils=Spoils(care=("completeness",)),
)
def series_missing(context: Context) -> Checked:
    """Every valid Series UID of metadata.csv."""
    table, metadata = _entries(context), metadata_rows(context, "series_uid", unsure=True)
    series = metadata[[is_uid(uid) for uid in metadata["series_uid"]]].drop_duplicates("series_uid")
    missing = series[~series["series_uid"].isin(set(table["entry"]))]
    # As many lines that are no valid UID (MAN002) may be these series.
    if len(missing) <= sum(not is_uid(entry) for entry in table["entry"]):
        missing = missing.iloc[:0]
    told = [
        Told(
            Found(
                _line(context, int(line), uid),
                f"The manifest does not list the series of line {int(line)} of {file_name(context, path)}.",
                "an entry in the manifest",
                "none",
                patient=text(patient),
            ),
            "the manifest does not list them.",
        )
        for line, uid, patient, path in missing[["row", "series_uid", "patient", "path"]].itertuples(index=False)
    ]
    return Checked(len(series), _gathered(context, told, len(series), f"series of {FILE}"))


@rule(
    "MAN008",
    "manifest-series-not-on-disk",
    ERROR,
    title="Series of the manifest are not on disk",
    why="The download ended early, before its metadata.csv was written: nothing else tells that some are missing. Of a part of the release it is a note.",
    fix="Fetch them: crlm-qc fetch-list writes a manifest of what is to be fetched. Is a part meant to be audited, say so: --subset.",
    source=NBIA,
    tables=("sources", "manifest", "metadata", "files"),
    spoils=Spoils(out=("completeness",)),
)
def series_not_on_disk(context: Context) -> Checked:
    """Every valid UID of the list, where metadata.csv does not tell of it (MET016, MAN004); of published series LED001, LED005 and LED007 tell, and of a part of the release none of patients who are known not to be there."""
    table, partial = _entries(context), context.settings.partial
    if context.settings.patients:
        raise Skip("only some patients are audited")
    found = disk(context)
    entries = [entry for entry in dict.fromkeys(table["entry"]) if is_uid(entry)]
    absent = [entry for entry in entries if entry not in found.series]
    elsewhere = frozenset(context.profile.ledger) if partial else told_as(context, State.ABSENT, State.REPLACED)
    if _metadata_tells(context):
        elsewhere = frozenset(absent)
    untold = [entry for entry in absent if entry not in elsewhere]
    # As many folders whose files can't be read may be these series.
    if len(untold) <= sum(bool(folder.unknown and not folder.uids) for folder in found.folders.values()):
        return Checked(len(entries))
    message = (
        f"{len(entries) - len(absent):,} of {plural(len(entries), 'series', 'series')} of the manifest "
        f"{are(len(entries) - len(absent))} on disk; {len(untold):,} {are(len(untold))} not."
    )
    examples = tuple(context.show.uid(entry) for entry in untold)
    expected, observed = plural(len(entries), "series", "series"), f"{len(entries) - len(absent):,}"
    level = INFO if partial else None
    found_of = Found(RELEASE, message, expected, observed, None, len(untold), examples, severity=level)
    return Checked(len(entries), [found_of])


def _metadata_tells(context: Context) -> bool:
    """Whether there is a metadata.csv to tell which series there should be."""
    try:
        metadata_rows(context, "series_uid")
    except Skip:
        return False
    return True
