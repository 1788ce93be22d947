"""Units on executors of others: what comes of them, of workers that are lost, of those that are slow, and of those unfit."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from support import units
from support.executors import Breaking, Inline, Losing, hangs_once, is_fatal

from crlm_qc.workers import executors
from crlm_qc.workers.executors import EngineError, ExecutorSource, each_on

NUMBERS = [5, units.FATAL, 1, 4, 2, 6]
DOUBLED = [2 * number for number in NUMBERS]
LOST = [-1 if number == units.FATAL else 2 * number for number in NUMBERS]


def doubled(source: ExecutorSource, numbers: Any = NUMBERS, do: Any = units.double, **options: Any) -> list[Any]:
    return each_on(source, do, numbers, phase="doubling", **{"gone": lambda _: -1, **options})


def processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=get_context("forkserver" if os.name != "nt" else "spawn"))


def test_results_come_in_the_order_of_the_units_and_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    kept: list[tuple[int, int]] = []
    found = doubled(Inline(), progress=lambda *one: told.append(one), keep=lambda *one: kept.append(one))
    assert found == DOUBLED
    assert told == [("doubling", done, len(NUMBERS)) for done in range(1, len(NUMBERS) + 1)]
    assert sorted(kept) == sorted(zip(NUMBERS, DOUBLED, strict=True))


def test_threads_and_processes_of_the_caller() -> None:
    with ThreadPoolExecutor(3) as threads:
        assert doubled(threads) == DOUBLED
        # It is left open.
        assert threads.submit(units.double, 1).result() == 2
    assert doubled(processes) == DOUBLED
    assert doubled(Inline(), []) == []


def test_small_units_are_sent_together_and_large_ones_alone() -> None:
    executor = Inline()
    doubled(executor, list(range(100)), cost=lambda unit: 2 if unit < 2 else 0.1)
    assert [len(task) for task in executor.tasks] == [1, 1, *[10] * 9, 8]
    # Not so that a worker would have nothing to do while another has several.
    executor = Inline()
    doubled(executor, list(range(16)), cost=lambda unit: 0.01)
    assert [len(task) for task in executor.tasks] == [2] * 8


def test_a_unit_that_workers_are_lost_of_is_tried_again_then_less_of_it_then_given_up() -> None:
    executor = Losing(lambda unit: unit in (units.FATAL, 33))
    found = doubled(executor, less=lambda unit: 11 * unit)
    assert found == LOST
    assert executor.tasks.count([units.FATAL]) == 2
    assert executor.tasks[-1] == [33]
    executor = Losing(is_fatal)
    assert doubled(executor, less=lambda unit: 11 * unit) == [
        66 if number == units.FATAL else 2 * number for number in NUMBERS
    ]


def test_a_worker_that_is_lost_by_itself_costs_nothing() -> None:
    executor = Losing(is_fatal, times=1)
    assert doubled(executor, less=lambda _: 0) == DOUBLED
    # What was sent together is tried one by one.
    executor = Losing(is_fatal, times=1)
    numbers = [*NUMBERS, *range(10, 40)]
    assert doubled(executor, numbers, cost=lambda _: 0.1) == [2 * number for number in numbers]
    assert [units.FATAL] in executor.tasks


def test_what_breaks_is_made_anew() -> None:
    made: list[Breaking] = []

    def make() -> Breaking:
        made.append(Breaking(is_fatal))
        return made[-1]

    assert doubled(make) == LOST
    assert [one.closed for one in made] == [1] * len(made)
    assert len(made) == 2


def test_what_is_broken_for_good_leaves_the_rest_to_processes_of_this_machine() -> None:
    executor = Breaking(is_fatal)
    assert doubled(executor, do=units.dies, jobs=2, lost=lambda _: -1) == LOST
    assert not executor.closed


def test_processes_that_die() -> None:
    assert doubled(processes, do=units.dies) == LOST


def test_what_goes_wrong_with_a_unit_goes_up() -> None:
    with pytest.raises(OSError, match="no space left"):
        doubled(Inline(), do=units.refuses)


def test_a_worker_that_does_not_see_the_units_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def blind(seen: Any) -> str | None:
        asked.append(seen)
        # The worker is asked first, then this process.
        return "does not see it" if len(asked) == 1 else None

    monkeypatch.setattr(executors.platform, "node", lambda: "node7")
    with pytest.raises(EngineError, match="worker node7 does not see it"):
        doubled(Inline(), fit=blind)
    assert asked[0] == asked[-1] == [5]


def test_what_nobody_sees_is_worked_on_all_the_same() -> None:
    assert doubled(Inline(), fit=lambda seen: "does not see it" if seen == [4] else None) == DOUBLED


class Foreign(Inline):
    """Its workers have another installation."""

    def check(self, sent: list[Any] | None) -> None:
        raise ModuleNotFoundError("crlm_qc")


def test_workers_that_have_no_such_program() -> None:
    with pytest.raises(EngineError, match="can't import crlm_qc"):
        doubled(Foreign())
    executor = Breaking(is_fatal)
    executor.broken = True
    with pytest.raises(EngineError, match=r"no worker answers \(BrokenExecutor\)"):
        doubled(executor)


class OfDask(Inline):
    """As that of a client of Dask: it tells how many workers there are, and has lost its scheduler or its workers."""

    def __init__(self, workers: list[int] | None) -> None:
        super().__init__()
        self._client = self
        self.workers = workers

    def nthreads(self) -> list[int]:
        if self.workers is None:
            raise OSError("timed out")
        return self.workers


def test_a_cluster_that_all_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doubled(OfDask([1, 1])) == DOUBLED
    with pytest.raises(EngineError, match=r"its scheduler does not answer any more \(OSError\)"):
        doubled(OfDask(None))
    monkeypatch.setattr(executors, "_LOOK_S", -1.0)
    monkeypatch.setattr(executors, "_DESERTED_S", -1.0)
    with pytest.raises(EngineError, match="all its workers have left"):
        doubled(OfDask([]))


def test_what_a_slow_worker_has_is_done_by_an_idle_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(executors, "_LOOK_S", 0.1)
    marker = str(tmp_path / "slow")
    began = time.monotonic()
    assert doubled(processes, [(1, marker), (2, marker)], hangs_once) == [2, 4]
    assert time.monotonic() - began < 60


def test_what_is_needed_later_is_loaded_while_others_work() -> None:
    called: list[str] = []
    doubled(processes, meanwhile=lambda: called.append("processes"))
    doubled(partial(ThreadPoolExecutor, 2), meanwhile=lambda: called.append("threads of this process"))
    assert called == ["processes"]


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_waits_for_nothing_that_is_worked_on(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from functools import partial\n"
        "from multiprocessing import get_context\n"
        "from support import units\n"
        "from crlm_qc.workers.executors import each_on\n"
        "if __name__ == '__main__':\n"
        # This process has threads, and a fork would copy the locks that they hold.
        "    pool = partial(ProcessPoolExecutor, 2, get_context('forkserver'))\n"
        "    try:\n"
        "        each_on(pool, units.tells_and_sleeps, [1, 2], phase='x', gone=None)\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        assert [run.stdout.readline() for _ in range(2)] == [b"working\n", b"working\n"]
        run.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert run.stdout.read() == b"stopped\n"
        assert time.monotonic() - began < 60
    assert run.returncode == 0
