"""Whose rows they are, what headings mean, and texts of all kinds in cells."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.workbooks import check, dictionary, edition, fired, plain_row, tables

from crlm_qc.collection.headings import nearest, paired
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.workbook.file import _number
from crlm_qc.rules import registry
from crlm_qc.rules.cln._shared import difference
from crlm_qc.subjects.workbook import notation

RULES = [item for item in registry() if item.family == "CLN"]
BY_CODE = {rule.code: rule for rule in RULES}
OCTOBER = "October 2022"
HEADINGS = dict.fromkeys(plain_row())
UNITS = {"Patient-ID": "ID", "age": "years", "sex": "1=M, 2=F", "overall_survival_months": "months"}


def cohort(n: int) -> list[dict[str, Any]]:
    return [plain_row(number) for number in range(1, n + 1)]


@pytest.mark.parametrize(
    ("written", "how"),
    [
        ("CRLM-CT-1001\u00a0", "it holds no-break space (U+00A0)"),
        ("CRLM\u2013CT\u20131001", "it holds en dash (U+2013)"),
        ("\u0421RLM-CT-1001", "it holds cyrillic capital letter es (U+0421)"),
        (" CRLM-CT-1001", "white space differs"),
        ("crlm-ct-1001", "case differs"),
        ("CRLM_CT_1001", "separators differ"),
        ("CRLM-CT-1001.0", "a decimal follows its number"),
        ("1001", "its prefix is lost"),
        ("CT-1001", "a part of its prefix, or zeros, are lost"),
    ],
)
def test_a_malformed_id_says_how_and_keeps_its_patient(written: str, how: str, profile: Profile) -> None:
    rows = [plain_row(1) | {"Patient-ID": written}, plain_row(2)]
    made = tables(rows, profile)
    assert fired(RULES, made, profile) == [("CLN004", "CRLM-CT-1001", 2, "Patient-ID")]
    (found,) = check(BY_CODE["CLN004"], made, profile).findings
    assert f"is not of the form CRLM-CT-nnnn: {how}. The row is taken for that of CRLM-CT-1001." in found.message


def test_an_id_that_another_row_has_is_not_mended(profile: Profile) -> None:
    made = tables(
        [plain_row(1), plain_row(1) | {"Patient-ID": "1001", "De-identify Scout Name": "9_recurrence_preop"}], profile
    )
    (found,) = check(BY_CODE["CLN004"], made, profile).findings
    assert (found.patient, found.subject.row) == (None, 3)


def test_ids_that_are_malformed_alike_are_one_finding(profile: Profile) -> None:
    rows = [row | {"Patient-ID": row["Patient-ID"].lower()} for row in cohort(20)]
    (found,) = check(BY_CODE["CLN004"], tables(rows, profile), profile).findings
    assert found.count == 20


@pytest.mark.parametrize(
    ("stray", "what"),
    [
        (HEADINGS | UNITS, "units, labels or a note"),
        ({name: name for name in HEADINGS}, "the headings again"),
        (dict.fromkeys(HEADINGS, 1234.5) | {"Patient-ID": "Total"}, "figures over other rows"),
        (dict.fromkeys(HEADINGS, 1.44) | {"Patient-ID": None}, "figures over other rows"),
        (dict.fromkeys(HEADINGS, 0) | {"Patient-ID": "min (n=197)"}, "figures over other rows"),
        (HEADINGS | {"Patient-ID": "* -999 is missing"}, "units, labels or a note"),
    ],
)
@pytest.mark.parametrize("at", [0, 5, 9])
def test_a_row_that_is_no_patient_is_one_finding(stray: dict[str, Any], what: str, at: int, profile: Profile) -> None:
    rows = cohort(9)
    rows.insert(at, stray)
    made = tables(rows, profile)
    assert fired(RULES, made, profile) == [("CLN004", None, at + 2, "Patient-ID")]
    (found,) = check(BY_CODE["CLN004"], made, profile).findings
    assert what in found.message


def test_a_patient_without_an_id_is_judged(profile: Profile) -> None:
    made = tables([*cohort(3), plain_row(4) | {"Patient-ID": None, "age": 200}], profile)
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN004", "CLN006"]


@pytest.mark.parametrize(
    ("heading", "meant", "how"),
    [
        ("Patient ID", "Patient-ID", "separators differ"),
        ("PATIENT-ID", "Patient-ID", "case differs"),
        ("\ufeffPatient-ID", "Patient-ID", "it holds byte order mark (U+FEFF)"),
        ("Paitent-ID", "Patient-ID", "letters differ"),
        ("Overall Survival Months", "overall_survival_months", "separators differ"),
        ("N\u0410SH_score", "NASH_score", "it holds cyrillic capital letter a (U+0410)"),
    ],
)
def test_a_heading_is_forgiven_and_told(heading: str, meant: str, how: str, profile: Profile) -> None:
    published = edition(profile, OCTOBER).columns
    columns = [heading if name == meant else name for name in published]
    rows = [row | {heading: row[meant]} for row in cohort(2)]
    made = tables(rows, profile, columns=columns, entries=dictionary(published))
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN003"]
    (found,) = check(BY_CODE["CLN003"], made, profile).findings
    assert f"The heading of {meant} is spelt otherwise: {how}. Column " in found.message


def test_headings_that_are_all_spelt_otherwise_are_one_finding(profile: Profile) -> None:
    columns = {name: name.upper() for name in edition(profile, OCTOBER).columns}
    rows = [{columns[name]: value for name, value in row.items() if name in columns} for row in cohort(2)]
    made = tables(rows, profile, columns=list(columns.values()))
    (found,) = check(BY_CODE["CLN003"], made, profile).findings
    assert found.count == len(columns)


def test_of_two_columns_with_a_heading_the_exact_one_is_read(profile: Profile) -> None:
    columns = ["Age", *edition(profile, OCTOBER).columns]
    made = tables([row | {"Age": 200} for row in cohort(2)], profile, columns=columns)
    (found,) = check(BY_CODE["CLN003"], made, profile).findings
    assert "Column A is headed age as well" in found.message
    assert "Column D is read as age" in found.message


def test_a_heading_with_two_slips_is_asked_about(profile: Profile) -> None:
    columns = ["vitl_staus" if name == "vital_status" else name for name in edition(profile, OCTOBER).columns]
    made = tables([row | {"vitl_staus": 1} for row in cohort(2)], profile, columns=columns)
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN002"]
    (found,) = check(BY_CODE["CLN002"], made, profile).findings
    assert "may be it: its heading is vitl_staus" in found.message


@pytest.mark.parametrize("heading", ["NASH_greater_5", "vital_status_OS", "ages", "sexe", "surgeon"])
def test_other_words_are_no_slips(heading: str, profile: Profile) -> None:
    known = [name for name in profile.variables if name != "vital_status_DFS"]
    assert paired([heading], known) == {heading: None}
    assert nearest(heading, ["vital_status_DFS"], 1) is None


@settings(deadline=None)
@given(text=st.text(), other=st.text(), headings=st.lists(st.text(), unique=True, max_size=5))
def test_no_text_is_too_strange(text: str, other: str, headings: list[str], profile: Profile) -> None:
    assert text.isspace() or not text or notation(text)
    assert difference(text, other) is not None
    meant = paired(headings, profile.variables)
    assert list(meant) == headings
    given_names = [name for name in meant.values() if name]
    assert len(set(given_names)) == len(given_names)
    mended = profile.meant_patient_id(text)
    assert mended is None or profile.is_patient_id(mended)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
def test_legal_numbers_are_left_alone(value: float) -> None:
    assert _number(str(value)) == float(value)


@settings(deadline=None, max_examples=20)
@given(text=st.text(min_size=1, max_size=12), column=st.sampled_from(list(HEADINGS)))
def test_any_text_in_a_cell_is_judged(text: str, column: str, profile: Profile) -> None:
    fired(RULES, tables([plain_row(1) | {column: text}], profile), profile)
