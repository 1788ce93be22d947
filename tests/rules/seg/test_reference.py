"""Displaced masks on a real CT series: the liver is drawn by thresholds, within bounds that were set by eye."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from support import real
from support.frames import Case, run
from support.laid import laid_over

from crlm_qc.collection.profile import Profile

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]
Volume = npt.NDArray[np.bool_]
SPACING, PIXEL, STEP = 5.0, 0.796875, real.COARSE
VOXEL = (SPACING, PIXEL * STEP, PIXEL * STEP)


@pytest.fixture(scope="module")
def ct(reference: Path) -> npt.NDArray[np.float32]:
    """Every fourth pixel of CRLM-CT-1004, from its lowest slice, HU."""
    slices = real.slices_of(reference)
    return np.stack([one.pixel_array[1::STEP, 1::STEP] - 1024.0 for one in slices]).astype(np.float32)


@pytest.fixture(scope="module")
def liver(ct: npt.NDArray[np.float32]) -> Volume:
    mask = real.liver_of(ct)
    assert 1000 < mask.sum() * SPACING * (PIXEL * STEP) ** 2 / 1000 < 1600
    return mask


def said(case: Case, profile: Profile) -> list[tuple[str, str]]:
    return [(one.rule, one.message) for one in run(case, profile).findings]


def wider(mask: Volume) -> Volume:
    return np.stack([ndimage.binary_dilation(plane) for plane in mask])


@pytest.mark.parametrize("lower", [0, 70, 100], ids="{} HU lower".format)
@pytest.mark.parametrize("drawn", [lambda mask: mask, wider, lambda mask: mask | np.roll(mask, 1, 0)])
def test_a_mask_in_its_place(ct, liver, profile: Profile, drawn: Callable[[Volume], Volume], lower: float) -> None:
    assert said(laid_over(ct - lower * liver, drawn(liver), VOXEL), profile) == []


def test_a_lesion_that_no_segment_names(ct, liver, profile: Profile) -> None:
    lesion = liver & (np.arange(liver.shape[2]) > np.median(np.nonzero(liver)[2]))
    assert said(laid_over(ct - 90 * lesion, liver, VOXEL), profile) == []


@pytest.mark.parametrize(
    ("displace", "words"),
    [
        (lambda mask: np.roll(mask, 1, 0), "moved by 1 slice (5"),
        (lambda mask: np.roll(mask, -1, 0), "moved by 1 slice (5"),
        (lambda mask: np.roll(mask, 1, 2), "moved by 1 column (3"),
        (lambda mask: np.roll(mask, -1, 1), "moved by 1 row (3"),
        (lambda mask: np.roll(mask, 2, 0), "moved by 2 slices"),
        (lambda mask: np.roll(mask, -3, 0), "moved by 3 slices"),
        (lambda mask: np.roll(mask, 4, 1), "moved by 4 rows"),
        (lambda mask: np.roll(mask, -4, 2), "moved by 4 columns"),
        (lambda mask: mask[::-1], "turned upside down"),
        (lambda mask: mask[:, ::-1], "mirrored front-back"),
        (lambda mask: mask[:, :, ::-1], "mirrored left-right"),
        (lambda mask: mask[:, ::-1, ::-1], "turned by 180 degrees in the plane"),
        (lambda mask: mask.transpose(0, 2, 1), "with rows and columns swapped"),
    ],
)
def test_a_displaced_mask(ct, liver, profile: Profile, displace: Callable[[Volume], Volume], words: str) -> None:
    ((code, message),) = said(laid_over(ct, displace(liver), VOXEL), profile)
    assert code == "SEG013"
    assert words in message
