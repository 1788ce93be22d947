"""Small reports that patients are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from support import reports

from crlm_qc.model.finding import RELEASE, Finding, Kind, Subject
from crlm_qc.model.fitness import PURPOSES, PurposeText, Spoils
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import PatientFacts, Report, RuleText
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.waivers import WaiverState, WaiverUse

OUT, CARE, BOTH, EVERYONE, NEITHER = "CTS008", "SEG016", "SEG006", "XRF004", "CTS020"
SPOILS: Mapping[str, Spoils] = {
    OUT: Spoils(out=("segmentation",)),
    CARE: Spoils(care=("segmentation",)),
    BOTH: Spoils(out=("lesion-counts",), care=("segmentation",)),
    EVERYONE: Spoils(out=("clinical-pairing",), everyone=True),
    NEITHER: Spoils(),
}
SEVERITIES = {OUT: Severity.ERROR, EVERYONE: Severity.ERROR}


def number(patient: int) -> str:
    return f"CRLM-CT-{patient}"


def found(
    rule: str, patient: int | None = None, severity: Severity | None = None, waived: str | None = None
) -> Finding:
    who = None if patient is None else number(patient)
    about = RELEASE if who is None else Subject(Kind.PATIENT)
    level = severity or SEVERITIES.get(rule, Severity.WARNING)
    return reports.finding(rule, level, about, f"Something of {rule}.", who, waived=waived)


def report(
    findings: Sequence[Finding] = (),
    *,
    patients: Sequence[int] = (1001, 1002, 1003),
    settings: Settings | None = None,
    outcomes: Mapping[str, Outcome] | None = None,
    known: Sequence[tuple[str, str]] = (),
    purposes: Mapping[str, PurposeText] = PURPOSES,
    limits: tuple[str, ...] = (),
) -> Report:
    """A report of rules that spoil what `SPOILS` says."""
    rules = [
        RuleText(
            code,
            code.lower(),
            "plain",
            SEVERITIES.get(code, Severity.WARNING),
            f"Title of {code}",
            "w",
            "f",
            "s",
            (),
            spoils,
        )
        for code, spoils in SPOILS.items()
    ]
    ended = {code: Outcome(code, Status.PASSED, 1) for code in SPOILS} | dict(outcomes or {})
    facts = [
        PatientFacts(number(one), ct_folder=f"all/{number(one)}/ct", seg_file=f"all/{number(one)}/seg/1-1.dcm")
        for one in patients
    ]
    uses = [WaiverUse(rule, why, (), "", "", None, True, WaiverState.USED, 1) for rule, why in known]
    return replace(
        reports.sample(),
        rules=rules,
        outcomes=list(ended.values()),
        findings=sorted(findings, key=lambda one: one.sort_key),
        settings=settings or Settings(),
        patients=facts,
        waivers=uses,
        purposes=tuple(purposes.values()),
        limits=limits,
    )
