"""Changes as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.model.changes import Changes, State
from crlm_qc.model.words import plural
from crlm_qc.report import words
from crlm_qc.report.changes import DOCS, SIGNS, TOLD_APART, about, difference, sentence
from crlm_qc.report.markdown import MAX_BYTES, cut, escape


def render(changes: Changes, max_bytes: int = MAX_BYTES) -> str:
    """Render changes as Markdown.

    Parameters
    ----------
    changes : Changes
        Two reports and what changed.
    max_bytes : int
        Most bytes that the text may have in UTF-8.

    Returns
    -------
    str
        What changed in a sentence, then a list by state; what does not fit is left out, and a last line says so.
    """
    head = [
        f"## {escape(sentence(changes))}\n\n",
        f"- old: {escape(about(changes.old))}\n- new: {escape(about(changes.new))}\n",
    ]
    lists = [part for state in TOLD_APART for part in _state(changes, state)]
    parts = [*head, *lists]
    return cut(parts, max_bytes, "the JSON of crlm-qc diff", len(parts))


def _state(changes: Changes, state: State) -> Iterable[str]:
    found = changes.of(state)
    if not found:
        return
    yield (
        f"\n### {words.GLYPHS[SIGNS[state]]} {state.value.capitalize()}: {plural(len(found), 'finding')}\n\n"
        f"{DOCS[state]}\n\n| severity | rule | patient | finding | |\n|---|---|---|---|---|\n"
    )
    for change in found:
        finding = change.finding
        said = difference(change)
        yield (
            f"| {words.WORDS[finding.severity]} | **{finding.rule}** {escape(changes.text(finding.rule).title)} "
            f"| {escape(finding.patient or '')} | {escape(finding.message)}{f' ({escape(said)})' if said else ''} "
            f"| `f-{finding.fingerprint}` |\n"
        )
