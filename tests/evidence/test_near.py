"""What lies where a table is missing: named with what to do, and with nothing that it holds."""

import os
from pathlib import Path

import pytest

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.lone_tables import collect_tables
from crlm_qc.evidence.near import near_misses
from crlm_qc.evidence.release import find_release
from crlm_qc.evidence.source import Folder, local_file
from crlm_qc.model.errors import ReleaseError

EVERY = ("metadata", "clinical", "manifest")


def near(folder: Path, name: str, content: bytes = b"secret") -> list[tuple[str, str, str]]:
    (folder / name).write_bytes(content)
    item = local_file(folder / name)
    assert item is not None
    return [(one.part, one.problem, one.detail) for one in near_misses([item], EVERY)]


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        ("metadata.xlsx", "metadata", "an Excel workbook: save it as metadata.csv"),
        ("metadata.ods", "metadata", "an OpenDocument spreadsheet: save it as metadata.csv"),
        ("metadata.tsv", "metadata", "parted by tabs: save it as metadata.csv"),
        ("metadata.csv.txt", "metadata", "call it metadata.csv"),
        ("metadata.json", "metadata", "export metadata.csv anew"),
        ("Clinical data.ods", "clinical", "an OpenDocument spreadsheet: save it as Excel Workbook (.xlsx)"),
        ("table.fods", "clinical", "save it as Excel Workbook (.xlsx)"),
        ("table.xlsb", "clinical", "save it as Excel Workbook (.xlsx)"),
        ("table.numbers", "clinical", "save it as Excel Workbook (.xlsx)"),
        ("clinical.tsv", "clinical", "save it as Excel Workbook (.xlsx)"),
        ("clinical.csv", "clinical", "too few of the workbook's headings: get the workbook itself (.xlsx)"),
        ("clinical.pdf", "clinical", "a PDF document: get the workbook itself (.xlsx)"),
        ("clinical.html", "clinical", "a web page (HTML): get the workbook itself (.xlsx)"),
        ("anything.s5cmd", "manifest", "a list of the Imaging Data Commons: get the .tcia file"),
        ("manifest.txt", "manifest", "no .tcia manifest"),
        ("manifest-1.csv", "manifest", "a table, no .tcia manifest"),
    ],
)
def test_other_forms(tmp_path: Path, name: str, part: str, said: str) -> None:
    ((found, problem, detail),) = near(tmp_path, name)
    assert (found, problem) == (part, "other-form")
    assert said in detail
    assert "secret" not in detail


@pytest.mark.parametrize(
    ("name", "part"),
    [("metadata.csv.part", "metadata"), ("Clinical.xlsx.crdownload", "clinical"), (".x.tcia.Ab12Cd", "manifest")],
)
def test_unfinished_downloads(tmp_path: Path, name: str, part: str) -> None:
    assert [one[:2] for one in near(tmp_path, name)] == [(part, "unfinished")]


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        ("metadata.csv.gz", "metadata", "compressed with gzip: unpack"),
        ("metadata.zip", "metadata", "a zip archive: unpack"),
        ("Clinical data.xlsx.zip", "clinical", "a zip archive: unpack"),
        ("CRLM.xlsx.dvc", "clinical", "a DVC pointer: fetch the content with dvc pull"),
        ("November manifest.7z", "manifest", "a 7z archive: unpack"),
    ],
)
def test_what_is_packed_or_elsewhere(tmp_path: Path, name: str, part: str, said: str) -> None:
    assert near(tmp_path, name) == [(part, "other-form", said)]


@pytest.mark.parametrize("name", ["manifest-1669817128730.zip", "CRLM-CT-1001.zip", "1-01.dcm.gz", "clinical.nii.gz"])
def test_archives_of_images_are_no_tables(tmp_path: Path, name: str) -> None:
    assert near(tmp_path, name) == []


def test_what_stands_in_its_place_is_told_before_its_form(tmp_path: Path) -> None:
    assert near(tmp_path, "metadata.tsv", b"<html></html>")[0][2].startswith("a web page (HTML): download again")
    assert near(tmp_path, "clinical.ods", b"version https://git-lfs.github.com/spec/v1")[0][2].startswith("a git LFS")


@pytest.mark.parametrize(
    "name", ["README.md", "features.csv", "radiomics.xlsx", "notes.pdf", "log.txt", "a.tmp", "1-01.dcm.part", "x.json"]
)
def test_other_files_are_none(tmp_path: Path, name: str) -> None:
    assert near(tmp_path, name) == []


def release(folder: Path, *names: str) -> list[tuple[str, str]]:
    series = folder / "in" / "Colorectal-Liver-Metastases" / "CRLM-CT-1001" / "a"
    series.mkdir(parents=True)
    (series / "1-01.dcm").write_bytes(bytes(128) + b"DICM")
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    return [(one.part, one.item.path) for one in find_release(folder / "in", load_profile()).near]


def test_beside_the_release_only_what_speaks_of_it_counts(tmp_path: Path) -> None:
    assert release(tmp_path, "budget.ods", "my metadata.xlsx", "clinical.ods", "thesis.part") == [
        ("clinical", "clinical.ods"),
        ("metadata", "my metadata.xlsx"),
    ]


def test_in_the_release_comes_first_and_is_no_stray_file(tmp_path: Path) -> None:
    inside = "in/Colorectal-Liver-Metastases/metadata.ods"
    assert release(tmp_path, inside, "metadata.xlsx") == [("metadata", inside.removeprefix("in/"))]
    kinds = {one.item.name: one.kind for one in find_release(tmp_path / "in", load_profile()).others}
    assert kinds["metadata.ods"] == "document"


def test_archives_of_patients_and_series_that_lie_nowhere(tmp_path: Path) -> None:
    names = ("CRLM-CT-1001.zip", "CRLM-CT-1002.tar.gz", "1.2.3.45678.zip", "old.zip", "CRLM-CT-1002.txt")
    release(tmp_path, *(f"in/{name}" for name in names))
    others = find_release(tmp_path / "in", load_profile()).others
    assert {one.item.name for one in others if one.kind == "unexpected"} == {"CRLM-CT-1002.tar.gz", "1.2.3.45678.zip"}


def test_tables_alone_refuse_with_what_a_file_is(tmp_path: Path) -> None:
    for name, content, said in [
        ("clinical.ods", b"x", "is an OpenDocument spreadsheet: save it as Excel Workbook"),
        ("a.html", b"<html>", "is a web page (HTML): get the workbook itself"),
        ("a.bin", b"\x1f\x8b", "is no metadata.csv, no clinical workbook and no manifest"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReleaseError) as error:
            collect_tables([tmp_path / name], load_profile())
        assert said in str(error.value)


def test_links_tell_where_their_content_is(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(".git/annex/objects/x")
    (tmp_path / "b").symlink_to("/nowhere/blobs/" + "a" * 40)
    (tmp_path / "c").symlink_to("nothing")
    found = {item.name: (item.problem, item.content) for item in Folder(tmp_path).tree().items}
    assert found == {
        "a": ("link-broken", "annex-link"),
        "b": ("link-outside", "cache-link"),
        "c": ("link-broken", None),
    }


def test_tables_alone_whose_names_are_no_unicode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # As any name beyond ASCII is where the locale is C.
    path = Path(os.fsdecode(b"met\xe4data.csv"))
    path.write_text("Series UID,Collection,Subject ID,Study UID\n1.2,a,b,1.3\n")
    (shown,) = collect_tables([path], load_profile())["sources"]["path"]
    assert shown == "met\N{REPLACEMENT CHARACTER}data.csv"
