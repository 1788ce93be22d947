"""Evidence on disk: a Parquet file a table, and `evidence.json`. It can be audited anywhere, without the images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.plain import PlainError, from_plain, to_plain
from crlm_qc.model.tables import SOURCE_TABLES, TABLES, empty
from crlm_qc.model.words import suggest

FACTS_FILE = "evidence.json"
FORMAT = "crlm-qc evidence"
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
    """Write evidence.

    Parameters
    ----------
    evidence : Evidence
        Tables and facts.
    folder : pathlib.Path
        Where to; made if it is not there. Files of the same names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The facts come last: a folder whose writing was cut short is no evidence.
    (folder / FACTS_FILE).unlink(missing_ok=True)
    for name in evidence:
        evidence[name].to_parquet(folder / f"{name}.parquet", index=False, engine="pyarrow")
    facts = {"format": FORMAT, "version": contract(), "facts": to_plain(evidence.facts)}
    draft = folder / f"{FACTS_FILE}.part"
    draft.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / FACTS_FILE)


def is_evidence(folder: Path) -> bool:
    """Whether a folder holds evidence, of this or another version.

    Parameters
    ----------
    folder : pathlib.Path
        Any path.

    Returns
    -------
    bool
        True if `save` wrote it.
    """
    raw = _facts(folder)
    return raw is not None and raw.get("format") == FORMAT


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
        The folder holds no evidence, evidence of another version, a table that is missing or does not keep its contract,
        or not one of the patients.
    """
    raw = _facts(folder)
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
    return _only(Evidence(facts, {name: _table(folder, name) for name in TABLES}), patients)


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


def _facts(folder: Path) -> dict[str, Any] | None:
    try:
        raw = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return raw if isinstance(raw, dict) else None


def _table(folder: Path, name: str) -> Any:
    import pandas as pd
    import pyarrow as pa

    path = folder / f"{name}.parquet"
    try:
        table = pd.read_parquet(path, engine="pyarrow")
        model = empty(name)
        if list(table.columns) != list(model.columns):
            raise ValueError("other columns")
        return table.astype(model.dtypes.to_dict())
    except (OSError, ValueError, TypeError, pa.ArrowException):
        raise ReleaseError(f"{path} is missing or damaged: collect the evidence again") from None
