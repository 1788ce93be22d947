"""CT series whose values are no Hounsfield units throughout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crlm_qc.model.tolerances import Tolerances
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.ct import CtSeries, series_of
from crlm_qc.subjects.words import number

if TYPE_CHECKING:
    from crlm_qc.subjects.columns import Columns, Flags

    Reading = Callable[[float], float]
    """From a CT value as it is read to what it should be."""

AIR_HU = -1000.0
SOFT_HU = (-200.0, 200.0)
"""Soft tissue, as the column `hu_soft` counts it."""
BODY_HU = (-250.0, 350.0)
"""What most of a body may be, contrast medium and noise included."""
CONTRAST_HU = 300.0
"""Nothing that fills the rim of an image is higher, but for bone."""
LUNG_HU = (-985.0, -600.0)
LUNG_SPREAD_HU = 30.0
"""Lung spreads farther: outside of a patient values spread by noise alone."""
PATIENT_SOFT = 0.2
"""Part of an image that is soft tissue where the patient fills its rim."""
STEP_HU = (600.0, 1600.0)
"""From air to tissue, roughly."""
SAME_STEP_HU = (850.0, 1250.0)
"""From air to tissue, where slope and bits are right."""
FLOOR_HU = -1024.0
"""Many scanners hold nothing lower, and pile air up there."""
CUT_BELOW_HU = -950.0
"""Scanners cut low values off below it, if at all."""
CUT_ABOVE_HU = (0.0, 1000.0)
"""Where no scanner cuts high values off."""
CUT_BELOW, CUT_ABOVE = 0.005, 0.0005
"""Part of an image that lies at the value where it was cut: air and fat; bone and contrast medium."""
HALF = 0.5
MOST = 0.9
"""Part of the slices that have it, for something to hold throughout."""
FIT_HU = 40.0
"""How far from -1000 HU air may lie where values are read in another way; farther, where it is noisy."""
LEAST_HU = -1200.0
"""No value may be lower, padding aside."""


@dataclass(frozen=True)
class Ruin:
    """What is wrong with the values of a series."""

    words: str
    """With how the values would read right, if that is known."""
    lowest: float
    highest: float
    rim: float | None
    """Most frequent value at the rim of the images, HU: air, if the patient is all in them."""


@once
def ruined(context: Context) -> dict[tuple[str | None, str | None], Ruin]:
    """Series whose values are ruined throughout, by patient and Series Instance UID."""
    found = {(one.patient, one.uid): _judged(one, context.tolerances) for one in series_of(context)}
    return {key: ruin for key, ruin in found.items() if ruin is not None}


def is_ruined(context: Context, series: CtSeries | None) -> bool:
    """Whether the CT values of a series say nothing."""
    return series is not None and (series.patient, series.uid) in ruined(context)


def _judged(series: CtSeries, tolerances: Tolerances) -> Ruin | None:
    import numpy as np

    read = series.slices.take(np.flatnonzero(series.slices.present("hu_min")))
    varied = read.take(np.flatnonzero(read["hu_min"] < read["hu_max"]))
    slope, intercept = series.common("rescale_slope"), series.common("rescale_intercept")
    if not len(varied) or len(varied) < MOST * len(read) or not slope or intercept is None:
        return None
    stored = _Stored(
        float(slope), float(intercept), series.common("pixel_representation") == 1, series.common("bits_stored") or 16
    )
    values = _Values.of(varied, stored, tolerances)
    words = next(values.wrong(), None)
    if words is None:
        return None
    rim = None if np.isnan(values.air) else values.air
    return Ruin(words, values.lowest, values.highest, rim)


@dataclass(frozen=True)
class _Stored:
    """How stored values are said to be read."""

    slope: float
    intercept: float
    signed: bool
    bits: int

    @property
    def half(self) -> float:
        """The first value that has another sign when it is read the other way."""
        return float(2 ** (self.bits - 1))

    def of(self, hu: float) -> float:
        """The stored value of a CT value."""
        return (hu - self.intercept) / self.slope

    def turned(self, hu: float) -> float:
        """A CT value, if its sign were read the other way."""
        value = self.of(hu)
        value += 2 * self.half * ((value < 0) if self.signed else -(value >= self.half))
        return value * self.slope + self.intercept

    def shifts(self) -> Iterator[tuple[str, Reading]]:
        """Readings that leave the distance of air and tissue alone."""
        if self.intercept:
            yield "as if RescaleIntercept was applied twice", lambda hu: hu - self.intercept
        else:
            yield "as if a RescaleIntercept of -1024 was not applied", lambda hu: hu + FLOOR_HU

    def readings(self) -> Iterator[tuple[str, Reading]]:
        """Other ways of reading values."""
        yield f"reads right as {'unsigned' if self.signed else 'signed'}", self.turned
        yield from self.shifts()
        yield "values are twice too large", lambda hu: hu / 2
        yield "values are half as large as they should be", lambda hu: hu * 2
        yield "as if RescaleSlope was doubled", lambda hu: (hu + self.intercept) / 2
        yield "as if RescaleSlope was halved", lambda hu: 2 * hu - self.intercept
        if self.slope != 1:
            yield "reads right with a RescaleSlope of 1", lambda hu: self.of(hu) + self.intercept
        yield "as if the sign was flipped", lambda hu: -hu
        yield "as if the sign of RescaleSlope was flipped", lambda hu: 2 * self.intercept - hu


@dataclass(frozen=True)
class _Values:
    """The CT values of a series; arrays are of the slices that levels were measured of."""

    stored: _Stored
    tolerances: Tolerances
    slices: Columns
    levels: Columns
    off: Flags
    """Slices whose rim is air and lies elsewhere than air does; none, if not most slices with air have it."""

    @classmethod
    def of(cls, slices: Columns, stored: _Stored, tolerances: Tolerances) -> _Values:
        """Those of some slices."""
        import numpy as np

        levels = slices.take(np.flatnonzero(slices.present("hu_rim")))
        return cls(stored, tolerances, slices, levels, _off(levels, tolerances))

    @property
    def lowest(self) -> float:
        """Lowest value, HU."""
        return float(self.slices["hu_min"].min())

    @property
    def highest(self) -> float:
        """Highest value, HU."""
        return float(self.slices["hu_max"].max())

    def level(self, name: str) -> float:
        """Middle of a level over the slices, those with air elsewhere if there are such; NaN if there is none."""
        import numpy as np

        values = self.levels[name][self.off] if self.off.any() else self.levels[name]
        values = values[~np.isnan(values)]
        return float(np.median(values)) if values.size else float("nan")

    @property
    def air(self) -> float:
        """Level of the rim, HU; NaN if it was not measured."""
        return self.level("hu_rim")

    @property
    def body(self) -> float:
        """Level of what lies far from it, HU; NaN if there is none."""
        return self.level("hu_body")

    def cause(self) -> tuple[str, bool]:
        """How air and tissue would fall right, empty if no simple way is found; and whether the rim is tissue."""
        air, body, ends = self.air, self.body, (self.lowest, self.highest)
        fit = max(FIT_HU, 2 * self.level("hu_rim_spread"))
        turned = any(self.stored.turned(end) != end for end in ends)
        for words, read in self.stored.readings():
            possible = turned if read == self.stored.turned else min(map(read, ends)) >= LEAST_HU
            if possible and abs(read(air) - AIR_HU) <= fit and SOFT_HU[0] <= read(body) <= SOFT_HU[1]:
                return words, False
        # Without air at the rim, tissue alone says it.
        for words, read in self.stored.shifts() if abs(air - AIR_HU) > fit else ():
            if SOFT_HU[0] <= read(air) <= SOFT_HU[1] and LEAST_HU <= read(body) <= CONTRAST_HU:
                return words, True
        return ("dark and bright are swapped" if STEP_HU[0] <= air - body <= STEP_HU[1] else ""), False

    def wrong(self) -> Iterator[str]:
        """What is wrong in all slices, what says most first."""
        slices, off = self.slices, self.off
        cause, tissue = self.cause()
        told = f", {cause}" if cause else ""
        side = "low" if self.air < AIR_HU else "high"
        lies = f"air lies at {number(self.air, 0)} HU: {number(abs(self.air - AIR_HU), 0)} too {side}"
        if tissue:
            lies = f"the rim of the images lies at {number(self.air, 0)} HU"
        least = float(slices["hu_max"].min())
        if not self.stored.signed and self.stored.half >= 2**15 and self.stored.of(least) >= self.stored.half:
            yield f"every slice has values of {number(least, 0)} HU or more{told}"
        steps = (self.highest - self.lowest) / abs(self.stored.slope)
        if len(self.levels) and steps <= 255:
            yield f"all values lie within {number(steps + 1, 0)} steps, as if only 8 bits were kept of them"
        if cut := self.cut():
            yield f"values are cut off at {' and '.join(number(value, 0) for value in cut)} HU"
        if off.any() and cause:
            yield lies + told
        right = abs(self.air - AIR_HU) <= FIT_HU and BODY_HU[0] <= self.body <= BODY_HU[1]
        if not right and (slices["hu_outside"] > self.tolerances.bulk_fraction).all():
            yield f"every slice has values beyond -1100 to 4000 HU in bulk{told}"
        if off.any():
            yield lies
        if (slices["hu_soft"] < self.tolerances.soft_tissue_fraction).all():
            yield f"no slice has soft tissue{told}"
        if (self.body < BODY_HU[0] or self.body > BODY_HU[1]) and (
            slices["hu_soft"] < self.tolerances.bulk_fraction
        ).all():
            yield f"tissue lies at {number(self.body, 0)} HU{told}"

    def cut(self) -> list[float]:
        """Where values were cut off, HU."""
        low, high = float(self.slices["hu_min"].min()), float(self.slices["hu_max"].max())
        at_rim = abs(self.air - low) <= 2 or self.air >= SOFT_HU[0]
        intact = SAME_STEP_HU[0] <= self.body - self.air <= SAME_STEP_HU[1]
        found = []
        if low > CUT_BELOW_HU and at_rim and not intact and self._piled("hu_min", low, "hu_at_min", CUT_BELOW):
            found.append(low)
        noisy = bool(found) or self.level("hu_rim_spread") > 0
        if CUT_ABOVE_HU[0] < high < CUT_ABOVE_HU[1] and noisy and self._piled("hu_max", high, "hu_at_max", CUT_ABOVE):
            found.append(high)
        return found

    def _piled(self, name: str, end: float, share: str, least: float) -> bool:
        """Whether values pile up at an end of the range, in at least half of several slices."""
        import numpy as np

        if len(self.slices) < 2 or (self.slices[name] == end).mean() < HALF:
            return False
        shares = self.levels[share][self.levels[name] == end]
        return bool(shares.size) and float(np.median(shares)) >= least


def fills_images(series: CtSeries) -> bool:
    """Whether the patient fills most images up to the rim, so that no air need be seen around."""
    import numpy as np

    levels = series.slices.take(np.flatnonzero(series.slices.present("hu_rim")))
    return len(levels) > 0 and bool(_filled(levels).mean() >= HALF)


def _filled(levels: Columns) -> Flags:
    """Slices whose rim is tissue."""
    rim, step = levels["hu_rim"], levels["hu_body"] - levels["hu_rim"]
    tissue: Flags = (rim >= SOFT_HU[0]) & (rim <= CONTRAST_HU) & (levels["hu_soft"] >= PATIENT_SOFT)
    tissue &= ~((step >= STEP_HU[0]) & (step <= STEP_HU[1]))
    return tissue


def _off(levels: Columns, tolerances: Tolerances) -> Flags:
    import numpy as np

    rim, spread, low = (levels[name] for name in ("hu_rim", "hu_rim_spread", "hu_min"))
    lung = (rim > LUNG_HU[0]) & (rim < LUNG_HU[1]) & (spread > LUNG_SPREAD_HU)
    air = ~_filled(levels) & ~lung
    floor = (np.abs(rim - low) <= 2) & (rim >= FLOOR_HU - 1) & (rim <= LUNG_HU[0])
    off: Flags = air & ~floor & (np.abs(rim - AIR_HU) > np.maximum(tolerances.air_level_hu, 2 * spread))
    return off if air.sum() >= HALF * len(rim) and off.sum() >= MOST * air.sum() else off & False
