"""Rows of `files`, `slices` and `ct_series` from the headers of CT images."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from crlm_qc.evidence.dicom.header import Header, native_bytes, padded
from crlm_qc.evidence.dicom.values import NATIVE, has_value, reals, tag_of, text
from crlm_qc.geometry.lattice import Floats
from crlm_qc.geometry.stack import measure
from crlm_qc.geometry.volumes import APART, localizers_of, volumes_of
from crlm_qc.model.tables import TABLES
from crlm_qc.model.tolerances import Tolerances

Row = dict[str, Any]

IDENTITY: Mapping[str, str] = {
    "sop_instance_uid": "SOPInstanceUID",
    "sop_class_uid": "SOPClassUID",
    "series_uid": "SeriesInstanceUID",
    "study_uid": "StudyInstanceUID",
    "frame_of_reference_uid": "FrameOfReferenceUID",
    "patient_id": "PatientID",
    "modality": "Modality",
}
"""Columns that `files`, `slices` and `dsos` share, and their attributes."""

NEEDED = (
    *IDENTITY.values(),
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "SamplesPerPixel",
    "InstanceNumber",
    "PixelSpacing",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PatientPosition",
)
"""Attributes that the checks need of a slice. Rescale Slope and Intercept have a rule of their own."""

_SPACING = "PixelSpacing"
_VECTORS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6}


def _single_valued() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Columns of `slices` that hold one whole number, and those that hold text, each with its keyword."""
    vectors = {_SPACING, *_VECTORS}
    columns = [
        column
        for column in TABLES["slices"].columns
        if column.source and column.source not in vectors and column.name != "transfer_syntax_uid"
    ]
    return (
        [(column.name, column.source) for column in columns if column.dtype == "Int64"],
        [(column.name, column.source) for column in columns if column.dtype == "str"],
    )


_INTEGERS, _TEXTS = _single_valued()
_REALS = {
    "slice_thickness": "SliceThickness",
    "rescale_slope": "RescaleSlope",
    "rescale_intercept": "RescaleIntercept",
}
_OPTIONAL_REALS = {
    "kvp": "KVP",
    "reconstruction_diameter": "ReconstructionDiameter",
    "spacing_between_slices": "SpacingBetweenSlices",
    "slice_location": "SliceLocation",
    "gantry_tilt": "GantryDetectorTilt",
}
"""Numbers that no check needs: one that can't be read counts as absent."""
_TIME = re.compile(r"(\d\d):?(\d\d):?(\d\d(?:\.\d+)?)")


def vector(name: str, values: Sequence[float] | None) -> Row:
    """Columns x, y and z of a position or direction."""
    return {} if values is None else dict(zip((f"{name}_x", f"{name}_y", f"{name}_z"), values, strict=True))


def orientation(values: Sequence[float] | None) -> Row:
    """Columns of ImageOrientationPatient."""
    return {} if values is None else vector("row", values[:3]) | vector("col", values[3:])


def spacing(values: Sequence[float] | None) -> Row:
    """Columns of PixelSpacing."""
    return {} if values is None else {"spacing_row": values[0], "spacing_col": values[1]}


def identity(header: Header) -> Row:
    """Identity columns, as the header has them."""
    row: Row = {column: text(header.data, keyword) for column, keyword in IDENTITY.items()}
    row["transfer_syntax_uid"] = header.start.declared
    row["encoding_found"] = header.encoding_found
    return row


def expected_bytes(header: Header) -> int | None:
    """Bytes that native Pixel Data needs, padded to even (PS3.5 8.1.1); None if compressed, or if it can't be told."""
    return padded(unpadded_bytes(header))


def unpadded_bytes(header: Header) -> int | None:
    """The same without the byte that pads an odd number."""
    if header.transfer_syntax is not None and header.transfer_syntax not in NATIVE:
        return None
    if header.pixels is not None and header.pixels.encapsulated:
        return None
    return native_bytes(header.data)


def slice_row(header: Header, shared: Row) -> Row:
    """The row of `slices` of a CT image.

    Parameters
    ----------
    header : Header
        Its header.
    shared : dict
        Patient, path and identity columns.

    Returns
    -------
    dict
        A row after the contract of `slices`.
    """
    row = dict(shared)
    for column, keyword in _IDENTITY:
        if column not in row:
            row[column] = text(header.data, keyword)
    for readers in READERS.values():
        for read in readers:
            row |= read(header)
    row |= lacks_of(header).columns()
    row["pixels"] = "not-asked"
    return row


Reader = Callable[[Header], Row]


def _text(column: str, keyword: str, header: Header) -> Row:
    return {column: text(header.data, keyword)}


def _integer(column: str, keyword: str, header: Header) -> Row:
    return {column: header.integer(keyword)}


def _real(column: str, keyword: str, header: Header) -> Row:
    return {column: header.real(keyword)}


def _optional(column: str, keyword: str, header: Header) -> Row:
    values = reals(header.data, keyword, 1)
    return {column: None if values is None else values[0]}


def _readers() -> dict[str, list[Reader]]:
    """What reads columns of `slices`, by the keyword of the one attribute that each of them looks at."""
    readers: dict[str, list[Reader]] = {}

    def add(keyword: str, read: Reader) -> None:
        readers.setdefault(keyword, []).append(read)

    for column, keyword in _TEXTS:
        if column not in IDENTITY:
            add(keyword, partial(_text, column, keyword))
    for column, keyword in _INTEGERS:
        add(keyword, partial(_integer, column, keyword))
    for column, keyword in _REALS.items():
        add(keyword, partial(_real, column, keyword))
    for column, keyword in _OPTIONAL_REALS.items():
        add(keyword, partial(_optional, column, keyword))
    add("AcquisitionTime", lambda header: {"acquisition_time": _seconds(text(header.data, "AcquisitionTime"))})
    add(_SPACING, lambda header: _NO_SPACING | spacing(header.spacings(_SPACING, 2)))
    add(
        "ImagePositionPatient",
        lambda header: _NO_POSITION | vector("position", _vector(header, "ImagePositionPatient")),
    )
    add("ImageOrientationPatient", lambda header: _NO_AXES | orientation(_vector(header, "ImageOrientationPatient")))
    return readers


_IDENTITY = [(column, keyword) for column, keyword in _TEXTS if column in IDENTITY]
_NO_SPACING: Row = dict.fromkeys(spacing((1.0, 1.0)))
_NO_POSITION: Row = dict.fromkeys(vector("position", (0.0,) * 3))
_NO_AXES: Row = dict.fromkeys(orientation((0.0,) * 6))
READERS: Mapping[str, Sequence[Reader]] = _readers()
READ_AS_TEXT = frozenset({"AcquisitionTime", *IDENTITY.values(), *(keyword for _, keyword in _TEXTS)})
"""Attributes whose values are looked at as text, by their character set."""


def _vector(header: Header, keyword: str) -> tuple[float, ...] | None:
    return header.reals(keyword, _VECTORS[keyword])


class Lacks(NamedTuple):
    """Keywords of attributes that a slice lacks."""

    absent: frozenset[str]
    """Those that the checks need, and that are not there or have no value."""
    empty: frozenset[str]
    """Those that are there without a value."""
    malformed: frozenset[str]

    def columns(self) -> Row:
        """Columns of `slices`."""
        return {
            "missing": _listed(self.absent | self.malformed),
            "empty": _listed(self.empty),
            "malformed": _listed(self.malformed),
        }

    def without(self, keywords: Collection[str]) -> Lacks:
        """The same, some attributes left out."""
        return Lacks(*(part.difference(keywords) for part in self))

    def __or__(self, other: Lacks) -> Lacks:
        return Lacks(*(mine | its for mine, its in zip(self, other, strict=True)))


_FILLED = frozenset({*NEEDED, "RescaleSlope", "RescaleIntercept"})


def lacks_of(header: Header, keywords: Collection[str] = _FILLED) -> Lacks:
    """What of some attributes a slice lacks, once they were read: all of those that the checks need, if none are named."""
    asked = [keyword for keyword in keywords if keyword in _FILLED]
    bare = {keyword for keyword in asked if not has_value(header.data, keyword)}
    return Lacks(
        frozenset(bare.intersection(NEEDED)),
        frozenset(keyword for keyword in bare if tag_of(keyword) in header.data),
        frozenset(header.malformed),
    )


def _listed(keywords: Collection[str]) -> str | None:
    return json.dumps(sorted(keywords)) if keywords else None


def _seconds(time: str | None) -> float | None:
    """Seconds since midnight; None where a time has none."""
    found = None if time is None else _TIME.fullmatch(time)
    return None if found is None else 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3])


def series_rows(patient: str | None, slices: Iterable[Row], tolerances: Tolerances) -> list[Row]:
    """Rows of `ct_series` from the slices of one patient.

    Parameters
    ----------
    patient : str or None
        The patient.
    slices : iterable of dict
        Rows of `slices`.
    tolerances : Tolerances
        Those of the collection, with which the slice spacing is measured.

    Returns
    -------
    list of dict
        Rows after the contract of `ct_series`, in the order of Series Instance UIDs.
    """
    by_series: dict[str, list[Row]] = {}
    for row in slices:
        by_series.setdefault(row.get("series_uid") or "", []).append(row)
    return [_series_row(patient, uid or None, by_series[uid], tolerances) for uid in sorted(by_series)]


def _series_row(patient: str | None, uid: str | None, rows: Sequence[Row], tolerances: Tolerances) -> Row:
    numbers = [row["instance_number"] for row in rows if row.get("instance_number") is not None]
    thickness = [row["slice_thickness"] for row in rows if row.get("slice_thickness") is not None]
    result: Row = {
        "patient": patient,
        "series_uid": uid,
        "n_slices": len(rows),
        "slice_thickness": float(np.median(thickness)) if thickness else None,
        "instance_number_min": min(numbers, default=None),
        "instance_number_max": max(numbers, default=None),
    }
    _from_the_first(rows)
    rows = _without_localizers(rows)
    direction = common_orientation(rows)
    if direction is None:
        return result
    placed = [(row, position) for row in rows if (position := position_of(row)) is not None]
    points = np.array([position for _, position in placed], dtype=np.float64).reshape(-1, 3)
    figures = measure(points, direction[:3], direction[3:], tolerances)
    volumes = volumes_of(
        points @ figures.normal,
        _numbers(placed, "instance_number"),
        _numbers(placed, "acquisition_time"),
        {name: [row.get(column) for row, _ in placed] for name, column in APART.items()},
        np.full(len(placed), np.nan),
        tolerances,
    )
    return result | {
        **vector("normal", figures.normal.tolist()),
        "spacing": figures.spacing if volumes is None else None,
        "spacing_min": figures.spacing_min,
        "spacing_max": figures.spacing_max,
        "shear": figures.shear,
        "first": figures.first,
        "last": figures.last,
    }


def _numbers(placed: Sequence[tuple[Row, object]], column: str) -> Floats:
    values = (row.get(column) for row, _ in placed)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _from_the_first(rows: Sequence[Row]) -> None:
    """Count acquisition times from the first of a series: the time of day says nothing of the images."""
    first = min((row["acquisition_time"] for row in rows if row.get("acquisition_time") is not None), default=0.0)
    for row in rows:
        if row.get("acquisition_time") is not None:
            row["acquisition_time"] = round(row["acquisition_time"] - first, 6)


def _without_localizers(rows: Sequence[Row]) -> list[Row]:
    keys = ("row_x", "row_y", "row_z", "col_x", "col_y", "col_z")
    axes = [[np.nan if row.get(key) is None else row[key] for key in keys] for row in rows]
    apart = localizers_of([row.get("image_type") for row in rows], np.array(axes, dtype=np.float64))
    return [row for row, is_apart in zip(rows, apart.tolist(), strict=True) if not is_apart]


def position_of(row: Row) -> tuple[float, float, float] | None:
    """Position of a row of `slices` or `frames`, if it has one."""
    if row.get("position_x") is None:
        return None
    return row["position_x"], row["position_y"], row["position_z"]


def common_orientation(rows: Iterable[Row]) -> tuple[float, ...] | None:
    """The orientation that most rows of `slices` or `frames` have; the first of them among equals."""
    keys = ("row_x", "row_y", "row_z", "col_x", "col_y", "col_z")
    counts = Counter(tuple(row[key] for key in keys) for row in rows if row.get("row_x") is not None)
    return counts.most_common(1)[0][0] if counts else None
