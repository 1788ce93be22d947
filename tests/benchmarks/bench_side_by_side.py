"""The audit beside what people run today, on the same patients, in one run and in as many processes.

Run with `nox -s bench -- -k side_by_side`; CRLM_QC_BENCH_PATIENTS=20 takes 20 patients in place of 3. The patients are of
full size: 512 x 512 pixels, and as many slices as published series have. Each contender is a program of its own, started
afresh in every round, so that what it takes to start counts; contenders take turns, so that what else the machine does
hits all of them alike.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.synthetic.writer import write_release
from crlm_qc.workers import default_jobs

PATIENTS = int(os.environ.get("CRLM_QC_BENCH_PATIENTS", "3"))
ROUNDS = int(os.environ.get("CRLM_QC_BENCH_ROUNDS", "3"))
LARGE = PATIENTS >= 20
"""Fewer patients take hardly longer than the programs take to start, so the goals are those of a large run."""
MAX_RSS_MB = 1000
HEADER_FACTOR = 3.0
INTERVAL = 0.02
DEPTHS = ("headers", "masks", "pixels")


@dataclass
class Taken:
    """What the runs of one contender took."""

    name: str
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of all its processes together, s."""
    peak_mb: float = 0.0
    """Of its largest process."""

    @property
    def best(self) -> float:
        """The least disturbed round, s."""
        return min(self.seconds)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyntheticRelease]:
    folder = tmp_path_factory.mktemp("side-by-side")
    yield write_release(folder / "release", patients=PATIENTS, seed=20, jobs=default_jobs())
    shutil.rmtree(folder)


def commands(release: SyntheticRelease, jobs: int, out: Path) -> dict[str, list[str]]:
    contenders = Path(__file__).with_name("contenders.py")
    plain = {
        name: [sys.executable, str(contenders), name, str(release.collection), str(jobs)]
        for name in ("bytes", "bare-headers", "plain-loader")
    }
    options = ["--subset", "--no-known-issues", "--fail-on", "never", "--jobs", str(jobs), "--out", str(out)]
    # No other contender draws.
    options += ["--pictures", "none"]
    audits = {
        f"audit {depth}": [sys.executable, "-m", "crlm_qc", "check", str(release.root), "--depth", depth, *options]
        for depth in DEPTHS
    }
    reading = [sys.executable, str(contenders), "read-headers", str(release.root), str(jobs)]
    return {**plain, "read-headers": reading, **audits}


def measure(taken: Taken, command: list[str]) -> None:
    """Run a program, and follow it and all its processes."""
    cpu: dict[int, float] = {}
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
        root = psutil.Process(program.pid)
        while program.poll() is None:
            for process in [root, *_children(root)]:
                try:
                    times = process.cpu_times()
                    taken.peak_mb = max(taken.peak_mb, process.memory_info().rss / 1e6)
                except psutil.Error:
                    continue
                cpu[process.pid] = max(cpu.get(process.pid, 0.0), times.user + times.system)
            time.sleep(INTERVAL)
        taken.seconds.append(time.perf_counter() - started)
        output = program.stdout.read().decode() if program.stdout else ""
    assert program.returncode == 0, output
    taken.cpu.append(sum(cpu.values()))


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def table(taken: dict[str, Taken], release: SyntheticRelease, jobs: int) -> str:
    slices = [len(release.ct_files(patient)) for patient in release.patients]
    size = sum(path.stat().st_size for path in release.root.rglob("*.dcm"))
    loader, bare = taken["plain-loader"].best, taken["bare-headers"].best
    lines = [
        f"{PATIENTS} patients, {sum(slices)} slices (median {statistics.median(slices):.0f}), {size / 1e6:.0f} MB; {jobs} processes; best of {ROUNDS} rounds",
        f"{'':14}{'seconds':>9}{'median':>9}{'CPU s':>9}{'x loader':>10}{'x headers':>11}{'peak MB':>9}",
    ]
    lines += [
        f"{one.name:14}{one.best:9.2f}{statistics.median(one.seconds):9.2f}{min(one.cpu):9.2f}"
        f"{one.best / loader:10.2f}{one.best / bare:11.2f}{one.peak_mb:9.0f}"
        for one in taken.values()
    ]
    return "\n".join(lines)


def test_side_by_side(release: SyntheticRelease, tmp_path: Path) -> None:
    jobs = default_jobs()
    programs = commands(release, jobs, tmp_path / "report")
    taken = {name: Taken(name) for name in programs}
    for name, command in programs.items():
        # Once to bring the files into the cache, and every module's bytes.
        measure(Taken(name), command)
    for _ in range(ROUNDS):
        for name, command in programs.items():
            measure(taken[name], command)
    print(f"\n{table(taken, release, jobs)}")

    assert max(one.peak_mb for one in taken.values() if one.name.startswith("audit")) < MAX_RSS_MB
    if LARGE:
        assert taken["audit pixels"].best < taken["plain-loader"].best
        assert taken["read-headers"].best < HEADER_FACTOR * taken["bare-headers"].best
