"""Tables of a part of a release on disk: as they were read, a Parquet file a table."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crlm_qc.evidence.store import FACTS_FILE, put
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.tables import TABLES, DType, pandas_dtype


def put_table(folder: Path, name: str, table: Any) -> dict[str, Any]:
    """Write a table.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    name : str
        Of a table in `TABLES`.
    table : pandas.DataFrame
        The table.

    Returns
    -------
    dict
        What it is known again by: the number of its rows, and the SHA-256 of its file.

    Raises
    ------
    OSError
        It can't be written.
    """
    held = io.BytesIO()
    table.to_parquet(held, index=False, engine="pyarrow")
    content = held.getvalue()
    put(_path(folder, name), content)
    return {"rows": len(table), "sha256": hashlib.sha256(content).hexdigest()}


def open_table(folder: Path, name: str, proof: object, again: str) -> Any:
    """A table that `put_table` wrote, to read columns of.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    name : str
        Of a table in `TABLES`.
    proof : object
        What `put_table` gave.
    again : str
        What to do where it is damaged, in words.

    Returns
    -------
    pyarrow.parquet.ParquetFile
        With the columns of the contract, and as many rows as it had; it holds the bytes of the file.

    Raises
    ------
    ReleaseError
        It is missing, was changed since, or does not keep its contract.
    """
    from pyarrow.parquet import ParquetFile

    with read_of(folder, name, again):
        path = _path(folder, name)
        content = path.read_bytes()
        if not isinstance(proof, dict) or proof.get("sha256") != hashlib.sha256(content).hexdigest():
            raise ReleaseError(
                f"{path} is not as it was saved, by the SHA-256 in {FACTS_FILE}, and damaged or changed since: {again}"
            )
        dtypes = TABLES[name].dtypes
        texts = [column for column, dtype in dtypes.items() if dtype == "str"]
        file = ParquetFile(io.BytesIO(content), read_dictionary=texts)
        if file.schema_arrow.names != list(dtypes) or file.metadata.num_rows != proof.get("rows"):
            raise ValueError("other columns or rows")
        return file


@contextmanager
def read_of(folder: Path, name: str, again: str) -> Iterator[None]:
    """While a table is read: it is damaged where that fails.

    Raises
    ------
    ReleaseError
        It does.
    """
    import pyarrow as pa

    try:
        yield
    except ReleaseError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, pa.ArrowException):
        raise ReleaseError(f"{_path(folder, name)} is missing or damaged: {again}") from None


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"


def typed(values: Any, dtype: DType, known: dict[str, str]) -> Any:
    """Values of a column as they were saved, of the type that its contract says; `known` are texts that stand in memory already."""
    import numpy as np
    import pandas as pd

    if dtype == "str" and isinstance(values.dtype, pd.CategoricalDtype):
        texts = np.array([*(known.setdefault(text, text) for text in values.cat.categories), np.nan], dtype=object)
        values = texts[values.cat.codes]
    return pd.array(values, dtype=pandas_dtype(dtype)) if dtype == "str" else values.astype(dtype)
