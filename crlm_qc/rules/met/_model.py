"""The model of metadata.csv, and what its rules share.

A check looks at one row's own values; it is named by the code of its rule. A value that one check refuses is left alone
by the others, so that a wrong cell is told once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.forms import is_uid
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.series_lists import Headings, read_headings
from crlm_qc.engines import pandera_engine
from crlm_qc.engines.pandera_engine import Check, Column, Model
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.tables import TABLES
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.words import text, whole

if TYPE_CHECKING:
    import pandas as pd

FILE = "metadata.csv"
HEADINGS = {column.name: column.source for column in TABLES["metadata"].columns if column.source}
"""Columns of the table to the headings of the file."""


@dataclass(frozen=True)
class Source:
    """The metadata.csv that was read."""

    path: str
    headings: Headings | None
    """None if the file gave none."""
    problem: str | None
    detail: str
    line: int | None

    @property
    def columns(self) -> frozenset[str]:
        """Headings that the downloader writes, of those of the file."""
        return frozenset(filter(None, self.headings.known)) if self.headings else frozenset()

    def has(self, column: str) -> bool:
        """Whether the file has the heading of a column of the table."""
        return self.headings is not None and HEADINGS[column] in self.headings.known


def source(context: Context) -> Source:
    """The metadata.csv that was read, whether or not it could be parsed.

    Raises
    ------
    Skip
        There is none.
    """
    return sources(context)[0]


@once
def sources(context: Context) -> list[Source]:
    """Those that are read as one, of which the first has the most columns.

    Raises
    ------
    Skip
        There is none.
    """
    found = context["sources"]
    found = found[(found["source"] == "metadata") & found["used"]]
    if found.empty:
        raise Skip(f"{FILE} was not found")
    read = [_source(context, row) for _, row in found.iterrows()]
    return sorted(read, key=lambda one: -len(one.columns))


def _source(context: Context, row: pd.Series) -> Source:
    columns, line = row["columns"], row["line"]
    return Source(
        path=str(row["path"]),
        headings=read_headings(json.loads(columns), context.profile.metadata_columns)
        if isinstance(columns, str)
        else None,
        problem=text(row["problem"]),
        detail=text(row["detail"]) or "",
        line=whole(line),
    )


def rows(context: Context, *needed: str, unsure: bool = False) -> pd.DataFrame:
    """The rows of metadata.csv.

    Parameters
    ----------
    context : Context
        The audit's context.
    *needed : str
        Columns of the table without which the rule has nothing to look at.
    unsure : bool
        Whether rows whose fields could not be told apart (MET023) are among them: a rule that asks who stands in the list
        needs them, one that judges values does not.

    Raises
    ------
    Skip
        The file is not there, was not parsed, or lacks a column.
    """
    given = source(context)
    if given.problem is not None:
        raise Skip(f"{FILE} could not be read")
    for column in needed:
        if not given.has(column):
            raise Skip(f"{FILE} has no column {HEADINGS[column]}")
    table: pd.DataFrame = context["metadata"]
    return table if unsure else _sure(context)


@once
def _sure(context: Context) -> pd.DataFrame:
    """The rows whose fields could be told apart; no rule changes them."""
    table = context["metadata"]
    found: pd.DataFrame = table[~table["unsure"].fillna(value=False).astype(bool)]
    return found


@once
def failures(context: Context) -> dict[str, list[pandera_engine.Failure]]:
    """Failures of the model by code; those of columns that the file lacks are none."""
    table, given = rows(context), source(context)
    present = frozenset(column for column in HEADINGS if given.has(column))
    found = pandera_engine.failures(model(context.profile, present), table)
    return {code: found.get(code, []) for code in pandera_engine.codes(model(context.profile))}


def failed(context: Context, *codes: str) -> frozenset[int]:
    """Labels of the rows that fail one of the codes."""
    found = failures(context)
    return frozenset(failure.row for code in codes for failure in found[code])


def model(profile: Profile, present: Collection[str] = tuple(HEADINGS)) -> Model:
    """The model of the table `metadata`.

    Parameters
    ----------
    profile : Profile
        The collection's profile.
    present : collection of str
        Columns of the table that the file has; the others are not checked.

    Returns
    -------
    Model
        Every check is named by the code of its rule and gives a boolean a row.
    """

    def check(code: str, test: Callable[[Any], pd.Series]) -> Check:
        return Check(code, test, missing=True)

    def each(test: Callable[[Any], bool]) -> Callable[[pd.Series], pd.Series]:
        return lambda values: values.map(test, na_action=None).astype(bool)

    valid_uid = each(is_uid)
    checks = {
        "series_uid": [check("MET003", valid_uid), check("MET004", _once)],
        "study_uid": [check("MET003", valid_uid)],
        "collection": [check("MET005", lambda values: values == profile.name)],
        "subject_id": [check("MET006", each(lambda value: isinstance(value, str) and profile.is_patient_id(value)))],
        "modality": [check("MET007", lambda values: values.isin(list(profile.modalities)))],
    }
    # Of these the reader has put the parsed value into a column of its own.
    parsed = {
        "number_of_images": ("images", check("MET009", lambda values: values.fillna(0) > 0)),
        "file_size": ("size_decimal", check("MET010", lambda values: values.notna())),
        "study_date": ("date", check("MET013", lambda values: values.notna())),
    }
    columns = {name: Column(tuple(listed), nullable=True) for name, listed in checks.items() if name in present}
    columns |= {name: Column((listed,), nullable=True) for found, (name, listed) in parsed.items() if found in present}
    across = []
    if "modality" in present and {"sop_class_uid", "sop_class_name"} & set(present):
        across.append(check("MET008", lambda table: ~_contradicts(table, profile, present)))
    if "modality" in present and "number_of_images" in present:
        across.append(check("MET009", lambda table: ~_segs_of_many(table, profile, present)))
    return Model("metadata", columns, tuple(across))


def _once(uids: pd.Series) -> pd.Series:
    # An invalid UID is told by MET003.
    return ~uids.duplicated(keep="first") | ~uids.map(is_uid, na_action=None).astype(bool)


def _contradicts(table: pd.DataFrame, profile: Profile, present: Collection[str]) -> pd.Series:
    """Rows whose SOP class is not of their Modality; a Modality that is unknown is told by MET007."""
    import pandas as pd

    def wrong(modality: object, uid: object, name: object) -> bool:
        classes = profile.modalities.get(modality) if isinstance(modality, str) else None
        if classes is None:
            return False
        return bool(sop_class_columns(classes, uid, name, present))

    found = map(wrong, table["modality"], table["sop_class_uid"], table["sop_class_name"])
    return pd.Series(list(found), index=table.index, dtype=bool)


def sop_class_columns(classes: Any, uid: object, name: object, present: Collection[str]) -> list[str]:
    """Columns that do not fit the SOP classes of a modality."""
    wrong = []
    if "sop_class_uid" in present and uid not in classes:
        wrong.append("sop_class_uid")
    names = [classes[uid]] if uid in classes else list(classes.values())
    if "sop_class_name" in present and name not in names:
        wrong.append("sop_class_name")
    return wrong


def _segs_of_many(table: pd.DataFrame, profile: Profile, present: Collection[str]) -> pd.Series:
    """Rows of a segmentation with more than one image; where Modality itself is in doubt, MET008 speaks."""
    images = table["images"].fillna(1)
    return (table["modality"] == "SEG") & (images > 1) & ~_contradicts(table, profile, present)


@once
def _are_several(context: Context) -> bool:
    sources = context["sources"]
    return bool(((sources["source"] == "metadata") & sources["used"].fillna(value=False)).sum() > 1)


def file_name(context: Context, path: object) -> str:
    """What a table is called in messages: its path, where several are read as one."""
    return context.show.path(path) if _are_several(context) and isinstance(path, str) else FILE


def found_on_row(
    context: Context,
    row: Any,
    columns: Sequence[str],
    message: str,
    expected: str,
    observed: str,
    *,
    count: int = 1,
    examples: Iterable[str] = (),
) -> Found:
    """A finding on a row of metadata.csv.

    Parameters
    ----------
    context : Context
        The audit's context.
    row : named tuple of the table
        The row, as `DataFrame.itertuples` gives it.
    columns : sequence of str
        Columns of the table that are wrong; the subject names the first.
    message : str
        What is wrong, to follow "Line n of metadata.csv: ".
    expected, observed : str
        What should and does stand there.
    count : int
        Values or rows that share the fault.
    examples : iterable of str
        A few of them.
    """
    uid = row.series_uid if is_uid(row.series_uid) else None
    return Found(
        Subject(
            Kind.ROW,
            uid=None if uid is None else context.show.uid(uid),
            row=int(row.row),
            column=HEADINGS[columns[0]],
        ),
        f"Line {int(row.row)} of {file_name(context, getattr(row, 'path', None))}: {message}",
        expected,
        observed,
        patient=row.patient if isinstance(row.patient, str) else None,
        count=count,
        examples=tuple(examples),
    )
