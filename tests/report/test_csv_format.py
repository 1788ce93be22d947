"""CSV: as RFC 4180 has it, and no formula in it."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reports

from crlm_qc.report import words
from crlm_qc.report.csv_format import COLUMNS, render


def rows(report: reports.Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(report).decode("utf-8"), newline=""), strict=True))


def with_message(message: str) -> reports.Report:
    base = reports.sample()
    return replace(base, findings=[replace(base.findings[0], message=message)])


def test_one_row_a_finding_in_the_report_s_order() -> None:
    report = reports.sample()
    assert [row["fingerprint"] for row in rows(report)] == [one.fingerprint for one in report.findings]
    assert list(rows(report)[0]) == list(COLUMNS)


def test_cells() -> None:
    row = next(row for row in rows(reports.sample()) if row["rule"] == "SEG006")
    assert row["severity"] == "warning"
    assert (row["state"], row["waived"]) == ("waived", "Lesion annotated twice, confirmed by the authors")
    assert (row["kind"], row["segment"], row["row"]) == ("segment", "5", "")
    shared = next(row for row in rows(reports.sample()) if row["rule"] == "DSO007")
    assert (shared["count"], shared["examples"]) == ("3", "frame 12; frame 13; frame 14")


def test_lines_end_as_the_rfc_says_and_there_is_no_byte_order_mark() -> None:
    rendered = render(reports.sample())
    assert rendered.startswith(b"fingerprint,rule,")
    assert rendered.count(b"\r\n") == rendered.count(b"\n") == 1 + len(reports.sample().findings)


def test_a_clean_report_is_its_heading() -> None:
    assert rows(reports.clean()) == []


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\N{FULLWIDTH EQUALS SIGN}1"]
)
def test_formulas_are_text(formula: str) -> None:
    (row,) = rows(with_message(formula))
    assert row["message"].startswith("'")


@given(st.text())
def test_any_text_comes_back_as_one_cell(message: str) -> None:
    (row,) = rows(with_message(message))
    assert row["message"].removeprefix("'") in (words.clean(message), words.clean(message).removeprefix("'"))
    assert not row["message"].lstrip().startswith(("=", "+", "-", "@"))
