"""A report that is read back from findings.json renders to the same bytes."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from support import reports

from crlm_qc.model.plain import MAX_TEXT, PlainError
from crlm_qc.model.report import Figure, PatientFacts, Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report import FORMATS
from crlm_qc.report.json_format import render

NARROWED = replace(
    reports.incomplete(),
    settings=Settings(
        Depth.MASKS, False, ("CTS",), ("CTS004",), ("CRLM-CT-1001",), {"CTS012": Severity.ERROR}, known_issues=False
    ),
    figures=(Figure("patients", "total", 197, None), Figure("liver_ml", "median", 1553.36, 1553.4, 0.1)),
    patients=(PatientFacts("CRLM-CT-1001", 57, 5.0, 6, 1500.1, 0.1 + 0.2),),
)
REPORTS = {
    "sample": reports.sample(),
    "clean": reports.clean(),
    "incomplete": reports.incomplete(),
    "empty": reports.empty(),
    "hostile": reports.hostile(),
    "narrowed": NARROWED,
    "surrogates": replace(
        reports.sample(), release=replace(reports.sample().release, root="caf\udce9 \x1b \\udce9 \u202e \U0001f600")
    ),
}


def saved(report: Report) -> Any:
    return json.loads(render(report))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_the_same_again(name: str, form: str) -> None:
    render_it = FORMATS[form].renderer()
    assert render_it(Report.from_dict(saved(REPORTS[name]))) == render_it(REPORTS[name])


@pytest.mark.parametrize("name", REPORTS)
def test_verdict_and_exit_code_are_the_same_again(name: str) -> None:
    again = Report.from_dict(saved(REPORTS[name]))
    assert again.verdict is REPORTS[name].verdict
    assert [again.exit_code(level) for level in (*Severity, None)] == [
        REPORTS[name].exit_code(level) for level in (*Severity, None)
    ]


def test_no_part_of_a_report_is_lost() -> None:
    again = Report.from_dict(saved(NARROWED))
    for item in fields(Report):
        if item.init and item.name != "settings":
            assert list_or_value(getattr(again, item.name)) == list_or_value(getattr(NARROWED, item.name)), item.name
    assert again.settings == replace(NARROWED.settings, subset=True), "patients imply a subset"


def list_or_value(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def test_control_characters_of_a_file_are_escaped_and_nothing_is_lost() -> None:
    rendered = render(REPORTS["surrogates"])
    assert not set("\x1b\u202e") & set(rendered.decode("utf-8"))
    assert json.loads(rendered)["release"]["root"] == REPORTS["surrogates"].release.root


def test_keys_of_later_versions_are_left_out() -> None:
    raw = saved(reports.sample())
    raw["later"] = {"a": 1}
    raw["findings"][0]["later"] = 1
    assert Report.from_dict(raw).as_dict() == reports.sample().as_dict()


def changed(**parts: Any) -> dict[str, Any]:
    return {**saved(reports.sample()), **parts}


def finding(**parts: Any) -> list[dict[str, Any]]:
    return [{**saved(reports.sample())["findings"][0], **parts}]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "no schema_version"),
        ({}, "no schema_version"),
        (changed(schema_version=2), "schema_version is not 1"),
        (changed(schema_version=True), "schema_version is not 1"),
        (changed(schema_version="1"), "schema_version is not 1"),
        ({key: value for key, value in changed().items() if key != "rules"}, "an earlier crlm-qc wrote it"),
        (changed(tool=None), "tool is missing"),
        (changed(tool={}), "tool_version is missing"),
        (changed(findings=None), "findings is missing"),
        (changed(findings=[1]), r"findings\[0\] has not the right type"),
        (changed(findings=finding(severity="grave")), r"findings\[0\].severity has a value that is not known"),
        (changed(findings=finding(waived={})), r"findings\[0\].waived has not the right type"),
        (changed(findings=finding(fingerprint="<script>")), "12 hexadecimal digits"),
        (changed(findings=finding(rule="REL999")), "does not describe every rule"),
        (changed(rules=[]), "does not describe every rule"),
        (changed(rules=[{**saved(reports.sample())["rules"][0], "code": "<b>"}]), "not of the form ABC123"),
    ],
)
def test_what_can_not_be_read_is_refused(raw: object, said: str) -> None:
    with pytest.raises(PlainError, match=said):
        Report.from_dict(raw)


def test_texts_of_saved_results_are_cut_where_nobody_reads_on() -> None:
    raw = saved(reports.sample())
    raw["findings"][0]["message"] = "m" * 5000
    raw["findings"][0]["examples"] = ["e" * 5000]
    raw["rules"][0]["why"] = "w" * 5000
    raw["limits"] = ["l" * 5000]
    again = Report.from_dict(raw)
    for text in (again.findings[0].message, again.findings[0].examples[0], again.rules[0].why, again.limits[0]):
        assert len(text) == MAX_TEXT
        assert text.endswith("…")


def test_a_long_path_is_no_long_text() -> None:
    raw = saved(reports.sample())
    path = "/".join(["folder"] * 500)
    raw["findings"][0]["subject"]["path"] = path
    assert Report.from_dict(raw).findings[0].subject.path == path


def test_an_audit_says_no_more_of_a_finding_than_results_keep() -> None:
    long = replace(reports.missing_slice(1001), message="m" * 5000, waived="w" * 5000)
    assert (len(long.message), len(long.waived or "")) == (MAX_TEXT, MAX_TEXT)
    report = replace(reports.sample(), findings=[long])
    assert Report.from_dict(saved(report)).findings == (long,)
