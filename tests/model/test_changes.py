"""Findings of two reports, compared by fingerprint."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reports

from crlm_qc.model.changes import Changes, State, compare
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity

BASE = reports.sample()
FIRST = BASE.findings[0]
WHOLE = replace(BASE, settings=Settings())


def ended(report: Report, code: str, status: Status) -> Report:
    return replace(
        report, outcomes=tuple(replace(one, status=status) if one.rule == code else one for one in report.outcomes)
    )


def having(*findings: Finding, base: Report = WHOLE) -> Report:
    return replace(base, findings=findings)


def only(changes: Changes) -> State:
    (change,) = changes.changes
    return change.state


@pytest.mark.parametrize(
    ("old", "new", "state"),
    [
        (having(), having(FIRST), State.NEW),
        (having(FIRST), having(), State.FIXED),
        (having(FIRST), having(FIRST), State.PERSISTING),
        (having(FIRST), having(replace(FIRST, message="Said in other words.")), State.PERSISTING),
        (having(FIRST), having(replace(FIRST, observed="15.000 mm")), State.CHANGED),
        (having(FIRST), having(replace(FIRST, count=2)), State.CHANGED),
        (having(FIRST), having(replace(FIRST, severity=Severity.INFO)), State.CHANGED),
        (having(replace(FIRST, waived="known")), having(FIRST), State.REOPENED),
        (having(FIRST), having(replace(FIRST, waived="known")), State.WAIVED),
        (having(), having(replace(FIRST, waived="known")), State.WAIVED),
        (having(replace(FIRST, waived="a")), having(replace(FIRST, waived="b")), State.PERSISTING),
        # A rule that the old audit did not have, did not run, or that crashed.
        (replace(having(), outcomes=()), having(FIRST), State.NEW_RULE),
        (ended(having(), "CTS008", Status.SKIPPED), having(FIRST), State.NEW_RULE),
        (ended(having(), "CTS008", Status.ERRORED), having(FIRST), State.NEW_RULE),
        # A rule that the new audit did not run has fixed nothing.
        (having(FIRST), ended(having(), "CTS008", Status.SKIPPED), State.NOT_CHECKED),
        (having(FIRST), ended(having(), "CTS008", Status.ERRORED), State.NOT_CHECKED),
        (having(FIRST), replace(having(), outcomes=()), State.NOT_CHECKED),
        # Patients that one of the two left out on purpose.
        (having(FIRST), replace(having(), settings=Settings(subset=True), patients=()), State.NOT_CHECKED),
        (replace(having(), settings=Settings(subset=True), patients=()), having(FIRST), State.NEWLY_CHECKED),
        (
            having(FIRST),
            replace(having(), settings=Settings(patients=("CRLM-CT-1009",)), patients=()),
            State.NOT_CHECKED,
        ),
        # A patient who is gone from a whole release has no fault any more.
        (having(FIRST), replace(having(), patients=()), State.FIXED),
        # The release as a whole is out of sight of an audit of some patients.
        (
            having(replace(FIRST, patient=None)),
            replace(having(), settings=Settings(patients=("CRLM-CT-1001",))),
            State.NOT_CHECKED,
        ),
        (having(FIRST), replace(having(), limits=("CRLM-CT-1001 could not be opened.",)), State.NOT_CHECKED),
        # Where something was not read, faults of the whole and patients who are gone may have been in it.
        (having(replace(FIRST, patient=None)), replace(having(), limits=("a file was not read",)), State.NOT_CHECKED),
        (having(FIRST), replace(having(), limits=("a folder was not read",), patients=()), State.NOT_CHECKED),
        (having(FIRST), replace(having(), limits=("CRLM-CT-1002: a file was not read",)), State.FIXED),
        # But what is new is new, even if the old audit was cut short elsewhere.
        (replace(having(), limits=("a file was not read",)), having(replace(FIRST, patient=None)), State.NEW),
    ],
)
def test_states(old: Report, new: Report, state: State) -> None:
    assert only(compare(old, new)) is state


@pytest.mark.parametrize(
    ("old", "new", "fail_on", "worse"),
    [
        (having(), having(FIRST), Severity.ERROR, True),
        (having(), having(FIRST), None, False),
        (having(), having(replace(FIRST, severity=Severity.WARNING)), Severity.ERROR, False),
        (having(), having(replace(FIRST, severity=Severity.WARNING)), Severity.WARNING, True),
        (having(), having(replace(FIRST, waived="known")), Severity.INFO, False),
        (having(replace(FIRST, waived="known")), having(FIRST), Severity.ERROR, True),
        (having(FIRST), having(FIRST), Severity.INFO, False),
        (having(FIRST), having(replace(FIRST, observed="15.000 mm")), Severity.INFO, False),
        (having(replace(FIRST, severity=Severity.WARNING)), having(FIRST), Severity.ERROR, True),
        (having(replace(FIRST, severity=Severity.WARNING)), having(FIRST), Severity.WARNING, False),
        (replace(having(), outcomes=()), having(FIRST), Severity.INFO, False),
        (having(FIRST), having(), Severity.INFO, False),
    ],
)
def test_what_counts_as_worse(old: Report, new: Report, fail_on: Severity | None, worse: bool) -> None:
    assert bool(compare(old, new).worse(fail_on)) is worse


@given(st.sets(st.sampled_from(list(BASE.findings))), st.sets(st.sampled_from(list(BASE.findings))))
def test_every_finding_of_either_stands_there_once(old: set[Finding], new: set[Finding]) -> None:
    changes = compare(having(*old), having(*new))
    assert sorted(one.finding.fingerprint for one in changes.changes) == sorted(one.fingerprint for one in old | new)
    assert sum(changes.counts.values()) == len(old | new)
    states = [list(State).index(one.state) for one in changes.changes]
    assert states == sorted(states)


@given(st.sets(st.sampled_from([one for one in BASE.findings if one.waived is None])))
def test_the_other_way_round_new_is_fixed(some: set[Finding]) -> None:
    forth, back = compare(having(), having(*some)), compare(having(*some), having())
    assert [one.finding for one in forth.of(State.NEW)] == [one.finding for one in back.of(State.FIXED)]


def test_rules_of_either_report_are_described() -> None:
    old = replace(having(FIRST), rules=BASE.rules)
    new = replace(having(), rules=(), outcomes=(Outcome("PUB001", Status.PASSED, 1),))
    assert compare(old, new).text("CTS008").title == "Missing slice"


CRASHED = replace(
    WHOLE,
    findings=(),
    outcomes=tuple(
        Outcome("CTS008", Status.ERRORED, reason="IndexError at cts.py:12", incomplete=True)
        if one.rule == "CTS008"
        else one
        for one in WHOLE.outcomes
    ),
)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (having(), having(), 0),
        (having(FIRST), having(), 0),
        (having(), having(FIRST), 1),
        # The rule that found it crashed: nobody knows whether it is fixed.
        (having(FIRST), CRASHED, 3),
        (having(), replace(CRASHED, findings=(FIRST,)), 3),
        (having(FIRST), replace(having(), limits=("a file was not read",)), 3),
        # The old audit was cut short: what is new is told, and nothing else is wrong with the new one.
        (CRASHED, having(), 0),
        # Left out on purpose.
        (having(FIRST), ended(having(), "CTS008", Status.SKIPPED), 0),
        (having(FIRST), reports.empty(), 4),
        (reports.empty(), having(FIRST), 4),
    ],
)
def test_exit_code(old: Report, new: Report, code: int) -> None:
    assert compare(old, new).exit_code() == code


def test_a_rule_that_did_not_come_to_its_end_has_fixed_nothing() -> None:
    cut = replace(WHOLE, findings=(), outcomes=tuple(replace(one, incomplete=True) for one in WHOLE.outcomes))
    assert only(compare(having(FIRST), cut)) is State.NOT_CHECKED
