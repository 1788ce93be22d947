"""Lines of lists of checksums, as `sha256sum`, `md5sum` and the like write them."""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"(\\?)[0-9a-fA-F]{32,128} [ *](.+)", re.DOTALL)
_TAGGED: Final = re.compile(r"(\\?)[A-Za-z0-9-]{2,16} \((.+)\) ?= [0-9a-fA-F]{32,128}", re.DOTALL)
"""As BSD writes them: `SHA256 (path) = digits`."""
_ESCAPES: Final = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}
_ESCAPED: Final = {escape: character for character, escape in _ESCAPES.items()}


def escaped(path: str) -> str:
    """A path as it stands in a line; where it is another, the line begins with a backslash."""
    return "".join(_ESCAPES.get(character, character) for character in path)


def unescaped(name: str) -> str | None:
    """The path that stands in a line that begins with a backslash; None where that is no such."""
    parts = re.split(r"(\\.?)", name, flags=re.DOTALL)
    if not all(part in _ESCAPED for part in parts[1::2]):
        return None
    return "".join(_ESCAPED.get(part, part) for part in parts)


def named_by(line: str) -> str | None:
    """The path that a line is of; None if it is no line of a list of checksums."""
    match = _LINE.fullmatch(line) or _TAGGED.fullmatch(line)
    if match is None:
        return None
    return unescaped(match[2]) if match[1] else match[2]
