"""The command line: its entry point, and what every command ends with."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import Annotated, NoReturn

import typer

from crlm_qc.cli.actions import say_safely
from crlm_qc.cli.cache import cache
from crlm_qc.cli.check import check
from crlm_qc.cli.cohort import COHORT_EXIT_CODES, cohort
from crlm_qc.cli.config import config
from crlm_qc.cli.configured import ConfiguredCommand
from crlm_qc.cli.diff import diff
from crlm_qc.cli.evidence import evidence
from crlm_qc.cli.fetch_list import fetch_list
from crlm_qc.cli.lock import lock
from crlm_qc.cli.options import EXIT_CODES
from crlm_qc.cli.pictures import pictures
from crlm_qc.cli.report import report
from crlm_qc.cli.rules import explain, rules
from crlm_qc.cli.show import show
from crlm_qc.cli.synth import demo, synth
from crlm_qc.cli.tables import tables
from crlm_qc.cli.terminal import provide_streams, say, settle_output
from crlm_qc.cli.verify import verify
from crlm_qc.cli.waive import waive
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import ExitCode
from crlm_qc.report import words

_SIGNALLED = 128
"""Added to the number of a signal, it is the exit code of a process that ended by it."""
INTERRUPTED = _SIGNALLED + signal.SIGINT
_NO_BUGS = frozenset(
    {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.EMFILE}
)
"""Errors of the system that are of the machine and of what was asked for."""

app = typer.Typer(
    name="crlm-qc",
    help="Audits a release of CT series and segmentation objects in DICOM, with their tables.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order of `crlm-qc --help`.
app.command(cls=ConfiguredCommand, epilog=EXIT_CODES)(check)
app.command(epilog=EXIT_CODES)(lock)
app.command("fetch-list", epilog=EXIT_CODES)(fetch_list)
app.command(cls=ConfiguredCommand, epilog=COHORT_EXIT_CODES)(cohort)
app.command(epilog=EXIT_CODES)(diff)
app.command(epilog=EXIT_CODES)(report)
app.command()(show)
app.command(epilog=EXIT_CODES)(waive)
app.command(epilog=EXIT_CODES)(verify)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(config)
app.command(cls=ConfiguredCommand)(cache)
app.add_typer(evidence, name="evidence")
app.command(epilog=EXIT_CODES)(pictures)
app.command(cls=ConfiguredCommand, epilog=EXIT_CODES)(tables)
app.command()(demo)
app.command()(synth)
app.command()(rules)
app.command()(explain)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and exit with one of `ExitCode`, or 130 after Ctrl+C, 143 after SIGTERM, 129 after SIGHUP.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; by default that of this process.
    """
    provide_streams()
    given = sys.argv[1:] if arguments is None else list(arguments)
    with _stopped_by_signals():
        code = _run([word for word in given if word != "--debug"], debug="--debug" in given)
    sys.exit(code)


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="crlm-qc", standalone_mode=False)
        settle_output()
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    except UsageError as error:
        return _refuse(str(error))
    except OSError as error:
        code = _unwritten(error, arguments)
        return _bug(error, debug=debug) if code is None else code
    except Exception as error:  # noqa: BLE001 - an exception that nobody caught would exit with 1, which means findings
        # Typer's own exceptions have no common base among its versions, but all can say what is wrong.
        if format_message := getattr(error, "format_message", None):
            return _refuse(f"{format_message().rstrip('.')}. See: crlm-qc --help" if arguments else "")
        return _bug(error, debug=debug)
    # Typer catches Ctrl+C itself, and tells of it by the code alone.
    return _stopped() if code == INTERRUPTED else int(code or 0)


class _Stopped(KeyboardInterrupt):
    """Another signal than Ctrl+C has asked this process to end, which it does in the same way."""

    asked = signal.SIGINT
    """The last signal that did."""


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End as after Ctrl+C when a terminal is closed, or a batch system or `timeout` stops this process."""

    def stop(number: int, _: object) -> NoReturn:
        # Who asks twice does not want to wait.
        signal.signal(number, signal.SIG_DFL)
        _Stopped.asked = signal.Signals(number)
        raise _Stopped

    # One that is ignored is so on purpose, by nohup; only the main thread may ask for any.
    known = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]
    taken = [number for number in known if signal.getsignal(number) is signal.SIG_DFL]
    taken = taken if current_thread() is main_thread() else []
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _stopped() -> int:
    say("crlm-qc: stopped", to=sys.stderr)
    return _SIGNALLED + _Stopped.asked


def _bug(error: Exception, *, debug: bool) -> int:
    if debug:
        # Not the exceptions' own words, which may hold values from files.
        for one in _causes(error):
            for frame in traceback.extract_tb(one.__traceback__):
                say(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}', to=sys.stderr)
            say(type(one).__name__, to=sys.stderr)
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        say(
            f"crlm-qc: a bug of crlm-qc: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}. "
            "Run it again with --debug to see where it was called from.",
            to=sys.stderr,
        )
    return ExitCode.BUG


def _unwritten(error: OSError, arguments: Sequence[str]) -> int | None:
    """What an error of the system exits with that is no bug: output that nobody takes, a full disk, too long a name; else None."""
    try:
        settle_output()
    except UsageError as reason:
        return _refuse(str(reason))
    if isinstance(error, BrokenPipeError):
        return ExitCode.CLEAN
    if error.errno not in _NO_BUGS:
        return None
    # Only what the user typed is said: another name is of the release.
    named = f"{error.filename} can't be used: " if str(error.filename) in arguments else ""
    named = named or ("output can't be written: " if error.filename is None else "")
    return _refuse(f"{named}{os.strerror(error.errno).lower()}")


def _causes(error: BaseException) -> list[BaseException]:
    """An exception after those that it came from."""
    found: list[BaseException] = []
    waiting: BaseException | None = error
    while waiting is not None and waiting not in found:
        found.insert(0, waiting)
        waiting = waiting.__cause__ or (None if waiting.__suppress_context__ else waiting.__context__)
    return found


def _refuse(message: str) -> int:
    if message:
        say_safely(f"crlm-qc: {words.clean(message)}", sys.stderr)
    return ExitCode.USAGE


def _version(asked: bool) -> None:
    if asked:
        from crlm_qc import __version__

        say(f"crlm-qc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a bug. Works with every command.")
    ] = False,
) -> None:
    pass
