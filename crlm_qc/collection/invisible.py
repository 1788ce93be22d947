"""Characters that look like others, or like nothing: two texts that differ in them alone look the same."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

BLANK_AT_AN_END = "blank at an end"
_MINUS = "\u2212"
_QUOTES = frozenset("\u2018\u2019\u201a\u201b\u2032\u00b4`\uff07")
_OWN_NAMES = {
    "\ufeff": "byte order mark",
    _MINUS: "minus sign of Unicode",
    "\t": "tab",
    "\n": "line break",
    "\r": "line break",
}


class Plain(NamedTuple):
    """A text as it looks, and what that hides."""

    text: str
    """Without invisible characters, with plain blanks, dashes and apostrophes, and none of the blanks at its ends."""
    hidden: tuple[str, ...]
    """Names of what differs, each once: `no-break space`, `en dash`, `blank at an end`; never a text of the file."""


def plainly(text: str) -> Plain:
    """A text as it looks.

    Parameters
    ----------
    text : str
        A heading, an identifier, a code or a number as a file holds it. Free text may mean its dashes.

    Returns
    -------
    Plain
        The text with what people can't see made plain. Blanks within it are kept, and are one kind.
    """
    if text.isascii() and text.isprintable() and text == text.strip():
        return Plain(text, ())
    kept, hidden = "", list[str]()
    for character in text:
        plain = _plain(character)
        if plain != character:
            hidden.append(name(character))
        kept += plain
    bare = kept.strip()
    # A character that is no plain blank was named already.
    if bare != kept and text != text.strip(" "):
        hidden.append(BLANK_AT_AN_END)
    return Plain(bare, tuple(dict.fromkeys(hidden)))


def _plain(character: str) -> str:
    if " " <= character <= "~" and character != "`":
        return character
    category = unicodedata.category(character)
    if character in _QUOTES:
        return "'"
    if category == "Pd" or character == _MINUS:
        return "-"
    if category in ("Zs", "Zl", "Zp") or character in "\t\n\r\v\f":
        return " "
    return "" if category in ("Cf", "Cc") else character


def name(character: str) -> str:
    """What a character is called: `no-break space`, `zero width space`, `en dash`, `byte order mark`.

    Parameters
    ----------
    character : str
        One character.
    """
    return _OWN_NAMES.get(character) or unicodedata.name(character, f"character U+{ord(character):04X}").lower()
