"""findings.json and its schema."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import reports

from crlm_qc.model.changes import State, with_baseline
from crlm_qc.model.finding import Kind
from crlm_qc.model.outcome import Status
from crlm_qc.model.severity import Severity
from crlm_qc.model.wholeness import ListedBy
from crlm_qc.report.json_format import render

SCHEMA = json.loads(files("crlm_qc.report").joinpath("findings.schema.json").read_text(encoding="utf-8"))
REPORTS = {
    "sample": reports.sample(),
    "clean": reports.clean(),
    "incomplete": reports.incomplete(),
    "empty": reports.empty(),
    "hostile": reports.hostile(),
    "lacking": reports.lacking(),
    "compared": with_baseline(reports.lacking(), reports.sample(), "the audit of 2026-11-20 09:14 UTC"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_output_follows_the_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(json.loads(render(REPORTS[name])))


def test_the_schema_can_refuse() -> None:
    raw = json.loads(render(reports.sample()))
    raw["findings"][0]["fingerprint"] = "no"
    assert not Draft202012Validator(SCHEMA).is_valid(raw)


def undocumented(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    """Keys of a value that the schema does not describe, and keys it describes that are not there."""
    schema = SCHEMA["$defs"]["finding"] if schema == {"$ref": "#/$defs/finding"} else schema
    if "properties" in schema and isinstance(value, dict):
        for key in value.keys() ^ schema["properties"].keys():
            yield f"{where}.{key}"
        for key in value.keys() & schema["properties"].keys():
            yield from undocumented(value[key], schema["properties"][key], f"{where}.{key}")
    if "items" in schema:
        for item in value:
            yield from undocumented(item, schema["items"], where + "[]")


def test_the_schema_describes_every_key() -> None:
    raw = json.loads(render(REPORTS["compared"]))
    assert sorted(set(undocumented(raw, SCHEMA, ""))) == []


def test_the_schema_knows_every_word() -> None:
    assert SCHEMA["properties"]["wholeness"]["properties"]["listed_by"]["enum"] == list(ListedBy)
    found = SCHEMA["$defs"]["finding"]["properties"]
    assert found["baseline"]["properties"]["state"]["enum"] == list(State)
    assert found["subject"]["properties"]["kind"]["enum"] == list(Kind)
    assert SCHEMA["$defs"]["severity"]["enum"] == list(Severity)
    assert SCHEMA["properties"]["outcomes"]["items"]["properties"]["status"]["enum"] == list(Status)


def test_keys_stand_in_the_order_of_the_schema() -> None:
    raw = json.loads(render(REPORTS["compared"]))
    assert list(raw) == list(SCHEMA["properties"])
    assert list(raw["findings"][0]) == list(SCHEMA["$defs"]["finding"]["properties"])


def test_equal_reports_give_equal_bytes_with_a_line_end() -> None:
    assert render(reports.sample()) == render(reports.sample())
    assert render(reports.sample()).endswith(b"}\n")


def test_names_that_are_no_utf8_are_escaped() -> None:
    base = reports.sample()
    odd = replace(base, release=replace(base.release, root="caf\udce9 é"))
    assert json.loads(render(odd))["release"]["root"] == "caf\udce9 é"
    assert b"caf\\udce9 \xc3\xa9" in render(odd)
