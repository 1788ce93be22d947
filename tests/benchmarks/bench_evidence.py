"""How fast evidence is read, each beside the time to read the same bytes, and how much memory a process takes.

Run with `nox -s bench`.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.patient import read_patient
from crlm_qc.evidence.release import find_release
from crlm_qc.evidence.source import Item
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import frame
from crlm_qc.synthetic.writer import write_release

PROFILE = load_profile()
HEADER_BYTES = 4096
MIN_FILES_PER_SECOND = 500
MAX_SECONDS_PER_160_FRAMES = 0.5
MAX_RSS_MB = 700
_MEASURE = """
import sys
from pathlib import Path
from crlm_qc.evidence.collect import collect
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.settings import Depth
collect(Path(sys.argv[1]), load_profile(), depth=Depth(sys.argv[2]), jobs=1)
# What getrusage says survives exec, so it would be the parent's peak.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(scope="session")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients with images of the published size."""
    return write_release(tmp_path_factory.mktemp("full") / "release", patients=2, seed=1).root


@pytest.fixture(scope="session")
def patients(full_size: Path) -> list[Sequence[Item]]:
    return [one.items for one in find_release(full_size, PROFILE).patients]


def read(patients: list[Sequence[Item]], depth: Depth) -> dict[str, Any]:
    """Read patients one after another, tables included."""
    rows: dict[str, list[Any]] = {}
    for items in patients:
        for name, found in read_patient("CRLM-CT-1001", items, PROFILE, depth).rows.items():
            rows.setdefault(name, []).extend(found)
    return {name: frame(name, found) for name, found in rows.items()}


def bare(items: list[Item], length: int = -1) -> int:
    total = 0
    for item in items:
        with item.opened() as file:
            total += len(file.read(length))
    return total


def images(patients: list[Sequence[Item]], largest: bool) -> list[Item]:
    """The segmentation objects of patients (their largest files), or all others."""
    found = []
    for items in patients:
        dso = max(items, key=lambda item: item.size or 0)
        found += [dso] if largest else [item for item in items if item is not dso]
    return found


def test_headers(benchmark: Callable[..., Any], patients: list[Sequence[Item]]) -> None:
    slices = images(patients, largest=False)
    read([slices], Depth.HEADERS)
    benchmark(read, [slices], Depth.HEADERS)
    rate = len(slices) / benchmark.stats["min"]
    print(f"\nheaders: {rate:.0f} files a second")
    assert rate > MIN_FILES_PER_SECOND


def test_headers_bare(benchmark: Callable[..., Any], patients: list[Sequence[Item]]) -> None:
    benchmark(bare, images(patients, largest=False), HEADER_BYTES)


def test_masks(benchmark: Callable[..., Any], patients: list[Sequence[Item]]) -> None:
    dsos = images(patients, largest=True)
    found = read([dsos], Depth.MASKS)
    assert (found["dsos"]["masks"] == "measured").all()
    benchmark(read, [dsos], Depth.MASKS)
    seconds = benchmark.stats["min"] * 160 / len(found["frames"])
    print(f"\nmasks: {seconds:.2f} s for 160 frames")
    assert seconds < MAX_SECONDS_PER_160_FRAMES


def test_masks_bare(benchmark: Callable[..., Any], patients: list[Sequence[Item]]) -> None:
    benchmark(bare, images(patients, largest=True))


@pytest.mark.parametrize("depth", Depth)
def test_whole_patients(benchmark: Callable[..., Any], full_size: Path, depth: Depth) -> None:
    benchmark.pedantic(collect, (full_size, PROFILE), {"depth": depth, "jobs": 1}, rounds=3)


def test_whole_patients_bare(benchmark: Callable[..., Any], patients: list[Sequence[Item]]) -> None:
    benchmark(bare, [item for items in patients for item in items])


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("depth", Depth)
def test_memory(full_size: Path, depth: Depth) -> None:
    command = [sys.executable, "-c", _MEASURE, str(full_size), depth.value]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024
    print(f"\npeak memory at depth {depth.value}: {peak:.0f} MB")
    assert peak < MAX_RSS_MB


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_the_largest_series_of_the_collection_fits(tmp_path: Path) -> None:
    from support import tiny

    shape, count = (512, 512), 240
    rng = np.random.default_rng(1)
    slices = (
        tiny.ct_slice(index, stored=rng.integers(900, 1200, shape, np.int16), spacing=0.8) for index in range(count)
    )
    mask = np.zeros(shape, np.uint8)
    mask[100:400, 80:350] = 1
    frames = [(number, index, mask) for number in (1, 2, 3) for index in range(10, 229)]
    folder = tmp_path / PROFILE.name / tiny.PATIENT
    ds = tiny.segmentation(frames, ("Liver", "Liver Remnant", "Tumor_1"), slices=count, spacing=0.8)
    for index, one in enumerate(slices):
        tiny.write(folder / "study" / "ct" / f"1-{index:03d}.dcm", one)
    tiny.write(folder / "study" / "seg" / "1-1.dcm", ds)
    test_memory(tmp_path, Depth.PIXELS)
