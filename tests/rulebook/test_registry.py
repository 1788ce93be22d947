import dataclasses

import pytest

from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.rulebook.registry import Registry
from crlm_qc.rulebook.rule import Checked, RegistryError, Rule, RuleKind, rule
from crlm_qc.rules import registry


def a_rule(code: str = "XXX001", slug: str = "x", tables: tuple[str, ...] = ("slices",)) -> Rule:
    @rule(code, slug, Severity.ERROR, title="t", why="w", fix="f", source="s", tables=tables)
    def check(context: object) -> Checked:
        return Checked(0)

    return check


def test_a_code_twice_refuses_to_load() -> None:
    with pytest.raises(RegistryError, match="two rules have the code XXX001"):
        Registry([a_rule(), a_rule(slug="y")])


def test_a_slug_twice_refuses_to_load() -> None:
    with pytest.raises(RegistryError, match="XXX002 and XXX001 have the slug x"):
        Registry([a_rule(), a_rule("XXX002")])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (a_rule("X1"), "no rule code"),
        (a_rule(slug="Two words"), "no slug"),
        (a_rule(tables=("nowhere",)), "unknown tables: nowhere"),
        (dataclasses.replace(a_rule(), why=" "), "has no why"),
    ],
)
def test_a_malformed_rule_refuses_to_load(bad: Rule, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        Registry([bad])


def test_matching_is_by_family_code_or_slug() -> None:
    found = Registry([a_rule(), a_rule("XXX002", "y"), a_rule("YYY001", "z")])
    assert [item.code for item in found.matching("xxx")] == ["XXX001", "XXX002"]
    assert [item.code for item in found.matching("z")] == ["YYY001"]
    assert found.matching("Q") == []


def test_every_rule_of_the_tool_tells_enough() -> None:
    for item in registry():
        assert item.tables or item.kind is RuleKind.AUDIT, item.code
        assert len(item.title) <= 90, item.code
        assert item.fix.endswith("."), item.code
        assert item.why.endswith("."), item.code
        assert isinstance(item.depth, Depth)


def test_order_is_by_code() -> None:
    codes = [item.code for item in registry()]
    assert codes == sorted(codes)
