"""Attributes that may identify a person, after DICOM PS3.15 Annex E, and what a text of a header looks like."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from crlm_qc.collection.forms import age_in_years
from crlm_qc.collection.names import names_somebody


class Pattern(StrEnum):
    """What a text looks like that should not stand in a release."""

    EMAIL = "e-mail address"
    PHONE = "telephone number"
    NAME = "name"
    RECORD = "record number"
    DATE = "date"


_EMAIL = re.compile(
    r"(?<![\w.+-])(?!git@)[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,5}\.[A-Za-z]{2,24}\b"
)
_PHONE = re.compile(
    r"(?<![\w.(/-])(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[.-][0-9]{4}(?![\w./-]?[0-9])"
    r"|(?<!\w)\+[1-9][0-9]{0,2}(?:[ -]\(?[0-9]{1,4}\)?){2,5}(?![0-9])"
    r"|(?<!\w)\+[1-9][0-9]{0,2}[ -]?\(?0?\)?[ -]?[0-9]{2,4}[ -][0-9]{4,9}(?![0-9])"
    # As it is dialled within a country: a leading zero, and seven digits or more after it.
    r"|(?<![\w.(/-])\(?0[1-9][0-9]{1,3}\)?[ /-](?:[0-9]{3,4}[ -][0-9]{4}|[0-9]{7,8})(?![\w./-]?[0-9])"
)
_WORD = r"[^\W\d_][^\W\d_'-]+"
_NAME = re.compile(
    # A person name as DICOM writes it; or before a degree, or where a text says that one follows.
    rf"(?<!\w){_WORD}\^{_WORD}"
    rf"|(?<!\w){_WORD}, ?M\.?D\b"
    rf"|(?i:(?<!\w)(?:patient|pt)(?:'s)?[ ._-]?name)\s*[:=]\s*{_WORD}"
)
_RECORD = re.compile(
    r"(?i:(?<!\w)(?:MRN|SSN|medical record(?: (?:number|no|num))?|accession(?: (?:number|no|num))?))[ .:#=-]{0,4}"
    r"[A-Za-z]{0,3}[0-9][0-9-]{3,}"
    r"|(?<![\w.-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w.-])"
)
_BIRTH = re.compile(r"(?i:(?<!\w)(?:DOB|date of birth|born(?: on)?))[ .:=-]{0,4}[0-9]{1,4}[/. -][0-9A-Za-z]{1,9}")
_MONTHS = {
    name: at
    for at, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
_DATES = (
    re.compile(r"(?<![\w/.-])(?P<y>(?:19|20)[0-9]{2})([-/.])(?P<m>[0-9]{1,2})\2(?P<d>[0-9]{1,2})(?![\w/-]|\.[0-9])"),
    re.compile(r"(?<![\w/.-])(?P<m>[0-9]{1,2})([-/.])(?P<d>[0-9]{1,2})\2(?P<y>(?:19|20)[0-9]{2})(?![\w/-]|\.[0-9])"),
    re.compile(r"(?<!\w)(?P<d>[0-9]{1,2})[ -](?P<m>[A-Za-z]{3})[a-z]{0,6}\.?[ -](?P<y>(?:19|20)[0-9]{2})(?!\w)"),
    re.compile(r"(?<!\w)(?P<m>[A-Za-z]{3})[a-z]{0,6}\.? (?P<d>[0-9]{1,2}),? (?P<y>(?:19|20)[0-9]{2})(?!\w)"),
)
MAX_TEXT = 100_000
"""Characters of one text that are looked at."""


def looks_like(text: str, first: str | None = None, last: str | None = None) -> Pattern | None:
    """What in a text may identify a person; made to be silent where it is not sure.

    Parameters
    ----------
    text : str
        A text of a header.
    first, last : str, optional
        Bounds of the release's shifted dates, as YYYYMMDD; a date within them may be a shifted one.

    Returns
    -------
    Pattern or None
        The gravest that is found.
    """
    text = text[:MAX_TEXT]
    for kind, pattern in (
        (Pattern.EMAIL, _EMAIL),
        (Pattern.RECORD, _RECORD),
        (Pattern.PHONE, _PHONE),
        (Pattern.NAME, _NAME),
        (Pattern.DATE, _BIRTH),
    ):
        if pattern.search(text) or (kind is Pattern.NAME and names_somebody(text)):
            return kind
    for pattern in _DATES:
        for match in pattern.finditer(text):
            day = _day(match)
            if day is not None and not (first and last and first <= day <= last):
                return Pattern.DATE
    return None


_NOBODY_TEXT = """
admin anon anonymized anonymous author automatic clinical creator data department expert group hospital human
institute medical model observer operator radiologist radiology rater reader removed research reviewer student
team technologist unknown user
"""
_NOBODY: Final = frozenset(_NOBODY_TEXT.split())
"""Words that stand where a person's name would, and name none."""


def is_person(text: str, words: Collection[str] = ()) -> bool:
    """Whether a whole text has the form of a person's name: two to four words with capital letters, and nothing else.

    Parameters
    ----------
    text : str
        A text that is expected to hold a name, such as a value of VR PN.
    words : collection of str
        Words in upper case that are none of a name.

    Returns
    -------
    bool
        False for one word alone, which may be a role or a machine.
    """
    found = re.split(r"[ ,^=]+", text.strip(" ^=,."))
    return 2 <= len(found) <= 4 and all(
        re.fullmatch(r"[^\W\d_](?:[^\W\d_]|[.'\N{RIGHT SINGLE QUOTATION MARK}-])*", word)
        and word[0].isupper()
        and word.casefold() not in _NOBODY
        and word.upper() not in words
        for word in found
    )


GROUP: Final = 90
"""Ages above 89 as one group are given as this."""


def is_too_old(text: str) -> bool:
    """Whether an age is over 89 years and not given as the group of all above."""
    years = age_in_years(text)
    return years is not None and int(years) > GROUP


def _day(match: re.Match[str]) -> str | None:
    """YYYYMMDD of a date; one of unclear order counts by either, so only what can be no date is left out."""
    month, day = match["m"], int(match["d"])
    number = int(month) if month.isdigit() else _MONTHS.get(month.lower())
    if number is None or not (1 <= number <= 12 or 1 <= day <= 12) or not (1 <= number <= 31 and 1 <= day <= 31):
        return None
    return f"{match['y']}{number:02d}{day:02d}"
