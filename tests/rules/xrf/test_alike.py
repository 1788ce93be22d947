"""XRF009 and XRF010: what two patients hold alike, and what is no more than chance."""

import pytest
from support.frames import N_SLICES, PATIENTS, Case, clean, flat, only, uid

from crlm_qc.collection.profile import Profile

P1, P2 = PATIENTS
P3 = "CRLM-CT-1003"
SERIES, DSO = "101.000000-NA-20001", "1-1.dcm"


@pytest.fixture
def case() -> Case:
    return clean()


def share_slices(
    case: Case, patient: str, *, of: str = P1, first: int = 0, last: int = N_SLICES, step: int = 1
) -> None:
    """Give slices of a patient the pixels of those of another one."""
    digests = [row["pixel_digest"] for row in case.of("slices", of)][first:last][::step]
    for row, digest in zip(case.of("slices", patient)[first:last], digests, strict=True):
        row["pixel_digest"] = digest


def share_masks(case: Case, patient: str, count: int | None = None) -> None:
    for row, other in list(zip(case.of("frames", patient), case.of("frames", P1), strict=True))[:count]:
        row["mask_digest"] = other["mask_digest"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "24 of 24 slices of CRLM-CT-1001 and CRLM-CT-1002 hold the same pixels; their masks differ."),
        (
            {"step": -1},
            "24 of 24 slices of CRLM-CT-1001 and CRLM-CT-1002 hold the same pixels, in the reverse order; their masks differ.",
        ),
        (
            {"first": 3, "last": 9},
            "6 of 24 slices of CRLM-CT-1001 and CRLM-CT-1002 hold the same pixels; their masks differ.",
        ),
        (
            {"last": 1},
            "1 of 24 slices of CRLM-CT-1001 and CRLM-CT-1002 hold the same pixels; their masks differ.",
        ),
    ],
)
def test_slices_of_two_patients(case: Case, profile: Profile, change: dict[str, int], words: str) -> None:
    share_slices(case, P2, **change)
    assert flat(case, profile) == [("XRF009", P2, SERIES)]
    assert only(case, "XRF009", profile).message == words


def test_masks_too_are_one_finding(case: Case, profile: Profile) -> None:
    share_slices(case, P2)
    share_masks(case, P2)
    assert flat(case, profile) == [("XRF009", P2, SERIES)]
    assert only(case, "XRF009", profile).message.endswith("hold the same pixels; so do the masks.")
    share_masks(case := clean(), P2, 20)
    share_slices(case, P2)
    assert only(case, "XRF009", profile).message.endswith("; so do 20 of 21 masks of CRLM-CT-1001 and CRLM-CT-1002.")


def test_series_of_different_lengths(case: Case, profile: Profile) -> None:
    for name in (23, 24):
        case.remove_ct(name, P2)
    for row, other in zip(case.of("slices", P2), case.of("slices", P1), strict=False):
        row["pixel_digest"] = other["pixel_digest"]
    message = only(case, "XRF009", profile).message
    assert message.startswith("22 of 24 slices of CRLM-CT-1001, 22 of 22 of CRLM-CT-1002 hold the same pixels")


def test_three_patients_are_one_finding(profile: Profile) -> None:
    case = clean((P1, P2, P3))
    share_slices(case, P2)
    share_slices(case, P3, last=5)
    assert [found for found in flat(case, profile) if found[0] == "XRF009"] == [("XRF009", P3, SERIES)]
    message = only(case, "XRF009", profile).message
    assert message.startswith("24 of 24 slices of CRLM-CT-1001 and CRLM-CT-1002, 5 of 24 of CRLM-CT-1003 hold")


def test_slices_of_one_value_are_no_ones(case: Case, profile: Profile) -> None:
    for row in case["slices"]:
        row["pixel_digest"] = None
    assert flat(case, profile) == []


def test_one_file_that_two_patients_have_is_told_once(case: Case, profile: Profile) -> None:
    share_slices(case, P2, last=1)
    case.change(case.ct(1, P2), sop_instance_uid=uid(1, 5, 1), meta_sop_instance_uid=uid(1, 5, 1))
    assert {code for code, *_ in flat(case, profile)} == {"REL006"}


def test_masks_on_other_images(case: Case, profile: Profile) -> None:
    share_masks(case, P2)
    assert flat(case, profile) == [("XRF010", P2, DSO)]
    words = "21 of 21 masks of CRLM-CT-1001 and CRLM-CT-1002 are the same, voxel for voxel; their CT slices differ."
    assert only(case, "XRF010", profile).message == words
    for row in case["slices"]:
        row["pixel_digest"] = None
    assert only(case, "XRF010", profile).message.endswith("; their CT slices were not compared.")


@pytest.mark.parametrize(
    ("voxels", "count", "told"),
    # The liver's frames come first.
    [(9999, 14, False), (9999, 15, True), (10000, 2, False), (10000, 3, True)],
)
def test_masks_that_may_be_alike_by_chance(case: Case, profile: Profile, voxels: int, count: int, told: bool) -> None:
    share_masks(case, P2, count)
    case.change([*case.frames(1), *case.frames(1, P2)], voxels=voxels)
    assert flat(case, profile) == ([("XRF010", P2, DSO)] if told else [])


def test_small_masks_do_not_count(case: Case, profile: Profile) -> None:
    share_masks(case, P2)
    case.change(case["frames"], voxels=99)
    assert [found for found in flat(case, profile) if found[0].startswith("XRF")] == []


def test_two_masks_are_too_few(case: Case, profile: Profile) -> None:
    share_masks(case, P2, 2)
    for row in case["frames"]:
        if row["frame"] > 2:
            row["mask_digest"] = None
    assert flat(case, profile) == []
