"""The trend over audits: one sentence, a course for each count, a table, and nothing without runs."""

import re

import pytest
from support import reports

from crlm_qc.model.trend import Summary, Trend
from crlm_qc.report.html import folder, render
from crlm_qc.report.html.plots import LEFT, RIGHT
from crlm_qc.report.html.trend import HIGH, TOP, courses

SAMPLE = reports.sample()
TREND = reports.trend()


def test_one_sentence() -> None:
    told = "Errors 12 → 3, warnings 4 → 4, cases 9 → 1,500 over 3 audits since 2026-11-01"
    assert TREND.sentence == told
    assert f"{told}." in render(SAMPLE, trend=TREND)


def test_a_course_is_as_high_as_its_count() -> None:
    errors, warnings, cases = courses(TREND)
    assert [one.x for one in errors.points] == [LEFT, 50.0, RIGHT]
    assert [one.y for one in errors.points] == [TOP, TOP + HIGH / 2, TOP + HIGH * 3 / 4]
    assert {one.y for one in warnings.points} == {TOP}
    assert cases.in_words == "Cases: 9 on 2026-11-01, 7 on 2026-11-09, 1,500 on 2026-11-20."


def test_where_nothing_was_found_it_lies_at_the_foot() -> None:
    none = Summary("2026-11-01 09:14 UTC", "0.1.0", 0, 0, 0)
    assert {point.y for course in courses(Trend([none, none])) for point in course.points} == {TOP + HIGH}


def test_the_page_has_it_in_words_and_as_a_table() -> None:
    page = render(SAMPLE, trend=TREND)
    (section,) = re.findall(r'<section id="trend".*?</section>', page, re.DOTALL)
    assert section.count("<svg") == section.count("<desc") == 3
    assert section.count('<circle class="count"') == 9
    rows = re.findall(r'<tr><th scope="row">(.+?)</th>(.+?)</tr>', section)
    assert [when for when, _ in rows] == [one.when for one in TREND.audits]
    assert re.findall(r">([^<>]+)</td>", rows[2][1]) == ["3", "4", "1,500", "0.2.0"]
    assert "could not be read" not in section


def test_an_audit_that_was_not_read_is_named_and_nothing_is_markup() -> None:
    hostile = Summary('<x-a>"', "<x-b>", 1, 1, 1)
    page = render(SAMPLE, trend=Trend([hostile, hostile], ["0002-20261109T0914Z.json"]))
    assert "0002-20261109T0914Z.json" in page
    assert "&lt;x-a&gt;" in page
    assert "<x-" not in page


@pytest.mark.parametrize("trend", [None, TREND])
def test_the_folder_has_the_same(trend: Trend | None) -> None:
    index = str(folder.render(SAMPLE, trend=trend)["index.html"])
    assert ('id="trend"' in index) is (trend is not None)
    assert ('href="#trend"' in index) is (trend is not None)
