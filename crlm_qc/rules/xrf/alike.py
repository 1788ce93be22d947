"""One scan, or one drawing, under the names of several patients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from crlm_qc.model.finding import MAX_EXAMPLES
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import listed
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.subjects.alike import Group, Holder, T, drawings, groups, same_drawings, same_scans, scans
from crlm_qc.subjects.ct import CtSeries, need_pixels
from crlm_qc.subjects.dso import measured


@rule(
    "XRF009",
    "scan-of-several-patients",
    ERROR,
    title="Slices of several patients hold the same pixels",
    why="One scan counts as several patients: it lies on both sides of a split into training and test, and every figure over the patients counts it twice. CT values are compared, so that other UIDs, another encoding or another order hide nothing; no two scans have one slice alike, noise sees to that. Slices of one value everywhere are left out, and a file that there is twice is REL006's.",
    fix="Find out whose scan it is, and fetch the other patient's own, or take that patient out.",
    source="DICOM PS3.3 C.7.1.1 (Patient), C.8.2.1.1.2 (CT pixel values in Hounsfield units)",
    tables=("slices", "files", "dsos", "frames"),
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values", "clinical-pairing")),
)
def scan_of_several_patients(context: Context) -> Checked:
    """Every CT series of a patient whose pixels were read."""
    need_pixels(context)
    findings = []
    for group in same_scans(context):
        *_, last = group.holders
        words = _counted(group.holders, group.shared, "slice")
        message = f"{listed(words)} hold the same pixels{_order(group)}{_masks(context, group)}."
        places = last.having(group.shared)
        findings.append(
            last.what.found(
                context, message, "pixels of its own for every patient", listed(words), places, examples=words
            )
        )
    return Checked(sum(holder.size > 0 for holder in scans(context)), findings)


@rule(
    "XRF010",
    "masks-of-several-patients",
    ERROR,
    title="Segmentation objects of several patients hold the same masks",
    why="No two livers have one outline: at least one of the patients has the masks of another. Small masks may be alike by chance, and on a coarse grid so may smooth livers: three masks that are not small must be the same, and with them two thirds of what an object has, or three large ones. Where the CT slices are the same too, XRF009 tells of both.",
    fix="Find out whose masks they are, and fetch the other patient's own.",
    source="DICOM PS3.3 C.8.20.2 (Segmentation Image)",
    tables=("dsos", "frames", "slices", "files"),
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("repeated_mask_voxels", "shared_masks_fraction", "shared_mask_voxels"),
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def masks_of_several_patients(context: Context) -> Checked:
    """Every object whose masks were measured."""
    same_scan = [group.patients for group in same_scans(context)]
    findings = []
    for group in same_drawings(context):
        if any(group.patients <= patients for patients in same_scan):
            continue
        *_, last = group.holders
        places = last.having(group.shared)
        words = _counted(group.holders, group.shared, "mask")
        read = {holder.patient for holder in scans(context) if holder.size}
        images = "their CT slices differ" if group.patients <= read else "their CT slices were not compared"
        findings.append(
            last.what.found(
                context,
                f"{listed(words)} are the same, voxel for voxel; {images}.",
                "masks of its own for every patient",
                listed(words),
                count=len(places),
                examples=words,
                places=last.what.places(places[:MAX_EXAMPLES]),
            )
        )
    return Checked(len(measured(context)), findings)


def _counted(holders: Sequence[Holder[T]], digests: frozenset[str], noun: str) -> list[str]:
    """How much of each is shared: `41 of 41 slices of A and B`, or `12 of 41 slices of A`, `12 of 55 of B`."""
    counts: dict[tuple[int, int], list[str]] = {}
    for holder in holders:
        counts.setdefault((len(holder.having(digests)), holder.size), []).append(holder.patient)
    words: list[str] = []
    for (count, size), patients in counts.items():
        what = "" if words else f" {noun}s"
        words.append(f"{count} of {size}{what} of {_named(patients)}")
    return words


def _named(patients: Sequence[str]) -> str:
    """Patients in words: `A and B`, `A, B and 3 more`."""
    return listed(patients) if len(patients) != 2 else " and ".join(patients)


def _order(group: Group[CtSeries]) -> str:
    """Whether two series have what they share in another order along the normal."""
    if len(group.holders) != 2:
        return ""
    one, other = (_along(holder, group.shared) for holder in group.holders)
    ranks = {digest: rank for rank, digest in enumerate(other)}
    kept = [ranks[digest] for digest in one if digest in ranks]
    steps = {after > before for before, after in pairwise(kept) if after != before}
    return "" if False not in steps else ", in another order" if True in steps else ", in the reverse order"


def _along(holder: Holder[CtSeries], digests: Iterable[str]) -> list[str]:
    """What a series shares, from the lowest slice to the highest; empty without a stack."""
    if holder.what.stack is None:
        return []
    values, wanted = holder.what.slices["pixel_digest"], set(digests)
    return [values[place] for place in holder.what.stack.order.tolist() if values[place] in wanted]


def _masks(context: Context, group: Group[CtSeries]) -> str:
    """What the masks of these patients share."""
    holders = [holder for holder in drawings(context) if holder.patient in group.patients and holder.size]
    if {holder.patient for holder in holders} != group.patients:
        return ""
    if not groups(holders):
        return "; their masks differ"
    same = frozenset[str]().union(
        *(found.shared for found in same_drawings(context) if group.patients <= found.patients)
    )
    if not same:
        return ""
    if all(len(holder.having(same)) == holder.size for holder in holders):
        return "; so do the masks"
    return f"; so do {listed(_counted(holders, same, 'mask'))}"
