"""The summary of the terminal."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support import reports

from crlm_qc.report import text
from crlm_qc.report.text import MAX_FOLLOWERS, Style

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "report", "style"),
    [
        ("sample", reports.sample(), Style()),
        ("sample-ascii-70", reports.sample(), Style(width=70, ascii=True, max_per_rule=1)),
        ("clean", reports.clean(), Style()),
        ("incomplete", reports.incomplete(), Style()),
        ("empty", reports.empty(), Style()),
    ],
)
def test_golden(name: str, report: reports.Report, style: Style) -> None:
    assert text.render(report, style) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_last_line_is_the_verdict() -> None:
    assert text.render(reports.sample()).splitlines()[-1] == text.verdict(reports.sample())


def test_colour_changes_nothing_but_colour() -> None:
    painted = text.render(reports.sample(), Style(colour=True))
    assert "\x1b[1;31m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == text.render(reports.sample())


def test_ascii_is_ascii() -> None:
    for report in (reports.sample(), reports.incomplete(), reports.hostile()):
        assert text.render(report, Style(ascii=True)).isascii()
        assert text.verdict(report, Style(ascii=True)).isascii()


def test_files_can_not_write_to_the_terminal() -> None:
    rendered = text.render(reports.hostile())
    assert not {"\x1b", "\u202e"} & set(rendered)


def test_waived_findings_are_only_counted() -> None:
    rendered = text.render(reports.sample())
    assert "SEG006" not in rendered
    assert "1 waived" in rendered


def test_each_rule_shows_five_and_says_where_the_rest_is() -> None:
    rendered = text.render(reports.sample())
    assert rendered.count("A slice is missing") == 5
    assert "and 2 more, in CRLM-CT-1007 and CRLM-CT-1008: crlm-qc show findings.json --rule CTS008" in rendered
    few = replace(reports.sample(), findings=reports.sample().findings[:5])
    assert "more" not in text.render(few)


def test_a_message_that_begins_with_the_patient_does_not_name_it_twice() -> None:
    named = replace(reports.missing_slice(1001), message="CRLM-CT-1001 has no segmentation object.")
    assert "    CRLM-CT-1001 has no" in text.render(replace(reports.sample(), findings=[named]))


def test_cases_stand_under_what_they_come_to_with_what_follows_from_them() -> None:
    report = reports.with_cases()
    shown = text.render(report)
    first, second = shown.index("Missing or not as published\n"), shown.index("To be used with care\n")
    assert first < shown.index("CTS008 Missing slice (1 case of 2 findings in 1 patient)") < second
    assert f"so DSO007: One is gone. f-{report.cases[0].findings[1]}" in shown
    assert shown.count("Two are gone.") == 1
    assert "; in all 3 cases; 1 waived" in shown.splitlines()[-1]


def test_many_findings_that_follow_are_counted() -> None:
    base = reports.with_cases()
    more = [replace(base.findings[1], fingerprint=f"{number:012x}") for number in range(9)]
    case = replace(base.cases[0], findings=(base.cases[0].fingerprint, *(one.fingerprint for one in more)))
    shown = text.render(replace(base, findings=[*base.findings, *more], cases=[case]))
    assert shown.count("so DSO007") == MAX_FOLLOWERS
    assert f"and {9 - MAX_FOLLOWERS} more of DSO007" in shown
