"""The command that checks tables alone, as a hook before a commit does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.auditing.judging import judge
from crlm_qc.cli.actions import harmless, in_actions
from crlm_qc.cli.configured import over_the_file, severities
from crlm_qc.cli.options import (
    ColourOption,
    ConfigOption,
    FailOn,
    IsolatedOption,
    QuietOption,
)
from crlm_qc.cli.terminal import Colour, say, style_of
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import load_waivers
from crlm_qc.model.settings import Settings
from crlm_qc.report import text
from crlm_qc.request.choice import all_waivers, choose
from crlm_qc.rulebook.rule import Rule, RuleKind
from crlm_qc.rules import registry


def tables(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="metadata.csv, clinical workbook and .tcia manifest, or some of them."),
    ],
    select: Annotated[
        list[str] | None,
        typer.Option("--select", metavar="CODES", help="Only these rules: codes or beginnings of codes."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="CODES", help="All but these rules.")] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option(
            "--severity", metavar="CODE=LEVEL", help="Give a rule another severity: error, warning, info or off."
        ),
    ] = None,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="Mildest severity that exits with 1.")] = FailOn.ERROR,
    waivers: Annotated[
        list[Path] | None, typer.Option("--waivers", help="Findings that were accepted (TOML). Repeatable.")
    ] = None,
    known_issues: Annotated[
        bool,
        typer.Option("--known-issues/--no-known-issues", help="Waive the documented faults of the published release."),
    ] = True,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="Release profile (TOML) in place of the built-in one.")
    ] = None,
    quiet: QuietOption = 0,
    color: ColourOption = Colour.AUTO,
    config: ConfigOption = None,
    isolated: IsolatedOption = False,
) -> None:
    """Check tables alone, without images: what metadata.csv, workbook and manifest say of themselves and of each other.

    For a hook before a commit. It writes no report, and compares nothing with files on disk: crlm-qc check does.
    """
    from crlm_qc.evidence.lone_tables import collect_tables

    del config, isolated  # they were read before the options were parsed
    levels, off = severities(over_the_file(ctx, "severity", severity))
    settings = Settings(
        subset=True, select=_codes(select), ignore=(*_codes(ignore), *off), severity=levels, known_issues=known_issues
    )
    used = load_profile(profile)
    accepted = all_waivers([waiver for path in waivers or () for waiver in load_waivers(path)], settings, used)
    chosen = [item for item in choose(registry(), settings) if _of_tables_alone(item)]
    evidence = collect_tables(files, used)
    report = judge(evidence, used, settings, chosen, waivers=accepted)
    style = style_of(sys.stdout, color)
    if quiet < 2:
        shown = text.verdict(report, style) if quiet else text.several(report, report.findings, style).rstrip("\n")
        said = [shown] if quiet else [shown, text.verdict(report, style)]
        for line in said:
            say(harmless(line) if in_actions() else line, to=sys.stdout)
    raise typer.Exit(report.exit_code(fail_on.severity))


def _codes(given: list[str] | None) -> tuple[str, ...]:
    return tuple(code for part in given or () for code in part.replace(",", " ").split())


def _of_tables_alone(item: Rule) -> bool:
    """Whether a rule needs no more than tables; that a table is missing is nothing to tell of a commit."""
    from crlm_qc.evidence.lone_tables import SOURCE_TABLES

    return item.kind is RuleKind.AUDIT or (item.family != "REL" and set(item.tables) <= SOURCE_TABLES)
