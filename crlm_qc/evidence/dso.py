"""Rows of `dsos`, `references`, `frames` and `segments` from the header of a segmentation object."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from crlm_qc.evidence import limits
from crlm_qc.evidence.ct import Row, expected_bytes, orientation, spacing, unpadded_bytes, vector
from crlm_qc.evidence.dicom.header import Header
from crlm_qc.evidence.dicom.values import (
    first,
    has_value,
    integer,
    integers,
    invalid_uids,
    items,
    raw_items,
    reals,
    tag_of,
    text,
)
from crlm_qc.evidence.limits import refuse
from crlm_qc.evidence.required import lacking
from crlm_qc.geometry.packing import layout_of_length
from crlm_qc.model.tables import TABLES

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def _header_columns() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    nested = {"slice_thickness", "spacing_between_slices", "transfer_syntax_uid"}
    columns = [
        column
        for column in TABLES["dsos"].columns
        if column.source
        and column.name not in nested
        and column.source not in ("PixelSpacing", "ImageOrientationPatient")
    ]
    return (
        [(column.name, column.source) for column in columns if column.dtype == "Int64"],
        [(column.name, column.source) for column in columns if column.dtype == "str"],
    )


_INTEGERS, _TEXTS = _header_columns()
_COUNTED = frozenset({"Rows", "Columns", "NumberOfFrames", "BitsAllocated"})
"""Numbers without which there are no masks: rules of their own tell of those that can't be read."""


@dataclass(slots=True)
class DsoRows:
    """Everything that the header of one segmentation object says."""

    dso: Row
    references: list[Row] = field(default_factory=list)
    frames: list[Row] = field(default_factory=list)
    segments: list[Row] = field(default_factory=list)
    invalid_uids: list[str] = field(default_factory=list)
    """Keywords of malformed UIDs inside its sequences."""


def is_dso(header: Header) -> bool:
    """Whether a file is a segmentation object: by SOP class, Segment Sequence or Modality, any of them.

    An image of another class is none by its Modality alone.
    """
    data = header.data
    sop_class = text(data, "SOPClassUID")
    return (
        sop_class in (SEGMENTATION, LABEL_MAP)
        or tag_of("SegmentSequence") in data
        or (text(data, "Modality") == "SEG" and " Image Storage" not in UID(sop_class or "").name)
    )


def dso_rows(header: Header, shared: Row) -> DsoRows:
    """Rows of a segmentation object, masks not measured.

    Parameters
    ----------
    header : Header
        Its header.
    shared : dict
        Patient, path and identity columns.

    Returns
    -------
    DsoRows
        Rows after the contracts of `dsos`, `references`, `frames` and `segments`.

    Raises
    ------
    Beyond
        It has more segments than any real one.
    """
    data = header.data
    row = {**shared, "pixel_bytes_found": 0 if header.pixels is None else header.pixels.found}
    for column, keyword in _TEXTS:
        if column not in row:
            row[column] = text(data, keyword)
    for column, keyword in _INTEGERS:
        row[column] = header.integer(keyword) if keyword in _COUNTED else integer(data, keyword)
    groups = first(data, "SharedFunctionalGroupsSequence")
    per_frame = items(data, "PerFrameFunctionalGroupsSequence")
    segments = items(data, "SegmentSequence")
    refuse(len(segments or []), limits.SEGMENTS, "the object has {} segments")
    series = items(data, "ReferencedSeriesSequence")
    result = DsoRows(row)
    owner = {"patient": shared["patient"], "dso": shared["path"]}
    _references(result, series or [], owner)
    macros = _frames(result, data, groups, per_frame, owner)
    _segments(result, segments or [], owner)
    measures = first(groups, "PixelMeasuresSequence") or first(
        per_frame[0] if per_frame else None, "PixelMeasuresSequence"
    )
    plane = first(groups, "PlaneOrientationSequence") or first(
        per_frame[0] if per_frame else None, "PlaneOrientationSequence"
    )
    row |= {
        "malformed": json.dumps(sorted(malformed)) if (malformed := macros.malformed.union(header.malformed)) else None,
        "missing": lacking(data, segments or [], result.frames, macros.malformed),
        "n_frame_items": None if per_frame is None else len(per_frame),
        "n_segments": None if segments is None else len(segments),
        "n_referenced_series": None if series is None else len(series),
        "dimension_pointers": _dimension_pointers(data),
        "pixel_bytes_expected": expected_bytes(header),
        "pixel_bytes_unpadded": unpadded_bytes(header),
        "masks": "not-asked",
    }
    row["packing"] = _packing(row, result.frames)
    if measures is not None:
        row |= _measures(measures)
    if plane is not None:
        row |= orientation(reals(plane, "ImageOrientationPatient", 6))
    result.invalid_uids = sorted(set(result.invalid_uids))
    return result


def _packing(row: Row, frames: list[Row]) -> str | None:
    """How native Pixel Data is packed, if its length is not the standard's and fits another layout."""
    if row.get("pixel_bytes_expected") is None or row.get("number_of_frames") != len(frames):
        return None
    runs = [len(list(run)) for _, run in groupby(frames, key=lambda frame: frame.get("segment_number"))]
    return layout_of_length(row["pixel_bytes_found"], runs, row["rows"], row["columns"], row["bits_allocated"])


def _dimension_pointers(data: Dataset) -> str | None:
    dimensions = items(data, "DimensionIndexSequence")
    if dimensions is None:
        return None
    pointers = []
    for item in dimensions:
        element: Any = item.get_item(tag_of("DimensionIndexPointer"), keep_deferred=True)
        value = None if element is None else element.value
        if isinstance(value, bytes) and len(value) == 4:
            group, number = struct.unpack("<HH" if element.is_little_endian else ">HH", value)
            pointers.append(f"{group:04X}{number:04X}")
        else:
            pointers.append("" if not isinstance(value, int) else f"{int(value):08X}")
    return json.dumps(pointers)


def _references(result: DsoRows, series: list[Dataset], owner: Row) -> None:
    for item in series:
        uid = text(item, "SeriesInstanceUID")
        result.invalid_uids += invalid_uids([item])
        result.references.append({**owner, "level": "series", "series_uid": uid})
        for instance in items(item, "ReferencedInstanceSequence") or []:
            result.invalid_uids += invalid_uids([instance])
            result.references.append({**owner, "level": "instance", "series_uid": uid, **_reference(instance)})


def _reference(item: Dataset) -> Row:
    row = {
        "sop_class_uid": text(item, "ReferencedSOPClassUID"),
        "sop_instance_uid": text(item, "ReferencedSOPInstanceUID"),
    }
    # An integer string (IS) of one value or more.
    numbers = [int(part) for part in (text(item, "ReferencedFrameNumber") or "").split("\\") if _is_number(part)]
    return row | {"frame_number": max(numbers)} if numbers else row


def _is_number(part: str) -> bool:
    """Whether text is a whole number of at most 9 digits."""
    digits = part.strip().removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) <= 9


def _measures(item: Dataset) -> Row:
    """Columns of a Pixel Measures item (PS3.3 C.7.6.16.2.1)."""
    row = spacing(reals(item, "PixelSpacing", 2))
    for column, keyword in (("slice_thickness", "SliceThickness"), ("spacing_between_slices", "SpacingBetweenSlices")):
        value = reals(item, keyword, 1)
        row[column] = None if value is None else value[0]
    return row


def _frames(
    result: DsoRows, data: Dataset, groups: Dataset | None, per_frame: list[Dataset] | None, owner: Row
) -> _Macros:
    """A row a frame. Without Per-Frame Functional Groups there are as many as Pixel Data has room for."""
    count = integer(data, "NumberOfFrames") or 0
    if per_frame is None:
        size = [integer(data, keyword) or 0 for keyword in ("Rows", "Columns", "BitsAllocated")]
        bits = size[0] * size[1] * size[2]
        # A frame takes at least its bits, so a NumberOfFrames out of all proportion makes no flood of rows.
        room = (result.dso.get("pixel_bytes_found") or 0) * 8 // bits if bits else 0
        refuse(min(count, room), limits.BARE_FRAMES, "the object has {} frames without functional groups")
        per_frame = [Dataset() for _ in range(max(0, min(count, room)))]
    macros = _Macros()
    shared: Row = {}
    everyone = _NO_SOURCES
    if groups is not None:
        shared, everyone = macros.columns(groups), macros.sources(groups)
    for number, item in enumerate(per_frame, start=1):
        own = macros.sources(item)
        named = own if own.references else everyone
        row = {**owner, "frame": number, **shared, **macros.columns(item), "n_sources": len(named.references)}
        for reference in named.references:
            result.references.append({**owner, "level": "frame", "frame": number, **reference})
        result.invalid_uids += named.invalid_uids
        if len(named.references) == 1:
            row["source_uid"] = named.references[0]["sop_instance_uid"]
        result.frames.append(row)
    return macros


@dataclass(frozen=True, slots=True)
class _Sources:
    """Source images of a functional groups item, of all its derivations."""

    references: tuple[Row, ...] = ()
    invalid_uids: tuple[str, ...] = ()


_NO_SOURCES = _Sources()


class _Macros:
    """Reads functional groups macros. Frames of one segment or of one slice share them byte for byte: each is parsed once."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, bytes], Row] = {}
        self._sources: dict[bytes, _Sources] = {}
        self.malformed: set[str] = set()
        """Keywords of numbers that are there and could not be read as what they should be."""

    def columns(self, item: Dataset) -> Row:
        """Columns of `frames` that one functional groups item sets."""
        row: Row = {}
        for keyword, columns_of in _MACROS.items():
            value, parse = raw_items(item, keyword)
            known = None if value is None else self._columns.get((keyword, value))
            if known is None:
                parsed = parse()
                known = columns_of(parsed) if parsed else {}
                if parsed:
                    self.malformed |= {
                        name
                        for name, length in _NUMBERS.get(keyword, {}).items()
                        if has_value(parsed[0], name) and reals(parsed[0], name, length) is None
                    }
                if value is not None:
                    self._columns[keyword, value] = known
            row |= known
        # Each frame has its own.
        content = first(item, "FrameContentSequence")
        values = None if content is None else integers(content, "DimensionIndexValues")
        if values is not None:
            row["dimension_index"] = json.dumps(values)
        return row

    def sources(self, item: Dataset) -> _Sources:
        """Source images that one functional groups item names."""
        value, parse = raw_items(item, "DerivationImageSequence")
        known = None if value is None else self._sources.get(value)
        if known is None:
            images = [image for one in parse() for image in items(one, "SourceImageSequence") or []]
            known = _Sources(tuple(map(_reference, images)), tuple(invalid_uids(images)))
            if value is not None:
                self._sources[value] = known
        return known


_MACROS: Mapping[str, Callable[[Sequence[Dataset]], Row]] = {
    "SegmentIdentificationSequence": lambda items: {
        "segment_number": integer(items[0], "ReferencedSegmentNumber"),
        "n_segment_items": len(items),
    },
    "PlanePositionSequence": lambda items: vector("position", reals(items[0], "ImagePositionPatient", 3)),
    "PlaneOrientationSequence": lambda items: orientation(reals(items[0], "ImageOrientationPatient", 6)),
    "PixelMeasuresSequence": lambda items: _measures(items[0]),
}
"""Macros of the Multi-frame Functional Groups (PS3.3 C.7.6.16.2) that frames share, and the columns that their items set."""
_NUMBERS: Mapping[str, Mapping[str, int]] = {
    "PlanePositionSequence": {"ImagePositionPatient": 3},
    "PlaneOrientationSequence": {"ImageOrientationPatient": 6},
    "PixelMeasuresSequence": {"PixelSpacing": 2, "SliceThickness": 1, "SpacingBetweenSlices": 1},
}
"""Lengths, positions and directions of these macros, and how many values each has."""


def _segments(result: DsoRows, segments: list[Dataset], owner: Row) -> None:
    """A row a declared segment, then one for each number that only frames name."""
    named: dict[int, int] = {}
    for frame in result.frames:
        if (number := frame.get("segment_number")) is not None:
            named[number] = named.get(number, 0) + 1
    declared = set()
    for item in segments:
        number = integer(item, "SegmentNumber")
        declared.add(number)
        category = first(item, "SegmentedPropertyCategoryCodeSequence")
        kind = first(item, "SegmentedPropertyTypeCodeSequence")
        result.segments.append(
            {
                **owner,
                "segment_number": number,
                "declared": True,
                "label": text(item, "SegmentLabel"),
                **_code("category", category),
                **_code("type", kind),
                "type_meaning": None if kind is None else text(kind, "CodeMeaning"),
                "n_frames": 0 if number is None else named.get(number, 0),
            }
        )
    for number in sorted(set(named) - declared):
        result.segments.append({**owner, "segment_number": number, "declared": False, "n_frames": named[number]})


def _code(prefix: str, item: Dataset | None) -> Row:
    """Code and scheme of a code sequence item (PS3.3 8.8); the value may be a long code or a URN."""
    if item is None:
        return {}
    values: Mapping[str, str | None] = {
        keyword: text(item, keyword) for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue")
    }
    return {
        f"{prefix}_code": next((value for value in values.values() if value is not None), None),
        f"{prefix}_scheme": text(item, "CodingSchemeDesignator"),
    }
