"""Measures the masks of a segmentation object: fills in `dsos`, `frames` and `segments`, and makes `segment_pairs`.

Masks stay packed, one bit a voxel; only the box that a segment fills is unpacked, where it has holes or is mere noise.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR, VESSEL, Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.ct import Row, vector
from crlm_qc.evidence.dicom.decoding import Unmeasured
from crlm_qc.evidence.dicom.header import Header
from crlm_qc.evidence.digests import mask_digest
from crlm_qc.evidence.dso import DsoRows
from crlm_qc.evidence.limits import Beyond, refuse
from crlm_qc.evidence.masks.frames import FrameMasks, frame_masks, mask_encoding
from crlm_qc.evidence.masks.stack import MaskStack, Plane, add_jumps, build_stack, slices_of
from crlm_qc.geometry import masks, runs
from crlm_qc.geometry.masks import Box, Packed
from crlm_qc.geometry.runs import Rows
from crlm_qc.geometry.stack import ahead, unit_normal
from crlm_qc.model.tables import TOO_LARGE

SPECK = 10
"""Components of fewer voxels are specks."""
FACES: Literal[6] = 6
"""Voxels are connected through their faces."""
_MM3_PER_ML = 1000.0


def measure_masks(
    header: Header, found: DsoRows, slices: Sequence[Row], series: Sequence[Row], profile: Profile
) -> tuple[MaskStack | None, list[Row]]:
    """Measure the masks of a segmentation object.

    Parameters
    ----------
    header : Header
        Its header, its file still open.
    found : DsoRows
        Its rows; `dso`, `frames` and `segments` are filled in.
    slices, series : sequence of dict
        The patient's rows of `slices` and `ct_series`.
    profile : Profile
        Tolerances and the segment vocabulary.

    Returns
    -------
    stack : MaskStack or None
        The masks, to lay over the CT; None if they could not be read.
    pairs : list of dict
        Rows of `segment_pairs`.
    """
    size = header.pixels.file.size or 0 if header.pixels else 0
    try:
        frames = _held(frame_masks(header, found), size)
        rows = _rows([mask for frame in frames for mask in frame.values()])
        counts = [{number: masks.count(mask[rows]) for number, mask in frame.items()} for frame in frames]
        stack = build_stack(found, frames, counts, slices, series, profile)
        boxes = _boxes(stack, size)
        overlapping = _overlapping(stack, boxes)
    except Unmeasured as reason:
        found.dso |= {"masks": reason.status, "masks_detail": reason.detail}
        return None, []
    except Beyond as reason:
        found.dso |= {"masks": TOO_LARGE, "masks_detail": str(reason)}
        return None, []
    for row, voxels in zip(found.frames, counts, strict=False):
        row["voxels"] = sum(voxels.values())
    found.dso["masks"] = "measured"
    _add_found_segments(found, frames)
    _add_digests(found, frames, counts)
    add_jumps(stack, found)
    _measure_segments(stack, found, boxes, slices, profile)
    pairs = _pairs(stack, found, overlapping)
    if not pairs:
        _measure_exclusive(stack, found, profile)
    return stack, pairs


def _held(frames: Iterable[FrameMasks], size: int) -> list[FrameMasks]:
    """All masks of an object whose file has so many bytes.

    Raises
    ------
    Beyond
        They are of more segments, or take more memory, than those of any real object.
    """
    held: list[FrameMasks] = []
    numbers: set[int] = set()
    taken = 0
    for frame in frames:
        held.append(frame)
        numbers.update(frame)
        taken += sum(mask.nbytes for mask in frame.values())
        refuse(len(numbers), limits.SEGMENTS, "the masks are of {} segments or more")
        refuse(
            taken,
            max(limits.HELD_MASK_BYTES, limits.HELD_BYTES_A_BYTE * size),
            "the masks take {} bytes or more, one bit a voxel",
        )
    return held


def _rows(planes: Sequence[Packed]) -> slice:
    """Rows of the image in which any mask has a voxel: to look at these alone takes half of the time or less."""
    box = masks.bounds(masks.union(planes)) if planes else None
    return slice(0) if box is None else box.slices[0]


def _boxes(stack: MaskStack, size: int) -> dict[int, Box]:
    """The rectangle that holds a segment on all planes, by Segment Number; the file has so many bytes.

    Raises
    ------
    Beyond
        The boxes that are to be unpacked take more memory than those of any real object.
    """
    most = max(limits.BOX_VOXELS, limits.BOX_VOXELS_A_BYTE * size)
    boxes: dict[int, Box] = {}
    everything = 0
    for number in sorted({number for plane in stack.planes for number in plane.masks}):
        planes = stack.of(number)
        box = masks.bounds(masks.union([plane.masks[number] for plane in planes])) if planes else None
        if box is None:
            continue
        boxes[number] = box
        places = stack.lattice(planes)
        voxels = box.shape[0] * box.shape[1] * (places[-1] + 1 if places else 1)
        everything += voxels
        refuse(voxels, most, "the box around a segment has {} voxels")
        refuse(everything, limits.ALL_BOXES * most, "the boxes around its segments have {} voxels or more")
    return boxes


def _overlapping(stack: MaskStack, boxes: Mapping[int, Box]) -> list[Plane]:
    """Planes on which segments share voxels: their union has fewer than they have by themselves.

    Raises
    ------
    Beyond
        More pairs of segments would have to be compared than in any real object.
    """
    if not boxes:
        return []
    rows = slice(min(box.row_min for box in boxes.values()), max(box.row_max for box in boxes.values()) + 1)
    found = [
        plane
        for plane in stack.planes
        if len(plane.masks) > 1
        and sum(plane.counts.values()) > masks.count(masks.union([mask[rows] for mask in plane.masks.values()]))
    ]
    refuse(sum(math.comb(len(plane.masks), 2) for plane in found), limits.PAIRS, "{} pairs of segments may overlap")
    return found


def _add_found_segments(found: DsoRows, frames: Sequence[FrameMasks]) -> None:
    """For a label map, whose frames name no segment: note what each holds, count the frames of each, and add those not declared."""
    if mask_encoding(found.dso) != "LABELMAP":
        return
    held = Counter(number for frame in frames for number in frame)
    for row, frame in zip(found.frames, frames, strict=False):
        row["segments_held"] = json.dumps(sorted(frame))
    for row in found.segments:
        row["n_frames"] = held.pop(row["segment_number"], 0) if row["segment_number"] is not None else 0
    owner = {"patient": found.dso["patient"], "dso": found.dso["path"]}
    for number in sorted(held):
        found.segments.append({**owner, "segment_number": number, "declared": False, "n_frames": held[number]})


def _add_digests(found: DsoRows, frames: Sequence[FrameMasks], counts: Sequence[Mapping[int, int]]) -> None:
    """Note for every frame a digest of its mask, and the first frame that holds the same voxels of the same segments."""
    size = (found.dso["rows"] or 0) * (found.dso["columns"] or 0)
    first: dict[tuple[tuple[int, ...], str], Any] = {}
    for row, frame, voxels in zip(found.frames, frames, counts, strict=False):
        held = tuple(sorted(number for number, count in voxels.items() if count))
        if held:
            digest = mask_digest([frame[number] for number in held])
            twin = first.setdefault((held, digest), row["frame"])
            row["twin"] = None if twin == row["frame"] else twin
            # A mask that fills the frame is like that of any other object that does.
            row["mask_digest"] = digest if sum(voxels.values()) < size else None


def _measure_segments(
    stack: MaskStack, found: DsoRows, boxes: Mapping[int, Box], slices: Sequence[Row], profile: Profile
) -> None:
    measured: dict[int, Row] = {}
    labels = {row.get("segment_number"): row.get("label") for row in found.segments}
    thick = _thickness_ml(stack, found, slices)
    for number in sorted(number for number in labels if number is not None):
        label = labels[number]
        is_liver = isinstance(label, str) and profile.role(label) == LIVER
        measured[number] = _segment(
            stack, number, boxes.get(number), _voxel_ml(stack, found), _pixel_spacing(found), is_liver
        )
        measured[number]["volume_thickness_ml"] = None if thick is None else measured[number]["voxels"] * thick
    for row in found.segments:
        if row["segment_number"] is not None:
            row.update(measured[row["segment_number"]])


def _thickness_ml(stack: MaskStack, found: DsoRows, slices: Sequence[Row]) -> float | None:
    """Volume of a voxel by SliceThickness, mL: the object's, or else that of most slices of its CT series."""
    in_plane, thickness = _pixel_spacing(found), found.dso.get("slice_thickness")
    if thickness is None:
        counts = Counter(row.get("slice_thickness") for row in slices_of(stack.ct, slices))
        thickness = min(counts, key=lambda value: (-counts[value], value or 0.0), default=None)
    if in_plane is None or thickness is None or thickness <= 0:
        return None
    return float(in_plane[0] * in_plane[1] * thickness / _MM3_PER_ML)


def _pixel_spacing(found: DsoRows) -> tuple[float, float] | None:
    """Distance between rows and between columns, mm: of the object, or of its first frame that has one."""
    for row in (found.dso, *found.frames):
        if row.get("spacing_row") is not None:
            return row["spacing_row"], row["spacing_col"]
    return None


def _voxel_ml(stack: MaskStack, found: DsoRows) -> float | None:
    """Volume of a voxel, mL; None if a spacing is not known."""
    in_plane = _pixel_spacing(found)
    if in_plane is None or stack.spacing is None:
        return None
    return in_plane[0] * in_plane[1] * stack.spacing / _MM3_PER_ML


def _segment(
    stack: MaskStack,
    number: int,
    box: Box | None,
    ml: float | None,
    in_plane: tuple[float, float] | None,
    is_liver: bool,
) -> Row:
    planes = stack.of(number)
    row: Row = {"voxels": 0, "n_planes": len(planes)}
    row |= {"volume_ml": None if ml is None else 0.0, "volume_basis": None if ml is None else stack.basis}
    if box is None:
        return row | {"components": 0, "largest_component": 0, "specks": 0}
    counts = [plane.counts[number] for plane in planes]
    row["voxels"] = sum(counts)
    row["volume_ml"] = None if ml is None else row["voxels"] * ml
    if all(plane.along == plane.along for plane in planes):
        sign = 1.0 if stack.direction is None else ahead(unit_normal(stack.direction[:3], stack.direction[3:]))
        (first, below), (last, above) = sorted([(sign * planes[at].along, counts[at]) for at in (0, -1)])
        row |= {"along_min": first, "along_max": last}
        row |= {"voxels_first": below, "voxels_last": above, "voxels_widest": max(counts)}
    row |= {
        "row_min": box.row_min,
        "row_max": box.row_max,
        "column_min": box.column_min,
        "column_max": box.column_max,
    }
    if (places := stack.lattice(planes)) is not None:
        volume = runs.laid([plane.masks[number] for plane in planes], places, box)
        rows = runs.rows_of(volume)
        row |= _centroid(stack, planes, rows, box, counts, in_plane)
        row |= _components(volume, rows, box)
        row |= _diameters(stack, planes, rows, places, box, in_plane)
        if is_liver:
            row["hole_voxels"] = _holes(volume, planes, places, box) if runs.may_enclose(volume, rows) else 0
    return row


def _centroid(
    stack: MaskStack,
    planes: Sequence[Plane],
    rows: Rows,
    box: Box,
    counts: Sequence[int],
    in_plane: tuple[float, float] | None,
) -> Row:
    """Mean position of the set voxels (PS3.3 C.7.6.2.1.1 maps indices to positions)."""
    if stack.direction is None or in_plane is None or any(plane.origin is None for plane in planes):
        return {}
    along_row, along_column = np.array(stack.direction[:3]), np.array(stack.direction[3:])
    voxels = sum(counts)
    down = float(rows.down + box.row_min * voxels) / voxels
    across = float(rows.across + _first_column(box) * voxels) / voxels
    origin = np.array(counts) @ np.array([plane.origin for plane in planes], dtype=np.float64) / voxels
    centre = origin + down * in_plane[0] * along_column + across * in_plane[1] * along_row
    return vector("centroid", centre.tolist())


def _first_column(box: Box) -> int:
    """The column of the image that `runs.laid` begins with."""
    return box.column_min // 8 * 8


def _unpacked(volume: Packed, box: Box) -> npt.NDArray[np.uint8]:
    """The box that a segment fills, one element a voxel."""
    start = box.column_min % 8
    voxels = np.unpackbits(volume[:, : box.shape[0]], axis=-1, bitorder="little")
    return np.ascontiguousarray(voxels[..., start : start + box.shape[1]])


def _components(volume: Packed, rows: Rows, box: Box) -> Row:
    sizes = _sizes(volume, rows, box)
    return {
        "components": int(sizes.size),
        "largest_component": int(sizes.max(initial=0)),
        "specks": int((sizes < SPECK).sum()),
    }


def _diameters(
    stack: MaskStack,
    planes: Sequence[Plane],
    rows: Rows,
    places: Sequence[int],
    box: Box,
    in_plane: tuple[float, float] | None,
) -> Row:
    if stack.direction is None or stack.spacing is None or in_plane is None:
        return {}
    axes = np.array([stack.direction[:3], stack.direction[3:]])
    origins = np.array([plane.origin for plane in planes], dtype=np.float64) @ axes.T
    first, last = (ends[places, : box.shape[0]] for ends in (rows.first, rows.last))
    shift = box.column_min % 8
    reaches = masks.supports(first - shift, np.where(last < 0, last, last - shift), *in_plane)
    along = np.array([plane.along for plane in planes])
    axial, whole = masks.diameters(reaches, origins, along, stack.spacing)
    return {"diameter_axial_mm": axial, "diameter_3d_mm": whole}


def _sizes(volume: Packed, rows: Rows, box: Box) -> npt.NDArray[np.int64]:
    """Voxels of every face-connected component."""
    if rows.runs is not None:
        return rows.runs.sizes()
    labels, count = cc3d.connected_components(
        _unpacked(volume, box), connectivity=FACES, binary_image=True, return_N=True
    )
    return _label_counts(labels, count)[1:]


def _label_counts(labels: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    # Slice by slice: counting all at once would first copy the labels to eight bytes each.
    counts = np.zeros(count + 1, dtype=np.int64)
    for part in labels:
        counts += np.bincount(part.ravel(), minlength=count + 1)
    return counts


def _holes(volume: Packed, planes: Sequence[Plane], places: Sequence[int], box: Box) -> int:
    """Voxels that the mask encloses in three dimensions and that no other segment fills."""
    outside = np.pad(_unpacked(volume, box) == 0, 1, constant_values=True)
    labels, _ = cc3d.connected_components(outside, connectivity=FACES, binary_image=True, return_N=True)
    enclosed = ((labels != labels[0, 0, 0]) & outside)[1:-1, 1:-1, 1:-1]
    total = 0
    for plane, place in zip(planes, places, strict=True):
        if enclosed[place].any():
            filled = masks.unpack(masks.union(list(plane.masks.values())), box)
            total += int((enclosed[place] & (filled == 0)).sum())
    return total


def _measure_exclusive(stack: MaskStack, found: DsoRows, profile: Profile) -> None:
    """For an object in which no two segments share a voxel: how its segments lie to the liver that they may be parts of.

    A label map keeps one label a voxel, so tumours, vessels and the remnant are holes of the liver there.
    """
    roles = {
        row["segment_number"]: profile.role(row["label"])
        for row in found.segments
        if row.get("voxels") and isinstance(row.get("label"), str)
    }
    numbers = [number for number, role in roles.items() if role in (LIVER, REMNANT, TUMOUR, VESSEL)]
    livers = [number for number in numbers if roles[number] == LIVER]
    if len(livers) != 1 or len(numbers) < 2:
        return
    around, touching = Counter[int](), Counter[int]()
    merged = []
    for plane in stack.planes:
        held = [number for number in numbers if plane.counts.get(number)]
        if held:
            union = masks.union([plane.masks[number] for number in held])
            for number in held:
                if number != livers[0]:
                    # None of it is the segment's own.
                    rim = masks.rim(plane.masks[number], stack.columns)
                    around[number] += masks.count(rim)
                    touching[number] += masks.overlap(rim, union)
            merged.append(Plane(plane.along, plane.origin, {0: union}, {0: sum(plane.counts[n] for n in held)}))
    # Segments share no voxel, so that what they hold together is a sum.
    whole: Row = {"union_voxels": sum(plane.counts[0] for plane in merged)}
    box = masks.bounds(masks.union([plane.masks[0] for plane in merged]))
    if (places := stack.lattice(merged)) is not None and box is not None:
        volume = runs.laid([plane.masks[0] for plane in merged], places, box)
        sizes = _sizes(volume, runs.rows_of(volume), box)
        whole |= {"union_components": int(sizes.size), "union_largest": int(sizes.max(initial=0))}
    for row in found.segments:
        number = row["segment_number"]
        if number == livers[0]:
            row.update(whole)
        elif around[number]:
            row["rim_in_liver"] = touching[number] / around[number]


def _pairs(stack: MaskStack, found: DsoRows, overlapping: Sequence[Plane]) -> list[Row]:
    ml = _voxel_ml(stack, found)
    rows = {row["segment_number"]: (row["row_min"], row["row_max"]) for row in found.segments if row.get("voxels")}
    overlaps: Counter[tuple[int, int]] = Counter()
    for plane in overlapping:
        for first, second in combinations(sorted(number for number in plane.masks if plane.counts[number]), 2):
            # Only rows that both reach into.
            both = slice(max(rows[first][0], rows[second][0]), min(rows[first][1], rows[second][1]) + 1)
            if shared := masks.overlap(plane.masks[first][both], plane.masks[second][both]):
                overlaps[first, second] += shared
    owner = {"patient": found.dso["patient"], "dso": found.dso["path"]}
    return [
        {
            **owner,
            "segment_a": first,
            "segment_b": second,
            "overlap_voxels": voxels,
            "overlap_ml": None if ml is None else voxels * ml,
        }
        for (first, second), voxels in sorted(overlaps.items())
    ]
