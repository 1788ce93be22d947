"""The configuration on the command line: what `check` takes from it, and what `crlm-qc config` shows."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from support import reports
from support.commands import Run, calling
from support.releases import small_release

from crlm_qc.auditing.attestation import rule_set
from crlm_qc.auditing.run import audit as real_audit
from crlm_qc.cli import app as cli
from crlm_qc.cli.options import FailOn, FailOnNew
from crlm_qc.cli.saved import load_report
from crlm_qc.cli.terminal import Colour
from crlm_qc.collection.profile import Profile
from crlm_qc.model.picture import PictureMode
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.request.keys import KEYS

NOT_KEYS = {"ctx", "release", "config", "isolated", "force", "help"}
"""Parameters of `check` that are no settings, or say where settings are read from."""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS", *(key.variable for key in KEYS.values())):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    return calling(capsys)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `check` asks the audit for."""
    kept: dict[str, Any] = {}

    def audit(release: Path, **given: Any) -> Report:
        kept.update(given)
        return reports.sample()

    monkeypatch.setattr("crlm_qc.cli.check.audit", audit)
    return kept


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    folder.mkdir()
    return folder


def write(text: str, path: str = "crlm-qc.toml") -> None:
    Path(path).write_text(text, encoding="utf-8")


def shown(run: Run, *arguments: object) -> dict[str, Any]:
    code, out, _ = run("config", "--format", "json", *arguments)
    assert code == 0
    settings: dict[str, Any] = json.loads(out)["settings"]
    return settings


# --- the keys are the options


def test_every_option_of_check_is_a_key_and_every_key_an_option() -> None:
    check: Any = typer.main.get_command(cli.app).commands["check"]  # type: ignore[attr-defined]
    params = {param.name: param for param in check.params}
    assert {key.parameter for key in KEYS.values()} == set(params) - NOT_KEYS
    for key in KEYS.values():
        assert f"--{key.parameter.replace('_', '-')}" in params[key.parameter].opts


@pytest.mark.parametrize(
    ("key", "choices"), [("fail-on", FailOnNew), ("depth", Depth), ("pictures", PictureMode), ("color", Colour)]
)
def test_choices_are_those_of_the_option(key: str, choices: Any) -> None:
    assert KEYS[key].choices == tuple(choices)
    assert set(FailOn) < set(FailOnNew)


# --- check


def test_check_takes_its_settings_from_the_file(run: Run, asked: dict[str, Any], release: Path) -> None:
    write('[[waiver]]\nrule = "SEG006"\nreason = "looked at"\npatients = ["CRLM-CT-1020"]\n', "accepted.toml")
    write(
        """
        select = ["CTS", "SEG"]
        ignore = ["CTS013"]
        waivers = ["accepted.toml"]
        output = ["junit:audit/junit.xml"]
        out = "audit"
        depth = "masks"
        known-issues = false
        subset = true
        jobs = 2
        exit-zero = true
        [severity]
        CTS012 = "off"
        CTS006 = "error"
        [tolerances]
        spacing_mm = 0.02
        """
    )
    code, _, err = run("check", release)
    assert code == 0
    assert asked["settings"] == Settings(
        depth=Depth.MASKS,
        subset=True,
        select=("CTS", "SEG"),
        ignore=("CTS013", "CTS012"),
        severity={"CTS006": Severity.ERROR},
        known_issues=False,
        tolerances={"spacing_mm": 0.02},
    )
    assert asked["jobs"] == 2
    assert asked["profile"].tolerances.spacing_mm == 0.02
    assert [waiver.rule for waiver in asked["waivers"]] == ["SEG006"]
    assert Path("audit/junit.xml").is_file()
    assert Path("audit/findings.json").is_file()
    assert f"configuration: {Path.cwd() / 'crlm-qc.toml'}" in err
    code, _, err = run("check", release, "--isolated", "--out", "other")
    assert (code, err) == (1, "")
    assert asked["settings"] == Settings()


def test_an_option_wins_over_the_environment_and_that_over_the_file(
    run: Run, asked: dict[str, Any], release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('fail-on = "never"\ndepth = "headers"\nselect = ["CTS"]\njobs = 2\n')
    assert run("check", release)[0] == 0
    monkeypatch.setenv("CRLM_QC_FAIL_ON", "error")
    monkeypatch.setenv("CRLM_QC_SELECT", "DSO SEG006")
    monkeypatch.setenv("CRLM_QC_DEPTH", "masks")
    assert run("check", release, "--depth", "pixels")[0] == 1
    assert (asked["settings"].depth, asked["settings"].select, asked["jobs"]) == (Depth.PIXELS, ("DSO", "SEG006"), 2)
    assert run("check", release, "--fail-on", "never", "--select", "MET", "--force")[0] == 0
    assert asked["settings"].select == ("MET",)


def test_tables_are_put_together_by_entry(run: Run, asked: dict[str, Any], release: Path) -> None:
    write('severity = { CTS012 = "off", CTS006 = "error" }\ntolerances = { spacing_mm = 0.02, air_hu = -600 }\n')
    run("check", release, "--severity", "CTS012=warning", "--severity", "DSO028=off", "--tolerance", "spacing_mm=0.03")
    settings = asked["settings"]
    assert settings.severity == {"CTS012": Severity.WARNING, "CTS006": Severity.ERROR}
    assert settings.ignore == ("DSO028",)
    assert settings.tolerances == {"spacing_mm": 0.03, "air_hu": -600.0}


def test_a_tolerance_keeps_all_its_digits(run: Run, asked: dict[str, Any], release: Path) -> None:
    write("tolerances = { spacing_mm = 0.0123456789012 }\n")
    run("check", release)
    assert asked["settings"].tolerances == {"spacing_mm": 0.0123456789012}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--severity", "CTS912=off"], "unknown rule CTS912 in --severity: close to CTS012"),
        (["--severity", "CTS012=never"], "write CODE=LEVEL, LEVEL one of error, warning, info, off"),
        (["--tolerance", "spacing_m=1"], "unknown tolerance spacing_m in --tolerance: did you mean spacing_mm"),
        (["--tolerance", "spacing_mm"], "--tolerance spacing_mm: write NAME=VALUE, VALUE a number"),
        (["--tolerance", "spacing_mm=-1"], "--tolerance spacing_mm=-1: tolerance spacing_mm must be at least 0"),
        (["--tolerance", "spacing_mm=nan"], "must be a finite number"),
        (["--config", "none.toml"], "none.toml can't be read"),
    ],
)
def test_wrong_options(run: Run, asked: dict[str, Any], release: Path, options: list[str], said: str) -> None:
    code, _, err = run("check", release, *options)
    assert code == 2
    assert said in err
    assert not asked


def test_a_bad_file_is_wrong_usage_and_help_is_given_all_the_same(
    run: Run, asked: dict[str, Any], release: Path
) -> None:
    write("fial-on = 1\n")
    code, out, err = run("check", release)
    assert (code, out) == (2, "")
    assert f"{Path.cwd() / 'crlm-qc.toml'}: unknown key fial-on: did you mean fail-on?" in err
    assert run("config")[0] == 2
    assert run("check", "--help")[0] == 0
    assert run("check", release, "--isolated")[0] == 1
    # Other commands do not read it.
    assert run("rules", "--family", "CTS")[0] == 0


def test_what_lies_in_the_release_is_not_read_and_that_is_said(run: Run, asked: dict[str, Any], release: Path) -> None:
    inside = release / "crlm-qc.toml"
    inside.write_text('ignore = ["CTS"]\n', encoding="utf-8")
    code, _, err = run("check", release, "--config", inside)
    assert code == 2
    assert "lies in the release, which must not say how it is checked" in err


def test_nor_from_a_working_directory_in_the_release(
    run: Run, asked: dict[str, Any], release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (release / "crlm-qc.toml").write_text('ignore = ["CTS"]\nfail-on = "never"\n', encoding="utf-8")
    monkeypatch.chdir(release)
    code, _, err = run("check", ".", "--out", release.parent / "out")
    assert code == 1
    assert asked["settings"].ignore == ()
    assert f"{release / 'crlm-qc.toml'} was not read: it lies in the release" in err
    _, out, _ = run("config", ".")
    assert "configuration file: none" in out
    assert f"not read, since it lies in the release: {release / 'crlm-qc.toml'}" in out


# --- config


def test_config_says_where_each_setting_comes_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write('select = ["CTS"]\nfail-on = "warning"\njobs = 2\n[severity]\nCTS012 = "off"\nCTS006 = "error"\n')
    monkeypatch.setenv("CRLM_QC_JOBS", "3")
    arguments = ("some/release", "--severity", "CTS012=info", "--no-known-issues")
    settings = shown(run, *arguments)
    assert list(settings) == list(KEYS)
    told = {name: (settings[name]["value"], settings[name]["origin"]) for name in KEYS}
    assert told["select"] == (["CTS"], "file")
    assert told["fail-on"] == ("warning", "file")
    assert told["jobs"] == (3, "environment")
    assert told["known-issues"] == (False, "option")
    assert told["depth"] == ("pixels", "default")
    assert told["severity"] == ({"CTS012": "info", "CTS006": "error"}, "option")
    assert settings["severity"]["entries"] == {"CTS012": "option", "CTS006": "file"}
    code, out, _ = run("config", *arguments)
    assert code == 0
    rows = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    assert ["configuration file: " + str(Path.cwd() / "crlm-qc.toml")] in rows
    assert ["jobs", "CRLM_QC_JOBS", "3"] in rows
    assert ["severity.CTS012", "option --severity", "info"] in rows
    assert ["severity.CTS006", "configuration file", "error"] in rows
    assert ["known-issues", "option --known-issues", "false"] in rows


ENVIRONMENT = {
    "select": ("CTS DSO011", ["CTS", "DSO011"]),
    "ignore": ("CTS012", ["CTS012"]),
    "severity": ("CTS012=off", {"CTS012": "off"}),
    "tolerances": ("spacing_mm=0.02 air_hu=-600", {"spacing_mm": 0.02, "air_hu": -600.0}),
    "waivers": ("a.toml:b.toml", ["a.toml", "b.toml"]),
    "allow-did-waivers": ("1", True),
    "known-issues": ("false", False),
    "redact-paths": ("1", True),
    "standard": ("1", True),
    "all-objects": ("1", True),
    "fail-on": ("never", "never"),
    "baseline": ("last", "last"),
    "keep-runs": ("3", 3),
    "exit-zero": ("yes", True),
    "allow-incomplete": ("1", True),
    "output": ("junit csv:a.csv", ["junit", "csv:a.csv"]),
    "out": ("o", "o"),
    "evidence": ("e", "e"),
    "attest": ("a.json", "a.json"),
    "sarif-anchor": ("README.md", "README.md"),
    "pictures": ("none", "none"),
    "depth": ("masks", "masks"),
    "subset": ("true", True),
    "patients": ("CRLM-CT-1001 CRLM-CT-1002", ["CRLM-CT-1001", "CRLM-CT-1002"]),
    "part": ("3/16", "3/16"),
    "profile": ("p.toml", "p.toml"),
    "lock": ("l.lock", "l.lock"),
    "metadata": ("m.csv", "m.csv"),
    "clinical": ("c.xlsx", "c.xlsx"),
    "manifest": ("m.tcia", "m.tcia"),
    "listing": ("index.csv", "index.csv"),
    "endpoint": ("https://s3.example.org", "https://s3.example.org"),
    "anonymous": ("1", True),
    "cache": ("kept", "kept"),
    "no-cache": ("1", True),
    "jobs": ("3", 3),
    "engine": ("dask", "dask"),
    "scheduler": ("tcp://10.0.0.7:8786", "tcp://10.0.0.7:8786"),
    "quiet": ("1", 1),
    "color": ("never", "never"),
}


@pytest.mark.parametrize("key", KEYS)
def test_every_option_has_an_environment_variable(run: Run, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    given, value = ENVIRONMENT[key]
    named = {"tolerances": "TOLERANCE", "cache": "CACHE_DIR"}.get(key) or key.upper().replace("-", "_")
    monkeypatch.setenv(f"CRLM_QC_{named}", given)
    settings = shown(run)
    assert (settings[key]["value"], settings[key]["origin"]) == (value, "environment")
    assert [name for name in KEYS if settings[name]["origin"] != "default"] == [key]


def test_the_file_itself_may_be_named_in_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("jobs = 5\n", "other.toml")
    monkeypatch.setenv("CRLM_QC_CONFIG", "other.toml")
    assert shown(run)["jobs"]["value"] == 5
    monkeypatch.setenv("CRLM_QC_ISOLATED", "1")
    assert shown(run)["jobs"]["origin"] == "default"


def test_init_writes_a_file_once(run: Run) -> None:
    assert run("config", "--init")[:2] == (0, "written: crlm-qc.toml\n")
    assert all(f"# {name} = " in Path("crlm-qc.toml").read_text(encoding="utf-8") for name in KEYS)
    assert all(one["origin"] == "default" for one in shown(run).values())
    code, _, err = run("config", "--init")
    assert (code, "is there already" in err) == (2, True)
    assert run("config", "--init", "more")[0] == 2


# --- tolerances, to the end


def test_tolerances_change_the_audit_and_stand_in_its_results(tmp_path: Path, small_tolerant: Profile) -> None:
    root = small_release(tmp_path / "release", patients=1).root
    usual = real_audit(root, profile=small_tolerant, settings=Settings(subset=True, depth=Depth.MASKS), jobs=1)
    strict = real_audit(
        root,
        profile=small_tolerant,
        settings=Settings(subset=True, depth=Depth.MASKS, tolerances={"laterality_mm": 0.0, "liver_hole_ml": 0.5}),
        jobs=1,
    )
    assert strict.as_dict()["settings"]["tolerances"] == {"laterality_mm": 0.0, "liver_hole_ml": 0.5}
    assert usual.as_dict()["settings"]["tolerances"] == {}
    told = {one.name: one.value for text in strict.rules for one in text.tolerances}
    assert (told["laterality_mm"], told["liver_hole_ml"]) == (0.0, 0.5)
    path = tmp_path / "findings.json"
    path.write_text(json.dumps(strict.as_dict()), encoding="utf-8")
    assert load_report(path).settings == strict.settings


@pytest.fixture
def small_tolerant() -> Profile:
    from crlm_qc.synthetic.writer import profile_for

    return profile_for(64, max_slices=24)


def test_a_sign_off_record_speaks_of_changed_tolerances(profile: Profile) -> None:
    rules = {"CTS009": Severity.ERROR}
    plain = rule_set(rules, Settings(), profile)
    changed = rule_set(rules, Settings(tolerances={"spacing_mm": 0.02}), profile)
    assert plain != changed
    # The record's settings alone give the digest again.
    assert changed == rule_set(
        rules, Settings(tolerances={"spacing_mm": 0.02}), profile.with_tolerances({"spacing_mm": 0.02})
    )
    assert replace(profile, tolerances=profile.tolerances) == profile.with_tolerances({})
