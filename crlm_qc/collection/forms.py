"""Forms that values of the release have. Each question has its one answer here, whoever asks."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import NamedTuple

UID = re.compile(r"(?!.{65})(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*")
"""A valid UID (DICOM PS3.5 section 9.1, and 6.2 for VR UI): at most 64 characters, components of digits parted by points,
none with a leading zero. It is an object identifier of ISO/IEC 8824: of two components at least, the first 0, 1 or 2, and
the second below 40 where the first is 0 or 1."""
UID_RULES = (
    "two components of digits or more, parted by points and none with a leading zero, the first of them 0, 1 or 2 "
    "(after 0 and 1 comes one below 40), at most 64 characters"
)
"""The same in words."""
_MEANT_AS_UID = re.compile(r"(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.[0-9]{1,39})(?:\.[0-9]{1,39}){2,}|2\.25\.[0-9]{1,39}")

_COPY = re.compile(
    r"(.*?[^ ])( ?\([0-9]{1,2}\)| - copy(?: ?\([0-9]{1,2}\))?|[ _]copy(?: ?[0-9]{1,2})?)", re.IGNORECASE | re.DOTALL
)
"""A name that systems and browsers give a copy: `1-01(1)`, `1-01 (2)`, `1-01 - Copy`, `1-01 - Copy (2)`, `1-01 copy 3`."""
_AGE = re.compile(r"([0-9]{1,3})\s*([DWMY]?)", re.IGNORECASE)
_IN_A_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0, "": 1.0}


def is_uid(value: object) -> bool:
    """Whether a value is a valid UID.

    Parameters
    ----------
    value : object
        A cell of a table, or a value of a header without its padding; a missing one is no UID.

    Returns
    -------
    bool
        True for text that `UID` matches.
    """
    return isinstance(value, str) and UID.fullmatch(value) is not None


def is_meant_as_uid(text: str) -> bool:
    """Whether digits and points can only be a UID, valid or not: whoever shows or keeps them asks this.

    It is no looser and no stricter `is_uid`, but another question. `1.2`, `2.12.1948` and `5` may be a version, a date or
    a record number, and `1.212.555.0142` is a telephone number, so that none of them may be shown for a UID, though the
    first two are valid ones. A UID that is spoilt by a leading zero or by its length is no valid one, and is none of these.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    bool
        True for four components or more, or 2.25 and a number (that of a UUID), none of more than the 39 digits that the
        number of a UUID has, under a root that there is.
    """
    return _MEANT_AS_UID.fullmatch(text) is not None


class CopiedName(NamedTuple):
    """The name of a file or folder, and what a system or browser added to it when it made a copy."""

    begin: str
    mark: str
    """For example `(1)` or ` - Copy`; empty where it is none of a copy."""
    end: str
    """The ending of a file's name that follows the mark."""

    @property
    def original(self) -> str:
        """The name that it is a copy of; its own where it is none."""
        return self.begin + self.end

    def marked(self, shown: str) -> str:
        """The mark put into what is shown of the original name."""
        stem = shown.removesuffix(self.end)
        return stem + self.mark + shown[len(stem) :]


def copied_name(name: str) -> CopiedName:
    """Take the mark of a copy out of a name."""
    stem, dot, ending = name.rpartition(".")
    # In the name of a folder a point may stand anywhere: 101.000000-NA-20001 copy.
    for begin, end in ((stem, dot + ending), (name, "")):
        if match := _COPY.fullmatch(begin):
            return CopiedName(match[1], match[2], end)
    return CopiedName(name, "", "")


def originals_first(path: str) -> tuple[str, tuple[str, ...], str]:
    """A key that sorts paths by name, but copies after what they are copies of."""
    parts = [copied_name(part) for part in path.split("/")]
    return "/".join(part.original for part in parts), tuple(part.mark for part in parts), path


def age_in_years(value: object) -> float | None:
    """An age as DICOM writes it: `055Y`, `018M`, `026W` or `007D` (VR AS, PS3.5 section 6.2).

    Real files hold `55Y`, `055y`, `055 Y` and `55`, too. An age that is not seen is one over 89 that is not seen, so these
    are forgiven: fewer digits, small letters, white space, and no letter, which means years.

    Parameters
    ----------
    value : object
        A cell of a table, or a value of a header; a missing one is no age.

    Returns
    -------
    float or None
        The age in years; None if it has another form.
    """
    match = _AGE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1]) / _IN_A_YEAR[match[2].upper()] if match else None


def downloaded(description: str) -> str:
    """A description as the NBIA Data Retriever writes it into metadata.csv and into names of folders.

    It drops every character but letters, digits, blank, dot and dash, evens blanks out, and writes NA, or in older
    versions null or nothing, where there is none.

    Parameters
    ----------
    description : str
        As a header has it, or as it was written already.

    Returns
    -------
    str
        What the two have in common; empty where there is no description.
    """
    # A letter with an accent is none of them, in one piece or in two.
    composed = unicodedata.normalize("NFC", description)
    kept = " ".join("".join(re.findall(r"[A-Za-z0-9 .-]", " ".join(composed.split()))).split())
    return "" if kept in ("NA", "null") else kept


_DAY = re.compile(r"([0-9]{4})([-./]?)([0-9]{2})\2([0-9]{2})")


def is_day(value: str) -> bool:
    """Whether a text is a date as DICOM writes it, YYYYMMDD (VR DA, PS3.5 section 6.2)."""
    if re.fullmatch("[0-9]{8}", value) is None:
        return False
    try:
        dt.date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def begins_with_day(value: str) -> bool:
    """Whether a text is a date whose first number is too large for a month: a day, as in 25.06.1992."""
    return re.match(r"\s*(1[3-9]|2[0-9]|3[01])([-/.])[0-9]{1,2}\2[0-9]", value) is not None


def day_of(value: object) -> str | None:
    """The day that a date of a header names, as YYYYMMDD.

    A date that is not seen may be a real one, so what real files hold is forgiven: the form of ACR-NEMA (`1992.06.06`),
    dashes and slashes, and a time that follows.

    Parameters
    ----------
    value : object
        A cell of a table, or a value of a header; a missing one is no date.

    Returns
    -------
    str or None
        YYYYMMDD; None if it is no date.
    """
    match = _DAY.match(value.strip()) if isinstance(value, str) else None
    day = match and match[1] + match[3] + match[4]
    return day if day and is_day(day) else None


class StudyFolder(NamedTuple):
    """What the NBIA Data Retriever names a study's folder after: `06-06-1992-NA-CT ABD WITH PEL-75163`."""

    date: str
    """StudyDate as MM-DD-YYYY."""
    description: str
    """StudyID or NA, a dash, and StudyDescription without what a file system refuses, maybe cut short."""
    tail: str
    """The last five characters of the Study Instance UID."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.date}-{self.description}-{self.tail}"


class SeriesFolder(NamedTuple):
    """What it names a series' folder after: `100.000000-Segmentation-46600`."""

    number: str
    """SeriesNumber."""
    description: str
    """SeriesDescription or NA, as in a study's folder."""
    tail: str
    """The last five characters of the Series Instance UID."""
    decimals: str = "000000"
    """Six decimals that it gives the number."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.number}.{self.decimals}-{self.description}-{self.tail}"


_TAIL = 5
_STUDY_FOLDER = re.compile(rf"([0-9]{{2}}-[0-9]{{2}}-[0-9]{{4}})-(.*)-([0-9.]{{1,{_TAIL}}})", re.DOTALL)
_SERIES_FOLDER = re.compile(rf"([0-9]{{1,12}})\.([0-9]{{6}})-(.*)-([0-9.]{{1,{_TAIL}}})", re.DOTALL)


def study_folder(name: str) -> StudyFolder | None:
    """The parts of the name of a study's folder; None if the downloader gives no folder such a name."""
    match = _STUDY_FOLDER.fullmatch(name)
    return StudyFolder(*match.groups()) if match else None


def series_folder(name: str) -> SeriesFolder | None:
    """The parts of the name of a series' folder; None if the downloader gives no folder such a name."""
    match = _SERIES_FOLDER.fullmatch(name)
    return SeriesFolder(match[1], match[3], match[4], match[2]) if match else None


def uid_tail(uid: str) -> str:
    """The end of a UID that the name of a folder has."""
    return uid[-_TAIL:]
