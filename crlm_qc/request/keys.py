"""The keys of the configuration, each an option of `crlm-qc check` too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crlm_qc.collection.strict import StrictError, Table
from crlm_qc.model.picture import PictureMode
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.model.words import did_you_mean
from crlm_qc.report import FORMATS, STDOUT
from crlm_qc.rules import registry

PREFIX = "CRLM_QC"
"""Beginning of the names of environment variables."""
OFF = "off"
"""The level that leaves a rule out."""
LEVELS = (*Severity, OFF)


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
    return StrictError(
        f"unknown rule {code} in {place}{did_you_mean(code.upper(), [item.code for item in registry()])}"
    )


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
            hint = did_you_mean(name, FORMATS) or f". Known: {', '.join(FORMATS)}"
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


def template(keys: Sequence[Key] = _KEYS) -> str:
    """A configuration file in which every key stands with what it does, commented out."""
    parts = [
        "# Configuration of crlm-qc. Options and environment variables come first. Paths begin at this file's folder.",
        "# It is never read from within the release. What holds: crlm-qc config",
    ]
    parts += [f"\n# {key.doc}\n# {key.name} = {key.example}" for key in keys]
    return "\n".join(parts) + "\n"
