"""Units on an executor that others provide: of the standard library, of Dask, of whatever has its interface.

Nothing is known of it but that: a worker may be a thread, a process, or another machine, and may be lost at any time. An
exception of a task tells that its worker was lost, for what a unit itself raises comes back as a value.
"""

from __future__ import annotations

import math
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias

from crlm_qc.workers import Progress, Result, Shared, Unit, default_jobs

ExecutorSource: TypeAlias = Executor | Callable[[], AbstractContextManager[Executor]]
"""An executor, which is left open; or what makes one, such as a class of executors, and makes another when it breaks."""

_TASKS_PER_WORKER = 4
"""As many tasks as that are made at least, so that no worker is idle while another has several units left."""
_PATIENCE_S = 20.0
"""How long a task may take before it is begun anew elsewhere, if it also takes `_SLOWER` times as long as any other did."""
_SLOWER = 3
_LOOK_S = 1.0
"""How often it is looked who is slow, and how many workers there are."""
_DESERTED_S = 300.0
"""How long work waits for workers where all have left."""


class EngineError(RuntimeError):
    """An executor can't be used; says why in words for people."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Result]):
    """What a worker tells of a task."""

    results: list[Result] = field(default_factory=list)
    unfit: str | None = None
    """Why it can't work on these units."""
    error: Exception | None = None
    """What a unit raised."""
    worker: str = ""


class Units(Generic[Unit, Result]):
    """A task: some units, and what is done with each. No dataclass, which Dask would look into."""

    __slots__ = ("do", "fit", "number", "units")

    def __init__(
        self,
        number: int,
        do: Callable[[Unit], Result],
        fit: Callable[[Sequence[Unit]], str | None] | None,
        units: Sequence[Unit],
    ) -> None:
        self.number = number
        """Each has another: an executor that knows what a task came to would not do it again."""
        self.do = do
        self.fit = fit
        self.units = units


_TURN = threading.Lock()
"""Threads of one process take turns: reading sets what holds for the whole process, such as filters of warnings."""


def work_on(task: Units[Unit, Result]) -> Answer[Result]:
    """Work on a task, in a worker."""
    with _TURN:
        try:
            if task.fit is not None and (why := task.fit(task.units)) is not None:
                return Answer(unfit=why, worker=platform.node())
            return Answer([task.do(unit) for unit in task.units])
        except Exception as error:  # noqa: BLE001 - raised again by who asked
            return Answer(error=error)


def whereabouts(_: int) -> tuple[str, int]:
    """Machine and number of the process that this is called in."""
    return platform.node(), os.getpid()


@dataclass(eq=False)
class _Task:
    """Units that are worked on in one go."""

    places: list[int]
    tries: int = 0
    """0: among others; 1: alone; 2: alone, and less of it."""
    checked: bool = True
    """Whether the worker says if it can work on it."""
    began: float = 0.0
    futures: set[Future[Any]] = field(default_factory=set)


def each_on(
    source: ExecutorSource,
    do: Callable[[Unit], Result],
    units: Sequence[Unit],
    *,
    phase: str,
    gone: Callable[[Unit], Result],
    less: Callable[[Unit], Unit | None] = lambda _: None,
    fit: Callable[[Sequence[Unit]], str | None] | None = None,
    cost: Callable[[Unit], float] = lambda _: 1,
    jobs: int | None = None,
    progress: Progress | None = None,
    lost: Callable[[Unit], Result] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    keep: Callable[[Unit, Result], None] = lambda _, __: None,
) -> list[Result]:
    """What comes of every unit, from the workers of an executor.

    Parameters
    ----------
    source : Executor or callable
        Where to work. What it takes no more, with no other to be had, processes of this machine work on, as `each` does.
    do, units, phase, progress, lost, meanwhile, keep
        As `crlm_qc.workers.each` takes them.
    gone : callable
        Gives the result of a unit that no worker came back from.
    less : callable
        Gives what is tried in the end in place of a unit that workers are lost of; None if there is nothing.
    fit : callable, optional
        Called by a worker with the units of a task: why it can't work on them, None if it can. Like `do`, a function
        that another process finds by its name.
    cost : callable
        How dear a unit is: those of together no more than 1 may be sent as one task.
    jobs : int, optional
        Tasks in flight; by default as many as the executor has workers, or else as this machine has cores.

    Returns
    -------
    list
        In the order of the units.

    Raises
    ------
    EngineError
        The workers can't run this program, or one does not see what is to be read.
    """
    work = Shared(do, units, phase, progress, lost, kept=keep)
    if not isinstance(source, Executor) and not callable(source):
        raise EngineError("it is neither an executor nor what makes one")
    if units:
        _OnExecutor(work, source, gone, less, fit, cost, jobs, meanwhile).run()
    return work.finish(jobs or default_jobs())


@dataclass
class _OnExecutor(Generic[Unit, Result]):
    """Units on their way to workers and back: see `each_on`."""

    work: Shared[Unit, Result]
    source: ExecutorSource
    gone: Callable[[Unit], Result]
    less: Callable[[Unit], Unit | None]
    fit: Callable[[Sequence[Unit]], str | None] | None
    cost: Callable[[Unit], float]
    jobs: int | None
    meanwhile: Callable[[], None]
    _waiting: deque[_Task] = field(default_factory=deque, init=False)
    _suspects: deque[_Task] = field(default_factory=deque, init=False)
    """Workers were lost of them: they are tried when no other is in flight, so that only the guilty is blamed."""
    _running: dict[Future[Any], _Task] = field(default_factory=dict, init=False)
    _left: list[Future[Any]] = field(default_factory=list, init=False)
    """Still at work on what another has done by now."""
    _number: int = field(default=0, init=False)
    _longest: float = field(default=0.0, init=False)
    _slots: int = field(default=0, init=False)
    _looked: float = field(default=-math.inf, init=False)
    _manned: float = field(default=math.inf, init=False)
    """When there was a worker the last time."""

    def run(self) -> None:
        """Work until all is done, or nothing takes any more.

        Raises
        ------
        EngineError
            The workers can't run this program, or one does not see what is to be read.
        """
        first = True
        while first or self._waiting or self._suspects:
            with self._opened() as executor:
                if first:
                    loading = self._begin(executor)
                    first = False
                taken = self._drain(executor)
            if not taken or isinstance(self.source, Executor):
                break
        loading.result()

    @contextmanager
    def _opened(self) -> Iterator[Executor]:
        """An executor, the tasks of which are ended with it: none of them is waited for that is not needed any more."""
        own = not isinstance(self.source, Executor)
        with nullcontext(self.source) if isinstance(self.source, Executor) else self.source() as executor:
            self._looked, self._manned = -math.inf, math.inf
            try:
                yield executor
            except BaseException:
                self._abandon(executor, own=own)
                raise
            if self._left:
                self._abandon(executor, own=own)

    def _abandon(self, executor: Executor, *, own: bool) -> None:
        """Let go of what is still being worked on."""
        for future in (*self._running, *self._left):
            future.cancel()
        self._running, self._left = {}, []
        if own:
            # Only since Python 3.14 can a pool be asked for that.
            for process in list((getattr(executor, "_processes", None) or {}).values()):
                process.kill()
            # What is gone can't be ended.
            with suppress(Exception):
                executor.shutdown(wait=False)

    def _begin(self, executor: Executor) -> Future[None]:
        """See that workers run this program, load what is needed meanwhile if they are elsewhere, and make the tasks."""
        found = _first_answer(executor)
        loader = ThreadPoolExecutor(1)
        # Threads of this process have no use for another that imports.
        elsewhere = found != whereabouts(0)
        loading = loader.submit(self.meanwhile if elsewhere else _nothing)
        loader.shutdown(wait=False)
        places = self.work.waiting()
        most = max(1, len(places) // (_TASKS_PER_WORKER * self._workers(executor)))
        self._waiting.extend(_Task(group) for group in self._groups(places, most))
        return loading

    def _groups(self, places: Sequence[int], most: int) -> Iterator[list[int]]:
        """Places of units, so many at most and no more together than is worth a task."""
        group: list[int] = []
        cost = 0.0
        for place in places:
            own = self.cost(self.work.units[place])
            if group and (len(group) == most or cost + own > 1):
                yield group
                group, cost = [], 0.0
            group.append(place)
            cost += own
        if group:
            yield group

    def _workers(self, executor: Executor) -> int:
        """How many tasks may be in flight; workers may join and leave.

        Raises
        ------
        EngineError
            All have left, some time ago.
        """
        if (now := time.monotonic()) - self._looked > _LOOK_S:
            self._slots, self._looked = _workers_of(executor), now
            self._manned = now if self._slots else min(self._manned, now)
            if now - self._manned > _DESERTED_S:
                raise EngineError("all its workers have left")
        return max(1, self._slots if self.jobs is None else self.jobs)

    def _drain(self, executor: Executor) -> bool:
        """Work until all is done, or the executor takes no more and nothing runs; whether it took any."""
        taken, open_ = False, True
        while True:
            while open_ and (task := self._next(executor)) is not None:
                open_ = self._submit(executor, task)
                taken |= open_
            if not self._running:
                return taken
            idle = open_ and not self._waiting and len(self._running) < self._workers(executor)
            for future in wait(self._running, _LOOK_S if idle else _PATIENCE_S, FIRST_COMPLETED).done:
                self._take(future)
            if idle:
                self._again_elsewhere(executor)

    def _next(self, executor: Executor) -> _Task | None:
        """The next task, if one may begin now."""
        if self._waiting:
            return self._waiting.popleft() if len(self._running) < self._workers(executor) else None
        return self._suspects.popleft() if self._suspects and not self._running else None

    def _submit(self, executor: Executor, task: _Task) -> bool:
        """Begin a task; False if the executor takes no more, for whatever reason."""
        units: list[Any] = [self.work.units[place] for place in task.places]
        if task.tries > 1:
            units = [self.less(unit) for unit in units]
        self._number += 1
        sent = Units(self._number, self.work.do, self.fit if task.checked else None, units)
        try:
            future = executor.submit(work_on, sent)
        except Exception:  # noqa: BLE001 - each has its own
            if not task.futures:
                (self._suspects if task.tries else self._waiting).appendleft(task)
            return False
        if not task.futures:
            task.began = time.monotonic()
        task.futures.add(future)
        self._running[future] = task
        return True

    def _again_elsewhere(self, executor: Executor) -> None:
        """Begin those tasks anew that take by far longer than all others did: what a slow worker has, an idle one does."""
        late = time.monotonic() - max(_PATIENCE_S, _SLOWER * self._longest)
        late_ones = [one for one in self._running.values() if one.began < late and len(one.futures) == 1]
        for task in late_ones[: self._workers(executor) - len(self._running)]:
            if task.tries or not self._submit(executor, task):
                return

    def _take(self, future: Future[Any]) -> None:
        """What came of a task, the first time that anything did."""
        if (task := self._running.pop(future, None)) is None:
            return
        task.futures.discard(future)
        try:
            given: Any = future.result()
        except Exception:  # noqa: BLE001 - each executor tells of lost workers in its own way
            if not task.futures:
                self._lost(task)
            return
        told: Answer[Result] = _answer(given, task)
        if told.error is not None:
            raise told.error
        for other in task.futures:
            del self._running[other]
            if not other.cancel():
                self._left.append(other)
        task.futures = set()
        if told.unfit is not None:
            self._unfit(task, told)
            return
        self._longest = max(self._longest, time.monotonic() - task.began)
        for place, result in zip(task.places, told.results, strict=True):
            self.work.keep(place, result)

    def _unfit(self, task: _Task, told: Answer[Result]) -> None:
        """A worker can't work on a task. Where this process can't either, that tells nothing of the worker."""
        if self.fit is not None and self.fit([self.work.units[place] for place in task.places]) is None:
            raise EngineError(f"worker {told.worker} {told.unfit}")
        task.checked = False
        self._waiting.appendleft(task)

    def _lost(self, task: _Task) -> None:
        """A worker was lost: units are tried one by one, then alone, then less of them; then they are given up."""
        if len(task.places) > 1:
            self._waiting.extend(_Task([place]) for place in task.places)
            return
        unit = self.work.units[task.places[0]]
        tries = task.tries + 1
        if tries == 1 or (tries == 2 and self.less(unit) is not None):
            self._suspects.append(_Task(task.places, tries))
        else:
            self.work.keep(task.places[0], self.gone(unit))


def _answer(given: Any, task: _Task) -> Answer[Any]:
    """What came of a task, if it is that.

    Raises
    ------
    EngineError
        It is something else: no other task would fare better.
    """
    if isinstance(given, Answer):
        whole = len(given.results) == len(task.places)
        if whole or given.error is not None or given.unfit is not None:
            return given
    raise EngineError("its workers give back something else than what they were asked for")


def _nothing() -> None:
    pass


def _first_answer(executor: Executor) -> tuple[str, int]:
    """Where a worker is.

    Raises
    ------
    EngineError
        None runs this program.
    """
    why = ""
    for _ in range(2):
        try:
            return executor.submit(whereabouts, 0).result()
        except ImportError:
            raise EngineError("the workers can't import crlm_qc: install this version of crlm-qc there") from None
        except Exception as error:  # noqa: BLE001 - each executor tells of lost workers in its own way
            why = type(error).__name__
    raise EngineError(f"no worker answers ({why})")


def _workers_of(executor: Executor) -> int:
    """How many workers an executor has, if it can be known: those of Dask, which may be none, and of the standard library tell.

    Raises
    ------
    EngineError
        Nobody is there any more who could say.
    """
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "nthreads"):
        try:
            return len(client.nthreads())
        except Exception as error:  # noqa: BLE001 - it tries for a while before it says so
            # Its tasks do not always tell of that.
            raise EngineError(f"its scheduler does not answer any more ({type(error).__name__})") from None
    known = getattr(executor, "_max_workers", None)
    return known if isinstance(known, int) and known > 0 else default_jobs()
