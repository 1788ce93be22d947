"""The workbook against the images: who is who, and what lies where."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.sources import item_at
from support.workbooks import MISSING, check, fired, plain_row, tables

from crlm_qc.collection.profile import Profile, digest_of_row
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Skip
from crlm_qc.rules import registry
from crlm_qc.subjects.cohort import _age_test, _sex_test, cohort
from crlm_qc.subjects.notes import lies_as_told

RULES = [item for item in registry() if item.family == "XRF" and item.code != "XRF001"]
BY_CODE = {rule.code: rule for rule in RULES}
APRIL = "April 2023"
People = list[tuple[int, int]]


def people(n: int, seed: int = 0) -> People:
    """Ages and sexes (1 male, 2 female) of a cohort like the published one."""
    rng = np.random.default_rng(seed)
    return [
        (int(age), int(sex))
        for age, sex in zip(rng.integers(30, 88, n), rng.choice([1, 2], n, p=[0.6, 0.4]), strict=True)
    ]


def made(
    own: Sequence[tuple[int, int]], images: Sequence[tuple[int, int]], profile: Profile, **more: Any
) -> dict[str, pd.DataFrame]:
    """A workbook with these ages and sexes, and images with those, patient by patient."""
    rows = [plain_row(number) | {"age": age, "sex": sex} for number, (age, sex) in enumerate(own, 1)]
    slices = [
        {
            "patient": f"CRLM-CT-{1000 + number}",
            "path": f"{number}-{k}.dcm",
            "patient_sex": {1: "M", 2: "F"}[sex],
            "patient_age": f"{age:03d}Y",
            "series_uid": f"1.2.{number}",
            "study_uid": f"1.2.{(number * 7919) % 1009}",
            "study_date": f"1992{(number * 37) % 12 + 1:02d}{(number * 11) % 28 + 1:02d}",
            "patient_position": "FFS",
        }
        for number, (age, sex) in enumerate(images, 1)
        for k in range(2)
    ]
    return {**tables(rows, profile, **more), "slices": frame("slices", slices)}


def outcome(code: str, tables_: dict[str, pd.DataFrame], profile: Profile) -> Any:
    return list(check(BY_CODE[code], tables_, profile).findings)


def test_a_matching_workbook_raises_nothing(profile: Profile) -> None:
    everyone = people(40)
    assert fired(RULES, made(everyone, everyone, profile), profile) == []
    two_years = [(age + 2, sex) for age, sex in everyone]
    assert fired(RULES, made(two_years, everyone, profile), profile) == []


def test_one_wrong_sex_and_one_wrong_age(profile: Profile) -> None:
    own = people(40)
    images = list(own)
    own[4] = (own[4][0], 3 - own[4][1])
    own[9] = (own[9][0] + (5 if own[9][0] < 60 else -5), own[9][1])
    assert fired(RULES, made(own, images, profile), profile) == [
        ("XRF002", "CRLM-CT-1005", 6, "sex"),
        ("XRF003", "CRLM-CT-1010", 11, "age"),
    ]
    (found,) = outcome("XRF003", made(own, images, profile), profile)
    assert found.observed == "5 years apart"


@pytest.mark.parametrize("form", ["{:03d} Y", "{}y", "{}"])
def test_an_age_counts_however_it_is_written(form: str, profile: Profile) -> None:
    own = people(40)
    tables_ = made(own, own, profile)
    tables_["slices"]["patient_age"] = [form.format(age) for age, _ in own for _ in range(2)]
    assert fired(RULES, tables_, profile) == []
    tables_["slices"].loc[:1, "patient_age"] = form.format(own[0][0] + 5)
    assert fired(RULES, tables_, profile) == [("XRF003", "CRLM-CT-1001", 2, "age")]


@pytest.mark.parametrize(("own", "image"), [(93, 91), (93, 60), (60, 93)])
def test_ages_over_89_are_not_told_apart(own: int, image: int, profile: Profile) -> None:
    everyone, images = people(40), people(40)
    everyone[6], images[6] = (own, everyone[6][1]), (image, everyone[6][1])
    findings = outcome("XRF003", made(everyone, images, profile), profile)
    told = str(findings)
    if own - image == 2:
        assert findings == []
    else:
        assert "over 89" in told
        assert "more than 2 years apart" in told
    assert "93" not in told
    assert "33" not in told


def test_two_swapped_patients_are_named(profile: Profile) -> None:
    images = people(40)
    images[3], images[11] = (50, 1), (71, 2)
    own = list(images)
    own[3], own[11] = own[11], own[3]
    found = outcome("XRF002", made(own, images, profile), profile)
    assert [one.patient for one in found] == ["CRLM-CT-1004", "CRLM-CT-1012"]
    assert "row of CRLM-CT-1012" in found[0].message
    assert outcome("XRF004", made(own, images, profile), profile) == []


@pytest.mark.parametrize("n", [20, 30, 60, 197])
@pytest.mark.parametrize("seed", range(4))
def test_a_shuffled_workbook_fires_and_an_honest_one_does_not(n: int, seed: int, profile: Profile) -> None:
    images = people(n, seed)
    order = np.random.default_rng(seed + 100).permutation(n)
    shuffled = [images[k] for k in order]
    (found,) = outcome("XRF004", made(shuffled, images, profile), profile)
    assert "by chance" in found.message
    assert found.count == n
    # One row in seven is another's.
    wrong = np.random.default_rng(seed).choice(n, n // 7, replace=False)
    honest = [images[order[k]] if k in wrong else images[k] for k in range(n)]
    assert outcome("XRF004", made(honest, images, profile), profile) == []


def test_false_alarms_and_misses_are_rare(profile: Profile) -> None:
    """Of many shuffled workbooks, about one in fifty passes by chance; of honest ones none fires."""
    missed = 0
    for seed in range(40):
        images = people(25, seed)
        order = np.random.default_rng(seed).permutation(25)
        missed += not outcome("XRF004", made([images[k] for k in order], images, profile), profile)
    assert missed <= 4


def test_contradictions_of_a_shuffled_workbook_are_told_once(profile: Profile) -> None:
    images = people(60)
    own = [images[k] for k in np.random.default_rng(5).permutation(60)]
    found = fired(RULES, made(own, images, profile), profile)
    assert [(code, patient) for code, patient, _, _ in found] == [("XRF002", None), ("XRF003", None), ("XRF004", None)]
    (sex,) = outcome("XRF002", made(own, images, profile), profile)
    differing = sum(a[1] != b[1] for a, b in zip(own, images, strict=True))
    assert sex.count == differing
    assert "XRF004" in sex.message


def test_codes_of_sex_the_other_way_round_are_told_once(profile: Profile) -> None:
    images = people(40)
    own = [(age, 3 - sex) for age, sex in images]
    assert [code for code, *_ in fired(RULES, made(own, images, profile), profile)] == ["XRF002"]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (lambda images: np.roll(np.arange(len(images)), 1), "moved up by 1 row,"),
        (lambda images: np.roll(np.arange(len(images)), -3), "moved down by 3 rows"),
        (lambda images: np.arange(len(images))[::-1], "reverse order"),
        (lambda images: np.argsort([str((k * 7919) % 1009) for k in range(1, len(images) + 1)]), "Study Instance UID"),
        (lambda images: np.random.default_rng(1).permutation(len(images)), "same cohort in another order"),
    ],
)
def test_the_likeliest_order_is_named(order: Any, words: str, profile: Profile) -> None:
    images = people(80)
    own = [images[k] for k in order(images)]
    (found,) = outcome("XRF004", made(own, images, profile), profile)
    assert words in found.message


def test_another_cohort_is_not_called_the_same(profile: Profile) -> None:
    other = [(min(age + 12, 90), sex) for age, sex in people(80, 9)]
    (found,) = outcome("XRF004", made(other, people(80), profile), profile)
    assert found.message.endswith("No shift, reversal or sort order that was tried explains it.")


@pytest.mark.parametrize(
    ("own", "images", "reason"),
    [
        (people(19), people(19, 1), "only 19 patients"),
        ([(60, 1)] * 40, [(60, 1)] * 40, "too alike"),
        ([(MISSING, sex) for _, sex in people(30)], people(30, 1), "sex alone needs 50"),
    ],
)
def test_what_can_t_be_told_is_skipped(own: People, images: People, reason: str, profile: Profile) -> None:
    with pytest.raises(Skip, match=reason):
        outcome("XRF004", made(own, images, profile), profile)


def test_sex_alone_tells_from_50_patients_on(profile: Profile) -> None:
    images = people(120)
    own = [(MISSING, images[k][1]) for k in np.random.default_rng(3).permutation(120)]
    (found,) = outcome("XRF004", made(own, images, profile), profile)
    assert "age" not in found.observed


def test_no_images_no_comparison(profile: Profile) -> None:
    only = tables([plain_row(1)], profile)
    for code in ("XRF002", "XRF003", "XRF004"):
        with pytest.raises(Skip, match="no images"):
            outcome(code, only, profile)


def test_patients_with_two_rows_are_not_compared(profile: Profile) -> None:
    both = made([(60, 1), (50, 2)], [(60, 1), (50, 2)], profile)
    clinical = both["clinical"]
    clinical.loc[clinical["row"] == 3, ["patient", "patient_id"]] = "CRLM-CT-1001"
    found = cohort(Context(Evidence(tables=both), profile))
    assert list(found.table.index) == []


@settings(max_examples=30, deadline=None)
@given(own=st.lists(st.sampled_from([1.0, 2.0]), min_size=2, max_size=40), data=st.data())
def test_the_exact_test_of_sex_is_the_hypergeometric_one(own: list[float], data: st.DataObject) -> None:
    n = len(own)
    images = data.draw(st.lists(st.sampled_from([1.0, 2.0]), min_size=n, max_size=n))
    test = _sex_test(np.array(own), np.array(images))
    both = sum(a == b == 1 for a, b in zip(own, images, strict=True))
    assert test.p == pytest.approx(stats.hypergeom.sf(both - 1, n, images.count(1.0), own.count(1.0)))
    assert test.expected == pytest.approx(
        n * (own.count(1.0) * images.count(1.0) + own.count(2.0) * images.count(2.0)) / n**2
    )


def test_the_permutation_test_of_age_is_reproducible() -> None:
    own = np.array([age for age, _ in people(50)], dtype=float)
    other = np.array([age for age, _ in people(50, 1)], dtype=float)
    assert _age_test(own, other, 2.0) == _age_test(own, other, 2.0)
    assert _age_test(own, own, 2.0).p == pytest.approx(1 / 10_000)
    assert _age_test(own, own[::-1].copy(), 2.0).p > 0.01


# Metastases and sizes


def with_segments(rows: list[dict[str, Any]], tumours: list[list[float]], profile: Profile) -> dict[str, pd.DataFrame]:
    """A workbook of April 2023, and a segmentation per patient with tumours of these axial diameters in mm."""
    dsos = [{"patient": row["Patient-ID"], "path": f"{k}.dcm", "masks": "measured"} for k, row in enumerate(rows)]
    segments = [
        {
            "patient": row["Patient-ID"],
            "dso": f"{k}.dcm",
            "declared": True,
            "label": label,
            "n_frames": 1,
            "voxels": 5,
            "diameter_axial_mm": diameter,
            "diameter_3d_mm": diameter * 1.2,
        }
        for k, (row, sizes) in enumerate(zip(rows, tumours, strict=True))
        for label, diameter in [("Liver", 200.0), *((f"Tumor_{i}", size) for i, size in enumerate(sizes, 1))]
    ]
    return {**tables(rows, profile, APRIL), "dsos": frame("dsos", dsos), "segments": frame("segments", segments)}


@pytest.mark.parametrize(
    ("told", "tumours", "severity"),
    [
        (0, [30.0], None),
        (1, [30.0, 20.0], None),
        (MISSING, [30.0, 20.0], None),
        (0, [30.0, 20.0], Severity.WARNING),
        (1, [30.0], Severity.INFO),
    ],
)
def test_multiple_metastases(told: int, tumours: list[float], severity: Severity | None, profile: Profile) -> None:
    rows = [plain_row(1) | {"multiple_metastases": told, "max_tumor_size": 3.0}]
    both = with_segments(rows, [tumours], profile)
    found = outcome("XRF005", both, profile)
    assert [one.severity or BY_CODE["XRF005"].severity for one in found] == ([severity] if severity else [])
    assert [one.patient for one in found] == ["CRLM-CT-1001"] * len(found)


@pytest.mark.parametrize(
    ("cm", "fires"),
    [(3.0, False), (1.6, False), (5.3, False), (1.4, True), (5.5, True), (30.0, True), (MISSING, False)],
)
def test_tumour_size(cm: float, fires: bool, profile: Profile) -> None:
    both = with_segments([plain_row(1) | {"max_tumor_size": cm}], [[30.0, 10.0]], profile)
    assert bool(outcome("XRF006", both, profile)) is fires


def test_sizes_are_not_compared_unless_measured(profile: Profile) -> None:
    both = with_segments([plain_row(1)], [[30.0]], profile)
    both["segments"][["diameter_axial_mm", "diameter_3d_mm"]] = float("nan")
    with pytest.raises(Skip, match="depth masks"):
        outcome("XRF006", both, profile)
    with pytest.raises(Skip, match="no column"):
        outcome("XRF006", tables([plain_row(1)], profile), profile)


def test_metastases_are_not_judged_where_the_rows_are_others(profile: Profile) -> None:
    images = people(40)
    own = [images[k] for k in np.random.default_rng(5).permutation(40)]
    rows = [plain_row(n) | {"age": age, "sex": sex, "multiple_metastases": 0} for n, (age, sex) in enumerate(own, 1)]
    both = made(own, images, profile) | with_segments(rows, [[30.0, 20.0]] * 40, profile)
    with pytest.raises(Skip, match="XRF004"):
        outcome("XRF005", both, profile)


# Notes


@pytest.mark.parametrize(
    ("note", "lies"),
    [
        ("This patient was scanned on their stomach.", "prone"),
        ("Prone scan", "prone"),
        ("patient lying FACE DOWN", "prone"),
        ("scanned on his back", "supine"),
        ("supine", "supine"),
        ("Not prone.", None),
        ("was not scanned in prone position", None),
        ("The patient wasn't lying prone", None),
        ("not supine, but prone", "prone"),
        ("supine instead of prone", "supine"),
        ("prior scan was prone", None),
        ("prone to motion artefacts", None),
        ("metastasis close to the stomach", None),
        ("tumour on the back of the liver", None),
        ("prone and supine", None),
        ("", None),
    ],
)
def test_what_notes_say(note: str, lies: str | None) -> None:
    assert lies_as_told(note) == lies


@pytest.mark.parametrize(
    ("note", "position", "fires"),
    [
        ("scanned on their stomach", "HFS", True),
        ("scanned on their stomach", "FFP", False),
        ("scanned supine", "HFP", True),
        ("motion", "HFP", False),
        ("scanned prone", "HFDR", False),
    ],
)
def test_notes_against_the_position(note: str, position: str, fires: bool, profile: Profile) -> None:
    both = made([(60, 1)], [(60, 1)], profile)
    both["slices"]["patient_position"] = position
    clinical = both["clinical"]
    clinical.loc[clinical["column"] == "relevant_notes", ["text", "type"]] = [f"Smith: {note}", "text"]
    try:
        found = outcome("XRF007", both, profile)
    except Skip:
        found = []
    assert [(one.patient, one.subject.row) for one in found] == ([("CRLM-CT-1001", 2)] if fires else [])
    assert not any("Smith" in str(one) or "stomach" in str(one) for one in found)


def test_the_orientation_stands_in_for_the_position(profile: Profile) -> None:
    both = made([(60, 1)], [(60, 1)], profile)
    both["slices"]["patient_position"] = None
    both["slices"]["col_y"] = 1.0
    clinical = both["clinical"]
    clinical.loc[clinical["column"] == "relevant_notes", ["text", "type"]] = ["prone", "text"]
    assert len(outcome("XRF007", both, profile)) == 1
    # A position that contradicts the orientation is another rule's matter.
    both["slices"]["patient_position"] = "FFP"
    assert outcome("XRF007", both, profile) == []


# Numbers


def on_disk(numbers: Sequence[int]) -> pd.DataFrame:
    ids = [f"CRLM-CT-{number}" for number in numbers]
    return frame("patients", [{"patient": one, "folder": one, "valid": True} for one in ids])


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        (range(1001, 1010), ()),
        ([*range(1020, 1024), *range(1025, 1030)], ()),
        ([1001, 1002, 1005], ("CRLM-CT-1003", "CRLM-CT-1004")),
    ],
)
def test_gaps_in_the_numbers(numbers: Sequence[int], missing: tuple[str, ...], profile: Profile) -> None:
    found = outcome("XRF008", {"patients": on_disk(numbers)}, profile)
    assert [one.examples for one in found] == ([missing] if missing else [])


def test_a_patient_that_another_source_has_is_no_gap(profile: Profile) -> None:
    both = {**tables([plain_row(2), plain_row(900)], profile), "patients": on_disk([1001, 1003])}
    assert outcome("XRF008", both, profile) == []


# The published release


@pytest.fixture
def published(reference: Path, profile: Profile) -> dict[str, pd.DataFrame]:
    from crlm_qc.evidence.workbook.sheets import read_workbook

    path = reference / "Colorectal Liver Metastases Clinical data October 2022.xlsx"
    both = {name: frame(name, rows) for name, rows in read_workbook(item_at(path), profile).items()}
    headers = pd.read_csv(reference / "series-headers.csv", dtype=str)
    headers = headers[headers["Modality"] == "CT"]
    columns = {
        "PatientID": "patient",
        "PatientSex": "patient_sex",
        "PatientAge": "patient_age",
        "StudyDate": "study_date",
        "StudyInstanceUID": "study_uid",
        "SeriesInstanceUID": "series_uid",
    }
    slices = headers[list(columns)].rename(columns=columns).assign(path="1-1.dcm")
    both["slices"] = frame("slices", slices.astype(object).where(slices.notna(), None).to_dict("records"))
    both["patients"] = on_disk([int(patient[-4:]) for patient in headers["PatientID"]])
    return both


@pytest.mark.reference
def test_the_published_workbook_does_not_describe_these_images(
    published: dict[str, pd.DataFrame], profile: Profile
) -> None:
    (sex,), (age,), (rows,) = (outcome(code, published, profile) for code in ("XRF002", "XRF003", "XRF004"))
    assert (sex.count, age.count, rows.count) == (94, 174, 197)
    assert rows.observed.startswith(
        "sex agrees in 103 of 197 patients (102 by chance, p = 0.5); age is within 2 years in 21 of 195 patients"
    )
    assert "same cohort in another order" in rows.message
    assert fired([BY_CODE["XRF008"]], published, profile) == []


@pytest.mark.reference
def test_the_same_table_with_the_images_ages_and_sexes_passes(
    published: dict[str, pd.DataFrame], profile: Profile
) -> None:
    slices = published["slices"].set_index("patient")
    clinical = published["clinical"]
    rng = np.random.default_rng(2)
    for column, values in (
        ("sex", slices["patient_sex"].map({"M": 1.0, "F": 2.0})),
        ("age", slices["patient_age"].str[:3].astype(float)),
    ):
        mine = clinical.index[clinical["column"] == column]
        # One in eight stays as it is in the published workbook.
        mended = mine[rng.random(len(mine)) > 1 / 8]
        clinical.loc[mended, "value"] = clinical.loc[mended, "patient"].map(values).to_numpy()
    assert outcome("XRF004", published, profile) == []


def _known(own: People, profile: Profile) -> Profile:
    """The profile, in which the rows of the workbook are known not to belong to the images."""
    rows = frozenset(digest_of_row(f"CRLM-CT-{1000 + number}", *one) for number, one in enumerate(own, 1))
    return replace(profile, editions=(replace(profile.editions[0], detached_rows=rows), *profile.editions[1:]))


@pytest.mark.parametrize("n", [1, 3, 25])
def test_a_known_edition_is_told_once_however_few_patients_there_are(n: int, profile: Profile) -> None:
    own = people(200)
    images = own[90 : 90 + n]
    known, made_of = _known(own, profile), made(own, images, profile)
    found = [one for code in ("XRF002", "XRF003", "XRF004") for one in told(code, made_of, known)]
    few = n < 20
    assert [one.patient for one in found] == [None] * len(found)
    assert len(found) == 1 if few else len(found) == 3
    if few:
        assert found[0].message.startswith("The rows are those of the edition of October 2022, whose ages and sexes as")
    # A part of the sheet, a few cells of which were mended, is known too; a sheet that was joined again is none.
    cut = [*own[:19], (own[19][0] + 7, own[19][1])]
    assert len(told("XRF004", made(cut, images, profile), known)) == 1
    assert told("XRF004", made(images, images, profile), known) == []
    assert told("XRF004", made(own, own[:n], profile), known) == []


def told(code: str, tables_: dict[str, pd.DataFrame], profile: Profile) -> Any:
    try:
        return outcome(code, tables_, profile)
    except Skip:
        return []
