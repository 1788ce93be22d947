"""What the images are: class, identity within a series, attributes that must be there, encoding."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import filterfalse
from typing import Any

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, INFO
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.cts._shared import TABLES, each_series, of_another_class
from crlm_qc.subjects.ct import CtSeries

_OWN_RULES = frozenset({"RescaleSlope", "RescaleIntercept"})
"""Attributes whose absence CTS015 tells."""
_BITS_ALLOCATED = 16


@rule(
    "CTS001",
    "not-ct",
    ERROR,
    title="SOP class or Modality is not CT",
    why="Hounsfield units, spacing and windows of a CT are assumed everywhere; another image type breaks them all.",
    fix="Take the series out, or correct SOPClassUID and Modality.",
    source="DICOM PS3.3 C.7.3.1.1.1 (Modality), PS3.4 B.5 (storage SOP classes)",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "image-values"), care=("volumetry",)),
)
def not_ct(context: Context) -> Checked:
    """Every CT series; missing values are CTS019's."""
    classes = context.profile.modalities["CT"]

    def judge(series: CtSeries) -> Iterable[Found]:
        slices = series.slices
        for column, keyword, known in (
            ("modality", "Modality", {"CT"}),
            ("sop_class_uid", "SOPClassUID", set(classes)),
        ):
            wrong = slices.others(column, known)
            if wrong:
                values = sorted(set(slices[column][wrong]))
                shown = [
                    context.show.text(value, context.profile.modalities)
                    if column == "modality"
                    else context.show.uid(value)
                    for value in values
                ]
                expected = " or ".join(sorted(known))
                message = f"{keyword} of {plural(len(wrong), 'slice')} is {listed(shown)}, not {expected}."
                yield series.found(context, message, expected, listed(shown), wrong, column=keyword)

    return each_series(context, judge)


@rule(
    "CTS002",
    "series-identity-differs",
    ERROR,
    title="Study, frame of reference or patient differ inside the series",
    why="Slices of another study, patient or coordinate system do not belong into the same volume.",
    fix="Take the odd slices out, or correct the UIDs that were changed.",
    source="DICOM PS3.3 C.7.3.1 (General Series), C.7.4.1 (Frame of Reference)",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values", "clinical-pairing"), care=("lesion-counts",)),
)
def series_identity_differs(context: Context) -> Checked:
    """Every CT series."""

    def judge(series: CtSeries) -> Iterable[Found]:
        for column, keyword, show in (
            ("study_uid", "StudyInstanceUID", context.show.uid),
            ("frame_of_reference_uid", "FrameOfReferenceUID", context.show.uid),
            ("patient_id", "PatientID", context.show.patient),
        ):
            common = series.common(column)
            values = series.slices[column]
            odd = series.slices.others(column, {common})
            if odd:
                others = sorted({show(value) for value in values[odd]})
                message = (
                    f"{keyword} of {plural(len(odd), 'slice')} ({listed(series.names(context, odd))}) "
                    f"differs from that of the other {len(values) - len(odd)}."
                )
                yield series.found(context, message, show(common), listed(others), odd, column=keyword)

    return each_series(context, judge)


@rule(
    "CTS019",
    "attribute-missing",
    ERROR,
    title="An attribute that the checks need is missing, empty or malformed",
    why="Without it the slice can't be placed, identified or read; what could not be checked is not known to be right. Malformed is what can't be read as what it should be: text for a number, a PixelSpacing that is not above 0, a position or length beyond 100 m, a direction beyond 2.",
    fix="Write the attribute from the scanner's original.",
    source="DICOM PS3.3 A.3.3 (CT Image IOD modules)",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=Spoils(out=("segmentation", "volumetry", "image-values")),
)
def attribute_missing(context: Context) -> Checked:
    """Every CT image; RescaleSlope and RescaleIntercept are CTS015's."""

    def judge(series: CtSeries) -> Iterable[Found]:
        other = of_another_class(context, series)
        places, empty, malformed = (
            {
                word: kept
                for word, held in series.slices.listed(column).items()
                if (kept := [*filterfalse(other.__contains__, held)])
            }
            for column in ("missing", "empty", "malformed")
        )
        if series.failure is not None:
            message = (
                f"No stack can be made of the positions ({series.failure}), so what depends on them was not checked."
            )
            yield series.found(
                context, message, "positions of slices", "no stack", range(len(series.slices)), column="stack"
            )
        for keyword in sorted(set(places) - _OWN_RULES):
            wrong = places[keyword]
            kinds = {"empty": empty.get(keyword, ()), "malformed": malformed.get(keyword, ())}
            absent = [place for place in wrong if not any(place in held for held in kinds.values())]
            words = [
                f"{what} in {plural(len(held), 'slice')}" for what, held in {"missing": absent, **kinds}.items() if held
            ]
            message = f"{keyword} is {' and '.join(words)}: {listed(series.names(context, wrong))}."
            yield series.found(context, message, "a value", "; ".join(words), wrong, column=keyword)

    return each_series(context, judge)


@rule(
    "CTS020",
    "encoding-unpublished",
    INFO,
    title="Transfer syntax, bits or PixelRepresentation other than published",
    why="The published files all have one encoding; another means that they were written anew on the way.",
    fix="Nothing, if the pixels are right; else use the original files.",
    source="published description; DICOM PS3.5 A (transfer syntaxes)",
    tables=TABLES,
    scope=Scope.PATIENT,
    seen=Seen(),
    spoils=NOTHING,
)
def encoding_unpublished(context: Context) -> Checked:
    """Every CT series."""
    description = context.profile.published
    known_values: tuple[tuple[str, str, set[Any]], ...] = (
        ("transfer_syntax_uid", "TransferSyntaxUID", {description.transfer_syntax_uid} - {None}),
        ("bits_allocated", "BitsAllocated", {_BITS_ALLOCATED}),
        ("pixel_representation", "PixelRepresentation", {int(value) for value in description.pixel_representation}),
    )
    wanted = [one for one in known_values if one[2]]

    def judge(series: CtSeries) -> Iterable[Found]:
        words, expected, places = [], [], set()
        for column, keyword, known in wanted:
            wrong = series.slices.others(column, known)
            if column == "transfer_syntax_uid":
                # One that is untrue is REL017's.
                untrue = set(series.slices.others("encoding_found", ()))
                wrong = [place for place in wrong if place not in untrue]
            elif column == "bits_allocated":
                # Of bits that nothing could be read from, CTS035 tells.
                wrong = [place for place in wrong if series.slices["pixels"][place] != "failed"]
            if wrong:
                values = sorted(set(series.slices[column][wrong]))
                shown = [context.show.uid(value) if column.endswith("uid") else str(int(value)) for value in values]
                words.append(f"{keyword} {listed(shown)}")
                expected.append(f"{keyword} {' or '.join(map(str, sorted(known)))}")
                places.update(wrong)
        if words:
            message = f"{'; '.join(words)} in {plural(len(places), 'slice')}."
            yield series.found(context, message, "; ".join(expected), "; ".join(words), sorted(places))

    return each_series(context, judge)
