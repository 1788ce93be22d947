"""Valid clinical tables raise nothing; each fault raises its own rule and no other."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.workbooks import MISSING, Row, edition, fired, plain_row, tables, valid_rows

from crlm_qc.collection.profile import Profile
from crlm_qc.rules import registry

RULES = [item for item in registry() if item.family == "CLN"]
EDITIONS = ("October 2022", "April 2023")
EXAMPLES = int(os.environ.get("CRLM_QC_EXAMPLES", "10"))
"""More examples for a thorough run: CRLM_QC_EXAMPLES=1000."""
# A failing table shows the row that fails as it is: shrinking it would take minutes.
modest = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)

COURSE = {
    "overall_survival_months": 40.0,
    "vital_status": 1,
    "progression_or_recurrence": 1,
    "months_to_DFS_progression": 10.0,
    "vital_status_DFS": 1,
    "progression_or_recurrence_liveronly": 1,
    "months_to_liver_DFS_progression": 12.0,
    "vital_status_liver_DFS": 1,
}
NO_RECURRENCE = {
    **COURSE,
    "vital_status": 0,
    "progression_or_recurrence": 0,
    "months_to_DFS_progression": 40.0,
    "vital_status_DFS": 0,
    "progression_or_recurrence_liveronly": 0,
    "months_to_liver_DFS_progression": 40.0,
    "vital_status_liver_DFS": 0,
}
RESPONSE = {
    "total_response_percent": 0.5,
    "necrosis_percent": 0.3,
    "fibrosis_percent": 0.2,
    "fibrosis_greater_40_percent": 0,
    "mucin_percent": 0.0,
}
NASH = {"steatosis_yesno": 1, "NASH_score": 2, "NASH_yesno": 1, "NASH_greater_4": 0}


@dataclass(frozen=True)
class Fault:
    code: str
    column: str
    change: Callable[[st.DrawFn], dict[str, Any]]
    april: bool = False

    def __str__(self) -> str:
        return f"{self.code}-{self.column}"


def fixed(**values: Any) -> Callable[[st.DrawFn], dict[str, Any]]:
    return lambda _: values


def drawn(column: str, values: st.SearchStrategy[Any], **base: Any) -> Callable[[st.DrawFn], dict[str, Any]]:
    return lambda draw: {**base, column: draw(values)}


CODED = ("major_comorbidity", "chemo_before_liver_resection", "extrahep_disease", "presence_sinusoidal_dilata")
OTHERWISE = st.sampled_from([None, "NA", "n/a", "unknown", -99, 999, -9, "?"])
FAULTS = [
    *(Fault("CLN005", name, drawn(name, st.sampled_from([2, 3, -1, 0.5, "Yes", "no", True]))) for name in CODED),
    Fault("CLN005", "sex", drawn("sex", st.sampled_from([0, 3, "male", "F"]))),
    Fault("CLN005", "clinrisk_score", fixed(clinrisk_score=6)),
    Fault("CLN006", "age", drawn("age", st.sampled_from([17, 101, -5, 0, 550]))),
    Fault("CLN006", "overall_survival_months", drawn("overall_survival_months", st.floats(301, 900))),
    Fault("CLN006", "necrosis_percent", drawn("necrosis_percent", st.sampled_from([-0.1, 101, 300]))),
    Fault("CLN006", "NASH_score", drawn("NASH_score", st.sampled_from([9, -1]))),
    Fault("CLN006", "body_mass_index", drawn("body_mass_index", st.sampled_from([2.5, 250.0])), april=True),
    Fault("CLN006", "max_tumor_size", drawn("max_tumor_size", st.sampled_from([35.0, -2.0])), april=True),
    Fault("CLN006", "carcinoembryonic_antigen", drawn("carcinoembryonic_antigen", st.just(-3.0)), april=True),
    *(Fault("CLN007", name, drawn(name, OTHERWISE)) for name in (*CODED, "sex", "age", "overall_survival_months", "mucin_percent", "clinrisk_stratified")),
    Fault("CLN007", "De-identify Scout Name", drawn("De-identify Scout Name", st.sampled_from([None, "NA"]))),
    Fault("CLN007", "max_tumor_size", drawn("max_tumor_size", st.sampled_from([None, "small", 999])), april=True),
    Fault("CLN009", "necrosis_percent", drawn("necrosis_percent", st.sampled_from(["30%", "30", 30, "30 %"]), **RESPONSE)),
    Fault("CLN009", "mucin_percent", drawn("mucin_percent", st.sampled_from(["0%", 5]), **RESPONSE)),
    Fault("CLN010", "total_response_percent", drawn("total_response_percent", st.sampled_from([0.51, 0.45, 1.0]), **RESPONSE)),
    Fault("CLN011", "clinrisk_stratified", fixed(clinrisk_score=2, clinrisk_stratified=1, node_positive_primary=1, multiple_metastases=0, carcinoembryonic_antigen=1, max_tumor_size=2, synchronous_crlm=0)),
    Fault("CLN012", "NASH_yesno", fixed(**{**NASH, "NASH_yesno": 0})),
    Fault("CLN013", "NASH_greater_4", fixed(**{**NASH, "NASH_greater_4": 1})),
    Fault("CLN014", "fibrosis_greater_40_percent", fixed(**{**RESPONSE, "fibrosis_greater_40_percent": 1})),
    Fault("CLN014", "fibrosis_greater_40_percent", fixed(total_response_percent=0.4, necrosis_percent=0.0, fibrosis_percent=0.4, mucin_percent=0.0, fibrosis_greater_40_percent=0)),
    *(Fault("CLN015", "total_response_percent", fixed(**{**RESPONSE, name: MISSING})) for name in RESPONSE),
    Fault("CLN015", "clinrisk_score", fixed(clinrisk_score=MISSING, clinrisk_stratified=0)),
    Fault("CLN016", "months_to_DFS_progression", drawn("months_to_DFS_progression", st.floats(40.1, 300), **COURSE)),
    Fault("CLN016", "months_to_DFS_progression", fixed(**{**NO_RECURRENCE, "months_to_DFS_progression": 50.0})),
    Fault("CLN017", "months_to_liver_DFS_progression", drawn("months_to_liver_DFS_progression", st.floats(0, 9.9) | st.floats(40.1, 300), **COURSE)),
    Fault("CLN018", "months_to_DFS_progression", drawn("months_to_DFS_progression", st.floats(0, 39.9), **NO_RECURRENCE)),
    Fault("CLN018", "months_to_liver_DFS_progression", fixed(**{**COURSE, "progression_or_recurrence_liveronly": 0})),
    Fault("CLN019", "vital_status_DFS", fixed(**{**COURSE, "vital_status_DFS": 0})),
    Fault("CLN019", "vital_status_DFS", fixed(**{**NO_RECURRENCE, "vital_status_DFS": 1})),
    Fault("CLN019", "vital_status_liver_DFS", fixed(**{**COURSE, "vital_status_liver_DFS": 0})),
    Fault("CLN020", "progression_or_recurrence_liveronly", fixed(**{**NO_RECURRENCE, "progression_or_recurrence_liveronly": 1})),
    Fault("CLN020", "progression_or_recurrence_liveronly", fixed(**{**COURSE, "progression_or_recurrence": 0})),
    Fault("CLN021", "NASH_score", fixed(**{**NASH, "NASH_score": 0, "NASH_yesno": 0})),
    Fault("CLN022", "clinrisk_score", fixed(clinrisk_score=0, clinrisk_stratified=0, node_positive_primary=1), april=True),
    Fault("CLN022", "clinrisk_score", fixed(clinrisk_score=0, clinrisk_stratified=0, synchronous_crlm=1), april=True),
    Fault("CLN022", "clinrisk_score", fixed(clinrisk_score=5, clinrisk_stratified=1, max_tumor_size=5.0), april=True),
    Fault("CLN022", "clinrisk_score", fixed(clinrisk_score=5, clinrisk_stratified=1, carcinoembryonic_antigen=200), april=True),
    Fault("CLN023", "De-identify Scout Name", drawn("De-identify Scout Name", st.sampled_from(["John Smith", "1_recurrence", "002-recurrence-preop"]))),
    Fault("CLN024", "relevant_notes", drawn("relevant_notes", st.sampled_from(["=1+1", "@SUM(A1)", "+cmd", "-none", " =A1"]))),
    Fault("CLN024", "major_comorbidity", drawn("major_comorbidity", st.just("=HYPERLINK(1)"))),
    Fault("CLN026", "age", drawn("age", st.sampled_from(["61", " 61 ", "-999"]))),
    Fault("CLN026", "major_comorbidity", drawn("major_comorbidity", st.sampled_from(["0", "1"]))),
    Fault("CLN026", "necrosis_percent", fixed(**{**RESPONSE, "necrosis_percent": "0.3"})),
    Fault("CLN027", "overall_survival_months", drawn("overall_survival_months", st.sampled_from(["39,3", "1,234.5", "<5", "40 months", "\N{MINUS SIGN}999"]))),
    Fault("CLN027", "age", drawn("age", st.sampled_from(["61 y", "> 60", "61%", "6,1E1", "\uff16\uff11"]))),
    Fault("CLN027", "major_comorbidity", drawn("major_comorbidity", st.sampled_from(["1,0", "~1", "0-1", "- 999"]))),
    Fault("CLN028", "age", drawn("age", st.sampled_from(["2001-03-02", "2.3.2001", "3-Mar", "Mar-03"]))),
    Fault("CLN028", "major_comorbidity", drawn("major_comorbidity", st.just("1-Feb"))),
]  # fmt: skip


def columns_of(profile: Profile, name: str) -> tuple[str, ...]:
    return edition(profile, name).columns


@pytest.mark.parametrize("name", EDITIONS)
@modest
@given(rows=st.lists(valid_rows(), min_size=1, max_size=4))
def test_valid_tables_raise_nothing(name: str, rows: list[Row], profile: Profile) -> None:
    for number, row in enumerate(rows, 1):
        row |= {"Patient-ID": f"CRLM-CT-{1000 + number}", "De-identify Scout Name": f"{number:03d}_recurrence_preop"}
    assert fired(RULES, tables(rows, profile, name), profile) == []


@pytest.mark.parametrize("name", EDITIONS)
@settings(modest, max_examples=max(EXAMPLES // 5, 3))
@given(data=st.data())
def test_a_fault_raises_its_rule_alone(name: str, data: st.DataObject, profile: Profile) -> None:
    # One table holds all faults, each in a row of its own that is valid but for it.
    base = data.draw(valid_rows())
    rows, expected = [], []
    for number, fault in enumerate((fault for fault in FAULTS if name == "April 2023" or not fault.april), 1):
        own = {"Patient-ID": f"CRLM-CT-{1000 + number}", "De-identify Scout Name": f"{number:03d}_recurrence_preop"}
        rows.append({**base, **own, **fault.change(data.draw)})
        expected.append((fault.code, own["Patient-ID"], number + 1, fault.column))
    assert fired(RULES, tables(rows, profile, name), profile) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("value", "patient"),
    [
        (None, None),
        ("CRLMCT1001", "CRLM-CT-1001"),
        ("CRLM\u2013CT\u20131001", "CRLM-CT-1001"),
        ("1001", "CRLM-CT-1001"),
        ("crlm-ct-1002", None),
        ("Smith", None),
        ("CRLM-CT-1001 ", "CRLM-CT-1001"),
        ("CRLM-CT-1002", "CRLM-CT-1002"),
    ],
)
def test_a_bad_patient_id_is_one_finding(value: str | None, patient: str | None, profile: Profile) -> None:
    rows = [plain_row(2), plain_row(1) | {"Patient-ID": value}]
    assert fired(RULES, tables(rows, profile), profile) == [("CLN004", patient, 3, "Patient-ID")]


def test_every_rule_of_cells_and_rows_has_a_fault() -> None:
    covered = {fault.code for fault in FAULTS}
    elsewhere = {"CLN001", "CLN002", "CLN003", "CLN004", "CLN008", "CLN025", "CLN029"}
    assert {rule.code for rule in RULES} == covered | elsewhere


def test_the_plain_row_is_valid(profile: Profile) -> None:
    for name in EDITIONS:
        assert fired(RULES, tables([plain_row()], profile, name), profile) == []
