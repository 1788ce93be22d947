"""The adapter to Pandera: codes, columns and rows of failures, and models that are wrong themselves."""

import pandas as pd
import pandera.pandas as pa
import pytest
from support.listing import make_listing
from support.workbooks import fired, plain_row, tables

from crlm_qc.collection.profile import Profile
from crlm_qc.engines import pandera_engine
from crlm_qc.engines.pandera_engine import Check, Column, Failure, Model, ModelError, codes, failures
from crlm_qc.rules import registry

TABLE = pd.DataFrame({"a": ["x", "xyz", None, "uvw"], "b": [1, 2, 3, 9]}, index=[10, 11, 12, 13])


def short(values: pd.Series) -> pd.Series:
    return values.str.len().fillna(0) < 3


def schema(*checks: pa.Check, a: tuple[pa.Check, ...] = (), b: tuple[pa.Check, ...] = ()) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        {"a": pa.Column(checks=list(a), nullable=True), "b": pa.Column(checks=list(b), nullable=True)},
        checks=list(checks),
        name="model",
    )


def test_a_check_of_a_column_tells_code_column_and_row() -> None:
    model = schema(a=(pa.Check(short, name="XXX001", ignore_na=False),))
    assert failures(model, TABLE) == {"XXX001": [Failure("XXX001", "a", 11), Failure("XXX001", "a", 13)]}


def test_a_missing_value_counts_if_the_check_looks_at_it() -> None:
    present = pa.Check(lambda values: values.notna(), name="XXX001", ignore_na=False)
    (failure,) = failures(schema(a=(present,)), TABLE)["XXX001"]
    assert failure.row == 12


def test_a_check_of_several_columns_tells_each_row_once() -> None:
    model = schema(pa.Check(lambda table: table["b"] < 3, name="XXX002", ignore_na=False))
    assert failures(model, TABLE)["XXX002"] == [Failure("XXX002", None, 12), Failure("XXX002", None, 13)]


def test_a_check_of_the_table_as_a_whole() -> None:
    model = schema(pa.Check(lambda table: len(table) < 3, name="XXX003"))
    assert failures(model, TABLE)["XXX003"] == [Failure("XXX003", None, None)]


def test_every_check_is_run_and_a_code_without_failures_is_there() -> None:
    model = schema(
        pa.Check(lambda table: table["b"] < 9, name="XXX003"),
        a=(pa.Check(short, name="XXX001", ignore_na=False),),
        b=(pa.Check(lambda values: values > 1, name="XXX002"), pa.Check(lambda values: values > 0, name="XXX004")),
    )
    found = failures(model, TABLE)
    assert {code: len(listed) for code, listed in found.items()} == {"XXX001": 2, "XXX002": 1, "XXX003": 1, "XXX004": 0}


def test_one_code_on_two_columns_is_in_the_order_of_rows() -> None:
    long, small = pa.Check(short, name="XXX001", ignore_na=False), pa.Check(lambda values: values > 2, name="XXX001")
    found = failures(schema(a=(long,), b=(small,)), TABLE)["XXX001"]
    assert [(failure.row, failure.column) for failure in found] == [(10, "b"), (11, "a"), (11, "b"), (13, "a")]


def test_checks_of_one_code_are_told_apart_by_their_titles() -> None:
    model = schema(
        pa.Check(lambda table: table["b"] > 1, name="XXX001", title="low"),
        pa.Check(lambda table: table["b"] < 9, name="XXX001", title="high"),
    )
    found = failures(model, TABLE)["XXX001"]
    assert found == [Failure("XXX001", None, 10, "low"), Failure("XXX001", None, 13, "high")]


def test_a_model_written_as_a_class() -> None:
    class Model(pa.DataFrameModel):
        b: int

        @pa.check("b", name="XXX001")
        def low(cls, values: pd.Series) -> pd.Series:  # noqa: N805
            return values < 9

    assert [failure.row for failure in failures(Model, TABLE)["XXX001"]] == [13]


def test_no_environment_makes_the_validation_shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    from pandera.config import CONFIG, ValidationDepth

    monkeypatch.setattr(CONFIG, "validation_enabled", False)
    monkeypatch.setattr(CONFIG, "validation_depth", ValidationDepth.SCHEMA_ONLY)
    assert len(failures(schema(a=(pa.Check(short, name="XXX001", ignore_na=False),)), TABLE)["XXX001"]) == 2


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (schema(a=(pa.Check(short),)), "not named by a rule's code"),
        (schema(a=(pa.Check(short, name="short"),)), "'short' of model 'model' is not named"),
        (schema(a=(pa.Check(short, name="XXX001", raise_warning=True),)), "only warns"),
    ],
)
def test_a_check_that_nobody_would_hear_of_is_refused(model: pa.DataFrameSchema, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        codes(model)
    with pytest.raises(ModelError, match=said):
        failures(model, TABLE)


def test_a_check_that_crashes_is_no_failure_of_the_table() -> None:
    def crash(values: pd.Series) -> pd.Series:
        raise ValueError("Jane Doe")

    with pytest.raises(ModelError, match="CHECK_ERROR in XXX001") as caught:
        failures(schema(a=(pa.Check(crash, name="XXX001"),)), TABLE)
    assert "Jane" not in str(caught.value)


def test_a_table_that_does_not_fit_is_no_failure_of_a_rule() -> None:
    with pytest.raises(ModelError, match="COLUMN_NOT_IN_DATAFRAME"):
        failures(schema(a=(pa.Check(short, name="XXX001"),)), TABLE[["b"]])


def test_labels_that_occur_twice_are_refused() -> None:
    with pytest.raises(ModelError, match="twice"):
        failures(schema(), pd.concat([TABLE, TABLE]))


def declared(low: int = 0, *, a: str | None = None, nullable: bool = True) -> Model:
    return Model(
        "model",
        {
            "a": Column((Check("XXX001", lambda values: values.str.len() < 5),), a, nullable),
            "b": Column((Check("XXX002", lambda values: values > low, missing=True),), "int64"),
        },
        (Check("XXX003", lambda table: table["b"] < 10 - low, "sum"),),
    )


def refuse(*_: object) -> None:
    raise AssertionError("Pandera is asked")


def test_a_table_that_keeps_a_model_is_told_so_without_pandera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pandera_engine, "_schema", refuse)
    assert failures(declared(), TABLE) == {"XXX001": [], "XXX002": [], "XXX003": []}
    with pytest.raises(AssertionError, match="asked"):
        failures(declared(1), TABLE)


@pytest.mark.parametrize("low", range(11))
def test_what_a_table_may_break_fails_as_the_whole_model_does(low: int) -> None:
    found = failures(declared(low), TABLE)
    assert found == failures(declared(low).made(), TABLE)
    left = declared(low).broken(TABLE)
    assert {code for code, listed in found.items() if listed} == (codes(left) if left else frozenset())


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (declared(a="float64"), "WRONG_DATATYPE"),
        (declared(nullable=False), "SERIES_CONTAINS_NULLS"),
        (Model("model", {"c": Column()}), "COLUMN_NOT_IN_DATAFRAME"),
        (Model("model", {}, (Check("XXX001", lambda table: table["c"] > 0),)), "CHECK_ERROR in XXX001"),
    ],
)
def test_a_declared_model_that_does_not_fit_is_told_as_pandera_does(model: Model, said: str) -> None:
    for one in (model, model.made()):
        with pytest.raises(ModelError, match=said):
            failures(one, TABLE)


def test_a_check_that_is_unsure_of_a_row_is_given_to_pandera() -> None:
    unsure = Check("XXX001", lambda table: pd.Series([True, None, True, True], TABLE.index, dtype="boolean"))
    assert not unsure.holds(TABLE)
    assert not Check("XXX001", lambda table: table["b"]).holds(TABLE)


def test_a_declared_check_is_named_by_a_code() -> None:
    with pytest.raises(ModelError, match="'short' of model 'model' is not named"):
        codes(Model("model", {"a": Column((Check("short", short),))}))


def test_a_table_is_validated_once_in_an_audit(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    validated = []

    def counted(model: pa.DataFrameSchema, table: pd.DataFrame) -> dict[str, list[Failure]]:
        validated.append(len(table))
        return failures(model, table)

    monkeypatch.setattr(pandera_engine, "failures", counted)
    listing = make_listing()
    assert not listing.found()
    assert validated == [len(listing.rows)]
    validated.clear()
    rules = [item for item in registry() if item.family == "CLN"]
    rows = [plain_row(number) for number in range(1, 4)]
    made = tables(rows, profile)
    assert not fired(rules, made, profile)
    assert validated == [len(made["clinical"]), len(rows)]
