"""CT series as the rules look at them, each with its stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.series import strays
from crlm_qc.model.finding import MAX_EXAMPLES, Found, Kind, Subject
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Slice
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.columns import ORIENTATION, POSITION, Columns, common_row, is_orthonormal
from crlm_qc.subjects.words import commonest, commonest_met, file_names, folder_of, rooms, text

if TYPE_CHECKING:
    from crlm_qc.geometry.stack import Gap, Stack, Stretch
    from crlm_qc.geometry.volumes import Volumes
    from crlm_qc.subjects.columns import Floats

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
"""CT Image Storage, whose images have one frame each."""
_SAME_SPACING = 1e-3
"""Part by which two spacings, and so volumes, may differ before it matters: no rule asks for finer."""


@dataclass(frozen=True, eq=False)
class CtSeries:
    """One CT series of a patient."""

    patient: str | None
    uid: str | None
    folder: str
    """The folder that most of its slices lie in."""
    slices: Columns
    """Its rows of `slices`, in the order of paths; copies of a slice (REL006) and localizers (CTS029) are left out."""
    unknown: int
    """Files of its folders that may be slices of it and can't be told: unreadable (REL004), of another series (REL014),
    or copies that lie where another slice was (REL006)."""
    stack: Stack | None
    """None where its orientation is invalid (CTS005) or missing, where it is several volumes, and where an image has
    several frames (CTS030)."""
    orientation: Floats | None
    """The orientation that most of its slices have, shape (6,)."""
    _stretches: tuple[Stretch, ...] = field(default=(), repr=False)
    """Those of the stack, whatever the numbers say."""
    failure: str | None = None
    """Why no stack could be fitted to positions and a valid orientation; CTS019 says so."""
    volumes: Volumes | None = None
    """Its volumes, where it is more than one (CTS018 if AcquisitionNumber tells them apart, else CTS028)."""
    localizers: Columns | None = None
    """Rows of `slices` of images that are no slices of it (CTS029); None if there is none."""
    framed: tuple[int, ...] = ()
    """Slices that are CT images of several frames, as their class has none (CTS030)."""
    _common: dict[str, Any] = field(default_factory=dict, repr=False)

    def subject(self, context: Context, column: str | None = None) -> Subject:
        """The series as the subject of a finding."""
        return Subject(
            Kind.SERIES,
            path=context.show.path(self.folder or "."),
            uid=None if self.uid is None else context.show.uid(self.uid),
            column=column,
        )

    def found(
        self,
        context: Context,
        message: str,
        expected: str,
        observed: str,
        slices: Sequence[int] = (),
        *,
        column: str | None = None,
        count: int | None = None,
        examples: Sequence[str] | None = None,
        severity: Severity | None = None,
        seen_at: Sequence[int] | None = None,
    ) -> Found:
        """A finding on the series; its count, its examples and where it is seen are the slices named."""
        return Found(
            self.subject(context, column),
            message,
            expected,
            observed,
            self.patient,
            max(1, len(slices)) if count is None else count,
            tuple(self.names(context, slices[:MAX_EXAMPLES]) if examples is None else examples),
            severity,
            self.places(slices[:MAX_EXAMPLES] if seen_at is None else seen_at),
        )

    def names(self, context: Context, places: Iterable[int]) -> list[str]:
        """File names of some slices."""
        paths = self.slices["path"]
        return file_names(context, [paths[place] for place in places])

    def places(self, places: Iterable[int]) -> tuple[Slice, ...]:
        """Some slices, as places where a finding is seen."""
        paths = self.slices["path"]
        return tuple(Slice(str(paths[place])) for place in places)

    def common(self, column: str) -> Any:
        """The value that most of its slices have, among equals as `commonest_met`; None if none has any."""
        if column not in self._common:
            counts = Counter(value for value in self.slices[column].tolist() if value is not None and value == value)
            self._common[column] = commonest_met(counts)
        return self._common[column]

    @property
    def one_spacing(self) -> bool:
        """Whether one slice spacing can hold for it, so that what depends on it may be judged."""
        return self.volumes is None and not self.framed and not self.stretches

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """Parts of its stack with a spacing of their own, from the lowest (CTS009); none if it has one spacing.

        Where the numbering lacks numbers, a wider spacing is one of slices that are missing (CTS008).
        """
        if self.stack is None or not (self.stack.uneven or self.stack.missing) or self.lost:
            return ()
        return self._stretches

    @cached_property
    def lost(self) -> tuple[Gap, ...]:
        """Gaps where slices are missing (CTS008): whole multiples of the spacing, for which a number is missing too.

        A gap beside a slice without a number, or between two of one number, is taken for one.
        """
        return tuple(gap for gap in self._multiples if self._steps(gap) != self._usual_step)

    @cached_property
    def widened(self) -> tuple[Gap, ...]:
        """Gaps of a whole multiple of the spacing between slices of neighbouring numbers: no slice was there (CTS009)."""
        return tuple(gap for gap in self._multiples if self._steps(gap) == self._usual_step)

    @property
    def _multiples(self) -> tuple[Gap, ...]:
        return () if self.stack is None else self.stack.missing

    def _steps(self, gap: Gap) -> int | None:
        numbers = self.slices.whole("instance_number")
        ends = numbers.get(gap.below), numbers.get(gap.above)
        return None if ends[0] is None or ends[1] is None else abs(ends[1] - ends[0])

    @cached_property
    def _usual_step(self) -> int:
        """By how much numbers of neighbouring slices differ, mostly."""
        numbers = self.slices.whole("instance_number")
        ordered = (
            [] if self.stack is None else [numbers[place] for place in self.stack.order.tolist() if place in numbers]
        )
        steps = Counter(abs(after - before) for before, after in pairwise(ordered))
        return commonest(steps) or 1

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


@once
def series_of(context: Context) -> list[CtSeries]:
    """All CT series but the smaller ones of a mixed folder, which REL014 names."""
    files = context["files"]
    # In the order of paths, also where names are no longer in them.
    slices = Columns.of(context["slices"])
    unreadable = Counter(files.loc[files["kind"] == "unreadable", "folder"].fillna("").tolist())
    folders = [folder_of(path) for path in slices["path"].tolist()]
    owners = list(zip(slices["patient"].tolist(), slices["series_uid"].tolist(), strict=True))
    own_rooms = rooms(context, folders, [uid for _, uid in owners])
    rows: dict[tuple[str | None, str | None], list[int]] = {}
    within: dict[str, set[tuple[str | None, str | None]]] = {}
    for place, (owner, room) in enumerate(zip(owners, own_rooms, strict=True)):
        rows.setdefault(owner, []).append(place)
        within.setdefault(room, set()).add(owner)
    astray = strays({_named(owner): [own_rooms[place] for place in places] for owner, places in rows.items()})
    found = []
    for owner in sorted(rows, key=_named):
        places = rows[owner]
        own = Counter(folders[place] for place in places)
        neighbours = {other for place in places for other in within[own_rooms[place]]} - {owner}
        if _named(owner) in astray:
            continue
        kept = _without_copies(slices, places, context.tolerances.position_mm)
        surplus = sum(len(rows[other]) for other in neighbours) + len(places) - len(kept)
        folder = commonest(own)
        unknown = sum(unreadable[name] for name in own) + surplus
        found.append(_one_series(context, owner, folder, slices.take(kept), unknown))
    return found


def _named(owner: tuple[str | None, str | None]) -> tuple[str, str]:
    """Patient and Series Instance UID, which may be missing, as keys that can be sorted."""
    return owner[0] or "", owner[1] or ""


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
    import numpy as np

    from crlm_qc.geometry.volumes import localizers_of

    aside = localizers_of(slices["image_type"].tolist(), slices.matrix(ORIENTATION))
    localizers = slices.take(np.flatnonzero(aside)) if aside.any() else None
    slices = slices.take(np.flatnonzero(~aside)) if aside.any() else slices
    orientation = common_row(slices.matrix(ORIENTATION))
    several = (slices["number_of_frames"] > 1) & (slices["sop_class_uid"] == CT_IMAGE)
    framed = tuple(np.flatnonzero(several).tolist())
    stack = failure = volumes = None
    stretches: tuple[Stretch, ...] = ()
    if orientation is not None and is_orthonormal(orientation[None, :], context.tolerances.orthonormal)[0]:
        volumes = None if framed else _volumes(context, slices, orientation)
        if volumes is None and not framed:
            stack, failure = stack_of(context, slices.matrix(POSITION), orientation)
            stretches = () if stack is None else stack.stretches(context.tolerances)
    return CtSeries(
        *owner,
        folder,
        slices,
        unknown,
        stack,
        orientation,
        stretches,
        failure,
        volumes=volumes,
        localizers=localizers,
        framed=framed,
    )


def _volumes(context: Context, slices: Columns, orientation: Floats) -> Volumes | None:
    import numpy as np

    from crlm_qc.geometry.volumes import APART, volumes_of

    apart = {
        name: [value if value == value else None for value in slices[column].tolist()] for name, column in APART.items()
    }
    return volumes_of(
        slices.matrix(POSITION) @ np.cross(orientation[:3], orientation[3:]),
        slices["instance_number"],
        slices["acquisition_time"],
        apart,
        slices["hu_soft"],
        context.tolerances,
    )


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


def same_length(context: Context, one: float, other: float) -> bool:
    """Whether two lengths that headers give are the same, as far as they are rounded."""
    tolerances = context.tolerances
    return abs(one - other) <= max(tolerances.spacing_mm, tolerances.spacing_fraction * abs(one))


def thickness_of(context: Context, series: CtSeries) -> float | None:
    """SliceThickness of a series, mm; None if it has none, or several (CTS032)."""
    import numpy as np

    values = series.slices["slice_thickness"][series.slices.present("slice_thickness")]
    if not len(values) or not same_length(context, float(values.min()), float(values.max())):
        return None
    return float(np.median(values))


def measured_otherwise(context: Context) -> list[tuple[CtSeries, float]]:
    """Series that evidence holds another slice spacing of than these tolerances give, each with that spacing, mm.

    Evidence may have been saved under another profile. What it measured with a spacing, such as volumes, can't be measured
    again without the files; most tolerances make no difference to the spacing, and then it need not be.
    """
    import numpy as np

    if context.evidence.facts.tolerances == context.tolerances.measuring:
        return []
    table = Columns.of(context["ct_series"])
    rows = zip(*(table[name].tolist() for name in ("patient", "series_uid", "spacing")), strict=True)
    measured = {(patient, uid): spacing for patient, uid, spacing in rows}
    found = []
    for one in series_of(context):
        spacing = measured.get((one.patient, one.uid))
        if one.stack is None or spacing is None:
            continue
        if not np.isclose(spacing, one.stack.spacing, rtol=_SAME_SPACING, atol=0.0, equal_nan=True):
            found.append((one, spacing))
    return found


def need_pixels(context: Context) -> None:
    """Tell apart CT values that there are none of from those that no decoder was there for.

    Raises
    ------
    crlm_qc.rulebook.rule.Skip
        No slice could be read because a decoder is missing.
    """
    from crlm_qc.rulebook.rule import Skip

    if (why := _no_pixels(context)) is not None:
        raise Skip(why, incomplete=True)


@once
def _no_pixels(context: Context) -> str | None:
    """Why no slice could be read; None if one was, or no decoder was missing."""
    slices = context["slices"]
    lacking = slices["pixels"] == "no-decoder"
    if lacking.any() and slices["hu_min"].isna().all():
        return undecoded("the CT images", set(slices.loc[lacking, "pixels_detail"]))
    return None


def undecoded(what: str, details: Collection[Any]) -> str:
    """Why something was not read, with the packages that would read it."""
    said = sorted(detail for value in details if (detail := text(value)) is not None)
    return f"{what} were not read: {'; '.join(said) or 'no decoder for them is installed'}"
