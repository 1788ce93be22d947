"""A clean release raises nothing: in either layout, however the patients lay, with either edition of the workbook.

The default run is small. `nox -s cohorts` runs the same with CRLM_QC_COHORT=50 patients a cohort.
"""

import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from crlm_qc.auditing.run import audit
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.synthetic import writer
from crlm_qc.synthetic.cohort import PatientPlan
from crlm_qc.synthetic.release import EditionName, Layout

MATRIX = 64
PATIENTS = int(os.environ.get("CRLM_QC_COHORT", "6"))
LARGE = PATIENTS >= 50
POSITIONS = ("HFS", "FFS", "HFP", "FFP", "mixed")
QUIRKS = {"CTS012", "CTS017", "SEG015", "SEG017"}
"""Information that a clean release may hold: overlapping slices, a prone patient, a tumour on one slice."""
COHORTS = [
    (layout, edition, position)
    for layout, edition, position in product(get_args(Layout), get_args(EditionName), POSITIONS)
    # How patients lay has nothing to do with the layout, so a quick run crosses the two once.
    if LARGE or position == "mixed" or (layout, edition) == ("nbia", "april-2023")
]


@pytest.mark.parametrize(("layout", "edition", "position"), COHORTS)
def test_a_clean_cohort_raises_nothing(
    layout: Layout, edition: EditionName, position: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = writer.draw

    def draw(*arguments, **options) -> list[PatientPlan]:
        return [replace(plan, position=position) for plan in drawn(*arguments, **options)]

    if position != "mixed":
        monkeypatch.setattr(writer, "draw", draw)
    options = {} if LARGE else {"max_slices": 20}
    seed = 100 + COHORTS.index((layout, edition, position))
    release = writer.write_release(
        tmp_path / "release", patients=PATIENTS, seed=seed, layout=layout, edition=edition, matrix=MATRIX, **options
    )

    settings = Settings(subset=True, depth=Depth.PIXELS, known_issues=False)
    report = audit(release.root, profile=writer.profile_for(MATRIX, **options), settings=settings, jobs=1)

    said = [(finding.rule, finding.severity.value, finding.patient, finding.message) for finding in report.findings]
    assert [one for one in said if one[1] != Severity.INFO.value] == []
    assert {one[0] for one in said} <= QUIRKS, said
    assert not report.incomplete
    assert report.limits == ()
    lying = [one for one in said if one[0] == "CTS017"]
    if position != "mixed":
        assert len(lying) == (PATIENTS if position.endswith("P") else 0)
    if LARGE:
        assert {one[0] for one in said} >= {"CTS012", "SEG017"}
