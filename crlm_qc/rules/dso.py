"""DSO: the segmentation object and its references."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from crlm_qc.model.finding import Found
from crlm_qc.model.profile import LIVER, REMNANT, TUMOUR, VESSEL
from crlm_qc.model.rule import Checked, Context, Skip, rule
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.rules._pairs import (
    ORIENTATION,
    POSITION,
    SPACING,
    CtSeries,
    Dso,
    dsos_of,
    measured,
    plane_differs,
    reach_of,
    sources_of,
    stack_of,
)
from crlm_qc.rules._words import directions, lengths, listed, number, plural, ranges, text, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

_IMAGE = "DICOM PS3.3 A.51 (Segmentation IOD), C.8.20.2 (Segmentation Image)"
_REFERENCES = "DICOM PS3.3 C.12.2 (Common Instance Reference)"
_DERIVATION = "DICOM PS3.3 C.7.6.16.2.6 (Derivation Image Macro)"
_GROUPS = "DICOM PS3.3 C.7.6.16 (Multi-frame Functional Groups)"
_SEGMENTS = "DICOM PS3.3 C.8.20.2 and C.8.20.4 (Segment Description Macro)"
_OWN = ("dsos", "frames", "segments", "references")
_WITH_CT = (*_OWN, "slices", "files")
_BINARY = "BINARY"
_TYPES = frozenset({_BINARY, "FRACTIONAL", "LABELMAP"})
_SEGMENT_POINTER, _POSITION_POINTER = "0062000B", "00200032"
_RETIRED = frozenset({"SRT", "SNM3", "99SDM"})
_SEXES = frozenset({"M", "F", "O"})


def _each(context: Context, judge: Callable[[Dso], Iterable[Found]]) -> Checked:
    """Every segmentation object."""
    dsos = dsos_of(context)
    return Checked(len(dsos), [found for dso in dsos for found in judge(dso)])


def _each_compared(context: Context, judge: Callable[[Dso, CtSeries], Iterable[Found]]) -> Checked:
    """Every segmentation object that there is a CT series for; where it can't be told which (DSO031), none is taken."""
    pairs = [(dso, dso.ct) for dso in dsos_of(context) if dso.ct is not None]
    return Checked(len(pairs), [found for dso, ct in pairs for found in judge(dso, ct)])


def _each_with_ct(context: Context, judge: Callable[[Dso, CtSeries], Iterable[Found]]) -> Checked:
    """Every segmentation object that there is a CT series for, and that refers to no other."""
    pairs = [(dso, dso.ct) for dso in dsos_of(context) if dso.ct is not None and not dso.foreign]
    return Checked(len(pairs), [found for dso, ct in pairs for found in judge(dso, ct)])


def _found(
    context: Context,
    dso: Dso,
    message: str,
    expected: str,
    observed: str,
    *,
    segment: int | None = None,
    column: str | None = None,
    count: int = 1,
    examples: Sequence[str] = (),
    severity: Severity | None = None,
) -> Found:
    subject = dso.subject(context, segment, column)
    return Found(subject, message, expected, observed, dso.patient, count, tuple(examples[:5]), severity)


@rule(
    "DSO001",
    "not-segmentation",
    ERROR,
    title="SOP class or Modality is not that of a segmentation",
    why="Viewers and archives choose how to read an object by these two.",
    fix="Write the object as Segmentation Storage with Modality SEG.",
    source="DICOM PS3.4 B.5 (storage SOP classes), PS3.3 C.8.20.1 (Segmentation Series)",
    tables=_OWN,
)
def not_segmentation(context: Context) -> Checked:
    """Every segmentation object."""
    classes = context.profile.modalities["SEG"]

    def judge(dso: Dso) -> Iterable[Found]:
        sop_class, modality = text(dso.row["sop_class_uid"]), text(dso.row["modality"])
        if sop_class not in classes:
            shown = context.show.uid(sop_class)
            message = f"SOPClassUID is {shown}, not that of a segmentation."
            yield _found(context, dso, message, " or ".join(classes.values()), shown, column="SOPClassUID")
        if modality != "SEG":
            shown = context.show.text(modality, {*context.profile.modalities, "OT", "SR", "MR", "RTSTRUCT"})
            yield _found(context, dso, f"Modality is {shown}, not SEG.", "SEG", shown, column="Modality")

    return _each(context, judge)


@rule(
    "DSO002",
    "image-size-differs",
    ERROR,
    title="Rows or Columns differ from the CT",
    why="A mask of another size does not cover the CT voxel by voxel: tools resample it silently or fail.",
    fix="Write the masks in the CT's matrix.",
    source=_IMAGE,
    tables=_WITH_CT,
)
def image_size_differs(context: Context) -> Checked:
    """Every object with its CT, by the size that most slices have."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        own = (whole(dso.row["rows"]), whole(dso.row["columns"]))
        theirs = (whole(ct.common("rows")), whole(ct.common("columns")))
        if None not in theirs and own != theirs:
            observed = " x ".join("missing" if value is None else str(value) for value in own)
            expected = f"{theirs[0]} x {theirs[1]}"
            yield _found(context, dso, f"The frames are {observed}, the CT slices {expected}.", expected, observed)

    return _each_with_ct(context, judge)


@rule(
    "DSO003",
    "frame-of-reference-differs",
    ERROR,
    title="FrameOfReferenceUID differs from the CT's",
    why="Positions of two frames of reference can't be compared, and viewers refuse to lay the mask over the CT.",
    fix="Give the object the CT's Frame of Reference UID, if the two were drawn on each other.",
    source="DICOM PS3.3 C.7.4.1.1.1 (Frame of Reference UID)",
    tables=_WITH_CT,
)
def frame_of_reference_differs(context: Context) -> Checked:
    """Every object with its CT."""
    return _identity(context, (("frame_of_reference_uid", "FrameOfReferenceUID"),))


@rule(
    "DSO004",
    "patient-or-study-differs",
    ERROR,
    title="PatientID or StudyInstanceUID differs from the CT's",
    why="The segmentation would be filed under another patient or study than the images it was drawn on.",
    fix="Find out whose it is, and correct the identifiers or move the file.",
    source="DICOM PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study)",
    tables=_WITH_CT,
)
def patient_or_study_differs(context: Context) -> Checked:
    """Every object with its CT."""
    return _identity(context, (("patient_id", "PatientID"), ("study_uid", "StudyInstanceUID")))


def _identity(context: Context, columns: Sequence[tuple[str, str]]) -> Checked:
    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        for column, keyword in columns:
            own, theirs = text(dso.row[column]), ct.common(column)
            if theirs is not None and own != theirs:
                show = context.show.patient if column == "patient_id" else context.show.uid
                # Values that may not be shown look alike.
                differ = show(own) != show(theirs)
                message = (
                    f"{keyword} is {show(own)}, the CT's {show(theirs)}." if differ else f"{keyword} is not the CT's."
                )
                yield _found(context, dso, message, show(theirs), show(own), column=keyword)

    return _each_compared(context, judge)


@rule(
    "DSO005",
    "no-referenced-series",
    ERROR,
    title="No Referenced Series Sequence",
    why="Viewers find the CT of a segmentation by this list and refuse an object without it.",
    fix="Write the Referenced Series Sequence with the CT series and its instances.",
    source=_REFERENCES,
    tables=_OWN,
)
def no_referenced_series(context: Context) -> Checked:
    """Every segmentation object."""

    def judge(dso: Dso) -> Iterable[Found]:
        if not whole(dso.row["n_referenced_series"]):
            yield _found(context, dso, "The object has no Referenced Series Sequence.", "one item", "none")

    return _each(context, judge)


@rule(
    "DSO006",
    "references-other-series",
    ERROR,
    title="The referenced series is not this patient's CT series",
    why="Tools load the referenced series under the mask: another patient's, or nothing. The object's geometry and instances are not compared with this patient's CT then.",
    fix="Find out which CT the object was drawn on, and correct the reference or move the file.",
    source=_REFERENCES,
    tables=(*_WITH_CT, "series", "metadata"),
)
def references_other_series(context: Context) -> Checked:
    """Every object with references, of patients who have a CT series."""
    owners = {
        str(uid): str(patient)
        for table in ("metadata", "series")
        for uid, patient in zip(context[table]["series_uid"], context[table]["patient"], strict=True)
        if isinstance(uid, str) and isinstance(patient, str)
    }
    own_series = {(text(patient), uid) for patient, uid in _ct_series(context)}
    examined = 0

    def judge(dso: Dso) -> Iterable[Found]:
        nonlocal examined
        compared = [dso.ct] if dso.ct is not None else list(dso.choices)
        if not compared:
            return
        examined += 1
        expected = " or ".join(context.show.uid(one.uid) for one in compared)
        for uid in dso.series:
            if (dso.patient, uid) in own_series:
                continue
            whose = owners.get(uid or "")
            if whose is not None and whose != dso.patient:
                what = f"a series of {whose}"
            else:
                what = "another series of this patient" if whose else "a series that is not in the release"
            message = f"The object refers to {what}, not to the patient's CT series."
            observed = f"{context.show.uid(uid)} ({what})"
            yield _found(context, dso, message, expected, observed, column="ReferencedSeriesSequence")

    findings = _each(context, judge).findings
    return Checked(examined, findings)


def _ct_series(context: Context) -> Iterator[tuple[Any, Any]]:
    slices = context["slices"][["patient", "series_uid"]].drop_duplicates()
    return zip(slices["patient"], slices["series_uid"], strict=True)


@rule(
    "DSO007",
    "referenced-instance-missing",
    ERROR,
    title="A referenced instance is not on disk",
    why="The CT slice that the mask was drawn on is not in the release. Silent where as many files of the CT folder can't be read (REL004) or repeat another slice (REL006).",
    fix="Fetch the missing slices, or correct the references.",
    source=_REFERENCES,
    tables=_WITH_CT,
)
def referenced_instance_missing(context: Context) -> Checked:
    """Every object with its CT: the instances of the top-level list."""
    there = context.once("sop instances", lambda: frozenset(context["files"]["sop_instance_uid"].dropna()))

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        missing = [uid for uid in dso.instances if uid not in there]
        if len(missing) > ct.unknown:
            uids = [context.show.uid(uid) for uid in missing]
            verb = "is" if len(missing) == 1 else "are"
            message = f"{len(missing)} of {plural(len(dso.instances), 'referenced instance')} {verb} not on disk."
            yield _found(
                context,
                dso,
                message,
                "all referenced instances on disk",
                f"{len(missing)} missing",
                count=len(missing),
                examples=uids,
            )

    return _each_with_ct(context, judge)


@rule(
    "DSO008",
    "frame-without-source",
    WARNING,
    title="A frame names no source image",
    why="Viewers that match frames to slices by source image drop the frame.",
    fix="Write the Derivation Image Sequence of every frame.",
    source=_DERIVATION,
    tables=_OWN,
)
def frame_without_source(context: Context) -> Checked:
    """Every frame of objects that say something of their frames."""

    def judge(dso: Dso) -> Iterable[Found]:
        lacking = dso.frames["n_sources"] == 0
        if dso.framed and lacking.any():
            count = int(lacking.sum())
            frames = dso.frames_by_segment(context, lacking)
            message = f"{count} of {plural(len(dso.frames), 'frame')} without a source image: {frames}."
            yield _found(context, dso, message, "a source image a frame", f"{count} without", count=count)

    dsos = dsos_of(context)
    return Checked(sum(len(dso.frames) for dso in dsos), _each(context, judge).findings)


@rule(
    "DSO009",
    "source-outside-ct",
    ERROR,
    title="A frame's source image is not in the CT series",
    why="The frame was drawn on an image that this patient's CT does not have. Silent where as many files of the CT folder can't be read (REL004), lie in another series (REL014), or repeat another slice (REL006).",
    fix="Correct the source image reference, or fetch the slice.",
    source=_DERIVATION,
    tables=_WITH_CT,
)
def source_outside_ct(context: Context) -> Checked:
    """Every object with its CT."""
    import numpy as np

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        outside = sources_of(context, dso).outside
        uids = sorted({uid for named in outside.values() for uid in named})
        if len(uids) <= ct.unknown:
            return
        chosen = np.zeros(len(dso.frames), dtype=bool)
        chosen[list(outside)] = True
        verb = "names" if len(outside) == 1 else "name"
        frames = dso.frames_by_segment(context, chosen)
        elsewhere = _owners(context, dso, uids)
        whose = f": {listed(elsewhere)}" if elsewhere else ""
        message = (
            f"{frames[0].upper()}{frames[1:]} {verb} {plural(len(uids), 'source image')} outside the CT series{whose}."
        )
        yield _found(
            context,
            dso,
            message,
            "source images of the patient's CT series",
            plural(len(uids), "other image"),
            count=len(outside),
            examples=[context.show.uid(uid) for uid in uids],
        )

    return _each_with_ct(context, judge)


def _owners(context: Context, dso: Dso, uids: Iterable[str]) -> list[str]:
    """Where images lie that are in the release, in words: `23 of another CT series of this patient (1.2.3)`."""
    table = context["slices"]
    whose: dict[str, tuple[str | None, str | None]] = context.once(
        "owners of slices",
        lambda: {
            uid: (text(patient), text(series))
            for uid, patient, series in zip(
                table["sop_instance_uid"], table["patient"], table["series_uid"], strict=True
            )
            if isinstance(uid, str)
        },
    )
    counts = Counter(whose[uid] for uid in uids if uid in whose)
    words = []
    for (patient, series), count in sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))):
        own = patient == dso.patient
        owner = "another CT series of this patient" if own else f"a CT series of {context.show.patient(patient)}"
        words.append(f"{count} of {owner} ({context.show.uid(series)})")
    return words


@rule(
    "DSO010",
    "source-not-listed",
    WARNING,
    title="A frame's source image is missing from the top-level list",
    why="Archives that fetch what the top-level list names fetch too little, and the frame has no slice under it (dcmqi issue 554). A missing list is DSO005's.",
    fix="Write the Referenced Instance Sequence from the source images of all frames.",
    source=f"{_REFERENCES}; C.7.6.16.2.6",
    tables=_WITH_CT,
)
def source_not_listed(context: Context) -> Checked:
    """Every object with its CT and with a top-level list."""
    import numpy as np

    def judge(dso: Dso, _: CtSeries) -> Iterable[Found]:
        if not whole(dso.row["n_referenced_series"]):
            return
        listed_instances = set(dso.instances)
        omitted = {frame: uid for frame, uid in dso.sources if uid is not None and uid not in listed_instances}
        if not omitted:
            return
        uids = sorted(set(omitted.values()))
        frames = np.isin(dso.frames["frame"], list(omitted))
        verb = "is" if len(uids) == 1 else "are"
        message = (
            f"{plural(len(uids), 'source image')} of {dso.frames_by_segment(context, frames)} {verb} "
            "not in the top-level reference list."
        )
        yield _found(
            context,
            dso,
            message,
            "every source image listed",
            f"{len(uids)} not listed",
            count=len(uids),
            examples=[context.show.uid(uid) for uid in uids],
        )

    return _each_with_ct(context, judge)


@rule(
    "DSO011",
    "frame-position-off-slice",
    ERROR,
    title="A frame lies elsewhere than its source slice",
    why="The mask is drawn on one slice and placed on another: tools that go by reference and tools that go by position disagree. What rounding and the jitter of the table explain is left alone, and so are frames on slices that CTS007, CTS009 or CTS010 name.",
    fix="Take each frame's ImagePositionPatient from its source slice, or correct the reference.",
    source=f"{_DERIVATION}; C.7.6.16.2.3 (Plane Position)",
    tables=_WITH_CT,
    tolerances=(
        "frame_along_fraction",
        "frame_in_plane_fraction",
        "position_mm",
        "spacing_mm",
        "spacing_fraction",
    ),
)
def frame_position_off_slice(context: Context) -> Checked:
    """Every frame with a source slice."""
    examined = 0

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        nonlocal examined
        sources = sources_of(context, dso)
        examined += int(sources.in_ct.sum())
        if not sources.elsewhere.any():
            return
        reach = reach_of(context, ct)
        places = sources.elsewhere.nonzero()[0].tolist()
        words = [_displacement(context, dso, ct, place) for place in places[:5]]
        frames = dso.frames_by_segment(context, sources.elsewhere)
        if len(places) == 1:
            message = words[0][0].upper() + words[0][1:] + "."
        else:
            message = f"{len(places)} frames lie elsewhere than their source slices: {frames}. For one, {words[0]}."
        away = [math.hypot(sources.along[place], sources.sideways[place]) for place in places]
        expected = (
            f"the source slice's position, within {number(reach.along)} mm along the normal and "
            f"{number(reach.in_plane)} mm in plane"
        )
        observed = f"up to {number(max(away))} mm away" if len(away) > 1 else f"{number(away[0])} mm away"
        yield _found(context, dso, message, expected, observed, count=len(places), examples=words)

    findings = _each_with_ct(context, judge).findings
    return Checked(examined, findings)


def _displacement(context: Context, dso: Dso, ct: CtSeries, place: int) -> str:
    """How a frame lies to its source slice: `frame 57 (Tumor_1) lies 2.5 mm (half a slice) below 1-031.dcm`."""
    import numpy as np

    sources, reach = sources_of(context, dso), reach_of(context, ct)
    along, sideways = float(sources.along[place]), float(sources.sideways[place])
    words = []
    if abs(along) > reach.along:
        spacing = float("nan") if ct.stack is None else ct.stack.spacing
        slices = f" ({_slices(abs(along) / spacing)})" if np.isfinite(spacing) else ""
        words.append(f"{number(abs(along))} mm{slices} {'above' if along > 0 else 'below'}")
    if sideways > reach.in_plane:
        words.append(f"{number(sideways)} mm sideways of")
    name = ct.names(context, [int(sources.slice[place])])[0]
    label = dso.label(context, dso.numbers[place])
    return f"frame {int(dso.frames['frame'][place])} ({label}) lies {' and '.join(words)} its source slice {name}"


def _slices(count: float) -> str:
    if abs(count - 0.5) < 0.02:
        return "half a slice"
    if abs(count - round(count)) < 0.02:
        return plural(round(count), "slice")
    return f"{number(count, 2)} slices"


@rule(
    "DSO012",
    "orientation-differs",
    ERROR,
    title="Orientation differs from the CT's",
    why="A mask whose rows and columns run in other directions than the CT's is mirrored or turned where it is laid on by index.",
    fix="Write the masks in the CT's orientation.",
    source="DICOM PS3.3 C.7.6.16.2.4 (Plane Orientation)",
    tables=_WITH_CT,
    tolerances=("direction",),
)
def orientation_differs(context: Context) -> Checked:
    """Every frame of objects whose CT has a valid orientation."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        if ct.stack is None or ct.orientation is None:
            return ()
        theirs = ct.orientation.tolist()
        return _plane_differs(
            context, dso, ORIENTATION, theirs, context.tolerances.direction, "ImageOrientationPatient"
        )

    return _each_with_ct(context, judge)


@rule(
    "DSO013",
    "pixel-spacing-differs",
    ERROR,
    title="PixelSpacing differs from the CT's",
    why="Volumes and diameters of the segments come out wrong, and the mask drifts off the anatomy towards the image's edge.",
    fix="Take PixelSpacing from the CT.",
    source="DICOM PS3.3 C.7.6.16.2.1 (Pixel Measures)",
    tables=_WITH_CT,
    tolerances=("pixel_spacing_mm",),
)
def pixel_spacing_differs(context: Context) -> Checked:
    """Every frame."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        common = [ct.common(column) for column in SPACING]
        if None in common:
            return ()
        return _plane_differs(context, dso, SPACING, common, context.tolerances.pixel_spacing_mm, "PixelSpacing")

    return _each_with_ct(context, judge)


def _plane_differs(
    context: Context,
    dso: Dso,
    columns: Sequence[str],
    theirs: Sequence[float],
    tolerance: float,
    keyword: str,
) -> Iterator[Found]:
    import numpy as np

    differs = plane_differs(dso, columns, theirs, tolerance)
    if not differs.any():
        return
    wrong = dso.frames.matrix(columns)[differs]
    show, unit = (lengths, " mm") if keyword == "PixelSpacing" else (directions, "")
    expected = show(theirs)
    observed = show(wrong[0]) if np.isfinite(wrong[0]).all() else _absent(dso, keyword)
    which = "all frames" if differs.all() else dso.frames_by_segment(context, differs)
    message = f"{keyword} of {which} is {observed}, the CT's {expected}."
    within = f"{expected}, within {number(tolerance, 6)}{unit}"
    yield _found(context, dso, message, within, observed, count=int(differs.sum()))


def _absent(dso: Dso, keyword: str) -> str:
    """Why an attribute of the functional groups has no value."""
    malformed = text(dso.row["malformed"])
    return "malformed" if malformed is not None and keyword in json.loads(malformed) else "missing"


@rule(
    "DSO014",
    "frame-off-lattice",
    ERROR,
    title="A frame lies off the CT's slices, or outside the CT",
    why="Such a frame meets no slice: it is dropped, or moved to a neighbour. Frames with a source slice in the CT are DSO011's; one whose source slice is not there (DSO007, DSO009) may lie in the gap or beyond the end, in whole steps.",
    fix="Take each frame's position from the slice that it was drawn on.",
    source="DICOM PS3.3 C.7.6.16.2.3 (Plane Position)",
    tables=_WITH_CT,
    tolerances=("position_mm", "lattice_fraction", "frame_in_plane_fraction"),
)
def frame_off_lattice(context: Context) -> Checked:
    """Every frame without a source slice in the CT, and every frame without a position."""
    examined = 0

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        nonlocal examined
        if ct.stack is None or not len(ct.stack.order) or not len(dso.frames):
            return
        examined += len(dso.frames)
        nowhere = (
            "without a position" if _absent(dso, "ImagePositionPatient") == "missing" else "with a malformed position"
        )
        unplaced, off, outside, words = _off_lattice(context, dso, ct, nowhere)
        parts = [
            f"{dso.frames_by_segment(context, chosen)} {what}"
            for chosen, what in (
                (unplaced, nowhere),
                (off, "off the lattice of the CT slices"),
                (outside, "outside the CT"),
            )
            if chosen.any()
        ]
        chosen = unplaced | off | outside
        if parts:
            count = int(chosen.sum())
            fraction = number(100 * context.tolerances.lattice_fraction)
            message = f"{parts[0][0].upper()}{'; '.join(parts)[1:]}."
            expected = f"on a slice of the CT, within {fraction}% of the slice spacing"
            examples = [words[place] for place in chosen.nonzero()[0].tolist()]
            yield _found(context, dso, message, expected, plural(count, "frame"), count=count, examples=examples)

    findings = _each_with_ct(context, judge).findings
    return Checked(examined, findings)


def _off_lattice(context: Context, dso: Dso, ct: CtSeries, nowhere: str) -> tuple[Flags, Flags, Flags, list[str]]:
    """Frames without a position, off the lattice, and outside of the stack; and where each lies, in words."""
    import numpy as np

    assert ct.stack is not None
    tolerances = context.tolerances
    points = dso.frames.matrix(POSITION)
    sources = sources_of(context, dso)
    index, sideways, along = ct.stack.index_of(points)
    _, from_plane = ct.stack.nearest_plane(points)
    spacing = ct.stack.spacing if np.isfinite(ct.stack.spacing) else 0.0
    slack = max(tolerances.position_mm, tolerances.lattice_fraction * spacing)
    unplaced = np.asarray(~np.isfinite(points).all(axis=1), dtype=bool)
    free = ~sources.in_ct & ~unplaced
    on_plane = np.minimum(np.abs(along), np.abs(from_plane)) <= slack
    in_plane = reach_of(context, ct).in_plane
    beside = sideways > in_plane
    off = free & (~on_plane | beside)
    named_elsewhere = np.zeros(len(points), dtype=bool)
    named_elsewhere[list(sources.outside)] = True
    last = ct.stack.last_index
    beyond = (np.round(index) < 0) | (np.round(index) > last)
    outside = free & ~off & beyond & ~named_elsewhere
    far_out = off & beyond & ~named_elsewhere & (np.abs(from_plane) > max(slack, spacing))
    words = [
        f"frame {int(frame)} {nowhere}"
        if not np.isfinite(point).all()
        else f"frame {int(frame)} at z {number(point[2])} mm, {number(abs(plane))} mm from the nearest slice"
        + (f" and {number(aside)} mm sideways" if aside > in_plane else "")
        for frame, point, plane, aside in zip(dso.frames["frame"], points, from_plane, sideways, strict=True)
    ]
    return unplaced, off & ~far_out, outside | far_out, words


@rule(
    "DSO015",
    "frame-count-differs",
    ERROR,
    title="NumberOfFrames differs from the per-frame items",
    why="Readers go by one or the other: frames are lost, or get another frame's segment and position. Without the sequence nothing is known of any frame, so the rules on frames (DSO008, DSO018, DSO019, DSO030) stay silent.",
    fix="Write the object again with one Per-Frame Functional Groups item a frame.",
    source=_GROUPS,
    tables=_OWN,
)
def frame_count_differs(context: Context) -> Checked:
    """Every segmentation object; a Label Map or binary object alike."""

    def judge(dso: Dso) -> Iterable[Found]:
        frames, items = whole(dso.row["number_of_frames"]), whole(dso.row["n_frame_items"])
        if frames is None or frames != items:
            shown = "missing" if frames is None else str(frames)
            there = "no Per-Frame Functional Groups Sequence" if items is None else plural(items, "per-frame item")
            message = f"NumberOfFrames is {shown}, and there {'is' if items in (None, 1) else 'are'} {there}."
            yield _found(context, dso, message, there, f"NumberOfFrames {shown}")

    return _each(context, judge)


@rule(
    "DSO016",
    "mask-data-length",
    ERROR,
    title="Pixel Data length differs from what the frames need",
    why="The last masks are cut off, or every frame after a surplus is shifted into the next. Silent where the length fits the per-frame items, so that NumberOfFrames alone is wrong (DSO015).",
    fix="Export the object again.",
    source="DICOM PS3.5 8.1.1 and D (bit-packed pixel data)",
    tables=_OWN,
)
def mask_data_length(context: Context) -> Checked:
    """Every object that is not compressed."""

    def judge(dso: Dso) -> Iterable[Found]:
        needed, found = whole(dso.row["pixel_bytes_expected"]), whole(dso.row["pixel_bytes_found"])
        if needed is None or found is None or found in (needed, _bytes_of_items(dso)):
            return
        frames = whole(dso.row["number_of_frames"]) or 0
        message = (
            f"Pixel Data holds {plural(found, 'byte')}, {plural(abs(found - needed), 'byte')} too "
            f"{'few' if found < needed else 'many'} for {plural(frames, 'frame')}."
        )
        yield _found(context, dso, message, plural(needed, "byte"), plural(found, "byte"))

    return _each(context, judge)


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


def _misnumbered(dso: Dso) -> bool:
    """Whether declared segment numbers are not 1..n; a label map may declare its background as 0."""
    numbers = sorted(whole(row["segment_number"]) or 0 for row in dso.declared)
    if dso.is_label_map and numbers[:1] == [0]:
        del numbers[0]
    return numbers != list(range(1, len(numbers) + 1))


@rule(
    "DSO017",
    "segment-numbers",
    ERROR,
    title="Segment numbers are not 1..n",
    why="The standard counts segments from 1 in steps of 1; tools that index by number read the wrong segment or none. Frames that still use the right number are part of this finding.",
    fix="Number the segments 1..n, in the Segment Sequence and in every frame.",
    source=f"{_SEGMENTS}: Segment Number (0062,0004)",
    tables=_OWN,
)
def segment_numbers(context: Context) -> Checked:
    """Every object with segments."""

    def judge(dso: Dso) -> Iterable[Found]:
        if not dso.declared or not _misnumbered(dso):
            return
        numbers = [whole(row["segment_number"]) for row in dso.declared]
        shown = listed(["none" if value is None else str(value) for value in numbers], 12)
        message = f"Segments are numbered {shown}, not 1 to {len(numbers)}."
        yield _found(context, dso, message, f"1 to {len(numbers)}", shown, count=len(numbers))

    return _each(context, judge)


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
    tables=_OWN,
)
def segment_undeclared(context: Context) -> Checked:
    """Every frame of objects that name one segment a frame."""
    import numpy as np

    examined = 0

    def judge(dso: Dso) -> Iterable[Found]:
        nonlocal examined
        if _many_segments_a_frame(dso) or not dso.framed:
            return
        examined += len(dso.frames)
        known = dso.declared_numbers
        numbers = dso.numbers
        several = dso.frames["n_segment_items"] > 1
        if several.any():
            frames = dso.frames_by_segment(context, several)
            verb = "names" if several.sum() == 1 else "name"
            message = f"{frames[0].upper()}{frames[1:]} {verb} several segments; only the first was taken."
            yield _found(
                context,
                dso,
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
        one = int(wrong.sum()) == 1
        frames = f"{'Frame' if one else 'Frames'} {ranges(dso.frames['frame'][wrong])}"
        verb = "names" if one else "name"
        expected = f"segments {ranges(known)}" if known else "declared segments"
        yield _found(context, dso, f"{frames} {verb} {what}.", expected, what, count=int(wrong.sum()))

    findings = _each(context, judge).findings
    return Checked(examined, findings)


def _many_segments_a_frame(dso: Dso) -> bool:
    """A label map holds all segments in each frame, which names none."""
    return dso.is_label_map and not dso.frames.present("segment_number").any()


@rule(
    "DSO019",
    "segment-empty",
    ERROR,
    title="A declared segment has no pixels",
    why="The label promises a structure that is not there. Frames that name an undeclared segment instead are DSO017's or DSO018's.",
    fix="Draw the structure, or take the segment out.",
    source=_SEGMENTS,
    tables=_OWN,
)
def segment_empty(context: Context) -> Checked:
    """Every declared segment: frames, and pixels where the masks were measured."""
    examined = 0

    def judge(dso: Dso) -> Iterable[Found]:
        nonlocal examined
        if not dso.framed:
            return
        examined += len(dso.declared)
        by_frame = not _many_segments_a_frame(dso)
        frameless = sum(row["n_frames"] == 0 for row in dso.declared)
        explained = frameless <= len(dso.undeclared)
        for row in dso.declared:
            value, frames = whole(row["segment_number"]), int(row["n_frames"])
            lost = by_frame and frames == 0
            # What is filled nowhere by half has pixels all the same: SEG020 says so.
            faint = float(row["fraction_max"]) > 0
            if (value == 0 and dso.is_label_map) or (lost and explained) or (faint and not lost):
                continue
            if lost or whole(row["voxels"]) == 0:
                label = dso.label(context, value)
                what = "no frame" if lost else f"{plural(frames, 'frame')} and no pixel"
                yield _found(context, dso, f"{label[0].upper()}{label[1:]} has {what}.", "pixels", what, segment=value)

    findings = _each(context, judge).findings
    return Checked(examined, findings)


@rule(
    "DSO020",
    "frame-twice",
    ERROR,
    title="Two frames for one segment at one position",
    why="Tools keep the first, the last, or the union: the mask depends on the reader. Frames that DSO011 names are left alone.",
    fix="Merge the two frames, or give the one its right segment or position.",
    source=_GROUPS,
    tables=_WITH_CT,
    tolerances=("position_mm",),
)
def frame_twice(context: Context) -> Checked:
    """Every frame with a segment and a position."""
    examined = 0

    def judge(dso: Dso) -> Iterable[Found]:
        nonlocal examined
        examined += len(dso.frames)
        doubled = _doubled(context, dso)
        if doubled:
            words = [
                f"frames {ranges(dso.frames['frame'][list(group)])} "
                f"({dso.label(context, dso.numbers[group[0]])}) {_whereabouts(context, dso, group[0])}"
                for group in doubled
            ]
            message = f"Several frames of one segment lie at one position: {listed(words)}."
            count = sum(len(group) for group in doubled)
            yield _found(
                context,
                dso,
                message,
                "one frame a segment and position",
                plural(count, "frame"),
                count=count,
                examples=words,
            )

    findings = _each(context, judge).findings
    return Checked(examined, findings)


def _whereabouts(context: Context, dso: Dso, place: int) -> str:
    """Where a frame lies: `on 1-07.dcm`, or its z if it has no source slice."""
    source = int(sources_of(context, dso).slice[place])
    if dso.ct is not None and source >= 0:
        return f"on {dso.ct.names(context, [source])[0]}"
    return f"at z {number(float(dso.frames['position_z'][place]))} mm"


def _doubled(context: Context, dso: Dso) -> list[tuple[int, ...]]:
    """Groups of frames of one segment at one position, by their place; frames off their source slice left out."""
    return context.once(("doubled", dso.path), lambda: _find_doubled(context, dso))


def _find_doubled(context: Context, dso: Dso) -> list[tuple[int, ...]]:
    import numpy as np

    points, numbers = dso.frames.matrix(POSITION), dso.numbers
    usable = np.isfinite(points).all(axis=1) & np.isfinite(numbers) & ~sources_of(context, dso).elsewhere
    places = usable.nonzero()[0]
    if not len(places):
        return []
    # Positions within the tolerance differ little along every axis, so neighbours in order along the axis on which
    # the frames spread most are enough to compare.
    axis = int(np.argmax(np.ptp(points[places], axis=0)))
    order = places[np.lexsort((points[places, axis], numbers[places]))]
    near = np.linalg.norm(np.diff(points[order], axis=0), axis=1) <= context.tolerances.position_mm
    same = near & (np.diff(numbers[order]) == 0)
    groups = np.split(order, np.flatnonzero(~same) + 1)
    return [tuple(sorted(int(place) for place in group)) for group in groups if len(group) > 1]


@rule(
    "DSO021",
    "segment-gap",
    WARNING,
    title="A segment's frames leave a gap along z",
    why="A structure that is drawn above and below a slice, and not on it, was mostly forgotten there. A slice that the CT lacks or that lies astray (CTS007, CTS009), and a frame that went to another segment or position (DSO018, DSO020), are no gap; two lesions under one label, may rightly leave one. So may the branches of a vessel, for which it is a note.",
    fix="Look at the slices of the gap, and draw the segment there if it is there.",
    source=_GROUPS,
    tables=_WITH_CT,
    tolerances=("position_mm", "lattice_fraction"),
)
def segment_gap(context: Context) -> Checked:
    """Every segment with two frames or more; objects whose frames and items do not agree (DSO015) are left alone."""
    examined = 0

    def judge(dso: Dso) -> Iterable[Found]:
        nonlocal examined
        if whole(dso.row["number_of_frames"]) != whole(dso.row["n_frame_items"]) or not len(dso.frames):
            return
        planes, names = _planes(context, dso)
        numbers = dso.numbers
        known = dso.declared_numbers
        lost = {int(planes[group[0]]) for group in _doubled(context, dso)}
        lost |= {int(plane) for plane, value in zip(planes, numbers, strict=True) if value not in known}
        lost |= _suspect_planes(dso)
        for value in sorted(set(numbers[(numbers == numbers) & (planes >= 0)].tolist())):
            own = set(planes[(numbers == value) & (planes >= 0)].tolist())
            if len(own) < 2:
                continue
            examined += 1
            gap = sorted(set(range(min(own), max(own))) - own - lost)
            if gap:
                label = dso.label(context, value)
                where = listed([names[plane] for plane in gap])
                message = f"{label[0].upper()}{label[1:]} has no frame on {plural(len(gap), 'slice')} between its first and last: {where}."
                yield _found(
                    context,
                    dso,
                    message,
                    "a frame on every slice from first to last",
                    f"{plural(len(gap), 'slice')} without",
                    segment=int(value),
                    count=len(gap),
                    examples=[names[plane] for plane in gap],
                    severity=INFO if _role(context, dso.labels.get(int(value))) == VESSEL else None,
                )

    findings = _each(context, judge).findings
    return Checked(examined, findings)


def _planes(context: Context, dso: Dso) -> tuple[Ints, dict[int, str]]:
    """The plane that each frame belongs to, counted along the normal over planes that are there; and names of planes.

    The CT's slices are the planes, by source image first and by position where there is none; without a CT the
    positions of all frames are. -1 for a frame that lies on no plane.
    """
    import numpy as np

    from crlm_qc.geometry.stack import unit_normal

    points = dso.frames.matrix(POSITION)
    ct = None if dso.foreign else dso.ct
    if ct is not None and ct.stack is not None and len(ct.stack.order):
        stack = ct.stack
        planes, away = stack.nearest_plane(points)
        spacing = stack.spacing if np.isfinite(stack.spacing) else 0.0
        slack = max(context.tolerances.position_mm, context.tolerances.lattice_fraction * spacing)
        planes = np.where(np.abs(away) <= slack, planes, -1)
        source = sources_of(context, dso).slice
        placed = np.isin(source, stack.order)
        planes[placed] = stack.plane_of(source[placed])
        ranks = stack.plane_of(stack.order)
        names = dict(zip(ranks.tolist(), ct.names(context, stack.order.tolist()), strict=True))
        return planes, names
    axes = dso.frames.matrix(ORIENTATION)[0]
    if not np.isfinite(unit_normal(axes[:3], axes[3:])).all():
        return np.full(len(points), -1, dtype=np.int64), {}
    own, _ = stack_of(context, points, axes)
    planes = np.full(len(points), -1, dtype=np.int64)
    if own is None:
        return planes, {}
    planes[own.order] = own.plane_of(own.order)
    names = {int(planes[place]): f"z {number(points[place, 2])} mm" for place in own.order.tolist()}
    return planes, names


def _suspect_planes(dso: Dso) -> set[int]:
    """Planes of slices whose own position is at fault, so that they may lie among other slices than they should."""
    if dso.ct is None or dso.ct.stack is None or dso.ct.stack.sheared:
        return set()
    return set(dso.ct.stack.plane_of(sorted(dso.ct.suspect)).tolist())


@rule(
    "DSO022",
    "not-binary",
    WARNING,
    title="Segmentation type or encoding other than published",
    why="The published objects are BINARY and uncompressed; many readers can't open fractional, label map or compressed ones. They are read all the same where that can be done.",
    fix="Export the object as BINARY in Explicit VR Little Endian.",
    source="DICOM PS3.3 C.8.20.2 (Segmentation Type); published description",
    tables=_OWN,
)
def not_binary(context: Context) -> Checked:
    """Every segmentation object."""
    published = context.profile.published.transfer_syntax_uid

    def judge(dso: Dso) -> Iterable[Found]:
        kind, syntax = text(dso.row["segmentation_type"]), text(dso.row["transfer_syntax_uid"])
        bits = whole(dso.row["bits_allocated"])
        words, expected = [], []
        if kind != _BINARY:
            words.append(f"SegmentationType {context.show.text(kind, _TYPES)}")
            expected.append(f"SegmentationType {_BINARY}")
        elif bits not in (None, 1):
            words.append(f"BitsAllocated {bits}")
            expected.append("BitsAllocated 1")
        if None not in (syntax, published) and syntax != published:
            words.append(f"TransferSyntaxUID {context.show.uid(syntax)}")
            expected.append(f"TransferSyntaxUID {published}")
        if words:
            yield _found(context, dso, f"The object has {' and '.join(words)}.", "; ".join(expected), "; ".join(words))

    return _each(context, judge)


@rule(
    "DSO023",
    "dimension-index-contradicts",
    WARNING,
    title="DimensionIndexValues contradict positions or segments",
    why="Viewers order frames by their dimension indices: the frames of a segment come in the wrong order, or under the wrong segment. They are required in every frame where the Dimension Index Sequence has items. Frames that DSO011, DSO018 or DSO020 name are left alone.",
    fix="Write the indices anew from segment numbers and positions.",
    source="DICOM PS3.3 C.7.6.17 (Multi-frame Dimension), C.7.6.16.2.2 (Frame Content Macro: Dimension Index Values)",
    tables=_WITH_CT,
)
def dimension_index_contradicts(context: Context) -> Checked:
    """Every object with a Dimension Index Sequence, and with items for its frames (else DSO015)."""
    examined = 0

    def judge(dso: Dso) -> Iterable[Found]:
        nonlocal examined
        pointers = json.loads(text(dso.row["dimension_pointers"]) or "[]")
        if not pointers or not dso.framed or not len(dso.frames):
            return
        examined += 1
        if not dso.frames.present("dimension_index").any():
            message = (
                f"No frame has DimensionIndexValues, and the object declares {plural(len(pointers), 'dimension')}."
            )
            expected = f"{plural(len(pointers), 'index', 'indices')} a frame"
            yield _found(context, dso, message, expected, "none", count=len(dso.frames))
            return
        wrong, words = _index_contradictions(context, dso, pointers)
        if wrong.any():
            message = f"DimensionIndexValues of {dso.frames_by_segment(context, wrong)} {' and '.join(words)}."
            expected = "one index a segment, and indices that rise or fall with the position"
            yield _found(context, dso, message, expected, plural(int(wrong.sum()), "frame"), count=int(wrong.sum()))

    findings = _each(context, judge).findings
    return Checked(examined, findings)


def _index_contradictions(context: Context, dso: Dso, pointers: list[str]) -> tuple[Flags, list[str]]:
    """Frames whose indices contradict what they index, and how."""
    import numpy as np

    n = len(dso.frames)
    wrong = np.zeros(n, dtype=bool)
    values = [json.loads(value) if isinstance(value, str) else [] for value in dso.frames["dimension_index"].tolist()]
    length = np.array([len(value) for value in values])
    if (length != len(pointers)).any():
        return length != len(pointers), [f"do not count {plural(len(pointers), 'dimension')}"]
    index = np.array(values, dtype=np.float64).reshape(n, len(pointers))
    numbers = dso.numbers
    usable = ~sources_of(context, dso).elsewhere & np.isin(numbers, list(dso.declared_numbers))
    usable[[place for group in _doubled(context, dso) for place in group]] = False
    words = []
    if _SEGMENT_POINTER in pointers:
        chosen = _not_one_to_one(numbers, index[:, pointers.index(_SEGMENT_POINTER)], usable)
        if chosen.any():
            words.append("contradict their segments")
            wrong |= chosen
    if _POSITION_POINTER in pointers:
        chosen = _out_of_step(dso, index[:, pointers.index(_POSITION_POINTER)], usable)
        if chosen.any():
            words.append("contradict their positions")
            wrong |= chosen
    return wrong, words


def _not_one_to_one(numbers: npt.NDArray[np.float64], index: npt.NDArray[np.float64], usable: Flags) -> Flags:
    """Frames whose segment mostly has another index, or whose index mostly another segment."""
    import numpy as np

    wrong = np.zeros(len(numbers), dtype=bool)
    for keys, values in ((numbers, index), (index, numbers)):
        for key in np.unique(keys[usable]):
            own = usable & (keys == key)
            counts = Counter(values[own].tolist())
            common = min(counts, key=lambda value: (-counts[value], value))
            wrong |= own & (values != common)
    return wrong


def _out_of_step(dso: Dso, index: npt.NDArray[np.float64], usable: Flags) -> Flags:
    """Frames whose index is not in the order of positions within their segment."""
    import numpy as np

    from crlm_qc.geometry.stack import unit_normal

    wrong = np.zeros(len(index), dtype=bool)
    if not len(index):
        return wrong
    axes = dso.frames.matrix(ORIENTATION)[0]
    along = dso.frames.matrix(POSITION) @ unit_normal(axes[:3], axes[3:])
    usable = usable & np.isfinite(along)
    numbers = dso.numbers
    groups = []
    rising = 0
    for value in np.unique(numbers[usable]):
        places = (usable & (numbers == value)).nonzero()[0]
        places = places[np.argsort(along[places], kind="stable")]
        groups.append(places)
        rising += int(np.sign(np.diff(index[places])).sum())
    for places in groups:
        steps = np.diff(index[places]) * (1 if rising >= 0 else -1)
        bad = steps <= 0
        wrong[places[:-1][bad]] = True
        wrong[places[1:][bad]] = True
    return wrong


@rule(
    "DSO024",
    "label-unknown",
    WARNING,
    title="Segment label outside the vocabulary",
    why="People select segments by label; one that is spelt otherwise is lost to them, and to the checks of this audit.",
    fix="Use a label of the collection's vocabulary, which the finding names.",
    source="published description: segments; DICOM PS3.3 C.8.20.4 (Segment Label)",
    tables=_OWN,
)
def label_unknown(context: Context) -> Checked:
    """Every declared segment; case, separators and spellings that the profile's patterns allow are forgiven."""
    vocabulary = ", ".join(dict.fromkeys(term.label for term in context.profile.segments))

    def judge(dso: Dso) -> Iterable[Found]:
        for row in dso.declared:
            label = text(row["label"])
            if label is None or context.profile.term(label) is None:
                value = whole(row["segment_number"])
                if value == 0 and dso.is_label_map:
                    continue
                shown = context.show.text(label)
                message = f"The label of segment {value} is not in the vocabulary ({shown})."
                yield _found(context, dso, message, vocabulary, shown, segment=value)

    checked = _each(context, judge)
    return Checked(sum(len(dso.declared) for dso in dsos_of(context)), checked.findings)


def _labels(dso: Dso) -> list[str]:
    return [label for row in dso.declared if (label := text(row["label"])) is not None]


def _role(context: Context, label: str | None) -> str | None:
    return None if label is None else context.profile.role(label)


@rule(
    "DSO025",
    "liver-or-tumour-missing",
    ERROR,
    title="A segment that every object has is missing",
    why="The published description has these structures in every patient; without one the object can't be used as described.",
    fix="Add the segment, or correct its label.",
    source="published description: structures present in 100% of the patients",
    tables=_OWN,
)
def liver_or_tumour_missing(context: Context) -> Checked:
    """Every object with a Segment Sequence."""
    required = [term for term in context.profile.segments if term.required]
    if not required:
        raise Skip("the profile requires no segment")
    expected = ", and ".join(f"{term.named(1)} or more" if term.numbered else term.label for term in required)

    def judge(dso: Dso) -> Iterable[Found]:
        present = [context.profile.term(label) for label in _labels(dso)]
        lacking = [term.stem for term in required if term not in present]
        if lacking:
            message = f"The object has no segment {' and no segment '.join(lacking)}."
            observed = f"no {', no '.join(lacking)}"
            yield _found(context, dso, message, expected, observed)

    return _each(context, judge)


@rule(
    "DSO026",
    "label-twice",
    WARNING,
    title="A label twice, or tumours not numbered 1..k",
    why="Which of the two is meant can't be told, and a missing number looks like a tumour that was lost.",
    fix="Number the tumours 1..k, and give each segment a label of its own.",
    source="published description: labels of the segments; DICOM PS3.3 C.8.20.4 (Segment Label)",
    tables=_OWN,
)
def label_twice(context: Context) -> Checked:
    """Every object with a Segment Sequence; a lone tumour needs no number."""

    def judge(dso: Dso) -> Iterable[Found]:
        labels = _labels(dso)
        plain = Counter(_same_label(context, label) for label in labels)
        twice = [name for name, count in plain.items() if count > 1]
        numbers = [context.profile.number(label) for label in labels if _role(context, label) == TUMOUR]
        words = []
        if twice:
            shown = [
                context.show.text(name, {term.label for term in context.profile.segments} | _tumours(context, labels))
                for name in twice
            ]
            words.append(f"{listed(sorted(shown))} {'stands' if len(twice) == 1 else 'stand'} in several segments")
        complete = sorted(value or 0 for value in numbers) == list(range(1, len(numbers) + 1))
        repeated_tumour = any(_role(context, name) == TUMOUR for name in twice)
        if numbers and not complete and numbers != [None] and not repeated_tumour:
            found = listed(["none" if value is None else str(value) for value in numbers])
            words.append(f"tumours are numbered {found}, not 1 to {len(numbers)}")
        if words:
            message = f"{words[0][0].upper()}{words[0][1:]}" + (f", and {words[1]}." if len(words) > 1 else ".")
            yield _found(
                context, dso, message, "each label once, tumours 1 to k", "; ".join(words), count=max(1, len(twice))
            )

    return _each(context, judge)


def _same_label(context: Context, label: str) -> str:
    """One spelling of a label: that of the vocabulary if it is in it."""
    term = context.profile.term(label)
    if term is None:
        return label.strip().casefold()
    return term.named(context.profile.number(label))


def _tumours(context: Context, labels: Iterable[str]) -> set[str]:
    return {_same_label(context, label) for label in labels if _role(context, label) == TUMOUR}


_TYPE_CODES = {
    "liver": frozenset({"10200004", "T-62000", "R-1002D", "181268008", "446526009"}),
    "vein": frozenset(
        {
            "29092000",
            "T-48000",
            "8993003",
            "T-48720",
            "32764006",
            "T-48810",
            "59820001",
            "T-40000",
            "113253006",
            "T-48700",
        }
    ),
    "mass": frozenset(
        {
            "4147007",
            "M-03000",
            "108369006",
            "M-80000",
            "M-80003",
            "M-80006",
            "M-01000",
            "49755003",
            "52988006",
            "14799000",
            "86049000",
        }
    ),
}
"""Codes of SNOMED CT, and of its retired form SRT, that stand for each kind of structure."""
_TYPE_WORDS = {
    "liver": ("liver", "hepatic remnant"),
    "vein": ("vein", "vessel", "venous", "vascula"),
    "mass": ("mass", "tumor", "tumour", "neoplas", "lesion", "metasta", "carcinoma", "malignan"),
}
_KIND_OF_ROLE = {LIVER: "liver", REMNANT: "liver", VESSEL: "vein", TUMOUR: "mass"}
_TYPE_MEANINGS = frozenset(
    {"Liver", "Vein", "Mass", "Tissue", "Portal vein", "Hepatic vein", "Blood vessel", "Neoplasm", "Lesion"}
)


def _kind_of_type(code: str | None, meaning: str | None) -> str | None:
    """What a property type stands for, by its code and else by its meaning."""
    for kind, codes in _TYPE_CODES.items():
        if code in codes:
            return kind
    lower = (meaning or "").casefold()
    return next((kind for kind in ("vein", "mass", "liver") if any(word in lower for word in _TYPE_WORDS[kind])), None)


@rule(
    "DSO027",
    "property-type-contradicts",
    WARNING,
    title="Coded property type contradicts the label, or is missing",
    why="Software goes by the code, people by the label; where they differ, one of the two picks the wrong structure.",
    fix="Code a liver and its parts as Liver, vessels as Vein, tumours as Mass.",
    source="DICOM PS3.3 C.8.20.4 (Segmented Property Type Code Sequence), PS3.16 CID 7151 and following",
    tables=_OWN,
)
def property_type_contradicts(context: Context) -> Checked:
    """Every declared segment."""

    def judge(dso: Dso) -> Iterable[Found]:
        for row in dso.declared:
            value = whole(row["segment_number"])
            code, meaning = text(row["type_code"]), text(row["type_meaning"])
            wanted = _KIND_OF_ROLE.get(_role(context, text(row["label"])) or "")
            expected = f"a property type for {wanted}" if wanted else "a property type"
            label = dso.label(context, value)
            if code is None:
                if value != 0:
                    yield _found(
                        context,
                        dso,
                        f"{label[0].upper()}{label[1:]} has no coded property type.",
                        expected,
                        "none",
                        segment=value,
                    )
            elif wanted is not None and _kind_of_type(code, meaning) != wanted:
                shown = context.show.text(meaning, _TYPE_MEANINGS)
                message = f"The property type of {label} is that of another structure ({shown})."
                yield _found(context, dso, message, expected, shown, segment=value)

    checked = _each(context, judge)
    return Checked(sum(len(dso.declared) for dso in dsos_of(context)), checked.findings)


@rule(
    "DSO028",
    "coding-scheme-retired",
    INFO,
    title="Retired coding scheme in use",
    why="SRT codes were replaced by SNOMED CT codes; newer software may not know them.",
    fix="Nothing for published objects; write SCT codes into new ones.",
    source="DICOM PS3.16 8.1 (SNOMED), PS3.3 8.1 (Code Value)",
    tables=_OWN,
)
def coding_scheme_retired(context: Context) -> Checked:
    """Every object with a Segment Sequence."""

    def judge(dso: Dso) -> Iterable[Found]:
        used = {
            whole(row["segment_number"]): {row["category_scheme"], row["type_scheme"]} & _RETIRED
            for row in dso.declared
        }
        numbers = [value for value, schemes in used.items() if schemes and value is not None]
        schemes = sorted(set().union(*used.values())) if used else []
        if schemes:
            what = "Segment" if len(numbers) == 1 else "Segments"
            message = f"{what} {ranges(numbers)} coded in the retired scheme {listed(schemes)}."
            yield _found(context, dso, message, "SCT", listed(schemes), count=max(1, len(numbers)))

    return _each(context, judge)


@rule(
    "DSO029",
    "sex-or-age-differs",
    WARNING,
    title="SEG and CT disagree on PatientSex or PatientAge",
    why="Both describe one patient at one examination; a difference means that one of the two is another patient's, or was edited.",
    fix="Take both from the CT, once it is sure that the object belongs to it.",
    source="DICOM PS3.3 C.7.1.1 (Patient), C.7.2.2 (Patient Study)",
    tables=_WITH_CT,
)
def sex_or_age_differs(context: Context) -> Checked:
    """Every object with its CT, where both have a value."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        for column, keyword in (("patient_sex", "PatientSex"), ("patient_age", "PatientAge")):
            own, theirs = text(dso.row[column]), text(ct.common(column))
            if own is not None and theirs is not None and own != theirs:
                known = _SEXES if column == "patient_sex" else {value for value in (own, theirs) if _is_age(value)}
                shown = context.show.text(own, known), context.show.text(theirs, known)
                message = f"{keyword} is {shown[0]}, the CT's {shown[1]}."
                yield _found(context, dso, message, shown[1], shown[0], column=keyword)

    return _each_compared(context, judge)


def _is_age(value: str) -> bool:
    """Whether text is an Age String (PS3.5 6.2) up to 89 years, which is the oldest age that may be told."""
    return len(value) == 4 and value[:3].isdecimal() and value[3] == "Y" and int(value[:3]) <= 89


@rule(
    "DSO030",
    "frame-empty",
    INFO,
    title="A frame holds no pixel",
    why="It does no harm, but the published objects have frames only where their segment has pixels. A segment that is empty as a whole is DSO019's.",
    fix="Leave empty frames out when the object is next written.",
    source=_GROUPS,
    tables=_OWN,
    depth=Depth.MASKS,
)
def frame_empty(context: Context) -> Checked:
    """Every frame of objects whose masks were measured."""
    import numpy as np

    def judge(dso: Dso) -> Iterable[Found]:
        blank = [value for row in dso.declared if whole(row["voxels"]) == 0 and (value := whole(row["segment_number"]))]
        empty = (dso.frames["voxels"] == 0) & ~np.isin(dso.numbers, blank)
        if dso.framed and empty.any():
            count = int(empty.sum())
            frames = dso.frames_by_segment(context, empty)
            message = f"{frames[0].upper()}{frames[1:]} {'holds' if count == 1 else 'hold'} no pixel."
            yield _found(context, dso, message, "a pixel or more a frame", plural(count, "empty frame"), count=count)

    dsos = measured(context)
    return Checked(sum(len(dso.frames) for dso in dsos), [found for dso in dsos for found in judge(dso)])


@rule(
    "DSO031",
    "several-ct-series",
    ERROR,
    title="The object refers to several CT series of the patient",
    why="A mask is drawn on one series. With several of them, tools pick one, each its own; so does no check of this audit. Where most source images of the frames lie in one series, the object is compared with that (a warning); else it is compared with none, and what DSO002 to DSO014 would find is not known.",
    fix="Find out which CT the object was drawn on, and refer to that one alone.",
    source=f"{_REFERENCES}; published description: one CT series a patient",
    tables=_WITH_CT,
)
def several_ct_series(context: Context) -> Checked:
    """Every object of patients who have a CT series."""
    examined = 0

    def judge(dso: Dso) -> Iterable[Found]:
        nonlocal examined
        examined += dso.ct is not None or bool(dso.choices)
        count = len(dso.choices)
        if count < 2:
            return
        uids = [context.show.uid(one.uid) for one in dso.choices]
        named = {one.uid for one in dso.choices} & set(dso.series)
        if named or dso.ct is not None:
            message = f"The object refers to {count} CT series of this patient: {listed(uids)}."
        else:
            message = f"The object refers to no CT series, and this patient has {count}: {listed(uids)}."
        if dso.ct is None:
            message += " Which one it was drawn on can't be told, so it was compared with none."
        else:
            most = len(sources_of(context, dso).in_ct.nonzero()[0])
            message += (
                f" It was compared with {context.show.uid(dso.ct.uid)}, where the source images of {most} of "
                f"{plural(len(dso.frames), 'frame')} lie."
            )
        yield _found(
            context,
            dso,
            message,
            "one CT series",
            f"{count} CT series",
            column="ReferencedSeriesSequence",
            count=count,
            examples=uids,
            severity=None if dso.ct is None else WARNING,
        )

    findings = _each(context, judge).findings
    return Checked(examined, findings)


@rule(
    "DSO032",
    "slice-spacing-differs",
    WARNING,
    title="SpacingBetweenSlices or SliceThickness contradict the CT",
    why="Readers that go by these numbers and not by positions stretch or squash the mask along z, and compute wrong volumes. Both may be absent. SliceThickness may be the CT's own, or the slice spacing, as dcmqi writes it.",
    fix="Write the distance of the CT's slices, from their positions, or leave the attribute out.",
    source="DICOM PS3.3 C.7.6.16.2.1 (Pixel Measures: Spacing Between Slices, not negative; Slice Thickness)",
    tables=_WITH_CT,
    tolerances=("spacing_mm", "spacing_fraction"),
)
def slice_spacing_differs(context: Context) -> Checked:
    """Every object that gives one of the two in any Pixel Measures item, shared or of a frame, and whose CT has a slice spacing."""
    examined = 0

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        nonlocal examined
        spacing = float("nan") if ct.stack is None else ct.stack.spacing
        slack = 0.0 if ct.stack is None else ct.stack.tolerance
        thickness = sorted(set(ct.slices["slice_thickness"][ct.slices.present("slice_thickness")].tolist()))
        allowed = {
            "SpacingBetweenSlices": ("spacing_between_slices", [spacing]),
            "SliceThickness": ("slice_thickness", [spacing, *thickness]),
        }
        malformed = json.loads(text(dso.row["malformed"]) or "[]")
        given = False
        for keyword, (column, right) in allowed.items():
            found = _wrong_lengths(context, dso, keyword, column, right, slack, malformed=keyword in malformed)
            given = given or keyword in malformed or bool(dso.frames.present(column).any())
            if found is not None:
                yield found
        examined += given

    findings = _each_with_ct(context, judge).findings
    return Checked(examined, findings)


def _wrong_lengths(
    context: Context,
    dso: Dso,
    keyword: str,
    column: str,
    right: Sequence[float],
    slack: float,
    *,
    malformed: bool,
) -> Found | None:
    """A finding where a length of the Pixel Measures is not above 0, or none of the right ones."""
    import numpy as np

    known = [value for value in right if np.isfinite(value)]
    expected = f"{listed([f'{number(value)} mm' for value in dict.fromkeys(known)])}, within {number(slack)} mm"
    values = dso.frames[column]
    wrong = dso.frames.present(column) & ~(values > 0)
    if known and np.isfinite(right[0]):
        away = np.abs(values[:, None] - np.array(known)[None, :]).min(axis=1)
        wrong |= away > slack
    if wrong.any():
        shown = listed([f"{number(value)} mm" for value in np.unique(values[wrong]).tolist()])
        which = "all frames" if wrong.all() else dso.frames_by_segment(context, wrong)
        theirs = f"the CT's slices are {number(right[0])} mm apart" if np.isfinite(right[0]) else "a length is above 0"
        message = f"{keyword} of {which} is {shown}, and {theirs}."
        expected = expected if np.isfinite(right[0]) else "above 0 mm"
        return _found(context, dso, message, expected, shown, column=keyword, count=int(wrong.sum()))
    if malformed:
        return _found(context, dso, f"{keyword} is malformed.", "a length in mm", "malformed", column=keyword)
    return None


@rule(
    "DSO033",
    "reference-contradicts-image",
    WARNING,
    title="A reference contradicts the image that it names",
    why="Software finds the image by instance and class together, and gives up where the class is another; a frame number sends it to a frame that an image of one frame does not have. Images of another class than CT are CTS001's.",
    fix="Take ReferencedSOPClassUID from the image; leave ReferencedFrameNumber out for an image of one frame.",
    source="DICOM PS3.3 10.3 (Image SOP Instance Reference Macro: Referenced SOP Class UID, Referenced Frame Number)",
    tables=(*_OWN, "files", "slices"),
)
def reference_contradicts_image(context: Context) -> Checked:
    """Every reference, top-level or of a frame, to an image that is on disk."""
    images = context.once("referenced images", lambda: _images(context))
    rows = _references_to(context, images)

    def judge(dso: Dso) -> Iterable[Found]:
        own = rows.get(dso.path, ())
        yield from _misclassed(context, dso, own, images)
        yield from _misframed(context, dso, own, images)

    findings = _each(context, judge).findings
    return Checked(sum(map(len, rows.values())), findings)


class _Reference(NamedTuple):
    """A reference to an image."""

    level: str
    frame: float
    sop_class: Any
    uid: str
    number: float
    """ReferencedFrameNumber, NaN if there is none."""


class _Image(NamedTuple):
    """What is known of an image on disk."""

    classes: frozenset[str]
    """Its SOP class; several if two files have its SOP Instance UID (REL006), none if it is missing (CTS019)."""
    frames: int


def _images(context: Context) -> dict[str, _Image]:
    """Every file that has a SOP Instance UID."""
    files, slices = context["files"], context["slices"]
    classes: dict[str, set[str]] = {}
    for uid, sop_class in zip(files["sop_instance_uid"].tolist(), files["sop_class_uid"].tolist(), strict=True):
        if isinstance(uid, str):
            classes.setdefault(uid, set()).update([sop_class] if isinstance(sop_class, str) else [])
    counts = slices["number_of_frames"].fillna(1).astype("int64").tolist()
    frames: dict[str, int] = {}
    for uid, count in zip(slices["sop_instance_uid"].tolist(), counts, strict=True):
        if isinstance(uid, str):
            frames[uid] = max(1, count, frames.get(uid, 1))
    return {uid: _Image(frozenset(found), frames.get(uid, 1)) for uid, found in classes.items()}


def _references_to(context: Context, images: Mapping[str, _Image]) -> dict[str, list[_Reference]]:
    """References of each object to images on disk."""
    table = context["references"]
    columns = [table[name].tolist() for name in ("dso", "level", "sop_class_uid", "sop_instance_uid")]
    numbers = [table[name].astype("float64").tolist() for name in ("frame", "frame_number")]
    rows: dict[str, list[_Reference]] = {}
    for dso, level, sop_class, uid, frame, number_of_frame in zip(*columns, *numbers, strict=True):
        if level != "series" and uid in images:
            rows.setdefault(dso, []).append(_Reference(level, frame, sop_class, uid, number_of_frame))
    return rows


def _misclassed(
    context: Context, dso: Dso, rows: Iterable[_Reference], images: Mapping[str, _Image]
) -> Iterator[Found]:
    classes = context.profile.modalities["CT"]
    wrong = []
    for row in rows:
        theirs = images[row.uid].classes
        # An image that is no CT is CTS001's, and the object is right.
        excused = row.sop_class in classes and not theirs & set(classes)
        if theirs and row.sop_class not in theirs and not excused:
            wrong.append(row)
    if wrong:
        own = sorted({_class_name(context, row.sop_class) for row in wrong})
        right = sorted({_class_name(context, one) for row in wrong for one in images[row.uid].classes})
        are = "the image is" if len(wrong) == 1 else "the images are"
        message = (
            f"ReferencedSOPClassUID of {_which(context, dso, wrong)} is {listed(own)}, and {are} of {listed(right)}."
        )
        yield _found(
            context, dso, message, listed(right), listed(own), column="ReferencedSOPClassUID", count=len(wrong)
        )


def _misframed(context: Context, dso: Dso, rows: Iterable[_Reference], images: Mapping[str, _Image]) -> Iterator[Found]:
    wrong = [
        row
        for row in rows
        if row.number == row.number and (images[row.uid].frames == 1 or not 1 <= row.number <= images[row.uid].frames)
    ]
    if wrong:
        numbers = ranges(row.number for row in wrong)
        most = sorted({images[row.uid].frames for row in wrong})
        have = "the image has" if len(wrong) == 1 else "the images have"
        there = "one frame" if most == [1] else f"{ranges(most)} frames"
        yield _found(
            context,
            dso,
            f"ReferencedFrameNumber of {_which(context, dso, wrong)} is {numbers}, and {have} {there}.",
            "none for an image of one frame" if most == [1] else f"1 to {most[-1]}",
            numbers,
            column="ReferencedFrameNumber",
            count=len(wrong),
            # The one frame that there is: said too often, and right all the same.
            severity=INFO if all(row.number == 1 for row in wrong) else None,
        )


def _class_name(context: Context, uid: Any) -> str:
    """A SOP class in words: its UID, and its name if the profile has it."""
    names = {one: name for classes in context.profile.modalities.values() for one, name in classes.items()}
    shown = context.show.uid(text(uid))
    return f"{shown} ({names[uid]})" if uid in names else shown


def _which(context: Context, dso: Dso, rows: Sequence[_Reference]) -> str:
    """References in words: `33 references of the top-level list and the source images of frames 1-28 (Liver)`."""
    import numpy as np

    top = sum(row.level == "instance" for row in rows)
    frames = np.isin(dso.frames["frame"], [row.frame for row in rows if row.level == "frame"])
    words = [f"{plural(top, 'reference')} of the top-level list"] if top else []
    if frames.any():
        words.append(f"the source images of {dso.frames_by_segment(context, frames)}")
    return " and ".join(words)
