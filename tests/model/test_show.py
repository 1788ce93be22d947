from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.model.profile import Deidentification, Profile, load_profile
from crlm_qc.model.show import EMPTY, HIDDEN, Show

SHOW = Show(load_profile())


@pytest.mark.parametrize(
    "path",
    [
        "Colorectal-Liver-Metastases/CRLM-CT-1004/11-22-1994-NA-CT CHABDPEL W CONTRAST-64462/2.000000-CT CHABPEL-54011/1-01.dcm",
        "CRLM-CT-1001/06-06-1992-NA-CT ANGIO ABD WITH PEL-75163/100.000000-Segmentation-46600/1-1.dcm",
        "manifest-1669817128730/metadata.csv",
        "Colorectal Liver Metastases Clinical data October 2022.xlsx",
        "CRLM-CT-1001/06-06-1992-NA-CT ABDOMEN-75163/7.000000-Bind(17095427711)-12345/LICENSE",
    ],
)
def test_paths_of_the_collection_are_shown(path: str) -> None:
    assert SHOW.path(path) == path


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("CRLM-CT-1001/06-06-1992-NA-JANE DOE-75163/1-01.dcm", f"CRLM-CT-1001/06-06-1992-{HIDDEN}-75163/1-01.dcm"),
        ("Doe^Jane/scan.dcm", f"{HIDDEN}/{HIDDEN}.dcm"),
        ("CRLM-CT-1001\\06-06-1992-NA-DOE-75163", f"CRLM-CT-1001/06-06-1992-{HIDDEN}-75163"),
        ("letter of Jane Doe.pdf", f"{HIDDEN}.pdf"),
        ("123456789.dcm", f"{HIDDEN}.dcm"),
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
