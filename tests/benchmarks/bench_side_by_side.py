"""The audit beside what people run today, on the same patients, in one run and in as many processes.

Run with `nox -s bench -- -k side_by_side`; CRLM_QC_BENCH_SIZES="3 20 60 197@128" takes so many patients in turn, the last
with images of 128 x 128 pixels. All others are of full size: 512 x 512, and as many slices as published series have. Each
contender is a program of its own, started afresh in every round, so that what it takes to start counts; contenders take
turns, so that what else the machine does hits all of them alike.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.synthetic.writer import write_release
from crlm_qc.workers import default_jobs

SIZES = os.environ.get("CRLM_QC_BENCH_SIZES", "3").split()
ROUNDS = int(os.environ.get("CRLM_QC_BENCH_ROUNDS", "3"))
FULL = 512
MAX_MB = 400
MAX_OF_LOADER = {20: 0.65, 60: 0.58}
"""CPU of a full audit, of that of the loader, from so many patients of full size on: fewer take hardly longer than the
programs take to start."""
MAX_AGAIN = 0.12
"""CPU of the audit of an unchanged release, of that of its first, from 20 patients on; at 197 it is a fortieth."""
MAX_BARE = 3.0
"""CPU of reading the headers, of that of reading them for nothing, from 20 patients on."""
DEPTHS = ("headers", "masks", "pixels")
HERE = Path(__file__).parent


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
        """CPU of the least disturbed round, s."""
        return min(self.cpu)

    def measure(self, command: list[str]) -> None:
        """Run the program once more."""
        program = [sys.executable, str(HERE / "measured.py"), *command]
        ran = subprocess.run(program, capture_output=True, text=True, check=True)
        found = json.loads(ran.stdout)
        assert found["code"] == 0, ran.stderr
        self.seconds.append(found["seconds"])
        self.cpu.append(found["cpu"])
        self.peak_mb = max(self.peak_mb, found["peak_mb"])


@pytest.fixture(scope="module", params=SIZES)
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Patients, and rows and columns of their images."""
    patients, _, matrix = request.param.partition("@")
    return int(patients), int(matrix or FULL)


@pytest.fixture(scope="module")
def release(size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyntheticRelease]:
    folder = tmp_path_factory.mktemp("side-by-side")
    patients, matrix = size
    yield write_release(folder / "release", patients=patients, seed=20, matrix=matrix, jobs=default_jobs())
    shutil.rmtree(folder)


def commands(release: SyntheticRelease, jobs: int, out: Path) -> dict[str, list[str]]:
    contenders = str(HERE / "contenders.py")
    plain = {
        name: [sys.executable, contenders, name, str(release.collection), str(jobs)]
        for name in ("bytes", "bare-headers", "plain-loader")
    }
    options = ["--subset", "--no-known-issues", "--fail-on", "never", "--jobs", str(jobs), "--out", str(out)]
    # No other contender draws.
    options += ["--pictures", "none", "--force"]
    check = [sys.executable, "-m", "crlm_qc", "check", str(release.root), *options]
    audits = {f"audit {depth}": [*check, "--depth", depth, "--no-cache"] for depth in DEPTHS}
    reading = [sys.executable, contenders, "read-headers", str(release.root), str(jobs)]
    return {
        **plain,
        "read-headers": reading,
        **audits,
        "audit again": [*check, "--depth", "pixels", "--cache", str(out.with_name("cache"))],
    }


def table(taken: dict[str, Taken], release: SyntheticRelease, jobs: int) -> str:
    slices = [len(release.ct_files(patient)) for patient in release.patients]
    size = sum(path.stat().st_size for path in release.root.rglob("*.dcm"))
    loader, bare = taken["plain-loader"], taken["bare-headers"]
    lines = [
        f"{len(slices)} patients, {sum(slices)} slices (median {statistics.median(slices):.0f}), {size / 1e6:.0f} MB; {jobs} processes; best of {ROUNDS} rounds",
        f"{'':14}{'CPU s':>9}{'median':>9}{'x loader':>10}{'x headers':>11}{'seconds':>9}{'x loader':>10}{'peak MB':>9}",
    ]
    lines += [
        f"{one.name:14}{one.best:9.2f}{statistics.median(one.cpu):9.2f}{one.best / loader.best:10.2f}{one.best / bare.best:11.2f}"
        f"{min(one.seconds):9.2f}{min(one.seconds) / min(loader.seconds):10.2f}{one.peak_mb:9.0f}"
        for one in taken.values()
    ]
    return "\n".join(lines)


@pytest.mark.skipif(sys.platform != "linux", reason="CPU of all processes is told by Linux alone")
def test_side_by_side(size: tuple[int, int], release: SyntheticRelease, tmp_path: Path) -> None:
    jobs = default_jobs()
    programs = commands(release, jobs, tmp_path / "report")
    taken = {name: Taken(name) for name in programs}
    for name, command in programs.items():
        # Once to bring the files into the system's cache, every module's bytes, and what the audit remembers.
        Taken(name).measure(command)
    for _ in range(ROUNDS):
        for name, command in programs.items():
            taken[name].measure(command)
    print(f"\n{table(taken, release, jobs)}")

    assert max(one.peak_mb for one in taken.values() if one.name.startswith("audit")) < MAX_MB
    patients, matrix = size
    if patients < min(MAX_OF_LOADER):
        return
    assert taken["audit again"].best < MAX_AGAIN * taken["audit pixels"].best
    assert taken["read-headers"].best < MAX_BARE * taken["bare-headers"].best
    if matrix == FULL:
        limit = min(share for least, share in MAX_OF_LOADER.items() if patients >= least)
        assert taken["audit pixels"].best < limit * taken["plain-loader"].best
