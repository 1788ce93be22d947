"""What several patients hold alike, voxel for voxel: CT slices, and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Generic, TypeVar

from crlm_qc.rulebook.context import Context, gathered, once
from crlm_qc.subjects.ct import CtSeries, series_of
from crlm_qc.subjects.dso import Dso, dsos_of
from crlm_qc.subjects.words import text

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Objects

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Holder(Generic[T]):
    """A CT series or a segmentation object of a patient, by the digests of its slices or frames."""

    patient: str
    what: T
    digests: Objects
    """The digest of each slice or frame; None of those that have none, or that an earlier holder has too."""

    @property
    def places(self) -> dict[str, list[int]]:
        """Digest to the slices or frames that have it."""
        places: dict[str, list[int]] = {}
        for place, digest in enumerate(self.digests.tolist()):
            if digest is not None:
                places.setdefault(digest, []).append(place)
        return places

    @property
    def size(self) -> int:
        """Slices or frames that have a digest."""
        return sum(digest is not None for digest in self.digests.tolist())

    def having(self, digests: AbstractSet[str]) -> list[int]:
        """The slices or frames that have one of some digests."""
        return [place for place, digest in enumerate(self.digests.tolist()) if digest in digests]


@dataclass(frozen=True, eq=False)
class Group(Generic[T]):
    """Holders of two patients or more that hold the same, directly or by way of each other."""

    holders: tuple[Holder[T], ...]
    """In the order of patients."""
    shared: frozenset[str]
    """Digests that two of the patients have."""

    @property
    def patients(self) -> frozenset[str]:
        """The patients."""
        return frozenset(holder.patient for holder in self.holders)


def groups(
    holders: Sequence[Holder[T]], enough: Callable[[Holder[T], Holder[T], set[str]], bool] = lambda *_: True
) -> list[Group[T]]:
    """Holders that have digests in common with those of other patients.

    Parameters
    ----------
    holders : sequence of Holder
        Those of all patients.
    enough : callable, optional
        Whether the digests that two of them have in common say that they are the same; by default, one is enough.
    """
    first: dict[str, int] = {}
    owners: dict[str, list[int]] = {}
    for place, holder in enumerate(holders):
        for digest in dict.fromkeys(holder.digests.tolist()):
            # Most digests have one holder, and no list.
            if digest is not None and first.setdefault(digest, place) != place:
                owners.setdefault(digest, [first[digest]]).append(place)
    pairs: dict[tuple[int, int], set[str]] = {}
    for digest, places in owners.items():
        for pair in combinations(places, 2):
            if holders[pair[0]].patient != holders[pair[1]].patient:
                pairs.setdefault(pair, set()).add(digest)
    joined: list[tuple[set[int], set[str]]] = []
    for (one, other), common in pairs.items():
        if enough(holders[one], holders[other], common):
            touching = [group for group in joined if {one, other} & group[0]]
            joined = [group for group in joined if group not in touching]
            joined.append(
                ({one, other}.union(*(members for members, _ in touching)), common.union(*(own for _, own in touching)))
            )
    joined.sort(key=lambda group: min(group[0]))
    return [Group(tuple(holders[place] for place in sorted(members)), frozenset(same)) for members, same in joined]


@once
def scans(context: Context) -> list[Holder[CtSeries]]:
    """CT series by what their slices hold; a slice that an earlier series has too (REL006) is left out."""
    known: set[str] = set()
    found = []
    for series in series_of(context):
        uids = series.slices["sop_instance_uid"].tolist()
        digests = series.slices["pixel_digest"]
        if not known.isdisjoint(uids):
            digests = digests.copy()
            digests[[uid in known for uid in uids]] = None
        known.update(uid for uid in uids if uid is not None)
        if series.patient is not None:
            found.append(Holder(series.patient, series, digests))
    return found


@once
def drawings(context: Context) -> list[Holder[Dso]]:
    """Segmentation objects by what their frames hold; a file that there is twice (REL006) is left out."""
    known: set[str] = set()
    found = []
    for dso in sorted(dsos_of(context), key=lambda one: (one.patient or "", one.path)):
        if (uid := text(dso.row["sop_instance_uid"])) in known:
            continue
        if uid is not None:
            known.add(uid)
        if dso.patient is not None:
            found.append(Holder(dso.patient, dso, dso.frames["mask_digest"]))
    return found


FEWEST_MASKS = 3
"""Masks, none of them small, that two objects must have in common: one or two may be discs of the same brush."""


@once
def same_scans(context: Context) -> list[Group[CtSeries]]:
    """CT series of several patients that have slices in common (XRF009)."""
    return groups(scans(context))


@once
def same_drawings(context: Context) -> list[Group[Dso]]:
    """Objects of several patients that have more masks in common than chance gives (XRF009, XRF010)."""
    tolerances = context.tolerances

    def enough(one: Holder[Dso], other: Holder[Dso], common: set[str]) -> bool:
        places, others = one.places, other.places
        voxels = [float(one.what.frames["voxels"][places[digest][0]]) for digest in common]
        most = len(common) >= tolerances.shared_masks_fraction * min(len(places), len(others))
        telling = tolerances.repeated_mask_voxels if most else tolerances.shared_mask_voxels
        return sum(size >= telling for size in voxels) >= FEWEST_MASKS

    return groups(drawings(context), enough)


@gathered
def shared_objects(context: Context) -> list[str]:
    """Paths of the objects whose masks several patients have."""
    return [holder.what.path for group in same_drawings(context) for holder in group.holders]
