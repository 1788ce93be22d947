"""Where the dots, lines and ticks of the strip plots stand."""

import math
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import reports

from crlm_qc.model.report import Figure, PatientFacts
from crlm_qc.report.html import plots
from crlm_qc.report.html.plots import LEFT, MEASURES, RIGHT, Plot

PUBLISHED = [
    Figure("liver_ml", "min", 770, 800, 15.4),
    Figure("liver_ml", "median", 1553.36, 1500, 31.1),
    Figure("liver_ml", "max", 3280.68, 3000, 65.6),
]


def livers(*volumes: float | None) -> list[PatientFacts]:
    return [PatientFacts(f"CRLM-CT-{1001 + index}", liver_ml=volume) for index, volume in enumerate(volumes)]


def only(patients: list[PatientFacts], figures: list[Figure] | None = None) -> Plot:
    (plot,) = plots.plots(patients, figures or [])
    return plot


def test_a_plot_for_each_measure_that_has_a_value() -> None:
    names = [plot.measure.name for plot in plots.plots(reports.large().patients, [])]
    assert names == [measure.name for measure in MEASURES]
    assert plots.plots(livers(None, None), PUBLISHED) == []
    assert only(livers(900, None)).missing == 1


def test_values_are_in_order_and_within_the_scale() -> None:
    plot = only(livers(1500, 800, 3000), PUBLISHED)
    assert [dot.patient for dot in plot.dots] == ["CRLM-CT-1002", "CRLM-CT-1001", "CRLM-CT-1003"]
    assert [line.text for line in plot.lines] == ["smallest 770", "median 1,553.36", "largest 3,280.68"]
    assert (plot.lines[0].x, plot.lines[2].x) == (LEFT, RIGHT)
    assert [tick.text for tick in plot.ticks] == ["1,000", "1,500", "2,000", "2,500", "3,000"]
    assert [line.side for line in plot.lines] == ["start", "start", "end"]


def test_outliers_are_beyond_the_published_range_and_its_tolerance() -> None:
    plot = only(livers(754.6, 754.5, 1500, 3346.2, 3346.4), PUBLISHED)
    assert [dot.patient for dot in plot.outliers] == ["CRLM-CT-1002", "CRLM-CT-1005"]
    assert "2 outside of the published range: CRLM-CT-1002 754.5 mL, CRLM-CT-1005 3,346.4 mL." in plot.in_words


def test_outliers_are_far_from_the_others_where_nothing_was_published() -> None:
    near = [100.0 + index for index in range(9)]
    assert only(livers(*near)).outliers == []
    assert [dot.value for dot in only(livers(*near, 400)).outliers] == [400]
    assert only(livers(100, 101, 400)).outliers == [], "too few to tell"
    assert only(livers(*[5.0] * 9, 6.0)).outliers == [], "equal quartiles tell nothing"


def test_in_words() -> None:
    assert only(livers(800, 1600, 1500), PUBLISHED).in_words == (
        "3 patients: smallest 800, median 1,500, largest 1,600 mL. "
        "Published: smallest 770, median 1,553.36, largest 3,280.68 mL. 0 outside of the published range."
    )


def test_logarithmic_scale() -> None:
    def tumours(*volumes: float) -> Plot:
        return only([PatientFacts(f"CRLM-CT-{1001 + index}", tumour_ml=one) for index, one in enumerate(volumes)])

    plot = tumours(0.0, 0.1, 10.0, 1000.0)
    assert plot.missing == 1, "nothing has no place on it"
    assert [tick.text for tick in plot.ticks] == ["0.1", "1", "10", "100", "1,000"]
    assert [tick.x for tick in plot.ticks] == pytest.approx([LEFT + (RIGHT - LEFT) * part / 4 for part in range(5)])
    assert [tick.text for tick in tumours(2.0, 30.0).ticks] == ["2", "5", "10", "20"]


def test_counts_have_whole_ticks() -> None:
    patients = [PatientFacts(f"CRLM-CT-{1001 + index}", tumours=2 + index % 3) for index in range(6)]
    assert [tick.text for tick in only(patients).ticks] == ["2", "3", "4"]


def test_equal_values_stand_apart() -> None:
    plot = only(livers(*[1500.0] * 60), PUBLISHED)
    assert len({dot.y for dot in plot.dots}) == 60
    assert len({dot.x for dot in plot.dots}) == 1
    assert plot.base - plots.HEAD == plots.BAND, "no higher than the band"


def test_dots_that_fit_do_not_touch() -> None:
    plot = only(livers(*[1500.0] * 5, *[1505.0] * 5, *range(800, 2800, 50)), PUBLISHED)
    wide = 480.0
    for one, other in combinations(plot.dots, 2):
        across = (one.x - other.x) / 100 * wide
        assert math.hypot(across, one.y - other.y) >= 8, (one, other)


def wrong(plot: Plot, figures: list[Figure]) -> list[str]:
    """Patients whose dots stand on another side of a published line than their values."""
    published = [one.published for one in figures if one.measure == plot.measure.name and one.part != "total"]
    sides = list(zip(sorted(published), sorted(line.x for line in plot.lines), strict=True))
    return [
        dot.patient
        for dot in plot.dots
        for value, x in sides
        if (dot.value < value and dot.x > x) or (dot.value > value and dot.x < x) or (dot.value == value and dot.x != x)
    ]


def test_dots_stay_on_their_side_of_the_published_lines() -> None:
    figures = list(reports.FIGURES)
    made = plots.plots(reports.large().patients, figures)
    assert sum(len(plot.lines) for plot in made) == 9
    assert [patient for plot in made for patient in wrong(plot, figures)] == []


@given(st.lists(st.floats(700, 3500), min_size=1, max_size=60))
def test_dots_stand_where_their_values_are(values: list[float]) -> None:
    plot = only(livers(*values, 770, 1553.36, 3280.68), PUBLISHED)
    assert wrong(plot, PUBLISHED) == []
    assert [dot.x for dot in plot.dots] == sorted(dot.x for dot in plot.dots)


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=40), st.randoms())
@example([0.03125], None)
def test_every_dot_is_drawn_within_and_in_any_order(values: list[float], random: object) -> None:
    patients = [
        PatientFacts(f"CRLM-CT-{1001 + index}", liver_ml=value, tumour_ml=value, liver_hu=-value)
        for index, value in enumerate(values)
    ]
    made = plots.plots(patients, PUBLISHED)
    assert made == plots.plots(patients[::-1], PUBLISHED[::-1])
    for plot in made:
        assert len(plot.dots) == len(values)
        for mark in (*plot.dots, *plot.ticks, *plot.lines):
            assert math.isfinite(mark.x)
            assert 0 <= mark.x <= 100
            assert 0 <= mark.y <= plot.height
        assert len({tick.text for tick in plot.ticks}) == len(plot.ticks) <= plots.MAX_TICKS + 1


def test_zeros_at_the_end_are_left_out() -> None:
    liver = MEASURES[0]
    assert liver.said(1500.0) == "1,500 mL"
    assert liver.told(0.25) == "0.25"
    assert replace(liver, digits=0).told(1500) == "1,500"
    assert liver.told(-40) == "\N{MINUS SIGN}40"


def thick(*pairs: tuple[float | None, float | None]) -> list[PatientFacts]:
    return [
        PatientFacts(f"CRLM-CT-{1001 + index}", spacing_mm=spacing, thickness_mm=thickness)
        for index, (spacing, thickness) in enumerate(pairs)
    ]


def test_two_measures_against_each_other() -> None:
    (plot,) = plots.pair_plots(thick((5.0, 5.0), (0.8, 1.25), (5.0, 5.02), (7.5, None)))
    assert plot.missing == 1
    assert [(dot.patient, dot.outlier) for dot in plot.dots] == [
        ("CRLM-CT-1001", False),
        ("CRLM-CT-1002", True),
        ("CRLM-CT-1003", False),
    ]
    assert plot.in_words.endswith("1 with a thickness that is not the spacing: CRLM-CT-1002 1.25 against 0.8 mm.")
    assert plots.pair_plots(thick((5.0, None), (None, 5.0))) == []


@given(
    st.lists(
        st.tuples(st.floats(0.1, 300, allow_nan=False), st.floats(0.1, 300, allow_nan=False)), min_size=1, max_size=30
    )
)
def test_equal_values_lie_on_the_line_and_larger_ones_higher(values: list[tuple[float, float]]) -> None:
    (plot,) = plots.pair_plots(thick(*values))
    left, bottom, right, top = plot.equal
    for dot in plot.dots:
        assert LEFT - 0.01 <= dot.x <= RIGHT + 0.01
        assert plots.NO_HEAD - 0.1 <= dot.y <= plot.base + 0.1
        level = bottom + (top - bottom) * (dot.x - left) / (right - left)
        # Places are rounded to hundredths of a percent and tenths of a pixel.
        assert (dot.y <= level + 0.2) if dot.down >= dot.across else (dot.y >= level - 0.2)


def test_a_size_is_off_by_more_than_half_of_the_diameter() -> None:
    facts = [
        PatientFacts(f"CRLM-CT-{1001 + index}", diameter_mm=20.0, stated_mm=stated)
        for index, stated in enumerate((10.0, 9.9, 30.0, 30.1))
    ]
    (plot,) = plots.pair_plots(facts)
    assert sorted(dot.patient for dot in plot.outliers) == ["CRLM-CT-1002", "CRLM-CT-1004"]


def test_of_very_many_patients_some_get_a_dot_and_all_are_counted() -> None:
    many = livers(*(1000.0 + number / 10 for number in range(5000)), 9000.0, 9500.0)
    plot = only(many, PUBLISHED)
    assert len(plot.dots) <= plots.MAX_DOTS
    assert [dot.value for dot in plot.outliers] == [9000.0, 9500.0]
    assert plot.dots[0].value == 1000.0
    assert plot.in_words.startswith("5,002 patients: smallest 1,000,")
    assert "2 outside of the published range" in plot.in_words


def test_of_very_many_outliers_some_get_a_dot_and_all_are_counted() -> None:
    plot = only(livers(*(100.0 + number / 100 for number in range(5000))), PUBLISHED)
    assert len(plot.outliers) == plots.MAX_DOTS // 2
    assert plot.beyond_count == 5000
    assert "5,000 outside of the published range" in plot.in_words


def test_of_very_many_patients_with_two_values_some_get_a_dot() -> None:
    many = [
        PatientFacts(f"CRLM-CT-{number}", spacing_mm=1.0 + number, thickness_mm=1.0 + number) for number in range(5000)
    ]
    many.append(PatientFacts("CRLM-CT-9999", spacing_mm=5.0, thickness_mm=2.0))
    (plot,) = plots.pair_plots(many)
    assert len(plot.dots) == plots.MAX_DOTS
    assert [dot.patient for dot in plot.outliers] == ["CRLM-CT-9999"]
    assert plot.in_words.startswith("5,001 patients")
