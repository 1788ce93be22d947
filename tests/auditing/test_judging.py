"""The audit loop: selection, skips, crashes, severities, fingerprints, verdicts."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import tiny
from support.frames import N_SLICES, Case, clean

from crlm_qc.auditing.judging import CRASH_RULE, judge
from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.errors import UsageError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.finding import Found, Kind, Subject, fingerprint
from crlm_qc.model.fitness import NOTHING
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import ExitCode, Report, Verdict
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.request.choice import choose
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.registry import Registry
from crlm_qc.rulebook.rule import Checked, Rule, Skip, rule
from crlm_qc.rules import registry

PATIENTS = frame("patients", [{"patient": "CRLM-CT-1001", "folder": "CRLM-CT-1001", "valid": True}])
EVIDENCE = Evidence(Facts(root="release", layout="nbia", depth=Depth.PIXELS), {"patients": PATIENTS})
ONE = Found(Subject(Kind.FILE, path="a.dcm"), "a.dcm is wrong.", "1", "2", patient="CRLM-CT-1001")


def make(check: Callable[[Context], Checked], code: str = "XXX001", **changes: object) -> Rule:
    made = rule(
        code,
        code.lower(),
        Severity.ERROR,
        title="t",
        why="w.",
        fix="f.",
        source="s",
        tables=("slices",),
        spoils=NOTHING,
    )(check)
    return replace(made, **changes)  # type: ignore[arg-type]


def run(profile: Profile, *rules: Rule, settings: Settings | None = None, evidence: Evidence = EVIDENCE) -> Report:
    return judge(evidence, profile, settings, [*rules, registry()[CRASH_RULE]])


def status(report: Report, code: str = "XXX001") -> Status:
    return next(outcome.status for outcome in report.outcomes if outcome.rule == code)


def test_pass_and_fail(profile: Profile) -> None:
    report = run(profile, make(lambda _: Checked(3)), make(lambda _: Checked(3, [ONE]), "XXX002"))
    assert status(report) is Status.PASSED
    assert status(report, "XXX002") is Status.FAILED
    assert [finding.rule for finding in report.findings] == ["XXX002"]
    assert report.verdict is Verdict.NOT_CONFORMANT
    assert report.exit_code() is ExitCode.FINDINGS
    assert report.exit_code(None) is ExitCode.CLEAN


def test_a_pass_over_nothing_is_a_skip(profile: Profile) -> None:
    report = run(profile, make(lambda _: Checked(0)))
    assert status(report) is Status.SKIPPED


def test_a_skip_tells_why_and_may_make_the_audit_incomplete(profile: Profile) -> None:
    def skip(incomplete: bool) -> Callable[[Context], Checked]:
        def check(context: Context) -> Checked:
            raise Skip("no decoder", incomplete=incomplete)

        return check

    report = run(profile, make(skip(incomplete=False)))
    assert report.exit_code() is ExitCode.CLEAN
    report = run(profile, make(skip(incomplete=True)))
    assert next(outcome.reason for outcome in report.outcomes if outcome.rule == "XXX001") == "no decoder"
    assert report.verdict is Verdict.INCOMPLETE
    assert report.exit_code() is ExitCode.INCOMPLETE


def test_a_crash_is_a_finding_without_the_exceptions_text_and_the_rest_goes_on(profile: Profile) -> None:
    def crash(context: Context) -> Checked:
        raise ValueError("Jane Doe")

    report = run(profile, make(crash), make(lambda _: Checked(1), "XXX002"))
    assert status(report) is Status.ERRORED
    assert status(report, "XXX002") is Status.PASSED
    (finding,) = report.findings
    assert finding.rule == CRASH_RULE
    assert "XXX001" in finding.message
    assert finding.observed.startswith("ValueError at test_judging.py:")
    assert "Jane" not in str(report.as_dict())
    assert report.verdict is Verdict.INCOMPLETE
    assert report.exit_code() is ExitCode.INCOMPLETE


def test_depth_too_shallow_is_a_skip(profile: Profile) -> None:
    headers = replace(EVIDENCE, facts=replace(EVIDENCE.facts, depth=Depth.HEADERS))
    report = run(profile, make(lambda _: Checked(1), depth=Depth.MASKS), evidence=headers)
    assert next(outcome.reason for outcome in report.outcomes if outcome.rule == "XXX001") == "needs --depth masks"
    assert report.settings.depth is Depth.HEADERS
    assert report.verdict is Verdict.INCOMPLETE


def test_whole_release_rules_are_off_for_a_subset(profile: Profile) -> None:
    whole = make(lambda _: Checked(1, [ONE]), whole_release=True)
    assert status(run(profile, whole)) is Status.FAILED
    assert status(run(profile, whole, settings=Settings(subset=True))) is Status.SKIPPED


def test_severity_of_user_beats_that_of_the_finding_and_of_the_rule(profile: Profile) -> None:
    mild = make(lambda _: Checked(1, [replace(ONE, severity=Severity.WARNING)]))
    assert run(profile, mild).findings[0].severity is Severity.WARNING
    report = run(profile, mild, settings=Settings(severity={"XXX001": Severity.INFO}))
    assert report.findings[0].severity is Severity.INFO
    assert report.verdict is Verdict.CONFORMANT
    assert report.exit_code(Severity.INFO) is ExitCode.FINDINGS
    assert report.exit_code(Severity.WARNING) is ExitCode.CLEAN


def test_fingerprints_do_not_depend_on_what_was_measured(profile: Profile) -> None:
    def prints(*found: Found) -> list[str]:
        return [one.fingerprint for one in run(profile, make(lambda _: Checked(1, found))).findings]

    (first,) = prints(ONE)
    assert prints(replace(ONE, observed="3", message="a.dcm is worse.", count=7)) == [first]
    assert prints(replace(ONE, patient="CRLM-CT-1002")) != [first]
    assert len(set(prints(ONE, replace(ONE, message="b")))) == 2


@pytest.mark.parametrize(
    ("one", "other", "patient", "same"),
    [
        ("manifest-1/C/CRLM-CT-1001/s/1-1.dcm", "manifest-22/C/CRLM-CT-1001/s/1-1.dcm", "CRLM-CT-1001", True),
        ("manifest-1/C/CRLM-CT-1001/s/1-1.dcm", "CRLM-CT-1001/s/1-1.dcm", "CRLM-CT-1001", True),
        ("manifest-1/metadata.csv", "manifest-22/metadata.csv", None, True),
        ("manifest-1/metadata.csv", "metadata.csv", "CRLM-CT-1001", True),
        ("CRLM-CT-1001/s/1-1.dcm", "CRLM-CT-1001/t/1-1.dcm", "CRLM-CT-1001", False),
        ("a/notes.txt", "b/notes.txt", None, False),
    ],
)
def test_a_finding_keeps_its_name_wherever_the_release_lies(
    one: str, other: str, patient: str | None, same: bool
) -> None:
    first, second = (fingerprint("REL004", patient, Subject(Kind.FILE, path=path)) for path in (one, other))
    assert (first == second) is same


def test_a_row_that_moves_keeps_its_fingerprint_if_something_else_names_it() -> None:
    named = Subject(Kind.ROW, uid="1.2", row=5, column="Modality")
    assert named.identity() == replace(named, row=9).identity()
    unnamed = Subject(Kind.ROW, row=5)
    assert unnamed.identity() != replace(unnamed, row=9).identity()


def test_zero_patients_and_no_table_is_nothing_to_check(profile: Profile) -> None:
    report = run(profile, make(lambda _: Checked(1, [ONE])), evidence=Evidence())
    assert report.exit_code() is ExitCode.NOTHING


def test_a_narrowed_clean_run_does_not_say_conformant(profile: Profile) -> None:
    clean = make(lambda _: Checked(1))
    assert run(profile, clean).verdict is Verdict.CONFORMANT
    assert run(profile, clean, settings=Settings(select=("XXX",))).verdict is Verdict.INCOMPLETE


def test_choose() -> None:
    rules = Registry([make(lambda _: Checked(1), code) for code in ("XXX001", "XXX002", "YYY001")])

    def codes(**changes: object) -> list[str]:
        return [item.code for item in choose(rules, Settings(**changes))]  # type: ignore[arg-type]

    assert codes() == ["XXX001", "XXX002", "YYY001"]
    assert codes(select=("XXX",), ignore=("XXX002",)) == ["XXX001"]
    with pytest.raises(UsageError, match="unknown rule XXX01 in --select: close to XXX001"):
        codes(select=("XXX01",))
    with pytest.raises(UsageError, match="unknown rule yyy1 in --ignore: close to YYY001"):
        codes(ignore=("yyy1",))
    with pytest.raises(UsageError, match="--severity"):
        codes(severity={"QQQ001": Severity.INFO})


def test_the_public_name_stays_a_function() -> None:
    # A module of that name would take its place at the first import.
    code = "import crlm_qc, crlm_qc.cli.app, crlm_qc.auditing.run; crlm_qc.audit; assert callable(crlm_qc.audit)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("code", ["DID001", "DID002", "DID003", "DID007", "DID010"])
def test_what_identifies_a_person_is_not_waived_by_a_waiver_alone(tmp_path: Path, code: str) -> None:
    waivers = [Waiver(code, "Looked at.", ("CRLM-CT-1001",))]
    with pytest.raises(UsageError, match=f"{code}, which is about what identifies a person.*--allow-did-waivers"):
        audit(tmp_path, waivers=waivers)
    assert audit(tmp_path, waivers=waivers, allow_did_waivers=True).findings


def test_other_rules_of_the_family_can_be_waived(tmp_path: Path) -> None:
    assert audit(tmp_path, waivers=[Waiver("DID009", "Looked at.", ("CRLM-CT-1001",))]).findings


# --- saved evidence under other tolerances


SLICES = Settings(known_issues=False, select=("CTS",))
"""Limits and figures come of the evidence, whatever rules run."""


def uneven() -> Case:
    """A release whose lowest CT slice of the first patient lies 2 mm too deep, measured with the tolerances by default."""
    case = clean()
    case.slice(N_SLICES)["position_z"] -= 2.0
    return case


def test_tolerances_that_give_another_spacing_are_told(profile: Profile) -> None:
    report = judge(uneven().evidence(), profile, Settings(tolerances={"spacing_mm": 2.5}))
    (limit,) = report.limits
    assert limit.startswith(
        "CRLM-CT-1001: the evidence was measured with a slice spacing of 5 mm, and with the tolerances"
    )
    assert limit.endswith("it is 5.02 mm: collect it again")
    assert report.incomplete
    assert report.verdict is not Verdict.CONFORMANT


@pytest.mark.parametrize("tolerances", [{}, {"spacing_mm": 0.02}, {"position_mm": 0.02}, {"age_years": 5.0}])
def test_tolerances_that_give_the_same_spacing_are_not(profile: Profile, tolerances: dict[str, float]) -> None:
    assert judge(uneven().evidence(), profile, replace(SLICES, tolerances=tolerances)).limits == ()


def test_evidence_is_measured_with_the_profiles_tolerances(tmp_path: Path, profile: Profile) -> None:
    folder = tmp_path / profile.name / tiny.PATIENT / "06-06-1992-NA-NA-73.1" / "2.000000-NA-3.1"
    for index, height in enumerate((0.0, 5.0, 10.0, 15.0, 22.0)):
        ds = tiny.ct_slice(index)
        ds.ImagePositionPatient[2] = height
        tiny.write(folder / f"1-{index + 1}.dcm", ds)
    wide = profile.with_tolerances({"spacing_mm": 2.5})
    for one, spacing in ((profile, 5.0), (wide, 5.4)):
        report = audit(tmp_path, settings=SLICES, profile=one, jobs=1, evidence_to=tmp_path / "saved")
        assert report.limits == ()
        assert [patient.spacing_mm for patient in report.patients] == [pytest.approx(spacing)]
    # What was saved last was measured with the wider tolerance.
    assert audit(tmp_path / "saved", settings=SLICES, profile=wide).limits == ()
    (limit,) = audit(tmp_path / "saved", settings=SLICES, profile=profile).limits
    assert "a slice spacing of 5.4 mm, and with the tolerances of this audit it is 5 mm" in limit
