"""`crlm-qc show`: findings of a saved audit."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import typer

from crlm_qc.cli.actions import say_safely
from crlm_qc.cli.options import ColourOption, Listing, ListingOption
from crlm_qc.cli.saved import FindingsFile, load_report
from crlm_qc.cli.terminal import Colour, emit, style_of
from crlm_qc.model.errors import UsageError
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.severity import Severity
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
    severity: Annotated[
        list[Severity] | None, typer.Option("--severity", help="Findings of this severity. Repeatable.")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="ABC", help="Findings of this family of rules, such as CTS.")
    ] = None,
    finding: Annotated[
        str | None, typer.Option("--finding", metavar="FINGERPRINT", help="All that is known of one finding.")
    ] = None,
    listing: ListingOption = Listing.TEXT,
    color: ColourOption = Colour.AUTO,
) -> None:
    """Show every finding of a saved audit: all, or those of a patient, a rule, a family or a severity, or one in full.

    Several options narrow together. As JSON, it is a list of what findings.json says of these findings. Exits with 0
    whatever was found.
    """
    saved = load_report(findings)
    codes = _codes(saved, rule, family)
    _check_patient(saved, patient)
    found = [
        one
        for one in saved.findings
        if (patient is None or one.patient == patient)
        and (codes is None or one.rule in codes)
        and (not severity or one.severity in severity)
    ]
    if finding is not None:
        found = _by_fingerprint(found, finding)
    if listing is Listing.JSON:
        emit(words.json_bytes([one.as_dict() for one in found]))
        return
    style = replace(style_of(sys.stdout, color), results=shlex.quote(str(findings)))
    if finding is not None:
        say_safely("\n".join(text.single(saved, one, style) for one in found), sys.stdout)
        return
    say_safely(text.several(saved, found, style), sys.stdout)
    for outcome in saved.outcomes if not severity else ():
        if codes and outcome.rule in codes and not any(one.rule == outcome.rule for one in found):
            status = words.STATUS_WORDS[outcome.status]
            said = "found nothing here" if outcome.status is Status.FAILED else status
            reason = f": {words.clean(outcome.reason)}" if outcome.reason else ""
            say_safely(f"{outcome.rule} {said}{reason}", sys.stdout)


def _codes(saved: Report, rule: str | None, family: str | None) -> set[str] | None:
    """Rules that are asked for by a code, its beginning, a slug or a family; None for all."""
    every = {text.code: text.slug for text in saved.rules}
    codes = set(every)
    if rule is not None:
        codes = {code for code, slug in every.items() if code.startswith(rule.upper()) or slug == rule.lower()}
        if not rule or not codes:
            raise UsageError(f"--rule {rule}: no such rule in this audit{did_you_mean(rule.upper(), every)}")
    if family is not None:
        families = sorted({text.family for text in saved.rules})
        if family.upper() not in families:
            raise UsageError(f"--family {family}: no such family in this audit. There are: {', '.join(families)}")
        codes = {code for code in codes if code.startswith(family.upper())}
    return None if rule is None and family is None else codes


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
