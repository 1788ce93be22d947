"""What is asked for: the same for the command line, pytest and a notebook, whichever source says it."""

import argparse
import dataclasses
import inspect
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc import pytest_plugin
from crlm_qc.auditing.run import audit
from crlm_qc.cli import app as cli
from crlm_qc.cli.configured import request_by, settled_by
from crlm_qc.collection.resources import expectations_folder
from crlm_qc.model.errors import UsageError, WaiverError
from crlm_qc.model.severity import Severity
from crlm_qc.request.keys import KEYS
from crlm_qc.request.layers import Origin
from crlm_qc.request.request import Audited, Request, keep_out, reports_of
from crlm_qc.request.settled import Settled, settle
from crlm_qc.testing.asked import _request

HERE = Path(__file__).parent
PROFILES = (expectations_folder() / "crlm.toml", HERE.parent / "second_collection" / "abdominal_masses.toml")
SAMPLES: Mapping[str, list[Any]] = {
    "select": [("CTS",), ("DSO011", "SEG")],
    "ignore": [("CTS012",), ("frame-empty", "MET")],
    "severity": [{"CTS012": "off"}, {"CTS012": "info", "CTS006": "error"}, {"DSO028": "off"}],
    "tolerances": [{"spacing_mm": 0.0123456789012}, {"air_hu": -600.0, "spacing_mm": 0.03}],
    "waivers": [("FOLDER/one.toml",), ("FOLDER/two.toml", "FOLDER/one.toml")],
    "allow-did-waivers": [True, False],
    "known-issues": [True, False],
    "redact-paths": [True, False],
    "standard": [True, False],
    "all-objects": [True, False],
    "fail-on": ["error", "warning", "info", "never"],
    "baseline": ["last", "/x/findings.json"],
    "keep-runs": [0, 3],
    "exit-zero": [True, False],
    "allow-incomplete": [True, False],
    "output": [("junit",), ("csv:/x/a.csv", "sarif", "markdown:-")],
    "out": ["/x/out", "/y"],
    "evidence": ["FOLDER/evidence", "FOLDER/tables"],
    "attest": ["/x/a.json"],
    "sarif-anchor": ["README.md", "docs/a.md"],
    "pictures": ["auto", "none", "all"],
    "depth": ["headers", "masks", "pixels"],
    "subset": [True, False],
    "patients": [("CRLM-CT-1001",), ("CRLM-CT-1003", "CRLM-CT-1002"), ("@FOLDER/ids.txt",)],
    "part": ["3/16", "1/1"],
    "profile": [str(path) for path in PROFILES],
    "lock": ["/x/l.lock"],
    "metadata": ["/x/m.csv", "/y/m.csv"],
    "clinical": ["/x/c.xlsx"],
    "manifest": ["/x/m.tcia"],
    "listing": ["/x/index.csv", "/y/l.lock"],
    "endpoint": ["https://s3.example.org"],
    "anonymous": [True, False],
    "cache": ["/x/cache", "/y"],
    "no-cache": [True, False],
    "jobs": [1, 4],
    "engine": ["local", "dask"],
    "scheduler": ["tcp://10.0.0.7:8786", "tls://node7:8786"],
    "quiet": [0, 1, 2],
    "color": ["auto", "always", "never"],
}
"""Some values of every key, as plain values."""
SOURCES = (Origin.FILE, Origin.ENVIRONMENT, Origin.OPTION)


def parser_of_pytest() -> argparse.ArgumentParser:
    """A parser of the options that the plugin declares."""
    parser = argparse.ArgumentParser()
    group = SimpleNamespace(addoption=parser.add_argument)
    declaring: Any = SimpleNamespace(getgroup=lambda *_: group, addini=lambda *_: None)
    pytest_plugin.pytest_addoption(declaring)
    return parser


PYTEST = parser_of_pytest()
BOTH = [key.name for key in KEYS.values() if f"crlm_{key.parameter}" in vars(PYTEST.parse_args([]))]
"""Keys that pytest has an option for too."""
Said = Mapping[str, Mapping[Origin, Any]]
"""What each source says of a key."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to work in, with the files that samples name."""
    folder = tmp_path_factory.mktemp("request")
    (folder / "release").mkdir()
    (folder / "ids.txt").write_text("CRLM-CT-1005\nCRLM-CT-1004\n")
    for name, code in (("one", "SEG006"), ("two", "CTS008")):
        (folder / f"{name}.toml").write_text(f'[[waiver]]\nrule = "{code}"\nreason = "looked at"\n')
    return folder


def sayable(key: str, value: Any, origin: Origin, options: Collection[str]) -> bool:
    """Whether a source can say a value: no option takes back a flag but that of known issues, nor counts to none."""
    if origin is not Origin.OPTION:
        return True
    unsaid = value == 0 if key == "quiet" else value is False and key != "known-issues"
    return key in options and not unsaid


@st.composite
def splits(draw: st.DrawFn, options: Collection[str]) -> Said:
    """Values of some keys, split over the sources."""
    said: dict[str, dict[Origin, Any]] = {}
    for key in draw(st.sets(st.sampled_from(sorted(KEYS)), max_size=8)):
        for origin in draw(st.sets(st.sampled_from(SOURCES), min_size=1)):
            value = draw(st.sampled_from(SAMPLES[key]))
            if sayable(key, value, origin, options):
                said.setdefault(key, {})[origin] = value
    return said


def placed(value: Any, folder: Path) -> Any:
    """A sample whose paths lie in the folder."""
    if isinstance(value, tuple):
        return tuple(placed(item, folder) for item in value)
    return value.replace("FOLDER", str(folder)) if isinstance(value, str) else value


def in_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {json.dumps(entry)}" for name, entry in value.items()) + " }"
    return json.dumps(value)


def in_variable(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={entry}" for name, entry in value.items())
    if isinstance(value, tuple):
        return (os.pathsep if key == "waivers" else " ").join(value)
    return str(value)


def in_words(key: str, value: Any, prefix: str = "--") -> list[str]:
    """A value as it is typed."""
    option = prefix + KEYS[key].option.removeprefix("--")
    if isinstance(value, dict):
        return [f"{option}={name}={entry}" for name, entry in value.items()]
    if isinstance(value, tuple):
        return [f"{option}={item}" for item in value]
    if isinstance(value, bool):
        return [option if value else f"--no-{option.removeprefix('--')}"]
    return [option] * value if key == "quiet" else [f"{option}={value}"]


@contextmanager
def standing(said: Said, folder: Path) -> Iterator[list[str]]:
    """The file and the environment as they are said to be; gives the keys that options say."""
    with pytest.MonkeyPatch.context() as patch:
        for key in KEYS.values():
            patch.delenv(key.variable, raising=False)
        lines = []
        for name, by_source in said.items():
            if Origin.FILE in by_source:
                lines.append(f"{name} = {in_toml(placed(by_source[Origin.FILE], folder))}")
            if Origin.ENVIRONMENT in by_source:
                patch.setenv(KEYS[name].variable, in_variable(name, placed(by_source[Origin.ENVIRONMENT], folder)))
        (folder / "crlm-qc.toml").write_text("\n".join(lines))
        patch.chdir(folder)
        yield [name for name, by_source in said.items() if Origin.OPTION in by_source]


def expected(said: Said, key: str, folder: Path) -> tuple[Any, Origin]:
    """Value and origin of a key by the layering: the strongest source, and tables put together of all."""
    by_source = {origin: placed(value, folder) for origin, value in said.get(key, {}).items()}
    if not by_source:
        return KEYS[key].kind.default, Origin.DEFAULT
    strongest = max(by_source, key=list(Origin).index)
    if isinstance(by_source[strongest], dict):
        return {name: entry for origin in SOURCES for name, entry in by_source.get(origin, {}).items()}, strongest
    return by_source[strongest], strongest


def command_line(said: Said, folder: Path) -> tuple[Settled, Request]:
    """What `crlm-qc config` and `crlm-qc check` make of it."""
    with standing(said, folder) as keys:
        words = [word for key in keys for word in in_words(key, placed(said[key][Origin.OPTION], folder))]
        command: Any = typer.main.get_command(cli.app)
        ctx = command.commands["check"].make_context("check", ["release", *words])
        return settled_by(ctx, ctx.params), request_by(ctx, ctx.params)


def pytest_run(said: Said, folder: Path) -> Request:
    """What the pytest plugin makes of it, by the options that it declares."""
    with standing(said, folder) as keys:
        words = [word for key in keys for word in in_words(key, placed(said[key][Origin.OPTION], folder), "--crlm-")]
        found = PYTEST.parse_args(["--crlm-release=release", *words])
        config: Any = SimpleNamespace(getoption=lambda name: getattr(found, name))
        return _request(config, Path("release"))


@given(splits(KEYS))
def test_whatever_says_it_what_the_layering_says_holds(folder: Path, said: Said) -> None:
    settled, _ = command_line(said, folder)
    assert list(settled.held) == list(KEYS)
    for key in KEYS:
        value, origin = expected(said, key, folder)
        assert (settled[key], settled.held[key].origin) == (value, origin)
    for table in ("severity", "tolerances"):
        entries = settled.held[table].entries
        assert set(entries) == set(settled[table])
        for name, origin in entries.items():
            assert origin is max((one for one in said[table] if name in said[table][one]), key=list(Origin).index)


@given(splits(BOTH))
def test_the_command_line_and_pytest_ask_for_the_same(folder: Path, said: Said) -> None:
    _, request = command_line(said, folder)
    assert pytest_run(said, folder) == request


def test_pytest_has_options_for_what_changes_an_audit() -> None:
    assert BOTH == [
        "select",
        "ignore",
        "waivers",
        "fail-on",
        "baseline",
        "evidence",
        "depth",
        "all-objects",
        "subset",
        "profile",
        "jobs",
    ]


@given(splits(()))
def test_from_python_neither_the_environment_nor_a_file_has_a_say(folder: Path, said: Said) -> None:
    with standing(said, folder):
        assert Request.of_options({}) == Request()


def test_what_is_asked_for_in_full(folder: Path) -> None:
    said = {key: {Origin.OPTION: values[0]} for key, values in SAMPLES.items() if key not in ("quiet", "patients")}
    said["quiet"], said["patients"] = {Origin.OPTION: 2}, {Origin.ENVIRONMENT: ("@FOLDER/ids.txt", "CRLM-CT-1009")}
    _, request = command_line(said, folder)
    assert request.settings.ignore == ("CTS012", "CTS012")
    assert request.settings.patients == ("CRLM-CT-1005", "CRLM-CT-1004", "CRLM-CT-1009")
    assert request.profile.tolerances.spacing_mm == 0.0123456789012
    assert [waiver.rule for waiver in request.waivers] == ["SEG006"]
    assert (request.fail_on, request.jobs, request.quiet, request.lock) == (Severity.ERROR, 1, 2, Path("/x/l.lock"))
    assert {item.code[:3] for item in request.rules()} == {"CTS"}
    assert "CTS012" not in {item.code for item in request.rules()}
    assert request.accepted()[:1] == request.waivers
    assert len(request.accepted()) > 1


def test_a_table_of_the_environment_is_not_lost_beside_an_option(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRLM_QC_SEVERITY", "CTS012=off CTS006=info")
    assert settle({"severity": ["CTS006=error"]})["severity"] == {"CTS012": "off", "CTS006": "error"}


def test_a_command_is_told_of_its_own_keys_alone(folder: Path) -> None:
    said = {"fail-on": {Origin.FILE: "info"}, "jobs": {Origin.FILE: 3}, "depth": {Origin.ENVIRONMENT: "masks"}}
    with standing(said, folder):
        settled = settle({}, keys=["fail-on"])
    assert (settled["fail-on"], settled["jobs"], settled["depth"]) == ("info", None, "pixels")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FAIL_ON", "sometimes", "Invalid value for '--fail-on': 'sometimes' is not one of 'error', 'warning', 'info', 'never'"),
        ("JOBS", "0", "Invalid value for '--jobs': 0 is not at least 1"),
        ("JOBS", "many", "Invalid value for '--jobs': 'many' is no whole number"),
        ("QUIET", "-1", "Invalid value for '--quiet': -1 is not at least 0"),
        ("SUBSET", "maybe", "Invalid value for '--subset': 'maybe' is neither true nor false"),
        ("ISOLATED", "maybe", "Invalid value for '--isolated': 'maybe' is neither true nor false"),
        ("SEVERITY", "CTS012", "--severity CTS012: write CODE=LEVEL"),
        ("SEVERITY", "CTS912=info", "unknown rule CTS912 in --severity: close to CTS012"),
        ("TOLERANCE", "spacing=1", "unknown tolerance spacing in --tolerance"),
        ("TOLERANCE", "spacing_mm=wide", "--tolerance spacing_mm=wide: write NAME=VALUE, VALUE a number"),
        ("TOLERANCE", "spacing_mm=-1", "--tolerance spacing_mm=-1: tolerance spacing_mm must be at least 0"),
        ("CONFIG", "none.toml", "none.toml can't be read"),
        ("PATIENTS", "@none.txt", "--patients: none.txt can't be read as a text file of patient IDs"),
        ("PATIENTS", "@empty.txt", "--patients @empty.txt names no patient"),
        ("WAIVERS", "none.toml", "waivers none.toml can't be read"),
        ("PROFILE", "none.toml", "profile none.toml"),
    ],
)  # fmt: skip
def test_a_variable_that_says_what_can_not_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    (folder / "empty.txt").write_text(" ,\n")
    with standing({}, folder):
        monkeypatch.setenv(f"CRLM_QC_{name}", value)
        with pytest.raises(UsageError, match=f"^{re.escape(said)}"):
            Request.of({})


@pytest.mark.parametrize("value", ["1", "true", "T", "yes", "Y", " on "])
def test_what_a_variable_says_of_a_flag(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CRLM_QC_SUBSET", value)
    monkeypatch.setenv("CRLM_QC_KNOWN_ISSUES", "off")
    monkeypatch.setenv("CRLM_QC_REDACT_PATHS", "")
    settled = settle({})
    assert (settled["subset"], settled["known-issues"], settled["redact-paths"]) == (True, False, False)
    assert settled.held["redact-paths"].origin is Origin.DEFAULT


def test_from_python_values_may_be_of_any_form() -> None:
    asked = {"select": "CTS", "ignore": iter(["CTS012"]), "waivers": [], "depth": "masks", "jobs": 2, "subset": True}
    request = Request.of_options(asked)
    assert (request.settings.select, request.settings.ignore) == (("CTS",), ("CTS012",))
    assert (request.settings.depth, request.jobs, request.settings.subset) == ("masks", 2, True)
    for key, value in {"depth": "deep", "fail-on": "often", "jobs": 0}.items():
        with pytest.raises(UsageError, match=f"Invalid value for '--{key}'"):
            Request.of_options({key: value})
    with pytest.raises(WaiverError):
        Request.of_options({"waivers": [Path("none.toml")]})


def test_an_audit_takes_what_a_request_has() -> None:
    assert set(Audited.__annotations__) == set(Request().audited())
    assert set(Audited.__annotations__) <= set(inspect.signature(audit).parameters)
    assert set(Audited.__annotations__) <= {one.name for one in dataclasses.fields(Request)}


def test_the_parser_shows_the_defaults_that_hold() -> None:
    command: Any = typer.main.get_command(cli.app)
    params = {param.name: param for param in command.commands["check"].params}
    for key in KEYS.values():
        shown = params[key.parameter].default
        assert (key.kind.default or None) == ((str(shown) if isinstance(shown, str) else shown) or None)


def test_nothing_is_written_into_the_release(tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    keep_out(release, [tmp_path / "out", tmp_path / "release.json"])
    for place in (release, release / "x" / "y", release / ".." / "release" / "x"):
        with pytest.raises(UsageError, match=r"which is never written to. Give a file elsewhere: --lock FILE"):
            keep_out(release, [tmp_path / "out", place], "a file elsewhere: --lock FILE")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be written"):
        keep_out(release, [tmp_path / "file" / "out"])


def test_reports_have_the_name_of_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert reports_of(Path()) == Path("reports") / tmp_path.name
    assert reports_of(Path("/")) == Path("reports/release")
