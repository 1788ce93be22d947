"""What commands on saved results share: they need findings.json alone, and never the release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from crlm_qc.cli.outputs import Output
from crlm_qc.cli.pictures import PICTURED
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.model.trend import Trend
from crlm_qc.request.saved import findings_in, load_report

__all__ = ["FindingsFile", "MaxBytes", "check_anchor", "findings_in", "load_report", "options_for", "places_of"]


FindingsFile = Annotated[
    Path,
    typer.Argument(
        metavar="FINDINGS.json", help="Saved results of an audit, or the folder that they lie in.", callback=findings_in
    ),
]
MaxBytes = Annotated[
    int | None,
    typer.Option("--max-bytes", min=1000, help="Most bytes of Markdown; a comment on GitHub takes 65,536 characters."),
]


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
    *,
    max_bytes: int | None = None,
    anchor: str | None = None,
    pictures: Mapping[str, bytes] | None = None,
    trend: Trend | None = None,
) -> Mapping[str, Mapping[str, Any]]:
    """Options of the formats, by their names."""
    page = {name: given for name, given in (("pictures", pictures), ("trend", trend)) if given}
    options: dict[str, Mapping[str, Any]] = {name: page for name in PICTURED if page}
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
