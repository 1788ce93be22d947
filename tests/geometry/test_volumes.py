"""Series of several volumes: found however the runs are told apart, and never in one volume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_qc.geometry.volumes import Volumes, localizers_of, volumes_of
from crlm_qc.model.tolerances import Tolerances

AXIAL, CORONAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
COUNT = 30


def profile(count: int = COUNT, phase: float = 0.0) -> np.ndarray:
    """The share of soft tissue from slice to slice, as of a body: it rises, bends and falls."""
    x = np.linspace(0, 1, count)
    return 0.3 + 0.1 * np.sin(4 * x + phase) + 0.03 * np.sin(11 * x)


def found(
    along: np.ndarray,
    numbers: np.ndarray | None = None,
    times: np.ndarray | None = None,
    soft: np.ndarray | None = None,
    **others: list[object],
) -> Volumes | None:
    nothing = np.full(len(along), np.nan)
    given = (nothing if one is None else np.asarray(one, dtype=float) for one in (numbers, times))
    return volumes_of(np.asarray(along, float), *given, others, nothing if soft is None else soft, Tolerances())


UP = np.arange(COUNT) * 5.0
TWICE = np.arange(2 * COUNT)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(6, 60),
    st.floats(0.5, 7.5),
    st.booleans(),
    st.sampled_from(["none", "constant", "rising", "fours"]),
    st.lists(st.integers(0, 59), max_size=5),
)
def test_one_volume_is_one(count: int, spacing: float, down: bool, times: str, lost: list[int]) -> None:
    along = np.arange(count) * (-spacing if down else spacing)
    clock = {"none": np.full(count, np.nan), "constant": np.zeros(count)}
    clock |= {"rising": np.arange(count) * 0.7, "fours": np.arange(count) // 4 * 1.0}
    kept = np.setdiff1d(np.arange(count), lost)
    assert found(along[kept], np.arange(count)[kept], clock[times][kept], profile(count)[kept]) is None
    assert found(along[kept], count - np.arange(count)[kept], clock[times][kept], profile(count)[kept]) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 40), st.integers(4, 40), st.floats(0, 0.9), st.randoms())
def test_runs_across_each_other(first: int, second: int, offset: float, random: object) -> None:
    along = np.concatenate([np.arange(first), np.arange(second) + offset]) * 5.0
    times = np.repeat([0.0, 60.0], [first, second])
    order = np.random.default_rng(random.randint(0, 999)).permutation(first + second)  # type: ignore[attr-defined]
    volumes = found(along[order], None, times[order])
    assert volumes is not None
    assert volumes.across
    assert sorted(map(len, volumes.runs)) == sorted((first, second))
    assert "AcquisitionTime" in volumes.by


@pytest.mark.parametrize(
    ("values", "by"),
    [
        ({"numbers": TWICE}, "InstanceNumber"),
        ({"numbers": TWICE % COUNT}, "InstanceNumber"),
        ({"numbers": TWICE % COUNT * 2 + TWICE // COUNT}, "ImagePositionPatient"),
        ({"times": TWICE}, "AcquisitionTime"),
        ({"times": TWICE // 5}, "AcquisitionTime"),
        ({"ConvolutionKernel": ["a"] * COUNT + ["b"] * COUNT}, "ConvolutionKernel"),
        ({}, "ImagePositionPatient"),
    ],
)
def test_whatever_tells_them_apart(values: dict[str, object], by: str) -> None:
    volumes = found(np.concatenate([UP, UP]), **values)  # type: ignore[arg-type]
    assert volumes is not None
    assert by in volumes.by
    assert volumes.offset == 0
    assert [list(run) for run in volumes.runs] == [list(range(COUNT)), list(range(COUNT, 2 * COUNT))]


def test_the_same_body_again_behind_the_first() -> None:
    along, soft = TWICE * 5.0, np.concatenate([profile(), profile() + 0.002])
    volumes = found(along, TWICE, np.repeat([0.0, 60.0], COUNT), soft)
    assert volumes is not None
    assert (volumes.across, volumes.by) == (False, ("AcquisitionTime",))
    # Where nothing tells them apart, the images do; the first numbered is the first.
    for numbers in (TWICE, TWICE[::-1]):
        volumes = found(along, numbers, np.zeros(2 * COUNT), soft)
        assert volumes is not None
        assert volumes.by == ("anatomy",)
        assert numbers[volumes.runs[0]].max() < numbers[volumes.runs[1]].min()


@pytest.mark.parametrize("place", range(8, COUNT - 8))
def test_the_body_goes_on(place: int) -> None:
    halves: list[object] = [int(at > place) for at in range(COUNT)]
    assert found(UP, np.arange(COUNT), np.repeat([0.0, 60.0], [place, COUNT - place]), profile()) is None
    assert found(UP, np.arange(COUNT), None, profile(), AcquisitionNumber=halves) is None


@settings(max_examples=30, deadline=None)
@given(st.permutations(list(range(COUNT))))
def test_a_scrambled_numbering_is_no_second_run(order: list[int]) -> None:
    volumes = found(UP, np.array(order))
    assert volumes is None or min(map(len, volumes.runs)) >= 3


@pytest.mark.parametrize("moved", [[3, 4], [10], [5, 6, 7], [20, 21, 22, 23, 24]])
def test_slices_numbered_out_of_turn_are_no_second_run(moved: list[int]) -> None:
    order = [*np.setdiff1d(np.arange(COUNT), moved), *moved]
    assert found(UP, np.argsort(order)) is None


def test_a_few_doubled_positions_are_no_second_run() -> None:
    assert found(np.concatenate([UP, UP[3:5]])) is None


@pytest.mark.parametrize(
    ("kinds", "planes", "apart"),
    [
        (["ORIGINAL\\PRIMARY\\LOCALIZER"] + ["ORIGINAL\\PRIMARY\\AXIAL"] * 9, [CORONAL] + [AXIAL] * 9, 1),
        ([None] * 10, [CORONAL] + [AXIAL] * 9, 1),
        (["original\\primary\\localizer"] + [None] * 9, [AXIAL] * 10, 1),
        (["ORIGINAL\\PRIMARY\\LOCALIZER"] * 10, [CORONAL] * 10, 0),
        (["ORIGINAL\\PRIMARY\\AXIAL"] * 10, [AXIAL] * 10, 0),
        ([None] * 10, [(np.nan,) * 6] * 10, 0),
        ([None] * 4, [CORONAL, CORONAL, AXIAL, AXIAL], 0),
    ],
)
def test_localizers(kinds: list[str | None], planes: list[tuple[float, ...]], apart: int) -> None:
    flags = localizers_of(kinds, np.array(planes))
    assert flags.tolist() == [True] * apart + [False] * (len(kinds) - apart)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("AcquisitionNumber", [1, None]),
        ("ConvolutionKernel", ["STANDARD", None]),
        ("ConvolutionKernel", ["STANDARD", "standard "]),
        ("ConvolutionKernel", ["STANDARD", "BONE"]),
        ("SliceThickness", [5.0, 5.000004]),
        ("SliceThickness", [1.25, 1.3]),
        ("SliceThickness", [5.0, float("nan")]),
    ],
)
def test_an_attribute_that_differs_from_slice_to_slice_makes_no_volumes(name: str, values: list[object]) -> None:
    assert found(UP, np.arange(COUNT), None, profile(), **{name: values * (COUNT // 2)}) is None


def test_a_second_run_is_found_though_only_it_has_a_number() -> None:
    along, acquired = np.concatenate([UP, UP]), [None] * COUNT + [2] * COUNT
    volumes = found(along, TWICE, None, np.concatenate([profile(), profile()]), AcquisitionNumber=acquired)
    assert volumes is not None
    assert volumes.across
    assert "AcquisitionNumber" not in volumes.by


def test_numbers_may_be_below_zero() -> None:
    along = np.concatenate([UP, UP])
    by_number = [found(along, TWICE - least, None, np.concatenate([profile(), profile()])) for least in (0, 1, 2)]
    assert None not in by_number
    runs = [[run.tolist() for run in one.runs] for one in by_number if one is not None]
    assert runs == [runs[0]] * 3


def test_two_kernels_at_the_same_positions_are_two_volumes() -> None:
    along, kernels = np.repeat(UP, 2), ["STANDARD", "BONE"] * COUNT
    volumes = found(along, None, None, None, ConvolutionKernel=kernels)
    assert volumes is not None
    assert "ConvolutionKernel" in volumes.by
