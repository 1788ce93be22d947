"""The series on disk, as metadata.csv is compared with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crlm_qc.collection.forms import is_uid
from crlm_qc.model.contents import ARCHIVES
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.words import text

HEADERS = ("study_uid", "study_date", "study_description", "series_description", "manufacturer", "sop_class_uid")
"""Attributes that a row of metadata.csv repeats."""


@dataclass
class OnDisk:
    """The files of one Series Instance UID."""

    uid: str
    patients: set[str | None] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    n_instances: int = 0
    """Its instances; a file without a SOP Instance UID is one."""
    roles: set[str] = field(default_factory=set)
    """`ct`, `dso`."""
    n_files: int = 0
    size: int = 0
    sound: bool = True
    """False where the bytes of a file are not as many as its header says (REL005)."""

    @property
    def patient(self) -> str | None:
        """Its patient; None if it has none or several."""
        return next(iter(self.patients)) if len(self.patients) == 1 else None

    @property
    def folder(self) -> str:
        """The first of its folders."""
        return min(self.folders)

    def in_folder(self, folder: str) -> bool:
        """Whether a file of it lies in a folder, or below it; `.` is the release."""
        return folder == "." or any(own == folder or own.startswith(folder + "/") for own in self.folders)


@dataclass
class Folder:
    """What a folder holds beside the series that a row names."""

    uids: dict[str, int] = field(default_factory=dict)
    """Series in it, with the number of their files there."""
    unknown: int = 0
    """Files that may be of any series: unreadable (REL004), links (REL013), without a valid Series Instance UID (REL016)."""


@dataclass(frozen=True)
class Disk:
    """Every series on disk."""

    series: Mapping[str, OnDisk]
    folders: Mapping[str, Folder]
    elsewhere: frozenset[str]
    """Patients of whom any series may lie in an archive (REL025), or where a link leads (REL013)."""
    flat: bool = False
    """Whether series share folders by the way of a downloader, so that none is astray in that of another."""

    def unknown(self, folder: str) -> int:
        """Files of a folder that may be of any series."""
        return self.folders[folder].unknown if folder in self.folders else 0

    def uncertain(self, one: OnDisk) -> int:
        """Files in the folders of a series that may be of it: unknown ones, and those of other series (REL014)."""
        held = [self.folders[folder] for folder in one.folders]
        others = 0 if self.flat else sum(sum(folder.uids.values()) - folder.uids.get(one.uid, 0) for folder in held)
        return sum(folder.unknown for folder in held) + others

    def strays(self, one: OnDisk) -> bool:
        """Whether a series only lies in the folder of a larger one (REL014)."""
        return not self.flat and all(
            any(
                (count, other) > (self.folders[folder].uids[one.uid], one.uid)
                for other, count in self.folders[folder].uids.items()
                if other != one.uid
            )
            for folder in one.folders
        )


@once
def disk(context: Context) -> Disk:
    """The series on disk.

    Raises
    ------
    Skip
        There is no series on disk to compare with.
    """
    found = _disk(context["files"], flat=context.evidence.facts.layout == "flat")
    if not found.series:
        raise Skip("no series was found on disk")
    return found


def _disk(files: Any, *, flat: bool) -> Disk:
    series: dict[str, OnDisk] = {}
    folders: dict[str, Folder] = {}
    columns = ("kind", "patient", "folder", "sop_instance_uid", "series_uid", "invalid_uids")
    instances: dict[str, set[str]] = {}
    sizes = files["size"].fillna(0).tolist()
    for bad, size, kind, patient, place, instance, uid, invalid in zip(
        unsound(files).tolist(), sizes, *(files[name].tolist() for name in columns), strict=True
    ):
        if kind not in ("ct", "dso", "unreadable", "link"):
            continue
        folder = folders.setdefault(text(place) or "", Folder())
        known = kind in ("ct", "dso") and isinstance(uid, str) and is_uid(uid)
        if not known or (isinstance(invalid, str) and "SeriesInstanceUID" in json.loads(invalid)):
            folder.unknown += 1
            continue
        folder.uids[uid] = folder.uids.get(uid, 0) + 1
        one = series.setdefault(uid, OnDisk(uid))
        one.patients.add(text(patient))
        one.folders.add(text(place) or "")
        one.roles.add(kind)
        one.n_files += 1
        instances.setdefault(uid, set()).add(instance if isinstance(instance, str) else f"file {one.n_files}")
        one.size += int(size)
        one.sound = one.sound and not bad
    for uid, one in series.items():
        one.n_instances = len(instances[uid])
    return Disk(series, folders, elsewhere(files), flat)


def elsewhere(files: Any) -> frozenset[str]:
    """Patients in whose folders archives or links to other folders lie, which may hold any of their series."""
    may = files["content"].isin(list(ARCHIVES)) & (files["kind"] == "unexpected")
    may |= files["problem"].isin(["link-outside", "link-folder"])
    return frozenset(files.loc[may, "patient"].dropna())


def unsound(files: Any) -> Any:
    """Which rows of `files` have other bytes than their header says (REL005)."""
    differ = (files["pixel_bytes_found"] != files["pixel_bytes_expected"]).fillna(value=False)
    return differ | (files["trailing_bytes"].fillna(0) > 0)


@once
def headers(context: Context) -> dict[str, list[dict[str, Any]]]:
    """The distinct values of the attributes that metadata.csv repeats, by Series Instance UID.

    Returns
    -------
    dict of str to list of dict
        Each dict has the columns of `HEADERS`, and `patient` and `patient_id`; most series have just one.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("slices", "dsos"):
        distinct = context[name][["series_uid", "patient", "patient_id", *HEADERS]].drop_duplicates()
        for row in distinct.to_dict("records"):
            if isinstance(row["series_uid"], str):
                found.setdefault(row["series_uid"], []).append(row)
    return found
