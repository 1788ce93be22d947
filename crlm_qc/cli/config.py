"""`crlm-qc config`: what settings hold, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from crlm_qc.cli.configured import RELEASE, configuration_of, severities, tolerances
from crlm_qc.cli.terminal import say
from crlm_qc.model.errors import UsageError
from crlm_qc.report import words
from crlm_qc.report.writing import put
from crlm_qc.request.files import FILE_NAME, Configuration
from crlm_qc.request.keys import KEYS, OFF, Key, template
from crlm_qc.request.layers import Held, Origin, layered

_NO_RELEASE = "RELEASE"
"""Stands for a release that was not named: no configuration file lies in it."""


class Listing(StrEnum):
    """How the settings are listed."""

    TEXT = "text"
    JSON = "json"


def config(
    ctx: typer.Context,
    listing: Annotated[Listing, typer.Option("--format", help="For people or for programs.")] = Listing.TEXT,
    init: Annotated[
        bool, typer.Option("--init", help=f"Write {FILE_NAME} here, every key explained and commented out.")
    ] = False,
) -> None:
    """Show what settings hold, and where each comes from.

    Takes the release and the options of crlm-qc check, and checks nothing: crlm-qc config RELEASE --fail-on warning
    """
    if init:
        if ctx.args:
            raise UsageError(f"--init takes nothing else: it writes {FILE_NAME} to the working directory")
        path = Path(FILE_NAME)
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} is there already: remove it first")
        put(path, template())
        say(f"written: {path}")
        return
    configuration, held = settled(ctx, ctx.args)
    if listing is Listing.JSON:
        say(json.dumps(_as_dict(configuration, held), indent=2, ensure_ascii=False))
        return
    shown = None if configuration.path is None else words.clean(str(configuration.path))
    say(f"configuration file: {shown or 'none'}")
    for path in configuration.passed_over:
        say(f"not read, since it lies in the release: {words.clean(str(path))}")
    say("")
    rows = [row for key, one in held.items() for row in _rows(KEYS[key], one)]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, origin, value in rows:
        say(f"{name:{wide[0]}}  {origin:{wide[1]}}  {value}")


def settled(ctx: typer.Context, arguments: Sequence[str]) -> tuple[Configuration, dict[str, Held]]:
    """What would hold for `crlm-qc check` with these arguments.

    Parameters
    ----------
    ctx : typer.Context
        Context of another command of the same program.
    arguments : sequence of str
        Arguments of `check`; the release may be left out.

    Returns
    -------
    tuple
        The configuration, and every setting by key, in the order of `KEYS`.
    """
    group: Any = ctx.find_root().command
    return _settled(group.commands["check"], arguments, ctx.parent)


def settled_for(release: Path, options: Mapping[str, Any]) -> tuple[Configuration, dict[str, Any]]:
    """What would hold for `crlm-qc check` with these options, for who is not the command line.

    Parameters
    ----------
    release : pathlib.Path
        The release, or saved evidence.
    options : mapping
        Values by key, where they are given: a text, a number, a list of texts, or True for a flag.

    Returns
    -------
    tuple
        The configuration, and the values that hold by key, those of `KEYS` that are None left out.

    Raises
    ------
    UsageError
        A value of an option, a variable or the configuration file can't be used.
    """
    from crlm_qc.cli.app import app

    group: Any = typer.main.get_command(app)
    arguments = []
    for key, value in options.items():
        name = f"--{KEYS[key].parameter.replace('_', '-')}"
        values = value if isinstance(value, list | tuple) else [value]
        arguments += [name if one is True else f"{name}={one}" for one in values if one not in (None, False)]
    try:
        configuration, held = _settled(group.commands["check"], [*arguments, "--", str(release)])
    except Exception as error:
        # As on the command line: Typer's own exceptions have no common base, but all can say what is wrong.
        if format_message := getattr(error, "format_message", None):
            raise UsageError(str(format_message()).rstrip(".")) from None
        raise
    return configuration, {key: one.value for key, one in held.items() if one.value is not None}


def _settled(check: Any, arguments: Sequence[str], parent: Any = None) -> tuple[Configuration, dict[str, Held]]:
    given = list(arguments)
    bare = check.context_class(check, info_name="check", parent=parent, **check.context_settings)
    opts, *_ = check.make_parser(bare).parse_args(args=list(given))
    if opts.get(RELEASE) is None:
        given = [_NO_RELEASE, *given]
    parsed = check.make_context("check", given, parent=parent)
    layers: dict[Origin, dict[str, Any]] = {origin: {} for origin in Origin}
    layers[Origin.FILE] = dict(configuration_of(parsed).values)
    for key in KEYS.values():
        origin = _ORIGINS[parsed.get_parameter_source(key.parameter).name]
        if origin is not Origin.FILE:
            layers[origin][key.name] = _plain(key, parsed.params[key.parameter])
    held = layered(layers)
    return configuration_of(parsed), {name: held[name] for name in KEYS}


_ORIGINS = {
    "COMMANDLINE": Origin.OPTION,
    "ENVIRONMENT": Origin.ENVIRONMENT,
    "DEFAULT_MAP": Origin.FILE,
    "DEFAULT": Origin.DEFAULT,
}
"""Where the parser says that a value comes from."""


def _plain(key: Key, value: Any) -> Any:
    """A value of `check`'s as JSON has it."""
    if key.name == "severity":
        levels, off = severities(value or ())
        return {**{code: level.value for code, level in levels.items()}, **dict.fromkeys(off, OFF)}
    if key.name == "tolerances":
        return tolerances(value or ())
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _as_dict(configuration: Configuration, held: Mapping[str, Held]) -> dict[str, Any]:
    return {
        "file": None if configuration.path is None else str(configuration.path),
        "passed_over": [str(path) for path in configuration.passed_over],
        "settings": {
            name: {
                "value": list(one.value) if isinstance(one.value, tuple) else one.value,
                "origin": one.origin.value,
                "variable": KEYS[name].variable,
                **({"entries": {entry: origin.value for entry, origin in one.entries.items()}} if one.entries else {}),
            }
            for name, one in held.items()
        },
    }


def _rows(key: Key, held: Held) -> list[tuple[str, str, str]]:
    """Key, origin and value as people read them; of a table a row an entry."""
    if held.entries:
        return [
            (f"{key.name}.{entry}", _said(key, origin), _shown(held.value[entry]))
            for entry, origin in held.entries.items()
        ]
    return [(key.name, _said(key, held.origin), _shown(held.value))]


def _shown(value: Any) -> str:
    if value is None or value == {} or value == () or value == []:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return words.clean(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def _said(key: Key, origin: Origin) -> str:
    option = key.parameter.replace("_", "-")
    return {
        Origin.DEFAULT: "default",
        Origin.FILE: "configuration file",
        Origin.ENVIRONMENT: key.variable,
        Origin.OPTION: f"option --{option}",
    }[origin]
