"""Draws pictures of one plane: the image as WebP or PNG, contours burnt in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crlm_qc.model.picture import UNITS, Contour, Picture
from crlm_qc.pictures.contours import Ring
from crlm_qc.pictures.letters import LETTER

QUALITY = 60
"""Of WebP."""


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
    # The highest compression takes eight times as long, and an eighth off the file.
    image.save(stream, "PNG")
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
