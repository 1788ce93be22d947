"""One slice of a synthetic release, opened to be changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Slice:
    """A CT slice on disk."""

    path: Path
    uid: str
    number: int
    """InstanceNumber."""
    position: tuple[float, float, float]
    """ImagePositionPatient, in mm."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The outermost slice at one end of the stack, which no segment reaches."""

    slice: Slice
    neighbour: Slice
    last: bool
    """Whether its InstanceNumber is the highest of the series (else it is the lowest)."""

    @property
    def step(self) -> tuple[float, float, float]:
        """From the neighbour to the slice, in mm."""
        a, b = self.neighbour.position, self.slice.position
        return (b[0] - a[0], b[1] - a[1], b[2] - a[2])


def moved(position: Iterable[float], step: Iterable[float], factor: float = 1.0) -> list[str]:
    """A position shifted by `factor` steps, as DS text of at most 16 characters."""
    return [decimal(a + factor * b) for a, b in zip(position, step, strict=True)]


def decimal(value: float) -> str:
    """A number as DS text: at most 16 characters (PS3.5 6.2)."""
    return f"{value:.9g}"
