"""The page."""

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from support import reports

from crlm_qc.report import html, words
from crlm_qc.report.html import render, view

VOID = {"meta", "link", "input", "br", "rect", "wbr"}


class Page(HTMLParser):
    """Elements, text and nesting of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, f"{tag} closes another element"

    def handle_data(self, data: str) -> None:
        inside = self.stack[-1] if self.stack else ""
        {"script": self.scripts, "style": self.styles}.get(inside, self.text).append(data)

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs in self.elements if (value := attrs.get(name)) is not None]

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


REPORTS = {
    "sample": reports.sample(),
    "clean": reports.clean(),
    "incomplete": reports.incomplete(),
    "empty": reports.empty(),
    "hostile": reports.hostile(),
}


@pytest.mark.parametrize("name", REPORTS)
def test_page_is_whole(name: str) -> None:
    page = Page(render(REPORTS[name]))
    ids = page.attributes("id")
    assert [key for key, count in Counter(ids).items() if count > 1] == []
    targets = {link[1:] for link in page.attributes("href") if link.startswith("#")}
    assert targets <= set(ids), f"links without a target: {targets - set(ids)}"
    assert sum(tag == "h1" for tag, _ in page.elements) == 1


@pytest.mark.parametrize("name", REPORTS)
def test_title_and_heading_are_the_verdict(name: str) -> None:
    text = render(REPORTS[name])
    sentence = words.sentence(REPORTS[name])
    assert f"<title>{sentence}</title>" in text
    assert f">{sentence}.</h1>" in text


def test_text_from_files_stays_text() -> None:
    clean_page, page = Page(render(reports.sample())), Page(render(reports.hostile()))
    assert len(page.scripts) == len(clean_page.scripts) == 1
    assert page.scripts == clean_page.scripts
    assert words.clean(reports.HOSTILE) in page.words()
    assert not [tag for tag, attrs in page.elements for name in attrs if name.startswith("on")]
    assert not {"\x1b", "\u202e"} & set(render(reports.hostile()))


def test_policy_lets_nothing_run_but_the_page_itself() -> None:
    page = Page(render(reports.sample()))
    policy = next(attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv"))
    assert policy is not None

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest(page.scripts[0])}'" in policy
    assert f"style-src 'sha256-{digest(page.styles[0])}'" in policy
    assert "unsafe" not in policy
    assert not page.attributes("style"), "the policy would drop it"


def test_page_asks_the_network_for_nothing() -> None:
    page = Page(render(reports.sample()))
    assert not page.attributes("src")
    assert [link for link in page.attributes("href") if not link.startswith(("#", "data:,"))] == [
        "https://doi.org/10.7937/QXK2-QG03"
    ]
    for forbidden in ("url(", "@import", "fetch(", "localStorage", "import("):
        assert forbidden not in page.styles[0] + page.scripts[0]


def test_page_reads_without_script() -> None:
    page = Page(render(reports.sample()))
    for finding in reports.sample().findings:
        assert finding.message in page.words()
        assert f"f-{finding.fingerprint}" in page.attributes("id")
    for text in reports.RULES:
        assert f"r-{text.code}" in page.attributes("id")
        for part in (text.title, text.why, text.fix, text.source):
            assert part in page.words()
    for patient in reports.sample().patients:
        assert f"p-{patient.patient}" in page.attributes("id")
    controls = next(attrs for tag, attrs in page.elements if attrs.get("class") == "controls")
    assert "hidden" in controls


def test_what_was_not_checked_is_said() -> None:
    page = Page(render(reports.incomplete())).words()
    assert "permission denied" in page
    assert "IndexError at seg.py:12" in page
    assert "Everything that was asked for was checked." not in page
    assert "Everything that was asked for was checked." in Page(render(reports.clean())).words()
    assert "only part of the release is audited: 1 rule" in Page(render(reports.sample())).words()


def test_equal_reports_give_equal_pages() -> None:
    assert render(reports.sample()) == render(reports.sample())


def test_a_patient_that_only_a_table_names_has_a_row() -> None:
    base = reports.sample()
    lone = replace(base.findings[0], patient="CRLM-CT-1190", fingerprint="0" * 12)
    page = Page(render(replace(base, findings=[lone])))
    assert "p-CRLM-CT-1190" in page.attributes("id")
    assert "no folder on disk" in page.words()


def test_rows_over_the_cap_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MAX_ROWS", 4)
    page = Page(render(reports.sample()))
    kept = [value for value in page.attributes("id") if re.fullmatch("f-[0-9a-f]{12}", value)]
    assert len(kept) == 4
    assert {link[1:] for link in page.attributes("href") if link.startswith("#")} <= set(page.attributes("id"))
    assert "7 more stand in findings.json alone" in page.words()
    assert "7 findings of 11 stand in findings.json alone" in page.words()


def test_fix_first_takes_the_gravest_and_widest_and_no_note() -> None:
    codes = [rule.text.code for rule in view.View(reports.sample()).fix_first]
    assert codes == ["CTS008", "DSO007", "CLN010"]


def test_worst_patients_come_first() -> None:
    names = [patient.patient for patient in view.View(reports.sample()).patients]
    assert names[:2] == ["CRLM-CT-1003", "CRLM-CT-1001"]
    assert names[-1] == "CRLM-CT-1020"


def test_anchors_hold_nothing_that_a_link_can_not() -> None:
    assert view.anchor("CRLM-CT-1001") == "CRLM-CT-1001"
    assert view.anchor('patient[3] "x"') == "patient-3---x-"


def test_a_whole_release_stays_small() -> None:
    base = reports.sample()
    many = [replace(reports.missing_slice(1000), fingerprint=f"{index:012x}") for index in range(1400)]
    patients = [replace(base.patients[0], patient=f"CRLM-CT-{1001 + index}") for index in range(197)]
    assert len(render(replace(base, findings=many, patients=patients))) < 3_000_000
    assert html.MAX_ROWS == 5000
