"""What lies where a table or list is missing: the same in another form, or a download that did not end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crlm_qc.evidence.contents import ENDINGS, FIRST_BYTES, content_of, meant_name, named_content
from crlm_qc.evidence.source import Item
from crlm_qc.model.contents import ARCHIVES, CONTENTS, NO_TABLE, POINTERS, told
from crlm_qc.model.finding import DOWNLOAD_FOLDER

SHEETS: Final[Mapping[str, str]] = {
    ".ods": "ods",
    ".fods": "ods",
    ".xlsb": "xlsb",
    ".numbers": "numbers",
}
"""Spreadsheets of other kinds, and the codes of what they are."""
_EXCEL: Final[Mapping[str, str]] = {".xlsx": "xlsx", ".xlsm": "xlsx", ".xls": "ole"}
_TEXTS: Final[Mapping[str, str]] = {
    ".pdf": "pdf",
    ".html": "web-page",
    ".htm": "web-page",
    ".tsv": "tsv",
    ".txt": "text",
    ".json": "json",
    ".xml": "xml",
    ".docx": "word",
    ".doc": "word",
    ".odt": "word",
}
_PARTS: Final = ("metadata", "clinical", "manifest")
"""Parts of a release, and the words that their names have."""
_MEANT: Final[Mapping[str, str]] = {".csv": "metadata", ".xlsx": "clinical", ".xls": "clinical", ".tcia": "manifest"}
"""What an unfinished download is to be, and what is packed or elsewhere, by the name that it is to have."""
SUFFIXES: Final = frozenset({*SHEETS, *_EXCEL, *_TEXTS, *ENDINGS, ".csv", ".s5cmd"})
_TCIA: Final = "get the .tcia file from the collection's page at The Cancer Imaging Archive"
_AS_XLSX: Final = "save it as Excel Workbook (.xlsx)"
_AS_CSV: Final = "save it as metadata.csv, parted by commas, in UTF-8"


@dataclass(frozen=True, slots=True)
class Near:
    """A file that lies where a part of the release is missing."""

    part: str
    """`metadata`, `clinical` or `manifest`."""
    item: Item
    problem: str
    """`other-form` or `unfinished`."""
    detail: str
    """What it is and what to do, with no text from the file."""

    @property
    def row(self) -> dict[str, Any]:
        """Its row of `sources`."""
        return {
            "source": self.part,
            "path": self.item.path,
            "used": False,
            "problem": self.problem,
            "detail": self.detail,
        }


def near_misses(items: Iterable[Item], lacking: Collection[str]) -> Iterator[Near]:
    """Files that are, by their names, parts of a release that were not found.

    Parameters
    ----------
    items : iterable of Item
        Files outside of patients' folders.
    lacking : collection of str
        The parts that were not found.

    Yields
    ------
    Near
        In the order of the files.
    """
    for item in items:
        near = _near(item)
        if near is not None and near.part in lacking:
            yield near


def form_of(item: Item) -> str | None:
    """What a file is that holds no table, or one of another form than is read, and what to do; None if that is not known."""
    part = _part(item.name.lower(), item.suffix) or "clinical"
    code = _holds(item)
    if code is not None:
        return told(code)
    return _detail(part, item)


def _near(item: Item) -> Near | None:
    meant = meant_name(item.name)
    if meant is not None:
        part = _MEANT.get(f".{meant.lower().rpartition('.')[2]}")
        return None if part is None else Near(part, item, "unfinished", told("unfinished"))
    code = named_content(item.name)
    if code is not None and code in ARCHIVES | POINTERS:
        part = _packed_part(item.name.lower().removesuffix(item.suffix))
        return None if part is None else Near(part, item, "other-form", told(code))
    part = _part(item.name.lower(), item.suffix)
    if part is None:
        return None
    code = _holds(item)
    detail = told(code) if code is not None else _detail(part, item)
    return None if detail is None else Near(part, item, "other-form", detail)


def _part(name: str, suffix: str) -> str | None:
    """Which part a name speaks of; a spreadsheet that speaks of none may be the workbook."""
    if suffix == ".s5cmd":
        return "manifest"
    spoken = next((part for part in _PARTS if part in name), None)
    if suffix not in SUFFIXES:
        return None
    return spoken or ("clinical" if suffix in SHEETS else None)


def _packed_part(inner: str) -> str | None:
    """Which part is packed, or lies elsewhere, by the name without the ending that says so; archives of images are none."""
    if DOWNLOAD_FOLDER.fullmatch(inner):
        return None
    return _MEANT.get(f".{inner.rpartition('.')[2]}") or next((part for part in _PARTS if part in inner), None)


def _holds(item: Item) -> str | None:
    """What a file holds in place of a table or list."""
    try:
        code = content_of(item.read(0, FIRST_BYTES))
    except OSError:
        return None
    # What its name says too has an answer of its own.
    return code if code in NO_TABLE and code != _TEXTS.get(item.suffix) else None


def _detail(part: str, item: Item) -> str | None:
    suffix = item.suffix
    if suffix == ".s5cmd":
        return f"{CONTENTS['s5cmd'].one}: {_TCIA}"
    code = {**SHEETS, **_EXCEL, **_TEXTS}.get(suffix)
    if part == "manifest":
        what = "a table" if suffix == ".csv" else None if code is None else CONTENTS[code].one
        return None if what is None else f"{what}, no .tcia manifest: {_TCIA}"
    if part == "clinical" and suffix == ".csv":
        return "a table whose first line holds too few of the workbook's headings: get the workbook itself (.xlsx)"
    if code is None:
        return None
    what = CONTENTS[code].one
    if part == "metadata":
        if item.name.lower().endswith(".csv.txt"):
            return f"{what}: call it metadata.csv"
        return f"{what}: {_AS_CSV if suffix in (*SHEETS, *_EXCEL, '.tsv', '.txt') else 'export metadata.csv anew'}"
    if suffix in _EXCEL:
        return None
    return f"{what}: {_AS_XLSX if suffix in (*SHEETS, '.tsv', '.txt') else 'get the workbook itself (.xlsx)'}"
