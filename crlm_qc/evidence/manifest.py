"""Reads the .tcia manifest, the list of series that a download is made from. Nothing else reads it."""

from __future__ import annotations

import re
from typing import Any

from crlm_qc.collection.forms import is_meant_as_uid
from crlm_qc.collection.invisible import plainly
from crlm_qc.evidence import limits
from crlm_qc.evidence.contents import FIRST_BYTES, content_of
from crlm_qc.evidence.source import Item, problem_of, reason
from crlm_qc.model.contents import told

Rows = list[dict[str, Any]]

LIST = "ListOfSeriesToDownload"
SERVER = "downloadServerUrl"


def read_manifest(file: Item) -> dict[str, Rows]:
    """Read a .tcia manifest: `key=value` lines, then `ListOfSeriesToDownload=`, then one Series Instance UID a line.

    Parameters
    ----------
    file : Item
        The file.

    Returns
    -------
    dict of str to list of dict
        Rows of the tables `sources` (one) and `manifest`, and of `list_notes` for what stands round the UIDs. `sources.problem` is `permission`, `too-large`, `empty`,
        `encoding`, `not-manifest` (no key=value lines), `no-list` or `no-entries`; missing if the list was read.
    """
    source: dict[str, Any] = {"source": "manifest", "path": file.path, "used": True}
    entries: Rows = []
    notes: Rows = []
    try:
        content = file.read(0, limits.MANIFEST_BYTES + 1)
    except OSError as error:
        problem: tuple[str, str, int | None] | None = (problem_of(error), reason(error), None)
    else:
        problem, listed = _listed(content)
        for line, text in listed:
            found, marks = _read_line(text)
            entries += [{"line": line, "entry": entry} for entry in found]
            notes += [{"source": "manifest", "path": file.path, "row": line, **mark} for mark in marks]
        if problem is None and not entries:
            problem = ("no-entries", f"{LIST} names no series", None)
    if problem:
        source["problem"], source["detail"], source["line"] = problem
        entries, notes = [], []
    else:
        source["n_rows"] = len(entries)
    return {"sources": [source], "manifest": entries} | ({"list_notes": notes} if notes else {})


def _listed(content: bytes) -> tuple[tuple[str, str, int | None] | None, list[tuple[int, str]]]:
    """The lines of the list that are not blank, with their numbers, or why there are none."""
    if len(content) > limits.MANIFEST_BYTES:
        return ("too-large", f"the file holds more than {limits.MANIFEST_BYTES // limits.MIB} MiB", None), []
    if not content.strip():
        return ("empty", "the file is empty", None), []
    code = content_of(content[:FIRST_BYTES])
    if code not in (None, "text"):
        return ("not-manifest", f"the file is {told(code)}", None), []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return ("encoding", "a character is not UTF-8", 1 + content[: error.start].count(b"\n")), []
    # Not str.splitlines, which would also part a line at characters that no manifest means as an end.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    keys = set()
    for number, line in enumerate(lines, start=1):
        key, equals, value = line.strip().partition("=")
        if equals:
            keys.add(key.strip())
        if equals and key.strip() == LIST:
            # An entry may follow the key on its own line.
            listed = enumerate([value, *lines[number:]], start=number)
            rows = [(at, entry.strip()) for at, entry in listed if entry.strip()]
            if len(rows) > limits.LIST_ROWS:
                return ("too-large", f"{LIST} names more than {limits.LIST_ROWS:,} series", None), []
            return (None, rows) if rows else (("no-entries", f"{LIST} names no series", number), [])
    if SERVER not in keys:
        return ("not-manifest", f"the file has neither {SERVER} nor {LIST}", None), []
    return ("no-list", f"the file has no {LIST}", None), []


_MARKS = {",": "commas", ";": "semicolons", '"': "quotes", "'": "quotes", "<": "angle brackets", ">": "angle brackets"}
_PARTED = re.compile(r"[,;\s]+")


def _read_line(line: str) -> tuple[list[str], Rows]:
    """The UIDs of a line, or the line if it holds none; and what stands round them, as rows of `list_notes`."""
    if line.startswith(("#", "//")):
        return [], [{"kind": "marks", "detail": "comments"}]
    text, hidden = plainly(line)
    notes: Rows = [{"kind": "invisible", "detail": one} for one in hidden]
    parts = [part for part in (part.strip("\"'<>") for part in _PARTED.split(text)) if part]
    uids = [part for part in parts if is_meant_as_uid(part)]
    if not uids or (len(uids) == 1 and uids[0] == text):
        return [text] if text else [], notes
    marks = [name for mark, name in _MARKS.items() if mark in text]
    if len(uids) > 1 and not marks:
        marks = ["several UIDs"]
    if len(uids) < len(parts):
        marks.append("other values")
    return uids, [*notes, *({"kind": "marks", "detail": mark} for mark in dict.fromkeys(marks))]
