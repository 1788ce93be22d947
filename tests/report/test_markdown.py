"""Markdown, read back by a parser of CommonMark with tables."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from markdown_it import MarkdownIt
from support import reports

from crlm_qc.model.report import Report
from crlm_qc.report import words
from crlm_qc.report.markdown import MAX_BYTES, MAX_PER_PATIENT, escape, render

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def page(markdown: str) -> html.HtmlElement:
    return html.fragment_fromstring(PARSER.render(markdown), create_parent="div")


def test_verdict_table_and_folds() -> None:
    shown = page(render(reports.sample()))
    assert shown.findtext("h2") == f"✕ {words.sentence(reports.sample())}"
    cells = [[cell.text_content() for cell in row] for row in shown.iterfind(".//tbody/tr")]
    assert [row[1][:6] for row in cells] == ["CTS008", "DSO007", "CLN010", "CTS012"]
    assert cells[0][3:6] == ["7", "7", "7"]
    folds = [fold.findtext("summary") for fold in shown.iterfind(".//details")]
    assert folds[0] == "CRLM-CT-1001: 1 error, 1 note"
    assert "CRLM-CT-1020: 1 waived" in folds
    assert "total_response_percent" in shown.text_content()


def test_what_was_not_checked_is_told() -> None:
    shown = page(render(reports.incomplete())).text_content()
    assert "permission denied" in shown
    assert "SEG006 crashed: IndexError at seg.py:12" in shown


def test_the_most_afflicted_patients_come_first() -> None:
    base = reports.sample()
    more = [replace(base.findings[6], fingerprint=f"{number:012x}") for number in range(3)]
    shown = page(render(replace(base, findings=[*base.findings, *more])))
    assert shown.find(".//details").findtext("summary") == "CRLM-CT-1008: 4 errors"


def big(count: int) -> Report:
    base = reports.sample()
    found = [
        replace(base.findings[0], patient=f"CRLM-CT-{number // 20}", fingerprint=f"{number:012x}")
        for number in range(count)
    ]
    return replace(base, findings=found)


def test_it_fits_a_step_s_summary_and_says_what_was_cut() -> None:
    rendered = render(big(10_000))
    assert 0.9 * MAX_BYTES < len(rendered.encode()) <= MAX_BYTES
    assert "**Cut here to fit:**" in rendered.splitlines()[-1]
    assert rendered.count("<details>") == rendered.count("</details>")
    page(rendered)


@pytest.mark.parametrize("most", [1000, 3000, 60_000])
def test_it_fits_what_is_asked_for(most: int) -> None:
    rendered = render(big(2_000), most)
    assert len(rendered.encode()) <= most
    assert "Cut here" in rendered


def test_what_fits_is_not_cut() -> None:
    assert "Cut here" not in render(reports.sample())


def test_long_folds_are_counted() -> None:
    found = [replace(one, patient=None) for one in big(MAX_PER_PATIENT + 7).findings]
    assert "and 7 more in findings.json" in render(replace(reports.sample(), findings=found))


@given(st.text())
def test_text_stays_text(text: str) -> None:
    row = page(f"| a |\n|---|\n| x{escape(text)}x |\n").find(".//td")
    assert len(row) == 0, "no element comes of it"
    assert plain(row.text or "") == plain(f"x{words.clean(text)}x")


def plain(text: str) -> str:
    return " ".join(text.replace("\u200b", "").split())


@pytest.mark.parametrize(
    "word", ["@someone", "#12", "https://a.example", "www.a.example", "`a`", "a|b", "<b>", "~~a~~"]
)
def test_nothing_is_left_that_github_makes_a_link_of(word: str) -> None:
    without_references = re.sub("&#[0-9]+;", "", escape(word))
    for sign in ("@", "#", "://", "www.", "`", "|", "<", "~"):
        assert sign not in without_references


def test_mentions_and_issues_are_kept_apart_from_their_signs() -> None:
    assert page(escape("@someone #12")).text_content().strip() == "@\u200bsomeone #\u200b12"


def test_cases_are_counted_beside_findings() -> None:
    shown = page(render(reports.with_cases()))
    rows = [[cell.text_content() for cell in row] for row in shown.iterfind(".//tbody/tr")]
    assert [(row[1][:6], *row[2:6]) for row in rows] == [
        ("CTS008", "missing or not as published", "1", "2", "1"),
        ("DSO007", "missing or not as published", "1", "1", "1"),
        ("CLN010", "to be used with care", "1", "1", "1"),
    ]
