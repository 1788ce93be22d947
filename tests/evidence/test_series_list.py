"""metadata.csv as people have it: lines before the heading, the heading again, and rows of more or fewer fields."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sources import item_at

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.metadata import read_metadata
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.series_list.lines import Problem, read_lines
from crlm_qc.model.tables import frame

HEADINGS = [
    "Series UID",
    "Collection",
    "3rd Party Analysis",
    "Data Description URI",
    "Subject ID",
    "Study UID",
    "Study Description",
    "Study Date",
    "Series Description",
    "Manufacturer",
    "Modality",
    "SOP Class Name",
    "SOP Class UID",
    "Number of Images",
    "File Size",
    "File Location",
    "Download Timestamp",
]
NAME = "Colorectal-Liver-Metastases"


def row(number: int = 1, **cells: str) -> list[str]:
    """Fields of a CT row; cells by the first word of their heading, or by two."""
    uid = f"1.3.6.1.4.1.14519.5.2.1.9203.8273.{number}"
    location = f"./{NAME}/CRLM-CT-100{number}/06-07-1992-NA-CT ABD-75163/101.000000-NA-7154{number}"
    fields = {
        **dict(zip(HEADINGS, [""] * len(HEADINGS), strict=True)),
        "Series UID": uid,
        "Collection": NAME,
        "3rd Party Analysis": "NO",
        "Data Description URI": "https://doi.org/10.7937/QXK2-QG03",
        "Subject ID": f"CRLM-CT-100{number}",
        "Study UID": f"{uid}.9",
        "Study Description": "CT ABD",
        "Study Date": "06-07-1992",
        "Series Description": "NA",
        "Manufacturer": "GE MEDICAL SYSTEMS",
        "Modality": "CT",
        "SOP Class Name": "CT Image Storage",
        "SOP Class UID": "1.2.840.10008.5.1.4.1.1.2",
        "Number of Images": "161",
        "File Size": "84.84 MB",
        "File Location": location,
        "Download Timestamp": "2023-05-02T10:00:00.000",
    }
    fields |= {name.replace("_", " "): value for name, value in cells.items()}
    return [fields[heading] for heading in HEADINGS]


def raw(*rows: list[str], headings: list[str] = HEADINGS, end: str = "\n") -> str:
    """Fields parted by commas, and none in quotes."""
    return end.join(map(",".join, [headings, *rows])) + end


def quoted(*rows: list[str]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([HEADINGS, *rows])
    return file.getvalue()


def told(text: str, profile: Profile) -> tuple[list[dict[str, str]], list[tuple[str, int, str]]]:
    """The rows, by heading, and the notes."""
    lines = read_lines(text, profile)
    known = [one or "" for one in lines.headings.known]
    rows = [dict(zip(known, record.fields, strict=True)) for record in lines.records]
    return rows, [(note["kind"], note["row"], note["detail"]) for note in lines.notes]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("sep=,\n", ["a line sep="]),
        ('"sep=,"\n', ["a line sep="]),
        ("# from the archive\n", ["a comment"]),
        ("#one, with a comma\n# two\n\n", ["a comment", "a comment"]),
        ("My list\n", ["a line that is none of the table"]),
        ("\n\n", []),
    ],
)
def test_lines_before_the_heading(profile: Profile, before: str, said: list[str]) -> None:
    rows, notes = told(before + raw(row()), profile)
    assert len(rows) == 1
    assert [(kind, detail) for kind, _, detail in notes] == [("before-heading", one) for one in said]


def test_another_delimiter_below_a_line_that_says_so(profile: Profile) -> None:
    with pytest.raises(Problem, match="delimiter") as caught:
        read_lines("sep=;\n" + raw(row()).replace(",", ";"), profile)
    assert caught.value.detail.endswith("by semicolons, not by commas, and a line sep= stands before the headings")
    assert caught.value.line == 2


def test_the_heading_again(profile: Profile) -> None:
    rows, notes = told(raw(row(1), HEADINGS, row(1), row(2), HEADINGS, row(3)), profile)
    assert [one["Subject ID"][-1] for one in rows] == ["1", "1", "2", "3"]
    assert [(kind, line) for kind, line, _ in notes] == [("heading-again", 3), ("heading-again", 6)]


def test_another_heading_below_reorders_its_rows(profile: Profile) -> None:
    other = [*reversed(HEADINGS), "License Name"]
    rows, notes = told(raw(row(1), other, [*reversed(row(2)), "CC BY 4.0"]), profile)
    assert rows[1] == dict(zip(HEADINGS, row(2), strict=True))
    assert [kind for kind, _, _ in notes] == ["heading-again"]


ONE_READING = [
    ({"Study_Description": "CT ABD, PEL"}, "a comma in Study Description stands in no quotes"),
    ({"Study_Description": "A,B,C"}, "a comma in Study Description stands in no quotes"),
    ({"Study_Description": ","}, "a comma in Study Description stands in no quotes"),
    ({"Series_Description": "AX, THIN"}, "a comma in Series Description stands in no quotes"),
    ({"Manufacturer": "GE MEDICAL SYSTEMS, LLC"}, "a comma in Manufacturer stands in no quotes"),
]


@pytest.mark.parametrize(("cells", "cause"), ONE_READING)
@pytest.mark.parametrize("others", [0, 2])
def test_a_comma_in_no_quotes_is_put_right(profile: Profile, cells: dict[str, str], cause: str, others: int) -> None:
    fields = [row(1, **cells), *(row(2 + k) for k in range(others))]
    rows, notes = told(raw(*fields), profile)
    assert [list(one.values()) for one in rows] == fields
    assert notes == [("put-right", 2, cause)]
    assert told(quoted(*fields), profile) == (rows, [])


@pytest.mark.parametrize(
    ("size", "right"),
    [("84,84 MB", "84.84 MB"), ("1,234,56 KB", "1234.56 KB"), ("1,234 KB", "1234 KB"), ("125,24 MB", "125.24 MB")],
)
def test_a_decimal_comma(profile: Profile, size: str, right: str) -> None:
    fields = [row(1, File_Size=size), row(2, File_Size=size, Number_of_Images="63")]
    rows, notes = told(raw(*fields), profile)
    assert [one["File Size"] for one in rows] == [right, right]
    assert {detail for _, _, detail in notes} == {"File Size has a decimal comma"}


def test_several_causes_in_a_row(profile: Profile) -> None:
    fields = row(1, Study_Description="CT ABD, PEL", File_Size="84,84 MB")
    rows, notes = told(raw(fields, row(2)), profile)
    assert list(rows[0].values()) == row(1, Study_Description="CT ABD, PEL", File_Size="84.84 MB")
    assert [detail for _, _, detail in notes] == [
        "a comma in Study Description stands in no quotes",
        "File Size has a decimal comma",
    ]


@pytest.mark.parametrize("left_out", ["Study Description", "Study Date", "File Size", "Download Timestamp", "Modality"])
def test_a_field_too_few(profile: Profile, left_out: str) -> None:
    cells = {"Series_Description": "AX"}
    fields = [value for heading, value in zip(HEADINGS, row(1, **cells), strict=True) if heading != left_out]
    rows, notes = told(raw(fields, row(2)), profile)
    assert list(rows[0].values()) == row(1, **{**cells, left_out.replace(" ", "_"): ""})
    assert notes == [("put-right", 2, f"it has no field for {left_out}")]


def test_what_several_readings_share_is_kept(profile: Profile) -> None:
    # Which of the two holds the comma nobody can tell.
    fields = row(1, Series_Description="a,b", Manufacturer="Maker", File_Location="./x/y")
    lines = read_lines(raw(fields, row(2)), profile)
    lost, whole = lines.records
    assert (lost.unsure, whole.unsure) == (True, False)
    kept = dict(zip(HEADINGS, lost.fields, strict=True))
    assert (kept["Series Description"], kept["Manufacturer"]) == ("", "")
    assert all(value == dict(zip(HEADINGS, fields, strict=True))[heading] for heading, value in kept.items() if value)
    assert [(note["kind"], note["row"]) for note in lines.notes] == [("lost", 2)]


def test_a_field_of_no_column_leaves_what_comes_first(profile: Profile) -> None:
    lines = read_lines(raw([*row(1), "x"], row(2)), profile)
    assert lines.records[0].unsure
    assert lines.records[0].fields[0] == row(1)[0]
    assert [note["kind"] for note in lines.notes] == ["lost"]


def test_a_line_that_is_no_row_is_told_and_left_out(profile: Profile) -> None:
    rows, notes = told(raw(row(1), row(2), ["Total", "2 series"]), profile)
    assert len(rows) == 2
    assert notes == [("lost", 4, "it has 2 fields, the heading has 17")]


@pytest.mark.parametrize("surplus", [[""], ["", ""], ["x"]])
def test_fields_that_every_row_has_beyond_the_heading(profile: Profile, surplus: list[str]) -> None:
    for fields in ([*row(1), *surplus], [*surplus, *row(1)]):
        rows, notes = told(raw(fields, fields), profile)
        assert notes == []
        assert {heading: rows[0][heading] for heading in HEADINGS} == dict(zip(HEADINGS, row(1), strict=True))


def test_an_empty_field_at_the_end_of_one_row(profile: Profile) -> None:
    rows, notes = told(raw([*row(1), ""], row(2)), profile)
    assert list(rows[0].values()) == row(1)
    assert notes == [("put-right", 2, "an empty field stands at its end")]


@pytest.mark.parametrize("cut", [40, 60, 150, 300])
def test_a_file_that_was_cut_is_not_half_a_list(profile: Profile, cut: int) -> None:
    with pytest.raises(Problem, match="ragged") as caught:
        read_lines(raw(row(1), row(2), row(3))[:-cut].removesuffix("\n"), profile)
    assert (caught.value.detail, caught.value.line) == ("the file ends in the middle of a row: it was cut", 4)


_CELLS = st.text(alphabet="ABC ,.-", max_size=8)


@given(study=_CELLS, series=_CELLS, maker=_CELLS)
def test_no_reading_invents_anything(profile: Profile, study: str, series: str, maker: str) -> None:
    fields = row(1, Study_Description=study, Series_Description=series, Manufacturer=maker)
    text = raw(fields, row(2))
    lines = read_lines(text, profile)
    found = next(record for record in lines.records if record.line == 2)
    joined = ",".join(fields)
    assert all(value in joined for value in found.fields)
    if found.unsure:
        assert all(value in ("", right) for value, right in zip(found.fields, fields, strict=True))


def test_no_row_takes_long(profile: Profile) -> None:
    rows = [row(1, Study_Description=",".join("a" * 9), Series_Description="b,c") for _ in range(50)]
    lines = read_lines(raw(*rows, *[row(2)] * 60, ["x"] * 100_000), profile)
    assert len(lines.records) == 110


def read(folder: Path, profile: Profile, content: str) -> dict[str, list[dict[str, Any]]]:
    path = folder / "metadata.csv"
    path.write_text(content, encoding="utf-8", newline="")
    found = read_metadata(item_at(path), open_source(folder), profile)
    for name, rows in found.items():
        frame(name, rows)
    return found


@pytest.mark.parametrize(
    ("cells", "column", "detail"),
    [
        ({"Subject_ID": "CRLM-CT-1001\u00a0"}, "Subject ID", "no-break space"),
        ({"Subject_ID": "CRLM\u2013CT\u20131001"}, "Subject ID", "en dash"),
        ({"Subject_ID": "CRLM-CT-1001 "}, "Subject ID", "blank at an end"),
        ({"Series_UID": "1.3.6.1.4.1.14519.5.2.1.9203.8273.\u200b1"}, "Series UID", "zero width space"),
        ({"Study_Date": "06\u201307\u20131992"}, "Study Date", "en dash"),
        ({"Number_of_Images": "\u00a0161"}, "Number of Images", "no-break space"),
    ],
)
def test_what_can_not_be_seen_is_left_out_and_named(
    tmp_path: Path, profile: Profile, cells: dict[str, str], column: str, detail: str
) -> None:
    plain = read(tmp_path, profile, quoted(row(1)))
    found = read(tmp_path, profile, quoted(row(1, **cells)))
    assert found["metadata"] == plain["metadata"]
    (note,) = found["list_notes"]
    assert (note["kind"], note["row"], note["column"], note["detail"]) == ("invisible", 2, column, detail)


@pytest.mark.parametrize(
    "cells",
    [
        {"Number_of_Images": " 161 "},
        {"Study_Description": "CT\u00a0ABD \u2013 PEL "},
        {"Manufacturer": "GE MEDICAL SYSTEMS "},
        {"File_Location": " ./x "},
    ],
)
def test_texts_and_paths_are_left_as_they_are(tmp_path: Path, profile: Profile, cells: dict[str, str]) -> None:
    assert "list_notes" not in read(tmp_path, profile, quoted(row(1, **cells)))


def test_the_archives_list_of_series(tmp_path: Path, profile: Profile) -> None:
    content = (
        ",SeriesInstanceUID,StudyInstanceUID,Modality,StudyDate,Collection,PatientID,ImageCount,FileSize\n"
        f"0,1.2.840.1.1,1.2.840.1.2,CT,1992-06-07 00:00:00.0,{NAME},CRLM-CT-1001,161,84924280\n"
    )
    found = read(tmp_path, profile, content)
    assert found["sources"][0]["edition"] == "archive"
    (only,) = found["metadata"]
    assert (only["patient"], only["date"], only["images"]) == ("CRLM-CT-1001", "19920607", 161)
    assert only["size_decimal"] == only["size_binary"] == 84_924_280


def test_a_size_in_bytes_needs_a_heading_that_says_so(tmp_path: Path, profile: Profile) -> None:
    content = quoted(row(1, File_Size="84924280"))
    assert read(tmp_path, profile, content)["metadata"][0]["size_decimal"] is None
    said = content.replace("File Size", "File Size (Bytes)")
    assert read(tmp_path, profile, said)["metadata"][0]["size_decimal"] == 84_924_280


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_a_location_in_another_form_of_its_accents(
    tmp_path: Path, profile: Profile, on_disk: str, in_table: str
) -> None:
    import unicodedata

    name = "FOIE TRIPHAS\u00c9"
    (tmp_path / unicodedata.normalize(on_disk, name)).mkdir()
    content = quoted(row(1, File_Location=f"./{unicodedata.normalize(in_table, name)}"))
    (only,) = read(tmp_path, profile, content)["metadata"]
    assert only["location_problem"] is None
    assert only["folder"] == unicodedata.normalize(on_disk, name)
