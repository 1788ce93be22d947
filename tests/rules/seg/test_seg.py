"""SEG: each test changes one thing of a clean release and names everything that the rules then find."""

import json
from itertools import accumulate
from typing import Any

import pytest
from support.frames import PATIENTS, PIXEL, SPACING, Case, clean, fit_bytes, flat, only, run

from crlm_qc.collection.profile import Profile
from crlm_qc.model.outcome import Status
from crlm_qc.model.severity import Severity

P1 = PATIENTS[0]
FILE = "1-1.dcm"
LIVER, TUMOUR, THIRD = 1, 2, 3
VOXEL = PIXEL * PIXEL * SPACING / 1000


@pytest.fixture
def case() -> Case:
    return clean()


def size(case: Case, segment: int, voxels: int) -> None:
    """Give a segment as many voxels, in one piece."""
    case.segment(segment).update(voxels=voxels, largest_component=voxels, volume_ml=voxels * VOXEL)


def overlap(case: Case, one: int, other: int, voxels: int) -> None:
    case.drop("segment_pairs", lambda row: (row["patient"], row["segment_a"], row["segment_b"]) != (P1, one, other))
    case["segment_pairs"].append(
        {"patient": P1, "dso": case.dso()["path"], "segment_a": one, "segment_b": other, "overlap_voxels": voxels}
    )


def add(case: Case, label: str, voxels: int, in_liver: int | None = None, in_tumour: int = 0) -> None:
    """A third segment on the tumour's slices."""
    like = LIVER if label.startswith("Liver") else TUMOUR
    case["segments"].append(
        {**case.segment(like), "segment_number": THIRD, "label": label, "n_frames": 3, "n_planes": 3}
    )
    size(case, THIRD, voxels)
    for frame in case.frames(TUMOUR):
        new = {**frame, "frame": len(case.of("frames")) + 1, "segment_number": THIRD}
        new["dimension_index"] = json.dumps([THIRD, json.loads(frame["dimension_index"])[1]])
        case["frames"].append(new)
        for row in [row for row in case.of("references") if row.get("frame") == frame["frame"]]:
            case["references"].append({**row, "frame": new["frame"]})
    dso = case.dso()
    dso.update(number_of_frames=24, n_frame_items=24, n_segments=3)
    fit_bytes(dso)
    overlap(case, LIVER, THIRD, voxels if in_liver is None else in_liver)
    if in_tumour:
        overlap(case, TUMOUR, THIRD, in_tumour)


@pytest.mark.parametrize(
    ("ml", "code"),
    [(499, "SEG001"), (5001, "SEG001"), (501, "SEG002"), (750, "SEG002"), (760, None), (3300, None), (3400, "SEG002")],
)
def test_liver_volume(case: Case, profile: Profile, ml: float, code: str | None) -> None:
    size(case, LIVER, round(ml / VOXEL))
    assert flat(case, profile) == ([(code, P1, LIVER)] if code else [])


@pytest.mark.parametrize(("ml", "fires"), [(0.2, True), (0.237, False), (1110, False), (1200, True)])
def test_tumour_volume(case: Case, profile: Profile, ml: float, fires: bool) -> None:
    size(case, TUMOUR, round(ml / VOXEL))
    overlap(case, LIVER, TUMOUR, round(ml / VOXEL))
    assert flat(case, profile) == [("SEG003", P1, FILE)] * fires


@pytest.mark.parametrize("part", [1.0, 1.3])
def test_tumours_as_large_as_the_liver(case: Case, profile: Profile, part: float) -> None:
    voxels = round(part * case.segment(LIVER)["voxels"])
    size(case, TUMOUR, voxels)
    overlap(case, LIVER, TUMOUR, round(0.98 * min(voxels, 468000)))
    expected = [("SEG004", P1, LIVER)] + [("SEG005", P1, TUMOUR)] * (part > 1)
    assert flat(case, profile) == expected


@pytest.mark.parametrize(("inside", "severity"), [(1150, None), (1000, Severity.WARNING), (0, Severity.ERROR)])
def test_a_tumour_outside(case: Case, profile: Profile, inside: int, severity: Severity | None) -> None:
    overlap(case, LIVER, TUMOUR, inside)
    assert flat(case, profile) == ([("SEG005", P1, TUMOUR)] if severity else [])
    if severity:
        assert only(case, "SEG005", profile).severity is severity


def test_a_tumour_whose_frames_were_moved_is_not_outside_too(case: Case, profile: Profile) -> None:
    for frame in case.frames(TUMOUR):
        frame["position_z"] += 2.5
    overlap(case, LIVER, TUMOUR, 0)
    assert flat(case, profile) == [("DSO011", P1, FILE)]


def test_tumours_that_overlap(case: Case, profile: Profile) -> None:
    add(case, "Tumor_2", 1000, in_tumour=30)
    assert flat(case, profile) == [("SEG006", P1, THIRD)]
    assert only(case, "SEG006", profile).count == 30


@pytest.mark.parametrize(
    ("voxels", "shared", "said"),
    [
        (1000, 30, "Tumor_1 and Tumor_2 share 30 voxels (3% of the smaller)."),
        (380, 380, "Tumor_2 lies in Tumor_1 (all of its 380 voxels): they count twice."),
        (900, 880, "Tumor_2 is drawn again as Tumor_1 (880 of its 900 voxels): one lesion counts as two."),
    ],
)
def test_what_two_tumours_share(case: Case, profile: Profile, voxels: int, shared: int, said: str) -> None:
    size(case, TUMOUR, 1000)
    add(case, "Tumor_2", voxels, in_tumour=shared)
    assert only(case, "SEG006", profile).message == said


def test_tumours_beside_each_other(case: Case, profile: Profile) -> None:
    add(case, "Tumor_2", 1000)
    assert flat(case, profile) == []


@pytest.mark.parametrize(
    ("voxels", "in_liver", "in_tumour", "fires"),
    [
        (200000, 200000, 0, False),
        (200000, 198500, 0, False),
        (200000, 197000, 0, True),
        (200000, 200000, 5, True),
        (469000, 468000, 0, True),
    ],
)
def test_remnant(case: Case, profile: Profile, voxels: int, in_liver: int, in_tumour: int, fires: bool) -> None:
    add(case, "Liver Remnant", voxels, in_liver, in_tumour)
    assert flat(case, profile) == [("SEG007", P1, THIRD)] * fires


def test_a_remnant_that_is_the_liver(case: Case, profile: Profile) -> None:
    add(case, "Liver Remnant", 468000)
    assert flat(case, profile) == [("SEG014", P1, THIRD)]


@pytest.mark.parametrize(("largest", "fires"), [(467981, False), (460000, True)])
def test_pieces(case: Case, profile: Profile, largest: int, fires: bool) -> None:
    case.segment(LIVER).update(components=2, largest_component=largest)
    assert flat(case, profile) == [("SEG008", P1, LIVER)] * fires


def test_specks(case: Case, profile: Profile) -> None:
    case.segment(TUMOUR).update(components=4, specks=3)
    assert flat(case, profile) == [("SEG009", P1, TUMOUR)]
    assert only(case, "SEG009", profile).count == 3


def test_specks_of_vessels(case: Case, profile: Profile) -> None:
    add(case, "Portal", 900)
    case.segment(THIRD).update(components=12, specks=5, type_code="32764006", type_meaning="Portal vein")
    assert flat(case, profile) == []


@pytest.mark.parametrize("values", [{"row_min": 0}, {"row_max": 511}, {"column_min": 0}, {"column_max": 511}])
def test_borders(case: Case, profile: Profile, values: dict[str, int]) -> None:
    case.segment(LIVER).update(values)
    assert flat(case, profile) == [("SEG010", P1, FILE)]


def on_the_left(case: Case) -> None:
    case.segment(LIVER)["centroid_x"] = -200 + 511 / 2 * PIXEL + 60


def test_a_mirrored_liver(case: Case, profile: Profile) -> None:
    on_the_left(case)
    assert flat(case, profile) == [("SEG011", P1, LIVER)]
    assert "fits the CT as it lies" in only(case, "SEG011", profile).message


def test_a_mirrored_liver_whose_image_is_not(case: Case, profile: Profile) -> None:
    on_the_left(case)
    stated, mirrored = placement(case, "stated"), placement(case, "left-right")
    stated.update(hu_spread=34.0, hu_below_minus10=0.232)
    mirrored.update(hu_spread=12.5, hu_below_minus10=0.004)
    case.segment(LIVER).update(hu_below_minus10=0.232, hu_other=0.2)
    assert flat(case, profile) == [("SEG011", P1, LIVER)]
    message = only(case, "SEG011", profile).message
    assert "as stored, 23.2% is below -10 HU" in message
    assert "mirrored left-right, 0.4% is below -10 HU" in message


def test_a_mirrored_liver_without_pixels(case: Case, profile: Profile) -> None:
    on_the_left(case)
    case["alignments"] = []
    assert flat(case, profile) == [("SEG011", P1, LIVER)]
    assert "fits" not in only(case, "SEG011", profile).message


def test_a_liver_of_a_prone_patient(case: Case, profile: Profile) -> None:
    for row in case.of("slices") + case.of("frames"):
        row.update(row_x=-1.0, col_y=-1.0, position_x=200.0, position_y=180.0)
    case.change(case.of("slices"), patient_position="HFP")
    assert [code for code, *_ in flat(case, profile)] == ["CTS017"]


@pytest.mark.parametrize("values", [{"hu_median": -190.0}, {"hu_median": 400.0}, {"hu_other": 0.06}])
def test_values_in_the_liver(case: Case, profile: Profile, values: dict[str, float]) -> None:
    case.segment(LIVER).update(values)
    assert flat(case, profile) == [("SEG012", P1, LIVER)]


def test_noise_in_the_liver(case: Case, profile: Profile) -> None:
    case.segment(LIVER).update(hu_median=12.0, hu_below_minus10=0.2, hu_noise=39.0, hu_other=0.04)
    assert flat(case, profile) == []


def test_values_of_the_liver_are_told_with_their_noise(case: Case, profile: Profile) -> None:
    case.segment(LIVER).update(hu_median=80.0, hu_noise=20.0, hu_other=0.3)
    words = "median 80 HU, 30% below -10 HU by more than twice the noise of 20 HU"
    assert only(case, "SEG012", profile).message == f"The liver's mask holds other tissue: {words}."


def test_ruined_values_say_nothing_of_the_masks(case: Case, profile: Profile) -> None:
    for row in case.of("slices"):
        row.update(hu_min=-2048.0, hu_max=300.0, hu_soft=0.001, hu_outside=0.5, hu_rim=-2020.0, hu_body=-954.0)
    case.segment(LIVER).update(hu_median=-920.0, hu_other=1.0)
    placement(case, "stated").update(hu_spread=20.0, hu_below_minus10=0.2)
    placement(case, "rows", 12).update(hu_spread=12.0, hu_below_minus10=0.0)
    assert [code for code, *_ in flat(case, profile)] == ["CTS025"]


def placement(case: Case, kind: str, shift: int = 0) -> dict[str, Any]:
    return next(row for row in case.of("alignments") if (row["placement"], row["shift"]) == (kind, shift))


@pytest.mark.parametrize(
    ("kind", "shift", "words"),
    [
        ("slices", 1, "moved by 1 slice (5 mm) towards the head"),
        ("slices", -2, "moved by 2 slices (10 mm) towards the feet"),
        ("rows", 12, "mm) towards the back"),
        ("columns", -12, "moved by 12 columns"),
        ("upside-down", 0, "turned upside down"),
        ("front-back", 0, "mirrored front-back"),
    ],
)
@pytest.mark.parametrize(("below", "severity"), [(0.045, Severity.WARNING), (0.2, Severity.ERROR)])
def test_displaced_masks(
    case: Case, profile: Profile, kind: str, shift: int, words: str, below: float, severity: Severity
) -> None:
    placement(case, "stated").update(hu_spread=20.0, hu_below_minus10=below)
    placement(case, kind, shift).update(hu_spread=12.0, hu_below_minus10=0.0)
    case.segment(LIVER).update(hu_below_minus10=below, hu_other=below)
    assert flat(case, profile) == [("SEG013", P1, LIVER)]
    found = only(case, "SEG013", profile)
    assert found.severity is severity
    assert words in found.message
    assert found.message.startswith(("The liver's mask lies ", "The liver's mask fits the CT better ")), found.message
    if "towards the head" in words:
        assert " too low: " in found.message
    assert f"as stored, {100 * below:g}% is below -10 HU" in found.message


@pytest.mark.parametrize(
    ("here", "there"),
    [
        # By one measure alone.
        ({"hu_spread": 45.0, "hu_below_minus10": 0.02}, {"hu_spread": 36.0, "hu_below_minus10": 0.33}),
        ({"hu_spread": 14.0, "hu_below_minus10": 0.04}, {"hu_spread": 13.0, "hu_below_minus10": 0.0}),
        # A shift of some millimetres.
        ({"hu_spread": 14.3, "hu_below_minus10": 0.019}, {"hu_spread": 12.5, "hu_below_minus10": 0.0}),
        # Off the CT in part.
        ({"hu_spread": 20.0, "hu_below_minus10": 0.04}, {"hu_spread": 12.0, "hu_below_minus10": 0.0, "voxels": 27000}),
        # Alike, but no liver: air, or another organ's mask.
        (
            {"hu_spread": 20.0, "hu_below_minus10": 0.04},
            {"hu_spread": 0.0, "hu_below_minus10": 0.0, "hu_median": 400.0},
        ),
        # Too few voxels.
        ({"hu_spread": 20.0, "hu_below_minus10": 0.04, "voxels": 300}, {"hu_spread": 12.0, "hu_below_minus10": 0.0}),
    ],
)
def test_placements_that_are_not_clearly_better(
    case: Case, profile: Profile, here: dict[str, float], there: dict[str, float]
) -> None:
    for row in case.of("alignments"):
        row.update(hu_spread=46.0, hu_below_minus10=0.4)
    placement(case, "stated").update(here)
    placement(case, "rows", 12).update(there)
    assert flat(case, profile) == []


def border(case: Case, axis: str, **values: float) -> None:
    """Let the liver's border lie elsewhere along an axis, in voxels."""
    row = next(row for row in case.of("borders") if row["axis"] == axis)
    row.update(values)
    row["shift"] = (row["border_high"] - row["border_low"]) / 2
    row["shift_mm"] = row["shift"] * row["spacing_mm"]
    row["shift_least"] = values.get("shift_least", 0.8 * abs(row["shift"]))


@pytest.mark.parametrize(
    ("axis", "low", "high", "words"),
    [
        ("columns", -2.8, 3.2, "moved by 3 columns (2.3 mm) towards the left; on that side CT values show the liver's border 2.5 mm outside of the mask, on the other 2.2 mm inside of it"),
        ("rows", 3.2, -2.8, "moved by 3 rows (2.3 mm) towards the front; on that side CT values show the liver's border 2.5 mm outside of the mask"),
        ("slices", -0.7, 1.1, "moved by 1 slice (5 mm) towards the head"),
    ],
)  # fmt: skip
def test_a_border_farther_in_one_direction(
    case: Case, profile: Profile, axis: str, low: float, high: float, words: str
) -> None:
    border(case, axis, border_low=low, border_high=high)
    assert flat(case, profile) == [("SEG013", P1, LIVER)]
    found = only(case, "SEG013", profile)
    assert found.severity is Severity.WARNING
    assert words in found.message


@pytest.mark.parametrize(
    "values",
    [
        # Too wide, or too tight.
        {"border_low": -3.0, "border_high": -3.0},
        {"border_low": 2.8, "border_high": 3.0},
        # On one side alone.
        {"border_low": 0.2, "border_high": 6.0},
        # By less than outlines vary.
        {"border_low": -1.8, "border_high": 2.0},
        # Not in all parts.
        {"border_low": -3.0, "border_high": 3.0, "shift_least": 0.8},
        {"border_low": -3.0, "border_high": 3.0, "shift_least": float("nan")},
        # Where hardly anything is seen.
        {"border_low": -3.0, "border_high": 3.0, "told_low": 0.2},
        {"border_low": -3.0, "border_high": 3.0, "faces_high": 40},
    ],
)
def test_borders_that_tell_no_displacement(case: Case, profile: Profile, values: dict[str, float]) -> None:
    border(case, "columns", **values)
    assert flat(case, profile) == []


@pytest.mark.parametrize(("tight", "fires"), [(-2.5, True), (0.0, False)])
def test_a_mask_that_is_too_wide_all_around(case: Case, profile: Profile, tight: float, fires: bool) -> None:
    border(case, "rows", border_low=tight, border_high=tight)
    border(case, "columns", border_low=-5.5, border_high=0.5)
    assert flat(case, profile) == [("SEG013", P1, LIVER)] * fires


def test_a_border_tells_by_how_much(case: Case, profile: Profile) -> None:
    placement(case, "stated").update(hu_spread=20.0, hu_below_minus10=0.045)
    placement(case, "columns", 12).update(hu_spread=12.0, hu_below_minus10=0.0)
    border(case, "columns", border_low=-14.0, border_high=14.0)
    assert (
        "values spread by 20 HU; moved by 14 columns (10.9 mm) towards the left"
        in only(case, "SEG013", profile).message
    )


@pytest.mark.parametrize(("here", "there", "fires"), [(0.5, 0.3, True), (0.5, 0.4, False), (float("nan"), 0.3, False)])
def test_what_lies_around_the_mask(case: Case, profile: Profile, here: float, there: float, fires: bool) -> None:
    placement(case, "stated").update(hu_spread=14.0, hu_alike=here)
    placement(case, "upside-down").update(hu_spread=13.0, hu_below_minus10=0.01, hu_alike=there)
    assert flat(case, profile) == [("SEG013", P1, LIVER)] * fires


@pytest.mark.parametrize(("feet", "fires"), [(0.2, True), (0.05, False), (float("nan"), False)])
def test_lung_at_the_feet_end(case: Case, profile: Profile, feet: float, fires: bool) -> None:
    for row in case.of("slices"):
        row["hu_lung"] = feet if row["position_z"] < -380 else 0.03
    assert flat(case, profile) == [("SEG022", P1, LIVER)] * fires


def test_masks_alone_upside_down(case: Case, profile: Profile) -> None:
    for row in case.of("slices"):
        row["hu_lung"] = 0.2 if row["position_z"] < -380 else 0.03
    placement(case, "stated").update(hu_spread=40.0, hu_below_minus10=0.04)
    placement(case, "upside-down").update(hu_spread=12.0, hu_below_minus10=0.0)
    assert flat(case, profile) == [("SEG013", P1, LIVER)]


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([2] * 9, "18 slices in blocks of 2 that are equal"),
        ([1, 2, 3, 2, 3, 3, 2, 2], "18 slices in blocks of 2 or 3 that are equal"),
        ([2] * 7 + [1] * 4, ""),
        ([2, 2, 2, 4, 4, 4], ""),
        ([6, 6, 6], ""),
        ([18], ""),
    ],
)
def test_masks_in_blocks(case: Case, profile: Profile, blocks: list[int], words: str) -> None:
    frames = case.frames(LIVER)
    for first, size in zip(accumulate([0, *blocks]), blocks, strict=False):
        for one in frames[first + 1 : first + size]:
            one.update(twin=frames[first]["frame"], jump=1.0)
    assert flat(case, profile) == [("SEG023", P1, LIVER)] * bool(words)
    if words:
        assert only(case, "SEG023", profile).message == f"Liver: {words}."


def test_identical_segments(case: Case, profile: Profile) -> None:
    add(case, "Tumor_2", 1200, in_tumour=1200)
    assert flat(case, profile) == [("SEG014", P1, THIRD)]


def test_a_flat_tumour(case: Case, profile: Profile) -> None:
    case.segment(TUMOUR)["n_planes"] = 1
    assert flat(case, profile) == [], "frames on top of each other, and not a flat tumour"
    case.change(case.frames(TUMOUR)[1:], voxels=0)
    assert flat(case, profile) == [("DSO030", P1, FILE), ("SEG015", P1, TUMOUR)]


@pytest.mark.parametrize(("voxels", "fires"), [(300, False), (400, True)])
def test_holes(case: Case, profile: Profile, voxels: int, fires: bool) -> None:
    case.segment(LIVER)["hole_voxels"] = voxels
    assert flat(case, profile) == [("SEG016", P1, LIVER)] * fires


@pytest.mark.parametrize(("thickness", "fires"), [(5.4, False), (5.6, True), (4.0, True)])
def test_thickness_of_the_object(case: Case, profile: Profile, thickness: float, fires: bool) -> None:
    case.dso()["slice_thickness"] = thickness
    assert flat(case, profile) == [("SEG017", P1, FILE)] * fires


def test_both_volumes_are_told(case: Case, profile: Profile) -> None:
    case.dso()["slice_thickness"] = 6.0
    case.segment(LIVER).update(volume_ml=1400.0, volume_thickness_ml=1680.0)
    assert only(case, "SEG017", profile).message == (
        "With the object's SliceThickness (6 mm) the liver comes out at 1680 mL; by positions (5 mm) it has 1400 mL."
    )


def test_the_volume_is_that_of_the_thickness_that_is_off(case: Case, profile: Profile) -> None:
    """The object's own is right, and gives the volume by positions: what the CT's would give is told."""
    case.change(case.of("slices"), slice_thickness=7.5)
    case.segment(LIVER).update(volume_ml=1400.0, volume_thickness_ml=1400.0)
    assert only(case, "SEG017", profile).message == (
        "With the CT's SliceThickness (7.5 mm) the liver comes out at 2100 mL; by positions (5 mm) it has 1400 mL."
    )
    case.dso()["slice_thickness"] = 7.5
    said = only(case, "SEG017", profile).message
    assert said.startswith("With the object's and the CT's SliceThickness (7.5 mm) the liver comes out at 2100 mL; ")
    case.dso()["slice_thickness"] = 4.0
    said = only(case, "SEG017", profile).message
    assert said.startswith("With the object's SliceThickness (4 mm) the liver comes out at 1120 mL, with the CT's ")


def unplace(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row.update(plane=None)


@pytest.mark.parametrize("segment", [LIVER, TUMOUR, THIRD])
def test_frames_without_a_place_overlap_nothing_and_are_outside_of_nothing(
    case: Case, profile: Profile, segment: int
) -> None:
    add(case, "Liver Remnant", 1000, in_liver=0)
    overlap(case, LIVER, TUMOUR, 0)
    assert {code for code, *_ in flat(case, profile)} == {"SEG005", "SEG007"}
    unplace(case.frames(segment)[:1])
    case.segment(segment).update(largest_component=900, components=3, specks=2, hole_voxels=5000)
    codes = {code for code, *_ in flat(case, profile)}
    assert codes == ({"SEG007"} if segment == TUMOUR else {"SEG005"} if segment == THIRD else set())


def test_a_tumour_on_few_slices_because_its_frames_were_moved(case: Case, profile: Profile) -> None:
    for frame in case.frames(TUMOUR):
        frame["position_z"] = case.frames(TUMOUR)[0]["position_z"]
    case.segment(TUMOUR).update(n_planes=1, voxels=400, volume_ml=0.1)
    assert {code for code, *_ in flat(case, profile)} == {"DSO011"}


def test_a_liver_of_frames_on_top_of_each_other(case: Case, profile: Profile) -> None:
    case.segment(LIVER).update(n_planes=1)
    size(case, LIVER, 26000)
    assert flat(case, profile) == []
    case.change(case.frames(LIVER), voxels=2000)
    assert flat(case, profile) == [("SEG001", P1, LIVER)], "too small all together"


@pytest.mark.parametrize("values", [{"position_x": None}, {"spacing_row": 0.0, "spacing_col": 0.0}])
def test_no_middle_no_side(case: Case, profile: Profile, values: dict[str, Any]) -> None:
    on_the_left(case)
    case.change(case.of("slices"), **values)
    assert "SEG011" not in {code for code, *_ in flat(case, profile)}


@pytest.mark.parametrize("centroid", [900.0, -900.0, 1e12, float("nan")])
def test_a_liver_beyond_the_image_is_not_mirrored(case: Case, profile: Profile, centroid: float) -> None:
    case.segment(LIVER)["centroid_x"] = centroid
    assert flat(case, profile) == []


def test_segments_of_one_number_are_left_out(case: Case, profile: Profile) -> None:
    add(case, "Liver Remnant", 200000)
    case.segment(THIRD)["segment_number"] = LIVER
    codes = {code for code, *_ in flat(case, profile)}
    assert "DSO017" in codes
    assert not {code for code in codes if code.startswith("SEG")}


def exclusive(case: Case, *, rim: float = 1.0, remnant: float = 0.3) -> None:
    """Cut remnant (800 mL), tumour and vessels (30 mL) out of the liver, 600 mL of which are left."""
    add(case, "Liver Remnant", round(800 / VOXEL))
    portal = {**case.segment(THIRD), "segment_number": 4, "label": "Portal", "type_code": "32764006"}
    case["segments"].append(portal | {"type_meaning": "Portal vein", "n_frames": 0, "n_planes": 0})
    size(case, 4, round(30 / VOXEL))
    size(case, LIVER, round(600 / VOXEL))
    case["segment_pairs"] = [row for row in case["segment_pairs"] if row["patient"] != P1]
    case.segment(TUMOUR)["rim_in_liver"], case.segment(THIRD)["rim_in_liver"] = rim, remnant
    case.segment(4)["rim_in_liver"] = 0.7
    voxels = sum(case.segment(number)["voxels"] for number in (LIVER, TUMOUR, THIRD, 4))
    case.segment(LIVER).update(union_voxels=voxels, union_largest=voxels, union_components=1)
    case.segment(LIVER).update(centroid_x=70.0, components=3, specks=1, largest_component=1000)


def seg(case: Case, profile: Profile) -> list[tuple[str, Any]]:
    return [(code, subject) for code, _, subject in flat(case, profile) if code.startswith("SEG")]


@pytest.mark.parametrize("kind", ["LABELMAP", "BINARY"])
def test_segments_that_exclude_each_other_are_told_once(case: Case, profile: Profile, kind: str) -> None:
    exclusive(case)
    case.dso()["segmentation_type"] = kind
    assert seg(case, profile) == [("SEG018", FILE)]
    message = only(case, "SEG018", profile).message
    assert "so that Tumor_1, Liver Remnant, Portal are cut out of the liver" in message
    assert "600 mL as stored, 1403.65 to 1433.65 mL with what fills its holes" in message


def test_a_tumour_apart_from_a_liver_that_excludes_it(case: Case, profile: Profile) -> None:
    exclusive(case, rim=0.0)
    assert seg(case, profile) == [("SEG005", TUMOUR), ("SEG018", FILE)]
    assert only(case, "SEG005", profile).severity is Severity.ERROR


def test_segments_that_lie_apart_exclude_nothing(case: Case, profile: Profile) -> None:
    exclusive(case, rim=0.2, remnant=0.0)
    case.segment(4)["rim_in_liver"] = 0.1
    assert {("SEG005", TUMOUR), ("SEG007", THIRD)} <= set(seg(case, profile))
    assert "SEG018" not in {code for code, _ in seg(case, profile)}


@pytest.mark.parametrize(("ml", "code"), [(20, "SEG001"), (90, "SEG002"), (320, "SEG002"), (330, None)])
def test_the_volume_of_a_liver_that_others_are_cut_out_of(
    case: Case, profile: Profile, ml: int, code: str | None
) -> None:
    exclusive(case)
    size(case, THIRD, round(395 / VOXEL))
    size(case, LIVER, round(ml / VOXEL))
    assert seg(case, profile) == [(code, LIVER)] * (code is not None) + [("SEG018", FILE)]
    if code:
        message = only(case, code, profile).message
        assert f"The liver has {ml} mL, with what fills its holes {ml + 398.65:.2f} to {ml + 428.65:.2f} mL." in message


def test_a_liver_in_pieces_with_what_is_cut_out_of_it(case: Case, profile: Profile) -> None:
    exclusive(case)
    case.segment(LIVER).update(union_components=4, union_largest=100000)
    assert seg(case, profile) == [("SEG008", LIVER), ("SEG018", FILE)]


def repeat(case: Case, one: int, other: int, voxels: int = 26000, jump: float = 2.5) -> None:
    frames = case.frames(LIVER)
    low, high = sorted((frames[one], frames[other]), key=lambda frame: int(frame["frame"]))
    high["twin"] = low["frame"]
    low.update(voxels=voxels, jump=0.5)
    high.update(voxels=voxels, jump=jump)


@pytest.mark.parametrize(
    ("one", "other", "voxels", "jump", "fires"),
    [
        (3, 9, 26000, 2.5, True),
        (3, 5, 26000, 1.0, True),
        (3, 4, 26000, 1.0, False),  # neighbours
        (3, 9, 99, 2.5, False),  # small
        (3, 9, 26000, 0.5, False),  # a ball
        (3, 9, 26000, float("nan"), False),
    ],
)
def test_masks_of_other_slices(
    case: Case, profile: Profile, one: int, other: int, voxels: int, jump: float, fires: bool
) -> None:
    repeat(case, one, other, voxels, jump)
    assert flat(case, profile) == [("SEG019", P1, LIVER)] * fires
    if fires:
        found = only(case, "SEG019", profile)
        first, second = (int(case.frames(LIVER)[place]["frame"]) for place in (one, other))
        assert (found.count, found.severity) == (1, Severity.WARNING)
        assert f"frames {first} (" in found.message
        assert f"hold the same 26,000 voxels; {second} does not go with the slices beside" in found.message


def test_runs_of_equal_neighbours_are_no_copies(case: Case, profile: Profile) -> None:
    frames = case.frames(LIVER)
    for frame in frames[4:8]:
        frame.update(twin=frames[3]["frame"], jump=1.0)
    assert flat(case, profile) == []


def fractional(case: Case, maximum: int | None, part: float) -> None:
    case.dso().update(segmentation_type="FRACTIONAL", fractional_maximum=maximum)
    for segment in (LIVER, TUMOUR):
        case.segment(segment)["fraction_max"] = 1.0
    case.segment(TUMOUR)["fraction_max"] = part


@pytest.mark.parametrize(
    ("maximum", "part", "subjects"),
    [
        (255, 1.0, []),
        (255, 0.5, []),
        (255, 0.31, [TUMOUR]),
        (255, 0.0, []),
        (None, 1.0, ["MaximumFractionalValue"]),
    ],
)
def test_fractions(case: Case, profile: Profile, maximum: int | None, part: float, subjects: list[Any]) -> None:
    fractional(case, maximum, part)
    assert [subject for code, _, subject in flat(case, profile) if code == "SEG020"] == subjects
    if subjects == [TUMOUR]:
        assert "at most 31% of the maximum of 255" in only(case, "SEG020", profile).message


@pytest.mark.parametrize(("state", "incomplete"), [("no-decoder", True), ("failed", False), ("not-asked", False)])
def test_masks_that_were_not_measured(case: Case, profile: Profile, state: str, incomplete: bool) -> None:
    for row in case["dsos"]:
        row["masks"] = state
    outcomes = [one for one in run(case, profile).outcomes if one.rule.startswith("SEG")]
    assert {one.status for one in outcomes} == {Status.SKIPPED}
    assert {one.incomplete for one in outcomes} == {incomplete}
