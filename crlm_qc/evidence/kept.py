"""What was read of a patient as plain values, and back: columns, since rows would name each column over and over."""

from __future__ import annotations

from typing import Any

from crlm_qc.evidence.patient import TABLES, PatientRead

Row = dict[str, Any]


def pack(read: PatientRead) -> dict[str, Any]:
    """Plain values of what was read of a patient.

    Parameters
    ----------
    read : PatientRead
        Rows of all tables.

    Returns
    -------
    dict
        Ready for JSON: of each table the number of its rows, and their values by column.
    """
    return {name: [len(rows), _columns(rows)] for name, rows in read.rows.items() if rows}


def _columns(rows: list[Row]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def unpack(packed: dict[str, Any]) -> PatientRead:
    """The inverse of `pack`, but that rows lack no column that another of their table has.

    Parameters
    ----------
    packed : dict
        What `pack` gave, perhaps by way of a file.

    Returns
    -------
    PatientRead
        Equal tables; without limits, for what was not read is not kept.

    Raises
    ------
    ValueError, TypeError, AttributeError
        It is something else.
    """
    read = PatientRead()
    for name, (count, columns) in packed.items():
        if name not in TABLES or any(len(values) != count for values in columns.values()):
            raise ValueError(name)
        names = list(columns)
        read.rows[name] = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return read
