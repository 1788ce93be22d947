"""Progress on standard error: bars on a terminal, else a line a phase, and one each half minute."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self

from crlm_qc.cli.terminal import say
from crlm_qc.report import words

if TYPE_CHECKING:
    from crlm_qc.workers import Progress

FIRST_S = 10.0
"""Seconds that nothing is said for: what is done by then needs no words."""
EACH_S = 30.0


class Lines:
    """Tells of progress in lines; a log has no bars.

    Parameters
    ----------
    first, each : float
        Seconds before the first line, and between those of one phase.
    clock : callable
        Seconds that only go on.
    """

    def __init__(self, first: float, each: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._first, self._each, self._clock = first, each, clock
        self._began = self._phase_began = self._last = clock()
        self._phase = ""
        self._units = (0, 0)
        self._bytes = (0, 0)
        self._ended = False
        """Whether it was told that all of the phase is done."""
        self._lock = Lock()
        self._over = Event()
        # A unit may take minutes, and nobody calls meanwhile.
        self._ticker = Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        """Begin to tell."""
        with suppress(RuntimeError):
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Tell no more."""
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join(1.0)

    def __call__(self, phase: str, done: int, total: int) -> None:
        """A unit of a phase is done."""
        with self._lock:
            fresh = phase != self._phase
            if fresh:
                self._phase_began = self._last
                self._phase, self._ended = phase, False
            self._units = (done, total)
            self._last = self._clock()
            told = fresh or done == total
        if told and self._clock() - self._began >= self._first:
            self.tell()
        if done == total:
            with self._lock:
                self._bytes = (0, 0)

    def weigh(self, done: int, total: int) -> None:
        """So many bytes of the phase that is next told of are done."""
        with self._lock:
            self._bytes = (done, total)

    def tell(self) -> None:
        """Say how far it is."""
        with self._lock:
            line = self._line()
        say(f"crlm-qc: {line}", to=sys.stderr)

    def _line(self) -> str:
        now = self._clock()
        so_far = f"{words.duration(now - self._began)} so far"
        done, total = self._units
        if not self._phase:
            return f"at work, {so_far}"
        if self._ended:
            return f"{self._phase} is done, what follows is under way; {so_far}"
        self._ended = done >= total
        said = [f"{self._phase}: {done:,} of {total:,}"]
        read, every = self._bytes
        if every:
            said.append(f"{words.size(read)} of {words.size(every)}")
        said.append(so_far)
        part = read / every if every else done / max(total, 1)
        if 0 < part < 1:
            said.append(f"about {words.duration((now - self._phase_began) * (1 - part) / part)} left")
        return ", ".join(said)

    def _tick(self) -> None:
        wait = self._first
        while not self._over.wait(wait):
            self.tell()
            wait = self._each


@contextmanager
def progress_on(*, quiet: bool) -> Iterator[Progress | None]:
    """Bars on standard error, one a phase, where somebody watches; else lines, once it takes a while."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb" or os.environ.get("CI"):
        with Lines(FIRST_S, EACH_S) as lines:
            yield lines
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        phases = {}

        def tell(phase: str, done: int, total: int) -> None:
            if phase not in phases:
                phases[phase] = bars.add_task(escape(phase), total=total)
            bars.update(phases[phase], completed=done, total=total)

        yield tell
