"""A part of a release: the share of its patients that one of several machines reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from crlm_qc.model.errors import UsageError

MOST: Final = 100_000
"""Parts of one release: as many as it may well have patients."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """The third of sixteen shares: `3/16`."""

    number: int
    """From 1."""
    of: int
    """How many there are."""

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str, option: str = "") -> Part:
        """A part as it is typed.

        Raises
        ------
        UsageError
            It is none; the message names the option.
        """
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        if match is None or not 1 <= (number := int(match[1])) <= (of := int(match[2])) <= MOST:
            raise UsageError(f"{option} {text}: no part: give K/N, the K-th of N shares, such as 3/16".lstrip())
        return cls(number, of)
