"""Letters and bars in a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from crlm_qc.pictures.contours import Ring

LETTER = 13
"""Height of a letter, pixels of the picture."""


class Letters:
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
