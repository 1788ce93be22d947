"""Levels of an image, on images drawn here: a body of soft tissue with lungs and bone in air."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_qc.evidence import levels as module
from crlm_qc.evidence.levels import corner_fill, levels

Image = npt.NDArray[Any]


def image(side: int = 128, body: float = 0.7, noise: float = 10.0, seed: int = 0) -> Image:
    """CT values."""
    down, across = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    values = np.full((side, side), -1000.0)
    inside = np.hypot(down, across) < body
    values[inside] = 50
    values[np.hypot(down, across - 0.3) < 0.2 * body] = -850
    values[np.hypot(down - 0.4, across) < 0.08] = 600
    return values + np.random.default_rng(seed).normal(0, noise, values.shape)


def stored(hu: Image, kind: str = "<i2", slope: float = 1.0, intercept: float = -1024.0) -> Image:
    return np.rint((hu - intercept) / slope).astype(int).astype(kind)


def circle(side: int) -> npt.NDArray[np.bool_]:
    across = np.linspace(-1, 1, side) ** 2
    return across[:, None] + across > 1


@settings(max_examples=40, deadline=None)
@given(
    noise=st.floats(2, 40),
    slope=st.sampled_from([0.1, 0.5, 1.0, 2.0]),
    shift=st.integers(-3000, 3000),
    side=st.sampled_from([64, 100, 256]),
    seed=st.integers(0, 99),
)
def test_air_and_tissue_are_found(noise: float, slope: float, shift: int, side: int, seed: int) -> None:
    found = levels(stored(image(side, noise=noise, seed=seed) + shift, "<i4", slope, -1024.0), None, 32, slope, -1024.0)
    assert found["hu_rim"] == pytest.approx(-1000 + shift, abs=max(2.0, noise / 4))
    assert found["hu_body"] == pytest.approx(50 + shift, abs=max(3.0, noise))
    assert found["hu_rim_spread"] == pytest.approx(0.67 * noise, abs=max(1.0, noise / 4))


@pytest.mark.parametrize("fill", [-3024, -2048, -1024, 3000])
def test_corners_where_nothing_was_reconstructed_are_no_air(fill: int) -> None:
    hu = np.where(circle(128), fill, image())
    values = stored(hu)
    found = corner_fill(values, None, 1.0, -1024.0)
    assert found == (fill + 1024 if fill < -1024 else None)
    valid = None if found is None else values != found
    measured = levels(values, valid, 16, 1.0, -1024.0)
    assert measured["hu_rim"] == pytest.approx(-1000, abs=3)


def test_padding_that_lossy_compression_has_smeared_is_no_air() -> None:
    hu = np.where(circle(128), -3024 + np.random.default_rng(1).normal(0, 30, (128, 128)), image())
    assert levels(stored(hu), None, 16, 1.0, -1024.0)["hu_rim"] == pytest.approx(-1000, abs=3)


def test_air_that_noise_drives_below_the_lowest_value() -> None:
    hu = np.maximum(image(256, noise=45.0), -1024)
    assert levels(stored(hu), None, 16, 1.0, -1024.0)["hu_rim"] == pytest.approx(-1000, abs=8)


@pytest.mark.parametrize(("kind", "said"), [("<i2", "<u2"), ("<u2", "<i2")])
def test_values_of_another_sign_keep_their_levels(kind: str, said: str) -> None:
    intercept = 0.0 if kind == "<i2" else -40000.0
    values = stored(image(), kind, 1.0, intercept).view(said)
    found = levels(values, None, 16, 1.0, intercept)
    span = 65536 if said == "<u2" else -65536 * (stored(np.array([-1000.0]), "<i4", 1.0, intercept)[0] > 32767)
    assert found["hu_rim"] == pytest.approx(-1000 + span, abs=3)


def test_a_body_that_fills_the_image() -> None:
    found = levels(stored(image(body=2.0)), None, 16, 1.0, -1024.0)
    assert found["hu_rim"] == pytest.approx(50, abs=3)


def test_how_much_lies_at_the_ends() -> None:
    hu = np.clip(image(), -160, 240)
    found = levels(stored(hu), None, 16, 1.0, -1024.0)
    # What lies without the circle is left out.
    inside = hu[~circle(128)]
    assert found["hu_at_min"] == pytest.approx((inside == -160).mean(), abs=0.01)
    assert found["hu_at_max"] == pytest.approx((inside == 240).mean(), abs=0.01)
    turned = levels(stored(hu, slope=-1.0), None, 16, -1.0, -1024.0)
    assert (turned["hu_at_min"], turned["hu_at_max"]) == (found["hu_at_min"], found["hu_at_max"])


@pytest.mark.parametrize(
    ("corners", "fill", "found"),
    [
        (circle(128), -3024, True),
        # Two corners, as where a tilted image was turned upright.
        (np.arange(128)[:, None] + np.zeros(128) < 8, -3024, True),
        (np.arange(128)[:, None] + np.zeros(128) < 8, -1024, False),
        # A corner, or specks in corners.
        (np.add.outer(np.arange(128), np.arange(128)) < 30, -3024, False),
        (np.isin(np.add.outer(np.arange(128), np.arange(128)), (0, 254)), -3024, False),
        # In the middle.
        (~circle(128), -3024, False),
    ],
)
def test_what_fills_corners_is_padding(corners: npt.NDArray[np.bool_], fill: int, found: bool) -> None:
    values = stored(np.where(corners, fill, image()))
    assert corner_fill(values, None, 1.0, -1024.0) == (fill + 1024 if found else None)
    # Declared, or not the lowest value.
    assert corner_fill(values, values != fill + 1024, 1.0, -1024.0) is None
    values[64, 64] = -3000
    assert corner_fill(values, None, 1.0, -1024.0) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (17, 400)])
def test_images_of_any_shape(shape: tuple[int, int]) -> None:
    values = np.arange(np.prod(shape), dtype="<i2").reshape(shape)
    assert set(levels(values, None, 16, 1.0, 0.0)) <= {"hu_at_min", "hu_at_max", "hu_rim", "hu_rim_spread", "hu_body"}
    assert levels(values, np.zeros(shape, dtype=bool), 16, 1.0, 0.0) == {}


def test_values_of_32_bits() -> None:
    values = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, (64, 64), dtype="<i4")
    assert np.isfinite(levels(values, None, 32, 1.0, 0.0)["hu_rim"])


@settings(max_examples=200)
@given(
    values=st.lists(st.integers(-40, 40) | st.integers(-2000, 2000), min_size=1, max_size=60),
    width=st.integers(1, 90),
    counts=st.sampled_from([16, 1 << 16]),
)
def test_the_mode_is_the_median_of_the_values_closest_together(values: list[int], width: int, counts: int) -> None:
    held = np.array(values, np.int64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MOST_COUNTS", counts)
        found = module._mode(held, width)
    step = 1 + (max(values) - min(values)) // counts
    wide = max(1, width // step)
    bins = max((max(values) - min(values)) // step + 1, wide)
    starts = [min(values) + step * place for place in range(bins - wide + 1)]
    within = [held[(held >= start) & (held < start + wide * step)] for start in starts]
    assert found == int(np.median(max(within, key=len)))
