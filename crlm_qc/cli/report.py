"""`crlm-qc report`: further reports of a saved audit."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from crlm_qc.cli.actions import say_safely, shown
from crlm_qc.cli.clock import load_run
from crlm_qc.cli.options import AnchorOption
from crlm_qc.cli.outputs import choose_outputs, write_outputs
from crlm_qc.cli.pictures import PICTURED, saved_pictures
from crlm_qc.cli.saved import FindingsFile, MaxBytes, check_anchor, load_report, options_for, places_of
from crlm_qc.cli.terminal import say
from crlm_qc.report import FORMATS, text
from crlm_qc.report.writing import can_be_written


def report(
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
    sarif_anchor: AnchorOption = None,
    max_bytes: MaxBytes = None,
) -> None:
    """Write further reports of a saved audit, without the release.

    They are the same bytes that the audit itself would have written. Exits with 0 once they are written, whatever was
    found.
    """
    outputs = choose_outputs(output, FORMATS, findings.parent)
    places = places_of(outputs, (findings,))
    anchor = check_anchor(sarif_anchor)
    saved = replace(load_report(findings), run=load_run(findings.parent))
    can_be_written(places)
    pictured = [item for item in outputs if item.format.name in PICTURED]
    pictures = saved_pictures(saved, findings) if pictured else {}
    write_outputs(saved, outputs, options_for(max_bytes=max_bytes, anchor=anchor, pictures=pictures))
    for item in outputs:
        if item.path is not None:
            say(f"{item.format.name} report: {shown(item.path)}", to=sys.stderr)
        elif not item.machine:
            say_safely(text.render(saved), sys.stdout)
