"""Whether the workbook's rows belong to the images: sex and age of both.

Where the rows as a whole do not belong (XRF004), that is the fault, and what follows from it is told once for all
patients (XRF002, XRF003) or not at all (XRF005, XRF006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crlm_qc.collection.show import OLDEST, age_text
from crlm_qc.model.finding import RELEASE, Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.xrf._shared import TABLES, records, row_subject
from crlm_qc.subjects.cohort import ALPHA, Cohort, Test, cohort, disagreeing, explanation, partner
from crlm_qc.subjects.words import number
from crlm_qc.subjects.workbook import clinical

if TYPE_CHECKING:
    import pandas as pd

SYSTEMATIC: Final = 0.5
"""Part of the patients beyond which a contradiction is told once: it has one cause, not one a patient."""
MANY: Final = 20
"""Patients that this takes at least."""
_WORDS: Final = {1.0: "male", 2.0: "female"}


def _together(found: Cohort, wrong: int, compared: int) -> bool:
    """Whether contradictions are told as one finding of the release."""
    return found.detached or (compared >= MANY and wrong > SYSTEMATIC * compared)


def _need_unknown(found: Cohort) -> None:
    """Skip what follows from an edition that is known not to belong to the images.

    Raises
    ------
    Skip
        XRF004 says so.
    """
    if found.known:
        raise Skip("the rows are those of a published edition that do not belong to these images (XRF004)")


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
    spoils=Spoils(out=("clinical-pairing",)),
)
def sex_differs(context: Context) -> Checked:
    """1 is M and 2 is F, wherever both are known."""
    table = clinical(context)
    table.need("sex")
    found = cohort(context)
    _need_unknown(found)
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
                row_subject(table.path, row["row"], "sex"),
                f"Sex is {_WORDS[row['sex']]} in the workbook and {_WORDS[row['dicom_sex']]} in the images.{_swap(context, found, patient)}",
                f"{_WORDS[row['dicom_sex']]} (PatientSex)",
                _WORDS[row["sex"]],
                patient,
            )
            for patient, row in records(wrong)
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
    spoils=Spoils(care=("clinical-pairing",)),
)
def age_differs(context: Context) -> Checked:
    """Ages within the tolerance, wherever both are known."""
    table = clinical(context)
    table.need("age")
    found = cohort(context)
    _need_unknown(found)
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
                row_subject(table.path, row["row"], "age"),
                f"Age is {age_text(row['age'], 1)} in the workbook, and PatientAge is {age_text(row['dicom_age'], 1)} years.{_swap(context, found, patient)}",
                expected,
                _apart(row["age"], row["dicom_age"], tolerance),
                patient,
            )
            for patient, row in records(wrong)
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
    spoils=Spoils(out=("clinical-pairing",), everyone=True),
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
    if found.known:
        differ = int(disagreeing(found.table, context.tolerances.age_years).sum())
        observed = f"age or sex differs in {differ} of {plural(examined, 'patient')}"
        message = (
            f"The rows are those of the edition of {found.known}, whose ages and sexes as published do not follow the "
            f"images: here {observed}."
        )
        return Checked(examined, [Found(RELEASE, message, "rows of the same patients", observed, None, differ)])
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
