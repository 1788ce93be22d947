"""An image turned so that its rows and columns run as another's: each voxel stays where it is."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.geometry.turned import turn_between

ANGLES = st.floats(-3, 3)


def rotation(x: float, y: float, z: float) -> np.ndarray:
    turns = []
    for axis, angle in enumerate((x, y, z)):
        turn = np.eye(3)
        one, other = [place for place in range(3) if place != axis]
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        turns.append(turn)
    return turns[0] @ turns[1] @ turns[2]


def centres(origin: np.ndarray, axes: np.ndarray, spacing: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    down, along = np.mgrid[: size[0], : size[1]]
    return origin + along[..., None] * spacing[1] * axes[:3] + down[..., None] * spacing[0] * axes[3:]


@pytest.mark.parametrize("how", list(product([False, True], repeat=3)))
@given(ANGLES, ANGLES, ANGLES, st.integers(2, 6), st.integers(2, 6))
def test_every_voxel_stays_where_it_is(how: tuple[bool, ...], x: float, y: float, z: float, rows: int, columns: int):
    flips_rows, flips_columns, transposes = how
    axes = rotation(x, y, z)[:2].ravel()
    spacing, size, origin = (0.7, 0.9), (rows, columns), np.array([3.0, -40.0, 7.0])
    stored = centres(origin, axes, spacing, size)
    other = np.concatenate([-axes[:3] if flips_columns else axes[:3], -axes[3:] if flips_rows else axes[3:]])
    if transposes:
        other = np.roll(other, 3)

    turn = turn_between(axes, other, 1e-4)

    assert turn is not None
    assert (turn.flips_rows, turn.flips_columns, turn.transposes) == how
    assert bool(turn) == any(how)
    corner = turn.corners(origin[None], axes, np.array([spacing]), size)[0]
    turned = centres(corner, other, spacing[::-1] if transposes else spacing, size[::-1] if transposes else size)
    shown = stored[::-1] if flips_rows else stored
    shown = shown[:, ::-1] if flips_columns else shown
    np.testing.assert_allclose(turned, shown.swapaxes(0, 1) if transposes else shown, atol=1e-9)


@given(st.floats(0.01, 1.5))
def test_another_angle_is_no_turn(angle: float) -> None:
    axial = [1.0, 0, 0, 0, 1, 0]
    cos, sin = np.cos(angle), np.sin(angle)
    assert turn_between(axial, [cos, sin, 0, -sin, cos, 0], 1e-4) is None
    assert turn_between(axial, [cos, 0, sin, 0, 1, 0], 1e-4) is None
