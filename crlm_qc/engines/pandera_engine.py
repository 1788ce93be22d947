"""Runs Pandera models whose checks are named by rule codes, and tells which rows fail which code.

What failed is read from the check itself and from its output, never from rendered text: the text of a failure case is
made for people, and names a column only where the check is of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crlm_qc.model.family import CODE

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa
    from pandera.errors import SchemaError

    Model = pa.DataFrameSchema | type[pa.DataFrameModel]


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


def failures(model: Model, table: pd.DataFrame) -> dict[str, list[Failure]]:
    """Every failure of a table, all checks of the model run to their end.

    Parameters
    ----------
    model : pandera.pandas.DataFrameSchema or subclass of pandera.pandas.DataFrameModel
        Each of its checks is named by a code, and gives a boolean a row, or one for the table.
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
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    schema = _schema(model)
    found: dict[str, list[Failure]] = {code: [] for code in sorted(codes(schema))}
    if not table.index.is_unique:
        raise ModelError("rows are named by their labels, and a label occurs twice")
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


def codes(model: Model) -> frozenset[str]:
    """The codes that a model's checks are named by.

    Raises
    ------
    ModelError
        A check has no code for a name, or is only a warning, which Pandera would keep to itself.
    """
    schema = _schema(model)
    checks = [*schema.checks, *(check for column in schema.columns.values() for check in column.checks)]
    for check in checks:
        if not CODE.fullmatch(check.name or ""):
            raise ModelError(f"check {check.name!r} of model {schema.name!r} is not named by a rule's code")
        if check.raise_warning:
            raise ModelError(f"check {check.name} of model {schema.name!r} only warns")
    return frozenset(str(check.name) for check in checks)


def _schema(model: Model) -> pa.DataFrameSchema:
    import pandera.pandas as pa

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
