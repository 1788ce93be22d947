import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from crlm_qc.auditing.judging import judge
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.resources import expectations_folder
from crlm_qc.collection.waivers import Waiver, load_waivers
from crlm_qc.model.errors import UsageError, WaiverError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import NOTHING
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.model.waivers import WaiverState
from crlm_qc.report import html, markdown, text, words
from crlm_qc.request.request import Request
from crlm_qc.rulebook.rule import Checked, Rule, rule
from crlm_qc.rules import registry

TODAY = dt.date(2026, 11, 23)
ENTRY = '[[waiver]]\nrule = "XXX001"\npatients = ["CRLM-CT-1001"]\nreason = "Looked at."\n'
FOUND = Found(Subject(Kind.SEGMENT, path="a.dcm", segment=5), "Wrong.", patient="CRLM-CT-1001")
PATIENTS = frame(
    "patients", [{"patient": f"CRLM-CT-100{n}", "folder": f"CRLM-CT-100{n}", "valid": True} for n in (1, 2)]
)
SOURCES = frame(
    "sources", [{"source": "clinical", "path": "a.xlsx", "used": True, "edition": "October 2022", "n_rows": 2}]
)


def a_rule(*found: Found) -> Rule:
    return rule(
        "XXX001", "x", Severity.ERROR, title="t", why="w.", fix="f.", source="s", tables=("slices",), spoils=NOTHING
    )(lambda _: Checked(2, found))


def run(
    profile: Profile, path: Path, text: str, *found: Found, settings: Settings | None = None, known: bool = False
) -> Report:
    path = path / "waivers.toml"
    path.write_text(text, encoding="utf-8")
    evidence = Evidence(Facts(depth=Depth.PIXELS), {"patients": PATIENTS, "sources": SOURCES})
    rules = [a_rule(*found), *registry().matching("WVR")]
    return judge(evidence, profile, settings, rules, waivers=load_waivers(path, known=known), today=TODAY)


def flat(report: Report) -> list[tuple[str, str | None, str | None]]:
    return [(finding.rule, finding.patient, finding.waived) for finding in report.findings]


def test_a_waived_finding_stays_and_does_not_count(profile: Profile, tmp_path: Path) -> None:
    report = run(profile, tmp_path, ENTRY, FOUND)
    assert flat(report) == [("XXX001", "CRLM-CT-1001", "Looked at.")]
    assert report.counts == {"error": 0, "warning": 0, "info": 0, "waived": 1}
    assert report.exit_code() == 0


@pytest.mark.parametrize(
    ("more", "matches"),
    [
        ("subject = {segment = 5}", True),
        ("subject = {segment = 6}", False),
        ('subject = {path = "a.dcm", segment = 5}', True),
        ('edition = "October 2022"', True),
        ("until = 2026-11-23", True),
    ],
)
def test_what_a_waiver_matches(profile: Profile, tmp_path: Path, more: str, matches: bool) -> None:
    report = run(profile, tmp_path, ENTRY + more, FOUND)
    assert (report.counts["waived"] == 1) is matches
    assert ("WVR002" in [finding.rule for finding in report.findings]) is not matches


def test_a_waiver_of_another_edition_is_left_alone(profile: Profile, tmp_path: Path) -> None:
    assert flat(run(profile, tmp_path, ENTRY + 'edition = "April 2023"', FOUND)) == [("XXX001", "CRLM-CT-1001", None)]


def test_one_patients_waiver_is_not_anothers(profile: Profile, tmp_path: Path) -> None:
    text = ENTRY.replace("1001", "1002")
    assert flat(run(profile, tmp_path, text, FOUND)) == [
        ("XXX001", "CRLM-CT-1001", None),
        ("WVR002", "CRLM-CT-1002", None),
    ]


def test_without_patients_only_findings_about_none_match(profile: Profile, tmp_path: Path) -> None:
    text = '[[waiver]]\nrule = "XXX001"\nreason = "r"\n'
    assert run(profile, tmp_path, text, FOUND).counts["waived"] == 0
    assert run(profile, tmp_path, text, Found(Subject(Kind.RELEASE), "Wrong.")).counts["waived"] == 1


def test_an_expired_waiver_counts_again_and_is_told(profile: Profile, tmp_path: Path) -> None:
    report = run(profile, tmp_path, ENTRY + "until = 2026-11-22", FOUND)
    assert flat(report) == [("XXX001", "CRLM-CT-1001", None), ("WVR001", "CRLM-CT-1001", None)]


def test_a_waiver_for_a_patient_or_rule_that_was_not_checked_is_not_unused(profile: Profile, tmp_path: Path) -> None:
    assert flat(run(profile, tmp_path, ENTRY.replace("1001", "1077"), settings=Settings(subset=True))) == []
    assert flat(run(profile, tmp_path, ENTRY.replace("XXX001", "XXX009"))) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[waiver]", "can't be read"),
        ("[[waivers]]\n", "unknown key waivers"),
        ('[[waiver]]\nrule = "XXX001"', "entry 1: reason is missing"),
        (ENTRY + "reasons = 1", "unknown key reasons"),
        (ENTRY.replace("XXX001", "XXX"), "one exact code"),
        (ENTRY + 'until = "2027-01-01"', "until must be a date"),
        (ENTRY + "subject = {label = 1}", "unknown key label in subject"),
        ("waiver = 3", r"entries are \[\[waiver\]\]"),
        ("waiver = [3]", r"entries are \[\[waiver\]\]"),
        ('[[waiver]]\nrule = "XXX001"\nreason = "x"\npatients = "CRLM-CT-1001"', "patients must be a list"),
        (ENTRY + "subject = 1", "subject must be a table"),
    ],
)
def test_a_bad_file_says_what_is_wrong(profile: Profile, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(WaiverError, match=said):
        run(profile, tmp_path, text)


def test_a_file_that_is_not_there_is_said_as_of_other_files(tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match=r"^waivers none.toml can't be read: no such file or directory$"):
        load_waivers(tmp_path / "none.toml")


def test_the_shipped_known_issues_load(profile: Profile) -> None:
    waivers = load_waivers(expectations_folder() / "known_issues.toml", known=True)
    assert {waiver.rule for waiver in waivers} == {"CLN010", "SEG006", "STD001", "STD002"}
    assert all(profile.is_patient_id(patient) for waiver in waivers for patient in waiver.patients)
    assert all(waiver.source and waiver.date and waiver.known for waiver in waivers)


@pytest.mark.parametrize(
    ("more", "found", "state", "findings"),
    [
        ("", True, WaiverState.USED, 1),
        ("", False, WaiverState.UNUSED, 0),
        ("until = 2026-12-24", True, WaiverState.USED, 1),
        ("until = 2026-12-23", True, WaiverState.ENDING, 1),
        ("until = 2026-11-23", True, WaiverState.ENDING, 1),
        ("until = 2026-11-22", True, WaiverState.EXPIRED, 1),
        ("until = 2026-11-22", False, WaiverState.EXPIRED, 0),
        ("until = 2026-12-01", False, WaiverState.UNUSED, 0),
        ('edition = "April 2023"', True, WaiverState.IDLE, 0),
    ],
)
def test_what_became_of_a_waiver(
    profile: Profile, tmp_path: Path, more: str, found: bool, state: WaiverState, findings: int
) -> None:
    report = run(profile, tmp_path, f"{ENTRY}{more}\n", *([FOUND] if found else []))
    (use,) = report.waivers
    assert (use.state, use.findings, use.rule, use.reason) == (state, findings, "XXX001", "Looked at.")


def test_a_waiver_of_what_was_not_looked_at_is_not_judged(profile: Profile, tmp_path: Path) -> None:
    (gone,) = run(profile, tmp_path, ENTRY.replace("1001", "1009"), settings=Settings(subset=True)).waivers
    (never,) = run(profile, tmp_path, ENTRY.replace("XXX001", "SEG006")).waivers
    assert gone.state is never.state is WaiverState.IDLE


def test_a_known_issue_of_the_release_as_a_whole_may_be_missing_in_a_part(profile: Profile, tmp_path: Path) -> None:
    text = '[[waiver]]\nrule = "XXX001"\nreason = "r"\n'
    mine = run(profile, tmp_path, text)
    assert [(one.rule, one.message) for one in mine.findings] == [
        ("WVR002", "The waiver of XXX001 matches no finding: take it out.")
    ]
    report = run(profile, tmp_path, text, known=True)
    assert list(report.findings) == []
    assert [use.state for use in report.waivers] == [WaiverState.IDLE]


def test_what_validators_say_is_waived_where_they_are_asked(profile: Profile) -> None:
    def rules(settings: Settings) -> set[str]:
        return {one.rule for one in Request(settings=settings, profile=profile).accepted()}

    assert rules(Settings(standard=True)) - rules(Settings()) == {"STD001", "STD002"}


OF_RELEASE = Found(Subject(Kind.RELEASE), "Wrong.")
SEGMENT_9 = ENTRY + "subject = {segment = 9}"
NOBODY = '[[waiver]]\nrule = "XXX001"\nreason = "r"\n'


@pytest.mark.parametrize(
    ("text", "found", "said"),
    [
        (
            NOBODY,
            [FOUND],
            'names no patient, and the 1 finding of XXX001 is of patients: name them, or write patients = "every".',
        ),
        (ENTRY, [OF_RELEASE], "is of patients, and 1 finding of XXX001 is about none: leave patients out."),
        (
            SEGMENT_9,
            [FOUND],
            "matches no finding, though there is 1 finding of XXX001: correct its subject, or take it out.",
        ),
        (
            ENTRY + 'fingerprint = "0123456789ab"',
            [FOUND],
            "though there is 1 finding of XXX001: correct its fingerprint",
        ),
        (ENTRY.replace("1001", "1020"), [], "names a patient that the release has not: did you mean CRLM-CT-1002"),
        (ENTRY + "\n" + ENTRY, [FOUND], "accepts what an earlier waiver accepts already: take one of them out."),
        (ENTRY, [], "matches no finding: take it out."),
        (ENTRY.replace('["CRLM-CT-1001"]', '"every"'), [OF_RELEASE], "for every patient is of patients, and 1 finding"),
    ],
)
def test_advice_looks_at_what_there_is(
    profile: Profile, tmp_path: Path, text: str, found: list[Found], said: str
) -> None:
    (told,) = [one for one in run(profile, tmp_path, text, *found).findings if one.rule == "WVR002"]
    assert said in told.message


def test_a_waiver_of_every_patient_accepts_them_all_and_nothing_of_the_release(
    profile: Profile, tmp_path: Path
) -> None:
    others = [replace(FOUND, patient="CRLM-CT-1002"), OF_RELEASE]
    report = run(profile, tmp_path, ENTRY.replace('["CRLM-CT-1001"]', '"every"'), FOUND, *others)
    assert [one.waived for one in report.findings if one.patient] == ["Looked at."] * 2
    assert [one.rule for one in report.findings if one.waived is None] == ["XXX001"]
    assert [(use.patients, use.findings) for use in report.waivers] == [(("every",), 2)]


def test_a_fingerprint_is_of_one_finding(profile: Profile, tmp_path: Path) -> None:
    other = replace(FOUND, subject=Subject(Kind.SEGMENT, path="a.dcm", segment=6))
    named = run(profile, tmp_path, "", FOUND, other).findings[0].fingerprint
    report = run(profile, tmp_path, f'{ENTRY}fingerprint = "{named}"', FOUND, other)
    assert {one.fingerprint for one in report.findings if one.waived} == {named}


@pytest.mark.parametrize(
    ("patients", "said"),
    [
        ('["all"]', 'patients names all, which is nobody: .* write patients = "every"'),
        ('"all"', 'patients must be a list of texts, .* or "every"'),
    ],
)
def test_nobody_is_called_all(tmp_path: Path, patients: str, said: str) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(ENTRY.replace('["CRLM-CT-1001"]', patients), encoding="utf-8")
    with pytest.raises(WaiverError, match=said):
        load_waivers(path)


@pytest.mark.parametrize(
    ("patient", "said"),
    [("CRLM-CT-104", "did you mean CRLM-CT-0104"), ("Somebody", "IDs are of the form CRLM-CT-nnnn")],
)
def test_ids_are_of_the_form_of_the_profile(profile: Profile, patient: str, said: str) -> None:
    request = Request(profile=profile, waivers=(Waiver("SEG006", "r", (patient,)),))
    with pytest.raises(UsageError, match=said):
        request.accepted()


def test_what_ends_soon_is_said_in_every_format(profile: Profile, tmp_path: Path) -> None:
    report = run(profile, tmp_path, f"{ENTRY}until = 2026-12-01", FOUND)
    said = "1 waiver ends soon, and what it accepts counts again: XXX001 for CRLM-CT-1001 after 2026-12-01."
    assert said == words.ending(report)
    assert said in " ".join(text.render(report).split())
    assert all("XXX001 for CRLM-CT-1001 after 2026-12-01" in form.render(report) for form in (markdown, html))
    assert words.ending(run(profile, tmp_path, f"{ENTRY}until = 2027-12-01", FOUND)) == ""
