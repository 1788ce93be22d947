"""The face for Python: its examples as scripts and in a notebook, options beside settings, tables that reports give."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from support import reports
from support.cohorts import CARE, OUT, found, number, report
from support.releases import clean_release

import crlm_qc
from crlm_qc.model.errors import UsageError
from crlm_qc.model.finding import RELEASE
from crlm_qc.model.fitness import Fit
from crlm_qc.model.frames import FINDINGS, MOST_RULES
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report.json_format import render
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

TOP = Path(__file__).parents[1]


def example(page: str, release: Path) -> str:
    """The Python of a page, about a release that is there."""
    tokens = MarkdownIt("commonmark").parse((TOP / page).read_text(encoding="utf-8"))
    code = "\n".join(one.content for one in tokens if one.type == "fence" and one.info == "python")
    told, count = re.subn(r'audit\("[^"]+"', lambda _: f"audit({str(release)!r}", code)
    assert count
    return told


def test_the_readmes_example_runs_once_as_a_script(clean_release: SyntheticRelease, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    # Of the two processes that it reads with on any machine, none runs it again.
    code = example("README.md", clean_release.root).replace('depth="masks"', 'depth="masks", jobs=2')
    script.write_text(f"print('begun')\n{code}\nprint(len(patients), len(to_train_on))\n", encoding="utf-8")
    there = {**os.environ, "PYTHONPATH": str(TOP)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, cwd=tmp_path, env=there
    )
    assert done.returncode == 0, done.stderr
    begun, verdict, counted = done.stdout.splitlines()
    assert begun == "begun"
    assert verdict.startswith("not conformant {'error': ")
    assert counted == "3 3"
    assert done.stderr == ""


def test_the_pages_examples_run_as_cells(
    clean_release: SyntheticRelease, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("crlm_qc.evidence.collect.default_jobs", lambda: 1)
    cell: dict[str, Any] = {}
    exec(example("docs/python.md", clean_release.root), cell)
    assert cell["report"].settings.select == ("CTS", "DSO")
    assert set(cell["findings"].columns) == set(FINDINGS)
    assert list(cell["patients"].index) == ["CRLM-CT-1001"]


def test_options_and_settings_say_the_same(clean_release: SyntheticRelease) -> None:
    asked = Settings(depth=Depth.HEADERS, subset=True, select=("CTS", "DSO011"), severity={"CTS013": Severity.ERROR})
    by_settings = crlm_qc.audit(clean_release.root, settings=asked, jobs=1)
    by_options = crlm_qc.audit(
        clean_release.root,
        depth="headers",
        subset=True,
        select="CTS, DSO011",
        severity={"CTS013": "error"},
        jobs=1,
    )
    assert by_options == by_settings
    off = crlm_qc.audit(
        str(clean_release.root),
        depth=Depth.HEADERS,
        subset=True,
        select=["CTS"],
        ignore=["CTS004"],
        patients=iter(["CRLM-CT-1001"]),
        severity={"CTS013": "off"},
        tolerances={"spacing_mm": 0.02},
        known_issues=False,
        jobs=1,
    )
    assert off.settings == Settings(
        depth=Depth.HEADERS,
        subset=True,
        select=("CTS",),
        ignore=("CTS004", "CTS013"),
        patients=("CRLM-CT-1001",),
        tolerances={"spacing_mm": 0.02},
        known_issues=False,
    )


def test_waivers_and_profile_may_be_files(clean_release: SyntheticRelease, tmp_path: Path) -> None:
    waivers = tmp_path / "waivers.toml"
    waivers.write_text('[[waiver]]\nrule = "CTS004"\npatients = ["CRLM-CT-1001"]\nreason = "small"\n', encoding="utf-8")
    profile = TOP / "expectations" / "crlm.toml"
    told = crlm_qc.audit(
        clean_release.root, depth="headers", select=["CTS004"], subset=True, waivers=[waivers], profile=profile, jobs=1
    )
    assert told.counts["waived"] == 1


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (
            {"settings": Settings(), "subset": True, "known_issues": False},
            TypeError,
            "settings or subset, known_issues, not both",
        ),
        ({"depth": "shallow"}, UsageError, "'shallow' is not one of 'headers', 'masks', 'pixels'"),
        ({"severity": {"CTS013": "loud"}}, UsageError, "one of error, warning, info, off"),
        ({"tolerances": {"spacing": 1}}, UsageError, "unknown tolerance spacing"),
        ({"select": "XYZ"}, UsageError, "XYZ"),
        ({"depht": "masks"}, TypeError, "depht"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        crlm_qc.audit(tmp_path / "nowhere", **options)


def told() -> Report:
    return report(
        [found(OUT, 1001), found(OUT, 1001), found(CARE, 1002), found(CARE, 1003, waived="seen"), found("XRF004")]
    )


def test_findings_as_a_table() -> None:
    frame = told().to_frame()
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == FINDINGS
    assert list(frame["rule"]) == [one.rule for one in told().findings]
    assert list(frame["title"].unique()) == [f"Title of {rule}" for rule in frame["rule"].unique()]
    assert frame["patient"].isna().sum() == 1
    assert (frame["severity"] >= "error").sum() == 3
    assert (frame["severity"] < "error").sum() == 2
    assert list(frame.loc[frame["waived"].notna(), "patient"]) == [number(1003)]
    assert frame["segment"].isna().all()


def test_patients_as_a_table() -> None:
    frame = told().patients_frame()
    assert list(frame.index) == [number(one) for one in (1001, 1002, 1003)]
    assert frame.index.name == "patient"
    assert list(frame["errors"]) == [2, 0, 0]
    assert list(frame["warnings"]) == [0, 1, 0]
    assert list(frame["segmentation"]) == ["left out", "usable with care", "usable"]
    assert list(frame.index[frame["segmentation"] >= "usable with care"]) == [number(1002), number(1003)]
    assert list(frame["clinical-pairing"].unique()) == [Fit.OUT.value]
    full = reports.sample().patients_frame()
    assert str(full["liver_ml"].dtype) == "float64"
    assert str(full["ct_slices"].dtype) == "Int64"


def test_tables_have_the_same_types_where_nothing_is_in_them() -> None:
    full, empty = told(), report(patients=())
    assert empty.to_frame().dtypes.equals(full.to_frame().dtypes)
    assert empty.to_frame().empty
    assert empty.patients_frame().dtypes.equals(full.patients_frame().dtypes)


def test_a_report_gives_its_cohort() -> None:
    assert told().cohort() == crlm_qc.cohort(told())
    assert [one.patient for one in told().cohort("segmentation", strict=True).used] == [number(1003)]
    assert told().cohort(("segmentation", "clinical-pairing")).used == ()
    with pytest.raises(UsageError, match="unknown purpose segmentatoin.*did you mean segmentation"):
        told().cohort("segmentatoin")
    with pytest.raises(UsageError, match=r"crlm_qc\.cohort\(report, \.\.\.\)"):
        replace(told(), purposes=()).cohort()


def test_what_a_notebook_shows_is_small_escaped_and_runs_nothing() -> None:
    page = told()._repr_html_()
    assert "<strong>not conformant</strong>: 3 errors, 1 warning, 0 notes, 1 waived" in page
    assert "<td>segmentation</td><td>1</td><td>1</td><td>1</td><td>0</td>" in page
    assert page.count("<caption>") == 2
    rules = [replace(told().rules[0], code=f"ABC{count:03}", title="<script>x</script>") for count in range(30)]
    many = [
        reports.finding(one.code, Severity.ERROR, RELEASE, "<img src=x>", "CRLM-CT-1001")
        for one in rules
        for _ in range(100)
    ]
    hostile = replace(
        told(),
        rules=rules,
        findings=many,
        outcomes=(),
        release=replace(told().release, root="<b onload=x>&"),
        purposes=(),
    )
    page = hostile._repr_html_()
    assert "<script" not in page
    assert "<b " not in page
    assert "&lt;b onload=x&gt;&amp;" in page
    assert f"{30 - MOST_RULES} more rules" in page
    assert len(page) < 4_000


def test_saved_results_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "findings.json"
    path.write_bytes(render(told()))
    assert crlm_qc.load_report(path) == crlm_qc.load_report(str(tmp_path))
    assert crlm_qc.load_report(path).to_frame().equals(told().to_frame())


def test_every_name_of_the_face_is_there_and_completed() -> None:
    for name in crlm_qc.__all__:
        assert getattr(crlm_qc, name)
    assert set(crlm_qc.__all__) <= set(dir(crlm_qc))
    with pytest.raises(AttributeError, match="adit"):
        crlm_qc.adit  # noqa: B018
