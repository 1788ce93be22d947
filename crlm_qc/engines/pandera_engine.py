"""Runs Pandera models whose checks are named by rule codes, and tells which rows fail which code.

What failed is read from the check itself and from its output, never from rendered text: the text of a failure case is
made for people, and names a column only where the check is of one.

Of a model that is declared as a `Model` Pandera is given what a table may break: most break nothing, and Pandera's import
takes nearly as long as that of pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crlm_qc.engines.imports import lasting
from crlm_qc.model.family import CODE

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa
    from pandera.errors import SchemaError

    PanderaModel = pa.DataFrameSchema | type[pa.DataFrameModel]


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold in every row."""

    code: str
    """The code of its rule."""
    test: Callable[[Any], pd.Series[bool]]
    """Given a column, or the table: a boolean a row."""
    title: str | None = None
    """What tells it from other checks of its code."""
    missing: bool = False
    """Whether a column is tested where it has no value, too."""

    def holds(self, values: Any) -> bool:
        """Whether it surely gives true for every row of a column, or of the table."""
        try:
            output = self.test(values)
            return output.dtype in ("bool", "boolean") and not output.hasnans and bool(output.all())
        except Exception:  # noqa: BLE001 - whatever it is, Pandera meets it again, and says of which check
            return False

    def made(self) -> pa.Check:
        """The check as Pandera has it."""
        import pandera.pandas as pa

        return pa.Check(self.test, name=self.code, title=self.title, ignore_na=not self.missing)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the table must have."""

    checks: tuple[Check, ...] = ()
    dtype: str | None = None
    """What it must be of; anything by default."""
    nullable: bool = False
    """Whether it may lack values."""

    def broken(self, values: pd.Series[Any]) -> Column | None:
        """What the values may break of it; None if they surely keep all."""
        missing = values.hasnans
        if (missing and not self.nullable) or self.dtype not in (None, values.dtype):
            return self
        present = values.dropna() if missing else values
        left = tuple(check for check in self.checks if not check.holds(values if check.missing else present))
        return Column(left, self.dtype, self.nullable) if left else None

    def made(self) -> pa.Column:
        """The column as Pandera has it."""
        import pandera.pandas as pa

        return pa.Column(self.dtype, [check.made() for check in self.checks], nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class Model:
    """A table: its columns, and checks of several of them."""

    name: str
    columns: Mapping[str, Column]
    checks: tuple[Check, ...] = ()

    def broken(self, table: pd.DataFrame) -> Model | None:
        """What a table may break of it; None if it surely keeps all."""
        columns = {}
        for name, column in self.columns.items():
            left = column.broken(table[name]) if name in table else column
            if left is not None:
                columns[name] = left
        checks = tuple(check for check in self.checks if not check.holds(table))
        return Model(self.name, columns, checks) if columns or checks else None

    def made(self) -> pa.DataFrameSchema:
        """The model as Pandera has it."""
        import pandera.pandas as pa

        columns = {name: column.made() for name, column in self.columns.items()}
        return pa.DataFrameSchema(columns, checks=[check.made() for check in self.checks], name=self.name)


class ModelError(RuntimeError):
    """The model itself is wrong: a check without a code, or one that raised; the text holds nothing from the table."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that fails a check."""

    code: str
    """The check's name, which is the code of its rule."""
    column: str | None
    """Column that the check is of; None where it looks at several."""
    row: Any
    """Label of the row in the table's index; None where the table as a whole fails."""
    title: str | None = None
    """The check's title, which tells several checks of one code and column apart."""


def load() -> None:
    """Import Pandera, and what it imports when it validates for the first time."""
    import pandas as pd
    import pandera.pandas as pa

    pa.DataFrameSchema().validate(pd.DataFrame())


def failures(model: Model | PanderaModel, table: pd.DataFrame) -> dict[str, list[Failure]]:
    """Every failure of a table, all checks of the model run to their end.

    Parameters
    ----------
    model : Model, pandera.pandas.DataFrameSchema or subclass of pandera.pandas.DataFrameModel
        Each of its checks is named by a code, and gives a boolean a row; one of Pandera's may give one for the table.
    table : pandas.DataFrame
        The table; labels of its index are unique.

    Returns
    -------
    dict of str to list of Failure
        Failures by code, for every code of the model.

    Raises
    ------
    ModelError
        A check has no code for a name, is only a warning or crashed; or the table breaks what the model demands beside
        its checks, such as a column that is not there.
    """
    found: dict[str, list[Failure]] = {code: [] for code in sorted(codes(model))}
    if not table.index.is_unique:
        raise ModelError("rows are named by their labels, and a label occurs twice")
    left = model.broken(table) if isinstance(model, Model) else model
    if left is None:
        return found
    with lasting():
        load()
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    schema = _schema(left)
    # Whatever the environment says: no shallower validation, and none left out.
    with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
        try:
            schema.validate(table, lazy=True)
        except SchemaErrors as errors:
            for error in errors.schema_errors:
                for failure in _failures(error):
                    found[failure.code].append(failure)
    position = {label: number for number, label in enumerate(table.index)}
    for listed in found.values():
        listed.sort(key=lambda failure: -1 if failure.row is None else position[failure.row])
    return found


def codes(model: Model | PanderaModel) -> frozenset[str]:
    """The codes that a model's checks are named by.

    Raises
    ------
    ModelError
        A check has no code for a name, or is only a warning, which Pandera would keep to itself.
    """
    if isinstance(model, Model):
        named = [check.code for check in (*model.checks, *(one for it in model.columns.values() for one in it.checks))]
        if wrong := [code for code in named if not CODE.fullmatch(code)]:
            raise ModelError(f"check {wrong[0]!r} of model {model.name!r} is not named by a rule's code")
        return frozenset(named)
    schema = _schema(model)
    checks = [*schema.checks, *(check for column in schema.columns.values() for check in column.checks)]
    for check in checks:
        if not CODE.fullmatch(check.name or ""):
            raise ModelError(f"check {check.name!r} of model {schema.name!r} is not named by a rule's code")
        if check.raise_warning:
            raise ModelError(f"check {check.name} of model {schema.name!r} only warns")
    return frozenset(str(check.name) for check in checks)


def _schema(model: Model | PanderaModel) -> pa.DataFrameSchema:
    import pandera.pandas as pa

    if isinstance(model, Model):
        return model.made()
    return model if isinstance(model, pa.DataFrameSchema) else model.to_schema()


def _failures(error: SchemaError) -> Iterator[Failure]:
    import numpy as np
    import pandas as pd
    from pandera.errors import SchemaErrorReason

    check = error.check
    if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK or isinstance(check, str) or check is None:
        reason = getattr(error.reason_code, "name", "unknown")
        raise ModelError(f"the table does not fit the model, or a check crashed: {reason} in {_name(check)}")
    code, title, output = str(check.name), check.title, error.check_output
    if isinstance(output, bool | np.bool_):
        yield Failure(code, None, None, title)
        return
    if not isinstance(output, pd.Series):
        raise ModelError(f"check {code} gives no boolean a row")
    column = getattr(error.schema, "name", None) if not hasattr(error.schema, "columns") else None
    for label in output.index[~output.fillna(value=False).astype(bool)]:
        yield Failure(code, column, label, title)


def _name(check: Any) -> str:
    name = check if isinstance(check, str) else getattr(check, "name", None)
    return str(name or "no check").split("(")[0]
