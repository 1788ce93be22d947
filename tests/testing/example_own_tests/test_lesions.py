"""Tests of a team's own on the tables of a release, beside the rules of crlm-qc:

    pytest --crlm-release=PATH tests/testing/example_own_tests

The fixtures come with the plugin; without a release these tests are skipped. Assert on counts, labels and figures, not
on whole rows: pytest prints what an assertion compares.
"""

from pathlib import Path

from crlm_qc.model.evidence import Evidence
from crlm_qc.model.report import Report

SMALLEST_ML = 0.05
"""What this team's study calls a lesion."""


def tumours(evidence: Evidence):
    segments = evidence["segments"]
    return segments[segments["declared"] & segments["label"].str.startswith("Tumor")]


def test_every_lesion_can_be_measured(crlm_evidence: Evidence) -> None:
    found = tumours(crlm_evidence)
    too_small = found.loc[found["volume_ml"] < SMALLEST_ML, "patient"]
    assert sorted(set(too_small)) == []


def test_lesions_are_numbered_from_the_largest(crlm_evidence: Evidence) -> None:
    out_of_order = [
        patient
        for patient, own in tumours(crlm_evidence).groupby("patient")
        if not own.sort_values("segment_number")["volume_ml"].is_monotonic_decreasing
    ]
    assert out_of_order == []


def test_nothing_was_left_unread(crlm_report: Report) -> None:
    assert not crlm_report.incomplete


def test_the_licence_lies_beside_the_data(crlm_release: Path) -> None:
    assert [path.name for path in crlm_release.iterdir() if path.name.upper().startswith("LICENSE")]
