"""How fast the table rules judge a whole cohort: 197 patients, 394 series.

Run with `nox -s bench`.
"""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from crlm_qc.auditing.judging import judge
from crlm_qc.evidence.collect import collect
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.synthetic.writer import profile_for, write_release

PROFILE = profile_for(64)
MAX_SECONDS = 2.0
TABLES = Settings(depth=Depth.HEADERS, select=("MET", "MAN", "CLN", "XRF"), known_issues=False)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Header evidence of 197 small patients, with the workbook of April 2023."""
    root: Path = tmp_path_factory.mktemp("cohort") / "release"
    write_release(root, patients=197, seed=1, matrix=64, max_slices=17, edition="april-2023", jobs=2)
    return collect(root, PROFILE, depth=Depth.HEADERS)


def test_table_rules(benchmark: BenchmarkFixture, cohort: Evidence) -> None:
    report = benchmark.pedantic(judge, (cohort, PROFILE, TABLES), rounds=3, warmup_rounds=1)
    print(f"\n{len(report.outcomes)} table rules on {report.release.patients} patients: {report.counts}")
    assert report.counts["error"] == 0
    assert benchmark.stats.stats.median < MAX_SECONDS
