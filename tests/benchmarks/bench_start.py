"""What an audit takes apart from reading: three small patients, at each depth, as a ratio to the import of pandas.

Run with `nox -s bench -- -k start`. Programs take turns, each started afresh in every round, and what counts is the CPU time
of all their processes, so that what else the machine does hardly shows. The ratios that are kept stand in `start.json`; it
fails when one has grown by more than a fifth. After a change that is meant to, or with other versions of libraries,
CRLM_QC_BENCH_RENEW=1 writes what it measures: say in the commit why a ratio grew. Linux only.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crlm_qc.synthetic.writer import write_release

ROUNDS = int(os.environ.get("CRLM_QC_BENCH_ROUNDS", "5"))
RENEW = os.environ.get("CRLM_QC_BENCH_RENEW") == "1"
KEPT = Path(__file__).with_name("start.json")
MEASURED = Path(__file__).with_name("measured.py")
MOST = 1.2
"""How much more than what is kept a ratio may be."""
DEPTHS = ("headers", "masks", "pixels")
PANDAS = "import pandas"


def commands(release: Path, out: Path) -> dict[str, list[str]]:
    check = [
        sys.executable,
        "-m",
        "crlm_qc",
        "check",
        "--no-cache",
        str(release),
        "--isolated",
        "--pictures",
        "none",
        "--jobs",
        "2",
        "--force",
    ]
    listed = {PANDAS: [sys.executable, "-c", PANDAS]}
    for depth in DEPTHS:
        listed[depth] = [*check, "--depth", depth, "--out", str(out)]
        listed[f"{depth}, subset"] = [*listed[depth], "--subset"]
    return listed


def taken(command: list[str], environment: dict[str, str]) -> float:
    """CPU time of a program and all its processes, s."""
    done = subprocess.run(
        [sys.executable, str(MEASURED), *command], env=environment, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    # 0 and 1 end well; 3 says that something was not checked.
    assert told["code"] in (0, 1, 3), done.stderr
    return float(told["cpu"])


@pytest.fixture(scope="module")
def ratios(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder = tmp_path_factory.mktemp("start")
    write_release(folder / "release", patients=3, seed=3, matrix=64, max_slices=24)
    # Compiled once, as installed packages are, wherever they lie and whoever may write there.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    programs = commands(folder / "release", folder / "out")
    rounds = [{name: taken(program, environment) for name, program in programs.items()} for _ in range(ROUNDS + 1)]
    # The first round compiles.
    least = {name: min(one[name] for one in rounds[1:]) for name in programs}
    return {name: least[name] / least[PANDAS] for name in programs if name != PANDAS}


def test_what_an_audit_takes_apart_from_reading_has_not_grown(ratios: dict[str, float]) -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    for name, ratio in ratios.items():
        print(f"\n{name}: {ratio:.2f} times the import of pandas, kept {kept.get(name)}")
    if RENEW:
        KEPT.write_text(json.dumps({name: round(ratio, 2) for name, ratio in ratios.items()}, indent=2) + "\n", "utf-8")
        return
    assert kept.keys() == ratios.keys()
    grown = [name for name, ratio in ratios.items() if ratio > kept[name] * MOST]
    assert not grown, f"grown by more than {MOST - 1:.0%}: {', '.join(grown)}"
