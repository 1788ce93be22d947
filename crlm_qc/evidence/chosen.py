"""Which of several tables and lists of one kind an audit uses: by what stands in them, never by where they lie.

Who downloads a collection in parts has a metadata.csv and a manifest a part: they are read as one. Copies and other
editions are left alone, and so is what belongs to another collection that lies in the same folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crlm_qc.collection.forms import is_uid
from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.release import Candidate, Release
from crlm_qc.model.tables import NOT_FETCHED

Row = dict[str, Any]
Rows = dict[str, list[Row]]

_PARSED = {"number_of_images": "images", "file_size": "size_decimal", "study_date": "date"}
_OF_A_DOWNLOAD = ("series_uid", "file_location", "download_timestamp")
"""Columns that two downloads of one series may well differ in, and the one that they are matched by."""
_NOTHING = ("", "na", "null")

_REFUSED = frozenset({"permission", "unreadable", NOT_FETCHED})
"""Problems of a table that are none of its content."""
_NAMES = {"metadata": "metadata.csv", "clinical": "the clinical workbook", "manifest": "the manifest"}


@dataclass(frozen=True)
class Read:
    """What was read of one table or list."""

    candidate: Candidate
    rows: Rows

    @property
    def source(self) -> Row:
        """Its row of `sources`."""
        return self.rows["sources"][0]

    @property
    def readable(self) -> bool:
        """Whether its rows could be read."""
        return not self.source.get("problem")


Sources = Mapping[str, Sequence[Read]]
"""What was read of each part of the release."""


def lost(candidate: Candidate, why: str) -> Read:
    """That a table or list is there, and why nothing was read of it."""
    row = {"source": candidate.part, "path": candidate.item.path, "problem": "unreadable", "detail": why}
    return Read(candidate, {"sources": [row], candidate.part: []})


def read_sources(release: Release, profile: Profile) -> Sources:
    """Read every table and list that may be the release's.

    Parameters
    ----------
    release : Release
        What the walk found.
    profile : Profile
        The collection's profile.

    Returns
    -------
    dict of str to list of Read
        By part, in the order of preference. A table of another kind is no metadata.csv beside one that is.
    """
    from crlm_qc.evidence.manifest import read_manifest
    from crlm_qc.evidence.metadata import read_metadata
    from crlm_qc.evidence.workbook.sheets import read_workbook

    def read(one: Candidate) -> Read:
        if one.part == "metadata":
            return Read(one, read_metadata(one.item, release.source, profile))
        return Read(one, read_workbook(one.item, profile) if one.part == "clinical" else read_manifest(one.item))

    found: dict[str, list[Read]] = {"metadata": [], "clinical": [], "manifest": []}
    for one in release.candidates:
        found[one.part].append(read(one))
    known = [one for one in found["metadata"] if _known_headings(one, profile) or _may_be_ours(one)]
    found["metadata"] = known or found["metadata"]
    return found


def unread_sources(read: Sequence[Rows]) -> list[str]:
    """What an audit says of tables and lists that the system would not give it."""
    rows = [row for found in read for row in found["sources"] if row["used"] and row.get("problem") in _REFUSED]
    return [f"{_NAMES[row['source']]} was not read: {row['detail']}" for row in rows]


def folders_of_others(read: Sources, profile: Profile) -> frozenset[str]:
    """Folders that a metadata.csv of another collection leads to."""
    others = [one for one in read.get("metadata", ()) if one.rows["metadata"] and not _names_us(one, profile)]
    rows = [row for one in others for row in one.rows["metadata"] if row.get("collection")]
    return frozenset(row["folder"] for row in rows if row.get("folder"))


def choose_sources(read: Sources, profile: Profile, here: Collection[str]) -> Iterator[Rows]:
    """The rows of the tables and lists to use, and of the others only that they are there.

    Parameters
    ----------
    read : mapping of str to sequence of Read
        What was read.
    profile : Profile
        The collection's profile.
    here : collection of str
        Series Instance UIDs of the images on disk.

    Yields
    ------
    dict of str to list of dict
        Rows of `sources`, and of the tables that are made of them.
    """
    tables = [_without_others(one, profile, here) for one in read.get("metadata", ())]
    metadata = _join_metadata([one for one, _ in tables], profile, set(here))
    others = frozenset().union(*(series for _, series in tables))
    yield metadata
    yield from _newest_workbook(read.get("clinical", ()), profile)
    listed = {row["series_uid"] for row in metadata.get("metadata", ()) if is_uid(row.get("series_uid"))}
    yield _join_manifests(read.get("manifest", ()), profile, listed | set(here), others)


def _headings(one: Read) -> set[str]:
    return {plain_heading(heading) for heading in json.loads(one.source.get("columns") or "[]")}


def _known_headings(one: Read, profile: Profile) -> int:
    return len(_headings(one) & {plain_heading(name) for name in profile.metadata_columns})


def _may_be_ours(one: Read) -> bool:
    """Whether a table may be the downloader's, since its headings were not read."""
    return one.source.get("problem") not in (None, "headings")


def _set(one: Read, relation: str | None, *, used: bool) -> None:
    one.source["relation"], one.source["used"] = relation, used


def _left(one: Read, chosen: Sequence[Read], *, says_more: bool) -> None:
    """What one that is not used is beside those that are."""
    copy = any(_same_bytes(one, other) for other in chosen)
    _set(one, "copy" if copy else "edition" if says_more else "repeat", used=False)


def _same_bytes(one: Read, other: Read) -> bool:
    """Whether two files hold the same; they are read for it only where they are of one size."""
    first, second = one.candidate.item, other.candidate.item
    try:
        return first.size == second.size and first.digest() == second.digest()
    except OSError:
        return False


def _names_us(one: Read, profile: Profile) -> bool:
    """Whether a row of a metadata.csv names the collection, or a patient of it."""
    return any(
        row.get("patient") or str(row.get("collection")).strip().casefold() == profile.name.casefold()
        for row in one.rows["metadata"]
    )


def _without_others(one: Read, profile: Profile, here: Collection[str]) -> tuple[Read, frozenset[str]]:
    """A table that names us without the rows of another collection that came with it, and their series.

    Who puts two collections into one cart has them in one list. Such a row has nothing of ours, and leads to a folder
    with none of our images: what lies there is told (REL007).
    """
    if not _names_us(one, profile):
        return one, frozenset()

    def is_of_another(row: Row) -> bool:
        uid, collection = row.get("series_uid"), (row.get("collection") or "").strip()
        ours = row.get("patient") or uid in here or collection.casefold() == profile.name.casefold()
        return bool(
            collection
            and not ours
            and row.get("folder")
            and is_uid(uid)
            and not str(uid).startswith(f"{profile.uid_root}.")
        )

    others = frozenset(row["series_uid"] for row in one.rows["metadata"] if is_of_another(row))
    if not others:
        return one, others
    kept = [row for row in one.rows["metadata"] if not is_of_another(row)]
    return Read(one.candidate, {**one.rows, "metadata": kept}), others


def _join_metadata(read: Sequence[Read], profile: Profile, here: set[str]) -> Rows:
    """The tables of the collection read as one: each series once."""
    from crlm_qc.evidence.metadata import METADATA_NAME

    known = {id(one): _known_headings(one, profile) for one in read}
    own = [one for one in read if one.candidate.named or not one.readable or _names_us(one, profile)]
    # Beside none that names the collection, its series tell it too.
    own = own or [one for one in read if here & {row.get("series_uid") for row in one.rows["metadata"]}]
    for one in read:
        _set(one, "other-collection", used=False)

    def fit(one: Read) -> tuple[int, int]:
        return -known[id(one)], -len(here & {row.get("series_uid") for row in one.rows["metadata"]})

    # Of a whole table and a part or an older copy of it, the whole one is read.
    whole = sorted((one for one in own if one.readable), key=fit)
    damaged = [one for one in own if not one.readable]
    covered = {row.get("series_uid") for one in whole for row in one.rows["metadata"]}
    if damaged and not (whole and here <= covered):
        # What the damaged one says is needed: nothing can be said without it.
        for one in own:
            _set(one, "part" if len(own) > 1 else None, used=one is damaged[0])
        return {**damaged[0].rows, "sources": [one.source for one in read]}
    # Where nothing of it is needed, what may be anybody's is no edition of ours.
    read = [one for one in read if one.readable or known[id(one)]]
    damaged = [one for one in damaged if known[id(one)]]
    rows: Rows = {"metadata": [], "texts": [], "list_notes": []}
    used: list[Read] = []
    series: dict[str, Row] = {}
    for one in whole:
        _compare(one, series)
        path = one.source["path"]
        fresh = [row | {"path": path} for row in one.rows["metadata"] if row.get("series_uid") not in series]
        adds = {row["series_uid"] for row in fresh if is_uid(row.get("series_uid"))}
        lacks = known[id(one)] < known[id(whole[0])]
        # A researcher's own list has fewer columns, and another name.
        is_part = adds & here if lacks and one.candidate.item.name.lower() == METADATA_NAME else adds and not lacks
        if used and not is_part:
            _left(one, used, says_more=bool(fresh or one.source["n_differing"]))
            continue
        if lacks:
            # MET001 tells the columns; nothing is asked of the cells that are not there.
            fresh = [row | {"unsure": True} for row in fresh]
        used.append(one)
        lines = {row["row"] for row in fresh}
        rows["metadata"] += fresh
        rows["list_notes"] += one.rows.get("list_notes", ())
        rows["texts"] += [row for row in one.rows.get("texts", ()) if row["row"] in lines]
        series |= {row["series_uid"]: row for row in reversed(fresh) if is_uid(row.get("series_uid"))}
    for one in used:
        _set(one, "part" if len(used) > 1 else None, used=True)
    for one in damaged:
        _left(one, used, says_more=True)
    return {"sources": [one.source for one in read], **rows}


def _compare(one: Read, series: Mapping[str, Row]) -> None:
    """Count the rows that differ from those of the same series before; the folder that is there is the row's."""
    columns: Counter[str] = Counter()
    differing = 0
    for row in one.rows["metadata"]:
        before = series.get(row.get("series_uid") or "")
        if before is None:
            continue
        found = _differing(before, row)
        columns.update(found)
        differing += bool(found)
        if before.get("folder") is None and row.get("folder") is not None:
            before |= {key: row.get(key) for key in ("folder", "location_problem", "file_location")}
    one.source["n_differing"] = differing
    one.source["differing"] = json.dumps(sorted(columns)) if columns else None


def _differing(one: Row, other: Row) -> list[str]:
    from crlm_qc.evidence.metadata import COLUMNS

    found = []
    for heading, name in COLUMNS.items():
        if name in _OF_A_DOWNLOAD or name not in one or name not in other or _even(one[name]) == _even(other[name]):
            continue
        parsed = _PARSED.get(name, "")
        if one.get(parsed) is None or one.get(parsed) != other.get(parsed):
            found.append(heading)
    return found


def _even(text: str | None) -> str:
    """A text as it is compared: downloaders write nothing in different ways."""
    even = " ".join((text or "").split()).casefold()
    return "" if even in _NOTHING else even


def _newest_workbook(read: Sequence[Read], profile: Profile) -> Iterator[Rows]:
    from crlm_qc.evidence.workbook.sheets import edition_rank

    ours = [one for one in read if _has_patients(one)]
    for one in read if ours else ():
        if one not in ours and (one.readable or one.source["problem"] == "no-patient-sheet"):
            _set(one, "other-collection", used=False)
    eligible = [one for one in read if one.source.get("relation") is None]
    ranks = [edition_rank(one.source, profile) for one in eligible]
    chosen = eligible[ranks.index(max(ranks))] if eligible else None
    for one in read:
        if one is chosen:
            yield one.rows
            continue
        if chosen and one in eligible:
            _left(one, [chosen], says_more=True)
        yield {"sources": [one.source]}


def _has_patients(one: Read) -> bool:
    return any(row.get("patient") for row in one.rows.get("clinical", ()))


def _join_manifests(read: Sequence[Read], profile: Profile, known: set[str], others: Collection[str]) -> Rows:
    """The manifests that list what lies here, those read as one that each list series of their own."""
    entries = {id(one): {row["entry"] for row in one.rows["manifest"]} for one in read}
    eligible = []
    for one in read:
        mine = entries[id(one)]
        ours = known & mine or any(entry.startswith(f"{profile.uid_root}.") for entry in mine)
        if ours or not any(map(is_uid, mine)) or one.candidate.named:
            eligible.append(one)
        else:
            _set(one, "other-collection", used=False)

    def fit(one: Read) -> tuple[bool, int, int]:
        mine = entries[id(one)]
        return (not one.readable, -len(mine & known), len(mine - known))

    used: list[Read] = []
    covered: set[str] = set()
    for one in sorted(eligible, key=fit):
        mine = entries[id(one)]
        # One that shares series with those chosen and adds none that lies here is another edition.
        if not used or (one.readable and used[0].readable and (mine & known - covered or not mine & covered)):
            used.append(one)
            covered |= mine
        else:
            _left(one, used, says_more=not one.readable or not mine <= covered)
    rows: list[Row] = []
    listed: set[str] = set()
    for one in (one for one in eligible if one in used):
        _set(one, "part" if len(used) > 1 else None, used=True)
        path = one.source["path"]
        left = listed.union(others)
        rows += [row | {"path": path} for row in one.rows["manifest"] if row["entry"] not in left]
        listed |= entries[id(one)]
    notes = [note for one in used for note in one.rows.get("list_notes", ())]
    return {"sources": [one.source for one in read], "manifest": rows, "list_notes": notes}
