"""Each question about the form of a value has one answer, whoever asks."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.forms import (
    UID,
    SeriesFolder,
    StudyFolder,
    age_in_years,
    copied_name,
    downloaded,
    is_meant_as_uid,
    is_uid,
    originals_first,
    series_folder,
    study_folder,
    uid_tail,
)
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.show import HIDDEN, Show

SHOW = Show(load_profile())

# --- UIDs


@pytest.mark.parametrize(
    ("value", "valid", "meant"),
    [
        ("1.2.840.10008.1.2", True, True),
        ("1.3.6.1.4.1.14519.5.2.1.9203.8273.281394725", True, True),
        ("2.25.329800735698586629295641978511506172918", True, True),
        ("2.999.1.7", True, True),
        ("0.1.2.0", True, True),
        ("1." * 31 + "10", True, True),
        # Valid, but it may be a version or a date.
        ("0.1", True, False),
        ("1.2.3", True, False),
        ("2.12.1948", True, False),
        # Meant as one, but spoilt.
        ("1." * 31 + "100", False, True),
        ("1.2.840.0113", False, True),
        ("2.25.0329800735698586629295641978511506172918"[:44], False, True),
        # No root, or no arc of it.
        ("3.1.2", False, False),
        ("3.1.2.4", False, False),
        ("1.40.3.4", False, False),
        ("1.212.555.0142", False, False),
        ("1.212.555.1142", False, False),
        ("0.0394.12.5", False, False),
        ("88121024.1.2.3.4", False, False),
        ("5", False, False),
        ("1", False, False),
        # More digits than the number of a UUID has.
        ("1.2.3." + "9" * 40, True, False),
        ("1.02.3", False, False),
        ("1..2.3.4", False, False),
        ("1.2.3.4.", False, False),
        ("1.2.3.4\n", False, False),
        ("1.2.3.a", False, False),
        ("1.2.3.\N{ARABIC-INDIC DIGIT THREE}", False, False),
        ("", False, False),
    ],
)
def test_what_is_a_uid_and_what_is_meant_as_one(value: str, valid: bool, meant: bool) -> None:
    assert is_uid(value) is valid
    assert is_meant_as_uid(value) is meant


@pytest.mark.parametrize("value", [None, 5, 1.2, b"1.2.3.4", float("nan")])
def test_what_is_no_text_is_no_uid(value: object) -> None:
    assert not is_uid(value)


NUMBER = st.integers(0, 10**38).map(str)
UIDS = st.one_of(
    st.tuples(st.sampled_from("01"), st.integers(0, 39).map(str), st.lists(NUMBER, max_size=3)),
    st.tuples(st.just("2"), NUMBER, st.lists(NUMBER, max_size=3)),
).map(lambda parts: ".".join([*parts[:2], *parts[2]]))
"""Object identifiers as ISO/IEC 8824 has them, of any length."""


@given(UIDS)
def test_every_object_identifier_of_64_characters_is_a_uid(value: str) -> None:
    assert is_uid(value) is (len(value) <= 64)


@given(UIDS, st.data())
def test_a_leading_zero_makes_it_none_and_leaves_it_one_that_was_meant(value: str, data: st.DataObject) -> None:
    parts = value.split(".")
    at = data.draw(st.integers(0, len(parts) - 1))
    parts[at] = "0" + parts[at]
    assert not is_uid(".".join(parts))
    if len(parts) > 3 and at > 1:
        assert is_meant_as_uid(".".join(parts)) or len(parts[at]) > 39


@given(st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,12}){0,5}", fullmatch=True))
def test_what_is_not_meant_as_a_uid_is_not_shown_for_one(value: str) -> None:
    shown = SHOW.uid(value)
    if is_meant_as_uid(value) or value.startswith("1.2.840.10008"):
        assert shown == value or shown.endswith(HIDDEN)
    else:
        assert shown == SHOW.describe(value)


@given(st.text(alphabet="0123456789.", max_size=70))
def test_a_valid_uid_of_four_components_is_meant_as_one(value: str) -> None:
    if is_uid(value) and value.count(".") > 2 and max(map(len, value.split("."))) <= 39:
        assert is_meant_as_uid(value)
    assert is_uid(value) is (UID.fullmatch(value) is not None)


# --- ages


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("055Y", 55),
        ("018M", 1.5),
        ("000Y", 0),
        ("026W", 0.498),
        ("007D", 0.019),
        ("660M", 55),
        # What real files have beside.
        ("55Y", 55),
        ("55", 55),
        ("055y", 55),
        ("055 Y", 55),
        (" 055Y ", 55),
    ],
)
def test_ages(text: str, years: float) -> None:
    assert age_in_years(text) == pytest.approx(years, abs=0.001)


@pytest.mark.parametrize(
    "text", ["", "Y", "1234Y", "55.5Y", "-55Y", "055X", "55 years", "5 5Y", "0\u0665\u0665Y", None, float("nan"), 55]
)
def test_what_is_no_age(text: object) -> None:
    assert age_in_years(text) is None


@given(st.integers(0, 999), st.sampled_from("DWMY"), st.data())
def test_every_age_string_is_read_however_it_is_written(number: int, unit: str, data: st.DataObject) -> None:
    years = age_in_years(f"{number:03d}{unit}")
    days = {"D": 1, "W": 7, "M": 365.25 / 12, "Y": 365.25}[unit]
    assert years == pytest.approx(number * days / 365.25)
    digits = data.draw(st.sampled_from([f"{number:03d}", str(number)]))
    letter = data.draw(st.sampled_from([unit, unit.lower(), *([""] if unit == "Y" else [])]))
    spaces = st.sampled_from(["", " ", "  "])
    assert age_in_years(data.draw(spaces) + digits + data.draw(spaces) + letter + data.draw(spaces)) == years


# --- folders of the downloader

DESCRIPTIONS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["NA", "", "-", "NA-CT ABD-5", "06-06-1992-CT-1", "2.000000-x-1", "a\nb"]),
)
VALID_UIDS = UIDS.filter(is_uid)


@given(st.dates(), DESCRIPTIONS, VALID_UIDS)
def test_a_study_folder_is_read_as_it_is_written(day: dt.date, description: str, uid: str) -> None:
    written = StudyFolder(f"{day.month:02d}-{day.day:02d}-{day.year:04d}", description, uid_tail(uid))
    assert study_folder(written.name) == written
    assert series_folder(written.name) is None


@given(st.integers(0, 10**12 - 1), DESCRIPTIONS, VALID_UIDS)
def test_a_series_folder_is_read_as_it_is_written(number: int, description: str, uid: str) -> None:
    written = SeriesFolder(str(number), description, uid_tail(uid))
    assert series_folder(written.name) == written
    assert study_folder(written.name) is None


@given(
    st.one_of(
        st.from_regex(r"[0-9]{1,13}\.?[0-9]{5,7}-.{0,9}-?[0-9.]{0,6}", fullmatch=True),
        st.from_regex(r"[0-9]{2}-[0-9]{2}-[0-9]{3,5}-.{0,9}-?[0-9.]{0,6}", fullmatch=True),
    )
)
def test_what_is_read_is_written_again(name: str) -> None:
    for folder in (study_folder(name), series_folder(name)):
        assert folder is None or folder.name == name


@pytest.mark.parametrize(
    "name",
    ["CT", "1-001.dcm", "101-71548", "06-06-1992-75163", "6-6-1992-NA-CT-75163", "2.0-NA-54011", "2.000000-NA-540111"],
)
def test_folders_of_other_forms(name: str) -> None:
    assert study_folder(name) is None
    assert series_folder(name) is None


@given(DESCRIPTIONS, VALID_UIDS)
def test_what_stands_in_a_folders_name_is_shown_as_it_is_elsewhere(description: str, uid: str) -> None:
    description = description.replace("/", "").replace("\\", "")
    for folder in (
        StudyFolder("06-06-1992", description, uid_tail(uid)),
        SeriesFolder("2", description, uid_tail(uid)),
    ):
        shown = description if not description or SHOW.is_plain(description) else HIDDEN
        assert SHOW.path(folder.name) == folder._replace(description=shown).name


# --- Copies


@pytest.mark.parametrize(
    ("name", "original", "mark"),
    [
        ("1-01(1).dcm", "1-01.dcm", "(1)"),
        ("metadata (2).csv", "metadata.csv", " (2)"),
        ("1-01 - Copy.dcm", "1-01.dcm", " - Copy"),
        ("1-01 - Copy (2).dcm", "1-01.dcm", " - Copy (2)"),
        ("1-01 copy 3.dcm", "1-01.dcm", " copy 3"),
        ("101.000000-NA-20001 copy", "101.000000-NA-20001", " copy"),
        ("manifest-1 (1)", "manifest-1", " (1)"),
        ("(1).dcm", "(1).dcm", ""),
        ("photocopy.dcm", "photocopy.dcm", ""),
        ("1-01.dcm", "1-01.dcm", ""),
    ],
)
def test_a_copy_is_known_by_its_name(name: str, original: str, mark: str) -> None:
    found = copied_name(name)
    assert (found.original, found.mark) == (original, mark)
    assert found.marked(original) == name


@given(st.text(max_size=20), st.sampled_from(["", ".dcm", ".csv"]), st.sampled_from([" (1)", "(2)", " - Copy"]))
def test_a_copy_comes_right_after_its_original(stem: str, ending: str, mark: str) -> None:
    original, copy = f"a/x{stem}.{ending}", f"a/x{stem}.{mark}{ending}"
    assert copied_name(original).marked(copied_name(original).original) == original
    assert min([copy, original], key=originals_first) == original


def test_an_accent_in_one_piece_and_in_two_is_downloaded_alike() -> None:
    assert downloaded("FOIE TRIPHAS\u00c9") == downloaded("FOIE TRIPHASE\u0301") == "FOIE TRIPHAS"
