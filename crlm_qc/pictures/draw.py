"""Draws pictures: the image as WebP, the contours as paths that a page lays over it, or both burnt into a PNG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from contourpy import LineType, contour_generator
from PIL import Image, ImageDraw, ImageFont

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

if TYPE_CHECKING:
    from crlm_qc.evidence.pictures import ImageRead, MaskRead, PictureRead
    from crlm_qc.geometry.display import Affine

LEVEL_HU, WIDTH_HU = 60.0, 400.0
"""Window of the liver."""
QUALITY = 60
"""Of WebP."""
SLACK = 0.35
"""Pixels of the picture that a contour may be off when points are left out of it."""
THINNEST = 16
"""Pixels of a picture's shorter side at the least."""
LETTER = 13
"""Height of a letter, pixels of the picture."""
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

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Ring = npt.NDArray[np.float64]
"""A closed line: columns and rows, shape (n, 2), the first point not repeated."""


@dataclass(frozen=True)
class Drawing:
    """A picture before it is written to a file."""

    picture: Picture
    image: Image.Image
    rings: tuple[tuple[Contour, tuple[Ring, ...]], ...]
    """Contours as lines, in pixels of the picture."""
    hatched: tuple[tuple[Ring, ...], ...] = ()
    """What is hatched, in the order of the picture's hatches."""
    enlarged: bool = False
    """Whether it shows a part of the images alone."""

    def webp(self) -> bytes:
        """The image alone."""
        return webp(self.image)

    def png(self) -> bytes:
        """The image with contours, letters, scale bar and directions burnt in."""
        return _burnt(self)


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


def rings(mask: Flags) -> list[Ring]:
    """Outlines of a mask, half way between pixels that are set and others that are not.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
        One plane.

    Returns
    -------
    list of numpy.ndarray, shape (n, 2)
        Closed lines, columns and rows counted from the centre of the first pixel; those around holes too.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    padded = np.pad(box.astype(np.float64), 1)
    lines: Any = contour_generator(z=padded, name="serial", line_type=LineType.Separate).lines(0.5)
    offset = np.array([columns[0] - 1, rows[0] - 1], dtype=np.float64)
    # A contour ends where it began.
    return [np.asarray(line[:-1] + offset, dtype=np.float64) for line in lines]


def moved(ring: Ring, affine: Affine) -> Ring:
    """A line on another grid."""
    a, b, t, d, e, f = affine
    return np.stack([a * ring[:, 0] + b * ring[:, 1] + t, d * ring[:, 0] + e * ring[:, 1] + f], axis=1)


def simplified(ring: Ring, slack: float) -> Ring:
    """A closed line with fewer points, none of those left out farther off than `slack` (Ramer, Douglas and Peucker).

    Parameters
    ----------
    ring : numpy.ndarray, shape (n, 2)
        Points.
    slack : float
        In the unit of the points.

    Returns
    -------
    numpy.ndarray, shape (m, 2)
        At least three points, where there were as many.
    """
    if len(ring) < 4:
        return ring
    far = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    keep = np.zeros(len(closed), dtype=bool)
    keep[[0, far, len(ring)]] = True
    waiting = [(0, far), (far, len(ring))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        away = _from_line(closed[first + 1 : last], closed[first], closed[last])
        worst = int(np.argmax(away))
        if away[worst] > slack:
            middle = first + 1 + worst
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    found = closed[:-1][keep[:-1]]
    return found if len(found) > 2 else ring


def _from_line(points: Floats, first: Floats, last: Floats) -> Floats:
    """Distances from the line between two points."""
    along = last - first
    length = float(along @ along)
    if length == 0:
        return np.asarray(np.linalg.norm(points - first, axis=1), dtype=np.float64)
    part = np.clip((points - first) @ along / length, 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - first - part[:, None] * along, axis=1), dtype=np.float64)


def path_of(lines: Iterable[Ring]) -> str:
    """Path data of SVG of closed lines, in whole units: the first point as it is, the others from the one before."""
    parts = []
    for line in lines:
        points = np.round(line * UNITS).astype(np.int64)
        steps = np.diff(points, axis=0)
        steps = steps[steps.any(axis=1)]
        if len(steps) < 2:
            continue
        parts.append(f"M{points[0][0]} {points[0][1]}l" + " ".join(f"{x} {y}" for x, y in steps.tolist()) + "z")
    return "".join(parts)


def webp(image: Image.Image) -> bytes:
    """An image as WebP."""
    stream = BytesIO()
    image.save(stream, "WEBP", quality=QUALITY, method=4)
    return stream.getvalue()


def smaller(content: bytes, side: int) -> bytes:
    """A WebP whose longer side has as many pixels; the same bytes if it has no more."""
    with Image.open(BytesIO(content), formats=["WEBP"]) as image:
        if max(image.size) <= side:
            return content
        scale = side / max(image.size)
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        return webp(image.convert("L").resize(size, Image.Resampling.LANCZOS))


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
    bar_mm = next((one for one in _BARS if one * canvas.scale <= canvas.image.width / 3), _BARS[-1])
    level = mark_level(size[1], canvas.gaps)
    labels = _Letters(size, _taken(request, size, level, bar_mm * canvas.scale))
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


class _Letters:
    """Finds room for the letters of contours, so that no two lie on each other."""

    def __init__(self, size: tuple[int, int], taken: Iterable[tuple[float, float, float]] = ()) -> None:
        self._size = size
        self._taken = list(taken)

    def place(self, lines: Sequence[Ring], letter: str) -> tuple[float, float]:
        """Centre of a letter beside a contour, in pixels."""
        points = max(lines, key=_extent)
        inside = ((points > 0) & (points < np.array(self._size, dtype=np.float64))).all(axis=1)
        points = points[inside] if inside.any() else points
        half = 0.34 * LETTER * len(letter)
        places = list(self._candidates(points, half))
        x, y = next((one for one in places if self._free(*one, half)), places[0])
        x = min(max(x, half + 1), self._size[0] - half - 1)
        y = min(max(y, LETTER / 2 + 1), self._size[1] - LETTER / 2 - 1)
        self._taken.append((x, y, half))
        return x, y

    @staticmethod
    def _candidates(points: Ring, half: float) -> Iterator[tuple[float, float]]:
        gap = 3.0
        # Around the contour, then along it.
        for degrees in (0, 180, 270, 90, 315, 225, 45, 135, 337, 203, 293, 67, 23, 157, 248, 112):
            direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
            edge = points[int(np.argmax(points @ direction))]
            yield (
                float(edge[0] + direction[0] * (half + gap)),
                float(edge[1] + direction[1] * (LETTER / 2 + gap)),
            )
        for x, y in points[:: max(len(points) // 32, 1)].tolist():
            yield from ((x + half + gap, y), (x - half - gap, y), (x, y - LETTER / 2 - gap), (x, y + LETTER / 2 + gap))

    def _free(self, x: float, y: float, half: float) -> bool:
        width, height = self._size
        inside = half < x < width - half and LETTER / 2 < y < height - LETTER / 2
        return inside and all(
            abs(x - other) > half + theirs + 1 or abs(y - at) > LETTER for other, at, theirs in self._taken
        )


def _extent(line: Ring) -> float:
    return float(np.ptp(line, axis=0).prod())


# --- burnt in ---------------------------------------------------------------------------------------------------------

_COLOURS = {
    "liver": (255, 90, 77),
    "remnant": (255, 138, 120),
    "vessel": (110, 190, 255),
    "tumour": (90, 224, 122),
    "other": (240, 200, 90),
}
_DASHES = {"liver": (), "remnant": (7, 4), "vessel": (1.5, 3), "tumour": (7, 3, 1.5, 3), "other": (3, 3)}
_SIDE_MARGIN = 12


def _burnt(drawing: Drawing) -> bytes:
    width, height = drawing.image.size
    image = drawing.image.convert("RGB").resize((width * 2, height * 2), Image.Resampling.BICUBIC)
    font = ImageFont.load_default(2 * LETTER)
    for lines in drawing.hatched:
        _hatch(image, lines)
    pen = ImageDraw.Draw(image)
    if (frame := drawing.picture.frame) is not None:
        corner = (2 * (frame.x + frame.width) // UNITS, 2 * (frame.y + frame.height) // UNITS)
        pen.rectangle((2 * frame.x // UNITS, 2 * frame.y // UNITS, *corner), outline=(255, 255, 255), width=2)
    for gap in drawing.picture.gaps:
        first, last = 2 * gap.y // UNITS, 2 * (gap.y + gap.height) // UNITS - 1
        pen.rectangle((1, first, 2 * width - 2, last), outline=_COLOURS["other"], width=2)
        if gap.text:
            stands = 2 * gap.text / UNITS
            tip, base = (first - 3, stands - 12) if stands < first else (last + 3, stands + 12)
            at = 2 * width - 80
            pen.polygon([(at - 11, base), (at + 11, base), (at, tip)], fill=_COLOURS["other"], outline=(0, 0, 0))
            _write(pen, (at - 24, stands), gap.label, font, _COLOURS["other"], "rm")
    for contour, lines in drawing.rings:
        for line in lines:
            closed = [(float(x) * 2, float(y) * 2) for x, y in (*line, line[0])]
            for stroke in _dashed(closed, [2.0 * part for part in _DASHES[contour.role]]):
                pen.line(stroke, fill=_COLOURS[contour.role], width=3, joint="curve")
    for contour, _ in drawing.rings:
        place = (2 * contour.x / UNITS, 2 * contour.y / UNITS)
        _write(pen, place, contour.letter, font, _COLOURS[contour.role])
    left, top, right, bottom = drawing.picture.sides
    level = 2 * (drawing.picture.level or drawing.picture.height // 2) / UNITS
    for place, letters, anchor in (
        ((_SIDE_MARGIN, level), left, "lm"),
        ((width, _SIDE_MARGIN), top, "mt"),
        ((2 * width - _SIDE_MARGIN, level), right, "rm"),
        ((width, 2 * height - _SIDE_MARGIN), bottom, "mb"),
    ):
        if letters:
            # Framed, so that R for right is not taken for the R of a contour.
            box = pen.textbbox(place, letters, font=font, anchor=anchor)
            around = (box[0] - 5, box[1] - 5, box[2] + 5, box[3] + 5)
            pen.rounded_rectangle(around, 5, fill=(0, 0, 0), outline=(255, 255, 255))
        _write(pen, place, letters, font, (255, 255, 255), anchor)
    end = 2 * drawing.picture.bar / UNITS
    base = 2 * height - _SIDE_MARGIN
    pen.line((_SIDE_MARGIN, base, _SIDE_MARGIN + end, base), fill=(255, 255, 255), width=4)
    _write(
        pen,
        (_SIDE_MARGIN, base - 6),
        f"{drawing.picture.bar_mm:g} mm",
        ImageFont.load_default(22),
        (255, 255, 255),
        "lb",
    )
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _hatch(image: Image.Image, lines: Sequence[Ring]) -> None:
    """Lay oblique lines over a part of an image; what lies within two of its outlines is a hole."""
    held = np.zeros((image.height, image.width), dtype=bool)
    for line in lines:
        one = Image.new("1", image.size)
        ImageDraw.Draw(one).polygon([(float(x) * 2, float(y) * 2) for x, y in line], fill=1)
        held ^= np.asarray(one)
    for width, colour in ((_HATCH // 2, (0, 0, 0)), (3, (255, 255, 255))):
        strokes = Image.new("1", image.size)
        pen = ImageDraw.Draw(strokes)
        for start in range(-image.height, image.width, _HATCH):
            pen.line((start, image.height, start + image.height, 0), fill=1, width=width)
        image.paste(colour, mask=Image.fromarray(held & np.asarray(strokes)))


_HATCH = 14
"""Pixels from one line of a hatching to the next, along a row."""


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    letters: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: tuple[int, int, int],
    anchor: str = "mm",
) -> None:
    pen.text(place, letters, fill=colour, font=font, anchor=anchor, stroke_width=3, stroke_fill=(0, 0, 0))


def _dashed(points: Sequence[tuple[float, float]], pattern: Sequence[float]) -> Iterator[list[tuple[float, float]]]:
    """Strokes of a line with a pattern of strokes and spaces; the whole line if there is none."""
    if not pattern:
        yield list(points)
        return
    place, left, stroke = 0, pattern[0], [points[0]]
    for before, after in pairwise(points):
        start, end = np.array(before), np.array(after)
        length = float(np.linalg.norm(end - start))
        done = 0.0
        while length - done > left:
            done += left
            at = start + (end - start) * (done / length)
            point = (float(at[0]), float(at[1]))
            if place % 2 == 0:
                yield [*stroke, point]
            place += 1
            left, stroke = pattern[place % len(pattern)], [point]
        left -= length - done
        stroke.append(after)
    if place % 2 == 0 and len(stroke) > 1:
        yield stroke


def named(drawing: Drawing, file: str) -> Picture:
    """The picture of a drawing that was given a file."""
    return replace(drawing.picture, file=file)
