"""Data-quality suite for CT-and-segmentation datasets in DICOM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crlm_qc.auditing.run import audit as audit
    from crlm_qc.model.report import Report as Report

    __version__: str
    from crlm_qc.auditing.fitness import cohort as cohort
    from crlm_qc.auditing.fitness import usable as usable
    from crlm_qc.testing.conformance import assert_conformant as assert_conformant

__all__ = ["Report", "__version__", "assert_conformant", "audit", "cohort", "usable"]


def __getattr__(name: str) -> Any:
    # Loaded at first use: `crlm-qc --help` needs none of them.
    if name == "__version__":
        from importlib.metadata import version

        return version("crlm-qc")
    if name == "audit":
        from crlm_qc.auditing.run import audit

        return audit
    if name == "assert_conformant":
        from crlm_qc.testing.conformance import assert_conformant

        return assert_conformant
    if name in ("cohort", "usable"):
        from crlm_qc.auditing import fitness

        return getattr(fitness, name)
    if name == "Report":
        from crlm_qc.model.report import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
