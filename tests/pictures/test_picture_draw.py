"""What is drawn lies where it lies in the patient."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crlm_qc.evidence.pictures import ImageRead, MaskRead, PictureRead
from crlm_qc.model.picture import (
    PATH_DATA,
    SIDE,
    UNITS,
    Gap,
    ImageLine,
    ImageRequest,
    MaskRequest,
    Outline,
    PictureRequest,
    Plane,
)
from crlm_qc.pictures.draw import draw, moved, path_of, rings, simplified, smaller, webp, window

SAME = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
OUTLINES = (
    Outline(1, "L", "liver", "Liver"),
    Outline(2, "R", "remnant", "Liver Remnant"),
    Outline(3, "H", "vessel", "Hepatic"),
    Outline(5, "T1", "tumour", "Tumor_1"),
)
REQUEST = PictureRequest(
    patient="CRLM-CT-1001",
    findings=("0123456789ab",),
    plane=Plane.AXIAL,
    group=1,
    title="Largest cross-section of the liver",
    caption="InstanceNumber 12",
    alt="A slice",
    sides=("R", "A", "L", "P"),
    spacing=(0.8, 0.8),
    thickness=5.0,
    upward=True,
    images=(ImageRequest("a.dcm"),),
    dso="dso.dcm",
    masks=(),
    outlines=OUTLINES,
)


def filled(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[rows, columns] = True
    return mask


def read(values: np.ndarray, *masks: MaskRead) -> PictureRead:
    return PictureRead((ImageRead(ImageLine(), values.astype(np.float32)),), masks)


def points(path: str) -> np.ndarray:
    """Points of path data, in pixels of the picture."""
    found = []
    for part in path.split("z")[:-1]:
        first, _, steps = part[1:].partition("l")
        numbers = np.array(steps.split(), dtype=float).reshape(-1, 2)
        found.append(np.cumsum(np.vstack([np.array(first.split(), dtype=float), numbers]), axis=0))
    return np.vstack(found) / UNITS


def test_the_window() -> None:
    values = np.array([-2000, -140, 60, 260, 3000, np.nan], dtype=np.float32)
    assert window(values).tolist() == [0, 0, 128, 255, 255, 0]


@given(
    st.integers(8, 60),
    st.integers(8, 60),
    st.floats(0.4, 1.5),
    st.floats(0.4, 1.5),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_a_contour_lies_where_its_mask_lies_in_millimetres(
    rows: int, columns: int, between_rows: float, between_columns: float, top: int, left: int
) -> None:
    if max(rows * between_rows, columns * between_columns) / min(rows * between_rows, columns * between_columns) > 10:
        return
    mask = filled((rows, columns), slice(top, top + 3), slice(left, left + 2))
    request = replace(REQUEST, spacing=(between_rows, between_columns))
    made = draw(request, read(np.zeros((rows, columns)), MaskRead(1, MaskRequest(1, 1, SAME), mask)))
    (contour,) = made.picture.contours
    assert PATH_DATA.fullmatch(contour.path)
    scale = SIDE / max(rows * between_rows, columns * between_columns)
    found = points(contour.path)
    # Half a pixel of the picture is what rounding its size may take, besides what points left out are worth.
    slack = 0.5 + 0.35 + 0.1
    assert found.min(axis=0) == pytest.approx([left * between_columns * scale, top * between_rows * scale], abs=slack)
    assert found.max(axis=0) == pytest.approx(
        [(left + 2) * between_columns * scale, (top + 3) * between_rows * scale], abs=slack
    )
    assert made.picture.bar == pytest.approx(50 * scale * UNITS, abs=1)
    assert max(made.image.size) == SIDE


def test_a_mask_on_another_grid_lies_over_the_same_tissue() -> None:
    values = np.full((64, 64), -1000.0)
    values[10:20, 30:50] = 100.0
    mask = filled((32, 40), slice(2, 7), slice(5, 15))
    # The mask's pixels are twice as large, and its first one lies at column 20.5, row 6.5 of the image.
    affine = (2.0, 0.0, 20.5, 0.0, 2.0, 6.5)
    made = draw(REQUEST, read(values, MaskRead(5, MaskRequest(1, 5, affine), mask)))
    found = points(made.picture.contours[0].path)
    bright = np.argwhere(np.asarray(made.image) > 127)[:, ::-1]
    assert found.min(axis=0) == pytest.approx(bright.min(axis=0), abs=1.5)
    assert found.max(axis=0) == pytest.approx(bright.max(axis=0) + 1, abs=1.5)


def test_holes_have_contours_too() -> None:
    mask = filled((20, 20), slice(2, 18), slice(2, 18))
    mask[8:12, 8:12] = False
    assert len(rings(mask)) == 2
    assert rings(np.zeros((4, 4), dtype=bool)) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=3, max_size=60), st.floats(0.1, 3))
def test_points_left_out_are_near_the_line(corners: list[tuple[int, int]], slack: float) -> None:
    ring = np.array(corners, dtype=float)
    less = simplified(ring, slack)
    assert len(less) <= len(ring)
    closed = np.vstack([less, less[:1]])
    starts, ends = closed[:-1], closed[1:]
    along = ends - starts
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    for point in ring:
        part = np.clip(((point - starts) * along).sum(axis=1) / length, 0, 1)
        assert np.linalg.norm(starts + part[:, None] * along - point, axis=1).min() <= slack + 1e-9


def test_path_data() -> None:
    square = np.array([[1.0, 2.0], [3.0, 2.0], [3.0, 4.04], [1.0, 4.0]])
    assert path_of([square, square[:2]]) == "M10 20l20 0 0 20 -20 0z"
    assert moved(square, (0, 1, 5, 1, 0, 0))[0].tolist() == [7, 1]


def test_letters_keep_apart_and_inside() -> None:
    masks = [
        MaskRead(number, MaskRequest(number, number, SAME), filled((64, 64), slice(1, 1 + size), slice(1, 1 + size)))
        for number, size in ((1, 60), (2, 58), (3, 4), (5, 5))
    ]
    made = draw(REQUEST, read(np.zeros((64, 64)), *masks)).picture
    assert [contour.letter for contour in made.contours] == ["L", "R", "H", "T1"]
    places = np.array([(contour.x, contour.y) for contour in made.contours])
    assert (places > 0).all()
    assert (places < SIDE * UNITS).all()
    for index, place in enumerate(places):
        away = np.abs(np.delete(places, index, axis=0) - place)
        assert ((away[:, 0] > 8 * UNITS) | (away[:, 1] > 12 * UNITS)).all()


def reformat(heights: list[float], plane: Plane = Plane.CORONAL, starts: list[float] | None = None) -> tuple:
    starts = starts or [0.0] * len(heights)
    lines = [ImageLine(height, 3, start) for height, start in zip(heights, starts, strict=True)]
    request = replace(
        REQUEST,
        plane=plane,
        images=tuple(ImageRequest(f"{h}.dcm", line) for h, line in zip(heights, lines, strict=True)),
    )
    images = tuple(
        ImageRead(line, np.full(60, 260.0 if place == len(lines) - 1 else 60.0, dtype=np.float32))
        for place, line in enumerate(lines)
    )
    return request, images


def test_a_reformat_is_in_true_millimetres_with_its_gap_boxed() -> None:
    heights = [0.0, 5.0, 10.0, 20.0, 25.0]
    request, images = reformat(heights)
    held = np.zeros(60, dtype=bool)
    held[20:30] = True
    mask = MaskRead(1, MaskRequest(1, 1, SAME, ImageLine(5.0, 3, 0.0)), held)
    made = draw(request, PictureRead(images, (mask,)))
    scale = SIDE / (60 * 0.8)
    assert made.image.size == (SIDE, round(30 * scale))
    (gap,) = made.picture.gaps
    # The head is at the top: the gap of 12.5 to 17.5 mm begins 10 mm below the upper edge at 27.5 mm.
    assert gap.y / UNITS == pytest.approx(10 * scale, abs=2)
    assert gap.height / UNITS == pytest.approx(5 * scale, abs=2)
    grey = np.asarray(made.image)
    assert grey[5, 100] == 255
    assert grey[-5, 100] == 128
    assert (grey[(gap.y + 20) // UNITS : (gap.y + gap.height - 20) // UNITS] == 0).all()
    found = points(made.picture.contours[0].path)
    assert found.min(axis=0) == pytest.approx([20 * 0.8 * scale, (27.5 - 7.5) * scale], abs=1.5)
    assert found.max(axis=0) == pytest.approx([30 * 0.8 * scale, (27.5 - 2.5) * scale], abs=1.5)


def test_a_normal_that_points_to_the_feet_is_turned() -> None:
    request, images = reformat([0.0, 5.0, 10.0])
    made = draw(replace(request, upward=False), PictureRead(images, ()))
    grey = np.asarray(made.image)
    assert (grey[5, 100], grey[-5, 100]) == (128, 255)
    assert made.picture.gaps == ()


def test_sheared_slices_are_shown_shifted() -> None:
    request, images = reformat([0.0, 5.0, 10.0], Plane.SAGITTAL, [0.0, 4.0, 8.0])
    grey = np.asarray(draw(request, PictureRead(images, ())).image)
    assert grey[5, 5] == 0
    assert grey[-5, 5] == 128
    assert grey[5, -5] == 255


def test_out_of_all_proportion() -> None:
    request, images = reformat([0.0, 50_000.0])
    with pytest.raises(ValueError, match="proportion"):
        draw(request, PictureRead(images, ()))


def test_smaller_pictures() -> None:
    image = Image.fromarray((np.arange(384 * 200) % 251).astype(np.uint8).reshape(200, 384))
    content = webp(image)
    cut = smaller(content, 256)
    with Image.open(BytesIO(cut)) as less:
        assert less.size == (256, 133)
    assert smaller(cut, 256) == cut
    assert webp(image) == content


def test_png_has_contours_in_the_roles_colours_and_gaps() -> None:
    mask = MaskRead(5, MaskRequest(1, 5, SAME), filled((64, 64), slice(20, 40), slice(20, 40)))
    with Image.open(BytesIO(draw(REQUEST, read(np.zeros((64, 64)), mask)).png())) as made:
        assert made.size == (2 * SIDE, 2 * SIDE)
        pixels = np.asarray(made.convert("RGB")).reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}
    assert (90, 224, 122) in colours
    assert (255, 90, 77) not in colours
    request, images = reformat([0.0, 5.0, 20.0])
    drawing = draw(request, PictureRead(images, ()))
    assert drawing.picture.gaps[0].__class__ is Gap
    assert drawing.png()[:4] == b"\x89PNG"
