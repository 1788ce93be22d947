"""Downloads that did not end, were not unpacked, or came to something else: one finding a cause."""

import pytest
from support.frames import PATIENTS, Case, clean, flat, only, run

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity

P1, P2 = PATIENTS


@pytest.fixture
def case() -> Case:
    return clean()


def row(patient: str | None, path: str, kind: str, **values: object) -> dict[str, object]:
    folder, _, name = path.rpartition("/")
    return {
        "patient": patient,
        "path": path,
        "folder": folder,
        "name": name,
        "kind": kind,
        "in_collection": patient is not None,
        **values,
    }


def folders(number: int, kind: str, **values: object) -> list[dict[str, object]]:
    """A file in each of some folders of the first patient, many as those of the release."""
    return [row(P1, f"x/{P1}/{place}/1-01.dcm", kind, **values) for place in range(number)]


def test_files_that_are_pointers_are_named(case: Case, profile: Profile) -> None:
    for name in (2, 3):
        case.unreadable(name)
    for file in case["files"]:
        if file["kind"] == "unreadable":
            file.update(problem="not-dicom", content="lfs-pointer")
    found = only(case, "REL004", profile)
    assert "2 files can't be read as DICOM but are git LFS pointers" in found.message
    assert "git lfs pull" in found.message
    assert len(run(case, profile).findings) == 1


def test_files_of_many_folders_that_fail_alike_are_one_finding(case: Case, profile: Profile) -> None:
    case["files"] += folders(13, "unreadable", problem="not-dicom", content="web-page")
    found = only(case, "REL004", profile)
    assert (found.subject.kind.value, found.count) == ("release", 13)
    # Of another cause, they are another finding.
    case["files"] += [row(P1, f"x/{P1}/0/1-02.dcm", "unreadable", problem="empty")]
    assert {one for one in flat(case, profile) if one[0] == "REL004"} == {
        ("REL004", P1, "1-02.dcm"),
        ("REL004", None, "release"),
    }


def test_files_of_few_folders_are_told_by_folder(case: Case, profile: Profile) -> None:
    case["files"] += folders(12, "unreadable", problem="not-dicom", content="web-page")
    assert len([one for one in flat(case, profile) if one[0] == "REL004"]) == 12


def test_links_are_told_one_by_one_while_they_are_few(case: Case, profile: Profile) -> None:
    case["files"] += folders(3, "link", problem="link-outside")
    assert len([one for one in flat(case, profile) if one[0] == "REL013"]) == 3


def test_many_links_are_told_with_their_cause(case: Case, profile: Profile) -> None:
    case["files"] += folders(13, "link", problem="link-broken", content="annex-link")
    found = only(case, "REL013", profile)
    assert (found.subject.kind.value, found.count) == ("release", 13)
    assert "links to content of git-annex, and lead to nothing" in found.message
    assert "datalad get" in found.message


def test_unfinished_downloads_are_one_finding(case: Case, profile: Profile) -> None:
    for name in (3, 4):
        case.unreadable(name)
    for file in case["files"]:
        if file["kind"] == "unreadable":
            file.update(problem="unfinished", content="unfinished", path=f"{file['path']}.part")
    assert flat(case, profile) == [("REL024", None, "release")]
    assert only(case, "REL024", profile).count == 2


@pytest.mark.parametrize(("source", "code"), [("metadata", "REL001"), ("clinical", "REL002"), ("manifest", "REL003")])
def test_a_table_in_another_form(case: Case, profile: Profile, source: str, code: str) -> None:
    case.drop("sources", lambda one: one["source"] != source)
    case[source] = []
    near = {"source": source, "path": f"{source}.ods", "used": False, "problem": "other-form", "detail": "words"}
    case["sources"].append(near)
    found = only(case, code, profile)
    assert found.message.endswith(f"but {source}.ods lies there, words.")
    assert flat(case, profile) == [(code, None, "release")]
    # One that is still being downloaded is told with the other downloads.
    near["problem"] = "unfinished"
    assert flat(case, profile) == []


def test_archives_beside_the_images_of_their_patient_are_a_warning(case: Case, profile: Profile) -> None:
    case["files"].append(row(P1, f"x/{P1}/all.zip", "unexpected", content="zip"))
    assert only(case, "REL025", profile).severity is Severity.WARNING
    assert flat(case, profile) == [("REL025", None, "release")]


def test_archives_in_place_of_images(case: Case, profile: Profile) -> None:
    case["files"].append(row(None, "CRLM-CT-1099.zip", "unexpected", content="zip"))
    case["files"].append(row(None, "old.zip", "document", content="zip"))
    found = only(case, "REL025", profile)
    assert (found.severity, found.count) == (Severity.ERROR, 1)
    assert "CRLM-CT-1099.zip" in found.message


def test_where_only_archives_lie_they_are_all_that_is_told(profile: Profile) -> None:
    case = Case()
    case["files"] = [row(None, f"{name}.zip", "document", content="zip") for name in "abc"]
    (found,) = run(case, profile).findings
    assert (found.rule, found.count) == ("REL020", 3)
    assert "3 archives, none unpacked: unpack them" in found.message


def test_what_files_are_that_can_not_be_read_where_no_image_was(profile: Profile) -> None:
    case = Case()
    case["files"] = [
        row(None, f"{name}.dcm", "unreadable", problem="not-dicom", content="annex-pointer") for name in "abc"
    ]
    messages = {one.rule: one.message for one in run(case, profile).findings}
    assert "3 files can't be read (git-annex pointers: fetch the content with datalad get" in messages["REL020"]


def test_stray_files_are_named_by_their_kind(case: Case, profile: Profile) -> None:
    case["files"].append(row(P1, f"x/{P1}/liver.nii.gz", "unexpected", content="nifti"))
    found = only(case, "REL007", profile)
    assert found.observed == "a NIfTI image"
