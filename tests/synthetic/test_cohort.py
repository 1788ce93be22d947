"""A cohort resembles the published figures, and never leaves the published ranges."""

from collections import Counter
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_qc.collection.profile import Profile, Span
from crlm_qc.collection.reading import load_profile
from crlm_qc.synthetic.cohort import capacity, draw, patient_numbers, slice_counts, uid_for
from crlm_qc.synthetic.writer import MIN_SLICES, profile_for

PROFILE = load_profile()


def figures(values: list[float]) -> list[float]:
    return [min(values), median(values), max(values)]


def published(span: Span) -> list[float]:
    assert span.median is not None
    return [span.min, span.median, span.max]


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_cohort_has_the_published_figures(seed: int) -> None:
    plans = draw(197, seed, PROFILE, matrix=512)
    said = PROFILE.published
    assert sum(plan.slices for plan in plans) == said.ct_slices
    assert figures([plan.slices for plan in plans]) == published(said.slices_per_series)
    assert figures([plan.slice_spacing_mm for plan in plans]) == published(said.spacing_slices_mm)
    assert figures([plan.pixel_spacing_mm for plan in plans]) == pytest.approx(
        published(said.spacing_in_plane_mm), rel=0.005
    )
    assert figures([plan.liver_ml for plan in plans]) == pytest.approx(published(said.liver_volume_ml), rel=0.001)
    assert figures([sum(plan.tumours_ml) for plan in plans]) == pytest.approx(
        published(said.tumour_volume_ml), rel=0.005
    )
    assert sum(len(plan.tumours_ml) for plan in plans) == 464
    assert Counter(plan.sex for plan in plans) == said.sex
    assert Counter(plan.scanner.manufacturer for plan in plans) == said.manufacturers
    signed = Counter(str(int(plan.scanner.signed)) for plan in plans)
    assert signed == {str(key): count for key, count in said.pixel_representation.items()}
    assert [plan.number for plan in plans if plan.prone] == [1074]
    overlapping = [plan for plan in plans if plan.slice_thickness_mm != plan.slice_spacing_mm]
    assert [(plan.number, plan.slice_thickness_mm, plan.slice_spacing_mm) for plan in overlapping] == [
        (1072, 1.25, 0.8)
    ]


@settings(max_examples=25, deadline=None)
@given(
    patients=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    matrix=st.sampled_from([64, 128, 512]),
    max_slices=st.sampled_from([None, MIN_SLICES, 24, 60]),
)
def test_no_patient_leaves_the_published_ranges(patients: int, seed: int, matrix: int, max_slices: int | None) -> None:
    plans = draw(patients, seed, profile_for(matrix, PROFILE), matrix=matrix, max_slices=max_slices)
    said = profile_for(matrix, PROFILE, max_slices).published
    assert len({plan.patient for plan in plans}) == patients
    for plan in plans:
        assert said.slices_per_series.holds(plan.slices)
        assert said.spacing_in_plane_mm.holds(plan.pixel_spacing_mm, slack=1e-6)
        assert said.spacing_slices_mm.holds(plan.slice_spacing_mm)
        assert said.tumour_volume_ml.holds(sum(plan.tumours_ml), slack=1e-9)
        assert 1 <= len(plan.tumours_ml) <= 5
        assert sum(plan.tumours_ml) < 0.4 * plan.liver_ml
        assert plan.liver_ml <= capacity(plan.field_of_view_mm, plan.slices, plan.slice_spacing_mm) + 1e-6
        assert "19910603" <= f"{plan.study_date:%Y%m%d}" <= "19950514"
        assert 18 <= plan.age <= 89


def test_the_fewest_slices_hold_a_liver_of_the_published_range() -> None:
    plans = draw(197, 0, profile_for(64, PROFILE), matrix=64, max_slices=MIN_SLICES)
    assert all(plan.liver_ml >= 770 for plan in plans)


def test_a_smaller_cohort_begins_a_larger_one() -> None:
    few, many = (draw(patients, 9, PROFILE, matrix=512) for patients in (3, 5))
    assert few == many[:3]


def test_small_cohorts_have_no_quirk_and_larger_ones_both() -> None:
    few, some = (draw(patients, 9, PROFILE, matrix=512) for patients in (5, 6))
    assert not any(plan.prone or plan.slice_thickness_mm != plan.slice_spacing_mm for plan in few)
    assert [plan.index for plan in some if plan.prone] == [5]
    assert [plan.index for plan in some if plan.slice_thickness_mm != plan.slice_spacing_mm] == [4]


def test_more_patients_than_published_are_drawn_in_blocks() -> None:
    plans = draw(200, 0, PROFILE, matrix=512)
    assert [plan.number for plan in plans[-4:]] == [1198, 1199, 1200, 1201]
    assert [plan.index for plan in plans] == list(range(200))


def test_numbers_skip_the_patient_who_does_not_exist() -> None:
    assert patient_numbers(25, PROFILE)[22:] == [1023, 1025, 1026]


def test_slice_counts_meet_other_figures_too() -> None:
    said = replace(PROFILE.published, patients=21, ct_slices=1800, slices_per_series=Span(min=30, max=300, median=60))
    counts = slice_counts(said)
    assert (len(counts), sum(counts), counts[0], counts[10], counts[-1]) == (21, 1800, 30, 60, 300)


@given(st.text(max_size=20), st.integers())
def test_uids_are_valid_and_follow_from_what_they_name(what: str, number: int) -> None:
    uid = uid_for(PROFILE.uid_root, what, number)
    assert uid == uid_for(PROFILE.uid_root, what, number)
    assert uid.startswith(PROFILE.uid_root + ".")
    assert len(uid) <= 64
    assert all(part == "0" or not part.startswith("0") for part in uid.split("."))


def test_a_root_that_leaves_no_room_is_refused(profile: Profile) -> None:
    with pytest.raises(ValueError, match="too long"):
        uid_for(profile.uid_root + "." + "1" * 25, "x")
