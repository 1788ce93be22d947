"""What rules on the workbook share."""

from __future__ import annotations

from typing import Any, Final

from crlm_qc.subjects.words import text

TABLES: Final = ("sources", "clinical", "clinical_dictionary")
DICTIONARY: Final = "Data Dictionary sheet of the workbook"
DESCRIPTION: Final = "published description, clinical data"


def patient_of(value: Any) -> str | None:
    return text(value)
