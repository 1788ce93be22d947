"""CT values: plausibility of each slice, and what lies under the masks. One slice is in memory at a time, decoded once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import UID

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR, VESSEL, Profile
from crlm_qc.evidence import limits
from crlm_qc.evidence.ct import Row, position_of
from crlm_qc.evidence.dicom.decoding import (
    FLOAT_VRS,
    NO_FLOATS,
    NotGiven,
    Unmeasured,
    decoder_for,
    refuse_blown,
    undecoded,
)
from crlm_qc.evidence.dicom.header import Header, PixelElement, compressed, undecodable
from crlm_qc.evidence.dicom.values import integer
from crlm_qc.evidence.digests import LEAST_WITHIN, pixel_digest
from crlm_qc.evidence.dso import DsoRows
from crlm_qc.evidence.images import Flags, Range, Stored, StoredImage, count_within, ends_of, hu_of, outside, to_hu
from crlm_qc.evidence.levels import corner_fill, levels
from crlm_qc.evidence.limits import Beyond, refuse
from crlm_qc.evidence.masks.stack import MaskStack, Plane
from crlm_qc.evidence.source import reason
from crlm_qc.evidence.tally import Tally
from crlm_qc.geometry import borders, masks, placements
from crlm_qc.geometry.borders import Faces
from crlm_qc.geometry.lattice import Floats
from crlm_qc.geometry.masks import Box, Ints
from crlm_qc.geometry.placements import BELOW_HU, Codes
from crlm_qc.model.tables import TOO_LARGE

SOFT_TISSUE_HU = (-200.0, 200.0)
POSSIBLE_HU = (-1100.0, 4000.0)
LUNG_HU = (-900.0, -500.0)
"""Lung; air, and the foam of most tables, are below."""
LUNG_STEP = 8
"""Every how manieth row and column is looked at for it."""
COARSE_MM = 3.0
"""About how far apart the pixels are that masks are laid over at other places."""
LEAST_MM = 0.1
"""No CT has smaller pixels, whatever its PixelSpacing says."""
COARSE_SIDE = 256
"""Most rows and columns of them, so that memory stays bounded."""
FACES_SLICES = 30
"""Most slices on which faces of masks are looked at; all that there are tell no more."""
FACES_STEP = 2
"""Every how manieth line of the coarse copy is."""
AROUND = 2
"""How many of them what lies just outside of a mask is wide."""
CODES_TOGETHER = 1 << 10
"""Stored values whose codes are made together."""
LEVELLED = 16
"""Most slices of a series that levels are measured of: what is wrong with all values is wrong in each slice."""
QUARTILE = 0.6745
"""Distance of the third quartile from the median, in standard deviations."""
MOST_NOISE_HU = 50.0
"""Noise of the thinnest slices, as a standard deviation; values that spread farther are of several tissues."""
LEAST_PARENCHYMA = 0.2
"""Part of the liver that must be left without tumours and vessels for these to be left out."""

Coder = Callable[[Stored], Codes]


@dataclass(slots=True)
class SlicePixels:
    """Where the pixels of one CT image are, and how to read them."""

    row: Row
    """Its row of `slices`, which the figures go into."""
    element: PixelElement
    transfer_syntax: str | None
    """The one that they are read by."""
    little_endian: bool
    padding_limit: int | None
    """PixelPaddingRangeLimit: all stored values between it and PixelPaddingValue are padding (PS3.3 C.7.5.1.1.2)."""
    floats: bool = False
    """Whether they are Float or Double Float Pixel Data, which have no integers."""


def slice_pixels(header: Header, row: Row) -> SlicePixels | None:
    """Note where the pixels of a CT image are; None if it has none."""
    if header.pixels is None:
        return None
    implicit, little = header.data.original_encoding
    # Implicit VR says nothing of the element; floats have neither Bits Stored nor a Pixel Representation (PS3.3 C.7.6.24).
    bare = row.get("bits_stored") is None and row.get("pixel_representation") is None
    floats = header.pixels.vr in FLOAT_VRS or (bool(implicit) and bare and row.get("bits_allocated") in (32, 64))
    limit = integer(header.data, "PixelPaddingRangeLimit")
    return SlicePixels(row, header.pixels, header.transfer_syntax, bool(little), limit, floats)


@dataclass(slots=True)
class _Overlay:
    """One segmentation object over its CT series, and what was gathered under it so far."""

    found: DsoRows
    stack: MaskStack
    ranks: dict[int, list[Plane]]
    """Rank of a CT slice along the normal to the planes that lie on it."""
    rank_of: dict[str, int]
    """Path of a CT slice to its rank; of slices at one position only the first."""
    livers: list[int]
    """Segment Numbers of livers."""
    lesions: list[int]
    """Segment Numbers of tumours and vessels, whose CT values are not those of liver."""
    others: list[int]
    """The same, and those of remnants: what may be cut out of the liver."""
    spacing: tuple[float, float, float]
    """Distance between slices, between rows and between columns of the CT, mm."""
    step: int
    """Every how manieth row and column the coarse copy of the CT has."""
    boxes: Mapping[int, Box]
    """Segment Number to the rectangle that holds its voxels on every plane."""
    faces: Mapping[int, tuple[Faces, Faces]]
    """A liver's Segment Number to what is seen through its faces, along rows' and along columns' indices."""
    values: dict[int, Tally] = field(default_factory=dict)
    """Segment Number to the CT values under its mask."""
    coarse: dict[int, Codes] = field(default_factory=dict)
    """Rank to the coarse copy of its slice."""

    @property
    def every(self) -> int:
        """Every how manieth slice is looked at for them."""
        return -(-len(self.ranks) // FACES_SLICES)

    def thinned(self, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Every `step`-th row and column, about the middle, so that mirrored they fall on each other."""
        return plane[self.places(plane.shape[0]), self.places(plane.shape[1])]

    def places(self, size: int) -> slice:
        """Which of so many rows or columns the coarse copy has."""
        return slice((size - 1) % self.step // 2, None, self.step)


def measure_pixels(
    sources: Sequence[SlicePixels], stacks: Sequence[tuple[DsoRows, MaskStack]], profile: Profile
) -> tuple[dict[str, list[Row]], list[str]]:
    """Fill in the CT figures of slices and segments.

    Parameters
    ----------
    sources : sequence of SlicePixels
        The CT images of one patient.
    stacks : sequence of (DsoRows, MaskStack)
        Its segmentation objects, masks read; their segments are filled in.
    profile : Profile
        Tolerances and the segment vocabulary.

    Returns
    -------
    laid : dict of str to list of dict
        Rows of `alignments` and of `borders`.
    problems : list of str
        Why some pixels were not read though asked for.
    """
    overlays = [overlay for found, stack in stacks if (overlay := _overlay(found, stack, sources, profile))]
    problems: dict[str, int] = {}
    levelled = _levelled(sources)
    for source in sources:
        try:
            stored, ends = _stored(source)
        except Unmeasured as fault:
            source.row |= {"pixels": fault.status, "pixels_detail": fault.detail}
            # Of other pixels that can't be read, rules tell.
            unsaid = isinstance(fault, NotGiven) or source.floats or undecodable(source.transfer_syntax, source.element)
            if fault.status == "no-decoder" or unsaid:
                problems[fault.detail] = problems.get(fault.detail, 0) + 1
            continue
        finally:
            source.element.held = None
        source.row["pixels"] = "read"
        slope, intercept = source.row.get("rescale_slope"), source.row.get("rescale_intercept")
        if not slope or intercept is None:
            continue
        padding = _padding(stored, ends, source)
        image = StoredImage(stored, ends, padding, np.float32(slope), np.float32(intercept))
        figures = _figures(image)
        source.row.update(figures)
        source.row["pixel_digest"] = pixel_digest(stored, slope, intercept, tells=_tells(figures, image))
        if source.row["path"] in levelled:
            source.row.update(levels(stored, image.valid(stored), _bits(stored, source.row), slope, intercept))
        for overlay in overlays:
            if (rank := overlay.rank_of.get(source.row["path"])) is not None:
                _gather(overlay, rank, image)
    laid: dict[str, list[Row]] = {"alignments": [], "borders": []}
    for overlay in overlays:
        _finish(overlay)
        for number in overlay.livers:
            if number in overlay.boxes:
                _lay(overlay, number, laid)
    return laid, [f"CT pixels of {count} files were not read: {detail}" for detail, count in problems.items()]


def _levelled(sources: Sequence[SlicePixels]) -> set[str]:
    """Paths of the slices that levels are measured of: some of each series, from one end to the other."""
    paths: dict[str | None, list[str]] = {}
    for source in sources:
        paths.setdefault(source.row.get("series_uid"), []).append(source.row["path"])
    return {path for own in paths.values() for path in own[:: -(-len(own) // LEVELLED)]}


def _stored(source: SlicePixels) -> tuple[Stored, Range]:
    try:
        return _within_bits(_read(source), source)
    except OSError as error:
        raise NotGiven("failed", reason(error)) from None


def stored_values(source: SlicePixels) -> Stored:
    """Stored values, shape (rows, columns)."""
    return _within_bits(_read(source), source)[0]


def _read(source: SlicePixels) -> Stored:
    """All bits that values were stored in."""
    row = source.row
    rows, columns, bits = (row.get(key) for key in ("rows", "columns", "bits_allocated"))
    if not rows or not columns or rows < 0 or columns < 0 or row.get("samples_per_pixel") not in (None, 1):
        raise Unmeasured("failed", "no monochrome image")
    if source.floats:
        raise Unmeasured("failed", NO_FLOATS)
    if compressed(source.transfer_syntax, source.element):
        return _decompressed(source, rows, columns)
    if bits not in (8, 16, 32):
        raise Unmeasured("failed", "Bits Allocated is not 8, 16 or 32")
    value = source.element.value()
    if len(value) * 8 < rows * columns * bits:
        raise Unmeasured("failed", "Pixel Data is too short")
    signed = row.get("pixel_representation") == 1
    kind = f"{'<' if source.little_endian else '>'}{'i' if signed else 'u'}{bits // 8}"
    stored = np.frombuffer(value, dtype=kind, count=rows * columns).reshape(rows, columns)
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _within_bits(stored: Stored, source: SlicePixels) -> tuple[Stored, Range]:
    """Values of Bits Stored bits, as most readers cut them, and their ends; those that lose by it are counted.

    Shifting the bits above out and back keeps the sign. Where they are 0 throughout they are no sign, which is legal, and
    padding may be any value.
    """
    ends = ends_of(stored)
    allocated, bits = 8 * stored.itemsize, source.row.get("bits_stored") or 0
    if not 0 < bits < allocated:
        return stored, ends
    source.row["wide_pixels"] = 0
    least = -(1 << bits - 1) if stored.dtype.kind == "i" else 0
    if least <= ends[0] and ends[1] < least + (1 << bits):
        return stored, ends
    cut = (stored << (allocated - bits)) >> (allocated - bits)
    wide = cut != stored
    if not (stored < 0).any():
        wide &= stored >> bits != 0
    if (valid := valid_pixels(cut, source)) is not None:
        wide &= valid
    source.row["wide_pixels"] = int(np.count_nonzero(wide))
    return cut, ends_of(cut)


def _decompressed(source: SlicePixels, rows: int, columns: int) -> Stored:
    decoder = decoder_for(source.transfer_syntax)
    try:
        with source.element.file.opened() as stream:
            data = pydicom.dcmread(stream, force=True)
        frames = integer(data, "NumberOfFrames") or 1
        refuse_blown(rows, columns, frames, source.element.found, source.element.beginning)
        refuse(rows * columns * frames, limits.BOX_VOXELS, "its frames have {} pixels")
        # The decoder must be that of the file meta, which may be missing or untrue.
        data.file_meta.TransferSyntaxUID = UID(source.transfer_syntax or "")
        stored, _ = decoder.as_array(data, raw=True, correct_unused_bits=False)
    except OSError:
        raise
    except Beyond as reason:
        raise Unmeasured(TOO_LARGE, str(reason)) from None
    except Exception as error:  # noqa: BLE001 - broken Pixel Data may make a decoder raise anything
        raise undecoded(decoder, error) from None
    if stored.shape != (rows, columns):
        raise Unmeasured("failed", "the image decodes to another size than Rows and Columns")
    return np.asarray(stored)


def valid_pixels(stored: Stored, source: SlicePixels) -> Flags | None:
    """Pixels that are no padding, declared or not; None where all are. What is not declared is noted in the row."""
    return outside(stored, _padding(stored, ends_of(stored), source))


def _padding(stored: Stored, ends: Range, source: SlicePixels) -> dict[Range, int]:
    """Stored values that are padding, and how many pixels have them; none that no pixel has."""
    padding = _declared(stored, ends, source)
    slope, intercept = source.row.get("rescale_slope"), source.row.get("rescale_intercept")
    inside = outside(stored[[0, 0, -1, -1], [0, -1, 0, -1]], padding)
    if not slope or intercept is None or (inside is not None and not inside.any()):
        return padding
    fill = corner_fill(stored, outside(stored, padding), slope, intercept)
    if fill is not None:
        source.row["padding_undeclared"] = fill
        padding[fill, fill] = count_within(stored, ends, fill, fill)
    return padding


def _declared(stored: Stored, ends: Range, source: SlicePixels) -> dict[Range, int]:
    padding = source.row.get("pixel_padding_value")
    if padding is None:
        return {}
    limit = padding if source.padding_limit is None else source.padding_limit
    low, high = sorted(_as_stored(value, stored, source.row) for value in (padding, limit))
    count = count_within(stored, ends, low, high)
    return {(low, high): count} if count else {}


def _as_stored(value: int, stored: Stored, row: Row) -> int:
    """A padding value as the pixels hold it: written as US for signed pixels, 63536 is -2000; as SS for others, the reverse."""
    span, signed = 1 << _bits(stored, row), stored.dtype.kind == "i"
    least = -(span // 2) if signed else 0
    return (value - least) % span + least


def _bits(stored: Stored, row: Row) -> int:
    """Bits Stored, or all that the values were stored in."""
    allocated, bits = 8 * stored.itemsize, row.get("bits_stored") or 0
    return bits if 0 < bits < allocated else allocated


def _figures(image: StoredImage) -> Row:
    count = image.size
    if not count:
        return {}
    low, high = sorted(hu_of(end, image.slope, image.intercept) for end in image.span())
    beyond = 0
    if low < POSSIBLE_HU[0] or high > POSSIBLE_HU[1]:
        beyond = count - image.count(*POSSIBLE_HU)
    soft = image.count(*SOFT_TISSUE_HU)
    some = image.thinned(LUNG_STEP)
    looked = some.size
    lung = some.count(*LUNG_HU) if looked else 0
    return {
        "hu_min": low,
        "hu_max": high,
        "hu_soft": soft / count,
        "hu_lung": lung / looked if looked else None,
        "hu_outside": beyond / count,
    }


def _tells(figures: Row, image: StoredImage) -> bool:
    """Whether the figures already say that the image has soft tissue, and more than one value: a digest tells it from others."""
    if not figures or figures["hu_soft"] * image.size < LEAST_WITHIN * image.stored.size:
        return False
    return bool(figures["hu_max"] - figures["hu_min"] > 2)


def _overlay(found: DsoRows, stack: MaskStack, sources: Sequence[SlicePixels], profile: Profile) -> _Overlay | None:
    """Match planes to CT slices; None if the two have no grid in common, so that indices would not correspond."""
    normal, direction = stack.normal, stack.direction
    if normal is None or direction is None or stack.ct is None or not stack.spacing:
        return None
    reach = max(profile.tolerances.position_mm, profile.tolerances.lattice_fraction * stack.spacing)
    slices: list[tuple[float, str, Row, Floats]] = []
    for source in sources:
        position = position_of(source.row)
        # A slice of another size (CTS003) has no place in their grid.
        fits = (source.row.get("rows"), source.row.get("columns")) == (stack.rows, stack.columns)
        if fits and position is not None and (source.row.get("series_uid") or "") == stack.ct:
            slices.append(
                (float(np.dot(position, normal)), source.row["path"], source.row, np.array(position, dtype=np.float64))
            )
    slices.sort(key=lambda item: item[:2])
    rank_of: dict[str, int] = {}
    ranks: dict[int, list[Plane]] = {}
    places: list[tuple[float, Row, Floats]] = []
    for along, path, row, origin in slices:
        if places and along - places[-1][0] <= profile.tolerances.position_mm:
            continue
        rank_of[path] = len(places)
        places.append((along, row, origin))
    distances = np.array([along for along, *_ in places])
    for plane in stack.planes:
        if not places or plane.origin is None:
            continue
        rank = int(np.argmin(np.abs(distances - plane.along)))
        along, row, origin = places[rank]
        offset = np.array(plane.origin) - origin
        sideways = float(np.linalg.norm(offset - np.dot(offset, normal) * normal))
        same = _same_grid(row, stack, direction, profile) and sideways < _half_pixel(row)
        if abs(along - plane.along) <= reach and same:
            ranks.setdefault(rank, []).append(plane)
    if not ranks:
        return None
    row = places[min(ranks)][1]
    between = (float(row["spacing_row"]), float(row["spacing_col"]))
    step = max(round(COARSE_MM / max(*between, LEAST_MM)), -(-max(stack.rows, stack.columns) // COARSE_SIDE), 1)
    livers, lesions = _numbers(found, profile, LIVER), _numbers(found, profile, TUMOUR, VESSEL)
    others = [*lesions, *_numbers(found, profile, REMNANT)]
    faces = {number: (Faces.along(between[0]), Faces.along(between[1])) for number in livers}
    spacing, boxes = (stack.spacing, *between), _boxes(found)
    return _Overlay(found, stack, ranks, rank_of, livers, lesions, others, spacing, step, boxes, faces)


def _same_grid(row: Row, stack: MaskStack, direction: Sequence[float], profile: Profile) -> bool:
    """Whether a slice has the size and orientation of the masks."""
    if (row.get("rows"), row.get("columns")) != (stack.rows, stack.columns) or row.get("row_x") is None:
        return False
    own = [row[f"{part}_{axis}"] for part in ("row", "col") for axis in "xyz"]
    return bool(np.abs(np.subtract(own, direction)).max() <= profile.tolerances.direction)


def _boxes(found: DsoRows) -> dict[int, Box]:
    sides = ("row_min", "row_max", "column_min", "column_max")
    return {row["segment_number"]: Box(*(row[side] for side in sides)) for row in found.segments if row.get("voxels")}


def _half_pixel(row: Row) -> float:
    return min(row.get("spacing_row") or 0.0, row.get("spacing_col") or 0.0) / 2


def _numbers(found: DsoRows, profile: Profile, *roles: str) -> list[int]:
    """Segment Numbers of segments of some roles."""
    numbers = {
        row["segment_number"]
        for row in found.segments
        if isinstance(row.get("label"), str) and profile.role(row["label"]) in roles
    }
    return sorted(number for number in numbers if number is not None)


def _gather(overlay: _Overlay, rank: int, image: StoredImage) -> None:
    """Take what lies under the masks on one CT slice."""
    coder = _coder(image) if overlay.livers else None
    for plane in overlay.ranks.get(rank, ()):
        for number, packed in plane.masks.items():
            if not plane.counts[number]:
                continue
            box = overlay.boxes[number]
            mask = masks.unpack(packed, box).view(np.bool_)
            if coder is not None and number in overlay.faces and rank % overlay.every == 0:
                _add_faces(overlay, number, mask, image.stored, coder)
            tally = overlay.values.setdefault(number, Tally())
            tally.add(image.stored[box.slices][mask], image.slope, image.intercept, image.padding.keys())
    if coder is not None:
        overlay.coarse[rank] = coder(overlay.thinned(image.stored))


def _coder(image: StoredImage) -> Coder:
    """Gives the codes of parts of an image: those of its values, of which there are fewer than pixels, are looked up."""
    low, high = min(image.ends[0], 0), max(image.ends[1], 0)
    if high - low >= image.stored.size:
        return lambda part: placements.encode(image.hu(part), image.valid(part))
    limits = np.iinfo(image.stored.dtype)
    # Slices of one series differ a little in their ends.
    first = max(low - low % CODES_TOGETHER, int(limits.min))
    last = min(high - high % CODES_TOGETHER + CODES_TOGETHER - 1, int(limits.max))
    return _table(first, last, image.stored.dtype, tuple(image.padding), image.slope, image.intercept).take


@lru_cache(maxsize=16)
def _table(
    first: int, last: int, kind: np.dtype[Any], padding: tuple[Range, ...], slope: np.float32, intercept: np.float32
) -> Codes:
    """Codes by stored value, from 0 to the last; then those of negative ones, which indices below 0 find from the end."""
    every = np.roll(np.arange(first, last + 1), first).astype(kind)
    return placements.encode(to_hu(every, slope, intercept), outside(every, padding))


def _add_faces(overlay: _Overlay, number: int, mask: Flags, stored: Stored, coder: Coder) -> None:
    """Take what is seen through the faces of a liver's mask, on some rows and columns of its box."""
    step = FACES_STEP * overlay.step
    down, across = overlay.boxes[number].slices
    along_rows, along_columns = overlay.faces[number]
    lines = slice(down.start, down.stop, step), _wider(across, along_columns.reach + 1)
    along_columns.add(mask[::step], _codes(stored, coder, *lines))
    lines = _wider(down, along_rows.reach + 1), slice(across.start, across.stop, step)
    along_rows.add(mask[:, ::step].T, _codes(stored, coder, *lines).T)


def _wider(part: slice, by: int) -> slice:
    return slice(part.start - by, part.stop + by)


def _codes(stored: Stored, coder: Coder, rows: slice, columns: slice) -> Codes:
    """Codes of a part of an image that may reach beyond it."""
    size = stored.shape
    inner = tuple(
        slice(max(part.start, 0), min(part.stop, most), part.step)
        for part, most in zip((rows, columns), size, strict=True)
    )
    codes = coder(stored[inner])
    ends = [(held.start - part.start, part.stop - held.stop) for part, held in zip((rows, columns), inner, strict=True)]
    return np.pad(codes, ends, constant_values=placements.NOTHING) if any(map(any, ends)) else codes


def _finish(overlay: _Overlay) -> None:
    for row in overlay.found.segments:
        tally = overlay.values.get(row["segment_number"]) if row["segment_number"] is not None else None
        values = None if tally is None else tally.counted()
        if values is not None:
            row["hu_median"] = values.median
            row["hu_below_minus10"] = values.below(BELOW_HU)
            # By the upper half: what a mask holds beside its organ, fat and air, lies below.
            row["hu_noise"] = (values.upper_quartile - row["hu_median"]) / QUARTILE
            row["hu_other"] = values.below(BELOW_HU - 2 * min(row["hu_noise"], MOST_NOISE_HU))


def _lay(overlay: _Overlay, number: int, laid: Mapping[str, list[Row]]) -> None:
    """Lay a liver over the CT at every placement, and see where its border lies; adds rows to `alignments` and `borders`."""
    window = _window(overlay, number)
    liver = _coarse_mask(overlay, [number], window)
    if not liver.any() or not overlay.coarse:
        return
    image = np.full((len(liver), *next(iter(overlay.coarse.values())).shape), placements.NOTHING, dtype=np.uint8)
    for rank, plane in overlay.coarse.items():
        image[rank] = plane
    owner = {"patient": overlay.found.dso["patient"], "dso": overlay.found.dso["path"], "segment_number": number}
    laid["alignments"].extend(owner | row for row in _alignments(overlay, liver, image, window))
    through, held = Faces.along(overlay.spacing[0]), liver.any(axis=0)
    beyond = ((0, 0), (through.reach + 1, through.reach + 1))
    through.add(liver[:, held].T, np.pad(image[:, *window][:, held].T, beyond, constant_values=placements.NOTHING))
    laid["borders"].extend(owner | row for row in _borders(overlay, (through, *overlay.faces[number])))


def _borders(overlay: _Overlay, axes: Sequence[Faces]) -> Iterator[Row]:
    names = ("slices", "rows", "columns")
    for axis, spacing, found in zip(names, overlay.spacing, borders.measured(axes), strict=True):
        row: Row = {
            "axis": axis,
            "spacing_mm": spacing,
            "shift": found.shift,
            "shift_mm": found.shift * spacing,
            "shift_least": found.least,
        }
        for side, half in (("low", found.low), ("high", found.high)):
            row |= {f"faces_{side}": half.faces, f"told_{side}": half.told, f"border_{side}": half.border}
        yield {column: None if value != value else value for column, value in row.items()}


def _alignments(overlay: _Overlay, liver: Flags, image: Codes, window: tuple[slice, slice]) -> Iterator[Row]:
    spacing = (overlay.spacing[0], overlay.spacing[1] * overlay.step, overlay.spacing[2] * overlay.step)
    steps = dict(zip(("slices", "rows", "columns"), spacing, strict=True))
    tried = list(placements.candidates(*spacing))
    # What should be alike: the liver without what is in it.
    bare = liver & ~_coarse_mask(overlay, overlay.lesions, window)
    inside = bare if bare.sum() >= LEAST_PARENCHYMA * liver.sum() else liver
    outside = masks.around(liver, AROUND) & ~_coarse_mask(overlay, overlay.others, window)
    places = _some(inside, placements.SAMPLES, window)
    around = _some(outside, placements.SAMPLES_AROUND, window)
    for placement, fit in zip(tried, placements.fits(image, places, tried, around), strict=True):
        yield {
            "placement": placement.kind,
            "about": placement.about,
            "shift": placement.shift * (overlay.step if placement.kind in ("rows", "columns") else 1),
            "shift_mm": placement.shift * steps.get(placement.kind, 0.0),
            "voxels": fit.voxels,
            "hu_median": fit.median if fit.voxels else None,
            "hu_spread": fit.spread if fit.voxels else None,
            "hu_below_minus10": fit.below if fit.voxels else None,
            "hu_alike": None if math.isnan(fit.alike) else fit.alike,
        }


def _some(mask: Flags, most: int, window: tuple[slice, slice]) -> Ints:
    """Slice, row and column of at most so many voxels of a mask, shape (3, n)."""
    flat = np.flatnonzero(mask)
    places: Ints = np.stack(np.unravel_index(flat[:: max(-(-flat.size // most), 1)], mask.shape))
    places += np.array([[0], [window[0].start], [window[1].start]])
    return places


def _window(overlay: _Overlay, number: int) -> tuple[slice, slice]:
    """The rows and columns of the coarse copy that hold a segment, and what lies around it."""
    found = []
    for part, size in zip(overlay.boxes[number].slices, (overlay.stack.rows, overlay.stack.columns), strict=True):
        every = overlay.places(size)
        first, last = ((end - every.start) // overlay.step for end in (part.start, part.stop))
        found.append(slice(max(first - AROUND, 0), min(last + AROUND + 1, len(range(*every.indices(size))))))
    return found[0], found[1]


def _coarse_mask(overlay: _Overlay, numbers: Sequence[int], window: tuple[slice, slice]) -> Flags:
    """Some segments together on a part of the coarse copy of the CT."""
    size = [part.stop - part.start for part in window]
    volume = np.zeros((len(overlay.rank_of), *size), dtype=np.bool_)
    rows, columns = overlay.places(overlay.stack.rows), overlay.places(overlay.stack.columns)
    for rank, planes in overlay.ranks.items():
        held = [plane.masks[number] for plane in planes for number in numbers if number in plane.masks]
        if held:
            packed = masks.union([plane[rows][window[0]] for plane in held])
            unpacked = np.unpackbits(packed, axis=-1, bitorder="little", count=overlay.stack.columns)
            volume[rank] = unpacked[:, columns][:, window[1]]
    return volume
