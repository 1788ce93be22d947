"""Tests of rows in columns: they become the tables that rows become."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.evidence.columns import Columns, frames
from crlm_qc.model.tables import TABLES, Column, frame

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.none() | st.sampled_from(["", "CT", "1.2.840", "\U0001f9e0", "a\0b"]) | st.text(max_size=3),
    "Int64": st.none() | st.sampled_from([0, 1, 2**53 + 1, math.nan, np.int64(-3)]) | st.integers(-(2**63), 2**63 - 1),
    "float64": st.none() | st.sampled_from([0.0, -0.0, math.nan, math.inf]) | st.floats(),
    "boolean": st.none() | st.booleans() | st.sampled_from([math.nan, np.True_]),
}
PARTS = ("files", "segments", "alignments", "dsos")

EMPTY = {name: frame(name, []).dtypes for name in TABLES}


def row_of(columns: tuple[Column, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={column.name: VALUES[column.dtype] for column in columns})


ROWS = st.fixed_dictionaries({name: st.lists(row_of(TABLES[name].columns), max_size=4) for name in PARTS})


@given(st.lists(ROWS, max_size=4))
def test_they_become_the_same_tables(parts: list[dict[str, list[dict[str, Any]]]]) -> None:
    found = frames([pickle.loads(pickle.dumps(Columns(rows))) for rows in parts])
    assert list(found) == list(TABLES)
    for name, table in found.items():
        if name not in PARTS:
            # The long comparison tells no more of what has no rows.
            assert table.empty
            assert table.dtypes.equals(EMPTY[name])
            continue
        expected = frame(name, [row for rows in parts for row in rows.get(name, ())])
        pd.testing.assert_frame_equal(table, expected, check_exact=True)
        # Which it calls equal to zero.
        for column in table.select_dtypes("float64"):
            assert [math.copysign(1, value) for value in table[column] if value == 0] == [
                math.copysign(1, value) for value in expected[column] if value == 0
            ]


def test_a_text_of_many_rows_and_parts_is_held_once() -> None:
    def part() -> Columns:
        return pickle.loads(pickle.dumps(Columns({"files": [{"path": "a", "kind": "b"}, {"path": "b", "kind": "a"}]})))

    found = frames([part(), part()])["files"]
    assert len({id(text) for column in ("path", "kind") for text in found[column].to_numpy(object)}) == 2


def test_rows_are_not_held_beside_their_tables() -> None:
    part = Columns({"files": [{"path": "a"}], "segments": [{"dso": "b"}]})
    frames([part])
    assert part.length("files") == part.length("segments") == 0
    assert part.texts("files", "path") == []


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "b"], ["a", None], [None, None]])
def test_texts_of_a_column_can_be_asked_for_and_cleared(paths: list[str | None]) -> None:
    part = Columns({"files": [{"path": path, "kind": "ct"} for path in paths]})
    assert part.texts("files", "path") == paths
    assert part.texts("slices", "path") == []
    part.clear("files", "path")
    assert part.texts("files", "path") == [None, None]
    assert part.texts("files", "kind") == ["ct", "ct"]


@pytest.mark.parametrize("make", [lambda rows: Columns({"files": rows}), lambda rows: frame("files", rows)])
def test_a_column_that_no_contract_has_is_refused(make: Callable[[list[dict[str, Any]]], Any]) -> None:
    with pytest.raises(KeyError, match="table files has no column colour"):
        make([{"path": "a"}, {"colour": "red"}])
