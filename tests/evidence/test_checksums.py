"""Checksums of the downloader: the list, and the files beside it."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.checksums import LIST_NAME, checksum_rows, read_lists
from crlm_qc.evidence.patient import read_patient
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.source import Item
from crlm_qc.model.settings import Depth

MD5 = {name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in ("a", "b", "c")}
PATIENT = "CRLM-CT-1001"
FOLDER = f"{PATIENT}/study/series"


def items(root: Path, content: bytes, *names: str, folder: str = FOLDER) -> tuple[Item, ...]:
    (root / folder).mkdir(parents=True)
    for name in names:
        (root / folder / name).write_bytes(name[0].encode())
    (root / folder / LIST_NAME).write_bytes(content)
    return tuple(open_source(root).tree().items)


def states(root: Path, content: str, *names: str, digests: dict[str, str] | None = None) -> dict[str, str]:
    found = items(root, content.encode(), *names)
    lists = read_lists(PATIENT, found, [])
    known = {f"{FOLDER}/{name}": MD5[name[0].lower()] for name in names} if digests is None else digests
    return {row["path"].removeprefix(f"{FOLDER}/"): row["state"] for row in checksum_rows(PATIENT, lists, found, known)}


HEADING = "Filename,MD5Hash\n"


@pytest.mark.parametrize("heading", [HEADING, "\ufeff" + HEADING, ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_are_compared_by_name(tmp_path: Path, heading: str, end: str) -> None:
    lines = (f"a.dcm,{MD5['a']}", f'"b.dcm","{MD5["c"].upper()}"', f"c.dcm,{MD5['c']}", "d.dcm,null", "")
    assert states(tmp_path, heading + end.join(lines), "a.dcm", "b.dcm") == {
        "a.dcm": "right",
        "b.dcm": "wrong",
        "c.dcm": "absent",
    }


def test_a_file_that_was_not_read(tmp_path: Path) -> None:
    assert states(tmp_path, f"a.dcm,{MD5['a']}", "a.dcm", digests={}) == {"a.dcm": "not-read"}


def test_names_in_capitals_and_in_folders(tmp_path: Path) -> None:
    assert states(tmp_path, f"x/y/a.dcm,{MD5['a']}", "A.DCM") == {"A.DCM": "right"}


def test_files_of_other_names_are_compared_with_all_that_are_listed(tmp_path: Path) -> None:
    listed = f"{HEADING}1-01.dcm,{MD5['a']}\n1-02.dcm,{MD5['b']}\n"
    assert states(tmp_path, listed, "a000.dcm", "c001.dcm") == {"a000.dcm": "right", "c001.dcm": "wrong"}


@pytest.mark.parametrize("folder", [FOLDER + "/@eaDir", FOLDER + "/.git"])
def test_lists_of_systems_are_none(tmp_path: Path, folder: str) -> None:
    assert read_lists(PATIENT, items(tmp_path, f"a.dcm,{MD5['a']}".encode(), folder=folder), []) == {}


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_content_is_a_list_or_none(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = items(tmp_path_factory.mktemp("any"), content, "a.dcm")
    rows = checksum_rows(PATIENT, read_lists(PATIENT, found, []), found, {})
    assert {row["state"] for row in rows} <= {"absent", "not-read"}


@pytest.mark.parametrize(
    ("depth", "hashed", "state"),
    [(Depth.PIXELS, False, "right"), (Depth.MASKS, False, "not-read"), (Depth.HEADERS, True, "right")],
)
def test_the_md5_is_worked_out_where_all_bytes_are_read(
    tmp_path: Path, profile: Profile, depth: Depth, hashed: bool, state: str
) -> None:
    found = items(tmp_path, f"a.dcm,{MD5['a']}".encode(), "a.dcm")
    read = read_patient(PATIENT, found, profile, depth, hashed=hashed)
    assert [row["state"] for row in read.rows["checksums"]] == [state]
