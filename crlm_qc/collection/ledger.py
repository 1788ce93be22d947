"""The published series of a collection, to the byte: what a whole download holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from crlm_qc.collection.forms import is_uid
from crlm_qc.collection.strict import StrictError

COLUMNS = ("patient", "modality", "series_uid", "files", "bytes")
"""Headings of a ledger, in this order."""


@dataclass(frozen=True, slots=True)
class PublishedSeries:
    """One published series."""

    patient: str
    modality: str
    """`CT` or `SEG`."""
    series_uid: str
    files: int
    size: int
    """Bytes of all its files."""


def read_ledger(path: Path, modalities: Collection[str]) -> Mapping[str, PublishedSeries]:
    """Read a ledger of published series.

    Parameters
    ----------
    path : pathlib.Path
        A CSV file with the headings of `COLUMNS`, a row a series; no value needs quotes.
    modalities : collection of str
        Modalities that a series may have.

    Returns
    -------
    dict of str to PublishedSeries
        By Series Instance UID, in the order of the file.

    Raises
    ------
    StrictError
        It can't be read, or a line is not of this form; the message names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise StrictError(f"ledger {path.name} can't be read: {(error.strerror or 'unknown error').lower()}") from None
    except UnicodeDecodeError:
        raise StrictError(f"ledger {path.name} can't be read: a character is not UTF-8") from None
    rows = iter([line.split(",") for line in lines])
    if tuple(next(rows, ())) != COLUMNS:
        raise StrictError(f"line 1 of ledger {path.name} is not {','.join(COLUMNS)}")
    found: dict[str, PublishedSeries] = {}
    for number, row in enumerate(rows, start=2):
        one = _series(row, modalities)
        if one is None or one.series_uid in found:
            why = "is no published series" if one is None else "has a series again"
            raise StrictError(f"line {number} of ledger {path.name} {why}")
        found[one.series_uid] = one
    return found


def _series(row: list[str], modalities: Collection[str]) -> PublishedSeries | None:
    if len(row) != len(COLUMNS):
        return None
    patient, modality, uid, files, size = row
    counted = all(re.fullmatch("[1-9][0-9]{0,14}", text) for text in (files, size))
    if not (patient and modality in modalities and is_uid(uid) and counted):
        return None
    return PublishedSeries(patient, modality, uid, int(files), int(size))
