"""The example in reports/example: small, and what crlm-qc makes today."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from crlm_qc.cli import app as cli
from crlm_qc.cli.pictures import saved_pictures
from crlm_qc.model.report import Report
from crlm_qc.report import html
from crlm_qc.report.json_format import render

EXAMPLE = Path(__file__).parents[1] / "reports" / "example"
AGAIN = "run nox -s example to make it again"


@pytest.fixture(scope="module")
def raw() -> Any:
    return json.loads((EXAMPLE / "findings.json").read_bytes())


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in EXAMPLE.rglob("*") if path.is_file()) < 1_000_000


def test_its_page_is_what_its_findings_render_to(raw: Any) -> None:
    report = Report.from_dict(raw)
    assert render(report) == (EXAMPLE / "findings.json").read_bytes(), AGAIN
    pictures = saved_pictures(report, EXAMPLE / "findings.json")
    assert html.render(report, pictures=pictures) == (EXAMPLE / "report.html").read_text(encoding="utf-8"), AGAIN


def found(raw: Any) -> list[tuple[Any, ...]]:
    """What does not depend on versions of libraries, which may write a header or a decimal otherwise."""
    return [
        (one["rule"], one["severity"], one["patient"], one["fingerprint"], one["count"], one["subject"]["column"])
        for one in raw["findings"]
    ]


def test_its_findings_are_those_of_the_demo(raw: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["demo", str(tmp_path / "demo"), "--jobs", "1"])
    assert end.value.code == 0
    now = json.loads((tmp_path / "demo" / "reports" / "findings.json").read_bytes())
    assert found(raw) == found(now), AGAIN
    for part in ("rules", "waivers", "settings"):
        assert raw[part] == now[part], AGAIN
    assert [(one["rule"], one["status"]) for one in raw["outcomes"]] == [
        (one["rule"], one["status"]) for one in now["outcomes"]
    ], AGAIN


def test_every_table_of_the_page_has_a_caption() -> None:
    page = (EXAMPLE / "report.html").read_text(encoding="utf-8")
    tables = page.split("<table")[1:]
    assert len(tables) > 5
    # What an assistive program reads out before a table: first in it, as HTML asks.
    assert all(re.match(r"[^>]*>\s*<caption", table) for table in tables)


def test_a_rule_that_passed_is_not_told_like_a_fault() -> None:
    page = (EXAMPLE / "report.html").read_text(encoding="utf-8")
    assert "none found</span>" in page
