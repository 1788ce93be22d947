"""Modules that load late: they are there when they are used, and not before."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crlm_qc.engines.imports import absent, lasting, late

USES = """
import big_one
from parent import child


def value():
    return big_one.VALUE, child.VALUE
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A library that imports a module and a submodule; those tell in a list that they were run."""
    loaded: list[str] = []
    monkeypatch.setattr(sys, "loaded_late", loaded, raising=False)
    (tmp_path / "big_one.py").write_text("import sys\nsys.loaded_late.append(__name__)\nVALUE = 1\n")
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent" / "__init__.py").write_text("")
    (tmp_path / "parent" / "child.py").write_text("import sys\nsys.loaded_late.append(__name__)\nVALUE = 2\n")
    (tmp_path / "uses_them.py").write_text(USES)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("big_one", "parent", "parent.child", "uses_them"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return loaded


def test_a_module_loads_when_something_of_it_is_used(modules: list[str]) -> None:
    finders = list(sys.meta_path)
    with late("big_one", "parent.child"):
        import uses_them
    assert modules == []
    assert sys.meta_path == finders
    assert uses_them.value() == (1, 2)
    assert sorted(modules) == ["big_one", "parent.child"]


def test_others_load_at_once_and_what_is_not_there_is_missed(modules: list[str]) -> None:
    with late("parent.child", "not_there"):
        import uses_them  # noqa: F401

        with pytest.raises(ModuleNotFoundError):
            import not_there  # noqa: F401
    assert modules == ["big_one"]


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_as_before_even_after_an_error(collects: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(ModuleNotFoundError), lasting():
            import not_there  # noqa: F401
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


def test_what_was_imported_is_not_looked_through_for_garbage(modules: list[str]) -> None:
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        made: list[list[object]] = [[] for _ in range(1000)]
        with lasting():
            assert not gc.isenabled()
        assert gc.get_freeze_count() <= before
        with lasting():
            import big_one
        assert gc.get_freeze_count() >= before + len(made)
        assert modules == [big_one.__name__]
    finally:
        gc.unfreeze()


def test_a_module_that_is_absent_is_found_afterwards(modules: list[str]) -> None:
    with absent("big_one"), pytest.raises(ModuleNotFoundError):
        import big_one
    import big_one

    with absent("big_one"):
        import big_one as again
    assert again is big_one
    assert modules == ["big_one"]


def test_great_expectations_runs_a_suite_without_what_it_seldom_uses(tmp_path: Path) -> None:
    bounds = {"column": "n", "min_value": 1, "max_value": 2}
    expectation = {
        "type": "expect_column_max_to_be_between",
        "kwargs": bounds,
        "severity": "warning",
        "meta": {"code": "XXX001"},
    }
    file = tmp_path / "suite.json"
    file.write_text(json.dumps({"name": "suite", "meta": {"table": "series"}, "expectations": [expectation]}))
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "import pandas as pd\n"
        "from crlm_qc.engines.gx_engine import read_suite, run_suite\n"
        "results = run_suite(read_suite(Path(sys.argv[1])), pd.DataFrame({'n': [1.0, 2.0]}))\n"
        "names = sorted(set(sys.modules) & {'scipy.optimize', 'altair.vegalite', 'jsonschema.validators'})\n"
        "print(json.dumps([results[0].success, names]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [True, []]
