"""Which rule's finding explains which other's: what makes one case of findings that follow from one cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from crlm_qc.model.cases import open_cases
from crlm_qc.model.finding import Case, Finding, Kind
from crlm_qc.model.report import Report
from crlm_qc.model.sight import Frame
from crlm_qc.rulebook.rule import RuleKind

_WORKBOOK_LACKS = re.compile(r"\bnot in .*\bthe workbook\b")
"""How XRF001 says that the workbook lacks a patient."""
_IN_ANOTHER_SERIES = re.compile(r"\b[0-9]+ of (?:another|a) CT series of ")
"""How DSO009 says that images are those of another series."""
Through = Callable[[Finding, Finding], bool]
"""Whether what the first finding says is the cause of the second, by what both are about."""


@dataclass(frozen=True, slots=True)
class Explains:
    """One rule's findings explain those of others that are about the same."""

    cause: str
    """Code of the rule that names the cause."""
    symptoms: tuple[str, ...]
    """Codes of the rules whose findings follow from it."""
    through: Through


def same_patient(cause: Finding, symptom: Finding) -> bool:
    """About one patient: its only CT series and object."""
    return cause.patient is not None and cause.patient == symptom.patient


def same_series(cause: Finding, symptom: Finding) -> bool:
    """About one series, by its UID: on disk, or in a row."""
    return cause.subject.uid is not None and cause.subject.uid == symptom.subject.uid


def same_cell(cause: Finding, symptom: Finding) -> bool:
    """About one column of one series' row."""
    return same_series(cause, symptom) and cause.subject.column == symptom.subject.column


def same_object(cause: Finding, symptom: Finding) -> bool:
    """About one segmentation object, or segments of it, by its path."""
    return cause.subject.path is not None and cause.subject.path == symptom.subject.path


def same_segment(cause: Finding, symptom: Finding) -> bool:
    """About one segment of one object."""
    return same_object(cause, symptom) and cause.subject.segment == symptom.subject.segment is not None


def same_frames(cause: Finding, symptom: Finding) -> bool:
    """About one object, and where both name frames, at least one of them the same."""
    one, other = _frames(cause), _frames(symptom)
    return same_object(cause, symptom) and (not one or not other or not one.isdisjoint(other))


def same_images(cause: Finding, symptom: Finding) -> bool:
    """About one object, and both name an image, by its UID, that is the same."""
    return same_object(cause, symptom) and not set(cause.examples).isdisjoint(symptom.examples)


def whole_release(cause: Finding, _: Finding) -> bool:
    """A cause that is the release's explains what is found of any patient, and of the release."""
    return cause.patient is None


def whole_release_but_workbook(cause: Finding, symptom: Finding) -> bool:
    """As of the release, unless it is the workbook that lacks the patient: no download changes that."""
    return whole_release(cause, symptom) and not _WORKBOOK_LACKS.search(symptom.observed or "")


def same_patient_but_workbook(cause: Finding, symptom: Finding) -> bool:
    """As of the patient, unless it is the workbook that lacks it: that is a fault of its own."""
    return same_patient(cause, symptom) and not _WORKBOOK_LACKS.search(symptom.observed or "")


def lost_slices(cause: Finding, symptom: Finding) -> bool:
    """As of the patient, unless the images lie in other series, and are more than the slices that are lost."""
    other = _IN_ANOTHER_SERIES.search(symptom.message) is not None and len(symptom.examples) > cause.count
    return same_patient(cause, symptom) and not other


def named_alone(cause: Finding, symptom: Finding) -> bool:
    """A figure over the release that names the cause's patient, and no other."""
    return symptom.patient is None and symptom.examples == (cause.patient,)


CAUSES = (
    # A download that ended early: neither the rest of the series nor the tables were written.
    Explains("MAN008", ("REL001", "REL008"), whole_release),
    Explains("MAN008", ("XRF001",), whole_release_but_workbook),
    # The workbook's rows are other patients'.
    Explains("XRF004", ("XRF002", "XRF003"), whole_release),
    # Downloads that were laid together and do not agree.
    Explains("MET021", ("REL021",), whole_release),
    # A patient, series or object that is not there, by every list that still names it.
    Explains("LED007", ("XRF001", "MET016"), same_patient),
    Explains("REL008", ("LED001", "MET016", "MET014"), same_patient),
    Explains("REL008", ("XRF001",), same_patient_but_workbook),
    Explains("LED001", ("MET016", "MET014"), same_patient),
    Explains("LED005", ("MET015", "MET016"), same_patient),
    Explains("MET016", ("MET014",), same_patient),
    # One that is there too much.
    Explains("REL009", ("DSO031", "LED004", "MET014", "MET015"), same_patient),
    # One that a table lost.
    Explains("MET015", ("MET014",), same_patient),
    Explains("MET015", ("MAN004",), same_series),
    # Slices that are not there, or are too many.
    Explains("CTS008", ("CTS011", "LED002", "MET017"), same_series),
    Explains("CTS008", ("DSO007",), same_patient),
    Explains("CTS008", ("DSO009",), lost_slices),
    Explains("LED002", ("CTS011", "MET017"), same_series),
    Explains("LED002", ("DSO007", "DSO009"), same_patient),
    Explains("LED006", ("CTS014", "MET017"), same_series),
    Explains("SEG021", ("CTS014",), same_patient),
    # Images that an object refers to.
    Explains("DSO009", ("DSO010",), same_images),
    Explains("DSO014", ("DSO008",), same_frames),
    Explains("DSO014", ("DSO021",), same_object),
    # An object of another study, and the table that was made of it.
    Explains("DSO004", ("MET012",), same_patient),
    Explains("MET012", ("MET018",), same_cell),
    # How the masks are kept.
    Explains("DSO042", ("DSO022",), same_object),
    Explains("DSO022", ("SEG018", "SEG020"), same_object),
    # What is measured wrong where something else is.
    Explains("CTS012", ("SEG017",), same_patient),
    Explains("SEG003", ("SEG009", "SEG015"), same_object),
    Explains("SEG009", ("SEG015",), same_segment),
    # An age that is too high, in the images and in the workbook.
    Explains("DID010", ("DID010",), same_patient),
    # Figures over the release.
    Explains("PUB001", ("PUB002", "XRF008"), whole_release),
    Explains("DSO025", ("PUB007",), named_alone),
    Explains("SEG020", ("PUB007",), named_alone),
)
"""Graver causes before those that follow from them: a finding is explained by the first that fits."""


def with_cases(report: Report) -> Report:
    """A report whose findings that follow from one cause are cases, in the order that people are told of them.

    Parameters
    ----------
    report : Report
        An audit.

    Returns
    -------
    Report
        The same with its cases: first those that count, then those all of whose findings are waived.
    """
    apart = {text.code for text in report.rules if text.kind == RuleKind.AUDIT}
    found = replace(report, cases=cases_of(report.findings, apart))
    counted = [one.case for group in open_cases(found) for one in group.cases]
    taken = {case.fingerprint for case in counted}
    return replace(found, cases=(*counted, *(case for case in found.cases if case.fingerprint not in taken)))


def cases_of(findings: Iterable[Finding], apart: Collection[str] = ()) -> tuple[Case, ...]:
    """Findings that follow from one cause, as cases.

    Findings of one rule that are about one patient and the same column are one case, as are those about the release.
    What is found of one patient never makes a case with what is found of another, unless the cause is the release's.

    Parameters
    ----------
    findings : iterable of Finding
        All findings of an audit, in the order of the report.
    apart : collection of str
        Codes of rules each of whose findings has a cause of its own, as those about the audit itself.

    Returns
    -------
    tuple of Case
        In the order of the findings that name the causes.
    """
    every = list(findings)
    by_rule: dict[str, list[int]] = {}
    for at, finding in enumerate(every):
        by_rule.setdefault(finding.rule, []).append(at)
    causes: dict[int, int] = {}
    for relation in CAUSES:
        _explain(relation, every, by_rule, causes)
    alike: dict[tuple[object, ...], int] = {}
    for at, finding in enumerate(every):
        # What is explained goes with its cause alone: the rest of its rule may have others.
        if at not in causes and finding.rule not in apart:
            first = alike.setdefault(_same(finding), at)
            if first != at:
                causes[at] = first
    members: dict[int, list[int]] = {}
    for at in range(len(every)):
        members.setdefault(_root(at, causes), []).append(at)
    return tuple(
        Case(
            every[root].fingerprint,
            every[root].rule,
            every[root].patient,
            every[root].message,
            tuple(every[at].fingerprint for at in (root, *(one for one in mine if one != root))),
        )
        for root, mine in sorted(members.items())
    )


def _same(finding: Finding) -> tuple[object, ...]:
    """What findings of one rule have in common that are one case."""
    about_a_column = finding.patient is None and finding.subject.kind is Kind.COLUMN
    return finding.rule, finding.patient, about_a_column, finding.subject.column


def _explain(
    relation: Explains, every: Sequence[Finding], by_rule: Mapping[str, Sequence[int]], causes: dict[int, int]
) -> None:
    """Note of each finding that one relation explains which one explains it, unless another does."""
    known = by_rule.get(relation.cause, ())
    if not known:
        return
    for at in (at for code in relation.symptoms for at in by_rule.get(code, ()) if at not in causes):
        fits = [one for one in known if _root(one, causes) != at and relation.through(every[one], every[at])]
        if fits:
            causes[at] = fits[0]


def _root(at: int, causes: Mapping[int, int]) -> int:
    """The finding that names the cause behind a finding."""
    while at in causes:
        at = causes[at]
    return at


def _frames(finding: Finding) -> set[int]:
    places = () if finding.sight is None else finding.sight.places
    return {one.number for one in places if isinstance(one, Frame)}
