"""Characters that can't be seen, or are taken for others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.invisible import deceptive, plain_text, plainly


@pytest.mark.parametrize(
    ("text", "plain", "hidden"),
    [
        ("CRLM-CT-1001", "CRLM-CT-1001", ()),
        ("CRLM-CT-1001 ", "CRLM-CT-1001", ("blank at an end",)),
        ("CRLM-CT-1001\u00a0", "CRLM-CT-1001", ("no-break space",)),
        (" CRLM-CT-1001\u00a0", "CRLM-CT-1001", ("no-break space", "blank at an end")),
        ("\ufeffSeries UID", "Series UID", ("byte order mark",)),
        ("Series\u00a0UID", "Series UID", ("no-break space",)),
        ("1.2.\u200b3", "1.2.3", ("zero width space",)),
        ("CRLM\u2013CT\u20131001", "CRLM-CT-1001", ("en dash",)),
        ("\u2212999", "-999", ("minus sign of Unicode",)),
        ("patient\u2019s", "patient's", ("right single quotation mark",)),
        ("1.2\t", "1.2", ("tab",)),
        ("CT\u00c9", "CT\u00c9", ()),
        ("", "", ()),
        (" ", "", ("blank at an end",)),
    ],
)
def test_a_text_as_it_looks(text: str, plain: str, hidden: tuple[str, ...]) -> None:
    assert plainly(text) == (plain, hidden)


@given(st.text())
def test_it_is_plain_once_and_for_all_and_names_what_it_changed(text: str) -> None:
    plain, hidden = plainly(text)
    assert plainly(plain) == (plain, ())
    assert bool(hidden) == (plain != text)


@pytest.mark.parametrize(
    ("written", "meant", "names"),
    [
        ("\ufeffage", "age", ["byte order mark (U+FEFF)"]),
        ("a\u200bge", "age", ["zero width space (U+200B)"]),
        ("a\u00adge", "age", ["soft hyphen (U+00AD)"]),
        ("1\u00a0", "1 ", ["no-break space (U+00A0)"]),
        ("\u2212999", "-999", ["minus sign of Unicode (U+2212)"]),
        ("A\u2013B\u2014C", "A-B-C", ["en dash (U+2013)", "em dash (U+2014)"]),
        ("1\u2019234", "1'234", ["right single quotation mark (U+2019)"]),
        ("\uff13", "3", ["fullwidth digit three (U+FF13)"]),
        ("\u0663", "3", ["arabic-indic digit three (U+0663)"]),
        ("\u0421T", "CT", ["cyrillic capital letter es (U+0421)"]),
        ("Gr\u00fc\u00dfe, \u65e5\u672c", "Gr\u00fc\u00dfe, \u65e5\u672c", []),
        ("39,3 < 5", "39,3 < 5", []),
    ],
)
def test_what_was_meant(written: str, meant: str, names: list[str]) -> None:
    assert plain_text(written) == meant
    assert list(deceptive(written)) == names


@given(st.text())
def test_any_text_has_a_meant_one(text: str) -> None:
    plain = plain_text(text)
    assert plain_text(plain) == plain
    assert (plain == text) is (deceptive(text) == ())


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_left_alone(text: str) -> None:
    assert plain_text(text) == text
