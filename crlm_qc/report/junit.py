"""JUnit XML, as Jenkins, GitLab and their like read it: a suite a patient, a case a family of rules."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Sequence

from crlm_qc.model.family import family_name
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report
from crlm_qc.model.severity import Severity
from crlm_qc.model.words import plural
from crlm_qc.report import words

RELEASE = "release"
"""Suite of what belongs to no patient."""

MAX_PER_CASE = 100
"""Findings that one case tells of; the suite's properties name them all."""

_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}

_Grouped = dict[str | None, dict[str, list[Finding]]]


def render(report: Report) -> bytes:
    """Render a report as JUnit XML.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    bytes
        UTF-8. A case fails with an open error; it is skipped if nothing but waived findings stands there, or if none
        of its rules ran; warnings and notes stand in its output. In the suite `release`, each rule that was not run
        is a skipped case of its own, and each that crashed one with an error, so that neither looks like a pass.
        No clock and no host is named: times are 0.
    """
    grouped: _Grouped = defaultdict(lambda: defaultdict(list))
    for finding in report.findings:
        grouped[finding.patient][finding.rule[:3]].append(finding)
    families: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in report.outcomes:
        families[outcome.rule[:3]].append(outcome)
    for by_family in grouped.values():
        for family in by_family:
            families.setdefault(family, [])
    patients = sorted({one.patient for one in report.patients} | {name for name in grouped if name is not None})

    root = ET.Element("testsuites", name="crlm-qc", time="0")
    release = _suite(root, RELEASE, grouped[None], families, _provenance(report))
    _limits(release, report)
    for outcome in report.outcomes:
        if outcome.status in (Status.SKIPPED, Status.ERRORED):
            _not_run(release, outcome, report.text(outcome.rule).title)
    for patient in patients:
        _suite(root, patient, grouped[patient], families, ())
    for suite in root:
        _count(suite)
    _count(root)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _provenance(report: Report) -> list[tuple[str, str]]:
    facts = report.release
    said = [
        ("tool", f"crlm-qc {report.tool_version}"),
        ("release", facts.root),
        ("collection", f"{facts.collection}, doi:{facts.doi}" if facts.doi else facts.collection),
        ("verdict", words.sentence(report)),
    ]
    if report.baseline is not None:
        said.append(("since", words.since(report)))
        said += [(f"f-{one.fingerprint}", words.rule_and_state(one)) for one in report.baseline.gone]
    return said + [("narrowed", line) for line in words.narrowing(report)]


def _suite(
    root: ET.Element,
    name: str,
    findings: dict[str, list[Finding]],
    families: dict[str, list[Outcome]],
    properties: Iterable[tuple[str, str]],
) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", name=_text(name), time="0")
    named = [*properties]
    named += [
        (f"f-{one.fingerprint}", words.rule_and_state(one))
        for family in sorted(families)
        for one in findings.get(family, ())
    ]
    if named:
        holder = ET.SubElement(suite, "properties")
        for key, value in named:
            ET.SubElement(holder, "property", name=_text(key), value=_text(value))
    for family in sorted(families):
        _case(suite, family, families[family], findings.get(family, ()))
    return suite


def _case(suite: ET.Element, family: str, outcomes: Sequence[Outcome], findings: Sequence[Finding]) -> None:
    case = _new_case(suite, f"{family} {family_name(family)}")
    waived = [one for one in findings if one.waived is not None]
    counted = [one for one in findings if one.waived is None]
    errors = [one for one in counted if one.severity is Severity.ERROR]
    others = [one for one in counted if one.severity is not Severity.ERROR]
    if errors:
        rules = words.listing(sorted({one.rule for one in errors}))
        message = f"{plural(len(errors), 'error')} of {rules}"
        _told(case, "failure", message, "\n".join(_described(errors)))
    elif waived and not others:
        reasons = "; ".join(dict.fromkeys(one.waived for one in waived if one.waived))
        _told(case, "skipped", f"waived: {reasons}", "")
    elif not findings and all(outcome.status in (Status.SKIPPED, Status.ERRORED) for outcome in outcomes):
        reasons = "; ".join(dict.fromkeys(outcome.reason or "no reason given" for outcome in outcomes))
        _told(case, "skipped", f"not run: {reasons}", "")
    if said := _described([*others, *waived]):
        ET.SubElement(case, "system-out").text = _text("\n".join(said))


def _described(findings: Sequence[Finding]) -> list[str]:
    said = [_describe(finding) for finding in findings[:MAX_PER_CASE]]
    return [*said, f"and {rest:,} more in findings.json"] if (rest := len(findings) - len(said)) else said


def _describe(finding: Finding) -> str:
    stands = words.standing(finding)
    head = f"{f'[{stands}] ' if stands else ''}{words.WORDS[finding.severity]} {finding.rule}: {finding.message}"
    details = [words.expected_observed(finding), f"{finding.count:,} times" if finding.count > 1 else ""]
    lines = [head, "; ".join(part for part in details if part), words.place(finding.subject)]
    lines += [f"waived: {finding.waived}" if finding.waived is not None else "", f"f-{finding.fingerprint}"]
    return "\n  ".join(words.clean(line) for line in lines if line)


def _not_run(suite: ET.Element, outcome: Outcome, title: str) -> None:
    case = _new_case(suite, f"{outcome.rule} {title}")
    crashed = outcome.status is Status.ERRORED
    said = outcome.reason or "no reason given"
    _told(case, "error" if crashed else "skipped", f"{'crashed' if crashed else 'not run'}: {said}", "")


def _limits(suite: ET.Element, report: Report) -> None:
    if report.limits:
        _told(_new_case(suite, "Reading"), "error", "not everything could be read", "\n".join(report.limits))


def _new_case(suite: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", name=_text(name), classname=suite.get("name", ""), time="0")


def _told(case: ET.Element, tag: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, message=_text(message))
    if text:
        element.text = _text(text)


def _text(text: str) -> str:
    """Text with its line ends, and nothing in it that XML 1.0 can't hold (section 2.2), which `clean` replaces."""
    return "\n".join(words.clean(line) for line in text.split("\n"))


def _count(element: ET.Element) -> None:
    """Set the totals that readers compare with what they count."""
    element.set("tests", str(sum(1 for _ in element.iter("testcase"))))
    for name, tag in _COUNTED.items():
        # The outermost element has no count of what was skipped in the schema of Jenkins.
        if element.tag == "testsuite" or name != "skipped":
            element.set(name, str(sum(1 for _ in element.iter(tag))))
