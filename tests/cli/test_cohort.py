"""`crlm-qc cohort`: from saved results, and from a release."""

import csv
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cohorts import CARE, OUT, found, report
from support.commands import Run, calling
from support.releases import clean_release

from crlm_qc.model.settings import Depth, Settings
from crlm_qc.report.json_format import render
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

SHALLOW = ("--subset", "--depth", "headers", "--no-cache", "--jobs", "1")
FILES = ["cohort.json", "datalist.json", "dataset.json", "excluded.csv", "usable.txt"]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    return calling(capfd, "cohort")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(*findings: Any, **more: Any) -> Path:
        path = tmp_path / "findings.json"
        path.write_bytes(render(report(findings, **more)))
        return path

    return save


Save = Callable[..., Path]


def test_for_a_purpose_it_tells_and_writes(run: Run, saved: Save, tmp_path: Path) -> None:
    code, out, err = run(saved(found(OUT, 1001), found(CARE, 1002)), "--for", "segmentation", "-o", "mine")
    assert (code, err) == (0, "")
    assert out.startswith("2 of 3 patients usable for segmentation, 1 of them with care; 1 left out: CTS008 in 1.\n")
    assert out.endswith("written: mine\n")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == FILES
    assert (tmp_path / "mine/usable.txt").read_text() == "CRLM-CT-1002\nCRLM-CT-1003\n"
    labels = json.loads((tmp_path / "mine/dataset.json").read_text())["labels"]
    assert labels == {"background": 0, "Liver": 1, "Liver Remnant": 2, "Hepatic": 3, "Portal": 4, "Tumor": 5}


def test_a_folder_of_reports_is_as_good_as_the_file_in_it(run: Run, saved: Save, tmp_path: Path) -> None:
    file = saved(found(OUT, 1001))
    folder = tmp_path / "reports"
    folder.mkdir()
    file.rename(folder / file.name)
    code, out, _ = run(folder, "--for", "segmentation", "--no-cache", "--jobs", "1")
    assert code == 0
    assert out.startswith("2 of 3 patients usable")


def test_nothing_is_written_unless_asked_for(run: Run, saved: Save, tmp_path: Path) -> None:
    path = saved(found(OUT, 1001))
    run(path, "--for", "segmentation")
    assert list(tmp_path.iterdir()) == [path]


def test_strict(run: Run, saved: Save, tmp_path: Path) -> None:
    run(saved(found(CARE, 1002)), "--for", "segmentation", "--strict", "-o", "mine")
    assert (tmp_path / "mine/usable.txt").read_text() == "CRLM-CT-1001\nCRLM-CT-1003\n"
    rows = list(csv.DictReader((tmp_path / "mine/excluded.csv").read_text().splitlines()))
    assert [(row["patient"], row["verdict"]) for row in rows] == [("CRLM-CT-1002", "usable with care")]


def test_without_a_purpose_all_are_summed_up(run: Run, saved: Save) -> None:
    code, out, _ = run(saved(found(OUT, 1001)))
    assert code == 0
    assert [line.partition(" usable for ")[2].split(";")[0].rstrip(".") for line in out.splitlines()[:7]] == [
        "segmentation", "volumetry", "lesion-counts", "image-values", "clinical-pairing", "sharing", "completeness",
    ]  # fmt: skip


def test_json_has_standard_output_for_itself(run: Run, saved: Save) -> None:
    _, out, err = run(saved(found(OUT, 1001)), "--for", "segmentation", "--format", "json", "-o", "mine")
    assert json.loads(out)["summary"]["used"] == 2
    assert err == "written: mine\n"
    _, out, _ = run("findings.json", "--format", "json")
    assert [one["purposes"][0]["name"] for one in json.loads(out)][:2] == ["segmentation", "volumetry"]


@pytest.mark.parametrize(
    ("findings", "more", "code"),
    [
        ((), {}, 0),
        ((1001, 1002), {}, 0),
        ((1001, 1002, 1003), {}, 4),
        ((), {"settings": Settings(depth=Depth.HEADERS)}, 4),
        ((), {"limits": ("CRLM-CT-1002: it was not read: killed",)}, 3),
    ],
)
def test_exit_codes(run: Run, saved: Save, findings: tuple[int, ...], more: dict[str, Any], code: int) -> None:
    assert run(saved(*(found(OUT, one) for one in findings), **more), "--for", "segmentation", "-q")[0] == code


def test_quiet(run: Run, saved: Save) -> None:
    path = saved(found(OUT, 1001))
    assert run(path, "--for", "segmentation", "-q")[1].count("\n") == 1
    assert run(path, "--for", "segmentation", "-qq")[1:] == ("", "")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--for", "segmentatoin"], "unknown purpose segmentatoin"),
        (["-o", "mine"], "--for PURPOSE"),
        (["--for", "sharing", "-o", "findings.json"], "is read, so it is not written"),
        (["--for", "sharing", "--depth", "masks"], "--depth is for a release"),
        (["--for", "sharing", "--no-cache"], "--no-cache is for a release"),
    ],
)
def test_what_can_not_be_is_refused(run: Run, saved: Save, arguments: list[str], why: str) -> None:
    code, out, err = run(saved(), *arguments)
    assert (code, out) == (2, "")
    assert why in err


def test_a_file_that_is_no_findings_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "findings.json").write_text("[]")
    assert "no findings.json that can be read" in run("findings.json", "--for", "sharing")[2]
    assert "can't be read" in run("absent.json", "--for", "sharing")[2]


def test_the_configuration_may_be_of_another_opinion(run: Run, saved: Save, tmp_path: Path) -> None:
    path = saved(found(OUT, 1001))
    config = '[purposes.segmentation]\nignore = ["CTS008"]\n\n[purposes.mine]\nabout = "mine"\nout = ["SEG016"]\ndepth = "headers"\n'
    assert tomllib.loads(config)
    (tmp_path / "crlm-qc.toml").write_text(config)
    told = json.loads(run(path, "--for", "segmentation", "--format", "json")[1])
    assert told["patients"][0]["reasons"] == []
    assert run(path, "--for", "mine", "-q")[1].startswith("3 of 3 patients usable for mine")
    told = json.loads(run(path, "--for", "segmentation", "--format", "json", "--isolated")[1])
    assert told["patients"][0]["verdict"] == "left out"


def test_a_release_is_audited_and_never_written_to(run: Run, clean_release: SyntheticRelease, tmp_path: Path) -> None:
    root = clean_release.root
    before = sorted(root.rglob("*"))
    code, _, err = run(root, "--for", "sharing", "-o", root / "mine", "--subset")
    assert code == 2
    assert "lies in the release" in err
    arguments = (
        root,
        "--for",
        "sharing",
        "--subset",
        "--depth",
        "headers",
        "--cache",
        tmp_path / "cache",
        "--jobs",
        "1",
    )
    code, out, _ = run(*arguments, "-o", "mine", "-q")
    assert code == 0
    assert out.startswith("3 of 3 patients usable for sharing")
    assert sorted(root.rglob("*")) == before
    listed = json.loads((tmp_path / "mine/datalist.json").read_text())["training"]
    assert len(listed) == 3
    assert all((root / one["image"]).is_dir() and (root / one["label"]).is_file() for one in listed)


def test_pixels_are_needed_for_what_pixels_tell(run: Run, clean_release: SyntheticRelease, tmp_path: Path) -> None:
    code, out, _ = run(
        clean_release.root, "--for", "segmentation", "--subset", "--depth", "headers", "--no-cache", "--jobs", "1", "-q"
    )
    assert code == 4
    assert out.endswith("3 not judged: audited at depth headers only, and this needs pixels.\n")


def test_a_release_is_told_in_json_too(run: Run, clean_release: SyntheticRelease) -> None:
    """The format of what is printed is no listing of a bucket."""
    code, out, err = run(clean_release.root, "--for", "sharing", "--format", "json", *SHALLOW, "-q")
    assert (code, err) == (0, "")
    assert json.loads(out)["summary"]["patients"] == 3


def test_a_release_is_judged_as_the_configuration_says(
    run: Run, clean_release: SyntheticRelease, tmp_path: Path
) -> None:
    (tmp_path / "crlm-qc.toml").write_text('ignore = ["DID"]\n')
    code, out, _ = run(clean_release.root, "--for", "sharing", *SHALLOW)
    assert code == 0
    assert "the audit was told to ignore it: DID" in out


def test_what_is_said_of_a_place_elsewhere_is_heard(run: Run, clean_release: SyntheticRelease, saved: Save) -> None:
    code, _, err = run(clean_release.root, "--listing", "index.csv", *SHALLOW, "-q")
    assert code == 2
    assert "--listing says what lies at a URL" in err
    code, _, err = run(saved(), "--anonymous")
    assert code == 2
    assert "--anonymous is for a release" in err
