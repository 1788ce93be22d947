"""What reading a patient gives. Who only puts rows together imports this, and not what parses files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]

TABLES = (
    "files",
    "series",
    "slices",
    "ct_series",
    "dsos",
    "references",
    "frames",
    "segments",
    "segment_pairs",
    "alignments",
    "borders",
    "checksums",
    "identifiers",
    "standard",
)
"""Tables that a patient's files give rows of."""


@dataclass(slots=True)
class PatientRead:
    """What one patient came to."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in TABLES})
    limits: list[str] = field(default_factory=list)
    """What was not read though it was asked for."""
