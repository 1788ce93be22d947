"""Counts from audit to audit: placed here, drawn as SVG by the template, as the strip plots are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crlm_qc.model.trend import NAMES, TOLD, Summary, Trend
from crlm_qc.report.html.plots import FOOT, LEFT, RIGHT

TOP, HIGH = 16.0, 64.0
"""Room above the field, and its height, in pixels."""


@dataclass(frozen=True, slots=True)
class Point:
    """One audit."""

    audit: Summary
    count: int
    x: float
    """In percent of the width."""
    y: float
    """In pixels."""


@dataclass(frozen=True, slots=True)
class Course:
    """One count over the audits; each has a scale of its own, from nothing to its largest."""

    name: str
    title: str
    points: Sequence[Point]

    @property
    def base(self) -> float:
        """Where nothing lies, in pixels from the top."""
        return TOP + HIGH

    @property
    def height(self) -> float:
        """Height of the whole, in pixels."""
        return self.base + FOOT

    @property
    def in_words(self) -> str:
        """All that it shows, in one sentence."""
        return f"{self.title}: {', '.join(f'{one.count:,} on {one.audit.day}' for one in self.points)}."


def courses(trend: Trend | None) -> list[Course]:
    """A course for each count that is told; none without a trend."""
    return [] if trend is None else [_course(name, trend.audits) for name in TOLD]


def _course(name: str, audits: Sequence[Summary]) -> Course:
    most = max(1, *(audit.count(name) for audit in audits))
    wide = (RIGHT - LEFT) / (len(audits) - 1)
    return Course(
        name,
        NAMES[name].capitalize(),
        [
            Point(
                audit,
                audit.count(name),
                round(LEFT + at * wide, 2),
                round(TOP + HIGH * (1 - audit.count(name) / most), 1),
            )
            for at, audit in enumerate(audits)
        ],
    )
