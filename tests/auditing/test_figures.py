"""Figures of patients, and published figures beside observed ones."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from crlm_qc.auditing.figures import beside_workbook, figures, patient_facts
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.resources import expectations_folder
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.plain import to_plain
from crlm_qc.model.report import Figure, PatientFacts
from crlm_qc.model.settings import Settings
from crlm_qc.model.tables import frame
from crlm_qc.rulebook.context import Context

ONE, TWO = "CRLM-CT-1001", "CRLM-CT-1002"


def segment(
    number: int, label: str | None, volume: float | None, hu: float | None = None, **more: Any
) -> dict[str, Any]:
    row = {
        "patient": ONE,
        "dso": "a",
        "segment_number": number,
        "declared": True,
        "label": label,
        "n_frames": 1,
        "voxels": None if volume is None else 100,
        "volume_ml": volume,
        "hu_median": hu,
    }
    return row | more


def context(profile: Profile, **rows: list[Mapping[str, Any]]) -> Context:
    return Context(Evidence(tables={name: frame(name, given) for name, given in rows.items()}), profile, Settings())


@pytest.fixture
def full(profile: Profile) -> Context:
    ct = {"patient": ONE, "series_uid": "1.2", "n_slices": 41, "spacing": 5.0, "slice_thickness": 1.25}
    image = {"patient": ONE, "path": "a/1.dcm", "series_uid": "1.2", "spacing_row": 0.7, "spacing_col": 0.8}
    dso = {"patient": ONE, "path": "a", "n_segments": 5, "masks": "measured"}
    return context(
        profile,
        patients=[{"patient": name, "folder": name, "valid": True} for name in (TWO, ONE)],
        series=[
            {"patient": ONE, "role": "ct", "n_instances": 41, "n_folders": 1, "size": 1},
            {"patient": ONE, "role": "dso", "n_instances": 1, "n_folders": 1, "size": 1},
        ],
        ct_series=[ct],
        slices=[{**image, "patient_sex": "M", "manufacturer": "Jane Doe"}],
        dsos=[dso],
        segments=[
            segment(1, "Liver", 1500.0, 105.0),
            segment(2, "Liver Remnant", 900.5),
            segment(3, "Hepatic Vein", 12.5, 150.0),
            segment(4, "portal", 20.0, 160.0),
            segment(5, "Tumor_1", 2.0),
            segment(6, "tumour 2", 3.5),
            segment(7, None, 9.0),
            segment(8, "Tumor_9", None, declared=False, voxels=None),
        ],
    )


def test_figures_of_a_patient(full: Context) -> None:
    one, two = patient_facts(full)
    assert one == PatientFacts(
        ONE,
        ct_slices=41,
        spacing_mm=5.0,
        segments=5,
        liver_ml=1500.0,
        tumour_ml=5.5,
        tumours=2,
        in_plane_mm=0.7,
        thickness_mm=1.25,
        liver_hu=105.0,
        portal_hu=160.0,
        sex="M",
        overlap_mm3=0.0,
        remnant_ml=900.5,
        hepatic_ml=12.5,
        portal_ml=20.0,
    )
    assert two == PatientFacts(TWO)


@pytest.mark.parametrize("others", [[], [None], [7.3, None]])
def test_the_figures_of_a_patient_are_no_matter_of_others(profile: Profile, others: list[float | None]) -> None:
    """In a batch with others, too."""
    whose = [ONE, TWO]
    theirs = [segment(9, "Tumor_1", one, patient=TWO, dso="b") for one in others]
    given = context(
        profile,
        patients=[{"patient": name, "folder": name, "valid": True} for name in whose],
        dsos=[{"patient": name, "path": dso} for name, dso in zip(whose, "ab", strict=True)],
        segments=[
            *(segment(5 + at, "Tumor_1", one) for at, one in enumerate([4.0979296875, *3 * [2.04896484375]])),
            *theirs,
        ],
    )
    assert patient_facts(given)[0].tumour_ml == 10.244824218749999


def test_volumes_that_no_number_holds_end_nothing(profile: Profile) -> None:
    segments = [segment(at, "Tumor_1", 1.7e308) for at in (5, 6)]
    given = context(
        profile,
        patients=[{"patient": ONE, "folder": ONE, "valid": True}],
        dsos=[{"patient": ONE, "path": "a", "masks": "measured"}],
        segments=segments,
    )
    assert patient_facts(given)[0].tumour_ml is None
    assert figures(given)


def test_of_several_series_or_objects_none_is_picked_nor_are_they_added_up(profile: Profile) -> None:
    """Which of them counts can't be told (REL009), so nothing is said of volumes or slices."""
    made = context(
        profile,
        patients=[{"patient": name, "folder": name, "valid": True} for name in (ONE, TWO)],
        ct_series=[
            {"patient": patient, "series_uid": uid, "n_slices": slices, "spacing": 5.0, "slice_thickness": 5.0}
            for patient, uid, slices in ((ONE, "1.1", 41), (ONE, "1.2", 60), (TWO, "2.1", 50))
        ],
        dsos=[
            {"patient": patient, "path": path, "masks": "measured", "n_segments": 1}
            for patient, path in ((ONE, "d"), (ONE, "e"), (TWO, "f"))
        ],
        segments=[
            {
                "patient": patient,
                "dso": dso,
                "segment_number": 1,
                "declared": True,
                "label": "Liver",
                "n_frames": 9,
                "voxels": 9,
                "volume_ml": ml,
                "hu_median": 100.0,
            }
            for patient, dso, ml in ((ONE, "d", 1500.0), (ONE, "e", 1400.0), (TWO, "f", 1300.0))
        ],
    )
    one, two = patient_facts(made)
    assert (one.ct_slices, one.spacing_mm, one.thickness_mm) == (None, None, None)
    assert (one.segments, one.tumours, one.liver_ml, one.liver_hu) == (None, None, None, None)
    assert (two.ct_slices, two.liver_ml, two.segments, two.tumours) == (50, 1300.0, 1, 0)


def test_slices_that_the_object_refers_to(profile: Profile) -> None:
    slices = [{"patient": ONE, "path": f"a/{n}.dcm", "sop_instance_uid": f"1.2.{n}"} for n in range(8)]
    references = [
        {"patient": ONE, "dso": "d", "level": "instance", "sop_instance_uid": "1.2.1"},
        {"patient": ONE, "dso": "d", "level": "frame", "frame": 1, "sop_instance_uid": "1.2.1"},
        {"patient": ONE, "dso": "d", "level": "frame", "frame": 2, "sop_instance_uid": "1.2.2"},
        {"patient": ONE, "dso": "d", "level": "frame", "frame": 3, "sop_instance_uid": "9.9"},
        {"patient": ONE, "dso": "d", "level": "series", "series_uid": "1.2"},
        {"patient": TWO, "dso": "e", "level": "frame", "frame": 1, "sop_instance_uid": "1.2.3"},
    ]
    folders = [{"patient": name, "folder": name, "valid": True} for name in (ONE, TWO)]
    made = context(
        profile,
        patients=folders,
        slices=slices,
        references=references,
        dsos=[{"patient": ONE, "path": "d", "masks": "measured"}],
    )
    assert [one.referenced_percent for one in patient_facts(made)] == [25.0, None]


def test_tumours_that_share_voxels(profile: Profile) -> None:
    pairs = [
        {"patient": ONE, "dso": "a", "segment_a": a, "segment_b": b, "overlap_voxels": 5, "overlap_ml": 0.25}
        for a, b in ((1, 5), (5, 6), (5, 7), (6, 7))
    ]
    made = context(
        profile,
        patients=[{"patient": ONE, "folder": ONE, "valid": True}],
        dsos=[{"patient": ONE, "path": "a", "masks": "measured"}],
        segments=[
            segment(1, "Liver", 1500.0),
            segment(5, "Tumor_1", 2.0, diameter_axial_mm=12.5),
            segment(6, "Tumor_2", 2.0, diameter_axial_mm=31.0),
            segment(7, "Hepatic", 2.0, diameter_axial_mm=90.0),
        ],
        segment_pairs=pairs,
    )
    (one,) = patient_facts(made)
    assert (one.overlap_mm3, one.diameter_mm) == (250.0, 31.0)


def test_what_the_workbook_says_of_a_patient(profile: Profile) -> None:
    cells = [
        (2, ONE, "sex", 2.0),
        (2, ONE, "max_tumor_size", 4.25),
        (3, TWO, "sex", 1.0),
        (3, TWO, "max_tumor_size", -999.0),
        (4, "CRLM-CT-1003", "sex", 1.0),
        (5, "CRLM-CT-1003", "sex", 1.0),
    ]
    rows = [
        {
            "row": row,
            "patient_id": name,
            "patient": name,
            "column": column,
            "value": value,
            "text": str(value),
            "type": "number",
        }
        for row, name, column, value in cells
    ]
    heads = json.dumps(["Patient-ID", "sex", "max_tumor_size"])
    made = context(
        profile,
        patients=[{"patient": name, "folder": name, "valid": True} for name in (ONE, TWO, "CRLM-CT-1003")],
        sources=[{"source": "clinical", "path": "w.xlsx", "used": True, "columns": heads}],
        clinical=rows,
    )
    told = [(one.sex_workbook, one.stated_mm) for one in beside_workbook(made, patient_facts(made))]
    assert told == [("F", 42.5), ("M", None), (None, None)]


def test_published_beside_observed(full: Context) -> None:
    found = {(one.measure, one.part): one for one in figures(full)}
    assert found["patients", "total"] == Figure("patients", "total", 197, 1)
    assert found["series", "total"].observed == 2
    assert found["ct_slices", "total"].observed == 41
    assert found["ct_slices", "median"] == Figure("ct_slices", "median", 55, 41)
    assert found["columns_mm", "max"].observed == 0.8
    assert found["liver_ml", "min"].difference == pytest.approx(730)
    assert found["sex", "M"].observed == 1
    assert found["sex", "other"] == Figure("sex", "other", 0, 0)
    assert found["manufacturer", "GE MEDICAL SYSTEMS"].observed == 0
    assert found["manufacturer", "other"].observed == 1


def test_no_text_from_a_file_comes_through(full: Context) -> None:
    told = json.dumps(to_plain([*figures(full), *beside_workbook(full, patient_facts(full))]), allow_nan=False)
    assert "Jane" not in told


def test_nothing_there_is_not_observed(profile: Profile) -> None:
    assert patient_facts(context(profile)) == []
    found = {(one.measure, one.part): one.observed for one in figures(context(profile))}
    assert found["liver_ml", "median"] is None
    assert found["sex", "M"] is None
    assert found["patients", "total"] == 0


@pytest.mark.parametrize(
    ("observed", "agrees"), [(7.5375, True), (7.4625, True), (7.538, False), (7.462, False), (None, None)]
)
def test_a_difference_within_the_tolerance_is_none(observed: float | None, agrees: bool | None) -> None:
    assert Figure("spacing_mm", "max", 7.5, observed, 7.5 * 0.005).agrees is agrees


SUITES = {
    "spacing_row": "in_plane_mm",
    "spacing_col": "columns_mm",
    "spacing": "spacing_mm",
    "n_slices": "ct_slices",
    "liver_ml": "liver_ml",
    "tumour_ml": "tumour_ml",
}
PARTS = {f"expect_column_{part}_to_be_between": part for part in ("min", "median", "max")}


def test_bounds_are_those_of_the_suites(profile: Profile) -> None:
    """What the report calls a difference is what the rules on published figures find."""
    found = {(one.measure, one.part): one for one in figures(context(profile))}
    compared = 0
    for name in ("ct_series.json", "segments.json"):
        for one in json.loads((expectations_folder() / name).read_text(encoding="utf-8"))["expectations"]:
            if one["type"] in PARTS:
                figure = found[SUITES[one["kwargs"]["column"]], PARTS[one["type"]]]
                bounds = (figure.published - figure.tolerance, figure.published + figure.tolerance)
                assert bounds == pytest.approx((one["kwargs"]["min_value"], one["kwargs"]["max_value"]))
                compared += 1
    assert compared == 18
