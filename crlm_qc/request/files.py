"""Configuration files: found, read and checked.

A team's settings stand in `crlm-qc.toml`, or in `[tool.crlm-qc]` of pyproject.toml. Nothing that lies in the audited
release is read: audited data must not silence its auditor.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crlm_qc.collection.strict import StrictError, Table, read_toml
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.request.keys import KEYS
from crlm_qc.request.purposes import PURPOSES, read_purposes

FILE_NAME = "crlm-qc.toml"
PYPROJECT, TOOL = "pyproject.toml", "crlm-qc"


class ConfigurationError(UsageError):
    """A configuration file can't be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True)
class Found:
    """The configuration file of a folder."""

    path: Path | None = None
    passed_over: tuple[Path, ...] = ()
    """Files that lie in the release, and so were not read."""


def find(start: Path, release: Path | None = None) -> Found:
    """Find the nearest configuration file, from a folder upward.

    Parameters
    ----------
    start : pathlib.Path
        Folder to begin in.
    release : pathlib.Path, optional
        The audited release; nothing in it is read.

    Returns
    -------
    Found
        `crlm-qc.toml`, or a pyproject.toml with a table `[tool.crlm-qc]`; of two in one folder the former.

    Raises
    ------
    ConfigurationError
        A pyproject.toml on the way can't be read.
    """
    passed_over = []
    begin = Path(os.path.abspath(start))  # noqa: PTH100 - links are left as they are: who stands in a folder means that one
    for folder in (begin, *begin.parents):
        for path in (folder / FILE_NAME, folder / PYPROJECT):
            if not _is_file(path):
                continue
            if release is not None and lies_in(path, release):
                passed_over.append(path)
            elif path.name == FILE_NAME or TOOL in _tools(path):
                return Found(path, tuple(passed_over))
    return Found(None, tuple(passed_over))


def lies_in(path: Path, release: Path) -> bool:
    """Whether a file lies in a release, or is a link to a file that does."""
    top = resolved(release)
    return resolved(path).is_relative_to(top) or (resolved(path.parent) / path.name).is_relative_to(top)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A folder that is closed to the user is none of theirs.
        return False


def _tools(path: Path) -> Mapping[str, Any]:
    tools = _toml(path).get("tool", {})
    return tools if isinstance(tools, dict) else {}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except StrictError as error:
        raise ConfigurationError(f"{path} {error}") from None


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration that holds for a folder."""

    path: Path | None = None
    """The file; None if there is none, or none was asked for."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What it sets, by key: texts, numbers, truth values, tuples of texts, and tables of `severity` and
    `tolerances`; and `purposes`, what is said of each in place of what rules declare."""
    passed_over: tuple[Path, ...] = ()
    """Files that lie in the release, and so were not read."""


def load(
    start: Path, *, release: Path | None = None, file: Path | None = None, isolated: bool = False
) -> Configuration:
    """The configuration that holds for a folder.

    Parameters
    ----------
    start : pathlib.Path
        Folder that the search begins in, and goes upward from.
    release : pathlib.Path, optional
        The audited release; nothing in it is read.
    file : pathlib.Path, optional
        File to read in place of searching for one.
    isolated : bool
        Read none.

    Returns
    -------
    Configuration
        Empty where there is no file.

    Raises
    ------
    ConfigurationError
        The file can't be read, lies in the release, or has a key, code, tolerance, format or type that is not right.
    """
    if isolated:
        return Configuration()
    if file is None:
        found = find(start, release)
        return Configuration(found.path, read(found.path) if found.path else {}, found.passed_over)
    if release is not None and lies_in(file, release):
        raise ConfigurationError(f"{file} lies in the release, which must not say how it is checked: move it elsewhere")
    return Configuration(file, read(file))


def read(path: Path) -> dict[str, Any]:
    """What a configuration file sets.

    Parameters
    ----------
    path : pathlib.Path
        A file that is all configuration, or a pyproject.toml.

    Returns
    -------
    dict
        Checked values by key; paths begin at the file's folder.

    Raises
    ------
    ConfigurationError
        It can't be read, or a key, code, tolerance, format or type is not right.
    """
    raw, name = _toml(path), ""
    if path.name == PYPROJECT:
        raw, name = _tools(path).get(TOOL, {}), f"tool.{TOOL}"
    try:
        if not isinstance(raw, dict):
            raise StrictError(f"[{name}] must be a table")
        table = Table(raw, name)
        table.allow((*KEYS, PURPOSES))
        folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - as above
        values = {key: KEYS[key].kind.in_file(table, key, folder) for key in table if key != PURPOSES}
        return {**values, **({PURPOSES: read_purposes(table.table(PURPOSES))} if PURPOSES in table else {})}
    except StrictError as error:
        raise ConfigurationError(f"{path}: {error}") from None
