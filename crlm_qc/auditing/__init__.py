"""From a release to a report: reads evidence, and has it judged by the rules."""

from crlm_qc.auditing.judging import judge as judge
from crlm_qc.auditing.run import audit as audit
from crlm_qc.model.errors import UsageError as UsageError

__all__ = ["UsageError", "audit", "judge"]
