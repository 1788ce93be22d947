"""What a run of GitHub Actions gets by itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reports
from support.commands import Run, calling

from crlm_qc.cli import actions as ci
from crlm_qc.model.report import Report
from crlm_qc.report import markdown


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    path = tmp_path / "summary.md"
    path.write_text("earlier\n", encoding="utf-8")
    return path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, summary: Path) -> Run:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setattr("crlm_qc.cli.check.audit", lambda *_, **__: reports.sample())

    return calling(capfd, "check", "data")


def commands(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("::")]


def test_annotations_follow_the_summary_and_the_step_is_summed_up(run: Run, summary: Path) -> None:
    code, out, err = run()
    assert (code, err) == (1, "")
    assert "ERROR CTS008 Missing slice" in out
    assert [line.split(" ")[0] for line in commands(out)] == ["::error", "::error", "::warning", "::notice"]
    assert summary.read_text(encoding="utf-8") == "earlier\n" + markdown.render(reports.sample())


def test_elsewhere_nothing_is_added(run: Run, summary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert commands(run()[1]) == []
    assert summary.read_text(encoding="utf-8") == "earlier\n"


def test_what_is_asked_for_is_not_added(run: Run, summary: Path) -> None:
    _, out, err = run("-o", "github:notes.txt", "-o", "markdown:step.md")
    assert commands(out + err) == []
    assert commands(Path("notes.txt").read_text(encoding="utf-8"))
    assert Path("step.md").exists()
    assert summary.read_text(encoding="utf-8") == "earlier\n"


def test_annotations_on_standard_output_move_the_text(run: Run) -> None:
    _, out, err = run("-o", "github")
    assert out.splitlines() == commands(out)
    assert "ERROR CTS008" in err
    assert commands(err) == []


def test_a_format_for_programs_keeps_standard_output(run: Run) -> None:
    _, out, err = run("-o", "json:-")
    assert json.loads(out)["summary"]["error"] == 8
    assert len(commands(err)) == 4


def test_quiet_leaves_the_annotations(run: Run) -> None:
    _, out, _ = run("-q")
    assert len(commands(out)) == 4
    assert len(out.splitlines()) == 5


def test_the_anchor_reaches_sarif(run: Run) -> None:
    run("-o", "sarif:x.sarif", "--sarif-anchor", "README.md")
    assert '"uri": "README.md"' in Path("x.sarif").read_text(encoding="utf-8")
    code, _, err = run("--sarif-anchor", "file:///x")
    assert code == 2
    assert "relative to the repository" in err


def test_a_summary_that_can_not_be_written_is_said_and_fails_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "data"))
    code, _, err = run()
    assert code == 1
    assert "no summary of the step: is a directory" in err


def big() -> Report:
    base = reports.sample()
    found = [replace(base.findings[0], fingerprint=f"{n:012x}", patient=f"CRLM-CT-{n // 20}") for n in range(9_000)]
    return replace(base, findings=found)


@pytest.mark.parametrize("before", [0, 500_000, ci.SUMMARY_LIMIT - 2_000])
def test_the_summary_stays_under_the_limit_with_what_stood_there(tmp_path: Path, before: int) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * before)
    ci.summarise(big(), path)
    assert before < path.stat().st_size <= ci.SUMMARY_LIMIT


def test_no_summary_where_there_is_no_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * (ci.SUMMARY_LIMIT - 10))
    ci.summarise(big(), path)
    assert path.stat().st_size == ci.SUMMARY_LIMIT - 10
    assert "no room" in capsys.readouterr().err


@given(st.text(alphabet=":#[ a"))
def test_harmless_text_holds_no_command(text: str) -> None:
    made = ci.harmless(text)
    assert "::" not in made
    assert "##[" not in made
    assert made.replace(" ", "") == text.replace(" ", "")


def test_a_folder_of_any_name_is_no_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    base = reports.sample()
    named: Any = replace(base, release=replace(base.release, root="::error::CANARY"))
    monkeypatch.setattr("crlm_qc.cli.check.audit", lambda *_, **__: named)
    _, out, err = run()
    assert not [line for line in commands(out + err) if "CANARY" in line]


def test_a_path_that_is_said_holds_nothing_to_obey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert ci.shown(Path("re\x1b[31m::l")) == "re\N{REPLACEMENT CHARACTER}[31m::l"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert ci.shown(Path("re\x1b[31m::l")) == "re\N{REPLACEMENT CHARACTER}[31m: :l"
