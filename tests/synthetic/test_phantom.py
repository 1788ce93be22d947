"""The phantom keeps every rule on masks, at every size and seed."""

from dataclasses import replace

import cc3d
import numpy as np
import pytest
from scipy import ndimage

from crlm_qc.collection.profile import Profile
from crlm_qc.synthetic import phantom
from crlm_qc.synthetic.cohort import PatientPlan, draw
from crlm_qc.synthetic.writer import profile_for

PATIENTS = 8


def plans(profile: Profile, seed: int, matrix: int = 64, max_slices: int | None = 24) -> list[PatientPlan]:
    return draw(PATIENTS, seed, profile_for(matrix, profile), matrix=matrix, max_slices=max_slices)


def problems(built: phantom.Phantom) -> list[str]:
    """What of the anatomy breaks a rule on masks."""
    plan = built.plan
    by_label = {segment.label: segment.mask for segment in built.segments}
    liver, remnant = by_label["Liver"], by_label["Liver Remnant"]
    tumours = [segment.mask for segment in built.segments if segment.kind == "mass"]
    said = []

    def expect(holds: bool, what: str) -> None:
        if not holds:
            said.append(f"{plan.patient} of seed {plan.seed}: {what}")

    for label, mask in by_label.items():
        expect(bool(mask.any()), f"{label} is empty")
        for axis in range(3):
            edge = np.moveaxis(mask, axis, 0)[[0, -1]]
            expect(not edge.any(), f"{label} touches border {axis}")
        planes = np.flatnonzero(mask.any(axis=(1, 2)))
        expect(len(planes) == np.ptp(planes) + 1, f"{label} has a gap along z")
        if label not in ("Hepatic", "Portal"):
            expect(len(planes) > 1, f"{label} lies on one plane")
            pieces = cc3d.connected_components(mask, connectivity=6)
            expect(int(pieces.max()) == 1, f"{label} is in {pieces.max()} pieces")
            expect(int(mask.sum()) >= 10, f"{label} is a speck")
    low, high = plan.liver_range_ml
    expect(low <= liver.sum() * plan.voxel_ml <= high, "liver volume")
    expect(abs(liver.sum() * plan.voxel_ml - plan.liver_ml) <= max(plan.voxel_ml, 0.002 * plan.liver_ml), "liver size")
    total = sum(int(tumour.sum()) for tumour in tumours)
    low, high = plan.tumour_range_ml
    expect(low <= total * plan.voxel_ml <= high, "tumour volume")
    expect(abs(total * plan.voxel_ml - sum(plan.tumours_ml)) <= 5 * plan.voxel_ml, "tumour size")
    expect(len(tumours) == len(plan.tumours_ml), "number of tumours")
    expect(int(sum(tumour.astype(int) for tumour in tumours).max()) == 1, "tumours overlap")
    lesions = np.logical_or.reduce(tumours)
    expect(not (lesions & ~liver).any(), "tumour outside of the liver")
    expect(not (remnant & ~liver).any() and not (remnant & lesions).any(), "remnant")
    expect(0.2 * liver.sum() < remnant.sum() < 0.75 * liver.sum(), "remnant's part of the liver")
    expect(not (ndimage.binary_fill_holes(liver) & ~liver).any(), "hole in the liver")
    return said + hounsfield_problems(built, by_label)


def hounsfield_problems(built: phantom.Phantom, by_label: dict[str, np.ndarray]) -> list[str]:
    plan = built.plan
    volume = np.stack(list(built.planes()))
    said = []

    def expect(holds: bool, what: str) -> None:
        if not holds:
            said.append(f"{plan.patient} of seed {plan.seed}: {what}")

    liver = by_label["Liver"]
    inside = volume[liver]
    expect(60 < np.median(inside) < 125, f"liver of {np.median(inside)} HU")
    expect(float((inside < -10).mean()) < 0.001, "air or fat in the liver")
    for label in ("Hepatic", "Portal"):
        expect(123 <= np.median(volume[by_label[label]]) <= 202, f"{label} HU")
    for segment in built.segments:
        if segment.kind == "mass":
            expect(45 <= np.median(volume[segment.mask]) <= 95, f"{segment.label} HU")
    # LPS: +x is the patient's left; the columns of a prone patient run the other way.
    columns = np.nonzero(liver)[2]
    toward_left = (columns.mean() - (plan.matrix - 1) / 2) * (-1 if plan.prone else 1)
    expect(toward_left < -0.05 * plan.matrix, "liver is not on the right")
    half = plan.matrix // 2
    gas = (volume < -900) & (volume > -1100)
    middle = gas[len(gas) // 2]
    centre = slice(half // 2, half + half // 2)
    stomach = middle[centre, half:] if not plan.prone else middle[centre, :half]
    expect(bool(stomach.any()), "no air in the stomach")
    expect(float((np.abs(volume[0] + 850) < 60).mean()) > 0.1, "no lung in the first slice")
    flat = volume[volume > phantom.PADDING_HU]
    expect(bool((flat < -950).any()) and bool((flat > 250).any()), "no air or no bone")
    if plan.scanner.signed:
        expect(bool((volume[:, 0, 0] == phantom.PADDING_HU).all()), "no padding in the corner")
    return said


@pytest.mark.parametrize("seed", range(12))
def test_small_phantoms_keep_every_rule(profile: Profile, seed: int) -> None:
    assert [said for plan in plans(profile, seed) for said in problems(phantom.build(plan))] == []


def test_a_full_size_phantom_keeps_every_rule(profile: Profile) -> None:
    plan = min(plans(profile, 2, 512, None), key=lambda plan: plan.slices)
    assert problems(phantom.build(plan)) == []


@pytest.mark.parametrize("share", [0.02, 0.25, 0.34])
def test_large_tumours_fit(profile: Profile, share: float) -> None:
    plan = max(plans(profile, 3), key=lambda plan: plan.liver_ml)
    total = share * plan.liver_ml
    built = phantom.build(replace(plan, tumours_ml=(0.5 * total, 0.2 * total, 0.1 * total, 0.1 * total, 0.1 * total)))
    assert problems(built) == []


def test_a_prone_patient_is_turned_by_half_a_circle(profile: Profile) -> None:
    plan = plans(profile, 4)[0]
    supine, prone = (phantom.build(replace(plan, position=position)).segments[0].mask for position in ("HFS", "HFP"))
    np.testing.assert_array_equal(prone, supine[:, ::-1, ::-1])


def test_the_largest_tumour_is_measured_in_plane(profile: Profile) -> None:
    built = phantom.build(plans(profile, 5)[0])
    mask = next(segment.mask for segment in built.segments if segment.kind == "mass")
    _, rows, columns = np.nonzero(mask)
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    assert built.largest_tumour_cm == pytest.approx(side * built.plan.pixel_spacing_mm / 10, abs=0.05)
