"""The clinical workbook as the rules look at it: its variables, its cells as they read, and a wide table of values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.headings import loose_heading, paired
from crlm_qc.collection.invisible import deceptive, name, plain_text
from crlm_qc.collection.profile import Sort
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.needs import need_workbook
from crlm_qc.subjects.strays import strays
from crlm_qc.subjects.words import number

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.collection.profile import Edition


class Reading(StrEnum):
    """How a cell reads; a cell has one reading, so that it gives one finding."""

    MISSING = "missing"
    """The dataset's code for a missing value."""
    NUMBER = "number"
    TEXT = "text"
    """Text where text belongs."""
    NO_NUMBER = "no-number"
    """Words, a date or a truth value where a number or code belongs."""
    FORMULA = "formula"
    RUNS = "runs"
    """Text that a spreadsheet would run as a formula."""
    MISSING_OTHERWISE = "missing-otherwise"
    """A missing value that is not written as the dataset's code."""
    PERCENT_OTHERWISE = "percent-otherwise"
    """A percent that is no fraction: text, or a whole number."""
    NUMBER_AS_TEXT = "number-as-text"
    OTHER_NOTATION = "other-notation"
    """Text with digits that is no number as this table writes it: a decimal comma, a limit, a unit."""
    DATE = "date"
    """A date where a number or code belongs."""


NOTES: Final = "relevant_notes"

_NUMERIC: Final = frozenset({Sort.CODE, Sort.NUMBER, Sort.PERCENT})
_WORDS: Final = frozenset({Sort.PATIENT, Sort.NOTE})
_DIGIT: Final = re.compile("[0-9]")
_LETTER: Final = re.compile(r"[^\W\d_]")
MARKERS: Final = frozenset(
    {"na", "n/a", "n.a.", "nan", "nil", "null", "none", "unknown", "unk", "missing", "not known", "not available"}
    | {"not applicable", "n/k", "nk", "tbd", "?", "-", "--", "."}
    | {"#n/a", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!"}
)
"""Words for a missing value, in lower case."""
_SENTINELS: Final = frozenset({-99999.0, -9999.0, -99.0, -9.0, 999.0, 9999.0, 99999.0})
"""Numbers that people write for a missing value; they count as one only where they can't be a value."""
_PARTS: Final = 8
_WHOLE_PERCENT: Final = 100.0
_RUNS: Final = re.compile(r"\s*[=+@\-]")
"""Beginnings of text that a spreadsheet runs, also when it opens a CSV export."""
_SIGNED: Final = re.compile(r"[+-]\s*[0-9][0-9.,' %]*")
"""A number with its sign, which runs nothing."""
_MONTHS: Final = "(?:jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]{0,6}"
_DATE: Final = re.compile(
    rf"[0-9]{{1,4}}([-./])[0-9]{{1,2}}\1[0-9]{{1,4}}([ t].*)?|[0-9]{{1,2}}[-./ ]*{_MONTHS}([-./ ]*[0-9]{{2,4}})?|{_MONTHS}[-./ ]+[0-9]{{1,4}}"
)
"""What spreadsheets make of a number that looks like a date, in a CSV export, in lower case."""


@dataclass(frozen=True)
class Clinical:
    """The workbook that the audit read."""

    path: str
    """As it may be shown."""
    edition: Edition | None
    columns: Mapping[str, str | None]
    """Headings as found to the variables that they mean; None for an unknown one."""
    letters: Mapping[str, str]
    """Letters of the columns, by heading."""
    cells: pd.DataFrame
    """A row a cell of a known variable: `row`, `patient`, `patient_id`, `variable`, `sort`, `text`, `type`, `value`,
    `low`, `high`, `coded` (whether the value is one of the codes) and `reading`."""
    wide: pd.DataFrame
    """A row a patient row (index: row of the sheet), a column a variable; values that are missing or impossible are NaN."""
    missing: pd.DataFrame
    """The same shape: whether the cell holds the code for a missing value."""
    patients: pd.Series[str]
    """Patient of each row; missing where the row has no ID that tells one."""
    strays: Mapping[int, str]
    """Rows that are no patient, with what they hold; their cells are left out."""
    codes: Mapping[str, frozenset[int]]
    """Codes of each coded variable."""

    @property
    def known(self) -> frozenset[str]:
        """Variables that the sheet has a column of."""
        return frozenset(name for name in self.columns.values() if name is not None)

    def need(self, *variables: str) -> None:
        """Skip the rule if the sheet lacks one of its columns.

        Raises
        ------
        Skip
            A column is not there: this edition has none, or another rule says that it is missing.
        """
        lacking = [name for name in variables if name not in self.known]
        if lacking:
            raise Skip(f"the workbook has no column {', '.join(lacking)}")

    def in_full(self, variables: Sequence[str]) -> int:
        """How many rows have a value of every one of some variables."""
        places = [self.wide.columns.get_loc(name) for name in variables]
        return int(self._there[:, places].all(axis=1).sum())

    @cached_property
    def _there(self) -> Any:
        """Which values of `wide` are there."""
        return self.wide.notna().to_numpy()

    def single(self) -> pd.DataFrame:
        """`wide` by patient instead of row, for patients that have just one row."""
        rows = self.patients[self.patients.notna() & ~self.patients.duplicated(keep=False)]
        by_patient = self.wide.loc[rows.index].copy()
        by_patient.index = rows.to_numpy()
        return by_patient.sort_index()


@once
def clinical(context: Context) -> Clinical:
    """The workbook of this audit, made ready.

    Raises
    ------
    Skip
        There is none, or it could not be read; other rules say so.
    """
    need_workbook(context)
    if context["clinical"].empty:
        sources = context["sources"]
        found = not sources[(sources["source"] == "clinical") & sources["used"]].empty
        raise Skip("the clinical workbook has no rows to read" if found else "no clinical workbook")
    return _build(context)


def value_text(value: float) -> str:
    """A value as the findings show it: a number that may be a record number has only its length told."""
    return number(value, 4)


_NAMES_OF_SIGNS: Final = {
    ",": "comma",
    ".": "point",
    "%": "percent sign",
    "+": "plus sign",
    "'": "apostrophe",
    "/": "slash",
    "~": "tilde",
} | {
    "<": "less-than sign",
    ">": "greater-than sign",
    "\N{LESS-THAN OR EQUAL TO}": "less-or-equal sign",
    "\N{GREATER-THAN OR EQUAL TO}": "greater-or-equal sign",
    "-": "hyphen",
    "\N{MINUS SIGN}": "Unicode minus",
    "\N{EN DASH}": "en dash",
    "\N{EM DASH}": "em dash",
    "(": "bracket",
    ")": "bracket",
    "\N{NO-BREAK SPACE}": "no-break space",
    "\N{NARROW NO-BREAK SPACE}": "no-break space",
    "\N{RIGHT SINGLE QUOTATION MARK}": "apostrophe",
}


def _part_name(first: str) -> str:
    if first.isdecimal():
        return "digits" if first.isascii() else "full-width digits" if first >= "\uff10" else "digits of another script"
    if first.isalpha():
        return "letters"
    if first in " \t":
        return "blank"
    known = _NAMES_OF_SIGNS.get(first)
    return known or (name(first) if deceptive(first) else "another character")


def notation(written: str) -> str:
    """The form of a value, which tells how it is written and not what it is.

    Parameters
    ----------
    written : str
        The text of a cell.

    Returns
    -------
    str
        For example `digits, comma, digits` for `39,3`, and `less-than sign, digits` for `<5`; at most eight parts.
    """
    parts = re.findall(r"[0-9]+|\d+|[^\W\d_]+|[ \t]+|.", written.strip(), re.DOTALL)
    names = [_part_name(part[0]) for part in parts]
    return ", ".join(names[:_PARTS]) + (" ..." if len(names) > _PARTS else "")


def codes_of(values: str, missing: float) -> frozenset[int] | None:
    """Codes that the Values column of the data dictionary states, the code for a missing value left out.

    Parameters
    ----------
    values : str
        Text such as `1 - Yes | 0 - No, | -999 - Unknown`, `1-Male | 2-Female` or `0-5, -999 - N/A`.
    missing : float
        The dataset's code for a missing value.

    Returns
    -------
    frozenset of int or None
        None if the text states no codes, such as `Continuous numeric`, or only one.
    """
    found: set[int] = set()
    for piece in re.split(r"[|;,\n]", re.sub(r"\([^()]*\)", " ", values)):
        if span := re.fullmatch(r"\s*([0-9]{1,3})\s*(?:-|\N{EN DASH}|to)\s*([0-9]{1,3})\s*", piece):
            low, high = map(int, span.groups())
            if low < high <= low + 50:
                found.update(range(low, high + 1))
        elif code := re.fullmatch(r"\s*(-?[0-9]{1,6})\s*(?:[-\N{EN DASH}=:](?![0-9]).*)?", piece):
            found.add(int(code[1]))
    found.discard(int(missing))
    return frozenset(found) if len(found) > 1 else None


def _build(context: Context) -> Clinical:
    sources = context["sources"]
    used = sources[(sources["source"] == "clinical") & sources["used"]]
    path = context.show.path(None if used.empty else used["path"].iloc[0])
    named = None if used.empty else used["edition"].iloc[0]
    edition = next((one for one in context.profile.editions if one.name == named), None)
    headings = _all_headings(context, used)
    columns = paired(headings, context.profile.variables)
    codes = _codes(context)
    cells = _cells(context, columns, codes)
    no_patients = strays(cells) if context.profile.patient_column in columns.values() else {}
    cells = cells[~cells["row"].isin(list(no_patients))].reset_index(drop=True)
    rows = context["clinical"].drop_duplicates("row").set_index("row")["patient"]
    rows.index = rows.index.astype(int)
    rows = rows[~rows.index.isin(list(no_patients))]
    names = list(context.profile.variables)
    wide = _wide(cells, "sound", rows.index, names)
    read = cells["reading"].isin([Reading.MISSING, Reading.NUMBER_AS_TEXT, Reading.PERCENT_OTHERWISE])
    cells["absent"] = (read & cells["value"].eq(context.profile.missing_code)).astype(float)
    missing = _wide(cells, "absent", rows.index, names).eq(1.0)
    return Clinical(path, edition, columns, _letters(used), cells, wide, missing, rows, no_patients, codes)


def _all_headings(context: Context, used: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys([*_listed(used, "columns"), *context["clinical"]["column"].unique()]))


def _letters(used: pd.DataFrame) -> dict[str, str]:
    return dict(zip(_listed(used, "columns"), _listed(used, "letters"), strict=False))


def _listed(used: pd.DataFrame, column: str) -> list[str]:
    """What the reader listed of the workbook that the audit read."""
    listed = used[column].iloc[0] if not used.empty else None
    return list(json.loads(listed)) if isinstance(listed, str) else []


def _codes(context: Context) -> dict[str, frozenset[int]]:
    variables = context.profile.variables
    codes = {name: variable.codes for name, variable in variables.items() if variable.sort is Sort.CODE}
    plain = {loose_heading(name): name for name in codes}
    dictionary = context["clinical_dictionary"]
    for variable, values in zip(dictionary["variable"], dictionary["values"], strict=True):
        name = plain.get(loose_heading(variable)) if isinstance(variable, str) else None
        if name is not None and isinstance(values, str):
            codes[name] = codes_of(values, context.profile.missing_code) or codes[name]
    return codes


def _cells(context: Context, columns: Mapping[str, str | None], codes: Mapping[str, frozenset[int]]) -> pd.DataFrame:
    import numpy as np

    table = context["clinical"]
    cells: pd.DataFrame = table[["row", "patient", "patient_id", "text", "type", "value"]].assign(
        variable=table["column"].map(columns)
    )
    cells = cells[cells["variable"].notna()].reset_index(drop=True)
    cells["row"] = cells["row"].astype(int)
    spec = {name: context.profile.variables[name] for name in cells["variable"].unique()}
    cells["sort"] = cells["variable"].map({name: one.sort.value for name, one in spec.items()})
    cells["low"] = cells["variable"].map({name: one.low for name, one in spec.items()})
    cells["high"] = cells["variable"].map({name: one.high for name, one in spec.items()})
    allowed = {(name, float(code)) for name, listed in codes.items() for code in listed}
    cells["coded"] = [pair in allowed for pair in zip(cells["variable"], cells["value"], strict=True)]
    cells["reading"] = _readings(cells, context.profile.missing_code)
    in_range = cells["coded"].where(cells["sort"] == Sort.CODE, cells["value"].between(cells["low"], cells["high"]))
    readable = cells["reading"].isin([Reading.NUMBER, Reading.NUMBER_AS_TEXT, Reading.PERCENT_OTHERWISE])
    cells["sound"] = np.where(readable & in_range, cells["value"], np.nan)
    cells["numeric"] = cells["sort"].isin(_NUMERIC)
    cells["good"] = cells["numeric"] & (cells["sound"].notna() | (cells["value"] == context.profile.missing_code))
    return cells


def _readings(cells: pd.DataFrame, missing_code: float) -> list[str]:
    """How each cell reads."""
    columns = (cells[name].tolist() for name in ("text", "type", "sort", "value", "coded", "low", "high"))
    return [
        _reading(text if isinstance(text, str) else "", kind, sort, value, coded, low, high, missing_code)
        for text, kind, sort, value, coded, low, high in zip(*columns, strict=True)
    ]


def _reading(
    raw: str, kind: Any, sort: str, value: float, coded: bool, low: float, high: float, missing_code: float
) -> str:
    """How a cell reads; the first that fits holds."""
    has_value = value == value
    possible = coded if sort == Sort.CODE else low <= value <= high
    if kind == "formula":
        return Reading.FORMULA.value
    if kind == "text":
        return _reading_of_text(raw, sort, value, missing_code, possible=possible).value
    if sort in _WORDS:
        return Reading.TEXT.value
    if kind in ("blank", "error"):
        return Reading.MISSING_OTHERWISE.value
    if has_value and value == missing_code:
        return Reading.MISSING.value
    if sort not in _NUMERIC:
        return Reading.TEXT.value
    if kind == "date":
        return Reading.DATE.value
    return _reading_of_number(sort, value, possible=possible, percent_sign=False).value


def _reading_of_text(raw: str, sort: str, value: float, missing_code: float, *, possible: bool) -> Reading:
    """How a cell reads that holds text."""
    text = plain_text(raw).strip()
    marker = text.lower() in MARKERS
    has_value, numeric = value == value, sort in _NUMERIC
    if not has_value and not marker and _RUNS.match(raw) and not (numeric and _SIGNED.fullmatch(text)):
        return Reading.RUNS
    if sort in _WORDS:
        return Reading.TEXT
    if marker:
        return Reading.MISSING_OTHERWISE
    if not numeric:
        return Reading.TEXT
    if not has_value:
        return _reading_of_words(text, sort)
    percent_sign = "%" in text
    if _looks_otherwise(raw) or (percent_sign and sort != Sort.PERCENT):
        return Reading.OTHER_NOTATION
    found = _reading_of_number(sort, value, possible=possible, percent_sign=percent_sign)
    if found is Reading.NUMBER and (possible or value == missing_code):
        return Reading.NUMBER_AS_TEXT
    return found


def _reading_of_words(text: str, sort: str) -> Reading:
    """How text reads that gives no number, where a number or code belongs."""
    # Words in a column of numbers stand for a number that is not known; in a column of codes they may be a code's label.
    words = sort in (Sort.NUMBER, Sort.PERCENT)
    if _DIGIT.search(text):
        if _DATE.fullmatch(text.lower()):
            return Reading.DATE
        if words or not _LETTER.search(text):
            return Reading.OTHER_NOTATION
    return Reading.MISSING_OTHERWISE if words else Reading.NO_NUMBER


def _reading_of_number(sort: str, value: float, *, possible: bool, percent_sign: bool) -> Reading:
    """How a value reads where a number or code belongs."""
    if value != value:
        return Reading.NO_NUMBER
    if value in _SENTINELS and not possible:
        return Reading.MISSING_OTHERWISE
    if sort == Sort.PERCENT and (percent_sign or 1 < value <= _WHOLE_PERCENT):
        return Reading.PERCENT_OTHERWISE
    return Reading.NUMBER


def _looks_otherwise(text: str) -> bool:
    """Whether a text has characters that look like others; what can't be seen is none."""
    return not text.isascii() and any(not one.isascii() and one.isprintable() for one in text)


def _wide(cells: pd.DataFrame, column: str, rows: pd.Index[int], names: Sequence[str]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    made = np.full((len(rows), len(names)), np.nan)
    place = {name: column for column, name in enumerate(names)}
    made[rows.get_indexer(pd.Index(cells["row"])), cells["variable"].map(place)] = cells[column]
    return pd.DataFrame(made, index=rows, columns=list(names))
