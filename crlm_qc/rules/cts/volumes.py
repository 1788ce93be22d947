"""Whether a series is one volume: runs over the same body, localizers among the slices, images of several frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from crlm_qc.collection.show import LARGEST
from crlm_qc.model.finding import MAX_EXAMPLES, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import agree, are, capitalised, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import TABLES, each_series
from crlm_qc.subjects.columns import ORIENTATION, POSITION
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import dsos_of
from crlm_qc.subjects.sources import sources_of
from crlm_qc.subjects.words import file_names, number

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Ints

_WITH_MASKS = (*TABLES, "dsos", "frames", "segments", "references")
_PLANES = ("sagittal", "coronal", "axial")
_TOLD_BY = {"anatomy": "what they show", "ImagePositionPatient": "repeated positions"}
_ACQUISITION = "AcquisitionNumber"


@rule(
    "CTS018",
    "acquisitions-mixed",
    WARNING,
    title="Several acquisitions in one series",
    why="A series is one acquisition; two may differ in contrast phase and in breath. Where they go over the same body, they are volumes of their own (an error where they lie across each other), and what needs one stack is not judged.",
    fix="Split the series, or check that the acquisitions belong together.",
    source="DICOM PS3.3 C.7.6.1 (Acquisition Number); published description",
    tables=_WITH_MASKS,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "volumetry", "image-values")),
)
def acquisitions_mixed(context: Context) -> Checked:
    """Every CT series."""

    def judge(series: CtSeries) -> Iterable[Found]:
        counts = Counter(series.slices.whole("acquisition_number").values())
        if len(counts) > 1 and (series.volumes is None or _by_acquisition(series)):
            words = [
                f"{context.show.number(value)} ({plural(count, 'slice')})" for value, count in sorted(counts.items())
            ]
            message = f"The series holds {len(counts)} acquisitions: {listed(words)}."
            if series.volumes is not None:
                message += f" {_described(context, series)}"
            severe = ERROR if series.volumes is not None and series.volumes.across else None
            yield series.found(
                context, message, "one", str(len(counts)), count=len(counts), examples=words, severity=severe
            )

    return each_series(context, judge)


def _by_acquisition(series: CtSeries) -> bool:
    return series.volumes is not None and _ACQUISITION in series.volumes.by


@rule(
    "CTS028",
    "several-volumes",
    ERROR,
    title="The series is more than one volume",
    why="Loaders take all slices for one stack: the body comes twice, or slices of two contrast phases or reconstructions lie across each other with a spacing that is neither's. What needs one stack (spacing, missing slices, volumes and pieces of masks) is not judged. A warning where one run lies behind the other and shows the same body again. Runs that AcquisitionNumber tells apart are CTS018's.",
    fix="Give each run a series of its own.",
    source="DICOM PS3.3 C.7.3.1 (General Series), C.7.6.1 (Acquisition Number, Acquisition Time, Instance Number)",
    tables=_WITH_MASKS,
    scope=Scope.PATIENT,
    tolerances=("position_mm",),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values"), care=("lesion-counts",)),
)
def several_volumes(context: Context) -> Checked:
    """Every CT series: by numbers, times, positions and attributes of its slices, and by what they show."""

    def judge(series: CtSeries) -> Iterable[Found]:
        volumes = series.volumes
        if volumes is None or _by_acquisition(series):
            return
        count = len(volumes.runs)
        message = f"The series is {count} volumes. {_described(context, series)}"
        words = [_run(context, series, run) for run in volumes.runs]
        severity = None if volumes.across else WARNING
        yield series.found(
            context, message, "one volume", f"{count} volumes", count=count, examples=words, severity=severity
        )

    return each_series(context, judge)


def _described(context: Context, series: CtSeries) -> str:
    """The volumes of a series in words."""
    volumes = series.volumes
    assert volumes is not None
    runs = [_run(context, series, run) for run in volumes.runs]
    times = [float(series.slices["acquisition_time"][run].min()) for run in volumes.runs]
    later = [time - times[0] for time in times]
    words = [f"{run}, {number(after, 1)} s later" if after > 0 else run for run, after in zip(runs, later, strict=True)]
    where = "at the same positions" if volumes.offset <= context.tolerances.position_mm else "across each other"
    if volumes.across and where == "across each other":
        where += f", {number(volumes.offset)} mm apart"
    lie = f"lie {where}" if volumes.across else "lie one behind the other and show the same body"
    by = " and ".join(
        [_TOLD_BY.get(name, name) for name in volumes.by if name in volumes.by[:1] or name not in _TOLD_BY]
    )
    told = f"Told apart by {by}: {'; '.join(words[:MAX_EXAMPLES])}{' and more' if len(words) > MAX_EXAMPLES else ''}. They {lie}."
    bare = [str(place) for place, held in enumerate(_masked(context, series), start=1) if not held]
    return f"{told} No mask lies on run {listed(bare)}." if bare and len(bare) < len(runs) else told


def _run(context: Context, series: CtSeries, run: Ints) -> str:
    """A run in words: `slices 1-42 (5 mm apart)`."""
    import numpy as np

    numbers = series.slices["instance_number"][run]
    if np.isfinite(numbers).all() and len(set(numbers.tolist())) == len(run) and np.abs(numbers).max() <= LARGEST:
        name = f"slices {int(numbers.min())}-{int(numbers.max())}"
    else:
        names = series.names(context, [run[0], run[-1]])
        name = f"{len(run)} slices ({names[0]} to {names[1]})"
    assert series.orientation is not None
    along = series.slices.matrix(POSITION)[run] @ np.cross(series.orientation[:3], series.orientation[3:])
    return f"{name} every {number(float(np.median(np.diff(along))))} mm"


def _masked(context: Context, series: CtSeries) -> Iterator[bool]:
    """Whether frames of segmentation objects lie on each run."""
    import numpy as np

    assert series.volumes is not None
    drawn = [sources_of(context, dso).slice for dso in dsos_of(context) if dso.ct is series]
    on = np.unique(np.concatenate(drawn)) if drawn else np.zeros(0, dtype=np.int64)
    for run in series.volumes.runs:
        yield bool(np.isin(run, on).any())


@rule(
    "CTS029",
    "localizer-in-series",
    ERROR,
    title="A localizer, or an image of another plane, among the slices",
    why="A scout view is no slice: loaders refuse the series, or put it into the volume. It is left out of the stack that other rules judge.",
    fix="Take the image out of the series.",
    source="DICOM PS3.3 C.8.2.1.1.1 (Image Type: LOCALIZER), C.7.6.2.1.1 (Image Orientation)",
    tables=TABLES,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation",), care=("volumetry", "image-values")),
)
def localizer_in_series(context: Context) -> Checked:
    """Every CT series that is no series of localizers."""
    import numpy as np

    from crlm_qc.geometry.stack import unit_normal
    from crlm_qc.geometry.volumes import LOCALIZER

    def judge(series: CtSeries) -> Iterable[Found]:
        images = series.localizers
        if images is None:
            return
        names = file_names(context, images["path"].tolist())
        words = []
        for name, kind, axes in zip(names, images["image_type"].tolist(), images.matrix(ORIENTATION), strict=True):
            normal = np.abs(unit_normal(axes[:3], axes[3:]))
            plane = f"{_PLANES[int(np.argmax(normal))]} image" if np.isfinite(normal).all() else "image without a plane"
            named = LOCALIZER in (kind or "").upper().split("\\")
            words.append(f"{name} ({plane}{f', ImageType {LOCALIZER}' if named else ''})")
        count = len(words)
        verb = agree(count, "is no slice", "are no slices")
        message = f"{capitalised(listed(words))} {verb} of the stack that the other {len(series.slices)} {are(len(series.slices))}."
        observed = f"{plural(count, 'image')} of another kind"
        yield series.found(
            context, message, "slices of one stack", observed, count=count, examples=names[:MAX_EXAMPLES]
        )

    return each_series(context, judge)


@rule(
    "CTS030",
    "several-frames",
    ERROR,
    title="A CT image of several frames",
    why="CT Image Storage has one frame an image. Of several, one has a position and the others have none: readers show the first, or lay them all on one place. What needs positions is not judged. Of none, or fewer, readers make an empty image or fail.",
    fix="Write each frame as an image of its own with its position, or the whole as an Enhanced CT image.",
    source="DICOM PS3.3 A.3 (CT Image IOD), C.7.6.6 (Multi-frame, which that IOD does not have)",
    tables=TABLES,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "image-values")),
)
def several_frames(context: Context) -> Checked:
    """Every CT series; other classes, such as Enhanced CT, are CTS001's."""

    def judge(series: CtSeries) -> Iterable[Found]:
        odd = (series.slices["number_of_frames"] < 1).nonzero()[0].tolist()
        if odd:
            frames = sorted({int(value) for value in series.slices["number_of_frames"][odd]})
            shown = listed([context.show.number(value) for value in frames])
            message = f"NumberOfFrames of {plural(len(odd), 'slice')} is {shown}, and a CT image has one frame: {listed(series.names(context, odd))}."
            yield series.found(
                context, message, "no NumberOfFrames, or 1", shown, odd, column="NumberOfFrames", seen_at=()
            )
        if not series.framed:
            return
        frames = sorted({int(value) for value in series.slices["number_of_frames"][list(series.framed)]})
        shown = listed([context.show.number(value) for value in frames])
        names = series.names(context, series.framed)
        verb = agree(len(names), "is a CT image", "are CT images")
        message = f"{listed(names)} {verb} of {shown} frames, and such an image has one: only the first has a position."
        yield series.found(
            context,
            message,
            "one frame an image",
            f"{shown} frames",
            series.framed,
            column="NumberOfFrames",
            seen_at=(),
        )

    return each_series(context, judge)
