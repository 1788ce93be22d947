"""Characters that look like others, or like nothing: two texts that differ in them alone look the same."""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

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

# Latin letters, and those of the Cyrillic and Greek alphabets that are drawn as they are.
_ALIKE: Final = (
    ("AABBCEEHHIIJKKMMNOOPPSTTXXYYZ", (
        "\u0410\u0391\u0412\u0392\u0421\u0415\u0395\u041d\u0397\u0406\u0399\u0408\u041a\u039a\u041c"
        "\u039c\u039d\u041e\u039f\u0420\u03a1\u0405\u0422\u03a4\u0425\u03a7\u0423\u03a5\u0396"
    )),
    ("aceijoopsxy", (
        "\u0430\u0441\u0435\u0456\u0458\u043e\u03bf\u0440\u0455\u0445\u0443"
    )),
)  # fmt: skip
_LATIN: Final = {alike: latin for latins, others in _ALIKE for latin, alike in zip(latins, others, strict=True)}


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


def plain_text(text: str) -> str:
    """A heading, an identifier or a number as it was meant, whatever alphabet or width its signs are of.

    Parameters
    ----------
    text : str
        As a file holds it.

    Returns
    -------
    str
        With Latin letters and digits for those that look alike or are other scripts' too. Blanks at its ends are left.
    """
    return text if text.isascii() else "".join(map(_meant, text))


def deceptive(text: str) -> tuple[str, ...]:
    """Names of the characters in a text that are not as they look, with their numbers, each once.

    Parameters
    ----------
    text : str
        As a file holds it.

    Returns
    -------
    tuple of str
        For example `no-break space (U+00A0)`.
    """
    if text.isascii():
        return ()
    return tuple(dict.fromkeys(f"{name(one)} (U+{ord(one):04X})" for one in text if _meant(one) != one))


def _meant(character: str) -> str:
    if character in _LATIN:
        return _LATIN[character]
    if character.isdecimal():
        return str(unicodedata.digit(character))
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    return _plain(character)
