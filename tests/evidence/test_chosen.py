"""Which tables and lists an audit uses, and which of them it reads as one."""

import json
from typing import Any

import pytest

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.chosen import Read, choose_sources, folders_of_others
from crlm_qc.evidence.release import Candidate
from crlm_qc.evidence.source import Item

Row = dict[str, Any]


def uid(profile: Profile, number: int) -> str:
    return f"{profile.uid_root}.{number}"


def table(profile: Profile, path: str, numbers: list[int], *, fewer: int = 0, **change: Any) -> Read:
    """A metadata.csv, its rows of some series."""
    rows = [
        {"row": line, "series_uid": uid(profile, number), "collection": profile.name, "patient": "CRLM-CT-1001"}
        | {"number_of_images": "7", "images": 7, "folder": None}
        | change
        for line, number in enumerate(numbers, start=2)
    ]
    headings = profile.metadata_columns[: len(profile.metadata_columns) - fewer]
    source = {"source": "metadata", "path": path, "used": True, "columns": json.dumps(headings), "n_rows": len(rows)}
    return Read(Candidate("metadata", Item(path, len(path))), {"sources": [source], "metadata": rows})


def damaged(path: str, problem: str = "ragged") -> Read:
    columns = json.dumps(["Series UID"]) if problem == "ragged" else None
    source = {"source": "metadata", "path": path, "used": True, "problem": problem, "columns": columns}
    return Read(Candidate("metadata", Item(path, None)), {"sources": [source], "metadata": []})


def manifest(path: str, entries: list[str]) -> Read:
    source = {"source": "manifest", "path": path, "used": True, "n_rows": len(entries)}
    rows = [{"line": line, "entry": entry} for line, entry in enumerate(entries, start=7)]
    return Read(Candidate("manifest", Item(path, len(path))), {"sources": [source], "manifest": rows})


def chosen(profile: Profile, *read: Read, here: tuple[int, ...] = ()) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """Of each file what it is beside the others, `used` where it is read; and the rows."""
    parts: dict[str, list[Read]] = {"metadata": [], "clinical": [], "manifest": []}
    for one in read:
        parts[one.candidate.part].append(one)
    rows: dict[str, list[Row]] = {"metadata": [], "manifest": [], "sources": []}
    for found in choose_sources(parts, profile, {uid(profile, number) for number in here}):
        for name in rows:
            rows[name] += found.get(name, [])
    told = {
        row["path"]: ("used " if row["used"] else "") + (row.get("relation") or "")
        for row in sorted(rows["sources"], key=lambda row: str(row["path"]))
    }
    return told, rows


def test_parts_are_read_as_one_each_series_once(profile: Profile) -> None:
    told, rows = chosen(profile, table(profile, "a", [1, 2]), table(profile, "b", [2, 3]))
    assert told == {"a": "used part", "b": "used part"}
    assert [(row["path"], row["row"]) for row in rows["metadata"]] == [("a", 2), ("a", 3), ("b", 3)]


@pytest.mark.parametrize(
    ("second", "relation"),
    [
        ({"numbers": [1]}, "repeat"),
        ({"numbers": [1], "number_of_images": "7 ", "manufacturer": "GE"}, "repeat"),
        ({"numbers": [1], "number_of_images": "9", "images": 9}, "edition"),
        # A researcher's own list of series has fewer columns, and is no part of a download.
        ({"numbers": [1, 9], "fewer": 5}, "edition"),
    ],
)
def test_what_adds_no_series_is_not_read(profile: Profile, second: dict[str, Any], relation: str) -> None:
    told, rows = chosen(profile, table(profile, "a", [1, 2]), table(profile, "b", **second))
    assert told == {"a": "used ", "b": relation}
    assert len(rows["metadata"]) == 2


def test_the_table_of_most_series_on_disk_is_read_first(profile: Profile) -> None:
    told, rows = chosen(profile, table(profile, "backup/a", [1]), table(profile, "b", [1, 2]), here=(1, 2))
    assert told == {"backup/a": "repeat", "b": "used "}
    assert [row["path"] for row in rows["metadata"]] == ["b", "b"]


def test_rows_of_parts_that_differ_are_counted(profile: Profile) -> None:
    second = table(profile, "b", [1, 2, 3], number_of_images="9", images=9)
    _, rows = chosen(profile, table(profile, "a", [1, 2]), second)
    source = rows["sources"][1]
    assert (source["n_differing"], json.loads(source["differing"])) == (2, ["Number of Images"])
    assert [row["images"] for row in rows["metadata"]] == [7, 7, 9]


def test_a_row_goes_by_the_folder_that_is_there(profile: Profile) -> None:
    second = table(profile, "b", [1, 2], folder="manifest-2/x", file_location="./x")
    _, rows = chosen(profile, table(profile, "a", [1]), second)
    assert [row["folder"] for row in rows["metadata"]] == ["manifest-2/x", "manifest-2/x"]


def test_a_table_of_another_collection_is_left_alone(profile: Profile) -> None:
    other = table(profile, "a", [1], collection="HCC-TACE-Seg", patient=None, folder="there")
    told, rows = chosen(profile, other, table(profile, "b", [1, 2]), here=(1, 2))
    assert told == {"a": "other-collection", "b": "used "}
    assert len(rows["metadata"]) == 2
    assert folders_of_others({"metadata": [other]}, profile) == {"there"}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, 1),
        ({"series_uid": "1.2.x"}, 2),
        ({"patient": "CRLM-CT-1002"}, 2),
        ({"folder": None}, 2),
        ({"collection": None}, 2),
    ],
)
def test_rows_of_another_collection_in_the_same_list_are_left_alone(
    profile: Profile, change: dict[str, Any], kept: int
) -> None:
    ours = table(profile, "a", [1])
    other = {"row": 3, "series_uid": "1.2.3", "collection": "HCC-TACE-Seg", "patient": None, "folder": "there"}
    ours.rows["metadata"].append(other | change)
    _, rows = chosen(profile, ours, manifest("m", [uid(profile, 1), "1.2.3"]), here=(1,))
    assert (len(rows["metadata"]), len(rows["manifest"])) == (kept, kept)


def test_a_table_whose_collection_was_edited_is_known_by_its_series(profile: Profile) -> None:
    edited = {"collection": "mine", "patient": None}
    assert chosen(profile, table(profile, "a", [1], **edited), here=(1,))[0] == {"a": "used "}
    assert chosen(profile, table(profile, "a", [1], **edited), here=(2,))[0] == {"a": "other-collection"}


def test_a_damaged_table_counts_where_its_rows_are_needed(profile: Profile) -> None:
    whole = table(profile, "a", [1])
    assert chosen(profile, whole, damaged("b"), here=(1,))[0] == {"a": "used ", "b": "edition"}
    assert chosen(profile, table(profile, "a", [1]), damaged("b"), here=(1, 2))[0] == {"a": "part", "b": "used part"}
    assert chosen(profile, damaged("b"))[0] == {"b": "used "}


@pytest.mark.parametrize("problem", ["delimiter", "encoding", "permission", "empty", "not-text"])
def test_a_table_of_unknown_headings_counts_only_where_its_rows_are_needed(profile: Profile, problem: str) -> None:
    first = table(profile, "a", [1])
    assert chosen(profile, first, damaged("b", problem), here=(1, 2))[0] == {"a": "part", "b": "used part"}
    assert chosen(profile, table(profile, "a", [1]), damaged("b", problem), here=(1,))[0] == {"a": "used "}


def test_a_part_that_lacks_columns_says_which_series_there_are(profile: Profile) -> None:
    second = table(profile, "b/metadata.csv", [9], fewer=1)
    told, rows = chosen(profile, table(profile, "a", [1]), second, here=(1, 9))
    assert told == {"a": "used part", "b/metadata.csv": "used part"}
    assert [row.get("unsure") for row in rows["metadata"]] == [None, True]
    # Nothing of it is here: it is another list.
    assert chosen(profile, table(profile, "a", [1]), second, here=(1,))[0]["b/metadata.csv"] == "edition"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([1, 2], [3], ("used part", "used part")),
        ([1, 2], [2, 3], ("used part", "used part")),
        ([1, 2], [1, 2, 3], ("repeat", "used ")),
        ([1, 2, 3], [1, 2, 3, 9], ("used ", "edition")),
        ([1, 2, 3], [8, 9], ("used part", "used part")),
    ],
)
def test_manifests_are_chosen_by_the_series_on_disk(
    profile: Profile, first: list[int], second: list[int], told: tuple[str, str]
) -> None:
    lists = [[uid(profile, number) for number in numbers] for numbers in (first, second)]
    found, rows = chosen(profile, manifest("a", lists[0]), manifest("b", lists[1]), here=(1, 2, 3))
    assert found == dict(zip("ab", told, strict=True))
    entries = [row["entry"] for row in rows["manifest"]]
    assert len(entries) == len(set(entries))
    assert {uid(profile, number) for number in (1, 2, 3)} <= set(entries)


def test_a_manifest_of_another_collection_is_left_alone(profile: Profile) -> None:
    told, rows = chosen(profile, manifest("a", ["1.3.6.1.4.1.14519.5.2.1.1706.8374.1"]), here=(1,))
    assert told == {"a": "other-collection"}
    assert rows["manifest"] == []
