"""Which masks lie in which: tumours in the liver, overlaps, one mask twice."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import At, Outside, Seen, Shared
from crlm_qc.model.words import are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.seg._shared import SOURCE, TABLES, each_liver, each_masks, ml, ml_between
from crlm_qc.subjects.masks import Masks, Segment, apart
from crlm_qc.subjects.needs import need_role
from crlm_qc.subjects.words import number

_DRAWN_AGAIN = 0.5
"""Part of the larger of two tumours from which on they are told as one lesion that is drawn twice."""


@rule(
    "SEG005",
    "tumour-outside-liver",
    WARNING,
    title="A tumour lies outside the liver",
    why="Tumours of the liver lie in it, and its mask includes them; an error where a tumour lies wholly outside. Frames that lie elsewhere than their slices are DSO011's, frames without a place DSO014's. Where the segments exclude each other (SEG018), only a tumour that touches neither the liver nor what lies in it is told.",
    fix="Look at the tumour's and the liver's masks.",
    source="published description: the tumours segmented are those of the liver",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("tumour_outside_fraction",),
    seen=Seen(),
    spoils=Spoils(care=("segmentation", "volumetry", "lesion-counts")),
)
def tumour_outside_liver(context: Context) -> Checked:
    """Every tumour of objects with one liver."""
    need_role(context, LIVER, TUMOUR)
    limit = context.tolerances.tumour_outside_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        for tumour in masks.of(TUMOUR):
            if masks.exclusive and not apart(tumour):
                continue
            inside = masks.overlap(liver, tumour)
            outside = 1 - inside / tumour.voxels
            if outside > limit and masks.placed(liver, tumour):
                share = f"{number(100 * outside, 1)}%"
                where = "wholly outside the liver" if inside == 0 else f"outside the liver by {share} of its voxels"
                expected = f"at most {number(100 * limit)}% outside"
                yield tumour.found(
                    context,
                    f"{tumour.label} lies {where}.",
                    expected,
                    f"{share} outside",
                    severity=ERROR if inside == 0 else None,
                    places=[Outside(tumour.number, liver.number)],
                )

    return each_liver(context, judge)


@rule(
    "SEG006",
    "tumours-overlap",
    WARNING,
    title="Two tumour segments overlap",
    why="A lesion was drawn twice, or a voxel is counted for two: counts and volumes of tumours come out too large. Identical segments are SEG014's.",
    fix="Give each voxel to one tumour, or remove the second drawing.",
    source="published description; public users of the collection leave such patients out",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(),
    spoils=Spoils(out=("lesion-counts",), care=("segmentation", "volumetry")),
)
def tumours_overlap(context: Context) -> Checked:
    """Every pair of tumours of one object; not of one whose segments exclude each other (SEG018)."""
    need_role(context, TUMOUR)

    def judge(masks: Masks) -> Iterable[Found]:
        for one, other in combinations(masks.of(TUMOUR), 2):
            shared = masks.overlap(one, other)
            if shared and not masks.identical(one, other) and masks.placed(one, other):
                message = _overlap(one, other, shared)
                yield other.found(
                    context,
                    message,
                    "no voxel in two tumours",
                    plural(shared, "voxel"),
                    count=shared,
                    places=[Shared(one.number, other.number)],
                )

    return each_masks(context, judge)


def _overlap(one: Segment, other: Segment, shared: int) -> str:
    """What two tumours share, and what that makes of the smaller."""
    less, more = sorted((one, other), key=lambda segment: segment.voxels)
    of_all = f"{shared:,} of its {plural(less.voxels, 'voxel')}"
    if shared >= _DRAWN_AGAIN * more.voxels:
        return f"{less.label} is drawn again as {more.label} ({of_all}): one lesion counts as two."
    if shared == less.voxels:
        return f"{less.label} lies in {more.label} (all of its {plural(shared, 'voxel')}): they count twice."
    share = number(100 * shared / less.voxels, 1)
    return f"{one.label} and {other.label} share {plural(shared, 'voxel')} ({share}% of the smaller)."


@rule(
    "SEG007",
    "remnant-contradicts",
    WARNING,
    title="The future remnant leaves the liver, is not smaller than it, or holds tumour",
    why="The remnant is the part of the liver that stays after resection: inside the liver, smaller, and free of the tumours. Not told where the segments exclude each other (SEG018).",
    fix="Look at the remnant's mask.",
    source="published description: the remnant is the planned future liver remnant",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("remnant_outside_fraction",),
    seen=Seen(),
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def remnant_contradicts(context: Context) -> Checked:
    """Every remnant of objects with one liver; one identical to another segment is SEG014's."""
    need_role(context, LIVER, REMNANT)
    limit = context.tolerances.remnant_outside_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        for remnant in masks.of(REMNANT):
            if masks.exclusive or masks.identical(liver, remnant) or not masks.placed(liver, remnant):
                continue
            words, places = [], []
            outside = 1 - masks.overlap(liver, remnant) / remnant.voxels
            if outside > limit:
                words.append(f"{number(100 * outside, 1)}% outside the liver")
                places.append(Outside(remnant.number, liver.number))
            if remnant.voxels >= liver.voxels:
                words.append(f"{ml(remnant.volume)}, the liver {ml(liver.volume)}")
            held = [
                (shared, tumour)
                for tumour in masks.of(TUMOUR)
                if (shared := masks.overlap(remnant, tumour)) and masks.placed(tumour)
            ]
            words += [f"{plural(shared, 'voxel')} of {tumour.label}" for shared, tumour in held]
            shares = [Shared(remnant.number, tumour.number) for _, tumour in held]
            if words:
                expected = f"inside the liver (at most {number(100 * limit)}% outside), smaller, without tumour"
                observed = "; ".join(words)
                yield remnant.found(
                    context,
                    f"{remnant.label}: {observed}.",
                    expected,
                    observed,
                    count=len(words),
                    examples=words,
                    places=[*shares, *places],
                )

    return each_liver(context, judge)


@rule(
    "SEG014",
    "segments-identical",
    ERROR,
    title="Two segments are identical",
    why="One of the two labels stands for a mask that was lost or written twice.",
    fix="Find the mask that is missing, or remove the second segment.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts")),
)
def segments_identical(context: Context) -> Checked:
    """Every pair of segments of one object."""

    def judge(masks: Masks) -> Iterable[Found]:
        for one, other in combinations(masks.segments, 2):
            if masks.identical(one, other):
                message = f"{one.label} and {other.label} hold the same {plural(one.voxels, 'voxel')}."
                places = [Shared(one.number, other.number)]
                yield other.found(context, message, "a mask of its own", f"that of {one.label}", places=places)

    return each_masks(context, judge)


@rule(
    "SEG018",
    "segments-exclude-each-other",
    WARNING,
    title="One label a voxel: what lies in the liver is cut out of it",
    why="The published masks overlap by design: the liver contains remnant, tumours and much of the vessels. A label map, or an object that a tool with one label a voxel wrote, can't keep that: its liver is too small by whatever lies in it, tumours drawn over each other or over vessels are lost in part, and volumes, overlaps and Dice scores are not those of the published masks. Rules on the liver's volume and place look at all of them together.",
    fix="Publish a BINARY object with a mask of its own for each segment, made from the masks as drawn: adding the labels up again gives the liver back, but not what they hid of each other.",
    source="published description: segments overlap; DICOM PS3.3 C.8.20.2 (Segmentation Type LABELMAP: one segment a pixel)",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(At.LIVER),
    spoils=Spoils(out=("volumetry", "lesion-counts"), care=("segmentation",)),
)
def segments_exclude_each_other(context: Context) -> Checked:
    """Every object with one liver, and with segments that lie in it: whether any two share a voxel."""
    need_role(context, LIVER)

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        if not masks.exclusive:
            return
        least, most = masks.volumes(liver)
        how = "as a label map does" if masks.dso.is_label_map else "though a BINARY object could keep more"
        labels = listed([part.label for part in masks.parts])
        message = (
            f"No two segments share a voxel: the object keeps one label a voxel, {how}, so that {labels} "
            f"{are(len(masks.parts))} cut out of the liver."
        )
        if least == least:
            message += (
                f" The liver has {ml(liver.volume)} as stored, {ml_between(least, most)} with what fills its holes."
            )
        expected = "segments that overlap: the liver contains remnant, tumours and vessels"
        yield masks.dso.found(context, message, expected, f"none of {len(masks.parts) + 1} segments overlap")

    return each_liver(context, judge, lambda masks, _: len(masks.parts) > 0)
