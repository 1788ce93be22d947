"""Reads what pictures show: the CT values of a few images, and the frames of the masks on them."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from crlm_qc.evidence.ct import slice_row
from crlm_qc.evidence.dicom.decoding import Unmeasured
from crlm_qc.evidence.dicom.header import Header, Unreadable, quiet, read_header
from crlm_qc.evidence.dicom.values import integer, text
from crlm_qc.evidence.dso import dso_rows
from crlm_qc.evidence.masks.frames import FrameMasks, frame_masks
from crlm_qc.evidence.pixels import SlicePixels, slice_pixels, stored_values, valid_pixels
from crlm_qc.evidence.source import Finds
from crlm_qc.geometry import display
from crlm_qc.model.picture import Hatched, ImageLine, MaskRequest, PictureRequest, Plane

_OVERLAYS = range(0x6000, 0x6020, 2)
"""Groups of overlay planes (PS3.3 C.9.2)."""
_LITTLE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})

Image = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


class Unshown(Exception):  # noqa: N818 - a state of the files, not of the program
    """A picture can't be made; the message says why, with no text from a file.

    Parameters
    ----------
    reason : str
        Why.
    series : bool
        Whether it holds for every picture of the patient: the images must not be shown.
    """

    def __init__(self, reason: str, *, series: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.series = series


@dataclass(frozen=True)
class ImageRead:
    """CT values of one image of a picture."""

    at: ImageLine
    values: Image
    """HU, shape (rows, columns); of a reformat one line, shape (n,). Padding is NaN."""


@dataclass(frozen=True)
class MaskRead:
    """One segment's mask on one image of a picture."""

    segment: int
    request: MaskRequest
    mask: Flags
    """Shape (rows, columns) of the frame; of a reformat along the image's line, shape (n,)."""


@dataclass(frozen=True)
class PictureRead:
    """Everything that one picture shows."""

    images: tuple[ImageRead, ...]
    masks: tuple[MaskRead, ...]
    request: PictureRequest | None = None
    """What was read, if that was chosen of several candidates."""


@dataclass
class PictureReader:
    """Reads for the pictures of one patient; every file is opened once."""

    release: Finds
    """Where the release lies."""
    classes: Collection[str]
    """SOP Class UIDs that may be shown."""
    _sources: dict[str, SlicePixels] = field(default_factory=dict)
    _values: dict[str, Image] = field(default_factory=dict)
    _lines: dict[tuple[str, Plane, int], Image] = field(default_factory=dict)
    _objects: dict[str, _Masks] = field(default_factory=dict)

    def admit(self, requests: Iterable[PictureRequest]) -> None:
        """Look at the header of every image that some pictures show, before any is made.

        Raises
        ------
        Unshown
            One of them may show what identifies a person, or is no CT, or can't be read.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for path in dict.fromkeys(image.path for request in requests for image in request.images):
                self._source(path)

    def settle(self, request: PictureRequest) -> PictureRequest:
        """The candidate of a picture on which most is hatched.

        Parameters
        ----------
        request : PictureRequest
            A picture.

        Returns
        -------
        PictureRequest
            One of its candidates, of equals the first; the picture itself if there is none, or the masks can't be read.
        """
        if not request.candidates:
            return request
        try:
            # `max` takes the first of equals.
            best = max(request.candidates, key=self._hatched)
        except Unshown:
            best = request.candidates[0]
        return replace(best, group=request.group)

    def _hatched(self, request: PictureRequest) -> int:
        hatched = request.detail.hatched if request.detail is not None else ()
        meant = {None, *(value for one in hatched for value in (one.segment, one.other))}
        asked = tuple(mask for mask in request.masks if mask.segment in meant)
        masks = tuple(self._masks(replace(request, masks=asked)))
        return sum(int(part.mask.sum()) for one in hatched for part in hatched_parts(masks, one))

    def read(self, request: PictureRequest) -> PictureRead:
        """Read what one picture shows.

        Parameters
        ----------
        request : PictureRequest
            The picture.

        Returns
        -------
        PictureRead
            CT values and masks.

        Raises
        ------
        Unshown
            A file can't be read, or must not be shown.
        """
        with warnings.catch_warnings():
            # pydicom warns of values that it does not like; the rules say so in their own words.
            warnings.simplefilter("ignore")
            images = tuple(
                ImageRead(image.at, self._shown(image.path, image.at, request.plane)) for image in request.images
            )
            return PictureRead(images, tuple(self._masks(request)), request)

    def _header(self, path: str) -> Header:
        try:
            item = self.release.find(path)
            if item.problem == "link-outside":
                raise Unshown("a file leads out of the release, so that it was not opened")
            with item.opened() as stream:
                return read_header(stream, item)
        except (OSError, ValueError):
            raise Unshown("a file can't be opened") from None
        except Unreadable as reason:
            raise Unshown(f"a file can't be read: {reason.detail}") from None

    def _source(self, path: str) -> SlicePixels:
        if path not in self._sources:
            quiet()
            header = self._header(path)
            self._refuse(header)
            row = slice_row(header, {"path": path, "transfer_syntax_uid": header.transfer_syntax})
            source = slice_pixels(header, row)
            if source is None:
                raise Unshown("an image has no Pixel Data")
            self._sources[path] = source
        return self._sources[path]

    def _refuse(self, header: Header) -> None:
        if text(header.data, "SOPClassUID") not in self.classes:
            raise Unshown("an image is of another SOP class than CT: none is shown", series=True)
        if (text(header.data, "BurnedInAnnotation") or "NO").upper() != "NO":
            raise Unshown("Burned In Annotation says that text is written into the images: none is shown", series=True)
        if any(tag.group in _OVERLAYS for tag in header.data.keys()):  # noqa: SIM118 - iterating converts every element
            raise Unshown("the images have overlay planes, which may hold text: none is shown", series=True)

    def _shown(self, path: str, at: ImageLine, plane: Plane) -> Image:
        if plane is Plane.AXIAL:
            return self._hounsfield(path)
        place = round(at.line) if np.isfinite(at.line) else -1
        key = path, plane, place
        if key not in self._lines:
            values = self._hounsfield(path)
            turned = values if plane is Plane.CORONAL else values.T
            inside = 0 <= place < turned.shape[0]
            nothing = np.full(turned.shape[1], np.nan, dtype=np.float32)
            self._lines[key] = turned[place].copy() if inside else nothing
        return self._lines[key]

    def _hounsfield(self, path: str) -> Image:
        if path in self._values:
            return self._values[path]
        source = self._source(path)
        slope, intercept = source.row.get("rescale_slope"), source.row.get("rescale_intercept")
        if not slope or intercept is None:
            raise Unshown("an image has no valid Rescale Slope and Intercept")
        try:
            stored = stored_values(source)
        except Unmeasured as reason:
            raise Unshown(f"an image can't be read: {reason.detail}") from None
        values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        valid = valid_pixels(stored, source)
        if valid is not None:
            values[~valid] = np.nan
        if len(self._values) < _KEPT:
            self._values[path] = values
        return values

    def _masks(self, request: PictureRequest) -> Iterable[MaskRead]:
        if request.dso is None:
            return
        if request.dso not in self._objects:
            self._objects[request.dso] = _Masks(self._header(request.dso))
        held = self._objects[request.dso]
        for mask in request.masks:
            for segment, plane in held.frame(mask).items():
                if not plane.any():
                    continue
                if request.plane is Plane.AXIAL:
                    yield MaskRead(segment, mask, plane)
                    continue
                line = _line(plane, mask, request.plane, self._lengths(request))
                if line.any():
                    yield MaskRead(segment, mask, line)

    def _lengths(self, request: PictureRequest) -> int:
        row = self._source(request.images[0].path).row
        return int(row["columns" if request.plane is Plane.CORONAL else "rows"])


_KEPT = 8
"""Images that are kept for the next picture of the patient."""


class _Masks:
    """The frames of one segmentation object, unpacked when they are asked for."""

    def __init__(self, header: Header) -> None:
        rows, columns, frames = (integer(header.data, name) for name in ("Rows", "Columns", "NumberOfFrames"))
        if header.pixels is None or not rows or not columns or not frames or min(rows, columns, frames) < 0:
            raise Unshown("the masks can't be read")
        self.rows, self.columns = rows, columns
        self._bits: npt.NDArray[np.uint8] | None = None
        self._decoded: list[FrameMasks] = []
        plain = (
            integer(header.data, "BitsAllocated") == 1
            and text(header.data, "SegmentationType") == "BINARY"
            and header.transfer_syntax in _LITTLE
        )
        if plain and not header.pixels.encapsulated:
            self._bits = np.frombuffer(header.pixels.value(), dtype=np.uint8)
            return
        shared = {"patient": None, "path": "", "transfer_syntax_uid": header.transfer_syntax}
        shared["sop_class_uid"] = text(header.data, "SOPClassUID")
        try:
            self._decoded = list(frame_masks(header, dso_rows(header, shared)))
        except Unmeasured as reason:
            raise Unshown(f"the masks can't be read: {reason.detail}") from None

    def frame(self, request: MaskRequest) -> dict[int, Flags]:
        """Segment Numbers of a frame and their masks."""
        place = request.frame - 1
        if self._bits is None:
            packed = self._decoded[place] if 0 <= place < len(self._decoded) else {}
            return {
                number: np.unpackbits(plane, axis=-1, bitorder="little", count=self.columns).astype(np.bool_)
                for number, plane in packed.items()
            }
        size = self.rows * self.columns
        start = place * size
        if place < 0 or self._bits.size * 8 < start + size or request.segment is None:
            return {}
        part = self._bits[start // 8 : -(-(start + size) // 8)]
        bits = np.unpackbits(part, bitorder="little")[start % 8 : start % 8 + size]
        return {request.segment: bits.reshape(self.rows, self.columns).astype(np.bool_)}


def _line(mask: Flags, request: MaskRequest, plane: Plane, length: int) -> Flags:
    """What a mask holds along the line of an image that a reformat shows."""
    if not np.isfinite(request.at.line):
        return np.zeros(length, dtype=np.bool_)
    along = np.arange(length, dtype=np.float64)
    fixed = np.full(length, round(request.at.line), dtype=np.float64)
    columns, rows = (along, fixed) if plane is Plane.CORONAL else (fixed, along)
    return display.sampled(mask, request.to_image, columns, rows)


def hatched_parts(masks: Sequence[MaskRead], hatched: Hatched) -> list[MaskRead]:
    """What is hatched of the masks on an image.

    Parameters
    ----------
    masks : sequence of MaskRead
        All masks on the image.
    hatched : Hatched
        What of them is meant.

    Returns
    -------
    list of MaskRead
        One a mask of the segment; those without a pixel are left out.
    """
    others = [(one.mask, one.request.to_image) for one in masks if one.segment == hatched.other]
    found = []
    for one in masks:
        if one.segment == hatched.segment:
            part = display.common(one.mask, one.request.to_image, others, outside=hatched.outside)
            if part.any():
                found.append(replace(one, mask=part))
    return found


def read_pictures(
    release: Finds | None, classes: Collection[str], requests: Sequence[PictureRequest]
) -> list[PictureRead | Unshown]:
    """Read for every picture of one patient; nothing that is wrong with a file makes it raise.

    Parameters
    ----------
    release : Finds or None
        The release; None if it can't be opened any more.
    classes : collection of str
        SOP Class UIDs that may be shown.
    requests : sequence of PictureRequest
        The pictures.

    Returns
    -------
    list of PictureRead or Unshown
        One a request; if the series must not be shown, `Unshown` for all of them.
    """
    if release is None:
        return [Unshown("the release can't be opened any more")] * len(requests)
    reader = PictureReader(release, classes)
    try:
        requests = [reader.settle(request) for request in requests]
        reader.admit(requests)
    except Unshown as reason:
        if reason.series:
            return [reason] * len(requests)
    except Exception as error:  # noqa: BLE001 - values in a header may be anything
        return [_crashed(error)] * len(requests)
    found: list[PictureRead | Unshown] = []
    for request in requests:
        try:
            found.append(reader.read(request))
        except Unshown as reason:
            found.append(reason)
        except Exception as error:  # noqa: BLE001 - values in a header may be anything; the others go on
            found.append(_crashed(error))
    return found


def _crashed(error: Exception) -> Unshown:
    return Unshown(f"it can't be made ({type(error).__name__} while reading)")
