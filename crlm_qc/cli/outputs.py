"""Where reports go: what the user asked for, and files that are written whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from crlm_qc.cli.terminal import emit
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.model.words import did_you_mean
from crlm_qc.report import STDOUT, Format
from crlm_qc.report.writing import put


@dataclass(frozen=True, slots=True)
class Output:
    """Where one format goes."""

    format: Format
    path: Path | None
    """None for standard output."""

    @property
    def machine(self) -> bool:
        """Whether it needs standard output for itself."""
        return self.path is None and self.format.name != "text"


def stream_beside(outputs: Iterable[Output]) -> TextIO:
    """Where to talk to people: standard output, or standard error if a format for programs goes there."""
    return sys.stderr if any(item.machine for item in outputs) else sys.stdout


def choose_outputs(
    asked: Iterable[str], formats: Mapping[str, Format], folder: Path, always: Sequence[str] = ()
) -> list[Output]:
    """The outputs that a command writes.

    Parameters
    ----------
    asked : iterable of str
        What `--output` was given: `FORMAT` or `FORMAT:PATH`, where `-` is standard output.
    formats : mapping
        Formats that can be asked for, by name.
    folder : pathlib.Path
        Where a format goes that no path was given for.
    always : sequence of str
        Formats that are written whether asked for or not.

    Returns
    -------
    list of Output
        Each of them once.

    Raises
    ------
    UsageError
        A format is not known, or two would go to the same place.
    """
    outputs = [Output(formats[name], folder / formats[name].goes_to) for name in always]
    for spec in asked:
        name, _, where = spec.partition(":")
        if name not in formats:
            raise UsageError(
                f"unknown format {name} in --output{did_you_mean(name, formats) or '.'} Known: {', '.join(formats)}"
            )
        form = formats[name]
        where = where or (form.goes_to if form.goes_to == STDOUT else str(folder / form.goes_to))
        if form.folder and (where == STDOUT or Path(where).is_file()):
            raise UsageError(f"{name} is a folder of files: give one in --output {name}:DIR")
        item = Output(form, None if where == STDOUT else Path(where))
        if item not in outputs:
            outputs.append(item)
    places = ["standard output" if item.path is None else str(resolved(item.path)) for item in outputs]
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise UsageError(f"two reports would go to {twice}: give one of them another PATH in --output FORMAT:PATH")
    return outputs


def write_outputs(
    content: object, outputs: Iterable[Output], options: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Render each output and write it; text for standard output is left to the caller, who knows the terminal.

    Parameters
    ----------
    content : object
        What the formats render.
    outputs : iterable of Output
        Formats and places.
    options : mapping, optional
        Further arguments of a format's renderer, by the format's name.
    """
    for item in outputs:
        if item.path is None and not item.machine:
            continue
        rendered = item.format.renderer()(content, **(options or {}).get(item.format.name, {}))
        if isinstance(rendered, Mapping):
            for name, content_of in rendered.items():
                put((item.path or Path()) / name, content_of)
        elif item.path is None:
            emit(rendered)
        else:
            put(item.path, rendered)
