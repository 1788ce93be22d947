"""Which CT series an object means: one answer for measuring its masks and for judging them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.series import Meant, OwnSeries, strays

ONE, OTHER, FOREIGN = "1.2.1", "1.2.2", "1.2.9"


def own(*series: tuple[str | None, str, int]) -> OwnSeries:
    """Series of a patient: UID, folder and number of slices, which go by `UID/1` and so on."""
    return OwnSeries(
        (uid, f"{uid}/{number}", folder) for uid, folder, count in series for number in range(1, count + 1)
    )


def sources(series: str | None, count: int) -> list[str | None]:
    return [f"{series}/1"] * count


ALONE = own((ONE, "a", 5))
TWO = own((ONE, "a", 5), (OTHER, "b", 9))
ASTRAY = own((ONE, "a", 5), (OTHER, "a", 2))


@pytest.mark.parametrize(
    ("series", "named", "frames", "meant", "choices"),
    [
        # One CT: what is said of it, nothing, or another one.
        (ALONE, [ONE], [], ONE, [ONE]),
        (ALONE, [], [], ONE, [ONE]),
        (ALONE, [None], [], ONE, [ONE]),
        (ALONE, [], sources(FOREIGN, 3), None, [ONE]),
        (ALONE, [], sources(FOREIGN, 3) + sources(ONE, 1), ONE, [ONE]),
        (ALONE, [FOREIGN], [], None, []),
        (ALONE, [FOREIGN], sources(FOREIGN, 3), None, []),
        (ALONE, [FOREIGN], sources(ONE, 3), ONE, [ONE]),
        (ALONE, [FOREIGN, ONE], [], ONE, [ONE]),
        # Two of them.
        (TWO, [ONE], sources(OTHER, 3), ONE, [ONE]),
        (TWO, [ONE, OTHER], sources(ONE, 3) + sources(OTHER, 2), ONE, [ONE, OTHER]),
        (TWO, [ONE, OTHER], sources(ONE, 2) + sources(OTHER, 2), None, [ONE, OTHER]),
        (TWO, [ONE, OTHER], [], None, [ONE, OTHER]),
        (TWO, [], sources(OTHER, 1), OTHER, [OTHER]),
        (TWO, [], [None], None, [ONE, OTHER]),
        (TWO, [], sources(FOREIGN, 1), None, [ONE, OTHER]),
        (TWO, [FOREIGN], [], None, []),
        # Slices that went astray are a series only for who means nothing else.
        (ASTRAY, [], [], ONE, [ONE]),
        (ASTRAY, [ONE, OTHER], sources(OTHER, 3), ONE, [ONE]),
        (ASTRAY, [], sources(ONE, 1) + sources(OTHER, 3), ONE, [ONE]),
        (ASTRAY, [OTHER], [], OTHER, [OTHER]),
        # A series without a UID goes by an empty text.
        (own((None, "a", 5)), [], [], "", [""]),
        (own((None, "a", 5)), [None], sources(None, 2), "", [""]),
        (own((None, "a", 5)), [ONE], [], None, []),
        (own(), [ONE], sources(ONE, 1), None, []),
    ],
)
def test_which_series_an_object_means(
    series: OwnSeries, named: list[str | None], frames: list[str | None], meant: str | None, choices: list[str]
) -> None:
    assert series.meant(named, frames) == Meant(meant, tuple(choices))


def test_an_instance_of_two_series_speaks_for_both() -> None:
    series = OwnSeries([(ONE, "x", "a"), (OTHER, "x", "b"), (OTHER, "y", "b")])
    assert series.meant([], ["x", "x"]) == Meant(None, (ONE, OTHER))
    assert series.meant([], ["x", "x", "y"]) == Meant(OTHER, (ONE, OTHER))


def test_the_smaller_series_of_a_folder_are_strays() -> None:
    assert strays({"a": ["x", "x"], "b": ["x"], "c": ["y"]}) == {"b"}
    assert strays({"a": ["x"], "b": ["x"]}) == {"b"}
    assert strays({"a": ["x", "y", "y"], "b": ["x", "x"], "c": ["y"]}) == {"b", "c"}
    assert strays({("p", "a"): ["x"], ("q", "a"): ["y"]}) == frozenset()
    assert strays({}) == frozenset()


UIDS = st.sampled_from([ONE, OTHER, "1.2.3", None])
SLICES = st.lists(st.tuples(UIDS, st.sampled_from("abcdef"), st.sampled_from(["x", "y", "z"])), max_size=12)


@given(SLICES, st.lists(st.sampled_from([ONE, OTHER, FOREIGN, None]), max_size=3), st.lists(st.sampled_from("abcdefg")))
def test_what_is_meant_is_one_of_the_choices_and_these_are_the_patients(
    slices: list[tuple[str | None, str, str]], named: list[str | None], frames: list[str]
) -> None:
    meant = OwnSeries(slices).meant(named, frames)
    assert set(meant.choices) <= {series or "" for series, *_ in slices}
    assert meant.series is None or meant.series in meant.choices
    if len(meant.choices) == 1 and (any(named) or not frames):
        assert meant.series == meant.choices[0]
    # Neither the order of slices and references matters, nor where else copies lie.
    assert OwnSeries(slices[::-1]).meant(named[::-1], frames[::-1]) == meant
    if own := {uid for uid in named if uid} & {series for series, *_ in slices}:
        assert set(meant.choices) <= own
    if meant.series is not None and len(meant.choices) > 1:
        held = {(series or "", instance) for series, instance, _ in slices}
        counts = Counter(series for frame in frames for series, instance in held if instance == frame)
        assert all(counts[meant.series] > counts[one] for one in meant.choices if one != meant.series)
