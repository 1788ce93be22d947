"""Options and texts that more than one command has."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.terminal import Colour
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.request.files import FILE_NAME

ProfileOption = Annotated[
    Path | None, typer.Option("--profile", help="Release profile (TOML) in place of the built-in one.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        # For the help: the variable itself is read by crlm_qc.request.
        envvar="CRLM_QC_CACHE_DIR",
        help="Folder of what earlier audits came to. Default: the user's cache; crlm-qc cache tells where.",
    ),
]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Read and judge everything, whatever earlier audits came to.")
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Processes to work with. Default: the cores.")
]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="K/N",
        help="Only the K-th of N shares of the patients, of as many bytes each: the same shares on every machine.",
    ),
]


class Engine(StrEnum):
    """What patients are read on."""

    LOCAL = "local"
    DASK = "dask"


EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine",
        help="What patients are read on: processes of this machine, or Dask's workers (pip install crlm-qc\\[dask]).",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask's scheduler. Default: one of its own, with workers on this machine.",
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"Configuration in place of the nearest {FILE_NAME} or pyproject.toml with \\[tool.crlm-qc].",
    ),
]
IsolatedOption = Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")]
SelectOption = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="CODES", help="Only these rules: codes or beginnings of codes."),
]
IgnoreOption = Annotated[list[str] | None, typer.Option("--ignore", metavar="CODES", help="All but these rules.")]
SeverityOption = Annotated[
    list[str] | None,
    typer.Option("--severity", metavar="CODE=LEVEL", help="Give a rule another severity: error, warning, info or off."),
]
AllowDidWaiversOption = Annotated[
    bool,
    typer.Option("--allow-did-waivers", help="Let waivers accept what identifies a person: errors of the family DID."),
]
KnownIssuesOption = Annotated[
    bool,
    typer.Option("--known-issues/--no-known-issues", help="Waive the documented faults of the published release."),
]
AnchorOption = Annotated[
    str | None,
    typer.Option("--sarif-anchor", metavar="PATH", help="File of the repository that SARIF results are shown at."),
]
ToleranceOption = Annotated[
    list[str] | None,
    typer.Option("--tolerance", metavar="NAME=VALUE", help="Another tolerance than the profile's. Repeatable."),
]
PatientsOption = Annotated[
    list[str] | None,
    typer.Option("--patients", metavar="IDS|@FILE", help="Only these patients, by comma, or one a line in a file."),
]
DepthOption = Annotated[Depth, typer.Option("--depth", help="How deep to read; each level holds the one before.")]
MetadataOption = Annotated[Path | None, typer.Option("--metadata", help="metadata.csv, where it is not found.")]
ClinicalOption = Annotated[Path | None, typer.Option("--clinical", help="Clinical workbook, where it is not found.")]
ManifestOption = Annotated[Path | None, typer.Option("--manifest", help=".tcia manifest, where it is not found.")]
LockOption = Annotated[
    Path | None, typer.Option("--lock", help="Compare every byte with the lock file that crlm-qc lock wrote.")
]

EXIT_CODES = (
    "Exit codes: 0 nothing at or above --fail-on; 1 findings; 2 wrong usage; 3 something asked for could not be "
    "checked; 4 nothing there to check; 70 a bug of crlm-qc; 130 stopped with Ctrl+C. The highest of 70, 2, 4, 3, 1 wins."
)


class FailOn(StrEnum):
    """Mildest severity that makes a command exit with 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"

    @property
    def severity(self) -> Severity | None:
        """The severity, or None for never."""
        return None if self is FailOn.NEVER else Severity(self.value)


FailOnOption = Annotated[FailOn, typer.Option("--fail-on", help="Mildest severity that exits with 1.")]


class FailOnNew(StrEnum):
    """What makes an audit exit with 1: as `FailOn`, and of that only what is worse than the baseline."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"
    NEW = "new"
    NEW_WARNING = "new-warning"
    NEW_INFO = "new-info"


FailOnNewOption = Annotated[
    FailOnNew,
    typer.Option(
        "--fail-on",
        help="Mildest severity that exits with 1; new: errors alone that the baseline does not have.",
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE|last",
        help="Tell what is new, changed and fixed since this findings.json, or since the last comparable audit.",
    ),
]
KeepRunsOption = Annotated[
    int, typer.Option("--keep-runs", min=0, help="Audits whose findings are kept in the folder of the reports.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace the reports of a deeper or wider audit that lie there.")
]


class Listing(StrEnum):
    """How something is listed."""

    TEXT = "text"
    JSON = "json"


ListingOption = Annotated[Listing, typer.Option("--format", help="For people or for programs.")]
FileListOption = Annotated[
    Path | None,
    typer.Option(
        "--listing",
        metavar="FILE",
        help="What lies at the URL: a lock file or other checksums, or the index of the Imaging Data Commons.",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="URL", help="Another server that speaks the language of the bucket."),
]
AnonymousOption = Annotated[bool, typer.Option("--anonymous", help="Sign no request, whatever the environment holds.")]
ColourOption = Annotated[Colour, typer.Option("--color", help="Colours in the terminal.")]
QuietOption = Annotated[
    int, typer.Option("--quiet", "-q", count=True, help="Print the verdict alone; twice (-qq), nothing.")
]
