"""Faults that only the published figures show (PUB)."""

from __future__ import annotations

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site


@fault(
    "ct-slice-withdrawn",
    triggers=("PUB002",),
    doc="The outermost CT slice, which no segment reaches, is gone from the disk and from the counts of metadata.csv.",
)
def _(site: Site) -> None:
    site.remove(site.edge().slice.path)
    with site.row("ct") as row:
        row["Number of Images"] = str(int(row["Number of Images"]) - 1)
