"""The adapter to Great Expectations: results, refusals, and that nothing is sent or left behind."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crlm_qc.engines.gx_engine import Suite, SuiteError, read_suite, run_suite
from crlm_qc.model.severity import Severity

TABLE = pd.DataFrame(
    {"patient": ["a", "b", "c"], "n": [1.0, 2.0, None], "flag": [True, False, None], "role": ["x", "x", "y"]}
)


def expect(type_: str, code: str = "XXX001", **kwargs: Any) -> dict[str, Any]:
    return {"type": type_, "kwargs": kwargs, "severity": "warning", "meta": {"code": code}}


def write(folder: Path, *expectations: dict[str, Any]) -> Suite:
    path = folder / "suite.json"
    path.write_text(json.dumps({"name": "suite", "meta": {"table": "series"}, "expectations": list(expectations)}))
    return read_suite(path)


def test_results_are_in_the_order_of_the_suite(tmp_path: Path) -> None:
    suite = write(
        tmp_path,
        expect("expect_column_max_to_be_between", column="n", min_value=2, max_value=2),
        expect("expect_table_row_count_to_equal", "XXX002", value=4),
        expect("expect_column_values_to_be_in_set", "XXX003", column="flag", value_set=[True]),
        expect("expect_column_max_to_be_between", column="n", min_value=5, max_value=6),
        expect("expect_table_row_count_to_equal", value=2, row_condition='role == "x"', condition_parser="pandas"),
    )
    results = run_suite(suite, TABLE)
    assert [result.expectation.code for result in results] == ["XXX001", "XXX002", "XXX003", "XXX001", "XXX001"]
    assert [result.success for result in results] == [True, False, False, False, True]
    assert [result.observed for result in results] == [2.0, 3, None, 2.0, 2]
    assert results[2].rows == (1,)
    assert results[2].examined == 3
    assert suite.codes == {"XXX001", "XXX002", "XXX003"}
    assert {one.severity for one in suite.expectations} == {Severity.WARNING}


@pytest.mark.parametrize(
    "wrong",
    [
        expect("expect_column_max_to_be_between", column="nowhere", min_value=5, max_value=6),
        expect("expect_nothing_in_particular", column="n"),
        expect("expect_table_row_count_to_equal", values=4),
        expect("expect_column_max_to_be_between", column="n", min_value="much"),
    ],
)
def test_what_can_not_be_run_is_never_left_out_in_silence(tmp_path: Path, wrong: dict[str, Any]) -> None:
    suite = write(tmp_path, expect("expect_table_row_count_to_equal", value=3), wrong)
    with pytest.raises(SuiteError, match="suite suite"):
        run_suite(suite, TABLE)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": "x", "expectations": [{}]}', '{"name": "x", "expectations": []}']
)
def test_a_file_that_is_no_suite(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(SuiteError, match=r"suite broken\.json"):
        read_suite(path)


def test_nothing_is_sent_printed_or_left_behind(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    write(suite, expect("expect_column_max_to_be_between", column="n", min_value=5, max_value=6))
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\n"
        "from crlm_qc.engines import gx_engine\n"
        "suite = gx_engine.read_suite(Path(sys.argv[1]))\n"
        "assert not any(name.startswith(('great_expectations', 'pandas')) for name in sys.modules)\n"
        "import pandas as pd\n"
        "assert not gx_engine.run_suite(suite, pd.DataFrame({'n': [1.0]}))[0].success\n"
    )
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(work), "GX_ANALYTICS_ENABLED": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(suite / "suite.json")],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.rglob("*")) == list(work.rglob("*")) == []


def test_no_connection_is_tried_in_this_process_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    (result,) = run_suite(write(tmp_path, expect("expect_table_row_count_to_equal", value=3)), TABLE)
    assert result.success
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
