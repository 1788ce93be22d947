import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.places import Places
from crlm_qc.collection.profile import Deidentification, Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.show import EMPTY, HIDDEN, Show

SHOW = Show(load_profile())


@pytest.mark.parametrize(
    "path",
    [
        "Colorectal-Liver-Metastases/CRLM-CT-1004/11-22-1994-NA-CT CHABDPEL W CONTRAST-64462/2.000000-CT CHABPEL-54011/1-01.dcm",
        "CRLM-CT-1001/06-06-1992-NA-CT ANGIO ABD WITH PEL-75163/100.000000-Segmentation-46600/1-1.dcm",
        "manifest-1669817128730/metadata.csv",
        "Colorectal Liver Metastases Clinical data October 2022.xlsx",
        "CRLM-CT-1001/06-06-1992-NA-CT ABDOMEN-75163/7.000000-Bind(17095427711)-12345/LICENSE",
        "CRLM-CT-1001/06-06-1992-NA-CT ABD-73.12/2.000000-NA-.1234",
        "CRLM-CT-1001/.1-01.dcm.icloud",
        "manifest-1669817128730/.metadata.csv.icloud",
    ],
)
def test_paths_of_the_collection_are_shown(path: str) -> None:
    assert SHOW.path(path) == path


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("CRLM-CT-1001/06-06-1992-NA-JANE DOE-75163/1-01.dcm", f"CRLM-CT-1001/06-06-1992-{HIDDEN}-75163/1-01.dcm"),
        ("Doe^Jane/scan.dcm", f"{HIDDEN}/scan.dcm"),
        ("CRLM-CT-1001\\06-06-1992-NA-DOE-75163", f"CRLM-CT-1001/06-06-1992-{HIDDEN}-75163"),
        ("letter of Jane Doe.pdf", f"{HIDDEN}.pdf"),
        (".letter of Jane Doe.pdf.icloud", f".{HIDDEN}.pdf.icloud"),
        ("123456789.dcm", f"{HIDDEN}.dcm"),
        ("100000.000000-CT ABD-54011", f"{HIDDEN}-CT ABD-54011"),
        ("88121024.000000-JANE DOE-3.123", f"{HIDDEN}-{HIDDEN}-3.123"),
    ],
)
def test_free_text_in_paths_is_not(path: str, shown: str) -> None:
    assert SHOW.path(path) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, EMPTY),
        ("  ", EMPTY),
        ("CT ANGIO ABD WITH PEL", "CT ANGIO ABD WITH PEL"),
        ("27.0", "27.0"),
        ("Jane", "text of 1 to 8 characters"),
        ("Jane Roe, 7 Elm Street", "text of 9 to 32 characters"),
        ("x" * 33, "text of more than 32 characters"),
        ("123456789012", "text of 9 to 32 characters"),
    ],
)
def test_text(value: str | None, shown: str) -> None:
    assert SHOW.text(value) == shown


def test_a_known_value_is_shown() -> None:
    assert SHOW.text("Hepatic", known=("Hepatic",)) == "Hepatic"


def test_uids(profile: Profile) -> None:
    own = f"{profile.uid_root}.123"
    assert SHOW.uid(own) == own
    assert SHOW.uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"
    assert SHOW.uid("1.2.392.200103.20080913") == f"1.2.392.{HIDDEN}"
    assert SHOW.uid("1.2.Jane") == "text of 1 to 8 characters"
    assert SHOW.uid(profile.uid_root + "9.1") == f"1.3.6.{HIDDEN}"


def test_patients_and_dates() -> None:
    assert SHOW.patient("CRLM-CT-1046") == "CRLM-CT-1046"
    assert "Doe" not in SHOW.patient("Doe^Jane")
    assert SHOW.date("06-06-1992") == "06-06-1992"
    assert SHOW.date("19920606") == "19920606"
    assert SHOW.date("6 June at home") == "text of 9 to 32 characters"


@given(st.text(alphabet=st.characters(categories=("L",)), min_size=3, max_size=20))
def test_an_unknown_word_is_never_shown(word: str) -> None:
    canary = f"zq{word}"
    for shown in (
        SHOW.text(canary),
        SHOW.path(f"a/{canary}/{canary}.dcm"),
        SHOW.uid(canary),
        SHOW.date(canary),
        SHOW.patient(canary),
    ):
        assert canary not in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("19930101", True),
        ("01-31-1993", True),
        ("1993/01/31", True),
        ("20090902", True),
        ("20110310", False),
        ("03-10-2011", False),
        ("1937-02-04", False),
        ("4-2-37", False),
    ],
)
def test_only_dates_of_the_releases_range_are_shown(profile: Profile, value: str, shown: bool) -> None:
    assert Show(profile).date(value) == (value if shown else "a date outside of the release's range")


def test_a_folders_date_outside_of_the_range_is_not_shown(profile: Profile) -> None:
    path = "CRLM-CT-1001/03-10-2011-NA-CT ABD-12345/2.000000-NA-54321/1-01.dcm"
    assert Show(profile).path(path) == path.replace("03-10-2011", "\N{HORIZONTAL ELLIPSIS}")
    assert Show(profile).path(path.replace("2011", "1993")) == path.replace("2011", "1993")


def test_without_a_range_every_date_is_shown(profile: Profile) -> None:
    assert Show(replace(profile, deidentification=Deidentification())).date("20110310") == "20110310"


IDENTIFYING = (
    "212-555-0142",
    "123-45-6789",
    "02/04/1937",
    "8812 3456",
    "CT ABD 02/04/1937",
    "CT 555-0142",
    "CT 02 04 37",
    "CT 8812 PEL 345",
    "88121024",
    "12345",
    "Abdomen 88123456",
    "Abdomen 02/04/1937",
    "Bind88121024",
    "020 7946 0958",
    "+49 30 1234567",
    "1.212.555.0142",
    "2.12.1948",
    "\u0662\u0661\u0662\u0665\u0665\u0665 CT",
)


@pytest.mark.parametrize("text", IDENTIFYING)
def test_numbers_that_may_identify_are_not_shown_whatever_stands_beside_them(text: str) -> None:
    assert not SHOW.is_plain(text)
    assert text not in SHOW.text(text)
    if "/" not in text:
        assert text not in SHOW.path(f"CRLM-CT-1001/06-06-1992-NA-{text}-54011/{text}/{text}.dcm")
    assert text not in SHOW.uid(text)
    assert text not in SHOW.date(text)


@pytest.mark.parametrize(
    "text",
    [
        "CT CH/ABD/PEL W/ CONTRAST",
        "CH/ABD/PEL 5X5",
        "Bind(4807/4/201..420)",
        "Bind(48074201..420)",
        "Abdomen 5/7.5/5",
        "Abdomen 5.0 B40s",
        "October 2022",
        "27.0",
        "1024",
        "0.881235",
    ],
)
def test_descriptions_and_short_numbers_are_shown(text: str) -> None:
    assert SHOW.text(text) == text


@pytest.mark.reference
def test_every_description_and_folder_of_the_published_collection_is_shown(reference: Path) -> None:
    with (reference / "metadata-reconstructed.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 394
    texts = {row[column] for row in rows for column in ("Study Description", "Series Description")}
    paths = {row["File Location"] for row in rows}
    assert {text for text in texts if SHOW.text(text) != text} == set()
    assert {path for path in paths if SHOW.path(path) != path} == set()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (5, "5"),
        (2.50, "2.5"),
        (-999, "-999"),
        (99_999, "99999"),
        (100_000, "a number of 6 digits"),
        (88121024.0, "a number of 8 digits"),
        (-88121024, "a number of 8 digits"),
        (float("inf"), "no finite number"),
    ],
)
def test_long_numbers_are_told_by_their_length(value: float, shown: str) -> None:
    assert SHOW.number(value) == shown


@pytest.mark.parametrize(
    ("years", "shown"), [(55, "55"), (89, "89"), (90, "over 89"), (97.5, "over 89"), (1937, "a number of 4 digits")]
)
def test_ages_over_89_are_one_group(years: float, shown: str) -> None:
    assert SHOW.age(years) == shown


@pytest.mark.parametrize(
    ("uid", "shown"),
    [
        ("1.2.840.113619.2.55", f"1.2.840.{HIDDEN}"),
        ("2.25.329800735698586629295641978511506172918", f"2.25.{HIDDEN}"),
        ("1.2.88121024.5.6", f"1.2.{HIDDEN}"),
        ("88121024", "text of 1 to 8 characters"),
        ("88121024.1.2.3.4", "text of 9 to 32 characters"),
        ("1.2.3", "text of 1 to 8 characters"),
        ("3.1.2", "text of 1 to 8 characters"),
        ("2.12.1948", "text of 9 to 32 characters"),
        ("1.212.555.0142", "text of 9 to 32 characters"),
        ("1.212.555.1142", "text of 9 to 32 characters"),
    ],
)
def test_a_digit_string_is_no_uid(uid: str, shown: str) -> None:
    assert SHOW.uid(uid) == shown


@pytest.mark.parametrize(
    "name", ["junk.dcm", "readme.txt", "1-001 copy.dcm", "DICOMDIR", "Thumbs.db", "notes.docx", "old/backup.zip"]
)
def test_files_that_people_leave_behind_have_their_names(name: str) -> None:
    assert SHOW.path(name) == name


def test_a_word_that_files_are_called_by_is_no_word_of_descriptions() -> None:
    assert not SHOW.is_plain("readme")
    assert SHOW.path("CRLM-CT-1001/06-06-1992-NA-OLD NOTES-12345") == f"CRLM-CT-1001/06-06-1992-{HIDDEN}-12345"


# --- folders without names


STUDY = "Colorectal-Liver-Metastases/CRLM-CT-1001/06-06-1992-NA-CT ABD-75163"
PLACES = Places(
    {"Colorectal-Liver-Metastases/CRLM-CT-1001": "CRLM-CT-1001", "Colorectal-Liver-Metastases/ROE": "patient[1]"},
    [
        (f"{STUDY}/2.000000-NA-54011", "ct"),
        (f"{STUDY}/2.000000-NA-54011", "unexpected"),
        (f"{STUDY}/3.000000-NA-54012", "ct"),
        (f"{STUDY}/100.000000-Segmentation-46600", "dso"),
        ("Colorectal-Liver-Metastases/CRLM-CT-1001/letters", "unexpected"),
        ("Colorectal-Liver-Metastases/ROE/scans", "ct"),
    ],
)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"{STUDY}/2.000000-NA-54011/1-045.dcm", "CRLM-CT-1001/CT/1-045.dcm"),
        (f"{STUDY}/3.000000-NA-54012", "CRLM-CT-1001/CT-2"),
        (f"{STUDY}/100.000000-Segmentation-46600/1-1.dcm", "CRLM-CT-1001/SEG/1-1.dcm"),
        (f"./{STUDY}/100.000000-Segmentation-46600", "CRLM-CT-1001/SEG"),
        (f"CRLM-CT-1001{STUDY[40:]}/2.000000-NA-54011", "CRLM-CT-1001/CT"),
        (STUDY, "CRLM-CT-1001/study"),
        (f"{STUDY}/9.000000-CT ABD-99999/1-1.dcm", "CRLM-CT-1001/study/folder/1-1.dcm"),
        ("Colorectal-Liver-Metastases/CRLM-CT-1001/letters/Jane Roe.txt", f"CRLM-CT-1001/folder/{HIDDEN}.txt"),
        ("Colorectal-Liver-Metastases/ROE/scans/1-01.dcm", "patient[1]/CT/1-01.dcm"),
        ("elsewhere/06-06-1992-NA-CT ABD-75163/metadata.csv", f"{HIDDEN}/folder/metadata.csv"),
        ("elsewhere/06-06-1992-CT ABD", f"{HIDDEN}/{HIDDEN}"),
        ("manifest-1669817128730/metadata.csv", "manifest-1669817128730/metadata.csv"),
    ],
)
def test_folders_may_go_by_patient_and_contents(path: str, shown: str) -> None:
    assert Show(load_profile(), PLACES).path(path) == shown
