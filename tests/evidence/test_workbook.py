"""Reading the clinical workbook: what people make of it, and what must not break or run."""

import csv
import datetime as dt
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from openpyxl.comments import Comment
from support.sources import item_at
from support.workbooks import MISSING, dictionary, edition, fired, plain_row, write

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.workbook.sheets import edition_rank, looks_like_workbook, read_workbook
from crlm_qc.model.tables import frame, schema
from crlm_qc.rules import registry

RULES = [item for item in registry() if item.family == "CLN"]
ROWS = [plain_row(1), plain_row(2)]


def read(path: Path, profile: Profile) -> dict[str, pd.DataFrame]:
    made = {name: frame(name, rows) for name, rows in read_workbook(item_at(path), profile).items()}
    for name, table in made.items():
        schema(name).validate(table)
    return made


def source(made: dict[str, pd.DataFrame]) -> Any:
    assert len(made["sources"]) == 1
    return made["sources"].iloc[0]


def cell(made: dict[str, pd.DataFrame], column: str, row: int = 2) -> Any:
    clinical = made["clinical"]
    (found,) = clinical[(clinical["column"] == column) & (clinical["row"] == row)].itertuples()
    return found


def facts(made: dict[str, pd.DataFrame]) -> list[tuple[str, str | None]]:
    table = made["workbook"]
    return [
        (fact, None if pd.isna(where) else where)
        for fact, where in zip(table["fact"], table["cell"], strict=True)
        if fact not in ("sheet", "property")
    ]


@pytest.fixture
def book(tmp_path: Path, profile: Profile) -> tuple[Any, Path]:
    path = tmp_path / "clinical.xlsx"
    return write(path, ROWS, profile), path


@pytest.mark.parametrize("name", ["October 2022", "April 2023"])
def test_a_clean_workbook(name: str, tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "tables.xlsx"
    write(path, ROWS, profile, name)
    made = read(path, profile)
    one = source(made)
    assert (one["edition"], one["n_rows"], one["path"], one["used"]) == (name, 2, "tables.xlsx", True)
    assert json.loads(one["columns"]) == list(edition(profile, name).columns)
    assert pd.isna(one["problem"])
    assert cell(made, "age").value == 60
    assert cell(made, "relevant_notes").type == "blank"
    assert cell(made, "Patient-ID").patient == "CRLM-CT-1001"
    assert list(made["clinical_dictionary"]["variable"])[:3] == ["id", "De-identify Scout Name", "age"]
    assert facts(made) == []
    assert fired(RULES, made, profile) == []
    assert looks_like_workbook(item_at(path), profile)


def test_editions_are_ranked(profile: Profile) -> None:
    assert [
        edition_rank({"edition": name}, profile) for name in (None, float("nan"), "October 2022", "April 2023")
    ] == [-1, -1, 0, 1]


def test_a_workbook_that_lost_a_column_keeps_its_edition(tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "a.xlsx"
    book = write(path, ROWS, profile, "April 2023")
    book.worksheets[0].delete_cols(6)
    book.save(path)
    assert source(read(path, profile))["edition"] == "April 2023"


def test_a_renamed_sheet_among_others_below_a_title(tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "a.xlsx"
    book = write(path, ROWS, profile)
    sheet = book.worksheets[0]
    sheet.title = "Final (2)"
    sheet.insert_rows(1, 2)
    sheet["A1"] = "Patients of the release"
    book.create_sheet("Scratch", 0)["A1"] = "age"
    book.create_sheet("Empty", 0)
    book.save(path)
    made = read(path, profile)
    assert source(made)["n_rows"] == 2
    assert cell(made, "age", 4).value == 60
    assert fired(RULES, made, profile) == []


def test_trailing_blank_rows_and_formatted_cells_are_no_rows(book: tuple[Any, Path], profile: Profile) -> None:
    sheet = book[0].worksheets[0]
    for number in range(4, 400):
        sheet.cell(number, 3).number_format = "0%"
        sheet.cell(number, 4).value = "  "
    book[0].save(book[1])
    made = read(book[1], profile)
    assert source(made)["n_rows"] == 2
    assert len(made["clinical"]) == 2 * 28


def test_values_are_kept_as_found(book: tuple[Any, Path], profile: Profile) -> None:
    sheet = book[0].worksheets[0]
    heading = {found.value: found.column for found in sheet[1]}

    def put(column: str, value: Any, number_format: str | None = None) -> None:
        sheet.cell(2, heading[column]).value = value
        if number_format:
            sheet.cell(2, heading[column]).number_format = number_format

    put("age", "61")
    put("necrosis_percent", "70%")
    put("fibrosis_percent", 0.15, "0%")
    put("overall_survival_months", dt.date(2001, 2, 3))
    put("sex", True)
    put("vital_status", "#N/A")
    put("mucin_percent", "=1+1")
    put("relevant_notes", "Grüße, 日本")
    book[0].save(book[1])
    made = read(book[1], profile)
    shown = {name: (cell(made, name).type, cell(made, name).text) for name in heading if name in ("age", "sex")}
    assert shown == {"age": ("text", "61"), "sex": ("boolean", "TRUE")}
    assert cell(made, "age").value == 61
    assert (cell(made, "necrosis_percent").type, cell(made, "necrosis_percent").value) == ("text", 0.7)
    assert (cell(made, "fibrosis_percent").value, cell(made, "fibrosis_percent").number_format) == (0.15, "0%")
    assert (cell(made, "overall_survival_months").type, cell(made, "overall_survival_months").text[:10]) == (
        "date",
        "2001-02-03",
    )
    assert cell(made, "vital_status").type == "error"
    assert (cell(made, "mucin_percent").type, cell(made, "mucin_percent").text) == ("formula", "=")
    assert cell(made, "relevant_notes").text == "Grüße, 日本"
    assert [code for code, *_ in fired(RULES, made, profile)] == [
        "CLN005",
        "CLN007",
        "CLN009",
        "CLN024",
        "CLN026",
        "CLN028",
    ]


def test_merged_cells_read_as_blanks_and_are_told(book: tuple[Any, Path], profile: Profile) -> None:
    book[0].worksheets[0].merge_cells("C2:C3")
    book[0].save(book[1])
    made = read(book[1], profile)
    assert facts(made) == [("merged", "C2:C3")]
    assert fired(RULES, made, profile) == [("CLN007", "CRLM-CT-1002", 3, "age")]


def test_what_is_hidden_is_seen(book: tuple[Any, Path], profile: Profile) -> None:
    sheet = book[0].worksheets[0]
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["F"].hidden = True
    sheet["D2"].comment = Comment("ask Dr Smith", "Smith")
    book[0].create_sheet("Secret").sheet_state = "veryHidden"
    book[0].save(book[1])
    made = read(book[1], profile)
    assert facts(made) == [("hidden-column", "F"), ("hidden-row", "3"), ("comment", "D2"), ("hidden-sheet", None)]
    assert not any("Smith" in str(value) for table in made.values() for value in table.to_numpy().ravel())
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN025"] * 4


def test_properties_that_name_a_person_are_named_without_their_value(book: tuple[Any, Path], profile: Profile) -> None:
    book[0].properties.lastModifiedBy = "Jane Roe"
    book[0].save(book[1])
    _rewrite(
        book[1],
        {"xl/workbook.xml": lambda text: text.replace("<sheets>", '<absPath url="/Users/roe/Desktop/"/><sheets>')},
    )
    made = read(book[1], profile)
    table = made["workbook"]
    # What openpyxl writes for itself as creator names nobody.
    assert list(table.loc[table["fact"] == "property", "name"]) == ["lastModifiedBy", "absPath"]
    assert not any("roe" in str(value).lower() for value in table.to_numpy().ravel())


def _rewrite(path: Path, changes: dict[str, Any], more: dict[str, bytes] | None = None) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        parts[name] = change(parts[name].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, **(more or {})}.items():
            archive.writestr(name, content)


def test_macros_and_links_are_seen_and_not_followed(book: tuple[Any, Path], profile: Profile) -> None:
    _rewrite(book[1], {}, {"xl/vbaProject.bin": b"x", "xl/externalLinks/externalLink1.xml": b"<externalLink/>"})
    made = read(book[1], profile)
    assert facts(made) == [("macro", None), ("external-link", None)]
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN024", "CLN024"]


def test_a_heading_twice_and_a_column_without_heading(book: tuple[Any, Path], profile: Profile) -> None:
    sheet = book[0].worksheets[0]
    sheet.cell(1, 29).value = "age"
    sheet.cell(2, 31).value = 5
    book[0].save(book[1])
    made = read(book[1], profile)
    assert json.loads(source(made)["columns"])[-2:] == ["age[2]", "[AE]"]
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN003", "CLN003"]


# Files that can't be used


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.xlsx", b"", "empty"),
        ("a.xlsx", b"Patient-ID,age,sex\n", "not-xlsx"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "not-xlsx"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        ("a.xlsx", b"PK\x03\x04" + bytes(99), "malformed"),
        ("a.csv", b"PK\x03\x04" + bytes(99), "malformed"),
        ("a.csv", b"\x00\x01\x02", "not-xlsx"),
        ("a.csv", b"a,b,c\n1,2,3\n", "no-patient-sheet"),
        ("a.csv", b'Patient-ID,age,sex\nCRLM-CT-1001,"6', "malformed"),
    ],
)
def test_a_file_that_can_t_be_used_says_why(
    name: str, content: bytes, problem: str, tmp_path: Path, profile: Profile
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    made = read(path, profile)
    assert source(made)["problem"] == problem
    assert source(made)["detail"]
    assert made["clinical"].empty
    assert [code for code, *_ in fired(RULES, made, profile)] == ["CLN001"]


def test_a_file_that_is_not_there(tmp_path: Path, profile: Profile) -> None:
    assert source(read(tmp_path / "gone.xlsx", profile))["problem"] == "unreadable"
    assert not looks_like_workbook(item_at(tmp_path / "gone.xlsx"), profile)


def test_a_zip_of_something_else(tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    assert source(read(path, profile))["problem"] == "not-xlsx"
    assert not looks_like_workbook(item_at(path), profile)


def test_a_workbook_without_a_patient_sheet(tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "a.xlsx"
    openpyxl.Workbook().save(path)
    assert source(read(path, profile))["problem"] == "no-patient-sheet"


def test_every_cut_of_a_workbook_is_told(book: tuple[Any, Path], profile: Profile) -> None:
    content = book[1].read_bytes()
    for part in range(1, 10):
        book[1].write_bytes(content[: len(content) * part // 10])
        assert source(read(book[1], profile))["problem"] == "malformed"


@pytest.mark.parametrize(
    "part",
    [
        "xl/workbook.xml",
        "xl/worksheets/sheet1.xml",
        "docProps/core.xml",
        "xl/styles.xml",
        "[Content_Types].xml",
        "xl/_rels/workbook.xml.rels",
    ],
)
@pytest.mark.parametrize("damage", ["cut", "entities", "other"])
def test_damaged_parts_never_crash(part: str, damage: str, book: tuple[Any, Path], profile: Profile) -> None:
    change = {
        "cut": lambda text: text[: len(text) // 2],
        "entities": lambda text: '<!DOCTYPE x [<!ENTITY a "b">]>' + text,
        "other": lambda text: "<x><y/></x>",
    }[damage]
    _rewrite(book[1], {part: change})
    problem = source(read(book[1], profile))["problem"]
    if damage != "other":
        assert problem == "malformed"
    assert problem in ("malformed", "no-patient-sheet") or part in ("xl/styles.xml", "docProps/core.xml")


def test_a_zip_bomb_is_refused(book: tuple[Any, Path], profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crlm_qc.evidence.limits.WORKBOOK_BYTES", 200_000)
    _rewrite(book[1], {}, {"xl/media/image1.png": bytes(300_000)})
    assert book[1].stat().st_size < 200_000
    assert source(read(book[1], profile))["problem"] == "too-large"


def test_far_cells_and_huge_ranges_cost_nothing(book: tuple[Any, Path], profile: Profile) -> None:
    row = '<row r="999999999"><c r="XFD999999999"><v>1</v></c></row></sheetData><mergeCells><mergeCell ref="A5:XFD1048576"/></mergeCells>'
    _rewrite(book[1], {"xl/worksheets/sheet1.xml": lambda text: text.replace("</sheetData>", row)})
    made = read(book[1], profile)
    assert source(made)["n_rows"] == 2
    assert facts(made) == [("merged", "A5:XFD1048576")]


# CSV


def _csv(path: Path, profile: Profile, delimiter: str = ",", encoding: str = "utf-8", comma: bool = False) -> None:
    columns = edition(profile, "October 2022").columns
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        for row in ROWS:
            texts = ["" if row[column] is None else str(row[column]) for column in columns]
            writer.writerow([text.replace(".", ",") if comma else text for text in texts])
        writer.writerow([""] * len(columns))


@pytest.mark.parametrize(
    ("delimiter", "encoding", "comma"),
    [(",", "utf-8", False), (",", "utf-8-sig", False), ("\t", "utf-16", False), (";", "cp1252", True)],
)
def test_a_csv_export_reads_like_the_workbook(
    delimiter: str, encoding: str, comma: bool, tmp_path: Path, profile: Profile
) -> None:
    path = tmp_path / "export.csv"
    _csv(path, profile, delimiter, encoding, comma)
    made = read(path, profile)
    assert (source(made)["edition"], source(made)["n_rows"]) == ("October 2022", 2)
    assert (cell(made, "fibrosis_percent").type, cell(made, "fibrosis_percent").value) == ("number", 0.15)
    assert fired(RULES, made, profile) == []
    assert looks_like_workbook(item_at(path), profile)


def test_percents_of_a_csv_export_are_read_and_told(tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "export.csv"
    names = ("total_response_percent", "necrosis_percent", "fibrosis_percent", "mucin_percent")
    rows = [dict(row) for row in ROWS]
    rows[0] |= dict(zip(names, ("50%", "30%", "15%", "5%"), strict=True))
    rows[1] |= dict.fromkeys(names, "-99900%") | {"fibrosis_greater_40_percent": MISSING}
    columns = edition(profile, "October 2022").columns
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([row[column] for column in columns] for row in rows)
    made = read(path, profile)
    assert [cell(made, name).value for name in names] == [0.5, 0.3, 0.15, 0.05]
    assert cell(made, names[0], 3).value == MISSING
    assert {code for code, *_ in fired(RULES, made, profile)} == {"CLN009"}


def test_other_tables_are_not_taken_for_the_workbook(tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text(",".join(profile.metadata_columns) + "\n")
    assert not looks_like_workbook(item_at(path), profile)
    lock = tmp_path / "~$Clinical data.xlsx"
    lock.write_bytes(b"x")
    assert not looks_like_workbook(item_at(lock), profile)
    broken = tmp_path / "Clinical data.xlsx"
    broken.write_bytes(b"x")
    assert looks_like_workbook(item_at(broken), profile)
    other = tmp_path / "other.xlsx"
    openpyxl.Workbook().save(other)
    assert not looks_like_workbook(item_at(other), profile)


def test_the_dictionary_may_be_long_and_blank(book: tuple[Any, Path], profile: Profile) -> None:
    sheet = book[0].worksheets[1]
    for number in range(40, 3000):
        sheet.cell(number, 1).number_format = "0"
    book[0].save(book[1])
    assert len(read(book[1], profile)["clinical_dictionary"]) == len(
        dictionary(edition(profile, "October 2022").columns)
    )


@pytest.mark.reference
def test_the_published_workbook_is_read(reference: Path, profile: Profile) -> None:
    path = reference / "Colorectal Liver Metastases Clinical data October 2022.xlsx"
    made = read(path, profile)
    assert (source(made)["edition"], source(made)["n_rows"]) == ("October 2022", 197)
    assert len(made["clinical_dictionary"]) == 28
    assert facts(made) == []
    table = made["workbook"]
    assert list(table.loc[table["fact"] == "property", "name"]) == ["creator", "lastModifiedBy", "absPath"]
    assert looks_like_workbook(item_at(path), profile)


def test_a_researchers_own_table_is_no_workbook(tmp_path: Path, profile: Profile) -> None:
    table = tmp_path / "features.csv"
    table.write_text("Patient-ID,age,sex,vital_status,feature_1,feature_2\nCRLM-CT-1001,55,1,0,0.1,0.2\n")
    assert not looks_like_workbook(item_at(table), profile)


def test_a_damaged_archive_of_any_name_is_a_document(tmp_path: Path, profile: Profile) -> None:
    whole = tmp_path / "supplement.xlsx"
    write(whole, [plain_row(1)], profile).save(whole)
    content = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as archive:
        part = archive.getinfo("xl/worksheets/sheet1.xml")
    for start in range(part.header_offset + 60, part.header_offset + part.compress_size, 16):
        damaged = content.copy()
        damaged[start : start + 8] = bytes(8)
        whole.write_bytes(damaged)
        looks_like_workbook(item_at(whole), profile)
