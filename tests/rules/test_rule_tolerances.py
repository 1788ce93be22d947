"""Tolerances that rules name, so that people can see them."""

import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from types import CodeType

import pytest

from crlm_qc.collection.profile import Profile
from crlm_qc.model.tolerances import Tolerances, meanings
from crlm_qc.rulebook.registry import Registry
from crlm_qc.rulebook.rule import RegistryError, Rule
from crlm_qc.rulebook.texts import rule_text
from crlm_qc.rules import registry

NAMES = {item.name for item in fields(Tolerances)}


def test_every_tolerance_is_named_by_a_rule_and_every_named_one_exists() -> None:
    named = {name for item in registry() for name in item.tolerances}
    assert named == NAMES


def test_every_tolerance_has_a_meaning() -> None:
    assert set(meanings()) == NAMES
    for name, meaning in meanings().items():
        assert len(meaning.why) > 20, name
        suffixes = {"_mm": "mm", "_hu": "HU", "_ml": "mL", "_fraction": "", "_degrees": "degrees", "_years": "years"}
        for suffix, unit in suffixes.items():
            assert not name.endswith(suffix) or meaning.unit == unit, name


def codes_of(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from codes_of(const)


@pytest.mark.parametrize("item", registry(), ids=lambda item: item.code)
def test_a_rule_names_the_tolerances_that_its_check_asks_for(item: Rule) -> None:
    own = getattr(inspect.unwrap(item.check), "__code__", None)
    used = {name for code in codes_of(own) for name in code.co_names} if own else set()
    if "tolerances" in used:
        assert used & NAMES <= set(item.tolerances)


def test_a_rule_with_an_unknown_tolerance_is_refused() -> None:
    wrong = replace(registry()["CTS008"], tolerances=("postion_mm",))
    with pytest.raises(RegistryError, match="CTS008 names unknown tolerances: postion_mm"):
        Registry([wrong])


def test_texts_tell_the_values_of_the_profile(profile: Profile) -> None:
    other = replace(profile, tolerances=profile.tolerances.replaced({"shear_mm": 0.25}))
    (told,) = rule_text(registry()["CTS010"], other).tolerances
    assert (told.name, told.value, told.unit) == ("shear_mm", 0.25, "mm")
    assert "sheared" in told.why
