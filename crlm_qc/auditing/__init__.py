"""From a release to a report: reads evidence, and has it judged by the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crlm_qc.auditing.run import audit as audit
from crlm_qc.model.errors import UsageError as UsageError

if TYPE_CHECKING:
    from crlm_qc.auditing.judging import judge as judge

__all__ = ["UsageError", "audit", "judge"]


def __getattr__(name: str) -> Any:
    # Loaded at first use, as by an audit: `crlm-qc --help` judges nothing.
    if name == "judge":
        from crlm_qc.auditing.judging import judge

        return judge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
