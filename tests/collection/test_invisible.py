"""Characters that can't be seen, or are taken for others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.invisible import plainly


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
