"""The table of attributes against pydicom's data dictionary, and what texts look like."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag

from crlm_qc.collection.annex import AttributeKind, attribute_table
from crlm_qc.collection.deidentification import Pattern, is_person, is_too_old, looks_like
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.show import Show
from crlm_qc.synthetic import cohort

TABLE = attribute_table()
ACTION = re.compile(r"[XZDU](/[XZDU]\*?){0,2}")


@pytest.mark.parametrize("attribute", TABLE.attributes.values(), ids=lambda attribute: attribute.keyword)
def test_tags_keywords_and_vrs_are_those_of_the_data_dictionary(attribute) -> None:
    assert keyword_for_tag(attribute.tag) == attribute.keyword
    assert dictionary_VR(attribute.tag) == attribute.vr
    assert ACTION.fullmatch(attribute.action)
    assert attribute.retained_by <= set(TABLE.options)


def test_every_person_name_of_the_dictionary_is_there() -> None:
    names = {tag for tag, entry in DicomDictionary.items() if entry[0] == "PN" and not entry[3]}
    # Of non-destructive testing, a hanging protocol and an order's recipients.
    left_out = {0x00140104, 0x00142006, 0x0072006A}
    assert names - left_out <= set(TABLE.attributes)


def test_direct_identifiers_are_retained_by_no_option_of_the_collection() -> None:
    codes = load_profile().deidentification.codes
    kept = [
        item.keyword
        for item in TABLE.attributes.values()
        if item.kind is AttributeKind.DIRECT and not item.retained_by.isdisjoint(codes)
    ]
    assert kept == []
    assert {"PatientBirthDate", "OtherPatientIDs", "ReferringPhysicianName", "AccessionNumber", "PatientAddress"} <= {
        item.keyword for item in TABLE.attributes.values() if not item.may_hold_a_value(codes)
    }


def test_the_profiles_codes_are_options() -> None:
    assert load_profile().deidentification.codes <= set(TABLE.options)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("r.roe@example.org", Pattern.EMAIL),
        ("send to roe_r@mail.example.co.uk today", Pattern.EMAIL),
        ("call (212) 555-0142", Pattern.PHONE),
        ("212-555-0142", Pattern.PHONE),
        ("tel 212.555.0142 ext 3", Pattern.PHONE),
        ("+1 212 555 0142", Pattern.PHONE),
        ("+44 20 7946 0958", Pattern.PHONE),
        ("+49 30 1234567", Pattern.PHONE),
        ("020 7946 0958", Pattern.PHONE),
        ("(030) 1234567", Pattern.PHONE),
        ("seen by Dr. M\u00fcller", Pattern.NAME),
        ("Prof. \u0141ukasiewicz", Pattern.NAME),
        ("ROE^RICHARD", Pattern.NAME),
        ("seen by Dr. Roe", Pattern.NAME),
        ("read by Dr Roe", Pattern.NAME),
        ("DR. ROE", Pattern.NAME),
        ("Richard Roe, M.D.", Pattern.NAME),
        ("Patient name: Roe", Pattern.NAME),
        ("MRN 00123456", Pattern.RECORD),
        ("mrn: A1234567", Pattern.RECORD),
        ("Accession #20113344", Pattern.RECORD),
        ("123-45-6789", Pattern.RECORD),
        ("DOB 02/04/37", Pattern.DATE),
        ("compared with 03/10/2011", Pattern.DATE),
        ("2011-03-10", Pattern.DATE),
        ("prior of 10 March 2011", Pattern.DATE),
        ("Mar 10, 2011", Pattern.DATE),
    ],
)
def test_what_identifies_is_seen(text: str, pattern: Pattern) -> None:
    assert looks_like(text, "19910603", "19950514") is pattern


@pytest.mark.parametrize(
    "text",
    [
        *cohort._SERIES_DESCRIPTIONS,
        "CT CH/ABD/PEL W/ CONTRAST",
        "FORFILE CT ABD AND/OR PEL - CD",
        "Bind(17095/4/277..465)",
        "Bind(9/21/04)",
        "Abdomen 5/7.5/5",
        "Abdomen 5.0 B40s",
        "COLORECTAL CA/POD",
        "GASTRO & OMNI",
        "Oral & IV",
        "06MW03.5",
        "LightSpeedApps303.1_H3M4",
        "6.9 Colonoscopy",
        "Per DICOM PS 3.15 AnnexE. Details in 0012,0064",
        "Retain Longitudinal Temporal Information Modified Dates Option",
        "git://github.com/QIICR/dcmqi.git",
        "git@github.com:QIICR/dcmqi.git",
        "1.3.6.1.4.1.43046.3.0.42154.1458337731.665797",
        "dcmqi 1.2.3 2022-6",
        "92038273",
        "MR LIVER",
        "DR CHEST",
        "MS PROTOCOL",
        "MD ANDERSON PROTOCOL",
        "512-512-240",
        "010 020 030",
        "0.5 1.25 120",
        "Dr. no name",
        "5.0 2.5 1024",
        "A\\B\\ORIGINAL",
        "compared with 06/06/1992",
        "1992-06-06",
        "13-45-2011",
        "",
    ],
)
def test_what_names_nobody_is_left_alone(text: str) -> None:
    assert looks_like(text, "19910603", "19950514") is None


def test_dates_count_where_no_range_is_known() -> None:
    assert looks_like("1992-06-06") is Pattern.DATE


@given(st.lists(st.sampled_from(sorted(load_profile().description_words)), min_size=1, max_size=8))
def test_the_collections_own_words_look_like_nothing(words: list[str]) -> None:
    text = " ".join(words)
    assert Show(load_profile()).is_plain(text)
    assert looks_like(text) is None


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert looks_like(text) is None or isinstance(looks_like(text), Pattern)


def test_long_texts_are_looked_at_in_no_time() -> None:
    for text in ("a" * 200_000, "a^" * 100_000, "1-" * 100_000, "a@" * 100_000, "+1 1 " * 40_000):
        looks_like(text)


@pytest.mark.parametrize("text", ["Richard Roe", "ROE^RICHARD", "Roe, Richard A.", "M\u00fcller Anna", "O'Roe^Jane"])
def test_names_of_persons_have_their_form(text: str) -> None:
    assert is_person(text)


@pytest.mark.parametrize(
    "text", ["", "Reader1", "Reader One", "IDC", "richard roe", "Roe", "Clinical Data", "Roe 7", "^"]
)
def test_roles_and_single_words_are_no_persons(text: str) -> None:
    assert not is_person(text, load_profile().description_words)


@pytest.mark.parametrize(
    ("age", "old"),
    [
        ("089Y", False),
        ("090Y", False),
        ("091Y", True),
        ("95Y", True),
        ("95", True),
        ("095 y", True),
        ("095  Y", True),
        ("999M", False),
        ("", False),
        ("Y", False),
    ],
)
def test_ages_over_89_are_seen_in_any_form(age: str, old: bool) -> None:
    assert is_too_old(age) is old


def test_a_ct_image_needs_no_dummy_that_only_a_segmentation_object_needs() -> None:
    serial = TABLE.get(0x00181000)
    assert serial is not None
    assert serial.may_hold_a_value(["113100"], segmentation=True)
    assert not serial.may_hold_a_value(["113100"], segmentation=False)
    assert serial.may_hold_a_value(["113109"], segmentation=False)


def test_attributes_of_repeating_groups_are_found_in_every_group() -> None:
    assert TABLE.get(0x60024000) is TABLE.get(0x60004000) is not None
