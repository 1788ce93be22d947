"""Strip plots: one dot a patient, the published figures as lines; placed here, drawn as SVG by the template.

A plot is as wide as its column, so places across are percent of the width and text never shrinks; places down are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from crlm_qc.model.report import Figure, PatientFacts
from crlm_qc.model.words import plural

LEFT, RIGHT = 4.0, 96.0
"""Where the scale begins and ends, in percent of the width."""
BAND = 132.0
"""Height at most of the band that the dots lie in, in pixels."""
PITCH = 8.5
"""From a dot to the one on top of it, in pixels."""
WIDTH, RING = 1.9, 3.0
"""How wide a dot and an outlier's ring are, in percent of the width of a plot on a wide screen."""
HEAD, NO_HEAD = 54.0, 6.0
"""Room above it, with and without the labels of published figures."""
FOOT = 26.0
"""Room below it, for the scale."""
ROWS = (13.0, 29.0, 45.0)
"""Base lines of the labels of the published smallest, median and largest."""
MAX_NAMED = 8
"""Outliers that are named; the table has them all."""
MAX_DOTS = 600
"""Dots of one plot; of more patients it has those far out, and of the others every so many by rank."""
FENCE = 3.0
"""Interquartile ranges beyond the quartiles where an outlier begins, if no range was published."""
MAX_TICKS = 6
EDGE = 6.0
"""From the band's edges to the dots nearest to them, in pixels."""
LEAST = 40.0
"""Height at least of the band, in pixels."""
FEWEST = 8
"""Patients that quartiles need at the least."""

_PARTS = ("min", "median", "max")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a plot is of."""

    name: str
    """Field of `PatientFacts`, and measure of `Figure`."""
    title: str
    unit: str = ""
    digits: int = 0
    log: bool = False
    margin: float = 0.0
    """How far the scale goes beyond the values, in the measure's unit."""

    def told(self, value: float) -> str:
        """A value as people read it, without its unit: zeros at its end left out."""
        text = f"{value:,.{self.digits}f}".replace("-", "\N{MINUS SIGN}")
        return text.rstrip("0").rstrip(".") if "." in text else text

    def said(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.told(value)} {self.unit}".rstrip()


MEASURES = (
    Measure("liver_ml", "Liver volume", "mL", 2),
    Measure("tumour_ml", "Tumour volume, all of a patient's tumours", "mL", 2, log=True),
    Measure("remnant_ml", "Volume of the liver remnant", "mL", 2),
    Measure("hepatic_ml", "Volume of the hepatic veins", "mL", 2),
    Measure("portal_ml", "Volume of the portal vein", "mL", 2),
    Measure("tumours", "Tumours per patient", margin=0.3),
    Measure("ct_slices", "CT slices"),
    Measure("spacing_mm", "Slice spacing", "mm", 3),
    Measure("in_plane_mm", "In-plane spacing", "mm", 3),
    Measure("liver_hu", "Median CT value in the liver", "HU", 1),
    Measure("portal_hu", "Median CT value in the portal vein", "HU", 1),
    Measure("referenced_percent", "CT slices that the segmentation refers to", "%", 1),
    Measure("overlap_mm3", "Overlap of tumour segments, where there is any", "mm\N{SUPERSCRIPT THREE}", 1, log=True),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """What a plot of two measures is of; equal values lie on a line."""

    name: str
    title: str
    across: Measure
    down: Measure
    apart: str
    """What an outlier is."""
    least: float
    """Differences up to this, in the measures' unit, count as none."""
    fraction: float
    """The same as a part of the measure across."""

    def differ(self, across: float, down: float) -> bool:
        """Whether two values are apart."""
        return abs(across - down) > max(self.least, self.fraction * across)


PAIRS = (
    Pair(
        "thickness",
        "SliceThickness against slice spacing",
        Measure("spacing_mm", "Slice spacing", "mm", 3),
        Measure("thickness_mm", "SliceThickness", "mm", 3),
        "with a thickness that is not the spacing",
        0.01,
        0.01,
    ),
    Pair(
        "size",
        "Size in the workbook against the largest tumour segment",
        Measure("diameter_mm", "Largest diameter of a tumour in one slice", "mm", 1),
        Measure("stated_mm", "max_tumor_size of the workbook", "mm", 1),
        "more than half off",
        0.0,
        0.5,
    ),
)


@dataclass(frozen=True, slots=True)
class Dot:
    """A patient."""

    patient: str
    value: float
    x: float
    y: float
    outlier: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A published figure, or a tick of the scale."""

    x: float
    text: str
    y: float = 0.0
    side: str = "middle"
    """Which part of its text stands at x: `start`, `middle` or `end`."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One strip plot."""

    measure: Measure
    dots: Sequence[Dot]
    """By value, then by patient; no more than `MAX_DOTS`."""
    patients: int
    """Patients with a value."""
    beyond_count: int
    """Those of them beyond the published range, or far from the others."""
    lines: Sequence[Mark]
    ticks: Sequence[Mark]
    extent: str
    """Smallest, median and largest in words."""
    published: str
    """The same as published; empty if nothing was."""
    beyond: str
    """What an outlier is beyond."""
    missing: int
    """Patients without a value."""
    base: float
    """Where the scale lies, in pixels from the top."""

    @property
    def height(self) -> float:
        """Height of the whole, in pixels."""
        return self.base + FOOT

    @property
    def outliers(self) -> list[Dot]:
        """Dots beyond the published range, or far from the others where none was published."""
        return [dot for dot in self.dots if dot.outlier]

    @property
    def in_words(self) -> str:
        """All that the plot shows, in sentences."""
        said = [f"{plural(self.patients, 'patient')}: {self.extent}."]
        if self.published:
            said.append(f"Published: {self.published}.")
        named = ", ".join(f"{dot.patient} {self.measure.said(dot.value)}" for dot in self.outliers[:MAX_NAMED])
        said.append(f"{self.beyond_count:,} {self.beyond}{': ' + named if named else ''}.")
        return " ".join(said)


def plots(patients: Sequence[PatientFacts], figures: Sequence[Figure]) -> list[Plot]:
    """A plot for each measure that any patient has a value of.

    Parameters
    ----------
    patients : sequence of PatientFacts
        Figures of the patients.
    figures : sequence of Figure
        Published figures; those of a measure that has a plot are drawn as lines.

    Returns
    -------
    list of Plot
        The same for the same figures, whatever their order.
    """
    made = []
    for measure in MEASURES:
        values = {one.patient: getattr(one, measure.name) for one in patients}
        known = {name: float(value) for name, value in values.items() if value is not None}
        if measure.log:
            # Nothing has no place on a logarithmic scale; a mask of nothing has rules of its own.
            known = {name: value for name, value in known.items() if value > 0}
        if known:
            published = {one.part: one for one in figures if one.measure == measure.name and one.part in _PARTS}
            made.append(_plot(measure, known, published, len(values) - len(known)))
    return made


@dataclass(frozen=True, slots=True)
class PairDot:
    """A patient in a plot of two measures."""

    patient: str
    across: float
    down: float
    x: float
    y: float
    outlier: bool


@dataclass(frozen=True, slots=True)
class PairPlot:
    """One plot of two measures."""

    pair: Pair
    dots: Sequence[PairDot]
    """By patient; no more than `MAX_DOTS`."""
    patients: int
    """Patients with both values."""
    apart_count: int
    """Those of them whose values are apart."""
    ticks: Sequence[Mark]
    """Of the scale across."""
    levels: Sequence[Mark]
    """Of the scale upwards."""
    equal: tuple[float, float, float, float]
    """The line of equal values: x, y, x, y."""
    missing: int
    """Patients without one of the two."""

    @property
    def height(self) -> float:
        """Height of the whole, in pixels."""
        return SQUARE + FOOT + NO_HEAD

    @property
    def base(self) -> float:
        """Where the scale across lies, in pixels from the top."""
        return SQUARE + NO_HEAD

    @property
    def outliers(self) -> list[PairDot]:
        """Dots whose two values are apart, the farthest first."""
        return sorted(
            (dot for dot in self.dots if dot.outlier), key=lambda dot: (-abs(dot.across - dot.down), dot.patient)
        )

    def said(self, dot: PairDot) -> str:
        """Both values of a dot."""
        return f"{self.pair.down.told(dot.down)} against {self.pair.across.said(dot.across)}"

    @property
    def in_words(self) -> str:
        """All that the plot shows, in sentences."""
        named = ", ".join(f"{dot.patient} {self.said(dot)}" for dot in self.outliers[:MAX_NAMED])
        said = f"{plural(self.patients, 'patient')}: {self.pair.down.title} upwards, {self.pair.across.title} across."
        return f"{said} {self.apart_count:,} {self.pair.apart}{': ' + named if named else ''}."


SQUARE = 220.0
"""Height of the field of a plot of two measures, in pixels."""


def pair_plots(patients: Sequence[PatientFacts]) -> list[PairPlot]:
    """A plot for each pair of measures that any patient has both of.

    Parameters
    ----------
    patients : sequence of PatientFacts
        Figures of the patients.

    Returns
    -------
    list of PairPlot
        The same for the same figures, whatever their order.
    """
    made = []
    for pair in PAIRS:
        known = {
            one.patient: (float(across), float(down))
            for one in patients
            if (across := getattr(one, pair.across.name)) is not None
            and (down := getattr(one, pair.down.name)) is not None
        }
        if known:
            made.append(_pair_plot(pair, known, len(patients) - len(known)))
    return made


def _pair_plot(pair: Pair, values: Mapping[str, tuple[float, float]], missing: int) -> PairPlot:
    every = [value for both in values.values() for value in both]
    # Both scales are the same, so that equal values lie on one straight line.
    place = _Scale(min(every), max(every), pair.across)

    def up(value: float) -> float:
        return round(NO_HEAD + SQUARE * (RIGHT - place(value)) / (RIGHT - LEFT), 1)

    ticks = place.ticks()
    low, high = place.bounds
    ordered = sorted(values.items())
    apart = [pair.differ(across, down) for _, (across, down) in ordered]
    return PairPlot(
        pair,
        [
            PairDot(patient, across, down, round(place(across), 2), up(down), apart[index])
            for index in _drawn(apart)
            for patient, (across, down) in (ordered[index],)
        ],
        len(ordered),
        sum(apart),
        [Mark(round(place(value), 2), pair.across.told(value)) for value in ticks],
        [Mark(LEFT, pair.down.told(value), up(value), "end") for value in ticks],
        (round(place(low), 2), up(low), round(place(high), 2), up(high)),
        missing,
    )


def _plot(measure: Measure, values: Mapping[str, float], published: Mapping[str, Figure], missing: int) -> Plot:
    drawn = [*values.values(), *(one.published for one in published.values())]
    place = _Scale(min(drawn), max(drawn), measure)
    low, high = _bounds(measure, list(values.values()), published)
    ordered = sorted(values.items(), key=lambda item: (item[1], item[0]))
    outside = [not low <= value <= high for _, value in ordered]
    dotted = _drawn(outside)
    beyond = [outside[index] for index in dotted]
    shown = [ordered[index] for index in dotted]
    # Across is the value and nothing else, so that no dot is on the wrong side of a line.
    across = [round(place(value), 2) for _, value in shown]
    levels = _piled(across, beyond)
    heights = _heights(max(levels))
    base = (HEAD if published else NO_HEAD) + max(2 * EDGE + heights[-1], LEAST)
    return Plot(
        measure,
        [
            Dot(patient, value, x, round(base - EDGE - heights[level], 1), outlier)
            for (patient, value), x, level, outlier in zip(shown, across, levels, beyond, strict=True)
        ],
        len(ordered),
        sum(outside),
        [
            _line(measure, published[part], place, row)
            for part, row in zip(_PARTS, ROWS, strict=True)
            if part in published
        ],
        [Mark(round(place(value), 2), measure.told(value)) for value in place.ticks()],
        _extent(measure, min(values.values()), median(values.values()), max(values.values())),
        _extent(measure, *(published[part].published for part in _PARTS)) if set(_PARTS) <= set(published) else "",
        "outside of the published range" if _ranged(published) else "far from the others",
        missing,
        round(base, 1),
    )


def _drawn(outside: Sequence[bool]) -> list[int]:
    """Which of the patients get a dot: all, or those far out and of the others every so many."""
    if len(outside) <= MAX_DOTS:
        return list(range(len(outside)))
    far = _every_so_many([index for index, out in enumerate(outside) if out], MAX_DOTS // 2)
    near = _every_so_many([index for index, out in enumerate(outside) if not out], MAX_DOTS - len(far))
    return sorted(far + near)


def _every_so_many(indices: Sequence[int], most: int) -> list[int]:
    """So many of them at most, evenly over the whole, the first and the last among them."""
    if len(indices) <= most:
        return list(indices)
    return [indices[number * (len(indices) - 1) // (most - 1)] for number in range(most)]


def _piled(across: Sequence[float], rings: Sequence[bool]) -> list[int]:
    """On what level each dot lies: the lowest where it touches none of those that were placed before it."""
    placed: list[list[tuple[float, float]]] = []
    levels = [0] * len(across)
    # Not from the left to the right, which makes piles that lean: by halves, quarters, eighths ...
    for index in sorted(range(len(across)), key=_mirrored):
        x, half = across[index], (RING if rings[index] else WIDTH) / 2
        free = (all(abs(x - other) >= half + its for other, its in row) for row in placed)
        level = next((level for level, fits in enumerate(free) if fits), len(placed))
        if level == len(placed):
            placed.append([])
        placed[level].append((x, half))
        levels[index] = level
    return levels


def _heights(most: int) -> list[float]:
    """How high dots of each level lie: one on the other, or ever closer if the band is too low for so many."""
    room = BAND - 2 * EDGE
    if most * PITCH <= room:
        return [PITCH * level for level in range(most + 1)]
    power = math.log(room / PITCH) / math.log(most)
    return [room * (level / most) ** power for level in range(most + 1)]


def _mirrored(number: int) -> float:
    """The binary digits of a number behind the point, in reverse (van der Corput's sequence): 0, 1/2, 1/4, 3/4 ..."""
    return int(f"{number:b}"[::-1], 2) / float(1 << number.bit_length())


def _extent(measure: Measure, low: float, middle: float, high: float) -> str:
    return f"smallest {measure.told(low)}, median {measure.told(middle)}, largest {measure.said(high)}"


def _ranged(published: Mapping[str, Figure]) -> bool:
    return "min" in published and "max" in published


def _bounds(measure: Measure, values: Sequence[float], published: Mapping[str, Figure]) -> tuple[float, float]:
    """Between what values nothing is an outlier."""
    if _ranged(published):
        least, most = published["min"], published["max"]
        return least.published - least.tolerance, most.published + most.tolerance
    if len(values) < FEWEST:
        return -math.inf, math.inf
    scaled = [math.log10(value) for value in values] if measure.log else values
    first, _, third = quantiles(scaled, n=4, method="inclusive")
    # Where most values are one and the same, the quartiles say nothing of how far is far.
    reach = FENCE * (third - first) or math.inf
    low, high = first - reach, third + reach
    return (10**low, 10**high) if measure.log else (low, high)


def _line(measure: Measure, figure: Figure, place: _Scale, row: float) -> Mark:
    x = place(figure.published)
    side = "start" if x < 50 else "end"
    word = {"min": "smallest", "median": "median", "max": "largest"}[figure.part]
    return Mark(round(x, 2), f"{word} {measure.told(figure.published)}", row, side)


class _Scale:
    """Turns values into places across, in percent of the width."""

    def __init__(self, low: float, high: float, measure: Measure) -> None:
        self._log, self._least = measure.log, 10.0**-measure.digits
        if self._log:
            low, high = math.log10(low), math.log10(high)
        low, high = low - measure.margin, high + measure.margin
        if high - low < 1e-9:
            low, high = low - 1, high + 1
        self._low, self._high = low, high

    @property
    def bounds(self) -> tuple[float, float]:
        """Where a scale that is not logarithmic begins and ends."""
        return self._low, self._high

    def __call__(self, value: float) -> float:
        part = ((math.log10(value) if self._log else value) - self._low) / (self._high - self._low)
        return LEFT + part * (RIGHT - LEFT)

    def ticks(self) -> list[float]:
        """Round values on the scale, about five; on a logarithmic one, powers of ten, or 1, 2 and 5 times such."""
        if self._log:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            for parts in ((1, 2, 5), (1,)):
                found = [part * 10.0**power for power in powers for part in parts]
                found = [value for value in found if self._low - 1e-9 <= math.log10(value) <= self._high + 1e-9]
                # No finer than what is told of a value, as below: two marks would read alike.
                found = [value for value in found if value > self._least * (1 - 1e-9)]
                if len(found) <= MAX_TICKS:
                    return found
            return found[:: math.ceil(len(found) / MAX_TICKS)]
        span = self._high - self._low
        unit = 10.0 ** math.floor(math.log10(span))
        step = next(unit * part for part in (0.2, 0.5, 1, 2) if span / (unit * part) <= MAX_TICKS)
        # No finer than what is told of a value.
        step = max(self._least, step)
        first, last = math.ceil(self._low / step - 1e-9), math.floor(self._high / step + 1e-9)
        return [round(number * step, 9) for number in range(first, last + 1)]
