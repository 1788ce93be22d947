"""When, how long and with what an audit ran: what differs from run to run stands beside findings.json, never in it."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import time
from pathlib import Path

from crlm_qc.model.plain import PlainError, from_plain, to_plain
from crlm_qc.model.report import Run
from crlm_qc.report.writing import put

RUN_FILE = "run.json"
LIBRARIES = (
    "pydicom",
    "highdicom",
    "numpy",
    "pandas",
    "pandera",
    "great-expectations",
    "connected-components-3d",
    "openpyxl",
    "pyarrow",
)
"""Libraries whose version may change what an audit says, or what the audited release of the demonstration holds."""


def _fixed() -> dt.datetime | None:
    """The day that SOURCE_DATE_EPOCH names, or None where it is no time."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return dt.datetime.fromtimestamp(int(given), tz=dt.UTC) if given.isascii() and given.isdigit() else None
    except (ValueError, OverflowError, OSError):
        return None


class Watch:
    """Tells when an audit began and how long it took.

    SOURCE_DATE_EPOCH, the day that reproducible builds are dated by, takes the place of the clock; then no duration is
    told.
    """

    def __init__(self) -> None:
        fixed = _fixed()
        self._fixed = fixed is not None
        self._started = fixed or dt.datetime.fromtimestamp(time.time(), tz=dt.UTC)
        self._from = time.perf_counter()

    def stop(self) -> Run:
        """What is known of the run at its end."""
        return Run(
            started=self._started.strftime("%Y-%m-%d %H:%M UTC"),
            seconds=None if self._fixed else round(time.perf_counter() - self._from, 1),
            versions={"Python": platform.python_version()} | {name: _version(name) for name in LIBRARIES},
            system=platform.system() or "unknown",
        )


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def save_run(run: Run, folder: Path) -> None:
    """Write what is known of a run beside findings.json."""
    put(folder / RUN_FILE, json.dumps(to_plain(run), indent=2) + "\n")


def load_run(folder: Path) -> Run | None:
    """What is known of the run that wrote a findings.json; None where nothing that can be read lies beside it."""
    try:
        run: Run = from_plain(Run, json.loads((folder / RUN_FILE).read_bytes()))
    except (OSError, ValueError, PlainError, RecursionError):
        return None
    return run
