"""CTS: series of several volumes, localizers, images of several frames, changes of spacing."""

from typing import Any

import pytest
from support.frames import N_SLICES, PATIENTS, SPACING, Case, clean, flat, only, uid

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity

P1 = PATIENTS[0]
SERIES = "101.000000-NA-20001"


@pytest.fixture
def case() -> Case:
    return clean()


def add(case: Case, name: int, new: int, **values: Any) -> None:
    """A CT file more, as another one but for some values."""
    for row in case.ct(name):
        table = "slices" if "position_x" in row else "files"
        number = uid(1, 5, 1000 + new)
        copied = {**row, "path": row["path"].rpartition("/")[0] + f"/1-{new}.dcm", "sop_instance_uid": number}
        if table == "files":
            copied |= {"meta_sop_instance_uid": number, "name": f"1-{new}.dcm"}
        case[table].append(copied | {key: value for key, value in values.items() if table == "slices"})


def second_run(case: Case, shift: float, names: range = range(1, N_SLICES + 1), **values: Any) -> None:
    for row in case.of("slices"):
        row["acquisition_time"] = 0.0
    for name in names:
        z = case.slice(name)["position_z"] + shift
        add(case, name, 30 + name, position_z=z, instance_number=100 + name, acquisition_time=60.0, **values)


def test_a_run_across_the_other(case: Case, profile: Profile) -> None:
    second_run(case, -SPACING / 2, range(10, 21))
    assert flat(case, profile) == [("CTS028", P1, SERIES)]
    assert only(case, "CTS028", profile).message == (
        "The series is 2 volumes. Told apart by AcquisitionTime and InstanceNumber: slices 45-68 every 5 mm; slices 110-120 "
        "every 5 mm, 60 s later. They lie across each other, 2.5 mm apart. No mask lies on run 2."
    )


def test_a_run_at_the_same_positions_with_an_acquisition_of_its_own(case: Case, profile: Profile) -> None:
    second_run(case, 0.0, acquisition_number=7)
    assert flat(case, profile) == [("CTS018", P1, SERIES)]
    finding = only(case, "CTS018", profile)
    assert finding.severity is Severity.ERROR
    assert "They lie at the same positions." in finding.message


def test_a_reconstruction_with_another_kernel(case: Case, profile: Profile) -> None:
    for row in case.of("slices"):
        row["convolution_kernel"] = "STANDARD"
    second_run(case, 0.0, convolution_kernel="LUNG")
    case.change(case.of("slices"), acquisition_time=0.0)
    assert flat(case, profile) == [("CTS028", P1, SERIES)]
    assert "by ConvolutionKernel and InstanceNumber: slices" in only(case, "CTS028", profile).message


def test_a_run_behind_the_other_that_shows_the_same(case: Case, profile: Profile) -> None:
    for name in range(1, N_SLICES + 1):
        case.slice(name)["hu_soft"] = 0.3 + 0.01 * abs(name - 9)
    second_run(case, -N_SLICES * SPACING)
    case.change([row for row in case.of("slices") if row["acquisition_time"] == 60], instance_number=None)
    for place, row in enumerate(row for row in case.of("slices") if row["acquisition_time"] == 60):
        row["instance_number"] = 45 + N_SLICES + place
    assert flat(case, profile) == [("CTS028", P1, SERIES)]
    finding = only(case, "CTS028", profile)
    assert finding.severity is Severity.WARNING
    assert "They lie one behind the other and show the same body." in finding.message


def test_large_numbers_of_runs_are_not_shown(case: Case, profile: Profile) -> None:
    second_run(case, -SPACING / 2)
    for place, row in enumerate(case.of("slices")):
        row["instance_number"] = 7_654_321 + place
    message = only(case, "CTS028", profile).message
    assert "76543" not in message
    assert "24 slices (1-24.dcm to 1-1.dcm)" in message or "24 slices (1-24.dcm to 1-01.dcm)" in message


@pytest.mark.parametrize("kind", ["ORIGINAL\\PRIMARY\\LOCALIZER", None])
def test_a_localizer(case: Case, profile: Profile, kind: str | None) -> None:
    coronal = {"col_y": 0.0, "col_z": -1.0, "position_y": 0.0, "position_z": -303.3, "instance_number": 1}
    add(case, 1, 25, image_type=kind, rows=888, **coronal)
    assert flat(case, profile) == [("CTS029", P1, SERIES)]
    assert "1-25.dcm (coronal image" in only(case, "CTS029", profile).message


def test_a_ct_image_of_several_frames(case: Case, profile: Profile) -> None:
    for name in range(2, N_SLICES + 1):
        case.remove_ct(name)
    case.slice(1)["number_of_frames"] = N_SLICES
    assert flat(case, profile) == [("CTS030", P1, "NumberOfFrames")]


@pytest.mark.parametrize("frames", [0, -1])
def test_a_ct_image_of_no_frame(case: Case, profile: Profile, frames: int) -> None:
    case.slice(4)["number_of_frames"] = frames
    assert flat(case, profile) == [("CTS030", P1, "NumberOfFrames")]
    assert f"NumberOfFrames of 1 slice is {frames}, and" in only(case, "CTS030", profile).message


def test_one_frame_may_be_said(case: Case, profile: Profile) -> None:
    case.slice(4)["number_of_frames"] = 1
    assert flat(case, profile) == []


@pytest.mark.parametrize("factor", [0.5, 1.4, 2.0, 3.0])
def test_the_spacing_changes(case: Case, profile: Profile, factor: float) -> None:
    middle = case.slice(12)["position_z"]
    for row in case.of("slices") + case.of("frames"):
        row["position_z"] = min(row["position_z"], middle) * factor + max(row["position_z"], middle) - middle * factor
    assert flat(case, profile) == [("CTS009", P1, SERIES)]
    message = only(case, "CTS009", profile).message
    assert f"The slice spacing changes: {f'{5 * factor:g}'} mm from 1-24.dcm to 1-12.dcm, then 5 mm" in message


def test_every_second_slice_of_a_part_is_missing(case: Case, profile: Profile) -> None:
    for name in (20, 22, 23):
        case.remove_ct(name)
    found = flat(case, profile)
    assert ("CTS008", P1, SERIES) in found
    assert "CTS009" not in {code for code, *_ in found}
