"""Files that others made: those that pydicom ships as its own test data, each as a patient of a release."""

import shutil
from pathlib import Path

import pydicom
import pytest

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings

SHIPPED = sorted((Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm"))
STUDY = "01-01-2000-NA-NA-00001/2.000000-NA-00002"


def patient(number: int) -> str:
    return f"CRLM-CT-{1001 + number}"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> Report:
    if not SHIPPED:
        pytest.skip("this pydicom ships no test files")
    top = tmp_path_factory.mktemp("foreign")
    for number, path in enumerate(SHIPPED):
        folder = top / profile.name / patient(number) / STUDY
        folder.mkdir(parents=True)
        shutil.copyfile(path, folder / "1-01.dcm")
    families = ("REL", "CTS", "DSO", "SEG", "DID", "XRF")
    return audit(top, profile=profile, settings=Settings(subset=True, select=families), jobs=1)


def named(report: Report, code: str, column: str | None = None) -> set[str]:
    """Files that a rule tells of, or of one attribute of."""
    names = {patient(number): path.name for number, path in enumerate(SHIPPED)}
    return {
        names[str(finding.patient)]
        for finding in report.findings
        if finding.rule == code and finding.patient and column in (None, finding.subject.column)
    }


def test_no_rule_crashes_and_no_reader_dies(report: Report) -> None:
    assert [one for one in report.outcomes if one.status is Status.ERRORED] == []
    assert [limit for limit in report.limits if "died" in limit] == []


def test_lengths_are_told_of_files_whose_pixels_have_another_length(report: Report) -> None:
    assert named(report, "REL005") <= {"MR_small_padded.dcm", "MR_truncated.dcm"}


def test_what_is_no_ct_image_is_told_so_and_not_of_what_it_lacks(report: Report) -> None:
    others = named(report, "CTS001", "SOPClassUID")
    assert others
    assert (named(report, "CTS014") | named(report, "CTS015") | named(report, "CTS019")) & others == set()
