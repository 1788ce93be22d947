"""Columns that are out of step with the rows."""

from typing import Any

import pytest
from support.workbooks import MISSING, check, fired, plain_row, tables

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity
from crlm_qc.rules import registry

RULES = [item for item in registry() if item.family == "CLN"]
BY_CODE = {rule.code: rule for rule in RULES}
SURVIVAL = "overall_survival_months"
NO_RECURRENCE = {
    "progression_or_recurrence": 0,
    "progression_or_recurrence_liveronly": 0,
    "vital_status": 0,
    "vital_status_DFS": 0,
    "vital_status_liver_DFS": 0,
}


def cohort(n: int = 40) -> list[dict[str, Any]]:
    """Patients without recurrence, who are followed for times of their own."""
    rows = []
    for number in range(1, n + 1):
        months = 20.0 + 37 * number % 101
        times = dict.fromkeys((SURVIVAL, "months_to_DFS_progression", "months_to_liver_DFS_progression"), months)
        rows.append({**plain_row(number), **NO_RECURRENCE, **times})
    return rows


def told(rows: list[dict[str, Any]], profile: Profile) -> list[str]:
    """Messages of CLN029, where no other rule fires."""
    made = tables(rows, profile)
    assert {code for code, *_ in fired(RULES, made, profile)} <= {"CLN029"}
    return [one.message for one in check(BY_CODE["CLN029"], made, profile).findings]


def test_a_cohort_in_step_is_silent(profile: Profile) -> None:
    assert told(cohort(), profile) == []


@pytest.mark.parametrize("backwards", [False, True])
def test_a_column_sorted_alone_is_one_finding(backwards: bool, profile: Profile) -> None:
    rows = cohort()
    values = sorted((row[SURVIVAL] for row in rows), reverse=backwards)
    for row, value in zip(rows, values, strict=True):
        row[SURVIVAL] = value
    (message,) = told(rows, profile)
    assert message.startswith(f"{SURVIVAL} contradicts other columns in ")
    assert "sorted alone" in message


@pytest.mark.parametrize(
    ("by", "words"), [(1, "1 row too far up"), (2, "2 rows too far up"), (-1, "1 row too far down")]
)
def test_values_that_were_moved_are_one_finding(by: int, words: str, profile: Profile) -> None:
    rows = cohort()
    values = [row[SURVIVAL] for row in rows]
    for at in range(10, len(rows)):
        row = rows[at]
        row[SURVIVAL] = values[at + by] if 10 <= at + by < len(rows) else None
    (message,) = told(rows, profile)
    assert f"From about row 12 on its values stand {words}" in message or "From about row 13 on" in message


def test_a_sheet_that_was_sorted_as_a_whole_is_silent(profile: Profile) -> None:
    assert told(sorted(cohort(), key=lambda row: row[SURVIVAL]), profile) == []


def test_a_column_without_relations_in_the_order_of_the_patients_is_a_warning(profile: Profile) -> None:
    rows = [row | {"age": 40 + number} for number, row in enumerate(cohort())]
    (found,) = check(BY_CODE["CLN029"], tables(rows, profile), profile).findings
    assert (found.subject.column, found.severity) == ("age", Severity.WARNING)
    assert told(rows[::-1], profile) == []


def test_a_blank_at_the_end_of_a_column_is_told_as_such(profile: Profile) -> None:
    rows = cohort()
    rows[-1]["age"] = None
    (found,) = check(BY_CODE["CLN007"], tables(rows, profile), profile).findings
    assert "blank at its end alone" in found.message
    rows[5]["age"] = None
    found, _ = check(BY_CODE["CLN007"], tables(rows, profile), profile).findings
    assert "blank at its end" not in found.message


def test_a_column_of_a_group_that_is_missing_is_one_finding(profile: Profile) -> None:
    rows = [row | {"mucin_percent": MISSING} for row in cohort()]
    (found,) = check(BY_CODE["CLN015"], tables(rows, profile), profile).findings
    assert (found.subject.column, found.count) == ("mucin_percent", 40)


def test_contradictions_that_no_column_has_in_common_are_told_by_their_own_rules(profile: Profile) -> None:
    rows = cohort()
    for row in rows:
        row["NASH_yesno"], row["vital_status_DFS"] = 1 - row["NASH_yesno"], 1
    codes = {code for code, *_ in fired(RULES, tables(rows, profile), profile)}
    assert codes == {"CLN012", "CLN019"}
