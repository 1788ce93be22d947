"""Rows of the patient sheet that are no patient: units, labels, totals, notes, headings again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.headings import loose_heading
from crlm_qc.collection.invisible import plain_text

if TYPE_CHECKING:
    import pandas as pd

HEADINGS: Final = "the headings again"
FIGURES: Final = "figures over other rows, such as totals or means"
WORDS: Final = "units, labels or a note"

_WORDS_OF_FIGURES: Final = frozenset(
    {"average", "avg", "count", "gesamt", "max", "maximum", "mean", "median", "min", "minimum", "mittelwert", "moyenne"}
    | {"n", "percent", "range", "sd", "std", "sum", "summe", "total", "totals"}
)
_BESIDE_THEM: Final = frozenset({"all", "cohort", "of", "patients", "rows", "the", "value", "values"})
_AGAIN: Final = 2
"""Cells that repeat their heading, beyond which a row does."""
_MOST: Final = 1000
"""Rows without a patient beyond which they are no few strays."""
_SOUND: Final = 0.5
"""Part of the cells of numbers and codes that is as it should be in a row of a patient."""


def strays(cells: pd.DataFrame) -> dict[int, str]:
    """Rows that are no patient.

    Parameters
    ----------
    cells : DataFrame
        A row a cell of the patient sheet: `row`, `patient`, `patient_id`, `variable`, `text`, `type`, `numeric` (whether a
        number or code belongs there) and `good` (whether one that is possible, or the code for a missing value, stands there).

    Returns
    -------
    dict of int to str
        Rows of the sheet, with what they hold instead.
    """
    found = {}
    unknown = cells[cells["patient"].isna()]
    if unknown["row"].nunique() > _MOST:
        return {}
    for row, group in unknown.groupby("row"):
        own = group["patient_id"].iloc[0]
        what = _what(group, plain_text(own).strip() if isinstance(own, str) else "")
        if what is not None:
            found[int(str(row))] = what
    # A sheet without any patient has another fault.
    return found if len(found) < cells["row"].nunique() else {}


def tells_of_figures(label: str) -> bool:
    """Whether what stands in place of an ID is a word such as `Total` or `Mean (n=197)`."""
    words = set(re.findall(r"[^\W\d_]+", label.casefold()))
    return bool(words & _WORDS_OF_FIGURES) and words <= _WORDS_OF_FIGURES | _BESIDE_THEM


def _what(cells: pd.DataFrame, patient_id: str) -> str | None:
    texts = cells[cells["type"] == "text"]
    again = sum(
        loose_heading(text) == loose_heading(name) for text, name in zip(texts["text"], texts["variable"], strict=True)
    )
    if again > _AGAIN:
        return HEADINGS
    if tells_of_figures(patient_id):
        return FIGURES
    numeric = cells[cells["numeric"]]
    alone = bool((cells["type"] == "blank").sum() >= len(cells) - 1)
    if (re.search("[0-9]", patient_id) and not alone) or numeric["good"].sum() >= _SOUND * len(numeric):
        return None
    figures: Any = numeric["type"].isin(["number", "formula"]).sum()
    return FIGURES if figures > len(numeric) - (numeric["type"] == "blank").sum() - figures else WORDS
