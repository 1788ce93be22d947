"""DSO040, DSO041 and CTS035: what was asked for and not measured, and what is said of the pixels of masks."""

from typing import Any

import pytest
from support.frames import PATIENTS, Case, clean, fit_bytes, flat, only, run

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import ENCAPSULATED

P1 = PATIENTS[0]
FILE = "1-1.dcm"
SERIES = "101.000000-NA-20001"


@pytest.fixture
def case() -> Case:
    return clean()


def unmeasured(case: Case, detail: str = "Float Pixel Data is not read", **values: object) -> None:
    case.dso().update(masks="failed", masks_detail=detail, **values)
    case.change([*case.of("segments"), *case.of("frames")], voxels=None, volume_ml=None, hu_median=None, plane=None)
    case.drop("segment_pairs", lambda row: row["patient"] != P1)


def test_masks_that_were_not_measured_are_told(case: Case, profile: Profile) -> None:
    unmeasured(case)
    assert flat(case, profile) == [("DSO040", P1, FILE)]
    found = only(case, "DSO040", profile)
    assert found.message == "The masks were not measured: Float Pixel Data is not read."
    assert found.severity == Severity.ERROR


def test_whatever_the_reason(case: Case, profile: Profile) -> None:
    unmeasured(case, "KeyError while measuring")
    assert ("DSO040", P1, FILE) in flat(case, profile)


def test_bits_that_are_not_said_are_told_once(case: Case, profile: Profile) -> None:
    unmeasured(case, bits_allocated=None, pixel_bytes_expected=None, pixel_bytes_unpadded=None)
    assert flat(case, profile) == [("DSO040", P1, FILE)]
    assert "BitsAllocated is missing" in only(case, "DSO040", profile).message


def test_bits_of_floats_are_told_once(case: Case, profile: Profile) -> None:
    unmeasured(case, bits_allocated=32)
    case.dso().update(pixel_bytes_expected=None)
    assert flat(case, profile) == [("DSO040", P1, FILE)]


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("DSO016", {"pixel_bytes_found": 1000}),
        ("DSO002", {"rows": None, "pixel_bytes_expected": None}),
        ("DSO015", {"number_of_frames": None, "pixel_bytes_expected": None}),
    ],
)
def test_a_cause_that_another_rule_tells(case: Case, profile: Profile, code: str, values: dict[str, Any]) -> None:
    unmeasured(case, **values)
    assert [found[0] for found in flat(case, profile)] == [code]


def test_fragments_under_a_native_syntax(case: Case, profile: Profile) -> None:
    path = case.dso()["path"]
    for row in [*case.of("dsos"), *case.of("files")]:
        if row["path"] == path:
            row["encoding_found"] = ENCAPSULATED
    unmeasured(case, pixel_bytes_expected=None)
    assert [found[0] for found in flat(case, profile)] == ["REL017"]
    found = only(case, "REL017", profile)
    assert "the data set is encapsulated as compressed pixels are, by what is not known" in found.message
    assert found.expected == "the TransferSyntaxUID that they were compressed with"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"bits_stored": 8}, "BitsStored 8 is not what a segmentation has beside BitsAllocated 1."),
        ({"bits_stored": 8, "high_bit": 7}, "BitsStored 8, HighBit 7 are not"),
        ({"pixel_representation": 1}, "PixelRepresentation 1 is not"),
        ({"pixel_representation": 65535}, "PixelRepresentation 65535 is not"),
        ({"photometric_interpretation": "MONOCHROME1"}, "PhotometricInterpretation MONOCHROME1 is not"),
        ({"photometric_interpretation": "PALETTE COLOR"}, "PhotometricInterpretation PALETTE COLOR is not"),
    ],
)
def test_what_is_said_of_the_pixels(case: Case, profile: Profile, values: dict[str, Any], words: str) -> None:
    case.dso().update(values)
    assert flat(case, profile) == [("DSO041", P1, FILE)]
    assert words in only(case, "DSO041", profile).message


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_pixels_of_other_types(case: Case, profile: Profile, kind: str) -> None:
    case.dso().update(segmentation_type=kind, bits_allocated=8, bits_stored=8, high_bit=7)
    case.dso()["photometric_interpretation"] = "PALETTE COLOR" if kind == "LABELMAP" else "MONOCHROME2"
    fit_bytes(case.dso())
    found = {code for code, *_ in flat(case, profile)}
    assert "DSO022" in found
    assert not found & {"DSO016", "DSO041"}


def test_a_slice_whose_pixels_were_not_read(case: Case, profile: Profile) -> None:
    case.slice(4).update(pixels="failed", pixels_detail="Bits Allocated is not 8, 16 or 32", bits_allocated=64)
    assert flat(case, profile) == [("CTS035", P1, SERIES)]
    message = "The pixels of 1 slice were not read (1-04.dcm): Bits Allocated is not 8, 16 or 32."
    assert only(case, "CTS035", profile).message == message


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"pixel_bytes_found": 10}, "REL005"),
        ({"missing": '["Rows"]'}, "CTS019"),
        ({"photometric_interpretation": "RGB"}, "CTS022"),
        ({"encoding_found": ENCAPSULATED}, "REL017"),
    ],
)
def test_pixels_of_a_slice_that_another_rule_tells_of(
    case: Case, profile: Profile, values: dict[str, Any], code: str
) -> None:
    for row in case.ct(4):
        row.update({key: value for key, value in values.items() if key in row or key == "encoding_found"})
    if "missing" in values:
        case.slice(4).update(values)
    case.slice(4).update(pixels="failed", pixels_detail="no monochrome image")
    assert [found[0] for found in flat(case, profile)] == [code]


def test_a_missing_decoder_is_no_finding(case: Case, profile: Profile) -> None:
    unmeasured(case)
    case.dso()["masks"] = "no-decoder"
    assert "DSO040" not in {one.rule for one in run(case, profile).findings}
