"""An abdomen of another make than the synthetic release's: organs are level sets of sums of Gaussian bells.

Nothing is shared with `crlm_qc.synthetic.phantom`. The liver lies among soft tissue, without air or lung beside it; slices
are averages over their thickness, blurred in the plane; noise is grained as that of a reconstruction; masks are drawn
slice by slice, as people draw them: smooth, each slice a little otherwise, too wide or too tight as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Reals = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Bell = tuple[float, float, float, float, float, float]
"""Centre and width along x, y and z, mm; x to the left, y to the back, z to the head."""

_LIVER: Sequence[Bell] = (
    (-48, -2, 0, 46, 44, 48),
    (-60, 18, -32, 30, 30, 40),
    (8, -30, 16, 38, 22, 26),
    (44, -34, 20, 24, 15, 17),
)
_OTHERS: dict[str, tuple[float, Sequence[Bell]]] = {
    "heart": (48.0, ((28, -26, 78, 44, 34, 34),)),
    "stomach": (28.0, ((70, -18, 6, 26, 24, 34), (44, -32, -30, 30, 18, 18))),
    "spleen": (112.0, ((104, 38, 4, 17, 26, 38),)),
    "right kidney": (165.0, ((-52, 56, -62, 19, 19, 34),)),
    "left kidney": (165.0, ((56, 58, -48, 19, 19, 34),)),
    "bowel": (38.0, ((-10, -34, -82, 58, 26, 26), (-70, -20, -96, 26, 26, 22))),
    "diaphragm": (58.0, ((-40, 0, 92, 90, 70, 26),)),
}
_LEVEL = 0.6
SUB = 3
"""Planes that a slice is the average of."""


@dataclass(frozen=True)
class Abdomen:
    """Images of one, shape (slices, rows, columns), from the lowest slice upward."""

    hu: Reals
    depth: Reals
    """How deep in the liver the middle of each voxel lies, mm; negative outside, large where it is far from its surface."""
    spacing: tuple[float, float, float]
    """Between slices, rows and columns, mm."""

    def drawn(self, seed: int, *, wide_mm: float = 0.0, jitter_mm: float = 0.8) -> Mask:
        """A mask of the liver.

        Parameters
        ----------
        seed : int
            Of the hand.
        wide_mm, jitter_mm : float
            How much too wide it is drawn, and how far each slice's outline strays.
        """
        rng = np.random.default_rng(seed)
        pixel = self.spacing[1]
        stray = _waves(rng, self.hu.shape, (0, 8 / pixel, 8 / pixel)) * 0.7
        stray += rng.normal(0, 0.7, (len(self.hu), 1, 1)).astype(np.float32)
        liver = np.stack([ndimage.binary_opening(plane) for plane in self.depth > -(wide_mm + jitter_mm * stray)])
        labels, count = ndimage.label(liver)
        return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])) if count else liver)


def _field(bells: Sequence[Bell], z: Reals, y: Reals, x: Reals) -> Reals:
    total = np.zeros((z.size, y.size, x.size), dtype=np.float32)
    for cx, cy, cz, wx, wy, wz in bells:
        planes, rows, columns = (
            np.exp(-0.5 * ((axis - centre) / width) ** 2).astype(np.float32)
            for axis, centre, width in ((z, cz, wz), (y, cy, wy), (x, cx, wx))
        )
        total += planes[:, None, None] * rows[:, None] * columns
    return total


def _waves(rng: np.random.Generator, shape: tuple[int, ...], sigma: Sequence[float]) -> Reals:
    """Smooth noise of standard deviation 1."""
    waves = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return np.asarray(waves / max(float(waves.std()), 1e-6), dtype=np.float32)


def abdomen(
    seed: int,
    *,
    pixel: float = 0.8,
    spacing: float = 5.0,
    thickness: float | None = None,
    liver_hu: float = 110.0,
    soft_hu: float = 48.0,
    fat: float = 0.25,
    noise: float = 12.0,
    size: float = 1.0,
    cut: tuple[float, float] = (-90.0, 90.0),
) -> Abdomen:
    """Make one.

    Parameters
    ----------
    seed : int
        Of shapes and noise.
    pixel, spacing, thickness : float
        mm; slices are as thick as they are apart unless said.
    liver_hu, soft_hu : float
        CT values of the liver and of what lies around it.
    fat : float
        Part of what lies around it that is fat.
    noise : float
        Standard deviation, HU.
    size : float
        Of the liver, 1 for about 1.3 L.
    cut : tuple of float
        Lowest and highest z of the scan, mm.
    """
    rng = np.random.default_rng(seed)
    x = np.arange(-118, 128, pixel, dtype=np.float32)
    y = np.arange(-92, 92, pixel, dtype=np.float32)
    planes = np.arange(cut[0], cut[1], spacing, dtype=np.float32)
    bells = [
        tuple(value * size * float(rng.uniform(0.92, 1.08)) if place > 2 else value * size + float(rng.normal(0, 2.5))
              for place, value in enumerate(bell))
        for bell in _LIVER
    ]  # fmt: skip
    thick = spacing if thickness is None else thickness
    texture = _waves(rng, (planes.size, y.size, x.size), (5 / spacing, 5 / pixel, 5 / pixel))
    drop = float(np.quantile(texture[:: max(planes.size // 8, 1), ::4, ::4], fat)) if fat else -np.inf
    around = np.where(texture < drop, np.float32(-95.0), np.float32(soft_hu))
    hu = np.zeros_like(around)
    shapes = [(value + float(rng.normal(0, 6)), bells_) for value, bells_ in _OTHERS.values()]
    for sub in range(SUB):
        z = planes + np.float32(thick * ((sub + 0.5) / SUB - 0.5))
        part = around.copy()
        for value, others in shapes:
            part[_field(others, z, y, x) > _LEVEL] = value
        part[_field(bells, z, y, x) > _LEVEL] = liver_hu  # type: ignore[arg-type]
        hu += part / SUB
    hu = ndimage.gaussian_filter(hu, (0, 0.6 / pixel, 0.6 / pixel))
    grain = _waves(rng, hu.shape, (0, 0.5, 0.5)) if pixel < 2 else rng.standard_normal(hu.shape, dtype=np.float32)
    field = _field(bells, planes, y, x)  # type: ignore[arg-type]
    steep = np.sqrt(sum(part**2 for part in np.gradient(field, pixel, axis=(1, 2)))) + 1e-4
    depth = (field - _LEVEL) / steep
    # Far from the outline the field is flat, and the quotient says nothing.
    depth[field <= _LEVEL / 2] = -np.inf
    return Abdomen(np.asarray(np.rint(hu + noise * grain), dtype=np.float32), depth, (spacing, pixel, pixel))
