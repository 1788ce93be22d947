"""Reading metadata.csv: variants, values, locations, and files that are no such list."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sources import item_at

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.metadata import COLUMNS, looks_like_metadata, read_metadata
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.model.tables import frame

PLACE = "CRLM-CT-1001/06-06-1992-NA-CT ANGIO ABD WITH PEL-75163/101.000000-NA-71548"
LOCATION = f"./Colorectal-Liver-Metastases/{PLACE}"
ROW = {
    "Series UID": "1.3.6.1.4.1.14519.5.2.1.9203.8273.1",
    "Collection": "Colorectal-Liver-Metastases",
    "3rd Party Analysis": "NO",
    "Data Description URI": "https://doi.org/10.7937/QXK2-QG03",
    "Subject ID": "CRLM-CT-1001",
    "Study UID": "1.3.6.1.4.1.14519.5.2.1.9203.8273.2",
    "Study Description": "CT CH/ABD/PEL W/ CONTRAST",
    "Study Date": "06-07-1992",
    "Series Description": "NA",
    "Manufacturer": "GE MEDICAL SYSTEMS",
    "Modality": "CT",
    "SOP Class Name": "CT Image Storage",
    "SOP Class UID": "1.2.840.10008.5.1.4.1.1.2",
    "Number of Images": "161",
    "File Size": "84.84 MB",
    "File Location": LOCATION,
    "Download Timestamp": "2023-05-02T10:00:00.000",
}


def text(*rows: dict[str, str], end: str = "\n", headings: list[str] | None = None) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, headings or list(ROW), lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def read(
    folder: Path, profile: Profile, content: str | bytes, root: Path | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metadata.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = read_metadata(item_at(path), open_source(root or folder), profile)
    assert list(found) == ["sources", "metadata"]
    for name, rows in found.items():
        frame(name, rows)
    (source,) = found["sources"]
    assert (source["source"], source["path"], source["used"]) == ("metadata", "metadata.csv", True)
    return source, found["metadata"]


def test_the_contract_has_every_column_of_the_profile(profile: Profile) -> None:
    assert tuple(COLUMNS) == profile.metadata_columns


def test_text_as_found_and_parsed_values_beside_it(tmp_path: Path, profile: Profile) -> None:
    (tmp_path / "Colorectal-Liver-Metastases" / PLACE).mkdir(parents=True)
    source, (row,) = read(tmp_path, profile, text(ROW))
    assert source["n_rows"] == 1
    assert json.loads(source["columns"]) == list(ROW)
    assert {heading: row[column] for heading, column in COLUMNS.items()} == ROW
    assert (row["row"], row["patient"], row["images"], row["date"]) == (2, "CRLM-CT-1001", 161, "19920607")
    assert row["size_decimal"] == pytest.approx(84_840_000)
    assert row["size_binary"] == pytest.approx(84.84 * 2**20)
    assert (row["folder"], row["location_problem"]) == (LOCATION[2:], None)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("windows", [True, False])
def test_variants_of_one_list(
    tmp_path: Path, profile: Profile, bom: bytes, end: str, last: bool, windows: bool
) -> None:
    (tmp_path / "Colorectal-Liver-Metastases" / PLACE).mkdir(parents=True)
    location = ".\\Colorectal-Liver-Metastases\\" + PLACE.replace("/", "\\") if windows else LOCATION
    content = text({**ROW, "File Location": location, "Study Description": 'CT, "W\u00c4"'}, ROW, end=end)
    content = content if last else content.removesuffix(end)
    source, rows = read(tmp_path, profile, bom + content.encode())
    assert source.get("problem") is None
    assert [row["row"] for row in rows] == [2, 3]
    assert rows[0]["study_description"] == 'CT, "W\u00c4"'
    assert {row["folder"] for row in rows} == {LOCATION[2:]}


def test_blank_lines_are_no_rows_and_a_field_may_span_lines(tmp_path: Path, profile: Profile) -> None:
    content = text({**ROW, "Study Description": "a\nb"}) + "\n" + "," * 16 + "\n" + text(ROW).split("\n", 1)[1]
    _, rows = read(tmp_path, profile, content)
    assert [row["row"] for row in rows] == [2, 6]


def test_a_missing_column_does_not_keep_the_others_from_being_read(tmp_path: Path, profile: Profile) -> None:
    source, (row,) = read(tmp_path, profile, text(ROW, headings=[name for name in ROW if name != "Modality"]))
    assert "Modality" not in json.loads(source["columns"])
    assert "modality" not in row
    assert row["sop_class_name"] == "CT Image Storage"


def test_headings_are_read_whatever_their_case_and_white_space(tmp_path: Path, profile: Profile) -> None:
    source, (row,) = read(tmp_path, profile, text(ROW).replace("Series UID,", "series  uid ,", 1))
    assert json.loads(source["columns"])[0] == "series  uid "
    assert row["series_uid"] == ROW["Series UID"]


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("27", 27),
        ("27.0", 27),
        (" 27 ", 27),
        ("0", 0),
        ("-3", -3),
        ("27.5", None),
        ("forty", None),
        ("", None),
        ("1e3", None),
        ("9" * 40, None),
    ],
)
def test_number_of_images(tmp_path: Path, profile: Profile, written: str, number: int | None) -> None:
    _, (row,) = read(tmp_path, profile, text({**ROW, "Number of Images": written}))
    assert row["images"] == number


@pytest.mark.parametrize(
    ("written", "decimal", "binary"),
    [
        ("84.84 MB", 84.84e6, 84.84 * 2**20),
        ("163.31 KB", 163.31e3, 163.31 * 2**10),
        ("1.5GB", 1.5e9, 1.5 * 2**30),
        ("1,234.5 kb", 1234.5e3, 1234.5 * 2**10),
        ("527480 B", 527480, 527480),
        ("12 bytes", 12, 12),
        ("2 MiB", 2e6, 2 * 2**20),
        ("large", None, None),
        ("84.84", None, None),
        ("84,84 MB", None, None),
        ("-1 MB", None, None),
        ("", None, None),
    ],
)
def test_file_size(tmp_path: Path, profile: Profile, written: str, decimal: float | None, binary: float | None) -> None:
    _, (row,) = read(tmp_path, profile, text({**ROW, "File Size": written}))
    assert row["size_decimal"] == (None if decimal is None else pytest.approx(decimal))
    assert row["size_binary"] == (None if binary is None else pytest.approx(binary))


@pytest.mark.parametrize(
    "written", ["1992-06-07", "13-07-1992", "02-30-1992", "6-7-1992", "06/07/1992", "06-07-92", "", "NA"]
)
def test_a_date_of_another_form_is_none(tmp_path: Path, profile: Profile, written: str) -> None:
    _, (row,) = read(tmp_path, profile, text({**ROW, "Study Date": written}))
    assert row["date"] is None


def test_a_subject_of_another_form_is_no_patient(tmp_path: Path, profile: Profile) -> None:
    _, (row,) = read(tmp_path, profile, text({**ROW, "Subject ID": "CRLMCT1001"}))
    assert (row["subject_id"], row["patient"]) == ("CRLMCT1001", None)


# What can't be parsed.


@pytest.mark.parametrize(
    ("content", "problem", "line"),
    [
        ("", "empty", None),
        (b"\xef\xbb\xbf \n", "empty", None),
        (text(ROW).encode("utf-16"), "encoding", 1),
        (text(ROW, {**ROW, "Series Description": "Segmentaci\u00f3n"}).encode("latin-1"), "encoding", 3),
        (text(ROW).encode() + b"\0", "not-text", 3),
        (text(ROW).replace(",", ";"), "delimiter", 1),
        (text(ROW).replace(",", "\t"), "delimiter", 1),
        ("PatientID,Age\nCRLM-CT-1001,55\n", "headings", 1),
        ("\x89PNG\r\n", "headings", 1),
        (text(ROW) + "x\n" * 2, "ragged", 3),
        (text(ROW, ROW)[:-200], "ragged", 3),
        (text(ROW) + '"' + text(ROW).split("\n", 1)[1], "syntax", 3),
        (text(ROW) + "x" * 200_000, "syntax", 3),
        (text(), "no-rows", 1),
    ],
)
def test_a_file_that_can_not_be_parsed_gives_its_problem_and_no_row(
    tmp_path: Path, profile: Profile, content: str | bytes, problem: str, line: int | None
) -> None:
    content = content.encode("utf-8", "replace") if isinstance(content, str) else content
    source, rows = read(tmp_path, profile, content)
    assert (source["problem"], source["line"], rows) == (problem, line, [])
    assert source["detail"]
    assert "n_rows" not in source


def test_ragged_rows_are_counted_and_nothing_of_them_is_told(tmp_path: Path, profile: Profile) -> None:
    source, _ = read(tmp_path, profile, text(ROW) + "Jane Doe\n" + "Jane,Doe\n")
    assert (source["line"], source["detail"]) == (
        3,
        "a row has 1 field, the heading has 17; 1 more row is of another length too",
    )
    assert "Jane" not in str(source)


def test_a_file_that_can_not_be_opened(tmp_path: Path, profile: Profile) -> None:
    found = read_metadata(item_at(tmp_path / "metadata.csv"), open_source(tmp_path), profile)
    assert found["sources"][0]["problem"] == "permission"


@given(content=st.binary(max_size=300) | st.text(alphabet='Series UID,"\n\r;\x00\u00e4', max_size=300).map(str.encode))
def test_no_bytes_make_it_raise(profile: Profile, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    found = read_metadata(item_at(path), open_source(path.parent), profile)
    assert len(found["sources"]) == 1
    frame("sources", found["sources"])
    frame("metadata", found["metadata"])
    looks_like_metadata(item_at(path), profile)


@pytest.mark.parametrize(
    ("name", "content", "looks"),
    [
        ("metadata.csv", "PatientID,Age\n", True),
        ("Metadata.CSV", "", True),
        ("list.csv", text(ROW), True),
        ("list.csv", "\ufeff" + text(ROW), True),
        ("list.csv", text(ROW).replace(",", ";"), True),
        ("list.csv", "PatientID,Modality,Manufacturer\n", False),
        ("list.csv", "", False),
        ("list.csv", "\n" + text(ROW), True),
        ("list.csv", "sep=,\n# of 2023\n" + text(ROW), True),
    ],
)
def test_what_looks_like_metadata(tmp_path: Path, profile: Profile, name: str, content: str, looks: bool) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert looks_like_metadata(item_at(path), profile) is looks


# File Locations.


def locate(folder: Path, profile: Profile, location: str, root: Path) -> tuple[str | None, str | None]:
    _, (row,) = read(folder, profile, text({**ROW, "File Location": location}), root)
    return row["folder"], row["location_problem"]


def test_from_the_folder_of_the_list_first(tmp_path: Path, profile: Profile) -> None:
    for place in ("a/Colorectal-Liver-Metastases/x", "Colorectal-Liver-Metastases/x", "a/x", "x"):
        (tmp_path / place).mkdir(parents=True)
    for expected in ("a/Colorectal-Liver-Metastases/x", "Colorectal-Liver-Metastases/x", "a/x", "x"):
        assert locate(tmp_path / "a", profile, "./Colorectal-Liver-Metastases/x", tmp_path) == (expected, None)
        (tmp_path / expected).rmdir()
    assert locate(tmp_path / "a", profile, "./Colorectal-Liver-Metastases/x", tmp_path) == (None, "missing")


def test_the_layout_of_the_dataset_card(tmp_path: Path, profile: Profile) -> None:
    (tmp_path / PLACE).mkdir(parents=True)
    folder = tmp_path / "manifest-1669817128730" / "Colorectal-Liver-Metastases"
    assert locate(folder, profile, LOCATION, tmp_path) == (PLACE, None)


def test_a_list_outside_of_the_release(tmp_path: Path, profile: Profile) -> None:
    (tmp_path / "release" / "Colorectal-Liver-Metastases" / "x").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    root = tmp_path / "release"
    for folder in (tmp_path, tmp_path / "elsewhere"):
        found = locate(folder, profile, "Colorectal-Liver-Metastases/x", root)
        assert found == ("Colorectal-Liver-Metastases/x", None)
        assert locate(folder, profile, "secret", root) == (None, "missing")
    assert locate(tmp_path, profile, "release/Colorectal-Liver-Metastases/x", root) == (
        "Colorectal-Liver-Metastases/x",
        None,
    )


@pytest.mark.parametrize(
    "location",
    ["../x", "a/../../x", "..\\x", "/etc", "\\\\server\\share", "C:\\data", "c:/data", "/", "a/..", "./../release/x"],
)
def test_a_location_that_leads_outside(tmp_path: Path, profile: Profile, location: str) -> None:
    (tmp_path / "release" / "x").mkdir(parents=True)
    (tmp_path / "x").mkdir()
    assert locate(tmp_path / "release", profile, location, tmp_path / "release") == (None, "outside")


def test_links(tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    root, secret = tmp_path / "release", tmp_path / "secret"
    (root / "x" / "y").mkdir(parents=True)
    (secret / "deep").mkdir(parents=True)
    (root / "out").symlink_to(secret)
    (root / "in").symlink_to(root / "x")
    (root / "loop").symlink_to(root / "loop")
    (root / "nowhere").symlink_to(root / "gone")
    looked: list[str] = []
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path, **rest: looked.append(os.fspath(path)) or real(path, **rest))
    assert locate(root, profile, "out", root) == (None, "outside")
    assert locate(root, profile, "out/deep", root) == (None, "outside")
    assert locate(root, profile, "in/y", root) == ("x/y", None)
    assert locate(root, profile, "loop/y", root) == (None, "missing")
    assert locate(root, profile, "nowhere", root) == (None, "missing")
    assert not any(path.startswith(str(secret / "deep")) for path in looked)


@pytest.mark.parametrize("location", ["", "gone", "file.txt", "x" * 5000, "x/" * 300, "a?*<>|\u202e"])
def test_a_location_without_a_folder(tmp_path: Path, profile: Profile, location: str) -> None:
    tmp_path.joinpath("file.txt").write_text("")
    assert locate(tmp_path, profile, location, tmp_path) == (None, "missing")


def test_a_root_given_through_a_link(tmp_path: Path, profile: Profile) -> None:
    (tmp_path / "real" / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert locate(tmp_path / "link", profile, "x", tmp_path / "link") == ("x", None)


@pytest.mark.reference
def test_the_real_list(reference: Path, profile: Profile) -> None:
    found = read_metadata(
        item_at(reference / "metadata-reconstructed.csv"), open_source(reference / "release-1004"), profile
    )
    rows = found["metadata"]
    assert found["sources"][0]["n_rows"] == len(rows) == 394
    assert sum(row["images"] for row in rows if row["modality"] == "CT") == profile.published.ct_slices
    assert all(row["patient"] and row["date"] and row["size_decimal"] for row in rows)
    (there,) = [row for row in rows if row["folder"]]
    assert there["patient"] == "CRLM-CT-1004"
    assert looks_like_metadata(item_at(reference / "metadata-reconstructed.csv"), profile)
    assert not looks_like_metadata(item_at(reference / "series-headers.csv"), profile)
