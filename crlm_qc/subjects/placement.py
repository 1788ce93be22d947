"""Where a liver's mask fits the CT better than in its place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.words import number, whole

_TOWARDS = (("left", "right"), ("back", "front"), ("head", "feet"))
"""Directions of growing and falling x, y and z of patient coordinates (DICOM PS3.3 C.7.6.2.1.1)."""
_KINDS = {
    "left-right": "mirrored left-right",
    "front-back": "mirrored front-back",
    "upside-down": "turned upside down",
    "turned": "turned by 180 degrees in the plane",
    "transposed": "with rows and columns swapped",
}
_UNITS = {"slices": "slice", "rows": "row", "columns": "column"}


@dataclass(frozen=True)
class Alignment:
    """A liver's mask laid over the CT in its place, and where it fits clearly better, if anywhere."""

    here: Mapping[str, Any]
    best: Mapping[str, Any] | None
    """Row of `alignments` of the placement where its values are most alike."""

    def words(self, orientation: Sequence[float] | None) -> str:
        """The better placement: `mirrored left-right`, `moved by 2 slices (10 mm) towards the head`."""
        best = self.best
        if best is None:
            return ""
        kind, about = str(best["placement"]), best["about"]
        if kind in _KINDS:
            return _KINDS[kind] + (" about its own middle" if about == "mask" else "")
        shift, length = whole(best["shift"]) or 0, float(best["shift_mm"])
        where = _towards(kind, shift, orientation)
        return f"moved by {plural(abs(shift), _UNITS.get(kind, kind))} ({number(abs(length), 1)} mm){where}"

    def gain(self, orientation: Sequence[float] | None) -> str:
        """By how much it wins."""
        if self.best is None:
            return ""
        return f"as stored, {_figures(self.here)}; {self.words(orientation)}, {_figures(self.best)}"


@once
def alignments(context: Context) -> dict[tuple[str, int], Alignment]:
    """Every liver that was laid over the CT, by the path of its object and its Segment Number."""
    grouped: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in context["alignments"].to_dict("records"):
        grouped.setdefault((row["dso"], int(row["segment_number"])), []).append(row)
    found = {}
    for key, rows in grouped.items():
        here = next((row for row in rows if row["placement"] == "stated"), None)
        if here is not None and here["voxels"] >= context.tolerances.alignment_voxels:
            found[key] = Alignment(here, _best(context, here, rows))
    return found


def _best(context: Context, here: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The placement that is clearly better by both measures, and where the values are those of a liver."""
    limits = context.tolerances
    rivals = [
        row
        for row in rows
        if row["voxels"] >= limits.alignment_overlap_fraction * here["voxels"]
        and here["hu_spread"] - row["hu_spread"] > limits.alignment_spread_hu
        and here["hu_below_minus10"] - row["hu_below_minus10"] > limits.alignment_below_fraction
        and is_liver(context, row["hu_median"], row["hu_below_minus10"])
    ]
    return min(rivals, key=lambda row: float(row["hu_spread"]), default=None)


def is_liver(context: Context, median: float, below: float) -> bool:
    """Whether CT values may be those of a liver.

    Parameters
    ----------
    context : Context
        Bounds and tolerances.
    median : float
        Median, HU.
    below : float
        Fraction below -10 HU. What noise puts there in a fatty liver does not count.

    Returns
    -------
    bool
        Whether they may.
    """
    noise = 0.5 * math.erfc((median + 10) / (context.tolerances.liver_noise_hu * math.sqrt(2)))
    return context.profile.plausible["liver_hu"].holds(median) and below <= (
        context.tolerances.liver_below_fraction + noise
    )


def holds_liver(context: Context, row: Mapping[str, Any]) -> bool:
    """Whether the CT values under a mask, as `segments` has them, may be those of a liver: noise does not count."""
    typical = context.profile.plausible["liver_hu"].holds(float(row["hu_median"]))
    return typical and float(row["hu_other"]) <= context.tolerances.liver_below_fraction


def _figures(row: Mapping[str, Any]) -> str:
    below = number(100 * float(row["hu_below_minus10"]), 1)
    return f"{below}% is below -10 HU and values spread by {number(float(row['hu_spread']), 1)} HU"


def _towards(kind: str, shift: int, orientation: Sequence[float] | None) -> str:
    """Direction of a shift in the patient."""
    if orientation is None:
        return ""
    row, column = list(orientation[:3]), list(orientation[3:])
    normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ]
    direction = {"columns": row, "rows": column, "slices": normal}.get(kind)
    if direction is None:
        return ""
    axis = max(range(3), key=lambda place: abs(direction[place]))
    return f" towards the {_TOWARDS[axis][direction[axis] * shift < 0]}"
