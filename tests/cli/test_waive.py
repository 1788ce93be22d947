"""Deciding: crlm-qc waive, and crlm-qc report --waivers."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from support import reports
from support.commands import Run, calling
from support.releases import small_release

from crlm_qc.auditing.rejudging import judge_again
from crlm_qc.auditing.run import audit
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import Waiver, load_waivers
from crlm_qc.model.finding import Case
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.report.json_format import render
from crlm_qc.rules import registry
from crlm_qc.synthetic.faults import plant

REPORT = replace(reports.sample(), settings=Settings(subset=True))
OPEN = [one for one in REPORT.findings if one.waived is None and not one.rule.startswith("WVR")]
FIRST, SECOND = OPEN[0], next(one for one in OPEN if one.patient and one.rule != OPEN[0].rule)
KEPT = '# Decided by the board\n\n[[waiver]]  # the first\npatients = ["CRLM-CT-1004"]\nrule = "MAN005"\nreason = "next edition" # soon\n'


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    save(tmp_path, REPORT)

    return calling(capfd)


def save(folder: Path, report: Report) -> Path:
    path = folder / "reports" / "r" / "findings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render(report))
    return path


def test_a_waiver_is_appended_and_the_rest_stays_as_it_was(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(KEPT, encoding="utf-8")
    code, said, _ = run(
        "waive", f"f-{FIRST.fingerprint}", SECOND.fingerprint[:8], "--reason", 'a "b"', "--until", "2099-06-30"
    )
    assert code == 0
    assert "crlm-qc report reports/r/findings.json --waivers waivers.toml" in said
    written = path.read_text(encoding="utf-8")
    assert written.startswith(KEPT + "\n[[waiver]]\n")
    kept, *made = load_waivers(path)
    assert kept.rule == "MAN005"
    assert [(one.rule, one.fingerprint) for one in made] == [(one.rule, one.fingerprint) for one in (FIRST, SECOND)]
    assert {(one.reason, str(one.until)) for one in made} == {('a "b"', "2099-06-30")}
    assert all(waiver.matches(one) for waiver, one in zip(made, (FIRST, SECOND), strict=True))
    assert list(tmp_path.glob(".*")) == []
    code, _, said = run("waive", FIRST.fingerprint, "--reason", "again")
    assert (code, path.read_text(encoding="utf-8")) == (0, written)
    assert "already" in said


def test_a_case_is_accepted_as_a_whole(run: Run, tmp_path: Path) -> None:
    case = Case(FIRST.fingerprint, FIRST.rule, FIRST.patient, "s", (FIRST.fingerprint, SECOND.fingerprint))
    save(tmp_path, replace(REPORT, cases=(case,)))
    assert run("waive", FIRST.fingerprint, "--case", "--reason", "r")[0] == 0
    held = load_waivers(tmp_path / "waivers.toml")
    assert {one.fingerprint for one in held} == {FIRST.fingerprint, SECOND.fingerprint}


DID = next(item for item in registry() if item.code == "DID001")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ffffffffffff"], "ffffffffffff: no such finding in these results"),
        ([FIRST.fingerprint[:-1] + "x"], f"close to f-{FIRST.fingerprint}"),
        (["abc"], "give 4 digits of the fingerprint or more"),
        ([FIRST.rule], f"{FIRST.rule} is a rule"),
        ([FIRST.fingerprint, "--until", "2020-01-01"], "has passed"),
        ([FIRST.fingerprint, "--until", "soon"], "give a day"),
        ([FIRST.fingerprint, "--reason", " "], "--reason is empty"),
        (["dddddddddddd"], "DID001, which is about what identifies a person"),
    ],
)
def test_what_is_refused_changes_nothing(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    person = replace(FIRST, rule="DID001", fingerprint="dddddddddddd")
    text = replace(REPORT.rules[0], code="DID001", severity=DID.severity)
    save(tmp_path, replace(REPORT, findings=[*REPORT.findings, person], rules=[*REPORT.rules, text]))
    code, out, err = run("waive", "--reason", "r", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "waivers.toml").exists()
    if "DID001" in said:
        assert run("waive", *arguments, "--reason", "r", "--allow-did-waivers")[0] == 0
        assert tomllib.loads((tmp_path / "waivers.toml").read_text())["waiver"][0]["rule"] == "DID001"


def test_a_file_that_is_wrong_is_refused_and_kept(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "waivers.toml"
    for text, said in (("[[waiver]]\nrule = 1\n", "reason is missing"), ("waiver = []\n", "write each under")):
        path.write_text(text, encoding="utf-8")
        code, _, err = run("waive", FIRST.fingerprint, "--reason", "r")
        assert (code, path.read_text()) == (2, text)
        assert said in err


def test_results_are_named_where_there_are_several(run: Run, tmp_path: Path) -> None:
    save(tmp_path, REPORT).parent.rename(tmp_path / "reports" / "s")
    save(tmp_path, REPORT)
    assert "name one with --findings" in run("waive", FIRST.fingerprint, "--reason", "r")[2]
    assert run("waive", FIRST.fingerprint, "--reason", "r", "--findings", "reports/s/findings.json")[0] == 0


def test_results_are_judged_again(run: Run, tmp_path: Path) -> None:
    errors = [one for one in OPEN if one.severity.value == "error"]
    whole = replace(
        REPORT,
        limits=(),
        outcomes=[replace(one, incomplete=False) for one in REPORT.outcomes if one.status.value != "errored"],
    )
    results = save(tmp_path, whole)
    assert run("waive", *(one.fingerprint for one in errors[1:]), "--reason", "r")[0] == 0
    assert run("report", results, "--waivers", "waivers.toml")[0] == 1
    assert run("waive", errors[0].fingerprint, "--reason", "r")[0] == 0
    code, said, _ = run("report", results, "--waivers", "waivers.toml")
    again = json.loads(results.read_bytes())
    assert (code, again["summary"]["error"]) == (0, 0)
    assert f"{again['summary']['waived']} waived" in said
    assert {one["fingerprint"] for one in again["findings"] if one["waived"]} >= {one.fingerprint for one in errors}
    assert again["pictures"] == json.loads(render(whole))["pictures"]
    assert errors[0].fingerprint in (results.parent / "report.html").read_text(encoding="utf-8")
    # Other waivers take the place of those before: nothing is accepted by an empty file, and all of it can be had again.
    (tmp_path / "none.toml").write_text("")
    assert run("report", results, "--waivers", "none.toml")[0] == 1
    assert json.loads(results.read_bytes())["summary"]["error"] == len(errors)


def test_judged_again_is_as_judged_at_first(run: Run, tmp_path: Path) -> None:
    release = small_release(tmp_path / "release", patients=2, seed=3, jobs=1)
    plant(release, "manifest-entry-missing:CRLM-CT-1002")
    given = (Waiver("MAN005", "r", ("CRLM-CT-1002",)), Waiver("CTS008", "r", ("CRLM-CT-1001",)))
    settings = Settings(subset=True)
    first = audit(release.root, settings=settings, jobs=1, waivers=given)
    plain = audit(release.root, settings=settings, jobs=1)
    assert first != plain
    saved = Report.from_dict(json.loads(render(plain)))
    assert render(judge_again(saved, given, load_profile())) == render(first)
    assert render(judge_again(first, (), load_profile())) == render(plain)


def test_without_waivers_something_is_asked_for(run: Run) -> None:
    code, _, err = run("report", "reports/r/findings.json")
    assert (code, "give --output FORMAT, or --waivers FILE" in err) == (2, True)
