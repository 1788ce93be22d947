"""Commands on saved results: they need findings.json alone, and never the release."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer

from crlm_qc.auditing import UsageError
from crlm_qc.ci import harmless, in_actions
from crlm_qc.cli_options import EXIT_CODES, ColourOption, FailOn, QuietOption
from crlm_qc.cli_pictures import PICTURED, saved_pictures
from crlm_qc.model.changes import compare
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.plain import PlainError
from crlm_qc.model.report import Report
from crlm_qc.outputs import Output, can_be_written, choose_outputs, did_you_mean, write_outputs
from crlm_qc.report import FORMATS, changes, text, words
from crlm_qc.run import load_run
from crlm_qc.terminal import Colour, say, style_of

SHORTEST = 4
"""Fewest digits that a fingerprint may be cut to."""

FindingsFile = Annotated[Path, typer.Argument(metavar="FINDINGS.json", help="Saved results of an audit.")]
MaxBytes = Annotated[
    int | None,
    typer.Option("--max-bytes", min=1000, help="Most bytes of Markdown; a comment on GitHub takes 65,536 characters."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog=EXIT_CODES)(diff)
    app.command(name="report")(report_again)
    app.command()(show)


def load_report(path: Path) -> Report:
    """Read findings.json.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    Report
        The report that it was written from.

    Raises
    ------
    UsageError
        The file can't be read, or is not what this version reads; the message names it.
    """
    try:
        raw = json.loads(path.read_bytes(), parse_constant=_no_constant)
        return Report.from_dict(raw)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {os.strerror(error.errno or 0).lower()}") from None
    except PlainError as error:
        raise UsageError(f"{path} is no findings.json that can be read: {error}") from None
    except (ValueError, RecursionError):
        # The text of a decoder's error may hold what stands in the file.
        raise UsageError(f"{path} is no findings.json that can be read: it is not JSON") from None


def _no_constant(_: str) -> NoReturn:
    raise ValueError


# --- diff ------------------------------------------------------------------------------------------------------------


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD.json", help="findings.json of the earlier audit.")],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="findings.json of the later audit.")],
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[:PATH]",
            help=f"Another form: {', '.join(changes.FORMATS)}; PATH - is standard output. Repeatable.",
        ),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Mildest severity of a new finding that exits with 1.")
    ] = FailOn.ERROR,
    max_bytes: MaxBytes = None,
    quiet: QuietOption = 0,
    color: ColourOption = Colour.AUTO,
) -> None:
    """Compare two audits: what is new, changed, fixed, or still there.

    Exits with 1 if a finding at or above --fail-on is new or no longer waived, or has risen to that severity. Findings
    of rules that the old audit did not run are told apart, and fail nothing; those that the new audit did not look for
    are "not checked again", never fixed. Exits with 3 if the new audit could not check everything, and with 4 if either
    had nothing to check.
    """
    outputs = choose_outputs(output or (), changes.FORMATS, Path())
    places = _places(outputs, (old, new))
    found = compare(load_report(old), load_report(new))
    can_be_written(places)
    write_outputs(found, outputs, _options(max_bytes))
    from crlm_qc.report.changes.text import render, summary

    stream = sys.stderr if any(item.machine for item in outputs) else sys.stdout
    style = style_of(stream, color)
    if quiet < 2:
        _say(summary(found, style) if quiet else render(found, style), stream)
    if not quiet:
        for item in outputs:
            if item.path is not None:
                _say(f"{item.format.name}: {item.path}", stream)
    raise typer.Exit(found.exit_code(fail_on.severity))


# --- report ----------------------------------------------------------------------------------------------------------


def report_again(
    findings: FindingsFile,
    output: Annotated[
        list[str],
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[:PATH]",
            help=f"Report to write: {', '.join(FORMATS)}; PATH - is standard output. Default: beside FINDINGS.json. "
            "Repeatable.",
        ),
    ],
    sarif_anchor: Annotated[
        str | None,
        typer.Option("--sarif-anchor", metavar="PATH", help="File of the repository that SARIF results are shown at."),
    ] = None,
    max_bytes: MaxBytes = None,
) -> None:
    """Write further reports of a saved audit, without the release.

    They are the same bytes that the audit itself would have written. Exits with 0 once they are written, whatever was
    found.
    """
    outputs = choose_outputs(output, FORMATS, findings.parent)
    places = _places(outputs, (findings,))
    anchor = check_anchor(sarif_anchor)
    saved = replace(load_report(findings), run=load_run(findings.parent))
    can_be_written(places)
    pictured = [item for item in outputs if item.format.name in PICTURED]
    pictures = saved_pictures(saved, findings) if pictured else {}
    write_outputs(saved, outputs, _options(max_bytes, anchor, pictures))
    for item in outputs:
        if item.path is not None:
            say(f"{item.format.name} report: {item.path}", to=sys.stderr)
        elif not item.machine:
            _say(text.render(saved), sys.stdout)


def check_anchor(given: str | None) -> str | None:
    """The path that SARIF results are shown at, which must lie in the repository.

    Raises
    ------
    UsageError
        It is absolute, a URL, or leads out of the repository.
    """
    if given is not None and (not given or given.startswith(("/", "\\")) or ":" in given or ".." in Path(given).parts):
        raise UsageError(f"--sarif-anchor {given}: give a path relative to the repository, such as README.md")
    return given


def _options(
    max_bytes: int | None, anchor: str | None = None, pictures: Mapping[str, bytes] | None = None
) -> Mapping[str, Mapping[str, Any]]:
    options: dict[str, Mapping[str, Any]] = {name: {"pictures": pictures} for name in PICTURED if pictures}
    if max_bytes is not None:
        options["markdown"] = {"max_bytes": max_bytes}
    if anchor is not None:
        options["sarif"] = {"anchor": anchor}
    return options


def _places(outputs: Iterable[Output], inputs: Sequence[Path]) -> list[Path]:
    """Files to write, none of which may be one that is read."""
    places = [item.path for item in outputs if item.path is not None]
    for place in places:
        if any(place.resolve() == path.resolve() for path in inputs):
            raise UsageError(f"{place} is read, so it is not written: give another PATH in --output FORMAT:PATH")
    return places


# --- show ------------------------------------------------------------------------------------------------------------


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
        _say("\n".join(text.single(saved, one, style) for one in _by_fingerprint(found, finding)), sys.stdout)
        return
    _say(text.several(saved, found, style), sys.stdout)
    for outcome in saved.outcomes:
        if codes and outcome.rule in codes and not any(one.rule == outcome.rule for one in found):
            status = words.STATUS_WORDS[outcome.status]
            said = "found nothing here" if outcome.status is Status.FAILED else status
            reason = f": {words.clean(outcome.reason)}" if outcome.reason else ""
            _say(f"{outcome.rule} {said}{reason}", sys.stdout)


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
    digits = asked.lower().removeprefix("f-")
    if len(digits) < SHORTEST:
        raise UsageError(f"--finding {asked}: give {SHORTEST} digits of the fingerprint or more")
    found = [one for one in findings if one.fingerprint.startswith(digits)]
    if not found:
        raise UsageError(f"--finding {asked}: no such finding among those asked for")
    return found


def _say(said: str, stream: TextIO) -> None:
    """Print text; what could be a command to a runner of GitHub Actions is broken up."""
    said = said.rstrip("\n")
    say(harmless(said) if in_actions() else said, to=stream)
