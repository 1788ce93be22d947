"""Counts and what agrees with them, capitals, lists, and names close to one that is not known."""

import pytest

from crlm_qc.model.words import agree, are, capitalised, close_to, closest, did_you_mean, listed, plural, suggest

CODES = ["CTS001", "CTS008", "CTS018", "CTS012", "DSO008"]


@pytest.mark.parametrize(
    ("count", "verb", "noun", "lies"),
    [
        (0, "are", "0 slices", "lie"),
        (1, "is", "1 slice", "lies"),
        (2, "are", "2 slices", "lie"),
        (1200, "are", "1,200 slices", "lie"),
    ],
)
def test_words_agree_with_a_count(count: int, verb: str, noun: str, lies: str) -> None:
    assert are(count) == verb
    assert plural(count, "slice") == noun
    assert agree(count, "lies", "lie") == lies


def test_a_plural_may_be_irregular() -> None:
    assert [plural(count, "index", "indices") for count in (1, 3)] == ["1 index", "3 indices"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("segment 3", "Segment 3"),
        ("frames 1-3 (Tumor_1)", "Frames 1-3 (Tumor_1)"),
        ("Tumor_1", "Tumor_1"),
        ("7 frames", "7 frames"),
        ("x", "X"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_keeps_the_others(text: str, sentence: str) -> None:
    assert capitalised(text) == sentence


def test_the_rest_of_a_long_list_is_counted() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed([]) == ""


def test_close_names_are_three_at_most_and_the_closest_come_first() -> None:
    assert closest("DSO08", CODES)[0] == "DSO008"
    assert len(closest("CTS0", CODES)) == 3
    assert closest("nothing like it", CODES) == []
    assert closest("CTS12", iter(CODES), 0.95) == []


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (did_you_mean("dio", ["doi", "words"]), ": did you mean doi?"),
        (did_you_mean("spacing", ["spacing_mm", "spacing_m"]), ": did you mean spacing_m, spacing_mm?"),
        (did_you_mean("qqq", ["doi"]), ""),
        (close_to(["CTS008", "CTS018"]), ": close to CTS008, CTS018"),
        (close_to([]), ""),
        (suggest("crlm-ct-1009", ["CRLM-CT-1004"]), " (did you mean CRLM-CT-1004?)"),
        (suggest("releas", ["release", "Released"]), " (did you mean release or Released?)"),
        (suggest("qqq", ["release"]), ""),
    ],
)
def test_each_hint_has_words_of_its_own(hint: str, said: str) -> None:
    assert hint == said
