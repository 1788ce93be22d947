"""Requests of pictures: an axial slice, what is looked at closely, a reformat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import (
    SIDE,
    Detail,
    ImageLine,
    ImageRequest,
    MaskRequest,
    Part,
    PictureRequest,
    Plane,
    View,
)
from crlm_qc.model.words import capitalised, plural
from crlm_qc.pictures.scene import Scene, finite
from crlm_qc.subjects.columns import ORIENTATION, POSITION, SPACING
from crlm_qc.subjects.words import number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_GAP_SEEN = 12
"""Pixels of a reformat that a gap is seen by without being enlarged."""
_PART_MM = 24.0
"""Height of what is enlarged of a reformat at the least, mm."""
_PART_SLICES = 10
"""The same, in slices."""


def close(
    scene: Scene, detail: Detail, title: str, findings: Sequence[Finding], group: int, view: View
) -> PictureRequest:
    """What a detail shows; the slice is chosen of all that hold it when the masks are read."""
    hatched = "; ".join(f"hatched: {one.words}" for one in detail.hatched)
    held = [(min(scene.voxels(rank, [segment]) for segment in _needed(detail)), -rank) for rank in scene.by_rank]
    ranks = [-rank for voxels, rank in sorted(held, reverse=True) if voxels > 0] or [scene.middle]
    made = [
        replace(axial(scene, rank, title, findings, group, note=hatched), view=view, detail=detail)
        for rank in (ranks if detail.hatched else ranks[:1])
    ]
    return replace(made[0], candidates=tuple(made) if len(made) > 1 else ())


def _needed(detail: Detail) -> list[int]:
    """Segments without which there is nothing to see on a plane."""
    shared = [value for one in detail.hatched if not one.outside for value in (one.segment, one.other)]
    return shared or [detail.segments[0]]


def axial(
    scene: Scene,
    rank: int,
    title: str,
    findings: Sequence[Finding],
    group: int,
    masks: Sequence[MaskRequest] | None = None,
    note: str = "",
) -> PictureRequest:
    """One image, with the masks that lie on it, or with others."""
    place = scene.slice_of[rank]
    laid = tuple(masks_on(scene, rank) if masks is None else masks)
    instance = scene.ct.slices["instance_number"][place]
    told = f"InstanceNumber {number(instance)}, " if instance == instance else ""
    where = f"{told}{scene.name(place)}, z {number(float(scene.positions[place][2]), 2)} mm"
    right, down = scene.orientation[:3], scene.orientation[3:]
    images = [ImageRequest(scene.path(rank))]
    return _request(scene, Plane.AXIAL, title, where, findings, group, _letters(right, down), images, laid, note)


def masks_on(scene: Scene, rank: int) -> list[MaskRequest]:
    """Masks of the frames that are positioned on a plane."""
    if not scene.measured or scene.dso is None:
        return []
    return [mask_of(scene, place, rank) for place in scene.by_rank.get(rank, ())]


def mask_of(scene: Scene, place: int, rank: int, origin: Floats | None = None) -> MaskRequest:
    """A frame on a plane, where its own position and directions put it, or with its first pixel elsewhere."""
    from crlm_qc.geometry.display import grid_to_grid

    assert scene.dso is not None
    frames, own = scene.dso.stored, scene.positions[scene.slice_of[rank]]
    start = frames.matrix(POSITION)[place]
    if origin is not None:
        # The pixel that is stored first may be another one than the CT's.
        away = start - scene.dso.frames.matrix(POSITION)[place]
        start = origin + away if finite(away) else origin
    axes, spacing = frames.matrix(ORIENTATION)[place], frames.matrix(SPACING)[place]
    affine = grid_to_grid(
        start if finite(start) else own,
        axes if finite(axes) else scene.orientation,
        spacing.tolist() if finite(spacing) and (spacing > 0).all() else scene.spacing,
        own,
        scene.orientation,
        scene.spacing,
    )
    segment = scene.dso.numbers[place]
    return MaskRequest(int(frames["frame"][place]), int(segment) if segment == segment else None, affine)


def _request(
    scene: Scene,
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
    caption = ". ".join(part for part in (where, capitalised(note), _codes(findings)) if part)
    told = [] if plane.value in title.lower() else [plane.value]
    return PictureRequest(
        patient=scene.patient,
        findings=tuple(finding.fingerprint for finding in findings),
        plane=plane,
        group=group,
        title=title,
        caption=caption,
        alt=", ".join((*told, where)),
        sides=sides,
        spacing=scene.spacing,
        thickness=scene.thickness,
        upward=bool(scene.stack.normal[2] >= 0),
        images=tuple(images),
        dso=None if scene.dso is None or not masks else scene.dso.path,
        masks=tuple(masks),
        outlines=scene.outlines,
        about=" ".join(f"{finding.rule}: {finding.message}" for finding in findings),
    )


def _codes(findings: Sequence[Finding]) -> str:
    """Rules that found something, each once, as captions end with them."""
    return ", ".join(dict.fromkeys(finding.rule for finding in findings))


def reformat(
    scene: Scene,
    plane: Plane,
    title: str,
    findings: Sequence[Finding],
    group: int,
    moved: Mapping[int, int] | None = None,
) -> PictureRequest:
    """One row or column of every image, each at its position along the normal."""
    target = range(len(scene.slice_of)) if moved is None else None
    images = [ImageRequest(scene.path(rank), _line(scene, plane, rank)) for rank in range(len(scene.slice_of))]
    masks = []
    for rank, places in sorted(scene.by_rank.items()):
        to = rank if target is not None else (moved or {}).get(rank)
        if to is None:
            continue
        line = _line(scene, plane, to)
        for place in places:
            mask = mask_of(scene, place, rank)
            height = float(scene.heights[to]) if moved is not None else _height(scene, place, rank)
            masks.append(replace(mask, at=replace(line, height=height)))
    z = sorted(float(scene.positions[place][2]) for place in scene.slice_of)
    where = f"{plural(len(images), 'slice')}, z {number(z[0], 2)} to {number(z[-1], 2)} mm, in true millimetres"
    note = ""
    if scene.spaces:
        widest = max(space.high - space.low for space in scene.spaces)
        most = f"{'up to ' * (len(scene.spaces) > 1)}{number(widest, 2)} mm"
        note = (
            f"{plural(len(scene.spaces), 'gap')}, boxed: {most} where slices lie {number(scene.thickness, 2)} mm apart"
        )
    made = _request(scene, plane, title, where, findings, group, _sides(scene, plane), images, masks, note)
    return replace(made, spaces=scene.spaces)


def with_gap(scene: Scene, whole: PictureRequest, findings: Sequence[Finding]) -> list[PictureRequest]:
    """A reformat of some findings, and its widest gap enlarged if that is hard to see."""
    if not whole.spaces:
        return [whole]
    widest = max(whole.spaces, key=lambda space: (space.high - space.low, -space.low))
    size = widest.high - widest.low
    starts = [image.at.start for image in whole.images]
    left, right = min(starts) - scene.spacing[1] / 2, max(starts) + (scene.size[1] - 0.5) * scene.spacing[1]
    low, high = float(scene.heights[0]) - scene.thickness / 2, float(scene.heights[-1]) + scene.thickness / 2
    scale = SIDE / max(right - left, high - low)
    tall = max(_PART_MM, _PART_SLICES * scene.thickness)
    if (size - scene.thickness) * scale >= _GAP_SEEN or tall > (high - low) / 2:
        return [whole]
    wide = min(2 * tall, right - left)
    start = min(max(float(scene.focus @ scene.orientation[:3]) - wide / 2, left), right - wide)
    # Beyond the outermost slice there is nothing, which shows where it ends.
    bottom = min(max((widest.low + widest.high - tall) / 2, low - tall / 4), high - 3 * tall / 4)
    part = Part(start, start + wide, bottom, bottom + tall)
    apart = f"Slices lie {number(scene.thickness, 2)} mm apart, the two beside the box {number(size, 2)} mm"
    return [
        replace(whole, part=part, view=View.FRAMED),
        replace(
            whole, part=part, view=View.ENLARGED, title=f"Gap of {number(size, 2)} mm", caption=f"{apart}. {_codes(findings)}",
            alt=f"{whole.plane.value}, {apart[0].lower()}{apart[1:]}",
        ),
    ]  # fmt: skip


def _height(scene: Scene, place: int, rank: int) -> float:
    """Where a frame lies along the normal, mm: as it says, or as its slice does."""
    assert scene.dso is not None
    point = scene.dso.frames.matrix(POSITION)[place]
    return float(point @ scene.stack.normal) if finite(point) else float(scene.heights[rank])


def _line(scene: Scene, plane: Plane, rank: int) -> ImageLine:
    """The line of a slice that a reformat shows: where it lies in the slice, and where it begins."""
    own = scene.positions[scene.slice_of[rank]]
    across, down = scene.orientation[:3], scene.orientation[3:]
    if plane is Plane.CORONAL:
        line = float((scene.focus - own) @ down) / scene.spacing[0]
        return ImageLine(float(scene.heights[rank]), line, float(own @ across))
    line = float((scene.focus - own) @ across) / scene.spacing[1]
    return ImageLine(float(scene.heights[rank]), line, float(own @ down))


def _sides(scene: Scene, plane: Plane) -> tuple[str, str, str, str]:
    """Letters at the left, top, right and bottom of a reformat."""
    right = scene.orientation[:3] if plane is Plane.CORONAL else scene.orientation[3:]
    normal = scene.stack.normal
    return _letters(right, -normal if normal[2] >= 0 else normal)


def _letters(right: Any, down: Any) -> tuple[str, str, str, str]:
    """Letters at the left, top, right and bottom of a picture."""
    from crlm_qc.geometry.display import letters

    return letters(-right), letters(-down), letters(right), letters(down)
