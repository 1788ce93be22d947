"""Executors as others may hand them in: some lose tasks, break, or see another file system. They work in this process."""

import os
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from support import units

from crlm_qc.workers.executors import Units


class Inline(Executor):
    """Works on a task as it is handed in."""

    _max_workers = 2

    def __init__(self) -> None:
        self.tasks: list[list[Any]] = []
        """Units of every task that was taken."""
        self.closed = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        task = args[0]
        sent = list(task.units) if isinstance(task, Units) else None
        self.check(sent)
        future: Future[Any] = Future()
        if sent is not None:
            self.tasks.append(sent)
        try:
            future.set_result(self.done(sent, lambda: fn(*args, **kwargs)))
        except BrokenExecutor as error:
            future.set_exception(error)
        return future

    def check(self, sent: list[Any] | None) -> None:
        """Refuse a task, perhaps."""

    def done(self, sent: list[Any] | None, work: Callable[[], Any]) -> Any:
        return work()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.closed += 1


class Losing(Inline):
    """Loses the worker of each task that has something in it, so many times; goes on with others."""

    def __init__(self, fatal: Callable[[Any], bool], times: int = 1000) -> None:
        super().__init__()
        self.fatal, self.times = fatal, times

    def done(self, sent: list[Any] | None, work: Callable[[], Any]) -> Any:
        if sent is not None and any(map(self.fatal, sent)) and self.times:
            self.times -= 1
            self.lose()
        return work()

    def lose(self) -> None:
        raise BrokenExecutor


class Breaking(Losing):
    """As a pool of processes: with one worker all is lost, and nothing is taken any more."""

    broken = False

    def check(self, sent: list[Any] | None) -> None:
        if self.broken:
            raise BrokenExecutor

    def lose(self) -> None:
        self.broken = True
        raise BrokenExecutor


def is_fatal(unit: Any) -> bool:
    return bool(unit == units.FATAL)


def hangs_once(unit: tuple[int, str]) -> int:
    """Take for ever on one unit the first time that it is worked on."""
    number, marker = unit
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return 2 * number
    time.sleep(600)
    return 0
