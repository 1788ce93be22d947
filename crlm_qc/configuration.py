"""Configuration files: found, read and checked; and which of several sources of a setting holds.

A team's settings stand in `crlm-qc.toml`, or in `[tool.crlm-qc]` of pyproject.toml. Nothing that lies in the audited
release is read: audited data must not silence its auditor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from crlm_qc.model.picture import PictureMode
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.model.strict import StrictError, Table, close_to, read_toml
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.report import FORMATS, STDOUT
from crlm_qc.rules import registry

FILE_NAME = "crlm-qc.toml"
PYPROJECT, TOOL = "pyproject.toml", "crlm-qc"
PREFIX = "CRLM_QC"
"""Beginning of the names of environment variables."""
OFF = "off"
"""The level that leaves a rule out."""
LEVELS = (*Severity, OFF)


class ConfigurationError(ValueError):
    """A configuration file can't be used; the message names the file and the key."""


class Origin(StrEnum):
    """Where a setting comes from, the strongest last."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration, which is an option of `crlm-qc check` too."""

    name: str
    read: Callable[[Table, str, Path], Any] = field(repr=False)
    """Takes the value out of a table; relative paths begin at the folder that is given."""
    doc: str
    example: str
    """A value in TOML."""
    option: str = ""
    """The option's name, where it is another."""
    choices: tuple[str, ...] = ()

    @property
    def parameter(self) -> str:
        """The option's name as a word of Python."""
        return (self.option or self.name).replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{PREFIX}_{self.parameter.upper()}"


def _texts(table: Table, key: str, _: Path) -> tuple[str, ...]:
    """A list of texts, or one of them."""
    value = table.value(key)
    return (table.text(key),) if isinstance(value, str) else table.texts(key)


def _codes(table: Table, key: str, folder: Path) -> tuple[str, ...]:
    codes = tuple(code for part in _texts(table, key, folder) for code in part.replace(",", " ").split())
    every = registry()
    for code in codes:
        if not every.matching(code):
            raise _unknown_rule(code, table.place(key))
    return codes


def _unknown_rule(code: str, place: str) -> StrictError:
    return StrictError(f"unknown rule {code} in {place}{close_to(code.upper(), [item.code for item in registry()])}")


def _levels(table: Table, key: str, _: Path) -> dict[str, str]:
    levels, every = table.table(key), registry()
    for code in levels:
        if code.upper() not in every:
            raise _unknown_rule(code, table.place(key))
    return {code.upper(): levels.choice(code, LEVELS) for code in levels}


def _tolerances(table: Table, key: str, _: Path) -> dict[str, float]:
    given = table.table(key)
    given.allow(Tolerances.__slots__)
    values = {name: given.number(name) for name in given}
    try:
        Tolerances().replaced(values)
    except ValueError as error:
        raise StrictError(f"{table.place(key)}: {error}") from None
    return values


def _outputs(table: Table, key: str, folder: Path) -> tuple[str, ...]:
    outputs = []
    for spec in _texts(table, key, folder):
        name, colon, where = spec.partition(":")
        if name not in FORMATS:
            hint = close_to(name, FORMATS) or f". Known: {', '.join(FORMATS)}"
            raise StrictError(f"unknown format {name} in {table.place(key)}{hint}")
        outputs.append(spec if where in ("", STDOUT) else f"{name}{colon}{_absolute(where, folder)}")
    return tuple(outputs)


def _patients(table: Table, key: str, folder: Path) -> tuple[str, ...]:
    return tuple(
        f"@{_absolute(part[1:], folder)}" if part.startswith("@") else part for part in _texts(table, key, folder)
    )


def _path(table: Table, key: str, folder: Path) -> str:
    return _absolute(table.text(key), folder)


def _paths(table: Table, key: str, folder: Path) -> tuple[str, ...]:
    return tuple(_absolute(path, folder) for path in _texts(table, key, folder))


def _absolute(path: str, folder: Path) -> str:
    return str(folder / path)


def _text(table: Table, key: str, _: Path) -> str:
    return table.text(key)


def _flag(table: Table, key: str, _: Path) -> bool:
    return table.flag(key, default=False)


def _jobs(table: Table, key: str, _: Path) -> int:
    jobs = table.whole(key)
    if jobs < 1:
        raise StrictError(f"{table.place(key)} must be at least 1")
    return jobs


def _quiet(table: Table, key: str, _: Path) -> int:
    quiet = table.whole(key)
    if quiet not in range(3):
        raise StrictError(f"{table.place(key)} must be 0, 1 or 2")
    return quiet


def _choice(name: str, choices: Iterable[str], doc: str, example: str) -> Key:
    known = tuple(map(str, choices))

    def read(table: Table, key: str, _: Path) -> str:
        return table.choice(key, known)

    return Key(name, read, f"{doc}: {', '.join(known)}.", example, choices=known)


_KEYS = (
    Key("select", _codes, "Only these rules: codes, beginnings of codes, or slugs.", '["CTS", "DSO011"]'),
    Key("ignore", _codes, "All but these rules.", '["CTS012"]'),
    Key(
        "severity", _levels, f"Another severity of a rule: {', '.join(LEVELS)}.", '{ CTS012 = "off", CTS006 = "error" }'
    ),
    Key(
        "tolerances",
        _tolerances,
        "Other tolerances than the profile's, by name; crlm-qc explain CODE names those of a rule.",
        "{ spacing_mm = 0.02 }",
        option="tolerance",
    ),
    Key("waivers", _paths, "Files of findings that were accepted.", '["waivers.toml"]'),
    Key("allow-did-waivers", _flag, "Let waivers accept what identifies a person.", "false"),
    Key("known-issues", _flag, "Whether the documented faults of the published release are waived.", "true"),
    Key("redact-paths", _flag, "Whether folders are named in reports after patient and contents alone.", "true"),
    _choice("fail-on", (*Severity, "never"), "Mildest severity that exits with 1", '"error"'),
    Key("exit-zero", _flag, "Exit with 0 where findings would exit with 1.", "false"),
    Key("allow-incomplete", _flag, "Exit by the findings alone where something could not be checked.", "false"),
    Key(
        "output", _outputs, "Reports beside findings.json and report.html: FORMAT or FORMAT:PATH.", '["junit", "sarif"]'
    ),
    Key("out", _path, "Folder of the reports.", '"audit"'),
    Key("evidence", _path, "Folder to write the evidence tables to.", '"audit/evidence"'),
    Key("attest", _path, "File to write a sign-off record to.", '"audit/attestation.json"'),
    Key("sarif-anchor", _text, "File of the repository that SARIF results are shown at.", '"README.md"'),
    _choice("pictures", PictureMode, "Which patients get pictures", '"auto"'),
    _choice("depth", Depth, "How deep to read", '"pixels"'),
    Key("subset", _flag, "Part of the release on purpose: skip what compares the whole.", "false"),
    Key("patients", _patients, "Only these patients; @FILE lists one a line.", '["CRLM-CT-1004"]'),
    Key("profile", _path, "Release profile in place of the built-in one.", '"profile.toml"'),
    Key("lock", _path, "Lock file to compare every byte with.", '"release.lock"'),
    Key("metadata", _path, "metadata.csv, where it is not found.", '"metadata.csv"'),
    Key("clinical", _path, "Clinical workbook, where it is not found.", '"clinical.xlsx"'),
    Key("manifest", _path, "Manifest, where it is not found.", '"manifest.tcia"'),
    Key("jobs", _jobs, "Processes to read with.", "4"),
    Key("quiet", _quiet, "1 prints the verdict alone, 2 nothing, 0 all.", "0"),
    _choice("color", ("auto", "always", "never"), "Colours in the terminal", '"auto"'),
)
KEYS: Mapping[str, Key] = {key.name: key for key in _KEYS}
"""Every key, in the order that listings have."""


# --- finding ---------------------------------------------------------------------------------------------------------


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
    top = release.resolve()
    return path.resolve().is_relative_to(top) or (path.parent.resolve() / path.name).is_relative_to(top)


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


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration that holds for a folder."""

    path: Path | None = None
    """The file; None if there is none, or none was asked for."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What it sets, by key: texts, numbers, truth values, tuples of texts, and tables of `severity` and `tolerances`."""
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
        table.allow(KEYS)
        folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - as above
        return {key: KEYS[key].read(table, key, folder) for key in table}
    except StrictError as error:
        raise ConfigurationError(f"{path}: {error}") from None


# --- which of several sources holds ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """A setting that holds."""

    value: Any
    origin: Origin
    """Of a table, the strongest of its entries' origins."""
    entries: Mapping[str, Origin] = field(default_factory=dict)
    """Origin of each entry of a table."""


def layered(layers: Mapping[Origin, Mapping[str, Any]]) -> dict[str, Held]:
    """What holds where several sources set a key: an option before the environment, a file, and the default.

    Parameters
    ----------
    layers : mapping
        Values by key, for each source.

    Returns
    -------
    dict of str to Held
        Every key that is set. A table is put together of all sources, entry by entry; anything else is that of the
        strongest source, as a whole.
    """
    held: dict[str, Held] = {}
    for origin in Origin:
        for key, value in layers.get(origin, {}).items():
            below = held.get(key)
            if isinstance(value, Mapping):
                tabled = below if below is not None and isinstance(below.value, Mapping) else Held({}, origin)
                entries = {**tabled.entries, **dict.fromkeys(value, origin)}
                strongest = origin if value else tabled.origin
                held[key] = Held({**tabled.value, **value}, strongest, entries)
            else:
                held[key] = Held(value, origin)
    return held


# --- a file to begin with --------------------------------------------------------------------------------------------


def template(keys: Sequence[Key] = _KEYS) -> str:
    """A configuration file in which every key stands with what it does, commented out."""
    parts = [
        "# Configuration of crlm-qc. Options and environment variables come first. Paths begin at this file's folder.",
        "# It is never read from within the release. What holds: crlm-qc config",
    ]
    parts += [f"\n# {key.doc}\n# {key.name} = {key.example}" for key in keys]
    return "\n".join(parts) + "\n"
