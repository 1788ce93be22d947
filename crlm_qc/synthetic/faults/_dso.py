"""A segmentation object taken apart into frames and masks, and put together again."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydicom.tag import Tag

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileDataset

    from crlm_qc.synthetic.faults._slices import Slice

Mask = npt.NDArray[np.bool_]

_SEGMENT_POINTER = Tag("ReferencedSegmentNumber")
_POSITION_POINTER = Tag("ImagePositionPatient")


class Frame:
    """A frame: its item of the Per-Frame Functional Groups Sequence, and its mask."""

    def __init__(self, item: Dataset, mask: Mask) -> None:
        self.item = item
        self.mask = mask
        """Shape (rows, columns)."""

    @property
    def segment(self) -> int:
        """ReferencedSegmentNumber."""
        return int(self.item.SegmentIdentificationSequence[0].ReferencedSegmentNumber)

    @segment.setter
    def segment(self, number: int) -> None:
        self.item.SegmentIdentificationSequence[0].ReferencedSegmentNumber = number

    @property
    def position(self) -> tuple[float, float, float]:
        """ImagePositionPatient, in mm."""
        x, y, z = map(float, self.item.PlanePositionSequence[0].ImagePositionPatient)
        return x, y, z

    @position.setter
    def position(self, position: Sequence[str]) -> None:
        self.item.PlanePositionSequence[0].ImagePositionPatient = list(position)

    @property
    def source(self) -> str:
        """SOP Instance UID of the one source image."""
        return str(self._source_item.ReferencedSOPInstanceUID)

    @source.setter
    def source(self, uid: str) -> None:
        self._source_item.ReferencedSOPInstanceUID = uid

    @property
    def index(self) -> list[int]:
        """DimensionIndexValues."""
        return [int(value) for value in self.item.FrameContentSequence[0].DimensionIndexValues]

    @index.setter
    def index(self, values: Sequence[int]) -> None:
        self.item.FrameContentSequence[0].DimensionIndexValues = list(values)

    @property
    def _source_item(self) -> Dataset:
        item: Dataset = self.item.DerivationImageSequence[0].SourceImageSequence[0]
        return item

    def copy(self, mask: Mask | None = None) -> Frame:
        """A frame like this one."""
        return Frame(copy.deepcopy(self.item), self.mask.copy() if mask is None else mask)


class Segmentation:
    """A BINARY segmentation object; change `frames` and `dataset`, then `store`.

    Raises
    ------
    ValueError
        The object holds no bits of one bit a pixel, or not as many as its frames need.
    """

    def __init__(self, dataset: FileDataset) -> None:
        self.dataset = dataset
        rows, columns, count = dataset.Rows, dataset.Columns, int(dataset.NumberOfFrames)
        items = dataset.PerFrameFunctionalGroupsSequence
        size = rows * columns * count
        if dataset.BitsAllocated != 1 or len(items) != count or 8 * len(dataset.PixelData) < size:
            raise ValueError("the segmentation object already has another fault, and can't take this one")
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), count=size, bitorder="little")
        masks = bits.reshape(count, rows, columns).astype(bool)
        self.frames = [Frame(item, mask) for item, mask in zip(items, masks, strict=True)]

    def store(self) -> None:
        """Write the frames into the data set."""
        masks = np.array([frame.mask for frame in self.frames], dtype=bool)
        content = np.packbits(masks.ravel(), bitorder="little").tobytes()
        self.dataset.PixelData = content + b"\0" * (len(content) % 2)
        self.dataset.NumberOfFrames = len(self.frames)
        self.dataset.Rows, self.dataset.Columns = masks.shape[1:]
        self.dataset.PerFrameFunctionalGroupsSequence = [frame.item for frame in self.frames]

    # Segments

    @property
    def segments(self) -> list[Dataset]:
        """The items of the Segment Sequence."""
        return list(self.dataset.SegmentSequence)

    def segment(self, label: str) -> Dataset:
        """The segment of that label.

        Raises
        ------
        ValueError
            There is none.
        """
        for item in self.segments:
            if item.SegmentLabel == label:
                return item
        raise ValueError(f"the segmentation object has no segment {label}")

    def number(self, label: str) -> int:
        """The Segment Number of that label."""
        return int(self.segment(label).SegmentNumber)

    @property
    def tumours(self) -> list[int]:
        """The Segment Numbers of all tumours."""
        return [int(item.SegmentNumber) for item in self.segments if item.SegmentLabel.startswith("Tumor")]

    def frames_of(self, number: int) -> list[Frame]:
        """The frames of a segment, from its lowest plane to its highest."""
        return sorted((frame for frame in self.frames if frame.segment == number), key=self.height)

    def renumber(self, numbers: Mapping[int, int]) -> None:
        """Give segments other numbers, in the Segment Sequence and in the frames."""
        for item in self.segments:
            item.SegmentNumber = numbers.get(int(item.SegmentNumber), int(item.SegmentNumber))
        for frame in self.frames:
            frame.segment = numbers.get(frame.segment, frame.segment)
        self.reindex()

    def remove_segment(self, number: int) -> None:
        """Take a segment out, and close the gap in the numbers."""
        self.frames = [frame for frame in self.frames if frame.segment != number]
        self.dataset.SegmentSequence = [item for item in self.segments if int(item.SegmentNumber) != number]
        self.renumber({later: later - 1 for later in range(number + 1, number + 1 + len(self.segments))})

    def add_segment(self, label: str, like: int, volume: Mask, stack: Sequence[Slice]) -> int:
        """Append a segment that is described like another one."""
        pattern = next(item for item in self.segments if int(item.SegmentNumber) == like)
        item = copy.deepcopy(pattern)
        item.SegmentNumber = 1 + max(int(other.SegmentNumber) for other in self.segments)
        item.SegmentLabel = label
        self.dataset.SegmentSequence = [*self.segments, item]
        self._put(int(item.SegmentNumber), volume, stack)
        return int(item.SegmentNumber)

    # Planes

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """The slice normal."""
        plane = self.dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        direction = np.array(plane.ImageOrientationPatient, dtype=float)
        return np.cross(direction[:3], direction[3:])

    def height(self, frame: Frame) -> float:
        """The frame's place along the slice normal, in mm."""
        return float(self.normal @ np.array(frame.position))

    def volume(self, number: int, stack: Sequence[Slice]) -> Mask:
        """A segment on the CT's lattice.

        Parameters
        ----------
        number : int
            Segment Number.
        stack : sequence of Slice
            The CT slices.

        Returns
        -------
        numpy.ndarray
            Booleans of shape (slices, rows, columns), the slices in the order of `stack`.
        """
        volume = np.zeros((len(stack), self.dataset.Rows, self.dataset.Columns), dtype=bool)
        places = {item.uid: place for place, item in enumerate(stack)}
        for frame in self.frames_of(number):
            volume[places[frame.source]] |= frame.mask
        return volume

    def set_volume(self, number: int, volume: Mask, stack: Sequence[Slice]) -> None:
        """Replace a segment's frames by those of `volume`, one for each slice where it has voxels."""
        self._put(number, volume, stack)

    def _put(self, number: int, volume: Mask, stack: Sequence[Slice]) -> None:
        own = {frame.source: frame for frame in self.frames_of(number)}
        by_source = {frame.source: frame for frame in self.frames}
        kept = [frame for frame in self.frames if frame.segment != number]
        made = []
        for item, mask in zip(stack, volume, strict=True):
            if not mask.any():
                continue
            frame = (own.get(item.uid) or by_source.get(item.uid) or self.frames[0]).copy(mask)
            frame.segment = number
            if item.uid not in by_source:
                frame.source = item.uid
                frame.position = [str(value) for value in item.position]
            made.append(frame)
        # Frames stay in the order of their segments, and a segment's frames in the order of the slices.
        self.frames = sorted([*kept, *made], key=lambda frame: frame.segment)
        self._list_sources()
        self.reindex()

    def _list_sources(self) -> None:
        listed = {str(item.ReferencedSOPInstanceUID) for item in self.instances}
        for frame in self.frames:
            if frame.source not in listed:
                listed.add(frame.source)
                self.list_instance(frame.source)

    # References and indices

    @property
    def instances(self) -> list[Dataset]:
        """The items of the Referenced Instance Sequence of the first referenced series."""
        return list(self.dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence)

    @instances.setter
    def instances(self, items: Sequence[Dataset]) -> None:
        self.dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence = list(items)

    def list_instance(self, uid: str) -> None:
        """Add an instance to the top-level list."""
        item = copy.deepcopy(self.instances[0])
        item.ReferencedSOPInstanceUID = uid
        self.instances = [*self.instances, item]

    def reindex(self) -> None:
        """Number DimensionIndexValues anew after segments and positions, in the direction that they had."""
        pointers = [item.DimensionIndexPointer for item in self.dataset.DimensionIndexSequence]
        columns: dict[int, list[int]] = {}
        for place, pointer in enumerate(pointers):
            if pointer == _SEGMENT_POINTER:
                numbers = sorted({frame.segment for frame in self.frames})
                columns[place] = [numbers.index(frame.segment) + 1 for frame in self.frames]
            elif pointer == _POSITION_POINTER:
                columns[place] = self._position_index(place)
        for row, frame in enumerate(self.frames):
            frame.index = [columns[place][row] if place in columns else old for place, old in enumerate(frame.index)]

    def _position_index(self, place: int) -> list[int]:
        heights = [round(self.height(frame), 4) for frame in self.frames]
        old = [frame.index[place] for frame in self.frames]
        low, high = int(np.argmin(heights)), int(np.argmax(heights))
        known = sorted(set(heights), reverse=old[low] > old[high])
        ranks = {height: rank for rank, height in enumerate(known, start=1)}
        return [ranks[height] for height in heights]
