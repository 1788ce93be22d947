"""Numbers of a report: JSON has no word for infinity, nor for what is no number."""

import json
import math
from dataclasses import replace

import pytest
from support import reports

from crlm_qc.model.plain import PlainError
from crlm_qc.model.report import Figure, PatientFacts, Report
from crlm_qc.report.json_format import render

BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("bad", BAD)
def test_a_figure_that_is_no_number_was_not_measured(bad: float) -> None:
    facts = PatientFacts("CRLM-CT-1001", ct_slices=41, liver_ml=bad, spacing_mm=5.0)
    assert facts == PatientFacts("CRLM-CT-1001", ct_slices=41, spacing_mm=5.0)
    figure = Figure("liver_ml", "max", 3280.68, bad, 65.6)
    assert figure.observed is None
    assert figure.agrees is None
    report = replace(reports.sample(), patients=[facts], figures=[figure])
    assert Report.from_dict(json.loads(render(report))).patients == (facts,)


@pytest.mark.parametrize("bad", BAD)
def test_what_was_published_is_a_number(bad: float) -> None:
    with pytest.raises(ValueError, match="figure liver_ml max"):
        Figure("liver_ml", "max", bad, 1.0)
    with pytest.raises(ValueError, match="figure liver_ml max"):
        Figure("liver_ml", "max", 1.0, 1.0, bad)


@pytest.mark.parametrize("key", ["published", "observed", "tolerance"])
def test_a_number_beyond_all_bounds_in_a_saved_report_is_refused(key: str) -> None:
    raw = json.loads(render(reports.compared()))
    raw["figures"][0][key] = json.loads("1e999")
    with pytest.raises(PlainError, match=rf"figures\[0\].{key} is no finite number"):
        Report.from_dict(raw)
