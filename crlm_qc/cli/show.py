"""`crlm-qc show`: findings of a saved audit."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import typer

from crlm_qc.cli.actions import say_safely
from crlm_qc.cli.options import ColourOption
from crlm_qc.cli.saved import FindingsFile, load_report
from crlm_qc.cli.terminal import Colour, style_of
from crlm_qc.model.errors import UsageError
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.words import did_you_mean
from crlm_qc.report import text, words

SHORTEST = 4
"""Fewest digits that a fingerprint may be cut to."""


def show(
    findings: FindingsFile,
    patient: Annotated[str | None, typer.Option("--patient", metavar="ID", help="Findings of this patient.")] = None,
    rule: Annotated[
        str | None, typer.Option("--rule", metavar="CODE", help="Findings of this rule: code, its beginning, or slug.")
    ] = None,
    finding: Annotated[
        str | None, typer.Option("--finding", metavar="FINGERPRINT", help="All that is known of one finding.")
    ] = None,
    color: ColourOption = Colour.AUTO,
) -> None:
    """Show every finding of a saved audit: all, or those of a patient or a rule, or one in full.

    Exits with 0 whatever was found.
    """
    saved = load_report(findings)
    codes = None if rule is None else _codes(saved, rule)
    _check_patient(saved, patient)
    found = [
        one
        for one in saved.findings
        if (patient is None or one.patient == patient) and (codes is None or one.rule in codes)
    ]
    style = replace(style_of(sys.stdout, color), results=shlex.quote(str(findings)))
    if finding is not None:
        say_safely("\n".join(text.single(saved, one, style) for one in _by_fingerprint(found, finding)), sys.stdout)
        return
    say_safely(text.several(saved, found, style), sys.stdout)
    for outcome in saved.outcomes:
        if codes and outcome.rule in codes and not any(one.rule == outcome.rule for one in found):
            status = words.STATUS_WORDS[outcome.status]
            said = "found nothing here" if outcome.status is Status.FAILED else status
            reason = f": {words.clean(outcome.reason)}" if outcome.reason else ""
            say_safely(f"{outcome.rule} {said}{reason}", sys.stdout)


def _codes(saved: Report, asked: str) -> set[str]:
    every = {text.code: text.slug for text in saved.rules}
    codes = {code for code, slug in every.items() if code.startswith(asked.upper()) or slug == asked.lower()}
    if not asked or not codes:
        raise UsageError(f"--rule {asked}: no such rule in this audit{did_you_mean(asked.upper(), every)}")
    return codes


def _check_patient(saved: Report, asked: str | None) -> None:
    known = {one.patient for one in saved.patients} | {one.patient for one in saved.findings if one.patient}
    if asked is not None and asked not in known:
        raise UsageError(f"--patient {asked}: no such patient in this audit{did_you_mean(asked, sorted(known))}")


def _by_fingerprint(findings: Iterable[Finding], asked: str) -> list[Finding]:
    found = named(findings, asked, f"--finding {asked}")
    if not found:
        raise UsageError(f"--finding {asked}: no such finding among those asked for")
    return found


def named(findings: Iterable[Finding], asked: str, place: str) -> list[Finding]:
    """Findings whose fingerprint begins with what was asked for.

    Raises
    ------
    UsageError
        It is too short to name one.
    """
    digits = asked.lower().removeprefix("f-")
    if len(digits) < SHORTEST:
        raise UsageError(f"{place}: give {SHORTEST} digits of the fingerprint or more")
    return [one for one in findings if one.fingerprint.startswith(digits)]
