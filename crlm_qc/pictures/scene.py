"""The images and masks of one patient, as pictures are made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR, VESSEL
from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import (
    SIDE,
    Detail,
    Hatched,
    ImageLine,
    ImageRequest,
    MaskRequest,
    Outline,
    Part,
    PictureRequest,
    Plane,
    Space,
    View,
)
from crlm_qc.model.words import capitalised, plural
from crlm_qc.pictures.compose import ALONG, GAP_SEEN, PART_MM, PART_SLICES, finite, headed, moved_by, sides_of
from crlm_qc.rulebook.context import Context
from crlm_qc.subjects.columns import ORIENTATION, POSITION, SPACING
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.placement import Alignment, alignments
from crlm_qc.subjects.sources import sources_of
from crlm_qc.subjects.words import name_of, number, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from crlm_qc.geometry.display import Affine
    from crlm_qc.geometry.stack import Stack

    Floats = npt.NDArray[np.float64]

WHOLE = frozenset({"CTS017", "DSO002", "DSO012", "DSO013", "SEG003", "SEG004", "SEG010", "SEG018", "XRF006", "XRF007"})
"""Rules whose findings name no place of their own, and are seen where the liver or the tumours are largest."""
MISPLACED = frozenset({"SEG011", "SEG012", "SEG013"})
"""Rules that compare the masks as stored with other placements."""
_BESIDE = frozenset({"DSO011", "DSO014"})
"""Rules on frames that lie elsewhere than their slices."""
GAPS = frozenset({"CTS008", "CTS009"})
"""Rules on gaps: slices beside one look alike, unless a mask on them does not."""
_PAIRED = frozenset({"SEG006", "SEG014"})
"""Rules on what two segments share."""

FRAME = re.compile(r"\bframes? ([0-9]{1,6})\b")
FILE = re.compile(r"(?<![\w.-])[0-9]{1,5}-[0-9]{1,6}\.dcm(?![\w.])", re.IGNORECASE)
_LETTERS = {LIVER: "L", REMNANT: "R"}


def named_in(finding: Finding, pattern: re.Pattern[str]) -> list[str]:
    """What a finding names in its examples, then in its message; each once."""
    every = [match for text in (*finding.examples, finding.message) for match in pattern.findall(text)]
    return list(dict.fromkeys(every))


@dataclass(frozen=True, eq=False)
class Scene:
    """The images and masks of one patient."""

    context: Context
    patient: str
    ct: CtSeries
    stack: Stack
    dso: Dso | None
    _cache: dict[Any, Any] = field(default_factory=dict)

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
        """Voxels of some segments on a plane."""
        assert self.dso is not None
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

    # What findings name.

    def places(self, finding: Finding) -> Iterator[tuple[int | Detail, str]]:
        """Planes that a finding is seen on, or what is looked at closely, the most telling first, each with its title."""
        assert finding.rule
        if finding.rule == "XRF006":
            if (rank := self.largest(self.of_role(TUMOUR))) is not None:
                yield rank, "The tumours at their largest"
            return
        if finding.rule in WHOLE | MISPLACED:
            yield self.middle, self.middle_title
            return
        if finding.subject.segment is not None and self.measured:
            yield from self._of_segment(finding, finding.subject.segment)
        names = {self._name(place): place for place in range(len(self.ct.slices))}
        planes = {place: rank for rank, place in enumerate(self.slice_of)}
        for name in named_in(finding, FILE):
            place = names.get(name)
            if place is not None and place in planes:
                if finding.rule in GAPS and not self.voxels(planes[place]):
                    continue
                yield planes[place], f"Slice {name}, which {finding.rule} names"
        if self.measured and finding.rule.startswith("DSO"):
            for frame in map(int, named_in(finding, FRAME)):
                rank = self._rank_of_frame(frame)
                if rank is not None:
                    yield rank, f"Frame {frame}, which {finding.rule} names"

    def _of_segment(self, finding: Finding, segment: int) -> Iterator[tuple[int | Detail, str]]:
        close = list(self._details(finding, segment))
        if close:
            yield from close
        elif (rank := self.largest([segment])) is not None:
            yield rank, f"{self.label(segment)} at its largest"

    # What is looked at closely.

    def _details(self, finding: Finding, segment: int) -> Iterator[tuple[Detail, str]]:
        """What a finding on the shape of a segment is about, each with a title."""
        label, livers = self.label(segment), self.of_role(LIVER)
        if finding.rule == "SEG005" and len(livers) == 1:
            yield self._outside(segment, livers[0])
        elif finding.rule in _PAIRED:
            for other in self._sharing(segment):
                if re.search(
                    rf"\b{re.escape(self.label(other))} and {re.escape(label)}\b", finding.message, re.IGNORECASE
                ):
                    yield self._shared(other, segment)
        elif finding.rule == "SEG007":
            for other in self._sharing(segment):
                if other in self.of_role(TUMOUR) and any(
                    words.endswith(f" of {self.label(other)}") for words in finding.examples
                ):
                    yield self._shared(segment, other)
            if len(livers) == 1 and any(words.endswith("outside the liver") for words in finding.examples):
                yield self._outside(segment, livers[0])
        elif finding.rule == "SEG015":
            yield Detail((segment,)), f"{label} at its largest"

    def _outside(self, segment: int, liver: int) -> tuple[Detail, str]:
        label = self.label(segment)
        words = f"what of {label} lies outside the liver's mask"
        return Detail((segment,), (Hatched(segment, liver, True, words),)), f"{label} outside the liver"

    def _shared(self, one: int, other: int) -> tuple[Detail, str]:
        names = f"{self.label(one)} and {self.label(other)}"
        return Detail((one, other), (Hatched(one, other, False, f"what {names} share"),)), f"{names} overlap"

    def _sharing(self, segment: int) -> list[int]:
        """Segments that share a voxel with one."""
        assert self.dso is not None
        table = self.context["segment_pairs"]
        rows = table[table["dso"] == self.dso.path]
        pairs = zip(rows["segment_a"].tolist(), rows["segment_b"].tolist(), strict=True)
        return sorted(int(one if other == segment else other) for one, other in pairs if segment in (one, other))

    def close(self, detail: Detail, title: str, findings: Sequence[Finding], group: int, view: View) -> PictureRequest:
        """What a detail shows; the slice is chosen of all that hold it when the masks are read."""
        hatched = "; ".join(f"hatched: {one.words}" for one in detail.hatched)
        held = [(min(self.voxels(rank, [segment]) for segment in self._needed(detail)), -rank) for rank in self.by_rank]
        ranks = [-rank for voxels, rank in sorted(held, reverse=True) if voxels > 0] or [self.middle]
        made = [
            replace(self.axial(rank, title, findings, group, note=hatched), view=view, detail=detail)
            for rank in (ranks if detail.hatched else ranks[:1])
        ]
        return replace(made[0], candidates=tuple(made) if len(made) > 1 else ())

    @staticmethod
    def _needed(detail: Detail) -> list[int]:
        """Segments without which there is nothing to see on a plane."""
        shared = [value for one in detail.hatched if not one.outside for value in (one.segment, one.other)]
        return shared or [detail.segments[0]]

    def _name(self, place: int) -> str:
        return name_of(self.context.show.path(str(self.ct.slices["path"][place])))

    def _place_of_frame(self, frame: int) -> int | None:
        assert self.dso is not None
        found = [place for place, value in enumerate(self.dso.frames["frame"].tolist()) if value == frame]
        return found[0] if found else None

    def _rank_of_frame(self, frame: int) -> int | None:
        place = self._place_of_frame(frame)
        if place is None:
            return None
        by_position, by_source = self.ranks
        rank = by_position[place] if by_position[place] >= 0 else by_source[place]
        return rank if rank >= 0 else None

    # Axial pictures.

    def axial(
        self,
        rank: int,
        title: str,
        findings: Sequence[Finding],
        group: int,
        masks: Sequence[MaskRequest] | None = None,
        note: str = "",
    ) -> PictureRequest:
        """One image, with the masks that lie on it, or with others."""
        place = self.slice_of[rank]
        laid = tuple(self.masks_on(rank) if masks is None else masks)
        instance = self.ct.slices["instance_number"][place]
        told = f"InstanceNumber {number(instance)}, " if instance == instance else ""
        where = f"{told}{self._name(place)}, z {number(float(self.positions[place][2]), 2)} mm"
        right, down = self.orientation[:3], self.orientation[3:]
        images = [ImageRequest(self.path(rank))]
        return self._request(Plane.AXIAL, title, where, findings, group, sides_of(right, down), images, laid, note)

    def masks_on(self, rank: int) -> list[MaskRequest]:
        """Masks of the frames that are positioned on a plane."""
        if not self.measured or self.dso is None:
            return []
        return [self._mask(place, rank) for place in self.by_rank.get(rank, ())]

    def _mask(self, place: int, rank: int, origin: Floats | None = None) -> MaskRequest:
        """A frame on a plane, where its own position and directions put it, or with its first pixel elsewhere."""
        from crlm_qc.geometry.display import grid_to_grid

        assert self.dso is not None
        frames, own = self.dso.frames, self.positions[self.slice_of[rank]]
        start = frames.matrix(POSITION)[place] if origin is None else origin
        axes, spacing = frames.matrix(ORIENTATION)[place], frames.matrix(SPACING)[place]
        affine = grid_to_grid(
            start if finite(start) else own,
            axes if finite(axes) else self.orientation,
            spacing.tolist() if finite(spacing) and (spacing > 0).all() else self.spacing,
            own,
            self.orientation,
            self.spacing,
        )
        segment = self.dso.numbers[place]
        return MaskRequest(int(frames["frame"][place]), int(segment) if segment == segment else None, affine)

    def _request(
        self,
        plane: Plane,
        title: str,
        where: str,
        findings: Sequence[Finding],
        group: int,
        sides: tuple[str, str, str, str],
        images: Sequence[ImageRequest],
        masks: Sequence[MaskRequest],
        note: str = "",
    ) -> PictureRequest:
        codes = list(dict.fromkeys(finding.rule for finding in findings))
        caption = ". ".join(part for part in (where, capitalised(note), ", ".join(codes)) if part)
        told = [] if plane.value in title.lower() else [plane.value]
        return PictureRequest(
            patient=self.patient,
            findings=tuple(finding.fingerprint for finding in findings),
            plane=plane,
            group=group,
            title=title,
            caption=caption,
            alt=", ".join((*told, where)),
            sides=sides,
            spacing=self.spacing,
            thickness=self.thickness,
            upward=bool(self.stack.normal[2] >= 0),
            images=tuple(images),
            dso=None if self.dso is None or not masks else self.dso.path,
            masks=tuple(masks),
            outlines=self.outlines,
            about=" ".join(f"{finding.rule}: {finding.message}" for finding in findings),
        )

    # Pairs: observed and expected.

    def pair(self, finding: Finding) -> list[PictureRequest]:
        """What was found beside what was expected; empty where two pictures explain no more than one."""
        if finding.rule in MISPLACED:
            return self.placements(finding)
        return self.beside(finding) if finding.rule in _BESIDE else []

    def beside(self, finding: Finding) -> list[PictureRequest]:
        """A frame where it is positioned, and on its source slice; empty if the two can't be told apart so."""
        if not self.measured or self.dso is None or self.dso.foreign:
            return []
        for frame in map(int, named_in(finding, FRAME)):
            place = self._place_of_frame(frame)
            if place is None:
                continue
            here, there = (ranks[place] for ranks in self.ranks)
            if here < 0 or there < 0:
                continue
            own = self.positions[self.slice_of[there]]
            stated, meant = self._mask(place, here), self._mask(place, there, own)
            if here == there and self._close(stated.to_image, meant.to_image):
                continue
            title = f"Frame {frame} ({self.label(int(self.dso.numbers[place]))})"
            observed = self.axial(here, title, [finding], 0, [stated])
            expected = self.axial(there, title, [finding], 0, [meant])
            return [headed(observed, "Where it is positioned"), headed(expected, "On its source slice")]
        return []

    @staticmethod
    def _close(one: Affine, other: Affine) -> bool:
        """Whether two maps differ by no more than can be seen: half a pixel."""
        return max(abs(one[2] - other[2]), abs(one[5] - other[5])) < 0.5

    def placements(self, finding: Finding) -> list[PictureRequest]:
        """The masks as stored and at the placement that fits better; empty if none does."""
        segment = finding.subject.segment
        if self.dso is None or not self.measured or segment is None:
            return []
        alignment = alignments(self.context).get((self.dso.path, segment))
        if alignment is None:
            return []
        if alignment.best is None:
            return self.mirrored(finding) if finding.rule == "SEG011" else []
        words = alignment.words(self.orientation.tolist())
        better = capitalised(words)
        if alignment.best["placement"] in ("slices", "upside-down"):
            stored = self.reformat(Plane.CORONAL, "Coronal reformat", [finding], 0)
            moved = self.reformat(
                Plane.CORONAL, "Coronal reformat", [finding], 0, self._moved_along(alignment, segment)
            )
        else:
            change = self._placed(alignment, segment)
            stored = self.axial(self.middle, self.middle_title, [finding], 0)
            masks = self.masks_on(self.middle)
            moved = self.axial(self.middle, self.middle_title, [finding], 0, [moved_by(mask, change) for mask in masks])
        fits = replace(moved, caption=f"The masks fit the image better. {moved.caption}")
        return [headed(stored, "As stored"), headed(fits, better)]

    def mirrored(self, finding: Finding) -> list[PictureRequest]:
        """Image and masks as stored and mirrored left-right, as the masks fit the image; empty if neither axis is that."""
        across, down = abs(float(self.orientation[0])), abs(float(self.orientation[3]))
        axis = "columns" if across > ALONG else "rows" if down > ALONG else ""
        if not axis:
            return []
        stored = self.axial(self.middle, self.middle_title, [finding], 0)
        words = (
            "The liver lies on the patient's left, in the image as in the mask",
            "Here it lies on the right. Either image and masks are stored mirrored, or the patient's organs are (situs inversus)",
        )
        before, after = (replace(stored, caption=f"{said}. {stored.caption}") for said in words)
        turned = replace(after, mirrored=axis)
        return [headed(before, "As stored"), headed(turned, "Image and masks mirrored left-right")]

    def _ends(self, segment: int, axis: str) -> float:
        """First and last row or column of a segment, added."""
        assert self.dso is not None
        row: Mapping[str, Any] = next(one for one in self.dso.declared if whole(one["segment_number"]) == segment)
        return float((whole(row[f"{axis}_min"]) or 0) + (whole(row[f"{axis}_max"]) or 0))

    def _placed(self, alignment: Alignment, segment: int) -> Affine:
        """A placement in the plane, as a map of columns and rows (`crlm_qc.geometry.placements.laid`)."""
        assert alignment.best is not None
        kind, about = str(alignment.best["placement"]), alignment.best["about"]
        shift = float(whole(alignment.best["shift"]) or 0)
        if kind == "transposed":
            return 0.0, 1.0, 0.0, 1.0, 0.0, 0.0
        if kind in ("rows", "columns"):
            return 1.0, 0.0, shift * (kind == "columns"), 0.0, 1.0, shift * (kind == "rows")
        rows, columns = self.size
        across, down = float(columns - 1), float(rows - 1)
        if about == "mask":
            across, down = self._ends(segment, "column"), self._ends(segment, "row")
        mirrored, flipped = kind in ("left-right", "turned"), kind in ("front-back", "turned")
        return (
            -1.0 if mirrored else 1.0,
            0.0,
            across if mirrored else 0.0,
            0.0,
            -1.0 if flipped else 1.0,
            down if flipped else 0.0,
        )

    def _moved_along(self, alignment: Alignment, segment: int) -> dict[int, int]:
        """Plane that each plane's frames come to lie on."""
        assert alignment.best is not None
        count = len(self.slice_of)
        if alignment.best["placement"] == "slices":
            shift = whole(alignment.best["shift"]) or 0
            return {rank: rank + shift for rank in self.by_rank if 0 <= rank + shift < count}
        ends = count - 1
        if alignment.best["about"] == "mask":
            own = [rank for rank in self.by_rank if self.voxels(rank, [segment])]
            ends = min(own) + max(own)
        return {rank: ends - rank for rank in self.by_rank if 0 <= ends - rank < count}

    # Reformats.

    def reformat(
        self,
        plane: Plane,
        title: str,
        findings: Sequence[Finding],
        group: int,
        moved: Mapping[int, int] | None = None,
    ) -> PictureRequest:
        """One row or column of every image, each at its position along the normal."""
        target = range(len(self.slice_of)) if moved is None else None
        images = [ImageRequest(self.path(rank), self._line(plane, rank)) for rank in range(len(self.slice_of))]
        masks = []
        for rank, places in sorted(self.by_rank.items()):
            to = rank if target is not None else (moved or {}).get(rank)
            if to is None:
                continue
            line = self._line(plane, to)
            for place in places:
                mask = self._mask(place, rank)
                height = float(self.heights[to]) if moved is not None else self._height(place, rank)
                masks.append(replace(mask, at=replace(line, height=height)))
        z = sorted(float(self.positions[place][2]) for place in self.slice_of)
        where = f"{plural(len(images), 'slice')}, z {number(z[0], 2)} to {number(z[-1], 2)} mm, in true millimetres"
        note = ""
        if self.spaces:
            widest = max(space.high - space.low for space in self.spaces)
            most = f"{'up to ' * (len(self.spaces) > 1)}{number(widest, 2)} mm"
            note = f"{plural(len(self.spaces), 'gap')}, boxed: {most} where slices lie {number(self.thickness, 2)} mm apart"
        made = self._request(plane, title, where, findings, group, self.sides_of(plane), images, masks, note)
        return replace(made, spaces=self.spaces)

    @cached_property
    def spaces(self) -> tuple[Space, ...]:
        """Gaps between slices that are wider than the spacing, from the lowest along the normal."""
        found = []
        for gap in sorted((*self.stack.missing, *self.stack.uneven), key=lambda gap: gap.below):
            if gap.size > self.thickness + self.stack.tolerance:
                low, high = (float(self.positions[place] @ self.stack.normal) for place in (gap.below, gap.above))
                found.append(Space(low, high, f"gap {number(gap.size, 2)} mm"))
        return tuple(sorted(found, key=lambda space: space.low))

    def with_gap(self, whole: PictureRequest) -> list[PictureRequest]:
        """A reformat, and its widest gap enlarged if that is hard to see."""
        if not whole.spaces:
            return [whole]
        widest = max(whole.spaces, key=lambda space: (space.high - space.low, -space.low))
        size = widest.high - widest.low
        starts = [image.at.start for image in whole.images]
        left, right = min(starts) - self.spacing[1] / 2, max(starts) + (self.size[1] - 0.5) * self.spacing[1]
        low, high = float(self.heights[0]) - self.thickness / 2, float(self.heights[-1]) + self.thickness / 2
        scale = SIDE / max(right - left, high - low)
        tall = max(PART_MM, PART_SLICES * self.thickness)
        if (size - self.thickness) * scale >= GAP_SEEN or tall > (high - low) / 2:
            return [whole]
        wide = min(2 * tall, right - left)
        start = min(max(float(self.focus @ self.orientation[:3]) - wide / 2, left), right - wide)
        # Beyond the outermost slice there is nothing, which shows where it ends.
        bottom = min(max((widest.low + widest.high - tall) / 2, low - tall / 4), high - 3 * tall / 4)
        part = Part(start, start + wide, bottom, bottom + tall)
        apart = f"Slices lie {number(self.thickness, 2)} mm apart, the two beside the box {number(size, 2)} mm"
        codes = whole.caption.rpartition(". ")[2]
        return [
            replace(whole, part=part, view=View.FRAMED),
            replace(
                whole, part=part, view=View.ENLARGED, title=f"Gap of {number(size, 2)} mm", caption=f"{apart}. {codes}",
                alt=f"{whole.plane.value}, {apart[0].lower()}{apart[1:]}",
            ),
        ]  # fmt: skip

    def _height(self, place: int, rank: int) -> float:
        """Where a frame lies along the normal, mm: as it says, or as its slice does."""
        assert self.dso is not None
        point = self.dso.frames.matrix(POSITION)[place]
        return float(point @ self.stack.normal) if finite(point) else float(self.heights[rank])

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

    def _line(self, plane: Plane, rank: int) -> ImageLine:
        """The line of a slice that a reformat shows: where it lies in the slice, and where it begins."""
        own = self.positions[self.slice_of[rank]]
        across, down = self.orientation[:3], self.orientation[3:]
        if plane is Plane.CORONAL:
            line = float((self.focus - own) @ down) / self.spacing[0]
            return ImageLine(float(self.heights[rank]), line, float(own @ across))
        line = float((self.focus - own) @ across) / self.spacing[1]
        return ImageLine(float(self.heights[rank]), line, float(own @ down))

    def sides_of(self, plane: Plane) -> tuple[str, str, str, str]:
        """Letters at the left, top, right and bottom of a reformat."""
        right = self.orientation[:3] if plane is Plane.CORONAL else self.orientation[3:]
        normal = self.stack.normal
        return sides_of(right, -normal if normal[2] >= 0 else normal)

    def orders(self, findings: Sequence[Finding]) -> list[PictureRequest]:
        """The slices in the order of their numbers, and in that of their positions."""
        by_position = self.reformat(Plane.CORONAL, "Coronal reformat", findings, 0)
        numbers = [float(self.ct.slices["instance_number"][place]) for place in self.slice_of]
        if any(value != value for value in numbers):
            return [headed(by_position, "By position")]
        rising = sum(after > before for before, after in pairwise(numbers)) * 2 >= len(numbers) - 1
        order = sorted(range(len(numbers)), key=lambda rank: (numbers[rank] if rising else -numbers[rank], rank))
        images = tuple(
            replace(
                by_position.images[rank], at=replace(by_position.images[rank].at, height=float(self.heights[place]))
            )
            for place, rank in enumerate(order)
        )
        by_number = replace(by_position, images=images, masks=(), dso=None)
        return [headed(by_number, "By InstanceNumber"), headed(by_position, "By position")]
