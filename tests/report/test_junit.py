"""JUnit XML."""

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree
from support import reports

from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report
from crlm_qc.report.junit import render

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "junit.xsd"))


def parsed(report: Report) -> etree._Element:
    return etree.fromstring(render(report))


def case(report: Report, suite: str, name: str) -> etree._Element:
    (found,) = parsed(report).xpath(
        "testsuite[@name=$suite]/testcase[starts-with(@name, $name)]", suite=suite, name=name
    )
    return found


def ended(found: etree._Element) -> list[str]:
    return [child.tag for child in found if child.tag != "system-out"]


@pytest.mark.parametrize(
    "report", [reports.sample(), reports.clean(), reports.incomplete(), reports.empty(), reports.hostile()]
)
def test_output_follows_the_schema_and_its_counts_are_right(report: Report) -> None:
    root = parsed(report)
    SCHEMA.assertValid(root)
    for suite in (root, *root):
        for attribute, path in (
            ("tests", ".//testcase"),
            ("failures", ".//failure"),
            ("errors", ".//error"),
            ("skipped", ".//skipped"),
        ):
            if attribute in suite.attrib:
                assert int(suite.get(attribute)) == len(suite.findall(path))


def test_the_schema_can_refuse() -> None:
    root = parsed(reports.sample())
    root[0].set("hostname", "here")
    assert not SCHEMA.validate(root)


def test_a_suite_a_patient_and_one_for_the_release() -> None:
    names = [suite.get("name") for suite in parsed(reports.sample())]
    assert names == ["release", *(one.patient for one in reports.sample().patients)]


def test_errors_fail_and_say_where() -> None:
    found = case(reports.sample(), "CRLM-CT-1001", "CTS ")
    (failure,) = found.findall("failure")
    assert failure.get("message") == "1 error of CTS008"
    assert "A slice is missing" in failure.text
    assert "f-51bc8aed2dc6" in failure.text
    assert "note CTS012" in found.findtext("system-out")


def test_warnings_and_notes_do_not_fail() -> None:
    found = case(reports.sample(), "CRLM-CT-1003", "CLN ")
    assert ended(found) == []
    assert "warning CLN010" in found.findtext("system-out")


def test_waived_findings_are_skipped_with_their_reason() -> None:
    (skipped,) = case(reports.sample(), "CRLM-CT-1020", "SEG ").findall("skipped")
    assert skipped.get("message") == "waived: Lesion annotated twice, confirmed by the authors"


def test_an_open_error_beside_a_waived_one_fails() -> None:
    base = reports.sample()
    findings = [*base.findings, replace(base.findings[0], waived="accepted", fingerprint="0" * 12)]
    found = case(replace(base, findings=findings), "CRLM-CT-1001", "CTS ")
    assert ended(found) == ["failure"]
    assert "waived: accepted" in found.findtext("system-out")


def test_what_was_not_run_is_no_pass() -> None:
    report = reports.sample()
    for suite, name in (("release", "PUB "), ("release", "PUB001"), ("CRLM-CT-1001", "PUB ")):
        (skipped,) = case(report, suite, name).findall("skipped")
        assert skipped.get("message") == "not run: only part of the release is audited"


def test_a_rule_that_was_not_run_is_told_though_others_of_its_family_were() -> None:
    base = reports.clean()
    skipped = Outcome("CTS012", Status.SKIPPED, reason="needs --depth pixels")
    report = replace(base, outcomes=tuple(skipped if one.rule == "CTS012" else one for one in base.outcomes))
    assert ended(case(report, "CRLM-CT-1001", "CTS ")) == []
    assert ended(case(report, "release", "CTS012")) == ["skipped"]


def test_crashes_and_what_could_not_be_read_are_errors() -> None:
    report = reports.incomplete()
    (crashed,) = case(report, "release", "SEG006").findall("error")
    assert crashed.get("message") == "crashed: IndexError at seg.py:12"
    (unread,) = case(report, "release", "Reading").findall("error")
    assert "permission denied" in unread.text
    assert ended(case(report, "CRLM-CT-1001", "SEG ")) == ["skipped"]


def test_no_host_and_no_clock() -> None:
    for element in parsed(reports.sample()).iter():
        assert not {"hostname", "timestamp"} & set(element.attrib)
        assert element.get("time", "0") == "0"


def test_provenance_stands_in_the_release_s_suite() -> None:
    names = [item.get("name") for item in parsed(reports.sample())[0].find("properties")]
    assert names[:4] == ["tool", "release", "collection", "verdict"]


def test_a_case_tells_of_so_many_findings_and_counts_the_rest() -> None:
    many = [replace(reports.missing_slice(1001), fingerprint=f"{number:012x}") for number in range(150)]
    text = case(replace(reports.sample(), findings=many), "CRLM-CT-1001", "CTS").findtext("failure")
    assert text is not None
    assert text.count("A slice is missing") == 100
    assert text.endswith("and 50 more in findings.json")
