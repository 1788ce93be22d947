"""Changes as the terminal shows them: what is new first, and one line that sums up last."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from crlm_qc.model.changes import Change, Changes, State
from crlm_qc.model.severity import Severity
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.changes import DOCS, SIGNS, TOLD_APART, about, difference, sentence, tone
from crlm_qc.report.text import Style, finish

MAX_PER_STATE = 20


def render(changes: Changes, style: Style | None = None) -> str:
    """Render changes as plain text.

    Parameters
    ----------
    changes : Changes
        Two reports and what changed.
    style : Style, optional
        Width, colours and signs.

    Returns
    -------
    str
        Findings by state, and a last line that counts them.
    """
    style = style or Style()
    lines = [
        *style.wrap(f"old  {about(changes.old)}", "", "     "),
        *style.wrap(f"new  {about(changes.new)}", "", "     "),
        "",
    ]
    for state in TOLD_APART:
        lines += _state(changes, state, style)
    return finish([*lines, summary(changes, style)], style)


def summary(changes: Changes, style: Style | None = None) -> str:
    """The one line that sums up.

    Parameters
    ----------
    changes : Changes
        Two reports and what changed.
    style : Style, optional
        Colours and signs.

    Returns
    -------
    str
        The line, without a line end.
    """
    style = style or Style()
    colour = {"passed": "good"}.get(tone(changes), tone(changes))
    return finish([style.paint(colour, f"{sentence(changes)}.")], style).rstrip("\n")


def _state(changes: Changes, state: State, style: Style) -> list[str]:
    found = changes.of(state)
    if not found:
        return []
    sign = SIGNS[state]
    heading = f"{words.GLYPHS[sign]} {state.value.upper()}  {plural(len(found), 'finding')}"
    lines = [style.paint({"passed": "good", "skipped": "faint", "waived": "faint"}.get(sign, sign), heading)]
    lines += [style.paint("faint", line) for line in style.wrap(DOCS[state], "  ")]
    many = Counter(map(_group, found))
    for (severity, rule), group in groupby(found[:MAX_PER_STATE], _group):
        head = f"{words.WORDS[severity].upper()} {rule} {changes.text(rule).title}"
        lines += style.wrap(f"{head} ({plural(many[severity, rule], 'finding')})", "    ", "      ")
        for change in group:
            lines += _change(change, style)
    if rest := len(found) - MAX_PER_STATE:
        lines += style.wrap(f"and {rest:,} more: give -o json or -o html", "    ") if rest > 0 else []
    return [*lines, ""]


def _group(change: Change) -> tuple[Severity, str]:
    return change.finding.severity, change.finding.rule


def _change(change: Change, style: Style) -> list[str]:
    finding = change.finding
    who = f"{finding.patient}  " if finding.patient and not finding.message.startswith(finding.patient) else ""
    lines = style.wrap(f"{who}{finding.message}", "      ", "        ")
    for line in (difference(change), f"f-{finding.fingerprint}"):
        lines += [style.paint("faint", part) for part in style.wrap(line, "        ")]
    return lines
