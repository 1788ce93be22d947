"""What the object must hold, and what it says of itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.segmentation import MEASURES, OBJECT, SEGMENT
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rulebook.tally import tally
from crlm_qc.rules.dso._shared import OWN, REFERENCES, each_dso
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.masks import Masks, masks_of
from crlm_qc.subjects.words import text

_MOST_NAMED = 8


@rule(
    "DSO035",
    "object-attribute-missing",
    WARNING,
    title="An attribute that a segmentation object must hold is missing",
    why="Readers that need it refuse the object, or take a value that nobody wrote: without SliceThickness some assume 1 mm. Type 1 must have a value, type 2 must be there and may be empty; the types with a C hold here by what else the object says. Attributes that rules of their own ask for are told by these.",
    fix="Write the attribute, or let the software that makes the objects do so.",
    source="DICOM PS3.3 A.51 (Segmentation IOD) and the modules that it has; PS3.5 7.4 (types of attributes)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def attribute_missing(context: Context) -> Checked:
    """Every segmentation object, its segments, and frames that have a place in the patient."""
    types = {**OBJECT, **SEGMENT, **MEASURES}

    def judge(dso: Dso) -> Iterable[Found]:
        missing: dict[str, int] = json.loads(text(dso.row["missing"]) or "{}")
        if missing:
            words = [_lacking(dso, keyword, count, types.get(keyword, "1")) for keyword, count in missing.items()]
            message = f"{listed(words, _MOST_NAMED)} {are(len(words))} missing."
            observed = f"{plural(len(missing), 'attribute')} missing"
            yield dso.found(
                context, message, "what the modules of its class require", observed, count=len(missing), examples=words
            )

    return each_dso(context, judge)


def _lacking(dso: Dso, keyword: str, count: int, kind: str) -> str:
    """An attribute, its type, and how many lack it: `SegmentAlgorithmName (type 1C) of 3 segments`."""
    of, noun = (len(dso.declared), "segment") if keyword in SEGMENT else (len(dso.frames), "frame")
    where = "" if keyword in OBJECT else f" of all {noun}s" if count == of else f" of {plural(count, noun)}"
    return f"{keyword} (type {kind}){where}"


@rule(
    "DSO036",
    "overlap-denied",
    WARNING,
    title="SegmentsOverlap says NO, yet segments share voxels",
    why="Readers trust it and keep one label a voxel: of segments that lie in one another, all but the last are cut out. Segments whose frames lie elsewhere than they say (DSO011) are left alone.",
    fix="Write YES, or UNDEFINED if it was not looked at.",
    source="DICOM PS3.3 C.8.20.2 (Segments Overlap)",
    tables=(*OWN, "segment_pairs", "slices", "files"),
    scope=Scope.PATIENT,
    depth=Depth.MASKS,
    spoils=Spoils(care=("segmentation", "volumetry", "lesion-counts")),
)
def overlap_denied(context: Context) -> Checked:
    """Every object whose masks were measured; one that does not deny an overlap may have one."""

    def judge(masks: Masks) -> Iterable[Found]:
        if text(masks.dso.row["segments_overlap"]) != "NO":
            return
        by_number = {segment.number: segment for segment in masks.segments}
        shared = [
            (voxels, by_number[one], by_number[other])
            for (one, other), voxels in masks.overlaps.items()
            if one in by_number and other in by_number and masks.placed(by_number[one], by_number[other])
        ]
        if shared:
            shared.sort(key=lambda pair: (-pair[0], pair[1].number, pair[2].number))
            words = [f"{one.label} and {other.label} ({plural(voxels, 'voxel')})" for voxels, one, other in shared]
            pairs = f"{plural(len(shared), 'pair')} of segments {agree(len(shared), 'shares', 'share')} voxels"
            message = f"SegmentsOverlap is NO, and {pairs}: {listed(words)}."
            expected = "YES, or UNDEFINED"
            yield masks.dso.found(
                context, message, expected, "NO", column="SegmentsOverlap", count=len(shared), examples=words
            )

    return tally([(masks,) for masks in masks_of(context)], judge)


@rule(
    "DSO037",
    "instance-listed-twice",
    WARNING,
    title="An instance stands twice in the top-level list of references",
    why="What counts or fetches by the list takes the image twice: a stack of so many slices is expected that is not there.",
    fix="List each instance once, in the item of its series.",
    source=REFERENCES,
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=NOTHING,
)
def instance_listed_twice(context: Context) -> Checked:
    """Every object with a top-level list."""
    table = context["references"]
    rows = table[(table["level"] == "instance") & table["sop_instance_uid"].notna()]
    counts: dict[str, Counter[str]] = {}
    for dso, uid in zip(rows["dso"].tolist(), rows["sop_instance_uid"].tolist(), strict=True):
        counts.setdefault(dso, Counter())[uid] += 1

    def judge(dso: Dso) -> Iterable[Found]:
        twice = sorted(uid for uid, count in counts[dso.path].items() if count > 1)
        if twice:
            uids = [context.show.uid(uid) for uid in twice]
            stands = agree(len(uids), "stands", "stand")
            message = (
                f"{plural(len(uids), 'instance')} {stands} more than once in the list of references: {listed(uids)}."
            )
            yield dso.found(
                context,
                message,
                "each instance once",
                f"{len(uids)} more than once",
                column="ReferencedInstanceSequence",
                count=len(uids),
                examples=uids,
            )

    return each_dso(context, judge, lambda dso: len(counts.get(dso.path, ())))


_ROLES = {
    "sop_instance_uid": "SOPInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "study_uid": "StudyInstanceUID",
    "frame_of_reference_uid": "FrameOfReferenceUID",
}


@rule(
    "DSO038",
    "uid-of-two-things",
    ERROR,
    title="The object's UID names another kind of thing too",
    why="A UID names one thing in the world: where that of an object or series is a study's or a frame of reference's as well, archives and links lead to the one or the other. Two files of one SOP Instance UID are REL006's.",
    fix="Give the object or its series a UID of its own.",
    source="DICOM PS3.5 9 (Unique Identifiers), PS3.3 C.12.1.1.1 (SOP Instance UID)",
    tables=(*OWN, "files"),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("sharing",)),
)
def uid_of_two_things(context: Context) -> Checked:
    """The SOP Instance UID and Series Instance UID of every object, among the UIDs of all files."""
    files = context["files"]
    named = {column: frozenset(files[column].dropna()) for column in _ROLES}

    def judge(dso: Dso) -> Iterable[Found]:
        for column in ("sop_instance_uid", "series_uid"):
            uid = text(dso.row[column])
            others = [keyword for other, keyword in _ROLES.items() if other != column and uid in named[other]]
            # An object that is named like its own series is one finding.
            if column == "series_uid" and "SOPInstanceUID" in others and uid == text(dso.row["sop_instance_uid"]):
                continue
            if uid is not None and others:
                message = f"{_ROLES[column]} of the object is {listed(others)} too: {context.show.uid(uid)}."
                yield dso.found(
                    context, message, "a UID of its own", f"that of {listed(others)}", column=_ROLES[column]
                )

    return each_dso(context, judge)
