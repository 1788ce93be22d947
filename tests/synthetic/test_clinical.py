"""The invented workbook keeps every rule between its columns, in both editions."""

import zipfile
from pathlib import Path

import openpyxl
import pytest

from crlm_qc.collection.profile import Profile
from crlm_qc.synthetic.clinical import PRONE_NOTE, Value, clinical_row, write_workbook
from crlm_qc.synthetic.cohort import draw

MISSING = -999
PARTS = (
    "total_response_percent",
    "necrosis_percent",
    "fibrosis_percent",
    "mucin_percent",
    "fibrosis_greater_40_percent",
)


@pytest.fixture(scope="module")
def rows(profile: Profile) -> list[dict[str, Value]]:
    plans = draw(197, 5, profile, matrix=512)
    return [clinical_row(plan, 0.5 + 0.1 * (plan.index % 90), MISSING) for plan in plans]


def number(row: dict[str, Value], column: str) -> float:
    value = row[column]
    assert isinstance(value, int | float), column
    return value


def test_numbers_are_possible(rows: list[dict[str, Value]]) -> None:
    for row in rows:
        assert 18 <= number(row, "age") <= 89
        assert number(row, "body_mass_index") == MISSING or 10 <= number(row, "body_mass_index") <= 80
        assert number(row, "carcinoembryonic_antigen") == MISSING or number(row, "carcinoembryonic_antigen") >= 0
        for column in PARTS[:4]:
            assert number(row, column) == MISSING or 0 <= number(row, column) <= 1


def test_risk_score_follows_from_its_parts(rows: list[dict[str, Value]]) -> None:
    for row in rows:
        score = number(row, "clinrisk_score")
        if score == MISSING:
            assert number(row, "clinrisk_stratified") == MISSING
            continue
        assert number(row, "clinrisk_stratified") == (score >= 3)
        least = (
            number(row, "node_positive_primary")
            + number(row, "multiple_metastases")
            + (number(row, "carcinoembryonic_antigen") > 200)
            + (number(row, "max_tumor_size") > 5)
            + number(row, "synchronous_crlm")
        )
        assert least <= score <= least + 1 - number(row, "synchronous_crlm")


def test_scores_and_their_cut_offs_agree(rows: list[dict[str, Value]]) -> None:
    for row in rows:
        score = number(row, "NASH_score")
        assert (number(row, "NASH_yesno"), number(row, "NASH_greater_4")) == (score >= 1, score >= 4)
        assert number(row, "steatosis_yesno") == (score >= 1)


def test_response_is_the_sum_of_its_parts_or_missing_altogether(rows: list[dict[str, Value]]) -> None:
    missing = 0
    for row in rows:
        values = [number(row, column) for column in PARTS]
        if MISSING in values:
            assert set(values) == {MISSING}
            missing += 1
            continue
        assert values[0] == pytest.approx(sum(values[1:4]), abs=1e-9)
        assert values[4] == (values[2] >= 0.4)
    assert 0 < missing < 20


def test_survival_is_in_order(rows: list[dict[str, Value]]) -> None:
    for row in rows:
        overall, free, liver_free = (
            number(row, column)
            for column in ("overall_survival_months", "months_to_DFS_progression", "months_to_liver_DFS_progression")
        )
        dead, recurred, in_liver = (
            bool(row[column])
            for column in ("vital_status", "progression_or_recurrence", "progression_or_recurrence_liveronly")
        )
        assert 0 < free <= liver_free <= overall <= 300
        assert recurred or not in_liver
        assert recurred or free == overall
        assert in_liver or liver_free == overall
        assert row["vital_status_DFS"] == (dead or recurred)
        assert row["vital_status_liver_DFS"] == (dead or in_liver)


def test_a_note_tells_of_the_prone_patient_alone(rows: list[dict[str, Value]]) -> None:
    assert [row["Patient-ID"] for row in rows if row["relevant_notes"] == PRONE_NOTE] == ["CRLM-CT-1074"]
    assert {row["relevant_notes"] for row in rows} == {None, PRONE_NOTE}


@pytest.mark.parametrize("edition", [0, 1])
def test_workbook_has_the_sheets_of_its_edition(
    tmp_path: Path, profile: Profile, rows: list[dict[str, Value]], edition: int
) -> None:
    path = tmp_path / "book.xlsx"
    write_workbook(path, rows[:4], profile.editions[edition], profile)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == [profile.patient_sheet, profile.dictionary_sheet]
    sheet = book[profile.patient_sheet]
    table = list(sheet.iter_rows(values_only=True))
    assert table[0] == profile.editions[edition].columns
    assert table[-1] == (None,) * len(table[0])
    assert len(table) == 6
    percent = table[0].index("necrosis_percent")
    assert sheet.cell(2, percent + 1).number_format == "0%"
    variables = [row[0] for row in book[profile.dictionary_sheet].iter_rows(min_row=2, values_only=True)]
    assert variables == ["id", *profile.editions[edition].columns[1:]]


def test_workbook_holds_no_clock_and_no_name(tmp_path: Path, profile: Profile, rows: list[dict[str, Value]]) -> None:
    path = tmp_path / "book.xlsx"
    write_workbook(path, rows, profile.editions[0], profile)
    with zipfile.ZipFile(path) as archive:
        properties = archive.read("docProps/core.xml")
        assert b"creator" not in properties
        assert b"lastModifiedBy" not in properties
        assert properties.count(b"2022-10-01T00:00:00Z") == 2
        assert {item.date_time[:3] for item in archive.infolist()} == {(2022, 10, 1)}
