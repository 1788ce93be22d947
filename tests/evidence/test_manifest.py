"""Reading the .tcia manifest."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sources import item_at

from crlm_qc.evidence.manifest import read_manifest
from crlm_qc.model.tables import frame

HEAD = (
    "downloadServerUrl=https://example.org/servlet\nincludeAnnotation=true\nnoOfrRetry=4\n"
    "databasketId=manifest-1669817128730.tcia\nmanifestVersion=3.0\n"
)
LIST = HEAD + "ListOfSeriesToDownload=\n1.2.3\n\n 1.2.4 \nx\n"


def read(folder: Path, content: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    path = folder / "m.tcia"
    path.write_bytes(content)
    found = read_manifest(item_at(path))
    for name, rows in found.items():
        frame(name, rows)
    (source,) = found["sources"]
    assert (source["source"], source["path"], source["used"]) == ("manifest", "m.tcia", True)
    return source, found["manifest"]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_entries_with_their_lines(tmp_path: Path, bom: bytes, end: str) -> None:
    source, rows = read(tmp_path, bom + LIST.replace("\n", end).encode())
    assert rows == [{"line": 7, "entry": "1.2.3"}, {"line": 9, "entry": "1.2.4"}, {"line": 10, "entry": "x"}]
    assert source["n_rows"] == 3
    assert source.get("problem") is None


def test_an_entry_on_the_line_of_the_key(tmp_path: Path) -> None:
    _, rows = read(tmp_path, b"ListOfSeriesToDownload=1.2.3\n1.2.4")
    assert rows == [{"line": 1, "entry": "1.2.3"}, {"line": 2, "entry": "1.2.4"}]


@pytest.mark.parametrize(
    ("content", "problem", "line"),
    [
        (b"", "empty", None),
        (HEAD.encode(), "no-list", None),
        (HEAD.encode() + b"1.2.3\n", "no-list", None),
        (b"some text\n", "not-manifest", None),
        (HEAD.encode() + b"ListOfSeriesToDownload=\n\n", "no-entries", 6),
        (HEAD.encode() + b"\xff\n", "encoding", 6),
    ],
)
def test_a_file_that_gives_no_list(tmp_path: Path, content: bytes, problem: str, line: int | None) -> None:
    source, rows = read(tmp_path, content)
    assert (source["problem"], source["line"], rows) == (problem, line, [])
    assert source["detail"]


def test_a_file_that_can_not_be_opened(tmp_path: Path) -> None:
    assert read_manifest(item_at(tmp_path / "m.tcia"))["sources"][0]["problem"] == "permission"


@given(
    content=st.binary(max_size=200)
    | st.text(alphabet="ListOfSeriesToDownload=\r\n1.2\u2028", max_size=200).map(str.encode)
)
def test_no_bytes_make_it_raise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    read(tmp_path_factory.getbasetemp(), content)


ONE, TWO, THREE = (f"1.3.6.1.4.1.14519.5.2.1.9203.8273.{number}" for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("listed", "entries", "details"),
    [
        (f"{ONE},\n{TWO},\n{THREE}\n", [ONE, TWO, THREE], ["commas", "commas"]),
        (f"{ONE},{TWO};{THREE}\n", [ONE, TWO, THREE], ["commas", "semicolons"]),
        (f"{ONE} {TWO}\t{THREE}\n", [ONE, TWO, THREE], ["tab", "several UIDs"]),
        (f'"{ONE}"\n', [ONE], ["quotes"]),
        (f"'{ONE}',\n", [ONE], ["commas", "quotes"]),
        (f"# one\n{ONE}\n// two\n", [ONE], ["comments", "comments"]),
        (f"{ONE},CT,161\n", [ONE], ["commas", "other values"]),
        (f"{ONE} # the CT\n", [ONE], ["other values"]),
        (f"{ONE}\u200b\n", [ONE], ["zero width space"]),
        (f"  {ONE}\u0020\n\n", [ONE], []),
        ("x,y\n", ["x,y"], []),
        (f"{ONE}x\n", [f"{ONE}x"], []),
    ],
)
def test_what_stands_round_the_uids_is_noted(
    tmp_path: Path, listed: str, entries: list[str], details: list[str]
) -> None:
    path = tmp_path / "m.tcia"
    path.write_text(f"{HEAD}ListOfSeriesToDownload=\n{listed}", encoding="utf-8")
    found = read_manifest(item_at(path))
    assert [row["entry"] for row in found["manifest"]] == entries
    notes = found.get("list_notes", [])
    frame("list_notes", notes)
    assert [note["detail"] for note in notes] == details


def test_a_list_of_comments_alone_names_no_series(tmp_path: Path) -> None:
    source, rows = read(tmp_path, f"{HEAD}ListOfSeriesToDownload=\n# none\n".encode())
    assert (source["problem"], rows) == ("no-entries", [])
