"""Renderers of what changed between two reports, one module a format, and the words that they share."""

from __future__ import annotations

from collections.abc import Mapping

from crlm_qc.model.changes import Change, Changes, State
from crlm_qc.model.report import Report
from crlm_qc.report import STDOUT, Format, words

FORMATS: Mapping[str, Format] = {
    item.name: item
    for item in (
        Format("text", "crlm_qc.report.changes.text", STDOUT, "what the terminal shows"),
        Format("json", "crlm_qc.report.changes.json_format", "changes.json", "every finding, for programs"),
        Format("markdown", "crlm_qc.report.changes.markdown", "changes.md", "for a CI step's summary or a comment"),
        Format("html", "crlm_qc.report.changes.html", "changes.html", "one page to read and print"),
    )
}

SIGNS: Mapping[State, str] = {
    State.NEW: "error",
    State.REOPENED: "error",
    State.CHANGED: "warning",
    State.NEW_RULE: "info",
    State.NEWLY_CHECKED: "info",
    State.NOT_CHECKED: "skipped",
    State.FIXED: "passed",
    State.WAIVED: "waived",
    State.PERSISTING: "skipped",
}
"""What decides a state's glyph and colour."""

DOCS: Mapping[State, str] = {
    State.NEW: "Found now, and looked for but not found before.",
    State.REOPENED: "Waived before, and no longer.",
    State.CHANGED: "Found both times, with another observed value, count or severity.",
    State.NEW_RULE: "Of rules that the old audit did not have or did not run: no regressions.",
    State.NEWLY_CHECKED: "Of what the old audit left out on purpose or could not read: no regressions.",
    State.NOT_CHECKED: "Found before, and out of the new audit's sight: whether they are fixed is not known.",
    State.FIXED: "Found before, looked for again and gone.",
    State.WAIVED: "Accepted now, and not waived before.",
    State.PERSISTING: "Found both times, unchanged.",
}

TOLD_APART = tuple(state for state in State if state is not State.PERSISTING)
"""States whose findings are listed everywhere; the persisting ones are only counted where space is short."""


def sentence(changes: Changes) -> str:
    """What changed, in one sentence with no full stop."""
    if not changes.told:
        neither = changes.old.empty and changes.new.empty
        which = "neither audit had anything" if neither else "one of the audits had nothing"
        return f"Nothing to compare: {which} to check"
    said = words.changed(changes.counts, [change.finding for change in changes.of(State.NEW)])
    return f"{said}; the new audit could not check everything" if changes.new.incomplete else said


def tone(changes: Changes) -> str:
    """What decides the colour and glyph of the whole."""
    if changes.of(State.NEW) or changes.of(State.REOPENED):
        return "error"
    return "warning" if changes.new.incomplete or not changes.told else "passed"


def about(report: Report) -> str:
    """A report in one line."""
    root = report.release.root or report.release.collection
    return f"{root}, crlm-qc {report.tool_version}: {words.sentence(report)}"


def difference(change: Change) -> str:
    """What a finding's values are, and what they were where that differs."""
    now, before = change.finding, change.before
    said = [words.expected_observed(now), f"{now.count:,} times" if now.count > 1 else ""]
    if change.state is State.CHANGED and before is not None:
        said.append(words.was(now, before))
    if now.waived is not None:
        said.append(f"waived: {now.waived}")
    return "; ".join(part for part in said if part)
