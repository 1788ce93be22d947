"""Findings in other words, and pictures without those that they quote."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import Picture, PictureMode, PictureRequest
from crlm_qc.pictures.choose import choose_pictures
from crlm_qc.rulebook.context import Context


def reworded(findings: Iterable[Finding]) -> list[Finding]:
    """The same findings, with words that say nothing."""
    return [
        replace(one, message="Otherwise.", expected="", observed="", examples=("something",) * len(one.examples))
        for one in findings
    ]


def pictured(context: Context, findings: Sequence[Finding]) -> list[PictureRequest | Picture]:
    """The pictures of a report, without the words that they quote."""

    def silent(one: PictureRequest) -> PictureRequest:
        return replace(one, about="", candidates=tuple(map(silent, one.candidates)))

    made = choose_pictures(context, findings, PictureMode.AUTO)
    return [silent(one) if isinstance(one, PictureRequest) else one for one in made]
