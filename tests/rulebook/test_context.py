"""What several rules share is worked out once in an audit."""

import dataclasses

import pytest

from crlm_qc.collection.profile import Profile
from crlm_qc.model.evidence import Evidence
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip


@dataclasses.dataclass(frozen=True, eq=False)
class Thing:
    name: str


def a_context(profile: Profile) -> Context:
    return Context(Evidence(), profile)


def test_it_is_worked_out_once_a_context(profile: Profile) -> None:
    asked: list[Context] = []

    @once
    def shared(context: Context) -> list[str]:
        asked.append(context)
        return ["worked", "out"]

    one, other = a_context(profile), a_context(profile)
    assert shared(one) is shared(one)
    assert shared(one) == shared(other)
    assert shared(one) is not shared(other)
    assert [context is one for context in asked] == [True, False]


def test_nothing_is_a_result_too(profile: Profile) -> None:
    asked = []

    @once
    def shared(context: Context) -> None:
        asked.append(context)

    context = a_context(profile)
    shared(context)
    shared(context)
    assert len(asked) == 1


def test_arguments_tell_results_apart(profile: Profile) -> None:
    asked: list[tuple[str, int]] = []

    @once
    def shared(context: Context, name: str, *, times: int = 1) -> str:
        asked.append((name, times))
        return name * times

    context = a_context(profile)
    calls = [shared(context, "a"), shared(context, "b"), shared(context, "a"), shared(context, "a", times=2)]
    assert calls == ["a", "b", "a", "aa"]
    assert shared(context, "a", times=2) == "aa"
    assert asked == [("a", 1), ("b", 1), ("a", 2)]


def test_two_functions_of_one_name_do_not_meet(profile: Profile) -> None:
    def made(text: str) -> list[str]:
        @once
        def shared(context: Context) -> str:
            return text

        return [shared(context), shared(context)]

    context = a_context(profile)
    assert (made("one"), made("other")) == (["one", "one"], ["other", "other"])


def test_objects_alike_that_are_not_the_same_are_told_apart(profile: Profile) -> None:
    @once
    def shared(context: Context, thing: Thing) -> list[str]:
        return [thing.name]

    context, thing = a_context(profile), Thing("a")
    assert shared(context, thing) is shared(context, thing)
    assert shared(context, thing) is not shared(context, Thing("a"))


def test_what_is_raised_is_raised_again(profile: Profile) -> None:
    asked = []

    @once
    def shared(context: Context) -> str:
        asked.append(context)
        raise Skip("nothing there")

    context = a_context(profile)
    for _ in range(2):
        with pytest.raises(Skip, match="nothing there"):
            shared(context)
    assert len(asked) == 2


def test_the_function_keeps_its_name_and_what_it_says() -> None:
    @once
    def shared(context: Context) -> str:
        """What several rules share."""
        return ""

    assert (shared.__name__, shared.__doc__) == ("shared", "What several rules share.")
