"""How bits are packed: by lengths, and by outlines of masks that are round, ragged, blocky or thin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.geometry.packing import BOTH, REVERSED, SWAPPED, bit_order, layout_of_length

REVERSE = np.array([int(f"{value:08b}"[::-1], 2) for value in range(256)], np.uint8)
small = st.integers(1, 70)


def balls(rows: int, columns: int, count: int, seed: int) -> np.ndarray:
    """Round masks of all sizes at random places, shape (count, rows, columns)."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:rows, :columns]
    reach = rng.uniform(rows / 4, rows / 2 - 2, count)
    return np.array(
        [
            (down - rng.uniform(radius + 1, rows - radius - 1)) ** 2
            + (across - rng.uniform(radius + 1, columns - radius - 1)) ** 2
            < radius**2
            for radius in reach
        ]
    )


def packed(masks: np.ndarray) -> np.ndarray:
    content = np.packbits(masks.ravel(), bitorder="little")
    return np.pad(content, (0, len(content) % 2))


ORDERS = {
    REVERSED: lambda data: REVERSE[data],
    SWAPPED: lambda data: data.reshape(-1, 2)[:, ::-1].ravel(),
    BOTH: lambda data: REVERSE[data.reshape(-1, 2)[:, ::-1].ravel()],
}


@pytest.mark.parametrize("order", ORDERS)
@given(rows=st.integers(48, 80), wider=st.integers(0, 40), seed=st.integers(0, 999))
def test_another_order_is_found_and_named(order: str, rows: int, wider: int, seed: int) -> None:
    data = packed(balls(rows, rows + wider, 20, seed))
    assert bit_order(data) is None
    found = bit_order(ORDERS[order](data))
    assert found is not None
    assert found.order == order
    assert found.stored >= 3 * found.mended


@given(seed=st.integers(0, 999), density=st.floats(0.001, 0.999))
def test_noise_has_no_order(seed: int, density: float) -> None:
    noise = np.random.default_rng(seed).random((4, 40, 64)) < density
    assert bit_order(packed(noise)) is None


@pytest.mark.parametrize("block", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("offset", range(0, 16, 3))
def test_blocks_and_stripes_are_none(block: int, offset: int) -> None:
    coarse = balls(32, 32, 8, block) if block < 32 else np.indices((8, 32, 32)).sum(axis=0) % 2 > 0
    fine = np.roll(coarse.repeat(block, axis=1).repeat(block, axis=2), offset, axis=2)
    assert bit_order(packed(fine)) is None
    # Thin lines, each of another column, and the same at the edges of bytes alone.
    lines = np.zeros((4, 64, 128), bool)
    lines[:, :, offset::block] = True
    assert bit_order(packed(lines)) is None


def test_a_few_voxels_say_nothing() -> None:
    mask = np.zeros((1, 16, 16), bool)
    mask[0, 4:10, 5:11] = True
    assert bit_order(REVERSE[packed(mask)]) is None
    assert bit_order(b"") is None


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), small, small, st.sampled_from([1, 8, 16]))
def test_the_length_of_the_standard_is_no_other(runs: list[int], rows: int, columns: int, bits: int) -> None:
    needed = -(-sum(runs) * rows * columns * bits // 8)
    assert layout_of_length(needed, runs, rows, columns, bits) is None
    assert layout_of_length(needed + needed % 2, runs, rows, columns, bits) is None


@pytest.mark.parametrize(
    ("length", "runs", "size", "layout"),
    [
        (100 * 529, [60, 40], (65, 65, 1), "frames-in-bytes"),
        (6 * 1585, [3] * 6, (65, 65, 1), "segments-in-bytes"),
        (100 * 530, [60, 40], (65, 65, 1), "frames-in-words"),
        (100 * 65 * 9, [60, 40], (65, 65, 1), "rows-in-bytes"),
        (100 * 65 * 65, [60, 40], (65, 65, 1), "bytes-for-bits"),
        (100 * 64 * 64, [60, 40], (64, 64, 1), "bytes-for-bits"),
        (100 * 64 * 64 // 8, [60, 40], (64, 64, 8), "bits-for-bytes"),
        (100 * 4226, [60, 40], (65, 65, 8), "frames-in-words"),
        (99 * 512, [60, 40], (64, 64, 1), None),
        (100 * 512 + 2, [60, 40], (64, 64, 1), None),
        (10, [], (64, 64, 1), None),
        (10, [4], (0, 64, 1), None),
    ],
)
def test_a_length_that_fits_another_layout(
    length: int, runs: list[int], size: tuple[int, int, int], layout: str | None
) -> None:
    assert layout_of_length(length, runs, *size) == layout
