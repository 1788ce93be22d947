"""What changed, in each of its formats."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from lxml import html
from markdown_it import MarkdownIt
from support import reports

from crlm_qc.model.changes import State, compare
from crlm_qc.model.report import Report, Verdict
from crlm_qc.model.settings import Settings
from crlm_qc.report.changes import FORMATS, SIGNS, difference, sentence, tone
from crlm_qc.report.changes import html as as_html
from crlm_qc.report.changes import json_format as as_json
from crlm_qc.report.changes import markdown as as_markdown
from crlm_qc.report.changes import text as as_text
from crlm_qc.report.text import Style

BASE = replace(reports.sample(), settings=Settings())
FIRST, *REST = BASE.findings
OLD = replace(BASE, findings=REST, tool_version="0.0.9")
NEW = replace(BASE, findings=[FIRST, replace(REST[0], observed="12.500 mm", count=2), *REST[2:]])
CHANGES = compare(OLD, NEW)
NOTHING = compare(BASE, BASE)


def test_the_case_has_something_of_each_kind() -> None:
    assert [CHANGES.counts[state] for state in (State.NEW, State.CHANGED, State.FIXED)] == [1, 1, 1]
    assert set(SIGNS) == set(State)


def test_sentence() -> None:
    assert sentence(CHANGES) == "1 new (1 error), 1 changed, 1 fixed, 8 persisting"
    assert sentence(NOTHING) == "Nothing new: 11 persisting"
    assert sentence(compare(reports.clean(), reports.clean())) == "No findings in either"
    assert sentence(compare(reports.clean(), reports.incomplete())) == (
        "No findings in either; the new audit could not check everything"
    )
    empty = reports.empty()
    assert sentence(compare(BASE, empty)) == "Nothing to compare: one of the audits had nothing to check"
    assert sentence(compare(empty, empty)) == "Nothing to compare: neither audit had anything to check"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (OLD, NEW, "error"),
        (BASE, BASE, "passed"),
        (BASE, reports.incomplete(), "warning"),
        (BASE, reports.empty(), "warning"),
    ],
)
def test_tone(old: Report, new: Report, said: str) -> None:
    assert tone(compare(old, new)) == said
    assert f'<section class="verdict {said}"' in as_html.render(compare(old, new))


SCHEMA = json.loads(files("crlm_qc.report.changes").joinpath("changes.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "pair", [(OLD, NEW), (NEW, OLD), (BASE, BASE), (BASE, reports.empty()), (BASE, reports.hostile())]
)
def test_json_follows_its_schema(pair: tuple[Report, Report]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(json.loads(as_json.render(compare(*pair))))


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("changes", 0, "state"), "newer"),
        (("changes", 0, "finding", "count"), 0),
        (("summary", "new"), -1),
        (("old", "incomplete"), "no"),
    ],
)
def test_the_schema_refuses(place: tuple[Any, ...], wrong: object) -> None:
    raw = json.loads(as_json.render(CHANGES))
    inner = raw
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = wrong
    assert not Draft202012Validator(SCHEMA).is_valid(raw)


def test_the_schema_knows_every_word_and_key() -> None:
    raw = json.loads(as_json.render(CHANGES))
    assert list(raw) == list(SCHEMA["properties"])
    assert SCHEMA["properties"]["summary"]["required"] == list(State)
    assert SCHEMA["properties"]["changes"]["items"]["properties"]["state"]["enum"] == list(State)
    assert list(raw["new"]) == list(SCHEMA["$defs"]["audit"]["properties"])
    assert SCHEMA["$defs"]["audit"]["properties"]["summary"]["properties"]["verdict"]["enum"] == list(Verdict)
    whole = json.loads(files("crlm_qc.report").joinpath("findings.schema.json").read_text(encoding="utf-8"))
    assert SCHEMA["$defs"]["finding"] == whole["$defs"]["finding"]
    for name in ("count", "code", "severity"):
        assert SCHEMA["$defs"][name] == whole["$defs"][name]


def test_a_changed_finding_says_what_it_was() -> None:
    (change,) = CHANGES.of(State.CHANGED)
    assert difference(change).endswith("observed 12.500 mm; 2 times; was 10.000 mm; was once")


def test_text() -> None:
    lines = as_text.render(CHANGES).splitlines()
    assert lines[0].startswith("old  manifest-1669817128730, crlm-qc 0.0.9: Not conformant")
    assert "✕ NEW  1 finding" in lines
    assert "✓ FIXED  1 finding" in lines
    assert "PERSISTING" not in as_text.render(CHANGES)
    assert lines[-1] == "1 new (1 error), 1 changed, 1 fixed, 8 persisting."
    assert as_text.render(CHANGES, Style(ascii=True, width=60)).isascii()
    painted = as_text.render(CHANGES, Style(colour=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == as_text.render(CHANGES)


def test_long_lists_are_counted_in_the_text() -> None:
    many = [replace(FIRST, fingerprint=f"{number:012x}") for number in range(as_text.MAX_PER_STATE + 3)]
    assert "and 3 more: give -o json" in as_text.render(compare(OLD, replace(NEW, findings=many)))


def test_json() -> None:
    raw = json.loads(as_json.render(CHANGES))
    assert raw["schema_version"] == 1
    assert raw["summary"] == {state.value: CHANGES.counts[state] for state in State}
    assert len(raw["changes"]) == 11
    (changed,) = [one for one in raw["changes"] if one["state"] == "changed"]
    assert (changed["before"]["observed"], changed["finding"]["observed"]) == ("10.000 mm", "12.500 mm")
    assert raw["old"]["version"] == "0.0.9"


def test_markdown() -> None:
    rendered = as_markdown.render(CHANGES)
    page = html.fragment_fromstring(
        MarkdownIt("commonmark", {"html": True}).enable("table").render(rendered), create_parent="div"
    )
    assert [heading.text for heading in page.iterfind("h3")] == [
        "✕ New: 1 finding",
        "! Changed: 1 finding",
        "✓ Fixed: 1 finding",
    ]
    assert len(page.findall(".//tbody/tr")) == 3
    assert len(as_markdown.render(CHANGES, 1000).encode()) <= 1000
    assert "Cut here" in as_markdown.render(CHANGES, 1000)


def test_html_lists_every_finding_and_asks_the_network_for_nothing() -> None:
    rendered = as_html.render(CHANGES)
    page = html.document_fromstring(rendered)
    assert len(page.findall(".//tbody/tr")) == 11
    assert len({row.get("id") for row in page.iterfind(".//tbody/tr")}) == 11
    assert page.findtext(".//h1") == sentence(CHANGES)
    policy = page.xpath("string(//meta[@http-equiv='Content-Security-Policy']/@content)")
    assert "default-src 'none'" in policy
    style = page.findtext(".//style")
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert not page.findall(".//script")
    assert "http://" not in rendered
    assert "https://" not in rendered
    for link in page.iterfind(".//nav/a"):
        assert page.get_element_by_id(link.get("href")[1:]) is not None


def test_html_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_html, "MAX_ROWS", 5)
    page = html.document_fromstring(as_html.render(CHANGES))
    assert len(page.findall(".//tbody/tr")) == 3 + 5
    assert "5 of 8 are listed" in page.text_content()


@pytest.mark.parametrize("form", FORMATS)
def test_equal_changes_give_equal_bytes(form: str) -> None:
    render = FORMATS[form].renderer()
    assert render(CHANGES) == render(compare(OLD, NEW))
    assert render(NOTHING)
