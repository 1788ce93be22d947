"""The reader of pictures: values and masks as they are, and nothing of what must not be shown."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from support import tiny
from support.sources import Memory

from crlm_qc.evidence.pictures import MaskRead, PictureRead, Unshown, hatched_parts, read_pictures
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.source import Source
from crlm_qc.model.picture import Detail, Hatched, ImageLine, ImageRequest, MaskRequest, PictureRequest, Plane

CT = ("1.2.840.10008.5.1.4.1.1.2",)
SAME = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
MASK = np.zeros((8, 16), dtype=bool)
MASK[2:5, 3:9] = True
OTHER = ~MASK


def request(plane: Plane = Plane.AXIAL, count: int = 1, **changes) -> PictureRequest:
    lines = [ImageLine(5.0 * index, 3.2, 0.0) for index in range(count)]
    values = {
        "patient": tiny.PATIENT,
        "findings": ("0123456789ab",),
        "plane": plane,
        "group": 1,
        "title": "",
        "caption": "",
        "alt": "",
        "sides": ("R", "A", "L", "P"),
        "spacing": (0.8, 0.8),
        "thickness": 5.0,
        "upward": True,
        "images": tuple(ImageRequest(f"{index}.dcm", line) for index, line in enumerate(lines)),
        "dso": "dso.dcm",
        "masks": (MaskRequest(2, 1, SAME, lines[0]),),
        "outlines": (),
    }
    return PictureRequest(**{**values, **changes})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for index in range(3):
        stored = (np.arange(8 * 16, dtype=np.int16) + 1000 * index).reshape(8, 16)
        tiny.write(tmp_path / f"{index}.dcm", tiny.ct_slice(index, stored=stored))
    tiny.write(tmp_path / "dso.dcm", tiny.segmentation([(1, 0, OTHER), (1, 1, MASK)]))
    return tmp_path


def change(path: Path, edit: Callable[[FileDataset], None], index: int = 0) -> None:
    ds = tiny.ct_slice(index)
    edit(ds)
    tiny.write(path, ds)


def source_of(place: Path | Source | None) -> Source | None:
    return open_source(place) if isinstance(place, Path) else place


def one(root: Path | Source, asked: PictureRequest) -> PictureRead:
    (found,) = read_pictures(source_of(root), CT, [asked])
    assert isinstance(found, PictureRead), found
    return found


def refused(root: Path | Source | None, asked: PictureRequest) -> Unshown:
    (found,) = read_pictures(source_of(root), CT, [asked])
    assert isinstance(found, Unshown)
    return found


def test_values_and_mask(root: Path) -> None:
    found = one(root, request())
    assert found.images[0].values[1, 2] == 18 - 1024
    assert [mask.segment for mask in found.masks] == [1]
    assert (found.masks[0].mask == MASK).all()


def test_padding_is_no_tissue(root: Path) -> None:
    change(root / "0.dcm", lambda ds: ds.add_new("PixelPaddingValue", "SS", 1074))
    assert np.isnan(one(root, request()).images[0].values).all()


def test_padding_that_is_not_declared_is_no_tissue_either(root: Path) -> None:
    stored = np.full((8, 16), 1074, np.int16)
    stored[:2] = -2000
    change(root / "0.dcm", lambda ds: setattr(ds, "PixelData", stored.tobytes()))
    assert (np.isnan(one(root, request()).images[0].values) == (stored == -2000)).all()


def test_lines_of_a_reformat(root: Path) -> None:
    found = one(root, request(Plane.CORONAL, 3))
    assert [image.values[0] for image in found.images] == [48 - 1024, 1048 - 1024, 2048 - 1024]
    assert (found.masks[0].mask == MASK[3]).all()
    found = one(root, request(Plane.SAGITTAL, 2))
    assert found.images[0].values.tolist() == [3 - 1024 + 16 * row for row in range(8)]
    assert (found.masks[0].mask == MASK[:, 3]).all()


def test_a_line_outside_of_the_image_shows_nothing(root: Path) -> None:
    far = (ImageRequest("0.dcm", ImageLine(0.0, 400.0, 0.0)),)
    assert np.isnan(one(root, request(Plane.CORONAL, images=far)).images[0].values).all()


def test_a_mask_that_lies_elsewhere_is_sampled_there(root: Path) -> None:
    moved = (MaskRequest(2, 1, (1.0, 0.0, 2.0, 0.0, 1.0, 1.0), ImageLine(0.0, 3.0, 0.0)),)
    (mask,) = one(root, request(Plane.CORONAL, masks=moved)).masks
    assert mask.mask.tolist() == np.roll(MASK[2], 2).tolist()


def test_other_encodings_give_the_same_masks(root: Path) -> None:
    tiny.write(root / "dso.dcm", tiny.segmentation([(1, 0, OTHER), (1, 1, MASK)], syntax="1.2.840.10008.1.2.1.99"))
    assert (one(root, request()).masks[0].mask == MASK).all()


@pytest.mark.parametrize("frame", [0, 3, 99999])
def test_a_frame_that_is_not_there(root: Path, frame: int) -> None:
    assert one(root, request(masks=(MaskRequest(frame, 1, SAME),))).masks == ()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda ds: setattr(ds, "BurnedInAnnotation", "YES"), "Burned In Annotation"),
        (lambda ds: ds.add_new(0x60000010, "US", 8), "overlay"),
        (lambda ds: ds.add_new(0x601E3000, "OW", bytes(16)), "overlay"),
        (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"), "SOP class"),
    ],
)
def test_what_must_not_be_shown_is_not_shown_at_all(root: Path, edit: Callable[[FileDataset], None], said: str) -> None:
    # The fault is in an image that only the second picture shows.
    change(root / "2.dcm", edit, 2)
    found = read_pictures(source_of(root), CT, [request(), request(Plane.CORONAL, 3)])
    assert all(isinstance(one, Unshown) and one.series and said in one.reason for one in found)


def test_one_broken_file_leaves_the_other_pictures(root: Path) -> None:
    (root / "2.dcm").write_bytes(b"")
    good, bad = read_pictures(source_of(root), CT, [request(), request(Plane.CORONAL, 3)])
    assert isinstance(good, PictureRead)
    assert isinstance(bad, Unshown)
    assert not bad.series


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda ds: setattr(ds, "RescaleSlope", 0), "Rescale Slope"),
        (lambda ds: ds.__delattr__("PixelData"), "no Pixel Data"),
        (lambda ds: setattr(ds, "PixelData", bytes(4)), "too short"),
        (lambda ds: setattr(ds, "Rows", 0), "monochrome"),
    ],
)
def test_pixels_that_can_not_be_read(root: Path, edit: Callable[[FileDataset], None], said: str) -> None:
    change(root / "0.dcm", edit)
    assert said in refused(root, request()).reason


def test_nothing_outside_of_the_release_is_opened(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    tiny.write(outside / "0.dcm", tiny.ct_slice(0))
    (root / "0.dcm").unlink()
    (root / "0.dcm").symlink_to(outside / "0.dcm")
    assert "out of the release" in refused(root, request()).reason
    up = (ImageRequest("/etc/hostname"),)
    assert "out of the release" in refused(root, request(images=up)).reason


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_in_place_of_an_image_is_not_opened(root: Path, linked: bool) -> None:
    (root / "0.dcm").unlink()
    os.mkfifo(root / ("pipe" if linked else "0.dcm"))
    if linked:
        (root / "0.dcm").symlink_to(root / "pipe")
    assert refused(root, request()).reason == "a file can't be opened"


@pytest.mark.parametrize("path", ["gone.dcm", "", "a\0b", "x" * 5000])
def test_a_path_of_no_file(root: Path, path: str) -> None:
    assert refused(root, request(images=(ImageRequest(path),))).reason == "a file can't be opened"


def test_a_release_that_is_gone(root: Path) -> None:
    assert refused(None, request()).reason == "the release can't be opened any more"


def test_files_need_not_lie_on_disk(root: Path) -> None:
    expected = one(root, request())
    files = {path.name: path.read_bytes() for path in root.iterdir()}
    found = one(Memory(files), request())
    assert (found.images[0].values == expected.images[0].values).all()
    assert (found.masks[0].mask == expected.masks[0].mask).all()


# --- what is hatched --------------------------------------------------------------------------------------------------

SHARED = Hatched(2, 1, False, "what both share")
OUTSIDE = Hatched(2, 1, True, "what lies outside")


def candidates(hatched: Hatched) -> PictureRequest:
    """Two segments on each of three slices."""
    made = tuple(
        request(
            images=(ImageRequest(f"{index}.dcm"),),
            masks=(MaskRequest(index + 1, 1, SAME), MaskRequest(index + 4, 2, SAME)),
            detail=Detail((2,), (hatched,)),
        )
        for index in range(3)
    )
    return request(images=made[0].images, masks=made[0].masks, detail=made[0].detail, candidates=made)


def overlapping(root: Path) -> None:
    """Of the 18 pixels of segment 2 segment 1 holds 18, 9 and 12 on the three slices."""
    first = [MASK.copy() for _ in range(3)]
    first[1][2:5, 3:6] = False
    first[2][2] = False
    frames = [*((1, index, mask) for index, mask in enumerate(first)), *((2, index, MASK) for index in range(3))]
    tiny.write(root / "dso.dcm", tiny.segmentation(frames))


@pytest.mark.parametrize(("hatched", "path"), [(SHARED, "0.dcm"), (OUTSIDE, "1.dcm")])
def test_the_slice_with_most_of_it_is_chosen(root: Path, hatched: Hatched, path: str) -> None:
    overlapping(root)
    found = one(root, candidates(hatched))
    assert found.request is not None
    assert [image.path for image in found.request.images] == [path]
    assert {mask.segment for mask in found.masks} == {1, 2}


def test_of_equal_slices_the_first_is_chosen(root: Path) -> None:
    tiny.write(root / "dso.dcm", tiny.segmentation([(value, index, MASK) for value in (1, 2) for index in range(3)]))
    found = one(root, candidates(SHARED))
    assert found.request is not None
    assert found.request.images == (ImageRequest("0.dcm"),)


def test_candidates_of_masks_that_can_not_be_read(root: Path) -> None:
    ds = tiny.segmentation([(1, 0, OTHER), (1, 1, MASK)])
    del ds.Rows
    tiny.write(root / "dso.dcm", ds)
    assert refused(root, candidates(SHARED)).reason == "the masks can't be read"


def test_what_must_not_be_shown_is_not_shown_of_the_slice_that_is_chosen(root: Path) -> None:
    overlapping(root)
    change(root / "1.dcm", lambda ds: setattr(ds, "BurnedInAnnotation", "YES"), 1)
    assert refused(root, candidates(OUTSIDE)).series


def test_what_is_hatched() -> None:
    liver = MaskRead(1, MaskRequest(1, 1, SAME), OTHER)
    tumour = MaskRead(2, MaskRequest(2, 2, SAME), MASK | (np.arange(16) == 12))
    (inside,) = hatched_parts([liver, tumour], SHARED)
    (outside,) = hatched_parts([liver, tumour], OUTSIDE)
    assert (inside.mask == (tumour.mask & ~MASK)).all()
    assert (outside.mask == MASK).all()
    # Without the other all of it lies outside, and it shares nothing.
    assert hatched_parts([tumour], SHARED) == []
    assert (hatched_parts([tumour], OUTSIDE)[0].mask == tumour.mask).all()
    # A mask that lies two columns on.
    moved = MaskRead(1, MaskRequest(1, 1, (1.0, 0.0, 2.0, 0.0, 1.0, 0.0)), MASK)
    (both,) = hatched_parts([moved, MaskRead(2, MaskRequest(2, 2, SAME), MASK)], SHARED)
    assert (both.mask == (MASK & np.roll(MASK, 2, axis=1))).all()


def test_masks_that_can_not_be_read(root: Path) -> None:
    ds = tiny.segmentation([(1, 0, OTHER), (1, 1, MASK)])
    del ds.Rows
    tiny.write(root / "dso.dcm", ds)
    assert refused(root, request()).reason == "the masks can't be read"
