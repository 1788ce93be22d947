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

from crlm_qc.model.picture import BAR_MM, SIDE, UNITS, Contour, Gap, Outline, Picture, PictureRequest, Plane

if TYPE_CHECKING:
    from crlm_qc.evidence.pictures import ImageRead, PictureRead
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
_BAND = 1.02
"""Part of a slice's height that it takes in a reformat: more than all of it, so that jitter of positions is no gap."""

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
        Its `picture` has no file yet.

    Raises
    ------
    ValueError
        It would be out of all proportion.
    """
    canvas = _axial(request, read) if request.plane is Plane.AXIAL else _reformat(request, read)
    outlines = {outline.segment: outline for outline in request.outlines}
    labels = _Letters(canvas.image.size)
    drawn = []
    # Small segments get the room for their letters first.
    for segment in sorted(canvas.lines, key=lambda number: (_reach(canvas.lines[number]), number)):
        lines = [simplified(line, SLACK) for line in canvas.lines[segment]]
        outline = outlines.get(segment, Outline(segment, f"S{segment}", "other", f"segment {segment}"))
        if data := path_of(lines):
            x, y = labels.place(lines, outline.letter)
            made = Contour(segment, outline.letter, outline.role, data, round(x * UNITS), round(y * UNITS))
            drawn.append((made, tuple(lines)))
    drawn.sort(key=lambda item: item[0].segment)
    picture = Picture(
        patient=request.patient,
        findings=request.findings,
        file=None,
        reason="",
        plane=request.plane,
        group=request.group,
        title=request.title,
        caption=request.caption,
        alt=request.alt,
        width=canvas.image.width * UNITS,
        height=canvas.image.height * UNITS,
        sides=request.sides,
        bar=round(BAR_MM * canvas.scale * UNITS),
        contours=tuple(contour for contour, _ in drawn),
        gaps=canvas.gaps,
    )
    return Drawing(picture, canvas.image, tuple(drawn))


@dataclass(frozen=True)
class _Canvas:
    image: Image.Image
    scale: float
    """Pixels in a mm."""
    lines: dict[int, list[Ring]]
    """Outlines by segment, in pixels."""
    gaps: tuple[Gap, ...] = ()


def _scale(width: float, height: float) -> tuple[float, int, int]:
    """Pixels in a mm, and the size in pixels, of a picture of so many mm."""
    if not np.isfinite([width, height]).all() or min(width, height) <= 0:
        raise ValueError("no extent")
    scale = SIDE / max(width, height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    if min(size) < THINNEST:
        raise ValueError("out of all proportion")
    return scale, *size


def _axial(request: PictureRequest, read: PictureRead) -> _Canvas:
    grey = window(read.images[0].values)
    rows, columns = grey.shape
    between_rows, between_columns = request.spacing
    scale, width, height = _scale(columns * between_columns, rows * between_rows)
    image = Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS)
    # A pixel's centre lies half a pixel from its edge, on either grid.
    to_picture = (width / columns, 0.0, width / columns / 2, 0.0, height / rows, height / rows / 2)
    lines: dict[int, list[Ring]] = {}
    for mask in read.masks:
        found = [moved(moved(ring, mask.request.to_image), to_picture) for ring in rings(mask.mask)]
        lines.setdefault(mask.segment, []).extend(found)
    return _Canvas(image, scale, lines)


def _reformat(request: PictureRequest, read: PictureRead) -> _Canvas:
    step = request.spacing[1] if request.plane is Plane.CORONAL else request.spacing[0]
    length = len(read.images[0].values)
    starts = np.array([image.at.start for image in read.images])
    heights = np.array([image.at.height for image in read.images])
    left, right = float(starts.min()) - step / 2, float(starts.max()) + (length - 0.5) * step
    low, high = float(heights.min()) - request.thickness / 2, float(heights.max()) + request.thickness / 2
    scale, width, height = _scale(right - left, high - low)
    across = np.asarray(left + (np.arange(width) + 0.5) / scale, dtype=np.float64)
    down = (np.arange(height) + 0.5) / scale
    up = high - down if request.upward else low + down
    grey = np.zeros((height, width), dtype=np.uint8)
    covered = np.zeros(height, dtype=bool)
    for image in _in_order(read.images):
        band = np.abs(up - image.at.height) <= request.thickness / 2 * _BAND
        grey[band] = _sampled(image, across, step)
        covered |= band
    masks: dict[int, Flags] = {}
    for mask in read.masks:
        band = np.abs(up - mask.request.at.height) <= request.thickness / 2 * _BAND
        index = np.floor((across - mask.request.at.start) / step + 0.5).astype(np.int64)
        inside = (index >= 0) & (index < len(mask.mask))
        line = np.zeros(width, dtype=bool)
        line[inside] = mask.mask[index[inside]]
        masks.setdefault(mask.segment, np.zeros((height, width), dtype=bool))[band] |= line
    lines = {segment: [ring + 0.5 for ring in rings(mask)] for segment, mask in masks.items()}
    return _Canvas(Image.fromarray(grey), scale, lines, tuple(_gaps(covered)))


def _in_order(images: Sequence[ImageRead]) -> list[ImageRead]:
    return sorted(images, key=lambda image: image.at.height)


def _sampled(image: ImageRead, across: Floats, step: float) -> Bytes:
    """The line of an image at places along it, in mm."""
    grey = window(image.values).astype(np.float64)
    places = image.at.start + np.arange(len(grey)) * step
    found = np.interp(across, places, grey, left=0.0, right=0.0)
    return found.round().astype(np.uint8)


def _gaps(covered: Flags) -> Iterator[Gap]:
    """Runs of rows that no slice fills."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], covered, [True]]).astype(np.int8)))
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if last - first > 1:
            yield Gap(first * UNITS, (last - first) * UNITS)


def _reach(lines: Sequence[Ring]) -> float:
    points = np.concatenate(lines) if lines else np.zeros((1, 2))
    return float(np.ptp(points, axis=0).sum())


class _Letters:
    """Finds room for the letters of contours, so that no two lie on each other."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._taken: list[tuple[float, float, float]] = []

    def place(self, lines: Sequence[Ring], letter: str) -> tuple[float, float]:
        """Centre of a letter beside a contour, in pixels."""
        points = max(lines, key=_extent)
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
        for degrees in (0, 180, 270, 90, 315, 225, 45, 135, 337, 203, 293, 67, 23, 157, 248, 112):
            direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
            edge = points[int(np.argmax(points @ direction))]
            yield (
                float(edge[0] + direction[0] * (half + gap)),
                float(edge[1] + direction[1] * (LETTER / 2 + gap)),
            )

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
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(2 * LETTER)
    for gap in drawing.picture.gaps:
        first, last = 2 * gap.y // UNITS, 2 * (gap.y + gap.height) // UNITS - 1
        pen.rectangle((1, first, 2 * width - 2, last), outline=_COLOURS["other"], width=2)
    for contour, lines in drawing.rings:
        for line in lines:
            closed = [(float(x) * 2, float(y) * 2) for x, y in (*line, line[0])]
            for stroke in _dashed(closed, [2.0 * part for part in _DASHES[contour.role]]):
                pen.line(stroke, fill=_COLOURS[contour.role], width=3, joint="curve")
    for contour, _ in drawing.rings:
        place = (2 * contour.x / UNITS, 2 * contour.y / UNITS)
        _write(pen, place, contour.letter, font, _COLOURS[contour.role])
    left, top, right, bottom = drawing.picture.sides
    for place, letters, anchor in (
        ((_SIDE_MARGIN, height), left, "lm"),
        ((width, _SIDE_MARGIN), top, "mt"),
        ((2 * width - _SIDE_MARGIN, height), right, "rm"),
        ((width, 2 * height - _SIDE_MARGIN), bottom, "mb"),
    ):
        if letters:
            # Framed, so that R for right is not taken for the R of a contour.
            box = pen.textbbox(place, letters, font=font, anchor=anchor)
            frame = (box[0] - 5, box[1] - 5, box[2] + 5, box[3] + 5)
            pen.rounded_rectangle(frame, 5, fill=(0, 0, 0), outline=(255, 255, 255))
        _write(pen, place, letters, font, (255, 255, 255), anchor)
    end = 2 * drawing.picture.bar / UNITS
    base = 2 * height - _SIDE_MARGIN
    pen.line((_SIDE_MARGIN, base, _SIDE_MARGIN + end, base), fill=(255, 255, 255), width=4)
    _write(pen, (_SIDE_MARGIN, base - 6), f"{BAR_MM:g} mm", ImageFont.load_default(22), (255, 255, 255), "lb")
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


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
