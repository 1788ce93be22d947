"""The one audit of a run of pytest, which all of its tests read."""

from __future__ import annotations

import logging
import sqlite3
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.auditing.engine import executor_of
from crlm_qc.auditing.memory import remember
from crlm_qc.auditing.run import audit
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import Report
from crlm_qc.report import json_format, words
from crlm_qc.testing.asked import Asked

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence

_PATIENCE = 24 * 3600.0
"""Seconds that a worker waits for another to have read the release."""


class AuditFailedError(Exception):
    """The audit could not be made; the message holds no value of a file."""


class Results:
    """The audit of a run: made by the test that needs it first, in whichever process, and read by all others."""

    def __init__(self, asked: Asked, folder: Path) -> None:
        self._asked = asked
        self._folder = folder
        self._report: Report | None = None
        self._evidence: Evidence | None = None
        self._failed: str | None = None

    @property
    def _saved(self) -> Path:
        return self._folder / "findings.json"

    @property
    def _failure(self) -> Path:
        return self._folder / "failed.txt"

    @property
    def _tables(self) -> Path:
        asked = self._asked
        return asked.source if asked.saved else asked.request.evidence or self._folder / "evidence"

    def made(self) -> Report | None:
        """The report, if some test has needed it."""
        return self.report() if self._report is not None or self._saved.is_file() else None

    def report(self) -> Report:
        """The report.

        Raises
        ------
        AuditFailedError
            There is none.
        """
        if self._report is None and self._failed is None:
            with _alone(self._folder / "lock"):
                if self._failure.is_file():
                    self._failed = self._failure.read_text(encoding="utf-8")
                elif self._saved.is_file():
                    import json

                    self._report = Report.from_dict(json.loads(self._saved.read_bytes()))
                else:
                    self._make()
        if self._report is None:
            raise AuditFailedError(self._failed)
        return self._report

    def evidence(self) -> Evidence:
        """The evidence tables that the report was made of, as they are saved.

        Raises
        ------
        AuditFailedError
            There are none.
        """
        from crlm_qc.evidence.store import load

        self.report()
        if self._evidence is None:
            self._evidence = load(self._tables)
        return self._evidence

    def _make(self) -> None:
        from crlm_qc.report.writing import put

        asked = self._asked
        try:
            with _silence():
                evidence_to = None if asked.saved else self._tables
                memory = None if asked.saved else remember(asked.source, asked.request)
                self._report = audit(
                    asked.source,
                    **asked.request.audited(),
                    evidence_to=evidence_to,
                    memory=memory,
                    executor=executor_of(asked.request),
                )
                if memory is not None:
                    memory.end()
                self._report = asked.compared(self._report)
            put(self._saved, json_format.render(self._report))
        except UsageError as error:
            self._failed = f"crlm-qc: {words.clean(str(error))}"
        except Exception as error:  # noqa: BLE001 - its text may hold values from files, so it must not go on
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            self._failed = f"a bug of crlm-qc, so nothing was checked: {where}"
        if self._failed is not None:
            put(self._failure, self._failed)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only process of the run in this block: SQLite's lock works on every system, and ends with its process."""
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what libraries say of values in files out of pytest's reports."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
