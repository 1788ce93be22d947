"""Findings that follow from one cause are one case, and others are not."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from support import reports

from crlm_qc.model.cases import Consequence, consequence, open_cases
from crlm_qc.model.finding import RELEASE, Finding, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.report import Report
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Frame, Seen, Sight
from crlm_qc.rulebook.causes import CAUSES, cases_of, with_cases
from crlm_qc.rules import registry
from crlm_qc.rules.xrf.patients import DISK, WORKBOOK

CT, SEG = "1.2.3.1", "1.2.3.2"


def found(rule: str, patient: str | None = "A", **subject: object) -> Finding:
    kind = Kind(str(subject.pop("kind", "series")))
    about = Subject(kind, **subject)  # type: ignore[arg-type]
    return reports.finding(rule, Severity.ERROR, about, f"{rule} of {patient}", patient)


def drawn(rule: str, *frames: int) -> Finding:
    places = tuple(Frame("A/SEG/1.dcm", number) for number in frames)
    return replace(found(rule, path="A/SEG/1.dcm"), sight=Sight(Seen(), places))


def codes(findings: Iterable[Finding]) -> list[list[str]]:
    """Codes of the findings of each case, that of the cause first."""
    every = list(findings)
    known = {one.fingerprint: one.rule for one in every}
    return [[known[name] for name in case.findings] for case in cases_of(every)]


def test_the_table_names_rules_that_there_are_and_leads_in_no_circle() -> None:
    known = {item.code for item in registry()}
    assert {code for one in CAUSES for code in (one.cause, *one.symptoms)} <= known
    behind: dict[str, set[str]] = {code: set() for code in known}
    for one in CAUSES:
        for symptom in one.symptoms:
            if symptom != one.cause:
                behind[symptom].add(one.cause)
    while behind:
        ends = {code for code, causes in behind.items() if not causes & set(behind)}
        assert ends, behind
        behind = {code: causes for code, causes in behind.items() if code not in ends}


def test_what_follows_from_a_lost_slice_is_one_case_whatever_its_order() -> None:
    findings = [
        found("MET017", uid=CT, kind="row"),
        found("CTS011", uid=CT),
        found("DSO009", path="A/SEG/1.dcm"),
        found("CTS008", uid=CT),
    ]
    assert codes(findings) == [["CTS008", "MET017", "CTS011", "DSO009"]]
    assert codes(reversed(findings)) == [["CTS008", "DSO009", "CTS011", "MET017"]]


@pytest.mark.parametrize(
    "other",
    [
        found("MET017", uid=SEG, kind="row"),
        found("DSO007", "B"),
        found("CTS011", "B", uid="9"),
        found("CTS009", uid=CT),
    ],
)
def test_what_is_about_another_series_or_patient_or_has_another_cause_is_not(other: Finding) -> None:
    assert codes([found("CTS008", uid=CT), other]) == [["CTS008"], [other.rule]]


def test_frames_must_be_the_same_where_both_are_known() -> None:
    assert codes([drawn("DSO014", 1, 20), drawn("DSO008", 20)]) == [["DSO014", "DSO008"]]
    assert codes([drawn("DSO014", 1, 20), drawn("DSO008", 3)]) == [["DSO014"], ["DSO008"]]
    assert codes([drawn("DSO014"), drawn("DSO008", 3)]) == [["DSO014", "DSO008"]]


def test_the_same_of_several_segments_is_one_case_and_of_two_patients_are_two() -> None:
    segments = [found("SEG008", patient, path=f"{patient}/1.dcm", segment=one) for patient in "AB" for one in (1, 2)]
    assert [case.patient for case in cases_of(segments)] == ["A", "B"]


def test_columns_of_the_release_are_cases_of_their_own_and_what_the_audit_says_of_itself() -> None:
    columns = [found("CLN002", None, kind="column", column=name) for name in ("age", "sex")]
    assert len(cases_of(columns)) == 2
    said = [found("WVR002", None, kind="release", row=row) for row in (1, 2)]
    assert len(cases_of(said)) == 1
    assert len(cases_of(said, {"WVR002"})) == 2


def test_a_cause_of_the_release_explains_what_is_found_of_every_patient() -> None:
    findings = [found("XRF002", "A"), found("XRF002", "B"), reports.finding("XRF004", Severity.ERROR, RELEASE, "No.")]
    assert codes(findings) == [["XRF004", "XRF002", "XRF002"]]


@pytest.mark.parametrize("cause", [found("REL008"), found("MAN008", None)])
def test_a_patient_whom_the_workbook_lacks_is_no_matter_of_files_that_are_missing(cause: Finding) -> None:
    lacking = replace(found("XRF001", kind="patient"), observed=f"not in {WORKBOOK}")
    assert codes([cause, lacking]) == [[cause.rule], ["XRF001"]]
    assert codes([cause, replace(lacking, observed=f"not in {DISK}")]) == [[cause.rule, "XRF001"]]


def test_images_of_another_series_do_not_follow_from_fewer_lost_slices() -> None:
    lost, path = found("CTS008", uid=CT), "A/SEG/1.dcm"
    message = f"Frame 1 names 2 source images outside the CT series: 1 of a CT series of B ({CT})."
    outside = replace(found("DSO009", path=path), message=message, examples=("1.1", "1.2"))
    unlisted = replace(found("DSO010", path=path), examples=("1.2",))
    assert codes([lost, outside, unlisted]) == [["CTS008"], ["DSO009", "DSO010"]]
    # A slice that was put into another series is lost here.
    assert codes([replace(lost, count=2), outside]) == [["CTS008", "DSO009"]]


def test_a_figure_of_the_release_goes_with_a_patient_whom_alone_it_names() -> None:
    figure = reports.finding("PUB007", Severity.ERROR, RELEASE, "One without.", examples=["A"])
    assert codes([found("DSO025"), figure]) == [["DSO025", "PUB007"]]
    assert codes([found("DSO025"), replace(figure, examples=("A", "B"))]) == [["DSO025"], ["PUB007"]]
    assert codes([found("DSO025", "B"), figure]) == [["DSO025"], ["PUB007"]]


def test_rows_of_the_manifest_go_each_with_its_series() -> None:
    lost = [found("MET015", patient, uid=uid) for patient, uid in (("A", CT), ("B", SEG))]
    rows = [found("MAN004", None, kind="row", uid=uid, row=row) for row, uid in ((4, SEG), (3, CT))]
    assert codes([*rows, *lost]) == [["MET015", "MAN004"], ["MET015", "MAN004"]]
    assert [case.patient for case in cases_of([*rows, *lost])] == ["A", "B"]


@pytest.mark.parametrize(
    ("spoils", "severity", "said"),
    [
        (Spoils(out=("sharing", "segmentation")), Severity.ERROR, Consequence.SHARING),
        (Spoils(out=("segmentation",), care=("sharing",)), Severity.WARNING, Consequence.SILENT),
        (Spoils(out=("segmentation", "completeness")), Severity.ERROR, Consequence.MISSING),
        (Spoils(care=("volumetry",)), Severity.ERROR, Consequence.CARE),
        (Spoils(care=("sharing",)), Severity.WARNING, Consequence.CARE),
        (Spoils(care=("completeness",)), Severity.ERROR, Consequence.PAPERWORK),
        # The rule itself calls this one milder than it is as a rule.
        (Spoils(out=("segmentation",)), Severity.INFO, Consequence.CARE),
    ],
)
def test_what_a_finding_comes_to(spoils: Spoils, severity: Severity, said: Consequence) -> None:
    rule = replace(reports.RULES[0], severity=max(severity, Severity.WARNING, key=lambda one: -one.rank), spoils=spoils)
    assert consequence(replace(found(rule.code), severity=severity), rule) is said


def judged(findings: Iterable[Finding], **spoils: Spoils) -> Report:
    texts = [replace(reports.RULES[0], code=code, severity=Severity.ERROR, spoils=one) for code, one in spoils.items()]
    return with_cases(replace(reports.sample(), rules=texts, findings=list(findings), cases=()))


def test_cases_come_by_consequence_then_by_patients_and_the_release_is_all_of_them() -> None:
    silent = Spoils(out=("volumetry",))
    report = judged(
        [
            found("CTS009", "A"),
            found("CTS010", "A"),
            found("CTS010", "B"),
            reports.finding("DID001", Severity.ERROR, Subject(Kind.SERIES), "A name.", "B"),
            reports.finding("XRF004", Severity.ERROR, RELEASE, "Another workbook."),
            found("MET003", "A"),
            reports.finding("LED001", Severity.ERROR, Subject(Kind.SERIES), "Gone.", "B"),
        ],
        CTS009=silent,
        CTS010=silent,
        XRF004=silent,
        DID001=replace(silent, out=("sharing",)),
        MET003=Spoils(care=("completeness",)),
        LED001=Spoils(out=("completeness",)),
    )
    assert [one.rule for one in open_cases(report)] == ["DID001", "XRF004", "CTS010", "CTS009", "LED001", "MET003"]
    assert [case.rule for case in report.cases] == [
        "DID001",
        "XRF004",
        "CTS010",
        "CTS010",
        "CTS009",
        "LED001",
        "MET003",
    ]


def test_waived_cases_come_last_and_a_case_stands_for_what_of_it_counts() -> None:
    cause = replace(found("CTS008", uid=CT), waived="known")
    report = judged(
        [cause, found("CTS011", uid=CT), replace(found("MET003", "B"), waived="known")],
        CTS008=Spoils(),
        CTS011=Spoils(),
        MET003=Spoils(),
    )
    (group,) = open_cases(report)
    assert group.rule == "CTS011"
    assert [(case.rule, len(case.findings)) for case in report.cases] == [("CTS008", 2), ("MET003", 1)]
    assert report.open_cases == 1


def test_a_report_that_knows_no_cases_has_one_of_each_finding() -> None:
    report = reports.sample()
    assert report.cases == ()
    opened = [one for one in report.findings if one.waived is None]
    assert report.open_cases == len(opened)
    assert sum(len(group.cases) for group in open_cases(report)) == len(opened)


def test_cases_are_saved_and_read_again() -> None:
    report = with_cases(reports.sample())
    assert Report.from_dict(report.as_dict()).cases == report.cases != ()
