"""CT series and segmentation objects as the rules look at them: each with its stack, and each object with its CT.

What several rules need to know of one another stands here too, so that one fault is not told by all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Kind, Subject
from crlm_qc.rules._words import folder_of, most_common, ranges, text, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from crlm_qc.geometry.stack import Stack
    from crlm_qc.model.rule import Context

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

POSITION = ["position_x", "position_y", "position_z"]
ORIENTATION = ["row_x", "row_y", "row_z", "col_x", "col_y", "col_z"]
SPACING = ["spacing_row", "spacing_col"]


@dataclass(frozen=True)
class CtSeries:
    """One CT series of a patient."""

    patient: str | None
    uid: str | None
    folder: str
    """The folder that most of its slices lie in."""
    slices: Any
    """Its rows of `slices`, in the order of paths; copies of a slice (REL006) are left out."""
    unknown: int
    """Files of its folders that may be slices of it and can't be told: unreadable (REL004), of another series (REL014),
    or copies that lie where another slice was (REL006)."""
    stack: Stack | None
    """None where its orientation is invalid (CTS005) or missing."""
    orientation: Floats | None
    """The orientation that most of its slices have, shape (6,)."""

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
        paths = self.slices["path"].to_numpy()
        return [context.show.path(paths[place]).rpartition("/")[2] for place in places]

    def common(self, column: str) -> Any:
        """The value that most of its slices have; None if none has any."""
        return most_common(self.slices[column])

    @property
    def explained(self) -> int:
        """Slices that may be missing in the stack because of a fault that another rule names."""
        unplaced = 0 if self.stack is None else len(self.slices) - len(self.stack.order)
        surplus = 0 if self.stack is None else self.stack.n_surplus
        return self.unknown + unplaced + surplus

    @property
    def suspect(self) -> set[int]:
        """Slices whose own position is at fault (CTS007, CTS009, CTS010)."""
        if self.stack is None:
            return set()
        if self.stack.sheared:
            return set(range(len(self.slices)))
        doubled = {index for group in self.stack.duplicates for index in group}
        return doubled | set(self.stack.off_lattice) | set(self.stack.displaced)


@dataclass(frozen=True)
class Dso:
    """One segmentation object, and the CT series that it belongs to."""

    patient: str | None
    path: str
    row: Mapping[str, Any]
    """Its row of `dsos`."""
    frames: Any
    """Its rows of `frames`, in the order of frame numbers."""
    segments: Any
    """Its rows of `segments`."""
    references: Any
    """Its rows of `references`."""
    ct: CtSeries | None
    """The patient's CT series; of several, the one that it refers to. None if there is none (REL008)."""
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

    def level(self, level: str) -> Any:
        """Its references of one level."""
        return self.references[self.references["level"] == level]

    @property
    def numbers(self) -> Floats:
        """Segment numbers of its frames, NaN where one is missing."""
        values: Floats = self.frames["segment_number"].to_numpy(dtype="float64", na_value=float("nan"))
        return values

    def label(self, context: Context, number: float | None) -> str:
        """A segment as a finding names it: its label if the vocabulary has it, and its number."""
        if number is None or number != number:
            return "no segment"
        named = self.segments[self.segments["segment_number"] == number]
        label = text(named["label"].iloc[0]) if len(named) else None
        if label is not None and context.profile.term(label) is not None:
            return context.show.text(" ".join(label.split()), known=(" ".join(label.split()),))
        return f"segment {int(number)}"

    def frames_by_segment(self, context: Context, chosen: Flags) -> str:
        """Some frames in words: `frames 57-61 (Tumor_1), 70 (Liver)`."""
        numbers, frames = self.numbers[chosen], self.frames["frame"].to_numpy(dtype="int64")[chosen]
        labels: dict[str, list[int]] = {}
        for number, frame in zip(numbers.tolist(), frames.tolist(), strict=True):
            labels.setdefault(self.label(context, number), []).append(frame)
        words = [f"{ranges(found)} ({label})" for label, found in labels.items()]
        return f"{'frame' if len(frames) == 1 else 'frames'} {', '.join(words)}"


def series_of(context: Context) -> list[CtSeries]:
    """All CT series but the smaller ones of a mixed folder, which REL014 names."""
    return context.once("ct series", lambda: _series(context))


def dsos_of(context: Context) -> list[Dso]:
    """All segmentation objects."""
    return context.once("dsos", lambda: _dsos(context))


def _series(context: Context) -> list[CtSeries]:
    slices, files = context["slices"], context["files"]
    if slices.empty:
        return []
    slices = slices.assign(folder=slices["path"].map(folder_of)).sort_values("path")
    unreadable = Counter(files.loc[files["kind"] == "unreadable", "folder"].fillna(""))
    size = Counter(zip(slices["patient"].fillna(""), slices["series_uid"].fillna(""), strict=True))
    in_folder = slices.groupby("folder")["series_uid"].apply(lambda uids: set(uids.fillna("")))
    found = []
    for (patient, uid), rows in slices.groupby(["patient", "series_uid"], dropna=False, sort=True):
        folders = sorted(set(rows["folder"]))
        owner = text(patient) or ""
        own = text(uid) or ""
        neighbours = {other for folder in folders for other in in_folder[folder]} - {own}
        if any((-size[owner, other], other) < (-len(rows), own) for other in neighbours):
            continue
        copies = _copies(rows, context.tolerances.position_mm)
        strays = sum(size[owner, other] for other in neighbours)
        found.append(
            _one_series(
                context,
                text(patient),
                text(uid),
                rows[~copies].reset_index(drop=True),
                sum(unreadable[folder] for folder in folders) + strays + int(copies.sum()),
            )
        )
    return found


def _copies(rows: Any, tolerance: float) -> Any:
    """Slices with a SOP Instance UID and position that an earlier one has."""
    import numpy as np

    copies = rows["sop_instance_uid"].notna() & rows["sop_instance_uid"].duplicated()
    if copies.any():
        first = rows.drop_duplicates("sop_instance_uid").set_index("sop_instance_uid")[POSITION]
        later = rows[copies]
        away = later[POSITION].to_numpy() - first.loc[later["sop_instance_uid"]].to_numpy()
        same = ~(np.linalg.norm(away, axis=1) > tolerance)
        copies.loc[copies] = same
    return copies


def _one_series(context: Context, patient: str | None, uid: str | None, slices: Any, unknown: int) -> CtSeries:
    from crlm_qc.geometry.stack import fit

    orientation = common_rows(slices[ORIENTATION].to_numpy())
    stack = None
    if orientation is not None and is_orthonormal(orientation[None, :], context.tolerances.orthonormal)[0]:
        stack = fit(slices[POSITION].to_numpy(), orientation[:3], orientation[3:], context.tolerances)
    folder = str(most_common(slices["folder"]))
    return CtSeries(patient, uid, folder, slices, unknown, stack, orientation)


def common_rows(values: Floats) -> Floats | None:
    """The commonest row of those without NaN; None if there is none."""
    import numpy as np

    usable = values[np.isfinite(values).all(axis=1)]
    if not len(usable):
        return None
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
    tables = {name: _split(context[name]) for name in ("frames", "segments", "references")}
    by_patient: dict[str, list[CtSeries]] = {}
    for series in series_of(context):
        if series.patient is not None:
            by_patient.setdefault(series.patient, []).append(series)
    found = []
    for row in context["dsos"].sort_values("path").to_dict("records"):
        path, patient = row["path"], text(row["patient"])
        frames, segments, references = (
            tables[name].get(path, context[name].iloc[:0]) for name in ("frames", "segments", "references")
        )
        named = set(references.loc[references["level"] == "series", "series_uid"].dropna())
        ct = _ct_of(by_patient.get(patient or "", []), named)
        foreign = ct is not None and bool(named) and ct.uid not in named
        frames = frames.sort_values("frame").reset_index(drop=True)
        found.append(Dso(patient, path, row, frames, segments, references, ct, foreign))
    return found


def _split(table: Any) -> dict[str, Any]:
    return {str(path): rows for path, rows in table.groupby("dso", sort=False)}


def _ct_of(series: list[CtSeries], named: set[str]) -> CtSeries | None:
    """The CT series that the object refers to; else the largest one of the patient."""
    meant = [one for one in series if one.uid in named] or series
    return max(meant, key=lambda one: (len(one.slices), one.uid or ""), default=None)


@dataclass(frozen=True)
class Sources:
    """How the frames of an object lie to the CT slices that they name as their source images."""

    in_ct: Flags
    """Frames with a source image in the CT series."""
    slice: npt.NDArray[np.int64]
    """The source slice (index into the series' slices), the nearest of several; -1 where there is none."""
    off: Flags
    """Frames that lie elsewhere than their source slice (DSO011)."""
    outside: Mapping[int, tuple[str, ...]]
    """Places of frames that name images which are not in the CT series, and the UIDs of these."""


def sources_of(context: Context, dso: Dso) -> Sources:
    """Frames against their source slices; nothing is off where there is no CT."""
    return context.once(("sources", dso.path), lambda: _sources(context, dso))


def _sources(context: Context, dso: Dso) -> Sources:
    import numpy as np

    n = len(dso.frames)
    nearest = np.full(n, -1, dtype=np.int64)
    off = np.zeros(n, dtype=bool)
    outside: dict[int, tuple[str, ...]] = {}
    if dso.ct is None or not n:
        return Sources(nearest >= 0, nearest, off, outside)
    slices = dso.ct.slices
    where: dict[str, list[int]] = {}
    for place, uid in enumerate(slices["sop_instance_uid"].tolist()):
        if isinstance(uid, str):
            where.setdefault(uid, []).append(place)
    place_of = {int(frame): place for place, frame in enumerate(dso.frames["frame"])}
    candidates: dict[int, list[int]] = {}
    references = dso.level("frame")
    for frame, uid in zip(references["frame"].tolist(), references["sop_instance_uid"].tolist(), strict=True):
        place = place_of.get(frame, -1)
        if place < 0:
            continue
        if isinstance(uid, str) and uid in where:
            candidates.setdefault(place, []).extend(where[uid])
        else:
            outside[place] = (*outside.get(place, ()), uid if isinstance(uid, str) else "")
    positions, frames = slices[POSITION].to_numpy(), dso.frames[POSITION].to_numpy()
    suspect = dso.ct.suspect
    for place, found in candidates.items():
        distance = np.linalg.norm(positions[found] - frames[place], axis=1)
        usable = np.isfinite(distance)
        best = int(np.argmin(np.where(usable, distance, np.inf)))
        nearest[place] = found[best]
        off[place] = (
            bool(usable[best]) and distance[best] > context.tolerances.position_mm and found[best] not in suspect
        )
    return Sources(nearest >= 0, nearest, off, outside)


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

    if dso.frames.empty:
        return np.zeros(0, dtype=bool)
    away = np.abs(dso.frames[list(columns)].to_numpy() - np.asarray(theirs, dtype=np.float64))
    differs: Flags = ~(away.max(axis=1) <= tolerance)
    return differs


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
        raise Skip("no decoder for the masks is installed", incomplete=True)
    if "failed" in states:
        raise Skip("no mask could be measured")
    raise Skip("there is no segmentation object" if not states else "the masks were not measured")


def whole_numbers(rows: Any, column: str) -> list[int]:
    """Values of an integer column, missing ones left out."""
    return [value for value in (whole(cell) for cell in rows[column]) if value is not None]
