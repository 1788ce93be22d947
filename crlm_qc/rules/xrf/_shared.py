"""What rules on workbook and images share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.model.finding import Kind, Subject

if TYPE_CHECKING:
    import pandas as pd

TABLES: Final = ("sources", "clinical", "clinical_dictionary", "slices", "dsos")


def row_subject(path: str, row: Any, column: str) -> Subject:
    """A cell of a row of the workbook, as the subject of a finding."""
    return Subject(Kind.ROW, path=path, row=int(row), column=column)


def records(table: pd.DataFrame) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Patients, which are the index, with their rows."""
    return zip(map(str, table.index), table.to_dict("records"), strict=True)
