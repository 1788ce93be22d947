"""Rows in columns: what was read of a patient, on its way to the process that gathers it, and as it becomes tables.

As a dict a row it would take five times the memory, and longer to be sent and to be made a table.
"""

from __future__ import annotations

import math
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.model.tables import TABLES, DType, pandas_dtype

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]

_NONE: Final = -1
"""Place of a missing text."""
_UNKNOWN: Final = 2
"""What stands for a missing flag, beside 0 and 1."""
_TYPES: Final[Mapping[DType, str]] = {"str": "i", "Int64": "q", "float64": "d", "boolean": "b"}
"""Machine types of values; of a text its place among all texts."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """One column of some rows."""

    values: bytes
    """As `_TYPES` has them, one a row, or one for all rows where it is the same."""
    missing: bytes = b""
    """Of integers, 1 for a row that has none; empty where all rows have one."""


class Columns:
    """Rows of several tables: column by column, and every text once.

    Parameters
    ----------
    rows : mapping of str to sequence of mapping
        Rows by table, each of column names to values; columns that a row leaves out are missing values.

    Raises
    ------
    KeyError
        There is no such table, or a row has a column that its contract has not.
    """

    __slots__ = ("_cells", "_lengths", "_texts")

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        places: dict[str, int] = {}
        self._lengths = {name: len(found) for name, found in rows.items() if found}
        self._cells: dict[tuple[str, str], _Cells] = {}
        for name in self._lengths:
            dtypes = TABLES[name].dtypes
            if unknown := set().union(*rows[name]) - dtypes.keys():
                raise KeyError(f"table {name} has no column {', '.join(sorted(unknown))}")
            for column, dtype in dtypes.items():
                if (cells := _packed(dtype, [row.get(column) for row in rows[name]], places)) is not None:
                    self._cells[name, column] = cells
        self._texts = list(places)

    def length(self, table: str) -> int:
        """How many rows of a table there are."""
        return self._lengths.get(table, 0)

    def texts(self, table: str, column: str) -> list[str | None]:
        """A column of texts, None for missing ones."""
        cells, length = self._cells.get((table, column)), self.length(table)
        if cells is None:
            return [None] * length
        places = array(_TYPES["str"], cells.values)
        found = [None if place == _NONE else self._texts[place] for place in places]
        return found if len(found) == length else found * length

    def clear(self, table: str, column: str) -> None:
        """Make a column one of missing values."""
        self._cells.pop((table, column), None)

    def held(self) -> list[str]:
        """Its texts, by their places."""
        return self._texts

    def numbers(self, table: str, column: str) -> list[float]:
        """Values of a column of numbers, those that are there alone."""
        cells, dtype = self._cells.get((table, column)), TABLES[table].dtypes[column]
        if cells is None:
            return []
        found = array(_TYPES[dtype], cells.values)
        missing = cells.missing or bytes(len(found))
        return [value for value, none in zip(found, missing, strict=True) if not none]

    def kept(self) -> dict[str, Any]:
        """Plain values, ready for JSON, that `recalled` makes the same columns of."""
        cells = [
            [table, column, b64encode(one.values).decode(), b64encode(one.missing).decode()]
            for (table, column), one in self._cells.items()
        ]
        return {"lengths": self._lengths, "cells": cells, "texts": self._texts}

    @classmethod
    def recalled(cls, kept: Mapping[str, Any]) -> Columns:
        """The inverse of `kept`, by the same machine's types.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        found = cls({})
        found._lengths = {str(name): int(length) for name, length in kept["lengths"].items()}
        found._texts = [str(text) for text in kept["texts"]]
        backed: set[str] = set()
        for table, column, values, missing in kept["cells"]:
            cells, length = _Cells(b64decode(values), b64decode(missing)), found._lengths[table]
            dtype = TABLES[table].dtypes[column]
            held = array(_TYPES[dtype], cells.values)
            if len(held) not in (1, length) or len(cells.missing) not in (0, length):
                raise ValueError(column)
            if dtype == "str" and not all(_NONE <= place < len(found._texts) for place in held):
                raise ValueError(column)
            found._cells[table, column] = cells
            if len(held) == length:
                backed.add(table)
        if not found._lengths.keys() <= backed:
            # Else a few bytes could claim any number of rows.
            raise ValueError("rows that no column has values of")
        return found

    def take(self, table: str) -> tuple[int, dict[str, _Cells]]:
        """Take a table's rows out: how many they are, and the columns that hold anything."""
        columns = TABLES[table].dtypes
        found = {column: cells for column in columns if (cells := self._cells.pop((table, column), None)) is not None}
        return self._lengths.pop(table, 0), found


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one table that come of one part of a release."""

    length: int
    cells: Mapping[str, _Cells]
    texts: Any
    """Of all tables, by their places, and what is missing at the end."""


def frames(parts: Sequence[Columns]) -> dict[str, pd.DataFrame]:
    """Tables of the rows of all parts, one after another, which are taken out of them meanwhile.

    Parameters
    ----------
    parts : sequence of Columns
        Empty when it is done, so that rows and tables are never held side by side.

    Returns
    -------
    dict of str to pandas.DataFrame
        Every table of the contracts, as `crlm_qc.model.tables.frame` makes it of rows.
    """
    import numpy as np
    import pandas as pd

    # What several parts tell stands in memory once.
    known: dict[str, str] = {}
    texts = [np.array([*(known.setdefault(text, text) for text in one.held()), np.nan], dtype=object) for one in parts]
    del known
    found = {}
    for name, table in TABLES.items():
        taken = [_Part(*one.take(name), own) for one, own in zip(parts, texts, strict=True) if one.length(name)]
        length = sum(part.length for part in taken)
        found[name] = pd.DataFrame(
            {column: _array(dtype, column, taken, length) for column, dtype in table.dtypes.items()}, copy=False
        )
    return found


def _array(dtype: DType, column: str, parts: Sequence[_Part], length: int) -> Any:
    """One column of a table, of the type that its contract says."""
    import numpy as np
    import pandas as pd

    values = np.full(length, {"str": np.nan, "Int64": 0, "float64": np.nan, "boolean": _UNKNOWN}[dtype], _HELD[dtype])
    missing = np.ones(length, dtype=bool)
    end = 0
    for part in parts:
        place, end = slice(end, end + part.length), end + part.length
        if (cells := part.cells.get(column)) is None:
            continue
        own = np.frombuffer(cells.values, dtype=_TYPES[dtype])
        values[place] = part.texts[own] if dtype == "str" else own
        missing[place] = np.frombuffer(cells.missing, dtype=bool) if cells.missing else False
    if dtype == "Int64":
        return pd.arrays.IntegerArray(values, missing)
    if dtype == "boolean":
        return pd.arrays.BooleanArray(values == 1, values == _UNKNOWN)
    return pd.array(values, dtype=pandas_dtype(dtype)) if dtype == "str" else values


_HELD: Final[Mapping[DType, Any]] = {"str": object, "Int64": "int64", "float64": "float64", "boolean": "int8"}
"""NumPy's types of columns."""


def _packed(dtype: DType, values: list[Any], places: dict[str, int]) -> _Cells | None:
    """Values of one column; None if all of them are missing."""
    if values.count(None) == len(values):
        return None
    missing = b""
    if dtype == "str":
        told = (None if value is None or value != value else str(value) for value in values)
        numbers: list[Any] = [_NONE if value is None else places.setdefault(value, len(places)) for value in told]
    elif dtype == "float64":
        numbers = [math.nan if value is None else value for value in values]
    elif dtype == "boolean":
        numbers = [_UNKNOWN if value is None or value != value else bool(value) for value in values]
    else:
        missing = bytes(1 if value is None or value != value else 0 for value in values)
        numbers = [0 if none else value for value, none in zip(values, missing, strict=True)]
    packed = array(_TYPES[dtype], numbers)
    content, first = packed.tobytes(), packed[:1].tobytes()
    if any(missing):
        return _Cells(content, missing)
    # By their bytes: zero is not the same as its negative.
    return _Cells(first if content == first * len(packed) else content)
