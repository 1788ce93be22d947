"""Earlier audits: which are kept, which a new one is compared with, and which it may replace."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import reports

from crlm_qc.model.changes import State
from crlm_qc.model.errors import UsageError
from crlm_qc.model.part import Part
from crlm_qc.model.report import ExitCode, Report, Run
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.trend import Trend
from crlm_qc.report import FORMATS, json_format, words
from crlm_qc.request.request import Request
from crlm_qc.request.runs import Earlier, Runs, baseline_of, refuse_narrower
from crlm_qc.request.summaries import scope_digest, summary_file

WHEN = "2026-11-20 09:14 UTC"
SAMPLE = reports.sample()


def of(settings: Settings, report: Report = SAMPLE) -> Report:
    return replace(report, settings=settings)


def write(folder: Path, report: Report, name: str = "findings.json") -> Path:
    path = folder / name
    path.write_bytes(json_format.render(report))
    return path


@pytest.mark.parametrize(
    ("there", "asked", "said"),
    [
        (Settings(), Settings(depth=Depth.HEADERS), "it was read at depth pixels, and this one at headers"),
        (Settings(), Settings(subset=True), "it is of the whole release, and this one of a subset"),
        (Settings(), Settings(patients=("A", "B")), "it is of all patients, and this one of 2"),
        (Settings(patients=("A", "B")), Settings(patients=("A",)), "this one leaves out 1 patient of it"),
        (Settings(), Settings(select=("CTS008",)), "rules of it by --select"),
        (
            Settings(depth=Depth.MASKS),
            Settings(depth=Depth.HEADERS, subset=True),
            "depth masks, and this one at headers",
        ),
    ],
)
def test_a_smaller_audit_does_not_replace_a_larger_one(
    tmp_path: Path, there: Settings, asked: Settings, said: str
) -> None:
    path = write(tmp_path, of(there))
    with pytest.raises(UsageError, match=r"--out FOLDER, or replace it with --force") as refused:
        refuse_narrower(Request(settings=asked), tmp_path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_part_does_not_replace_all_patients(tmp_path: Path) -> None:
    write(tmp_path, SAMPLE)
    with pytest.raises(UsageError, match="part 3/16"):
        refuse_narrower(Request(part=Part(3, 16)), tmp_path)
    write(tmp_path, of(Settings(patients=("A",))))
    refuse_narrower(Request(part=Part(3, 16)), tmp_path)


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        (Settings(), Settings()),
        (Settings(depth=Depth.HEADERS, subset=True), Settings()),
        (Settings(patients=("A",)), Settings(patients=("B",))),
        (Settings(patients=("A",)), Settings(subset=True)),
        (Settings(), Settings(ignore=("CTS012",))),
        (Settings(), Settings(severity={"CTS012": Severity.ERROR})),
    ],
)
def test_an_audit_that_is_no_smaller_replaces_what_lies_there(tmp_path: Path, there: Settings, asked: Settings) -> None:
    write(tmp_path, of(there))
    refuse_narrower(Request(settings=asked), tmp_path)


def test_what_is_no_audit_is_replaced(tmp_path: Path) -> None:
    headers = Request(settings=Settings(depth=Depth.HEADERS))
    refuse_narrower(headers, tmp_path)
    (tmp_path / "findings.json").write_text("{")
    refuse_narrower(headers, tmp_path)
    write(tmp_path, reports.empty())
    refuse_narrower(headers, tmp_path)


def test_runs_are_kept_by_number_and_the_oldest_go(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for _ in range(4):
        runs.keep(SAMPLE, WHEN, 3)
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    runs.keep(SAMPLE, WHEN, 3)
    assert [run.path.name for run in runs.kept()] == [f"{number:04}-20261120T0914Z.json" for number in (5, 4, 3)]
    assert [run.when for run in runs.kept()] == [WHEN] * 3
    assert (tmp_path / "runs" / "notes.txt").is_file()
    runs.keep(SAMPLE, WHEN, 0)
    assert runs.kept() == []


def test_the_last_is_the_newest_of_the_same_scope(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    assert runs.last(SAMPLE) is None
    # Of an earlier version there is no more than the newest.
    write(tmp_path, SAMPLE)
    found = runs.last(SAMPLE)
    assert found is not None
    assert found.name == "the last audit"
    runs.keep(SAMPLE, WHEN, 9)
    runs.keep(of(Settings(depth=Depth.HEADERS)), "2026-11-21 09:14 UTC", 9)
    runs.keep(replace(SAMPLE, release=replace(SAMPLE.release, root="another")), "2026-11-22 09:14 UTC", 9)
    (tmp_path / "runs" / "0099-20261123T0914Z.json").write_text("{")
    found = runs.last(SAMPLE)
    assert found is not None
    assert found.name == f"the audit of {WHEN}"
    assert runs.last(of(Settings(patients=("A",)))) is None


def test_a_release_that_was_downloaded_again_is_the_same(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.keep(replace(SAMPLE, release=replace(SAMPLE.release, root="manifest-1")), WHEN, 9)
    assert runs.last(replace(SAMPLE, release=replace(SAMPLE.release, root="manifest-2"))) is not None


def test_a_baseline_is_named_or_the_last(tmp_path: Path) -> None:
    path = write(tmp_path, SAMPLE, "old.json")
    named = baseline_of(Request(baseline=str(path)), tmp_path)
    assert named is not None
    assert (named.name, json_format.render(named.report)) == ("the baseline old.json", json_format.render(SAMPLE))
    write(tmp_path, SAMPLE)
    folder = baseline_of(Request(baseline=str(tmp_path)), tmp_path)
    assert folder is not None
    assert folder.name == "the baseline findings.json"
    assert baseline_of(Request(baseline="last"), tmp_path) is None
    assert baseline_of(Request(), tmp_path) is None
    with pytest.raises(UsageError, match="--baseline FILE, or --baseline last"):
        baseline_of(Request(new_alone=True), tmp_path)
    with pytest.raises(UsageError, match="had nothing to check"):
        baseline_of(Request(baseline=str(write(tmp_path, reports.empty(), "empty.json"))), tmp_path)
    with pytest.raises(UsageError, match=r"none\.json can't be read"):
        baseline_of(Request(baseline=str(tmp_path / "none.json")), tmp_path)


# --- what a report says beside a baseline


def beside(old: Report, new: Report = SAMPLE) -> Report:
    return Earlier(old, "the baseline old.json").beside(new)


def without(number: int, report: Report = SAMPLE) -> Report:
    return replace(report, findings=report.findings[number:])


def test_only_what_is_worse_than_the_baseline_fails() -> None:
    assert SAMPLE.exit_code() is ExitCode.FINDINGS
    assert beside(SAMPLE).exit_code() is ExitCode.FINDINGS
    assert beside(SAMPLE).exit_code(new_alone=True) is ExitCode.CLEAN
    assert beside(without(1)).exit_code(new_alone=True) is ExitCode.FINDINGS
    # Nothing is known of what is new where nothing is compared with.
    assert SAMPLE.exit_code(new_alone=True) is ExitCode.FINDINGS


def test_a_rule_that_the_baseline_did_not_run_is_no_regression() -> None:
    code = SAMPLE.findings[0].rule
    old = replace(
        SAMPLE,
        findings=[one for one in SAMPLE.findings if one.rule != code],
        outcomes=[one for one in SAMPLE.outcomes if one.rule != code],
    )
    told = beside(old)
    assert {one.baseline.state for one in told.findings if one.rule == code and one.baseline} == {State.NEW_RULE}
    assert told.exit_code(new_alone=True) is ExitCode.CLEAN


def test_a_finding_that_has_risen_fails() -> None:
    first = SAMPLE.findings[0]
    old = replace(SAMPLE, findings=[replace(first, severity=Severity.WARNING), *SAMPLE.findings[1:]])
    told = beside(old)
    assert words.standing(told.findings[0]) == "changed, was a warning"
    assert told.exit_code(new_alone=True) is ExitCode.FINDINGS
    assert beside(old).exit_code(Severity.WARNING, new_alone=True) is ExitCode.CLEAN


def test_without_a_baseline_nothing_is_said() -> None:
    raw = json_format.render(SAMPLE)
    assert b'"baseline"' not in raw
    assert words.since(SAMPLE) == ""


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "html-dir"])
def test_every_format_says_what_is_new_and_what_is_gone(name: str) -> None:
    old, new = without(0), replace(without(1), findings=SAMPLE.findings[1:])
    worse, better = beside(new, old), beside(old, new)
    plain = str(FORMATS[name].renderer()(SAMPLE))
    told, gone = str(FORMATS[name].renderer()(worse)), str(FORMATS[name].renderer()(better))
    assert "1 new" in told or '"new"' in told or ",new" in told
    assert "1 fixed" in gone or '"fixed"' in gone or ",fixed" in gone
    assert ("persisting" in plain, "baseline old" in plain) == (False, False)


def test_the_report_comes_back_from_its_file() -> None:
    told = beside(without(1), without(0))
    told = beside(SAMPLE, told) if told.baseline is None else told
    raw = json_format.render(told)
    assert json_format.render(Report.from_dict(json.loads(raw))) == raw


def test_the_page_names_and_links_what_is_new_and_what_is_gone() -> None:
    first = SAMPLE.findings[0]
    new = str(FORMATS["html"].renderer()(beside(without(1))))
    section = new.partition('id="since"')[2].partition("</section>")[0]
    assert f'href="#f-{first.fingerprint}"' in section
    assert '<option value="new">' in new
    assert new.count('data-since="new"') == 1
    gone = str(FORMATS["html"].renderer()(beside(SAMPLE, without(1))))
    section = gone.partition('id="since"')[2].partition("</section>")[0]
    assert f'<span class="mono">f-{first.fingerprint}</span>' in section
    assert 'id="since"' not in str(FORMATS["html"].renderer()(SAMPLE))


def test_sarif_says_it_in_its_own_words() -> None:
    first = SAMPLE.findings[0]
    old = replace(SAMPLE, findings=[one for one in SAMPLE.findings if one.rule != first.rule])
    results = json.loads(str(FORMATS["sarif"].renderer()(beside(old)), "utf-8"))["runs"][0]["results"]
    states = {one["ruleId"]: one["baselineState"] for one in results}
    assert states.pop(first.rule) == "new"
    assert set(states.values()) == {"unchanged"}
    # Nobody opens an alert for what is gone.
    gone = replace(SAMPLE, findings=SAMPLE.findings[1:])
    run = json.loads(str(FORMATS["sarif"].renderer()(beside(SAMPLE, gone)), "utf-8"))["runs"][0]
    assert run["properties"]["fixed"] == [first.fingerprint]
    assert "absent" not in {one["baselineState"] for one in run["results"]}


def test_folders_that_are_not_to_be_named_are_not_told_of_the_baseline() -> None:
    gone = replace(of(Settings(redact_paths=True)), findings=SAMPLE.findings[1:])
    told = beside(SAMPLE, gone)
    assert told.baseline is not None
    assert (told.baseline.summary["fixed"], list(told.baseline.gone)) == (1, [])


# --- the trend over those that are kept


def at(day: int, report: Report = SAMPLE) -> Report:
    return replace(report, run=Run(f"2026-11-{day:02} 09:14 UTC", 1.0, {}, "Linux"))


def kept_each(folder: Path, *audits: Report, most: int = 30) -> Runs:
    runs = Runs(folder)
    for report in audits:
        assert report.run is not None
        runs.keep(report, report.run.started, most)
    return runs


def told(trend: Trend | None) -> list[tuple[str, int]]:
    return [] if trend is None else [(one.day[-2:], one.error) for one in trend.audits]


def test_a_trend_is_over_audits_of_the_same_scope(tmp_path: Path) -> None:
    runs = kept_each(tmp_path, at(1), at(2, of(Settings(depth=Depth.HEADERS))), at(3, without(2)))
    assert told(runs.trend(at(4, without(5)), 30)) == [("01", 8), ("03", 6), ("04", 3)]
    assert runs.trend(at(4, of(Settings())), 30) is None, "one alone is none"
    assert Runs(tmp_path / "none").trend(at(4), 30) is None


def test_saved_results_have_the_trend_that_the_audit_had(tmp_path: Path) -> None:
    for day in range(1, 6):
        runs, newest = Runs(tmp_path), at(day, without(day))
        before = runs.trend(newest, 3)
        kept_each(tmp_path, newest, most=3)
        assert runs.trend(newest) == before
    assert told(before) == [("03", 5), ("04", 4), ("05", 3)]
    assert runs.trend(at(9)) is None, "results of another audit than the newest"
    assert runs.trend(SAMPLE) is None, "results that tell no time"


def test_a_trend_is_of_so_many_at_most_and_none_where_nothing_is_kept(tmp_path: Path) -> None:
    runs = kept_each(tmp_path, *(at(day) for day in range(1, 16)))
    assert [day for day, _ in told(runs.trend(at(16), 30))] == [f"{day:02}" for day in range(7, 17)]
    assert runs.trend(at(16), 0) is None


def test_where_output_is_reproducible_there_is_no_trend(tmp_path: Path) -> None:
    runs, newest = kept_each(tmp_path, at(1)), at(2)
    assert newest.run is not None
    assert runs.trend(newest, 30) is not None
    assert runs.trend(replace(newest, run=replace(newest.run, seconds=None)), 30) is None


def test_a_trend_reads_no_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = kept_each(tmp_path, at(1), at(2))
    monkeypatch.setattr("crlm_qc.request.summaries.load_report", None)
    assert len(told(runs.trend(at(3), 30))) == 3


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"[]",
        b'{"scope": 1}',
        b"\xff",
        b"[" * 100_000,
        b" " * 5_000 + b"{}",
        b'{"scope": "S", "tool_version": "0.1", "error": -1, "warning": 0, "cases": 0}',
        b'{"scope": "S", "tool_version": "0.1", "error": true, "warning": 0, "cases": 0}',
        b'{"scope": "S", "tool_version": "0.1", "error": 10000000000, "warning": 0, "cases": 0}',
        b'{"scope": "S", "tool_version": "<b>", "error": 0, "warning": 0, "cases": 0}',
    ],
)
def test_a_damaged_summary_is_made_anew_and_a_damaged_audit_is_named(tmp_path: Path, damage: bytes) -> None:
    runs = kept_each(tmp_path, at(1), at(2), at(3))
    third, second, _ = (run.path for run in runs.kept())
    damage = damage.replace(b'"S"', json.dumps(scope_digest(SAMPLE)).encode())
    summary_file(third).write_bytes(damage)
    summary_file(second).write_bytes(damage)
    second.write_text("{")
    trend = runs.trend(at(4), 30)
    assert told(trend) == [("01", 8), ("03", 8), ("04", 8)]
    assert trend is not None
    assert trend.unread == [second.name]
    assert json.loads(summary_file(third).read_bytes())["error"] == 8


def test_summaries_go_with_their_audits(tmp_path: Path) -> None:
    runs = kept_each(tmp_path, *(at(day) for day in range(1, 5)), most=2)
    assert len(list((tmp_path / "runs").iterdir())) == 4
    runs.keep(SAMPLE, WHEN, 0)
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_audit_of_nothing_is_in_no_trend(tmp_path: Path) -> None:
    runs = kept_each(tmp_path, at(1, reports.empty()))
    assert runs.trend(at(2, reports.empty()), 30) is None
    assert runs.trend(at(2), 30) is None
