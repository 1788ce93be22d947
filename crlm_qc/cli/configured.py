"""A command over the configuration: what stands on the command line is handed to the request, which knows the rest."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from crlm_qc.cli.terminal import say
from crlm_qc.report import words
from crlm_qc.request.files import Configuration
from crlm_qc.request.keys import KEYS
from crlm_qc.request.request import Request
from crlm_qc.request.settled import Settled, settle

CONFIG, ISOLATED, RELEASE = "config", "isolated", "release"
"""Parameters that say what settings are read."""


MANY = 12
"""Options beyond which help is in groups."""
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "What is checked": (
        *("select", "ignore", "severity", "tolerance", "depth", "subset", "patients"),
        *("standard", "all_objects", "profile"),
    ),
    "What was accepted": ("waivers", "allow_did_waivers", "known_issues"),
    "What is written": (
        *("out", "force", "keep_runs", "output", "pictures", "evidence", "attest"),
        *("to", "redact_paths", "sarif_anchor"),
    ),
    "What has changed": ("baseline",),
    "Who is usable": ("purposes", "strict"),
    "How it exits": ("fail_on", "exit_zero", "allow_incomplete"),
    "Where things lie": ("metadata", "clinical", "manifest", "lock", "listing", "endpoint", "anonymous"),
    "Speed, and several machines": ("jobs", "cache", "no_cache", "part", "engine", "scheduler"),
    "Terminal and configuration": ("quiet", "color", "format_", "config", "isolated"),
}
"""Under which headings help lists options, by their parameters."""
GROUP_OF = {parameter: group for group, parameters in _GROUPS.items() for parameter in parameters}


class ConfiguredCommand(TyperCommand):
    """A command whose options may stand in the environment too, as CRLM_QC_FAIL_ON does for --fail-on.

    The parser is not told of it: what the environment says is read by `crlm_qc.request`, and `crlm-qc config` shows it.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, in which many options stand in groups."""
        if len(self.params) > MANY:
            for parameter in self.params:
                if parameter.name in GROUP_OF:
                    vars(parameter)["rich_help_panel"] = GROUP_OF[parameter.name]
        super().format_help(ctx, formatter)


def settled_by(ctx: typer.Context, parameters: Mapping[str, Any]) -> Settled:
    """What holds for a command.

    Parameters
    ----------
    ctx : typer.Context
        Knows which parameters were given on the command line.
    parameters : mapping
        Values of the command's parameters, by name.

    Raises
    ------
    UsageError
        A value of an option, a variable or the configuration file can't be used.
    """
    return settle(**_asked(ctx, parameters))


def request_by(ctx: typer.Context, parameters: Mapping[str, Any]) -> Request:
    """What is asked for by a command; parameters as those of `settled_by`.

    Raises
    ------
    UsageError
        A value can't be used, or a file that is named can't be read.
    """
    return Request.of(**_asked(ctx, parameters))


def _asked(ctx: typer.Context, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What stands on the command line, as a request takes it."""
    given = {name: value for name, value in parameters.items() if _stands_there(ctx, name)}
    keys = [key for key in KEYS.values() if key.parameter in parameters]
    return {
        "options": {key.name: given[key.parameter] for key in keys if key.parameter in given},
        "release": _path(given.get(RELEASE)),
        "file": _path(given.get(CONFIG)),
        "isolated": given.get(ISOLATED, False),
        "keys": [key.name for key in keys],
    }


def _stands_there(ctx: typer.Context, parameter: str) -> bool:
    source = ctx.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def _path(given: Any) -> Path | None:
    return None if given is None else Path(given)


def tell_configuration(configuration: Configuration) -> None:
    """Say on standard error which file holds, and which was not read since it lies in the release."""
    for path in configuration.passed_over:
        say(f"crlm-qc: {words.clean(str(path))} was not read: it lies in the release", to=sys.stderr)
    if configuration.path is not None:
        say(f"configuration: {words.clean(str(configuration.path))}", to=sys.stderr)
