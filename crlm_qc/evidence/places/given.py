"""Listings that a user gives of a place that lists nothing itself, or holds more than one release.

Files by their paths: a lock file, or another list of checksums. Series by the folders of their objects: the index of the
Imaging Data Commons, or a ledger of series with its column `crdc_series_uuid`. There, objects lie as
`<crdc_series_uuid>/<crdc_instance_uuid>.dcm`, and the listing alone tells whose they are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from crlm_qc.collection.forms import is_uid
from crlm_qc.evidence.places.listed import proper
from crlm_qc.evidence.source import Stamp, parents, stamp_of
from crlm_qc.evidence.sums import named_by
from crlm_qc.model.errors import ReleaseError

_MOST_BYTES: Final = 2 << 30
"""The Commons' whole index has some hundred MB."""
_MOST_LINE: Final = 1 << 20
_MOST_PATH: Final = 4096
"""Bytes of a path: of a longer one, no URL can be made."""
_COLUMNS: Final[Mapping[str, str]] = {
    "patientid": "patient",
    "patient": "patient",
    "patient_id": "patient",
    "subject id": "patient",
    "studyinstanceuid": "study",
    "study_uid": "study",
    "study uid": "study",
    "seriesinstanceuid": "series",
    "series_uid": "series",
    "series uid": "series",
    "modality": "modality",
    "collection_id": "collection",
    "analysis_result_id": "analysis",
    "crdc_series_uuid": "folder",
    "series_aws_url": "url",
    "crdc_instance_uuid": "instance",
}
"""Headings in lower case: those of the Commons' index, of a ledger of series, and of metadata.csv."""
_NEEDED: Final = {"patient": "PatientID", "series": "SeriesInstanceUID", "modality": "Modality"}
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,63}")
_MODALITY: Final = re.compile(r"[A-Z]{2,16}")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HINT: Final = (
    "give a lock file or another list of checksums, the index of the Imaging Data Commons, or a ledger of series with a "
    "column crdc_series_uuid"
)
_URL: Final = re.compile(r"[a-z0-9]+://([A-Za-z0-9.-]+)/(?:.*/)?([A-Za-z0-9_-]{1,64})/?\*?")
_PARQUET: Final = b"PAR1"


@dataclass(frozen=True, slots=True)
class Given:
    """What a listing says that there is."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Paths in the release by paths of objects, both relative."""
    series: Mapping[str, str] = field(default_factory=dict)
    """Folders in the release by folders of objects, of which all is taken."""
    elsewhere: int = 0
    """Series that the listing says to lie in another bucket."""

    @property
    def folders(self) -> frozenset[str]:
        """All folders of the release."""
        shown = {above for path in self.files.values() for above in parents(path) if above}
        return frozenset(shown.union(*({folder, *parents(folder)} for folder in self.series.values()), ()) - {""})


def read_given(path: Path, collection: str, bucket: str) -> Given:
    """Read a listing.

    Parameters
    ----------
    path : pathlib.Path
        A list of checksums, or a table in CSV, TSV or Parquet.
    collection : str
        Name of the collection: of a listing of several, only its series are taken.
    bucket : str
        Name of the bucket that is asked: series that lie in another one of the listing are left out.

    Returns
    -------
    Given
        Something at least. Results of analyses that others added to a collection are left out.

    Raises
    ------
    ReleaseError
        It can't be read, lists nothing of the collection, or is none of these; the message names file and line.
    """
    try:
        return _given(path, stamp_of(path.stat()), collection, bucket)
    except FileNotFoundError:
        raise ReleaseError(f"--listing {path} not found") from None
    except OSError as error:
        raise ReleaseError(f"--listing {path} can't be read: {(error.strerror or 'unknown error').lower()}") from None


@lru_cache(maxsize=2)
def _given(path: Path, stamp: Stamp, collection: str, bucket: str) -> Given:
    if stamp.size > _MOST_BYTES:
        raise ReleaseError(f"--listing {path} holds more than {_MOST_BYTES >> 30} GiB")
    with path.open("rb") as stream:
        if stream.read(len(_PARQUET)) == _PARQUET:
            return _of_rows(path, _parquet(path), collection, bucket)
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            first = text.readline(_MOST_LINE)
            marks = [mark for mark in (",", "\t") if mark in first and _headings(first.rstrip("\r\n").split(mark))]
            text.seek(0)
            if marks:
                return _of_rows(path, _table(path, csv.reader(text, delimiter=marks[0])), collection, bucket)
            return Given(files=_sums(path, text))
    except UnicodeDecodeError:
        raise ReleaseError(f"--listing {path}: a character is not UTF-8") from None
    except csv.Error as error:
        raise ReleaseError(f"--listing {path} is no table: {error}") from None


def _sums(path: Path, lines: Iterable[str]) -> dict[str, str]:
    """Files of a list of checksums."""
    found: dict[str, str] = {}
    for number, line in enumerate("".join(lines).split("\n"), start=1):
        text = line.removesuffix("\r")
        if not text.strip() or text.startswith("#"):
            continue
        name = named_by(text)
        if name is None:
            raise ReleaseError(f"--listing {path}, line {number}: neither a checksum and a path, nor a table; {_HINT}")
        inside = proper(name)
        if inside is None:
            raise ReleaseError(f"--listing {path}, line {number}: the path leads out of the release")
        if len(inside.encode()) > _MOST_PATH:
            raise ReleaseError(f"--listing {path}, line {number}: the path has more than {_MOST_PATH:,} bytes")
        found[inside] = inside
    if not found:
        raise ReleaseError(f"--listing {path} lists nothing: {_HINT}")
    return found


def _headings(cells: Iterable[str]) -> dict[int, str]:
    """Columns of use by their places; none where these are not the headings of a table of series."""
    names = [cell.strip().strip('"').lower() for cell in cells]
    found = {place: _COLUMNS[name] for place, name in enumerate(names) if name in _COLUMNS}
    return found if "series" in found.values() else {}


def _table(path: Path, rows: Iterator[list[str]]) -> Iterator[tuple[str, dict[str, str]]]:
    columns = _headings(next(rows))
    _need(path, columns.values())
    for number, row in enumerate(rows, start=2):
        if any(row):
            found = {name: row[place].strip() for place, name in columns.items() if place < len(row)}
            yield f"row {number}", found


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = _headings(file.schema_arrow.names)
            _need(path, columns.values())
            number = 0
            names = {file.schema_arrow.names[place]: name for place, name in columns.items()}
            for batch in file.iter_batches(columns=list(names)):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", {names[key]: "" if one is None else str(one) for key, one in row.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise ReleaseError(f"--listing {path} can't be read: it is no Parquet, or a damaged one") from None


def _need(path: Path, columns: Iterable[str]) -> None:
    there = set(columns)
    for column, heading in _NEEDED.items():
        if column not in there:
            raise ReleaseError(f"--listing {path} has no column {heading}: {_HINT}")
    if not there & {"folder", "url"}:
        raise ReleaseError(
            f"--listing {path} tells of series, but not where they lie: it needs a column crdc_series_uuid or "
            "series_aws_url, as the index of the Imaging Data Commons has them"
        )


def _of_rows(path: Path, rows: Iterable[tuple[str, Mapping[str, str]]], collection: str, bucket: str) -> Given:
    """Series, or files, of a table."""
    own = collection.lower().replace("-", "_").replace(" ", "_")
    by_collection: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for where, row in rows:
        key = row.get("collection", "").lower()
        # Of another collection no more is kept than that it is there.
        kept = by_collection.setdefault(key, [])
        if key in ("", own) or len(by_collection) == 1:
            kept.append((where, row))
    mine = next(iter(by_collection.values()), []) if len(by_collection) == 1 else by_collection.get(own, [])
    mine = [(where, row) for where, row in mine if not _is_analysis(row)]
    if not mine:
        raise ReleaseError(f"--listing {path} lists no series of {collection}")
    buckets = [_bucket_and_folder(row)[0] for _, row in mine]
    here = [one for one, its in zip(mine, buckets, strict=True) if its == bucket or bucket not in buckets]
    files: dict[str, str] = {}
    series: dict[str, str] = {}
    for where, row in here:
        folder, shown = _folder(path, where, row)
        if instance := row.get("instance"):
            if not _ID.fullmatch(instance):
                raise ReleaseError(f"--listing {path}, {where}: crdc_instance_uuid is none")
            files[f"{folder}/{instance}.dcm"] = f"{shown}/{instance}.dcm"
        elif series.setdefault(folder, shown) != shown:
            raise ReleaseError(f"--listing {path}, {where}: another series of the same folder")
    return Given(files, series, len(mine) - len(here))


def _is_analysis(row: Mapping[str, str]) -> bool:
    return row.get("analysis", "").strip().lower() not in ("", "nan", "none")


def _bucket_and_folder(row: Mapping[str, str]) -> tuple[str, str]:
    """What the URL of a series names, as the index has it: `s3://BUCKET/crdc_series_uuid/*`."""
    match = _URL.fullmatch(row.get("url", ""))
    return (match[1], match[2]) if match else ("", "")


def _folder(path: Path, where: str, row: Mapping[str, str]) -> tuple[str, str]:
    """The folder that the objects of a series lie in, and where they lie in the release: as the Commons' downloader has it."""
    folder = row.get("folder") or _bucket_and_folder(row)[1]
    patient, study, uid, modality = (row.get(name, "") for name in ("patient", "study", "series", "modality"))
    usable = {
        "crdc_series_uuid": _ID.fullmatch(folder),
        "PatientID": _NAME.fullmatch(patient),
        "StudyInstanceUID": not study or is_uid(study),
        "SeriesInstanceUID": is_uid(uid),
        "Modality": _MODALITY.fullmatch(modality),
    }
    if wrong := [name for name, good in usable.items() if not good]:
        raise ReleaseError(f"--listing {path}, {where}: {wrong[0]} is none")
    return folder, "/".join(part for part in (patient, study, f"{modality}_{uid}") if part)
