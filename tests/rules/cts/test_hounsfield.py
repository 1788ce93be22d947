"""Values of a whole series that are no Hounsfield units, and padding that is not declared."""

from typing import Any

import pytest
from support.frames import N_SLICES, PATIENTS, Case, clean, flat, only

from crlm_qc.collection.profile import Profile


@pytest.fixture
def case() -> Case:
    return clean()


def told(case: Case, profile: Profile, **values: Any) -> list[tuple[str, str]]:
    """Codes and messages, after a change of all slices of one patient."""
    for row in case.of("slices"):
        row.update(values)
    return [(code, only(case, code, profile).message) for code, *_ in flat(case, profile)]


def linear(slope: float, intercept: float) -> dict[str, float]:
    """Levels of an ordinary series, changed by a slope and an intercept."""
    levels = {"hu_min": -1024.0, "hu_max": 1300.0, "hu_rim": -996.0, "hu_body": 70.0}
    changed = {name: value * slope + intercept for name, value in levels.items()}
    low, high = sorted((changed["hu_min"], changed["hu_max"]))
    soft = 0.4 if -200 <= changed["hu_body"] <= 200 else 0.0
    spread = {"hu_rim_spread": 6.0 * abs(slope)}
    return {**changed, **spread, "hu_min": low, "hu_max": high, "hu_soft": soft}


@pytest.mark.parametrize(
    ("values", "rescale", "words"),
    [
        (linear(1, -1024), (1, -1024), "Air lies at -2020 HU: 1020 too low, as if RescaleIntercept was applied twice."),
        (
            linear(1, 1024),
            (1, 0),
            "Air lies at 28 HU: 1028 too high, as if a RescaleIntercept of -1024 was not applied.",
        ),
        (linear(2, 0), (2, -2048), "Air lies at -1992 HU: 992 too low, values are twice too large."),
        (linear(2, 1024), (2, -1024), "Air lies at -968 HU: 32 too high, as if RescaleSlope was doubled."),
        (linear(0.5, 0), (0.5, -512), "Air lies at -498 HU: 502 too high, values are half as large as they should be."),
        (linear(0.5, -512), (0.5, -1024), "No slice has soft tissue, as if RescaleSlope was halved."),
        (linear(3, 2048), (3, -1024), "Air lies at -940 HU: 60 too high, reads right with a RescaleSlope of 1."),
        (linear(-1, 0), (1, -1024), "Air lies at 996 HU: 1996 too high, as if the sign was flipped."),
        (linear(-1, 2047), (1, -1024), "Air lies at 3043 HU: 4043 too high, dark and bright are swapped."),
        (linear(1, 40), (1, -1024), "Air lies at -956 HU: 44 too high."),
        (linear(1, -40), (1, -1024), "Air lies at -1036 HU: 36 too low."),
    ],
)
def test_wrong_slopes_and_intercepts(
    case: Case, profile: Profile, values: dict[str, float], rescale: tuple[float, float], words: str
) -> None:
    slope, intercept = map(float, rescale)
    ((code, message),) = told(case, profile, **values, rescale_slope=slope, rescale_intercept=intercept)
    span = f"{values['hu_min']:.0f} to {values['hu_max']:.0f} HU"
    assert (code, message) == ("CTS025", f"{words} Values run from {span} in {N_SLICES} slices.")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"hu_rim": 64512.0, "hu_min": 0.0, "hu_max": 65500.0, "hu_outside": 0.4},
            "Every slice has values of 65500 HU or more, reads right as signed.",
        ),
        (
            {"hu_rim": 3096.0, "hu_min": 0.0, "hu_max": 4095.0, "bits_stored": 12, "high_bit": 11},
            "Air lies at 3096 HU: 4096 too high, reads right as signed.",
        ),
    ],
)
def test_a_lost_sign(case: Case, profile: Profile, values: dict[str, Any], words: str) -> None:
    ((code, message),) = told(case, profile, **values, pixel_representation=0, rescale_intercept=0.0)
    assert (code, message.partition(" Values run")[0]) == ("CTS025", words)


CUT = {"hu_min": -160.0, "hu_max": 240.0, "hu_rim": -160.0, "hu_rim_spread": 0.0, "hu_at_min": 0.6, "hu_at_max": 0.01}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (CUT, "Values are cut off at -160 and 240 HU."),
        # The patient fills the image.
        ({**CUT, "hu_rim": 40.0, "hu_rim_spread": 9.0, "hu_body": 230.0}, "Values are cut off at -160 and 240 HU."),
        ({"hu_max": 400.0, "hu_at_max": 0.004}, "Values are cut off at 400 HU."),
        (
            {"hu_min": 0.0, "hu_max": 255.0, "hu_rim": 0.0, "hu_body": 160.0},
            "All values lie within 256 steps, as if only 8 bits were kept of them.",
        ),
        (
            {"hu_outside": 0.2, "hu_rim": 5632.0, "hu_body": -26493.0},
            "Every slice has values beyond -1100 to 4000 HU in bulk.",
        ),
        ({"hu_body": 1102.0, "hu_soft": 0.02}, "Tissue lies at 1102 HU, as if RescaleSlope was doubled."),
    ],
)
def test_values_that_were_cut_or_are_impossible(
    case: Case, profile: Profile, values: dict[str, float], words: str
) -> None:
    ((code, message),) = told(case, profile, **values)
    assert (code, message.partition(" Values run")[0]) == ("CTS025", words)


@pytest.mark.parametrize(
    "values",
    [
        {"hu_rim": -987.0},
        {"hu_rim": -1010.0},
        # Noise, cut where the scanner's values end.
        {"hu_rim": -976.0, "hu_rim_spread": 30.0, "hu_at_min": 0.07},
        {"hu_rim": -1024.0, "hu_rim_spread": 0.0, "hu_at_min": 0.3},
        {"hu_rim": -1000.0, "hu_rim_spread": 0.0, "hu_min": -1000.0, "hu_at_min": 0.3},
        # The patient fills the image, with and without gas; lung does.
        {"hu_rim": -90.0, "hu_rim_spread": 37.0, "hu_body": -850.0, "hu_soft": 0.7},
        {"hu_rim": 49.0, "hu_rim_spread": 60.0, "hu_body": None, "hu_soft": 0.8},
        {"hu_rim": 30.0, "hu_body": 450.0, "hu_soft": 0.6},
        {"hu_rim": -870.0, "hu_rim_spread": 45.0},
        # Metal, in the range of the scanner.
        {"hu_max": 3071.0, "hu_at_max": 0.002},
        # Saved without levels, or a series of other numbers.
        {"hu_rim": None, "hu_rim_spread": None, "hu_body": None},
        {"rescale_slope": 0.5, "rescale_intercept": -1024.0, "pixel_representation": 0},
    ],
)
def test_series_as_they_are(case: Case, profile: Profile, values: dict[str, Any]) -> None:
    assert told(case, profile, **values) == []


def test_a_slice_without_gas_of_a_patient_who_fills_the_images(case: Case, profile: Profile) -> None:
    case.slice(3)["hu_min"] = -150.0
    assert told(case, profile, hu_rim=-90.0, hu_body=-850.0, hu_soft=0.7) == []


def test_values_that_are_not_those_of_air_and_tissue_ruin_no_series(case: Case, profile: Profile) -> None:
    # As padding that lossy compression has smeared.
    assert [code for code, _ in told(case, profile, hu_min=-3995.0, hu_outside=0.2)] == ["CTS016"]


def test_what_does_not_hold_throughout_is_no_ruin(case: Case, profile: Profile) -> None:
    for row in case.of("slices")[:12]:
        row.update(hu_rim=-2020.0, hu_soft=0.0)
    assert [code for code, *_ in flat(case, profile)] == ["CTS016"]


@pytest.mark.parametrize(("declared", "said"), [(None, "no PixelPaddingValue"), (0, "PixelPaddingValue 0")])
def test_padding_that_is_not_declared(case: Case, profile: Profile, declared: int | None, said: str) -> None:
    messages = told(case, profile, padding_undeclared=-2000, pixel_padding_value=declared)
    words = f"Stored value -2000 (-3024 HU) fills the corners of {N_SLICES} slices, with {said}."
    assert messages == [("CTS026", words)]
    assert only(case, "CTS026", profile).expected == "PixelPaddingValue -2000"


def test_padding_of_a_ruined_series_is_not_told(case: Case, profile: Profile) -> None:
    values = linear(1, -1024)
    assert [code for code, _ in told(case, profile, **values, padding_undeclared=-1024)] == ["CTS025"]
    assert flat(case, profile)[0][1] == PATIENTS[0]
