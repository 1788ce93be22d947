"""Parts of a release on disk, each read on a machine of its own, and the tables that they make together.

A part holds what was read before anything is concluded of it: rows of its patients, and what is of no patient, which is
read with every part. Texts stand in it as they were read, since what stands in two parts can only be compared so: it is kept
where the release is kept, and nobody else may open it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.assembling import Gathered, Whole, finish, in_order, whole_of
from crlm_qc.evidence.chosen import Read, Rows, Sources
from crlm_qc.evidence.columns import frames
from crlm_qc.evidence.lock import names_another
from crlm_qc.evidence.outside import OutsideRead
from crlm_qc.evidence.part_tables import open_table, put_table, read_of, typed
from crlm_qc.evidence.release import Candidate, Release
from crlm_qc.evidence.rows import Row
from crlm_qc.evidence.source import Item, parents, reason
from crlm_qc.evidence.store import FACTS_FILE, PART, contract, put, told_in
from crlm_qc.model.errors import ReleaseError, UsageError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.part import Part
from crlm_qc.model.plain import PlainError, from_plain, to_plain
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES, frame
from crlm_qc.model.words import plural

WHOLE_FILE: Final = "whole.json.gz"
"""What is of no patient: the same in every part."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What a part tells of a patient beside rows of tables."""

    patient: str
    folders: tuple[Folder, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Folder:
    """A row of `patients`."""

    folder: str
    valid: bool


@dataclass(frozen=True, slots=True)
class PartFacts:
    """What a part says of itself."""

    part: Part
    of: Mapping[str, str]
    """What it is of and how it was read, by the keys of `SAME`: parts that belong together agree in all."""
    whole: str
    """SHA-256 of what is of no patient."""
    patients: tuple[Patient, ...]
    rows: Mapping[str, tuple[int, ...]]
    """By table, how many rows each patient has."""


@dataclass(frozen=True, slots=True)
class SavedPart:
    """A part on disk."""

    path: Path
    facts: PartFacts
    tables: Mapping[str, Any]
    """What each table is known again by."""

    @property
    def again(self) -> str:
        """What to do where it is damaged."""
        return f"read part {self.facts.part} again"


SAME: Final[Mapping[str, str]] = {
    "release": "are of different releases",
    "version": "were read by different versions of crlm-qc",
    "files": "saw different files: the release was changed in between, or a folder can't be listed on one of the machines",
    "depth": "were read at different depths (--depth)",
    "profile": "were read with different profiles (--profile)",
    "tolerances": "were read with different tolerances (--tolerance)",
    "patients": "are of different patients (--patients)",
    "lock": "were compared with different lock files (--lock)",
    "standard": "were read with --standard and without",
    "objects": "were read with --all-objects and without",
}
"""In what all parts of a release agree, and what is said where they do not."""


def save_part(gathered: Gathered, part: Part, folder: Path, how: Mapping[str, str]) -> None:
    """Write what was read of a part of a release.

    Parameters
    ----------
    gathered : Gathered
        What was read. Nothing of its patients is left in it when it is done.
    part : Part
        Which share of the patients it is.
    folder : pathlib.Path
        Where to; made if it is not there, so that nobody else may open it.
    how : mapping of str to str
        How it was read, by the keys of `SAME` that the release does not tell itself.

    Raises
    ------
    UsageError
        It can't be written.
    """
    own = {one.folder for one in gathered.chosen}
    owned, others = _of_folders(gathered, own)
    patients = [
        Patient(
            name,
            tuple(Folder(row["folder"], row["valid"]) for row in gathered.folders if row["patient"] == name),
            tuple(told.limits),
        )
        for name, told in gathered.reads.items()
    ]
    columns = [told.columns for told in gathered.reads.values()]
    gathered.reads.clear()
    rows = {name: tuple(one.length(name) for one in columns) for name in TABLES}
    tables = frames(columns)
    tables["lock"] = frame("lock", owned)
    whole = json.dumps(_plain_whole(gathered, others), separators=(",", ":")).encode()
    facts = PartFacts(
        part=part,
        of={**how, "release": gathered.release.source.name, "files": _listing(gathered.release)},
        whole=hashlib.sha256(whole).hexdigest(),
        patients=tuple(patients),
        rows={name: counts for name, counts in rows.items() if any(counts)},
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The facts come last: a folder whose writing was cut short is no part.
        (folder / FACTS_FILE).unlink(missing_ok=True)
        proof = {name: put_table(folder, name, table) for name, table in tables.items() if len(table)}
        put(folder / WHOLE_FILE, gzip.compress(whole, mtime=0))
        told = {"format": PART, "version": contract(), "facts": to_plain(facts), "tables": proof}
        put(folder / FACTS_FILE, json.dumps(told, ensure_ascii=False).encode())
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {reason(error)}") from None


def _of_folders(gathered: Gathered, own: set[str]) -> tuple[list[Row], list[Row]]:
    """Rows of `lock` that lie in folders of this part, and those that lie in no patient's."""
    known = {one.folder for one in gathered.release.patients}
    mine, nobodys = [], []
    for row in gathered.lock:
        above = set(parents(row["path"]))
        if above & own:
            mine.append(row)
        elif not above & known:
            nobodys.append(row)
    return mine, nobodys


def _listing(release: Release) -> str:
    """SHA-256 of all that decides who is of which part, and what is read beside."""
    found = hashlib.sha256(release.layout.encode())

    def add(kind: str, items: Sequence[Item]) -> None:
        found.update(f"\n{kind}".encode())
        for one in items:
            found.update(f"\n{one.path}\0{one.size}\0{one.problem}".encode())

    for patient in release.patients:
        add(f"{patient.patient}\0{patient.folder}\0{patient.valid}", patient.items)
    for other in release.others:
        add(other.kind, [other.item])
    for candidate in release.candidates:
        add(f"{candidate.part}\0{candidate.named}", [candidate.item])
    return found.hexdigest()


# --- what is of no patient -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known(Item):
    """A table or list that was read on another machine."""

    sha256: str | None = None

    def digest(self, algorithm: str = "sha256") -> tuple[str, int]:  # noqa: ARG002 - of the one algorithm that is asked for
        """SHA-256 as it was there."""
        if self.sha256 is None or self.size is None:
            raise OSError
        return self.sha256, self.size


def _plain_whole(gathered: Gathered, lock: Sequence[Row]) -> dict[str, Any]:
    whole = whole_of(gathered)
    sizes = Counter(one.item.size for one in gathered.release.candidates)
    return {
        "root": whole.root,
        "layout": whole.layout,
        "depth": whole.depth.value,
        "tolerances": dict(whole.tolerances),
        "patients": whole.patients,
        "limits": whole.limits,
        "near": whole.near,
        "sources": {
            part: [_plain_read(one, compared=sizes[one.candidate.item.size] > 1) for one in reads]
            for part, reads in whole.sources.items()
        },
        "outside": {"rows": whole.outside.rows, "limits": whole.outside.limits},
        "lock": lock,
        "everyone": gathered.everyone,
    }


def _plain_read(one: Read, *, compared: bool) -> dict[str, Any]:
    """A table or list; its SHA-256 where another has as many bytes."""
    item, sha256 = one.candidate.item, None
    if compared:
        try:
            sha256, _ = item.digest()
        except OSError:
            sha256 = None
    told = {"path": item.path, "size": item.size, "named": one.candidate.named, "sha256": sha256}
    return {**told, "rows": one.rows}


def _read_whole(part: SavedPart) -> tuple[Whole, list[Row], tuple[str, ...]]:
    """What is of no patient, rows of `lock` of it, and the patients of all parts."""
    path = part.path / WHOLE_FILE
    try:
        content = gzip.decompress(path.read_bytes())
        if hashlib.sha256(content).hexdigest() != part.facts.whole:
            raise ValueError("changed")
        raw = json.loads(content)
        whole = Whole(
            root=raw["root"],
            layout=raw["layout"],
            depth=Depth(raw["depth"]),
            tolerances={str(name): float(value) for name, value in raw["tolerances"].items()},
            patients=tuple(raw["patients"]),
            limits=raw["limits"],
            sources=_sources(raw["sources"]),
            near=raw["near"],
            outside=OutsideRead(raw["outside"]["rows"], raw["outside"]["limits"]),
        )
        return whole, raw["lock"], tuple(raw["everyone"])
    except (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise ReleaseError(f"{path} is missing or damaged: {part.again}") from None


def _sources(raw: Mapping[str, Sequence[Mapping[str, Any]]]) -> Sources:
    return {
        part: [
            Read(
                Candidate(part, _Known(one["path"], one["size"], sha256=one["sha256"]), named=one["named"]),
                {str(name): list(rows) for name, rows in one["rows"].items()},
            )
            for one in reads
        ]
        for part, reads in raw.items()
    }


# --- parts together --------------------------------------------------------------------------------------------------


def open_parts(folders: Sequence[Path]) -> list[SavedPart]:
    """Parts that belong together, in their order.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Where they lie, in any order; not all of them need be there.

    Returns
    -------
    list of SavedPart
        At least one.

    Raises
    ------
    ReleaseError
        A folder holds no part, or a damaged one, or two of them do not belong together; the message names them, and says
        what to do.
    """
    parts = [_opened(folder) for folder in folders]
    first = parts[0]
    by_number: dict[int, SavedPart] = {}
    patients: dict[str, SavedPart] = {}
    for one in parts:
        part = one.facts.part
        _check_same(first, one)
        if part.number in by_number:
            raise ReleaseError(f"{by_number[part.number].path} and {one.path} are both part {part}: give it once")
        by_number[part.number] = one
        for patient in one.facts.patients:
            if patient.patient in patients:
                raise ReleaseError(
                    f"{patients[patient.patient].path} and {one.path} hold the same patient: {one.again}"
                )
            patients[patient.patient] = one
    return [by_number[number] for number in sorted(by_number)]


def _opened(folder: Path) -> SavedPart:
    raw = told_in(folder)
    if raw is None or raw.get("format") != PART:
        what = "evidence of a whole audit, and no part" if raw else "no part that crlm-qc evidence read wrote"
        raise ReleaseError(f"{folder} holds {what}: crlm-qc evidence read RELEASE --part K/N --out FOLDER writes one")
    if raw.get("version") != contract():
        raise ReleaseError(
            f"{folder} holds a part written by another version of crlm-qc: its tables are not those that this one reads, "
            "read it again with this one"
        )
    try:
        facts = from_plain(PartFacts, raw.get("facts"))
        tables = raw.get("tables")
        counts = {len(rows) for rows in facts.rows.values()} | {len(facts.patients)}
        if not isinstance(tables, dict) or len(counts) > 1 or not 1 <= facts.part.number <= facts.part.of:
            raise PlainError("rows of other patients")
    except PlainError:
        raise ReleaseError(f"{folder / FACTS_FILE} is damaged: read the part again") from None
    return SavedPart(folder, facts, tables)


def _check_same(first: SavedPart, one: SavedPart) -> None:
    if one.facts.part.of != first.facts.part.of:
        raise ReleaseError(
            f"{first.path} is part {first.facts.part} and {one.path} part {one.facts.part}: give parts of one division"
        )
    for key, said in SAME.items():
        if first.facts.of.get(key) != one.facts.of.get(key):
            raise ReleaseError(f"{first.path} and {one.path} {said}: read one of them again as the other was")
    if first.facts.whole != one.facts.whole:
        raise ReleaseError(
            f"{first.path} and {one.path} tell otherwise of the release's tables, or of what lies outside of patients' "
            f"folders, which one of them may not have been able to read: {first.again}, or {one.facts.part}"
        )


def missing(parts: Sequence[SavedPart]) -> list[Part]:
    """The parts that are not there."""
    of = parts[0].facts.part.of
    there = {one.facts.part.number for one in parts}
    return [Part(number, of) for number in range(1, of + 1) if number not in there]


@dataclass(frozen=True, slots=True)
class _Held:
    """The table that is at hand."""

    name: str = ""
    pieces: Sequence[dict[str, Any]] = ()
    """Of each part, its columns as they were saved."""
    edges: tuple[Any, Any] = (None, None)
    """What is of no patient, and what is made of the whole."""
    known: dict[str, str] = field(default_factory=dict)
    """Texts, each of which stands in memory once."""


class Joined(Mapping[str, Any]):
    """Tables of several parts, as one reading of all of their patients would have made them; made when they are asked for.

    Parameters
    ----------
    parts : sequence of SavedPart
        As `open_parts` gives them.
    profile : Profile
        The collection's profile, as the release was read with it.
    asked : bool
        Whether these parts alone were asked for, so that it is no limit that others are missing.

    Raises
    ------
    ReleaseError
        A part is damaged; also when a table is asked for.
    """

    def __init__(self, parts: Sequence[SavedPart], profile: Profile, *, asked: bool = False) -> None:
        self._parts = parts
        whole, lock, everyone = _read_whole(parts[0])
        self._outside = whole.outside.rows
        self._rows: Rows = {}
        self._held = _Held()
        self._order = sorted(
            (patient.patient, at, place)
            for at, part in enumerate(parts)
            for place, patient in enumerate(part.facts.patients)
        )
        self._files: list[int] | None = None
        patients = [parts[at].facts.patients[place] for _, at, place in self._order]
        lacking = missing(parts)
        if lacking:
            present = tuple(one.patient for one in patients)
            lock = [row for row in lock if not names_another(row["path"], present, profile)]
            whole = replace(whole, patients=present)
        paths, owners = (self._texts("files", column) for column in ("path", "patient"))
        self._files = in_order(paths)
        self.facts, rows = finish(
            whole,
            profile,
            here={uid for uid in self._texts("series", "series_uid") if uid},
            folders=[
                {"patient": one.patient, "folder": folder.folder, "valid": folder.valid}
                for one in patients
                for folder in one.folders
            ],
            lock=[],
            files=((str(paths[place]), owners[place]) for place in self._files),
            limits=[limit for one in patients for limit in one.limits],
        )
        self._rows = rows | {"lock": sorted(lock + self._lock(), key=lambda row: str(row["path"]))}
        if lacking and not asked:
            self.facts = _with_limit(self.facts, lacking, len(everyone) - len(patients))

    @property
    def evidence(self) -> Evidence:
        """The tables with their facts."""
        return Evidence(self.facts, self)

    def __iter__(self) -> Iterator[str]:
        """Names of all tables."""
        return iter(TABLES)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a table; it is not made for that."""
        return name in TABLES

    def __len__(self) -> int:
        """How many tables there are."""
        return len(TABLES)

    def __getitem__(self, name: str) -> Any:
        """A table, put together of the parts anew: it is not kept."""
        import pandas as pd

        places = self._places(name)
        columns = {}
        for column in TABLES[name].dtypes:
            # One column at a time, so that a table is not held twice.
            pieces = self._column(name, column)
            for piece in self._held.pieces:
                del piece[column]
            columns[column] = pd.concat(pieces, ignore_index=True).take(places).reset_index(drop=True)
        self._held = _Held()
        return pd.DataFrame(columns, copy=False)

    def texts(self, name: str, column: str) -> list[str]:
        """Texts that a column of a table holds, each once, in their order."""
        return sorted({text for piece in self._column(name, column) for text in piece.dropna().unique()})

    def _texts(self, name: str, column: str) -> list[str | None]:
        """A column as it stands in the parts, patient by patient; None for missing texts."""
        import pandas as pd

        values = pd.concat(self._column(name, column), ignore_index=True).to_numpy(dtype=object)[self._places(name)]
        return [None if missing else value for value, missing in zip(values, pd.isna(values), strict=True)]

    def _column(self, name: str, column: str) -> list[Any]:
        """A column of what is of no patient, of each part, and of what is made of the whole."""
        import pandas as pd

        if self._held.name != name:
            # Of another table nothing is held any more when this one is opened.
            self._held = _Held()
            self._held = self._opened(name)
        held, dtype = self._held, TABLES[name].dtypes[column]
        pieces = [pd.Series(typed(piece[column], dtype, held.known), name=column) for piece in held.pieces]
        return [held.edges[0][column], *pieces, held.edges[1][column]]

    def _opened(self, name: str) -> _Held:
        """A table of all parts."""
        pieces = []
        for part in self._parts:
            if name in part.facts.rows:
                file = open_table(part.path, name, part.tables.get(name), part.again)
                with read_of(part.path, name, part.again):
                    if file.metadata.num_rows != sum(part.facts.rows[name]):
                        raise ValueError("rows of other patients")
                    found = file.read().to_pandas()
                    pieces.append({column: found[column] for column in found})
        before, after = (frame(name, rows.get(name, ())) for rows in (self._outside, self._rows))
        return _Held(name, pieces, (before, after))

    def _places(self, name: str) -> Any:
        """Where the rows of a table lie among those of its pieces, in the order that they have in the table."""
        import numpy as np

        start = len(self._outside.get(name, ()))
        places = [np.arange(start)]
        begins: list[list[int]] = []
        for part in self._parts:
            counts = part.facts.rows.get(name, (0,) * len(part.facts.patients))
            begins.append(list(accumulate(counts, initial=start)))
            start += sum(counts)
        places += [np.arange(begins[at][place], begins[at][place + 1]) for _, at, place in self._order]
        found = np.concatenate(places)
        if name == "files" and self._files is not None:
            found = found[self._files]
        return np.concatenate([found, np.arange(start, start + len(self._rows.get(name, ())))])

    def _lock(self) -> list[Row]:
        """Rows of `lock` of all parts."""
        rows: list[Row] = []
        dtypes = TABLES["lock"].dtypes
        for part in self._parts:
            if "lock" in part.tables:
                file = open_table(part.path, "lock", part.tables["lock"], part.again)
                with read_of(part.path, "lock", part.again):
                    found = file.read().to_pandas()
                    columns = [list(typed(found[column], dtype, {})) for column, dtype in dtypes.items()]
                    rows += [dict(zip(dtypes, values, strict=True)) for values in zip(*columns, strict=True)]
        return rows


def _with_limit(facts: Facts, lacking: Sequence[Part], patients: int) -> Facts:
    """Facts that say which parts are missing."""
    said = f"{plural(patients, 'patient')} not read: {listed(lacking)} missing"
    return replace(facts, limits=(*facts.limits, said))


def listed(parts: Sequence[Part], most: int = 10) -> str:
    """Parts by their numbers, the first of them where they are many: `parts 3 and 7 of 16 are`."""
    numbers = [str(one.number) for one in parts[:most]]
    numbers += [f"{len(parts) - most} more"] if len(parts) > most else []
    *before, last = numbers
    said = f"{', '.join(before)} and {last}" if before else last
    return f"part{'s' * bool(before)} {said} of {parts[0].of} {'are' if before else 'is'}"
