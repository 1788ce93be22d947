"""Processes that work side by side, on whatever comes in units: patients to read, to draw, or to write.

All that is done in several processes is done here, so that it ends alike: results come in the order of the units, for
any number of processes, and a process that dies costs no more than the unit that it died of.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

_PRELOADED = "crlm_qc.evidence.patient"
"""What the process that workers are forked from has imported, so that none of them has to."""

Progress = Callable[[str, int, int], None]
"""Called with a phase, the units done and the units in all."""

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class ProcessDiedError(RuntimeError):
    """The process that worked on a unit ended, or none could be started, so that nothing came of it."""


def default_jobs() -> int:
    """Cores that this process may use.

    Returns
    -------
    int
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_server() -> bool:
    """Start the process that workers are forked from, without waiting for it. False where there can be none."""
    # Forking this process could copy locks that threads of it hold (pyarrow has some), so workers come from a server
    # that has only imported what reads a patient; where there is none, each starts afresh.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return False
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload([_PRELOADED])
    try:
        forkserver.ensure_running()
    except OSError:
        return False
    return True


def each(
    do: Callable[[Unit], Result],
    units: Sequence[Unit],
    jobs: int,
    *,
    phase: str,
    progress: Progress | None = None,
    lost: Callable[[Unit], Result] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Result]:
    """What comes of every unit, from several processes or this one.

    Parameters
    ----------
    do : callable
        Works on one unit; a function that another process finds by its name.
    units : sequence
        Taken in this order, so one that takes long should not be the last.
    jobs : int
        Processes to work with; one is this process, and so is any number where no other can be started.
    phase : str
        What progress is told to be of.
    progress : callable, optional
        Told of every unit that is done.
    lost : callable, optional
        Gives the result of a unit whose process died, and died again when it was worked on alone.
    meanwhile : callable
        Called in this process while others work, if any do.

    Returns
    -------
    list
        In the order of the units.

    Raises
    ------
    ProcessDiedError
        A process died twice of one unit, and there is no `lost`.
    """
    work = _Work(do, units, phase, progress, lost)
    if (processes := min(jobs, len(units))) > 1:
        work.share(processes, meanwhile)
    for place in work.waiting():
        work.keep(place, do(units[place]))
    return [work.done[place] for place in range(len(units))]


def alone(do: Callable[[Unit], Result], unit: Unit) -> Result:
    """What comes of one unit in a process of its own.

    Raises
    ------
    ProcessDiedError
        The process died, or could not be started.
    """
    with _executor(1) as pool:
        try:
            doing = pool.submit(do, unit)
        except OSError:
            raise ProcessDiedError from None
        try:
            return doing.result()
        except BrokenProcessPool:
            raise ProcessDiedError from None


@dataclass
class _Work(Generic[Unit, Result]):
    """Units, what came of those that are done, and who is told."""

    do: Callable[[Unit], Result]
    units: Sequence[Unit]
    phase: str
    progress: Progress | None
    lost: Callable[[Unit], Result] | None
    done: dict[int, Result] = field(default_factory=dict)
    """Results by the place of their unit."""

    def waiting(self) -> list[int]:
        """Places of units that nothing has come of yet."""
        return [place for place in range(len(self.units)) if place not in self.done]

    def keep(self, place: int, result: Result) -> None:
        """Take a result, and tell of it."""
        self.done[place] = result
        if self.progress is not None:
            self.progress(self.phase, len(self.done), len(self.units))

    def share(self, processes: int, meanwhile: Callable[[], None]) -> None:
        """Work in a pool; units whose process dies are tried once more alone. Leaves all where none can be started."""
        loading: Future[None] | None = None
        while waiting := self.waiting():
            with _pool(min(processes, len(waiting))) as pool:
                if pool is None:
                    break
                if loading is None:
                    # In a thread, so that a process that is done with a unit need not wait for the next.
                    loader = ThreadPoolExecutor(1)
                    loading = loader.submit(meanwhile)
                    loader.shutdown(wait=False)
                suspects = self._drain(pool, processes)
            for place in suspects:
                self.keep(place, self._again(self.units[place]))
        if loading is not None:
            loading.result()

    def _drain(self, pool: ProcessPoolExecutor, processes: int) -> list[int]:
        """Work until all is done or a process dies; then say which units were being worked on."""
        source = iter(self.waiting())
        running: dict[Future[Result], int] = {}
        while True:
            # No more than the processes take at once, so that few are under suspicion when one dies.
            while len(running) < processes and (place := next(source, None)) is not None:
                try:
                    running[pool.submit(self.do, self.units[place])] = place
                except BrokenProcessPool:
                    return [*running.values(), place]
            if not running:
                return []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    return list(running.values())
                self.keep(running.pop(future), result)

    def _again(self, unit: Unit) -> Result:
        try:
            return alone(self.do, unit)
        except ProcessDiedError:
            if self.lost is None:
                raise
            return self.lost(unit)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor | None]:
    """A pool of which one process has started; None where none can be started."""
    pool = _executor(processes)
    stopped = False
    try:
        yield pool if _starts(pool) else None
    except KeyboardInterrupt:
        # Who stops an audit does not wait for what is being worked on.
        stopped = True
        raise
    finally:
        pool.shutdown(wait=not stopped, cancel_futures=True)


def _executor(processes: int) -> ProcessPoolExecutor:
    """A pool of processes, from a server where there can be one."""
    context: Any = multiprocessing.get_context("forkserver" if start_server() else "spawn")
    return ProcessPoolExecutor(processes, mp_context=context)


def _starts(pool: ProcessPoolExecutor) -> bool:
    """Whether a process can be started: not by a script that does not ask for __main__, nor in some sandboxes."""
    try:
        return pool.submit(_ready).result()
    except (BrokenProcessPool, OSError):
        return False


def _ready() -> bool:
    """What a process does first, so that it has started before there is work."""
    return True
