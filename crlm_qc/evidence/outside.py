"""Reads what lies outside of the patient folders. Of these files nobody can tell whom they are about."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.evidence.by_header import is_foreign
from crlm_qc.evidence.files import file_row, hash_file, refused, told_content
from crlm_qc.evidence.release import Other, Release
from crlm_qc.evidence.rows import Row
from crlm_qc.evidence.source import parents
from crlm_qc.evidence.workbook.file import unpacks_to_much
from crlm_qc.model.tables import NOT_FETCHED, TOO_LARGE

if TYPE_CHECKING:
    from crlm_qc.evidence.deidentification import IdentifierScan


@dataclass(slots=True)
class OutsideRead:
    """What the files outside of the patient folders came to."""

    rows: dict[str, list[Row]]
    """Rows of `files`, in the order of paths, and of `identifiers`."""
    limits: list[str]
    """What was not read though it was asked for."""


def read_outside(
    release: Release,
    profile: Profile,
    *,
    hashed: bool,
    lock: Path | None = None,
    others: Collection[str] = (),
) -> OutsideRead:
    """Read what lies outside of the patient folders, but for what is in tables and lists.

    Parameters
    ----------
    release : Release
        What the walk found.
    profile : Profile
        The collection's profile.
    hashed : bool
        Whether every file is hashed.
    lock : pathlib.Path, optional
        The lock file, which can't list itself where it lies in the release: it is not hashed.
    others : collection of str
        Folders of another collection, as its own metadata.csv has them. Of its files nothing is told but that they are.

    Returns
    -------
    OutsideRead
        Their rows.
    """
    files: list[Row] = []
    limits: list[str] = []
    scan: IdentifierScan | None = None
    show = Show(profile)
    own = None if lock is None else release.source.locate(lock)
    for other in release.others:
        try:
            row = _row(other)
            if _may_be_dicom(other) and row["problem"] != TOO_LARGE:
                # What parses headers is imported where there is something to parse.
                from crlm_qc.evidence.deidentification import IdentifierScan

                scan = scan or IdentifierScan(None, profile)
                row = _read_dicom(row, other, scan, profile, others)
        except OSError as error:
            row = file_row(None, other.item, other.kind, in_collection=other.in_collection) | refused(error)
        if row["problem"] in ("permission", "io-error", NOT_FETCHED):
            limits.append(f"{show.path(other.item.path)} was not read: {row['detail']}")
        if hashed and (own is None or other.item.key != own):
            hash_file(row, other.item, limits)
        files.append(row)
    if scan is not None and scan.too_deep:
        from crlm_qc.evidence.deidentification import TOO_DEEP

        limits.append(f"outside of patient folders: {TOO_DEEP}")
    return OutsideRead({"files": files, "identifiers": scan.rows() if scan else []}, limits)


def _may_be_dicom(other: Other) -> bool:
    """Whether it is looked into."""
    return other.kind in ("unexpected", "document") and other.item.readable and bool(other.item.size)


def _row(other: Other) -> Row:
    """The row of `files` of one of them before its header is read."""
    row = file_row(None, other.item, other.kind, in_collection=other.in_collection)
    if _may_be_dicom(other) and (detail := unpacks_to_much(other.item)):
        return row | {"problem": TOO_LARGE, "detail": detail}
    return row


def _read_dicom(row: Row, other: Other, scan: IdentifierScan, profile: Profile, others: Collection[str]) -> Row:
    """Its row; if it is DICOM, with nothing but its series and what the file meta says of it."""
    from crlm_qc.evidence.dicom.header import Unreadable, quiet, read_header
    from crlm_qc.evidence.dicom.values import text
    from crlm_qc.evidence.others import of_others

    quiet()
    item = other.item
    try:
        with warnings.catch_warnings(), item.opened() as stream:
            warnings.simplefilter("ignore")
            header = read_header(stream, item)
            if columns := of_others(header, profile):
                return row | columns
            foreign = is_foreign(header.data, profile) or any(above in others for above in parents(item.path))
            if not foreign:
                scan.add(header)
            return row | {
                "kind": "other-dicom",
                "series_uid": text(header.data, "SeriesInstanceUID"),
                "meta_sop_instance_uid": text(header.meta, "MediaStorageSOPInstanceUID"),
                "meta_sop_class_uid": text(header.meta, "MediaStorageSOPClassUID"),
                "other_collection": foreign,
            }
    except OSError:
        raise
    except Unreadable as fault:
        known = fault.problem == "not-dicom"
        return row | {"content": told_content(item, row, dicom=item.suffix == ".dcm")} if known else row
    except Exception:  # noqa: BLE001 - values in a header may be anything, and the file is no part of the release
        return row
