"""What rules on metadata.csv share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Found
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rules.met._model import rows, source

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.engines.pandera_engine import Failure

TABLES = ("sources", "metadata")
DISK = (*TABLES, "files", "patients")
DOWNLOADER = "metadata.csv as the NBIA Data Retriever writes it"
UID_FORM = "a DICOM UID"


def labelled(table: pd.DataFrame) -> Iterable[tuple[Any, Any]]:
    """Labels and rows as named tuples."""
    return zip(table.index, table.itertuples(index=False), strict=True)


def each_refused(
    context: Context,
    refused: Iterable[Failure],
    columns: tuple[str, ...],
    say: Callable[[Any, list[str]], Found],
) -> Checked:
    """One finding a row that the model refuses, of all columns that it is refused for.

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
    chosen = table.loc[list(wrong)]
    return Checked(len(table), [say(row, wrong[label]) for label, row in labelled(chosen)])
