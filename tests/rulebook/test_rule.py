"""How a rule is declared; what a table rule is given of what its model refuses."""

import inspect
from pathlib import Path

import pytest

from crlm_qc.collection.profile import Profile
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.fitness import NOTHING
from crlm_qc.model.severity import Severity
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Rule, RuleKind, Skip, rule, table_rule

TEXTS = {"title": "t", "why": "w", "fix": "f", "source": "s", "tables": ("metadata",), "spoils": NOTHING}


def a_table_rule(code: str, refused: dict[str, list[int]] | None) -> Rule:
    def of_the_model(_: Context) -> dict[str, list[int]]:
        if refused is None:
            raise Skip("there is no table")
        return refused

    @table_rule(code, "x", Severity.ERROR, refused=of_the_model, tolerances=("months",), **TEXTS)
    def check(context: Context, rows: list[int]) -> Checked:
        """Every row."""
        return Checked(sum(rows))

    return check


def test_a_table_rule_is_given_what_the_model_refuses_under_its_code(profile: Profile) -> None:
    context = Context(Evidence(), profile)
    refused = {"XXX001": [1, 2], "XXX002": [], "XXX003": [7]}
    assert [a_table_rule(code, refused).check(context).examined for code in sorted(refused)] == [3, 0, 7]


def test_a_code_that_the_model_does_not_have_is_no_code_without_failures(profile: Profile) -> None:
    with pytest.raises(KeyError, match="XXX004"):
        a_table_rule("XXX004", {"XXX001": []}).check(Context(Evidence(), profile))


def test_a_table_rule_is_skipped_where_there_is_no_table(profile: Profile) -> None:
    with pytest.raises(Skip, match="there is no table"):
        a_table_rule("XXX001", None).check(Context(Evidence(), profile))


def test_a_table_rule_is_of_that_kind_and_a_rule_like_others_else() -> None:
    made = a_table_rule("XXX001", {})

    @rule("XXX001", "x", Severity.ERROR, tolerances=("months",), kind=RuleKind.TABLE, **TEXTS)
    def like_it(context: Context) -> Checked:
        return Checked(0)

    assert made == like_it
    assert made.kind is RuleKind.TABLE
    assert inspect.getdoc(made.check) == "Every row."


def test_a_rule_stands_where_it_is_declared() -> None:
    made = a_table_rule("XXX001", {})
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert made.file.endswith("test_rule.py")
    assert lines[made.line - 1].strip().startswith("@table_rule(")
