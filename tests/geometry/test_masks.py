import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crlm_qc.geometry import masks
from crlm_qc.geometry.masks import Box

VOLUMES = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 21)), elements=st.integers(0, 1)
)


def native(volume: np.ndarray) -> bytes:
    """Pixel Data with Bits Allocated 1: frames follow each other bit by bit."""
    return np.packbits(volume.ravel(), bitorder="little").tobytes()


def whole(volume: np.ndarray) -> Box:
    return Box(0, volume.shape[1] - 1, 0, volume.shape[2] - 1)


def ends(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the first and the last voxel of every row; the last is -1 for a row without any."""
    columns = np.arange(volume.shape[2])
    return volume.argmax(axis=2), np.where(volume > 0, columns, -1).max(axis=2)


@given(VOLUMES)
def test_frames_of_any_width_unpack_to_what_was_packed(volume):
    planes = masks.planes_from_pixel_data(native(volume), *volume.shape)
    np.testing.assert_array_equal(masks.unpack(planes, whole(volume)), volume)
    np.testing.assert_array_equal(planes, masks.pack(volume))


@given(VOLUMES)
def test_counts_agree_with_the_unpacked_mask(volume):
    planes = masks.pack(volume)
    assert masks.count(planes) == volume.sum()
    np.testing.assert_array_equal([masks.count(plane) for plane in planes], volume.sum(axis=(1, 2)))


@given(VOLUMES)
def test_bounds_are_the_smallest_rectangle(volume):
    box = masks.bounds(masks.pack(volume[0]))
    rows, columns = np.nonzero(volume[0])
    if not rows.size:
        assert box is None
        return
    assert box == Box(rows.min(), rows.max(), columns.min(), columns.max())
    cut = volume[:, box.row_min : box.row_max + 1, box.column_min : box.column_max + 1]
    np.testing.assert_array_equal(masks.unpack(masks.pack(volume), box), cut)


@given(st.data(), st.integers(1, 9), st.integers(1, 40))
def test_union_and_overlap(data, rows, columns):
    bits = hnp.arrays(np.uint8, (3, rows, columns), elements=st.integers(0, 1))
    volume = data.draw(bits)
    planes = list(masks.pack(volume))
    joined = masks.union(planes)
    np.testing.assert_array_equal(masks.unpack(joined, Box(0, rows - 1, 0, columns - 1)), volume.any(axis=0))
    assert masks.overlap(planes[0], planes[1]) == (volume[0] & volume[1]).sum()


def test_union_leaves_its_planes_alone():
    planes = [np.array([[1]], np.uint8), np.array([[2]], np.uint8), np.array([[4]], np.uint8)]
    assert masks.union(planes)[0, 0] == 7
    assert [int(plane[0, 0]) for plane in planes] == [1, 2, 4]


def test_whole_byte_rows_are_a_view():
    buffer = bytes(2 * 16 * 2)
    assert not masks.planes_from_pixel_data(buffer, 2, 16, 16).flags.owndata


def test_surplus_bytes_are_left_alone_and_too_few_are_refused():
    assert masks.planes_from_pixel_data(b"\xff" * 9, 1, 8, 8).shape == (1, 8, 1)
    with pytest.raises(ValueError, match="too few"):
        masks.planes_from_pixel_data(b"\xff" * 7, 1, 8, 8)


def test_first_bit_is_the_leftmost_voxel():
    planes = masks.planes_from_pixel_data(b"\x01\x80", 1, 2, 8)
    np.testing.assert_array_equal(np.argwhere(masks.unpack(planes, Box(0, 1, 0, 7))[0]), [[0, 0], [1, 7]])


def farthest(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[:, None] - points[None, :], axis=-1).max())


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6)), elements=st.integers(0, 1)
    ),
    st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 3.0])] * 3),
)
def test_diameters_are_those_of_the_farthest_voxel_corners(volume, spacing):
    planes = [index for index in range(len(volume)) if volume[index].any()]
    if not planes:
        return
    thickness, row, col = spacing
    corners = np.array([[k, r, c] for k in (0, 1) for r in (0, 1) for c in (0, 1)])
    points = (np.argwhere(volume)[:, None] + corners).reshape(-1, 3) * spacing
    in_plane = max(
        farthest((np.argwhere(volume[index])[:, None] + corners[:4, 1:]).reshape(-1, 2) * (row, col))
        for index in planes
    )
    shift = np.array([[2.0 * index, -1.0 * index] for index in planes])
    reaches = masks.supports(*ends(volume[planes]), row, col)
    along = np.array(planes) * thickness
    axial, whole = masks.diameters(reaches, np.zeros((len(planes), 2)), along, thickness)
    assert axial == pytest.approx(in_plane, rel=2e-4)
    assert whole == pytest.approx(farthest(points), rel=2e-4)
    sheared, _ = masks.diameters(reaches, shift, along, thickness)
    assert sheared == pytest.approx(axial)


@settings(max_examples=60, deadline=None)
@given(VOLUMES, st.tuples(*[st.sampled_from([0.5, 0.78125, 3.0])] * 2), st.integers(1, 40))
def test_planes_reach_as_far_as_their_farthest_voxel_corner(volume, spacing, at_once):
    held = volume[volume.any(axis=(1, 2))]
    if not len(held):
        return
    shift = int(np.flatnonzero(held.any(axis=(0, 1)))[0])
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    angles = np.arange(masks.N_ANGLES) * (2 * np.pi / masks.N_ANGLES)
    expected = []
    for plane in held:
        down, across = ((np.argwhere(plane)[:, None] + corners).reshape(-1, 2) - (0, shift)).T
        reaches = np.outer(across * spacing[1], np.cos(angles)) + np.outer(down * spacing[0], np.sin(angles))
        expected.append(reaches.max(axis=0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "_ROWS_AT_ONCE", at_once)
        np.testing.assert_allclose(masks.supports(*ends(held[..., shift:]), *spacing), expected, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 30), st.sampled_from([0.0, 5.0, 400.0]))
def test_the_farthest_planes_are_those_of_all_pairs(data, n, tilt):
    reaches = data.draw(hnp.arrays(np.float64, (n, masks.N_ANGLES), elements=st.floats(1, 50)))
    along = np.sort(data.draw(hnp.arrays(np.float64, n, elements=st.floats(0, 100))))
    origins = np.outer(along, [tilt, -1.0])
    angles = np.arange(masks.N_ANGLES) * (2 * np.pi / masks.N_ANGLES)
    placed = reaches + origins @ np.stack([np.cos(angles), np.sin(angles)])
    pairs = [
        float(np.hypot((one + np.roll(other, masks.N_ANGLES // 2)).max(), abs(there - here) + 2.5))
        for one, here in zip(placed, along, strict=True)
        for other, there in zip(placed, along, strict=True)
    ]
    assert masks.diameters(reaches, origins, along, 2.5)[1] == max(pairs)


@given(VOLUMES)
def test_a_rim_is_what_a_mask_would_grow_by(volume):
    padded = np.pad(volume[0], 1)
    grown = np.zeros_like(padded)
    for axis in (0, 1):
        grown |= np.roll(padded, 1, axis) | np.roll(padded, -1, axis)
    expected = (grown & (1 - padded))[1:-1, 1:-1]
    found = masks.rim(masks.pack(volume[0]), volume.shape[2])
    np.testing.assert_array_equal(masks.unpack(found, whole(volume)), expected)
    assert masks.count(found) == expected.sum()


def test_around():
    mask = np.zeros((2, 5, 6), bool)
    mask[0, 2, 2] = True
    found = masks.around(mask, 2)
    distance = np.abs(np.arange(5)[:, None] - 2) + np.abs(np.arange(6) - 2)
    assert (found[0] == ((distance > 0) & (distance <= 2))).all()
    assert not found[1].any()
    assert mask.sum() == 1
