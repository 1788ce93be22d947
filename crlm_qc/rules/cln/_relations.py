"""The model of a row of the clinical workbook; each check is named by its rule's code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crlm_qc.engines import pandera_engine
from crlm_qc.engines.pandera_engine import Check, Column, Model
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.workbook import Clinical, clinical, value_text

if TYPE_CHECKING:
    import pandas as pd

    Wide = pd.DataFrame
    Holds = Callable[[Wide, Tolerances], pd.Series[bool]]

HIGH_CEA: Final = 200.0
"""Carcinoembryonic antigen above this many ng/mL is a point of the clinical risk score."""
LARGE_TUMOUR_CM: Final = 5.0
"""A largest metastasis above this is a point of the clinical risk score."""

RESPONSE: Final = (
    "total_response_percent",
    "necrosis_percent",
    "fibrosis_percent",
    "mucin_percent",
    "fibrosis_greater_40_percent",
)
RISK: Final = ("clinrisk_score", "clinrisk_stratified")
GROUPS: Final = (RESPONSE, RISK)

_OS, _VITAL = "overall_survival_months", "vital_status"
_DFS, _RECURRED, _DFS_STATUS = "months_to_DFS_progression", "progression_or_recurrence", "vital_status_DFS"
_LIVER_DFS, _LIVER_RECURRED, _LIVER_STATUS = (
    "months_to_liver_DFS_progression",
    "progression_or_recurrence_liveronly",
    "vital_status_liver_DFS",
)
_EPSILON: Final = 1e-9
"""What a fraction such as 0.4 loses as a binary number."""


@dataclass(frozen=True)
class Relation:
    """What must hold between the columns of a row; a row in which one of them has no value is left alone."""

    code: str
    column: str
    """The column that the finding is about."""
    columns: tuple[str, ...]
    """All that it compares."""
    holds: Holds
    says: Callable[[pd.Series[float]], tuple[str, str, str]]
    """Message, expected and observed for a row that breaks it; the values are numbers in range."""

    @property
    def title(self) -> str:
        """What tells it from other relations of its code."""
        return " ".join(self.columns)

    def check(self, tolerances: Tolerances) -> Check:
        """The check of a row's model."""
        import numpy as np

        def kept(wide: Wide) -> pd.Series[bool]:
            unknown = np.logical_or.reduce([np.isnan(wide[name].to_numpy()) for name in self.columns])
            found: pd.Series[bool] = self.holds(wide, tolerances) | unknown
            return found

        return Check(self.code, kept, self.title)


def _cut_off(code: str, column: str, score: str, cut_off: float, words: str) -> Relation:
    """A yes/no column that says whether a score reaches a cut-off."""

    def says(row: pd.Series[float]) -> tuple[str, str, str]:
        expected = int(row[score] >= cut_off - _EPSILON)
        return (
            f"{column} is {value_text(row[column])}, but {score} is {value_text(row[score])}: 1 means {words}.",
            str(expected),
            value_text(row[column]),
        )

    return Relation(
        code,
        column,
        (column, score),
        lambda wide, _: wide[column] == (wide[score] >= cut_off - _EPSILON).astype(float),
        says,
    )


def _status(column: str, recurred: str, words: str) -> Relation:
    """A status that is 1 after a recurrence or a death."""

    def says(row: pd.Series[float]) -> tuple[str, str, str]:
        expected = int(row[recurred] == 1 or row[_VITAL] == 1)
        return (
            f"{column} is {value_text(row[column])} with {recurred} {value_text(row[recurred])} and {_VITAL} {value_text(row[_VITAL])}: 1 means {words} or death.",
            str(expected),
            value_text(row[column]),
        )

    return Relation(
        "CLN019",
        column,
        (column, recurred, _VITAL),
        lambda wide, _: (
            _no_recurrence_but_liver(wide)
            | (wide[column] == ((wide[recurred] == 1) | (wide[_VITAL] == 1)).astype(float))
        ),
        says,
    )


def _free_until_end(column: str, recurred: str, sound: Holds) -> Relation:
    """Without recurrence a patient is free of disease as long as followed; where `sound` fails another rule speaks."""

    def says(row: pd.Series[float]) -> tuple[str, str, str]:
        return (
            f"{recurred} is 0, yet {column} is {value_text(row[column])} and {_OS} is {value_text(row[_OS])}.",
            f"{value_text(row[_OS])} months",
            f"{value_text(row[column])} months",
        )

    return Relation(
        "CLN018",
        column,
        (column, recurred, _OS),
        lambda wide, tolerances: (
            ~sound(wide, tolerances)
            | _no_recurrence_but_liver(wide)
            | (wide[recurred] != 0)
            | ((wide[column] - wide[_OS]).abs() <= tolerances.months)
        ),
        says,
    )


def _no_recurrence_but_liver(wide: Wide) -> pd.Series[bool]:
    """Rows that CLN020 is about: what follows from recurrence can't be judged in them."""
    return (wide[_RECURRED] == 0) & (wide[_LIVER_RECURRED] == 1)


def _dfs_within(wide: Wide, tolerances: Tolerances) -> pd.Series[bool]:
    """Rows that CLN016 does not fire on."""
    return ~(wide[_DFS] > wide[_OS] + tolerances.months)


def _liver_below(wide: Wide, tolerances: Tolerances) -> pd.Series[bool]:
    """Liver disease-free months below disease-free months, where CLN016 does not blame the latter."""
    return _dfs_within(wide, tolerances) & (wide[_LIVER_DFS] < wide[_DFS] - tolerances.months)


def _liver_within(wide: Wide, tolerances: Tolerances) -> pd.Series[bool]:
    """Rows that CLN017 does not fire on."""
    return ~_liver_below(wide, tolerances) & ~(wide[_LIVER_DFS] > wide[_OS] + tolerances.months)


def risk_bounds(wide: Wide) -> tuple[pd.Series[float], pd.Series[float]]:
    """Lowest and highest clinical risk score that the known parts leave possible.

    A point each: node-positive primary, more than one metastasis, CEA above 200 ng/mL, largest metastasis above 5 cm,
    disease-free interval under 12 months. The interval itself is not in the workbook, but synchronous metastases have
    none; without them it may be either.
    """
    import pandas as pd

    parts = (
        ("node_positive_primary", wide["node_positive_primary"] == 1),
        ("multiple_metastases", wide["multiple_metastases"] == 1),
        ("carcinoembryonic_antigen", wide["carcinoembryonic_antigen"] > HIGH_CEA),
        ("max_tumor_size", wide["max_tumor_size"] > LARGE_TUMOUR_CM),
    )
    synchronous = wide["synchronous_crlm"] == 1
    low = pd.Series(0.0, index=wide.index) + synchronous.astype(float)
    high = pd.Series(1.0, index=wide.index)
    for column, point in parts:
        low += point.astype(float)
        high += (point | wide[column].isna()).astype(float)
    return low, high


def _risk_possible(wide: Wide, _: Tolerances) -> pd.Series[bool]:
    low, high = risk_bounds(wide)
    return wide["clinrisk_score"].between(low, high)


def _risk_says(row: pd.Series[float]) -> tuple[str, str, str]:
    low, high = (int(bound.iloc[0]) for bound in risk_bounds(row.to_frame().T))
    expected = str(low) if low == high else f"{low} to {high}"
    return (
        f"clinrisk_score is {value_text(row['clinrisk_score'])}, but its parts in this row give {expected}.",
        expected,
        value_text(row["clinrisk_score"]),
    )


def _response_says(row: pd.Series[float]) -> tuple[str, str, str]:
    total, parts = row["total_response_percent"], row[list(RESPONSE[1:4])].sum()
    return (
        f"total_response_percent is {value_text(total)}, but necrosis, fibrosis and mucin add up to {value_text(parts)}.",
        value_text(parts),
        value_text(total),
    )


def _liver_says(other: str, bound: str, words: str) -> Callable[[pd.Series[float]], tuple[str, str, str]]:
    def says(row: pd.Series[float]) -> tuple[str, str, str]:
        return (
            f"{_LIVER_DFS} is {value_text(row[_LIVER_DFS])}, {words} than {other}, which is {value_text(row[other])}.",
            f"{bound} {value_text(row[other])} months",
            f"{value_text(row[_LIVER_DFS])} months",
        )

    return says


RELATIONS: Final[Sequence[Relation]] = (
    Relation(
        "CLN010",
        "total_response_percent",
        RESPONSE[:4],
        lambda wide, tolerances: (
            (wide["total_response_percent"] - wide[list(RESPONSE[1:4])].sum(axis=1)).abs() <= tolerances.percent
        ),
        _response_says,
    ),
    _cut_off("CLN011", "clinrisk_stratified", "clinrisk_score", 3, "a score of 3 or more"),
    _cut_off("CLN012", "NASH_yesno", "NASH_score", 1, "a score of 1 or more"),
    _cut_off("CLN013", "NASH_greater_4", "NASH_score", 4, "a score of 4 or more"),
    _cut_off("CLN014", "fibrosis_greater_40_percent", "fibrosis_percent", 0.4, "0.40 or more"),
    Relation(
        "CLN016",
        _DFS,
        (_DFS, _OS),
        _dfs_within,
        lambda row: (
            f"{_DFS} is {value_text(row[_DFS])}, longer than {_OS}, which is {value_text(row[_OS])}.",
            f"at most {value_text(row[_OS])} months",
            f"{value_text(row[_DFS])} months",
        ),
    ),
    Relation(
        "CLN017",
        _LIVER_DFS,
        (_LIVER_DFS, _DFS),
        lambda wide, tolerances: ~_liver_below(wide, tolerances),
        _liver_says(_DFS, "at least", "shorter"),
    ),
    Relation(
        "CLN017",
        _LIVER_DFS,
        (_LIVER_DFS, _OS),
        lambda wide, tolerances: ~(wide[_LIVER_DFS] > wide[_OS] + tolerances.months),
        _liver_says(_OS, "at most", "longer"),
    ),
    _free_until_end(_DFS, _RECURRED, _dfs_within),
    _free_until_end(_LIVER_DFS, _LIVER_RECURRED, _liver_within),
    _status(_DFS_STATUS, _RECURRED, "recurrence"),
    _status(_LIVER_STATUS, _LIVER_RECURRED, "recurrence in the liver"),
    Relation(
        "CLN020",
        _LIVER_RECURRED,
        (_LIVER_RECURRED, _RECURRED),
        lambda wide, _: ~_no_recurrence_but_liver(wide),
        lambda _: (
            f"{_LIVER_RECURRED} is 1, yet {_RECURRED} is 0.",
            f"{_RECURRED} 1, or {_LIVER_RECURRED} 0",
            f"{_RECURRED} 0 and {_LIVER_RECURRED} 1",
        ),
    ),
    Relation(
        "CLN021",
        "NASH_score",
        ("steatosis_yesno", "NASH_score"),
        lambda wide, _: ~((wide["steatosis_yesno"] == 1) & (wide["NASH_score"] == 0)),
        lambda _: (
            "steatosis_yesno is 1, yet NASH_score is 0; steatosis is a part of that score.",
            "NASH_score 1 or more, or steatosis_yesno 0",
            "steatosis_yesno 1 and NASH_score 0",
        ),
    ),
    Relation("CLN022", "clinrisk_score", ("clinrisk_score",), _risk_possible, _risk_says),
)
RISK_PARTS: Final = (
    "node_positive_primary",
    "multiple_metastases",
    "carcinoembryonic_antigen",
    "max_tumor_size",
    "synchronous_crlm",
)


Broken = Mapping[Relation, Sequence[int]]
"""Rows of the sheet that break each relation of a rule."""


@once
def rows_that_break(context: Context) -> dict[str, Broken]:
    """Rows of the sheet that break a relation between columns, by code."""
    table = clinical(context).wide.reindex(columns=_compared())
    return {
        code: {
            relation: [failure.row for failure in found if failure.title == relation.title]
            for relation in RELATIONS
            if relation.code == code
        }
        for code, found in pandera_engine.failures(row_model(context.tolerances), table).items()
    }


def _compared() -> list[str]:
    """Columns that the relations compare; a workbook of another collection may lack any of them."""
    return sorted({name for relation in RELATIONS for name in relation.columns} | set(RISK_PARTS))


def row_model(tolerances: Tolerances) -> Model:
    """The model of a row of the patient sheet."""
    return Model(
        "rows of the patient sheet",
        {name: Column(dtype="float64", nullable=True) for name in _compared()},
        tuple(relation.check(tolerances) for relation in RELATIONS),
    )


def need_any(table: Clinical, relations: Iterable[Relation]) -> list[Relation]:
    """Relations of a rule whose columns the sheet has.

    Raises
    ------
    Skip
        It has the columns of none.
    """
    every = list(relations)
    mine = [relation for relation in every if set(relation.columns) <= table.known]
    if not mine:
        table.need(*every[0].columns)
        raise Skip("the workbook lacks a column that this rule compares")
    return mine
