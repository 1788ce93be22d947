"""Columns of the patient sheet that are out of step with the others: sorted alone, or moved up or down."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rules.cln._cells import MANY_IN_COLUMN
from crlm_qc.rules.cln._relations import RELATIONS, rows_that_break
from crlm_qc.subjects.workbook import Clinical, clinical

if TYPE_CHECKING:
    import pandas as pd

MOST_MOVED: Final = 5
"""Rows that values are tried to have been moved by."""
EXPLAINED: Final = 0.1
"""Part of the contradictions that may be left where values are moved back."""
_FEWEST_ROWS: Final = 5
"""Rows beyond which contradictions with one column are many in a small sheet; a quarter of its rows, if that is more."""
_FEWEST_VALUES: Final = 10
"""Distinct values of a column without relations whose order tells something, in twice as many rows."""


@dataclass(frozen=True)
class OutOfStep:
    """A column whose values do not belong to the rows that they stand in."""

    column: str
    how: str
    """What was seen of it, as a sentence."""
    rows: Sequence[int]
    """Rows of the sheet that contradict it; none where it is its order alone that tells."""


@once
def out_of_step(context: Context) -> OutOfStep | None:
    """The one column that all contradictions which many rows have are with, if there is one."""
    table = clinical(context)
    fewest = min(MANY_IN_COLUMN, max(_FEWEST_ROWS, len(table.wide) // 4))
    many = {
        relation: rows
        for broken in rows_that_break(context).values()
        for relation, rows in broken.items()
        if len(rows) > fewest
    }
    if not many:
        return None
    common = sorted(set.intersection(*(set(relation.columns) for relation in many)))
    if not common:
        return None
    rows = sorted({row for broken in many.values() for row in broken})
    ordered = [column for column in common if _in_order(_values(table, column))]
    if len(ordered) == 1:
        return OutOfStep(
            ordered[0], "Its values stand in order from the first row to the last: it was sorted alone", rows
        )
    moved = _moved(context, table, common, rows[0])
    if moved is not None:
        return OutOfStep(*moved, rows)
    if len(common) == 1 and len(many) > 1:
        return OutOfStep(common[0], "It may have been sorted or moved alone, or be coded the other way round", rows)
    return None


def sorted_alone(context: Context) -> list[str]:
    """Columns of many values that no other column depends on, whose values stand in order; so do the patients."""
    table = clinical(context)
    patients = table.patients.dropna()
    if len(patients) < 2 * _FEWEST_VALUES or not patients.is_monotonic_increasing:
        return []
    related = {name for broken in rows_that_break(context).values() for relation in broken for name in relation.columns}
    columns = [_values(table, name) for name in sorted(table.known - related) if name in table.wide]
    return [str(one.name) for one in columns if one.nunique() >= _FEWEST_VALUES and _in_order(one)]


def _values(table: Clinical, column: str) -> pd.Series[float]:
    """Values of a column in the order of the rows, with the code for a missing value, which is sorted too."""
    import pandas as pd

    mine = (table.cells["variable"] == column).to_numpy()
    values = pd.Series(table.cells["value"].to_numpy()[mine], table.cells["row"].to_numpy()[mine], name=column)
    return values.dropna().sort_index()


def _in_order(values: pd.Series[float]) -> bool:
    return len(set(values)) > 1 and (values.is_monotonic_increasing or values.is_monotonic_decreasing)


def _moved(context: Context, table: Clinical, columns: Sequence[str], first: int) -> tuple[str, str] | None:
    """The column whose values from a row on fit where they are moved back, and how they are moved, in words."""
    before = _contradictions(context, table, table.wide)
    start = list(table.wide.index).index(first)
    tried = []
    for column, by, up in itertools.product(columns, range(1, MOST_MOVED + 1), (True, False)):
        wide = table.wide.copy()
        wide.iloc[start:, list(wide).index(column)] = wide[column].iloc[start:].shift(by if up else -by)
        # Cells that were deleted leave blanks at the end, cells that were put in are blank themselves.
        blank = up and bool(table.wide[column].iloc[-by:].isna().all() and not table.missing[column].iloc[-by:].any())
        tried.append((_contradictions(context, table, wide), not blank, by, column, up))
    tried.sort()
    left, *_, column, up = tried[0]
    by = tried[0][2]
    if left > EXPLAINED * before or (len(tried) > 1 and tried[1][:3] == tried[0][:3]):
        return None
    word, neighbour = ("up", "below") if up else ("down", "above")
    rows = plural(by, "row")
    return (
        column,
        f"From about row {first} on its values stand {rows} too far {word}: they fit the patients {rows} {neighbour}",
    )


def _contradictions(context: Context, table: Clinical, wide: pd.DataFrame) -> int:
    return sum(
        int((wide[list(one.columns)].notna().all(axis=1) & ~one.holds(wide, context.tolerances)).sum())
        for one in RELATIONS
        if set(one.columns) <= table.known
    )
