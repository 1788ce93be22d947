"""The masks of a patient as the rules look at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR, VESSEL
from crlm_qc.model.finding import Found
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Place
from crlm_qc.model.words import capitalised
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.columns import SPACING
from crlm_qc.subjects.dso import Dso, measured, plane_differs
from crlm_qc.subjects.sources import sources_of
from crlm_qc.subjects.words import text, whole

_MIDDLE = 0.5
"""Part of what lies around a tumour or vessel that must be liver for it to fill a hole of the liver."""


@dataclass(frozen=True)
class Segment:
    """A measured segment."""

    dso: Dso
    number: int
    role: str | None
    label: str
    """As a finding names it."""
    row: Mapping[str, Any]
    laid: int
    """Frames of it that hold a voxel; 0 where that can't be told."""
    drawn: int
    """Voxels of all its frames, those that lie on top of each other counted as often; 0 where that can't be told."""

    @property
    def voxels(self) -> int:
        """Set voxels."""
        return whole(self.row["voxels"]) or 0

    @property
    def volume(self) -> float:
        """Volume, mL; NaN if it could not be computed."""
        return float(self.row["volume_ml"])

    @property
    def piled(self) -> bool:
        """Whether frames of it lie on top of each other (DSO011, DSO020), so that it is on fewer slices than it was drawn on."""
        return self.laid > (whole(self.row["n_planes"]) or 0)

    @property
    def spread(self) -> float:
        """Volume that it would have if no frames lay on top of each other, mL."""
        return self.volume * max(self.drawn, self.voxels) / self.voxels if self.piled else self.volume

    def found(
        self,
        context: Context,
        message: str,
        expected: str,
        observed: str,
        *,
        count: int = 1,
        examples: Sequence[str] = (),
        severity: Severity | None = None,
        places: Iterable[Place] = (),
    ) -> Found:
        """A finding on the segment."""
        return self.dso.found(
            context,
            capitalised(message),
            expected,
            observed,
            segment=self.number,
            count=count,
            examples=examples,
            severity=severity,
            places=places,
        )


@dataclass(frozen=True)
class Masks:
    """The measured segments of one object, those without a voxel (DSO019), with a number of another (DSO017), and the background of a label map left out."""

    dso: Dso
    segments: tuple[Segment, ...]
    overlaps: dict[tuple[int, int], int]
    """Voxels that two segments share, by their numbers, the lower first."""
    misplaced: frozenset[int]
    """Segments with frames that lie elsewhere than their source slice (DSO011), or that have no place (DSO012, DSO014)."""
    scaled: bool
    """Whether the object's pixel spacing is not the CT's (DSO013), so that its volumes say nothing of the anatomy."""

    @property
    def one_spacing(self) -> bool:
        """Whether one slice spacing can hold; not where its CT changes it (CTS009) or is several volumes (CTS018, CTS028)."""
        return self.dso.ct is None or self.dso.ct.one_spacing

    def of(self, *roles: str) -> list[Segment]:
        """Segments of some roles."""
        return [segment for segment in self.segments if segment.role in roles]

    def liver(self) -> Segment | None:
        """The liver, if there is just one (DSO025, DSO026)."""
        livers = self.of(LIVER)
        return livers[0] if len(livers) == 1 else None

    def overlap(self, one: Segment, other: Segment) -> int:
        """Voxels that two segments share."""
        return self.overlaps.get((min(one.number, other.number), max(one.number, other.number)), 0)

    def identical(self, one: Segment, other: Segment) -> bool:
        """Whether two segments hold the same voxels (SEG014)."""
        return self.overlap(one, other) == one.voxels == other.voxels

    def placed(self, *segments: Segment) -> bool:
        """Whether all frames of some segments lie on their source slices, so that overlaps mean something."""
        return not any(segment.number in self.misplaced for segment in segments)

    @cached_property
    def parts(self) -> list[Segment]:
        """Segments that are parts of the liver, or lie in it: remnant, tumours and vessels."""
        return self.of(REMNANT, TUMOUR, VESSEL)

    @cached_property
    def exclusive(self) -> bool:
        """Whether the object keeps one label a voxel (SEG018), so that parts of the liver are holes of its mask.

        A label map does by its nature. Another object does if no two segments share a voxel, and one that should lie in
        the liver has liver around it.
        """
        liver = self.liver()
        if liver is None or not self.parts:
            return False
        if self.dso.is_label_map:
            return True
        return not self.overlaps and self.placed(liver, *self.parts) and any(_fills(part) for part in self.parts)

    def volumes(self, liver: Segment) -> tuple[float, float]:
        """Least and greatest volume that the liver may have, mL: of an exclusive object with what fills its holes.

        How much of the vessels lies in the liver is not known there.
        """
        if not self.exclusive:
            return liver.volume, liver.volume
        least = liver.volume + sum(part.volume for part in self.parts if part.role != VESSEL and not apart(part))
        return least, least + sum(part.volume for part in self.of(VESSEL))


def _fills(part: Segment) -> bool:
    """Whether a segment that shares no voxel with the liver has the liver around it, or is cut off from it."""
    rim = float(part.row["rim_in_liver"])
    return rim > 0 if part.role == REMNANT else rim >= _MIDDLE


def apart(part: Segment) -> bool:
    """Whether a segment that shares no voxel with the liver touches neither it nor anything in it."""
    return float(part.row["rim_in_liver"]) == 0


@once
def masks_of(context: Context) -> list[Masks]:
    """Every object whose masks were measured.

    Raises
    ------
    Skip
        There is none.
    """
    dsos = measured(context)
    overlaps: dict[str, dict[tuple[int, int], int]] = {}
    table = context["segment_pairs"]
    columns = (table[name].tolist() for name in ("dso", "segment_a", "segment_b", "overlap_voxels"))
    for path, one, other, voxels in zip(*columns, strict=True):
        overlaps.setdefault(path, {})[int(one), int(other)] = int(voxels)
    return [_of_object(context, dso, overlaps.get(dso.path, {})) for dso in dsos]


def _of_object(context: Context, dso: Dso, overlaps: dict[tuple[int, int], int]) -> Masks:
    numbers = Counter(whole(row["segment_number"]) for row in dso.declared)
    laid, drawn, misplaced = _frames(context, dso)
    segments = []
    for row in dso.declared:
        value = whole(row["segment_number"])
        # Of two segments with one number it can't be told whose the frames are.
        if value is None or numbers[value] > 1 or not whole(row["voxels"]) or dso.is_background(row):
            continue
        role = context.profile.role(text(row["label"]))
        frames = (whole(row["n_frames"]) or 0) if dso.is_label_map else laid[value]
        segments.append(Segment(dso, value, role, dso.label(context, value), row, frames, drawn[value]))
    if dso.is_label_map and misplaced:
        # Its frames hold all segments.
        misplaced = {segment.number for segment in segments}
    scaled = False
    if dso.ct is not None:
        common = [dso.ct.common(column) for column in SPACING]
        if None not in common:
            scaled = bool(plane_differs(dso, SPACING, common, context.tolerances.pixel_spacing_mm).any())
    return Masks(dso, tuple(segments), overlaps, frozenset(misplaced), scaled)


def _frames(context: Context, dso: Dso) -> tuple[Counter[int], Counter[int], set[int]]:
    """Frames with a voxel and voxels of each segment, and the segments with frames that lie elsewhere or nowhere.

    A frame of no segment counts as one of -1.
    """
    import numpy as np

    numbers = np.where(np.isnan(dso.numbers), -1, dso.numbers).astype(np.int64)
    voxels = np.nan_to_num(dso.frames["voxels"]).astype(np.int64)
    astray = sources_of(context, dso).displaced | (np.isnan(dso.frames["plane"]) & (voxels > 0))
    laid: Counter[int] = Counter(numbers[voxels > 0].tolist())
    drawn: Counter[int] = Counter()
    for value, count in zip(numbers.tolist(), voxels.tolist(), strict=True):
        drawn[value] += count
    return laid, drawn, set(numbers[astray].tolist())
