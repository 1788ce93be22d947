"""Columns of an evidence table as arrays, and what their rows have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]
    Objects = npt.NDArray[np.object_]

POSITION = ("position_x", "position_y", "position_z")
ORIENTATION = ("row_x", "row_y", "row_z", "col_x", "col_y", "col_z")
SPACING = ("spacing_row", "spacing_col")


class Columns:
    """Rows of a table as arrays, made when they are asked for: text as objects with None, numbers as float64 with NaN."""

    __slots__ = ("_column", "_rows", "_taken")

    def __init__(self, column: Callable[[str], Any], rows: Any = None) -> None:
        self._column = column
        self._rows = slice(None) if rows is None else rows
        self._taken: dict[str, Any] = {}

    @classmethod
    def of(cls, table: Any, by: Sequence[str] = ()) -> Columns:
        """All rows of a table, in the order of some of its columns if they are named."""
        import numpy as np

        def column(name: str) -> Any:
            values = table[name]
            if values.dtype in ("Int64", "boolean", "float64"):
                return values.to_numpy(dtype="float64", na_value=np.nan)
            # Where nothing is missing, the table's own array does.
            return values.to_numpy(dtype=object, na_value=None) if values.hasnans else values.to_numpy(dtype=object)

        if not by:
            return cls(cache(column))
        keys = table[list(by)].reset_index(drop=True)
        rows = _run(keys.sort_values(list(by), kind="stable").index.to_numpy())
        return cls(cache(column) if isinstance(rows, slice) else column, rows)

    def take(self, rows: Any) -> Columns:
        """Some of its rows, by index."""
        return Columns(self.__getitem__, _run(rows))

    def replaced(self, columns: Mapping[str, Any]) -> Columns:
        """The same rows with other values in some columns."""
        return Columns(lambda name: columns[name] if name in columns else self[name])

    def __getitem__(self, name: str) -> Any:
        """One column."""
        if isinstance(self._rows, slice):
            # A view, of which there would be very many to keep.
            return self._column(name)[self._rows]
        if name not in self._taken:
            self._taken[name] = self._column(name)[self._rows]
        return self._taken[name]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self["patient"])

    def matrix(self, names: Sequence[str]) -> Floats:
        """Columns of numbers side by side, shape (n, len(names))."""
        import numpy as np

        return np.stack([self[name] for name in names], axis=1)

    def present(self, name: str) -> Flags:
        """Whether each row has a value in a column."""
        import numpy as np

        values = self[name]
        if values.dtype == object:
            return np.array([value is not None for value in values.tolist()], dtype=bool)
        found: Flags = ~np.isnan(values)
        return found

    def others(self, name: str, known: Collection[Any]) -> list[int]:
        """Rows with a value in a column that is none of the known ones."""
        return [
            place
            for place, value in enumerate(self[name].tolist())
            if value is not None and value == value and value not in known
        ]

    def listed(self, name: str) -> dict[str, list[int]]:
        """Rows by the words of a column that holds JSON lists of them."""
        places: dict[str, list[int]] = {}
        values = self[name].tolist()
        words = {value: json.loads(value or "[]") for value in set(values)}
        for place, value in enumerate(values):
            for word in words[value]:
                places.setdefault(word, []).append(place)
        return places

    def whole(self, name: str) -> dict[int, int]:
        """Rows with a value in a column of whole numbers, and the values."""
        return {place: int(value) for place, value in enumerate(self[name].tolist()) if value == value}

    def groups(self, name: str) -> dict[str, Ints]:
        """Indices of the rows of each value of a text column, in the order of rows; missing values left out."""
        import numpy as np

        values = self[name]
        ends = [*(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)] if len(values) else []
        runs: dict[str, list[Ints]] = {}
        for start, end in pairwise([0, *ends]):
            if values[start] is not None:
                runs.setdefault(values[start], []).append(np.arange(start, end))
        return {value: found[0] if len(found) == 1 else np.concatenate(found) for value, found in runs.items()}


class Row(Mapping[str, Any]):
    """One row of a table, whose cells are looked up when they are asked for; made by `rows_of`."""

    __slots__ = ("_cells", "_names", "_place")

    def __init__(self, names: Sequence[str], cells: Callable[[str], list[Any]], place: int) -> None:
        self._names = names
        self._cells = cells
        self._place = place

    def __getitem__(self, name: str) -> Any:
        """One cell."""
        return self._cells(name)[self._place]

    def __iter__(self) -> Iterator[str]:
        """Names of the columns."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many columns there are."""
        return len(self._names)


def kept(table: Any, rows: Any) -> Any:
    """Some rows of a table, which is not copied where they are all, or none.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table.
    rows : pandas.Series of bool
        Which rows of it.

    Returns
    -------
    pandas.DataFrame
        May be the table itself: it must not be changed.
    """
    if rows.all() and not rows.hasnans:
        return table
    return table[rows] if rows.any() else table.iloc[:0]


def rows_of(table: Any) -> list[Row]:
    """The rows of a table. Its columns are made lists of when a first cell of them is asked for.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table; it must not change.
    """

    @cache
    def cells(name: str) -> list[Any]:
        found: list[Any] = table[name].tolist()
        return found

    names = tuple(table.columns)
    return [Row(names, cells, place) for place in range(len(table))]


def _run(rows: Any) -> Any:
    """Rows that follow one another as a slice, which takes no memory: most series and objects lie so in their tables."""
    import numpy as np

    places = np.asarray(rows, dtype=np.int64)
    if not len(places) or (np.diff(places) != 1).any():
        return places
    return slice(int(places[0]), int(places[-1]) + 1)


def common_row(values: Floats) -> Floats | None:
    """The commonest row of those without NaN; None if there is none."""
    import numpy as np

    usable = values[np.isfinite(values).all(axis=1)]
    if not len(usable):
        return None
    if (usable == usable[0]).all():
        first: Floats = usable[0]
        return first
    rows, counts = np.unique(usable, axis=0, return_counts=True)
    common: Floats = rows[int(np.argmax(counts))]
    return common


def is_orthonormal(orientation: Floats, tolerance: float) -> Flags:
    """Whether both directions have length 1 and are orthogonal; false where a value is missing.

    Parameters
    ----------
    orientation : numpy.ndarray, shape (n, 6)
        ImageOrientationPatient.
    tolerance : float
        How far lengths may be from 1, and the dot product from 0.
    """
    import numpy as np

    row, col = orientation[:, :3], orientation[:, 3:]
    lengths = np.abs(np.linalg.norm(np.stack([row, col]), axis=2) - 1) <= tolerance
    orthogonal = np.abs((row * col).sum(axis=1)) <= tolerance
    result: Flags = lengths.all(axis=0) & orthogonal
    return result
