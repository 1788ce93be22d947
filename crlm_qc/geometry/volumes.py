"""Series that are more than one volume: runs of slices that go over the same body again.

A second contrast phase or reconstruction in the series of the first looks, to who takes all slices for one stack, like
gaps, uneven spacing or doubled positions. So runs are looked for before the stack is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crlm_qc.geometry.lattice import Flags, Floats, Ints, starts_of
from crlm_qc.model.tolerances import Tolerances

APART = {
    "AcquisitionNumber": "acquisition_number",
    "ConvolutionKernel": "convolution_kernel",
    "SliceThickness": "slice_thickness",
}
"""Attributes that may tell runs apart, and the columns of `slices` that hold them."""
_OF_A_STACK = frozenset({"ConvolutionKernel", "SliceThickness"})
"""Those of them that may differ from slice to slice by mistake, which is CTS032's."""
_EVEN = 0.05
"""Part of the spacing by which gaps of an even stack may differ."""
LOCALIZER = "LOCALIZER"
"""What ImageType calls a localizer (PS3.3 C.8.2.1.1.1)."""
_ACROSS = 0.5
"""Cosine of normals below which an image lies across the others: over 60 degrees."""
_FEWEST = 3
"""Slices of a run: fewer are slices out of place, which rules on positions and numbers name one by one."""
_MOST_ASTRAY = 0.1
"""Part of the slices that may belong to no run."""
_PAUSE = 5.0
"""How many times longer than most a pause between acquisition times is that parts two runs."""
_FEWEST_ALIKE = 8
"""Slices whose share of soft tissue must repeat for them to show the same body."""
_FEWEST_ALIKE_ALONE = 15
"""The same where nothing else tells the runs apart."""
_MOST_ALIKE = 0.8
"""Part of the shorter run that must repeat."""
_LEAST_CHANGE = 0.02
"""Spread (standard deviation) of the share of soft tissue along a run: one that hardly changes looks alike anywhere."""
_LARGEST_DIFFERENCE = 0.15
"""How far the shares of two runs may differ (root mean square), as a part of their spread."""
_SEAM = 3.0
"""How many times more than most a step of the share is at a seam of two runs that nothing else tells apart."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """Runs of slices of one series, each a volume of its own."""

    runs: tuple[Ints, ...]
    """Slices (indices of those given) of each run along the normal, the run that was acquired or numbered first first."""
    by: tuple[str, ...]
    """What tells them apart, as the names given; `anatomy` where the images alone do."""
    across: bool
    """Whether they lie across each other; else one lies behind the other and shows the same body again."""
    offset: float
    """How far the slices of the second run are from those of the first, mm; NaN unless they lie across each other."""


def localizers_of(image_types: Sequence[str | None], orientations: Floats) -> Flags:
    """Images that are no slices of the stack that most form: localizers, and those of a plane across it.

    Parameters
    ----------
    image_types : sequence of str
        ImageType of each image, its values parted by backslashes; None where there is none.
    orientations : numpy.ndarray, shape (n, 6)
        ImageOrientationPatient; NaN where there is none.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        None of them where half of the images or more would be, so that there is no stack to stand among.
    """
    named = np.array([LOCALIZER in (text or "").upper().split("\\") for text in image_types], dtype=np.bool_)
    normals = np.cross(orientations[:, :3], orientations[:, 3:])
    usable = np.isfinite(normals).all(axis=1)
    found = named
    if usable.any():
        kinds, counts = np.unique(normals[usable].round(2), axis=0, return_counts=True)
        cosine = np.abs(normals @ kinds[int(np.argmax(counts))])
        found = named | (usable & (cosine < _ACROSS))
    return found if 2 * int(found.sum()) < found.size else np.zeros(found.size, dtype=np.bool_)


def volumes_of(
    along: Floats,
    numbers: Floats,
    times: Floats,
    others: Mapping[str, Sequence[object]],
    soft: Floats,
    tolerances: Tolerances,
) -> Volumes | None:
    """Find the volumes of a series.

    Parameters
    ----------
    along : numpy.ndarray, shape (n,)
        Positions of the slices along their normal, mm; NaN for a slice without one, which belongs to no run.
    numbers, times : numpy.ndarray, shape (n,)
        InstanceNumber, and AcquisitionTime in seconds; NaN where there is none.
    others : mapping
        Attributes that may differ from run to run, such as AcquisitionNumber, by their names; None where there is none.
    soft : numpy.ndarray, shape (n,)
        Part of each slice that is soft tissue; NaN where pixels were not read.
    tolerances : Tolerances
        `position_mm` is used.

    Returns
    -------
    Volumes or None
        None if the series is one volume, as far as can be told.
    """
    placed = np.flatnonzero(np.isfinite(along))
    if placed.size < 2 * _FEWEST:
        return None
    along, numbers, times, soft = (values[placed] for values in (along, numbers, times, soft))
    labellings = list(
        _labellings(
            along,
            numbers,
            times,
            {name: [values[place] for place in placed.tolist()] for name, values in others.items()},
            tolerances,
        )
    )
    found = next((labels for _, labels in labellings if _lie_across(labels, along, tolerances)), None)
    across = found is not None
    if found is None:
        found = next((labels for _, labels in labellings if _repeats(labels, along, soft, _FEWEST_ALIKE)), None)
    by = tuple(dict.fromkeys(name for name, labels in labellings if found is not None and _same(labels, found)))
    if found is None:
        found, by = _seam(along, soft), ("anatomy",)
        if found is None or not _repeats(found, along, soft, _FEWEST_ALIKE_ALONE):
            return None
    ranks = [np.where(np.isfinite(values).all(), values, 0.0) for values in (times, numbers)]
    runs = sorted(_runs(found), key=lambda run: [float(np.median(values[run])) for values in (*ranks, along)])
    runs = [run[np.argsort(along[run], kind="stable")] for run in runs]
    offset = _offset(along[runs[0]], along[runs[1]]) if across else float("nan")
    return Volumes(tuple(placed[run] for run in runs), by, across, offset)


def _labellings(
    along: Floats, numbers: Floats, times: Floats, others: Mapping[str, Sequence[object]], tolerances: Tolerances
) -> Iterator[tuple[str, Ints]]:
    """Ways to part the slices into runs, each with the name of what tells them apart."""
    for name, given in others.items():
        values = [_plain(value) for value in given]
        # What some slices lack tells nothing apart; and what differs from slice to slice of an even stack is no second one.
        if None in values or (name in _OF_A_STACK and _is_even(along, tolerances)):
            continue
        known = {value: code for code, value in enumerate(dict.fromkeys(values))}
        yield name, np.array([known[value] for value in values], dtype=np.int64)
    if np.isfinite(times).all():
        yield "AcquisitionTime", _pauses(times)
        yield "AcquisitionTime", _turns(times, along)
    if np.isfinite(numbers).all():
        yield "InstanceNumber", _turns(numbers, along)
        yield "InstanceNumber", _occurrences(numbers.astype(np.int64), along)
    planes = np.empty(along.size, dtype=np.int64)
    order = np.argsort(along, kind="stable")
    planes[order] = np.cumsum(starts_of(along[order], tolerances.position_mm))
    yield "ImagePositionPatient", _occurrences(planes, np.arange(along.size, dtype=np.float64))


def _plain(value: object) -> object:
    """A value such that those that mean the same are equal; None for one that is missing."""
    if isinstance(value, float):
        return round(value, 2) if np.isfinite(value) else None
    return " ".join(value.upper().split()) or None if isinstance(value, str) else value


def _is_even(along: Floats, tolerances: Tolerances) -> bool:
    """Whether all slices are evenly spaced, so that they are one stack."""
    gaps = np.diff(np.sort(along))
    return bool(np.ptp(gaps) <= 2 * tolerances.position_mm + _EVEN * np.median(gaps) and gaps.min() > 0)


def _pauses(times: Floats) -> Ints:
    """Runs parted by pauses that are long beside the others."""
    distinct, codes = np.unique(times, return_inverse=True)
    gaps = np.diff(distinct)
    long = np.ones(gaps.size, dtype=np.bool_) if gaps.size < _FEWEST else gaps > _PAUSE * np.median(gaps)
    runs: Ints = np.concatenate([[0], np.cumsum(long)])[codes].astype(np.int64)
    return runs


def _turns(values: Floats, along: Floats) -> Ints:
    """Runs over which positions rise or fall steadily with some values; of equal values, in the order that turns least."""
    found: list[Ints] = []
    for sign in (1.0, -1.0):
        order = np.lexsort((sign * along, values))
        labels, run, heading = np.empty(along.size, dtype=np.int64), 0, 0.0
        labels[order[0]] = 0
        for before, after in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
            step = float(np.sign(along[after] - along[before]))
            if heading and step != heading:
                run, heading = run + 1, 0.0
            else:
                heading = step
            labels[after] = run
        found.append(labels)
    return min(found, key=lambda labels: int(labels.max()))


def _occurrences(codes: Ints, order: Floats) -> Ints:
    """Runs of the first, the second ... slice of each code."""
    ranked = np.lexsort((order, codes))
    _, starts, lengths = np.unique(codes[ranked], return_index=True, return_counts=True)
    labels = np.empty(codes.size, dtype=np.int64)
    labels[ranked] = np.arange(codes.size) - np.repeat(starts, lengths)
    return labels


def _runs(labels: Ints) -> list[Ints]:
    """Slices of each run that has enough of them."""
    return [np.flatnonzero(labels == label) for label in np.flatnonzero(np.bincount(labels) >= _FEWEST)]


def _usable(labels: Ints) -> list[Ints]:
    """The runs, if there are several and hardly a slice is astray; else none."""
    if labels.max() == 0:
        return []
    runs = _runs(labels)
    enough = len(runs) > 1 and sum(run.size for run in runs) >= (1 - _MOST_ASTRAY) * labels.size
    return runs if enough else []


def _lie_across(labels: Ints, along: Floats, tolerances: Tolerances) -> bool:
    """Whether a run goes over positions where another one is."""
    slack = tolerances.position_mm
    spans = [np.sort(along[run]) for run in _usable(labels)]
    for place, one in enumerate(spans):
        for other in spans[:place]:
            shared = sorted((_within(one, other, slack), _within(other, one, slack)))
            if shared[0] >= _FEWEST - 1 and shared[1] >= _FEWEST:
                return True
    return False


def _within(one: Floats, other: Floats, slack: float) -> int:
    return int(((one >= other[0] - slack) & (one <= other[-1] + slack)).sum())


def _same(labels: Ints, found: Ints) -> bool:
    """Whether two labellings part the slices alike."""
    pairs = len(np.unique(np.stack([labels, found]), axis=1).T)
    return pairs == len(np.unique(labels)) == len(np.unique(found))


def _offset(first: Floats, second: Floats) -> float:
    """How far the slices of a run are from the nearest of another one, in the middle; the ends may lie outside."""
    nearest = np.abs(second[:, None] - first[None, :]).min(axis=1)
    return float(np.median(nearest[(second >= first[0]) & (second <= first[-1])]))


def _repeats(labels: Ints, along: Floats, soft: Floats, fewest: int) -> bool:
    """Whether each run shows what the first shows, by the share of soft tissue slice by slice."""
    runs = _usable(labels)
    if len(runs) < 2 or not np.isfinite(soft).all() or min(run.size for run in runs) < fewest:
        return False
    profiles = [soft[run[np.argsort(along[run], kind="stable")]] for run in runs]
    return all(_alike(profiles[0], other, fewest) for other in profiles[1:])


def _alike(one: Floats, other: Floats, fewest: int) -> bool:
    """Whether two profiles are the same where one is laid over the other."""
    short, long = sorted((one, other), key=len)
    least = max(fewest, int(np.ceil(_MOST_ALIKE * short.size)))
    for shift in range(least - short.size, long.size - least + 1):
        a = long[max(shift, 0) : shift + short.size]
        b = short[max(-shift, 0) : max(-shift, 0) + a.size]
        spread = float(min(a.std(), b.std()))
        if spread >= _LEAST_CHANGE and float(np.sqrt(((a - b) ** 2).mean())) <= _LARGEST_DIFFERENCE * spread:
            return True
    return False


def _seam(along: Floats, soft: Floats) -> Ints | None:
    """Two runs parted where the share of soft tissue jumps most; None if it does so nowhere."""
    if along.size < 2 * _FEWEST_ALIKE_ALONE or not np.isfinite(soft).all():
        return None
    order = np.argsort(along, kind="stable")
    steps = np.abs(np.diff(soft[order]))
    place = int(np.argmax(steps))
    if steps[place] <= _SEAM * float(np.quantile(steps, 0.9)):
        return None
    labels = np.empty(along.size, dtype=np.int64)
    labels[order] = np.arange(along.size) > place
    return labels
