"""Faults to plant in a synthetic release: each is one named mutation, and names the rules that it must trigger.

A fault is about one thing: what describes the changed part elsewhere (File Size, folder names, dimension indices) is
brought along, unless the contradiction is the fault. A module holds the faults of one family of rules, or of a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from crlm_qc.synthetic.faults._registry import REGISTERED, Fault, plant

__all__ = ["FAULTS", "Fault", "plant"]

FAMILIES = (
    "rel",
    "rel_downloads",
    "led",
    "met",
    "man",
    "cln",
    "cts",
    "cts_values",
    "dso",
    "seg",
    "xrf",
    "pub",
    "did",
    "std",
)
"""The modules, in the order that faults are listed in."""

for _family in FAMILIES:
    import_module(f"{__name__}.{_family}")

FAULTS: Mapping[str, Fault] = MappingProxyType(REGISTERED)
"""Every fault by its name."""
