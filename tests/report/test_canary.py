"""Text from files is text in every format: no markup, no command, no formula, and nothing that moves a cursor."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from lxml import etree, html
from markdown_it import MarkdownIt
from support import reports

from crlm_qc.model.changes import Changes, compare
from crlm_qc.model.report import Report
from crlm_qc.report import FORMATS
from crlm_qc.report import changes as changes_formats
from crlm_qc.report.text import Style, several, single

MARK = "CANARY"
NASTY = (
    reports.HOSTILE,
    f"=HYPERLINK(1){MARK}",
    f"\n::error::{MARK}",
    f"\r\n##[error]{MARK}",
    f"--><img src=x onerror={MARK}>]]>",
    f"a|b`{MARK}`<!--",
    f"@{MARK} #1 [x](http://a.example) https://a.example",
    f"\x00\x08\x1b]8;;http://a.example\x07{MARK}\x9b2J",
    f"\u202e\u2066\ud83d\ufffe{MARK}",
    f'"\' onmouseover={MARK} x="',
    f"{{{{ {MARK} }}}}{{% x %}}{{0}}",
)
MOVES = {chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))} - {"\n", "\t"} | set(
    "\u202e\u2066\u2028\u200f"
)


def nasty(text: str) -> Report:
    """A report whose every text that may come from a file is this."""
    raw = json.dumps(reports.hostile().as_dict()).replace(json.dumps(reports.HOSTILE), json.dumps(text))
    return Report.from_dict(json.loads(raw))


def both(text: str) -> Changes:
    """The same, changed in some ways."""
    report = nasty(text)
    other = json.loads(json.dumps(report.as_dict()))
    other["findings"] = [
        {**other["findings"][0], "observed": f"{text}{text}"},
        {**other["findings"][0], "fingerprint": "1" * 12},
    ]
    return compare(report, Report.from_dict(other))


def decoded(rendered: str | bytes | Mapping[str, str | bytes]) -> str:
    if isinstance(rendered, Mapping):
        return "".join(decoded(content) for content in rendered.values() if not is_picture(content))
    return rendered if isinstance(rendered, str) else rendered.decode("utf-8")


def is_picture(content: str | bytes) -> bool:
    return isinstance(content, bytes) and content.startswith(b"RIFF")


def page_of(markdown: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def elements(document: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    for element in document.iter():
        if isinstance(element.tag, str):
            yield element.tag, tuple(sorted(element.attrib))


def shape(page: str) -> set[tuple[str, tuple[str, ...]]]:
    """Elements of a page with the names of their attributes: text from files must not change them."""
    return set(elements(html.document_fromstring(page)))


@pytest.fixture(params=NASTY, ids=range(len(NASTY)))
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_moves_the_cursor(text: str, form: str) -> None:
    rendered = decoded(FORMATS[form].renderer()(nasty(text)))
    assert not MOVES & set(rendered.replace("\r\n", "\n") if form == "csv" else rendered)
    rendered.encode("utf-8")


@pytest.mark.parametrize("form", changes_formats.FORMATS)
def test_nothing_in_a_comparison_moves_the_cursor(text: str, form: str) -> None:
    rendered = decoded(changes_formats.FORMATS[form].renderer()(both(text)))
    assert not MOVES & set(rendered)
    rendered.encode("utf-8")


def test_nothing_shown_in_the_terminal_moves_the_cursor(text: str) -> None:
    report = nasty(text)
    for style in (Style(), Style(ascii=True)):
        shown = several(report, report.findings, style) + "".join(single(report, one, style) for one in report.findings)
        assert not MOVES & set(shown)


def test_pages_have_the_elements_that_they_have_of_plain_text(text: str) -> None:
    for render, made in (
        (FORMATS["html"].renderer(), nasty),
        (changes_formats.FORMATS["html"].renderer(), both),
    ):
        # Paths may break after a slash, so the plain text has one.
        assert shape(render(made(text))) <= shape(render(made("plain/text")))


def test_markdown_has_the_elements_that_it_has_of_plain_text(text: str) -> None:
    for render, made in (
        (FORMATS["markdown"].renderer(), nasty),
        (changes_formats.FORMATS["markdown"].renderer(), both),
    ):
        assert shape(page_of(render(made(text)))) == shape(page_of(render(made("plain"))))
        assert "<!--" not in render(made(text))


def test_xml_has_the_elements_that_it_has_of_plain_text(text: str) -> None:
    def parsed(report: Report) -> list[tuple[str, tuple[str, ...]]]:
        return list(elements(etree.fromstring(FORMATS["junit"].renderer()(report))))

    assert parsed(nasty(text)) == parsed(nasty("plain"))


def test_annotations_are_as_many_as_of_plain_text(text: str) -> None:
    render = FORMATS["github"].renderer()
    lines = decoded(render(nasty(text))).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error", "::notice"]


def test_cells_are_no_formulas(text: str) -> None:
    rendered = decoded(FORMATS["csv"].renderer()(nasty(text)))
    rows = list(csv.reader(io.StringIO(rendered, newline=""), strict=True))
    assert [len(row) for row in rows] == [len(rows[0])] * 3
    assert not [cell for row in rows for cell in row if cell.lstrip().startswith(("=", "+", "-", "@"))]


def test_programs_read_what_was_there(text: str) -> None:
    raw = json.loads(FORMATS["json"].renderer()(nasty(text)))
    assert raw["findings"][0]["message"] == text
    assert json.loads(FORMATS["sarif"].renderer()(nasty(text)))["version"] == "2.1.0"
