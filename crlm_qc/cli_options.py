"""Options and texts that more than one command has."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from crlm_qc.model.severity import Severity
from crlm_qc.terminal import Colour

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


ColourOption = Annotated[Colour, typer.Option("--color", help="Colours in the terminal.")]
QuietOption = Annotated[
    int, typer.Option("--quiet", "-q", count=True, help="Print the verdict alone; twice (-qq), nothing.")
]
