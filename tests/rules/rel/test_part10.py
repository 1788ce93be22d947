"""REL017 and REL018: what stands before the data set."""

import pytest
from support.frames import PATIENTS, Case, clean, flat, only

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity

P1, _ = PATIENTS
EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
OF_FILES = ("problem", "meta_length_off")
FOLDER = "101.000000-NA-20001"


@pytest.fixture
def case() -> Case:
    return clean()


def set_all(case: Case, name: int | None, **values: object) -> None:
    for row in case.ct(name):
        row.update({key: value for key, value in values.items() if "kind" in row or key not in OF_FILES})


def test_an_untrue_transfer_syntax_is_one_error_and_no_note(case: Case, profile: Profile) -> None:
    set_all(case, None, transfer_syntax_uid=IMPLICIT, encoding_found=EXPLICIT)
    assert flat(case, profile) == [("REL017", P1, FOLDER)]
    found = only(case, "REL017", profile)
    assert found.message == (
        "The file meta of 24 files says Implicit VR Little Endian, but the data set is Explicit VR Little Endian."
    )
    assert (found.severity, found.count, found.observed) == (Severity.ERROR, 24, "Implicit VR Little Endian")


def test_several_untrue_syntaxes_and_one_that_is_not_known(case: Case, profile: Profile) -> None:
    set_all(case, 1, transfer_syntax_uid="1.2.3.4.5.6", encoding_found=EXPLICIT)
    set_all(case, 2, transfer_syntax_uid=JPEG, encoding_found=EXPLICIT)
    set_all(case, 3, transfer_syntax_uid=JPEG, encoding_found=EXPLICIT)
    found = only(case, "REL017", profile)
    assert "says JPEG Baseline," in found.message
    assert "2 pairs of syntaxes disagree so" in found.message


def test_an_object_of_another_syntax_is_not_told_twice(case: Case, profile: Profile) -> None:
    paths = {row["path"] for row in case.of("dsos")}
    for row in [*case.of("dsos"), *case.of("files")]:
        if row["path"] in paths:
            row.update(transfer_syntax_uid=IMPLICIT, encoding_found=EXPLICIT)
    assert [code for code, *_ in flat(case, profile)] == ["REL017"]


def test_a_wrong_group_length_is_a_warning(case: Case, profile: Profile) -> None:
    set_all(case, 4, meta_length_off=-2)
    assert flat(case, profile) == [("REL017", P1, "1-04.dcm")]
    found = only(case, "REL017", profile)
    assert (found.severity, found.observed) == (Severity.WARNING, "2 bytes too short")
    set_all(case, 5, meta_length_off=8)
    assert only(case, "REL017", profile).observed == "up to 8 bytes too long"
    set_all(case, 5, encoding_found=IMPLICIT)
    assert only(case, "REL017", profile).severity == Severity.ERROR


def test_data_sets_alone_are_one_finding(case: Case, profile: Profile) -> None:
    set_all(case, None, transfer_syntax_uid=None, problem="no-file-meta")
    assert flat(case, profile) == [("REL018", P1, FOLDER)]
    found = only(case, "REL018", profile)
    assert (found.count, found.observed) == (24, "a DICOM data set without preamble and file meta")
    set_all(case, 1, problem="no-transfer-syntax")
    assert only(case, "REL018", profile).observed == (
        "a DICOM data set without preamble and file meta (23); file meta without TransferSyntaxUID (1)"
    )


@pytest.mark.parametrize("column", ["meta_sop_class_uid", "meta_sop_instance_uid"])
def test_file_meta_that_names_no_object_is_a_warning(case: Case, profile: Profile, column: str) -> None:
    for row in case.ct(4):
        if "kind" in row:
            row[column] = None
    assert flat(case, profile) == [("REL018", P1, "1-04.dcm")]
    found = only(case, "REL018", profile)
    assert found.severity == Severity.WARNING
    assert found.message.startswith("1-04.dcm holds file meta without MediaStorageSOP")


def test_a_data_set_alone_is_an_error_told_once(case: Case, profile: Profile) -> None:
    for row in case.ct(4):
        if "kind" in row:
            row.update(problem="no-file-meta", meta_sop_class_uid=None, meta_sop_instance_uid=None)
    found = only(case, "REL018", profile)
    assert (found.severity, found.observed) == (
        Severity.ERROR,
        "a DICOM data set without preamble and file meta",
    )
