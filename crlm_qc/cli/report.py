"""`crlm-qc report`: further reports of a saved audit, and what it comes to by other waivers."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.actions import say_safely, shown
from crlm_qc.cli.clock import load_run
from crlm_qc.cli.options import AllowDidWaiversOption, AnchorOption, FailOn, FailOnOption, ProfileOption
from crlm_qc.cli.outputs import Output, choose_outputs, stream_beside, write_outputs
from crlm_qc.cli.pictures import PICTURED, saved_pictures
from crlm_qc.cli.saved import FindingsFile, MaxBytes, check_anchor, load_report, options_for, places_of
from crlm_qc.cli.terminal import Colour, say, style_of
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import load_waivers
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import ExitCode, Report
from crlm_qc.report import FORMATS, text
from crlm_qc.report.writing import can_be_written
from crlm_qc.request.runs import Runs


def report(
    findings: FindingsFile,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[:PATH]",
            help=f"Report to write: {', '.join(FORMATS)}; PATH - is standard output. Default place: beside FINDINGS.json. "
            "Repeatable.",
        ),
    ] = None,
    waivers: Annotated[
        list[Path] | None,
        typer.Option(
            "--waivers",
            help="Judge the results again by these files of accepted findings (TOML), in place of those of the audit. "
            "Without --output FINDINGS.json and report.html are written anew. Repeatable.",
        ),
    ] = None,
    allow_did_waivers: AllowDidWaiversOption = False,
    fail_on: FailOnOption = FailOn.ERROR,
    profile: ProfileOption = None,
    sarif_anchor: AnchorOption = None,
    max_bytes: MaxBytes = None,
) -> None:
    """Write further reports of a saved audit, without the release; with --waivers, judge it again first.

    They are the same bytes that the audit itself would have written. Exits with 0 once they are written, whatever was
    found; with --waivers, as the audit would.
    """
    if not output and not waivers:
        raise UsageError("nothing to write: give --output FORMAT, or --waivers FILE to judge the results again")
    again = () if output else [f"json:{findings}", f"html:{findings.parent / FORMATS['html'].goes_to}"]
    outputs = choose_outputs(output or again, FORMATS, findings.parent)
    places = places_of(outputs, (*(waivers or ()), *((findings,) if output else ())))
    anchor = check_anchor(sarif_anchor)
    saved = replace(load_report(findings), run=load_run(findings.parent))
    if waivers:
        saved = _judged_again(saved, waivers, profile, allow_did_waivers=allow_did_waivers)
    can_be_written(places)
    pictured = [item for item in outputs if item.format.name in PICTURED]
    pictures = saved_pictures(saved, findings) if pictured else {}
    trend = Runs(findings.parent).trend(saved) if pictured else None
    write_outputs(saved, outputs, options_for(max_bytes=max_bytes, anchor=anchor, pictures=pictures, trend=trend))
    _tell(saved, outputs, findings, whole=not output)
    raise typer.Exit(saved.exit_code(fail_on.severity) if waivers else ExitCode.CLEAN)


def _judged_again(saved: Report, waivers: Sequence[Path], profile: Path | None, *, allow_did_waivers: bool) -> Report:
    from crlm_qc.auditing.rejudging import judge_again

    given = [waiver for path in waivers for waiver in load_waivers(path)]
    return judge_again(saved, given, load_profile(profile), allow_did_waivers=allow_did_waivers)


def _tell(saved: Report, outputs: Sequence[Output], findings: Path, *, whole: bool) -> None:
    """Say where the reports are, and of results that were judged again what they come to."""
    if whole:
        stream = stream_beside(outputs)
        style = replace(style_of(stream, Colour.AUTO), results=shlex.quote(shown(findings)))
        say_safely(text.render(saved, style).rstrip("\n"), stream)
    for item in outputs:
        if item.path is not None:
            say(f"{item.format.name} report: {shown(item.path)}", to=sys.stderr)
        elif not item.machine:
            say_safely(text.render(saved), sys.stdout)
