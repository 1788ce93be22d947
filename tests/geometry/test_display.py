"""Directions as letters, and one grid of pixels over another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.geometry.display import Affine, after, grid_to_grid, inverse, letters


@pytest.mark.parametrize(
    ("direction", "said"),
    [
        ((1, 0, 0), "L"),
        ((-1, 0, 0), "R"),
        ((0, 2.5, 0), "P"),
        ((0, -1, 0), "A"),
        ((0, 0, 1), "H"),
        ((0, 0, -1), "F"),
        ((-np.cos(0.2), -np.sin(0.2), 0), "R"),
        ((-np.cos(0.6), -np.sin(0.6), 0), "RA"),
        ((0.1, 0.7, -0.7), "PF"),
        ((0, 0, 0), ""),
        ((np.nan, 0, 0), ""),
    ],
)
def test_letters(direction: tuple[float, float, float], said: str) -> None:
    assert letters(direction) == said


coordinates = st.floats(-300, 300)
points = st.tuples(coordinates, coordinates, coordinates)
angles = st.floats(0, 2 * np.pi)
spacings = st.tuples(st.floats(0.3, 2), st.floats(0.3, 2))


def orientation(yaw: float, pitch: float) -> np.ndarray:
    row = np.array([np.cos(yaw), np.sin(yaw), 0])
    col = np.array([-np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    return np.concatenate([row, col])


def position(
    origin: np.ndarray, axes: np.ndarray, spacing: tuple[float, float], column: float, row: float
) -> np.ndarray:
    """PS3.3 C.7.6.2.1.1."""
    return np.asarray(origin) + axes[:3] * spacing[1] * column + axes[3:] * spacing[0] * row


def at(affine: Affine, column: float, row: float) -> tuple[float, float]:
    a, b, t, d, e, f = affine
    return a * column + b * row + t, d * column + e * row + f


@given(points, spacings, points, spacings, angles, angles, st.floats(0, 1.2), st.floats(0, 511), st.floats(0, 511))
def test_a_pixel_of_one_grid_lies_in_the_other_at_the_same_millimetres(
    origin, spacing, shift, other_spacing, turn, yaw, pitch, column, row
) -> None:
    # The two grids lie in one plane, turned and shifted in it.
    theirs = orientation(yaw, pitch)
    across, down = theirs[:3], theirs[3:]
    own = np.concatenate([np.cos(turn) * across + np.sin(turn) * down, -np.sin(turn) * across + np.cos(turn) * down])
    start = np.asarray(origin) + shift[0] * across + shift[1] * down
    affine = grid_to_grid(start, own, spacing, origin, theirs, other_spacing)
    there = position(np.asarray(origin), theirs, other_spacing, *at(affine, column, row))
    assert there == pytest.approx(position(start, own, spacing, column, row), abs=1e-6)


def test_what_lies_off_the_plane_is_projected() -> None:
    axes = [1, 0, 0, 0, 1, 0]
    assert grid_to_grid((4, 6, 30), axes, (2, 1), (0, 0, 0), axes, (2, 1)) == pytest.approx((1, 0, 4, 0, 1, 3))


numbers = st.floats(-3, 3)


@given(st.tuples(*[numbers] * 6), st.tuples(*[numbers] * 6), numbers, numbers)
def test_one_map_after_another(first: Affine, second: Affine, column: float, row: float) -> None:
    assert at(after(first, second), column, row) == pytest.approx(at(second, *at(first, column, row)), abs=1e-9)


@given(st.floats(0.1, 3), st.floats(-2, 2), angles, numbers, numbers)
def test_there_and_back(scale: float, shift: float, turn: float, column: float, row: float) -> None:
    affine = (scale * np.cos(turn), -np.sin(turn), shift, scale * np.sin(turn), np.cos(turn), -shift)
    back = inverse(affine)
    assert back is not None
    assert at(back, *at(affine, column, row)) == pytest.approx((column, row), abs=1e-6)


def test_no_way_back() -> None:
    assert inverse((1, 1, 0, 1, 1, 0)) is None
    assert inverse((np.nan, 0, 0, 0, 1, 0)) is None
