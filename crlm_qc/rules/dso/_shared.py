"""What rules on the segmentation object share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crlm_qc.model.finding import Found
from crlm_qc.model.tables import ENCAPSULATED
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rulebook.tally import as_one, tally
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso, dsos_of
from crlm_qc.subjects.words import text, whole

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


def frames_miscounted(dso: Dso) -> bool:
    """Whether NumberOfFrames and per-frame items differ (DSO015)."""
    frames = whole(dso.row["number_of_frames"])
    return frames is None or frames != whole(dso.row["n_frame_items"])


def length_wrong(dso: Dso) -> bool:
    """Whether Pixel Data has another length than its frames need (DSO016)."""
    needed, found = whole(dso.row["pixel_bytes_expected"]), whole(dso.row["pixel_bytes_found"])
    return needed is not None and found is not None and found not in (needed, _bytes_of_items(dso))


def _bytes_of_items(dso: Dso) -> int | None:
    """Bytes that as many frames as there are per-frame items need, padded to even."""
    size = [whole(dso.row[column]) for column in ("rows", "columns", "bits_allocated", "n_frame_items")]
    if any(value is None for value in size):
        return None
    bits = (
        (whole(dso.row["samples_per_pixel"]) or 1) * (size[0] or 0) * (size[1] or 0) * (size[2] or 0) * (size[3] or 0)
    )
    needed = -(-bits // 8)
    return needed + needed % 2


def unmeasured(dso: Dso) -> bool:
    """Whether its masks were asked for and not measured, for a reason that is DSO040's alone to tell."""
    if dso.row["masks"] != "failed" or text(dso.row["encoding_found"]) == ENCAPSULATED:
        return False
    sized = None not in (whole(dso.row["rows"]), whole(dso.row["columns"]))
    # Of a missing size, DSO002 tells where there is a CT to compare with.
    told_beside_ct = not sized and dso.ct is not None and not dso.foreign
    return not (frames_miscounted(dso) or length_wrong(dso) or told_beside_ct)
