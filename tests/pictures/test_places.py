"""Findings say as data how and where they are seen: pictures go by that, never by words."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from support import reports
from support.frames import Case, clean
from support.visible import VISIBLE, no_source
from support.wording import pictured, reworded

from crlm_qc.auditing.judging import judge
from crlm_qc.collection.profile import Profile
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.finding import Finding, Kind, Subject
from crlm_qc.model.outcome import Status
from crlm_qc.model.picture import Picture, PictureMode, PictureRequest
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import At, Beside, Frame, Seen, Sight, Slice
from crlm_qc.pictures.album import illustrate
from crlm_qc.pictures.choose import deserving
from crlm_qc.report.json_format import render as render_json
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Skip
from crlm_qc.rules import registry

SEEN = {item.code: item.seen for item in registry() if item.seen is not None}
HIDING = {code for code, seen in SEEN.items() if seen.hides}
UNSEEN = [item for item in registry() if item.seen is None and item.family in ("CTS", "DSO", "SEG", "XRF")]
NOTHING_LEFT = {"DSO019"}
"""Rules on what is not there, so that nothing of it can be marked."""
TOGETHER = (
    ("CTS003", "CTS016", "CTS020"),
    ("CTS007", "CTS009", "CTS016"),
    ("CTS015", "CTS008", "DSO021"),
    ("CTS011", "DSO021", "SEG005"),
    ("CTS006", "SEG014", "SEG019"),
    ("CTS010", "DSO008", "SEG011"),
    ("CTS017", "SEG009", "SEG015"),
    ("DSO010", "DSO012", "DSO033"),
    ("DSO011", "DSO014", "SEG002"),
    ("DSO020", "DSO023", "DSO032"),
    ("SEG005", "SEG007", "XRF007"),
    ("SEG006", "SEG008", "SEG016"),
    ("SEG009", "SEG013", "XRF006"),
    ("CTS003", "DID007", "SEG005"),
)


def faulty(codes: Iterable[str]) -> Case:
    case = clean()
    for code in codes:
        VISIBLE[code](case)
    return case


def judged(evidence: Evidence, profile: Profile) -> Report:
    report = judge(evidence, profile, rules=[item for item in registry() if item.code in SEEN])
    assert [one.rule for one in report.outcomes if one.status is Status.ERRORED] == []
    return report


def test_there_is_a_fault_for_every_rule_that_is_seen() -> None:
    assert set(VISIBLE) == set(SEEN)
    assert {seen.at for seen in SEEN.values()} == set(At)
    assert {seen.beside for seen in SEEN.values()} == {*Beside, None}


@pytest.mark.parametrize("codes", [*((code,) for code in VISIBLE), *TOGETHER], ids="+".join)
def test_pictures_do_not_go_by_words(profile: Profile, codes: tuple[str, ...]) -> None:
    evidence = faulty(codes).evidence()
    report = judged(evidence, profile)
    assert set(codes) <= {one.rule for one in report.findings}
    context = Context(evidence, profile)
    found = pictured(context, report.findings)
    assert found == pictured(context, reworded(report.findings))
    # They are seen at all: a rule that is seen at the places of its findings gives them some.
    for code in set(codes) - HIDING:
        mine = [one for one in report.findings if one.rule == code]
        assert [one for about in deserving(mine).values() for one in about] == mine
        marked = {mark for one in found for mark in one.findings}
        assert marked & {one.fingerprint for one in mine} or code in NOTHING_LEFT or len(codes) > 1


@pytest.mark.parametrize("code", VISIBLE)
def test_what_says_where_it_is_seen_says_how(profile: Profile, code: str) -> None:
    context = Context(faulty([code]).evidence(), profile, Settings())
    for item in UNSEEN:
        with suppress(Skip):
            assert [one for one in item.check(context).findings if one.places] == [], item.code


def test_the_reason_names_the_rules_that_hide_the_images(profile: Profile) -> None:
    case = faulty(["CTS003", *sorted(HIDING)])
    (box,) = pictured(Context(case.evidence(), profile), judged(case.evidence(), profile).findings)
    assert isinstance(box, Picture)
    assert [item.code for item in registry() if item.code in box.reason] == sorted(HIDING)


def test_places_of_every_kind_of_misplaced_frame(profile: Profile) -> None:
    """The first few frames lie nowhere: one that can be shown is among the places all the same."""
    case = clean()
    *nowhere, _, beside = case.frames(1)[:8]
    no_source(case, [*nowhere, beside])
    for frame in nowhere:
        frame.update(position_x=None, position_y=None, position_z=None)
    beside["position_z"] += 2.0
    report = judged(case.evidence(), profile)
    titles = [
        one.title
        for one in pictured(Context(case.evidence(), profile), report.findings)
        if isinstance(one, PictureRequest)
    ]
    assert f"Frame {beside['frame']}, which DSO014 names" in titles


def test_numbers_that_leave_gaps_are_not_seen(profile: Profile) -> None:
    """They are no disorder: the slices lie as their numbers say."""
    case = clean()
    case.slice(24)["instance_number"] += 3
    report = judged(case.evidence(), profile)
    assert [(one.rule, one.severity) for one in report.findings] == [("CTS011", Severity.WARNING)]
    assert pictured(Context(case.evidence(), profile), report.findings) == []


def test_frames_and_slices_by_what_names_them(profile: Profile) -> None:
    case = faulty(["DSO011"])
    (finding,) = judged(case.evidence(), profile).findings
    frames = [case.frames(1)[place] for place in (3, 8)]
    paths = [
        row["path"] for frame in frames for row in case.of("slices") if row["sop_instance_uid"] == frame["source_uid"]
    ]
    assert finding.sight is not None
    owner = case.dso()["path"]
    assert finding.sight.places == (*map(Slice, paths), *(Frame(owner, frame["frame"]) for frame in frames))


def test_slices_are_found_whatever_their_files_are_called(profile: Profile) -> None:
    case = faulty(["CTS016"])
    for row in [*case["slices"], *case["files"]]:
        row["path"] = row["path"].replace("/1-", "/image-")
    report = judged(case.evidence(), profile)
    titles = [one.title for one in pictured(Context(case.evidence(), profile), report.findings)]
    assert titles == [
        "Largest cross-section of the liver",
        *(f"Slice image-{name}.dcm, which CTS016 names" for name in ("09", 12)),
    ]


def test_a_finding_on_another_object_is_not_shown_on_this_one(profile: Profile) -> None:
    case = faulty(["SEG015"])
    report = judged(case.evidence(), profile)
    (finding,) = report.findings
    other = case.dso()["path"].replace("1-1.dcm", "1-2.dcm")
    for table, key in (("dsos", "path"), ("frames", "dso"), ("segments", "dso"), ("references", "dso")):
        case[table] += [{**row, key: other} for row in case.of(table)]
    elsewhere = Finding(
        "SEG009", Severity.WARNING, Subject(Kind.SEGMENT, other, segment=1), "", "", "", finding.patient, 1, (), "0" * 12,
        sight=Sight(Seen()),
    )  # fmt: skip
    found = pictured(Context(case.evidence(), profile), [finding, elsewhere])
    assert {mark for one in found for mark in one.findings} == {finding.fingerprint}


@pytest.mark.parametrize("code", ["DSO011", "SEG006", "SEG009", "SEG011"])
def test_pictures_are_the_same_where_folders_have_no_names(profile: Profile, code: str, tmp_path: Path) -> None:
    evidence = faulty([code]).evidence()

    def titles(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
        report = judge(evidence, profile, settings, [registry()[code]])
        # There are no images to read: each picture says so, and what it would have been.
        found, _ = illustrate(report, evidence, tmp_path, profile, PictureMode.AUTO)
        return [(one.title, one.findings) for one in found.pictures]

    assert titles(Settings(redact_paths=True)) == titles(Settings()) != []


def test_a_gap_in_a_ct_without_an_object(profile: Profile) -> None:
    case = faulty(["CTS008"])
    for table in ("dsos", "frames", "segments", "segment_pairs", "references", "alignments"):
        case.drop(table, lambda row: False)
    report = judged(case.evidence(), profile)
    assert [one.title for one in pictured(Context(case.evidence(), profile), report.findings)] == [
        "Middle of the series", "Coronal reformat", "Gap of 10 mm"
    ]  # fmt: skip


def test_places_are_in_no_report(profile: Profile) -> None:
    report = judged(faulty(["SEG006"]).evidence(), profile)
    assert any(one.sight is not None and one.sight.places for one in report.findings)
    saved = json.loads(render_json(report))
    assert "sight" not in {key for one in saved["findings"] for key in one}
    again = Report.from_dict(saved)
    assert {one.sight for one in again.findings} == {None}
    assert again.findings == tuple(report.findings)
    # Paths are as they are on disk: they show nowhere.
    (finding,) = judged(faulty(["CTS003"]).evidence(), profile).findings
    assert finding.sight is not None
    assert repr(finding.sight.places) not in repr(finding)


@pytest.mark.parametrize("sight", [1, {"seen": {"at": "liver"}}, {"seen": {}, "places": [{"path": "../../secret"}]}])
def test_places_are_taken_from_no_file(sight: object) -> None:
    raw = json.loads(render_json(reports.sample()))
    for one in raw["findings"]:
        one["sight"] = sight
    assert {one.sight for one in Report.from_dict(raw).findings} == {None}
