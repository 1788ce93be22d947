"""The images and masks of one patient, as pictures are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR, VESSEL
from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import Outline, Space
from crlm_qc.model.sight import Frame
from crlm_qc.rulebook.context import Context
from crlm_qc.subjects.columns import POSITION
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.sources import sources_of
from crlm_qc.subjects.words import name_of, number, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from crlm_qc.geometry.stack import Stack

    Floats = npt.NDArray[np.float64]

_LETTERS = {LIVER: "L", REMNANT: "R"}


@dataclass(frozen=True, eq=False)
class Scene:
    """The images and masks of one patient."""

    context: Context
    patient: str
    ct: CtSeries
    stack: Stack
    dso: Dso | None

    # What there is.

    @cached_property
    def slice_of(self) -> list[int]:
        """Slice of each plane of the stack, from the lowest along the normal; of several at one position the first."""
        import numpy as np

        ranks = self.stack.plane_of(self.stack.order)
        _, first = np.unique(ranks, return_index=True)
        return [int(place) for place in self.stack.order[first]]

    @cached_property
    def heights(self) -> Floats:
        """Position of each plane along the normal, mm."""
        import numpy as np

        found: Floats = np.asarray(self.positions[self.slice_of] @ self.stack.normal, dtype=np.float64)
        return found

    @property
    def positions(self) -> Floats:
        """Position of each slice, shape (slices, 3), LPS, mm."""
        return self.ct.slices.matrix(POSITION)

    @cached_property
    def orientation(self) -> Floats:
        """Direction cosines of rows and columns, shape (6,), LPS."""
        import numpy as np

        return np.asarray(self.ct.orientation, dtype=np.float64)

    @cached_property
    def spacing(self) -> tuple[float, float]:
        """Distance of rows and of columns, mm."""
        return float(self.ct.common("spacing_row")), float(self.ct.common("spacing_col"))

    @cached_property
    def size(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return int(self.ct.common("rows")), int(self.ct.common("columns"))

    @cached_property
    def thickness(self) -> float:
        """Height that a slice takes in a reformat, mm."""
        import numpy as np

        return float(self.stack.spacing) if np.isfinite(self.stack.spacing) else 5.0

    @property
    def measured(self) -> bool:
        """Whether there are masks to draw."""
        return self.dso is not None and self.dso.row["masks"] == "measured"

    @cached_property
    def outlines(self) -> tuple[Outline, ...]:
        """Segments in the order of their numbers."""
        if self.dso is None or not self.measured:
            return ()
        profile, numbers = self.context.profile, sorted({*self.dso.declared_numbers, *self.dso.labels})
        found = []
        for value in numbers:
            raw, label = self.dso.labels.get(value, ""), self.dso.label(self.context, value)
            role = profile.role(raw) if raw else None
            letter = _LETTERS.get(role or "")
            if role == VESSEL:
                letter = label[:1].upper()
            elif role == TUMOUR:
                letter = f"T{profile.number(raw) or ''}"
            found.append(Outline(value, letter or f"S{value}", role or "other", label))
        return tuple(found)

    def label(self, segment: int) -> str:
        """Label of a segment, as pictures show it."""
        return next((one.label for one in self.outlines if one.segment == segment), f"segment {segment}")

    def of_role(self, *roles: str) -> list[int]:
        """Segment Numbers of the segments that have one of these roles."""
        return [one.segment for one in self.outlines if one.role in roles]

    def is_about(self, finding: Finding) -> bool:
        """Whether a finding is about the segmentation object that is shown, and not about another one of the patient."""
        return self.dso is not None and finding.subject.path == self.context.show.path(self.dso.path)

    # Where the frames lie.

    @cached_property
    def ranks(self) -> tuple[list[int], list[int]]:
        """Plane of the stack that each frame lies on by its position, and by its source image; -1 where it lies on none."""
        import numpy as np

        assert self.dso is not None
        rank, away = self.stack.nearest_plane(self.dso.frames.matrix(POSITION))
        near = np.isfinite(away) & (np.abs(away) <= self.thickness / 2)
        source = sources_of(self.context, self.dso).slice
        placed = np.isin(source, self.stack.order)
        by_source = np.full(len(source), -1, dtype=np.int64)
        if placed.any():
            by_source[placed] = self.stack.plane_of(source[placed])
        by_position = np.where(near, rank, np.where(np.isfinite(away), -1, by_source))
        return by_position.tolist(), by_source.tolist()

    @cached_property
    def by_rank(self) -> dict[int, list[int]]:
        """Frames (by their place) on each plane, as they are positioned."""
        if not self.measured:
            return {}
        found: dict[int, list[int]] = {}
        for place, rank in enumerate(self.ranks[0]):
            if rank >= 0:
                found.setdefault(rank, []).append(place)
        return found

    def numbers_at(self, places: Iterable[int]) -> set[int]:
        """Segments of some frames."""
        assert self.dso is not None
        return {int(self.dso.numbers[place]) for place in places if self.dso.numbers[place] == self.dso.numbers[place]}

    def voxels(self, rank: int, segments: Sequence[int] | None = None) -> float:
        """Voxels of some segments on a plane, or of all."""
        if self.dso is None:
            return 0.0
        voxels, numbers = self.dso.frames["voxels"], self.dso.numbers
        return sum(
            float(voxels[place])
            for place in self.by_rank.get(rank, ())
            if voxels[place] == voxels[place] and (segments is None or numbers[place] in segments)
        )

    def largest(self, segments: Sequence[int] | None) -> int | None:
        """Plane with most voxels of some segments, the lowest of equals; None if there is none."""
        best = max(((self.voxels(rank, segments), -rank) for rank in self.by_rank), default=(0.0, 0))
        return -best[1] if best[0] > 0 else None

    @cached_property
    def middle(self) -> int:
        """Plane with the liver's largest cross-section; without a liver that of all segments, or the middle of the CT."""
        for segments in ([*self.of_role(LIVER)], None):
            if (segments is None or segments) and (rank := self.largest(segments)) is not None:
                return rank
        return len(self.slice_of) // 2

    @property
    def middle_title(self) -> str:
        """What the middle is."""
        if self.of_role(LIVER) and self.largest(self.of_role(LIVER)) is not None:
            return "Largest cross-section of the liver"
        return "Largest cross-section of the masks" if self.by_rank else "Middle of the series"

    def path(self, rank: int) -> str:
        """Path of the slice of a plane."""
        return str(self.ct.slices["path"][self.slice_of[rank]])

    def name(self, place: int) -> str:
        """File name of a slice, as findings have it."""
        return name_of(self.context.show.path(str(self.ct.slices["path"][place])))

    def place_of_frame(self, frame: Frame) -> int | None:
        """Place of a frame among those of the object that is shown; None if it is none of them, or nothing was measured."""
        if not self.measured or self.dso is None or frame.dso != self.dso.path:
            return None
        found = [place for place, value in enumerate(self.dso.frames["frame"].tolist()) if value == frame.number]
        return found[0] if found else None

    def rank_of_frame(self, frame: Frame) -> int | None:
        """Plane that a frame lies on, by its position or else its source slice; None if there is none."""
        place = self.place_of_frame(frame)
        if place is None:
            return None
        by_position, by_source = self.ranks
        rank = by_position[place] if by_position[place] >= 0 else by_source[place]
        return rank if rank >= 0 else None

    @cached_property
    def spaces(self) -> tuple[Space, ...]:
        """Gaps between slices that are wider than the spacing, from the lowest along the normal."""
        found = []
        for gap in sorted((*self.stack.missing, *self.stack.uneven), key=lambda gap: gap.below):
            if gap.size > self.thickness + self.stack.tolerance:
                low, high = (float(self.positions[place] @ self.stack.normal) for place in (gap.below, gap.above))
                found.append(Space(low, high, f"gap {number(gap.size, 2)} mm"))
        return tuple(sorted(found, key=lambda space: space.low))

    @cached_property
    def focus(self) -> Floats:
        """The point that reformats go through: the middle of the liver, or of the images."""
        import numpy as np

        if self.dso is not None and self.measured:
            livers = set(self.of_role(LIVER))
            for row in self.dso.declared:
                centroid = np.array([float(row[f"centroid_{axis}"]) for axis in "xyz"])
                if whole(row["segment_number"]) in livers and np.isfinite(centroid).all():
                    return centroid
        rows, columns = self.size
        corner = self.positions[self.slice_of[len(self.slice_of) // 2]]
        across = self.orientation[:3] * (columns - 1) / 2 * self.spacing[1]
        return np.asarray(corner + across + self.orientation[3:] * (rows - 1) / 2 * self.spacing[0], dtype=np.float64)


def finite(values: Any) -> bool:
    """Whether all values are finite."""
    import numpy as np

    return bool(np.isfinite(values).all())
