"""REL019: values that the standard forbids."""

import json

import pytest
from support.frames import PATIENTS, Case, clean, flat, only

from crlm_qc.collection.profile import Profile

P1, _ = PATIENTS
FOLDER = "101.000000-NA-20001"
AGE = ["PatientAge", "AS", "has no unit"]


@pytest.fixture
def case() -> Case:
    return clean()


def hold(case: Case, name: int | None, *wrong: list[str]) -> None:
    for row in case.ct(name):
        if "kind" in row:
            row["invalid_values"] = json.dumps(wrong)


def test_a_series_is_one_finding_that_names_no_value(case: Case, profile: Profile) -> None:
    hold(case, None, AGE, ["StudyTime", "TM", "is no time"])
    assert flat(case, profile) == [("REL019", P1, FOLDER)]
    found = only(case, "REL019", profile)
    assert found.message == (
        "24 files hold values that the standard forbids: PatientAge (AS) has no unit (24 files), "
        "StudyTime (TM) is no time (24 files)."
    )
    assert (found.count, found.observed) == (24, "PatientAge, StudyTime")


def test_one_file_is_named(case: Case, profile: Profile) -> None:
    hold(case, 3, AGE)
    assert only(case, "REL019", profile).message == "1-03.dcm: PatientAge (AS) has no unit."


def test_what_others_tell_of_is_left_to_them(case: Case, profile: Profile) -> None:
    hold(case, None, ["StudyDate", "DA", "is no date"], ["Modality", "CS", "is in lower case"])
    assert flat(case, profile) == []
    hold(case, None, ["PixelSpacing", "DS", "is no decimal number"])
    for row in case.ct():
        if "kind" not in row:
            row.update(missing=json.dumps(["PixelSpacing"]), malformed=json.dumps(["PixelSpacing"]))
    assert [code for code, *_ in flat(case, profile)] == ["CTS019"]
    assert "PixelSpacing is malformed in 24 slices" in only(case, "CTS019", profile).message


def test_missing_empty_and_malformed_are_told_apart(case: Case, profile: Profile) -> None:
    for name, column in ((1, None), (2, "empty"), (3, "malformed"), (4, "malformed")):
        case.slice(name)["missing"] = json.dumps(["PatientPosition"])
        if column:
            case.slice(name)[column] = json.dumps(["PatientPosition"])
    assert only(case, "CTS019", profile).observed == "missing in 1 slice; empty in 1 slice; malformed in 2 slices"


def test_a_slope_that_is_malformed_is_not_missing(case: Case, profile: Profile) -> None:
    for row in case.ct(2):
        if "kind" not in row:
            row.update(rescale_slope=None, malformed=json.dumps(["RescaleSlope"]))
    assert only(case, "CTS015", profile).observed == "malformed in 1 slice"
