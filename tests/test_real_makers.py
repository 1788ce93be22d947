"""Segmentation objects that dcmqi's own program makes, audited in place of the synthetic ones."""

from pathlib import Path

import pytest
from support.makers import make_object
from support.releases import small_profile, small_release

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings

pytest.importorskip("dcmqi", reason="needs dcmqi: pip install dcmqi")
pytestmark = pytest.mark.makers

__all__ = ["small_profile"]

UIDS_OF_ITS_OWN = {"REL010", "MET015", "MET016", "DID013"}
"""The object has another series, which neither the folder's name nor metadata.csv knows, under dcmqi's root."""
NOT_DEIDENTIFIED = {"DID003", "DID004", "DID005", "DID011", "DID002"}
"""dcmqi does not say that its object is de-identified, dates it today, and names a clinical trial."""
ALWAYS = UIDS_OF_ITS_OWN | NOT_DEIDENTIFIED
UNPUBLISHED = {"DSO022"}
"""A label map, or one that is deflated: the published objects are neither."""
ONE_LABEL_A_VOXEL = {"SEG018"}


def told(folder: Path, profile: Profile, kind: str, *options: str) -> Report:
    release = small_release(folder / "release", patients=2)
    for patient in release.patients:
        make_object(release, patient, folder / patient, kind, *options)
    settings = Settings(subset=True, known_issues=False)
    return audit(release.root, profile=profile, settings=settings, jobs=1)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("binary", (), ALWAYS),
        ("binary", ("--compress", "deflate"), ALWAYS | UNPUBLISHED),
        ("labelmap", ("--compress", "deflate"), ALWAYS | UNPUBLISHED | ONE_LABEL_A_VOXEL),
    ],
)
def test_what_is_told_of_an_object_of_dcmqi_is_true(
    kind: str, options: tuple[str, ...], expected: set[str], tmp_path: Path, small_profile: Profile
) -> None:
    report = told(tmp_path, small_profile, kind, *options)
    said = {(one.rule, one.message) for one in report.findings}
    assert {rule for rule, _ in said} == expected, sorted(said)
    assert not report.incomplete
