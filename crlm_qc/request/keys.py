"""The keys of the configuration, each an option of `crlm-qc check` and an environment variable too."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crlm_qc.model.picture import PictureMode
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.request.values import (
    LEVELS,
    Bounds,
    Choice,
    Codes,
    Flag,
    Kind,
    Levels,
    Number,
    Outputs,
    Patients,
    Place,
    Places,
    Saved,
    Share,
    Text,
)

PREFIX = "CRLM_QC"
"""Beginning of the names of environment variables."""
NEVER = "never"
"""The severity at which nothing fails."""
NEW = {"new": Severity.ERROR, "new-warning": Severity.WARNING, "new-info": Severity.INFO}
"""Where only what is worse than the baseline fails: from which severity on."""
LAST = "last"
"""The baseline that is the last comparable audit of those that were kept."""
KEPT = 10
"""Audits that are kept, unless another number is asked for."""
ENGINES = ("local", "dask")
"""What patients can be read on, by default the first."""


def variable(name: str) -> str:
    """What the environment says under a name that follows the prefix; what is empty says nothing."""
    return os.environ.get(f"{PREFIX}_{name}", "")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration, which is an option of `crlm-qc check` too."""

    name: str
    kind: Kind = field(repr=False)
    doc: str
    example: str
    """A value in TOML."""
    other_option: str = ""
    """The option's name, where it is another."""
    other_variable: str = ""
    """The environment variable without its prefix, where it is not named after the option."""

    @property
    def option(self) -> str:
        """The option as it is typed."""
        return f"--{self.other_option or self.name}"

    @property
    def parameter(self) -> str:
        """The option's name as a word of Python."""
        return self.option.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{PREFIX}_{self._in_environment}"

    @property
    def _in_environment(self) -> str:
        return self.other_variable or self.parameter.upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """All values that it may have, where they are few words."""
        return self.kind.choices

    def given(self, value: Any) -> Any:
        """The plain value of what an option is given.

        Raises
        ------
        UsageError
            It is not what the key takes.
        """
        return self.kind.given(value, self.option)

    def in_environment(self) -> Any:
        """The plain value of what the environment says, None where it says nothing.

        Raises
        ------
        UsageError
            It is not what the key takes.
        """
        said = variable(self._in_environment)
        return self.given(self.kind.in_variable(said)) if said else None


def _choice(name: str, kind: Choice, doc: str, example: str) -> Key:
    return Key(name, kind, f"{doc}: {', '.join(kind.choices)}.", example)


_KEYS = (
    Key("select", Codes(), "Only these rules: codes, beginnings of codes, or slugs.", '["CTS", "DSO011"]'),
    Key("ignore", Codes(), "All but these rules.", '["CTS012"]'),
    Key(
        "severity",
        Levels(),
        f"Another severity of a rule: {', '.join(LEVELS)}.",
        '{ CTS012 = "off", CTS006 = "error" }',
    ),
    Key(
        "tolerances",
        Bounds(),
        "Other tolerances than the profile's, by name; crlm-qc explain CODE names those of a rule.",
        "{ spacing_mm = 0.02 }",
        other_option="tolerance",
    ),
    Key("waivers", Places(), "Files of findings that were accepted.", '["waivers.toml"]'),
    Key("allow-did-waivers", Flag(), "Let waivers accept what identifies a person.", "false"),
    Key(
        "known-issues", Flag(default=True), "Whether the documented faults of the published release are waived.", "true"
    ),
    Key("redact-paths", Flag(), "Whether folders are named in reports after patient and contents alone.", "true"),
    _choice(
        "fail-on",
        Choice((*Severity, NEVER, *NEW), default=Severity.ERROR.value),
        "Mildest severity that exits with 1",
        '"error"',
    ),
    Key(
        "baseline",
        Saved(LAST),
        "findings.json of an earlier audit to compare with, or last: the last comparable one of those that were kept.",
        '"baseline.json"',
    ),
    Key("exit-zero", Flag(), "Exit with 0 where findings would exit with 1.", "false"),
    Key("allow-incomplete", Flag(), "Exit by the findings alone where something could not be checked.", "false"),
    Key(
        "output",
        Outputs(),
        "Reports beside findings.json and report.html: FORMAT or FORMAT:PATH.",
        '["junit", "sarif"]',
    ),
    Key("out", Place(), "Folder of the reports.", '"audit"'),
    Key("keep-runs", Number(least=0, default=KEPT), "Audits whose findings are kept in that folder, under runs.", "30"),
    Key("evidence", Place(), "Folder to write the evidence tables to.", '"audit/evidence"'),
    Key("attest", Place(), "File to write a sign-off record to.", '"audit/attestation.json"'),
    Key("sarif-anchor", Text(), "File of the repository that SARIF results are shown at.", '"README.md"'),
    _choice("pictures", Choice(PictureMode, default=PictureMode.AUTO.value), "Which patients get pictures", '"auto"'),
    _choice("depth", Choice(Depth, default=Depth.PIXELS.value), "How deep to read", '"pixels"'),
    Key("standard", Flag(), "Whether the validators of dicom3tools are run too.", "true"),
    Key("all-objects", Flag(), "Whether objects of others are audited too, as the published ones are.", "true"),
    Key("subset", Flag(), "Part of the release on purpose: skip what compares the whole.", "false"),
    Key("patients", Patients(), "Only these patients; @FILE lists one a line.", '["CRLM-CT-1004"]'),
    Key("part", Share(), "Only this share of the patients, of as many as there are machines.", '"3/16"'),
    Key("profile", Place(), "Release profile in place of the built-in one.", '"profile.toml"'),
    Key("lock", Place(), "Lock file to compare every byte with.", '"release.lock"'),
    Key("metadata", Place(), "metadata.csv, where it is not found.", '"metadata.csv"'),
    Key("clinical", Place(), "Clinical workbook, where it is not found.", '"clinical.xlsx"'),
    Key("manifest", Place(), "Manifest, where it is not found.", '"manifest.tcia"'),
    Key("listing", Place(), "What lies at the URL of a release: a file that lists it.", '"idc_index.csv"'),
    Key("endpoint", Text(), "Another server that speaks the language of the bucket.", '"https://s3.example.org"'),
    Key("anonymous", Flag(), "Sign no request, whatever the environment holds.", "true"),
    Key("cache", Place(), "Folder of what earlier audits came to.", '"cache"', other_variable="CACHE_DIR"),
    Key("no-cache", Flag(), "Read and judge everything again.", "true"),
    Key("jobs", Number(least=1), "Processes to read with.", "4"),
    _choice(
        "engine", Choice(ENGINES, default=ENGINES[0]), "What patients are read on: this machine, or a cluster", '"dask"'
    ),
    Key("scheduler", Text(), "Address of the engine's scheduler.", '"tcp://10.0.0.7:8786"'),
    Key("quiet", Number(least=0, most=2, default=0), "1 prints the verdict alone, 2 nothing, 0 all.", "0"),
    _choice("color", Choice(("auto", "always", "never"), default="auto"), "Colours in the terminal", '"auto"'),
)
KEYS: Mapping[str, Key] = {key.name: key for key in _KEYS}
"""Every key, in the order that listings have."""


_PURPOSES = """What spoils a purpose, in place of what rules declare; crlm-qc explain CODE says what that is. Tables come last.
# [purposes.segmentation]
# care = ["SEG016"]"""
"""What the file may hold that is neither option nor variable."""


def template(keys: Sequence[Key] = _KEYS) -> str:
    """A configuration file in which every key stands with what it does, commented out."""
    parts = [
        "# Configuration of crlm-qc. Options and environment variables come first. Paths begin at this file's folder.",
        "# It is never read from within the release. What holds: crlm-qc config",
    ]
    parts += [f"\n# {key.doc}\n# {key.name} = {key.example}" for key in keys]
    parts.append(f"\n# {_PURPOSES}")
    return "\n".join(parts) + "\n"
