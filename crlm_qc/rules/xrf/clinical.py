"""XRF: the clinical workbook against the images.

Where the workbook's rows as a whole do not belong to the images (XRF004), that is the fault, and what follows from it is
told once for all patients (XRF002, XRF003) or not at all (XRF005, XRF006).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.profile import TUMOUR
from crlm_qc.collection.show import OLDEST, age_text
from crlm_qc.model.finding import RELEASE, Found, Kind, Subject
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.sight import At, Seen
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.subjects.cohort import ALPHA, Cohort, Test, cohort, explanation, partner
from crlm_qc.subjects.needs import need_role, published
from crlm_qc.subjects.notes import lies_as_told
from crlm_qc.subjects.words import most_common, number, text
from crlm_qc.subjects.workbook import NOTES, Clinical, clinical

if TYPE_CHECKING:
    import pandas as pd

TABLES: Final = ("sources", "clinical", "clinical_dictionary", "slices", "dsos")
SYSTEMATIC: Final = 0.5
"""Part of the patients beyond which a contradiction is told once: it has one cause, not one a patient."""
MANY: Final = 20
"""Patients that this takes at least."""
MM_PER_CM: Final = 10.0
_WORDS: Final = {1.0: "male", 2.0: "female"}


def _together(found: Cohort, wrong: int, compared: int) -> bool:
    """Whether contradictions are told as one finding of the release."""
    return found.detached or (compared >= MANY and wrong > SYSTEMATIC * compared)


def _belonging(context: Context) -> None:
    """Skip where the workbook's rows are known to be other patients'.

    Raises
    ------
    Skip
        XRF004 says that they are.
    """
    try:
        found = cohort(context)
    except Skip:
        return
    if found.detached:
        raise Skip("the workbook's rows do not belong to these images (XRF004)")


def _row(path: str, row: Any, column: str) -> Subject:
    return Subject(Kind.ROW, path=path, row=int(row), column=column)


def _rows(table: Clinical) -> dict[str, int]:
    """Row of the sheet by patient."""
    return {str(patient): int(row) for row, patient in zip(table.patients.index, table.patients, strict=True)}


def _records(table: pd.DataFrame) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Patients, which are the index, with their rows."""
    return zip(map(str, table.index), table.to_dict("records"), strict=True)


def _swap(context: Context, found: Cohort, patient: str) -> str:
    other = partner(found, patient)
    return f" Swapped with the row of {context.show.patient(other)}, age and sex of both would agree." if other else ""


@rule(
    "XRF002",
    "sex-differs",
    WARNING,
    title="Sex in the workbook contradicts PatientSex",
    why="One of the two is wrong, or the row or the images belong to another patient.",
    fix="Look the patient up; if age differs too, see whether two patients were swapped.",
    source="Data Dictionary sheet, variable sex; DICOM PS3.3 C.7.1.1, PatientSex (0010,0040)",
    tables=TABLES,
)
def sex_differs(context: Context) -> Checked:
    """1 is M and 2 is F, wherever both are known."""
    table = clinical(context)
    table.need("sex")
    found = cohort(context)
    both = found.table[found.table["sex"].notna() & found.table["dicom_sex"].notna()]
    wrong = both[both["sex"] != both["dicom_sex"]]
    if wrong.empty:
        return Checked(len(both))
    if _together(found, len(wrong), len(both)):
        men = int((wrong["sex"] == 1).sum())
        message = (
            f"Sex contradicts PatientSex in {len(wrong)} of {len(both)} patients: {men} male in the workbook are female "
            f"in the images, and {len(wrong) - men} the reverse.{_cause(found)}"
        )
        return Checked(len(both), [_all(context, wrong, message, "sex", "the same sex", len(both))])
    return Checked(
        len(both),
        [
            Found(
                _row(table.path, row["row"], "sex"),
                f"Sex is {_WORDS[row['sex']]} in the workbook and {_WORDS[row['dicom_sex']]} in the images.{_swap(context, found, patient)}",
                f"{_WORDS[row['dicom_sex']]} (PatientSex)",
                _WORDS[row["sex"]],
                patient,
            )
            for patient, row in _records(wrong)
        ],
    )


@rule(
    "XRF003",
    "age-differs",
    WARNING,
    title="Age at operation differs from PatientAge by more than 2 years",
    why="The scan is made within weeks or months before the operation; a larger difference means a wrong age or another patient.",
    fix="Look the patient up; if sex differs too, see whether two patients were swapped.",
    source="Data Dictionary sheet, variable age (Age at Operation); DICOM PS3.3 C.7.2.2, PatientAge (0010,1010)",
    tables=TABLES,
    tolerances=("age_years",),
)
def age_differs(context: Context) -> Checked:
    """Ages within the tolerance, wherever both are known."""
    table = clinical(context)
    table.need("age")
    found = cohort(context)
    tolerance = context.tolerances.age_years
    both = found.table[found.table["age"].notna() & found.table["dicom_age"].notna()]
    apart = (both["age"] - both["dicom_age"]).abs()
    wrong = both[apart > tolerance]
    if wrong.empty:
        return Checked(len(both))
    expected = f"within {number(tolerance)} years of PatientAge"
    if _together(found, len(wrong), len(both)):
        message = (
            f"Age differs from PatientAge by more than {number(tolerance)} years in {len(wrong)} of {len(both)} patients; "
            f"the median difference is {number(float(apart.median()), 1)} years.{_cause(found)}"
        )
        return Checked(len(both), [_all(context, wrong, message, "age", expected, len(both))])
    return Checked(
        len(both),
        [
            Found(
                _row(table.path, row["row"], "age"),
                f"Age is {age_text(row['age'], 1)} in the workbook, and PatientAge is {age_text(row['dicom_age'], 1)} years.{_swap(context, found, patient)}",
                expected,
                _apart(row["age"], row["dicom_age"], tolerance),
                patient,
            )
            for patient, row in _records(wrong)
        ],
    )


def _apart(age: float, other: float, tolerance: float) -> str:
    """How far two ages are apart; what would tell an age over 89 is not said."""
    if max(age, other) > OLDEST:
        return f"more than {number(tolerance)} years apart"
    return f"{number(abs(age - other), 1)} years apart"


def _cause(found: Cohort) -> str:
    return " The rows as a whole do not belong to these images: see XRF004." if found.detached else ""


def _all(context: Context, wrong: pd.DataFrame, message: str, column: str, expected: str, compared: int) -> Found:
    """One finding for all patients."""
    examples = tuple(context.show.patient(str(patient)) for patient in wrong.index)
    subject = Subject(Kind.COLUMN, path=clinical(context).path, column=column)
    return Found(subject, message, expected, f"{len(wrong)} of {compared} patients", None, len(wrong), examples)


@rule(
    "XRF004",
    "workbook-not-these-images",
    ERROR,
    title="The workbook's rows do not belong to these images",
    why="If age and sex agree no better than chance, so does every outcome: a model of images and survival learns from other patients' survival.",
    fix="Find the key that the workbook was joined or sorted by, and join it again; until then use images and workbook apart.",
    source="Data Dictionary sheet, variables age and sex; DICOM PS3.3 C.7.1.1 PatientSex, C.7.2.2 PatientAge; exact hypergeometric and permutation tests",
    tables=TABLES,
    tolerances=("age_years",),
)
def workbook_not_these_images(context: Context) -> Checked:
    """Over the release, sex or age agrees better than chance (p at most 0.01)."""
    clinical(context).need("age", "sex")
    found = cohort(context)
    if found.belongs is None:
        raise Skip(found.reason)
    examined = len(found.table)
    if found.belongs:
        return Checked(examined)
    parts = []
    if found.sex:
        parts.append(f"sex agrees in {_agreement(found.sex)}")
    if found.age:
        near, chance = found.age_distance
        years = number(context.tolerances.age_years)
        parts.append(
            f"age is within {years} years in {_agreement(found.age)}, and {number(near, 1)} years apart in the median "
            f"({number(chance, 1)} by chance)"
        )
    observed = "; ".join(parts)
    message = f"Age and sex agree with the images no better than chance: {observed}. {explanation(context, found)}"
    expected = f"agreement that chance gives once in {round(1 / ALPHA)} times at most"
    return Checked(examined, [Found(RELEASE, message, expected, observed, None, examined)])


def _agreement(test: Test) -> str:
    return f"{test.agree} of {test.n} patients ({number(test.expected, 1)} by chance, p = {number(test.p, 2)})"


@rule(
    "XRF005",
    "metastases-contradict",
    WARNING,
    title="multiple_metastases contradicts the number of tumour segments",
    why="Either a lesion was not segmented, or one was split, or the row belongs to another patient.",
    fix="Compare the segments with the report. One segment where several metastases are stated can be right: they may be outside the planned volume, or too small.",
    source="Data Dictionary sheet of April 2023, variable multiple_metastases; published description of the segments",
    tables=(*TABLES, "segments"),
)
def metastases_contradict(context: Context) -> Checked:
    """0 with two tumour segments or more is a contradiction; 1 with one is worth knowing."""
    table = clinical(context)
    table.need("multiple_metastases")
    tumours = _tumours(context)
    _belonging(context)
    counts = tumours.groupby("patient").size()
    told = table.single()["multiple_metastases"].dropna()
    both = told[told.index.isin(counts.index)]
    rows = _rows(table)
    found = []
    for patient, value in zip(map(str, both.index), both, strict=True):
        n = int(counts[patient])
        if (value == 1) == (n > 1):
            continue
        words = "more than one metastasis" if value == 1 else "one metastasis"
        found.append(
            Found(
                _row(table.path, rows[patient], "multiple_metastases"),
                f"The workbook states {words}, and the segmentation has {plural(n, 'tumour segment')}.",
                "2 tumour segments or more" if value == 1 else "1 tumour segment",
                plural(n, "tumour segment"),
                patient,
                severity=INFO if value == 1 else None,
            )
        )
    return Checked(len(both), found)


@rule(
    "XRF006",
    "tumour-size-contradicts",
    WARNING,
    title="max_tumor_size is more than half off the largest tumour's diameter",
    why="A size in another unit, a lesion that was not segmented, or a row of another patient.",
    fix="Compare the size (cm) with the segments and the report.",
    source="Data Dictionary sheet of April 2023, variable max_tumor_size (cm)",
    tables=(*TABLES, "segments"),
    tolerances=("tumour_size_fraction",),
    seen=Seen(At.TUMOURS),
)
def tumour_size_contradicts(context: Context) -> Checked:
    """Within half of the largest tumour's diameter, either in-plane or in 3-D."""
    table = clinical(context)
    table.need("max_tumor_size")
    tumours = _tumours(context)
    _belonging(context)
    largest = tumours.groupby("patient")[["diameter_axial_mm", "diameter_3d_mm"]].max().dropna()
    if largest.empty:
        raise Skip("no tumour was measured: this takes --depth masks")
    size = table.single()["max_tumor_size"].dropna() * MM_PER_CM
    both = largest.join(size.rename("stated"), how="inner")
    both = both[(both[["diameter_axial_mm", "diameter_3d_mm"]] > 0).all(axis=1)]
    allowed = context.tolerances.tumour_size_fraction
    off = both[["diameter_axial_mm", "diameter_3d_mm"]].rsub(both["stated"], axis=0).abs()
    wrong = both[(off > allowed * both[["diameter_axial_mm", "diameter_3d_mm"]]).all(axis=1)]
    rows = _rows(table)
    found = []
    for patient, row in _records(wrong):
        stated, axial, spatial = (
            number(row[name] / MM_PER_CM, 2) for name in ("stated", "diameter_axial_mm", "diameter_3d_mm")
        )
        found.append(
            Found(
                _row(table.path, rows[patient], "max_tumor_size"),
                f"max_tumor_size is {stated} cm; the largest tumour segment measures {axial} cm in a slice and {spatial} cm in 3-D.",
                f"within {number(allowed * 100)}% of {axial} or {spatial} cm",
                f"{stated} cm",
                patient,
            )
        )
    return Checked(len(both), found)


def _tumours(context: Context) -> pd.DataFrame:
    """Tumour segments of patients with one segmentation object; one that was measured and is empty does not count.

    Raises
    ------
    Skip
        There is none.
    """
    need_role(context, TUMOUR)
    dsos, segments = context["dsos"], context["segments"]
    single = dsos[dsos["patient"].notna() & ~dsos["patient"].duplicated(keep=False)]
    roles = segments["label"].map(lambda label: context.profile.role(label) if isinstance(label, str) else None)
    full = segments["voxels"].fillna(1) > 0
    tumours: pd.DataFrame = segments[
        segments["dso"].isin(single["path"]) & segments["declared"] & (roles == TUMOUR) & full
    ]
    if tumours.empty:
        raise Skip("no tumour segment to compare the workbook with")
    return tumours


@rule(
    "XRF007",
    "note-contradicts-position",
    WARNING,
    title="A note says that the patient lay otherwise than the CT says",
    why="Prone scans look upside down to a model; the note warns of them, and misleads where it stands in another patient's row.",
    fix="Look at the images: the table lies under the patient's back, or front. Correct the note or its row, or PatientPosition.",
    source="Data Dictionary sheet, variable relevant_notes; DICOM PS3.3 C.7.3.1.1.2 (Patient Position), C.7.6.2.1.1 (orientation)",
    tables=TABLES,
    seen=Seen(At.LIVER),
)
def note_contradicts_position(context: Context) -> Checked:
    """A note of lying prone or supine agrees with the CT series. The note itself is not shown."""
    table = clinical(context)
    table.need(NOTES)
    cells = table.cells
    notes = cells[(cells["variable"] == NOTES) & cells["text"].notna() & cells["patient"].notna()]
    told = [(note, lies) for note in notes.itertuples() if (lies := lies_as_told(str(note.text))) is not None]
    if not told:
        raise Skip("no note speaks of the patient's position")
    positions = _positions(context, {str(note.patient) for note, _ in told})
    examined, found = 0, []
    for note, lies in told:
        actual = positions.get(str(note.patient))
        if actual is None:
            continue
        examined += 1
        if actual != lies:
            found.append(
                Found(
                    _row(table.path, note.row, NOTES),
                    f"A note says that the patient lay {lies}, and the CT says {actual}.",
                    lies,
                    actual,
                    str(note.patient),
                )
            )
    return Checked(examined, found)


def _positions(context: Context, patients: set[str]) -> dict[str, str]:
    """`prone` or `supine` by patient, after PatientPosition, or else the orientation; where they differ, neither."""
    slices = context["slices"]
    found = {}
    for patient, group in slices[slices["patient"].isin(patients)].groupby("patient"):
        position = text(most_common(group["patient_position"])) or ""
        ends = {"S": "supine", "P": "prone"}
        stated = ends.get(position[-1:]) if re.fullmatch(r"[HF]F[SP]", position) else None
        down = group["col_y"].median()
        drawn = None if not abs(down) > 0.5 else "supine" if down > 0 else "prone"
        known = {one for one in (stated, drawn) if one is not None}
        if len(known) == 1 and (stated or not position):
            found[str(patient)] = known.pop()
    return found


@rule(
    "XRF008",
    "patient-number-gap",
    INFO,
    title="A patient number is skipped that the published release has",
    why="A gap in the numbers is mostly a patient who was lost on the way; the published release lacks known numbers alone.",
    fix="Download or copy the patient again, or note in the profile that the number does not exist.",
    source="published description: patient IDs, and those that were never given",
    tables=("patients", "metadata", "clinical"),
    whole_release=True,
)
def patient_number_gap(context: Context) -> Checked:
    """Numbers between the first and the last are in one source at least; XRF001 says which source lacks a patient."""
    never_given = published(context.profile.published.missing_patients, "list of numbers that were never given")
    found = {name: _numbers(context, name) for name in ("patients", "metadata", "clinical")}
    # A number that only the workbook has may be a slip of the pen, and moves neither end.
    known = found["patients"] | found["metadata"] or found["clinical"]
    if len(known) < 2:
        raise Skip("fewer than two patients")
    first, last = min(known), max(known)
    prefix, digits = re.sub(r"[0-9]+$", "", known[first]), len(known[first]) - len(known[first].rstrip("0123456789"))
    there = known.keys() | found["clinical"].keys()
    missing = [f"{prefix}{value:0{digits}d}" for value in range(first, last + 1) if value not in there]
    missing = [patient for patient in missing if patient not in never_given]
    if not missing:
        return Checked(len(known))
    message = f"{plural(len(missing), 'patient number is', 'patient numbers are')} skipped between {known[first]} and {known[last]}: {listed(missing)}."
    gap = plural(len(missing), "gap")
    absent = ", ".join(never_given)
    expected = f"no gap but {absent}" if absent else "no gap"
    return Checked(len(known), [Found(RELEASE, message, expected, gap, None, len(missing), tuple(missing))])


def _numbers(context: Context, name: str) -> dict[int, str]:
    """Valid patient IDs of a table by the number that they end in."""
    patients = [
        patient for patient in context[name]["patient"].dropna().unique() if context.profile.is_patient_id(patient)
    ]
    return {int(match[0]): patient for patient in patients if (match := re.search(r"[0-9]+$", patient))}
