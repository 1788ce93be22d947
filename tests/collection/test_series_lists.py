"""Headings of lists of series, as people and services write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.series_lists import nearest, read_headings


@pytest.fixture
def expected(profile: Profile) -> tuple[str, ...]:
    return profile.metadata_columns


def test_the_downloaders_own(expected: tuple[str, ...]) -> None:
    found = read_headings(expected, expected)
    assert found.known == expected
    assert not found.is_archives
    assert not found.in_bytes
    assert nearest(found, expected) == {}


@pytest.mark.parametrize(
    "written",
    [
        *("series_uid", "SERIES UID", "SeriesUID", "Series-UID", " Series  UID ", "Series Instance UID"),
        *("\ufeffSeries UID", "Series\u00a0UID", "Series\u200b UID"),
    ],
)
def test_forgiven(expected: tuple[str, ...], written: str) -> None:
    found = read_headings([written, *expected[1:]], expected)
    assert found.known == expected
    assert not found.is_archives


def test_one_that_is_written_right_comes_before_one_that_is_not(expected: tuple[str, ...]) -> None:
    found = read_headings(["series_uid", *expected, "SERIES UID"], expected)
    assert found.known == (None, *expected, None)


def test_a_slip_is_paired_with_what_is_missing(expected: tuple[str, ...]) -> None:
    found = read_headings([*expected[:7], "Study Dates", *expected[8:], "Reviewer"], expected)
    assert nearest(found, expected) == {7: "Study Date"}
    assert found.known[7] is None


@pytest.mark.parametrize(
    "headings",
    [
        "Patient ID,Study Instance UID,Study Date,Series Instance UID,Project,Modality,Series Date,Image Count,File Size",
        ",SeriesInstanceUID,StudyInstanceUID,Modality,StudyDate,Collection,PatientID,Manufacturer,ImageCount,FileSize",
        "collection_id,PatientID,SeriesInstanceUID,StudyInstanceUID,source_DOI,Modality,StudyDate,instanceCount",
        "Series ID,Collection Name,3rd Party Analysis,Subject ID,Study UID,Number of images,File Size (Bytes)",
    ],
)
def test_the_archives_lists(expected: tuple[str, ...], headings: str) -> None:
    found = read_headings(headings.split(","), expected)
    assert found.is_archives
    assert found.in_bytes
    assert {"Series UID", "Study UID", "Subject ID", "Number of Images"} <= set(found.known)
    assert "File Location" not in found.known


@given(st.lists(st.text(alphabet="SeriesUDStudy _PatID\u00a0", max_size=12), max_size=8))
def test_each_is_given_once(profile: Profile, headings: list[str]) -> None:
    known = [one for one in read_headings(headings, profile.metadata_columns).known if one]
    assert len(known) == len(set(known))
