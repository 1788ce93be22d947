"""Processes that work side by side, on whatever comes in units: patients to read, to draw, or to write.

All that is done in several processes is done here, so that it ends alike: results come in the order of the units, for
any number of processes, and a process that dies costs no more than the unit that it died of. `executors` does the same
on executors that are started elsewhere, perhaps on other machines.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from threading import Thread
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

_PRELOADED = "crlm_qc.evidence.preloaded"
"""What the process that workers are forked from has imported, so that none of them has to."""

_REFUSED = (OSError, ImportError, NotImplementedError, EOFError, RuntimeError)
"""How a process that can't be started is told of: no more processes, handles or threads, no semaphores, or a server that
died of it. A pool that breaks at once is a `RuntimeError` too."""

Progress = Callable[[str, int, int], None]
"""Called with a phase, the units done and the units in all."""


@runtime_checkable
class Weighing(Protocol):
    """Progress that is told of bytes too."""

    def weigh(self, done: int, total: int) -> None:
        """So many bytes of the phase that is next told of are done."""


Unit = TypeVar("Unit")
Result = TypeVar("Result")


class ProcessDiedError(RuntimeError):
    """The process that worked on a unit ended, or none could be started, so that nothing came of it."""


class NoProcessError(ProcessDiedError):
    """No process could be started."""


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
    from multiprocessing import forkserver, resource_tracker

    forkserver.set_forkserver_preload([_PRELOADED])
    try:
        # Started by the server itself, it would let Ctrl+C through again.
        resource_tracker.ensure_running()
        with ctrl_c_held():
            forkserver.ensure_running()
    except OSError:
        return False
    return True


@contextmanager
def ctrl_c_held() -> Iterator[None]:
    """Hold Ctrl+C back; what is started meanwhile never gets it, and so the processes that it starts: this one ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def each(
    do: Callable[[Unit], Result],
    units: Sequence[Unit],
    jobs: int,
    *,
    phase: str,
    progress: Progress | None = None,
    lost: Callable[[Unit], Result] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    aside: int = 0,
    keep: Callable[[Unit, Result], None] = lambda _, __: None,
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
    aside : int
        How many units, the first ones, progress is not told of.
    keep : callable, optional
        Given each unit with its result as soon as it is there, in this process.

    Returns
    -------
    list
        In the order of the units.

    Raises
    ------
    ProcessDiedError
        A process died twice of one unit, and there is no `lost`.
    """
    work = Shared(do, units, phase, progress, lost, aside, keep)
    return work.finish(jobs, meanwhile)


def alone(do: Callable[[Unit], Result], unit: Unit) -> Result:
    """What comes of one unit in a process of its own.

    Raises
    ------
    ProcessDiedError
        The process died, or could not be started.
    """
    process = _Process()
    with _ended([process]):
        try:
            return process.submit(do, unit).result()
        except BrokenProcessPool:
            raise ProcessDiedError from None


@dataclass
class Shared(Generic[Unit, Result]):
    """Units, what came of those that are done, and who is told."""

    do: Callable[[Unit], Result]
    units: Sequence[Unit]
    phase: str
    progress: Progress | None
    lost: Callable[[Unit], Result] | None
    aside: int = 0
    kept: Callable[[Unit, Result], None] = lambda _, __: None
    done: dict[int, Result] = field(default_factory=dict)
    """Results by the place of their unit."""

    def waiting(self) -> list[int]:
        """Places of units that nothing has come of yet."""
        return [place for place in range(len(self.units)) if place not in self.done]

    def keep(self, place: int, result: Result) -> None:
        """Take a result, and tell of it."""
        self.done[place] = result
        self.kept(self.units[place], result)
        if self.progress is not None and place >= self.aside:
            told = sum(one >= self.aside for one in self.done)
            self.progress(self.phase, told, len(self.units) - self.aside)

    def finish(self, jobs: int, meanwhile: Callable[[], None] = lambda: None) -> list[Result]:
        """What comes of every unit, once nothing is left: what is waiting is worked on by so many processes, or this one."""
        if (processes := min(jobs, len(self.waiting()))) > 1:
            self.share(processes, meanwhile)
        for place in self.waiting():
            self.keep(place, self.do(self.units[place]))
        return [self.done[place] for place in range(len(self.units))]

    def share(self, processes: int, meanwhile: Callable[[], None]) -> None:
        """Work in processes; units that one dies of are tried once more alone. Leaves all where none can be started."""
        with _crew(processes) as crew:
            if not crew:
                return
            # In a thread, so that a process that is done with a unit need not wait for the next.
            loader = ThreadPoolExecutor(1)
            loading = loader.submit(meanwhile)
            loader.shutdown(wait=False)
            suspects = self._drain(crew)
        for place in suspects:
            # Where none can be started any more, this process works on it.
            with suppress(NoProcessError):
                self.keep(place, self._again(self.units[place]))
        loading.result()

    def _drain(self, crew: list[_Process]) -> list[int]:
        """Work until all is done; then say which units a process died of. Leaves what is left if none can be started."""
        source = iter(self.waiting())
        running: dict[Future[Result], tuple[int, _Process]] = {}
        idle = list(crew)
        suspects: list[int] = []
        while True:
            # No unit waits in a process that is at work: it would die with it, or be waited for by others.
            while idle and (place := next(source, None)) is not None:
                process = idle.pop()
                try:
                    running[process.submit(self.do, self.units[place])] = place, process
                except NoProcessError:
                    source = itertools.chain([place], source)
            if not running:
                return suspects
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                place, process = running.pop(future)
                idle.append(process)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    suspects.append(place)
                else:
                    self.keep(place, result)

    def _again(self, unit: Unit) -> Result:
        try:
            return alone(self.do, unit)
        except NoProcessError:
            raise
        except ProcessDiedError:
            if self.lost is None:
                raise
            return self.lost(unit)


class _Process:
    """A process for one unit after another, started when it is first needed, and anew when it has died.

    In a pool of several all units would be lost with one process, and on Python 3.11 such a pool can wait forever for a
    process that it starts while another dies.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, do: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        """Begin a unit.

        Raises
        ------
        NoProcessError
            None can be started.
        """
        try:
            if self._pool is not None:
                with suppress(BrokenProcessPool):
                    return self._pool.submit(do, unit)
                self.shutdown()
            self._pool = _executor()
            with without_main():
                return self._pool.submit(do, unit)
        except _REFUSED:
            raise NoProcessError from None

    def shutdown(self) -> None:
        """End it, after the unit that it works on."""
        if self._pool is not None:
            # A pool whose threads could not be started can't wait for them.
            with suppress(RuntimeError):
                self._pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """End it at once."""
        # Only since Python 3.14 can a pool be asked for that.
        for process in list((getattr(self._pool, "_processes", None) or {}).values()):
            process.kill()


@contextmanager
def _crew(processes: int) -> Iterator[list[_Process]]:
    """Processes, the first of which has started; none where none can be started."""
    crew = [_Process()]
    with _ended(crew):
        if _starts(crew[0]):
            crew += [_Process() for _ in range(processes - 1)]
            yield crew
        else:
            yield []


@contextmanager
def _ended(crew: Sequence[_Process]) -> Iterator[None]:
    """End processes afterwards; who stops the work does not wait for what is being worked on."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        for process in crew:
            process.kill()
        raise
    finally:
        for process in crew:
            process.shutdown()


@contextmanager
def without_main() -> Iterator[None]:
    """Hide the program that runs: a process that is started would import it, and a script run itself again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _executor() -> ProcessPoolExecutor:
    """A pool of one process, from a server where there can be one."""
    context: Any = multiprocessing.get_context("forkserver" if start_server() else "spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Have this process end when the one that it works for does, however that ends: nothing else would tell it."""
    # Ctrl+C reaches every process of a terminal; the one that it is meant for ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _starts(process: _Process) -> bool:
    """Whether a process can be started: not in some sandboxes."""
    try:
        return process.submit(_ready, None).result()
    except (BrokenProcessPool, ProcessDiedError):
        return False


def _ready(_: None) -> bool:
    """What a process does first, so that it has started before there is work."""
    return True
