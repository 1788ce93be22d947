"""The shape of a mask: pieces, specks, holes, borders."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.collection.profile import LIVER, TUMOUR, VESSEL
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import INFO, WARNING
from crlm_qc.model.sight import At, Seen, Small
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.seg._shared import SOURCE, TABLES, each_liver, each_masks, each_segment, ml
from crlm_qc.subjects.masks import Masks, Segment
from crlm_qc.subjects.needs import need_role
from crlm_qc.subjects.words import number, whole


@rule(
    "SEG008",
    "liver-in-pieces",
    WARNING,
    title="The liver is in pieces",
    why="A liver is one organ; a large second piece is another organ, or the mask misses a slice.",
    fix="Look at the pieces of the mask.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("liver_pieces_fraction",),
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def liver_in_pieces(context: Context) -> Checked:
    """Every liver: face-connected components. Of segments that exclude each other (SEG018), all together."""
    limit = context.tolerances.liver_pieces_fraction

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        columns = ("largest_component", "components", "voxels")
        together = masks.parts if masks.exclusive else []
        if together:
            columns = ("union_largest", "union_components", "union_voxels")
        largest, components, voxels = (whole(liver.row[column]) for column in columns)
        if (
            not masks.one_spacing
            or largest is None
            or components is None
            or not voxels
            or not masks.placed(liver, *together)
        ):
            return
        apart = 1 - largest / voxels
        if apart > limit:
            share = f"{number(100 * (1 - apart), 1)}%"
            message = f"The liver is in {plural(components, 'piece')}; the largest holds {share} of it."
            expected = f"at least {number(100 * (1 - limit))}% in one piece"
            yield liver.found(context, message, expected, share, count=components)

    return each_liver(context, judge)


@rule(
    "SEG009",
    "specks",
    INFO,
    title="Specks: components of under 10 voxels",
    why="Slips of the brush hardly change a volume, but they do change counts of lesions and surface distances.",
    fix="Remove them when the mask is next edited.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(),
    spoils=Spoils(care=("lesion-counts",)),
)
def specks(context: Context) -> Checked:
    """Every segment but the vessels, which rightly come in small pieces, and a liver that others are cut out of (SEG018)."""

    def judge(_: Masks, segment: Segment) -> Iterable[Found]:
        count = whole(segment.row["specks"]) or 0
        if count:
            message = f"{segment.label} has {plural(count, 'component')} of under 10 voxels."
            yield segment.found(context, message, "none", str(count), count=count)

    def examined(masks: Masks, segment: Segment) -> bool:
        cut = segment.role == LIVER and masks.exclusive
        return segment.role != VESSEL and not cut and masks.placed(segment) and masks.one_spacing

    return each_segment(context, judge, examined)


@rule(
    "SEG010",
    "mask-at-border",
    WARNING,
    title="A mask touches the image border",
    why="The organ goes on beyond the image, so its volume is too small; or the mask was shifted.",
    fix="Look whether the field of view cuts the organ.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(At.LIVER),
    spoils=Spoils(care=("volumetry",)),
)
def mask_at_border(context: Context) -> Checked:
    """Every object: one finding for all its segments that touch a border."""

    def judge(masks: Masks) -> Iterable[Found]:
        rows, columns = whole(masks.dso.row["rows"]), whole(masks.dso.row["columns"])
        if rows is None or columns is None:
            return
        words = []
        for segment in masks.segments:
            edges = (
                ("first row", "row_min", 0),
                ("last row", "row_max", rows - 1),
                ("first column", "column_min", 0),
                ("last column", "column_max", columns - 1),
            )
            touched = [name for name, column, at in edges if whole(segment.row[column]) == at]
            if touched:
                words.append(f"{segment.label} ({', '.join(touched)})")
        if words:
            message = f"{plural(len(words), 'segment')} {agree(len(words), 'touches', 'touch')} the image border: {listed(words)}."
            expected, observed = "a margin around every segment", listed(words)
            yield masks.dso.found(context, message, expected, observed, count=len(words), examples=words)

    return each_masks(context, judge)


@rule(
    "SEG015",
    "tumour-on-one-slice",
    INFO,
    title="A tumour is on one slice only",
    why="A small lesion may be; but a volume and a diameter along z from one slice say little.",
    fix="Look whether the lesion goes on in the neighbouring slices.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    seen=Seen(),
    spoils=Spoils(care=("volumetry",)),
)
def tumour_on_one_slice(context: Context) -> Checked:
    """Every tumour, but for those whose frames lie on top of each other (DSO011, DSO020)."""
    need_role(context, TUMOUR)

    def judge(_: Masks, tumour: Segment) -> Iterable[Found]:
        if whole(tumour.row["n_planes"]) == 1:
            message = f"{tumour.label} is on one slice only."
            yield tumour.found(context, message, "two slices or more", "1", places=[Small(tumour.number)])

    return each_segment(context, judge, lambda _, segment: segment.role == TUMOUR and not segment.piled)


@rule(
    "SEG016",
    "liver-holes",
    WARNING,
    title="Holes in the liver",
    why="What the liver encloses and no segment fills was left out by a slip: its volume is too small.",
    fix="Fill the holes, or draw what is in them as a segment.",
    source=SOURCE,
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    tolerances=("liver_hole_ml",),
    seen=Seen(),
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def liver_holes(context: Context) -> Checked:
    """Every liver whose holes were measured: in 3-D, not connected to the outside."""
    limit = context.tolerances.liver_hole_ml

    def judge(masks: Masks, liver: Segment) -> Iterable[Found]:
        voxels = whole(liver.row["hole_voxels"])
        if voxels is None or not masks.placed(liver) or not masks.one_spacing:
            return
        volume = voxels * liver.volume / liver.voxels
        if volume > limit:
            message = f"The liver encloses holes of {ml(volume)} that no segment fills."
            yield liver.found(context, message, f"at most {ml(limit)}", ml(volume), count=voxels)

    return each_liver(context, judge)
