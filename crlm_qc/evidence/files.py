"""Rows of `files`: what is known of a file that is not parsed."""

from __future__ import annotations

from crlm_qc.evidence.contents import FIRST_BYTES, content_of, named_content
from crlm_qc.evidence.kinds import aside_kind
from crlm_qc.evidence.rows import Row
from crlm_qc.evidence.source import Item, NotFetchedError, reason
from crlm_qc.model.contents import ARCHIVES
from crlm_qc.model.tables import NOT_FETCHED


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
    content = item.content or named_content(item.name)
    return {
        "patient": patient,
        "path": item.path,
        "folder": item.folder,
        "name": item.name,
        "size": item.size,
        "kind": kind,
        "in_collection": in_collection,
        "other_collection": False,
        "problem": item.problem or ("unfinished" if kind == "unreadable" and content == "unfinished" else None),
        "detail": item.detail,
        "content": content,
    }


def lost_row(patient: str, item: Item, why: str) -> Row:
    """The row of `files` of a file that was not read with its patient."""
    kind = aside_kind(item)
    row = file_row(patient, item, kind or "unreadable")
    return row if kind else row | {"problem": "bad-header", "detail": why}


def told_content(item: Item, row: Row, *, dicom: bool) -> str | None:
    """What a file is that is no DICOM, by its name or else its first bytes.

    Parameters
    ----------
    item : Item
        The file.
    row : dict
        Its row of `files`.
    dicom : bool
        Whether its name says that it should be DICOM. Many kinds of documents are archives by their bytes.
    """
    if row["content"]:
        return str(row["content"])
    try:
        content = content_of(item.read(0, FIRST_BYTES))
    except OSError:
        return None
    return content if dicom or content not in ARCHIVES else None


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
    return f"{whose}a file was not read: {reason(error)}"


def refused(error: OSError) -> Row:
    """What `files` holds of a file that the system would not give: that is no fault of its content."""
    if isinstance(error, NotFetchedError):
        problem = NOT_FETCHED
    else:
        problem = "permission" if isinstance(error, PermissionError) else "io-error"
    return {"problem": problem, "detail": reason(error)}
