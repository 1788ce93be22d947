"""`--engine` and `--scheduler`: the same findings on Dask, and what is said where it can't be used."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.commands import told
from support.executors import Inline
from support.releases import clean_release, copy_release

import crlm_qc
from crlm_qc.auditing import engine
from crlm_qc.auditing.engine import executor_of
from crlm_qc.evidence.source import Item
from crlm_qc.model.errors import UsageError
from crlm_qc.model.settings import Settings
from crlm_qc.report.json_format import render
from crlm_qc.request.keys import ENGINES, KEYS
from crlm_qc.request.request import Request
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs Dask: pip install distributed"
)
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    return told(capsys)


@pytest.fixture(scope="module")
def faulty(clean_release: SyntheticRelease, tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    release = copy_release(clean_release, tmp_path_factory.mktemp("engine") / "release")
    for one in ("ct-slice-lost:CRLM-CT-1001", "masks-shifted:CRLM-CT-1002"):
        plant(release, one)
    return release


def test_what_is_asked_for_of_an_engine_that_is_not_there(
    faulty: SyntheticRelease, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run("check", faulty.root, "--engine", "ray")
    assert (code, "'ray' is not one of 'local', 'dask'" in said) == (2, True)
    code, said = run("check", faulty.root, "--scheduler", "tcp://10.0.0.7:8786")
    assert (code, said) == (2, "crlm-qc: --scheduler is an option of --engine dask: give that too\n")
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, said = run("check", faulty.root, "--engine", "dask")
    assert (code, "pip install 'crlm-qc[dask]'" in said) == (2, True)
    assert not Path("reports/release/findings.json").exists()


def test_an_engine_is_a_word_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEYS["engine"].choices == ENGINES
    assert executor_of(Request.of({})) is None
    monkeypatch.setenv("CRLM_QC_ENGINE", "dask")
    monkeypatch.setenv("CRLM_QC_SCHEDULER", "tcp://10.0.0.7:8786")
    request = Request.of({}, isolated=True)
    assert (request.engine, request.scheduler) == ("dask", "tcp://10.0.0.7:8786")


def test_a_worker_elsewhere_that_does_not_see_the_release(
    faulty: SyntheticRelease, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crlm_qc.cli.check.executor_of", lambda _: Inline())
    asked: list[str] = []
    seen = Item.read

    def read(item: Item, start: int, length: int) -> bytes:
        asked.extend([item.path] * (item.suffix == ".dcm"))
        if len(asked) == 1:
            raise FileNotFoundError(2, "x")
        return seen(item, start, length)

    monkeypatch.setattr(Item, "read", read)
    monkeypatch.setattr("platform.node", lambda: "node7")
    code, said = run("check", faulty.root, "--subset", "--depth", "headers")
    assert code == 2
    assert said.endswith("worker node7 does not see the release: no such file or directory\n")


def test_the_same_report_on_executors_of_the_caller(faulty: SyntheticRelease) -> None:
    settings = Settings(subset=True)
    local = render(crlm_qc.audit(faulty.root, settings=settings, jobs=1))
    assert render(crlm_qc.audit(faulty.root, settings=settings, executor=Inline)) == local
    with ThreadPoolExecutor(2) as threads:
        assert render(crlm_qc.audit(faulty.root, settings=settings, executor=threads)) == local


@needs_dask
@pytest.mark.dask
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_dask_comes_to_the_same_though_a_worker_is_killed(faulty: SyntheticRelease, tmp_path: Path) -> None:
    local = render(crlm_qc.audit(faulty.root, settings=Settings(subset=True), jobs=1))
    script = tmp_path / "script.py"
    # It asks for no __main__, and is not run again by the workers all the same.
    script.write_text(
        "import multiprocessing, os, signal, sys\n"
        "print('begun', flush=True)\n"
        "import crlm_qc\n"
        "from crlm_qc.auditing.engine import executor_of\n"
        "from crlm_qc.model.settings import Settings\n"
        "from crlm_qc.report.json_format import render\n"
        "from crlm_qc.request.request import Request\n"
        "killed = []\n"
        "def progress(phase, done, total):\n"
        "    workers = [one for one in multiprocessing.active_children() if 'Dask' in one.name]\n"
        "    if done == 1:\n"
        "        os.kill(workers[0].pid, signal.SIGKILL)\n"
        "        killed.append(len(workers))\n"
        "asked = Request(engine='dask', jobs=2)\n"
        "report = crlm_qc.audit(sys.argv[1], settings=Settings(subset=True), jobs=2, executor=executor_of(asked),"
        " progress=progress)\n"
        "print(killed, flush=True)\n"
        "open(sys.argv[2], 'wb').write(render(report))\n"
    )
    findings = tmp_path / "findings.json"
    ran = subprocess.run(
        [sys.executable, str(script), str(faulty.root), str(findings)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "begun\n[2]\n", "")
    assert findings.read_bytes() == local


@needs_dask
@pytest.mark.dask
def test_an_address_where_nobody_answers(faulty: SyntheticRelease, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_ANSWER_S", 0.2)
    code, said = run("check", faulty.root, "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9")
    assert code == 2
    assert "--scheduler tcp://127.0.0.1:9: no scheduler of Dask answers there" in said


def test_an_address_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="--engine dask"):
        executor_of(Request(scheduler="tcp://10.0.0.7:8786"))
