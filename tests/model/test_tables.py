import pandas as pd
import pandera.errors
import pytest

from crlm_qc.model.tables import TABLES, empty, frame, schema


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_keeps_its_contract(name: str) -> None:
    schema(name).validate(empty(name))


def test_columns_left_out_are_missing_values() -> None:
    table = frame("frames", [{"dso": "a.dcm", "frame": 1, "n_sources": 0}])
    schema("frames").validate(table)
    assert table.loc[0, "voxels"] is pd.NA
    assert pd.isna(table.loc[0, "position_z"])


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(KeyError, match="has no column nonsense"):
        frame("frames", [{"nonsense": 1}])


def test_a_required_value_must_be_there() -> None:
    with pytest.raises(pandera.errors.SchemaError):
        schema("frames").validate(frame("frames", [{"frame": 1, "n_sources": 0}]))


def test_every_column_is_documented() -> None:
    for table in TABLES.values():
        for column in table.columns:
            assert column.doc or column.source, f"{table.name}.{column.name}"
