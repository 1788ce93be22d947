"""How much memory the judging of 2,000 and of 10,000 patients takes, on saved evidence, and how long.

Run with `nox -s bench`.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.store import save
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.writer import profile_for, write_release

PROFILE = profile_for(64)
PATIENTS = 20
SIZES = {"2,000 of 86 slices": (100, None), "10,000 of 24 slices": (500, 24)}
"""How often the patients of a small release are there, and how many slices they have at most."""
MAX_RSS_MB = {"2,000 of 86 slices": 1000, "10,000 of 24 slices": 2000}
OF_THE_RELEASE = frozenset({"sources", "clinical_dictionary", "workbook", "list_notes"})
"""Tables that do not grow with the patients."""
FIRST = 1001
"""Number of the first synthetic patient: of 10,000, four digits are enough if they begin with 0."""
_PEAK = re.compile(r"VmHWM:\s+(\d+)")
_PATIENT = re.compile(r"(?<=CRLM-CT-)\d{4}")
_UID = re.compile(rf"(?<={re.escape(PROFILE.uid_root)}\.)\d{{4}}")
_DIGEST = re.compile(r"^[0-9a-f]{8}(?=[0-9a-f]{8,}$)")
_MEASURE = """
import sys
from contextlib import suppress
from crlm_qc.cli import main
with suppress(SystemExit):
    main(["check", "--subset", sys.argv[1]])
# What getrusage says survives exec, so it would be the parent's peak.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
"""


def renamed(copy: int) -> Callable[[str], str]:
    """What turns texts of the first patients into those of others: patient IDs, UIDs and digests."""

    def rename(value: str) -> str:
        value = _PATIENT.sub(lambda found: f"{int(found[0]) - FIRST + PATIENTS * copy:04}", value)
        return _DIGEST.sub(f"{copy:08x}", _UID.sub(str(1000 + copy), value))

    return rename


def copied(name: str, table: pd.DataFrame, copy: int) -> pd.DataFrame:
    """Rows of other patients that are like the first ones."""
    found = table.copy()
    for column in found.columns:
        if found[column].dtype == "str":
            codes, texts = pd.factorize(found[column])
            renaming = renamed(copy)
            others = np.array([*(renaming(text) for text in texts), np.nan], dtype=object)
            found[column] = pd.array(others[codes], dtype=found[column].dtype)
        elif (name, column) in {("metadata", "row"), ("clinical", "row"), ("manifest", "line")}:
            found[column] += copy * (found[column].max() + 1)
    return found


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def evidence(size: str, tmp_path: Path) -> Path:
    """Saved evidence of very many patients: those of a small release, many times over."""
    copies, slices = SIZES[size]
    write_release(tmp_path / "release", patients=PATIENTS, seed=1, matrix=64, edition="april-2023", max_slices=slices)
    few = collect(tmp_path / "release", profile_for(64, max_slices=slices), depth=Depth.PIXELS)
    many = {
        name: few[name]
        if name in OF_THE_RELEASE
        else pd.concat([copied(name, few[name], copy) for copy in range(copies)], ignore_index=True)
        for name in few
    }
    assert many["files"].loc[many["files"]["kind"] == "ct", "sop_instance_uid"].is_unique
    assert many["patients"]["patient"].nunique() == PATIENTS * copies
    save(Evidence(few.facts, many), tmp_path / "evidence")
    return tmp_path / "evidence"


def below(process: int) -> Iterator[int]:
    """All processes that one has started, and those that they have."""
    try:
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from below(int(child))
    except OSError:
        return


def peak_of(process: int) -> int:
    """The most memory that a process had so far, MB; 0 if it has ended."""
    try:
        return int(_PEAK.findall(Path(f"/proc/{process}/status").read_text())[0]) // 1024
    except (OSError, IndexError):
        return 0


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_of_many_patients(size: str, evidence: Path) -> None:
    began = time.monotonic()
    command = [sys.executable, "-c", _MEASURE, str(evidence)]
    workers: dict[int, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ended:
        while ended.poll() is None:
            workers |= {one: peak for one in below(ended.pid) if (peak := peak_of(one))}
            time.sleep(0.2)
        told, said = ended.communicate()
    peak = int(said.split()[-1]) // 1024
    most = max(workers.values(), default=0)
    seconds = time.monotonic() - began
    print(f"\npeak memory with {size}: {peak} MB, and {most} MB of a worker; {seconds:.0f} s")
    assert f"{size.split(maxsplit=1)[0]} patients" in told
    assert max(peak, most) < MAX_RSS_MB[size]
