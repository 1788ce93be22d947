"""What the object refers to: series, instances, source images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.dso._shared import OWN, REFERENCES, WITH_CT, each_dso, each_on_its_ct
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.sources import sources_of
from crlm_qc.subjects.words import ranges, text, whole

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Flags


@rule(
    "DSO005",
    "no-referenced-series",
    ERROR,
    title="No Referenced Series Sequence",
    why="Viewers find the CT of a segmentation by this list and refuse an object without it.",
    fix="Write the Referenced Series Sequence with the CT series and its instances.",
    source=REFERENCES,
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "image-values")),
)
def no_referenced_series(context: Context) -> Checked:
    """Every segmentation object."""

    def judge(dso: Dso) -> Iterable[Found]:
        if not whole(dso.row["n_referenced_series"]):
            yield dso.found(context, "The object has no Referenced Series Sequence.", "one item", "none")

    return each_dso(context, judge)


@rule(
    "DSO006",
    "references-other-series",
    ERROR,
    title="The referenced series is not this patient's CT series",
    why="Tools load the referenced series under the mask: another patient's, or nothing. The object's geometry and instances are not compared with this patient's CT then.",
    fix="Find out which CT the object was drawn on, and correct the reference or move the file.",
    source=REFERENCES,
    tables=(*WITH_CT, "series", "metadata"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry", "lesion-counts", "clinical-pairing")),
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

    def judge(dso: Dso) -> Iterable[Found]:
        expected = " or ".join(context.show.uid(one.uid) for one in _candidates(dso))
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
            yield dso.found(context, message, expected, observed, column="ReferencedSeriesSequence")

    return each_dso(context, judge, lambda dso: len(_candidates(dso)) > 0)


def _candidates(dso: Dso) -> Sequence[CtSeries]:
    """The CT series that an object belongs to; where that can't be told, all that it may belong to."""
    return dso.choices if dso.ct is None else (dso.ct,)


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
    source=REFERENCES,
    tables=WITH_CT,
    scope=Scope.PATIENT,
    seen=Seen(reformat=Plane.CORONAL),
    spoils=Spoils(out=("completeness",), care=("segmentation", "volumetry", "image-values")),
)
def referenced_instance_missing(context: Context) -> Checked:
    """Every object with its CT: the instances of the top-level list."""
    there = frozenset(context["files"]["sop_instance_uid"].dropna())

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        missing = [uid for uid in dso.instances if uid not in there]
        if len(missing) > ct.unknown and not ct.framed:
            uids = [context.show.uid(uid) for uid in missing]
            message = f"{len(missing)} of {plural(len(dso.instances), 'referenced instance')} {are(len(missing))} not on disk."
            yield dso.found(
                context,
                message,
                "all referenced instances on disk",
                f"{len(missing)} missing",
                count=len(missing),
                examples=uids,
            )

    return each_on_its_ct(context, judge)


@rule(
    "DSO010",
    "source-not-listed",
    WARNING,
    title="A frame's source image is missing from the top-level list",
    why="Archives that fetch what the top-level list names fetch too little, and the frame has no slice under it (dcmqi issue 554). A missing list is DSO005's.",
    fix="Write the Referenced Instance Sequence from the source images of all frames.",
    source=f"{REFERENCES}; C.7.6.16.2.6",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(care=("segmentation",)),
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
        message = (
            f"{plural(len(uids), 'source image')} of {dso.frames_by_segment(context, frames)} {are(len(uids))} "
            "not in the top-level reference list."
        )
        yield dso.found(
            context,
            message,
            "every source image listed",
            f"{len(uids)} not listed",
            count=len(uids),
            examples=[context.show.uid(uid) for uid in uids],
            places=dso.first(frames),
        )

    return each_on_its_ct(context, judge)


@rule(
    "DSO031",
    "several-ct-series",
    ERROR,
    title="The object refers to several CT series of the patient",
    why="A mask is drawn on one series. With several of them, tools pick one, each its own; so does no check of this audit. Where most source images of the frames lie in one series, the object is compared with that (a warning); else it is compared with none, and what DSO002 to DSO014 would find is not known.",
    fix="Find out which CT the object was drawn on, and refer to that one alone.",
    source=f"{REFERENCES}; published description: one CT series a patient",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry", "clinical-pairing")),
)
def several_ct_series(context: Context) -> Checked:
    """Every object of patients who have a CT series."""

    def judge(dso: Dso) -> Iterable[Found]:
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
        yield dso.found(
            context,
            message,
            "one CT series",
            f"{count} CT series",
            column="ReferencedSeriesSequence",
            count=count,
            examples=uids,
            severity=None if dso.ct is None else WARNING,
        )

    return each_dso(context, judge, lambda dso: len(_candidates(dso)) > 0)


@rule(
    "DSO033",
    "reference-contradicts-image",
    WARNING,
    title="A reference contradicts the image that it names",
    why="Software finds the image by instance and class together, and gives up where the class is another; a frame number sends it to a frame that an image of one frame does not have. Images of another class than CT are CTS001's.",
    fix="Take ReferencedSOPClassUID from the image; leave ReferencedFrameNumber out for an image of one frame.",
    source="DICOM PS3.3 10.3 (Image SOP Instance Reference Macro: Referenced SOP Class UID, Referenced Frame Number)",
    tables=(*OWN, "files", "slices"),
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(care=("segmentation",)),
)
def reference_contradicts_image(context: Context) -> Checked:
    """Every reference, top-level or of a frame, to an image that is on disk."""
    images = _images(context)

    def judge(dso: Dso) -> Iterable[Found]:
        rows = _references_to(dso, images)
        yield from _misclassed(context, dso, rows, images)
        yield from _misframed(context, dso, rows, images)

    return each_dso(context, judge, lambda dso: _count_to(dso, images))


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
    counts = slices["number_of_frames"].fillna(1).astype("int64").tolist()
    frames: dict[str, int] = {}
    for uid, count in zip(slices["sop_instance_uid"].tolist(), counts, strict=True):
        if isinstance(uid, str) and count > 1:
            frames[uid] = max(count, frames.get(uid, 1))
    # Most images are alike, and one object says what they are.
    alike: dict[_Image, _Image] = {}
    images: dict[str, _Image] = {}
    for uid, sop_class in zip(files["sop_instance_uid"].tolist(), files["sop_class_uid"].tolist(), strict=True):
        if isinstance(uid, str):
            own = frozenset([sop_class] if isinstance(sop_class, str) else [])
            image = _Image(own | images[uid].classes if uid in images else own, frames.get(uid, 1))
            images[uid] = alike.setdefault(image, image)
    return images


def _count_to(dso: Dso, images: Mapping[str, _Image]) -> int:
    """How many references of an object are to images on disk."""
    columns = (dso.references[name].tolist() for name in ("level", "sop_instance_uid"))
    return sum(level != "series" and uid in images for level, uid in zip(*columns, strict=True))


def _references_to(dso: Dso, images: Mapping[str, _Image]) -> list[_Reference]:
    """References of an object to images on disk."""
    columns = (dso.references[name].tolist() for name in ("level", "frame", "sop_class_uid", "sop_instance_uid"))
    numbers = dso.references["frame_number"].tolist()
    return [
        _Reference(level, frame, sop_class, uid, number)
        for level, frame, sop_class, uid, number in zip(*columns, numbers, strict=True)
        if level != "series" and uid in images
    ]


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
        images_are = agree(len(wrong), "the image is", "the images are")
        message = f"ReferencedSOPClassUID of {_which(context, dso, wrong)} is {listed(own)}, and {images_are} of {listed(right)}."
        yield dso.found(
            context,
            message,
            listed(right),
            listed(own),
            column="ReferencedSOPClassUID",
            count=len(wrong),
            places=dso.first(_frames_of(dso, wrong)),
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
        images_have = agree(len(wrong), "the image has", "the images have")
        there = "one frame" if most == [1] else f"{ranges(most)} frames"
        yield dso.found(
            context,
            f"ReferencedFrameNumber of {_which(context, dso, wrong)} is {numbers}, and {images_have} {there}.",
            "none for an image of one frame" if most == [1] else f"1 to {most[-1]}",
            numbers,
            column="ReferencedFrameNumber",
            count=len(wrong),
            # The one frame that there is: said too often, and right all the same.
            severity=INFO if all(row.number == 1 for row in wrong) else None,
            places=dso.first(_frames_of(dso, wrong)),
        )


def _class_name(context: Context, uid: Any) -> str:
    """A SOP class in words: its UID, and its name if the profile has it."""
    names = {one: name for classes in context.profile.modalities.values() for one, name in classes.items()}
    shown = context.show.uid(text(uid))
    return f"{shown} ({names[uid]})" if uid in names else shown


def _frames_of(dso: Dso, rows: Iterable[_Reference]) -> Flags:
    """Frames that some references stand in."""
    import numpy as np

    return np.isin(dso.frames["frame"], [row.frame for row in rows if row.level == "frame"])


def _which(context: Context, dso: Dso, rows: Sequence[_Reference]) -> str:
    """References in words: `33 references of the top-level list and the source images of frames 1-28 (Liver)`."""
    top = sum(row.level == "instance" for row in rows)
    frames = _frames_of(dso, rows)
    words = [f"{plural(top, 'reference')} of the top-level list"] if top else []
    if frames.any():
        words.append(f"the source images of {dso.frames_by_segment(context, frames)}")
    return " and ".join(words)
