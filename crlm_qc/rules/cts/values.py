"""CT values: rescale, and what is plausible."""

from __future__ import annotations

from collections.abc import Iterable

from crlm_qc.model.finding import Found
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, rule
from crlm_qc.rules.cts._shared import TABLES, each_series, of_another_class
from crlm_qc.subjects.ct import CtSeries, need_pixels
from crlm_qc.subjects.words import number


@rule(
    "CTS015",
    "rescale-invalid",
    ERROR,
    title="RescaleSlope or RescaleIntercept missing, zero, or differing",
    why="Without them stored values are no Hounsfield units; if they differ inside a series, tools that take those of one slice get the others wrong.",
    fix="Correct both from the scanner's original.",
    source="DICOM PS3.3 C.8.2.1 (CT Image), C.11.1.1.2 (Modality LUT)",
    tables=TABLES,
    seen=Seen(),
)
def rescale_invalid(context: Context) -> Checked:
    """Every CT image of every series."""
    import numpy as np

    def judge(series: CtSeries) -> Iterable[Found]:
        known = np.isin(range(len(series.slices)), list(of_another_class(context, series)), invert=True)
        for column, keyword in (("rescale_slope", "RescaleSlope"), ("rescale_intercept", "RescaleIntercept")):
            values = series.slices[column]
            lacking = ~series.slices.present(column) & known
            zero = (values == 0) & (column == "rescale_slope") & known
            differing = (values != series.common(column)) & ~lacking & ~zero & known
            words = [
                f"{what} in {plural(int(flags.sum()), 'slice')}"
                for what, flags in (("missing", lacking), ("0", zero), ("different", differing))
                if flags.any()
            ]
            if words:
                wrong = (lacking | zero | differing).nonzero()[0].tolist()
                expected = "one value for all slices" + (", not 0" if column == "rescale_slope" else "")
                message = f"{keyword} is {' and '.join(words)}: {listed(series.names(context, wrong))}."
                yield series.found(context, message, expected, "; ".join(words), wrong, column=keyword)

    return each_series(context, judge)


@rule(
    "CTS016",
    "pixel-values-implausible",
    WARNING,
    title="Pixel values are implausible for a CT",
    why="A constant slice, one without air or without soft tissue, or values beyond the range of CT mean that pixels were lost, or that slope and intercept are wrong. Padding is left out.",
    fix="Compare the slice with the original; look at RescaleSlope, RescaleIntercept and PixelPaddingValue.",
    source="DICOM PS3.3 C.8.2.1.1.2 (CT pixel values in Hounsfield units)",
    tables=TABLES,
    depth=Depth.PIXELS,
    tolerances=("bulk_fraction", "air_hu", "soft_tissue_fraction"),
    seen=Seen(),
)
def pixel_values_implausible(context: Context) -> Checked:
    """Every slice whose pixels were read; invalid slopes are CTS015's."""
    need_pixels(context)
    tolerances = context.tolerances

    def judge(series: CtSeries) -> Iterable[Found]:
        slices = series.slices
        read = slices.present("hu_min")
        constant = read & (slices["hu_min"] == slices["hu_max"])
        beyond = read & (slices["hu_outside"] > tolerances.bulk_fraction)
        airless = read & ~constant & (slices["hu_min"] > tolerances.air_hu)
        empty = read & ~constant & ~beyond & (slices["hu_soft"] < tolerances.soft_tissue_fraction)
        words, wrong = [], constant & False
        for what, flags in (
            ("of one value everywhere", constant),
            (f"with nothing below {number(tolerances.air_hu)} HU", airless),
            ("without soft tissue", empty),
            ("with values beyond -1100 to 4000 HU in bulk", beyond),
        ):
            if flags.any():
                words.append(f"{plural(int(flags.sum()), 'slice')} {what}")
                wrong = wrong | flags
        if words:
            places = wrong.nonzero()[0].tolist()
            message = f"{'; '.join(words)}: {listed(series.names(context, places))}."
            yield series.found(
                context, message, "air, soft tissue, and values of -1100 to 4000 HU", "; ".join(words), places
            )

    return each_series(context, judge, lambda series: int(series.slices.present("hu_min").sum()))
