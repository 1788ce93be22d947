"""XRF001: each test takes one patient out of one source."""

from dataclasses import replace

import pytest
from support.frames import PATIENTS, Case, clean, flat, only, run

from crlm_qc.collection.profile import Profile
from crlm_qc.model.outcome import Status
from crlm_qc.model.settings import Settings

P1, P2 = PATIENTS
ON_DISK = ("patients", "files", "slices", "dsos", "references", "frames", "segments", "segment_pairs", "alignments")


@pytest.fixture
def case() -> Case:
    return clean()


def forget(case: Case, source: str, patient: str = P2) -> None:
    """Take a patient out of a source."""
    if source == "manifest":
        known = {row["series_uid"] for row in case.of("metadata", patient)}
        case.drop("manifest", lambda row: row["entry"] not in known)
    for table in ON_DISK if source == "disk" else () if source == "manifest" else (source,):
        case.drop(table, lambda row: row["patient"] != patient)


WORDS = {"disk": "the disk", "metadata": "metadata.csv", "clinical": "the workbook", "manifest": "the manifest"}


@pytest.mark.parametrize("source", WORDS)
def test_a_patient_that_one_source_lacks(case: Case, profile: Profile, source: str) -> None:
    forget(case, source)
    assert flat(case, profile) == [("XRF001", P2, "patient")]
    assert only(case, "XRF001", profile).message.endswith(f"and not in {WORDS[source]}.")


@pytest.mark.parametrize("source", WORDS)
def test_a_source_that_was_not_found_does_not_count(case: Case, profile: Profile, source: str) -> None:
    for patient in PATIENTS:
        forget(case, source, patient)
    assert flat(case, profile) == []


def test_several_sources_are_one_finding(case: Case, profile: Profile) -> None:
    forget(case, "metadata")
    forget(case, "clinical")
    assert flat(case, profile) == [("XRF001", P2, "patient")]


def test_a_patient_of_the_workbook_alone(case: Case, profile: Profile) -> None:
    case["clinical"].append({**case["clinical"][0], "row": 9, "patient": "CRLM-CT-1007", "patient_id": "CRLM-CT-1007"})
    assert flat(case, profile) == [("XRF001", "CRLM-CT-1007", "patient")]
    message = only(case, "XRF001", profile).message
    assert message == "CRLM-CT-1007 is in the workbook, and not in the disk, metadata.csv."


def test_many_patients_that_one_source_lacks_are_one_finding(case: Case, profile: Profile) -> None:
    for number in range(1010, 1023):
        patient = f"CRLM-CT-{number}"
        case["clinical"].append({**case["clinical"][0], "row": number, "patient": patient, "patient_id": patient})
    found = only(case, "XRF001", profile)
    assert (found.count, found.patient) == (13, None)
    assert found.message.startswith("13 patients are in the workbook, and not in the disk, metadata.csv: CRLM-CT-1010,")


def test_a_malformed_id_explains_who_is_missing(case: Case, profile: Profile) -> None:
    case.change(case.of("clinical", P2), patient=None, patient_id="CRLM-CT-102")
    assert flat(case, profile) == []


def test_an_id_twice_explains_who_is_missing(case: Case, profile: Profile) -> None:
    case.change(case.of("clinical", P2), patient=P1, patient_id=P1)
    assert flat(case, profile) == []


def test_malformed_entries_of_the_manifest(case: Case, profile: Profile) -> None:
    for row in case["manifest"][2:]:
        row["entry"] = "1.02.x"
    assert flat(case, profile) == []


@pytest.mark.parametrize("settings", [Settings(subset=True), Settings(patients=(P1,))])
def test_part_of_the_release(case: Case, profile: Profile, settings: Settings) -> None:
    forget(case, "disk")
    assert flat(case, profile, settings) == []


def test_a_subset_still_compares_who_is_there(case: Case, profile: Profile) -> None:
    forget(case, "clinical")
    assert flat(case, profile, Settings(subset=True)) == [("XRF001", P2, "patient")]
    assert flat(case, profile, Settings(patients=(P1,))) == []


def test_evidence_of_some_patients(case: Case, profile: Profile) -> None:
    case.facts = replace(case.facts, patients_read=(P1,))
    forget(case, "disk")
    assert flat(case, profile) == []


def test_one_source_is_nothing_to_compare(case: Case, profile: Profile) -> None:
    for table in ("metadata", "clinical", "manifest"):
        case[table] = []
    (outcome,) = [one for one in run(case, profile).outcomes if one.rule == "XRF001"]
    assert outcome.status is Status.SKIPPED
