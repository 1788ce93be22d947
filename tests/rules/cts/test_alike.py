"""CTS: what must not differ inside a series, and what may."""

from typing import Any

import pytest
from support.frames import N_SLICES, PATIENTS, Case, clean, flat, only, uid

from crlm_qc.collection.profile import Profile

P1 = PATIENTS[0]
SERIES = "101.000000-NA-20001"


@pytest.fixture
def case() -> Case:
    case = clean()
    usual = {
        "manufacturer": "GE MEDICAL SYSTEMS",
        "manufacturer_model": "LightSpeed16",
        "convolution_kernel": "STANDARD",
        "kvp": 120.0,
        "image_type": "ORIGINAL\\PRIMARY\\AXIAL",
        "reconstruction_diameter": 400.0,
        "contrast_agent": "ORAL & IV",
    }
    case.change(case.of("slices"), **dict.fromkeys(usual))
    for row in case.of("slices"):
        row.update(usual)
    return case


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("CTS031", {"patient_sex": "F"}),
        ("CTS031", {"patient_age": "031Y"}),
        ("CTS031", {"study_date": "19920706"}),
        ("CTS031", {"study_date": None}),
        ("CTS031", {"manufacturer": "SIEMENS"}),
        ("CTS031", {"manufacturer_model": "Sensation 16"}),
        ("CTS032", {"convolution_kernel": "LUNG"}),
        ("CTS032", {"kvp": 100.0}),
        ("CTS032", {"slice_thickness": 2.5}),
        ("CTS032", {"image_type": "DERIVED\\SECONDARY\\AXIAL"}),
        ("CTS032", {"reconstruction_diameter": 360.0}),
        ("CTS032", {"contrast_agent": "NONE"}),
        ("CTS032", {"pixel_representation": 0}),
    ],
)
@pytest.mark.parametrize("name", [1, 12, N_SLICES])
def test_one_slice_of_another(case: Case, profile: Profile, code: str, values: dict[str, Any], name: int) -> None:
    case.slice(name).update(values)
    assert flat(case, profile) == [(code, P1, SERIES)]
    finding = only(case, code, profile)
    assert finding.examples == (f"1-{name:02d}.dcm",)
    assert f"of 1 slice (1-{name:02d}.dcm) differs from the other 23" in finding.message


@pytest.mark.parametrize(
    "values",
    [
        {"patient_sex": None},
        {"patient_age": "55Y"},
        {"manufacturer": "GE Medical  Systems"},
        {"kvp": None, "contrast_agent": None, "convolution_kernel": None, "image_type": None},
        {"slice_thickness": 5.004, "reconstruction_diameter": 400.4},
        {"image_type": "ORIGINAL\\PRIMARY\\AXIAL\\"},
        {"bits_stored": 12, "high_bit": 11},
    ],
)
def test_what_may_differ(case: Case, profile: Profile, values: dict[str, Any]) -> None:
    case.slice(5).update(values)
    assert flat(case, profile) == []


def test_a_study_date_that_no_slice_has(case: Case, profile: Profile) -> None:
    for row in case.of("slices"):
        row["study_date"] = None
    assert "CTS031" not in {code for code, *_ in flat(case, profile)}


def test_one_finding_lists_all_attributes(case: Case, profile: Profile) -> None:
    for name in (3, 4):
        case.slice(name).update(patient_sex="F", patient_age="095Y", manufacturer_model="Somebody's own")
    case.slice(9)["study_date"] = "20110305"
    finding = only(case, "CTS031", profile)
    assert finding.message == (
        "PatientSex (F, not M), PatientAge (over 89, not 055Y), ManufacturerModelName of "
        "2 slices (1-03.dcm, 1-04.dcm) differ from the other 22; StudyDate (a date outside of the release's "
        "range, not 19920606) of 1 slice (1-09.dcm) differs from the other 23."
    )
    assert finding.count == 3


def test_slices_of_another_study_are_told_by_their_uid(case: Case, profile: Profile) -> None:
    case.slice(24).update(study_uid=uid(9, 1), patient_sex="F", study_date="19920706")
    assert flat(case, profile) == [("CTS002", P1, "StudyInstanceUID")]


def test_several_thicknesses_are_told_once(case: Case, profile: Profile) -> None:
    for name in range(1, N_SLICES + 1):
        case.slice(name)["slice_thickness"] = 3.0 if name < 10 else 7.0
    assert flat(case, profile) == [("CTS032", P1, SERIES)]
