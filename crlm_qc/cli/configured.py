"""A command over the configuration: the file below its options."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from crlm_qc.cli.terminal import say
from crlm_qc.model.errors import UsageError
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.model.words import did_you_mean
from crlm_qc.report import words
from crlm_qc.request.choice import choose
from crlm_qc.request.files import Configuration, load
from crlm_qc.request.keys import KEYS, OFF
from crlm_qc.rules import registry

CONFIG, ISOLATED, RELEASE = "config", "isolated", "release"
"""Parameters of `check` that say what to read."""
_TRUE = ("1", "true", "t", "yes", "y", "on")
"""What the environment says of an option that is on."""
_MEMO = "crlm_qc.request.files"


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
        return load(_here(), release=release, file=file, isolated=isolated)


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
