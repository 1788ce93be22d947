"""How a release that lies elsewhere is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Access:
    """What a user says beside the URL of a release. What is secret comes from the environment alone, and never stands here."""

    listing: Path | None = None
    """File of this machine that lists what is there: files by their paths, or series by the folders of their objects."""
    endpoint: str | None = None
    """URL of another server that speaks the language of the store."""
    anonymous: bool = False
    """Whether no request is signed, whatever the environment holds."""


PLAIN: Final = Access()
"""Of a release that nothing is said of."""
