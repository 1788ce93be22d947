"""What is drawn lies where it lies in the patient."""

from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from crlm_qc.evidence.pictures import ImageRead, MaskRead, PictureRead
from crlm_qc.model.picture import (
    PATH_DATA,
    SIDE,
    UNITS,
    Detail,
    Gap,
    Hatched,
    ImageLine,
    ImageRequest,
    MaskRequest,
    Outline,
    Part,
    PictureRequest,
    Plane,
    Space,
    View,
)
from crlm_qc.pictures.contours import moved, path_of, rings, simplified
from crlm_qc.pictures.draw import LEAST_GAP, MAX_ALT, draw, window
from crlm_qc.pictures.drawing import smaller, webp
from crlm_qc.pictures.make import Job, draw_patient

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
@example(24, 8, 0.75, 0.75, 0, 0)
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
    assert made.picture.bar == pytest.approx(made.picture.bar_mm * scale * UNITS, abs=1)
    assert made.picture.bar <= made.picture.width / 3
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


def reformat(
    heights: list[float],
    plane: Plane = Plane.CORONAL,
    starts: list[float] | None = None,
    spaces: tuple[Space, ...] = (),
) -> tuple:
    starts = starts or [0.0] * len(heights)
    lines = [ImageLine(height, 3, start) for height, start in zip(heights, starts, strict=True)]
    request = replace(
        REQUEST,
        plane=plane,
        spaces=spaces,
        images=tuple(ImageRequest(f"{h}.dcm", line) for h, line in zip(heights, lines, strict=True)),
    )
    images = tuple(
        ImageRead(line, np.full(60, 260.0 if place == len(lines) - 1 else 60.0, dtype=np.float32))
        for place, line in enumerate(lines)
    )
    return request, images


def test_a_reformat_is_in_true_millimetres_with_its_gap_boxed() -> None:
    heights = [0.0, 5.0, 10.0, 20.0, 25.0]
    request, images = reformat(heights, spaces=(Space(10.0, 20.0, "gap 10 mm"),))
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
    assert gap.label == "gap 10 mm"
    assert gap.text < gap.y
    assert made.picture.alt.endswith("with the contours of Liver. Boxed: gap 10 mm.")
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
    request, images = reformat([0.0, 5.0, 20.0], spaces=(Space(5.0, 20.0, "gap 15 mm"),))
    drawing = draw(request, PictureRead(images, ()))
    assert drawing.picture.gaps[0].__class__ is Gap
    with Image.open(BytesIO(drawing.png())) as made:
        pixels = np.asarray(made.convert("RGB"))
    yellow = (pixels == (240, 200, 90)).all(axis=-1)
    # What is written above the box, and the arrow that points to it.
    assert yellow[: 2 * drawing.picture.gaps[0].y // UNITS - 2].sum() > 100


# --- gaps between thin slices -----------------------------------------------------------------------------------------


def thin(missing: int, count: int = 200) -> tuple:
    """A stack of slices 0.8 mm apart, one of them missing."""
    heights = [round(0.8 * place, 1) for place in range(count) if place != missing]
    low, high = 0.8 * (missing - 1), 0.8 * (missing + 1)
    request, images = reformat(heights, spaces=(Space(low, high, "gap 1.6 mm"),))
    return replace(request, thickness=0.8), images


def test_a_missing_thin_slice_is_boxed_and_named() -> None:
    request, images = thin(100)
    made = draw(request, PictureRead(images, ())).picture
    (gap,) = made.gaps
    assert gap.height >= LEAST_GAP * UNITS
    # Slices of 0 to 159.2 mm: the middle of the missing one lies 79.6 mm below the upper edge at 159.6 mm.
    assert gap.y + gap.height / 2 == pytest.approx((159.6 - 80) * made.height / 160, abs=12)
    assert (gap.label, gap.text > 0) == ("gap 1.6 mm", True)
    assert "Boxed: gap 1.6 mm." in made.alt
    # The letters of left and right stand above it, not on it.
    assert made.level < gap.text


@pytest.mark.parametrize("missing", [1, 198])
@pytest.mark.parametrize("upward", [True, False])
def test_the_box_of_the_outermost_gap_lies_inside_the_picture(missing: int, upward: bool) -> None:
    request, images = thin(missing)
    made = draw(replace(request, upward=upward), PictureRead(images, ())).picture
    (gap,) = made.gaps
    assert gap.y > 0
    assert gap.y + gap.height < made.height
    assert gap.height >= LEAST_GAP * UNITS
    assert 0 < gap.text < made.height


def test_a_gap_is_enlarged() -> None:
    request, images = thin(100)
    part = Part(0.0, 48.0, 68.0, 92.0)
    framed = draw(replace(request, part=part, view=View.FRAMED), PictureRead(images, ()))
    enlarged = draw(replace(request, part=part, view=View.ENLARGED), PictureRead(images, ()))
    frame = framed.picture.frame
    assert frame is not None
    assert frame.height / framed.picture.height == pytest.approx(24 / 160, rel=0.05)
    assert enlarged.image.size == (384, 192)
    assert enlarged.picture.title.endswith(", enlarged")
    black = (np.asarray(enlarged.image) == 0).all(axis=1)
    assert black.sum() == pytest.approx(0.8 * 8, abs=1)
    (gap,) = enlarged.picture.gaps
    rows = np.flatnonzero(black)
    assert (gap.y / UNITS, (gap.y + gap.height) / UNITS) == pytest.approx((rows[0], rows[-1] + 1), abs=1)
    assert (enlarged.picture.bar_mm, enlarged.picture.bar) == (10.0, 800)


def test_gaps_that_lie_close_together_are_written_once() -> None:
    request, images = reformat([0.0, 0.8, 2.4, 4.0, *(4.8 + 0.8 * place for place in range(150))], spaces=(
        Space(0.8, 2.4, "gap 1.6 mm"), Space(2.4, 4.0, "gap 1.6 mm"), Space(4.0, 4.8, "gap 0.8 mm"),
    ))  # fmt: skip
    made = draw(replace(request, thickness=0.8), PictureRead(images, ())).picture
    said = sorted(gap.text for gap in made.gaps if gap.text)
    assert len(made.gaps) == 3
    assert 0 < len(said) < 3
    assert all(after - before > 13 * UNITS for before, after in pairwise(said))


# --- small things -----------------------------------------------------------------------------------------------------

TWO = (
    *OUTLINES,
    Outline(6, "T2", "tumour", "Tumor_2"),
)
SHARED = Detail((5, 6), (Hatched(5, 6, False, "what Tumor_1 and Tumor_2 share"),))


def spots(*places: tuple[int, slice, slice], size: int = 400) -> tuple[MaskRead, ...]:
    return tuple(
        MaskRead(segment, MaskRequest(segment, segment, SAME), filled((size, size), rows, columns))
        for segment, rows, columns in places
    )


def test_a_small_overlap_is_enlarged_and_hatched() -> None:
    masks = spots(
        (1, slice(50, 350), slice(50, 350)),
        (5, slice(100, 112), slice(300, 312)),
        (6, slice(108, 120), slice(308, 320)),
    )
    request = replace(REQUEST, outlines=TWO, detail=SHARED, title="Tumor_1 and Tumor_2 overlap", alt="axial")
    values = np.zeros((400, 400))
    framed = draw(replace(request, view=View.FRAMED), read(values, *masks)).picture
    made = draw(replace(request, view=View.ENLARGED), read(values, *masks))
    picture = made.picture
    # 40 mm about the four pixels that are shared, of the 320 mm that the image has.
    scale = SIDE / 40
    middle = np.array([310.0, 110.0])
    left, top = middle * 0.8 - 20
    assert framed.frame is not None
    whole = SIDE / 320
    assert (framed.frame.x, framed.frame.y) == pytest.approx((left * whole * UNITS, top * whole * UNITS), abs=2)
    assert (framed.frame.width, framed.frame.height) == pytest.approx((40 * whole * UNITS,) * 2, abs=2)
    assert picture.frame is None
    (hatch,) = picture.hatches
    assert PATH_DATA.fullmatch(hatch.path)
    found = points(hatch.path)
    assert found.min(axis=0) == pytest.approx((middle - 2) * 0.8 * scale - np.array([left, top]) * scale, abs=1)
    assert found.max(axis=0) == pytest.approx((middle + 2) * 0.8 * scale - np.array([left, top]) * scale, abs=1)
    assert (picture.bar_mm, picture.bar) == (10.0, round(10 * scale * UNITS))
    assert picture.sides == REQUEST.sides
    assert picture.title == "Tumor_1 and Tumor_2 overlap, enlarged"
    # No contour of the liver is in sight.
    assert [contour.letter for contour in picture.contours] == ["T1", "T2"]
    assert "with the contours of Tumor_1, Tumor_2. Hatched: what Tumor_1 and Tumor_2 share." in picture.alt
    assert [contour.letter for contour in framed.contours] == ["L", "T1", "T2"]
    assert len(framed.hatches) == 1
    with Image.open(BytesIO(made.png())) as burnt:
        part = np.asarray(burnt.convert("RGB"))[2 * 176 : 2 * 207, 2 * 176 : 2 * 207].reshape(-1, 3)
    assert {(255, 255, 255), (0, 0, 0)} <= {tuple(colour) for colour in part.tolist()}


def test_what_is_enlarged_shows_the_tissue_that_lies_there() -> None:
    values = np.full((400, 400), -1000.0)
    values[108:112, 308:312] = 300.0
    masks = spots((5, slice(100, 112), slice(300, 312)), (6, slice(108, 120), slice(308, 320)))
    request = replace(REQUEST, detail=SHARED, view=View.ENLARGED)
    made = draw(request, read(values, *masks))
    bright = np.argwhere(np.asarray(made.image) > 127)[:, ::-1]
    found = points(made.picture.hatches[0].path)
    assert found.min(axis=0) == pytest.approx(bright.min(axis=0), abs=2)
    assert found.max(axis=0) == pytest.approx(bright.max(axis=0) + 1, abs=2)


@pytest.mark.parametrize("corner", [(0, 0), (0, 396), (396, 0), (396, 396)])
def test_what_lies_at_the_edge_is_enlarged_within_the_image(corner: tuple[int, int]) -> None:
    row, column = corner
    masks = spots((5, slice(row, row + 4), slice(column, column + 4)))
    request = replace(REQUEST, detail=Detail((5,)))
    frame = draw(replace(request, view=View.FRAMED), read(np.zeros((400, 400)), *masks)).picture.frame
    assert frame is not None
    assert min(frame.x, frame.y) >= 0
    assert max(frame.x + frame.width, frame.y + frame.height) <= SIDE * UNITS


def test_a_tumour_in_a_hole_of_the_liver_is_hatched_as_outside() -> None:
    (liver, tumour) = spots((1, slice(50, 350), slice(50, 350)), (5, slice(100, 120), slice(300, 320)))
    liver.mask[tumour.mask] = False
    words = "what of Tumor_1 lies outside the liver's mask"
    request = replace(REQUEST, detail=Detail((5,), (Hatched(5, 1, True, words),)), view=View.ENLARGED)
    made = draw(request, read(np.zeros((400, 400)), liver, tumour)).picture
    assert [hatch.words for hatch in made.hatches] == [words]
    assert points(made.hatches[0].path) == pytest.approx(points(made.contours[1].path))
    # What lies inside is not hatched.
    liver.mask[tumour.mask] = True
    made = draw(request, read(np.zeros((400, 400)), liver, tumour)).picture
    assert made.hatches == ()
    assert "Hatched" not in made.alt


def test_masks_on_other_grids_are_compared_where_they_lie() -> None:
    (one,) = spots((5, slice(100, 120), slice(100, 120)))
    coarse = filled((200, 200), slice(55, 65), slice(55, 65))
    other = MaskRead(6, MaskRequest(6, 6, (2.0, 0.0, 0.5, 0.0, 2.0, 0.5)), coarse)
    made = draw(replace(REQUEST, spacing=(1.0, 1.0), detail=SHARED), read(np.zeros((400, 400)), one, other)).picture
    found = points(made.hatches[0].path) * 400 / SIDE
    assert (found.min(axis=0), found.max(axis=0)) == (
        pytest.approx([110, 110], abs=1),
        pytest.approx([120, 120], abs=1),
    )


def test_what_is_large_is_not_enlarged() -> None:
    masks = spots((5, slice(100, 250), slice(100, 250)), (6, slice(100, 250), slice(100, 250)))
    request = replace(REQUEST, detail=SHARED)
    enlarged = draw(replace(request, view=View.ENLARGED), read(np.zeros((400, 400)), *masks))
    framed = draw(replace(request, view=View.FRAMED), read(np.zeros((400, 400)), *masks)).picture
    assert (enlarged.enlarged, enlarged.picture.title) == (False, REQUEST.title)
    assert framed.frame is None
    assert len(framed.hatches) == 1


def test_a_strip_along_an_outline_is_enlarged_where_most_of_it_lies() -> None:
    (liver, remnant) = spots((1, slice(50, 350), slice(50, 350)), (2, slice(50, 350), slice(50, 350)))
    remnant.mask[50:350, 350] = True
    remnant.mask[180:230, 350:353] = True
    detail = Detail((2,), (Hatched(2, 1, True, "what of Liver Remnant lies outside the liver's mask"),))
    frame = draw(
        replace(REQUEST, detail=detail, view=View.FRAMED), read(np.zeros((400, 400)), liver, remnant)
    ).picture.frame
    assert frame is not None
    scale = 400 / (SIDE * UNITS)
    assert frame.width * scale == pytest.approx(60 / 0.8, abs=1)
    assert frame.y * scale <= 180
    assert (frame.y + frame.height) * scale >= 230


def test_image_and_masks_are_mirrored_together() -> None:
    values = np.full((64, 64), -1000.0)
    values[10:20, 5:15] = 300.0
    mask = MaskRead(1, MaskRequest(1, 1, SAME), filled((64, 64), slice(10, 20), slice(5, 15)))
    for axis, place in (("columns", (49, 10)), ("rows", (5, 44))):
        made = draw(replace(REQUEST, mirrored=axis), read(values, mask))
        found = points(made.picture.contours[0].path) * 64 / SIDE
        assert found.min(axis=0) == pytest.approx(place, abs=0.3)
        bright = np.argwhere(np.asarray(made.image) > 127)[:, ::-1] * 64 / SIDE
        assert bright.min(axis=0) == pytest.approx(place, abs=0.5)
        assert made.picture.sides == REQUEST.sides


# --- in words ---------------------------------------------------------------------------------------------------------


def test_words_name_what_is_drawn_and_nothing_else() -> None:
    masks = spots((1, slice(50, 350), slice(50, 350)), (5, slice(100, 112), slice(300, 312)))
    request = replace(REQUEST, alt="axial, z 5 mm", about="SEG005: A message.")
    made = draw(request, read(np.zeros((400, 400)), *masks)).picture
    assert made.alt == (
        "Largest cross-section of the liver, axial, z 5 mm, with the contours of Liver, Tumor_1. SEG005: A message."
    )
    # A mask that lies beyond the image is neither drawn nor named.
    far = MaskRead(5, MaskRequest(5, 5, (1.0, 0.0, 900.0, 0.0, 1.0, 0.0)), masks[1].mask)
    made = draw(request, read(np.zeros((400, 400)), masks[0], far)).picture
    assert [contour.letter for contour in made.contours] == ["L"]
    assert "with the contours of Liver. " in made.alt
    made = draw(request, read(np.zeros((400, 400)))).picture
    assert "without a mask on it. " in made.alt


def test_words_are_cut_at_a_word() -> None:
    made = draw(replace(REQUEST, about="much " * 200), read(np.zeros((64, 64)))).picture
    assert len(made.alt) <= MAX_ALT + 2
    assert made.alt.endswith("much \N{HORIZONTAL ELLIPSIS}")


# --- none twice -------------------------------------------------------------------------------------------------------


def made_of(monkeypatch: pytest.MonkeyPatch, requests: list[PictureRequest], masks: tuple[MaskRead, ...]) -> list[str]:
    """Titles of what is made of the pictures of one patient, all of one slice."""
    reads = [replace(read(np.zeros((400, 400)), *masks), request=one) for one in requests]
    monkeypatch.setattr("crlm_qc.evidence.pictures.read_pictures", lambda *_: reads)
    return [picture.title for picture, _ in draw_patient(Job(None, (), tuple(requests)))]


def both(detail: Detail) -> list[PictureRequest]:
    return [
        replace(REQUEST, detail=detail, view=view, group=2, title="Overlap") for view in (View.FRAMED, View.ENLARGED)
    ]


def test_what_is_large_has_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    large = spots((5, slice(100, 250), slice(100, 250)), (6, slice(100, 250), slice(100, 250)))
    assert made_of(monkeypatch, both(SHARED), large) == ["Overlap"]
    # Alone it is whole, and not called enlarged.
    assert made_of(monkeypatch, both(SHARED)[1:], large) == ["Overlap"]
    small = spots((5, slice(100, 105), slice(100, 105)), (6, slice(100, 105), slice(100, 105)))
    assert made_of(monkeypatch, both(SHARED), small) == ["Overlap", "Overlap, enlarged"]


def test_a_slice_that_shows_a_finding_is_not_shown_without(monkeypatch: pytest.MonkeyPatch) -> None:
    small = spots((5, slice(100, 105), slice(100, 105)), (6, slice(100, 105), slice(100, 105)))
    middle = replace(REQUEST, findings=(), title="Middle")
    other = replace(middle, images=(ImageRequest("b.dcm"),))
    assert made_of(monkeypatch, [middle, *both(SHARED)], small) == ["Overlap", "Overlap, enlarged"]
    assert made_of(monkeypatch, [other, *both(SHARED)], small) == ["Middle", "Overlap", "Overlap, enlarged"]
    assert made_of(monkeypatch, [middle, *both(SHARED)[1:]], small) == ["Middle", "Overlap, enlarged"]
