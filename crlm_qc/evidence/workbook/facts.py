"""What else a workbook holds: programs, connections, hidden parts, comments, properties."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final
from xml.etree import ElementTree as ET

from crlm_qc.collection.deidentification import Pattern, is_person, looks_like
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.workbook.book import Row, Sheet, column_letters

MAX_FACTS: Final = 1000
"""Facts kept of one sort and sheet: a sheet of formulas need not be listed cell by cell."""
_HOME: Final = re.compile(r"[\\/](?:users|home|documents and settings)[\\/]+[^\\/]", re.IGNORECASE)
_PROGRAMS: Final = frozenset({"openpyxl", "xlsxwriter", "apache poi", "libreoffice", "microsoft excel"})
"""What programs write where a person's name belongs."""


def workbook_facts(archive: zipfile.ZipFile, sheets: Sequence[Sheet], profile: Profile) -> Iterator[Row]:
    """Rows of `workbook`: what an xlsx file holds beside its cells."""
    names = archive.namelist()
    parts = _sheet_parts(archive)
    read = set()
    for name, part, state in parts:
        yield {"fact": "sheet", "sheet": name, "has_value": True}
        if state != "visible":
            yield {"fact": "hidden-sheet", "sheet": name, "has_value": True}
        # Several sheets may be one part, which nobody writes.
        if part in names and part not in read:
            read.add(part)
            yield from _limited(_sheet_facts(name, archive.read(part)))
            yield from _limited(_comments(archive, name, part))
    for sheet in sheets:
        yield from _limited(
            {
                "fact": "formula",
                "sheet": sheet.name,
                "cell": f"{column_letters(cell.column)}{number}",
                "has_value": True,
            }
            for number, cells in sheet.rows.items()
            for cell in cells
            if cell.type == "formula"
        )
    for name in names:
        if (name.startswith("xl/externalLinks/") and name.endswith(".xml")) or name == "xl/connections.xml":
            yield {"fact": "external-link", "name": PurePosixPath(name).name, "has_value": True}
        elif name.endswith("vbaProject.bin") or name.startswith(("xl/macrosheets/", "xl/activeX/")):
            yield {"fact": "macro", "name": PurePosixPath(name).name, "has_value": True}
    yield from _properties(archive, profile)


def _limited(facts: Iterable[Row]) -> Iterator[Row]:
    counts: dict[str, int] = {}
    for fact in facts:
        counts[fact["fact"]] = counts.get(fact["fact"], 0) + 1
        if counts[fact["fact"]] <= MAX_FACTS:
            yield fact


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _elements(data: bytes) -> Iterator[ET.Element]:
    for _, element in ET.iterparse(io.BytesIO(data), events=("end",)):  # noqa: S314 - no part has a DOCTYPE
        yield element


def _relations(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Relationships of a part: id to the last word of its type, and the part that it leads to inside the archive."""
    where = PurePosixPath(part)
    name = str(where.parent / "_rels" / f"{where.name}.rels")
    if name not in archive.namelist():
        return {}
    found = {}
    for element in _elements(archive.read(name)):
        if _local(element.tag) == "Relationship" and element.get("TargetMode") != "External":
            target = element.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else _joined(str(where.parent), target)
            found[element.get("Id", "")] = (element.get("Type", "").rpartition("/")[2], path)
    return found


def _joined(folder: str, target: str) -> str:
    parts: list[str] = folder.split("/")
    for piece in target.split("/"):
        if piece == "..":
            del parts[-1:]
        elif piece not in ("", "."):
            parts.append(piece)
    return "/".join(parts)


def _sheet_parts(archive: zipfile.ZipFile) -> list[tuple[str, str, str]]:
    """Name, part and state of each sheet, in their order."""
    relations = _relations(archive, "xl/workbook.xml")
    found = []
    for element in _elements(archive.read("xl/workbook.xml")):
        if _local(element.tag) == "sheet":
            relation = next((value for key, value in element.attrib.items() if key.endswith("}id")), "")
            part = relations.get(relation, ("", ""))[1]
            found.append((element.get("name", ""), part, element.get("state", "visible")))
    return found


def _sheet_facts(sheet: str, data: bytes) -> Iterator[Row]:
    if not any(word in data for word in (b"hidden", b"mergeCell", b'ht="0"', b'width="0"')):
        return
    for element in _elements(data):
        tag, get = _local(element.tag), element.get
        if tag == "row":
            if get("hidden") in ("1", "true") or get("ht") == "0":
                yield {
                    "fact": "hidden-row",
                    "sheet": sheet,
                    "cell": _reference(get("r")),
                    "has_value": len(element) > 0,
                }
            element.clear()
        elif tag == "col" and (get("hidden") in ("1", "true") or get("width") == "0"):
            first, last = (_reference(get(name)) for name in ("min", "max"))
            if first and first.isdigit() and int(first) <= limits.SHEET_COLUMNS:
                letters = [
                    column_letters(min(int(text), limits.SHEET_COLUMNS))
                    for text in (first, last)
                    if text and text.isdigit()
                ]
                yield {
                    "fact": "hidden-column",
                    "sheet": sheet,
                    "cell": ":".join(dict.fromkeys(letters)),
                    "has_value": True,
                }
        elif tag == "mergeCell":
            yield {"fact": "merged", "sheet": sheet, "cell": _reference(get("ref")), "has_value": True}


def _reference(text: str | None) -> str | None:
    """A cell, row, column or range as the file names it; nothing else passes."""
    return text if text and re.fullmatch(r"[A-Z]{0,3}[0-9]{0,7}(:[A-Z]{0,3}[0-9]{0,7})?", text) else None


def _comments(archive: zipfile.ZipFile, sheet: str, part: str) -> Iterator[Row]:
    seen = set()
    for kind, target in _relations(archive, part).values():
        if kind in ("comments", "threadedComment") and target in archive.namelist():
            for element in _elements(archive.read(target)):
                cell = _reference(element.get("ref"))
                if _local(element.tag) in ("comment", "threadedComment") and cell not in seen:
                    seen.add(cell)
                    yield {"fact": "comment", "sheet": sheet, "cell": cell, "has_value": True}


def _properties(archive: zipfile.ZipFile, profile: Profile) -> Iterator[Row]:
    """Properties that may name a person: their names, never their values."""
    names = archive.namelist()
    for part, keys, texts in (
        (
            "docProps/core.xml",
            ("creator", "lastModifiedBy"),
            ("title", "subject", "description", "keywords", "category"),
        ),
        ("docProps/app.xml", ("Manager",), ()),
    ):
        if part in names:
            for element in _elements(archive.read(part)):
                value, name = (element.text or "").strip(), _local(element.tag)
                meant = name in keys and value and value.casefold() not in _PROGRAMS
                if meant or (name in texts and _names_somebody(value, profile)):
                    yield {"fact": "property", "name": name, "has_value": True}
    # Excel keeps the folder that the file was last saved in, which may be a person's home.
    for element in _elements(archive.read("xl/workbook.xml")):
        if _local(element.tag) == "absPath" and _HOME.search(element.get("url", "")):
            yield {"fact": "property", "name": "absPath", "has_value": True}


_TITLE_WORDS_TEXT = """
ANALYSIS ARCHIVE CANCER CASE CASES CENTER CENTRE CHARACTERISTICS COHORT DATABASE DATASET DICTIONARY DRAFT FINAL
FORM IMAGING LIST OUTCOME OUTCOMES PATIENT PATIENTS RELEASE RESULT RESULTS SHEET STUDY SUMMARY SUPPLEMENT
SUPPLEMENTARY SURVIVAL TABLE TABLES VARIABLES VERSION WORKBOOK
"""
_TITLE_WORDS: Final = frozenset(_TITLE_WORDS_TEXT.split())
"""Words that titles are made of, and that name nobody."""


def _names_somebody(text: str, profile: Profile) -> bool:
    """Whether a text that is not meant to name a person looks as if it did."""
    pattern = looks_like(text)
    if pattern is not None and pattern is not Pattern.DATE:
        return True
    known = profile.description_words | _TITLE_WORDS | set(profile.title.upper().split())
    return any(len(part.split()) == 2 and is_person(part, known) for part in re.split("[,;\n]", text))
