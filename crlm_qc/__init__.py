"""Data-quality suite for CT-and-segmentation datasets in DICOM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crlm_qc.auditing.run import audit as audit
    from crlm_qc.model.report import Report as Report
    from crlm_qc.model.settings import Settings as Settings
    from crlm_qc.request.saved import load_report as load_report

    __version__: str
    from crlm_qc.auditing.fitness import cohort as cohort
    from crlm_qc.auditing.fitness import usable as usable
    from crlm_qc.testing.conformance import assert_conformant as assert_conformant

__all__ = ["Report", "Settings", "__version__", "assert_conformant", "audit", "cohort", "load_report", "usable"]
_PLACES = {
    "Report": "crlm_qc.model.report",
    "Settings": "crlm_qc.model.settings",
    "assert_conformant": "crlm_qc.testing.conformance",
    "audit": "crlm_qc.auditing.run",
    "cohort": "crlm_qc.auditing.fitness",
    "load_report": "crlm_qc.request.saved",
    "usable": "crlm_qc.auditing.fitness",
}
"""Modules that names come from."""


def __getattr__(name: str) -> Any:
    # Loaded at first use: `crlm-qc --help` needs none of them.
    if name == "__version__":
        from importlib.metadata import version

        return version("crlm-qc")
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # So that a notebook completes names that are not loaded yet.
    return sorted({*globals(), *__all__})
