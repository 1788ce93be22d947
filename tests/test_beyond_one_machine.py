"""The recipes of docs/beyond-one-machine.md do what they say, as far as one machine can: every shell step is run as it stands.

In the place of `crlm-qc` something is run that notes what it is asked, which then is done in this process.
"""

import os
import re
import shlex
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.releases import clean_release, copy_release
from test_docs import Block, page

from crlm_qc.cli import app as cli
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

PAGE = page("beyond-one-machine.md")
FILES = {block.says["file"]: block.content for block in PAGE if "file" in block.says}
OF = 16
"""Parts, as the page has them."""


@dataclass
class Cluster:
    """A folder in which scripts run as on a node."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def asked(self, script: str, **more: str) -> list[list[str]]:
        """Commands of crlm-qc that a script comes to."""
        log = self.folder / "asked"
        log.write_text("")
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "LOG": str(log), **more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [shlex.split(line) for line in log.read_text().splitlines()]

    def does(self, words: list[str]) -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        self.capture.readouterr()
        return int(ended.value.code or 0)


@pytest.fixture
def cluster(
    clean_release: SyntheticRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cluster:
    monkeypatch.chdir(tmp_path)
    for name, value in {"DEPTH": "headers", "NO_CACHE": "1", "PICTURES": "none", "SUBSET": "1"}.items():
        monkeypatch.setenv(f"CRLM_QC_{name}", value)
    copy_release(clean_release, tmp_path / "RELEASE")
    stubs = {"srun": 'exec "$@"', "crlm-qc": '{ printf "%q " "$@"; echo; } >> "$LOG"'}
    for name, line in stubs.items():
        stub = tmp_path / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f"#!/bin/bash\n{line}\n")
        stub.chmod(0o755)
    return Cluster(tmp_path, capsys)


def in_two(text: str) -> str:
    """A recipe for two parts."""
    return re.sub(rf"\b{OF}\b", "2", re.sub(rf"\b{OF + 1}\b", "3", text))


def test_the_slurm_array(cluster: Cluster) -> None:
    array = re.search(r"^#SBATCH --array=1-(\d+)$", FILES["read.sbatch"], re.MULTILINE)
    assert array
    assert int(array[1]) == OF
    own: dict[str, str] = {"SLURM_CPUS_PER_TASK": "1"}
    for task in ("1", "2"):
        (read,) = cluster.asked(in_two(FILES["read.sbatch"]), SLURM_ARRAY_TASK_ID=task, **own)
        assert read == f"evidence read RELEASE --part {task}/2 --jobs 1 --out parts/{task}".split()
        assert cluster.does(read) == 0
    merge, check = cluster.asked(in_two(FILES["judge.sbatch"]))
    assert merge == ["evidence", "merge", "parts/1", "parts/2", "--out", "evidence"]
    assert cluster.does(merge) == 0
    assert cluster.does(check) == cluster.does(["check", "RELEASE", "--jobs", "1", "--out", "one"])
    whole, judged = (cluster.folder / name / "findings.json" for name in ("one", "reports/RELEASE"))
    assert judged.read_bytes() == whole.read_bytes()


def test_the_array_is_submitted_before_its_judge() -> None:
    (block,) = [one for one in PAGE if "sbatch --parsable" in one.content]
    named = set(re.findall(r"\S+\.sbatch", block.content))
    assert named == {"read.sbatch", "judge.sbatch"}
    assert named <= set(FILES)


def test_the_job_of_kubernetes(cluster: Cluster) -> None:
    job: Any = YAML(typ="safe").load(FILES["read.yaml"])["spec"]
    assert job["completions"] == OF
    assert job["completionMode"] == "Indexed"
    (container,) = job["template"]["spec"]["containers"]
    asked = []
    for index in range(OF):
        script = shlex.join([*container["command"], *container["args"]])
        asked += cluster.asked(script, JOB_COMPLETION_INDEX=str(index))
    expected = "evidence read /data/RELEASE --part {0}/16 --jobs 4 --out /parts/{0}"
    assert asked == [expected.format(part).split() for part in range(1, OF + 1)]
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert mounts["data"]["readOnly"]
    assert set(mounts) == {one["name"] for one in job["template"]["spec"]["volumes"]}


def test_the_rules_of_snakemake(cluster: Cluster) -> None:
    rules = {
        match[1]: dict(re.findall(r"^    (\w+): (.+)$", match[2], re.MULTILINE))
        for match in re.finditer(r"^rule (\w+):\n((?: {4}.+\n)+)", FILES["Snakefile"], re.MULTILINE)
    }
    assert list(rules) == ["judge", "merge", "read"]
    assert rules["read"]["output"] == 'directory("parts/{k}")'
    assert rules["merge"]["input"] == f'expand("parts/{{k}}", k=range(1, {OF + 1}))'
    parts = [f"parts/{k}" for k in range(1, OF + 1)]

    class Wildcards:
        k = 3

    def asked(name: str, **words: Any) -> list[str]:
        (found,) = cluster.asked(str(rules[name]["shell"]).strip('"').format(**words))
        return found

    read = asked("read", wildcards=Wildcards, threads=4, output="parts/3")
    assert read == ["evidence", "read", "RELEASE", "--part", "3/16", "--jobs", "4", "--out", "parts/3"]
    assert asked("merge", input=" ".join(parts), output="evidence") == [
        "evidence",
        "merge",
        *parts,
        "--out",
        "evidence",
    ]
    judge = asked("judge", input="evidence")
    assert judge == ["check", "evidence", "--out", "reports/RELEASE", "--exit-zero"]
    assert rules["judge"]["output"].strip('"') == f"{judge[3]}/findings.json"


def test_a_part_in_a_container(cluster: Cluster) -> None:
    (block,) = [one for one in PAGE if "podman run" in one.content]
    line = textwrap.dedent(block.content).replace("\\\n", " ")
    words = shlex.split(line)
    inside = words[words.index("crlm-qc") + 1 :]
    mounted = [word.split(":") for word in words if word.startswith("$PWD/")]
    for place, target, *_ in mounted:
        inside = [word.replace(target, place.removeprefix("$PWD/")) for word in inside]
    assert [mode for *_, mode in mounted if mode == "ro"]
    assert cluster.does([*inside, "--jobs", "1"]) == 0
    assert (cluster.folder / "parts/3/evidence.json").is_file()


def test_every_recipe_is_tried() -> None:
    assert set(FILES) == {"read.sbatch", "judge.sbatch", "read.yaml", "Snakefile"}
    left: list[Block] = [one for one in PAGE if "not run" in one.says]
    assert len(left) == 4
