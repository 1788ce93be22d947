"""Configuration on the command line: the file below the options of `check`, and `crlm-qc config`, which shows what holds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from crlm_qc.auditing import UsageError, choose
from crlm_qc.configuration import (
    FILE_NAME,
    KEYS,
    OFF,
    Configuration,
    ConfigurationError,
    Held,
    Key,
    Origin,
    layered,
    load,
    template,
)
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.outputs import did_you_mean, put
from crlm_qc.report import words
from crlm_qc.rules import registry
from crlm_qc.terminal import say

CONFIG, ISOLATED, RELEASE = "config", "isolated", "release"
"""Parameters of `check` that say what to read."""
_NO_RELEASE = "RELEASE"
"""Stands for a release that was not named: no configuration file lies in it."""
_TRUE = ("1", "true", "t", "yes", "y", "on")
"""What the environment says of an option that is on."""
_MEMO = "crlm_qc.configuration"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"Configuration in place of the nearest {FILE_NAME} or pyproject.toml with [tool.crlm-qc].",
    ),
]
IsolatedOption = Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")]
ToleranceOption = Annotated[
    list[str] | None,
    typer.Option("--tolerance", metavar="NAME=VALUE", help="Another tolerance than the profile's. Repeatable."),
]
WITH_ENVIRONMENT = {"auto_envvar_prefix": "CRLM_QC"}
"""Settings of a command whose options may stand in the environment, as CRLM_QC_FAIL_ON does for --fail-on."""


class Listing(StrEnum):
    """How the settings are listed."""

    TEXT = "text"
    JSON = "json"


class ConfiguredCommand(TyperCommand):
    """A command whose options take their defaults from the configuration file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, over the configuration that holds for them.

        Raises
        ------
        UsageError
            The configuration can't be used.
        """
        given, *_ = self.make_parser(ctx).parse_args(args=list(args))
        if not ctx.resilient_parsing and not given.get("help"):
            configuration = self._configuration(ctx, given)
            ctx.meta[_MEMO] = configuration
            ctx.default_map = {KEYS[key].parameter: _flat(value) for key, value in configuration.values.items()}
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def _configuration(self, ctx: Any, given: Mapping[str, Any]) -> Configuration:
        raw = {param.name: param.consume_value(ctx, given)[0] for param in self.get_params(ctx)}
        release, file = (None if raw.get(name) is None else Path(raw[name]) for name in (RELEASE, CONFIG))
        isolated = str(raw.get(ISOLATED)).lower() in _TRUE
        try:
            return load(_here(), release=release, file=file, isolated=isolated)
        except ConfigurationError as error:
            raise UsageError(str(error)) from None


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(f"the working directory can't be read: {os.strerror(error.errno or 0).lower()}") from None


def _flat(value: Any) -> Any:
    """A value as the option takes it: a table as NAME=VALUE."""
    if isinstance(value, Mapping):
        return [f"{name}={entry}" for name, entry in value.items()]
    return list(value) if isinstance(value, tuple) else value


def configuration_of(ctx: typer.Context) -> Configuration:
    """The configuration that a command was parsed over."""
    found: Configuration = ctx.meta.get(_MEMO, Configuration())
    return found


def over_the_file(ctx: typer.Context, key: str, given: Iterable[str] | None) -> tuple[str, ...]:
    """Entries of a table: those of the file, and over them what an option or the environment gives."""
    below = _flat(configuration_of(ctx).values.get(key, {}))
    return (*below, *(pair for part in given or () for pair in part.replace(",", " ").split()))


def tell_configuration(ctx: typer.Context) -> None:
    """Say on standard error which file holds, and which was not read since it lies in the release."""
    configuration = configuration_of(ctx)
    for path in configuration.passed_over:
        say(f"crlm-qc: {words.clean(str(path))} was not read: it lies in the release", to=sys.stderr)
    if configuration.path is not None:
        say(f"configuration: {words.clean(str(configuration.path))}", to=sys.stderr)


# --- tables as options -----------------------------------------------------------------------------------------------


def severities(pairs: Iterable[str]) -> tuple[dict[str, Severity], tuple[str, ...]]:
    """Severities given to rules, and rules that are off.

    Parameters
    ----------
    pairs : iterable of str
        `CODE=LEVEL`; of several for one rule the last holds.

    Raises
    ------
    UsageError
        One has another form, or names a rule that is not there.
    """
    levels: dict[str, str] = {}
    for pair in pairs:
        code, equals, level = pair.partition("=")
        if not equals or level not in (*Severity, OFF):
            raise UsageError(f"--severity {pair}: write CODE=LEVEL, LEVEL one of {', '.join((*Severity, OFF))}")
        levels[code.upper()] = level
    off = tuple(code for code, level in levels.items() if level == OFF)
    # A rule that is off must be there too.
    choose(registry(), Settings(severity=dict.fromkeys(off, Severity.INFO)))
    return {code: Severity(level) for code, level in levels.items() if level != OFF}, off


def tolerances(pairs: Iterable[str]) -> dict[str, float]:
    """Tolerances by name.

    Parameters
    ----------
    pairs : iterable of str
        `NAME=VALUE`; of several for one tolerance the last holds.

    Raises
    ------
    UsageError
        One has another form, an unknown name, or a value that can't be.
    """
    changed: dict[str, float] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in Tolerances.__slots__:
            raise UsageError(f"unknown tolerance {name} in --tolerance{did_you_mean(name, Tolerances.__slots__)}")
        try:
            changed[name] = float(value)
            Tolerances().replaced({name: changed[name]})
        except ValueError as error:
            why = str(error) if str(error).startswith("tolerance ") else "write NAME=VALUE, VALUE a number"
            raise UsageError(f"--tolerance {pair}: {why}") from None
    return changed


# --- crlm-qc config --------------------------------------------------------------------------------------------------


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(config)


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
    from crlm_qc.cli import app

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
