"""Subjects are judged one by one, and what was examined is counted."""

from collections.abc import Iterator

from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rulebook.tally import tally


def found(message: str) -> Found:
    return Found(RELEASE, message, "", "")


def test_each_subject_counts_as_one_and_findings_keep_their_order() -> None:
    def judge(name: str, number: int) -> Iterator[Found]:
        for _ in range(number):
            yield found(name)

    checked = tally([("a", 2), ("b", 0), ("c", 1)], judge)
    assert checked == Checked(3, [found("a"), found("a"), found("c")])


def test_a_subject_counts_as_much_as_is_examined_of_it() -> None:
    checked = tally([("abc",), ("de",)], lambda name: [found(name)], len)
    assert checked == Checked(5, [found("abc"), found("de")])


def test_a_subject_of_which_nothing_is_examined_is_not_judged() -> None:
    judged = []

    def judge(name: str) -> list[Found]:
        judged.append(name)
        return [found(name)]

    assert tally([("",), ("a",), ("",)], judge, bool) == Checked(1, [found("a")])
    assert judged == ["a"]


def test_no_subject_is_nothing_examined() -> None:
    assert tally([], lambda: [found("a")]) == Checked(0, [])


def test_numbers_of_other_libraries_count_as_numbers() -> None:
    import numpy as np

    checked = tally([(np.array([True, True, False]),), (np.array([False]),)], lambda _: [], np.count_nonzero)
    assert checked.examined == 2
    assert type(checked.examined) is int
    assert type(tally([(1,)], lambda _: [], lambda _: np.bool_(True)).examined) is int
