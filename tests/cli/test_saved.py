"""Commands on saved results: diff, report, show."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import reports
from support.commands import Done, Run, calling

from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report import FORMATS
from crlm_qc.report import changes as changes_formats
from crlm_qc.report.json_format import render

WHOLE = replace(reports.sample(), settings=Settings())


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    return calling(capfd)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(report: Report = WHOLE, name: str = "findings.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(render(report))
        return path

    return save


Save = Callable[..., Path]


# --- report ---


@pytest.mark.parametrize("name", FORMATS)
def test_report_writes_what_the_audit_would_have(run: Run, saved: Save, name: str) -> None:
    saved(reports.hostile())
    done = run("report", "findings.json", "-o", f"{name}:again/{name}")
    assert (done.code, done.out) == (0, "")
    expected = FORMATS[name].renderer()(reports.hostile())
    files = (
        {Path("again", name, file): content for file, content in expected.items()}
        if isinstance(expected, Mapping)
        else {Path("again", name): expected}
    )
    for path, content in files.items():
        assert path.read_bytes() == (content.encode("utf-8") if isinstance(content, str) else content)
    assert sorted(path for path in Path("again").rglob("*") if path.is_file()) == sorted(files)


@pytest.mark.parametrize("where", ["html-dir:-", "html-dir:taken"])
def test_a_folder_of_files_needs_a_folder(run: Run, saved: Save, where: str) -> None:
    saved()
    Path("taken").write_text("a file", encoding="utf-8")
    done = run("report", "findings.json", "-o", where)
    assert (done.code, done.out) == (2, "")
    assert "give one in --output html-dir:DIR" in done.err
    assert Path("taken").read_text(encoding="utf-8") == "a file"


def test_report_writes_several_beside_the_results(run: Run, saved: Save) -> None:
    path = saved(name="old/findings.json")
    done = run("report", path, "-o", "csv", "-o", "junit", "-o", "html", "-o", "github")
    assert done.code == 0
    assert sorted(item.name for item in path.parent.iterdir()) == [
        "findings.csv",
        "findings.json",
        "junit.xml",
        "report.html",
    ]
    assert done.out.startswith("::error title=CTS008")
    assert "csv report: " in done.err


def test_report_prints_text(run: Run, saved: Save) -> None:
    saved()
    assert run("report", "findings.json", "-o", "text").out.splitlines()[-1].startswith("Not conformant: 8 errors")


def test_report_options_reach_their_formats(run: Run, saved: Save) -> None:
    saved()
    done = run("report", "findings.json", "-o", "sarif:-", "--sarif-anchor", "docs/READ ME.md")
    assert '"uri": "docs/READ%20ME.md"' in done.out
    short = run("report", "findings.json", "-o", "markdown:-", "--max-bytes", "1500")
    assert len(short.out.encode()) <= 1500
    assert "Cut here" in short.out


@pytest.mark.parametrize("anchor", ["/etc/x", "file:///x", "https://a.example", "../x", "a/../../x", "C:\\x", ""])
def test_an_anchor_outside_the_repository_is_refused(run: Run, saved: Save, anchor: str) -> None:
    saved()
    done = run("report", "findings.json", "-o", "sarif:-", "--sarif-anchor", anchor)
    assert done.code == 2
    assert "relative to the repository" in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--output"),
        (["-o", "pdf"], "unknown format pdf"),
        (["-o", "json"], "is read, so it is not written"),
        (["-o", "json:./findings.json"], "is read, so it is not written"),
        (["-o", "csv:-", "-o", "sarif:-"], "two reports would go to standard output"),
        (["-o", "csv:findings.json/x.csv"], "can't be written"),
    ],
)
def test_report_refuses_wrong_usage(run: Run, saved: Save, options: list[str], said: str) -> None:
    before = saved().read_bytes()
    done = run("report", "findings.json", *options)
    assert done.code == 2
    assert said in done.err
    assert Path("findings.json").read_bytes() == before


# --- files that can't be read ---


def content(**parts: Any) -> bytes:
    return json.dumps({**json.loads(render(WHOLE)), **parts}).encode()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"", "is not JSON"),
        (b"CANARY", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"schema_version": NaN}', "is not JSON"),
        (b"[]", "has no schema_version"),
        (b'{"schema_version": 2}', "its schema_version is not 1"),
        (content(findings=[{"rule": "CANARY"}]), "findings[0] lacks one of"),
        (content(settings={"depth": "CANARY"}), "settings.depth has a value that is not known"),
    ],
)
def test_a_bad_file_is_named_and_exits_with_2(run: Run, saved: Save, written: bytes, said: str) -> None:
    good = saved()
    Path("bad.json").write_bytes(written)
    for arguments in (
        ("show", "bad.json"),
        ("report", "bad.json", "-o", "csv:-"),
        ("diff", "bad.json", good),
        ("diff", good, "bad.json"),
    ):
        done = run(*arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("crlm-qc: bad.json is no findings.json that can be read: ")
        assert said in done.err
        assert done.err.count("\n") == 1
        assert "CANARY" not in done.err


def test_a_missing_file_is_named(run: Run, saved: Save) -> None:
    for arguments in (("show", "none.json"), ("diff", saved(), "none.json"), ("diff", "none.json", saved())):
        done = run(*arguments)
        assert done.code == 2
        assert "none.json can't be read: no such file or directory" in done.err


# --- diff ---


def test_diff_of_equal_results_exits_with_0(run: Run, saved: Save) -> None:
    done = run("diff", saved(name="a.json"), saved(name="b.json"))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "Nothing new: 11 persisting."


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("info", 1), ("never", 0)])
def test_diff_exits_with_1_if_something_is_new(run: Run, saved: Save, fail_on: str, code: int) -> None:
    old = saved(replace(WHOLE, findings=WHOLE.findings[1:]), "old.json")
    done = run("diff", old, saved(name="new.json"), "--fail-on", fail_on)
    assert done.code == code
    assert done.out.splitlines()[-1] == "1 new (1 error), 10 persisting."
    assert run("diff", old, "new.json", "-qq", "--fail-on", fail_on) == Done(code, "", "")
    back = run("diff", "new.json", old, "-q")
    assert (back.code, back.out) == (0, "Nothing new: 1 fixed, 10 persisting.\n")


def test_diff_tells_new_rules_apart(run: Run, saved: Save) -> None:
    outcomes = [one for one in WHOLE.outcomes if one.rule != "CTS008"]
    rest = [one for one in WHOLE.findings if one.rule != "CTS008"]
    old = saved(replace(WHOLE, outcomes=outcomes, findings=rest), "old.json")
    done = run("diff", old, saved(name="new.json"))
    assert done.code == 0
    assert "NEW RULE  7 findings" in done.out


def test_diff_with_an_audit_that_was_cut_short_exits_with_3(run: Run, saved: Save) -> None:
    done = run("diff", saved(name="old.json"), saved(replace(WHOLE, limits=("a file was not read",)), "new.json"), "-q")
    assert (done.code, done.out) == (3, "Nothing new: 11 persisting; the new audit could not check everything.\n")


def test_diff_writes_every_format(run: Run, saved: Save) -> None:
    old = saved(replace(WHOLE, findings=WHOLE.findings[1:]), "old.json")
    asked = [word for name in changes_formats.FORMATS for word in ("-o", f"{name}:out/{name}")]
    done = run("diff", old, saved(name="new.json"), *asked)
    assert done.code == 1
    assert "1 new (1 error)" in done.out
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(changes_formats.FORMATS)


def test_diff_for_programs_has_standard_output_alone(run: Run, saved: Save) -> None:
    done = run("diff", saved(name="a.json"), saved(name="b.json"), "-o", "json:-")
    assert json.loads(done.out)["summary"]["persisting"] == 11
    assert "Nothing new" in done.err


def test_diff_never_writes_what_it_reads(run: Run, saved: Save) -> None:
    old, new = saved(name="a.json"), saved(name="b.json")
    for path in (old, new):
        done = run("diff", old, new, "-o", f"json:{path}")
        assert done.code == 2
        assert "is read, so it is not written" in done.err


# --- show ---


def test_show_lists_every_finding_without_a_limit(run: Run, saved: Save) -> None:
    done = run("show", saved())
    assert (done.code, done.err) == (0, "")
    for finding in WHOLE.findings:
        assert f"f-{finding.fingerprint}" in done.out
    assert done.out.splitlines()[-1] == "11 findings, 1 waived."
    assert "waived: Lesion annotated twice" in done.out


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--rule", "CTS008"], 7),
        (["--rule", "cts"], 8),
        (["--rule", "missing-slice"], 7),
        (["--patient", "CRLM-CT-1001"], 2),
        (["--patient", "CRLM-CT-1001", "--rule", "CTS012"], 1),
        (["--patient", "CRLM-CT-1002", "--rule", "CTS008"], 0),
        (["--rule", "PUB001"], 0),
        (["--family", "cts"], 8),
        (["--family", "DSO", "--rule", "CTS008"], 0),
        (["--severity", "error"], sum(one.severity is Severity.ERROR for one in WHOLE.findings)),
        (
            ["--severity", "info", "--severity", "warning"],
            sum(one.severity is not Severity.ERROR for one in WHOLE.findings),
        ),
    ],
)
def test_show_drills_down(run: Run, saved: Save, options: list[str], found: int) -> None:
    done = run("show", saved(), *options)
    assert done.code == 0
    assert done.out.count("f-") == found
    assert f"{found} finding" in done.out


def test_show_as_json_is_what_findings_json_says(run: Run, saved: Save) -> None:
    done = run("show", saved(), "--format", "json", "--rule", "CTS008")
    assert json.loads(done.out) == [one.as_dict() for one in WHOLE.findings if one.rule == "CTS008"]
    one = WHOLE.findings[-1]
    done = run("show", "findings.json", "--format", "json", "--finding", one.fingerprint)
    assert json.loads(done.out) == [one.as_dict()]
    assert json.loads(run("show", "findings.json", "--format", "json", "--rule", "PUB001").out) == []


def test_saved_results_are_found_in_the_folder_of_an_audit(run: Run, saved: Save) -> None:
    saved()
    assert run("show", ".").out == run("show", "findings.json").out
    assert run("diff", ".", "findings.json").out == run("diff", "findings.json", "findings.json").out
    assert run("report", ".", "-o", "csv").code == 0
    assert Path("findings.csv").is_file()
    Path("empty").mkdir()
    assert "empty/findings.json can't be read" in run("show", "empty").err


def test_show_says_how_a_rule_without_findings_ended(run: Run, saved: Save) -> None:
    saved()
    assert "PUB001 not run: only part of the release is audited" in run("show", "findings.json", "--rule", "PUB").out
    assert "MET001 passed" in run("show", "findings.json", "--rule", "MET").out
    done = run("show", "findings.json", "--rule", "CTS008", "--patient", "CRLM-CT-1002")
    assert "CTS008 found nothing here" in done.out


@pytest.mark.parametrize("cut", [4, 12])
@pytest.mark.parametrize("before", ["", "f-", "F-"])
def test_show_one_finding_in_full(run: Run, saved: Save, cut: int, before: str) -> None:
    finding = next(one for one in WHOLE.findings if one.rule == "DSO007")
    done = run("show", saved(), "--finding", before + finding.fingerprint[:cut])
    assert done.code == 0
    said = " ".join(done.out.split())
    text = WHOLE.text("DSO007")
    for part in (finding.message, "47 instances", "frame 14", finding.subject.path, text.why, text.fix, text.source):
        assert part in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--patient", "CRLM-CT-1099"], "no such patient in this audit: did you mean CRLM-CT-10"),
        (["--rule", "CTS999"], "no such rule in this audit: did you mean CTS012, CTS008?"),
        (["--rule", ""], "no such rule"),
        (["--family", "CT"], "no such family in this audit. There are: CLN, CTS, DSO"),
        (["--finding", "65d"], "give 4 digits"),
        (["--finding", "ffff"], "no such finding"),
        (["--finding", "51bc8aed2dc6", "--rule", "DSO007"], "no such finding"),
    ],
)
def test_show_refuses_what_is_not_there(run: Run, saved: Save, options: list[str], said: str) -> None:
    done = run("show", saved(), *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_the_summary_names_a_command_that_works(run: Run, saved: Save) -> None:
    saved()
    summary = run("report", "findings.json", "-o", "text").out
    (hint,) = [line.partition("crlm-qc ")[2] for line in summary.splitlines() if "crlm-qc show" in line]
    done = run(*hint.split())
    assert done.code == 0
    assert done.out.count("f-") == 7


# --- hostile text ---


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "bad.json"),
        ("show", "bad.json", "--rule", "CTS008"),
        ("show", "bad.json", "--rule", "SEG006"),
        ("show", "bad.json", "--finding", "0123456789ab"),
        ("show", "bad.json", "--patient", "CRLM-CT-1001"),
        ("report", "bad.json", "-o", "text"),
        ("diff", "good.json", "bad.json"),
        ("diff", "bad.json", "good.json"),
    ],
)
def test_no_command_lets_a_file_write_to_the_terminal(
    run: Run, saved: Save, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in (reports.HOSTILE, "\n::error::CANARY", "\n ##[error]CANARY"):
        raw = json.dumps(reports.hostile().as_dict()).replace(json.dumps(reports.HOSTILE), json.dumps(text))
        Path("bad.json").write_text(raw, encoding="utf-8")
        saved(name="good.json")
        for actions in ("", "true"):
            monkeypatch.setenv("GITHUB_ACTIONS", actions)
            done = run(*arguments)
            for said in (done.out, done.err):
                assert not {"\x1b", "\u202e"} & set(said)
                assert not actions or not [line for line in said.splitlines() if line.lstrip().startswith("::")]
                assert not actions or "##[" not in said
