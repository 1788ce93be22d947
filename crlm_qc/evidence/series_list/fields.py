"""Tells the fields of a row apart that has more or fewer of them than the heading.

A comma that no quotes enclose parts a value in two. Between columns whose values have a form of their own (UIDs, dates,
sizes, paths), often only one way to join the parts is left; the row is put right by it, and by no guess.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise

from crlm_qc.collection.forms import downloaded, is_meant_as_uid, series_folder, study_folder
from crlm_qc.collection.profile import Profile

Reading = tuple[int, ...]
"""How many fields each column takes."""

_MOST_SURPLUS = 8
_MOST_READINGS = 64

_EMPTY = r"\s*(?:NA|null)?\s*"
_SIZE = r"\s*[0-9]+(?:[.,][0-9]+)*\s*(?:[kmgt]?i?b|bytes?)?\s*"
_FORMS: Mapping[str, re.Pattern[str]] = {
    column: re.compile(form, re.IGNORECASE)
    for column, form in {
        "Collection": r"[^/\\]*",
        "3rd Party Analysis": r"[^/\\0-9]{0,20}",
        "Data Description URI": rf"\s*(?:https?:|doi).*|{_EMPTY}",
        "Subject ID": r"[^/\\,]{1,64}",
        "Study Date": rf"\s*[0-9]{{1,4}}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,4}}(?:[ T].*)?|\s*[0-9]{{8}}\s*|{_EMPTY}",
        "Modality": r"\s*[A-Z]{2,16}\s*",
        "SOP Class Name": rf"[A-Z -]*(?:Storage|Image|Segmentation)[A-Z -]*|{_EMPTY}",
        "Number of Images": rf"\s*[0-9]+(?:\.0*)?\s*|{_EMPTY}",
        "File Size": f"{_SIZE}|{_EMPTY}",
        "File Location": rf"\s*(?:\.{{0,2}}[/\\]|[A-Z]:|[^/\\,]+[/\\]).*|{_EMPTY}",
        "Download Timestamp": rf"(?=.*[0-9:])[0-9TZ:./ +-]+(?:[AP]M)?|{_EMPTY}",
    }.items()
}
_UIDS = frozenset({"Series UID", "Study UID", "SOP Class UID"})
_UID_LIKE = re.compile(r"\s*[0-9]+(?:\.[0-9]+)+\s*")
_TEXTS = frozenset({"Study Description", "Series Description", "Manufacturer"})
_MAY_HOLD_COMMAS = _TEXTS | {"File Size", "File Location"}
_TELLING = ("Study Date", "File Size", "File Location")
_UNIT = re.compile("[A-Za-z]")
_DECIMAL_COMMA = re.compile(r"(.*[0-9]),([0-9]{1,2})(\D*)", re.DOTALL)


@dataclass(frozen=True)
class PutRight:
    """A row whose fields were told apart."""

    fields: tuple[str, ...]
    """One a column; empty where the readings of the row differ."""
    causes: tuple[tuple[str | None, str], ...]
    """Heading and cause, in words; empty where more than one reading fits, or none."""


class Fields:
    """Tells fields apart, for the headings of one list.

    Parameters
    ----------
    known : sequence of str or None
        The downloader's heading of each column; None for other columns, which hold any text.
    rows : collection of sequence of str
        Rows that have as many fields as there are headings: what they name as Manufacturer is one.
    profile : Profile
        The collection's profile.
    """

    def __init__(self, known: Sequence[str | None], rows: Collection[Sequence[str]], profile: Profile) -> None:
        self._known = tuple(known)
        self._profile = profile
        self._makers = set(profile.published.manufacturers)
        if "Manufacturer" in self._known:
            place = self._known.index("Manufacturer")
            self._makers |= {row[place].strip() for row in rows}

    def fits(self, fields: Sequence[str]) -> bool:
        """Whether every field has the form of its column."""
        return all(self._fits(column, field) for column, field in zip(self._known, fields, strict=True))

    def put_right(self, fields: Sequence[str]) -> PutRight | None:
        """A row that has more or fewer fields than columns.

        Returns
        -------
        PutRight or None
            With a cause if one reading alone fits, else with what all readings have in common, or what is sure without
            one. None for a row that is of no series.
        """
        n = len(self._known)
        if len(fields) > n and not any(map(str.strip, fields[n:])) and self.fits(fields[:n]):
            return PutRight(tuple(fields[:n]), ((None, "an empty field stands at its end"),))
        readings = self._readings(fields)
        values = [self._joined(fields, reading) for reading in readings]
        if len(readings) > 1:
            scores = [self._likeness(one) for one in values]
            best = max(scores)
            if scores.count(best) == 1 and best > 0:
                readings, values = [readings[scores.index(best)]], [values[scores.index(best)]]
        if not readings:
            return self._beginning(fields)
        if len(readings) > 1:
            common = tuple(cells[0] if len(set(cells)) == 1 else "" for cells in zip(*values, strict=True))
            return PutRight(common, ())
        causes = tuple(
            (column, _cause(column, taken))
            for column, taken in zip(self._known, readings[0], strict=True)
            if taken != 1
        )
        return PutRight(values[0], causes)

    def _beginning(self, fields: Sequence[str]) -> PutRight | None:
        """The fields before the first that a comma may have parted, if a series is among them."""
        sure = []
        for heading, field in zip(self._known, fields, strict=False):
            if heading is None or heading in _TEXTS or not self._fits(heading, field):
                break
            sure.append(field)
        if "Series UID" not in self._known[: len(sure)]:
            return None
        return PutRight((*sure, *[""] * (len(self._known) - len(sure))), ())

    def _readings(self, fields: Sequence[str]) -> list[Reading]:
        surplus, n = len(fields) - len(self._known), len(fields)
        if abs(surplus) > _MOST_SURPLUS or not fields:
            return []

        @cache
        def ends(column: int, at: int) -> bool:
            """Whether the columns from one on can take the fields from one on."""
            if column == len(self._known):
                return at == n
            return any(self._takes(fields, column, at, taken) and ends(column + 1, at + taken) for taken in lengths)

        def each(column: int, at: int) -> Iterator[Reading]:
            if column == len(self._known):
                yield ()
                return
            for taken in lengths:
                if self._takes(fields, column, at, taken) and ends(column + 1, at + taken):
                    for rest in each(column + 1, at + taken):
                        yield (taken, *rest)

        lengths = range(surplus + 2)[1:] if surplus > 0 else (0, 1)
        return list(islice(each(0, 0), _MOST_READINGS)) if ends(0, 0) else []

    def _takes(self, fields: Sequence[str], column: int, at: int, taken: int) -> bool:
        heading = self._known[column]
        if at + taken > len(fields):
            return False
        if taken == 0:
            return heading not in _UIDS
        if taken > 1 and heading is not None and heading not in _MAY_HOLD_COMMAS:
            return False
        return self._fits(heading, ",".join(fields[at : at + taken]))

    def _fits(self, heading: str | None, value: str) -> bool:
        if heading in _UIDS:
            return _UID_LIKE.fullmatch(value) is not None
        if heading is None or heading in _TEXTS:
            # A text that swallows a UID is the text of several columns.
            return not any(is_meant_as_uid(part.strip()) for part in value.split(","))
        return _FORMS[heading].fullmatch(value) is not None

    def _joined(self, fields: Sequence[str], reading: Reading) -> tuple[str, ...]:
        ends = [sum(reading[:place]) for place in range(len(reading) + 1)]
        joined = [",".join(fields[start:end]) for start, end in pairwise(ends)]
        return tuple(
            _number(value) if taken > 1 and heading == "File Size" else value
            for heading, taken, value in zip(self._known, reading, joined, strict=True)
        )

    def _likeness(self, values: Sequence[str]) -> int:
        """In how many ways the values of a reading agree with each other."""
        row = {heading: value for heading, value in zip(self._known, values, strict=True) if heading}
        steps = row.get("File Location", "").replace("\\", "/").rstrip("/").split("/")
        series, study = series_folder(steps[-1]), study_folder(steps[-2]) if len(steps) > 1 else None
        agrees = [row.get("Manufacturer", "").strip() in self._makers]
        agrees += [bool(row.get("Number of Images", "").strip()), _UNIT.search(row.get("File Size", "")) is not None]
        agrees += [not _is_of_another_column(row.get(heading, "")) for heading in _TEXTS]
        if series is not None:
            agrees.append(downloaded(row.get("Series Description", "")) == downloaded(series.description))
        if study is not None:
            agrees.append(downloaded(row.get("Study Description", "")) == downloaded(study.description[3:]))
        return sum(agrees)


def _is_of_another_column(value: str) -> bool:
    """Whether a text has the form of a date, a size or a path."""
    if re.fullmatch(_EMPTY, value):
        return False
    return any(_FORMS[other].fullmatch(value) for other in _TELLING)


def _number(value: str) -> str:
    """A number whose comma parted it: one before the last two digits parts decimals, others thousands."""
    match = _DECIMAL_COMMA.fullmatch(value)
    return f"{match[1].replace(',', '')}.{match[2]}{match[3]}" if match else value.replace(",", "")


def _cause(heading: str | None, taken: int) -> str:
    if taken == 0:
        return f"it has no field for {heading or 'a column that the downloader does not write'}"
    if heading == "File Size":
        return "File Size has a decimal comma"
    return f"a comma in {heading or 'a column that the downloader does not write'} stands in no quotes"
