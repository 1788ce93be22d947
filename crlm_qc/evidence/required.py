"""Which attributes a segmentation object lacks that it must hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset

from crlm_qc.evidence.ct import Row
from crlm_qc.evidence.dicom.values import has_value, items, tag_of, text
from crlm_qc.model.segmentation import OBJECT, SEGMENT


def lacking(data: Dataset, segments: Sequence[Dataset], frames: Iterable[Row], malformed: Iterable[str]) -> str | None:
    """Attributes that a segmentation object lacks.

    Parameters
    ----------
    data : pydicom.dataset.Dataset
        The object.
    segments : sequence of pydicom.dataset.Dataset
        Items of its Segment Sequence.
    frames : iterable of dict
        Its rows of `frames`.
    malformed : iterable of str
        Keywords of the functional groups that are there and can't be read.

    Returns
    -------
    str or None
        A JSON object of keywords, each with how many of the object, its segments or its frames lack it; None if nothing is.
    """
    excused = set()
    if text(data, "SegmentationType") != "FRACTIONAL":
        excused.add("SegmentationFractionalType")
    if text(data, "DimensionOrganizationType") == "TILED_FULL":
        excused.add("DimensionIndexSequence")
    found = {keyword: 1 for keyword, kind in OBJECT.items() if keyword not in excused and _lacks(data, keyword, kind)}
    for keyword, kind in SEGMENT.items():
        # Whoever draws by hand needs no name of an algorithm.
        asked = [item for item in segments if kind == "1" or text(item, "SegmentAlgorithmType") not in ("MANUAL", None)]
        found[keyword] = sum(_lacks(item, keyword, kind) for item in asked)
    if "SliceThickness" not in malformed:
        # Where Pixel Measures are missing as a whole, PixelSpacing tells (DSO013).
        placed = (frame for frame in frames if None not in (frame.get("position_x"), frame.get("spacing_row")))
        found["SliceThickness"] = sum(frame.get("slice_thickness") is None for frame in placed)
    return json.dumps({keyword: count for keyword, count in found.items() if count}) if any(found.values()) else None


def _lacks(data: Dataset, keyword: str, kind: str) -> bool:
    if kind == "2":
        return tag_of(keyword) not in data
    return not (items(data, keyword) if keyword.endswith("Sequence") else has_value(data, keyword))
