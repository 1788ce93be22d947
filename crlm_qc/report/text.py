"""The summary that the terminal shows: gravest cases first, then what was not run, and the verdict last."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from crlm_qc.model.cases import open_cases
from crlm_qc.model.cohort import Judge
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report, Verdict
from crlm_qc.model.severity import Severity
from crlm_qc.model.standing import State
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.fitness import summary

WIDTH = 100
MAX_PER_RULE = 5
MAX_PATIENTS_NAMED = 8
MAX_FOLLOWERS = 6
"""Findings that follow from one, told with it; the rest stand in findings.json."""
_NARROWEST, _WIDEST = 40, 140

_INDENT = "    "
_ASCII = {
    "\N{MULTIPLICATION X}": "x",
    "\N{CHECK MARK}": "+",
    "\N{EN DASH}": "-",
    "\N{MIDDLE DOT}": "|",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{DEGREE SIGN}": " degrees",
    "\N{REPLACEMENT CHARACTER}": "?",
}

_SGR = {"error": "1;31", "warning": "1;33", "info": "1;36", "good": "1;32", "strong": "1", "faint": "2"}
_VERDICT_STYLE = {Verdict.CONFORMANT: "good", Verdict.INCOMPLETE: "warning", Verdict.NOT_CONFORMANT: "error"}


@dataclass(frozen=True, slots=True)
class Style:
    """How the text is set; what the terminal can do is for the caller to know."""

    width: int = WIDTH
    colour: bool = False
    ascii: bool = False
    """Whether only ASCII may be written."""
    max_per_rule: int = MAX_PER_RULE
    results: str = "findings.json"
    """The saved results, as a shell takes their path, for the commands that the text suggests."""

    def paint(self, name: str, text: str) -> str:
        """Text in a colour or weight, where colours are wanted."""
        return f"\x1b[{_SGR[name]}m{text}\x1b[0m" if self.colour and text else text

    def wrap(self, text: str, indent: str = "", hanging: str | None = None) -> list[str]:
        """Lines of at most the width; a path or UID that is longer is not broken."""
        hanging = indent if hanging is None else hanging
        return textwrap.wrap(
            words.clean(text),
            min(max(self.width, _NARROWEST), _WIDEST),
            initial_indent=indent,
            subsequent_indent=hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )


def render(report: Report, style: Style | None = None) -> str:
    """Render a report as plain text.

    Parameters
    ----------
    report : Report
        The report.
    style : Style, optional
        Width, colours and signs; by default 100 columns without colour.

    Returns
    -------
    str
        The summary; its first line says whether the download is whole, where that is known, and its last is the verdict.
    """
    style = style or Style()
    whole = style.wrap(words.wholeness(report))
    blocks = [
        whole,
        _release(report, style),
        *_groups(report, style),
        _not_checked(report, style),
        style.wrap(words.ending(report)),
        _fitness(report, style),
        _since(report, style),
        _counts(report, style),
    ]
    lines = [line for block in blocks if block for line in (*block, "")]
    return finish([*lines, verdict(report, style)], style)


def verdict(report: Report, style: Style | None = None) -> str:
    """The verdict alone, in one line.

    Parameters
    ----------
    report : Report
        The report.
    style : Style, optional
        Colours and signs.

    Returns
    -------
    str
        The line, without a line end.
    """
    style = style or Style()
    line = style.paint(_VERDICT_STYLE[report.verdict], f"{words.clean(words.sentence(report))}.")
    return _plain(line) if style.ascii else line


def several(report: Report, findings: Sequence[Finding], style: Style | None = None) -> str:
    """Findings by rule, without a limit, those that are waived too.

    Parameters
    ----------
    report : Report
        The report that they stand in.
    findings : sequence of Finding
        Some of its findings.
    style : Style, optional
        Width, colours and signs.

    Returns
    -------
    str
        The rules with their findings, and a last line that counts them.
    """
    style = replace(style or Style(), max_per_rule=len(findings))
    lines: list[str] = []
    ordered = sorted(findings, key=lambda finding: finding.sort_key)
    for (severity, code), group in groupby(ordered, key=lambda finding: (finding.severity, finding.rule)):
        found = list(group)
        said = plural(len(found), "finding") + words.extent(report, found)
        lines += [*_group(report, severity, code, said, [(one, ()) for one in found], style), ""]
    waived = sum(finding.waived is not None for finding in findings)
    counted = plural(len(findings), "finding")
    return finish([*lines, f"{counted}, {waived:,} waived." if waived else f"{counted}."], style)


def single(report: Report, finding: Finding, style: Style | None = None) -> str:
    """All that the report knows of one finding.

    Parameters
    ----------
    report : Report
        The report that it stands in.
    finding : Finding
        The finding.
    style : Style, optional
        Width, colours and signs.

    Returns
    -------
    str
        One part a line, each with its name.
    """
    style = style or Style()
    about = report.text(finding.rule)
    subject = finding.subject
    sign = f"{words.GLYPHS[finding.severity.value]} {words.WORDS[finding.severity].upper()}"
    parts = [
        ("Patient", finding.patient),
        ("What", finding.message),
        ("Expected", finding.expected),
        ("Observed", finding.observed),
        ("Count", f"{finding.count:,}" if finding.count > 1 else ""),
        ("Examples", ", ".join(finding.examples)),
        ("Path", subject.path),
        ("UID", subject.uid),
        ("Within", words.within(subject)),
        ("Waived", finding.waived),
        ("Since", "" if finding.baseline is None else finding.baseline.state.value),
        ("Why", about.why),
        ("Spoils", "" if about.spoils is None else words.spoils(about.spoils)),
        ("What to do", about.fix),
        ("Source", about.source),
    ]
    lines = [style.paint(finding.severity.value, words.clean(f"{sign} {finding.rule} {about.title}"))]
    for name, said in parts:
        if said:
            lines += style.wrap(said, f"  {name:12}", " " * 14)
    return finish([*lines, f"  f-{finding.fingerprint}"], style)


def finish(lines: Iterable[str], style: Style) -> str:
    """Lines as one text, in ASCII where the style asks for it."""
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return _plain(text) if style.ascii else text


def _plain(text: str) -> str:
    for sign, instead in _ASCII.items():
        text = text.replace(sign, instead)
    return text.encode("ascii", "replace").decode("ascii")


def _release(report: Report, style: Style) -> list[str]:
    facts = report.release
    figures = [
        plural(facts.patients, "patient"),
        plural(facts.series, "series", "series"),
        plural(facts.ct_slices, "CT slice"),
        plural(facts.files, "file"),
        words.size(facts.bytes),
    ]
    edition = f"{facts.workbook_edition} edition" if facts.workbook_edition else "none recognised"
    lines = [style.paint("strong", words.clean(facts.root or facts.collection))]
    lines += style.wrap(f"{', '.join(figures)}; {words.layout(report)}.", "  ")
    if facts.tables:
        lines += style.wrap(f"Tables and lists: {', '.join(facts.tables)}.", "  ")
    lines += style.wrap(f"Clinical workbook: {edition}{words.lacks(report)}.", "  ")
    for said in words.narrowing(report):
        lines += style.wrap(said, "  ")
    return lines


def _groups(report: Report, style: Style) -> Iterator[list[str]]:
    told = ""
    for group in open_cases(report):
        comes_to = words.comes_to(report, group)
        if comes_to not in ("", told):
            yield [style.paint("strong", comes_to.capitalize())]
        told = comes_to
        found = [(case.lead, case.followers) for case in group.cases]
        yield _group(report, group.severity, group.rule, words.counted(report, group), found, style)


def _group(
    report: Report,
    severity: Severity,
    code: str,
    extent: str,
    found: Sequence[tuple[Finding, Sequence[Finding]]],
    style: Style,
) -> list[str]:
    """A rule with what it names, each with what follows from it."""
    sign = f"{words.GLYPHS[severity.value]} {words.WORDS[severity].upper()}"
    text = report.text(code)
    heading = style.wrap(f"{sign} {code} {text.title} ({extent})", "", "  ")
    lines = [style.paint(severity.value, heading[0]), *heading[1:]]
    for finding, followers in found[: style.max_per_rule]:
        lines += [*_finding(finding, style), *_followers(finding, followers, style)]
    if rest := found[style.max_per_rule :]:
        named = sorted({finding.patient for finding, _ in rest if finding.patient})
        who = f", in {words.listing(named, MAX_PATIENTS_NAMED)}" if named else ""
        lines += _with_command(f"and {len(rest):,} more{who}:", f"crlm-qc show {style.results} --rule {code}", style)
    lines += style.wrap(f"What to do: {text.fix}", "  ", _INDENT)
    return lines


def _followers(lead: Finding, findings: Sequence[Finding], style: Style) -> Iterator[str]:
    """What follows from a finding, and the same of its rule, in a line each."""
    dot = "\N{MIDDLE DOT}"
    for finding in findings[:MAX_FOLLOWERS]:
        how = "and" if finding.rule == lead.rule else "so"
        said = f"{dot} {how} {finding.rule}: {finding.message} f-{finding.fingerprint}"
        yield from style.wrap(said, _INDENT + "  ", _INDENT * 2)
    if rest := findings[MAX_FOLLOWERS:]:
        codes = list(dict.fromkeys(finding.rule for finding in rest))
        yield from style.wrap(f"{dot} and {len(rest):,} more of {words.listing(codes)}", _INDENT + "  ")


def _with_command(said: str, command: str, style: Style) -> list[str]:
    """A text and a command that is never broken, so that it can be copied; on a line of its own if it must."""
    lines = style.wrap(said, _INDENT)
    if len(lines[-1]) + 1 + len(command) <= style.width:
        return [*lines[:-1], f"{lines[-1]} {words.clean(command)}"]
    return [*lines, f"{_INDENT}  {words.clean(command)}"]


def _finding(finding: Finding, style: Style) -> list[str]:
    who = f"{finding.patient}  " if finding.patient and not finding.message.startswith(finding.patient) else ""
    lines = style.wrap(f"{who}{finding.message}", _INDENT, _INDENT + "  ")
    details = [words.expected_observed(finding)]
    if finding.count > 1 and not finding.observed.startswith(f"{finding.count:,} "):
        details.append(f"{finding.count:,} times")
    if told := words.examples(finding):
        details.append(f"for example {', '.join(told[:3])}")
    if finding.waived is not None:
        details.append(f"waived: {finding.waived}")
    details.insert(0, words.standing(finding))
    where = " \N{MIDDLE DOT} ".join(part for part in (_place(finding), f"f-{finding.fingerprint}") if part)
    for line in ("; ".join(part for part in details if part), where):
        lines += [style.paint("faint", part) for part in style.wrap(line, _INDENT + "  ")]
    return lines


def _place(finding: Finding) -> str:
    """Where the finding is, without what stands before it in the line already: the path down to the patient."""
    subject = finding.subject
    path = subject.path
    if path is not None:
        path = path.partition(f"{finding.patient}/")[2] or path
        subject = replace(subject, path=path, uid=None)
    return words.place(subject)


def _not_checked(report: Report, style: Style) -> list[str]:
    lines: list[str] = []
    for limit in words.limits(report):
        lines += style.wrap(f"{words.GLYPHS['errored']} {limit}", "  ", _INDENT)
    for outcome in report.outcomes:
        if outcome.status is Status.ERRORED:
            told = f"{words.GLYPHS['errored']} {outcome.rule} crashed: {outcome.reason}"
            lines += style.wrap(told, "  ", _INDENT)
    for reason, codes in words.not_run(report).items():
        lines += style.wrap(f"{words.GLYPHS['skipped']} {reason}: {words.listing(codes, 12)}", "  ", _INDENT)
    return [style.paint("strong", "Not checked"), *lines] if lines else []


def _fitness(report: Report, style: Style) -> list[str]:
    """How many patients are usable for what, and which command tells who."""
    if not report.purposes or not report.patients:
        return []
    said = summary(Judge(report).cohort([one.name]) for one in report.purposes)
    return [
        *style.wrap(f"Patients usable, with care or without: {said}."),
        f"{_INDENT}crlm-qc cohort {words.clean(style.results)} --for {report.purposes[0].name}",
    ]


_TOLD = {State.NEW: "error", State.REOPENED: "error", State.CHANGED: "warning", State.FIXED: "good"}
"""States whose findings are named, and in which colour."""


def _since(report: Report, style: Style) -> list[str]:
    """What became of the findings of the baseline, and what is new."""
    if report.baseline is None:
        return []
    lines = [style.paint("strong", line) for line in style.wrap(f"{words.since(report)}.", "", "  ")]
    for state, colour in _TOLD.items():
        found = words.of_state(report, state)
        for one in found[: style.max_per_rule]:
            stands = words.standing(one)
            told = f"{stands} \N{MIDDLE DOT} {words.WORDS[one.severity]} {one.rule} {words.whose(one)} (f-{one.fingerprint})"
            lines += [style.paint(colour, line) for line in style.wrap(told, "  ", _INDENT)]
        if rest := len(found) - style.max_per_rule:
            lines += style.wrap(f"and {rest:,} more {state.value}", "  ") if rest > 0 else []
    return lines


def _counts(report: Report, style: Style) -> list[str]:
    statuses = Counter(outcome.status for outcome in report.outcomes)
    parts = [f"{count} {words.STATUS_WORDS[status]}" for status in Status if (count := statuses[status])]
    ran = ", ".join(parts).replace(words.STATUS_WORDS[Status.FAILED], "with findings")
    return style.wrap(f"{plural(len(report.outcomes), 'rule')}: {ran}.") if parts else []
