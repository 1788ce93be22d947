"""Rows of `files`: what is known of a file that is not parsed."""

from __future__ import annotations

import os

from crlm_qc.evidence.ct import Row
from crlm_qc.evidence.source import Item


def file_row(patient: str | None, item: Item, kind: str, *, in_collection: bool = True) -> Row:
    """The row of `files` of a file before anything is read of it.

    Parameters
    ----------
    patient : str or None
        The patient whose folder it lies in, if it is one.
    item : Item
        The file.
    kind : str
        What it is, as far as its name and first bytes tell.
    in_collection : bool
        Whether it lies in the collection's folder or a patient's.

    Returns
    -------
    dict
        A row after the contract of `files`.
    """
    return {
        "patient": patient,
        "path": item.path,
        "folder": item.folder,
        "name": item.name,
        "size": item.size,
        "kind": kind,
        "in_collection": in_collection,
        "other_collection": False,
        "problem": item.problem,
        "detail": item.detail,
    }


def hash_file(row: Row, item: Item, limits: list[str]) -> None:
    """Add the SHA-256 of a file that is not parsed; files that systems make by themselves have none."""
    if row["kind"] == "system" or not item.readable:
        return
    try:
        row["sha256"], _ = item.digest()
    except OSError as error:
        limits.append(unread(row["patient"], error))


def unread(patient: str | None, error: OSError) -> str:
    """What an audit says of a file that it could not read."""
    whose = f"{patient}: " if patient else ""
    return f"{whose}a file was not read: {os.strerror(error.errno or 0).lower()}"
