"""Figures of stored values are those that numpy gives of every value by itself."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crlm_qc.evidence import tally as module
from crlm_qc.evidence.images import StoredImage, count_within, ends_of, outside
from crlm_qc.evidence.pixels import _coder
from crlm_qc.evidence.tally import Tally
from crlm_qc.geometry import placements

KINDS = st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32])
SLOPES = st.sampled_from([1.0, 0.5, 0.1, -1.0, -0.37, 2.5e-3, 1e6])
INTERCEPTS = st.sampled_from([0.0, -1024.0, 0.3, 30.0])
SHAPE = arrays.array_shapes(min_dims=2, max_dims=2, max_side=6)


@st.composite
def images(draw: st.DrawFn) -> npt.NDArray[Any]:
    """Stored values of any type: a few values that recur, as in a CT, or any that there can be."""
    kind = np.dtype(draw(KINDS))
    limits = np.iinfo(kind)
    any_value = st.integers(int(limits.min), int(limits.max))
    few = draw(st.lists(any_value | st.sampled_from([int(limits.min), int(limits.max)]), min_size=1, max_size=4))
    return draw(arrays.arrays(kind, SHAPE, elements=st.sampled_from(few) | any_value))


@st.composite
def padded(draw: st.DrawFn) -> StoredImage:
    """An image with padding: a value, a range, or one of each beside it."""
    stored = draw(images())
    ends = ends_of(stored)
    cuts = sorted(draw(st.lists(st.sampled_from(sorted(set(stored.ravel().tolist()))), max_size=3)))
    ranges = [(cuts[0], cuts[-1])] if len(cuts) > 1 else [(cut, cut) for cut in cuts]
    free = [value for value in stored.ravel().tolist() if not any(low <= value <= high for low, high in ranges)]
    if free and draw(st.booleans()):
        ranges.append((draw(st.sampled_from(free)),) * 2)
    padding = {(low, high): count_within(stored, ends, low, high) for low, high in ranges}
    return StoredImage(stored, ends, padding, np.float32(draw(SLOPES)), np.float32(draw(INTERCEPTS)))


@given(images(), st.integers(-70_000, 70_000), st.integers(-70_000, 70_000))
def test_values_between_two_limits(stored, low, high) -> None:
    expected = np.count_nonzero((stored.astype(np.int64) >= low) & (stored.astype(np.int64) <= high))
    assert count_within(stored, ends_of(stored), low, high) == expected


@settings(max_examples=300)
@given(padded())
def test_what_is_no_padding(image: StoredImage) -> None:
    values = image.stored.astype(np.int64)
    valid = np.ones(values.shape, dtype=bool)
    for low, high in image.padding:
        valid &= (values < low) | (values > high)
    flags = image.valid(image.stored)
    assert (flags is None) == (not image.padding)
    assert flags is None or (flags == valid).all()
    assert image.size == np.count_nonzero(valid)
    if valid.any():
        assert image.span() == (values[valid].min(), values[valid].max())
    hu = image.stored.astype(np.float32) * image.slope + image.intercept
    for low_hu, high_hu in ((-200.0, 200.0), (-1100.0, 4000.0), (float(hu.min()), float(hu.max()))):
        assert image.count(low_hu, high_hu) == np.count_nonzero((hu[valid] >= low_hu) & (hu[valid] <= high_hu))


@settings(max_examples=200)
@given(padded())
def test_codes_that_are_looked_up(image: StoredImage) -> None:
    for part in (image.stored, image.stored[::2, ::-1]):
        hu = part.astype(np.float32) * image.slope + image.intercept
        assert (_coder(image)(part) == placements.encode(hu, outside(part, image.padding))).all()


def test_without_ranges_nothing_is_left_out() -> None:
    assert outside(np.zeros((2, 2), np.int16), ()) is None


def equal(value: float, expected: float) -> bool:
    return value == expected or (np.isnan(value) and np.isnan(expected))


@settings(max_examples=300)
@given(
    parts=st.lists(st.tuples(images(), SLOPES, INTERCEPTS), min_size=1, max_size=4),
    waiting=st.sampled_from([0, 10, 1 << 18]),
    kinds=st.sampled_from([1, 50, 1 << 16]),
    limit=st.sampled_from([-10.0, 0.0, 1e5]),
)
def test_figures_of_counted_values(parts, waiting, kinds, limit) -> None:
    tally = Tally()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MOST_WAITING", waiting)
        patched.setattr(module, "MOST_KINDS", kinds)
        for stored, slope, intercept in parts:
            tally.add(stored.ravel(), np.float32(slope), np.float32(intercept))
        found = tally.counted()
    values = np.concatenate(
        [
            stored.ravel().astype(np.float32) * np.float32(slope) + np.float32(intercept)
            for stored, slope, intercept in parts
        ]
    )
    assert found is not None
    assert found.size == values.size
    assert found.median == float(np.median(values))
    assert found.upper_quartile == float(np.quantile(values, 0.75))
    assert found.below(limit) == float((values < limit).mean())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("slope", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("intercept", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("stored", [[0, 1, 1, 2], [1, 1, 1], [-1, 0, 0, 0, 3], [-5, -4, 4, 5, 6]])
def test_a_scale_that_is_not_finite(slope: float, intercept: float, stored: list[int]) -> None:
    tally, held = Tally(), np.array(stored, np.int16)
    tally.add(held, np.float32(slope), np.float32(intercept))
    found = tally.counted()
    values = held.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    assert found is not None
    assert equal(found.median, float(np.median(values)))
    assert equal(found.upper_quartile, float(np.quantile(values, 0.75)))
    assert found.below(-10.0) == float((values < -10.0).mean())


def test_nothing_was_counted() -> None:
    tally = Tally()
    tally.add(np.empty(0, np.int16), np.float32(1), np.float32(0))
    assert tally.counted() is None
