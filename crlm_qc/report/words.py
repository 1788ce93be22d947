"""Words, signs and figures that every format shares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from crlm_qc.model.cases import CaseGroup
from crlm_qc.model.cohort import patients_here
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import CacheUse, Report, Verdict
from crlm_qc.model.severity import Severity
from crlm_qc.model.standing import State
from crlm_qc.model.waivers import WaiverState, WaiverUse
from crlm_qc.model.wholeness import SERIES, ListedBy, ToFetch
from crlm_qc.model.words import plural

if TYPE_CHECKING:
    from crlm_qc.model.finding import Finding, Subject
    from crlm_qc.model.fitness import Spoils
    from crlm_qc.model.settings import Settings
    from crlm_qc.model.standing import Standing

WORDS: Mapping[Severity, str] = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
"""What people read for a severity."""

GLYPHS: Mapping[str, str] = {
    "error": "\N{MULTIPLICATION X}",
    "warning": "!",
    "info": "i",
    "waived": "~",
    "passed": "\N{CHECK MARK}",
    "failed": "\N{MULTIPLICATION X}",
    "skipped": "\N{EN DASH}",
    "errored": "\N{MULTIPLICATION X}",
}

STATUS_WORDS: Mapping[Status, str] = {
    Status.PASSED: "passed",
    Status.FAILED: "found",
    Status.SKIPPED: "not run",
    Status.ERRORED: "crashed",
}

NO_LAST = "--baseline last: no earlier audit of this release, as deep and as wide, was kept; all findings count"
"""What is said where the last audit is asked for, and there is none."""

_DOT = " \N{MIDDLE DOT} "

# Control characters could rewrite a terminal's screen; marks of direction could reorder what is read.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def duration(seconds: float) -> str:
    """A time as people say it: `0.8 s`, `42 s`, `3 min 5 s`, `1 h 2 min`."""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def from_cache(use: CacheUse) -> str:
    """What a run took from the cache: `196 of 197 patients from the cache, read 2026-11-20 or later`."""
    every = use.patients + use.read
    return f"{use.patients:,} of {plural(every, 'patient')} from the cache, read {use.oldest} or later"


def clean(text: str) -> str:
    """Text with nothing in it that a terminal, a browser or UTF-8 would stumble over.

    Parameters
    ----------
    text : str
        Text that may come from a file.

    Returns
    -------
    str
        The same, line ends made spaces, and control characters, marks of direction and lone surrogates replaced.
    """
    return _UNSAFE.sub(lambda match: " " if match[0] in "\t\n\r" else "\N{REPLACEMENT CHARACTER}", text)


def json_bytes(value: object) -> bytes:
    """Plain values as JSON in UTF-8, with a line end at the end.

    What `clean` would replace, such as lone surrogates of file names, is written as JSON's escapes: nothing is lost,
    and a terminal can print the file.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    escaped = _UNSAFE.sub(lambda match: "\n" if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)
    return f"{escaped}\n".encode()


def quantity(value: float, unit: str) -> str:
    """A number with its unit, if it has one: `0.01 mm`, `0.05`."""
    return f"{value:g} {unit}" if unit else f"{value:g}"


def size(count: int) -> str:
    """Bytes as people read them, in decimal units: 84.8 MB."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def listing(items: Iterable[str], most: int | None = None) -> str:
    """Items as a sentence has them: `a, b and c`, or `a, b and 3 more`."""
    every = list(items)
    if most is not None and len(every) > most:
        return f"{', '.join(every[:most])} and {len(every) - most:,} more"
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}" if every else ""


def spoils(spoiled: Spoils) -> str:
    """What findings of a rule spoil: `a patient is left out of volumetry; usable with care for lesion-counts`, or `nothing`."""
    parts = [f"a patient is left out of {listing(spoiled.out)}"] if spoiled.out else []
    if spoiled.care:
        parts.append(f"{'usable' if parts else 'a patient is usable'} with care for {listing(spoiled.care)}")
    everyone = "; so is every patient where it is found of the release" if spoiled.everyone else ""
    return f"{'; '.join(parts)}{everyone}" if parts else "nothing"


def within(subject: Subject) -> str:
    """Where inside a file or series a finding is: segment, row and column, whichever are known."""
    parts = [
        f"segment {subject.segment}" if subject.segment is not None else None,
        f"row {subject.row}" if subject.row is not None else None,
        subject.column,
    ]
    return _DOT.join(part for part in parts if part)


def place(subject: Subject) -> str:
    """Where a finding is: path, UID, segment, row and column, whichever are known."""
    return _DOT.join(part for part in (subject.path, subject.uid, within(subject)) if part)


def examples(finding: Finding) -> list[str]:
    """Examples that the message does not tell already."""
    return [example for example in finding.examples if example not in finding.message]


def expected_observed(finding: Finding) -> str:
    """What was expected and what was seen, in a few words."""
    parts = [("expected", finding.expected), ("observed", finding.observed)]
    return ", ".join(f"{word} {value}" for word, value in parts if value)


def open_findings(report: Report) -> list[Finding]:
    """The findings that count, gravest first."""
    return [finding for finding in report.findings if finding.waived is None]


def touched(report: Report, findings: Iterable[Finding]) -> tuple[list[str], list[str]]:
    """Whom findings are of: patients of the release, and those that are named somewhere and not in it."""
    here = patients_here(report)
    named = sorted({finding.patient for finding in findings if finding.patient})
    return [one for one in named if one in here], [one for one in named if one not in here]


def extent(report: Report, findings: Sequence[Finding]) -> str:
    """How many patients findings touch, to follow their number: ` in 2 patients`, or nothing."""
    here, away = touched(report, findings)
    said = [f"in {plural(len(here), 'patient')}"] if here else []
    said += [f"of {plural(len(away), 'patient')} not in the release"] if away else []
    return f" {' and '.join(said)}" if said else ""


def counted(report: Report, group: CaseGroup) -> str:
    """How many cases of how many findings there are, and in how many patients: `1 case of 5 findings in 1 patient`."""
    cases, findings = len(group.cases), plural(len(group.findings), "finding")
    said = findings if cases == len(group.findings) else f"{plural(cases, 'case')} of {findings}"
    return said + extent(report, [case.lead for case in group.cases])


def comes_to(report: Report, group: CaseGroup) -> str:
    """What cases come to for who uses the release; empty where an earlier version does not say what rules spoil."""
    return "" if report.text(group.rule).spoils is None else group.consequence.value


def _errors(report: Report) -> str:
    errors = [finding for finding in open_findings(report) if finding.severity is Severity.ERROR]
    here, away = touched(report, errors)
    where = [f"in {len(here):,} of {plural(report.release.patients, 'patient')}"] if here else []
    where += [f"of {plural(len(away), 'patient')} not in the release"] if away else []
    where += ["in the release as a whole"] if any(finding.patient is None for finding in errors) else []
    return f"{plural(len(errors), 'error')} {' and '.join(where)}"


def _rest(report: Report) -> list[str]:
    counts = report.counts
    parts = [plural(counts[level.value], WORDS[level]) for level in (Severity.WARNING, Severity.INFO)]
    rest = [part for part in parts if not part.startswith("0 ")]
    if report.open_cases < len(open_findings(report)):
        rest.append(f"in all {plural(report.open_cases, 'case')}")
    if counts["waived"]:
        rest.append(f"{counts['waived']:,} waived")
    return rest


NOTHING = "Nothing was checked: no image of a patient was found, or no rule could look at what was"
"""What is said of an audit that looked at nothing."""


def sentence(report: Report) -> str:
    """The verdict in one sentence, with no full stop.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    str
        For example `Not conformant: 3 errors in 2 of 197 patients; 41 warnings`.
    """
    if report.empty:
        return NOTHING
    rest = _rest(report)
    if report.verdict is Verdict.NOT_CONFORMANT:
        parts = [_errors(report), *rest]
        if report.incomplete:
            parts.append("not everything could be checked")
        return f"Not conformant: {'; '.join(parts)}"
    if report.verdict is Verdict.INCOMPLETE:
        parts = ["no errors in what was checked", *rest]
        parts.append("not everything could be checked" if report.incomplete else "only a part was asked for")
        return f"Incomplete: {'; '.join(parts)}"
    return "; ".join([f"Conformant: no errors in {plural(report.release.patients, 'patient')}", *rest])


MAX_ENDING = 5
"""Waivers that end soon, of which so many are named."""
MAX_TO_FETCH = 5
"""Series to fetch that the first line names."""
_LISTED_BY = {ListedBy.MANIFEST: ", as the manifest lists", ListedBy.METADATA: ", as metadata.csv lists"}


def wholeness(report: Report) -> str:
    """Whether the download is whole, in one sentence.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    str
        For example `Published series on disk: CT 197 of 197, SEG 195 of 197; 2 to fetch: CRLM-CT-1003 SEG, CRLM-CT-1007
        SEG.`; empty where no list tells, or all is there that a list has which is no more than a part of the release.
    """
    found = report.wholeness
    published = found is not None and found.listed_by is ListedBy.LEDGER
    if found is None or (found.is_whole and not published):
        return ""
    counts = ", ".join(
        f"{'' if name == SERIES else name + ' '}{found.whole.get(name, 0):,} of {count:,}"
        for name, count in found.expected.items()
    )
    what = "Published series" if published else "Series"
    where = " of the patients that are there" if published and found.partial else _LISTED_BY.get(found.listed_by, "")
    said = f"{what} on disk{where}: {counts}"
    if found.is_whole:
        return f"{said}: whole, to the byte."
    if not found.to_fetch:
        return f"{said}."
    named = [_to_fetch(one) for one in found.to_fetch if one.patient and one.modality]
    names = f": {listing(named, MAX_TO_FETCH)}" if len(named) == len(found.to_fetch) else ""
    return f"{said}; {len(found.to_fetch):,} to fetch{names}."


def _to_fetch(one: ToFetch) -> str:
    return f"{one.patient} {one.modality}" + ("" if one.why == "absent" else f" ({one.why})")


def layout(report: Report) -> str:
    """How the release lies on disk, in words."""
    return {
        "nbia": "laid out as the NBIA downloader writes it",
        "card": "laid out as the dataset card draws it",
        "idc": "laid out as the Imaging Data Commons' downloader writes it",
        "classic": "laid out by UIDs, as the NBIA downloader's classic naming is",
        "series": "laid out in folders that name no patients",
        "flat": "laid out with several series in one folder",
        "other": "laid out in a way of its own",
    }.get(report.release.layout, "with no series found")


def not_run(report: Report) -> dict[str, list[str]]:
    """Reasons why rules were not run, each with the rules' codes; in the order of the codes."""
    reasons: dict[str, list[str]] = {}
    for outcome in report.outcomes:
        if outcome.status is Status.SKIPPED:
            reasons.setdefault(outcome.reason or "no reason given", []).append(outcome.rule)
    return reasons


MAX_LIMITS = 100
"""Limits that a report says one by one."""


def limits(report: Report) -> list[str]:
    """What was not read though it was asked for, in words; of very many the first, and how many more there are."""
    said = list(report.limits[:MAX_LIMITS])
    if rest := len(report.limits) - len(said):
        said.append(f"{plural(rest, 'more limit stands', 'more limits stand')} in findings.json")
    return said


def narrowing(report: Report) -> list[str]:
    """How the user narrowed the audit, in words."""
    return narrowed(report.settings)


def narrowed(settings: Settings) -> list[str]:
    """How an audit is narrowed, in words."""
    said = []
    if settings.depth.value != "pixels":
        what = {"headers": "only headers and tables", "masks": "headers, tables and masks, but not the CT images"}
        said.append(f"Read at depth {settings.depth.value}: {what[settings.depth.value]}.")
    if settings.patients:
        said.append(f"Only {plural(len(settings.patients), 'patient')} asked for: {listing(settings.patients, 10)}.")
    elif settings.subset:
        said.append("Audited as a subset: counts over the whole release were not checked.")
    if settings.select:
        said.append(f"Only these rules were asked for: {listing(settings.select)}.")
    if settings.ignore:
        said.append(f"These rules were left out: {listing(settings.ignore)}.")
    if settings.tolerances:
        given = (f"{name} to {value:g}" for name, value in sorted(settings.tolerances.items()))
        said.append(f"Tolerances were changed: {', '.join(given)}.")
    if settings.severity:
        changed = (f"{code} to {level.value}" for code, level in sorted(settings.severity.items()))
        said.append(f"Severities were changed: {listing(changed)}.")
    return said


def ending(report: Report) -> str:
    """Which waivers end soon, after which day their findings count again, in one sentence; empty if none does."""
    soon = sorted((use for use in report.waivers if use.state is WaiverState.ENDING), key=lambda use: use.until or "")
    named = [f"{use.rule}{_whose(use)} after {use.until}" for use in soon]
    verb = "ends" if len(soon) == 1 else "end"
    said = f"{plural(len(soon), 'waiver')} {verb} soon, and what {'it accepts' if len(soon) == 1 else 'they accept'} counts again"
    return f"{said}: {listing(named, MAX_ENDING)}." if soon else ""


def _whose(use: WaiverUse) -> str:
    if len(use.patients) > 1:
        return f" for {plural(len(use.patients), 'patient')}"
    return "".join(f" for {'every patient' if one == 'every' else one}" for one in use.patients)


def lacks(report: Report) -> str:
    """What the workbook's edition has not and others have, ready to follow the edition's name; empty if nothing."""
    columns = report.release.workbook_lacks
    return f"; it lacks {', '.join(columns)}, which other editions have" if columns else ""


def changed(counts: Mapping[State, int], new: Iterable[Finding]) -> str:
    """What changed since an earlier audit, in one sentence with no full stop.

    Parameters
    ----------
    counts : mapping
        Findings by state.
    new : iterable of Finding
        Those that are new.
    """
    parts = []
    severities = [finding.severity for finding in new]
    for state in State:
        if not counts.get(state):
            continue
        told = f"{counts[state]:,} {state.value}"
        if state is State.NEW:
            levels = [plural(severities.count(level), WORDS[level]) for level in Severity if level in severities]
            told += f" ({listing(levels)})"
        parts.append(told)
    said = ", ".join(parts)
    if counts.get(State.NEW) or counts.get(State.REOPENED):
        return said
    return f"Nothing new: {said}" if parts else "No findings in either"


def since(report: Report) -> str:
    """What changed since the baseline, in one sentence with no full stop; empty where there is none."""
    if report.baseline is None:
        return ""
    counts = {state: report.baseline.summary.get(state.value, 0) for state in State}
    said = changed(counts, of_state(report, State.NEW))
    return f"Since {report.baseline.name}: {said[0].lower()}{said[1:]}"


def of_state(report: Report, state: State) -> list[Finding]:
    """Findings that stand so to the baseline, gravest first; those that are gone too."""
    every = [*report.findings, *(report.baseline.gone if report.baseline else ())]
    return [one for one in every if one.baseline is not None and one.baseline.state == state]


def standing(finding: Finding) -> str:
    """How a finding stands to the baseline, and what it was there; empty where it is as it was, or there is none."""
    stands = finding.baseline
    if stands is None or stands.state is State.PERSISTING:
        return ""
    if stands.state is State.CHANGED and (told := was(finding, stands)):
        return f"{stands.state.value}, {told}"
    return stands.state.value


def whose(finding: Finding) -> str:
    """The message of a finding, with its patient where the message does not begin with it."""
    if not finding.patient or finding.message.startswith(finding.patient):
        return finding.message
    return f"{finding.patient}: {finding.message}"


def rule_and_state(finding: Finding) -> str:
    """The rule of a finding, and how it stands to the baseline, if there is one."""
    return finding.rule if finding.baseline is None else f"{finding.rule} {finding.baseline.state.value}"


def was(now: Finding, before: Finding | Standing) -> str:
    """What a finding was before, where that differs."""
    said = []
    if now.observed != before.observed:
        said.append(f"was {before.observed or 'not told'}")
    if before.count is not None and now.count != before.count:
        said.append(f"was {before.count:,} times" if before.count > 1 else "was once")
    if before.severity is not None and now.severity is not before.severity:
        said.append(f"was {'an' if before.severity is Severity.ERROR else 'a'} {WORDS[before.severity]}")
    return "; ".join(said)
