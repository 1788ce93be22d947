import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from crlm_qc.evidence.store import FACTS_FILE, ReleaseError, contract, is_evidence, load, save
from crlm_qc.model.errors import UsageError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES, Column, Table, frame, schema
from crlm_qc.model.tolerances import Tolerances

FILLED = {
    "str": 'caf\N{LATIN SMALL LETTER E WITH ACUTE} "1,2"',
    "Int64": 2**40 + 1,
    "float64": 0.1 + 0.2,
    "boolean": True,
}


def filled(column: Column) -> object:
    if "JSON" in column.doc:
        return '{"Rows": 1}' if "JSON object" in column.doc else '["Rows"]'
    return FILLED[column.dtype]


@pytest.fixture
def evidence() -> Evidence:
    """In every table a row with all values, and one with the required ones alone."""
    tables = {}
    for name, table in TABLES.items():
        full = {column.name: filled(column) for column in table.columns}
        bare = {column.name: filled(column) for column in table.columns if column.required}
        tables[name] = frame(name, [full, bare])
    tolerances = {"position_mm": 0.01, "spacing_mm": 0.5, "spacing_fraction": 0.01}
    facts = Facts("release", "card", Depth.MASKS, ("CRLM-CT-1001",), ("a decoder is missing",), tolerances)
    return Evidence(facts, tables)


def test_what_was_saved_is_loaded(evidence, tmp_path):
    save(evidence, tmp_path / "new" / "folder")
    assert is_evidence(tmp_path / "new" / "folder")
    loaded = load(tmp_path / "new" / "folder")
    assert loaded.facts == evidence.facts
    for name in TABLES:
        pd.testing.assert_frame_equal(loaded[name], evidence[name])
        schema(name).validate(loaded[name])


def test_evidence_of_some_patients(tmp_path):
    rows = [{"patient": f"CRLM-CT-{n}", "folder": f"p{n}", "valid": True} for n in (1001, 1002)]
    files = [{"patient": one["patient"], "path": f"{one['folder']}/1.dcm", "kind": "ct"} for one in rows]
    clinical = [{"patient": one["patient"], "row": n} for n, one in enumerate(rows)]
    files.append({"path": "metadata.csv", "kind": "metadata"})
    tables = {
        "patients": frame("patients", rows),
        "files": frame("files", files),
        "clinical": frame("clinical", clinical),
    }
    save(Evidence(Facts("release"), tables), tmp_path)
    loaded = load(tmp_path, ["CRLM-CT-1002"])
    assert loaded["patients"]["patient"].tolist() == ["CRLM-CT-1002"]
    assert loaded["files"]["path"].tolist() == ["p1002/1.dcm", "metadata.csv"]
    assert len(loaded["clinical"]) == 2
    assert loaded.facts.patients_read == ("CRLM-CT-1002",)
    with pytest.raises(ReleaseError, match=r"no patient CRLM-CT-1003 in release \(did you mean"):
        load(tmp_path, ["CRLM-CT-1003"])


def test_empty_tables_keep_their_types(tmp_path):
    saved = Evidence()
    save(saved, tmp_path)
    loaded = load(tmp_path)
    for name in TABLES:
        pd.testing.assert_frame_equal(loaded[name], saved[name])


def test_saving_again_replaces(evidence, tmp_path):
    save(evidence, tmp_path)
    save(Evidence(), tmp_path)
    assert load(tmp_path)["slices"].empty


def test_other_folders_are_no_evidence(tmp_path):
    assert not is_evidence(tmp_path)
    assert not is_evidence(tmp_path / "nothing")
    (tmp_path / FACTS_FILE).write_text("[1]")
    assert not is_evidence(tmp_path)
    (tmp_path / FACTS_FILE).write_text("{")
    assert not is_evidence(tmp_path)
    with pytest.raises(ReleaseError, match="holds no evidence"):
        load(tmp_path)


OTHER = "holds evidence written by another version of crlm-qc: .*, collect it again from the release"


# The first is what builds wrote that counted versions by hand.
@pytest.mark.parametrize("version", [1, "0123456789abcdef", None])
def test_evidence_of_another_version_is_refused(evidence, tmp_path, version):
    save(evidence, tmp_path)
    raw = json.loads((tmp_path / FACTS_FILE).read_text())
    (tmp_path / FACTS_FILE).write_text(json.dumps(raw | {"version": version}))
    assert is_evidence(tmp_path)
    with pytest.raises(ReleaseError, match=OTHER):
        load(tmp_path)


def changed(table: Table, change: str) -> Table:
    first, *rest = table.columns
    columns = {
        "a column more": (*table.columns, Column("new", "str", "")),
        "a column less": table.columns[1:],
        "another name": (replace(first, name="new"), *rest),
        "another type": (replace(first, dtype="float64"), *rest),
        "another order": table.columns[::-1],
        "other words": (replace(first, doc="New.", unit="mm", source="New", required=not first.required), *rest),
    }
    return replace(table, columns=columns[change])


@pytest.mark.parametrize("change", ["a column more", "a column less", "another name", "another type", "another order"])
@pytest.mark.parametrize("name", ["files", "alignments"])
def test_a_change_of_a_table_makes_another_version(evidence, tmp_path, monkeypatch, name, change):
    save(evidence, tmp_path)
    monkeypatch.setitem(TABLES, name, changed(TABLES[name], change))
    with pytest.raises(ReleaseError, match=OTHER):
        load(tmp_path)


def test_a_table_that_comes_or_goes_makes_another_version(monkeypatch):
    before = contract()
    monkeypatch.delitem(TABLES, "lock")
    without = contract()
    monkeypatch.setitem(TABLES, "new", replace(TABLES["files"], name="new"))
    assert len({before, without, contract()}) == 3


def test_the_words_of_a_contract_make_no_other_version(monkeypatch):
    before = contract()
    monkeypatch.setitem(TABLES, "files", changed(TABLES["files"], "other words"))
    assert contract() == before


@pytest.mark.parametrize("damage", ["missing", "cut", "other columns", "rows lost", "no proof", "facts"])
def test_damaged_evidence_is_refused(evidence, tmp_path, damage):
    save(evidence, tmp_path)
    path = tmp_path / "slices.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "other columns":
        evidence["slices"].drop(columns="path").to_parquet(path)
    elif damage == "rows lost":
        evidence["slices"].iloc[:0].to_parquet(path, index=False)
    elif damage == "no proof":
        raw = json.loads((tmp_path / FACTS_FILE).read_text())
        del raw["tables"]
        (tmp_path / FACTS_FILE).write_text(json.dumps(raw))
    else:
        raw = json.loads((tmp_path / FACTS_FILE).read_text())
        (tmp_path / FACTS_FILE).write_text(json.dumps(raw | {"facts": {"root": "x"}}))
    with pytest.raises(ReleaseError, match="damaged"):
        load(tmp_path)


def test_evidence_that_says_nothing_of_tolerances_was_measured_with_those_by_default(evidence, tmp_path):
    save(evidence, tmp_path)
    raw = json.loads((tmp_path / FACTS_FILE).read_text(encoding="utf-8"))
    assert raw["facts"].pop("tolerances")["spacing_mm"] == 0.5
    (tmp_path / FACTS_FILE).write_text(json.dumps(raw), encoding="utf-8")
    assert load(tmp_path).facts.tolerances == Facts().tolerances == Tolerances().measuring


@pytest.mark.parametrize("tolerances", [[1], "spacing_mm", {"spacing_mm": "wide"}, None, {"spacing_mm": None}])
def test_tolerances_that_are_none_are_damage(evidence, tmp_path, tolerances):
    save(evidence, tmp_path)
    raw = json.loads((tmp_path / FACTS_FILE).read_text(encoding="utf-8"))
    raw["facts"]["tolerances"] = tolerances
    (tmp_path / FACTS_FILE).write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ReleaseError, match="damaged"):
        load(tmp_path)


@pytest.mark.parametrize("change", ["rows", "no JSON", "a column of another name"])
def test_a_table_and_its_proof_that_disagree_are_damage(evidence, tmp_path, change):
    table = evidence["dsos"]
    save(
        Evidence(evidence.facts, {**evidence.tables, "dsos": table.assign(missing="{") if change != "rows" else table}),
        tmp_path,
    )
    raw = json.loads((tmp_path / FACTS_FILE).read_text(encoding="utf-8"))
    proof = raw["tables"]["dsos"]
    if change == "rows":
        proof["rows"] += 1
    elif change == "a column of another name":
        # In Parquet's own words; those that Arrow leaves beside them still have it.
        path = tmp_path / "dsos.parquet"
        path.write_bytes(path.read_bytes().replace(b"series_uid", b"series_uie"))
        proof["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / FACTS_FILE).write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"dsos\.parquet is missing or damaged"):
        load(tmp_path)


def test_a_full_disk_leaves_no_evidence_and_no_half_file(evidence, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match="can't be written: no space left on device"):
        save(evidence, tmp_path)
    assert list(tmp_path.iterdir()) == []
