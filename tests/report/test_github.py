"""Workflow commands, as the runner of GitHub Actions reads them."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reports

from crlm_qc.model.finding import Finding
from crlm_qc.model.report import Report, RuleText
from crlm_qc.model.severity import Severity
from crlm_qc.report import words
from crlm_qc.report.github import MOST, render

COMMAND = re.compile(r"::(?P<level>[a-z]+) (?P<properties>[^:]*)::(?P<message>.*)")


def undone(text: str, *, of_property: bool) -> str:
    pairs = {"%0D": "\r", "%0A": "\n", **({"%3A": ":", "%2C": ","} if of_property else {})}
    for code, character in pairs.items():
        text = text.replace(code, character)
    return text.replace("%25", "%")


def annotations(report: Report) -> list[tuple[str, str, str]]:
    """Level, title and message of each line, as the runner's own parser finds them."""
    found = []
    for line in render(report).splitlines():
        match = COMMAND.fullmatch(line)
        assert match, line
        properties = dict(pair.split("=", 1) for pair in match["properties"].split(","))
        assert list(properties) == ["title"]
        message = undone(match["message"], of_property=False)
        found.append((match["level"], undone(properties["title"], of_property=True), message))
    return found


def many(level: Severity, count: int) -> Report:
    """A report with one finding of each of many rules; rules of a higher number touch more patients."""
    base = reports.sample()
    codes = [f"CTS{number:03d}" for number in range(count)]
    rules = [RuleText(code, code.lower(), "plain", level, f"Title {code}", "Why.", "Fix.", "Source") for code in codes]
    found: list[Finding] = [
        replace(base.findings[0], rule=code, severity=level, patient=f"CRLM-CT-{1000 + patient}", fingerprint="0" * 12)
        for index, code in enumerate(codes)
        for patient in range(index + 1)
    ]
    return replace(base, rules=rules, findings=found, outcomes=())


def test_one_annotation_a_rule_and_the_verdict() -> None:
    found = annotations(reports.sample())
    assert [(level, title) for level, title, _ in found] == [
        ("error", "CTS008 Missing slice"),
        ("error", "DSO007 Referenced instance not on disk"),
        ("warning", "CLN010 Total response differs from its parts"),
        ("notice", "crlm-qc"),
    ]
    assert found[0][2].startswith("7 findings in 7 patients: CRLM-CT-1001, CRLM-CT-1003")
    assert "What to do: Find the slice" in found[0][2]
    assert found[-1][2] == f"{words.sentence(reports.sample())}."


@pytest.mark.parametrize("level", [Severity.ERROR, Severity.WARNING])
@pytest.mark.parametrize(("rules", "shown", "hidden"), [(MOST, MOST, 0), (MOST + 1, MOST, 2), (30, MOST, 21)])
def test_github_shows_ten_of_a_level_and_the_tenth_counts_the_rest(
    level: Severity, rules: int, shown: int, hidden: int
) -> None:
    found = [(title, message) for name, title, message in annotations(many(level, rules)) if name == level.value]
    assert len(found) == shown
    assert found[0][0] == f"CTS{rules - 1:03d} Title CTS{rules - 1:03d}", "the rule that touches most patients is first"
    if hidden:
        title, message = found[-1]
        assert title == f"{hidden} more rules with {level.value}s are not shown"
        assert message.count("Title CTS") == hidden


def test_notes_and_waived_findings_are_not_annotated() -> None:
    rendered = render(reports.sample())
    assert "CTS012" not in rendered
    assert "SEG006" not in rendered


def test_what_could_not_be_checked_is_an_error() -> None:
    level, title, message = annotations(reports.incomplete())[0]
    assert (level, title) == ("error", "Not everything could be checked")
    assert "permission denied" in message
    assert "SEG006 crashed: IndexError at seg.py:12" in message


@given(st.text(), st.text(min_size=1))
def test_no_text_breaks_out_of_its_command(message: str, title: str) -> None:
    base = reports.sample()
    rules = [replace(rule, title=title) for rule in base.rules]
    odd = replace(base, rules=rules, findings=[replace(base.findings[0], message=message)])
    found = annotations(odd)
    assert [level for level, _, _ in found] == ["error", "notice"]
    assert found[0][1].split() == f"CTS008 {words.clean(title)}".split()
    assert " ".join(words.clean(message).split()) in " ".join(found[0][2].split())


def test_a_case_is_one_annotation_with_what_follows_from_it() -> None:
    found = annotations(reports.with_cases())
    assert [title[:6] for _, title, _ in found] == ["CTS008", "DSO007", "CLN010", "crlm-q"]
    assert found[0][2].splitlines()[:2] == [
        "1 case of 2 findings in 1 patient: CRLM-CT-1001",
        "Missing or not as published",
    ]
    assert "\nSo DSO007: One is gone.\nWhat to do: " in found[0][2]
