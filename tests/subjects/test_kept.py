"""Rows of a table that are kept, without a copy where they are all or none."""

import pandas as pd
import pytest

from crlm_qc.subjects.columns import kept

TABLE = pd.DataFrame({"a": ["x", "y", None]}, index=[4, 5, 6])


@pytest.mark.parametrize("dtype", ["bool", "boolean"])
def test_a_table_of_which_all_is_kept_is_not_copied(dtype: str) -> None:
    assert kept(TABLE, pd.Series([True, True, True], TABLE.index, dtype=dtype)) is TABLE


@pytest.mark.parametrize(
    "rows",
    [[True, False, True], [False, False, False], [True, None, True], [None, None, None], [False, None, False]],
)
def test_what_is_kept_is_what_pandas_keeps(rows: list[bool | None]) -> None:
    flags = pd.Series(rows, TABLE.index, dtype="boolean")
    pd.testing.assert_frame_equal(kept(TABLE, flags), TABLE[flags])


def test_nothing_of_nothing_is_kept() -> None:
    empty = TABLE.iloc[:0]
    assert kept(empty, empty["a"].notna()).empty
