"""CTS: each test changes one thing of a clean release and names everything that the rules then find."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import FIRST_Z, N_SLICES, PATIENTS, SPACING, Case, clean, flat, only, run, uid

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity
from crlm_qc.rules.cts.order import out_of_order

P1 = PATIENTS[0]
SERIES = "101.000000-NA-20001"
EDGE = 24
"""A slice beyond the segments."""


@pytest.fixture
def case() -> Case:
    return clean()


def everything(case: Case) -> list[dict[str, Any]]:
    """Slices and frames of the first patient."""
    return case.of("slices") + case.of("frames")


def turn(case: Case, matrix: np.ndarray, *, directions: bool = True) -> None:
    """Turn the first patient's CT and segmentation together."""
    for row in everything(case):
        for name in ("position", "row", "col") if directions else ("position",):
            old = np.array([row[f"{name}_{axis}"] for axis in "xyz"])
            row.update(
                {f"{name}_{axis}": round(float(value), 6) for axis, value in zip("xyz", matrix @ old, strict=True)}
            )


def tilt(degrees: float) -> np.ndarray:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


@pytest.mark.parametrize(
    ("code", "subject", "values"),
    [
        ("CTS001", "Modality", {"modality": "MR"}),
        ("CTS001", "SOPClassUID", {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}),
        ("CTS004", SERIES, {"rows": 508}),
        ("CTS013", SERIES, {"spacing_row": 1.2, "spacing_col": 1.2}),
        ("CTS015", "RescaleSlope", {"rescale_slope": 0.0}),
        ("CTS015", "RescaleIntercept", {"rescale_intercept": None}),
        ("CTS017", SERIES, {"patient_position": "HFP"}),
        ("CTS020", SERIES, {"transfer_syntax_uid": "1.2.840.10008.1.2"}),
        ("CTS020", SERIES, {"bits_allocated": 8}),
    ],
)
def test_a_whole_series(case: Case, profile: Profile, code: str, subject: str, values: dict[str, Any]) -> None:
    for row in case.of("slices"):
        row.update(values)
    case.change([*case.of("dsos"), *case.of("frames")], **{key: values[key] for key in values if "spacing" in key})
    if "rows" in values:
        case.dso()["rows"] = 508
        bits = case.dso()["number_of_frames"] * 508 * 512
        case.dso()["pixel_bytes_expected"] = case.dso()["pixel_bytes_found"] = bits // 8
    if "sop_class_uid" in values:
        for row in case.ct():
            if "meta_sop_class_uid" in row:
                row["meta_sop_class_uid"] = row["sop_class_uid"] = values["sop_class_uid"]
    assert flat(case, profile) == [(code, P1, subject)]


ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


@pytest.mark.parametrize("many", [True, False])
def test_of_an_object_of_another_class_its_class_is_told_alone(case: Case, profile: Profile, many: bool) -> None:
    rows = case.of("slices")[: None if many else 1]
    for row in rows:
        row |= {
            "sop_class_uid": ENHANCED,
            "rescale_slope": None,
            "rescale_intercept": None,
            "missing": '["PixelSpacing"]',
        }
    if many:
        for number in range(2, N_SLICES + 1):
            case.remove_ct(number)
    told = {code for code, *_ in flat(case, profile)}
    assert told & {"CTS001", "CTS014", "CTS015", "CTS019"} == {"CTS001"}


@pytest.mark.parametrize(
    ("code", "subject", "values"),
    [
        ("CTS002", "StudyInstanceUID", {"study_uid": uid(9, 1)}),
        ("CTS002", "FrameOfReferenceUID", {"frame_of_reference_uid": uid(9, 4)}),
        ("CTS003", "Rows", {"rows": 256}),
        ("CTS003", "PixelSpacing", {"spacing_row": 0.79}),
        ("CTS003", "ImageOrientationPatient", {"row_y": 0.004, "col_x": -0.004}),
        ("CTS005", SERIES, {"row_x": 0.9}),
        ("CTS015", "RescaleSlope", {"rescale_slope": 0.5}),
        ("CTS015", "RescaleIntercept", {"rescale_intercept": None}),
        ("CTS016", SERIES, {"hu_min": 40.0, "hu_max": 40.0}),
        ("CTS016", SERIES, {"hu_min": -200.0}),
        ("CTS016", SERIES, {"hu_soft": 0.0}),
        ("CTS016", SERIES, {"hu_outside": 0.3}),
        ("CTS018", SERIES, {"acquisition_number": 2}),
        ("CTS019", "PatientPosition", {"missing": '["PatientPosition"]', "patient_position": None}),
        ("CTS020", SERIES, {"pixel_representation": 3}),
    ],
)
def test_a_single_slice(case: Case, profile: Profile, code: str, subject: str, values: dict[str, Any]) -> None:
    case.slice(EDGE).update(values)
    assert flat(case, profile) == [(code, P1, subject)]
    if code != "CTS018":
        assert only(case, code, profile).examples == (f"1-{EDGE}.dcm",)


@pytest.mark.parametrize(
    "values",
    [
        {"spacing_row": 0.7800004},
        {"row_y": 1e-5},
        {"hu_outside": 0.01},
        {"patient_position": "HFS"},
        {"slice_thickness": 5.004},
        {"position_z": FIRST_Z - 23 * SPACING + 0.02},
        {"position_x": -199.8},
    ],
)
def test_what_is_within_the_tolerances(case: Case, profile: Profile, values: dict[str, Any]) -> None:
    case.slice(EDGE).update(values)
    assert flat(case, profile) == []


def test_directions_are_written_as_in_dicom(case: Case, profile: Profile) -> None:
    case.slice(EDGE).update(row_y=0.004, col_x=-0.004)
    finding = only(case, "CTS003", profile)
    assert (finding.expected, finding.observed) == ("1\\0\\0\\0\\1\\0", "1\\0.004\\0\\-0.004\\1\\0")


def test_a_missing_position(case: Case, profile: Profile) -> None:
    case.slice(12).update(position_x=None, position_y=None, position_z=None, missing='["ImagePositionPatient"]')
    # The gap that it leaves in the stack is no missing slice.
    assert flat(case, profile) == [("CTS019", P1, "ImagePositionPatient")]


@pytest.mark.parametrize("name", [1, 12, 24])
@pytest.mark.parametrize("to", [0, 1])
def test_two_slices_at_one_position(case: Case, profile: Profile, name: int, to: int) -> None:
    other = name + (1 if to and name < N_SLICES else -1 if name > 1 else 1)
    case.slice(name)["position_z"] = case.slice(other)["position_z"]
    assert flat(case, profile) == [("CTS007", P1, SERIES)]


def test_a_doubled_slice_with_the_same_number(case: Case, profile: Profile) -> None:
    for row in case.ct(12):
        table = "slices" if "position_x" in row else "files"
        new = {**row, "path": row["path"].replace("1-12", "1-25"), "sop_instance_uid": uid(1, 5, 99)}
        case[table].append(new | ({"meta_sop_instance_uid": uid(1, 5, 99)} if table == "files" else {}))
    assert flat(case, profile) == [("CTS007", P1, SERIES)]


def test_a_slice_that_is_gone(case: Case, profile: Profile) -> None:
    case.remove_ct(12)
    assert flat(case, profile) == [
        ("CTS008", P1, SERIES),
        ("CTS011", P1, "InstanceNumber"),
        ("DSO007", P1, "1-1.dcm"),
        ("DSO009", P1, "1-1.dcm"),
    ]
    finding = only(case, "CTS008", profile)
    assert re.fullmatch(
        r"Slice 56 \(InstanceNumber\) is missing, between 1-13\.dcm and 1-11\.dcm \(z \S+ and \S+ mm\)\.",
        finding.message,
    )
    assert only(case, "CTS011", profile).severity is Severity.WARNING


def test_slices_that_are_gone_are_named_by_their_numbers(case: Case, profile: Profile) -> None:
    case.remove_ct(12)
    case.remove_ct(13)
    said = only(case, "CTS008", profile).message
    assert said.startswith("Slices 56 to 57 (InstanceNumber) are missing, between 1-14.dcm and 1-11.dcm ")
    for row in case.of("slices"):
        row["instance_number"] += 88121000
    assert only(case, "CTS008", profile).message.startswith("2 slices are missing: ")
    case.remove_ct(5)
    assert only(case, "CTS008", profile).message.startswith("3 slices are missing: ")


def test_a_slice_that_was_never_there(case: Case, profile: Profile) -> None:
    for name in range(23, EDGE + 1):
        case.slice(name)["position_z"] -= 2 * SPACING
    # Numbers go on over the gap, so nothing says that slices were there.
    assert flat(case, profile) == [("CTS009", P1, SERIES)]
    assert only(case, "CTS009", profile).count == 1


@pytest.mark.parametrize("name", [1, 12, 24])
@pytest.mark.parametrize("away", [0.1, -1.3, 2.5, 7.0])
def test_uneven_spacing(case: Case, profile: Profile, name: int, away: float) -> None:
    case.slice(name)["position_z"] += away
    assert flat(case, profile) == [("CTS009", P1, SERIES)]
    assert only(case, "CTS009", profile).examples == (f"1-{name:02d}.dcm",)


def test_sheared(case: Case, profile: Profile) -> None:
    turn(case, np.array([[1, 0, 0], [0, 1, 0.05], [0, 0, 1]]), directions=False)
    assert flat(case, profile) == [("CTS010", P1, SERIES)]


def test_a_tilted_gantry_is_told_once(case: Case, profile: Profile) -> None:
    for row in everything(case):
        row.update(col_y=round(math.cos(math.radians(15)), 6), col_z=round(math.sin(math.radians(15)), 6))
    assert flat(case, profile) == [("CTS010", P1, SERIES)]
    assert "15" in only(case, "CTS010", profile).message


def test_a_slice_put_sideways(case: Case, profile: Profile) -> None:
    case.slice(12)["position_x"] += 3
    assert flat(case, profile) == [("CTS010", P1, SERIES)]
    assert only(case, "CTS010", profile).examples == ("1-12.dcm",)


def test_not_axial(case: Case, profile: Profile) -> None:
    turn(case, tilt(12))
    assert flat(case, profile) == [("CTS006", P1, SERIES)]


def test_a_little_oblique(case: Case, profile: Profile) -> None:
    turn(case, tilt(5))
    assert flat(case, profile) == []


def test_prone_is_worth_knowing_and_nothing_else(case: Case, profile: Profile) -> None:
    for row in everything(case):
        row.update(row_x=-1.0, col_y=-1.0, position_x=200.0, position_y=180.0)
    case.change(case.of("slices"), patient_position="FFP")
    assert flat(case, profile) == [("CTS017", P1, SERIES)]
    assert only(case, "CTS017", profile).severity is Severity.INFO


@pytest.mark.parametrize("row", [{"col_y": -1.0}, {"row_x": -1.0}])
@pytest.mark.parametrize(("position", "told"), [("FFS", 0), ("HFS", 0), ("HFP", 1)])
def test_rows_from_the_bottom_up_say_nothing_of_the_posture(
    case: Case, profile: Profile, row: dict[str, float], position: str, told: int
) -> None:
    for one in everything(case):
        one.update(row)
    case.change(case.of("slices"), patient_position=position)
    found = [one for one in flat(case, profile) if one[0] == "CTS017"]
    assert found == [("CTS017", P1, SERIES)] * told
    if told:
        assert only(case, "CTS017", profile).severity is Severity.INFO


def test_positions_that_contradict(case: Case, profile: Profile) -> None:
    case.change(case.of("slices"), patient_position="FFP")
    assert only(case, "CTS017", profile).severity is Severity.ERROR


@pytest.mark.parametrize("numbers", [range(1, 25), range(24, 0, -1), range(85, 61, -1)])
def test_numbers_may_run_up_and_down(case: Case, profile: Profile, numbers: range) -> None:
    for name, value in enumerate(numbers, start=1):
        case.slice(name)["instance_number"] = value
    assert flat(case, profile) == []


def test_numbersout_of_order(case: Case, profile: Profile) -> None:
    one, other = case.slice(5), case.slice(9)
    one["instance_number"], other["instance_number"] = other["instance_number"], one["instance_number"]
    assert flat(case, profile) == [("CTS011", P1, "ImagePositionPatient")]
    assert only(case, "CTS011", profile).count == 2
    assert only(case, "CTS011", profile).severity is Severity.ERROR


def test_a_number_twice(case: Case, profile: Profile) -> None:
    case.slice(EDGE)["instance_number"] = case.slice(EDGE - 1)["instance_number"]
    assert flat(case, profile) == [("CTS011", P1, "InstanceNumber")]
    assert only(case, "CTS011", profile).severity is Severity.ERROR


def test_a_number_that_may_be_a_record_number_is_not_shown(case: Case, profile: Profile) -> None:
    for number in (3, 4):
        for row in case.ct(number):
            if "instance_number" in row:
                row["instance_number"] = 88121024
    told = str([one.as_dict() for one in run(case, profile).findings])
    assert "CTS011" in told
    assert "a number of 8 digits" in told
    assert not re.search("8812|88,12", told)


def test_a_record_number_at_the_end_tells_not_how_many_are_left_out(case: Case, profile: Profile) -> None:
    last = max(row["instance_number"] for row in case.ct() if "instance_number" in row)
    for row in case.ct():
        if row.get("instance_number") == last:
            row["instance_number"] = 88121024
    finding = only(case, "CTS011", profile)
    assert finding.observed == "many left out"
    assert not re.search("8812|88,12|88120|88,120", str(finding.as_dict()))


def test_a_gap_in_the_numbers(case: Case, profile: Profile) -> None:
    case.slice(EDGE)["instance_number"] += 3
    assert flat(case, profile) == [("CTS011", P1, "InstanceNumber")]
    assert only(case, "CTS011", profile).severity is Severity.WARNING


def test_thickness(case: Case, profile: Profile) -> None:
    case.change(case.of("slices"), slice_thickness=4.7)
    assert flat(case, profile) == [("CTS012", P1, SERIES)]
    case.change(case.of("slices"), slice_thickness=8.0)
    assert flat(case, profile) == [("CTS012", P1, SERIES), ("SEG017", P1, "1-1.dcm")]


def test_a_cropped_series_with_few_slices(case: Case, profile: Profile) -> None:
    for name in (1, 22, 23, 24):
        case.remove_ct(name)
    assert flat(case, profile) == [("CTS014", P1, SERIES)]


def test_every_position_wrong_still_ends(case: Case, profile: Profile) -> None:
    random = np.random.default_rng(1)
    for row in case.of("slices"):
        row["position_z"] = float(random.uniform(-1000, 1000))
    assert ("CTS009", P1, SERIES) in flat(case, profile)


def test_columns_that_are_all_missing_crash_nothing(case: Case, profile: Profile) -> None:
    kept = {"patient", "path", "series_uid"}
    for row in case.of("slices"):
        row.update(dict.fromkeys(set(row) - kept))
    run(case, profile)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30), unique=True, max_size=12))
def test_the_fewestout_of_order(values: list[int]) -> None:
    wrong = out_of_order(values)
    kept = [value for place, value in enumerate(values) if place not in wrong]
    assert kept == sorted(kept)
    longest = [1] * len(values)
    for place, value in enumerate(values):
        longest[place] += max((longest[before] for before in range(place) if values[before] < value), default=0)
    assert len(kept) == max(longest, default=0)
