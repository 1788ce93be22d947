"""Where a liver's mask fits the CT better than in its place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.columns import Row, rows_of
from crlm_qc.subjects.words import number, whole

_TOWARDS = (("left", "right"), ("back", "front"), ("head", "feet"))
"""Directions of growing and falling x, y and z of patient coordinates (DICOM PS3.3 C.7.6.2.1.1)."""
_TOO_FAR = {
    " towards the head": "too low",
    " towards the feet": "too high",
    **{f" towards the {one}": f"too far to the {other}" for pair in _TOWARDS[:2] for one, other in (pair, pair[::-1])},
}
"""Where what fits better when it is moved lies now."""
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
    """Row of `alignments` of the placement where its values are most alike; shifted as the border has it, where that tells."""
    border: Mapping[str, Any] | None = None
    """Row of `borders` of the axis along which the liver's border lies farther in one direction on both sides."""

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

    def fault(self, orientation: Sequence[float] | None) -> str:
        """What is wrong with the mask's own placement: `lies 2 slices (10 mm) too low`."""
        best = self.best
        if best is None:
            return ""
        kind = str(best["placement"])
        if kind in _KINDS:
            return f"fits the CT better {_KINDS[kind]}"
        shift, length = whole(best["shift"]) or 0, float(best["shift_mm"])
        far = f"{plural(abs(shift), _UNITS.get(kind, kind))} ({number(abs(length), 1)} mm)"
        return f"lies {far} {_TOO_FAR.get(_towards(kind, shift, orientation), 'off')}"

    def gain(self, orientation: Sequence[float] | None) -> str:
        """By how much it wins."""
        if self.best is None:
            return ""
        words = self.words(orientation)
        if "hu_spread" in self.best:
            return f"as stored, {_figures(self.here)}; {words}, {_figures(self.best)}"
        assert self.border is not None
        ahead, behind = ("high", "low") if float(self.border["shift"]) > 0 else ("low", "high")
        return (
            f"{words}; on that side CT values show the liver's border {self._off(ahead)} of the mask, "
            f"on the other {self._off(behind)} of it"
        )

    def _off(self, side: str) -> str:
        """How far off the border lies on one side."""
        assert self.border is not None
        off = float(self.border[f"border_{side}"]) * float(self.border["spacing_mm"])
        return f"{number(abs(off), 1)} mm {'outside' if off > 0 else 'inside'}"


@once
def alignments(context: Context) -> dict[tuple[str, int], Alignment]:
    """Every liver that was laid over the CT, by the path of its object and its Segment Number."""
    laid, borders = (_by_liver(context, table) for table in ("alignments", "borders"))
    found = {}
    for key, rows in laid.items():
        here = next((row for row in rows if row["placement"] == "stated"), None)
        if here is not None and here["voxels"] >= context.tolerances.alignment_voxels:
            border = _border(context, borders.get(key, ()))
            best = _best(context, here, rows, border)
            # What stays must not hold all placements.
            kept = [None if row is None else dict(row) for row in (best, border)]
            found[key] = Alignment(dict(here), *kept)
    return found


def _by_liver(context: Context, table: str) -> dict[tuple[str, int], list[Row]]:
    grouped: dict[tuple[str, int], list[Row]] = {}
    for row in rows_of(context[table]):
        grouped.setdefault((row["dso"], int(row["segment_number"])), []).append(row)
    return grouped


def _best(
    context: Context,
    here: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    border: Mapping[str, Any] | None,
) -> Mapping[str, Any] | None:
    """The placement that is clearly better, and where the values are those of a liver."""
    limits = context.tolerances
    rivals = [
        row
        for row in rows
        if row["voxels"] >= limits.alignment_overlap_fraction * here["voxels"]
        and _clearly_better(context, here, row)
        and is_liver(context, row["hu_median"], row["hu_below_minus10"])
    ]
    best = min(rivals, key=lambda row: float(row["hu_spread"]), default=None)
    if border is None:
        return best
    # Masks are displaced by whole voxels, mostly; what was measured on either side is told besides.
    voxels = round(border["shift"])
    shift_mm = voxels * float(border["spacing_mm"])
    moved = {"placement": border["axis"], "about": None, "shift": voxels, "shift_mm": shift_mm}
    if best is None:
        return moved
    # Placements are tried in steps; the border tells how far in between.
    same = (
        best["placement"] == moved["placement"] and abs(best["shift_mm"] - moved["shift_mm"]) <= limits.border_step_mm
    )
    return {**best, **moved} if same else best


def _clearly_better(context: Context, here: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether values spread less, and less of them are too low, or those just outside are less like those inside."""
    limits = context.tolerances
    spread = float(here["hu_spread"] - row["hu_spread"])
    below = bool(here["hu_below_minus10"] - row["hu_below_minus10"] > limits.alignment_below_fraction)
    alike = bool(here["hu_alike"] - row["hu_alike"] > limits.alignment_alike_fraction)
    return (spread > limits.alignment_spread_hu and below) or (spread > 0 and alike)


def _border(context: Context, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The axis along which the mask is displaced farthest, by what CT values say of the liver's border."""
    told = {row["axis"]: row for row in rows if _is_told(context, row)}
    displaced = [row for row in told.values() if _is_displaced(context, row, told)]
    return max(displaced, key=lambda row: abs(float(row["shift_mm"])), default=None)


def _is_told(context: Context, row: Mapping[str, Any]) -> bool:
    """Whether the border is seen on both sides."""
    limits = context.tolerances
    return bool(
        min(row["faces_low"], row["faces_high"]) >= limits.border_faces
        and min(row["told_low"], row["told_high"]) >= limits.border_told_fraction
    )


def _is_displaced(context: Context, row: Mapping[str, Any], told: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the border lies farther in one direction on both sides and in all parts, by more than outlines vary."""
    limits, shift, length = context.tolerances, float(row["shift"]), abs(float(row["shift_mm"]))
    along = row["axis"] == "slices"
    least_mm, least = (
        (limits.border_slice_mm, limits.border_slices) if along else (limits.border_mm, limits.border_pixels)
    )
    if not (length >= least_mm and abs(shift) >= least):
        return False
    if not float(row["shift_least"]) >= limits.border_part_fraction * abs(shift):
        return False
    sign = math.copysign(1, shift)
    ahead, behind = sign * float(row["border_high"]), -sign * float(row["border_low"])
    if min(ahead, behind) >= limits.border_side_fraction * abs(shift):
        return True
    # A mask that is too wide or too tight all around is so along the other axes in the plane, too.
    others = [other for axis, other in told.items() if axis not in ("slices", row["axis"])]
    if not others or length < limits.border_mm or abs(shift) < limits.border_pixels:
        return False
    tight = sum((other["border_low"] + other["border_high"]) / 2 * other["spacing_mm"] for other in others)
    tight = sign * float(tight) / len(others) / float(row["spacing_mm"])
    return min(ahead - tight, behind + tight) >= limits.border_corrected_fraction * abs(shift)


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
