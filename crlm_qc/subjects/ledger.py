"""The disk against the ledger of published series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crlm_qc.collection.ledger import PublishedSeries
from crlm_qc.collection.profile import CT, SEG
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.disk import Disk, OnDisk, disk

MODALITY: Mapping[str, str] = {"ct": CT, "dso": SEG}
"""Modality by what a file is."""


class State(StrEnum):
    """How a published series lies on disk."""

    WHOLE = "whole"
    ABSENT = "absent"
    REPLACED = "replaced"
    """Absent, with a series that was not published in its place."""
    FILES_MISSING = "files missing"
    OTHER_BYTES = "other bytes"
    """As many files as published, and other bytes in all."""
    FILES_SURPLUS = "files surplus"


@dataclass(frozen=True, slots=True)
class Held:
    """A published series, and what of it is on disk."""

    series: PublishedSeries
    state: State
    files: int
    """Its files; copies of one instance count once."""
    size: int
    explained: bool
    """Whether files that can't be read, or that are cut, may be the reason: other rules name these."""
    place: OnDisk | None
    """It on disk, or the series in its place."""


@dataclass(frozen=True)
class Compared:
    """What became of the published series."""

    held: tuple[Held, ...]
    """Those that the audit asks for, by patient and modality: of a part of the release, those of the patients that are there."""
    absent_patients: frozenset[str]
    """Patients of whom nothing is there."""
    unknown: tuple[OnDisk, ...]
    """Series of patients of the collection that were not published, and stand in the place of none that was."""

    def of(self, state: State) -> list[Held]:
        """Published series in some state that no other rule explains, but those of patients of whom nothing is there."""
        return [
            one
            for one in self.held
            if one.state is state and not one.explained and one.series.patient not in self.absent_patients
        ]


@once
def compared(context: Context) -> Compared:
    """The series on disk against the ledger.

    Raises
    ------
    Skip
        There is no ledger, no series on disk, or none of those in the ledger: another release.
    """
    ledger = context.profile.ledger
    if not ledger:
        raise Skip("the profile names no ledger of published series")
    found = disk(context)
    if not ledger.keys() & found.series.keys():
        raise Skip("no series on disk is one of the published")
    files = context["files"]
    there = set(context["patients"]["patient"]) | {ledger[uid].patient for uid in found.series if uid in ledger}
    asked = [one for one in ledger.values() if not context.settings.partial or one.patient in there]
    # A link in place of a patient's folder is REL013's.
    linked = set(files.loc[files["kind"] == "link", "name"])
    others = _others(context, found, ledger)
    places = {(one.patient, modality): one for one in others.values() for modality in modalities(one)}
    missing = Counter(one.patient for one in asked if one.series_uid not in found.series)
    unread = _unread_folders(files, found)
    measured = _measured(files, ledger)
    held = []
    for one in sorted(asked, key=lambda one: (one.patient, one.modality, one.series_uid)):
        lost = unread[one.patient] >= missing[one.patient] or one.patient in linked
        held.append(_held(one, found, measured, places.get((one.patient, one.modality)), lost=lost))
    replacing = {one.place.uid for one in held if one.state is State.REPLACED and one.place is not None}
    return Compared(
        held=tuple(held),
        absent_patients=frozenset(one.patient for one in asked) - there - linked,
        unknown=tuple(one for uid, one in others.items() if uid not in replacing and _is_told(one, ledger)),
    )


def _others(context: Context, found: Disk, ledger: Mapping[str, PublishedSeries]) -> dict[str, OnDisk]:
    """Series on disk that were not published, of patients of the collection; not those astray in another's folder (REL014)."""
    is_patient = context.profile.is_patient_id
    return {
        uid: one
        for uid, one in sorted(found.series.items())
        if uid not in ledger and one.patient is not None and is_patient(one.patient) and not found.strays(one)
    }


def modalities(one: OnDisk) -> list[str]:
    """What a series on disk is, by its files: mostly one of `CT` and `SEG`."""
    return [MODALITY[role] for role in sorted(one.roles)]


def _is_told(one: OnDisk, ledger: Mapping[str, PublishedSeries]) -> bool:
    """Whether nobody else tells of a series: further objects of a published patient are told of with the objects."""
    return "ct" in one.roles or one.patient not in {published.patient for published in ledger.values()}


def _unread_folders(files: Any, found: Disk) -> Counter[str]:
    """Folders of each patient that hold unreadable files and no series: each may be one that is missing."""
    owners = dict(zip(files["folder"].fillna(""), files["patient"], strict=True))
    unread = (path for path, folder in found.folders.items() if folder.unknown and not folder.uids)
    return Counter(str(owners[path]) for path in unread)


def _measured(files: Any, published: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Files and bytes of each published series; an instance that has a copy counts once."""
    own = files[files["kind"].isin(list(MODALITY)) & files["series_uid"].isin(list(published))]
    own = own[own["sop_instance_uid"].isna() | ~own.duplicated(["series_uid", "sop_instance_uid"])]
    counts, sizes = own.groupby("series_uid").size(), own.groupby("series_uid")["size"].sum()
    return {str(uid): (int(count), int(sizes[uid])) for uid, count in counts.items()}


def _held(
    one: PublishedSeries, found: Disk, measured: Mapping[str, tuple[int, int]], other: OnDisk | None, *, lost: bool
) -> Held:
    own = found.series.get(one.series_uid)
    if own is None or one.series_uid not in measured:
        state = State.ABSENT if other is None else State.REPLACED
        return Held(one, state, 0, 0, lost and other is None, other)
    files, size = measured[one.series_uid]
    if files < one.files:
        state, explained = State.FILES_MISSING, found.uncertain(own) >= one.files - files
    elif files > one.files:
        state, explained = State.FILES_SURPLUS, False
    else:
        state, explained = State.WHOLE if size == one.size else State.OTHER_BYTES, not own.sound
    return Held(one, state, files, size, explained, own)


_TOLD_BY: Mapping[State, str] = {
    State.ABSENT: "LED001",
    State.FILES_MISSING: "LED002",
    State.OTHER_BYTES: "LED003",
    State.REPLACED: "LED005",
    State.FILES_SURPLUS: "LED006",
}
UNKNOWN, ABSENT_PATIENT = "LED004", "LED007"


@once
def told(context: Context, *states: State) -> frozenset[str]:
    """Published series of which a rule of the family LED tells that they are not whole, so that no other rule does.

    Parameters
    ----------
    context : Context
        The audit.
    *states : State
        What is wrong with them. `ABSENT` has those of patients of whom nothing is there, too.

    Returns
    -------
    frozenset of str
        Series Instance UIDs; none where the ledger says nothing, or the rule is not run.
    """
    found = _compared_or_none(context)
    if found is None:
        return frozenset()
    uids = {one.series.series_uid for state in states if context.judges(_TOLD_BY[state]) for one in found.of(state)}
    if State.ABSENT in states and context.judges(ABSENT_PATIENT):
        uids |= {one.series.series_uid for one in found.held if one.series.patient in found.absent_patients}
    return frozenset(uids)


@once
def told_unknown(context: Context) -> frozenset[str]:
    """Series on disk of which the family LED tells that they were not published, or stand in place of published ones."""
    found = _compared_or_none(context)
    if found is None:
        return frozenset()
    uids = {one.uid for one in found.unknown} if context.judges(UNKNOWN) else set()
    if context.judges(_TOLD_BY[State.REPLACED]):
        uids |= {one.place.uid for one in found.of(State.REPLACED) if one.place is not None}
    return frozenset(uids)


@once
def told_patients(context: Context) -> frozenset[str]:
    """Patients of whom the family LED tells that nothing is there."""
    found = _compared_or_none(context)
    return found.absent_patients if found is not None and context.judges(ABSENT_PATIENT) else frozenset()


def _compared_or_none(context: Context) -> Compared | None:
    try:
        return compared(context)
    except Skip:
        return None
