"""CTS033: attributes that repeat the geometry, right and wrong."""

from collections.abc import Callable

import numpy as np
import pytest
from support.frames import PATIENTS, Case, clean, flat, only

from crlm_qc.collection.profile import Profile

P1 = PATIENTS[0]
SERIES = "101.000000-NA-20001"


@pytest.fixture
def case() -> Case:
    return clean()


Locate = Callable[[float, int], float | None]
RIGHT: dict[str, Locate] = {
    "as the positions": lambda z, _: z,
    "the other sign": lambda z, _: 1234.5 - z,
    "rounded": lambda z, _: round(z / 12) * 12,
    "along a table": lambda z, _: z * 0.97 + 7,
    "in some": lambda z, place: z if place % 3 else None,
    "in two": lambda z, place: z if place in (3, 9) else None,
}
WRONG: dict[str, Locate] = {
    "one for all": lambda *_: 0.0,
    "without its sign about the middle": lambda z, _: abs(z + 350),
    "scrambled": lambda _, place: place * 7 % 24,
    "of two slices swapped": lambda _, place: {4: 5, 5: 4}.get(place, place),
}


@pytest.mark.parametrize(
    ("locate", "told"), [*((one, 0) for one in RIGHT.values()), *((one, 1) for one in WRONG.values())]
)
def test_slice_location(case: Case, profile: Profile, locate: Locate, told: int) -> None:
    for place, row in enumerate(case.of("slices")):
        row["slice_location"] = locate(row["position_z"], place)
    assert flat(case, profile) == [("CTS033", P1, SERIES)] * told


def test_slices_out_of_order_are_counted(case: Case, profile: Profile) -> None:
    for place, row in enumerate(case.of("slices")):
        row["slice_location"] = {4: 100.0, 20: -100.0}.get(place, float(place))
    finding = only(case, "CTS033", profile)
    assert (finding.count, finding.observed) == (2, "2 slices out of order")
    assert set(finding.examples) == {"1-05.dcm", "1-21.dcm"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"spacing_between_slices": 2.5}, "SpacingBetweenSlices is 2.5 mm, and the slices are 5 mm apart"),
        ({"spacing_between_slices": 0.0}, "SpacingBetweenSlices is 0 mm"),
        ({"gantry_tilt": -12.0}, "GantryDetectorTilt is -12 degrees, and the slices are tilted by 0 degrees"),
        ({"reconstruction_diameter": 360.0}, "ReconstructionDiameter is 360 mm, and the image is 399.36 mm wide"),
        ({"reconstruction_diameter": 800.0}, "ReconstructionDiameter is 800 mm"),
        ({"spacing_between_slices": 5.0}, None),
        ({"spacing_between_slices": -5.1}, None),
        ({"gantry_tilt": 0.5}, None),
        ({"reconstruction_diameter": 400.0}, None),
        ({"reconstruction_diameter": 395.0}, None),
        ({"reconstruction_diameter": 420.0}, None),
        ({"reconstruction_diameter": 0.0}, None),
    ],
)
def test_a_whole_series(case: Case, profile: Profile, values: dict[str, float], words: str | None) -> None:
    for row in case.of("slices"):
        row.update(values)
    assert flat(case, profile) == ([] if words is None else [("CTS033", P1, SERIES)])
    if words is not None:
        assert words in only(case, "CTS033", profile).message


def test_a_crop_is_narrower_than_its_reconstruction(case: Case, profile: Profile) -> None:
    for row in case.of("slices"):
        row.update(rows=300, columns=300, reconstruction_diameter=399.36)
    assert "CTS033" not in {code for code, *_ in flat(case, profile)}


@pytest.mark.parametrize("told", [12.0, -12.0, 12.6])
def test_a_tilt_that_the_slices_have(case: Case, profile: Profile, told: float) -> None:
    angle = np.radians(12)
    for row in case.of("slices") + case.of("frames"):
        row.update(col_y=round(float(np.cos(angle)), 6), col_z=round(float(-np.sin(angle)), 6))
    for row in case.of("slices"):
        row["gantry_tilt"] = told
    assert "CTS033" not in {code for code, *_ in flat(case, profile)}
