"""Attributes that repeat what positions, orientation and pixel spacing say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import WARNING
from crlm_qc.model.words import capitalised, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import TABLES, each_series
from crlm_qc.rules.cts.order import out_of_order
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.words import number

_FULL_MATRIX = frozenset({256, 512, 768, 1024})
"""Columns that scanners reconstruct: an image of as many is no crop, and the whole diameter is in it."""
_MOST_CROPPED = 0.1
"""Part that such an image may be narrower than the diameter, as after a reconstruction within a circle."""


class _Contradiction(NamedTuple):
    message: str
    expected: str
    observed: str
    slices: list[int]


@rule(
    "CTS033",
    "geometry-repeated-wrongly",
    WARNING,
    title="SliceLocation, SpacingBetweenSlices or the like contradict the geometry",
    why="SliceLocation, SpacingBetweenSlices, GantryDetectorTilt and ReconstructionDiameter repeat what others say. Positions, orientation and PixelSpacing are what counts, and other rules go by these; but scripts that sort by SliceLocation, or readers that take the spacing from SpacingBetweenSlices, build another volume. SliceLocation may have any offset and either sign; an image may be cropped.",
    fix="Write the attribute from the positions, or leave it out.",
    source="DICOM PS3.3 C.7.6.2 (Slice Location, Spacing Between Slices), C.8.2.1 (Gantry/Detector Tilt, Reconstruction Diameter)",
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("frame_along_fraction", "tilt_degrees", "diameter_fraction"),
    spoils=Spoils(care=("segmentation", "volumetry")),
)
def geometry_repeated_wrongly(context: Context) -> Checked:
    """Every CT series of one volume; each attribute may be absent."""
    checks: tuple[Callable[[Context, CtSeries], _Contradiction | None], ...] = (_location, _spacing, _tilt, _diameter)

    def judge(series: CtSeries) -> Iterable[Found]:
        found = [one for check in checks if (one := check(context, series)) is not None]
        if found:
            places = sorted({place for one in found for place in one.slices})
            yield series.found(
                context,
                f"{capitalised('; '.join(one.message for one in found))}.",
                "; ".join(one.expected for one in found),
                "; ".join(one.observed for one in found),
                places,
                seen_at=(),
            )

    return each_series(context, judge, lambda series: series.volumes is None and not series.framed)


def _location(_: Context, series: CtSeries) -> _Contradiction | None:
    """SliceLocation must rise or fall along the normal, or stay for a while where it is rounded."""
    import numpy as np

    values = series.slices["slice_location"]
    if series.stack is None or series.stack.sheared:
        return None
    ordered = [
        place for place in series.stack.order.tolist() if place not in series.suspect and np.isfinite(values[place])
    ]
    if len(ordered) < 3:
        return None
    places = np.array(ordered)
    if not np.ptp(values[places]):
        observed = f"{number(float(values[places[0]]))} mm in {plural(len(places), 'slice')}"
        return _Contradiction(f"SliceLocation is {observed}", "a SliceLocation for each position", observed, [])
    heights = np.unique(values[places], return_inverse=True)[1]
    # Of equal ones, which rounding makes, the first comes first either way.
    ways = [(sign * heights * len(places) + np.arange(len(places))).tolist() for sign in (1, -1)]
    wrong = min((out_of_order(way) for way in ways), key=len)
    if not wrong:
        return None
    observed = f"{plural(len(wrong), 'slice')} out of order"
    message = f"SliceLocation orders the slices otherwise than their positions ({observed})"
    return _Contradiction(message, "locations that rise or fall along the normal", observed, places[wrong].tolist())


def _spacing(context: Context, series: CtSeries) -> _Contradiction | None:
    """SpacingBetweenSlices must be the slice spacing; its sign is left alone."""
    import numpy as np

    value = series.common("spacing_between_slices")
    stack = series.stack
    if value is None or stack is None or stack.sheared or series.stretches or not np.isfinite(stack.spacing):
        return None
    slack = max(stack.tolerance, context.tolerances.frame_along_fraction * stack.spacing)
    if abs(abs(value) - stack.spacing) <= slack:
        return None
    told, right = f"{number(value)} mm", f"{number(stack.spacing)} mm"
    message = f"SpacingBetweenSlices is {told}, and the slices are {right} apart"
    return _Contradiction(message, f"SpacingBetweenSlices {right}", told, [])


def _tilt(context: Context, series: CtSeries) -> _Contradiction | None:
    """A gantry that was tilted tilts the slices, or shears the stack; one that was not may have been forgotten."""
    import numpy as np

    value, stack = series.common("gantry_tilt"), series.stack
    limit = context.tolerances.tilt_degrees
    if value is None or stack is None or abs(value) <= limit:
        return None
    tilted = float(np.degrees(np.arccos(min(1.0, abs(float(stack.normal[2]))))))
    if min(abs(abs(value) - tilted), abs(abs(value) - stack.tilt)) <= limit:
        return None
    told, right = f"{number(value, 1)} degrees", f"{number(tilted, 1)} degrees"
    message = f"GantryDetectorTilt is {told}, and the slices are tilted by {right}"
    return _Contradiction(message, f"GantryDetectorTilt {right}", told, [])


def _diameter(context: Context, series: CtSeries) -> _Contradiction | None:
    """The image may be no wider than the diameter; a narrower one may be a crop, unless its matrix is a full one."""
    names = ("reconstruction_diameter", "rows", "columns", "spacing_row", "spacing_col")
    values = [series.common(name) for name in names]
    if None in values or values[0] <= 0:
        return None
    diameter, rows, columns, spacing_row, spacing_col = map(float, values)
    width = max(rows * spacing_row, columns * spacing_col)
    full = rows == columns and columns in _FULL_MATRIX
    least = (1 - _MOST_CROPPED) * diameter if full else 0.0
    if least <= width <= (1 + context.tolerances.diameter_fraction) * diameter:
        return None
    told = f"{number(diameter)} mm"
    message = f"ReconstructionDiameter is {told}, and the image is {number(width)} mm wide"
    return _Contradiction(message, f"ReconstructionDiameter {number(width)} mm", told, [])
