"""Rules about waivers."""

from __future__ import annotations

from crlm_qc.model.rule import RuleKind, made_by_the_audit, rule
from crlm_qc.model.severity import Severity
from crlm_qc.model.waivers import EXPIRED, UNUSED

waiver_expired = rule(
    EXPIRED,
    "waiver-expired",
    Severity.WARNING,
    title="A waiver has expired",
    why="What was accepted for a while is accepted no longer: its findings count again.",
    fix="Mend the fault, or look at it again and set a new date.",
    source="the project's file of waivers",
    tables=(),
    kind=RuleKind.AUDIT,
)(made_by_the_audit)

waiver_unused = rule(
    UNUSED,
    "waiver-unused",
    Severity.WARNING,
    title="A waiver matches no finding",
    why="The fault was mended, or the waiver names the wrong subject; left in, it would hide the fault's return.",
    fix="Take the waiver out, or correct its code, patients or subject.",
    source="the project's file of waivers",
    tables=(),
    kind=RuleKind.AUDIT,
)(made_by_the_audit)
