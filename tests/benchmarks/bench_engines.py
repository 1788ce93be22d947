"""What an engine costs beyond the processes of this machine, at 1,000 small patients of four files each.

Run with `nox -s bench -- -k engines`. Each engine is a program of its own, started
afresh in every round; they take turns, so that what else the machine does hits all alike. What is compared is the CPU of
all processes together, for that is what an engine takes from the reading.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from crlm_qc.auditing.engine import executor_of
from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.settings import Depth
from crlm_qc.request.request import Request
from crlm_qc.synthetic.writer import write_release

PATIENTS, FEW, JOBS = 1000, 20, 2
ROUNDS = int(os.environ.get("CRLM_QC_BENCH_ROUNDS", "1"))
MAX_MS = 5.0
"""CPU beyond that of the local processes, a patient."""
HERE = Path(__file__).parent


def read(engine: str, root: Path) -> None:
    """Read the patients of a release on an engine."""
    source = {
        "local": None,
        "processes": partial(ProcessPoolExecutor, JOBS),
        "dask": executor_of(Request(engine="dask", jobs=JOBS)) if engine == "dask" else None,
    }[engine]
    found = collect(root, load_profile(), depth=Depth.PIXELS, jobs=JOBS, executor=source)
    assert not found.facts.limits
    assert len(found["patients"]) == len(list((root / "Colorectal-Liver-Metastases").iterdir()))


def linked(folder: Path, root: Path, patients: int) -> Path:
    """A release of so many patients, all with the same few files: three slices, and the segmentation."""
    files = sorted(root.rglob("*.dcm"), key=lambda path: (path.stat().st_size, path))
    dso = next(path for path in files if "Segmentation" in str(path))
    slices = [path for path in files if "Segmentation" not in str(path)][:3]
    for number in range(patients):
        patient = folder / "Colorectal-Liver-Metastases" / f"CRLM-CT-{1001 + number}" / "06-06-1992-NA-CT-00001"
        for series, paths in (("2.000000-CT-00002", slices), ("100.000000-Segmentation-00003", [dso])):
            (patient / series).mkdir(parents=True)
            for place, path in enumerate(paths, start=1):
                os.link(path, patient / series / f"1-{place}.dcm")
    return folder


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("engines")
    whole = write_release(folder / "release", patients=1, seed=4, matrix=64, max_slices=17)
    return {number: linked(folder / str(number), whole.root, number) for number in (FEW, PATIENTS)}


def taken(engine: str, root: Path) -> float:
    """CPU of all processes, s."""
    program = [sys.executable, str(HERE / "measured.py"), sys.executable, __file__, engine, str(root)]
    ran = subprocess.run(program, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert found["code"] == 0, ran.stderr
    return float(found["cpu"])


@pytest.mark.skipif(sys.platform != "linux", reason="CPU of all processes is told by Linux alone")
def test_engines(releases: dict[int, Path]) -> None:
    engines = ["local", "processes", "dask"]
    cpu: dict[tuple[str, int], list[float]] = {(engine, number): [] for engine in engines for number in releases}
    for _ in range(ROUNDS):
        for (engine, number), found in cpu.items():
            found.append(taken(engine, releases[number]))
    best = {key: min(found) for key, found in cpu.items()}
    per_patient = {engine: 1000 * (best[engine, PATIENTS] - best[engine, FEW]) / (PATIENTS - FEW) for engine in engines}
    over = {engine: 1000 * (best[engine, PATIENTS] - best["local", PATIENTS]) / PATIENTS for engine in engines}
    print(f"\n{PATIENTS} patients of 4 files, {JOBS} workers, CPU of all processes, best of {ROUNDS} rounds")
    for engine in engines:
        print(
            f"{engine:10} {best[engine, FEW]:6.2f} s for {FEW}, {best[engine, PATIENTS]:6.2f} s for {PATIENTS}: "
            f"{per_patient[engine]:5.1f} ms a patient, {per_patient[engine] - per_patient['local']:+5.1f} ms; "
            f"start included {over[engine]:+5.1f} ms"
        )
    assert max(over.values()) <= MAX_MS


if __name__ == "__main__":
    read(sys.argv[1], Path(sys.argv[2]))
