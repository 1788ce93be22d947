"""Whether the scan holds the whole organ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crlm_qc.collection.profile import LIVER, TUMOUR
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import INFO, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import capitalised, listed
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.seg._shared import SOURCE, TABLES, each_masks
from crlm_qc.subjects.columns import POSITION, SPACING
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.masks import Masks, Segment
from crlm_qc.subjects.placement import alignments
from crlm_qc.subjects.words import number, whole


@rule(
    "SEG021",
    "organ-cut-by-scan",
    WARNING,
    title="Liver or tumour reach the first or last slice of the CT",
    why="The organ goes on beyond the scan, so its volume is a lower bound. A liver whose dome or tip is cut is common, and a note; it is a warning where a good part of its largest area lies on the end slice, so that much of it is missing. Rows and columns are SEG010's, and masks that fit better elsewhere SEG013's.",
    fix="Leave the patient out of statistics on volumes, or fetch the slices that were cropped away.",
    source=SOURCE,
    tables=(*TABLES, "alignments"),
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("cut_fraction",),
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(out=("volumetry",), care=("lesion-counts",)),
)
def organ_cut_by_scan(context: Context) -> Checked:
    """Every object with a CT of one spacing: one finding for liver and tumours, by their area on the end slices."""
    limit = context.tolerances.cut_fraction

    def judge(masks: Masks) -> Iterable[Found]:
        ct = masks.dso.ct
        if ct is None or ct.stack is None or masks.dso.foreign or not masks.one_spacing or len(ct.stack.order) < 2:
            return
        # Masks that lie on the wrong slices reach an end that the organ does not (SEG013).
        placements = alignments(context)
        if any(one.best is not None for (path, _), one in placements.items() if path == masks.dso.path):
            return
        ends = [
            (segment, *end)
            for segment in masks.of(LIVER, TUMOUR)
            if masks.placed(segment) and not segment.piled
            for end in _ends(ct, segment)
        ]
        if not ends:
            return
        common = [ct.common(column) for column in SPACING]
        pixel = float("nan") if None in common else common[0] * common[1] / 100
        words = []
        for segment, place, name, voxels, share in ends:
            area = f" with {number(voxels * pixel, 1)} cm2" if pixel == pixel else ""
            file = ct.names(context, [place])[0]
            words.append(
                f"{segment.label} reaches the {name} slice {file}{area} ({number(100 * share, 0)}% of its largest area)"
            )
        severe = max(share for *_, share in ends) >= limit
        yield masks.dso.found(
            context,
            f"{capitalised(listed(words))}: the scan ends there.",
            "slices beyond both ends of liver and tumours",
            listed([f"{segment.label} on the {name} slice" for segment, _, name, *_ in ends]),
            count=len(ends),
            examples=words,
            severity=None if severe else INFO,
            places=ct.places([place for _, place, *_ in ends]),
        )

    return each_masks(context, judge)


def _ends(ct: CtSeries, segment: Segment) -> Iterator[tuple[int, str, int, float]]:
    """Ends of the CT that a segment reaches: the slice, its name, voxels on it, and their part of the widest slice's."""
    from crlm_qc.geometry.stack import ahead

    assert ct.stack is not None
    sign = ahead(ct.stack.normal)
    places = ct.stack.order[[0, -1] if sign > 0 else [-1, 0]].tolist()
    along = sign * (ct.slices.matrix(POSITION)[places] @ ct.stack.normal)
    upward = ct.slices["position_z"][places[1]] >= ct.slices["position_z"][places[0]]
    names = ("lowest", "highest") if upward else ("highest", "lowest")
    widest = whole(segment.row["voxels_widest"]) or 0
    for place, at, name, column, held in zip(
        places, along, names, ("along_min", "along_max"), ("voxels_first", "voxels_last"), strict=True
    ):
        voxels = whole(segment.row[held])
        if voxels and widest and abs(float(segment.row[column]) - float(at)) <= ct.stack.spacing / 2:
            yield place, name, voxels, voxels / widest
