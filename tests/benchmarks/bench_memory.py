"""How much memory the judging of 2,000 patients takes, on saved evidence.

Run with `nox -s bench`.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.store import save
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.writer import profile_for, write_release

PROFILE = profile_for(64)
PATIENTS, COPIES = 20, 100
MAX_RSS_MB = 1000
OF_THE_RELEASE = frozenset({"sources", "clinical_dictionary", "workbook", "list_notes"})
"""Tables that do not grow with the patients."""
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
        value = _PATIENT.sub(lambda found: str(int(found[0]) + PATIENTS * copy), value)
        return _DIGEST.sub(f"{copy:08x}", _UID.sub(str(1000 + copy), value))

    return rename


def copied(name: str, table: pd.DataFrame, copy: int) -> pd.DataFrame:
    """Rows of other patients that are like the first ones."""
    found = table.copy()
    for column in found.columns:
        if found[column].dtype == "str":
            found[column] = found[column].map(renamed(copy), na_action="ignore").astype(found[column].dtype)
        elif (name, column) in {("metadata", "row"), ("clinical", "row"), ("manifest", "line")}:
            found[column] += copy * (found[column].max() + 1)
    return found


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved evidence of 2,000 patients: those of a small release, many times over."""
    folder = tmp_path_factory.mktemp("many")
    write_release(folder / "release", patients=PATIENTS, seed=1, matrix=64, edition="april-2023")
    few = collect(folder / "release", PROFILE, depth=Depth.PIXELS)
    many = {
        name: few[name]
        if name in OF_THE_RELEASE
        else pd.concat([copied(name, few[name], copy) for copy in range(COPIES)], ignore_index=True)
        for name in few
    }
    assert many["files"].loc[many["files"]["kind"] == "ct", "sop_instance_uid"].is_unique
    assert many["patients"]["patient"].nunique() == PATIENTS * COPIES
    save(Evidence(few.facts, many), folder / "evidence")
    return folder / "evidence"


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_of_many_patients(evidence: Path) -> None:
    command = [sys.executable, "-c", _MEASURE, str(evidence)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    peak = int(ended.stderr.split()[-1]) / 1024
    print(f"\npeak memory with {PATIENTS * COPIES:,} patients: {peak:.0f} MB")
    assert f"{PATIENTS * COPIES:,} patients" in ended.stdout
    assert peak < MAX_RSS_MB
