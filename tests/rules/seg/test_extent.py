"""SEG021: an organ that the end of the scan cuts."""

import pytest
from support.frames import FIRST_Z, LIVER, N_SLICES, PATIENTS, SPACING, Case, clean, flat, only

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity

P1 = PATIENTS[0]
FILE = "1-1.dcm"
TOP, BOTTOM = FIRST_Z, FIRST_Z - (N_SLICES - 1) * SPACING


@pytest.fixture
def case() -> Case:
    case = clean()
    inside = {"along_min": FIRST_Z - max(LIVER) * SPACING, "along_max": FIRST_Z - min(LIVER) * SPACING}
    for number in (1, 2):
        case.segment(number).update(**inside, voxels_first=500, voxels_last=500, voxels_widest=40000)
    return case


def test_a_liver_within_the_scan(case: Case, profile: Profile) -> None:
    assert flat(case, profile) == []


@pytest.mark.parametrize("voxels", [400, 9000, 11000, 40000])
@pytest.mark.parametrize(
    ("column", "at", "words"), [("max", TOP, "highest slice 1-01.dcm"), ("min", BOTTOM, "lowest slice 1-24.dcm")]
)
def test_a_liver_that_the_scan_cuts(
    case: Case, profile: Profile, column: str, at: float, words: str, voxels: int
) -> None:
    held = {"min": "voxels_first", "max": "voxels_last"}[column]
    case.segment(1).update({f"along_{column}": at + 0.3, held: voxels})
    assert flat(case, profile) == [("SEG021", P1, FILE)]
    finding = only(case, "SEG021", profile)
    assert finding.severity is (Severity.WARNING if voxels > 10000 else Severity.INFO)
    assert f"Liver reaches the {words} with {voxels * 0.78**2 / 100:.1f}".rstrip("0").rstrip(".") in finding.message
    assert f"({voxels / 400:.0f}% of its largest area)" in finding.message


def test_liver_and_tumour_are_one_finding(case: Case, profile: Profile) -> None:
    for number in (1, 2):
        case.segment(number).update(along_max=TOP, voxels_last=20000)
    assert flat(case, profile) == [("SEG021", P1, FILE)]
    assert only(case, "SEG021", profile).count == 2


def test_vessels_may_go_on(case: Case, profile: Profile) -> None:
    case.segment(2).update(label="Portal", along_max=TOP, voxels_last=20000)
    assert "SEG021" not in {code for code, *_ in flat(case, profile)}
