"""Random rigid lattices are regular; each single fault is told by its name; nothing below the tolerances is."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.geometry.lattice import gap_tolerance
from crlm_qc.geometry.stack import Stack, fit, measure, spacing_along, unit_normal
from crlm_qc.model.tolerances import Tolerances

TOLERANCES = Tolerances()
AXIAL = (np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))


def is_regular(stack: Stack) -> bool:
    """Whether nothing is wrong with the stack."""
    return not (stack.duplicates or stack.missing or stack.uneven or stack.displaced or stack.sheared)


@dataclass(frozen=True)
class Lattice:
    positions: np.ndarray
    row: np.ndarray
    col: np.ndarray
    spacing: float

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.col)

    def fit(self, positions: np.ndarray | None = None) -> Stack:
        return fit(self.positions if positions is None else positions, self.row, self.col, TOLERANCES)

    def sorted_along(self) -> np.ndarray:
        return np.argsort(self.positions @ self.normal)


def faults(stack: Stack) -> set[str]:
    return {name for name in ("duplicates", "missing", "uneven", "displaced", "sheared") if getattr(stack, name)}


def rounded(values: np.ndarray) -> np.ndarray:
    """As DS text of six decimals holds them."""
    return np.array([[float(f"{value:.6f}") for value in row] for row in values])


@st.composite
def lattices(draw: st.DrawFn, least: int = 2) -> Lattice:
    """A rigid lattice: any spacing and orientation (supine, prone, oblique), cropped, in any order."""
    n = draw(st.integers(least, 40))
    spacing = draw(st.floats(0.5, 10.0))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["supine", "prone", "oblique"]))
    if kind == "oblique":
        row, col = np.linalg.qr(random.normal(size=(3, 2)))[0].T
    else:
        sign = 1.0 if kind == "supine" else -1.0
        row, col = sign * AXIAL[0], sign * AXIAL[1]
    normal = np.cross(row, col)
    origin = random.uniform(-500, 500, size=3)
    crop = draw(st.integers(0, 100))
    positions = origin + np.outer((crop + np.arange(n)) * spacing, normal)
    order = draw(st.sampled_from(["up", "down", "shuffled"]))
    if order == "down":
        positions = positions[::-1]
    elif order == "shuffled":
        positions = random.permutation(positions)
    return Lattice(rounded(positions), *rounded(np.array([row, col])), spacing)


@given(lattices(least=1))
def test_a_rigid_lattice_is_regular(lattice: Lattice) -> None:
    stack = lattice.fit()
    assert is_regular(stack)
    assert stack.order.tolist() == lattice.sorted_along().tolist()
    figures = measure(lattice.positions, lattice.row, lattice.col, TOLERANCES)
    assert figures.shear < TOLERANCES.position_mm
    if len(lattice.positions) > 1:
        assert stack.spacing == pytest.approx(lattice.spacing, abs=1e-5)
        assert figures.spacing == pytest.approx(lattice.spacing, abs=1e-5)
        assert figures.spacing_min == pytest.approx(figures.spacing_max, abs=1e-5)
        assert figures.last - figures.first == pytest.approx((len(lattice.positions) - 1) * lattice.spacing, abs=1e-4)


@given(lattices())
def test_slices_map_to_whole_indices(lattice: Lattice) -> None:
    stack = lattice.fit()
    index, in_plane, along = stack.index_of(lattice.positions)
    assert np.sort(index) == pytest.approx(np.arange(len(index)))
    assert np.abs(in_plane).max() < 1e-5
    assert np.abs(along).max() < 1e-5
    assert stack.plane_of(np.arange(len(index))).tolist() == np.round(index).astype(int).tolist()


@given(lattices(), st.integers(-5, 45), st.floats(-0.4, 0.4), st.floats(0, 30))
def test_points_map_inside_and_outside(lattice: Lattice, whole: int, part: float, sideways: float) -> None:
    stack = lattice.fit()
    lowest = lattice.positions[lattice.sorted_along()[0]]
    point = lowest + (whole + part) * lattice.spacing * lattice.normal + sideways * lattice.row
    index, in_plane, along = stack.index_of(point)
    assert index[0] == pytest.approx(whole + part, abs=1e-3)
    assert in_plane[0] == pytest.approx(sideways, abs=1e-2)
    assert along[0] == pytest.approx(part * lattice.spacing, abs=1e-2)


@given(lattices(least=5), st.data())
def test_missing_slices_are_counted_between_their_neighbours(lattice: Lattice, data: st.DataObject) -> None:
    n = len(lattice.positions)
    run = data.draw(st.integers(1, min(3, n - 4)))
    start = data.draw(st.integers(1, n - run - 1))
    ascending = lattice.sorted_along()
    gone = set(ascending[start : start + run].tolist())
    kept = [index for index in range(n) if index not in gone]
    stack = lattice.fit(lattice.positions[kept])
    (gap,) = stack.missing
    assert gap.missing == stack.n_missing == run
    assert (kept[gap.below], kept[gap.above]) == (ascending[start - 1], ascending[start + run])
    assert faults(stack) == {"missing"}
    index, _, along = stack.index_of(lattice.positions)
    assert np.sort(np.round(index)).tolist() == list(range(n))
    assert np.abs(along).max() < 1e-4


@given(lattices(least=3), st.data())
def test_a_doubled_slice_is_a_duplicate_alone(lattice: Lattice, data: st.DataObject) -> None:
    n = len(lattice.positions)
    which = data.draw(st.integers(0, n - 1))
    stack = lattice.fit(np.concatenate([lattice.positions, lattice.positions[[which]]]))
    assert stack.duplicates == ((which, n),)
    assert stack.n_surplus == 1
    assert faults(stack) == {"duplicates"}
    assert stack.plane_of([which]) == stack.plane_of([n])


@given(lattices(least=5), st.floats(1.1, 40.0), st.sampled_from([-1, 1]), st.data())
def test_an_uneven_slice_is_named(lattice: Lattice, factor: float, sign: int, data: st.DataObject) -> None:
    tolerance = gap_tolerance(lattice.spacing, TOLERANCES)
    move = min(factor * tolerance, lattice.spacing / 2)
    which = data.draw(st.integers(0, len(lattice.positions) - 1))
    positions = lattice.positions.copy()
    positions[which] += sign * move * lattice.normal
    stack = lattice.fit(positions)
    assert stack.off_lattice == (which,)
    assert all(which in (gap.below, gap.above) for gap in stack.uneven)
    assert faults(stack) == {"uneven"}


@given(lattices(least=5), st.floats(0.0, 0.9), st.integers(0, 39))
def test_below_the_tolerances_nothing_is_named(lattice: Lattice, part: float, which: int) -> None:
    which %= len(lattice.positions)
    positions = lattice.positions.copy()
    positions[which] += part * gap_tolerance(lattice.spacing, TOLERANCES) * lattice.normal
    positions[which] += part * TOLERANCES.shear_mm * lattice.row
    assert is_regular(lattice.fit(positions))


@given(lattices(least=3), st.floats(1.1, 200.0))
def test_a_tilted_gantry_shears_and_nothing_else(lattice: Lattice, factor: float) -> None:
    along = lattice.positions @ lattice.normal
    extent = along.max() - along.min()
    drift = factor * TOLERANCES.shear_mm
    positions = lattice.positions + np.outer((along - along.min()) / extent * drift, lattice.col)
    stack = lattice.fit(positions)
    assert stack.drift == pytest.approx(drift, rel=1e-2)
    assert stack.tilt == pytest.approx(np.degrees(np.arctan(drift / extent)), rel=1e-2)
    assert faults(stack) == {"sheared"}
    index, in_plane, _ = stack.index_of(positions)
    assert np.sort(index) == pytest.approx(np.arange(len(index)), abs=1e-4)
    assert in_plane.max() < 1e-4


@given(lattices(least=5), st.floats(1.1, 100.0), st.data())
def test_a_slice_put_sideways_is_named(lattice: Lattice, factor: float, data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(lattice.positions) - 1))
    positions = lattice.positions.copy()
    positions[which] += factor * TOLERANCES.shear_mm * lattice.row
    stack = lattice.fit(positions)
    assert stack.displaced == (which,)
    assert faults(stack) == {"displaced"}


def axial(*heights: float) -> np.ndarray:
    return np.array([[-200.0, -180.0, height] for height in heights])


def test_mixed_faults_are_told_apart() -> None:
    # A doubled slice (2 and 3), one missing after 4, one uneven (7), and two missing before the last.
    heights = [0, 5, 10, 10, 15, 25, 30, 37, 40, 45, 50, 65]
    stack = fit(axial(*heights), *AXIAL, TOLERANCES)
    assert stack.spacing == 5
    assert stack.duplicates == ((2, 3),)
    assert [(gap.below, gap.above, gap.missing) for gap in stack.missing] == [(4, 5, 1), (10, 11, 2)]
    assert [(gap.below, gap.above, gap.size) for gap in stack.uneven] == [(6, 7, 7.0), (7, 8, 3.0)]
    assert stack.off_lattice == (7,)


def test_half_a_stack_shifted_has_one_uneven_gap() -> None:
    stack = fit(axial(0, 5, 10, 15, 22.5, 27.5, 32.5), *AXIAL, TOLERANCES)
    assert [(gap.below, gap.above) for gap in stack.uneven] == [(3, 4)]
    assert stack.off_lattice == (4, 5, 6)
    assert stack.index_of(axial(22.5))[2] == pytest.approx([0.0])


def test_more_gaps_than_spacings_still_find_the_spacing() -> None:
    stack = fit(axial(0, 5, 15, 20, 30, 35, 45), *AXIAL, TOLERANCES)
    assert stack.spacing == 5
    assert stack.n_missing == 3
    assert not stack.uneven


def test_three_slices_with_one_missing() -> None:
    assert [gap.missing for gap in fit(axial(0, 5, 15), *AXIAL, TOLERANCES).missing] == [1]


def test_positions_that_are_missing_are_left_out() -> None:
    positions = axial(0, 5, 10, 15)
    positions[1] = np.nan
    stack = fit(positions, *AXIAL, TOLERANCES)
    assert stack.order.tolist() == [0, 2, 3]
    assert stack.n_missing == 1
    assert measure(positions, *AXIAL, TOLERANCES).last == 15


def test_no_slice_and_one_slice() -> None:
    none = fit(np.empty((0, 3)), *AXIAL, TOLERANCES)
    assert is_regular(none)
    assert np.isnan(none.last_index)
    assert np.isnan(none.index_of(axial(3))[0]).all()
    assert none.nearest_plane(axial(3))[0].tolist() == [-1]
    one = fit(axial(7), *AXIAL, TOLERANCES)
    assert is_regular(one)
    assert one.last_index == 0
    index, _, _ = one.index_of(axial(7, 8))
    assert index[0] == 0
    assert np.isnan(index[1])
    figures = measure(axial(7), *AXIAL, TOLERANCES)
    assert (figures.first, figures.last, figures.shear) == (7, 7, 0)
    assert np.isnan(figures.spacing)
    assert np.isnan(measure(np.empty((0, 3)), *AXIAL, TOLERANCES).first)


def test_two_slices_at_one_position_have_no_spacing() -> None:
    stack = fit(axial(7, 7), *AXIAL, TOLERANCES)
    assert stack.duplicates == ((0, 1),)
    assert np.isnan(stack.spacing)
    figures = measure(axial(7, 7), *AXIAL, TOLERANCES)
    assert np.isnan(figures.spacing)
    assert (figures.spacing_min, figures.spacing_max) == (0, 0)


def test_directions_without_a_plane() -> None:
    assert np.isnan(unit_normal((1, 0, 0), (1, 0, 0))).all()
    assert np.isnan(measure(axial(0, 5), (1, 0, 0), (np.nan, 0, 0), TOLERANCES).spacing)
    with pytest.raises(ValueError, match="no plane"):
        fit(axial(0, 5), (1, 0, 0), (2, 0, 0), TOLERANCES)


def test_the_nearest_plane_skips_what_is_missing() -> None:
    stack = fit(axial(0, 5, 10, 20), *AXIAL, TOLERANCES)
    rank, distance = stack.nearest_plane(np.vstack([axial(-1, 4, 16, 20), [[np.nan, 0, 0]]]))
    assert rank.tolist() == [0, 1, 3, 3, -1]
    assert distance[:4] == pytest.approx([-1, -1, -4, 0])


def test_tolerances_are_those_that_are_passed() -> None:
    positions = axial(0, 5, 10.2, 15, 20)
    assert not is_regular(fit(positions, *AXIAL, TOLERANCES))
    assert is_regular(fit(positions, *AXIAL, TOLERANCES.replaced({"spacing_mm": 0.5})))
    positions = axial(0, 5, 10, 15, 22)
    assert measure(positions, *AXIAL, TOLERANCES).spacing == 5
    assert measure(positions, *AXIAL, TOLERANCES.replaced({"spacing_mm": 2.5})).spacing == pytest.approx(5.4)


@given(
    st.lists(st.floats(-500, 500).map(lambda height: round(height, 2)), max_size=12),
    st.sampled_from([0.001, 0.01, 0.5, 2.0]),
    st.sampled_from([0.001, 0.01, 0.5, 2.0]),
    st.sampled_from([0.0, 0.01, 0.2]),
)
def test_the_spacing_is_the_same_whoever_asks(
    heights: list[float], position: float, spacing: float, fraction: float
) -> None:
    tolerances = TOLERANCES.replaced({"position_mm": position, "spacing_mm": spacing, "spacing_fraction": fraction})
    positions = axial(*heights) if heights else np.empty((0, 3))
    judged = fit(positions, *AXIAL, tolerances).spacing
    assert np.array_equal([measure(positions, *AXIAL, tolerances).spacing], [judged], equal_nan=True)
    assert np.array_equal([spacing_along(positions, (0, 0, 1), tolerances)], [judged], equal_nan=True)


@st.composite
def rounded_stacks(draw: st.DrawFn, least: int = 8, thinnest: float = 0.5) -> tuple[np.ndarray, float, float]:
    """Heights of a lattice rounded to one or two decimals, its spacing, and the decimals' unit."""
    n = draw(st.integers(least, 60))
    decimals = draw(st.integers(1, 2))
    spacing = draw(st.floats(thinnest, 8.0))
    first = draw(st.floats(-900, 900))
    return np.round(first + spacing * np.arange(n), decimals), spacing, 10.0**-decimals


@given(rounded_stacks(least=2))
def test_rounded_positions_are_those_of_a_lattice(stack: tuple[np.ndarray, float, float]) -> None:
    heights, spacing, unit = stack
    found = fit(axial(*heights), *AXIAL, TOLERANCES)
    assert is_regular(found)
    assert abs(found.spacing - spacing) <= 1.6 * unit / (len(heights) - 1)
    assert measure(axial(*heights), *AXIAL, TOLERANCES).spacing == pytest.approx(found.spacing)
    assert spacing_along(axial(*heights), (0, 0, 1), TOLERANCES) == pytest.approx(found.spacing)
    assert np.sort(found.index_of(axial(*heights))[0]) == pytest.approx(np.arange(len(heights)))


@given(rounded_stacks(), st.data())
def test_a_slice_missing_among_rounded_ones_is_named(
    stack: tuple[np.ndarray, float, float], data: st.DataObject
) -> None:
    heights, _, _ = stack
    gone = data.draw(st.integers(1, len(heights) - 2))
    found = fit(axial(*np.delete(heights, gone)), *AXIAL, TOLERANCES)
    assert faults(found) == {"missing"}
    assert [(gap.below, gap.missing) for gap in found.missing] == [(gone - 1, 1)]


@given(rounded_stacks(least=10, thinnest=0.8), st.floats(0.0, 1.0), st.data())
def test_an_uneven_slice_among_rounded_ones_is_named(
    stack: tuple[np.ndarray, float, float], part: float, data: st.DataObject
) -> None:
    heights, spacing, unit = stack
    # Half millimetres with two decimals look as if they were rounded to one; a gap of rounded positions is off by one unit.
    least = min(3.2 * max(0.1, gap_tolerance(spacing, TOLERANCES)), spacing / 2)
    which = data.draw(st.integers(0, len(heights) - 1))
    heights[which] = np.round(heights[which] + least + part * (spacing / 2 - least), round(-np.log10(unit)))
    found = fit(axial(*heights), *AXIAL, TOLERANCES)
    assert found.off_lattice == (which,)
    assert faults(found) == {"uneven"}


@pytest.mark.parametrize("which", range(10))
def test_an_uneven_slice_hides_no_rounding_of_others(which: int) -> None:
    heights = np.array([1.2, 2.5, 3.8, 5.0, 6.2, 7.5, 8.8, 10.0, 11.2, 12.5])
    heights[which] += 0.3
    assert fit(axial(*heights), *AXIAL, TOLERANCES).off_lattice == (which,)


@pytest.mark.parametrize(
    ("spacing", "decimals"),
    [(1.25, 1), (0.75, 1), (0.8333, 1), (0.625, 2), (5.05, 1), (2.5, 1), (1.2505, 2), (7.5, 1), (3.27, 1)],
)
def test_spacings_of_scanners_rounded(spacing: float, decimals: int) -> None:
    heights = np.round(-217.3 + spacing * np.arange(120), decimals)
    stack = fit(axial(*heights), *AXIAL, TOLERANCES)
    assert is_regular(stack)
    assert stack.spacing == pytest.approx(spacing, abs=1.1 * 10.0**-decimals / 119)


@pytest.mark.parametrize(
    "gaps",
    [
        [1.2] * 20 + [1.3] * 20,  # two spacings, not one that was rounded
        [1.2, 1.3, 1.2, 1.4, 1.1, 1.3, 1.0, 1.4, 1.2, 1.3],
        [5, 5, 5, 6, 5, 5, 5, 4, 5],  # nobody rounds to whole millimetres
        [5, 5, 5.3, 5, 5, 4.7, 5, 5],
        [1.25] * 10 + [1.45] + [1.25] * 10,
    ],
)
def test_stacks_that_rounding_does_not_explain_are_uneven(gaps: list[float]) -> None:
    assert fit(axial(*np.round(np.concatenate([[0], np.cumsum(gaps)]), 2)), *AXIAL, TOLERANCES).uneven


def test_an_oblique_stack_of_rounded_positions() -> None:
    row, col = np.array([1.0, 0, 0]), np.array([0, np.cos(0.3), np.sin(0.3)])
    exact = np.outer(1.25 * np.arange(80), np.cross(row, col)) + np.array([-180, 12.34, 56.78])
    stack = fit(np.round(exact, 1), row, col, TOLERANCES)
    assert not {"uneven", "missing", "duplicates"} & faults(stack)
    assert stack.spacing == pytest.approx(1.25, abs=0.002)


def test_far_positions_are_no_lattice_and_no_crash() -> None:
    for heights in ([0, 5, 10, 1e308], [-1e308, 1e308, 0], [0, 5, 10, 15, 1e7], [-1e308, 1e308] * 20):
        positions = np.array([[-200.0, -180.0, height] for height in heights])
        stack = fit(positions, *AXIAL, TOLERANCES)
        assert not is_regular(stack) or stack.spacing > 1e6
        assert stack.n_missing < 10
        for figure in (stack.spacing, stack.drift, stack.tilt, stack.last_index):
            assert not np.isinf(figure)
        assert np.isfinite(np.array(stack.index_of(positions))).all()
        figures = measure(positions, *AXIAL, TOLERANCES)
        assert np.isfinite([figures.spacing, figures.spacing_max, figures.shear]).all()
    everywhere = np.full((6, 3), 1e308) * np.array([1, -1, 1, -1, 1, -1])[:, None]
    assert fit(everywhere, *AXIAL, TOLERANCES).duplicates
    assert np.isfinite(fit(axial(0, 5), *AXIAL, TOLERANCES).nearest_plane(everywhere)[1]).all()
