"""How far masks must be displaced for SEG013 to tell: the curve in docs/limits.md.

Livers among soft tissue, as `support.soft_abdomen` makes them: 110, 80 and 20 HU among 48 HU, a quarter of it fat; pixels of
0.8 mm, slices of 5 mm, and pixels of 1.6 mm for thinner ones; masks drawn with each slice 1 mm astray, right in the whole or
1 mm too wide. Run with `python tests/benchmarks/displacement.py`; it takes some minutes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.laid import laid_over
from support.soft_abdomen import abdomen

from crlm_qc.auditing import judge
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.settings import Settings
from crlm_qc.rules import registry

RULE = [item for item in registry() if item.code == "SEG013"]
NOISE = (10.0, 20.0, 30.0)
LIVERS = [(hu, wide) for hu in (110.0, 80.0, 20.0) for wide in (0.0, 1.0)]
PIXELS = (1, 2, 3, 6)
SERIES = ((0.8, 5.0), (1.6, 2.5))
"""Pixel and slice spacing, mm."""


def told(profile: Profile, noise: float, pixel: float, spacing: float) -> Iterator[tuple[str, bool]]:
    """Whether each displacement of each liver is told; `in place`, whether there was a false alarm."""
    for seed, (hu, wide) in enumerate(LIVERS):
        body = abdomen(seed, pixel=pixel, spacing=spacing, liver_hu=hu, noise=noise)
        mask = body.drawn(seed, wide_mm=wide, jitter_mm=1.0)
        moves = [("in place", 0, 0)]
        moves += [(f"{n} slice{'s' * (n > 1)} of {spacing:g} mm", n, 0) for n in (1, 2)]
        if pixel < 1:
            names = ((1, "front-back"), (2, "left-right"))
            moves += [(f"{n * pixel:.1f} mm {name}", n, axis) for axis, name in names for n in PIXELS]
        for name, by, axis in moves:
            sign = -1 if seed % 2 else 1
            case = laid_over(body.hu, np.roll(mask, sign * by, axis), body.spacing)
            yield name, bool(judge(case.evidence(), profile, Settings(), RULE).findings)


def main() -> None:
    """Print the curve as a table of Markdown."""
    profile = load_profile()
    print("| displacement |", " | ".join(f"noise {noise:g} HU" for noise in NOISE), "|")
    print("|---|" + "---|" * len(NOISE))
    for pixel, spacing in SERIES:
        table: dict[str, dict[float, list[bool]]] = {}
        for noise in NOISE:
            for name, found in told(profile, noise, pixel, spacing):
                table.setdefault(name, {}).setdefault(noise, []).append(found)
        for name, row in table.items():
            print(
                f"| {name} |", " | ".join(f"{sum(row[noise])} of {len(row[noise])}" for noise in NOISE), "|", flush=True
            )


if __name__ == "__main__":
    main()
