"""SARIF 2.1.0 (OASIS), as code scanning of GitHub and editors read it: one result a rule and patient."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from crlm_qc.model.family import family_name
from crlm_qc.model.finding import RELEASE, Finding, fingerprint
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report, RuleText
from crlm_qc.model.severity import Severity
from crlm_qc.model.standing import State
from crlm_qc.model.words import plural
from crlm_qc.report import words

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ANCHOR = "expectations/crlm.toml"
"""Path, relative to the repository, that results are shown at: the data themselves are in no repository."""
MAX_PLACES = 10
"""Places that one result names; the rest is counted in its message."""

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
# Section 3.11.5 doubles braces, which would be placeholders; 3.11.6 escapes brackets, which would be links.
_BRACES = str.maketrans({"{": "{{", "}": "}}"})
_LINK = re.compile(r"[\\\[\]]")

_UNCHANGED = frozenset({State.PERSISTING, State.WAIVED, State.REOPENED})
_ADDED = frozenset({State.NEW, State.NEW_RULE, State.NEWLY_CHECKED})

_Key = tuple[str, str | None, bool]


def render(report: Report, anchor: str = ANCHOR) -> bytes:
    """Render a report as SARIF 2.1.0.

    Parameters
    ----------
    report : Report
        The report.
    anchor : str
        Path, relative to the repository, that every result is shown at.

    Returns
    -------
    bytes
        JSON in UTF-8. A result groups the findings of one rule and patient, the waived ones apart and suppressed.
    """
    indices = {text.code: index for index, text in enumerate(report.rules)}
    groups: dict[_Key, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        groups[finding.rule, finding.patient, finding.waived is not None].append(finding)
    physical = {
        "artifactLocation": {"uri": quote(anchor, safe="/")},
        "region": {"startLine": 1},
    }
    results = [
        _result(key, group, indices[key[0]], physical, twice=waived and (rule, patient, False) in groups)
        for key, group in groups.items()
        for rule, patient, waived in (key,)
    ]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "crlm-qc",
                "version": report.tool_version,
                "rules": [_rule(text) for text in report.rules],
            }
        },
        "automationDetails": {"id": "crlm-qc/"},
        "invocations": [_invocation(report, indices)],
        "results": results,
        "properties": {"verdict": words.clean(words.sentence(report)), "release": words.clean(report.release.root)},
    }
    if report.baseline is not None:
        # What is gone is told here: code scanning would open an alert for a result, absent or not.
        run["properties"]["since"] = words.clean(words.since(report))
        run["properties"]["fixed"] = [one.fingerprint for one in words.of_state(report, State.FIXED)]
    return words.json_bytes({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _message(text: str) -> dict[str, str]:
    """A message without links and placeholders."""
    return {"text": _LINK.sub(r"\\\g<0>", words.clean(text)).translate(_BRACES)}


def _rule(text: RuleText) -> dict[str, Any]:
    help_ = f"{text.why}\n\nWhat to do: {text.fix}\n\nSource: {text.source}"
    return {
        "id": text.code,
        "name": "".join(part.capitalize() for part in text.slug.split("-")),
        "shortDescription": {"text": text.title},
        "fullDescription": {"text": text.why},
        "help": {"text": help_},
        "defaultConfiguration": {"level": _LEVELS[text.severity]},
        "properties": {"tags": [text.family, family_name(text.family)]},
    }


def _result(
    key: _Key, findings: Sequence[Finding], index: int, physical: dict[str, Any], *, twice: bool
) -> dict[str, Any]:
    rule, patient, waived = key
    # Named by rule and patient alone, so that an alert stays the same while any finding of the two is there.
    name = fingerprint(rule, patient, RELEASE, int(twice))
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": index,
        "level": _LEVELS[min((one.severity for one in findings), key=lambda level: level.rank)],
        "message": _message("\n".join(_sentences(patient, findings))),
        "locations": [{"physicalLocation": physical, "logicalLocations": _logical(patient, findings)}],
        # The second is what GitHub tells alerts apart by; of itself it would take the anchor's line, the same for all.
        "partialFingerprints": {"ruleAndPatient/v1": name, "primaryLocationLineHash": f"{name}:1"},
        "properties": {"fingerprints": [one.fingerprint for one in findings]},
    }
    states = {one.baseline.state for one in findings if one.baseline is not None}
    if states:
        # Section 3.27.24: whether the result, here all findings of a rule and patient, was in the baseline.
        result["baselineState"] = _baseline_state(states)
        result["properties"]["states"] = [one.baseline.state.value for one in findings if one.baseline is not None]
    if waived:
        reasons = dict.fromkeys(words.clean(one.waived or "") for one in findings)
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": reason} for reason in reasons
        ]
    return result


def _baseline_state(states: set[State]) -> str:
    if states <= _ADDED:
        return "new"
    return "unchanged" if states <= _UNCHANGED else "updated"


def _sentences(patient: str | None, findings: Sequence[Finding]) -> list[str]:
    said = []
    for finding in findings[:MAX_PLACES]:
        details = words.expected_observed(finding)
        said.append(f"{finding.message}{f' ({details})' if details else ''}")
    if patient and not said[0].startswith(patient):
        said[0] = f"{patient}: {said[0]}"
    if rest := len(findings) - len(said):
        said.append(f"And {plural(rest, 'more finding')} of this rule.")
    return said


def _logical(patient: str | None, findings: Sequence[Finding]) -> list[dict[str, str]]:
    places = (
        [{"name": words.clean(patient), "kind": "patient"}] if patient else [{"name": "release", "kind": "release"}]
    )
    for finding in findings[:MAX_PLACES]:
        subject = finding.subject
        if not (where := words.clean(words.place(subject))):
            continue
        named = subject.column or (subject.path or "").rpartition("/")[2] or subject.uid or where
        place = {"name": words.clean(named), "fullyQualifiedName": where, "kind": subject.kind.value}
        if place not in places:
            places.append(place)
    return places


def _invocation(report: Report, indices: dict[str, int]) -> dict[str, Any]:
    notes: list[dict[str, Any]] = [{"level": "error", "message": _message(limit)} for limit in report.limits]
    for outcome in report.outcomes:
        if outcome.status in (Status.ERRORED, Status.SKIPPED):
            crashed = outcome.status is Status.ERRORED
            said = f"{'Crashed' if crashed else 'Not run'}: {outcome.reason or 'no reason given'}"
            about = {"id": outcome.rule, "index": indices[outcome.rule]}
            notes.append({"level": "error" if crashed else "note", "message": _message(said), "associatedRule": about})
    return {"executionSuccessful": not report.incomplete, "toolExecutionNotifications": notes}
