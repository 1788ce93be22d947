"""GitHub-flavoured Markdown: the summary of a CI step, an issue or a comment."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from crlm_qc.model.cases import open_cases
from crlm_qc.model.cohort import Judge
from crlm_qc.model.finding import Finding
from crlm_qc.model.fitness import Fit
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report, Verdict
from crlm_qc.model.severity import Severity
from crlm_qc.model.standing import State
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.fitness import behind

MAX_BYTES = 900_000
"""GitHub refuses a step's summary above 1 MiB, and shows nothing of it."""
MAX_NAMED = 10
MAX_PER_PATIENT = 100
"""Findings that one fold lists: those of the release as a whole may be many."""
_SIGNS = {Verdict.CONFORMANT: "passed", Verdict.NOT_CONFORMANT: "error", Verdict.INCOMPLETE: "warning"}
_ROOM_FOR_NOTICE = 300

# A character written as its number is text and never markup (CommonMark 0.31, section 2.5).
_MARKUP = re.compile(r"""[&<>"'`|@*_\[\]\\~#$!^]|:(?=//)|(?<=www)\.""", re.IGNORECASE)


def render(report: Report, max_bytes: int = MAX_BYTES) -> str:
    """Render a report as Markdown.

    Parameters
    ----------
    report : Report
        The report.
    max_bytes : int
        Most bytes that the text may have in UTF-8.

    Returns
    -------
    str
        Verdict, what was not checked, a table by rule, and the findings by patient, folded. What does not fit is left
        out from the end, and a last line says so.
    """
    by_patient: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_patient[finding.patient or ""].append(finding)
    first = [
        *_head(report),
        *_since(report),
        *_fitness(report),
        *_limits(report),
        *_rules(report),
        *(["\n### Findings\n"] if by_patient else []),
    ]
    return cut(chain(first, _patients(by_patient)), max_bytes, "findings.json", len(first) + len(by_patient))


def cut(parts: Iterable[str], max_bytes: int, instead: str, total: int) -> str:
    """As many parts, from the first, as fit.

    Parameters
    ----------
    parts : iterable of str
        Blocks of Markdown, each valid by itself with those before it; no more of them are made than fit.
    max_bytes : int
        Most bytes of the whole, in UTF-8.
    instead : str
        Where the rest stands.
    total : int
        How many parts there are.

    Returns
    -------
    str
        The parts, and a notice in place of those that did not fit.
    """
    kept: list[str] = []
    left = max_bytes
    for part in parts:
        kept.append(part)
        left -= len(part.encode())
        if left < 0:
            break
    else:
        return "".join(kept)
    while kept and left < _ROOM_FOR_NOTICE:
        left += len(kept.pop().encode())
    shown = f"{len(kept):,} of {total:,} parts are shown"
    return f"{''.join(kept)}\n\n**Cut here to fit:** {shown}; all of them stand in {escape(instead)}.\n"


def escape(text: str) -> str:
    """Text that Markdown, HTML and GitHub take for nothing but text: no markup, link or mention.

    Parameters
    ----------
    text : str
        Text that may come from a file.

    Returns
    -------
    str
        One line; what could be markup is written as character references. After `@` and `#`, from which GitHub would
        make a person's or an issue's link all the same, comes a zero-width space.
    """
    return _MARKUP.sub(_reference, words.clean(text))


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};{'&#8203;' if match[0] in '@#' else ''}"


def _head(report: Report) -> Iterable[str]:
    facts = report.release
    figures = [
        plural(facts.patients, "patient"),
        plural(facts.series, "series", "series"),
        plural(facts.files, "file"),
        words.size(facts.bytes),
    ]
    yield f"## {words.GLYPHS[_SIGNS[report.verdict]]} {escape(words.sentence(report))}\n\n"
    if whole := words.wholeness(report):
        yield f"**{escape(whole)}**\n\n"
    yield f"{escape(facts.root or facts.collection)}: {', '.join(figures)}. crlm-qc {escape(report.tool_version)}.\n"
    for line in filter(None, (*words.narrowing(report), words.ending(report))):
        yield f"\n{escape(line)}\n"


def _fitness(report: Report) -> Iterable[str]:
    if not report.purposes or not report.patients:
        return
    yield "\n### Whom to use\n\n| purpose | usable | with care | left out | not judged | left out for |\n"
    yield "|---|---:|---:|---:|---:|---|\n"
    judge = Judge(report)
    for purpose in report.purposes:
        found = judge.cohort([purpose.name])
        counts = [f"{found.counts[fit]:,}" for fit in (Fit.USABLE, Fit.CARE, Fit.OUT, Fit.UNKNOWN)]
        yield f"| {escape(purpose.name)} | {' | '.join(counts)} | {behind(found)} |\n"


def _since(report: Report) -> Iterable[str]:
    """What became of the findings of the baseline, and what is new."""
    if report.baseline is None:
        return
    yield f"\n### Since the baseline\n\n{escape(words.since(report))}.\n"
    told = [(state, words.of_state(report, state)) for state in (State.NEW, State.REOPENED, State.CHANGED, State.FIXED)]
    if any(found for _, found in told):
        yield "\n"
    for state, found in told:
        yield from (f"- {_named(one)}{_finding(one)}\n" for one in found[:MAX_NAMED])
        if (rest := len(found) - MAX_NAMED) > 0:
            yield f"- and {rest:,} more {state.value}\n"


def _named(finding: Finding) -> str:
    return f"{escape(finding.patient)} " if finding.patient else ""


def _limits(report: Report) -> Iterable[str]:
    said = [escape(limit) for limit in words.limits(report)]
    said += [
        f"{outcome.rule} crashed: {escape(outcome.reason)}"
        for outcome in report.outcomes
        if outcome.status is Status.ERRORED
    ]
    said += [f"{escape(reason)}: {words.listing(codes, MAX_NAMED)}" for reason, codes in words.not_run(report).items()]
    if said:
        yield "\n### Not checked\n\n"
        yield from (f"- {line}\n" for line in said)


def _rules(report: Report) -> Iterable[str]:
    groups = open_cases(report)
    if not groups:
        return
    yield "\n### Rules\n\n| severity | rule | comes to | cases | findings | patients | what to do |\n"
    yield "|---|---|---|---:|---:|---:|---|\n"
    for group in groups:
        patients, _ = words.touched(report, [case.lead for case in group.cases])
        text = report.text(group.rule)
        yield (
            f"| {_severity(group.severity)} | **{group.rule}** {escape(text.title)} | {words.comes_to(report, group)} "
            f"| {len(group.cases):,} | {len(group.findings):,} | {len(patients):,} | {escape(text.fix)} |\n"
        )


def _severity(severity: Severity) -> str:
    return f"{words.GLYPHS[severity.value]} {words.WORDS[severity]}"


def _patients(by_patient: Mapping[str, Sequence[Finding]]) -> Iterator[str]:
    for patient in sorted(by_patient, key=lambda name: (_errors(by_patient[name]), name)):
        yield _fold(patient or "The release as a whole", by_patient[patient])


def _errors(findings: Iterable[Finding]) -> int:
    """Open errors, negative: the patients with most of them come first, and are cut last."""
    return -sum(one.severity is Severity.ERROR and one.waived is None for one in findings)


def _fold(title: str, findings: Sequence[Finding]) -> str:
    """One block, so that a cut never leaves it open."""
    counted = [finding for finding in findings if finding.waived is None]
    levels = [
        plural(count, words.WORDS[level])
        for level in Severity
        if (count := sum(finding.severity is level for finding in counted))
    ]
    if waived := len(findings) - len(counted):
        levels.append(f"{waived} waived")
    shown = findings[:MAX_PER_PATIENT]
    lines = [f"\n<details><summary>{escape(title)}: {', '.join(levels)}</summary>\n\n"]
    lines += [f"- {_finding(finding)}\n" for finding in shown]
    if rest := len(findings) - len(shown):
        lines.append(f"- and {rest:,} more in findings.json\n")
    return "".join([*lines, "\n</details>\n"])


def _finding(finding: Finding) -> str:
    details = [words.expected_observed(finding), f"{finding.count:,} times" if finding.count > 1 else ""]
    said = "; ".join(part for part in details if part)
    place = words.place(finding.subject)
    parts = [
        f"{_severity(finding.severity)} **{finding.rule}** {escape(finding.message)}",
        f" ({escape(said)})" if said else "",
        f" {escape(place)}" if place else "",
        f" waived: {escape(finding.waived)}" if finding.waived is not None else "",
        f" **{escape(stands)}**" if (stands := words.standing(finding)) else "",
        f" `f-{finding.fingerprint}`",
    ]
    return "".join(parts)
