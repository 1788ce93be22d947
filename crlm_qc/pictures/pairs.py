"""Two pictures that explain a fault: what was found beside what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import MaskRequest, PictureRequest, Plane
from crlm_qc.model.sight import Beside, Frame
from crlm_qc.model.words import capitalised
from crlm_qc.pictures.compose import axial, mask_of, masks_on, reformat
from crlm_qc.pictures.scene import Scene
from crlm_qc.subjects.placement import Alignment, alignments
from crlm_qc.subjects.words import whole

if TYPE_CHECKING:
    from crlm_qc.geometry.display import Affine

_ALONG = 0.9
"""Cosine of the angle between rows (or columns) and the patient's left at the least, so that mirroring them swaps sides."""


def explained(scene: Scene, finding: Finding) -> list[PictureRequest]:
    """What was found beside what was expected; empty where two pictures explain no more than one."""
    way = None if finding.sight is None else finding.sight.seen.beside
    if way in (Beside.PLACEMENT, Beside.SIDES):
        return _placements(scene, finding)
    return _sources(scene, finding) if way is Beside.SOURCE else []


def _sources(scene: Scene, finding: Finding) -> list[PictureRequest]:
    """A frame where it is positioned, and on its source slice; empty if the two can't be told apart so."""
    if not scene.measured or scene.dso is None or scene.dso.foreign or finding.sight is None:
        return []
    for frame in finding.sight.places:
        if not isinstance(frame, Frame) or (place := scene.place_of_frame(frame)) is None:
            continue
        here, there = (ranks[place] for ranks in scene.ranks)
        if here < 0 or there < 0:
            continue
        own = scene.positions[scene.slice_of[there]]
        stated, meant = mask_of(scene, place, here), mask_of(scene, place, there, own)
        if here == there and _alike(stated.to_image, meant.to_image):
            continue
        title = f"Frame {frame.number} ({scene.label(int(scene.dso.numbers[place]))})"
        observed = axial(scene, here, title, [finding], 0, [stated])
        expected = axial(scene, there, title, [finding], 0, [meant])
        return [_headed(observed, "Where it is positioned"), _headed(expected, "On its source slice")]
    return []


def _alike(one: Affine, other: Affine) -> bool:
    """Whether two maps differ by no more than can be seen: half a pixel."""
    return max(abs(one[2] - other[2]), abs(one[5] - other[5])) < 0.5


def _placements(scene: Scene, finding: Finding) -> list[PictureRequest]:
    """The masks as stored and at the placement that fits better; empty if none does."""
    segment = finding.subject.segment
    if scene.dso is None or not scene.measured or segment is None or not scene.is_about(finding):
        return []
    alignment = alignments(scene.context).get((scene.dso.path, segment))
    if alignment is None:
        return []
    if alignment.best is None:
        sides = finding.sight is not None and finding.sight.seen.beside is Beside.SIDES
        return _mirrored(scene, finding) if sides else []
    words = alignment.words(scene.orientation.tolist())
    better = capitalised(words)
    if alignment.best["placement"] in ("slices", "upside-down"):
        stored = reformat(scene, Plane.CORONAL, "Coronal reformat", [finding], 0)
        moved = reformat(
            scene, Plane.CORONAL, "Coronal reformat", [finding], 0, _moved_along(scene, alignment, segment)
        )
    else:
        change = _placed(scene, alignment, segment)
        stored = axial(scene, scene.middle, scene.middle_title, [finding], 0)
        masks = masks_on(scene, scene.middle)
        moved = axial(scene, scene.middle, scene.middle_title, [finding], 0, [_moved(mask, change) for mask in masks])
    fits = replace(moved, caption=f"The masks fit the image better. {moved.caption}")
    return [_headed(stored, "As stored"), _headed(fits, better)]


def _mirrored(scene: Scene, finding: Finding) -> list[PictureRequest]:
    """Image and masks as stored and mirrored left-right, as the masks fit the image; empty if neither axis is that."""
    across, down = abs(float(scene.orientation[0])), abs(float(scene.orientation[3]))
    axis = "columns" if across > _ALONG else "rows" if down > _ALONG else ""
    if not axis:
        return []
    stored = axial(scene, scene.middle, scene.middle_title, [finding], 0)
    words = (
        "The liver lies on the patient's left, in the image as in the mask",
        "Here it lies on the right. Either image and masks are stored mirrored, or the patient's organs are (situs inversus)",
    )
    before, after = (replace(stored, caption=f"{said}. {stored.caption}") for said in words)
    turned = replace(after, mirrored=axis)
    return [_headed(before, "As stored"), _headed(turned, "Image and masks mirrored left-right")]


def _ends(scene: Scene, segment: int, axis: str) -> float:
    """First and last row or column of a segment, added."""
    assert scene.dso is not None
    row: Mapping[str, Any] = next(one for one in scene.dso.declared if whole(one["segment_number"]) == segment)
    return float((whole(row[f"{axis}_min"]) or 0) + (whole(row[f"{axis}_max"]) or 0))


def _placed(scene: Scene, alignment: Alignment, segment: int) -> Affine:
    """A placement in the plane, as a map of columns and rows (`crlm_qc.geometry.placements.laid`)."""
    assert alignment.best is not None
    kind, about = str(alignment.best["placement"]), alignment.best["about"]
    shift = float(whole(alignment.best["shift"]) or 0)
    if kind == "transposed":
        return 0.0, 1.0, 0.0, 1.0, 0.0, 0.0
    if kind in ("rows", "columns"):
        return 1.0, 0.0, shift * (kind == "columns"), 0.0, 1.0, shift * (kind == "rows")
    rows, columns = scene.size
    across, down = float(columns - 1), float(rows - 1)
    if about == "mask":
        across, down = _ends(scene, segment, "column"), _ends(scene, segment, "row")
    mirrored, flipped = kind in ("left-right", "turned"), kind in ("front-back", "turned")
    return (
        -1.0 if mirrored else 1.0,
        0.0,
        across if mirrored else 0.0,
        0.0,
        -1.0 if flipped else 1.0,
        down if flipped else 0.0,
    )


def _moved_along(scene: Scene, alignment: Alignment, segment: int) -> dict[int, int]:
    """Plane that each plane's frames come to lie on."""
    assert alignment.best is not None
    count = len(scene.slice_of)
    if alignment.best["placement"] == "slices":
        shift = whole(alignment.best["shift"]) or 0
        return {rank: rank + shift for rank in scene.by_rank if 0 <= rank + shift < count}
    ends = count - 1
    if alignment.best["about"] == "mask":
        own = [rank for rank in scene.by_rank if scene.voxels(rank, [segment])]
        ends = min(own) + max(own)
    return {rank: ends - rank for rank in scene.by_rank if 0 <= ends - rank < count}


def orders(scene: Scene, findings: Sequence[Finding]) -> list[PictureRequest]:
    """The slices in the order of their numbers, and in that of their positions."""
    by_position = reformat(scene, Plane.CORONAL, "Coronal reformat", findings, 0)
    numbers = [float(scene.ct.slices["instance_number"][place]) for place in scene.slice_of]
    if any(value != value for value in numbers):
        return [_headed(by_position, "By position")]
    rising = sum(after > before for before, after in pairwise(numbers)) * 2 >= len(numbers) - 1
    order = sorted(range(len(numbers)), key=lambda rank: (numbers[rank] if rising else -numbers[rank], rank))
    images = tuple(
        replace(by_position.images[rank], at=replace(by_position.images[rank].at, height=float(scene.heights[place])))
        for place, rank in enumerate(order)
    )
    by_number = replace(by_position, images=images, masks=(), dso=None)
    return [_headed(by_number, "By InstanceNumber"), _headed(by_position, "By position")]


def _moved(mask: MaskRequest, change: Affine) -> MaskRequest:
    """A mask that is laid over the image after a change of its grid."""
    from crlm_qc.geometry.display import after

    return replace(mask, to_image=after(mask.to_image, change))


def _headed(request: PictureRequest, heading: str) -> PictureRequest:
    """A picture of a pair: what it is of goes into the caption, and which of the two it is above it."""
    caption = f"{request.title}. {request.caption}"
    return replace(request, title=heading, caption=caption, alt=f"{request.title}, {request.alt}")
