"""What rules on metadata.csv share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from crlm_qc.model.finding import MAX_EXAMPLES, Found, Kind, Subject
from crlm_qc.model.words import listed
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rules.met._model import FILE, rows, source

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.engines.pandera_engine import Failure

TABLES = ("sources", "metadata")
DISK = (*TABLES, "files", "patients")
DOWNLOADER = "metadata.csv as the NBIA Data Retriever writes it"
UID_FORM = "a DICOM UID"


def labelled(context: Context, table: pd.DataFrame) -> Iterable[tuple[Any, Any]]:
    """Labels and rows, as named tuples, of some of the rows of metadata.csv."""
    every = _named(context)
    return [(label, every[label]) for label in table.index]


@once
def _named(context: Context) -> dict[Any, Any]:
    """Every row of metadata.csv as a named tuple, by its label: to make them takes longer than to look at them."""
    table = context["metadata"]
    return dict(zip(table.index, table.itertuples(index=False), strict=True))


def each_refused(
    context: Context,
    refused: Iterable[Failure],
    columns: tuple[str, ...],
    say: Callable[[Any, list[str]], Found | Told],
) -> Checked:
    """One finding a row that the model refuses, of all columns that it is refused for; rows that fail alike are told once.

    Parameters
    ----------
    context : Context
        The audit's context.
    refused : iterable of Failure
        What fails the checks of the rule.
    columns : tuple of str
        Columns that they look at.
    say : callable
        Makes the finding of the row and of the columns that it is refused for.

    Raises
    ------
    Skip
        The file has none of the columns.
    """
    given = source(context)
    present = [column for column in columns if given.has(column)]
    table = rows(context, *(columns[:1] if not present else present[:1]))
    wrong: dict[Any, list[str]] = {}
    for failure in refused:
        wrong.setdefault(failure.row, []).append(failure.column or "")
    told = [say(row, wrong[label]) for label, row in labelled(context, table.loc[list(wrong)])] if wrong else []
    return Checked(len(table), gathered(context, told, len(table)))


class Told(NamedTuple):
    """A finding on a row, and what it says without the values of that row."""

    found: Found
    message: str
    observed: str = ""
    expected: str = ""


def gathered(
    context: Context,
    told: Iterable[Found | Told],
    examined: int,
    where: str = f"rows of {FILE}",
    path: str | None = None,
) -> list[Found]:
    """Findings on rows, those of one cause as one: of most rows, or of more than can be read one by one.

    Parameters
    ----------
    context : Context
        The audit's context.
    told : iterable of Found or Told
        A finding a row; those that say the same without their line, and expect and observe the same, are alike.
    examined : int
        Rows that were looked at.
    where : str
        What the rows are.
    path : str, optional
        The file that they stand in, as it may be shown; by default metadata.csv.
    """
    path = path or context.show.path(source(context).path)
    items = [one if isinstance(one, Told) else Told(one, _without_line(one), one.observed) for one in told]
    groups = _grouped(items, lambda one: (one.message, one.observed, one.found.severity))
    common = [len(group) > MOST or (len(group) >= _SEVERAL and 2 * len(group) > examined) for group in groups]
    if sum(len(group) if not is_common else 1 for group, is_common in zip(groups, common, strict=True)) > MOST:
        groups = _grouped(items, lambda one: (one.message, one.found.severity))
        if len(groups) > MOST:
            groups = _grouped(items, lambda one: one.found.severity)
        common = [len(group) > 1 for group in groups]
    found = []
    for group, is_common in zip(groups, common, strict=True):
        found += [_joined(group, examined, where, path)] if is_common else [one.found for one in group]
    return found


MOST = 12
"""Findings of one cause that can be read one by one."""
_SEVERAL = 4
"""Rows that are enough to speak of most rows."""


def _grouped(items: Iterable[Told], key: Callable[[Told], Any]) -> list[list[Told]]:
    groups: dict[Any, list[Told]] = {}
    for one in items:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _without_line(found: Found) -> str:
    return re.sub("^Line [0-9]+ of [^:]*: ", "", found.message)


def _joined(group: Sequence[Told], examined: int, where: str, path: str) -> Found:
    first, n = group[0].found, len(group)
    messages = list(dict.fromkeys(one.message for one in group))
    observed = list(dict.fromkeys(one.observed for one in group if one.observed))
    expected = {one.found.expected for one in group}
    subjects = [one.found.subject for one in group]
    share = f"All {n:,}" if n == examined else f"{n:,} of {examined:,}"
    return Found(
        Subject(Kind.COLUMN, path=path, column=first.subject.column),
        f"{share} {where}: {listed(messages, 2, ' or ')}",
        first.expected if len(expected) == 1 else group[0].expected,
        listed(observed, 3, "; "),
        patient=None,
        count=n,
        examples=tuple(f"line {one.row}" if one.row else str(one.column) for one in subjects[:MAX_EXAMPLES]),
        severity=first.severity,
    )
