"""Evidence without what may identify a person: for tables that leave the machine.

Text of a known kind stays as it is: numbers, UIDs, dates of the release's range, codes, and the collection's own words.
Any other text becomes `redacted text 7`, the same number wherever the same text stood, so that an audit of the tables
compares what it compared before. Nothing can be worked back from the number.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.model.evidence import Evidence
from crlm_qc.model.headings import plain_heading
from crlm_qc.model.profile import Profile
from crlm_qc.model.show import Show
from crlm_qc.model.tables import TABLES
from crlm_qc.rules._clinical import codes_of
from crlm_qc.rules._notes import lies_as_told

if TYPE_CHECKING:
    import pandas as pd

OURS: Final = frozenset(
    {
        *("source", "problem", "detail", "kind", "role", "level", "masks", "masks_detail", "volume_basis", "placement"),
        *(
            "about",
            "fact",
            "type",
            "missing",
            "invalid_uids",
            "dimension_pointers",
            "dimension_index",
            "sha256",
            "cell",
        ),
        *("attribute", "tag", "vr", "state", "code", "length", "pattern", "creator", "location_problem", "edition"),
        *("patient", "pixels"),
    }
)
"""Columns that hold words of this program, or numbers, and never a text of a file."""
PATHS: Final = frozenset({"path", "folder", "dso", "file_location"})
LARGEST: Final = 99_999.0
"""Numbers of a workbook's cells beyond this may be record numbers, and become it."""

_UID = re.compile(r"[0-9]{1,20}(\.[0-9]{1,39}){3,}|2\.25\.[0-9]{1,39}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,5}(\.[0-9]{1,17})? ?(%|B|KB|MB|GB)?|[0-9]{3}[DWMY]")
_STAMP = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}(Z|[+-][0-9:]{5})?")
_FORMAT = re.compile(r"[0#?.,%@;()/: E+-]*(General)?")
_COMPACT, _DASHED = re.compile(r"[0-9]{8}"), re.compile(r"([0-9]{2})([-/])([0-9]{2})\2([0-9]{4})")
_CODES = re.compile(r"[0-9]{1,18}|[A-Z]-[0-9A-F]{4,5}")
_STUDY = re.compile(r"([0-9]{2}-[0-9]{2}-[0-9]{4})-(.*)-([0-9.]{1,5})", re.DOTALL)
_SERIES = re.compile(r"([0-9]{1,8}\.[0-9]{6})-(.*)-([0-9.]{1,5})", re.DOTALL)
_ENDINGS = frozenset({"csv", "dcm", "json", "md", "pdf", "tcia", "txt", "xls", "xlsx", "xlsm", "zip"})
_PART = re.compile(r"externalLink[0-9]{1,4}\.xml|connections\.xml|vbaProject\.bin")
_NOTES = {"prone": "Patient was scanned prone.", "supine": "Patient was scanned supine."}
_LEAST_CUT = 12
"""A folder's name may hold the beginning of a description alone, from this many letters on."""

_WORDS: Final = frozenset(
    {
        *(
            "yes",
            "no",
            "y",
            "n",
            "true",
            "false",
            "none",
            "unknown",
            "na",
            "n/a",
            "nan",
            "null",
            "missing",
            "id",
            "-",
            "?",
        ),
        *("male", "female", "m", "f", "o", "alive", "dead", "modified", "unmodified", "removed", "original"),
        *("ct", "seg", "mr", "pt", "sr", "ot", "rtstruct", "binary", "fractional", "labelmap"),
        *("hfs", "hfp", "hfdr", "hfdl", "ffs", "ffp", "ffdr", "ffdl", "abdomen", "chest", "pelvis", "liver"),
        *(
            "sct",
            "srt",
            "dcm",
            "snm3",
            "99sct",
            "umls",
            "fma",
            "qiicr",
            "creator",
            "lastmodifiedby",
            "manager",
            "abspath",
        ),
        *("vein", "mass", "tissue", "portal vein", "hepatic vein", "blood vessel", "neoplasm", "lesion", "artery"),
        *("anatomical structure", "morphologically altered structure", "body structure", "tcia", "nbia"),
        *("ge medical systems", "philips medical systems", "philips", "siemens", "siemens healthineers", "toshiba"),
        "git://github.com/qiicr/dcmqi.git",
        "https://github.com/qiicr/dcmqi",
    }
)
"""Whole texts, in lower case, that name nobody."""


class _Tokens:
    """Numbers that stand for texts: one a text, texts that differ in case, spaces or signs alone told apart by marks."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._variants: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        if text not in self._tokens:
            key = _letters(text)
            variants = self._variants.setdefault(key, [])
            number = self._numbers.setdefault(key, len(self._numbers) + 1)
            # As long as the text was, as far as reports tell it.
            length = len(text.strip())
            word = f"r{number:x}" if length <= 8 else f"redacted text {number}"
            word += " of more than 32 characters" if length > 32 else ""
            variants.append(text)
            self._tokens[text] = word + "'" * (len(variants) - 1)
        return self._tokens[text]

    def like(self, shown: str) -> str:
        """The token of the text that a folder's name shows without some signs, or cut short; or a new one."""
        key = _letters(shown)
        if key in self._variants:
            return self(self._variants[key][0])
        if len(key) >= _LEAST_CUT:
            whole = next((known for known in self._variants if known.startswith(key)), None)
            if whole is not None:
                return self(self._variants[whole][0])
        return self(shown)


def _letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum()).casefold()


class _Redactor:
    """Judges the texts of one release."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._show = Show(profile)
        self._texts, self._names = _Tokens(), _Tokens()
        self._days: dict[dt.date, dt.date] = {}
        # Pseudonyms of the workbook.
        self._forms = [one.pattern for one in profile.variables.values() if one.pattern is not None]
        headings = [*profile.metadata_columns, *(name for item in profile.editions for name in item.columns)]
        headings += ["Variable Name", "Description", "Values", profile.patient_sheet, profile.dictionary_sheet]
        classes = [name for known in profile.modalities.values() for name in known.values()]
        names = [*headings, *classes, *profile.published.manufacturers, f"https://doi.org/{profile.doi}", profile.doi]
        self._known = _WORDS | {plain_heading(name) for name in names}
        self._pseudonyms = [one.pattern for one in profile.variables.values() if one.pattern is not None]

    def text(self, value: str) -> str:
        """A text of a file."""
        if (day := self._date(value)) is not None:
            return day
        if self._is_safe(value):
            return value
        # What a spreadsheet would run would be run still.
        return (value[0] if value[0] in "=+-@\t\r" else "") + self._texts(value)

    def code(self, value: str) -> str:
        """A code of a coding scheme, or a name of one."""
        return value if _CODES.fullmatch(value) else self.text(value)

    def note(self, value: str) -> str:
        """A free-text note: what it says of the patient's position stays."""
        lies = lies_as_told(value)
        return _NOTES[lies] if lies and not self._is_safe(value) else self.text(value)

    def stated_codes(self, value: str) -> str:
        """What the Data Dictionary says of a variable's values: the codes stay, their meanings do not."""
        codes = codes_of(value, self._profile.missing_code)
        return " | ".join(f"{code} - redacted" for code in sorted(codes)) if codes else self.text(value)

    def number_format(self, value: str) -> str:
        """A format of a cell; one that holds words shows a number as they please, and is taken for none."""
        return value if _FORMAT.fullmatch(value) else "General"

    def headings(self, value: str) -> str:
        """Headings as a JSON list."""
        return json.dumps([self.text(one) if isinstance(one, str) else one for one in json.loads(value)])

    def path(self, value: str) -> str:
        """A path: what the collection names itself stays, and so does the ending of a file's name."""
        return re.sub(r"[^/\\]+", lambda match: self._part(match[0]), value)

    def _part(self, part: str) -> str:
        for pattern in (_STUDY, _SERIES):
            if match := pattern.fullmatch(part):
                first, middle, last = match.groups()
                shown = middle if self._show.is_plain(middle) or not middle else self._texts.like(middle)
                return f"{self._date(first) or first}-{shown}-{last}"
        if self._show.path(part) == part:
            return part
        stem, dot, ending = part.rpartition(".")
        if dot and ending.lower() in _ENDINGS:
            return f"{self._names(stem)}.{ending}"
        return self._names(part)

    def _is_safe(self, value: str) -> bool:
        bare = value.strip()
        return (
            not bare
            or self._show.is_plain(bare)
            or self._profile.is_patient_id(bare.upper())
            or plain_heading(bare) in self._known
            or self._profile.term(bare) is not None
            or any(pattern.fullmatch(bare) for pattern in (_UID, _NUMBER, _STAMP, *self._pseudonyms))
        )

    def _date(self, value: str) -> str | None:
        """A date as it was if it lies in the release's range or is known; another one as a day that nobody lived."""
        day, form = _day(value)
        if day is None:
            return None
        known = self._profile.deidentification
        text = day.strftime("%Y%m%d")
        if known.first_date and known.last_date:
            listed = {one for days in known.series_dates.values() for one in days}
            if not known.first_date <= text <= known.last_date and text not in listed:
                start = dt.date(1800, 1, 1) if text < known.first_date else dt.date(2900, 1, 1)
                day = self._days.setdefault(day, start + dt.timedelta(days=len(self._days)))
        return day.strftime(form)


def _day(value: str) -> tuple[dt.date | None, str]:
    if _COMPACT.fullmatch(value):
        form = "%Y%m%d"
    elif match := _DASHED.fullmatch(value):
        form = f"%m{match[2]}%d{match[2]}%Y"
    else:
        return None, ""
    try:
        return dt.datetime.strptime(value, form).date(), form  # noqa: DTZ007 - a date of a file has no time zone
    except ValueError:
        return None, ""


def redact(evidence: Evidence, profile: Profile) -> Evidence:
    """Evidence with every text that may identify somebody replaced.

    Parameters
    ----------
    evidence : Evidence
        Tables of a release, as they were read.
    profile : Profile
        The collection's profile: its words, codes and dates stay.

    Returns
    -------
    Evidence
        Tables of the same rows and columns. Numbers of cells beyond `LARGEST` are that number.
    """
    redactor = _Redactor(profile)
    tables = {name: evidence[name].copy() for name in evidence}
    # Texts first: a folder's name is compared with the description that it is made of.
    for paths in (False, True):
        for name, table in tables.items():
            for column in TABLES[name].columns:
                if (
                    column.dtype == "str"
                    and (column.name in PATHS or (name, column.name) == ("files", "name")) is paths
                ):
                    table[column.name] = _mapped(table[column.name], _way(redactor, name, column.name))
    clinical = tables["clinical"]
    notes = clinical["column"].fillna("") == "relevant_notes"
    original = evidence["clinical"].loc[notes, "text"]
    clinical.loc[notes, "text"] = _mapped(original, redactor.note)
    clinical["value"] = clinical["value"].clip(-LARGEST, LARGEST)
    return Evidence(evidence.facts, tables)


def _way(redactor: _Redactor, table: str, column: str) -> Callable[[str], str] | None:
    """What is done with the texts of a column; None for columns that hold none of a file."""
    if column in OURS:
        return None
    if column in PATHS or (table, column) == ("files", "name"):
        return redactor.path
    ways: Mapping[tuple[str, str], Callable[[str], str]] = {
        ("sources", "columns"): redactor.headings,
        ("clinical_dictionary", "values"): redactor.stated_codes,
        ("clinical", "number_format"): redactor.number_format,
        ("segments", "type_code"): redactor.code,
        ("segments", "category_code"): redactor.code,
        ("workbook", "name"): lambda value: value if _PART.fullmatch(value) else redactor.text(value),
    }
    return ways.get((table, column), redactor.text)


def _mapped(values: pd.Series[Any], way: Callable[[str], str] | None) -> Any:
    if way is None:
        return values
    return values.map({one: way(one) for one in sorted(values.dropna().unique())}).astype(values.dtype)
