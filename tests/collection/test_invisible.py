"""Characters that nobody sees or takes for others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.invisible import deceptive, plain_text


@pytest.mark.parametrize(
    ("written", "meant", "names"),
    [
        ("\ufeffage", "age", ["byte order mark (U+FEFF)"]),
        ("a\u200bge", "age", ["zero width space (U+200B)"]),
        ("a\u00adge", "age", ["soft hyphen (U+00AD)"]),
        ("1\u00a0", "1 ", ["no-break space (U+00A0)"]),
        ("\u2212999", "-999", ["Unicode minus (U+2212)"]),
        ("A\u2013B\u2014C", "A-B-C", ["en dash (U+2013)", "em dash (U+2014)"]),
        ("1\u2019234", "1'234", ["curly apostrophe (U+2019)"]),
        ("\uff13", "3", ["fullwidth digit three (U+FF13)"]),
        ("\u0663", "3", ["Arabic-Indic digit three (U+0663)"]),
        ("\u0421T", "CT", ["Cyrillic capital letter es (U+0421)"]),
        ("Gr\u00fc\u00dfe, \u65e5\u672c", "Gr\u00fc\u00dfe, \u65e5\u672c", []),
        ("39,3 < 5", "39,3 < 5", []),
    ],
)
def test_what_was_meant(written: str, meant: str, names: list[str]) -> None:
    assert plain_text(written) == meant
    assert list(deceptive(written)) == names


@given(st.text())
def test_any_text_has_a_plain_one(text: str) -> None:
    plain = plain_text(text)
    assert plain_text(plain) == plain
    assert (plain == text) is (deceptive(text) == ())


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_left_alone(text: str) -> None:
    assert plain_text(text) == text
