"""What of a profile a synthetic release can't be drawn after: it is refused before anything is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.profile import CT, LIVER, METADATA_COLUMNS, SEG, TUMOUR, Edition, Profile, Published, Span
from crlm_qc.synthetic.clinical import make_workbook, workbook_row
from crlm_qc.synthetic.cohort import PatientPlan, capacity, half_height
from crlm_qc.synthetic.ct import METHODS, METHODS_NEEDED
from crlm_qc.synthetic.phantom import LIVER_HU, drawn

SOP_CLASSES = {CT: str(CTImageStorage), SEG: str(SegmentationStorage)}
"""SOP classes that are written."""
_SEXES = frozenset("MFO")
_FULL_DATES = "113106"
_ROOM = 2.0
"""Least volume of a liver, in parts of that of its tumours."""
_ROUNDING_MM = 0.001
_ROUNDING_ML = 0.001


def refuse_what_cannot_be_drawn(
    plans: Sequence[PatientPlan], profile: Profile, published: Published, edition: Edition | None
) -> None:
    """Refuse a profile that the release would not be clean under.

    Parameters
    ----------
    plans : sequence of PatientPlan
        The patients.
    profile : Profile
        The profile that the release is written after, and audited with.
    published : Published
        Its figures, for images of the size that is written.
    edition : Edition or None
        Columns of the workbook, if there is one.

    Raises
    ------
    ValueError
        Says which part of the profile it is.
    """
    checks = (
        _collection(plans, profile),
        _segments(plans, profile),
        _form(profile),
        _figures(plans, profile, published),
        _bodies(plans, profile),
        _workbook(plans, profile, edition),
    )
    for problem in (one for check in checks for one in check):
        raise ValueError(f"no synthetic release can be drawn after the profile of {profile.name}: {problem}")


def _collection(plans: Sequence[PatientPlan], profile: Profile) -> Iterator[str]:
    first = plans[0]
    if not all(profile.is_patient_id(plan.patient) for plan in plans):
        yield f"{first.patient}, of patient_id_form, is not what patient_id_pattern says"
    try:
        first.uid("study")
    except ValueError:
        yield "uid_root of [collection] is too long"
    example = dt.datetime.combine(first.study_date, dt.time(), dt.UTC)
    written = example.strftime(profile.date_format)
    try:
        same = dt.datetime.strptime(written, profile.date_format).replace(tzinfo=dt.UTC) == example
    except ValueError:
        same = False
    if not same or len(written) != len(profile.date_form):
        yield f"{written}, of date_format in [metadata], can't be read as {profile.date_form}"
    if strange := [name for name in profile.metadata_columns if name not in METADATA_COLUMNS]:
        yield f"column {strange[0]} of [metadata] is none of the downloader's"
    for modality, uid in SOP_CLASSES.items():
        if uid not in profile.modalities[modality]:
            yield f"[modalities.{modality}] lacks {uid}, which is what is written"


def _segments(plans: Sequence[PatientPlan], profile: Profile) -> Iterator[str]:
    for plan in plans:
        counts = dict(drawn(plan.vocabulary, len(plan.tumours_ml)))
        for term in plan.vocabulary:
            if term.required and not counts.get(term):
                yield f"more [[segments]] of role {term.role} are required than there are to draw: {term.label}"
        for term in counts:
            if profile.term(term.named(1)) is not term:
                yield f"label {term.named(1)} of [[segments]] is not what its own pattern matches"
        if not counts:
            yield "none of its [[segments]] can be drawn"


def _form(profile: Profile) -> Iterator[str]:
    """What every file says of itself."""
    published, codes = profile.published, profile.deidentification.codes
    if published.transfer_syntax_uid not in (None, str(ExplicitVRLittleEndian)):
        yield f"transfer_syntax_uid of [published] is not {ExplicitVRLittleEndian}, which is what is written"
    if dict(published.series_per_patient) != {CT: 1, SEG: 1}:
        yield "series_per_patient of [published] is not one CT and one SEG"
    if None not in (published.rows, published.columns) and published.rows != published.columns:
        yield "rows and columns of [published] differ"
    if strange := sorted(codes - METHODS.keys()):
        yield f"code {strange[0]} of [deidentification] is none of PS3.16 CID 7050"
    if codes and not codes >= METHODS_NEEDED:
        lacking = ", ".join(sorted(METHODS_NEEDED - codes))
        yield f"codes of [deidentification] lack {lacking}, without which the headers would hold too much"
    if _FULL_DATES in codes:
        yield f"code {_FULL_DATES} of [deidentification] says that dates were not shifted, and those written are"


def _figures(plans: Sequence[PatientPlan], profile: Profile, published: Published) -> Iterator[str]:
    """What is drawn, against the figures that the collection published."""
    if strange := sorted(set(published.sex) - _SEXES):
        yield f"sex of [published] has {strange[0]}, which PatientSex can't be"
    for name, wanted in (("rows", published.rows), ("columns", published.columns)):
        if wanted is not None and wanted != plans[0].matrix:
            yield f"{name} of [published] is {wanted}, and images of {plans[0].matrix} were asked for"
    by_figure = {
        "slices_per_series": ([float(plan.slices) for plan in plans], 0.0),
        "spacing_in_plane_mm": ([plan.pixel_spacing_mm for plan in plans], _ROUNDING_MM),
        "spacing_slices_mm": ([plan.slice_spacing_mm for plan in plans], _ROUNDING_MM),
        "liver_volume_ml": ([plan.liver_ml for plan in plans] if profile.has_role(LIVER) else [], _ROUNDING_ML),
        "tumour_volume_ml": ([_drawn_ml(plan) for plan in plans] if profile.has_role(TUMOUR) else [], _ROUNDING_ML),
    }
    for name, (values, slack) in by_figure.items():
        span: Span | None = getattr(published, name)
        out = [value for value in values if span is not None and not span.holds(value, slack)]
        if span is not None and out:
            yield f"{name} of [published] is {span.min:g} to {span.max:g}, and {out[0]:.6g} would come out"


def _drawn_ml(plan: PatientPlan) -> float:
    """Volume of the tumours that are segments."""
    counts = {term: count for term, count in drawn(plan.vocabulary, len(plan.tumours_ml)) if term.role == TUMOUR}
    return sum(plan.tumours_ml[: sum(counts.values())])


def _bodies(plans: Sequence[PatientPlan], profile: Profile) -> Iterator[str]:
    """Whether there is room for what is drawn, and whether it is plausible."""
    for plan in plans:
        room = capacity(plan.field_of_view_mm, plan.slices, plan.slice_spacing_mm)
        if half_height(plan.slices, plan.slice_spacing_mm) <= 0 or min(room, plan.liver_ml) < _ROOM * sum(
            plan.tumours_ml
        ):
            yield (
                f"there is no room for a liver with its tumours in {plan.slices} slices, {plan.slice_spacing_mm:g} mm apart "
                f"and {plan.field_of_view_mm:.0f} mm wide: slices_per_series, spacing_slices_mm, spacing_in_plane_mm, "
                "liver_volume_ml and tumour_volume_ml of [published]"
            )
    if not profile.has_role(LIVER):
        return
    if any(not profile.plausible["liver_volume_ml"].holds(plan.liver_ml) for plan in plans):
        yield "liver_volume_ml of [plausible] does not hold the livers that would come out"
    if not all(profile.plausible["liver_hu"].holds(value) for value in LIVER_HU):
        yield f"liver_hu of [plausible] does not hold {LIVER_HU[0]} to {LIVER_HU[1]} HU"


def _workbook(plans: Sequence[PatientPlan], profile: Profile, edition: Edition | None) -> Iterator[str]:
    if edition is None:
        return
    if "id" in {plain_heading(column) for column in edition.columns if column != profile.patient_column}:
        yield "column id of [[clinical.editions]] is what a dictionary calls the patient's column"
    try:
        rows = [workbook_row(plan, 1.0, edition, profile) for plan in plans]
    except ValueError as error:
        yield str(error)
        return
    try:
        make_workbook(rows, edition, profile)
    except ValueError as error:
        yield f"sheets of [clinical]: {str(error)[0].lower()}{str(error)[1:]}"
