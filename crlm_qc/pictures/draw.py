"""Draws pictures: the image as WebP, the contours as paths that a page lays over it, or both burnt into a PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from crlm_qc.evidence.pictures import hatched_parts
from crlm_qc.geometry import display
from crlm_qc.model.picture import (
    BAR_MM,
    SIDE,
    UNITS,
    Contour,
    Frame,
    Gap,
    Hatch,
    Outline,
    Part,
    Picture,
    PictureRequest,
    Plane,
    View,
)
from crlm_qc.pictures.contours import SLACK, THINNEST, Bytes, Flags, Floats, Ring, moved, path_of, rings, simplified
from crlm_qc.pictures.drawing import Drawing
from crlm_qc.pictures.letters import LETTER, Letters

if TYPE_CHECKING:
    from crlm_qc.evidence.pictures import ImageRead, MaskRead, PictureRead
    from crlm_qc.geometry.display import Affine

LEVEL_HU, WIDTH_HU = 60.0, 400.0
"""Window of the liver."""
MAX_ALT = 500
"""Characters of an alternative text."""
LEAST_GAP = 4
"""Height of the box around a gap at the least, pixels of the picture."""
LEAST_MM = 40.0
"""Width of what is enlarged at the least, mm: what lies around it tells where it is."""
AROUND = 4.0
"""The same, as a multiple of what the finding is about."""
_MOST = 0.5
"""The same at the most, as a part of the image: whatever needs more is seen without being enlarged."""
_THIN = 0.25
"""What fills no more of a square about it lies along an outline."""
_THIN_MM = 60.0
"""Width of what is enlarged of that, mm."""
_BARS = (BAR_MM, 20.0, 10.0, 5.0, 2.0, 1.0)
"""Lengths of the scale bar, mm; the longest that takes no more than a third of the picture."""
_BAND = 1.02
"""Part of a slice's height that it takes in a reformat: more than all of it, so that jitter of positions is no gap."""
_EDGE = 3
"""Pixels beyond the edges of a picture where contours are still followed, so that they don't run along its edges."""
_GAP_TEXT = 16
"""Pixels from the box of a gap to the middle of what is written beside it."""


def window(values: npt.NDArray[np.float32]) -> Bytes:
    """CT values as grey: black up to -140 HU, white from 260 HU on, padding (NaN) black.

    Parameters
    ----------
    values : numpy.ndarray of float32
        HU.

    Returns
    -------
    numpy.ndarray of uint8
        The same shape.
    """
    grey = (values - np.float32(LEVEL_HU - WIDTH_HU / 2)) * np.float32(255 / WIDTH_HU)
    found: Bytes = np.nan_to_num(np.clip(grey, 0, 255), nan=0.0).round().astype(np.uint8)
    return found


def draw(request: PictureRequest, read: PictureRead) -> Drawing:
    """Draw a picture.

    Parameters
    ----------
    request : PictureRequest
        What it shows.
    read : PictureRead
        CT values and masks.

    Returns
    -------
    Drawing
        Its `picture` has no file yet, and is whole if enlarging it would show no more.

    Raises
    ------
    ValueError
        It would be out of all proportion.
    """
    canvas = _axial(request, read) if request.plane is Plane.AXIAL else _reformat(request, read)
    outlines = {outline.segment: outline for outline in request.outlines}
    size = canvas.image.size
    # As it is drawn, in whole units: a third of the width at the most.
    third = size[0] * UNITS / 3
    bar_mm = next((one for one in _BARS if round(one * canvas.scale * UNITS) <= third), _BARS[-1])
    level = mark_level(size[1], canvas.gaps)
    labels = Letters(size, _taken(request, size, level, bar_mm * canvas.scale))
    title = f"{request.title}, enlarged" if canvas.enlarged else request.title
    margin = _BESIDE if canvas.enlarged else 0.0
    drawn = []
    # Small segments get the room for their letters first.
    for segment in sorted(canvas.lines, key=lambda number: (_reach(canvas.lines[number]), number)):
        lines = [simplified(line, SLACK) for line in canvas.lines[segment] if _seen(line, size, margin)]
        outline = outlines.get(segment, Outline(segment, f"S{segment}", "other", f"segment {segment}"))
        if data := path_of(lines):
            x, y = labels.place(lines, outline.letter)
            made = Contour(segment, outline.letter, outline.role, data, round(x * UNITS), round(y * UNITS))
            drawn.append((made, tuple(lines), outline.label))
    drawn.sort(key=lambda item: item[0].segment)
    hatched = []
    for words, parts in canvas.hatched:
        lines = [simplified(line, SLACK) for line in parts if _seen(line, size)]
        if data := path_of(lines):
            hatched.append((Hatch(data, words), tuple(lines)))
    picture = Picture(
        patient=request.patient,
        findings=request.findings,
        file=None,
        reason="",
        plane=request.plane,
        group=request.group,
        title=title,
        caption=request.caption,
        alt=_alt(request, title, [label for _, _, label in drawn], [hatch.words for hatch, _ in hatched], canvas.gaps),
        width=size[0] * UNITS,
        height=size[1] * UNITS,
        sides=request.sides,
        bar=round(bar_mm * canvas.scale * UNITS),
        contours=tuple(contour for contour, _, _ in drawn),
        gaps=canvas.gaps,
        bar_mm=bar_mm,
        hatches=tuple(hatch for hatch, _ in hatched),
        frame=canvas.frame,
        level=level,
    )
    rings_drawn = tuple((contour, lines) for contour, lines, _ in drawn)
    return Drawing(picture, canvas.image, rings_drawn, tuple(lines for _, lines in hatched), canvas.enlarged)


def _alt(
    request: PictureRequest, title: str, labels: Sequence[str], hatched: Sequence[str], gaps: Sequence[Gap]
) -> str:
    """What the picture shows, in words: no contour that is not drawn, and each that is."""
    shown = f"with the contours of {', '.join(labels)}" if labels else "without a mask on it"
    parts = [f"{title}, {request.alt}, {shown}."]
    parts += [f"Hatched: {words}." for words in dict.fromkeys(hatched)]
    if gaps:
        parts.append(f"Boxed: {', '.join(dict.fromkeys(gap.label for gap in gaps))}.")
    parts.append(request.about)
    alt = " ".join(parts).strip()
    return alt if len(alt) <= MAX_ALT else f"{alt[:MAX_ALT].rsplit(' ', 1)[0]} \N{HORIZONTAL ELLIPSIS}"


def mark_level(height: int, gaps: Sequence[Gap]) -> int:
    """How far down the letters of left and right stand, in units: in the middle, or above it if a gap is boxed there."""
    middle = height * UNITS // 2
    return middle // 2 if any(gap.y - _MARK < middle < gap.y + gap.height + _MARK for gap in gaps) else middle


_MARK = 12 * UNITS
"""Half the height of a letter of a direction, with some room."""
_BESIDE = 6.0
"""Pixels from the edge of what is enlarged within which a contour is left out that comes no farther in."""


def _taken(request: PictureRequest, size: tuple[int, int], level: int, bar: float) -> list[tuple[float, float, float]]:
    """Where the letters of directions and the scale bar stand, each with half its width."""
    width, height = size
    left, top, right, bottom = ((one, 4.5 + 5.0 * len(one)) for one in request.sides)
    places = (
        (left, 13.0, level / UNITS),
        (top, width / 2, 12.0),
        (right, width - 13.0, level / UNITS),
        (bottom, width / 2, height - 12.0),
    )
    half = max(bar, 36.0) / 2
    return [(x, y, wide) for (one, wide), x, y in places if one] + [(6 + half, height - 12.0, half)]


def _seen(line: Ring, size: tuple[int, int], margin: float = 0.0) -> bool:
    """Whether some of a line lies inside a picture; its points are closer together than a picture is wide."""
    inside = (line > margin) & (line < np.array(size, dtype=np.float64) - margin)
    return bool(inside.all(axis=1).any())


@dataclass(frozen=True)
class _Canvas:
    image: Image.Image
    scale: float
    """Pixels in a mm."""
    lines: dict[int, list[Ring]]
    """Outlines by segment, in pixels."""
    gaps: tuple[Gap, ...] = ()
    hatched: tuple[tuple[str, list[Ring]], ...] = ()
    """What is hatched: in words, and its outlines."""
    frame: Frame | None = None
    enlarged: bool = False


def _scale(width: float, height: float) -> tuple[float, int, int]:
    """Pixels in a mm, and the size in pixels, of a picture of so many mm."""
    if not np.isfinite([width, height]).all() or min(width, height) <= 0:
        raise ValueError("no extent")
    scale = SIDE / max(width, height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    if min(size) < THINNEST:
        raise ValueError("out of all proportion")
    return scale, *size


Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def _axial(request: PictureRequest, read: PictureRead) -> _Canvas:
    grey = window(read.images[0].values)
    rows, columns = grey.shape
    turn = _IDENTITY
    if request.mirrored == "columns":
        grey, turn = np.ascontiguousarray(grey[:, ::-1]), (-1.0, 0.0, columns - 1.0, 0.0, 1.0, 0.0)
    elif request.mirrored == "rows":
        grey, turn = np.ascontiguousarray(grey[::-1]), (1.0, 0.0, 0.0, 0.0, -1.0, rows - 1.0)
    masks = [
        replace(mask, request=replace(mask.request, to_image=display.after(mask.request.to_image, turn)))
        if request.mirrored
        else mask
        for mask in read.masks
    ]
    parts = [
        (hatched.words, hatched_parts(masks, hatched))
        for hatched in (request.detail.hatched if request.detail is not None else ())
    ]
    box = (0.0, 0.0, float(columns), float(rows))
    near = _around(request, masks, [mask for _, found in parts for mask in found], grey.shape)
    if request.view is View.ENLARGED and near is not None:
        box = near
    between_rows, between_columns = request.spacing
    left, top, right, bottom = box
    scale, width, height = _scale((right - left) * between_columns, (bottom - top) * between_rows)
    image = Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS, box=box)
    across, down = width / (right - left), height / (bottom - top)
    # A pixel's centre lies half a pixel from its edge, on either grid.
    to_picture = (across, 0.0, across * (0.5 - left), 0.0, down, down * (0.5 - top))
    whole = box == (0.0, 0.0, float(columns), float(rows))

    def outlined(mask: MaskRead) -> list[Ring]:
        held, first = (mask.mask, (0.0, 0.0)) if whole else _cut(mask, box)
        found = [ring + np.array(first, dtype=np.float64) for ring in rings(held)]
        return [moved(moved(ring, mask.request.to_image), to_picture) for ring in found]

    lines: dict[int, list[Ring]] = {}
    for mask in masks:
        lines.setdefault(mask.segment, []).extend(outlined(mask))
    hatched = tuple((words, [ring for mask in found for ring in outlined(mask)]) for words, found in parts)
    frame = None
    if request.view is View.FRAMED and near is not None:
        frame = _frame(near[0] * across, near[1] * down, near[2] * across, near[3] * down)
    return _Canvas(image, scale, lines, hatched=hatched, frame=frame, enlarged=not whole)


_IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _frame(left: float, top: float, right: float, bottom: float) -> Frame:
    x, y = max(round(left * UNITS), 0), max(round(top * UNITS), 0)
    return Frame(x, y, round(right * UNITS) - x, round(bottom * UNITS) - y)


def _around(
    request: PictureRequest, masks: Sequence[MaskRead], hatched: Sequence[MaskRead], shape: tuple[int, ...]
) -> Box | None:
    """What of an image is enlarged, in its pixels: what is hatched, or else the segments, and around it.

    What is hatched all along an outline is shown where most of it is. None if there is nothing to enlarge.
    """
    if request.detail is None:
        return None
    meant = list(hatched) or [mask for mask in masks if mask.segment in request.detail.segments]
    found = [moved(np.argwhere(mask.mask)[:, ::-1].astype(np.float64), mask.request.to_image) for mask in meant]
    if not any(map(len, found)):
        return None
    points = np.concatenate(found)
    rows, columns = shape
    spacing = np.array([request.spacing[1], request.spacing[0]])
    size = np.array([columns, rows], dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    most = _MOST * float((size * spacing).min())
    reach = float(((high - low + 1) * spacing).max())
    side = max(AROUND * reach, LEAST_MM)
    middle = (low + high) / 2
    if side > most:
        side = _THIN_MM
        if not hatched or side > most or len(points) * float(spacing.prod()) > _THIN * reach**2:
            return None
        middle = _densest(points, side / spacing / 2)
    half = side / spacing / 2
    start = np.clip(middle + 0.5 - half, 0.0, size - 2 * half)
    return float(start[0]), float(start[1]), float(start[0] + 2 * half[0]), float(start[1] + 2 * half[1])


def _densest(points: Floats, half: Floats) -> Floats:
    """The point that has most others about it, of equals the first; of many points some are looked at."""
    some = points[:: max(len(points) // 500, 1)]
    near = [int((np.abs(points - one) <= half).all(axis=1).sum()) for one in some]
    found: Floats = some[int(np.argmax(near))]
    return found


def _cut(mask: MaskRead, box: Box) -> tuple[Flags, tuple[float, float]]:
    """A mask within a box of the image and a little around it, and the column and row of its first pixel."""
    back = display.inverse(mask.request.to_image)
    if back is None:
        return mask.mask[:0, :0], (0.0, 0.0)
    left, top, right, bottom = box
    corners = moved(
        np.array([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=np.float64) - 0.5, back
    )
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - _EDGE, 0)
    high = np.ceil(corners.max(axis=0)).astype(int) + _EDGE + 1
    held = mask.mask[int(low[1]) : max(int(high[1]), 0), int(low[0]) : max(int(high[0]), 0)]
    return held, (float(low[0]), float(low[1]))


def _reformat(request: PictureRequest, read: PictureRead) -> _Canvas:
    step = request.spacing[1] if request.plane is Plane.CORONAL else request.spacing[0]
    length = len(read.images[0].values)
    starts = np.array([image.at.start for image in read.images])
    heights = np.array([image.at.height for image in read.images])
    every = Part(
        float(starts.min()) - step / 2,
        float(starts.max()) + (length - 0.5) * step,
        float(heights.min()) - request.thickness / 2,
        float(heights.max()) + request.thickness / 2,
    )
    part = request.part if request.part is not None and request.view is View.ENLARGED else _roomy(every, request)
    scale, width, height = _scale(part.end - part.start, part.high - part.low)
    # Masks are laid out a little beyond the picture's edges.
    across = np.asarray(part.start + (np.arange(-_EDGE, width + _EDGE) + 0.5) / scale, dtype=np.float64)
    down = (np.arange(-_EDGE, height + _EDGE) + 0.5) / scale
    up = part.high - down if request.upward else part.low + down
    shape = (len(up), len(across))
    grey = np.zeros(shape, dtype=np.uint8)
    for image in _in_order(read.images):
        band = np.abs(up - image.at.height) <= request.thickness / 2 * _BAND
        if band.any():
            grey[band] = _sampled(image, across, step)
    masks: dict[int, Flags] = {}
    for mask in read.masks:
        band = np.abs(up - mask.request.at.height) <= request.thickness / 2 * _BAND
        index = np.floor((across - mask.request.at.start) / step + 0.5).astype(np.int64)
        inside = (index >= 0) & (index < len(mask.mask))
        line = np.zeros(len(across), dtype=bool)
        line[inside] = mask.mask[index[inside]]
        masks.setdefault(mask.segment, np.zeros(shape, dtype=bool))[band] |= line
    lines = {segment: [ring + 0.5 - _EDGE for ring in rings(mask)] for segment, mask in masks.items()}

    def place(position: float) -> float:
        return (part.high - position if request.upward else position - part.low) * scale

    frame = None
    if request.part is not None and request.view is View.FRAMED:
        ends = sorted((place(request.part.low), place(request.part.high)))
        frame = _frame(
            (request.part.start - part.start) * scale, ends[0], (request.part.end - part.start) * scale, ends[1]
        )
    shown = Image.fromarray(np.ascontiguousarray(grey[_EDGE:-_EDGE, _EDGE:-_EDGE]))
    gaps = []
    for space in request.spaces:
        # A slice reaches half its thickness beyond its position.
        ends = sorted((place(space.low + request.thickness / 2), place(space.high - request.thickness / 2)))
        gaps.append((ends[0], ends[1], space.label))
    enlarged = request.part is not None and request.view is View.ENLARGED
    return _Canvas(shown, scale, lines, tuple(_gaps(gaps, height)), frame=frame, enlarged=enlarged)


def _roomy(every: Part, request: PictureRequest) -> Part:
    """All of a reformat, and some more of it below or above where a gap is the outermost."""
    room = _ROOM * max(every.end - every.start, every.high - every.low)
    low = min((space.low - room for space in request.spaces), default=every.low)
    high = max((space.high + room for space in request.spaces), default=every.high)
    return replace(every, low=min(low, every.low), high=max(high, every.high))


_ROOM = 0.04
"""Part of a reformat's longer side that a gap is from its edge at the least."""


def _gaps(spaces: Sequence[tuple[float, float, str]], height: int) -> Iterator[Gap]:
    """Boxes around gaps, high enough to be seen, with what is written above or below them where there is room."""
    said: list[float] = []
    for first, last, label in sorted(spaces):
        if last <= 0 or first >= height:
            continue
        grown = max(LEAST_GAP - (last - first), 0.0) / 2
        top, bottom = max(first - grown, 0.0), min(last + grown, float(height))
        above = top - _GAP_TEXT
        text = above if above > LETTER and all(abs(above - other) > LETTER for other in said) else bottom + _GAP_TEXT
        room = text <= height - LETTER and all(abs(text - other) > LETTER for other in said)
        if room:
            said.append(text)
        y = round(top * UNITS)
        yield Gap(y, round(bottom * UNITS) - y, label, round(text * UNITS) if room else 0)


def _in_order(images: Sequence[ImageRead]) -> list[ImageRead]:
    return sorted(images, key=lambda image: image.at.height)


def _sampled(image: ImageRead, across: Floats, step: float) -> Bytes:
    """The line of an image at places along it, in mm."""
    grey = window(image.values).astype(np.float64)
    places = image.at.start + np.arange(len(grey)) * step
    found = np.interp(across, places, grey, left=0.0, right=0.0)
    return found.round().astype(np.uint8)


def _reach(lines: Sequence[Ring]) -> float:
    points = np.concatenate(lines) if lines else np.zeros((1, 2))
    return float(np.ptp(points, axis=0).sum())


def named(drawing: Drawing, file: str) -> Picture:
    """The picture of a drawing that was given a file."""
    return replace(drawing.picture, file=file)
