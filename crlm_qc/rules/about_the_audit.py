"""Rules about the audit itself, which makes their findings: rules that crashed, waivers that expired or are unused."""

from __future__ import annotations

from crlm_qc.model.fitness import NOTHING
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.waivers import EXPIRED, UNUSED
from crlm_qc.rulebook.rule import RuleKind, made_by_the_audit, rule

rule_crashed = rule(
    "REL900",
    "rule-crashed",
    ERROR,
    title="A rule crashed",
    why="What the rule looks for was not looked for, so the audit is incomplete; every other rule went on.",
    fix="Report the rule's code and the place that the finding names.",
    source="crlm-qc itself",
    tables=(),
    kind=RuleKind.AUDIT,
    spoils=NOTHING,
)(made_by_the_audit)

waiver_expired = rule(
    EXPIRED,
    "waiver-expired",
    WARNING,
    title="A waiver has expired",
    why="What was accepted for a while is accepted no longer: its findings count again.",
    fix="Mend the fault, or look at it again and set a new date.",
    source="the project's file of waivers",
    tables=(),
    kind=RuleKind.AUDIT,
    spoils=NOTHING,
)(made_by_the_audit)

waiver_unused = rule(
    UNUSED,
    "waiver-unused",
    WARNING,
    title="A waiver matches no finding",
    why="The fault was mended, or the waiver names the wrong subject; left in, it would hide the fault's return.",
    fix="Take the waiver out, or correct its code, patients or subject.",
    source="the project's file of waivers",
    tables=(),
    kind=RuleKind.AUDIT,
    spoils=NOTHING,
)(made_by_the_audit)
