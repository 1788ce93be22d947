"""A second collection needs a profile of its own, and no code: other IDs, UIDs and labels, no liver and no workbook."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pydicom
import pytest
from support.releases import copy_release, small_release

from crlm_qc.auditing.attestation import rule_set
from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.errors import UsageError
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report, Verdict
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.report import FORMATS
from crlm_qc.request.request import Parts
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

FOLDER = Path(__file__).parent / "second_collection"
PATIENT = "ABC-102"
OF_THE_FIRST = ("CRLM-CT", "Colorectal", "Tumor_", "Liver Remnant", "Hepatic", "TCIA_n", "10.7937", " 197 ", "17,639")
"""Words of the first collection."""


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(FOLDER / "abdominal_masses.toml")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> SyntheticRelease:
    return small_release(tmp_path_factory.mktemp("abc") / "release", seed=3, profile=profile)


@pytest.fixture(scope="module")
def clean_report(clean: SyntheticRelease, profile: Profile) -> Report:
    return audit(clean.root, profile=profile, jobs=1)


def test_it_has_its_own_patients_uids_and_segments(clean: SyntheticRelease, profile: Profile) -> None:
    assert clean.patients == ("ABC-101", "ABC-102", "ABC-103")
    assert not clean.workbook.exists()
    dso = pydicom.dcmread(clean.dso_file(PATIENT))
    assert [item.SegmentLabel for item in dso.SegmentSequence] == ["Mass"]
    assert dso.SOPInstanceUID.startswith(profile.uid_root + ".")


def test_the_clean_release_raises_nothing(clean_report: Report) -> None:
    assert [(finding.rule, finding.message) for finding in clean_report.findings] == []
    assert clean_report.verdict is Verdict.CONFORMANT
    assert clean_report.exit_code() == 0
    assert clean_report.release.collection == "Abdominal-Masses"


def test_what_the_profile_lacks_is_skipped_with_its_reason(clean_report: Report) -> None:
    reasons = {one.rule: one.reason for one in clean_report.outcomes if one.status is Status.SKIPPED}
    assert reasons["REL002"] == reasons["CLN005"] == reasons["XRF004"] == "the collection has no clinical workbook"
    assert reasons["SEG001"] == reasons["SEG013"] == "the collection's vocabulary has no liver"
    assert reasons["SEG003"] == "the profile has no published tumour volumes"
    assert reasons["PUB002"] == "the profile's suites do not have it"
    assert reasons["XRF008"] == "the profile has no published list of numbers that were never given"
    ran = {one.rule for one in clean_report.outcomes if one.status is Status.PASSED}
    assert {"PUB001", "CTS004", "CTS008", "CTS013", "DSO011", "DSO024", "DSO025", "SEG006", "MET006", "DID013"} <= ran


def test_only_its_own_figures_are_compared(clean_report: Report) -> None:
    assert {figure.measure for figure in clean_report.figures} == {"patients", "series", "in_plane_mm", "columns_mm"}


def slice_missing(release: SyntheticRelease) -> None:
    plant(release, f"ct-gap:{PATIENT}")
    plant(release, f"ct-instance-gap:{PATIENT}")


def mask_off_slice(release: SyntheticRelease) -> None:
    plant(release, f"dso-frames-shifted:{PATIENT}")


def label_unknown(release: SyntheticRelease) -> None:
    path = release.dso_file(PATIENT)
    dso = pydicom.dcmread(path)
    dso.SegmentSequence[0].SegmentLabel = "Tumor_1"
    dso.save_as(path)


def wrong_id(release: SyntheticRelease) -> None:
    plant(release, f"patient-id-swapped:{PATIENT}")


def malformed_id(release: SyntheticRelease) -> None:
    text = release.metadata.read_text(encoding="utf-8")
    release.metadata.write_text(text.replace(f",{PATIENT},", ",CRLM-CT-1002,"), encoding="utf-8")


def other_root(release: SyntheticRelease) -> None:
    plant(release, f"uid-of-another-root:{PATIENT}")


def other_collection(release: SyntheticRelease) -> None:
    text = release.metadata.read_text(encoding="utf-8")
    release.metadata.write_text(text.replace(",Abdominal-Masses,", ",Colorectal-Liver-Metastases,"), encoding="utf-8")


def series_unlisted(release: SyntheticRelease) -> None:
    plant(release, f"manifest-entry-missing:{PATIENT}")


@pytest.mark.parametrize(
    ("fault", "rules"),
    [
        (slice_missing, {"CTS008", "CTS011"}),
        (mask_off_slice, {"DSO011"}),
        # The one label is the one that every object must have.
        (label_unknown, {"DSO024", "DSO025"}),
        (wrong_id, {"REL011"}),
        (malformed_id, {"MET006"}),
        (other_root, {"DID013"}),
        (other_collection, {"MET005"}),
        (series_unlisted, {"MAN005"}),
    ],
)
def test_planted_faults_raise_their_rules(
    fault: Callable[[SyntheticRelease], None],
    rules: set[str],
    clean: SyntheticRelease,
    profile: Profile,
    tmp_path: Path,
) -> None:
    release = copy_release(clean, tmp_path / "release")
    fault(release)
    report = audit(release.root, profile=profile, jobs=1)
    assert {finding.rule for finding in report.findings} == rules, [one.message for one in report.findings]


def test_a_patient_too_few_breaks_its_own_suite(profile: Profile, tmp_path: Path) -> None:
    release = small_release(tmp_path / "release", patients=2, seed=3, profile=profile)
    report = audit(release.root, profile=profile, jobs=1)
    assert [(one.rule, one.observed) for one in report.findings] == [("PUB001", "patients with series: 2")]


def test_a_workbook_of_a_collection_without_one(clean: SyntheticRelease, profile: Profile) -> None:
    with pytest.raises(UsageError, match="--clinical: the profile of Abdominal-Masses describes no clinical workbook"):
        audit(clean.root, profile=profile, parts=Parts(clinical=clean.metadata), jobs=1)


def test_reports_speak_of_no_other_collection(clean: SyntheticRelease, profile: Profile, tmp_path: Path) -> None:
    release = copy_release(clean, tmp_path / "release")
    for fault in (slice_missing, mask_off_slice, series_unlisted):
        fault(release)
    report = audit(release.root, profile=profile, jobs=1)
    assert {finding.rule for finding in report.findings} >= {"CTS008", "DSO011", "MAN005"}
    for name in ("text", "markdown", "junit", "csv", "github"):
        rendered = FORMATS[name].renderer()(report)
        said = rendered.decode() if isinstance(rendered, bytes) else str(rendered)
        assert [words for words in OF_THE_FIRST if words in said] == [], name
    # Tolerances say what they were measured on, which is a patient of the first collection.
    texts = json.dumps([{**vars_of(one), "tolerances": None} for one in report.rules])
    assert [words for words in OF_THE_FIRST if words in texts] == []
    page = FORMATS["html"].renderer()(report)
    assert "doi.org/" not in str(page)


def vars_of(one: object) -> dict[str, str]:
    return {name: str(getattr(one, name)) for name in ("code", "title", "why", "fix", "source")}


# --- a workbook of its own

WORKBOOK = """
[clinical]
patient_sheet = "Cases"
dictionary_sheet = "Codebook"
patient_column = "Case"
missing = -1

[[clinical.editions]]
name = "First"
columns = ["Case", "weight", "smoker", "shrinkage", "comment"]

[clinical.variables]
weight = { sort = "number", min = 20, max = 300, unit = "kg" }
smoker = { sort = "code", codes = [0, 1] }
shrinkage = { sort = "percent" }
"""
HEADINGS = ("Case", "weight", "smoker", "shrinkage", "comment")
ROWS = (("ABC-101", 80.5, 0, 0.4, None), ("ABC-102", 61, 1, -1, "seen twice"), ("ABC-103", -1, 1, 0.9, None))


@pytest.fixture(scope="module")
def with_workbook(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    folder = tmp_path_factory.mktemp("profile")
    text = (FOLDER / "abdominal_masses.toml").read_text(encoding="utf-8")
    (folder / "abdominal_masses.json").write_bytes((FOLDER / "abdominal_masses.json").read_bytes())
    (folder / "own.toml").write_text(text + WORKBOOK, encoding="utf-8")
    return load_profile(folder / "own.toml")


def write_own_workbook(path: Path, rows: Sequence[Sequence[object]], headings: Sequence[str] = HEADINGS) -> None:
    book = openpyxl.Workbook()
    book.properties.creator = None
    sheet, dictionary = book.worksheets[0], book.create_sheet("Codebook")
    sheet.title = "Cases"
    for row in (headings, *rows):
        sheet.append(list(row))
    for row in (("Variable Name", "Description", "Values"), *((name, "what it is", "") for name in headings)):
        dictionary.append(row)
    book.save(path)


@pytest.mark.parametrize(
    ("row", "column", "value", "rules"),
    [
        (0, 0, "ABC-101", set()),
        (0, 1, 800, {"CLN006"}),
        (0, 2, 2, {"CLN005"}),
        (1, 1, "NA", {"CLN007"}),
        (2, 3, 40, {"CLN009"}),
        (1, 0, "ABC-2", {"CLN004"}),
        (2, 4, "=A1", {"CLN024"}),
    ],
)
def test_its_workbook_is_judged_by_its_profile(
    row: int,
    column: int,
    value: object,
    rules: set[str],
    clean: SyntheticRelease,
    with_workbook: Profile,
    tmp_path: Path,
) -> None:
    release = copy_release(clean, tmp_path / "release")
    rows = [list(one) for one in ROWS]
    rows[row][column] = value
    write_own_workbook(release.workbook, rows)
    report = audit(release.root, profile=with_workbook, settings=Settings(depth=Depth.HEADERS), jobs=1)
    assert {finding.rule for finding in report.findings} == rules, [one.message for one in report.findings]
    reasons = {one.rule: one.reason for one in report.outcomes if one.status is Status.SKIPPED}
    # Rules on columns that this workbook has not got.
    assert {"CLN010", "CLN011", "CLN016", "CLN022", "CLN023", "XRF002", "XRF003", "XRF005", "XRF007"} <= set(reasons)
    assert not any(one.status is Status.ERRORED for one in report.outcomes)


def test_a_column_that_its_edition_lacks(clean: SyntheticRelease, with_workbook: Profile, tmp_path: Path) -> None:
    release = copy_release(clean, tmp_path / "release")
    write_own_workbook(release.workbook, [(*row, 1) for row in ROWS], (*HEADINGS, "height"))
    report = audit(release.root, profile=with_workbook, settings=Settings(depth=Depth.HEADERS), jobs=1)
    assert {finding.rule for finding in report.findings} == {"CLN003"}


def test_its_sign_off_record_can_be_written(clean_report: Report, profile: Profile, with_workbook: Profile) -> None:
    rules = {one.code: one.severity for one in clean_report.rules}
    assert rule_set(rules, Settings(), profile) != rule_set(rules, Settings(), with_workbook)


def test_the_documentation_shows_this_profile() -> None:
    page = (Path(__file__).parents[1] / "docs" / "profiles.md").read_text(encoding="utf-8")
    shown = re.findall(r"```(?:toml|json)\n(.*?)```", page, re.DOTALL)
    for content in (*(path.read_text(encoding="utf-8") for path in sorted(FOLDER.iterdir())), WORKBOOK.lstrip("\n")):
        assert content in shown
