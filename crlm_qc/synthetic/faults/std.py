"""Faults that the validators of the standard report (STD)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site

if TYPE_CHECKING:
    from pydicom import Dataset


@fault(
    "standard-attribute-missing",
    triggers=("STD001",),
    doc="The CT files lack PositionReferenceIndicator, which their frame of reference must have, if empty.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        del dataset.PositionReferenceIndicator

    site.each_ct(change)


@fault(
    "standard-attribute-of-another-object",
    triggers=("STD002",),
    doc="One slice has a FrameTime, which is for images of several frames.",
)
def _(site: Site) -> None:
    def change(dataset: Dataset) -> None:
        dataset.FrameTime = "1"

    site.each_ct(change, site.ct_files[-1:])
