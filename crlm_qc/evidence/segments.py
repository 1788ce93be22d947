"""Measures the masks of a segmentation object: fills in `dsos`, `frames` and `segments`, and makes `segment_pairs`.

Masks stay packed, one bit a voxel; only the box that a segment fills is unpacked, to find its components.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian

from crlm_qc.evidence.ct import Row, common_orientation, position_of, vector
from crlm_qc.evidence.dicom import NATIVE, Header, PixelElement, integer, tag_of
from crlm_qc.evidence.dso import LABEL_MAP, DsoRows
from crlm_qc.geometry import masks
from crlm_qc.geometry.masks import Box, Packed
from crlm_qc.geometry.stack import Floats, spacing_along, unit_normal
from crlm_qc.model.profile import LIVER, REMNANT, TUMOUR, VESSEL, Profile

MAX_PACKED = 1 << 30
"""Masks of more bytes than this, packed, are refused: sixty times the largest of the collection."""
SPECK = 10
"""Components of fewer voxels are specks."""
FACES: Literal[6] = 6
"""Voxels are connected through their faces."""
LARGEST_FRACTION = 255
"""Maximum Fractional Value of eight bits, where an object names none."""
_PIXEL_DATA = "PixelData"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_MM3_PER_ML = 1000.0

FLOATS = ("OF", "OD")
"""VRs of Float and Double Float Pixel Data (PS3.3 C.7.6.24), which are no integers."""
FLOATS_SAID = "Float Pixel Data is not read"

FrameMasks = Mapping[int, Packed]
"""Segment Number to the plane of one frame."""


class Unmeasured(Exception):  # noqa: N818 - a state of the object, not of the program
    """The masks can't be measured.

    Parameters
    ----------
    status : str
        `no-decoder` or `failed`.
    detail : str
        Why, with no text from the file.
    """

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(slots=True)
class Plane:
    """All segments' masks at one position along the normal."""

    along: float
    """Position along the normal, mm; NaN for a frame without a position."""
    origin: tuple[float, float, float] | None
    masks: dict[int, Packed] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    """Set voxels of each mask."""

    def lay(self, frame: FrameMasks, counts: Mapping[int, int]) -> None:
        """Add the masks of a frame; where two frames hold one segment, a voxel counts once."""
        for number, mask in frame.items():
            there = self.masks.get(number)
            self.masks[number] = mask if there is None else masks.union([there, mask])
            self.counts[number] = counts[number] if there is None else masks.count(self.masks[number])


@dataclass(slots=True)
class MaskStack:
    """The masks of one segmentation object, plane by plane from the lowest along the normal."""

    planes: list[Plane]
    direction: tuple[float, ...] | None
    """Image Orientation (Patient) that its frames share."""
    normal: Floats | None
    spacing: float | None
    """Slice spacing, mm."""
    basis: str | None
    """Where it comes from, as `segments.volume_basis` names it."""
    rows: int
    columns: int
    series_uid: str | None
    """The CT series that it was drawn on, if it is one of the patient's."""

    def of(self, number: int) -> list[Plane]:
        """Planes where a segment has a voxel."""
        return [plane for plane in self.planes if plane.counts.get(number)]

    def numbered(self) -> list[int | None]:
        """Place of every plane on the lattice, from 0 for the lowest; its rank without a spacing, None without a position."""
        known = [plane.along for plane in self.planes if plane.along == plane.along]
        places: list[int | None] = [None] * len(self.planes)
        for rank, along in enumerate(known):
            places[rank] = rank if self.spacing is None else round((along - known[0]) / self.spacing)
        return places

    def lattice(self, planes: Sequence[Plane]) -> list[int] | None:
        """Places of planes such that neighbours differ by 1 and others by more; None if a position is missing."""
        if any(plane.along != plane.along for plane in planes):
            return None
        places, place = [], 0
        for before, plane in zip([None, *planes], planes, strict=False):
            if before is not None:
                steps = 1 if self.spacing is None else round((plane.along - before.along) / self.spacing)
                # How wide a gap is does not matter here, and a far stray frame must not cost memory.
                place += min(max(steps, 1), 2)
            places.append(place)
        return places


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
    try:
        frames = list(frame_masks(header, found))
    except Unmeasured as reason:
        found.dso |= {"masks": reason.status, "masks_detail": reason.detail}
        return None, []
    counts = [{number: masks.count(plane) for number, plane in frame.items()} for frame in frames]
    for row, voxels in zip(found.frames, counts, strict=False):
        row["voxels"] = sum(voxels.values())
    found.dso["masks"] = "measured"
    _add_found_segments(found, frames)
    _add_twins(found, frames, counts)
    stack = _stack(found, frames, counts, slices, series, profile)
    _add_jumps(stack, found)
    _measure_segments(stack, found, slices, profile)
    pairs = _pairs(stack, found)
    if not pairs:
        _measure_exclusive(stack, found, profile)
    return stack, pairs


def frame_masks(header: Header, found: DsoRows) -> Iterator[FrameMasks]:
    """The masks of every frame that has a row, in the order of frames."""
    dso = found.dso
    rows, columns, frames, bits = (dso.get(key) for key in ("rows", "columns", "number_of_frames", "bits_allocated"))
    if not rows or not columns or not frames or not bits:
        raise Unmeasured("failed", "Rows, Columns, NumberOfFrames or BitsAllocated is missing or zero")
    if header.pixels is None:
        raise Unmeasured("failed", "there is no Pixel Data")
    if min(rows, columns, frames) < 0 or frames * rows * -(-columns // 8) > MAX_PACKED:
        raise Unmeasured("failed", "the masks' size is out of all proportion")
    if header.pixels.vr in FLOATS:
        raise Unmeasured("failed", FLOATS_SAID)
    if not header.pixels.encapsulated and header.pixels.found * 8 < frames * rows * columns * bits:
        raise Unmeasured("failed", "Pixel Data is shorter than its frames need")
    numbers = [row.get("segment_number") for row in found.frames]
    kind = _kind(dso)
    if kind == "BINARY" and bits == 1 and header.transfer_syntax in NATIVE and not header.pixels.encapsulated:
        planes = masks.planes_from_pixel_data(_packed(header, header.pixels), frames, rows, columns)
        for number, plane in zip(numbers, planes, strict=False):
            yield {} if number is None else {number: plane}
        return
    decoded = zip(numbers, _decoded(header, rows, columns), strict=False)
    if kind == "FRACTIONAL":
        yield from _fractional(header, found, bits, decoded)
        return
    for number, voxels in decoded:
        if kind == "LABELMAP":
            yield {
                int(label): masks.pack(voxels == label) for label in np.unique(voxels) if label != _background(header)
            }
        else:
            yield {} if number is None else {number: masks.pack(voxels != 0)}


def _fractional(
    header: Header, found: DsoRows, bits: int, decoded: Iterable[tuple[int | None, npt.NDArray[Any]]]
) -> Iterator[FrameMasks]:
    """Masks of fractional frames: a voxel belongs to a segment where at least half of it does."""
    maximum = found.dso["fractional_maximum"] = integer(header.data, "MaximumFractionalValue")
    # Without a maximum it is what eight bits hold; objects of fewer hold less.
    most = maximum or min((1 << bits) - 1, LARGEST_FRACTION)
    largest: dict[int, int] = {}
    for number, voxels in decoded:
        if number is None:
            yield {}
            continue
        largest[number] = max(largest.get(number, 0), int(voxels.max(initial=0)))
        yield {number: masks.pack(voxels * 2.0 >= most)}
    for row in found.segments:
        if row["segment_number"] in largest:
            row["fraction_max"] = largest[row["segment_number"]] / most


def _packed(header: Header, pixels: PixelElement) -> bytes | Packed:
    """Bits in the order of voxels: a big-endian file has the bytes of each word swapped (PS3.5 7.3)."""
    value = pixels.value()
    if header.transfer_syntax != ExplicitVRBigEndian or pixels.vr != "OW":
        return value
    return np.frombuffer(value, dtype=">u2", count=len(value) // 2).astype("<u2").view(np.uint8)


def _kind(dso: Row) -> str:
    if dso.get("sop_class_uid") == LABEL_MAP or dso.get("segmentation_type") == "LABELMAP":
        return "LABELMAP"
    return "FRACTIONAL" if dso.get("segmentation_type") == "FRACTIONAL" else "BINARY"


def _background(header: Header) -> int:
    padding = integer(header.data, "PixelPaddingValue")
    return 0 if padding is None else padding


def decoder_for(transfer_syntax: str | None) -> Any:
    """The decoder of a transfer syntax.

    Raises
    ------
    Unmeasured
        There is none, or its package is not installed.
    """
    try:
        decoder = get_decoder(UID(transfer_syntax or ""))
    except NotImplementedError:
        raise Unmeasured("no-decoder", "no decoder is known for this transfer syntax") from None
    if not decoder.is_available:
        packages = "; or ".join(part.partition(" - requires ")[2] for part in decoder.missing_dependencies)
        raise Unmeasured("no-decoder", f"a decoder is missing: install {packages}")
    return decoder


def _decoded(header: Header, rows: int, columns: int) -> Iterator[npt.NDArray[Any]]:
    """Frames with one element a voxel, one at a time, through pydicom's decoders."""
    decoder = decoder_for(header.transfer_syntax)
    attach_pixels(header)
    try:
        for voxels, _ in decoder.iter_array(header.data, raw=True):
            if voxels.shape != (rows, columns):
                raise Unmeasured("failed", "a frame decodes to another size than Rows and Columns")
            yield voxels
    except Unmeasured:
        raise
    except Exception as error:  # noqa: BLE001 - broken Pixel Data may make a decoder raise anything
        raise Unmeasured("failed", f"Pixel Data can't be decoded ({type(error).__name__})") from None


def attach_pixels(header: Header) -> None:
    """Put Pixel Data, as the file has it, into the data set for pydicom's decoders."""
    pixels = header.pixels
    if pixels is None or tag_of(_PIXEL_DATA) in header.data:
        return
    value = pixels.value()
    if pixels.encapsulated:
        value = value.removesuffix(_SEQUENCE_END)
    header.data.add_new(tag_of(_PIXEL_DATA), pixels.vr, value)
    header.data[_PIXEL_DATA].is_undefined_length = pixels.encapsulated


def _add_found_segments(found: DsoRows, frames: Sequence[FrameMasks]) -> None:
    """For a label map, whose frames name no segment: count the frames that hold each, and add those not declared."""
    if _kind(found.dso) != "LABELMAP":
        return
    held = Counter(number for frame in frames for number in frame)
    for row in found.segments:
        row["n_frames"] = held.pop(row["segment_number"], 0) if row["segment_number"] is not None else 0
    owner = {"patient": found.dso["patient"], "dso": found.dso["path"]}
    for number in sorted(held):
        found.segments.append({**owner, "segment_number": number, "declared": False, "n_frames": held[number]})


def _add_twins(found: DsoRows, frames: Sequence[FrameMasks], counts: Sequence[Mapping[int, int]]) -> None:
    """Note for every frame the first that holds the very same voxels of the same segments.

    Only frames with as many voxels are compared, so that hardly any are.
    """
    alike: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for index, voxels in enumerate(counts):
        held = tuple(sorted((number, count) for number, count in voxels.items() if count))
        if held:
            alike.setdefault(held, []).append(index)
    for held, places in alike.items():
        if len(places) < 2:
            continue
        first: dict[tuple[bytes, ...], int] = {}
        for index in places:
            twin = first.setdefault(tuple(frames[index][number].tobytes() for number, _ in held), index)
            if twin != index and index < len(found.frames):
                found.frames[index]["twin"] = found.frames[twin]["frame"]


def _stack(
    found: DsoRows,
    frames: Sequence[FrameMasks],
    counts: Sequence[Mapping[int, int]],
    slices: Sequence[Row],
    series: Sequence[Row],
    profile: Profile,
) -> MaskStack:
    """Put frames on planes by their position along the normal."""
    used = found.frames[: len(frames)]
    series_uid = referenced_series(found, slices, series)
    ct_spacing = next((row.get("spacing") for row in series if series_uid and row["series_uid"] == series_uid), None)
    direction = common_orientation(used)
    if direction is None and series_uid:
        direction = common_orientation(row for row in slices if row.get("series_uid") == series_uid)
    normal = None if direction is None else unit_normal(direction[:3], direction[3:])
    if normal is not None and not np.isfinite(normal).all():
        direction = normal = None
    by_uid = {row["sop_instance_uid"]: row for row in slices if row.get("sop_instance_uid")}
    placed: list[tuple[float, int, tuple[float, float, float] | None]] = []
    for index, row in enumerate(used):
        origin = position_of(row) or position_of(by_uid.get(row.get("source_uid"), {}))
        along = float("nan") if origin is None or normal is None else float(np.dot(origin, normal))
        placed.append((along, index, origin))
    known = sorted(item for item in placed if item[0] == item[0])
    tolerance = profile.tolerances.position_mm
    spacing, basis = _slice_spacing(found.dso, ct_spacing, [origin for *_, origin in known], normal, profile)
    if spacing is not None:
        tolerance = max(tolerance, profile.tolerances.lattice_fraction * spacing)
    planes: list[Plane] = []
    ranks: list[tuple[int, int]] = []
    for along, index, origin in known:
        if not planes or along - planes[-1].along > tolerance:
            planes.append(Plane(along, origin))
        planes[-1].lay(frames[index], counts[index])
        ranks.append((index, len(planes) - 1))
    for _, index, _ in (item for item in placed if item[0] != item[0]):
        planes.append(Plane(float("nan"), None, dict(frames[index]), dict(counts[index])))
    stack = MaskStack(
        planes, direction, normal, spacing, basis, int(found.dso["rows"]), int(found.dso["columns"]), series_uid
    )
    places = stack.numbered()
    for index, rank in ranks:
        used[index]["plane"] = places[rank]
    return stack


def _add_jumps(stack: MaskStack, found: DsoRows) -> None:
    """How much frames with a twin, and the twins, differ from the planes above and below them."""
    twins = {row["twin"] for row in found.frames if row.get("twin") is not None}
    places = stack.numbered() if twins else []
    for row in found.frames:
        number, place = row.get("segment_number"), row.get("plane")
        if place is None or number is None or (row.get("twin") is None and row["frame"] not in twins):
            continue
        held = {
            at: plane.masks[number] for at, plane in zip(places, stack.planes, strict=True) if number in plane.masks
        }
        own = held[place]
        nothing = np.zeros_like(own)
        below, above = held.get(place - 1, nothing), held.get(place + 1, nothing)
        aside = (masks.count(own ^ below) + masks.count(own ^ above)) / 2
        row["jump"] = aside / max(masks.count(below ^ above), 1)


def referenced_series(found: DsoRows, slices: Sequence[Row], series: Sequence[Row]) -> str | None:
    """The patient's CT series that a segmentation object references.

    Parameters
    ----------
    found : DsoRows
        Rows of the object.
    slices, series : sequence of dict
        The patient's rows of `slices` and `ct_series`.

    Returns
    -------
    str or None
        Series Instance UID: the one that the Referenced Series Sequence names; of several of the patient's, or if it
        names none of them, the one that most source images of frames belong to. None if the patient has none of them,
        or if it can't be told which.
    """
    own = {row["series_uid"] for row in series if row.get("series_uid")}
    named = own & {row["series_uid"] for row in found.references if row["level"] == "series"}
    if len(named) == 1:
        return str(named.pop())
    by_uid = {row["sop_instance_uid"]: row.get("series_uid") for row in slices if row.get("sop_instance_uid")}
    counts = Counter(by_uid.get(row["sop_instance_uid"]) for row in found.references if row["level"] == "frame")
    ranked = sorted((-counts[uid], uid) for uid in named or own if counts[uid])
    if not ranked or [count for count, _ in ranked].count(ranked[0][0]) > 1:
        return None
    return str(ranked[0][1])


def _slice_spacing(
    dso: Row,
    ct_spacing: float | None,
    origins: Sequence[tuple[float, float, float] | None],
    normal: Floats | None,
    profile: Profile,
) -> tuple[float | None, str | None]:
    if ct_spacing is not None and ct_spacing > 0:
        return float(ct_spacing), "ct-positions"
    if origins and normal is not None:
        spacing = spacing_along(np.array(origins, dtype=np.float64), normal, profile.tolerances)
        if np.isfinite(spacing):
            return spacing, "frame-positions"
    for column, basis in (
        ("spacing_between_slices", "spacing-between-slices"),
        ("slice_thickness", "slice-thickness"),
    ):
        value = dso.get(column)
        if value is not None and value > 0:
            return float(value), basis
    return None, None


def _measure_segments(stack: MaskStack, found: DsoRows, slices: Sequence[Row], profile: Profile) -> None:
    measured: dict[int, Row] = {}
    labels = {row.get("segment_number"): row.get("label") for row in found.segments}
    thick = _thickness_ml(stack, found, slices)
    for number in sorted(number for number in labels if number is not None):
        label = labels[number]
        is_liver = isinstance(label, str) and profile.role(label) == LIVER
        measured[number] = _segment(stack, number, voxel_ml(stack, found), _pixel_spacing(found), is_liver)
        measured[number]["volume_thickness_ml"] = None if thick is None else measured[number]["voxels"] * thick
    for row in found.segments:
        if row["segment_number"] is not None:
            row.update(measured[row["segment_number"]])


def _thickness_ml(stack: MaskStack, found: DsoRows, slices: Sequence[Row]) -> float | None:
    """Volume of a voxel by SliceThickness, mL: the object's, or else that of most slices of its CT series."""
    in_plane, thickness = _pixel_spacing(found), found.dso.get("slice_thickness")
    if thickness is None and stack.series_uid is not None:
        counts = Counter(row.get("slice_thickness") for row in slices if row.get("series_uid") == stack.series_uid)
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


def voxel_ml(stack: MaskStack, found: DsoRows) -> float | None:
    """Volume of a voxel, mL; None if a spacing is not known."""
    in_plane = _pixel_spacing(found)
    if in_plane is None or stack.spacing is None:
        return None
    return in_plane[0] * in_plane[1] * stack.spacing / _MM3_PER_ML


def _segment(
    stack: MaskStack, number: int, ml: float | None, in_plane: tuple[float, float] | None, is_liver: bool
) -> Row:
    planes = stack.of(number)
    row: Row = {"voxels": 0, "n_planes": len(planes)}
    row |= {"volume_ml": None if ml is None else 0.0, "volume_basis": None if ml is None else stack.basis}
    if not planes:
        return row | {"components": 0, "largest_component": 0, "specks": 0}
    box = masks.bounds(masks.union([plane.masks[number] for plane in planes]))
    if box is None:  # pragma: no cover - every plane here has a voxel
        return row
    counts = [plane.counts[number] for plane in planes]
    row["voxels"] = sum(counts)
    row["volume_ml"] = None if ml is None else row["voxels"] * ml
    row |= {
        "row_min": box.row_min,
        "row_max": box.row_max,
        "column_min": box.column_min,
        "column_max": box.column_max,
    }
    if (places := stack.lattice(planes)) is not None:
        volume = _volume(planes, number, places, box)
        row |= _centroid(stack, planes, volume, box, counts, in_plane)
        row |= _components(volume)
        row |= _diameters(stack, planes, [volume[place] for place in places], in_plane)
        if is_liver:
            row["hole_voxels"] = _holes(volume, planes, places, box)
    return row


def _centroid(
    stack: MaskStack,
    planes: Sequence[Plane],
    volume: npt.NDArray[np.uint8],
    box: Box,
    counts: Sequence[int],
    in_plane: tuple[float, float] | None,
) -> Row:
    """Mean position of the set voxels (PS3.3 C.7.6.2.1.1 maps indices to positions)."""
    if stack.direction is None or in_plane is None or any(plane.origin is None for plane in planes):
        return {}
    along_row, along_column = np.array(stack.direction[:3]), np.array(stack.direction[3:])
    # Planes on top of each other; 255 of them fit a byte, and adding bytes is several times faster.
    seen = volume.sum(axis=0, dtype=np.uint8 if len(volume) < 256 else np.uint32)
    voxels = sum(counts)
    down = float(seen.sum(axis=1, dtype=np.int64) @ np.arange(box.row_min, box.row_max + 1)) / voxels
    across = float(seen.sum(axis=0, dtype=np.int64) @ np.arange(box.column_min, box.column_max + 1)) / voxels
    origin = np.array(counts) @ np.array([plane.origin for plane in planes], dtype=np.float64) / voxels
    centre = origin + down * in_plane[0] * along_column + across * in_plane[1] * along_row
    return vector("centroid", centre.tolist())


def _volume(planes: Sequence[Plane], number: int, places: Sequence[int], box: Box) -> npt.NDArray[np.uint8]:
    """The box that a segment fills, one element a voxel."""
    volume = np.zeros((places[-1] + 1, *box.shape), dtype=np.uint8)
    for plane, place in zip(planes, places, strict=True):
        volume[place] = masks.unpack(plane.masks[number], box)
    return volume


def _components(volume: npt.NDArray[np.uint8]) -> Row:
    sizes = _sizes(volume)
    return {
        "components": int(sizes.size),
        "largest_component": int(sizes.max(initial=0)),
        "specks": int((sizes < SPECK).sum()),
    }


def _diameters(
    stack: MaskStack, planes: Sequence[Plane], unpacked: Sequence[Packed], in_plane: tuple[float, float] | None
) -> Row:
    if stack.direction is None or stack.spacing is None or in_plane is None:
        return {}
    axes = np.array([stack.direction[:3], stack.direction[3:]])
    origins = np.array([plane.origin for plane in planes], dtype=np.float64) @ axes.T
    reaches = np.array([masks.supports(mask, *in_plane) for mask in unpacked])
    along = np.array([plane.along for plane in planes])
    axial, whole = masks.diameters(reaches, origins, along, stack.spacing)
    return {"diameter_axial_mm": axial, "diameter_3d_mm": whole}


def _sizes(volume: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Voxels of every face-connected component."""
    labels, count = cc3d.connected_components(volume, connectivity=FACES, binary_image=True, return_N=True)
    if count == 1:
        return np.array([np.count_nonzero(volume)], dtype=np.int64)
    return _label_counts(labels, count)[1:]


def _label_counts(labels: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    # Slice by slice: counting all at once would first copy the labels to eight bytes each.
    counts = np.zeros(count + 1, dtype=np.int64)
    for part in labels:
        counts += np.bincount(part.ravel(), minlength=count + 1)
    return counts


def _holes(volume: npt.NDArray[np.uint8], planes: Sequence[Plane], places: Sequence[int], box: Box) -> int:
    """Voxels that the mask encloses in three dimensions and that no other segment fills."""
    outside = np.pad(volume == 0, 1, constant_values=True)
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
        for number in held:
            if number == livers[0]:
                continue
            rim = masks.rim(plane.masks[number], stack.columns)
            around[number] += masks.count(rim)
            if others := [plane.masks[other] for other in held if other != number]:
                touching[number] += masks.overlap(rim, masks.union(others))
        if held:
            union = masks.union([plane.masks[number] for number in held])
            merged.append(Plane(plane.along, plane.origin, {0: union}, {0: sum(plane.counts[n] for n in held)}))
    # Segments share no voxel, so that what they hold together is a sum.
    whole: Row = {"union_voxels": sum(plane.counts[0] for plane in merged)}
    box = masks.bounds(masks.union([plane.masks[0] for plane in merged]))
    if (places := stack.lattice(merged)) is not None and box is not None:
        sizes = _sizes(_volume(merged, 0, places, box))
        whole |= {"union_components": int(sizes.size), "union_largest": int(sizes.max(initial=0))}
    for row in found.segments:
        number = row["segment_number"]
        if number == livers[0]:
            row.update(whole)
        elif around[number]:
            row["rim_in_liver"] = touching[number] / around[number]


def _pairs(stack: MaskStack, found: DsoRows) -> list[Row]:
    ml = voxel_ml(stack, found)
    rows = {row["segment_number"]: (row["row_min"], row["row_max"]) for row in found.segments if row.get("voxels")}
    overlaps: Counter[tuple[int, int]] = Counter()
    for plane in stack.planes:
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
