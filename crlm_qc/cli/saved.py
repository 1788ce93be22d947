"""What commands on saved results share: they need findings.json alone, and never the release."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from crlm_qc.cli.outputs import Output
from crlm_qc.cli.pictures import PICTURED
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.model.plain import PlainError
from crlm_qc.model.report import Report

FindingsFile = Annotated[Path, typer.Argument(metavar="FINDINGS.json", help="Saved results of an audit.")]
MaxBytes = Annotated[
    int | None,
    typer.Option("--max-bytes", min=1000, help="Most bytes of Markdown; a comment on GitHub takes 65,536 characters."),
]


def load_report(path: Path) -> Report:
    """Read findings.json.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    Report
        The report that it was written from.

    Raises
    ------
    UsageError
        The file can't be read, or is not what this version reads; the message names it.
    """
    try:
        raw = json.loads(path.read_bytes(), parse_constant=_no_constant)
        return Report.from_dict(raw)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {os.strerror(error.errno or 0).lower()}") from None
    except PlainError as error:
        raise UsageError(f"{path} is no findings.json that can be read: {error}") from None
    except (ValueError, RecursionError):
        # The text of a decoder's error may hold what stands in the file.
        raise UsageError(f"{path} is no findings.json that can be read: it is not JSON") from None


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def check_anchor(given: str | None) -> str | None:
    """The path that SARIF results are shown at, which must lie in the repository.

    Raises
    ------
    UsageError
        It is absolute, a URL, or leads out of the repository.
    """
    if given is not None and (not given or given.startswith(("/", "\\")) or ":" in given or ".." in Path(given).parts):
        raise UsageError(f"--sarif-anchor {given}: give a path relative to the repository, such as README.md")
    return given


def options_for(
    *, max_bytes: int | None = None, anchor: str | None = None, pictures: Mapping[str, bytes] | None = None
) -> Mapping[str, Mapping[str, Any]]:
    """Options of the formats, by their names."""
    options: dict[str, Mapping[str, Any]] = {name: {"pictures": pictures} for name in PICTURED if pictures}
    if max_bytes is not None:
        options["markdown"] = {"max_bytes": max_bytes}
    if anchor is not None:
        options["sarif"] = {"anchor": anchor}
    return options


def places_of(outputs: Iterable[Output], inputs: Sequence[Path]) -> list[Path]:
    """Files to write, none of which may be one that is read."""
    places = [item.path for item in outputs if item.path is not None]
    for place in places:
        if any(resolved(place) == resolved(path) for path in inputs):
            raise UsageError(f"{place} is read, so it is not written: give another PATH in --output FORMAT:PATH")
    return places
