"""REL022: checksums that the downloader left."""

from typing import Any

import pytest
from support.frames import PATIENTS, Case, clean, run

from crlm_qc.collection.profile import Profile
from crlm_qc.model.outcome import Status

ABSENT = "1-99.dcm"


@pytest.fixture
def case() -> Case:
    return clean()


def listed(case: Case, state: str = "right", patient: str = PATIENTS[0]) -> list[dict[str, Any]]:
    """A list of the CT files of a patient."""
    rows = [
        {"patient": patient, "path": row["path"], "state": state} for row in case.ct(patient=patient) if "kind" in row
    ]
    case["checksums"] += rows
    return rows


def told(case: Case, profile: Profile) -> list[tuple[str | None, str, int]]:
    report = run(case, profile)
    return [(one.patient, one.message, one.count) for one in report.findings if one.rule == "REL022"]


def reason(case: Case, profile: Profile) -> str:
    (outcome,) = [one for one in run(case, profile).outcomes if one.rule == "REL022"]
    assert outcome.status is Status.SKIPPED
    return outcome.reason


def test_files_as_downloaded_are_silent(case: Case, profile: Profile) -> None:
    listed(case)
    assert told(case, profile) == []


def test_no_list_and_nothing_read_are_skips(case: Case, profile: Profile) -> None:
    assert reason(case, profile) == "no md5hashes.csv of the downloader lies with the images"
    listed(case, "not-read")
    assert reason(case, profile) == "needs --depth pixels: the MD5 of files is worked out where their bytes are read"


def test_a_wrong_file_and_several(case: Case, profile: Profile) -> None:
    rows = listed(case)
    rows[3]["state"] = "wrong"
    assert told(case, profile) == [(PATIENTS[0], "1-04.dcm is not as downloaded.", 1)]
    rows[5]["state"] = "wrong"
    assert told(case, profile) == [(PATIENTS[0], "2 files are not as downloaded: 1-04.dcm, 1-06.dcm.", 2)]


def test_a_file_that_is_cut_is_told_of_as_such(case: Case, profile: Profile) -> None:
    listed(case)[3]["state"] = "wrong"
    case.change(case.ct(4), pixel_bytes_found=8)
    assert told(case, profile) == []


def test_a_listed_file_that_is_not_there(case: Case, profile: Profile) -> None:
    rows = listed(case)
    rows.append(rows[0] | {"path": rows[0]["path"].replace("1-01.dcm", ABSENT), "state": "absent"})
    case["checksums"] = rows
    assert told(case, profile) == [(PATIENTS[0], f"{ABSENT} is listed, and not there.", 1)]
    # metadata.csv tells of it by the number of files.
    case["metadata"][0]["images"] = len(rows)
    from crlm_qc.auditing.judging import judge
    from crlm_qc.rules import registry

    report = judge(case.evidence(), profile, rules=[registry()["REL022"], registry()["MET017"]])
    assert "REL022" not in {one.rule for one in report.findings}


@pytest.mark.parametrize(("state", "said"), [("wrong", "not as downloaded"), ("absent", "listed, and not there")])
def test_files_of_many_folders_are_one_finding(case: Case, profile: Profile, state: str, said: str) -> None:
    (row,) = listed(case)[:1]
    for number in range(6):
        folder = f"{row['path'].rpartition('/')[0]}-{number}"
        case["files"].append(case["files"][0] | {"path": f"{folder}/1-01.dcm", "folder": folder, "kind": "ct"})
        case["checksums"].append(row | {"path": f"{folder}/1-01.dcm", "state": state})
    assert told(case, profile) == [(None, f"6 files of 1 patient are {said}: {PATIENTS[0]}.", 6)]


def test_a_list_without_images_beside_it_is_left_alone(case: Case, profile: Profile) -> None:
    case["checksums"].append({"patient": PATIENTS[0], "path": "CRLM-CT-1001/x/1-1.dcm", "state": "absent"})
    assert reason(case, profile) == "no md5hashes.csv of the downloader lies with the images"
