"""The recipes for CI: action, workflow, GitLab job, hook and container file do what they say, as far as no host is needed.

Their shell steps are run as they stand. Only the Python that they begin with is not: the virtual environments that it
makes hold the libraries of this environment, pip among them, so that no network is needed.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.pipelines import IGNORED, faulty_release, quiet_environment
from support.releases import small_release

PROJECT = Path(__file__).parents[1]
RECIPES = PROJECT / "docs" / "ci"
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="no hatchling to build the wheel with"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to run the steps with"),
]


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


ACTION = read(PROJECT / "action.yml")
INSTALL, AUDIT = ACTION["runs"]["steps"]


@dataclass(frozen=True)
class Runner:
    """A runner of CI: a folder to work in, and one for what it keeps between steps."""

    work: Path
    temp: Path
    python: Path
    """Makes virtual environments that need no network to be filled."""

    @property
    def summary(self) -> Path:
        return self.temp / "summary"

    def bash(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        own = {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.temp),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_COMPILE": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads the value turned round: this is --no-build-isolation
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.work,
            env=quiet_environment() | own | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def step(
        self, step: dict[str, Any], given: dict[str, str]
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        """Run a step of the action as GitHub does; what it ended with, and its outputs."""
        inputs = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()} | given
        known = {"github.action_path": str(source(self.temp / "source"))}
        known |= {f"inputs.{name}": value for name, value in inputs.items()}
        output = self.temp / "output"
        output.write_text("")
        env = {name: EXPRESSION.sub(lambda found: known[found[1]], str(value)) for name, value in step["env"].items()}
        hosts = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.summary)}
        done = self.bash(step["run"], **hosts, **env)
        return done, dict(line.split("=", 1) for line in output.read_text().splitlines())


def source(to: Path) -> Path:
    """The project's sources as a checkout has them, to build from without writing into them."""
    if not to.exists():
        for name in ("crlm_qc", "expectations"):
            shutil.copytree(PROJECT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT / name, to / name)
    return to


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("runner")
    libraries = folder / "libraries"
    libraries.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("crlm_qc", "_crlm_qc", "__editable__", "__pycache__")):
            (libraries / path.name).symlink_to(path)
    for name in ("bin", "work", "temp"):
        (folder / name).mkdir()
    python = folder / "bin" / "python"
    site = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages/libraries.pth"
    ours = shlex.quote(sys.executable)
    python.write_text(
        f'#!/bin/sh\n[ "$2" = venv ] || exec {ours} "$@"\n'
        f'{ours} -m venv --without-pip "$3" && echo {shlex.quote(str(libraries))} > "$3/{site}"\n'
    )
    python.chmod(0o755)
    (python.parent / "python3").symlink_to(python)
    return Runner(folder / "work", folder / "temp", python)


@pytest.fixture(scope="module")
def release(runner: Runner) -> Path:
    return faulty_release(runner.work / "a release; false").root


@pytest.fixture(scope="module")
def installed(runner: Runner) -> Runner:
    done, _ = runner.step(INSTALL, {})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("crlm-qc ")
    own = runner.bash('cd /; "$RUNNER_TEMP/crlm-qc/bin/python" -c "import crlm_qc; print(crlm_qc.__file__)"')
    assert Path(own.stdout.strip()).is_relative_to(runner.temp)
    return runner


def some(**given: str) -> dict[str, str]:
    """Inputs of the action for a small release; headers alone are read, and what is planted is found there."""
    return {"subset": "true", "depth": "headers", "ignore": ",".join(IGNORED), **given}


# --- the GitHub Action -----------------------------------------------------------------------------------------------


def test_no_input_is_written_into_a_script() -> None:
    assert not [step["name"] for step in ACTION["runs"]["steps"] if "${{" in step["run"]]


def test_every_input_is_used_and_every_output_set() -> None:
    used = {found for step in (INSTALL, AUDIT) for value in step["env"].values() for found in EXPRESSION.findall(value)}
    assert {f"inputs.{name}" for name in ACTION["inputs"]} | {"github.action_path"} == used
    for name, one in ACTION["outputs"].items():
        assert EXPRESSION.fullmatch(one["value"])[1] == f"steps.{AUDIT['id']}.outputs.{name}"
        assert f'echo "{name}=' in AUDIT["run"]


def test_the_action_fails_on_what_was_planted(installed: Runner, release: Path) -> None:
    done, outputs = installed.step(AUDIT, some(release=release.name))
    assert done.returncode == 1, done.stdout + done.stderr
    assert outputs["exit-code"] == "1"
    assert outputs.keys() == ACTION["outputs"].keys()
    for name in outputs.keys() - {"exit-code"}:
        assert (installed.work / outputs[name]).stat().st_size > 0, name
    assert "::error title=DSO011" in done.stdout
    assert "DSO011" in installed.summary.read_text(encoding="utf-8")


def test_the_action_hands_its_inputs_on(installed: Runner, release: Path) -> None:
    empty = installed.work / "waivers.toml"
    empty.write_text("")
    given = some(
        release=release.name,
        out="only one",
        select="XRF,REL",
        depth="headers",
        waivers=empty.name,
        **{"fail-on": "never", "sarif-anchor": "data/README.md"},
    )
    done, outputs = installed.step(AUDIT, given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (installed.work / "only one" / "findings.json").is_file()
    findings = json.loads((installed.work / outputs["findings"]).read_text(encoding="utf-8"))["findings"]
    assert "DSO011" not in {one["rule"] for one in findings}


def test_the_action_fails_on_what_is_new_alone(installed: Runner, release: Path) -> None:
    given = some(release=release.name, out="gate") | {"fail-on": "new"}
    installed.step(AUDIT, some(release=release.name, out="old"))
    done, _ = installed.step(AUDIT, given | {"baseline": "old/findings.json"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Since the baseline findings.json: nothing new" in done.stdout
    done, _ = installed.step(AUDIT, given)
    assert done.returncode == 2
    assert "--baseline FILE" in done.stderr


def test_the_action_replaces_a_wider_audit_only_by_force(installed: Runner, release: Path) -> None:
    one = some(release=release.name, out="forced", select="REL") | {"fail-on": "never"}
    installed.step(AUDIT, one | {"select": "REL,DSO011"})
    for force, code in (("", 2), ("false", 2), ("yes", 2), ("true", 0)):
        done, _ = installed.step(AUDIT, one | {"force": force})
        assert done.returncode == code, (force, done.stderr)


def test_what_is_not_given_is_left_to_the_teams_configuration(installed: Runner, release: Path) -> None:
    config = installed.work / "crlm-qc.toml"
    config.write_text(
        'fail-on = "never"\ndepth = "headers"\nsubset = true\nselect = ["DSO"]\nsarif-anchor = "data/own.md"\n'
    )
    try:
        done, outputs = installed.step(AUDIT, {"release": release.name, "out": "own"})
        assert done.returncode == 0, done.stdout + done.stderr
        settings = json.loads((installed.work / outputs["findings"]).read_bytes())["settings"]
        assert (settings["depth"], settings["subset"], settings["select"]) == ("headers", True, ["DSO"])
        assert "data/own.md" in (installed.work / outputs["sarif"]).read_text(encoding="utf-8")

        given = {"release": release.name, "fail-on": "error", "subset": "false", "select": "DSO011", "out": "one"}
        done, outputs = installed.step(AUDIT, given)
        assert done.returncode == 1, done.stdout + done.stderr
        settings = json.loads((installed.work / outputs["findings"]).read_bytes())["settings"]
        assert (settings["depth"], settings["subset"], settings["select"]) == ("headers", False, ["DSO011"])
    finally:
        config.unlink()


def test_no_recipe_sets_what_a_team_configures() -> None:
    required = {name for name, one in ACTION["inputs"].items() if one.get("required")}
    defaults = {name: one.get("default") for name, one in ACTION["inputs"].items() if name not in required}
    assert {name for name, value in defaults.items() if value} == {"python", "out"}
    script = "\n".join(read(RECIPES / "gitlab-ci.yml")["audit"]["script"])
    assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", script)) == {"-m", "--out", "-o"}


@pytest.mark.parametrize(
    ("given", "code"),
    [({"release": "nowhere"}, 2), ({"select": "NO1"}, 2), ({"out": "a\nb"}, 2), ({"subset": "maybe"}, 2)],
)
def test_wrong_inputs_fail_the_step(installed: Runner, release: Path, given: dict[str, str], code: int) -> None:
    done, outputs = installed.step(AUDIT, some(release=release.name) | given)
    assert done.returncode == code
    assert outputs.get("exit-code", "2") == str(code)


def test_an_input_is_no_command(installed: Runner, release: Path) -> None:
    bad = '"; touch taken; $(touch taken) `touch taken`'
    installed.step(AUDIT, some(release=release.name) | dict.fromkeys(("select", "out", "sarif-anchor"), bad))
    installed.step(AUDIT, some(release=bad))
    assert not (installed.work / "taken").exists()


def test_the_workflow_asks_for_what_the_action_has() -> None:
    steps = read(RECIPES / "github-workflow.yml")["jobs"]["audit"]["steps"]
    (ours,) = [step for step in steps if "crlm-qc@" in step["uses"]]
    assert set(ours["with"]) <= set(ACTION["inputs"])
    assert {name for name, one in ACTION["inputs"].items() if one.get("required")} <= set(ours["with"])
    rest = " ".join(str(step) for step in steps)
    asked = set(re.findall(rf"steps\.{ours['id']}\.outputs\.([\w-]+)", rest))
    assert asked
    assert asked <= set(ACTION["outputs"])
    (kept,) = [step["with"]["path"] for step in steps if "upload-artifact" in step["uses"]]
    assert kept.rstrip("/") == ours["with"].get("out", ACTION["inputs"]["out"]["default"])


# --- GitLab ----------------------------------------------------------------------------------------------------------


def test_the_gitlab_job(runner: Runner, release: Path) -> None:
    job = read(RECIPES / "gitlab-ci.yml")["audit"]
    own = {"PACKAGE": str(source(runner.temp / "source")), "RELEASE": str(release)}
    assert own.keys() == job["variables"].keys()
    # What the job does not say is left to the team: its variables hold.
    theirs = {"CRLM_QC_DEPTH": "headers", "CRLM_QC_SUBSET": "1", "CRLM_QC_SELECT": "DSO"}
    done = runner.bash("\n".join(job["script"]), **own, **theirs)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "DSO011" in done.stdout
    assert (runner.work / job["artifacts"]["reports"]["junit"]).is_file()
    assert job["artifacts"]["when"] == "always"
    assert all((runner.work / path).is_dir() for path in job["artifacts"]["paths"])


# --- the hook before a commit ----------------------------------------------------------------------------------------

(HOOK,) = read(PROJECT / ".pre-commit-hooks.yaml")


def hooked(root: Path) -> list[str]:
    """Files of a folder that the hook is started with."""
    every = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return [path for path in every if re.search(HOOK["files"], path)]


def test_the_hook_takes_the_tables_of_a_release(tmp_path: Path) -> None:
    small_release(tmp_path, patients=1)
    kinds = sorted(Path(path).suffix for path in hooked(tmp_path))
    assert kinds == [".csv", ".tcia", ".xlsx"]


@pytest.mark.parametrize("path", ["other-metadata.csv", "metadata.csv.txt", "notes.xlsx", "tcia.py"])
def test_the_hook_leaves_other_files(path: str) -> None:
    assert not re.search(HOOK["files"], path)


def test_the_hook_stops_a_faulty_table_and_no_other(installed: Runner, release: Path, tmp_path: Path) -> None:
    entry = '"$RUNNER_TEMP/crlm-qc/bin/"' + HOOK["entry"]
    clean = small_release(tmp_path, patients=1).root
    passed = installed.bash(f"cd {shlex.quote(str(clean))}; {entry} {shlex.join(hooked(clean))}")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    stopped = installed.bash(f"cd {shlex.quote(str(release))}; {entry} {shlex.join(hooked(release))}")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert "CLN0" in stopped.stdout


def test_the_hooks_recipe_names_the_hook() -> None:
    (repository,) = read(RECIPES / "pre-commit-config.yaml")["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == [HOOK["id"]]


# --- the container ---------------------------------------------------------------------------------------------------


def test_the_container_is_built_from_what_it_copies(runner: Runner, tmp_path: Path) -> None:
    text = (RECIPES / "Containerfile").read_text(encoding="utf-8")
    first = text.partition("FROM ")[2].partition("\nFROM ")[0]
    context = tmp_path / "context"
    for line in re.findall(r"^COPY (.+)$", first, re.MULTILINE):
        *sources, target = line.split()
        for name in sources:
            assert (PROJECT / name).exists(), name
            if name.endswith("/"):
                shutil.copytree(PROJECT / name, context / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (context / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(PROJECT / name, context / target / name)
    made = re.search(r"^RUN (.+)$", first, re.MULTILINE)
    assert made
    command = made[1].replace("/opt/", f"{tmp_path}/opt/")
    done = runner.bash(f"cd {shlex.quote(str(context))}; {command}; {tmp_path}/opt/crlm-qc/bin/crlm-qc --version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("crlm-qc ")
