import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.geometry import placements
from crlm_qc.geometry.placements import Placement

SHAPE = (12, 40, 40)
SPACING = (5.0, 3.0, 3.0)
KINDS = [
    Placement("slices", None, 2),
    Placement("slices", None, -3),
    Placement("rows", None, 4),
    Placement("columns", None, -3),
    Placement("left-right", "image"),
    Placement("front-back", "image"),
    Placement("upside-down", "image"),
    Placement("left-right", "mask"),
    Placement("front-back", "mask"),
    Placement("upside-down", "mask"),
    Placement("turned", "image"),
    Placement("turned", "mask"),
    Placement("transposed", "image"),
]


def organ(noise: float = 15.0, liver: float = 110.0) -> tuple[np.ndarray, np.ndarray]:
    """An image in HU, and the places of an organ in it that no flip leaves as it is."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    mask = ((z - 5) / 4) ** 2 + ((y - 18) / 10) ** 2 + ((x - 14) / 8) ** 2 < 1
    mask &= ~((z > 5) & (y > 20)) & ~((x > 14) & (y < 16)) & ~((z < 4) & (x < 13))
    image = np.full(SHAPE, -100.0)
    image[:, 30:] = 55
    image[mask] = liver
    image += np.random.default_rng(0).normal(0, noise, SHAPE)
    return image.astype(np.float32), np.array(np.nonzero(mask))


def best(image: np.ndarray, places: np.ndarray) -> Placement:
    tried = list(placements.candidates(*SPACING))
    found = placements.fits(placements.encode(image), places, tried)
    # Fat is alike too.
    full = [index for index, fit in enumerate(found) if fit.voxels >= 0.98 * places.shape[1] and fit.median > 0]
    return tried[min(full, key=lambda index: (found[index].spread, found[index].below))]


@pytest.mark.parametrize("liver", [110.0, 30.0])
def test_a_mask_in_its_place_fits_best_there(liver):
    assert best(*organ(liver=liver)) == Placement("stated")


@pytest.mark.parametrize("placement", KINDS, ids=lambda one: f"{one.kind} {one.about or one.shift}")
def test_a_displaced_mask_fits_best_where_it_came_from(placement):
    image, places = organ()
    wrong = placements.laid(places, SHAPE, placement)
    assert best(image, wrong) == Placement(placement.kind, placement.about, -placement.shift)


@given(st.sampled_from([Placement("stated"), *KINDS]), st.integers(0, 10_000))
def test_what_lies_under_a_mask_is_the_image_where_its_voxels_come_to_lie(placement, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, rng.integers(1, 9, 3), np.uint8)
    places, around = (rng.integers(-2, 10, (3, rng.integers(0, 40))) for _ in range(2))
    (fit,) = placements.fits(image, places, [placement], around)
    under = []
    for some in (places, around):
        moved = placements.laid(some, image.shape, placement, places).T
        on = [one for one in moved.tolist() if all(0 <= at < size for at, size in zip(one, image.shape, strict=True))]
        under.append(np.array([code for at in on if (code := image[*at]) != placements.NOTHING], dtype=np.int64))
    assert fit.voxels == under[0].size
    if under[0].size:
        values = np.sort(placements.LOWEST_HU + placements.STEP_HU * (under[0] - 0.5))
        assert fit.median == values[(values.size - 1) // 2]
        assert fit.spread == pytest.approx(np.minimum(np.abs(values - fit.median), placements.CLIP_HU).mean())
        assert fit.below == np.mean(values < placements.BELOW_HU)
    if all(part.size for part in under):
        inside, outside = (np.bincount(part // 8, minlength=32) / part.size for part in under)
        assert fit.alike == pytest.approx(np.minimum(inside, outside).sum())


@given(st.sampled_from(KINDS), st.integers(0, 10_000))
def test_back_and_forth_is_where_it_was(placement, seed):
    places = np.random.default_rng(seed).integers(0, 12, (3, 30))
    there = placements.laid(places, SHAPE, placement)
    back = Placement(placement.kind, placement.about, -placement.shift)
    assert (placements.laid(there, SHAPE, back) == places).all()


def test_figures():
    image = np.array([[[-300.0, 100, 100, 100], [100, 131, 4000, 100]]], dtype=np.float32)
    valid = np.ones(image.shape, bool)
    valid[0, 1, 3] = False
    (found,) = placements.fits(placements.encode(image, valid), np.array(np.nonzero(valid)), [Placement("stated")])
    assert found.voxels == 7
    # Values are known to a step of 2 HU.
    assert found.median == pytest.approx(100, abs=1)
    assert found.spread == pytest.approx((60 + 60 + 31) / 7, abs=0.5)
    assert found.below == pytest.approx(1 / 7)


def test_what_lies_around():
    values = np.array([[[100.0, 100, 100, 20], [100, 100, 20, 20]]], dtype=np.float32)
    inside, around = np.array([[0, 0], [0, 1], [0, 0]]), np.array([[0, 0, 0, 0], [0, 0, 1, 1], [1, 3, 2, 3]])
    stated, aside = placements.fits(
        placements.encode(values), inside, [Placement("stated"), Placement("columns", None, 3)], around
    )
    assert stated.alike == pytest.approx(1 / 4)
    assert np.isnan(aside.alike), "all that lies around it is off the image"
    (alone,) = placements.fits(placements.encode(values), inside, [Placement("stated")])
    assert np.isnan(alone.alike)


def test_around_its_own_middle():
    image = placements.encode(np.arange(16, dtype=np.float32).reshape(1, 1, 16) * 20)
    inside, around = np.array([[0, 0], [0, 0], [4, 7]]), np.array([[0], [0], [8]])
    (found,) = placements.fits(image, inside, [Placement("left-right", "mask")], around)
    # 4 and 7 fall on each other, and 8 on 3.
    assert found.alike == 0.0
    assert (placements.laid(around, image.shape, Placement("left-right", "mask"), inside)[2] == 3).all()


def test_nothing_there():
    image = placements.encode(np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), bool))
    (found,) = placements.fits(image, np.array([[0], [1], [1]]), [Placement("stated")])
    assert found.voxels == 0
    assert np.isnan([found.median, found.spread, found.below]).all()


def test_voxels_beyond_the_image_do_not_count():
    image = placements.encode(np.full((2, 4, 4), 100.0, np.float32))
    places = np.array([[0, 1], [0, 3], [0, 3]])
    found = placements.fits(image, places, [Placement("slices", None, 1), Placement("columns", None, -9)])
    assert [one.voxels for one in found] == [1, 0]


@given(*[st.floats(1e-300, 1e6)] * 3)
def test_candidates_are_few_and_differ(spacing, row, column):
    found = list(placements.candidates(spacing, row, column))
    assert found[0] == Placement("stated")
    assert len(set(found)) == len(found) < 60
