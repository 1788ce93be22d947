"""The tables that suites are about: evidence tables as they are, and views made of them.

Great Expectations sees plain columns: no view holds a value that it would have to be told about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.profile import LIVER, TUMOUR
from crlm_qc.model.tables import TABLES
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import text
from crlm_qc.subjects.workbook import clinical

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class View:
    """A table that is made of evidence tables."""

    tables: tuple[str, ...]
    """Evidence tables it is made of."""
    make: Callable[[Context], pd.DataFrame]
    empty: str
    """Why there is nothing in it, where there is nothing."""


@once
def ct_stacks(context: Context) -> pd.DataFrame:
    """A row a CT series: `patient`, `n_slices`, and `spacing_row`, `spacing_col`, `spacing` in mm.

    Spacing in the plane is that of the first slice; series that are not uniform are CTS003's.
    """
    slices = context["slices"]
    first = slices.groupby(["patient", "series_uid"], as_index=False)[["spacing_row", "spacing_col"]].first()
    stacks = context["ct_series"][["patient", "series_uid", "n_slices", "spacing"]]
    merged: pd.DataFrame = stacks.merge(first, how="left", on=["patient", "series_uid"])
    return merged


@once
def volumes(context: Context) -> pd.DataFrame:
    """A row a patient whose masks were measured: `patient`, `liver_ml`, `tumour_ml` (mL), `has_liver`, `has_tumour`.

    Patients with several segmentation objects (REL009) are left out: which of them counts can't be told.
    A volume of nothing is missing rather than 0: `has_liver` and `has_tumour` say that it is not there.
    """
    import numpy as np
    import pandas as pd

    dsos, segments = context["dsos"], context["segments"]
    single = dsos["patient"].notna() & ~dsos["patient"].duplicated(keep=False)
    measured = dsos.loc[single & (dsos["masks"] == "measured"), ["path", "patient"]]
    segments = segments[["dso", "patient", "label", "voxels", "volume_ml"]]
    segments = segments[segments["dso"].isin(measured["path"])]
    roles = segments["label"].map(lambda label: context.profile.role(text(label)))
    table = pd.DataFrame({"patient": sorted(set(measured["patient"]))})
    for role, name in ((LIVER, "liver"), (TUMOUR, "tumour")):
        mine = segments[roles == role]
        voxels = table["patient"].map(mine.groupby("patient")["voxels"].sum()).fillna(0).astype("int64")
        millilitres = table["patient"].map(summed(mine, "volume_ml")).astype("float64")
        table[f"{name}_ml"] = millilitres.where(voxels > 0, np.nan)
        table[f"has_{name}"] = voxels > 0
    return table


def summed(rows: pd.DataFrame, column: str) -> dict[str, float]:
    """Sums of a column by patient, of those who have a value.

    They are exact: those of pandas change in their last bit with what other patients have, and so would the figures of
    a patient who is judged in another batch.
    """
    there = rows.loc[rows[column].notna() & rows["patient"].notna(), ["patient", column]]
    values: dict[str, list[float]] = {}
    for patient, value in zip(there["patient"], there[column].tolist(), strict=True):
        values.setdefault(patient, []).append(value)
    return {patient: _sum(its) for patient, its in values.items()}


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        # Of what no number can hold.
        return sum(values)


@once
def ct_headers(context: Context) -> pd.DataFrame:
    """A row a patient with CT slices: `patient`, `sex`, `manufacturer`, `pixel_representation`, as in the first slice."""
    slices = context["slices"]
    columns = {"patient_sex": "sex", "manufacturer": "manufacturer", "pixel_representation": "pixel_representation"}
    slices = slices[["patient", *columns]]
    grouped = kept(slices, slices["patient"].notna()).groupby("patient", as_index=False)
    table: pd.DataFrame = grouped[list(columns)].first().rename(columns=columns)
    return table


def workbook(context: Context, columns: Sequence[str]) -> pd.DataFrame:
    """Numbers of the clinical workbook by patient (the index), for patients that have just one row of it.

    Parameters
    ----------
    context : Context
        The audit's context.
    columns : sequence of str
        Columns as the data dictionary names them.

    Returns
    -------
    pandas.DataFrame
        One column each; missing where the workbook has none, or is not there at all.
    """
    import pandas as pd

    try:
        rows = clinical(context).single()
    except Skip:
        rows = pd.DataFrame()
    return rows.reindex(columns=list(columns)).astype("float64")


VIEWS: Mapping[str, View] = {
    "ct_stacks": View(("ct_series", "slices"), ct_stacks, "there is no CT series"),
    "volumes": View(("dsos", "segments"), volumes, "no masks were measured"),
    "ct_headers": View(("slices",), ct_headers, "there is no CT series"),
}


def tables_of(name: str) -> tuple[str, ...]:
    """Evidence tables that an evidence table or view is made of.

    Raises
    ------
    KeyError
        There is neither of that name.
    """
    if name in TABLES:
        return (name,)
    return VIEWS[name].tables


def view(context: Context, name: str) -> pd.DataFrame:
    """An evidence table or view, with columns of plain types.

    Raises
    ------
    Skip
        It is empty.
    """
    found = _made(context, name)
    if found.empty:
        raise Skip(VIEWS[name].empty if name in VIEWS else f"the table {name} is empty")
    return found


@once
def _made(context: Context, name: str) -> pd.DataFrame:
    table: pd.DataFrame = context[name] if name in TABLES else VIEWS[name].make(context)
    return _plain(table.reset_index(drop=True))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Text as objects, numbers as floats, missing values as None and NaN."""

    def column(values: Any) -> Any:
        if values.dtype in ("boolean", "str"):
            return values.astype(object).where(values.notna(), None)
        return values.astype("float64") if values.dtype == "Int64" else values

    plain: pd.DataFrame = table.apply(column)
    return plain
