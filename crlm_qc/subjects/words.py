"""How findings speak: counts, ranges, lengths, and the subjects of files and folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crlm_qc.collection.show import HIDDEN, LARGEST, number_text
from crlm_qc.model.finding import Kind, Subject
from crlm_qc.model.words import listed
from crlm_qc.rulebook.context import Context, once


def ranges(numbers: Iterable[Any], limit: int = 8) -> str:
    """Whole numbers, neighbours drawn together: `57-61, 63`; of large ones, which may be record numbers, how long they are."""
    given = {int(number) for number in numbers}
    large = sorted({number_text(number) for number in given if abs(number) > LARGEST})
    ordered = sorted(number for number in given if abs(number) <= LARGEST)
    runs: list[list[int]] = []
    for number in ordered:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [*(str(first) if first == last else f"{first}-{last}" for first, last in runs), *large]
    return listed(words, limit)


def number(value: float, digits: int = 3) -> str:
    """A number without needless zeros: `2.5`, `5`; of one that may be a record number, how many digits it has."""
    return number_text(value, digits)


def lengths(values: Iterable[float]) -> str:
    """Lengths side by side: `0.78 x 0.78 mm`."""
    return " x ".join(number(value, 6) for value in values) + " mm"


def directions(values: Iterable[float]) -> str:
    """A value of ImageOrientationPatient as DICOM writes it: its numbers parted by backslashes."""
    return "\\".join(number(value, 6) for value in values)


def text(value: Any) -> str | None:
    """A text cell of a table, None if it is missing."""
    return value if isinstance(value, str) else None


def whole(value: Any) -> int | None:
    """An integer cell of a table, None if it is missing."""
    import pandas as pd

    return None if pd.isna(value) else int(value)


def most_common(values: Iterable[Any]) -> Any:
    """The commonest of the values that are not missing, among equals as `commonest_met`; None if there is none."""
    import pandas as pd

    # NaN is not equal to itself, and whether pandas' own missing value is can't be asked.
    return commonest_met(
        Counter(value for value in values if value is not None and value is not pd.NA and value == value)
    )


def commonest(counts: Mapping[Any, int]) -> Any:
    """The value that is counted most, the least of them among equals; None if none is counted."""
    return min(counts, key=lambda value: (-counts[value], value), default=None)


def commonest_met(counts: Mapping[Any, int]) -> Any:
    """The value that is counted most, the least number or the text met first among equals; None if none is counted.

    Saved evidence has other texts in place of some, in the same rows: which of them is least, it can't tell.
    """
    return min(counts, key=lambda value: (-counts[value], 0 if isinstance(value, str) else value), default=None)


def folder_of(path: str) -> str:
    """The folder of a path, empty for the release itself."""
    return path.rpartition("/")[0]


def rooms(context: Context, folders: Iterable[str], series: Iterable[str | None]) -> list[str]:
    """The folder that each file's series has to itself, or shares with others by mistake (REL014).

    Where series share a folder by the way of a downloader, headers part them as folders do elsewhere.
    """
    if context.evidence.facts.layout != "flat":
        return list(folders)
    return [f"{folder}/{uid}" if uid else folder for folder, uid in zip(folders, series, strict=True)]


def name_of(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def file_names(context: Context, paths: Iterable[str]) -> list[str]:
    """Names of files, as they may be shown; one that may not is told by its place among the files of its folder."""
    return [_file_name(context, path) for path in paths]


def _file_name(context: Context, path: str) -> str:
    name = name_of(context.show.path(path))
    if HIDDEN not in name:
        return name
    place, of = _places_by_name(context).get(path, (0, 0))
    return f"{name} (file {place} of {of} by name)" if of > 1 else name


@once
def _places_by_name(context: Context) -> dict[str, tuple[int, int]]:
    """Place of each file among those of its folder, and how many these are.

    The table `files` is in the order of names, also where the names are no longer in it.
    """
    paths = list(dict.fromkeys(context["files"]["path"]))
    sizes = Counter(map(folder_of, paths))
    seen: Counter[str] = Counter()
    places = {}
    for path in paths:
        folder = folder_of(path)
        seen[folder] += 1
        places[path] = seen[folder], sizes[folder]
    return places


def file_subject(context: Context, path: str) -> Subject:
    """A file of the release."""
    return Subject(Kind.FILE, path=context.show.path(path))


def folder_subject(context: Context, folder: str) -> Subject:
    """A folder of the release; `.` is the release itself."""
    return Subject(Kind.FOLDER, path=context.show.path(folder or "."))


def by_folder(context: Context, rows: Any) -> Iterator[tuple[str | None, Subject, Any]]:
    """Rows of `files` (or of any table with `patient` and `path`) by the folder they lie in.

    A fault that many files of a folder share is one finding: its subject is the file if there is one, else the folder.

    Yields
    ------
    tuple
        Patient, subject, and the rows in the order of their paths.
    """
    if rows.empty:
        return
    folders = rows["path"].map(folder_of)
    # Tables are in the order of paths, also where names are no longer in them.
    for folder, ordered in rows.groupby(folders, sort=False):
        only = len(ordered) == 1
        subject = file_subject(context, ordered["path"].iloc[0]) if only else folder_subject(context, str(folder))
        yield text(ordered["patient"].iloc[0]), subject, ordered
