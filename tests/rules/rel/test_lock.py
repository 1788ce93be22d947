"""REL015: what differs from a lock file, a finding a folder."""

import hashlib
from typing import Any

import pytest
from support.frames import PATIENTS, Case, clean, flat, only, run

from crlm_qc.collection.profile import Profile
from crlm_qc.model.finding import Kind
from crlm_qc.model.outcome import Status
from crlm_qc.model.settings import Settings
from crlm_qc.rules import registry

P1, P2 = PATIENTS
CT_FOLDER = "101.000000-NA-20001"
ONLY = Settings(select=("REL015",))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def case() -> Case:
    """A clean release, as its lock file has it."""
    case = clean()
    case["files"] += [
        {
            "path": "metadata.csv",
            "folder": "",
            "name": "metadata.csv",
            "size": 9,
            "kind": "metadata",
            "in_collection": False,
        },
        {"path": "notes.pdf", "folder": "", "name": "notes.pdf", "size": 9, "kind": "document", "in_collection": False},
    ]
    for row in case["files"]:
        row.setdefault("patient", None)
        row["sha256"] = sha(row["path"])
        case["lock"].append({"path": row["path"], "sha256": row["sha256"], "size": row["size"]})
    return case


def told(case: Case, profile: Profile, **options: Any) -> list[tuple[str | None, str | None, int]]:
    """Patient, path and count of each finding of REL015."""
    findings = run(case, profile, Settings(**options)).findings
    return [(one.patient, one.subject.path, one.count) for one in findings if one.rule == "REL015"]


def ct_file(case: Case, name: int, patient: str = P1) -> dict[str, Any]:
    return next(row for row in case.ct(name, patient) if "kind" in row)


def add(case: Case, path: str, patient: str | None = None, **values: Any) -> None:
    folder, _, name = path.rpartition("/")
    row = {"patient": patient, "path": path, "folder": folder, "name": name, "size": 5, "kind": "document"}
    case["files"].append({**row, "in_collection": False, "sha256": sha(path), **values})


def test_a_release_that_is_as_it_was_locked(case: Case, profile: Profile) -> None:
    report = run(case, profile)
    assert report.findings == []
    # The frames are of bare segmentation objects: no FRACTIONAL one, no Pixel Measures, and no MD5.
    assert {one.rule for one in report.outcomes if one.status is not Status.PASSED} <= {"DSO032", "SEG020", "REL022"}
    (outcome,) = [one for one in report.outcomes if one.rule == "REL015"]
    assert outcome.examined == len(case["lock"]) == 52


def test_without_a_lock_file_it_is_skipped(case: Case, profile: Profile) -> None:
    case["lock"] = []
    (outcome,) = [one for one in run(case, profile).outcomes if one.rule == "REL015"]
    assert (outcome.status, outcome.reason) == (Status.SKIPPED, "no lock file was given")
    assert not outcome.incomplete


def test_one_file_with_other_bytes(case: Case, profile: Profile) -> None:
    ct_file(case, 5)["sha256"] = sha("other")
    assert flat(case, profile) == [("REL015", P1, "1-05.dcm")]
    finding = only(case, "REL015", profile)
    assert finding.message == "The bytes of 1-05.dcm differ from the lock file."
    assert finding.subject.kind is Kind.FILE
    assert "bytes that were locked (" in finding.expected
    ct_file(case, 5)["size"] = 17
    assert only(case, "REL015", profile).observed == "other bytes (17 bytes)"


def test_a_lock_file_without_sizes(case: Case, profile: Profile) -> None:
    for row in case["lock"]:
        row["size"] = None
    ct_file(case, 5)["sha256"] = sha("other")
    assert only(case, "REL015", profile).expected == "the bytes that were locked"


def test_all_that_differs_in_a_folder_is_one_finding(case: Case, profile: Profile) -> None:
    for name in (1, 2, 3, 4, 5, 6):
        ct_file(case, name)["sha256"] = sha("other")
    folder = ct_file(case, 1)["folder"]
    case["files"].remove(ct_file(case, 24))
    add(case, f"{folder}/1-25.dcm", P1, kind="licence")
    (finding,) = [one for one in run(case, profile).findings if one.rule == "REL015"]
    assert (finding.patient, finding.subject.kind, finding.count) == (P1, Kind.FOLDER, 8)
    assert finding.message == (
        "8 files of the folder differ from the lock file: 6 with other bytes (1-01.dcm, 1-02.dcm, 1-03.dcm, 1-04.dcm, "
        "1-05.dcm and 1 more); 1 missing (1-24.dcm); 1 new (1-25.dcm)."
    )
    assert finding.observed == "6 with other bytes, 1 missing, 1 new"
    assert finding.examples[0] == "1-01.dcm: with other bytes"


def test_each_folder_has_its_own(case: Case, profile: Profile) -> None:
    for patient in PATIENTS:
        for name in (1, 2):
            ct_file(case, name, patient)["sha256"] = sha("other")
    found = told(case, profile)
    assert [(patient, count) for patient, _, count in found] == [(P1, 2), (P2, 2)]


def test_missing_and_new_files_at_the_top(case: Case, profile: Profile) -> None:
    case.drop("files", lambda row: row["path"] != "notes.pdf")
    assert told(case, profile) == [(None, "notes.pdf", 1)]
    assert only(case, "REL015", profile).observed == "no file"
    case = clean()
    case["lock"] = [{"path": row["path"], "sha256": sha("")} for row in case["files"]]
    add(case, "new.txt")
    assert told(case, profile) == [(None, "new.txt", 1)]
    assert only(case, "REL015", profile).observed == "a new file (5 bytes)"


def test_a_patient_who_is_gone_is_one_finding(case: Case, profile: Profile) -> None:
    case.drop("files", lambda row: row["patient"] != P2)
    case.drop("patients", lambda row: row["patient"] != P2)
    folder = f"Colorectal-Liver-Metastases/{P2}"
    assert told(case, profile) == [(P2, folder, 25)]
    assert only(case, "REL015", profile).message == "The folder is gone: 25 locked files of it are missing."


def test_a_patient_who_was_not_locked_is_one_finding(case: Case, profile: Profile) -> None:
    case.drop("lock", lambda row: P2 not in row["path"])
    assert told(case, profile) == [(P2, f"Colorectal-Liver-Metastases/{P2}", 25)]
    assert only(case, "REL015", profile).message == "The folder is not in the lock file: 25 files of it are new."


def test_a_renamed_folder_is_gone_and_new(case: Case, profile: Profile) -> None:
    for row in case["files"]:
        row["path"] = row["path"].replace(f"{P2}/06-06-1992", f"{P2}/07-06-1992")
    assert [(patient, count) for patient, _, count in told(case, profile)] == [(P2, 25), (P2, 25)]


def test_folders_of_several_patients_name_none(case: Case, profile: Profile) -> None:
    for row in case["files"]:
        row["path"] = row["path"].replace("Colorectal-Liver-Metastases/", "collection/")
    for row in case["patients"]:
        row["folder"] = row["folder"].replace("Colorectal-Liver-Metastases/", "collection/")
    assert [(patient, count) for patient, _, count in told(case, profile)] == [(None, 50), (None, 50)]


def test_a_folder_that_is_no_patient_is_named_as_the_tables_name_it(case: Case, profile: Profile) -> None:
    for table in ("files", "lock"):
        for row in case[table]:
            row["path"] = row["path"].replace(f"/{P2}/", "/DOE JOHN/")
    case["patients"][1] |= {"patient": "patient[1]", "folder": "Colorectal-Liver-Metastases/DOE JOHN", "valid": False}
    case["files"] = [row for row in case["files"] if not row["path"].endswith("/1-05.dcm")]
    report = run(case, profile)
    assert [one.patient for one in report.findings if one.rule == "REL015"] == [P1, "patient[1]"]
    assert "DOE" not in str(report.as_dict())


def test_of_another_release_nothing_is_listed_file_by_file(case: Case, profile: Profile) -> None:
    for row in case["lock"]:
        row["path"] = "deeper/" + row["path"]
    assert flat(case, profile) == [("REL015", None, "release")]
    assert "None of the 52 locked files is in the release" in only(case, "REL015", profile).message


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "unreadable", "problem": "permission"},
        {"kind": "link", "problem": "link-outside"},
        {"kind": "system"},
    ],
)
def test_what_has_no_bytes_to_compare_is_left_to_other_rules(
    case: Case, profile: Profile, values: dict[str, str]
) -> None:
    row = ct_file(case, 5)
    row |= values | {"sha256": None}
    add(case, row["folder"] + "/1-99.dcm", P1, sha256=None, **values)
    assert told(case, profile) == []


def test_of_a_subset_only_patients_that_are_there_must_be_whole(case: Case, profile: Profile) -> None:
    case.drop("files", lambda row: row["patient"] == P1)
    case.drop("patients", lambda row: row["patient"] == P1)
    assert [(patient, count) for patient, _, count in told(case, profile)] == [(None, 2), (P2, 25)]
    assert told(case, profile, subset=True) == []
    case["files"].remove(ct_file(case, 5))
    assert [(patient, count) for patient, _, count in told(case, profile, subset=True)] == [(P1, 1)]


def test_the_fingerprint_does_not_depend_on_bytes(case: Case, profile: Profile) -> None:
    prints = set()
    for other in "ab":
        ct_file(case, 5)["sha256"] = sha(other)
        prints.add(only(case, "REL015", profile).fingerprint)
    assert len(prints) == 1


def test_names_go_through_the_gate(case: Case, profile: Profile) -> None:
    case["lock"] += [{"path": f"DOE JOHN/{name}.txt", "sha256": sha("")} for name in ("JANE", "MARY")]
    report = run(case, profile)
    assert [one.count for one in report.findings] == [2]
    assert not {"DOE", "JANE"} & set(str(report.as_dict()).replace("/", " ").split())
    assert "JANE" not in str(report.as_dict())


def test_the_rule_reads_what_it_says() -> None:
    item = registry()["REL015"]
    assert item.tables == ("files", "lock", "patients")
