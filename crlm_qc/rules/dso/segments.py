"""Segments: their numbers, and whether they hold anything."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import agree, capitalised, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.dso._shared import OWN, SEGMENTS, each_dso
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.words import ranges, whole


def _misnumbered(dso: Dso) -> bool:
    """Whether declared segments are not numbered 1..n one after another; those of a label map must differ, and no more."""
    numbers = [whole(row["segment_number"]) for row in dso.declared]
    if dso.is_label_map:
        return None in numbers or len(set(numbers)) < len(numbers)
    return numbers != list(range(1, len(numbers) + 1))


@rule(
    "DSO017",
    "segment-numbers",
    ERROR,
    title="Segment numbers are not 1..n",
    why="The segments of a BINARY or FRACTIONAL object count from 1 in steps of 1, in the order of the Segment Sequence; tools that index by number read the wrong segment or none. The numbers of a label map may leave gaps, and none may stand twice. Frames that still use the right number are part of this finding.",
    fix="Number the segments 1..n, in the Segment Sequence and in every frame.",
    source=f"{SEGMENTS}: Segment Number (0062,0004)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "lesion-counts"), care=("volumetry",)),
)
def segment_numbers(context: Context) -> Checked:
    """Every object with segments."""

    def judge(dso: Dso) -> Iterable[Found]:
        if not dso.declared or not _misnumbered(dso):
            return
        numbers = [whole(row["segment_number"]) for row in dso.declared]
        shown = listed(["none" if value is None else str(value) for value in numbers], 12)
        expected = "each number once" if dso.is_label_map else f"1 to {len(numbers)}"
        if set(numbers) == set(range(1, len(numbers) + 1)):
            expected += " in this order"
        yield dso.found(context, f"Segments are numbered {shown}, not {expected}.", expected, shown, count=len(numbers))

    return each_dso(context, judge)


def _only_numbered_wrong(dso: Dso) -> bool:
    """Whether wrong numbers in the Segment Sequence explain frames of undeclared segments."""
    empty = sum(row["n_frames"] == 0 for row in dso.declared)
    return _misnumbered(dso) and 0 < len(dso.undeclared) <= empty


@rule(
    "DSO018",
    "segment-undeclared",
    ERROR,
    title="A frame names a segment that is not declared, or several segments",
    why="Nobody can tell what the frame's mask shows. If the Segment Sequence is misnumbered, DSO017 says so. Of several segments the first is taken for every other check.",
    fix="Declare the segment, or correct the frame's Segment Identification Sequence, which has one item.",
    source="DICOM PS3.3 C.8.20.3.1 (Segment Identification Macro)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts")),
)
def segment_undeclared(context: Context) -> Checked:
    """Every frame of objects that name one segment a frame."""
    import numpy as np

    def judge(dso: Dso) -> Iterable[Found]:
        known = dso.declared_numbers
        numbers = dso.numbers
        several = dso.frames["n_segment_items"] > 1
        if several.any():
            frames = dso.frames_by_segment(context, several)
            verb = agree(several.sum(), "names", "name")
            message = f"{capitalised(frames)} {verb} several segments; only the first was taken."
            yield dso.found(
                context,
                message,
                "one segment a frame",
                "several",
                column="SegmentIdentificationSequence",
                count=int(several.sum()),
            )
        wrong = ~np.isin(numbers, list(known))
        if not wrong.any() or (_only_numbered_wrong(dso) and not np.isnan(numbers).any()):
            return
        undeclared = sorted({int(value) for value in numbers[wrong].tolist() if value == value})
        what = f"segment {ranges(undeclared)}, which is not declared" if undeclared else "no segment"
        frames = ranges(dso.frames["frame"][wrong])
        names = agree(wrong.sum(), f"Frame {frames} names", f"Frames {frames} name")
        expected = f"segments {ranges(known)}" if known else "declared segments"
        yield dso.found(context, f"{names} {what}.", expected, what, count=int(wrong.sum()))

    return each_dso(
        context, judge, lambda dso: len(dso.frames) if dso.framed and not _many_segments_a_frame(dso) else 0
    )


def _many_segments_a_frame(dso: Dso) -> bool:
    """A label map holds all segments in each frame, which names none."""
    return dso.is_label_map and not dso.frames.present("segment_number").any()


@rule(
    "DSO019",
    "segment-empty",
    ERROR,
    title="A declared segment has no pixels",
    why="The label promises a structure that is not there. Frames that name an undeclared segment instead, or none, are DSO017's or DSO018's.",
    fix="Draw the structure, or take the segment out.",
    source=SEGMENTS,
    tables=OWN,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts")),
)
def segment_empty(context: Context) -> Checked:
    """Every declared segment: frames, and pixels where the masks were measured."""
    import numpy as np

    def judge(dso: Dso) -> Iterable[Found]:
        by_frame = not _many_segments_a_frame(dso)
        frameless = sum(row["n_frames"] == 0 for row in dso.declared)
        # A frame that names no segment (DSO018) may be any segment's.
        explained = frameless <= len(dso.undeclared) + int(np.isnan(dso.numbers).sum())
        for row in dso.declared:
            value, frames = whole(row["segment_number"]), int(row["n_frames"])
            lost = by_frame and frames == 0
            # What is filled nowhere by half has pixels all the same: SEG020 says so.
            faint = float(row["fraction_max"]) > 0
            if dso.is_background(row) or (lost and explained) or (faint and not lost):
                continue
            if lost or whole(row["voxels"]) == 0:
                label = dso.label(context, value)
                what = "no frame" if lost else f"{plural(frames, 'frame')} and no pixel"
                yield dso.found(context, f"{capitalised(label)} has {what}.", "pixels", what, segment=value)

    return each_dso(context, judge, lambda dso: len(dso.declared) if dso.framed else 0)
