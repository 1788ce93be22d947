"""Rows of `texts`: where text outside of DICOM headers looks as if it identified somebody. Never a value.

Cells of the tables are looked at as they were read; of names of files and folders, those that are not the collection's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from crlm_qc.collection.deidentification import Pattern
from crlm_qc.collection.forms import series_folder, study_folder
from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import HIDDEN, Show
from crlm_qc.model.tables import TABLES

Row = dict[str, Any]

NOTES: Final = "relevant_notes"
_HEADINGS: Final = {column.name: column.source for column in TABLES["metadata"].columns if column.source}
_WITH_DATES: Final = frozenset({plain_heading(NOTES), "study description", "series description"})
"""Columns of free text, in which a date outside of the release's range counts; others hold dates of their own."""


class TextScan:
    """Looks at texts, and notes what they look like.

    Parameters
    ----------
    profile : Profile
        The collection's profile, whose words and dates are no identifiers.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._show = Show(profile)

    def cell(self, source: str, path: str, row: int, column: str, text: str | None, **more: Any) -> Iterator[Row]:
        """A row if a cell of a table looks like an identifier."""
        pattern = self._pattern(text, dates=plain_heading(column) in _WITH_DATES)
        if pattern:
            yield {"source": source, "path": path, "row": row, "column": column, "pattern": pattern.value, **more}

    def _pattern(self, text: str | None, *, dates: bool) -> Pattern | None:
        pattern = self._show.pattern(text) if text else None
        return None if pattern is Pattern.DATE and not dates else pattern

    def tables(self, tables: Mapping[str, Sequence[Row]]) -> Iterator[Row]:
        """Rows of the workbook's sheets, of metadata.csv and of the manifest, as they were read."""
        paths = {row["source"]: row["path"] for row in tables["sources"] if row["used"]}
        for row in tables["clinical"] if "clinical" in paths else ():
            if row["type"] == "text":
                patient = row.get("patient")
                yield from self.cell(
                    "clinical", paths["clinical"], row["row"], row["column"], row.get("text"), patient=patient
                )
        for row in tables["clinical_dictionary"] if "clinical" in paths else ():
            for column in ("variable", "description", "values"):
                yield from self.cell("dictionary", paths["clinical"], row["row"], column, row.get(column))
        for row in tables["metadata"] if "metadata" in paths else ():
            for name, heading in _HEADINGS.items():
                if name != "file_location":
                    patient = row.get("patient")
                    yield from self.cell(
                        "metadata",
                        row.get("path") or paths["metadata"],
                        row["row"],
                        heading,
                        row.get(name),
                        patient=patient,
                    )
        for row in tables["manifest"] if "manifest" in paths else ():
            yield from self.cell("manifest", row.get("path") or paths["manifest"], row["line"], "entry", row["entry"])

    def names(self, files: Iterable[tuple[str, str | None]]) -> Iterator[Row]:
        """Rows of names of folders, once each, and of files."""
        seen: set[str] = set()
        for file, patient in files:
            parts = file.split("/")
            for length in range(1, len(parts) + 1):
                path = "/".join(parts[:length])
                if path in seen:
                    continue
                seen.add(path)
                if HIDDEN not in self._show.path(parts[length - 1]):
                    continue
                # Dates are those of folders' studies, and of whoever wrote a document.
                name = parts[length - 1]
                if pattern := self._pattern(_own_name(name), dates=False) or self._pattern(name, dates=False):
                    source = "folder" if length < len(parts) else "file"
                    yield {"source": source, "path": path, "pattern": pattern.value, "patient": patient}


def _own_name(part: str) -> str:
    """What people gave a file or folder of its name: not its ending, nor what the downloader puts around a description."""
    folder = study_folder(part) or series_folder(part)
    return folder.description.removeprefix("NA-") if folder else part.rpartition(".")[0] or part


def text_rows(
    tables: Mapping[str, Sequence[Row]], files: Iterable[tuple[str, str | None]], profile: Profile
) -> list[Row]:
    """Rows after the contract of `texts`.

    Parameters
    ----------
    tables : mapping of str to sequence of dict
        Rows of tables and lists of the release, as they were read.
    files : iterable of tuple
        Paths of all files, and the patients in whose folders they lie.
    profile : Profile
        The collection's profile.

    Returns
    -------
    list of dict
        In the order of the tables.
    """
    scan = TextScan(profile)
    return [*scan.tables(tables), *scan.names(files)]
