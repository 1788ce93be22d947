"""Evidence without what may identify a person: for tables that leave the machine.

Text of a known kind stays as it is: numbers, UIDs, dates of the release's range, codes, and the collection's own words.
Any other text becomes `redacted text 7`, the same number wherever the same text stood, so that an audit of the tables
compares what it compared before. Nothing can be worked back from the number.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.deidentification import GROUP, is_too_old
from crlm_qc.collection.forms import (
    age_in_years,
    begins_with_day,
    copied_name,
    day_of,
    is_meant_as_uid,
    series_folder,
    study_folder,
)
from crlm_qc.collection.headings import loose_heading, nearest
from crlm_qc.collection.invisible import plain_text
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.series_lists import NEWER, read_headings
from crlm_qc.collection.series_lists import nearest as alike
from crlm_qc.collection.show import LARGEST, Show
from crlm_qc.collection.snomed import is_sctid
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.tables import TABLES
from crlm_qc.subjects.notes import lies_as_told
from crlm_qc.subjects.strays import tells_of_figures
from crlm_qc.subjects.workbook import codes_of

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.evidence.columns import Columns

OURS: Final = frozenset(
    {
        *(
            "source",
            "problem",
            "detail",
            "content",
            "kind",
            "role",
            "level",
            "masks",
            "masks_detail",
            "letters",
            "packing",
            "volume_basis",
            "placement",
        ),
        *(
            "about",
            "fact",
            "type",
            "missing",
            "malformed",
            "empty",
            "invalid_uids",
            "invalid_values",
            "dimension_pointers",
            "dimension_index",
            "segments_held",
            "sha256",
            "pixel_digest",
            "mask_digest",
            "cell",
        ),
        *(
            "others",
            "attribute",
            "tag",
            "vr",
            "state",
            "code",
            "length",
            "pattern",
            "creator",
            "location_problem",
            "edition",
            "relation",
            "differing",
        ),
        *("patient", "pixels", "pixels_detail", "tool", "message", "axis"),
    }
)
"""Columns that hold words of this program, or numbers, and never a text of a file."""
PATHS: Final = frozenset({"path", "folder", "dso", "file_location", "copy_of"})
TECHNIQUE: Final = frozenset({"manufacturer", "manufacturer_model", "convolution_kernel", "contrast_agent"})
"""Columns that say with what an image was made, in words of makers."""
OLD: Final = GROUP + 1
"""What ages become that are over 89 and not given as one group: which of them it is, is not kept."""
NO_AGE: Final = 131
"""What numbers become that stand for an age and are none, such as a year of birth."""

_MOST: Final = int(LARGEST)
NUMBERS: Final[Mapping[str, Mapping[str, int]]] = {
    "slices": dict.fromkeys(("instance_number", "acquisition_number", "series_number"), _MOST),
    "dsos": {"series_number": _MOST},
    "ct_series": dict.fromkeys(("instance_number_min", "instance_number_max"), _MOST),
    # A series has some hundred megabytes.
    "metadata": {"images": _MOST, "size_decimal": 10**11, "size_binary": 10**11},
}
"""Numbers that people give, and the largest that they keep: one beyond may be a record number."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,5}(\.[0-9]{1,17})? ?(%|B|KB|MB|GB)?")
_STAMP = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}(Z|[+-][0-9:]{5})?")
_FORMAT = re.compile(r"[0#?.,%@;()/: E+-]*(General)?")
_COMPACT, _DASHED = re.compile(r"[0-9]{8}"), re.compile(r"([0-9]{2})([-/])([0-9]{2})\2([0-9]{4})")
_DOTTED = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}")
_BEGUN = re.compile(r"[0-9]{4}([-./]?)[0-9]{2}\1[0-9]{2}")
"""A date that something may follow, as `day_of` reads it."""
_DATE = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}")
"""A date, in whatever order and of however many digits."""
_DRIVE = re.compile("[A-Za-z]:")
_CODES = re.compile(r"[0-9]{1,5}|[A-Z]-[0-9A-F]{4,5}")
_WRITTEN = re.compile(r"\s*[^\w\s=@]?\s*[0-9].*|\s*[^=@][\W\d_]*")
"""A number in whatever notation."""
_NO_DATE = "00-00-0000"
"""What a study folder's date becomes that is none, such as one whose day comes first."""
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
        *("ct", "seg", "mr", "pt", "sr", "ot", "rtstruct", "binary", "fractional", "labelmap", "undefined"),
        *("derived", "primary", "secondary", "axial", "localizer", "reformatted", "average", "mpr"),
        *("monochrome1", "monochrome2", "palette color", "rgb", "ybr_full", "ybr_full_422"),
        *("hu", "od", "us", "mgml", "z_eff", "ed", "edw", "hu_mod", "pct"),
        *("iso_10918_1", "iso_14495_1", "iso_15444_1", "iso_15444_15", "iso_18181_1"),
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
            "title",
            "subject",
            "keywords",
            "category",
            "variable",
            "entry",
        ),
        *("vein", "mass", "tissue", "portal vein", "hepatic vein", "blood vessel", "neoplasm", "lesion", "artery"),
        *("anatomical structure", "morphologically altered structure", "body structure", "tcia", "nbia"),
        *("ge medical systems", "philips medical systems", "philips", "siemens", "siemens healthineers", "toshiba"),
        *(
            "original\\primary\\axial",
            "original\\primary\\localizer",
            "derived\\primary\\axial",
            "derived\\secondary\\axial",
        ),
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

    def knows(self, shown: str) -> bool:
        """Whether a folder's name shows a text without some signs."""
        return _letters(shown) in self._variants

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
    """The letters and digits that a folder's name holds of a text: those without accents, if there are any."""
    composed = unicodedata.normalize("NFC", text)
    found = "".join(letter for letter in composed if letter.isalnum()).casefold()
    return "".join(letter for letter in found if letter.isascii()) or found


class _Redactor:
    """Judges the texts of one release."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._show = Show(profile)
        self._texts, self._names = _Tokens(), _Tokens()
        self._days: dict[dt.date, dt.date] = {}
        headings = [*profile.metadata_columns, *(name for item in profile.editions for name in item.columns)]
        headings += ["Variable Name", "Description", "Values", profile.patient_sheet, profile.dictionary_sheet]
        classes = [name for known in profile.modalities.values() for name in known.values()]
        names = [*headings, *classes, *profile.published.manufacturers, f"https://doi.org/{profile.doi}", profile.doi]
        self._known = {loose_heading(name) for name in (*_WORDS, *names)}
        self._pseudonyms = [one.pattern for one in profile.variables.values() if one.pattern is not None]

    def text(self, value: str) -> str:
        """A text of a file."""
        if (day := self._date(value)) is not None:
            return day
        if self._is_safe(value):
            return value
        # What a spreadsheet would run would be run still.
        return (value[0] if value[0] in "=+-@\t\r" else "") + self._texts(value)

    def date(self, value: str) -> str:
        """A date as a header gives it: what follows it becomes a number, and it is a date still."""
        bare = value.strip()
        match = _BEGUN.match(bare)
        day = day_of(bare)
        if match is None or day is None:
            return self.text(value)
        kept = self._date(day) or ""
        kept = match[1].join((kept[:4], kept[4:6], kept[6:]))
        if match.end() == len(bare):
            return value.replace(bare, kept)
        return f"{kept} {self._texts(bare)}"

    def written_date(self, value: str) -> str:
        """A date of metadata.csv; of one in another notation how it is written, and whether the day comes first."""
        if self._date(value.strip()) is not None or not _DATE.fullmatch(value.strip()):
            return self.text(value)
        form = re.sub("[0-9]", "1", value)
        return form.replace("11", "31", 1) if begins_with_day(value) else form

    def age(self, value: str) -> str:
        """An age as a header gives it."""
        if is_too_old(value):
            return f"{OLD:03d}Y"
        if age_in_years(value) is not None:
            return value
        # Four digits may be a year of birth.
        return self._texts(value) if re.search("[0-9]", value) else self.text(value)

    def code(self, value: str) -> str:
        """A code of a coding scheme, or a name of one."""
        return value if _CODES.fullmatch(value) or is_sctid(value) else self.text(value)

    def terms(self, value: str) -> str:
        """Values of an attribute, parted by backslashes."""
        return "\\".join(map(self.text, value.split("\\")))

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
        """Headings as a JSON list; those that are known in a list of series stay, however they are written."""
        found, expected = json.loads(value), self._profile.metadata_columns
        names = read_headings([one if isinstance(one, str) else "" for one in found], expected)
        kept = {place for place, known in enumerate(names.known) if known is not None} | set(alike(names, expected))
        return json.dumps(
            [
                one if not isinstance(one, str) or one in NEWER or place in kept else self.heading(one)
                for place, one in enumerate(found)
            ]
        )

    def cell(self, value: str) -> str:
        """A text in a cell; of one that begins with a number, or holds no letters, how it is written."""
        if self._is_safe(value) or value.strip().isdecimal() or not _WRITTEN.fullmatch(value):
            return self.text(value)
        return re.sub("[0-9]", "1", re.sub(r"[^\W\d_]", "x", value))

    def row_label(self, value: str) -> str:
        """What stands where an ID is expected; that it tells of totals or means stays."""
        return "total" if tells_of_figures(value) else self.text(value)

    def heading(self, value: str) -> str:
        """A heading of the workbook; one that is nearly known stays."""
        return value if nearest(value, self._profile.variables) else self.text(value)

    def path(self, value: str) -> str:
        """A path: what the collection names itself stays, and so does the ending of a file's name."""
        return re.sub(r"[^/\\]+", lambda match: self._part(match[0]), value)

    def _part(self, part: str) -> str:
        if study := study_folder(part):
            date = self._date(study.date) or _NO_DATE
            return study._replace(date=date, description=self._of_study(study.description)).name
        if series := series_folder(part):
            number = str(min(int(series.number), _MOST))
            return series._replace(number=number, description=self._description(series.description)).name
        if self._show.path(part) == part or _DRIVE.fullmatch(part):
            return part
        copied = copied_name(part)
        if copied.mark:
            return copied.marked(self._part(copied.original))
        stem, dot, ending = part.rpartition(".")
        if dot and ending.lower() in _ENDINGS:
            return f"{self._names(stem)}.{ending}"
        return self._names(part)

    def _of_study(self, text: str) -> str:
        """What the folder of a study shows: StudyID or NA and the description, or the description alone."""
        number, dash, rest = text.partition("-")
        if not dash or self._texts.knows(text):
            return self._description(text)
        return f"{number if self._is_safe(number) else self._texts.like(number)}-{self._description(rest)}"

    def _description(self, text: str) -> str:
        return text if self._show.is_plain(text) or not text else self._texts.like(text)

    def _is_safe(self, value: str) -> bool:
        bare = plain_text(value).strip()
        if (
            not bare
            or self._profile.meant_patient_id(bare) is not None
            or loose_heading(bare) in self._known
            or is_meant_as_uid(bare)
            or any(pattern.fullmatch(bare) for pattern in (_STAMP, *self._pseudonyms))
        ):
            return True
        if self._show.pattern(bare) is not None:
            return False
        return self._show.is_plain(bare) or self._profile.term(bare) is not None or bool(_NUMBER.fullmatch(bare))

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
    elif _DOTTED.fullmatch(value):
        form = "%Y.%m.%d"
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
    redaction = Redaction(profile, lambda name, column: sorted(evidence[name][column].dropna().unique()))
    return Evidence(evidence.facts, {name: redaction.of(name, evidence[name]) for name in evidence})


class Redaction:
    """What each text of a release becomes: known of all of them before the first is replaced, table by table.

    Parameters
    ----------
    profile : Profile
        The collection's profile.
    texts : callable
        Gives the texts that a column of a table holds, each once, in their order.
    """

    def __init__(self, profile: Profile, texts: Callable[[str, str], Iterable[str]]) -> None:
        self._redactor = _Redactor(profile)
        self._replaced: dict[tuple[str, str], dict[str, str]] = {}
        # Texts first: a folder's name is compared with the description that it is made of.
        for paths in (False, True):
            for name, table in TABLES.items():
                for column in table.columns:
                    if column.dtype == "str" and _holds_paths(name, column.name) is paths:
                        way = _way(self._redactor, name, column.name)
                        found = () if way is None else ((text, way(text)) for text in texts(name, column.name))
                        self._replaced[name, column.name] = {text: new for text, new in found if text != new}

    def of(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """A table with every text replaced that may identify somebody, and with no number that may.

        Parameters
        ----------
        name : str
            Its name.
        table : pandas.DataFrame
            As it was read.
        """
        redacted = table.copy()
        for column in TABLES[name].dtypes:
            if replaced := self._replaced.get((name, column)):
                values = table[column]
                redacted[column] = values.map(
                    lambda text, new=replaced: new.get(text, text), na_action="ignore"
                ).astype(values.dtype)
        if name == "clinical":
            self._of_cells(redacted, table)
        for number, largest in NUMBERS.get(name, {}).items():
            redacted[number] = redacted[number].clip(-largest, largest)
        return redacted

    def _of_cells(self, clinical: pd.DataFrame, original: pd.DataFrame) -> None:
        """Notes, numbers and ages of the workbook."""
        notes = clinical["column"].fillna("") == "relevant_notes"
        clinical.loc[notes, "text"] = _mapped(original.loc[notes, "text"], self._redactor.note)
        clinical["value"] = clinical["value"].clip(-LARGEST, LARGEST)
        ages = clinical["column"].fillna("").map(loose_heading) == "age"
        years = clinical.loc[ages, "value"]
        clinical.loc[ages, "value"] = years.where(~(years > GROUP), OLD).where(~(years >= NO_AGE), NO_AGE)
        texts = original.loc[ages, "text"]
        clinical.loc[ages, "text"] = texts.map(_age_of_cell, na_action="ignore").fillna(clinical.loc[ages, "text"])


def _holds_paths(table: str, column: str) -> bool:
    return column in PATHS or (table, column) == ("files", "name")


def tells_nobody(read: Columns, profile: Profile) -> bool:
    """Whether redaction would leave what was read of a patient as it is.

    Of names of scanners and of how an image was made, which are no words of the collection, it is asked no more than that
    they don't look like something that identifies a person.

    Parameters
    ----------
    read : Columns
        Rows of the tables of a patient.
    profile : Profile
        The collection's profile.
    """
    redactor, show = _Redactor(profile), Show(profile)
    parts: set[str] = set()
    for name, table in TABLES.items():
        for column in table.columns:
            if column.dtype != "str" or column.name in OURS:
                continue
            values = {value for value in read.texts(name, column.name) if value is not None}
            if _holds_paths(name, column.name):
                parts.update(part for value in values for part in re.split(r"[/\\]", value))
            elif column.name in TECHNIQUE:
                if any(show.pattern(value) is not None for value in values):
                    return False
            elif any(_changed(value, redactor, name, column.name) for value in values):
                return False
    large = (
        abs(number) > most
        for name, largest in NUMBERS.items()
        for column, most in largest.items()
        for number in read.numbers(name, column)
    )
    return not any(large) and all(redactor.path(part) == part for part in parts)


def _changed(value: str, redactor: _Redactor, table: str, column: str) -> bool:
    """Whether redaction changes a text of a column; most are UIDs, which it does not."""
    way = _way(redactor, table, column)
    return way is not None and not (column.endswith("uid") and is_meant_as_uid(value)) and way(value) != value


def _age_of_cell(text: str) -> str | None:
    """The text of a cell that holds an age over 89, or a number that is none, without telling which; None for any other."""
    match = re.fullmatch(r"\s*([0-9]{1,9})(\.[0-9]+)?\s*", text)
    years = int(match[1]) if match else age_in_years(text)
    if years is None or int(years) <= GROUP:
        return None
    return str(OLD if years < NO_AGE else NO_AGE)


def _way(redactor: _Redactor, table: str, column: str) -> Callable[[str], str] | None:
    """What is done with the texts of a column; None for columns that hold none of a file."""
    if column in OURS:
        return None
    if _holds_paths(table, column):
        return redactor.path
    ways: Mapping[tuple[str, str], Callable[[str], str]] = {
        ("sources", "columns"): redactor.headings,
        ("clinical", "column"): redactor.heading,
        ("clinical", "text"): redactor.cell,
        ("clinical", "patient_id"): redactor.row_label,
        ("clinical_dictionary", "values"): redactor.stated_codes,
        ("clinical", "number_format"): redactor.number_format,
        ("metadata", "study_date"): redactor.written_date,
        ("slices", "patient_age"): redactor.age,
        **{(name, date): redactor.date for name in ("slices", "dsos") for date in ("study_date", "series_date")},
        ("slices", "image_type"): redactor.terms,
        ("slices", "lossy_ratio"): redactor.terms,
        ("slices", "lossy_method"): redactor.terms,
        ("dsos", "patient_age"): redactor.age,
        ("segments", "type_code"): redactor.code,
        ("segments", "category_code"): redactor.code,
        ("workbook", "name"): lambda value: value if _PART.fullmatch(value) else redactor.text(value),
    }
    return ways.get((table, column), redactor.text)


def _mapped(values: pd.Series[Any], way: Callable[[str], str]) -> Any:
    return values.map({one: way(one) for one in sorted(values.dropna().unique())}).astype(values.dtype)
