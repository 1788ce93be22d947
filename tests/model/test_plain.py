"""Objects of the model to plain values and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.model.plain import UNSAVED, PlainError, from_plain, to_plain
from crlm_qc.model.severity import Severity


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    length: float | None = None


@dataclass(frozen=True)
class Outer:
    level: Severity
    count: int
    whole: bool
    inner: Inner
    several: tuple[Inner, ...] = ()
    words: Sequence[str] = ()
    levels: Mapping[str, Severity] = field(default_factory=dict)


INNER = st.builds(Inner, st.text(), st.none() | st.floats(allow_nan=False, allow_infinity=False))
OUTER = st.builds(
    Outer,
    st.sampled_from(Severity),
    st.integers(),
    st.booleans(),
    INNER,
    st.lists(INNER).map(tuple),
    st.lists(st.text()).map(tuple),
    st.dictionaries(st.text(), st.sampled_from(Severity)),
)


@given(OUTER)
def test_what_goes_through_json_comes_back_equal(outer: Outer) -> None:
    assert from_plain(Outer, json.loads(json.dumps(to_plain(outer)))) == outer


def raw(**changed: Any) -> dict[str, Any]:
    return {**to_plain(Outer(Severity.ERROR, 1, True, Inner("a"))), **changed}


def test_unknown_keys_are_left_out_and_defaults_used() -> None:
    assert from_plain(Outer, {**raw(later=1), "inner": {"name": "a"}}).inner == Inner("a")


@dataclass(frozen=True)
class Partly:
    name: str
    inner: Inner | str = field(default="none", metadata=UNSAVED)


def test_what_is_in_no_file_is_neither_written_nor_read() -> None:
    assert to_plain(Partly("a", Inner("b"))) == {"name": "a"}
    assert from_plain(Partly, {"name": "a", "inner": {"name": "b"}}) == Partly("a")


def test_whole_numbers_are_numbers() -> None:
    again = from_plain(Inner, {"name": "a", "length": 2})
    assert again == Inner("a", 2.0)
    assert json.dumps(to_plain(again)) == '{"name": "a", "length": 2}'


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"level": "CANARY"}, "level has a value that is not known"),
        ({"level": ["CANARY"]}, "level has a value that is not known"),
        ({"count": "CANARY"}, "count has not the right type"),
        ({"count": True}, "count has not the right type"),
        ({"whole": 1}, "whole has not the right type"),
        ({"count": None}, "count is missing"),
        ({"inner": {}}, "inner lacks name"),
        ({"several": [{"name": "a"}, {"name": 1}]}, r"several\[1\].name has not the right type"),
        ({"words": "CANARY"}, "words has not the right type"),
        ({"levels": {"a": "CANARY"}}, "levels.a has a value that is not known"),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(PlainError, match=said) as refused:
        from_plain(Outer, raw(**changed))
    assert "CANARY" not in str(refused.value)


def test_what_is_no_object_is_refused() -> None:
    for value in (None, [], "text", 1):
        with pytest.raises(PlainError):
            from_plain(Outer, value)
