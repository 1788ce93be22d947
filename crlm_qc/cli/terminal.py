"""What the command line needs to know of the terminal: colours, width, encoding."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from crlm_qc.model.errors import UsageError
from crlm_qc.report.text import WIDTH, Style

if TYPE_CHECKING:
    pass

_SIGNS = "\N{MULTIPLICATION X}\N{CHECK MARK}\N{EN DASH}\N{HORIZONTAL ELLIPSIS}\N{PLUS-MINUS SIGN}"


_STANDARD = 2
"""Number of the last of the standard streams."""


class Colour(StrEnum):
    """When to use colours."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def provide_streams() -> None:
    """Give this process the streams that it was started without, as pythonw and some daemons start it: to nowhere."""
    if None not in (sys.stdout, sys.stderr):
        return
    # A report that was opened as the first or second file would get what others print.
    while (spare := os.open(os.devnull, os.O_RDWR)) <= _STANDARD:
        pass
    os.close(spare)
    sys.stdout = sys.stdout or _Nowhere()
    sys.stderr = sys.stderr or _Nowhere()


class _Nowhere(io.TextIOWrapper):
    """A stream in the place of one that there is none of."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull).open("wb"), encoding="utf-8")  # noqa: SIM115 - for as long as the process lives


def say(line: str, *, to: TextIO | None = None) -> None:
    """Print a line; what the stream's encoding lacks is replaced, and a reader who went away is no error.

    Raises
    ------
    UsageError
        Standard output can't be written; what standard error does not take is told nobody.
    """
    stream = to or sys.stdout
    encoding = stream.encoding or "utf-8"
    with _written(stream):
        print(line.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def emit(content: str | bytes) -> None:
    """Write a report to standard output, byte for byte.

    Raises
    ------
    UsageError
        It can't be written.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if isinstance(sys.stdout, _Nowhere):
        raise UsageError("standard output can't be written: it is closed")
    with _written(sys.stdout):
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def _written(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _nobody_listens(stream)
    except OSError as error:
        _nobody_listens(stream)
        if stream is not sys.stderr:
            raise UsageError(f"standard output can't be written: {os.strerror(error.errno or 0).lower()}") from None


def settle_output() -> None:
    """Write what is left for standard output, such as a page of help, which is not written by `say`.

    Raises
    ------
    UsageError
        It can't be written.
    """
    with _written(sys.stdout):
        sys.stdout.flush()


def _nobody_listens(stream: TextIO) -> None:
    # What is left in the stream's buffer would fail again at exit.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def style_of(stream: TextIO, colour: Colour) -> Style:
    """How to set text for a stream: NO_COLOR, FORCE_COLOR, TERM=dumb and COLUMNS are honoured."""
    wanted = _coloured(stream) if colour is Colour.AUTO else colour is Colour.ALWAYS
    try:
        _SIGNS.encode(stream.encoding or "ascii")
        plain = False
    except (UnicodeEncodeError, LookupError):
        plain = True
    return Style(shutil.get_terminal_size((WIDTH, 24)).columns, wanted, plain)


def _coloured(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
