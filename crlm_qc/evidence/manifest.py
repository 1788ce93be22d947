"""Reads the .tcia manifest, the list of series that a download is made from. Nothing else reads it."""

from __future__ import annotations

from typing import Any

from crlm_qc.evidence import limits
from crlm_qc.evidence.source import Item

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
        Rows of the tables `sources` (one) and `manifest`. `sources.problem` is `permission`, `too-large`, `empty`,
        `encoding`, `not-manifest` (no key=value lines), `no-list` or `no-entries`; missing if the list was read.
    """
    source: dict[str, Any] = {"source": "manifest", "path": file.path, "used": True}
    entries: Rows = []
    try:
        content = file.read(0, limits.MANIFEST_BYTES + 1)
    except OSError:
        problem: tuple[str, str, int | None] | None = ("permission", "the file can't be opened", None)
    else:
        problem, entries = _entries(content)
    if problem:
        source["problem"], source["detail"], source["line"] = problem
    else:
        source["n_rows"] = len(entries)
    return {"sources": [source], "manifest": entries}


def _entries(content: bytes) -> tuple[tuple[str, str, int | None] | None, Rows]:
    if len(content) > limits.MANIFEST_BYTES:
        return ("too-large", f"the file holds more than {limits.MANIFEST_BYTES // limits.MIB} MiB", None), []
    if not content.strip():
        return ("empty", "the file is empty", None), []
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
            rows: Rows = [{"line": at, "entry": entry.strip()} for at, entry in listed if entry.strip()]
            if len(rows) > limits.LIST_ROWS:
                return ("too-large", f"{LIST} names more than {limits.LIST_ROWS:,} series", None), []
            return (None, rows) if rows else (("no-entries", f"{LIST} names no series", number), [])
    if SERVER not in keys:
        return ("not-manifest", f"the file has neither {SERVER} nor {LIST}", None), []
    return ("no-list", f"the file has no {LIST}", None), []
