"""CTS021 to CTS024: repeats inside a series, and what the header says of the pixels."""

from typing import Any

import pytest
from support.frames import PATIENTS, SPACING, Case, clean, flat, only

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity

P1 = PATIENTS[0]
SERIES = "101.000000-NA-20001"


@pytest.fixture
def case() -> Case:
    return clean()


def repeat(case: Case, *names: int) -> None:
    for name in names[1:]:
        case.slice(name)["pixel_digest"] = case.slice(names[0])["pixel_digest"]


def test_slices_that_hold_the_pixels_of_another(case: Case, profile: Profile) -> None:
    repeat(case, 4, 5, 19)
    repeat(case, 7, 8)
    assert flat(case, profile) == [("CTS021", P1, SERIES)]
    finding = only(case, "CTS021", profile)
    assert finding.message == (
        "3 slices of 24 hold the pixels of another one at another position: 1-04.dcm = 1-05.dcm = 1-19.dcm, 1-07.dcm = 1-08.dcm."
    )
    assert (finding.count, finding.severity) == (3, Severity.ERROR)


def test_two_slices_at_one_position_are_told_once(case: Case, profile: Profile) -> None:
    repeat(case, 23, 24)
    case.slice(24)["position_z"] += SPACING
    assert flat(case, profile) == [("CTS007", P1, SERIES)]


def test_a_copy_of_a_file_is_told_once(case: Case, profile: Profile) -> None:
    repeat(case, 23, 24)
    same = case.slice(23)["sop_instance_uid"]
    case.change(case.ct(24), sop_instance_uid=same, meta_sop_instance_uid=same)
    assert {code for code, *_ in flat(case, profile)} == {"REL006"}


@pytest.mark.parametrize(
    ("values", "code", "subject", "words"),
    [
        (
            {"photometric_interpretation": "MONOCHROME1"},
            "CTS022",
            SERIES,
            "PhotometricInterpretation of 24 slices is MONOCHROME1, not MONOCHROME2.",
        ),
        (
            {"photometric_interpretation": "Dr Who"},
            "CTS022",
            SERIES,
            "PhotometricInterpretation of 24 slices is text of 1 to 8 characters, not MONOCHROME2.",
        ),
        ({"high_bit": 11}, "CTS023", SERIES, "HighBit 11 beside BitsStored 16 in 24 slices: "),
        (
            {"bits_stored": 12},
            "CTS023",
            SERIES,
            "HighBit 15 beside BitsStored 12 in 24 slices: ",
        ),
        (
            {"bits_stored": 12, "high_bit": 11, "wide_pixels": 50},
            "CTS023",
            SERIES,
            "1,200 pixels of 24 slices with more than the 12 bits of BitsStored: ",
        ),
        (
            {"bits_stored": 12, "wide_pixels": 1},
            "CTS023",
            SERIES,
            "HighBit 15 beside BitsStored 12 in 24 slices; 24 pixels of 24 slices with more than the 12 bits of BitsStored: ",
        ),
        (
            {"lossy_image_compression": "01", "lossy_ratio": "18.2\\3", "lossy_method": "ISO_15444_1\\ISO_10918_1"},
            "CTS024",
            "LossyImageCompression",
            "24 slices were compressed with loss (ratio 18.2, 3, method ISO_15444_1, ISO_10918_1).",
        ),
        (
            {"lossy_image_compression": "01", "image_type": "DERIVED\\PRIMARY\\AXIAL"},
            "CTS024",
            "LossyImageCompression",
            "24 slices were compressed with loss (ratio and method not told).",
        ),
        (
            {"image_type": "DERIVED\\PRIMARY\\AXIAL"},
            "CTS024",
            "ImageType",
            "ImageType says that 24 slices are DERIVED.",
        ),
        (
            {"image_type": "DERIVED \\SECONDARY\\MPR"},
            "CTS024",
            "ImageType",
            "ImageType says that 24 slices are DERIVED\\SECONDARY.",
        ),
        ({"rescale_type": "US"}, "CTS024", "RescaleType", "RescaleType of 24 slices is US, not HU."),
        (
            {"rescale_type": "of Jane Doe"},
            "CTS024",
            "RescaleType",
            "RescaleType of 24 slices is text of 9 to 32 characters, not HU.",
        ),
    ],
)
def test_what_the_header_says_of_the_pixels(
    case: Case, profile: Profile, values: dict[str, Any], code: str, subject: str, words: str
) -> None:
    case.change(case.of("slices"), **values)
    assert flat(case, profile) == [(code, P1, subject)]
    assert only(case, code, profile).message.startswith(words)


@pytest.mark.parametrize(
    "values",
    [
        {"lossy_image_compression": "00"},
        {"rescale_type": None},
        {"rescale_type": "hu "},
        {"image_type": None},
        {"image_type": "ORIGINAL\\PRIMARY"},
        # The first two values alone say what was done to it.
        {"image_type": "ORIGINAL\\PRIMARY\\AXIAL\\SECONDARY"},
        {"photometric_interpretation": None},
        {"bits_stored": 12, "high_bit": 11, "wide_pixels": 0},
        {"high_bit": None},
    ],
)
def test_what_is_legal_is_silent(case: Case, profile: Profile, values: dict[str, Any]) -> None:
    case.change(case.of("slices"), **values)
    assert flat(case, profile) == []


def test_jpeg_of_the_dct_has_lost_whatever_is_said(case: Case, profile: Profile) -> None:
    case.change(case.ct(), transfer_syntax_uid="1.2.840.10008.1.2.4.51")
    assert {code for code, *_ in flat(case, profile)} == {"CTS020", "CTS024"}


def test_one_slice_is_named(case: Case, profile: Profile) -> None:
    case.slice(5)["high_bit"] = 14
    finding = only(case, "CTS023", profile)
    assert (finding.message, finding.count) == ("HighBit 14 beside BitsStored 16 in 1 slice: 1-05.dcm.", 1)
