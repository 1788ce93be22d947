import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.geometry import borders, placements
from crlm_qc.geometry.borders import PARTS, Faces

N = 60
SPACING = 1.0


def lines(low: int, high: int, noise: float, seed: int, *, inside: float = 110.0, outside: float = 50.0) -> np.ndarray:
    """Codes of lines on which an organ reaches from `low` to `high`."""
    values = np.full((200, N), outside, np.float32)
    values[:, low:high] = inside
    values += np.random.default_rng(seed).normal(0, noise, values.shape)
    return placements.encode(values)


def measured(mask: np.ndarray, values: np.ndarray) -> borders.Border:
    faces = Faces.along(SPACING)
    beyond = ((0, 0), (faces.reach + 1, faces.reach + 1))
    faces.add(mask, np.pad(values, beyond, constant_values=placements.NOTHING))
    (found,) = borders.measured([faces])
    return found


def drawn(low: int, high: int) -> np.ndarray:
    mask = np.zeros((200, N), bool)
    mask[:, low:high] = True
    return mask


@given(st.integers(-5, 5), st.integers(-3, 3), st.floats(0, 25), st.integers(0, 1000))
def test_moved_and_widened_masks(moved: int, wide: int, noise: float, seed: int) -> None:
    found = measured(drawn(20 + moved - wide, 40 + moved + wide), lines(20, 40, noise, seed))
    assert found.shift == pytest.approx(-moved, abs=0.5)
    assert (found.low.border + found.high.border) / 2 == pytest.approx(-wide, abs=0.6)
    assert len(found.low.parts) == PARTS
    if moved:
        assert found.least == pytest.approx(abs(moved), abs=1)


def test_where_both_look_alike_nothing_is_told() -> None:
    found = measured(drawn(20, 40), lines(20, 40, 15, 0, outside=110.0))
    assert min(found.low.told, found.high.told) < 0.2


def test_the_end_of_the_image_is_no_border() -> None:
    found = measured(drawn(1, 40), lines(0, 40, 5, 0))
    assert (found.low.faces, found.high.faces) == (0, 200)
    assert np.isnan([found.low.border, found.low.told, found.shift, found.least]).all()
    assert found.high.border == pytest.approx(0, abs=0.1)


def test_padding_says_nothing() -> None:
    values = lines(20, 40, 5, 0)
    values[:, 40:] = placements.NOTHING
    assert measured(drawn(20, 40), values).high.faces == 0


def test_no_faces() -> None:
    found = measured(np.zeros((3, N), bool), lines(20, 40, 5, 0)[:3])
    assert (found.low.faces, found.high.faces) == (0, 0)
    assert np.isnan(found.shift)


@given(st.floats(1e-300, 1e6))
def test_reach_is_bounded(spacing: float) -> None:
    assert 3 <= Faces.along(spacing).reach <= 24
