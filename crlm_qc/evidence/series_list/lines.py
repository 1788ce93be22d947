"""The records of metadata.csv: where its headings stand, and its rows, each with as many fields as there are headings."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from crlm_qc.collection.forms import is_meant_as_uid
from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.series_lists import Headings, read_headings
from crlm_qc.evidence import limits
from crlm_qc.evidence.series_list.fields import Fields
from crlm_qc.model.words import are, plural

ENOUGH_HEADINGS = 4
FIRST_LINES = 10
"""Lines that may stand before the headings, and these."""
_MOST_ODD_ROWS = 2000
DELIMITERS: Mapping[str, str] = {";": "semicolons", "\t": "tabs", "|": "bars"}
_SEPARATOR_LINE = re.compile(r"\W*sep=.?\W*", re.IGNORECASE)


class Problem(Exception):  # noqa: N818 - a fault of the file, which ends its reading
    """Why the file can't be read as metadata.csv; the words hold nothing from the file."""

    def __init__(self, code: str, detail: str, line: int | None = None, columns: Sequence[str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.line = line
        self.columns = columns


class Record(NamedTuple):
    """A row of the table."""

    line: int
    fields: Sequence[str]
    unsure: bool = False
    """Whether its fields could not be told apart; those that are the same in every reading are there, others empty."""


@dataclass
class Lines:
    """The table that a file holds."""

    headings: Headings
    records: list[Record] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `list_notes`, without their file."""

    def note(self, kind: str, line: int, detail: str, column: str | None = None) -> None:
        """Note what was put right, or passed over."""
        self.notes.append({"kind": kind, "row": line, "detail": detail, "column": column})


def read_lines(text: str, profile: Profile) -> Lines:
    """The headings and rows of a metadata.csv.

    Parameters
    ----------
    text : str
        The file, without a byte order mark.
    profile : Profile
        The collection's profile, which lists the headings.

    Returns
    -------
    Lines
        Wholly blank lines are left out, and so are lines before the headings and headings that stand again.

    Raises
    ------
    Problem
        It is no CSV, of another kind, was cut, or most of its rows can't be told apart.
    """
    records = _records(text)
    before, heading = _heading(records, profile)
    if heading is None:
        raise _no_headings(text, before, profile)
    line, found = heading
    rows = list(islice(records, limits.LIST_ROWS + 1))
    if len(rows) > limits.LIST_ROWS:
        raise Problem("too-large", f"the file holds more than {limits.LIST_ROWS:,} rows", None, found)
    lines = Lines(_headings(found, [fields for _, fields in rows], profile))
    for at, fields in before:
        lines.note("before-heading", at, _line_before(fields))
    _sort(lines, found, rows, cut=not text.endswith(("\n", "\r")), profile=profile)
    if not lines.records:
        raise Problem("no-rows", "the file holds headings and no row", line, found)
    return lines


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise Problem("syntax", "a quoted field is not closed, or text follows its end", start) from None
        if any(value.strip() for value in fields):
            yield start, fields
        start = reader.line_num + 1


Raw = tuple[int, list[str]]


def _heading(records: Iterator[Raw], profile: Profile) -> tuple[list[Raw], Raw | None]:
    """The lines before the headings, and these; none where they are not found."""
    before: list[Raw] = []
    for record in records:
        if _is_heading(record[1], profile, first=not before):
            return before, record
        before.append(record)
        if len(before) == FIRST_LINES:
            break
    return before, None


def _is_heading(fields: Sequence[str], profile: Profile, *, first: bool) -> bool:
    """Whether fields are headings; of the first line one of the downloader's own will do."""
    if not first and sum(map(bool, fields)) < ENOUGH_HEADINGS:
        return False
    known = [one for one in read_headings(fields, profile.metadata_columns).known if one is not None]
    return len(known) >= ENOUGH_HEADINGS or (first and own_headings(fields, profile) > 0)


def own_headings(found: Sequence[str], profile: Profile) -> int:
    """How many headings of the downloader some fields hold, but for case and white space."""
    return len({plain_heading(heading) for heading in found} & set(map(plain_heading, profile.metadata_columns)))


def _no_headings(text: str, before: Sequence[Raw], profile: Profile) -> Problem:
    lines = [(number, line) for number, line in enumerate(text.splitlines()[:FIRST_LINES], 1) if line.strip()]
    for place, (number, line) in enumerate(lines):
        for mark, word in DELIMITERS.items():
            if _is_heading(split(line, mark), profile, first=place == 0):
                after = f", and {_line_before([lines[0][1]])} stands before the headings" if place else ""
                return Problem("delimiter", f"fields are parted by {word}, not by commas{after}", number)
    number, fields = before[0] if before else (1, [])
    return Problem("headings", "the first line holds none of the headings of a metadata.csv", number, fields)


def split(line: str, mark: str) -> list[str]:
    """A line by a mark, for a look at its headings."""
    return [value.strip().strip('"') for value in line.rstrip("\r").split(mark)]


def _line_before(fields: Sequence[str]) -> str:
    start = fields[0].lstrip()
    if _SEPARATOR_LINE.fullmatch(start):
        return "a line sep="
    return "a comment" if start.startswith(("#", "//", "%")) else "a line that is none of the table"


def _headings(found: Sequence[str], rows: Sequence[Sequence[str]], profile: Profile) -> Headings:
    """The headings, with empty ones for fields that every row has beyond them, before or after."""
    headings = read_headings(found, profile.metadata_columns)
    counts = {len(fields) for fields in rows}
    surplus = min(counts, default=0) - len(found)
    if len(counts) != 1 or surplus <= 0:
        return headings
    for more in ([*found, *[""] * surplus], [*[""] * surplus, *found]):
        wider = read_headings(more, profile.metadata_columns)
        first = rows[:_MOST_ODD_ROWS]
        if 2 * sum(map(Fields(wider.known, (), profile).fits, first)) > len(first):
            return wider
    return headings


def _sort(lines: Lines, found: Sequence[str], rows: Sequence[Raw], *, cut: bool, profile: Profile) -> None:
    """Tell rows from headings that stand again, and put rows right that have another number of fields."""
    n = len(lines.headings.found)
    order: list[int | None] = []
    width = n
    whole: list[Record] = []
    odd: list[Raw] = []
    for line, fields in rows:
        if (again := _again(fields, found, profile)) is not None:
            lines.note("heading-again", line, "the heading stands again")
            order, width = again, len(fields) if again else n
        elif len(fields) == width:
            whole.append(Record(line, _reordered(fields, order) if order else fields))
        else:
            odd.append((line, fields))
    if odd and cut and odd[-1] == rows[-1] and len(odd[-1][1]) < n and (len(rows) == 1 or len(odd) < len(rows)):
        raise Problem("ragged", "the file ends in the middle of a row: it was cut", odd[-1][0], found)
    put_right, lost = _put_right(lines, whole, odd[:_MOST_ODD_ROWS], profile)
    lost += len(odd[_MOST_ODD_ROWS:])
    if lost > len(rows) // 2:
        raise _ragged(odd, n, found)
    lines.records = sorted([*whole, *put_right])


def _ragged(odd: Sequence[Raw], n: int, found: Sequence[str]) -> Problem:
    line, fields = odd[0]
    others = len(odd) - 1
    more = f"; {plural(others, 'more row')} {are(others)} of another length too" if others else ""
    return Problem("ragged", f"a row has {plural(len(fields), 'field')}, the heading has {n}{more}", line, found)


def _again(fields: Sequence[str], found: Sequence[str], profile: Profile) -> list[int | None] | None:
    """Whether a row is a heading: an empty list for the same one, where it has the first one's columns for another."""
    if any(is_meant_as_uid(field.strip()) for field in fields) or not _is_heading(fields, profile, first=False):
        return None
    if list(fields) == list(found):
        return []
    new, old = read_headings(fields, profile.metadata_columns), read_headings(found, profile.metadata_columns)
    by_text = {heading: place for place, heading in reversed(list(enumerate(fields)))}
    return [new.place(known) if known else by_text.get(text) for known, text in zip(old.known, found, strict=True)]


def _reordered(fields: Sequence[str], order: Sequence[int | None]) -> list[str]:
    """The fields of a row below another heading, in the order of the first one."""
    return ["" if place is None else fields[place] for place in order]


def _put_right(lines: Lines, whole: Sequence[Record], odd: Sequence[Raw], profile: Profile) -> tuple[list[Record], int]:
    """The rows of another number of fields that could be put right, as far as they could, and how many could not."""
    reader = Fields(lines.headings.known, [row.fields for row in whole], profile) if odd else None
    kept: list[Record] = []
    lost = 0
    for line, fields in odd:
        right = reader.put_right(fields) if reader else None
        if right is not None and right.causes:
            kept.append(Record(line, right.fields))
            for column, cause in right.causes:
                lines.note("put-right", line, cause, column)
            continue
        lost += 1
        n = len(lines.headings.found)
        detail = f"it has {plural(len(fields), 'field')}, the heading has {n}"
        if right is not None:
            kept.append(Record(line, right.fields, unsure=True))
        lines.note("lost", line, detail)
    return kept, lost
