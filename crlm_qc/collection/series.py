"""Which CT series of a patient an object was drawn on, on plain values: who measures masks and who judges them ask here.

A series goes by its Series Instance UID; slices without one are a series too, which goes by an empty text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Owner = TypeVar("Owner", str, tuple[str, str])


def strays(owners: Mapping[Owner, Collection[str]]) -> frozenset[Owner]:
    """Series that only lie in the folder of a larger one (REL014 names them): slices that went astray, and no series.

    Parameters
    ----------
    owners : mapping
        The folder of every slice, by whose slice it is. Of series of one size, the first one counts as the largest.

    Returns
    -------
    frozenset
        Keys of the smaller ones.
    """
    within: dict[str, list[Owner]] = {}
    for owner, folders in owners.items():
        for folder in set(folders):
            within.setdefault(folder, []).append(owner)
    found: set[Owner] = set()
    for mixed in within.values():
        found.update(sorted(mixed, key=lambda one: (-len(owners[one]), one))[1:])
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Meant:
    """The CT series that an object refers to."""

    series: str | None
    """None if it refers to none of the patient's, or if it can't be told to which."""
    choices: tuple[str, ...]
    """Those that come into question, sorted."""


class OwnSeries:
    """The CT series of one patient.

    Parameters
    ----------
    slices : iterable of tuple
        Series Instance UID, SOP Instance UID and folder of every slice.
    """

    def __init__(self, slices: Iterable[tuple[str | None, str | None, str]]) -> None:
        folders: dict[str, list[str]] = {}
        self._with: dict[str, set[str]] = {}
        for series, instance, folder in slices:
            folders.setdefault(series or "", []).append(folder)
            if instance:
                self._with.setdefault(instance, set()).add(series or "")
        self._all = frozenset(folders)
        self._strays = strays(folders)

    def meant(self, named: Iterable[str | None], sources: Iterable[str | None]) -> Meant:
        """The series that an object refers to.

        What its top-level list names counts first (PS3.3 C.12.2). An object whose list names none of the patient's
        series was drawn on those that the source images of its frames lie in (C.7.6.16.2.6). If it has no such list, all
        series come into question, and a single one is meant unless the source images lie elsewhere. Of several, the one
        with the most source images is meant.

        Parameters
        ----------
        named : iterable of str or None
            Series Instance UIDs of the Referenced Series Sequence.
        sources : iterable of str or None
            SOP Instance UIDs of the source images of its frames, each as often as frames name it.

        Returns
        -------
        Meant
            Series that went astray into the folder of another one are meant only where nothing else can be.
        """
        listed = {uid for uid in named if uid}
        instances = [instance for instance in sources if instance]
        # An instance of two series (REL006) speaks for both.
        counts = Counter(series for instance in instances for series in self._with.get(instance, ()))
        found = self._all & listed or frozenset(counts) or (frozenset() if listed else self._all)
        choices = tuple(sorted(found - self._strays or found))
        elsewhere = bool(instances) and not counts and not listed
        if len(choices) < 2:
            return Meant(None if elsewhere else next(iter(choices), None), choices)
        most = max(counts[one] for one in choices)
        first = [one for one in choices if most and counts[one] == most]
        return Meant(first[0] if len(first) == 1 else None, choices)
