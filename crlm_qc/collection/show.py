"""What of a value from a file may be shown.

Files are untrusted, and a release that is being checked may still hold what identifies a person. So every value
that a finding shows goes through here: numbers, dates, codes of a known set, UIDs of the collection and names made of
the collection's own vocabulary are shown; other text is described by its length alone.
A text that looks like a telephone number, a date or the like is never shown, whatever it is made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Final

from crlm_qc.collection.deidentification import Pattern, looks_like
from crlm_qc.collection.forms import age_in_years, copied_name, is_meant_as_uid, series_folder, study_folder
from crlm_qc.collection.places import Places
from crlm_qc.collection.profile import Profile
from crlm_qc.model.finding import DOWNLOAD_FOLDER, Alias

EMPTY = "empty"
STANDARD_UID_ROOT = "1.2.840.10008"
HIDDEN = "\N{HORIZONTAL ELLIPSIS}"
STRANGE_DATE = "a date outside of the release's range"

LARGEST: Final = 99_999.0
"""Numbers beyond this may be record numbers: how many digits they have is shown, and no digit."""
OLDEST: Final = 89
"""Ages above this may identify a person, so they are one group."""
_NO_AGE: Final = 130
"""Nobody is this old: a number beyond it is none of years."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,4}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?")
_MOST_DIGITS, _MOST_IN_A_ROW = 6, 4
"""Digits of a description that is shown: in all, and of numbers with no word between them."""
_REMEMBERED: Final = 4096
"""Parts of paths of which it is remembered how they are shown."""
_MOST_OF_A_NUMBER = 5
"""Digits of a SeriesNumber that is shown, as `LARGEST` has."""
_WORD = re.compile(r"[^\W\d_]+|\d+")
_IMAGE_FILE = re.compile(r"[0-9]{1,3}-[0-9]{1,5}(\.dcm)?", re.IGNORECASE)
_NOT_FETCHED = re.compile(r"\.(?P<name>[^.].*)\.icloud")
"""How iCloud calls what it keeps of a file that it has not fetched."""
_DIGITS_AND_POINTS = re.compile(r"[0-9]+(\.[0-9]+)*")
_FIXED_NAMES = frozenset({"metadata.csv", "license", "license.txt", "manifest.tcia"})
_SUFFIXES_TEXT = """
.!ut .7z .aria2 .bak .bmp .bz2 .crdownload .csv .db .dcm .doc .docx .download .dvc .filepart .fods .gif .gstmp .gz .htm
.html .ini .jpeg .jpg .json .log .md .mha .nii .nrrd .numbers .ods .old .opdownload .orig .part .partial .pdf .png .rar
.rtf .s5cmd .tar .tcia .tgz .tif .tiff .tmp .tsv .txt .xls .xlsb .xlsm .xlsx .xml .xz .zip .zst
"""
_SUFFIXES = frozenset(_SUFFIXES_TEXT.split())
_HARMLESS_TEXT = """
ALL BACKUP BROKEN CHECKSUM CHECKSUMS COPY CSV DCM DESKTOP DICOM DICOMDIR DOWNLOAD DOWNLOADS DRAFT DS EXPORT EXTRA FILE FILES FOLDER
IMAGE IMAGES INI INDEX JUNK LOG LOGS MANIFEST MASK MASKS METADATA NEW NOTE NOTES OLD ORIG ORIGINAL OUT OUTPUT PART PREVIEW README
REPORT REPORTS RESULT RESULTS SCAN SCANS SCREENSHOT SEG SERIES SLICE SLICES STORE STUDY TEMP TEST THUMBNAIL
THUMBS TMP UNTITLED XLS XLSX ZIP
"""
_HARMLESS = frozenset(_HARMLESS_TEXT.split())
"""Words that files and folders are called by, and that name nobody."""


def number_text(value: float, digits: int = 4) -> str:
    """A number from a file, without needless zeros; of a large one, how many digits it has.

    Parameters
    ----------
    value : float
        The number, as a header or a cell holds it.
    digits : int
        Decimals, at most.

    Returns
    -------
    str
        For example `2.5`, or `a number of 8 digits`.
    """
    if abs(value) > LARGEST:
        whole = f"{abs(value):.0f}"
        return f"a number of {len(whole)} digits" if whole.isdigit() else "no finite number"
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def age_text(years: float, digits: int = 4) -> str:
    """An age; those over 89 are one group, which names nobody.

    Parameters
    ----------
    years : float
        As the file gives it.
    digits : int
        Decimals, at most.

    Returns
    -------
    str
        For example `55`, or `over 89`.
    """
    if OLDEST < years <= _NO_AGE:
        return f"over {OLDEST}"
    if years > _NO_AGE:
        return f"a number of {len(f'{years:.0f}')} digits"
    return number_text(years, digits)


class Show:
    """Turns values from files into text that is safe to print, for one profile.

    Parameters
    ----------
    profile : Profile
        The collection's profile, whose words, dates and UIDs may be shown.
    places : Places, optional
        What folders are called in place of their names; without it, they have their names.
    contents : callable, optional
        Tells of a path which of the patient's series or images lies there, if that is known.
    """

    def __init__(
        self, profile: Profile, places: Places | None = None, contents: Callable[[str], str | None] = lambda _: None
    ) -> None:
        self._profile = profile
        self._places = places
        self._contents = contents
        self._known: dict[tuple[str, bool], bool] = {}
        # Files of all patients bear the same names.
        self._part = lru_cache(maxsize=_REMEMBERED)(self._shown_part)

    def text(self, value: str | None, known: Collection[str] = ()) -> str:
        """Free text: itself if it is one of `known`, a number, or made of the collection's words; else its length.

        Parameters
        ----------
        value : str or None
            Text as the file holds it.
        known : collection of str
            Values that may be shown as they are, such as the terms that the rule expects.
        """
        if value is None or not value.strip():
            return EMPTY
        if value in known or self.is_plain(value):
            return value
        return self.describe(value)

    @staticmethod
    def describe(value: str) -> str:
        """Free text without a word of it: how long it is."""
        length = len(value.strip())
        bucket = "1 to 8" if length <= 8 else "9 to 32" if length <= 32 else "more than 32"
        return f"text of {bucket} characters"

    @staticmethod
    def number(value: float, digits: int = 4) -> str:
        """A number from a file: itself, or how many digits it has if it may be a record number."""
        return number_text(value, digits)

    @staticmethod
    def age(years: float, digits: int = 4) -> str:
        """An age: itself, or `over 89`."""
        return age_text(years, digits)

    def age_string(self, value: str) -> str:
        """An age as a header gives it: itself, or `over 89`; what is none, such as a year of birth, by its length alone."""
        years = age_in_years(value)
        if years is None:
            return self.describe(value)
        return self.age(years) if years > OLDEST else value

    def pattern(self, value: str) -> Pattern | None:
        """What a text looks like that may identify a person; shifted dates do not."""
        known = self._profile.deidentification
        return looks_like(value, known.first_date, known.last_date)

    def is_plain(self, value: str) -> bool:
        """Whether text is a short number, or made of the collection's own words, so that it names nobody."""
        return self._is_plain(value, names=False)

    def _is_plain(self, value: str, *, names: bool) -> bool:
        key = value, names
        if key not in self._known:
            self._known[key] = self._judged(value, names=names)
        return self._known[key]

    def _judged(self, value: str, *, names: bool) -> bool:
        if value == self._profile.name:
            return True
        if self.pattern(value) is not None:
            return False
        if _NUMBER.fullmatch(value):
            # Zeros at either end of a decimal number tell nothing.
            significant = value.strip("+-").strip("0") if "." in value else value
            return len(re.findall("[0-9]", significant)) <= _MOST_DIGITS
        return any(pattern.fullmatch(value) for pattern in self._profile.description_patterns) or self._is_of_words(
            value, names=names
        )

    def _is_of_words(self, value: str, *, names: bool) -> bool:
        """Whether text holds known words, and so few digits that they make no record number."""
        found = _WORD.findall(value)
        in_all = in_a_row = neighbours = numbers = words = 0
        for word in found:
            if word[0].isdigit():
                numbers, neighbours = numbers + 1, neighbours + 1
                in_a_row, in_all = in_a_row + len(word), in_all + len(word)
                # Three numbers side by side may be a date.
                if not word.isascii() or neighbours > 2 or in_a_row > _MOST_IN_A_ROW or in_all > _MOST_DIGITS:
                    return False
            elif word.upper() in self._profile.description_words or (names and word.upper() in _HARMLESS):
                words, neighbours, in_a_row = words + 1, 0, 0
            else:
                return False
        return words > 0 or numbers == 1

    def patient(self, value: str | None) -> str:
        """A patient ID: itself if it has the collection's form."""
        if value is None or not value.strip():
            return EMPTY
        return value if self._profile.is_patient_id(value) else f"an ID not of the form {self._profile.patient_id_form}"

    def uid(self, value: str | None) -> str:
        """A UID: itself if it is the collection's or the standard's, else how it begins; what is no UID is not shown."""
        if value is None or not value.strip():
            return EMPTY
        if not _DIGITS_AND_POINTS.fullmatch(value):
            return self.describe(value)
        # Under these roots a UID that is spoilt is shown too, so that who mends it sees what is wrong.
        for root in (self._profile.uid_root, STANDARD_UID_ROOT):
            if value == root or value.startswith(root + "."):
                return value if len(value) <= 64 else value[:64] + HIDDEN
        if not is_meant_as_uid(value):
            return self.describe(value)
        # Short components are an organisation's; a long one may be a number of a person or of a machine.
        parts = value.split(".")[:3]
        short = next((at for at, part in enumerate(parts) if len(part) > _MOST_DIGITS), len(parts))
        return ".".join([*parts[:short], HIDDEN])

    def date(self, value: str | None) -> str:
        """A date: itself if it has eight digits with or without dashes or slashes, and lies in the release's range.

        The release's dates are shifted; one outside of their range may be a real one.
        """
        if value is None or not value.strip():
            return EMPTY
        if not re.fullmatch(r"[0-9]{8}|[0-9]{1,4}([-/])[0-9]{1,2}\1[0-9]{1,4}", value):
            return self.describe(value)
        return value if self._is_shifted(value) else STRANGE_DATE

    def _is_shifted(self, value: str) -> bool:
        """Whether a date may be shown: it lies in the range, or is known, or there is no range."""
        known = self._profile.deidentification
        parts = re.findall("[0-9]+", value)
        if not (known.first_date and known.last_date):
            # Eight digits may be a record number too.
            return (
                len(parts) > 1
                or re.fullmatch("(1[89]|2[01])[0-9]{2}(0[1-9]|1[0-2])([0-2][0-9]|3[01])", value) is not None
            )
        if len(parts) == 1:
            day = value
        else:
            # Of the forms that dates are written in, the year is the part of four digits; day and month may be swapped.
            year = next((part for part in parts if len(part) == 4), "")
            rest = [part.zfill(2) for part in parts if part != year]
            orders = (rest, rest[::-1])
            return any(self._is_shifted(f"{year}{''.join(one)}") for one in orders) if len(year) == 4 else False
        listed = {one for days in known.series_dates.values() for one in days}
        return known.first_date <= day <= known.last_date or day in listed

    def path(self, value: str | None) -> str:
        """A path relative to the release: parts that have the collection's form are shown, free text in them is not.

        What is left of a folder's name (date, number, last digits of the UID) still finds it.
        """
        if value is None or not value.strip():
            return EMPTY
        bare = value.replace("\\", "/")
        shown = "/".join(self._part(part) for part in bare.split("/"))
        content = self._contents(bare)
        if self._places is None and content is None:
            return shown
        return Alias(shown if self._places is None else self._places(bare, self._part), shown, content)

    def _shown_part(self, part: str) -> str:
        if (
            part in ("", ".", "..")
            or part == self._profile.name
            or self._profile.is_patient_id(part)
            or _IMAGE_FILE.fullmatch(part)
            or DOWNLOAD_FOLDER.fullmatch(part.removesuffix(".tcia"))
            or part.lower() in _FIXED_NAMES
        ):
            return part
        if study := study_folder(part):
            date = study.date if self._is_shifted(study.date) else HIDDEN
            return study._replace(date=date, description=self._description(study.description)).name
        if series := series_folder(part):
            description = self._description(series.description)
            # As any number of more than five digits, it may be a record number.
            if len(series.number) > _MOST_OF_A_NUMBER:
                return f"{HIDDEN}-{description}-{series.tail}"
            return series._replace(description=description).name
        copied = copied_name(part)
        if copied.mark:
            return copied.marked(self._part(copied.original))
        if placeholder := _NOT_FETCHED.fullmatch(part):
            return f".{self._part(placeholder['name'])}.icloud"
        stem, dot, suffix = part.rpartition(".")
        if dot and ("." + suffix).lower() in _SUFFIXES:
            return f"{stem if self._profile.is_patient_id(stem) else self._name(stem)}.{suffix}"
        return self._name(part)

    def _description(self, text: str) -> str:
        return text if not text or self.is_plain(text) else HIDDEN

    def _name(self, text: str) -> str:
        return text if not text or self._is_plain(text, names=True) else HIDDEN
