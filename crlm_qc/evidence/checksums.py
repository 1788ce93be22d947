"""Checksums that the NBIA Data Retriever leaves in a series' folder, where it was asked to verify: `md5hashes.csv`.

After a heading, each line has the name of a file and its MD5: `1-01.dcm,0f343b0931126a20f133d67c2b018a3b`. An archive that
knows no MD5 of a file writes another word in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from crlm_qc.evidence.ct import Row
from crlm_qc.evidence.files import unread
from crlm_qc.evidence.kinds import is_of_systems
from crlm_qc.evidence.source import Item

LIST_NAME = "md5hashes.csv"
_MAX_BYTES = 4 << 20
_ENTRY = re.compile(r'"?([^"]{1,255}?)"?\s*,\s*"?([0-9a-fA-F]{32})"?\s*')

Listed = Mapping[str, frozenset[str]]
"""MD5 of each file of a folder by its name in small letters; a name that is listed twice has two."""


def read_lists(patient: str, items: Iterable[Item], limits: list[str]) -> dict[str, Listed]:
    """The lists of a patient's folders.

    Parameters
    ----------
    patient : str
        The patient.
    items : iterable of Item
        Everything in the patient's folders.
    limits : list of str
        What could not be read is added to it.

    Returns
    -------
    dict
        By folder; a folder whose list has no MD5 has none.
    """
    found: dict[str, Listed] = {}
    for item in items:
        if item.name.lower() != LIST_NAME or not item.readable or is_of_systems(item.folder):
            continue
        try:
            entries = _entries(item.read(0, _MAX_BYTES))
        except OSError as error:
            limits.append(unread(patient, error))
            continue
        if entries:
            found[item.folder] = entries
    return found


def _entries(content: bytes) -> Listed:
    found: dict[str, frozenset[str]] = {}
    for line in content.decode("utf-8-sig", "replace").splitlines():
        if match := _ENTRY.fullmatch(line.strip()):
            name = re.split(r"[\\/]", match[1])[-1]
            found[name] = found.get(name, frozenset()) | {match[2].lower()}
    return found


def checksum_rows(
    patient: str, lists: Mapping[str, Listed], items: Iterable[Item], digests: Mapping[str, str]
) -> list[Row]:
    """Rows of `checksums`.

    Parameters
    ----------
    patient : str
        The patient.
    lists : mapping
        As `read_lists` gives them.
    items : iterable of Item
        Everything in the patient's folders.
    digests : mapping of str to str
        MD5 of the files that were read for it, by path.

    Returns
    -------
    list of dict
        A row a listed file. Where files have other names than all that are listed, as after another naming, a row a file,
        which is right if its MD5 is listed at all.
    """
    there: dict[str, dict[str, Item]] = {folder: {} for folder in lists}
    for item in items:
        if item.folder in there and item.name.lower() != LIST_NAME:
            there[item.folder][item.name.lower()] = item
    rows: list[Row] = []
    for folder, listed in sorted(lists.items()):
        files, known = there[folder], {name.lower() for name in listed}
        if files.keys() & known:
            for name, sums in sorted(listed.items()):
                file = files.get(name.lower())
                path = f"{folder}/{name}" if file is None else file.path
                state = "absent" if file is None else _state(digests.get(file.path), sums)
                rows.append({"patient": patient, "path": path, "state": state})
        else:
            every = frozenset().union(*listed.values())
            rows += [
                {"patient": patient, "path": file.path, "state": _state(digests[file.path], every)}
                for _, file in sorted(files.items())
                if file.path in digests
            ]
    return rows


def _state(found: str | None, listed: frozenset[str]) -> str:
    if found is None:
        return "not-read"
    return "right" if found in listed else "wrong"
