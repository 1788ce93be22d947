"""Whom to use, asked from Python; and what the audit itself says of purposes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.cohorts import CARE, OUT, found, number, report
from support.frames import clean
from support.releases import clean_release

import crlm_qc
from crlm_qc.auditing.fitness import cohort_of
from crlm_qc.auditing.judging import judge
from crlm_qc.auditing.memory import remember
from crlm_qc.collection.profile import Profile
from crlm_qc.model.errors import UsageError
from crlm_qc.model.fitness import PURPOSES, Fit
from crlm_qc.model.plain import PlainError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, PurposeChoice, Settings
from crlm_qc.report.json_format import render
from crlm_qc.request.request import Request
from crlm_qc.rules import registry
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]


def test_usable_takes_a_report_or_its_file(tmp_path: Path) -> None:
    told = report([found(OUT, 1001), found(CARE, 1002)])
    path = tmp_path / "findings.json"
    path.write_bytes(render(told))
    for source in (told, path, str(path)):
        assert crlm_qc.usable(source) == [number(1002), number(1003)]
        assert crlm_qc.usable(source, purpose="segmentation", strict=True) == [number(1003)]
    assert crlm_qc.usable(told, purpose=("sharing", "segmentation")) == [number(1002), number(1003)]
    assert [one.patient for one in crlm_qc.cohort(path).excluded] == [number(1001)]


def test_a_purpose_that_nobody_knows_is_refused_with_what_is_close() -> None:
    with pytest.raises(
        UsageError, match="unknown purpose segmentatoin .*did you mean segmentation.*Known: segmentation, "
    ):
        crlm_qc.usable(report(), purpose="segmentatoin")


def test_where_nobody_was_judged_usable_says_so_and_gives_no_empty_list() -> None:
    shallow = report(settings=Settings(depth=Depth.HEADERS))
    with pytest.raises(UsageError, match="no patient was judged for segmentation: audited at depth headers only"):
        crlm_qc.usable(shallow)
    assert crlm_qc.usable(shallow, purpose="sharing") == [number(1001), number(1002), number(1003)]


def test_results_of_an_earlier_version_are_judged_by_what_rules_declare_today(tmp_path: Path) -> None:
    told = report([found("SEG006", 1001)])
    raw = json.loads(render(told))
    del raw["purposes"], raw["settings"]["purposes"]
    for rule in raw["rules"]:
        del rule["spoils"]
    path = tmp_path / "findings.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    # Of the rules of today it ran a few: nobody is called usable.
    assert [one.fit for one in crlm_qc.cohort(path, "lesion-counts").patients] == [Fit.OUT, Fit.UNKNOWN, Fit.UNKNOWN]


def test_a_second_opinion_comes_in_place_of_what_was_saved() -> None:
    told = report([found(OUT, 1001)])
    every = [item.code for item in registry()]
    assert every
    choices = {"segmentation": PurposeChoice(ignore=("CTS008",))}
    first = {one.patient: one.fit for one in cohort_of(told, ("segmentation",)).patients}
    second = {one.patient: one.fit for one in cohort_of(told, ("segmentation",), choices=choices).patients}
    assert first[number(1001)] is Fit.OUT
    assert second[number(1001)] is not Fit.OUT


def test_an_audit_knows_its_purposes_and_saves_them(profile: Profile) -> None:
    settings = Settings(purposes={"mine": PurposeChoice(about="mine", out=("CTS012",))})
    judged = judge(clean().evidence(), profile, settings)
    assert [one.name for one in judged.purposes] == [*PURPOSES, "mine"]
    assert all(one.spoils is not None for one in judged.rules)
    again = Report.from_dict(json.loads(render(judged)))
    assert again.purposes == judged.purposes
    assert [one.spoils for one in again.rules] == [one.spoils for one in judged.rules]
    assert again.settings.purposes == settings.purposes
    assert again.text("CTS012").spoils.effect("mine") is Fit.OUT  # type: ignore[union-attr]


def test_where_a_patient_lies_is_told_only_as_it_may_be_shown(profile: Profile) -> None:
    judged = judge(clean().evidence(), profile, Settings())
    hidden = judge(clean().evidence(), profile, replace(Settings(), redact_paths=True))
    assert all(one.ct_folder and one.seg_file for one in judged.patients)
    assert not any(one.ct_folder or one.seg_file for one in hidden.patients)


def test_a_release_is_audited_and_the_next_time_remembered(
    clean_release: SyntheticRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crlm_qc.auditing.memory.user_cache", lambda: tmp_path / "cache")
    settings = Settings(depth=Depth.HEADERS, subset=True)
    every = ["CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003"]
    assert crlm_qc.usable(clean_release.root, purpose="sharing", settings=settings) == every
    asked = Request(settings=settings)
    memory = remember(clean_release.root, asked, purpose=asked.pictures)
    assert memory is not None
    assert crlm_qc.audit(clean_release.root, settings=settings, memory=memory).release.patients == len(every)
    with pytest.raises(UsageError, match="no patient was judged for segmentation: audited at depth headers only"):
        crlm_qc.usable(clean_release.root, settings=settings)


def test_a_purpose_of_saved_results_is_called_as_purposes_may_be() -> None:
    raw = json.loads(render(report()))
    raw["purposes"][0]["name"] = "x; rm -rf ~"
    with pytest.raises(PlainError, match="name under purposes"):
        Report.from_dict(raw)
