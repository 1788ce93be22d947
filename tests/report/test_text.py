"""The summary of the terminal."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support import reports

from crlm_qc.report import text
from crlm_qc.report.text import Style

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
