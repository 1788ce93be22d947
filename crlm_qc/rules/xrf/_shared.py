"""What rules on workbook and images share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.model.finding import Kind, Subject
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.cohort import cohort
from crlm_qc.subjects.workbook import Clinical

if TYPE_CHECKING:
    import pandas as pd

TABLES: Final = ("sources", "clinical", "clinical_dictionary", "slices", "dsos")


def need_belonging(context: Context) -> None:
    """Skip where the workbook's rows are known to be other patients'.

    Raises
    ------
    Skip
        XRF004 says that they are.
    """
    try:
        found = cohort(context)
    except Skip:
        return
    if found.detached:
        raise Skip("the workbook's rows do not belong to these images (XRF004)")


def row_subject(path: str, row: Any, column: str) -> Subject:
    return Subject(Kind.ROW, path=path, row=int(row), column=column)


def rows_of(table: Clinical) -> dict[str, int]:
    """Row of the sheet by patient."""
    return {str(patient): int(row) for row, patient in zip(table.patients.index, table.patients, strict=True)}


def records(table: pd.DataFrame) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Patients, which are the index, with their rows."""
    return zip(map(str, table.index), table.to_dict("records"), strict=True)
