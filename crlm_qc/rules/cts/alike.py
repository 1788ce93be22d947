"""What must not differ inside a series: whose images they are, and how they were acquired and reconstructed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crlm_qc.collection.forms import age_in_years
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import TABLES, each_series
from crlm_qc.subjects.ct import CtSeries, same_length

_DATE, _SIGN = "StudyDate", "PixelRepresentation"
_IDENTITY = {
    "PatientSex": "patient_sex",
    "PatientAge": "patient_age",
    _DATE: "study_date",
    "Manufacturer": "manufacturer",
    "ManufacturerModelName": "manufacturer_model",
}
_ACQUISITION = {
    "ConvolutionKernel": "convolution_kernel",
    "KVP": "kvp",
    "SliceThickness": "slice_thickness",
    "ImageType": "image_type",
    "ReconstructionDiameter": "reconstruction_diameter",
    "ContrastBolusAgent": "contrast_agent",
    _SIGN: "pixel_representation",
}
_UNITS = {"SliceThickness": " mm", "ReconstructionDiameter": " mm", "KVP": " kV"}
_SEXES = frozenset({"M", "F", "O"})
_MOST_PARTS = 8
"""Values of an ImageType that are told."""
_IMAGE_TYPES = frozenset({"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER"})
"""Terms of ImageType (PS3.3 C.7.6.1.1.2, C.8.2.1.1.1)."""


@rule(
    "CTS031",
    "patient-or-scanner-differs",
    ERROR,
    title="Sex, age, study date or scanner differ inside the series",
    why="A series is of one patient, study and scanner: a slice with another one's attributes was put into it from elsewhere. Slices of another study or patient by their UIDs are CTS002's.",
    fix="Compare the odd slices with the others and with the original series; take them out if they are another's.",
    source="DICOM PS3.3 A.1.2.3 (series IE: one frame of reference, one equipment), C.7.1.1, C.7.2.1, C.7.5.1",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "image-values", "clinical-pairing"), care=("volumetry",)),
)
def patient_or_scanner_differs(context: Context) -> Checked:
    """Every CT series; a missing value differs from none, but for StudyDate."""
    return each_series(context, lambda series: _differing(context, series, _IDENTITY, _told_by_uid(series)))


@rule(
    "CTS032",
    "acquisition-differs",
    WARNING,
    title="Kernel, tube voltage, SliceThickness or the like differ inside the series",
    why="Where kernel, tube voltage, SliceThickness, ImageType, reconstruction diameter or contrast agent change from some slice on, so do noise, sharpness and CT values: two reconstructions or scans were put into one series. Where PixelRepresentation changes, the same bits are other values. Tube current and exposure may differ. What parts the runs of several volumes is told there (CTS018, CTS028).",
    fix="Split the series, or correct the attributes that were changed.",
    source="DICOM PS3.3 C.7.3.1 (General Series), C.8.2.1 (CT Image), C.7.6.4 (Contrast/Bolus)",
    tables=TABLES,
    scope=Scope.PATIENT,
    tolerances=("spacing_mm", "spacing_fraction"),
    seen=Seen(),
    spoils=Spoils(care=("segmentation", "image-values")),
)
def acquisition_differs(context: Context) -> Checked:
    """Every CT series; a missing value differs from none."""
    return each_series(context, lambda series: _differing(context, series, _ACQUISITION, frozenset()))


def _told_by_uid(series: CtSeries) -> frozenset[int]:
    """Slices that CTS002 names."""
    columns = ("study_uid", "patient_id")
    return frozenset(place for name in columns for place in series.slices.others(name, {series.common(name)}))


def _differing(
    context: Context, series: CtSeries, attributes: Mapping[str, str], told: frozenset[int]
) -> Iterable[Found]:
    """One finding on all attributes that differ; those that differ in the same slices are named together."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for keyword, column in attributes.items():
        values = series.slices[column].tolist()
        given = {place: value for place, value in enumerate(values) if value is not None and value == value}
        if keyword == _DATE:
            # Type 2 may be empty, but then in all slices of a study.
            given = {place: given.get(place, "") for place in range(len(values))}
        if len(set(given.values())) < 2:
            continue
        plain = _plain(context, keyword, {place: value for place, value in given.items() if place not in told})
        counts = Counter(plain.values())
        common = max(counts, key=lambda key: counts[key], default=None)
        odd = tuple(place for place, key in plain.items() if key != common)
        if odd and not _parts_the_runs(series, plain):
            show = _shown(context, keyword)
            usual = next(given[place] for place, key in plain.items() if key == common)
            others = listed(sorted({show(given[place]) for place in odd}), 3)
            # Of texts that may not be shown, both are often told alike.
            groups.setdefault(odd, []).append(
                f"{keyword} ({others}, not {show(usual)})" if others != show(usual) else keyword
            )
    if not groups:
        return
    sentences = [
        f"{listed(words, len(words))} of {plural(len(odd), 'slice')} ({listed(series.names(context, odd))}) "
        f"{agree(len(words), 'differs', 'differ')} from the other {len(series.slices) - len(odd)}"
        for odd, words in groups.items()
    ]
    places = sorted({place for odd in groups for place in odd})
    keywords = [word.split(" ", 1)[0] for words in groups.values() for word in words]
    message = f"{'; '.join(sentences)}."
    yield series.found(
        context, message, "one value in all slices", f"different: {listed(keywords, len(keywords))}", places
    )


def _parts_the_runs(series: CtSeries, plain: Mapping[int, Any]) -> bool:
    """Whether an attribute has one value in each of several volumes, so that it only says what these say."""
    if series.volumes is None:
        return False
    return all(len({plain[place] for place in run.tolist() if place in plain}) <= 1 for run in series.volumes.runs)


def _plain(context: Context, keyword: str, given: Mapping[int, Any]) -> dict[int, Any]:
    """Values such that those that mean the same are equal."""
    if keyword == _SIGN:
        # What is neither of the two is CTS020's.
        return {place: value for place, value in given.items() if value in (0, 1)}
    if any(isinstance(value, float) for value in given.values()):
        known: list[float] = []
        found = {}
        for place, value in given.items():
            alike = next((one for one in known if same_length(context, one, value)), None)
            known += [value] if alike is None else []
            found[place] = value if alike is None else alike
        return found
    if keyword == "PatientAge":
        return {place: age if (age := age_in_years(value)) is not None else value for place, value in given.items()}
    if keyword == _DATE:
        return {place: "".join(filter(str.isdigit, value)) for place, value in given.items()}
    return {
        place: " ".join(value.replace("\\", " \\ ").upper().split()).rstrip("\\ ") for place, value in given.items()
    }


def _image_type(context: Context, value: str) -> str:
    """As much of an ImageType as one has."""
    parts = value.split("\\", _MOST_PARTS)
    shown = [context.show.text(part, _IMAGE_TYPES) for part in parts[:_MOST_PARTS]]
    return "\\".join([*shown, "..."] if len(parts) > _MOST_PARTS else shown)


def _shown(context: Context, keyword: str) -> Callable[[Any], str]:
    """How a value of an attribute may be shown."""
    show = context.show
    if keyword in _UNITS:
        return lambda value: f"{show.number(value)}{_UNITS[keyword]}"
    if keyword == "PatientAge":
        return show.age_string
    if keyword == _DATE:
        return lambda value: show.date(value) if value else "missing"
    if keyword == _SIGN:
        return show.number
    if keyword == "ImageType":
        return lambda value: _image_type(context, value)
    known = {*_SEXES, *context.profile.published.manufacturers}
    return lambda value: show.text(value, known)
