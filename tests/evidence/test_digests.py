"""The same CT values give the same digest however they are encoded, and other ones another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crlm_qc.evidence.digests import DIGEST_HU, mask_digest, pixel_digest

SHAPE = (3, 5)
HU = arrays.arrays(np.int64, SHAPE, elements=st.integers(*DIGEST_HU))
KINDS = ["<i2", ">i2", "<i4", "<u4"]


def digest(stored, slope: float = 1.0, intercept: float = -1024.0) -> str | None:
    return pixel_digest(stored, slope, intercept)


@settings(max_examples=60, deadline=None)
@given(
    hu=HU,
    kind=st.sampled_from(KINDS),
    slope=st.sampled_from([1.0, 2.0, 0.5, 0.25, 0.1, 0.2, -1.0, -0.5]),
    intercept=st.sampled_from([0.0, -1024.0, -1000.0, -8192.0, 3071.0]),
)
def test_any_encoding_of_the_same_values(hu, kind, slope, intercept) -> None:
    stored = np.rint((hu - intercept) / slope)
    limits = np.iinfo(np.dtype(kind))
    exact = np.abs(stored * slope + intercept - hu).max() < 1e-6
    if exact and stored.min() >= limits.min and stored.max() <= limits.max:
        assert digest(stored.astype(kind), slope, intercept) == digest((hu + 1024).astype("<i2"))


@settings(max_examples=60, deadline=None)
@given(halves=arrays.arrays(np.int64, SHAPE, elements=st.integers(-2048, 6142)))
def test_halves_of_a_unit_fall_on_the_same_side(halves) -> None:
    assert digest((5 * halves).astype("<i4"), 0.1, 0.0) == digest(halves.astype("<i4"), 0.5, 0.0)


@settings(max_examples=60, deadline=None)
@given(hu=HU, row=st.integers(0, 2), column=st.integers(0, 4))
def test_one_pixel_makes_another_digest(hu, row, column) -> None:
    other = hu.copy()
    other[row, column] += 1 if other[row, column] < DIGEST_HU[1] else -1
    assert digest((hu + 1024).astype("<i2")) != digest((other + 1024).astype("<i2")) or hu.max() == hu.min()


def test_padding_and_a_cut_to_twelve_bits_make_no_other() -> None:
    scanner = np.array([[-2000, 40], [1100, 5000]], dtype="<i2")
    assert digest(scanner) == digest(scanner.clip(0, 4095).astype("<u2"))
    # Whatever the intercept, sums beyond 16 bits do not wrap around.
    assert digest(np.array([[-32768, 0, 32767]], dtype="<i2"), 1.0, -1024.0) == digest(
        np.array([[0, 0, 4095]], dtype="<u2")
    )


@pytest.mark.parametrize("intercept", [1e308, -1e308, 1e19, -70_000.0, 2.0**40])
def test_an_intercept_beyond_all_values_leaves_none(intercept: float) -> None:
    assert digest(np.array([[-5, 700]], dtype="<i2"), 1.0, intercept) is None


@pytest.mark.parametrize("values", [[[7, 7]], [[-2000, -1]]])
def test_a_slice_of_one_value_has_none(values) -> None:
    assert digest(np.array(values, dtype="<i2")) is None


def test_masks() -> None:
    one, other = np.eye(8, dtype=np.uint8), np.ones((8, 8), dtype=np.uint8)
    assert mask_digest([one]) == mask_digest([one.copy()])
    assert len({mask_digest(planes) for planes in ([one], [other], [one, other], [other, one])}) == 4


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 5000.0), (-1.0, -2000.0), (20.0, 4000.0)])
def test_values_that_nearly_all_lie_beyond_ct_have_none(slope: float, intercept: float) -> None:
    stored = np.random.default_rng(3).integers(0, 2000, (64, 64)).astype(np.int16)
    assert pixel_digest(stored, slope, intercept) is None
    assert pixel_digest(stored, 1.0, -1024.0) is not None
