"""`crlm-qc diff`: two audits compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.actions import say_safely, shown
from crlm_qc.cli.options import ColourOption, FailOn, QuietOption
from crlm_qc.cli.outputs import choose_outputs, stream_beside, write_outputs
from crlm_qc.cli.saved import MaxBytes, findings_in, load_report, options_for, places_of
from crlm_qc.cli.terminal import Colour, style_of
from crlm_qc.model.changes import compare
from crlm_qc.report import changes
from crlm_qc.report.writing import can_be_written


def diff(
    old: Annotated[
        Path, typer.Argument(metavar="OLD.json", help="Results of the earlier audit.", callback=findings_in)
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="Results of the later audit.", callback=findings_in)],
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
    places = places_of(outputs, (old, new))
    found = compare(load_report(old), load_report(new))
    can_be_written(places)
    write_outputs(found, outputs, options_for(max_bytes=max_bytes))
    from crlm_qc.report.changes.text import render, summary

    stream = stream_beside(outputs)
    style = style_of(stream, color)
    if quiet < 2:
        say_safely(summary(found, style) if quiet else render(found, style), stream)
    if not quiet:
        for item in outputs:
            if item.path is not None:
                say_safely(f"{item.format.name}: {shown(item.path)}", stream)
    raise typer.Exit(found.exit_code(fail_on.severity))
