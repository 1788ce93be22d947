"""A release has the same findings, and the same fingerprints, however a downloader or mirror lays it out."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.layouts import LAYOUTS
from support.releases import copy_release, small_profile, small_release

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["small_profile"]

FAULTS = (
    "ct-slice-lost:CRLM-CT-1001",
    "uid-of-another-root:CRLM-CT-1001",
    "masks-shifted:CRLM-CT-1002",
    "values-forbidden:CRLM-CT-1002",
    "dso-study:CRLM-CT-1003",
    "comment-names-a-doctor:CRLM-CT-1003",
)
WITHOUT_METADATA = frozenset({"REL001", "MET012", "MET017"})
"""These archives give no metadata.csv, which REL001 notes; so nothing is compared with its rows."""
WITHOUT_TABLES = WITHOUT_METADATA | {"REL002", "REL003"}
"""Nor a workbook or a manifest."""
MOVED = frozenset({"MET011"})
"""metadata.csv says where the downloader put the series, and a mirror has moved them."""
UNLIKE: Mapping[str, frozenset[str]] = {
    "idc": WITHOUT_TABLES,
    # Where all series share a folder, none can be named by its folder.
    "idc-flat": WITHOUT_TABLES | {"REL019"},
    "bucket": WITHOUT_TABLES,
    "tcia-utils": WITHOUT_METADATA,
    "lower-cased": MOVED,
    "renamed": MOVED,
    "doubled": MOVED,
    # Two folders of patients are read as one, which a note says.
    "train-and-test": MOVED | {"REL021"},
}
"""Codes that a layout can't have, or has of itself; every other finding is the same."""


def judged(root: Path, profile: Profile) -> Report:
    report = audit(root, profile=profile, settings=Settings(subset=True, known_issues=False), jobs=1)
    assert not any(one.incomplete for one in report.outcomes)
    return report


def prints(report: Report, unlike: frozenset[str]) -> set[tuple[str, str]]:
    return {(one.rule, one.fingerprint) for one in report.findings if one.rule not in unlike}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    release = small_release(tmp_path_factory.mktemp("faulty") / "release")
    for one in FAULTS:
        plant(release, one)
    return release


@pytest.fixture(scope="module")
def as_downloaded(faulty: SyntheticRelease, small_profile: Profile) -> Report:
    return judged(faulty.root, small_profile)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_findings_in_every_layout(
    faulty: SyntheticRelease, as_downloaded: Report, small_profile: Profile, tmp_path: Path, layout: str
) -> None:
    release = copy_release(faulty, tmp_path / "release")
    LAYOUTS[layout](release)
    report = judged(release.root, small_profile)
    unlike = UNLIKE.get(layout, frozenset())
    assert prints(report, unlike) == prints(as_downloaded, unlike)
    counts = [(one.rule, one.count) for one in report.findings if one.rule == "REL019"]
    assert counts == [("REL019", 24)]


def test_the_faults_are_of_several_families(as_downloaded: Report) -> None:
    assert {one.rule[:3] for one in as_downloaded.findings} == {"CTS", "DID", "DSO", "MET", "REL", "SEG"}
    assert len(as_downloaded.findings) == len(prints(as_downloaded, frozenset()))
