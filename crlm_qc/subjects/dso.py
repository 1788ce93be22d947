"""Segmentation objects as the rules look at them, each with its CT.

What several rules need to know of one another stands here too, so that one fault is not told by all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.series import Meant, OwnSeries
from crlm_qc.model.finding import MAX_EXAMPLES, Found, Kind, Subject
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Frame, Place
from crlm_qc.model.tables import TOO_LARGE
from crlm_qc.model.words import agree, listed
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.columns import Columns, rows_of
from crlm_qc.subjects.ct import CtSeries, series_of, undecoded
from crlm_qc.subjects.turned import as_the_ct
from crlm_qc.subjects.words import folder_of, ranges, text, whole

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Flags, Floats


@dataclass(frozen=True, eq=False)
class Dso:
    """One segmentation object, and the CT series that it belongs to."""

    patient: str | None
    path: str
    row: Mapping[str, Any]
    """Its row of `dsos`."""
    frames: Columns
    """Its rows of `frames`, in the order of frame numbers, as they were if they were stored in the CT's directions."""
    stored: Columns
    """The same rows as they are, for whoever reads the masks themselves."""
    segments: tuple[Mapping[str, Any], ...]
    """Its rows of `segments`."""
    series: tuple[str | None, ...]
    """Series that its top-level list names."""
    instances: tuple[str, ...]
    """Instances that its top-level list names, each once."""
    references: Columns
    """Its rows of `references`."""
    ct: CtSeries | None
    """The patient's CT series; of several (REL009), the one that it refers to. None if there is none (REL008), or if it
    can't be told which (DSO031)."""
    choices: tuple[CtSeries, ...]
    """CT series of the patient that it refers to, by its top-level list or else by source images of its frames; all of
    them if it refers to no series at all. Of more than one (DSO031), `ct` is the one that most source images lie in."""
    foreign: bool
    """Whether it refers to other series alone (DSO006), so that comparing it with this CT means little."""
    transposed: bool = False
    """Whether its rows are the CT's columns, and its voxels are the CT's all the same."""

    def subject(self, context: Context, segment: int | None = None, column: str | None = None) -> Subject:
        """The object, or one of its segments, as the subject of a finding."""
        return Subject(
            Kind.FILE if segment is None else Kind.SEGMENT,
            path=context.show.path(self.path),
            segment=segment,
            column=column,
        )

    def found(
        self,
        context: Context,
        message: str,
        expected: str,
        observed: str,
        *,
        segment: int | None = None,
        column: str | None = None,
        count: int = 1,
        examples: Sequence[str] = (),
        severity: Severity | None = None,
        places: Iterable[Place] = (),
    ) -> Found:
        """A finding on the object, or on one of its segments."""
        return Found(
            self.subject(context, segment, column),
            message,
            expected,
            observed,
            self.patient,
            count,
            tuple(examples[:MAX_EXAMPLES]),
            severity,
            tuple(places),
        )

    @property
    def sources(self) -> list[tuple[int, str | None]]:
        """Frame numbers, each with a source image that the frame names."""
        columns = (self.references[name].tolist() for name in ("level", "frame", "sop_instance_uid"))
        return [
            (int(frame), uid) for level, frame, uid in zip(*columns, strict=True) if level == "frame" and frame == frame
        ]

    @property
    def framed(self) -> bool:
        """Whether anything is said of its frames: a Per-Frame Functional Groups Sequence is there (else DSO015)."""
        return whole(self.row["n_frame_items"]) is not None

    @cached_property
    def malformed(self) -> frozenset[str]:
        """Attributes of its functional groups that can't be read as what they should be."""
        return frozenset(json.loads(text(self.row["malformed"]) or "[]"))

    @cached_property
    def declared(self) -> list[Mapping[str, Any]]:
        """Segments of the Segment Sequence."""
        return [row for row in self.segments if row["declared"]]

    @cached_property
    def undeclared(self) -> list[Mapping[str, Any]]:
        """Segments that only frames name."""
        return [row for row in self.segments if not row["declared"]]

    @cached_property
    def declared_numbers(self) -> frozenset[int]:
        """Numbers of the declared segments."""
        return frozenset(value for row in self.declared if (value := whole(row["segment_number"])) is not None)

    @cached_property
    def labels(self) -> dict[int, str]:
        """Labels of segments, by their numbers; of two with one number the first."""
        found: dict[int, str] = {}
        for row in self.segments:
            value, label = whole(row["segment_number"]), text(row["label"])
            if value is not None and label is not None:
                found.setdefault(value, label)
        return found

    @property
    def numbers(self) -> Floats:
        """Segment numbers of its frames, NaN where one is missing."""
        values: Floats = self.frames["segment_number"]
        return values

    @property
    def is_label_map(self) -> bool:
        """Whether a frame holds several segments, which are its pixel values."""
        return text(self.row["segmentation_type"]) == "LABELMAP"

    def is_background(self, segment: Mapping[str, Any]) -> bool:
        """Whether a row of `segments` is what a label map declares for voxels of no segment (PS3.16 CID 7150: Background)."""
        coded = (text(segment["type_code"]), text(segment["type_scheme"])) == ("125040", "DCM")
        return self.is_label_map and (coded or whole(segment["segment_number"]) == 0)

    def label(self, context: Context, number: float | None) -> str:
        """A segment as a finding names it: its label if the vocabulary has it, else its number."""
        if number is None or number != number:
            return "no segment"
        label = " ".join(self.labels.get(int(number), "").split())
        if label and context.profile.term(label) is not None:
            return context.show.text(label, known=(label,))
        return f"segment {int(number)}"

    def frames_by_segment(self, context: Context, chosen: Flags) -> str:
        """Some frames in words: `frames 57-61 (Tumor_1), 70 (Liver)`."""
        frames = self.frames["frame"][chosen].tolist()
        labels: dict[str, list[int]] = {}
        for number, frame in zip(self.numbers[chosen].tolist(), frames, strict=True):
            labels.setdefault(self.label(context, number), []).append(int(frame))
        words = [f"{ranges(found)} ({label})" for label, found in labels.items()]
        return f"{agree(len(frames), 'frame', 'frames')} {listed(words)}"

    def places(self, chosen: Iterable[int]) -> tuple[Frame, ...]:
        """Some frames, by their place among the frames, as places where a finding is seen."""
        numbers = self.frames["frame"]
        return tuple(Frame(self.path, int(numbers[place])) for place in chosen)

    def first(self, chosen: Flags) -> tuple[Frame, ...]:
        """The first of some frames, as the place where a finding on all of them is seen."""
        return self.places(chosen.nonzero()[0][:1].tolist())


@once
def dsos_of(context: Context) -> list[Dso]:
    """All segmentation objects."""
    frames = Columns.of(context["frames"], by=("dso", "frame"))
    of_dso = frames.groups("dso")
    segments: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows_of(context["segments"]):
        segments.setdefault(row["dso"], []).append(row)
    references = Columns.of(context["references"])
    references_of = references.groups("dso")
    by_patient: dict[str, list[CtSeries]] = {}
    for series in series_of(context):
        if series.patient is not None:
            by_patient.setdefault(series.patient, []).append(series)
    slices = Columns.of(context["slices"])
    slices_of = slices.groups("patient")
    found = []
    for row in rows_of(context["dsos"]):
        path, patient = row["path"], text(row["patient"])
        own_references = references.take(references_of.get(path, []))
        named, instances, sources = _references(own_references)
        meant = _own_series(slices.take(slices_of.get(patient or "", []))).meant(named, sources)
        ct, choices = _judged(by_patient.get(patient or "", []), meant)
        own = {uid for uid in named if uid is not None}
        stored = frames.take(of_dso.get(path, []))
        own_frames, transposed = as_the_ct(context, stored, row, ct)
        found.append(
            Dso(
                patient,
                path,
                row,
                own_frames,
                stored,
                tuple(segments.get(path, ())),
                named,
                instances,
                own_references,
                ct,
                choices,
                foreign=ct is not None and bool(own) and ct.uid not in own,
                transposed=transposed,
            )
        )
    return found


def _references(own: Columns) -> tuple[tuple[str | None, ...], tuple[str, ...], list[str | None]]:
    """Series and instances that an object names, each once, and the source images of its frames."""
    columns = (own[name].tolist() for name in ("level", "series_uid", "sop_instance_uid", "frame"))
    series: dict[str | None, None] = {}
    instances: dict[str, None] = {}
    sources: list[str | None] = []
    for level, series_uid, uid, frame in zip(*columns, strict=True):
        if level == "series":
            series[series_uid] = None
        elif level == "instance" and uid is not None:
            instances[uid] = None
        elif level == "frame" and frame == frame:
            sources.append(uid)
    return tuple(series), tuple(instances), sources


def _own_series(slices: Columns) -> OwnSeries:
    """The CT series of a patient, whether they are judged or not."""
    columns = (slices[name].tolist() for name in ("series_uid", "sop_instance_uid", "path"))
    return OwnSeries((uid, instance, folder_of(path)) for uid, instance, path in zip(*columns, strict=True))


def _judged(series: list[CtSeries], meant: Meant) -> tuple[CtSeries | None, tuple[CtSeries, ...]]:
    """The CT series to compare an object with, and those among which it was chosen.

    It is None if it is one of several and nothing says which. An object that refers to none of those that are judged gets
    the largest one of the patient, to be compared with.
    """
    choices = tuple(one for one in series if (one.uid or "") in meant.choices)
    ct = next((one for one in choices if (one.uid or "") == meant.series), None)
    if ct is None and len(choices) < 2:
        ct = max(series, key=lambda one: (len(one.slices), one.uid or ""), default=None)
    return ct, choices


def plane_differs(dso: Dso, columns: Sequence[str], theirs: Sequence[float], tolerance: float) -> Flags:
    """Frames whose values are not the CT's, or are missing.

    Parameters
    ----------
    dso : Dso
        The object.
    columns : sequence of str
        Columns of `frames`.
    theirs : sequence of float
        The CT's values of them.
    tolerance : float
        How far each may be off.
    """
    import numpy as np

    away = np.abs(dso.frames.matrix(columns) - np.asarray(theirs, dtype=np.float64))
    within = np.less_equal(away, tolerance).all(axis=1)
    return np.asarray(~within, dtype=bool)


def measured(context: Context) -> list[Dso]:
    """Objects whose masks were measured.

    Raises
    ------
    crlm_qc.rulebook.rule.Skip
        There is none.
    """
    from crlm_qc.rulebook.rule import Skip

    found = [dso for dso in dsos_of(context) if dso.row["masks"] == "measured"]
    if found:
        return found
    states = {dso.row["masks"] for dso in dsos_of(context)}
    if "no-decoder" in states:
        details = {dso.row["masks_detail"] for dso in dsos_of(context) if dso.row["masks"] == "no-decoder"}
        raise Skip(undecoded("the masks", details), incomplete=True)
    if "misread" in states:
        raise Skip("no mask could be measured: the bits are packed otherwise than the standard says (DSO016, DSO034)")
    if states & {"failed", TOO_LARGE}:
        raise Skip("no mask could be measured")
    raise Skip("there is no segmentation object" if not states else "the masks were not measured")
