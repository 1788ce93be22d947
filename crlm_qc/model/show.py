"""What of a value from a file may be shown.

Files are untrusted, and a release that is being checked may still hold what identifies a person. So every value
that a finding shows goes through here: numbers, dates, codes of a known set, UIDs of the collection and names made of
the collection's own vocabulary are shown; other text is described by its length alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from crlm_qc.model.finding import DOWNLOAD_FOLDER
from crlm_qc.model.profile import Profile

EMPTY = "empty"
STANDARD_UID_ROOT = "1.2.840.10008"
HIDDEN = "\N{HORIZONTAL ELLIPSIS}"
STRANGE_DATE = "a date outside of the release's range"

_NUMBER = re.compile(r"[+-]?[0-9]{1,5}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?")
_WORD = re.compile(r"[^\W\d_]+|[0-9]+")
_STUDY_FOLDER = re.compile(r"([0-9]{2}-[0-9]{2}-[0-9]{4})-(.*)-([0-9]{1,5})")
_SERIES_FOLDER = re.compile(r"([0-9]{1,8}\.[0-9]{6})-(.*)-([0-9]{1,5})")
_IMAGE_FILE = re.compile(r"[0-9]{1,5}-[0-9]{1,6}(\.dcm)?", re.IGNORECASE)
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_FIXED_NAMES = frozenset({"metadata.csv", "license", "license.txt", "manifest.tcia"})
_SUFFIXES = frozenset({".csv", ".dcm", ".json", ".md", ".pdf", ".tcia", ".txt", ".xls", ".xlsx", ".xlsm", ".zip"})


class Show:
    """Turns values from files into text that is safe to print, for one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

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

    def is_plain(self, value: str) -> bool:
        """Whether text is a short number, or made of the collection's own words, so that it names nobody."""
        if value == self._profile.name or _NUMBER.fullmatch(value):
            return True
        if any(pattern.fullmatch(value) for pattern in self._profile.description_patterns):
            return True
        words = _WORD.findall(value)
        return bool(words) and all(
            (word.isdigit() and len(word) <= 4) or word.upper() in self._profile.description_words for word in words
        )

    def patient(self, value: str | None) -> str:
        """A patient ID: itself if it has the collection's form."""
        if value is None or not value.strip():
            return EMPTY
        return value if self._profile.is_patient_id(value) else f"an ID not of the form {self._profile.patient_id_form}"

    def uid(self, value: str | None) -> str:
        """A UID: itself if it is the collection's or the standard's, else its first three components."""
        if value is None or not value.strip():
            return EMPTY
        if not _UID.fullmatch(value):
            return self.describe(value)
        for root in (self._profile.uid_root, STANDARD_UID_ROOT):
            if value == root or value.startswith(root + "."):
                return value if len(value) <= 64 else value[:64] + HIDDEN
        return ".".join(value.split(".")[:3])[:32] + "." + HIDDEN

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
        if not (known.first_date and known.last_date):
            return True
        parts = re.findall("[0-9]+", value)
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
        parts = value.replace("\\", "/").split("/")
        return "/".join(self._part(part) for part in parts)

    def _part(self, part: str) -> str:
        if (
            part in ("", ".", "..")
            or part == self._profile.name
            or self._profile.is_patient_id(part)
            or _IMAGE_FILE.fullmatch(part)
            or DOWNLOAD_FOLDER.fullmatch(part)
            or part.lower() in _FIXED_NAMES
        ):
            return part
        for pattern in (_STUDY_FOLDER, _SERIES_FOLDER):
            if match := pattern.fullmatch(part):
                first, description, last = match.groups()
                if pattern is _STUDY_FOLDER and not self._is_shifted(first):
                    first = HIDDEN
                return f"{first}-{self._description(description)}-{last}"
        stem, dot, suffix = part.rpartition(".")
        if dot and ("." + suffix).lower() in _SUFFIXES:
            return f"{self._description(stem)}.{suffix}"
        return self._description(part)

    def _description(self, text: str) -> str:
        return text if not text or self.is_plain(text) else HIDDEN
