"""Faults of what the masks hold (SEG)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crlm_qc.synthetic.faults._dso import Mask, Segmentation
from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.faults._slices import Slice, decimal

if TYPE_CHECKING:
    from pydicom import Dataset

Pixels = npt.NDArray[np.generic]


class Masks:
    """Segments of one patient on the CT's lattice; each is an array of shape (slices, rows, columns)."""

    def __init__(self, dso: Segmentation, stack: list[Slice]) -> None:
        self.dso = dso
        self.stack = stack
        measures = dso.dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        rows, columns = map(float, measures.PixelSpacing)
        step = np.subtract(stack[1].position, stack[0].position)
        self.voxel_ml = rows * columns * abs(float(dso.normal @ step)) / 1000

    def __getitem__(self, label: str) -> Mask:
        """The segment of that label."""
        return self.dso.volume(self.dso.number(label), self.stack)

    def __setitem__(self, label: str, volume: Mask) -> None:
        self.dso.set_volume(self.dso.number(label), volume, self.stack)

    @property
    def labels(self) -> list[str]:
        """All labels, in the order of the segments."""
        return [str(item.SegmentLabel) for item in self.dso.segments]

    @property
    def tumours(self) -> list[str]:
        """Labels of the tumours, the smallest first."""
        labels = [label for label in self.labels if label.startswith("Tumor")]
        return sorted(labels, key=lambda label: (int(self[label].sum()), label))

    def any_of(self, labels: list[str]) -> Mask:
        """The union of segments."""
        union = np.zeros_like(self["Liver"])
        for label in labels:
            union |= self[label]
        return union


@contextmanager
def _masks(site: Site) -> Iterator[Masks]:
    stack = site.stack()
    with site.dso() as dso:
        yield Masks(dso, stack)


def _grown(volume: Mask, axes: tuple[int, ...] = (0, 1, 2)) -> Mask:
    """A mask and its face neighbours along some axes."""
    padded = np.pad(volume, 1)
    grown = padded.copy()
    for axis in axes:
        grown |= np.roll(padded, 1, axis) | np.roll(padded, -1, axis)
    return grown[1:-1, 1:-1, 1:-1]


def _main_part(volume: Mask) -> Mask:
    """The face-connected part of a mask that its thickest spot is in: specks are left out."""
    places = np.argwhere(volume)
    box = tuple(slice(low, high + 1) for low, high in zip(places.min(axis=0), places.max(axis=0), strict=True))
    inner = volume[box]
    part, size = np.zeros_like(inner), 0
    part[_thickest(inner)] = True
    while part.sum() > size:
        size = int(part.sum())
        part = _grown(part) & inner
    whole = np.zeros_like(volume)
    whole[box] = part
    return whole


def _thickest(volume: Mask) -> tuple[int, ...]:
    """A voxel of the last layer that is left when a mask is peeled."""
    left = np.pad(volume, 1)
    while (peeled := left & ~_grown(~left)).any():
        left = peeled
    return tuple(int(place) - 1 for place in np.argwhere(left)[0])


def _no_room(site: Site) -> ValueError:
    return ValueError(f"fault {site.name}: the masks of {site.patient} leave no room for it")


def _stretch(site: Site, factor: float) -> None:
    """Stretch CT and segmentation along z, thickness and all."""

    def place(position: Any) -> list[str]:
        x, y, z = map(float, position)
        return [decimal(x), decimal(y), decimal(z * factor)]

    def change(dataset: Dataset) -> None:
        dataset.ImagePositionPatient = place(dataset.ImagePositionPatient)
        for keyword in ("SliceThickness", "SpacingBetweenSlices", "SliceLocation"):
            if dataset.get(keyword) is not None:
                setattr(dataset, keyword, decimal(float(dataset[keyword].value) * factor))

    site.each_ct(change)
    with site.dso() as dso:
        for frame in dso.frames:
            frame.position = place(frame.position)
        measures = dso.dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        for keyword in ("SliceThickness", "SpacingBetweenSlices"):
            if measures.get(keyword) is not None:
                setattr(measures, keyword, decimal(float(measures[keyword].value) * factor))


def _liver_ml(site: Site) -> float:
    masks = Masks(Segmentation(site.open(site.dso_file)), site.stack())
    return float(masks["Liver"].sum() * masks.voxel_ml)


def _change_pixels(site: Site, change: Callable[[Pixels, int], Pixels]) -> None:
    """Change the stored values of every slice; `change` gets an image and its place in the stack."""
    for place, item in enumerate(site.stack()):
        with site.dicom(item.path) as dataset:
            kind = "<i2" if dataset.PixelRepresentation else "<u2"
            size = dataset.Rows * dataset.Columns
            image = np.frombuffer(dataset.PixelData, kind, count=size).reshape(dataset.Rows, dataset.Columns)
            dataset.PixelData = change(image, place).astype(kind).tobytes()


@fault(
    "liver-volume-impossible",
    triggers=("SEG001",),
    doc="Positions and thickness of CT and segmentation are compressed along z, so that the liver has 400 mL.",
)
def _(site: Site) -> None:
    _stretch(site, 400 / _liver_ml(site))


@fault(
    "liver-volume-off",
    triggers=("SEG002",),
    doc="Positions and thickness of CT and segmentation are compressed along z, so that the liver has 650 mL.",
)
def _(site: Site) -> None:
    _stretch(site, 650 / _liver_ml(site))


@fault(
    "tumour-volume-off",
    triggers=("SEG003", "SEG009", "SEG015"),
    doc="The only tumour is a single voxel of at most 0.2 mL; CT and segmentation are flattened until it is.",
)
def _(site: Site) -> None:
    before = Masks(Segmentation(site.open(site.dso_file)), site.stack())
    flatter = min(1.0, 0.2 / before.voxel_ml)
    if before["Liver"].sum() * before.voxel_ml * flatter < 780:
        raise _no_room(site)
    _stretch(site, flatter)
    with _masks(site) as masks:
        *others, largest = masks.tumours
        volume = masks[largest]
        for label in others:
            masks.dso.remove_segment(masks.dso.number(label))
        masks.dso.segment(largest).SegmentLabel = "Tumor_1"
        single = np.zeros_like(volume)
        single[tuple(np.argwhere(volume)[volume.sum() // 2])] = True
        masks["Tumor_1"] = single
    site.forget_tumours()


@fault(
    "tumours-fill-liver",
    triggers=("SEG004",),
    doc="The tumours fill the whole liver; there is no remnant. CT and segmentation are compressed to a liver of 900 mL.",
)
def _(site: Site) -> None:
    _stretch(site, 900 / _liver_ml(site))
    with _masks(site) as masks:
        liver = masks["Liver"]
        lower = np.zeros_like(liver)
        lower[int(np.argwhere(liver)[:, 0].mean()) :] = True
        masks.dso.remove_segment(masks.dso.number("Liver Remnant"))
        for label in masks.tumours[1:]:
            masks.dso.remove_segment(masks.dso.number(label))
        masks.dso.segment(masks.tumours[0]).SegmentLabel = "Tumor_1"
        masks["Tumor_1"] = liver & lower
        masks.dso.add_segment("Tumor_2", masks.dso.number("Tumor_1"), liver & ~lower, masks.stack)
    site.forget_tumours()


@fault("tumour-partly-outside", triggers=("SEG005",), doc="The liver leaves out the upper quarter of a tumour.")
def _(site: Site) -> None:
    _carve_tumour(site, 0.25)


@fault("tumour-outside", triggers=("SEG005",), doc="The liver leaves out a whole tumour.")
def _(site: Site) -> None:
    _carve_tumour(site, 1.0)


def _carve_tumour(site: Site, part: float) -> None:
    with _masks(site) as masks:
        tumour = masks[masks.tumours[0]]
        voxels = np.argwhere(tumour)
        taken = voxels[: max(2, round(part * len(voxels)))]
        liver = masks["Liver"]
        liver[tuple(taken.T)] = False
        masks["Liver"] = _main_part(liver)


@fault("tumour-annotated-twice", triggers=("SEG006",), doc="The smallest tumour is there twice, but for one voxel.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        label = masks.tumours[0]
        volume = masks[label]
        fullest = int(volume.sum(axis=(1, 2)).argmax())
        row, column = np.argwhere(volume[fullest])[0]
        volume[fullest, row, column] = False
        new = f"Tumor_{len(masks.tumours) + 1}"
        masks.dso.add_segment(new, masks.dso.number(label), volume, masks.stack)
    site.forget_tumours()


@fault("remnant-outside", triggers=("SEG007",), doc="The remnant is one pixel wider than drawn, and leaves the liver.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        masks["Liver Remnant"] = _grown(masks["Liver Remnant"], (1, 2)) & ~masks.any_of(masks.tumours)


@fault("remnant-overlaps-tumour", triggers=("SEG007",), doc="The remnant holds a tumour.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        masks["Liver Remnant"] |= masks[masks.tumours[0]]


@fault("liver-in-pieces", triggers=("SEG008",), doc="The liver is cut in two, and the remnant with it.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        liver, remnant, tumours = masks["Liver"], masks["Liver Remnant"], masks.any_of(masks.tumours)
        for axis in (2, 1):
            other = tuple({0, 1, 2} - {axis})
            size, kept, sick = (volume.sum(axis=other) for volume in (liver, remnant, tumours))
            for place in np.argsort(size):
                parts = [size[:place].sum(), size[place + 1 :].sum()]
                remnants = [kept[:place].sum(), kept[place + 1 :].sum()]
                fits = size[place] and not sick[place] and min(parts) > 0.03 * size.sum()
                if fits and all(part == 0 or part > 50 for part in remnants):
                    cut = np.zeros_like(liver)
                    np.moveaxis(cut, axis, 0)[place] = True
                    masks["Liver"], masks["Liver Remnant"] = liver & ~cut, remnant & ~cut
                    return
        raise _no_room(site)


@fault("liver-speck", triggers=("SEG009",), doc="One voxel of the liver lies apart from it.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        liver = masks["Liver"]
        near = _grown(liver)
        # Beside the liver's own slices, so that no slice is added to it.
        around = _grown(_grown(near, (1, 2)), (1, 2)) & ~near & liver.any(axis=(1, 2), keepdims=True)
        places = np.argwhere(around)
        liver[tuple(places[len(places) // 2])] = True
        masks["Liver"] = liver


@fault(
    "image-at-border",
    triggers=("SEG010",),
    doc="The field of view of CT and segmentation is shifted, so that a mask touches its border.",
)
def _(site: Site) -> None:
    stack = site.stack()
    with site.dso() as dso:
        used = np.any([frame.mask for frame in dso.frames], axis=(0, 1))
        shift = int(np.argmax(used))
        plane = dso.dataset.SharedFunctionalGroupsSequence[0]
        direction = np.array(plane.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)[:3]
        step = direction * shift * float(plane.PixelMeasuresSequence[0].PixelSpacing[1])
        for frame in dso.frames:
            frame.mask = np.roll(frame.mask, -shift, axis=1)
            frame.position = [decimal(value) for value in np.array(frame.position) + step]
    # What comes in from the right is what stood at the right border: air, or padding.
    _change_pixels(site, lambda image, _: np.pad(image[:, shift:], ((0, 0), (0, shift)), mode="edge"))
    for item in stack:
        with site.dicom(item.path) as dataset:
            dataset.ImagePositionPatient = [decimal(value) for value in np.array(item.position) + step]


@fault(
    "liver-cut-by-scan",
    triggers=("CTS014", "SEG021"),
    doc="The scan ends within the liver: CT slices and frames beyond are left out, and too few slices are left.",
)
def _(site: Site) -> None:
    stack = site.stack()
    with site.dso() as dso:
        areas = Masks(dso, stack)["Liver"].sum(axis=(1, 2))
        beyond = stack[: int(np.argmax(areas >= 0.3 * areas.max()))]
        uids = {item.uid for item in beyond}
        dso.frames = [frame for frame in dso.frames if frame.source not in uids]
        dso.instances = [item for item in dso.instances if str(item.ReferencedSOPInstanceUID) not in uids]
        dso.reindex()
    for item in beyond:
        site.remove(item.path)
    with site.row("ct") as row:
        row["Number of Images"] = str(len(stack) - len(beyond))
    site.forget_tumours()


@fault("image-mirrored", triggers=("SEG011",), doc="CT and segmentation are mirrored, left for right.")
def _(site: Site) -> None:
    _change_pixels(site, lambda image, _: image[:, ::-1])
    with site.dso() as dso:
        for frame in dso.frames:
            frame.mask = frame.mask[:, ::-1]


@fault(
    "liver-values", triggers=("SEG012",), doc="One voxel in eight of the liver has a CT value that is 300 HU too low."
)
def _(site: Site) -> None:
    liver = Masks(Segmentation(site.open(site.dso_file)), site.stack())["Liver"]
    # Spread evenly, so that the mask fits nowhere better.
    liver &= np.indices(liver.shape).sum(axis=0) % 8 == 0
    _change_pixels(site, lambda image, place: np.where(liver[place], image.astype(int) - 300, image))


@fault("masks-mirrored", triggers=("SEG011",), doc="The masks are mirrored, left for right; the CT is not.")
def _(site: Site) -> None:
    _rearrange(site, lambda mask: mask[:, ::-1])


@fault("masks-turned", triggers=("SEG011",), doc="The masks are turned by 180 degrees in the plane; the CT is not.")
def _(site: Site) -> None:
    _rearrange(site, lambda mask: mask[::-1, ::-1])


@fault("masks-front-to-back", triggers=("SEG013",), doc="The masks are mirrored, front for back; the CT is not.")
def _(site: Site) -> None:
    _rearrange(site, lambda mask: mask[::-1])


@fault("masks-transposed", triggers=("SEG013",), doc="Rows and columns of the masks are swapped.")
def _(site: Site) -> None:
    _rearrange(site, lambda mask: mask.T)


@fault("masks-shifted-in-plane", triggers=("SEG013",), doc="The masks lie about 10 mm too far to the back.")
def _(site: Site) -> None:
    with site.dicom(site.stack()[0].path) as dataset:
        pixels = max(round(10 / float(dataset.PixelSpacing[0])), 1)
    _rearrange(site, lambda mask: np.roll(mask, pixels, axis=0))


@fault("masks-nudged", triggers=("SEG013",), doc="The masks lie three pixels, or 2.5 mm, too far to the left.")
def _(site: Site) -> None:
    with site.dicom(site.stack()[0].path) as dataset:
        pixels = max(round(2.5 / float(dataset.PixelSpacing[1])), 1)
    _rearrange(site, lambda mask: np.roll(mask, pixels, axis=1))


def _rearrange(site: Site, change: Callable[[Mask], Mask]) -> None:
    """Change the pixels of each frame in the same way."""
    with site.dso() as dso:
        for frame in dso.frames:
            frame.mask = change(frame.mask)


@fault(
    "masks-upside-down",
    triggers=("SEG013",),
    doc="The masks are upside down: the frames lie on the slices in reverse order.",
)
def _(site: Site) -> None:
    _remap_slices(site, lambda place, low, high: low + high - place)


@fault(
    "masks-shifted",
    triggers=("SEG013",),
    doc="The masks lie two slices too low, or as many more as make 10 mm.",
)
def _(site: Site) -> None:
    step = float(np.linalg.norm(site.edge().step))
    slices = max(2, round(10 / step))
    _remap_slices(site, lambda place, *_: place + slices)


@fault("masks-one-slice-off", triggers=("SEG013",), doc="The masks lie one slice too low.")
def _(site: Site) -> None:
    _remap_slices(site, lambda place, *_: place + 1)


def _remap_slices(site: Site, target: Callable[[int, int, int], int]) -> None:
    """Move each frame to another slice; `target` gets its place in the stack and the first and last place in use."""
    with _masks(site) as masks:
        places = {item.uid: place for place, item in enumerate(masks.stack)}
        used = sorted(places[frame.source] for frame in masks.dso.frames)
        volumes = {label: masks[label] for label in masks.labels}
        order = [target(place, used[0], used[-1]) for place in range(used[0], used[-1] + 1)]
        if max(order) >= len(masks.stack):
            raise _no_room(site)
        for label, volume in volumes.items():
            changed = np.zeros_like(volume)
            changed[order] = volume[used[0] : used[-1] + 1]
            masks[label] = changed


@fault(
    "upside-down-together",
    triggers=("SEG022",),
    doc="Image and masks are upside down: pixels and frames lie on the slices in reverse order.",
)
def _(site: Site) -> None:
    last = len(site.stack()) - 1
    images: dict[int, Pixels] = {}
    _change_pixels(site, lambda image, place: images.setdefault(place, image.copy()))
    _change_pixels(site, lambda _, place: images[last - place])
    _remap_slices(site, lambda place, *_: last - place)


@fault("masks-in-blocks", triggers=("SEG023",), doc="The masks of every second slice lie on the slice beside it, too.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        volumes = {label: masks[label] for label in masks.labels}
        held = np.flatnonzero(np.any(list(volumes.values()), axis=(0, 2, 3)))
        planes = np.arange(held[0], held[-1] + 1)
        for label, volume in volumes.items():
            volume[planes] = volume[planes - (planes - planes[0]) % 2]
            masks[label] = volume


@fault("segments-identical", triggers=("SEG014",), doc="The segments Hepatic and Portal hold the same voxels.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        masks["Portal"] = masks["Hepatic"]


@fault("tumour-on-one-slice", triggers=("SEG015",), doc="A tumour lies on one slice only.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        label = masks.tumours[0]
        volume = masks[label]
        fullest = int(volume.sum(axis=(1, 2)).argmax())
        volume[np.arange(len(volume)) != fullest] = False
        free = masks["Liver"] & ~masks.any_of([other for other in masks.labels if other not in ("Liver", label)])
        # A speck would be another fault.
        while volume.sum() < 12:
            grown = volume | (_grown(volume, (1, 2)) & free)
            if (grown == volume).all():
                raise _no_room(site)
            volume = grown
        masks[label] = volume
    site.forget_tumours()


@fault("liver-hole", triggers=("SEG016",), doc="The liver, and the remnant with it, have a hole of more than 1 mL.")
def _(site: Site) -> None:
    with _masks(site) as masks:
        liver, remnant = masks["Liver"], masks["Liver Remnant"]
        free = liver & ~masks.any_of([label for label in masks.labels if not label.startswith("Liver")])
        inner = ~_grown(~liver)
        for height, width in ((1, 3), (2, 3), (3, 3), (3, 5), (5, 5), (5, 9)):
            if height * width * width * masks.voxel_ml <= 1.2:
                continue
            shape = (height, width, width)
            windows = np.lib.stride_tricks.sliding_window_view(free & inner, shape).all(axis=(3, 4, 5))
            if len(corners := np.argwhere(windows)):
                z, row, column = corners[len(corners) // 2]
                box = (slice(z, z + height), slice(row, row + width), slice(column, column + width))
                liver[box] = remnant[box] = False
                masks["Liver"], masks["Liver Remnant"] = liver, remnant
                return
        raise _no_room(site)


@fault(
    "ct-thickness-far-off",
    triggers=("CTS012", "SEG017"),
    doc="SliceThickness of the CT is 1.3 times the slice spacing.",
)
def _(site: Site) -> None:
    step = float(np.linalg.norm(site.edge().step))

    def change(dataset: Dataset) -> None:
        dataset.SliceThickness = decimal(round(1.3 * step, 4))

    site.each_ct(change)


@fault(
    "masks-one-label",
    triggers=("SEG018",),
    doc="Every voxel belongs to one segment alone, the last that holds it: remnant, vessels and tumours are cut out of the liver.",
)
def _(site: Site) -> None:
    with _masks(site) as masks:
        taken = np.zeros_like(masks["Liver"])
        for label in reversed(masks.labels):
            volume = masks[label]
            masks[label] = volume & ~taken
            taken |= volume


@fault(
    "liver-mask-repeated",
    triggers=("SEG019",),
    doc="One frame of the liver holds the mask of another one, some slices farther.",
)
def _(site: Site) -> None:
    with _masks(site) as masks:
        liver = masks["Liver"]
        inner = masks.any_of([label for label in masks.labels if label not in ("Liver", "Hepatic", "Portal")])
        used = np.flatnonzero(liver.any(axis=(1, 2)))
        # What lies in the liver must still lie in it, and as little else as may be.
        fits = [
            (int((liver[other] ^ liver[place]).sum()), int(place), int(other))
            for place in used[1:-1]
            for other in used
            if abs(int(place) - int(other)) > 2
            and liver[other].sum() >= _REPEATED
            and not (inner[place] & ~liver[other]).any()
            and _jumps(liver[place - 1], liver[other], liver[place + 1])
        ]
        if not fits:
            raise _no_room(site)
        _, place, other = min(fits)
        liver[place] = liver[other]
        masks["Liver"] = liver


_REPEATED = 110
"""Voxels of a mask that is no chance."""


def _jumps(below: Mask, mask: Mask, above: Mask) -> bool:
    """Whether a mask is less like its neighbours than these are like each other."""
    return bool(min((mask ^ below).sum(), (mask ^ above).sum()) > (below ^ above).sum())


def _fractional(site: Site, value: int, maximum: int | None) -> None:
    """Write the masks as a FRACTIONAL object, a byte a pixel."""
    with site.dicom(site.dso_file) as dataset:
        size = dataset.Rows * dataset.Columns * int(dataset.NumberOfFrames)
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), count=size, bitorder="little")
        dataset.SegmentationType = "FRACTIONAL"
        dataset.SegmentationFractionalType = "PROBABILITY"
        if maximum is not None:
            dataset.MaximumFractionalValue = maximum
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = (bits * np.uint8(value)).tobytes() + b"\0" * (size % 2)


@fault(
    "masks-fraction-low",
    triggers=("DSO022", "SEG020"),
    doc="The object is FRACTIONAL, and no voxel is filled by half: 80 of 255.",
)
def _(site: Site) -> None:
    _fractional(site, 80, 255)


@fault(
    "masks-fraction-unknown",
    triggers=("DSO022", "SEG020"),
    doc="The object is FRACTIONAL, and has no MaximumFractionalValue.",
)
def _(site: Site) -> None:
    _fractional(site, 255, None)


@fault(
    "masks-without-place",
    triggers=("DSO008", "DSO014", "DSO021"),
    doc="Frames in the middle of the liver have neither a position nor a source image, so that they lie nowhere.",
)
def _(site: Site) -> None:
    with site.dso() as dso:
        frames = dso.frames_of(dso.number("Liver"))
        for frame in frames[len(frames) // 3 : -len(frames) // 3]:
            del frame.item.PlanePositionSequence
            del frame.item.DerivationImageSequence
