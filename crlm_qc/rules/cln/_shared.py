"""What rules on the workbook share."""

from __future__ import annotations

from typing import Final

TABLES: Final = ("sources", "clinical", "clinical_dictionary")
DICTIONARY: Final = "Data Dictionary sheet of the workbook"
DESCRIPTION: Final = "published description, clinical data"
