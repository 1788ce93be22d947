"""The command that checks tables alone, as a hook before a commit does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.actions import say_safely
from crlm_qc.cli.configured import request_by
from crlm_qc.cli.options import (
    ColourOption,
    ConfigOption,
    FailOn,
    FailOnOption,
    IgnoreOption,
    IsolatedOption,
    KnownIssuesOption,
    ProfileOption,
    QuietOption,
    SelectOption,
    SeverityOption,
)
from crlm_qc.cli.terminal import Colour, style_of
from crlm_qc.model.report import Report
from crlm_qc.report import text
from crlm_qc.request.request import Request
from crlm_qc.rulebook.rule import Rule, RuleKind


def tables(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="metadata.csv, clinical workbook and .tcia manifest, or some of them."),
    ],
    select: SelectOption = None,
    ignore: IgnoreOption = None,
    severity: SeverityOption = None,
    fail_on: FailOnOption = FailOn.ERROR,
    waivers: Annotated[
        list[Path] | None, typer.Option("--waivers", help="Findings that were accepted (TOML). Repeatable.")
    ] = None,
    known_issues: KnownIssuesOption = True,
    profile: ProfileOption = None,
    quiet: QuietOption = 0,
    color: ColourOption = Colour.AUTO,
    config: ConfigOption = None,
    isolated: IsolatedOption = False,
) -> None:
    """Check tables alone, without images: what metadata.csv, workbook and manifest say of themselves and of each other.

    For a hook before a commit. It writes no report, and compares nothing with files on disk: crlm-qc check does.
    """
    request = request_by(ctx, locals())
    report = _judged(files, replace(request, settings=replace(request.settings, subset=True)))
    _tell(report, request)
    raise typer.Exit(report.exit_code(request.fail_on))


def _judged(files: Sequence[Path], request: Request) -> Report:
    """What the rules that need tables alone find in them."""
    from crlm_qc.auditing.judging import judge
    from crlm_qc.evidence.lone_tables import collect_tables

    accepted = request.accepted()
    chosen = [item for item in request.rules() if _of_tables_alone(item)]
    evidence = collect_tables(files, request.profile)
    return judge(evidence, request.profile, request.settings, chosen, waivers=accepted)


def _tell(report: Report, request: Request) -> None:
    style = style_of(sys.stdout, Colour(request.color))
    if not request.quiet:
        say_safely(text.several(report, report.findings, style), sys.stdout)
    if request.quiet < 2:
        say_safely(text.verdict(report, style), sys.stdout)


def _of_tables_alone(item: Rule) -> bool:
    """Whether a rule needs no more than tables; that a table is missing is nothing to tell of a commit."""
    from crlm_qc.model.tables import SOURCE_TABLES

    return item.kind is RuleKind.AUDIT or (item.family != "REL" and set(item.tables) <= SOURCE_TABLES)
