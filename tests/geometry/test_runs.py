import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crlm_qc.geometry import masks, runs
from crlm_qc.geometry.masks import Box

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 140))
VOLUMES = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1)).filter(np.any)
SOLID = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1), fill=st.just(1)).filter(np.any)


def box_of(volume: np.ndarray) -> Box:
    box = masks.bounds(masks.union(list(masks.pack(volume))))
    assert box is not None
    return box


def laid(volume: np.ndarray) -> np.ndarray:
    return runs.laid(list(masks.pack(volume)), range(len(volume)), Box(0, volume.shape[1] - 1, 0, volume.shape[2] - 1))


@given(VOLUMES, st.integers(0, 3))
def test_planes_are_laid_at_their_places(volume, gap):
    box, places = box_of(volume), [index * (gap + 1) for index in range(len(volume))]
    found = runs.laid(list(masks.pack(volume)), places, box)
    voxels = np.unpackbits(found, axis=-1, bitorder="little")
    start, (height, width) = box.column_min % 8, box.shape
    np.testing.assert_array_equal(voxels[places, :height, start : start + width], volume[:, *box.slices])
    assert voxels.sum() == volume[:, box.slices[0], : box.column_min + width].sum()
    assert not voxels[:, -1].any()
    assert not voxels[..., -1].any()


@settings(deadline=None)
@given(VOLUMES | SOLID, st.integers(1, 200), st.sampled_from([1, 64, 1 << 40]))
def test_rows_and_components_agree_with_the_unpacked_voxels(volume, at_once, fewest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_AT_ONCE", at_once)
        patch.setattr(runs, "_FEWEST_BITS", fewest)
        found = runs.rows_of(laid(volume))
    for at in np.ndindex(volume.shape[:2]):
        columns = np.flatnonzero(volume[at])
        expected = (columns[0], columns[-1]) if columns.size else (0, -1)
        assert (found.first[at], found.last[at]) == expected
    _, down, across = np.nonzero(volume)
    assert (found.down, found.across) == (down.sum(), across.sum())
    assert (found.runs is None) <= (fewest > 1)
    if found.runs is not None:
        sizes = np.bincount(cc3d.connected_components(volume, connectivity=6).ravel())[1:]
        assert sorted(found.runs.sizes()) == sorted(sizes)


def test_voxels_of_neighbouring_rows_and_planes_alone_touch():
    volume = np.zeros((2, 2, 64), dtype=np.uint8)
    volume[0, 0, 63] = volume[0, 1, 0] = volume[1, 0, 0] = 1
    found = runs.rows_of(laid(volume)).runs
    assert found is not None
    assert found.sizes().tolist() == [1, 1, 1]


def test_a_long_winding_segment_is_one_component():
    volume = np.zeros((1, 41, 61), dtype=np.uint8)
    volume[0, ::2] = 1
    volume[0, 1::4, -1] = volume[0, 3::4, 0] = 1
    found = runs.rows_of(laid(volume)).runs
    assert found is not None
    assert found.sizes().tolist() == [volume.sum()]


def between(volume: np.ndarray) -> np.ndarray:
    """Voxels that are not set and have set ones on both sides along each axis."""
    found = volume == 0
    for axis in range(3):
        for flipped in (volume, np.flip(volume, axis)):
            seen = np.maximum.accumulate(flipped, axis=axis)
            found &= (seen if flipped is volume else np.flip(seen, axis)) > 0
    return found


@given(VOLUMES | SOLID)
def test_what_may_be_enclosed(volume):
    packed = laid(volume)
    assert runs.may_enclose(packed, runs.rows_of(packed)) == between(volume).any()
