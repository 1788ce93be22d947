"""Whom to use for a purpose, judged from a report alone."""

from dataclasses import replace

import pytest
from support.cohorts import BOTH, CARE, EVERYONE, NEITHER, OUT, found, number, report

from crlm_qc.model.cohort import Cohort, as_dict, judge_cohort
from crlm_qc.model.fitness import PURPOSES, Fit
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import ExitCode
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity


def fits(cohort: Cohort) -> list[Fit]:
    return [one.fit for one in cohort.patients]


def used(cohort: Cohort) -> list[str]:
    return [one.patient for one in cohort.used]


def test_a_finding_counts_for_what_its_rule_spoils_and_for_nothing_else() -> None:
    told = report([found(OUT, 1001), found(CARE, 1002), found(NEITHER, 1003)])
    assert fits(judge_cohort(told, ["segmentation"])) == [Fit.OUT, Fit.CARE, Fit.USABLE]
    assert fits(judge_cohort(told, ["sharing"])) == [Fit.USABLE] * 3


def test_the_same_finding_leaves_out_of_one_purpose_and_asks_for_care_in_another() -> None:
    told = report([found(BOTH, 1001)])
    assert fits(judge_cohort(told, ["lesion-counts"]))[0] is Fit.OUT
    assert fits(judge_cohort(told, ["segmentation"]))[0] is Fit.CARE
    # For both at once the worse holds.
    assert fits(judge_cohort(told, ["segmentation", "lesion-counts"]))[0] is Fit.OUT


def test_a_reason_has_rule_and_fingerprint() -> None:
    told = report([found(CARE, 1001), found(OUT, 1001)])
    one = judge_cohort(told, ["segmentation"]).patients[0]
    assert [(reason.finding.rule, reason.effect) for reason in one.reasons] == [(OUT, Fit.OUT), (CARE, Fit.CARE)]
    assert [reason.finding.fingerprint for reason in one.gravest] == [told.findings[0].fingerprint]


def test_strict_uses_nobody_who_needs_care() -> None:
    told = report([found(CARE, 1002)])
    assert used(judge_cohort(told, ["segmentation"])) == [number(1001), number(1002), number(1003)]
    strict = judge_cohort(told, ["segmentation"], strict=True)
    assert used(strict) == [number(1001), number(1003)]
    assert [one.patient for one in strict.excluded] == [number(1002)]


@pytest.mark.parametrize(
    ("rule", "severity", "fit"),
    [
        (OUT, Severity.ERROR, Fit.OUT),
        (OUT, Severity.WARNING, Fit.CARE),
        (OUT, Severity.INFO, Fit.CARE),
        (CARE, Severity.ERROR, Fit.OUT),
        (CARE, Severity.WARNING, Fit.CARE),
        (CARE, Severity.INFO, Fit.USABLE),
        (NEITHER, Severity.ERROR, Fit.USABLE),
    ],
)
def test_a_finding_milder_or_graver_than_its_rule_counts_a_step_less_or_more(
    rule: str, severity: Severity, fit: Fit
) -> None:
    assert fits(judge_cohort(report([found(rule, 1001, severity)]), ["segmentation"]))[0] is fit


def test_a_severity_that_the_user_gave_has_no_say() -> None:
    settings = Settings(severity={OUT: Severity.INFO})
    told = report([found(OUT, 1001, Severity.INFO)], settings=settings)
    assert fits(judge_cohort(told, ["segmentation"]))[0] is Fit.OUT


def test_what_was_waived_is_decided_and_what_is_documented_asks_for_care() -> None:
    told = report(
        [found(OUT, 1001, waived="looked at"), found(BOTH, 1002, waived="as published")], known=[(BOTH, "as published")]
    )
    cohort = judge_cohort(told, ["segmentation", "lesion-counts"])
    assert fits(cohort) == [Fit.USABLE, Fit.CARE, Fit.USABLE]
    assert cohort.patients[1].reasons[0].documented
    assert cohort.notes == ("1 finding that would count is waived, and so decided.",)


def test_a_finding_of_the_release_is_told_once_or_spoils_everyone() -> None:
    told = report([found(OUT), found(EVERYONE)])
    once = judge_cohort(told, ["segmentation"])
    assert fits(once) == [Fit.USABLE] * 3
    assert [one.finding.rule for one in once.of_release] == [OUT]
    everyone = judge_cohort(told, ["clinical-pairing"])
    assert fits(everyone) == [Fit.OUT] * 3
    assert everyone.of_release == ()


def test_a_patient_that_tables_alone_name_is_told_of_and_can_not_be_used() -> None:
    cohort = judge_cohort(report([found(OUT, 1009)]), ["segmentation"])
    assert [one.patient for one in cohort.patients] == [number(1001), number(1002), number(1003)]
    assert [one.finding.patient for one in cohort.of_release] == [number(1009)]


def test_an_audit_that_was_not_deep_enough_judges_nobody_but_those_already_out() -> None:
    told = report([found(OUT, 1001), found(CARE, 1002)], settings=Settings(depth=Depth.HEADERS))
    cohort = judge_cohort(told, ["segmentation"])
    assert fits(cohort) == [Fit.OUT, Fit.UNKNOWN, Fit.UNKNOWN]
    assert cohort.patients[2].unknown == "audited at depth headers only, and this needs pixels"
    assert cohort.used == ()
    # What headers tell they tell.
    assert fits(judge_cohort(told, ["sharing"])) == [Fit.USABLE] * 3


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (Outcome(OUT, Status.ERRORED, reason="KeyError at x.py:1", incomplete=True), f"{OUT} could not be checked"),
        (Outcome(OUT, Status.SKIPPED, reason="no decoder", incomplete=True), f"{OUT} could not be checked"),
    ],
)
def test_where_a_rule_that_leaves_out_was_kept_from_looking_nobody_is_usable(ended: Outcome, why: str) -> None:
    cohort = judge_cohort(report(outcomes={OUT: ended}), ["segmentation"])
    assert {(one.fit, one.unknown) for one in cohort.patients} == {(Fit.UNKNOWN, why)}
    assert fits(judge_cohort(report(outcomes={OUT: ended}), ["lesion-counts"])) == [Fit.USABLE] * 3


def test_a_rule_that_had_nothing_to_look_at_keeps_nobody_from_being_used() -> None:
    ended = Outcome(OUT, Status.SKIPPED, reason="nothing there to examine")
    assert fits(judge_cohort(report(outcomes={OUT: ended}), ["segmentation"])) == [Fit.USABLE] * 3


def test_a_rule_that_would_ask_for_care_and_could_not_look_is_named() -> None:
    ended = Outcome(CARE, Status.ERRORED, reason="KeyError at x.py:1", incomplete=True)
    cohort = judge_cohort(report(outcomes={CARE: ended}), ["segmentation"])
    assert fits(cohort) == [Fit.USABLE] * 3
    assert cohort.notes == (f"Not looked for: {CARE}.",)


def test_rules_that_were_not_asked_for_judge_nobody_and_those_ignored_by_name_are_told() -> None:
    purpose = PURPOSES["segmentation"]
    unasked = report(purposes={"segmentation": replace(purpose, unasked=("SEG013",))})
    assert judge_cohort(unasked, ["segmentation"]).patients[0].unknown == "SEG013 was not asked for"
    ignored = judge_cohort(report(purposes={"segmentation": replace(purpose, ignored=("SEG013",))}), ["segmentation"])
    assert fits(ignored) == [Fit.USABLE] * 3
    assert ignored.notes == ("Not looked for, as the audit was told to ignore it: SEG013.",)


def test_a_patient_that_was_not_read_is_not_judged() -> None:
    limits = ("CRLM-CT-1002: it was not read: killed", "metadata/CRLM-CT-10011/x was not read: closed")
    cohort = judge_cohort(report(limits=limits), ["segmentation"])
    assert fits(cohort) == [Fit.USABLE, Fit.UNKNOWN, Fit.USABLE]
    assert cohort.patients[1].unknown == "it was not read: killed"
    assert cohort.notes == ("Not read: metadata/CRLM-CT-10011/x was not read: closed",)


def test_nobody_is_judged_by_tables_alone() -> None:
    told = report()
    alone = replace(told, release=replace(told.release, series=0))
    assert judge_cohort(alone, ["sharing"]).patients[0].unknown == "no image was audited"


def test_exit_codes() -> None:
    def code(*findings: int, **more: object) -> ExitCode:
        return judge_cohort(report([found(OUT, one) for one in findings], **more), ["segmentation"]).exit_code  # type: ignore[arg-type]

    assert code() is ExitCode.CLEAN
    assert code(1001, 1002) is ExitCode.CLEAN
    assert code(1001, 1002, 1003) is ExitCode.NOTHING
    assert code(1001, limits=("CRLM-CT-1002: it was not read",)) is ExitCode.INCOMPLETE
    assert code(settings=Settings(depth=Depth.MASKS)) is ExitCode.NOTHING


def test_rules_behind_add_up_to_those_left_out() -> None:
    told = report([found(OUT, 1001), found(BOTH, 1001), found(BOTH, 1002)])
    cohort = judge_cohort(told, ["segmentation", "lesion-counts"])
    assert cohort.rules_behind == {OUT: 1, BOTH: 1}


def test_plain_values_tell_everything() -> None:
    told = report([found(OUT, 1001), found(CARE, 1002), found(OUT)])
    plain = as_dict(judge_cohort(told, ["segmentation"]), told)
    assert plain["summary"] == {
        "patients": 3, "used": 2, "usable": 1, "usable with care": 1, "not judged": 0, "left out": 1,
    }  # fmt: skip
    assert [(one["patient"], one["verdict"], one["used"]) for one in plain["patients"]] == [
        (number(1001), "left out", False),
        (number(1002), "usable with care", True),
        (number(1003), "usable", True),
    ]
    (reason,) = plain["patients"][0]["reasons"]
    assert (reason["rule"], reason["effect"], reason["fingerprint"]) == (OUT, "left out", plain_fingerprint(told, 1001))
    assert [one["rule"] for one in plain["of_release"]] == [OUT]


def plain_fingerprint(told: object, patient: int) -> str:
    return next(one.fingerprint for one in told.findings if one.patient == number(patient))  # type: ignore[attr-defined]


def test_of_very_many_limits_the_first_are_said() -> None:
    limits = tuple(f"folder {number} was not read: closed" for number in range(30))
    notes = judge_cohort(report(limits=limits), ["segmentation"]).notes
    assert len(notes) == 21
    assert notes[-1] == "Not read: 10 more places, which findings.json tells."
