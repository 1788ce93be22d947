"""Processes that work side by side: what comes of units, of those that end their process, and of being stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import units

from crlm_qc import workers
from crlm_qc.workers import ProcessDiedError, alone, default_jobs, each

NUMBERS = [5, units.FATAL, 1, 4, 2, 6]


@pytest.mark.parametrize("jobs", [1, 2, 3, 20])
def test_results_come_in_the_order_of_the_units_and_progress_is_told(jobs: int) -> None:
    told: list[tuple[str, int, int]] = []
    found = each(units.double, NUMBERS, jobs, phase="doubling", progress=lambda *parts: told.append(parts))
    assert found == [2 * number for number in NUMBERS]
    assert told == [("doubling", done, len(NUMBERS)) for done in range(1, len(NUMBERS) + 1)]


@pytest.mark.parametrize("numbers", [[], [7]])
def test_one_unit_or_none_needs_no_process(numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crlm_qc.workers.ProcessPoolExecutor", None)
    called: list[str] = []
    assert each(units.double, numbers, 4, phase="x", meanwhile=lambda: called.append("x")) == [2 * n for n in numbers]
    assert not called


def test_a_unit_that_ends_its_process_costs_no_other() -> None:
    asked: list[int] = []

    def lost(unit: int) -> int:
        asked.append(unit)
        return -1

    found = each(units.dies, NUMBERS, 2, phase="x", lost=lost)
    assert found == [-1 if number == units.FATAL else 2 * number for number in NUMBERS]
    assert asked == [units.FATAL]
    with pytest.raises(ProcessDiedError):
        each(units.dies, NUMBERS, 2, phase="x")


def test_a_unit_under_suspicion_is_tried_once_more(tmp_path: Path) -> None:
    marker = str(tmp_path / "tried")
    found = each(units.dies_once, [(number, marker) for number in NUMBERS], 2, phase="x")
    assert found == [2 * number for number in NUMBERS]
    assert Path(marker).is_file()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_goes_wrong_with_a_unit_goes_up(jobs: int) -> None:
    with pytest.raises(OSError, match="no space left"):
        each(units.refuses, NUMBERS, jobs, phase="x", lost=lambda unit: unit)


@pytest.mark.parametrize("started", [0, 1, 2, 3])
def test_where_no_more_processes_can_be_started_this_one_works(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = workers.ProcessPoolExecutor, [started]

    def limited(*arguments: Any, **options: Any) -> Any:
        if not left[0]:
            raise EOFError("the server died of it")
        left[0] -= 1
        return real(*arguments, **options)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", limited)
    found = each(units.dies_elsewhere, [(number, os.getpid()) for number in NUMBERS], 3, phase="x")
    assert found == [2 * number for number in NUMBERS]


def test_alone() -> None:
    assert alone(units.double, 4) == 8
    with pytest.raises(ProcessDiedError):
        alone(units.dies, units.FATAL)


def test_as_many_jobs_as_cores_that_may_be_used() -> None:
    assert default_jobs() >= 1


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_who_stops_waits_for_nothing_that_was_not_begun(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, sys\n"
        # A run in the background has SIGINT ignored, and hands that down.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from support import units\n"
        "from crlm_qc.workers import each\n"
        "if __name__ == '__main__':\n"
        "    each(units.slowly, list(range(200)), 2, phase='x', progress=lambda *_: print('done', flush=True))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"done\n"
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        run.wait(timeout=30)
        # Of 200 units of a quarter of a second each no more than those being worked on are ended.
        assert time.monotonic() - began < 10
    assert run.returncode != 0


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_they_work_for(tmp_path: Path, number: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from support import units\n"
        "from crlm_qc.workers import each\n"
        "if __name__ == '__main__':\n"
        "    each(units.tells_and_sleeps, [1, 2], 2, phase='x')\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        assert {run.stdout.readline(), run.stdout.readline()} == {b"working\n"}
        run.send_signal(number)
        # All of them write there: it ends when the last has ended.
        began = time.monotonic()
        run.stdout.read()
        assert time.monotonic() - began < 60


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_what_is_worked_on_and_no_process_tells_of_it(tmp_path: Path, whole_group: bool) -> None:
    script = tmp_path / "script.py"
    # It asks for no __main__, and is not run again by the processes all the same.
    script.write_text(
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from support import units\n"
        "from crlm_qc.workers import each\n"
        "print('begun', flush=True)\n"
        "try:\n"
        "    each(units.tells_and_sleeps, [1, 2], 2, phase='x')\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as run:
        assert run.stdout is not None
        assert [run.stdout.readline() for _ in range(3)] == [b"begun\n", b"working\n", b"working\n"]
        (os.killpg if whole_group else os.kill)(run.pid, signal.SIGINT)
        began = time.monotonic()
        assert run.stdout.read() == b"stopped\n"
        assert time.monotonic() - began < 60
    assert run.returncode == 0
