"""Rules on what the validators of DICOM say."""

import pytest

from crlm_qc.auditing import judge
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.tables import frame
from crlm_qc.rules.std import standard_error, standard_warning

ONE, TWO = "CRLM-CT-1001", "CRLM-CT-1002"


def row(
    patient: str, state: str, message: str | None = None, path: str | None = "1.dcm", attribute: str | None = None
) -> dict[str, object]:
    tool = "dcentvfy" if path is None else "dciodvfy"
    return {"patient": patient, "path": path, "tool": tool, "state": state, "attribute": attribute, "message": message}


def report(*rows: dict[str, object], standard: bool = True) -> Report:
    evidence = Evidence(tables={"standard": frame("standard", rows)})
    return judge(evidence, load_profile(), Settings(standard=standard), [standard_error, standard_warning])


def test_runs_without_messages_pass() -> None:
    (error, warning) = report(row(ONE, "checked"), row(ONE, "checked", path=None)).outcomes
    assert (error.status, error.examined) == (warning.status, warning.examined) == (Status.PASSED, 2)


def test_a_message_is_one_finding_with_files_and_patients() -> None:
    missing = "Missing attribute for Type 2 Required - Module=GeneralStudy"
    (error, warning) = report(
        row(ONE, "checked"),
        row(ONE, "error", missing, "1.dcm", "AccessionNumber"),
        row(ONE, "error", missing, "2.dcm", "AccessionNumber"),
        row(TWO, "error", missing, "1.dcm", "AccessionNumber"),
        row(TWO, "warning", "Different value", None),
    ).findings
    assert error.rule == "STD001"
    assert error.message == f"dciodvfy says of 3 files of 2 patients: AccessionNumber: {missing}."
    assert (error.count, error.examples, error.patient) == (3, (ONE, TWO), None)
    assert error.subject.column == f"AccessionNumber: {missing}"
    assert warning.rule == "STD002"
    assert warning.message == "dcentvfy says of 1 patient: Different value."


def test_what_looks_like_a_value_is_not_shown() -> None:
    (finding,) = report(row(ONE, "checked"), row(ONE, "error", "Dr. Jane Doe, born 1971-02-03")).findings
    assert "Jane" not in str(finding.as_dict())


@pytest.mark.parametrize(
    ("rows", "standard", "reason", "incomplete"),
    [
        ([], False, "needs --standard", False),
        ([row(ONE, "error", "Bad")], False, "needs --standard", False),
        ([], True, "the evidence holds no run of a validator: collect it with --standard", True),
        ([row(ONE, "absent")], True, "needs dciodvfy and dcentvfy: pip install 'crlm-qc[standard]'", True),
    ],
)
def test_without_a_validator_the_rules_are_skipped(
    rows: list[dict[str, object]], standard: bool, reason: str, incomplete: bool
) -> None:
    outcomes = report(*rows, standard=standard).outcomes
    assert {(one.status, one.reason, one.incomplete) for one in outcomes} == {(Status.SKIPPED, reason, incomplete)}
