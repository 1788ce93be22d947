"""The rules of the workbook that are not of one row, and how findings are grouped and worded."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.sources import item_at
from support.workbooks import MISSING, check, dictionary, edition, fired, plain_row, tables

from crlm_qc.collection.profile import Profile
from crlm_qc.engines.pandera_engine import codes
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.finding import Kind
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Rule, RuleKind, Skip
from crlm_qc.rules import registry
from crlm_qc.rules.cln import _cells, _relations
from crlm_qc.subjects.workbook import codes_of

RULES = [item for item in registry() if item.family == "CLN"]
BY_CODE = {rule.code: rule for rule in RULES}
OCTOBER, APRIL = "October 2022", "April 2023"


def cohort(n: int) -> list[dict[str, Any]]:
    return [plain_row(number) for number in range(1, n + 1)]


def test_the_catalogue_is_there() -> None:
    assert sorted(BY_CODE) == [f"CLN{number:03d}" for number in range(1, 30)]
    assert BY_CODE["CLN010"].kind is RuleKind.TABLE


def test_table_rules_are_those_whose_checks_a_model_holds() -> None:
    held = codes(_cells.cell_model()) | codes(_relations.row_model(Tolerances()))
    # What runs may stand in a cell, which the model refuses, or elsewhere in the workbook: CLN024 looks at both.
    assert held - {"CLN024"} == {rule.code for rule in RULES if rule.kind is RuleKind.TABLE}
    assert {BY_CODE[code].kind for code in ("CLN004", "CLN023", "CLN024")} == {RuleKind.PLAIN}


def test_relations_of_one_code_have_titles_of_their_own() -> None:
    named = [(relation.code, relation.title) for relation in _relations.RELATIONS]
    assert len(set(named)) == len(named)


def test_each_relation_is_judged_once(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    def counted(relation: _relations.Relation) -> _relations.Relation:
        def holds(wide: Any, tolerances: Tolerances) -> Any:
            judged.append(relation.title)
            return relation.holds(wide, tolerances)

        return dataclasses.replace(relation, holds=holds)

    monkeypatch.setattr(_relations, "RELATIONS", tuple(map(counted, _relations.RELATIONS)))
    row = {**plain_row(), "overall_survival_months": 1, "months_to_liver_DFS_progression": 0}
    assert not fired(RULES, tables([plain_row()], profile), profile)
    assert sorted(judged) == sorted(relation.title for relation in _relations.RELATIONS)
    judged.clear()
    found = {code for code, *_ in fired(RULES, tables([row], profile), profile)}
    assert {"CLN016", "CLN017"} & found
    # What may be broken is given to Pandera.
    broken = [title for title, times in Counter(judged).items() if times > 1]
    assert sorted(judged) == sorted([*(relation.title for relation in _relations.RELATIONS), *broken])
    assert {relation.code for relation in _relations.RELATIONS if relation.title in broken} <= found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_without_a_workbook_every_rule_is_skipped(rule: Rule, profile: Profile) -> None:
    with pytest.raises(Skip, match="no clinical workbook"):
        rule.check(Context(Evidence(), profile))


def test_a_workbook_that_can_t_be_opened_is_one_finding(profile: Profile) -> None:
    source = {"source": "clinical", "path": "clinical.xlsx", "used": True}
    made = {"sources": frame("sources", [source | {"problem": "encrypted", "detail": "it is encrypted"}])}
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN001"]
    made = {"sources": frame("sources", [source | {"problem": "no-patient-sheet", "detail": "no sheet"}])}
    (found,) = check(BY_CODE["CLN001"], made, profile).findings
    assert "no patient sheet" in found.message


@pytest.mark.parametrize("name", [OCTOBER, APRIL])
def test_a_missing_column_is_one_finding(name: str, profile: Profile) -> None:
    columns = [column for column in edition(profile, name).columns if column != "sex"]
    made = tables(cohort(2), profile, name, columns)
    assert fired(RULES, made, profile) == [("CLN002", None, None, "sex")]
    (found,) = check(BY_CODE["CLN002"], made, profile).findings
    assert name in found.message


def test_columns_that_are_missing_by_the_dozen_are_one_finding(profile: Profile) -> None:
    columns = edition(profile, OCTOBER).columns
    made = tables(cohort(2), profile, columns=columns[: len(columns) // 2 + 2])
    assert fired(RULES, made, profile)[:1] == [("CLN002", None, None, None)]
    (found,) = check(BY_CODE["CLN002"], made, profile).findings
    lost = columns[len(columns) // 2 + 2 :]
    assert (found.count, found.examples) == (len(lost), lost)
    assert f"lacks {len(lost)} of its columns: {lost[0]}" in found.message


def test_a_missing_patient_column_does_not_blame_the_rows(profile: Profile) -> None:
    columns = edition(profile, OCTOBER).columns[1:]
    rows = [{**row, "Patient-ID": None} for row in cohort(2)]
    assert fired(RULES, tables(rows, profile, columns=columns), profile) == [("CLN002", None, None, "Patient-ID")]


@pytest.mark.parametrize(
    ("heading", "column", "message"),
    [
        ("surgeon_name", "text of 9 to 32 characters", "in no published edition"),
        ("preoperative_pve", "preoperative_pve", "does not belong to the edition of October 2022"),
        ("age[2]", "text of 1 to 8 characters", "heading age stands over two columns"),
        ("[AD]", "column AD", "values and no heading"),
    ],
)
def test_an_unknown_column_is_one_finding(heading: str, column: str, message: str, profile: Profile) -> None:
    columns = [*edition(profile, OCTOBER).columns, heading]
    rows = [{**row, heading: 1} for row in cohort(2)]
    made = tables(rows, profile, columns=columns)
    assert fired(RULES, made, profile) == [("CLN003", None, None, column)]
    (found,) = check(BY_CODE["CLN003"], made, profile).findings
    assert message in found.message
    assert "surgeon" not in str(found)


def test_a_heading_spelt_otherwise_is_still_read(profile: Profile) -> None:
    columns = ["  Age" if column == "age" else column for column in edition(profile, OCTOBER).columns]
    rows = [{**row, "  Age": 200} for row in cohort(1)]
    made = tables(rows, profile, columns=columns)
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN003", "CLN006"]


def test_a_patient_with_two_rows_is_one_finding(profile: Profile) -> None:
    again = plain_row(1) | {"De-identify Scout Name": "009_recurrence_preop"}
    found = fired(RULES, tables([*cohort(2), again], profile), profile)
    assert found == [("CLN004", "CRLM-CT-1001", 4, "Patient-ID")]


def test_a_scout_name_twice_is_one_finding(profile: Profile) -> None:
    rows = cohort(3)
    rows[2]["De-identify Scout Name"] = rows[0]["De-identify Scout Name"]
    found = fired(RULES, tables(rows, profile), profile)
    assert found == [("CLN023", "CRLM-CT-1003", 4, "De-identify Scout Name")]


def test_a_column_full_of_words_is_one_finding(profile: Profile) -> None:
    rows = [row | {"major_comorbidity": "Yes"} for row in cohort(12)]
    (found,) = check(BY_CODE["CLN005"], tables(rows, profile), profile).findings
    assert (found.subject.kind, found.subject.column, found.count) == (Kind.COLUMN, "major_comorbidity", 12)
    assert found.expected == "0, 1 or -999"
    assert len(found.examples) == 12


def test_a_row_full_of_blanks_is_one_finding(profile: Profile) -> None:
    blank = {**dict.fromkeys(plain_row(2)), "Patient-ID": "CRLM-CT-1002"}
    (found,) = check(BY_CODE["CLN007"], tables([plain_row(1), blank], profile), profile).findings
    assert (found.subject.kind, found.subject.row, found.patient) == (Kind.ROW, 3, "CRLM-CT-1002")
    assert found.count == 26


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("39,3", "digits, comma, digits"),
        ("1,234.5", "digits, comma, digits, point, digits"),
        ("<5", "less-than sign, digits"),
        ("\N{MINUS SIGN}999", "Unicode minus, digits"),
        ("39.3 months", "digits, point, digits, blank, letters"),
        ("1\N{NARROW NO-BREAK SPACE}200", "digits, no-break space, digits"),
        ("about 3 of 10 or 4 of 12 or so", "letters, blank, digits, blank, letters, blank, digits, blank ..."),
    ],
)
def test_a_number_in_another_notation_is_not_missing(written: str, form: str, profile: Profile) -> None:
    made = tables([plain_row(1) | {"overall_survival_months": written}], profile)
    assert fired(RULES, made, profile) == [("CLN027", "CRLM-CT-1001", 2, "overall_survival_months")]
    (found,) = check(BY_CODE["CLN027"], made, profile).findings
    assert found.observed == form
    assert written not in str(found)


def test_a_column_in_another_notation_is_one_finding(profile: Profile) -> None:
    rows = [row | {"overall_survival_months": "39,3"} for row in cohort(12)]
    (found,) = check(BY_CODE["CLN027"], tables(rows, profile), profile).findings
    assert (found.subject.kind, found.count) == (Kind.COLUMN, 12)


@pytest.mark.parametrize("kind", ["date", "boolean", "error"])
def test_other_types_of_cells_are_one_finding(kind: str, profile: Profile) -> None:
    made = tables(cohort(1), profile)
    clinical = made["clinical"]
    at = clinical.index[clinical["column"] == "age"]
    clinical.loc[at, ["type", "text"]] = [kind, "1901-02-03T00:00:00"]
    clinical.loc[at, "value"] = float("nan")
    found = fired(RULES, made, profile)
    code = {"date": "CLN028", "boolean": "CLN006", "error": "CLN007"}[kind]
    assert found == [(code, "CRLM-CT-1001", 2, "age")]


def test_a_formula_is_told_once_and_its_cell_left_out(profile: Profile) -> None:
    fact = {"fact": "formula", "sheet": profile.patient_sheet, "cell": "T2", "has_value": True}
    made = tables(cohort(1), profile, facts=[fact])
    clinical = made["clinical"]
    at = clinical.index[clinical["column"] == "overall_survival_months"]
    clinical.loc[at, "type"] = "formula"
    clinical.loc[at, "value"] = float("nan")
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN024"]


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        ({"fact": "macro", "name": "vbaProject.bin"}, "CLN024"),
        ({"fact": "external-link", "name": "externalLink1.xml"}, "CLN024"),
        ({"fact": "hidden-sheet", "sheet": "Dr Smith"}, "CLN025"),
        ({"fact": "hidden-row", "sheet": "Dr Smith", "cell": "7"}, "CLN025"),
        ({"fact": "hidden-column", "sheet": "Dr Smith", "cell": "C"}, "CLN025"),
        ({"fact": "comment", "sheet": "Dr Smith", "cell": "C7"}, "CLN025"),
    ],
)
def test_what_stands_beside_the_cells(fact: dict[str, Any], code: str, profile: Profile) -> None:
    made = tables(cohort(1), profile, facts=[fact | {"has_value": True}])
    assert [one for one, *_ in fired(RULES, made, profile)] == [code]
    (found,) = check(BY_CODE[code], made, profile).findings
    assert "Smith" not in str(found)
    assert fact.get("cell", "") in found.message


def test_dictionary_and_columns_name_each_other(profile: Profile) -> None:
    entries = dictionary(edition(profile, OCTOBER).columns)
    gone = [entry for entry in entries if entry[0] != "mucin_percent"]
    made = tables(cohort(1), profile, entries=[*gone, ("margin_mm", "width", "mm")])
    found = fired(RULES, made, profile)
    assert [(code, column) for code, _, _, column in found] == [
        ("CLN008", "mucin_percent"),
        ("CLN008", "text of 9 to 32 characters"),
    ]


def test_no_dictionary_sheet_is_one_finding_but_none_of_a_csv(profile: Profile) -> None:
    made = tables(cohort(1), profile, entries=[])
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN008"]
    made["workbook"] = frame("workbook", [])
    assert fired(RULES, made, profile) == []


def test_codes_come_from_the_workbook_s_own_dictionary(profile: Profile) -> None:
    entries = [
        (name, words, "1 - Yes | 0 - No | 2 - Partly" if name == "extrahep_disease" else values)
        for name, words, values in dictionary(edition(profile, OCTOBER).columns)
    ]
    rows = [plain_row(1) | {"extrahep_disease": 2}]
    assert fired(RULES, tables(rows, profile, entries=entries), profile) == []
    assert [code for code, *_ in fired(RULES, tables(rows, profile), profile)] == ["CLN005"]


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ("1-Male | 2-Female", {1, 2}),
        ("1 - Yes | 0 - No, | -999 - Unknown", {0, 1}),
        ("0-5, -999 - N/A", {0, 1, 2, 3, 4, 5}),
        ("1 - (3,4,5 scores), 0 - (0, 1, 2), -999 - N/A", {0, 1}),
        ("0 = no; 1 = yes", {0, 1}),
        ("0: no\n1: yes", {0, 1}),
        ("0, 1 or 2", None),
        ("1, 2", {1, 2}),
        ("Continuous numeric | -999 - not applicable", None),
        ("character", None),
        ("1 - Yes", None),
        ("2010-2012", None),
        ("", None),
    ],
)
def test_codes_are_read_leniently(values: str, codes: set[int] | None) -> None:
    assert codes_of(values, MISSING) == (None if codes is None else frozenset(codes))


def test_messages_hold_no_text_of_the_file(profile: Profile) -> None:
    canary = "Kanarienvogel"
    row = dict.fromkeys(plain_row(), canary)
    made = tables([row], profile, columns=[*edition(profile, OCTOBER).columns, canary])
    made["clinical_dictionary"].loc[:, ["variable", "values"]] = canary
    context = Context(Evidence(tables=made), profile)
    texts = []
    for rule in RULES:
        try:
            texts += map(str, rule.check(context).findings)
        except Skip:
            continue
    assert len(texts) > 5
    assert not any(canary in one for one in texts)


def test_severities_follow_the_catalogue() -> None:
    info = {code for code, rule in BY_CODE.items() if rule.severity is Severity.INFO}
    warning = {code for code, rule in BY_CODE.items() if rule.severity is Severity.WARNING}
    assert info == {"CLN021"}
    assert warning == {f"CLN0{n}" for n in ("03", "07", "08", "09", "10", "15", "18", "22", "23", "25", "26")}


@pytest.mark.reference
def test_the_published_workbook(reference: Path, profile: Profile) -> None:
    from crlm_qc.evidence.workbook.sheets import read_workbook

    path = reference / "Colorectal Liver Metastases Clinical data October 2022.xlsx"
    made = {name: frame(name, rows) for name, rows in read_workbook(item_at(path), profile).items()}
    column = "total_response_percent"
    assert fired(RULES, made, profile) == [
        ("CLN010", "CRLM-CT-1103", 103, column),
        ("CLN010", "CRLM-CT-1145", 145, column),
        ("CLN010", "CRLM-CT-1187", 187, column),
        ("CLN015", "CRLM-CT-1196", 196, column),
        ("CLN021", "CRLM-CT-1198", 198, "NASH_score"),
    ]


@pytest.mark.parametrize(
    ("column", "value", "code", "shown"),
    [
        ("sex", 88121024, "CLN005", "a number of 8 digits"),
        ("overall_survival_months", 88121024, "CLN006", "a number of 8 digits"),
        ("age", 1937, "CLN006", "a number of 4 digits"),
        ("age", 111, "CLN006", "over 89"),
    ],
)
def test_numbers_that_may_identify_are_not_shown(
    column: str, value: float, code: str, shown: str, profile: Profile
) -> None:
    rows = cohort(2)
    rows[0][column] = value
    findings = list(check(BY_CODE[code], tables(rows, profile), profile).findings)
    assert [one.observed for one in findings] == [shown]
    assert str(value) not in str(findings)


def test_an_age_over_89_as_text_is_not_shown(profile: Profile) -> None:
    rows = cohort(2)
    rows[0]["age"] = "93"
    (finding,) = check(BY_CODE["CLN026"], tables(rows, profile), profile).findings
    assert finding.message.startswith("age holds over 89 as text")
    assert "93" not in str(finding)


def test_columns_full_of_numbers_as_text_are_one_finding(profile: Profile) -> None:
    columns = ("age", "sex", "major_comorbidity", "clinrisk_score", "NASH_score", "necrosis_percent", "vital_status")
    rows = [{**row, **{name: str(row[name]) for name in columns}} for row in cohort(20)]
    found = check(BY_CODE["CLN026"], tables(rows, profile), profile).findings
    assert [(one.subject.kind, one.count, sorted(one.examples)) for one in found] == [(Kind.FILE, 140, sorted(columns))]
