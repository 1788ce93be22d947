"""Characters that nobody sees, or takes for others: blanks of all sorts, dashes, full-width and foreign digits, look-alike letters."""

from __future__ import annotations

import unicodedata
from typing import Final

_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63"
_APOSTROPHES: Final = "\u00b4\u02b9\u02bc\u2018\u2019\u201b\u2032"
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
_PLAIN: Final = {
    **dict.fromkeys(_DASHES, "-"),
    **dict.fromkeys(_APOSTROPHES, "'"),
    **{alike: latin for latins, others in _ALIKE for latin, alike in zip(latins, others, strict=True)},
}
_NAMES: Final = {
    "\ufeff": "byte order mark",
    "\u00a0": "no-break space",
    "\u202f": "narrow no-break space",
    "\u2212": "Unicode minus",
    "\u2018": "curly apostrophe",
    "\u2019": "curly apostrophe",
}
_SCRIPTS: Final = ("cyrillic", "greek", "latin", "arabic", "indic")
"""Words of Unicode names that English writes with a capital."""


def plain_text(text: str) -> str:
    """A text as it was meant.

    Parameters
    ----------
    text : str
        As a file holds it.

    Returns
    -------
    str
        Without what nobody sees, with ordinary blanks, hyphens, apostrophes, digits and Latin letters for those that
        look alike. White space at its ends is left.
    """
    return text if text.isascii() else "".join(map(_plain, text))


def _plain(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category == "Nd":
        return str(unicodedata.digit(character))
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    return character


def deceptive(text: str) -> tuple[str, ...]:
    """Names of the characters in a text that nobody sees or takes for others, each once, in their order.

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
    return tuple(dict.fromkeys(character_name(one) for one in text if _plain(one) != one))


def character_name(character: str) -> str:
    """A character's name in Unicode, and its number.

    Parameters
    ----------
    character : str
        One character.

    Returns
    -------
    str
        For example `Cyrillic capital letter es (U+0421)`.
    """
    name = _NAMES.get(character) or unicodedata.name(character, "unnamed character").lower()
    for script in _SCRIPTS:
        name = name.replace(script, script.capitalize())
    return f"{name} (U+{ord(character):04X})"
