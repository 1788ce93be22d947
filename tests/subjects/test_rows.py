"""Rows and columns of tables as the rules look at them."""

import pandas as pd
import pytest

from crlm_qc.subjects.columns import Columns, rows_of

TABLE = pd.DataFrame(
    {
        "patient": pd.array(["a", "b", None, "a", "a"], dtype="str"),
        "path": pd.array(["1", "2", "3", "4", "5"], dtype="str"),
        "count": pd.array([1, 2, None, 4, 5], dtype="Int64"),
        "length": [0.5, 1.5, 2.5, float("nan"), 4.5],
    }
)


def test_rows_hold_what_the_table_does() -> None:
    rows = rows_of(TABLE)
    pd.testing.assert_frame_equal(pd.DataFrame(list(map(dict, rows))).astype(TABLE.dtypes), TABLE)
    assert isinstance(rows[0]["count"], int)
    assert isinstance(rows[0]["length"], float)
    assert "other" not in rows[0]
    with pytest.raises(KeyError):
        rows[0]["other"]


def test_groups_of_scattered_rows_are_in_order_and_leave_out_missing_values() -> None:
    groups = Columns.of(TABLE).groups("patient")
    assert {value: rows.tolist() for value, rows in groups.items()} == {"a": [0, 3, 4], "b": [1]}
    assert Columns.of(TABLE.iloc[:0]).groups("patient") == {}


@pytest.mark.parametrize("rows", [[1, 2, 3], [4, 0, 2], []])
def test_rows_that_are_taken_are_the_same_whether_they_follow_one_another_or_not(rows: list[int]) -> None:
    taken = Columns.of(TABLE).take(rows)
    whole = TABLE.iloc[rows]
    assert taken["patient"].tolist() == [value if isinstance(value, str) else None for value in whole["patient"]]
    assert taken["path"].tolist() == whole["path"].tolist()
    assert taken.matrix(["count"])[:, 0].tolist() == pytest.approx(
        whole["count"].astype("float64").tolist(), nan_ok=True
    )
