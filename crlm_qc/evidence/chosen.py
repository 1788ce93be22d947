"""Which of several tables or lists of one kind an audit uses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.release import Release

Rows = dict[str, list[dict[str, Any]]]

_REFUSED = frozenset({"permission", "unreadable"})
"""Problems of a table that are none of its content."""
_NAMES = {"metadata": "metadata.csv", "clinical": "the clinical workbook", "manifest": "the manifest"}


def read_sources(release: Release, profile: Profile) -> Iterator[Rows]:
    """Read the tables and lists: of several the one to use, and of the others only that they are there."""
    from crlm_qc.evidence.manifest import read_manifest

    yield from _likeliest_metadata(release, profile)
    yield from _newest_workbook(release, profile)
    yield from _use(0, [read_manifest(item) for item in release.of("manifest")])
    yield {"sources": [one.row for one in release.near]}


def unread_sources(read: Sequence[Rows]) -> list[str]:
    """What an audit says of tables and lists that the system would not give it."""
    rows = [row for found in read for row in found["sources"] if row["used"] and row.get("problem") in _REFUSED]
    return [f"{_NAMES[row['source']]} was not read: {row['detail']}" for row in rows]


def _use(chosen: int, read: Sequence[Rows]) -> Iterator[Rows]:
    """The rows of one file, and of the others only that they are there."""
    for place, found in enumerate(read):
        for row in found["sources"]:
            row["used"] = place == chosen
        yield found if place == chosen else {"sources": found["sources"]}


def _likeliest_metadata(release: Release, profile: Profile) -> Iterator[Rows]:
    """Of several, the one with most of the downloader's headings; a table of another kind is none of them."""
    from crlm_qc.evidence.metadata import read_metadata

    read = [read_metadata(item, release.source, profile) for item in release.of("metadata")]
    known = [_known_headings(found["sources"][0], profile) for found in read]
    if any(known):
        read = [found for found, count in zip(read, known, strict=True) if count]
        known = [count for count in known if count]
    yield from _use(known.index(max(known)) if known else 0, read)


def _known_headings(source: Mapping[str, Any], profile: Profile) -> int:
    headings = json.loads(source.get("columns") or "[]")
    return len(set(profile.metadata_columns) & set(headings))


def _newest_workbook(release: Release, profile: Profile) -> Iterator[Rows]:
    from crlm_qc.evidence.workbook.sheets import edition_rank, read_workbook

    read = [read_workbook(item, profile) for item in release.of("clinical")]
    ranks = [edition_rank(found["sources"][0], profile) for found in read]
    yield from _use(ranks.index(max(ranks)) if ranks else 0, read)
