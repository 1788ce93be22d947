"""What rules on the masks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crlm_qc.collection.profile import LIVER
from crlm_qc.model.finding import Found
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip
from crlm_qc.rulebook.tally import as_one, tally
from crlm_qc.subjects.masks import Masks, Segment, masks_of
from crlm_qc.subjects.needs import need_role
from crlm_qc.subjects.words import number

SOURCE = "DICOM PS3.3 C.8.20.2 (Segmentation Image)"
PUBLISHED = "published description: volumes of liver and tumour"
TABLES = ("dsos", "frames", "segments", "segment_pairs", "slices", "references", "files")


def each_masks(context: Context, judge: Callable[[Masks], Iterable[Found]]) -> Checked:
    """Every object whose masks were measured."""
    return tally([(masks,) for masks in masks_of(context)], judge)


def each_segment(
    context: Context,
    judge: Callable[[Masks, Segment], Iterable[Found]],
    examined: Callable[[Masks, Segment], int] = as_one,
) -> Checked:
    """Every measured segment, with the masks that it is one of."""
    return tally([(masks, segment) for masks in masks_of(context) for segment in masks.segments], judge, examined)


def each_liver(
    context: Context,
    judge: Callable[[Masks, Segment], Iterable[Found]],
    examined: Callable[[Masks, Segment], int] = as_one,
) -> Checked:
    """Every object with one liver of a known volume.

    Raises
    ------
    Skip
        There is none.
    """
    need_role(context, LIVER)
    livers = [(masks, liver) for masks in masks_of(context) if (liver := masks.liver()) is not None]
    if not livers:
        raise Skip("no liver was measured")
    return tally(livers, judge, examined)


def ml(value: float) -> str:
    """A volume, mL."""
    return f"{number(value, 2)} mL"


def ml_between(least: float, most: float) -> str:
    """A range of volumes, mL; one volume where they are the same as shown."""
    return ml(least) if number(least, 2) == number(most, 2) else f"{number(least, 2)} to {ml(most)}"
