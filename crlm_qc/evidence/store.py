"""Evidence on disk: a Parquet file a table, and `evidence.json`, which says how many rows each has, and its SHA-256.

It can be audited anywhere, without the images.
"""

from __future__ import annotations

import hashlib
import io
import json
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.evidence.source import reason
from crlm_qc.model.errors import ReleaseError, UsageError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.plain import PlainError, from_plain, to_plain
from crlm_qc.model.tables import SOURCE_TABLES, TABLES, DType, empty, pandas_dtype
from crlm_qc.model.words import suggest

if TYPE_CHECKING:
    import pandas as pd

FACTS_FILE = "evidence.json"
FORMAT = "crlm-qc evidence"
PART = "crlm-qc part of evidence"
"""What a part of a release is told by, as `crlm_qc.evidence.parts` has it."""
ROWS_A_GROUP = 16_384
"""Rows that are read together; patients are judged some at a time, and no more than these rows are read for them."""
_ALWAYS = frozenset({"root", "layout", "depth", "patients_read", "limits"})
"""Facts that evidence of every build tells."""


def contract() -> str:
    """What saved evidence must agree on to be read: a digest of all tables, their columns and types, and of the facts.

    Returns
    -------
    str
        16 hexadecimal digits, another one as soon as a table or column comes, goes or changes. Their wording has no say.
    """
    tables = {name: list(table.dtypes.items()) for name, table in TABLES.items()}
    agreed = json.dumps([tables, [field.name for field in fields(Facts)]], sort_keys=True)
    return hashlib.sha256(agreed.encode()).hexdigest()[:16]


def save(evidence: Evidence, folder: Path) -> None:
    """Write evidence, with the number of rows and the SHA-256 of every table.

    Parameters
    ----------
    evidence : Evidence
        Tables and facts.
    folder : pathlib.Path
        Where to; made if it is not there. Files of the same names are replaced.

    Raises
    ------
    UsageError
        It can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The facts come last: a folder whose writing was cut short is no evidence.
        (folder / FACTS_FILE).unlink(missing_ok=True)
        proof = {}
        for name in evidence:
            # Asked for once: tables of parts are made as they are asked for.
            table = evidence[name]
            content = _parquet(table)
            put(folder / f"{name}.parquet", content)
            proof[name] = {"rows": len(table), "sha256": hashlib.sha256(content).hexdigest()}
        told = {"format": FORMAT, "version": contract(), "facts": to_plain(evidence.facts), "tables": proof}
        put(folder / FACTS_FILE, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
    except (OSError, RuntimeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is a link that leads to itself"
        raise UsageError(f"{folder} can't be written: {why}") from None


def _parquet(table: Any) -> bytes:
    content = io.BytesIO()
    table.to_parquet(content, index=False, engine="pyarrow", row_group_size=ROWS_A_GROUP)
    return content.getvalue()


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OSError
        It can't be written.
    """
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def is_evidence(folder: Path) -> bool:
    """Whether a folder holds evidence, or a part of one, of this or another version.

    Parameters
    ----------
    folder : pathlib.Path
        Any path.

    Returns
    -------
    bool
        True if `save` wrote it, or `save_part`.
    """
    raw = told_in(folder)
    return raw is not None and raw.get("format") in (FORMAT, PART)


@dataclass(frozen=True, slots=True)
class Saved:
    """Evidence that was saved, of which some patients or columns can be read without the others."""

    folder: Path
    facts: Facts
    proof: Mapping[str, Any]
    """What every table was when it was saved."""

    def length(self, name: str) -> int:
        """How many rows a table had when it was saved; 0 if that is not told."""
        proof = self.proof.get(name)
        rows = proof.get("rows") if isinstance(proof, dict) else None
        return rows if isinstance(rows, int) else 0

    def columns(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of a table, in that order.

        Raises
        ------
        ReleaseError
            The table is missing or damaged.
        """
        found: pd.DataFrame = self._read(name, columns, {}, None)
        return found

    def whole(self) -> Evidence:
        """All of it.

        Raises
        ------
        ReleaseError
            A table is missing, damaged or changed since it was saved.
        """
        known: dict[str, str] = {}
        tables = {name: self._read(name, None, known, None) for name in TABLES}
        _give_back()
        return Evidence(self.facts, tables)

    def of(self, patients: Collection[str], tables: Collection[str], *, nobody: bool) -> Evidence:
        """The rows of some patients.

        Parameters
        ----------
        patients : collection of str
            Whose rows are wanted.
        tables : collection of str
            Tables of which no more than these rows are read.
        nobody : bool
            Whether rows of no patient are wanted too, and all other tables.

        Raises
        ------
        ReleaseError
            A table is missing or damaged.
        """
        known: dict[str, str] = {}
        whose = _Whose(frozenset(patients), nobody)
        found = {
            name: self._read(name, None, known, whose if name in tables else None)
            for name in TABLES
            if nobody or name in tables
        }
        return Evidence(self.facts, found)

    def check(self) -> None:
        """See that all tables are what they were when they were saved.

        Raises
        ------
        ReleaseError
            One is not, or is missing.
        """
        for name in TABLES:
            path = self.folder / f"{name}.parquet"
            try:
                with path.open("rb") as file:
                    self._same(name, hashlib.file_digest(file, "sha256").hexdigest())
            except OSError:
                raise _damaged(path) from None

    def _same(self, name: str, found: str) -> None:
        proof = self.proof.get(name)
        if not isinstance(proof, dict) or proof.get("sha256") != found:
            raise ReleaseError(
                f"{self.folder / f'{name}.parquet'} is not as it was saved, by the SHA-256 in {FACTS_FILE}, and damaged or "
                "changed since: collect the evidence again"
            )

    def _read(self, name: str, columns: Sequence[str] | None, known: dict[str, str], whose: _Whose | None) -> Any:
        """A table, or some columns or rows of it; `known` are texts of others, and get its own, so that each stands in memory once."""
        import pandas as pd
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        path = self.folder / f"{name}.parquet"
        try:
            dtypes = TABLES[name].dtypes
            source: Any = path
            if columns is None and whose is None:
                content = path.read_bytes()
                self._same(name, hashlib.sha256(content).hexdigest())
                source = io.BytesIO(content)
            texts = [column for column, dtype in dtypes.items() if dtype == "str"]
            with ParquetFile(source, read_dictionary=texts) as file:
                if file.schema_arrow.names != list(dtypes) or file.metadata.num_rows != self.proof[name].get("rows"):
                    raise ValueError("other columns or rows")
                if not file.metadata.num_rows:
                    return empty(name)
                rows = file if whose is None else whose.rows(file)
                # One column at a time, so that a table is not held twice.
                table = pd.DataFrame(
                    {
                        column: _column(rows, column, dtypes[column], known)
                        for column in (dtypes if columns is None else columns)
                    },
                    copy=False,
                )
            _check_json(name, table)
            return table
        except ReleaseError:
            raise
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, pa.ArrowException):
            raise _damaged(path) from None


@dataclass(frozen=True, slots=True)
class _Whose:
    """Which rows of a table are wanted."""

    patients: frozenset[str]
    nobody: bool

    def rows(self, file: Any) -> Any:
        """These rows, of the groups of rows that may hold any."""
        import pyarrow as pa
        import pyarrow.compute as pc

        names = file.schema_arrow.names
        if "patient" not in names:
            return file
        place, ordered = names.index("patient"), sorted(self.patients)
        groups = [
            group
            for group in range(file.metadata.num_row_groups)
            if self._may(file.metadata.row_group(group).column(place).statistics, ordered)
        ]
        table = file.read_row_groups(groups)
        owners = table["patient"].cast(pa.string())
        wanted = pc.is_in(owners, pa.array(ordered, pa.string()))
        if self.nobody:
            wanted = pc.or_(wanted, pc.is_null(owners))
        return _Rows(table.filter(wanted))

    def _may(self, told: Any, ordered: Sequence[str]) -> bool:
        if told is None or not told.has_min_max:
            return True
        if self.nobody and (not told.has_null_count or told.null_count):
            return True
        place = bisect_left(ordered, told.min)
        return place < len(ordered) and ordered[place] <= told.max


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that were read, and are asked for column by column as a file is."""

    table: Any

    def read(self, columns: list[str]) -> Any:
        """Some columns."""
        return self.table.select(columns)


def _damaged(path: Path) -> ReleaseError:
    return ReleaseError(f"{path} is missing or damaged: collect the evidence again")


def saved(folder: Path) -> Saved:
    """Evidence that `save` wrote, of which nothing but the facts is read yet.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.

    Returns
    -------
    Saved
        What reads it.

    Raises
    ------
    ReleaseError
        The folder holds no evidence, evidence of another version, or facts that are damaged.
    """
    raw = told_in(folder)
    if raw is not None and raw.get("format") == PART:
        raise ReleaseError(
            f"{folder} holds one part of the evidence of a release: put all parts together with crlm-qc evidence merge, "
            "and check what that writes"
        )
    if raw is None or raw.get("format") != FORMAT:
        raise ReleaseError(f"{folder} holds no evidence of crlm-qc")
    if raw.get("version") != contract():
        raise ReleaseError(
            f"{folder} holds evidence written by another version of crlm-qc: its tables are not those that this one reads, "
            "collect it again from the release"
        )
    told = raw.get("facts")
    try:
        if not isinstance(told, dict) or not told.keys() >= _ALWAYS:
            raise PlainError("facts are missing")
        facts = from_plain(Facts, told)
    except PlainError:
        raise ReleaseError(f"{folder / FACTS_FILE} is damaged: collect the evidence again") from None
    proof = raw.get("tables")
    return Saved(folder, facts, proof if isinstance(proof, dict) else {})


def load(folder: Path, patients: Sequence[str] = ()) -> Evidence:
    """Read evidence that `save` wrote.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    patients : sequence of str, optional
        Patients whose files are wanted; all by default.

    Returns
    -------
    Evidence
        Equal to what was saved, or to what would have been of these patients.

    Raises
    ------
    ReleaseError
        The folder holds no evidence, evidence of another version, a table that is missing, was changed since it was
        saved or does not keep its contract, or not one of the patients.
    """
    return _only(saved(folder).whole(), patients)


def _only(evidence: Evidence, patients: Sequence[str]) -> Evidence:
    """Evidence without the files of other patients; tables and lists of the release stay as they are."""
    if not patients:
        return evidence
    known = sorted(map(str, evidence["patients"]["patient"].unique()))
    for patient in patients:
        if patient not in known:
            raise ReleaseError(f"no patient {patient} in {evidence.facts.root}{suggest(patient, known)}")
    tables = {
        name: table
        if name in SOURCE_TABLES or "patient" not in table
        else table[table["patient"].isna() | table["patient"].isin(list(patients))].reset_index(drop=True)
        for name, table in evidence.tables.items()
    }
    return Evidence(replace(evidence.facts, patients_read=tuple(sorted(set(patients)))), tables)


def told_in(folder: Path) -> dict[str, Any] | None:
    """What stands in the file of facts of a folder; None if there is none that can be read."""
    try:
        raw = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None


def _give_back() -> None:
    """Give memory that Arrow read files with, and keeps for the next, back to the system."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _column(rows: Any, name: str, dtype: DType, known: dict[str, str]) -> Any:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    column = rows.read([name]).column(0)
    if dtype == "str" and pa.types.is_dictionary(column.type):
        held = column.unify_dictionaries().combine_chunks()
        texts = np.array(
            [*(known.setdefault(text, text) for text in held.dictionary.to_pylist()), np.nan], dtype=object
        )
        # What is missing has the last place.
        values = texts[held.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)]
    else:
        values = column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    return pd.array(values, dtype=pandas_dtype(dtype)) if dtype == "str" else values.astype(dtype)


def _check_json(name: str, table: Any) -> None:
    """Refuse texts that are no JSON, in columns of which the contract says in words that they hold it."""
    for column in TABLES[name].columns:
        if "JSON" in column.doc and column.name in table:
            kind = dict if "JSON object" in column.doc else list
            if not all(isinstance(json.loads(value), kind) for value in table[column.name].dropna().unique()):
                raise ValueError("another kind of JSON")
