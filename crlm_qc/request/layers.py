"""Which of several sources of a setting holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """Where a setting comes from, the strongest last."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Held:
    """A setting that holds."""

    value: Any
    origin: Origin
    """Of a table, the strongest of its entries' origins."""
    entries: Mapping[str, Origin] = field(default_factory=dict)
    """Origin of each entry of a table."""


def layered(layers: Mapping[Origin, Mapping[str, Any]]) -> dict[str, Held]:
    """What holds where several sources set a key: an option before the environment, a file, and the default.

    Parameters
    ----------
    layers : mapping
        Values by key, for each source.

    Returns
    -------
    dict of str to Held
        Every key that is set. A table is put together of all sources, entry by entry; anything else is that of the
        strongest source, as a whole.
    """
    held: dict[str, Held] = {}
    for origin in Origin:
        for key, value in layers.get(origin, {}).items():
            below = held.get(key)
            if isinstance(value, Mapping):
                tabled = below if below is not None and isinstance(below.value, Mapping) else Held({}, origin)
                entries = {**tabled.entries, **dict.fromkeys(value, origin)}
                strongest = origin if value else tabled.origin
                held[key] = Held({**tabled.value, **value}, strongest, entries)
            else:
                held[key] = Held(value, origin)
    return held
