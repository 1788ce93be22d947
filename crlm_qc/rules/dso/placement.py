"""Where frames lie to their source slices, and to the stack."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from crlm_qc.model.finding import MAX_EXAMPLES, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.picture import Plane
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import Beside, Seen
from crlm_qc.model.words import agree, are, capitalised, listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.dso._shared import DERIVATION, OWN, WITH_CT, absent, each_dso, each_on_its_ct
from crlm_qc.subjects.columns import POSITION, SPACING
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.sources import reach_of, sources_of
from crlm_qc.subjects.words import number, text

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Flags, Ints

_SAME_STEP = 0.05
"""Pixels by which steps in plane may differ and still be one step of whole or half pixels."""


@rule(
    "DSO008",
    "frame-without-source",
    WARNING,
    title="A frame names no source image",
    why="Viewers that match frames to slices by source image drop the frame.",
    fix="Write the Derivation Image Sequence of every frame.",
    source=DERIVATION,
    tables=OWN,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(care=("segmentation",)),
)
def frame_without_source(context: Context) -> Checked:
    """Every frame of objects that say something of their frames."""

    def judge(dso: Dso) -> Iterable[Found]:
        lacking = dso.frames["n_sources"] == 0
        if dso.framed and lacking.any():
            count = int(lacking.sum())
            frames = dso.frames_by_segment(context, lacking)
            message = f"{count} of {plural(len(dso.frames), 'frame')} without a source image: {frames}."
            yield dso.found(
                context,
                message,
                "a source image a frame",
                f"{count} without",
                count=count,
                places=dso.first(lacking),
            )

    return each_dso(context, judge, lambda dso: len(dso.frames))


@rule(
    "DSO009",
    "source-outside-ct",
    ERROR,
    title="A frame's source image is not in the CT series",
    why="The frame was drawn on an image that this patient's CT does not have. Silent where as many files of the CT folder can't be read (REL004), lie in another series (REL014), or repeat another slice (REL006).",
    fix="Correct the source image reference, or fetch the slice.",
    source=DERIVATION,
    tables=WITH_CT,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry", "lesion-counts")),
)
def source_outside_ct(context: Context) -> Checked:
    """Every object with its CT."""
    import numpy as np

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        outside = sources_of(context, dso).outside
        uids = sorted({uid for named in outside.values() for uid in named})
        if len(uids) <= ct.unknown or ct.framed:
            return
        chosen = np.zeros(len(dso.frames), dtype=bool)
        chosen[list(outside)] = True
        frames = dso.frames_by_segment(context, chosen)
        elsewhere = _owners(context, dso, uids)
        whose = f": {listed(elsewhere)}" if elsewhere else ""
        message = f"{capitalised(frames)} {agree(len(outside), 'names', 'name')} {plural(len(uids), 'source image')} outside the CT series{whose}."
        lost = sum(gap.missing for gap in ct.lost)
        if not elsewhere and len(uids) <= lost and lost > ct.explained:
            message = f"{capitalised(frames)} {are(len(outside))} drawn on {plural(len(uids), 'slice')} that {are(len(uids))} not on disk (see CTS008)."
        yield dso.found(
            context,
            message,
            "source images of the patient's CT series",
            plural(len(uids), "other image"),
            count=len(outside),
            examples=[context.show.uid(uid) for uid in uids],
        )

    return each_on_its_ct(context, judge)


def _owners(context: Context, dso: Dso, uids: Iterable[str]) -> list[str]:
    """Where images lie that are in the release, in words: `23 of another CT series of this patient (1.2.3)`."""
    whose = _patient_and_series(context)
    counts = Counter(whose[uid] for uid in uids if uid in whose)
    words = []
    for (patient, series), count in sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))):
        own = patient == dso.patient
        owner = "another CT series of this patient" if own else f"a CT series of {context.show.patient(patient)}"
        words.append(f"{count} of {owner} ({context.show.uid(series)})")
    return words


@once
def _patient_and_series(context: Context) -> dict[str, tuple[str | None, str | None]]:
    """Patient and series of every slice, by its SOP Instance UID."""
    table = context["slices"]
    return {
        uid: (text(patient), text(series))
        for uid, patient, series in zip(table["sop_instance_uid"], table["patient"], table["series_uid"], strict=True)
        if isinstance(uid, str)
    }


@rule(
    "DSO011",
    "frame-position-off-slice",
    ERROR,
    title="A frame lies elsewhere than its source slice",
    why="The mask is drawn on one slice and placed on another: tools that go by reference and tools that go by position disagree. What rounding and the jitter of the table explain is left alone, and so are frames on slices that CTS007, CTS009 or CTS010 name.",
    fix="Take each frame's ImagePositionPatient from its source slice, or correct the reference.",
    source=f"{DERIVATION}; C.7.6.16.2.3 (Plane Position)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    tolerances=(
        "frame_along_fraction",
        "frame_in_plane_fraction",
        "position_mm",
        "spacing_mm",
        "spacing_fraction",
    ),
    seen=Seen(reformat=Plane.CORONAL, beside=Beside.SOURCE),
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry",)),
)
def frame_position_off_slice(context: Context) -> Checked:
    """Every frame with a source slice."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        sources = sources_of(context, dso)
        if not sources.elsewhere.any():
            return
        reach = reach_of(context, ct)
        places = sources.elsewhere.nonzero()[0].tolist()
        words = [_displacement(context, dso, ct, place) for place in places[:MAX_EXAMPLES]]
        frames = dso.frames_by_segment(context, sources.elsewhere)
        if len(places) == 1:
            message = f"{capitalised(words[0])}."
        elif len(places) == 2 and _swapped(dso, ct, sources.slice, places, reach.along):
            message = f"{capitalised(frames)} have each other's source slice ({listed(_sources(context, ct, sources.slice, places))})."
        else:
            message = f"{len(places)} frames lie elsewhere than their source slices: {frames}. For one, {words[0]}."
            message += _shared_shift(dso, ct, sources.slice, places)
        away = [math.hypot(sources.along[place], sources.sideways[place]) for place in places]
        expected = (
            f"the source slice's position, within {number(reach.along)} mm along the normal and "
            f"{number(reach.in_plane)} mm in plane"
        )
        observed = f"up to {number(max(away))} mm away" if len(away) > 1 else f"{number(away[0])} mm away"
        named = places[:MAX_EXAMPLES]
        yield dso.found(
            context,
            message,
            expected,
            observed,
            count=len(places),
            examples=words,
            places=(*ct.places(sources.slice[named].tolist()), *dso.places(named)),
        )

    return each_on_its_ct(context, judge, lambda dso, _: int(sources_of(context, dso).in_ct.sum()))


def _swapped(dso: Dso, ct: CtSeries, slices: Ints, places: Sequence[int], near: float) -> bool:
    """Whether two frames of one segment lie on each other's source slice."""
    import numpy as np

    one, other = places
    if dso.numbers[one] != dso.numbers[other]:
        return False
    away = dso.frames.matrix(POSITION)[[one, other]] - ct.slices.matrix(POSITION)[slices[[other, one]]]
    return bool((np.linalg.norm(away, axis=1) <= near).all())


def _sources(context: Context, ct: CtSeries, slices: Ints, places: Sequence[int]) -> list[str]:
    """Names of the source slices of frames."""
    return ct.names(context, slices[list(places)].tolist())


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


def _shared_shift(dso: Dso, ct: CtSeries, slices: Ints, places: list[int]) -> str:
    """The same step in plane of all frames that lie elsewhere: ` All lie half a pixel to the right and ...`; else nothing."""
    import numpy as np

    pixels = [ct.common(column) for column in SPACING]
    if ct.orientation is None or None in pixels or min(pixels) <= 0:
        return ""
    away = dso.frames.matrix(POSITION)[places] - ct.slices.matrix(POSITION)[slices[places]]
    # Columns to the right, rows down, as the image is shown.
    steps = np.stack([away @ ct.orientation[:3] / pixels[1], away @ ct.orientation[3:] / pixels[0]], axis=1)
    halves = 2 * steps.mean(axis=0)
    whole = np.abs(halves - np.round(halves)).max() < _SAME_STEP and np.ptp(steps, axis=0).max() < _SAME_STEP
    words = [
        f"{_pixels(abs(half) / 2)} {after if half > 0 else before}"
        for half, (after, before) in zip(
            np.round(halves), (("to the right", "to the left"), ("down", "up")), strict=True
        )
        if half
    ]
    return f" All lie {' and '.join(words)} in the image." if whole and words else ""


def _pixels(count: float) -> str:
    return "half a pixel" if count == 0.5 else f"{number(count, 1)} {'pixel' if count == 1 else 'pixels'}"


def _slices(count: float) -> str:
    if abs(count - 0.5) < 0.02:
        return "half a slice"
    if abs(count - round(count)) < 0.02:
        return plural(round(count), "slice")
    return f"{number(count, 2)} slices"


@rule(
    "DSO014",
    "frame-off-lattice",
    ERROR,
    title="A frame lies off the CT's slices, or outside the CT",
    why="Such a frame meets no slice: it is dropped, or moved to a neighbour. Frames with a source slice in the CT are DSO011's; one whose source slice is not there (DSO007, DSO009) may lie in the gap or beyond the end, in whole steps.",
    fix="Take each frame's position from the slice that it was drawn on.",
    source="DICOM PS3.3 C.7.6.16.2.3 (Plane Position)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    tolerances=("position_mm", "lattice_fraction", "frame_in_plane_fraction"),
    seen=Seen(reformat=Plane.CORONAL, beside=Beside.SOURCE),
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry",)),
)
def frame_off_lattice(context: Context) -> Checked:
    """Every frame without a source slice in the CT, and every frame without a position."""

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        nowhere = (
            "without a position" if absent(dso, "ImagePositionPatient") == "missing" else "with a malformed position"
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
            message = f"{capitalised('; '.join(parts))}."
            expected = f"on a slice of the CT, within {fraction}% of the slice spacing"
            places = chosen.nonzero()[0].tolist()
            # One of each kind at least: the first few may all lie nowhere.
            first = [frame for kind in (unplaced, off, outside) for frame in dso.first(kind)]
            yield dso.found(
                context,
                message,
                expected,
                plural(count, "frame"),
                count=count,
                examples=[words(place) for place in places[:MAX_EXAMPLES]],
                places=(*dso.places(places[:MAX_EXAMPLES]), *first),
            )

    def examined(dso: Dso, ct: CtSeries) -> int:
        return len(dso.frames) if dso.framed and ct.stack is not None and len(ct.stack.order) else 0

    return each_on_its_ct(context, judge, examined)


def _off_lattice(
    context: Context, dso: Dso, ct: CtSeries, nowhere: str
) -> tuple[Flags, Flags, Flags, Callable[[int], str]]:
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

    def words(place: int) -> str:
        frame, point, aside = int(dso.frames["frame"][place]), points[place], sideways[place]
        if unplaced[place]:
            return f"frame {frame} {nowhere}"
        away = f"frame {frame} at z {number(point[2])} mm, {number(abs(from_plane[place]))} mm from the nearest slice"
        return away + (f" and {number(aside)} mm sideways" if aside > in_plane else "")

    return unplaced, off & ~far_out, outside | far_out, words
