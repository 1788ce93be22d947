"""Saved evidence judged in batches comes to the same report as judged at once, and the release is judged on less."""

from pathlib import Path

import pandas as pd
import pytest
from support.frames import PATIENTS, Case, clean

from crlm_qc.auditing import batches
from crlm_qc.auditing.batches import HELD, batched, judge_saved
from crlm_qc.auditing.judging import judge
from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import store
from crlm_qc.evidence.store import save, saved
from crlm_qc.model.errors import ReleaseError, UsageError
from crlm_qc.model.part import Part
from crlm_qc.model.settings import Settings
from crlm_qc.model.tables import TABLES
from crlm_qc.report.json_format import render
from crlm_qc.rulebook.rule import RuleKind, Scope
from crlm_qc.rules import registry

SETTINGS = Settings(subset=True, known_issues=False)
MANY = tuple(f"CRLM-CT-{number}" for number in range(1001, 1006))


def faulty() -> Case:
    case = clean(MANY)
    case.change(case.ct(patient=MANY[0])[:4], manufacturer="", rescale_slope=2.0)
    case.change([case.dso(MANY[2])], frame_of_reference_uid=None)
    case.change(case.frames(1, MANY[3])[:1], position_x=5.0)
    named = next(row for row in case.of("references", MANY[4]) if row["level"] == "frame")
    case.change([named], sop_instance_uid=case.slice(3, MANY[0])["sop_instance_uid"])
    return case


@pytest.fixture(params=[False, True], ids=["names", "redacted"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return Settings(subset=True, known_issues=False, redact_paths=request.param)


def test_batches_come_to_the_same_report(
    profile: Profile, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROWS_A_GROUP", 10)
    save(faulty().evidence(), tmp_path)
    whole = judge(saved(tmp_path).whole(), profile, settings)
    report, _ = judge_saved(saved(tmp_path), profile, settings, jobs=1, size=1)
    assert len(report.findings) > 4
    assert render(report) == render(whole)


def test_many_patients_are_judged_by_several_processes(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(faulty().evidence(), tmp_path)
    whole = audit(tmp_path, profile=profile, settings=SETTINGS)
    monkeypatch.setattr(batches, "MANY", 2)
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    told: list[tuple[str, int, int]] = []
    report = audit(tmp_path, profile=profile, settings=SETTINGS, jobs=2, progress=lambda *of: told.append(of))
    assert render(report) == render(whole)
    assert {phase for phase, _, _ in told} == {batches.JUDGING}


def test_a_part_of_saved_evidence_is_refused_however_many_patients_it_has(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(clean().evidence(), tmp_path)
    monkeypatch.setattr(batches, "MANY", 1)
    with pytest.raises(UsageError, match="--part is of a release"):
        audit(tmp_path, profile=profile, settings=SETTINGS, part=Part(1, 2))


def test_a_table_that_was_changed_is_refused(profile: Profile, tmp_path: Path) -> None:
    save(clean().evidence(), tmp_path)
    with (tmp_path / "frames.parquet").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ReleaseError, match="frames.parquet is not as it was saved"):
        judge_saved(saved(tmp_path), profile, SETTINGS, jobs=1)


def test_parts_are_never_divided() -> None:
    parts = [("a", "b", "c"), ("d",), ("e", "f"), ("g",)]
    assert list(batched(parts, 2)) == [("a", "b", "c"), ("d", "e", "f"), ("g",)]


def test_rules_on_the_release_declare_no_table_that_is_not_held() -> None:
    unheld = {name for name, columns in HELD.items() if not columns}
    assert {
        column for name, columns in HELD.items() for column in columns if column not in TABLES[name].dtypes
    } == set()
    wanting = {
        item.code: sorted(unheld & set(item.tables))
        for item in registry()
        if item.scope is Scope.RELEASE and item.kind is not RuleKind.AUDIT and unheld & set(item.tables)
    }
    assert wanting == {}


def test_rows_of_some_patients_are_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROWS_A_GROUP", 7)
    evidence = faulty().evidence()
    save(evidence, tmp_path)
    read = saved(tmp_path).of(PATIENTS, {"files", "slices", "metadata"}, nobody=False)
    for name in ("files", "slices", "metadata"):
        table = evidence[name]
        own = table[table["patient"].isin(list(PATIENTS))].reset_index(drop=True)
        pd.testing.assert_frame_equal(read[name], own)
    assert read["clinical"].empty
    nobody = saved(tmp_path).of([], {"files"}, nobody=True)
    assert nobody["files"]["patient"].isna().all()
    assert len(nobody["clinical"]) == len(evidence["clinical"])
