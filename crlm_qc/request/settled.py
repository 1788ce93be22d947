"""What holds for a request: each key's value, of whatever source is the strongest that sets it.

The command line, pytest and `crlm-qc config` all ask here, so that they can't disagree.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crlm_qc.model.errors import UsageError
from crlm_qc.request.files import Configuration, load
from crlm_qc.request.keys import KEYS, variable
from crlm_qc.request.layers import Held, Origin, layered
from crlm_qc.request.values import Flag


@dataclass(frozen=True, slots=True)
class Settled:
    """The settings that hold, and the file that some of them come from."""

    held: Mapping[str, Held]
    """Every key, in the order of `KEYS`."""
    configuration: Configuration = field(default_factory=Configuration)

    def __getitem__(self, key: str) -> Any:
        """The plain value of a key."""
        return self.held[key].value

    def overrules(self, key: str, other: str) -> bool:
        """Whether a key is set by a stronger source than another."""
        strength = list(Origin)
        return strength.index(self.held[key].origin) > strength.index(self.held[other].origin)

    def path(self, key: str) -> Path | None:
        """The path that a key names, if it names one."""
        return None if self[key] is None else Path(self[key])

    def paths(self, key: str) -> tuple[Path, ...]:
        """The paths that a key lists."""
        return tuple(map(Path, self[key]))


def settle(
    options: Mapping[str, Any],
    *,
    release: Path | None = None,
    file: Path | None = None,
    isolated: bool = False,
    keys: Collection[str] = KEYS,
) -> Settled:
    """What holds: an option before the environment, the configuration file, and the default.

    Parameters
    ----------
    options : mapping
        What options were given, by key.
    release : pathlib.Path, optional
        What is audited; nothing in it is read as settings.
    file : pathlib.Path, optional
        Configuration file in place of the one that the environment names, or else the nearest.
    isolated : bool
        Read no configuration file; the environment may say so too.
    keys : collection of str
        Keys that the environment and the file are asked for.

    Returns
    -------
    Settled
        Equal for every face of the tool.

    Raises
    ------
    UsageError
        The value of an option, of a variable or of the file can't be used.
    """
    named = variable("CONFIG")
    configuration = load(
        _here(),
        release=release,
        file=file or (Path(named) if named else None),
        isolated=isolated or Flag().given(variable("ISOLATED") or False, "--isolated"),
    )
    environment = {name: KEYS[name].in_environment() for name in keys}
    layers = {
        Origin.FILE: {name: value for name, value in configuration.values.items() if name in keys},
        Origin.ENVIRONMENT: {name: value for name, value in environment.items() if value is not None},
    }
    return Settled(_held(options, layers), configuration)


def settle_alone(options: Mapping[str, Any]) -> Settled:
    """What holds by options and defaults alone, for who calls from Python: no variable and no file has a say.

    Parameters
    ----------
    options : mapping
        What is asked for, by key.

    Raises
    ------
    UsageError
        A value can't be used.
    """
    return Settled(_held(options, {}))


def _held(options: Mapping[str, Any], layers: Mapping[Origin, Mapping[str, Any]]) -> dict[str, Held]:
    defaults = {name: key.kind.default for name, key in KEYS.items()}
    given = {name: KEYS[name].given(value) for name, value in options.items()}
    held = layered({**layers, Origin.DEFAULT: defaults, Origin.OPTION: given})
    return {name: held[name] for name in KEYS}


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(f"the working directory can't be read: {os.strerror(error.errno or 0).lower()}") from None
