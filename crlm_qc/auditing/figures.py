"""Figures that a report shows beside its findings: of each patient, and published against observed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR, VESSEL, Profile, Span
from crlm_qc.model.report import Figure, PatientFacts
from crlm_qc.rulebook.context import Context
from crlm_qc.subjects.figures import ct_headers, ct_stacks, summed, volumes, workbook

if TYPE_CHECKING:
    import pandas as pd

HEPATIC, PORTAL = "hepatic vein", "portal vein"
"""Labels that every vocabulary with such veins has an entry for."""
OTHER = "other"
SEXES = {1.0: "M", 2.0: "F"}
"""Codes of the workbook's column sex."""
DICOM_SEXES = {"M": 0, "F": 0, "O": 0}
"""Values of PatientSex (PS3.3 C.7.1.1), where the profile has published none."""
MM_PER_CM = 10.0
MM3_PER_ML = 1000.0


def patient_facts(context: Context) -> list[PatientFacts]:
    """Figures of every patient folder, in the order of the names; those of the workbook are `beside_workbook`'s.

    Parameters
    ----------
    context : Context
        Evidence and profile.

    Returns
    -------
    list of PatientFacts
        Lengths in mm, volumes in mL, CT values in HU; what was not measured is None.
    """
    evidence, profile = context.evidence, context.profile
    stacks = _by_patient(ct_stacks(context))
    thickness = _by_patient(evidence["ct_series"][["patient", "slice_thickness"]])
    headers = _by_patient(ct_headers(context))
    # What several objects of one patient hold (REL009) is neither added up nor picked from.
    dsos = evidence["dsos"][["patient", "path", "n_segments"]]
    dsos = dsos[~dsos["patient"].duplicated(keep=False)]
    columns = ["patient", "dso", "segment_number", "label", "declared", "volume_ml", "hu_median", "diameter_axial_mm"]
    segments = evidence["segments"][columns]
    segments = segments[segments["dso"].isin(dsos["path"])]
    terms = [profile.term(label) if isinstance(label, str) else None for label in segments["label"]]
    roles = [term.role if term else None for term in terms]
    labels = [term.label if term else None for term in terms]
    liver = segments.loc[_are(roles, LIVER, segments)]
    tumour = segments.loc[_are(roles, TUMOUR, segments)]
    remnant = segments.loc[_are(roles, REMNANT, segments)]
    hepatic, portal = (segments.loc[_are(labels, _vein(profile, label), segments)] for label in (HEPATIC, PORTAL))
    n_segments = dsos.groupby("patient")["n_segments"].sum(min_count=1)
    n_tumours = tumour[tumour["declared"]].groupby("patient").size()
    liver_ml, tumour_ml = summed(liver, "volume_ml"), summed(tumour, "volume_ml")
    remnant_ml, hepatic_ml, portal_ml = (summed(one, "volume_ml") for one in (remnant, hepatic, portal))
    liver_hu = liver.groupby("patient")["hu_median"].median()
    portal_hu = portal.groupby("patient")["hu_median"].median()
    diameter = tumour.groupby("patient")["diameter_axial_mm"].max()
    overlap = _tumour_overlap(context, tumour)
    referenced = _referenced(context)
    folders, objects = _ct_folders(context), dsos.set_index("patient")["path"]
    facts = []
    for patient in sorted(set(evidence["patients"]["patient"])):
        stack = stacks.get(patient, {})
        segmented = n_segments.get(patient)
        facts.append(
            PatientFacts(
                patient=patient,
                ct_slices=_whole(stack.get("n_slices")),
                spacing_mm=_real(stack.get("spacing")),
                segments=_whole(segmented),
                liver_ml=_real(liver_ml.get(patient)),
                tumour_ml=_real(tumour_ml.get(patient)),
                tumours=None if _whole(segmented) is None else int(n_tumours.get(patient, 0)),
                in_plane_mm=_real(stack.get("spacing_row")),
                thickness_mm=_real(thickness.get(patient, {}).get("slice_thickness")),
                liver_hu=_real(liver_hu.get(patient)),
                portal_hu=_real(portal_hu.get(patient)),
                sex=_code(headers.get(patient, {}).get("sex"), profile.published.sex or DICOM_SEXES),
                referenced_percent=_real(referenced.get(patient)),
                overlap_mm3=_real(overlap.get(patient)),
                diameter_mm=_real(diameter.get(patient)),
                ct_folder=_named(context, folders.get(patient)),
                seg_file=_named(context, objects.get(patient)),
                remnant_ml=_real(remnant_ml.get(patient)),
                hepatic_ml=_real(hepatic_ml.get(patient)),
                portal_ml=_real(portal_ml.get(patient)),
            )
        )
    return facts


def beside_workbook(context: Context, facts: Iterable[PatientFacts]) -> list[PatientFacts]:
    """Figures of patients with what the workbook says of them, in the order of the names.

    Parameters
    ----------
    context : Context
        Evidence that has the workbook.
    facts : iterable of PatientFacts
        As `patient_facts` gives them, of all parts of a release.

    Returns
    -------
    list of PatientFacts
        Sex, and the largest tumour in mm.
    """
    stated = workbook(context, ("sex", "max_tumor_size"))
    return [
        replace(
            one,
            sex_workbook=SEXES.get(stated["sex"].get(one.patient, math.nan)),
            stated_mm=_real(MM_PER_CM * stated["max_tumor_size"].get(one.patient, math.nan)),
        )
        for one in sorted(facts, key=lambda one: one.patient)
    ]


def _vein(profile: Profile, label: str) -> str | None:
    """What the profile calls a vein; None where it has no such vessel."""
    term = profile.term(label)
    return term.label if term is not None and term.role == VESSEL else None


def _ct_folders(context: Context) -> dict[str, str]:
    """The folder of each patient's one CT series, where nothing else lies in it."""
    series = context["series"]
    of_ct = series[series["role"] == "ct"]
    alone = of_ct[~of_ct["patient"].duplicated(keep=False) & (of_ct["n_folders"] == 1)]
    alone = alone[~alone["folder"].isin(series.loc[series["folder"].duplicated(keep=False), "folder"])]
    return dict(zip(alone["patient"], alone["folder"], strict=True))


def _named(context: Context, path: Any) -> str | None:
    """A path that a program can go to: none of which a part is not shown, or shown otherwise."""
    shown = context.show.path(path) if isinstance(path, str) and path else None
    return None if shown is None or str(shown) != path else str(shown)


def _tumour_overlap(context: Context, tumour: pd.DataFrame) -> dict[str, float]:
    """What tumour segments share, mm3 by patient, for patients whose masks were measured."""
    dsos, pairs = context["dsos"], context["segment_pairs"]
    keys = set(zip(tumour["dso"], tumour["segment_number"], strict=True))
    both = [
        (dso, a) in keys and (dso, b) in keys
        for dso, a, b in zip(pairs["dso"], pairs["segment_a"], pairs["segment_b"], strict=True)
    ]
    shared = summed(pairs.loc[both], "overlap_ml")
    measured = sorted(set(dsos.loc[dsos["masks"] == "measured", "patient"].dropna()))
    return {patient: shared.get(patient, 0.0) * MM3_PER_ML for patient in measured}


def _referenced(context: Context) -> dict[str, float]:
    """CT slices that a patient's segmentation objects refer to, in percent, for patients with both."""
    known, named = _instances(context["slices"]), _instances(context["references"])
    with_masks = set(context["dsos"]["patient"].tolist())
    return {
        patient: 100.0 * len(uids & named.get(patient, set())) / len(uids)
        for patient, uids in known.items()
        if patient in with_masks
    }


def _instances(table: pd.DataFrame) -> dict[str, set[str]]:
    """SOP Instance UIDs in a table, by patient."""
    found: dict[str, set[str]] = {}
    for patient, uid in zip(table["patient"].tolist(), table["sop_instance_uid"].tolist(), strict=True):
        if isinstance(patient, str) and isinstance(uid, str):
            found.setdefault(patient, set()).add(uid)
    return found


def figures(context: Context) -> list[Figure]:
    """The profile's published figures beside those of the evidence, in the order that a report shows them.

    Parameters
    ----------
    context : Context
        Evidence and profile.

    Returns
    -------
    list of Figure
        Observed on the tables that the rules on published figures look at, with the profile's tolerances.
    """
    return list(_figures(context))


def _figures(context: Context) -> Iterator[Figure]:
    published, tolerances = context.profile.published, context.profile.tolerances
    series, stacks, measured = context["series"], ct_stacks(context), volumes(context)
    of_ct = series.loc[series["role"] == "ct", "n_instances"]
    for measure, total, observed in (
        ("patients", published.patients, series["patient"].nunique()),
        ("series", published.series, len(series)),
        ("ct_slices", published.ct_slices, of_ct.sum()),
    ):
        if total is not None:
            yield Figure(measure, "total", float(total), float(observed))
    spacing, volume = tolerances.published_spacing_fraction, tolerances.published_volume_fraction
    yield from _span("ct_slices", stacks["n_slices"], published.slices_per_series, 0.0)
    yield from _span("spacing_mm", stacks["spacing"], published.spacing_slices_mm, spacing)
    yield from _span("in_plane_mm", stacks["spacing_row"], published.spacing_in_plane_mm, spacing)
    yield from _span("columns_mm", stacks["spacing_col"], published.spacing_in_plane_mm, spacing)
    yield from _span("liver_ml", measured["liver_ml"], published.liver_volume_ml, volume)
    yield from _span("tumour_ml", measured["tumour_ml"], published.tumour_volume_ml, volume)
    headers = ct_headers(context)
    yield from _counts("sex", headers["sex"], published.sex)
    yield from _counts("manufacturer", headers["manufacturer"], published.manufacturers)


def _span(measure: str, values: pd.Series[Any], span: Span | None, fraction: float) -> Iterator[Figure]:
    if span is None:
        return
    for part, published, observed in (
        ("min", span.min, values.min()),
        ("median", span.median, values.median()),
        ("max", span.max, values.max()),
    ):
        if published is not None:
            yield Figure(measure, part, float(published), _real(observed), abs(published) * fraction)


def _counts(measure: str, values: pd.Series[Any], published: Mapping[str, int]) -> Iterator[Figure]:
    """Patients by value; values that were not published are counted together, for they come from files."""
    if not published:
        return
    codes = [_code(value, published) or OTHER for value in values]
    for value, count in {**published, OTHER: 0}.items():
        yield Figure(measure, value, float(count), float(codes.count(value)) if codes else None)


def _are(values: Sequence[str | None], wanted: str | None, table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows of a table have the value that is wanted; none if nothing is."""
    import pandas as pd

    return pd.Series([value is not None and value == wanted for value in values], index=table.index, dtype=bool)


def _by_patient(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The row of each patient who has one; of several, such as CT series (REL009), none is picked."""
    columns = {str(name): table[name].tolist() for name in table}
    counts = Counter(columns["patient"])
    return {
        patient: {name: values[place] for name, values in columns.items()}
        for place, patient in enumerate(columns["patient"])
        if isinstance(patient, str) and counts[patient] == 1
    }


def _real(value: Any) -> float | None:
    import pandas as pd

    return None if value is None or pd.isna(value) or not math.isfinite(value) else float(value)


def _whole(value: Any) -> int | None:
    number = _real(value)
    return None if number is None else int(number)


def _code(value: Any, known: Mapping[str, int]) -> str | None:
    """A value from a file: itself if it was published, `other` if not, None if there is none."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value if value in known else OTHER
