"""CT values: rescale, and what is plausible."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import capitalised, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import TABLES, each_series, of_another_class
from crlm_qc.subjects.ct import CtSeries, need_pixels
from crlm_qc.subjects.hounsfield import fills_images, is_ruined, ruined
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
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "image-values")),
)
def rescale_invalid(context: Context) -> Checked:
    """Every CT image of every series."""
    import numpy as np

    def judge(series: CtSeries) -> Iterable[Found]:
        known = np.isin(range(len(series.slices)), list(of_another_class(context, series)), invert=True)
        for column, keyword in (("rescale_slope", "RescaleSlope"), ("rescale_intercept", "RescaleIntercept")):
            values = series.slices[column]
            none = ~series.slices.present(column) & known
            empty, malformed = (_rows(series, column, keyword) & known for column in ("empty", "malformed"))
            absent = none & ~empty & ~malformed
            zero = (values == 0) & (column == "rescale_slope") & known
            differing = (values != series.common(column)) & ~none & ~zero & known
            words = [
                f"{what} in {plural(int(flags.sum()), 'slice')}"
                for what, flags in (
                    ("missing", absent),
                    ("empty", empty),
                    ("malformed", malformed),
                    ("0", zero),
                    ("different", differing),
                )
                if flags.any()
            ]
            if words:
                wrong = (none | zero | differing).nonzero()[0].tolist()
                expected = "one value for all slices" + (", not 0" if column == "rescale_slope" else "")
                message = f"{keyword} is {' and '.join(words)}: {listed(series.names(context, wrong))}."
                yield series.found(context, message, expected, "; ".join(words), wrong, column=keyword)

    return each_series(context, judge)


def _rows(series: CtSeries, column: str, keyword: str) -> Any:
    """Which slices list a keyword in a column."""
    import numpy as np

    flags = np.zeros(len(series.slices), dtype=bool)
    flags[series.slices.listed(column).get(keyword, [])] = True
    return flags


@rule(
    "CTS016",
    "pixel-values-implausible",
    WARNING,
    title="Pixel values are implausible for a CT",
    why="A constant slice, one without air or without soft tissue, or values beyond the range of CT mean that pixels were lost, or that slope and intercept are wrong. Padding is left out. Values that are wrong in all slices are CTS025's.",
    fix="Compare the slice with the original; look at RescaleSlope, RescaleIntercept and PixelPaddingValue.",
    source="DICOM PS3.3 C.8.2.1.1.2 (CT pixel values in Hounsfield units)",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    tolerances=("bulk_fraction", "air_hu", "soft_tissue_fraction"),
    seen=Seen(),
    spoils=Spoils(out=("image-values",), care=("segmentation",)),
)
def pixel_values_implausible(context: Context) -> Checked:
    """Every slice whose pixels were read; invalid slopes are CTS015's."""
    need_pixels(context)
    tolerances = context.tolerances

    def judge(series: CtSeries) -> Iterable[Found]:
        if is_ruined(context, series):
            return
        slices = series.slices
        read = slices.present("hu_min")
        constant = read & (slices["hu_min"] == slices["hu_max"])
        beyond = read & (slices["hu_outside"] > tolerances.bulk_fraction)
        # Where the patient fills the images, a slice without gas has no air.
        airless = read & ~constant & (slices["hu_min"] > tolerances.air_hu) & (not fills_images(series))
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


@rule(
    "CTS025",
    "pixel-values-ruined",
    ERROR,
    title="The values of a whole CT series are no Hounsfield units",
    why="Air does not lie at -1000 HU, or values are cut off, of 8 bits or impossible in all slices: sign, slope or intercept were lost or applied twice, or the values of a window were stored. Every threshold and every model that reads them is misled. Where no air is seen around the patient, its level is not judged; single slices are CTS016's.",
    fix="Convert the series anew from the scanner's original, and compare RescaleSlope, RescaleIntercept, PixelRepresentation and BitsStored.",
    source="DICOM PS3.3 C.8.2.1.1.2 (CT pixel values in Hounsfield units): air is -1000, water 0",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    tolerances=("air_level_hu", "air_hu", "bulk_fraction", "soft_tissue_fraction"),
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "image-values")),
)
def pixel_values_ruined(context: Context) -> Checked:
    """Every series whose pixels were read."""
    need_pixels(context)

    def judge(series: CtSeries) -> Iterable[Found]:
        ruin = ruined(context).get((series.patient, series.uid))
        if ruin is None:
            return
        span = f"{number(ruin.lowest, 0)} to {number(ruin.highest, 0)} HU"
        read = int(series.slices.present("hu_min").sum())
        message = f"{capitalised(ruin.words)}. Values run from {span} in {plural(read, 'slice')}."
        rim = "" if ruin.rim is None else f"{number(ruin.rim, 0)} HU at the rim of the images, "
        expected = "air at -1000 HU, soft tissue within -200 to 200 HU"
        middle = [len(series.slices) // 2]
        yield series.found(context, message, expected, f"{rim}values of {span}", count=read, seen_at=middle)

    return each_series(context, judge, lambda series: int(series.slices.present("hu_min").any()))


@rule(
    "CTS026",
    "padding-undeclared",
    INFO,
    title="Padding without PixelPaddingValue",
    why="One value below -1024 HU fills the corners of the images, where nothing was reconstructed. Readers take it for a CT value, and means, windows and normalisation are off. Here it is treated as padding.",
    fix="Add PixelPaddingValue, or leave such values out when reading.",
    source="DICOM PS3.3 C.7.5.1.1.2 (Pixel Padding Value)",
    tables=TABLES,
    scope=Scope.PATIENT,
    depth=Depth.PIXELS,
    spoils=Spoils(care=("image-values",)),
)
def padding_undeclared(context: Context) -> Checked:
    """Every series whose pixels were read."""
    need_pixels(context)

    def judge(series: CtSeries) -> Iterable[Found]:
        if is_ruined(context, series):
            return
        slices = series.slices
        found = slices.present("padding_undeclared").nonzero()[0].tolist()
        if not found:
            return
        held = {
            int(stored): float(stored * slope + intercept)
            for stored, slope, intercept in slices.matrix(RESCALED)[found].tolist()
        }
        values = listed([f"{number(stored)} ({number(hu, 1)} HU)" for stored, hu in sorted(held.items())])
        declared = series.common("pixel_padding_value")
        said = "no PixelPaddingValue" if declared is None else f"PixelPaddingValue {number(declared)}"
        message = f"Stored value {values} fills the corners of {plural(len(found), 'slice')}, with {said}."
        yield series.found(
            context, message, f"PixelPaddingValue {listed(list(map(number, sorted(held))))}", said, found
        )

    return each_series(context, judge, lambda series: int(series.slices.present("hu_min").any()))


RESCALED = ("padding_undeclared", "rescale_slope", "rescale_intercept")
