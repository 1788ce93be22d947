"""A faulty release, and runs of pytest and `crlm-qc check` on it as a pipeline would start them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from support.releases import small_release

from crlm_qc.rules import registry
from crlm_qc.synthetic.faults import FAULTS, plant
from crlm_qc.synthetic.release import SyntheticRelease

PLANTED = {
    "dso-sources-swapped": "CRLM-CT-1002",
    "clinical-dfs-beyond-survival": "CRLM-CT-1001",
    "patient-name": "CRLM-CT-1003",
    "manifest-list-missing": None,
}
"""Faults whose rules are errors, and the patient that each is about; None for the release as a whole."""
IGNORED = ("CTS004", "CTS013", "CTS014", "PUB")
"""What small images and few patients would rightly be warned of."""
OPTIONS = ("--subset", "--ignore", ",".join(IGNORED))
"""Options of `crlm-qc check`; those of pytest are the same after --crlm."""
PYTEST_OPTIONS = ("--crlm-subset", "--crlm-ignore", ",".join(IGNORED))


def failing_tests() -> set[str]:
    """Names of the tests that the planted faults fail, without the beginning that all have."""
    found = set()
    for name, patient in PLANTED.items():
        for code in FAULTS[name].triggers:
            family = registry()[code].family
            found |= {f"{family}::{code}", *([f"{family}::{patient}"] if patient else [])}
    return found


def faulty_release(root: Path) -> SyntheticRelease:
    """Three patients, and the faults of `PLANTED`."""
    release = small_release(root)
    for name, patient in PLANTED.items():
        plant(release, f"{name}:{patient}" if patient else name)
    return release


@dataclass(frozen=True)
class Junit:
    """Names of the cases of a JUnit file by how they ended; `classname::name`, without the beginning `crlm-qc`."""

    names: frozenset[str]
    failure: frozenset[str]
    error: frozenset[str]
    skipped: frozenset[str]

    @classmethod
    def of(cls, path: Path) -> Junit:
        cases = list(ET.parse(path).iter("testcase"))
        names = {id(case): f"{case.get('classname')}.{case.get('name')}".replace(".", "::") for case in cases}
        names = {key: name.removeprefix("crlm-qc::") for key, name in names.items()}
        ended = {
            tag: frozenset(names[id(case)] for case in cases if case.find(tag) is not None)
            for tag in ("failure", "error", "skipped")
        }
        return cls(frozenset(names.values()), **ended)


def quiet_environment() -> dict[str, str]:
    """The environment without what a runner of CI, or the run that this test is of, has put there.

    Few small patients are read before another process would have started.
    """
    dropped = ("PYTEST_", "GITHUB_", "CRLM_QC_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    kept = {name: value for name, value in kept.items() if name not in ("CI", "PYTHONPATH", "PYTHONWARNINGS")}
    return kept | {"CRLM_QC_JOBS": "1"}


def run(folder: Path, *command: object, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; what it says stands in the assertion if it ends otherwise than expected."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=quiet_environment(), check=False)
    assert expect is None or done.returncode == expect, f"{words}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done


UNUSED_PLUGINS = ("-p", "no:hypothesispytest", "-p", "no:benchmark")
"""Plugins of this environment that a run of pytest loads for nothing."""
PLAIN = "--assert=plain"
"""Where no bytecode may be written, pytest takes apart and compiles every module of ours in each run for its assertions."""


def run_pytest(folder: Path, *arguments: object, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run pytest with this Python."""
    return run(folder, sys.executable, "-m", "pytest", "--color=no", *UNUSED_PLUGINS, *arguments, expect=expect)
