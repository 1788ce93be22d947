"""Whose images lie where names of folders don't tell: by PatientID and SeriesInstanceUID in the headers.

Mirrors and libraries lay a collection out in ways of their own: a folder a series, or all files in one folder.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.source import Item, ahead, parents

if TYPE_CHECKING:
    from pydicom import Dataset

_SERIES_INSTANCE_UID = 0x0020000E
_START_BYTES = (1 << 13, 1 << 20)
"""Both lie within so many bytes of a CT image; and of an object that lists its references before."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a DICOM file is, and of which series, as its header says."""

    item: Item
    patient: str
    series: str | None
    foreign: bool = False
    """Whether it is of another collection."""


def whose(items: Iterable[Item], profile: Profile) -> list[Whose]:
    """Those of the files that are DICOM and name a patient, of whatever collection.

    Parameters
    ----------
    items : iterable of Item
        Files of any kind. Of each no more than the beginning of its header is read.
    profile : Profile
        The collection's profile, which tells its patient IDs and UIDs.

    Returns
    -------
    list of Whose
        In the order of the files.
    """
    readable = [item for item in items if item.readable]
    with ahead(readable, whole=False):
        read = [_whose(item, profile) for item in readable]
    return [one for one in read if one is not None]


def is_foreign(data: Dataset, profile: Profile) -> bool:
    """Whether a header is of another collection: de-identified, and with neither patient ID nor UIDs of this one.

    A file that was not de-identified is never taken for one of another collection: it may be anybody's.
    """
    from crlm_qc.evidence.dicom.values import text

    uids = (text(data, keyword) or "" for keyword in ("StudyInstanceUID", "SeriesInstanceUID"))
    return (
        text(data, "PatientIdentityRemoved") == "YES"
        and not profile.is_patient_id(text(data, "PatientID") or "")
        and not any(uid.startswith(f"{profile.uid_root}.") for uid in uids)
    )


def _whose(item: Item, profile: Profile) -> Whose | None:
    # Where names of folders tell, no header is looked into, and nothing that parses any is imported.
    from pydicom.filereader import read_partial

    from crlm_qc.evidence.dicom.values import text

    for length in _START_BYTES:
        # A start that is cut short may make the parser raise anything, or give what stood before.
        with suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = item.read(0, length)
            if start[128:132] != b"DICM":
                return None
            data = read_partial(BytesIO(start), stop_when=lambda tag, *_: tag > _SERIES_INSTANCE_UID)
            patient, series = text(data, "PatientID"), text(data, "SeriesInstanceUID")
            if patient and (series or len(start) < length or length == _START_BYTES[-1]):
                return Whose(item, patient, series, is_foreign(data, profile))
    return None


def by_folder(files: Sequence[Whose], named: Mapping[str, str]) -> dict[tuple[str, str], list[Item]]:
    """Files of each patient by the outermost folder that holds files of no other patient.

    Parameters
    ----------
    files : sequence of Whose
        DICOM files.
    named : mapping of str to str
        Folders that are named after patients, and which.

    Returns
    -------
    dict
        Patient and folder to files; where patients share a folder, that folder stands with each of them.
    """
    owners: dict[str, set[str]] = {}
    for folder, patient in named.items():
        for above in parents(folder):
            owners.setdefault(above, set()).add(patient)
    for one in files:
        for folder in parents(one.item.path):
            owners.setdefault(folder, set()).add(one.patient)
    placed: dict[tuple[str, str], list[Item]] = {}
    for one in files:
        own = [folder for folder in parents(one.item.path) if folder and len(owners[folder]) == 1]
        placed.setdefault((one.patient, own[-1] if own else one.item.folder), []).append(one.item)
    return placed


def mixes_series(files: Sequence[Whose]) -> bool:
    """Whether any folder holds files of several series."""
    series: dict[str, set[str | None]] = {}
    for one in files:
        series.setdefault(one.item.folder, set()).add(one.series)
    return any(len(of_folder) > 1 for of_folder in series.values())
