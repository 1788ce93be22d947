"""What rules on the segmentation object share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crlm_qc.model.finding import Found
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rulebook.tally import as_one, tally
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso, dsos_of

IMAGE = "DICOM PS3.3 A.51 (Segmentation IOD), C.8.20.2 (Segmentation Image)"
REFERENCES = "DICOM PS3.3 C.12.2 (Common Instance Reference)"
DERIVATION = "DICOM PS3.3 C.7.6.16.2.6 (Derivation Image Macro)"
GROUPS = "DICOM PS3.3 C.7.6.16 (Multi-frame Functional Groups)"
SEGMENTS = "DICOM PS3.3 C.8.20.2 and C.8.20.4 (Segment Description Macro)"
OWN = ("dsos", "frames", "segments", "references")
WITH_CT = (*OWN, "slices", "files")


def each_dso(
    context: Context, judge: Callable[[Dso], Iterable[Found]], examined: Callable[[Dso], int] = as_one
) -> Checked:
    """Every segmentation object."""
    return tally([(dso,) for dso in dsos_of(context)], judge, examined)


def each_beside_ct(context: Context, judge: Callable[[Dso, CtSeries], Iterable[Found]]) -> Checked:
    """Every segmentation object that there is a CT series for; where it can't be told which (DSO031), none is taken."""
    return tally([(dso, dso.ct) for dso in dsos_of(context) if dso.ct is not None], judge)


def each_on_its_ct(
    context: Context,
    judge: Callable[[Dso, CtSeries], Iterable[Found]],
    examined: Callable[[Dso, CtSeries], int] = as_one,
) -> Checked:
    """Every segmentation object that there is a CT series for, and that refers to no other."""
    pairs = [(dso, dso.ct) for dso in dsos_of(context) if dso.ct is not None and not dso.foreign]
    return tally(pairs, judge, examined)


def absent(dso: Dso, keyword: str) -> str:
    """Why an attribute of the functional groups has no value."""
    return "malformed" if keyword in dso.malformed else "missing"
