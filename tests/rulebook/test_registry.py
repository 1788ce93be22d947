import dataclasses

import pytest

from crlm_qc.model.fitness import NOTHING, PURPOSES, Fit, Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.rulebook.registry import Registry
from crlm_qc.rulebook.rule import Checked, RegistryError, Rule, RuleKind, rule
from crlm_qc.rules import registry


def a_rule(
    code: str = "XXX001", slug: str = "x", tables: tuple[str, ...] = ("slices",), spoils: Spoils = NOTHING
) -> Rule:
    @rule(code, slug, Severity.ERROR, title="t", why="w", fix="f", source="s", tables=tables, spoils=spoils)
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


def test_what_a_rule_spoils_is_one_of_the_purposes() -> None:
    with pytest.raises(RegistryError, match="XXX001 spoils unknown purposes: gardening"):
        Registry([a_rule(spoils=Spoils(care=("gardening",)))])


def test_a_rule_without_a_word_on_what_it_spoils_is_refused() -> None:
    with pytest.raises(TypeError, match="spoils"):
        rule("XXX001", "x", Severity.ERROR, title="t", why="w", fix="f", source="s", tables=())  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "said",
    [
        {"out": ("sharing",), "care": ("sharing",)},
        {"care": ("sharing", "sharing")},
        {"everyone": True},
    ],
)
def test_what_contradicts_itself_is_refused(said: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="spoils"):
        Spoils(**said)


def test_a_purpose_is_judged_as_deep_as_the_rules_that_leave_patients_out_of_it() -> None:
    # One scan under two names, and a structure that is in nobody: told where they are looked for, and named where not.
    deeper = {"XRF009", "PUB007"}
    for item in registry():
        for purpose in item.spoils.out:
            assert PURPOSES[purpose].depth.covers(item.depth) or item.code in deeper, item.code


def test_every_purpose_is_spoiled_by_some_rules_with_and_without_a_way_out() -> None:
    for purpose in PURPOSES:
        assert any(purpose in item.spoils.out for item in registry())
        assert any(purpose in item.spoils.care for item in registry())


@pytest.mark.parametrize(
    ("code", "purpose", "effect"),
    [
        # A lesion that is drawn twice counts as two, and is well drawn for all that.
        ("SEG006", "lesion-counts", Fit.OUT),
        ("SEG006", "segmentation", Fit.CARE),
        # A name in a header leaves the images as they are.
        ("DID001", "sharing", Fit.OUT),
        ("DID001", "segmentation", Fit.USABLE),
        # So does a line that the manifest lacks.
        ("MAN005", "segmentation", Fit.USABLE),
        ("MAN005", "completeness", Fit.CARE),
        ("CTS015", "image-values", Fit.OUT),
        ("CTS015", "volumetry", Fit.USABLE),
        ("XRF002", "clinical-pairing", Fit.OUT),
        ("XRF002", "image-values", Fit.USABLE),
        ("CTS008", "volumetry", Fit.OUT),
        ("DSO030", "segmentation", Fit.USABLE),
    ],
)
def test_severity_is_no_substitute_for_what_a_rule_spoils(code: str, purpose: str, effect: Fit) -> None:
    assert registry()[code].spoils.effect(purpose) is effect


def test_rows_that_belong_to_other_images_spoil_every_patient() -> None:
    assert registry()["XRF004"].spoils.everyone
    assert not registry()["DID012"].spoils.everyone
