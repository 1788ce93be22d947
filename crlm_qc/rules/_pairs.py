"""CT series and segmentation objects as the rules look at them: each with its stack, and each object with its CT.

What several rules need to know of one another stands here too, so that one fault is not told by all of them. Tables
become plain arrays once: a release has hundreds of objects, and a data frame of each would be slow to ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Kind, Subject
from crlm_qc.rules._words import file_names, folder_of, ranges, text, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from crlm_qc.geometry.stack import Stack
    from crlm_qc.model.rule import Context

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

POSITION = ("position_x", "position_y", "position_z")
ORIENTATION = ("row_x", "row_y", "row_z", "col_x", "col_y", "col_z")
SPACING = ("spacing_row", "spacing_col")


class Columns:
    """Rows of a table as arrays: text as objects with None, numbers as float64 with NaN."""

    def __init__(self, arrays: Mapping[str, Any], rows: Any = None) -> None:
        self._arrays = arrays
        self._rows = slice(None) if rows is None else rows
        self._taken: dict[str, Any] = {}
        self._matrices: dict[tuple[str, ...], Floats] = {}

    @classmethod
    def of(cls, table: Any) -> Columns:
        """All rows of a table."""
        import numpy as np

        arrays: dict[str, Any] = {}
        for name in table.columns:
            values = table[name]
            if values.dtype in ("Int64", "boolean", "float64"):
                arrays[name] = values.to_numpy(dtype="float64", na_value=np.nan)
            else:
                arrays[name] = values.astype(object).where(values.notna(), None).to_numpy(dtype=object)
        return cls(arrays)

    def take(self, rows: Any) -> Columns:
        """Some of its rows, by index."""
        return Columns({name: self[name] for name in self._arrays}, rows)

    def __getitem__(self, name: str) -> Any:
        """One column."""
        if name not in self._taken:
            self._taken[name] = self._arrays[name][self._rows]
        return self._taken[name]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self["patient"])

    def matrix(self, names: Sequence[str]) -> Floats:
        """Columns of numbers side by side, shape (n, len(names))."""
        import numpy as np

        key = tuple(names)
        if key not in self._matrices:
            self._matrices[key] = np.stack([self[name] for name in names], axis=1)
        return self._matrices[key]

    def present(self, name: str) -> Flags:
        """Whether each row has a value in a column."""
        import numpy as np

        values = self[name]
        if values.dtype == object:
            return np.array([value is not None for value in values.tolist()], dtype=bool)
        found: Flags = ~np.isnan(values)
        return found

    def others(self, name: str, known: Collection[Any]) -> list[int]:
        """Rows with a value in a column that is none of the known ones."""
        return [
            place
            for place, value in enumerate(self[name].tolist())
            if value is not None and value == value and value not in known
        ]

    def whole(self, name: str) -> dict[int, int]:
        """Rows with a value in a column of whole numbers, and the values."""
        return {place: int(value) for place, value in enumerate(self[name].tolist()) if value == value}

    def groups(self, name: str) -> dict[str, Ints]:
        """Indices of the rows of each value of a text column, in the order of rows; missing values left out."""
        import numpy as np

        places: dict[str, list[int]] = {}
        for place, value in enumerate(self[name].tolist()):
            if value is not None:
                places.setdefault(value, []).append(place)
        return {value: np.array(found, dtype=np.int64) for value, found in places.items()}


@dataclass(frozen=True, eq=False)
class CtSeries:
    """One CT series of a patient."""

    patient: str | None
    uid: str | None
    folder: str
    """The folder that most of its slices lie in."""
    slices: Columns
    """Its rows of `slices`, in the order of paths; copies of a slice (REL006) are left out."""
    unknown: int
    """Files of its folders that may be slices of it and can't be told: unreadable (REL004), of another series (REL014),
    or copies that lie where another slice was (REL006)."""
    stack: Stack | None
    """None where its orientation is invalid (CTS005) or missing."""
    orientation: Floats | None
    """The orientation that most of its slices have, shape (6,)."""
    failure: str | None = None
    """Why no stack could be fitted to positions and a valid orientation; CTS019 says so."""
    _common: dict[str, Any] = field(default_factory=dict, repr=False)

    def subject(self, context: Context, column: str | None = None) -> Subject:
        """The series as the subject of a finding."""
        return Subject(
            Kind.SERIES,
            path=context.show.path(self.folder or "."),
            uid=None if self.uid is None else context.show.uid(self.uid),
            column=column,
        )

    def names(self, context: Context, places: Iterable[int]) -> list[str]:
        """File names of some slices."""
        paths = self.slices["path"]
        return file_names(context, [paths[place] for place in places])

    def common(self, column: str) -> Any:
        """The value that most of its slices have, the least of them among equals; None if none has any."""
        if column not in self._common:
            counts = Counter(value for value in self.slices[column].tolist() if value is not None and value == value)
            self._common[column] = min(counts, key=lambda value: (-counts[value], value)) if counts else None
        return self._common[column]

    @property
    def explained(self) -> int:
        """Slices that may be missing in the stack because of a fault that another rule names."""
        unplaced = 0 if self.stack is None else len(self.slices) - len(self.stack.order)
        astray = 0 if self.stack is None else self.stack.n_surplus + len(self.stack.off_lattice)
        return self.unknown + unplaced + astray

    @cached_property
    def suspect(self) -> frozenset[int]:
        """Slices whose own position is at fault (CTS007, CTS009, CTS010)."""
        if self.stack is None:
            return frozenset()
        if self.stack.sheared:
            return frozenset(range(len(self.slices)))
        doubled = {index for group in self.stack.duplicates for index in group}
        return frozenset(doubled | set(self.stack.off_lattice) | set(self.stack.displaced))


@dataclass(frozen=True, eq=False)
class Dso:
    """One segmentation object, and the CT series that it belongs to."""

    patient: str | None
    path: str
    row: Mapping[str, Any]
    """Its row of `dsos`."""
    frames: Columns
    """Its rows of `frames`, in the order of frame numbers."""
    segments: tuple[Mapping[str, Any], ...]
    """Its rows of `segments`."""
    series: tuple[str | None, ...]
    """Series that its top-level list names."""
    instances: tuple[str, ...]
    """Instances that its top-level list names, each once."""
    sources: tuple[tuple[int, str | None], ...]
    """Frame numbers, each with a source image that the frame names."""
    ct: CtSeries | None
    """The patient's CT series; of several (REL009), the one that it refers to. None if there is none (REL008), or if it
    can't be told which (DSO031)."""
    choices: tuple[CtSeries, ...]
    """CT series of the patient that it refers to, by its top-level list or else by source images of its frames; all of
    them if it refers to no series at all. Of more than one (DSO031), `ct` is the one that most source images lie in."""
    foreign: bool
    """Whether it refers to other series alone (DSO006), so that comparing it with this CT means little."""

    def subject(self, context: Context, segment: int | None = None, column: str | None = None) -> Subject:
        """The object, or one of its segments, as the subject of a finding."""
        return Subject(
            Kind.FILE if segment is None else Kind.SEGMENT,
            path=context.show.path(self.path),
            segment=segment,
            column=column,
        )

    @property
    def framed(self) -> bool:
        """Whether anything is said of its frames: a Per-Frame Functional Groups Sequence is there (else DSO015)."""
        return whole(self.row["n_frame_items"]) is not None

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
        return f"{'frame' if len(frames) == 1 else 'frames'} {', '.join(words)}"


def series_of(context: Context) -> list[CtSeries]:
    """All CT series but the smaller ones of a mixed folder, which REL014 names."""
    return context.once("ct series", lambda: _series(context))


def dsos_of(context: Context) -> list[Dso]:
    """All segmentation objects."""
    return context.once("dsos", lambda: _dsos(context))


def _series(context: Context) -> list[CtSeries]:
    files = context["files"]
    slices = Columns.of(context["slices"].sort_values("path", kind="stable"))
    unreadable = Counter(files.loc[files["kind"] == "unreadable", "folder"].fillna("").tolist())
    folders = [folder_of(path) for path in slices["path"].tolist()]
    owners = list(zip(slices["patient"].tolist(), slices["series_uid"].tolist(), strict=True))
    rows: dict[tuple[str | None, str | None], list[int]] = {}
    within: dict[str, set[tuple[str | None, str | None]]] = {}
    for place, (owner, folder) in enumerate(zip(owners, folders, strict=True)):
        rows.setdefault(owner, []).append(place)
        within.setdefault(folder, set()).add(owner)
    found = []
    for owner in sorted(rows, key=lambda key: (key[0] or "", key[1] or "")):
        places = rows[owner]
        own = Counter(folders[place] for place in places)
        neighbours = {other for folder in own for other in within[folder]} - {owner}
        if any((-len(rows[other]), other[1] or "") < (-len(places), owner[1] or "") for other in neighbours):
            continue
        kept = _without_copies(slices, places, context.tolerances.position_mm)
        strays = sum(len(rows[other]) for other in neighbours) + len(places) - len(kept)
        folder = min(own, key=lambda name: (-own[name], name))
        unknown = sum(unreadable[name] for name in own) + strays
        found.append(_one_series(context, owner, folder, slices.take(kept), unknown))
    return found


def _without_copies(slices: Columns, places: list[int], tolerance: float) -> list[int]:
    """Slices but those with a SOP Instance UID and position that an earlier one has."""
    import numpy as np

    uids, positions = slices["sop_instance_uid"], slices.matrix(POSITION)
    first: dict[str, int] = {}
    kept = []
    for place in places:
        uid = uids[place]
        earlier = place if uid is None else first.setdefault(uid, place)
        if earlier == place or np.linalg.norm(positions[place] - positions[earlier]) > tolerance:
            kept.append(place)
    return kept


def _one_series(
    context: Context, owner: tuple[str | None, str | None], folder: str, slices: Columns, unknown: int
) -> CtSeries:
    orientation = common_row(slices.matrix(ORIENTATION))
    stack = failure = None
    if orientation is not None and is_orthonormal(orientation[None, :], context.tolerances.orthonormal)[0]:
        stack, failure = stack_of(context, slices.matrix(POSITION), orientation)
    return CtSeries(*owner, folder, slices, unknown, stack, orientation, failure)


def stack_of(context: Context, positions: Floats, orientation: Floats) -> tuple[Stack | None, str | None]:
    """The stack of some positions; or None, and the type of the error that it could not be made for.

    Numbers of one series or object must not cost the checks of all others. Who gets None says so, or counts the series
    or object as not examined.
    """
    from crlm_qc.geometry.stack import fit

    try:
        return fit(positions, orientation[:3], orientation[3:], context.tolerances), None
    except Exception as error:  # noqa: BLE001 - the text of an exception may hold values from files: its type alone is kept
        return None, type(error).__name__


def common_row(values: Floats) -> Floats | None:
    """The commonest row of those without NaN; None if there is none."""
    import numpy as np

    usable = values[np.isfinite(values).all(axis=1)]
    if not len(usable):
        return None
    if (usable == usable[0]).all():
        first: Floats = usable[0]
        return first
    rows, counts = np.unique(usable, axis=0, return_counts=True)
    common: Floats = rows[int(np.argmax(counts))]
    return common


def is_orthonormal(orientation: Floats, tolerance: float) -> Flags:
    """Whether both directions have length 1 and are orthogonal; false where a value is missing.

    Parameters
    ----------
    orientation : numpy.ndarray, shape (n, 6)
        ImageOrientationPatient.
    tolerance : float
        How far lengths may be from 1, and the dot product from 0.
    """
    import numpy as np

    row, col = orientation[:, :3], orientation[:, 3:]
    lengths = np.abs(np.linalg.norm(np.stack([row, col]), axis=2) - 1) <= tolerance
    orthogonal = np.abs((row * col).sum(axis=1)) <= tolerance
    result: Flags = lengths.all(axis=0) & orthogonal
    return result


def _dsos(context: Context) -> list[Dso]:
    frames = Columns.of(context["frames"].sort_values(["dso", "frame"], kind="stable"))
    of_dso = frames.groups("dso")
    segments: dict[str, list[Mapping[str, Any]]] = {}
    for row in context["segments"].to_dict("records"):
        segments.setdefault(row["dso"], []).append(row)
    references = _references(context)
    by_patient: dict[str, list[CtSeries]] = {}
    for series in series_of(context):
        if series.patient is not None:
            by_patient.setdefault(series.patient, []).append(series)
    found = []
    for row in context["dsos"].sort_values("path").to_dict("records"):
        path, patient = row["path"], text(row["patient"])
        named, instances, sources = references.get(path, ((), (), ()))
        ct, choices = _ct_of(by_patient.get(patient or "", []), set(named), sources)
        own = {uid for uid in named if uid is not None}
        found.append(
            Dso(
                patient,
                path,
                row,
                frames.take(of_dso.get(path, [])),
                tuple(segments.get(path, ())),
                named,
                instances,
                sources,
                ct,
                choices,
                foreign=ct is not None and bool(own) and ct.uid not in own,
            )
        )
    return found


Named = tuple[tuple[str | None, ...], tuple[str, ...], tuple[tuple[int, str | None], ...]]


def _references(context: Context) -> dict[str, Named]:
    """Series, instances and frames' source images that each object names."""
    table = Columns.of(context["references"])
    columns = (table[name].tolist() for name in ("dso", "level", "series_uid", "sop_instance_uid", "frame"))
    series: dict[str, dict[str | None, None]] = {}
    instances: dict[str, dict[str, None]] = {}
    sources: dict[str, list[tuple[int, str | None]]] = {}
    for dso, level, series_uid, uid, frame in zip(*columns, strict=True):
        if level == "series":
            series.setdefault(dso, {})[series_uid] = None
        elif level == "instance" and uid is not None:
            instances.setdefault(dso, {})[uid] = None
        elif level == "frame" and frame == frame:
            sources.setdefault(dso, []).append((int(frame), uid))
    return {
        dso: (tuple(series.get(dso, ())), tuple(instances.get(dso, ())), tuple(sources.get(dso, ())))
        for dso in {*series, *instances, *sources}
    }


def _ct_of(
    series: list[CtSeries], named: set[str | None], sources: Sequence[tuple[int, str | None]]
) -> tuple[CtSeries | None, tuple[CtSeries, ...]]:
    """The CT series that the object refers to, and those among which it was chosen.

    It is None if it is one of several and nothing says which. An object that refers to other series alone gets the
    largest one of the patient, to be compared with.
    """
    meant = [one for one in series if one.uid in named]
    if not meant and named - {None}:
        return max(series, key=lambda one: (len(one.slices), one.uid or ""), default=None), ()
    choices = meant or series
    if len(choices) < 2:
        return next(iter(choices), None), tuple(choices)
    counts = [_frames_on(one, sources) for one in choices]
    most = max(counts)
    ct = choices[counts.index(most)] if most and counts.count(most) == 1 else None
    if not meant and most:
        # It names no series, and its frames name slices: those alone tell what it refers to.
        choices = [one for one, count in zip(choices, counts, strict=True) if count]
    return ct, tuple(choices)


def _frames_on(series: CtSeries, sources: Sequence[tuple[int, str | None]]) -> int:
    """How many source images of frames are slices of a series."""
    own = set(series.slices["sop_instance_uid"].tolist()) - {None}
    return sum(uid in own for _, uid in sources)


@dataclass(frozen=True)
class Reach:
    """How far a frame may lie from its source slice, mm."""

    along: float
    """Along the normal (DSO011)."""
    in_plane: float
    """Sideways (DSO011)."""
    material_along: float
    """Along the normal, before the frame's mask belongs to another place."""
    material_in_plane: float
    """Sideways, before the frame's mask belongs to other pixels: half of one."""


_MOST_ALONG = 0.25
"""The part of the slice spacing that a tolerance along the normal never exceeds: half a slice must always be found."""
_HALF_A_PIXEL = 0.5


def reach_of(context: Context, ct: CtSeries) -> Reach:
    """How far frames may lie from the slices of a CT series.

    Parameters
    ----------
    context : Context
        Its tolerances are used.
    ct : CtSeries
        The series; SliceThickness stands for a slice spacing that can't be told. Without it, or without a pixel
        spacing, positions must be the same.
    """
    import numpy as np

    tolerances = context.tolerances
    along = in_plane = material_along = material_in_plane = tolerances.position_mm
    gap = 0.0 if ct.stack is None else ct.stack.tolerance
    spacing = ct.common("slice_thickness") if ct.stack is None or np.isnan(ct.stack.spacing) else ct.stack.spacing
    if spacing is not None and spacing > 0:
        allowed = max(tolerances.position_mm, gap, tolerances.frame_along_fraction * spacing)
        along = min(allowed, _MOST_ALONG * spacing)
        material_along = max(along, tolerances.lattice_fraction * spacing)
    pixels = [value for column in SPACING if (value := ct.common(column)) is not None and value > 0]
    if pixels:
        pixel = min(pixels)
        allowed = max(tolerances.position_mm, tolerances.frame_in_plane_fraction * pixel)
        in_plane = min(allowed, _HALF_A_PIXEL * pixel)
        material_in_plane = _HALF_A_PIXEL * pixel
    return Reach(along, in_plane, material_along, material_in_plane)


@dataclass(frozen=True)
class Sources:
    """How the frames of an object lie to the CT slices that they name as their source images."""

    in_ct: Flags
    """Frames with a source image in the CT series."""
    slice: Ints
    """The source slice (index into the series' slices), the nearest of several; -1 where there is none."""
    along: Floats
    """How far above its source slice each frame lies along the normal, mm; NaN where that can't be told."""
    sideways: Floats
    """How far from it in plane, mm."""
    elsewhere: Flags
    """Frames that lie elsewhere than their source slice (DSO011), by more than rounding and jitter."""
    displaced: Flags
    """Those of them that are materially displaced: by over `lattice_fraction` of the slice spacing, or half a pixel.
    What lies under their masks is not what they were drawn on."""
    outside: Mapping[int, tuple[str, ...]]
    """Places of frames that name images which are not in the CT series, and the UIDs of these."""


def sources_of(context: Context, dso: Dso) -> Sources:
    """Frames against their source slices; nothing is off where there is no CT."""
    return context.once(("sources", dso.path), lambda: _sources(context, dso))


def upward(ct: CtSeries) -> Floats:
    """The unit normal of a CT series that points to the head; z where its orientation is invalid."""
    import numpy as np

    normal: Floats = np.array([0.0, 0.0, 1.0]) if ct.stack is None else ct.stack.normal
    return normal if normal[2] >= 0 else -normal


def _sources(context: Context, dso: Dso) -> Sources:
    import numpy as np

    n = len(dso.frames)
    nearest = np.full(n, -1, dtype=np.int64)
    along, sideways = np.full(n, np.nan), np.full(n, np.nan)
    outside: dict[int, tuple[str, ...]] = {}
    if dso.ct is None or not n:
        nothing = np.zeros(n, dtype=bool)
        return Sources(nothing, nearest, along, sideways, nothing, nothing, outside)
    where: dict[str, list[int]] = {}
    for place, uid in enumerate(dso.ct.slices["sop_instance_uid"].tolist()):
        if uid is not None:
            where.setdefault(uid, []).append(place)
    place_of = {int(frame): place for place, frame in enumerate(dso.frames["frame"].tolist())}
    pairs = []
    for frame, uid in dso.sources:
        place = place_of.get(frame, -1)
        if place < 0:
            continue
        if uid in where:
            pairs += [(place, candidate) for candidate in where[uid]]
        else:
            outside[place] = (*outside.get(place, ()), uid or "")
    if pairs:
        places, slices = np.array(pairs, dtype=np.int64).T
        away = dso.frames.matrix(POSITION)[places] - dso.ct.slices.matrix(POSITION)[slices]
        distance = np.linalg.norm(away, axis=1)
        # The farthest first, so that of several source images the nearest stays; a missing position counts as none.
        order = np.argsort(-np.where(np.isfinite(distance), distance, np.inf), kind="stable")
        nearest[places[order]] = slices[order]
        height = away @ upward(dso.ct)
        along[places[order]] = height[order]
        sideways[places[order]] = np.linalg.norm(away - np.outer(height, upward(dso.ct)), axis=1)[order]
    reach = reach_of(context, dso.ct)
    judged = np.isfinite(along) & np.isfinite(sideways) & ~np.isin(nearest, list(dso.ct.suspect))
    elsewhere: Flags = judged & ((np.abs(along) > reach.along) | (sideways > reach.in_plane))
    displaced: Flags = elsewhere & ((np.abs(along) > reach.material_along) | (sideways > reach.material_in_plane))
    return Sources(nearest >= 0, nearest, along, sideways, elsewhere, displaced, outside)


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
    crlm_qc.model.rule.Skip
        There is none.
    """
    from crlm_qc.model.rule import Skip

    found = [dso for dso in dsos_of(context) if dso.row["masks"] == "measured"]
    if found:
        return found
    states = {dso.row["masks"] for dso in dsos_of(context)}
    if "no-decoder" in states:
        details = {dso.row["masks_detail"] for dso in dsos_of(context) if dso.row["masks"] == "no-decoder"}
        raise Skip(_undecoded("the masks", details), incomplete=True)
    if "failed" in states:
        raise Skip("no mask could be measured")
    raise Skip("there is no segmentation object" if not states else "the masks were not measured")


def need_pixels(context: Context) -> None:
    """Tell apart CT values that there are none of from those that no decoder was there for.

    Raises
    ------
    crlm_qc.model.rule.Skip
        No slice could be read because a decoder is missing.
    """
    from crlm_qc.model.rule import Skip

    slices = context["slices"]
    lacking = slices["pixels"] == "no-decoder"
    if lacking.any() and slices["hu_min"].isna().all():
        raise Skip(_undecoded("the CT images", set(slices.loc[lacking, "pixels_detail"])), incomplete=True)


def _undecoded(what: str, details: Collection[Any]) -> str:
    """Why something was not read, with the packages that would read it."""
    said = sorted(detail for value in details if (detail := text(value)) is not None)
    return f"{what} were not read: {'; '.join(said) or 'no decoder for them is installed'}"
