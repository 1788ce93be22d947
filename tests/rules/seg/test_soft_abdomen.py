"""Displaced masks on made-up abdomens of another make than the synthetic release's: a liver among soft tissue."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.frames import run
from support.laid import laid_over
from support.soft_abdomen import Abdomen, abdomen

from crlm_qc.collection.profile import Profile

Volume = npt.NDArray[np.bool_]
MAKES: dict[str, dict[str, Any]] = {
    "plain": {},
    "fatty": {"liver_hu": 20.0, "noise": 18.0},
    "noisy": {"noise": 30.0},
    "of little contrast": {"liver_hu": 75.0, "fat": 0.4},
}
HIDDEN: dict[str, Any] = {"liver_hu": 47.0, "fat": 0.0, "noise": 20.0}
"""Its liver has the CT value of what lies around it."""
N = 1
"""Pixels of 2.5 mm that masks are displaced by."""


@cache
def made(name: str) -> Abdomen:
    return abdomen(7, pixel=2.5, **MAKES.get(name, HIDDEN))


@cache
def drawn(name: str, wide_mm: float, jitter_mm: float) -> Volume:
    return made(name).drawn(3, wide_mm=wide_mm, jitter_mm=jitter_mm)


def said(name: str, mask: Volume, profile: Profile) -> list[tuple[str, str]]:
    one = made(name)
    found = run(laid_over(one.hu, mask, one.spacing), profile).findings
    return [(each.rule, each.message) for each in found if each.rule in ("SEG011", "SEG012", "SEG013")]


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize(("wide_mm", "jitter_mm"), [(0.0, 0.8), (2.0, 1.5), (-2.0, 1.5)], ids=str)
def test_a_mask_in_its_place(profile: Profile, name: str, wide_mm: float, jitter_mm: float) -> None:
    assert said(name, drawn(name, wide_mm, jitter_mm), profile) == []


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize(
    ("displace", "words"),
    [
        (lambda mask: np.roll(mask, 1, 0), "moved by 1 slice ("),
        (lambda mask: np.roll(mask, -N, 1), f"moved by {N} row ("),
        (lambda mask: np.roll(mask, N, 2), f"moved by {N} column ("),
        (lambda mask: mask[::-1], "turned upside down"),
    ],
    ids=["one slice", "2.5 mm to the front", "2.5 mm to the left", "upside down"],
)
def test_a_displaced_mask(profile: Profile, name: str, displace: Callable[[Volume], Volume], words: str) -> None:
    ((code, message),) = said(name, displace(drawn(name, 0.0, 0.8)), profile)
    assert code == "SEG013"
    assert words in message


def test_where_the_border_says_nothing_nothing_is_said(profile: Profile) -> None:
    mask = drawn("hidden", 0.0, 0.8)
    for one in (mask, np.roll(mask, 1, 0), np.roll(mask, 2, 2), mask[::-1]):
        assert said("hidden", one, profile) == []
