"""Data-quality suite for CT-and-segmentation datasets in DICOM."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crlm_qc.auditing.run import audit as audit
    from crlm_qc.model.report import Report as Report
    from crlm_qc.testing.conformance import assert_conformant as assert_conformant

__all__ = ["Report", "__version__", "assert_conformant", "audit"]

__version__ = version("crlm-qc")


def __getattr__(name: str) -> Any:
    # Loaded at first use: `crlm-qc --help` needs neither.
    if name == "audit":
        from crlm_qc.auditing.run import audit

        return audit
    if name == "assert_conformant":
        from crlm_qc.testing.conformance import assert_conformant

        return assert_conformant
    if name == "Report":
        from crlm_qc.model.report import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
