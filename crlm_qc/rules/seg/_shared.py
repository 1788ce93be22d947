"""What rules on the masks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crlm_qc.collection.profile import LIVER
from crlm_qc.model.finding import Found
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip
from crlm_qc.subjects.masks import Masks, Segment, masks_of
from crlm_qc.subjects.needs import need_role
from crlm_qc.subjects.words import number

SOURCE = "DICOM PS3.3 C.8.20.2 (Segmentation Image)"
PUBLISHED = "published description: volumes of liver and tumour"
TABLES = ("dsos", "frames", "segments", "segment_pairs", "slices", "references", "files")


def each(context: Context, judge: Callable[[Masks], Iterable[Found]]) -> Checked:
    masks = masks_of(context)
    return Checked(len(masks), [found for one in masks for found in judge(one)])


def each_liver(context: Context, judge: Callable[[Masks, Segment], Iterable[Found]]) -> Checked:
    """Every object with one liver of a known volume.

    Raises
    ------
    Skip
        There is none.
    """
    need_role(context, LIVER)
    livers = [(one, liver) for one in masks_of(context) if (liver := one.liver()) is not None]
    if not livers:
        raise Skip("no liver was measured")
    return Checked(len(livers), [found for one, liver in livers for found in judge(one, liver)])


def ml(value: float) -> str:
    return f"{number(value, 2)} mL"
